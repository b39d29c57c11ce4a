//! Why a source cannot be read. Each message says what to do next.

use std::time::Duration;

/// A failed read, by what can be done about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// No connection.
    #[error("cannot reach {endpoint}: {reason}; trying again")]
    Unreachable {
        /// Host and port.
        endpoint: String,
        /// What the system said.
        reason: String,
    },
    /// The certificate is not trusted, or the handshake failed.
    #[error("TLS with {endpoint} failed: {reason}; check the cluster's certificate authority in the kubeconfig")]
    Tls {
        /// Host and port.
        endpoint: String,
        /// What the handshake said.
        reason: String,
    },
    /// 401.
    #[error("credentials were refused (401); log in again, the console picks it up by itself")]
    Unauthorized,
    /// 403.
    #[error("not allowed: {0}")]
    Forbidden(String),
    /// 404.
    #[error("not found: {0}")]
    NotFound(String),
    /// 429.
    #[error("throttled by the server (429){}", .retry_after.map_or_else(String::new, |d| format!("; asked to wait {} s", d.as_secs())))]
    Throttled {
        /// How long the server wants us to wait.
        retry_after: Option<Duration>,
    },
    /// 5xx and what else a server answers.
    #[error("the server answered {code}: {message}; trying again")]
    Server {
        /// HTTP status.
        code: u16,
        /// Its message.
        message: String,
    },
    /// 410: what we know is too old to go on from.
    #[error("what was known is too old for the server (410); reading everything again")]
    Expired,
    /// The answer is not what this API answers.
    #[error("{endpoint} does not answer as a Kubernetes API server does: {reason}; is it the right address?")]
    Garbage {
        /// Host and port.
        endpoint: String,
        /// What was wrong.
        reason: String,
    },
    /// An exec plugin or token file failed.
    #[error("no credentials: {0}")]
    Credentials(String),
    /// The kubeconfig cannot be used.
    #[error("{0}")]
    Config(String),
    /// Nothing came for too long.
    #[error("no answer from {endpoint} for {secs} s; trying again")]
    TimedOut {
        /// Host and port.
        endpoint: String,
        /// How long we waited.
        secs: u64,
    },
    /// The connection ended in the middle.
    #[error("the connection to {endpoint} was cut: {reason}; resuming")]
    Cut {
        /// Host and port.
        endpoint: String,
        /// What the system said.
        reason: String,
    },
}
