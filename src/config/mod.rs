//! The user's settings: typed files, where each value comes from, and messages
//! that point at the line to mend.
//!
//! Defaults give way to the file, the file to `QUARTERDECK_*` variables, those to flags.
//! Each place is read into a `keys` layer of its own; positions stay exact.

mod backend;
mod cluster;
pub mod diagnostic;
pub mod ecs;
mod guardrail;
mod keys;
mod kinds;
mod notice;
mod notify;
mod paths;
mod runbook;
mod service;
mod template;

use std::fmt;
use std::path::{Path, PathBuf};

use diagnostic::{Diagnostic, Diagnostics, Reader, Source, in_order};
use keys::{Layer, Refused};

pub use backend::{BACKEND_KEYS, BackendSettings, Place, Secret, ServiceName, url_mistake};
pub use cluster::{ACCENTS, CLUSTER_KEYS, ClusterSettings, EcsSaid};
pub use ecs::EcsName;
pub use guardrail::{ACTION_KINDS, ACTIONS, GUARDRAIL_KEYS, GuardrailEffect, GuardrailSettings};
pub use keys::{Config, KEYS, KeyInfo};
pub use kinds::{ColorChoice, LogLevel, VIEWS, WALL_PAGES};
pub use notice::{NOTICE_KEYS, NoticePlace, NoticeSettings};
pub use notify::{Notify, QuietHours};
pub use paths::Paths;
pub use runbook::{RUNBOOK_KEYS, RunbookRule};
pub use service::{PRESETS, SERVICE_KEYS, ServiceSettings};
pub use template::template;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// A file; where the value stands is kept for messages.
    File(Box<Diagnostic>),
    /// An environment variable, by name.
    Env(String),
    /// A flag, with its dashes.
    Flag(String),
}

/// `default`, `config.toml:3`, `QUARTERDECK_THEME` or `--theme`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.pad("default"),
            Self::File(at) => f.pad(&format!("{}:{}", at.file, at.line)),
            Self::Env(name) | Self::Flag(name) => f.pad(name),
        }
    }
}

impl Origin {
    /// An error about the value that comes from here.
    fn error(&self, message: String) -> Diagnostic {
        match self {
            Self::Default => Diagnostic::new("default settings", message),
            Self::File(at) => Diagnostic { message, ..(**at).clone() },
            Self::Env(name) => Diagnostic::new(format!("environment variable {name}"), message),
            Self::Flag(name) => Diagnostic::new(format!("flag {name}"), message),
        }
    }
}

/// What the flags say.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    values: Vec<(String, &'static str, String)>,
}

impl Overrides {
    /// With `flag` (as the user typed it, `--theme`) setting `key` (a name in
    /// [`KEYS`]) to `value`, when it was given.
    #[must_use]
    pub fn set(mut self, flag: &str, key: &'static str, value: Option<impl Into<String>>) -> Self {
        self.values.extend(value.map(|value| (flag.to_owned(), key, value.into())));
        self
    }
}

/// Where to look for settings.
pub struct LoadOptions<'a> {
    /// The file named by `--config`; it has to exist.
    pub file: Option<&'a Path>,
    /// Looks up an environment variable.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// What the flags say.
    pub cli: Overrides,
    /// The directories.
    pub paths: &'a Paths,
}

impl Config {
    /// The settings when nobody says anything.
    #[must_use]
    pub fn defaults() -> Self {
        Layer::default().resolve(Entries::default())
    }

    /// Where the value of `key` (a name in [`KEYS`]) comes from.
    #[must_use]
    pub fn origin(&self, key: &str) -> &Origin {
        let row = KEYS.iter().position(|k| k.name == key);
        row.and_then(|i| self.origins.get(i)).unwrap_or(&Origin::Default)
    }

    /// An error about the value of `key`, at the place where it was set: for what
    /// only shows later, such as a theme that does not exist.
    #[must_use]
    pub fn error_at(&self, key: &str, message: impl Into<String>) -> Diagnostic {
        self.origin(key).error(message.into())
    }

    /// What is said of the cluster of `context`, if anything.
    #[must_use]
    pub fn cluster(&self, context: &str) -> Option<&ClusterSettings> {
        self.clusters.iter().find(|c| c.context == context && c.ecs.is_none())
    }

    /// What is said of an ECS cluster, however it is spelled.
    #[must_use]
    pub fn ecs_cluster(&self, name: &EcsName) -> EcsSaid<'_> {
        cluster::of_ecs(&self.clusters, name)
    }

    /// Where state goes: `state.dir`, or the usual place.
    #[must_use]
    pub fn state_dir<'a>(&'a self, paths: &'a Paths) -> &'a Path {
        self.state_dir.as_deref().unwrap_or(&paths.state_dir)
    }
}

/// Reads the settings: `--config`, else `QUARTERDECK_CONFIG`, else `config.toml` in the
/// configuration directory when there is one; then the environment, then flags.
///
/// # Errors
/// Everything wrong with them: unknown keys, bad values, conflicts, each at its place.
pub fn load(options: LoadOptions<'_>) -> Result<Config, Diagnostics> {
    let LoadOptions { file, env, cli, paths } = options;
    let named =
        file.map(Path::to_owned).or_else(|| env("QUARTERDECK_CONFIG").filter(|f| !f.is_empty()).map(PathBuf::from));
    let usual = Some(paths.config_file()).filter(|path| path.exists());
    let mut found = Vec::new();
    let (from_file, entries) = match named.or(usual) {
        Some(path) => match read_file(&path) {
            Ok(read) => read,
            Err(e) => {
                found.extend(e.into_vec());
                Default::default()
            }
        },
        None => Default::default(),
    };
    let mut from_env = Layer::default();
    for key in KEYS {
        let name = key.env();
        if let Some(value) = env(&name) {
            let origin = Origin::Env(name);
            take(&mut found, &from_env.set_text(key.name, &value, origin.clone()), &origin, key.name, &value);
        }
    }
    let mut from_flags = Layer::default();
    for (flag, key, value) in cli.values {
        let origin = Origin::Flag(flag);
        take(&mut found, &from_flags.set_text(key, &value, origin.clone()), &origin, key, &value);
    }
    let mut config = from_flags.over(from_env).over(from_file).resolve(entries);
    conflicts(&config, &mut found);
    Diagnostics::check(found)?;
    for path in [&mut config.kubeconfig, &mut config.state_dir] {
        *path = path.take().map(|path| at_home(path, env));
    }
    for backend in config.prometheus.iter_mut().chain(&mut config.alertmanager) {
        let files = [&mut backend.password_file, &mut backend.bearer_file, &mut backend.ca_file];
        for path in files.into_iter().chain([&mut backend.cert_file, &mut backend.key_file]) {
            *path = path.take().map(|path| at_home(path, env));
        }
    }
    config.runbooks_dir = std::mem::take(&mut config.runbooks_dir).into_iter().map(|path| at_home(path, env)).collect();
    config.slo_files = std::mem::take(&mut config.slo_files).into_iter().map(|path| at_home(path, env)).collect();
    Ok(config)
}

/// Reads one settings file alone.
///
/// # Errors
/// Everything wrong with it.
pub fn check(file: &Path) -> Result<(), Diagnostics> {
    let (layer, entries) = read_file(file)?;
    let mut found = Vec::new();
    conflicts(&layer.resolve(entries), &mut found);
    Diagnostics::check(found)
}

/// Notes why a text was refused.
fn take(found: &mut Vec<Diagnostic>, result: &Result<(), Refused>, origin: &Origin, key: &str, value: &str) {
    let d = match result {
        Ok(()) => return,
        Err(Refused::Unknown) => origin.error(format!("unknown key `{key}`")),
        Err(Refused::Bad(allowed)) => {
            origin.error(format!("`{key}` cannot be \"{}\"", value.escape_debug())).allowed(*allowed)
        }
    };
    found.push(d.value(value));
}

/// The entries of a file that come in any number.
#[derive(Debug, Default)]
struct Entries {
    clusters: Vec<ClusterSettings>,
    runbooks: Vec<RunbookRule>,
    prometheus: Vec<BackendSettings>,
    alertmanager: Vec<BackendSettings>,
    services: Vec<ServiceSettings>,
    notices: Vec<NoticeSettings>,
    guardrails: Vec<GuardrailSettings>,
}

/// Their names.
const ENTRIES: [&str; 7] = ["cluster", "runbook", "prometheus", "alertmanager", "services", "notices", "guardrail"];

fn read_file(path: &Path) -> Result<(Layer, Entries), Diagnostics> {
    let source = Source::read(path)?;
    let root = source.parse()?;
    let reader = Reader::new(&source);
    let mut layer = Layer::default();
    let mut entries = Entries::default();
    let mut said = backend::Names::new();
    let is_section = |name: &str| KEYS.iter().any(|k| k.section().0 == name);
    for (key, span, value) in in_order(&root) {
        if key == "cluster" {
            entries.clusters = cluster::read(&reader, value);
        } else if key == "runbook" {
            entries.runbooks = runbook::read(&reader, value);
        } else if key == "prometheus" {
            entries.prometheus = backend::read(&reader, "prometheus", value, &mut said);
        } else if key == "alertmanager" {
            entries.alertmanager = backend::read(&reader, "alertmanager", value, &mut said);
        } else if key == "services" {
            entries.services = service::read(&reader, value, &mut said);
        } else if key == "notices" {
            entries.notices = notice::read(&reader, value, &mut said);
        } else if key == "guardrail" {
            entries.guardrails = guardrail::read(&reader, value);
        } else if !key.is_empty() && is_section(key) {
            for (name, span, value) in reader.table(value, key).map(in_order).unwrap_or_default() {
                one(&mut layer, &reader, key, name, &span, value);
            }
        } else {
            one(&mut layer, &reader, "", key, &span, value);
        }
    }
    names(&reader, &entries.clusters, &said);
    reader.finish()?;
    Ok((layer, entries))
}

/// Takes one key of a file.
fn one(
    layer: &mut Layer,
    reader: &Reader<'_>,
    section: &str,
    name: &str,
    span: &std::ops::Range<usize>,
    value: &diagnostic::Value<'_>,
) {
    let key = if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
    let origin = Origin::File(Box::new(reader.source().at(&value.span(), "")));
    // A dotted key in quotes is one name in TOML, and no key of ours.
    let result = if name.contains('.') { Err(Refused::Unknown) } else { layer.set_toml(&key, value.get_ref(), origin) };
    match result {
        Ok(()) => {}
        Err(Refused::Bad(allowed)) => reader.wrong_type(value, &key, allowed),
        Err(Refused::Unknown) => {
            let mut known: Vec<&str> =
                KEYS.iter().map(KeyInfo::section).filter(|(s, _)| *s == section).map(|(_, name)| name).collect();
            if section.is_empty() {
                for (s, _) in KEYS.iter().map(KeyInfo::section) {
                    if !s.is_empty() && !known.contains(&s) {
                        known.push(s);
                    }
                }
                known.extend(ENTRIES);
            }
            let what = if section.is_empty() { "key".to_owned() } else { format!("key of [{section}]") };
            reader.unknown_key(span, &what, name, &known);
        }
    }
}

/// Values that are fine alone and wrong together.
fn conflicts(config: &Config, found: &mut Vec<Diagnostic>) {
    for (what, warn, critical) in
        [("cpu", config.cpu_warn, config.cpu_critical), ("memory", config.memory_warn, config.memory_critical)]
    {
        if warn > critical {
            let (low, high) = (format!("thresholds.{what}_warn"), format!("thresholds.{what}_critical"));
            // Blame what the user set, not a default.
            let (key, value) = if *config.origin(&low) == Origin::Default { (&high, critical) } else { (&low, warn) };
            let d = config.error_at(key, format!("`{low}` ({warn}) is above `{high}` ({critical})"));
            found.push(d.value(value.to_string()).allowed("a warning that comes no later than critical"));
        }
    }
}

/// What is shown by its name has a name of its own, and what is named is there.
fn names(reader: &Reader<'_>, clusters: &[ClusterSettings], names: &backend::Names) {
    let mut taken: Vec<(&str, &str)> = clusters.iter().map(|c| (c.name.as_str(), "cluster")).collect();
    for (what, name, span) in names.iter().filter(|(what, ..)| *what != "services") {
        if let Some((_, other)) = taken.iter().find(|(n, _)| n == name) {
            let d = reader.source().at(span, format!("this [[{what}]] has the name of a [[{other}]], `{name}`"));
            reader.report(d.value(name).hint("give each a `name` of its own"));
        }
        taken.push((name, what));
    }
    let known = || taken.iter().filter(|(_, what)| *what == "prometheus").map(|(name, _)| *name);
    for (_, name, span) in names.iter().filter(|(what, ..)| *what == "services") {
        if !known().any(|n| n == name) {
            let d = reader.source().at(span, format!("no [[prometheus]] has the name `{name}`")).value(name);
            reader.report(d.did_you_mean(name, known()));
        }
    }
}

/// `path` with `~/` as the home directory.
fn at_home(path: PathBuf, env: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    match (path.strip_prefix("~"), env("HOME")) {
        (Ok(rest), Some(home)) => Path::new(&home).join(rest),
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn with(text: &str, env: &[(&str, &str)], cli: Overrides) -> Result<Config, Diagnostics> {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::demo(dir.path());
        std::fs::create_dir_all(&paths.config_dir).unwrap();
        std::fs::write(paths.config_file(), text).unwrap();
        let env = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        load(LoadOptions { file: None, env: &env, cli, paths: &paths })
    }

    #[test]
    fn every_default_is_valid_and_every_key_documented() {
        for key in KEYS {
            let mut layer = Layer::default();
            assert!(layer.set_text(key.name, key.default, Origin::Default).is_ok(), "{}", key.name);
            assert!(key.doc.ends_with('.'), "{}", key.name);
        }
        let config = Config::defaults();
        assert_eq!(
            (config.theme.as_str(), config.logs_buffer, config.metrics_interval),
            ("auto", 16 << 20, Duration::from_secs(30))
        );
    }

    #[test]
    fn the_template_is_the_defaults_commented_out_or_not() {
        assert_eq!(with(&template(), &[], Overrides::default()), Ok(Config::defaults()));
        let active: String = template()
            .lines()
            .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line).to_owned() + "\n")
            .collect();
        let config = with(&active, &[], Overrides::default()).unwrap_or_else(|e| panic!("{e}"));
        let strip = |c: &Config| c.values().into_iter().map(|(k, v, _)| (k.name, v)).collect::<Vec<_>>();
        assert_eq!(strip(&config), strip(&Config::defaults()));
        assert_eq!((config.clusters.len(), config.prometheus.len(), config.services.len()), (1, 1, 1));
    }

    #[test]
    fn flags_win_over_environment_over_file_over_defaults() {
        let text = "theme = \"a\"\nkeymap = \"a\"\nwide = true\n[logs]\ntail = 5\n";
        let env = [
            ("QUARTERDECK_THEME", "b"),
            ("QUARTERDECK_KEYMAP", "b"),
            ("QUARTERDECK_LOGS_WRAP", "true"),
            ("HOME", "/h"),
            ("QUARTERDECK_KUBECONFIG", "~/k"),
        ];
        let config = with(
            text,
            &env,
            Overrides::default().set("--theme", "theme", Some("c")).set("--view", "view", None::<String>),
        )
        .unwrap();
        assert_eq!((config.theme.as_str(), config.keymap.as_str(), config.wide, config.logs_tail), ("c", "b", true, 5));
        assert!(config.logs_wrap);
        assert_eq!(config.kubeconfig.as_deref(), Some(Path::new("/h/k")));
        assert_eq!(config.origin("theme").to_string(), "--theme");
        assert_eq!(config.origin("keymap").to_string(), "QUARTERDECK_KEYMAP");
        assert!(config.origin("wide").to_string().ends_with("config.toml:3"));
        assert_eq!(config.origin("view"), &Origin::Default);
    }

    #[test]
    fn bad_values_of_all_places_are_reported_together() {
        let e =
            with("wide = 1\n", &[("QUARTERDECK_COLOR", "pink")], Overrides::default().set("--view", "view", Some("x")))
                .unwrap_err();
        let text = e.to_string();
        for want in [
            "`wide` cannot be the number 1",
            "environment variable QUARTERDECK_COLOR",
            "`view` cannot be \"x\"",
            "--> flag --view",
        ] {
            assert!(text.contains(want), "{want} in:\n{text}");
        }
    }

    #[test]
    fn a_named_file_has_to_exist_and_the_usual_one_not() {
        let paths = Paths::demo(Path::new("/nowhere/at/all"));
        let none = |_: &str| None;
        let load_with = |file| load(LoadOptions { file, env: &none, cli: Overrides::default(), paths: &paths });
        assert_eq!(load_with(None), Ok(Config::defaults()));
        assert!(load_with(Some(Path::new("/nowhere/x.toml"))).unwrap_err().to_string().contains("no such file"));
    }

    #[test]
    fn the_environment_moves_the_directories() {
        let env = |name: &str| (name == "QUARTERDECK_STATE_DIR").then(|| "/s".to_owned());
        assert_eq!(Paths::discover(&env).state_dir, Path::new("/s"));
    }

    #[test]
    fn what_is_said_of_an_ecs_cluster_holds_however_it_is_spelled() {
        let entries = "[[cluster]]\necs = 'prod@eu-west-1/shop'\nname = 'till'\nproduction = true\n\
             [[cluster]]\necs = 'us-east-1/shop'\nname = 'us'\nread_only = true\n\
             [[cluster]]\necs = 'staging@eu-west-1/shop'\nname = 'trial'\n";
        let config = with(entries, &[], Overrides::default()).unwrap();
        for (spelled, entry, production, read_only) in [
            ("prod@eu-west-1/shop", "till", true, false),
            ("staging@eu-west-1/shop", "trial", false, false),
            ("prod@shop", "", true, true),
            ("ops@eu-west-1/shop", "", true, false),
            ("ops@shop", "us", true, true),
            ("ops@us-east-1/shop", "us", false, true),
            ("shop", "", true, true),
            ("eu-west-1/shop", "", true, false),
            ("arn:aws:ecs:us-east-1:123456789012:cluster/shop", "us", false, true),
            ("prod@eu-north-1/shop", "", false, false),
            ("prod@eu-west-1/shop2", "", false, false),
        ] {
            let name = ecs::parse(spelled).unwrap();
            let said = config.ecs_cluster(&name);
            let found = said.entry.map_or("", |c| c.name.as_str());
            assert_eq!((found, said.production, said.read_only), (entry, production, read_only), "{spelled}");
            let own = config.clusters.iter().any(|c| c.ecs.as_ref() == Some(&name));
            assert_eq!(said.remark("x").is_some(), !own && (production || read_only), "{spelled}");
        }
        let remark = config.ecs_cluster(&ecs::parse("shop").unwrap()).remark("shop").unwrap();
        assert!(remark.starts_with("shop is production and read-only"), "{remark}");
        assert!(remark.contains("`prod@eu-west-1/shop` and `us-east-1/shop`, which may be"), "{remark}");
    }
}
