//! Alerts as rows: those of Prometheus' rules, and what Alertmanager's have in common with them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use super::Backend;
use super::api::{Alert, Api, LabelMap, Noted, Rule, number};
use super::http::clipped;
use crate::domain::alarm::runbook_in;
use crate::domain::{Alarm, AlarmMore, AlarmSource, AlarmState, ClusterId, Kind, ObjectId, Severity, Text, Timestamp};
use crate::source::SourceError;
use crate::source::supervise::Supervisor;
use crate::store::observation::{Body, Rows};

/// Labels that tell one of several equal servers from the others.
const REPLICAS: [&str; 6] =
    ["replica", "prometheus_replica", "__replica__", "prometheus", "receive_replica", "rule_replica"];
/// Nobody reads more of a description.
const LONGEST: usize = 2000;
/// Or of a label.
const LONGEST_LABEL: usize = 300;

/// What a Prometheus knows of an alert beside its labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    labels: LabelMap,
    expr: String,
    value: Option<f64>,
}

/// The cluster that a Prometheus is about, and the fingerprints of its alerts.
type Seen = (Option<ClusterId>, BTreeSet<u64>);

/// What the backends tell each other, so that one alert is one row.
#[derive(Debug)]
pub struct Board {
    /// What the Alertmanagers hold, by alert name.
    held: Mutex<BTreeMap<ClusterId, BTreeMap<String, Vec<LabelMap>>>>,
    /// What the Prometheus servers evaluate, by alert name.
    known: Mutex<BTreeMap<ClusterId, BTreeMap<String, Vec<Known>>>>,
    /// Fingerprints of each Prometheus' alerts, with the cluster that it is about.
    seen: Mutex<BTreeMap<ClusterId, Seen>>,
    pub(crate) held_changed: watch::Sender<u64>,
    pub(crate) known_changed: watch::Sender<u64>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            held: Mutex::default(),
            known: Mutex::default(),
            seen: Mutex::default(),
            held_changed: watch::Sender::new(0),
            known_changed: watch::Sender::new(0),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn name_of(labels: &LabelMap) -> &str {
    labels.get("alertname").map_or("", String::as_str)
}

/// True if `whole` has every label of `part`, those aside that tell replicas apart.
fn within(part: &LabelMap, whole: &LabelMap) -> bool {
    part.iter().all(|(k, v)| REPLICAS.contains(&k.as_str()) || whole.get(k) == Some(v))
}

impl Board {
    /// An Alertmanager holds these.
    pub(crate) fn hold(&self, id: &ClusterId, all: impl Iterator<Item = LabelMap>) {
        let mut by_name: BTreeMap<String, Vec<LabelMap>> = BTreeMap::new();
        for labels in all {
            by_name.entry(name_of(&labels).to_owned()).or_default().push(labels);
        }
        let old = lock(&self.held).insert(id.clone(), by_name.clone());
        if old.as_ref() != Some(&by_name) {
            self.held_changed.send_modify(|n| *n += 1);
        }
    }

    fn is_held(&self, labels: &LabelMap) -> bool {
        let held = lock(&self.held);
        held.values().filter_map(|names| names.get(name_of(labels))).flatten().any(|l| within(labels, l))
    }

    fn know(&self, id: &ClusterId, all: Vec<Known>) {
        let mut by_name: BTreeMap<String, Vec<Known>> = BTreeMap::new();
        for known in all {
            by_name.entry(name_of(&known.labels).to_owned()).or_default().push(known);
        }
        let old = lock(&self.known).insert(id.clone(), by_name.clone());
        if old.as_ref() != Some(&by_name) {
            self.known_changed.send_modify(|n| *n += 1);
        }
    }

    /// Adds what a rule says to an alarm that an Alertmanager holds.
    pub(crate) fn complete(&self, alarm: &mut Alarm, labels: &LabelMap) {
        let known = lock(&self.known);
        let found = known.values().filter_map(|names| names.get(name_of(labels))).flatten();
        if let Some(k) = found.into_iter().find(|k| within(&k.labels, labels)) {
            k.tell(alarm);
        }
    }

    /// Notes what a Prometheus has; what one before it has as well, about the same cluster.
    fn see(&self, id: &ClusterId, about: Option<&ClusterId>, mine: BTreeSet<u64>) -> BTreeSet<u64> {
        let mut seen = lock(&self.seen);
        seen.insert(id.clone(), (about.cloned(), mine));
        let before = seen.range(..id.clone()).map(|(_, v)| v);
        before.filter(|(c, _)| c.is_some() && c.as_ref() == about).flat_map(|(_, set)| set.iter().copied()).collect()
    }
}

impl Known {
    fn tell(&self, alarm: &mut Alarm) {
        alarm.value = self.value;
        alarm.threshold = threshold(&self.expr);
        alarm.reason = Text::new(&clipped(&self.expr, LONGEST));
    }
}

/// The number at the end of `... > 0.05`.
#[must_use]
pub fn threshold(expr: &str) -> Option<f64> {
    let mut expr = expr.trim();
    while let Some(inner) = expr.strip_prefix('(').and_then(|e| e.strip_suffix(')')) {
        // Only brackets around all of it.
        let mut depth = 0_i32;
        let whole = inner.chars().all(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth >= 0
        });
        if !whole {
            break;
        }
        expr = inner.trim();
    }
    let at = expr.rfind(['>', '<', '='])?;
    expr.get(at + 1..)?.trim().parse().ok().filter(|n: &f64| n.is_finite())
}

/// What identifies labels: as Prometheus and Alertmanager compute it (FNV-1a).
#[must_use]
pub fn fingerprint(labels: &LabelMap) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |bytes: &[u8]| {
        for b in bytes.iter().chain(&[255]) {
            hash = (hash ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for (name, value) in labels {
        add(name.as_bytes());
        add(value.as_bytes());
    }
    hash
}

impl Backend {
    /// The cluster that labels say, or that the backend is about.
    pub(super) fn cluster_of(&self, labels: &LabelMap) -> Option<ClusterId> {
        let named = labels.get("cluster").and_then(|name| self.known.iter().find(|c| c.as_str() == name));
        named.or(self.cluster.as_ref()).cloned()
    }

    /// How much an alert matters.
    fn severity(&self, labels: &LabelMap) -> Severity {
        let Some(word) = labels.get(&self.settings.severity_label) else { return Severity::Unknown };
        let own = self.settings.severities.iter().find(|(value, _)| value == word);
        Severity::from_word(own.map_or(word, |(_, meaning)| meaning)).unwrap_or_default()
    }

    /// A row; of a name that others may have, too.
    pub(crate) fn alarm(&self, source: AlarmSource, labels: &LabelMap, annotations: &LabelMap) -> Alarm {
        let label = |key: &str| labels.get(key).map_or("", String::as_str);
        let said = |keys: &[&str]| keys.iter().find_map(|k| annotations.get(*k)).map_or("", String::as_str);
        let cluster = self.cluster_of(labels);
        let description = said(&["description", "message"]);
        let summary = Some(said(&["summary", "message", "description"])).filter(|s| !s.is_empty());
        let runbook =
            Some(said(&["runbook_url", "runbook"])).filter(|l| is_link(l)).or_else(|| runbook_in(description));
        let subject = subject(labels);
        let name = if subject.is_empty() {
            label("alertname").to_owned()
        } else {
            format!("{} {subject}", label("alertname"))
        };
        Alarm {
            id: ObjectId {
                cluster: cluster.clone().unwrap_or_else(|| self.id.clone()),
                kind: Kind::Alarm,
                namespace: Text::new(&clipped(label("namespace"), LONGEST_LABEL)),
                name: Text::new(&clipped(&name, LONGEST_LABEL)),
            },
            uid: Text::new(&format!("{:016x}", fingerprint(labels))),
            account_wide: false,
            source,
            state: AlarmState::Firing,
            severity: self.severity(labels),
            since: None,
            summary: Text::new(&clipped(summary.unwrap_or_default(), LONGEST)),
            reason: Text::new(&clipped(description, LONGEST)),
            value: None,
            threshold: None,
            labels: labels.iter().map(|(k, v)| (Text::new(k), Text::new(&clipped(v, LONGEST_LABEL)))).collect(),
            about: cluster.as_ref().and_then(|c| about(c, labels)),
            suppressed_by: Text::empty(),
            runbook: Text::new(runbook.unwrap_or_default()),
            more: AlarmMore {
                annotations: annotations
                    .iter()
                    .filter(|(k, _)| !SHOWN_APART.contains(&k.as_str()))
                    .map(|(k, v)| (Text::new(k), Text::new(&clipped(v, LONGEST_LABEL))))
                    .collect(),
                ..AlarmMore::default()
            },
        }
    }
}

/// Annotations that have a field of their own.
const SHOWN_APART: [&str; 5] = ["summary", "description", "message", "runbook_url", "runbook"];

/// A link that may be opened.
fn is_link(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|h| !h.split('/').next().unwrap_or_default().contains('@') && !h.contains(char::is_whitespace))
}

/// What an alert is about, in a word.
fn subject(labels: &LabelMap) -> &str {
    let keys = [
        "pod",
        "node",
        "deployment",
        "statefulset",
        "daemonset",
        "job_name",
        "cronjob",
        "persistentvolumeclaim",
        "horizontalpodautoscaler",
        "service",
        "slo",
        "instance",
        "job",
    ];
    keys.iter().find_map(|k| labels.get(*k)).map_or("", String::as_str)
}

/// The row that labels point at, the narrowest first. The label `job` is a scrape job,
/// as a rule, and points at none.
fn about(cluster: &ClusterId, labels: &LabelMap) -> Option<ObjectId> {
    let label = |key: &str| labels.get(key).map(String::as_str).filter(|v| !v.is_empty());
    let id = |kind, namespace: &str, name: &str| {
        Some(ObjectId { cluster: cluster.clone(), kind, namespace: Text::new(namespace), name: Text::new(name) })
    };
    if let Some(namespace) = label("namespace") {
        let kinds = [
            ("pod", Kind::Task),
            ("deployment", Kind::Deployment),
            ("statefulset", Kind::StatefulSet),
            ("daemonset", Kind::DaemonSet),
            ("job_name", Kind::Job),
            ("cronjob", Kind::CronJob),
            ("horizontalpodautoscaler", Kind::Autoscaler),
            ("poddisruptionbudget", Kind::DisruptionBudget),
        ];
        if let Some((kind, name)) = kinds.iter().find_map(|(key, kind)| Some((*kind, label(key)?))) {
            return id(kind, namespace, name);
        }
    }
    if let Some(node) = label("node") {
        return id(Kind::Node, "", node);
    }
    if let Some(service) = label("service") {
        return id(Kind::Service, label("namespace").unwrap_or_default(), service);
    }
    // An exporter on a machine: its name is the node's, an address is nobody's.
    let host = label("instance").map(|i| i.rsplit_once(':').map_or(i, |(host, _)| host))?;
    let is_address = host.starts_with('[') || host.chars().all(|c| c.is_ascii_digit() || c == '.');
    (label("namespace").is_none() && !is_address).then(|| id(Kind::Node, "", host)).flatten()
}

/// Tells rows of one name apart by their fingerprints.
pub(crate) fn distinct(rows: &mut Vec<Alarm>) {
    let mut uids: BTreeMap<ObjectId, BTreeSet<Text>> = BTreeMap::new();
    for row in &*rows {
        uids.entry(row.id.clone()).or_default().insert(row.uid.clone());
    }
    let mut seen: BTreeSet<ObjectId> = BTreeSet::new();
    rows.retain_mut(|row| {
        if uids.get(&row.id).is_some_and(|u| u.len() > 1) {
            let short: String = row.uid.chars().take(8).collect();
            row.id.name = Text::new(&format!("{} #{short}", row.id.name));
        }
        seen.insert(row.id.clone())
    });
}

/// Polls the alerts of a Prometheus until it is stopped.
pub(super) async fn run(backend: Backend, api: Api, mut supervisor: Supervisor) {
    let mut held = backend.board.held_changed.subscribe();
    let mut version = None;
    let mut told = String::new();
    loop {
        let rules = match poll(&api).await {
            Ok(rules) => rules,
            Err(error) => {
                supervisor.failed(&error).await;
                continue;
            }
        };
        if version.is_none() {
            version = api.version().await.ok();
            supervisor
                .emit(Body::Backend(backend.introduction(version.as_deref().unwrap_or_default(), api.http.endpoint())))
                .await;
        }
        let note = notes(&rules);
        if note != told {
            if !note.is_empty() {
                supervisor.emit(Body::Note(Text::new(&note))).await;
            }
            told = note;
        }
        show(&backend, &rules.data, &mut supervisor).await;
        let until = Instant::now() + backend.interval;
        loop {
            tokio::select! {
                () = supervisor.pause(until.saturating_duration_since(Instant::now())) => break,
                Ok(()) = held.changed() => show(&backend, &rules.data, &mut supervisor).await,
            }
        }
    }
}

/// The rules; where they are not served, a rule for each alert.
async fn poll(api: &Api) -> Result<Noted<Vec<Rule>>, SourceError> {
    match api.rules().await {
        Err(SourceError::NotFound { .. } | SourceError::Server { .. } | SourceError::TooLarge { .. }) => {
            let alerts = api.alerts().await?;
            let rule = |a: Alert| Rule { name: name_of(&a.labels).to_owned(), alerts: vec![a], ..Rule::default() };
            Ok(Noted { data: alerts.data.into_iter().map(rule).collect(), note: alerts.note })
        }
        other => other,
    }
}

/// What the server says beside the alerts: warnings, and rules that it cannot evaluate.
fn notes(rules: &Noted<Vec<Rule>>) -> String {
    let broken: Vec<&Rule> = rules.data.iter().filter(|r| r.health == "err").collect();
    let mut notes: Vec<String> = Some(rules.note.clone()).filter(|n| !n.is_empty()).into_iter().collect();
    if let Some(first) = broken.first() {
        let more = if broken.len() > 1 { format!(", and {} more", broken.len() - 1) } else { String::new() };
        notes.push(format!("the rule {} cannot be evaluated: {}{more}", first.name, clipped(&first.last_error, 200)));
    }
    notes.join("; ")
}

async fn show(backend: &Backend, rules: &[Rule], supervisor: &mut Supervisor) {
    let rows = rows(backend, rules);
    supervisor.emit(Body::Begin).await;
    for chunk in rows.chunks(500) {
        supervisor.emit(Body::Upsert(Rows::Alarms(chunk.to_vec()))).await;
    }
    supervisor.synced().await;
}

/// What is to be shown of the rules' alerts: all that no Alertmanager holds.
fn rows(backend: &Backend, rules: &[Rule]) -> Vec<Alarm> {
    let alerts = || rules.iter().flat_map(|r| r.alerts.iter().map(move |a| (r, a)));
    let known = |(rule, alert): (&Rule, &Alert)| Known {
        labels: alert.labels.clone(),
        expr: rule.query.clone(),
        value: Some(number(&alert.value)).filter(|v| v.is_finite()),
    };
    backend.board.know(&backend.id, alerts().map(known).collect());
    let bare = |labels: &LabelMap| {
        fingerprint(
            &labels
                .iter()
                .filter(|(k, _)| !REPLICAS.contains(&k.as_str()))
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect(),
        )
    };
    let mine = alerts().map(|(_, a)| bare(&a.labels)).collect();
    let others = backend.board.see(&backend.id, backend.cluster.as_ref(), mine);
    let mut rows: Vec<Alarm> = alerts()
        .filter(|(_, a)| !others.contains(&bare(&a.labels)))
        .filter(|(_, a)| a.state == "pending" || !backend.board.is_held(&a.labels))
        .map(|(rule, alert)| {
            let mut alarm = backend.alarm(AlarmSource::Prometheus, &alert.labels, &alert.annotations);
            known((rule, alert)).tell(&mut alarm);
            alarm.state = if alert.state == "pending" { AlarmState::Pending } else { AlarmState::Firing };
            alarm.since = alert.active_at.filter(|t| after_1970(*t));
            alarm
        })
        .collect();
    distinct(&mut rows);
    rows
}

/// Go's zero time is no time.
pub(crate) fn after_1970(at: Timestamp) -> bool {
    at.timestamp() > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> LabelMap {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn the_threshold_is_at_the_end() {
        for (expr, want) in [
            ("up == 0", Some(0.0)),
            ("sum(rate(x{a=\"b\"}[5m])) / sum(rate(y[5m])) > 0.05", Some(0.05)),
            ("(rate(x[5m]) >= 1e3)", Some(1000.0)),
            ("(a > 1) and (b > 2)", None),
            ("absent(up{job=\"x\"})", None),
            ("x > on(job) y", None),
        ] {
            assert_eq!(threshold(expr), want, "{expr}");
        }
    }

    #[test]
    fn the_fingerprint_is_alertmanagers() {
        // As `model.LabelSet.Fingerprint` of prometheus/common gives it for no labels.
        assert_eq!(fingerprint(&LabelMap::new()), 0xcbf2_9ce4_8422_2325);
        assert_ne!(fingerprint(&map(&[("a", "b")])), fingerprint(&map(&[("a", "c")])));
    }

    #[test]
    fn labels_point_at_the_narrowest_row() {
        let c = || ClusterId::new("c");
        let kind = |pairs: &[(&str, &str)]| about(&c(), &map(pairs)).map(|id| (id.kind, id.name.to_string()));
        let found = |k, n: &str| Some((k, n.to_owned()));
        assert_eq!(kind(&[("namespace", "n"), ("pod", "p"), ("node", "x")]), found(Kind::Task, "p"));
        assert_eq!(kind(&[("namespace", "n"), ("deployment", "d")]), found(Kind::Deployment, "d"));
        assert_eq!(kind(&[("node", "x")]), found(Kind::Node, "x"));
        assert_eq!(kind(&[("instance", "ip-10-0-0-1:9100")]), found(Kind::Node, "ip-10-0-0-1"));
        assert_eq!(kind(&[("instance", "10.0.0.1:9100")]), None);
        assert_eq!(kind(&[("job", "checkout")]), None);
    }

    #[test]
    fn an_alert_that_is_held_is_known_by_its_labels_without_replicas() {
        let board = Board::default();
        let held = map(&[("alertname", "A"), ("pod", "p"), ("cluster", "eu")]);
        board.hold(&ClusterId::new("am"), std::iter::once(held));
        assert!(board.is_held(&map(&[("alertname", "A"), ("pod", "p"), ("prometheus_replica", "1")])));
        assert!(!board.is_held(&map(&[("alertname", "A"), ("pod", "q")])));
        assert!(!board.is_held(&map(&[("alertname", "B"), ("pod", "p")])));
    }
}
