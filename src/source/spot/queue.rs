//! Events from an SQS queue of one's own. What is received is on the disk before it is
//! deleted; what comes twice, or not in order, is told once.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::message::{Hearing, Says};
use super::shared::Watch;
use super::spool::{self, Record, Spool};
use super::{Plan, Talk, blocking, message};
use crate::domain::notice::{NoticeFeed, Told};
use crate::domain::{Text, Timestamp};
use crate::source::SourceError;
use crate::source::aws::Bucket;
use crate::source::aws::query::JsonService;

/// SQS. What is received is deleted: the queue is the console's own.
const SQS: JsonService =
    JsonService { name: "sqs", target: "AmazonSQS", version: "1.0", bucket: Bucket::Queue, changes: true };
/// A receive waits so long for a message, in seconds. An answer that comes too late would
/// hide its messages until they are visible again: this is far below what answers may take.
const WAIT: u32 = 5;
/// What is received and not deleted comes again after so many seconds.
const VISIBILITY: u32 = 30;
/// An empty answer that comes sooner was no long poll.
const SOON: Duration = Duration::from_secs(1);
/// Between two looks at a file that another console writes.
const ALONG: Duration = Duration::from_secs(1);
/// So many ids are known again.
const KNOWN: usize = 20_000;
/// A queue with much that cannot be deleted is read no faster than this.
const REST: Duration = Duration::from_secs(2);

/// Ids, of which the oldest are forgotten.
#[derive(Debug, Default)]
struct Known {
    ids: HashSet<String>,
    order: VecDeque<String>,
}

impl Known {
    /// True if it was not known.
    fn add(&mut self, id: &str) -> bool {
        if !self.ids.insert(id.to_owned()) {
            return false;
        }
        self.order.push_back(id.to_owned());
        if self.order.len() > KNOWN
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }

    fn has(&self, id: &str) -> bool {
        self.ids.contains(id)
    }
}

/// A message as SQS gives it.
#[derive(Debug, Clone)]
struct Message {
    id: String,
    receipt: String,
    body: String,
    /// How often anybody received it, this time included.
    received: u32,
    sent: Option<Timestamp>,
}

impl Message {
    fn of(value: &Value) -> Option<Self> {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let attribute = |key: &str| value["Attributes"][key].as_str().and_then(|n| n.parse::<i64>().ok());
        let receipt = text("ReceiptHandle");
        (!receipt.is_empty()).then(|| Self {
            id: text("MessageId"),
            receipt,
            body: text("Body"),
            received: attribute("ApproximateReceiveCount").and_then(|n| u32::try_from(n).ok()).unwrap_or(1),
            sent: attribute("SentTimestamp").and_then(Timestamp::from_timestamp_millis),
        })
    }
}

struct Queue {
    talk: Talk,
    /// As it was named.
    name: String,
    url: Option<String>,
    /// Events that are on the disk.
    stored: Known,
    /// Events that were told of.
    told: Known,
    watch: Watch,
    first: bool,
    /// It was said that messages cannot be deleted.
    undeleted: bool,
}

/// Reads until it is stopped.
pub(super) async fn run(talk: Talk, name: String, plan: Arc<Plan>) {
    let watch = Watch::new(&name, &plan.clusters, talk.clock.now());
    let mut queue = Queue {
        talk,
        name,
        url: None,
        stored: Known::default(),
        told: Known::default(),
        watch,
        first: true,
        undeleted: false,
    };
    let Some(dir) = plan.state.clone() else {
        let why = "a queue is only read where what it has can be kept: there is no state directory here";
        return queue.talk.supervisor.absent(Text::new(why), false).await;
    };
    let path = spool::path(&dir, &super::label(&queue.talk.account.spec), &queue.name);
    if plan.receive {
        queue.receive(&path).await;
    } else {
        queue.look(&path).await;
    }
}

/// What a spool tells.
#[derive(Debug, Default)]
struct Replayed {
    told: Vec<(String, Vec<Told>)>,
    broken: usize,
}

async fn replay(path: PathBuf) -> std::io::Result<Replayed> {
    blocking(move || {
        let (records, broken) = spool::records(&path)?;
        let mut told = Vec::new();
        for r in records {
            let ahead = TimeDelta::try_milliseconds(r.ahead_ms).unwrap_or_default();
            let hearing = Hearing { feed: NoticeFeed::EventQueue, seen: r.seen, ahead, id: &r.message };
            let heard = message::read(&r.body, &hearing);
            if let Says::Tells(all) = heard.says {
                told.push((heard.id, all));
            }
        }
        Ok(Replayed { told, broken })
    })
    .await
}

fn disk(what: &str, path: &Path, e: &std::io::Error) -> SourceError {
    let what = format!(
        "{what} {}: {e}; a queue is only read where what it has can be kept: make room, or set `state.dir`",
        path.display()
    );
    SourceError::Account { what: Text::new(&what) }
}

impl Queue {
    /// Tells what is on the disk and was not told yet. While another console writes, the
    /// last line may be half of one.
    async fn tell_stored(&mut self, path: &Path, whole: bool) -> std::io::Result<()> {
        let replayed = replay(path.to_owned()).await?;
        if whole && replayed.broken > 0 {
            let (n, file) = (replayed.broken, path.display());
            self.talk.note(&format!("{n} lines of {file} make no sense and were passed over")).await;
        }
        let mut all = Vec::new();
        for (id, told) in replayed.told {
            self.stored.add(&id);
            if self.told.add(&id) {
                all.extend(told);
            }
        }
        self.talk.tell(all).await;
        Ok(())
    }

    /// Receives nothing: looks at what was received before, and whether the queue may be read.
    async fn look(mut self, path: &Path) {
        "receives nothing here; tells what another console on this machine stored".clone_into(&mut self.talk.remark);
        self.talk.introduce().await;
        self.talk.introduce_if_remarked(self.watch.said()).await;
        loop {
            let outcome = match self.tell_stored(path, false).await {
                Ok(()) => self.attributes().await.map(drop),
                Err(e) => Err(disk("cannot read", path, &e)),
            };
            let outcome = match (outcome, self.url.clone()) {
                (Ok(()), Some(url)) => {
                    self.suspect(&url).await;
                    Ok(())
                }
                (outcome, _) => outcome,
            };
            match outcome {
                Ok(()) => {
                    self.talk.went_well(&mut self.first).await;
                    self.talk.supervisor.pause(Duration::from_mins(1)).await;
                }
                Err(error) => self.fail(error).await,
            }
        }
    }

    async fn receive(mut self, path: &Path) {
        let spool = self.own(path).await;
        let spool = Arc::new(Mutex::new(spool));
        self.talk.introduce_if_remarked(self.watch.said()).await;
        loop {
            let began = Instant::now();
            match self.round(&spool, path).await {
                Ok(0) if began.elapsed() < SOON => self.talk.supervisor.pause(SOON).await,
                Ok(_) => {}
                Err(error) => self.fail(error).await,
            }
            self.talk.report().await;
        }
    }

    /// Waits until the file is this console's to write. Until then it reads along.
    async fn own(&mut self, path: &Path) -> Spool {
        let mut said = false;
        let mut size = None;
        loop {
            let open = path.to_owned();
            match blocking(move || Spool::open(&open)).await {
                Ok(Some(spool)) => match self.tell_stored(path, true).await {
                    Ok(()) => {
                        if said {
                            self.talk.remark = String::new();
                            self.talk.introduce().await;
                        }
                        return spool;
                    }
                    Err(e) => self.talk.supervisor.failed(&disk("cannot read", path, &e)).await,
                },
                Ok(None) => {
                    let now = std::fs::metadata(path).ok().map(|m| (m.len(), m.modified().ok()));
                    if now != size {
                        size = now;
                        if let Err(e) = self.tell_stored(path, false).await {
                            self.talk.note(&format!("cannot read {}: {e}", path.display())).await;
                        }
                    }
                    if !std::mem::replace(&mut said, true) {
                        "read through another console on this machine".clone_into(&mut self.talk.remark);
                        self.talk.introduce().await;
                    }
                    self.talk.went_well(&mut self.first).await;
                    self.talk.supervisor.pause(ALONG).await;
                }
                Err(e) => self.talk.supervisor.failed(&disk("cannot write", path, &e)).await,
            }
        }
    }

    /// Receives once, and does away with what came; how many messages.
    async fn round(&mut self, spool: &Arc<Mutex<Spool>>, path: &Path) -> Result<usize, SourceError> {
        let url = self.url().await?;
        if self.watch.is_due() {
            self.suspect(&url).await;
        }
        let input = json!({"QueueUrl": url, "MaxNumberOfMessages": 10, "VisibilityTimeout": VISIBILITY,
            // The first answer comes at once: it says whether all is well.
            "WaitTimeSeconds": if self.first { 0 } else { WAIT },
            "AttributeNames": ["ApproximateReceiveCount", "SentTimestamp"]});
        let answer = self.talk.account.json(SQS, "sqs:ReceiveMessage", &input).await?;
        let messages: Vec<Message> =
            answer["Messages"].as_array().into_iter().flatten().filter_map(Message::of).collect();
        if !messages.is_empty() {
            self.take(&url, &messages, spool, path).await?;
        }
        self.talk.went_well(&mut self.first).await;
        Ok(messages.len())
    }

    async fn url(&mut self) -> Result<String, SourceError> {
        if let Some(url) = &self.url {
            return Ok(url.clone());
        }
        let url = if self.name.contains("://") {
            self.name.clone()
        } else {
            let mut input = json!({"QueueName": self.name});
            if let Some(rest) = self.name.strip_prefix("arn:") {
                // arn:aws:sqs:REGION:ACCOUNT:NAME
                let parts: Vec<&str> = rest.split(':').collect();
                if let [_, _, _, account, name] = parts.as_slice() {
                    input = json!({"QueueName": name, "QueueOwnerAWSAccountId": account});
                }
            }
            let answer = self.talk.account.json(SQS, "sqs:GetQueueUrl", &input).await?;
            answer["QueueUrl"].as_str().unwrap_or_default().to_owned()
        };
        self.url = Some(url.clone());
        Ok(url)
    }

    async fn attributes(&mut self) -> Result<Value, SourceError> {
        let url = self.url().await?;
        let input = json!({"QueueUrl": url, "AttributeNames": ["ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible", "VisibilityTimeout"]});
        let answer = self.talk.account.json(SQS, "sqs:GetQueueAttributes", &input).await?;
        Ok(answer["Attributes"].clone())
    }

    /// Stores, tells, deletes, in this order.
    async fn take(
        &mut self,
        url: &str,
        messages: &[Message],
        spool: &Arc<Mutex<Spool>>,
        path: &Path,
    ) -> Result<(), SourceError> {
        let now = self.talk.clock.now();
        let ahead_ms = self.talk.account.clock_offset().num_milliseconds();
        let (mut records, mut ids, mut news) = (Vec::new(), Vec::new(), Vec::new());
        // Those that may be deleted: what tells something only once it is on the disk.
        let (mut done, mut pending) = (Vec::new(), Vec::new());
        for m in messages {
            self.watch.received(&m.id, m.received, m.sent.map(|t| self.talk.here(t)));
            let heard = self.talk.hear(NoticeFeed::EventQueue, &m.body, &m.id);
            match heard.says {
                Says::Tells(told) => {
                    if self.told.add(&heard.id) {
                        news.extend(told);
                    } else {
                        self.talk.tally.repeated += 1;
                    }
                    if self.stored.has(&heard.id) || ids.contains(&heard.id) {
                        done.push(m);
                        continue;
                    }
                    records.push(Record { seen: now, ahead_ms, message: m.id.clone(), body: m.body.clone() });
                    ids.push(heard.id);
                    pending.push(m);
                }
                Says::Ignored(_) => done.push(m),
                Says::Odd(why) => {
                    if self.talk.keep_odd(&m.body, &m.id, why).await.is_ok() {
                        done.push(m);
                    }
                }
            }
        }
        let mut failed = None;
        if !records.is_empty() {
            let spool = Arc::clone(spool);
            let written =
                blocking(move || spool.lock().unwrap_or_else(PoisonError::into_inner).append(&records, now)).await;
            match written {
                Ok(()) => {
                    for id in &ids {
                        self.stored.add(id);
                    }
                    done.extend(pending);
                }
                Err(e) => failed = Some(disk("cannot write", path, &e)),
            }
        }
        // What cannot be stored is told all the same; it stays in the queue.
        self.talk.tell(news).await;
        self.delete(url, &done).await;
        self.talk.introduce_if_remarked(self.watch.said()).await;
        failed.map_or(Ok(()), Err)
    }

    /// Deletes messages. One that is not deleted comes again, and is known.
    async fn delete(&mut self, url: &str, done: &[&Message]) {
        for batch in done.chunks(10) {
            let entries: Vec<Value> = batch
                .iter()
                .enumerate()
                .map(|(n, m)| json!({"Id": n.to_string(), "ReceiptHandle": m.receipt}))
                .collect();
            let input = json!({"QueueUrl": url, "Entries": entries});
            let outcome = self.talk.account.json(SQS, "sqs:DeleteMessageBatch", &input).await;
            let kept = match outcome {
                Ok(answer) => {
                    let failed: Vec<usize> = answer["Failed"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .filter_map(|f| f["Id"].as_str()?.parse().ok())
                        .collect();
                    let why = answer["Failed"][0]["Message"].as_str().unwrap_or("the queue refused it").to_owned();
                    (!failed.is_empty()).then_some((failed, why))
                }
                Err(error) => Some(((0..batch.len()).collect(), error.to_string())),
            };
            for (n, m) in batch.iter().enumerate() {
                let is_kept = kept.as_ref().is_some_and(|(failed, _)| failed.contains(&n));
                self.watch.deleted(&m.id, !is_kept);
            }
            if let Some((_, why)) = kept {
                if !std::mem::replace(&mut self.undeleted, true) {
                    let text = format!("messages cannot be deleted, and come again until they can, or expire: {why}");
                    self.talk.note(&text).await;
                }
                self.talk.supervisor.pause(REST).await;
            } else {
                self.undeleted = false;
            }
        }
    }

    /// Looks whether somebody else reads the queue. No permission to look is no harm.
    async fn suspect(&mut self, url: &str) {
        if let Ok(attributes) = self.attributes().await {
            let number = |key: &str| attributes[key].as_str().and_then(|n| n.parse::<u64>().ok());
            self.watch.in_flight(
                number("ApproximateNumberOfMessagesNotVisible").unwrap_or(0),
                number("VisibilityTimeout").unwrap_or(0),
            );
        }
        if self.watch.wants_tags() {
            let answer = self.talk.account.json(SQS, "sqs:ListQueueTags", &json!({"QueueUrl": url})).await;
            let tags: HashMap<String, String> =
                answer.ok().and_then(|a| serde_json::from_value(a["Tags"].clone()).ok()).unwrap_or_default();
            self.watch.tags(&tags);
        }
        self.talk.introduce_if_remarked(self.watch.said()).await;
    }

    async fn fail(&mut self, error: SourceError) {
        let error = match error {
            SourceError::NotFound { .. } => {
                let region = self.talk.account.spec.region.as_deref().unwrap_or("its region");
                let what = format!(
                    "there is no queue `{}` in {region} of {}, or not for these credentials; docs/spot-feeds.md says how to set one up",
                    self.name,
                    self.talk.account.spec.profile_name()
                );
                self.url = None;
                SourceError::Account { what: Text::new(&what) }
            }
            error => error,
        };
        self.talk.supervisor.failed(&error).await;
    }
}

impl Talk {
    /// Warns of what was just found out.
    async fn introduce_if_remarked(&mut self, said: Option<String>) {
        if let Some(why) = said {
            let text = format!("looks shared: {why}");
            let warning = format!(
                "this queue {text}. Who receives a message takes it from everybody else: give the console a queue of \
                 its own, or read a Logs group (docs/spot-feeds.md)"
            );
            self.note(&warning).await;
            self.remark = text;
            self.introduce().await;
        }
    }
}
