//! Into a task: the session is ECS's, the way into it AWS's own plugin.

use futures::future::join_all;
use tokio_util::sync::CancellationToken;

use super::{Ecs, acting, said};
use crate::action::desk::Progress;
use crate::action::exec::ecs::{self as exec, Place, command_line};
use crate::action::exec::forward::Forwards;
use crate::action::exec::plugin::{self, Plugin};
use crate::action::exec::tunnel::{self, Tunnel};
use crate::action::intent::{Intent, Verb};
use crate::action::plan::{End, Plan, StepState};
use crate::action::session::Stage;
use crate::domain::{ObjectId, Text};
use crate::source::ecs::{Entry, runtime};

/// What going into tasks needs. Not there in a read-only cluster, nor without a terminal to lend.
#[derive(Debug, Clone)]
pub struct Hands {
    /// Asks ECS for a session.
    pub entry: Entry,
    /// Where the terminal is asked for.
    pub stage: Stage,
    /// What is forwarded.
    pub forwards: Forwards,
    /// The cluster is marked as production.
    pub production: bool,
}

const NO_HANDS: &str = "there is no way into tasks from here";

impl Ecs {
    /// With what going into tasks needs.
    #[must_use]
    pub fn with_hands(self, hands: Hands) -> Self {
        Self { hands: Some(hands), ..self }
    }

    /// The plan of going into a task: everything that has to be so is looked at before the screen is left.
    pub(super) async fn plan_session(&self, intent: &Intent) -> Result<Plan, Text> {
        let hands = self.hands.as_ref().ok_or_else(|| Text::new(NO_HANDS))?;
        let looked = intent
            .targets
            .iter()
            .map(|id| async move { (id.clone(), self.writer.object(id).await.map_err(|e| Text::new(&said(&e)))) });
        let (tasks, plugin, place) = futures::join!(join_all(looked), find(), place(hands));
        Ok(exec::plan(intent, &tasks, &plugin, &place?, self.clock.now()))
    }

    /// Looks again, asks for the session, and gives the terminal to the plugin, or has it forward the port.
    pub(super) async fn run_session(&self, plan: &Plan, progress: &Progress, cancel: &CancellationToken) -> End {
        let (Some(hands), Some(change)) = (&self.hands, acting(plan).next()) else {
            return End::failed(NO_HANDS, None);
        };
        let ready = async {
            let plugin = find().await?;
            let (way, container, runtime) = self.ready(&plan.intent, &change.target).await?;
            Ok::<_, Text>((plugin, place(hands).await?, way, container, runtime))
        };
        let (plugin, place, task, container, runtime) = match ready.await {
            Ok(ready) => ready,
            Err(why) => {
                progress.step(Some(&change.target), StepState::Failed, why.as_str()).await;
                return End::failed(&format!("{} in {} failed: {why}", plan.intent.verb, change.target.name), None);
            }
        };
        if plan.intent.verb == Verb::PortForward {
            let ports = plan.intent.options.ports.unwrap_or_default();
            let tunnel = Tunnel { forwards: &hands.forwards, target: &change.target, ports };
            let (task, runtime) = (task.as_str(), runtime.as_str());
            let start = |local: u16| async move {
                let ask = || hands.entry.forward((task, runtime), (local, ports.1));
                self.insist(cancel, ask).await.map_err(|e| Text::new(&said(&e)))
            };
            let program = |started: &exec::Started| exec::program(&plugin, started, &place);
            let end = |id: String| async move { hands.entry.end(&id).await.map_err(|e| Text::new(&said(&e))) };
            return Box::pin(tunnel::run(tunnel, start, program, end, progress, cancel)).await;
        }
        let command = command_line(&plan.intent);
        let start = async {
            let started = hands.entry.start(&task, &container, &runtime, &command).await;
            started.map_err(|e| Text::new(&said(&e)))
        };
        Box::pin(exec::run(&plan.intent, change, start, (&plugin, &place, &hands.stage), progress, cancel)).await
    }

    /// The task's ARN, the container and what its runtime calls it, if it can still be entered.
    async fn ready(&self, intent: &Intent, id: &ObjectId) -> Result<(String, String, String), Text> {
        let task = self.writer.object(id).await.map_err(|e| Text::new(&said(&e)))?;
        let (container, _) = exec::chosen(&task, intent.options.container.as_deref())?;
        if let Some(why) = exec::preflight(&task, &container).into_iter().next() {
            return Err(why);
        }
        let arn = task["taskArn"].as_str().unwrap_or_default().to_owned();
        let runtime = runtime(&task, &container)?;
        Ok((arn, container, runtime))
    }
}

async fn find() -> Result<Plugin, Text> {
    plugin::find(&std::env::var_os("PATH").unwrap_or_default()).await
}

async fn place(hands: &Hands) -> Result<Place, Text> {
    let (cluster, region, profile) = hands.entry.place().await.map_err(|e| Text::new(&said(&e)))?;
    Ok(Place { cluster, region, profile, production: hands.production })
}
