//! The log view's state: a byte-bounded ring that counts what it dropped.

use std::collections::{BTreeMap, VecDeque};

use crate::domain::{ObjectId, Span, Text, Timestamp, Tone};

/// Where a line belongs: by time, then by source. One that has no time belongs behind the one that its source wrote before.
type Place = (Timestamp, u16);

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLine {
    /// Grows by one per line received.
    pub seq: u64,
    /// When it was written, if the source says.
    pub at: Option<Timestamp>,
    place: Place,
    /// Index into the sources.
    pub source: u16,
    /// The text.
    pub spans: Box<[Span]>,
    /// A marker between the lines: the user's, or of what happened to the source.
    pub marker: bool,
    /// What is looked for is in it, as last asked.
    pub hit: bool,
}

impl LogLine {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.spans.iter().map(|s| size_of::<Span>() + s.text.len()).sum::<usize>()
    }

    /// The text without tones.
    #[must_use]
    pub fn text(&self) -> String {
        self.spans.iter().map(|s| s.text.as_str()).collect()
    }

    /// True when the text contains `needle`, which is lower case.
    #[must_use]
    pub fn contains(&self, needle: &str) -> bool {
        match &*self.spans {
            [one] => contains_lower(&one.text, needle),
            _ => contains_lower(&self.text(), needle),
        }
    }
}

fn contains_lower(text: &str, needle: &str) -> bool {
    if text.is_ascii() {
        let (t, n) = (text.as_bytes(), needle.as_bytes());
        return n.is_empty() || t.windows(n.len()).any(|w| w.eq_ignore_ascii_case(n));
    }
    text.to_lowercase().contains(needle)
}

/// Which lines are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Texts that must be there (or must not, for `true`), in lower case.
    pub words: Vec<(String, bool)>,
    /// Only this source.
    pub only: Option<u16>,
}

impl Wanted {
    fn has(&self, line: &LogLine) -> bool {
        !line.marker
            && self.only.is_none_or(|o| o == line.source)
            && self.words.iter().all(|(text, negated)| line.contains(text) != *negated)
    }
}

/// The ring.
#[derive(Debug)]
pub struct LogBuffer {
    lines: VecDeque<LogLine>,
    bytes: usize,
    capacity: usize,
    next: u64,
    dropped: u64,
    wanted: Wanted,
    hits: usize,
    /// Where each source's last line belongs that said when it was written.
    last_of: BTreeMap<u16, Place>,
}

/// Lines among so many of the newest are put into their places one by one; more are put in order at once.
const NEAR: usize = 512;

impl LogBuffer {
    /// A ring that holds `capacity` bytes of lines.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            lines: VecDeque::new(),
            bytes: 0,
            capacity,
            next: 0,
            dropped: 0,
            wanted: Wanted::default(),
            hits: 0,
            last_of: BTreeMap::new(),
        }
    }

    /// Puts a source's lines into their places, the oldest first as it wrote them; drops the oldest of all while there is no
    /// room. Sources answer one after the other, each with all its past at first: their own times put lines in order.
    pub fn push_all(&mut self, source: u16, lines: impl IntoIterator<Item = (Option<Timestamp>, Vec<Span>)>) {
        // What never says anything of its time comes as it comes.
        let newest = self.newest(source);
        let mut batch: Vec<LogLine> = Vec::new();
        for (at, spans) in lines {
            let place = match at {
                Some(at) => *self.last_of.entry(source).insert_entry((at, source)).get(),
                None => self.last_of.get(&source).copied().unwrap_or(newest),
            };
            batch.push(self.counted(at, place, source, spans, false));
        }
        batch.sort_by_key(|l| l.place);
        self.add(batch);
    }

    /// Puts a marker into its place; one that has no time behind all that there is.
    pub fn push_marker(&mut self, at: Option<Timestamp>, source: u16, spans: Vec<Span>) {
        let place = at.map_or_else(|| self.newest(source), |at| (at, source));
        let marker = self.counted(at, place, source, spans, true);
        self.add(vec![marker]);
    }

    fn newest(&self, source: u16) -> Place {
        self.lines.back().map_or((Timestamp::MIN_UTC, source), |l| l.place)
    }

    fn counted(&mut self, at: Option<Timestamp>, place: Place, source: u16, spans: Vec<Span>, marker: bool) -> LogLine {
        let spans = spans.into_boxed_slice();
        let mut line = LogLine { seq: self.next, at, place, source, spans, marker, hit: false };
        line.hit = self.wanted.has(&line);
        self.hits += usize::from(line.hit);
        self.next += 1;
        self.bytes += line.bytes();
        line
    }

    /// Adds lines that are in order among themselves.
    fn add(&mut self, batch: Vec<LogLine>) {
        let Some(first) = batch.first().map(|l| l.place) else { return };
        let from = self.lines.partition_point(|l| l.place <= first);
        match self.lines.len() - from {
            0 => self.lines.extend(batch),
            1..=NEAR => {
                for line in batch {
                    let index = self.lines.partition_point(|l| l.place <= line.place);
                    self.lines.insert(index, line);
                }
            }
            _ => {
                self.lines.extend(batch);
                if let Some(unsorted) = self.lines.make_contiguous().get_mut(from..) {
                    unsorted.sort_by_key(|l| l.place);
                }
            }
        }
        while self.bytes > self.capacity && self.lines.len() > 1 {
            if let Some(old) = self.lines.pop_front() {
                self.bytes -= old.bytes();
                self.hits -= usize::from(old.hit);
                self.dropped += 1;
            }
        }
    }

    /// Forgets all lines; the drop counter starts again.
    pub fn clear(&mut self) {
        self.lines.clear();
        self.bytes = 0;
        self.dropped = 0;
        self.hits = 0;
        self.last_of.clear();
    }

    /// Looks for something else.
    pub fn want(&mut self, wanted: Wanted) {
        if wanted == self.wanted {
            return;
        }
        for line in &mut self.lines {
            line.hit = wanted.has(line);
        }
        self.hits = self.lines.iter().filter(|l| l.hit).count();
        self.wanted = wanted;
    }

    /// What is looked for.
    #[must_use]
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// How many lines have it.
    #[must_use]
    pub fn hits(&self) -> usize {
        self.hits
    }

    /// Where the line `seq` is, if it is still here.
    #[must_use]
    pub fn index_of(&self, seq: u64) -> Option<usize> {
        self.lines.iter().position(|l| l.seq == seq)
    }

    /// The lines, oldest first.
    #[must_use]
    pub fn lines(&self) -> &VecDeque<LogLine> {
        &self.lines
    }

    /// Lines dropped to stay within the capacity.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Which part of the log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// The last lines.
    Tail(u32),
    /// From the start.
    Head,
    /// The last so many seconds.
    Since(u32),
}

impl Range {
    /// In words.
    #[must_use]
    pub fn word(self) -> String {
        match self {
            Self::Tail(n) => format!("last {n}"),
            Self::Head => "from start".to_owned(),
            Self::Since(s) => format!("last {}", crate::domain::age::human_duration(i64::from(s))),
        }
    }
}

/// What to read: the run loop turns it into streams.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRequest {
    /// For routing the lines.
    pub page: u64,
    /// Changes with every new request of the page; lines of an older one are dropped.
    pub round: u64,
    /// The tasks and containers; a source per entry, in this order.
    pub sources: Vec<LogSource>,
    /// Which part.
    pub range: Range,
    /// The run before the last restart.
    pub previous: bool,
}

/// One container whose log is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSource {
    /// The task.
    pub task: ObjectId,
    /// The task's own id: another task of the same name is another source.
    pub uid: Text,
    /// The container.
    pub container: Text,
    /// `pod/container`, or only the container's name where the log is of one task.
    pub label: Text,
    /// How often the container had been restarted.
    pub restarts: u32,
    /// It appeared while the log was open: it is read from its first line.
    pub from_start: bool,
}

impl LogSource {
    /// True if this is the same container of the same task.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.task == other.task && self.uid == other.uid && self.container == other.container
    }
}

/// The log page.
#[derive(Debug)]
pub struct LogState {
    /// For routing the lines.
    pub page: u64,
    /// The task or workload it was opened on.
    pub id: ObjectId,
    /// What is read.
    pub request: LogRequest,
    /// Containers that can be shown; more than are read only when there are very many.
    pub skipped_sources: usize,
    /// The lines.
    pub buffer: LogBuffer,
    /// Something has arrived or the streams have answered.
    pub answered: bool,
    /// Why each source that ended or failed did so, by index.
    pub ended: Vec<Option<Text>>,
    /// New lines are shown as they come.
    pub follow: bool,
    /// `seq` of the lowest visible line when not following.
    pub anchor: Option<u64>,
    /// Without an anchor, the first page is shown and stays.
    pub from_head: bool,
    /// Long lines go on in the next row.
    pub wrap: bool,
    /// Each line's time is shown.
    pub timestamps: bool,
    /// Header and hints are hidden.
    pub full_screen: bool,
    /// What is looked for, as typed.
    pub filter_raw: String,
    /// Lines without a match stay between those that have one.
    pub all_lines: bool,
    /// `seq` of the match that was gone to.
    pub found: Option<u64>,
    /// Tasks that the cluster no longer has, by source, and since when.
    pub gone: std::collections::BTreeMap<u16, Timestamp>,
    /// When it was opened: what is newer is read from its first line.
    pub opened: Timestamp,
    /// First visible column when not wrapping.
    pub pan: usize,
    /// Rows that fit when last drawn.
    pub height: usize,
}

impl LogState {
    /// True when the line is shown: what is looked for is in it, or all lines are
    /// wanted. Markers about a source go with its lines.
    #[must_use]
    pub fn keeps(&self, line: &LogLine) -> bool {
        let ours = || line.source == u16::MAX || self.only().is_none_or(|o| o == line.source);
        line.hit || ((line.marker || self.all_lines) && ours())
    }

    /// The one source that is shown, if not all are.
    #[must_use]
    pub fn only(&self) -> Option<u16> {
        self.buffer.wanted().only
    }

    /// Shows one source alone, or all.
    pub fn show_only(&mut self, only: Option<u16>) {
        let words = self.buffer.wanted().words.clone();
        self.buffer.want(Wanted { words, only });
        self.found = None;
    }

    /// True when something is looked for.
    #[must_use]
    pub fn is_filtered(&self) -> bool {
        !self.buffer.wanted().words.is_empty()
    }

    /// Index into the buffer of the lowest visible line.
    #[must_use]
    pub fn bottom(&self) -> Option<usize> {
        let lines = self.buffer.lines();
        let last = lines.len().checked_sub(1)?;
        let first_page = || {
            let kept = lines.iter().enumerate().filter(|(_, l)| self.keeps(l));
            kept.take(self.height.max(1)).last().map(|(i, _)| i).or(Some(last))
        };
        match self.anchor {
            // One that was dropped was older than all that there is.
            Some(seq) if !self.follow => self.buffer.index_of(seq).or_else(first_page),
            None if self.from_head && !self.follow => first_page(),
            _ => Some(last),
        }
    }

    /// Scrolls by `delta` kept lines; down to the end follows again.
    pub fn scroll_by(&mut self, delta: isize) {
        let Some(mut at) = self.bottom() else { return };
        let mut left = delta.unsigned_abs();
        let lines = self.buffer.lines();
        let mut best = at;
        while left > 0 {
            let next = if delta < 0 { at.checked_sub(1) } else { Some(at + 1).filter(|n| *n < lines.len()) };
            let Some(next) = next else { break };
            at = next;
            if lines.get(at).is_some_and(|l| self.keeps(l)) {
                best = at;
                left -= 1;
            }
        }
        self.anchor = lines.get(best).map(|l| l.seq);
        if delta < 0 {
            self.follow = false;
            self.hold_a_page();
        } else if left > 0 {
            self.follow = true;
            self.from_head = false;
            self.anchor = None;
        }
    }

    /// Keeps at least a page of lines above the anchor, so that scrolling up
    /// ends with the first line on top.
    fn hold_a_page(&mut self) {
        let lines = self.buffer.lines();
        let Some(bottom) = self.bottom() else { return };
        let above = lines.iter().take(bottom + 1).filter(|l| self.keeps(l)).take(self.height).count();
        if above < self.height {
            let nth = lines.iter().filter(|l| self.keeps(l)).take(self.height).last();
            self.anchor = nth.map(|l| l.seq);
        }
    }

    /// Goes to the first kept line.
    pub fn to_top(&mut self) {
        self.follow = false;
        self.anchor = self.buffer.lines().front().map(|l| l.seq);
        self.hold_a_page();
    }

    /// Sets what is looked for from what was typed: words that must be there, `!`
    /// for words that must not, quotes for words with spaces.
    ///
    /// # Errors
    /// When a quote is not closed.
    pub fn set_filter(&mut self, raw: &str) -> Result<(), super::filter::FilterError> {
        let words = super::filter::parse_words(raw)?;
        self.buffer.want(Wanted { words, only: self.only() });
        raw.trim().clone_into(&mut self.filter_raw);
        self.found = None;
        Ok(())
    }

    /// Nothing is looked for any more.
    pub fn clear_filter(&mut self) {
        self.buffer.want(Wanted { words: Vec::new(), only: self.only() });
        self.filter_raw.clear();
        self.found = None;
    }

    /// Goes to the next line with what is looked for, or the one before; around
    /// the ends. The first time, from what is on the screen. False if there is none.
    pub fn find(&mut self, forward: bool) -> bool {
        let lines = self.buffer.lines();
        let (n, Some(bottom)) = (lines.len(), self.bottom()) else { return false };
        let from = match self.found.and_then(|seq| self.buffer.index_of(seq)) {
            Some(at) => at + if forward { 1 } else { n - 1 },
            None if forward => {
                let shown = (0..=bottom).rev().filter(|i| lines.get(*i).is_some_and(|l| self.keeps(l)));
                shown.take(self.height.max(1)).last().unwrap_or(0)
            }
            None => bottom,
        };
        let around = |step: usize| if forward { (from + step) % n } else { (from + n - step) % n };
        let Some(at) = (0..n).map(around).find(|i| lines.get(*i).is_some_and(|l| l.hit)) else { return false };
        self.found = lines.get(at).map(|l| l.seq);
        self.reveal(at);
        true
    }

    /// Scrolls as little as shows the line at `index`.
    fn reveal(&mut self, index: usize) {
        let lines = self.buffer.lines();
        let Some(bottom) = self.bottom() else { return };
        let kept = |range: std::ops::RangeInclusive<usize>| {
            range.filter(|i| lines.get(*i).is_some_and(|l| self.keeps(l))).count()
        };
        // Wrapped lines take several rows each: a few of them are surely on the screen.
        let page = if self.wrap { self.height / 4 } else { self.height }.max(1);
        let anchor = if index <= bottom && kept(index..=bottom) <= page {
            bottom
        } else {
            // Into the middle, so that what is around it is seen.
            let after = (index..lines.len()).filter(|i| lines.get(*i).is_some_and(|l| self.keeps(l)));
            after.take(page / 2 + 1).last().unwrap_or(index)
        };
        self.anchor = lines.get(anchor).map(|l| l.seq);
        (self.follow, self.from_head) = (false, false);
        self.hold_a_page();
    }

    /// Which of the lines with what is looked for was gone to, from 1, if any;
    /// and how many there are.
    #[must_use]
    pub fn position(&self) -> (Option<usize>, usize) {
        let at = self.found.and_then(|seq| self.buffer.index_of(seq));
        let nth = at.map(|at| self.buffer.lines().iter().take(at + 1).filter(|l| l.hit).count());
        (nth, self.buffer.hits())
    }

    /// Puts a marker after the newest line.
    pub fn mark(&mut self, now: Timestamp) {
        let text = format!("---- {} ----", now.format("%H:%M:%S"));
        self.buffer.push_marker(Some(now), u16::MAX, vec![Span { text, tone: Tone::Title }]);
    }

    /// Says between the lines what happened, to one source or to all (`u16::MAX`),
    /// at the time `at` or after the newest line.
    pub fn note(&mut self, at: Option<Timestamp>, source: u16, what: &str) {
        let text = match self.request.sources.get(usize::from(source)) {
            Some(s) if self.request.sources.len() > 1 => format!("-- {}: {what} --", s.label),
            _ => format!("-- {what} --"),
        };
        self.buffer.push_marker(at, source, vec![Span { text, tone: Tone::Title }]);
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::milliseconds(ms)
    }

    fn texts(buffer: &LogBuffer) -> Vec<String> {
        buffer.lines().iter().map(LogLine::text).collect()
    }

    fn span(text: &str) -> Vec<Span> {
        vec![Span { text: text.to_owned(), tone: Tone::Plain }]
    }

    /// Eighteen containers of a workload, each with its last 200 lines, some at the same millisecond, in parts.
    #[test]
    fn lines_are_in_order_of_time_whoever_answers_first() {
        let read = |sources: &mut dyn Iterator<Item = u16>, part: usize| {
            let mut buffer = LogBuffer::new(usize::MAX);
            for source in sources {
                let line = |n: i64| (Some(at(n * i64::from(7 + source % 5) / 10)), span(&format!("{source} {n}")));
                let all: Vec<_> = (0..200).map(line).collect();
                for part in all.chunks(part) {
                    buffer.push_all(source, part.to_vec());
                }
            }
            buffer
        };
        let (forth, back) = (read(&mut (0..18), 1), read(&mut (0..18).rev(), 64));
        assert!(forth.lines().iter().is_sorted_by_key(|l| l.at));
        assert_eq!(texts(&forth), texts(&back));
        // Lines of one source and one time stay as they were written.
        let ours: Vec<String> = (0..200).map(|n| format!("3 {n}")).collect();
        assert_eq!(texts(&forth).into_iter().filter(|t| t.starts_with("3 ")).collect::<Vec<_>>(), ours);
    }

    #[test]
    fn a_line_without_a_time_stays_behind_the_one_it_came_after() {
        let mut buffer = LogBuffer::new(usize::MAX);
        let lines = |lines: &[(Option<i64>, &str)]| -> Vec<_> {
            lines.iter().map(|(ms, text)| (ms.map(at), span(text))).collect()
        };
        buffer.push_all(1, lines(&[(None, "first"), (Some(30), "c"), (Some(40), "d")]));
        buffer.push_all(2, lines(&[(Some(10), "a"), (None, "a goes on"), (Some(20), "b")]));
        buffer.push_marker(None, 2, span("2 ended"));
        buffer.push_all(2, lines(&[(None, "b goes on")]));
        assert_eq!(texts(&buffer), ["first", "a", "a goes on", "b", "b goes on", "c", "d", "2 ended"]);
    }

    #[test]
    fn what_is_too_old_for_a_full_buffer_is_what_is_dropped() {
        let mut buffer = LogBuffer::new(0);
        buffer.push_all(0, [(Some(at(20)), span("new"))]);
        buffer.push_all(1, [(Some(at(10)), span("old"))]);
        assert_eq!((texts(&buffer), buffer.dropped()), (vec!["new".to_owned()], 1));
    }
}
