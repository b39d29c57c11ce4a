//! ECS exec and port-forward: what has to be so before, and the plugin that does it.

use serde_json::Value;
#[cfg(feature = "aws")]
use tokio_util::sync::CancellationToken;

use super::plugin::{NAME, Plugin};
use super::{change, joined};
#[cfg(feature = "aws")]
use crate::action::desk::Progress;
use crate::action::intent::{Intent, Verb};
#[cfg(feature = "aws")]
use crate::action::plan::{Change, End, Outcome, StepState};
use crate::action::plan::{Fate, Permission, Plan};
use crate::action::session::Program;
#[cfg(feature = "aws")]
use crate::action::session::{Ended, Stage, Work};
use crate::domain::{ObjectId, Text, Timestamp};
use crate::source::ecs::DOCUMENT;
pub use crate::source::session::Started;

/// The variable that the session's token goes through: the plugin takes one whose name begins so, and unsets it.
pub const VARIABLE: &str = "AWS_SSM_START_SESSION_RESPONSE_QUARTERDECK";
/// What runs in the task and lets one in.
const AGENT: &str = "ExecuteCommandAgent";

/// Where the cluster is, for the command to copy.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// Name or ARN.
    pub cluster: String,
    /// Region.
    pub region: String,
    /// Profile, where one is named.
    pub profile: Option<String>,
    /// Marked as production.
    pub production: bool,
}

/// What is run, as one string: ECS takes no list. A shell is found as in Kubernetes.
#[must_use]
pub fn command_line(intent: &Intent) -> String {
    if intent.options.command.is_empty() {
        joined(&super::SHELL.map(str::to_owned))
    } else {
        joined(&intent.options.command)
    }
}

/// The plan for a task, as ECS describes it, with the plugin that was found.
#[must_use]
pub fn plan(
    intent: &Intent,
    tasks: &[(ObjectId, Result<Value, Text>)],
    plugin: &Result<Plugin, Text>,
    place: &Place,
    made: Timestamp,
) -> Plan {
    let mut plan = Plan::new(intent.clone(), made);
    match intent.verb {
        Verb::Attach => plan.refused.push(Text::new("ECS has no attach; use exec, or look at the log")),
        _ if tasks.len() > 1 => plan.refused.push(Text::new("ECS lets into one task at a time")),
        Verb::PortForward if intent.options.ports.is_none_or(|(_, remote)| remote == 0) => {
            plan.refused.push(Text::new("say which port of the task, such as 8080, or LOCAL:REMOTE"));
        }
        Verb::PortForward => {}
        _ if !intent.options.tty => {
            plan.refused.push(Text::new("ECS exec always has a terminal: leave its output on the screen"));
        }
        _ => {}
    }
    if let Err(why) = plugin {
        plan.refused.push(why.clone());
    }
    for (id, task) in tasks {
        let found = task.clone().and_then(|task| chosen(&task, intent.options.container.as_deref()).map(|c| (task, c)));
        match found {
            Ok((task, (container, others))) => {
                let mut row = change(intent, id, &container, &Value::Null);
                if intent.verb == Verb::PortForward {
                    row.note = Text::new(&format!("through {NAME} and the agent in {container}"));
                } else if !others.is_empty() && intent.options.container.is_none() {
                    row.note = Text::new(&format!("also has {}", others.join(", ")));
                }
                plan.changes.push(row);
                plan.refused.extend(preflight(&task, &container));
                plan.equivalent.push(by_hand(intent, &task, &container, place));
            }
            Err(why) => {
                let mut row = change(intent, id, "", &Value::Null);
                (row.fate, row.note) = (Fate::Stays, why.clone());
                plan.changes.push(row);
                plan.refused.push(why);
            }
        }
    }
    let needs: &[&str] = if intent.verb == Verb::PortForward {
        &["ssm:StartSession", "ssm:TerminateSession"]
    } else {
        &["ecs:ExecuteCommand", "ssm:TerminateSession"]
    };
    for what in needs {
        plan.needs.push(Permission { what: Text::new(what), allowed: None });
    }
    if place.production && intent.verb != Verb::PortForward {
        plan.warnings
            .push(Text::new("this is production: what is run in there takes effect at once, and nothing undoes it"));
    }
    plan
}

/// The container that is meant, and the others.
///
/// # Errors
/// In words: there is none of that name.
pub fn chosen(task: &Value, asked: Option<&str>) -> Result<(String, Vec<String>), Text> {
    let containers = task["containers"].as_array().into_iter().flatten();
    let all: Vec<String> = containers.filter_map(|c| c["name"].as_str()).map(str::to_owned).collect();
    // What AWS puts in beside the task's own.
    let own = |name: &&String| !name.starts_with("aws-guardduty-agent") && !name.starts_with("ecs-service-connect");
    let name = asked.map(str::to_owned).or_else(|| all.iter().find(own).cloned()).unwrap_or_default();
    if !all.contains(&name) {
        return Err(Text::new(&format!("has no container {name}; it has {}", all.join(", "))));
    }
    let others = all.into_iter().filter(|n| *n != name).collect();
    Ok((name, others))
}

/// What has to be so before and is not, each with what to do.
#[must_use]
pub fn preflight(task: &Value, container: &str) -> Vec<Text> {
    let mut wrong = Vec::new();
    let mut say = |text: &str| wrong.push(Text::new(text));
    let status = task["lastStatus"].as_str().unwrap_or_default();
    if status != "RUNNING" {
        say(&format!("the task is {status}, not RUNNING"));
    }
    if task["enableExecuteCommand"] != true {
        say(
            "exec is not enabled for this task: update its service with --enable-execute-command, and let it start new tasks",
        );
    }
    let found = task["containers"].as_array().into_iter().flatten().find(|c| c["name"] == container);
    let found = found.unwrap_or(&Value::Null);
    let status = found["lastStatus"].as_str().unwrap_or("not known");
    if status != "RUNNING" {
        say(&format!("its container {container} is {status}, not RUNNING"));
    } else if found["runtimeId"].as_str().is_none_or(str::is_empty) {
        say(&format!("its container {container} has no runtime id yet; wait a moment and look again"));
    }
    if task["enableExecuteCommand"] == true {
        let agents = found["managedAgents"].as_array().into_iter().flatten();
        match agents.into_iter().find(|a| a["name"] == AGENT) {
            Some(agent) if agent["lastStatus"] == "RUNNING" => {}
            Some(agent) => {
                let status = agent["lastStatus"].as_str().unwrap_or("not known");
                let reason = agent["reason"].as_str().map(|r| format!(" ({r})")).unwrap_or_default();
                say(&format!(
                    "the {AGENT} in {container} is {status}, not RUNNING{reason}: look at the task role's ssmmessages permissions and its way to SSM"
                ));
            }
            None => say(&format!(
                "there is no {AGENT} in {container}: the task began before exec was enabled; start a new one"
            )),
        }
    }
    wrong
}

fn by_hand(intent: &Intent, task: &Value, container: &str, place: &Place) -> String {
    let forwards = intent.verb == Verb::PortForward;
    let command: &[&str] =
        if forwards { &["aws", "ssm", "start-session"] } else { &["aws", "ecs", "execute-command", "--interactive"] };
    let mut words: Vec<String> = command.iter().map(|w| (*w).to_owned()).collect();
    let mut option = |name: &str, value: &str| words.extend([name.to_owned(), value.to_owned()]);
    let arn = task["taskArn"].as_str().unwrap_or_default();
    if forwards {
        let (local, remote) = intent.options.ports.unwrap_or_default();
        let mut containers = task["containers"].as_array().into_iter().flatten();
        let runtime = containers.find(|c| c["name"] == container).and_then(|c| c["runtimeId"].as_str());
        let last = |arn: &str| arn.rsplit('/').next().unwrap_or_default().to_owned();
        let target = format!("ecs:{}_{}_{}", last(&place.cluster), last(arn), runtime.unwrap_or("RUNTIME"));
        option("--target", &target);
        option("--document-name", DOCUMENT);
        option("--parameters", &format!("portNumber={remote},localPortNumber={local}"));
    } else {
        option("--cluster", &place.cluster);
        option("--task", arn);
        option("--container", container);
        option("--command", &command_line(intent));
    }
    option("--region", &place.region);
    if let Some(profile) = &place.profile {
        option("--profile", profile);
    }
    joined(&words)
}

/// The plugin as it is to be run: the token in a variable, nothing secret among its arguments.
#[must_use]
pub fn program(plugin: &Plugin, started: &Started, place: &Place) -> Program {
    let arguments = vec![
        VARIABLE.to_owned(),
        place.region.clone(),
        "StartSession".to_owned(),
        place.profile.clone().unwrap_or_default(),
        started.request.clone(),
        started.endpoint.clone(),
    ];
    let variables = vec![(VARIABLE.to_owned(), started.session.clone())];
    Program { path: plugin.path.clone(), arguments, variables }
}

/// Starts the session and gives the terminal to the plugin.
#[cfg(feature = "aws")]
pub async fn run<F>(
    intent: &Intent,
    change: &Change,
    start: F,
    (plugin, place, stage): (&Plugin, &Place, &Stage),
    progress: &Progress,
    cancel: &CancellationToken,
) -> End
where
    F: Future<Output = Result<Started, Text>>,
{
    let target = Some(&change.target);
    progress.step(target, StepState::Doing, "asking ECS to let us in").await;
    let work = async {
        match start.await {
            Ok(started) => {
                let title = Text::new(&format!("{} in {}", super::what(intent), change.target.name));
                stage.play(title, Work::Program(program(plugin, &started, place))).await
            }
            Err(why) => Ended::Failed(why),
        }
    };
    let ended = tokio::select! {
        biased;
        () = cancel.cancelled() => return End { outcome: Outcome::Cancelled, text: Text::new("cancelled"), undo: None },
        ended = work => ended,
    };
    // It is the plugin's exit code: it does not pass on that of the command.
    let text = match &ended {
        Ended::Code(0) => format!("exec in {} ended", change.target.name),
        Ended::Code(code) => format!("exec in {}: {NAME} ended with exit code {code}", change.target.name),
        other => format!("exec in {} {}", change.target.name, other.words()),
    };
    let (state, outcome) = match &ended {
        Ended::Code(0) | Ended::Left => (StepState::Done, Outcome::Done),
        Ended::Code(_) | Ended::Failed(_) => (StepState::Failed, Outcome::Failed),
        Ended::Cut(_) => (StepState::Failed, Outcome::Unknown),
    };
    progress.step(target, state, &text).await;
    End { outcome, text: Text::new(&text), undo: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ClusterId, Kind};
    use serde_json::json;

    fn id() -> ObjectId {
        let (cluster, namespace) = (ClusterId::new("shop"), Text::empty());
        ObjectId { cluster, kind: Kind::Task, namespace, name: Text::new("web:abc") }
    }

    fn task() -> Value {
        json!({"taskArn": "arn:aws:ecs:eu-west-1:1:task/shop/abc", "lastStatus": "RUNNING", "enableExecuteCommand": true,
            "containers": [{"name": "app", "lastStatus": "RUNNING", "runtimeId": "abc-123",
                "managedAgents": [{"name": "ExecuteCommandAgent", "lastStatus": "RUNNING"}]}]})
    }

    fn planned(task: Value, plugin: &Result<Plugin, Text>) -> Plan {
        let intent = Intent::new(Verb::Exec, vec![id()]);
        let place = Place { cluster: "shop".into(), region: "eu-west-1".into(), ..Place::default() };
        plan(&intent, &[(id(), Ok(task))], plugin, &place, Timestamp::default())
    }

    #[expect(clippy::unnecessary_wraps, reason = "as it is found, or not")]
    fn there() -> Result<Plugin, Text> {
        Ok(Plugin { path: "/bin/plugin".into(), version: Text::new("1.2.764.0") })
    }

    #[test]
    fn a_task_that_is_ready_can_be_entered() {
        let p = planned(task(), &there());
        assert!(p.is_possible(), "{p:?}");
        assert!(p.equivalent[0].starts_with(
            "aws ecs execute-command --interactive --cluster shop --task arn:aws:ecs:eu-west-1:1:task/shop/abc --container app --command 'sh -c "
        ));
    }

    #[test]
    fn each_thing_that_is_not_so_is_a_line_of_its_own() {
        let mut bad = task();
        bad["enableExecuteCommand"] = false.into();
        let p = planned(bad, &Err(Text::new("no plugin")));
        assert_eq!(p.refused.len(), 2, "{:?}", p.refused);
        assert!(p.refused[1].as_str().contains("--enable-execute-command"));
        let mut bad = task();
        bad["containers"][0]["managedAgents"][0]["lastStatus"] = "STOPPED".into();
        bad["containers"][0]["runtimeId"] = Value::Null;
        let p = planned(bad, &there());
        assert!(p.refused[0].as_str().contains("no runtime id"), "{:?}", p.refused);
        assert!(p.refused[1].as_str().contains("is STOPPED, not RUNNING"), "{:?}", p.refused);
        let mut bad = task();
        bad["lastStatus"] = "PENDING".into();
        bad["containers"][0]["lastStatus"] = "PENDING".into();
        bad["containers"][0]["managedAgents"] = json!([]);
        assert_eq!(planned(bad, &there()).refused.len(), 3);
    }

    #[test]
    fn a_port_is_forwarded_where_exec_is_possible() {
        let mut intent = Intent::new(Verb::PortForward, vec![id()]);
        let place = Place { cluster: "shop".into(), region: "eu-west-1".into(), production: true, ..Place::default() };
        let planned =
            |intent: &Intent, task: Value| plan(intent, &[(id(), Ok(task))], &there(), &place, Timestamp::default());
        assert!(planned(&intent, task()).refused[0].as_str().contains("say which port"));
        intent.options.ports = Some((9090, 0));
        assert!(planned(&intent, task()).refused[0].as_str().contains("say which port"));
        intent.options.ports = Some((9090, 8080));
        // It needs no terminal, as exec does.
        intent.options.tty = false;
        let p = planned(&intent, task());
        assert!(p.is_possible() && p.warnings.is_empty(), "{p:?}");
        let row = &p.changes[0];
        assert_eq!((row.field.as_str(), row.to.as_str()), ("forward", "127.0.0.1:9090 to port 8080"));
        assert!(row.note.ends_with("the agent in app"), "{}", row.note);
        let needs: Vec<&str> = p.needs.iter().map(|n| n.what.as_str()).collect();
        assert_eq!(needs, ["ssm:StartSession", "ssm:TerminateSession"]);
        let mut bad = task();
        bad["containers"][0]["managedAgents"][0]["lastStatus"] = "STOPPED".into();
        assert!(planned(&intent, bad).refused[0].as_str().contains("is STOPPED, not RUNNING"));
        let mut bad = task();
        bad["enableExecuteCommand"] = false.into();
        assert!(planned(&intent, bad).refused[0].as_str().contains("--enable-execute-command"));
        let no_plugin =
            plan(&intent, &[(id(), Ok(task()))], &Err(Text::new("no plugin")), &place, Timestamp::default());
        assert_eq!(no_plugin.refused, [Text::new("no plugin")]);
        let two = [(id(), Ok(task())), (id(), Ok(task()))];
        let p2 = plan(&intent, &two, &there(), &place, Timestamp::default());
        assert!(p2.refused[0].as_str().contains("one task at a time"), "{:?}", p2.refused);
        assert_eq!(
            p.equivalent[0],
            "aws ssm start-session --target ecs:shop_abc_abc-123 --document-name AWS-StartPortForwardingSession --parameters portNumber=8080,localPortNumber=9090 --region eu-west-1"
        );
    }

    #[test]
    fn nothing_secret_is_among_the_arguments() {
        let started = Started {
            id: "s".to_owned(),
            session: r#"{"SessionId":"s","TokenValue":"hunter2"}"#.to_owned(),
            request: r#"{"Target":"ecs:shop_abc_abc-123"}"#.to_owned(),
            endpoint: "https://ssm.eu-west-1.amazonaws.com".to_owned(),
        };
        let place = Place { region: "eu-west-1".into(), profile: Some("p".into()), ..Place::default() };
        let program = program(&there().unwrap(), &started, &place);
        assert_eq!(
            program.arguments,
            [
                VARIABLE,
                "eu-west-1",
                "StartSession",
                "p",
                r#"{"Target":"ecs:shop_abc_abc-123"}"#,
                "https://ssm.eu-west-1.amazonaws.com"
            ]
        );
        assert!(program.variables[0].1.contains("hunter2"));
        assert!(!format!("{program:?} {started:?}").contains("hunter2"));
    }
}
