//! Connections into a pod, over websockets: a process in a container, its own process, a port.
//!
//! Only where the cluster may be changed: what is done in there, nobody here can know.

mod port;
mod process;

use std::sync::Arc;
use std::time::Duration;

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::client::Link;
use super::paths;
use super::writer::Permit;
use crate::domain::{ObjectId, Text};
use crate::source::SourceError;
use crate::source::session::Remote;

/// The connection once it is upgraded.
pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Between two questions whether the other side is still there, and how long it may take to answer.
const PING: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(30);

/// What is to be run in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// The pod.
    pub pod: ObjectId,
    /// The container.
    pub container: String,
    /// The program and its arguments; empty attaches to the container's own process.
    pub command: Vec<String>,
    /// With a terminal.
    pub tty: bool,
    /// With standard input.
    pub stdin: bool,
}

/// Connects into the pods of one cluster. Cloning shares the client.
#[derive(Clone)]
pub struct Streams {
    link: Arc<Link>,
    permit: Permit,
}

impl Streams {
    pub(super) fn new(link: Arc<Link>, permit: Permit) -> Self {
        Self { link, permit }
    }

    /// Starts a process, or attaches to one. Returns once the server has agreed.
    ///
    /// # Errors
    /// As [`SourceError`]; what the runtime says of a program that is not there comes later, from the process.
    pub async fn process(&self, process: &Process) -> Result<Remote, SourceError> {
        let sub = if process.command.is_empty() { "attach" } else { "exec" };
        let mut path = format!("{}?container={}", Self::path(&process.pod, sub)?, paths::encode(&process.container));
        for word in &process.command {
            path.push_str(&format!("&command={}", paths::encode(word)));
        }
        // What has a terminal has one stream.
        path.push_str(&format!("&stdout=true&stdin={}&stderr={}&tty={}", process.stdin, !process.tty, process.tty));
        let (socket, protocol) = self.open(&path, "v5.channel.k8s.io, v4.channel.k8s.io").await?;
        let closes = protocol.starts_with("v5");
        Ok(Remote::spawn(move |input, output| process::pump(socket, closes, input, output)))
    }

    /// Carries one connection to a port of a pod, until one side ends it.
    ///
    /// # Errors
    /// In words: the port is not served, or the connection broke.
    pub async fn port(&self, pod: &ObjectId, port: u16, local: tokio::net::TcpStream) -> Result<(), Text> {
        let path = format!("{}?ports={port}", Self::path(pod, "portforward").map_err(|e| e.text())?);
        let (socket, _) = self.open(&path, "v4.channel.k8s.io").await.map_err(|e| e.text())?;
        port::carry(socket, local).await
    }

    fn path(pod: &ObjectId, sub: &str) -> Result<String, SourceError> {
        let path = paths::object(pod).ok_or_else(|| SourceError::NotFound { what: Text::new(&pod.to_string()) })?;
        Ok(format!("{path}/{sub}"))
    }

    async fn open(&self, path: &str, protocols: &'static str) -> Result<(Socket, String), SourceError> {
        let connected = self.link.connect().await?;
        let (upgraded, protocol) = connected.upgrade(&self.permit, path, protocols).await?;
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await;
        Ok((socket, protocol))
    }
}
