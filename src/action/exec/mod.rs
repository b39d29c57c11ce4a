//! Into a task: exec, attach and port-forward. Plans are pure; what runs is per system.

#[cfg(feature = "aws")]
pub mod ecs;
pub mod forward;
#[cfg(feature = "kubernetes")]
pub mod gather;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
#[cfg(feature = "aws")]
pub mod plugin;
#[cfg(feature = "aws")]
pub mod tunnel;

use serde_json::Value;

use super::intent::{Intent, Verb};
use super::plan::{Change, Fate, Precondition};
pub(in crate::action) use super::words::joined;
use crate::domain::{ObjectId, Text};

/// Finds a shell: bash if there is one.
pub const SHELL: [&str; 3] = ["sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash || exec sh"];

/// What is run: the given command, or a shell that is found. Of an attach nothing.
#[must_use]
pub fn command(intent: &Intent) -> Vec<String> {
    match intent.verb {
        Verb::Attach => Vec::new(),
        _ if intent.options.command.is_empty() => SHELL.map(str::to_owned).to_vec(),
        _ => intent.options.command.clone(),
    }
}

/// What is run, in few words: `a shell`, `ls -l`.
#[must_use]
pub fn what(intent: &Intent) -> String {
    match intent.verb {
        Verb::Attach => "its own process".to_owned(),
        Verb::PortForward => {
            let (local, remote) = intent.options.ports.unwrap_or_default();
            let local = if local == 0 { "a free local port".to_owned() } else { format!("127.0.0.1:{local}") };
            format!("{local} to port {remote}")
        }
        _ if intent.options.command.is_empty() => "a shell".to_owned(),
        _ => joined(&intent.options.command),
    }
}

/// The row of one target.
fn change(intent: &Intent, target: &ObjectId, container: &str, uid: &Value) -> Change {
    let field = match intent.verb {
        Verb::PortForward => "forward".to_owned(),
        verb => format!("{verb} in {container}"),
    };
    let precondition = uid.as_str().map_or(Precondition::Nothing, |uid| Precondition::Uid(Text::new(uid)));
    Change {
        target: target.clone(),
        field: Text::new(&field),
        from: Text::empty(),
        to: Text::new(&what(intent)),
        fate: Fate::Acts,
        note: Text::empty(),
        precondition,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted_into_a_shell() {
        let words = ["sh", "-c", "echo it's $HOME", ""].map(str::to_owned);
        assert_eq!(joined(&words), r"sh -c 'echo it'\''s $HOME' ''");
    }
}
