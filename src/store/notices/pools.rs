//! Pools: instance type by zone. How many machines, how often they are taken back, and
//! who depends on one of them.

use foldhash::HashMap;
use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;

use crate::domain::notice::{NoticeKind, Record};
use crate::domain::{CapacityType, ClusterId, ObjectId, Task, Text, Timestamp};
use crate::store::Store;
use crate::store::notices::Case;

/// The windows that interruptions are counted over.
pub const WINDOWS: [TimeDelta; 3] = [TimeDelta::hours(1), TimeDelta::days(1), TimeDelta::days(7)];
/// A workload of fewer tasks is not spread by anybody.
const FEW: u32 = 3;
/// More of a workload's tasks than this on one spot pool are too many.
const MOST: f64 = 0.6;

/// Machines of one type in one zone.
#[derive(Debug, Clone, PartialEq)]
pub struct Pool {
    /// Instance type.
    pub instance_type: Text,
    /// Availability zone.
    pub zone: Text,
    /// Machines on spot capacity.
    pub spot: u32,
    /// Machines on demand, or not known to be spot.
    pub other: u32,
    /// Tasks on the spot machines.
    pub tasks: u32,
    /// Machines that are being taken back.
    pub open: u32,
    /// Spot machines that were taken back in the last hour, day and week.
    pub taken: [u32; 3],
    /// Days of spot machines' lives in the last hour, day and week, as far as they are
    /// known: of the machines that are there, and of those that were taken.
    pub days: [f64; 3],
}

impl Pool {
    /// Interruptions for each day of a machine's life, in one of the three windows; `None`
    /// where none was seen, or too little life for a rate.
    #[must_use]
    pub fn rate(&self, window: usize) -> Option<f64> {
        let (taken, days) = (self.taken.get(window)?, self.days.get(window)?);
        (*taken > 0 && *days >= 1.0).then(|| f64::from(*taken) / days)
    }
}

/// A workload most of whose tasks are on one spot pool.
#[derive(Debug, Clone, PartialEq)]
pub struct Concentration {
    /// Which.
    pub workload: ObjectId,
    /// The pool: instance type and zone.
    pub pool: (Text, Text),
    /// How many of its tasks are there.
    pub there: u32,
    /// How many it has anywhere. Those that are leaving, or have no place yet, count neither here nor there.
    pub tasks: u32,
}

/// A pool as a line.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolRow {
    /// [`crate::domain::Kind::Pool`]; the zone is the namespace, the type the name.
    pub id: ObjectId,
    /// Its figures.
    pub pool: Pool,
    /// How many workloads have most of their tasks on it.
    pub leaning: u32,
}

/// Pools, and who leans on one of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PoolBoard {
    /// As [`Store::pools`] has them.
    pub pools: Vec<Pool>,
    /// As [`Store::concentrated`] has them.
    pub concentrated: Vec<Concentration>,
}

impl PoolBoard {
    /// The pools as lines.
    #[must_use]
    pub fn rows(&self) -> Vec<PoolRow> {
        let mut leaning: HashMap<&Key, u32> = HashMap::default();
        for l in &self.concentrated {
            *leaning.entry(&l.pool).or_default() += 1;
        }
        let row = |pool: &Pool| PoolRow {
            id: ObjectId {
                cluster: ClusterId::new(""),
                kind: crate::domain::Kind::Pool,
                namespace: pool.zone.clone(),
                name: pool.instance_type.clone(),
            },
            pool: pool.clone(),
            leaning: leaning.get(&(pool.instance_type.clone(), pool.zone.clone())).copied().unwrap_or_default(),
        };
        self.pools.iter().map(row).collect()
    }
}

type Key = (Text, Text);

/// A workload's tasks on the spot machines of a pool.
#[derive(Debug, Clone, Copy, Default)]
struct Here {
    all: u32,
    /// Those that are not on their way out.
    stay: u32,
}

#[derive(Debug, Default)]
struct OnSpot {
    here: HashMap<(Option<ObjectId>, Key), Here>,
    /// Of each workload: its tasks on any machine or none, but for those that leave.
    tasks: HashMap<ObjectId, u32>,
}

impl Store {
    /// Every pool that has or had spot machines, or has any at all; the most often taken
    /// first, then by name.
    #[must_use]
    pub fn pools(&self, now: Timestamp) -> Vec<Pool> {
        self.pools_with(&self.tasks_on_spot(), now)
    }

    fn pools_with(&self, on_spot: &OnSpot, now: Timestamp) -> Vec<Pool> {
        let mut pools: BTreeMap<Key, Pool> = BTreeMap::new();
        let fresh = |key: &Key| Pool {
            instance_type: key.0.clone(),
            zone: key.1.clone(),
            spot: 0,
            other: 0,
            tasks: 0,
            open: 0,
            taken: [0; 3],
            days: [0.0; 3],
        };
        for node in self.nodes.rows() {
            let key = (node.instance_type.clone(), node.zone.clone());
            let pool = pools.entry(key.clone()).or_insert_with(|| fresh(&key));
            if node.capacity_type != CapacityType::Spot {
                pool.other += 1;
                continue;
            }
            pool.spot += 1;
            for (days, window) in pool.days.iter_mut().zip(WINDOWS) {
                *days += node.created.map_or(0.0, |made| days_of((now - made).min(window)));
            }
        }
        for ((_, pool), here) in &on_spot.here {
            if let Some(p) = pools.get_mut(pool) {
                p.tasks += here.all;
            }
        }
        let taken = |c: &&Case| c.is_open() && c.kind() >= NoticeKind::Interruption;
        for case in self.notices.cases().filter(taken).filter(|c| !c.place.instance_type.is_empty()) {
            let key = (case.place.instance_type.clone(), case.place.zone.clone());
            pools.entry(key.clone()).or_insert_with(|| fresh(&key)).open += 1;
        }
        for r in self.notices.past().iter().filter(|r| r.is_interruption() && !r.instance_type.is_empty()) {
            let key = (r.instance_type.clone(), r.zone.clone());
            let pool = pools.entry(key.clone()).or_insert_with(|| fresh(&key));
            count(pool, r, now);
        }
        let mut out: Vec<Pool> = pools.into_values().collect();
        out.sort_by(|a, b| {
            (b.open, b.taken, b.spot)
                .cmp(&(a.open, a.taken, a.spot))
                .then_with(|| (&a.instance_type, &a.zone).cmp(&(&b.instance_type, &b.zone)))
        });
        out
    }

    /// Tasks on spot machines by workload and pool, and how many each of these workloads has.
    fn tasks_on_spot(&self) -> OnSpot {
        let spot: HashMap<(&ClusterId, &str), &crate::domain::Node> = self
            .nodes
            .rows()
            .filter(|n| n.capacity_type == CapacityType::Spot)
            .map(|n| ((&n.id.cluster, n.id.name.as_str()), n))
            .collect();
        let mut out = OnSpot::default();
        if spot.is_empty() {
            return out;
        }
        // By the owner that the row names first: whose they are in the end is looked up
        // once for all of one owner.
        let mut by_owner: HashMap<_, (&Task, Here)> = HashMap::default();
        let mut everywhere: HashMap<_, (&Task, u32)> = HashMap::default();
        for task in self.tasks.rows().filter(|t| t.is_active()) {
            let owner = (&task.id.cluster, &task.id.namespace, task.owner_kind, &task.owner);
            // What is on its way out, or has no place yet, is not there to be lost.
            let stays = !super::is_leaving(task);
            if stays && (!task.node.is_empty() || task.ecs.is_some()) {
                everywhere.entry(owner).or_insert((task, 0)).1 += 1;
            }
            let Some(node) = spot.get(&(&task.id.cluster, task.node.as_str())) else { continue };
            let here =
                &mut by_owner.entry((owner, &node.instance_type, &node.zone)).or_insert((task, Here::default())).1;
            here.all += 1;
            here.stay += u32::from(stays);
        }
        for ((_, instance_type, zone), (task, of)) in by_owner {
            let workload = self.workload_id_of(task);
            let here = out.here.entry((workload, (instance_type.clone(), zone.clone()))).or_default();
            here.all += of.all;
            here.stay += of.stay;
        }
        for (task, tasks) in everywhere.into_values() {
            if let Some(workload) = self.workload_id_of(task) {
                *out.tasks.entry(workload).or_default() += tasks;
            }
        }
        out
    }

    /// Workloads most of whose tasks are on one spot pool, the most lopsided first. Those
    /// that run on every machine are none.
    #[must_use]
    pub fn concentrated(&self) -> Vec<Concentration> {
        self.concentrated_in(self.tasks_on_spot())
    }

    fn concentrated_in(&self, on_spot: OnSpot) -> Vec<Concentration> {
        let OnSpot { here, tasks } = on_spot;
        let mut out: Vec<Concentration> = here
            .into_iter()
            .filter_map(|((workload, pool), Here { stay: there, .. })| {
                let workload = workload?;
                if workload.kind == crate::domain::Kind::DaemonSet {
                    return None;
                }
                self.workloads.get(&workload)?;
                let tasks = *tasks.get(&workload)?;
                let share = f64::from(there) / f64::from(tasks.max(1));
                (tasks >= FEW && share > MOST).then_some(Concentration { workload, pool, there, tasks })
            })
            .collect();
        out.sort_by(|a, b| {
            let share = |c: &Concentration| f64::from(c.there) / f64::from(c.tasks.max(1));
            share(b).total_cmp(&share(a)).then_with(|| a.workload.cmp(&b.workload))
        });
        out
    }

    /// Pools and who leans on one of them, worked out once for a second, as long as
    /// machines and notices stay as they are: everybody's tasks are counted for it.
    #[must_use]
    pub fn pool_board(&self, now: Timestamp) -> Arc<PoolBoard> {
        let told = self.notices.cases.len() + self.notices.past.len() + self.notices.open.len();
        let moment = (self.nodes.revision(), told as u64, now.timestamp());
        self.pool_board.at(moment, || {
            let on_spot = self.tasks_on_spot();
            Arc::new(PoolBoard { pools: self.pools_with(&on_spot, now), concentrated: self.concentrated_in(on_spot) })
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a week in seconds is far below 2^52")]
fn days_of(span: TimeDelta) -> f64 {
    span.num_seconds().max(0) as f64 / 86_400.0
}

fn count(pool: &mut Pool, r: &Record, now: Timestamp) {
    let at = r.gone.or(r.deadline).unwrap_or(r.issued);
    for ((taken, days), window) in pool.taken.iter_mut().zip(&mut pool.days).zip(WINDOWS) {
        if now - at <= window {
            *taken += 1;
            let from = r.born.map(|born| born.max(now - window));
            *days += from.map_or(0.0, |from| days_of(at - from));
        }
    }
}
