//! The generated pages are what the tables say. `UPDATE_DOCS=1` rewrites them.

use std::path::Path;

#[test]
fn the_pages_are_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (path, want) in quarterdeck::docs::generate() {
        let file = root.join(path);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, &want).unwrap();
        }
        let has = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(has == want, "{path} is out of date: UPDATE_DOCS=1 cargo test --test docs");
    }
}

#[test]
fn what_the_security_page_points_at_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/security.md")).unwrap();
    let named: Vec<&str> =
        page.split('`').skip(1).step_by(2).filter(|w| w.starts_with("tests/") || w.starts_with("src/")).collect();
    assert!(named.len() > 20, "claims have their tests: {named:?}");
    for path in named {
        assert!(root.join(path).exists(), "{path} is not there");
    }
    for linked in page.split("](").skip(1).filter_map(|r| r.split(')').next()) {
        assert!(root.join("docs").join(linked).exists(), "{linked} is not there");
    }
    assert!(std::fs::read_to_string(root.join("README.md")).unwrap().contains("docs/security.md"));
}
