//! Reads what tells that machines are taken away: EventBridge's events in a `CloudWatch` Logs
//! group or in an SQS queue, and what EC2 says itself. docs/spot-feeds.md.
//!
//! [`Sources::spawn`] returns at once. Each feed polls in a task of its own. A queue is
//! read only where it is named, since what is received from it nobody else receives.

mod ec2;
mod groups;
pub mod message;
mod odd;
mod queue;
mod shared;
mod spool;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use self::message::{Hearing, Says};
use self::odd::Oddities;
use super::aws::{Account, AccountSpec, Accounts};
use super::supervise::{Supervisor, guarded};
use crate::clock::Clock;
use crate::domain::notice::{NoticeFeed, Told};
use crate::domain::{Backend, BackendKind, ClusterId, Freshness, Text, Timestamp};
use crate::store::observation::{Body, Feed, Observation, Rows, SourceId};

/// Between two reports of how many messages were ignored.
const REPORT: Duration = Duration::from_secs(10);
/// So many messages that are not understood are told of one by one; then they are counted.
const TOLD_OF: u64 = 20;

/// What an entry of the settings names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// A `CloudWatch` Logs group by its name.
    Group(String),
    /// An SQS queue by its name, its URL or its ARN.
    Queue(String),
}

/// One feed that was named.
#[derive(Debug, Clone)]
pub struct FeedSpec {
    /// What the console calls it; distinct from every cluster's name.
    pub id: ClusterId,
    /// Whose it is.
    pub account: AccountSpec,
    /// What it is.
    pub way: Way,
}

/// What to read.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Feeds that were named.
    pub feeds: Vec<FeedSpec>,
    /// Accounts and regions that are read anyway.
    pub accounts: Accounts,
    /// Look for Logs groups of events in each account.
    pub discover: bool,
    /// Ask EC2 in each account.
    pub ec2: bool,
    /// How often Logs groups are asked.
    pub interval: Duration,
    /// How often EC2 is asked.
    pub ec2_interval: Duration,
    /// The directory for what has to outlive the console. Without one no queue is read.
    pub state: Option<PathBuf>,
    /// Receive from queues, and delete what is stored. Who looks once or may change nothing only looks at what was
    /// received before.
    pub receive: bool,
    /// Names of clusters: a queue of such a name is Karpenter's.
    pub clusters: Vec<String>,
}

type Work = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// The running sources. Dropping it stops them.
pub struct Sources {
    wake: Arc<Notify>,
    accounts: Accounts,
    _tasks: JoinSet<()>,
}

/// What makes feeds.
#[derive(Clone)]
struct Starter {
    plan: Arc<Plan>,
    oddities: Arc<Oddities>,
    wake: Arc<Notify>,
    tx: mpsc::Sender<Observation>,
    clock: Clock,
}

impl Sources {
    /// Starts reading, pushing what is told to `tx`. Returns at once; must be called within
    /// a tokio runtime. When `tx` closes, reading ends.
    pub fn spawn(plan: Plan, tx: mpsc::Sender<Observation>, clock: Clock) -> Self {
        let wake = Arc::new(Notify::new());
        let accounts = plan.accounts.clone();
        let oddities = Arc::new(Oddities::new(plan.state.as_deref()));
        let starter = Starter { plan: Arc::new(plan), oddities, wake: Arc::clone(&wake), tx, clock };
        let mut tasks = JoinSet::new();
        for feed in &starter.plan.feeds {
            tasks.spawn(starter.named(feed));
        }
        let mut known: BTreeSet<AccountSpec> = BTreeSet::new();
        let follow = accounts.follow();
        let first: Vec<Arc<Account>> = follow.borrow().values().cloned().collect();
        for account in first {
            known.insert(account.spec.clone());
            starter.of_account(&account).into_iter().for_each(|work| drop(tasks.spawn(work)));
        }
        tasks.spawn(starter.more(follow, known));
        Self { wake, accounts, _tasks: tasks }
    }

    /// Ends every wait between polls.
    pub fn refresh(&self) {
        for account in self.accounts.follow().borrow().values() {
            account.limits.relax();
        }
        self.wake.notify_waiters();
    }
}

impl Starter {
    /// Reads the accounts that come while the console runs.
    fn more(
        &self,
        mut follow: tokio::sync::watch::Receiver<std::collections::BTreeMap<AccountSpec, Arc<Account>>>,
        mut known: BTreeSet<AccountSpec>,
    ) -> Work {
        let starter = self.clone();
        Box::pin(async move {
            let mut tasks = JoinSet::new();
            loop {
                let all: Vec<Arc<Account>> = follow.borrow_and_update().values().cloned().collect();
                for account in all {
                    if known.insert(account.spec.clone()) {
                        starter.of_account(&account).into_iter().for_each(|work| drop(tasks.spawn(work)));
                    }
                }
                tokio::select! {
                    () = starter.tx.closed() => return,
                    changed = follow.changed() => if changed.is_err() {
                        return starter.tx.closed().await;
                    },
                }
            }
        })
    }

    /// Everything that is read of an account without being named.
    fn of_account(&self, account: &Arc<Account>) -> Vec<Work> {
        let mut works = Vec::new();
        let named = |what: &str| ClusterId::new(format!("{what} {}", label(&account.spec)).trim_end());
        if self.plan.ec2 {
            let talk = self.talk(named("ec2"), BackendKind::Ec2, account, "", true);
            works.push(self.watched(talk.source(), Box::pin(ec2::run(talk, self.plan.ec2_interval))));
        }
        // A group that is named is read as such; who names one does not want others.
        let has_group = self.plan.feeds.iter().any(|f| f.account == account.spec && matches!(f.way, Way::Group(_)));
        if self.plan.discover && !has_group {
            let talk = self.talk(named("events"), BackendKind::EventLog, account, "groups under /aws/events/", true);
            works.push(self.watched(talk.source(), Box::pin(groups::discovered(talk, self.plan.interval))));
        }
        works
    }

    fn named(&self, feed: &FeedSpec) -> Work {
        let account = self.plan.accounts.get(&feed.account, &self.clock);
        match &feed.way {
            Way::Group(name) => {
                let talk = self.talk(feed.id.clone(), BackendKind::EventLog, &account, name, false);
                self.watched(talk.source(), Box::pin(groups::named(talk, name.clone(), self.plan.interval)))
            }
            Way::Queue(name) => {
                let talk = self.talk(feed.id.clone(), BackendKind::EventQueue, &account, name, false);
                self.watched(talk.source(), Box::pin(queue::run(talk, name.clone(), Arc::clone(&self.plan))))
            }
        }
    }

    /// Speaks for one feed, which has introduced itself and is loading from now on.
    fn talk(&self, id: ClusterId, kind: BackendKind, account: &Arc<Account>, endpoint: &str, found: bool) -> Talk {
        let source = SourceId { cluster: id, feed: Feed::Notices };
        let supervisor = Supervisor::new(source.clone(), self.tx.clone(), self.clock.clone(), Arc::clone(&self.wake));
        let talk = Talk {
            supervisor,
            account: Arc::clone(account),
            clock: self.clock.clone(),
            oddities: Arc::clone(&self.oddities),
            kind,
            endpoint: endpoint.to_owned(),
            found,
            remark: String::new(),
            tally: Tally::default(),
            reported: None,
        };
        let at = self.clock.now();
        let loading = Body::Freshness(Freshness::Loading { since: at });
        for body in [Body::Backend(talk.introduction()), loading] {
            // A full channel is no loss: the feed will be heard of soon enough.
            drop(self.tx.try_send(Observation { source: source.clone(), at, body }));
        }
        talk
    }

    /// Ends when nobody listens; says so if it stops by a fault of its own.
    fn watched(&self, source: SourceId, work: Work) -> Work {
        let (tx, clock) = (self.tx.clone(), self.clock.clone());
        Box::pin(async move {
            let said = tokio::select! {
                () = tx.closed() => None,
                said = guarded(source.feed.word(), work) => said,
            };
            let Some(because) = said else { return };
            let at = clock.now();
            let body = Body::Freshness(Freshness::Down { since: at, because });
            if tx.send(Observation { source, at, body }).await.is_err() {
                tracing::debug!("nobody listens any more");
            }
        })
    }
}

/// `prod@eu-west-1`, without what is not said.
fn label(account: &AccountSpec) -> String {
    match (&account.profile, &account.region) {
        (Some(profile), Some(region)) => format!("{profile}@{region}"),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => String::new(),
    }
}

/// The first `most` characters.
fn clipped(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// How many messages there were of each sort.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    told: u64,
    repeated: u64,
    ignored: u64,
    odd: u64,
}

/// One feed's voice: what it introduces itself as, and what it counts.
struct Talk {
    supervisor: Supervisor,
    account: Arc<Account>,
    clock: Clock,
    oddities: Arc<Oddities>,
    kind: BackendKind,
    endpoint: String,
    /// Nobody named it.
    found: bool,
    /// What somebody should know of it; may be empty.
    remark: String,
    tally: Tally,
    /// What was reported last, and when.
    reported: Option<(tokio::time::Instant, Tally)>,
}

impl Talk {
    fn source(&self) -> SourceId {
        self.supervisor.source().clone()
    }

    fn introduction(&self) -> Backend {
        let region = self.account.spec.region.as_deref().unwrap_or_default();
        let mut endpoint = match (self.endpoint.as_str(), region) {
            (what, "") => what.to_owned(),
            ("", region) => region.to_owned(),
            (what, region) => format!("{what} in {region}"),
        };
        let Tally { ignored, odd, .. } = self.tally;
        for (count, words) in [(ignored, "about something else"), (odd, "not understood")] {
            if count > 0 {
                endpoint += &format!(", {count} {words}");
            }
        }
        if !self.remark.is_empty() {
            endpoint += &format!("; {}", self.remark);
        }
        Backend {
            id: self.supervisor.source().cluster.clone(),
            kind: self.kind,
            version: Text::empty(),
            endpoint: Text::new(&clipped(&endpoint, 400)),
            cluster: None,
            found: self.found,
        }
    }

    async fn introduce(&self) {
        self.supervisor.emit(Body::Backend(self.introduction())).await;
    }

    /// Says what was counted, if that is news, and not too often.
    async fn report(&mut self) {
        let due = self.reported.is_none_or(|(at, tally)| tally != self.tally && at.elapsed() >= REPORT);
        if due && self.tally != Tally::default() {
            self.reported = Some((tokio::time::Instant::now(), self.tally));
            self.introduce().await;
        }
    }

    async fn note(&self, text: &str) {
        self.supervisor.emit(Body::Note(Text::new(text))).await;
    }

    async fn tell(&self, told: Vec<Told>) {
        if !told.is_empty() {
            self.supervisor.emit(Body::Upsert(Rows::Told(told))).await;
        }
    }

    /// A round went well: the first is a complete answer, each that follows a sign of life.
    async fn went_well(&mut self, first: &mut bool) {
        if std::mem::take(first) {
            self.supervisor.emit(Body::Begin).await;
            self.supervisor.synced().await;
        } else {
            self.supervisor.alive();
            self.supervisor.emit(Body::Alive).await;
            self.supervisor.resumed().await;
        }
    }

    /// Reads a message that came now.
    fn hear(&mut self, feed: NoticeFeed, body: &str, id: &str) -> message::Heard {
        let hearing = Hearing { feed, seen: self.clock.now(), ahead: self.account.clock_offset(), id };
        let heard = message::read(body, &hearing);
        match heard.says {
            Says::Tells(_) => self.tally.told += 1,
            Says::Ignored(_) => self.tally.ignored += 1,
            Says::Odd(_) => self.tally.odd += 1,
        }
        heard
    }

    /// Keeps a message that is not understood, and says so.
    ///
    /// # Errors
    /// Those of writing it down.
    async fn keep_odd(&mut self, body: &str, id: &str, why: &'static str) -> std::io::Result<()> {
        let (oddities, at) = (Arc::clone(&self.oddities), self.clock.now());
        let record = odd::Record::new(at, self.supervisor.source().cluster.as_str(), id, why, body);
        let kept = blocking(move || oddities.keep(&record)).await;
        if self.tally.odd <= TOLD_OF {
            let place = match (&kept, self.oddities.file()) {
                (Ok(()), Some(file)) => format!("it is kept in {}", file.display()),
                (Err(e), _) => format!("and it cannot be kept: {e}"),
                (Ok(()), None) => "it is not kept".to_owned(),
            };
            let last = if self.tally.odd == TOLD_OF { "; more are only counted" } else { "" };
            self.note(&format!("message {} is not understood: {why}; {place}{last}", clipped(id, 80))).await;
        }
        kept
    }

    /// AWS's time as the console's clock has it.
    fn here(&self, at: Timestamp) -> Timestamp {
        at.checked_add_signed(self.account.clock_offset()).unwrap_or(at)
    }
}

/// Runs what waits for the disk where that hinders nobody.
async fn blocking<T: Send + 'static>(f: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> std::io::Result<T> {
    match tokio::task::spawn_blocking(f).await {
        Ok(outcome) => outcome,
        Err(e) => Err(std::io::Error::other(e)),
    }
}
