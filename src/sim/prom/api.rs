//! Prometheus' HTTP API.

use std::collections::BTreeMap;

use http::{Method, Response};
use serde_json::{Value, json};

use super::promql::{self, Engine, Error, Expr, Matcher, Ms, Type, matchers, parse};
use super::series::Catalog;
use super::{Asked, Monitoring, annotations_json, labels_json, not_found, ok, reply, stamp};
use crate::sim::kube::reply::Body;

/// Points of a series in an answer, as Prometheus allows.
const POINTS: i64 = 11_000;
/// The version that is claimed: ranges are open at their beginning, as since Prometheus 3.
const VERSION: &str = "3.5.0";

/// 400 for what is no question, 422 for what has no answer.
fn failed(error: &Error) -> Response<Body> {
    let (code, kind) = match error {
        Error::Parse(_) => (400, "bad_data"),
        Error::Execution(_) => (422, "execution"),
    };
    reply::json(code, &json!({"status": "error", "errorType": kind, "error": error.to_string()}))
}

fn bad(parameter: &str, why: &str) -> Error {
    Error::Parse(format!("invalid parameter \"{parameter}\": {why}"))
}

impl Monitoring {
    pub(super) fn prometheus(&self, asked: &Asked, now: Ms) -> Response<Body> {
        if !matches!(asked.method, Method::GET | Method::POST | Method::HEAD) {
            return reply::text(405, "Method Not Allowed\n");
        }
        let (_, catalog) = self.state(now);
        let parts: Vec<&str> = asked.path.split('/').filter(|p| !p.is_empty()).collect();
        let outcome = match parts.as_slice() {
            ["-", "ready"] => return reply::text(200, "Prometheus Server is Ready.\n"),
            ["-", "healthy"] => return reply::text(200, "Prometheus Server is Healthy.\n"),
            ["api", "v1", "query"] => self.query(asked, &catalog, now),
            ["api", "v1", "query_range"] => self.query_range(asked, &catalog, now),
            ["api", "v1", "rules"] => Ok(self.rules_json(asked, now)),
            ["api", "v1", "alerts"] => Ok(json!({"alerts": self.alerts_json(now)})),
            ["api", "v1", "labels"] => labels(asked, &catalog, None),
            ["api", "v1", "label", name, "values"] => labels(asked, &catalog, Some(name)),
            ["api", "v1", "series"] => series(asked, &catalog),
            ["api", "v1", "status", "buildinfo"] => Ok(json!({"version": VERSION, "revision": "quarterdeck-sim",
                "branch": "HEAD", "buildUser": "", "buildDate": "", "goVersion": ""})),
            _ => return not_found(),
        };
        match outcome {
            Ok(data) => ok(&data),
            Err(error) => failed(&error),
        }
    }

    fn query(&self, asked: &Asked, catalog: &Catalog, now: Ms) -> Result<Value, Error> {
        let expr = expression(asked)?;
        let at = asked.get("time").map_or(Ok(now), |t| moment("time", t))?;
        let find = |m: &[Matcher]| catalog.find(m);
        let value = Engine::new(&find, &self.cache, now).eval(&expr, at)?;
        let (kind, result) = match value {
            promql::Value::Scalar(n) => ("scalar", point(at, n)),
            promql::Value::Text(t) => ("string", json!([secs(at), t])),
            promql::Value::Vector(v) => {
                let all = v.iter().map(|s| json!({"metric": labels_json(&s.labels), "value": point(at, s.value)}));
                ("vector", all.collect::<Vec<_>>().into())
            }
            promql::Value::Matrix(m) => {
                let all = m.iter().map(|(labels, samples)| {
                    let values: Vec<Value> = samples.iter().map(|(t, v)| point(*t, *v)).collect();
                    json!({"metric": labels_json(labels), "values": values})
                });
                ("matrix", all.collect::<Vec<_>>().into())
            }
        };
        Ok(json!({"resultType": kind, "result": result}))
    }

    fn query_range(&self, asked: &Asked, catalog: &Catalog, now: Ms) -> Result<Value, Error> {
        let expr = expression(asked)?;
        let need = |name: &str| asked.get(name).ok_or_else(|| bad(name, "cannot parse \"\" to a valid timestamp"));
        let (start, end) = (moment("start", need("start")?)?, moment("end", need("end")?)?);
        let step = length("step", need("step")?)?;
        if end < start {
            return Err(bad("end", "end timestamp must not be before start time"));
        }
        if (end - start) / step > POINTS {
            return Err(Error::Parse(format!(
                "exceeded maximum resolution of {POINTS} points per timeseries. Try decreasing the query resolution (?step=XX)"
            )));
        }
        if !matches!(expr.kind(), Type::Scalar | Type::Vector) {
            let got = expr.kind().word();
            return Err(bad(
                "query",
                &format!("invalid expression type \"{got}\" for range query, must be Scalar or instant Vector"),
            ));
        }
        let find = |m: &[Matcher]| catalog.find(m);
        let engine = Engine::new(&find, &self.cache, now);
        let mut all: BTreeMap<promql::Labels, Vec<Value>> = BTreeMap::new();
        let mut at = start;
        while at <= end {
            match engine.eval(&expr, at)? {
                promql::Value::Scalar(n) => all.entry(promql::Labels::default()).or_default().push(point(at, n)),
                promql::Value::Vector(v) => {
                    for s in v {
                        all.entry(s.labels).or_default().push(point(at, s.value));
                    }
                }
                _ => {}
            }
            at += step;
        }
        let result: Vec<Value> =
            all.into_iter().map(|(labels, values)| json!({"metric": labels_json(&labels), "values": values})).collect();
        Ok(json!({"resultType": "matrix", "result": result}))
    }

    fn alerts_json(&self, now: Ms) -> Vec<Value> {
        self.rules(now).iter().flat_map(|(_, alerts)| alerts.iter().flatten()).map(alert_json).collect()
    }

    fn rules_json(&self, asked: &Asked, now: Ms) -> Value {
        if asked.get("type") == Some("record") {
            return json!({"groups": []});
        }
        let mut groups: Vec<Value> = Vec::new();
        for (rule, alerts) in self.rules(now) {
            let (alerts, error) = match alerts {
                Ok(alerts) => (alerts, None),
                Err(e) => (Vec::new(), Some(e.to_string())),
            };
            let state = match (alerts.iter().any(|a| a.firing), alerts.is_empty()) {
                (true, _) => "firing",
                (false, false) => "pending",
                (false, true) => "inactive",
            };
            let labels: serde_json::Map<_, _> =
                rule.labels.iter().map(|(k, v)| ((*k).to_owned(), Value::from(v.as_str()))).collect();
            let mut json = json!({
                "state": state, "name": rule.name, "query": rule.expr, "duration": secs(rule.lasting), "keepFiringFor": 0,
                "labels": labels, "annotations": annotations_json(&rule.annotations),
                "alerts": alerts.iter().map(alert_json).collect::<Vec<_>>(),
                "health": if error.is_some() { "err" } else { "ok" }, "evaluationTime": 0.001,
                "lastEvaluation": stamp(now.div_euclid(super::rules::EVERY) * super::rules::EVERY), "type": "alerting",
            });
            if let Some(error) = error {
                json["lastError"] = error.into();
            }
            let list = groups.iter_mut().find(|g| g["name"] == rule.group);
            match list.and_then(|g| g["rules"].as_array_mut()) {
                Some(rules) => rules.push(json),
                None => groups.push(json!({
                    "name": rule.group, "file": format!("/etc/prometheus/rules/{}.yaml", rule.group), "rules": [json],
                    "interval": secs(super::rules::EVERY), "limit": 0, "evaluationTime": 0.001,
                    "lastEvaluation": stamp(now.div_euclid(super::rules::EVERY) * super::rules::EVERY),
                })),
            }
        }
        json!({"groups": groups})
    }
}

fn alert_json(a: &super::Alert) -> Value {
    json!({"labels": labels_json(&a.labels), "annotations": annotations_json(&a.annotations),
        "state": if a.firing { "firing" } else { "pending" }, "activeAt": stamp(a.active_at),
        "value": number(a.value)})
}

fn expression(asked: &Asked) -> Result<Expr, Error> {
    parse(asked.get("query").unwrap_or_default()).map_err(|e| match e {
        Error::Parse(why) => bad("query", &why),
        other @ Error::Execution(_) => other,
    })
}

/// `match[]`, of which one must be there for series.
fn selected(asked: &Asked, catalog: &Catalog, needed: bool) -> Result<Vec<std::sync::Arc<promql::Series>>, Error> {
    let all: Vec<&str> = asked.all("match[]").collect();
    if all.is_empty() {
        return if needed {
            Err(Error::Parse("no match[] parameter provided".to_owned()))
        } else {
            Ok(catalog.find(&[]).to_vec())
        };
    }
    let mut out = BTreeMap::new();
    for text in all {
        for s in catalog.find(&matchers(text).map_err(|e| bad("match[]", &e.to_string()))?).iter() {
            out.insert(s.labels.clone(), std::sync::Arc::clone(s));
        }
    }
    Ok(out.into_values().collect())
}

fn labels(asked: &Asked, catalog: &Catalog, of: Option<&str>) -> Result<Value, Error> {
    if of == Some("__name__") && asked.get("match[]").is_none() {
        return Ok(catalog.names().collect::<Vec<_>>().into());
    }
    let found = selected(asked, catalog, false)?;
    let mut out = std::collections::BTreeSet::new();
    for s in &found {
        out.extend(
            s.labels.iter().filter(|(k, _)| of.is_none_or(|n| n == *k)).map(|(k, v)| if of.is_some() { v } else { k }),
        );
    }
    Ok(out.into_iter().collect::<Vec<_>>().into())
}

fn series(asked: &Asked, catalog: &Catalog) -> Result<Value, Error> {
    Ok(selected(asked, catalog, true)?.iter().map(|s| labels_json(&s.labels)).collect::<Vec<_>>().into())
}

/// A time in seconds or RFC 3339.
#[expect(clippy::cast_possible_truncation, reason = "checked against the years that there are")]
fn moment(parameter: &str, text: &str) -> Result<Ms, Error> {
    let wrong = || bad(parameter, &format!("cannot parse {text:?} to a valid timestamp"));
    if let Ok(secs) = text.parse::<f64>() {
        return if secs.abs() < 1e11 { Ok((secs * 1000.0).round() as Ms) } else { Err(wrong()) };
    }
    chrono::DateTime::parse_from_rfc3339(text).map(|t| t.timestamp_millis()).map_err(|_| wrong())
}

/// A length of time in seconds, or as `1h30m`.
#[expect(clippy::cast_possible_truncation, reason = "checked against the years that there are")]
fn length(parameter: &str, text: &str) -> Result<Ms, Error> {
    let ms = match text.parse::<f64>() {
        Ok(secs) if secs.abs() < 1e9 => (secs * 1000.0).round() as Ms,
        _ => promql::span(text).ok_or_else(|| bad(parameter, &format!("cannot parse {text:?} to a valid duration")))?,
    };
    if ms > 0 {
        Ok(ms)
    } else {
        Err(bad(parameter, "zero or negative query resolution step widths are not accepted. Try a positive integer"))
    }
}

#[expect(clippy::cast_precision_loss, reason = "times of this millennium fit")]
fn secs(ms: Ms) -> f64 {
    ms as f64 / 1000.0
}

fn point(at: Ms, value: f64) -> Value {
    json!([secs(at), number(value)])
}

/// As Go writes it.
fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        value.to_string()
    }
}
