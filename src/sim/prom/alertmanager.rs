//! Alertmanager's API, version 2: the alerts that fire, silences, and one
//! inhibition: a page hushes the ticket for the same service.

use http::{Method, Response};
use regex_lite::Regex;
use serde_json::{Value, json};

use super::promql::{Labels, Ms};
use super::{Alert, Asked, Monitoring, PoisonError, annotations_json, labels_json, not_found, reply, stamp};
use crate::sim::kube::reply::Body;

/// A silence, as it was posted.
#[derive(Debug, Clone)]
pub struct Silence {
    id: String,
    matchers: Vec<Value>,
    tests: Vec<(String, Result<String, Regex>, bool)>,
    starts: Ms,
    ends: Ms,
    updated: Ms,
    by: String,
    comment: String,
}

impl Silence {
    fn state(&self, now: Ms) -> &'static str {
        if now >= self.ends {
            "expired"
        } else if now < self.starts {
            "pending"
        } else {
            "active"
        }
    }

    fn covers(&self, labels: &Labels) -> bool {
        self.tests.iter().all(|(name, wanted, equal)| {
            let value = labels.get(name);
            let is = match wanted {
                Ok(text) => text == value,
                Err(regex) => regex.is_match(value),
            };
            is == *equal
        })
    }

    fn json(&self, now: Ms) -> Value {
        json!({"id": self.id, "status": {"state": self.state(now)}, "updatedAt": stamp(self.updated),
            "comment": self.comment, "createdBy": self.by, "startsAt": stamp(self.starts), "endsAt": stamp(self.ends),
            "matchers": self.matchers})
    }

    /// From a request's body. The error is for who sent it.
    fn read(body: &Value, now: Ms) -> Result<Self, String> {
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        let time = |key: &str| {
            chrono::DateTime::parse_from_rfc3339(&text(key))
                .map(|t| t.timestamp_millis())
                .map_err(|_| format!("{key} in body must be of type date-time: {:?}", text(key)))
        };
        let (starts, ends) = (time("startsAt")?.max(now), time("endsAt")?);
        if ends <= starts {
            return Err("invalid silence: end time must not be before start time".to_owned());
        }
        let matchers = body["matchers"].as_array().cloned().unwrap_or_default();
        if matchers.is_empty() {
            return Err("matchers in body should have at least 1 items".to_owned());
        }
        let mut tests = Vec::new();
        for m in &matchers {
            let (Some(name), Some(value)) = (m["name"].as_str(), m["value"].as_str()) else {
                return Err("name and value of a matcher are required".to_owned());
            };
            let test = if m["isRegex"].as_bool().unwrap_or(false) {
                Err(Regex::new(&format!("^(?:{value})$"))
                    .map_err(|e| format!("invalid silence: invalid regular expression: {e}"))?)
            } else {
                Ok(value.to_owned())
            };
            tests.push((name.to_owned(), test, m["isEqual"].as_bool().unwrap_or(true)));
        }
        let (id, by, comment) = (text("id"), text("createdBy"), text("comment"));
        Ok(Self { id, matchers, tests, starts, ends, updated: now, by, comment })
    }
}

/// Alertmanager's fingerprint: FNV-1a over names and values.
fn fingerprint(labels: &Labels) -> String {
    let mut h = 0xCBF2_9CE4_8422_2325_u64;
    for (k, v) in labels.iter() {
        for part in [k, v] {
            for b in part.bytes().chain(std::iter::once(255)) {
                h = (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3);
            }
        }
    }
    format!("{h:016x}")
}

/// A page hushes the ticket of the same name for the same service.
fn inhibits(source: &Alert, target: &Alert) -> bool {
    let same = |name: &str| source.labels.get(name) == target.labels.get(name);
    source.labels.get("severity") == "critical"
        && target.labels.get("severity") == "warning"
        && ["alertname", "namespace", "service"].into_iter().all(same)
}

impl Monitoring {
    pub(super) fn alertmanager(&self, asked: &Asked, now: Ms) -> Response<Body> {
        let parts: Vec<&str> = asked.path.split('/').filter(|p| !p.is_empty()).collect();
        match (&asked.method, parts.as_slice()) {
            (_, ["-", "ready" | "healthy"]) => reply::text(200, "OK"),
            (&Method::GET, ["api", "v2", "status"]) => reply::json(
                200,
                &json!({"cluster": {"name": "quarterdeck-sim", "status": "ready", "peers": []},
                    "versionInfo": {"version": "0.28.1", "revision": "quarterdeck-sim", "branch": "HEAD", "buildUser": "",
                        "buildDate": "", "goVersion": ""},
                    "config": {"original": "route:\n  receiver: on-call\nreceivers:\n- name: on-call\n"},
                    "uptime": stamp(self.state(now).0.start)}),
            ),
            (&Method::GET, ["api", "v2", "receivers"]) => reply::json(200, &json!([{"name": "on-call"}])),
            (&Method::GET, ["api", "v2", "alerts"]) => self.alerts(asked, now),
            (&Method::GET, ["api", "v2", "silences"]) => {
                let all = self.silences.lock().unwrap_or_else(PoisonError::into_inner);
                reply::json(200, &all.iter().map(|s| s.json(now)).collect::<Vec<_>>().into())
            }
            (&Method::POST, ["api", "v2", "silences"]) => self.silence(asked, now),
            (&Method::GET, ["api", "v2", "silence", id]) => {
                let all = self.silences.lock().unwrap_or_else(PoisonError::into_inner);
                all.iter().find(|s| s.id == *id).map_or_else(not_found, |s| reply::json(200, &s.json(now)))
            }
            (&Method::DELETE, ["api", "v2", "silence", id]) => {
                let mut all = self.silences.lock().unwrap_or_else(PoisonError::into_inner);
                match all.iter_mut().find(|s| s.id == *id) {
                    Some(s) => {
                        (s.ends, s.updated) = (s.ends.min(now), now);
                        reply::text(200, "")
                    }
                    None => not_found(),
                }
            }
            _ => not_found(),
        }
    }

    fn silence(&self, asked: &Asked, now: Ms) -> Response<Body> {
        let body: Value = serde_json::from_slice(&asked.body).unwrap_or(Value::Null);
        let mut silence = match Silence::read(&body, now) {
            Ok(silence) => silence,
            Err(why) => return reply::json(400, &why.into()),
        };
        let mut all = self.silences.lock().unwrap_or_else(PoisonError::into_inner);
        // A silence that is changed takes the place of the old one.
        let old = all.iter().position(|s| s.id == silence.id && s.state(now) != "expired");
        match old {
            Some(i) => all[i] = silence.clone(),
            None if !silence.id.is_empty() => return not_found(),
            None => {
                silence.id = crate::sim::kube::uid(u64::try_from(all.len() + 1).unwrap_or(1));
                all.push(silence.clone());
            }
        }
        reply::json(200, &json!({"silenceID": silence.id}))
    }

    fn alerts(&self, asked: &Asked, now: Ms) -> Response<Body> {
        let firing: Vec<Alert> = self
            .rules(now)
            .into_iter()
            .flat_map(|(_, alerts)| alerts.unwrap_or_default())
            .filter(|a| a.firing)
            .collect();
        let wants = |name: &str| asked.get(name).is_none_or(|v| v != "false");
        let mut filters = Vec::new();
        for text in asked.all("filter") {
            match super::promql::matchers(&format!("{{__name__=\"\",{}}}", text.trim_matches(['{', '}']))) {
                Ok(m) => filters.extend(m),
                Err(e) => return reply::json(400, &format!("bad matcher format: {e}").into()),
            }
        }
        let silences = self.silences.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = Vec::new();
        for a in &firing {
            let active = |s: &&Silence| s.state(now) == "active" && s.covers(&a.labels);
            let silenced: Vec<&str> = silences.iter().filter(active).map(|s| s.id.as_str()).collect();
            let inhibited: Vec<String> =
                firing.iter().filter(|s| inhibits(s, a)).map(|s| fingerprint(&s.labels)).collect();
            let suppressed = !silenced.is_empty() || !inhibited.is_empty();
            let wanted = (silenced.is_empty() || wants("silenced"))
                && (inhibited.is_empty() || wants("inhibited"))
                && (suppressed || wants("active"))
                && filters.iter().all(|m| m.matches(&a.labels));
            if wanted {
                out.push(json!({
                    "labels": labels_json(&a.labels), "annotations": annotations_json(&a.annotations),
                    "startsAt": stamp(a.fires_at), "endsAt": stamp(now + 240_000), "updatedAt": stamp(now),
                    "fingerprint": fingerprint(&a.labels), "receivers": [{"name": "on-call"}],
                    "status": {"state": if suppressed { "suppressed" } else { "active" }, "silencedBy": silenced,
                        "inhibitedBy": inhibited, "mutedBy": []},
                    "generatorURL": format!("http://prometheus-operated.monitoring:9090/alerts?search={}", a.labels.get("alertname")),
                }));
            }
        }
        reply::json(200, &out.into())
    }
}
