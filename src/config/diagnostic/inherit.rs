//! Finding a theme or keymap by name or path, and what it inherits.

use std::path::{Path, PathBuf};

use super::{Diagnostic, Diagnostics, Reader, Source};

/// One file of a chain of inheritance.
#[derive(Debug, Clone)]
pub struct Inherit {
    /// Its text.
    pub source: Source,
    /// Where it was found: its path, or `None` when it is built in.
    pub path: Option<PathBuf>,
}

/// The file called `name_or_path`, then what it inherits, and so on.
///
/// A path when it has a separator or ends in `.toml`; else `dir/NAME.toml` when
/// there is one, else the built-in one of that name. A file that inherits its
/// own name means the built-in one.
///
/// # Errors
/// When one of them is unknown or unreadable, is not TOML, or inherits in a
/// circle.
pub fn locate(
    what: &str,
    name_or_path: &str,
    dir: Option<&Path>,
    embedded: &[(&str, &str)],
) -> Result<Vec<Inherit>, Diagnostics> {
    let first = find(what, name_or_path, dir, None, embedded).map_err(|d| {
        d.unwrap_or_else(|| unknown(Diagnostic::new(what, ""), what, name_or_path, dir, embedded).into())
    })?;
    let mut chain = vec![first];
    loop {
        let Some(last) = chain.last() else { return Ok(chain) };
        let root = last.source.parse()?;
        let Some(value) = root.get("inherits") else { return Ok(chain) };
        let reader = Reader::new(&last.source);
        let Some(parent) = reader.string(value, "inherits", &format!("the name of a {what}")) else {
            reader.finish()?;
            return Ok(chain);
        };
        let next = find(what, parent, dir, last.path.as_deref(), embedded).map_err(|d| {
            d.unwrap_or_else(|| unknown(last.source.at(&value.span(), ""), what, parent, dir, embedded).into())
        })?;
        if let Some(start) = chain.iter().position(|seen| seen.source.name == next.source.name) {
            let circle: Vec<&str> = chain[start..].iter().map(|i| i.source.name.as_str()).collect();
            let d = last.source.at(&value.span(), format!("this {what} inherits itself")).value(parent);
            let names = format!("{} -> {}", circle.join(" -> "), next.source.name);
            return Err(d.hint(format!("the circle is {names}; take `inherits` out of one of them")).into());
        }
        chain.push(next);
    }
}

/// The names of the TOML files in `dir`, without `.toml`, sorted.
#[must_use]
pub fn toml_names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".toml").map(ToOwned::to_owned))
        .collect();
    names.sort();
    names
}

/// The file; `Err(None)` when nothing has that name.
fn find(
    what: &str,
    name: &str,
    dir: Option<&Path>,
    by: Option<&Path>,
    embedded: &[(&str, &str)],
) -> Result<Inherit, Option<Diagnostics>> {
    let looks_like_path = name.contains(['/', '\\']) || Path::new(name).extension().is_some_and(|e| e == "toml");
    let read = |path: PathBuf| match Source::read(&path) {
        Ok(source) => Ok(Inherit { source, path: Some(path) }),
        Err(e) => Err(Some(e)),
    };
    if looks_like_path {
        // Beside the file that names it.
        return read(by.and_then(Path::parent).map_or_else(|| PathBuf::from(name), |beside| beside.join(name)));
    }
    let own = by.is_some_and(|by| by.file_stem().is_some_and(|stem| stem == name));
    if let Some(path) = dir.map(|dir| dir.join(format!("{name}.toml"))).filter(|path| path.exists())
        && !(own && embedded.iter().any(|(known, _)| *known == name))
    {
        return read(path);
    }
    match embedded.iter().find(|(known, _)| *known == name) {
        Some((_, text)) => Ok(Inherit { source: Source::new(format!("{what} {name} (built in)"), *text), path: None }),
        None => Err(None),
    }
}

/// `d`, saying that nothing is called `name` and what there is.
fn unknown(d: Diagnostic, what: &str, name: &str, dir: Option<&Path>, embedded: &[(&str, &str)]) -> Diagnostic {
    let mut known: Vec<String> = embedded.iter().map(|(name, _)| (*name).to_owned()).collect();
    for own in dir.map(toml_names).unwrap_or_default() {
        if !known.contains(&own) {
            known.push(own);
        }
    }
    let d = Diagnostic { message: format!("unknown {what} `{name}`"), ..d }.value(name);
    let d = d.allowed(format!("{}, or the path of a .toml file", known.join(", ")));
    d.did_you_mean(name, known.iter().map(String::as_str))
}
