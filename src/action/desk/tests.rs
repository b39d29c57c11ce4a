use super::*;
use crate::action::plan::{Change, Fate, Precondition};

/// Runs until it is cancelled.
struct Endless;

impl Actor for Endless {
    fn plan<'a>(&'a self, intent: &'a Intent) -> BoxFuture<'a, Result<Plan, Text>> {
        Box::pin(async { Ok(Plan::new(intent.clone(), Clock::system().now())) })
    }

    fn run<'a>(&'a self, _: &'a Plan, _: &'a Progress, cancel: &'a CancellationToken) -> BoxFuture<'a, End> {
        Box::pin(async {
            cancel.cancelled().await;
            End::failed("cancelled", None)
        })
    }
}

/// What was written, and whether what it is about had been told to stop by then.
#[derive(Default)]
struct Log {
    token: Mutex<Option<CancellationToken>>,
    ends: Mutex<Vec<(Outcome, bool)>>,
}

impl Record for Log {
    fn begin(&self, _: &Plan, _: &Assent, _: crate::domain::Timestamp) -> Result<u64, Text> {
        Ok(1)
    }

    fn end(&self, _: u64, end: &End, _: crate::domain::Timestamp) -> Result<(), Text> {
        let stopped = self.token.lock().unwrap().as_ref().is_some_and(CancellationToken::is_cancelled);
        self.ends.lock().unwrap().push((end.outcome, stopped));
        Ok(())
    }
}

#[tokio::test]
async fn what_is_abandoned_is_stopped_before_its_end_is_written() {
    let log = Arc::new(Log::default());
    let actors: Actors = Arc::new(|_| Some(Arc::new(Endless) as Arc<dyn Actor>));
    let desk = Desk::new(actors, Policy::default(), Some(log.clone()), Clock::system());
    let target = ObjectId {
        cluster: ClusterId::new("calm"),
        kind: Kind::Node,
        namespace: Text::empty(),
        name: Text::new("node-1"),
    };
    let mut plan = desk.plan(&Intent::new(Verb::Cordon, vec![target.clone()])).await.unwrap();
    plan.changes.push(Change {
        target,
        field: Text::new("schedulable"),
        from: Text::new("yes"),
        to: Text::new("no"),
        fate: Fate::Acts,
        note: Text::empty(),
        precondition: Precondition::Nothing,
    });
    let mut running = desk.act(plan, &Assent::default()).unwrap();
    *log.token.lock().unwrap() = Some(running.cancel.clone());
    desk.abandon("the terminal is gone");
    assert!(matches!(running.events.recv().await, Some(Event::Ended(_))));
    assert_eq!(*log.ends.lock().unwrap(), [(Outcome::Unknown, true)], "once, and after it was told to stop");
}
