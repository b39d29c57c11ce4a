//! One outage is not ninety lines: alarms gathered by what they are about, and one alert
//! of many instances as one. Pure; nothing is lost, only put behind another.

use foldhash::{HashMap, HashSet};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use super::{Slot, Store};
use crate::domain::{Alarm, AlarmSource, AlarmState, Health, Kind, Labels, ObjectId, Severity, Text};

/// One alert: the alarm that stands for it, and its other instances, or, behind a
/// composite alarm, those that made it fire.
#[derive(Debug, Clone)]
pub struct Alert<'a> {
    /// Who stands for all.
    pub lead: &'a Alarm,
    /// The others, worst and oldest first.
    pub rest: Vec<&'a Alarm>,
}

/// Alerts about one thing.
#[derive(Debug, Clone)]
pub struct Group<'a> {
    /// What they are about; `None` where nobody says, and then it is one alert.
    pub about: Option<ObjectId>,
    /// Worst first, then by name; never empty.
    pub alerts: Vec<Alert<'a>>,
}

impl<'a> Group<'a> {
    /// How many alarms it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.alerts.iter().map(|a| 1 + a.rest.len()).sum()
    }

    /// Never true.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.alerts.is_empty()
    }

    /// The alarm that stands for all.
    #[must_use]
    pub fn lead(&self) -> Option<&'a Alarm> {
        self.alerts.first().map(|a| a.lead)
    }

    /// Every alarm, the lead first.
    pub fn alarms(&self) -> impl Iterator<Item = &'a Alarm> {
        self.alerts.iter().flat_map(|a| std::iter::once(a.lead).chain(a.rest.iter().copied()))
    }
}

/// One line of the alarms view: an alarm, and how many are behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct AlarmLine {
    /// The alarm.
    pub id: ObjectId,
    /// What it is about: a workload rather than one of its tasks.
    pub about: Option<ObjectId>,
    /// 0 for a line of its own, more for what is shown behind another.
    pub depth: u8,
    /// Other instances of the same alert behind it.
    pub instances: usize,
    /// Which these are, where the line is closed and stands for them; not of a composite alarm.
    pub alike: Vec<ObjectId>,
    /// Alarms of other names behind it.
    pub others: usize,
    /// They are shown.
    pub open: bool,
    /// How bad.
    pub health: Health,
    /// The alarm's labels.
    pub labels: Labels,
}

/// In which order lines come: what wants somebody first, what does not last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Class {
    Firing,
    Pending,
    Info,
    NoData,
    Suppressed,
    Ok,
}

fn class(a: &Alarm) -> Class {
    match a.state {
        AlarmState::Firing if !a.suppressed_by.is_empty() => Class::Suppressed,
        AlarmState::Firing if a.severity == Severity::Info => Class::Info,
        AlarmState::Firing => Class::Firing,
        AlarmState::Pending => Class::Pending,
        AlarmState::InsufficientData => Class::NoData,
        AlarmState::Ok => Class::Ok,
    }
}

/// What an alarm is about, as people see it: a task's workload rather than the task.
#[must_use]
pub fn subject(store: &Store, alarm: &Alarm) -> Option<ObjectId> {
    let about = alarm.about.as_ref()?;
    let workload = store.tasks.get(about).and_then(|t| store.workload_id_of(t));
    Some(workload.unwrap_or_else(|| about.clone()))
}

/// Services before workloads before nodes before all else: who is hurt before why.
fn rank(about: Option<&ObjectId>) -> u8 {
    match about.map(|a| a.kind) {
        Some(Kind::Service | Kind::EcsService | Kind::Budget) => 0,
        Some(Kind::Task) => 1,
        Some(kind) if kind.is_workload() => 1,
        Some(Kind::Node | Kind::Zone) => 2,
        _ => 3,
    }
}

/// Worst, then oldest, then by name.
fn order(a: &Alarm, b: &Alarm) -> std::cmp::Ordering {
    let since = |a: &Alarm| (a.since.is_none(), a.since);
    b.severity.cmp(&a.severity).then_with(|| since(a).cmp(&since(b))).then_with(|| a.id.cmp(&b.id))
}

/// What one group has in common: class and subject, or, without a subject or where
/// nothing fires, the place and the name.
type Key = (Class, Option<ObjectId>, Option<(ObjectId, Text)>);

/// Gathers alarms, each once though two profiles may both read it.
///
/// Those that fire are gathered by what they are about; the same alert of many instances
/// is one; a composite alarm takes those of its alarms that fire behind it. Those that
/// do not fire stay alone, but for the same alert of many instances.
#[must_use]
pub fn groups<'a>(store: &Store, alarms: impl Iterator<Item = &'a Alarm>) -> Vec<Group<'a>> {
    let mut all: Vec<&Alarm> = alarms.collect();
    all.sort_by(|a, b| a.id.cmp(&b.id));
    let mut told = HashSet::default();
    all.retain(|a| a.uid.is_empty() || told.insert(&a.uid));
    let mut behind = swallowed(&all);
    let hidden: HashSet<&ObjectId> = behind.values().flatten().map(|a| &a.id).collect();
    // By class and subject (or, without one, by cluster and name), inside by name.
    let mut gathered: BTreeMap<Key, BTreeMap<Text, Vec<&'a Alarm>>> = BTreeMap::new();
    for a in all.iter().filter(|a| !hidden.contains(&a.id)) {
        let (class, about) = (class(a), subject(store, a));
        let anchor = || ObjectId { name: Text::empty(), ..a.id.clone() };
        let own = (about.is_none() || class != Class::Firing).then(|| (anchor(), a.alert_name().clone()));
        let alerts = gathered.entry((class, about, own)).or_default();
        alerts.entry(a.alert_name().clone()).or_default().push(a);
    }
    let mut out: Vec<(Class, Group<'a>)> = gathered
        .into_iter()
        .map(|((class, about, _), alerts)| {
            let mut alerts: Vec<Alert<'a>> = alerts.into_values().filter_map(|a| alert(a, &mut behind)).collect();
            let composite = |a: &Alert<'_>| a.lead.source != AlarmSource::CloudWatchComposite;
            alerts.sort_by(|a, b| {
                b.lead
                    .severity
                    .cmp(&a.lead.severity)
                    .then_with(|| composite(a).cmp(&composite(b)))
                    .then_with(|| a.lead.id.cmp(&b.lead.id))
            });
            (class, Group { about, alerts })
        })
        .collect();
    out.sort_by(|(class_a, a), (class_b, b)| {
        let key = |g: &Group<'_>| (std::cmp::Reverse(g.lead().map(|l| l.severity)), rank(g.about.as_ref()));
        class_a.cmp(class_b).then_with(|| key(a).cmp(&key(b))).then_with(|| {
            let name = |g: &Group<'_>| g.lead().map(|l| (l.id.name.clone(), l.id.clone()));
            name(a).cmp(&name(b))
        })
    });
    out.into_iter().map(|(_, group)| group).collect()
}

/// A group as it is kept: slots of alarms, which hold for one revision of their table.
#[derive(Debug)]
pub(super) struct Kept {
    about: Option<ObjectId>,
    alerts: Vec<(Slot, Vec<Slot>)>,
}

/// The groups of all alarms that are problems, as [`groups`] gathers them; gathered again only when an
/// alarm, a workload or the owner of a task that an alarm is about has changed.
#[must_use]
pub fn trouble(store: &Store) -> Vec<Group<'_>> {
    let key = (store.alarms.revision(), store.workloads.revision(), owners(store));
    let kept = store.trouble.at(key, || kept(store));
    let alert = |(lead, rest): &(Slot, Vec<Slot>)| {
        Some(Alert {
            lead: store.alarms.at(*lead)?,
            rest: rest.iter().filter_map(|slot| store.alarms.at(*slot)).collect(),
        })
    };
    let group = |k: &Kept| Group { about: k.about.clone(), alerts: k.alerts.iter().filter_map(alert).collect() };
    kept.iter().map(group).collect()
}

fn kept(store: &Store) -> Arc<[Kept]> {
    let slot = |a: &Alarm| store.alarms.slot(&a.id);
    let alert = |a: &Alert<'_>| Some((slot(a.lead)?, a.rest.iter().filter_map(|a| slot(a)).collect()));
    let keep = |g: Group<'_>| Kept { alerts: g.alerts.iter().filter_map(alert).collect(), about: g.about };
    groups(store, store.alarms.rows().filter(|a| a.health().is_problem())).into_iter().map(keep).collect()
}

/// What tells one set of owners of the tasks that alarms are about from another.
fn owners(store: &Store) -> u64 {
    let mut hasher = DefaultHasher::new();
    for about in store.alarms.rows().filter_map(|a| a.about.as_ref()).filter(|about| about.kind == Kind::Task) {
        store.tasks.get(about).map(|t| (t.owner_kind, &t.owner)).hash(&mut hasher);
    }
    hasher.finish()
}

fn alert<'a>(mut alarms: Vec<&'a Alarm>, behind: &mut HashMap<ObjectId, Vec<&'a Alarm>>) -> Option<Alert<'a>> {
    alarms.sort_by(|a, b| order(a, b));
    let mut rest: Vec<&Alarm> = alarms.iter().flat_map(|a| behind.remove(&a.id).unwrap_or_default()).collect();
    rest.sort_by(|a, b| order(a, b));
    let mut alarms = alarms.into_iter();
    let lead = alarms.next()?;
    Some(Alert { lead, rest: alarms.chain(rest).collect() })
}

/// The firing alarms behind each firing composite one: its own and, through composite
/// ones among them, theirs. An alarm that several watch is behind the first of them.
fn swallowed<'a>(all: &[&'a Alarm]) -> HashMap<ObjectId, Vec<&'a Alarm>> {
    // Names are unique in an account and region, which the ARN begins with.
    let place = |a: &Alarm| match a.uid.strip_suffix(a.id.name.as_str()) {
        Some(place) if !place.is_empty() => place.to_owned(),
        _ => a.id.cluster.to_string(),
    };
    let firing = || all.iter().copied().filter(|a| class(a) == Class::Firing);
    if !firing().any(|a| !a.more.children.is_empty()) {
        return HashMap::default();
    }
    let by_name: HashMap<(String, &Text), &'a Alarm> = firing().map(|a| ((place(a), &a.id.name), a)).collect();
    let mut parent: HashMap<&'a ObjectId, &'a Alarm> = HashMap::default();
    for a in firing() {
        for child in a.more.children.iter().filter_map(|c| by_name.get(&(place(a), c))) {
            if child.id != a.id && root(&parent, a).id != child.id {
                parent.entry(&child.id).or_insert(a);
            }
        }
    }
    let mut out: HashMap<ObjectId, Vec<&'a Alarm>> = HashMap::default();
    for a in firing().filter(|a| parent.contains_key(&a.id)) {
        out.entry(root(&parent, a).id.clone()).or_default().push(a);
    }
    out
}

fn root<'a>(parent: &HashMap<&'a ObjectId, &'a Alarm>, of: &'a Alarm) -> &'a Alarm {
    let mut at = of;
    while let Some(up) = parent.get(&at.id) {
        at = up;
    }
    at
}

/// The lines of a group: its lead, and what is behind it where that is `open`.
#[must_use]
pub fn lines<S: std::hash::BuildHasher>(
    group: &Group<'_>,
    store: &Store,
    open: &std::collections::HashSet<ObjectId, S>,
) -> Vec<AlarmLine> {
    let Some(lead) = group.lead() else { return Vec::new() };
    let line = |a: &Alarm, depth: u8, rest: &[&Alarm], others: usize| {
        let instances = rest.len();
        let open = instances + others > 0 && open.contains(&a.id);
        let stands_for = !open && a.more.children.is_empty();
        AlarmLine {
            id: a.id.clone(),
            about: subject(store, a),
            depth,
            instances,
            alike: if stands_for { rest.iter().map(|a| a.id.clone()).collect() } else { Vec::new() },
            others,
            open,
            health: a.health(),
            labels: a.labels.clone(),
        }
    };
    let own = group.alerts.first().map_or(&[][..], |a| a.rest.as_slice());
    let mut out = vec![line(lead, 0, own, group.len() - 1 - own.len())];
    if !out.first().is_some_and(|l| l.open) {
        return out;
    }
    for (n, alert) in group.alerts.iter().enumerate() {
        let depth = if n == 0 { 1 } else { 2 };
        if n > 0 {
            out.push(line(alert.lead, 1, &alert.rest, 0));
            if !out.last().is_some_and(|l| l.open) {
                continue;
            }
        }
        out.extend(alert.rest.iter().map(|a| line(a, depth, &[], 0)));
    }
    out
}
