//! What the user types after `/`.
//!
//! Terms are separated by spaces and all must hold:
//!
//! | term | keeps |
//! |---|---|
//! | `text` | rows with the text in any shown column, case ignored |
//! | `"two words"` | the same, with a space |
//! | `!text` | rows without it |
//! | `-l key=value`, `-l key!=value`, `-l key`, `-l !key` | rows whose labels fit |
//! | `-l key in (a,b)`, `-l key notin (a,b)` | the same, as kubectl writes it; several with commas |
//! | `col=value`, `col!=value` | rows whose column is (is not) exactly that, `*` stands for anything |
//! | `cpu>80%`, `mem>1Gi`, `age<1h`, `restarts>=3` | rows whose column compares so |

use crate::domain::Kind;
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

/// What must hold of a label, as kubectl's selectors have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelTest {
    /// It is there.
    Exists,
    /// It is not.
    Absent,
    /// It is there with one of these values; `*` stands for anything.
    In(Vec<String>),
    /// It is not there, or has none of these values.
    NotIn(Vec<String>),
}

impl LabelTest {
    /// Whether it holds of a label's value, `None` where there is no such label.
    #[must_use]
    pub fn holds(&self, value: Option<&str>) -> bool {
        let among = |values: &[String]| value.is_some_and(|v| values.iter().any(|wanted| glob(wanted, v)));
        match self {
            Self::Exists => value.is_some(),
            Self::Absent => value.is_none(),
            Self::In(values) => among(values),
            Self::NotIn(values) => !among(values),
        }
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
    /// A label.
    Label {
        /// Key.
        key: String,
        /// What must hold of it.
        test: LabelTest,
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
    /// A selector that kubectl would not take either.
    #[error("`{0}` is no label selector; there are key=value, key!=value, key, !key, key in (a,b), key notin (a,b)")]
    Selector(String),
    /// Signs that are no operator.
    #[error("`{0}` is no operator; there are = != > >= < <=")]
    Operator(String),
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
        let mut words = split(raw)?.into_iter().peekable();
        while let Some(word) = words.next() {
            let joined = word.text.strip_prefix("-l").filter(|rest| rest.is_empty() || rest.contains(['=', '!', ',']));
            if let Some(rest) = joined.filter(|_| !word.quoted) {
                let mut selector = rest.to_owned();
                if selector.is_empty() {
                    let next = words.next().ok_or(FilterError::LabelMissing)?;
                    selector = next.text;
                    if next.quoted {
                        labels(&selector, &mut terms)?;
                        continue;
                    }
                }
                // Without quotes it may be several words.
                while let Some(next) = words.peek().filter(|next| goes_on(&selector, &next.text)) {
                    selector = format!("{selector} {}", next.text);
                    words.next();
                }
                labels(&selector, &mut terms)?;
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
        // kubectl's selectors stand in single quotes; elsewhere that is an apostrophe.
        let selector = words.last().is_some_and(|w: &Word| w.text == "-l" && !w.quoted);
        if let Some((_, quote @ ('"' | '\''))) = chars.peek().copied()
            && (quote == '"' || selector)
        {
            let open = chars.next().map_or(at, |(i, _)| i);
            loop {
                match chars.next() {
                    Some((_, c)) if c == quote => break,
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

/// True if a selector without quotes has not ended before `next`.
fn goes_on(selector: &str, next: &str) -> bool {
    let open = selector.matches('(').count() > selector.matches(')').count();
    let set = |word: &str| matches!(word, "in" | "notin") || word.starts_with("in(") || word.starts_with("notin(");
    open || set(next) || next.starts_with('(') || selector.ends_with([',', '(']) || next.starts_with(',')
}

fn labels(selector: &str, terms: &mut Vec<Term>) -> Result<(), FilterError> {
    let mut rest = selector.trim();
    while !rest.is_empty() {
        // Commas within parentheses part values, the others part conditions.
        let mut depth = 0_i32;
        let end = rest.find(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            c == ',' && depth == 0
        });
        let (part, after) = end.map_or((rest, ""), |at| (&rest[..at], &rest[at + 1..]));
        terms.push(label(part.trim()).ok_or_else(|| FilterError::Selector(part.trim().to_owned()))?);
        rest = after.trim();
    }
    Ok(())
}

/// One condition of a selector; `None` if it is none.
fn label(part: &str) -> Option<Term> {
    let (key, test) = if let Some((key, value)) = part.split_once("!=") {
        (key, LabelTest::NotIn(vec![value.trim().to_owned()]))
    } else if let Some((key, value)) = part.split_once('=') {
        let value = value.strip_prefix('=').unwrap_or(value).trim();
        (key, LabelTest::In(vec![value.to_owned()]))
    } else if let Some((head, values)) = part.split_once('(') {
        let values: Vec<String> = values.strip_suffix(')')?.split(',').map(|v| v.trim().to_owned()).collect();
        let (key, word) = head.trim().rsplit_once(char::is_whitespace)?;
        match word {
            "in" => (key, LabelTest::In(values)),
            "notin" => (key, LabelTest::NotIn(values)),
            _ => return None,
        }
    } else if let Some(key) = part.strip_prefix('!') {
        (key, LabelTest::Absent)
    } else {
        (part, LabelTest::Exists)
    };
    let key = key.trim();
    let plain = |text: &str| !text.contains(|c: char| c.is_whitespace() || "!=<>(),".contains(c));
    let values_plain = match &test {
        LabelTest::In(values) | LabelTest::NotIn(values) => values.iter().all(|v| plain(v)),
        LabelTest::Exists | LabelTest::Absent => true,
    };
    (!key.is_empty() && plain(key) && values_plain).then(|| Term::Label { key: key.to_owned(), test })
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
        let v = rest.strip_prefix("==").or_else(|| rest.strip_prefix('=')).unwrap_or(rest);
        match column.strip_suffix('!') {
            Some(c) => {
                column = c;
                (Op::Ne, v)
            }
            None => (Op::Eq, v),
        }
    };
    let odd = value.len() - value.trim_start_matches(['=', '<', '>', '!']).len();
    if odd > 0 {
        let sign = &word[column.len()..word.len() - value.len() + odd];
        return Err(FilterError::Operator(sign.to_owned()));
    }
    if column.is_empty() || value.is_empty() {
        return Err(FilterError::Incomplete(word.to_owned()));
    }
    let column = column.to_lowercase();
    if !columns.contains(&column.as_str()) {
        return Err(FilterError::UnknownColumn { name: column, known: columns.join(", ") });
    }
    // A kind by any of its names.
    let kind = Kind::named(value).filter(|_| column == "kind");
    let operand = Operand::new(kind.map_or(value, |kind| kind.short()));
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

    const COLUMNS: &[&str] = &["name", "cpu", "mem", "age", "status", "restarts", "kind"];

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
                Term::Label { key: "app".into(), test: LabelTest::In(vec!["web".into()]) },
                Term::Label { key: "tier".into(), test: LabelTest::NotIn(vec!["db".into()]) },
                Term::Label { key: "x".into(), test: LabelTest::Exists },
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
    fn selectors_are_written_as_for_kubectl() {
        let two = |not: bool| {
            let values = vec!["a".to_owned(), "b".to_owned()];
            let test = if not { LabelTest::NotIn(values) } else { LabelTest::In(values) };
            Term::Label { key: "app".into(), test }
        };
        let absent = Term::Label { key: "nosuch".into(), test: LabelTest::Absent };
        for raw in ["-l !nosuch", "-l '!nosuch'", "-l \"!nosuch\"", "-l!nosuch"] {
            assert_eq!(parse(raw), std::slice::from_ref(&absent), "{raw}");
        }
        for raw in
            ["-l 'app in (a,b)'", "-l app in (a,b)", "-l \"app in (a, b)\"", "-l app in ( a , b )", "-l app in(a,b)"]
        {
            assert_eq!(parse(raw), [two(false)], "{raw}");
        }
        assert_eq!(parse("-l 'app notin (a,b),!nosuch'"), [two(true), absent.clone()]);
        assert_eq!(parse("-l app notin (a,b), !nosuch web").len(), 3, "what follows is text");
        assert_eq!(parse("it's").len(), 1, "an apostrophe");
        assert!(holds_of(&absent, None) && !holds_of(&absent, Some("x")));
        assert!(holds_of(&two(true), None) && holds_of(&two(true), Some("c")));
        assert!(holds_of(&two(false), Some("a")) && !holds_of(&two(false), Some("c")));
    }

    fn holds_of(term: &Term, value: Option<&str>) -> bool {
        matches!(term, Term::Label { test, .. } if test.holds(value))
    }

    #[test]
    fn kinds_go_by_all_their_names() {
        for (names, short) in [
            (&["Deployment", "deployments", "deploy", "DEPLOY"][..], "deploy"),
            (&["StatefulSet", "sts", "statefulsets"], "sts"),
            (&["CronJob", "cj"], "cronjob"),
            (&["hpa", "HorizontalPodAutoscaler"], "hpa"),
            (&["pods", "po"], "task"),
        ] {
            for name in names {
                let terms = parse(&format!("kind={name}"));
                assert!(matches!(&terms[..], [Term::Column { operand, .. }] if operand.raw == short), "{name}");
            }
        }
    }

    #[test]
    fn mistakes_are_told() {
        let error = |raw| Filter::parse(raw, COLUMNS).expect_err(raw).to_string();
        assert!(error("\"open").contains("column 1"));
        assert!(error("-l").contains("-l app=web"));
        assert!(error("cpu>").contains("wants a column"));
        assert!(error("cpu>lots").contains("no number"));
        for raw in ["cpu=>5", "cpu=<5", "cpu><5", "cpu=!5", "cpu===5"] {
            assert!(error(raw).contains("is no operator"), "{raw}");
        }
        assert!(error("cpu=>5").starts_with("`=>`"));
        for raw in ["-l 'app in a'", "-l 'app in (a'", "-l =a", "-l 'a b'", "-l 'app on (a)'"] {
            assert!(error(raw).contains("is no label selector"), "{raw}");
        }
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
