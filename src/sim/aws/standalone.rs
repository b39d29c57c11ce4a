//! Tasks that belong to no service: `RunTask`.

use serde_json::{Value, json};

use super::model::{Cluster, Ms, Order};
use super::wire::Refusal;
use super::{Caller, World};

impl World {
    pub(super) fn run_task(&mut self, caller: &Caller, input: &Value, now: Ms) -> Result<Value, Refusal> {
        let at = self.cluster(caller, input)?;
        let count = input["count"].as_u64().unwrap_or(1);
        if !(1..=10).contains(&count) {
            return Err(Refusal::invalid("count must be between 1 and 10."));
        }
        let key = self.adopt(caller, input["taskDefinition"].as_str().unwrap_or_default(), at)?;
        let text = |key: &str| input[key].as_str().unwrap_or_default().to_owned();
        if text("group").starts_with("service:") {
            return Err(Refusal::invalid("Invalid namespace in group name. \"service\" is reserved."));
        }
        let provider = input["capacityProviderStrategy"][0]["capacityProvider"].as_str().unwrap_or_default();
        let is_fargate = text("launchType") == "FARGATE" || provider.starts_with("FARGATE");
        if is_fargate && input["networkConfiguration"].is_null() {
            let m = "Network Configuration must be provided when networkMode 'awsvpc' is specified.";
            return Err(Refusal::invalid(m));
        }
        let c = &mut self.clusters[at];
        if !is_fargate && c.instances.is_empty() {
            return Err(Refusal::invalid("No Container Instances were found in your cluster."));
        }
        let Some(d) = c.definitions.get(&key) else { return Ok(json!({"tasks": [], "failures": []})) };
        let group = Some(text("group")).filter(|g| !g.is_empty()).unwrap_or_else(|| format!("family:{}", d.family));
        let order = Order {
            service: None,
            deployment: text("startedBy"),
            group,
            definition: key.clone(),
            launch: if is_fargate { "FARGATE" } else { "EC2" },
            provider: provider.to_owned(),
            cpu: d.cpu,
            memory: d.memory,
        };
        let (mut started, mut failures) = (Vec::new(), Vec::new());
        for _ in 0..count {
            match c.begin(order.clone(), now) {
                Some(id) => started.push(id),
                None => failures.push(c.no_room()),
            }
        }
        let tasks: Vec<Value> = started.iter().filter_map(|id| c.tasks.get(id)).map(|t| c.task_json(t)).collect();
        Ok(json!({"tasks": tasks, "failures": failures}))
    }
}

impl Cluster {
    fn no_room(&self) -> Value {
        let first = self.instances.first().map(|i| self.arn("container-instance", &i.id));
        json!({"arn": first, "reason": "RESOURCE:MEMORY"})
    }
}
