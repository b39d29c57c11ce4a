//! What kinds of values settings have: how each is written, read and printed.

use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;

/// A kind of value.
pub trait Kind {
    /// What it is in the program.
    type Value: Clone + std::fmt::Debug + PartialEq + Default;
    /// What may be written, for messages and docs.
    const ALLOWED: &'static str;

    /// From an environment variable, a flag, or a text in a file. `None` if it is not one.
    fn from_text(text: &str) -> Option<Self::Value>;

    /// From a value in a file.
    fn from_toml(value: &DeValue<'_>) -> Option<Self::Value> {
        value.as_str().and_then(Self::from_text)
    }

    /// As a file writes it.
    fn to_toml(value: &Self::Value) -> String;
}

/// `text` as TOML writes it.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A name or path.
#[derive(Debug)]
pub struct Name;

impl Kind for Name {
    type Value = String;
    const ALLOWED: &'static str = "a name, or the path of a .toml file";

    fn from_text(text: &str) -> Option<String> {
        (!text.trim().is_empty()).then(|| text.to_owned())
    }

    fn to_toml(value: &String) -> String {
        quoted(value)
    }
}

/// Yes or no.
#[derive(Debug)]
pub struct Flag;

impl Kind for Flag {
    type Value = bool;
    const ALLOWED: &'static str = "true or false";

    fn from_text(text: &str) -> Option<bool> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        }
    }

    fn from_toml(value: &DeValue<'_>) -> Option<bool> {
        value.as_bool()
    }

    fn to_toml(value: &bool) -> String {
        value.to_string()
    }
}

macro_rules! whole_numbers {
    ($($name:ident, $low:literal, $high:literal, $doc:literal, $allowed:literal;)*) => {$(
        #[doc = $doc]
        #[derive(Debug)]
        pub struct $name;

        impl Kind for $name {
            type Value = u32;
            const ALLOWED: &'static str = $allowed;

            fn from_text(text: &str) -> Option<u32> {
                text.parse().ok().filter(|n| ($low..=$high).contains(n))
            }

            fn from_toml(value: &DeValue<'_>) -> Option<u32> {
                let number = value.as_integer()?;
                let n = u32::from_str_radix(number.as_str(), number.radix()).ok()?;
                ($low..=$high).contains(&n).then_some(n)
            }

            fn to_toml(value: &u32) -> String {
                value.to_string()
            }
        }
    )*};
}

whole_numbers! {
    Millis, 10, 1000, "Milliseconds between two frames.", "a whole number from 10 to 1000";
    Lines, 0, 1_000_000, "A number of lines.", "a whole number from 0 to 1000000";
    Dollars, 0, 10_000, "Whole dollars.", "whole dollars from 0 to 10000";
    Percent, 1, 1000, "A share in per cent; more than 100 where use may exceed what was asked for.", "a whole number from 1 to 1000";
}

/// An amount of memory, in bytes.
#[derive(Debug)]
pub struct Size;

impl Kind for Size {
    type Value = u64;
    const ALLOWED: &'static str =
        "a size from 64KiB to 4GiB with its unit, such as \"16MiB\" (B, KiB, MiB, GiB, kB, MB, GB)";

    fn from_text(text: &str) -> Option<u64> {
        let text = text.trim();
        let end = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at(end);
        let factor: u64 = match unit.trim() {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "kB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            _ => return None,
        };
        let bytes = number.parse::<u64>().ok()?.checked_mul(factor)?;
        ((64 << 10)..=(4 << 30)).contains(&bytes).then_some(bytes)
    }

    fn to_toml(value: &u64) -> String {
        let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
        let (unit, factor) = units.into_iter().find(|(_, f)| value.is_multiple_of(*f)).unwrap_or(("B", 1));
        quoted(&format!("{}{unit}", value / factor))
    }
}

/// A length of time, made of a number and a unit, or several: `90s`, `1h30m`.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_end);
        let n: u64 = number.parse().ok()?;
        let part = match unit.trim() {
            "ms" => Duration::from_millis(n),
            "s" => Duration::from_secs(n),
            "m" => Duration::from_secs(n.checked_mul(60)?),
            "h" => Duration::from_secs(n.checked_mul(3600)?),
            "d" => Duration::from_secs(n.checked_mul(86_400)?),
            _ => return None,
        };
        total = total.checked_add(part)?;
        rest = next;
    }
    Some(total)
}

fn printed(d: Duration) -> String {
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    let millis = d.as_millis();
    let (unit, factor) = units.into_iter().find(|(_, f)| millis.is_multiple_of(*f)).unwrap_or(("ms", 1));
    format!("{}{unit}", millis / factor)
}

/// How often something is asked for.
#[derive(Debug)]
pub struct Interval;

impl Kind for Interval {
    type Value = Duration;
    const ALLOWED: &'static str = "a time from 5s to 1h with its unit, such as \"30s\" (s, m, h)";

    fn from_text(text: &str) -> Option<Duration> {
        duration(text).filter(|d| (Duration::from_secs(5)..=Duration::from_hours(1)).contains(d))
    }

    fn to_toml(value: &Duration) -> String {
        quoted(&printed(*value))
    }
}

/// How often something is asked for that cannot wait.
#[derive(Debug)]
pub struct Poll;

impl Kind for Poll {
    type Value = Duration;
    const ALLOWED: &'static str = "a time from 1s to 1m with its unit, such as \"2s\" (s, m)";

    fn from_text(text: &str) -> Option<Duration> {
        duration(text).filter(|d| (Duration::from_secs(1)..=Duration::from_mins(1)).contains(d))
    }

    fn to_toml(value: &Duration) -> String {
        quoted(&printed(*value))
    }
}

/// A length of time, or empty for none.
#[derive(Debug)]
pub struct OptionalSpan;

impl Kind for OptionalSpan {
    type Value = Option<Duration>;
    const ALLOWED: &'static str =
        "a time with its unit, such as \"15m\" or \"1h30m\" (ms, s, m, h, d), or \"\" for none";

    fn from_text(text: &str) -> Option<Option<Duration>> {
        if text.is_empty() { Some(None) } else { duration(text).filter(|d| !d.is_zero()).map(Some) }
    }

    fn to_toml(value: &Option<Duration>) -> String {
        quoted(&value.map(printed).unwrap_or_default())
    }
}

/// A path, or empty for the usual place; `~/` is the home directory.
#[derive(Debug)]
pub struct OptionalPath;

impl Kind for OptionalPath {
    type Value = Option<PathBuf>;
    const ALLOWED: &'static str = "a path, or \"\" for the usual place; `~/` is your home directory";

    fn from_text(text: &str) -> Option<Option<PathBuf>> {
        Some((!text.is_empty()).then(|| PathBuf::from(text)))
    }

    fn to_toml(value: &Option<PathBuf>) -> String {
        quoted(&value.as_ref().map(|p| p.display().to_string()).unwrap_or_default())
    }
}

/// Files and directories; `~/` is the home directory.
#[derive(Debug)]
pub struct PathList;

impl Kind for PathList {
    type Value = Vec<PathBuf>;
    const ALLOWED: &'static str = "a list of paths; in a variable, with `:` between them";

    fn from_text(text: &str) -> Option<Vec<PathBuf>> {
        Some(std::env::split_paths(text).filter(|p| !p.as_os_str().is_empty()).collect())
    }

    fn from_toml(value: &DeValue<'_>) -> Option<Vec<PathBuf>> {
        let DeValue::Array(items) = value else { return value.as_str().map(|one| vec![PathBuf::from(one)]) };
        items.iter().map(|item| item.get_ref().as_str().map(PathBuf::from)).collect()
    }

    fn to_toml(value: &Vec<PathBuf>) -> String {
        let items: Vec<String> = value.iter().map(|p| quoted(&p.display().to_string())).collect();
        format!("[{}]", items.join(", "))
    }
}

/// The beginnings of links.
#[derive(Debug)]
pub struct LinkList;

impl LinkList {
    fn is_link(text: &str) -> bool {
        let host = ["https://", "http://"].iter().find_map(|s| text.strip_prefix(s));
        // A host's name that ends where the setting does would also be the beginning of another's.
        host.and_then(|h| h.split_once('/')).is_some_and(|(host, _)| !host.is_empty() && !host.contains('@'))
            && !text.chars().any(|c| c.is_control() || c.is_whitespace())
    }
}

impl Kind for LinkList {
    type Value = Vec<String>;
    const ALLOWED: &'static str = "a list of links with at least the / after the host, such as \"https://raw.example.com/runbooks/\"; in a variable, with spaces between them";

    fn from_text(text: &str) -> Option<Vec<String>> {
        text.split_whitespace().map(|t| Self::is_link(t).then(|| t.to_owned())).collect()
    }

    fn from_toml(value: &DeValue<'_>) -> Option<Vec<String>> {
        let DeValue::Array(items) = value else { return value.as_str().and_then(Self::from_text) };
        items.iter().map(|i| i.get_ref().as_str().filter(|t| Self::is_link(t)).map(str::to_owned)).collect()
    }

    fn to_toml(value: &Vec<String>) -> String {
        let items: Vec<String> = value.iter().map(|t| quoted(t)).collect();
        format!("[{}]", items.join(", "))
    }
}

/// The views that a console can open with.
pub const VIEWS: &[&str] =
    &["overview", "nodes", "tasks", "workloads", "events", "map", "alarms", "budgets", "services", "spot", "pools"];

/// The name of a view, one of [`VIEWS`].
#[derive(Debug)]
pub struct View;

impl Kind for View {
    type Value = String;
    const ALLOWED: &'static str =
        "overview, nodes, tasks, workloads, events, map, alarms, budgets, services, spot or pools";

    fn from_text(text: &str) -> Option<String> {
        VIEWS.contains(&text).then(|| text.to_owned())
    }

    fn to_toml(value: &String) -> String {
        quoted(value)
    }
}

/// The pages of the wallboard.
pub const WALL_PAGES: &[&str] = &["overview", "map", "budgets", "alarms", "spot", "services", "timeline"];

/// Some of [`WALL_PAGES`], in the order in which they come; none is all of them.
#[derive(Debug)]
pub struct WallPages;

impl Kind for WallPages {
    type Value = Vec<String>;
    const ALLOWED: &'static str =
        "a list of overview, map, budgets, alarms, spot, services and timeline; in a variable, with `,` between them";

    fn from_text(text: &str) -> Option<Vec<String>> {
        if text.trim().is_empty() {
            return Some(Vec::new());
        }
        text.split(',').map(|page| WALL_PAGES.contains(&page.trim()).then(|| page.trim().to_owned())).collect()
    }

    fn from_toml(value: &DeValue<'_>) -> Option<Vec<String>> {
        let DeValue::Array(items) = value else { return value.as_str().and_then(Self::from_text) };
        let page = |text: &str| WALL_PAGES.contains(&text).then(|| text.to_owned());
        items.iter().map(|item| item.get_ref().as_str().and_then(page)).collect()
    }

    fn to_toml(value: &Vec<String>) -> String {
        let items: Vec<String> = value.iter().map(|p| quoted(p)).collect();
        format!("[{}]", items.join(", "))
    }
}

/// How many colours to use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ColorChoice {
    /// What the terminal and `NO_COLOR` say.
    #[default]
    Auto,
    /// None.
    Never,
    /// The terminal's sixteen.
    Ansi16,
    /// 256.
    Ansi256,
    /// 24 bits.
    TrueColor,
}

impl Kind for ColorChoice {
    type Value = Self;
    const ALLOWED: &'static str = "\"auto\", \"never\", \"16\", \"256\" or \"truecolor\"";

    fn from_text(text: &str) -> Option<Self> {
        Some(match text {
            "auto" => Self::Auto,
            "never" => Self::Never,
            "16" => Self::Ansi16,
            "256" => Self::Ansi256,
            "truecolor" => Self::TrueColor,
            _ => return None,
        })
    }

    fn to_toml(value: &Self) -> String {
        quoted(match value {
            Self::Auto => "auto",
            Self::Never => "never",
            Self::Ansi16 => "16",
            Self::Ansi256 => "256",
            Self::TrueColor => "truecolor",
        })
    }
}

/// How much the console writes into its own log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What must not happen.
    Error,
    /// What failed, too.
    Warn,
    /// What began, ended and came back, too.
    #[default]
    Info,
    /// Every attempt, too.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    const ALL: [(&'static str, Self); 6] = [
        ("off", Self::Off),
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];

    /// As a file writes it, without quotes.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, level)| *level == self).map_or("info", |(word, _)| word)
    }
}

impl Kind for LogLevel {
    type Value = Self;
    const ALLOWED: &'static str = "\"off\", \"error\", \"warn\", \"info\", \"debug\" or \"trace\"";

    fn from_text(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(word, _)| text.eq_ignore_ascii_case(word)).map(|(_, level)| *level)
    }

    fn to_toml(value: &Self) -> String {
        quoted(value.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times() {
        for (s, want) in [
            ("30s", Some(30)),
            ("1h30m", Some(5400)),
            ("2d", Some(172_800)),
            ("5", None),
            ("s", None),
            ("1y", None),
            ("", None),
        ] {
            assert_eq!(duration(s), want.map(Duration::from_secs), "{s}");
        }
        assert_eq!(Interval::from_text("1s"), None);
        assert_eq!(Interval::from_text("99999999999999999999s"), None);
        assert_eq!(Interval::from_text("18446744073709551615h"), None);
    }

    #[test]
    fn sizes() {
        for (s, want) in [
            ("16MiB", Some(16 << 20)),
            ("64 KiB", Some(64 << 10)),
            ("16", None),
            ("1KiB", None),
            ("16mb", None),
            ("5GiB", None),
        ] {
            assert_eq!(Size::from_text(s), want, "{s}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(s in any::<String>()) {
            let _ = (duration(&s), Size::from_text(&s), Millis::from_text(&s));
        }

        #[test]
        fn printed_times_read_back(ms in 1_u64..10_000_000_000) {
            let d = Duration::from_millis(ms);
            prop_assert_eq!(duration(&printed(d)), Some(d));
        }
    }
}
