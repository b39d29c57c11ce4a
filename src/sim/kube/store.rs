//! The façade's object store: what the fleet's changes amount to, as wire
//! bytes, with versions and a bounded log of events for watchers.
//!
//! Objects are kept as serialized JSON plus the few strings that selectors
//! need: fifty thousand pods are then little more than their bytes.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::resource::{self, RESOURCES, Resource};
use crate::sim::backend::{Change, ObjectKind};

/// Strings that many objects share, such as label keys.
#[derive(Debug, Default)]
pub(crate) struct Interned(HashSet<Arc<str>>);

impl Interned {
    fn get(&mut self, s: &str) -> Arc<str> {
        if let Some(known) = self.0.get(s) {
            return Arc::clone(known);
        }
        let new: Arc<str> = s.into();
        self.0.insert(Arc::clone(&new));
        new
    }
}

/// What selectors look at.
#[derive(Debug)]
pub(crate) struct Meta {
    pub namespace: Arc<str>,
    pub name: Box<str>,
    labels: Box<[(Arc<str>, Box<str>)]>,
    fields: Box<[(&'static str, Box<str>)]>,
}

impl Meta {
    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.labels.iter().find(|(k, _)| **k == *key).map(|(_, v)| &**v)
    }

    /// A selectable field's value, empty when it has none.
    pub(crate) fn field(&self, name: &str) -> &str {
        match name {
            "metadata.name" => &self.name,
            "metadata.namespace" => &self.namespace,
            _ => self.fields.iter().find(|(k, _)| *k == name).map_or("", |(_, v)| v),
        }
    }

    pub(crate) fn labels_json(&self) -> Map<String, Value> {
        self.labels.iter().map(|(k, v)| (k.to_string(), Value::from(&**v))).collect()
    }
}

/// One version of one object.
#[derive(Debug)]
pub(crate) struct Stored {
    pub meta: Arc<Meta>,
    pub version: u64,
    /// The whole object, `kind` and `apiVersion` first.
    pub json: Bytes,
}

impl Stored {
    /// The object, parsed.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_slice(&self.json).unwrap_or(Value::Null)
    }
}

/// The three things that happen to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventKind {
    Added,
    Modified,
    Deleted,
}

impl EventKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// One entry of a kind's event log.
#[derive(Debug, Clone)]
pub(crate) struct LogEntry {
    pub version: u64,
    pub event: EventKind,
    pub object: Arc<Stored>,
    /// What selectors saw before a modification.
    pub before: Option<Arc<Meta>>,
}

#[derive(Debug, Default)]
struct Table {
    objects: BTreeMap<(Arc<str>, Box<str>), Arc<Stored>>,
    log: VecDeque<LogEntry>,
    /// Watches from before this version have missed something.
    horizon: u64,
}

/// All kinds' objects under one version counter.
#[derive(Debug)]
pub(crate) struct Store {
    tables: Vec<Table>,
    version: u64,
    log_limit: usize,
    strings: Interned,
}

/// Where the store starts counting: versions are never so small that a client's 0 or 1 is one.
const FIRST_VERSION: u64 = 1000;

impl Store {
    /// An empty store whose watch logs keep `log_limit` events per kind.
    pub(crate) fn new(log_limit: usize) -> Self {
        let tables = RESOURCES.iter().map(|_| Table::default()).collect();
        Self { tables, version: FIRST_VERSION, log_limit: log_limit.max(1), strings: Interned::default() }
    }

    /// The newest version given to anything.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Forgets every event: watches and pages from before now are too old.
    pub(crate) fn forget_events(&mut self) {
        for table in &mut self.tables {
            table.log.clear();
            table.horizon = self.version;
        }
    }

    /// Takes the fleet's changes over.
    pub(crate) fn apply(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Put(kind, object) => self.put(kind, object),
                Change::Delete { kind, namespace, name } => self.delete(kind, &namespace, &name),
            }
        }
    }

    fn put(&mut self, kind: ObjectKind, object: Value) {
        let resource = resource::of(kind);
        let meta = Arc::new(meta_of(resource, &object, &mut self.strings));
        let key = (Arc::clone(&meta.namespace), meta.name.clone());
        let old = self.table(kind).objects.get(&key).cloned();
        self.version += 1;
        let json = wire(resource, object, self.version, old.as_deref());
        let stored = Arc::new(Stored { meta, version: self.version, json });
        let event = if old.is_some() { EventKind::Modified } else { EventKind::Added };
        let entry = LogEntry {
            version: self.version,
            event,
            object: Arc::clone(&stored),
            before: old.map(|o| Arc::clone(&o.meta)),
        };
        self.table_mut(kind).objects.insert(key, stored);
        self.record(kind, entry);
    }

    fn delete(&mut self, kind: ObjectKind, namespace: &str, name: &str) {
        let key = (Arc::from(namespace), Box::from(name));
        let Some(old) = self.table_mut(kind).objects.remove(&key) else { return };
        self.version += 1;
        // The last state under the deletion's version, as etcd's watch cache tells it.
        let mut object = old.value();
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        let json = serde_json::to_vec(&object).unwrap_or_default().into();
        let stored = Arc::new(Stored { meta: Arc::clone(&old.meta), version: self.version, json });
        self.record(kind, LogEntry { version: self.version, event: EventKind::Deleted, object: stored, before: None });
    }

    fn record(&mut self, kind: ObjectKind, entry: LogEntry) {
        let limit = self.log_limit;
        let table = self.table_mut(kind);
        table.log.push_back(entry);
        while table.log.len() > limit {
            if let Some(dropped) = table.log.pop_front() {
                table.horizon = dropped.version;
            }
        }
    }

    pub(crate) fn get(&self, kind: ObjectKind, namespace: &str, name: &str) -> Option<Arc<Stored>> {
        self.table(kind).objects.get(&(Arc::from(namespace), Box::from(name))).cloned()
    }

    /// Objects of a kind in order of namespace and name: one namespace or, with
    /// an empty one, all; after `start` if given.
    pub(crate) fn list<'a>(
        &'a self,
        kind: ObjectKind,
        namespace: &'a str,
        start: Option<(&str, &str)>,
    ) -> impl Iterator<Item = &'a Arc<Stored>> + 'a {
        let from = match start {
            Some((ns, name)) => Bound::Excluded((Arc::from(ns), Box::from(name))),
            None => Bound::Included((Arc::from(namespace), Box::from(""))),
        };
        self.table(kind)
            .objects
            .range((from, Bound::Unbounded))
            .map(|(_, o)| o)
            .take_while(move |o| namespace.is_empty() || *o.meta.namespace == *namespace)
    }

    /// Up to `most` events of a kind after `version`; `None` when some of them
    /// are no longer known.
    pub(crate) fn events_after(&self, kind: ObjectKind, version: u64, most: usize) -> Option<Vec<LogEntry>> {
        let table = self.table(kind);
        if version < table.horizon {
            return None;
        }
        let from = table.log.partition_point(|e| e.version <= version);
        Some(table.log.iter().skip(from).take(most).cloned().collect())
    }

    /// The oldest version that a watch of this kind may start from.
    pub(crate) fn horizon(&self, kind: ObjectKind) -> u64 {
        self.table(kind).horizon
    }

    fn table(&self, kind: ObjectKind) -> &Table {
        &self.tables[index(kind)]
    }

    fn table_mut(&mut self, kind: ObjectKind) -> &mut Table {
        &mut self.tables[index(kind)]
    }
}

fn index(kind: ObjectKind) -> usize {
    RESOURCES.iter().position(|r| r.kind == kind).unwrap_or(0)
}

/// What selectors need of an object.
pub(crate) fn meta_of(resource: &Resource, object: &Value, strings: &mut Interned) -> Meta {
    let metadata = &object["metadata"];
    let labels = metadata["labels"].as_object().map_or_else(Box::default, |labels| {
        labels.iter().map(|(k, v)| (strings.get(k), v.as_str().unwrap_or_default().into())).collect()
    });
    let fields = resource
        .fields
        .iter()
        .filter_map(|field| {
            let found = field.pointers.iter().find_map(|p| object.pointer(p).filter(|v| !v.is_null()));
            let text = match found {
                Some(Value::String(s)) => s.clone(),
                Some(other) => other.to_string(),
                None => field.default.to_owned(),
            };
            (!text.is_empty()).then(|| (field.name, text.into_boxed_str()))
        })
        .collect();
    Meta {
        namespace: strings.get(metadata["namespace"].as_str().unwrap_or_default()),
        name: metadata["name"].as_str().unwrap_or_default().into(),
        labels,
        fields,
    }
}

/// The object as the API server would send it.
fn wire(resource: &Resource, object: Value, version: u64, old: Option<&Stored>) -> Bytes {
    let mut whole = Map::new();
    whole.insert("kind".to_owned(), resource.kind_name.into());
    whole.insert("apiVersion".to_owned(), resource.api_version().into());
    if let Value::Object(members) = object {
        whole.extend(members.into_iter().filter(|(k, _)| k != "kind" && k != "apiVersion"));
    }
    if let Some(metadata) = whole.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("resourceVersion".to_owned(), version.to_string().into());
        if metadata.get("uid").and_then(Value::as_str).is_none_or(str::is_empty) {
            let kept = old.and_then(|o| o.value()["metadata"]["uid"].as_str().map(str::to_owned));
            metadata.insert("uid".to_owned(), kept.unwrap_or_else(|| uid(version)).into());
        }
    }
    serde_json::to_vec(&whole).unwrap_or_default().into()
}

/// A UUID of the right shape, unique within this server.
pub(crate) fn uid(seed: u64) -> String {
    // An odd multiplier permutes the numbers, so no two seeds meet; the digits only have to look spread.
    let spread = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        spread >> 32,
        (spread >> 16) & 0xffff,
        (spread >> 4) & 0xfff,
        spread & 0xfff,
        seed & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn put(namespace: &str, name: &str) -> Change {
        Change::Put(ObjectKind::Pod, json!({"metadata": {"namespace": namespace, "name": name}}))
    }

    fn names(store: &Store, namespace: &str, start: Option<(&str, &str)>) -> Vec<String> {
        store.list(ObjectKind::Pod, namespace, start).map(|o| o.meta.name.to_string()).collect()
    }

    #[test]
    fn lists_in_order_and_by_namespace() {
        let mut store = Store::new(10);
        store.apply(vec![put("b", "y"), put("a", "x"), put("b", "x"), put("ba", "z")]);
        assert_eq!(names(&store, "", None), ["x", "x", "y", "z"]);
        assert_eq!(names(&store, "b", None), ["x", "y"]);
        assert_eq!(names(&store, "b", Some(("b", "x"))), ["y"]);
        assert_eq!(names(&store, "", Some(("b", "y"))), ["z"]);
    }

    #[test]
    fn every_write_has_a_version_and_the_log_is_bounded() {
        let mut store = Store::new(2);
        store.apply(vec![put("a", "x"), put("a", "x")]);
        let uid = store.get(ObjectKind::Pod, "a", "x").expect("there").value()["metadata"]["uid"].clone();
        store.apply(vec![Change::Delete { kind: ObjectKind::Pod, namespace: "a".into(), name: "x".into() }]);
        assert_eq!(store.version(), FIRST_VERSION + 3);
        assert!(store.events_after(ObjectKind::Pod, FIRST_VERSION, 9).is_none(), "the first is forgotten");
        let events = store.events_after(ObjectKind::Pod, FIRST_VERSION + 1, 9).expect("known");
        assert_eq!(events.iter().map(|e| e.event).collect::<Vec<_>>(), [EventKind::Modified, EventKind::Deleted]);
        let last = events[1].object.value();
        assert_eq!(last["metadata"]["resourceVersion"], "1003");
        assert_eq!(last["metadata"]["uid"], uid);
        assert_eq!(last["kind"], "Pod");
    }

    #[test]
    fn forgetting_makes_everything_old() {
        let mut store = Store::new(10);
        store.apply(vec![put("a", "x")]);
        store.forget_events();
        assert!(store.events_after(ObjectKind::Pod, FIRST_VERSION, 9).is_none());
        assert_eq!(store.events_after(ObjectKind::Pod, store.version(), 9).map(|e| e.len()), Some(0));
    }
}
