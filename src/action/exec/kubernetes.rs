//! Exec, attach and port-forward in Kubernetes.

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::forward::{self, Forwards};
use super::gather::{self, Outputs};
use super::{change, command, joined};
use crate::action::desk::Progress;
use crate::action::intent::{Intent, Verb};
use crate::action::plan::{Change, End, Fate, Outcome, Permission, Plan, Precondition, StepState};
use crate::action::session::{Ended, Remote, Stage, Work};
use crate::domain::{ObjectId, Text, Timestamp};
use crate::source::SourceError;
use crate::source::kubernetes::{Process, Reader, Streams};

/// What names the container that one means.
const DEFAULT: &str = "kubectl.kubernetes.io/default-container";
/// How many one-off commands run at once.
pub const AT_ONCE: usize = 8;

/// What is known of the cluster.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// For the command to copy.
    pub context: Option<String>,
    /// Marked as production.
    pub production: bool,
}

/// What an action on pods needs.
#[derive(Clone)]
pub struct Hands {
    /// To look at pods.
    pub reader: Reader,
    /// To connect into them.
    pub streams: Streams,
    /// Where the terminal is asked for.
    pub stage: Stage,
    /// What one-off commands said.
    pub outputs: Outputs,
    /// What is forwarded.
    pub forwards: Forwards,
}

/// What has to be allowed of [`resource`]. A websocket is asked for with GET, which servers authorise as `get`;
/// from 1.35 on they want `create` as well, which roles have always had to give for SPDY. What only an older
/// server lets pass is not offered either.
pub const VERBS: [&str; 2] = ["get", "create"];

/// The resource that is entered.
#[must_use]
pub fn resource(verb: Verb) -> &'static str {
    match verb {
        Verb::Attach => "pods/attach",
        Verb::PortForward => "pods/portforward",
        _ => "pods/exec",
    }
}

/// The plan for `pods`, each with its object as the server has it, or why that could not be read. `allowed`
/// answers one of [`VERBS`] in a namespace, as far as the server was asked.
#[must_use]
pub fn plan(
    intent: &Intent,
    pods: &[(ObjectId, Result<Value, Text>)],
    place: &Place,
    allowed: impl Fn(&str, &str) -> Option<bool>,
    made: Timestamp,
) -> Plan {
    let mut plan = Plan::new(intent.clone(), made);
    if pods.len() > 1 && (intent.verb != Verb::Exec || intent.options.tty) {
        plan.refused.push(Text::new(if intent.verb == Verb::Exec {
            "several tasks at once need a command, without a terminal: its output is gathered"
        } else {
            "one task at a time"
        }));
    }
    if intent.verb == Verb::Exec && !intent.options.tty && intent.options.command.is_empty() {
        plan.refused.push(Text::new("a shell needs a terminal; give a command"));
    }
    if intent.verb == Verb::PortForward && intent.options.ports.is_none_or(|(_, remote)| remote == 0) {
        plan.refused.push(Text::new("say which port of the task, such as 8080, or LOCAL:REMOTE"));
    }
    for (id, pod) in pods {
        match pod {
            Ok(pod) => target(&mut plan, id, pod, place),
            Err(why) => stays(&mut plan, id, why),
        }
    }
    if pods.len() == 1
        && let Some(only) = plan.changes.iter().find(|c| c.fate == Fate::Stays)
    {
        plan.refused.push(only.note.clone());
    }
    let mut namespaces: Vec<&Text> = pods.iter().map(|(id, _)| &id.namespace).collect();
    namespaces.sort();
    namespaces.dedup();
    for (namespace, verb) in namespaces.into_iter().flat_map(|n| VERBS.map(|verb| (n, verb))) {
        let what = Text::new(&format!("{verb} {} in {namespace}", resource(intent.verb)));
        plan.needs.push(Permission { what, allowed: allowed(verb, namespace.as_str()) });
    }
    if place.production && intent.verb != Verb::PortForward {
        plan.warnings
            .push(Text::new("this is production: what is run in there takes effect at once, and nothing undoes it"));
    }
    plan
}

fn stays(plan: &mut Plan, id: &ObjectId, why: &Text) {
    let mut row = change(&plan.intent, id, "", &Value::Null);
    (row.fate, row.note, row.field) = (Fate::Stays, why.clone(), Text::new(plan.intent.verb.name()));
    plan.changes.push(row);
}

fn target(plan: &mut Plan, id: &ObjectId, pod: &Value, place: &Place) {
    let intent = plan.intent.clone();
    let (container, others) = if intent.verb == Verb::PortForward {
        if let Err(why) = running(pod) {
            return stays(plan, id, &why);
        }
        (String::new(), Vec::new())
    } else {
        match chosen(pod, intent.options.container.as_deref()) {
            Ok(chosen) => chosen,
            Err(why) => return stays(plan, id, &why),
        }
    };
    let mut row = change(&intent, id, &container, &pod["metadata"]["uid"]);
    if !others.is_empty() && intent.options.container.is_none() {
        row.note = Text::new(&format!("also has {}", others.join(", ")));
    }
    if intent.verb == Verb::PortForward {
        let (_, remote) = intent.options.ports.unwrap_or_default();
        let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
        let declared: Vec<u64> = containers
            .flat_map(|c| c["ports"].as_array().into_iter().flatten())
            .filter_map(|p| p["containerPort"].as_u64())
            .collect();
        if !declared.is_empty() && !declared.contains(&u64::from(remote)) {
            let all: Vec<String> = declared.iter().map(u64::to_string).collect();
            row.note =
                Text::new(&format!("declares port {}, not {remote}; it may listen all the same", all.join(", ")));
        }
    }
    if intent.verb == Verb::Attach && spec(pod, &container)["stdin"] != true {
        row.note = Text::new("takes no input: its output is shown, and ctrl-c leaves it");
    }
    plan.changes.push(row);
    plan.equivalent.push(by_hand(&intent, id, &container, place));
}

fn spec<'p>(pod: &'p Value, container: &str) -> &'p Value {
    let lists = ["containers", "ephemeralContainers", "initContainers"].map(|l| pod["spec"][l].as_array());
    lists.into_iter().flatten().flatten().find(|c| c["name"] == container).unwrap_or(&Value::Null)
}

/// Why nothing can be done in a pod, if so.
fn running(pod: &Value) -> Result<(), Text> {
    let phase = pod["status"]["phase"].as_str().unwrap_or_default();
    if phase == "Running" {
        return Ok(());
    }
    Err(Text::new(&format!("does not run: it is {}", if phase.is_empty() { "not known what it does" } else { phase })))
}

/// The container that is meant, and the others: the one asked for, the one that the pod names, or the first.
///
/// # Errors
/// In words: there is none of that name, or it does not run.
pub fn chosen(pod: &Value, asked: Option<&str>) -> Result<(String, Vec<String>), Text> {
    running_or_init(pod)?;
    let names = |list: &str| -> Vec<String> {
        let all = pod["spec"][list].as_array().into_iter().flatten();
        all.filter_map(|c| c["name"].as_str()).map(str::to_owned).collect()
    };
    let main = names("containers");
    let mut all = main.clone();
    all.extend(names("ephemeralContainers"));
    all.extend(names("initContainers"));
    let named = pod["metadata"]["annotations"][DEFAULT].as_str().filter(|n| main.iter().any(|m| m == n));
    let name = asked.or(named).or(main.first().map(String::as_str)).unwrap_or_default().to_owned();
    if !all.contains(&name) {
        return Err(Text::new(&format!("has no container {name}; it has {}", all.join(", "))));
    }
    let lists = ["containerStatuses", "ephemeralContainerStatuses", "initContainerStatuses"];
    let mut states = lists.iter().flat_map(|l| pod["status"][*l].as_array().into_iter().flatten());
    let state = states.find(|s| s["name"] == name.as_str()).map_or(&Value::Null, |s| &s["state"]);
    if !state["running"].is_object() {
        let why = ["waiting", "terminated"].iter().find_map(|s| state[*s]["reason"].as_str());
        return Err(Text::new(&format!(
            "its container {name} does not run ({})",
            why.unwrap_or("nothing is said of it")
        )));
    }
    let others = main.into_iter().filter(|m| *m != name).collect();
    Ok((name, others))
}

/// Init containers run while the pod is pending.
fn running_or_init(pod: &Value) -> Result<(), Text> {
    if pod["status"]["phase"] == "Pending" { Ok(()) } else { running(pod) }
}

/// The same with kubectl.
fn by_hand(intent: &Intent, id: &ObjectId, container: &str, place: &Place) -> String {
    let mut words = vec!["kubectl".to_owned()];
    if let Some(context) = &place.context {
        words.extend(["--context".to_owned(), context.clone()]);
    }
    words.extend(["-n".to_owned(), id.namespace.to_string(), intent.verb.name().to_owned()]);
    if intent.verb == Verb::PortForward {
        let (local, remote) = intent.options.ports.unwrap_or_default();
        let local = if local == 0 { String::new() } else { local.to_string() };
        words.extend([format!("pod/{}", id.name), format!("{local}:{remote}")]);
        return joined(&words);
    }
    if intent.options.tty {
        words.push("-it".to_owned());
    }
    words.extend([id.name.to_string(), "-c".to_owned(), container.to_owned()]);
    if intent.verb == Verb::Exec {
        words.push("--".to_owned());
        words.extend(command(intent));
    }
    joined(&words)
}

/// Does what a plan of [`plan`] says.
pub async fn run(hands: &Hands, plan: &Plan, progress: &Progress, cancel: &CancellationToken) -> End {
    let acting: Vec<&Change> = plan.changes.iter().filter(|c| c.fate == Fate::Acts).collect();
    let Some(first) = acting.first() else { return End::failed("there is nothing to do", None) };
    match (plan.intent.verb, plan.intent.options.tty) {
        (Verb::PortForward, _) => forwarded(hands, plan, first, progress, cancel).await,
        (Verb::Exec, false) => gather::run(hands, &plan.intent, &acting, progress, cancel).await,
        _ => on_stage(hands, plan, first, progress, cancel).await,
    }
}

/// Starts the process of one target, if it is still the pod that was planned for; says whether it has a terminal.
/// A process that is attached to has what its container has, whatever is asked for.
///
/// # Errors
/// In words.
pub async fn start(
    hands: &Hands,
    intent: &Intent,
    change: &Change,
    (tty, stdin): (bool, bool),
) -> Result<(Remote, bool), Text> {
    let pod = hands.reader.object(&change.target).await.map_err(|e| words(&e))?;
    if let Precondition::Uid(uid) = &change.precondition
        && pod["metadata"]["uid"].as_str() != Some(uid.as_str())
    {
        return Err(Text::new("it is another pod by now; look again"));
    }
    let (container, _) = chosen(&pod, intent.options.container.as_deref())?;
    let (tty, stdin) = match intent.verb {
        Verb::Attach => {
            let spec = spec(&pod, &container);
            (tty && spec["tty"] == true, stdin && spec["stdin"] == true)
        }
        _ => (tty, stdin),
    };
    let (pod, command) = (change.target.clone(), command(intent));
    let process = Process { pod, container, command, tty, stdin };
    Ok((hands.streams.process(&process).await.map_err(|e| words(&e))?, tty))
}

/// What went wrong, without what only readers say of it.
#[must_use]
pub fn words(error: &SourceError) -> Text {
    match error {
        SourceError::Server { code, message } => Text::new(&format!("the server answered {code}: {message}")),
        SourceError::Forbidden { what } => Text::new(&format!("not allowed: {what}")),
        other => other.text(),
    }
}

async fn on_stage(hands: &Hands, plan: &Plan, change: &Change, progress: &Progress, cancel: &CancellationToken) -> End {
    let target = Some(&change.target);
    progress.step(target, StepState::Doing, "connecting").await;
    let title = Text::new(&format!("{} in {}", super::what(&plan.intent), change.target.name));
    let work = async {
        match start(hands, &plan.intent, change, (true, true)).await {
            Ok((remote, tty)) => hands.stage.play(title, Work::Remote { remote, tty }).await,
            Err(why) => Ended::Failed(why),
        }
    };
    let ended = tokio::select! {
        biased;
        () = cancel.cancelled() => return End { outcome: Outcome::Cancelled, text: Text::new("cancelled"), undo: None },
        ended = work => ended,
    };
    let ended = if plan.intent.options.command.is_empty() { no_shell(ended) } else { ended };
    let text = format!("{} in {} {}", plan.intent.verb, change.target.name, ended.words());
    let (state, outcome) = match &ended {
        // Whatever it ended with: the session was what was asked for.
        Ended::Code(_) | Ended::Left => (StepState::Done, Outcome::Done),
        Ended::Failed(_) => (StepState::Failed, Outcome::Failed),
        Ended::Cut(_) => (StepState::Failed, Outcome::Unknown),
    };
    progress.step(target, state, ended.words().as_str()).await;
    End { outcome, text: Text::new(&text), undo: None }
}

/// Says what to do where there is no shell.
#[must_use]
pub fn no_shell(ended: Ended) -> Ended {
    let is_absent = |why: &Text| {
        let why = why.as_str();
        ["executable file not found", "no such file or directory"].iter().any(|w| why.contains(w))
    };
    match ended {
        Ended::Failed(why) if is_absent(&why) => Ended::Failed(Text::new(
            "there is no shell in this container; give a command that is there, or bring one: kubectl debug -it POD --image=busybox --target=CONTAINER",
        )),
        other => other,
    }
}

async fn forwarded(
    hands: &Hands,
    plan: &Plan,
    change: &Change,
    progress: &Progress,
    cancel: &CancellationToken,
) -> End {
    let (local, remote) = plan.intent.options.ports.unwrap_or_default();
    let (streams, pod) = (hands.streams.clone(), change.target.clone());
    let carry = move |socket| {
        let (streams, pod) = (streams.clone(), pod.clone());
        async move { streams.port(&pod, remote, socket).await }
    };
    forward::run(&hands.forwards, &change.target, (local, remote), carry, progress, cancel).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ClusterId, Kind};
    use serde_json::json;

    fn id(name: &str) -> ObjectId {
        let (cluster, namespace) = (ClusterId::new("c"), Text::new("shop"));
        ObjectId { cluster, kind: Kind::Task, namespace, name: Text::new(name) }
    }

    fn pod() -> Value {
        json!({"metadata": {"name": "web-1", "uid": "u1", "annotations": {}},
            "spec": {"containers": [{"name": "app", "ports": [{"containerPort": 8080}]}, {"name": "proxy"}]},
            "status": {"phase": "Running", "containerStatuses": [
                {"name": "app", "state": {"running": {}}},
                {"name": "proxy", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}})
    }

    fn planned(intent: &Intent, pods: &[(ObjectId, Result<Value, Text>)]) -> Plan {
        let place = Place { context: Some("my prod".to_owned()), production: true };
        plan(intent, pods, &place, |_, ns| Some(ns == "shop"), Timestamp::default())
    }

    #[test]
    fn a_shell_in_the_container_that_is_meant() {
        let intent = Intent::new(Verb::Exec, vec![id("web-1")]);
        let p = planned(&intent, &[(id("web-1"), Ok(pod()))]);
        assert!(p.is_possible(), "{p:?}");
        assert_eq!(p.changes[0].field.as_str(), "exec in app");
        assert_eq!(p.changes[0].to.as_str(), "a shell");
        assert_eq!(p.changes[0].note.as_str(), "also has proxy");
        assert_eq!(p.changes[0].precondition, Precondition::Uid(Text::new("u1")));
        let needs: Vec<&str> = p.needs.iter().map(|n| n.what.as_str()).collect();
        assert_eq!(needs, ["get pods/exec in shop", "create pods/exec in shop"]);
        assert!(p.warnings[0].as_str().contains("production"));
        assert_eq!(
            p.equivalent[0],
            "kubectl --context 'my prod' -n shop exec -it web-1 -c app -- sh -c 'command -v bash >/dev/null 2>&1 && exec bash || exec sh'"
        );
        let mut annotated = pod();
        annotated["metadata"]["annotations"][DEFAULT] = json!("proxy");
        let p = planned(&intent, &[(id("web-1"), Ok(annotated))]);
        assert_eq!(p.refused[0].as_str(), "its container proxy does not run (CrashLoopBackOff)");
        assert!(!p.is_possible());
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_would() {
        let mut intent = Intent::new(Verb::Exec, vec![id("web-1"), id("web-2")]);
        let both = [(id("web-1"), Ok(pod())), (id("web-2"), Err(Text::new("is gone")))];
        assert!(planned(&intent, &both).refused[0].as_str().contains("without a terminal"));
        intent.options.tty = false;
        assert!(planned(&intent, &both).refused[0].as_str().contains("give a command"));
        intent.options.command = vec!["id".to_owned()];
        let p = planned(&intent, &both);
        assert!(p.is_possible() && p.acts() == 1, "{p:?}");
        intent.options.container = Some("nope".to_owned());
        let p = planned(&intent, &both[..1]);
        assert_eq!(p.refused[0].as_str(), "has no container nope; it has app, proxy");
        let mut forward = Intent::new(Verb::PortForward, vec![id("web-1")]);
        assert!(planned(&forward, &both[..1]).refused[0].as_str().contains("say which port"));
        forward.options.ports = Some((0, 9090));
        let p = planned(&forward, &both[..1]);
        assert!(p.is_possible() && p.changes[0].note.as_str().starts_with("declares port 8080"), "{p:?}");
        assert_eq!(p.equivalent[0], "kubectl --context 'my prod' -n shop port-forward pod/web-1 :9090");
    }

    #[test]
    fn a_container_without_a_shell_is_told() {
        let why = "exec: \"sh\": executable file not found in $PATH: unknown";
        let Ended::Failed(told) = no_shell(Ended::Failed(Text::new(why))) else { panic!("still failed") };
        assert!(told.as_str().contains("kubectl debug"), "{told}");
        assert_eq!(no_shell(Ended::Code(127)), Ended::Code(127));
    }
}
