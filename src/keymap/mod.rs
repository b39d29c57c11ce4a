//! Which keys ask for which commands.
//!
//! `keymaps/default.toml` IS the default; other files may inherit from it. A
//! keymap is per context, and a context sees what its parents bind. Of two
//! bindings the one nearer wins: the file over what it inherits, the context
//! over its parent; a sequence that begins like a nearer binding gives way.

mod file;
mod lint;
mod program;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::command::Command;
use crate::config::diagnostic::{Diagnostics, Source};
use crate::key::{Context, Key, format_sequence};

/// What pressed keys mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// They ask for this command.
    Command(Command),
    /// They ask for what was bound besides, by its number; see [`Keymap::extra`].
    Extra(usize),
    /// More keys are needed.
    Prefix,
    /// Nothing.
    None,
}

/// What the next key of a sequence leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Continuation {
    /// A command.
    Command(Command),
    /// More keys; the label of the group they form.
    Group(String),
    /// What was bound besides: what it is called.
    Extra(String),
}

/// What a key can ask for besides commands.
#[derive(Debug, Clone, PartialEq)]
pub enum ExtraKind {
    /// Open the runbook of this name.
    Runbook(String),
    /// Run a program, by way of its plan.
    Run(Box<crate::runbook::Command>),
}

/// A key that asks for something that is no command of ours.
#[derive(Debug, Clone, PartialEq)]
pub struct Extra {
    /// The keys.
    pub keys: Vec<Key>,
    /// Where.
    pub context: Context,
    /// What it is called.
    pub label: String,
    /// What it asks for.
    pub what: ExtraKind,
}

/// Where a binding was written.
#[derive(Debug, Clone)]
struct Place {
    source: Arc<Source>,
    span: Range<usize>,
}

/// What a sequence is bound to; no command means deliberately nothing.
#[derive(Debug, Clone)]
struct Binding {
    command: Option<Command>,
    place: Place,
    /// Position among all bindings read, inherited files first.
    order: usize,
}

type Bindings = BTreeMap<Vec<Key>, Binding>;

/// A loaded keymap.
#[derive(Debug, Clone)]
pub struct Keymap {
    name: String,
    /// What each context binds itself.
    own: BTreeMap<Context, Bindings>,
    /// The same with what its parents bind.
    effective: BTreeMap<Context, Bindings>,
    /// The keys for each command there, as they are written: help and hints are in many frames.
    spelled: BTreeMap<(Context, Command), Vec<String>>,
    groups: BTreeMap<Vec<Key>, String>,
    /// Bindings that hide others of the same file and context.
    shadowed: Vec<(Vec<Key>, Place, Vec<Key>)>,
    /// What is bound besides. It never takes a key that a command has.
    extras: Vec<Extra>,
}

/// The keymaps inside the program: name and text.
const EMBEDDED: &[(&str, &str)] = &[
    ("default", include_str!("../../keymaps/default.toml")),
    ("k9s", include_str!("../../keymaps/k9s.toml")),
    ("vim", include_str!("../../keymaps/vim.toml")),
    ("emacs", include_str!("../../keymaps/emacs.toml")),
];

impl Keymap {
    /// The default keymap. A test proves that it loads; an empty keymap would
    /// be the answer otherwise.
    #[must_use]
    pub fn embedded_default() -> Self {
        file::load("default", None).unwrap_or_else(|_| file::empty("default"))
    }

    /// The keymap called `name_or_path`: a path when it has a separator or ends in
    /// `.toml`, else `keymaps_dir/NAME.toml` when there is one, else one of
    /// [`Keymap::names`].
    ///
    /// # Errors
    /// Everything wrong with it and the files it inherits, with places.
    pub fn load(name_or_path: &str, keymaps_dir: Option<&Path>) -> Result<Self, Diagnostics> {
        file::load(name_or_path, keymaps_dir)
    }

    /// The keymaps inside the program.
    #[must_use]
    pub fn names() -> Vec<&'static str> {
        EMBEDDED.iter().map(|(name, _)| *name).collect()
    }

    /// Its name, or the path it was read from.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What `pending` means in `context`, its parents included.
    #[must_use]
    pub fn resolve(&self, context: Context, pending: &[Key]) -> Resolution {
        if let Some(Binding { command: Some(command), .. }) = self.effective[&context].get(pending) {
            return Resolution::Command(*command);
        }
        if let Some(at) = self.extras_in(context).find(|(_, e)| e.keys == pending).map(|(at, _)| at) {
            return Resolution::Extra(at);
        }
        let more = |e: &Extra| e.keys.len() > pending.len() && e.keys.starts_with(pending);
        if !pending.is_empty() && self.extras_in(context).any(|(_, e)| more(e)) {
            return Resolution::Prefix;
        }
        if !pending.is_empty() && self.extensions(context, pending).next().is_some() {
            return Resolution::Prefix;
        }
        Resolution::None
    }

    /// What can follow `pending`, for the which-key popup; in order of the file.
    #[must_use]
    pub fn continuations(&self, context: Context, pending: &[Key]) -> Vec<(Key, Continuation)> {
        let mut found: Vec<(usize, Key, Continuation)> = Vec::new();
        for (keys, order, command) in self.extensions(context, pending) {
            let Some(next) = keys.get(pending.len()).copied() else { continue };
            if keys.len() == pending.len() + 1 {
                found.push((order, next, Continuation::Command(command)));
            } else if found.iter().all(|(_, known, _)| *known != next) {
                found.push((order, next, Continuation::Group(self.group(&keys[..=pending.len()]))));
            }
        }
        found.sort_by_key(|(order, ..)| *order);
        let mut out: Vec<(Key, Continuation)> = found.into_iter().map(|(_, key, what)| (key, what)).collect();
        for (_, e) in self.extras_in(context).filter(|(_, e)| e.keys.starts_with(pending)) {
            let Some(next) = e.keys.get(pending.len()).copied() else { continue };
            if out.iter().any(|(known, _)| *known == next) {
                continue;
            }
            let last = e.keys.len() == pending.len() + 1;
            let group = || Continuation::Group(self.group(&e.keys[..=pending.len()]));
            out.push((next, if last { Continuation::Extra(e.label.clone()) } else { group() }));
        }
        out
    }

    /// What is bound besides commands in a context and those it inherits from, the nearest first.
    fn extras_in(&self, context: Context) -> impl Iterator<Item = (usize, &Extra)> {
        let line = std::iter::successors(Some(context), |c| c.parent());
        line.flat_map(|c| self.extras.iter().enumerate().filter(move |(_, e)| e.context == c))
    }

    /// What was bound besides, by its number.
    #[must_use]
    pub fn extra(&self, number: usize) -> Option<&Extra> {
        self.extras.get(number)
    }

    /// All that was bound besides.
    #[must_use]
    pub fn extras(&self) -> &[Extra] {
        &self.extras
    }

    /// Takes away the keys of runbooks.
    pub fn forget_runbooks(&mut self) {
        self.extras.retain(|e| !matches!(e.what, ExtraKind::Runbook(_)));
    }

    /// Binds what is no command.
    ///
    /// # Errors
    /// When the keys, their beginning or what they begin are bound already, in this context or in one that has its keys.
    pub fn bind_extra(&mut self, context: Context, keys: Vec<Key>, label: &str, what: ExtraKind) -> Result<(), String> {
        let clash = |other: &[Key]| other.starts_with(&keys) || keys.starts_with(other);
        let has = |c: &Context| std::iter::successors(Some(*c), |c| c.parent()).any(|c| c == context);
        for c in Context::ALL.into_iter().filter(has) {
            let bound = self.effective[&c].iter().filter_map(|(k, b)| b.command.map(|command| (k, command)));
            if let Some((k, command)) = bound.into_iter().find(|(k, _)| clash(k)) {
                return Err(format!("`{}` is `{}` in [{}]", format_sequence(k), command.name(), c.name()));
            }
        }
        let related = |e: &&Extra| {
            has(&e.context) || std::iter::successors(Some(context), |c| c.parent()).any(|c| c == e.context)
        };
        if let Some(e) = self.extras.iter().filter(related).find(|e| clash(&e.keys)) {
            return Err(format!("`{}` is `{}` already", format_sequence(&e.keys), e.label));
        }
        self.extras.push(Extra { keys, context, label: label.to_owned(), what });
        Ok(())
    }

    /// The keys for `command` in `context`, shortest first, then as the file has them.
    #[must_use]
    pub fn keys_for(&self, context: Context, command: Command) -> &[String] {
        self.spelled.get(&(context, command)).map_or(&[], Vec::as_slice)
    }

    /// Everything bound in `context`, its parents included, in the order of
    /// [`crate::command::COMMANDS`], shortest keys first.
    #[must_use]
    pub fn bindings(&self, context: Context) -> Vec<(String, Command)> {
        crate::command::COMMANDS
            .iter()
            .flat_map(|info| self.keys_for(context, info.command).iter().map(|keys| (keys.clone(), info.command)))
            .collect()
    }

    /// What works, though perhaps not as meant: shadowed sequences, commands bound
    /// where they do nothing, keys that terminals cannot send, no way to quit.
    #[must_use]
    pub fn lint(&self) -> Vec<crate::config::diagnostic::Diagnostic> {
        lint::lint(self)
    }

    /// Bound sequences that are longer than `pending` and begin with it.
    fn extensions<'a>(
        &'a self,
        context: Context,
        pending: &'a [Key],
    ) -> impl Iterator<Item = (&'a [Key], usize, Command)> + 'a {
        self.effective[&context]
            .range::<[Key], _>((std::ops::Bound::Excluded(pending), std::ops::Bound::Unbounded))
            .take_while(move |(keys, _)| keys.starts_with(pending))
            .filter_map(|(keys, b)| b.command.map(|command| (keys.as_slice(), b.order, command)))
    }

    /// The label of a prefix.
    fn group(&self, prefix: &[Key]) -> String {
        self.groups.get(prefix).cloned().unwrap_or_else(|| "more".to_owned())
    }
}

/// Lays `near` over `far`: the same sequence, its beginnings and its extensions
/// give way.
fn overlay(far: &mut Bindings, near: &Bindings) {
    far.retain(|keys, _| !near.keys().any(|n| n.starts_with(keys) || keys.starts_with(n)));
    far.extend(near.iter().map(|(keys, b)| (keys.clone(), b.clone())));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::COMMANDS;
    use crate::key::parse_sequence;

    fn resolve(map: &Keymap, context: Context, keys: &str) -> Resolution {
        map.resolve(context, &parse_sequence(keys).unwrap())
    }

    #[test]
    fn every_embedded_keymap_loads_without_a_warning() {
        for name in Keymap::names() {
            let map = Keymap::load(name, None).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(map.lint(), [], "{name}");
        }
    }

    #[test]
    fn every_command_is_bound_where_it_means_something() {
        // Deliberately unbound: reached through the palette.
        let unbound: &[&str] = &[];
        let map = Keymap::embedded_default();
        for c in COMMANDS {
            let bound = !map.keys_for(c.context, c.command).is_empty();
            assert_eq!(bound, !unbound.contains(&c.name), "{} in {}", c.name, c.context.name());
        }
    }

    #[test]
    fn hands_find_what_they_know() {
        let map = Keymap::embedded_default();
        for (context, keys, name) in [
            (Context::Global, ":", "palette"),
            (Context::Task, "d", "describe"),
            (Context::Task, "p", "previous-logs"),
            (Context::Node, "shift-n", "sort-name"),
            (Context::Table, "n", "copy-id"),
            (Context::Text, "n", "search-next"),
            (Context::Logs, "0", "log-tail"),
            (Context::Logs, "c", "log-container"),
            (Context::Table, "1", "view-overview"),
            (Context::Table, "ctrl-z", "problems-only"),
            (Context::Table, "q", "back-or-quit"),
        ] {
            let want = Command::from_name(name).unwrap();
            assert_eq!(resolve(&map, context, keys), Resolution::Command(want), "{keys}");
        }
        assert_eq!(resolve(&map, Context::Task, "ctrl-x"), Resolution::Prefix);
        assert_eq!(resolve(&map, Context::Task, "ctrl-x ctrl-q"), Resolution::None);
        assert_eq!(resolve(&map, Context::Global, "d"), Resolution::None);
        assert_eq!(map.resolve(Context::Global, &[]), Resolution::None);
    }

    #[test]
    fn which_key_shows_what_follows() {
        let map = Keymap::embedded_default();
        let next = map.continuations(Context::Table, &parse_sequence("ctrl-x").unwrap());
        assert!(next.contains(&(Key::char('z'), Continuation::Command(Command::Suspend))), "{next:?}");
        let first = map.continuations(Context::Table, &[]);
        assert!(first.contains(&(Key::ctrl('x'), Continuation::Group("console".to_owned()))), "{first:?}");
    }

    fn own(text: &str) -> Keymap {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("mine.toml"), text).unwrap();
        Keymap::load("mine", Some(dir.path())).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn what_is_nearer_wins() {
        let map = own(
            "inherits = \"default\"\n[global]\n\"ctrl-x\" = \"quit\"\n\"j\" = \"none\"\n[table]\n\"k k\" = \"top\"\n",
        );
        assert_eq!(resolve(&map, Context::Table, "ctrl-x"), Resolution::Command(Command::Quit));
        assert_eq!(resolve(&map, Context::Table, "j"), Resolution::None);
        assert_eq!(resolve(&map, Context::Table, "k"), Resolution::Prefix);
        assert_eq!(resolve(&map, Context::Text, "k"), Resolution::Command(Command::Up));
        assert_eq!(resolve(&map, Context::Table, "k k"), Resolution::Command(Command::Top));
        assert_eq!(map.keys_for(Context::Table, Command::Down), ["down"]);
        assert_eq!(map.lint(), []);
    }

    #[test]
    fn a_file_may_extend_the_built_in_one_of_its_own_name() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("default.toml"), "inherits = \"default\"\n[global]\n\"ctrl-q\" = \"quit\"\n")
            .unwrap();
        let map = Keymap::load("default", Some(dir.path())).unwrap();
        assert_eq!(resolve(&map, Context::Logs, "ctrl-q"), Resolution::Command(Command::Quit));
        assert_eq!(resolve(&map, Context::Logs, "0"), Resolution::Command(Command::LogTail));
    }
}
