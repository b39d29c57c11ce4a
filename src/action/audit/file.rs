//! Writing the audit.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::chain::{self, HEAD, Head, NAME, Tail};
use super::entry::{self, Entry, EntryKind, Line, VERSION};
use super::who::{Process, Who};
use super::{Assent, Record};
use crate::action::plan::{End, Plan};
use crate::clock::instant;
use crate::domain::{Text, Timestamp};

/// Whoever writes holds a lock on this file.
const LOCK: &str = "audit.lock";
/// When the file is this long, in bytes, the next one begins.
pub const LONGEST: u64 = 4 << 20;
/// How long another console may write.
const PATIENCE: Duration = Duration::from_secs(5);

/// A point in the writing of a line, for tests that end the program there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// Nothing is written yet.
    Before,
    /// The line is written, and not synced.
    Written,
    /// The line is on the disk; the head does not tell of it.
    Synced,
    /// The head tells of it.
    Told,
}

/// The audit of one state directory. Nothing is opened until something is written.
#[derive(Debug, Clone)]
pub struct Audit {
    dir: PathBuf,
    who: Who,
    process: Process,
    longest: u64,
    watch: fn(EntryKind, Point),
}

/// What a line says beside who and when.
#[derive(Default)]
struct Draft {
    of: Option<u64>,
    what: Option<super::What>,
    why: Text,
    confirmed: Option<super::Said>,
    outcome: Text,
    text: Text,
}

impl Audit {
    /// In this state directory, by this user.
    #[must_use]
    pub fn new(state_dir: &Path, who: Who) -> Self {
        let process = Process::here();
        Self { dir: state_dir.to_owned(), who, process, longest: LONGEST, watch: |_, _| {} }
    }

    /// With files of so many bytes at the most.
    #[must_use]
    pub fn with_files_of(self, longest: u64) -> Self {
        Self { longest, ..self }
    }

    /// For tests: `watch` is told of each point in the writing of each line.
    #[must_use]
    pub fn watched(self, watch: fn(EntryKind, Point)) -> Self {
        Self { watch, ..self }
    }

    /// Where it is written.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.dir.join(NAME)
    }

    /// Puts in order what was left: a line that was cut off is put aside, and intents of programs that are gone
    /// are told as unknown. Says how many of these there were.
    ///
    /// # Errors
    /// When it cannot be written, or was changed.
    pub fn recover(&self, now: Timestamp) -> Result<usize, Text> {
        let (_lock, mut tail) = self.open(now)?;
        self.tell_gone(&mut tail, now)
    }

    /// Locks, checks, and puts aside what was cut off.
    fn open(&self, now: Timestamp) -> Result<(File, Tail), Text> {
        let lock = self.lock().map_err(|e| self.cannot(&e))?;
        let mut tail = chain::tail(&self.dir).map_err(|fault| {
            Text::new(&format!(
                "the audit was changed, so nothing is done: {fault}; see `quarterdeck audit verify` and docs/audit.md"
            ))
        })?;
        if tail.is_new {
            self.write_head(&Head::genesis()).map_err(|e| self.cannot(&e))?;
        }
        if tail.walk.torn > 0 {
            let bytes = tail.walk.torn;
            let aside = self.put_aside(&mut tail, now).map_err(|e| self.cannot(&e))?;
            let text = format!("a line was cut off at its end; its {bytes} bytes are in {aside}");
            let draft = Draft { text: Text::new(&text), ..Draft::default() };
            self.append(&mut tail, EntryKind::Recovered, draft, now)?;
        }
        Ok((lock, tail))
    }

    fn cannot(&self, error: &io::Error) -> Text {
        Text::new(&format!(
            "the audit cannot be written in {}: {error}; without it nothing is changed",
            self.dir.display()
        ))
    }

    fn lock(&self) -> io::Result<File> {
        if !self.dir.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        }
        let path = self.dir.join(LOCK);
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let start = instant();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if start.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(io::Error::other(format!("another console has held {LOCK} for {PATIENCE:?}")));
                }
                Err(TryLockError::Error(e)) => return Err(e),
            }
        }
    }

    /// Moves what follows the last whole line into a file of its own; its name.
    fn put_aside(&self, tail: &mut Tail, now: Timestamp) -> io::Result<String> {
        let name = format!("audit-torn-{}.txt", now.timestamp_micros());
        let mut file = OpenOptions::new().read(true).write(true).open(self.path())?;
        file.seek(io::SeekFrom::Start(tail.walk.good))?;
        let mut rest = Vec::new();
        io::Read::by_ref(&mut file).take(tail.walk.torn).read_to_end(&mut rest)?;
        let mut aside = owned().create_new(true).open(self.dir.join(&name))?;
        aside.write_all(&rest)?;
        aside.sync_all()?;
        file.set_len(tail.walk.good)?;
        file.sync_all()?;
        tail.walk.torn = 0;
        Ok(name)
    }

    /// Tells intents of programs that are gone as unknown.
    fn tell_gone(&self, tail: &mut Tail, now: Timestamp) -> Result<usize, Text> {
        let mut known: Vec<Line> = Vec::new();
        if let Ok(older) = chain::older(&self.dir)
            && let Some((_, file)) = older.last()
        {
            let bytes = chain::bytes(file).unwrap_or_default();
            known.extend(bytes.split(|b| *b == b'\n').filter_map(Line::read));
        }
        known.extend(tail.walk.lines.iter().cloned());
        let gone: Vec<(u64, Process)> = chain::open(&known)
            .iter()
            .filter(|l| l.entry.process.is_gone(&l.entry.who.host))
            .map(|l| (l.entry.n, l.entry.process.clone()))
            .collect();
        for (n, process) in &gone {
            let text = format!("process {} ended before it said how this ended: look at what is there", process.pid);
            let draft =
                Draft { of: Some(*n), outcome: Text::new("unknown"), text: Text::new(&text), ..Draft::default() };
            self.append(tail, EntryKind::Recovered, draft, now)?;
        }
        Ok(gone.len())
    }

    fn append(&self, tail: &mut Tail, kind: EntryKind, draft: Draft, now: Timestamp) -> Result<u64, Text> {
        (self.watch)(kind, Point::Before);
        let n = tail.n + 1;
        let entry = Entry {
            v: VERSION,
            n,
            at: now,
            kind,
            of: draft.of,
            who: self.who.clone(),
            process: self.process.clone(),
            what: draft.what,
            why: draft.why,
            confirmed: draft.confirmed,
            outcome: draft.outcome,
            text: draft.text,
            prev: Text::new(&tail.hash),
        };
        let (line, hash) = entry.line().map_err(|e| self.cannot(&io::Error::other(e)))?;
        self.write(tail, n, &line, &hash, kind).map_err(|e| self.cannot(&e))?;
        tail.walk.good += line.len() as u64;
        tail.walk.lines.push(Line { entry, hash: hash.clone(), fits: true });
        (tail.n, tail.hash) = (n, hash);
        Ok(n)
    }

    fn write(&self, tail: &mut Tail, n: u64, line: &str, hash: &str, kind: EntryKind) -> io::Result<()> {
        if tail.walk.good > 0 && tail.walk.good + line.len() as u64 > self.longest {
            std::fs::rename(self.path(), self.dir.join(chain::older_name(tail.first)))?;
            self.sync_dir()?;
            tail.walk.good = 0;
            tail.walk.lines.clear();
        }
        if tail.walk.good == 0 {
            tail.first = n;
        }
        let is_there = self.path().exists();
        let mut file = owned().append(true).create(true).open(self.path())?;
        if !is_there {
            self.sync_dir()?;
        } else if file.metadata()?.permissions().mode() & 0o077 != 0 {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        let written = file.write_all(line.as_bytes()).and_then(|()| {
            (self.watch)(kind, Point::Written);
            file.sync_all()?;
            (self.watch)(kind, Point::Synced);
            self.write_head(&Head { v: VERSION, n, hash: Text::new(hash), first: tail.first })
        });
        // Nothing was done, so nothing is to stand there, unless the head tells of it by now. If that fails, too,
        // half a line is known for one.
        if written.is_err() && !matches!(Head::read(&self.dir), Ok(Some(head)) if head.n >= n) {
            let _ = file.set_len(tail.walk.good).and_then(|()| file.sync_all());
        }
        (self.watch)(kind, Point::Told);
        written
    }

    fn write_head(&self, head: &Head) -> io::Result<()> {
        let beside = self.dir.join(format!("{HEAD}.new"));
        let mut file = owned().write(true).create(true).truncate(true).open(&beside)?;
        file.write_all(&serde_json::to_vec(head)?)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        std::fs::rename(beside, self.dir.join(HEAD))?;
        self.sync_dir()
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }
}

/// For its owner only.
fn owned() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

impl Record for Audit {
    fn begin(&self, plan: &Plan, assent: &Assent, now: Timestamp) -> Result<u64, Text> {
        let (_lock, mut tail) = self.open(now)?;
        self.tell_gone(&mut tail, now)?;
        let draft = Draft {
            what: Some(Entry::what_of(plan)),
            why: Text::new(assent.reason.trim()),
            confirmed: Some(Entry::said(assent)),
            ..Draft::default()
        };
        self.append(&mut tail, EntryKind::Intent, draft, now)
    }

    fn end(&self, number: u64, end: &End, now: Timestamp) -> Result<(), Text> {
        let (_lock, mut tail) = self.open(now)?;
        let draft =
            Draft { of: Some(number), outcome: entry::outcome(end), text: end.text.clone(), ..Draft::default() };
        self.append(&mut tail, EntryKind::Outcome, draft, now).map(|_| ())
    }
}
