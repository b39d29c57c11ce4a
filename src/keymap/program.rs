//! Programs that keys run: `[[command]]` in keymap files.
//!
//! As k9s has plugins, but made safe: arguments are a list, filled from what is selected, and never a shell's
//! text; each is shown as a plan and asked for; see [`crate::runbook::fill`].

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;
use toml::de::{DeValue, ValueDeserializer};

use super::{ExtraKind, Keymap};
use crate::config::diagnostic::{Diagnostic, Diagnostics, Reader, Source, Value};
use crate::key::{Context, KEY_GRAMMAR, parse_sequence};
use crate::runbook::step::{RawCommand, RawParam};

/// One entry, and where it stands.
pub(super) struct Entry {
    source: Arc<Source>,
    at: Range<usize>,
    raw: Raw,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    key: String,
    name: String,
    #[serde(default = "table")]
    context: String,
    argv: Vec<String>,
    #[serde(default)]
    params: BTreeMap<String, RawParam>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    timeout: Option<u32>,
}

fn table() -> String {
    Context::Table.name().to_owned()
}

/// Reads the entries of a file.
pub(super) fn read(reader: &Reader<'_>, source: &Arc<Source>, value: &Value<'_>, out: &mut Vec<Entry>) {
    let DeValue::Array(entries) = value.get_ref() else {
        reader.wrong_type(value, "command", "`[[command]]` on a line of its own, once for each program");
        return;
    };
    for entry in entries {
        match Raw::deserialize(ValueDeserializer::from(entry.clone())) {
            Ok(raw) => out.push(Entry { source: Arc::clone(source), at: entry.span(), raw }),
            Err(e) => {
                let d = source.at(&e.span().unwrap_or(entry.span()), format!("in [[command]]: {}", e.message()));
                reader.report(
                    d.allowed("key, name, context, argv, params, env, timeout; docs/runbooks.md has an example"),
                );
            }
        }
    }
}

/// Binds them; what is nearer comes first.
pub(super) fn bind(map: &mut Keymap, entries: Vec<Entry>) -> Result<(), Diagnostics> {
    let mut wrong = Vec::new();
    let nearest = entries.first().map(|e| e.source.name.clone());
    for Entry { source, at, raw } in entries {
        let taken = map
            .extras()
            .iter()
            .any(|e| crate::key::format_sequence(&e.keys) == raw.key && e.context.name() == raw.context);
        // What is inherited gives way.
        if taken && Some(&source.name) != nearest.as_ref() {
            continue;
        }
        if let Err(d) = one(map, &source, &at, raw) {
            wrong.push(*d);
        }
    }
    Diagnostics::check(wrong)
}

fn one(map: &mut Keymap, source: &Source, at: &Range<usize>, raw: Raw) -> Result<(), Box<Diagnostic>> {
    let keys = parse_sequence(&raw.key)
        .map_err(|e| Box::new(source.at(at, e.to_string()).value(raw.key.as_str()).allowed(KEY_GRAMMAR)))?;
    let context = Context::ALL.into_iter().find(|c| c.name() == raw.context).ok_or_else(|| {
        let names = Context::ALL.map(Context::name);
        let d = source.at(at, format!("there is no context `{}`", raw.context)).allowed(names.join(", "));
        Box::new(d.did_you_mean(&raw.context, names))
    })?;
    let command = RawCommand { argv: raw.argv, params: raw.params, env: raw.env, timeout: raw.timeout };
    let command = command.checked().map_err(|why| Box::new(source.at(at, format!("`{}`: {why}", raw.name))))?;
    map.bind_extra(context, keys, &raw.name, ExtraKind::Run(Box::new(command))).map_err(|why| {
        let d = source.at(at, format!("`{}` cannot have the key `{}`: {why}", raw.name, raw.key));
        Box::new(d.hint("take another key, or bind that one to \"none\" first"))
    })
}
