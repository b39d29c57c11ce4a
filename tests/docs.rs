//! The generated pages are what the tables say. `UPDATE_DOCS=1` rewrites them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use quarterdeck::action::Verb;
use quarterdeck::action::intent::VERBS;
use quarterdeck::app::table::ViewKind;
use quarterdeck::cli::Cli;
use quarterdeck::view::column_infos;

#[test]
fn the_pages_are_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (path, want) in quarterdeck::docs::generate() {
        let file = root.join(path);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, &want).unwrap();
        }
        let has = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(has == want, "{path} is out of date: UPDATE_DOCS=1 cargo test --test docs");
    }
}

#[test]
fn what_the_security_page_points_at_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/security.md")).unwrap();
    let named: Vec<&str> =
        page.split('`').skip(1).step_by(2).filter(|w| w.starts_with("tests/") || w.starts_with("src/")).collect();
    assert!(named.len() > 20, "claims have their tests: {named:?}");
    for path in named {
        assert!(root.join(path).exists(), "{path} is not there");
    }
    for linked in page.split("](").skip(1).filter_map(|r| r.split(')').next()) {
        assert!(root.join("docs").join(linked).exists(), "{linked} is not there");
    }
    assert!(std::fs::read_to_string(root.join("README.md")).unwrap().contains("docs/security.md"));
}

/// The pages that people read: their paths from the root of the repository, and their texts.
fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let in_dir = |dir: &str| std::fs::read_dir(root.join(dir)).into_iter().flatten().flatten().map(|e| e.path());
    let all = in_dir("").chain(in_dir("docs")).chain(in_dir("docs/adr")).chain(in_dir("screenshots"));
    let mut all: Vec<PathBuf> = all.filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
    all.sort();
    let read = |path: PathBuf| std::fs::read_to_string(&path).ok().map(|text| (path, text));
    all.into_iter().filter_map(read).collect()
}

/// Text without what stands between fences, where a link is none and a heading neither.
fn without_code(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let heading = |line: &str| line.starts_with('#').then(|| line.trim_start_matches('#').trim().to_lowercase());
    let kept = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let anchor = |title: String| title.chars().filter(|c| kept(*c)).collect::<String>().replace(' ', "-");
    without_code(text).lines().filter_map(heading).map(anchor).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    assert!(pages.len() > 30, "{} pages", pages.len());
    let mut wrong = Vec::new();
    for (path, text) in &pages {
        for link in without_code(text).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let page = std::fs::read_to_string(&target).unwrap_or_default();
            if !target.exists() || (!anchor.is_empty() && !anchors(&page).iter().any(|a| a == anchor)) {
                wrong.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_page_is_linked_from_the_readme_or_from_an_index() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let decisions = std::fs::read_to_string(root.join("docs/adr/README.md")).unwrap();
    for (path, _) in pages() {
        let path = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let is_linked = match path.strip_prefix("docs/adr/") {
            Some("README.md") | None => !path.starts_with("docs/") || readme.contains(&format!("({path})")),
            Some(decision) => decisions.contains(&format!("({decision})")),
        };
        assert!(is_linked, "{path} is linked from nowhere");
    }
}

#[test]
fn the_reference_of_the_command_line_has_every_command_and_flag() {
    let page = include_str!("../docs/cli.md");
    let is_there = |flag: &str| {
        let goes_on = |c: char| c.is_ascii_alphanumeric() || c == '-';
        page.match_indices(flag).any(|(at, _)| !page[at + flag.len()..].starts_with(goes_on))
    };
    let mut todo = vec![(String::new(), Cli::command())];
    let mut seen = 0;
    while let Some((path, command)) = todo.pop() {
        for flag in command.get_arguments().filter_map(clap::Arg::get_long) {
            assert!(is_there(&format!("--{flag}")), "{path} --{flag} is not in docs/cli.md");
            seen += 1;
        }
        if !path.is_empty() && !command.has_subcommands() {
            let is_named = [format!("`{path}`"), format!("`{path} ")].iter().any(|name| page.contains(name));
            assert!(is_named, "{path} is not in docs/cli.md");
            seen += 1;
        }
        let below =
            command.get_subcommands().map(|c| (format!("{path} {}", c.get_name()).trim().to_owned(), c.clone()));
        todo.extend(below);
    }
    assert!(seen > 100, "{seen} commands and flags");
}

#[test]
fn the_page_of_filters_has_the_columns_of_every_view() {
    let page = include_str!("../docs/filters.md");
    let code = |cell: &str| cell.split('`').nth(1).unwrap_or_default().to_owned();
    let mut said: BTreeMap<String, BTreeSet<(String, bool)>> = BTreeMap::new();
    let mut view = String::new();
    for line in
        page.lines().skip_while(|l| !l.starts_with("| view | holds |")).skip(2).take_while(|l| l.starts_with('|'))
    {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if !cells[1].is_empty() {
            view = code(cells[1]);
        }
        let columns = cells[3].split(", ").map(|c| (code(c), c.starts_with('*')));
        said.entry(view.clone()).or_default().extend(columns);
    }
    for kind in ViewKind::ALL.into_iter().filter(|kind| *kind != ViewKind::Map) {
        let has: BTreeSet<(String, bool)> =
            column_infos(kind).iter().map(|column| (column.key.to_owned(), column.wide)).collect();
        assert_eq!(said.get(kind.name()), Some(&has), "{}", kind.name());
    }
}

#[test]
fn the_roles_have_every_kind_that_is_read() {
    let page = include_str!("../docs/kubernetes.md");
    let list = |rule: &str, key: &str| -> Vec<String> {
        let inside =
            rule.split(&format!("{key}: [")).nth(1).and_then(|rest| rest.split(']').next()).unwrap_or_default();
        inside.split(',').map(|word| word.trim().trim_matches('"').to_owned()).collect()
    };
    let mut ruled = BTreeSet::new();
    for rule in page.split("- apiGroups").skip(1).map(|rest| format!("apiGroups{rest}")) {
        let (groups, verbs) = (list(&rule, "apiGroups"), list(&rule, "verbs"));
        for resource in list(&rule, "resources") {
            ruled.extend(verbs.iter().map(|verb| (groups[0].clone(), resource.clone(), verb.clone())));
        }
    }
    let mut feeds = 0;
    for line in include_str!("../src/source/kubernetes/paths.rs").lines() {
        let Some((feed, place)) = line.trim().split_once(" => (\"/api") else { continue };
        let words: Vec<&str> = place.split('"').collect();
        let group = words[0].strip_prefix("s/").and_then(|g| g.split('/').next()).unwrap_or_default();
        let verb = if feed.starts_with("Feed::") { "list" } else { "get" };
        let need = (group.to_owned(), words[2].to_owned(), verb.to_owned());
        assert!(words[2] == "none" || ruled.contains(&need), "{feed}: {need:?} is in no role");
        feeds += 1;
    }
    assert!(feeds > 12, "{feeds} kinds");
    for verb in VERBS.iter().filter(|v| v.verb != Verb::Run) {
        assert!(page.contains(verb.name), "{} is not in docs/kubernetes.md", verb.name);
    }
}
