//! Which profiles the shared AWS files name, and whether anything names credentials at
//! all: looked at before the SDK is, which takes a missing profile for an empty one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// An environment: a variable's value, if it is set and not empty.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Any of these names credentials, or where to get some.
const VARIABLES: [&str; 6] = [
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
];
/// A profile with any of these has credentials, or says how to get some.
const SETTINGS: [&str; 8] = [
    "aws_access_key_id",
    "role_arn",
    "sso_session",
    "sso_start_url",
    "credential_process",
    "credential_source",
    "web_identity_token_file",
    "login_session",
];

/// The process's own environment.
#[must_use]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

/// The profile that the environment selects, of the two variables that may.
#[must_use]
pub fn selected(env: Env<'_>) -> Option<String> {
    env("AWS_PROFILE").or_else(|| env("AWS_DEFAULT_PROFILE"))
}

/// The profiles of `~/.aws/config` and `~/.aws/credentials`, or of the files that
/// `AWS_CONFIG_FILE` and `AWS_SHARED_CREDENTIALS_FILE` name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profiles {
    names: BTreeSet<String>,
    /// Those that have credentials, or say how to get some.
    usable: BTreeSet<String>,
    config: PathBuf,
    credentials: PathBuf,
}

impl Profiles {
    /// Reads both files; one that is missing or unreadable names nothing.
    #[must_use]
    pub fn read(env: Env<'_>) -> Self {
        let config = file(env, "AWS_CONFIG_FILE", "config");
        let credentials = file(env, "AWS_SHARED_CREDENTIALS_FILE", "credentials");
        let (mut names, mut usable) = (BTreeSet::new(), BTreeSet::new());
        for (path, prefixed) in [(&config, true), (&credentials, false)] {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            sections(&text, prefixed, &mut names, &mut usable);
        }
        Self { names, usable, config, credentials }
    }

    /// `None` if there is a profile of that name, else what to say.
    #[must_use]
    pub fn missing(&self, name: &str) -> Option<String> {
        // Without a section of its own, `default` is empty, not wrong.
        if name == "default" || self.names.contains(name) {
            return None;
        }
        let there: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
        let (config, credentials) = (self.config.display(), self.credentials.display());
        Some(format!("no such AWS profile `{name}` in {config} or {credentials}; there are: {there}"))
    }
}

/// True where variables or the default profile name credentials, or where to get some.
/// A machine's own role is not among them: finding it takes a question to the network.
#[must_use]
pub fn are_set_up(env: Env<'_>) -> bool {
    VARIABLES.iter().any(|name| env(name).is_some()) || Profiles::read(env).usable.contains("default")
}

/// True if the machine's own role may be asked for.
#[must_use]
pub fn may_ask_machine(env: Env<'_>) -> bool {
    !env("AWS_EC2_METADATA_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true"))
}

fn file(env: Env<'_>, variable: &str, name: &str) -> PathBuf {
    let home = PathBuf::from(env("HOME").or_else(|| env("USERPROFILE")).unwrap_or_default());
    match env(variable) {
        Some(path) => match path.strip_prefix("~/") {
            Some(rest) => home.join(rest),
            None => Path::new(&path).to_owned(),
        },
        None => home.join(".aws").join(name),
    }
}

/// Names of profiles, as the file's kind writes them: `[profile x]` in the one, `[x]` in
/// the other.
fn sections(text: &str, prefixed: bool, names: &mut BTreeSet<String>, usable: &mut BTreeSet<String>) {
    let mut now: Option<String> = None;
    for line in text.lines() {
        if let Some(head) = line.trim_start().strip_prefix('[') {
            let head = head.split(']').next().unwrap_or_default().trim();
            let name = match head.strip_prefix("profile").filter(|rest| rest.starts_with([' ', '\t'])) {
                Some(rest) if prefixed => Some(rest.trim().trim_matches(['"', '\''])),
                _ if !prefixed || head == "default" => Some(head),
                _ => None,
            };
            now = name.filter(|n| !n.is_empty()).map(str::to_owned);
            names.extend(now.clone());
        } else if let (Some(name), Some((key, value))) = (&now, line.split_once('='))
            && SETTINGS.contains(&key.trim())
            && !value.trim().is_empty()
        {
            usable.insert(name.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(config: &str, credentials: &str) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".aws")).unwrap();
        std::fs::write(home.path().join(".aws/config"), config).unwrap();
        std::fs::write(home.path().join(".aws/credentials"), credentials).unwrap();
        home
    }

    #[test]
    fn profiles_are_read_from_both_files_as_each_writes_them() {
        let home = home(
            "[default]\nregion = eu-west-1\n[profile prod]\nrole_arn = arn\n# [profile no]\n[profile \"two words\"]\n[sso-session s]\nsso_start_url = x\n[stray]\n",
            "[keys]\naws_access_key_id=AKIA1\n",
        );
        let env = |name: &str| (name == "HOME").then(|| home.path().display().to_string());
        let found = Profiles::read(&env);
        for there in ["default", "prod", "two words", "keys"] {
            assert_eq!(found.missing(there), None);
        }
        for not in ["no", "s", "stray", "sso-session s"] {
            let said = found.missing(not).unwrap();
            assert!(said.contains(&format!("no such AWS profile `{not}` in ")), "{said}");
            assert!(said.contains("/.aws/config or ") && said.ends_with("default, keys, prod, two words"), "{said}");
        }
        assert!(!are_set_up(&env), "a region alone is no credentials");
    }

    #[test]
    fn the_usual_set_up_is_found_wherever_it_is() {
        let keys = home("", "[default]\naws_access_key_id = AKIA1\naws_secret_access_key = s\n");
        let sso = home("[default]\nsso_session = s\nsso_account_id = 1\n", "");
        let none = home("[profile other]\nrole_arn = arn\n", "");
        let of = |home: &tempfile::TempDir, more: Option<(&str, &str)>| {
            let path = home.path().display().to_string();
            let more = more.map(|(k, v)| (k.to_owned(), v.replace("HOME", &path)));
            are_set_up(&move |name: &str| match &more {
                Some((k, v)) if k == name => Some(v.clone()),
                _ => (name == "HOME").then(|| path.clone()),
            })
        };
        assert!(of(&keys, None) && of(&sso, None) && !of(&none, None));
        assert!(of(&none, Some(("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/c"))));
        assert!(of(&none, Some(("AWS_DEFAULT_PROFILE", "other"))));
        let elsewhere = keys.path().join(".aws/credentials").display().to_string();
        assert!(of(&none, Some(("AWS_SHARED_CREDENTIALS_FILE", &elsewhere))));
        assert!(!of(&keys, Some(("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent"))));
    }
}
