//! Who acts, from where, and by which program.

use serde::{Deserialize, Serialize};

use crate::domain::Text;

/// Who, and where from. What is not known is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// The user's name, as the machine has it for [`Who::uid`].
    pub user: Text,
    /// The user's number.
    pub uid: u32,
    /// Who asked `sudo` for it.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub sudo: Text,
    /// The machine.
    pub host: Text,
    /// Where they have logged in from: the client's address of an SSH session.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub from: Text,
    /// The terminal.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub terminal: Text,
}

fn is_empty(text: &Text) -> bool {
    text.is_empty()
}

impl Who {
    /// Who runs this program.
    #[must_use]
    pub fn here(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let text = |name: &str| Text::new(&env(name).unwrap_or_default());
        let uid = rustix::process::getuid().as_raw();
        // The environment can say anything; the machine's own list is asked first.
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let known = name_of(&users, uid);
        let user = known.map(Text::new).or_else(|| env("USER").or_else(|| env("LOGNAME")).map(Text::from));
        let from = env("SSH_CONNECTION").unwrap_or_default();
        let terminal = rustix::termios::ttyname(std::io::stdin(), Vec::new());
        Self {
            user: user.unwrap_or_default(),
            uid,
            sudo: text("SUDO_USER"),
            host: host(),
            from: Text::new(from.split_whitespace().next().unwrap_or_default()),
            terminal: terminal.map(|t| Text::new(&t.to_string_lossy())).unwrap_or_default(),
        }
    }
}

/// The name of a user in the text of `/etc/passwd`.
fn name_of(users: &str, uid: u32) -> Option<&str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|n| !n.is_empty())?;
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    })
}

fn host() -> Text {
    Text::new(&rustix::system::uname().nodename().to_string_lossy())
}

/// A running program, told from a later one with its number by when it began.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it began, as the machine counts it: ticks since it was started, and which start of the
    /// machine that was. Empty where the machine does not say.
    pub began: Text,
}

impl Process {
    /// This one.
    #[must_use]
    pub fn here() -> Self {
        let pid = std::process::id();
        Self { pid, began: began(pid).unwrap_or_default() }
    }

    /// True if it is known to be gone. A program on another machine is not known of.
    #[must_use]
    pub fn is_gone(&self, on: &Text) -> bool {
        if *on != host() {
            return false;
        }
        match began(self.pid) {
            Some(now) => !self.began.is_empty() && now != self.began,
            None => !is_alive(self.pid),
        }
    }
}

/// When the process of this number began, where the machine says: Linux does.
fn began(pid: u32) -> Option<Text> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = fields.split_whitespace().nth(19)?;
    let state = fields.split_whitespace().next()?;
    // A zombie does nothing any more.
    if matches!(state, "Z" | "X") {
        return Some(Text::new("dead"));
    }
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Some(Text::new(&format!("{ticks}@{}", boot.trim())))
}

fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| match rustix::process::test_kill_process(pid) {
        Ok(()) => true,
        // It is there, and somebody else's.
        Err(error) => error == rustix::io::Errno::PERM,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_machine_s_list() {
        let users = "root:x:0:0:root:/root:/bin/sh\n:x:7:7::/:\nana:x:1000:1000:Ana:/home/ana:/bin/sh\nbroken\n";
        assert_eq!(name_of(users, 1000), Some("ana"));
        assert_eq!(name_of(users, 0), Some("root"));
        assert_eq!((name_of(users, 7), name_of(users, 1)), (None, None));
    }

    #[test]
    fn the_ssh_client_is_told_by_its_address_alone() {
        let env = |name: &str| (name == "SSH_CONNECTION").then(|| "192.0.2.7 51234 10.0.0.1 22".to_owned());
        assert_eq!(Who::here(&env).from.as_str(), "192.0.2.7");
        assert_eq!(Who::here(&|_| None).from.as_str(), "");
    }

    #[test]
    fn this_program_is_not_gone_and_one_with_its_number_from_before_is() {
        let here = Process::here();
        assert!(!here.is_gone(&host()));
        if !here.began.is_empty() {
            assert!(Process { began: Text::new("1@another"), ..here.clone() }.is_gone(&host()));
        }
        assert!(!Process { began: Text::new("1@another"), ..here }.is_gone(&Text::new("another-machine")));
        assert!(Process { pid: 0x7fff_fff0, began: Text::empty() }.is_gone(&host()));
    }
}
