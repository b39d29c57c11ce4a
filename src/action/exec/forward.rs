//! Port-forwards: which there are, and those of our own: a listener on this machine alone, and a connection into the
//! task for each that comes.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::action::desk::Progress;
use crate::action::plan::{End, StepState};
use crate::domain::{ObjectId, Text, Timestamp};

/// How many connections there may be at once; more wait.
const AT_ONCE: usize = 128;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// Where it leads.
    pub target: ObjectId,
    /// Where it listens.
    pub local: SocketAddr,
    /// The task's port.
    pub port: u16,
    /// Since when.
    pub since: Timestamp,
    /// Connections now. Of a forward that a program carries, which does not tell, zero.
    pub open: u32,
    /// Connections so far, or zero likewise.
    pub all: u64,
    /// What last went wrong.
    pub wrong: Option<Text>,
}

/// What is forwarded now. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct Forwards(Arc<Mutex<Listed>>);

#[derive(Debug, Default)]
struct Listed {
    next: u64,
    all: BTreeMap<u64, Forward>,
}

impl Forwards {
    /// All of them, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Forward> {
        self.listed().all.values().cloned().collect()
    }

    /// Lists one until what is returned is dropped.
    pub(super) fn add(&self, forward: Forward) -> Entry {
        let mut listed = self.listed();
        listed.next += 1;
        let number = listed.next;
        listed.all.insert(number, forward);
        Entry { list: self.clone(), number }
    }

    fn listed(&self) -> std::sync::MutexGuard<'_, Listed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One on the list, for as long as it lives.
#[derive(Debug)]
pub(super) struct Entry {
    list: Forwards,
    number: u64,
}

impl Entry {
    pub(super) fn change(&self, with: impl FnOnce(&mut Forward)) {
        self.list.listed().all.get_mut(&self.number).map(with);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.list.listed().all.remove(&self.number);
    }
}

/// Listens on a port of 127.0.0.1, 0 for a free one.
///
/// # Errors
/// In words, with what to do.
pub(super) async fn listen(local: u16) -> Result<(TcpListener, SocketAddr), String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, local)).await;
    let bound = listener.and_then(|l| l.local_addr().map(|at| (l, at)));
    bound.map_err(|e| format!("127.0.0.1:{local} cannot be listened on: {e}; choose another local port, or 0"))
}

/// Listens on 127.0.0.1 and lets `carry` carry each connection, until it is cancelled: that is how it ends.
pub async fn run<F>(
    forwards: &Forwards,
    target: &ObjectId,
    (local, port): (u16, u16),
    carry: impl Fn(TcpStream) -> F,
    progress: &Progress,
    cancel: &CancellationToken,
) -> End
where
    F: Future<Output = Result<(), Text>> + Send + 'static,
{
    let (listener, at) = match listen(local).await {
        Ok(bound) => bound,
        Err(text) => {
            progress.step(Some(target), StepState::Failed, &text).await;
            return End::failed(&text, None);
        }
    };
    let (target_id, since) = (target.clone(), progress.clock().now());
    let entry = forwards.add(Forward { target: target_id, local: at, port, since, open: 0, all: 0, wrong: None });
    let said = format!("{at} leads to port {port}");
    progress.step(Some(target), StepState::Doing, &said).await;
    let mut connections = JoinSet::new();
    let mut all: u64 = 0;
    loop {
        let room = connections.len() < AT_ONCE;
        tokio::select! {
            () = cancel.cancelled() => break,
            accepted = listener.accept(), if room => match accepted {
                Ok((socket, _)) => {
                    all += 1;
                    let _ = socket.set_nodelay(true);
                    connections.spawn(carry(socket));
                }
                // Out of file descriptors, most likely: those that end make room.
                Err(e) => {
                    entry.change(|f| f.wrong = Some(Text::new(&format!("a connection was not taken: {e}"))));
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            },
            Some(ended) = connections.join_next() => {
                if let Ok(Err(why)) = ended {
                    progress.step(Some(target), StepState::Doing, &format!("{said}; {why}")).await;
                    entry.change(|f| f.wrong = Some(why));
                }
            }
        }
        entry.change(|f| (f.open, f.all) = (u32::try_from(connections.len()).unwrap_or(u32::MAX), all));
    }
    connections.shutdown().await;
    progress.step(Some(target), StepState::Done, "closed").await;
    let carried = if all == 1 { "1 connection".to_owned() } else { format!("{all} connections") };
    End::done(&format!("{at} is closed; it carried {carried}"), None)
}
