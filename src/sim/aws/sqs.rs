//! SQS, as far as a feed of events needs it: visibility, long polls, receipts.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use super::model::Ms;
use super::wire::Refusal;
use super::{Caller, tail};
use crate::sim::model::hash;

/// Messages that wait in a queue.
const MOST: usize = 10_000;

type Answer = Result<Option<Value>, Refusal>;

#[derive(Debug, Clone)]
struct Message {
    id: String,
    body: String,
    sent: Ms,
    visible: Ms,
    receipt: String,
    received: u32,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Message>,
    visibility: Ms,
}

/// Every queue, by account, region and name.
#[derive(Debug, Default)]
pub struct Queues {
    all: BTreeMap<(String, String, String), Queue>,
    made: u64,
}

fn gone() -> Refusal {
    Refusal::new("QueueDoesNotExist", "The specified queue does not exist.")
}

impl Queues {
    fn key(caller: &Caller, name: &str) -> (String, String, String) {
        (caller.account.clone(), caller.region.clone(), tail(name).to_owned())
    }

    fn url(caller: &Caller, name: &str) -> String {
        format!("https://sqs.{}.amazonaws.com/{}/{name}", caller.region, caller.account)
    }

    fn queue(&mut self, caller: &Caller, input: &Value) -> Result<&mut Queue, Refusal> {
        let url = input["QueueUrl"].as_str().unwrap_or_default();
        self.all.get_mut(&Self::key(caller, url)).ok_or_else(gone)
    }

    /// True if something can be received now.
    pub fn has_some(&self, caller: &Caller, input: &Value, now: Ms) -> bool {
        let url = input["QueueUrl"].as_str().unwrap_or_default();
        self.all.get(&Self::key(caller, url)).is_none_or(|q| q.messages.iter().any(|m| m.visible <= now))
    }

    /// Puts a message into a queue, if there is one.
    fn send(&mut self, caller: &Caller, input: &Value, body: &str, now: Ms) -> Result<Value, Refusal> {
        self.made += 1;
        let id = format!("{:016x}-{}", hash(body), self.made);
        let queue = self.queue(caller, input)?;
        queue.messages.push_back(Message {
            id: id.clone(),
            body: body.to_owned(),
            sent: now,
            visible: now,
            receipt: String::new(),
            received: 0,
        });
        Ok(json!({"MessageId": id, "MD5OfMessageBody": format!("{:x}", md5_of(body))}))
    }

    /// A queue that exists from the start.
    pub fn make(&mut self, caller: &Caller, name: &str) {
        let queue = Queue { visibility: 30_000, ..Queue::default() };
        self.all.entry(Self::key(caller, name)).or_insert(queue);
    }

    /// Puts a message into a queue, if there is one, that can be received from `visible` on.
    pub fn put(&mut self, caller: &Caller, name: &str, body: &str, sent: Ms, visible: Ms) {
        self.made += 1;
        let made = self.made;
        let Some(queue) = self.all.get_mut(&Self::key(caller, name)) else { return };
        // A queue that nobody reads does not grow for ever: as if its retention were over.
        if queue.messages.len() >= MOST {
            queue.messages.pop_front();
        }
        queue.messages.push_back(Message {
            id: format!("{:016x}-{made}", hash(body)),
            body: body.to_owned(),
            sent,
            visible,
            receipt: String::new(),
            received: 0,
        });
    }

    pub fn answer(&mut self, caller: &Caller, operation: &str, input: &Value, now: Ms) -> Answer {
        let text = |key: &str| input[key].as_str().unwrap_or_default();
        let answer = match operation {
            "CreateQueue" => {
                let name = text("QueueName").to_owned();
                let visibility =
                    input["Attributes"]["VisibilityTimeout"].as_str().and_then(|s| s.parse().ok()).unwrap_or(30);
                let queue = Queue { visibility: visibility * 1000, ..Queue::default() };
                self.all.entry(Self::key(caller, &name)).or_insert(queue);
                json!({"QueueUrl": Self::url(caller, &name)})
            }
            "GetQueueUrl" => {
                let name = text("QueueName");
                if !self.all.contains_key(&Self::key(caller, name)) {
                    return Err(gone());
                }
                json!({"QueueUrl": Self::url(caller, name)})
            }
            "ListQueues" => {
                let mine = self.all.keys().filter(|(a, r, _)| *a == caller.account && *r == caller.region);
                json!({"QueueUrls": mine.map(|(_, _, n)| Self::url(caller, n)).collect::<Vec<_>>()})
            }
            "GetQueueAttributes" => {
                let q = self.queue(caller, input)?;
                let waiting = q.messages.iter().filter(|m| m.visible <= now).count();
                json!({"Attributes": {"ApproximateNumberOfMessages": waiting.to_string(),
                    "ApproximateNumberOfMessagesNotVisible": (q.messages.len() - waiting).to_string(),
                    "VisibilityTimeout": (q.visibility / 1000).to_string()}})
            }
            "SendMessage" => self.send(caller, input, text("MessageBody"), now)?,
            "ReceiveMessage" => self.receive(caller, input, now)?,
            "DeleteMessage" => {
                let receipt = text("ReceiptHandle").to_owned();
                self.queue(caller, input)?.messages.retain(|m| m.receipt != receipt || m.receipt.is_empty());
                json!({})
            }
            "DeleteMessageBatch" => {
                let entries = input["Entries"].as_array().cloned().unwrap_or_default();
                let queue = self.queue(caller, input)?;
                let mut done = Vec::new();
                for e in entries {
                    let receipt = e["ReceiptHandle"].as_str().unwrap_or_default().to_owned();
                    queue.messages.retain(|m| m.receipt != receipt || m.receipt.is_empty());
                    done.push(json!({"Id": e["Id"]}));
                }
                json!({"Successful": done, "Failed": []})
            }
            _ => return Ok(None),
        };
        Ok(Some(answer))
    }

    fn receive(&mut self, caller: &Caller, input: &Value, now: Ms) -> Result<Value, Refusal> {
        let most = input["MaxNumberOfMessages"].as_u64().unwrap_or(1);
        if !(1..=10).contains(&most) {
            let m = format!(
                "Value {most} for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided."
            );
            return Err(Refusal::new("InvalidParameterValue", m));
        }
        self.made += 1;
        let made = self.made;
        let asked = input["VisibilityTimeout"].as_i64().map(|s| s * 1000);
        let queue = self.queue(caller, input)?;
        let visibility = asked.unwrap_or(queue.visibility);
        let mut out = Vec::new();
        for (n, m) in queue.messages.iter_mut().filter(|m| m.visible <= now).take(most as usize).enumerate() {
            m.visible = now + visibility;
            m.received += 1;
            m.receipt = format!("receipt-{made}-{n}");
            out.push(json!({"MessageId": m.id, "ReceiptHandle": m.receipt, "Body": m.body,
                "MD5OfBody": format!("{:x}", md5_of(&m.body)),
                "Attributes": {"SentTimestamp": m.sent.to_string(), "ApproximateReceiveCount": m.received.to_string()}}));
        }
        Ok(if out.is_empty() { json!({}) } else { json!({"Messages": out}) })
    }
}

/// boto3 checks the MD5 of what it sent and received.
fn md5_of(body: &str) -> md5::Digest {
    md5::compute(body)
}
