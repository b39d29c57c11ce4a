//! Kinds of values about alarms: words, how to tell of them, and when not to.

use toml::de::DeValue;

use super::kinds::{Kind, quoted};

/// Words, in a list.
#[derive(Debug)]
pub struct Words;

impl Kind for Words {
    type Value = Vec<String>;
    const ALLOWED: &'static str =
        "a list of words, such as [\"sev1\", \"urgent\"]; with commas between them in the environment";

    fn from_text(text: &str) -> Option<Vec<String>> {
        if text.trim().is_empty() {
            return Some(Vec::new());
        }
        text.split(',').map(word).collect()
    }

    fn from_toml(value: &DeValue<'_>) -> Option<Vec<String>> {
        value.as_array()?.iter().map(|v| word(v.get_ref().as_str()?)).collect()
    }

    fn to_toml(value: &Vec<String>) -> String {
        let words: Vec<String> = value.iter().map(|w| quoted(w)).collect();
        format!("[{}]", words.join(", "))
    }
}

/// One word in lower case; `None` for what is none.
fn word(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control() || c == ',');
    fits.then(|| text.to_lowercase())
}

/// How somebody is told of an alarm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Notify {
    /// Not at all.
    #[default]
    Off,
    /// By the terminal's bell.
    Bell,
    /// By a desktop notification, OSC 9.
    Osc9,
    /// By a desktop notification, OSC 777.
    Osc777,
}

impl Notify {
    const ALL: [(&'static str, Self); 4] =
        [("none", Self::Off), ("bell", Self::Bell), ("osc9", Self::Osc9), ("osc777", Self::Osc777)];
}

impl Kind for Notify {
    type Value = Self;
    const ALLOWED: &'static str = "\"none\", \"bell\", \"osc9\" or \"osc777\"";

    fn from_text(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(word, _)| text.eq_ignore_ascii_case(word)).map(|(_, n)| *n)
    }

    fn to_toml(value: &Self) -> String {
        quoted(Self::ALL.iter().find(|(_, n)| n == value).map_or("none", |(word, _)| word))
    }
}

/// From when to when, in minutes of the day; over midnight where the end is earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietHours {
    from: u16,
    to: u16,
}

impl QuietHours {
    /// From and to, in minutes after midnight; the second is not included, and may be the earlier one.
    #[must_use]
    pub fn bounds(self) -> (u16, u16) {
        (self.from, self.to)
    }

    /// True at this minute of the day: the first minute is quiet, the last is not.
    #[must_use]
    pub fn has(self, minute: u16) -> bool {
        if self.from < self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }
}

/// Quiet hours, or none.
#[derive(Debug)]
pub struct Quiet;

impl Kind for Quiet {
    type Value = Option<QuietHours>;
    const ALLOWED: &'static str =
        "two different times with a dash between them, such as \"22:00-07:00\", or \"\" for none";

    fn from_text(text: &str) -> Option<Option<QuietHours>> {
        if text.is_empty() {
            return Some(None);
        }
        let (from, to) = text.split_once('-')?;
        let hours = QuietHours { from: minute(from)?, to: minute(to)? };
        (hours.from != hours.to).then_some(Some(hours))
    }

    fn to_toml(value: &Option<QuietHours>) -> String {
        let time = |m: u16| format!("{:02}:{:02}", m / 60, m % 60);
        quoted(&value.map(|q| format!("{}-{}", time(q.from), time(q.to))).unwrap_or_default())
    }
}

/// `22:00` as a minute of the day.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let digits = |s: &str| s.parse::<u16>().ok().filter(|_| s.len() <= 2 && s.bytes().all(|b| b.is_ascii_digit()));
    let (hour, minute) = (digits(hour)?, digits(minute)?);
    (hour < 24 && minute < 60 && text.trim().split_once(':')?.1.len() == 2).then_some(hour * 60 + minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_hours_go_over_midnight() {
        let quiet = Quiet::from_text("22:00-07:00").flatten().unwrap();
        let at = |h: u16, m: u16| quiet.has(h * 60 + m);
        assert!(at(22, 0) && at(23, 59) && at(0, 0) && at(6, 59));
        assert!(!at(7, 0) && !at(21, 59) && !at(12, 0));
        let noon = Quiet::from_text("9:30-17:00").flatten().unwrap();
        assert!(noon.has(9 * 60 + 30) && !noon.has(9 * 60 + 29) && !noon.has(17 * 60));
        assert_eq!(Quiet::to_toml(&Some(noon)), "\"09:30-17:00\"");
        for bad in ["22:00", "22-7", "24:00-07:00", "22:60-07:00", "22:0-07:00", "x-y", "07:00-07:00", "+2:00-07:00"] {
            assert_eq!(Quiet::from_text(bad), None, "{bad}");
        }
        assert_eq!(Quiet::from_text(""), Some(None));
    }

    #[test]
    fn words_are_kept_in_lower_case() {
        assert_eq!(Words::from_text("Sev1, urgent"), Some(vec!["sev1".to_owned(), "urgent".to_owned()]));
        assert_eq!(Words::from_text(""), Some(Vec::new()));
        assert_eq!(Words::from_text("a,,b"), None);
        assert_eq!(Words::from_text("two words"), None);
        assert_eq!(Words::to_toml(&vec!["a".to_owned(), "b\"".to_owned()]), "[\"a\", 'b\"']");
    }
}
