//! From meaning to colour.

use ratatui::style::{Color, Modifier, Style};

use crate::domain::{Accent, Health, Tone};
use crate::theme::{Role, Theme};

/// A theme at work.
pub struct Painter<'a> {
    theme: &'a Theme,
    /// No Unicode.
    pub ascii: bool,
}

impl<'a> Painter<'a> {
    /// Paints with a theme.
    #[must_use]
    pub fn new(theme: &'a Theme, ascii: bool) -> Self {
        Self { theme, ascii }
    }

    /// A role's style.
    #[must_use]
    pub fn role(&self, role: Role) -> Style {
        self.theme.style(role)
    }

    /// A style as it is on the selected row. Where that is the reverse of everything else, colours of
    /// text would become patches of background: the row is of one piece there.
    #[must_use]
    pub fn on_selected(&self, style: Style) -> Style {
        let row = self.role(Role::RowSelected);
        if row.add_modifier.contains(Modifier::REVERSED) && row.fg.is_none() && row.bg.is_none() {
            return Style { fg: None, bg: None, ..style }.remove_modifier(Modifier::DIM);
        }
        style
    }

    /// A tone's style.
    #[must_use]
    pub fn tone(&self, tone: Tone) -> Style {
        let role = match tone {
            Tone::Plain => Role::Text,
            Tone::Dim => Role::Dim,
            Tone::Strong => return self.role(Role::Text).add_modifier(Modifier::BOLD),
            Tone::Title => Role::Title,
            Tone::Key => Role::YamlKey,
            Tone::String => Role::YamlString,
            Tone::Number => Role::YamlNumber,
            Tone::Health(health) => match health {
                Health::Ok => Role::HealthOk,
                Health::Done => Role::HealthDone,
                Health::Progressing => Role::HealthProgressing,
                Health::Unknown => Role::HealthUnknown,
                Health::Warning => Role::HealthWarning,
                Health::Critical => Role::HealthCritical,
            },
            Tone::Cluster => Role::Cluster,
            Tone::Production => Role::Production,
            Tone::Accent(accent, production) => return self.cluster(Some(accent), production),
            Tone::Badge(accent) => return self.cluster(accent, true).add_modifier(Modifier::REVERSED),
            Tone::Spot => Role::Spot,
            Tone::Time => Role::LogTime,
            Tone::Source(n) => match n % 6 {
                0 => Role::LogSource1,
                1 => Role::LogSource2,
                2 => Role::LogSource3,
                3 => Role::LogSource4,
                4 => Role::LogSource5,
                _ => Role::LogSource6,
            },
            Tone::Gauge(0) => Role::GaugeLow,
            Tone::Gauge(1) => Role::GaugeMid,
            Tone::Gauge(_) => Role::GaugeHigh,
            Tone::Match => Role::Match,
            Tone::Found => return self.role(Role::Match).add_modifier(Modifier::REVERSED | Modifier::BOLD),
            Tone::Error => Role::LogError,
            Tone::Warning => Role::LogWarn,
            Tone::Ansi(n) => return self.ansi(n),
        };
        self.role(role)
    }

    /// A cluster's name: the colour that it was given, and the weight of production.
    fn cluster(&self, accent: Option<Accent>, production: bool) -> Style {
        let base = self.role(if production { Role::Production } else { Role::Cluster });
        let Some(accent) = accent else { return base };
        let own = self.role(match accent {
            Accent::Red => Role::ClusterRed,
            Accent::Orange => Role::ClusterOrange,
            Accent::Yellow => Role::ClusterYellow,
            Accent::Green => Role::ClusterGreen,
            Accent::Blue => Role::ClusterBlue,
            Accent::Violet => Role::ClusterViolet,
        });
        if production { base.patch(own) } else { own }
    }

    /// A colour the text itself asked for, where the theme has colours at all.
    /// Black and white would vanish on one background or the other.
    fn ansi(&self, n: u8) -> Style {
        let text = self.role(Role::Text);
        if self.role(Role::HealthCritical).fg.is_none() {
            return text;
        }
        match n {
            0 | 7 | 15 => text,
            8 => self.role(Role::Dim),
            n => text.fg(Color::Indexed(n)),
        }
    }
}
