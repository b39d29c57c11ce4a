//! What a drain would do, pod by pod.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::super::intent::{Intent, Verb};
use super::super::super::plan::{Change, Fate, Plan, Precondition};
use super::super::budgets::Budgets;
use super::super::edit::missing;
use super::super::object::{self, flag, named};
use super::super::{Kubernetes, Need};
use super::classify::{Class, is_exempt};
use super::{Pod, refusals};
use crate::domain::{Kind, ObjectId, Text};

/// An owner of tasks: its namespace, kind and name.
type Owner = (String, String, String);

/// Owners that are looked at for how many tasks they have: each is a request.
const OWNERS: usize = 40;

impl Kubernetes {
    pub(in super::super) async fn plan_drain(&self, plan: &mut Plan) -> Result<(), Text> {
        let intent = plan.intent.clone();
        let mut budgets = Budgets::default();
        // Of each owner, how a task of it stands that does not serve: empty while one does.
        let mut owners: BTreeMap<Owner, Text> = BTreeMap::new();
        let mut needs = Vec::new();
        for id in &intent.targets {
            let node = match self.read(id).await {
                Ok(node) => node,
                Err(error) => {
                    missing(plan, id, &error)?;
                    continue;
                }
            };
            let pods = self.pods_on(id, &intent.options).await;
            let pods = pods.map_err(|e| Text::new(&format!("the tasks on {} cannot be read: {e}", named(id))))?;
            self.remember(Verb::Drain, &node);
            plan.changes.push(cordon(id, &node, &pods));
            needs.push(Need::of("patch", id));
            plan.refused.extend(refusals(&pods).iter().map(|r| Text::new(r)));
            plan.equivalent.push(self.kubectl_drain(&intent, id));
            for pod in &pods {
                budgets.load(self, pod.id.namespace.as_str()).await;
                if matches!(pod.judged.class, Class::Evict | Class::Finished) {
                    needs.push(Need { resource: "pods/eviction", name: String::new(), ..Need::of("create", &pod.id) });
                    if let Some((kind, name, _)) = object::controller(&pod.object) {
                        let owner = (pod.id.namespace.to_string(), kind.to_owned(), name.to_owned());
                        let down = if pod.serves { Text::empty() } else { pod.status.clone() };
                        owners
                            .entry(owner)
                            .and_modify(|d| {
                                if pod.serves {
                                    *d = Text::empty();
                                }
                            })
                            .or_insert(down);
                    }
                }
                let change = row(pod, &mut budgets, &mut plan.refused);
                plan.changes.push(change);
            }
        }
        for (namespace, why) in &budgets.unread {
            plan.warnings.push(Text::new(&format!("the budgets of {namespace} cannot be read: {why}")));
        }
        self.warn_single(plan, owners).await;
        warn_costs(plan);
        plan.needs = self.permissions(needs).await;
        plan.undo = Text::new("uncordon the node; tasks that have moved do not come back by themselves");
        Ok(())
    }

    /// Says which workloads have one task only, which is away until another serves, if it served at all.
    async fn warn_single(&self, plan: &mut Plan, owners: BTreeMap<Owner, Text>) {
        let Some(cluster) = plan.intent.targets.first().map(|t| t.cluster.clone()) else { return };
        for ((namespace, kind, name), down) in owners.into_iter().take(OWNERS) {
            let kind = Kind::from_kubernetes(&kind);
            if !matches!(kind, Kind::ReplicaSet | Kind::StatefulSet) {
                continue;
            }
            let id =
                ObjectId { cluster: cluster.clone(), kind, namespace: Text::new(&namespace), name: Text::new(&name) };
            let Ok(owner) = self.read(&id).await else { continue };
            if object::replicas(&owner) == 1 {
                let top = object::controller(&owner).map_or_else(
                    || named(&id),
                    |(kind, name, _)| format!("{} {namespace}/{name}", Kind::from_kubernetes(kind).short()),
                );
                let what = if down.is_empty() {
                    format!("{top} has one task: it is away until another one serves")
                } else {
                    format!("{top} has one task, and that is down already: {down}")
                };
                plan.warnings.push(Text::new(&what));
            }
        }
    }

    fn kubectl_drain(&self, intent: &Intent, id: &ObjectId) -> String {
        let options = &intent.options;
        let timeout = format!("--timeout={}s", options.timeout);
        let grace = options.grace.map(|g| format!("--grace-period={g}"));
        let mut arguments = vec!["drain", id.name.as_str()];
        for (on, flag) in [
            (options.ignore_daemonsets, "--ignore-daemonsets"),
            (options.delete_emptydir_data, "--delete-emptydir-data"),
            (options.force, "--force"),
        ] {
            arguments.extend(on.then_some(flag));
        }
        arguments.extend(grace.as_deref());
        arguments.push(&timeout);
        self.kubectl(&arguments)
    }
}

fn cordon(id: &ObjectId, node: &Value, pods: &[Pod]) -> Change {
    let already = flag(node, "/spec/unschedulable");
    let count = |class: Class| pods.iter().filter(|p| p.judged.class == class).count();
    let go = count(Class::Evict) + count(Class::Finished) + count(Class::Terminating);
    let note =
        format!("{go} of {} tasks go{}", pods.len(), if already { "; it takes no new ones already" } else { "" });
    Change {
        target: id.clone(),
        field: Text::new("schedulable"),
        from: Text::new(if already { "no" } else { "yes" }),
        to: Text::new("no"),
        fate: if already { Fate::Stays } else { Fate::Acts },
        note: Text::new(&note),
        precondition: object::as_it_is(node),
    }
}

/// A pod's row; one under several budgets is refused, since the API never lets it go.
fn row(pod: &Pod, budgets: &mut Budgets, refused: &mut Vec<Text>) -> Change {
    let mut note = pod.judged.note.clone();
    let (field, to, fate) = match pod.judged.class {
        Class::Daemon | Class::Mirror => ("leave", "", Fate::Stays),
        Class::Refused => ("evict", "", Fate::Stays),
        Class::Terminating => ("wait", "gone", Fate::Waits),
        Class::Finished => ("evict", "gone", Fate::Acts),
        Class::Evict => {
            let fate = budgeted(pod, budgets, &mut note, refused);
            ("evict", if fate == Fate::Stays { "" } else { "gone" }, fate)
        }
    };
    Change {
        target: pod.id.clone(),
        field: Text::new(field),
        from: pod.status.clone(),
        to: Text::new(to),
        fate,
        note: Text::new(&note),
        precondition: Precondition::Uid(Text::new(&pod.uid)),
    }
}

fn budgeted(pod: &Pod, budgets: &mut Budgets, note: &mut String, refused: &mut Vec<Text>) -> Fate {
    if is_exempt(&pod.object) {
        return Fate::Acts;
    }
    let over: Vec<String> = budgets.over(&pod.object).map(|b| b.name.clone()).collect();
    let mut say = |text: String| {
        let gap = if note.is_empty() { "" } else { "; " };
        note.push_str(gap);
        note.push_str(&text);
    };
    if over.len() > 1 {
        let why = format!(
            "{} budgets are over it ({}), and the eviction API refuses that for ever; leave one of them",
            over.len(),
            over.join(", ")
        );
        refused.push(Text::new(&format!("{}: {why}", named(&pod.id))));
        say(why);
        return Fate::Stays;
    }
    let Some(budget) = budgets.first_over(&pod.object) else { return Fate::Acts };
    let says = budget.says();
    if budget.take(&pod.object) {
        return Fate::Acts;
    }
    say(format!("{says}: it waits, and is tried again every 5 s"));
    Fate::Waits
}

fn warn_costs(plan: &mut Plan) {
    let count = |what: &str| plan.changes.iter().filter(|c| c.fate != Fate::Stays && c.note.contains(what)).count();
    let (data, alone) = (count("emptyDir data is lost"), count("nothing will replace it"));
    let waits = plan.changes.iter().filter(|c| c.fate == Fate::Waits && c.field.as_str() == "evict").count();
    if data > 0 {
        plan.warnings.push(Text::new(&format!("emptyDir data of {data} tasks is lost")));
    }
    if alone > 0 {
        plan.warnings.push(Text::new(&format!("{alone} tasks have nobody who replaces them")));
    }
    if waits > 0 {
        let timeout = plan.intent.options.timeout;
        plan.warnings.push(Text::new(&format!("{waits} tasks wait for a budget; after {timeout} s it gives up")));
    }
}
