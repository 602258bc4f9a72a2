//! Calls of one Service: whole-run counts, and a bounded series by start.

use crate::base::{Duration, Histogram, SimTime, cast};
use crate::record::{CallRecord, Cause, Distance, Fate};

/// Counts of calls by how and why they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// By fate, in the order of [`Fate::ALL`].
    pub by_fate: [u64; Fate::ALL.len()],
    /// Failed ones by cause, in the order of [`Cause::ALL`].
    pub by_cause: [u64; Cause::ALL.len()],
    /// Calls that took more than one attempt.
    pub retried: u64,
}

impl CallCounts {
    /// Adds a call.
    #[inline]
    pub const fn add(&mut self, row: &CallRecord) {
        if matches!(row.fate, Fate::Ok) {
            self.by_fate[Fate::Ok as usize] += 1;
        } else {
            self.add_failed(row);
        }
        if row.retries > 0 {
            self.retried += 1;
        }
    }

    /// Adds a failed call by fate and cause only.
    pub const fn add_failed(&mut self, row: &CallRecord) {
        self.by_fate[row.fate as usize] += 1;
        self.by_cause[row.cause as usize] += 1;
    }

    /// Adds the counts of others.
    pub fn merge(&mut self, other: &Self) {
        for (own, more) in self.by_fate.iter_mut().zip(other.by_fate) {
            *own += more;
        }
        for (own, more) in self.by_cause.iter_mut().zip(other.by_cause) {
            *own += more;
        }
        self.retried += other.retried;
    }

    /// All calls.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_fate.iter().sum()
    }

    /// Those that were answered well.
    #[must_use]
    pub const fn ok(&self) -> u64 {
        self.by_fate[Fate::Ok as usize]
    }

    /// Those that failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.total() - self.ok()
    }

    /// Those that failed for this cause.
    #[must_use]
    pub const fn of_cause(&self, cause: Cause) -> u64 {
        self.by_cause[cause as usize]
    }

    /// Those that ended so.
    #[must_use]
    pub const fn of_fate(&self, fate: Fate) -> u64 {
        self.by_fate[fate as usize]
    }
}

/// The calls of one Service.
#[derive(Clone, Debug)]
pub struct ServiceCalls {
    /// Calls that started after the warm-up.
    pub counts: CallCounts,
    /// Latencies of those of them that were answered well.
    pub latency: Histogram,
    /// What they took over the network and inside pods, in the order of [`Distance::ALL`].
    pub bytes: [u64; Distance::ALL.len()],
    warmup: SimTime,
    width: Duration,
    intervals: Vec<Interval>,
    intervals_max: usize,
    /// The interval of the last call: most calls start in the same one.
    last: (SimTime, usize),
}

/// All intervals of all Services together; one is about 2 kB.
const INTERVALS_ALL: usize = 65_536;

impl ServiceCalls {
    /// No calls yet; calls that start before `warmup` are in the series only.
    #[must_use]
    pub fn new(warmup: SimTime, services: usize) -> Self {
        Self {
            counts: CallCounts::default(),
            latency: Histogram::new(),
            bytes: [0; Distance::ALL.len()],
            warmup,
            width: Duration::secs(1),
            intervals: Vec::new(),
            intervals_max: (INTERVALS_ALL / services.max(1)).clamp(256, 4096),
            last: (SimTime::ZERO, 0),
        }
    }

    /// Adds a call.
    #[inline]
    pub fn add(&mut self, row: &CallRecord) {
        if row.start >= self.warmup {
            self.counts.add(row);
            if row.fate == Fate::Ok {
                self.latency.record(row.latency);
            }
        }
        let (from, index) = self.last;
        let within = row.start.saturating_since(from) < self.width && row.start >= from;
        let index =
            if within && index < self.intervals.len() { index } else { self.find(row.start) };
        self.intervals[index].add(row);
    }

    /// Adds the bytes of a call that started at an instant.
    #[inline]
    pub fn add_bytes(&mut self, start: SimTime, distance: Distance, bytes: u64) {
        if start >= self.warmup {
            self.bytes[distance as usize] += bytes;
        }
    }

    /// The intervals, each with its start, in order; every interval from the start of the run.
    pub fn intervals(&self) -> impl ExactSizeIterator<Item = (SimTime, &Interval)> {
        let from = |index: usize| SimTime::at(self.width * cast::u64_of(index));
        (self.intervals.iter().enumerate()).map(move |(index, row)| (from(index), row))
    }

    /// How long one interval is: a second, or more in a long run.
    #[must_use]
    pub const fn width(&self) -> Duration {
        self.width
    }

    /// The sum of the intervals that start in the span.
    #[must_use]
    pub fn between(&self, from: SimTime, until: SimTime) -> Interval {
        let mut sum = Interval::default();
        let within = self.intervals().filter(|(at, _)| (from..until).contains(at));
        within.for_each(|(_, interval)| sum.merge(interval));
        sum
    }

    #[cold]
    fn find(&mut self, start: SimTime) -> usize {
        let place = |width: Duration| {
            usize::try_from(start.as_nanos() / width.as_nanos()).unwrap_or(usize::MAX)
        };
        while place(self.width) >= self.intervals_max {
            self.halve();
        }
        let index = place(self.width);
        while self.intervals.len() <= index {
            let like = self.intervals.last().map(|row| row.latency.like());
            let latency = like.unwrap_or_default();
            let counts = CallCounts::default();
            self.intervals.push(Interval { counts, latency });
        }
        self.last = (SimTime::at(self.width * cast::u64_of(index)), index);
        index
    }

    /// Makes one interval of each two.
    fn halve(&mut self) {
        let mut merged = Vec::with_capacity(self.intervals.len() / 2 + 1);
        for pair in self.intervals.chunks(2) {
            let mut sum = pair[0].clone();
            pair.iter().skip(1).for_each(|second| sum.merge(second));
            merged.push(sum);
        }
        self.intervals = merged;
        self.width = self.width * 2;
        self.last = (SimTime::ZERO, usize::MAX);
    }
}

/// The calls that started in one interval.
#[derive(Clone, Debug, Default)]
pub struct Interval {
    /// How they ended.
    pub counts: CallCounts,
    /// How long those that were answered well took.
    pub latency: IntervalLatency,
}

impl Interval {
    #[inline]
    fn add(&mut self, row: &CallRecord) {
        self.counts.add(row);
        if row.fate == Fate::Ok {
            self.latency.record(row.latency);
        }
    }

    /// Adds another interval.
    pub fn merge(&mut self, other: &Self) {
        self.counts.merge(&other.counts);
        self.latency.merge(&other.latency);
    }
}

/// Latencies of one interval in buckets of 3 % width, from the smallest seen to the largest.
#[derive(Clone, Debug, Default)]
pub struct IntervalLatency {
    /// Number of the first bucket kept.
    first: usize,
    counts: Vec<u32>,
    count: u64,
    max: Duration,
}

/// Buckets of a power of two.
const SUB_BITS: u32 = 5;
/// The unit of buckets: 2^10 ns, about a microsecond.
const UNIT_BITS: u32 = 10;
/// Room left and right of what a call needs, so that the next ones need none.
const MARGIN: usize = 16;

impl IntervalLatency {
    #[inline]
    fn record(&mut self, latency: Duration) {
        let place = bucket_of(latency).wrapping_sub(self.first);
        self.max = self.max.max(latency);
        self.count += 1;
        if let Some(count) = self.counts.get_mut(place) {
            *count += 1;
        } else {
            self.record_outside(bucket_of(latency));
        }
    }

    #[cold]
    fn record_outside(&mut self, bucket: usize) {
        self.cover(bucket.saturating_sub(MARGIN), bucket + MARGIN);
        self.counts[bucket - self.first] += 1;
    }

    fn cover(&mut self, from: usize, to: usize) {
        if self.counts.is_empty() {
            self.first = from;
        }
        if from < self.first {
            let more = std::iter::repeat_n(0, self.first - from);
            self.counts.splice(0..0, more);
            self.first = from;
        }
        let length = self.counts.len().max(to + 1 - self.first);
        self.counts.resize(length, 0);
    }

    /// Empty, with the same room.
    fn like(&self) -> Self {
        let counts = vec![0; self.counts.len()];
        Self { first: self.first, counts, count: 0, max: Duration::ZERO }
    }

    fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        self.cover(other.first, other.first + other.counts.len() - 1);
        let offset = other.first - self.first;
        for (own, more) in self.counts[offset..].iter_mut().zip(&other.counts) {
            *own += more;
        }
        self.count += other.count;
        self.max = self.max.max(other.max);
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// How many took longer than `limit`, to the width of a bucket.
    #[must_use]
    pub fn above(&self, limit: Duration) -> u64 {
        let first = bucket_of(limit) + 1;
        let from = first.saturating_sub(self.first).min(self.counts.len());
        self.counts[from..].iter().map(|count| u64::from(*count)).sum()
    }

    /// The largest, exactly; `None` of nothing.
    #[must_use]
    pub fn max(&self) -> Option<Duration> {
        (self.count > 0).then_some(self.max)
    }

    /// The latency that the share `p` of all is at most, to 1.6 %; `None` of nothing.
    #[must_use]
    pub fn quantile(&self, p: f64) -> Option<Duration> {
        if self.count == 0 {
            return None;
        }
        let rank = cast::u64_trunc((p * cast::f64_of_u64(self.count)).ceil());
        let rank = rank.clamp(1, self.count);
        let mut seen = 0;
        let reached = |count: &u32| {
            seen += u64::from(*count);
            seen >= rank
        };
        let place = self.counts.iter().position(reached);
        place.map(|place| middle_of(self.first + place).min(self.max))
    }
}

fn bucket_of(latency: Duration) -> usize {
    let units = latency.as_nanos() >> UNIT_BITS;
    let shift = (u64::BITS - SUB_BITS - 1).saturating_sub(units.leading_zeros());
    let index = (u64::from(shift) << SUB_BITS) + (units >> shift);
    usize::try_from(index).unwrap_or(usize::MAX)
}

fn middle_of(bucket: usize) -> Duration {
    let bucket = cast::u64_of(bucket);
    let (low, width) = if bucket < 2 << SUB_BITS {
        (bucket, 1)
    } else {
        let shift = (bucket >> SUB_BITS) - 1;
        ((bucket - (shift << SUB_BITS)) << shift, 1 << shift)
    };
    Duration::ns((low << UNIT_BITS) + (width << UNIT_BITS) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::ms(count)
    }

    #[test]
    fn quantiles_of_an_interval() {
        let mut latency = IntervalLatency::default();
        assert_eq!(latency.quantile(0.5), None);
        (1..=1_000).rev().for_each(|n| latency.record(ms(n)));
        for (p, wanted) in [(0.5, 500.0), (0.99, 990.0), (0.001, 1.0)] {
            let found = latency.quantile(p).unwrap().as_millis_f64();
            assert!((found / wanted - 1.0).abs() < 0.016, "{p}: {found}");
        }
        assert_eq!((latency.count(), latency.max()), (1_000, Some(ms(1_000))));
        latency.record(Duration::ZERO);
        assert!(latency.quantile(0.000_1).unwrap() < Duration::us(1));
    }

    #[test]
    fn buckets_follow_each_other() {
        let mut last = 0;
        for nanos in (0..1 << 22).step_by(512) {
            let bucket = bucket_of(Duration::ns(nanos));
            assert!(bucket == last || bucket == last + 1, "{nanos}");
            last = bucket;
            assert_eq!(bucket_of(middle_of(bucket)), bucket, "{nanos}");
        }
    }

    #[test]
    fn merging_covers_both() {
        let (mut low, mut high) = (IntervalLatency::default(), IntervalLatency::default());
        low.record(ms(1));
        high.record(Duration::secs(20));
        for (into, from) in [(&low, &high), (&high, &low)] {
            let mut sum = into.clone();
            sum.merge(from);
            assert_eq!((sum.count(), sum.max()), (2, Some(Duration::secs(20))));
            assert!(sum.quantile(0.5).unwrap() < ms(2));
        }
    }
}
