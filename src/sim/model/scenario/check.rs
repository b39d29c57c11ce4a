//! What the schema cannot say: names that must exist, keys an action needs.

use toml::Spanned;

use super::schema::{ActionName, BehaviourName, File, Handler, Kind, Span, StepDef};
use crate::sim::aws::schema::Maintenance;
use crate::sim::cloud::Fate;
use crate::sim::model::cron::Schedule;
use crate::sim::model::meta::Ms;
use crate::sim::model::profile::Behaviour;

/// Something that happens. New orchestrators and alarms add their variants here.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// A new image, or the next version of the present one.
    Rollout {
        workload: (String, String),
        image: Option<String>,
        behaviour: Option<Behaviour>,
    },
    /// Back to the revision before.
    Rollback {
        workload: (String, String),
    },
    /// The pods that run behave otherwise from now on.
    Behave {
        workload: (String, String),
        behaviour: Behaviour,
    },
    /// Some pods are deleted.
    Kill {
        workload: (String, String),
        pods: u32,
    },
    Scale {
        workload: (String, String),
        replicas: i64,
    },
    /// Of one workload, or of all.
    Load {
        workload: Option<(String, String)>,
        factor: f64,
    },
    /// So many requests fail; `None` is as usual again.
    Errors {
        workload: (String, String),
        ratio: Option<f64>,
    },
    /// Latencies are a multiple of the usual.
    Latency {
        workload: (String, String),
        factor: f64,
    },
    /// The certificate that its pods hold has expired; who starts from now on reads the new one.
    CertificateExpired {
        workload: (String, String),
    },
    ZoneDown {
        zone: String,
    },
    NodeDown {
        node: u32,
    },
    NodeNotReady {
        node: u32,
    },
    /// A zone, a node, or everything.
    Recover {
        zone: Option<String>,
        node: Option<u32>,
    },
    /// Machines are taken back, or told that they may be.
    Take(Taking),
}

/// What a notice says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Interrupt,
    Rebalance,
    Scheduled(Maintenance),
}

/// How many of those that qualify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Many {
    Count(u32),
    Percent(u32),
}

/// A step that takes machines back.
#[derive(Debug, Clone, PartialEq)]
pub struct Taking {
    pub what: What,
    pub group: Option<String>,
    pub zone: Option<String>,
    pub many: Many,
    /// From the notice to the end.
    pub notice: Ms,
    pub fate: Fate,
    pub handler: Handler,
    pub spread: Ms,
    pub unannounced: bool,
    /// From the notice to the replacement's coming; by the handler's ways without it.
    pub replacement: Option<Ms>,
}

/// A step of the timeline, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub t: Ms,
    pub every: Option<Ms>,
    pub repeat: Option<u32>,
    /// For what goes down: when it comes back by itself.
    pub lasting: Option<Ms>,
    pub action: Action,
}

/// Where, as an offset, and what.
type Fault = (usize, String);

/// Checks the whole file and translates its timeline.
pub fn check(file: &File) -> Result<Vec<Step>, Fault> {
    for cluster in &file.ecs {
        cluster.check()?;
    }
    for w in &file.workloads {
        let ns = w.namespace.get_ref();
        if !file.namespaces.iter().any(|n| n.name == *ns) {
            let names: Vec<&str> = file.namespaces.iter().map(|n| n.name.as_str()).collect();
            let m = format!("there is no namespace {ns:?}; [[namespaces]] has {}", names.join(", "));
            return Err((w.namespace.span().start, m));
        }
        match (&w.schedule, w.kind) {
            (None, Kind::CronJob) => {
                return Err((w.namespace.span().start, format!("the cron job {:?} needs a schedule", w.name)));
            }
            (Some(s), Kind::CronJob) if Schedule::parse(s.get_ref()).is_none() => {
                let m = format!("{:?} is not a cron schedule; write five fields, as in \"*/5 * * * *\"", s.get_ref());
                return Err((s.span().start, m));
            }
            (Some(s), kind) if kind != Kind::CronJob => {
                return Err((s.span().start, "only a cron-job has a schedule".to_owned()));
            }
            _ => {}
        }
    }
    for t in &file.traffic {
        find(file, &t.workload)?;
        for (name, ratio) in [("errors", Some(&t.errors)), ("objective", t.objective.as_ref())] {
            if let Some(ratio) = ratio {
                share(name, ratio)?;
            }
        }
    }
    file.at.iter().map(|s| step(file, s)).collect()
}

fn step(file: &File, s: &StepDef) -> Result<Step, Fault> {
    let here = s.action.span().start;
    let needs = |key: &str| (here, format!("the action {:?} needs {key}", word(s)));
    unwanted(s)?;
    let workload = s.workload.as_ref().map(|w| find(file, w)).transpose()?;
    let zone = s.zone.as_ref().map(|z| find_zone(file, z)).transpose()?;
    let node = s.node.as_ref().map(|n| find_node(file, n)).transpose()?;
    let after = s.after.as_ref().map_or(6000, |a| a.get_ref().0);
    let behaviour = s.behaviour.as_ref().map(|b| match b.get_ref() {
        BehaviourName::Healthy => Behaviour::Healthy,
        BehaviourName::Crash => Behaviour::Crash(after),
        BehaviourName::Oom => Behaviour::Oom(after),
        BehaviourName::ImagePullFailure => Behaviour::ImagePull,
        BehaviourName::SlowReadiness => Behaviour::SlowReady(after),
        BehaviourName::NotReady => Behaviour::NotReady,
    });
    let the_workload = || workload.clone().ok_or_else(|| needs("workload = \"namespace/name\""));
    let action = match s.action.get_ref() {
        ActionName::Rollout => Action::Rollout {
            workload: the_workload()?,
            image: s.image.as_ref().map(|i| i.get_ref().clone()),
            behaviour,
        },
        ActionName::Rollback => Action::Rollback { workload: the_workload()? },
        ActionName::Behave => {
            Action::Behave { workload: the_workload()?, behaviour: behaviour.ok_or_else(|| needs("a behaviour"))? }
        }
        ActionName::Kill => {
            Action::Kill { workload: the_workload()?, pods: s.pods.as_ref().map_or(1, |p| *p.get_ref()) }
        }
        ActionName::Scale => {
            let r = s.replicas.as_ref().ok_or_else(|| needs("replicas"))?;
            if !(0..=5000).contains(r.get_ref()) {
                return Err((r.span().start, format!("replicas = {} is out of range; give 0 to 5000", r.get_ref())));
            }
            Action::Scale { workload: the_workload()?, replicas: *r.get_ref() }
        }
        ActionName::Load => {
            let f = s.factor.as_ref().ok_or_else(|| needs("factor"))?;
            if !(0.0..=100.0).contains(f.get_ref()) {
                return Err((f.span().start, format!("factor = {} is out of range; give 0.0 to 100.0", f.get_ref())));
            }
            Action::Load { workload, factor: *f.get_ref() }
        }
        ActionName::Errors => {
            let r = s.ratio.as_ref().ok_or_else(|| needs("ratio"))?;
            share("ratio", r)?;
            Action::Errors { workload: of_traffic(file, s, the_workload()?)?, ratio: Some(*r.get_ref()) }
        }
        ActionName::Latency => {
            let f = s.factor.as_ref().ok_or_else(|| needs("factor"))?;
            if !(0.01..=1000.0).contains(f.get_ref()) {
                return Err((f.span().start, format!("factor = {} is out of range; give 0.01 to 1000.0", f.get_ref())));
            }
            Action::Latency { workload: of_traffic(file, s, the_workload()?)?, factor: *f.get_ref() }
        }
        ActionName::CertificateExpired => {
            let workload = of_traffic(file, s, the_workload()?)?;
            let name = format!("{}/{}", workload.0, workload.1);
            if !file.traffic.iter().any(|t| *t.workload.get_ref() == name && t.host.is_some()) {
                return Err((here, format!("the [[traffic]] of {name:?} has no host that a certificate could be for")));
            }
            Action::CertificateExpired { workload }
        }
        ActionName::ZoneDown => Action::ZoneDown { zone: zone.ok_or_else(|| needs("a zone"))? },
        ActionName::NodeDown => Action::NodeDown { node: node.ok_or_else(|| needs("a node, counted from 0"))? },
        ActionName::NodeNotReady => Action::NodeNotReady { node: node.ok_or_else(|| needs("a node, counted from 0"))? },
        ActionName::Recover => Action::Recover { zone, node },
        ActionName::SpotInterrupt | ActionName::Rebalance | ActionName::Scheduled => {
            Action::Take(taking(file, s, zone)?)
        }
    };
    if let Some(e) = s.every.as_ref().filter(|e| e.get_ref().0 < 1000) {
        return Err((e.span().start, "every is at least \"1s\"".to_owned()));
    }
    let span = |v: &Option<Spanned<Span>>| v.as_ref().map(|s| s.get_ref().0);
    Ok(Step { t: s.t.0, every: span(&s.every), repeat: s.repeat, lasting: span(&s.lasting), action })
}

/// A step that takes machines back.
fn taking(file: &File, s: &StepDef, zone: Option<String>) -> Result<Taking, Fault> {
    let spot = *s.action.get_ref() != ActionName::Scheduled;
    let fits = |g: &&super::NodeGroup| !spot || g.capacity == super::Capacity::Spot;
    let have: Vec<&str> = file.nodes.iter().filter(fits).map(|g| g.group.as_str()).collect();
    let word = if spot { "spot group" } else { "group" };
    // What is generated is not known yet.
    let fixed = file.generate.is_none();
    if let Some(g) = s.group.as_ref().filter(|g| fixed && !have.contains(&g.get_ref().as_str())) {
        let m = format!("there is no {word} {:?}; [[nodes]] has {}", g.get_ref(), have.join(", "));
        return Err((g.span().start, m));
    }
    if have.is_empty() && fixed {
        return Err((s.action.span().start, "no [[nodes]] have capacity = \"spot\"".to_owned()));
    }
    if let Some(p) = s.percent.as_ref().filter(|p| !(1..=100).contains(p.get_ref())) {
        return Err((p.span().start, format!("percent = {} is out of range; give 1 to 100", p.get_ref())));
    }
    if let (Some(_), Some(p)) = (&s.count, &s.percent) {
        return Err((p.span().start, "give count or percent, not both".to_owned()));
    }
    let unannounced = s.unannounced.as_ref().is_some_and(|u| *u.get_ref());
    if unannounced {
        let given = [s.notice.as_ref().map(Spanned::span), s.handler.as_ref().map(Spanned::span)];
        if let Some(span) = given.into_iter().flatten().next() {
            let m = "what goes unannounced has no notice, and nobody handles it".to_owned();
            return Err((span.start, m));
        }
    }
    let ms = |v: &Option<Spanned<Span>>| v.as_ref().map(|s| s.get_ref().0);
    Ok(Taking {
        what: match s.action.get_ref() {
            ActionName::Rebalance => What::Rebalance,
            ActionName::Scheduled => What::Scheduled(s.code.as_ref().map(|c| *c.get_ref()).unwrap_or_default()),
            _ => What::Interrupt,
        },
        group: s.group.as_ref().map(|g| g.get_ref().clone()),
        zone,
        many: s
            .percent
            .as_ref()
            .map_or_else(|| Many::Count(s.count.as_ref().map_or(1, |c| *c.get_ref())), |p| Many::Percent(*p.get_ref())),
        notice: ms(&s.notice).unwrap_or(120_000),
        fate: s.fate.as_ref().map(|f| *f.get_ref()).unwrap_or_default(),
        handler: s.handler.as_ref().map(|h| *h.get_ref()).unwrap_or_default(),
        spread: ms(&s.spread).unwrap_or(0),
        unannounced,
        replacement: ms(&s.replacement),
    })
}

/// A share of all is from 0 to 1.
fn share(name: &str, value: &Spanned<f64>) -> Result<(), Fault> {
    if (0.0..=1.0).contains(value.get_ref()) {
        return Ok(());
    }
    Err((value.span().start, format!("{name} = {} is out of range; give 0.0 to 1.0", value.get_ref())))
}

/// A workload that has traffic.
fn of_traffic(file: &File, s: &StepDef, workload: (String, String)) -> Result<(String, String), Fault> {
    let name = format!("{}/{}", workload.0, workload.1);
    if file.traffic.iter().any(|t| *t.workload.get_ref() == name) {
        return Ok(workload);
    }
    let have: Vec<&str> = file.traffic.iter().map(|t| t.workload.get_ref().as_str()).collect();
    let m = format!("{name:?} has no [[traffic]]; there is some for {}", have.join(", "));
    Err((s.action.span().start, m))
}

fn word(s: &StepDef) -> &'static str {
    match s.action.get_ref() {
        ActionName::Rollout => "rollout",
        ActionName::Rollback => "rollback",
        ActionName::Behave => "behave",
        ActionName::Kill => "kill",
        ActionName::Scale => "scale",
        ActionName::Load => "load",
        ActionName::Errors => "errors",
        ActionName::Latency => "latency",
        ActionName::CertificateExpired => "certificate-expired",
        ActionName::ZoneDown => "zone-down",
        ActionName::NodeDown => "node-down",
        ActionName::NodeNotReady => "node-not-ready",
        ActionName::Recover => "recover",
        ActionName::SpotInterrupt => "spot-interrupt",
        ActionName::Rebalance => "rebalance",
        ActionName::Scheduled => "scheduled",
    }
}

/// A key that the action does not know is a mistake, not a remark.
fn unwanted(s: &StepDef) -> Result<(), Fault> {
    use ActionName as A;
    let given = [
        ("workload", s.workload.as_ref().map(Spanned::span)),
        ("image", s.image.as_ref().map(Spanned::span)),
        ("behaviour", s.behaviour.as_ref().map(Spanned::span)),
        ("after", s.after.as_ref().map(Spanned::span)),
        ("zone", s.zone.as_ref().map(Spanned::span)),
        ("node", s.node.as_ref().map(Spanned::span)),
        ("factor", s.factor.as_ref().map(Spanned::span)),
        ("ratio", s.ratio.as_ref().map(Spanned::span)),
        ("replicas", s.replicas.as_ref().map(Spanned::span)),
        ("pods", s.pods.as_ref().map(Spanned::span)),
        ("for", s.lasting.as_ref().map(Spanned::span)),
        ("group", s.group.as_ref().map(Spanned::span)),
        ("count", s.count.as_ref().map(Spanned::span)),
        ("percent", s.percent.as_ref().map(Spanned::span)),
        ("notice", s.notice.as_ref().map(Spanned::span)),
        ("fate", s.fate.as_ref().map(Spanned::span)),
        ("handler", s.handler.as_ref().map(Spanned::span)),
        ("spread", s.spread.as_ref().map(Spanned::span)),
        ("unannounced", s.unannounced.as_ref().map(Spanned::span)),
        ("replacement", s.replacement.as_ref().map(Spanned::span)),
        ("code", s.code.as_ref().map(Spanned::span)),
    ];
    let takes: &[&str] = match s.action.get_ref() {
        A::Rollout => &["workload", "image", "behaviour", "after"],
        A::Rollback | A::CertificateExpired => &["workload"],
        A::Behave => &["workload", "behaviour", "after"],
        A::Kill => &["workload", "pods"],
        A::Scale => &["workload", "replicas"],
        A::Load => &["workload", "factor"],
        A::Errors => &["workload", "ratio", "for"],
        A::Latency => &["workload", "factor", "for"],
        A::ZoneDown => &["zone", "for"],
        A::NodeDown | A::NodeNotReady => &["node", "for"],
        A::Recover => &["zone", "node"],
        A::SpotInterrupt => {
            &["group", "zone", "count", "percent", "notice", "fate", "handler", "spread", "unannounced", "replacement"]
        }
        A::Rebalance => &["group", "zone", "count", "percent", "handler", "spread"],
        A::Scheduled => &["group", "zone", "count", "percent", "notice", "code", "handler", "spread", "replacement"],
    };
    for (key, span) in given {
        if let Some(span) = span.filter(|_| !takes.contains(&key)) {
            let m = format!("the action {:?} takes no {key}; it takes {}", word(s), takes.join(", "));
            return Err((span.start, m));
        }
    }
    Ok(())
}

fn find(file: &File, w: &Spanned<String>) -> Result<(String, String), Fault> {
    let text = w.get_ref();
    let found = text
        .split_once('/')
        .filter(|(ns, name)| file.workloads.iter().any(|w| w.namespace.get_ref() == ns && w.name == *name));
    found.map(|(a, b)| (a.to_owned(), b.to_owned())).ok_or_else(|| {
        let names: Vec<String> =
            file.workloads.iter().map(|w| format!("{}/{}", w.namespace.get_ref(), w.name)).collect();
        (w.span().start, format!("there is no workload {text:?}; [[workloads]] has {}", names.join(", ")))
    })
}

fn find_zone(file: &File, z: &Spanned<String>) -> Result<String, Fault> {
    let mut zones: Vec<&str> = file.nodes.iter().flat_map(|n| &n.zones).map(String::as_str).collect();
    zones.sort_unstable();
    zones.dedup();
    if zones.contains(&z.get_ref().as_str()) {
        return Ok(z.get_ref().clone());
    }
    Err((z.span().start, format!("there is no zone {:?}; the nodes are in {}", z.get_ref(), zones.join(", "))))
}

fn find_node(file: &File, n: &Spanned<u32>) -> Result<u32, Fault> {
    let count: u32 = file.nodes.iter().map(|g| g.count).sum();
    if *n.get_ref() < count || file.generate.is_some() {
        return Ok(*n.get_ref());
    }
    Err((n.span().start, format!("there is no node {}; give 0 to {}", n.get_ref(), count.saturating_sub(1))))
}
