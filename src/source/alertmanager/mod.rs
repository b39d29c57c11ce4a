//! Reads Alertmanagers: the alerts they hold, and who has silenced them until when; and silences them.

mod api;
mod writer;

use std::collections::BTreeMap;

use tokio::time::Instant;

pub use self::api::{Alert, Api, Cluster, Matcher, Silence, SilenceStatus, Status};
pub(crate) use self::writer::Permit;
pub use self::writer::{Held, NewSilence, WriteError, Writer, Writers};
use super::SourceError;
use super::prometheus::{Backend, after_1970, clipped, distinct};
use super::supervise::Supervisor;
use crate::domain::{Alarm, AlarmSilence, AlarmSource, AlarmState, Text};
use crate::store::observation::{Body, Rows};

/// Polls the alerts of an Alertmanager until it is stopped.
pub(super) async fn run(backend: Backend, api: Api, mut supervisor: Supervisor) {
    let mut known = backend.board.known_changed.subscribe();
    let mut version = None;
    loop {
        let (alerts, silences) = match poll(&api, &mut supervisor).await {
            Ok(found) => found,
            Err(error) => {
                supervisor.failed(&error).await;
                continue;
            }
        };
        if version.is_none() {
            version = api.version().await.ok();
            let introduction = backend.introduction(version.as_deref().unwrap_or_default(), api.endpoint());
            supervisor.emit(Body::Backend(introduction)).await;
        }
        backend.board.hold(&backend.id, alerts.iter().map(|a| a.labels.clone()));
        show(&backend, &alerts, &silences, &mut supervisor).await;
        let until = Instant::now() + backend.interval;
        loop {
            tokio::select! {
                () = supervisor.pause(until.saturating_duration_since(Instant::now())) => break,
                Ok(()) = known.changed() => show(&backend, &alerts, &silences, &mut supervisor).await,
            }
        }
    }
}

type Found = (Vec<Alert>, BTreeMap<String, Silence>);

/// The alerts, and the silences if any of them is silenced. Without the silences the
/// alerts are still shown.
async fn poll(api: &Api, supervisor: &mut Supervisor) -> Result<Found, SourceError> {
    let alerts = api.alerts().await?;
    let mut silences = BTreeMap::new();
    if alerts.iter().any(|a| !a.status.silenced_by.is_empty()) {
        match api.silences().await {
            Ok(all) => silences = all.into_iter().map(|s| (s.id.clone(), s)).collect(),
            Err(error) => supervisor.emit(Body::Note(Text::new(&format!("silences: {error}")))).await,
        }
    }
    Ok((alerts, silences))
}

/// A row for each alert, those of one name told apart.
fn rows(backend: &Backend, alerts: &[Alert], silences: &BTreeMap<String, Silence>) -> Vec<Alarm> {
    let names: BTreeMap<&str, &str> = alerts
        .iter()
        .map(|a| (a.fingerprint.as_str(), a.labels.get("alertname").map_or("another alert", String::as_str)))
        .collect();
    let mut rows: Vec<Alarm> = alerts.iter().map(|a| row(backend, a, silences, &names)).collect();
    distinct(&mut rows);
    rows
}

async fn show(backend: &Backend, alerts: &[Alert], silences: &BTreeMap<String, Silence>, supervisor: &mut Supervisor) {
    let rows = rows(backend, alerts, silences);
    supervisor.emit(Body::Begin).await;
    for chunk in rows.chunks(500) {
        supervisor.emit(Body::Upsert(Rows::Alarms(chunk.to_vec()))).await;
    }
    supervisor.synced().await;
}

fn row(backend: &Backend, alert: &Alert, silences: &BTreeMap<String, Silence>, names: &BTreeMap<&str, &str>) -> Alarm {
    let mut alarm = backend.alarm(AlarmSource::Alertmanager, &alert.labels, &alert.annotations);
    backend.board.complete(&mut alarm, &alert.labels);
    if !alert.fingerprint.is_empty() {
        alarm.uid = Text::new(&clipped(&alert.fingerprint, 64));
    }
    alarm.state = AlarmState::Firing;
    alarm.since = alert.starts_at.filter(|t| after_1970(*t));
    alarm.suppressed_by = Text::new(&suppressed(&alert.status, silences, names));
    let over = alert.status.silenced_by.iter().filter_map(|id| silences.get(id));
    alarm.more.silences = over
        .map(|s| AlarmSilence {
            by: Text::new(&clipped(&s.created_by, 60)),
            until: s.ends_at,
            why: Text::new(&clipped(&s.comment, 200)),
        })
        .collect();
    alarm
}

/// By whom, and until when; empty if nothing suppresses it.
fn suppressed(status: &Status, silences: &BTreeMap<String, Silence>, names: &BTreeMap<&str, &str>) -> String {
    let silence = |id: &String| match silences.get(id) {
        Some(s) => {
            let by = if s.created_by.is_empty() { "somebody" } else { s.created_by.as_str() };
            let until = s.ends_at.map(|t| format!(" until {}", t.format("%Y-%m-%d %H:%M UTC"))).unwrap_or_default();
            let why = if s.comment.is_empty() { String::new() } else { format!(": {}", clipped(&s.comment, 200)) };
            format!("silenced by {}{until}{why}", clipped(by, 60))
        }
        None => "silenced".to_owned(),
    };
    let mut words: Vec<String> = status.silenced_by.iter().take(2).map(silence).collect();
    let inhibitors: Vec<&str> = status.inhibited_by.iter().filter_map(|f| names.get(f.as_str()).copied()).collect();
    if !status.inhibited_by.is_empty() {
        words.push(format!("inhibited by {}", inhibitors.first().unwrap_or(&"another alert")));
    }
    if let Some(interval) = status.muted_by.first() {
        words.push(format!("muted by the time interval {}", clipped(interval, 60)));
    }
    if words.is_empty() && status.state == "suppressed" { "suppressed".to_owned() } else { words.join("; ") }
}
