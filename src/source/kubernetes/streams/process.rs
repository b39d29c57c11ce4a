//! A process behind a websocket: channels 0 to 4, and its end.

use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{PING, SILENCE, Socket};
use crate::domain::Text;
use crate::source::session::{Ended, Input, Output};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
const RESIZE: u8 = 4;
/// Of v5: the channel that follows has ended.
const CLOSE: u8 = 255;

/// Carries messages both ways until the process has ended, and says how. `closes`: the end of standard
/// input can be said.
pub(super) async fn pump(socket: Socket, closes: bool, input: mpsc::Receiver<Input>, output: mpsc::Sender<Output>) {
    let (to, from) = socket.split();
    // Each way by itself: a terminal that does not take its output must not keep ctrl-c from going out.
    let ended = tokio::select! {
        biased;
        ended = receive(from, &output) => ended,
        ended = send(to, closes, input) => ended,
        () = output.closed() => return,
    };
    // Nobody listens any more: nothing to be done about it.
    let _ = output.send(Output::Ended(ended)).await;
}

async fn receive(mut from: SplitStream<Socket>, output: &mpsc::Sender<Output>) -> Ended {
    loop {
        let bytes = match tokio::time::timeout(SILENCE, from.next()).await {
            Err(_) => return cut(&format!("nothing was heard from the server for {} s", SILENCE.as_secs())),
            Ok(None) => return cut("the server closed the connection"),
            Ok(Some(Err(error))) => return broke(&error),
            Ok(Some(Ok(Message::Binary(bytes)))) => bytes,
            Ok(Some(Ok(Message::Close(frame)))) => {
                let why = frame.map(|f| f.reason.to_string()).filter(|r| !r.is_empty());
                return cut(&why.unwrap_or_else(|| "the server closed the connection".to_owned()));
            }
            Ok(Some(Ok(_))) => continue,
        };
        let Some((&channel, rest)) = bytes.split_first() else { continue };
        let what = match channel {
            STATUS => return status(rest),
            STDOUT | STDERR if rest.is_empty() => continue,
            STDOUT => Output::Out(bytes.slice(1..)),
            STDERR => Output::Err(bytes.slice(1..)),
            _ => continue,
        };
        if output.send(what).await.is_err() {
            return cut("nobody listens any more");
        }
    }
}

async fn send(mut to: SplitSink<Socket, Message>, closes: bool, mut input: mpsc::Receiver<Input>) -> Ended {
    let mut ping = tokio::time::interval(PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut open = true;
    loop {
        let message = tokio::select! {
            said = input.recv(), if open => match said {
                Some(Input::Bytes(bytes)) => message(STDIN, &bytes),
                Some(Input::Size { cols, rows }) => {
                    message(RESIZE, json!({"Width": cols, "Height": rows}).to_string().as_bytes())
                }
                Some(Input::End) if closes => Message::binary(vec![CLOSE, STDIN]),
                // v4 has no word for it.
                Some(Input::End) => continue,
                None => {
                    open = false;
                    continue;
                }
            },
            _ = ping.tick() => Message::Ping(Bytes::new()),
        };
        if let Err(error) = to.send(message).await {
            return broke(&error);
        }
    }
}

fn message(channel: u8, bytes: &[u8]) -> Message {
    let mut all = Vec::with_capacity(bytes.len() + 1);
    all.push(channel);
    all.extend_from_slice(bytes);
    Message::binary(all)
}

fn cut(why: &str) -> Ended {
    Ended::Cut(Text::new(why))
}

fn broke(error: &Error) -> Ended {
    cut(&match error {
        Error::ConnectionClosed | Error::AlreadyClosed => "the server closed the connection".to_owned(),
        Error::Io(e) => format!("the connection broke ({e})"),
        Error::Protocol(e) => format!("the connection broke ({e})"),
        other => format!("the connection broke ({other})"),
    })
}

/// What the error channel says: the exit code, or why there is none.
fn status(json: &[u8]) -> Ended {
    let Ok(status) = serde_json::from_slice::<Value>(json) else {
        // Before v4 it was plain text, and some runtimes still write that.
        return Ended::Failed(Text::new(&String::from_utf8_lossy(json)));
    };
    if status["status"] == "Success" {
        return Ended::Code(0);
    }
    let causes = status["details"]["causes"].as_array();
    let code = causes.into_iter().flatten().find(|c| c["reason"] == "ExitCode").and_then(|c| c["message"].as_str());
    match code.and_then(|c| c.parse().ok()) {
        Some(code) if status["reason"] == "NonZeroExitCode" => Ended::Code(code),
        _ => {
            let message = status["message"].as_str().unwrap_or("the server says no more than that it failed");
            Ended::Failed(Text::new(plain(message)))
        }
    }
}

/// The last of the wrapped messages of API server, kubelet and runtime that says something by itself.
fn plain(message: &str) -> &str {
    message.find("exec: \"").map_or(message, |at| &message[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_in_the_status() {
        let of = |v: Value| status(v.to_string().as_bytes());
        assert_eq!(of(json!({"metadata": {}, "status": "Success"})), Ended::Code(0));
        let failed = json!({"status": "Failure", "reason": "NonZeroExitCode", "message": "x",
            "details": {"causes": [{"reason": "ExitCode", "message": "137"}]}});
        assert_eq!(of(failed), Ended::Code(137));
        let absent = json!({"status": "Failure", "reason": "InternalError",
            "message": "Internal error occurred: a: b: exec: \"sh\": executable file not found in $PATH: unknown"});
        let words = "exec: \"sh\": executable file not found in $PATH: unknown";
        assert_eq!(of(absent), Ended::Failed(Text::new(words)));
        assert_eq!(status(b"no such\x1b[2J thing"), Ended::Failed(Text::new("no such\u{1b}[2J thing")));
    }
}
