//! `config`, `keys` and `themes`.

use std::io::Write;
use std::process::ExitCode;

use color_eyre::eyre::{WrapErr, eyre};

use super::args::{Cli, ConfigVerb};
use super::output::{fail, say};
use super::{CliError, session};
use crate::config;
use crate::config::diagnostic::toml_names;
use crate::key::{Context, format_sequence};
use crate::keymap::{ExtraKind, Keymap};
use crate::theme::{ROLES, Theme};

/// `config check|show|init`.
pub fn config(cli: &Cli, what: &ConfigVerb) -> Result<ExitCode, CliError> {
    let place = session::place(cli)?;
    match what {
        ConfigVerb::Check { file } => {
            let file = file.clone().or_else(|| cli.common.config.clone()).unwrap_or_else(|| place.paths.config_file());
            if !file.exists() && cli.common.config.is_none() {
                session::check(&session::load(cli, &place)?, &place.paths)?;
                say(&format!("{} does not exist: the defaults are in force", file.display()));
                return Ok(ExitCode::SUCCESS);
            }
            config::check(&file)?;
            // With the environment, as a start would have it.
            session::check(&session::load_from(cli, &place, Some(&file))?, &place.paths)?;
            say(&format!("{} is fine", file.display()));
        }
        ConfigVerb::Show => {
            let config = session::load(cli, &place)?;
            let mut out = String::new();
            for (info, value, origin) in config.values() {
                out += &format!("{:<28} = {value:<24} # {origin}\n", info.name);
            }
            out += &super::entries::lines(&config);
            say(&out);
        }
        ConfigVerb::Init => {
            let file = place.paths.config_file();
            if let Some(dir) = file.parent() {
                std::fs::create_dir_all(dir).wrap_err_with(|| format!("cannot create {}", dir.display()))?;
            }
            let mut out = std::fs::File::options().write(true).create_new(true).open(&file).map_err(|e| {
                if e.kind() == std::io::ErrorKind::AlreadyExists {
                    eyre!(
                        "{} exists and is left as it is; `quarterdeck config check` looks for mistakes in it",
                        file.display()
                    )
                } else {
                    eyre!("cannot write {}: {e}", file.display())
                }
            })?;
            out.write_all(config::template().as_bytes())?;
            say(&format!("wrote {}", file.display()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `keys`: a table of every key, and what is doubtful about them; or only the keymap's mistakes.
pub fn keys(cli: &Cli, lint: bool) -> Result<ExitCode, CliError> {
    let place = session::place(cli)?;
    let config = session::load(cli, &place)?;
    let keymap = Keymap::load(&config.keymap, Some(&place.paths.keymaps_dir))?;
    if lint {
        return Ok(report(&keymap.lint(), &format!("keymap {}", keymap.name())));
    }
    // As a console would have it, with the keys of runbooks.
    say(&table(&session::app(&config, &place.paths)?.keymap));
    for doubt in keymap.lint() {
        fail(&doubt.to_string());
    }
    Ok(ExitCode::SUCCESS)
}

/// Everything that is bound, context by context: what a context has of its parent is listed there, unless the key is
/// another command's here.
fn table(keymap: &Keymap) -> String {
    let mut out = String::new();
    for context in Context::ALL {
        let inherited = context.parent().map(|parent| keymap.bindings(parent)).unwrap_or_default();
        let own = keymap.bindings(context).into_iter().filter(|row| !inherited.contains(row));
        let mut rows: Vec<(String, &str, String)> =
            own.map(|(keys, command)| (keys, command.name(), command.info().doc.to_owned())).collect();
        for extra in keymap.extras().iter().filter(|e| e.context == context) {
            let (word, what) = match &extra.what {
                ExtraKind::Runbook(name) => ("runbook", format!("{} ({name})", extra.label)),
                ExtraKind::Run(command) => ("run", format!("{}: {}", extra.label, command.argv.join(" "))),
            };
            rows.push((format_sequence(&extra.keys), word, what));
        }
        if !rows.is_empty() {
            out += &format!("{}\n", context.name());
        }
        for (keys, word, what) in rows {
            out += &format!("  {keys:<14} {word:<20} {what}\n");
        }
    }
    out
}

fn report(found: &[config::diagnostic::Diagnostic], what: &str) -> ExitCode {
    for d in found {
        fail(&d.to_string());
    }
    if found.is_empty() {
        say(&format!("{what} is fine"));
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// `themes`: their names, their mistakes, or each role in its style.
pub fn themes(cli: &Cli, lint: bool, preview: bool) -> Result<ExitCode, CliError> {
    let place = session::place(cli)?;
    let config = session::load(cli, &place)?;
    let mut code = ExitCode::SUCCESS;
    let chosen = session::theme(&config, &place.paths)?;
    let mut names: Vec<String> = Theme::names().into_iter().map(ToOwned::to_owned).collect();
    // Those of the user's directory; one that has a built-in's name is what that name means.
    let own = toml_names(&place.paths.themes_dir);
    names.extend(own.iter().filter(|name| !Theme::names().contains(&name.as_str())).cloned());
    if lint && !names.iter().any(|name| name == chosen.name()) {
        code = report(&chosen.lint(), &format!("theme {}", config.theme));
    }
    for name in names {
        let theme = match Theme::load(&name, Some(&place.paths.themes_dir)) {
            Ok(theme) => theme,
            // One that makes no sense hides none of the others.
            Err(wrong) => {
                fail(&wrong.to_string());
                code = ExitCode::FAILURE;
                continue;
            }
        };
        if lint {
            if report(&theme.lint(), &format!("theme {name}")) != ExitCode::SUCCESS {
                code = ExitCode::FAILURE;
            }
        } else {
            let light = if theme.is_light() { "light" } else { "dark" };
            let yours = if own.contains(&name) { "yours: " } else { "" };
            say(&format!("{name:<18} {light:<6} {yours}{}", theme.doc()));
        }
    }
    if preview {
        let theme = chosen;
        let height = u16::try_from(ROLES.len()).unwrap_or(u16::MAX);
        let area = ratatui::layout::Rect::new(0, 0, 78, height);
        let mut buf = ratatui::buffer::Buffer::empty(area);
        buf.set_style(area, theme.style(crate::theme::Role::Background));
        for (y, role) in (0..height).zip(ROLES.iter()) {
            buf.set_stringn(0, y, format!("{:<22} {}", role.name, role.doc), 78, theme.style(role.role));
        }
        say(&super::export::ansi(&buf));
    }
    Ok(code)
}
