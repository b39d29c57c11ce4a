//! What was received from a queue, on the disk before it is deleted there: one line for
//! each message, replayed at the next start. One console at a time writes; others on the
//! same machine read along.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::domain::Timestamp;

/// A file that is longer is written anew with the newest half of it.
const LONGEST: u64 = 4 << 20;
/// What is older is left out then.
const OLDEST: TimeDelta = TimeDelta::days(7);

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When it was received, by the console's clock.
    pub seen: Timestamp,
    /// How far that was ahead of the sender's, in milliseconds.
    pub ahead_ms: i64,
    /// SQS's id.
    pub message: String,
    /// As it came.
    pub body: String,
}

/// The file of one queue, and the right to write it.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    file: File,
    length: u64,
    /// Held as long as this lives.
    _lock: File,
}

/// The file of the queue with this URL or name, in `dir`.
#[must_use]
pub fn path(dir: &Path, account: &str, queue: &str) -> PathBuf {
    let name: String = queue
        .rsplit(['/', ':'])
        .next()
        .unwrap_or(queue)
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' })
        .take(80)
        .collect();
    // Queues of one name in two accounts are two.
    let hash = md5::compute(format!("{account}\n{queue}"));
    let hash: String = format!("{hash:x}").chars().take(8).collect();
    dir.join(format!("spot-queue-{name}-{hash}.jsonl"))
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    options.mode(0o600);
    options
}

/// Everything that a spool holds, oldest first, and how many lines make no sense: one
/// that was cut by the end of the process is none. No file holds nothing.
///
/// # Errors
/// Those of the file system.
pub fn records(path: &Path) -> io::Result<(Vec<Record>, usize)> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
        Err(e) => return Err(e),
    };
    let length = file.metadata()?.len();
    // Somebody else's doing; the end of it is the newest.
    let from = length.saturating_sub(4 * LONGEST);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(4 * LONGEST).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().skip(usize::from(from > 0)).filter(|l| !l.trim().is_empty());
    let (mut out, mut broken) = (Vec::new(), 0);
    for line in lines {
        match serde_json::from_str(line) {
            Ok(record) => out.push(record),
            Err(_) => broken += 1,
        }
    }
    Ok((out, broken))
}

impl Spool {
    /// The right to write the file at `path`, made if there is none; `None` if somebody
    /// else has it.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        // A lock on the file itself would be lost with it when it is written anew.
        let lock = private(OpenOptions::new().create(true).append(true)).open(path.with_extension("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Ok(None),
            Err(std::fs::TryLockError::Error(e)) => return Err(e),
        }
        let mut file = private(OpenOptions::new().create(true).read(true).append(true)).open(path)?;
        let mut length = file.metadata()?.len();
        if length > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                // The line that was cut is not to spoil the next one.
                file.write_all(b"\n")?;
                length += 1;
            }
        }
        sync_dir(path)?;
        Ok(Some(Self { path: path.to_owned(), file, length, _lock: lock }))
    }

    /// Writes messages down; when this returns they are on the disk.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn append(&mut self, records: &[Record], now: Timestamp) -> io::Result<()> {
        let mut text = String::new();
        for record in records {
            text += &serde_json::to_string(record)?;
            text.push('\n');
        }
        self.file.write_all(text.as_bytes())?;
        self.file.sync_data()?;
        self.length += text.len() as u64;
        if self.length > LONGEST {
            self.compact(now)?;
        }
        Ok(())
    }

    /// Writes the newest half anew. The old file stays until the new one is on the disk.
    fn compact(&mut self, now: Timestamp) -> io::Result<()> {
        let (all, _) = records(&self.path)?;
        let mut kept: Vec<String> = Vec::new();
        let mut length = 0;
        for record in all.iter().rev().take_while(|r| r.seen >= now - OLDEST) {
            let line = serde_json::to_string(record)? + "\n";
            length += line.len() as u64;
            if length > LONGEST / 2 && !kept.is_empty() {
                break;
            }
            kept.push(line);
        }
        kept.reverse();
        let text = kept.concat();
        let new = self.path.with_extension("new");
        let mut file = private(OpenOptions::new().create(true).write(true).truncate(true)).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, &self.path)?;
        sync_dir(&self.path)?;
        self.file = OpenOptions::new().read(true).append(true).open(&self.path)?;
        self.length = text.len() as u64;
        Ok(())
    }
}

/// Makes the names in a file's directory last.
fn sync_dir(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{TimeZone as _, Utc};
    use std::os::unix::fs::PermissionsExt as _;

    fn at(secs: i64) -> Timestamp {
        Utc.with_ymd_and_hms(2026, 11, 20, 3, 14, 0).unwrap() + TimeDelta::seconds(secs)
    }

    fn record(n: i64, body: &str) -> Record {
        Record { seen: at(n), ahead_ms: n, message: format!("m-{n}"), body: body.to_owned() }
    }

    #[test]
    fn what_is_appended_is_there_again_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = path(dir.path(), "prod@eu-west-1", "https://sqs.eu-west-1.amazonaws.com/1/q");
        let mut spool = Spool::open(&path).unwrap().unwrap();
        spool.append(&[record(1, "{\"a\":\n1}"), record(2, "x")], at(2)).unwrap();
        assert!(Spool::open(&path).unwrap().is_none(), "one writes at a time");
        drop(spool);
        // A process that was killed while it wrote.
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"seen\":\"2026-11-20T03:1").unwrap();
        let mut spool = Spool::open(&path).unwrap().unwrap();
        spool.append(&[record(3, "y")], at(3)).unwrap();
        let (all, broken) = records(&path).unwrap();
        assert_eq!((all, broken), (vec![record(1, "{\"a\":\n1}"), record(2, "x"), record(3, "y")], 1));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn it_stays_small_and_keeps_the_newest() {
        let dir = tempfile::tempdir().unwrap();
        let path = path(dir.path(), "", "q");
        let mut spool = Spool::open(&path).unwrap().unwrap();
        let body = "b".repeat(200_000);
        for n in 0..60 {
            spool.append(&[record(n, &body)], at(n)).unwrap();
            assert!(std::fs::metadata(&path).unwrap().len() <= LONGEST + 300_000);
        }
        let (all, broken) = records(&path).unwrap();
        assert_eq!((all.last().unwrap(), broken), (&record(59, &body), 0));
        assert!(all.len() >= 9 && all.is_sorted_by_key(|r| r.seen), "{}", all.len());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(Spool::open(&path).unwrap().is_none());
    }

    #[test]
    fn queues_of_one_name_have_files_of_their_own() {
        let dir = Path::new("/s");
        let name = |account: &str, queue: &str| path(dir, account, queue).display().to_string();
        assert_ne!(name("a", "q"), name("b", "q"));
        assert!(name("a", "../../etc/x y").starts_with("/s/spot-queue-x_y-"));
    }
}
