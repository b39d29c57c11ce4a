//! Conventions by which services tell their requests, as queries.

use crate::config::ServiceSettings;

/// How far back a rate looks.
const WINDOW: &str = "2m";

/// One convention.
#[derive(Debug)]
pub struct Preset {
    /// Its name in the settings.
    pub name: &'static str,
    /// Counts requests.
    count: &'static str,
    /// A histogram's buckets.
    buckets: &'static str,
    /// Matchers of every selector.
    base: &'static str,
    /// A matcher of failures of `count`; `None` where `failures` counts them.
    failed: &'static str,
    /// The same for successes and failures of `buckets`; empty where the buckets do not tell.
    codes: (&'static str, &'static str),
    /// Labels that are the service's name, the first that is there.
    pub names: &'static [&'static str],
    /// Labels that are its namespace.
    pub namespaces: &'static [&'static str],
    /// Buckets in milliseconds.
    millis: bool,
}

/// Every convention, in the order in which they are looked for.
pub static PRESETS: [Preset; 7] = [
    Preset {
        name: "istio",
        count: "istio_requests_total",
        buckets: "istio_request_duration_milliseconds_bucket",
        base: "reporter=\"destination\"",
        failed: "response_code=~\"5..|0\"",
        codes: ("response_code!~\"5..|0\"", "response_code=~\"5..|0\""),
        names: &["destination_service_name"],
        namespaces: &["destination_service_namespace"],
        millis: true,
    },
    Preset {
        name: "linkerd",
        count: "response_total",
        buckets: "response_latency_ms_bucket",
        base: "direction=\"inbound\"",
        failed: "classification=\"failure\"",
        codes: ("", ""),
        names: &["deployment", "statefulset", "daemonset"],
        namespaces: &["namespace"],
        millis: true,
    },
    Preset {
        name: "nginx-ingress",
        count: "nginx_ingress_controller_requests",
        buckets: "nginx_ingress_controller_request_duration_seconds_bucket",
        base: "",
        failed: "status=~\"5..\"",
        codes: ("status!~\"5..\"", "status=~\"5..\""),
        names: &["ingress"],
        namespaces: &["exported_namespace", "namespace"],
        millis: false,
    },
    Preset {
        name: "envoy",
        count: "envoy_cluster_upstream_rq_xx",
        buckets: "envoy_cluster_upstream_rq_time_bucket",
        base: "",
        failed: "envoy_response_code_class=\"5\"",
        codes: ("", ""),
        names: &["envoy_cluster_name"],
        namespaces: &["namespace"],
        millis: true,
    },
    Preset {
        name: "http",
        count: "http_server_requests_seconds_count",
        buckets: "http_server_requests_seconds_bucket",
        base: "",
        failed: "status=~\"5..\"",
        codes: ("status!~\"5..\"", "status=~\"5..\""),
        names: &["application", "service", "job"],
        namespaces: &["namespace"],
        millis: false,
    },
    Preset {
        name: "otel",
        count: "http_server_request_duration_seconds_count",
        buckets: "http_server_request_duration_seconds_bucket",
        base: "",
        failed: "http_response_status_code=~\"5..\"",
        codes: ("http_response_status_code!~\"5..\"", "http_response_status_code=~\"5..\""),
        names: &["service_name", "service", "job"],
        namespaces: &["k8s_namespace_name", "namespace"],
        millis: false,
    },
    Preset {
        name: "http-total",
        count: "http_requests_total",
        buckets: "http_request_duration_seconds_bucket",
        base: "",
        failed: "code=~\"5..\"",
        codes: ("code!~\"5..\"", "code=~\"5..\""),
        names: &["service", "job"],
        namespaces: &["namespace"],
        millis: false,
    },
];

/// What a figure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Figure {
    /// Requests a second.
    Requests,
    /// Failures a second.
    Errors,
    /// A quantile of successes, or of all: 0, 1 or 2 for 50, 95 and 99 per cent.
    Latency(usize),
    /// A quantile of failures.
    FailureLatency(usize),
    /// How full it is.
    Saturation,
}

/// The quantiles that are shown.
const QUANTILES: [&str; 3] = ["0.5", "0.95", "0.99"];

/// What to ask, and how the answers are read.
#[derive(Debug, Clone)]
pub struct Queries {
    /// Each figure's expression.
    pub figures: Vec<(Figure, String)>,
    /// Latency is that of successes alone.
    pub split: bool,
    /// Labels that name the service; none for one that is named in the settings.
    pub names: &'static [&'static str],
    /// Labels that name its namespace.
    pub namespaces: &'static [&'static str],
    /// Where it comes from, for people.
    pub origin: String,
}

impl Preset {
    /// The one of that name.
    #[must_use]
    pub fn of(name: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|p| p.name == name)
    }

    /// The query that finds which conventions are in use: their counters' names.
    #[must_use]
    pub fn discovery() -> String {
        let names: Vec<&str> = PRESETS.iter().map(|p| p.count).collect();
        format!("group by (__name__) ({{__name__=~\"{}\"}})", names.join("|"))
    }

    /// The one whose counter has that name.
    #[must_use]
    pub fn of_counter(metric: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|p| p.count == metric)
    }

    /// Its queries, narrowed by more matchers.
    #[must_use]
    pub fn queries(&'static self, matchers: &str) -> Queries {
        let by: Vec<&str> = self.names.iter().chain(self.namespaces).copied().collect();
        let by = by.join(", ");
        let selector = |metric: &str, more: &str| {
            let all: Vec<&str> = [self.base, matchers.trim(), more].into_iter().filter(|m| !m.is_empty()).collect();
            format!("{metric}{{{}}}", all.join(","))
        };
        let rate = |more: &str| format!("sum by ({by}) (rate({}[{WINDOW}]))", selector(self.count, more));
        let mut figures = vec![(Figure::Requests, rate("")), (Figure::Errors, rate(self.failed))];
        let split = !self.codes.0.is_empty();
        let scale = if self.millis { " / 1000" } else { "" };
        let quantile = |q: &str, more: &str| {
            format!(
                "histogram_quantile({q}, sum by (le, {by}) (rate({}[{WINDOW}]))){scale}",
                selector(self.buckets, more)
            )
        };
        for (i, q) in QUANTILES.iter().enumerate() {
            figures.push((Figure::Latency(i), quantile(q, self.codes.0)));
            if split {
                figures.push((Figure::FailureLatency(i), quantile(q, self.codes.1)));
            }
        }
        let origin = format!("prometheus {}", self.name);
        Queries { figures, split, names: self.names, namespaces: self.namespaces, origin }
    }
}

/// The queries of one service whose queries are in the settings.
#[must_use]
pub fn own(service: &ServiceSettings) -> Queries {
    let mut figures = Vec::new();
    let mut add = |figure, query: &Option<String>| figures.extend(query.as_ref().map(|q| (figure, format!("({q})"))));
    add(Figure::Requests, &service.requests);
    add(Figure::Errors, &service.errors);
    add(Figure::Saturation, &service.saturation);
    for (i, q) in QUANTILES.iter().enumerate() {
        let quantile = |selector: &String| format!("histogram_quantile({q}, sum by (le) (rate({selector}[{WINDOW}])))");
        figures.extend(service.latency.as_ref().map(|s| (Figure::Latency(i), quantile(s))));
        figures.extend(service.failure_latency.as_ref().map(|s| (Figure::FailureLatency(i), quantile(s))));
    }
    let split = service.latency.is_some() && service.failure_latency.is_some();
    Queries { figures, split, names: &[], namespaces: &[], origin: "prometheus".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_of_the_settings_is_here() {
        for name in crate::config::PRESETS {
            assert!(Preset::of(name).is_some(), "{name}");
        }
        assert_eq!(PRESETS.len(), crate::config::PRESETS.len());
    }

    #[test]
    fn matchers_narrow_every_selector() {
        let queries = Preset::of("istio").unwrap().queries("destination_service_namespace=\"shop\"");
        assert_eq!(
            queries.figures[1].1,
            "sum by (destination_service_name, destination_service_namespace) (rate(istio_requests_total{\
             reporter=\"destination\",destination_service_namespace=\"shop\",response_code=~\"5..|0\"}[2m]))"
        );
        assert!(queries.figures.iter().all(|(_, q)| q.contains("=\"shop\"")));
        assert!(
            queries.split && queries.figures.iter().any(|(f, q)| *f == Figure::Latency(2) && q.ends_with("/ 1000"))
        );
    }
}
