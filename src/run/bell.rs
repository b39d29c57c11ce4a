//! The bell at the console's door: whoever is at work hears that something was typed, before anybody reads it.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use futures::{Stream, StreamExt};

use crate::store::memo::Door;

/// Wakes the loop when something was typed, and tells at the door in case it is at work.
struct Bell {
    door: Door,
    sleeper: Waker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.door.knock();
        self.sleeper.wake_by_ref();
    }
}

/// The next of what is typed. If nobody asks for it any more, the door says when there is something; of what comes behind
/// something that was given, only once it has been asked for again.
pub(super) async fn next<S: Stream + Unpin>(events: &mut S, door: &Door) -> Option<S::Item> {
    let mut event = pin!(events.next());
    // Made once for all the times that others wake the loop.
    let mut bell: Option<(Waker, Waker)> = None;
    std::future::poll_fn(|task| {
        door.answer();
        let ours = bell.take().filter(|(sleeper, _)| sleeper.will_wake(task.waker())).unwrap_or_else(|| {
            let sleeper = task.waker().clone();
            let bell = Bell { door: door.clone(), sleeper: sleeper.clone() };
            (sleeper, Waker::from(Arc::new(bell)))
        });
        let next = event.as_mut().poll(&mut Context::from_waker(&ours.1));
        bell = Some(ours);
        next
    })
    .await
}
