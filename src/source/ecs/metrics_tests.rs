use super::*;
use crate::domain::ClusterId;

fn id(kind: Kind, name: &str) -> ObjectId {
    ObjectId { cluster: ClusterId::new("shop"), kind, namespace: Text::empty(), name: Text::new(name) }
}

fn answer(id: &str, points: &[(i64, f64)]) -> cw::MetricDataResult {
    let mut builder = cw::MetricDataResult::builder().id(id).status_code(cw::StatusCode::PartialData);
    for (at, value) in points {
        builder = builder.timestamps(aws_smithy_types::DateTime::from_secs(*at)).values(*value);
    }
    builder.build()
}

fn group() -> balancers::Group {
    balancers::Group { target: "targetgroup/web/1".to_owned(), balancer: "app/shop/1".to_owned() }
}

/// A link to no cluster.
fn link() -> Link {
    let account = crate::source::aws::AccountSpec { region: Some("eu-west-1".to_owned()), ..Default::default() };
    let spec = crate::source::aws::EcsSpec {
        id: ClusterId::new("shop"),
        cluster: "shop".to_owned(),
        account: account.clone(),
        production: false,
        read_only: false,
        interval: Duration::from_secs(15),
    };
    let account = crate::source::aws::Account::new(account, crate::clock::Clock::system());
    Link::new(spec, Arc::new(account))
}

#[test]
fn a_missing_point_is_no_zero() {
    let link = link();
    let services = [id(Kind::EcsService, "web"), id(Kind::EcsService, "api")];
    let asks: Vec<Ask> = services.iter().flat_map(|s| Ask::service(&link, s, Insights::Off)).collect();
    let mut series = Series::default();
    series.take(&answer("q2", &[(60, 12.5), (180, 50.0), (240, f64::NAN)]), &asks);
    series.take(&answer("q3", &[(60, 40.0), (120, 41.0), (180, 42.0)]), &asks);
    series.take(&answer("q99", &[(60, 1.0)]), &asks);
    series.take(&answer("x", &[(60, 1.0)]), &asks);
    let mut sent = HashMap::from([(services[1].clone(), 60)]);
    let rows = usage(&services, &series, &HashMap::new(), &mut sent);
    assert_eq!(
        rows.into_iter().collect::<Vec<_>>(),
        [(180, vec![(services[1].clone(), Usage::of_shares(50.0, 42.0))])],
        "what was sent is not sent again, and nothing stands for the minute without a point"
    );
    assert_eq!(sent[&services[1]], 180);
    assert!(!sent.contains_key(&services[0]));
}

#[test]
fn container_insights_are_shares_of_services_and_amounts_of_tasks() {
    let link = link();
    let (service, task) = (id(Kind::EcsService, "web"), id(Kind::Task, "web/0a"));
    let of = |id: &str, service: &str| Running {
        id: Text::new(id),
        service: Text::new(service),
        family: Text::new("job"),
        size: Resources { cpu: Millicores(500), memory: Bytes(1 << 30) },
    };
    let running = HashMap::from([(task.name.clone(), of("0a", "web")), (Text::new("web/0b"), of("0b", "web"))]);
    let mut asks = Ask::service(&link, &service, Insights::On);
    assert_eq!(asks.len(), 4);
    let alone = Ask::task(&link, &task, Insights::On, &running[&task.name], &running);
    assert!(alone.is_empty(), "an average over two is neither's own");
    asks.extend(Ask::task(&link, &task, Insights::Enhanced, &running[&task.name], &running));
    let mut series = Series::default();
    for (n, value) in [128.0, 512.0, 300.0, 1000.0, 40.0, 50.0].into_iter().enumerate() {
        series.take(&answer(&format!("q{n}"), &[(60, value)]), &asks);
    }
    let rows = usage(&[service.clone(), task.clone()], &series, &running, &mut HashMap::new());
    let amounts = Usage { cpu: Millicores(200), memory: Bytes(1 << 29) };
    assert_eq!(rows[&60], [(service, Usage::of_shares(25.0, 30.0)), (task, amounts)]);

    let (job, one) = (id(Kind::Task, "job/0c"), HashMap::from([(Text::new("job/0c"), of("0c", ""))]));
    let asks = Ask::task(&link, &job, Insights::On, &one[&job.name], &one);
    let dimensions = format!("{:?}", asks[0].query("q0".to_owned()));
    assert!(dimensions.contains("TaskDefinitionFamily"), "{dimensions}");
    let mut series = Series::default();
    series.take(&answer("q0", &[(60, 512.0)]), &asks);
    series.take(&answer("q1", &[(60, 3.0)]), &asks);
    let rows = usage(std::slice::from_ref(&job), &series, &one, &mut HashMap::new());
    assert_eq!(rows[&60], [(job, Usage { cpu: Millicores(500), memory: Bytes(3 << 20) })]);
}

#[test]
fn errors_are_none_only_where_requests_were_counted() {
    let web = id(Kind::EcsService, "web");
    let asks = Ask::traffic(&web, 0, &group());
    let of = |points: [&[(i64, f64)]; 5], settled| {
        let mut series = Series::default();
        for (n, points) in points.iter().enumerate() {
            series.take(&answer(&format!("q{n}"), points), &asks);
        }
        traffic(&web, 1, &series, settled)
    };
    let all: [&[(i64, f64)]; 5] = [
        &[(60, 600.0), (120, 300.0), (180, 1.0)],
        &[(60, 6.0)],
        &[(60, 0.1), (120, 0.2)],
        &[(120, 0.3)],
        &[(120, 0.4)],
    ];
    let newest = of(all, 120);
    assert_eq!((newest.requests, newest.errors), (Some(5.0), Some(0.0)), "the minute that still grows is left out");
    assert_eq!(newest.latency, [Some(0.2), Some(0.3), Some(0.4)]);
    let before = of(all, 119);
    assert_eq!((before.requests, before.errors, before.latency), (Some(10.0), Some(0.01), [Some(0.1), None, None]));
    assert_eq!(of([&[], &[(60, 6.0)], &[], &[], &[]], 120), Traffic::default(), "no requests counted: no data");
    let idle = of([&[(60, 0.0)], &[], &[], &[], &[]], 120);
    assert_eq!((idle.requests, idle.errors), (Some(0.0), None), "no traffic has no share of errors");
}

#[test]
fn percentiles_of_two_groups_are_not_put_together() {
    let web = id(Kind::EcsService, "web");
    let mut series = Series::default();
    for n in 0..2 {
        let asks = Ask::traffic(&web, n, &group());
        series.take(&answer("q0", &[(60, 600.0)]), &asks);
        series.take(&answer("q1", &[(60, 6.0 * f64::from(n))]), &asks);
        series.take(&answer("q2", &[(60, 0.1)]), &asks);
    }
    let both = traffic(&web, 2, &series, 60);
    assert_eq!((both.requests, both.errors, both.latency), (Some(20.0), Some(0.005), [None; 3]));
}
