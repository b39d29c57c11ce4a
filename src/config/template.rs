//! The settings file that `config init` writes.

use std::fmt::Write as _;

use super::KEYS;
use super::backend::BACKEND_KEYS;
use super::cluster::CLUSTER_KEYS;
use super::guardrail::GUARDRAIL_KEYS;
use super::notice::NOTICE_KEYS;
use super::runbook::RUNBOOK_KEYS;
use super::service::SERVICE_KEYS;

/// A whole settings file with every key, its doc and its default, all commented
/// out: as it stands it changes nothing.
#[must_use]
pub fn template() -> String {
    let mut out = String::from(
        "# Quarterdeck's settings. Every key is here with its default; take the `#` away\n\
         # before those you change. Each can also be set by the environment variable named\n\
         # with it, and flags win over both. `quarterdeck config check` tells what is wrong,\n\
         # `quarterdeck config show` what is in force and where it comes from.\n",
    );
    let mut section = "";
    for key in KEYS {
        let (table, name) = key.section();
        if table != section {
            section = table;
            let _ = write!(out, "\n[{table}]\n");
        }
        out.push('\n');
        for line in folded(&format!("{} ({}; {})", key.doc, key.allowed, key.env()), 85) {
            let _ = writeln!(out, "# {line}");
        }
        let _ = writeln!(out, "#{name} = {}", key.default_toml());
    }
    out.push_str(
        "\n# One entry for each cluster to show; without any, the kubeconfig's current context.\n#[[cluster]]\n",
    );
    for (name, allowed, doc) in CLUSTER_KEYS {
        if *name == "ecs" {
            let _ = writeln!(out, "# {doc} Instead of `context`:\n# ecs = \"prod@eu-west-1/shop\"");
            continue;
        }
        let example = match (*name, *allowed) {
            (_, "true or false") => "false",
            ("namespace", _) => "\"shop\"",
            ("accent", _) => "\"violet\"",
            _ => "\"staging\"",
        };
        let _ = writeln!(out, "# {doc}\n#{name} = {example}");
    }
    out.push_str("\n# Runbooks of alarms that name none themselves; the first that fits counts.\n");
    out.push_str("# [[runbook]]\n");
    for (name, _, doc, example) in RUNBOOK_KEYS {
        let _ = writeln!(out, "# {doc}\n# {name} = \"{example}\"");
    }
    out.push_str("\n# One entry for each Prometheus to read, or what speaks its API.\n#[[prometheus]]\n");
    for (name, _, doc, example) in BACKEND_KEYS {
        // What cannot stand beside the rest is shown as a comment.
        let shown = matches!(*name, "name" | "url" | "timeout" | "limit" | "severity_label" | "insecure");
        let _ = writeln!(out, "# {doc}\n#{}{name} = {example}", if shown { "" } else { " " });
    }
    out.push_str(
        "\n# One entry for each Alertmanager to read, with the same keys.\n# [[alertmanager]]\n\
         # name = \"alerts\"\n# url = \"https://alertmanager.example.com\"\n\n\
         # One entry for each way in which services tell their requests.\n#[[services]]\n",
    );
    for (name, _, doc, example) in SERVICE_KEYS {
        let _ = writeln!(out, "# {doc}\n#{}{name} = {example}", if *name == "preset" { "" } else { " " });
    }
    out.push_str("\n# One entry for each place where EventBridge's events are read.\n#[[notices]]\n");
    for (name, _, doc, example) in NOTICE_KEYS {
        let shown = matches!(*name, "name" | "log_group");
        let _ = writeln!(out, "# {doc}\n#{}{name} = {example}", if shown { "" } else { " " });
    }
    out.push_str("\n# One entry for each rule about what may be done; all that fit count.\n# [[guardrail]]\n");
    for (name, _, doc, example) in GUARDRAIL_KEYS {
        for line in folded(doc, 85) {
            let _ = writeln!(out, "# {line}");
        }
        let _ = writeln!(out, "# {name} = {example}");
    }
    out
}

/// `text` in lines of `width` characters at most, where its words allow it.
fn folded(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
