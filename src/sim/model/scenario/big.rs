//! Makes a fleet of any size.

use std::collections::BTreeMap;

use toml::Spanned;

use super::schema::{Capacity, File, Generate, Kind, NamespaceDef, NodeGroup, Span, WorkloadDef};
use crate::sim::model::profile::LogStyle;
use crate::sim::model::rng::Rng;

const NOUNS: [&str; 24] = [
    "cart", "orders", "ledger", "search", "catalog", "session", "profile", "billing", "shipping", "stock", "pricing",
    "reviews", "media", "mailer", "gateway", "router", "auth", "audit", "reports", "feed", "ranking", "alerts", "sync",
    "tokens",
];
const ROLES: [&str; 6] = ["api", "worker", "web", "consumer", "cache", "indexer"];
const ZONES: [&str; 3] = ["eu-west-1a", "eu-west-1b", "eu-west-1c"];

/// Adds nodes, namespaces and deployments up to the asked size.
pub fn generate(file: &mut File, g: &Generate) {
    let mut rng = Rng::new(file.seed ^ 0xB16);
    let per_node = u64::from(g.pods.div_ceil(g.nodes));
    let room = (per_node * 5 / 4 + 8).max(110);
    // Every pod asks for 100m and 128Mi: a quarter is left over for rollouts.
    let (cpu, memory) = ((room * 100).div_ceil(1000).max(8) + 1, (room * 128).div_ceil(1024).max(16) + 2);
    let spot = g.nodes / 3;
    for (group, count, capacity) in [("general", g.nodes - spot, Capacity::OnDemand), ("spot", spot, Capacity::Spot)] {
        file.nodes.push(NodeGroup {
            group: group.to_owned(),
            count,
            instance: "m7i.4xlarge".to_owned(),
            capacity,
            zones: ZONES.map(str::to_owned).to_vec(),
            cpu,
            memory,
            pods: room,
            labels: BTreeMap::new(),
            taints: Vec::new(),
            age: Span(21 * 86_400_000),
        });
    }
    let namespaces = (g.pods / 400).clamp(3, 40);
    let names: Vec<String> = (0..namespaces).map(|i| format!("team-{i:02}")).collect();
    file.namespaces.extend(names.iter().map(|n| NamespaceDef { name: n.clone(), labels: BTreeMap::new() }));
    let (mut left, mut i) = (i64::from(g.pods), 0_usize);
    let largest = (left / 20).clamp(3, 60);
    while left > 0 {
        let replicas = rng.range(1, largest).min(left);
        left -= replicas;
        let noun = NOUNS[i % NOUNS.len()];
        let role = ROLES[(i / NOUNS.len()) % ROLES.len()];
        let round = i / (NOUNS.len() * ROLES.len());
        let name = if round == 0 { format!("{noun}-{role}") } else { format!("{noun}-{role}-{round}") };
        let namespace = &names[(rng.next() % names.len() as u64) as usize];
        file.workloads.push(workload(namespace, name, replicas, &mut rng));
        i += 1;
    }
}

fn workload(namespace: &str, name: String, replicas: i64, rng: &mut Rng) -> WorkloadDef {
    let logs = [LogStyle::Json, LogStyle::Access, LogStyle::Plain, LogStyle::Java];
    WorkloadDef {
        kind: Kind::Deployment,
        namespace: Spanned::new(0..0, namespace.to_owned()),
        image: format!("registry.example.com/{name}:1.{}.{}", rng.range(0, 40), rng.range(0, 9)),
        name,
        replicas,
        cpu: Some("100m".to_owned()),
        memory: Some("128Mi".to_owned()),
        cpu_limit: None,
        memory_limit: Some("256Mi".to_owned()),
        logs: logs[(rng.next() % 4) as usize],
        mesh: false,
        init: Vec::new(),
        extra: Vec::new(),
        ready_after: Span(3000),
        load: 0.2 + 0.5 * rng.range(0, 100) as f64 / 100.0,
        memory_use: 0.7,
        hpa: None,
        pdb: None,
        service: false,
        config_map: false,
        schedule: None,
        duration: Span(20_000),
        fails: 0.0,
        completions: None,
        max_surge: None,
        max_unavailable: None,
        recreate: false,
        progress_deadline: Span(600_000),
        stops_after: None,
        grace: Span(30_000),
        age: None,
        last_rollout: None,
        revisions: 1,
        restarts: 0.03,
        node_selector: BTreeMap::new(),
        tolerations: Vec::new(),
        priority_class: None,
        host_network: false,
        slim: true,
    }
}
