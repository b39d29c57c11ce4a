use proptest::prelude::*;

use super::*;
use crate::action::intent::Intent;
use crate::action::plan::{Change, Permission, Precondition};
use crate::domain::Kind;

fn id(cluster: &str, kind: Kind, namespace: &str, name: &str) -> ObjectId {
    let (namespace, name) = (Text::new(namespace), Text::new(name));
    ObjectId { cluster: ClusterId::new(cluster), kind, namespace, name }
}

fn at(text: &str) -> Timestamp {
    chrono::DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

fn noon() -> Timestamp {
    at("2026-11-25T12:00:00Z")
}

fn plan_of(verb: Verb, targets: Vec<ObjectId>) -> Plan {
    Plan::new(Intent::new(verb, targets), noon())
}

fn deploys(n: usize) -> Vec<ObjectId> {
    (0..n).map(|i| id("prod", Kind::Deployment, "shop", &format!("web-{i}"))).collect()
}

fn rule(effect: Effect) -> Guardrail {
    Guardrail {
        name: Text::new("mine"),
        cluster: String::new(),
        namespace: String::new(),
        kind: String::new(),
        object: String::new(),
        verbs: Vec::new(),
        effect,
        why: Text::new("ask first"),
    }
}

fn policy(guardrails: Vec<Guardrail>) -> Policy {
    Policy { guardrails, ..Policy::default() }
}

fn in_production(guardrails: Vec<Guardrail>) -> Policy {
    let marked = ClusterPolicy { production: true, read_only: false };
    Policy { clusters: [(ClusterId::new("prod"), marked)].into(), ..policy(guardrails) }
}

#[test]
fn patterns_all_have_to_fit() {
    let plan = plan_of(Verb::Scale, vec![id("prod-eu", Kind::Deployment, "payments", "ledger-api")]);
    let set = |change: fn(&mut Guardrail)| {
        let mut r = rule(Effect::Deny);
        change(&mut r);
        r
    };
    let table: [(Guardrail, bool); 12] = [
        (set(|_| {}), true),
        (set(|r| r.cluster = "prod*".into()), true),
        (set(|r| r.cluster = "prod".into()), false),
        (set(|r| r.namespace = "PAY*".into()), true),
        (set(|r| r.namespace = "shop".into()), false),
        (set(|r| r.kind = "deploy".into()), true),
        (set(|r| r.kind = "sts".into()), false),
        (set(|r| r.object = "ledger-*".into()), true),
        (set(|r| r.object = "*-web".into()), false),
        (set(|r| r.verbs = vec![Verb::Delete, Verb::Scale]), true),
        (set(|r| r.verbs = vec![Verb::Delete]), false),
        (set(|r| (r.cluster, r.object) = ("prod*".into(), "web".into())), false),
    ];
    for (rule, fits) in table {
        let verdict = policy(vec![rule.clone()]).judge(&plan, noon());
        assert_eq!(!verdict.refused.is_empty(), fits, "{rule:?}");
        if fits {
            assert_eq!(
                verdict.refused[0].as_str(),
                "guardrail mine forbids to scale deploy payments/ledger-api: ask first"
            );
        }
    }
}

#[test]
fn one_target_that_fits_is_enough_and_what_a_drain_evicts_counts() {
    let denied = Guardrail { namespace: "payments".into(), ..rule(Effect::Deny) };
    let policy = policy(vec![denied]);
    let mut targets = deploys(2);
    assert!(policy.judge(&plan_of(Verb::Scale, targets.clone()), noon()).refused.is_empty());
    targets.push(id("prod", Kind::Deployment, "payments", "ledger"));
    assert_eq!(policy.judge(&plan_of(Verb::Scale, targets), noon()).refused.len(), 1);
    let mut drain = plan_of(Verb::Drain, vec![id("prod", Kind::Node, "", "node-1")]);
    for (fate, refused) in [(Fate::Stays, 0), (Fate::Waits, 1), (Fate::Acts, 1)] {
        drain.changes = vec![Change {
            target: id("prod", Kind::Task, "payments", "ledger-x"),
            field: Text::new("evict"),
            from: Text::empty(),
            to: Text::empty(),
            fate,
            note: Text::empty(),
            precondition: Precondition::Nothing,
        }];
        assert_eq!(policy.judge(&drain, noon()).refused.len(), refused, "{fate:?}");
    }
}

#[test]
fn deny_wins_and_every_rule_is_told() {
    let rules = vec![rule(Effect::Confirm), rule(Effect::AtOnce(1)), rule(Effect::Deny), rule(Effect::AtOnce(5))];
    let verdict = policy(rules).judge(&plan_of(Verb::Scale, deploys(2)), noon());
    assert_eq!(verdict.refused.len(), 2, "{verdict:?}");
    let assent = Assent { typed: "2".into(), reason: "because".into(), ..Assent::default() };
    assert!(verdict.accepts(&assent).is_err());
}

#[test]
fn so_many_at_once() {
    let nodes = |n: usize| (0..n).map(|i| id("prod", Kind::Node, "", &format!("node-{i}"))).collect::<Vec<_>>();
    let policy = policy(vec![Guardrail { kind: "node".into(), ..rule(Effect::AtOnce(2)) }]);
    let refused = |plan: &Plan| policy.judge(plan, noon()).refused;
    assert!(refused(&plan_of(Verb::Cordon, nodes(2))).is_empty());
    assert_eq!(
        refused(&plan_of(Verb::Cordon, nodes(3))),
        ["guardrail mine allows 2 at once, and this is 3: ask first"].map(Text::from)
    );
    assert!(refused(&plan_of(Verb::Scale, deploys(3))).is_empty(), "only nodes count");
    let mut drain = plan_of(Verb::Drain, nodes(9));
    assert!(refused(&drain).is_empty(), "one after the other");
    drain.intent.options.at_once = 3;
    assert_eq!(refused(&drain).len(), 1);
}

#[test]
fn quiet_hours_are_those_of_the_place_over_midnight_and_through_daylight_saving() {
    let berlin = chrono_tz::Europe::Berlin;
    let quiet = |from, to| policy(vec![rule(Effect::Quiet { from, to, zone: berlin })]);
    let night = quiet(22 * 60, 6 * 60);
    let day = quiet(9 * 60, 17 * 60);
    for (policy, when, refused) in [
        // Winter: an hour ahead of UTC.
        (&night, "2026-01-10T20:59:00Z", false),
        (&night, "2026-01-10T21:00:00Z", true),
        (&night, "2026-01-10T23:30:00Z", true),
        (&night, "2026-01-11T04:59:00Z", true),
        (&night, "2026-01-11T05:00:00Z", false),
        // Summer: two.
        (&night, "2026-07-10T19:59:00Z", false),
        (&night, "2026-07-10T20:00:00Z", true),
        (&night, "2026-07-11T03:59:00Z", true),
        (&night, "2026-07-11T04:00:00Z", false),
        // The night that loses an hour, and the one that has one twice.
        (&night, "2026-03-29T00:59:00Z", true),
        (&night, "2026-03-29T01:00:00Z", true),
        (&night, "2026-03-29T04:00:00Z", false),
        (&night, "2026-10-25T00:30:00Z", true),
        (&night, "2026-10-25T01:30:00Z", true),
        (&night, "2026-10-25T04:59:00Z", true),
        (&night, "2026-10-25T05:00:00Z", false),
        (&day, "2026-07-10T06:59:00Z", false),
        (&day, "2026-07-10T07:00:00Z", true),
        (&day, "2026-07-10T14:59:00Z", true),
        (&day, "2026-07-10T15:00:00Z", false),
    ] {
        let verdict = policy.judge(&plan_of(Verb::Scale, deploys(1)), at(when));
        assert_eq!(!verdict.refused.is_empty(), refused, "{when}: {:?}", verdict.refused);
    }
    let said = night.judge(&plan_of(Verb::Scale, deploys(1)), at("2026-07-10T20:00:00Z")).refused;
    assert_eq!(
        said,
        ["guardrail mine forbids to scale deploy shop/web-0 from 22:00 to 06:00 (Europe/Berlin), and it is 22:00: ask first"]
            .map(Text::from)
    );
}

#[test]
fn what_has_to_be_typed() {
    let typed = |text: &str| Confirm::Type(Text::new(text));
    let (plain, production) = (policy(Vec::new()), in_production(Vec::new()));
    let asked = policy(vec![rule(Effect::Confirm)]);
    for (policy, verb, n, confirm, reason) in [
        (&plain, Verb::Scale, 1, Confirm::Choose, false),
        (&plain, Verb::Scale, 3, Confirm::Choose, false),
        (&plain, Verb::Delete, 1, typed("web-0"), false),
        (&plain, Verb::Delete, 3, typed("3"), false),
        (&production, Verb::Scale, 1, typed("web-0"), true),
        (&production, Verb::Scale, 3, typed("prod"), true),
        (&production, Verb::Delete, 3, typed("prod"), true),
        (&asked, Verb::Scale, 1, typed("web-0"), true),
        (&asked, Verb::Scale, 3, typed("3"), true),
    ] {
        let verdict = policy.judge(&plan_of(verb, deploys(n)), noon());
        assert_eq!((&verdict.confirm, verdict.needs_reason), (&confirm, reason), "{verb} of {n}");
        assert!(verdict.refused.is_empty());
        let word = if let Confirm::Type(word) = &confirm { word.to_string() } else { String::new() };
        let right =
            Assent { typed: word, reason: if reason { "because".into() } else { String::new() }, ..Assent::default() };
        assert_eq!(verdict.accepts(&right), Ok(()));
        if confirm != Confirm::Choose {
            assert!(verdict.accepts(&Assent { typed: "web".into(), ..right.clone() }).is_err());
        }
        assert_eq!(verdict.accepts(&Assent { reason: " ".into(), ..right }).is_err(), reason);
    }
}

#[test]
fn read_only_and_missing_permissions_refuse() {
    let mut plan = plan_of(Verb::Scale, deploys(1));
    let read_only = Policy { read_only: true, ..Policy::default() };
    assert_eq!(read_only.judge(&plan, noon()).refused.len(), 1);
    let marked = ClusterPolicy { production: false, read_only: true };
    let marked = Policy { clusters: [(ClusterId::new("prod"), marked)].into(), ..Policy::default() };
    assert_eq!(marked.judge(&plan, noon()).refused.len(), 1);
    for (allowed, n) in [(None, 0), (Some(true), 0), (Some(false), 1)] {
        plan.needs = vec![Permission { what: Text::new("patch deployments/scale in shop"), allowed }];
        assert_eq!(Policy::default().judge(&plan, noon()).refused.len(), n, "{allowed:?}");
    }
}

fn any_effect() -> impl Strategy<Value = Effect> {
    prop_oneof![
        Just(Effect::Deny),
        Just(Effect::Confirm),
        (1_u16..4).prop_map(Effect::AtOnce),
        (0_u16..1440, 0_u16..1440).prop_map(|(from, to)| Effect::Quiet {
            from,
            to,
            zone: chrono_tz::America::New_York
        }),
    ]
}

fn any_rule() -> impl Strategy<Value = Guardrail> {
    let pattern = || prop::sample::select(vec!["", "*", "prod", "p*", "shop", "web-1", "deploy", "*e*"]);
    let verbs = prop::collection::vec(prop::sample::select(vec![Verb::Scale, Verb::Drain, Verb::Delete]), 0..3);
    (pattern(), pattern(), pattern(), pattern(), verbs, any_effect()).prop_map(|(c, n, k, o, verbs, effect)| {
        let [cluster, namespace, kind, object] = [c, n, k, o].map(str::to_owned);
        Guardrail { cluster, namespace, kind, object, verbs, ..rule(effect) }
    })
}

proptest! {
    #[test]
    fn one_more_rule_never_allows_more(
        rules in prop::collection::vec(any_rule(), 0..5),
        more in any_rule(),
        place in 0_usize..5,
        targets in 1_usize..5,
        verb in prop::sample::select(vec![Verb::Scale, Verb::Delete, Verb::Restart]),
        production: bool,
        minutes in 0_i64..1_000_000,
    ) {
        let now = noon() + chrono::TimeDelta::minutes(minutes);
        let plan = plan_of(verb, deploys(targets));
        let mut with = rules.clone();
        with.insert(place.min(rules.len()), more);
        let of = |rules| if production { in_production(rules) } else { policy(rules) };
        let (before, after) = (of(rules).judge(&plan, now), of(with).judge(&plan, now));
        for why in &before.refused {
            prop_assert!(after.refused.contains(why));
        }
        prop_assert!(before.confirm == Confirm::Choose || after.confirm == before.confirm);
        prop_assert!(after.needs_reason || !before.needs_reason);
        // Whoever said enough with the rule has said enough without it.
        let confirm = if let Confirm::Type(word) = &after.confirm { word.to_string() } else { String::new() };
        let assent = Assent { typed: confirm, reason: "because".into(), ..Assent::default() };
        prop_assert!(after.accepts(&assent).is_err() || before.accepts(&assent).is_ok());
    }
}
