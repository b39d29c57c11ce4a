//! Error budgets over CloudWatch, of the embedded fleet's load balancers: what the demo promises.

#![cfg(feature = "aws")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do, and the lint's exception for tests does not see them"
)]

#[path = "support/ecs.rs"]
mod ecs;

use std::time::Duration;

use aws_sdk_cloudwatch::types as cw;
use chrono::TimeDelta;
use quarterdeck::clock::{Clock, instant};
use quarterdeck::config::diagnostic::Source;
use quarterdeck::domain::slo::{Fraction, Lookback};
use quarterdeck::domain::{Budget, ClusterId, Freshness};
use quarterdeck::sim::aws::AwsFaults;
use quarterdeck::sim::model::{Model, Scenario};
use quarterdeck::sim::server::{ServerOptions, SimServer};
use quarterdeck::source::aws::budgets::{CLOUDWATCH, Objectives};
use quarterdeck::source::aws::{Account, EcsSpec};
use quarterdeck::source::ecs::Sources;
use quarterdeck::store::{Feed, Observation, Store};
use tokio::sync::mpsc;

const SLO: &str = include_str!("../scenarios/slo/ecs.yaml");
const HEAD: &str = "apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: shop}\nspec:\n  service: checkout\n  \
    budgetingMethod: METHOD\n  timeWindow: [{duration: 30d, isRolling: true}]\n  indicator:\n    \
    metadata: {name: shop}\n    spec:\n";
const PATIENCE: Duration = Duration::from_mins(1);

/// The fleet of `budget-burn` with its own clock, the errors in `minutes` of the past.
struct Fleet {
    sim: SimServer,
    clock: Clock,
    specs: Vec<EcsSpec>,
    store: Store,
    rx: mpsc::Receiver<Observation>,
    sources: Sources,
}

impl Fleet {
    async fn new(slo: &str, change: impl Fn(&mut EcsSpec)) -> Self {
        Self::failing(slo, change, |_| {}).await
    }

    /// The same, with what goes wrong from the first question on.
    async fn failing(slo: &str, change: impl Fn(&mut EcsSpec), wrong: impl FnOnce(&mut AwsFaults)) -> Self {
        let shop = "[[ecs]]\nname = 'shop-ecs'\nregion = 'eu-west-1'\n\
             [[ecs.services]]\nname = 'checkout'\ndesired = 4\nimage = 'r/checkout:1'\nbalanced = true\nload = 48\n\
             [[ecs.services]]\nname = 'search'\ndesired = 2\nimage = 'r/search:1'\nbalanced = true\nload = 30\n\
             [[ecs.at]]\nt = '30s'\naction = 'errors'\nservice = 'checkout'\nratio = 0.3\nfor = '2m'\n";
        let scenario = Scenario::parse(&format!("{}{shop}", ecs::BASE), "test.toml").expect("a scenario");
        // Signatures are of the real time: the fleet's may be a few minutes off.
        let clock = Clock::manual(Clock::system().now() - TimeDelta::seconds(240));
        let options = ServerOptions { ecs: scenario.ecs().to_vec(), seed: 7, ..ServerOptions::default() };
        let sim = SimServer::start(Box::new(Model::new(scenario)), clock.clone(), options).await.expect("a server");
        clock.advance(TimeDelta::seconds(470));
        sim.aws_faults().set(wrong);
        let mut specs = ecs::specs(&sim, Duration::from_secs(5));
        specs.iter_mut().for_each(change);
        let (tx, rx) = mpsc::channel(1024);
        let outcome = quarterdeck::slo::read(&[Source::new("ecs.yaml", slo)]);
        assert!(!outcome.definitions.is_empty(), "{:?}", outcome.found);
        let objectives = Objectives { definitions: outcome.definitions, interval: Duration::from_mins(1) };
        let store =
            Store::expecting([]).and_ecs(specs.iter().map(|s| s.id.clone())).and_backends([ClusterId::new(CLOUDWATCH)]);
        let sources = Sources::following(specs.clone(), None, objectives, tx, clock.clone());
        Self { sim, clock, specs, store, rx, sources }
    }

    async fn until(&mut self, what: &str, done: impl Fn(&Store) -> bool) {
        let start = instant();
        while !done(&self.store) {
            let Some(left) = PATIENCE.checked_sub(start.elapsed()) else {
                let log: Vec<_> = self.store.log().map(|l| l.text.to_string()).collect();
                panic!("waited in vain for {what}: {log:#?} {:#?}", self.store.budgets.rows().collect::<Vec<_>>());
            };
            if let Ok(Some(observation)) = tokio::time::timeout(left, self.rx.recv()).await {
                self.store.apply(observation);
            }
        }
    }

    /// The same; refreshed each second, since what is on its way when it is refreshed is not asked again.
    async fn refreshed(&mut self, what: &str, done: impl Fn(&Store) -> bool) {
        let start = instant();
        while !done(&self.store) && start.elapsed() < PATIENCE {
            self.sources.refresh();
            let second = instant();
            while let Some(left) = Duration::from_secs(1).checked_sub(second.elapsed()) {
                if let Ok(Some(observation)) = tokio::time::timeout(left, self.rx.recv()).await {
                    self.store.apply(observation);
                }
            }
        }
        self.until(what, done).await;
    }

    fn budget(&self) -> &Budget {
        self.store.budgets.rows().next().expect("a budget")
    }

    /// Bad and all requests of the last minutes that are whole, minute by minute, as the fleet has them.
    async fn own(&self, minutes: i64) -> (f64, f64) {
        let account = Account::new(self.specs[0].account.clone(), self.clock.clone());
        let clients = account.clients().await.expect("clients");
        let end = (self.clock.now().timestamp() - 120).div_euclid(60) * 60;
        let dimension = |n: &str, v: &str| cw::Dimension::builder().name(n).value(v).build();
        let query = |(id, name): (&str, &str)| {
            let metric = cw::Metric::builder()
                .namespace("AWS/ApplicationELB")
                .metric_name(name)
                .dimensions(dimension("TargetGroup", "targetgroup/checkout/0728c506b4e6f024"));
            let metric = metric.dimensions(dimension("LoadBalancer", "app/shop-ecs/50dc6c495c0c9188")).build();
            let stat = cw::MetricStat::builder().metric(metric).period(60).stat("Sum").build();
            cw::MetricDataQuery::builder().id(id).metric_stat(stat).build()
        };
        let answer = clients
            .cloudwatch
            .get_metric_data()
            .start_time(aws_smithy_types::DateTime::from_secs(end - minutes * 60))
            .end_time(aws_smithy_types::DateTime::from_secs(end))
            .set_metric_data_queries(Some(
                [("bad", "HTTPCode_Target_5XX_Count"), ("all", "RequestCount")].map(query).to_vec(),
            ))
            .send()
            .await
            .expect("an answer");
        let sum = |id: &str| {
            let result = answer.metric_data_results().iter().find(|r| r.id() == Some(id)).expect("a result");
            result.values().iter().sum::<f64>()
        };
        (sum("bad"), sum("all"))
    }
}

/// Slices of five minutes whose p99 is at most so many seconds.
fn p99(value: &str) -> String {
    let metric = "{region: eu-west-1, namespace: AWS/ApplicationELB, metricName: TargetResponseTime, stat: p99, \
         dimensions: {TargetGroup: targetgroup/checkout/0728c506b4e6f024, LoadBalancer: app/shop-ecs/50dc6c495c0c9188}}";
    let head = HEAD.replace("METHOD", "Timeslices");
    format!(
        "{head}      thresholdMetric: {{metricSource: {{type: CloudWatch, spec: {metric}}}}}\n  objectives: \
         [{{op: lte, value: {value}, target: 0.99, timeSliceWindow: 5m}}]\n"
    )
}

fn is_read(store: &Store) -> bool {
    let source = store.source(&ClusterId::new(CLOUDWATCH), Feed::Budgets);
    source.is_some_and(|s| matches!(s.freshness, Freshness::Live { .. }))
        && store.budgets.rows().any(|b| b.assessment.is_some())
}

#[tokio::test(flavor = "multi_thread")]
async fn burns_are_the_fleets_own_and_paid_for_in_sight() {
    // The account's other metrics are those of its quotas: two each round.
    let mut fleet = Fleet::new(SLO, |_| {}).await;
    fleet.until("figures and their price", |s| is_read(s) && s.spend.values().any(|m| m.metrics >= 6)).await;
    let budget = fleet.budget().clone();
    assert_eq!((budget.id.cluster.as_str(), budget.id.name.as_str()), (CLOUDWATCH, "checkout-availability"));
    assert_eq!((budget.note.as_str(), fleet.store.budgets.len()), ("", 1));
    let a = budget.assessment.as_ref().expect("figures");
    for minutes in [5_u64, 30, 60, 360, 1440, 4320] {
        let (bad, all) = fleet.own(i64::try_from(minutes).expect("few")).await;
        let own = bad / all / 0.001;
        let (_, burn) = a.burns.iter().find(|(w, _)| *w == Lookback::minutes(minutes)).expect("a window");
        let burn = burn.expect("traffic").value();
        // Long windows are read in slices of five minutes: they begin and end up to a slice from the fleet's own.
        let slack = if minutes > 60 {
            f64::max(0.01, 5.0 / f64::from(u32::try_from(minutes).expect("few")) + 0.005)
        } else {
            0.01
        };
        assert!((burn / own - 1.0).abs() < slack, "{minutes} min: {burn}, the fleet's {own}");
    }
    let (bad, all) = fleet.own(30 * 1440).await;
    let left = a.left.expect("traffic").value();
    assert!((left - (1.0 - bad / all / 0.001)).abs() < 0.01, "{left} of {bad} in {all}");
    let counts = a.counts.expect("events");
    assert!((counts.total() / all - 1.0).abs() < 0.01, "{} {all}", counts.total());
    // The two minutes of errors are to be seen, and the chart goes down to what is left.
    let burns: Vec<f64> = a.burns.iter().filter_map(|(_, b)| b.map(Fraction::value)).collect();
    assert!(burns[0] > 60.0 && burns[1] > 14.4, "{burns:?}");
    assert!(budget.history.len() > 100, "{}", budget.history.len());
    assert!((budget.history.last().expect("points").1 - left).abs() < 1e-9);
    // Two metrics of three periods; the meter counts all that the fleet does. The test's own were 14.
    let asked = fleet.sim.aws_report()["metrics_requested"].as_u64().expect("a count") - 14;
    fleet.until("the meter", |s| s.spend.values().map(|m| m.metrics).max() >= Some(asked)).await;
    let metered = fleet.store.spend.values().map(|m| m.metrics).max().expect("a meter");
    let asked = fleet.sim.aws_report()["metrics_requested"].as_u64().expect("a count") - 14;
    assert_eq!(metered, asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_can_be_asked_the_row_says_why() {
    let elsewhere = SLO.replace("eu-west-1", "us-east-1");
    let mut fleet = Fleet::new(&elsewhere, |_| {}).await;
    fleet.until("a row", |s| s.is_complete(&[Feed::Budgets]) && s.budgets.len() == 1).await;
    let note = fleet.budget().note.to_string();
    assert!(note.contains("no AWS account in us-east-1 is read"), "{note}");
    let mut fleet = Fleet::new(SLO, |s| s.account.ceiling = Some(0)).await;
    fleet.until("a row", |s| s.budgets.len() == 1).await;
    assert!(fleet.budget().note.contains("aws.ceiling is 0"), "{}", fleet.budget().note);
    assert!(fleet.budget().assessment.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_known_by_its_number() {
    let mine = SLO.replace("region: eu-west-1", "region: eu-west-1\n              accountId: \"123456789012\"");
    let mut fleet = Fleet::new(&mine, |_| {}).await;
    fleet.until("figures", is_read).await;
    let other = mine.replace("123456789012", "999999999999");
    let mut fleet = Fleet::new(&other, |_| {}).await;
    fleet.until("a row", |s| s.budgets.len() == 1).await;
    assert!(fleet.budget().note.contains("no AWS account 999999999999 in eu-west-1"), "{}", fleet.budget().note);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_denied_is_told_so_in_the_row_and_goes_on_when_allowed() {
    let wrong = |f: &mut AwsFaults| {
        f.denied.insert("cloudwatch:GetMetricData".to_owned());
    };
    let mut fleet = Fleet::failing(SLO, |_| {}, wrong).await;
    let denied = |s: &Store| s.budgets.rows().any(|b| b.note.contains("denied: cloudwatch:GetMetricData in "));
    fleet.until("the reason", denied).await;
    let source = fleet.store.source(&ClusterId::new(CLOUDWATCH), Feed::Budgets).expect("a source");
    assert!(
        matches!(source.freshness, Freshness::Absent { denied: true, .. } | Freshness::Loading { .. }),
        "{source:?}"
    );
    fleet.sim.aws_faults().clear();
    fleet.refreshed("figures", |s| is_read(s) && s.budgets.rows().all(|b| b.note.is_empty())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_whose_number_comes_late_is_read_then() {
    let mine = SLO.replace("region: eu-west-1", "region: eu-west-1\n              accountId: \"123456789012\"");
    let wrong = |f: &mut AwsFaults| {
        f.denied.insert("ecs:DescribeClusters".to_owned());
    };
    let mut fleet = Fleet::failing(&mine, |_| {}, wrong).await;
    let told = |s: &Store| s.budgets.rows().any(|b| b.note.contains("test may be account 123456789012"));
    fleet.until("the reason", told).await;
    fleet.sim.aws_faults().clear();
    fleet.refreshed("figures", |s| is_read(s) && s.budgets.len() == 1).await;
    assert_eq!(fleet.budget().note.as_str(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn slices_of_a_percentile_are_read() {
    let slo = p99("10");
    let mut fleet = Fleet::new(&slo, |_| {}).await;
    fleet.until("figures", is_read).await;
    let a = fleet.budget().assessment.clone().expect("figures");
    let counts = a.counts.expect("slices");
    assert!(counts.bad() <= 0.0, "{counts:?}");
    // Of thirty days, slices of five minutes.
    assert!((8630.0..=8640.0).contains(&counts.total()), "{counts:?}");
    assert!(a.burns.iter().all(|(_, b)| b.is_some_and(|b| b.value() <= 0.0)), "{a:?}");
    // No response is as fast as that.
    let slo = p99("0.001");
    let mut fleet = Fleet::new(&slo, |_| {}).await;
    fleet.until("figures", is_read).await;
    let a = fleet.budget().assessment.clone().expect("figures");
    let counts = a.counts.expect("slices");
    assert!((counts.bad() - counts.total()).abs() < 1e-9, "{counts:?}");
    // All are bad: a burn of one divided by the budget's share.
    assert!(a.burns.iter().all(|(_, b)| b.is_some_and(|b| (b.value() - 100.0).abs() < 1e-6)), "{a:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_is_paid_by_the_metrics_it_finds() {
    let search = |metric: &str| {
        format!(
            "\"SUM(SEARCH('{{AWS/ApplicationELB,TargetGroup,LoadBalancer}} MetricName=\\\"{metric}\\\"', 'Sum', 60))\""
        )
    };
    let (bad, all) = (search("HTTPCode_Target_5XX_Count"), search("RequestCount"));
    let source =
        |e: &str| format!("{{metricSource: {{type: CloudWatch, spec: {{region: eu-west-1, expression: {e}}}}}}}");
    let slo = format!(
        "{HEAD}      ratioMetric:\n        bad: {}\n        total: {}\n  objectives: [{{target: 0.999}}]\n",
        source(&bad),
        source(&all)
    );
    let mut fleet = Fleet::new(&slo.replace("METHOD", "Occurrences"), |_| {}).await;
    fleet.until("figures", is_read).await;
    assert_eq!(fleet.budget().note.as_str(), "");
    let (bad, all) = fleet.own(60).await;
    let a = fleet.budget().assessment.clone().expect("figures");
    let (_, burn) = a.burns.iter().find(|(w, _)| *w == Lookback::hours(1)).expect("an hour");
    // Of two services with a load balancer; the second, idle of errors, only dilutes.
    assert!(burn.expect("traffic").value() < bad / all / 0.001 * 0.9, "{burn:?}");
    // The test's own question was for two metrics.
    let asked = fleet.sim.aws_report()["metrics_requested"].as_u64().expect("a count") - 2;
    fleet.until("the meter", |s| s.spend.values().map(|m| m.metrics).max() >= Some(asked)).await;
    let metered = fleet.store.spend.values().map(|m| m.metrics).max().expect("a meter");
    let asked = fleet.sim.aws_report()["metrics_requested"].as_u64().expect("a count") - 2;
    assert_eq!(metered, asked);
    assert!(asked >= 16, "two searches of two metrics each, counted once and asked for in three periods: {asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_is_not_summed_is_refused_in_its_row() {
    let e = "\"SEARCH('{AWS/ApplicationELB,TargetGroup,LoadBalancer} MetricName=\\\"RequestCount\\\"', 'Sum', 60)\"";
    let source = format!("{{metricSource: {{type: CloudWatch, spec: {{region: eu-west-1, expression: {e}}}}}}}");
    let slo = format!(
        "{HEAD}      ratioMetric:\n        good: {source}\n        total: {source}\n  objectives: [{{target: 0.999}}]\n"
    );
    let mut fleet = Fleet::new(&slo.replace("METHOD", "Occurrences"), |_| {}).await;
    fleet.until("the reason", |s| s.budgets.rows().any(|b| b.note.contains("put SUM(...) around it"))).await;
    let budget = fleet.budget();
    assert!(budget.assessment.as_ref().is_none_or(|a| a.counts.is_none()), "{budget:?}");
}

#[test]
fn the_demo_shows_figures_of_the_checkout() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_quarterdeck"));
    let out = command.args(["--demo", "budget-burn", "slo", "report", "--format", "json"]).output().expect("it runs");
    let said: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let rows: Vec<_> =
        said["budgets"].as_array().expect("rows").iter().filter(|b| b["slo"] == "checkout-availability").collect();
    let [row] = rows.as_slice() else { panic!("one row, in one place: {said:#}") };
    assert!(row["left_percent"].is_number() && row["note"] == "", "{row:#}");
}
