//! The help overlay, the hint bar and the which-key popup: all from the command
//! table and the keymap in force.

use unicode_width::UnicodeWidthStr;

use crate::command::{COMMANDS, Command, Danger};
use crate::domain::{Line, Timestamp, Tone, spend::dollars};
use crate::key::{Context, Key};
use crate::keymap::{Continuation, Keymap};
use crate::store::Store;

/// Every command that means something in `context`, with its keys.
#[must_use]
pub fn help(keymap: &Keymap, context: Context) -> Vec<Line> {
    let mut chain = vec![context];
    while let Some(parent) = chain.last().and_then(|c| c.parent()) {
        chain.push(parent);
    }
    let mut out = Vec::new();
    for context in chain {
        let title = if context == Context::Global { "everywhere" } else { context.name() };
        let commands: Vec<_> = COMMANDS.iter().filter(|c| c.context == context).collect();
        if commands.is_empty() {
            continue;
        }
        if !out.is_empty() {
            out.push(Line::new());
        }
        out.push(Line::new().with(title.to_uppercase(), Tone::Title));
        for info in commands {
            let keys = keymap.keys_for(context, info.command).join(", ");
            let keys = if keys.is_empty() { "(palette)".to_owned() } else { keys };
            let mut line = Line::new().with(format!("{keys:<16} "), Tone::Key).with(unquoted(info.doc), Tone::Plain);
            if info.danger == Danger::Changes {
                line.push(" Asks first.", Tone::Warning);
            }
            out.push(line);
        }
    }
    out
}

/// A command's doc as the screen shows it: its backticks are for pages of documentation.
#[must_use]
pub fn unquoted(doc: &str) -> String {
    doc.replace('`', "")
}

/// What the hint bar offers while something lies over the page.
#[must_use]
pub fn overlay_hints(keymap: &Keymap, palette: bool) -> Vec<(String, &'static str)> {
    use Command as C;
    let wanted: &[(Command, &str)] = if palette {
        &[(C::Open, "run"), (C::Back, "close"), (C::Down, "next"), (C::Up, "previous")]
    } else {
        &[(C::Back, "close"), (C::Down, "down"), (C::Up, "up"), (C::PageDown, "page down"), (C::Bottom, "end")]
    };
    let context = if palette { Context::Table } else { Context::Text };
    let key = |command| {
        let keys = keymap.keys_for(context, command);
        // Letters are typed into the palette.
        keys.iter().find(|k| !palette || k.chars().count() > 1).cloned()
    };
    wanted.iter().filter_map(|(command, label)| key(*command).map(|k| (k, *label))).collect()
}

/// What the hint bar offers while a plan is on screen: the keys of a form, which no keymap changes.
pub const DIALOG_HINTS: &[(&str, &str)] = &[
    ("tab", "next"),
    ("enter", "choose"),
    ("space", "yes/no"),
    ("page-down", "more"),
    ("ctrl-y", "copy by hand"),
    ("esc", "leave it"),
];

/// Those of the hints that find room in so many columns, the first ones first: the way to help, and the way out of a
/// dialog, are told however narrow it is.
#[must_use]
pub fn fitting(hints: &[(String, &'static str)], width: usize) -> Vec<(String, &'static str)> {
    let needed = |(key, label): &(String, &str)| key.width() + 1 + label.width();
    let kept = hints.iter().position(|(_, label)| matches!(*label, "help" | "leave it"));
    let (mut out, mut used, mut full) = (Vec::new(), 0, false);
    for i in 0..hints.len() {
        let reserved = kept.filter(|at| *at > i).map_or(0, |at| needed(&hints[at]) + 2);
        // Once one finds no room only the one that is kept follows.
        full |= used + needed(&hints[i]) + reserved >= width && kept != Some(i);
        if kept == Some(i) || !full {
            used += needed(&hints[i]) + 2;
            out.push(hints[i].clone());
        }
    }
    out
}

/// What the hint bar offers here, most useful first.
#[must_use]
pub fn hints(keymap: &Keymap, context: Context) -> Vec<(String, &'static str)> {
    use Command as C;
    let wanted: &[Command] = match context {
        Context::Task => &[
            C::Open,
            C::Logs,
            C::Describe,
            C::Filter,
            C::ProblemsOnly,
            C::Details,
            C::Exec,
            C::GoToNode,
            C::GoToOwner,
            C::Palette,
            C::Help,
        ],
        Context::Workload => &[
            C::Open,
            C::Logs,
            C::Describe,
            C::Filter,
            C::ProblemsOnly,
            C::Scale,
            C::Restart,
            C::RollBack,
            C::Details,
            C::Palette,
            C::Help,
        ],
        Context::Node => {
            &[C::Open, C::Describe, C::Filter, C::ProblemsOnly, C::Drain, C::Cordon, C::Details, C::Palette, C::Help]
        }
        Context::Alarm => &[
            C::Open,
            C::Describe,
            C::GoToSubject,
            C::Runbook,
            C::Silence,
            C::Filter,
            C::ProblemsOnly,
            C::Details,
            C::Palette,
            C::Help,
        ],
        Context::Notice => &[
            C::Open,
            C::Describe,
            C::ViewPools,
            C::NoticeHistory,
            C::GoToNode,
            C::GoToOwner,
            C::Filter,
            C::Details,
            C::Palette,
            C::Help,
        ],
        Context::Table => {
            &[C::Open, C::Describe, C::Filter, C::Details, C::Palette, C::Help, C::ProblemsOnly, C::BackOrQuit]
        }
        Context::Global => &[C::Open, C::Filter, C::ProblemsOnly, C::Palette, C::Help, C::BackOrQuit],
        Context::Text => &[C::Back, C::Filter, C::SearchNext, C::Wrap, C::CopyText, C::Help],
        Context::Runbook => {
            &[C::Back, C::Open, C::NextStep, C::PreviousStep, C::Tick, C::StepOutput, C::Filter, C::Wrap, C::Help]
        }
        Context::Action => &[C::Back, C::Open, C::CancelAction, C::UndoAction, C::CopyEquivalent, C::Help],
        Context::Logs => &[
            C::Back,
            C::LogFollow,
            C::Filter,
            C::LogNextMatch,
            C::LogAllLines,
            C::LogWrap,
            C::LogTimestamps,
            C::LogSince5m,
            C::LogHead,
            C::LogContainer,
            C::Help,
        ],
    };
    wanted.iter().filter_map(|c| keymap.keys_for(context, *c).first().map(|k| (k.clone(), c.info().label))).collect()
}

/// What the hint bar offers in a log: while new lines are `followed`, the same key does the opposite.
#[must_use]
pub fn log_hints(keymap: &Keymap, followed: bool) -> Vec<(String, &'static str)> {
    let follow = Command::LogFollow.info().label;
    let said = |label| if followed && label == follow { "hold still" } else { label };
    hints(keymap, Context::Logs).into_iter().map(|(key, label)| (key, said(label))).collect()
}

/// What can follow the keys pressed so far.
#[must_use]
pub fn which_key(keymap: &Keymap, context: Context, pending: &[Key]) -> Vec<Line> {
    keymap
        .continuations(context, pending)
        .into_iter()
        .map(|(key, what)| {
            let label = match what {
                Continuation::Command(c) => unquoted(c.info().doc),
                Continuation::Group(label) => format!("+{label}"),
                Continuation::Extra(label) => label,
            };
            Line::new().with(format!("{key:<8} ", key = key.to_string()), Tone::Key).with(label, Tone::Plain)
        })
        .collect()
}

/// Every source with its freshness, then the error log, newest first.
#[must_use]
pub fn errors(c: super::columns::Context<'_>, log_file: Option<&str>) -> Vec<Line> {
    let mut out = super::sources::sources(c, log_file);
    out.extend(spend(c.store, c.now));
    out
}

/// What reading AWS has cost, account by account.
fn spend(store: &Store, now: Timestamp) -> Vec<Line> {
    let mut out = Vec::new();
    for s in store.spend.values() {
        out.push(Line::new());
        out.push(Line::new().with(format!("WHAT READING {} COSTS", s.account), Tone::Title));
        let mut line = Line::new().with("cloudwatch  ", Tone::Key);
        line.push(format!("{} in the last hour", dollars(s.hour_micro_usd())), Tone::Plain);
        match s.month_micro_usd(now) {
            Some(month) => line.push(format!(", {} a month at this pace", dollars(month)), Tone::Plain),
            None => line.push(", too early to say what a month costs", Tone::Dim),
        }
        if let Some(ceiling) = s.ceiling {
            line.push(format!(" (ceiling ${ceiling})"), Tone::Dim);
        }
        if s.slowed {
            line.push(", slowed down to stay below it", Tone::Warning);
        }
        out.push(line);
        let text = format!("{} in all, {} throttled", s.all_requests(), s.throttled);
        out.push(Line::new().with("requests    ", Tone::Key).with(text, Tone::Plain));
        for (bucket, count) in &s.requests {
            out.push(Line::new().with(format!("            {count:>6} {bucket}"), Tone::Dim));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_help_is_told_however_narrow_it_is() {
        let all: Vec<(String, &str)> =
            [("enter", "open"), ("l", "logs"), ("?", "help"), ("q", "quit")].map(|(k, l)| (k.to_owned(), l)).to_vec();
        let at = |width| fitting(&all, width).iter().map(|(key, _)| key.clone()).collect::<Vec<_>>().join(" ");
        // `enter open  l logs  ? help  q quit` and what is free at its end.
        assert_eq!(at(35), "enter l ? q");
        assert_eq!(at(34), "enter l ?");
        assert_eq!(at(27), "enter l ?");
        assert_eq!(at(26), "enter ?");
        assert_eq!(at(18), "?");
        assert_eq!(at(3), "?");
    }

    #[test]
    fn several_keys_of_one_command_are_told_apart() {
        let map = Keymap::embedded_default();
        let quit = map.keys_for(Context::Global, Command::Quit);
        assert_eq!(quit, ["ctrl-c", "ctrl-x q"]);
        let lines: Vec<String> = help(&map, Context::Global).iter().map(Line::text).collect();
        assert!(lines.iter().any(|l| l.starts_with("ctrl-c, ctrl-x q ")), "{lines:#?}");
    }
}
