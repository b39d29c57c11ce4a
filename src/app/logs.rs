//! The log view's state: a byte-bounded ring that counts what it dropped.

use std::collections::VecDeque;

use crate::domain::{ObjectId, Span, Text, Timestamp, Tone};

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLine {
    /// Grows by one per line received.
    pub seq: u64,
    /// When it was written, if the source says.
    pub at: Option<Timestamp>,
    /// Index into the sources.
    pub source: u16,
    /// The text.
    pub spans: Box<[Span]>,
    /// A marker the user set.
    pub marker: bool,
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

/// The ring.
#[derive(Debug)]
pub struct LogBuffer {
    lines: VecDeque<LogLine>,
    bytes: usize,
    capacity: usize,
    next: u64,
    dropped: u64,
}

impl LogBuffer {
    /// A ring that holds `capacity` bytes of lines.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { lines: VecDeque::new(), bytes: 0, capacity, next: 0, dropped: 0 }
    }

    /// Appends a line; drops the oldest ones while there is no room.
    pub fn push(&mut self, at: Option<Timestamp>, source: u16, spans: Vec<Span>, marker: bool) {
        let line = LogLine { seq: self.next, at, source, spans: spans.into_boxed_slice(), marker };
        self.next += 1;
        self.bytes += line.bytes();
        // Lines of several sources arrive batch by batch; their own times put
        // them in order. Only the neighbourhood is looked at.
        let place =
            self.lines.iter().rev().take(512).take_while(|l| matches!((l.at, at), (Some(a), Some(b)) if a > b)).count();
        if place == 0 {
            self.lines.push_back(line);
        } else {
            let index = self.lines.len() - place;
            self.lines.insert(index, line);
        }
        while self.bytes > self.capacity && self.lines.len() > 1 {
            if let Some(old) = self.lines.pop_front() {
                self.bytes -= old.bytes();
                self.dropped += 1;
            }
        }
    }

    /// Forgets all lines; the drop counter starts again.
    pub fn clear(&mut self) {
        self.lines.clear();
        self.bytes = 0;
        self.dropped = 0;
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
    /// The container.
    pub container: Text,
    /// `pod/container`, or only the container's name where there is one task.
    pub label: Text,
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
    /// Only lines with these texts (or without, for `!`); lower case.
    pub filter: Vec<(String, bool)>,
    /// As typed.
    pub filter_raw: String,
    /// Only this source.
    pub only: Option<u16>,
    /// First visible column when not wrapping.
    pub pan: usize,
    /// Rows that fit when last drawn.
    pub height: usize,
}

impl LogState {
    /// True when the filter and the chosen container keep the line.
    #[must_use]
    pub fn keeps(&self, line: &LogLine) -> bool {
        line.marker
            || (self.only.is_none_or(|o| o == line.source)
                && self.filter.iter().all(|(text, negated)| line.contains(text) != *negated))
    }

    /// Index into the buffer of the lowest visible line.
    #[must_use]
    pub fn bottom(&self) -> Option<usize> {
        let lines = self.buffer.lines();
        let last = lines.len().checked_sub(1)?;
        match self.anchor {
            Some(seq) if !self.follow => {
                // Lines are nearly in order of arrival: search outwards would be
                // exact, from the end is simple, and fast where people look.
                Some((0..=last).rev().find(|i| lines.get(*i).is_some_and(|l| l.seq <= seq)).unwrap_or(0))
            }
            None if self.from_head && !self.follow => {
                let kept = lines.iter().enumerate().filter(|(_, l)| self.keeps(l));
                kept.take(self.height.max(1)).last().map(|(i, _)| i).or(Some(last))
            }
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

    /// Sets the filter from what was typed: words that must be there, `!` for
    /// words that must not, quotes for words with spaces.
    ///
    /// # Errors
    /// When a quote is not closed.
    pub fn set_filter(&mut self, raw: &str) -> Result<(), super::filter::FilterError> {
        self.filter = super::filter::parse_words(raw)?;
        raw.trim().clone_into(&mut self.filter_raw);
        Ok(())
    }

    /// Puts a marker after the newest line.
    pub fn mark(&mut self, now: Timestamp) {
        let text = format!("---- {} ----", now.format("%H:%M:%S"));
        self.buffer.push(Some(now), u16::MAX, vec![Span { text, tone: Tone::Title }], true);
    }
}
