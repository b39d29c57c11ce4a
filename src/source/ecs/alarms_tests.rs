use super::*;
use crate::clock::Clock;
use crate::domain::{AlarmMore, AlarmSource, AlarmState, ClusterId, Severity};
use crate::source::aws::{Account, AccountSpec, EcsSpec};

fn link(cluster: &str, lead: bool) -> Link {
    let account = AccountSpec { region: Some("eu-west-1".to_owned()), ..AccountSpec::default() };
    let spec = EcsSpec {
        id: ClusterId::new(&format!("prod@{cluster}")),
        cluster: cluster.to_owned(),
        account: account.clone(),
        production: false,
        read_only: false,
        interval: Duration::from_secs(15),
    };
    let mut link = Link::new(spec, Arc::new(Account::new(account, Clock::system())));
    link.lead = lead;
    link
}

fn found(name: &str, dimensions: &[(&str, &str)], children: &[&str]) -> Found {
    Found {
        name: Text::new(name),
        arn: Text::new(&format!("arn:aws:cloudwatch:eu-west-1:1:alarm:{name}")),
        source: AlarmSource::CloudWatchMetric,
        state: AlarmState::Firing,
        severity: Severity::Unknown,
        since: None,
        summary: Text::empty(),
        reason: Text::empty(),
        value: None,
        threshold: None,
        dimensions: dimensions.iter().map(|(n, v)| (Text::new(n), Text::new(v))).collect(),
        more: AlarmMore { children: children.iter().map(|c| Text::new(c)).collect(), ..AlarmMore::default() },
        queries: Vec::new(),
        suppressed_by: Text::empty(),
        runbook: Text::empty(),
    }
}

/// Name, service, account-wide.
fn own(link: &Link, all: &[Found]) -> Vec<(String, String, bool)> {
    let service = |a: &Alarm| a.about.as_ref().map_or_else(String::new, |id| id.name.to_string());
    rows(link, all).iter().map(|a| (a.id.name.to_string(), service(a), a.account_wide)).collect()
}

#[test]
fn each_alarm_is_in_the_cluster_it_is_about_and_in_one_only() {
    let group = "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/web/0f";
    let all = [
        found("cpu", &[("ClusterName", "shop"), ("ServiceName", "web")], &[]),
        found("whole", &[("ClusterName", "shop")], &[]),
        found("other", &[("ClusterName", "ware"), ("ServiceName", "web")], &[]),
        found("5xx", &[("LoadBalancer", "app/x/1"), ("TargetGroup", "targetgroup/web/0f")], &[]),
        found("queue", &[("QueueName", "orders")], &[]),
        found("both", &[], &["cpu", "5xx"]),
        found("two-services", &[], &["both", "whole"]),
        found("of-other", &[], &["other"]),
        found("of-nobody", &[], &["queue", "gone"]),
        found("circle", &[], &["circle", "cpu"]),
    ];
    let shop = link("shop", true);
    lock(&shop.target_groups).insert(Text::new("web"), vec![Text::new(group)]);
    let said = own(&shop, &all);
    let expect: Vec<(String, String, bool)> = [
        ("cpu", "web", false),
        ("whole", "", false),
        ("5xx", "web", false),
        ("queue", "", true),
        ("both", "web", false),
        ("two-services", "", false),
        ("of-nobody", "", true),
        ("circle", "web", false),
    ]
    .map(|(name, service, wide)| (name.to_owned(), service.to_owned(), wide))
    .to_vec();
    assert_eq!(said, expect);
    let ware: Vec<String> = own(&link("ware", false), &all).into_iter().map(|(name, ..)| name).collect();
    assert_eq!(ware, ["other", "of-other"]);
    assert_eq!(rows(&shop, &all)[0].id.cluster, ClusterId::new("prod@shop"));
}
