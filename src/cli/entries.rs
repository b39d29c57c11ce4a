//! The entries of the settings that come in any number, a line each, for `config show`.

use std::collections::BTreeSet;

use crate::config::{
    BackendSettings, ClusterSettings, Config, GuardrailEffect, GuardrailSettings, NoticePlace, NoticeSettings, Place,
    ServiceSettings,
};

/// All of them, as the file names them: what each is, and what it says. No secrets.
pub fn lines(config: &Config) -> String {
    let mut out: Vec<String> = config.clusters.iter().map(cluster).collect();
    out.extend(config.prometheus.iter().map(|b| backend("prometheus", b)));
    out.extend(config.alertmanager.iter().map(|b| backend("alertmanager", b)));
    out.extend(config.services.iter().map(service));
    out.extend(config.notices.iter().map(notices));
    out.extend(config.guardrails.iter().map(guardrail));
    out.extend(config.runbooks.iter().map(|r| line("runbook", &r.alarm, &r.url, [])));
    out.into_iter().map(|line| line + "\n").collect()
}

/// `cluster shop (context prod), production, read-only`.
fn line<const N: usize>(what: &str, name: &str, place: &str, says: [Option<String>; N]) -> String {
    let mut out = format!("{what} {name} ({place})");
    for word in says.into_iter().flatten() {
        out += ", ";
        out += &word;
    }
    out
}

fn flag(on: bool, word: &str) -> Option<String> {
    on.then(|| word.to_owned())
}

fn cluster(c: &ClusterSettings) -> String {
    let place = c.ecs.as_ref().map_or_else(|| format!("context {}", c.context), |name| format!("ECS {}", name.full()));
    let says = [
        flag(c.production, "production"),
        flag(c.read_only, "read-only"),
        c.namespace.as_ref().map(|n| format!("namespace {n}")),
        c.accent.map(ToOwned::to_owned),
    ];
    line("cluster", &c.name, &place, says)
}

fn backend(what: &str, b: &BackendSettings) -> String {
    let place = match &b.place {
        Place::Url(url) => url.clone(),
        Place::Service(service) => format!("service {service}"),
    };
    let says = [b.cluster.as_ref().map(|c| format!("cluster {c}")), flag(b.read_only, "read-only")];
    line(what, &b.name, &place, says)
}

fn service(s: &ServiceSettings) -> String {
    let place = if s.namespace.is_empty() { "any namespace".to_owned() } else { format!("namespace {}", s.namespace) };
    let says = [
        s.prometheus.as_ref().map(|p| format!("prometheus {p}")),
        s.preset.as_ref().map(|p| format!("preset {p}")),
        flag(!s.matchers.is_empty(), &s.matchers),
    ];
    line("services", if s.name.is_empty() { "all" } else { &s.name }, &place, says)
}

fn notices(n: &NoticeSettings) -> String {
    let place = match &n.place {
        NoticePlace::LogGroup(name) => format!("log group {name}"),
        NoticePlace::Queue(name) => format!("queue {name}"),
    };
    let says = [n.profile.as_ref().map(|p| format!("profile {p}")), n.region.as_ref().map(|r| format!("region {r}"))];
    line("notices", &n.name, &place, says)
}

/// `guardrail number 1 (deny), cluster prod-*, actions delete drain: not by hand`.
fn guardrail(g: &GuardrailSettings) -> String {
    let effect = match &g.effect {
        GuardrailEffect::Deny => "deny".to_owned(),
        GuardrailEffect::Confirm => "confirm".to_owned(),
        GuardrailEffect::AtOnce(n) => format!("at once {n}"),
        GuardrailEffect::Quiet(hours, zone) => {
            let (from, to) = hours.bounds();
            format!("quiet {:02}:{:02}-{:02}:{:02} {zone}", from / 60, from % 60, to / 60, to % 60)
        }
    };
    let pattern = |what: &str, pattern: &str| flag(!pattern.is_empty(), &format!("{what} {pattern}"));
    let actions: BTreeSet<&str> = g.actions.iter().map(String::as_str).collect();
    let says = [
        pattern("cluster", &g.cluster),
        pattern("namespace", &g.namespace),
        pattern("kind", &g.kind),
        pattern("object", &g.object),
        pattern("actions", &actions.into_iter().collect::<Vec<_>>().join(" ")),
    ];
    let why = if g.why.is_empty() { String::new() } else { format!(": {}", g.why) };
    line("guardrail", &g.name, &effect, says) + &why
}
