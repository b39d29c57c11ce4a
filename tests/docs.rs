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
