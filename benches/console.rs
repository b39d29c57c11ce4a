//! What one observation, one view and one key cost, with 1,000 to 50,000 tasks.

#[path = "../tests/support/fleet.rs"]
#[expect(dead_code, reason = "the tests' fleet; benches use a part")]
mod fleet;
#[path = "../tests/support/taken.rs"]
#[expect(dead_code, reason = "the tests' fleets; benches use one of them")]
mod taken;

#[path = "../tests/support/budgets.rs"]
#[expect(dead_code, reason = "the tests' budgets; benches use a part")]
mod budgets;

use budgets::{alarm_about, backend, budget, observe_backend};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fleet::{Desk, cluster, id, now, observe, task, workload};
use quarterdeck::domain::{ClusterId, Health, Kind, Task};
use quarterdeck::key::parse_sequence;
use quarterdeck::store::{Body, Feed, Observation, Rows, SourceId, Store};

fn tasks(n: usize) -> Vec<Task> {
    (0..n)
        .map(|i| {
            let bad = i % 97 == 0;
            let status = if bad { "CrashLoopBackOff" } else { "Running" };
            let health = if bad { Health::Critical } else { Health::Ok };
            task(&format!("app-{:03}-{i:06}", i % 400), &format!("app-{:03}", i % 400), "node-a", status, health)
        })
        .collect()
}

fn full(n: usize) -> Store {
    let mut store = Store::expecting([cluster()]);
    observe(&mut store, Feed::Tasks, Rows::Tasks(tasks(n)));
    let workloads = (0..400).map(|i| workload(&format!("app-{i:03}"), 10, 10)).collect();
    observe(&mut store, Feed::Deployments, Rows::Workloads(workloads));
    store
}

/// The same with 2,000 alarms that fire, about tasks, workloads and nothing, and 200 budgets of which
/// some page.
fn alarmed(n: usize) -> Store {
    let mut store = full(n).and_backends([backend()]);
    let about = |i: usize| match i % 4 {
        0 | 1 => Some(id(Kind::Task, "shop", &format!("app-{:03}-{:06}", i * 7 % 400, i * 7 % n))),
        2 => Some(id(Kind::Deployment, "shop", &format!("app-{:03}", i % 400))),
        _ => None,
    };
    let alarms = (0..2000).map(|i| alarm_about(&format!("Alert{:02} {i:04}", i % 40), about(i))).collect();
    observe_backend(&mut store, Feed::Alarms, Rows::Alarms(alarms));
    let burn = |i: usize| {
        if i.is_multiple_of(10) { "W 20000/25920000, 5m 60/3000, 1h 600/36000" } else { "W 6000/25920000, 5m 1/3000" }
    };
    let budgets =
        (0..200).map(|i| budget(&format!("slo-{i:03}"), &format!("app-{i:03}"), "0.999", 30, burn(i))).collect();
    observe_backend(&mut store, Feed::Budgets, Rows::Budgets(budgets));
    store
}

fn change(store: &mut Store, round: usize, count: usize, all: &[Task]) {
    let changed = all
        .iter()
        .cycle()
        .skip(round * count % all.len())
        .take(count)
        .map(|t| Task { restarts: u32::try_from(round).unwrap_or(0), last_restart: Some(now()), ..t.clone() })
        .collect();
    let source = SourceId { cluster: ClusterId::new("test"), feed: Feed::Tasks };
    store.apply(Observation { source, at: now(), body: Body::Upsert(Rows::Tasks(changed)) });
}

fn apply(c: &mut Criterion) {
    let mut group = c.benchmark_group("apply");
    let rows = tasks(10_000);
    group.throughput(Throughput::Elements(10_000));
    group.bench_function("list of 10,000 tasks", |b| {
        b.iter_batched(
            || (Store::expecting([cluster()]), rows.clone()),
            |(mut store, rows)| {
                observe(&mut store, Feed::Tasks, Rows::Tasks(rows));
                store
            },
            BatchSize::LargeInput,
        );
    });
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("1,000 changes among 50,000", |b| {
        let all = tasks(50_000);
        let mut store = full(50_000);
        let mut round = 0;
        b.iter(|| {
            round += 1;
            change(&mut store, round, 1_000, &all);
        });
    });
    group.finish();
}

fn frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("view");
    for n in [1_000, 10_000, 50_000] {
        group.bench_with_input(BenchmarkId::new("tasks, one of them changed", n), &n, |b, n| {
            let all = tasks(*n);
            let mut desk = Desk::new(full(*n));
            desk.press("3");
            let mut round = 0;
            b.iter(|| {
                round += 1;
                change(&mut desk.store, round, 1, &all);
                desk.buffer(160, 48)
            });
        });
        group.bench_with_input(BenchmarkId::new("overview", n), &n, |b, n| {
            let mut desk = Desk::new(full(*n));
            b.iter(|| desk.buffer(160, 48));
        });
    }
    group.finish();
}

/// A key pressed right after a thirtieth of a second's share of 1,000 changes/s, in a view that
/// is reached with `goto`.
fn pressed(c: &mut Criterion, name: &str, n: usize, goto: &str, store: fn(usize) -> Store) {
    let mut group = c.benchmark_group("key to frame");
    group.bench_with_input(BenchmarkId::new(name, n), &n, |b, n| {
        let all = tasks(*n);
        let mut desk = Desk::new(store(*n));
        desk.press(goto);
        let key = parse_sequence("j").unwrap_or_default();
        let mut round = 0;
        b.iter(|| {
            round += 1;
            change(&mut desk.store, round, 33, &all);
            desk.arrange();
            for k in &key {
                desk.app.press(*k, &desk.store, now());
            }
            desk.buffer(160, 48)
        });
    });
    group.finish();
}

/// 500 notices on 2,000 nodes with 50,000 tasks, and between two frames something changes
/// on a machine that goes.
fn storm(c: &mut Criterion) {
    let mut group = c.benchmark_group("500 notices");
    for (view, keys) in [("spot", "0"), ("overview", "1"), ("nodes", "2"), ("tasks", "3")] {
        group.bench_function(view, |b| {
            let mut desk = Desk::new(taken::storm());
            desk.press(keys);
            let mut round = 0;
            b.iter(|| {
                round += 1;
                desk.put_task(Task { restarts: round, ..task("web-1", "web-1", "node-1", "Running", Health::Ok) });
                desk.buffer(160, 48)
            });
        });
    }
    group.finish();
}

fn key_to_frame(c: &mut Criterion) {
    for n in [10_000, 50_000] {
        pressed(c, "1,000 changes/s", n, "3", full);
        pressed(c, "1,000 changes/s, 2,000 alarms, 200 budgets", n, "3", alarmed);
    }
    for (name, goto) in OTHERS {
        pressed(c, &format!("{name}, 1,000 changes/s, 2,000 alarms, 200 budgets"), 50_000, goto, alarmed);
    }
}

/// Views and the keys that lead to them.
const OTHERS: [(&str, &str); 3] = [("overview", "1"), ("alarms", "7"), ("budgets", "8")];

criterion_group!(benches, apply, frames, key_to_frame, storm);
criterion_main!(benches);
