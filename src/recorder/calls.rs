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
    intervals: Intervals,
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
            intervals: Intervals::default(),
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
        self.intervals.add(index, row);
    }

    /// Adds the bytes of a call that started at an instant.
    #[inline]
    pub fn add_bytes(&mut self, start: SimTime, distance: Distance, bytes: u64) {
        if start >= self.warmup {
            self.bytes[distance as usize] += bytes;
        }
    }

    /// The intervals, each with its start, in order; every interval from the start of the run.
    pub fn intervals(&self) -> impl ExactSizeIterator<Item = (SimTime, Interval<&[u32]>)> {
        let from = |index: usize| SimTime::at(self.width * cast::u64_of(index));
        (0..self.intervals.len()).map(move |index| (from(index), self.intervals.get(index)))
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
        within.for_each(|(_, interval)| sum.merge(&interval));
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
        self.intervals.extend_to(index);
        self.last = (SimTime::at(self.width * cast::u64_of(index)), index);
        index
    }

    /// Makes one interval of each two.
    fn halve(&mut self) {
        self.intervals.halve();
        self.width = self.width * 2;
        self.last = (SimTime::ZERO, usize::MAX);
    }
}

/// All intervals in two pieces of memory, so that another one hardly ever asks for some: buckets
/// are a matrix, a row an interval.
#[derive(Clone, Debug, Default)]
struct Intervals {
    rows: Vec<Row>,
    /// Number of the first bucket of each row.
    first: usize,
    /// Buckets a row.
    width: usize,
    buckets: Vec<u32>,
}

/// An interval without its buckets.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    counts: CallCounts,
    count: u64,
    max: Duration,
}

impl Intervals {
    const fn len(&self) -> usize {
        self.rows.len()
    }

    fn get(&self, index: usize) -> Interval<&[u32]> {
        let Row { counts, count, max } = self.rows[index];
        let buckets = &self.buckets[index * self.width..(index + 1) * self.width];
        Interval { counts, latency: IntervalLatency { first: self.first, buckets, count, max } }
    }

    #[inline]
    fn add(&mut self, index: usize, call: &CallRecord) {
        let row = &mut self.rows[index];
        row.counts.add(call);
        if call.fate != Fate::Ok {
            return;
        }
        row.max = row.max.max(call.latency);
        row.count += 1;
        let bucket = bucket_of(call.latency);
        let place = bucket.wrapping_sub(self.first);
        if place < self.width {
            self.buckets[index * self.width + place] += 1;
        } else {
            self.add_outside(index, bucket);
        }
    }

    #[cold]
    fn add_outside(&mut self, index: usize, bucket: usize) {
        let (from, to) = (bucket.saturating_sub(MARGIN), bucket + MARGIN + 1);
        let first = if self.width == 0 { from } else { self.first.min(from) };
        let width = to.max(self.first + self.width) - first;
        let mut buckets = Vec::with_capacity(self.rows.capacity() * width);
        let before = self.first.saturating_sub(first);
        for row in 0..self.rows.len() {
            buckets.resize(row * width + before, 0);
            buckets.extend_from_slice(&self.buckets[row * self.width..(row + 1) * self.width]);
        }
        buckets.resize(self.rows.len() * width, 0);
        (self.first, self.width, self.buckets) = (first, width, buckets);
        self.buckets[index * width + bucket - first] += 1;
    }

    fn extend_to(&mut self, index: usize) {
        if index >= self.rows.len() {
            self.rows.resize(index + 1, Row::default());
            self.buckets.resize((index + 1) * self.width, 0);
        }
    }

    fn halve(&mut self) {
        let (rows, width) = (self.rows.len(), self.width);
        let half = rows.div_ceil(2);
        for into in 0..half {
            let (one, two) = (2 * into, 2 * into + 1);
            let mut sum = self.rows[one];
            self.buckets.copy_within(one * width..(one + 1) * width, into * width);
            if let Some(more) = self.rows.get(two) {
                sum.counts.merge(&more.counts);
                sum.count += more.count;
                sum.max = sum.max.max(more.max);
                let (own, more) = self.buckets.split_at_mut(two * width);
                let own = &mut own[into * width..(into + 1) * width];
                own.iter_mut().zip(&more[..width]).for_each(|(own, more)| *own += more);
            }
            self.rows[into] = sum;
        }
        self.rows.truncate(half);
        self.buckets.truncate(half * width);
    }
}

/// The calls that started in one interval, or in several.
#[derive(Clone, Debug, Default)]
pub struct Interval<B = Vec<u32>> {
    /// How they ended.
    pub counts: CallCounts,
    /// How long those that were answered well took.
    pub latency: IntervalLatency<B>,
}

impl Interval {
    /// Adds another interval.
    pub fn merge<B: AsRef<[u32]>>(&mut self, other: &Interval<B>) {
        self.counts.merge(&other.counts);
        self.latency.merge(&other.latency);
    }
}

/// Latencies of one interval in buckets of 3 % width, from the smallest seen to the largest.
#[derive(Clone, Debug, Default)]
pub struct IntervalLatency<B = Vec<u32>> {
    /// Number of the first bucket kept.
    first: usize,
    buckets: B,
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
    fn cover(&mut self, from: usize, to: usize) {
        if self.buckets.is_empty() {
            self.first = from;
        }
        if from < self.first {
            let more = std::iter::repeat_n(0, self.first - from);
            self.buckets.splice(0..0, more);
            self.first = from;
        }
        let length = self.buckets.len().max(to + 1 - self.first);
        self.buckets.resize(length, 0);
    }

    /// Adds others.
    pub fn merge<B: AsRef<[u32]>>(&mut self, other: &IntervalLatency<B>) {
        if other.count == 0 {
            return;
        }
        let more = other.buckets.as_ref();
        self.cover(other.first, other.first + more.len() - 1);
        let offset = other.first - self.first;
        for (own, more) in self.buckets[offset..].iter_mut().zip(more) {
            *own += more;
        }
        self.count += other.count;
        self.max = self.max.max(other.max);
    }
}

impl<B: AsRef<[u32]>> IntervalLatency<B> {
    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// How many took longer than `limit`, to the width of a bucket.
    #[must_use]
    pub fn above(&self, limit: Duration) -> u64 {
        let first = bucket_of(limit) + 1;
        let buckets = self.buckets.as_ref();
        let from = first.saturating_sub(self.first).min(buckets.len());
        buckets[from..].iter().map(|count| u64::from(*count)).sum()
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
        let place = self.buckets.as_ref().iter().position(reached);
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
    use crate::model::ServiceId;

    fn ms(count: u64) -> Duration {
        Duration::ms(count)
    }

    fn good(latency: Duration) -> CallRecord {
        CallRecord {
            source: None,
            service: ServiceId::new(0),
            start: SimTime::ZERO,
            latency,
            fate: Fate::Ok,
            cause: Cause::None,
            retries: 0,
            pod: None,
        }
    }

    /// One interval with calls that took so long.
    fn interval(latencies: impl Iterator<Item = Duration>) -> Intervals {
        let mut intervals = Intervals::default();
        intervals.extend_to(0);
        latencies.for_each(|latency| intervals.add(0, &good(latency)));
        intervals
    }

    #[test]
    fn quantiles_of_an_interval() {
        let mut calls = interval(std::iter::empty());
        assert_eq!(calls.get(0).latency.quantile(0.5), None);
        calls = interval((1..=1_000).rev().map(ms));
        for (p, wanted) in [(0.5, 500.0), (0.99, 990.0), (0.001, 1.0)] {
            let found = calls.get(0).latency.quantile(p).unwrap().as_millis_f64();
            assert!((found / wanted - 1.0).abs() < 0.016, "{p}: {found}");
        }
        let latency = calls.get(0).latency;
        assert_eq!((latency.count(), latency.max()), (1_000, Some(ms(1_000))));
        calls = interval((0..=1_000).map(ms));
        assert!(calls.get(0).latency.quantile(0.000_1).unwrap() < Duration::us(1));
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
        let low = interval([ms(1)].into_iter());
        let high = interval([Duration::secs(20)].into_iter());
        for (one, two) in [(&low, &high), (&high, &low)] {
            let mut sum = Interval::default();
            sum.merge(&one.get(0));
            sum.merge(&two.get(0));
            assert_eq!((sum.latency.count(), sum.latency.max()), (2, Some(Duration::secs(20))));
            assert!(sum.latency.quantile(0.5).unwrap() < ms(2));
        }
    }

    #[test]
    fn halves_keep_all_calls() {
        let mut intervals = Intervals::default();
        for index in 0..5 {
            intervals.extend_to(index);
            intervals.add(index, &good(ms(1 << (2 * index))));
        }
        intervals.halve();
        let all = |index| {
            let latency = intervals.get(index).latency;
            (latency.count(), latency.max(), latency.above(ms(2)))
        };
        let wanted = [(2, Some(ms(4)), 1), (2, Some(ms(64)), 2), (1, Some(ms(256)), 1)];
        assert_eq!([all(0), all(1), all(2)], wanted);
    }
}
