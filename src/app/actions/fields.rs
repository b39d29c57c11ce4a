//! What can be said of an action before it is planned.

use tui_input::Input;

use crate::action::{Intent, Options, Verb};
use crate::domain::{Kind, ObjectId};
use crate::store::Store;

/// Which option a field sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldName {
    /// How many tasks are wanted.
    Replicas,
    /// Raise the autoscaler's minimum instead.
    RaiseMinimum,
    /// Which container.
    Container,
    /// The new image.
    Image,
    /// To which revision.
    Revision,
    /// How long a task may take to end.
    Grace,
    /// How long all of it may take.
    Timeout,
    /// How many nodes at once.
    AtOnce,
    /// Also what nobody replaces.
    Force,
    /// Also what loses its data.
    EmptyDir,
    /// Leave what it owns.
    Orphan,
    /// For how long.
    Duration,
    /// What to run.
    Command,
    /// Which ports.
    Ports,
}

/// What a field says.
#[derive(Debug)]
pub enum FieldValue {
    /// Typed.
    Text(Input),
    /// Yes or no.
    Toggle(bool),
}

/// One thing that can be said.
#[derive(Debug)]
pub struct Field {
    /// Which.
    pub name: FieldName,
    /// Before it.
    pub label: &'static str,
    /// What it says.
    pub value: FieldValue,
    /// After it: what is now, or what may be written.
    pub hint: String,
    /// Without it nothing can be planned.
    pub asks_first: bool,
}

fn text(name: FieldName, label: &'static str, value: &str, hint: &str) -> Field {
    let value = FieldValue::Text(Input::from(value.to_owned()));
    Field { name, label, value, hint: hint.to_owned(), asks_first: false }
}

fn toggle(name: FieldName, label: &'static str, on: bool, hint: &str) -> Field {
    Field { name, label, value: FieldValue::Toggle(on), hint: hint.to_owned(), asks_first: false }
}

fn first(field: Field) -> Field {
    Field { asks_first: true, ..field }
}

/// What can be said of `intent`, with what is known now as the hints.
#[must_use]
pub fn fields(intent: &Intent, store: &Store) -> Vec<Field> {
    use FieldName as F;
    let o = &intent.options;
    let ecs = intent.targets.first().is_some_and(|t| is_ecs(t, store));
    let number = |n: u32| n.to_string();
    match intent.verb {
        Verb::Scale => {
            let hint = match intent.targets.as_slice() {
                [one] => {
                    store.workloads.get(one).map_or(String::new(), |w| format!("wanted now: {}", w.replicas.desired))
                }
                // No number is offered for several: each has its own.
                _ => "for each of them".to_owned(),
            };
            let has_scaler = intent.targets.iter().any(|t| store.autoscaler_of(t).is_some());
            let mut out = vec![first(text(F::Replicas, "tasks", &o.replicas.map(number).unwrap_or_default(), &hint))];
            if has_scaler || o.raise_minimum {
                let hint = "an autoscaler decides how many: without this it changes them back";
                out.push(toggle(F::RaiseMinimum, "raise its minimum", o.raise_minimum, hint));
            }
            out
        }
        Verb::SetImage => {
            let images = intent.targets.first().and_then(|t| store.workloads.get(t)).map(|w| w.images.to_string());
            let images = images.unwrap_or_default();
            let several = images.contains(',');
            let mut out = Vec::new();
            if several || intent.targets.len() > 1 {
                let name = o.container.clone().unwrap_or_default();
                out.push(text(F::Container, "container", &name, "its name; may be empty where there is only one"));
            }
            let now = o.image.clone().unwrap_or_else(|| if several { String::new() } else { images.clone() });
            let hint = if several { format!("or :TAG; now {images}") } else { "or :TAG for another tag".to_owned() };
            out.push(first(text(F::Image, "image", &now, &hint)));
            out
        }
        Verb::RollBack => {
            let what = if ecs { "a task definition, as family:revision" } else { "a revision's number" };
            let hint = format!("{what}; empty: the one before");
            vec![text(F::Revision, "to", o.revision.as_deref().unwrap_or_default(), &hint)]
        }
        Verb::Drain if ecs => vec![text(F::Timeout, "give up after", &span(o.timeout), "")],
        Verb::Drain => {
            let mut out = vec![
                toggle(
                    F::EmptyDir,
                    "delete emptyDir data",
                    o.delete_emptydir_data,
                    "what tasks have written there is lost",
                ),
                toggle(F::Force, "force", o.force, "also tasks that nobody replaces"),
                text(F::Grace, "time to stop", &o.grace.map(span).unwrap_or_default(), "per task; empty: its own"),
                text(F::Timeout, "give up after", &span(o.timeout), ""),
            ];
            if intent.targets.len() > 1 {
                out.push(text(F::AtOnce, "nodes at once", &o.at_once.to_string(), ""));
            }
            out
        }
        Verb::Delete if ecs => Vec::new(),
        Verb::Delete => {
            let mut out =
                vec![text(F::Grace, "time to stop", &o.grace.map(span).unwrap_or_default(), "empty: its own")];
            if intent.targets.iter().any(|t| t.kind.is_workload()) {
                out.push(toggle(F::Orphan, "leave its tasks", o.orphan, "delete the workload only"));
            }
            out
        }
        // CloudWatch knows no end of it; the plan says so.
        Verb::Silence if is_cloudwatch(intent, store) => Vec::new(),
        Verb::Silence => vec![text(F::Duration, "for", &span(o.duration), "such as 30m, 2h or 1d")],
        Verb::Exec => vec![
            text(F::Container, "container", o.container.as_deref().unwrap_or_default(), &containers(intent, store)),
            text(F::Command, "command", &o.command.join(" "), "empty: a shell"),
        ],
        Verb::Attach => {
            vec![text(
                F::Container,
                "container",
                o.container.as_deref().unwrap_or_default(),
                &containers(intent, store),
            )]
        }
        Verb::PortForward => {
            let ports = o.ports.map(|(l, r)| format!("{l}:{r}")).unwrap_or_default();
            vec![first(text(F::Ports, "port", &ports, "the task's, or LOCAL:TASK"))]
        }
        Verb::Cordon
        | Verb::Uncordon
        | Verb::Restart
        | Verb::Trigger
        | Verb::Suspend
        | Verb::Resume
        | Verb::Unsilence
        | Verb::Run => Vec::new(),
    }
}

fn containers(intent: &Intent, store: &Store) -> String {
    let Some(task) = intent.targets.first().and_then(|t| store.tasks.get(t)) else { return String::new() };
    let names: Vec<&str> = task.containers.iter().map(|c| c.name.as_str()).collect();
    format!("empty: its main one; it has {}", names.join(", "))
}

/// True if CloudWatch watches all of them.
fn is_cloudwatch(intent: &Intent, store: &Store) -> bool {
    intent.targets.iter().all(|t| store.alarms.get(t).is_some_and(|a| a.source.is_cloudwatch()))
}

fn is_ecs(id: &ObjectId, store: &Store) -> bool {
    match id.kind {
        Kind::EcsService => true,
        Kind::Node => store.nodes.get(id).is_some_and(|n| n.ecs.is_some()),
        Kind::Task => store.tasks.get(id).is_some_and(|t| t.ecs.is_some()),
        _ => false,
    }
}

/// Seconds as people write them: `90s`, `10m`, `2h`.
#[must_use]
pub fn span(secs: u32) -> String {
    match secs {
        0 => "0s".to_owned(),
        s if s % 86_400 == 0 => format!("{}d", s / 86_400),
        s if s % 3600 == 0 => format!("{}h", s / 3600),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

/// Seconds of `90`, `90s`, `10m`, `2h` or `1d`.
#[must_use]
pub fn seconds(text: &str) -> Option<u32> {
    let text = text.trim();
    let (number, unit) = match text.char_indices().last()? {
        (at, 's') => (&text[..at], 1),
        (at, 'm') => (&text[..at], 60),
        (at, 'h') => (&text[..at], 3600),
        (at, 'd') => (&text[..at], 86_400),
        _ => (text, 1),
    };
    number.parse::<u32>().ok()?.checked_mul(unit)
}

/// The options that the fields say.
///
/// # Errors
/// The number of the field that cannot be used, and why.
pub fn options(fields: &[Field]) -> Result<Options, (usize, String)> {
    let mut out = Options::default();
    for (at, field) in fields.iter().enumerate() {
        match &field.value {
            FieldValue::Toggle(on) => match field.name {
                FieldName::RaiseMinimum => out.raise_minimum = *on,
                FieldName::Force => out.force = *on,
                FieldName::EmptyDir => out.delete_emptydir_data = *on,
                FieldName::Orphan => out.orphan = *on,
                _ => {}
            },
            FieldValue::Text(input) => said(field, input.value().trim(), &mut out).map_err(|why| (at, why))?,
        }
    }
    Ok(out)
}

fn said(field: &Field, value: &str, out: &mut Options) -> Result<(), String> {
    if value.is_empty() {
        return if field.asks_first { Err(format!("{}: say what", field.label)) } else { Ok(()) };
    }
    let time =
        || seconds(value).ok_or_else(|| format!("{}: `{value}` is no time; such as 30s, 10m or 2h", field.label));
    match field.name {
        FieldName::Replicas => {
            let wrong = || format!("`{value}` is no number of tasks; a whole number from 0 to 100000");
            out.replicas = Some(value.parse().ok().filter(|n| *n <= 100_000).ok_or_else(wrong)?);
        }
        FieldName::Container => out.container = Some(value.to_owned()),
        FieldName::Image => out.image = Some(value.to_owned()),
        FieldName::Revision => out.revision = Some(value.to_owned()),
        FieldName::Grace => out.grace = Some(time()?),
        FieldName::Timeout => out.timeout = time()?,
        FieldName::Duration => out.duration = time()?,
        FieldName::AtOnce => {
            let wrong = || format!("`{value}` is no number of nodes; a whole number from 1");
            out.at_once = value.parse().ok().filter(|n| *n > 0).ok_or_else(wrong)?;
        }
        FieldName::Command => out.command = value.split_whitespace().map(str::to_owned).collect(),
        FieldName::Ports => {
            let (local, remote) = value.split_once(':').unwrap_or(("0", value));
            let port = |p: &str| p.parse::<u16>().map_err(|_| format!("`{p}` is no port; 1 to 65535"));
            out.ports = Some((port(local)?, port(remote).ok().filter(|p| *p > 0).ok_or("a port is 1 to 65535")?));
        }
        FieldName::RaiseMinimum | FieldName::Force | FieldName::EmptyDir | FieldName::Orphan => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        for secs in [0, 1, 59, 60, 90, 3600, 5400, 86_400, 172_800] {
            assert_eq!(seconds(&span(secs)), Some(secs), "{}", span(secs));
        }
        assert_eq!(seconds("45"), Some(45));
        for wrong in ["", "m", "-1", "1w", "99999999999", "9999999d"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_named_with_its_field() {
        let fields =
            vec![first(text(FieldName::Replicas, "tasks", "many", "")), text(FieldName::Timeout, "at most", "5m", "")];
        let (at, why) = options(&fields).unwrap_err();
        assert_eq!(at, 0);
        assert!(why.contains("`many`"), "{why}");
        let fields =
            vec![text(FieldName::Ports, "port", "8080:80", ""), text(FieldName::AtOnce, "nodes at once", "3", "")];
        let options = options(&fields).unwrap();
        assert_eq!((options.ports, options.at_once), (Some((8080, 80)), 3));
    }
}
