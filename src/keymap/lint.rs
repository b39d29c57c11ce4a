//! What works in a keymap, though perhaps not as meant.

use std::collections::BTreeSet;

use super::{Keymap, Place, Resolution};
use crate::command::Command;
use crate::config::diagnostic::Diagnostic;
use crate::key::{Context, format_sequence};

pub(super) fn lint(map: &Keymap) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let at = |place: &Place, message: String| place.source.at(&place.span, message).warning();
    for (keys, place, by) in &map.shadowed {
        let (keys, by) = (format_sequence(keys), format_sequence(by));
        let d = at(place, format!("`{keys}` can never be typed: `{by}` alone is already a command here"));
        found.push(d.value(keys).hint(format!("bind one of them to something else, or `\"{by}\" = \"none\"`")));
    }
    for (context, bound) in &map.own {
        for (keys, b) in bound {
            let written = format_sequence(keys);
            if let Some(command) = b.command
                && !within(*context, command.info().context)
                && !(command.info().context.parent() == Some(*context) && *context == Context::Table)
            {
                let home = command.info().context.name();
                let d =
                    at(&b.place, format!("`{}` does nothing in [{}]", command.name(), context.name())).value(&written);
                found.push(d.hint(format!("move it to [{home}]")));
            }
            for key in keys {
                if let Some(arrives) = key.arrives_as() {
                    let d = at(&b.place, format!("terminals send `{key}` as `{arrives}`")).value(key.to_string());
                    found.push(d.hint(format!("bind `{arrives}`, or another key")));
                }
            }
        }
    }
    let quits: BTreeSet<&str> = Context::ALL.into_iter().filter(|c| !can_quit(map, *c)).map(Context::name).collect();
    if !quits.is_empty() {
        let list = quits.into_iter().collect::<Vec<_>>().join(", ");
        let d = Diagnostic::new(map.name(), format!("no key quits the console in: {list}")).warning();
        found.push(d.hint("bind `quit` or `back-or-quit` in [global], or begin with `inherits = \"default\"`"));
    }
    found.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
    found
}

/// Whether `context` is `home` or inherits from it.
fn within(context: Context, home: Context) -> bool {
    context == home || context.parent().is_some_and(|parent| within(parent, home))
}

/// Whether a key quits in `context`.
fn can_quit(map: &Keymap, context: Context) -> bool {
    map.effective[&context]
        .keys()
        .any(|keys| matches!(map.resolve(context, keys), Resolution::Command(Command::Quit | Command::BackOrQuit)))
}
