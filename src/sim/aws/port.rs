//! To a task's port: `StartSession` and `TerminateSession` of SSM, and what its agent speaks on the data channel then:
//! smux, version 1, a stream for each connection.
//!
//! ```text
//! 1, command, length (2, little endian), stream (4, little endian), payload
//! ```

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::enter::What;
use super::model::Phase;
use super::schema::Exec;
use super::wire::Refusal;
use super::{Caller, World};
use crate::sim::kube::stream::replies;

/// The one document that forwards.
const DOCUMENT: &str = "AWS-StartPortForwardingSession";
/// Where a task's container listens.
const LISTENS: u16 = 8080;
const VERSION: u8 = 1;
const HEADER: usize = 8;
/// No frame's payload is longer.
const LONGEST: usize = 16 << 10;
/// No request to the server behind the port is longer.
const REQUEST: usize = 64 << 10;

/// Commands of smux.
mod command {
    pub const SYN: u8 = 0;
    pub const FIN: u8 = 1;
    pub const PSH: u8 = 2;
}

impl World {
    pub(super) fn ssm(&mut self, caller: &Caller, operation: &str, input: &Value) -> Result<Option<Value>, Refusal> {
        let answer = match operation {
            "StartSession" => self.start_session(caller, input)?,
            "TerminateSession" => {
                let id = input["SessionId"].as_str().unwrap_or_default();
                self.sessions.terminate(id);
                json!({"SessionId": id})
            }
            _ => return Ok(None),
        };
        Ok(Some(answer))
    }

    fn start_session(&mut self, caller: &Caller, input: &Value) -> Result<Value, Refusal> {
        let target = input["Target"].as_str().unwrap_or_default();
        let document = input["DocumentName"].as_str().unwrap_or("SSM-SessionManagerRunShell");
        if document != DOCUMENT {
            return Err(Refusal::new("InvalidDocument", format!("Document with name {document} does not exist.")));
        }
        let invalid = |name: &str| Refusal::new("InvalidParameters", format!("Parameter {name} is not valid."));
        let given = input["Parameters"].as_object();
        if let Some(other) =
            given.and_then(|p| p.keys().find(|k| !matches!(k.as_str(), "portNumber" | "localPortNumber")))
        {
            return Err(invalid(other));
        }
        let port = |name: &str, default: &str| -> Result<u16, Refusal> {
            let text = match given.and_then(|p| p.get(name)) {
                None => default,
                Some(list) => list.as_array().filter(|l| l.len() == 1).and_then(|l| l[0].as_str()).unwrap_or_default(),
            };
            text.parse().map_err(|_| invalid(name))
        };
        let (remote, local) = (port("portNumber", "80")?, port("localPortNumber", "0")?);
        let pod = self
            .reached(caller, target)
            .ok_or_else(|| Refusal::new("TargetNotConnected", format!("{target} is not connected.")))?;
        let what = What::Port { pod, local, remote };
        let (id, url, token) = self.sessions.make(self.seed, "sim", what);
        Ok(json!({"SessionId": id, "StreamUrl": url, "TokenValue": token}))
    }

    /// The task behind `ecs:CLUSTER_TASK_RUNTIME`, as the server behind its port knows it, if its agent answers.
    fn reached(&self, caller: &Caller, target: &str) -> Option<Value> {
        let mut parts = target.strip_prefix("ecs:")?.rsplitn(3, '_');
        let (runtime, task, cluster) = (parts.next()?, parts.next()?, parts.next()?);
        let c = &self.clusters[self.cluster(caller, &json!({"cluster": cluster})).ok()?];
        let task = c.tasks.get(task).filter(|t| t.phase == Phase::Running && c.exec(t) == Exec::On)?;
        let known = c.task_json(task)["containers"][0]["runtimeId"] == runtime;
        known.then(|| json!({"metadata": {"name": task.id}}))
    }
}

/// What the agent says of it before the session begins.
pub(super) fn properties(local: u16, remote: u16) -> Value {
    json!({"portNumber": remote.to_string(), "localPortNumber": local.to_string(), "type": "LocalPortForwarding"})
}

/// What is to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Say {
    /// Bytes of smux.
    Bytes(Vec<u8>),
    /// That nobody listens on the task's port.
    Refused,
}

/// The agent's end of smux, with a small web server behind it.
#[derive(Debug)]
pub(super) struct Streams {
    pod: Value,
    listens: bool,
    /// What came and is no whole frame yet.
    pending: Vec<u8>,
    /// Requests as far as they came.
    open: BTreeMap<u32, Vec<u8>>,
}

impl Streams {
    pub(super) fn new(pod: Value, port: u16) -> Self {
        Self { pod, listens: port == LISTENS, pending: Vec::new(), open: BTreeMap::new() }
    }

    /// Takes in what came; `None` if it makes no sense.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Option<Vec<Say>> {
        self.pending.extend_from_slice(bytes);
        let mut out = Vec::new();
        while let Some((head, rest)) = self.pending.split_first_chunk::<HEADER>() {
            let [version, what, low, high, stream @ ..] = *head;
            let length = usize::from(u16::from_le_bytes([low, high]));
            if version != VERSION || what > 3 {
                return None;
            }
            let Some(payload) = rest.get(..length).map(<[u8]>::to_vec) else { break };
            self.pending.drain(..HEADER + length);
            let stream = u32::from_le_bytes(stream);
            match what {
                command::SYN if self.listens => drop(self.open.insert(stream, Vec::new())),
                command::SYN => out.extend([Say::Refused, Say::Bytes(frame(command::FIN, stream, &[]))]),
                command::PSH => {
                    // What comes after its end is nobody's.
                    let Some(buffer) = self.open.get_mut(&stream) else { continue };
                    buffer.extend(payload);
                    for reply in replies(buffer, &self.pod) {
                        out.extend(reply.chunks(LONGEST).map(|part| Say::Bytes(frame(command::PSH, stream, part))));
                    }
                    if buffer.len() > REQUEST {
                        self.open.remove(&stream);
                        out.push(Say::Bytes(frame(command::FIN, stream, &[])));
                    }
                }
                command::FIN if self.open.remove(&stream).is_some() => {
                    out.push(Say::Bytes(frame(command::FIN, stream, &[])));
                }
                // To keep the connection alive, and ends of what has ended.
                _ => {}
            }
        }
        Some(out)
    }
}

fn frame(what: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![VERSION, what];
    out.extend(u16::try_from(payload.len()).unwrap_or(0).to_le_bytes());
    out.extend(stream.to_le_bytes());
    out.extend(payload);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stream_is_answered_by_itself() {
        let mut streams = Streams::new(json!({"metadata": {"name": "t1"}}), LISTENS);
        assert_eq!(streams.take(&[frame(command::SYN, 3, &[]), frame(command::SYN, 5, &[])].concat()), Some(vec![]));
        let asked = frame(command::PSH, 3, b"GET / HTTP/1.1\r\n\r\n");
        // In pieces, as data channels cut it.
        assert_eq!(streams.take(&asked[..7]), Some(vec![]));
        let said = streams.take(&asked[7..]).unwrap();
        let [Say::Bytes(answer)] = said.as_slice() else { panic!("one answer: {said:?}") };
        assert_eq!(answer[..2], [VERSION, command::PSH]);
        assert!(answer[4..8] == [3, 0, 0, 0] && answer.ends_with(b"\r\n\r\nt1\n"), "{answer:?}");
        let end = frame(command::FIN, 5, &[]);
        assert_eq!(streams.take(&end), Some(vec![Say::Bytes(end.clone())]));
        assert_eq!(streams.take(&end), Some(vec![]), "it has ended already");
        assert_eq!(streams.take(&[9; 8]), None);
        let mut shut = Streams::new(json!({}), 9);
        let said = shut.take(&frame(command::SYN, 3, &[]));
        assert_eq!(said, Some(vec![Say::Refused, Say::Bytes(frame(command::FIN, 3, &[]))]));
    }
}
