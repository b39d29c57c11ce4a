//! Applying one observation.

use chrono::TimeDelta;

use super::health::Streak;
use super::observation::{Body, Feed, Observation, Rows, SourceId};
use super::table::{Row, Table};
use super::{ERROR_LOG, LogEntry, RESTART_LOG, Restart, SourceState, Store};
use crate::domain::{Budget, Freshness, Kind, ObjectId, Task, Text, Timestamp};

/// Two complete lists of a poll are not further apart than this.
const RECENT: TimeDelta = TimeDelta::minutes(2);

impl Store {
    /// Takes in what a source says. The cost is that of its rows.
    pub fn apply(&mut self, observation: Observation) {
        let Observation { source, at, body } = observation;
        if !self.clusters.contains_key(&source.cluster) && !self.is_backend(&source, &body) {
            self.clusters.insert(source.cluster.clone(), None);
        }
        let state = self.sources.entry(source.clone()).or_insert_with(|| SourceState {
            freshness: Freshness::Loading { since: at },
            complete: false,
            last_data: None,
            last_list: None,
            generation: 0,
        });
        match body {
            Body::Cluster(cluster) => {
                self.clusters.insert(source.cluster, Some(cluster));
                self.revision += 1;
            }
            Body::Backend(backend) => {
                self.backends.insert(source.cluster, Some(backend));
                self.revision += 1;
            }
            Body::Begin => state.generation = state.generation.wrapping_add(1),
            Body::Upsert(rows) => {
                state.last_data = Some(at);
                // CloudWatch is asked for what is on screen only: each answer is complete in itself.
                if source.feed == Feed::ServiceMetrics && matches!(rows, Rows::Usage(_)) {
                    state.complete = true;
                    state.freshness = Freshness::Live { at };
                }
                if let Freshness::Live { at: last } = &mut state.freshness {
                    *last = at;
                }
                let generation = state.generation;
                self.upsert(rows, &source, generation, at);
                self.revision += 1;
            }
            Body::Remove(ids) => {
                state.last_data = Some(at);
                for id in ids {
                    self.remove(&id, at, true);
                }
                self.revision += 1;
            }
            Body::Synced => {
                // What a poll misses was there at the last; what a new list misses after a
                // break may have gone at any time since.
                let seen = state.complete && state.last_list.is_some_and(|l| at - l < RECENT);
                state.last_list = Some(at);
                state.complete = true;
                state.last_data = Some(at);
                state.freshness = Freshness::Live { at };
                let generation = state.generation;
                self.sweep(&source, generation, seen, at);
                self.revision += 1;
            }
            Body::Alive => {
                // A stale source that shows life is live again: the watch goes on
                // from where it was cut, so nothing was missed.
                if state.complete {
                    let was_live = matches!(state.freshness, Freshness::Live { .. });
                    // Nothing new is an answer, too.
                    state.last_data = Some(at);
                    state.freshness = Freshness::Live { at };
                    self.revision += u64::from(!was_live);
                }
            }
            Body::Freshness(freshness) => {
                let reason = freshness.reason().cloned();
                let changed = state.freshness.word() != freshness.word() || state.freshness.reason() != reason.as_ref();
                state.freshness = freshness;
                if let (true, Some(text)) = (changed, reason) {
                    self.note(source, at, text);
                }
                self.revision += u64::from(changed);
            }
            Body::Spend(spend) => {
                self.revision += u64::from(self.spend.get(&spend.account) != Some(&spend));
                self.spend.insert(spend.account.clone(), spend);
            }
            Body::Note(text) => {
                self.note(source, at, text);
                self.revision += 1;
            }
        }
    }

    /// True for what is expected to be a metric backend, or says that it is one.
    fn is_backend(&self, source: &SourceId, body: &Body) -> bool {
        self.backends.contains_key(&source.cluster) || matches!(body, Body::Backend(_))
    }

    fn note(&mut self, source: SourceId, at: Timestamp, text: Text) {
        if let Some(last) = self.log.iter_mut().rev().take(20).find(|l| l.source == source && l.text == text) {
            last.count += 1;
            last.at = at;
            return;
        }
        if self.log.len() == ERROR_LOG {
            self.log.pop_front();
        }
        self.log.push_back(LogEntry { at, source, text, count: 1 });
    }

    fn upsert(&mut self, rows: Rows, source: &SourceId, generation: u32, at: Timestamp) {
        match rows {
            Rows::Nodes(rows) => {
                for row in &rows {
                    let first = self.nodes.get(&row.id).is_none();
                    self.note_health(&row.id, row.health(), first, at);
                    self.note_silence(row);
                    self.notice_node(row, at);
                }
                replace(&mut self.nodes, rows, source, generation);
            }
            Rows::Tasks(rows) => {
                for row in rows {
                    self.upsert_task(row, source, generation, at);
                }
            }
            Rows::Workloads(rows) => {
                for row in &rows {
                    let first = self.workloads.get(&row.id).is_none();
                    self.note_health(&row.id, row.health, first, at);
                }
                replace(&mut self.workloads, rows, source, generation);
            }
            Rows::Events(rows) => {
                for row in &rows {
                    self.notice_event(row, at);
                }
                replace(&mut self.events, rows, source, generation);
            }
            Rows::Autoscalers(rows) => replace(&mut self.autoscalers, rows, source, generation),
            Rows::DisruptionBudgets(rows) => replace(&mut self.disruption_budgets, rows, source, generation),
            Rows::Targets(rows) => {
                for (id, health) in rows {
                    self.targets.insert(id, health);
                }
            }
            Rows::Alarms(mut rows) => {
                let first = self.sources.get(source).is_none_or(|s| !s.complete);
                for row in &mut rows {
                    self.alarm_rules.apply(row);
                    self.alarm_log.record(row, at, first);
                }
                replace(&mut self.alarms, rows, source, generation);
            }
            Rows::Told(rows) => self.hear(rows, at),
            Rows::Trends(rows) => self.trends.extend(rows),
            Rows::Budgets(rows) => {
                for row in &rows {
                    self.note_calling(row, at);
                }
                replace(&mut self.budgets, rows, source, generation);
            }
            Rows::Services(rows) => replace(&mut self.services, rows, source, generation),
            Rows::Traffic(rows) => {
                for (id, traffic) in rows {
                    self.remember_traffic(id, traffic);
                }
            }
            Rows::Limits(rows) => replace(&mut self.limits, rows, source, generation),
            Rows::Usage(rows) => {
                for (id, usage) in rows {
                    self.usage.push(id, usage, generation);
                }
            }
        }
    }

    /// Keeps since when a budget calls somebody, where its start was seen.
    fn note_calling(&mut self, row: &Budget, at: Timestamp) {
        let calls = |b: &Budget| b.assessment.as_ref().is_some_and(|a| a.firing.is_some());
        match (calls(row), self.budgets.get(&row.id).map(calls)) {
            (true, Some(false)) => drop(self.calling.insert(row.id.clone(), row.at.unwrap_or(at))),
            (false, _) => drop(self.calling.remove(&row.id)),
            (true, _) => {}
        }
    }

    fn upsert_task(&mut self, task: Task, source: &SourceId, generation: u32, at: Timestamp) {
        let hour_ago = at - TimeDelta::hours(1);
        let slot = self.tasks.slot(&task.id);
        let old = slot.and_then(|slot| self.tasks.at(slot));
        let restart = match old {
            Some(old) if old.uid == task.uid && task.restarts > old.restarts => {
                Some((task.last_restart.unwrap_or(at), task.restarts - old.restarts, false))
            }
            Some(old) if old.uid == task.uid => None,
            // All of a young task's restarts are of this hour; of an older one's the last.
            _ => task.last_restart.filter(|t| *t >= hour_ago && task.restarts > 0).map(|t| {
                let young = task.created.is_some_and(|made| made >= hour_ago);
                if young { (t, task.restarts, false) } else { (t, 1, task.restarts > 1) }
            }),
        };
        let mut streak = None;
        if let Some((at, count, at_least)) = restart {
            if self.restarts.len() == RESTART_LOG {
                self.restarts.pop_front();
            }
            self.restarts.push_back(Restart { at, id: task.id.clone(), count, at_least });
            streak = Some(match slot.and_then(|slot| self.streaks.get(&slot)) {
                Some(streak) => streak.and(count, at),
                None if old.is_none() => Streak::at_first_sight(&task, at),
                None => Streak { count, first: at, last: at },
            });
        }
        while self.restarts.front().is_some_and(|r| r.at < hour_ago - TimeDelta::hours(1)) {
            self.restarts.pop_front();
        }
        self.notice_task(&task, at);
        self.totals.add(&task);
        let is_suspect = super::health::is_suspect(&task);
        let before = slot.and_then(|slot| self.tasks.at(slot)).map(|old| old.node.clone());
        if let Some(slot) = slot {
            self.placed.put(slot, before.as_ref(), &task);
        }
        let (slot, old) = self.tasks.upsert(task, source, generation);
        match old {
            Some(old) => self.totals.sub(&old),
            None => {
                if let Some(task) = self.tasks.at(slot) {
                    self.placed.put(slot, None, task);
                }
            }
        }
        if let Some(streak) = streak {
            self.streaks.insert(slot, streak);
        }
        self.suspects.grow(slot as usize + 1);
        self.suspects.set(slot as usize, is_suspect);
    }

    /// Removes a row; `seen` if it was there a moment ago.
    fn remove(&mut self, id: &ObjectId, at: Timestamp, seen: bool) {
        match id.kind {
            Kind::Node => {
                if let Some(row) = self.nodes.remove(id) {
                    self.notice_node_gone(&row, seen, at);
                }
                self.unwell.remove(id);
                self.forget_silence(&id.cluster, &id.name);
                self.usage.forget(id);
            }
            Kind::Task => {
                // Another task may take its place in the table.
                if let Some(slot) = self.tasks.slot(id) {
                    self.suspects.set(slot as usize, false);
                    self.streaks.remove(&slot);
                    if let Some(task) = self.tasks.at(slot) {
                        self.placed.take(slot, &task.id.cluster, &task.node);
                    }
                }
                if let Some(old) = self.tasks.remove(id) {
                    self.notice_task_gone(&old, at);
                    self.totals.sub(&old);
                }
                self.usage.forget(id);
            }
            Kind::Autoscaler => drop(self.autoscalers.remove(id)),
            Kind::Alarm => {
                self.alarms.remove(id);
                self.alarm_log.gone(id, at);
                self.trends.remove(id);
            }
            Kind::Budget => {
                self.budgets.remove(id);
                self.calling.remove(id);
            }
            Kind::Service => drop(self.services.remove(id)),
            Kind::DisruptionBudget => drop(self.disruption_budgets.remove(id)),
            kind if kind.is_workload() => {
                self.workloads.remove(id);
                self.unwell.remove(id);
                self.usage.forget(id);
                self.targets.remove(id);
                self.traffic.remove(id);
                self.traffic_trend.remove(id);
            }
            _ => {
                if self.events.remove(id).is_none() {
                    self.limits.remove(id);
                }
            }
        }
    }

    /// What the complete list did not confirm is gone.
    fn sweep(&mut self, source: &SourceId, generation: u32, seen: bool, at: Timestamp) {
        let gone = match source.feed {
            Feed::Nodes => self.nodes.unconfirmed(source, generation),
            Feed::Tasks => self.tasks.unconfirmed(source, generation),
            Feed::Events => self.events.unconfirmed(source, generation),
            Feed::Autoscalers => self.autoscalers.unconfirmed(source, generation),
            Feed::DisruptionBudgets => self.disruption_budgets.unconfirmed(source, generation),
            Feed::Limits => self.limits.unconfirmed(source, generation),
            Feed::Alarms => self.alarms.unconfirmed(source, generation),
            Feed::Budgets => self.budgets.unconfirmed(source, generation),
            Feed::Signals => self.services.unconfirmed(source, generation),
            Feed::NodeMetrics | Feed::TaskMetrics => {
                let kind = if source.feed == Feed::NodeMetrics { Kind::Node } else { Kind::Task };
                self.usage.finish(generation, |id| id.kind == kind && id.cluster == source.cluster);
                Vec::new()
            }
            Feed::ServiceMetrics | Feed::Targets | Feed::Notices => Vec::new(),
            Feed::Deployments
            | Feed::ReplicaSets
            | Feed::StatefulSets
            | Feed::DaemonSets
            | Feed::Jobs
            | Feed::CronJobs
            | Feed::Services => self.workloads.unconfirmed(source, generation),
        };
        for id in gone {
            self.remove(&id, at, seen);
        }
    }
}

fn replace<T: Row>(table: &mut Table<T>, rows: Vec<T>, source: &SourceId, generation: u32) {
    for row in rows {
        table.upsert(row, source, generation);
    }
}
