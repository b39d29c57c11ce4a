//! Roles of a theme that are hard to read.

use super::color::{contrast, rgb};
use super::{Legibility, ROLES, Role, Theme};
use crate::config::diagnostic::Diagnostic;

pub(super) fn lint(theme: &Theme) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for info in ROLES {
        let want = match info.legibility {
            Legibility::Text => 4.5,
            Legibility::Dim => 3.0,
            Legibility::Graphic => continue,
        };
        check(theme, info.role, info.role, want, &mut found);
    }
    // What stands in rows stands on their backgrounds too.
    for row in [Role::RowSelected, Role::RowMarked] {
        for role in [
            Role::HealthOk,
            Role::HealthWarning,
            Role::HealthCritical,
            Role::HealthProgressing,
            Role::Cluster,
            Role::Production,
        ] {
            if theme.style(row).bg.is_some() {
                check(theme, role, row, 3.0, &mut found);
            }
        }
    }
    found
}

/// Notes when `role`'s text is hard to read on `behind`'s background. Only where
/// both colours are known: the sixteen are the terminal's.
fn check(theme: &Theme, role: Role, behind: Role, want: f64, found: &mut Vec<Diagnostic>) {
    let fg = theme.style(role).fg.or(theme.style(Role::Text).fg);
    let (Some(fg), Some(bg)) = (fg.and_then(rgb), theme.background_of(behind).and_then(rgb)) else { return };
    let has = contrast(fg, bg);
    if has < want {
        let on = if role == behind { String::new() } else { format!(" on `{}`", behind.name()) };
        let d = Diagnostic::new(theme.name(), format!("`{}`{on} is hard to read: contrast {has:.1}", role.name()));
        found.push(d.warning().allowed(format!("a contrast of {want} or more (WCAG 2)")));
    }
}
