//! What is selected, and everything about it that decides which runbook fits and fills its steps.

use crate::domain::{Kind, ObjectId, Text, Timestamp};

/// What a runbook is opened for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Subject {
    /// What is selected, then what belongs to it: what an alarm is about, a task's workload and node. The
    /// nearest first, none twice.
    pub ids: Vec<ObjectId>,
    /// Names of the alarm, if it is one.
    pub alarms: Vec<Text>,
    /// Words for how it stands, its tasks' among them.
    pub status: Vec<Text>,
    /// Its labels.
    pub labels: Vec<(Text, Text)>,
    /// What is said of it: summaries, messages.
    pub words: Vec<Text>,
    /// Since when it is so, where that is known.
    pub since: Option<Timestamp>,
}

impl Subject {
    /// What is selected.
    #[must_use]
    pub fn id(&self) -> Option<&ObjectId> {
        self.ids.first()
    }

    /// The nearest that `fits`.
    #[must_use]
    pub fn nearest(&self, fits: impl Fn(Kind) -> bool) -> Option<&ObjectId> {
        self.ids.iter().find(|id| fits(id.kind))
    }

    /// Adds what belongs to it.
    pub fn add(&mut self, id: ObjectId) {
        if !self.ids.contains(&id) {
            self.ids.push(id);
        }
    }

    /// Adds several that belong to it, in this order.
    pub fn add_all(&mut self, ids: Vec<ObjectId>) {
        for id in ids {
            self.add(id);
        }
    }

    /// Which incident this is: progress is kept for it. An alarm that fires anew is another one.
    #[must_use]
    pub fn incident(&self) -> String {
        let Some(id) = self.id() else { return "nothing selected".to_owned() };
        let since = self.since.map(|t| t.format(" since %Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default();
        format!("{} {id}{since}", id.kind.short())
    }

    /// What `source` stands for: `name`, `namespace`, `cluster`, `kind`, a kind's short name or `workload` for
    /// the name of the nearest of that kind, `alarm`, `label.KEY`.
    #[must_use]
    pub fn value(&self, source: &str) -> Option<Text> {
        if let Some(key) = source.strip_prefix("label.") {
            return self.labels.iter().find(|(k, _)| k.as_str() == key).map(|(_, v)| v.clone());
        }
        let named = |fits: &dyn Fn(Kind) -> bool| self.nearest(fits).map(|id| id.name.clone());
        let value = match source {
            "name" => self.id().map(|id| id.name.clone()),
            "cluster" => self.id().map(|id| Text::new(id.cluster.as_str())),
            "kind" => self.id().map(|id| Text::new(id.kind.short())),
            // Of budgets, notices and pools it is something else.
            "namespace" => self
                .ids
                .iter()
                .find(|id| !id.namespace.is_empty() && !matches!(id.kind, Kind::Budget | Kind::Notice | Kind::Pool))
                .map(|id| id.namespace.clone()),
            "workload" => named(&Kind::is_workload),
            "alarm" => self.alarms.first().cloned(),
            other => {
                let kind = super::front::kind(other)?;
                named(&|k| k == kind)
            }
        };
        value.filter(|v| !v.is_empty())
    }

    /// True for what [`Subject::value`] may have a value for.
    #[must_use]
    pub fn knows(source: &str) -> bool {
        source.strip_prefix("label.").is_some_and(|k| !k.is_empty())
            || matches!(source, "name" | "cluster" | "kind" | "namespace" | "workload" | "alarm")
            || super::front::kind(source).is_some()
    }
}
