//! The points behind an alarm whose details are on screen.

use std::sync::Arc;

use aws_sdk_cloudwatch::types as cw;

use super::Link;
use crate::domain::{ObjectId, Timestamp};
use crate::source::SourceError;
use crate::source::aws::{Bucket, Tokens};
use crate::store::Trend;

/// So many periods of the alarm are shown.
const PERIODS: i64 = 180;
/// But no more than a day.
const DAY: i64 = 86_400;

/// The points of each of these alarms that has a metric, oldest first.
///
/// # Errors
/// As [`SourceError`].
pub async fn of(link: &Link, alarms: &[&ObjectId]) -> Result<Vec<(ObjectId, Trend)>, SourceError> {
    let mut out = Vec::new();
    for id in alarms {
        let queries = link.account.alarm_queries(&id.name).await;
        if !queries.is_empty() {
            out.push(((*id).clone(), read(link, &queries).await?));
        }
    }
    Ok(out)
}

async fn read(link: &Link, queries: &[cw::MetricDataQuery]) -> Result<Trend, SourceError> {
    const WHAT: &str = "cloudwatch:GetMetricData";
    let clients = link.account.clients().await?;
    let period = queries.iter().filter_map(|q| q.metric_stat()?.period()).max().map_or(60, i64::from).max(1);
    // Whole periods: a moment in between gives points of other borders.
    let now = link.account.now().timestamp().div_euclid(period) * period;
    let from = now - (PERIODS * period).min(DAY.max(3 * period));
    let own = queries.iter().find(|q| q.return_data() != Some(false)).and_then(cw::MetricDataQuery::id);
    let (mut points, mut tokens) = (Vec::new(), Tokens::default());
    loop {
        let request = clients
            .cloudwatch
            .get_metric_data()
            .start_time(aws_smithy_types::DateTime::from_secs(from))
            .end_time(aws_smithy_types::DateTime::from_secs(now + period))
            .scan_by(cw::ScanBy::TimestampAscending)
            .set_metric_data_queries(Some(queries.to_vec()))
            .set_next_token(tokens.next());
        link.account.limits.metrics(queries.len() as u64);
        let page = link.account.ask(Bucket::Metrics, WHAT, request.send()).await?;
        // Of an expression's parts only the alarm's own result is of use.
        for result in page.metric_data_results().iter().filter(|r| r.id() == own) {
            let both = result.timestamps().iter().zip(result.values()).filter(|(_, v)| v.is_finite());
            points.extend(both.filter_map(|(at, v)| Some((Timestamp::from_timestamp(at.secs(), 0)?, *v))));
        }
        if !tokens.advance(page.next_token(), WHAT)? {
            break;
        }
    }
    points.sort_by_key(|(at, _)| *at);
    Ok(Arc::from(points))
}
