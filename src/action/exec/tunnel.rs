//! A port-forward that AWS's plugin carries: its listener is the plugin's own, and the plugin runs in the background
//! until the forward is closed, or it dies.
//!
//! ```text
//! a local port that is free -> StartSession -> the plugin: "Port N opened" -> listed
//!                 TerminateSession <- SIGINT, then SIGTERM and SIGKILL  <- closed
//! ```

use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::forward::{Entry, Forward, Forwards, listen};
use super::plugin::NAME;
use crate::action::child;
use crate::action::desk::Progress;
use crate::action::plan::{End, Outcome, StepState};
use crate::action::session::Program;
use crate::domain::{ObjectId, Text};
use crate::source::session::Started;

/// How long the plugin may take to listen before that is said.
const LATE: Duration = Duration::from_secs(20);
/// How long it may take to end after SIGINT.
const GRACE: Duration = Duration::from_secs(1);
/// The same after SIGTERM, and after SIGKILL.
const FORCE: Duration = Duration::from_millis(500);
/// How long ending its session may take. Together with [`GRACE`] less than the console waits for what it ends.
const GOODBYE: Duration = Duration::from_secs(2);
/// How long the last words of a plugin that ended are waited for: a child of its own may hold its output open.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// The longest line that is looked at whole.
const LINE: u64 = 1024;
/// So many lines are told; a plugin that complains of every connection is heard by then.
const TOLD: usize = 50;
/// What the plugin says when all is well.
const USUAL: [&str; 6] = [
    "Starting session with SessionId",
    "Port ",
    "Waiting for connections",
    "Connection accepted for session",
    "Terminate signal received",
    "Exiting session",
];

/// What is forwarded where.
#[derive(Debug, Clone, Copy)]
pub struct Tunnel<'a> {
    /// Where it is listed.
    pub forwards: &'a Forwards,
    /// The task.
    pub target: &'a ObjectId,
    /// The local port, 0 for a free one, and the task's.
    pub ports: (u16, u16),
}

/// Begins a session with `start`, which is told the local port, and has the program that `program` makes of it carry
/// it until it is cancelled: that is how it ends. `end` ends the session of an id.
pub async fn run<S, E>(
    tunnel: Tunnel<'_>,
    start: impl FnOnce(u16) -> S,
    program: impl FnOnce(&Started) -> Program,
    end: impl FnOnce(String) -> E,
    progress: &Progress,
    cancel: &CancellationToken,
) -> End
where
    S: Future<Output = Result<Started, Text>>,
    E: Future<Output = Result<(), Text>>,
{
    let target = Some(tunnel.target);
    let failed = async |why: &str| {
        progress.step(target, StepState::Failed, why).await;
        End::failed(&format!("port-forward to {} failed: {why}", tunnel.target.name), None)
    };
    // The plugin listens by itself, and would say only that it could not.
    let at = match listen(tunnel.ports.0).await {
        Ok((_, at)) => at,
        Err(why) => return failed(&why).await,
    };
    progress.step(target, StepState::Doing, "asking SSM for a session").await;
    let started = start(at.port());
    tokio::pin!(started);
    let started = tokio::select! {
        biased;
        () = cancel.cancelled() => {
            // It may have begun all the same.
            if let Ok(Ok(started)) = tokio::time::timeout(GRACE, &mut started).await {
                let _ = tokio::time::timeout(GOODBYE, end(started.id)).await;
            }
            return End { outcome: Outcome::Cancelled, text: Text::new("cancelled"), undo: None };
        }
        started = &mut started => started,
    };
    let started = match started {
        Ok(started) => started,
        Err(why) => return failed(why.as_str()).await,
    };
    let mut child = match spawn(&program(&started)) {
        Ok(child) => child,
        Err(e) => {
            let _ = tokio::time::timeout(GOODBYE, end(started.id)).await;
            return failed(&format!("{NAME} cannot be started: {e}")).await;
        }
    };
    let mut followed = Followed { tunnel, at, entry: None, last: Text::empty(), told: 0, progress };
    followed.say(&format!("{NAME} begins session {}", started.id)).await;
    let ended = followed.follow(&mut child, cancel).await;
    // Off the list.
    drop(followed);
    // Whatever became of the plugin: what it opened is closed on the other side, too.
    let session = started.id.clone();
    let over = tokio::time::timeout(GOODBYE, end(started.id)).await;
    let over = over.unwrap_or_else(|_| Err(Text::new("no answer in time")));
    let left = match over {
        Ok(()) => String::new(),
        Err(why) => format!("; session {session} could not be ended ({why}) and ends when it has been idle for long"),
    };
    match ended {
        Ok(()) => {
            progress.step(target, StepState::Done, "closed").await;
            End::done(&format!("{at} is closed{left}"), None)
        }
        Err(why) => failed(&format!("{why}{left}")).await,
    }
}

/// In a group of its own: ctrl-c in another program that has the terminal is none of its business.
fn spawn(program: &Program) -> std::io::Result<Child> {
    let mut command = Command::new(&program.path);
    command.args(&program.arguments).envs(program.variables.iter().map(|(k, v)| (k, v)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.kill_on_drop(true).process_group(0);
    command.spawn()
}

/// A plugin that runs.
struct Followed<'a> {
    tunnel: Tunnel<'a>,
    at: SocketAddr,
    /// On the list, once it listens.
    entry: Option<Entry>,
    /// What it said last.
    last: Text,
    told: usize,
    progress: &'a Progress,
}

impl Followed<'_> {
    /// Until it is cancelled, and the plugin gone.
    ///
    /// # Errors
    /// In words: why the plugin ended by itself.
    async fn follow(&mut self, child: &mut Child, cancel: &CancellationToken) -> Result<(), String> {
        let (tx, mut lines) = mpsc::channel::<Vec<u8>>(16);
        let mut readers = JoinSet::new();
        if let Some(out) = child.stdout.take() {
            readers.spawn(child::lines(out, LINE, tx.clone()));
        }
        if let Some(err) = child.stderr.take() {
            readers.spawn(child::lines(err, LINE, tx.clone()));
        }
        drop(tx);
        let group = child.id();
        let late = tokio::time::sleep(LATE);
        tokio::pin!(late);
        let mut is_late = false;
        let status = loop {
            tokio::select! {
                () = cancel.cancelled() => {
                    stop(child, group).await;
                    return Ok(());
                }
                status = child.wait() => break status,
                Some(line) = lines.recv() => self.heard(&line).await,
                () = &mut late, if !is_late && self.entry.is_none() => {
                    is_late = true;
                    self.say(&format!("{NAME} does not say that it listens; it may all the same")).await;
                }
            }
        };
        let rest = async {
            while let Some(line) = lines.recv().await {
                self.heard(&line).await;
            }
        };
        let _ = tokio::time::timeout(LAST_WORDS, rest).await;
        // What it may have left behind.
        child::signal(group, Signal::TERM);
        Err(self.died(&status))
    }

    /// A line of the plugin's.
    async fn heard(&mut self, line: &[u8]) {
        let line = Text::new(String::from_utf8_lossy(line).trim());
        if line.is_empty() {
            return;
        }
        let is_open = line.starts_with("Port ") && line.contains(" opened");
        let is_usual = USUAL.iter().any(|usual| line.starts_with(usual));
        let is_new = self.last != line;
        self.last = line;
        if is_open && self.entry.is_none() {
            let Tunnel { forwards, target, ports: (_, port) } = self.tunnel;
            let (target, since) = (target.clone(), self.progress.clock().now());
            let forward = Forward { target, local: self.at, port, since, open: 0, all: 0, wrong: None };
            self.entry = Some(forwards.add(forward));
            self.say(&format!("{} leads to port {port}", self.at)).await;
        } else if !is_usual && is_new && self.told < TOLD {
            self.told += 1;
            let mut text = format!("{NAME}: {}", self.last);
            if let Some(entry) = &self.entry {
                entry.change(|f| f.wrong = Some(self.last.clone()));
                text = format!("{} leads to port {}; {text}", self.at, self.tunnel.ports.1);
            }
            self.say(&text).await;
        }
    }

    async fn say(&self, text: &str) {
        self.progress.step(Some(self.tunnel.target), StepState::Doing, text).await;
    }

    /// Why it is over, though nobody closed it. The plugin ends with 0 even where it could not begin.
    fn died(&self, status: &std::io::Result<ExitStatus>) -> String {
        let how = match status.as_ref().map(|s| (s.code(), s.signal())) {
            Ok((Some(code), _)) => format!("ended with exit code {code}"),
            Ok((None, Some(signal))) => format!("was killed by signal {signal}"),
            Ok((None, None)) => "ended".to_owned(),
            Err(e) => format!("cannot be waited for ({e})"),
        };
        let said =
            if self.last.is_empty() { "without a word".to_owned() } else { format!("it last said: {}", self.last) };
        let what = if self.entry.is_some() { format!("{} is closed: ", self.at) } else { String::new() };
        format!("{what}{NAME} {how}; {said}")
    }
}

/// Ends it, by force if it has to be. On ctrl-c's signal the plugin says goodbye and takes its socket out of the
/// directory for temporary files; on any other it leaves that behind.
async fn stop(child: &mut Child, group: Option<u32>) {
    child::signal(group, Signal::INT);
    let gone = tokio::time::timeout(GRACE, child.wait()).await;
    // What it may have started, too.
    child::signal(group, Signal::TERM);
    if gone.is_err() && tokio::time::timeout(FORCE, child.wait()).await.is_err() {
        child::signal(group, Signal::KILL);
        let _ = tokio::time::timeout(FORCE, child.wait()).await;
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::action::Event;
    use crate::clock::{Clock, instant};
    use crate::domain::{ClusterId, Kind};

    const PATIENCE: Duration = Duration::from_secs(20);

    fn id() -> ObjectId {
        let (cluster, namespace) = (ClusterId::new("shop"), Text::empty());
        ObjectId { cluster, kind: Kind::Task, namespace, name: Text::new("web/abc") }
    }

    /// A forward through a shell that runs `script` in the plugin's place: how it ended, what was said, and how many
    /// sessions were ended. `when` may cancel at each step.
    async fn carried(script: &str, local: u16, when: impl Fn(&str, &Forwards) -> bool) -> (End, Vec<String>, u32) {
        let (forwards, target, ended) = (Forwards::default(), id(), AtomicU32::new(0));
        let (progress, mut events) = Progress::channel(Clock::system());
        let cancel = CancellationToken::new();
        let tunnel = Tunnel { forwards: &forwards, target: &target, ports: (local, 8080) };
        let start = |local: u16| async move {
            assert_ne!(local, 0, "the plugin is told which port");
            let (id, session) = ("s-1".to_owned(), "{\"TokenValue\":\"hunter2\"}".to_owned());
            Ok(Started { id, session, request: local.to_string(), endpoint: String::new() })
        };
        let program = |started: &Started| Program {
            path: "/bin/sh".into(),
            arguments: ["-c", script, "sh", &started.request].map(str::to_owned).to_vec(),
            variables: Vec::new(),
        };
        let end = |session: String| {
            assert_eq!(session, "s-1");
            ended.fetch_add(1, Ordering::Relaxed);
            async { Ok(()) }
        };
        let acts = run(tunnel, start, program, end, &progress, &cancel);
        tokio::pin!(acts);
        let mut said = Vec::new();
        let end = loop {
            tokio::select! {
                biased;
                Some(Event::Step(step)) = events.recv() => {
                    said.push(step.text.to_string());
                    if when(step.text.as_str(), &forwards) {
                        cancel.cancel();
                    }
                }
                end = &mut acts => break end,
                () = tokio::time::sleep(PATIENCE) => panic!("it does not end: {said:?}"),
            }
        };
        while let Ok(Event::Step(step)) = events.try_recv() {
            said.push(step.text.to_string());
        }
        assert!(forwards.list().is_empty(), "what is over is on no list");
        (end, said, ended.load(Ordering::Relaxed))
    }

    const OPENS: &str = "echo; echo \"Starting session with SessionId: s-1\"; printf \"Port $1 opened for sessionId s-1.\"; \
                         printf '\\nWaiting for connections...\\n'; ";

    #[tokio::test]
    async fn it_is_listed_from_the_word_that_it_listens_until_it_is_closed() {
        let script = format!("{OPENS} exec sleep 600");
        let (end, said, ended) = carried(&script, 0, |text, forwards| {
            let open = text.contains("leads to port 8080");
            assert_eq!(forwards.list().len(), usize::from(open), "{text}");
            if open {
                let forward = forwards.list().remove(0);
                assert!(text.starts_with(&forward.local.to_string()) && forward.local.ip().is_loopback());
                assert_ne!(forward.local.port(), 0);
            }
            open
        })
        .await;
        assert_eq!(end.outcome, Outcome::Done, "{end:?}");
        assert!(end.text.starts_with("127.0.0.1:") && end.text.ends_with(" is closed"), "{}", end.text);
        assert_eq!((said.last().map(String::as_str), ended), (Some("closed"), 1), "{said:?}");
    }

    #[tokio::test]
    async fn a_plugin_that_ends_by_itself_is_told_with_its_last_words() {
        // It ends with 0 where it could not begin.
        let (end, _, ended) = carried("echo 'Cannot perform start session: \x1b[31mEOF'", 0, |_, _| false).await;
        assert_eq!((end.outcome, ended), (Outcome::Failed, 1));
        let wanted = "session-manager-plugin ended with exit code 0; it last said: Cannot perform start session:";
        assert!(end.text.contains(wanted) && end.text.ends_with("EOF"), "{:?}", end.text);
        assert!(!end.text.contains('\x1b'), "{}", end.text);
        let script = format!("{OPENS} echo 'the connection broke' >&2; kill -KILL $$");
        let (end, said, _) = carried(&script, 0, |_, _| false).await;
        assert!(end.text.contains("is closed: session-manager-plugin was killed by signal 9"), "{}", end.text);
        assert!(said.iter().any(|s| s.contains("session-manager-plugin: the connection broke")), "{said:?}");
    }

    #[tokio::test]
    async fn one_that_will_not_end_is_killed() {
        let began = instant();
        let script = format!("trap '' INT TERM; {OPENS} while :; do sleep 600; done");
        let (end, _, ended) = carried(&script, 0, |text, _| text.contains("leads to")).await;
        assert_eq!((end.outcome, ended), (Outcome::Done, 1));
        assert!(began.elapsed() < PATIENCE);
    }

    #[tokio::test]
    async fn a_port_that_is_taken_starts_no_session() {
        let taken = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let (end, said, ended) = carried("exit 0", port, |_, _| false).await;
        assert!(end.text.contains("cannot be listened on") && end.text.contains("choose another"), "{}", end.text);
        assert_eq!((said.len(), ended), (1, 0), "{said:?}");
    }
}
