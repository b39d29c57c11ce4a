//! Fetches a runbook from the link that an alarm names, where the settings allow it.
//!
//! The link comes from whoever could write the alarm. So only links that begin with one of the allowed
//! beginnings are asked for at all, nothing is sent along, another host is never followed to, and what comes back is
//! text or nothing.

use std::sync::Once;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use reqwest::{Client, Url, redirect};

use crate::domain::Text;

/// What is larger is refused, in bytes.
const REFUSED: usize = 10 << 20;
/// How long all of it may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often the host may send us on, to another place of its own.
const HOPS: usize = 3;

/// The Markdown behind `url`.
///
/// # Errors
/// In words: the link is not allowed, cannot be reached, is too large, or is no Markdown.
pub async fn fetch(url: &str, allowed: &[String]) -> Result<String, Text> {
    static RING: Once = Once::new();
    RING.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let client = Client::builder()
        .user_agent(concat!("quarterdeck/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(TIMEOUT / 2)
        .timeout(TIMEOUT)
        .redirect(redirect::Policy::none())
        .build()
        .map_err(|e| Text::new(&format!("nothing can be fetched: {e}")))?;
    let mut at = permitted(url, allowed)?;
    for _ in 0..=HOPS {
        let asked = client.get(at.clone()).header(ACCEPT, "text/markdown, text/plain;q=0.9").send().await;
        let response = asked.map_err(|e| failure(&e))?;
        let status = response.status();
        if status.is_redirection() {
            let to = response.headers().get(LOCATION).and_then(|l| l.to_str().ok()).unwrap_or_default();
            let next = at.join(to).map_err(|_| Text::new("it sends us on to what is no link"))?;
            if (next.scheme(), next.host_str(), next.port_or_known_default())
                != (at.scheme(), at.host_str(), at.port_or_known_default())
            {
                let host = next.host_str().unwrap_or("nowhere").to_owned();
                return Err(Text::new(&format!(
                    "it sends us on to another host, {host}, perhaps to log in: not followed"
                )));
            }
            at = permitted(next.as_str(), allowed)?;
            continue;
        }
        if !status.is_success() {
            let what = if status.as_u16() == 404 { "there is no such page" } else { "it cannot be had" };
            return Err(Text::new(&format!("{what}: {}", status.as_u16())));
        }
        return body(response).await;
    }
    Err(Text::new("it sends us round and round"))
}

/// The link, if it is one that may be fetched.
fn permitted(url: &str, allowed: &[String]) -> Result<Url, Text> {
    let at = Url::parse(url).map_err(|_| Text::new("this is no link"))?;
    let odd = ["%2f", "%5c", "%2e"];
    let path = at.path().to_ascii_lowercase();
    if !at.username().is_empty() || at.password().is_some() || odd.iter().any(|o| path.contains(o)) {
        return Err(Text::new("this link has a user's name or an encoded path in it, and is not fetched"));
    }
    let fits = |prefix: &&String| {
        Url::parse(prefix).is_ok_and(|p| {
            (p.scheme(), p.host_str(), p.port_or_known_default())
                == (at.scheme(), at.host_str(), at.port_or_known_default())
                && at.path().starts_with(p.path())
                && (p.path().ends_with('/')
                    || at.path().len() == p.path().len()
                    || at.path()[p.path().len()..].starts_with('/'))
        })
    };
    if allowed.iter().any(|p| fits(&p)) { Ok(at) } else { Err(Text::new("runbooks.fetch does not allow this link")) }
}

async fn body(mut response: reqwest::Response) -> Result<String, Text> {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|t| t.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !matches!(kind.as_str(), "text/markdown" | "text/x-markdown" | "text/plain") {
        let what = if kind.is_empty() { "of no kind" } else { kind.as_str() };
        return Err(Text::new(&format!("this is {what}, not Markdown; give the link of the raw file")));
    }
    let large = || Text::new(&format!("this is larger than {} MiB, and not read", REFUSED >> 20));
    if response.content_length().is_some_and(|n| n > REFUSED as u64) {
        return Err(large());
    }
    let mut all: Vec<u8> = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| failure(&e))? {
        // Counted as unpacked: a small answer may unpack to a large one.
        if all.len() + chunk.len() > REFUSED {
            return Err(large());
        }
        all.extend_from_slice(&chunk);
    }
    let text = String::from_utf8(all).map_err(|_| Text::new("this is not UTF-8"))?;
    if text.trim_start().get(..14).is_some_and(|t| t.eq_ignore_ascii_case("<!doctype html")) {
        return Err(Text::new("this is a web page, not Markdown; give the link of the raw file"));
    }
    Ok(text)
}

fn failure(error: &reqwest::Error) -> Text {
    if error.is_timeout() {
        return Text::new(&format!("it did not answer within {} s", TIMEOUT.as_secs()));
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(next) = innermost.source() {
        innermost = next;
    }
    Text::new(&format!("it cannot be reached: {innermost}"))
}

#[cfg(test)]
mod tests {
    use super::permitted;

    #[test]
    fn only_what_is_allowed_and_below_it() {
        let allowed = vec!["https://raw.example.com/books/".to_owned(), "http://127.0.0.1:81/x".to_owned()];
        for (url, fine) in [
            ("https://raw.example.com/books/a.md", true),
            ("https://raw.example.com:443/books/a/b.md?x=1", true),
            ("https://raw.example.com/books/../secret.md", false),
            ("https://raw.example.com/books/%2e%2e/secret.md", false),
            ("https://raw.example.com/books/..%2fsecret.md", false),
            ("https://raw.example.com/books%2Fa.md", false),
            ("https://raw.example.com.evil.example/books/a.md", false),
            ("https://raw.example.com@evil.example/books/a.md", false),
            ("https://user@raw.example.com/books/a.md", false),
            ("http://raw.example.com/books/a.md", false),
            ("https://raw.example.com:444/books/a.md", false),
            ("http://127.0.0.1:81/x/a.md", true),
            ("http://127.0.0.1:81/xy/a.md", false),
            ("file:///etc/passwd", false),
            ("javascript:alert(1)", false),
        ] {
            assert_eq!(permitted(url, &allowed).is_ok(), fine, "{url}");
        }
        assert!(permitted("https://raw.example.com/books/a.md", &[]).is_err(), "nothing is allowed at first");
    }
}
