//! The `[[ecs]]` sections of a scenario file.

use serde::Deserialize;
use toml::Spanned;

use crate::sim::cloud::Fate;
use crate::sim::model::Span;

/// One ECS cluster.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterDef {
    /// Its name.
    pub name: String,
    /// The region it is in.
    #[serde(default = "region")]
    pub region: String,
    /// The account it is in.
    #[serde(default = "account")]
    pub account: String,
    /// How large its subnets are: 24 is a block of 256 addresses, of which AWS keeps five.
    #[serde(default = "prefix")]
    pub subnet_prefix: u8,
    /// How many vCPUs the account may have on Fargate, on demand and on spot each.
    pub fargate_vcpus: Option<u32>,
    /// Container Insights.
    #[serde(default)]
    pub insights: Insights,
    /// Groups of container instances.
    #[serde(default)]
    pub instances: Vec<InstanceDef>,
    /// Its services.
    #[serde(default)]
    pub services: Vec<ServiceDef>,
    /// What happens.
    #[serde(default)]
    pub at: Vec<StepDef>,
}

/// How much of Container Insights is on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Insights {
    /// Nothing.
    #[default]
    Disabled,
    /// By cluster, service and family.
    Enabled,
    /// By task and container, too.
    Enhanced,
}

impl Insights {
    /// As ECS's cluster setting has it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Enabled => "enabled",
            Self::Enhanced => "enhanced",
        }
    }
}

fn region() -> String {
    "eu-west-1".to_owned()
}
fn prefix() -> u8 {
    24
}
fn account() -> String {
    "123456789012".to_owned()
}

/// A group of container instances, with its capacity provider.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceDef {
    /// Capacity provider's name.
    pub provider: String,
    /// How many.
    pub count: u32,
    /// EC2 instance type.
    pub instance: String,
    /// vCPUs.
    pub cpu: u32,
    /// Gibibytes.
    pub memory: u32,
    /// Bought as spot.
    #[serde(default)]
    pub spot: bool,
}

/// A service, or several alike.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceDef {
    /// Its name; with `count`, a number is added.
    pub name: String,
    /// How many such services.
    #[serde(default = "one")]
    pub count: u32,
    /// Tasks wanted.
    pub desired: u32,
    /// `fargate`, `fargate-spot`, `fargate-mixed`, or a capacity provider's name.
    #[serde(default = "fargate")]
    pub launch: String,
    /// Its image.
    pub image: String,
    /// CPU units a task asks for.
    #[serde(default = "cpu")]
    pub cpu: u32,
    /// MiB a task asks for.
    #[serde(default = "memory")]
    pub memory: u32,
    /// Deployment circuit breaker.
    #[serde(default)]
    pub breaker: Breaker,
    /// Behind a load balancer.
    #[serde(default)]
    pub balanced: bool,
    /// Bounds that Application Auto Scaling keeps to.
    pub scaling: Option<[u32; 2]>,
    /// Share of its reserved CPU that it uses, in per cent.
    #[serde(default = "load")]
    pub load: f64,
    /// `stopTimeout` of its container: SIGKILL comes so long after SIGTERM. 2m at most.
    pub stop_timeout: Option<Span>,
    /// How long its container takes to end after SIGTERM.
    #[serde(default = "stops_after")]
    pub stops_after: Span,
    /// Whether its tasks can be entered.
    #[serde(default)]
    pub exec: Exec,
}

/// Whether tasks can be entered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exec {
    /// It is not enabled.
    #[default]
    Off,
    /// It is, and the agent runs.
    On,
    /// It is, and the agent does not run.
    AgentStopped,
}

fn stops_after() -> Span {
    Span(3_000)
}

fn one() -> u32 {
    1
}
fn fargate() -> String {
    "fargate".to_owned()
}
fn cpu() -> u32 {
    256
}
fn memory() -> u32 {
    512
}
fn load() -> f64 {
    35.0
}

/// What a deployment does that keeps failing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Breaker {
    /// Goes on trying.
    #[default]
    Off,
    /// Stops.
    On,
    /// Stops, and goes back to what was before.
    Rollback,
}

/// How the tasks of a deployment fare.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// They run.
    #[default]
    Healthy,
    /// Their main container exits with 1 soon after it started.
    Crash,
    /// Their image is not there.
    NoImage,
    /// The load balancer finds them unhealthy.
    Unhealthy,
    /// They use more memory than they have.
    OutOfMemory,
    /// No subnet has an address for them.
    #[serde(skip)]
    NoAddress,
}

/// One thing that happens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepDef {
    /// When, from the start.
    pub t: Span,
    /// Again and again after so long.
    pub every: Option<Span>,
    /// So often in all.
    pub repeat: Option<u32>,
    /// What.
    pub action: Spanned<ActionDef>,
    /// The service it happens to.
    pub service: Option<String>,
    /// For `deploy`: the image; the next version without it.
    pub image: Option<String>,
    /// For `deploy`: how its tasks fare.
    #[serde(default)]
    pub outcome: Outcome,
    /// For `scale`: tasks wanted; for `stop`, `interrupt`: how many tasks.
    pub tasks: Option<u32>,
    /// For `errors`: the share of requests that fail, from 0 to 1.
    pub ratio: Option<f64>,
    /// For `errors`: for how long; for good without it.
    #[serde(rename = "for")]
    pub lasting: Option<Span>,
    /// For `zone-down`: the zone; for `drain` and `disconnect`: the instance's number.
    pub zone: Option<String>,
    /// For `drain` and `disconnect`: the instance's number, from 0.
    pub instance: Option<usize>,
    /// Spot and maintenance: instances of this capacity provider.
    pub provider: Option<String>,
    /// So many of them.
    pub count: Option<u32>,
    /// Or this share of them, in per cent.
    pub percent: Option<u32>,
    /// From the notice until the machine goes.
    pub notice: Option<Span>,
    /// What happens then.
    pub fate: Option<Fate>,
    /// The victims are told one after another in this time.
    pub spread: Option<Span>,
    /// They go without a word.
    #[serde(default)]
    pub unannounced: bool,
    /// The agent drains at a notice (`ECS_ENABLE_SPOT_INSTANCE_DRAINING`); true without it.
    pub draining: Option<bool>,
    /// From the notice until another instance is there.
    pub replacement: Option<Span>,
    /// Maintenance: which.
    pub code: Option<Maintenance>,
    /// Fargate Spot: for so long there is no capacity for others.
    pub no_capacity: Option<Span>,
}

/// What maintenance does to a machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Maintenance {
    /// It is gone for good.
    #[default]
    InstanceRetirement,
    /// It is stopped, and comes back some minutes later.
    InstanceStop,
    /// It is away for about a minute.
    SystemReboot,
}

impl Maintenance {
    /// As EC2 has it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::InstanceRetirement => "instance-retirement",
            Self::InstanceStop => "instance-stop",
            Self::SystemReboot => "system-reboot",
        }
    }
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionDef {
    /// A new revision of the task definition.
    Deploy,
    /// Another desired count.
    Scale,
    /// Somebody stops tasks.
    Stop,
    /// Fargate Spot takes tasks back: two minutes.
    Interrupt,
    /// Tasks' main containers exit.
    Crash,
    /// The infrastructure under some tasks fails.
    Break,
    /// An instance drains.
    Drain,
    /// An instance's agent falls silent.
    Disconnect,
    /// A share of the requests fails.
    Errors,
    /// A zone is gone, with the tasks in it.
    ZoneDown,
    /// Spot takes instances of a provider back, or Fargate Spot tasks of a service.
    SpotInterrupt,
    /// A rebalance recommendation for instances.
    Rebalance,
    /// Maintenance of instances is announced.
    Scheduled,
}

/// Where in the file, and what is wrong there.
type Fault = (usize, String);

impl ClusterDef {
    /// What the schema cannot say: names that must exist.
    ///
    /// # Errors
    /// Where it is (an offset in bytes, 0 for nowhere in particular), what is wrong, and what is allowed.
    pub fn check(&self) -> Result<(), Fault> {
        if !(16..=28).contains(&self.subnet_prefix) {
            return Err((0, format!("ECS cluster {:?} has a subnet_prefix that is not between 16 and 28", self.name)));
        }
        let providers: Vec<&str> = self.instances.iter().map(|i| i.provider.as_str()).collect();
        for s in &self.services {
            if !matches!(s.launch.as_str(), "fargate" | "fargate-spot" | "fargate-mixed")
                && !providers.contains(&s.launch.as_str())
            {
                let m = format!(
                    "service {:?} of ECS cluster {:?} has launch {:?}; allowed: fargate, fargate-spot, fargate-mixed, or a provider of [[ecs.instances]]: {}",
                    s.name,
                    self.name,
                    s.launch,
                    providers.join(", ")
                );
                return Err((0, m));
            }
            if s.stop_timeout.is_some_and(|t| !(1_000..=120_000).contains(&t.0)) {
                return Err((0, format!("service {:?} has a stop_timeout that is not between 1s and 2m", s.name)));
            }
        }
        self.at.iter().try_for_each(|step| {
            let here = step.action.span().start;
            self.check_step(step).and_then(|()| self.check_notice(step, &providers)).map_err(|m| (here, m))
        })
    }

    fn check_step(&self, step: &StepDef) -> Result<(), String> {
        let action = *step.action.get_ref();
        if let Some(name) = &step.service
            && !self.services.iter().any(|s| s.name == *name)
        {
            let names: Vec<&str> = self.services.iter().map(|s| s.name.as_str()).collect();
            return Err(format!(
                "there is no service {name:?} in ECS cluster {:?}; it has {}",
                self.name,
                names.join(", ")
            ));
        }
        let needs_service = matches!(
            action,
            ActionDef::Deploy | ActionDef::Scale | ActionDef::Stop | ActionDef::Crash | ActionDef::Errors
        );
        if action == ActionDef::Errors && step.ratio.is_none_or(|r| !(0.0..=1.0).contains(&r)) {
            return Err(format!("a step of ECS cluster {:?} with `errors` needs `ratio`, from 0.0 to 1.0", self.name));
        }
        if needs_service && step.service.is_none() {
            return Err(format!("a step of ECS cluster {:?} at {} ms needs `service`", self.name, step.t.0));
        }
        if action == ActionDef::ZoneDown && step.zone.is_none() {
            return Err(format!("the zone-down of ECS cluster {:?} needs `zone`", self.name));
        }
        if matches!(action, ActionDef::Drain | ActionDef::Disconnect) {
            let all: u32 = self.instances.iter().map(|i| i.count).sum();
            if step.instance.is_none_or(|i| i >= all as usize) {
                return Err(format!(
                    "a step of ECS cluster {:?} needs `instance`, from 0 to {}",
                    self.name,
                    i64::from(all) - 1
                ));
            }
        }
        Ok(())
    }

    /// Steps that take something back.
    fn check_notice(&self, step: &StepDef, providers: &[&str]) -> Result<(), String> {
        let action = *step.action.get_ref();
        let about_instances = matches!(action, ActionDef::Rebalance | ActionDef::Scheduled)
            || (action == ActionDef::SpotInterrupt && step.service.is_none());
        let given = [
            ("provider", step.provider.is_some(), about_instances),
            ("count", step.count.is_some(), about_instances),
            ("percent", step.percent.is_some(), about_instances),
            ("unannounced", step.unannounced, about_instances && action == ActionDef::SpotInterrupt),
            ("fate", step.fate.is_some(), about_instances && action == ActionDef::SpotInterrupt),
            ("notice", step.notice.is_some(), about_instances && action != ActionDef::Rebalance && !step.unannounced),
            ("spread", step.spread.is_some(), about_instances || action == ActionDef::SpotInterrupt),
            (
                "draining",
                step.draining.is_some(),
                about_instances && action != ActionDef::Rebalance && !step.unannounced,
            ),
            ("replacement", step.replacement.is_some(), about_instances && action != ActionDef::Rebalance),
            ("code", step.code.is_some(), action == ActionDef::Scheduled),
            ("no_capacity", step.no_capacity.is_some(), action == ActionDef::SpotInterrupt && step.service.is_some()),
        ];
        if let Some((key, ..)) = given.iter().find(|(_, is, may)| *is && !*may) {
            return Err(format!("this step of ECS cluster {:?} takes no {key}", self.name));
        }
        if !about_instances {
            return match step.service.as_ref().and_then(|n| self.services.iter().find(|s| s.name == *n)) {
                Some(s) if action == ActionDef::SpotInterrupt && !s.launch.starts_with("fargate-") => Err(format!(
                    "service {:?} does not run on Fargate Spot; give one with launch fargate-spot or fargate-mixed, or a provider",
                    s.name
                )),
                _ => Ok(()),
            };
        }
        let Some(name) = &step.provider else {
            return Err(format!(
                "this step of ECS cluster {:?} needs `provider` (or, for spot-interrupt, `service`)",
                self.name
            ));
        };
        let group = self.instances.iter().find(|i| i.provider == *name).ok_or_else(|| {
            format!("there is no provider {name:?} in ECS cluster {:?}; it has {}", self.name, providers.join(", "))
        })?;
        if action != ActionDef::Scheduled && !group.spot {
            return Err(format!("the instances of {name:?} are not spot; give a provider with spot = true"));
        }
        if step.count.is_some() && step.percent.is_some() {
            return Err("give count or percent, not both".to_owned());
        }
        match step.percent {
            Some(p) if !(1..=100).contains(&p) => Err(format!("percent = {p} is out of range; give 1 to 100")),
            _ => Ok(()),
        }
    }

    /// True if anything is taken back here.
    #[must_use]
    pub fn takes_back(&self) -> bool {
        use ActionDef as A;
        self.at.iter().any(|s| matches!(s.action.get_ref(), A::SpotInterrupt | A::Rebalance | A::Scheduled))
    }
}
