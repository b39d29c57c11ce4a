//! What a load balancer counts of the requests to a service.

use super::Timestamp;

/// One minute of a service's requests. What was not measured is `None`, never zero.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Traffic {
    /// When that minute began; `None` if nothing was counted of late.
    pub at: Option<Timestamp>,
    /// Requests a second.
    pub requests: Option<f64>,
    /// Share of the requests that the service answered with 5xx, from 0 to 1; `None`
    /// without requests, which have no share of errors.
    pub errors: Option<f64>,
    /// Seconds until half, 95 and 99 per cent of all responses had come, failures
    /// among them: a load balancer does not tell them apart.
    pub latency: [Option<f64>; 3],
}

impl Traffic {
    /// `12.3/s   errors 0.4%   p50 41ms p95 120ms p99 1.2s (all responses)`;
    /// a dash for what is not known.
    #[must_use]
    pub fn text(&self) -> String {
        let Some(requests) = self.requests else { return "no data".to_owned() };
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let mut out = format!("{}/s   errors {}   ", rate(requests), or_dash(self.errors.map(share)));
        for (name, value) in ["p50", "p95", "p99"].iter().zip(self.latency) {
            out += &format!("{name} {} ", or_dash(value.map(duration)));
        }
        out + "(all responses)"
    }
}

/// Requests a second, without the unit: `12.3`.
#[must_use]
pub fn rate(n: f64) -> String {
    match n {
        n if n >= 100.0 => format!("{n:.0}"),
        n if n >= 1.0 || n == 0.0 => format!("{n:.1}"),
        n => format!("{n:.2}"),
    }
}

/// `0.4%`.
#[must_use]
pub fn share(n: f64) -> String {
    match n * 100.0 {
        0.0 => "0%".to_owned(),
        // Some are some: they do not round to none.
        p if p < 0.1 => "<0.1%".to_owned(),
        p => format!("{p:.1}%"),
    }
}

/// `41ms`, `1.2s`: number and unit in one word, a narrow pane does not part them.
#[must_use]
pub fn duration(secs: f64) -> String {
    match secs * 1000.0 {
        ms if ms < 10.0 => format!("{ms:.1}ms"),
        ms if ms < 1000.0 => format!("{ms:.0}ms"),
        ms => format!("{:.1}s", ms / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_are_honest() {
        assert_eq!(Traffic::default().text(), "no data");
        let all = Traffic {
            at: None,
            requests: Some(12.34),
            errors: Some(0.004),
            latency: [Some(0.041), Some(0.12), Some(1.24)],
        };
        assert_eq!(all.text(), "12.3/s   errors 0.4%   p50 41ms p95 120ms p99 1.2s (all responses)");
        let idle = Traffic { requests: Some(0.0), ..Traffic::default() };
        assert_eq!(idle.text(), "0.0/s   errors -   p50 - p95 - p99 - (all responses)");
        let one = Traffic { requests: Some(4321.0), errors: Some(0.000_01), ..Traffic::default() };
        assert_eq!(one.text(), "4321/s   errors <0.1%   p50 - p95 - p99 - (all responses)");
    }
}
