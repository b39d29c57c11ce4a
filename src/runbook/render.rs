//! Markdown as lines of a terminal, and where its steps, checkboxes and links are.

use pulldown_cmark::{Alignment, CodeBlockKind, Event, HeadingLevel, Parser, Tag, TagEnd};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::Runbook;
use super::step::{StepKind, extensions, step_of};
use crate::domain::{Line, Span, Text, Tone};

/// Deeper nesting is shown as deep as this.
const DEPTH: usize = 8;
/// No column of text is narrower, whatever stands before it.
const NARROWEST: usize = 12;
/// Nor a column of a table.
const CELL: usize = 6;

/// What can be done at a place of a runbook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A step, by its number.
    Step(usize),
    /// A checkbox, by the text that it is remembered by.
    Check(String),
    /// A link to another runbook, or elsewhere.
    Link(String),
}

/// Something that can be done, and its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What.
    pub what: What,
    /// Its first line.
    pub from: usize,
    /// The line after its last.
    pub to: usize,
}

/// A runbook as lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rendered {
    /// Its lines, each at most as wide as was asked for where that is possible.
    pub lines: Vec<Line>,
    /// What can be done, from top to bottom.
    pub items: Vec<Item>,
}

/// How it is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Columns.
    pub width: usize,
    /// No Unicode.
    pub ascii: bool,
}

/// Renders a runbook; `is_ticked` says which checkboxes have a tick.
#[must_use]
pub fn render(book: &Runbook, look: Look, is_ticked: &dyn Fn(&str) -> bool) -> Rendered {
    let mut r = Renderer::new(book, look, is_ticked);
    r.mistakes();
    let markdown = book.markdown();
    for event in Parser::new_ext(markdown, extensions()) {
        r.event(event);
    }
    r.flush();
    while r.out.lines.last().is_some_and(|l| l.text().trim().is_empty()) {
        r.out.lines.pop();
    }
    r.out
}

/// What stands before a block's lines: its quotes' bars and lists' marks.
#[derive(Debug, Clone)]
struct Before {
    /// Before the first line, taken once.
    first: Option<String>,
    /// Before the others.
    rest: String,
    tone: Tone,
}

struct Renderer<'a> {
    book: &'a Runbook,
    look: Look,
    is_ticked: &'a dyn Fn(&str) -> bool,
    out: Rendered,
    before: Vec<Before>,
    /// Numbers of ordered lists; `None` of others.
    lists: Vec<Option<u64>>,
    inline: Vec<Span>,
    tones: Vec<Tone>,
    links: Vec<(String, usize)>,
    /// Links of the block that is being gathered.
    targets: Vec<String>,
    /// The block begins with a checkbox.
    check: bool,
    checks: Vec<String>,
    code: Option<(Option<usize>, String)>,
    steps: usize,
    table: Option<Table>,
    heading: Option<HeadingLevel>,
}

#[derive(Default)]
struct Table {
    align: Vec<Alignment>,
    rows: Vec<Vec<Vec<Span>>>,
}

impl<'a> Renderer<'a> {
    fn new(book: &'a Runbook, look: Look, is_ticked: &'a dyn Fn(&str) -> bool) -> Self {
        Self {
            book,
            look,
            is_ticked,
            out: Rendered::default(),
            before: Vec::new(),
            lists: Vec::new(),
            inline: Vec::new(),
            tones: Vec::new(),
            links: Vec::new(),
            targets: Vec::new(),
            check: false,
            checks: Vec::new(),
            code: None,
            steps: 0,
            table: None,
            heading: None,
        }
    }

    fn mistakes(&mut self) {
        for mistake in self.book.mistakes.iter().take(5) {
            let (line, column) = mistake.place(&self.book.text);
            let text = format!("line {line}, column {column}: {}", mistake.what);
            self.inline.push(Span { text, tone: Tone::Warning });
            self.paragraph();
        }
        if !self.book.mistakes.is_empty() {
            self.blank();
        }
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => match &mut self.code {
                Some((_, code)) => code.push_str(&text),
                None => self.text(&text, self.tone()),
            },
            Event::Code(text) | Event::InlineMath(text) | Event::DisplayMath(text) => self.text(&text, Tone::String),
            Event::Html(text) | Event::InlineHtml(text) => {
                if !text.trim_start().starts_with("<!--") {
                    self.text(&text, Tone::Dim);
                }
            }
            Event::SoftBreak => self.text(" ", self.tone()),
            Event::HardBreak => self.inline.push(Span { text: "\n".to_owned(), tone: Tone::Plain }),
            Event::Rule => {
                self.flush();
                let rule = if self.look.ascii { "-" } else { "─" }.repeat(self.room().min(60));
                self.push(Line::new().with(rule, Tone::Dim));
                self.blank();
            }
            Event::TaskListMarker(_) => self.check = true,
            Event::FootnoteReference(name) => self.text(&format!("[{name}]"), Tone::Dim),
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::HtmlBlock => self.flush(),
            Tag::Heading { level, .. } => {
                self.flush();
                self.blank();
                self.heading = Some(level);
            }
            Tag::BlockQuote(_) => {
                self.flush();
                let bar = if self.look.ascii { "| " } else { "│ " };
                self.open(Before { first: None, rest: bar.to_owned(), tone: Tone::Dim });
            }
            Tag::CodeBlock(kind) => {
                self.flush();
                let step = match &kind {
                    CodeBlockKind::Fenced(info) => step_of(info).map(|_| {
                        self.steps += 1;
                        self.steps - 1
                    }),
                    CodeBlockKind::Indented => None,
                };
                self.code = Some((step, String::new()));
            }
            Tag::List(first) => {
                self.flush();
                self.lists.push(first);
            }
            Tag::Item => {
                self.flush();
                let mark = match self.lists.last_mut() {
                    Some(Some(n)) => {
                        *n += 1;
                        format!("{}. ", *n - 1)
                    }
                    _ if self.look.ascii => "- ".to_owned(),
                    _ => "• ".to_owned(),
                };
                let rest = " ".repeat(mark.width());
                self.open(Before { first: Some(mark), rest, tone: Tone::Dim });
            }
            Tag::Emphasis | Tag::Strong => self.tones.push(Tone::Strong),
            Tag::Strikethrough => self.tones.push(Tone::Dim),
            Tag::Link { dest_url, .. } => {
                self.links.push((Text::new(&dest_url).to_string(), self.inline.len()));
                self.tones.push(Tone::Key);
            }
            Tag::Image { dest_url, .. } => {
                self.text("[image: ", Tone::Dim);
                self.links.push((Text::new(&dest_url).to_string(), self.inline.len()));
                self.tones.push(Tone::Dim);
            }
            Tag::Table(align) => {
                self.flush();
                self.table = Some(Table { align, rows: Vec::new() });
            }
            Tag::TableHead | Tag::TableRow => {
                if let Some(table) = &mut self.table {
                    table.rows.push(Vec::new());
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph | TagEnd::HtmlBlock => {
                self.flush();
                if self.lists.is_empty() {
                    self.blank();
                }
            }
            TagEnd::Heading(_) => self.end_heading(),
            TagEnd::BlockQuote(_) => {
                self.flush();
                self.unblank();
                self.before.pop();
                self.blank();
            }
            TagEnd::CodeBlock => self.end_code(),
            TagEnd::List(_) => {
                self.flush();
                self.lists.pop();
                if self.lists.is_empty() {
                    self.blank();
                }
            }
            TagEnd::Item => {
                self.flush();
                self.before.pop();
            }
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough => drop(self.tones.pop()),
            TagEnd::Link => {
                self.tones.pop();
                if let Some((target, from)) = self.links.pop() {
                    let shown: String = self.inline.iter().skip(from).map(|s| s.text.as_str()).collect();
                    if shown != target && !target.is_empty() {
                        self.text(&format!(" ({target})"), Tone::Dim);
                    }
                    self.targets.push(target);
                }
            }
            TagEnd::Image => {
                self.tones.pop();
                let target = self.links.pop().map(|(t, _)| t).unwrap_or_default();
                self.text(&format!("] ({target})"), Tone::Dim);
            }
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.inline);
                if let Some(row) = self.table.as_mut().and_then(|t| t.rows.last_mut()) {
                    row.push(cell);
                }
            }
            TagEnd::Table => {
                if let Some(table) = self.table.take() {
                    self.draw_table(&table);
                    self.links_of(self.out.lines.len().saturating_sub(1));
                    self.blank();
                }
            }
            _ => {}
        }
    }

    fn tone(&self) -> Tone {
        self.tones.last().copied().unwrap_or_default()
    }

    fn text(&mut self, text: &str, tone: Tone) {
        // Cleaned piece by piece: what is no text never gets into a line.
        let text = Text::new(text);
        if !text.is_empty() {
            self.inline.push(Span { text: text.to_string(), tone });
        }
    }

    fn open(&mut self, before: Before) {
        self.before.push(before);
    }

    /// Columns that stand before a block's text.
    fn indent(&self) -> usize {
        self.before.iter().take(DEPTH).map(|b| b.rest.width()).sum()
    }

    fn room(&self) -> usize {
        self.look.width.saturating_sub(self.indent()).max(NARROWEST)
    }

    /// A line of the block, with what stands before it.
    fn push(&mut self, line: Line) {
        let mut out = Line::new();
        for before in self.before.iter_mut().take(DEPTH) {
            let text = before.first.take().unwrap_or_else(|| before.rest.clone());
            out.push(text, before.tone);
        }
        out.spans.extend(line.spans);
        self.out.lines.push(out);
    }

    /// An empty line, never two.
    fn blank(&mut self) {
        if self.out.lines.last().is_none_or(|l| l.text().trim_matches([' ', '│', '|']).is_empty()) {
            return;
        }
        let mut line = Line::new();
        for b in self.before.iter().take(DEPTH).filter(|b| b.first.is_none()) {
            line.push(b.rest.clone(), b.tone);
        }
        self.out.lines.push(line);
    }

    fn unblank(&mut self) {
        if self.out.lines.last().is_some_and(|l| l.text().trim_matches([' ', '│', '|']).is_empty()) {
            self.out.lines.pop();
        }
    }

    /// What was gathered becomes lines.
    fn flush(&mut self) {
        if self.inline.is_empty() && !self.check || self.table.is_some() {
            return;
        }
        self.paragraph();
    }

    fn paragraph(&mut self) {
        let from = self.out.lines.len();
        let mut spans = std::mem::take(&mut self.inline);
        let check = std::mem::take(&mut self.check);
        let mut hang = 0;
        if check {
            let key = self.check_key(&spans);
            let ticked = (self.is_ticked)(&key);
            let (mark, tone) = match (ticked, self.look.ascii) {
                (false, _) => ("[ ] ", Tone::Strong),
                (true, true) => ("[x] ", Tone::Health(crate::domain::Health::Ok)),
                (true, false) => ("[✔] ", Tone::Health(crate::domain::Health::Ok)),
            };
            if ticked {
                for span in &mut spans {
                    span.tone = Tone::Dim;
                }
            }
            spans.insert(0, Span { text: mark.to_owned(), tone });
            hang = 4;
            // The box is the mark.
            if let Some(b) = self.before.last_mut().filter(|b| b.first.is_some()) {
                b.first = Some(String::new());
                b.rest = String::new();
            }
            self.out.items.push(Item { what: What::Check(key), from, to: from + 1 });
        }
        let last = self.out.items.len();
        for line in wrap(&spans, self.room(), hang) {
            self.push(line);
        }
        let to = self.out.lines.len();
        if check && let Some(item) = last.checked_sub(1).and_then(|i| self.out.items.get_mut(i)) {
            item.to = to;
        }
        self.links_of(from);
    }

    fn links_of(&mut self, from: usize) {
        let to = self.out.lines.len();
        for target in std::mem::take(&mut self.targets) {
            self.out.items.push(Item { what: What::Link(target), from: from.min(to), to });
        }
    }

    /// What a checkbox is remembered by: its text, and a number where that is there twice.
    fn check_key(&mut self, spans: &[Span]) -> String {
        let text: String = spans.iter().map(|s| s.text.as_str()).collect::<String>().trim().chars().take(120).collect();
        let before = self.checks.iter().filter(|c| **c == text).count();
        self.checks.push(text.clone());
        if before == 0 { text } else { format!("{text} #{}", before + 1) }
    }

    fn end_heading(&mut self) {
        let level = self.heading.take().unwrap_or(HeadingLevel::H1);
        let tone = if matches!(level, HeadingLevel::H1 | HeadingLevel::H2) { Tone::Title } else { Tone::Strong };
        self.inline.iter_mut().for_each(|s| s.tone = tone);
        let text: String = self.inline.iter().map(|s| s.text.as_str()).collect();
        self.flush();
        if level == HeadingLevel::H1 {
            let rule = if self.look.ascii { "=" } else { "═" };
            let width = text.width().min(self.room());
            self.push(Line::new().with(rule.repeat(width), Tone::Title));
        }
        if level != HeadingLevel::H3 {
            self.blank();
        }
    }

    fn end_code(&mut self) {
        let Some((step, code)) = self.code.take() else { return };
        if let Some(number) = step {
            self.step(number, &code);
        } else {
            for raw in code.lines() {
                let text = Text::new(&raw.replace('\t', "    "));
                for piece in cut(&text, self.room().saturating_sub(2)) {
                    self.push(Line::new().with("  ", Tone::Plain).with(piece, Tone::String));
                }
            }
        }
        self.blank();
    }

    fn step(&mut self, number: usize, code: &str) {
        let Some(step) = self.book.steps.get(number) else { return };
        let from = self.out.lines.len();
        // In a word: headings often have numbers of their own.
        let lead = format!("step {}  ", number + 1);
        let hang = lead.len();
        let head = Line::new().with(lead.as_str(), Tone::Key).with(step.title.to_string(), Tone::Strong);
        for line in wrap(&head.spans, self.room(), hang) {
            self.push(line);
        }
        let mut say = |text: &str, tone: Tone| {
            let spans = [Span { text: " ".repeat(hang), tone }, Span { text: Text::new(text).to_string(), tone }];
            for line in wrap(&spans, self.room(), hang + 2) {
                self.push(line);
            }
        };
        match &step.kind {
            Ok(kind) => {
                let summary = kind.summary();
                if *step.title != *summary {
                    say(&summary, Tone::Dim);
                }
                if let StepKind::Run(command) = kind {
                    for (name, value) in &command.env {
                        say(&format!("{name}={value}"), Tone::Dim);
                    }
                }
            }
            Err(why) => {
                say(&format!("this step cannot be done: {why}"), Tone::Error);
                for line in code.lines() {
                    say(line, Tone::Dim);
                }
            }
        }
        let to = self.out.lines.len();
        self.out.items.push(Item { what: What::Step(number), from, to });
    }

    fn draw_table(&mut self, table: &Table) {
        let columns = table.rows.iter().map(Vec::len).max().unwrap_or(0);
        if columns == 0 {
            return;
        }
        let wide = |cell: &[Span]| cell.iter().map(|s| s.text.width()).sum::<usize>();
        let mut widths: Vec<usize> = (0..columns)
            .map(|c| table.rows.iter().filter_map(|r| r.get(c)).map(|x| wide(x)).max().unwrap_or(0))
            .collect();
        let room = self.room().saturating_sub(2 * (columns - 1));
        // The widest gives way, a column at a time.
        while widths.iter().sum::<usize>() > room {
            let Some(widest) = widths.iter_mut().max().filter(|w| **w > CELL) else { break };
            *widest -= 1;
        }
        for (n, row) in table.rows.iter().enumerate() {
            let cells: Vec<Vec<Line>> = widths
                .iter()
                .enumerate()
                .map(|(c, width)| {
                    let mut spans = row.get(c).cloned().unwrap_or_default();
                    if n == 0 {
                        for span in &mut spans {
                            span.tone = Tone::Strong;
                        }
                    }
                    wrap(&spans, (*width).max(1), 0)
                })
                .collect();
            for at in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
                let mut line = Line::new();
                for (c, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                    let part = cell.get(at).cloned().unwrap_or_default();
                    let free = width.saturating_sub(part.text().width());
                    let left = match table.align.get(c) {
                        Some(Alignment::Right) => free,
                        Some(Alignment::Center) => free / 2,
                        _ => 0,
                    };
                    let gap = if c + 1 < columns { 2 } else { 0 };
                    line.push(" ".repeat(left), Tone::Plain);
                    line.spans.extend(part.spans);
                    line.push(" ".repeat(free - left + gap), Tone::Plain);
                }
                line.spans.retain(|s| !s.text.is_empty());
                self.push(line);
            }
            if n == 0 {
                let rule = if self.look.ascii { "-" } else { "─" };
                let parts: Vec<String> = widths.iter().map(|w| rule.repeat(*w)).collect();
                self.push(Line::new().with(parts.join("  "), Tone::Dim));
            }
        }
    }
}

/// A text in pieces of at most so many columns.
fn cut(text: &str, width: usize) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut used = 0;
    for g in text.graphemes(true) {
        if used + g.width() > width.max(2) {
            out.push(String::new());
            used = 0;
        }
        used += g.width();
        if let Some(last) = out.last_mut() {
            last.push_str(g);
        }
    }
    out
}

/// Spans in lines of at most `width` columns, broken between words; all but the first are indented by `hang`.
#[must_use]
pub fn wrap(spans: &[Span], width: usize, hang: usize) -> Vec<Line> {
    let hang = if hang + NARROWEST > width { 0 } else { hang };
    let mut out = vec![Line::new()];
    let mut used = 0;
    let mut word: Vec<Span> = Vec::new();
    let put = |word: &mut Vec<Span>, out: &mut Vec<Line>, used: &mut usize| {
        let solid: usize = word.iter().map(|s| s.text.trim_end().width()).sum();
        if *used > 0 && *used + solid > width && solid > 0 {
            trim(out.last_mut());
            out.push(Line::new().with(" ".repeat(hang), Tone::Plain));
            *used = hang;
        }
        for span in word.drain(..) {
            for (n, piece) in
                cut(&span.text, if solid > width { width.saturating_sub(*used).max(2) } else { usize::MAX })
                    .into_iter()
                    .enumerate()
            {
                if n > 0 {
                    out.push(Line::new().with(" ".repeat(hang), Tone::Plain));
                    *used = hang;
                }
                *used += piece.width();
                let Some(line) = out.last_mut() else { continue };
                match line.spans.last_mut() {
                    Some(last) if last.tone == span.tone => last.text.push_str(&piece),
                    _ => line.push(piece, span.tone),
                }
            }
        }
    };
    for span in spans {
        if span.text == "\n" {
            put(&mut word, &mut out, &mut used);
            out.push(Line::new().with(" ".repeat(hang), Tone::Plain));
            used = hang;
            continue;
        }
        for part in span.text.split_inclusive(' ') {
            word.push(Span { text: part.to_owned(), tone: span.tone });
            if part.ends_with(' ') {
                put(&mut word, &mut out, &mut used);
            }
        }
    }
    put(&mut word, &mut out, &mut used);
    trim(out.last_mut());
    for line in &mut out {
        line.spans.retain(|s| !s.text.is_empty());
    }
    out
}

fn trim(line: Option<&mut Line>) {
    if let Some(last) = line.and_then(|l| l.spans.last_mut()) {
        last.text.truncate(last.text.trim_end().len());
    }
}
