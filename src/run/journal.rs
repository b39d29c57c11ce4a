//! The history of notices: what became of each, a line of JSON each, in the state
//! directory, for its owner only, bounded.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::domain::notice::{ANOTHER, Record};
use crate::store::notices::RECORDS;

/// The file's name in the state directory.
const NAME: &str = "spot-history.jsonl";
/// More is not read: a line is some 400 bytes, and no more than twice [`RECORDS`] are kept.
const LONGEST: u64 = 64 << 20;

/// What a history has to say, oldest first, and how many lines made no sense.
#[derive(Debug, Default)]
pub struct History {
    /// What became of notices, each once, however many consoles saw it.
    pub records: Vec<Record>,
    /// Lines that could not be read (a write that was cut off).
    pub damaged: usize,
    lines: usize,
}

/// The file.
#[derive(Debug, Clone)]
pub struct Journal {
    path: PathBuf,
}

impl Journal {
    /// The one in this state directory.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        Self { path: state_dir.join(NAME) }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads it; empty if there is none yet.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn read(&self) -> io::Result<History> {
        let file = match File::open(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(History::default()),
            other => other?,
        };
        let mut history = History::default();
        let mut reader = BufReader::new(file.take(LONGEST));
        let mut line = Vec::new();
        loop {
            line.clear();
            if reader.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            history.lines += 1;
            match serde_json::from_slice::<Record>(&line) {
                Ok(record) => history.records.push(record),
                Err(_) => history.damaged += 1,
            }
        }
        once(&mut history.records);
        Ok(history)
    }

    /// Reads it, and writes it anew where it has become too long; what may not be written
    /// anew is read all the same.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn open(&self) -> io::Result<History> {
        let mut history = self.read()?;
        if history.lines > 2 * RECORDS {
            let over = history.records.len().saturating_sub(RECORDS);
            history.records.drain(..over);
            if let Err(error) = self.rewrite(&history.records) {
                tracing::warn!(%error, "the history of notices cannot be shortened");
            }
        }
        Ok(history)
    }

    /// Adds what has become of some.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&self, records: &[Record]) -> io::Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        if let Some(dir) = self.path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&self.path)?;
        let mut lines = Vec::new();
        // A line that was cut off stays by itself.
        if !ends_a_line(&self.path)? {
            lines.push(b'\n');
        }
        write_lines(&mut lines, records)?;
        // One write: several consoles may append.
        file.write_all(&lines)
    }

    fn rewrite(&self, records: &[Record]) -> io::Result<()> {
        let beside = self.path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        let mut lines = Vec::new();
        write_lines(&mut lines, records)?;
        file.write_all(&lines)?;
        file.sync_all()?;
        std::fs::rename(beside, &self.path)
    }
}

fn ends_a_line(path: &Path) -> io::Result<bool> {
    use std::io::{Seek as _, SeekFrom};
    let mut file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

fn write_lines(lines: &mut Vec<u8>, records: &[Record]) -> io::Result<()> {
    for record in records {
        serde_json::to_writer(&mut *lines, record)?;
        lines.push(b'\n');
    }
    Ok(())
}

/// Sorts by when they were given, and leaves each story once: the first word of it, since
/// it is from the console that saw most.
fn once(records: &mut Vec<Record>) {
    records.sort_by(|a, b| (&a.victim, a.issued).cmp(&(&b.victim, b.issued)));
    let seen = |r: &Record| !matches!(r.outcome, crate::domain::notice::Outcome::Unseen);
    records.dedup_by(|next, kept| {
        let same = next.victim == kept.victim && next.issued - kept.issued <= ANOTHER;
        // A console that learns more of why it went writes its line again.
        let amended = next.issued == kept.issued && (next.outcome, next.tasks) == (kept.outcome, kept.tasks);
        if same && seen(next) && (!seen(kept) || amended) {
            std::mem::swap(next, kept);
        }
        same
    });
    records.sort_by(|a, b| (a.issued, &a.victim).cmp(&(b.issued, &b.victim)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::notice::{Fate, NoticeKind, Outcome, Victim};
    use crate::domain::{Text, Timestamp};

    fn at(seconds: i64) -> Timestamp {
        chrono::DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap_or_default()
    }

    fn record(victim: &str, issued: i64, outcome: Outcome) -> Record {
        Record {
            victim: Victim::Instance(Text::new(victim)),
            cluster: Text::new("prod"),
            name: Text::new("ip-10-0-1-7"),
            kind: NoticeKind::Interruption,
            fate: Fate::Terminate,
            born: None,
            issued: at(issued),
            deadline: Some(at(issued + 120)),
            gone: None,
            instance_type: Text::new("m6i.large"),
            zone: Text::new("eu-west-1a"),
            region: Text::new("eu-west-1"),
            spot: true,
            tasks: 3,
            outcome,
            told_by: None,
            late_ms: Some(1200),
        }
    }

    #[test]
    fn what_is_kept_comes_back_each_story_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let journal = Journal::new(&dir.path().join("state"));
        assert!(journal.read().expect("none is no error").records.is_empty());
        let a = record("i-1", 0, Outcome::Evacuated { left: Some(40) });
        let late = record("i-1", 5, Outcome::Unseen);
        let b = record("i-2", -60, Outcome::Cut { tasks: 2 });
        let again = record("i-1", 7200, Outcome::NotReplaced);
        journal.append(&[late, a.clone(), b.clone()]).expect("writes");
        // Late word says that nobody had announced it.
        let b = Record { kind: NoticeKind::Unannounced, ..b };
        journal.append(std::slice::from_ref(&b)).expect("writes");
        journal.append(std::slice::from_ref(&again)).expect("writes");
        let history = journal.open().expect("reads");
        assert_eq!(history.records, [b, a, again]);
        assert_eq!(history.damaged, 0);
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(journal.path()).expect("is").permissions());
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_line_that_was_cut_off_costs_itself_only() {
        let dir = tempfile::tempdir().expect("a directory");
        let journal = Journal::new(dir.path());
        let a = record("i-1", 0, Outcome::NotReplaced);
        journal.append(std::slice::from_ref(&a)).expect("writes");
        let mut text = std::fs::read(journal.path()).expect("is there");
        text.extend_from_slice(br#"{"victim":{"instance":"i-2"},"clu"#);
        std::fs::write(journal.path(), text).expect("writes");
        let b = record("i-3", 60, Outcome::Stayed);
        journal.append(std::slice::from_ref(&b)).expect("writes");
        let history = journal.read().expect("reads");
        assert_eq!((history.records, history.damaged), (vec![a, b], 1));
    }

    #[test]
    fn it_does_not_grow_for_ever() {
        let dir = tempfile::tempdir().expect("a directory");
        let journal = Journal::new(dir.path());
        let many: Vec<Record> = (0i64..)
            .take(2 * RECORDS + 1)
            .map(|i| record(&format!("i-{i}"), i, Outcome::Evacuated { left: None }))
            .collect();
        journal.append(&many).expect("writes");
        assert_eq!(journal.open().expect("reads").records.len(), RECORDS);
        let kept = journal.read().expect("reads");
        assert_eq!((kept.lines, kept.records.last()), (RECORDS, many.last()));
    }
}
