//! What a victim's tasks amount to, and how it is going to end for them.

use chrono::TimeDelta;

use super::case::AtRisk;
use crate::domain::{ObjectId, Timestamp};

/// How long it takes until a task is told to end, and how long to know that it has.
const MARGIN: TimeDelta = TimeDelta::seconds(15);

/// How it is going to end, as it looks now; the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// There is time.
    Safe,
    /// It may not be enough.
    Tight,
    /// Something will be cut.
    Cut,
}

impl Verdict {
    /// In words.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Tight => "tight",
            Self::Cut => "will be cut",
        }
    }
}

/// What of a case's tasks is asked for again and again, until one of them changes: neither how
/// late it is nor how many tasks there are matters to what it costs then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sum {
    /// How many are still there.
    pub remaining: usize,
    /// By when all that have been told to end would be killed.
    told_until: Option<Timestamp>,
    /// The longest that one which nobody has told may take, in seconds; `None` if there is none.
    untold: Option<u16>,
    /// A disruption budget holds one that nobody has told.
    pub blocked: bool,
    /// One has been told to end.
    pub begun: bool,
    /// Workloads with how many of their tasks are still there.
    pub here: Vec<(ObjectId, u32)>,
    /// Every workload that lost a task, or will.
    pub owners: Vec<ObjectId>,
}

impl Sum {
    pub(super) fn of(tasks: &[AtRisk], blocked: impl Fn(&AtRisk) -> bool) -> Self {
        let mut owners: Vec<&ObjectId> = tasks.iter().filter_map(|t| t.owner.as_ref()).collect();
        owners.sort_unstable();
        owners.dedup();
        let mut sum = Self {
            remaining: 0,
            told_until: None,
            untold: None,
            blocked: false,
            begun: false,
            here: Vec::new(),
            owners: owners.into_iter().cloned().collect(),
        };
        let mut counts = vec![0_u32; sum.owners.len()];
        for task in tasks.iter().filter(|t| t.left.is_none()) {
            sum.remaining += 1;
            if let Some(since) = task.leaving {
                sum.begun = true;
                sum.told_until = sum.told_until.max(Some(since + TimeDelta::seconds(i64::from(task.grace))));
            } else {
                sum.untold = sum.untold.max(Some(task.grace));
                sum.blocked = sum.blocked || blocked(task);
            }
            let at = task.owner.as_ref().and_then(|o| sum.owners.binary_search(o).ok());
            if let Some(count) = at.and_then(|at| counts.get_mut(at)) {
                *count += 1;
            }
        }
        sum.here = sum.owners.iter().cloned().zip(counts).filter(|(_, n)| *n > 0).collect();
        sum
    }

    /// How it is going to end for the worst of them; `None` if none is left.
    pub fn verdict(&self, look: Look) -> Option<Verdict> {
        let left = look.deadline - look.now;
        if self.remaining > 0 && left < TimeDelta::zero() {
            return Some(Verdict::Cut);
        }
        // Told to end: most do so long before they would be killed.
        let told = self.told_until.map(|until| if until <= look.deadline { Verdict::Safe } else { Verdict::Tight });
        // Nobody has told it yet.
        let untold = self.untold.map(|grace| {
            let grace = TimeDelta::seconds(i64::from(grace));
            match self.blocked || look.held {
                _ if left < TimeDelta::seconds(5) => Verdict::Cut,
                true if left < TimeDelta::seconds(30) => Verdict::Cut,
                // And nobody seems to be going to: what does not fit any more is cut.
                _ if look.idle && grace > left => Verdict::Cut,
                true => Verdict::Tight,
                false if look.idle => Verdict::Tight,
                false if grace + MARGIN > left || left < TimeDelta::seconds(60) => Verdict::Tight,
                false => Verdict::Safe,
            }
        });
        told.max(untold)
    }
}

/// From where a verdict looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// When it goes.
    pub deadline: Timestamp,
    /// When it is looked.
    pub now: Timestamp,
    /// A disruption budget held a task a moment ago.
    pub held: bool,
    /// Nobody seems to empty it.
    pub idle: bool,
}
