//! Kubernetes' quantities: `500m`, `1.5Gi`, `1e3`.
//!
//! Source: kubernetes v1.36.3 staging/src/k8s.io/apimachinery/pkg/api/resource/{quantity,amount,
//! scale_int,suffix}.go (recorded). A number has two shapes there, a 64-bit integer with a decimal
//! exponent and an arbitrary decimal, and what rounding does depends on the shape; so it has here.
//! Differs: a decimal exponent beyond ±100,000 is refused (the original takes hours over it), and
//! numbers above the largest suffix are written with an exponent or at the largest suffix (the
//! original drops the suffix).

mod parse;

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, Sub};

use super::big::Big;
use super::{cast, math};

/// How a quantity is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Format {
    /// `12e6`.
    DecimalExponent,
    /// `12Mi`, powers of 1024.
    BinarySI,
    /// `12M`, powers of 1000.
    #[default]
    DecimalSI,
}

/// Why a text is no quantity; the messages are Kubernetes' own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum QuantityError {
    /// Not a number with a suffix at all.
    #[error(
        "quantities must match the regular expression \
         '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )]
    Format,
    /// The number does not read.
    #[error("unable to parse numeric part of quantity")]
    Numeric,
    /// The suffix is none that is known.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

/// A fixed-point number with the way it is written.
///
/// Compared and equal by value: `1` equals `1000m`.
#[derive(Clone, Debug, Default)]
pub struct Quantity {
    amount: Amount,
    format: Format,
    /// The text as it was given, kept where Kubernetes keeps it.
    text: Option<Box<str>>,
}

#[derive(Clone, Debug)]
enum Amount {
    /// `value · 10^exponent`.
    Int { value: i64, exponent: i32 },
    /// `unscaled · 10^−scale`.
    Dec { unscaled: Big, scale: i32 },
}

impl Default for Amount {
    fn default() -> Self {
        Self::Int { value: 0, exponent: 0 }
    }
}

const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: [(&str, i32); 10] = [
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];

impl Quantity {
    /// That many whole units.
    pub const fn from_value(value: i64, format: Format) -> Self {
        Self { amount: Amount::Int { value, exponent: 0 }, format, text: None }
    }

    /// That many thousandths.
    pub const fn from_milli(value: i64, format: Format) -> Self {
        Self { amount: Amount::Int { value, exponent: -3 }, format, text: None }
    }

    /// Reads Kubernetes' text.
    ///
    /// # Errors
    /// What is no quantity, with Kubernetes' message.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        parse::quantity(text)
    }

    /// How it is written.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// True for nothing at all.
    pub const fn is_zero(&self) -> bool {
        self.sign() == 0
    }

    /// −1, 0 or 1.
    pub const fn sign(&self) -> i32 {
        match &self.amount {
            Amount::Int { value, .. } => {
                if *value == 0 {
                    0
                } else if *value < 0 {
                    -1
                } else {
                    1
                }
            }
            Amount::Dec { unscaled, .. } => unscaled.sign(),
        }
    }

    /// Whole units, rounded up as Kubernetes does (away from zero in the small shape); what does
    /// not fit into 64 bits is what Go's overflow leaves.
    pub fn value(&self) -> i64 {
        self.scaled_value(0)
    }

    /// Thousandths, rounded up; see [`Quantity::value`].
    pub fn milli_value(&self) -> i64 {
        self.scaled_value(-3)
    }

    /// Multiples of 10^`exponent`, rounded up; see [`Quantity::value`].
    /// Source: kubernetes v1.36.3 resource/quantity.go `ScaledValue` (recorded).
    pub fn scaled_value(&self, exponent: i32) -> i64 {
        match &self.amount {
            Amount::Int { value, exponent: own } if *own < exponent => {
                divide_away(*value, own.abs_diff(exponent))
            }
            Amount::Int { value, exponent: own } => scale_up(*value, own.abs_diff(exponent)),
            Amount::Dec { unscaled, scale } => scale_big(unscaled, scale + exponent),
        }
    }

    /// The float that Kubernetes' `AsApproximateFloat64` gives, bit for bit.
    pub fn approximate_f64(&self) -> f64 {
        let (base, exponent) = match &self.amount {
            Amount::Int { value, exponent } => (cast::f64_of_i64(*value), *exponent),
            Amount::Dec { unscaled, scale } => (unscaled.nearest_f64(), -scale),
        };
        if exponent == 0 { base } else { base * math::pow10(exponent) }
    }

    /// The canonical text, without regard to the text it was given as.
    /// Source: kubernetes v1.36.3 resource/quantity.go `CanonicalizeBytes` (recorded).
    pub fn canonical(&self) -> String {
        if self.is_zero() {
            return "0".to_owned();
        }
        let (unscaled, scale) = self.amount.clone().into_decimal();
        let binary = self.format == Format::BinarySI && !self.is_within_1024();
        if binary && let Some(whole) = whole(&unscaled, scale) {
            let (number, times) = whole.without_factors(1_024, 6);
            return format!("{number}{}", BINARY[cast::usize_of(times)]);
        }
        let (mut number, times) = unscaled.without_factors(10, u32::MAX);
        let exponent = cast::i32_of(times) - scale;
        let spare = exponent.rem_euclid(3);
        number = number.times_pow10(spare.unsigned_abs());
        let exponent = exponent - spare;
        let known = DECIMAL.iter().find(|(_, power)| *power == exponent);
        match known {
            Some((suffix, _)) if self.format != Format::DecimalExponent => {
                format!("{number}{suffix}")
            }
            _ if exponent == 0 => number.to_string(),
            _ => format!("{number}e{exponent}"),
        }
    }

    /// Below 1024 a binary quantity is written as a decimal one.
    fn is_within_1024(&self) -> bool {
        let limit = |value| Self::from_value(value, Format::DecimalSI);
        *self > limit(-1_024) && *self < limit(1_024)
    }

    /// The quantity with the other sign.
    #[must_use]
    pub fn negated(&self) -> Self {
        let amount = match &self.amount {
            Amount::Int { value, exponent } if *value != i64::MIN => {
                Amount::Int { value: -value, exponent: *exponent }
            }
            other => {
                let (unscaled, scale) = other.clone().into_decimal();
                Amount::Dec { unscaled: unscaled.negated(), scale }
            }
        };
        Self { amount, format: self.format, text: None }
    }
}

impl Amount {
    fn into_decimal(self) -> (Big, i32) {
        match self {
            Self::Int { value, exponent } => (Big::from(value), -exponent),
            Self::Dec { unscaled, scale } => (unscaled, scale),
        }
    }

    /// The sum in the small shape, or none when it does not fit.
    /// Source: kubernetes v1.36.3 resource/amount.go `int64Amount.Add`.
    fn small_sum(&self, other: &Self) -> Option<Self> {
        let (Self::Int { value, exponent }, Self::Int { value: more, exponent: at }) =
            (self, other)
        else {
            return None;
        };
        if *more == 0 {
            return Some(self.clone());
        }
        if *value == 0 {
            return Some(other.clone());
        }
        let low = *exponent.min(at);
        let left = times_pow10(*value, exponent.abs_diff(low))?;
        let right = times_pow10(*more, at.abs_diff(low))?;
        Some(Self::Int { value: left.checked_add(right)?, exponent: low })
    }

    fn sum(&self, other: &Self) -> Self {
        if let Some(small) = self.small_sum(other) {
            return small;
        }
        let (left, right, scale) = aligned(self, other);
        Self::Dec { unscaled: left.plus(&right), scale }
    }
}

/// Both numbers in units of the finer one.
fn aligned(left: &Amount, right: &Amount) -> (Big, Big, i32) {
    let (left, left_scale) = left.clone().into_decimal();
    let (right, right_scale) = right.clone().into_decimal();
    let scale = left_scale.max(right_scale);
    let left = left.times_pow10(scale.abs_diff(left_scale));
    (left, right.times_pow10(scale.abs_diff(right_scale)), scale)
}

/// The number itself when it is whole.
fn whole(unscaled: &Big, scale: i32) -> Option<Big> {
    if scale <= 0 {
        return Some(unscaled.clone().times_pow10(scale.unsigned_abs()));
    }
    let (number, lost) = unscaled.clone().divided_pow10(scale.unsigned_abs());
    (!lost).then_some(number)
}

/// `value · 10^exponent`, none when that does not fit.
fn times_pow10(value: i64, exponent: u32) -> Option<i64> {
    if value == 0 {
        return Some(0);
    }
    10_i64.checked_pow(exponent).and_then(|power| value.checked_mul(power))
}

/// `value · 10^exponent`. When that does not fit, the exponents that the original multiplies by in
/// one step leave the low bits, the others nothing.
/// Source: kubernetes v1.36.3 resource/math.go `positiveScaleInt64` (recorded).
fn scale_up(value: i64, exponent: u32) -> i64 {
    let in_one_step = matches!(exponent, 1 | 2 | 3 | 6 | 9) && value != i64::MIN;
    let wrapped = || {
        if in_one_step { value.wrapping_mul(10_i64.pow(exponent)) } else { 0 }
    };
    times_pow10(value, exponent).unwrap_or_else(wrapped)
}

/// `value / 10^exponent`, rounded away from zero.
/// Source: kubernetes v1.36.3 resource/math.go `negativeScaleInt64`.
fn divide_away(value: i64, exponent: u32) -> i64 {
    match 10_i64.checked_pow(exponent) {
        Some(power) if value % power == 0 => value / power,
        Some(power) => value / power + value.signum(),
        None => value.signum(),
    }
}

/// `unscaled / 10^difference` rounded up, with the overflow of the original: a negative number of
/// more than 63 bits is cut to its low bits before it is divided.
/// Source: kubernetes v1.36.3 resource/scale_int.go `scaledValue` (recorded).
fn scale_big(unscaled: &Big, difference: i32) -> i64 {
    let power = 10_i64.checked_pow(difference.unsigned_abs());
    match difference.cmp(&0) {
        Ordering::Equal => unscaled.low_i64(),
        Ordering::Less => unscaled.low_i64().wrapping_mul(power.unwrap_or(i64::MIN)),
        Ordering::Greater => match power {
            Some(power) if *unscaled < Big::from(i64::MAX) => {
                let low = unscaled.low_i64();
                low / power + i64::from(low % power != 0)
            }
            _ => {
                let (cut, lost) = unscaled.clone().divided_pow10(difference.unsigned_abs());
                cut.low_i64().wrapping_add(i64::from(lost))
            }
        },
    }
}

/// The text it was given as where Kubernetes keeps that, the canonical text otherwise.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => f.pad(text),
            None => f.pad(&self.canonical()),
        }
    }
}

impl std::str::FromStr for Quantity {
    type Err = QuantityError;
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        Self::parse(text)
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        let signs = self.sign().cmp(&other.sign());
        if signs != Ordering::Equal || self.is_zero() {
            return signs;
        }
        match (&self.amount, &other.amount) {
            (
                Amount::Int { value: left, exponent: at },
                Amount::Int { value: right, exponent: there },
            ) if at == there => left.cmp(right),
            (left, right) => {
                let (left, right, _) = aligned(left, right);
                left.cmp(&right)
            }
        }
    }
}

/// The sum is written like the left one, unless that is nothing.
impl Add for &Quantity {
    type Output = Quantity;
    fn add(self, other: &Quantity) -> Quantity {
        let format = if self.is_zero() { other.format } else { self.format };
        Quantity { amount: self.amount.sum(&other.amount), format, text: None }
    }
}

/// The difference is written like the left one, unless that is nothing.
impl Sub for &Quantity {
    type Output = Quantity;
    #[expect(
        clippy::suspicious_arithmetic_impl,
        reason = "a difference is the sum with the negative"
    )]
    fn sub(self, other: &Quantity) -> Quantity {
        let negated = other.negated();
        self + &negated
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Quantity {
        Quantity::parse(text).unwrap()
    }

    #[test]
    fn the_given_text_is_kept_where_kubernetes_keeps_it() {
        for text in ["1", "500m", "2Gi", "+1", "5.", "0003", "1E3", "8.055P"] {
            assert_eq!(parse(text).to_string(), text);
        }
        let changed = [("0.5", "500m"), ("1000", "1k"), ("1.5Gi", "1536Mi"), ("1024Mi", "1Gi")];
        for (text, canonical) in changed {
            assert_eq!(parse(text).to_string(), canonical);
        }
        assert_eq!(parse("8.055P").canonical(), "8055T");
    }

    #[test]
    fn finer_than_a_nano_rounds_away_from_zero() {
        assert_eq!(parse("0.1n").to_string(), "1n");
        assert_eq!(parse("-1.5e-9").to_string(), "-2e-9");
        // 1.1 Gi = 1181116006.4, whole milli
        assert_eq!(parse("1.1Gi").to_string(), "1181116006400m");
    }

    #[test]
    fn binary_ones_are_capped_and_decimal_ones_are_not() {
        assert_eq!(parse("9Ei").to_string(), "9223372036854775807");
        assert_eq!(parse("10E").to_string(), "10E");
        assert_eq!(parse("1000E").to_string(), "1e21");
    }

    #[test]
    fn values_round_up() {
        assert_eq!((parse("1500m").value(), parse("1500m").milli_value()), (2, 1_500));
        assert_eq!((parse("1n").value(), parse("1n").milli_value()), (1, 1));
        assert_eq!(parse("-0.5").value(), -1);
        assert_eq!(parse("1Gi").value(), 1 << 30);
        // 3 · 0.1 and 300 · 0.001 differ in the last bit, here as in Go
        assert_eq!(parse("0.3").approximate_f64().to_string(), "0.30000000000000004");
        assert_eq!(parse("300m").approximate_f64().to_string(), "0.3");
    }

    #[test]
    fn a_sum_is_written_like_its_left_side() {
        assert_eq!((&parse("1Gi") + &parse("512Mi")).to_string(), "1536Mi");
        assert_eq!((&parse("1Gi") + &parse("1G")).to_string(), "2073741824");
        assert_eq!((&parse("0") + &parse("1Ki")).format(), Format::BinarySI);
        assert_eq!((&parse("1") - &parse("100m")).to_string(), "900m");
        // 9e18 + 9e18 leaves 64 bits
        assert_eq!((&parse("9E") + &parse("9E")).to_string(), "18E");
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in ["", " 1", "1 ", "1GiB", "1.2.3", "0x10", "1,5", "ü"] {
            assert_eq!(Quantity::parse(text), Err(QuantityError::Format), "{text}");
        }
        for text in ["1K", "1e", "--1", "1m1", "1e999999999"] {
            assert_eq!(Quantity::parse(text), Err(QuantityError::Suffix), "{text}");
        }
        assert_eq!(Quantity::parse(".e-10"), Err(QuantityError::Numeric));
    }

    fn texts() -> impl Strategy<Value = String> {
        "[+-]?[0-9]{1,12}(\\.[0-9]{0,6})?(|n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|e-?[0-9]|E1[0-9])"
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(text in texts()) {
            let quantity = parse(&text);
            let again = parse(&quantity.to_string());
            prop_assert_eq!(&again, &quantity);
            prop_assert_eq!(again.to_string(), quantity.to_string());
            let canonical = parse(&quantity.canonical());
            prop_assert_eq!(canonical.canonical(), quantity.canonical());
        }

        #[test]
        fn sums_commute_and_differences_undo_them(a in texts(), b in texts()) {
            let (a, b) = (parse(&a), parse(&b));
            prop_assert_eq!(&a + &b, &b + &a);
            prop_assert_eq!(&(&a + &b) - &b, a.clone());
            prop_assert_eq!(a.cmp(&b), (&a - &b).sign().cmp(&0));
        }

        #[test]
        fn order_agrees_with_values(a in -1_000_000_i64..1_000_000, b in -1_000_000_i64..1_000_000) {
            let (x, y) = (Quantity::from_milli(a, Format::DecimalSI), parse(&format!("{b}m")));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!((&x + &y).milli_value(), a + b);
        }
    }
}
