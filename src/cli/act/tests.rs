use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::action::Verdict;
use crate::action::audit::{Audit, Who, entries};
use crate::action::desk::Progress;
use crate::action::guard::{ClusterPolicy, Effect, Guardrail};
use crate::action::{Actor, Change, End, Fate, Policy, Precondition, StepState};
use crate::domain::{ClusterId, Freshness, Kind, Labels, ObjectId, Replicas, Text, Workload};
use crate::store::{Body, Feed, Observation, Rows, SourceId};

/// A cluster in memory: how many tasks each deployment wants.
#[derive(Default)]
struct Memory {
    wanted: Mutex<BTreeMap<ObjectId, u32>>,
    /// It goes on until it is cancelled.
    slow: bool,
}

impl Actor for Memory {
    fn plan<'a>(&'a self, intent: &'a Intent) -> BoxFuture<'a, Result<Plan, Text>> {
        Box::pin(async move {
            let mut plan = Plan::new(intent.clone(), now());
            let wanted = self.wanted.lock().unwrap();
            for target in &intent.targets {
                let Some(n) = wanted.get(target) else { return Err(Text::new("no answer")) };
                let to = intent.options.replicas.unwrap_or(*n);
                plan.changes.push(Change {
                    target: target.clone(),
                    field: Text::new("replicas"),
                    from: Text::new(&n.to_string()),
                    to: Text::new(&to.to_string()),
                    fate: if to == *n { Fate::Stays } else { Fate::Acts },
                    note: Text::empty(),
                    precondition: Precondition::Nothing,
                });
            }
            plan.undo = Text::new("scale it back");
            plan.equivalent = vec!["kubectl scale".to_owned()];
            Ok(plan)
        })
    }

    fn run<'a>(&'a self, plan: &'a Plan, progress: &'a Progress, cancel: &'a CancellationToken) -> BoxFuture<'a, End> {
        Box::pin(async move {
            if self.slow {
                progress.step(None, StepState::Waiting, "for ever").await;
                cancel.cancelled().await;
                return End { outcome: Outcome::Cancelled, text: Text::new("0 of 1 done"), undo: None };
            }
            let to = plan.intent.options.replicas.unwrap_or_default();
            let mut before = 0;
            for target in &plan.intent.targets {
                before = self.wanted.lock().unwrap().insert(target.clone(), to).unwrap_or_default();
                progress.step(Some(target), StepState::Done, "scaled").await;
            }
            let mut undo = plan.intent.clone();
            undo.options.replicas = Some(before);
            End::done("scaled", Some(undo))
        })
    }
}

fn now() -> Timestamp {
    "2026-03-01T03:14:00Z".parse().unwrap()
}

fn id(name: &str) -> ObjectId {
    ObjectId {
        cluster: ClusterId::new("prod"),
        kind: Kind::Deployment,
        namespace: Text::new("shop"),
        name: Text::new(name),
    }
}

fn store() -> Store {
    let mut store = Store::expecting([ClusterId::new("prod")]);
    let row = |name: &str| Workload {
        id: id(name),
        uid: Text::new(name),
        created: None,
        owner_kind: Kind::Other,
        owner: Text::empty(),
        replicas: Replicas::default(),
        status: Text::new("Available"),
        health: crate::domain::Health::Ok,
        message: Text::empty(),
        images: Text::empty(),
        schedule: Text::empty(),
        last_run: None,
        selector: Labels::default(),
        labels: Labels::default(),
        revision: Text::empty(),
        ecs: None,
    };
    let source = SourceId { cluster: ClusterId::new("prod"), feed: Feed::Deployments };
    for body in [Body::Begin, Body::Upsert(Rows::Workloads(vec![row("web"), row("api")])), Body::Synced] {
        store.apply(Observation { source: source.clone(), at: now(), body });
    }
    assert!(store.sources().all(|(_, s)| !matches!(s.freshness, Freshness::Down { .. })));
    store
}

struct Bench {
    memory: Arc<Memory>,
    desk: Desk,
    dir: tempfile::TempDir,
}

fn bench(policy: Policy, slow: bool) -> Bench {
    let wanted = Mutex::new([(id("web"), 3), (id("api"), 2)].into());
    let memory = Arc::new(Memory { wanted, slow });
    let dir = tempfile::tempdir().unwrap();
    let audit = Audit::new(&dir.path().join("state"), Who::default());
    let actor = Arc::clone(&memory);
    let find = move |_: &ObjectId| Some(Arc::clone(&actor) as Arc<dyn Actor>);
    let desk = Desk::new(Arc::new(find), policy, Some(Arc::new(audit)), Clock::manual(now()));
    Bench { memory, desk, dir }
}

impl Bench {
    fn words(&self) -> Vec<String> {
        let (lines, damaged) = entries(&self.dir.path().join("state")).unwrap();
        assert_eq!(damaged, 0);
        lines.iter().map(|l| format!("{} {}", l.entry.kind.word(), l.entry.outcome).trim().to_owned()).collect()
    }

    fn web(&self) -> u32 {
        self.memory.wanted.lock().unwrap()[&id("web")]
    }

    async fn scale(&self, change: impl Fn(&mut How)) -> (u8, String) {
        let mut how = how(&["shop/web"]);
        change(&mut how);
        let options = Options { replicas: Some(5), ..Options::default() };
        SAID.with_borrow_mut(String::clear);
        let out = Out { format: how.format, say: note, note };
        let code = go(&self.desk, &store(), (Verb::Scale, &how, options), None, &out, now()).await;
        (code, SAID.with_borrow(Clone::clone))
    }
}

thread_local! {
    static SAID: std::cell::RefCell<String> = const { std::cell::RefCell::new(String::new()) };
}

fn note(text: &str) {
    SAID.with_borrow_mut(|said| *said += &format!("{}\n", text.trim_end()));
}

fn how(targets: &[&str]) -> How {
    How {
        targets: targets.iter().map(|t| (*t).to_owned()).collect(),
        dry_run: false,
        yes: false,
        confirm: None,
        reason: None,
        format: Format::Table,
    }
}

/// As docs/schema/action-v1.json has it.
fn fits(told: &Value) {
    let schema = serde_json::from_str(include_str!("../../../docs/schema/action-v1.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let wrong: Vec<String> = validator.iter_errors(told).map(|e| e.to_string()).collect();
    assert!(wrong.is_empty(), "{wrong:?} in {told:#}");
    let mut other = told.clone();
    other["verdict"]["confirm"] = "perhaps".into();
    assert!(!validator.is_valid(&other), "the schema would fit anything");
}

fn production() -> Policy {
    let marked = ClusterPolicy { production: true, read_only: false };
    Policy { clusters: [(ClusterId::new("prod"), marked)].into(), ..Policy::default() }
}

#[tokio::test]
async fn a_dry_run_shows_the_plan_and_changes_nothing() {
    let bench = bench(Policy::default(), false);
    let (code, said) = bench.scale(|how| how.dry_run = true).await;
    assert_eq!((code, bench.web()), (0, 3), "{said}");
    assert!(said.contains("deploy shop/web  replicas  3    ->  5"), "{said}");
    assert!(said.contains("by hand\n  kubectl scale") && said.contains("to undo\n  scale it back"), "{said}");
    assert!(bench.words().is_empty());
    let (code, said) = bench.scale(|how| (how.dry_run, how.format) = (true, Format::Json)).await;
    let told: Value = serde_json::from_str(&said).unwrap();
    fits(&told);
    assert_eq!((code, &told["version"], &told["possible"]), (0, &1.into(), &true.into()));
    assert_eq!((&told["plan"]["changes"][0]["to"], &told["verdict"]["confirm"]), (&"5".into(), &"choose".into()));
}

#[tokio::test]
async fn yes_does_it_and_it_is_written_down() {
    let bench = bench(Policy::default(), false);
    let (code, said) = bench.scale(|how| how.yes = true).await;
    assert_eq!((code, bench.web()), (0, 5), "{said}");
    assert!(said.contains("03:14:00  done     deploy shop/web  scaled"), "{said}");
    assert!(said.contains("to undo: quarterdeck scale prod:deploy/shop/web --replicas 3"), "{said}");
    assert_eq!(bench.words(), ["intent", "outcome done"]);
    // The same again changes nothing.
    let (code, said) = bench.scale(|how| how.yes = true).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("there is nothing to do"), "{said}");
    let bench = self::bench(Policy::default(), false);
    let (code, said) = bench.scale(|how| (how.yes, how.format) = (true, Format::Json)).await;
    let json = said.split_once('{').map(|(_, rest)| format!("{{{rest}")).unwrap();
    let told: Value = serde_json::from_str(&json).unwrap();
    fits(&told);
    assert_eq!((code, &told["end"]["outcome"], &told["steps"][0]["state"]), (0, &"done".into(), &"done".into()));
}

#[tokio::test]
async fn without_a_terminal_nothing_is_done_that_nobody_said_yes_to() {
    let bench = bench(Policy::default(), false);
    let (code, said) = bench.scale(|_| {}).await;
    assert_eq!((code, bench.web()), (1, 3));
    assert!(said.contains("give --yes"), "{said}");
    assert!(bench.words().is_empty());
}

#[tokio::test]
async fn in_production_yes_is_not_enough() {
    let bench = bench(production(), false);
    let reason = || Some("more load".to_owned());
    for (what, change) in [
        ("nothing", (|_: &mut How| {}) as fn(&mut How)),
        ("yes alone", |how| how.yes = true),
        ("no name", |how| (how.yes, how.reason) = (true, Some("x".to_owned()))),
        ("another name", |how| (how.confirm, how.reason) = (Some("api".to_owned()), Some("x".to_owned()))),
        ("no reason", |how| how.confirm = Some("web".to_owned())),
    ] {
        let (code, said) = bench.scale(change).await;
        assert_eq!((code, bench.web()), (1, 3), "{what}: {said}");
        assert!(bench.words().is_empty(), "{what}");
    }
    let (code, said) = bench.scale(|how| (how.confirm, how.reason) = (Some("web".to_owned()), reason())).await;
    assert_eq!((code, bench.web()), (0, 5), "{said}");
    let (lines, _) = entries(&bench.dir.path().join("state")).unwrap();
    assert_eq!(lines[0].entry.why.as_str(), "more load");
    assert_eq!(lines[0].entry.confirmed.as_ref().map(|c| c.how.as_str()), Some("flag"));
}

#[tokio::test]
async fn guardrails_refuse_and_a_dry_run_says_so() {
    let rule = Guardrail {
        name: Text::new("mine"),
        cluster: String::new(),
        namespace: "shop".to_owned(),
        kind: String::new(),
        object: String::new(),
        verbs: vec![Verb::Scale],
        effect: Effect::Deny,
        why: Text::new("ask first"),
    };
    let bench = bench(Policy { guardrails: vec![rule], ..Policy::default() }, false);
    for change in [(|how: &mut How| how.dry_run = true) as fn(&mut How), |how| how.yes = true] {
        let (code, said) = bench.scale(change).await;
        assert_eq!((code, bench.web()), (1, 3));
        assert!(said.contains("guardrail mine forbids to scale deploy shop/web: ask first"), "{said}");
    }
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_two_and_what_is_closed_is_one() {
    let open = bench(Policy::default(), false);
    let (code, said) = open.scale(|how| how.targets = vec!["wbe".to_owned()]).await;
    assert_eq!(code, 2);
    assert!(said.contains("called `wbe`; did you mean `web`?"), "{said}");
    open.memory.wanted.lock().unwrap().clear();
    let (code, said) = open.scale(|how| how.yes = true).await;
    assert_eq!((code, said.trim()), (2, "no answer"));
    let read_only = ClusterPolicy { production: false, read_only: true };
    let closed = Policy { clusters: [(ClusterId::new("prod"), read_only)].into(), ..Policy::default() };
    let (code, said) = bench(closed, false).scale(|how| how.dry_run = true).await;
    assert_eq!(code, 1);
    assert!(said.contains("prod is marked read_only"), "{said}");
}

#[tokio::test]
async fn without_an_audit_nothing_is_done() {
    let bench = bench(Policy::default(), false);
    std::fs::write(bench.dir.path().join("state"), "a file, where a directory has to be").unwrap();
    let (code, said) = bench.scale(|how| how.yes = true).await;
    assert_eq!((code, bench.web()), (1, 3));
    assert!(said.contains("the audit cannot be written"), "{said}");
}

async fn stopped(stops: &[Stop]) -> (u8, Vec<String>) {
    let bench = bench(Policy::default(), true);
    let options = Options { replicas: Some(5), ..Options::default() };
    let how = how(&["web"]);
    let judged = plan(&bench.desk, &store(), (Verb::Scale, &how, options), None, now()).await.unwrap();
    let (tx, mut rx) = mpsc::channel(4);
    for stop in stops {
        tx.send(*stop).await.unwrap();
    }
    let out = Out { format: Format::Table, say: note, note };
    let code = perform(&bench.desk, judged, &Assent::default(), &mut rx, &out).await;
    (code, bench.words())
}

#[tokio::test]
async fn ctrl_c_cancels_and_a_signal_leaves_the_rest_unknown() {
    assert_eq!(stopped(&[Stop::Cancel]).await, (130, ["intent", "outcome cancelled"].map(str::to_owned).to_vec()));
    assert_eq!(stopped(&[Stop::End(15)]).await, (143, ["intent", "outcome unknown"].map(str::to_owned).to_vec()));
}

#[test]
fn answers_at_the_terminal() {
    let verdict = |confirm: Confirm, needs_reason: bool| Verdict {
        refused: Vec::new(),
        confirm,
        needs_reason,
        production: needs_reason,
    };
    let typed = || Confirm::Type(Text::new("web"));
    for (verdict, answers, fine) in [
        (verdict(Confirm::Choose, false), &["y"][..], true),
        (verdict(Confirm::Choose, false), &["YES "], true),
        (verdict(Confirm::Choose, false), &[""], false),
        (verdict(Confirm::Choose, false), &["n"], false),
        (verdict(Confirm::Choose, false), &[], false),
        (verdict(typed(), false), &["web"], true),
        (verdict(typed(), false), &["y"], false),
        (verdict(typed(), true), &["load", "web"], true),
        (verdict(typed(), true), &["", "web"], false),
        (verdict(Confirm::Choose, true), &["load", "y"], true),
    ] {
        let mut left = answers.iter();
        let mut ask = |_: &str| left.next().map(|a| (*a).to_owned());
        let judged = Judged { plan: Plan::new(Intent::new(Verb::Scale, vec![id("web")]), now()), verdict };
        let said = assent(&judged, &how(&["web"]), Some(&mut ask));
        assert_eq!(said.is_ok(), fine, "{judged:?} {answers:?}: {said:?}");
        let named = |name: &str| How { confirm: Some(name.to_owned()), reason: Some("x".to_owned()), ..how(&["web"]) };
        assert!(assent(&judged, &named("web"), None).is_ok() && assent(&judged, &named("api"), None).is_err());
        assert!(said.is_err() || !said.unwrap().by_flag);
    }
}
