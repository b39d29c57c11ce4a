//! Which runbooks there are, and which one fits.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Origin, REFUSED, Runbook, Subject};
use crate::domain::{Kind, Text, glob::glob};

/// How many files of one directory are read.
const FILES: usize = 500;

/// Those inside the program.
const SHIPPED: &[(&str, &str)] = &[
    ("budget-burn", include_str!("../../runbooks/budget-burn.md")),
    ("certificate-expired", include_str!("../../runbooks/certificate-expired.md")),
    ("crash-loop", include_str!("../../runbooks/crash-loop.md")),
    ("dependency-slow", include_str!("../../runbooks/dependency-slow.md")),
    ("ecs-deployment-stuck", include_str!("../../runbooks/ecs-deployment-stuck.md")),
    ("fargate-out-of-ips", include_str!("../../runbooks/fargate-out-of-ips.md")),
    ("image-pull", include_str!("../../runbooks/image-pull.md")),
    ("node-not-ready", include_str!("../../runbooks/node-not-ready.md")),
    ("quota-reached", include_str!("../../runbooks/quota-reached.md")),
    ("spot-storm", include_str!("../../runbooks/spot-storm.md")),
];

/// Every runbook that is at hand.
#[derive(Debug, Clone, Default)]
pub struct Library {
    /// By name.
    pub books: Vec<Arc<Runbook>>,
    /// What could not be read, and why.
    pub unread: Vec<Text>,
}

impl Library {
    /// Those inside the program.
    #[must_use]
    pub fn shipped() -> Self {
        let books = SHIPPED.iter().map(|(name, text)| Arc::new(Runbook::parse(name, Origin::Shipped, text)));
        Self { books: books.collect(), unread: Vec::new() }
    }

    /// Those inside the program, and those in `dirs`: a file replaces what came before under its name. A
    /// directory that is not there has none.
    #[must_use]
    pub fn load(dirs: &[PathBuf]) -> Self {
        let mut library = Self::shipped();
        for dir in dirs {
            library.read_dir(dir);
        }
        library.books.sort_by(|a, b| a.name.cmp(&b.name));
        library
    }

    fn read_dir(&mut self, dir: &Path) {
        let listed = match std::fs::read_dir(dir) {
            Ok(listed) => listed,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return,
            Err(e) => {
                self.unread.push(Text::new(&format!("{}: {e}", dir.display())));
                return;
            }
        };
        let markdown = |p: &PathBuf| p.extension().is_some_and(|e| e.eq_ignore_ascii_case("md"));
        let mut files: Vec<PathBuf> = listed.filter_map(|e| e.ok().map(|e| e.path())).filter(markdown).collect();
        files.sort();
        if files.len() > FILES {
            let over = files.len() - FILES;
            self.unread.push(Text::new(&format!("{}: {over} files beyond the first {FILES}", dir.display())));
            files.truncate(FILES);
        }
        for file in files {
            match read(&file) {
                Ok(book) => self.add(book),
                Err(why) => self.unread.push(why),
            }
        }
    }

    /// Puts one in, in the place of another of its name.
    pub fn add(&mut self, book: Runbook) {
        self.books.retain(|b| b.name != book.name);
        self.books.push(Arc::new(book));
    }

    /// The one called so, with or without `.md`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Runbook>> {
        let name = name.strip_suffix(".md").unwrap_or(name);
        self.books.iter().find(|b| b.name.as_str() == name)
    }

    /// Those that fit, best first, with how well.
    #[must_use]
    pub fn rank(&self, subject: &Subject) -> Vec<(u32, &Arc<Runbook>)> {
        let mut out: Vec<_> = self.books.iter().filter_map(|b| score(b, subject).map(|s| (s, b))).collect();
        out.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| x.name.cmp(&y.name)));
        out
    }

    /// The one that fits best.
    #[must_use]
    pub fn best(&self, subject: &Subject) -> Option<&Arc<Runbook>> {
        self.rank(subject).first().map(|(_, b)| *b)
    }
}

/// Reads one file.
///
/// # Errors
/// When it cannot be read, is too large, or is no text.
pub fn read(file: &Path) -> Result<Runbook, Text> {
    use std::io::Read as _;
    let fail = |why: String| Text::new(&format!("{}: {why}", file.display()));
    let opened = std::fs::File::open(file).map_err(|e| fail(e.to_string()))?;
    if !opened.metadata().is_ok_and(|m| m.is_file()) {
        return Err(fail("this is no ordinary file".to_owned()));
    }
    let mut bytes = Vec::new();
    let most = u64::try_from(REFUSED).unwrap_or(u64::MAX);
    opened.take(most + 1).read_to_end(&mut bytes).map_err(|e| fail(e.to_string()))?;
    if bytes.len() > REFUSED {
        return Err(fail(format!("this is larger than {} MiB, and not read", REFUSED >> 20)));
    }
    let text = String::from_utf8(bytes)
        .map_err(|e| fail(format!("this is not UTF-8, from byte {} on", e.utf8_error().valid_up_to())))?;
    let name = file.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Runbook::parse(&name, Origin::File(file.to_owned()), &text))
}

/// How well a runbook fits; `None`: not at all. A file of the user's own comes before one of ours.
fn score(book: &Runbook, subject: &Subject) -> Option<u32> {
    let fits = &book.front.fits;
    let mut score = 0;
    let names = subject.alarms.iter();
    if let Some(best) = names.flat_map(|name| fits.alarms.iter().filter(|p| glob(p, name))).map(|p| named(p)).max() {
        score += best;
    }
    if subject.status.iter().any(|s| fits.status.iter().any(|p| glob(p, s))) {
        score += 60;
    }
    let text = || subject.alarms.iter().chain(&subject.status).chain(&subject.words);
    if fits.regex.iter().any(|r| text().any(|t| r.is_match(t))) {
        score += 40;
    }
    let asks = !(fits.alarms.is_empty() && fits.status.is_empty() && fits.regex.is_empty());
    if asks && score == 0 {
        return None;
    }
    if !fits.labels.is_empty() {
        let has = |(key, pattern): &(String, String)| {
            subject.labels.iter().any(|(k, v)| k.as_str() == key && glob(pattern, v))
        };
        if !fits.labels.iter().all(has) {
            return None;
        }
        score += 20;
    }
    if !fits.kinds.is_empty() {
        // What an alarm is about counts for it, where that is known; a name that fits is enough where it is not.
        let about = subject.ids.iter().filter(|id| id.kind != Kind::Alarm).map(|id| id.kind).next();
        let own = subject.id().map(|id| id.kind);
        if ![own, about].into_iter().flatten().any(|k| fits.kinds.contains(&k)) && (about.is_some() || !asks) {
            return None;
        }
        score += 5;
    }
    if score == 0 {
        return None;
    }
    Some(score * 2 + u32::from(book.origin != Origin::Shipped))
}

/// A name counts more than a pattern, and the more the longer.
fn named(pattern: &str) -> u32 {
    let letters = pattern.chars().filter(|c| *c != '*').count().min(40);
    let exact = if pattern.contains('*') { 0 } else { 40 };
    60 + exact + u32::try_from(letters).unwrap_or(0)
}
