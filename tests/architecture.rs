//! The import table of docs/architecture.md, held against the paths in every
//! file under `src/`. Comments, strings and `#[cfg(test)]` items do not count.

#![expect(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A module, and those it may use besides itself. `*` is every one but `run` and `sim`.
const TABLE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("clock", &["domain"]),
    ("key", &[]),
    ("command", &["key", "domain"]),
    ("keymap", &["command", "key", "config", "domain", "runbook"]),
    ("theme", &["config"]),
    ("config", &[]),
    ("slo", &["domain", "config"]),
    ("source", &["domain", "clock", "store", "config", "slo"]),
    ("store", &["domain", "clock"]),
    ("action", &["domain", "clock", "source", "store"]),
    ("runbook", &["domain", "action", "clock"]),
    ("app", &["command", "key", "keymap", "store", "domain", "action", "runbook"]),
    ("view", &["store", "app", "domain", "command", "key", "keymap", "action", "runbook"]),
    ("ui", &["view", "theme", "app", "domain", "key", "keymap"]),
    ("term", &["key", "clock"]),
    ("run", &["*"]),
    ("sim", &["domain", "clock"]),
    ("docs", &["command", "key", "keymap", "theme", "config"]),
    ("cli", &["*", "run", "sim"]),
    // The crate's root only lists the modules; main.rs only calls cli.
    ("lib", &[]),
    ("main", &[]),
];

/// Crates (by the start of their name), and the modules that alone may use them.
const CONFINED: &[(&str, &[&str])] = &[
    ("kube", &["source", "action"]),
    ("k8s_openapi", &["source", "action"]),
    ("aws_", &["source", "action"]),
    ("reqwest", &["source"]),
    ("ratatui", &["ui", "theme", "term", "run", "cli"]),
    ("crossterm", &["term", "run", "cli"]),
];

/// Modules without a runtime.
const WITHOUT_TOKIO: &[&str] =
    &["domain", "store", "app", "view", "ui", "key", "command", "keymap", "theme", "config", "slo"];

/// SDKs that Cargo.toml may name. One more is a decision, not an accident.
const SDKS: &[&str] = &[
    "k8s-openapi",
    "kube",
    "aws-config",
    "aws-credential-types",
    "aws-sdk-applicationautoscaling",
    "aws-sdk-cloudwatch",
    "aws-sdk-cloudwatchlogs",
    "aws-sdk-ecs",
    "aws-sigv4",
    "aws-smithy-async",
    "aws-smithy-http-client",
    "aws-smithy-runtime-api",
    "aws-smithy-types",
    "aws-types",
];

/// What betrays the SDK of some system, at the start of a crate's name.
const SDK_PREFIXES: &[&str] = &["aws", "k8s", "kube", "rusoto", "azure", "google-cloud", "gcp", "openstack"];

const LONGEST_FILE: usize = 900;

/// The source with comments, literals and `#[cfg(test)]` items blanked out.
fn bare(source: &str) -> String {
    let text: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut i = 0;
    while i < text.len() {
        let rest = &text[i..];
        let skip = comment(rest).or_else(|| {
            // r"..." only where r begins a word: `for` ends in one, too.
            let word = i > 0 && (text[i - 1].is_alphanumeric() || text[i - 1] == '_') && text[i - 1] != 'b';
            literal(rest, word)
        });
        if let Some(length) = skip {
            out.extend(rest[..length].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            i += length;
        } else {
            out.push(text[i]);
            i += 1;
        }
    }
    without_tests(&out)
}

/// The length of the comment that begins here.
fn comment(rest: &[char]) -> Option<usize> {
    match rest {
        ['/', '/', ..] => Some(rest.iter().position(|c| *c == '\n').unwrap_or(rest.len())),
        ['/', '*', ..] => {
            let (mut depth, mut i) = (1, 2);
            while i < rest.len() && depth > 0 {
                match rest[i..] {
                    ['/', '*', ..] => (depth, i) = (depth + 1, i + 2),
                    ['*', '/', ..] => (depth, i) = (depth - 1, i + 2),
                    _ => i += 1,
                }
            }
            Some(i)
        }
        _ => None,
    }
}

/// The length of the string or character literal that begins here.
fn literal(rest: &[char], inside_word: bool) -> Option<usize> {
    match rest {
        ['"', ..] => Some(quoted(rest, '"')),
        ['r', '"' | '#', ..] if !inside_word => {
            let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
            if rest.get(1 + hashes) != Some(&'"') {
                return None;
            }
            let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
            let from = 2 + hashes;
            let end = rest[from..].windows(close.len()).position(|w| w == close);
            Some(end.map_or(rest.len(), |e| from + e + close.len()))
        }
        // A character; a lifetime has no closing quote two places on.
        ['\'', '\\', ..] => Some(quoted(rest, '\'')),
        ['\'', _, '\'', ..] => Some(3),
        _ => None,
    }
}

fn quoted(rest: &[char], quote: char) -> usize {
    let mut i = 1;
    while i < rest.len() {
        match rest[i] {
            '\\' => i += 2,
            c if c == quote => return i + 1,
            _ => i += 1,
        }
    }
    rest.len()
}

/// Blanks what `#[cfg(test)]` stands before, up to its closing brace or semicolon.
fn without_tests(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("#[cfg(test)]") {
        out.push_str(&rest[..at]);
        let item = &rest[at..];
        let mut depth = 0usize;
        let end = item.char_indices().find_map(|(i, c)| {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            (depth == 0 && matches!(c, '}' | ';')).then_some(i + 1)
        });
        rest = &item[end.unwrap_or(item.len())..];
    }
    out + rest
}

/// The words and the signs that matter (`::`, braces, commas) of a bare source.
fn tokens(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let length = if word(first) {
            rest.find(|c| !word(c)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        out.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    out
}

/// What follows a path's prefix: one name, or the first names of a `{group}`.
fn names<'t>(tokens: &[&'t str]) -> Vec<&'t str> {
    if tokens.first() != Some(&"{") {
        return tokens.first().copied().into_iter().collect();
    }
    let (mut out, mut depth, mut fresh) = (Vec::new(), 0, false);
    for token in tokens {
        match *token {
            "{" => (depth, fresh) = (depth + 1, depth == 0),
            "}" => depth -= 1,
            "," => fresh = depth == 1,
            name if fresh && depth == 1 => {
                out.push(name);
                fresh = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    out
}

/// What is wrong with a file, given by its path below `src/`.
fn faults(path: &str, source: &str) -> Vec<String> {
    let mut out = BTreeSet::new();
    let lines = source.lines().count();
    if lines > LONGEST_FILE {
        out.insert(format!("{path}: {lines} lines; {LONGEST_FILE} are allowed: split it"));
    }
    let parts: Vec<&str> = path.trim_end_matches(".rs").split('/').filter(|p| *p != "mod").collect();
    let module = parts[0];
    let Some((_, may)) = TABLE.iter().find(|(name, _)| *name == module) else {
        out.insert(format!("{path}: the module `{module}` is not in the table: decide what it may use"));
        return out.into_iter().collect();
    };
    let text = bare(source);
    let tokens = tokens(&text);
    for (i, token) in tokens.iter().enumerate() {
        let rooted = i > 0 && tokens[i - 1] == "::";
        let path_start = tokens.get(i + 1) == Some(&"::");
        // `super` as often as the file is deep is the crate.
        let supers = tokens[i..].chunks(2).take_while(|c| *c == ["super", "::"]).count();
        let after = match *token {
            "crate" if path_start => Some(i + 2),
            "super" if !rooted && supers == parts.len() => Some(i + 2 * supers),
            _ => None,
        };
        for name in after.map(|at| names(&tokens[at..])).unwrap_or_default() {
            let known = TABLE.iter().any(|(m, _)| *m == name);
            let star = may.contains(&"*") && !matches!(name, "run" | "sim");
            if known && name != module && !star && !may.contains(&name) {
                out.insert(format!("{path}: `{module}` may not use `{name}`"));
            }
        }
        let used = i > 0 && tokens[i - 1] == "use";
        if !(path_start || used) {
            continue;
        }
        // A crate's name begins a path: nothing stands before it, or only `::`.
        if rooted && i > 1 && is_path(tokens[i - 2]) {
            continue;
        }
        // `sim::kube` is the façade, a module of ours.
        if module == "sim" && *token == "kube" && !rooted {
            continue;
        }
        for (name, only) in CONFINED {
            let is = if name.ends_with('_') { token.starts_with(name) } else { token == name || ratatui(token, name) };
            if is && !only.contains(&module) {
                out.insert(format!("{path}: `{token}` belongs into {}, not `{module}`", only.join(", ")));
            }
        }
        if token.starts_with("tokio") && WITHOUT_TOKIO.contains(&module) {
            out.insert(format!("{path}: `{module}` is without a runtime and may not use `{token}`"));
        }
    }
    out.into_iter().collect()
}

/// The crates that a family's name stands for: `ratatui_core` is ratatui.
fn ratatui(token: &str, name: &str) -> bool {
    token.strip_prefix(name).is_some_and(|rest| rest.starts_with('_'))
}

/// Whether a token can be followed by `::` as part of the same path.
fn is_path(token: &str) -> bool {
    token.chars().next().is_some_and(|c| c.is_alphanumeric() || c == '_') && !matches!(token, "use" | "in" | "return")
        || token == ">"
}

fn files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// Test files of a module (`mod tests;` under `#[cfg(test)]`) are tests, too.
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

#[test]
fn every_file_keeps_to_the_table() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    files(&src, &mut all);
    assert!(all.len() > 50, "only {} files were found under {}", all.len(), src.display());
    let mut wrong = Vec::new();
    for file in all {
        let name = file.strip_prefix(&src).unwrap().to_string_lossy().replace('\\', "/");
        if !is_test(&name) {
            wrong.extend(faults(&name, &std::fs::read_to_string(&file).unwrap()));
        }
    }
    assert!(wrong.is_empty(), "docs/architecture.md has the table:\n{}", wrong.join("\n"));
}

#[test]
fn the_documented_table_names_every_module() {
    let doc = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md")).unwrap();
    for (module, _) in TABLE.iter().filter(|(m, _)| !matches!(*m, "lib" | "main")) {
        assert!(doc.contains(&format!("\n| `{module}` | ")), "docs/architecture.md does not have `{module}`");
    }
}

#[test]
fn dependencies_bring_no_surprising_sdk() {
    let manifest = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let wrong = surprising(&manifest);
    assert!(wrong.is_empty(), "not decided upon: {wrong:?}; allowed are {SDKS:?}");
}

/// The SDKs in a manifest that nobody decided upon.
fn surprising(manifest: &str) -> Vec<String> {
    let manifest: toml::Table = manifest.parse().unwrap_or_else(|e| panic!("Cargo.toml: {e}"));
    let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
    let names = tables.iter().filter_map(|t| manifest.get(*t)?.as_table()).flat_map(|t| t.keys());
    names.filter(|n| SDK_PREFIXES.iter().any(|p| n.starts_with(p)) && !SDKS.contains(&n.as_str())).cloned().collect()
}

#[test]
fn a_forbidden_import_is_caught_however_it_is_written() {
    for (path, source) in [
        ("ui/page.rs", "use crate::source::kubernetes::Sources;"),
        ("view/table.rs", "fn f() { crate::run::run() }"),
        ("domain/task.rs", "use crate::{clock::Clock, domain::Text};"),
        ("domain/task.rs", "use crate::{\n    domain::{Text, Node},\n    store,\n};"),
        ("domain/mod.rs", "use super::store::Store;"),
        ("domain/task.rs", "use super::super::store::Store;"),
        ("store/mod.rs", "let c = '\"'; use crate::ui::Ui; let d = '\"';"),
        ("run/mod.rs", "use crate::sim::model::Model;"),
        ("app/mod.rs", "use tokio::sync::mpsc;"),
        ("app/mod.rs", "use tokio_util::codec;"),
        ("view/mod.rs", "let x: ratatui::style::Style;"),
        ("view/mod.rs", "use ratatui_core::style::Style;"),
        ("store/mod.rs", "use kube as k;"),
        ("cli/mod.rs", "let c: ::kube::Client;"),
        ("sim/kube/mod.rs", "use ::kube::Client;"),
        ("run/mod.rs", "use k8s_openapi::api::core::v1::Pod;"),
        ("cli/mod.rs", "use aws_sdk_ecs::Client;"),
        ("plumbing/mod.rs", ""),
        ("key.rs", "#[cfg(test)]\nmod tests { fn f() {} }\nuse crate::app::App;"),
    ] {
        assert_eq!(faults(path, source).len(), 1, "{path}: {source}: {:?}", faults(path, source));
    }
}

#[test]
fn what_is_no_import_is_let_through() {
    for (path, source) in [
        ("domain/task.rs", "// use crate::ui::Ui;\n/* crate::run /* nested */ tokio::spawn */"),
        ("domain/task.rs", r##"const A: &str = "crate::ui"; const B: &str = r#"" tokio::spawn"#;"##),
        ("domain/task.rs", "#[cfg(test)]\nmod tests { use crate::sim::model::Model; fn f() { if true { } } }"),
        ("domain/task.rs", "#[cfg(test)]\nuse crate::clock::Clock;"),
        ("domain/task.rs", "use super::node::Node; use self::text; use crate::domain::Text;"),
        ("cli/mod.rs", "use crate::source::kubernetes; use crate::sim::kube::Api;"),
        ("sim/mod.rs", "pub mod kube; use kube::Api; use tokio::net::TcpListener;"),
        ("source/kubernetes/mod.rs", "use kube::Client; use k8s_openapi::List;"),
        ("ui/page.rs", "use ratatui::buffer::Buffer; fn f<'a>(x: &'a str) -> char { 'x' }"),
    ] {
        assert_eq!(faults(path, source), Vec::<String>::new(), "{path}: {source}");
    }
}

#[test]
fn a_long_file_is_caught() {
    assert_eq!(faults("domain/task.rs", &"\n".repeat(LONGEST_FILE)).len(), 0);
    assert_eq!(faults("domain/task.rs", &"\n".repeat(LONGEST_FILE + 1)).len(), 1);
}

#[test]
fn a_surprising_sdk_is_caught() {
    assert_eq!(surprising("[dependencies]\nkube = \"5\"\naws-sdk-s3 = \"1\"\nserde = \"1\""), ["aws-sdk-s3"]);
}
