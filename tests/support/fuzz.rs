//! A terminal for keys by the hundred thousand: they are sent as fast as the console takes them, and
//! what it shows is looked at now and then.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, PtySize, native_pty_system};
use quarterdeck::clock::instant;
use vt100::Parser;

/// How long anything may take that must happen.
const PATIENCE: Duration = Duration::from_mins(1);
/// Nothing drawn for so long: what was pressed has been acted on.
const QUIET: Duration = Duration::from_millis(15);
/// Who sees nothing happen for so long presses another key.
const NUDGE: Duration = Duration::from_millis(250);
/// A dialog says this while its plan is being made.
const PLANNING: &str = "looking at what is there";
/// So many visits, and the console is started anew.
const LIFE: usize = 30;
/// How long a dialog may take to be there at all.
const LATE: Duration = Duration::from_millis(300);
/// How long somebody waits who waits for a plan.
const PLAN: Duration = Duration::from_secs(4);
const ESC: &str = "\x1b";

/// A small generator: the same seed presses the same keys.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(below).expect("small")).expect("small")
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.roll(of.len())]
    }
}

/// Who presses keys, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hands {
    /// At the console, enter among them: plans are agreed to.
    Console,
    /// At the console, without enter, which is how a button is pressed: no plan is ever agreed to.
    WithoutEnter,
    /// At the wallboard.
    Wallboard,
}

/// What was shown, as far as somebody looked.
#[derive(Debug, Default)]
pub struct Shown {
    pub keys: usize,
    /// How often a key more was needed for those before it to be read.
    pub nudges: usize,
    /// How often somebody went somewhere with a purpose.
    pub visits: usize,
    /// How often the console was started.
    pub starts: usize,
    /// The first words of titles, or the wallboard's pages.
    pub views: BTreeSet<String>,
    /// Plans that could be agreed to, by what their button says.
    pub plans: BTreeMap<String, usize>,
    /// Dialogs, with a plan that can be agreed to or without.
    pub dialogs: usize,
    /// Refusals because the console is read-only.
    pub refusals: usize,
    /// How often the terminal was lent to a session in a container.
    pub lent: usize,
    /// How often help, the palette or the list of runbooks was open.
    pub popups: usize,
}

/// What is started, again where it has ended.
pub struct Program<'a> {
    pub bin: &'a str,
    pub arguments: &'a [String],
    pub environment: &'a [(&'static str, String)],
    pub home: &'a Path,
    /// What is on the screen once it is worth pressing keys.
    pub ready: &'static str,
}

struct Glass {
    child: Box<dyn Child + Send + Sync>,
    writer: Box<dyn std::io::Write + Send>,
    /// The console's own end, to see what it has not yet read.
    line: File,
    screen: Arc<Mutex<Parser>>,
    began: Instant,
    /// When something came last, in microseconds from `began`.
    last: Arc<AtomicU64>,
    nudges: usize,
}

impl Drop for Glass {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

impl Glass {
    fn start(program: &Program<'_>) -> Self {
        let pair = native_pty_system()
            .openpty(PtySize { rows: 40, cols: 120, pixel_width: 0, pixel_height: 0 })
            .expect("a pseudo-terminal");
        let line = File::open(pair.master.tty_name().expect("it has a name")).expect("it can be opened");
        let mut command = CommandBuilder::new(program.bin);
        command.args(program.arguments);
        command.env_clear();
        command.cwd(program.home);
        for (name, value) in program.environment {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).expect("it starts");
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let writer = pair.master.take_writer().expect("a writer");
        let corner = std::num::NonZeroU16::new;
        let parser = Parser::new(corner(40).expect("not zero"), corner(120).expect("not zero"), 0);
        let (screen, last, began) = (Arc::new(Mutex::new(parser)), Arc::new(AtomicU64::new(0)), instant());
        let (drawn, came) = (Arc::clone(&screen), Arc::clone(&last));
        // It ends with the terminal, whose last end is `line`.
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                drawn.lock().expect("nobody panics with it").process(&buffer[..n]);
                came.store(micros(began), Ordering::Relaxed);
            }
        });
        let mut glass = Self { child, writer, line, screen, began, last, nudges: 0 };
        glass.until("a screen", PATIENCE, |text| text.contains("UTC"));
        // What was done before may have left a fleet that takes longer to read.
        let begun = instant();
        while glass.lives() && !glass.text().contains(program.ready) && begun.elapsed() < PATIENCE / 3 {
            std::thread::sleep(Duration::from_millis(5));
        }
        glass
    }

    fn lives(&mut self) -> bool {
        self.child.try_wait().expect("it can be asked").is_none()
    }

    fn text(&self) -> String {
        self.screen.lock().expect("nobody panics with it").screen().contents()
    }

    /// The terminal is somebody else's just now.
    fn is_lent(&self) -> bool {
        !self.screen.lock().expect("nobody panics with it").screen().alternate_screen()
    }

    /// Waits for what must come; it may end instead.
    fn until(&mut self, what: &str, most: Duration, wanted: impl Fn(&str) -> bool) {
        let begun = instant();
        while self.lives() && !wanted(&self.text()) {
            assert!(begun.elapsed() < most, "{what}:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Presses keys; back when the console has read them. False where it has ended.
    fn press(&mut self, keys: &str) -> bool {
        // The kernel holds 4,095 bytes for who does not read; more would block here.
        if keys.is_empty() || self.writer.write_all(keys.as_bytes()).is_err() {
            return self.lives();
        }
        let (begun, mut nudged) = (instant(), 0);
        while rustix::io::ioctl_fionread(&self.line).is_ok_and(|n| n > 0) {
            if !self.lives() {
                return false;
            }
            assert!(begun.elapsed() < PATIENCE, "it reads no keys any more:\n{}", self.text());
            // crossterm's reader is told of new input once; where another event came with it, it forgets, and
            // what was typed is read with the next key. Somebody who sees nothing happen presses one.
            if begun.elapsed() > NUDGE * (nudged + 1) {
                nudged += 1;
                self.nudges += 1;
                let _ = self.writer.write_all(ESC.as_bytes());
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        self.lives()
    }

    /// Waits until nothing is drawn for a moment.
    fn settle(&mut self, most: Duration) {
        let begun = instant();
        while begun.elapsed() < most && self.lives() {
            let quiet =
                micros(self.began).saturating_sub(self.last.load(Ordering::Relaxed).max(micros_at(begun, self.began)));
            if u128::from(quiet) >= QUIET.as_micros() {
                return;
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    }
}

fn micros_at(at: Instant, began: Instant) -> u64 {
    u64::try_from(at.saturating_duration_since(began).as_micros()).unwrap_or(u64::MAX)
}

/// A key as a terminal sends it. Often one that changes something, and what leads there. Not those that
/// suspend the console or end it: they end the test's fun, no more, but for the wallboard's `q`, now and then.
fn key(dice: &mut Dice, hands: Hands) -> String {
    const MUTATING: &[&str] =
        &["c", "u", "r", "s", "i", "T", "\x04", "e", "a", "f", "S", "U", "\x18a", "\x18s", "\x18r"];
    const MOVES: &[&str] = &[
        "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[5~", "\x1b[6~", "\t", "\x1b[Z", " ", ESC, "j", "k", "1", "2",
        "3", "4", "7", "0", "G", "g",
    ];
    match dice.roll(10) {
        0..=2 => dice.one(MUTATING).to_owned(),
        3..=6 => dice.one(MOVES).to_owned(),
        7 if hands != Hands::WithoutEnter => "\r".to_owned(),
        _ => loop {
            if hands == Hands::Wallboard && dice.roll(500) == 0 {
                break "q".to_owned();
            }
            let code = u8::try_from(dice.roll(127)).expect("ASCII");
            // ctrl-c, enter, ctrl-x (the way to suspending), escape's own sequences, q.
            if !matches!(code, 0x03 | 0x0a | 0x0d | 0x18 | 0x1b | b'q') {
                break char::from(code).to_string();
            }
        },
    }
}

/// Keys that lead somewhere, the `n`th time: every other time to what can be done to a row, one after the
/// other, else to a popup, another view, or a step of a runbook.
fn way(dice: &mut Dice, hands: Hands, n: usize) -> Vec<String> {
    const VERBS: &[(&str, &str)] = &[
        ("2", "c"),
        ("4", "s"),
        ("3", "\x04"),
        ("4", "r"),
        ("7", "S"),
        ("4", "u"),
        ("3", "e"),
        ("2", "u"),
        ("4", "i"),
        ("3", "f"),
        ("2", "r"),
        ("4", "T"),
        ("3", "a"),
        ("4", "\x18s"),
        ("6", "c"),
        ("7", "U"),
        ("4", "\x04"),
        ("4", "\x18r"),
        ("3", "s"),
        ("0", "r"),
    ];
    const LOOKS: &[&str] =
        &["?", "5", ":", "8", "9", ",,", "P", "!", "d", "y", "l", "E", "o", "J", "n", "\x18a", "v", "6", "1"];
    const BOOKS: &[&str] = &[",b", ",c", ",n", ",i", ",s", ",t", ",u", ",d", ",q", ",y", ",f"];
    let rows = |dice: &mut Dice| {
        if dice.roll(4) == 0 { format!("G{}", "k".repeat(dice.roll(12))) } else { "j".repeat(dice.roll(12)) }
    };
    if n % 2 == 1 {
        let view = dice.one(&["1", "2", "3", "4", "7"]).to_owned();
        if n % 4 == 1 {
            return vec![view, rows(dice), LOOKS[n / 4 % LOOKS.len()].to_owned()];
        }
        return vec![view, rows(dice), dice.one(BOOKS).to_owned(), "\t".repeat(dice.roll(9)), "r".to_owned()];
    }
    let (view, verb) = VERBS[n / 2 % VERBS.len()];
    // Without the marks of before: targets in several clusters have no plan.
    let mut keys = vec![view.to_owned(), "\x1c".to_owned(), rows(dice)];
    // What only cron jobs can do; else, now and then, ECS services among all the rest.
    let kind = match verb {
        "T" | "\x18s" | "\x18r" => "cronjob",
        _ if view == "4" && dice.roll(4) == 0 => "service",
        _ => "",
    };
    if !kind.is_empty() && hands == Hands::Console {
        keys.extend([format!("/kind={kind}\r"), rows(dice)]);
    }
    // Several at once.
    if dice.roll(4) == 0 {
        keys.push(" ".repeat(1 + dice.roll(3)));
    }
    keys.push(verb.to_owned());
    keys
}

/// Presses at least so many keys, and starts the program again where it has ended.
pub fn press(program: &Program<'_>, hands: Hands, keys: usize, dice: &mut Dice) -> Shown {
    let mut shown = Shown::default();
    // Few keys are mostly pressed where they matter.
    let random = if keys > 20_000 { 160 } else { 24 };
    while shown.keys < keys {
        let mut glass = Glass::start(program);
        shown.starts += 1;
        let visits = shown.visits;
        // A new one now and then: what was filtered and hidden before leaves ever fewer rows.
        while shown.keys < keys && glass.lives() && shown.visits < visits + LIFE {
            if hands == Hands::Wallboard {
                batch(&mut glass, hands, random, dice, &mut shown);
                look(&mut glass, hands, Duration::ZERO, &mut shown);
            } else {
                visit(&mut glass, hands, random, dice, &mut shown);
            }
        }
        // What was pressed last is still acted on, and what it asked for is on its way.
        glass.settle(Duration::from_secs(2));
        shown.nudges += glass.nudges;
        glass.until("what was asked for", PATIENCE, |text| !text.contains(PLANNING));
    }
    shown
}

/// Goes somewhere with a purpose, and presses whatever comes there.
fn visit(glass: &mut Glass, hands: Hands, random: usize, dice: &mut Dice, shown: &mut Shown) {
    if glass.is_lent() {
        shown.lent += 1;
        // Whatever is typed there; then out, whether it is a shell, a program or a log.
        for keys in ["\x03", "\x15exit\r", "\x04", "\x03"] {
            if !glass.is_lent() || !glass.press(keys) {
                break;
            }
            glass.settle(Duration::from_millis(300));
        }
    }
    let n = shown.visits;
    shown.visits += 1;
    let out = [ESC, ESC, ESC].map(str::to_owned);
    for keys in out.into_iter().chain(way(dice, hands, n)) {
        shown.keys += keys.chars().count();
        if !glass.press(&keys) {
            return;
        }
    }
    // Who does not wait presses keys while the plan is being made.
    let waits = if dice.roll(5) > 0 { PLAN } else { Duration::ZERO };
    look(glass, hands, waits, shown);
    if hands == Hands::Console && !waits.is_zero() && !agree(glass, dice, shown) {
        return;
    }
    batch(glass, hands, random, dice, shown);
    look(glass, hands, Duration::ZERO, shown);
}

/// Says what a dialog asks for, and yes, or leaves it as it is; false where the console has ended.
fn agree(glass: &mut Glass, dice: &mut Dice, shown: &mut Shown) -> bool {
    if glass.text().contains("enter shows what would happen") {
        let said = dice.one(&["2\r", "3\r", "\r", "1h\r", "web:2\r", "8080\r"]);
        shown.keys += said.len();
        if !glass.press(said) {
            return false;
        }
        look(glass, Hands::Console, PLAN, shown);
    }
    if glass.text().contains("[ Cancel ]") && dice.roll(4) > 0 {
        // From the button that leaves it to the one that does it.
        shown.keys += 2;
        if !glass.press("\t\r") {
            return false;
        }
        look(glass, Hands::Console, Duration::ZERO, shown);
    }
    true
}

/// Presses keys at random.
fn batch(glass: &mut Glass, hands: Hands, random: usize, dice: &mut Dice, shown: &mut Shown) {
    let mut keys = String::new();
    for _ in 0..random {
        let key = key(dice, hands);
        keys += &key;
        shown.keys += 1;
        // A lone escape is told from a sequence by what is behind it.
        if key == ESC || key == "q" {
            if !glass.press(&keys) {
                return;
            }
            keys.clear();
        }
    }
    glass.press(&keys);
}

/// Looks at the screen once it stands, and waits so long for a plan that is being made.
fn look(glass: &mut Glass, hands: Hands, plan: Duration, shown: &mut Shown) {
    glass.settle(Duration::from_millis(500));
    let begun = instant();
    // On a busy machine a key is drawn later.
    while !plan.is_zero() && !glass.text().contains("[ Cancel ]") && glass.lives() && begun.elapsed() < LATE {
        std::thread::sleep(Duration::from_millis(3));
    }
    while glass.text().contains(PLANNING) && glass.lives() && begun.elapsed() < plan {
        std::thread::sleep(Duration::from_millis(3));
    }
    let text = glass.text();
    if hands == Hands::Wallboard {
        let pages = ["overview", "map", "budgets", "alarms", "spot", "services", "timeline"];
        for page in pages {
            if (1..=7).any(|n| text.contains(&format!("{page} {n}/7"))) {
                shown.views.insert(page.to_owned());
            }
        }
        shown.popups += usize::from(text.contains("a wallboard changes nothing"));
        return;
    }
    let title = text.lines().next().and_then(|l| l.split("quarterdeck").nth(1)).unwrap_or_default();
    shown.views.extend(title.split_whitespace().next().map(str::to_owned));
    shown.refusals += usize::from(text.contains("read-only: "));
    shown.popups += usize::from(
        ["╭ runbooks ", "╭ keys ", "╭ sources and errors ", "╭ actions of this session "]
            .iter()
            .any(|w| text.contains(w)),
    );
    if let Some((_, buttons)) = text.split_once("[ Cancel ]") {
        shown.dialogs += 1;
        if let Some((label, _)) = buttons.split_once("[ ").and_then(|(_, rest)| rest.split_once(" ]")) {
            *shown.plans.entry(label.to_owned()).or_default() += 1;
        }
    }
}
