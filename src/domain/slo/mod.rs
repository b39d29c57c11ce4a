//! Error budgets: what is left, how fast it goes, and who has to get up.
//!
//! Pure arithmetic over counts that somebody else fetched. Targets, factors and
//! counts are integers from end to end; a float appears only where a number is
//! shown. The formulas are in words in `docs/slo.md`.

pub mod assess;
pub mod count;
pub mod exact;
pub mod histogram;
pub mod objective;
pub mod rolling;
pub mod rows;
pub mod slices;
pub mod window;

pub use assess::{Assessment, Exhaustion, Readings, RowState, State, assess};
pub use count::{CountError, Counts, Indicator, Measure, increase};
pub use exact::{DecimalError, Factor, Fraction, Target, TargetError};
pub use histogram::{Buckets, Quantile};
pub use objective::{Basis, Objective};
pub use rows::{MIN_BAD, Row, Severity};
pub use slices::{EmptySlices, GoodWhen, Method, Slicing};
pub use window::{Lookback, Period, Unit, WindowError};
