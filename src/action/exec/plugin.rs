//! AWS's `session-manager-plugin`: whether it is there, and new enough.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::domain::Text;

/// Its name.
pub const NAME: &str = "session-manager-plugin";
/// From this version on it takes the session's token from a variable; before, everybody on the machine
/// could read it among its arguments.
pub const OLDEST: [u32; 3] = [1, 2, 498];
/// How long it may take to say its version.
const PATIENCE: Duration = Duration::from_secs(5);
/// What to do without it.
const INSTALL: &str = "install it: https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-install-plugin.html";

/// The plugin that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugin {
    /// Where.
    pub path: PathBuf,
    /// As it says itself.
    pub version: Text,
}

/// Looks for it in `path`, as `PATH` has it, and asks for its version.
///
/// # Errors
/// In words, with what to do: it is not there, does not answer, or is too old.
pub async fn find(path: &OsStr) -> Result<Plugin, Text> {
    let file = std::env::split_paths(path).map(|dir| dir.join(NAME)).find(|file| is_program(file));
    let Some(file) = file else {
        return Err(Text::new(&format!("{NAME} is not in PATH; {INSTALL}")));
    };
    let mut command = tokio::process::Command::new(&file);
    command.arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let said = match tokio::time::timeout(PATIENCE, command.output()).await {
        Ok(Ok(output)) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Ok(Err(e)) => return Err(Text::new(&format!("{NAME} cannot be run: {e}; {INSTALL}"))),
        Err(_) => return Err(Text::new(&format!("{NAME} --version did not end within {} s", PATIENCE.as_secs()))),
    };
    let version: Vec<u32> = said.split('.').map_while(|part| part.parse().ok()).collect();
    if version.len() < 3 {
        return Err(Text::new(&format!("{NAME} does not say its version ({said}); {INSTALL}")));
    }
    if version[..3] < OLDEST[..] {
        let [major, minor, patch] = OLDEST;
        let why = format!(
            "{NAME} {said} is too old: before {major}.{minor}.{patch} everybody on this machine could read the session's token; {INSTALL}"
        );
        return Err(Text::new(&why));
    }
    Ok(Plugin { path: file, version: Text::new(&said) })
}

fn is_program(file: &Path) -> bool {
    rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok() && file.is_file()
}
