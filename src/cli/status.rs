//! `quarterdeck status`: everything once.

use std::process::ExitCode;
use std::time::Duration;

use super::args::{Cli, Format};
use super::output::say;
use super::{CliError, session};
use crate::clock::Clock;
use crate::domain::Freshness;
use crate::run::gather::settle_once;
use crate::store::alarm_groups::trouble;
use crate::store::problems::problems;
use crate::view::alarms::{amount, limit};
use crate::view::columns::{Context, alarm_about, alarm_mark};
use crate::view::status::{Status, backend_failed, silent, status};

/// How long sources may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Prints; exits with 0 when fine, 1 when something is critical, 2 when a source failed.
pub async fn run(cli: &Cli, format: Format) -> Result<ExitCode, CliError> {
    let place = session::place(cli)?;
    let config = session::load(cli, &place)?;
    session::check(&config, &place.paths)?;
    let clock = Clock::system();
    let mut reading = session::read(cli, &config, &clock).await?;
    let found = || !reading.backend.is_looking();
    settle_once(found, &mut reading.store, &mut reading.observations, PATIENCE).await;
    let now = clock.now();
    let status = status(&reading.store, now);
    match format {
        Format::Json => say(&serde_json::to_string_pretty(&status)?),
        Format::Table => {
            let c = Context {
                store: &reading.store,
                now,
                absolute: false,
                ascii: session::ascii(&config),
                thresholds: session::thresholds(&config),
            };
            say(&table(c, cli.common.namespace.as_deref()));
        }
    }
    let code = code(&status);
    reading.stop().await;
    Ok(code)
}

fn code(status: &Status) -> ExitCode {
    ExitCode::from(match status.state {
        "critical" => 1,
        "unknown" => 2,
        _ => 0,
    })
}

/// What did not answer, and why: one server that is gone has one reason, not thirteen.
fn unanswered(c: Context<'_>) -> Vec<String> {
    let all = crate::view::summary::clusters(c.store, c.now);
    let mut failed: Vec<_> = all.iter().filter(|s| crate::view::status::has_failed(s)).map(|s| &s.id).collect();
    failed.extend(c.store.backends().map(|(id, _)| id).filter(|id| backend_failed(c.store, id)));
    let unheard = c.store.backends().map(|(id, _)| id).filter(|id| silent(c.store, id));
    let unheard: Vec<String> = unheard.map(|id| format!("{id}  nothing heard yet\n")).collect();
    let said = crate::view::sources::alike(c.store)
        .into_iter()
        .filter(|g| failed.contains(&g.cluster))
        .filter(|g| !matches!(g.freshness, Freshness::Live { .. } | Freshness::Absent { denied: false, .. }))
        .map(|g| {
            let why = g.freshness.reason().map_or_else(String::new, |r| format!(": {r}"));
            format!("{}  {} {}{why}\n", g.cluster, g.name(), g.freshness.word())
        });
    said.chain(unheard).collect()
}

fn table(c: Context<'_>, namespace: Option<&str>) -> String {
    let mut out: String =
        crate::view::clusters::cluster_lines(c, 100).iter().map(|l| l.text().trim_end().to_owned() + "\n").collect();
    out.push('\n');
    let all = problems(c.store, c.now);
    let blind: Vec<String> = unanswered(c);
    let nothing_there = c.store.tasks.len() + c.store.workloads.len() == 0;
    if let Some(namespace) = namespace.filter(|_| all.is_empty() && blind.is_empty() && nothing_there) {
        // Perhaps it is another one that was meant.
        out += &format!("no objects in namespace {namespace}\n");
    } else if all.is_empty() {
        out.push_str(if blind.is_empty() {
            "nothing is wrong\n"
        } else {
            "nothing is known to be wrong, but not all is known\n"
        });
    }
    for line in blind {
        out += &line;
    }
    for p in all {
        let since = p.since.map_or_else(String::new, |_| format!(" for {}", p.lasted(c.now)));
        let place = if p.id.namespace.is_empty() { String::new() } else { format!("{}/", p.id.namespace) };
        out += &format!(
            "{}  {}  {} {place}{}  {}{since}",
            crate::view::columns::overview_mark(p.health, c.ascii),
            p.id.cluster,
            p.id.kind.short(),
            p.id.name,
            p.what
        );
        if !p.why.is_empty() {
            out += &format!(": {}", p.why);
        }
        out.push('\n');
    }
    out + &notices(c) + &unplaced(c) + &alarms(c)
}

/// What is going to go, the one with the least time first.
fn notices(c: Context<'_>) -> String {
    use crate::view::notices::{left, told_by, verdict};
    let board = c.store.board(c.now);
    let mut out = String::new();
    for r in board.rows.iter().filter(|r| r.is_open()) {
        let cluster = if r.id.cluster.as_str().is_empty() { "-" } else { r.id.cluster.as_str() };
        let gone = if r.tasks.1 > 0 { format!("  {} of {} gone", r.tasks.0, r.tasks.1) } else { String::new() };
        let told = told_by(r);
        let told = if told.is_empty() { told } else { format!("  {told}") };
        let verdict = verdict(c, r).text;
        out += &format!("{}  {}  {cluster}  {}{gone}  {verdict}{told}\n", left(c, r), r.kind.word(), r.name);
    }
    if out.is_empty() { out } else { format!("\nnotices\n{out}") }
}

/// Services whose tasks find no place.
fn unplaced(c: Context<'_>) -> String {
    let mut out = String::new();
    for u in c.store.unplaced(c.now).iter() {
        let line = crate::view::placements::line(c, u, usize::MAX).text();
        out += line.trim_start();
        out.push('\n');
    }
    if out.is_empty() { out } else { format!("\nservices that find no place\n{out}") }
}

/// The alarms that fire, a line for all that are about the same.
fn alarms(c: Context<'_>) -> String {
    let mut out = String::new();
    for group in trouble(c.store) {
        let Some(lead) = group.lead() else { continue };
        let others = group.len() - 1;
        let others = if others > 0 { format!(" +{others}") } else { String::new() };
        let about = group.about.as_ref().map_or_else(String::new, |a| format!("  {}", alarm_about(a)));
        let value =
            lead.value.map_or_else(String::new, |v| format!("  {} {}", amount(v, &lead.more.unit), limit(lead)));
        let since =
            lead.since.map_or_else(String::new, |t| format!(" for {}", crate::domain::age::age(Some(t), c.now)));
        let mark = alarm_mark(lead, c.ascii);
        out += &format!("{mark}  {}  {}{others}{about}{value}{since}\n", lead.id.cluster, lead.id.name);
    }
    if out.is_empty() { out } else { format!("\nalarms\n{out}") }
}
