//! Statistics of samples and of running values.

use super::math::{self, ln, sqrt};
use super::{SimTime, cast};

/// The arithmetic mean; 0 of nothing.
pub fn mean(samples: &[f64]) -> f64 {
    samples.iter().copied().collect::<Tally>().mean()
}

/// The variance of a sample (divided by n − 1); 0 of fewer than two.
pub fn variance(samples: &[f64]) -> f64 {
    samples.iter().copied().collect::<Tally>().variance()
}

/// The exact quantile of sorted samples, linear between neighbours: Hyndman and Fan's type 7, the
/// default of R and NumPy. Its place is (n − 1) · p, counted from 0. NaN of nothing.
pub fn quantile(sorted: &[f64], p: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = cast::f64_of_usize(last) * p.clamp(0.0, 1.0);
    let below = cast::usize_trunc(place);
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * (place - place.floor())
}

/// Sorts samples for [`quantile`].
pub fn sorted(samples: &[f64]) -> Vec<f64> {
    let mut values = samples.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

/// The value that Student's t with that many degrees of freedom is below with probability p, to
/// about 13 digits.
///
/// By halving, on our own portable functions: the crate `statrs` takes the platform's logarithm,
/// whose last bit would reach the results. The tests compare the two.
pub fn t_quantile(p: f64, freedom: f64) -> f64 {
    if p < 0.5 {
        return -t_quantile(1.0 - p, freedom);
    }
    let (mut low, mut high) = (0.0, 1.0);
    while t_tail(high, freedom) > 1.0 - p && high < 1e12 {
        high *= 2.0;
    }
    for _ in 0..80 {
        let middle = f64::midpoint(low, high);
        if t_tail(middle, freedom) > 1.0 - p {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// The probability that Student's t is above a value that is not negative.
fn t_tail(t: f64, freedom: f64) -> f64 {
    0.5 * math::beta_regularized(freedom / 2.0, 0.5, freedom / (freedom + t * t))
}

/// A mean with the interval that it lies in with 95 % confidence.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Summary {
    /// The mean of the samples.
    pub mean: f64,
    /// The lower end of the interval; the mean itself for fewer than two samples.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
    /// How many samples there were.
    pub n: usize,
}

impl Summary {
    /// mean ± t₀.₉₇₅ · s / √n with n − 1 degrees of freedom.
    pub fn of(samples: &[f64]) -> Self {
        Self::with_confidence(samples, 0.95)
    }

    /// Like [`Summary::of`] with another confidence between 0 and 1.
    pub fn with_confidence(samples: &[f64], confidence: f64) -> Self {
        let tally: Tally = samples.iter().copied().collect();
        let (n, mean) = (samples.len(), tally.mean());
        if n < 2 || tally.variance() <= 0.0 {
            return Self { mean, low: mean, high: mean, n };
        }
        let count = cast::f64_of_usize(n);
        let error = sqrt(tally.variance() / count);
        let half = error * t_quantile(f64::midpoint(1.0, confidence), count - 1.0);
        Self { mean, low: mean - half, high: mean + half, n }
    }

    /// The difference right − left of runs that share their seeds, pair by pair: what one run alone
    /// adds to both cancels.
    ///
    /// # Panics
    /// When there are not as many of the one as of the other.
    pub fn of_paired_difference(left: &[f64], right: &[f64]) -> Self {
        assert_eq!(left.len(), right.len(), "paired samples come in pairs");
        let differences: Vec<f64> = right.iter().zip(left).map(|(b, a)| b - a).collect();
        Self::of(&differences)
    }

    /// Half the width of the interval divided by the mean; infinite when only the mean is zero.
    pub fn relative_half_width(&self) -> f64 {
        let half = (self.high - self.low) / 2.0;
        if half <= 0.0 { 0.0 } else { half / self.mean.abs() }
    }

    /// True when the interval does not hold zero: the difference is no accident.
    pub fn is_significant(&self) -> bool {
        self.n >= 2 && (self.low > 0.0 || self.high < 0.0)
    }
}

/// Count, mean, variance and extremes of values that are not kept (Welford's method).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Tally {
    count: u64,
    mean: f64,
    squares: f64,
    min: f64,
    max: f64,
}

impl Default for Tally {
    fn default() -> Self {
        Self { count: 0, mean: 0.0, squares: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY }
    }
}

impl Tally {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / cast::f64_of_u64(self.count);
        self.squares += before * (value - self.mean);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Adds what another has seen. The order of merging decides the last bit.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        let (own, more) = (cast::f64_of_u64(self.count), cast::f64_of_u64(other.count));
        let (apart, all) = (other.mean - self.mean, own + more);
        self.mean += apart * more / all;
        self.squares += other.squares + apart * apart * own * more / all;
        self.count += other.count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// How many values.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The mean; 0 of nothing.
    pub const fn mean(&self) -> f64 {
        self.mean
    }

    /// The sum.
    pub const fn sum(&self) -> f64 {
        self.mean * cast::f64_of_u64(self.count)
    }

    /// The variance of a sample (divided by n − 1); 0 of fewer than two.
    pub fn variance(&self) -> f64 {
        if self.count < 2 { 0.0 } else { self.squares / cast::f64_of_u64(self.count - 1) }
    }

    /// The standard deviation of a sample.
    pub fn deviation(&self) -> f64 {
        sqrt(self.variance())
    }

    /// The smallest value; none of nothing.
    pub fn min(&self) -> Option<f64> {
        (self.count > 0).then_some(self.min)
    }

    /// The largest value; none of nothing.
    pub fn max(&self) -> Option<f64> {
        (self.count > 0).then_some(self.max)
    }
}

impl FromIterator<f64> for Tally {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut tally = Self::new();
        values.into_iter().for_each(|value| tally.add(value));
        tally
    }
}

/// The average over time of a value that changes by steps.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TimeAverage {
    start: SimTime,
    last: SimTime,
    value: f64,
    /// Value · seconds up to `last`.
    area: f64,
    max: f64,
}

impl TimeAverage {
    /// Begins with a value at an instant.
    pub const fn new(start: SimTime, value: f64) -> Self {
        Self { start, last: start, value, area: 0.0, max: value }
    }

    /// From this instant on the value is another. Instants do not go back.
    ///
    /// # Panics
    /// When they do.
    pub fn set(&mut self, at: SimTime, value: f64) {
        self.area = self.area_until(at);
        self.last = at;
        self.value = value;
        self.max = self.max.max(value);
    }

    /// From this instant on the value is so much more.
    ///
    /// # Panics
    /// When instants go back.
    pub fn add(&mut self, at: SimTime, change: f64) {
        self.set(at, self.value + change);
    }

    /// Forgets what was before this instant: the end of the warm-up.
    ///
    /// # Panics
    /// When instants go back.
    pub fn restart(&mut self, at: SimTime) {
        assert!(at >= self.last, "time average asked at {at}, before {}", self.last);
        *self = Self::new(at, self.value);
    }

    /// The value now.
    pub const fn value(&self) -> f64 {
        self.value
    }

    /// The largest value so far.
    pub const fn max(&self) -> f64 {
        self.max
    }

    /// Value · seconds from the start to this instant.
    ///
    /// # Panics
    /// When the instant lies before the last change.
    pub fn area_until(&self, at: SimTime) -> f64 {
        assert!(at >= self.last, "time average asked at {at}, before {}", self.last);
        self.area + self.value * (at - self.last).as_secs_f64()
    }

    /// The average from the start to this instant; the value itself over no time.
    ///
    /// # Panics
    /// When the instant lies before the last change.
    pub fn mean_until(&self, at: SimTime) -> f64 {
        let area = self.area_until(at);
        let time = (at - self.start).as_secs_f64();
        if time > 0.0 { area / time } else { self.value }
    }
}

/// How many replications more are needed for an interval of that relative half-width, from a pilot
/// of several; none when the pilot says nothing.
///
/// n ≈ (z · s / (width · mean))²
pub fn replications_for(pilot: &[f64], relative_half_width: f64) -> Option<usize> {
    let tally: Tally = pilot.iter().copied().collect();
    if pilot.len() < 2 || tally.mean().abs() <= 0.0 || relative_half_width <= 0.0 {
        return None;
    }
    let z = math::normal_quantile(0.975);
    let root = z * tally.deviation() / (relative_half_width * tally.mean().abs());
    Some(cast::usize_trunc((root * root).ceil()).max(2))
}

/// The geometric mean of positive numbers; NaN of nothing.
pub fn geometric_mean(samples: &[f64]) -> f64 {
    let logs: Tally = samples.iter().map(|sample| ln(*sample)).collect();
    if samples.is_empty() { f64::NAN } else { math::exp(logs.mean()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use statrs::distribution::{ContinuousCDF, StudentsT};

    use super::super::Duration;
    use super::*;

    fn near(x: f64, y: f64) {
        assert!((x - y).abs() < 1e-9 * y.abs().max(1.0), "{x}, not {y}");
    }

    #[test]
    fn means_and_quantiles() {
        // 2, 4, 4, 4, 5, 5, 7, 9: mean 5, squares 32, 32 / 7
        let samples = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        near(mean(&samples), 5.0);
        near(variance(&samples), 32.0 / 7.0);
        // place 7 · 0.9 = 6.3: 7 + 0.3 · 2
        near(quantile(&samples, 0.9), 7.6);
        near(quantile(&samples, 0.5), 4.5);
        near(quantile(&samples, 1.0), 9.0);
        assert!(quantile(&[], 0.5).is_nan());
        near(geometric_mean(&[1.0, 4.0, 16.0]), 4.0);
    }

    #[test]
    fn intervals() {
        // tables: t(0.975, 9) = 2.262157163, t(0.975, 1) = 12.706204736, t(0.95, 4) = 2.131846786
        assert!((t_quantile(0.975, 9.0) - 2.262_157_162_8).abs() < 1e-8);
        assert!((t_quantile(0.975, 1.0) - 12.706_204_736).abs() < 1e-7);
        assert!((t_quantile(0.05, 4.0) + 2.131_846_786_3).abs() < 1e-8);
        // 1, 2, 3: mean 2, s = 1, half = 4.302652730 / √3 = 2.484137712
        let summary = Summary::of(&[1.0, 2.0, 3.0]);
        assert!((summary.low - (2.0 - 2.484_137_712)).abs() < 1e-7, "{summary:?}");
        assert_eq!(summary.n, 3);
        let one = Summary::of(&[4.0]);
        near(one.low, 4.0);
        let paired = Summary::of_paired_difference(&[1.0, 2.0, 3.0], &[2.1, 3.0, 3.9]);
        assert!(paired.is_significant() && (paired.mean - 1.0).abs() < 1e-12);
        assert!(!summary.is_significant());
    }

    #[test]
    fn time_weighs() {
        let secs = |count| SimTime::at(Duration::secs(count));
        let mut pods = TimeAverage::new(SimTime::ZERO, 2.0);
        pods.add(secs(4), 3.0);
        // (2 · 4 + 5 · 6) / 10 = 3.8
        near(pods.mean_until(secs(10)), 3.8);
        near(pods.max(), 5.0);
        pods.restart(secs(10));
        near(pods.mean_until(secs(12)), 5.0);
    }

    #[test]
    fn a_pilot_says_how_many() {
        // s / mean = 0.1, width 0.01: (1.96 · 0.1 / 0.01)² = 384.1
        let pilot = [9.0, 11.0, 9.0, 11.0, 9.0, 11.0, 9.0, 11.0, 10.0];
        let tally: Tally = pilot.iter().copied().collect();
        near(tally.deviation(), 1.0);
        assert_eq!(replications_for(&pilot, 0.01), Some(385));
    }

    proptest! {
        #[test]
        fn merging_is_adding(all in prop::collection::vec(0_f64..1e6, 1..60), at in 0_usize..60) {
            let at = at.min(all.len());
            let whole: Tally = all.iter().copied().collect();
            let mut some: Tally = all[..at].iter().copied().collect();
            some.merge(&all[at..].iter().copied().collect());
            prop_assert_eq!((some.count(), some.min()), (whole.count(), whole.min()));
            prop_assert!((some.mean() - whole.mean()).abs() <= 1e-9 * whole.mean());
            let spread = whole.variance().max(1.0);
            prop_assert!((some.variance() - whole.variance()).abs() <= 1e-9 * spread);
        }

        // Next to the middle the library's own error, that of 1 - t²/freedom, is the greater one.
        #[test]
        fn the_t_quantile_agrees_with_the_library(p in 0.51_f64..0.9995, freedom in 1_u32..200) {
            let student = StudentsT::new(0.0, 1.0, f64::from(freedom)).unwrap();
            let back = student.cdf(t_quantile(p, f64::from(freedom)));
            prop_assert!((back - p).abs() < 1e-11, "{back}, not {p}");
        }
    }
}
