//! Values with units as people write them: each checks itself and says what it wants.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use crate::base::go_time::DurationError;
use crate::base::{Bytes, Duration, Money, Quantity, Ratio};

/// Declares a type that is read from one scalar.
macro_rules! scalar {
    ($(#[doc = $doc:literal])* $name:ident($inner:ty), $schema:literal, $example:literal, $parse:expr) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $name(pub $inner);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                let parse: fn(&str) -> Result<$inner, String> = $parse;
                parse(text.trim()).map(Self).map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": ["string", "number"],
                    "description": $schema,
                    "examples": [$example],
                })
            }
        }
    };
}

scalar! {
    /// A span of time.
    Span(Duration), "a span of time with its unit: ns, us, ms, s, m, h", "250ms", span
}
scalar! {
    /// A rate, in events a second.
    PerSecond(f64), "so many a second, minute or hour", "400/s", per_second
}
scalar! {
    /// A price, in USD an hour.
    PerHour(Money), "USD an hour", "0.192/h", per_hour
}
scalar! {
    /// An amount of CPU, in millicores.
    Cpu(crate::base::MilliCpu), "cores, as Kubernetes writes them", "500m", cpu
}
scalar! {
    /// An amount of memory or storage.
    Size(Bytes), "bytes, as Kubernetes writes them", "16Gi", size
}
scalar! {
    /// A part of a whole, from 0 to 1.
    Share(Ratio), "a part from 0 to 1, or a percentage", "5%", share
}
scalar! {
    /// An amount of something that is limited, or a part of the whole.
    Room(crate::model::Limit), "bytes, as Kubernetes writes them, or a percentage", "10%", room
}

/// An amount of a resource as it is written; what it is an amount of says how it is read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Amount(pub String);

impl JsonSchema for Amount {
    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "number"],
            "description": "an amount, as Kubernetes writes it",
            "examples": ["500m", "16Gi", 4],
        })
    }
}

/// Reads a span of time.
///
/// # Errors
/// Without a unit, negative, or no number.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    if text.starts_with('-') {
        return Err(format!("a span of time cannot be negative: {text}"));
    }
    Duration::parse(text).map_err(|error| match error {
        _ if text.parse::<f64>().is_ok() => {
            format!("{text} has no unit\nwrite {text}s, or ms, m, h")
        }
        DurationError::UnknownUnit { unit, .. } => {
            let message = format!("unknown unit \"{}\" of a span of time", unit.trim());
            let plain = text.replace(' ', "");
            match known_unit(unit.trim()).map(|known| plain.replacen(unit.trim(), known, 1)) {
                Some(meant) => format!("{message}\ndid you mean \"{meant}\"?"),
                None => format!("{message}\nknown are h, m, s, ms, us, ns, as in 1h30m"),
            }
        }
        DurationError::Invalid(_) if text.starts_with(|c: char| c.is_ascii_digit()) => {
            format!("{text} is too long, or no span of time\nwrite 250ms, 1.5s or 1h30m")
        }
        _ => format!("\"{text}\" is not a span of time\nwrite 250ms, 1.5s or 1h30m"),
    })
}

/// The unit that a longer word for it means.
fn known_unit(word: &str) -> Option<&'static str> {
    match word.to_lowercase().as_str() {
        "sec" | "secs" | "second" | "seconds" => Some("s"),
        "min" | "mins" | "minute" | "minutes" => Some("m"),
        "hr" | "hrs" | "hour" | "hours" => Some("h"),
        "msec" | "millis" | "millisecond" | "milliseconds" => Some("ms"),
        _ => None,
    }
}

fn number(text: &str, what: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        Ok(_) => Err(format!("{what} cannot be negative or infinite: {text}")),
        Err(_) => Err(format!("\"{text}\" is not a number")),
    }
}

fn per_second(text: &str) -> Result<f64, String> {
    let missing = || format!("{text} has no unit\nwrite {text}/s, or /min, /h");
    let (value, unit) = text.split_once('/').ok_or_else(missing)?;
    let value = number(value, "a rate")?;
    match unit.trim() {
        "s" | "sec" => Ok(value),
        "m" | "min" => Ok(value / 60.0),
        "h" => Ok(value / 3600.0),
        "d" | "day" => Ok(value / 86400.0),
        other => Err(format!("unknown unit /{other} of a rate\nknown are /s, /min, /h and /day")),
    }
}

fn per_hour(text: &str) -> Result<Money, String> {
    let missing = || format!("{text} has no unit\nwrite {text}/h");
    let (value, unit) = text.split_once('/').ok_or_else(missing)?;
    let value = number(value.trim_start_matches('$'), "a price")?;
    match unit.trim() {
        "h" => Ok(Money::usd(value)),
        "d" | "day" => Ok(Money::usd(value / 24.0)),
        other => Err(format!("unknown unit /{other} of a price\nknown are /h and /day")),
    }
}

fn quantity(text: &str) -> Result<Quantity, String> {
    let quantity = Quantity::parse(text).map_err(|_| no_quantity(text))?;
    if quantity.sign() < 0 {
        return Err(format!("an amount cannot be negative: {text}"));
    }
    Ok(quantity)
}

/// What is said about a text that is no quantity, with a hint after the line break.
pub(super) fn no_quantity(text: &str) -> String {
    let bare = text.strip_suffix(['B', 'b']).map(|bare| bare.replace(' ', ""));
    let meant = bare.filter(|bare| Quantity::parse(bare).is_ok());
    let hint = match meant {
        Some(meant) => format!("did you mean \"{meant}\"?"),
        None => "write it as Kubernetes does: 4, 500m, 16Gi".to_owned(),
    };
    format!("\"{text}\" is not a quantity\n{hint}")
}

fn cpu(text: &str) -> Result<crate::base::MilliCpu, String> {
    quantity(text).map(|quantity| crate::base::MilliCpu(quantity.milli_value()))
}

fn size(text: &str) -> Result<Bytes, String> {
    quantity(text).map(|quantity| Bytes(quantity.value()))
}

fn share(text: &str) -> Result<Ratio, String> {
    let value = match text.strip_suffix('%') {
        Some(percent) => number(percent, "a share")? / 100.0,
        None => number(text, "a share")?,
    };
    match value <= 1.0 {
        true => Ok(Ratio(value)),
        false => Err(format!("a share is at most 1, not {text}\nwrite 0.05 or 5%")),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a percentage in the kubelet's precision")]
fn room(text: &str) -> Result<crate::model::Limit, String> {
    match text.ends_with('%') {
        true => share(text).map(|part| crate::model::Limit::Share(part.0 as f32)),
        false => size(text).map(crate::model::Limit::Bytes),
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_asked_for() {
        assert_eq!(span("250ms"), Ok(Duration::ms(250)));
        assert_eq!(span("30"), Err("30 has no unit\nwrite 30s, or ms, m, h".to_owned()));
        assert!(span("-3s").is_err() && span("soon").is_err());
        let meant = span("10 minutes").expect_err("no such unit");
        assert!(meant.ends_with("did you mean \"10m\"?"), "{meant}");
        assert!(no_quantity("16GB").ends_with("did you mean \"16G\"?"));
        assert_eq!(per_second("400/s"), Ok(400.0));
        assert_eq!(per_second("6000/min"), Ok(100.0));
        assert!(per_second("400").is_err() && per_second("4/fortnight").is_err());
        assert_eq!(per_hour("0.192/h"), Ok(Money::usd(0.192)));
        assert_eq!(cpu("500m"), Ok(crate::base::MilliCpu(500)));
        assert!(cpu("-1").is_err() && size("16GiB").is_err());
        assert_eq!(share("5%"), Ok(Ratio(0.05)));
        assert!(share("1.5").is_err());
    }
}
