//! Reading keymap files.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use toml::de::DeTable;

use super::{Binding, Bindings, EMBEDDED, Keymap, Place, overlay, program};
use crate::command::{COMMANDS, Command};
use crate::config::diagnostic::{Diagnostics, Inherit, Reader, Source, in_order, locate};
use crate::key::{Context, KEY_GRAMMAR, Key, format_sequence, parse_sequence};

/// A keymap that binds nothing.
pub(super) fn empty(name: &str) -> Keymap {
    let nothing = || Context::ALL.into_iter().map(|c| (c, Bindings::new())).collect::<BTreeMap<_, _>>();
    Keymap {
        name: name.to_owned(),
        own: nothing(),
        effective: nothing(),
        spelled: BTreeMap::new(),
        groups: BTreeMap::new(),
        shadowed: Vec::new(),
        extras: Vec::new(),
    }
}

/// Reads `name_or_path` and what it inherits.
pub(super) fn load(name_or_path: &str, dir: Option<&Path>) -> Result<Keymap, Diagnostics> {
    let chain = locate("keymap", name_or_path, dir, EMBEDDED)?;
    let mut map = empty(name_or_path);
    let mut order = 0;
    let mut programs = Vec::new();
    for Inherit { source, .. } in chain.into_iter().rev() {
        // Of two for one key the file nearer wins, as with commands.
        let mut own = Vec::new();
        layer(&mut map, &Arc::new(source), &mut order, &mut own)?;
        programs.splice(0..0, own);
    }
    for context in Context::ALL {
        let mut line = vec![context];
        while let Some(parent) = line.last().and_then(|c| c.parent()) {
            line.push(parent);
        }
        let mut seen = Bindings::new();
        for c in line.iter().rev() {
            overlay(&mut seen, &map.own[c]);
        }
        for (command, keys) in spelled(&seen) {
            map.spelled.insert((context, command), keys);
        }
        map.effective.insert(context, seen);
    }
    program::bind(&mut map, programs)?;
    Ok(map)
}

/// The keys of each command that is bound: the shortest first, then as the file has them.
fn spelled(bound: &Bindings) -> BTreeMap<Command, Vec<String>> {
    let mut found: BTreeMap<Command, Vec<_>> = BTreeMap::new();
    for (keys, binding) in bound {
        if let Some(command) = binding.command {
            let text = format_sequence(keys);
            found.entry(command).or_default().push((keys.len(), text.chars().count(), binding.order, text));
        }
    }
    let in_order = |(command, mut all): (Command, Vec<(usize, usize, usize, String)>)| {
        all.sort_by_key(|(keys, letters, order, _)| (*keys, *letters, *order));
        (command, all.into_iter().map(|(.., text)| text).collect())
    };
    found.into_iter().map(in_order).collect()
}

/// Lays one file over what was read before.
fn layer(
    map: &mut Keymap,
    source: &Arc<Source>,
    order: &mut usize,
    programs: &mut Vec<program::Entry>,
) -> Result<(), Diagnostics> {
    let root = source.parse()?;
    let reader = Reader::new(source);
    let names: Vec<&str> = Context::ALL.iter().map(|c| c.name()).chain(["groups", "inherits", "command"]).collect();
    for (key, span, value) in in_order(&root) {
        if key == "inherits" {
            continue;
        }
        if key == "command" {
            program::read(&reader, source, value, programs);
            continue;
        }
        if key == "groups" {
            if let Some(table) = reader.table(value, key) {
                groups(map, &reader, table);
            }
            continue;
        }
        let Some(context) = Context::ALL.into_iter().find(|c| c.name() == key) else {
            reader.unknown_key(&span, "context", key, &names);
            continue;
        };
        let Some(table) = reader.table(value, key) else { continue };
        let bound = bindings(&reader, source, table, order);
        let shadowed = shadowed(&bound);
        map.shadowed.extend(shadowed);
        overlay_in(map, context, &bound);
    }
    reader.finish()
}

fn overlay_in(map: &mut Keymap, context: Context, bound: &Bindings) {
    let own = map.own.entry(context).or_default();
    // Within one file nothing hides anything: that is for the lint to say.
    own.retain(|keys, _| !bound.keys().any(|n| n.starts_with(keys) || keys.starts_with(n)));
    own.extend(bound.iter().map(|(keys, b)| (keys.clone(), b.clone())));
}

/// The bindings of one context of one file.
fn bindings(reader: &Reader<'_>, source: &Arc<Source>, table: &DeTable<'_>, order: &mut usize) -> Bindings {
    let mut bound = Bindings::new();
    for (written, span, value) in in_order(table) {
        let keys = match parse_sequence(written) {
            Ok(keys) => keys,
            Err(e) => {
                reader.report(source.at(&span, e.to_string()).value(e.key).allowed(KEY_GRAMMAR));
                continue;
            }
        };
        let allowed = "the name of a command, or \"none\" to bind nothing";
        let Some(name) = reader.string(value, written, allowed) else { continue };
        let command = if name == "none" { None } else { Command::from_name(name) };
        if command.is_none() && name != "none" {
            let d = source.at(&value.span(), format!("unknown command `{name}`")).value(name);
            let d = d.allowed(format!("{allowed}; `quarterdeck keys` lists them"));
            reader.report(d.did_you_mean(name, COMMANDS.iter().map(|c| c.name)));
            continue;
        }
        if let Some(before) = bound.get(&keys) {
            let first = source.at(&before.place.span, "");
            let d = source.at(&span, format!("`{}` is bound twice here", format_sequence(&keys))).value(written);
            reader.report(d.hint(format!("it is already bound in line {}; remove one of them", first.line)));
            continue;
        }
        *order += 1;
        let place = Place { source: Arc::clone(source), span };
        bound.insert(keys, Binding { command, place, order: *order });
    }
    bound
}

/// Sequences that a shorter one of the same table keeps from being typed.
fn shadowed(bound: &Bindings) -> Vec<(Vec<Key>, Place, Vec<Key>)> {
    let mut found = Vec::new();
    for (keys, b) in bound {
        let by =
            (1..keys.len()).map(|n| &keys[..n]).find(|prefix| bound.get(*prefix).is_some_and(|p| p.command.is_some()));
        if let (Some(by), Some(_)) = (by, b.command) {
            found.push((keys.clone(), b.place.clone(), by.to_vec()));
        }
    }
    found
}

/// Labels of prefixes.
fn groups(map: &mut Keymap, reader: &Reader<'_>, table: &DeTable<'_>) {
    for (written, span, value) in in_order(table) {
        match parse_sequence(written) {
            Ok(keys) => {
                if let Some(label) = reader.string(value, written, "a few words for the which-key popup") {
                    map.groups.insert(keys, label.to_owned());
                }
            }
            Err(e) => reader.report(reader.source().at(&span, e.to_string()).value(e.key).allowed(KEY_GRAMMAR)),
        }
    }
}
