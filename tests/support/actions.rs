//! Running an action of a test, with all its steps.
#![expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]

#[path = "act.rs"]
mod runs;

use std::time::Duration;

use quarterdeck::action::kubernetes::{Kubernetes, Pace};
use quarterdeck::action::{Fate, Intent, Plan, Step, StepState, Verb};
use quarterdeck::clock::Clock;
use quarterdeck::domain::{ClusterId, Kind, ObjectId, Text};
use quarterdeck::source::kubernetes::{ClusterSpec, Kubeconfig, SILENCE, Sources};
#[allow(unused_imports, reason = "each test uses its part")]
pub use runs::*;

pub fn id(kind: Kind, namespace: &str, name: &str) -> ObjectId {
    ObjectId { cluster: ClusterId::new("c"), kind, namespace: Text::new(namespace), name: Text::new(name) }
}

pub fn spec(kubeconfig: Kubeconfig, read_only: bool) -> ClusterSpec {
    ClusterSpec {
        id: ClusterId::new("c"),
        context: None,
        kubeconfig,
        namespace: None,
        production: false,
        read_only,
        metrics_interval: Duration::from_secs(30),
        silence: SILENCE,
    }
}

/// Sources whose observations go nowhere, and what may change their cluster.
pub fn actor(kubeconfig: Kubeconfig) -> (Sources, Kubernetes) {
    let (tx, rx) = tokio::sync::mpsc::channel(1);
    // Nobody reads: the sources end at once, and what is asked for is asked by itself.
    drop(rx);
    let sources = Sources::spawn(vec![spec(kubeconfig, false)], tx, Clock::system());
    let writer = sources.writer(&ClusterId::new("c")).expect("a writer").with_patience(Duration::from_secs(10));
    let pace = Pace { retry: Duration::from_millis(300), poll: Duration::from_millis(50) };
    (sources, Kubernetes::new(writer, Clock::system()).with_pace(pace))
}

pub fn intent(verb: Verb, target: ObjectId) -> Intent {
    Intent::new(verb, vec![target])
}

/// Names of the rows of a field, with whether something becomes of them.
pub fn rows<'p>(plan: &'p Plan, field: &str) -> Vec<(&'p str, Fate)> {
    plan.changes.iter().filter(|c| c.field.as_str() == field).map(|c| (c.target.name.as_str(), c.fate)).collect()
}

pub fn has_step(steps: &[Step], name: &str, state: StepState) -> bool {
    steps.iter().any(|s| s.state == state && s.target.as_ref().is_some_and(|t| t.name.as_str() == name))
}

pub fn says(all: &[Text], what: &str) -> bool {
    all.iter().any(|t| t.contains(what))
}
