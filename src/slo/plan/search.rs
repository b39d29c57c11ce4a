//! `SEARCH` in CloudWatch's metric math: one expression that stands for many metrics, each of which is paid for.

use std::ops::Range;

/// Points of a day: what counts the metrics of a search has few of them.
const DAY: u32 = 86_400;

/// One `SEARCH('terms', 'statistic', period)`.
struct Call<'a> {
    at: Range<usize>,
    /// What is searched for, with its quotes.
    terms: &'a str,
    /// The statistic, with its quotes.
    stat: &'a str,
}

impl Call<'_> {
    fn with_period(&self, secs: u32) -> String {
        format!("SEARCH({}, {}, {secs})", self.terms, self.stat)
    }
}

/// The expression with `period_secs` as the period of its searches: their own holds, and not the query's,
/// so minutes would come where hours are meant. A search that is not understood stays as it is written.
#[must_use]
pub fn with_period(expression: &str, period_secs: u32) -> String {
    let mut out = String::new();
    let mut told = 0;
    for call in calls(expression) {
        out.push_str(expression.get(told..call.at.start).unwrap_or_default());
        out.push_str(&call.with_period(period_secs));
        told = call.at.end;
    }
    out.push_str(expression.get(told..).unwrap_or_default());
    out
}

/// Each search by itself, over days: it gives one series for each metric that it finds.
#[must_use]
pub fn alone(expression: &str) -> Vec<String> {
    calls(expression).iter().map(|call| call.with_period(DAY)).collect()
}

/// All searches, in order.
fn calls(text: &str) -> Vec<Call<'_>> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        let Some(first) = rest.chars().next() else { break };
        at += if matches!(first, '\'' | '"') {
            quoted(rest).map_or(1, str::len)
        } else if first.is_alphanumeric() || first == '_' {
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let found =
                rest.get(..word).filter(|w| w.eq_ignore_ascii_case("search")).and_then(|_| call(text, at, word));
            match found {
                Some(call) => {
                    let length = call.at.len();
                    out.push(call);
                    length
                }
                None => word,
            }
        } else {
            first.len_utf8()
        };
    }
    out
}

/// The call whose name of `word` bytes begins at `start`.
fn call(text: &str, start: usize, word: usize) -> Option<Call<'_>> {
    let rest = text.get(start + word..)?.trim_start().strip_prefix('(')?.trim_start();
    let terms = quoted(rest)?;
    let rest = rest.get(terms.len()..)?.trim_start().strip_prefix(',')?.trim_start();
    let stat = quoted(rest)?;
    let rest = rest.get(stat.len()..)?.trim_start();
    let rest = rest.strip_prefix(',').map_or(rest, |r| r.trim_start().trim_start_matches(|c: char| c.is_ascii_digit()));
    let rest = rest.trim_start().strip_prefix(')')?;
    Some(Call { at: start..text.len() - rest.len(), terms, stat })
}

/// What stands in quotes at the beginning, with them.
fn quoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let end = text.get(1..)?.find(quote)?;
    text.get(..end + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_search_gets_the_period_that_is_asked_for() {
        let math = r#"SUM(SEARCH('{AWS/ApplicationELB,LoadBalancer} MetricName="RequestCount"', 'Sum', 60)) - SUM(search( "x y" ,"Sum" ) )"#;
        assert_eq!(
            with_period(math, 300),
            r#"SUM(SEARCH('{AWS/ApplicationELB,LoadBalancer} MetricName="RequestCount"', 'Sum', 300)) - SUM(SEARCH("x y", "Sum", 300) )"#
        );
        assert_eq!(alone(math).len(), 2);
        assert_eq!(alone(math)[1], r#"SEARCH("x y", "Sum", 86400)"#);
    }

    #[test]
    fn what_is_no_search_stays() {
        for text in [
            "SELECT SUM(RequestCount) FROM \"AWS/ApplicationELB\"",
            "SEARCH('open",
            "SEARCH(m1, 'Sum', 60)",
            "research('a', 'Sum', 60)",
            "FILL('SEARCH(\"a\", \"Sum\", 60)', 0)",
            "é SEARCH",
            "",
        ] {
            assert_eq!((with_period(text, 300).as_str(), alone(text).len()), (text, 0), "{text}");
        }
    }
}
