//! Distributions (placeholder: the real file replaces this one whole).

use rand::Rng;

use super::Duration;

/// A distribution of a non-negative quantity.
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution {
    /// Always the same value.
    Constant(f64),
}

impl Distribution {
    /// One draw.
    pub fn sample(&self, _rng: &mut impl Rng) -> f64 {
        let Self::Constant(value) = self;
        *value
    }

    /// One draw, as a span of time in seconds.
    pub fn sample_duration(&self, rng: &mut impl Rng) -> Duration {
        Duration::from_secs_f64(self.sample(rng))
    }
}
