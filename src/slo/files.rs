//! Finding the files that are named.

use std::path::{Path, PathBuf};

use super::Outcome;
use super::openslo;
use crate::config::diagnostic::{Diagnostic, Source};

/// Reads files, and all `.yaml` and `.yml` files of directories, together. One that
/// cannot be read is an error in the outcome; the others are read.
#[must_use]
pub fn load(paths: &[PathBuf]) -> Outcome {
    let (mut sources, mut unread) = (Vec::new(), Vec::new());
    for path in paths {
        for file in expand(path, &mut unread) {
            match Source::read(&file) {
                Ok(source) => sources.push(source),
                Err(found) => unread.extend(found.into_vec()),
            }
        }
    }
    let mut outcome = openslo::read(&sources);
    outcome.found.splice(0..0, unread);
    outcome
}

/// A directory's files, sorted; a file as it is.
fn expand(path: &Path, unread: &mut Vec<Diagnostic>) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    let name = path.display().to_string();
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) => {
            unread.push(
                Diagnostic::new(name, format!("this directory cannot be read: {e}")).hint("check its permissions"),
            );
            return Vec::new();
        }
    };
    let yaml = |p: &PathBuf| p.extension().is_some_and(|e| e == "yaml" || e == "yml");
    let mut files: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(yaml).collect();
    files.sort();
    if files.is_empty() {
        let d = Diagnostic::new(name, "this directory has no SLO files").warning();
        unread.push(d.hint("their names end in `.yaml` or `.yml`"));
    }
    files
}
