//! Conversions between number types that say what happens at the edges.
//!
//! `as` is linted everywhere else, because it hides whether a value can be lost. These are the few
//! conversions that the simulator needs, each with its rule in its name or its doc.

/// The nearest float; exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "nearest is the rule of this function")]
pub const fn f64_of_u64(value: u64) -> f64 {
    value as f64
}

/// A float near the number, for estimates.
#[expect(clippy::cast_precision_loss, reason = "near is enough of an estimate")]
pub const fn f32_of_i64(value: i64) -> f32 {
    value as f32
}

/// The nearest float; exact up to 2^53 in magnitude.
#[expect(clippy::cast_precision_loss, reason = "nearest is the rule of this function")]
pub const fn f64_of_i64(value: i64) -> f64 {
    value as f64
}

/// The nearest float; exact up to 2^53 in magnitude.
#[expect(clippy::cast_precision_loss, reason = "nearest is the rule of this function")]
pub const fn f64_of_i128(value: i128) -> f64 {
    value as f64
}

/// The nearest float of a count or a length; exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "nearest is the rule of this function")]
pub const fn f64_of_usize(value: usize) -> f64 {
    value as f64
}

/// Cut towards zero, like Go's `int64(f)` inside its range; saturates outside, NaN gives 0.
#[expect(clippy::cast_possible_truncation, reason = "cutting is the rule of this function")]
pub const fn i64_trunc(value: f64) -> i64 {
    value as i64
}

/// Cut towards zero; below zero and NaN give 0, above the range the maximum.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "cutting and saturating is the rule of this function"
)]
pub const fn u64_trunc(value: f64) -> u64 {
    value as u64
}

/// To the nearest, from half on upwards; below zero and NaN give 0, above the range the maximum.
/// What `round` and a cut give, without a call of the platform's library.
pub const fn u64_round(value: f64) -> u64 {
    let whole = u64_trunc(value);
    let is_up = value - f64_of_u64(whole) >= 0.5;
    whole.saturating_add(is_up as u64)
}

/// Cut towards zero; below zero and NaN give 0, above the range the maximum.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "cutting and saturating is the rule of this function"
)]
pub const fn usize_trunc(value: f64) -> usize {
    value as usize
}

/// A count as `u32`.
///
/// # Panics
/// When it does not fit, which means that a limit on objects was forgotten.
pub const fn u32_of(value: usize) -> u32 {
    assert!(value <= u32::MAX as usize, "count does not fit into 32 bits");
    #[expect(clippy::cast_possible_truncation, reason = "asserted above")]
    let narrow = value as u32;
    narrow
}

/// A small count as `i32`.
///
/// # Panics
/// When it does not fit: a text or a table of two thousand million entries.
pub fn i32_of(value: u32) -> i32 {
    i32::try_from(value).expect("a small count")
}

/// A small length as `i32`.
///
/// # Panics
/// When it does not fit: a text or a table of two thousand million entries.
pub fn i32_of_usize(value: usize) -> i32 {
    i32::try_from(value).expect("a small length")
}

/// A `u32` as an index; never loses anything on the platforms we build for.
pub const fn usize_of(value: u32) -> usize {
    value as usize
}

/// A length as `u64`; never loses anything on the platforms we build for.
pub const fn u64_of(value: usize) -> u64 {
    value as u64
}

/// A length as `i64`.
///
/// # Panics
/// When it does not fit, which cannot happen for something that is in memory.
pub fn i64_of(value: usize) -> i64 {
    i64::try_from(value).expect("a length fits into 63 bits")
}

/// A non-negative integer as an index; below zero gives 0.
pub fn usize_of_i64(value: i64) -> usize {
    usize::try_from(value.max(0)).unwrap_or(usize::MAX)
}

/// A wide integer cut to the range of `i64`.
pub fn i64_saturating(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges() {
        assert_eq!(i64_trunc(-1.9), -1);
        assert_eq!(u64_trunc(-1.0), 0);
        assert_eq!(u64_trunc(f64::NAN), 0);
        assert_eq!(u64_trunc(1e30), u64::MAX);
        assert_eq!(usize_trunc(3.999), 3);
        assert_eq!(u32_of(7), 7);
        assert_eq!(usize_of_i64(-3), 0);
        assert_eq!(i64_saturating(i128::MAX), i64::MAX);
        assert_eq!(i64_saturating(i128::MIN), i64::MIN);
        assert_eq!(i64_saturating(-5), -5);
    }

    #[test]
    fn to_the_nearest() {
        let large = f64_of_u64(1 << 52);
        for value in [
            -1.5,
            -0.5,
            0.0,
            0.5,
            0.499_999_999_999_999_94,
            1.5,
            2.5,
            1e9 + 0.5,
            large - 0.5,
            large,
            large + 1.0,
            2.0 * large,
            1.8e19,
            1e30,
            f64::INFINITY,
            f64::NAN,
            f64::NEG_INFINITY,
        ] {
            assert_eq!(u64_round(value), u64_trunc(value.round()), "{value}");
        }
    }
}
