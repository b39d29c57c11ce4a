//! Which feeds of notices are read: those of the settings, and those of the AWS accounts
//! that are read anyway.

use std::time::Duration;

use tokio::sync::mpsc;

use super::args::Cli;
use super::session::env;
use crate::clock::Clock;
use crate::config::{Config, NoticePlace, NoticeSettings, Paths};
use crate::domain::ClusterId;
use crate::source::aws::{AccountSpec, Accounts};
use crate::source::spot::{FeedSpec, Plan, Sources, Way};
use crate::store::Observation;

/// EC2 is asked no more often than this.
const EC2: Duration = Duration::from_secs(5);

/// Starts reading them; `None` where there is nothing to read. `accounts` are those that
/// clusters are read from, if any.
pub fn start(
    cli: &Cli,
    config: &Config,
    clusters: &[ClusterId],
    accounts: Option<Accounts>,
    tx: mpsc::Sender<Observation>,
    clock: &Clock,
) -> Option<Sources> {
    let demo = cli.common.demo.is_some();
    // A demo reads nothing of the user's, and leaves nothing behind.
    let feeds = if demo { Vec::new() } else { feeds(config, clusters) };
    if accounts.is_none() && feeds.is_empty() {
        return None;
    }
    let interval = if demo { Duration::from_secs(1) } else { config.spot_interval };
    let plan = Plan {
        feeds,
        accounts: accounts.unwrap_or_default(),
        discover: config.spot_discover,
        ec2: config.spot_ec2,
        interval,
        ec2_interval: if demo { interval * 3 } else { (interval * 3).max(EC2) },
        state: (!demo).then(|| config.state_dir(&Paths::discover(&env)).to_owned()),
        // What is received nobody else receives: who looks once must not take it from a console, and who may change
        // nothing must not take anything from anywhere.
        receive: cli.verb.is_none() && !config.read_only,
        clusters: clusters.iter().map(|c| c.as_str().rsplit('/').next().unwrap_or_default().to_owned()).collect(),
    };
    Some(Sources::spawn(plan, tx, clock.clone()))
}

fn feeds(config: &Config, clusters: &[ClusterId]) -> Vec<FeedSpec> {
    let mut out: Vec<FeedSpec> = Vec::new();
    for NoticeSettings { name, profile, region, place } in &config.notices {
        let taken =
            |name: &str| out.iter().any(|f| f.id.as_str() == name) || clusters.iter().any(|c| c.as_str() == name);
        let more = (2_u32..).map(|n| format!("{name}#{n}"));
        let name = std::iter::once(name.clone()).chain(more).find(|n| !taken(n)).unwrap_or_default();
        let account = AccountSpec {
            profile: profile.clone(),
            region: region.clone(),
            ceiling: Some(config.aws_ceiling),
            ..AccountSpec::default()
        };
        let way = match place.clone() {
            NoticePlace::LogGroup(group) => Way::Group(group),
            NoticePlace::Queue(queue) => Way::Queue(queue),
        };
        out.push(FeedSpec { id: ClusterId::new(&name), account, way });
    }
    out
}
