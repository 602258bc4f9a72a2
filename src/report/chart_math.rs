//! The few conversions and powers that drawing needs, each in one place.
//!
//! Logarithms and powers are libm's, so that a figure has the same bytes on every platform.

/// A count as a number; exact up to 2^53, far above what a chart holds.
#[expect(clippy::cast_precision_loss, reason = "counts of points are far below 2^53")]
pub(super) fn count(n: usize) -> f64 {
    n as f64
}

/// To the nearest whole pixel. Drawings are below a million pixels; more saturates.
#[expect(clippy::cast_possible_truncation, reason = "rounded and clamped first")]
pub(super) fn pixel(v: f64) -> i32 {
    v.round().clamp(-1e9, 1e9) as i32
}

/// A number that is known to be whole and not negative, as an index.
pub(super) fn index(v: f64) -> usize {
    usize::try_from(pixel(v).max(0)).unwrap_or(0)
}

/// Single precision, as the font code wants it.
#[expect(clippy::cast_possible_truncation, reason = "glyphs need no more precision")]
pub(super) fn single(v: f64) -> f32 {
    v as f32
}

/// Base-10 logarithm.
pub(super) fn log10(v: f64) -> f64 {
    libm::log10(v)
}

/// Ten to a whole power.
pub(super) fn pow10(exponent: f64) -> f64 {
    libm::pow(10.0, exponent)
}

/// The smallest of 1, 2, 5 times a power of ten that is at least `raw` (above 0).
pub(super) fn round_step(raw: f64) -> f64 {
    let base = pow10(log10(raw).floor());
    [1.0, 2.0, 5.0, 10.0].iter().map(|m| m * base).find(|s| *s >= raw * 0.999_999).unwrap_or(raw)
}

/// The least and greatest of the finite numbers added to it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span(pub(super) Option<(f64, f64)>);

impl Span {
    pub(super) fn add(&mut self, v: f64) {
        if v.is_finite() {
            self.0 = Some(self.0.map_or((v, v), |(lo, hi)| (lo.min(v), hi.max(v))));
        }
    }

    /// Room for a dot at either end.
    pub(super) fn widen(&mut self, share: f64) {
        if let Some((low, high)) = &mut self.0 {
            let room = (*high - *low) * share;
            *low -= room;
            *high += room;
        }
    }

    /// For a log axis: what is not above 0 has no place there.
    pub(super) fn add_on(&mut self, v: f64, log: bool) {
        if !log || v > 0.0 {
            self.add(v);
        }
    }
}
