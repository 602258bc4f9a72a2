//! Histograms with exponential buckets whose weights halve every 24 h of age.
//!
//! Source: vertical-pod-autoscaler pkg/recommender/util/histogram.go, decaying_histogram.go,
//! histogram_options.go (rules A83 to A88).

use crate::base::{Duration, SimTime, cast, math};
use crate::model::ResourceName;

/// Number of buckets, of CPU and of memory alike.
const BUCKETS: usize = 176;
/// How much wider a bucket is than the one before.
const RATIO: f64 = 1.0 + 0.05;
/// Weights below count as none where the range of buckets in use is tracked.
const EPSILON: f64 = 0.001 * 0.1;
/// A sample's weight doubles with every such step of its time.
const HALF_LIFE: Duration = Duration::hours(24);
/// So many half-lives a sample may be after the reference.
const EXPONENT_MAX: u64 = 100;
/// The largest weight of a checkpoint's bucket.
const CHECKPOINT_WEIGHT: f64 = 10_000.0;

/// A histogram of amounts of one resource.
#[derive(Clone, Debug, PartialEq)]
pub struct DecayingHistogram {
    /// Width of the first bucket, in cores or bytes.
    first: f64,
    weights: Vec<f64>,
    total: f64,
    lowest: usize,
    highest: usize,
    /// Where a weight is not multiplied; `None` before the first sample.
    reference: Option<SimTime>,
}

/// What is kept of a histogram over a restart (rule A88).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    /// Buckets and their weights, of 10,000 for the largest.
    pub buckets: Vec<(usize, u32)>,
    /// The sum of the weights before.
    pub total: f64,
    /// The reference of the weights.
    pub reference: Option<SimTime>,
}

impl DecayingHistogram {
    /// An empty one.
    #[must_use]
    pub fn new(of: ResourceName) -> Self {
        Self {
            first: match of {
                ResourceName::Cpu => 0.01,
                ResourceName::Memory => 1e7,
            },
            weights: vec![0.0; BUCKETS],
            total: 0.0,
            lowest: BUCKETS - 1,
            highest: 0,
            reference: None,
        }
    }

    /// Where a bucket begins (rule A83).
    #[must_use]
    pub fn start(&self, bucket: usize) -> f64 {
        if bucket == 0 {
            return 0.0;
        }
        let power = math::go_pow(RATIO, cast::f64_of_usize(bucket));
        self.first * (power - 1.0) / (RATIO - 1.0)
    }

    /// The bucket of a value (rule A84).
    fn bucket(&self, value: f64) -> usize {
        if value < self.first {
            return 0;
        }
        let steps = math::go_ln(value * (RATIO - 1.0) / self.first + 1.0) / math::go_ln(RATIO);
        cast::usize_trunc(steps).min(BUCKETS - 1)
    }

    /// Adds a sample of a value at a time.
    pub fn add(&mut self, value: f64, weight: f64, at: SimTime) {
        let weight = weight * self.decay(at);
        let bucket = self.bucket(value);
        self.weights[bucket] += weight;
        self.total += weight;
        if self.weights[bucket] >= EPSILON {
            self.lowest = self.lowest.min(bucket);
            self.highest = self.highest.max(bucket);
        }
    }

    /// Takes a sample away again.
    pub fn subtract(&mut self, value: f64, weight: f64, at: SimTime) {
        let weight = weight * self.decay(at);
        let bucket = self.bucket(value);
        self.weights[bucket] = (self.weights[bucket] - weight).max(0.0);
        self.total = (self.total - weight).max(0.0);
        self.narrow();
    }

    /// Adds all of another one; both have the younger reference afterwards.
    pub fn merge(&mut self, other: &mut Self) {
        match (self.reference, other.reference) {
            (Some(own), Some(its)) if its < own => other.shift(own),
            (own, Some(its)) if own < Some(its) => self.shift(its),
            _ => {}
        }
        for bucket in other.lowest..=other.highest {
            self.weights[bucket] += other.weights[bucket];
        }
        self.total += other.total;
        self.lowest = self.lowest.min(other.lowest);
        self.highest = self.highest.max(other.highest);
    }

    /// The end of the bucket that a share of the weight is below; 0 if empty (rule A85).
    #[must_use]
    pub fn percentile(&self, share: f64) -> f64 {
        if self.weights[self.lowest] < EPSILON {
            return 0.0;
        }
        let threshold = share * self.total;
        let mut sum = 0.0;
        let mut bucket = self.lowest;
        while bucket < self.highest {
            sum += self.weights[bucket];
            if sum >= threshold {
                break;
            }
            bucket += 1;
        }
        self.start((bucket + 1).min(BUCKETS - 1))
    }

    /// What a restart keeps.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        let range = self.lowest..=self.highest;
        let max = range.clone().map(|bucket| self.weights[bucket]).fold(0.0, f64::max);
        let ratio = CHECKPOINT_WEIGHT / max;
        let rounded = |bucket: usize| {
            let weight = (self.weights[bucket] * ratio).round();
            (bucket, u32::try_from(cast::u64_trunc(weight)).unwrap_or(u32::MAX))
        };
        Checkpoint {
            buckets: range.map(rounded).filter(|(_, weight)| *weight > 0).collect(),
            total: self.total,
            reference: self.reference,
        }
    }

    /// What a restart brings back.
    #[must_use]
    pub fn restored(of: ResourceName, kept: &Checkpoint) -> Self {
        let mut histogram = Self::new(of);
        histogram.reference = kept.reference;
        let sum: u64 = kept.buckets.iter().map(|(_, weight)| u64::from(*weight)).sum();
        if sum == 0 {
            return histogram;
        }
        let ratio = kept.total / cast::f64_of_u64(sum);
        for (bucket, weight) in &kept.buckets {
            histogram.weights[*bucket] += f64::from(*weight) * ratio;
            histogram.lowest = histogram.lowest.min(*bucket);
            histogram.highest = histogram.highest.max(*bucket);
        }
        histogram.total += kept.total;
        histogram
    }

    /// What a weight at a time is multiplied with (rule A87).
    fn decay(&mut self, at: SimTime) -> f64 {
        let longest = HALF_LIFE.saturating_mul(EXPONENT_MAX);
        if self.reference.is_none_or(|reference| at > reference.saturating_add(longest)) {
            self.shift(at);
        }
        let reference = self.reference.unwrap_or(at);
        let steps = match at.checked_since(reference) {
            Some(after) => nanos(after) / nanos(HALF_LIFE),
            None => -nanos(reference.saturating_since(at)) / nanos(HALF_LIFE),
        };
        math::go_exp2(steps)
    }

    /// Moves the reference to the multiple of the half-life that is nearest to a time.
    fn shift(&mut self, to: SimTime) {
        let half_life = HALF_LIFE.as_nanos();
        let steps = (to.as_nanos() + half_life / 2) / half_life;
        let before = self.reference.map_or(0, |reference| reference.as_nanos() / half_life);
        let exponent = cast::f64_of_u64(before) - cast::f64_of_u64(steps);
        let factor = math::pow(2.0, exponent);
        self.weights.iter_mut().for_each(|weight| *weight *= factor);
        self.total *= factor;
        self.narrow();
        self.reference = Some(SimTime::from_nanos(steps * half_life));
    }

    /// Finds the range of buckets in use anew, from what it was inwards (rule A86).
    fn narrow(&mut self) {
        while self.lowest < BUCKETS - 1 && self.weights[self.lowest] < EPSILON {
            self.lowest += 1;
        }
        while self.highest > 0 && self.weights[self.highest] < EPSILON {
            self.highest -= 1;
        }
    }
}

fn nanos(span: Duration) -> f64 {
    cast::f64_of_u64(span.as_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_a83() {
        let cpu = DecayingHistogram::new(ResourceName::Cpu);
        assert!((cpu.start(2) - 0.0205).abs() < 1e-12, "A83");
        assert_eq!(cpu.bucket(0.0099), 0, "A84");
        assert_eq!(cpu.bucket(1e9), BUCKETS - 1, "A84");
    }

    #[test]
    fn halves_in_a_day() {
        let mut cpu = DecayingHistogram::new(ResourceName::Cpu);
        let day = |n: u64| SimTime::at(Duration::hours(24 * n));
        cpu.add(1.0, 0.1, day(1));
        cpu.add(2.0, 0.1, day(2));
        assert!(cpu.percentile(0.34) > 2.0, "A87: the younger has two of three parts");
        assert!(cpu.percentile(0.33) < 1.1, "A85");
    }

    #[test]
    fn a_checkpoint_keeps_ten_thousandths() {
        let mut memory = DecayingHistogram::new(ResourceName::Memory);
        memory.add(1e9, 1.0, SimTime::ZERO);
        memory.add(1e8, 0.00004, SimTime::ZERO);
        let kept = memory.checkpoint();
        assert_eq!(kept.buckets.len(), 1, "A88: small weights go");
        let back = DecayingHistogram::restored(ResourceName::Memory, &kept);
        assert!((back.percentile(0.9) - memory.percentile(0.9)).abs() < 1e-6);
    }
}
