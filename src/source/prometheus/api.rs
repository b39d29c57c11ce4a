//! Prometheus' HTTP API, version 1: what is asked, and what comes back.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::http::{Http, clipped};
use crate::domain::{Text, Timestamp};
use crate::source::SourceError;

/// Labels by name.
pub type LabelMap = BTreeMap<String, String>;

/// What came, and what the server adds to it (warnings, infos, a partial answer).
#[derive(Debug, Clone, Default)]
pub struct Noted<T> {
    /// What was asked for.
    pub data: T,
    /// What limits it; empty if nothing does.
    pub note: String,
}

/// One series at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its labels, `__name__` among them if it has a name.
    pub labels: LabelMap,
    /// Its value; may be `NaN` or infinite.
    pub value: f64,
}

/// One series over a range.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its labels.
    pub labels: LabelMap,
    /// Seconds since 1970, and the value then.
    pub points: Vec<(f64, f64)>,
}

/// An alerting rule.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// Its expression.
    pub query: String,
    /// `ok`, `err` or `unknown`.
    pub health: String,
    /// Why it is `err`.
    #[serde(rename = "lastError")]
    pub last_error: String,
    /// What it says of now.
    pub alerts: Vec<Alert>,
}

/// An alert as Prometheus has it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Alert {
    /// Its labels, `alertname` among them; without the external ones.
    pub labels: LabelMap,
    /// What its author says.
    pub annotations: LabelMap,
    /// `pending` or `firing`.
    pub state: String,
    /// Since when.
    #[serde(rename = "activeAt")]
    pub active_at: Option<Timestamp>,
    /// The expression's value, as text.
    pub value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    status: String,
    #[serde(default)]
    data: Option<Box<serde_json::value::RawValue>>,
    #[serde(default)]
    error_type: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Option<Vec<String>>,
    #[serde(default)]
    infos: Option<Vec<String>>,
    /// As `VictoriaMetrics` says it.
    #[serde(default)]
    is_partial: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    result_type: String,
    result: Box<serde_json::value::RawValue>,
}

#[derive(Deserialize)]
struct RawSeries {
    #[serde(default)]
    metric: LabelMap,
    #[serde(default)]
    value: Option<(f64, String)>,
    #[serde(default)]
    values: Vec<(f64, String)>,
}

/// One Prometheus. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    pub(super) http: Http,
}

impl Api {
    /// Asks through `http`.
    #[must_use]
    pub fn new(http: Http) -> Self {
        Self { http }
    }

    /// An expression at one moment, as series with a value each.
    ///
    /// # Errors
    /// As [`SourceError`]: a query that the server refuses is a `Server` error with 400 or 422.
    pub async fn query(&self, expr: &str, at: Timestamp) -> Result<Noted<Vec<Sample>>, SourceError> {
        let at = seconds(at);
        let body = self.http.ask("/api/v1/query", &[("query", expr), ("time", &at)], explain).await?;
        let answer: Noted<Answer> = opened(&body)?;
        let note = answer.note;
        let data = match answer.data.result_type.as_str() {
            "vector" => {
                let raw: Vec<RawSeries> = parsed("a vector", answer.data.result.get())?;
                raw.into_iter()
                    // A native histogram has no value: it is not what was asked for.
                    .filter_map(|s| Some(Sample { value: number(&s.value?.1), labels: s.metric }))
                    .collect()
            }
            "scalar" => {
                let (_, value): (f64, String) = parsed("a scalar", answer.data.result.get())?;
                vec![Sample { labels: LabelMap::new(), value: number(&value) }]
            }
            other => return Err(wrong_type(other, "a vector")),
        };
        Ok(Noted { data, note })
    }

    /// An expression over a range, every `step` seconds from `start` to `end`.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn query_range(
        &self,
        expr: &str,
        start: Timestamp,
        end: Timestamp,
        step: u64,
    ) -> Result<Noted<Vec<Series>>, SourceError> {
        let (start, end, step) = (seconds(start), seconds(end), step.max(1).to_string());
        let params = [("query", expr), ("start", &start), ("end", &end), ("step", &step)];
        let body = self.http.ask("/api/v1/query_range", &params, explain).await?;
        let answer: Noted<Answer> = opened(&body)?;
        if answer.data.result_type != "matrix" {
            return Err(wrong_type(&answer.data.result_type, "a matrix"));
        }
        let raw: Vec<RawSeries> = parsed("a matrix", answer.data.result.get())?;
        let series = |s: RawSeries| Series {
            labels: s.metric,
            points: s.values.into_iter().map(|(t, v)| (t, number(&v))).collect(),
        };
        Ok(Noted { data: raw.into_iter().map(series).collect(), note: answer.note })
    }

    /// The alerting rules with their alerts.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn rules(&self) -> Result<Noted<Vec<Rule>>, SourceError> {
        #[derive(Deserialize)]
        struct Groups {
            #[serde(default)]
            groups: Vec<Group>,
        }
        #[derive(Deserialize)]
        struct Group {
            #[serde(default)]
            rules: Vec<Value>,
        }
        let body = self.http.get("/api/v1/rules", &[("type", "alert")], explain).await?;
        let groups: Noted<Groups> = opened(&body)?;
        let all = groups.data.groups.into_iter().flat_map(|g| g.rules);
        // Some that speak this API send recording rules as well, whatever is asked for.
        let alerting = all.filter(|r| r.get("type").and_then(Value::as_str) != Some("recording"));
        let data = alerting.filter_map(|r| serde_json::from_value(r).ok()).collect();
        Ok(Noted { data, note: groups.note })
    }

    /// The alerts alone, for those that do not serve rules.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn alerts(&self) -> Result<Noted<Vec<Alert>>, SourceError> {
        #[derive(Deserialize)]
        struct Alerts {
            #[serde(default)]
            alerts: Vec<Alert>,
        }
        let body = self.http.get("/api/v1/alerts", &[], explain).await?;
        let answer: Noted<Alerts> = opened(&body)?;
        Ok(Noted { data: answer.data.alerts, note: answer.note })
    }

    /// The server's version. Empty where it does not say.
    ///
    /// # Errors
    /// As [`SourceError`].
    pub async fn version(&self) -> Result<String, SourceError> {
        #[derive(Deserialize)]
        struct Info {
            #[serde(default)]
            version: String,
        }
        match self.http.get("/api/v1/status/buildinfo", &[], explain).await {
            Ok(body) => Ok(opened::<Info>(&body).map(|i| i.data.version).unwrap_or_default()),
            // Not everything that speaks the API has it.
            Err(SourceError::NotFound { .. } | SourceError::Server { .. }) => Ok(String::new()),
            Err(e) => Err(e),
        }
    }
}

/// Seconds since 1970 with milliseconds.
fn seconds(at: Timestamp) -> String {
    format!("{}.{:03}", at.timestamp(), at.timestamp_subsec_millis())
}

/// `NaN`, `+Inf` and numbers; `NaN` for what is neither.
pub(super) fn number(text: &str) -> f64 {
    text.parse().unwrap_or(f64::NAN)
}

fn wrong_type(is: &str, meant: &str) -> SourceError {
    let what = match is {
        "matrix" => "this query gives a range of values where one is meant; take its outermost range away".to_owned(),
        other => format!("this query gives a {other} where {meant} is meant"),
    };
    SourceError::Server { code: 200, message: Text::new(&what) }
}

fn parsed<T: DeserializeOwned>(what: &str, json: &str) -> Result<T, SourceError> {
    serde_json::from_str(json).map_err(|e| garbage(what, &e))
}

/// What does not parse: where, and nothing of what it says.
pub(crate) fn garbage(what: &str, error: &serde_json::Error) -> SourceError {
    let at = format!("{what}, at line {} column {} of the answer,", error.line(), error.column());
    SourceError::Garbage { what: Text::new(&at) }
}

/// Takes an answer out of its envelope.
fn opened<T: DeserializeOwned>(body: &[u8]) -> Result<Noted<T>, SourceError> {
    let envelope: Envelope = serde_json::from_slice(body).map_err(|e| garbage("the answer", &e))?;
    if envelope.status != "success" {
        let message = Text::new(&clipped(&format!("{}: {}", envelope.error_type, envelope.error), 400));
        return Err(SourceError::Server { code: 200, message });
    }
    let Some(data) = envelope.data else {
        return Err(SourceError::Garbage { what: Text::new("an answer without data") });
    };
    let mut notes: Vec<String> = Vec::new();
    if envelope.is_partial {
        notes.push("a partial answer".to_owned());
    }
    for said in envelope.warnings.into_iter().chain(envelope.infos).flatten() {
        let said = clipped(&said, 200);
        if notes.len() < 4 && !notes.contains(&said) {
            notes.push(said);
        }
    }
    Ok(Noted { data: parsed("data", data.get())?, note: notes.join("; ") })
}

/// What the API says about an error.
fn explain(body: &[u8]) -> Option<String> {
    let envelope: Envelope = serde_json::from_slice(body).ok()?;
    (!envelope.error.is_empty()).then(|| format!("{}: {}", envelope.error_type, envelope.error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_and_partial_answers_are_kept() {
        let body = br#"{"status":"success","isPartial":true,"data":{"resultType":"vector","result":[]},
            "warnings":["store 10.0.0.1 is away"],"infos":["metric might not be a counter"]}"#;
        let answer: Noted<Answer> = opened(body).unwrap();
        assert_eq!(answer.note, "a partial answer; store 10.0.0.1 is away; metric might not be a counter");
    }

    #[test]
    fn an_error_in_a_success_is_an_error() {
        let e = opened::<Answer>(br#"{"status":"error","errorType":"timeout","error":"too slow"}"#).err().unwrap();
        assert!(e.to_string().contains("timeout: too slow"), "{e}");
        assert!(matches!(opened::<Answer>(b"<html>").err(), Some(SourceError::Garbage { .. })));
    }

    #[test]
    fn numbers_that_are_none() {
        assert!(number("NaN").is_nan() && number("+Inf").is_infinite() && number("what").is_nan());
        assert!((number("1e+00") - 1.0).abs() < 1e-12);
    }
}
