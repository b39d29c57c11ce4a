//! `config`, `keys` and `themes`.

use std::io::Write;
use std::process::ExitCode;

use color_eyre::eyre::{WrapErr, eyre};

use super::args::{Cli, ConfigVerb};
use super::output::{fail, say};
use super::{CliError, session};
use crate::config;
use crate::key::Context;
use crate::keymap::Keymap;
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
            for c in &config.clusters {
                out += &format!("cluster {} (context {})\n", c.name, c.context);
            }
            for (what, all) in [("prometheus", &config.prometheus), ("alertmanager", &config.alertmanager)] {
                for b in all {
                    let place = match &b.place {
                        config::Place::Url(url) => url.clone(),
                        config::Place::Service(service) => format!("service {service}"),
                    };
                    out += &format!("{what} {} ({place})\n", b.name);
                }
            }
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

/// `keys`: a table of every key, or the keymap's mistakes.
pub fn keys(cli: &Cli, lint: bool) -> Result<ExitCode, CliError> {
    let place = session::place(cli)?;
    let config = session::load(cli, &place)?;
    let keymap = Keymap::load(&config.keymap, Some(&place.paths.keymaps_dir))?;
    if lint {
        return Ok(report(&keymap.lint(), &format!("keymap {}", keymap.name())));
    }
    let mut out = String::new();
    for context in Context::ALL {
        let own: Vec<_> = keymap.bindings(context).into_iter().filter(|(_, c)| c.info().context == context).collect();
        if own.is_empty() {
            continue;
        }
        out += &format!("{}\n", context.name());
        for (keys, command) in own {
            out += &format!("  {keys:<14} {:<20} {}\n", command.name(), command.info().doc);
        }
    }
    say(&out);
    Ok(ExitCode::SUCCESS)
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
    if lint && !Theme::names().contains(&chosen.name()) {
        code = report(&chosen.lint(), &format!("theme {}", config.theme));
    }
    for name in Theme::names() {
        let theme = Theme::load(name, Some(&place.paths.themes_dir))?;
        if lint {
            if report(&theme.lint(), &format!("theme {name}")) != ExitCode::SUCCESS {
                code = ExitCode::FAILURE;
            }
        } else {
            let light = if theme.is_light() { "light" } else { "dark" };
            say(&format!("{name:<18} {light:<6} {}", theme.doc()));
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
