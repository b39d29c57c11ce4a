//! The Python that has boto3 and moto.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use quarterdeck::clock::instant;

/// The folder of the scripts.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/aws")
}

/// Python, or `None` where there is none; a failure where `CI=true`.
pub fn find(what: &str) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("QUARTERDECK_AWS_PYTHON").filter(|p| !p.is_empty()) {
        return Some(PathBuf::from(path));
    }
    let why = "QUARTERDECK_AWS_PYTHON is not set; tests/peers/aws/install.sh installs it and prints the path";
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{what} was not tested: {why}");
    eprintln!("SKIPPED: {what}: {why}");
    None
}

/// Runs a script and gives what it printed; fails with everything it said otherwise.
pub fn run(python: &Path, script: &str, arguments: &[&str], patience: Duration) -> String {
    let out = tempfile::NamedTempFile::new().expect("a file");
    let err = tempfile::NamedTempFile::new().expect("a file");
    let mut child = Command::new(python)
        .arg(folder().join(script))
        .args(arguments)
        .env_remove("AWS_PROFILE")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null())
        .stdout(out.reopen().expect("a file"))
        .stderr(err.reopen().expect("a file"))
        .spawn()
        .expect("python runs");
    let start = instant();
    let text = |file: &tempfile::NamedTempFile| std::fs::read_to_string(file.path()).unwrap_or_default();
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            assert!(status.success(), "{script}:\n{}\n{}", text(&out), text(&err));
            return text(&out);
        }
        if start.elapsed() > patience {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{script} took longer than {patience:?}:\n{}\n{}", text(&out), text(&err));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
