//! What a service's own events say of tasks that cannot be placed.

use std::collections::HashMap;

use aws_sdk_ecs::types as ecs;
use chrono::TimeDelta;

use super::project::time;
use crate::domain::notice::Told;
use crate::domain::placement::{Placement, Placing, Shortage, Teller, service_key};
use crate::domain::{Text, Timestamp};

/// ECS leaves out an event that says the same again for six hours: what is older is history.
const SAID_FOR: TimeDelta = TimeDelta::hours(6);

/// What was told of each service last, by AWS's clock: how far ours is from it is known better
/// with each answer, and that is no news.
#[derive(Debug, Default)]
pub(super) struct Placements {
    told: HashMap<Text, Vec<Placement>>,
}

impl Placements {
    /// What the events of these services say that was not told before. `ahead` is how far the
    /// console's clock is ahead of AWS's.
    pub fn news(&mut self, services: &[ecs::Service], now: Timestamp, ahead: TimeDelta) -> Vec<Told> {
        let mut out = Vec::new();
        let mut kept = HashMap::with_capacity(self.told.len());
        for service in services {
            let words = words(service, now - ahead);
            let Some(key) = words.first().map(|w| w.service.clone()) else { continue };
            let known = self.told.get(&key).map(Vec::as_slice).unwrap_or_default();
            let news = words.iter().filter(|w| !known.contains(w)).cloned();
            out.extend(
                news.map(|w| Told::Placement(Placement { at: w.at.checked_add_signed(ahead).unwrap_or(w.at), ..w })),
            );
            kept.insert(key, words);
        }
        self.told = kept;
        out
    }
}

/// When the service was last steady, and the first and the last failure since then; all by AWS's
/// clock.
fn words(service: &ecs::Service, now: Timestamp) -> Vec<Placement> {
    let arn = service.service_arn().unwrap_or_default();
    let Some(key) = service_key(arn, service.cluster_arn().unwrap_or_default()) else { return Vec::new() };
    let mut events: Vec<(Timestamp, &str)> = service
        .events()
        .iter()
        .filter_map(|e| Some((time(e.created_at())?, e.message()?)))
        .filter(|(at, _)| now - *at <= SAID_FOR)
        .collect();
    // Newest first already; nobody promises it.
    events.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let word = |at: Timestamp, says| Placement { at, service: key.clone(), says, teller: Teller::Service };
    let mut failed: Vec<Placement> = Vec::new();
    let mut out = Vec::new();
    for (at, message) in events {
        if message.contains("has reached a steady state") {
            out.push(word(at, Placing::Steady));
            break;
        }
        if message.contains("unable to place a task") {
            let why = Shortage::from_message(message);
            failed.push(word(at, Placing::Failed { why, providers: Vec::new() }));
        }
    }
    let last = if failed.len() > 1 { failed.pop() } else { None };
    out.extend(last);
    out.extend(failed.into_iter().next());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{TimeZone, Utc};

    const CAPACITY: &str = "(service web) was unable to place a task. Reason: Capacity is unavailable at this time. \
        Please try again later or in a different availability zone. For more information, see the Troubleshooting \
        section of the Amazon ECS Developer Guide.";
    const STEADY: &str = "(service web) has reached a steady state.";

    fn now() -> Timestamp {
        Utc.with_ymd_and_hms(2026, 11, 20, 3, 14, 0).unwrap()
    }

    /// A service with events so many seconds ago.
    fn service(events: &[(i64, &str)]) -> ecs::Service {
        let event = |(ago, message): &(i64, &str)| {
            let at = aws_sdk_ecs::primitives::DateTime::from_secs(now().timestamp() - ago);
            ecs::ServiceEvent::builder().id(ago.to_string()).created_at(at).message(*message).build()
        };
        ecs::Service::builder()
            .service_name("web")
            .service_arn("arn:aws:ecs:eu-west-1:1:service/web")
            .cluster_arn("arn:aws:ecs:eu-west-1:1:cluster/shop")
            .set_events(Some(events.iter().map(event).collect()))
            .build()
    }

    /// `(seconds ago, failed)` of what is told.
    fn told(events: &[(i64, &str)]) -> Vec<(i64, bool)> {
        let words = words(&service(events), now());
        assert!(words.iter().all(|w| w.service == "arn:aws:ecs:eu-west-1:1:service/shop/web"));
        words.iter().map(|w| ((now() - w.at).num_seconds(), w.says != Placing::Steady)).collect()
    }

    #[test]
    fn what_counts_is_since_when_and_how_it_is_now() {
        let noise = "(service web) has started 1 tasks: (task ab).";
        for (events, want) in [
            (&[][..], &[][..]),
            (&[(5, noise)], &[]),
            (&[(5, STEADY), (60, CAPACITY)], &[(5, false)]),
            (&[(5, CAPACITY), (60, STEADY)], &[(60, false), (5, true)]),
            (
                &[(5, CAPACITY), (30, noise), (60, CAPACITY), (90, CAPACITY), (99, STEADY)],
                &[(99, false), (90, true), (5, true)],
            ),
            // In any order.
            (&[(99, STEADY), (90, CAPACITY), (5, CAPACITY)], &[(99, false), (90, true), (5, true)]),
            // ECS says it once in six hours.
            (&[(5 * 3_600, CAPACITY)], &[(5 * 3_600, true)]),
            (&[(6 * 3_600 + 1, CAPACITY)], &[]),
        ] {
            assert_eq!(told(events), want, "{events:?}");
        }
    }

    #[test]
    fn nothing_is_told_twice_and_aws_times_are_the_consoles() {
        let mut placements = Placements::default();
        let ahead = TimeDelta::seconds(90);
        let news = |placements: &mut Placements, events: &[(i64, &str)]| {
            placements.news(&[service(events)], now() + ahead, ahead)
        };
        let first = news(&mut placements, &[(5, CAPACITY), (60, STEADY)]);
        assert_eq!(first.len(), 2);
        let Told::Placement(failed) = &first[1] else { panic!("{first:?}") };
        assert_eq!(failed.at, now() + TimeDelta::seconds(85));
        assert_eq!(failed.says, Placing::Failed { why: Shortage::Fargate, providers: Vec::new() });
        let again = [service(&[(5, CAPACITY), (60, STEADY)])];
        assert!(placements.news(&again, now() + ahead, ahead + TimeDelta::milliseconds(7)).is_empty());
        assert_eq!(news(&mut placements, &[(1, STEADY), (5, CAPACITY), (60, STEADY)]).len(), 1);
    }
}
