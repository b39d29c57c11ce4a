//! Settings, themes and keymaps, valid and invalid, with the whole diagnostic.
//!
//! `tests/config/valid/` and `tests/config/invalid/` hold files named `config-*.toml`,
//! `theme-*.toml` and `keymap-*.toml`. Beside each that is invalid, or valid with
//! warnings, stands what is printed, in a `.txt` file. `UPDATE_GOLDENS=1` rewrites these.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use quarterdeck::config;
use quarterdeck::keymap::Keymap;
use quarterdeck::theme::Theme;

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config")
}

/// What is printed about `path`: errors, else warnings; without the machine's paths.
fn verdict(path: &Path) -> Result<String, String> {
    let dir = path.parent().unwrap();
    let text = path.to_str().unwrap();
    let clean = |s: String| s.replace(&format!("{}/", dir.display()), "");
    let kind = path.file_name().unwrap().to_str().unwrap().split('-').next().unwrap();
    let lint = |found: Vec<config::diagnostic::Diagnostic>| {
        clean(found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n"))
    };
    match kind {
        "config" => config::check(path).map(|()| String::new()).map_err(|e| clean(e.to_string())),
        "theme" => Theme::load(text, None).map(|t| lint(t.lint())).map_err(|e| clean(e.to_string())),
        "keymap" => Keymap::load(text, None).map(|k| lint(k.lint())).map_err(|e| clean(e.to_string())),
        other => panic!("{other} is no kind of file"),
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "toml"));
    files.sort();
    assert!(!files.is_empty());
    files
}

fn compare(file: &Path, has: &str) -> Option<String> {
    let golden = file.with_extension("txt");
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        if has.is_empty() {
            let _ = std::fs::remove_file(&golden);
        } else {
            std::fs::write(&golden, format!("{has}\n")).unwrap();
        }
    }
    let want = std::fs::read_to_string(&golden).unwrap_or_default();
    (want.trim_end() != has.trim_end()).then(|| format!("{}:\n--- want\n{want}\n--- has\n{has}\n", file.display()))
}

#[test]
fn invalid_files_are_refused_with_the_whole_story() {
    let mut wrong = Vec::new();
    for file in files(&here().join("invalid")) {
        match verdict(&file) {
            Err(has) => wrong.extend(compare(&file, &has)),
            Ok(_) => wrong.push(format!("{} was accepted", file.display())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn valid_files_are_accepted_with_their_warnings() {
    let mut wrong = Vec::new();
    for file in files(&here().join("valid")) {
        match verdict(&file) {
            Ok(has) => wrong.extend(compare(&file, &has)),
            Err(e) => wrong.push(format!("{} was refused:\n{e}", file.display())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_error_about_a_line_points_at_it() {
    for file in files(&here().join("invalid")) {
        let text = verdict(&file).unwrap_err();
        assert!(text.contains(".toml:") && text.contains('^'), "{}:\n{text}", file.display());
    }
}

#[test]
fn what_is_no_file_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let bad = dir.path().join("config-latin1.toml");
    std::fs::write(&bad, b"theme = \"ok\"\nview = \"n\xe4chste\"\n").unwrap();
    assert_eq!(
        verdict(&bad).unwrap_err(),
        "error: this is not UTF-8: byte 0xe4\n --> config-latin1.toml:2:10\n  |\n2 | view = \"n\u{fffd}chste\"\n  |          ^\n  = help: save the file as UTF-8",
    );
    let folder = dir.path().join("config-folder.toml");
    std::fs::create_dir(&folder).unwrap();
    assert_eq!(
        verdict(&folder).unwrap_err(),
        "error: this is a directory, not a file\n --> config-folder.toml\n  = help: name the TOML file in it",
    );
    for kind in ["config", "theme", "keymap"] {
        let missing = dir.path().join(format!("{kind}-missing.toml"));
        assert_eq!(
            verdict(&missing).unwrap_err(),
            format!("error: no such file\n --> {kind}-missing.toml\n  = help: check the path for a typing mistake"),
        );
    }
}

#[test]
fn an_unknown_name_shows_the_known_ones() {
    let e = Theme::load("quaterdeck-dark", None).unwrap_err().to_string();
    assert!(e.contains("unknown theme `quaterdeck-dark`") && e.contains("did you mean `quarterdeck-dark`?"), "{e}");
    let e = Keymap::load("nano", None).unwrap_err().to_string();
    assert!(e.contains("allowed: default, k9s, vim"), "{e}");
}
