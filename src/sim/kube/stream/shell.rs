//! A small shell: enough commands to look around, one that fills the screen, and the manners of a
//! terminal. No process is started and no file is read: it is all made up.

use std::collections::VecDeque;
use std::time::Duration;

use super::process::Asked;

/// What the process does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    Out(Vec<u8>),
    Err(Vec<u8>),
    Exit(i32),
}

/// What runs in the foreground.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Job {
    /// Nothing: the shell reads a line.
    Prompt,
    Sleep(Duration),
    /// Fills the screen until it is told to go.
    Top,
    /// Says the terminal's size, and again whenever it changes.
    Sizes,
    /// Gives back what it is given.
    Cat,
}

/// A shell, or one command.
#[derive(Debug)]
pub(crate) struct Shell {
    asked: Asked,
    size: (u16, u16),
    job: Job,
    /// Typed and not ended by a newline.
    line: Vec<u8>,
    /// Commands of the line that are still to come.
    queue: VecDeque<String>,
    /// Ends with its first line, as `sh -c` does.
    once: bool,
    no_more: bool,
    last: i32,
    acts: Vec<Act>,
    over: bool,
}

const SHELLS: [&str; 4] = ["sh", "bash", "/bin/sh", "/bin/bash"];
const PROGRAMS: [&str; 20] = [
    "echo", "printf", "ls", "cat", "env", "sleep", "stty", "top", "sizes", "hostname", "pwd", "true", "false", "id",
    "seq", "fail", "modes", "uname", "kill", "clear",
];

impl Shell {
    /// `None` if there is no such program.
    pub(crate) fn start(asked: Asked) -> Option<Self> {
        let command = asked.command.clone();
        let mut shell = Self {
            asked,
            size: (80, 24),
            job: Job::Prompt,
            line: Vec::new(),
            queue: VecDeque::new(),
            once: true,
            no_more: false,
            last: 0,
            acts: Vec::new(),
            over: false,
        };
        let program = command.first().map(String::as_str).unwrap_or_default();
        if SHELLS.contains(&program) {
            match command.get(1).map(String::as_str) {
                // The usual way to find a shell: there is a bash here.
                Some("-c") if command.get(2).is_some_and(|s| s.contains("exec bash") || s.contains("exec sh")) => {
                    shell.once = false;
                }
                Some("-c") => shell.queue.extend(split(command.get(2).map(String::as_str).unwrap_or_default())),
                _ => shell.once = false,
            }
        } else if PROGRAMS.contains(&program.rsplit('/').next().unwrap_or_default()) {
            shell.queue.push_back(command.join(" "));
        } else {
            return None;
        }
        shell.go_on();
        Some(shell)
    }

    /// What it has done since it was last asked.
    pub(crate) fn acts(&mut self) -> Vec<Act> {
        std::mem::take(&mut self.acts)
    }

    /// When to wake it, if nothing happens before.
    pub(crate) fn wait(&self) -> Option<Duration> {
        match &self.job {
            Job::Sleep(time) => Some(*time),
            Job::Top => Some(Duration::from_secs(1)),
            _ => None,
        }
    }

    pub(crate) fn wake(&mut self) {
        match self.job {
            Job::Sleep(_) => self.done(0),
            Job::Top => self.draw(),
            _ => {}
        }
    }

    pub(crate) fn resize(&mut self, cols: u16, rows: u16) {
        self.size = (cols, rows);
        match self.job {
            Job::Top => self.draw(),
            Job::Sizes => self.say_size(),
            _ => {}
        }
    }

    /// Its input has ended.
    pub(crate) fn no_more_input(&mut self) {
        self.no_more = true;
        match self.job {
            Job::Cat => self.done(0),
            Job::Prompt if self.queue.is_empty() => {
                let rest = std::mem::take(&mut self.line);
                if !rest.is_empty() {
                    self.queue.extend(split(&String::from_utf8_lossy(&rest)));
                }
                self.go_on();
            }
            _ => {}
        }
    }

    pub(crate) fn input(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.over {
                return;
            }
            self.byte(byte);
        }
    }

    fn byte(&mut self, byte: u8) {
        let tty = self.asked.tty;
        match (&self.job, byte) {
            (Job::Top, b'q' | 3) => {
                self.out("\u{1b}[?25h\u{1b}[?1049l");
                self.done(if byte == 3 { 130 } else { 0 });
            }
            (Job::Sizes, b'q') => self.done(0),
            (_, 3) if tty => {
                self.out("^C\r\n");
                self.line.clear();
                self.queue.clear();
                self.done(130);
            }
            (Job::Prompt | Job::Cat, 4) if tty && self.line.is_empty() => {
                if self.job == Job::Cat {
                    self.done(0);
                } else {
                    self.out("exit\r\n");
                    self.exit(self.last);
                }
            }
            (Job::Prompt | Job::Cat, b'\r' | b'\n') => {
                if tty {
                    self.out("\r\n");
                }
                let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
                if self.job == Job::Cat {
                    self.print(&line);
                } else {
                    self.queue.extend(split(&line));
                    self.go_on();
                }
            }
            (Job::Prompt | Job::Cat, 8 | 127) if tty => {
                if self.line.pop().is_some() {
                    self.out("\u{8} \u{8}");
                }
            }
            (Job::Prompt | Job::Cat, byte) => {
                self.line.push(byte);
                if tty {
                    self.acts.push(Act::Out(vec![byte]));
                }
            }
            // Typed ahead.
            (Job::Sleep(_), byte) => self.line.push(byte),
            (Job::Top | Job::Sizes, _) => {}
        }
    }

    /// The command in the foreground has ended.
    fn done(&mut self, code: i32) {
        self.job = Job::Prompt;
        self.last = code;
        self.go_on();
        // What was typed ahead is read now.
        if self.job == Job::Prompt && !self.over {
            let ahead = std::mem::take(&mut self.line);
            self.input(&ahead);
        }
    }

    /// Runs what is to be run, until something keeps it busy or it asks for a line.
    fn go_on(&mut self) {
        while self.job == Job::Prompt && !self.over {
            match self.queue.pop_front() {
                Some(command) => self.run(&command),
                None if self.once || self.no_more => self.exit(self.last),
                None => {
                    if self.asked.tty {
                        self.out(&format!("root@{}:/# ", self.asked.pod));
                    }
                    return;
                }
            }
        }
    }

    fn exit(&mut self, code: i32) {
        self.over = true;
        self.acts.push(Act::Exit(code));
    }

    fn out(&mut self, text: &str) {
        self.acts.push(Act::Out(text.as_bytes().to_vec()));
    }

    /// A line, or several.
    fn print(&mut self, text: &str) {
        let end = if self.asked.tty { "\r\n" } else { "\n" };
        for line in text.lines().chain(text.is_empty().then_some("")) {
            self.out(&format!("{line}{end}"));
        }
    }

    fn complain(&mut self, text: &str) {
        let end = if self.asked.tty { "\r\n" } else { "\n" };
        self.acts.push(Act::Err(format!("{text}{end}").into_bytes()));
    }

    fn say_size(&mut self) {
        let (cols, rows) = self.size;
        self.print(&format!("size {cols}x{rows}"));
    }

    fn draw(&mut self) {
        let (cols, rows) = self.size;
        let screen = format!(
            "\u{1b}[H\u{1b}[2Jtop - {} {cols}x{rows}\r\n  PID COMMAND\r\n    1 {}\u{1b}[{rows};1H\u{1b}[7mq quits\u{1b}[0m",
            self.asked.pod, self.asked.container
        );
        self.out(&screen);
    }

    fn run(&mut self, command: &str) {
        let words: Vec<&str> = command.split_whitespace().collect();
        let (Some(program), rest) = (words.first().copied(), words.get(1..).unwrap_or_default()) else { return };
        let program = program.rsplit('/').next().unwrap_or_default();
        let number = |at: usize| rest.get(at).and_then(|w| w.parse::<i32>().ok());
        let last = std::mem::take(&mut self.last);
        match (program, rest) {
            ("exit", _) => self.exit(number(0).unwrap_or(last)),
            ("echo", ["$?"]) => self.print(&last.to_string()),
            ("echo" | "printf", _) => self.print(&unquoted(rest)),
            ("ls", _) => self.print("app\nbin\netc\nproc\ntmp\nusr\nvar"),
            ("pwd", _) => self.print("/"),
            ("id", _) => self.print("uid=0(root) gid=0(root) groups=0(root)"),
            ("uname", _) => self.print("Linux"),
            ("clear", _) => self.out("\u{1b}[H\u{1b}[2J"),
            ("hostname", _) => self.print(&self.asked.pod.clone()),
            ("env", _) => self.print(&self.variables()),
            ("true" | "kill", _) => {}
            ("false", _) => self.last = 1,
            ("fail", _) => {
                self.complain("it fails");
                self.last = number(0).unwrap_or(1);
            }
            ("cat", []) if self.no_more => {}
            ("cat", []) => self.job = Job::Cat,
            ("cat", [file, ..]) => self.cat(file),
            ("seq", _) => {
                let all: Vec<String> = (1..=number(0).unwrap_or(0)).map(|n| n.to_string()).collect();
                self.print(&all.join("\n"));
            }
            ("sleep", _) => {
                let secs = rest.first().and_then(|w| w.parse::<f64>().ok()).unwrap_or(0.0).clamp(0.0, 1e6);
                self.job = Job::Sleep(Duration::from_secs_f64(secs));
            }
            ("stty", ["size"]) => self.print(&format!("{} {}", self.size.1, self.size.0)),
            ("sizes", _) => {
                self.job = Job::Sizes;
                self.say_size();
            }
            ("top", _) => {
                self.job = Job::Top;
                self.out("\u{1b}[?1049h\u{1b}[?25l");
                self.draw();
            }
            // Leaves the terminal as bad programs do.
            ("modes", _) => self.out(
                "\u{1b}[?1049h\u{1b}[?25l\u{1b}[?1000h\u{1b}[?1006h\u{1b}[?2004h\u{1b}[?1h\u{1b}=\u{1b}[31m\u{1b}[2;5r\u{e}",
            ),
            (name, _) => {
                self.complain(&format!("sh: {name}: not found"));
                self.last = 127;
            }
        }
    }

    fn variables(&self) -> String {
        let mut all = vec![
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
            format!("HOSTNAME={}", self.asked.pod),
            "HOME=/root".to_owned(),
        ];
        all.extend(self.asked.env.iter().map(|(k, v)| format!("{k}={v}")));
        if self.asked.tty {
            all.push("TERM=xterm".to_owned());
        }
        all.join("\n")
    }

    fn cat(&mut self, file: &str) {
        let text = match file {
            "/etc/hostname" => self.asked.pod.clone(),
            "/etc/os-release" => format!("NAME=\"Embedded fleet\"\nIMAGE=\"{}\"", self.asked.image),
            "/var/run/secrets/kubernetes.io/serviceaccount/namespace" => self.asked.namespace.clone(),
            other => {
                self.complain(&format!("cat: {other}: No such file or directory"));
                self.last = 1;
                return;
            }
        };
        self.print(&text);
    }
}

/// The commands of a line.
fn split(line: &str) -> Vec<String> {
    line.split([';', '\n']).flat_map(|c| c.split("&&")).map(|c| c.trim().to_owned()).filter(|c| !c.is_empty()).collect()
}

fn unquoted(words: &[&str]) -> String {
    words.join(" ").replace(['"', '\''], "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::kube::route::Query;

    fn shell(command: &[&str], tty: bool) -> Shell {
        let pod = serde_json::json!({"metadata": {"name": "web-1", "namespace": "shop"},
            "spec": {"containers": [{"name": "app", "image": "web:1"}]}});
        let all: Vec<(String, String)> = command.iter().map(|c| ("command".to_owned(), (*c).to_owned())).collect();
        let query = Query::parse(if tty { "stdin=1&stdout=1&tty=1" } else { "stdin=1&stdout=1&stderr=1" });
        Shell::start(Asked::new(&pod, "app", &query, &all)).unwrap()
    }

    fn said(shell: &mut Shell) -> String {
        let acts = shell.acts();
        let texts = acts.into_iter().map(|act| match act {
            Act::Out(b) | Act::Err(b) => String::from_utf8(b).unwrap(),
            Act::Exit(code) => format!("<{code}>"),
        });
        texts.collect()
    }

    #[test]
    fn a_terminal_echoes_and_a_line_is_run() {
        let mut sh = shell(&["sh"], true);
        sh.input(b"echp\x7fo hi\r");
        assert_eq!(said(&mut sh), "root@web-1:/# echp\u{8} \u{8}o hi\r\nhi\r\nroot@web-1:/# ");
        sh.input(b"sleep 9\r");
        said(&mut sh);
        assert_eq!(sh.wait(), Some(Duration::from_secs(9)));
        sh.input(b"\x03");
        assert_eq!(said(&mut sh), "^C\r\nroot@web-1:/# ");
        sh.input(b"exit 7\r");
        assert_eq!(said(&mut sh), "exit 7\r\n<7>");
    }

    #[test]
    fn without_a_terminal_there_is_no_prompt() {
        let mut sh = shell(&["sh", "-c", "echo a; fail 3"], false);
        assert_eq!(said(&mut sh), "a\nit fails\n<3>");
        let mut sh = shell(&["sh"], false);
        sh.input(b"hostname\nfalse\n");
        sh.no_more_input();
        assert_eq!(said(&mut sh), "web-1\n<1>");
        let mut cat = shell(&["cat"], false);
        cat.input(b"x\n");
        cat.no_more_input();
        assert_eq!(said(&mut cat), "x\n<0>");
    }

    #[test]
    fn what_fills_the_screen_follows_its_size_and_leaves() {
        let mut sh = shell(&["top"], true);
        sh.resize(100, 30);
        let text = said(&mut sh);
        assert!(text.starts_with("\u{1b}[?1049h") && text.contains("100x30"), "{text:?}");
        sh.input(b"q");
        assert!(said(&mut sh).ends_with("\u{1b}[?1049l<0>"));
    }
}
