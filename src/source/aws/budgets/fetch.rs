//! Asking `GetMetricData` for what objectives need, many in few requests.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_cloudwatch::types as cw;
use tokio::time::Instant;

use super::super::{Account, Bucket, Tokens};
use crate::domain::Text;
use crate::slo::CloudWatchMetric;
use crate::slo::plan::cloudwatch::{ALL, DataQuery, Points, SOME, What};
use crate::slo::plan::search::alone;
use crate::source::SourceError;

/// `GetMetricData` takes 500 queries; each objective has two.
const MOST: usize = 250;
/// The operation that all of it needs.
pub const WHAT: &str = "cloudwatch:GetMetricData";
/// What a search finds is counted again after so long.
const RECOUNT: Duration = Duration::from_hours(24);
/// A search looks for metrics that had points in the last two weeks, in seconds.
const SEARCHED: i64 = 14 * 86_400;

/// What is asked for one objective.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Whose it is.
    pub owner: usize,
    /// The period of its points, in seconds.
    pub period_secs: u32,
    /// From which second on.
    pub from: i64,
    /// Its queries.
    pub queries: Vec<DataQuery>,
}

/// The points that came for one objective, or why there are none.
pub type Got = Result<(Points, Points), Text>;

/// How many metrics each search finds: all of them are paid for, whenever an expression with it is asked.
#[derive(Debug, Default)]
pub struct Found(BTreeMap<String, (u64, Instant)>);

impl Found {
    /// How many metrics a query asks for. What nothing is known of counts as one.
    pub fn metrics(&self, what: &What) -> u64 {
        let What::Expression(text) = what else { return 1 };
        let found = alone(text).iter().map(|s| self.0.get(s).map_or(1, |(n, _)| *n)).sum::<u64>();
        found.max(1)
    }

    /// The searches in a batch that were not counted lately.
    fn uncounted(&self, batch: &[Ask], now: Instant) -> BTreeSet<String> {
        let expressions = batch.iter().flat_map(|a| &a.queries).filter_map(|q| match &q.what {
            What::Expression(text) => Some(alone(text)),
            What::Stat { .. } => None,
        });
        let lately = |s: &String| self.0.get(s).is_some_and(|(_, at)| now.duration_since(*at) < RECOUNT);
        expressions.flatten().filter(|s| !lately(s)).collect()
    }
}

/// Asks for all of it, up to the second `until`. A query that is refused takes none with it.
///
/// # Errors
/// When CloudWatch does not answer, or the account may not ask.
pub async fn ask(
    account: &Account,
    found: &mut Found,
    asks: Vec<Ask>,
    until: i64,
) -> Result<Vec<(usize, u32, Got)>, SourceError> {
    for search in found.uncounted(&asks, Instant::now()) {
        let metrics = count(account, &search, until).await?;
        found.0.insert(search, (metrics, Instant::now()));
    }
    let mut by_period: BTreeMap<u32, Vec<Ask>> = BTreeMap::new();
    for ask in asks {
        by_period.entry(ask.period_secs).or_default().push(ask);
    }
    let mut work: Vec<Vec<Ask>> =
        by_period.into_values().rev().flat_map(|a| a.chunks(MOST).map(<[Ask]>::to_vec).collect::<Vec<_>>()).collect();
    let mut out = Vec::new();
    while let Some(mut batch) = work.pop() {
        match one(account, found, &batch, until).await {
            Ok(found) => out.extend(batch.iter().zip(found).map(|(ask, got)| (ask.owner, ask.period_secs, got))),
            Err(error) if !is_refusal(&error) => return Err(error),
            Err(error) => {
                if let [only] = batch.as_slice() {
                    out.push((only.owner, only.period_secs, Err(error.text())));
                } else {
                    // Halves find who is meant in few requests.
                    work.push(batch.split_off(batch.len() / 2));
                    work.push(batch);
                }
            }
        }
    }
    Ok(out)
}

/// The query is at fault, and not the account.
fn is_refusal(error: &SourceError) -> bool {
    matches!(error, SourceError::Server { code: 400..=499, .. })
}

/// How many metrics a search finds: it gives a series for each.
async fn count(account: &Account, search: &str, until: i64) -> Result<u64, SourceError> {
    let clients = account.clients().await?;
    let query = cw::MetricDataQuery::builder().id("found").expression(search).build();
    let mut found = 0;
    let mut tokens = Tokens::default();
    loop {
        let request = clients
            .cloudwatch
            .get_metric_data()
            .start_time(aws_smithy_types::DateTime::from_secs(until.saturating_sub(SEARCHED)))
            .end_time(aws_smithy_types::DateTime::from_secs(until))
            .metric_data_queries(query.clone())
            .set_next_token(tokens.next());
        let page = match account.ask(Bucket::Metrics, WHAT, request.send()).await {
            // What is wrong with it is said of the expression, which is asked next.
            Err(error) if is_refusal(&error) => return Ok(1),
            page => page?,
        };
        let here = page.metric_data_results().len() as u64;
        account.limits.metrics(here.max(1));
        found += here;
        if !tokens.advance(page.next_token(), WHAT)? {
            return Ok(found.max(1));
        }
    }
}

async fn one(account: &Account, searches: &Found, batch: &[Ask], until: i64) -> Result<Vec<Got>, SourceError> {
    let clients = account.clients().await?;
    let from = batch.iter().map(|a| a.from).min().unwrap_or(until);
    let queries: Vec<cw::MetricDataQuery> = batch
        .iter()
        .enumerate()
        .flat_map(|(n, ask)| ask.queries.iter().map(move |q| query(format!("{}{n}", q.id), q, ask.period_secs)))
        .collect();
    let metrics = batch.iter().flat_map(|a| &a.queries).map(|q| searches.metrics(&q.what)).sum();
    let mut labels = BTreeMap::new();
    let mut found: Vec<Got> = vec![Ok((Points::new(), Points::new())); batch.len()];
    let mut tokens = Tokens::default();
    loop {
        let request = clients
            .cloudwatch
            .get_metric_data()
            .start_time(aws_smithy_types::DateTime::from_secs(from))
            .end_time(aws_smithy_types::DateTime::from_secs(until))
            .scan_by(cw::ScanBy::TimestampAscending)
            .set_metric_data_queries(Some(queries.clone()))
            .set_next_token(tokens.next());
        account.limits.metrics(metrics);
        let page = account.ask(Bucket::Metrics, WHAT, request.send()).await?;
        let more = tokens.advance(page.next_token(), WHAT)?;
        for result in page.metric_data_results() {
            let id = result.id().unwrap_or_default().to_owned();
            let label = labels.entry(id).or_insert_with(|| result.label().map(str::to_owned));
            take(&mut found, result, more, label.as_deref() == result.label());
        }
        if !more {
            return Ok(found);
        }
    }
}

/// Takes in a page's points of one query; `more` if another page follows. `alone` unless an earlier series of the
/// same query had another label.
fn take(found: &mut [Got], result: &cw::MetricDataResult, more: bool, alone: bool) {
    let id = result.id().unwrap_or_default();
    let place = [SOME, ALL].into_iter().find_map(|word| Some((word, id.strip_prefix(word)?.parse::<usize>().ok()?)));
    let Some((word, slot)) = place.and_then(|(word, n)| Some((word, found.get_mut(n)?))) else { return };
    let fails = match result.status_code() {
        None | Some(cw::StatusCode::Complete) => None,
        Some(cw::StatusCode::PartialData) => (!more).then_some("CloudWatch gave only a part of the points"),
        Some(code) => Some(if code.as_str() == "Forbidden" {
            "denied: cloudwatch:GetMetricData of the metric"
        } else {
            "CloudWatch failed"
        }),
    };
    if let Some(why) = fails {
        let said = result.messages().iter().find_map(|m| m.value()).unwrap_or_default();
        *slot = Err(Text::new(if said.is_empty() { why } else { said }));
    }
    let Ok((some, all)) = slot else { return };
    let points = if word == SOME { some } else { all };
    let pairs = result.timestamps().iter().zip(result.values()).filter(|(_, v)| v.is_finite());
    // Of several series only one would be seen. Pages of one series never have a point twice.
    if !alone || pairs.clone().any(|(at, _)| points.contains_key(&at.secs())) {
        *slot = Err(Text::new("the expression gives several series, not one of counts: put SUM(...) around it"));
        return;
    }
    points.extend(pairs.map(|(at, v)| (at.secs(), *v)));
}

fn query(id: String, query: &DataQuery, period_secs: u32) -> cw::MetricDataQuery {
    let period = i32::try_from(period_secs).unwrap_or(3600);
    let builder = cw::MetricDataQuery::builder().id(id);
    match &query.what {
        What::Stat { metric, stat } => {
            let stat = cw::MetricStat::builder().metric(self::metric(metric)).period(period).stat(stat).build();
            builder.metric_stat(stat).build()
        }
        What::Expression(text) => builder.expression(text).period(period).build(),
    }
}

fn metric(metric: &CloudWatchMetric) -> cw::Metric {
    let dimension = |(name, value): &(String, String)| cw::Dimension::builder().name(name).value(value).build();
    cw::Metric::builder()
        .namespace(&metric.namespace)
        .metric_name(&metric.name)
        .set_dimensions(Some(metric.dimensions.iter().map(dimension).collect()))
        .build()
}
