//! Reads a quantity: takes the text apart and picks the shape of the number.

use super::super::big::Big;
use super::super::cast;
use super::{Amount, BINARY, DECIMAL, Format, Quantity, QuantityError};

/// Finer than this is rounded away from zero.
const NANO: i32 = -9;
const EXPONENT_MAX: i64 = 100_000;

/// Source: kubernetes v1.36.3 resource/quantity.go `ParseQuantity` (recorded).
pub(super) fn quantity(text: &str) -> Result<Quantity, QuantityError> {
    let parts = Parts::split(text)?;
    let suffix = Suffix::of(parts.suffix)?;
    match parts.small(suffix, text) {
        Some(small) => Ok(small),
        None => parts.large(suffix),
    }
}

/// A text taken apart: `-01.50Gi` is negative, value `-01.50`, whole `1`, part `50`, suffix `Gi`.
struct Parts<'a> {
    negative: bool,
    value: &'a str,
    whole: &'a str,
    part: &'a str,
    suffix: &'a str,
}

impl<'a> Parts<'a> {
    /// Source: kubernetes v1.36.3 resource/quantity.go `parseQuantityString`.
    fn split(text: &'a str) -> Result<Self, QuantityError> {
        if text.is_empty() {
            return Err(QuantityError::Format);
        }
        let negative = text.starts_with('-');
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let number = unsigned.trim_start_matches('0');
        if number.is_empty() {
            return Ok(Self { negative, value: "0", whole: "0", part: "", suffix: "" });
        }
        let (whole, rest) = digits(number);
        let (part, suffix) = rest.strip_prefix('.').map_or(("", rest), digits);
        let value = &text[..text.len() - suffix.len()];
        let letters = suffix.trim_start_matches(|letter| "eEinumkKMGTP".contains(letter));
        let exponent = letters.strip_prefix(['-', '+']).unwrap_or(letters);
        if !digits(exponent).1.is_empty() {
            return Err(QuantityError::Format);
        }
        let whole = if whole.is_empty() { "0" } else { whole };
        Ok(Self { negative, value, whole, part, suffix })
    }

    /// The number in the small shape, or none when it may not fit.
    fn small(&self, suffix: Suffix, text: &str) -> Option<Quantity> {
        let count = cast::i32_of_usize(self.whole.len() + self.part.len());
        let (factor, exponent, spare) = match suffix.format {
            Format::BinarySI if !self.part.is_empty() => return None,
            // 2^10 takes about three digits
            Format::BinarySI => {
                (1_i64 << suffix.exponent, 0, 14 - suffix.exponent * 3 / 10 - count)
            }
            _ => (1, suffix.exponent, 18 - count),
        };
        let exponent = exponent - cast::i32_of_usize(self.part.len());
        if spare < 0 || exponent < NANO {
            return None;
        }
        let shifted = format!("{}{}", self.whole, self.part);
        let digits: i64 = shifted.parse().expect("at most 18 digits fit");
        let magnitude = digits.checked_mul(factor)?;
        let kept = match suffix.format {
            Format::BinarySI => digits & 7 != 0,
            _ => exponent % 3 == 0 && !shifted.ends_with("000") && !shifted.starts_with('0'),
        };
        // A lone 0 keeps its text too, but that is its canonical text anyway.
        let text = kept.then(|| text.into());
        let value = if self.negative { -magnitude } else { magnitude };
        Some(Quantity { amount: Amount::Int { value, exponent }, format: suffix.format, text })
    }

    /// The number in the large shape: rounded away from zero to whole nanos, binary ones capped.
    fn large(&self, suffix: Suffix) -> Result<Quantity, QuantityError> {
        let mut numerals: String = self.value.chars().filter(char::is_ascii_digit).collect();
        if numerals.is_empty() {
            return Err(QuantityError::Numeric);
        }
        numerals.insert(0, '0');
        let mut unscaled = Big::from_digits(&numerals);
        let mut scale = cast::i32_of_usize(self.part.len());
        let mut format = suffix.format;
        if format == Format::BinarySI {
            unscaled = unscaled.times_pow2(suffix.exponent.unsigned_abs());
        } else {
            scale -= suffix.exponent;
        }
        if !unscaled.is_zero() {
            (unscaled, scale) = (to_nanos(unscaled, scale), -NANO);
        }
        let nanos = |value: i64| Big::from(value).times_pow10(NANO.unsigned_abs());
        if format == Format::BinarySI && unscaled > nanos(i64::MAX) {
            (unscaled, scale) = (Big::from(i64::MAX), 0);
        } else if format == Format::BinarySI && !unscaled.is_zero() && unscaled < nanos(1) {
            format = Format::DecimalSI;
        }
        let unscaled = if self.negative { unscaled.negated() } else { unscaled };
        Ok(Quantity { amount: Amount::Dec { unscaled, scale }, format, text: None })
    }
}

fn to_nanos(unscaled: Big, scale: i32) -> Big {
    let spare = scale + NANO;
    if spare <= 0 {
        return unscaled.times_pow10(spare.unsigned_abs());
    }
    unscaled.divided_pow10_away(spare.unsigned_abs()).0
}

/// The leading digits and the rest.
fn digits(text: &str) -> (&str, &str) {
    let rest = text.trim_start_matches(|letter: char| letter.is_ascii_digit());
    text.split_at(text.len() - rest.len())
}

#[derive(Clone, Copy)]
struct Suffix {
    format: Format,
    /// A power of two for binary ones, of ten otherwise.
    exponent: i32,
}

impl Suffix {
    /// Source: kubernetes v1.36.3 resource/suffix.go `interpret`.
    fn of(text: &str) -> Result<Self, QuantityError> {
        if let Some((_, exponent)) = DECIMAL.iter().find(|(name, _)| *name == text) {
            return Ok(Self { format: Format::DecimalSI, exponent: *exponent });
        }
        if let Some(index) = BINARY.iter().position(|name| *name == text) {
            let exponent = cast::i32_of_usize(index * 10);
            return Ok(Self { format: Format::BinarySI, exponent });
        }
        let exponent = text.strip_prefix(['e', 'E']).and_then(|power| power.parse::<i64>().ok());
        let exponent = exponent.filter(|power| (-EXPONENT_MAX..=EXPONENT_MAX).contains(power));
        let exponent = exponent.and_then(|power| i32::try_from(power).ok());
        let exponent = exponent.ok_or(QuantityError::Suffix)?;
        Ok(Self { format: Format::DecimalExponent, exponent })
    }
}
