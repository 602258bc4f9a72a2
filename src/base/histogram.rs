//! Latencies counted in buckets.

use super::{Duration, cast};

/// Latencies in buckets of about 0.8 % width: cheap to record, small to keep, exact to merge.
///
/// A bucket is the leading bit of the nanoseconds and the seven bits after it, so below 128 ns
/// buckets are exact and above they are at most 1/128 wide. Quantiles are the middle of a bucket;
/// minimum, maximum, count and sum are exact. Recording is a shift and an addition.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Histogram {
    counts: Vec<u64>,
    count: u64,
    sum: u128,
    min: u64,
    max: u64,
}

const SUB_BITS: u32 = 7;
const SUBS: u64 = 1 << SUB_BITS;

impl Histogram {
    /// Nothing yet, and no memory.
    pub const fn new() -> Self {
        Self { counts: Vec::new(), count: 0, sum: 0, min: 0, max: 0 }
    }

    /// Adds a latency.
    #[inline]
    pub fn record(&mut self, latency: Duration) {
        let nanos = latency.as_nanos();
        let Some(count) = self.counts.get_mut(bucket_of(nanos)).filter(|_| self.count > 0) else {
            return self.record_many(latency, 1);
        };
        *count += 1;
        self.min = self.min.min(nanos);
        self.max = self.max.max(nanos);
        self.count += 1;
        self.sum += u128::from(nanos);
    }

    /// Adds the same latency several times.
    pub fn record_many(&mut self, latency: Duration, times: u64) {
        if times == 0 {
            return;
        }
        let nanos = latency.as_nanos();
        let bucket = bucket_of(nanos);
        if bucket >= self.counts.len() {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += times;
        self.min = if self.count == 0 { nanos } else { self.min.min(nanos) };
        self.max = self.max.max(nanos);
        self.count += times;
        self.sum += u128::from(nanos) * u128::from(times);
    }

    /// Adds what another has seen; the order does not matter.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (own, more) in self.counts.iter_mut().zip(&other.counts) {
            *own += more;
        }
        self.min = if self.count == 0 { other.min } else { self.min.min(other.min) };
        self.max = self.max.max(other.max);
        self.count += other.count;
        self.sum += other.sum;
    }

    /// Forgets everything; keeps the room.
    pub fn clear(&mut self) {
        let mut counts = std::mem::take(&mut self.counts);
        counts.clear();
        *self = Self { counts, ..Self::new() };
    }

    /// How many latencies.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The largest, exactly; zero of nothing.
    pub const fn max(&self) -> Duration {
        Duration::ns(self.max)
    }

    /// The smallest, exactly; zero of nothing.
    pub const fn min(&self) -> Duration {
        Duration::ns(self.min)
    }

    /// The mean, exactly, in seconds; 0 of nothing.
    pub fn mean_secs(&self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        let sum = cast::f64_of_i128(i128::try_from(self.sum).unwrap_or(i128::MAX));
        sum / cast::f64_of_u64(self.count) / 1e9
    }

    /// The latency that the share `p` of all is at most: the smallest bucket with at least
    /// ⌈p · count⌉ latencies up to it. Zero of nothing.
    pub fn quantile(&self, p: f64) -> Duration {
        let rank = cast::u64_trunc((p * cast::f64_of_u64(self.count)).ceil());
        let rank = rank.clamp(1, self.count.max(1));
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::ns(middle_of(bucket).clamp(self.min, self.max));
            }
        }
        self.max()
    }

    /// How many latencies are in a bucket that lies wholly above this one.
    pub fn count_above(&self, latency: Duration) -> u64 {
        self.counts.iter().skip(bucket_of(latency.as_nanos()) + 1).sum()
    }

    /// The buckets that hold anything, in order: their middle and their count.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        let buckets = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        buckets.map(|(bucket, count)| (Duration::ns(middle_of(bucket)), *count))
    }
}

/// Values below 2·128 are their own bucket; above, each power of two has 128 buckets.
fn bucket_of(nanos: u64) -> usize {
    let shift = (u64::BITS - SUB_BITS - 1).saturating_sub(nanos.leading_zeros());
    let index = u64::from(shift) * SUBS + (nanos >> shift);
    usize::try_from(index).unwrap_or(usize::MAX)
}

fn middle_of(bucket: usize) -> u64 {
    let bucket = cast::u64_of(bucket);
    if bucket < 2 * SUBS {
        return bucket;
    }
    let shift = bucket / SUBS - 1;
    let low = (bucket - shift * SUBS) << shift;
    low + (1 << shift) / 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_follow_each_other() {
        for nanos in (0..20_000).chain([1 << 40, (1 << 40) + (1 << 33), u64::MAX - 1]) {
            let (this, next) = (bucket_of(nanos), bucket_of(nanos + 1));
            assert!(next == this || next == this + 1, "{nanos}");
            let middle = middle_of(this);
            assert_eq!(bucket_of(middle), this, "{nanos}");
            assert!(middle.abs_diff(nanos) <= nanos / 128, "{nanos}: {middle}");
        }
    }

    #[test]
    fn latency_quantiles() {
        let mut calls = Histogram::new();
        (1..=1_000).for_each(|ms| calls.record(Duration::ms(ms)));
        for (p, ms) in [(0.5, 500.0), (0.99, 990.0), (0.001, 1.0), (1.0, 1_000.0)] {
            let found = calls.quantile(p).as_millis_f64();
            assert!((found / ms - 1.0).abs() < 0.005, "{p}: {found}");
        }
        assert_eq!((calls.count(), calls.max()), (1_000, Duration::ms(1_000)));
        assert!((calls.mean_secs() - 0.500_5).abs() < 1e-12);
        assert_eq!(Histogram::new().quantile(0.99), Duration::ZERO);
        assert_eq!(calls.count_above(Duration::ms(1_000)), 0);
    }

    proptest! {
        #[test]
        fn merging_is_adding(all in prop::collection::vec(any::<u64>(), 1..60), at in 0_usize..60) {
            let at = at.min(all.len());
            let fold = |nanos: &[u64]| {
                let mut histogram = Histogram::new();
                nanos.iter().for_each(|nano| histogram.record(Duration::ns(*nano)));
                histogram
            };
            let mut left = fold(&all[..at]);
            left.merge(&fold(&all[at..]));
            prop_assert_eq!(left, fold(&all));
        }
    }
}
