//! How each [`Role`] looks: theme files, their palettes, and what a terminal
//! with fewer colours makes of them.

mod color;
mod file;
mod lint;
mod role;

use std::path::Path;

use ratatui::style::{Color, Modifier, Style};

use crate::config::diagnostic::{Diagnostic, Diagnostics};

pub use color::{ColorDepth, contrast};
pub use role::{Legibility, ROLES, Role, RoleInfo};

/// The themes inside the program: name and text.
const EMBEDDED: &[(&str, &str)] = &[
    ("quarterdeck-dark", include_str!("../../themes/quarterdeck-dark.toml")),
    ("quarterdeck-light", include_str!("../../themes/quarterdeck-light.toml")),
    ("high-contrast", include_str!("../../themes/high-contrast.toml")),
    ("colour-blind", include_str!("../../themes/colour-blind.toml")),
    ("solarized", include_str!("../../themes/solarized.toml")),
    ("gruvbox", include_str!("../../themes/gruvbox.toml")),
    ("nord", include_str!("../../themes/nord.toml")),
    ("catppuccin", include_str!("../../themes/catppuccin.toml")),
    ("ansi16", include_str!("../../themes/ansi16.toml")),
    ("mono", include_str!("../../themes/mono.toml")),
];

/// A loaded theme: a style for every role.
#[derive(Debug, Clone)]
pub struct Theme {
    name: String,
    doc: String,
    light: bool,
    /// By `Role as usize`.
    styles: Vec<Style>,
}

impl Theme {
    /// `quarterdeck-dark`. A test proves that it loads; a theme without colours
    /// would be the answer otherwise.
    #[must_use]
    pub fn embedded_default() -> Self {
        file::load("quarterdeck-dark", None).unwrap_or_else(|_| Self::plain("plain"))
    }

    /// The theme called `name_or_path`: a path when it has a separator or ends in
    /// `.toml`, else `themes_dir/NAME.toml` when there is one, else one of
    /// [`Theme::names`].
    ///
    /// # Errors
    /// Everything wrong with it and the files it inherits, with places.
    pub fn load(name_or_path: &str, themes_dir: Option<&Path>) -> Result<Self, Diagnostics> {
        file::load(name_or_path, themes_dir)
    }

    /// The themes inside the program.
    #[must_use]
    pub fn names() -> Vec<&'static str> {
        EMBEDDED.iter().map(|(name, _)| *name).collect()
    }

    /// What the theme `auto` means: `ansi16` where there are sixteen colours, whose
    /// looks are the terminal's own; else `quarterdeck-light` when the terminal says
    /// in `COLORFGBG` that its background is light, else `quarterdeck-dark`.
    #[must_use]
    pub fn auto_name(env: &dyn Fn(&str) -> Option<String>, depth: ColorDepth) -> &'static str {
        if depth == ColorDepth::Ansi16 {
            return "ansi16";
        }
        let colors = env("COLORFGBG").unwrap_or_default();
        match colors.rsplit(';').next() {
            Some("7" | "15") => "quarterdeck-light",
            _ => "quarterdeck-dark",
        }
    }

    /// The look of `role`. [`Role::Background`] is to be laid over the whole screen
    /// first; the others change only what they say.
    #[must_use]
    pub fn style(&self, role: Role) -> Style {
        self.styles[role as usize]
    }

    /// Its name, or the path it was read from.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is good for, in a sentence; may be empty.
    #[must_use]
    pub fn doc(&self) -> &str {
        &self.doc
    }

    /// Whether it is made for a light background.
    #[must_use]
    pub fn is_light(&self) -> bool {
        self.light
    }

    /// What a terminal of `depth` can show of it. Without colours, what only a
    /// colour told apart gets the modifiers of the `mono` theme.
    #[must_use]
    pub fn with_depth(mut self, depth: ColorDepth) -> Self {
        let background = self.style(Role::Background).bg;
        match depth {
            ColorDepth::TrueColor => {}
            ColorDepth::None => {
                let mono = file::load("mono", None).ok();
                for (i, style) in self.styles.iter_mut().enumerate() {
                    let extra = mono.as_ref().map_or(Modifier::empty(), |m| m.styles[i].add_modifier);
                    let keep = Modifier::BOLD | Modifier::REVERSED | Modifier::UNDERLINED;
                    *style = Style::new().add_modifier((style.add_modifier & keep) | extra);
                }
            }
            ColorDepth::Ansi16 | ColorDepth::Ansi256 => {
                for style in &mut self.styles {
                    *style = color::downgrade(*style, background, depth);
                }
            }
        }
        self
    }

    /// Roles that are hard to read, by the contrast of WCAG 2.
    #[must_use]
    pub fn lint(&self) -> Vec<Diagnostic> {
        lint::lint(self)
    }

    /// A theme that changes nothing.
    fn plain(name: &str) -> Self {
        Self { name: name.to_owned(), doc: String::new(), light: false, styles: vec![Style::new(); ROLES.len()] }
    }

    /// The colour `role`'s text stands on, when the theme sets one.
    fn background_of(&self, role: Role) -> Option<Color> {
        self.style(role).bg.or(self.style(Role::Background).bg)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_theme_loads_and_is_readable() {
        for name in Theme::names() {
            let theme = Theme::load(name, None).unwrap_or_else(|e| panic!("{e}"));
            let found: Vec<String> = theme.lint().iter().map(ToString::to_string).collect();
            assert_eq!(found, [""; 0], "{name}");
            assert!(theme.doc().ends_with('.'), "{name}");
            assert_eq!(theme.is_light(), name.ends_with("light"), "{name}");
        }
    }

    #[test]
    fn the_table_is_in_enum_order_and_falls_back_to_text() {
        for (i, r) in ROLES.iter().enumerate() {
            assert_eq!(r.role as usize, i);
            assert_eq!(Role::from_name(r.name), Some(r.role));
            assert!(r.doc.ends_with('.'), "{}", r.name);
            let mut role = r.role;
            for _ in 0..ROLES.len() {
                role = role.info().fallback.unwrap_or(role);
            }
            assert!(matches!(role, Role::Text | Role::Background), "{} ends in {}", r.name, role.name());
        }
    }

    #[test]
    fn without_colours_states_still_differ() {
        for name in Theme::names() {
            let theme = Theme::load(name, None).unwrap().with_depth(ColorDepth::None);
            for r in ROLES {
                let style = theme.style(r.role);
                assert_eq!((style.fg, style.bg), (None, None), "{name} {}", r.name);
            }
            assert!(theme.style(Role::RowSelected).add_modifier.contains(Modifier::REVERSED));
            assert_ne!(theme.style(Role::HealthCritical), theme.style(Role::HealthOk));
        }
    }

    #[test]
    fn fewer_colours_stay_readable() {
        for name in Theme::names() {
            for depth in [ColorDepth::Ansi256, ColorDepth::Ansi16] {
                let theme = Theme::load(name, None).unwrap().with_depth(depth);
                for r in ROLES {
                    let style = theme.style(r.role);
                    assert!(!matches!(style.fg, Some(Color::Rgb(..))), "{name} {}", r.name);
                    if r.role != Role::Background && style.fg.is_some() {
                        assert_ne!(style.fg, theme.background_of(r.role), "{name} {} {depth:?}", r.name);
                    }
                }
                let selected = theme.style(Role::RowSelected);
                let seen = selected.add_modifier.contains(Modifier::REVERSED)
                    || selected.bg != theme.style(Role::Background).bg;
                assert!(seen, "{name}: the selected row is to be seen at {depth:?}");
            }
        }
    }
}
