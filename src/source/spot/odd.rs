//! Messages that are not understood, kept for somebody to look at: one file of a MiB and
//! one older.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::clipped;
use crate::domain::Timestamp;

/// The file's name in the state directory.
pub const FILE: &str = "spot-odd.jsonl";
/// A file that is longer is put aside.
const LONGEST: u64 = 1 << 20;
/// So much is kept of a message.
const BODY: usize = 16 * 1024;

/// One message.
#[derive(Debug, Serialize)]
pub struct Record {
    at: Timestamp,
    feed: String,
    id: String,
    why: &'static str,
    bytes: usize,
    body: String,
}

impl Record {
    /// Of a message that came at `at`.
    pub fn new(at: Timestamp, feed: &str, id: &str, why: &'static str, body: &str) -> Self {
        Self { at, feed: feed.to_owned(), id: clipped(id, 200), why, bytes: body.len(), body: clipped(body, BODY) }
    }
}

/// Where they go.
#[derive(Debug)]
pub struct Oddities {
    file: Option<PathBuf>,
    turn: Mutex<()>,
}

impl Oddities {
    /// In this directory; without one they are only counted.
    pub fn new(dir: Option<&Path>) -> Self {
        Self { file: dir.map(|d| d.join(FILE)), turn: Mutex::new(()) }
    }

    /// The file, if there is one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Writes one down; when this returns it is on the disk.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn keep(&self, record: &Record) -> io::Result<()> {
        let Some(path) = &self.file else { return Ok(()) };
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if std::fs::metadata(path).is_ok_and(|m| m.len() > LONGEST) {
            std::fs::rename(path, path.with_extension("jsonl.old"))?;
        }
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        options.mode(0o600);
        let mut file = options.open(path)?;
        file.write_all((serde_json::to_string(record)? + "\n").as_bytes())?;
        file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_is_kept_is_bounded_and_nobody_elses() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("state");
        let oddities = Oddities::new(Some(&place));
        let body = "ü".repeat(256 * 1024);
        for n in 0..200 {
            let record = Record::new(Timestamp::default(), "q", &n.to_string(), "it is no JSON", &body);
            oddities.keep(&record).unwrap();
        }
        let files: Vec<_> = std::fs::read_dir(&place).unwrap().map(|f| f.unwrap()).collect();
        assert_eq!(files.len(), 2);
        for file in files {
            let meta = file.metadata().unwrap();
            assert!(meta.len() < LONGEST + 64 * 1024);
            assert_eq!(meta.permissions().mode() & 0o777, 0o600);
        }
        let text = std::fs::read_to_string(place.join(FILE)).unwrap();
        let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!((last["id"].as_str(), last["bytes"].as_u64()), (Some("199"), Some(512 * 1024)));
    }
}
