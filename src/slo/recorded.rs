//! What Pyrra and Sloth have recorded in Prometheus already.
//!
//! Their series are read rather than computed anew. Two things about them need care: Pyrra's
//! `burnrate` is an error ratio and no burn, and Sloth's figure for the whole period is a
//! mean of ratios, which weighs a quiet minute like a busy one.

use std::collections::BTreeMap;

use crate::domain::slo::{Lookback, Row, Target};

/// Who recorded it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Recorder {
    /// Pyrra, with its generic rules.
    Pyrra,
    /// Sloth.
    Sloth,
}

impl Recorder {
    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pyrra => "Pyrra",
            Self::Sloth => "Sloth",
        }
    }

    /// What has to be said about its figures.
    #[must_use]
    pub fn caveat(self) -> Option<&'static str> {
        match self {
            Self::Pyrra => None,
            Self::Sloth => Some("time-weighted"),
        }
    }
}

/// One query that finds them all.
pub const DISCOVERY: &str =
    "{__name__=~\"pyrra_objective|pyrra_window|slo:objective:ratio|slo:time_period:days|sloth_slo_info\"}";

/// The windows over which Sloth records error ratios, its period aside.
pub const SLOTH_WINDOWS: [&str; 7] = ["5m", "30m", "1h", "2h", "6h", "1d", "3d"];

/// A series: its labels with `__name__`, and its value now.
pub type Series = (BTreeMap<String, String>, f64);

/// An objective that somebody records.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Who.
    pub recorder: Recorder,
    /// What tells its series from others: label and value.
    pub labels: Vec<(String, String)>,
    /// The SLO's name.
    pub name: String,
    /// The service, where it is told.
    pub service: Option<String>,
    /// What is promised.
    pub target: Target,
    /// Over which time.
    pub period: Lookback,
}

/// The objectives behind what [`DISCOVERY`] found, by recorder and name. Those without a target
/// or a period are left out.
#[must_use]
pub fn recorded(series: &[Series]) -> Vec<Recorded> {
    let mut found: BTreeMap<(Recorder, Vec<(String, String)>), Parts> = BTreeMap::new();
    for (labels, value) in series {
        let name = labels.get("__name__").map_or("", String::as_str);
        let (recorder, keys): (_, &[&str]) = match name {
            "pyrra_objective" | "pyrra_window" => (Recorder::Pyrra, &["slo", "namespace"]),
            "slo:objective:ratio" | "slo:time_period:days" | "sloth_slo_info" => {
                (Recorder::Sloth, &["sloth_id", "sloth_service", "sloth_slo"])
            }
            _ => continue,
        };
        let own = |key: &&str| labels.get(*key).map(|v| ((*key).to_owned(), v.clone()));
        let parts = found.entry((recorder, keys.iter().filter_map(own).collect())).or_default();
        match name {
            "pyrra_objective" | "slo:objective:ratio" => parts.target = target(*value),
            "pyrra_window" => parts.period_secs = Some(*value),
            "slo:time_period:days" => parts.period_secs = Some(*value * 86_400.0),
            _ => {}
        }
    }
    let mut all: Vec<Recorded> = found.into_iter().filter_map(|((r, labels), p)| complete(r, labels, &p)).collect();
    all.sort_by(|a, b| (a.recorder, &a.name).cmp(&(b.recorder, &b.name)));
    all
}

#[derive(Default)]
struct Parts {
    target: Option<Target>,
    period_secs: Option<f64>,
}

fn complete(recorder: Recorder, labels: Vec<(String, String)>, parts: &Parts) -> Option<Recorded> {
    let label = |key: &str| labels.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone());
    let (name, service) = match recorder {
        Recorder::Pyrra => (label("slo")?, None),
        Recorder::Sloth => (label("sloth_slo").or_else(|| label("sloth_id"))?, label("sloth_service")),
    };
    let period = parts.period_secs.filter(|s| (60.0..=400.0 * 86_400.0).contains(s))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the range above")]
    let period = Lookback::seconds(period.round() as u64);
    Some(Recorded { recorder, name, service, target: parts.target?, period, labels })
}

/// A target that was a float on its way here: to nine decimals.
fn target(value: f64) -> Option<Target> {
    Target::parse(&format!("{value:.9}")).ok()
}

impl Recorded {
    /// The rows by which its owner alerts.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        match self.recorder {
            Recorder::Pyrra => Row::pyrra(self.period),
            Recorder::Sloth => Row::usual(self.period),
        }
    }

    /// The share of bad events over a window: an instant query. `None` when nothing records it.
    #[must_use]
    pub fn error_ratio(&self, window: Lookback) -> Option<String> {
        match self.recorder {
            // The part before the colon is the metric's name, which the recorder's labels do not tell.
            Recorder::Pyrra => {
                let known = self.rows().iter().any(|r| r.long == window || r.short == window);
                let slo = quoted(&self.name);
                known.then(|| format!("{{__name__=~\".+:burnrate{}\",slo=\"{slo}\"}}", in_name(window)))
            }
            Recorder::Sloth => {
                let text = in_name(window);
                let known = SLOTH_WINDOWS.contains(&text.as_str()) || window == self.period;
                known.then(|| format!("slo:sli_error:ratio_rate{text}{{{}}}", self.matchers()))
            }
        }
    }

    /// The burn over a window: the error ratio divided by the budget.
    #[must_use]
    pub fn burn(&self, window: Lookback) -> Option<String> {
        let ratio = self.error_ratio(window)?;
        Some(format!("{ratio} / {}", self.budget()))
    }

    /// The share of good events in the period.
    #[must_use]
    pub fn indicator(&self) -> String {
        match self.recorder {
            Recorder::Pyrra => format!("pyrra_availability{{{}}}", self.matchers()),
            Recorder::Sloth => format!("1 - slo:sli_error:ratio_rate{}{{{}}}", in_name(self.period), self.matchers()),
        }
    }

    /// The share of the budget that is left.
    #[must_use]
    pub fn left(&self) -> String {
        match self.recorder {
            Recorder::Pyrra => {
                format!("1 - (1 - pyrra_availability{{{}}}) / {}", self.matchers(), self.budget())
            }
            Recorder::Sloth => format!("slo:period_error_budget_remaining:ratio{{{}}}", self.matchers()),
        }
    }

    fn budget(&self) -> String {
        crate::domain::slo::exact::unscaled(u64::from(self.target.budget_ppb()), 9)
    }

    fn matchers(&self) -> String {
        self.labels.iter().map(|(k, v)| format!("{k}=\"{}\"", quoted(v))).collect::<Vec<_>>().join(",")
    }
}

/// A label's value within quotes.
fn quoted(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// A window in the name of a series, as Prometheus prints durations: `1h30m`, `30d`, but `4w`.
fn in_name(window: Lookback) -> String {
    let mut rest = window.secs();
    let mut out = String::new();
    for (secs, unit) in [(7 * 86_400, "w"), (86_400, "d"), (3600, "h"), (60, "m"), (1, "s")] {
        // Weeks only when nothing is left over.
        let whole = rest / secs;
        if whole > 0 && (unit != "w" || rest.is_multiple_of(secs)) {
            out.push_str(&format!("{whole}{unit}"));
            rest %= secs;
        }
    }
    out
}
