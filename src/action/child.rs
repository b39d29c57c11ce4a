//! Programs that run beside the console: a session's plugin, a runbook's step.

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::sync::mpsc;

/// To a child that leads a group of its own, and whatever it started.
pub(crate) fn signal(group: Option<u32>, signal: Signal) {
    if let Some(pid) = group.and_then(|g| i32::try_from(g).ok()).and_then(Pid::from_raw) {
        // It may be gone by now.
        let _ = kill_process_group(pid, signal);
    }
}

/// Lines of what a child writes, cut at `limit` bytes: the rest of such a line is a line of its own.
pub(crate) async fn lines(from: impl AsyncRead + Unpin, limit: u64, to: mpsc::Sender<Vec<u8>>) {
    let mut from = BufReader::new(from);
    loop {
        let mut line = Vec::new();
        match (&mut from).take(limit).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        if to.send(line).await.is_err() {
            return;
        }
    }
}
