//! Which module may use which: `docs/architecture.md`'s table, checked from the
//! paths in the source.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Module, and the crate's own modules it may name. `*` allows all.
const MAY_USE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("clock", &["domain"]),
    ("key", &["domain", "config"]),
    ("command", &["key", "domain"]),
    ("keymap", &["key", "command", "domain", "config"]),
    ("theme", &["config"]),
    ("config", &[]),
    ("source", &["domain", "clock", "store::observation"]),
    ("store", &["domain", "clock"]),
    ("app", &["command", "key", "keymap", "store", "domain"]),
    ("view", &["store", "app", "command", "key", "keymap", "domain"]),
    ("ui", &["view", "app", "theme", "key", "keymap", "domain"]),
    ("term", &["key"]),
    (
        "run",
        &["app", "cli::export", "clock", "config", "domain", "key", "source", "store", "term", "theme", "ui", "view"],
    ),
    ("sim", &["domain", "clock"]),
    ("docs", &["command", "config", "key", "keymap", "theme"]),
    ("cli", &["*"]),
    ("lib", &["*"]),
    ("main", &["*"]),
];

/// Crate, and the modules that may name it.
const CRATES: &[(&str, &[&str])] = &[
    ("kube", &["source"]),
    ("k8s_openapi", &["source"]),
    ("ratatui", &["ui", "theme", "term", "run", "cli"]),
    ("crossterm", &["term", "run", "cli"]),
    ("tokio", &["source", "run", "sim", "cli"]),
];

const LONGEST_FILE: usize = 900;

/// Comments and test modules do not count; string contents hardly ever look
/// like paths and are left in.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    text.lines().map(|l| l.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn used_modules(code: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        // `use crate::{a::b, c}` and `crate::a::b` alike.
        let items =
            if let Some(list) = rest.strip_prefix('{') { list.split('}').next().unwrap_or_default() } else { rest };
        let several = rest.starts_with('{');
        for item in if several { items.split(',').collect::<Vec<_>>() } else { vec![items] } {
            let path: String =
                item.trim().chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':')).collect();
            out.insert(path);
        }
    }
    out
}

fn violations(module: &str, text: &str) -> Vec<String> {
    let code = code(text);
    let allowed = MAY_USE.iter().find(|(m, _)| *m == module).map(|(_, a)| *a);
    let Some(allowed) = allowed else { return vec![format!("module {module} is not in the table")] };
    let mut out = Vec::new();
    for path in used_modules(&code) {
        let fits = |a: &&str| **a == "*" || path == **a || path.starts_with(&format!("{a}::"));
        let own = path == module || path.starts_with(&format!("{module}::"));
        if !own && !path.is_empty() && !allowed.iter().any(|a| fits(&a)) {
            out.push(format!("{module} uses crate::{path}"));
        }
    }
    for (name, homes) in CRATES {
        let named = code
            .match_indices(&format!("{name}::"))
            .any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '"')));
        if named && !homes.contains(&module) && !matches!(module, "lib" | "main") {
            out.push(format!("{module} uses the crate {name}"));
        }
    }
    out
}

fn sources() -> Vec<(String, PathBuf)> {
    fn walk(dir: &Path, out: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).expect("src") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                out.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    files
        .into_iter()
        .map(|f| {
            let first = f.strip_prefix(&root).expect("under src").iter().next().expect("a name").to_string_lossy();
            (first.trim_end_matches(".rs").to_owned(), f)
        })
        .collect()
}

#[test]
fn modules_use_only_what_they_may() {
    let mut found = Vec::new();
    for (module, file) in sources() {
        let text = fs::read_to_string(&file).expect("readable");
        found.extend(violations(&module, &text).into_iter().map(|v| format!("{}: {v}", file.display())));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_file_hides_too_much() {
    for (_, file) in sources() {
        let lines = fs::read_to_string(&file).expect("readable").lines().count();
        assert!(lines <= LONGEST_FILE, "{} has {lines} lines", file.display());
    }
}

#[test]
fn violations_are_caught() {
    assert_eq!(
        violations("ui", "use crate::source::kubernetes::Reader;"),
        ["ui uses crate::source::kubernetes::Reader"]
    );
    assert_eq!(violations("domain", "fn f() { tokio::spawn(x) }"), ["domain uses the crate tokio"]);
    assert_eq!(violations("store", "use kube::Client;"), ["store uses the crate kube"]);
    assert_eq!(violations("source", "use crate::{domain::Text, app::App};"), ["source uses crate::app::App"]);
    assert_eq!(violations("source", "use crate::store::Store;"), ["source uses crate::store::Store"]);
    assert!(violations("source", "use crate::store::observation::Feed; // use crate::app::App").is_empty());
    assert!(violations("domain", "#[cfg(test)]\nmod tests { use crate::app::App; }").is_empty());
    assert!(!violations("newcomer", "").is_empty());
}
