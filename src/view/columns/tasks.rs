//! Columns of the tasks view; READY, STATUS, RESTARTS and AGE as kubectl prints them.

use super::{Align, Cell, Column, Context, Unit, Value, age_value, number, optional_percent, time_cell};
use crate::domain::{CapacityType, Task, Text, Tone, Usage, quantity};
use crate::view::notices;
use crate::view::spark::sparkline;

fn usage(c: Context<'_>, t: &Task) -> Option<Usage> {
    c.store.usage.get(&t.id).map(crate::store::history::Samples::latest)
}

/// Use against the request, or against the limit where nothing is requested.
fn cpu_percent(c: Context<'_>, t: &Task) -> Option<f64> {
    let base = if t.requests.cpu.0 > 0 { t.requests.cpu.0 } else { t.limits.cpu.0 };
    quantity::percent(usage(c, t)?.cpu.0, base)
}

/// Use against the limit, which kills, or the request where there is no limit.
fn memory_percent(c: Context<'_>, t: &Task) -> Option<f64> {
    let base = if t.limits.memory.0 > 0 { t.limits.memory.0 } else { t.requests.memory.0 };
    quantity::percent(usage(c, t)?.memory.0, base)
}

fn amount(n: u64, text: String) -> Cell {
    if n == 0 { Cell::dim("") } else { Cell::plain(text) }
}

/// Launch type or capacity provider; spot is marked. Blank for a pod, whose node says it.
fn placed(t: &Task) -> Cell {
    t.ecs.as_ref().map_or_else(
        || Cell::dim(""),
        |e| Cell::new(e.placement(), if e.capacity_type == CapacityType::Spot { Tone::Spot } else { Tone::Dim }),
    )
}

/// The columns.
pub static TASKS: &[Column<Task>] = &[
    Column {
        key: "cluster",
        title: "CLUSTER",
        align: Align::Left,
        width: (6, 20),
        priority: 0,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |c, t| super::cluster_cell(c, &t.id.cluster),
        value: |_, t| Value::Text(t.id.cluster.0.clone()),
        percent: None,
    },
    Column {
        key: "namespace",
        title: "NAMESPACE",
        align: Align::Left,
        width: (9, 24),
        priority: 3,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |_, t| Cell::dim(&t.id.namespace),
        value: |_, t| Value::Text(t.id.namespace.clone()),
        percent: None,
    },
    Column {
        key: "name",
        title: "NAME",
        align: Align::Left,
        width: (16, 60),
        priority: 0,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |c, t| {
            let health = c.store.health(t, c.now);
            Cell::new(t.id.name.as_str(), if health.is_problem() { Tone::Health(health) } else { Tone::Plain })
        },
        value: |_, t| Value::Text(t.id.name.clone()),
        percent: None,
    },
    Column {
        key: "ready",
        title: "READY",
        align: Align::Right,
        width: (5, 7),
        priority: 0,
        wide: false,
        descending: false,
        unit: Unit::Count,
        cell: |c, t| {
            let health = c.store.health(t, c.now);
            let short = t.ready < t.containers_total && health.is_problem();
            Cell::new(t.ready_text(), if short { Tone::Health(health) } else { Tone::Plain })
        },
        value: |_, t| number(u64::from(t.ready)),
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
        cell: |c, t| notices::task_status(c, t, Tone::Health(c.store.health(t, c.now))),
        value: |_, t| Value::Text(t.status.clone()),
        percent: None,
    },
    Column {
        key: "restarts",
        title: "RESTARTS",
        align: Align::Right,
        width: (8, 16),
        priority: 2,
        wide: false,
        descending: true,
        unit: Unit::Count,
        cell: |c, t| {
            let tone = if t.restarts > 0 { Tone::Plain } else { Tone::Dim };
            Cell::new(t.restarts_text(c.now), tone)
        },
        value: |_, t| number(u64::from(t.restarts)),
        percent: None,
    },
    Column {
        key: "cpu",
        title: "CPU",
        align: Align::Right,
        width: (5, 6),
        priority: 2,
        wide: false,
        descending: true,
        unit: Unit::Cpu,
        cell: |c, t| usage(c, t).map_or_else(|| Cell::dim(""), |u| Cell::plain(u.cpu.to_string())),
        value: |c, t| usage(c, t).map_or(Value::Missing, |u| number(u.cpu.0)),
        percent: Some(cpu_percent),
    },
    Column {
        key: "cpu%",
        title: "%CPU",
        align: Align::Right,
        width: (4, 5),
        priority: 7,
        wide: false,
        descending: true,
        unit: Unit::Percent,
        cell: |c, t| optional_percent(cpu_percent(c, t), c.thresholds.cpu),
        value: |c, t| cpu_percent(c, t).map_or(Value::Missing, Value::Number),
        percent: Some(cpu_percent),
    },
    Column {
        key: "mem",
        title: "MEM",
        align: Align::Right,
        width: (6, 7),
        priority: 2,
        wide: false,
        descending: true,
        unit: Unit::Memory,
        cell: |c, t| usage(c, t).map_or_else(|| Cell::dim(""), |u| Cell::plain(u.memory.to_string())),
        value: |c, t| usage(c, t).map_or(Value::Missing, |u| number(u.memory.0)),
        percent: Some(memory_percent),
    },
    Column {
        key: "mem%",
        title: "%MEM",
        align: Align::Right,
        width: (4, 5),
        priority: 7,
        wide: false,
        descending: true,
        unit: Unit::Percent,
        cell: |c, t| optional_percent(memory_percent(c, t), c.thresholds.memory),
        value: |c, t| memory_percent(c, t).map_or(Value::Missing, Value::Number),
        percent: Some(memory_percent),
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
        cell: |c, t| {
            c.store.usage.get(&t.id).map_or_else(Cell::default, |s| {
                let peak = s.iter().map(|(cpu, _)| cpu).max().unwrap_or(0);
                let max = u32::try_from(t.requests.cpu.0).unwrap_or(0).max(peak);
                Cell::new(sparkline(s.iter().map(|(cpu, _)| cpu), max, 10, c.ascii), Tone::Gauge(0))
            })
        },
        value: |c, t| usage(c, t).map_or(Value::Missing, |u| number(u.cpu.0)),
        percent: None,
    },
    Column {
        key: "node",
        title: "NODE",
        align: Align::Left,
        width: (12, 46),
        priority: 8,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |_, t| Cell::dim(&t.node),
        value: |_, t| Value::Text(t.node.clone()),
        percent: None,
    },
    Column {
        key: "placement",
        title: "PLACED ON",
        align: Align::Left,
        width: (9, 16),
        priority: 8,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |_, t| placed(t),
        value: |_, t| Value::Text(Text::new(&placed(t).text)),
        percent: None,
    },
    Column {
        key: "age",
        title: "AGE",
        align: Align::Right,
        width: (5, 14),
        priority: 1,
        wide: false,
        descending: false,
        unit: Unit::Secs,
        cell: |c, t| time_cell(c, t.created),
        value: |c, t| age_value(c, t.created),
        percent: None,
    },
    Column {
        key: "why",
        title: "WHY",
        align: Align::Left,
        width: (12, 80),
        priority: 7,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |_, t| Cell::new(t.message.as_str(), Tone::Dim),
        value: |_, t| Value::Text(t.message.clone()),
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
        cell: |_, t| Cell::dim(&t.address),
        value: |_, t| Value::Text(t.address.clone()),
        percent: None,
    },
    Column {
        key: "qos",
        title: "QOS",
        align: Align::Left,
        width: (10, 10),
        priority: 10,
        wide: true,
        descending: false,
        unit: Unit::Text,
        cell: |_, t| Cell::dim(&t.qos),
        value: |_, t| Value::Text(t.qos.clone()),
        percent: None,
    },
    Column {
        key: "cpureq",
        title: "CPU/R",
        align: Align::Right,
        width: (5, 6),
        priority: 10,
        wide: true,
        descending: true,
        unit: Unit::Cpu,
        cell: |_, t| amount(t.requests.cpu.0, t.requests.cpu.to_string()),
        value: |_, t| number(t.requests.cpu.0),
        percent: None,
    },
    Column {
        key: "cpulim",
        title: "CPU/L",
        align: Align::Right,
        width: (5, 6),
        priority: 10,
        wide: true,
        descending: true,
        unit: Unit::Cpu,
        cell: |_, t| amount(t.limits.cpu.0, t.limits.cpu.to_string()),
        value: |_, t| number(t.limits.cpu.0),
        percent: None,
    },
    Column {
        key: "memreq",
        title: "MEM/R",
        align: Align::Right,
        width: (6, 7),
        priority: 10,
        wide: true,
        descending: true,
        unit: Unit::Memory,
        cell: |_, t| amount(t.requests.memory.0, t.requests.memory.to_string()),
        value: |_, t| number(t.requests.memory.0),
        percent: None,
    },
    Column {
        key: "memlim",
        title: "MEM/L",
        align: Align::Right,
        width: (6, 7),
        priority: 10,
        wide: true,
        descending: true,
        unit: Unit::Memory,
        cell: |_, t| amount(t.limits.memory.0, t.limits.memory.to_string()),
        value: |_, t| number(t.limits.memory.0),
        percent: None,
    },
    Column {
        key: "owner",
        title: "OWNER",
        align: Align::Left,
        width: (10, 40),
        priority: 10,
        wide: true,
        descending: false,
        unit: Unit::Text,
        cell: |c, t| {
            c.store
                .workload_id_of(t)
                .map_or_else(|| Cell::dim(""), |w| Cell::dim(&format!("{}/{}", w.kind.short(), w.name)))
        },
        value: |_, t| Value::Text(t.owner.clone()),
        percent: None,
    },
];
