//! Reading the audit, and finding the first place where it was changed.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::entry::{GENESIS, Line, VERSION};
use crate::domain::Text;

/// The file that is written.
pub(super) const NAME: &str = "audit.jsonl";
/// Says how far the audit goes.
pub(super) const HEAD: &str = "audit.head";
/// Older files: `audit-00000001.jsonl`, by the number of their first entry.
const OLDER: (&str, &str) = ("audit-", ".jsonl");

/// How far the audit goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// The version of the format.
    pub v: u32,
    /// The last entry's number; 0 before the first.
    pub n: u64,
    /// Its hash.
    pub hash: Text,
    /// The number of the first entry of `audit.jsonl`.
    pub first: u64,
}

impl Head {
    pub(super) fn genesis() -> Self {
        Self { v: VERSION, n: 0, hash: Text::new(GENESIS), first: 1 }
    }

    /// `None` where there is none.
    pub(super) fn read(dir: &Path) -> Result<Option<Self>, Fault> {
        let path = dir.join(HEAD);
        match std::fs::read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Fault::of(&path, 0, format!("it cannot be read: {e}"))),
            Ok(text) => match serde_json::from_slice::<Self>(&text) {
                Ok(head) if head.v == VERSION => Ok(Some(head)),
                Ok(head) => Err(Fault::of(&path, 1, format!("it is of version {}, which is not known", head.v))),
                Err(e) => Err(Fault::of(&path, 1, format!("it says nothing that makes sense: {e}"))),
            },
        }
    }
}

/// The first place where the audit is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; 0 where it is about the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub text: String,
}

impl Fault {
    fn of(file: &Path, line: usize, text: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, text: text.into() }
    }
}

/// `/state/audit.jsonl:17: what is wrong`.
impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file.display(), self.text),
            line => write!(f, "{}:{line}: {}", self.file.display(), self.text),
        }
    }
}

/// Older files, the oldest first, each with the number of its first entry.
pub(super) fn older(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let listed = match std::fs::read_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut out = Vec::new();
    for entry in listed {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|n| n.strip_prefix(OLDER.0)?.strip_suffix(OLDER.1)?.parse().ok());
        out.extend(number.map(|n| (n, dir.join(&name))));
    }
    out.sort();
    Ok(out)
}

/// The name of an older file whose first entry has this number.
pub(super) fn older_name(first: u64) -> String {
    format!("{}{first:08}{}", OLDER.0, OLDER.1)
}

/// A file's lines, as far as they are whole and fit; what is left over.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub lines: Vec<Line>,
    /// Bytes up to the end of the last line that fits.
    pub good: u64,
    /// Bytes after that: a line that was cut off.
    pub torn: u64,
}

/// Reads a file; empty if it is not there.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, Fault> {
    let cannot = |e: io::Error| Fault::of(path, 0, format!("it cannot be read: {e}"));
    match std::fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(cannot(e)),
        Ok(meta) => {
            // Not more than its length: who writes may go on, and a device would never end.
            use io::Read as _;
            let mut out = Vec::new();
            let file = std::fs::File::open(path).map_err(cannot)?;
            file.take(meta.len()).read_to_end(&mut out).map_err(cannot)?;
            Ok(out)
        }
    }
}

/// Where a file has to begin: one of these entries, each after that hash. Empty: wherever it likes.
type Starts<'a> = &'a [(u64, &'a str)];

/// Walks along a file. `head` tells what must be in it, and what after it may be a line that was cut off.
fn walk(path: &Path, bytes: &[u8], starts: Starts<'_>, head: &Head) -> Result<Walk, Fault> {
    let mut out = Walk::default();
    let mut before: Option<(u64, String)> = None;
    let mut at = 0;
    for number in 1.. {
        let rest = bytes.get(at..).unwrap_or_default();
        if rest.is_empty() {
            break;
        }
        let end = memchr::memchr(b'\n', rest);
        let raw = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        let known = before.as_ref().map_or(0, |(n, _)| *n);
        // What was never said to be there may have been cut off, at the very end.
        let is_last = end.is_none_or(|e| e + 1 == rest.len());
        let may_be_torn = is_last && known.max(starts.iter().map(|s| s.0).max().unwrap_or(1) - 1) >= head.n;
        let fault = |text: String| Fault::of(path, number, text);
        let found = match (end, Line::read(raw)) {
            (None, _) => Err("this line was cut off, and was whole once".to_owned()),
            (_, None) => Err("this is no entry: it was changed".to_owned()),
            (_, Some(line)) if !line.fits => Err("its hash does not fit what it says: it was changed".to_owned()),
            (_, Some(line)) => Ok(line),
        };
        let line = match found {
            Ok(line) => line,
            Err(_) if may_be_torn => {
                out.torn = rest.len() as u64;
                break;
            }
            Err(text) => return Err(fault(text)),
        };
        let entry = &line.entry;
        let follows = match &before {
            Some((n, hash)) => entry.n == n + 1 && entry.prev.as_str() == hash,
            None => starts.is_empty() || starts.iter().any(|(n, hash)| entry.n == *n && entry.prev.as_str() == *hash),
        };
        if !follows {
            let expected = before.as_ref().map(|(n, _)| n + 1).or(starts.first().map(|(n, _)| *n)).unwrap_or(1);
            return Err(fault(if entry.n == expected {
                format!("entry {} does not follow the one before: that was put in place of another", entry.n)
            } else {
                format!("entry {} stands where entry {expected} has to: lines were removed or swapped", entry.n)
            }));
        }
        if entry.n == head.n && line.hash != head.hash.as_str() {
            return Err(fault(format!("entry {} is not the one that {HEAD} tells of", entry.n)));
        }
        at += raw.len() + 1;
        before = Some((entry.n, line.hash.clone()));
        out.lines.push(line);
    }
    out.good = at as u64;
    Ok(out)
}

/// The audit's end, as the next line needs it.
#[derive(Debug)]
pub(super) struct Tail {
    /// The last entry's number and hash.
    pub n: u64,
    pub hash: String,
    /// The number of the first entry of the file that is written.
    pub first: u64,
    /// There was no head, and nothing else.
    pub is_new: bool,
    /// The file that is written.
    pub walk: Walk,
}

/// Checks the file that is written, against what the head says.
pub(super) fn tail(dir: &Path) -> Result<Tail, Fault> {
    let path = dir.join(NAME);
    let read = Head::read(dir)?;
    let bytes = bytes(&path)?;
    let older = older(dir).map_err(|e| Fault::of(dir, 0, format!("it cannot be listed: {e}")))?;
    let is_new = read.is_none();
    if is_new && !(bytes.is_empty() && older.is_empty()) {
        return Err(Fault::of(
            &dir.join(HEAD),
            0,
            "it is missing, so that a missing end of the audit could not be seen",
        ));
    }
    let head = read.unwrap_or_else(Head::genesis);
    // The entry before the file's first one is in the newest of the older files, if that is still here.
    let newest = match older.last() {
        Some((_, file)) => last(file)?.map(|l| (l.entry.n, l.hash)),
        None => None,
    };
    let just_moved = newest.as_ref().is_some_and(|(n, hash)| *n == head.n && hash == head.hash.as_str());
    let mut starts: Vec<(u64, &str)> = Vec::new();
    match &newest {
        _ if head.first == 1 => starts.push((1, GENESIS)),
        Some((n, hash)) if n + 1 == head.first => starts.push((head.first, hash)),
        _ => {}
    }
    if just_moved {
        // Ended between putting the full file away and telling of the first entry of the next one.
        starts.push((head.n + 1, head.hash.as_str()));
    }
    let is_known = !starts.is_empty();
    let walk = walk(&path, &bytes, &starts, &head)?;
    if !is_known && walk.lines.first().is_some_and(|l| l.entry.n != head.first) {
        return Err(Fault::of(&path, 1, format!("entry {} has to be the first here: lines were removed", head.first)));
    }
    let end = walk.lines.last().map(|l| (l.entry.n, l.hash.clone()));
    let (n, hash) = match end {
        Some(end) => end,
        None if head.n == 0 || just_moved => (head.n, head.hash.to_string()),
        None => (0, String::new()),
    };
    if n < head.n {
        let text = format!("the audit ends with entry {n}, and there were {}: its end was removed", head.n);
        return Err(Fault::of(&path, walk.lines.len() + 1, text));
    }
    let first = walk.lines.first().map_or(if just_moved { head.n + 1 } else { head.first }, |l| l.entry.n);
    Ok(Tail { n, hash, first, is_new, walk })
}

/// The last line of an older file.
fn last(file: &Path) -> Result<Option<Line>, Fault> {
    let bytes = bytes(file)?;
    let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let from = memchr::memrchr(b'\n', text).map_or(0, |at| at + 1);
    Ok(Line::read(text.get(from..).unwrap_or_default()))
}

/// What a whole audit is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// How many entries fit.
    pub entries: usize,
    /// The first and the last number.
    pub numbers: Option<(u64, u64)>,
    /// The last hash.
    pub hash: String,
    /// Intents of which nobody knows yet how they ended.
    pub open: Vec<u64>,
    /// What is worth knowing and no fault.
    pub notes: Vec<String>,
}

/// Checks every file of the audit in a state directory.
///
/// # Errors
/// The first place that is wrong.
pub fn check(dir: &Path) -> Result<Checked, Fault> {
    // The head first: what is written meanwhile comes after it.
    let head = Head::read(dir)?.unwrap_or_else(Head::genesis);
    let files = older(dir).map_err(|e| Fault::of(dir, 0, format!("it cannot be listed: {e}")))?;
    let mut lines: Vec<Line> = Vec::new();
    let mut notes = Vec::new();
    // Of an older file every line was whole: nothing in it may be torn.
    let all = Head { n: u64::MAX, ..head.clone() };
    for (first, file) in &files {
        let before = lines.last().map(|l| (l.entry.n + 1, l.hash.clone()));
        let bytes = bytes(file)?;
        let found = match &before {
            Some((n, hash)) => walk(file, &bytes, &[(*n, hash)], &all)?,
            None if *first == 1 => walk(file, &bytes, &[(1, GENESIS)], &all)?,
            None => {
                notes.push(format!("entries before {first} are in older files, which are not here"));
                walk(file, &bytes, &[], &all)?
            }
        };
        if found.lines.first().is_none_or(|l| l.entry.n != *first) {
            return Err(Fault::of(file, 1, format!("entry {first} has to be the first here: lines were removed")));
        }
        lines.extend(found.lines);
    }
    if lines.is_empty() && head.first > 1 {
        notes.push(format!("entries before {} are in older files, which are not here", head.first));
    }
    let between = lines.last().map(|l| (l.entry.n, l.hash.clone()));
    let tail = tail(dir)?;
    if let (Some((n, hash)), Some(next)) = (between, tail.walk.lines.first())
        && (next.entry.n != n + 1 || next.entry.prev.as_str() != hash)
    {
        let text = format!("entry {} stands where entry {} has to: lines were removed", next.entry.n, n + 1);
        return Err(Fault::of(&dir.join(NAME), 1, text));
    }
    if tail.walk.torn > 0 {
        notes.push(format!("a line was cut off at the end ({} bytes); the next entry puts it aside", tail.walk.torn));
    }
    lines.extend(tail.walk.lines);
    Ok(Checked {
        entries: lines.len(),
        numbers: lines.first().zip(lines.last()).map(|(a, b)| (a.entry.n, b.entry.n)),
        hash: tail.hash,
        open: open(&lines).iter().map(|e| e.entry.n).collect(),
        notes,
    })
}

/// Intents without an outcome.
pub(super) fn open(lines: &[Line]) -> Vec<&Line> {
    let ended: std::collections::BTreeSet<u64> = lines.iter().filter_map(|l| l.entry.of).collect();
    let is_open = |l: &&Line| l.entry.kind == super::EntryKind::Intent && !ended.contains(&l.entry.n);
    lines.iter().filter(is_open).collect()
}

/// Every entry, the oldest first, whether it fits or not; and how many lines made no sense.
///
/// # Errors
/// When a file is there and cannot be read.
pub fn entries(dir: &Path) -> io::Result<(Vec<Line>, usize)> {
    let files = older(dir)?.into_iter().map(|(_, file)| file).chain([dir.join(NAME)]);
    let (mut out, mut damaged) = (Vec::new(), 0);
    for file in files {
        let bytes = bytes(&file).map_err(|f| io::Error::other(f.to_string()))?;
        for raw in bytes.split(|b| *b == b'\n').filter(|raw| !raw.is_empty()) {
            match Line::read(raw) {
                Some(line) => out.push(line),
                None => damaged += 1,
            }
        }
    }
    Ok((out, damaged))
}
