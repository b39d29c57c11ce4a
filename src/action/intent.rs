//! What somebody wants done.

use crate::domain::{Kind, ObjectId, Text};

/// One row of the table of verbs.
#[derive(Debug)]
pub struct VerbInfo {
    /// The verb.
    pub verb: Verb,
    /// Its name: that of its command, of its command line, and in the audit.
    pub name: &'static str,
    /// "drained": what is said once it is done.
    pub done: &'static str,
    /// True where nothing brings back what was: the target's name is to be typed.
    pub is_final: bool,
    /// What it means something for.
    pub kinds: &'static [Kind],
}

macro_rules! verbs {
    ($($variant:ident, $name:literal, $done:literal, $is_final:literal, [$($kind:ident),*], $doc:literal;)*) => {
        /// Everything that can be done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        pub enum Verb {
            $(#[doc = $doc] #[serde(rename = $name)] $variant,)*
        }

        /// Every verb.
        pub static VERBS: &[VerbInfo] = &[
            $(VerbInfo {
                verb: Verb::$variant,
                name: $name,
                done: $done,
                is_final: $is_final,
                kinds: &[$(Kind::$kind),*],
            },)*
        ];
    };
}

verbs! {
    Cordon, "cordon", "cordoned", false, [Node], "Take no new tasks: unschedulable, or DRAINING in ECS, which also moves the tasks of services.";
    Uncordon, "uncordon", "uncordoned", false, [Node], "Take new tasks again.";
    Drain, "drain", "drained", false, [Node], "Take no new tasks, and move away those that are there.";
    Scale, "scale", "scaled", false, [Deployment, ReplicaSet, StatefulSet, EcsService], "Change how many tasks are wanted.";
    Restart, "restart", "restarted", false, [Deployment, StatefulSet, DaemonSet, EcsService], "Replace every task, a few at a time.";
    RollBack, "roll-back", "rolled back", false, [Deployment, StatefulSet, DaemonSet, EcsService], "Go back to an earlier revision.";
    SetImage, "set-image", "set", false, [Deployment, StatefulSet, DaemonSet, CronJob, EcsService], "Run another image in one container.";
    Delete, "delete", "deleted", true, [Task, Deployment, ReplicaSet, StatefulSet, DaemonSet, Job, CronJob], "Delete it, or stop an ECS task.";
    Trigger, "trigger", "triggered", false, [CronJob], "Run a cron job now.";
    Suspend, "suspend-job", "suspended", false, [CronJob, Job], "Let a job or cron job start nothing more.";
    Resume, "resume-job", "resumed", false, [CronJob, Job], "Let a suspended job or cron job go on.";
    Silence, "silence", "silenced", false, [Alarm], "Silence an alert for a time, or disable an alarm's actions.";
    Unsilence, "unsilence", "unsilenced", false, [Alarm], "End an alert's silence, or enable an alarm's actions again.";
    Exec, "exec", "ended", false, [Task], "Run a command, or a shell, in a container.";
    Attach, "attach", "ended", false, [Task], "Attach to a container's own process.";
    PortForward, "port-forward", "closed", false, [Task], "Forward a local port to a task.";
    Run, "run", "run", false, [
        Node, Task, Deployment, ReplicaSet, StatefulSet, DaemonSet, Job, CronJob, EcsService, Autoscaler,
        DisruptionBudget, Namespace, Zone, Alarm, Budget, Service, Notice, Pool, Other
    ], "Run a program of a runbook's step or of a key on this machine.";
}

impl Verb {
    /// Its row of the table.
    #[must_use]
    pub fn info(self) -> &'static VerbInfo {
        &VERBS[self as usize]
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// The verb called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        VERBS.iter().find(|v| v.name == name).map(|v| v.verb)
    }
}

impl std::fmt::Display for Verb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What a verb needs to know beside its targets. What does not belong to a verb is ignored by it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(default)]
pub struct Options {
    /// Scale: how many tasks are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// Scale: raise the autoscaler's minimum to that number instead, so that it stays.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub raise_minimum: bool,
    /// Set image: the container; `None` where there is only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Set image: the new image, or `:tag` for another tag of the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Roll back: to which revision: a number in Kubernetes, a task definition in ECS. `None`: the one before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Drain, delete: how long a task may take to end, in seconds. `None`: as the task says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace: Option<u32>,
    /// Drain, run: how long all of it may take, in seconds.
    pub timeout: u32,
    /// Drain: how many nodes at once.
    pub at_once: u16,
    /// Drain: also tasks that nobody will replace.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
    /// Drain: also tasks whose emptyDir data goes with them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub delete_emptydir_data: bool,
    /// Drain: leave what `DaemonSets` own where it is, instead of refusing.
    pub ignore_daemonsets: bool,
    /// Delete: leave what it owns.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub orphan: bool,
    /// Silence: for how long, in seconds.
    pub duration: u32,
    /// Exec: the program and its arguments; empty for a shell that is found. Run: the same, never empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Run: what is set in its environment besides the console's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<(String, String)>,
    /// Exec: with a terminal. Without one its output is gathered.
    pub tty: bool,
    /// Port-forward: local and remote port; local 0 takes a free one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports: Option<(u16, u16)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            replicas: None,
            raise_minimum: false,
            container: None,
            image: None,
            revision: None,
            grace: None,
            timeout: 600,
            at_once: 1,
            force: false,
            delete_emptydir_data: false,
            ignore_daemonsets: true,
            orphan: false,
            duration: 3600,
            command: Vec::new(),
            env: Vec::new(),
            tty: true,
            ports: None,
        }
    }
}

/// What somebody wants done, to what.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Intent {
    /// What.
    pub verb: Verb,
    /// To what: of one cluster, in the order they were chosen in, none twice.
    pub targets: Vec<ObjectId>,
    /// How.
    pub options: Options,
}

impl Intent {
    /// With the usual options.
    #[must_use]
    pub fn new(verb: Verb, targets: Vec<ObjectId>) -> Self {
        Self { verb, targets, options: Options::default() }
    }

    /// The targets in few words: `deploy shop/web`, or `deploy shop/web and 2 more`.
    #[must_use]
    pub fn what(&self) -> Text {
        let one = |id: &ObjectId| {
            let ns = if id.namespace.is_empty() { String::new() } else { format!("{}/", id.namespace) };
            format!("{} {ns}{}", id.kind.short(), id.name)
        };
        Text::new(&match self.targets.as_slice() {
            [] => "nothing".to_owned(),
            [id] => one(id),
            [id, rest @ ..] => format!("{} and {} more", one(id), rest.len()),
        })
    }

    /// Why it makes no sense, if it does not: no target, targets of several clusters, or
    /// one of a kind that the verb means nothing for.
    ///
    /// # Errors
    /// In words for the user.
    pub fn check(&self) -> Result<(), Text> {
        let Some(first) = self.targets.first() else { return Err(Text::new("nothing is selected")) };
        let verb = self.verb.name();
        if let Some(other) = self.targets.iter().find(|t| t.cluster != first.cluster) {
            let why = format!("{} and {} are different clusters: one at a time", first.cluster, other.cluster);
            return Err(Text::new(&why));
        }
        if let Some(id) = self.targets.iter().find(|t| !self.verb.info().kinds.contains(&t.kind)) {
            let kinds: Vec<&str> = self.verb.info().kinds.iter().map(|k| k.short()).collect();
            return Err(Text::new(&format!(
                "{verb} means nothing for a {}; only for {}",
                id.kind.short(),
                kinds.join(", ")
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_enum_order_and_names_are_unique() {
        for (i, v) in VERBS.iter().enumerate() {
            assert_eq!(v.verb as usize, i);
            assert_eq!(Verb::from_name(v.name), Some(v.verb), "{} twice", v.name);
            assert_eq!(serde_json::to_value(v.verb).unwrap(), v.name);
        }
    }
}
