//! Whether a queue is somebody else's as well: Karpenter's, the termination handler's.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::Timestamp;

/// Between two looks at the queue's attributes.
const EVERY: Duration = Duration::from_mins(1);
/// Numbers are approximate: so often in a row they have to say the same.
const TWICE: u32 = 2;
/// So many messages are remembered.
const MANY: usize = 10_000;

/// Watches one queue.
#[derive(Debug)]
pub struct Watch {
    started: Timestamp,
    /// How often this console received each message that is not deleted.
    received: HashMap<String, u32>,
    /// Messages that it received and did not delete, and since when.
    held: HashMap<String, Instant>,
    others: u32,
    looked: Option<Instant>,
    tagged: bool,
    /// Found out, and not said yet.
    news: Option<String>,
    said: bool,
}

impl Watch {
    /// Of a queue by its name, URL or ARN; `clusters` are names of clusters.
    #[must_use]
    pub fn new(queue: &str, clusters: &[String], now: Timestamp) -> Self {
        let mut watch = Self {
            started: now,
            received: HashMap::new(),
            held: HashMap::new(),
            others: 0,
            looked: None,
            tagged: false,
            news: None,
            said: false,
        };
        let name = queue.rsplit(['/', ':']).next().unwrap_or(queue).trim_end_matches(".fifo");
        if let Some(whose) = owner(name) {
            watch.find(format!("its name is one of {whose}'s"));
        } else if clusters.iter().any(|c| c == name) {
            watch.find(format!("`{name}` is the name of a cluster, as Karpenter's queues have it"));
        }
        watch
    }

    fn find(&mut self, why: String) {
        if !std::mem::replace(&mut self.said, true) {
            self.news = Some(why);
        }
    }

    /// What was found out since this was asked last.
    pub fn said(&mut self) -> Option<String> {
        self.news.take()
    }

    /// True if it is time to look at the attributes.
    pub fn is_due(&mut self) -> bool {
        let due = !self.said && self.looked.is_none_or(|at| at.elapsed() >= EVERY);
        if due {
            self.looked = Some(Instant::now());
        }
        due
    }

    /// True once.
    pub fn wants_tags(&mut self) -> bool {
        !std::mem::replace(&mut self.tagged, true)
    }

    /// The queue's tags.
    pub fn tags(&mut self, tags: &HashMap<String, String>) {
        for (key, value) in tags {
            if let Some(whose) = owner(key).or_else(|| owner(value)) {
                return self.find(format!("it has a tag of {whose}'s, {key}={value}"));
            }
        }
    }

    /// A message was received, for the `count`th time by anybody.
    pub fn received(&mut self, id: &str, count: u32, sent: Option<Timestamp>) {
        if self.received.len() >= MANY {
            self.received.clear();
        }
        self.held.insert(id.to_owned(), Instant::now());
        let ours = self.received.entry(id.to_owned()).or_default();
        *ours += 1;
        // One that was sent earlier may have been received by the console before this one.
        let before = sent.is_none_or(|at| at < self.started);
        if count > *ours && !before {
            self.find("somebody else received a message before this console did".to_owned());
        }
    }

    /// A message was deleted, or could not be.
    pub fn deleted(&mut self, id: &str, done: bool) {
        if done {
            self.held.remove(id);
            self.received.remove(id);
        }
    }

    /// So many messages are received and not deleted, by anybody; they are hidden for so
    /// many seconds unless who receives them says otherwise.
    pub fn in_flight(&mut self, count: u64, visibility: u64) {
        let hidden = Duration::from_secs(visibility.max(60));
        self.held.retain(|_, since| since.elapsed() < hidden);
        let others = count > self.held.len() as u64;
        self.others = if others { self.others + 1 } else { 0 };
        // The first look may still see what the console before this one held.
        if self.others > TWICE {
            self.find("somebody else holds messages of it".to_owned());
        }
    }
}

/// Whose a name is.
fn owner(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let nth = name.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == "nth");
    if name.contains("karpenter") {
        Some("Karpenter")
    } else if nth || name.contains("termination-handler") || name.contains("terminationhandler") {
        Some("aws-node-termination-handler")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{TimeDelta, TimeZone as _, Utc};

    fn now() -> Timestamp {
        Utc.with_ymd_and_hms(2026, 11, 20, 3, 14, 0).unwrap()
    }

    fn said(queue: &str) -> Option<String> {
        Watch::new(queue, &["shop".to_owned()], now()).said()
    }

    #[test]
    fn names_and_tags_give_it_away() {
        for shared in ["Karpenter-shop", "https://sqs.eu-west-1.amazonaws.com/1/nth-queue", "arn:aws:sqs:r:1:prod-nth"]
        {
            assert!(said(shared).is_some(), "{shared}");
        }
        assert!(said("aws-node-termination-handler").unwrap().contains("aws-node-termination-handler's"));
        assert!(said("https://sqs.eu-west-1.amazonaws.com/1/shop").unwrap().contains("name of a cluster"));
        for own in ["quarterdeck-events", "month", "tenth", "shop-quarterdeck"] {
            assert_eq!(said(own), None, "{own}");
        }
        let mut watch = Watch::new("q", &[], now());
        watch.tags(&HashMap::from([("team".to_owned(), "shop".to_owned())]));
        assert_eq!(watch.said(), None);
        watch.tags(&HashMap::from([("karpenter.sh/discovery".to_owned(), "shop".to_owned())]));
        assert!(watch.said().unwrap().contains("karpenter.sh/discovery=shop"));
        watch.tags(&HashMap::from([("karpenter.sh/discovery".to_owned(), "shop".to_owned())]));
        assert_eq!(watch.said(), None, "once is enough");
    }

    #[tokio::test(start_paused = true)]
    async fn what_others_receive_is_noticed_and_what_we_received_is_not() {
        let mut watch = Watch::new("q", &[], now());
        let later = Some(now() + TimeDelta::seconds(5));
        watch.received("a", 1, later);
        watch.received("a", 2, later);
        watch.received("old", 3, Some(now() - TimeDelta::seconds(5)));
        assert_eq!(watch.said(), None);
        watch.received("b", 2, later);
        assert!(watch.said().is_some());

        let mut watch = Watch::new("q", &[], now());
        watch.received("a", 1, later);
        for _ in 0..5 {
            watch.in_flight(1, 30);
        }
        assert_eq!(watch.said(), None, "that one is ours");
        watch.deleted("a", true);
        watch.in_flight(1, 30);
        watch.in_flight(0, 30);
        watch.in_flight(1, 30);
        watch.in_flight(1, 30);
        assert_eq!(watch.said(), None, "numbers are approximate");
        watch.in_flight(1, 30);
        assert!(watch.said().is_some());
    }
}
