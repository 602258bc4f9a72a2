//! The room `base`: value types that know nothing of Kubernetes' policy.
//!
//! Time, quantities, units, ids, names, look-up maps, portable arithmetic, distributions and
//! statistics. Everything here is deterministic: the same input gives the same bits on every
//! platform.

mod address;
mod big;
mod bit_set;
pub mod cast;
pub mod cron;
pub mod dist;
pub mod formula;
pub mod go_sort;
pub mod go_time;
pub mod histogram;
pub mod ids;
pub mod int_or_string;
pub mod interner;
pub mod maps;
pub mod math;
pub mod pattern;
pub mod quantity;
pub mod stats;
pub mod text;
pub mod time;
pub mod units;

pub use address::{Cidr, Ip};
pub use bit_set::BitSet;
pub use cron::{CronError, Schedule, Zone};
pub use dist::{Distribution, DistributionError, Empirical};
pub use formula::{Formula, FormulaError};
pub use go_time::{DurationError, Timestamp, TimestampError};
pub use histogram::Histogram;
pub use ids::{Id, IdVec, Ref, Slots};
pub use int_or_string::{IntOrString, IntOrStringError, surge_and_unavailable};
pub use interner::{Interner, Symbol};
pub use maps::{LookupMap, LookupSet};
pub use pattern::Pattern;
pub use quantity::{Format, Quantity, QuantityError};
pub use stats::{Summary, Tally, TimeAverage};
pub use time::{Duration, SimTime};
pub use units::{Bytes, MilliCpu, Money, MoneyError, Ratio};

pub(crate) use ids::id_type;
