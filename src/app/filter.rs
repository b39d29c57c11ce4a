//! What the user types after `/`.
//!
//! Terms are separated by spaces and all must hold:
//!
//! | term | keeps |
//! |---|---|
//! | `text` | rows with the text in any shown column, case ignored |
//! | `"two words"` | the same, with a space |
//! | `!text` | rows without it |
//! | `-l key=value`, `-l key!=value`, `-l key` | rows whose labels fit |
//! | `col=value`, `col!=value` | rows whose column is (is not) exactly that, `*` stands for anything |
//! | `cpu>80%`, `mem>1Gi`, `age<1h`, `restarts>=3` | rows whose column compares so |

pub use crate::domain::glob::glob;
use crate::domain::quantity::{Bytes, Millicores};

/// How two things are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `=`
    Eq,
    /// `!=`
    Ne,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `<`
    Lt,
    /// `<=`
    Le,
}

impl Op {
    /// Whether `left op right` holds.
    #[must_use]
    pub fn holds<T: PartialOrd>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Eq => left == right,
            Self::Ne => left != right,
            Self::Gt => left > right,
            Self::Ge => left >= right,
            Self::Lt => left < right,
            Self::Le => left <= right,
        }
    }
}

/// What a column is compared with: the value as written, and what it can mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Operand {
    /// As written.
    pub raw: String,
    /// A plain number (`3`).
    pub number: Option<f64>,
    /// A percentage (`80%`).
    pub percent: Option<f64>,
    /// Millicores (`500m`, `2`).
    pub millicores: Option<f64>,
    /// Bytes (`1Gi`).
    pub bytes: Option<f64>,
    /// Seconds (`90s`, `1h30m`, `2d`).
    pub secs: Option<f64>,
}

impl Operand {
    fn new(raw: &str) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "compared with what is displayed")]
        let wide = |n: u64| n as f64;
        Self {
            raw: raw.to_owned(),
            number: raw.parse().ok(),
            percent: raw.strip_suffix('%').and_then(|p| p.parse().ok()),
            millicores: Millicores::parse(raw).map(|m| wide(m.0)),
            bytes: Bytes::parse(raw).map(|b| wide(b.0)),
            secs: parse_secs(raw),
        }
    }

    fn is_quantity(&self) -> bool {
        self.number.is_some()
            || self.percent.is_some()
            || self.millicores.is_some()
            || self.bytes.is_some()
            || self.secs.is_some()
    }
}

/// One condition.
#[derive(Debug, Clone, PartialEq)]
pub enum Term {
    /// Text anywhere in the row, lower case; `negated` for `!text`.
    Text {
        /// What to find, lower case.
        text: String,
        /// Rows without it.
        negated: bool,
    },
    /// A label: key, and the wanted value if any.
    Label {
        /// Key.
        key: String,
        /// `Eq`, `Ne`, with the value; `None` means that the key exists.
        value: Option<(Op, String)>,
    },
    /// A column compared with a value.
    Column {
        /// The column's key.
        column: String,
        /// How.
        op: Op,
        /// With what.
        operand: Operand,
    },
}

/// A parsed filter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// As typed.
    pub raw: String,
    /// All must hold.
    pub terms: Vec<Term>,
}

/// Why a filter cannot be used. Filters that cannot be parsed say so; they are
/// never ignored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// A quote without its partner.
    #[error("the quote at column {0} is not closed")]
    Unclosed(usize),
    /// `-l` without a selector.
    #[error("`-l` wants a selector after it, such as `-l app=web`")]
    LabelMissing,
    /// A comparison with nothing on one side.
    #[error("`{0}` wants a column before the operator and a value after it")]
    Incomplete(String),
    /// A comparison of order with something that has none.
    #[error("`{value}` in `{term}` is no number, percentage, quantity or duration (80%, 500m, 1Gi, 1h)")]
    NotAQuantity {
        /// The value.
        value: String,
        /// The term.
        term: String,
    },
    /// No such column here.
    #[error("there is no column `{name}` here; there are {known}")]
    UnknownColumn {
        /// As typed.
        name: String,
        /// What there is.
        known: String,
    },
}

impl Filter {
    /// Parses what was typed. `columns` are the keys that can be compared here.
    ///
    /// # Errors
    /// When a term makes no sense; the message says which and what would.
    pub fn parse(raw: &str, columns: &[&str]) -> Result<Self, FilterError> {
        let mut terms = Vec::new();
        let mut words = split(raw)?.into_iter();
        while let Some(word) = words.next() {
            if word.text == "-l" && !word.quoted {
                let selector = words.next().ok_or(FilterError::LabelMissing)?;
                labels(&selector.text, &mut terms);
            } else if let Some(rest) = word.text.strip_prefix("-l").filter(|_| !word.quoted && word.text.contains('='))
            {
                labels(rest, &mut terms);
            } else if word.quoted {
                terms.push(Term::Text { text: word.text.to_lowercase(), negated: word.negated });
            } else if let Some(term) = comparison(&word.text, columns)? {
                terms.push(term);
            } else if let Some(rest) = word.text.strip_prefix('!') {
                if !rest.is_empty() {
                    terms.push(Term::Text { text: rest.to_lowercase(), negated: true });
                }
            } else {
                terms.push(Term::Text { text: word.text.to_lowercase(), negated: false });
            }
        }
        Ok(Self { raw: raw.trim().to_owned(), terms })
    }

    /// True when it keeps everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The texts that rows are searched for, for highlighting.
    pub fn highlights(&self) -> impl Iterator<Item = &str> {
        self.terms.iter().filter_map(|t| match t {
            Term::Text { text, negated: false } => Some(text.as_str()),
            _ => None,
        })
    }
}

/// Words to find, and whether they must be absent: for logs, where `=` and `<`
/// are just text. Lower case.
///
/// # Errors
/// When a quote is not closed.
pub fn parse_words(raw: &str) -> Result<Vec<(String, bool)>, FilterError> {
    Ok(split(raw)?
        .into_iter()
        .map(|w| match w.text.strip_prefix('!') {
            Some(rest) if !w.quoted => (rest.to_lowercase(), true),
            _ => (w.text.to_lowercase(), w.negated),
        })
        .filter(|(text, _)| !text.is_empty())
        .collect())
}

struct Word {
    text: String,
    quoted: bool,
    negated: bool,
}

fn split(raw: &str) -> Result<Vec<Word>, FilterError> {
    let mut words = Vec::new();
    let mut chars = raw.chars().enumerate().peekable();
    while let Some(&(at, c)) = chars.peek() {
        if c.is_whitespace() {
            chars.next();
            continue;
        }
        let mut text = String::new();
        let negated = c == '!' && raw.chars().nth(at + 1) == Some('"');
        if negated {
            chars.next();
        }
        if matches!(chars.peek(), Some((_, '"'))) {
            let open = chars.next().map_or(at, |(i, _)| i);
            loop {
                match chars.next() {
                    Some((_, '"')) => break,
                    Some((_, c)) => text.push(c),
                    None => return Err(FilterError::Unclosed(open + 1)),
                }
            }
            words.push(Word { text, quoted: true, negated });
            continue;
        }
        while let Some((_, c)) = chars.next_if(|(_, c)| !c.is_whitespace()) {
            text.push(c);
        }
        words.push(Word { text, quoted: false, negated: false });
    }
    Ok(words)
}

fn labels(selector: &str, terms: &mut Vec<Term>) {
    for part in selector.split(',').filter(|p| !p.is_empty()) {
        let term = if let Some((key, value)) = part.split_once("!=") {
            Term::Label { key: key.to_owned(), value: Some((Op::Ne, value.to_owned())) }
        } else if let Some((key, value)) = part.split_once('=') {
            Term::Label { key: key.to_owned(), value: Some((Op::Eq, value.trim_start_matches('=').to_owned())) }
        } else {
            Term::Label { key: part.to_owned(), value: None }
        };
        terms.push(term);
    }
}

/// `col=value` and its kin; `None` when the word is plain text.
fn comparison(word: &str, columns: &[&str]) -> Result<Option<Term>, FilterError> {
    let Some(at) = word.find(['=', '<', '>']) else {
        return Ok(None);
    };
    let (mut column, rest) = word.split_at(at);
    let (op, value) = if let Some(v) = rest.strip_prefix(">=") {
        (Op::Ge, v)
    } else if let Some(v) = rest.strip_prefix("<=") {
        (Op::Le, v)
    } else if let Some(v) = rest.strip_prefix('>') {
        (Op::Gt, v)
    } else if let Some(v) = rest.strip_prefix('<') {
        (Op::Lt, v)
    } else {
        let v = rest.trim_start_matches('=');
        match column.strip_suffix('!') {
            Some(c) => {
                column = c;
                (Op::Ne, v)
            }
            None => (Op::Eq, v),
        }
    };
    if column.is_empty() || value.is_empty() {
        return Err(FilterError::Incomplete(word.to_owned()));
    }
    let column = column.to_lowercase();
    if !columns.contains(&column.as_str()) {
        return Err(FilterError::UnknownColumn { name: column, known: columns.join(", ") });
    }
    let operand = Operand::new(value);
    if !matches!(op, Op::Eq | Op::Ne) && !operand.is_quantity() {
        return Err(FilterError::NotAQuantity { value: value.to_owned(), term: word.to_owned() });
    }
    Ok(Some(Term::Column { column, op, operand }))
}

/// `90s`, `1h30m`, `2d`: seconds. A bare number is no duration.
fn parse_secs(raw: &str) -> Option<f64> {
    let mut total = 0.0;
    let mut rest = raw;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|e| *e > 0)?;
        let number: f64 = rest[..end].parse().ok()?;
        let unit = rest[end..].chars().next()?;
        total += number
            * match unit {
                's' => 1.0,
                'm' => 60.0,
                'h' => 3600.0,
                'd' => 86_400.0,
                'w' => 604_800.0,
                'y' => 31_536_000.0,
                _ => return None,
            };
        rest = &rest[end + 1..];
    }
    (!raw.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COLUMNS: &[&str] = &["name", "cpu", "mem", "age", "status", "restarts"];

    fn parse(raw: &str) -> Vec<Term> {
        Filter::parse(raw, COLUMNS).expect(raw).terms
    }

    #[test]
    fn terms() {
        assert_eq!(parse("Web !Canary").len(), 2);
        assert_eq!(parse("!canary"), [Term::Text { text: "canary".into(), negated: true }]);
        assert_eq!(parse("\"two words\""), [Term::Text { text: "two words".into(), negated: false }]);
        assert_eq!(parse("!\"two words\""), [Term::Text { text: "two words".into(), negated: true }]);
        assert_eq!(
            parse("-l app=web,tier!=db,x"),
            [
                Term::Label { key: "app".into(), value: Some((Op::Eq, "web".into())) },
                Term::Label { key: "tier".into(), value: Some((Op::Ne, "db".into())) },
                Term::Label { key: "x".into(), value: None },
            ]
        );
        assert!(
            matches!(&parse("cpu>80%")[..], [Term::Column { op: Op::Gt, operand, .. }] if operand.percent == Some(80.0))
        );
        assert!(
            matches!(&parse("age<1h30m")[..], [Term::Column { op: Op::Lt, operand, .. }] if operand.secs == Some(5400.0))
        );
        assert!(
            matches!(&parse("STATUS!=Running")[..], [Term::Column { op: Op::Ne, column, .. }] if column == "status")
        );
        assert!(matches!(&parse("restarts>=3")[..], [Term::Column { op: Op::Ge, .. }]));
        assert!(parse("   ").is_empty());
    }

    #[test]
    fn mistakes_are_told() {
        let error = |raw| Filter::parse(raw, COLUMNS).expect_err(raw).to_string();
        assert!(error("\"open").contains("column 1"));
        assert!(error("-l").contains("-l app=web"));
        assert!(error("cpu>").contains("wants a column"));
        assert!(error("cpu>lots").contains("no number"));
        assert!(error("colour=red").contains("there are name, cpu"));
    }

    #[test]
    fn globs() {
        assert!(glob("web-*", "web-1") && glob("*loop*", "CrashLoopBackOff") && glob("running", "Running"));
        assert!(!glob("run", "Running") && !glob("*x", "Running") && glob("*", ""));
    }

    proptest! {
        #[test]
        fn never_panics(raw in any::<String>()) {
            let _ = Filter::parse(&raw, COLUMNS);
            let _ = glob(&raw, &raw);
        }

        #[test]
        fn a_glob_matches_itself(raw in "[a-z0-9-]{0,20}") {
            prop_assert!(glob(&raw, &raw));
        }
    }
}
