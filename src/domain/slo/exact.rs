//! Numbers that are compared: decimals as they were written, never as floats.
//!
//! `14.4 * (1 - 0.999)` and `14.4 * ((100 - 99.9) / 100)` are different floats, and
//! an error ratio of 0.0144 is above one and not above the other.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// Parts that make one whole in a [`Target`].
pub const PPB: u32 = 1_000_000_000;

/// Why a decimal cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// It is something else.
    #[error("not a decimal number")]
    NotADecimal,
    /// It has more digits than are kept.
    #[error("too many digits")]
    TooFine,
    /// It is larger than anything that makes sense.
    #[error("too large")]
    TooLarge,
}

/// `text` times ten to the power of `places`, exactly. Digits with at most one
/// point; no sign, no exponent.
///
/// # Errors
/// When it is no such number, or does not fit.
pub fn scaled(text: &str, places: usize) -> Result<u64, DecimalError> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && part.is_empty()) || !digits(whole) || !digits(part) {
        return Err(DecimalError::NotADecimal);
    }
    let part = part.trim_end_matches('0');
    if part.len() > places {
        return Err(DecimalError::TooFine);
    }
    let all = format!("{whole}{part:0<places$}");
    let all = all.trim_start_matches('0');
    if all.is_empty() { Ok(0) } else { all.parse().map_err(|_| DecimalError::TooLarge) }
}

/// `n / 10^places` without needless zeros: `0.999`.
#[must_use]
pub fn unscaled(n: u64, places: usize) -> String {
    let digits = format!("{n:0>width$}", width = places + 1);
    let (whole, part) = digits.split_at(digits.len() - places);
    let part = part.trim_end_matches('0');
    if part.is_empty() { whole.to_owned() } else { format!("{whole}.{part}") }
}

/// How `a * b` compares to `c * d`, whatever their size.
#[must_use]
pub fn compare_products(a: u128, b: u128, c: u128, d: u128) -> Ordering {
    wide(a, b).cmp(&wide(c, d))
}

/// A product of 256 bits: high half, low half.
fn wide(a: u128, b: u128) -> (u128, u128) {
    let low = u128::from(u64::MAX);
    let (ah, al, bh, bl) = (a >> 64, a & low, b >> 64, b & low);
    let (ll, lh, hl, hh) = (al * bl, al * bh, ah * bl, ah * bh);
    let middle = (ll >> 64) + (lh & low) + (hl & low);
    (hh + (lh >> 64) + (hl >> 64) + (middle >> 64), (middle << 64) | (ll & low))
}

/// Why a target is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// It is not a plain decimal.
    #[error("a target is a decimal number")]
    NotADecimal,
    /// 100%.
    #[error("a target of 100% leaves no budget")]
    Whole,
    /// More than 100%.
    #[error("a target is below 1, or below 100 as a percentage")]
    TooLarge,
    /// 0%.
    #[error("a target of 0% is always met")]
    Zero,
    /// More than nine decimals.
    #[error("a target has nine decimals at most")]
    TooFine,
}

/// The share of events that must be good: above 0 and below 1, exact to one
/// part in 10^9.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target(u32);

impl Target {
    /// Reads `0.999`.
    ///
    /// # Errors
    /// When it is no decimal above 0 and below 1, or has more than nine decimals.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        Self::read(text, 9)
    }

    /// Reads `99.9`, a percentage.
    ///
    /// # Errors
    /// When it is no decimal above 0 and below 100, or has more than seven decimals.
    pub fn parse_percent(text: &str) -> Result<Self, TargetError> {
        Self::read(text, 7)
    }

    fn read(text: &str, places: usize) -> Result<Self, TargetError> {
        let parts = scaled(text, places).map_err(|e| match e {
            DecimalError::NotADecimal => TargetError::NotADecimal,
            DecimalError::TooFine => TargetError::TooFine,
            DecimalError::TooLarge => TargetError::TooLarge,
        })?;
        match u32::try_from(parts) {
            Ok(0) => Err(TargetError::Zero),
            Ok(PPB) => Err(TargetError::Whole),
            Ok(parts) if parts < PPB => Ok(Self(parts)),
            _ => Err(TargetError::TooLarge),
        }
    }

    /// In parts of 10^9.
    #[must_use]
    pub fn ppb(self) -> u32 {
        self.0
    }

    /// What may be bad, 1 minus the target, in parts of 10^9. Never 0.
    #[must_use]
    pub fn budget_ppb(self) -> u32 {
        PPB - self.0
    }

    /// What may be bad, as a fraction.
    #[must_use]
    pub fn budget(self) -> Fraction {
        Fraction::new(i128::from(self.budget_ppb()), u128::from(PPB))
    }
}

/// `99.9%`.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}%", unscaled(u64::from(self.0), 7)))
    }
}

/// How many times faster than even a budget goes, as a threshold: an exact
/// fraction above 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Factor {
    num: u64,
    den: u64,
}

/// The decimals of a factor that is written down.
const FACTOR_PLACES: usize = 6;

impl Factor {
    /// `num / den`, reduced; `None` when one of them is 0.
    #[must_use]
    pub fn new(num: u64, den: u64) -> Option<Self> {
        let common = u64::try_from(gcd(u128::from(num), u128::from(den))).ok()?;
        (num > 0 && den > 0).then(|| Self { num: num / common, den: den / common })
    }

    /// Numerator and denominator.
    #[must_use]
    pub fn parts(self) -> (u64, u64) {
        (self.num, self.den)
    }

    /// For showing.
    #[must_use]
    pub fn value(self) -> f64 {
        float(self.num.into()) / float(self.den.into())
    }

    /// The error ratio at which a budget burns this fast: factor times budget.
    #[must_use]
    pub fn error_ratio(self, target: Target) -> Fraction {
        Fraction::new(i128::from(self.num) * i128::from(target.budget_ppb()), u128::from(self.den) * u128::from(PPB))
    }

    /// Whether no burn can ever be above this: the fastest one is all errors.
    #[must_use]
    pub fn unreachable(self, target: Target) -> bool {
        u128::from(self.num) * u128::from(target.budget_ppb()) >= u128::from(self.den) * u128::from(PPB)
    }
}

/// Reads `14.4`: a decimal above 0 with six decimals at most.
impl FromStr for Factor {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let n = scaled(text, FACTOR_PLACES)?;
        if n > 1_000_000_000_000 {
            return Err(DecimalError::TooLarge);
        }
        Self::new(n, 1_000_000).ok_or(DecimalError::NotADecimal)
    }
}

/// `14.4`; at most four decimals, for a seventh has no end.
impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.4}", self.value());
        f.pad(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// An exact fraction: what is consumed or left, or a burn.
#[derive(Debug, Clone, Copy)]
pub struct Fraction {
    num: i128,
    /// Never 0.
    den: u128,
}

impl Fraction {
    /// `num / den`, reduced. A denominator of 0 is taken for 1; callers have none.
    #[must_use]
    pub fn new(num: i128, den: u128) -> Self {
        let common = gcd(num.unsigned_abs(), den).max(1);
        let (top, den) = (num.unsigned_abs() / common, (den / common).max(1));
        let top = i128::try_from(top).unwrap_or(i128::MAX);
        Self { num: if num < 0 { -top } else { top }, den }
    }

    /// 1 minus this.
    #[must_use]
    pub fn rest(self) -> Self {
        let whole = i128::try_from(self.den).unwrap_or(i128::MAX);
        Self::new(whole.saturating_sub(self.num), self.den)
    }

    /// This times `a / b`. Exact as long as it fits, which counts below 10^15 do.
    #[must_use]
    pub fn times(self, a: u64, b: u64) -> Self {
        let common = gcd(u128::from(a), u128::from(b)).max(1);
        let (a, b) = (u128::from(a) / common, (u128::from(b) / common).max(1));
        let (cross, across) = (gcd(a, self.den).max(1), gcd(b, self.num.unsigned_abs()).max(1));
        let (a, b) = (a / cross, b / across);
        let (mut num, mut den) = (self.num.unsigned_abs() / across, self.den / cross);
        loop {
            if let (Some(n), Some(d)) = (num.checked_mul(a), den.checked_mul(b))
                && let Ok(n) = i128::try_from(n)
            {
                return Self::new(if self.num < 0 { -n } else { n }, d);
            }
            (num, den) = (num >> 1, (den >> 1).max(1));
        }
    }

    /// How this compares to `num / den`, exactly.
    #[must_use]
    pub fn compare_to(self, num: u64, den: u64) -> Ordering {
        self.cmp(&Self { num: num.into(), den: u128::from(den).max(1) })
    }

    /// At or below 0.
    #[must_use]
    pub fn is_spent(self) -> bool {
        self.num <= 0
    }

    /// Exactly 0.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.num == 0
    }

    /// For showing.
    #[must_use]
    pub fn value(self) -> f64 {
        float(self.num) / float(i128::try_from(self.den).unwrap_or(i128::MAX))
    }

    /// As a percentage with so many decimals, rounded down: 99.9996 is not shown
    /// as 100, and a budget that is just spent not as one that is not.
    #[must_use]
    pub fn percent(self, decimals: usize) -> String {
        let scale = 10_i128.pow(u32::try_from(decimals.min(9)).unwrap_or(9));
        let den = i128::try_from(self.den).unwrap_or(i128::MAX);
        let scaled = match self.num.checked_mul(100 * scale) {
            Some(n) => n.div_euclid(den),
            None => self.num.div_euclid((den / (100 * scale)).max(1)),
        };
        let (sign, size) = (if scaled < 0 { "-" } else { "" }, scaled.unsigned_abs());
        let scale = scale.unsigned_abs();
        if decimals == 0 {
            return format!("{sign}{size}%");
        }
        format!("{sign}{}.{:0>width$}%", size / scale, size % scale, width = decimals.min(9))
    }
}

impl PartialEq for Fraction {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Fraction {}

impl PartialOrd for Fraction {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Fraction {
    fn cmp(&self, other: &Self) -> Ordering {
        let sizes = || compare_products(self.num.unsigned_abs(), other.den, other.num.unsigned_abs(), self.den);
        match (self.num < 0, other.num < 0) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => sizes(),
            (true, true) => sizes().reverse(),
        }
    }
}

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// As a float, for showing only.
#[expect(clippy::cast_precision_loss, reason = "shown, never compared")]
fn float(n: i128) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_as_they_are_written() {
        for (text, want) in [
            ("0.999", Ok(999_000_000)),
            ("0.9990", Ok(999_000_000)),
            (".95", Ok(950_000_000)),
            ("0.999999999", Ok(999_999_999)),
            ("0.9999999999", Err(TargetError::TooFine)),
            ("1", Err(TargetError::Whole)),
            ("1.000", Err(TargetError::Whole)),
            ("99.9", Err(TargetError::TooLarge)),
            ("99999999999999999999", Err(TargetError::TooLarge)),
            ("0", Err(TargetError::Zero)),
            ("0.0", Err(TargetError::Zero)),
            ("9.99e-1", Err(TargetError::NotADecimal)),
            ("-0.5", Err(TargetError::NotADecimal)),
            ("", Err(TargetError::NotADecimal)),
            (".", Err(TargetError::NotADecimal)),
            ("0.9.9", Err(TargetError::NotADecimal)),
        ] {
            assert_eq!(Target::parse(text).map(Target::ppb), want, "{text}");
        }
        assert_eq!(Target::parse_percent("99.95").map(Target::ppb), Ok(999_500_000));
        assert_eq!(Target::parse_percent("100"), Err(TargetError::Whole));
        assert_eq!(Target::parse_percent("99.9").unwrap().to_string(), "99.9%");
        assert_eq!(Target::parse("0.5").unwrap().to_string(), "50%");
    }

    #[test]
    fn a_factor_that_all_errors_do_not_reach_is_told() {
        let f: Factor = "14.4".parse().unwrap();
        for (target, out) in [("0.93", true), ("0.9305", true), ("0.9306", false), ("0.999", false), ("0.9", true)] {
            assert_eq!(f.unreachable(Target::parse(target).unwrap()), out, "{target}");
        }
        assert!("10".parse::<Factor>().unwrap().unreachable(Target::parse("0.9").unwrap()), "equal is not above");
    }

    #[test]
    fn percentages_are_rounded_down() {
        assert_eq!(Fraction::new(999_996, 1_000_000).percent(2), "99.99%");
        assert_eq!(Fraction::new(-1, 1000).percent(0), "-1%");
        assert_eq!(Fraction::new(-4, 10).percent(1), "-40.0%");
        assert_eq!(Fraction::new(1, 1).percent(2), "100.00%");
    }

    #[test]
    fn products_beyond_128_bits_are_compared() {
        let big = u128::MAX;
        assert_eq!(compare_products(big, big, big, big - 1), Ordering::Greater);
        assert_eq!(compare_products(big, 2, 2, big), Ordering::Equal);
        assert_eq!(wide(big, big), (big - 1, 1));
        assert_eq!(wide(1 << 100, 1 << 30), (4, 0));
    }
}
