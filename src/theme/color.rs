//! Colours: parsing, contrast, and the nearest one a terminal has.

use ratatui::style::{Color, Modifier, Style};

/// How many colours the terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ColorDepth {
    /// None, as with `NO_COLOR`.
    None,
    /// The sixteen that the terminal's user chose.
    Ansi16,
    /// Those and a fixed cube and grey ramp.
    Ansi256,
    /// 24 bits.
    TrueColor,
}

impl ColorDepth {
    /// What the terminal says it has: none with `NO_COLOR` or `TERM=dumb`, 24 bits with
    /// `COLORTERM=truecolor` or a terminal known for it, else as `TERM` ends.
    #[must_use]
    pub fn from_env(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| env(name).unwrap_or_default();
        let term = set("TERM");
        let known = ["direct", "truecolor", "kitty", "alacritty", "wezterm", "ghostty", "foot"];
        if !set("NO_COLOR").is_empty() || term == "dumb" {
            Self::None
        } else if matches!(set("COLORTERM").as_str(), "truecolor" | "24bit") || known.iter().any(|k| term.contains(k)) {
            Self::TrueColor
        } else if term.contains("256color") || set("TERM_PROGRAM") == "Apple_Terminal" {
            Self::Ansi256
        } else {
            Self::Ansi16
        }
    }
}

/// The sixteen by name, with what xterm shows for them.
pub(super) const ANSI: &[(&str, Color, [u8; 3])] = &[
    ("black", Color::Black, [0, 0, 0]),
    ("red", Color::Red, [205, 0, 0]),
    ("green", Color::Green, [0, 205, 0]),
    ("yellow", Color::Yellow, [205, 205, 0]),
    ("blue", Color::Blue, [0, 0, 238]),
    ("magenta", Color::Magenta, [205, 0, 205]),
    ("cyan", Color::Cyan, [0, 205, 205]),
    ("gray", Color::Gray, [229, 229, 229]),
    ("dark-gray", Color::DarkGray, [127, 127, 127]),
    ("light-red", Color::LightRed, [255, 0, 0]),
    ("light-green", Color::LightGreen, [0, 255, 0]),
    ("light-yellow", Color::LightYellow, [255, 255, 0]),
    ("light-blue", Color::LightBlue, [92, 92, 255]),
    ("light-magenta", Color::LightMagenta, [255, 0, 255]),
    ("light-cyan", Color::LightCyan, [0, 255, 255]),
    ("white", Color::White, [255, 255, 255]),
];

/// What a colour may be, for messages.
pub(super) const GRAMMAR: &str =
    "a name from [palette], `#rrggbb`, `0` to `255`, `default`, or one of the sixteen such as `red` or `light-red`";

/// A colour that needs no palette; `None` if it is none.
pub(super) fn parse(s: &str) -> Option<Color> {
    if let Some(hex) = s.strip_prefix('#') {
        if hex.len() != 6 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let [_, red, green, blue] = u32::from_str_radix(hex, 16).ok()?.to_be_bytes();
        return Some(Color::Rgb(red, green, blue));
    }
    if s == "default" {
        return Some(Color::Reset);
    }
    if !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit()) {
        return s.parse().ok().map(Color::Indexed);
    }
    let plain = s.replace("bright-", "light-").replace("grey", "gray");
    ANSI.iter().find(|(name, ..)| *name == plain).map(|(_, color, _)| *color)
}

/// Red, green and blue of a colour that looks the same in every terminal;
/// `None` for the sixteen, which their user chose.
pub(super) fn rgb(color: Color) -> Option<[u8; 3]> {
    match color {
        Color::Rgb(r, g, b) => Some([r, g, b]),
        Color::Indexed(i @ 16..=231) => Some(cube(i - 16)),
        Color::Indexed(i @ 232..) => Some([8 + (i - 232) * 10; 3]),
        _ => None,
    }
}

/// The 6x6x6 cube of the 256 colours.
fn cube(i: u8) -> [u8; 3] {
    [i / 36, i / 6 % 6, i % 6].map(|step| if step == 0 { 0 } else { 55 + step * 40 })
}

/// The contrast of two colours by WCAG 2: 1 to 21.
#[must_use]
pub fn contrast(a: [u8; 3], b: [u8; 3]) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// Relative luminance by WCAG 2: 0 to 1.
fn luminance(c: [u8; 3]) -> f64 {
    let [r, g, b] = c.map(linear);
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

/// A channel's light, 0 to 1, from its sRGB code.
fn linear(channel: u8) -> f64 {
    let c = f64::from(channel) / 255.0;
    if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
}

/// How different two colours look: squared distance in Oklab, with hue weighing
/// more than lightness so that a pale red stays red.
fn distance(a: [u8; 3], b: [u8; 3]) -> f64 {
    let ([l1, a1, b1], [l2, a2, b2]) = (oklab(a), oklab(b));
    (l1 - l2).powi(2) + 2.0 * (a1 - a2).powi(2) + 2.0 * (b1 - b2).powi(2)
}

#[expect(clippy::many_single_char_names, reason = "the names of the colour space's axes")]
fn oklab(c: [u8; 3]) -> [f64; 3] {
    let [r, g, b] = c.map(linear);
    let l = (0.412_221 * r + 0.536_333 * g + 0.051_446 * b).cbrt();
    let m = (0.211_903 * r + 0.680_700 * g + 0.107_397 * b).cbrt();
    let s = (0.088_302 * r + 0.281_719 * g + 0.629_979 * b).cbrt();
    [
        0.210_454 * l + 0.793_618 * m - 0.004_072 * s,
        1.977_998 * l - 2.428_592 * m + 0.450_594 * s,
        0.025_904 * l + 0.782_772 * m - 0.808_676 * s,
    ]
}

/// The nearest colour of `depth`.
fn nearest(color: Color, depth: ColorDepth) -> Color {
    let Some(want) = rgb(color) else {
        return match (color, depth) {
            (Color::Indexed(i @ 0..16), ColorDepth::Ansi16) => ANSI[usize::from(i)].1,
            _ => color,
        };
    };
    let by_distance = |a: &(Color, [u8; 3]), b: &(Color, [u8; 3])| distance(want, a.1).total_cmp(&distance(want, b.1));
    match depth {
        ColorDepth::Ansi256 if matches!(color, Color::Rgb(..)) => (16..=255)
            .filter_map(|i| Some((Color::Indexed(i), rgb(Color::Indexed(i))?)))
            .min_by(by_distance)
            .map_or(color, |(c, _)| c),
        ColorDepth::Ansi16 => ANSI.iter().map(|(_, c, rgb)| (*c, *rgb)).min_by(by_distance).map_or(color, |(c, _)| c),
        _ => color,
    }
}

/// A style in the colours of `depth`. A background of its own that becomes the
/// screen's is shown reversed, and text that becomes its background is moved
/// away from it.
pub(super) fn downgrade(style: Style, screen: Option<Color>, depth: ColorDepth) -> Style {
    let low = |c: Option<Color>| c.map(|c| nearest(c, depth));
    let mut out = Style { fg: low(style.fg), bg: low(style.bg), underline_color: low(style.underline_color), ..style };
    if style.bg.is_some() && style.bg != screen && out.bg == low(screen) {
        out.bg = None;
        out.fg = None;
        out.add_modifier |= Modifier::REVERSED;
    }
    let behind = out.bg.or(low(screen));
    if out.fg.is_some() && out.fg == behind {
        let dark = style.bg.or(screen).and_then(rgb).is_none_or(|c| luminance(c) < 0.2);
        out.fg = Some(match (depth, dark) {
            (ColorDepth::Ansi16, true) => Color::DarkGray,
            (ColorDepth::Ansi16, false) if behind == Some(Color::White) => Color::DarkGray,
            (_, true) => Color::Indexed(245),
            (_, false) => Color::Black,
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses() {
        for (s, want) in [
            ("#0f1419", Some(Color::Rgb(15, 20, 25))),
            ("33", Some(Color::Indexed(33))),
            ("light-red", Some(Color::LightRed)),
            ("bright-red", Some(Color::LightRed)),
            ("dark-grey", Some(Color::DarkGray)),
            ("default", Some(Color::Reset)),
            ("#fff", None),
            ("256", None),
            ("reddish", None),
            ("#+12345", None),
            ("", None),
        ] {
            assert_eq!(parse(s), want, "{s}");
        }
    }

    #[test]
    fn what_terminals_say_of_themselves() {
        for (vars, want) in [
            (&[("NO_COLOR", "1"), ("COLORTERM", "truecolor")][..], ColorDepth::None),
            (&[("NO_COLOR", ""), ("TERM", "xterm-256color")], ColorDepth::Ansi256),
            (&[("COLORTERM", "24bit"), ("TERM", "xterm")], ColorDepth::TrueColor),
            (&[("TERM", "xterm-kitty")], ColorDepth::TrueColor),
            (&[("TERM", "linux")], ColorDepth::Ansi16),
            (&[("TERM", "dumb")], ColorDepth::None),
        ] {
            let env = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
            assert_eq!(ColorDepth::from_env(&env), want, "{vars:?}");
        }
    }

    #[test]
    fn contrast_as_wcag_defines_it() {
        assert!((contrast([0, 0, 0], [255, 255, 255]) - 21.0).abs() < 0.001);
        assert!((contrast([118, 118, 118], [255, 255, 255]) - 4.54).abs() < 0.01);
    }

    #[test]
    fn nearest_keeps_the_hue() {
        for (from, want) in [
            (Color::Rgb(255, 0, 0), Color::LightRed),
            (Color::Rgb(200, 10, 10), Color::Red),
            (Color::Rgb(0, 0, 0), Color::Black),
            (Color::Rgb(250, 250, 250), Color::White),
            (Color::Indexed(3), Color::Yellow),
        ] {
            assert_eq!(nearest(from, ColorDepth::Ansi16), want, "{from}");
        }
        assert_eq!(nearest(Color::Rgb(95, 135, 175), ColorDepth::Ansi256), Color::Indexed(67));
        assert_eq!(nearest(Color::Red, ColorDepth::Ansi256), Color::Red);
    }
}
