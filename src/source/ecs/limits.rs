//! What bites on Fargate when it runs out: a subnet's addresses, vCPU quotas.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_cloudwatch::types as cw;

use super::{Link, Rounds, lock};
use crate::domain::{Kind, Limit, LimitKind, ObjectId, Text};
use crate::source::SourceError;
use crate::source::aws::Bucket;
use crate::source::supervise::{Jitter, Supervisor};
use crate::store::observation::{Body, Rows};

/// How long the services may take to be known before limits are looked at.
const SERVICES_FIRST: Duration = Duration::from_secs(10);
/// EC2's API version.
const EC2: &str = "2016-11-15";

/// What a rollout of one service takes on top of what runs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Surge {
    pub service: Text,
    /// Tasks on top.
    pub tasks: u32,
    /// vCPUs of one task.
    pub vcpu: f64,
    pub subnets: Vec<Text>,
    pub fargate: bool,
    pub spot: bool,
}

/// Reads until it is stopped.
pub async fn run(link: Arc<Link>, mut supervisor: Supervisor) {
    supervisor.loading().await;
    // Subnets are named by services.
    let _ = tokio::time::timeout(SERVICES_FIRST, link.services_known.subscribe().wait_for(|known| *known)).await;
    let mut rounds = Rounds::<Limit>::default();
    let mut jitter = Jitter::default();
    loop {
        match read(&link, &supervisor).await {
            Ok(rows) => {
                rounds.send(&mut supervisor, rows, |l| &l.id, Rows::Limits).await;
                supervisor.pause(link.interval(8, &mut jitter)).await;
            }
            Err(error) => supervisor.failed(&error).await,
        }
    }
}

async fn read(link: &Link, supervisor: &Supervisor) -> Result<Vec<Limit>, SourceError> {
    let surges = lock(&link.surges).clone();
    let mut rows = Vec::new();
    let mut denied: Option<SourceError> = None;
    let mut answered = false;
    for part in [subnets(link, &surges).await, quotas(link, &surges).await] {
        match part {
            Ok(found) => {
                answered = true;
                rows.extend(found);
            }
            // One permission that is missing does not hide the other limit.
            Err(error @ (SourceError::Forbidden { .. } | SourceError::NotFound { .. })) => denied = Some(error),
            Err(error) => return Err(error),
        }
    }
    match denied {
        Some(error) if !answered => Err(error),
        Some(error) => {
            supervisor.emit(Body::Note(error.text())).await;
            Ok(rows)
        }
        None => Ok(rows),
    }
}

async fn subnets(link: &Link, surges: &[Surge]) -> Result<Vec<Limit>, SourceError> {
    // The largest rollout that draws on each subnet: tasks are spread over a service's subnets.
    let mut needs: BTreeMap<Text, (u32, Text)> = BTreeMap::new();
    for s in surges {
        let share = s.tasks.div_ceil(u32::try_from(s.subnets.len()).unwrap_or(u32::MAX).max(1));
        for subnet in &s.subnets {
            let need = needs.entry(subnet.clone()).or_insert((0, s.service.clone()));
            if share > need.0 {
                *need = (share, s.service.clone());
            }
        }
    }
    if needs.is_empty() {
        return Ok(Vec::new());
    }
    let mut rows = Vec::new();
    let ids: Vec<&Text> = needs.keys().collect();
    for batch in ids.chunks(100) {
        let parameters: Vec<(String, String)> =
            batch.iter().zip(1..).map(|(id, n)| (format!("SubnetId.{n}"), id.to_string())).collect();
        let xml = link.account.query("ec2", EC2, "DescribeSubnets", &parameters).await?;
        xml.each("subnetSet", "item", |get| {
            let name = Text::new(&get("subnetId"));
            let Ok(free) = get("availableIpAddressCount").parse() else { return };
            let (needed, service) = needs.get(&name).cloned().unwrap_or((0, Text::empty()));
            let total = addresses(&get("cidrBlock"));
            rows.push(limit(link, LimitKind::SubnetAddresses, name, free, total, needed, service));
        });
    }
    Ok(rows)
}

/// Addresses of a block, less the five that AWS keeps; 0 if it is none.
fn addresses(cidr: &str) -> u32 {
    let bits: Option<u32> = cidr.split_once('/').and_then(|(_, bits)| bits.parse().ok()).filter(|b| *b <= 32);
    bits.map_or(0, |b| 2_u32.saturating_pow(32 - b).saturating_sub(5))
}

async fn quotas(link: &Link, surges: &[Surge]) -> Result<Vec<Limit>, SourceError> {
    if !surges.iter().any(|s| s.fargate) {
        return Ok(Vec::new());
    }
    let mut rows = Vec::new();
    for (kind, code, class, spot) in [
        (LimitKind::FargateVcpu, "L-3032A538", "Standard/OnDemand", false),
        (LimitKind::FargateSpotVcpu, "L-36FBB829", "Standard/Spot", true),
    ] {
        let quota = link.quota(code).await?;
        // Without a point nothing is known: that is not the same as nothing used.
        let Some(used) = usage(link, class).await? else { continue };
        let largest = surges
            .iter()
            .filter(|s| s.fargate && s.spot == spot)
            .max_by(|a, b| (f64::from(a.tasks) * a.vcpu).total_cmp(&(f64::from(b.tasks) * b.vcpu)));
        let needed = largest.map_or(0, |s| whole(f64::from(s.tasks) * s.vcpu));
        let service = largest.map_or_else(Text::empty, |s| s.service.clone());
        let free = whole(quota - used);
        rows.push(limit(link, kind, Text::new(kind.word()), free, whole(quota), needed, service));
    }
    Ok(rows)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what is counted")]
fn whole(n: f64) -> u32 {
    n.clamp(0.0, 4e9).round() as u32
}

/// vCPUs in use, as AWS counts them for the quota; published every five minutes.
async fn usage(link: &Link, class: &str) -> Result<Option<f64>, SourceError> {
    if link.account.spec.ceiling == Some(0) {
        return Ok(None);
    }
    let dimension = |name: &str, value: &str| cw::Dimension::builder().name(name).value(value).build();
    let metric = cw::Metric::builder()
        .namespace("AWS/Usage")
        .metric_name("ResourceCount")
        .dimensions(dimension("Service", "Fargate"))
        .dimensions(dimension("Type", "Resource"))
        .dimensions(dimension("Resource", "vCPU"))
        .dimensions(dimension("Class", class))
        .build();
    let stat = cw::MetricStat::builder().metric(metric).period(300).stat("Maximum").build();
    let query = cw::MetricDataQuery::builder().id("usage").metric_stat(stat).build();
    let clients = link.account.clients().await?;
    let now = link.account.now().timestamp().div_euclid(300) * 300;
    let request = clients
        .cloudwatch
        .get_metric_data()
        .start_time(aws_smithy_types::DateTime::from_secs(now - 1200))
        .end_time(aws_smithy_types::DateTime::from_secs(now + 300))
        .metric_data_queries(query)
        .send();
    link.account.limits.metrics(1);
    let answer = link.account.ask(Bucket::Metrics, "cloudwatch:GetMetricData", request).await?;
    Ok(answer.metric_data_results().first().and_then(|r| r.values().first()).copied())
}

fn limit(link: &Link, kind: LimitKind, name: Text, free: u32, total: u32, needed: u32, service: Text) -> Limit {
    let id = ObjectId { cluster: link.spec.id.clone(), kind: Kind::Other, namespace: Text::empty(), name };
    Limit { id, kind, free, total, needed, service }
}

#[cfg(test)]
mod tests {
    use super::addresses;

    #[test]
    fn blocks_have_addresses() {
        assert_eq!(addresses("10.0.0.0/24"), 251);
        assert_eq!(addresses("10.0.0.0/28"), 11);
        assert_eq!(addresses("10.0.0.0/99"), 0);
        assert_eq!(addresses("garbage"), 0);
    }
}
