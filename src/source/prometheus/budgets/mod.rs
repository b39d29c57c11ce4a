//! Error budgets: asks a Prometheus for what objectives need, and says what it means.

pub(super) mod ask;
mod tracked;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use self::ask::{Answers, Got, Question, When, ask};
use self::tracked::{Key, Slot, Tracked, What};
use super::Backend;
use super::api::Api;
use crate::clock::Clock;
use crate::domain::slo::Lookback;
use crate::domain::{Text, Timestamp};
use crate::slo::plan::prometheus::{Role, bounds};
use crate::slo::recorded::{DISCOVERY, Recorded, Recorder, recorded};
use crate::slo::{Definition, Outcome, PrometheusSignal, Signal};
use crate::source::SourceError;
use crate::source::supervise::Supervisor;
use crate::store::observation::{Body, Rows};

/// No more than this many objectives that the server has refused are tried again in a round.
const TRIES: usize = 2;
/// So many requests may ask for the short windows each time. Where it takes more, because the server
/// wants short expressions, they are asked for less often.
const EACH_ROUND: u32 = 5;
/// Files are complained about up to here.
const COMPLAINTS: usize = 20;

/// What follows objectives on one backend.
pub(super) struct Evaluator {
    pub(super) backend: Backend,
    pub(super) api: Api,
    pub(super) clock: Clock,
    /// How often short windows are asked for.
    pub(super) interval: Duration,
    /// The objectives of this backend, each with a remark.
    pub(super) definitions: Vec<(Definition, String)>,
    /// What is wrong with the files, told once by one of the backends.
    pub(super) complaints: Vec<Text>,
}

/// What is wrong with files of objectives, as notes.
pub(super) fn complaints(outcome: &Outcome) -> Vec<Text> {
    let line = |d: &crate::config::diagnostic::Diagnostic| Text::new(&format!("{}:{}: {}", d.file, d.line, d.message));
    outcome.found.iter().take(COMPLAINTS).map(line).collect()
}

/// An objective to follow, or why it is not.
pub(super) fn track(definition: Definition, remark: String) -> Tracked {
    let what = match definition.signal {
        Signal::Prometheus(signal) => What::Measured(signal),
        Signal::CloudWatch(_) => What::Not(Text::new("no AWS account is read to ask: add an ECS cluster in it")),
        Signal::Unsupported(kind) => What::Not(Text::new(&format!("not measured: `{kind}` cannot be asked"))),
    };
    Tracked::new(definition.objective, what, "openslo", remark)
}

/// Rows of objectives that no backend is there for.
pub(super) fn unread(cluster: &crate::domain::ClusterId, definitions: &[Definition]) -> Rows {
    let row = |d: &Definition| {
        let mut tracked = track(d.clone(), String::new());
        if let What::Measured(_) = tracked.what {
            tracked.what = What::Not(Text::new("no Prometheus is set up to ask: add a [[prometheus]]"));
        }
        tracked.row(cluster)
    };
    Rows::Budgets(definitions.iter().map(row).collect())
}

/// Follows objectives until it is stopped.
pub(super) async fn run(evaluator: Evaluator, mut supervisor: Supervisor) {
    let Evaluator { backend, api, clock, interval: usual, definitions, complaints } = evaluator;
    for complaint in complaints {
        supervisor.emit(Body::Note(complaint)).await;
    }
    let mut all: Vec<Tracked> = definitions.into_iter().map(|(d, remark)| track(d, remark)).collect();
    let own = all.len();
    let mut interval = usual;
    let mut look = Instant::now();
    loop {
        let began = Instant::now();
        let now = clock.now();
        if began >= look {
            match discover(&api, &mut all, own, now).await {
                Ok(()) => look = began + interval.saturating_mul(10),
                Err(error) => {
                    supervisor.failed(&error).await;
                    continue;
                }
            }
        }
        match round(&api, &mut all, now, began, interval).await {
            Ok(requests) => {
                show(&backend, &all, &supervisor).await;
                supervisor.synced().await;
                let paced = pace(usual, requests);
                if paced > interval && paced > usual {
                    supervisor.emit(Body::Note(slower(requests, paced))).await;
                }
                interval = paced;
                supervisor.pause((began + interval).saturating_duration_since(Instant::now())).await;
            }
            Err(error) => {
                for tracked in &mut all {
                    tracked.assess(now, began, interval);
                }
                if all.iter().any(|t| t.row(&backend.id).assessment.is_some()) {
                    show(&backend, &all, &supervisor).await;
                }
                supervisor.failed(&error).await;
            }
        }
    }
}

/// How often short windows are asked for where one round takes so many requests.
fn pace(usual: Duration, requests: u32) -> Duration {
    usual.saturating_mul(requests.max(EACH_ROUND)) / EACH_ROUND
}

fn slower(requests: u32, paced: Duration) -> Text {
    Text::new(&format!(
        "one round of budgets takes {requests} requests, since this server takes short queries only: a round every {} s",
        paced.as_secs()
    ))
}

async fn show(backend: &Backend, all: &[Tracked], supervisor: &Supervisor) {
    supervisor.emit(Body::Begin).await;
    for chunk in all.chunks(100) {
        supervisor.emit(Body::Upsert(Rows::Budgets(chunk.iter().map(|t| t.row(&backend.id)).collect()))).await;
    }
}

/// Looks for what Pyrra and Sloth record. Those that a file defines as well are the file's.
async fn discover(api: &Api, all: &mut Vec<Tracked>, own: usize, now: Timestamp) -> Result<(), SourceError> {
    let found = match api.query(DISCOVERY, now).await {
        Ok(answer) => answer.data,
        // A server that does not take such a query has no such series for us.
        Err(SourceError::Server { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    let series: Vec<_> = found.into_iter().map(|s| (s.labels, s.value)).collect();
    let mut old: Vec<Tracked> = all.split_off(own.min(all.len()));
    for mut one in recorded(&series) {
        if all.iter().any(|t| t.objective.slo.as_str() == one.name) {
            continue;
        }
        // Pyrra's labels include the namespace, which is as near to a service as it says.
        if one.service.is_none() && one.recorder == Recorder::Pyrra {
            one.service = namespace(&one);
        }
        match old.iter().position(|t| t.what == What::Recorded(one.clone())) {
            Some(at) => all.push(old.swap_remove(at)),
            None => all.push(Tracked::recorded(one)),
        }
    }
    Ok(())
}

fn namespace(recorded: &Recorded) -> Option<String> {
    recorded.labels.iter().find(|(k, _)| k == "namespace").map(|(_, v)| v.clone())
}

/// One round: short windows, then what is due of the rest. Only short windows that cannot be
/// had at all are a failure; what is wrong with the rest is said in place. Gives how many requests
/// the short windows took.
async fn round(
    api: &Api,
    all: &mut [Tracked],
    now: Timestamp,
    tick: Instant,
    base: Duration,
) -> Result<u32, SourceError> {
    let mut failed = None;
    let mut requests = 0;
    for short in [true, false] {
        let (alone, mut not_now) = refused(all, short, tick);
        if !short {
            // Who is refused the short windows is not asked for long ones.
            not_now.extend(refused(all, true, tick).0);
        }
        let asked = all.iter_mut().enumerate().filter(|(i, _)| !not_now.contains(i));
        let questions: Vec<_> = asked.flat_map(|(i, t)| t.due(i, short, now, tick, base)).collect();
        if questions.is_empty() {
            continue;
        }
        let slots = slots(&questions);
        match ask(api, When::At(now), questions, &alone).await {
            Ok(answers) => {
                requests += if short { answers.requests } else { 0 };
                take(all, answers, &slots, tick, base);
            }
            Err(error) => {
                // What takes too long is not asked again before its turn.
                let heavy = matches!(error, SourceError::TimedOut { .. } | SourceError::Server { .. });
                for (owner, slots) in slots {
                    if let Some(tracked) = all.get_mut(owner) {
                        tracked.failed(&slots, &error.to_string());
                        if short || !heavy {
                            tracked.again(&slots);
                        }
                    }
                }
                if short {
                    failed = Some(error);
                    break;
                }
            }
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }
    say_bounds(api, all, now).await;
    histories(api, all, now, tick, base).await;
    for tracked in all.iter_mut() {
        tracked.assess(now, tick, base);
    }
    Ok(requests)
}

/// Those that the server has refused, and those among them that are not asked again yet: each of
/// them is a request of its own.
fn refused(all: &[Tracked], short: bool, tick: Instant) -> (Vec<usize>, Vec<usize>) {
    let mut refused: Vec<(Instant, usize)> =
        all.iter().enumerate().filter_map(|(i, t)| Some((t.is_refused(short)?, i))).collect();
    refused.sort_unstable();
    let tried = refused.iter().take(TRIES).take_while(|(again, _)| *again <= tick).count();
    let not_now = refused.iter().skip(tried).map(|(_, i)| *i).collect();
    (refused.into_iter().map(|(_, i)| i).collect(), not_now)
}

fn slots(questions: &[Question<Key>]) -> BTreeMap<usize, Vec<Slot>> {
    let mut slots: BTreeMap<usize, Vec<Slot>> = BTreeMap::new();
    for q in questions {
        let mine = slots.entry(q.owner).or_default();
        if !mine.contains(&q.key.0) {
            mine.push(q.key.0);
        }
    }
    slots
}

type Taken = BTreeMap<(usize, Slot, Lookback), BTreeMap<Role, Got<f64>>>;

fn take(all: &mut [Tracked], answers: Answers<Key>, slots: &BTreeMap<usize, Vec<Slot>>, tick: Instant, base: Duration) {
    let mut values: Taken = BTreeMap::new();
    for (owner, (slot, window, role), got) in answers.got {
        let got = match got {
            Got::One((_, points)) => points.first().map_or(Got::Nothing, |(_, v)| Got::One(*v)),
            Got::Nothing => Got::Nothing,
            Got::Several(all) => Got::Several(vec![0.0; all.len()]),
        };
        values.entry((owner, slot, window)).or_default().insert(role, got);
    }
    for ((owner, slot, window), values) in values {
        if let Some(tracked) = all.get_mut(owner) {
            tracked.take(slot, window, &values, tick);
            tracked.limited_by(&answers.note);
        }
    }
    for (owner, error) in answers.refused {
        if let (Some(tracked), Some(slots)) = (all.get_mut(owner), slots.get(&owner)) {
            tracked.refused(slots, &error.to_string(), tick + base.saturating_mul(10));
        }
    }
}

/// Thresholds that are no bucket's bound: says which bounds there are.
async fn say_bounds(api: &Api, all: &mut [Tracked], now: Timestamp) {
    let questions: Vec<Question<()>> = all
        .iter()
        .enumerate()
        .filter(|(_, t)| t.remark.is_empty() && t.misses_a_bound())
        .filter_map(|(owner, t)| {
            let What::Measured(PrometheusSignal::Latency { buckets, .. }) = &t.what else { return None };
            Some(Question { key: (), owner, expr: bounds(buckets) })
        })
        .collect();
    if questions.is_empty() {
        return;
    }
    let Ok(answers) = ask(api, When::At(now), questions, &[]).await else { return };
    for (owner, (), got) in answers.got {
        let Some(tracked) = all.get_mut(owner) else { continue };
        let What::Measured(PrometheusSignal::Latency { threshold, .. }) = &tracked.what else { continue };
        let series = match got {
            Got::One(one) => vec![one],
            Got::Several(all) => all,
            Got::Nothing => Vec::new(),
        };
        let bound = |(labels, _): &ask::Found| labels.get("le")?.parse().ok();
        let mut found: Vec<f64> = series.iter().filter_map(bound).filter(|b: &f64| b.is_finite()).collect();
        found.sort_by(f64::total_cmp);
        let words: Vec<String> = found.iter().take(30).map(ToString::to_string).collect();
        tracked.remark = format!("{threshold} is no bound of the histogram; there are {}", words.join(", "));
    }
    // Who was refused is told what was found out before: nothing.
    for (owner, error) in answers.refused {
        if let Some(tracked) = all.get_mut(owner) {
            tracked.remark = format!("no bucket ends at the threshold, and which bounds there are is refused: {error}");
        }
    }
}

/// Points over time by what they count.
type Charts = BTreeMap<Role, Vec<(f64, f64)>>;

/// Burn-downs that are due, those over the same time together.
async fn histories(api: &Api, all: &mut [Tracked], now: Timestamp, tick: Instant, base: Duration) {
    let mut groups: BTreeMap<(Timestamp, u64), Vec<Question<Key>>> = BTreeMap::new();
    for (i, tracked) in all.iter_mut().enumerate() {
        if let Some((from, _, step, questions)) = tracked.history_due(i, now, tick, base) {
            groups.entry((from, step)).or_default().extend(questions);
        }
    }
    for ((from, step), questions) in groups {
        // Without a chart the rest is as good as before: what fails here fails above, too.
        let Ok(answers) = ask(api, When::Range(from, now, step), questions, &[]).await else { continue };
        let mut series: BTreeMap<(usize, Lookback), Charts> = BTreeMap::new();
        for (owner, (_, window, role), got) in answers.got {
            if let Got::One((_, points)) = got {
                series.entry((owner, window)).or_default().insert(role, points);
            }
        }
        for ((owner, window), series) in series {
            if let Some(tracked) = all.get_mut(owner) {
                tracked.take_history(window, &series, now);
            }
        }
    }
}

/// Which backend is asked for an objective: the one its file names, else the first.
#[derive(Debug, Clone, Default)]
pub(super) struct Objectives {
    pub(super) definitions: Arc<Vec<Definition>>,
    pub(super) complaints: Arc<Vec<Text>>,
    /// The names of the Prometheus servers that are set up, in order.
    pub(super) names: Arc<Vec<String>>,
}

impl Objectives {
    /// What a backend of this name follows, with a remark each; `first` if it is the one that takes
    /// what nobody else does.
    pub(super) fn of(&self, name: &str, first: bool) -> Vec<(Definition, String)> {
        let mine = |d: &Definition| {
            let named = d.source.as_ref().map(Text::as_str);
            match named {
                Some(source) if self.names.iter().any(|n| n == source) => (source == name).then(String::new),
                Some(source) if first && self.names.len() > 1 && matches!(d.signal, Signal::Prometheus(_)) => {
                    Some(format!("no [[prometheus]] is called {source}: {name} is asked instead"))
                }
                _ => first.then(String::new),
            }
        };
        self.definitions.iter().filter_map(|d| Some((d.clone(), mine(d)?))).collect()
    }
}
