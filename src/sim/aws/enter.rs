//! Into tasks: `ExecuteCommand`, and the data channel of its session, as SSM's agent speaks it.
//!
//! ```text
//! text    {"TokenValue": ..}                       who may
//! binary  header of 120 bytes, payload             handshake, input, output, sizes, acknowledgements, the end
//! ```
//!
//! What comes is acknowledged once and in order; what is out of order waits for the client to send it again.
//! What the client has not acknowledged is sent again where a port is forwarded: the plugin drops what comes before it
//! listens. Of a command nothing is: the connection itself loses nothing. There is no encryption by KMS, and no
//! resuming.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use http::{Request, Response};
use hyper::body::Incoming;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;

use super::model::{Cluster, Phase, Task};
use super::port::{Say, Streams, properties};
use super::schema::Exec;
use super::wire::Refusal;
use super::{AwsApi, Caller, World, tail, wire};
use crate::sim::kube::reply::Body;
use crate::sim::kube::stream::shell::{Act, Shell};
use crate::sim::kube::stream::{Asked, Socket, pause, websocket};

/// Where data channels are.
pub(super) const PATH: &str = "/v1/data-channel/";
/// So many are kept that nobody opened.
const UNOPENED: usize = 100;
const HEADER: usize = 120;
/// How long the client may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);
/// When what was not acknowledged is sent again.
const AGAIN: Duration = Duration::from_millis(200);
/// So much is kept to be sent again.
const KEPT: usize = 10_000;
const NOT_ENABLED: &str = "The execute command failed because execute command was not enabled when the task was run or the execute command agent isn't running. Wait and try again or run a new task with execute command enabled and try again.";

/// Payload types.
mod payload {
    pub const OUTPUT: u32 = 1;
    pub const SIZE: u32 = 3;
    pub const HANDSHAKE_REQUEST: u32 = 5;
    pub const HANDSHAKE_RESPONSE: u32 = 6;
    pub const HANDSHAKE_COMPLETE: u32 = 7;
    pub const FLAG: u32 = 10;
}

/// Flag: the client wants it to end.
const TERMINATE: [u8; 4] = [0, 0, 0, 2];
/// Flag: nobody listens on the task's port.
const CONNECT_ERROR: [u8; 4] = [0, 0, 0, 3];

/// Sessions that were made: those that were not opened, and how to end those that are open.
#[derive(Debug)]
pub(super) struct Sessions {
    addr: SocketAddr,
    made: u64,
    waiting: BTreeMap<String, Session>,
    open: BTreeMap<String, CancellationToken>,
}

#[derive(Debug)]
pub(super) struct Session {
    token: String,
    what: What,
}

/// What a session is for.
#[derive(Debug)]
pub(super) enum What {
    Command(Asked),
    Port { pod: Value, local: u16, remote: u16 },
}

impl Sessions {
    pub(super) fn at(addr: SocketAddr) -> Self {
        Self { addr, made: 0, waiting: BTreeMap::new(), open: BTreeMap::new() }
    }

    /// A session to be opened: its id, which begins with `prefix`, its address, and its token.
    pub(super) fn make(&mut self, seed: u64, prefix: &str, what: What) -> (String, String, String) {
        self.made += 1;
        let random = || std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), self.made);
        let number = match what {
            What::Command(_) => crate::sim::model::hash2(seed, self.made),
            // The plugin has a socket by the session's name, which it does not always take away.
            What::Port { .. } => random(),
        };
        let id = format!("{prefix}-{number:017x}");
        let token = format!("token-{:016x}", random());
        let url = format!("ws://{}{PATH}{id}?role=publish_subscribe", self.addr);
        if self.waiting.len() == UNOPENED {
            self.waiting.pop_first();
        }
        self.waiting.insert(id.clone(), Session { token: token.clone(), what });
        (id, url, token)
    }

    /// Ends a session, if there is one.
    pub(super) fn terminate(&mut self, id: &str) {
        self.waiting.remove(id);
        if let Some(open) = self.open.get(id) {
            open.cancel();
        }
    }

    /// How many are open.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }
}

impl Cluster {
    /// Whether a task can be entered.
    pub(super) fn exec(&self, task: &Task) -> Exec {
        task.service.as_ref().and_then(|s| self.services.get(s)).map_or(Exec::Off, |s| s.exec)
    }
}

impl World {
    pub(super) fn execute_command(&mut self, caller: &Caller, input: &Value) -> Result<Value, Refusal> {
        let at = self.cluster(caller, input)?;
        let text = |key: &str| input[key].as_str().unwrap_or_default();
        let c = &self.clusters[at];
        let id = tail(text("task"));
        let task = c.tasks.get(id).filter(|t| t.phase < Phase::Stopped);
        let task = task.ok_or_else(|| Refusal::invalid("The referenced task was not found."))?;
        if input["interactive"] != true {
            return Err(Refusal::invalid("Interactive is the only mode supported currently."));
        }
        if !matches!(text("container"), "" | "app") {
            return Err(Refusal::invalid(format!(
                "The container name {} was not found in the task.",
                text("container")
            )));
        }
        if task.phase != Phase::Running || c.exec(task) != Exec::On {
            return Err(Refusal::invalid(NOT_ENABLED));
        }
        let json = c.task_json(task);
        let image = json["containers"][0]["image"].as_str().unwrap_or_default();
        let asked = Asked::of_task(id, "app", image, words(text("command")));
        let (cluster, container) = (json["clusterArn"].clone(), json["containers"][0]["containerArn"].clone());
        let (session, url, token) = self.sessions.make(self.seed, "ecs-execute-command", What::Command(asked));
        Ok(json!({"clusterArn": cluster, "containerArn": container, "containerName": "app", "interactive": true,
            "taskArn": json["taskArn"], "session": {"sessionId": session, "streamUrl": url, "tokenValue": token}}))
    }
}

/// A command as ECS takes it, one string, in the words that it is.
fn words(command: &str) -> Vec<String> {
    let mut out = Vec::new();
    let (mut word, mut quote, mut begun) = (String::new(), None, false);
    for c in command.chars() {
        match (c, quote) {
            (c, Some(q)) if c == q => quote = None,
            ('\'' | '"', None) => (quote, begun) = (Some(c), true),
            (c, None) if c.is_whitespace() => {
                if std::mem::take(&mut begun) {
                    out.push(std::mem::take(&mut word));
                }
            }
            (c, _) => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        out.push(word);
    }
    out
}

impl AwsApi {
    /// Opens the data channel of a session, once.
    pub(super) fn data_channel(self: &Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let id = request.uri().path().strip_prefix(PATH).unwrap_or_default().to_owned();
        let Some(session) = self.change(|w| w.sessions.waiting.remove(&id)) else {
            return wire::respond(404, "text/plain", "there is no such session", None);
        };
        let api = Arc::clone(self);
        let opened = websocket(request, move |socket| async move {
            let clock = api.clock.clone();
            let now = move || clock.now().timestamp_millis().unsigned_abs();
            let over = CancellationToken::new();
            api.change(|w| w.sessions.open.insert(id.clone(), over.clone()));
            let unacked = VecDeque::new();
            let mut channel = Channel { socket, id: id.clone(), sent: 0, expected: 0, made: 0, unacked, now };
            // The client is gone where this fails.
            let ended = tokio::select! {
                ended = channel.run(session) => Some(ended),
                () = over.cancelled() => None,
            };
            if ended.is_none() {
                let _ = channel.close("Session terminated.").await;
            }
            api.change(|w| w.sessions.open.remove(&id));
        });
        opened.unwrap_or_else(|| wire::respond(400, "text/plain", "a websocket is wanted", None))
    }
}

/// What a message says, as far as it matters.
#[derive(Debug, PartialEq, Eq)]
struct Received {
    kind: String,
    sequence: i64,
    id: [u8; 16],
    payload_type: u32,
    payload: Vec<u8>,
}

/// Reads a message; `None` for one that makes no sense.
fn decode(bytes: &[u8]) -> Option<Received> {
    let field = |from: usize, to: usize| bytes.get(from..to);
    let number = |from: usize| field(from, from + 4)?.try_into().ok().map(u32::from_be_bytes);
    let start = usize::try_from(number(0)?).ok()? + 4;
    let kind = String::from_utf8_lossy(field(4, 36)?).trim_matches(['\0', ' ']).to_owned();
    let length = usize::try_from(number(116)?).ok()?;
    let payload = bytes.get(start..start.checked_add(length)?)?.to_vec();
    if kind != "acknowledge" && field(80, 112)? != &Sha256::digest(&payload)[..] {
        return None;
    }
    let sequence = i64::from_be_bytes(field(48, 56)?.try_into().ok()?);
    let mut id = [0; 16];
    // Its halves are swapped.
    id[8..].copy_from_slice(field(64, 72)?);
    id[..8].copy_from_slice(field(72, 80)?);
    Some(Received { kind, sequence, id, payload_type: number(112)?, payload })
}

fn encode(kind: &str, (at, sequence, flags): (u64, i64, u64), id: [u8; 16], (what, payload): (u32, &[u8])) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + payload.len());
    out.extend(116_u32.to_be_bytes());
    out.extend(format!("{kind:<32}").bytes().take(32));
    out.extend(1_u32.to_be_bytes());
    out.extend(at.to_be_bytes());
    out.extend(sequence.to_be_bytes());
    out.extend(flags.to_be_bytes());
    out.extend(&id[8..]);
    out.extend(&id[..8]);
    out.extend(&Sha256::digest(payload)[..]);
    out.extend(what.to_be_bytes());
    out.extend(u32::try_from(payload.len()).unwrap_or(0).to_be_bytes());
    out.extend(payload);
    out
}

/// A message's id as text.
fn uuid(id: [u8; 16]) -> String {
    let hex = format!("{:032x}", u128::from_be_bytes(id));
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// What came.
enum Taken {
    Is(Received),
    Nothing,
    End,
}

/// An open data channel.
struct Channel<N> {
    socket: Socket,
    id: String,
    /// Sequence number of the next that is sent, and of the next that is expected.
    sent: i64,
    expected: i64,
    made: u64,
    /// Messages that were not acknowledged yet.
    unacked: VecDeque<(i64, Vec<u8>)>,
    now: N,
}

impl<N: Fn() -> u64> Channel<N> {
    async fn run(&mut self, session: Session) -> Result<(), Error> {
        let opening = match self.socket.next().await {
            Some(Ok(Message::Text(text))) => serde_json::from_str::<Value>(&text).unwrap_or_default(),
            _ => Value::Null,
        };
        if opening["TokenValue"] != session.token.as_str() {
            return self.socket.close(None).await;
        }
        let parameters = match &session.what {
            What::Command(_) => json!({"SessionType": "InteractiveCommands", "Properties": {}}),
            What::Port { local, remote, .. } => {
                json!({"SessionType": "Port", "Properties": properties(*local, *remote)})
            }
        };
        let request = json!({"AgentVersion": "3.3.40.0", "RequestedClientActions": [
            {"ActionType": "SessionType", "ActionParameters": parameters}]});
        self.say(payload::HANDSHAKE_REQUEST, request.to_string().as_bytes()).await?;
        let again = matches!(session.what, What::Port { .. });
        loop {
            let message = if again { self.next_or_again().await? } else { self.socket.next().await };
            let received = match self.take(message).await? {
                Taken::Is(received) => received,
                Taken::Nothing => continue,
                Taken::End => return Ok(()),
            };
            if received.payload_type == payload::HANDSHAKE_RESPONSE {
                let complete = json!({"HandshakeTimeToComplete": 1_000_000, "CustomerMessage": ""});
                self.say(payload::HANDSHAKE_COMPLETE, complete.to_string().as_bytes()).await?;
                return match session.what {
                    What::Command(asked) => self.play(asked).await,
                    What::Port { pod, remote, .. } => self.forward(Streams::new(pod, remote)).await,
                };
            }
        }
    }

    /// What comes next; meanwhile the oldest message that was not acknowledged is sent again and again.
    async fn next_or_again(&mut self) -> Result<Option<Result<Message, Error>>, Error> {
        loop {
            tokio::select! {
                message = self.socket.next() => return Ok(message),
                () = tokio::time::sleep(AGAIN), if !self.unacked.is_empty() => {
                    if let Some((_, bytes)) = self.unacked.front().cloned() {
                        self.socket.send(Message::binary(bytes)).await?;
                    }
                }
            }
        }
    }

    /// Carries streams until the client has enough.
    async fn forward(&mut self, mut streams: Streams) -> Result<(), Error> {
        loop {
            let message = self.next_or_again().await?;
            let received = match self.take(message).await? {
                Taken::Is(received) => received,
                Taken::Nothing => continue,
                Taken::End => return Ok(()),
            };
            match received.payload_type {
                payload::OUTPUT => {
                    let Some(said) = streams.take(&received.payload) else { return self.close("not smux").await };
                    for say in said {
                        match say {
                            Say::Bytes(bytes) => self.say(payload::OUTPUT, &bytes).await?,
                            Say::Refused => self.say(payload::FLAG, &CONNECT_ERROR).await?,
                        }
                    }
                }
                payload::FLAG if received.payload == TERMINATE => return self.close("").await,
                _ => {}
            }
        }
    }

    async fn play(&mut self, asked: Asked) -> Result<(), Error> {
        let program = asked.command.first().cloned().unwrap_or_default();
        let Some(mut shell) = Shell::start(asked) else {
            return self
                .close(&format!("Unable to start command: exec: \"{program}\": executable file not found in $PATH"))
                .await;
        };
        loop {
            for act in shell.acts() {
                match act {
                    Act::Out(bytes) | Act::Err(bytes) => self.say(payload::OUTPUT, &bytes).await?,
                    // The agent does not say what a command ended with.
                    Act::Exit(_) => return self.close("").await,
                }
            }
            let wait = shell.wait();
            let message = tokio::select! {
                message = self.socket.next() => message,
                () = pause(wait) => {
                    shell.wake();
                    continue;
                }
            };
            let received = match self.take(message).await? {
                Taken::Is(received) => received,
                Taken::Nothing => continue,
                Taken::End => return Ok(()),
            };
            match received.payload_type {
                payload::OUTPUT => shell.input(&received.payload),
                payload::SIZE => {
                    let size: Value = serde_json::from_slice(&received.payload).unwrap_or_default();
                    let cells = |name: &str| size[name].as_u64().and_then(|n| u16::try_from(n).ok()).unwrap_or(0);
                    shell.resize(cells("cols"), cells("rows"));
                }
                payload::FLAG if received.payload == TERMINATE => return self.close("").await,
                _ => {}
            }
        }
    }

    /// What a message is, acknowledged if it is the next in order.
    async fn take(&mut self, message: Option<Result<Message, Error>>) -> Result<Taken, Error> {
        let message = match message {
            Some(Ok(Message::Binary(bytes))) => bytes,
            Some(Ok(Message::Close(_))) | None => return Ok(Taken::End),
            Some(Ok(_)) => return Ok(Taken::Nothing),
            Some(Err(e)) => return Err(e),
        };
        let Some(received) = decode(&message) else { return Ok(Taken::Nothing) };
        if received.kind == "acknowledge" {
            let said: Value = serde_json::from_slice(&received.payload).unwrap_or_default();
            let sequence = said["AcknowledgedMessageSequenceNumber"].as_i64();
            self.unacked.retain(|(sent, _)| Some(*sent) != sequence);
        }
        if received.kind != "input_stream_data" || received.sequence > self.expected {
            return Ok(Taken::Nothing);
        }
        let is_new = received.sequence == self.expected;
        let said = json!({"AcknowledgedMessageType": received.kind, "AcknowledgedMessageId": uuid(received.id),
            "AcknowledgedMessageSequenceNumber": received.sequence, "IsSequentialMessage": true});
        self.expected += i64::from(is_new);
        self.send("acknowledge", (0, 3), (0, said.to_string().as_bytes())).await?;
        Ok(if is_new { Taken::Is(received) } else { Taken::Nothing })
    }

    async fn say(&mut self, what: u32, bytes: &[u8]) -> Result<(), Error> {
        let sequence = self.sent;
        self.sent += 1;
        self.send("output_stream_data", (sequence, u64::from(sequence == 0)), (what, bytes)).await
    }

    async fn send(&mut self, kind: &str, (sequence, flags): (i64, u64), what: (u32, &[u8])) -> Result<(), Error> {
        self.made += 1;
        let mut id = [0x40; 16];
        id[8..].copy_from_slice(&self.made.to_be_bytes());
        let bytes = encode(kind, ((self.now)(), sequence, flags), id, what);
        if kind == "output_stream_data" && self.unacked.len() < KEPT {
            self.unacked.push_back((sequence, bytes.clone()));
        }
        self.socket.send(Message::binary(bytes)).await
    }

    /// Says that it is over, and why if somebody has to know.
    async fn close(&mut self, why: &str) -> Result<(), Error> {
        let closed = json!({"MessageType": "channel_closed", "SchemaVersion": 1, "SessionId": self.id,
            "DestinationId": "", "Output": why});
        let sequence = self.sent;
        self.send("channel_closed", (sequence, 2), (0, closed.to_string().as_bytes())).await?;
        self.socket.close(None).await?;
        // What still comes is read: else the connection is reset, and the client may miss the word.
        let goodbye = async { while let Some(Ok(_)) = self.socket.next().await {} };
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_they_are_written() {
        let id = *b"0123456789abcdef";
        let bytes = encode("input_stream_data", (1_700_000_000_000, 7, 0), id, (payload::OUTPUT, b"ls\r"));
        assert_eq!((bytes.len(), &bytes[..4], &bytes[64..72]), (HEADER + 3, &[0, 0, 0, 116][..], &b"89abcdef"[..]));
        let kind = "input_stream_data".to_owned();
        let read = Received { kind, sequence: 7, id, payload_type: payload::OUTPUT, payload: b"ls\r".to_vec() };
        assert_eq!(decode(&bytes), Some(read));
        let mut changed = bytes.clone();
        changed[HEADER] = b'x';
        assert_eq!(decode(&changed), None, "its digest is of something else");
        assert_eq!(decode(&bytes[..=HEADER]), None);
    }

    #[test]
    fn a_command_is_one_string() {
        assert_eq!(words("sh -c 'exec  sh'"), ["sh", "-c", "exec  sh"]);
        assert_eq!(words(" echo \"\" a"), ["echo", "", "a"]);
        assert!(words("").is_empty());
    }
}
