//! How an ECS cluster is named: `[PROFILE@][REGION/]NAME`.

/// What may be written.
pub const ALLOWED: &str = "NAME, REGION/NAME, PROFILE@NAME, PROFILE@REGION/NAME, or a cluster's ARN";

/// An ECS cluster, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EcsName {
    /// A profile of the AWS configuration; the usual environment if `None`.
    pub profile: Option<String>,
    /// The region; the profile's or the environment's if `None`.
    pub region: Option<String>,
    /// The cluster's name.
    pub name: String,
}

/// Takes a name apart; `None` for what is none.
#[must_use]
pub fn parse(text: &str) -> Option<EcsName> {
    let (profile, rest) = match text.split_once('@') {
        Some((profile, rest)) => (Some(profile), rest),
        None => (None, text),
    };
    let (region, name) = if rest.starts_with("arn:") {
        let parts: Vec<&str> = rest.splitn(6, ':').collect();
        let name = parts.get(5).and_then(|resource| resource.strip_prefix("cluster/"))?;
        (Some(*parts.get(3)?), name)
    } else {
        match rest.split_once('/') {
            Some((region, name)) => (Some(region), name),
            None => (None, rest),
        }
    };
    let is_name = |s: &str| !s.is_empty() && s.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    let fits = is_name(name) && region.is_none_or(is_name) && profile.is_none_or(|p| !p.trim().is_empty());
    let owned = |s: Option<&str>| s.map(str::to_owned);
    fits.then(|| EcsName { profile: owned(profile), region: owned(region), name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_and_without_profile_and_region() {
        let parts = |text: &str| {
            let found = parse(text).unwrap();
            (found.profile.unwrap_or_default(), found.region.unwrap_or_default(), found.name)
        };
        let own = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(parts("shop"), own("", "", "shop"));
        assert_eq!(parts("eu-west-1/shop"), own("", "eu-west-1", "shop"));
        assert_eq!(parts("prod@shop"), own("prod", "", "shop"));
        assert_eq!(parts("prod@eu-west-1/shop"), own("prod", "eu-west-1", "shop"));
        assert_eq!(parts("p@arn:aws:ecs:eu-west-1:123456789012:cluster/shop"), own("p", "eu-west-1", "shop"));
        for bad in
            ["", "@shop", "prod@", "a/b/c", "/shop", "eu west/shop", "arn:aws:ecs:eu-west-1:1:service/x", "arn:x"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
