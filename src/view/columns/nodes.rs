//! Columns of the nodes view.

use super::{Align, Cell, Column, Context, Unit, Value, age_value, number, percent_cell, time_cell};
use crate::domain::{CapacityType, Node, Tone, Usage, quantity};
use crate::store::TaskTotals;
use crate::view::notices;
use crate::view::spark::sparkline;

fn usage(c: Context<'_>, r: &Node) -> Option<Usage> {
    c.store.usage.get(&r.id).map(crate::store::history::Samples::latest)
}

fn load(c: Context<'_>, r: &Node) -> TaskTotals {
    c.store.totals.node(&r.id.cluster, &r.id.name)
}

fn cpu_used(c: Context<'_>, r: &Node) -> Option<f64> {
    quantity::percent(usage(c, r)?.cpu.0, r.allocatable.cpu.0)
}

fn memory_used(c: Context<'_>, r: &Node) -> Option<f64> {
    quantity::percent(usage(c, r)?.memory.0, r.allocatable.memory.0)
}

fn cpu_requested(c: Context<'_>, r: &Node) -> Option<f64> {
    quantity::percent(load(c, r).requests.cpu.0, r.allocatable.cpu.0)
}

fn memory_requested(c: Context<'_>, r: &Node) -> Option<f64> {
    quantity::percent(load(c, r).requests.memory.0, r.allocatable.memory.0)
}

fn optional(p: Option<f64>) -> Value {
    p.map_or(Value::Missing, Value::Number)
}

/// The columns.
pub static NODES: &[Column<Node>] = &[
    Column {
        key: "cluster",
        title: "CLUSTER",
        align: Align::Left,
        width: (6, 20),
        priority: 0,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |c, r| super::cluster_cell(c, &r.id.cluster),
        value: |_, r| Value::Text(r.id.cluster.0.clone()),
        percent: None,
    },
    Column {
        key: "name",
        title: "NAME",
        align: Align::Left,
        width: (16, 52),
        priority: 0,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |_, r| {
            Cell::new(r.id.name.as_str(), if r.health().is_problem() { Tone::Health(r.health()) } else { Tone::Plain })
        },
        value: |_, r| Value::Text(r.id.name.clone()),
        percent: None,
    },
    Column {
        key: "status",
        title: "STATUS",
        align: Align::Left,
        width: (8, 40),
        priority: 0,
        wide: false,
        descending: true,
        unit: Unit::Text,
        cell: |c, r| notices::node_status(c, &r.id, &r.status, Tone::Health(r.health())),
        value: |_, r| Value::Text(r.status.clone()),
        percent: None,
    },
    Column {
        key: "zone",
        title: "ZONE",
        align: Align::Left,
        width: (6, 16),
        priority: 1,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |_, r| Cell::dim(&r.zone),
        value: |_, r| Value::Text(r.zone.clone()),
        percent: None,
    },
    Column {
        key: "type",
        title: "TYPE",
        align: Align::Left,
        width: (6, 18),
        priority: 5,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |_, r| Cell::dim(&r.instance_type),
        value: |_, r| Value::Text(r.instance_type.clone()),
        percent: None,
    },
    Column {
        key: "capacity",
        title: "CAPACITY",
        align: Align::Left,
        width: (8, 9),
        priority: 4,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |_, r| {
            Cell::new(
                r.capacity_type.word(),
                if r.capacity_type == CapacityType::Spot { Tone::Spot } else { Tone::Dim },
            )
        },
        value: |_, r| Value::Text(crate::domain::Text::new(r.capacity_type.word())),
        percent: None,
    },
    Column {
        key: "tasks",
        title: "TASKS",
        align: Align::Right,
        width: (7, 8),
        priority: 1,
        wide: false,
        descending: true,
        unit: Unit::Count,
        cell: |c, r| match r.allocatable_tasks {
            // A container instance is limited by what its tasks ask for, not by their number.
            0 => Cell::plain(load(c, r).active.to_string()),
            all => Cell::plain(format!("{}/{all}", load(c, r).active)),
        },
        value: |c, r| number(u64::from(load(c, r).active)),
        percent: Some(|c, r| quantity::percent(u64::from(load(c, r).active), u64::from(r.allocatable_tasks))),
    },
    Column {
        key: "cpu",
        title: "CPU",
        align: Align::Right,
        width: (5, 6),
        priority: 3,
        wide: false,
        descending: true,
        unit: Unit::Cpu,
        cell: |c, r| usage(c, r).map_or_else(|| Cell::dim(""), |u| Cell::plain(u.cpu.to_string())),
        value: |c, r| usage(c, r).map_or(Value::Missing, |u| number(u.cpu.0)),
        percent: Some(cpu_used),
    },
    Column {
        key: "cpu%",
        title: "%CPU",
        align: Align::Right,
        width: (4, 5),
        priority: 2,
        wide: false,
        descending: true,
        unit: Unit::Percent,
        cell: |c, r| {
            usage(c, r).map_or_else(|| Cell::dim(""), |u| percent_cell(u.cpu.0, r.allocatable.cpu.0, c.thresholds.cpu))
        },
        value: |c, r| optional(cpu_used(c, r)),
        percent: Some(cpu_used),
    },
    Column {
        key: "cpur%",
        title: "CPU/R",
        align: Align::Right,
        width: (5, 5),
        priority: 6,
        wide: false,
        descending: true,
        unit: Unit::Percent,
        cell: |c, r| percent_cell(load(c, r).requests.cpu.0, r.allocatable.cpu.0, c.thresholds.cpu),
        value: |c, r| optional(cpu_requested(c, r)),
        percent: Some(cpu_requested),
    },
    Column {
        key: "mem",
        title: "MEM",
        align: Align::Right,
        width: (6, 7),
        priority: 3,
        wide: false,
        descending: true,
        unit: Unit::Memory,
        cell: |c, r| usage(c, r).map_or_else(|| Cell::dim(""), |u| Cell::plain(u.memory.to_string())),
        value: |c, r| usage(c, r).map_or(Value::Missing, |u| number(u.memory.0)),
        percent: Some(memory_used),
    },
    Column {
        key: "mem%",
        title: "%MEM",
        align: Align::Right,
        width: (4, 5),
        priority: 2,
        wide: false,
        descending: true,
        unit: Unit::Percent,
        cell: |c, r| {
            usage(c, r).map_or_else(
                || Cell::dim(""),
                |u| percent_cell(u.memory.0, r.allocatable.memory.0, c.thresholds.memory),
            )
        },
        value: |c, r| optional(memory_used(c, r)),
        percent: Some(memory_used),
    },
    Column {
        key: "memr%",
        title: "MEM/R",
        align: Align::Right,
        width: (5, 5),
        priority: 6,
        wide: false,
        descending: true,
        unit: Unit::Percent,
        cell: |c, r| percent_cell(load(c, r).requests.memory.0, r.allocatable.memory.0, c.thresholds.memory),
        value: |c, r| optional(memory_requested(c, r)),
        percent: Some(memory_requested),
    },
    Column {
        key: "trend",
        title: "CPU TREND",
        align: Align::Left,
        width: (10, 10),
        priority: 9,
        wide: false,
        descending: true,
        unit: Unit::Cpu,
        cell: |c, r| {
            c.store.usage.get(&r.id).map_or_else(Cell::default, |s| {
                let max = u32::try_from(r.allocatable.cpu.0).unwrap_or(u32::MAX);
                Cell::new(sparkline(s.iter().map(|(cpu, _)| cpu), max, 10, c.ascii), Tone::Gauge(0))
            })
        },
        value: |c, r| usage(c, r).map_or(Value::Missing, |u| number(u.cpu.0)),
        percent: None,
    },
    Column {
        key: "version",
        title: "VERSION",
        align: Align::Left,
        width: (8, 22),
        priority: 8,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |_, r| Cell::dim(&r.version),
        value: |_, r| Value::Text(r.version.clone()),
        percent: None,
    },
    Column {
        key: "age",
        title: "AGE",
        align: Align::Right,
        width: (5, 14),
        priority: 3,
        wide: false,
        descending: false,
        unit: Unit::Secs,
        cell: |c, r| time_cell(c, r.created),
        value: |c, r| age_value(c, r.created),
        percent: None,
    },
    Column {
        key: "roles",
        title: "ROLES",
        align: Align::Left,
        width: (6, 24),
        priority: 10,
        wide: true,
        descending: false,
        unit: Unit::Text,
        cell: |_, r| Cell::dim(&r.roles),
        value: |_, r| Value::Text(r.roles.clone()),
        percent: None,
    },
    Column {
        key: "ip",
        title: "IP",
        align: Align::Left,
        width: (10, 39),
        priority: 10,
        wide: true,
        descending: false,
        unit: Unit::Text,
        cell: |_, r| Cell::dim(&r.address),
        value: |_, r| Value::Text(r.address.clone()),
        percent: None,
    },
    Column {
        key: "os",
        title: "OS",
        align: Align::Left,
        width: (8, 30),
        priority: 10,
        wide: true,
        descending: false,
        unit: Unit::Text,
        cell: |_, r| Cell::dim(&r.os_image),
        value: |_, r| Value::Text(r.os_image.clone()),
        percent: None,
    },
    Column {
        key: "runtime",
        title: "RUNTIME",
        align: Align::Left,
        width: (8, 24),
        priority: 10,
        wide: true,
        descending: false,
        unit: Unit::Text,
        cell: |_, r| Cell::dim(&r.runtime),
        value: |_, r| Value::Text(r.runtime.clone()),
        percent: None,
    },
    Column {
        key: "taints",
        title: "TAINTS",
        align: Align::Left,
        width: (8, 50),
        priority: 10,
        wide: true,
        descending: false,
        unit: Unit::Text,
        cell: |_, r| Cell::dim(&r.taints),
        value: |_, r| Value::Text(r.taints.clone()),
        percent: None,
    },
];
