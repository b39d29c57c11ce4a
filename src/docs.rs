//! The reference pages, written from the tables: `tests/docs.rs` compares them with
//! the files on disk.

use std::fmt::Write as _;

use crate::command::COMMANDS;
use crate::config::{
    BACKEND_KEYS, CLUSTER_KEYS, GUARDRAIL_KEYS, KEYS, NOTICE_KEYS, RUNBOOK_KEYS, SERVICE_KEYS, template,
};
use crate::key::{Context, KEY_GRAMMAR};
use crate::keymap::Keymap;
use crate::theme::{Legibility, ROLES, Theme};

const GENERATED: &str = "<!-- Written from the program's tables: `UPDATE_DOCS=1 cargo test --test docs`. -->\n";

/// Every generated page: its path from the root of the repository, and its text.
#[must_use]
pub fn generate() -> Vec<(&'static str, String)> {
    vec![
        ("docs/commands.md", commands()),
        ("docs/config.md", config()),
        ("docs/keys.md", keys()),
        ("docs/themes.md", themes()),
    ]
}

fn commands() -> String {
    let map = Keymap::embedded_default();
    let mut out = format!(
        "{GENERATED}# Commands\n\nWhat a key or the command palette (`:`) can ask for. Keymap files call a command by the\nname given here.\n"
    );
    for context in Context::ALL {
        let rows: Vec<_> = COMMANDS.iter().filter(|c| c.context == context).collect();
        if rows.is_empty() {
            continue;
        }
        let _ = write!(out, "\n## {}\n\n| command | keys | what it does |\n|---|---|---|\n", place(context));
        for c in rows {
            let keys = map.keys_for(context, c.command);
            let _ = writeln!(out, "| `{}` | {} | {} |", c.name, code_list(keys), cell(c.doc));
        }
    }
    out
}

fn keys() -> String {
    let map = Keymap::embedded_default();
    let mut out = format!(
        "{GENERATED}# Keys\n\nThe default keymap. What is written under \"Everywhere\" works in the other places too, unless\nthe same key is written there.\n"
    );
    for context in Context::ALL {
        let inherited = context.parent().map(|parent| map.bindings(parent)).unwrap_or_default();
        let rows: Vec<_> = map.bindings(context).into_iter().filter(|row| !inherited.contains(row)).collect();
        if rows.is_empty() {
            continue;
        }
        let _ = write!(out, "\n## {}\n\n| key | command | what it does |\n|---|---|---|\n", place(context));
        for (keys, command) in rows {
            let _ = writeln!(out, "| {} | `{}` | {} |", code(&keys), command.name(), cell(command.info().doc));
        }
    }
    let _ = write!(
        out,
        "\n## Keymap files\n\nBuilt in: {}. A keymap of your own is a file in the `keymaps` directory beside `config.toml`,\nnamed in `keymap = \"NAME\"`; `quarterdeck keys`\nlists every key that is in force, with those of `[[command]]`; `--lint` only looks for mistakes, exit code 1.\n\n\
         ```toml\ninherits = \"default\"\n\n[global]\n\"ctrl-q\" = \"quit\"\n\"f1\" = \"none\"          # takes one key away; of a prefix (ctrl-x) it would take all its sequences\n\n\
         [table]\n\", d\" = \"describe\"      # a sequence\n\n[groups]\n\",\" = \"look\"            # what the popup calls it\n```\n\n\
         A `[[command]]` gives a key to a program of yours; see [runbooks.md](runbooks.md).\n\n\
         Contexts: {}. A key is {KEY_GRAMMAR}.\n\nOf two bindings the nearer wins: the file over what it inherits, the context over its parent.\nA sequence that begins like a nearer binding gives way.\n",
        code_list(&Keymap::names()),
        code_list(&Context::ALL.map(Context::name)),
    );
    out
}

fn config() -> String {
    let mut out = format!(
        "{GENERATED}# Settings\n\nNo file is needed. `quarterdeck config init` writes one with everything commented out,\n`config check` says what is wrong with it, `config show` what is in force and where each value\ncomes from. Flags win over environment variables, those over the file, that over the defaults.\n\n\
         | key | default | allowed | environment | what it does |\n|---|---|---|---|---|\n"
    );
    for key in KEYS {
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | `{}` | {} |",
            key.name,
            code(&key.default_toml()),
            cell(key.allowed),
            key.env(),
            cell(key.doc)
        );
    }
    out.push_str("\n## `[[cluster]]`\n\nOne entry for each cluster to show; without any, the kubeconfig's current context.\n\n| key | allowed | what it does |\n|---|---|---|\n");
    for (name, allowed, doc) in CLUSTER_KEYS {
        let _ = writeln!(out, "| `{name}` | {} | {} |", cell(allowed), cell(doc));
    }
    out.push_str("\n## `[[runbook]]`\n\nRunbooks of alarms that name none themselves (by an annotation, a tag, or their description).\nThe first entry that fits counts.\n\n| key | allowed | what it does |\n|---|---|---|\n");
    for (name, allowed, doc, _) in RUNBOOK_KEYS {
        let _ = writeln!(out, "| `{name}` | {} | {} |", cell(allowed), cell(doc));
    }
    for (heading, keys) in [
        (
            "`[[prometheus]]` and `[[alertmanager]]`\n\nOne entry for each to read; see [metrics.md](metrics.md)",
            BACKEND_KEYS,
        ),
        (
            "`[[services]]`\n\nOne entry for each way in which services tell their requests; see [metrics.md](metrics.md)",
            SERVICE_KEYS,
        ),
        (
            "`[[notices]]`\n\nOne entry for each place where EventBridge's events are read; see [spot-feeds.md](spot-feeds.md)",
            NOTICE_KEYS,
        ),
        (
            "`[[guardrail]]`\n\nOne entry for each rule about what may be done. All that fit count: one more never allows more. Patterns are for\nwhat an action is asked for, and for what its plan changes with it: the tasks that a drain evicts, too",
            GUARDRAIL_KEYS,
        ),
    ] {
        let _ = write!(out, "\n## {heading}.\n\n| key | allowed | what it does |\n|---|---|---|\n");
        for (name, allowed, doc, _) in keys {
            let _ = writeln!(out, "| `{name}` | {} | {} |", cell(allowed), cell(doc));
        }
    }
    out.push_str(
        "\n## Where files are\n\n`config.toml`, `themes/`, `keymaps/` and `runbooks/` are in the configuration directory; the state directory holds:\n\n| file | what it is |\n|---|---|\n| `audit*` | what was changed: [audit.md](audit.md) |\n| `spot-history.jsonl` | notices that are over: [notices.md](notices.md) |\n| `runbook-ticks.json` | ticks, by incident: [runbooks.md](runbooks.md) |\n| `screens/` | saved screens |\n| `quarterdeck.log`, `quarterdeck.log.old` | the console's own log |\n| `spot-queue-*.jsonl`, `spot-odd.jsonl` | messages of its queues, and those that made no sense: [spot-feeds.md](spot-feeds.md) |\n\n| | configuration | state |\n|---|---|---|\n| Linux | `~/.config/quarterdeck` | `~/.local/state/quarterdeck` |\n| moved by | `QUARTERDECK_CONFIG_DIR`, else `XDG_CONFIG_HOME` | `QUARTERDECK_STATE_DIR`, else `state.dir`, else `XDG_STATE_HOME` |\n| macOS | `~/Library/Application Support/quarterdeck` | the same |\n| without a home directory | `.quarterdeck` where it was started | `.quarterdeck/state` there |\n\n`--config FILE` or `QUARTERDECK_CONFIG` names another file. A path begins with `~/` for the home directory; one that is relative\nis from where the console was started, not from where the file is.\n\nA demo uses directories of its own, which go when it ends, and reads no file of yours unless `--config`, `QUARTERDECK_CONFIG`\nor a path in a setting names it. Its screens are saved where it was started.\n",
    );
    let _ = write!(out, "\n## The whole file\n\n```toml\n{}```\n", template());
    out
}

fn themes() -> String {
    let mut out = format!(
        "{GENERATED}# Themes\n\nNamed by `theme` in `config.toml`, `--theme` or `QUARTERDECK_THEME`. State is never carried by colour alone.\n\n| theme | what it is good for |\n|---|---|\n"
    );
    for name in Theme::names() {
        if let Ok(theme) = Theme::load(name, None) {
            let _ = writeln!(out, "| `{name}` | {} |", cell(theme.doc()));
        }
    }
    out.push_str(
        "\n## Theme files\n\nA theme of your own is a file in the `themes` directory beside `config.toml`. `quarterdeck themes` lists the\nbuilt-in ones and the files there; `--lint` checks them, contrast included, and that of `--theme NAME` besides, and exits with 1\nwhere something is wrong; `--preview` shows each role in its style.\n\n\
         ```toml\ninherits = \"quarterdeck-dark\"\ndoc = \"Mine.\"\nlight = false\n\n\
         [palette]\nbrass = \"#ffcc66\"\n\n[roles]\naccent = \"brass\"\ntitle = { fg = \"brass\", bold = true }\nlink = { like = \"accent\", underline = true }\n```\n\n\
         A colour is a name from `[palette]`, `#rrggbb`, `0` to `255`, `default`, or one of the terminal's\nsixteen (`red`, `light-red`, ...). A style has `fg`, `bg`, `bold`, `dim`, `italic`, `underline`, `reverse`, and `like`,\nwhich begins with another role's look. Changing a colour of the palette changes it in what is inherited too.\n\n\
         ## Light or dark\n\n`auto` goes by `COLORFGBG` where the terminal sets it. Where it does not, the console opens dark and asks the\nterminal for its background (OSC 11); when the answer comes, and whenever it comes, a light one switches to\n`quarterdeck-light`. Nothing waits for it, and a terminal that never answers stays dark.\n\n\
         ## Clusters\n\nA `[[cluster]]` with `production = true` has a look of its own, `production`: its name so in every list, with `!`\nbehind it, since no colour alone says that; the word `PRODUCTION`, reversed, behind its name in the header, on pages about\nwhat runs there, and in plans. With several clusters the header counts those that are production. `accent = \"violet\"` (or red,\norange, yellow, green, blue) gives any cluster a colour of its own in the same places; production stays `!` and `PRODUCTION`\nin that colour. The roles `cluster-red` to `cluster-violet` say what a theme makes of it.\n\n\
         ## Roles\n\n| role | looks like, unless said | contrast | what it is for |\n|---|---|---|---|\n",
    );
    for r in ROLES {
        let fallback = r.fallback.map_or_else(|| "-".to_owned(), |f| code(f.name()));
        let contrast = match r.legibility {
            Legibility::Text => "4.5",
            Legibility::Dim => "3",
            Legibility::Graphic => "-",
        };
        let _ = writeln!(out, "| `{}` | {fallback} | {contrast} | {} |", r.name, cell(r.doc));
    }
    out
}

/// A context as a heading calls it.
fn place(context: Context) -> &'static str {
    match context {
        Context::Global => "Everywhere (`global`)",
        Context::Table => "Tables (`table`)",
        Context::Node => "Nodes (`node`)",
        Context::Task => "Tasks (`task`)",
        Context::Workload => "Workloads (`workload`)",
        Context::Alarm => "Alarms (`alarm`)",
        Context::Notice => "Notices (`notice`)",
        Context::Text => "Text (`text`)",
        Context::Logs => "Logs (`logs`)",
        Context::Action => "Actions (`action`)",
        Context::Runbook => "Runbooks (`runbook`)",
    }
}

/// Text as a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Text as code in a cell.
fn code(text: &str) -> String {
    if text.contains('`') { format!("`` {} ``", cell(text)) } else { format!("`{}`", cell(text)) }
}

fn code_list<S: AsRef<str>>(items: &[S]) -> String {
    items.iter().map(|item| code(item.as_ref())).collect::<Vec<_>>().join(", ")
}
