//! `quarterdeck doctor`: what was found, and what to do about it.

use std::io::IsTerminal;
use std::process::ExitCode;

use super::args::Cli;
use super::output::say;
use super::{CliError, session};
use crate::theme::{ColorDepth, Theme};

/// Collects findings.
#[derive(Default)]
struct Findings {
    text: String,
    bad: usize,
}

impl Findings {
    fn good(&mut self, what: &str, found: &str) {
        self.text += &format!("ok    {what:<14} {found}\n");
    }

    fn note(&mut self, what: &str, found: &str, advice: &str) {
        self.text += &format!("note  {what:<14} {found}\n      {:<14} {advice}\n", "");
    }

    fn bad(&mut self, what: &str, found: &str, advice: &str) {
        self.bad += 1;
        self.text += &format!("BAD   {what:<14} {found}\n      {:<14} {advice}\n", "");
    }
}

/// Prints findings; exits with 1 when something is bad.
pub async fn run(cli: &Cli) -> Result<ExitCode, CliError> {
    let mut f = Findings::default();
    terminal(&mut f);
    let place = session::place(cli)?;
    match session::load(cli, &place) {
        Ok(config) => {
            let named = cli.common.config.clone().or_else(|| session::env("QUARTERDECK_CONFIG").map(Into::into));
            let file = named.unwrap_or_else(|| place.paths.config_file());
            f.good(
                "config",
                &if file.exists() {
                    file.display().to_string()
                } else {
                    format!("defaults ({} does not exist)", file.display())
                },
            );
            if let Err(e) = session::check(&config, &place.paths) {
                f.bad("settings", &e.to_string(), "correct it; `quarterdeck config check` looks again");
            }
            let state = config.state_dir(&place.paths);
            f.good("state", &state.display().to_string());
            log_file(state, config.log, &mut f);
            clusters(cli, &config, &mut f).await;
        }
        Err(e) => f.bad("config", &e.to_string(), "mend the file; `quarterdeck config check` looks again"),
    }
    f.text += &match f.bad {
        0 => "everything needed is there\n".to_owned(),
        n => format!("{n} to mend\n"),
    };
    say(&f.text);
    Ok(if f.bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where the console writes its own log.
fn log_file(state: &std::path::Path, level: crate::config::LogLevel, f: &mut Findings) {
    let file = super::log::file(state);
    let exists = if file.exists() { "" } else { ", not written yet" };
    match level {
        crate::config::LogLevel::Off => {
            f.note("log", "off", "QUARTERDECK_LOG=info, or `log` in the settings, writes one");
        }
        level => f.good("log", &format!("{} (level {}{exists})", file.display(), level.word())),
    }
}

fn terminal(f: &mut Findings) {
    let term = session::env("TERM").unwrap_or_default();
    if !std::io::stdout().is_terminal() {
        f.note("terminal", "standard output is none", "the console needs one; `status` and `snapshot` do not");
    } else if term == "dumb" || term.is_empty() {
        f.bad("terminal", &format!("TERM is `{term}`"), "set TERM to what the terminal is, such as xterm-256color");
    } else {
        let size = crossterm::terminal::size().map_or_else(|_| "unknown size".to_owned(), |(w, h)| format!("{w}x{h}"));
        f.good("terminal", &format!("{term}, {size}"));
    }
    let depth = ColorDepth::from_env(&session::env);
    let colors = match depth {
        ColorDepth::None => "none (NO_COLOR or a terminal without)",
        ColorDepth::Ansi16 => "16",
        ColorDepth::Ansi256 => "256",
        ColorDepth::TrueColor => "16 million",
    };
    f.good("colours", &format!("{colors}; theme auto is {}", Theme::auto_name(&session::env, depth)));
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(session::env).unwrap_or_default();
    f.good(
        "locale",
        if locale.is_empty() { "none set; UTF-8 is taken for granted (--ascii draws without)" } else { &locale },
    );
    if let Some(from) = session::env("SSH_CONNECTION") {
        f.good("ssh", &format!("from {}; frames are drawn less often", from.split(' ').next().unwrap_or_default()));
    }
}

#[cfg(feature = "kubernetes")]
async fn clusters(cli: &Cli, config: &crate::config::Config, f: &mut Findings) {
    use crate::source::kubernetes::{Kubeconfig, contexts};
    if cli.common.demo.is_none() {
        let kubeconfig = config.kubeconfig.clone().map_or(Kubeconfig::Default, Kubeconfig::File);
        match contexts(&kubeconfig) {
            Ok(all) if all.is_empty() => {
                f.note("kubeconfig", "none found", "set KUBECONFIG or --kubeconfig; --demo needs none");
            }
            Ok(all) => {
                let names: Vec<String> = all
                    .iter()
                    .map(|c| if c.current { format!("{} (current)", c.name) } else { c.name.clone() })
                    .collect();
                f.good("kubeconfig", &format!("{} contexts: {}", all.len(), names.join(", ")));
            }
            Err(e) => f.bad("kubeconfig", &e.to_string(), "mend the file, or name another with --kubeconfig"),
        }
    }
    let mut reading = match session::read(cli, config, &crate::clock::Clock::system()).await {
        Ok(reading) => reading,
        Err(e) => {
            f.bad("clusters", &e.to_string(), "nothing can be read");
            return;
        }
    };
    let patience = std::time::Duration::from_secs(15);
    crate::run::gather::settle(&mut reading.store, &mut reading.observations, patience).await;
    for (id, known) in reading.store.clusters() {
        match known {
            Some(c) if c.endpoint.is_empty() || !answers(&reading.store, id) => {
                f.bad(id.as_str(), "is not reached", "the reason follows");
            }
            Some(c) => {
                let version = if c.version.is_empty() { String::new() } else { format!(", {}", c.version) };
                f.good(id.as_str(), &format!("answers at {}{version}", c.endpoint));
            }
            None => f.bad(id.as_str(), "does not answer", "the reason follows"),
        }
        feeds(&reading.store, id, f);
        // A server that is not reached is not asked once more, to fail alike.
        if known.is_some()
            && answers(&reading.store, id)
            && let Some(reader) = reading.backend.reader(id)
        {
            permissions(&reader, cli.common.namespace.as_deref(), f).await;
        }
    }
    backends(&reading.store, f);
    budgets(&reading.store, f);
    reading.stop().await;
}

/// Whether anybody would see that users hurt.
#[cfg(feature = "kubernetes")]
fn budgets(store: &crate::store::Store, f: &mut Findings) {
    let unread = store.budgets.rows().filter(|b| b.left().is_none()).count();
    match store.budgets.len() {
        0 => f.note("error budgets", "none", "docs/slo.md says how to write objectives"),
        n if unread > 0 => {
            f.note("error budgets", &format!("{n}, {unread} of them without figures"), "see `slo report`");
        }
        n => f.good("error budgets", &n.to_string()),
    }
}

/// Metric backends and feeds of notices, and how each of their feeds is.
#[cfg(feature = "kubernetes")]
fn backends(store: &crate::store::Store, f: &mut Findings) {
    use crate::domain::Freshness as F;
    for (id, known) in store.backends() {
        let feeds: Vec<_> = store.sources().filter(|(s, _)| s.cluster == *id).collect();
        let words: Vec<&str> = feeds.iter().filter(|(_, s)| s.complete).map(|(s, _)| s.feed.word()).collect();
        if !words.is_empty() {
            let is = known.map_or_else(String::new, |b| {
                let version = if b.version.is_empty() { String::new() } else { format!(" {}", b.version) };
                format!("{}{version} at {}: ", b.kind.word(), b.endpoint)
            });
            f.good(id.as_str(), &format!("{is}{}", words.join(", ")));
        }
        for (source, state) in feeds {
            let name = format!("{id} {}", source.feed.word());
            let page =
                if known.is_some_and(|b| b.kind.tells_notices()) { "docs/spot-feeds.md" } else { "docs/metrics.md" };
            match &state.freshness {
                F::Live { .. } => {}
                F::Absent { because, .. } => f.note(&name, because, "the rest works without"),
                F::Loading { .. } => f.bad(&name, "no answer yet", "the server is slow"),
                F::Stale { because, .. } | F::Down { because, .. } => {
                    f.bad(&name, because, &format!("see the message; {page}"));
                }
            }
        }
    }
}

/// How a cluster's feeds are: those that share a cause share an entry.
#[cfg(feature = "kubernetes")]
fn feeds(store: &crate::store::Store, id: &crate::domain::ClusterId, f: &mut Findings) {
    use crate::domain::Freshness as F;
    for group in crate::view::sources::alike(store).into_iter().filter(|g| g.cluster == id) {
        let name = group.name();
        let which = |advice: &str| match group.feeds.len() {
            1 => advice.to_owned(),
            _ => format!("{advice} ({})", group.names()),
        };
        match group.freshness {
            F::Live { .. } => f.good("read", &group.names()),
            F::Absent { because, denied: true } => {
                f.note(&name, because, &which("ask for `list` and `watch` on it; the rest works without"));
            }
            F::Absent { because, .. } => f.note(&name, because, &which("shown as blank; nothing else depends on it")),
            F::Loading { .. } => {
                f.bad(&name, "no answer yet", &which("the server is slow or the request is held back"));
            }
            F::Stale { because, .. } | F::Down { because, .. } => f.bad(&name, because, &which("see the message")),
        }
    }
}

/// True if any feed of a cluster has been answered.
#[cfg(feature = "kubernetes")]
fn answers(store: &crate::store::Store, id: &crate::domain::ClusterId) -> bool {
    store.sources().any(|(s, state)| s.cluster == *id && (state.complete || state.freshness.word() == "denied"))
}

/// What the console asks for only when a key is pressed: group, resource, verb, and what it is for.
#[cfg(feature = "kubernetes")]
const ON_DEMAND: [(&str, &str, &str, &str); 2] =
    [("", "pods/log", "get", "reading logs"), ("", "pods", "get", "describe and YAML")];

/// Asks the server what we may do, rather than trying it.
#[cfg(feature = "kubernetes")]
async fn permissions(reader: &crate::source::kubernetes::Reader, namespace: Option<&str>, f: &mut Findings) {
    let mut allowed = Vec::new();
    for (group, resource, verb, what) in ON_DEMAND {
        match reader.can_i(verb, group, resource, namespace).await {
            Ok(true) => allowed.push(what),
            Ok(false) => {
                f.note(what, "not allowed", &format!("ask for `{verb}` on {resource}; the rest works without"));
            }
            Err(e) => {
                f.note("permissions", &e.to_string(), "the server does not say; keys may turn out not to be allowed");
                return;
            }
        }
    }
    if !allowed.is_empty() {
        f.good("allowed", &allowed.join(", "));
    }
}

#[cfg(not(feature = "kubernetes"))]
#[expect(clippy::unused_async, reason = "the same call with and without the adapter")]
async fn clusters(_cli: &Cli, _config: &crate::config::Config, f: &mut Findings) {
    f.bad("clusters", "this build was made without the feature `kubernetes`", "build with default features");
}
