//! Names of images.

/// Something that can be an image's name, or a tag or digest of one.
pub(super) fn is_image(image: &str) -> bool {
    let rest = image.trim_start_matches([':', '@']);
    !rest.is_empty() && image.chars().all(|c| c.is_ascii_graphic())
}

/// What stands after the last slash: a colon before it belongs to a port.
fn last(image: &str) -> &str {
    image.rsplit('/').next().unwrap_or(image)
}

/// `:tag` and `@digest` keep the repository.
pub(super) fn meant(from: &str, given: &str) -> String {
    if !given.starts_with([':', '@']) {
        return given.to_owned();
    }
    let repository = from.split('@').next().unwrap_or(from);
    let tag = last(repository).find(':').map(|at| repository.len() - last(repository).len() + at);
    format!("{}{given}", &repository[..tag.unwrap_or(repository.len())])
}

/// What is to be said of an image that is not the same one everywhere; `None` where it is.
pub(super) fn loose(image: &str) -> Option<String> {
    let is = image.ends_with(":latest") || (!image.contains('@') && !last(image).contains(':'));
    is.then(|| format!("{image} has no tag of its own: what runs may differ from task to task"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_keeps_the_repository() {
        for (from, given, wanted) in [
            ("web:1", ":2", "web:2"),
            ("web", ":2", "web:2"),
            ("reg.example:5000/shop/web", ":2", "reg.example:5000/shop/web:2"),
            ("reg.example:5000/shop/web:1@sha256:ab", ":2", "reg.example:5000/shop/web:2"),
            ("reg.example/web:1", "@sha256:cd", "reg.example/web@sha256:cd"),
            ("web:1", "other:2", "other:2"),
        ] {
            assert_eq!(meant(from, given), wanted);
        }
    }
}
