//! CloudWatch: an alarm does what it is set up to do when it changes, or it does not.

use std::collections::BTreeMap;

use super::{Lost, acting, needs, said, warn};
use crate::action::intent::Verb;
use crate::action::plan::{Change, Fate, Plan, Precondition};
use crate::action::words::joined;
use crate::domain::{ObjectId, Text};
use crate::source::SourceError;
use crate::source::ecs::{AlarmNow, Writer};

fn word(enabled: bool) -> &'static str {
    if enabled { "enabled" } else { "disabled" }
}

/// Plans for the alarms that there are; returns the others.
///
/// # Errors
/// When CloudWatch does not answer.
pub(super) async fn plan(writer: &Writer, targets: &[ObjectId], plan: &mut Plan) -> Result<Vec<ObjectId>, SourceError> {
    let enable = plan.intent.verb == Verb::Unsilence;
    let names: Vec<String> = targets.iter().map(|t| t.name.to_string()).collect();
    let found = writer.alarms(&names).await?;
    let (mut rest, mut acting, mut firing) = (Vec::new(), Vec::new(), false);
    for target in targets {
        let Some(alarm) = found.get(target.name.as_str()) else {
            rest.push(target.clone());
            continue;
        };
        let acts = alarm.enabled != enable;
        if acts {
            acting.push(target.name.to_string());
            firing |= alarm.state.as_str() == "ALARM";
        }
        let what = match alarm.actions {
            0 => "it has none".to_owned(),
            1 => "1 action".to_owned(),
            n => format!("{n} actions"),
        };
        let note = if acts {
            format!("{what}; the alarm is {}", alarm.state)
        } else {
            format!("its actions are {} already", word(alarm.enabled))
        };
        plan.changes.push(Change {
            target: target.clone(),
            field: Text::new("actions"),
            from: Text::new(word(alarm.enabled)),
            to: Text::new(word(enable)),
            fate: if acts { Fate::Acts } else { Fate::Stays },
            note: Text::new(&note),
            precondition: Precondition::Actions { enabled: alarm.enabled },
        });
    }
    if rest.len() == targets.len() {
        return Ok(rest);
    }
    let operation = if enable { "enable-alarm-actions" } else { "disable-alarm-actions" };
    if !acting.is_empty() {
        plan.equivalent.push(by_hand(writer, operation, acting));
    }
    let undo = if enable { "silence disables them again" } else { "unsilence enables them again" };
    plan.undo = Text::new(&if plan.undo.is_empty() { undo.to_owned() } else { format!("{}; {undo}", plan.undo) });
    if enable {
        needs(plan, &Text::new("cloudwatch:EnableAlarmActions"), None);
        if firing {
            warn(plan, "what is in ALARM already tells nobody by this: only its next change does");
        }
    } else {
        needs(plan, &Text::new("cloudwatch:DisableAlarmActions"), None);
        warn(
            plan,
            "CloudWatch knows no end of this: the actions stay disabled until somebody enables them (unsilence)",
        );
        warn(plan, "what scales or rolls back by such an alarm stands still, too");
    }
    Ok(rest)
}

fn by_hand(writer: &Writer, operation: &str, names: Vec<String>) -> String {
    let mut words = vec!["aws".to_owned()];
    let mut option = |name: &str, value: Option<&str>| {
        words.extend(value.into_iter().flat_map(|v| [name.to_owned(), v.to_owned()]));
    };
    option("--profile", writer.place().1);
    option("--region", writer.region());
    words.extend(["cloudwatch", operation, "--alarm-names"].map(str::to_owned));
    words.extend(names);
    joined(&words)
}

/// What CloudWatch says of the alarms that a plan changes there.
pub(super) type Now = Result<BTreeMap<String, AlarmNow>, String>;

/// Asks for them.
pub(super) async fn now(writer: Option<&Writer>, plan: &Plan) -> Now {
    let of_cloudwatch = acting(plan).filter(|c| matches!(c.precondition, Precondition::Actions { .. }));
    let names: Vec<String> = of_cloudwatch.map(|c| c.target.name.to_string()).collect();
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let Some(writer) = writer else { return Err("nothing can be changed in this account".to_owned()) };
    writer.alarms(&names).await.map_err(|error| format!("it could not be looked at: {}", said(&error)))
}

/// Whether an alarm is as it was when the plan was made.
///
/// # Errors
/// In words: what is so now.
pub(super) fn check(now: &Now, target: &ObjectId, enabled: bool) -> Result<(), String> {
    match now.as_ref().map_err(Clone::clone)?.get(target.name.as_str()) {
        None => Err("there is no such alarm any more".to_owned()),
        Some(alarm) if alarm.enabled != enabled => Err(format!("its actions were {} meanwhile", word(alarm.enabled))),
        Some(_) => Ok(()),
    }
}

/// Enables or disables the actions of one alarm.
pub(super) async fn act(writer: Option<&Writer>, target: &ObjectId, enable: bool) -> Result<String, Lost> {
    let Some(writer) = writer else { return Err(Lost::No("nothing can be changed in this account".to_owned())) };
    let name = target.name.to_string();
    let done = || format!("its actions are {}", word(enable));
    let Err(error) = writer.set_actions(&name, enable).await else { return Ok(done()) };
    if !matches!(error, SourceError::TimedOut { .. } | SourceError::Unreachable { .. }) {
        return Err(Lost::No(said(&error)));
    }
    // No answer came: what is there now says whether it was done.
    match writer.alarms(std::slice::from_ref(&name)).await {
        Ok(found) if found.get(&name).is_some_and(|a| a.enabled == enable) => Ok(done()),
        Ok(_) => Err(Lost::No(format!("{}; it was not done", said(&error)))),
        Err(_) => Err(Lost::Unknown(said(&error))),
    }
}
