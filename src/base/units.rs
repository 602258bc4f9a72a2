//! A type for each unit: CPU, memory, money, ratios.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul, Neg, Sub, SubAssign};

use super::cast;
use super::quantity::{Format, Quantity, QuantityError};
use super::time::Duration;

/// Whole-number units share their arithmetic; overflow panics in every build.
macro_rules! integer_unit {
    ($name:ident) => {
        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(0);

            /// The sum, kept within the range.
            pub const fn saturating_add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }

            /// The difference, kept within the range; it may be negative.
            pub const fn saturating_sub(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }

            /// The nearest float of the number.
            pub const fn as_f64(self) -> f64 {
                cast::f64_of_i64(self.0)
            }
        }

        impl Add for $name {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(self.0.checked_add(other.0).expect(concat!(stringify!($name), " overflows")))
            }
        }

        impl Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self(self.0.checked_sub(other.0).expect(concat!(stringify!($name), " overflows")))
            }
        }

        impl Mul<i64> for $name {
            type Output = Self;
            fn mul(self, factor: i64) -> Self {
                Self(self.0.checked_mul(factor).expect(concat!(stringify!($name), " overflows")))
            }
        }

        impl Neg for $name {
            type Output = Self;
            fn neg(self) -> Self {
                Self::ZERO - self
            }
        }

        impl AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                *self = *self + other;
            }
        }

        impl SubAssign for $name {
            fn sub_assign(&mut self, other: Self) {
                *self = *self - other;
            }
        }

        impl Sum for $name {
            fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
                parts.fold(Self::ZERO, Add::add)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

/// CPU in thousandths of a core.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MilliCpu(pub i64);

/// Memory or storage in bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(pub i64);

/// Money in millionths of a US dollar.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(pub i64);

integer_unit!(MilliCpu);
integer_unit!(Bytes);
integer_unit!(Money);

/// A part of a whole as a float: 0.41 is 41 %.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug, Default)]
pub struct Ratio(pub f64);

impl MilliCpu {
    /// Whole cores.
    pub const fn cores(count: i64) -> Self {
        Self(count * 1_000)
    }

    /// Reads Kubernetes' text (`500m`, `2`, `0.5`); finer than a milli is rounded up (rule S80).
    ///
    /// # Errors
    /// What is no quantity.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        Quantity::parse(text).map(|quantity| Self(quantity.milli_value()))
    }

    /// Cores, to the nearest float.
    pub const fn as_cores(self) -> f64 {
        cast::f64_of_i64(self.0) / 1_000.0
    }
}

impl Bytes {
    /// Mebibytes, 2^20 bytes.
    pub const fn mib(count: i64) -> Self {
        Self(count << 20)
    }

    /// Gibibytes, 2^30 bytes.
    pub const fn gib(count: i64) -> Self {
        Self(count << 30)
    }

    /// Reads Kubernetes' text (`2Gi`, `128974848`, `129M`); fractions are rounded up (rule S80).
    ///
    /// # Errors
    /// What is no quantity.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        Quantity::parse(text).map(|quantity| Self(quantity.value()))
    }
}

/// Why a text is no amount of money.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not an amount of money: {0:?} (write 0.192 or 0.192 USD)")]
pub struct MoneyError(Box<str>);

impl Money {
    /// Reads `0.192` or `0.192 USD`, to the millionth; finer digits are refused.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        let error = || MoneyError(text.into());
        let number = text.strip_suffix("USD").unwrap_or(text).trim_end();
        let unsigned = number.strip_prefix('-').unwrap_or(number);
        let (whole, part) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
        let digits = format!("{whole}{part:0<6}");
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || part.is_empty() || part.len() > 6 || !is_number {
            return Err(error());
        }
        let micros: i64 = digits.parse().map_err(|_| error())?;
        Ok(Self(if number.len() == unsigned.len() { micros } else { -micros }))
    }

    /// Dollars, rounded to the nearest millionth.
    pub fn usd(dollars: f64) -> Self {
        Self(cast::i64_trunc((dollars * 1e6).round()))
    }

    /// Dollars, to the nearest float.
    pub const fn as_usd(self) -> f64 {
        cast::f64_of_i64(self.0) / 1e6
    }

    /// What a thing at this price an hour costs in that time, rounded to the nearest millionth.
    pub fn per_hour_over(self, time: Duration) -> Self {
        const HOUR: i128 = 3_600_000_000_000;
        let exact = i128::from(self.0) * i128::from(time.as_nanos());
        Self(cast::i64_saturating((exact + HOUR / 2).div_euclid(HOUR)))
    }
}

/// `0.92 USD`; four places when there are less than ten cents.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = if self.0 != 0 && self.0.abs() < 100_000 { 4 } else { 2 };
        f.pad(&format!("{:.places$} USD", self.as_usd()))
    }
}

/// `41 %`, `0.015 %`: two significant digits below 10 %, none after the point above.
impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.0 * 100.0;
        let size = percent.abs();
        let places = [(10.0, 0), (1.0, 1), (0.1, 2)];
        let places = places.iter().find(|(from, _)| size >= *from).map_or(3, |(_, n)| *n);
        let text = format!("{percent:.places$}");
        let text = match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => text,
        };
        f.pad(&format!("{text} %"))
    }
}

/// Kubernetes' canonical text: `500m`, `2`.
impl fmt::Display for MilliCpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&Quantity::from_milli(self.0, Format::DecimalSI).canonical())
    }
}

/// Kubernetes' canonical text: `2Gi`, `1536Mi`.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&Quantity::from_value(self.0, Format::BinarySI).canonical())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_print_as_kubernetes_does() {
        assert_eq!(MilliCpu(500).to_string(), "500m");
        assert_eq!(MilliCpu::cores(2).to_string(), "2");
        assert_eq!(Bytes::gib(2).to_string(), "2Gi");
        // below 1024 a binary quantity is written as a decimal one
        assert_eq!(Bytes(1_000).to_string(), "1k");
        assert_eq!(Bytes(1_536 << 20).to_string(), "1536Mi");
        assert_eq!(MilliCpu::parse("0.5"), Ok(MilliCpu(500)));
        assert_eq!(MilliCpu::parse("1u"), Ok(MilliCpu(1)));
        assert_eq!(Bytes::parse("1.5Gi"), Ok(Bytes::mib(1_536)));
        assert_eq!(Bytes::parse("129M"), Ok(Bytes(129_000_000)));
        assert!(Bytes::parse("1GB").is_err());
    }

    #[test]
    fn money() {
        // 0.192 USD/h for 10 min = 0.032 USD
        let price = Money::usd(0.192);
        assert_eq!(price.per_hour_over(Duration::mins(10)), Money(32_000));
        assert_eq!(Money::parse("0.192"), Ok(price));
        assert_eq!(Money::parse("-12 USD"), Ok(Money(-12_000_000)));
        for text in ["", ".5", "1.", "0.0000001", "1,5", "abc", "--1"] {
            assert!(Money::parse(text).is_err(), "{text}");
        }
        assert_eq!(Money::usd(0.92).to_string(), "0.92 USD");
        assert_eq!(Money(32_000).to_string(), "0.0320 USD");
    }

    #[test]
    fn ratios() {
        assert_eq!(Ratio(0.41).to_string(), "41 %");
        assert_eq!(Ratio(0.000_15).to_string(), "0.015 %");
        assert_eq!(Ratio(0.0).to_string(), "0 %");
    }
}
