//! The alarms that are about one cluster, out of those of its account.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::{Link, Rounds, lock};
use crate::domain::{Alarm, Kind, ObjectId, Text};
use crate::source::aws::alarms::Found;
use crate::source::supervise::{Jitter, Supervisor};
use crate::store::observation::Rows;

/// How long the services may take to be known before alarms are looked at.
const SERVICES_FIRST: Duration = Duration::from_secs(10);
/// Composite alarms on composite alarms are followed so far.
const DEEP: u32 = 5;

/// Reads until it is stopped.
pub async fn run(link: Arc<Link>, mut supervisor: Supervisor) {
    supervisor.loading().await;
    // An alarm on a target group is about the service behind it.
    let _ = tokio::time::timeout(SERVICES_FIRST, link.services_known.subscribe().wait_for(|known| *known)).await;
    let mut rounds = Rounds::<Alarm>::default();
    let mut jitter = Jitter::default();
    loop {
        // The clusters of an account share an answer.
        match link.account.alarms(link.spec.interval * 2).await {
            Ok(found) => {
                let rows = rows(&link, &found);
                rounds.send(&mut supervisor, rows, |a| &a.id, Rows::Alarms).await;
                tokio::select! {
                    () = supervisor.pause(link.interval(4, &mut jitter)) => {}
                    () = link.account.alarms_change() => {}
                }
            }
            Err(error) => supervisor.failed(&error).await,
        }
    }
}

/// What an alarm is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    /// A service of a cluster, by their names.
    Service(Text, Text),
    /// A cluster.
    Cluster(Text),
    /// A target group, by the end of its ARN.
    Target(Text),
}

/// Those that are this cluster's; those that are nobody's go to the account's first cluster.
fn rows(link: &Link, found: &[Found]) -> Vec<Alarm> {
    let own = Text::new(super::tail(&link.spec.cluster));
    let services: HashMap<Text, Text> = lock(&link.target_groups)
        .iter()
        .flat_map(|(service, groups)| groups.iter().map(|g| (Text::new(target_of(g)), service.clone())))
        .collect();
    let by_name: HashMap<&Text, &Found> = found.iter().map(|f| (&f.name, f)).collect();
    let mut out = Vec::new();
    for f in found {
        let mut subjects = HashSet::new();
        subjects_of(f, &by_name, DEEP, &mut subjects);
        let mut about: Vec<Option<&Text>> = Vec::new();
        let mut elsewhere = false;
        for subject in &subjects {
            match subject {
                Subject::Service(cluster, service) if *cluster == own => about.push(Some(service)),
                Subject::Cluster(cluster) if *cluster == own => about.push(None),
                // Another cluster's, or a target group that is none of this one's services'.
                Subject::Service(..) | Subject::Cluster(_) => elsewhere = true,
                Subject::Target(group) => about.extend(services.get(group).map(Some)),
            }
        }
        about.sort();
        about.dedup();
        if about.is_empty() && (elsewhere || !link.lead) {
            continue;
        }
        // About several services is about the cluster.
        let service = if let [Some(service)] = about.as_slice() { Some((*service).clone()) } else { None };
        out.push(row(link, f, about.is_empty(), service));
    }
    out
}

/// `targetgroup/web/0123456789abcdef` of a target group's ARN.
pub(super) fn target_of(arn: &str) -> &str {
    arn.rsplit_once(':').map_or(arn, |(_, end)| end)
}

fn subjects_of(f: &Found, by_name: &HashMap<&Text, &Found>, deep: u32, out: &mut HashSet<Subject>) {
    let dimension = |name: &str| f.dimensions.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
    let subject = match (dimension("ClusterName"), dimension("ServiceName"), dimension("TargetGroup")) {
        (Some(cluster), Some(service), _) => Some(Subject::Service(cluster, service)),
        (Some(cluster), None, _) => Some(Subject::Cluster(cluster)),
        (None, _, Some(group)) => Some(Subject::Target(group)),
        (None, _, None) => None,
    };
    out.extend(subject);
    if deep > 0 {
        for child in f.more.children.iter().filter_map(|c| by_name.get(c)) {
            subjects_of(child, by_name, deep - 1, out);
        }
    }
}

fn row(link: &Link, f: &Found, account_wide: bool, service: Option<Text>) -> Alarm {
    let id = |kind, name| ObjectId { cluster: link.spec.id.clone(), kind, namespace: Text::empty(), name };
    Alarm {
        id: id(Kind::Alarm, f.name.clone()),
        uid: f.arn.clone(),
        account_wide,
        source: f.source,
        state: f.state,
        severity: f.severity,
        since: f.since,
        summary: f.summary.clone(),
        reason: f.reason.clone(),
        value: f.value,
        threshold: f.threshold,
        labels: f.dimensions.iter().cloned().collect(),
        about: service.map(|s| id(Kind::EcsService, s)),
        suppressed_by: f.suppressed_by.clone(),
        runbook: f.runbook.clone(),
        more: f.more.clone(),
    }
}

#[cfg(test)]
#[path = "alarms_tests.rs"]
mod tests;
