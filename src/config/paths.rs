//! Where files are.

use std::path::{Path, PathBuf};

/// The directories of the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// Holds `config.toml`.
    pub config_dir: PathBuf,
    /// Holds the user's themes.
    pub themes_dir: PathBuf,
    /// Holds the user's keymaps.
    pub keymaps_dir: PathBuf,
    /// Holds saved screens, the console's log, its audit.
    pub state_dir: PathBuf,
    /// Holds what can be had again.
    pub cache_dir: PathBuf,
}

impl Paths {
    /// The user's directories: `QUARTERDECK_CONFIG_DIR` and `QUARTERDECK_STATE_DIR`, or
    /// what the platform has for them. Without a home directory, a directory
    /// `.quarterdeck` where the console was started.
    #[must_use]
    pub fn discover(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let usual = directories::ProjectDirs::from("", "", "quarterdeck");
        let named = |name: &str| env(name).filter(|dir| !dir.is_empty()).map(PathBuf::from);
        let here = || PathBuf::from(".quarterdeck");
        let config = named("QUARTERDECK_CONFIG_DIR")
            .or_else(|| usual.as_ref().map(|p| p.config_dir().to_owned()))
            .unwrap_or_else(here);
        let state = named("QUARTERDECK_STATE_DIR")
            .or_else(|| usual.as_ref().map(|p| p.state_dir().unwrap_or_else(|| p.data_local_dir()).to_owned()))
            .unwrap_or_else(|| here().join("state"));
        let cache = usual.as_ref().map_or_else(|| here().join("cache"), |p| p.cache_dir().to_owned());
        Self::of(config, state, cache)
    }

    /// Directories inside `dir`, for a demo: nothing of the user's is read or written.
    #[must_use]
    pub fn demo(dir: &Path) -> Self {
        Self::of(dir.join("config"), dir.join("state"), dir.join("cache"))
    }

    /// The user's settings file, whether it exists or not.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.config_dir.join("config.toml")
    }

    fn of(config_dir: PathBuf, state_dir: PathBuf, cache_dir: PathBuf) -> Self {
        Self {
            themes_dir: config_dir.join("themes"),
            keymaps_dir: config_dir.join("keymaps"),
            config_dir,
            state_dir,
            cache_dir,
        }
    }
}
