//! How a budget is counted: in events, or in slices of time.

use std::fmt;

use super::count::Measure;
use super::exact::Target;
use super::window::Lookback;

/// What counts as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Each event.
    Occurrences,
    /// Each slice of time, which is good or bad as a whole.
    Timeslices(Slicing),
    /// Each slice of time by the share of its good events: the mean of ratios.
    RatioTimeslices(Slicing),
}

/// How time is sliced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slicing {
    /// The length of a slice.
    pub slice: Lookback,
    /// When a slice is good. Only [`Method::Timeslices`] asks.
    pub good: GoodWhen,
    /// What a slice without events counts as.
    pub empty: EmptySlices,
}

/// When a slice is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GoodWhen {
    /// At least this share of its events is good.
    Share(Target),
    /// All its events are good.
    All,
    /// The query says so itself: anything but all bad.
    Said,
}

/// What a slice without data or without events counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum EmptySlices {
    /// As if it had not been.
    #[default]
    LeftOut,
    /// Good.
    Good,
    /// Bad.
    Bad,
}

impl EmptySlices {
    /// As it is written in a file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::LeftOut => "left-out",
            Self::Good => "good",
            Self::Bad => "bad",
        }
    }
}

impl Method {
    /// Its slicing, if it has one.
    #[must_use]
    pub fn slicing(&self) -> Option<Slicing> {
        match self {
            Self::Occurrences => None,
            Self::Timeslices(s) | Self::RatioTimeslices(s) => Some(*s),
        }
    }

    /// What a window counts by this method, given its slices; for events, their sum.
    #[must_use]
    pub fn count(&self, slices: impl IntoIterator<Item = Measure>) -> Measure {
        match self {
            Self::Occurrences => slices.into_iter().fold(Measure::NoData, |sum, s| sum.plus(&s)),
            Self::Timeslices(by) => good_slices(by, slices),
            Self::RatioTimeslices(by) => mean(by, slices),
        }
    }
}

/// `events`, `slices of 1m, each good at 95% or more`.
impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Occurrences => f.pad("events"),
            Self::Timeslices(Slicing { slice, good: GoodWhen::Share(target), .. }) => {
                f.pad(&format!("slices of {slice}, each good at {target} or more"))
            }
            Self::Timeslices(Slicing { slice, good: GoodWhen::All, .. }) => {
                f.pad(&format!("slices of {slice}, each good at 100%"))
            }
            Self::Timeslices(by) => f.pad(&format!("slices of {}, good or bad", by.slice)),
            Self::RatioTimeslices(by) => f.pad(&format!("the mean ratio of slices of {}", by.slice)),
        }
    }
}

fn good_slices(by: &Slicing, slices: impl IntoIterator<Item = Measure>) -> Measure {
    let (mut bad, mut total, mut silent) = (0_u64, 0_u64, false);
    for slice in slices {
        let good = match (slice.is_good(by.good), by.empty) {
            (Some(good), _) => good,
            (None, EmptySlices::Good) => true,
            (None, EmptySlices::Bad) => false,
            (None, EmptySlices::LeftOut) => {
                silent |= slice == Measure::NoTraffic;
                continue;
            }
        };
        total += 1;
        bad += u64::from(!good);
    }
    match Measure::whole(bad, total) {
        Ok(Measure::NoTraffic) | Err(_) => {
            if silent {
                Measure::NoTraffic
            } else {
                Measure::NoData
            }
        }
        Ok(counted) => counted,
    }
}

fn mean(by: &Slicing, slices: impl IntoIterator<Item = Measure>) -> Measure {
    let (mut good, mut total, mut silent) = (0.0, 0.0, false);
    for slice in slices {
        good += match (slice.good_share(), by.empty) {
            (Some(share), _) => share,
            (None, EmptySlices::Good) => 1.0,
            (None, EmptySlices::Bad) => 0.0,
            (None, EmptySlices::LeftOut) => {
                silent |= slice == Measure::NoTraffic;
                continue;
            }
        };
        total += 1.0;
    }
    match Measure::from_good(good, total) {
        Ok(Measure::NoTraffic) | Err(_) => {
            if silent {
                Measure::NoTraffic
            } else {
                Measure::NoData
            }
        }
        Ok(counted) => counted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slicing(empty: EmptySlices) -> Slicing {
        Slicing { slice: Lookback::minutes(1), good: GoodWhen::Share(Target::parse("0.95").unwrap()), empty }
    }

    fn slices() -> Vec<Measure> {
        let m = |bad, total| Measure::whole(bad, total).unwrap();
        vec![m(5, 100), m(6, 100), m(0, 1), Measure::NoTraffic, Measure::NoData]
    }

    #[test]
    fn a_slice_is_good_or_bad_as_a_whole() {
        for (empty, bad, total) in [(EmptySlices::LeftOut, 1, 3), (EmptySlices::Good, 1, 5), (EmptySlices::Bad, 3, 5)] {
            let method = Method::Timeslices(slicing(empty));
            assert_eq!(method.count(slices()), Measure::whole(bad, total).unwrap(), "{empty:?}");
        }
    }

    #[test]
    fn silence_stays_silence() {
        let method = Method::Timeslices(slicing(EmptySlices::LeftOut));
        assert_eq!(method.count([Measure::NoData]), Measure::NoData);
        assert_eq!(method.count([Measure::NoData, Measure::NoTraffic]), Measure::NoTraffic);
        assert_eq!(method.count([]), Measure::NoData);
    }

    #[test]
    fn a_mean_weighs_slices_alike() {
        let method = Method::RatioTimeslices(Slicing { good: GoodWhen::Said, ..slicing(EmptySlices::LeftOut) });
        let counted = method.count(slices()).counts().unwrap();
        assert!((counted.good() - 2.89).abs() < 1e-6, "{counted:?}");
        assert!((counted.total() - 3.0).abs() < 1e-9);
        // Events weigh by their number.
        assert_eq!(Method::Occurrences.count(slices()), Measure::whole(11, 201).unwrap());
    }

    #[test]
    fn the_specifications_own_examples() {
        // Two weeks at 95%: so many minutes may be bad.
        let budget = Target::parse("0.95").unwrap().budget();
        assert!((budget.value() * 14.0 * 24.0 - 16.8).abs() < 1e-9);
    }
}
