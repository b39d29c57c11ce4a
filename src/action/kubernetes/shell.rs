//! Commands to copy: quoted so that a shell takes them as they are meant.

/// A `kubectl` command.
pub(super) fn kubectl(context: Option<&str>, arguments: &[&str]) -> String {
    let mut out = "kubectl".to_owned();
    for argument in context.map(|c| ["--context", c]).iter().flatten().chain(arguments) {
        out.push(' ');
        out.push_str(&quoted(argument));
    }
    out
}

/// As it is where that is safe, else in single quotes. Control characters go: nothing that is copied
/// from a screen may do what the screen does not show.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    let word = crate::domain::Text::new(word);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_string();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_read_is_quoted() {
        assert_eq!(
            kubectl(None, &["scale", "--replicas=3", "deployment/web"]),
            "kubectl scale --replicas=3 deployment/web"
        );
        assert_eq!(kubectl(Some("a b"), &["x"]), "kubectl --context 'a b' x");
        assert_eq!(
            kubectl(None, &["it's", "$(rm -rf)", "", "a;b\n\u{1b}[2J"]),
            r"kubectl 'it'\''s' '$(rm -rf)' '' 'a;b '"
        );
    }
}
