//! What can go wrong at a source, in the words a person on call needs.

use std::time::Duration;

use crate::domain::Text;

/// Why a source could not be read. Each message says what happened and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// No connection to the endpoint.
    #[error("cannot reach {endpoint}: {reason}; check the network, VPN or proxy, and that the server is up")]
    Unreachable {
        /// Host and port.
        endpoint: Text,
        /// What the system says.
        reason: Text,
    },
    /// The connection was made, the certificate or handshake was not accepted.
    #[error("TLS with {endpoint} failed: {reason}; check certificate-authority-data and the server name")]
    Tls {
        /// Host and port.
        endpoint: Text,
        /// What the TLS library says.
        reason: Text,
    },
    /// 401.
    #[error("credentials were refused (401); log in again or renew the token, they are read again before each retry")]
    Unauthorized,
    /// 403.
    #[error("not allowed: {what}; ask for a role that may read it")]
    Forbidden {
        /// The server's own words.
        what: Text,
    },
    /// 404.
    #[error("not found: {what}; it may be gone, or this server does not offer it")]
    NotFound {
        /// What was asked for.
        what: Text,
    },
    /// 429.
    #[error("throttled by the server{}; requests are slowed down, nothing needs doing", wait(*.retry_after))]
    Throttled {
        /// How long the server asks us to wait.
        retry_after: Option<Duration>,
    },
    /// Any other status that is not a success.
    #[error("the server answered {code}: {message}; retrying, look at the server if it lasts")]
    Server {
        /// The HTTP status.
        code: u16,
        /// The server's own words.
        message: Text,
    },
    /// 410: the position in the history is no longer kept.
    #[error("the server no longer keeps that resource version (410); listing again")]
    Expired,
    /// What was received is not what was asked for.
    #[error("{what} is not what this API sends; check that the endpoint is the API itself, not a proxy's page")]
    Garbage {
        /// What, and where it stops making sense.
        what: Text,
    },
    /// More was received than is allowed.
    #[error("{endpoint} sends more than {} MiB; raise `limit` in its settings, or ask it for less", .limit >> 20)]
    TooLarge {
        /// Who.
        endpoint: Text,
        /// How much is allowed, in bytes.
        limit: u64,
    },
    /// Credentials could not be had.
    #[error("no credentials: {what}; run the command by hand or log in again")]
    Credentials {
        /// Why. Never holds a token.
        what: Text,
    },
    /// There is no way in yet, and the message says itself what to do.
    #[error("{what}")]
    Login {
        /// What is wrong, and what to do. Never holds a token.
        what: Text,
    },
    /// There is no such namespace.
    #[error("there is no namespace `{name}` here; check its name (`kubectl get namespaces`)")]
    NoNamespace {
        /// As it was asked for.
        name: Text,
    },
    /// The kubeconfig cannot be used.
    #[error("kubeconfig: {what}")]
    Config {
        /// What is wrong, and what to do.
        what: Text,
    },
    /// An AWS account cannot be used as it is set up here.
    #[error("{what}")]
    Account {
        /// What is wrong, and what to do.
        what: Text,
    },
    /// It took too long.
    #[error("{what} did not answer within {} s; check the network and the server's load", .after.as_secs())]
    TimedOut {
        /// What was waited for.
        what: Text,
        /// How long.
        after: Duration,
    },
}

/// ` and asks to wait 3 s`, or nothing.
fn wait(retry_after: Option<Duration>) -> String {
    retry_after.map(|d| format!(" and asks to wait {} s", d.as_secs())).unwrap_or_default()
}

impl SourceError {
    /// The message as cleaned text.
    #[must_use]
    pub fn text(&self) -> Text {
        Text::new(&self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_what_to_do() {
        let throttled = SourceError::Throttled { retry_after: Some(Duration::from_secs(3)) };
        assert_eq!(
            throttled.to_string(),
            "throttled by the server and asks to wait 3 s; requests are slowed down, nothing needs doing"
        );
        let late = SourceError::TimedOut { what: Text::new("10.0.0.1:6443"), after: Duration::from_secs(10) };
        assert!(late.to_string().starts_with("10.0.0.1:6443 did not answer within 10 s"));
        assert!(SourceError::Unauthorized.to_string().starts_with("credentials were refused (401)"));
    }
}
