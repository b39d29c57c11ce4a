//! OpenSLO v1 files.
//!
//! Any number of documents in any number of files, one after the other or in a list; what
//! refers to something finds it wherever it stands. What is wrong is an error with its place, what is
//! right but cannot be done here a warning, and neither keeps the rest from being read.

mod fields;
mod indicator;
mod objective;
mod policy;
mod slo;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use self::fields::{Fields, Reading};
use self::indicator::Indicator;
use self::policy::Condition;
use super::Definition;
use super::yaml::{self, Node};
use crate::config::diagnostic::{Diagnostic, Severity, Source};
use crate::domain::slo::Row;
use crate::domain::{Text, text};

/// The version that is read.
pub const API_VERSION: &str = "openslo/v1";
/// The kinds that are read.
pub const KINDS: [&str; 6] = ["SLO", "SLI", "DataSource", "Service", "AlertPolicy", "AlertCondition"];

/// What stood in the files.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// One for each objective, in the order of the files.
    pub definitions: Vec<Definition>,
    /// The alert policies by name, with the rows they stand for.
    pub policies: Vec<(Text, Vec<Row>)>,
    /// Errors and warnings, in the order of the files.
    pub found: Vec<Diagnostic>,
}

impl Outcome {
    /// Whether anything is wrong, warnings aside.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.found.iter().any(|d| d.severity == Severity::Error)
    }
}

/// Reads files together.
#[must_use]
pub fn read(sources: &[Source]) -> Outcome {
    let found = RefCell::new(Vec::new());
    let readings: Vec<Reading<'_>> = sources.iter().map(|s| Reading::new(s, &found)).collect();
    let parsed: Vec<Vec<Node>> = sources
        .iter()
        .map(|s| {
            yaml::parse(s).unwrap_or_else(|d| {
                found.borrow_mut().push(*d);
                Vec::new()
            })
        })
        .collect();
    let documents: Vec<Document<'_>> = parsed
        .iter()
        .zip(&readings)
        .flat_map(|(all, r)| all.iter().flat_map(listed).filter_map(|node| Document::open(r, node)))
        .collect();
    let mut names = Names::default();
    // What is referred to comes first, in whatever order the files have it.
    for kind in ["DataSource", "Service", "SLI", "AlertCondition", "AlertPolicy", "SLO"] {
        names.collect(kind, &documents);
    }
    let mut seen = BTreeSet::new();
    let definitions: Vec<Definition> = documents
        .iter()
        // Of two with one name, which is a mistake, the first one holds.
        .filter(|d| d.kind == "SLO" && seen.insert(d.name.as_str()))
        .filter_map(|d| d.unless_wrong(|d| Some(slo::read(d, &names))))
        .flatten()
        .collect();
    let policies =
        names.policies.iter().filter_map(|(name, p)| Some((Text::new(name), policy::rows(p.as_ref()?)))).collect();
    let mut found = found.into_inner();
    let order = |d: &Diagnostic| sources.iter().position(|s| s.name == d.file);
    found.sort_by_key(|d| (order(d), d.line, d.column));
    Outcome { definitions, policies, found }
}

/// The documents of a list, which is how OpenSLO's own tools write several; or the one.
fn listed(node: &Node) -> &[Node] {
    match &node.value {
        yaml::Value::List(items) => items,
        _ => std::slice::from_ref(node),
    }
}

/// One document of a known kind.
struct Document<'n> {
    r: &'n Reading<'n>,
    kind: &'n str,
    name: String,
    title: Option<String>,
    annotations: Vec<(&'n str, &'n Node, Range<usize>)>,
    /// Absent, with a note, when there is none.
    spec: Option<(&'n Node, Range<usize>)>,
    at: Range<usize>,
    /// Nothing was wrong with it up to its spec.
    sound: bool,
}

impl<'n> Document<'n> {
    /// The document, or a note about why it is not read.
    fn open(r: &'n Reading<'n>, node: &'n Node) -> Option<Self> {
        let before = r.errors();
        let all = Fields::open(r, node, &node.at, "the document", &["apiVersion", "kind", "metadata", "spec"])?;
        let (version, version_node) = all.need(r, "apiVersion", API_VERSION, API_VERSION)?;
        if version != API_VERSION {
            let d = r.bad(version_node, format!("apiVersion `{}` is not read", text::clean(version))).warning();
            r.note(d.allowed(API_VERSION));
            return None;
        }
        let (kind, kind_node) = all.need(r, "kind", &KINDS.join(", "), "SLO")?;
        if !KINDS.contains(&kind) {
            let d = r.bad(kind_node, format!("kind `{}` is not read", text::clean(kind))).warning();
            r.note(d.allowed(KINDS.join(", ")).did_you_mean(kind, KINDS));
            return None;
        }
        let document = Self::with_kind(r, &all, kind)?;
        Some(Self { sound: r.errors() == before, ..document })
    }

    /// A document or one that stands within another: metadata and spec.
    fn with_kind(r: &'n Reading<'n>, all: &Fields<'n>, kind: &'n str) -> Option<Self> {
        if all.get("metadata").is_none() {
            all.missing(r, "metadata", "a map with a name", "{name: ...}");
        }
        let metadata = all.map(r, "metadata", &["name", "displayName", "labels", "annotations"])?;
        let (name, name_node) = metadata.need(r, "name", "lower-case letters, digits and `-`", "my-name")?;
        if !is_label(name) {
            let d = r.bad(name_node, format!("`{}` is not a name", text::clean(name)));
            let d = d.allowed("1 to 63 lower-case letters, digits and `-`, a letter or digit at both ends");
            let better = as_label(name);
            r.note(if better.is_empty() {
                d
            } else {
                d.hint(format!("write `{better}`; `displayName` may be anything"))
            });
        }
        let title = metadata.text(r, "displayName").map(|(t, _)| t.to_owned());
        let annotations = match metadata.get("annotations").map(|n| &n.value) {
            Some(yaml::Value::Map(entries)) => {
                entries.iter().map(|(k, v)| (k.text.as_str(), v, k.at.clone())).collect()
            }
            _ => Vec::new(),
        };
        let spec = all.get("spec").map(|n| (n, all.key_at("spec")));
        if spec.is_none() {
            all.missing(r, "spec", "a map", "{...}");
        }
        Some(Self { r, kind, name: name.to_owned(), title, annotations, spec, at: all.at.clone(), sound: true })
    }

    /// What `read` makes of it, when nothing is wrong with it.
    fn unless_wrong<T>(&self, read: impl FnOnce(&Self) -> Option<T>) -> Option<T> {
        let before = self.r.errors();
        read(self).filter(|_| self.sound && self.r.errors() == before)
    }

    /// The spec, opened.
    fn spec(&self, known: &[&str]) -> Option<Fields<'n>> {
        let (node, at) = self.spec.as_ref()?;
        Fields::open(self.r, node, at, "spec", known)
    }

    /// The line on which it begins.
    fn line(&self) -> usize {
        self.r.at(&self.at, "").line
    }
}

/// What the documents refer to. `None` stands for something that is there, and wrong.
#[derive(Default)]
struct Names {
    indicators: BTreeMap<String, Option<Indicator>>,
    sources: BTreeMap<String, Option<String>>,
    services: BTreeMap<String, Option<String>>,
    policies: BTreeMap<String, Option<Vec<Condition>>>,
    conditions: BTreeMap<String, Option<Condition>>,
}

impl Names {
    /// Takes in the documents of one kind, and notes names that stand twice.
    fn collect(&mut self, kind: &str, documents: &[Document<'_>]) {
        let mut first: BTreeMap<&str, &Document<'_>> = BTreeMap::new();
        for d in documents.iter().filter(|d| d.kind == kind) {
            if let Some(before) = first.get(d.name.as_str()) {
                let place = format!("{}:{}", before.r.source.name, before.line());
                let message = format!("there are two of kind {kind} called `{}`", text::clean(&d.name));
                d.r.note(d.r.at(&d.at, message).value(d.name.clone()).hint(format!("the other one begins at {place}")));
                continue;
            }
            first.insert(&d.name, d);
            let name = d.name.clone();
            match kind {
                "DataSource" => drop(self.sources.insert(name, d.unless_wrong(indicator::data_source))),
                "Service" => drop(self.services.insert(name, d.unless_wrong(service))),
                "SLI" => drop(self.indicators.insert(name, d.unless_wrong(|d| indicator::read(d, self)))),
                "AlertCondition" => drop(self.conditions.insert(name, d.unless_wrong(policy::condition))),
                "AlertPolicy" => drop(self.policies.insert(name, d.unless_wrong(|d| policy::policy(d, self)))),
                _ => {}
            }
        }
    }
}

/// A service's name for people.
fn service(d: &Document<'_>) -> Option<String> {
    d.spec(&["description"])?;
    d.title.clone()
}

/// What is called so. `None` when it is wrong itself or, with a note, not there.
fn find<'a, T>(
    r: &Reading<'_>,
    node: &Node,
    kind: &str,
    name: &str,
    all: &'a BTreeMap<String, Option<T>>,
) -> Option<&'a T> {
    if let Some(known) = all.get(name) {
        return known.as_ref();
    }
    // A name that is none has been told of at its own place.
    let known: Vec<&str> = all.keys().map(String::as_str).filter(|k| is_label(k)).collect();
    let d = r.bad(node, format!("there is no {kind} called `{}`", text::clean(name)));
    r.note(if known.is_empty() {
        d.allowed(format!("the name of a document of kind {kind} in these files; there is none"))
    } else {
        d.allowed(known.join(", ")).did_you_mean(name, known)
    });
    None
}

/// Whether a name is a DNS label, as OpenSLO wants it.
fn is_label(name: &str) -> bool {
    let alnum = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let ends = |c: Option<u8>| c.is_some_and(alnum);
    name.len() <= 63
        && ends(name.bytes().next())
        && ends(name.bytes().next_back())
        && name.bytes().all(|c| alnum(c) || c == b'-')
}

/// The nearest thing to a name that is one; empty when nothing is left.
fn as_label(name: &str) -> String {
    let lower: String =
        name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(63).collect();
    lower.trim_matches('-').to_owned()
}
