//! `EventBridge`'s targets: a log group and a queue, at least once and in no
//! particular order.

use std::collections::{BTreeMap, VecDeque};

use super::Caller;
use super::model::Ms;
use super::sqs::Queues;
use crate::sim::cloud::Cloud;
use crate::sim::model::hash2;

/// The log group of all events.
pub const GROUP: &str = "/aws/events/quarterdeck";
/// Its one stream.
pub const STREAM: &str = "2a7b7d1e-5b1c-4f0e-9d53-0c6f3f1f2f61";
/// The queue of all events.
pub const QUEUE: &str = "quarterdeck-events";
/// Events kept in a group.
const MOST: usize = 20_000;

#[derive(Debug)]
struct Logged {
    /// When the event happened.
    at: Ms,
    /// When it can be read.
    readable: Ms,
    text: String,
}

/// The events of one account and region.
#[derive(Debug, Default)]
pub struct Events(VecDeque<Logged>);

impl Events {
    /// `(time, stream, text)` of what is readable now and happened in this span.
    pub fn lines(&self, from: Ms, to: Ms, now: Ms) -> impl Iterator<Item = (Ms, String, String)> {
        let fits = move |e: &&Logged| e.readable <= now && e.at >= from && e.at <= to;
        self.0.iter().filter(fits).map(|e| (e.at, STREAM.to_owned(), e.text.clone()))
    }

    /// The time of the oldest event.
    pub fn first_entry(&self) -> Option<Ms> {
        self.0.front().map(|e| e.at)
    }
}

/// Every target.
#[derive(Debug, Default)]
pub struct Bus(BTreeMap<(String, String), Events>);

impl Bus {
    /// Groups and queues wherever there are machines, if anything is taken back.
    pub fn new(cloud: &Cloud, queues: &mut Queues) -> Self {
        let places = if cloud.is_on() { cloud.places() } else { Vec::new() };
        for (account, region) in &places {
            queues.make(&Caller { account: account.clone(), region: region.clone() }, QUEUE);
        }
        Self(places.into_iter().map(|p| (p, Events::default())).collect())
    }

    /// The caller's group.
    pub fn group(&self, caller: &Caller) -> Option<&Events> {
        self.0.get(&(caller.account.clone(), caller.region.clone()))
    }

    /// Delivers what has been sent. What counts is there within a second; state
    /// changes may take three, and one message in eight comes twice.
    pub fn deliver(&mut self, cloud: &Cloud, queues: &mut Queues) {
        for sent in cloud.take_events() {
            let h = sent.hash();
            let slow =
                if sent.body["detail-type"].as_str().is_some_and(|t| t.ends_with("Change")) { 2_600 } else { 500 };
            let delay = |n: u64| 200 + (hash2(h, n) % slow) as Ms;
            let body = sent.body.to_string();
            let key = (sent.account.clone(), sent.region.clone());
            if let Some(events) = self.0.get_mut(&key) {
                if events.0.len() >= MOST {
                    events.0.pop_front();
                }
                events.0.push_back(Logged { at: sent.at, readable: sent.at + delay(1), text: body.clone() });
            }
            let caller = Caller { account: sent.account, region: sent.region };
            queues.put(&caller, QUEUE, &body, sent.at, sent.at + delay(2));
            if h % 8 == 0 {
                queues.put(&caller, QUEUE, &body, sent.at, sent.at + 2_000 + 4 * delay(3));
            }
        }
    }
}
