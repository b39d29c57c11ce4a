//! Reading theme files.

use std::collections::BTreeMap;
use std::path::Path;

use ratatui::style::{Color, Modifier, Style};
use toml::de::DeTable;

use super::color::{ANSI, GRAMMAR, parse};
use super::{EMBEDDED, ROLES, Role, Theme};
use crate::config::diagnostic::{Diagnostic, Diagnostics, Reader, Source, Value, in_order, locate};

/// What a file says about a role: changes to a style, perhaps another role's.
#[derive(Debug, Clone, Default)]
struct Spec {
    like: Option<Role>,
    fg: Option<Color>,
    bg: Option<Color>,
    modifiers: Modifier,
}

const STYLE_KEYS: &[&str] = &["fg", "bg", "like", "bold", "dim", "italic", "underline", "reverse"];
const FILE_KEYS: &[&str] = &["inherits", "doc", "light", "palette", "roles"];
const STYLE_GRAMMAR: &str = "a colour such as `\"red\"`, or `{ fg = \"red\", bg = \"black\", bold = true }`";

/// Reads `name_or_path` and what it inherits.
pub(super) fn load(name_or_path: &str, dir: Option<&Path>) -> Result<Theme, Diagnostics> {
    let chain = locate("theme", name_or_path, dir, EMBEDDED)?;
    let mut theme = Theme::plain(name_or_path);
    let mut palette = BTreeMap::new();
    let mut specs = BTreeMap::new();
    let mut roots = Vec::new();
    for layer in chain.iter().rev() {
        roots.push((&layer.source, layer.source.parse()?));
    }
    let readers: Vec<Reader<'_>> = roots.iter().map(|(source, _)| Reader::new(source)).collect();
    // All palettes first: a file that changes a colour changes it in what it inherits too.
    for (reader, (_, root)) in readers.iter().zip(&roots) {
        settings(&mut theme, &mut palette, reader, root);
    }
    for (reader, (source, root)) in readers.into_iter().zip(&roots) {
        if let Some(table) = root.get("roles").and_then(|v| reader.table(v, "roles")) {
            roles(&mut specs, &palette, &reader, table);
        }
        reader.finish()?;
        if let Some(d) = circle(&specs, source, root) {
            return Err(d.into());
        }
    }
    theme.styles = ROLES.iter().map(|r| resolve(&specs, r.role, 0)).collect();
    Ok(theme)
}

/// Everything but the roles.
fn settings(theme: &mut Theme, palette: &mut BTreeMap<String, Color>, reader: &Reader<'_>, root: &DeTable<'_>) {
    for (key, span, value) in in_order(root) {
        match key {
            "doc" => {
                if let Some(doc) = reader.string(value, key, "a sentence about the theme") {
                    doc.clone_into(&mut theme.doc);
                }
            }
            "light" => theme.light = reader.boolean(value, key).unwrap_or(theme.light),
            "palette" => {
                for (name, _, value) in reader.table(value, key).map(in_order).unwrap_or_default() {
                    let allowed =
                        "`#rrggbb`, `0` to `255`, `default`, or one of the sixteen such as `red` or `light-red`";
                    let written = reader.string(value, name, allowed);
                    let found = written.and_then(parse);
                    if let (Some(written), None) = (written, found) {
                        reader.report(bad_color(reader, value, written, allowed, &[]));
                    }
                    // A bad colour is told once, not again wherever it is used.
                    palette.insert(name.to_owned(), found.unwrap_or_default());
                }
            }
            "inherits" | "roles" => {}
            _ => reader.unknown_key(&span, "key", key, FILE_KEYS),
        }
    }
}

fn bad_color(reader: &Reader<'_>, value: &Value<'_>, written: &str, allowed: &str, names: &[&str]) -> Diagnostic {
    let d = reader.source().at(&value.span(), format!("`{written}` is not a colour")).value(written).allowed(allowed);
    let known = ANSI.iter().map(|(name, ..)| *name).chain(names.iter().copied());
    if written.starts_with('#') {
        return d.hint("write six hexadecimal digits after `#`");
    }
    d.did_you_mean(written, known)
}

/// The table `[roles]`.
fn roles(
    specs: &mut BTreeMap<Role, Spec>,
    palette: &BTreeMap<String, Color>,
    reader: &Reader<'_>,
    table: &DeTable<'_>,
) {
    for (key, span, value) in in_order(table) {
        let Some(role) = Role::from_name(key) else {
            let d = reader.source().at(&span, format!("unknown role `{key}`")).value(key);
            let d = d.allowed("the roles listed in docs/themes.md");
            reader.report(d.did_you_mean(key, ROLES.iter().map(|r| r.name)));
            continue;
        };
        let mut spec = Spec::default();
        if value.get_ref().is_str() {
            spec.fg = color(palette, reader, value, key);
        } else if value.get_ref().is_table() {
            for (field, span, value) in reader.table(value, key).map(in_order).unwrap_or_default() {
                style_field(&mut spec, palette, reader, (field, span, value));
            }
        } else {
            reader.wrong_type(value, key, STYLE_GRAMMAR);
        }
        specs.insert(role, spec);
    }
}

fn style_field(
    spec: &mut Spec,
    palette: &BTreeMap<String, Color>,
    reader: &Reader<'_>,
    (field, span, value): (&str, std::ops::Range<usize>, &Value<'_>),
) {
    let modifier = match field {
        "fg" => {
            spec.fg = color(palette, reader, value, field);
            return;
        }
        "bg" => {
            spec.bg = color(palette, reader, value, field);
            return;
        }
        "like" => {
            let Some(name) = reader.string(value, field, "the name of a role") else { return };
            spec.like = Role::from_name(name);
            if spec.like.is_none() {
                let d = reader.source().at(&value.span(), format!("unknown role `{name}`")).value(name);
                reader.report(d.did_you_mean(name, ROLES.iter().map(|r| r.name)));
            }
            return;
        }
        "bold" => Modifier::BOLD,
        "dim" => Modifier::DIM,
        "italic" => Modifier::ITALIC,
        "underline" => Modifier::UNDERLINED,
        "reverse" => Modifier::REVERSED,
        _ => return reader.unknown_key(&span, "key of a style", field, STYLE_KEYS),
    };
    spec.modifiers.set(modifier, reader.boolean(value, field).unwrap_or(false));
}

/// A colour: a name of the palette, or one that needs none.
fn color(palette: &BTreeMap<String, Color>, reader: &Reader<'_>, value: &Value<'_>, key: &str) -> Option<Color> {
    let written = reader.string(value, key, GRAMMAR)?;
    let found = palette.get(written).copied().or_else(|| parse(written));
    if found.is_none() {
        let names: Vec<&str> = palette.keys().map(String::as_str).collect();
        reader.report(bad_color(reader, value, written, GRAMMAR, &names));
    }
    found
}

/// A role that is like itself, by whatever way.
fn circle(specs: &BTreeMap<Role, Spec>, source: &Source, root: &DeTable<'_>) -> Option<Diagnostic> {
    let table = root.get("roles")?.get_ref().as_table()?;
    in_order(table).into_iter().find_map(|(key, span, _)| {
        let start = Role::from_name(key)?;
        let mut role = start;
        for _ in 0..=ROLES.len() {
            role = next(specs, role)?;
            if role == start {
                let d = source.at(&span, format!("`{key}` is like itself, by way of `like`")).value(key);
                return Some(d.hint("say its colour here"));
            }
        }
        None
    })
}

/// The role that `role` takes its look from.
fn next(specs: &BTreeMap<Role, Spec>, role: Role) -> Option<Role> {
    match specs.get(&role) {
        Some(spec) => spec.like,
        None => role.info().fallback,
    }
}

/// The style of `role`: what is said, or what it is like, or its fallback's.
fn resolve(specs: &BTreeMap<Role, Spec>, role: Role, depth: usize) -> Style {
    if depth > ROLES.len() {
        return Style::new();
    }
    let base = next(specs, role).map_or_else(Style::new, |other| resolve(specs, other, depth + 1));
    let Some(spec) = specs.get(&role) else { return base };
    let mut style = base.add_modifier(spec.modifiers);
    style.fg = spec.fg.or(style.fg);
    style.bg = spec.bg.or(style.bg);
    style
}
