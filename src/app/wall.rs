//! The wallboard as it stands: which page is on the screen, since when, and why.
//!
//! Pages rotate. One that turns critical takes the screen and keeps it until it clears, or until
//! it has had it for long enough; from then on it comes back with every other turn. A person may
//! hold a page, or leaf through them; both pass, since nobody stands before a wall for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::TimeDelta;

use crate::domain::Timestamp;
use crate::key::{Key, KeyCode};

/// How long the help stays.
const HELP: TimeDelta = TimeDelta::seconds(30);

/// A page of the wallboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WallPage {
    /// Every cluster, and what is wrong.
    Overview,
    /// The nodes and their tasks as marks.
    Map,
    /// Error budgets.
    Budgets,
    /// Alarms.
    Alarms,
    /// What is going to go.
    Spot,
    /// Services with their golden signals.
    Services,
    /// What happened today.
    Timeline,
}

impl WallPage {
    /// Every page, in the order of the rotation.
    pub const ALL: [Self; 7] =
        [Self::Overview, Self::Map, Self::Budgets, Self::Alarms, Self::Spot, Self::Services, Self::Timeline];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Map => "map",
            Self::Budgets => "budgets",
            Self::Alarms => "alarms",
            Self::Spot => "spot",
            Self::Services => "services",
            Self::Timeline => "timeline",
        }
    }

    /// The page called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.name() == name)
    }
}

/// How the pages go round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The pages, in their order, each once; none is all of them.
    pub pages: Vec<WallPage>,
    /// How long each stays.
    pub rotate: TimeDelta,
    /// How long a critical page keeps the screen, and one that somebody holds.
    pub hold: TimeDelta,
}

impl Rules {
    /// Rules from settings.
    #[must_use]
    pub fn new(pages: &[WallPage], rotate: Duration, hold: Duration) -> Self {
        let time = |d: Duration| TimeDelta::from_std(d).unwrap_or(TimeDelta::minutes(1));
        let mut each = Vec::new();
        for page in if pages.is_empty() { &WallPage::ALL[..] } else { pages } {
            if !each.contains(page) {
                each.push(*page);
            }
        }
        Self { pages: each, rotate: time(rotate).max(TimeDelta::seconds(1)), hold: time(hold) }
    }
}

/// A page has something that somebody has to look at now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Critical {
    /// The page.
    pub page: WallPage,
    /// What, in a few words: `2 alarms page`.
    pub why: String,
    /// Each of them by a number of its own: one more takes the screen again.
    pub members: BTreeSet<u64>,
}

#[derive(Debug, Clone)]
struct Alert {
    why: String,
    members: BTreeSet<u64>,
    since: Timestamp,
}

/// What a key did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pressed {
    /// Nothing: the key means nothing here.
    Nothing,
    /// Something on the screen.
    Changed,
    /// The wallboard is to end.
    Quit,
}

/// Why the page on the screen is there, and what follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stay {
    /// Its turn in the rotation.
    Turn {
        /// The next page.
        next: WallPage,
        /// In so many seconds.
        secs: i64,
    },
    /// It is critical.
    Critical {
        /// What is.
        why: String,
        /// Seconds for which it keeps the screen yet, unless it clears.
        secs: i64,
        /// How many pages share the screen with it.
        others: usize,
    },
    /// Critical for longer than it may keep the screen: it comes back with every other turn.
    Returns {
        /// What is.
        why: String,
        /// The next page.
        next: WallPage,
        /// In so many seconds.
        secs: i64,
    },
    /// Somebody holds it.
    Held {
        /// Seconds until it is let go.
        secs: i64,
        /// How many other pages are critical meanwhile.
        waiting: usize,
    },
}

/// The wallboard's own state.
#[derive(Debug, Clone)]
pub struct Wall {
    rules: Rules,
    page: WallPage,
    since: Timestamp,
    /// Where the ordinary rotation stands.
    turn: usize,
    /// The tired page that came last.
    last_tired: Option<WallPage>,
    held: Option<Timestamp>,
    /// Somebody chose this page: it gets a whole turn.
    chosen: bool,
    help: Option<Timestamp>,
    alerts: BTreeMap<WallPage, Alert>,
    started: Timestamp,
}

impl Wall {
    /// On its first page.
    #[must_use]
    pub fn new(rules: Rules, now: Timestamp) -> Self {
        let page = rules.pages.first().copied().unwrap_or(WallPage::Overview);
        Self {
            rules,
            page,
            since: now,
            turn: 0,
            last_tired: None,
            held: None,
            chosen: false,
            help: None,
            alerts: BTreeMap::new(),
            started: now,
        }
    }

    /// The page on the screen.
    #[must_use]
    pub fn page(&self) -> WallPage {
        self.page
    }

    /// The pages, in their order.
    #[must_use]
    pub fn pages(&self) -> &[WallPage] {
        &self.rules.pages
    }

    /// When reading began: what came before may be unknown.
    #[must_use]
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// True while the help is shown.
    #[must_use]
    pub fn is_help(&self) -> bool {
        self.help.is_some()
    }

    /// True if the page is critical.
    #[must_use]
    pub fn is_critical(&self, page: WallPage) -> bool {
        self.alerts.contains_key(&page)
    }

    /// Lets time pass. `criticals` are all pages that are critical now, the most urgent first; those
    /// that are not shown at all are left out. True if another page is on the screen.
    pub fn tick(&mut self, now: Timestamp, criticals: Vec<Critical>) -> bool {
        let before = self.page;
        // A clock that was set back must not stop the rotation.
        self.since = self.since.min(now);
        self.held = self.held.map(|t| t.min(now));
        self.help = self.help.filter(|t| now - *t < HELP);
        let new = self.take_in(now, criticals);
        if let Some(since) = self.held {
            if now - since < self.rules.hold {
                return false;
            }
            self.held = None;
        }
        if let Some(page) = new {
            if page != self.page {
                self.go(page, now);
            }
        } else if self.is_due(now) {
            let next = self.following(now);
            if next == self.page {
                self.since = now;
            } else {
                self.go(next, now);
            }
            self.note_turn();
        }
        self.page != before
    }

    /// What a key does. Whatever is not named here does nothing.
    pub fn press(&mut self, key: Key, now: Timestamp) -> Pressed {
        if key.ctrl || key.alt || key.shift {
            return Pressed::Nothing;
        }
        match key.code {
            KeyCode::Char('q') => return Pressed::Quit,
            KeyCode::Char('?') => self.help = if self.help.is_some() { None } else { Some(now) },
            KeyCode::Char(' ') => {
                // Let go, the page still has its turn.
                self.since = now;
                self.held = if self.held.is_some() { None } else { Some(now) };
            }
            KeyCode::Left | KeyCode::Up => self.leaf(now, false),
            KeyCode::Right | KeyCode::Down => self.leaf(now, true),
            _ => return Pressed::Nothing,
        }
        Pressed::Changed
    }

    /// Shows this page, for a turn.
    pub fn choose(&mut self, page: WallPage, now: Timestamp) {
        self.go(page, now);
        self.chosen = true;
        self.note_turn();
    }

    /// Why the page on the screen is there.
    #[must_use]
    pub fn stay(&self, now: Timestamp) -> Stay {
        if let Some(since) = self.held {
            let waiting = self.alerts.keys().filter(|p| **p != self.page).count();
            return Stay::Held { secs: (self.rules.hold - (now - since)).num_seconds().max(0), waiting };
        }
        let secs = (self.rules.rotate - (now - self.since)).num_seconds().max(0);
        let fresh = self.fresh(now);
        match self.alerts.get(&self.page) {
            Some(alert) if fresh.contains(&self.page) => Stay::Critical {
                why: alert.why.clone(),
                secs: (self.rules.hold - (now - alert.since)).num_seconds().max(0),
                others: fresh.len() - 1,
            },
            Some(alert) => Stay::Returns { why: alert.why.clone(), next: self.following(now), secs },
            None => Stay::Turn { next: self.following(now), secs },
        }
    }

    /// Takes in what is critical; the most urgent page that is so anew.
    fn take_in(&mut self, now: Timestamp, criticals: Vec<Critical>) -> Option<WallPage> {
        let mut new = None;
        let mut alerts = BTreeMap::new();
        for Critical { page, why, members } in criticals {
            if !self.rules.pages.contains(&page) {
                continue;
            }
            let known = self.alerts.get(&page).filter(|a| members.is_subset(&a.members));
            // What has to wait for a page that is held has not had the screen yet.
            let waits = self.held.is_some() && page != self.page;
            let since = known.filter(|_| !waits).map_or(now, |a| a.since.min(now));
            if known.is_none() && new.is_none() {
                new = Some(page);
            }
            alerts.insert(page, Alert { why, members, since });
        }
        if self.alerts.contains_key(&self.page) && !alerts.contains_key(&self.page) {
            // That it has cleared is worth a turn.
            self.since = now;
        }
        self.alerts = alerts;
        new
    }

    /// Critical pages that may keep the screen, in the order of the rotation.
    fn fresh(&self, now: Timestamp) -> Vec<WallPage> {
        let fresh = |p: &&WallPage| self.alerts.get(p).is_some_and(|a| now - a.since < self.rules.hold);
        self.rules.pages.iter().filter(fresh).copied().collect()
    }

    fn is_due(&self, now: Timestamp) -> bool {
        let fresh = self.fresh(now);
        let turn = now - self.since >= self.rules.rotate;
        match fresh.as_slice() {
            [] => turn,
            [one] if *one == self.page => false,
            several if several.contains(&self.page) => turn,
            // Critical pages wait for nobody but for whom leafs.
            _ => turn || !self.chosen,
        }
    }

    /// The page that is next, as things stand.
    fn following(&self, now: Timestamp) -> WallPage {
        let fresh = self.fresh(now);
        if let Some(first) = fresh.first() {
            return after(&fresh, self.page).unwrap_or(*first);
        }
        let tired: Vec<WallPage> = self.rules.pages.iter().filter(|p| self.alerts.contains_key(p)).copied().collect();
        let calm = |p: &WallPage| !tired.contains(p);
        if calm(&self.page)
            && let Some(first) = tired.first()
        {
            return self.last_tired.and_then(|last| after(&tired, last)).unwrap_or(*first);
        }
        let n = self.rules.pages.len();
        let round = (1..=n).filter_map(|i| self.rules.pages.get((self.turn + i) % n.max(1))).copied();
        let mut next = round.clone().filter(calm);
        next.next().or_else(|| round.clone().next()).unwrap_or(self.page)
    }

    fn go(&mut self, page: WallPage, now: Timestamp) {
        (self.page, self.since, self.chosen) = (page, now, false);
    }

    /// Where the rotation goes on from: a page that comes out of turn does not move it.
    fn note_turn(&mut self) {
        if self.alerts.contains_key(&self.page) {
            self.last_tired = Some(self.page);
            if self.alerts.len() < self.rules.pages.len() {
                return;
            }
        }
        if let Some(at) = self.rules.pages.iter().position(|p| *p == self.page) {
            self.turn = at;
        }
    }

    fn leaf(&mut self, now: Timestamp, forward: bool) {
        let pages = &self.rules.pages;
        let at = pages.iter().position(|p| *p == self.page).unwrap_or(0);
        let n = pages.len().max(1);
        let to = if forward { (at + 1) % n } else { (at + n - 1) % n };
        if let Some(page) = pages.get(to).copied() {
            self.choose(page, now);
            self.turn = to;
        }
        // Who leafs while holding holds what comes.
        self.held = self.held.map(|_| now);
    }
}

/// The one after `page` in a list that goes round; `None` if it is not in it.
fn after(list: &[WallPage], page: WallPage) -> Option<WallPage> {
    let at = list.iter().position(|p| *p == page)?;
    list.get((at + 1) % list.len()).copied()
}

/// How often each kind of source speaks when all is well: data older than twice that is stale, older
/// than ten times it is no figure any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// CPU and memory use.
    pub metrics: Duration,
    /// Tasks and services of ECS; other lists there are asked for less often.
    pub aws: Duration,
    /// Alerts of metric backends.
    pub backends: Duration,
    /// Error budgets and golden signals.
    pub slo: Duration,
    /// Notices.
    pub notices: Duration,
}

impl Pace {
    /// A Kubernetes watch says every minute that nothing is new.
    pub const WATCH: Duration = Duration::from_mins(1);
}

impl Default for Pace {
    /// The settings' defaults.
    fn default() -> Self {
        Self {
            metrics: Duration::from_secs(30),
            aws: Duration::from_secs(15),
            backends: Duration::from_secs(30),
            slo: Duration::from_mins(1),
            notices: Duration::from_secs(10),
        }
    }
}

/// By how much the whole picture is moved at this time, in columns and rows, so that nothing burns
/// itself into the screen: a step every three minutes, round a square of two by two.
#[must_use]
pub fn shift(now: Timestamp) -> (u16, u16) {
    match now.timestamp().div_euclid(180).rem_euclid(4) {
        0 => (0, 0),
        1 => (1, 0),
        2 => (1, 1),
        _ => (0, 1),
    }
}

#[cfg(test)]
#[path = "wall/tests.rs"]
mod tests;
