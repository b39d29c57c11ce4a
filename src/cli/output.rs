//! Standard output and error. A reader that went away (`| head`) is no error.

use std::io::Write;

/// Prints to standard output, with a line end if there is none.
pub fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    if !text.ends_with('\n') {
        let _ = out.write_all(b"\n");
    }
    let _ = out.flush();
}

/// Prints an error.
pub fn fail(text: &str) {
    let mut err = std::io::stderr().lock();
    let _ = writeln!(err, "quarterdeck: {}", text.trim_end());
}
