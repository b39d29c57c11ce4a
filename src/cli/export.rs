//! A drawn screen as text, ANSI or SVG.

use std::fmt::Write;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier, Style};
use unicode_width::UnicodeWidthStr;

use crate::theme::{Role, Theme};

/// The cells of a row, without those a wide character covers.
fn row(buf: &Buffer, y: u16) -> impl Iterator<Item = (u16, &Cell)> {
    let mut skip = 0;
    (buf.area.left()..buf.area.right()).filter_map(move |x| {
        if skip > 0 {
            skip -= 1;
            return None;
        }
        let cell = buf.cell((x, y))?;
        skip = cell.symbol().width().saturating_sub(1);
        Some((x, cell))
    })
}

/// Plain text, line ends without trailing spaces.
#[must_use]
pub fn text(buf: &Buffer) -> String {
    let mut out = String::new();
    for y in buf.area.top()..buf.area.bottom() {
        let line: String = row(buf, y).map(|(_, c)| c.symbol()).collect();
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Text with SGR sequences, a reset at the end of each line.
#[must_use]
pub fn ansi(buf: &Buffer) -> String {
    let mut out = String::new();
    for y in buf.area.top()..buf.area.bottom() {
        let mut last = None;
        for (_, cell) in row(buf, y) {
            let style = cell.style();
            if last != Some(style) {
                out.push_str(&sgr(style));
                last = Some(style);
            }
            out.push_str(cell.symbol());
        }
        out.push_str("\u{1b}[0m\n");
    }
    out
}

fn sgr(style: Style) -> String {
    let mut codes = String::from("\u{1b}[0");
    for (modifier, code) in MODIFIERS {
        if style.add_modifier.contains(modifier) {
            let _ = write!(codes, ";{code}");
        }
    }
    for (color, base) in [(style.fg, 30), (style.bg, 40)] {
        match color.map(|c| (c, indexed(c))) {
            Some((Color::Rgb(r, g, b), _)) => drop(write!(codes, ";{};2;{r};{g};{b}", base + 8)),
            Some((_, Some(n))) if n < 8 => drop(write!(codes, ";{}", base + u16::from(n))),
            Some((_, Some(n))) if n < 16 => drop(write!(codes, ";{}", base + 52 + u16::from(n))),
            Some((_, Some(n))) => drop(write!(codes, ";{};5;{n}", base + 8)),
            _ => {}
        }
    }
    codes.push('m');
    codes
}

const MODIFIERS: [(Modifier, u8); 6] = [
    (Modifier::BOLD, 1),
    (Modifier::DIM, 2),
    (Modifier::ITALIC, 3),
    (Modifier::UNDERLINED, 4),
    (Modifier::REVERSED, 7),
    (Modifier::CROSSED_OUT, 9),
];

/// A named or indexed colour's number.
fn indexed(color: Color) -> Option<u8> {
    Some(match color {
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 8,
        Color::LightRed => 9,
        Color::LightGreen => 10,
        Color::LightYellow => 11,
        Color::LightBlue => 12,
        Color::LightMagenta => 13,
        Color::LightCyan => 14,
        Color::White => 15,
        Color::Indexed(n) => n,
        Color::Reset | Color::Rgb(..) => return None,
    })
}

/// `#rrggbb`; the 256-colour palette as xterm has it.
fn css(color: Color) -> Option<String> {
    const BASE: [u32; 16] = [
        0x00_0000, 0xcd_3131, 0x0d_bc79, 0xe5_e510, 0x24_72c8, 0xbc_3fbc, 0x11_a8cd, 0xcc_cccc, 0x66_6666, 0xf1_4c4c,
        0x23_d18b, 0xf5_f543, 0x3b_8eea, 0xd6_70d6, 0x29_b8db, 0xff_ffff,
    ];
    if let Color::Rgb(r, g, b) = color {
        return Some(format!("#{r:02x}{g:02x}{b:02x}"));
    }
    let n = indexed(color)?;
    Some(match n {
        0..16 => format!("#{:06x}", BASE[usize::from(n)]),
        16..232 => {
            let level = |v: u8| if v == 0 { 0 } else { 55 + 40 * v };
            let n = n - 16;
            format!("#{:02x}{:02x}{:02x}", level(n / 36), level(n / 6 % 6), level(n % 6))
        }
        _ => {
            let v = 8 + 10 * (n - 232);
            format!("#{v:02x}{v:02x}{v:02x}")
        }
    })
}

/// A vector image: one `text` element per run, each cell at its own place, so
/// that columns align whatever the font.
#[must_use]
pub fn svg(buf: &Buffer, theme: &Theme) -> String {
    // Hardly taller than the font, so that the lines of boxes meet.
    const CELL: (f64, f64) = (8.4, 17.0);
    let base = theme.style(Role::Background);
    let light = theme.is_light();
    let background = base.bg.and_then(css).unwrap_or_else(|| if light { "#ffffff" } else { "#101418" }.to_owned());
    let foreground = base.fg.and_then(css).unwrap_or_else(|| if light { "#202020" } else { "#d8dee9" }.to_owned());
    let (width, height) = (f64::from(buf.area.width) * CELL.0, f64::from(buf.area.height) * CELL.1);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w:.0}\" height=\"{h:.0}\" viewBox=\"0 0 {w:.0} {h:.0}\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{background}\"/>\n\
         <g font-family=\"ui-monospace, 'JetBrains Mono', 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"14\" xml:space=\"preserve\">\n",
        w = width + 16.0,
        h = height + 16.0
    );
    for y in buf.area.top()..buf.area.bottom() {
        let top = 8.0 + f64::from(y - buf.area.top()) * CELL.1;
        for (style, x, text) in runs(buf, y) {
            let left = 8.0 + f64::from(x - buf.area.left()) * CELL.0;
            #[expect(clippy::cast_precision_loss, reason = "widths of a screen")]
            let wide = text.width() as f64 * CELL.0;
            let reversed = style.add_modifier.contains(Modifier::REVERSED);
            let (mut fg, mut bg) = (style.fg.and_then(css), style.bg.and_then(css));
            if reversed {
                (fg, bg) = (bg.or(Some(background.clone())), fg.or(Some(foreground.clone())));
            }
            if let Some(bg) = bg.filter(|b| *b != background) {
                let _ = writeln!(
                    out,
                    "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{wide:.1}\" height=\"{}\" fill=\"{bg}\"/>",
                    CELL.1
                );
            }
            if text.trim().is_empty() {
                continue;
            }
            let mut attributes = format!("fill=\"{}\"", fg.as_deref().unwrap_or(&foreground));
            for (modifier, attribute) in [
                (Modifier::BOLD, " font-weight=\"bold\""),
                (Modifier::ITALIC, " font-style=\"italic\""),
                (Modifier::UNDERLINED, " text-decoration=\"underline\""),
                (Modifier::DIM, " opacity=\"0.65\""),
            ] {
                if style.add_modifier.contains(modifier) {
                    attributes.push_str(attribute);
                }
            }
            let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let _ = writeln!(
                out,
                "<text x=\"{left:.1}\" y=\"{:.1}\" textLength=\"{wide:.1}\" lengthAdjust=\"spacingAndGlyphs\" {attributes}>{escaped}</text>",
                top + 13.0
            );
        }
    }
    out.push_str("</g>\n</svg>\n");
    out
}

/// Runs of one style, without spaces at their ends unless these are visible.
fn runs(buf: &Buffer, y: u16) -> Vec<(Style, u16, String)> {
    let mut out: Vec<(Style, u16, String)> = Vec::new();
    for (x, cell) in row(buf, y) {
        match out.last_mut() {
            Some((style, _, text)) if *style == cell.style() => text.push_str(cell.symbol()),
            _ => out.push((cell.style(), x, cell.symbol().to_owned())),
        }
    }
    for (style, x, text) in &mut out {
        let plain = style.bg.is_none_or(|b| b == Color::Reset) && !style.add_modifier.contains(Modifier::REVERSED);
        if plain {
            let lead = text.len() - text.trim_start().len();
            *x += u16::try_from(lead).unwrap_or(0);
            *text = text.trim().to_owned();
        }
    }
    out
}
