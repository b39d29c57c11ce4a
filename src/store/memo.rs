//! What is worked out from all rows, kept until something it depends on has changed:
//! several parts of one frame ask for the same.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::TimeDelta;

use crate::clock::instant;
use crate::domain::Timestamp;

/// A value, and the moment it was worked out for, or whatever else it depends on.
#[derive(Debug)]
pub struct Memo<T, K = Moment>(RefCell<Option<(K, T)>>);

/// The store's revisions, and the second: how a thing is depends on for how long it
/// has been so.
pub type Moment = (u64, u64, i64);

impl<T, K> Default for Memo<T, K> {
    fn default() -> Self {
        Self(RefCell::new(None))
    }
}

impl<T: Clone, K: PartialEq> Memo<T, K> {
    /// The value at `moment`, made if another is kept. `make` must not ask for it itself.
    pub fn at(&self, moment: K, make: impl FnOnce() -> T) -> T {
        self.kept(&moment, |_| false).unwrap_or_else(|| {
            let made = make();
            self.keep(moment, made.clone());
            made
        })
    }

    /// What is kept, if that is for `moment`, or `good` says of what it is for that it will do.
    fn kept(&self, moment: &K, good: impl FnOnce(&K) -> bool) -> Option<T> {
        self.0
            .borrow()
            .as_ref()
            .filter(|(kept_for, _)| kept_for == moment || good(kept_for))
            .map(|(_, kept)| kept.clone())
    }

    fn keep(&self, moment: K, made: T) {
        *self.0.borrow_mut() = Some((moment, made));
    }
}

impl<T: Clone, K: Clone> Memo<T, K> {
    /// Whatever is kept, and what for.
    fn last(&self) -> Option<(K, T)> {
        self.0.borrow().clone()
    }
}

/// Somebody is at the door: something was typed that nobody has read yet. Cloning shares it; any thread may knock.
#[derive(Clone, Default)]
pub struct Door(Arc<Doorway>);

#[derive(Default)]
struct Doorway {
    knocked: AtomicBool,
    /// Whether somebody stands there who has not knocked yet.
    look: Option<Box<dyn Fn() -> bool + Send + Sync>>,
}

impl Door {
    /// With a look outside, asked now and then by whoever is at work: the thread that reads what is typed, and knocks, may
    /// have to wait for a processor first. It must be cheap.
    pub fn with_look(look: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(Doorway { knocked: AtomicBool::new(false), look: Some(Box::new(look)) }))
    }

    /// Something was typed.
    pub fn knock(&self) {
        self.0.knocked.store(true, Ordering::Relaxed);
    }

    /// It is being read.
    pub fn answer(&self) {
        self.0.knocked.store(false, Ordering::Relaxed);
    }

    /// True until the loop comes to read what was typed; now and then a moment longer, of which nothing comes but a frame that
    /// is made of what there is.
    #[must_use]
    pub fn is_knocked_at(&self) -> bool {
        self.0.knocked.load(Ordering::Relaxed) || self.0.look.as_ref().is_some_and(|look| look())
    }
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("knocked", &self.0.knocked).finish_non_exhaustive()
    }
}

/// How old what is worked out from everything may be. Nothing is old unless the one who
/// draws allows it: many changes a second would have all of it worked out for each frame.
#[derive(Debug, Default)]
pub struct Patience {
    allowed: TimeDelta,
    hurried: Cell<bool>,
    /// When the oldest was made that was given since this was asked for last.
    used: Cell<Option<Timestamp>>,
    /// What this frame has cost so far.
    spent: Cell<Duration>,
    /// Where somebody knocks who shall not be kept waiting.
    pub door: Door,
}

/// Of what is not quite so at any moment.
const NEVER: Moment = (u64::MAX, u64::MAX, i64::MAX);
/// How old it may be in a frame that answers a key, whatever the second.
const HURRIED: TimeDelta = TimeDelta::seconds(2);
/// The same in a frame that has made enough. It is less: whatever a frame leaves out one that nobody waits for makes, and not
/// the next that answers a key.
const TIRED: TimeDelta = TimeDelta::seconds(1);
/// The same in a frame that is cut short: longer than a second, since the ages on screen ask for one every second.
const CUT_SHORT: TimeDelta = TimeDelta::milliseconds(1500);
/// A frame that has worked for so long leaves the rest to the next.
const ENOUGH: Duration = Duration::from_millis(2);

impl Patience {
    /// As old as this; must be less than a second, since ages are shown by the second.
    #[must_use]
    pub fn of(allowed: TimeDelta) -> Self {
        Self { allowed, ..Self::default() }
    }

    /// Somebody waits for the next frame: it is drawn with what is worked out already, and the one after
    /// it, a moment later, brings that up to date. Without any allowance nothing is hurried.
    pub fn hurry(&self, hurried: bool) {
        self.hurried.set(hurried && self.allowed > TimeDelta::zero());
    }

    /// A frame begins.
    pub fn begin(&self) {
        self.spent.set(Duration::ZERO);
    }

    /// Somebody waits for this frame, or it has made enough, and what was so at `at` will do: true if it is used. It is
    /// asked for again soon.
    #[must_use]
    pub fn will_do(&self, at: Timestamp, now: Timestamp) -> bool {
        let will_do = at <= now && self.may_be_old(now - at);
        self.gave(will_do.then_some(at));
        will_do
    }

    /// Something old was given, made then.
    fn gave(&self, at: Option<Timestamp>) {
        self.used.set(self.used.get().into_iter().chain(at).min());
    }

    /// True once somebody has knocked, where what was so at `at` will do for the frame that is being made: whatever takes long
    /// is given up then, and asked for again soon.
    #[must_use]
    pub fn is_interrupted(&self, at: Timestamp, now: Timestamp) -> bool {
        let gives_up =
            self.door.is_knocked_at() && self.allowed > TimeDelta::zero() && at <= now && now - at < CUT_SHORT;
        self.gave(gives_up.then_some(at));
        gives_up
    }

    fn may_be_old(&self, age: TimeDelta) -> bool {
        (self.hurried.get() && age < HURRIED) || (self.spent.get() > ENOUGH && age < TIRED)
    }

    /// True while the next frame is one that answers a key.
    #[must_use]
    pub fn is_hurried(&self) -> bool {
        self.hurried.get()
    }

    /// What `make` makes, and when the oldest was made that it was given; `None` where nothing old was.
    pub fn oldest_in<R>(&self, make: impl FnOnce() -> R) -> (R, Option<Timestamp>) {
        let before = self.used.take();
        let made = make();
        let oldest = self.used.get();
        self.gave(before);
        (made, oldest)
    }

    /// True if something old was given since this was last asked: it has to be asked for again.
    pub fn was_used(&self) -> bool {
        self.used.take().is_some()
    }

    /// The value at `moment`, or one of the same second that is not older than allowed.
    pub(super) fn of_memo<T: Clone>(
        &self,
        memo: &Memo<T, (Moment, Timestamp)>,
        (moment, now): (Moment, Timestamp),
        make: impl FnOnce() -> T,
    ) -> T {
        let mut make = Some(make);
        self.of_long(memo, (moment, now), |_| make.take().map(|make| make()))
    }

    /// The same of what takes long: `make` asks now and then whether it shall give up, and returns nothing if it did.
    pub(super) fn of_long<T: Clone>(
        &self,
        memo: &Memo<T, (Moment, Timestamp)>,
        (moment, now): (Moment, Timestamp),
        mut make: impl FnMut(&dyn Fn() -> bool) -> Option<T>,
    ) -> T {
        let good = |(kept, at): &(Moment, Timestamp)| {
            let fresh = now - *at < self.allowed && at.timestamp() == now.timestamp();
            let will_do = *kept == moment || (*at <= now && (fresh || self.may_be_old(now - *at)));
            self.gave((will_do && *kept != moment).then_some(*at));
            will_do
        };
        if let Some(kept) = memo.kept(&(moment, now), good) {
            return kept;
        }
        let start = instant();
        let (made, made_of) = match memo.last() {
            Some(((_, at), last)) => {
                let stop = || self.is_interrupted(at, now);
                // Once somebody has knocked, whatever else the frame asks for is not begun either.
                let (made, made_of) = self.oldest_in(|| if stop() { None } else { make(&stop) });
                let Some(made) = made else {
                    self.gave(Some(at));
                    return last;
                };
                (made, made_of)
            }
            // Without anything to fall back on it is not told to give up.
            None => self.oldest_in(|| {
                loop {
                    if let Some(made) = make(&|| false) {
                        break made;
                    }
                }
            }),
        };
        if self.allowed > TimeDelta::zero() {
            self.spent.set(self.spent.get() + start.elapsed());
        }
        // What something old went into is as old as that, and of no moment: it is asked for again.
        memo.keep(made_of.map_or((moment, now), |at| (NEVER, at)), made.clone());
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        chrono::DateTime::from_timestamp_millis(1_790_000_000_000 + millis).unwrap_or_default()
    }

    #[test]
    fn nothing_is_old_unless_that_is_allowed() {
        let memo = Memo::default();
        let ask = |patience: &Patience, revision, millis, value| {
            let now = at(millis);
            patience.of_memo(&memo, ((revision, 0, now.timestamp()), now), || value)
        };
        let strict = Patience::default();
        assert_eq!(ask(&strict, 1, 0, 'a'), 'a');
        assert_eq!(ask(&strict, 1, 5, 'b'), 'a', "nothing has changed");
        assert_eq!(ask(&strict, 2, 5, 'c'), 'c');
        assert!(!strict.was_used());
        let lenient = Patience::of(TimeDelta::milliseconds(250));
        assert_eq!(ask(&lenient, 3, 200, 'd'), 'c');
        assert!(lenient.was_used());
        assert!(!lenient.was_used(), "it is told once");
        assert_eq!(ask(&lenient, 4, 255, 'e'), 'e', "it was made 250 ms ago");
        assert!(!lenient.was_used());
        assert_eq!(ask(&lenient, 5, 900, 'f'), 'f');
        assert_eq!(ask(&lenient, 6, 1000, 'g'), 'g', "another second, other ages");
        assert_eq!(ask(&lenient, 7, 990, 'h'), 'h', "a clock that was set back");
        lenient.hurry(true);
        assert_eq!(ask(&lenient, 8, 2985, 'i'), 'h', "a key waits for it");
        assert!(lenient.was_used());
        assert_eq!(ask(&lenient, 8, 2991, 'j'), 'j', "two seconds old is too old even then");
        assert!(lenient.will_do(at(1000), at(2999)) && lenient.was_used(), "so is the order of a list");
        assert!(!lenient.will_do(at(999), at(2999)) && !lenient.was_used());
        assert!(!lenient.will_do(at(3000), at(2999)), "a clock that was set back");
        lenient.hurry(false);
        assert!(!lenient.will_do(at(2998), at(2999)), "nobody waits");
        assert_eq!(ask(&lenient, 9, 3100, 'k'), 'k');
        strict.hurry(true);
        assert_eq!(ask(&strict, 10, 3101, 'l'), 'l', "where nothing may be old, nothing is");
    }

    #[test]
    fn whatever_it_depends_on_it_may_be_as_old_as_allowed() {
        let memo = Memo::default();
        let patience = Patience::of(TimeDelta::milliseconds(250));
        // Not on the second: what tasks use is read in rounds.
        let ask = |round, millis, value| patience.of_memo(&memo, ((round, 0, 0), at(millis)), || value);
        assert_eq!((ask(1, 0, 'a'), ask(2, 249, 'b'), ask(2, 250, 'c')), ('a', 'a', 'c'));
    }

    #[test]
    fn a_frame_that_has_made_enough_leaves_the_rest_to_the_next() {
        let (first, second) = (Memo::default(), Memo::default());
        let patience = Patience::of(TimeDelta::milliseconds(250));
        let ask = |memo, revision, millis, value: char, slow| {
            let now = at(millis);
            patience.of_memo(memo, ((revision, 0, now.timestamp()), now), || {
                let start = instant();
                while slow && start.elapsed() <= ENOUGH {}
                value
            })
        };
        assert_eq!((ask(&first, 1, 0, 'a', false), ask(&second, 1, 0, 'a', false)), ('a', 'a'));
        patience.begin();
        assert_eq!(ask(&first, 2, 900, 'b', true), 'b');
        assert_eq!(ask(&second, 2, 900, 'b', false), 'a');
        assert!(patience.was_used(), "the next frame comes soon");
        assert!(patience.will_do(at(1), at(1000)) && patience.was_used(), "so does a list with its order");
        assert!(!patience.will_do(at(0), at(1000)));
        assert_eq!(ask(&second, 3, 1000, 'c', false), 'c', "a second old is too old");
        patience.begin();
        assert_eq!(ask(&first, 4, 1900, 'd', false), 'd', "another frame");
    }

    #[test]
    fn what_is_made_of_something_old_is_old() {
        let (parts, sum) = (Memo::default(), Memo::default());
        let patience = Patience::of(TimeDelta::milliseconds(250));
        // A sum of what takes long; somebody knocks while it is added up.
        let ask = |revision: u64, millis, knocks: bool| {
            let now = at(millis);
            let moment = ((revision, 0, now.timestamp()), now);
            patience.of_memo(&sum, moment, || {
                if knocks {
                    patience.door.knock();
                }
                100 + patience.of_long(&parts, moment, |stop| (!stop()).then_some(revision))
            })
        };
        assert_eq!(ask(1, 0, false), 101);
        assert_eq!(ask(2, 900, true), 101);
        assert!(patience.was_used());
        patience.door.answer();
        assert_eq!(ask(2, 901, false), 102, "the same moment, and the sum is not kept for it");
        assert!(!patience.was_used());
        assert_eq!((ask(3, 1800, true), ask(3, 1801, false)), (102, 102));
        assert!(patience.was_used());
        patience.door.answer();
        // As something made at 1800 it would do for 250 ms; it is as old as what went into it.
        assert_eq!(ask(3, 1802, false), 103);
    }

    #[test]
    fn what_takes_long_is_given_up_when_somebody_knocks() {
        let memo = Memo::default();
        // Looks for the door before each of three steps; how many it took.
        let ask = |patience: &Patience, revision, millis, knock_at: usize| {
            let (now, steps) = (at(millis), Cell::new(0));
            let value = patience.of_long(&memo, ((revision, 0, now.timestamp()), now), |stop| {
                for step in 0..3 {
                    if step == knock_at {
                        patience.door.knock();
                    }
                    if stop() {
                        return None;
                    }
                    steps.set(steps.get() + 1);
                }
                Some(revision)
            });
            (value, steps.get())
        };
        let patience = Patience::of(TimeDelta::milliseconds(250));
        assert_eq!(ask(&patience, 1, 0, 1), (1, 3), "there is nothing else to show");
        patience.door.answer();
        assert_eq!(ask(&patience, 2, 900, 1), (1, 1));
        assert!(patience.was_used(), "it is asked for again soon");
        assert_eq!(ask(&patience, 2, 900, 9), (1, 0), "and not once more by the same frame");
        let other = Memo::default();
        let glance =
            |revision, value| patience.of_memo(&other, ((revision, 0, at(900).timestamp()), at(900)), || value);
        assert_eq!((glance(1, 'a'), glance(2, 'b')), ('a', 'a'), "nor anything else, of which there is something");
        assert!(patience.was_used());
        patience.door.answer();
        assert_eq!(ask(&patience, 2, 901, 9), (2, 3), "from the start, and nobody knocks");
        assert!(!patience.was_used());
        assert_eq!(ask(&patience, 3, 2401, 0), (3, 3), "who knocks without end sees something new before long");
        assert!(patience.is_interrupted(at(1402), at(2901)) && patience.was_used(), "so does an order of a list");
        assert!(!patience.is_interrupted(at(1401), at(2901)) && !patience.is_interrupted(at(2902), at(2901)));
        let strict = Patience::default();
        assert_eq!(ask(&strict, 4, 2000, 0), (4, 3), "where nothing may be old, nothing is");
        let stands_there = Arc::new(AtomicBool::new(true));
        let seen = Arc::clone(&stands_there);
        let looks = Door::with_look(move || seen.load(Ordering::Relaxed));
        assert!(looks.is_knocked_at(), "nobody has had the time to knock");
        stands_there.store(false, Ordering::Relaxed);
        assert!(!looks.is_knocked_at());
    }
}
