//! The pictures of the documents are what the program draws: made anew from the embedded fleet, and compared
//! byte for byte. `UPDATE_SCREENSHOTS=1` rewrites them.

use std::collections::BTreeSet;
use std::path::Path;

use quarterdeck::cli::gallery::{COMMAND, Picture, pictures};

const RENEW: &str = "UPDATE_SCREENSHOTS=1 cargo test --test screenshots";
/// Bytes that one picture, and all of them, may take.
const LARGEST: usize = 60_000;
const ALL: usize = 3_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn the_pictures_are_what_the_program_draws() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("screenshots");
    let made = pictures().await.expect("pictures");
    let names: BTreeSet<&str> = made.iter().map(|p| p.file.as_str()).collect();
    assert_eq!(names.len(), made.len(), "two pictures have one name");
    let there: Vec<String> = std::fs::read_dir(&dir)
        .expect("a directory")
        .filter_map(|e| e.ok()?.file_name().into_string().ok())
        .filter(|name| !names.contains(name.as_str()))
        .collect();
    if std::env::var_os("UPDATE_SCREENSHOTS").is_some() {
        for old in &there {
            std::fs::remove_file(dir.join(old)).expect("a file that nobody needs");
        }
        for Picture { file, text } in &made {
            std::fs::write(dir.join(file), text).expect("a picture");
        }
        return;
    }
    assert_eq!(there, [""; 0], "pictures that are not made any more: {RENEW}");
    let differ: Vec<&str> = made
        .iter()
        .filter(|p| std::fs::read_to_string(dir.join(&p.file)).unwrap_or_default() != p.text)
        .map(|p| p.file.as_str())
        .collect();
    assert!(differ.is_empty(), "{differ:?} are out of date: {RENEW}, or {COMMAND}");
    for Picture { file, text } in &made {
        assert!(text.len() <= LARGEST, "{file} has {} bytes", text.len());
        // What differs from machine to machine, or from day to day, has no place in them.
        assert!(!text.contains("127.0.0.1") && !text.contains("/tmp"), "{file} shows where it was made");
        assert!(!text.contains("loading") || file == "README.md", "{file} is not whole");
    }
    let sum: usize = made.iter().map(|p| p.text.len()).sum();
    assert!(sum <= ALL, "{sum} bytes");
}

fn is(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|e| e == extension)
}

#[test]
fn every_picture_that_a_document_shows_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut shown = 0;
    let mut pages = vec![("README.md".to_owned(), ""), ("screenshots/README.md".to_owned(), "screenshots/")];
    for entry in std::fs::read_dir(root.join("docs")).expect("documents") {
        let name = entry.expect("a document").file_name().into_string().expect("a name");
        if is(&name, "md") {
            pages.push((format!("docs/{name}"), "docs/"));
        }
    }
    for (page, at) in pages {
        let text = std::fs::read_to_string(root.join(&page)).expect(&page);
        for picture in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).filter(|p| is(p, "svg")) {
            shown += 1;
            assert!(root.join(at).join(picture).exists(), "{page} shows {picture}, which is not there");
        }
    }
    assert!(shown > 40, "{shown}");
}
