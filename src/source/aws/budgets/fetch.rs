//! Asking `GetMetricData` for what objectives need, many in few requests.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::types as cw;

use super::super::{Account, Bucket, Tokens};
use crate::domain::Text;
use crate::slo::CloudWatchMetric;
use crate::slo::plan::cloudwatch::{ALL, DataQuery, Points, SOME, What};
use crate::source::SourceError;

/// `GetMetricData` takes 500 queries; each objective has two.
const MOST: usize = 250;
const WHAT: &str = "cloudwatch:GetMetricData";

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

/// Asks for all of it, up to the second `until`. A query that is refused takes none with it.
///
/// # Errors
/// When CloudWatch does not answer, or the account may not ask.
pub async fn ask(account: &Account, asks: Vec<Ask>, until: i64) -> Result<Vec<(usize, u32, Got)>, SourceError> {
    let mut by_period: BTreeMap<u32, Vec<Ask>> = BTreeMap::new();
    for ask in asks {
        by_period.entry(ask.period_secs).or_default().push(ask);
    }
    let mut work: Vec<Vec<Ask>> =
        by_period.into_values().rev().flat_map(|a| a.chunks(MOST).map(<[Ask]>::to_vec).collect::<Vec<_>>()).collect();
    let mut out = Vec::new();
    while let Some(mut batch) = work.pop() {
        match one(account, &batch, until).await {
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

async fn one(account: &Account, batch: &[Ask], until: i64) -> Result<Vec<Got>, SourceError> {
    let clients = account.clients().await?;
    let from = batch.iter().map(|a| a.from).min().unwrap_or(until);
    let queries: Vec<cw::MetricDataQuery> = batch
        .iter()
        .enumerate()
        .flat_map(|(n, ask)| ask.queries.iter().map(move |q| query(format!("{}{n}", q.id), q, ask.period_secs)))
        .collect();
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
        account.limits.metrics(queries.len() as u64);
        let page = account.ask(Bucket::Metrics, WHAT, request.send()).await?;
        let more = tokens.advance(page.next_token(), WHAT)?;
        for result in page.metric_data_results() {
            take(&mut found, result, more);
        }
        if !more {
            return Ok(found);
        }
    }
}

/// Takes in a page's points of one query; `more` if another page follows.
fn take(found: &mut [Got], result: &cw::MetricDataResult, more: bool) {
    let id = result.id().unwrap_or_default();
    let place = [SOME, ALL].into_iter().find_map(|word| Some((word, id.strip_prefix(word)?.parse::<usize>().ok()?)));
    let Some((word, slot)) = place.and_then(|(word, n)| Some((word, found.get_mut(n)?))) else { return };
    let fails = match result.status_code() {
        None | Some(cw::StatusCode::Complete) => None,
        Some(cw::StatusCode::PartialData) => (!more).then_some("CloudWatch gave only a part of the points"),
        Some(code) => {
            Some(if code.as_str() == "Forbidden" { "CloudWatch denies the metric" } else { "CloudWatch failed" })
        }
    };
    if let Some(why) = fails {
        let said = result.messages().iter().filter_map(|m| m.value()).next().unwrap_or_default();
        *slot = Err(Text::new(if said.is_empty() { why } else { said }));
    }
    let Ok((some, all)) = slot else { return };
    let points = if word == SOME { some } else { all };
    let pairs = result.timestamps().iter().zip(result.values()).filter(|(_, v)| v.is_finite());
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
