//! What scales services: Application Auto Scaling's targets, policies and activities.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use aws_sdk_applicationautoscaling::types as scaling;
use chrono::TimeDelta;

use super::{Link, Rounds, lock};
use crate::domain::{Autoscaler, Event, EventLevel, Kind, ObjectId, Text, Timestamp};
use crate::source::SourceError;
use crate::source::aws::{Bucket, Tokens};
use crate::source::supervise::{Jitter, Supervisor};
use crate::store::observation::{Body, Rows};

/// Activities that are older are history.
const ACTIVITIES_FOR: TimeDelta = TimeDelta::hours(3);

/// Reads until it is stopped.
pub async fn run(link: Arc<Link>, mut supervisor: Supervisor) {
    supervisor.loading().await;
    let mut rounds = Rounds::<Autoscaler>::default();
    let mut sent: HashMap<ObjectId, Event> = HashMap::new();
    let mut jitter = Jitter::default();
    loop {
        match read(&link).await {
            Ok((rows, activities)) => {
                rounds.send(&mut supervisor, rows, |a| &a.id, Rows::Autoscalers).await;
                let news: Vec<Event> = activities.iter().filter(|e| sent.get(&e.id) != Some(e)).cloned().collect();
                let now: HashMap<ObjectId, Event> = activities.into_iter().map(|e| (e.id.clone(), e)).collect();
                let gone: Vec<ObjectId> = sent.keys().filter(|id| !now.contains_key(id)).cloned().collect();
                sent = now;
                if !news.is_empty() {
                    supervisor.emit(Body::Upsert(Rows::Events(news))).await;
                }
                if !gone.is_empty() {
                    supervisor.emit(Body::Remove(gone)).await;
                }
                supervisor.pause(link.interval(4, &mut jitter)).await;
            }
            Err(error) => supervisor.failed(&error).await,
        }
    }
}

async fn read(link: &Link) -> Result<(Vec<Autoscaler>, Vec<Event>), SourceError> {
    let targets = targets(link).await?;
    if targets.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let policies = policies(link).await?;
    let activities = activities(link).await?;
    let desired = lock(&link.desired).clone();
    let rows = targets.iter().filter_map(|t| row(link, t, &policies, &desired)).collect();
    let events = activities.iter().filter_map(|a| event(link, a)).collect();
    Ok((rows, events))
}

/// The service of `service/CLUSTER/NAME`, if the cluster is this one.
fn service<'a>(link: &Link, resource: Option<&'a str>) -> Option<&'a str> {
    let (cluster, name) = resource?.strip_prefix("service/")?.split_once('/')?;
    (cluster == super::tail(&link.spec.cluster)).then_some(name)
}

async fn targets(link: &Link) -> Result<Vec<scaling::ScalableTarget>, SourceError> {
    const WHAT: &str = "application-autoscaling:DescribeScalableTargets";
    let clients = link.account.clients().await?;
    let (mut out, mut tokens) = (Vec::new(), Tokens::default());
    loop {
        let request = clients
            .scaling
            .describe_scalable_targets()
            .service_namespace(scaling::ServiceNamespace::Ecs)
            .max_results(50)
            .set_next_token(tokens.next());
        let page = link.account.ask(Bucket::AutoScaling, WHAT, request.send()).await?;
        let more = tokens.advance(page.next_token(), WHAT)?;
        out.extend(page.scalable_targets.unwrap_or_default());
        if !more {
            out.retain(|t| service(link, Some(t.resource_id())).is_some());
            return Ok(out);
        }
    }
}

/// What each service is scaled by, in words.
async fn policies(link: &Link) -> Result<BTreeMap<String, Vec<String>>, SourceError> {
    const WHAT: &str = "application-autoscaling:DescribeScalingPolicies";
    let clients = link.account.clients().await?;
    let (mut out, mut tokens) = (BTreeMap::<String, Vec<String>>::new(), Tokens::default());
    loop {
        let request = clients
            .scaling
            .describe_scaling_policies()
            .service_namespace(scaling::ServiceNamespace::Ecs)
            .max_results(10)
            .set_next_token(tokens.next());
        let page = link.account.ask(Bucket::AutoScaling, WHAT, request.send()).await?;
        let more = tokens.advance(page.next_token(), WHAT)?;
        for policy in page.scaling_policies() {
            if let Some(name) = service(link, Some(policy.resource_id())) {
                out.entry(name.to_owned()).or_default().push(policy_text(policy));
            }
        }
        if !more {
            return Ok(out);
        }
    }
}

fn policy_text(policy: &scaling::ScalingPolicy) -> String {
    let Some(tracking) = policy.target_tracking_scaling_policy_configuration() else {
        return format!("{} ({})", policy.policy_name(), policy.policy_type().as_str());
    };
    let metric =
        tracking.predefined_metric_specification().map_or("custom metric", |m| m.predefined_metric_type().as_str());
    let metric = match metric {
        "ECSServiceAverageCPUUtilization" => "cpu",
        "ECSServiceAverageMemoryUtilization" => "memory",
        "ALBRequestCountPerTarget" => "requests per target",
        other => other,
    };
    let unit = if matches!(metric, "cpu" | "memory") { "%" } else { "" };
    format!("{metric}: at {}{unit}", tracking.target_value())
}

async fn activities(link: &Link) -> Result<Vec<scaling::ScalingActivity>, SourceError> {
    let clients = link.account.clients().await?;
    // Newest first: one page is what is recent.
    let request =
        clients.scaling.describe_scaling_activities().service_namespace(scaling::ServiceNamespace::Ecs).max_results(50);
    let what = "application-autoscaling:DescribeScalingActivities";
    let page = link.account.ask(Bucket::AutoScaling, what, request.send()).await?;
    let oldest = link.account.now() - ACTIVITIES_FOR;
    let mut out = page.scaling_activities.unwrap_or_default();
    out.retain(|a| service(link, Some(a.resource_id())).is_some() && time(a.start_time()).is_none_or(|t| t >= oldest));
    Ok(out)
}

fn time(at: &aws_smithy_types::DateTime) -> Option<Timestamp> {
    Timestamp::from_timestamp(at.secs(), at.subsec_nanos())
}

fn row(
    link: &Link,
    t: &scaling::ScalableTarget,
    policies: &BTreeMap<String, Vec<String>>,
    desired: &HashMap<Text, u32>,
) -> Option<Autoscaler> {
    let name = service(link, Some(t.resource_id()))?;
    let bound = |n: i32| u32::try_from(n).unwrap_or_default();
    let now = desired.get(&Text::new(name)).copied().unwrap_or_default();
    let max = bound(t.max_capacity());
    Some(Autoscaler {
        id: ObjectId {
            cluster: link.spec.id.clone(),
            kind: Kind::Autoscaler,
            namespace: Text::empty(),
            name: Text::new(name),
        },
        target_kind: Kind::EcsService,
        target: Text::new(name),
        min: bound(t.min_capacity()),
        max,
        current: now,
        desired: now,
        targets: Text::new(&policies.get(name).map(|p| p.join(", ")).unwrap_or_default()),
        // It cannot say that it wants more; at its bound it may.
        limited: max > bound(t.min_capacity()) && now >= max,
        created: time(t.creation_time()),
    })
}

fn event(link: &Link, a: &scaling::ScalingActivity) -> Option<Event> {
    let name = service(link, Some(a.resource_id()))?;
    let about = ObjectId {
        cluster: link.spec.id.clone(),
        kind: Kind::EcsService,
        namespace: Text::empty(),
        name: Text::new(name),
    };
    let failed = matches!(
        a.status_code(),
        scaling::ScalingActivityStatusCode::Failed | scaling::ScalingActivityStatusCode::Unfulfilled
    );
    let mut message = a.description().to_owned();
    if !a.cause().is_empty() {
        message += &format!(" Cause: {}", a.cause());
    }
    if let Some(status) = a.status_message().filter(|_| failed) {
        message += &format!(" ({status})");
    }
    let at = time(a.start_time());
    Some(Event {
        id: ObjectId { kind: Kind::Other, name: Text::new(a.activity_id()), ..about.clone() },
        about,
        about_kind: Text::new("service"),
        level: if failed { EventLevel::Warning } else { EventLevel::Normal },
        reason: Text::new(if failed { "ScalingFailed" } else { "Scaling" }),
        message: Text::new(&message),
        reporter: Text::new("application-autoscaling"),
        count: 1,
        first: at,
        last: at,
    })
}
