//! Golden signals of services, from the series of a Prometheus.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::Instant;

use super::Backend;
use super::api::{Api, LabelMap};
use super::budgets::ask::{Got, Question, When, ask};
use super::http::clipped;
use super::presets::{Figure, Preset, Queries, own};
use crate::clock::Clock;
use crate::config::ServiceSettings;
use crate::domain::service::{Covers, Signals};
use crate::domain::{ClusterId, Kind, ObjectId, Service, Text, Timestamp};
use crate::source::SourceError;
use crate::source::supervise::Supervisor;
use crate::store::observation::{Body, Rows};

/// Minutes that a trend has.
const TREND: u32 = 30;
/// How often it is looked which conventions are in use.
const LOOK: Duration = Duration::from_mins(10);
/// More services than a screen is for.
const MOST: usize = 2000;

/// What reads the signals of one backend.
pub(super) struct Reader {
    pub(super) backend: Backend,
    pub(super) api: Api,
    pub(super) clock: Clock,
    pub(super) interval: Duration,
    /// What is set up for this backend; with nothing, conventions are looked for.
    pub(super) services: Vec<ServiceSettings>,
}

/// What one service was at each minute.
type Minutes = BTreeMap<i64, BTreeMap<Figure, f64>>;

/// Reads signals until it is stopped.
pub(super) async fn run(reader: Reader, mut supervisor: Supervisor) {
    let mut settings = reader.services.clone();
    let mut look = Instant::now();
    let mut apart = None;
    loop {
        let began = Instant::now();
        let now = reader.clock.now();
        let outcome = async {
            if reader.services.is_empty() && began >= look {
                settings = found(&reader.api, now).await?;
                look = began + LOOK;
            }
            reader.read_all(&settings, now, &mut apart).await
        };
        match outcome.await {
            Ok(rows) => {
                supervisor.emit(Body::Begin).await;
                let rows: Vec<Service> = rows.into_values().take(MOST).collect();
                for chunk in rows.chunks(200) {
                    supervisor.emit(Body::Upsert(Rows::Services(chunk.to_vec()))).await;
                }
                supervisor.synced().await;
                supervisor.pause((began + reader.interval).saturating_duration_since(Instant::now())).await;
            }
            Err(error) => supervisor.failed(&error).await,
        }
    }
}

/// The conventions in use, as if they had been set up.
async fn found(api: &Api, now: Timestamp) -> Result<Vec<ServiceSettings>, SourceError> {
    let answer = match api.query(&Preset::discovery(), now).await {
        Err(SourceError::Server { .. }) => return Ok(Vec::new()),
        other => other?,
    };
    let names: Vec<&str> = answer.data.iter().filter_map(|s| s.labels.get("__name__").map(String::as_str)).collect();
    let presets = super::presets::PRESETS
        .iter()
        .filter(|p| names.iter().any(|n| Preset::of_counter(n).is_some_and(|f| f.name == p.name)));
    Ok(presets.map(|p| ServiceSettings { preset: Some(p.name.to_owned()), ..ServiceSettings::default() }).collect())
}

impl Reader {
    /// Every service, all in one request; in one for each of `settings` for a while where that was too
    /// much for the server.
    async fn read_all(
        &self,
        settings: &[ServiceSettings],
        now: Timestamp,
        apart: &mut Option<Instant>,
    ) -> Result<BTreeMap<ObjectId, Service>, SourceError> {
        if apart.is_none_or(|until| Instant::now() >= until) {
            *apart = None;
            match self.read(settings, now).await {
                Err(SourceError::TimedOut { .. } | SourceError::Server { .. } | SourceError::TooLarge { .. })
                    if settings.len() > 1 =>
                {
                    *apart = Some(Instant::now() + LOOK);
                }
                other => return other,
            }
        }
        let mut rows = BTreeMap::new();
        for one in settings {
            for (id, row) in self.read(std::slice::from_ref(one), now).await? {
                rows.entry(id).or_insert(row);
            }
        }
        Ok(rows)
    }

    /// The services of these settings, asked together.
    async fn read(
        &self,
        settings: &[ServiceSettings],
        now: Timestamp,
    ) -> Result<BTreeMap<ObjectId, Service>, SourceError> {
        let queries = |s: &ServiceSettings| {
            let preset = s.preset.as_deref().and_then(Preset::of);
            preset.map_or_else(|| own(s), |p| p.queries(&s.matchers))
        };
        let queries: Vec<Queries> = settings.iter().map(queries).collect();
        // Whole minutes: the one that still grows is not shown.
        let end = Timestamp::from_timestamp(now.timestamp().div_euclid(60) * 60, 0).unwrap_or(now);
        let start = end - TimeDelta::minutes(i64::from(TREND) - 1);
        // Every figure is its own owner: one that is refused takes no other with it.
        let figures = queries.iter().enumerate().flat_map(|(of, q)| q.figures.iter().map(move |f| (of, f)));
        let questions: Vec<Question<(usize, Figure)>> = figures
            .enumerate()
            .map(|(owner, (of, (figure, expr)))| Question { key: (of, *figure), owner, expr: expr.clone() })
            .collect();
        let whose: Vec<usize> = questions.iter().map(|q| q.key.0).collect();
        let answers = ask(&self.api, When::Range(start, end, 60), questions, &[]).await?;
        let mut series: Vec<Vec<One>> = queries.iter().map(|_| Vec::new()).collect();
        for (_, (of, figure), got) in answers.got {
            let Some(mine) = series.get_mut(of) else { continue };
            match got {
                Got::One(one) => mine.push((figure, one.0, one.1)),
                Got::Several(all) => mine.extend(all.into_iter().map(|s| (figure, s.0, s.1))),
                Got::Nothing => {}
            }
        }
        let mut rows: BTreeMap<ObjectId, Service> = BTreeMap::new();
        for (of, ((settings, queries), series)) in settings.iter().zip(&queries).zip(series).enumerate() {
            let refusal = answers.refused.iter().find(|(owner, _)| whose.get(*owner) == Some(&of));
            let note = refusal.map_or_else(|| answers.note.clone(), |(_, error)| error.to_string());
            for row in self.rows(queries, settings, series, (start, end), &note) {
                // The first convention that tells of a service is the one that is shown.
                rows.entry(row.id.clone()).or_insert(row);
            }
        }
        Ok(rows)
    }

    /// The services that the series of one entry of the settings tell of.
    fn rows(
        &self,
        queries: &Queries,
        settings: &ServiceSettings,
        series: Vec<One>,
        (start, end): (Timestamp, Timestamp),
        note: &str,
    ) -> Vec<Service> {
        let is_preset = settings.preset.is_some();
        let mut services: BTreeMap<(String, String), (LabelMap, Minutes)> = BTreeMap::new();
        // How many series each figure has.
        let mut told: BTreeMap<(String, String), BTreeMap<Figure, usize>> = BTreeMap::new();
        for (figure, labels, points) in series {
            let key = name_of(queries, settings, &labels);
            if key.1.is_empty() || (is_preset && !settings.name.is_empty() && key.1 != settings.name) {
                continue;
            }
            let count = told.entry(key.clone()).or_default().entry(figure).or_default();
            *count += 1;
            if *count > 1 {
                // Drawn over each other they would be neither's.
                continue;
            }
            let (_, minutes) = services.entry(key).or_insert_with(|| (labels, Minutes::new()));
            for (at, value) in points {
                #[expect(clippy::cast_possible_truncation, reason = "seconds of our time")]
                minutes.entry(at.round() as i64).or_default().insert(figure, value);
            }
        }
        if !is_preset && services.is_empty() {
            // One that is set up is shown, though nothing is heard of it.
            let key = (settings.namespace.clone(), settings.name.clone());
            services.insert(key, (LabelMap::new(), Minutes::new()));
        }
        let row = |((namespace, name), (labels, minutes)): ((String, String), (LabelMap, Minutes))| {
            let key = (namespace, name);
            let most = told.get(&key).and_then(|figures| figures.values().max()).copied().unwrap_or(0);
            let (namespace, name) = key;
            let several = format!("a query gives {most} series where one is meant: the first is shown");
            let mut notes = vec![note, &several];
            notes.retain(|n| !n.is_empty() && (most > 1 || *n != several));
            let note = &notes.join("; ");
            self.row(queries, settings, (namespace, name), &labels, &minutes, (start, end), note)
        };
        services.into_iter().map(row).collect()
    }

    #[expect(clippy::too_many_arguments, reason = "all of what one row is made of")]
    fn row(
        &self,
        queries: &Queries,
        settings: &ServiceSettings,
        (namespace, name): (String, String),
        labels: &LabelMap,
        minutes: &Minutes,
        (start, end): (Timestamp, Timestamp),
        note: &str,
    ) -> Service {
        let cluster = self.backend.cluster_of(labels).unwrap_or_else(|| self.backend.id.clone());
        let trend: Vec<Signals> = (0..i64::from(TREND))
            .map(|i| minutes.get(&(start.timestamp() + 60 * i)).map(|m| signals(m, queries)).unwrap_or_default())
            .collect();
        // A rate over two minutes reaches the newest whole minute as soon as it is scraped; where it was
        // not yet, the one before is the latest.
        let latest = trend.iter().rposition(|s| s.requests.is_some()).filter(|i| i + 3 >= trend.len());
        let at = latest.and_then(|i| i64::try_from(i).ok()).map(|i| start + TimeDelta::minutes(i - 1));
        let mut words: Vec<&str> = vec![note];
        if latest.is_none() {
            words.push("no requests are counted");
        } else if end - at.unwrap_or(end) > TimeDelta::minutes(2) {
            words.push("figures are late");
        }
        words.retain(|w| !w.is_empty());
        Service {
            id: ObjectId {
                cluster: cluster.clone(),
                kind: Kind::Service,
                namespace: Text::new(&clipped(&namespace, 200)),
                name: Text::new(&clipped(&name, 200)),
            },
            origin: Text::new(&queries.origin),
            at,
            now: latest
                .and_then(|i| trend.get(i))
                .copied()
                .unwrap_or(Signals { covers: covers(queries), ..Signals::default() }),
            trend: trend.into(),
            workloads: workloads(&cluster, settings, &namespace, labels),
            note: Text::new(&words.join("; ")),
        }
    }
}

/// A figure's series: its labels, and its points.
type One = (Figure, LabelMap, Vec<(f64, f64)>);

/// Namespace and name.
fn name_of(queries: &Queries, settings: &ServiceSettings, labels: &LabelMap) -> (String, String) {
    if queries.names.is_empty() {
        return (settings.namespace.clone(), settings.name.clone());
    }
    let first =
        |keys: &[&str]| keys.iter().find_map(|k| labels.get(*k).filter(|v| !v.is_empty())).cloned().unwrap_or_default();
    let namespace = if settings.namespace.is_empty() { first(queries.namespaces) } else { settings.namespace.clone() };
    (namespace, first(queries.names))
}

fn covers(queries: &Queries) -> Covers {
    if queries.split { Covers::Successes } else { Covers::All }
}

/// One minute's figures. What is no number, or cannot be, is not known.
fn signals(minute: &BTreeMap<Figure, f64>, queries: &Queries) -> Signals {
    let value = |figure| minute.get(&figure).copied().filter(|v: &f64| v.is_finite() && *v >= 0.0);
    let requests = value(Figure::Requests);
    let counted = queries.figures.iter().any(|(f, _)| *f == Figure::Errors);
    // Failures have no series before the first one: none where requests are counted.
    let errors = requests.filter(|r| *r > 0.0 && counted).map(|r| (value(Figure::Errors).unwrap_or(0.0) / r).min(1.0));
    Signals {
        requests,
        errors,
        latency: [0, 1, 2].map(|i| value(Figure::Latency(i))),
        failure_latency: [0, 1, 2].map(|i| value(Figure::FailureLatency(i))),
        covers: covers(queries),
        saturation: value(Figure::Saturation),
    }
}

/// Those of the settings, and the one whose name a mesh's label is.
fn workloads(cluster: &ClusterId, settings: &ServiceSettings, namespace: &str, labels: &LabelMap) -> Arc<[ObjectId]> {
    let kinds = [
        ("deployment", Kind::Deployment),
        ("statefulset", Kind::StatefulSet),
        ("daemonset", Kind::DaemonSet),
        ("job", Kind::Job),
        ("cronjob", Kind::CronJob),
        ("ecs-service", Kind::EcsService),
    ];
    let id = |kind, name: &str| ObjectId {
        cluster: cluster.clone(),
        kind,
        namespace: Text::new(namespace),
        name: Text::new(name),
    };
    let said = settings.workloads.iter().filter_map(|(kind, name)| {
        let (_, kind) = kinds.iter().find(|(word, _)| word == kind)?;
        Some(id(*kind, name))
    });
    let own = kinds[..3].iter().filter_map(|(label, kind)| Some(id(*kind, labels.get(*label)?)));
    said.chain(own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_a_share_and_none_without_requests() {
        let queries = Preset::of("http").unwrap().queries("");
        let minute = |pairs: &[(Figure, f64)]| signals(&pairs.iter().copied().collect(), &queries);
        assert_eq!(minute(&[(Figure::Requests, 10.0), (Figure::Errors, 1.0)]).errors, Some(0.1));
        assert_eq!(minute(&[(Figure::Requests, 10.0)]).errors, Some(0.0));
        assert_eq!(minute(&[(Figure::Requests, 0.0), (Figure::Errors, 0.0)]).errors, None);
        assert_eq!(minute(&[]).requests, None);
        assert_eq!(minute(&[(Figure::Latency(0), f64::NAN)]).latency, [None; 3]);
        assert_eq!(minute(&[(Figure::Requests, -1.0)]).requests, None);
    }
}
