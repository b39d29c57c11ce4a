//! The console's own log: what it read, what failed, how it ended. In the state
//! directory, for its owner only, never longer than two files of a few MiB.
//!
//! Only what this program says itself is written. Its libraries would write
//! requests with their headers, and so credentials.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogLevel;

/// When a file is this long, in bytes, the next one begins.
pub const LONGEST: u64 = 4 << 20;

/// Where the log is.
#[must_use]
pub fn file(state_dir: &Path) -> PathBuf {
    state_dir.join("quarterdeck.log")
}

/// Begins to write; the file, or `None` where nothing is to be written.
///
/// # Errors
/// When the file cannot be written, or a log is written already.
pub fn start(state_dir: &Path, level: LogLevel) -> io::Result<Option<PathBuf>> {
    let level = match level {
        LogLevel::Off => return Ok(None),
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    std::fs::create_dir_all(state_dir)?;
    let path = file(state_dir);
    let writer = Mutex::new(Rotating::open(path.clone(), LONGEST)?);
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(writer);
    let ours = Targets::new().with_target(env!("CARGO_CRATE_NAME"), level);
    tracing_subscriber::registry().with(ours).with(layer).try_init().map_err(io::Error::other)?;
    let next = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        // Not the message: it may have in it what was read.
        tracing::error!(at = info.location().map(ToString::to_string), "panicked");
        next(info);
    }));
    Ok(Some(path))
}

/// A file that makes room for itself: the full one is kept as `.old`, and takes
/// the place of the one before.
struct Rotating {
    path: PathBuf,
    file: File,
    size: u64,
    longest: u64,
}

impl Rotating {
    fn open(path: PathBuf, longest: u64) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
        let size = file.metadata()?.len();
        Ok(Self { path, file, size, longest })
    }
}

impl Write for Rotating {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let more = bytes.len() as u64;
        if self.size > 0 && self.size + more > self.longest {
            std::fs::rename(&self.path, self.path.with_extension("log.old"))?;
            *self = Self::open(self.path.clone(), self.longest)?;
        }
        // A line is one write, so that two consoles do not mix theirs.
        self.file.write_all(bytes)?;
        self.size += more;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_full_file_is_kept_once_and_nobody_else_may_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path());
        let mut log = Rotating::open(path.clone(), 10).unwrap();
        for text in ["one\n", "two\n", "three\n", "four\n", "five\n"] {
            log.write_all(text.as_bytes()).unwrap();
        }
        let old = dir.path().join("quarterdeck.log.old");
        let read = |p: &Path| std::fs::read_to_string(p).unwrap();
        assert_eq!((read(&old).as_str(), read(&path).as_str()), ("three\n", "four\nfive\n"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(log);
        // Another run goes on where this one stopped.
        let mut log = Rotating::open(path.clone(), 10).unwrap();
        log.write_all(b"six\n").unwrap();
        assert_eq!((read(&old).as_str(), read(&path).as_str()), ("four\nfive\n", "six\n"));
    }
}
