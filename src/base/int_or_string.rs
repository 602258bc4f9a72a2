//! Kubernetes' `IntOrString`: a count, or a percentage of one.

use std::fmt;

use super::cast;

/// A whole number or a text, usually a percentage such as `25%`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum IntOrString {
    /// A count.
    Int(i64),
    /// A text; only a whole percentage can be scaled.
    Text(Box<str>),
}

/// Why a text is no share of a count; the messages are Kubernetes' own.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IntOrStringError {
    /// It does not end in a percent sign.
    #[error("invalid value for IntOrString: invalid type: string is not a percentage")]
    NotPercent,
    /// Before the percent sign there is no whole number.
    #[error(
        "invalid value for IntOrString: invalid value {whole:?}: strconv.Atoi: parsing {number:?}: {why}"
    )]
    NotNumber {
        /// The whole text.
        whole: Box<str>,
        /// What stands before the percent sign.
        number: Box<str>,
        /// `invalid syntax` or `value out of range`.
        why: &'static str,
    },
}

impl IntOrString {
    /// A whole number is one, everything else is a text.
    /// Source: kubernetes v1.36.3 apimachinery/pkg/util/intstr/intstr.go `Parse`.
    pub fn parse(text: &str) -> Self {
        match atoi(text) {
            Ok(value) => Self::Int(value),
            Err(_) => Self::Text(text.into()),
        }
    }

    /// The count, or that percentage of `total`, rounded up.
    ///
    /// # Errors
    /// A text that is no whole percentage.
    /// Source: kubernetes v1.36.3 intstr.go `GetScaledValueFromIntOrPercent` (recorded).
    pub fn scaled_up(&self, total: i64) -> Result<i64, IntOrStringError> {
        self.scaled(total, f64::ceil)
    }

    /// The count, or that percentage of `total`, rounded down.
    ///
    /// # Errors
    /// A text that is no whole percentage.
    pub fn scaled_down(&self, total: i64) -> Result<i64, IntOrStringError> {
        self.scaled(total, f64::floor)
    }

    fn scaled(&self, total: i64, round: fn(f64) -> f64) -> Result<i64, IntOrStringError> {
        match self {
            Self::Int(value) => Ok(*value),
            Self::Text(text) => {
                let percent = cast::f64_of_i64(percentage(text)?);
                Ok(cast::i64_trunc(round(percent * cast::f64_of_i64(total) / 100.0)))
            }
        }
    }
}

/// How many pods a rolling update may add and how many it may miss: `max_surge` rounded up,
/// `max_unavailable` rounded down, and one missing when both come to nothing.
///
/// # Errors
/// A text that is no whole percentage.
/// Source: kubernetes v1.36.3 pkg/controller/deployment/util/deployment_util.go
/// `ResolveFenceposts` (recorded).
pub fn surge_and_unavailable(
    max_surge: &IntOrString,
    max_unavailable: &IntOrString,
    replicas: i64,
) -> Result<(i64, i64), IntOrStringError> {
    let surge = max_surge.scaled_up(replicas)?;
    let unavailable = max_unavailable.scaled_down(replicas)?;
    let stuck = surge == 0 && unavailable == 0;
    Ok((surge, if stuck { 1 } else { unavailable }))
}

fn percentage(text: &str) -> Result<i64, IntOrStringError> {
    let number = text.strip_suffix('%').ok_or(IntOrStringError::NotPercent)?;
    atoi(number).map_err(|why| IntOrStringError::NotNumber {
        whole: text.into(),
        number: number.into(),
        why,
    })
}

/// Go's `strconv.Atoi`.
fn atoi(text: &str) -> Result<i64, &'static str> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    text.parse().map_err(|error: std::num::ParseIntError| match error.kind() {
        PosOverflow | NegOverflow => "value out of range",
        _ => "invalid syntax",
    })
}

impl fmt::Display for IntOrString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => fmt::Display::fmt(value, f),
            Self::Text(text) => f.pad(text),
        }
    }
}

impl From<i64> for IntOrString {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> IntOrString {
        IntOrString::Text(text.into())
    }

    #[test]
    fn percentages_scale_and_counts_do_not() {
        // 25 % of 7 = 1.75
        assert_eq!((text("25%").scaled_up(7), text("25%").scaled_down(7)), (Ok(2), Ok(1)));
        assert_eq!(IntOrString::Int(3).scaled_up(1), Ok(3));
        // −10 % of 25 = −2.5
        assert_eq!((text("-10%").scaled_up(25), text("-10%").scaled_down(25)), (Ok(-2), Ok(-3)));
        assert_eq!(IntOrString::parse("12"), IntOrString::Int(12));
        assert_eq!(IntOrString::parse("12%").to_string(), "12%");
    }

    #[test]
    fn other_texts_are_refused_in_kubernetes_words() {
        assert_eq!(text("5").scaled_up(1), Err(IntOrStringError::NotPercent));
        assert_eq!(
            text("a b%").scaled_up(1).unwrap_err().to_string(),
            "invalid value for IntOrString: invalid value \"a b%\": \
             strconv.Atoi: parsing \"a b\": invalid syntax"
        );
        let huge = text("99999999999999999999%").scaled_up(1).unwrap_err().to_string();
        assert!(huge.ends_with("value out of range"), "{huge}");
    }

    #[test]
    fn a_rollout_can_always_move() {
        let fence = |surge, missing, replicas| {
            surge_and_unavailable(&text(surge), &text(missing), replicas).unwrap()
        };
        assert_eq!(fence("25%", "25%", 10), (3, 2));
        assert_eq!(fence("0%", "25%", 3), (0, 1));
        assert_eq!(fence("0%", "0%", 10), (0, 1));
    }
}
