//! Amounts of CPU and memory, parsed as Kubernetes writes them.

use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};

/// CPU in thousandths of a core.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Millicores(pub u64);

/// Memory in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Bytes(pub u64);

macro_rules! amount {
    ($t:ty) => {
        impl Add for $t {
            type Output = Self;
            fn add(self, o: Self) -> Self {
                Self(self.0.saturating_add(o.0))
            }
        }
        impl Sub for $t {
            type Output = Self;
            fn sub(self, o: Self) -> Self {
                Self(self.0.saturating_sub(o.0))
            }
        }
        impl AddAssign for $t {
            fn add_assign(&mut self, o: Self) {
                *self = *self + o;
            }
        }
        impl SubAssign for $t {
            fn sub_assign(&mut self, o: Self) {
                *self = *self - o;
            }
        }
        impl std::iter::Sum for $t {
            fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
                iter.fold(Self(0), Add::add)
            }
        }
    };
}
amount!(Millicores);
amount!(Bytes);

impl Millicores {
    /// Parses a Kubernetes CPU quantity (`250m`, `2`, `1500000n`), rounding up
    /// to a millicore as the API does. `None` if it is not a quantity.
    #[must_use]
    pub fn parse(s: &str) -> Option<Self> {
        let nanos = parse_nanos(s)?;
        u64::try_from(nanos.div_euclid(1_000_000) + i128::from(nanos.rem_euclid(1_000_000) != 0)).ok().map(Self)
    }
}

impl Bytes {
    /// Parses a Kubernetes memory quantity (`128Mi`, `1G`, `64000`), rounding
    /// up to a byte. `None` if it is not a quantity.
    #[must_use]
    pub fn parse(s: &str) -> Option<Self> {
        let nanos = parse_nanos(s)?;
        let one = 1_000_000_000;
        u64::try_from(nanos.div_euclid(one) + i128::from(nanos.rem_euclid(one) != 0)).ok().map(Self)
    }
}

/// `180m`, `1.25` or `16`: cores with as few digits as stay exact enough.
impl fmt::Display for Millicores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let m = self.0;
        let s = match m {
            0..1000 => format!("{m}m"),
            _ if m.is_multiple_of(1000) => format!("{}", m / 1000),
            1000..10_000 => format!("{}.{:02}", m / 1000, m % 1000 / 10),
            10_000..100_000 => format!("{}.{}", m / 1000, m % 1000 / 100),
            _ => format!("{}", m / 1000),
        };
        f.pad(&s)
    }
}

/// `512Ki`, `96Mi`, `1.5Gi`: three significant digits, binary units.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["", "Ki", "Mi", "Gi", "Ti", "Pi"];
        let mut unit = 0;
        let mut whole = self.0;
        let mut rest = 0;
        while whole >= 1024 && unit < UNITS.len() - 1 {
            rest = whole % 1024;
            whole /= 1024;
            unit += 1;
        }
        let tenth = rest * 10 / 1024;
        let s = if whole < 10 && unit > 2 && tenth > 0 {
            format!("{whole}.{tenth}{}", UNITS[unit])
        } else {
            format!("{whole}{}", UNITS[unit])
        };
        f.pad(&s)
    }
}

/// The value in 1e-9 units. Accepts a sign, a decimal number, and either an SI
/// or binary suffix or a decimal exponent, as `k8s.io/apimachinery` does.
fn parse_nanos(s: &str) -> Option<i128> {
    let s = s.trim();
    let (negative, digits) = match s.as_bytes().first()? {
        b'-' => (true, &s[1..]),
        b'+' => (false, &s[1..]),
        _ => (false, s),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(digits.len());
    let (number, suffix) = digits.split_at(end);
    let (int, frac) = number.split_once('.').unwrap_or((number, ""));
    if (int.is_empty() && frac.is_empty()) || frac.contains('.') {
        return None;
    }
    let (mul, div) = scale(suffix)?;
    let mut value: i128 = if int.is_empty() { 0 } else { int.parse().ok()? };
    let mut frac_div: i128 = 1;
    // Nine places after the point are more than any suffix can use.
    for d in frac.bytes().take(18) {
        value = value.checked_mul(10)?.checked_add(i128::from(d - b'0'))?;
        frac_div *= 10;
    }
    let scaled = value.checked_mul(mul)?.checked_mul(1_000_000_000)?;
    let by = frac_div.checked_mul(div)?;
    let nanos = scaled.div_euclid(by) + i128::from(scaled.rem_euclid(by) != 0);
    Some(if negative { -nanos } else { nanos })
}

/// The multiplier and divisor of a quantity's suffix.
fn scale(suffix: &str) -> Option<(i128, i128)> {
    Some(match suffix {
        "" => (1, 1),
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1000),
        "k" => (1000, 1),
        "M" => (1_000_000, 1),
        "G" => (1_000_000_000, 1),
        "T" => (1_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000, 1),
        "E" => (1_000_000_000_000_000_000, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        _ => {
            let exp: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            let pow = 10_i128.checked_pow(exp.unsigned_abs().min(30))?;
            if exp >= 0 { (pow, 1) } else { (1, pow) }
        }
    })
}

/// What a task asks for or a node offers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Resources {
    /// CPU; zero means none stated.
    pub cpu: Millicores,
    /// Memory; zero means none stated.
    pub memory: Bytes,
}

impl Add for Resources {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Self { cpu: self.cpu + o.cpu, memory: self.memory + o.memory }
    }
}

impl Sub for Resources {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        Self { cpu: self.cpu - o.cpu, memory: self.memory - o.memory }
    }
}

impl Resources {
    /// The larger of each.
    #[must_use]
    pub fn max(self, o: Self) -> Self {
        Self { cpu: self.cpu.max(o.cpu), memory: self.memory.max(o.memory) }
    }
}

/// What is in use now, as measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Usage {
    /// CPU over the sample's window.
    pub cpu: Millicores,
    /// Working set.
    pub memory: Bytes,
}

impl Usage {
    /// Use that is only known as a share: per cent of what is reserved, kept to a
    /// hundredth. What CloudWatch says of an ECS service is such.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
    pub fn of_shares(cpu_percent: f64, memory_percent: f64) -> Self {
        let hundredths = |p: f64| (p.clamp(0.0, 1e6) * 100.0).round() as u64;
        Self { cpu: Millicores(hundredths(cpu_percent)), memory: Bytes(hundredths(memory_percent)) }
    }

    /// CPU and memory in per cent, of what [`Usage::of_shares`] made.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "hundredths of a per cent are small")]
    pub fn shares(self) -> (f64, f64) {
        (self.cpu.0 as f64 / 100.0, self.memory.0 as f64 / 100.0)
    }
}

/// `part` of `whole` in per cent, `None` when there is no whole.
#[must_use]
pub fn percent(part: u64, whole: u64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a percentage for display; 52 bits are plenty")]
    (whole > 0).then(|| part as f64 * 100.0 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cpu_quantities() {
        for (s, want) in [
            ("250m", 250),
            ("2", 2000),
            ("0.5", 500),
            ("1500000n", 2),
            ("100u", 1),
            ("1e1", 10_000),
            ("0", 0),
            (".5", 500),
        ] {
            assert_eq!(Millicores::parse(s), Some(Millicores(want)), "{s}");
        }
        for s in ["", "m", "abc", "1.2.3", "1x", "-1", "5 m"] {
            assert_eq!(Millicores::parse(s), None, "{s}");
        }
    }

    #[test]
    fn memory_quantities() {
        for (s, want) in [
            ("128Mi", 128 << 20),
            ("1G", 1_000_000_000),
            ("64000", 64_000),
            ("1.5Gi", 3 << 29),
            ("500m", 1),
            ("1e3", 1000),
            ("2Ki", 2048),
        ] {
            assert_eq!(Bytes::parse(s), Some(Bytes(want)), "{s}");
        }
    }

    #[test]
    fn printed_with_units() {
        for (m, want) in [(0, "0m"), (180, "180m"), (1000, "1"), (1250, "1.25"), (15_890, "15.8"), (120_500, "120")] {
            assert_eq!(Millicores(m).to_string(), want);
        }
        for (b, want) in [(0, "0"), (2048, "2Ki"), (96 << 20, "96Mi"), (3 << 29, "1.5Gi"), (64 << 30, "64Gi")] {
            assert_eq!(Bytes(b).to_string(), want);
        }
    }

    proptest! {
        #[test]
        fn never_panics(s in any::<String>()) {
            let _ = Bytes::parse(&s);
            let _ = Millicores::parse(&s);
        }

        #[test]
        fn whole_numbers_survive(n in 0_u64..1_000_000_000_000) {
            prop_assert_eq!(Bytes::parse(&n.to_string()), Some(Bytes(n)));
            prop_assert_eq!(Millicores::parse(&format!("{n}m")), Some(Millicores(n)));
        }
    }
}
