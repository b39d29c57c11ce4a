//! What the fleet's applications write.

use std::borrow::Cow;

use super::meta::{Ms, civil, time};
use super::pod::{Ended, Pod};
use super::profile::LogStyle;
use super::rng::{hash2, unit};
use crate::sim::telemetry::Trouble;

/// One line's circumstances.
pub struct LineOf<'a> {
    pub style: LogStyle,
    pub pod: &'a Pod,
    pub at: Ms,
    pub h: u64,
    /// The run is going to end badly.
    pub failing: bool,
    /// What the service suffers from at the time.
    pub trouble: Option<Trouble>,
}

const PATHS: [&str; 10] = [
    "/",
    "/api/v1/cart",
    "/api/v1/checkout",
    "/api/v1/products?page=2",
    "/api/v1/products/8841",
    "/api/v2/search?q=boots",
    "/api/v1/orders/20391",
    "/static/app.4f1c.js",
    "/api/v1/session",
    "/healthz",
];
const WORK: [&str; 8] = [
    "request served",
    "cache refreshed",
    "batch written",
    "message acknowledged",
    "connection reused",
    "index segment merged",
    "offset committed",
    "lease renewed",
];
const TROUBLE: [&str; 5] = [
    "upstream timed out, retrying",
    "slow query",
    "connection pool nearly used up",
    "rate limit reached",
    "stale read repaired",
];

fn of<'a>(list: &[&'a str], h: u64) -> &'a str {
    list[(h % list.len() as u64) as usize]
}

fn level(l: &LineOf<'_>) -> &'static str {
    match unit(hash2(l.h, 1)) {
        u if u < 0.01 || ((l.failing || l.trouble.is_some()) && u < 0.25) => "error",
        u if u < 0.06 => "warn",
        u if u < 0.2 => "debug",
        _ => "info",
    }
}

/// What is wrong, in the words of Go's libraries.
fn complaint(l: &LineOf<'_>, trouble: &Trouble) -> String {
    match trouble {
        Trouble::Certificate => format!(
            "http: TLS handshake error from 10.{}.{}.{}:{}: remote error: tls: expired certificate",
            64 + (l.h >> 8 & 31),
            l.h >> 16 & 255,
            l.h >> 24 & 255,
            32768 + (l.h >> 32 & 0x3FFF)
        ),
        Trouble::Waits(whom) => {
            format!("upstream {whom} timed out after 2000ms, attempt {}: context deadline exceeded", 1 + l.h % 3)
        }
    }
}

fn message(l: &LineOf<'_>) -> Cow<'static, str> {
    match (level(l), &l.trouble) {
        ("error", Some(trouble)) => complaint(l, trouble).into(),
        _ => usual(l).into(),
    }
}

fn usual(l: &LineOf<'_>) -> &'static str {
    match level(l) {
        "error" if l.failing => "dial tcp 10.100.14.7:5432: connect: connection refused",
        "error" | "warn" => of(&TROUBLE, l.h >> 8),
        _ => of(&WORK, l.h >> 8),
    }
}

fn latency(h: u64) -> u64 {
    let u = unit(hash2(h, 3));
    (3.0 + 40.0 * u + 900.0 * u.powi(24)) as u64
}

fn status(l: &LineOf<'_>) -> u32 {
    match unit(hash2(l.h, 4)) {
        u if u < 0.004 || (l.failing && u < 0.3) => 503,
        u if u < 0.02 => 404,
        u if u < 0.05 => 304,
        _ => 200,
    }
}

fn clock(at: Ms) -> String {
    let (_, _, _, h, m, s, _) = civil(at);
    format!("{h:02}:{m:02}:{s:02}.{:03}", at.rem_euclid(1000))
}

fn klog(at: Ms, letter: char) -> String {
    let (_, mo, d, ..) = civil(at);
    format!("{letter}{mo:02}{d:02} {}000       1", clock(at))
}

/// The line, with what belongs under it.
pub fn line(l: &LineOf<'_>) -> Vec<String> {
    let (at, h, name) = (l.at, l.h, &*l.pod.profile.workload);
    let method = of(&["GET", "GET", "GET", "POST", "PUT"], h >> 3);
    let ms = latency(h);
    // What only writes down requests says this beside them.
    if let (LogStyle::Access | LogStyle::Envoy, "error", Some(trouble)) = (l.style, level(l), &l.trouble) {
        return vec![format!("{} [error] {}", time(at), complaint(l, trouble))];
    }
    let one = match l.style {
        LogStyle::Json => format!(
            "{{\"ts\":\"{}\",\"level\":\"{}\",\"service\":\"{name}\",\"msg\":\"{}\",\"trace_id\":\"{:016x}\",\"duration_ms\":{ms}}}",
            time(at),
            level(l),
            message(l),
            hash2(h, 9)
        ),
        LogStyle::Access => {
            let (year, mo, day, hh, mi, sec, _) = civil(at);
            let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
                [(mo as usize + 11) % 12];
            format!(
                "10.{}.{}.{} - - [{day:02}/{month}/{year}:{hh:02}:{mi:02}:{sec:02} +0000] \"{method} {} HTTP/1.1\" {} {} \"-\" \"Mozilla/5.0 (X11; Linux x86_64)\" {:.3}",
                h >> 8 & 63,
                h >> 16 & 255,
                h >> 24 & 255,
                of(&PATHS, h >> 32),
                status(l),
                180 + (h >> 40 & 0x3FFF),
                ms as f64 / 1000.0
            )
        }
        LogStyle::Java => return java(l),
        LogStyle::Ansi => {
            let (colour, word) = match level(l) {
                "error" => ("31", "ERROR"),
                "warn" => ("33", " WARN"),
                "debug" => ("36", "DEBUG"),
                _ => ("32", " INFO"),
            };
            format!(
                "\u{1b}[2m{}\u{1b}[0m \u{1b}[{colour}m{word}\u{1b}[0m \u{1b}[1m{name}\u{1b}[0m: {} \u{1b}[3mtook\u{1b}[0m={ms}ms",
                time(at),
                message(l)
            )
        }
        LogStyle::Plain => format!("time={} level={} msg=\"{}\" took={ms}ms", time(at), level(l), message(l)),
        LogStyle::Klog => {
            let letter = match level(l) {
                "error" => 'E',
                "warn" => 'W',
                _ => 'I',
            };
            format!("{} controller.go:{}] \"{}\" item=\"{:04x}\"", klog(at, letter), 100 + h % 400, message(l), h >> 48)
        }
        LogStyle::Envoy => format!(
            "[{}.{:03}Z] \"{method} {} HTTP/1.1\" {} - via_upstream - \"-\" 0 {} {ms} {} \"-\" \"Go-http-client/1.1\" \"{:016x}\" \"{name}\" \"10.{}.{}.{}:8080\" inbound|8080||",
            time(at).trim_end_matches('Z'),
            at.rem_euclid(1000),
            of(&PATHS, h >> 32),
            status(l),
            120 + (h >> 40 & 0xFFF),
            ms.saturating_sub(1),
            hash2(h, 11),
            64 + (h >> 8 & 31),
            h >> 16 & 255,
            h >> 24 & 255
        ),
    };
    vec![one]
}

fn java(l: &LineOf<'_>) -> Vec<String> {
    let level = level(l);
    let thread = l.h >> 5 & 15;
    let head = format!(
        "{} {:>5} [http-nio-8080-exec-{thread}] c.example.{}.Handler : {}",
        time(l.at),
        level.to_uppercase(),
        l.pod.profile.workload.replace('-', ""),
        message(l)
    );
    if level != "error" {
        return vec![head];
    }
    let mut out = vec![head];
    out.extend(stack_trace("java.net.SocketTimeoutException: Read timed out", l.h));
    out
}

fn stack_trace(what: &str, h: u64) -> Vec<String> {
    let line = |n: u64| 40 + hash2(h, n) % 300;
    vec![
        what.to_owned(),
        format!("\tat java.base/sun.nio.ch.NioSocketImpl.timedRead(NioSocketImpl.java:{})", line(1)),
        format!("\tat com.example.client.HttpGateway.call(HttpGateway.java:{})", line(2)),
        format!("\tat com.example.service.OrderService.place(OrderService.java:{})", line(3)),
        format!("\tat com.example.web.OrderController.post(OrderController.java:{})", line(4)),
        "\t... 41 more".to_owned(),
    ]
}

/// What a container says when it starts.
pub fn first_words(style: LogStyle, p: &Pod) -> Vec<String> {
    let name = &*p.profile.workload;
    match style {
        LogStyle::Json => vec![
            format!("{{\"level\":\"info\",\"service\":\"{name}\",\"msg\":\"starting\",\"pod\":\"{}\"}}", p.name),
            format!("{{\"level\":\"info\",\"service\":\"{name}\",\"msg\":\"configuration loaded\",\"files\":3}}"),
            format!("{{\"level\":\"info\",\"service\":\"{name}\",\"msg\":\"listening\",\"addr\":\":8080\"}}"),
        ],
        LogStyle::Java => vec![
            format!("Starting {name} using Java 21.0.9 with PID 1"),
            "No active profile set, falling back to 1 default profile: \"default\"".to_owned(),
            "Tomcat initialized with port 8080 (http)".to_owned(),
        ],
        LogStyle::Ansi => vec![format!("\u{1b}[1;34m==>\u{1b}[0m {name} \u{1b}[32mstarting\u{1b}[0m")],
        _ => vec![format!("starting {name}"), "configuration loaded".to_owned(), "listening on :8080".to_owned()],
    }
}

/// What a container says at the end of a run.
pub fn dying_words(style: LogStyle, p: &Pod, e: Ended, h: u64) -> Vec<String> {
    let name = &*p.profile.workload;
    if e.reason == "OOMKilled" {
        // The kernel gives no time for last words; the last thing seen is the heap filling up.
        return match style {
            LogStyle::Json => vec![format!(
                "{{\"level\":\"warn\",\"service\":\"{name}\",\"msg\":\"memory above 95 % of limit\",\"gc\":\"full\"}}"
            )],
            _ => vec!["memory above 95 % of limit, full collection".to_owned()],
        };
    }
    if e.exit == 0 {
        return vec![match style {
            LogStyle::Json => format!("{{\"level\":\"info\",\"service\":\"{name}\",\"msg\":\"done\"}}"),
            _ => "done".to_owned(),
        }];
    }
    match style {
        LogStyle::Json => vec![
            format!(
                "{{\"level\":\"error\",\"service\":\"{name}\",\"msg\":\"cannot read configuration\",\"error\":\"missing required key: PAYMENT_GATEWAY_URL\"}}"
            ),
            format!("{{\"level\":\"fatal\",\"service\":\"{name}\",\"msg\":\"exiting\",\"code\":{}}}", e.exit),
        ],
        LogStyle::Java => {
            let mut out =
                vec![format!("ERROR [main] c.example.{}.Application : Application run failed", name.replace('-', ""))];
            out.extend(stack_trace("java.lang.IllegalStateException: missing required key: PAYMENT_GATEWAY_URL", h));
            out
        }
        LogStyle::Ansi => vec![format!("\u{1b}[31mfatal\u{1b}[0m: missing required key: PAYMENT_GATEWAY_URL")],
        _ => vec![
            "panic: missing required key: PAYMENT_GATEWAY_URL".to_owned(),
            "goroutine 1 [running]:".to_owned(),
            format!("main.main()\n\t/src/cmd/{name}/main.go:61").replace('\n', " "),
        ],
    }
}
