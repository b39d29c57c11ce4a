//! Kind SLO: what all its objectives share.

use std::ops::Range;

use chrono::NaiveDateTime;

use super::fields::{Fields, Reading};
use super::indicator::{self, Indicator};
use super::objective::{self, Shared};
use super::{Document, Names, find, policy};
use crate::domain::slo::window::calendar_unit;
use crate::domain::slo::{Basis, EmptySlices, Lookback, MIN_BAD, Period, Row, Unit, WindowError};
use crate::domain::{Text, text};
use crate::slo::Definition;
use crate::slo::yaml::{Node, Value};

/// How budgets can be counted, as OpenSLO writes it.
pub const METHODS: [&str; 3] = ["Occurrences", "Timeslices", "RatioTimeslices"];

const KEYS: [&str; 8] = [
    "description",
    "service",
    "indicator",
    "indicatorRef",
    "timeWindow",
    "budgetingMethod",
    "objectives",
    "alertPolicies",
];

/// What our annotations say.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    pub runbook: Option<String>,
    pub basis: Basis,
    pub empty: EmptySlices,
    pub min_bad: Option<u32>,
}

/// The objectives of an SLO; none when it is wrong.
pub fn read(d: &Document<'_>, names: &Names) -> Vec<Definition> {
    let r = d.r;
    let Some(spec) = d.spec(&KEYS) else { return Vec::new() };
    let service = spec.need(r, "service", "the name of the service it is about", "checkout");
    let service = service.map(|(name, node)| {
        if !names.services.is_empty() && !names.services.contains_key(name) {
            let known: Vec<&str> = names.services.keys().map(String::as_str).collect();
            let d = r.bad(node, format!("there is no Service called `{}`", text::clean(name))).warning();
            r.note(d.allowed(known.join(", ")).did_you_mean(name, known.iter().copied()));
        }
        names.services.get(name).cloned().flatten().unwrap_or_else(|| name.to_owned())
    });
    let method = method(r, &spec);
    let period = period(r, &spec);
    let notes = notes(d);
    if let (Some(Period::Rolling(_)), Basis::WholePeriod) = (period, notes.basis) {
        let at = d.annotations.iter().find(|(k, _, _)| *k == "quarterdeck/budget-basis").map(|(_, _, at)| at.clone());
        let message = "`quarterdeck/budget-basis` says nothing with a rolling window, which is always whole";
        r.note(r.at(&at.unwrap_or_default(), message).warning().hint("take it out, or give the window a calendar"));
    }
    let rows = alert_rows(r, &spec, names);
    if composite(r, &spec) {
        return Vec::new();
    }
    let indicator = indicator(r, &spec, names);
    let items = spec.list(r, "objectives");
    if items.is_empty() {
        let d = r.at(&spec.key_at("objectives"), "an SLO without objectives promises nothing");
        r.note(d.allowed("at least one objective").hint("write `objectives: [{target: 0.999}]`"));
        return Vec::new();
    }
    let shared = Shared {
        r,
        slo: Text::new(&d.name),
        title: d.title.as_deref().map(Text::new),
        service: Text::new(service.as_deref().unwrap_or_default()),
        description: spec.text(r, "description").map_or_else(Text::empty, |(t, _)| Text::new(t)),
        method,
        period,
        indicator: indicator.as_ref(),
        notes: &notes,
        rows: rows.as_deref(),
        line: d.line(),
        several: items.len() > 1,
    };
    let read: Vec<Option<Definition>> =
        items.iter().enumerate().map(|(i, item)| objective::read(&shared, i + 1, item)).collect();
    let mut all: Vec<Definition> = read.into_iter().flatten().collect();
    number_doubles(&mut all);
    if service.is_none() { Vec::new() } else { all }
}

/// Objectives that share a name get their place behind it, so that keys differ.
fn number_doubles(all: &mut [Definition]) {
    let names: Vec<Option<Text>> = all.iter().map(|d| d.objective.objective.clone()).collect();
    for (i, d) in all.iter_mut().enumerate() {
        if let Some(name) = &names[i]
            && names.iter().filter(|n| n.as_ref() == Some(name)).count() > 1
        {
            d.objective.objective = Some(Text::new(&format!("{} #{}", name.as_str(), i + 1)));
        }
    }
}

fn method(r: &Reading<'_>, spec: &Fields<'_>) -> Option<&'static str> {
    let (word, node) = spec.need(r, "budgetingMethod", &METHODS.join(", "), "Occurrences")?;
    let known = METHODS.into_iter().find(|m| *m == word);
    if known.is_none() {
        let d = r.bad(node, format!("unknown budgetingMethod `{}`", text::clean(word)));
        r.note(d.allowed(METHODS.join(", ")).did_you_mean(word, METHODS));
    }
    known
}

/// The window. Without one it is thirty days, as everywhere here.
fn period(r: &Reading<'_>, spec: &Fields<'_>) -> Option<Period> {
    if spec.get("timeWindow").is_none() {
        let d = r.at(&spec.key_at("timeWindow"), "without a `timeWindow`, the window is 30 days, rolling").warning();
        r.note(d.hint("write `timeWindow: [{duration: 30d, isRolling: true}]`"));
        return Some(Period::Rolling(Lookback::days(30)));
    }
    let items = spec.list(r, "timeWindow");
    let at = spec.key_at("timeWindow");
    let [item] = items else {
        if !items.is_empty() || matches!(spec.get("timeWindow").map(|n| &n.value), Some(Value::List(_))) {
            r.note(r.at(&at, format!("`timeWindow` has {} windows", items.len())).allowed("one window"));
        }
        return None;
    };
    let f = Fields::open(r, item, &at, "timeWindow", &["duration", "isRolling", "calendar"])?;
    let duration = f.need(r, "duration", "such as 30d, or 1M with a calendar", "30d");
    let rolling = f.boolean(r, "isRolling").unwrap_or_else(|| f.get("calendar").is_none());
    let (text, node) = duration?;
    if rolling {
        if f.get("calendar").is_some() {
            let d = r.at(&f.key_at("calendar"), "a rolling window has no calendar");
            r.note(d.allowed("isRolling: false with a calendar, or isRolling: true without"));
            return None;
        }
        return rolling_period(r, node, text);
    }
    if f.get("calendar").is_none() {
        let d = r.at(&f.key_at("isRolling"), "a window that does not roll needs a `calendar`");
        let d = d.value("false").allowed("calendar with startTime and timeZone; or isRolling: true");
        r.note(d.hint("add `calendar: {startTime: 2026-01-01 00:00:00, timeZone: Europe/Berlin}`"));
        return None;
    }
    let calendar = f.map(r, "calendar", &["startTime", "timeZone"])?;
    let (anchor, zone) = (anchor(r, &calendar), zone(r, &calendar));
    let (unit, count) = unit(r, node, text)?;
    Some(Period::Calendar { unit, count, anchor: anchor?, zone: zone? })
}

fn rolling_period(r: &Reading<'_>, node: &Node, text: &str) -> Option<Period> {
    match text.parse::<Lookback>() {
        Ok(w) => Some(Period::Rolling(w)),
        Err(WindowError::NeedsCalendar) => {
            let d = r.bad(node, format!("`{}` rolls with a length that changes", text::clean(text)));
            r.note(
                d.allowed("minutes (m), hours (h), days (d) or weeks (w)")
                    .hint("write `30d`; or `isRolling: false` with a calendar"),
            );
            None
        }
        Err(_) => policy::duration(r, node, text).map(Period::Rolling),
    }
}

fn unit(r: &Reading<'_>, node: &Node, text: &str) -> Option<(Unit, u32)> {
    match calendar_unit(text) {
        Ok(known) => Some(known),
        // OpenSLO's own example writes a minute and means a month.
        Err(WindowError::NoCalendarUnit) if text.ends_with('m') => {
            let month = format!("{}M", text.trim_end_matches('m'));
            let read = calendar_unit(&month).ok()?;
            let d = r.bad(
                node,
                format!(
                    "`{}` is in minutes, which no calendar counts: it is read as `{month}`, months",
                    text::clean(text)
                ),
            );
            r.note(d.warning().allowed("d, w, M, Q or Y").hint(format!("write `{month}`")));
            Some(read)
        }
        Err(e) => {
            r.note(
                r.bad(node, format!("`{}`: {e}", text::clean(text)))
                    .allowed("a whole number with d, w, M, Q or Y, such as 1M"),
            );
            None
        }
    }
}

fn anchor(r: &Reading<'_>, calendar: &Fields<'_>) -> Option<NaiveDateTime> {
    let allowed = "YYYY-MM-DD hh:mm:ss";
    let (text, node) = calendar.need(r, "startTime", allowed, "2026-01-01 00:00:00")?;
    // Dates that no calendar has could not be counted from.
    let sane = |t: &NaiveDateTime| (1970..=2200).contains(&chrono::Datelike::year(t));
    let read = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").ok().filter(sane);
    if read.is_none() {
        r.note(r.bad(node, format!("`{}` is not a time", text::clean(text))).allowed(allowed));
    }
    read
}

fn zone(r: &Reading<'_>, calendar: &Fields<'_>) -> Option<chrono_tz::Tz> {
    let (text, node) = calendar.need(r, "timeZone", "a name of the IANA time zone database", "Europe/Berlin")?;
    let read = text.parse().ok();
    if read.is_none() {
        let d = r.bad(node, format!("there is no time zone `{}`", text::clean(text)));
        let d = d.allowed("a name of the IANA time zone database, such as Europe/Berlin or UTC");
        r.note(d.did_you_mean(text, chrono_tz::TZ_VARIANTS.iter().map(|z| z.name())));
    }
    read
}

/// Several indicators in one SLO: known, and not done here.
fn composite(r: &Reading<'_>, spec: &Fields<'_>) -> bool {
    let keys = ["indicator", "indicatorRef", "compositeWeight"];
    let at = spec.list(r, "objectives").iter().find_map(|item| match &item.value {
        Value::Map(entries) => entries.iter().find(|(k, _)| keys.contains(&k.text.as_str())).map(|(k, _)| k.at.clone()),
        _ => None,
    });
    if let Some(at) = &at {
        let d = r.at(at, "composite SLOs are not supported: this one is left out").warning();
        r.note(d.hint("write one SLO for each indicator"));
    }
    at.is_some()
}

fn indicator(r: &Reading<'_>, spec: &Fields<'_>, names: &Names) -> Option<Indicator> {
    let reference = spec.text(r, "indicatorRef");
    match (spec.get("indicator"), reference) {
        (Some(node), None) => {
            let at = spec.key_at("indicator");
            let f = Fields::open(r, node, &at, "indicator", &["apiVersion", "kind", "metadata", "spec"])?;
            indicator::read(&Document::with_kind(r, &f, "SLI")?, names)
        }
        (None, Some((name, node))) => find(r, node, "SLI", name, &names.indicators).cloned(),
        (Some(_), Some(_)) => {
            let d = r.at(&spec.key_at("indicatorRef"), "an SLO has one indicator");
            r.note(d.allowed("either indicator or indicatorRef"));
            None
        }
        (None, None) => {
            spec.missing(r, "indicator", "indicator, or indicatorRef with the name of an SLI", "{...}");
            None
        }
    }
}

/// The rows of all its alert policies; `None` for the usual ones.
fn alert_rows<'n>(r: &'n Reading<'n>, spec: &Fields<'n>, names: &Names) -> Option<Vec<Row>> {
    let mut all = Vec::new();
    for item in spec.list(r, "alertPolicies") {
        if let Value::Scalar(name) = &item.value {
            all.extend(find(r, item, "AlertPolicy", name, &names.policies).into_iter().flatten().copied());
            continue;
        }
        let keys = ["alertPolicyRef", "apiVersion", "kind", "metadata", "spec"];
        let Some(f) = Fields::open(r, item, &item.at, "alertPolicies", &keys) else { continue };
        if let Some((name, node)) = f.text(r, "alertPolicyRef") {
            all.extend(find(r, node, "AlertPolicy", name, &names.policies).into_iter().flatten().copied());
        } else {
            let own = Document::with_kind(r, &f, "AlertPolicy");
            all.extend(own.and_then(|d| policy::policy(&d, names)).unwrap_or_default());
        }
    }
    (!all.is_empty()).then(|| policy::rows(&all))
}

/// The annotations that are ours; those of others are left alone.
fn notes(d: &Document<'_>) -> Notes {
    const KNOWN: [&str; 4] =
        ["quarterdeck/runbook-url", "quarterdeck/budget-basis", "quarterdeck/empty-slices", "quarterdeck/min-bad"];
    let r = d.r;
    let mut out = Notes::default();
    for (key, node, at) in &d.annotations {
        let Value::Scalar(value) = &node.value else { continue };
        match *key {
            "quarterdeck/runbook-url" => out.runbook = Some(value.clone()),
            "runbook_url" => out.runbook = out.runbook.or_else(|| Some(value.clone())),
            "quarterdeck/budget-basis" => match value.as_str() {
                "so-far" => out.basis = Basis::SoFar,
                "whole-period" => out.basis = Basis::WholePeriod,
                _ => r.note(choice(r, node, key, value, &["so-far", "whole-period"])),
            },
            "quarterdeck/empty-slices" => match value.as_str() {
                "left-out" => out.empty = EmptySlices::LeftOut,
                "good" => out.empty = EmptySlices::Good,
                "bad" => out.empty = EmptySlices::Bad,
                _ => r.note(choice(r, node, key, value, &["left-out", "good", "bad"])),
            },
            "quarterdeck/min-bad" => {
                out.min_bad = value.parse().ok().filter(|n| (1..=1_000_000).contains(n));
                if out.min_bad.is_none() {
                    let d = r.bad(node, format!("`{key}` cannot be `{}`", text::clean(value)));
                    r.note(d.allowed(format!("a whole number from 1; {MIN_BAD} unless said")));
                }
            }
            other if other.starts_with("quarterdeck/") => r.note(unknown_annotation(r, at, other, &KNOWN)),
            _ => {}
        }
    }
    out
}

fn choice(r: &Reading<'_>, node: &Node, key: &str, value: &str, all: &[&str]) -> crate::config::diagnostic::Diagnostic {
    let d = r.bad(node, format!("`{key}` cannot be `{}`", text::clean(value)));
    d.allowed(all.join(", ")).did_you_mean(value, all.iter().copied())
}

fn unknown_annotation(
    r: &Reading<'_>,
    at: &Range<usize>,
    key: &str,
    known: &[&str],
) -> crate::config::diagnostic::Diagnostic {
    let d = r.at(at, format!("unknown annotation `{}`", text::clean(key))).warning().value(key);
    d.allowed(known.join(", ")).did_you_mean(key, known.iter().copied())
}
