//! How an ECS cluster is named: `[PROFILE@][REGION/]NAME`.

use std::collections::BTreeSet;

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

impl EcsName {
    /// As it may be written: `prod@eu-west-1/shop`, without what is not said.
    #[must_use]
    pub fn full(&self) -> String {
        let profile = self.profile.as_ref().map_or_else(String::new, |p| format!("{p}@"));
        let region = self.region.as_ref().map_or_else(String::new, |r| format!("{r}/"));
        format!("{profile}{region}{}", self.name)
    }

    /// True where both may name one cluster: the same name, and no two different regions. A region that is not
    /// said is the profile's or the environment's, which nobody has asked yet, so it may be any.
    #[must_use]
    pub fn may_be(&self, other: &Self) -> bool {
        self.name == other.name && agree(self.region.as_ref(), other.region.as_ref())
    }

    /// True where both may name one cluster and nothing speaks against it: no two different profiles either.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        self.may_be(other) && agree(self.profile.as_ref(), other.profile.as_ref())
    }
}

/// The same, or not both said.
fn agree(one: Option<&String>, other: Option<&String>) -> bool {
    one.is_none() || other.is_none() || one == other
}

/// What to call clusters on screen, each differently, and as none of those that are
/// `taken`: the short name of a pair where only one is called so, else the full one.
#[must_use]
pub fn distinct(pairs: &[(String, String)], taken: &[String]) -> Vec<String> {
    let mut used: BTreeSet<String> = taken.iter().cloned().collect();
    let alone =
        |short: &String| pairs.iter().filter(|(other, _)| other == short).count() == 1 && !taken.contains(short);
    // Who is called differently anyhow keeps his name, whoever comes first.
    used.extend(pairs.iter().map(|(short, _)| short).filter(|short| alone(short)).cloned());
    pairs
        .iter()
        .map(|(short, full)| {
            if alone(short) {
                return short.clone();
            }
            let tried = [full.clone(), format!("ecs/{full}")].into_iter();
            let more = (2_u32..).map(|n| format!("ecs/{full}#{n}"));
            let name = tried.chain(more).find(|name| !used.contains(name)).unwrap_or_else(|| full.clone());
            used.insert(name.clone());
            name
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_of_one_name_are_told_apart_and_the_others_keep_theirs() {
        let pair = |short: &str, full: &str| (short.to_owned(), full.to_owned());
        let pairs = [
            pair("shop", "prod@eu-west-1/shop"),
            pair("ware", "prod@eu-west-1/ware"),
            pair("shop", "staging@eu-west-1/shop"),
            pair("shop", "prod@us-east-1/shop"),
        ];
        let expect = ["prod@eu-west-1/shop", "ware", "staging@eu-west-1/shop", "prod@us-east-1/shop"];
        assert_eq!(distinct(&pairs, &[]), expect);
        // A kubeconfig context may have the name as well.
        assert_eq!(distinct(&[pair("shop", "eu/shop")], &["shop".to_owned()]), ["eu/shop"]);
        assert_eq!(distinct(&[pair("shop", "shop")], &["shop".to_owned()]), ["ecs/shop"]);
        let twice = [pair("shop", "shop"), pair("shop", "shop")];
        assert_eq!(distinct(&twice, &["shop".to_owned()]), ["ecs/shop", "ecs/shop#2"]);
        let odd = [pair("eu/shop", "x@shop"), pair("shop", "eu/shop"), pair("shop", "us/shop")];
        assert_eq!(distinct(&odd, &[]), ["eu/shop", "ecs/eu/shop", "us/shop"]);
    }

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
