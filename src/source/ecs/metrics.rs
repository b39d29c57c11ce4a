//! CloudWatch's CPU and memory use of the services that are on screen: what
//! nobody looks at is not paid for.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_cloudwatch::types as cw;
use tokio::sync::watch;

use super::Link;
use crate::domain::{Kind, ObjectId, Text, Usage};
use crate::source::SourceError;
use crate::source::aws::{Bucket, Tokens};
use crate::source::supervise::{Jitter, Supervisor};
use crate::store::observation::{Body, Rows};

/// `GetMetricData` takes so many queries.
const QUERIES: usize = 500;
/// CloudWatch keeps a point a minute; asking more often pays for the same points.
const PERIOD: i64 = 60;
/// A service that comes on screen gets the sparkline's worth of history.
const HISTORY: i64 = 20 * PERIOD;
/// Points come up to three minutes late.
const OVERLAP: i64 = 4 * PERIOD;

/// A point of a service: CPU and memory in per cent of what is reserved.
type Points = BTreeMap<i64, HashMap<Text, (Option<f64>, Option<f64>)>>;

/// Reads until it is stopped.
pub async fn run(link: Arc<Link>, mut supervisor: Supervisor, mut shown: watch::Receiver<Vec<ObjectId>>) {
    if link.account.spec.ceiling == Some(0) {
        return;
    }
    // The latest point that was sent of each service.
    let mut sent: HashMap<Text, i64> = HashMap::new();
    let mut jitter = Jitter::default();
    let mut begun = false;
    loop {
        let wanted: Vec<Text> = shown
            .borrow_and_update()
            .iter()
            .filter(|id| id.cluster == link.spec.id && id.kind == Kind::EcsService)
            .map(|id| id.name.clone())
            .collect();
        if wanted.is_empty() {
            // Nobody looks: nothing is asked.
            if shown.changed().await.is_err() {
                return;
            }
            continue;
        }
        if !begun {
            begun = true;
            supervisor.loading().await;
        }
        match read(&link, &wanted, &sent).await {
            Ok(points) => {
                for (at, services) in points {
                    let rows = rows(&link, at, services, &mut sent);
                    if !rows.is_empty() {
                        supervisor.emit(Body::Upsert(Rows::Usage(rows))).await;
                    }
                }
                supervisor.synced().await;
                let slower = link.account.limits.metrics_slowdown(link.account.now());
                let pause = Duration::from_mins(1) * slower + jitter.up_to(Duration::from_secs(5));
                let until = supervisor.pause(pause);
                // What has just come on screen does not wait for the minute.
                tokio::select! {
                    () = until => {}
                    () = news(&mut shown, &link, &wanted) => {}
                }
            }
            Err(error) => supervisor.failed(&error).await,
        }
    }
}

/// Waits until a service is shown that was not.
async fn news(shown: &mut watch::Receiver<Vec<ObjectId>>, link: &Link, known: &[Text]) {
    let fresh = |ids: &Vec<ObjectId>| {
        ids.iter().any(|id| id.cluster == link.spec.id && id.kind == Kind::EcsService && !known.contains(&id.name))
    };
    if shown.wait_for(fresh).await.is_err() {
        std::future::pending::<()>().await;
    }
    // Somebody who scrolls passes many: wait for where it ends.
    tokio::time::sleep(Duration::from_secs(2)).await;
}

/// The points of these services that were not sent yet, by time.
async fn read(link: &Link, wanted: &[Text], sent: &HashMap<Text, i64>) -> Result<Points, SourceError> {
    const WHAT: &str = "cloudwatch:GetMetricData";
    let clients = link.account.clients().await?;
    let now = link.account.now().timestamp().div_euclid(PERIOD) * PERIOD;
    let mut points = Points::new();
    for batch in wanted.chunks(QUERIES / 2) {
        let from = batch.iter().map(|s| sent.get(s).map_or(now - HISTORY, |at| at - OVERLAP)).min().unwrap_or(now);
        let mut queries = Vec::with_capacity(batch.len() * 2);
        for (n, service) in batch.iter().enumerate() {
            queries.push(query(link, service, "CPUUtilization", format!("c{n}")));
            queries.push(query(link, service, "MemoryUtilization", format!("m{n}")));
        }
        let count = queries.len() as u64;
        let mut tokens = Tokens::default();
        loop {
            let request = clients
                .cloudwatch
                .get_metric_data()
                .start_time(aws_smithy_types::DateTime::from_secs(from.max(now - HISTORY)))
                .end_time(aws_smithy_types::DateTime::from_secs(now + PERIOD))
                .scan_by(cw::ScanBy::TimestampAscending)
                .set_metric_data_queries(Some(queries.clone()))
                .set_next_token(tokens.next());
            link.account.limits.metrics(count);
            let page = link.account.ask(Bucket::Metrics, WHAT, request.send()).await?;
            for result in page.metric_data_results() {
                take(result, batch, sent, &mut points);
            }
            if !tokens.advance(page.next_token(), WHAT)? {
                break;
            }
        }
    }
    Ok(points)
}

fn query(link: &Link, service: &Text, name: &str, id: String) -> cw::MetricDataQuery {
    let dimension = |name: &str, value: &str| cw::Dimension::builder().name(name).value(value).build();
    let metric = cw::Metric::builder()
        .namespace("AWS/ECS")
        .metric_name(name)
        .dimensions(dimension("ClusterName", super::tail(&link.spec.cluster)))
        .dimensions(dimension("ServiceName", service))
        .build();
    let stat = cw::MetricStat::builder().metric(metric).period(60).stat("Average").build();
    cw::MetricDataQuery::builder().id(id).metric_stat(stat).build()
}

/// Takes one metric's points. Of partial data, what is there is taken: the rest
/// comes with the next round, which asks again from the last point.
fn take(result: &cw::MetricDataResult, batch: &[Text], sent: &HashMap<Text, i64>, points: &mut Points) {
    let id = result.id().unwrap_or_default();
    let Some((kind, service)) =
        id.split_at_checked(1).and_then(|(kind, n)| Some((kind, batch.get(n.parse::<usize>().ok()?)?)))
    else {
        return;
    };
    for (at, value) in result.timestamps().iter().zip(result.values()) {
        if sent.get(service).is_some_and(|last| at.secs() <= *last) {
            continue;
        }
        let point = points.entry(at.secs()).or_default().entry(service.clone()).or_default();
        if kind == "c" {
            point.0 = Some(*value);
        } else {
            point.1 = Some(*value);
        }
    }
}

/// The services' shares as rows; a point without CPU or without memory waits for
/// the other.
fn rows(
    link: &Link,
    at: i64,
    services: HashMap<Text, (Option<f64>, Option<f64>)>,
    sent: &mut HashMap<Text, i64>,
) -> Vec<(ObjectId, Usage)> {
    let mut rows = Vec::new();
    for (service, point) in services {
        let (Some(cpu), Some(memory)) = point else { continue };
        sent.insert(service.clone(), at);
        let id =
            ObjectId { cluster: link.spec.id.clone(), kind: Kind::EcsService, namespace: Text::empty(), name: service };
        rows.push((id, Usage::of_shares(cpu, memory)));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_point_is_no_zero() {
        let batch = [Text::new("web"), Text::new("api")];
        let mut points = Points::new();
        let time = aws_smithy_types::DateTime::from_secs;
        let result = cw::MetricDataResult::builder()
            .id("c1")
            .timestamps(time(60))
            .timestamps(time(180))
            .values(12.5)
            .values(50.0)
            .status_code(cw::StatusCode::PartialData)
            .build();
        take(&result, &batch, &HashMap::from([(Text::new("api"), 60)]), &mut points);
        assert_eq!(
            points.len(),
            1,
            "what was sent is not sent again, and nothing stands for the minute without a point"
        );
        assert_eq!(points[&180][&Text::new("api")], (Some(50.0), None));
        let bad = cw::MetricDataResult::builder().id("x9").timestamps(time(1)).values(1.0).build();
        take(&bad, &batch, &HashMap::new(), &mut points);
        assert_eq!(points.len(), 1);
    }
}
