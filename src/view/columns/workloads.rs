//! Columns of the workloads view.

use super::{Align, Cell, Column, Context, Unit, Value, age_value, number, optional_percent, time_cell};
use crate::domain::{CapacityType, Kind, Text, Tone, Workload, quantity::percent};

/// `ready/desired`, as kubectl's READY and COMPLETIONS.
fn ready(r: &Workload) -> String {
    let n = if r.id.kind == Kind::Job { r.replicas.available } else { r.replicas.ready };
    format!("{n}/{}", r.replicas.desired)
}

fn count(n: u32) -> Cell {
    Cell::new(n.to_string(), if n == 0 { Tone::Dim } else { Tone::Plain })
}

fn bounds(c: Context<'_>, r: &Workload) -> Cell {
    c.store.autoscaler_of(&r.id).map_or_else(
        || Cell::dim(""),
        |a| Cell::new(format!("{}-{}", a.min, a.max), if a.limited { Tone::Warning } else { Tone::Plain }),
    )
}

/// Of what its tasks reserve: CloudWatch's average for a service, the sum of its
/// measured pods for the others.
fn cpu_share(c: Context<'_>, r: &Workload) -> Option<f64> {
    if r.ecs.is_some() {
        return Some(c.store.usage.get(&r.id)?.latest().shares().0);
    }
    let (used, asked) = c.store.workload_use(&r.id, c.now)?;
    percent(used.cpu.0, asked.cpu.0)
}

fn memory_share(c: Context<'_>, r: &Workload) -> Option<f64> {
    if r.ecs.is_some() {
        return Some(c.store.usage.get(&r.id)?.latest().shares().1);
    }
    let (used, asked) = c.store.workload_use(&r.id, c.now)?;
    percent(used.memory.0, asked.memory.0)
}

/// Where a service's tasks run; spot is marked.
fn placed(r: &Workload) -> Cell {
    r.ecs.as_ref().map_or_else(
        || Cell::dim(""),
        |e| {
            let tone = if e.capacity_type == CapacityType::Spot { Tone::Spot } else { Tone::Dim };
            Cell::new(e.placement.as_str(), tone)
        },
    )
}

/// The columns.
pub static WORKLOADS: &[Column<Workload>] = &[
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
        key: "namespace",
        title: "NAMESPACE",
        align: Align::Left,
        width: (9, 24),
        priority: 3,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |_, r| Cell::dim(&r.id.namespace),
        value: |_, r| Value::Text(r.id.namespace.clone()),
        percent: None,
    },
    Column {
        key: "kind",
        title: "KIND",
        align: Align::Left,
        width: (7, 8),
        priority: 2,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |_, r| Cell::new(r.id.kind.short(), Tone::Dim),
        value: |_, r| Value::Text(Text::new(r.id.kind.short())),
        percent: None,
    },
    Column {
        key: "name",
        title: "NAME",
        align: Align::Left,
        width: (16, 50),
        priority: 0,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |c, r| {
            let health = c.store.workload_trouble(r, c.now);
            Cell::new(r.id.name.as_str(), if health.is_problem() { Tone::Health(health) } else { Tone::Plain })
        },
        value: |_, r| Value::Text(r.id.name.clone()),
        percent: None,
    },
    Column {
        key: "ready",
        title: "READY",
        align: Align::Right,
        width: (5, 9),
        priority: 0,
        wide: false,
        descending: false,
        unit: Unit::Count,
        cell: |c, r| {
            let health = c.store.workload_trouble(r, c.now);
            let short = r.replicas.unavailable() > 0 && health.is_problem();
            let text = if r.id.kind == Kind::CronJob { "-".to_owned() } else { ready(r) };
            Cell::new(text, if short { Tone::Health(health) } else { Tone::Plain })
        },
        value: |_, r| number(u64::from(r.replicas.ready)),
        percent: None,
    },
    Column {
        key: "updated",
        title: "UPDATED",
        align: Align::Right,
        width: (7, 7),
        priority: 5,
        wide: false,
        descending: false,
        unit: Unit::Count,
        cell: |_, r| count(r.replicas.updated),
        value: |_, r| number(u64::from(r.replicas.updated)),
        percent: None,
    },
    Column {
        key: "available",
        title: "AVAIL",
        align: Align::Right,
        width: (5, 6),
        priority: 4,
        wide: false,
        descending: false,
        unit: Unit::Count,
        cell: |_, r| count(r.replicas.available),
        value: |_, r| number(u64::from(r.replicas.available)),
        percent: None,
    },
    Column {
        key: "short",
        title: "SHORT",
        align: Align::Right,
        width: (5, 6),
        priority: 4,
        wide: false,
        descending: true,
        unit: Unit::Count,
        cell: |c, r| {
            let n = if matches!(r.id.kind, Kind::Job | Kind::CronJob) { 0 } else { r.replicas.unavailable() };
            Cell::new(
                if n == 0 { "-".to_owned() } else { n.to_string() },
                if n == 0 { Tone::Dim } else { Tone::Health(c.store.workload_health(r, c.now)) },
            )
        },
        value: |_, r| number(u64::from(r.replicas.unavailable())),
        percent: None,
    },
    Column {
        key: "status",
        title: "STATUS",
        align: Align::Left,
        width: (9, 36),
        priority: 0,
        wide: false,
        descending: true,
        unit: Unit::Text,
        cell: |c, r| {
            let tone = Tone::Health(c.store.workload_trouble(r, c.now));
            crate::view::notices::workload_status(c, &r.id, &r.status, tone)
        },
        value: |_, r| Value::Text(r.status.clone()),
        percent: None,
    },
    Column {
        key: "cpu%",
        title: "%CPU",
        align: Align::Right,
        width: (4, 5),
        priority: 6,
        wide: false,
        descending: true,
        unit: Unit::Percent,
        cell: |c, r| optional_percent(cpu_share(c, r), c.thresholds.cpu),
        value: |c, r| cpu_share(c, r).map_or(Value::Missing, Value::Number),
        percent: Some(cpu_share),
    },
    Column {
        key: "mem%",
        title: "%MEM",
        align: Align::Right,
        width: (4, 5),
        priority: 6,
        wide: false,
        descending: true,
        unit: Unit::Percent,
        cell: |c, r| optional_percent(memory_share(c, r), c.thresholds.memory),
        value: |c, r| memory_share(c, r).map_or(Value::Missing, Value::Number),
        percent: Some(memory_share),
    },
    Column {
        key: "hpa",
        title: "HPA",
        align: Align::Right,
        width: (5, 9),
        priority: 7,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: bounds,
        value: |c, r| c.store.autoscaler_of(&r.id).map_or(Value::Missing, |a| number(u64::from(a.max))),
        percent: None,
    },
    Column {
        key: "targets",
        title: "TARGETS",
        align: Align::Left,
        width: (9, 24),
        priority: 9,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |c, r| Cell::dim(c.store.autoscaler_of(&r.id).map_or("", |a| a.targets.as_str())),
        value: |c, r| c.store.autoscaler_of(&r.id).map_or(Value::Missing, |a| Value::Text(a.targets.clone())),
        percent: None,
    },
    Column {
        key: "placement",
        title: "PLACED ON",
        align: Align::Left,
        width: (9, 28),
        priority: 8,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |_, r| placed(r),
        value: |_, r| Value::Text(Text::new(&placed(r).text)),
        percent: None,
    },
    Column {
        key: "images",
        title: "IMAGES",
        align: Align::Left,
        width: (12, 60),
        priority: 8,
        wide: false,
        descending: false,
        unit: Unit::Text,
        cell: |_, r| Cell::dim(&short_images(&r.images)),
        value: |_, r| Value::Text(r.images.clone()),
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
        cell: |c, r| time_cell(c, r.created),
        value: |c, r| age_value(c, r.created),
        percent: None,
    },
    Column {
        key: "schedule",
        title: "SCHEDULE",
        align: Align::Left,
        width: (10, 20),
        priority: 10,
        wide: true,
        descending: false,
        unit: Unit::Text,
        cell: |_, r| Cell::dim(&r.schedule),
        value: |_, r| Value::Text(r.schedule.clone()),
        percent: None,
    },
    Column {
        key: "last",
        title: "LAST RUN",
        align: Align::Right,
        width: (8, 14),
        priority: 10,
        wide: true,
        descending: false,
        unit: Unit::Secs,
        cell: |c, r| if r.last_run.is_some() { time_cell(c, r.last_run) } else { Cell::dim("") },
        value: |c, r| age_value(c, r.last_run),
        percent: None,
    },
    Column {
        key: "revision",
        title: "REV",
        align: Align::Right,
        width: (3, 5),
        priority: 10,
        wide: true,
        descending: false,
        unit: Unit::Text,
        cell: |_, r| Cell::dim(&r.revision),
        value: |_, r| Value::Text(r.revision.clone()),
        percent: None,
    },
];

/// Images without their registry and path: the tag is what one looks for.
fn short_images(images: &str) -> String {
    images.split(',').map(|i| i.rsplit('/').next().unwrap_or(i)).collect::<Vec<_>>().join(",")
}
