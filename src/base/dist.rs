//! Distributions of a number, drawn by inversion.
//!
//! One draw takes one uniform number and turns it into the value below which that share of the
//! distribution lies. So draws stay aligned when a parameter changes: the tenth service time of two
//! policies has the same rank in both, which makes their difference sharp. Values are plain floats;
//! used for time they are seconds.

use rand::Rng;

use super::math::{exp, exp_m1, gamma, ln, ln_1p, normal_quantile, pow, sqrt};
use super::{Duration, cast};

/// A distribution of a number.
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution {
    /// Always the same value.
    Constant(f64),
    /// Every value between the two is as likely.
    Uniform {
        /// The smallest value.
        low: f64,
        /// The largest value.
        high: f64,
    },
    /// The time to the next of events that come at a constant rate.
    Exponential {
        /// The mean.
        mean: f64,
    },
    /// The logarithm is normal: service times, start times.
    LogNormal {
        /// Half of the values are below this.
        median: f64,
        /// The standard deviation of the logarithm.
        sigma: f64,
    },
    /// The time to a failure whose rate grows (shape above 1) or falls (below 1) with age.
    Weibull {
        /// The shape.
        shape: f64,
        /// 63 % of the values are below this.
        scale: f64,
    },
    /// A heavy tail: the share above x is (minimum / x)^shape.
    Pareto {
        /// The shape, alpha; the mean is infinite up to 1.
        shape: f64,
        /// The smallest value.
        minimum: f64,
    },
    /// As measured.
    Empirical(Empirical),
}

/// Why a distribution cannot be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DistributionError {
    /// A parameter that must be above zero, or not below it, or finite.
    #[error("{parameter} of {shape} must be {must}")]
    Parameter {
        /// The kind of distribution.
        shape: &'static str,
        /// The parameter.
        parameter: &'static str,
        /// What it must be.
        must: &'static str,
    },
    /// The percentile lies below the median.
    #[error("p99 of a log-normal must not be below its median")]
    P99BelowMedian,
    /// The bounds are the wrong way round.
    #[error("high end of a uniform distribution must not be below its low end")]
    HighBelowLow,
    /// Nothing was measured.
    #[error("an empirical distribution needs at least one value")]
    Empty,
    /// The points do not rise.
    #[error("points of an empirical distribution must rise to the probability 1")]
    NotRising,
}

/// The 99th percentile of the standard normal distribution.
const Z99: f64 = 2.326_347_874_040_841;

impl Distribution {
    /// Evenly between the two.
    pub const fn uniform(low: f64, high: f64) -> Self {
        Self::Uniform { low, high }
    }

    /// Exponential with that mean.
    pub const fn exponential(mean: f64) -> Self {
        Self::Exponential { mean }
    }

    /// Log-normal by what people measure: half are below the median, 99 of 100 below `p99`.
    ///
    /// sigma = ln(p99 / median) / z₀.₉₉
    pub fn log_normal_p99(median: f64, p99: f64) -> Self {
        Self::LogNormal { median, sigma: ln(p99 / median) / Z99 }
    }

    /// Log-normal by mean and coefficient of variation (standard deviation / mean).
    ///
    /// sigma² = ln(1 + cv²), median = mean / √(1 + cv²)
    pub fn log_normal_cv(mean: f64, cv: f64) -> Self {
        Self::LogNormal { median: mean / sqrt(1.0 + cv * cv), sigma: sqrt(ln_1p(cv * cv)) }
    }

    /// Says what is wrong with the parameters.
    ///
    /// # Errors
    /// A parameter out of its range; for a time every value must also not be negative.
    pub fn validate(&self) -> Result<(), DistributionError> {
        let check = |shape, parameter, value: f64, from: f64| {
            let must = if from > 0.0 { "a finite number above zero" } else { "zero or more" };
            let ok = value.is_finite() && (value > 0.0 || (value >= 0.0 && from <= 0.0));
            if ok { Ok(()) } else { Err(DistributionError::Parameter { shape, parameter, must }) }
        };
        let (positive, zero) = (1.0, 0.0);
        match self {
            Self::Constant(value) => check("a constant", "the value", *value, zero),
            Self::Uniform { low, high } => {
                check("a uniform distribution", "the low end", *low, zero)?;
                check("a uniform distribution", "the high end", *high, zero)?;
                if high < low { Err(DistributionError::HighBelowLow) } else { Ok(()) }
            }
            Self::Exponential { mean } => check("an exponential", "the mean", *mean, zero),
            Self::LogNormal { median, sigma } => {
                check("a log-normal", "the median", *median, positive)?;
                if *sigma < 0.0 {
                    return Err(DistributionError::P99BelowMedian);
                }
                check("a log-normal", "the spread", *sigma, zero)
            }
            Self::Weibull { shape, scale } => {
                check("a Weibull", "the shape", *shape, positive)?;
                check("a Weibull", "the scale", *scale, positive)
            }
            Self::Pareto { shape, minimum } => {
                check("a Pareto", "the shape", *shape, positive)?;
                check("a Pareto", "the minimum", *minimum, positive)
            }
            Self::Empirical(measured) => {
                check("an empirical distribution", "every value", measured.lowest(), zero)
            }
        }
    }

    /// The mean; infinite for a Pareto with shape up to 1.
    pub fn mean(&self) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Uniform { low, high } => f64::midpoint(*low, *high),
            Self::Exponential { mean } => *mean,
            Self::LogNormal { median, sigma } => median * exp(sigma * sigma / 2.0),
            Self::Weibull { shape, scale } => scale * gamma(1.0 + 1.0 / shape),
            Self::Pareto { shape, minimum } if *shape > 1.0 => shape * minimum / (shape - 1.0),
            Self::Pareto { .. } => f64::INFINITY,
            Self::Empirical(measured) => measured.mean(),
        }
    }

    /// The standard deviation divided by the mean; infinite for a Pareto with shape up to 2.
    pub fn coefficient_of_variation(&self) -> f64 {
        match self {
            Self::Constant(_) => 0.0,
            Self::Uniform { low, high } => (high - low) / (sqrt(12.0) * self.mean()),
            Self::Exponential { .. } => 1.0,
            Self::LogNormal { sigma, .. } => sqrt(exp_m1(sigma * sigma)),
            Self::Weibull { shape, .. } => {
                let first = gamma(1.0 + 1.0 / shape);
                sqrt((gamma(1.0 + 2.0 / shape) / (first * first) - 1.0).max(0.0))
            }
            Self::Pareto { shape, .. } if *shape > 2.0 => sqrt(1.0 / (shape * (shape - 2.0))),
            Self::Pareto { .. } => f64::INFINITY,
            Self::Empirical(measured) => sqrt(measured.variance()) / measured.mean(),
        }
    }

    /// The value that the share `p` of all values is below; 0 < p < 1.
    pub fn quantile(&self, p: f64) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Uniform { low, high } => low + (high - low) * p,
            Self::Exponential { mean } => -mean * ln_1p(-p),
            Self::LogNormal { median, sigma } => median * exp(sigma * normal_quantile(p)),
            Self::Weibull { shape, scale } => scale * pow(-ln_1p(-p), 1.0 / shape),
            Self::Pareto { shape, minimum } => minimum * pow(1.0 - p, -1.0 / shape),
            Self::Empirical(measured) => measured.quantile(p),
        }
    }

    /// One draw, by one uniform number. A constant draws one too, so that the stream stays aligned
    /// when a constant is replaced by something random.
    pub fn sample(&self, rng: &mut impl Rng) -> f64 {
        self.quantile(open01(rng))
    }

    /// One draw in seconds, as a span; below zero counts as zero.
    pub fn sample_duration(&self, rng: &mut impl Rng) -> Duration {
        Duration::from_secs_f64(self.sample(rng))
    }

    /// True when every draw is the same.
    pub fn is_constant(&self) -> bool {
        match self {
            Self::Constant(_) => true,
            Self::Uniform { low, high } => high <= low,
            Self::LogNormal { sigma, .. } => *sigma <= 0.0,
            Self::Exponential { mean } => *mean <= 0.0,
            Self::Empirical(measured) => measured
                .points
                .iter()
                .all(|point| point.value.total_cmp(&measured.points[0].value).is_eq()),
            Self::Weibull { .. } | Self::Pareto { .. } => false,
        }
    }

    /// The same shape with every value multiplied.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        match self {
            Self::Constant(value) => Self::Constant(value * factor),
            Self::Uniform { low, high } => Self::Uniform { low: low * factor, high: high * factor },
            Self::Exponential { mean } => Self::Exponential { mean: mean * factor },
            Self::LogNormal { median, sigma } => {
                Self::LogNormal { median: median * factor, sigma: *sigma }
            }
            Self::Weibull { shape, scale } => {
                Self::Weibull { shape: *shape, scale: scale * factor }
            }
            Self::Pareto { shape, minimum } => {
                Self::Pareto { shape: *shape, minimum: minimum * factor }
            }
            Self::Empirical(measured) => Self::Empirical(measured.scaled(factor)),
        }
    }
}

/// A uniform number strictly between 0 and 1: 53 random bits and half a step.
pub fn open01(rng: &mut impl Rng) -> f64 {
    open01_of(rng.next_u64())
}

/// The uniform number strictly between 0 and 1 that stands in a random word.
pub const fn open01_of(word: u64) -> f64 {
    const STEP: f64 = 1.0 / 9_007_199_254_740_992.0; // 2^−53
    // The largest, (2^53 − 1/2) · 2^−53, would round to 1.
    ((cast::f64_of_u64(word >> 11) + 0.5) * STEP).min(1.0 - STEP)
}

/// Mixes a number into one without order (the finaliser of splitmix64): a cheap hash, and a way to
/// more than one random word from one.
///
/// Source: G. Steele, D. Lea, C. Flood, Fast splittable pseudorandom number generators, OOPSLA
/// 2014.
pub const fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A measured distribution: points of its cumulative curve, straight lines between them.
#[derive(Clone, Debug, PartialEq)]
pub struct Empirical {
    /// Rising in both; the last has the probability 1.
    points: Vec<Point>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    value: f64,
    /// The share of all values that are at most this one.
    share: f64,
}

impl Empirical {
    /// From points (value, share of values at most that one). The shares rise to 1; when the first
    /// is above 0, that share of the values is the first value itself.
    ///
    /// # Errors
    /// No points, values that fall, shares that do not rise, a last share other than 1.
    pub fn from_points(points: &[(f64, f64)]) -> Result<Self, DistributionError> {
        let points: Vec<_> =
            points.iter().map(|(value, share)| Point { value: *value, share: *share }).collect();
        let (Some(first), Some(last)) = (points.first(), points.last()) else {
            return Err(DistributionError::Empty);
        };
        let pairs = points.iter().zip(points.iter().skip(1));
        let rising = pairs.into_iter().all(|(a, b)| b.value >= a.value && b.share > a.share);
        let whole = first.share >= 0.0 && (last.share - 1.0).abs() < 1e-9;
        let finite = points.iter().all(|point| point.value.is_finite());
        if !rising || !whole || !finite {
            return Err(DistributionError::NotRising);
        }
        Ok(Self { points })
    }

    /// From measured values in any order: the smallest has the share 0, the largest the share 1, so
    /// that a draw is the exact quantile of type 7 of the values.
    ///
    /// # Errors
    /// No values, or one that is no number.
    pub fn from_samples(samples: &[f64]) -> Result<Self, DistributionError> {
        let mut values = samples.to_vec();
        values.sort_by(f64::total_cmp);
        if values.iter().any(|value| !value.is_finite()) {
            return Err(DistributionError::NotRising);
        }
        let steps = cast::f64_of_usize(values.len().max(2) - 1);
        let share = |index| {
            if values.len() == 1 { 1.0 } else { cast::f64_of_usize(index) / steps }
        };
        let points = values.iter().enumerate();
        let points: Vec<_> =
            points.map(|(index, value)| Point { value: *value, share: share(index) }).collect();
        if points.is_empty() { Err(DistributionError::Empty) } else { Ok(Self { points }) }
    }

    fn lowest(&self) -> f64 {
        self.points[0].value
    }

    fn quantile(&self, p: f64) -> f64 {
        let after = self.points.partition_point(|point| point.share < p);
        let upper = self.points[after.min(self.points.len() - 1)];
        let Some(before) = after.checked_sub(1) else {
            return upper.value;
        };
        let lower = self.points[before];
        let width = upper.share - lower.share;
        if width <= 0.0 {
            return upper.value;
        }
        lower.value + (upper.value - lower.value) * ((p - lower.share) / width)
    }

    /// Each line is a uniform distribution of its own, weighted by its share.
    fn moment(&self, of_line: impl Fn(f64, f64) -> f64) -> f64 {
        let first = self.points[0];
        let lines = self.points.iter().zip(self.points.iter().skip(1));
        let sum = lines.map(|(a, b)| (b.share - a.share) * of_line(a.value, b.value));
        sum.fold(first.share * of_line(first.value, first.value), |total, part| total + part)
    }

    fn mean(&self) -> f64 {
        self.moment(f64::midpoint)
    }

    fn variance(&self) -> f64 {
        let square = self.moment(|a, b| (a * a + a * b + b * b) / 3.0);
        (square - self.mean() * self.mean()).max(0.0)
    }

    fn scaled(&self, factor: f64) -> Self {
        let points = self.points.iter();
        let points = points.map(|point| Point { value: point.value * factor, share: point.share });
        Self { points: points.collect() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn all() -> Vec<Distribution> {
        vec![
            Distribution::Constant(3.0),
            Distribution::uniform(1.0, 3.0),
            Distribution::exponential(2.0),
            Distribution::log_normal_p99(0.02, 0.08),
            Distribution::log_normal_cv(5.0, 0.5),
            Distribution::Weibull { shape: 1.5, scale: 2.0 },
            Distribution::Pareto { shape: 3.0, minimum: 1.0 },
            Distribution::Empirical(Empirical::from_samples(&[5.0, 1.0, 2.0]).unwrap()),
        ]
    }

    #[test]
    fn the_mean_and_spread_of_many_draws_are_those_of_the_distribution() {
        for distribution in all() {
            assert_eq!(distribution.validate(), Ok(()));
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            let draws: Vec<f64> = (0..200_000).map(|_| distribution.sample(&mut rng)).collect();
            let mean = draws.iter().sum::<f64>() / 200_000.0;
            assert!((mean / distribution.mean() - 1.0).abs() < 0.01, "{distribution:?}: {mean}");
            let square = draws.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / 200_000.0;
            let cv = sqrt(square) / mean;
            let expected = distribution.coefficient_of_variation();
            assert!((cv - expected).abs() < 0.05, "{distribution:?}: {cv}, not {expected}");
        }
    }

    #[test]
    fn quantiles_by_hand() {
        let near =
            |x: f64, y: f64| assert!((x - y).abs() < 1e-9 * y.abs().max(1.0), "{x}, not {y}");
        let start = Distribution::log_normal_p99(4.0, 9.0);
        near(start.quantile(0.5), 4.0);
        near(start.quantile(0.99), 9.0);
        // −2 · ln(1 − 0.5) = 1.386…
        near(Distribution::exponential(2.0).quantile(0.5), 1.386_294_361_119_890_6);
        // 1 / (1 − 0.875)^(1/3) = 2
        near(Distribution::Pareto { shape: 3.0, minimum: 1.0 }.quantile(0.875), 2.0);
        // a Weibull of shape 1 is exponential
        near(
            Distribution::Weibull { shape: 1.0, scale: 2.0 }.quantile(0.5),
            1.386_294_361_119_890_6,
        );
        let measured = Empirical::from_samples(&[1.0, 2.0, 5.0]).unwrap();
        near(measured.quantile(0.75), 3.5);
        // half of the values are 1 itself, the rest lies evenly between 1 and 3
        let points = Empirical::from_points(&[(1.0, 0.5), (3.0, 1.0)]).unwrap();
        near(points.quantile(0.3), 1.0);
        near(points.quantile(0.75), 2.0);
        near(points.mean(), 1.5);
    }

    #[test]
    fn a_draw_takes_one_number_whatever_the_shape() {
        for distribution in all() {
            let mut rng = ChaCha8Rng::seed_from_u64(7);
            distribution.sample(&mut rng);
            let mut other = ChaCha8Rng::seed_from_u64(7);
            other.next_u64();
            assert_eq!(rng.next_u64(), other.next_u64(), "{distribution:?}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let refused = |distribution: Distribution| distribution.validate().unwrap_err().to_string();
        assert_eq!(
            refused(Distribution::exponential(-1.0)),
            "the mean of an exponential must be zero or more"
        );
        assert_eq!(
            refused(Distribution::log_normal_p99(9.0, 4.0)),
            "p99 of a log-normal must not be below its median"
        );
        assert!(Distribution::uniform(3.0, 1.0).validate().is_err());
        assert!(Distribution::Constant(f64::NAN).validate().is_err());
        assert!(Empirical::from_samples(&[]).is_err());
        assert!(Empirical::from_points(&[(1.0, 0.2), (2.0, 0.9)]).is_err());
    }

    proptest! {
        #[test]
        fn quantiles_rise(p in 0.001_f64..0.999, step in 0.0_f64..0.001) {
            for distribution in all() {
                prop_assert!(distribution.quantile(p + step) >= distribution.quantile(p));
            }
        }

        #[test]
        fn uniform_numbers_are_strictly_inside(seed in any::<u64>()) {
            let number = open01(&mut ChaCha8Rng::seed_from_u64(seed));
            prop_assert!(0.0 < number && number < 1.0);
        }
    }
}
