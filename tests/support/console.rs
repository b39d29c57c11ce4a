//! The console of a demo in this process: its own sources, desk and audit, and keys pressed as at a terminal.

#![allow(dead_code, reason = "each test uses its part")]
#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use std::path::Path;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use quarterdeck::action::Confirm;
use quarterdeck::app::actions::dialog::{Focus, Making};
use quarterdeck::app::actions::{Run, RunState};
use quarterdeck::app::overlay::Overlay;
use quarterdeck::app::{Effect, Page};
use quarterdeck::cli::demo::{self, Demo};
use quarterdeck::clock::{Clock, instant};
use quarterdeck::domain::{ObjectId, Text};
use quarterdeck::key::{Key, parse_sequence};
use quarterdeck::run::backend::{self, Reply};
use quarterdeck::runbook::process::Local;
use quarterdeck::theme::Theme;
use quarterdeck::view::columns::Context;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio::sync::mpsc;

/// How long anything may take before a test fails. Generous: machines are shared.
const PATIENCE: Duration = Duration::from_mins(1);
const AREA: Rect = Rect { x: 0, y: 0, width: 180, height: 60 };

pub struct Console {
    pub demo: Demo,
    pub clock: Clock,
    /// How much faster than the wall's the fleet's time goes.
    speed: i32,
    replies: mpsc::Receiver<Reply>,
    theme: Theme,
    turned: Instant,
    second: i64,
    /// What was copied last.
    pub copied: String,
}

impl Console {
    /// A console of `scenario` in which `age` seconds have passed. Its programs are looked for in `programs`.
    pub async fn open(scenario: &str, age: u32, speed: i32, (dir, programs): (&Path, &Path)) -> Self {
        // What has passed leads up to now: what the fleet's clients sign is of the machine's time.
        let clock = Clock::manual(Clock::system().now() - TimeDelta::seconds(i64::from(age)));
        let local = Local::looking_in(&programs.display().to_string(), clock.clone());
        let opened = demo::open(scenario, age, (&clock, dir), |desk| desk.and_local(local)).await;
        let mut demo = opened.expect(scenario);
        let (tx, replies) = mpsc::channel(256);
        demo.backend.answer_to(tx);
        let theme = Theme::embedded_default();
        Self { demo, clock, speed, replies, theme, turned: instant(), second: 0, copied: String::new() }
    }

    /// Lets time pass, takes in what came, and draws: one round of the console's loop.
    pub async fn turn(&mut self) {
        tokio::time::sleep(Duration::from_millis(60)).await;
        let passed = TimeDelta::from_std(self.turned.elapsed()).unwrap_or_default();
        self.turned = instant();
        self.clock.advance(passed * self.speed);
        let now = self.clock.now();
        while let Ok(observation) = self.demo.observations.try_recv() {
            self.demo.store.apply(observation);
        }
        while let Ok(reply) = self.replies.try_recv() {
            backend::take(&mut self.demo.backend, &mut self.demo.app, &self.demo.store, reply, now);
        }
        if self.second != now.timestamp() {
            self.second = now.timestamp();
            self.demo.store.keep_up(now);
            let effects = self.demo.app.keep_up_logs(&self.demo.store, now);
            self.carry_out(effects);
        }
        self.demo.backend.show(&self.demo.app.shown(&self.demo.store));
    }

    /// Waits until something is so, or fails with the screen as it is.
    pub async fn wait(&mut self, what: &str, mut wanted: impl FnMut(&mut Self) -> bool) {
        let start = instant();
        while !wanted(self) {
            assert!(start.elapsed() < PATIENCE, "{what}: not in time\n{}", self.screen());
            self.turn().await;
        }
    }

    /// Waits until the screen shows a text.
    pub async fn shows(&mut self, what: &str, text: &str) {
        self.wait(&format!("{what}: `{text}`"), |c| c.screen().contains(text)).await;
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        let Demo { backend, store, .. } = &mut self.demo;
        for effect in effects {
            match effect {
                Effect::Refresh => backend.refresh(),
                Effect::Copy(text) => self.copied = text,
                Effect::Fetch { page, id, kind } => backend.fetch(page, id, kind, self.clock.clone(), store),
                Effect::Logs(request) => backend.logs(&request, store),
                Effect::MoreLogs { request, from } => backend.more_logs(&request, from, store),
                Effect::EndLog { page, source } => backend.end_log(page, source),
                Effect::StopLogs(page) => backend.stop_logs(page),
                Effect::Plan { ticket, round, intent } => backend.plan(ticket, round, intent),
                Effect::Act { ticket, plan, assent } => backend.act(ticket, *plan, assent),
                Effect::CancelAct(ticket) => backend.cancel(ticket),
                Effect::KeepProgress(_) => {}
                other => panic!("nobody asked for {other:?}"),
            }
        }
    }

    pub fn key(&mut self, key: Key) {
        let now = self.clock.now();
        self.screen();
        let effects = self.demo.app.press(key, &self.demo.store, now);
        self.carry_out(effects);
        self.screen();
    }

    /// Presses keys by their names.
    pub fn press(&mut self, keys: &str) {
        for key in parse_sequence(keys).expect(keys) {
            self.key(key);
        }
    }

    /// Types a text, letter by letter.
    pub fn types(&mut self, text: &str) {
        for c in text.chars() {
            self.key(Key::char(c));
        }
    }

    /// The screen as the user sees it.
    pub fn screen(&mut self) -> String {
        let mut buf = Buffer::empty(AREA);
        let c = Context {
            store: &self.demo.store,
            now: self.clock.now(),
            absolute: self.demo.app.absolute,
            ascii: false,
            thresholds: self.demo.app.settings.thresholds,
        };
        quarterdeck::ui::draw(&mut buf, AREA, &mut self.demo.app, c, &self.theme);
        quarterdeck::cli::export::text(&buf)
    }

    /// What the last key was answered with, if that was a complaint.
    pub fn complaint(&self) -> Option<String> {
        self.demo.app.notice.as_ref().filter(|(_, n)| n.is_error).map(|(_, n)| n.text.to_string())
    }

    /// The names of the rows of the table on top.
    pub fn rows(&mut self) -> Vec<ObjectId> {
        self.screen();
        let Some(table) = self.demo.app.table() else { return Vec::new() };
        (0..table.order.len()).filter_map(|i| table.id_at(&self.demo.store, i).cloned()).collect()
    }

    /// The runbook on top.
    pub fn book(&self) -> Option<&str> {
        match self.demo.app.page() {
            Some(Page::Text(t)) => t.runbook.as_ref().map(|o| o.book.name.as_str()),
            _ => None,
        }
    }

    fn dialog(&self) -> Option<&quarterdeck::app::actions::dialog::Dialog> {
        match &self.demo.app.overlay {
            Some(Overlay::Action(dialog)) => Some(dialog),
            _ => None,
        }
    }

    /// The plan on screen is made, possible and allowed; it is confirmed and runs to its end, which is shown.
    /// Answers how it ended, and what it was done to.
    pub async fn confirm(&mut self, what: &str) -> (Text, Vec<ObjectId>) {
        self.wait(&format!("{what}: its plan"), |c| {
            c.dialog().is_some_and(|d| matches!(d.making, Making::Made(_) | Making::Failed(_)))
        })
        .await;
        let screen = self.screen();
        let dialog = self.dialog().expect("a dialog");
        let ticket = dialog.ticket;
        let Making::Made(judged) = &dialog.making else { panic!("{what}: no plan\n{screen}") };
        let refused = || format!("{what}: refused: {:?} {:?}\n{screen}", judged.verdict.refused, judged.plan.refused);
        assert!(judged.verdict.refused.is_empty() && judged.plan.is_possible(), "{}", refused());
        let targets = judged.plan.intent.targets.clone();
        let typed = match &judged.verdict.confirm {
            Confirm::Type(name) => Some(name.to_string()),
            Confirm::Choose => None,
        };
        for _ in 0..12 {
            match self.dialog().map(|d| d.focus) {
                Some(Focus::Go) => break,
                Some(Focus::Typed) => {
                    let name = typed.clone().expect("a name to type");
                    self.types(&name);
                    self.press("tab");
                }
                _ => self.press("tab"),
            }
        }
        self.press("enter");
        assert!(matches!(self.demo.app.overlay, Some(Overlay::Run { .. })), "{what}: it runs\n{}", self.screen());
        self.wait(&format!("{what}: its end"), |c| c.run(ticket).is_some_and(|r| !r.is_running())).await;
        let run = self.run(ticket).expect("it was run");
        let RunState::Ended(end) = &run.state else { panic!("{what}: it is over") };
        let said = end.text.clone();
        let outcome = end.outcome;
        assert_eq!(outcome, quarterdeck::action::Outcome::Done, "{what}: {said}\n{}", self.screen());
        self.press("esc");
        (said, targets)
    }

    fn run(&self, ticket: u64) -> Option<&Run> {
        self.demo.app.run_of(ticket)
    }
}
