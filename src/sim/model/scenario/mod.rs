//! Scenario files: what the fleet is, and what happens to it.

mod big;
mod check;
mod schema;

use std::path::Path;
use std::str::FromStr;

use crate::sim::telemetry::{Episode, TrafficSpec};

pub use check::{Action, Step};
pub use check::{Many, Taking, What};
pub use schema::Span;
pub use schema::{Capacity, ContainerDef, File, Handler, Kind, NodeGroup, TolerationDef, WorkloadDef};

/// The embedded scenarios: name and text.
const EMBEDDED: [(&str, &str); 7] = [
    ("calm", include_str!("../../../../scenarios/calm.toml")),
    ("bad-deploy", include_str!("../../../../scenarios/bad-deploy.toml")),
    ("zone-down", include_str!("../../../../scenarios/zone-down.toml")),
    ("budget-burn", include_str!("../../../../scenarios/budget-burn.toml")),
    ("spot-storm", include_str!("../../../../scenarios/spot-storm.toml")),
    ("bad-night", include_str!("../../../../scenarios/bad-night.toml")),
    ("big", include_str!("../../../../scenarios/big.toml")),
];

/// The objectives of the embedded scenarios.
const OBJECTIVES: [(&str, &str); 3] = [
    ("availability.yaml", include_str!("../../../../scenarios/slo/availability.yaml")),
    ("latency.yaml", include_str!("../../../../scenarios/slo/latency.yaml")),
    ("ecs.yaml", include_str!("../../../../scenarios/slo/ecs.yaml")),
];

/// How large a parametric scenario is; `None` takes the file's own figure.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Parameters {
    /// Nodes, 1 to 10,000.
    pub nodes: Option<u32>,
    /// Pods, 1 to 200,000.
    pub pods: Option<u32>,
    /// Pod status changes a second, 0 to 10,000.
    pub changes_per_second: Option<f64>,
}

/// A scenario, checked and ready to run.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub(super) file: File,
    pub(super) steps: Vec<Step>,
    pub(super) changes_per_second: f64,
    pub(super) name: String,
}

/// Why a scenario cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// No embedded scenario has this name.
    #[error("there is no scenario {name:?}; choose one of {allowed}, or give the path of a scenario file")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The names there are.
        allowed: String,
    },
    /// The file cannot be read.
    #[error("cannot read the scenario {file}: {reason}")]
    Read {
        /// The file.
        file: String,
        /// Why not.
        reason: String,
    },
    /// The file says something that is not so.
    #[error("{file}:{line}:{column}: {message}")]
    Invalid {
        /// The file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What is wrong, and what is allowed.
        message: String,
    },
    /// A parameter is out of its range, or the scenario takes none.
    #[error("{0}")]
    Parameter(String),
}

impl Scenario {
    /// The embedded scenarios' names.
    #[must_use]
    pub fn names() -> Vec<&'static str> {
        EMBEDDED.iter().map(|(n, _)| *n).collect()
    }

    /// An embedded scenario.
    ///
    /// # Errors
    /// When there is none of this name, or a parameter does not suit it.
    pub fn embedded(name: &str, parameters: Parameters) -> Result<Self, ScenarioError> {
        let Some((_, text)) = EMBEDDED.iter().find(|(n, _)| *n == name) else {
            return Err(ScenarioError::Unknown { name: name.to_owned(), allowed: Self::names().join(", ") });
        };
        Self::parse(text, &format!("scenarios/{name}.toml"))?.with(parameters)
    }

    /// A scenario from a file of the user's.
    ///
    /// # Errors
    /// When it cannot be read or is not a scenario, or a parameter does not suit it.
    pub fn load(path: &Path, parameters: Parameters) -> Result<Self, ScenarioError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|e| ScenarioError::Read { file: file.clone(), reason: e.to_string() })?;
        Self::parse(&text, &file)?.with(parameters)
    }

    /// A scenario from its text; `file_name` is for messages.
    ///
    /// # Errors
    /// With line and column, and what is allowed there.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, ScenarioError> {
        let mut file: File = toml::from_str(text)
            .map_err(|e| invalid(text, file_name, e.span().map_or(0, |s| s.start), e.message().trim().to_owned()))?;
        let steps = check::check(&file).map_err(|(at, message)| invalid(text, file_name, at, message))?;
        let changes = file.generate.as_ref().map_or(0.0, |g| g.changes_per_second);
        if file.nodes.is_empty() && file.generate.is_none() {
            return Err(invalid(text, file_name, 0, "a scenario needs [[nodes]] or [generate]".to_owned()));
        }
        let stem = Path::new(file_name).file_stem().and_then(|s| s.to_str()).unwrap_or("scenario").to_owned();
        let name = file.name.take().unwrap_or(stem);
        Ok(Self { file, steps, changes_per_second: changes, name })
    }

    /// The scenario's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// True if machines or tasks are taken back in it.
    #[must_use]
    pub fn takes_back(&self) -> bool {
        self.steps.iter().any(|s| matches!(s.action, Action::Take(_)))
            || self.ecs().iter().any(crate::sim::aws::schema::ClusterDef::takes_back)
    }

    /// Its ECS clusters.
    #[must_use]
    pub fn ecs(&self) -> &[crate::sim::aws::schema::ClusterDef] {
        &self.file.ecs
    }

    /// The traffic of its services.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a latency in milliseconds")]
    pub(super) fn traffic(&self) -> Vec<TrafficSpec> {
        let spec = |t: &schema::TrafficDef| {
            let (namespace, workload) = t.workload.get_ref().split_once('/')?;
            Some(TrafficSpec {
                namespace: namespace.to_owned(),
                workload: workload.to_owned(),
                service: t.service.clone().unwrap_or_else(|| workload.to_owned()),
                rate: t.rate.max(0.0),
                errors: *t.errors.get_ref(),
                latency: t.latency.0.max(1) as f64 / 1000.0,
                spread: t.spread.clamp(0.05, 3.0),
                entry: t.entry,
                objective: t.objective.as_ref().map(|o| *o.get_ref()),
                slow: t.slow.map(|s| s.0.max(1) as f64 / 1000.0),
                waits_for: t.waits_for.clone(),
                host: t.host.clone(),
                history: t
                    .history
                    .iter()
                    .map(|e| Episode {
                        ago: e.ago.0,
                        lasting: e.lasting.map(|l| l.0),
                        errors: e.errors.map(|r| r.clamp(0.0, 1.0)),
                        slower: e.slower.clamp(0.01, 1000.0),
                    })
                    .collect(),
            })
        };
        self.file.traffic.iter().filter_map(spec).collect()
    }

    /// The objectives (`OpenSLO`) of the embedded scenarios: name and text of each file. They promise
    /// something of services that this one may not have: see [`Scenario::has_service`].
    #[must_use]
    pub fn objectives(&self) -> &'static [(&'static str, &'static str)] {
        &OBJECTIVES
    }

    /// Whether it has traffic of a service of this name, or such a service on ECS.
    #[must_use]
    pub fn has_service(&self, name: &str) -> bool {
        self.traffic().iter().any(|t| t.service == name)
            || self.ecs().iter().flat_map(|c| &c.services).any(|s| s.name == name)
    }

    /// What everything random in it begins with.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.file.seed
    }

    /// The Kubernetes version the fleet claims, `v1.33.5-eks-113cf36`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.file.version
    }

    /// What it shows, in a sentence.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.file.description
    }

    fn with(mut self, p: Parameters) -> Result<Self, ScenarioError> {
        let Some(g) = &mut self.file.generate else {
            if p == Parameters::default() {
                return Ok(self);
            }
            let m = format!(
                "the scenario {:?} has a fixed size; only one with [generate], as \"big\", takes nodes, pods and changes per second",
                self.name
            );
            return Err(ScenarioError::Parameter(m));
        };
        let whole = |what: &str, given: Option<u32>, own: u32, max: u32| match given {
            Some(n) if n == 0 || n > max => {
                Err(ScenarioError::Parameter(format!("{what} = {n} is out of range; give 1 to {max}")))
            }
            n => Ok(n.unwrap_or(own)),
        };
        g.nodes = whole("nodes", p.nodes, g.nodes, 10_000)?;
        g.pods = whole("pods", p.pods, g.pods, 200_000)?;
        let rate = p.changes_per_second.unwrap_or(g.changes_per_second);
        if !(0.0..=10_000.0).contains(&rate) {
            let m = format!("changes per second = {rate} is out of range; give 0 to 10000");
            return Err(ScenarioError::Parameter(m));
        }
        self.changes_per_second = rate;
        Ok(self)
    }

    /// Generates what `[generate]` asks for, once.
    pub(super) fn expand(&mut self) {
        if let Some(g) = self.file.generate.take() {
            big::generate(&mut self.file, &g);
        }
    }
}

impl FromStr for Scenario {
    type Err = ScenarioError;

    /// An embedded scenario by name, or a file by path.
    fn from_str(s: &str) -> Result<Self, ScenarioError> {
        let path = Path::new(s);
        if s.contains(['/', '\\']) || path.extension().is_some_and(|e| e == "toml") {
            return Self::load(path, Parameters::default());
        }
        Self::embedded(s, Parameters::default())
    }
}

fn invalid(text: &str, file: &str, offset: usize, message: String) -> ScenarioError {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    ScenarioError::Invalid { file: file.to_owned(), line, column, message }
}
