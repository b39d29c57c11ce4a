//! A process in a container: its channels, its end, and the shell that plays it.

use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::super::reply::Body;
use super::super::route::Query;
use super::super::status::Failure;
use super::shell::{Act, Shell};
use super::{Protocol, Socket};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
const RESIZE: u8 = 4;
/// Of v5: the channel that follows has ended.
const CLOSE: u8 = 255;

/// How long the client may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// What a client asked for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) pod: String,
    pub(crate) container: String,
    pub(crate) image: String,
    pub(crate) namespace: String,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) command: Vec<String>,
    pub(crate) tty: bool,
    stdin: bool,
    stdout: bool,
    stderr: bool,
}

impl Asked {
    pub(super) fn new(pod: &Value, container: &str, query: &Query, all: &[(String, String)]) -> Self {
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let spec = pod["spec"]["containers"].as_array().into_iter().flatten().find(|c| c["name"] == container);
        let env = spec.and_then(|c| c["env"].as_array()).into_iter().flatten();
        let env = env.filter(|e| e["value"].is_string()).map(|e| (text(&e["name"]), text(&e["value"])));
        Self {
            pod: text(&pod["metadata"]["name"]),
            namespace: text(&pod["metadata"]["namespace"]),
            container: container.to_owned(),
            image: spec.map(|c| text(&c["image"])).unwrap_or_default(),
            env: env.collect(),
            command: all.iter().filter(|(k, _)| k == "command").map(|(_, v)| v.clone()).collect(),
            tty: query.flag("tty"),
            stdin: query.flag("stdin"),
            stdout: query.flag("stdout"),
            stderr: query.flag("stderr"),
        }
    }

    /// In an ECS task: always with a terminal.
    pub(crate) fn of_task(task: &str, container: &str, image: &str, command: Vec<String>) -> Self {
        Self {
            pod: task.to_owned(),
            container: container.to_owned(),
            image: image.to_owned(),
            namespace: String::new(),
            env: Vec::new(),
            command,
            tty: true,
            stdin: true,
            stdout: true,
            stderr: true,
        }
    }

    /// A command is needed, and one of the channels.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.command.is_empty() {
            return Err(Failure::bad_request("you must specify at least one command for the container"));
        }
        if !(self.stdin || self.stdout || self.stderr) {
            return Err(Failure::bad_request("you must specify at least 1 of stdin, stdout, stderr"));
        }
        Ok(())
    }
}

/// What a client sends.
enum Said {
    Input(Bytes),
    NoMoreInput,
    Size(u16, u16),
    Nothing,
    Gone,
}

fn said(message: Option<Result<Message, Error>>, protocol: Protocol) -> Said {
    let bytes = match message {
        Some(Ok(Message::Binary(bytes))) => bytes,
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Text(_) | Message::Frame(_))) => return Said::Nothing,
        Some(Ok(Message::Close(_)) | Err(_)) | None => return Said::Gone,
    };
    match bytes.first() {
        Some(&STDIN) => Said::Input(bytes.slice(1..)),
        Some(&CLOSE) if protocol == Protocol::V5 && bytes.get(1) == Some(&STDIN) => Said::NoMoreInput,
        Some(&RESIZE) => {
            let size: Value = serde_json::from_slice(&bytes[1..]).unwrap_or_default();
            let cells = |name: &str| size[name].as_u64().and_then(|n| u16::try_from(n).ok()).unwrap_or(0);
            Said::Size(cells("Width"), cells("Height"))
        }
        _ => Said::Nothing,
    }
}

async fn send(socket: &mut Socket, channel: u8, bytes: &[u8]) -> Result<(), Error> {
    let mut message = Vec::with_capacity(bytes.len() + 1);
    message.push(channel);
    message.extend_from_slice(bytes);
    socket.send(Message::binary(message)).await
}

/// Says how it ended, and goodbye.
async fn finish(socket: &mut Socket, status: &Value) -> Result<(), Error> {
    send(socket, STATUS, status.to_string().as_bytes()).await?;
    socket.close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() })).await?;
    let goodbye = async { while let Some(Ok(_)) = socket.next().await {} };
    let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    Ok(())
}

fn ended(code: i32) -> Value {
    if code == 0 {
        return json!({"metadata": {}, "status": "Success"});
    }
    json!({"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
        "message": format!("command terminated with non-zero exit code: exit status {code}"),
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]}})
}

/// The runtime's words for a program that is not there.
fn not_started(program: &str) -> Value {
    let why = format!(
        "error executing command in container: failed to exec in container: failed to start exec: OCI runtime exec \
         failed: exec failed: unable to start container process: exec: {program:?}: executable file not found in \
         $PATH: unknown"
    );
    json!({"metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500,
        "message": format!("Internal error occurred: {why}")})
}

/// Plays a process until it ends, or the client is gone.
pub(super) async fn exec(mut socket: Socket, protocol: Protocol, asked: Asked) {
    // The client is gone where this fails, and the process with it.
    let _ = play(&mut socket, protocol, asked).await;
}

async fn play(socket: &mut Socket, protocol: Protocol, asked: Asked) -> Result<(), Error> {
    // As the kubelet does: it says that the connection stands.
    send(socket, STDOUT, b"").await?;
    let program = asked.command.first().cloned().unwrap_or_default();
    let (stdout, stderr, tty, stdin) = (asked.stdout, asked.stderr, asked.tty, asked.stdin);
    let Some(mut shell) = Shell::start(asked) else {
        return finish(socket, &not_started(&program)).await;
    };
    if !stdin {
        shell.no_more_input();
    }
    loop {
        for act in shell.acts() {
            match act {
                Act::Out(bytes) if stdout => send(socket, STDOUT, &bytes).await?,
                Act::Err(bytes) if tty => send(socket, STDOUT, &bytes).await?,
                Act::Err(bytes) if stderr => send(socket, STDERR, &bytes).await?,
                Act::Out(_) | Act::Err(_) => {}
                Act::Exit(code) => return finish(socket, &ended(code)).await,
            }
        }
        let wait = shell.wait();
        let message = tokio::select! {
            message = socket.next() => said(message, protocol),
            () = pause(wait) => {
                shell.wake();
                continue;
            }
        };
        match message {
            Said::Input(bytes) => shell.input(&bytes),
            Said::NoMoreInput => shell.no_more_input(),
            Said::Size(cols, rows) => shell.resize(cols, rows),
            Said::Nothing => {}
            Said::Gone => return Ok(()),
        }
    }
}

pub(crate) async fn pause(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

/// Shows what the container's own process writes, until it ends or is interrupted.
pub(super) async fn attach(mut socket: Socket, protocol: Protocol, asked: Asked, log: Body) {
    let _ = follow(&mut socket, protocol, asked, log).await;
}

async fn follow(socket: &mut Socket, protocol: Protocol, asked: Asked, mut log: Body) -> Result<(), Error> {
    send(socket, STDOUT, b"").await?;
    loop {
        tokio::select! {
            frame = log.frame() => {
                let Some(Ok(frame)) = frame else { return finish(socket, &ended(0)).await };
                let Ok(bytes) = frame.into_data() else { continue };
                let text = String::from_utf8_lossy(&bytes);
                let text = if asked.tty { text.replace('\n', "\r\n") } else { text.into_owned() };
                send(socket, STDOUT, text.as_bytes()).await?;
            }
            message = socket.next() => match said(message, protocol) {
                Said::Input(bytes) if asked.tty && bytes.contains(&3) => return finish(socket, &ended(130)).await,
                Said::Gone => return Ok(()),
                _ => {}
            }
        }
    }
}
