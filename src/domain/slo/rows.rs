//! The rows of a burn-rate table: two windows and a factor each.

use std::fmt;

use super::exact::{Factor, Target};
use super::window::Lookback;

/// Bad events that a verdict needs, unless said otherwise: one failure alone wakes nobody.
pub const MIN_BAD: u32 = 2;

/// Who is meant. Ordered by how much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// In working hours.
    Ticket,
    /// Now.
    Page,
}

impl Severity {
    /// `page` or `ticket`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ticket => "ticket",
            Self::Page => "page",
        }
    }
}

/// Who is called when a budget burns faster than `factor` over both windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Row {
    /// Who.
    pub severity: Severity,
    /// The window that tells that it matters.
    pub long: Lookback,
    /// The window that tells that it goes on.
    pub short: Lookback,
    /// The burn that both must be over.
    pub factor: Factor,
}

/// Severity, long and short window in minutes, share of the budget in per cent.
const SHARES: [(Severity, u64, u64, u64); 4] = [
    (Severity::Page, 60, 5, 2),
    (Severity::Page, 6 * 60, 30, 5),
    (Severity::Ticket, 24 * 60, 2 * 60, 10),
    (Severity::Ticket, 3 * 24 * 60, 6 * 60, 10),
];

/// Severity, long and short window as divisors of the period, factor.
const PYRRA: [(Severity, u64, u64, u64); 4] = [
    (Severity::Page, 672, 8064, 14),
    (Severity::Page, 112, 1344, 7),
    (Severity::Ticket, 28, 336, 2),
    (Severity::Ticket, 7, 112, 1),
];

impl Row {
    /// The usual four rows for a period of this length. Windows stay, and the factor is
    /// that at which the row's share of the budget goes in its long window. Rows
    /// whose long window is not shorter than the period are left out.
    #[must_use]
    pub fn usual(period: Lookback) -> Vec<Self> {
        SHARES
            .iter()
            .filter_map(|(severity, long, short, percent)| {
                let (long, short) = (Lookback::minutes(*long), Lookback::minutes(*short));
                let factor = Factor::new(percent.checked_mul(period.secs())?, 100 * long.secs())?;
                (long < period).then_some(Self { severity: *severity, long, short, factor })
            })
            .collect()
    }

    /// The rows by which Pyrra alerts: its factors stay, and the windows scale with the
    /// period, to the minute.
    #[must_use]
    pub fn pyrra(period: Lookback) -> Vec<Self> {
        let part = |divisor: u64| Lookback::minutes((period.secs() + 30 * divisor) / (60 * divisor));
        PYRRA
            .iter()
            .filter_map(|(severity, long, short, factor)| {
                let factor = Factor::new(*factor, 1)?;
                Some(Self { severity: *severity, long: part(*long), short: part(*short), factor })
            })
            .collect()
    }

    /// How many events the long window needs so that one failure alone is not over: one
    /// divided by factor times budget.
    #[must_use]
    pub fn needs_events(&self, target: Target) -> f64 {
        1.0 / self.factor.error_ratio(target).value()
    }

    /// Seconds from the start of an outage with this share of errors until the row
    /// fires; `None` when it never does.
    #[must_use]
    pub fn fires_after(&self, target: Target, errors: f64) -> Option<f64> {
        let part = self.factor.error_ratio(target).value() / errors;
        (part < 1.0).then(|| part * secs(self.long))
    }

    /// Seconds from the full recovery of a total outage, longer than the short window,
    /// until the row clears.
    #[must_use]
    pub fn clears_after(&self, target: Target) -> f64 {
        secs(self.short) * (1.0 - self.factor.error_ratio(target).value()).max(0.0)
    }
}

/// `page when 1h and 5m are over 14.4`.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} when {} and {} are over {}", self.severity.word(), self.long, self.short, self.factor)
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown, never compared")]
fn secs(w: Lookback) -> f64 {
    w.secs() as f64
}
