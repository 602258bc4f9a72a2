//! Whole numbers of any size, in decimal: what [`super::Quantity`] falls back to.
//!
//! Limbs hold nine decimal digits each, so that multiplying and dividing by powers of ten, which is
//! nearly all that a quantity does, moves limbs instead of dividing.

use std::cmp::Ordering;
use std::fmt;

use super::cast;

const BASE: u64 = 1_000_000_000;
const DIGITS: u32 = 9;

/// A signed whole number of any size.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Big {
    negative: bool,
    /// Nine digits a limb, the least first, no zero limb last; empty for zero.
    limbs: Vec<u32>,
}

impl Big {
    /// From ASCII digits.
    pub(super) fn from_digits(digits: &str) -> Self {
        let chunks = digits.as_bytes().rchunks(9);
        let limb =
            |chunk: &[u8]| chunk.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
        Self { negative: false, limbs: chunks.map(limb).collect() }.trimmed()
    }

    pub(super) const fn is_zero(&self) -> bool {
        self.limbs.is_empty()
    }

    /// −1, 0 or 1.
    pub(super) const fn sign(&self) -> i32 {
        match (self.is_zero(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    pub(super) fn negated(mut self) -> Self {
        self.negative = !self.negative && !self.is_zero();
        self
    }

    pub(super) fn abs(mut self) -> Self {
        self.negative = false;
        self
    }

    fn trimmed(mut self) -> Self {
        while self.limbs.last() == Some(&0) {
            self.limbs.pop();
        }
        self.negative &= !self.limbs.is_empty();
        self
    }

    fn times_small(&mut self, factor: u32) {
        let mut carry = 0;
        for limb in &mut self.limbs {
            let product = u64::from(*limb) * u64::from(factor) + carry;
            *limb = low(product);
            carry = product / BASE;
        }
        if carry > 0 {
            self.limbs.push(low(carry));
        }
    }

    /// Divides the magnitude, cut; gives the remainder of the magnitude.
    fn divide_small(&mut self, divisor: u32) -> u32 {
        let mut rest = 0;
        for limb in self.limbs.iter_mut().rev() {
            let value = rest * BASE + u64::from(*limb);
            *limb = low(value / u64::from(divisor));
            rest = value % u64::from(divisor);
        }
        *self = std::mem::take(self).trimmed();
        low(rest)
    }

    pub(super) fn times_pow2(mut self, exponent: u32) -> Self {
        for _ in 0..exponent / 20 {
            self.times_small(1 << 20);
        }
        self.times_small(1 << (exponent % 20));
        self.trimmed()
    }

    pub(super) fn times_pow10(mut self, exponent: u32) -> Self {
        if self.is_zero() {
            return self;
        }
        self.times_small(10_u32.pow(exponent % DIGITS));
        let shift = cast::usize_of(exponent / DIGITS);
        self.limbs.splice(0..0, std::iter::repeat_n(0, shift));
        self
    }

    /// Divides the magnitude by 10^exponent, cut towards zero; says whether anything was cut off.
    pub(super) fn divided_pow10(mut self, exponent: u32) -> (Self, bool) {
        let shift = cast::usize_of(exponent / DIGITS).min(self.limbs.len());
        let mut lost = self.limbs.drain(..shift).any(|limb| limb != 0);
        lost |= self.divide_small(10_u32.pow(exponent % DIGITS)) != 0;
        (self, lost)
    }

    /// Divides the magnitude by 10^exponent, rounded away from zero; says whether it was exact.
    pub(super) fn divided_pow10_away(self, exponent: u32) -> (Self, bool) {
        let negative = self.negative;
        let (cut, lost) = self.abs().divided_pow10(exponent);
        let rounded = if lost { cut.plus(&Self::from(1)) } else { cut };
        (if negative { rounded.negated() } else { rounded }, !lost)
    }

    /// The number without its factors of `base` (at most `most` of them), and how many there were.
    pub(super) fn without_factors(mut self, base: u32, most: u32) -> (Self, u32) {
        let mut times = 0;
        while times < most && !self.is_zero() {
            let mut divided = self.clone();
            if divided.divide_small(base) != 0 {
                break;
            }
            self = divided;
            times += 1;
        }
        (self, times)
    }

    pub(super) fn plus(&self, other: &Self) -> Self {
        if self.negative == other.negative {
            return Self { negative: self.negative, limbs: sum(&self.limbs, &other.limbs) }
                .trimmed();
        }
        let (big, small) = match compare(&self.limbs, &other.limbs) {
            Ordering::Less => (other, self),
            _ => (self, other),
        };
        Self { negative: big.negative, limbs: difference(&big.limbs, &small.limbs) }.trimmed()
    }

    /// The low 63 bits with the sign, as Go's `big.Int.Int64` leaves them when it overflows.
    pub(super) fn low_i64(&self) -> i64 {
        let magnitude = self
            .limbs
            .iter()
            .rev()
            .fold(0_u64, |sum, limb| sum.wrapping_mul(BASE).wrapping_add(u64::from(*limb)));
        let low = magnitude.cast_signed();
        if self.negative { low.wrapping_neg() } else { low }
    }

    /// The nearest float, ties to even.
    pub(super) fn nearest_f64(&self) -> f64 {
        self.to_string().parse().expect("digits are a number")
    }
}

/// The value of a limb that is known to be below the base.
fn low(value: u64) -> u32 {
    u32::try_from(value % BASE).expect("a limb is below 10^9")
}

fn compare(left: &[u32], right: &[u32]) -> Ordering {
    let lengths = left.len().cmp(&right.len());
    lengths.then_with(|| left.iter().rev().cmp(right.iter().rev()))
}

fn sum(left: &[u32], right: &[u32]) -> Vec<u32> {
    let mut carry = 0;
    let mut limbs = Vec::with_capacity(left.len().max(right.len()) + 1);
    for index in 0..left.len().max(right.len()) {
        let limb = |side: &[u32]| u64::from(side.get(index).copied().unwrap_or(0));
        let total = limb(left) + limb(right) + carry;
        limbs.push(low(total));
        carry = total / BASE;
    }
    limbs.push(low(carry));
    limbs
}

/// The left one is not the smaller.
fn difference(left: &[u32], right: &[u32]) -> Vec<u32> {
    let mut borrow = 0;
    let mut limbs = Vec::with_capacity(left.len());
    for (index, limb) in left.iter().enumerate() {
        let take = u64::from(right.get(index).copied().unwrap_or(0)) + borrow;
        let total = u64::from(*limb) + BASE - take;
        limbs.push(low(total));
        borrow = 1 - total / BASE;
    }
    limbs
}

impl From<i64> for Big {
    fn from(value: i64) -> Self {
        let mut rest = value.unsigned_abs();
        let mut limbs = Vec::with_capacity(3);
        while rest > 0 {
            limbs.push(low(rest));
            rest /= BASE;
        }
        Self { negative: value < 0, limbs }
    }
}

impl PartialOrd for Big {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Big {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => compare(&self.limbs, &other.limbs),
            (true, true) => compare(&other.limbs, &self.limbs),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }
}

impl fmt::Display for Big {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((most, rest)) = self.limbs.split_last() else {
            return f.write_str("0");
        };
        write!(f, "{}{most}", if self.negative { "-" } else { "" })?;
        rest.iter().rev().try_for_each(|limb| write!(f, "{limb:09}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn big(text: &str) -> Big {
        match text.strip_prefix('-') {
            Some(digits) => Big::from_digits(digits).negated(),
            None => Big::from_digits(text),
        }
    }

    #[test]
    fn arithmetic_across_limbs() {
        assert_eq!(big("999999999999999999").plus(&big("1")).to_string(), "1000000000000000000");
        assert_eq!(big("1000000000000000000").plus(&big("-1")).to_string(), "999999999999999999");
        assert_eq!(big("-5").plus(&big("5")), Big::default());
        // 7 * 2^60 = 8070450532247928832
        assert_eq!(big("7").times_pow2(60).to_string(), "8070450532247928832");
        assert_eq!(big("12").times_pow10(20).to_string(), "1200000000000000000000");
        assert_eq!(big("1200000000000000000001").divided_pow10(20), (big("12"), true));
        assert_eq!(big("-1201").divided_pow10_away(2), (big("-13"), false));
        assert_eq!(big("4194304").without_factors(1_024, 9), (big("4"), 2));
        assert!(big("-10") < big("-9") && big("-9") < big("0") && big("9") < big("1000000000"));
    }

    #[test]
    fn low_bits_wrap_as_in_go() {
        // 2^64 + 5 keeps 5
        assert_eq!(big("18446744073709551621").low_i64(), 5);
        assert_eq!(big("-18446744073709551621").low_i64(), -5);
        assert_eq!(Big::from(i64::MIN).low_i64(), i64::MIN);
    }
}
