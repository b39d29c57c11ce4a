//! Task definitions: families of revisions, kept as they were registered.

use serde_json::{Value, json};

use super::fault::AwsFaults;
use super::model::{Cluster, Ms};
use super::schema::Outcome;
use super::wire::{Refusal, seconds};
use super::{Caller, World, strings, tail};

/// One revision.
#[derive(Debug, Clone)]
pub struct Definition {
    pub family: String,
    pub revision: u32,
    /// Of its first container.
    pub image: String,
    pub cpu: u32,
    pub memory: u32,
    pub fargate: bool,
    pub outcome: Outcome,
    /// Seconds.
    pub stop_timeout: Option<u32>,
    /// What was registered, field for field; `None` for those that the scenario has.
    pub given: Option<Value>,
    pub tags: Vec<Value>,
    pub registered: Ms,
}

impl Definition {
    pub fn key(&self) -> String {
        format!("{}:{}", self.family, self.revision)
    }

    /// Another revision with another image.
    pub fn with(&self, revision: u32, image: &str, outcome: Outcome) -> Self {
        let mut given = self.given.clone();
        if let Some(first) = given.as_mut().and_then(|g| g.pointer_mut("/containerDefinitions/0/image")) {
            *first = image.into();
        }
        Self { revision, image: image.to_owned(), outcome, given, ..self.clone() }
    }

    /// Name and image of each container.
    pub fn containers(&self) -> Vec<(&str, &str)> {
        let Some(given) = &self.given else { return vec![("app", &self.image)] };
        let all = given["containerDefinitions"].as_array().into_iter().flatten();
        all.map(|c| (c["name"].as_str().unwrap_or_default(), c["image"].as_str().unwrap_or_default())).collect()
    }
}

/// How tasks of an image fare that somebody registers: the tags `missing` and `crash` do what they say.
fn fares(image: &str) -> Outcome {
    match image.rsplit_once(':').map(|(_, tag)| tag) {
        Some("missing") => Outcome::NoImage,
        Some("crash") => Outcome::Crash,
        _ => Outcome::Healthy,
    }
}

/// `web:1.4.3` after `web:1.4.2`.
fn next_version(image: &str) -> String {
    let Some((name, tag)) = image.rsplit_once(':') else { return format!("{image}:2") };
    match tag.rsplit_once('.').and_then(|(head, last)| Some((head, last.parse::<u64>().ok()?))) {
        Some((head, last)) => format!("{name}:{head}.{}", last + 1),
        None => format!("{name}:{tag}-2"),
    }
}

/// `web:1.4.1` before `web:1.4.2`; `None` where the tag has no number to count down from.
pub fn version_before(image: &str) -> Option<String> {
    let digits = image.len() - image.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (head, last) = image.split_at(image.len() - digits);
    let last = last.parse::<u64>().ok()?.checked_sub(1)?;
    (head.rsplit('/').next()?.contains(':')).then(|| format!("{head}{last}"))
}

impl World {
    /// A family's newest revision, or the one that is named, with the cluster that keeps it.
    pub(super) fn definition(&self, caller: &Caller, name: &str) -> Option<(&Cluster, &Definition)> {
        let name = tail(name);
        let mine = self.clusters.iter().filter(|c| c.account == caller.account && c.region == caller.region);
        let mut all = mine.flat_map(|c| c.definitions.iter().map(move |(key, d)| (c, key, d)));
        if name.contains(':') {
            all.find(|(_, key, _)| *key == name).map(|(c, _, d)| (c, d))
        } else {
            all.filter(|(_, _, d)| d.family == name).max_by_key(|(_, _, d)| d.revision).map(|(c, _, d)| (c, d))
        }
    }

    pub(super) fn describe_definition(&self, caller: &Caller, input: &Value) -> Result<Value, Refusal> {
        let name = input["taskDefinition"].as_str().unwrap_or_default();
        let (c, d) = self
            .definition(caller, name)
            .ok_or_else(|| Refusal::new("ClientException", "Unable to describe task definition."))?;
        let mut out = json!({"taskDefinition": c.definition_json(d)});
        if strings(input, "include").contains(&"TAGS") {
            out["tags"] = d.tags.clone().into();
        }
        Ok(out)
    }

    pub(super) fn list_definitions(
        &mut self,
        caller: &Caller,
        input: &Value,
        faults: &AwsFaults,
    ) -> Result<Value, Refusal> {
        let family = input["familyPrefix"].as_str();
        let mine = self.clusters.iter().filter(|c| c.account == caller.account && c.region == caller.region);
        let mut all: Vec<(&str, u32, String)> = mine
            .flat_map(|c| c.definitions.values().map(move |d| (c, d)))
            .filter(|(_, d)| family.is_none_or(|f| d.family == f))
            .map(|(c, d)| (d.family.as_str(), d.revision, c.definition_arn(&d.key())))
            .collect();
        all.sort();
        all.dedup();
        match input["sort"].as_str() {
            None | Some("ASC") => {}
            Some("DESC") => all.reverse(),
            Some(_) => return Err(Refusal::invalid("sort should be one of [ASC, DESC].")),
        }
        // None is ever taken out of use.
        let active = input["status"].as_str().is_none_or(|s| s == "ACTIVE");
        let all: Vec<String> = all.into_iter().filter(|_| active).map(|(_, _, arn)| arn).collect();
        self.list(&all, input, "taskDefinitionArns", 100, faults)
    }

    pub(super) fn register_definition(&mut self, caller: &Caller, input: &Value, now: Ms) -> Result<Value, Refusal> {
        let family = input["family"].as_str().unwrap_or_default().to_owned();
        let container = &input["containerDefinitions"][0];
        if family.is_empty() {
            return Err(Refusal::new("ClientException", "Family cannot be blank."));
        }
        if container.is_null() {
            return Err(Refusal::new("ClientException", "Container list cannot be empty."));
        }
        if input["containerDefinitions"].as_array().into_iter().flatten().any(|c| !c["image"].is_string()) {
            return Err(Refusal::new("ClientException", "Container.image should not be null or empty."));
        }
        let tags = input["tags"].as_array().cloned().unwrap_or_default();
        let reserved = |t: &Value| t["key"].as_str().is_some_and(|k| k.to_ascii_lowercase().starts_with("aws:"));
        if tags.iter().any(reserved) {
            return Err(Refusal::invalid("Tag keys starting with 'aws:' are reserved for system use."));
        }
        let number = |v: &Value, default: u32| {
            v.as_u64().or_else(|| v.as_str().and_then(|s| s.parse().ok())).map_or(default, |n| n as u32)
        };
        let (mut given, image) = (input.clone(), container["image"].as_str().unwrap_or_default());
        if let Some(fields) = given.as_object_mut() {
            fields.retain(|key, _| key != "tags");
        }
        let definition = Definition {
            family: family.clone(),
            revision: self.definition(caller, &family).map_or(0, |(_, d)| d.revision) + 1,
            image: image.to_owned(),
            cpu: number(&input["cpu"], 256),
            memory: number(&input["memory"], 512),
            fargate: strings(input, "requiresCompatibilities").contains(&"FARGATE"),
            outcome: fares(image),
            stop_timeout: container["stopTimeout"].as_u64().map(|n| n as u32),
            given: Some(given),
            tags: tags.clone(),
            registered: now,
        };
        let is_mine = |c: &Cluster| c.account == caller.account && c.region == caller.region;
        let own = self.clusters.iter().position(|c| is_mine(c) && c.services.values().any(|s| s.family == family));
        let c = own
            .or_else(|| self.clusters.iter().position(is_mine))
            .and_then(|at| self.clusters.get_mut(at))
            .ok_or_else(|| Refusal::new("ClientException", "There is no cluster in this region."))?;
        let json = c.definition_json(&definition);
        c.definitions.insert(definition.key(), definition);
        Ok(json!({"taskDefinition": json, "tags": tags}))
    }

    /// Has a revision at hand in the cluster that is to run it; its key.
    pub(super) fn adopt(&mut self, caller: &Caller, name: &str, at: usize) -> Result<String, Refusal> {
        let missing = || Refusal::new("ClientException", "TaskDefinition not found.");
        let found = self.definition(caller, name).map(|(_, d)| d.clone()).ok_or_else(missing)?;
        let key = found.key();
        self.clusters[at].definitions.entry(key.clone()).or_insert(found);
        Ok(key)
    }
}

impl Cluster {
    /// The next revision of a service's task definition; its key.
    pub fn register(&mut self, service: &str, image: Option<&str>, outcome: Outcome) -> Option<String> {
        let s = self.services.get(service)?;
        let last = self.definitions.values().filter(|d| d.family == s.family).max_by_key(|d| d.revision)?;
        let image = image.map_or_else(|| next_version(&last.image), str::to_owned);
        let next = last.with(last.revision + 1, &image, outcome);
        let key = next.key();
        self.definitions.insert(key.clone(), next);
        Some(key)
    }

    pub fn definition_arn(&self, key: &str) -> String {
        format!("arn:aws:ecs:{}:{}:task-definition/{key}", self.region, self.account)
    }

    /// As `DescribeTaskDefinition` gives it: what was registered, and what ECS adds.
    pub fn definition_json(&self, d: &Definition) -> Value {
        let mut out = d.given.clone().unwrap_or_else(|| self.scenario_json(d));
        out["taskDefinitionArn"] = self.definition_arn(&d.key()).into();
        out["revision"] = d.revision.into();
        out["status"] = "ACTIVE".into();
        out["compatibilities"] = if d.fargate { json!(["EC2", "FARGATE"]) } else { json!(["EC2"]) };
        out["requiresAttributes"] = json!([{"name": "com.amazonaws.ecs.capability.logging-driver.awslogs"}]);
        out["registeredAt"] = seconds(d.registered).into();
        out["registeredBy"] = format!("arn:aws:iam::{}:role/deployer", self.account).into();
        for key in ["volumes", "placementConstraints"] {
            if out[key].is_null() {
                out[key] = json!([]);
            }
        }
        out
    }

    fn scenario_json(&self, d: &Definition) -> Value {
        let mut out = json!({
            "family": d.family, "networkMode": if d.fargate { "awsvpc" } else { "bridge" },
            "cpu": d.cpu.to_string(), "memory": d.memory.to_string(),
            "requiresCompatibilities": [if d.fargate { "FARGATE" } else { "EC2" }],
            "executionRoleArn": format!("arn:aws:iam::{}:role/ecs-execution", self.account),
            "containerDefinitions": [{
                "name": "app", "image": d.image, "cpu": 0, "memory": d.memory, "essential": true,
                "portMappings": [{"containerPort": 8080, "hostPort": 8080, "protocol": "tcp"}],
                "environment": [{"name": "LOG_LEVEL", "value": "info"}], "mountPoints": [], "volumesFrom": [],
                "logConfiguration": {"logDriver": "awslogs", "options": {
                    "awslogs-group": format!("/ecs/{}/{}", self.name, d.family), "awslogs-region": self.region,
                    "awslogs-stream-prefix": "ecs"}},
            }],
        });
        if let Some(secs) = d.stop_timeout {
            out["containerDefinitions"][0]["stopTimeout"] = secs.into();
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_counted() {
        assert_eq!(next_version("r/web:1.4.2"), "r/web:1.4.3");
        assert_eq!(version_before("r/web:1.4.2").as_deref(), Some("r/web:1.4.1"));
        assert_eq!(version_before("r/web:1").as_deref(), Some("r/web:0"));
        for none in ["r/web:1.0", "r/web:latest", "r/web2", "r:5000/web2"] {
            assert_eq!(version_before(none), None, "{none}");
        }
    }
}
