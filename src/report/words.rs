//! Numbers as people read them, each with its unit and its uncertainty.

use crate::base::text::thousands;
use crate::base::{Duration, Ratio, SimTime, cast};

use super::summary::{Number, Unit};

/// A number with its unit: `1 min 52 s`, `240,117`, `0.015 %`, `0.92 USD/h`.
#[must_use]
pub fn value(number: f64, unit: Unit) -> String {
    match unit {
        Unit::Seconds => Duration::from_secs_f64(number).to_string(),
        Unit::Calls | Unit::Pods | Unit::Nodes | Unit::Count => counted(number),
        Unit::CallsPerSecond => format!("{}/s", counted(number)),
        Unit::Usd => format!("{} USD", money(number)),
        Unit::UsdPerHour => format!("{} USD/h", money(number)),
        Unit::Bytes => {
            let (factor, name) = bytes(number);
            format!("{} {name}", digits(number * factor))
        }
        Unit::Share => Ratio(number).to_string(),
        Unit::YesNo if number >= 1.0 => "yes".to_owned(),
        Unit::YesNo if number <= 0.0 => "no".to_owned(),
        Unit::YesNo => format!("in {} of the runs", Ratio(number)),
    }
}

/// Count or mean of counts: whole from 10 on, else with one or two digits that say something.
fn counted(number: f64) -> String {
    let size = number.abs();
    let is_whole = (size - size.round()).abs() < 1e-9;
    if is_whole || size >= 10.0 {
        let sign = if number <= -0.5 { "-" } else { "" };
        return format!("{sign}{}", thousands(cast::u64_trunc(size.round())));
    }
    let places = if size >= 0.1 { 1 } else { 2 };
    if size < 0.005 {
        return "<0.01".to_owned();
    }
    format!("{number:.places$}")
}

fn money(number: f64) -> String {
    let places = if number.abs() < 0.1 && number.abs() > 0.0 { 4 } else { 2 };
    if number.abs() >= 1000.0 {
        return thousands(cast::u64_trunc(number.abs().round()));
    }
    format!("{number:.places$}")
}

/// The interval of a mean in brackets: `[1:49 – 1:55]`, `[81 – 87 ms]`; empty if there is none or
/// it has no width. Nothing here is below zero, so no interval is.
#[must_use]
pub fn interval(number: &Number) -> String {
    let Some((low, high)) = number.interval else {
        return String::new();
    };
    let low = low.max(0.0);
    let high = if number.unit == Unit::Share { high.min(1.0) } else { high };
    let (left, right) = ends(low, high, number.unit);
    // Ends that read the same say nothing; the unit stands at the right one alone.
    let same = right.split(' ').next() == left.split(' ').next();
    if high - low <= 0.0 || same { String::new() } else { format!("[{left} – {right}]") }
}

/// Both ends of an interval; the unit stands once, at the second.
fn ends(low: f64, high: f64, unit: Unit) -> (String, String) {
    match unit {
        Unit::Seconds if high >= 60.0 => (clock(low), clock(high)),
        Unit::Seconds => {
            let (factor, name) = match high {
                high if high < 1e-3 => (1e6, "µs"),
                high if high < 1.0 => (1e3, "ms"),
                _ => (1.0, "s"),
            };
            (digits(low * factor), format!("{} {name}", digits(high * factor)))
        }
        Unit::Usd | Unit::UsdPerHour => (money(low), money(high)),
        Unit::Bytes => {
            let (factor, name) = bytes(high);
            (digits(low * factor), format!("{} {name}", digits(high * factor)))
        }
        Unit::Share => {
            let text = |share: f64| Ratio(share).to_string();
            (text(low).trim_end_matches(" %").to_owned(), text(high))
        }
        Unit::Calls | Unit::Pods | Unit::Nodes | Unit::Count => (counted(low), counted(high)),
        Unit::CallsPerSecond | Unit::YesNo => (value(low, unit), value(high, unit)),
    }
}

/// The factor and name of the greatest unit of which a number of bytes is one at least.
fn bytes(number: f64) -> (f64, &'static str) {
    let units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    let unit = units.into_iter().find(|(size, _)| number >= *size);
    unit.map_or((1.0, "bytes"), |(size, name)| (1.0 / size, name))
}

fn clock(secs: f64) -> String {
    SimTime::at(Duration::secs(cast::u64_trunc(secs.round()))).to_string()
}

/// Three digits: `1.24`, `12.4`, `124`.
fn digits(number: f64) -> String {
    let places = [(100.0, 0), (10.0, 1)];
    let places = places.iter().find(|(from, _)| number >= *from).map_or(2, |(_, n)| *n);
    let text = format!("{number:.places$}");
    if text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text
}

/// A number with its interval: `37 [29 – 46]`; `–` if no run has it.
#[must_use]
pub fn with_interval(number: &Number) -> String {
    let Some(mean) = number.value else {
        return "–".to_owned();
    };
    let text = value(mean, number.unit);
    match interval(number) {
        interval if interval.is_empty() => text,
        interval => format!("{text} {interval}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(mean: f64, interval: Option<(f64, f64)>, unit: Unit) -> String {
        let number = Number { value: Some(mean), interval, n: 20, unit, about: "", runs: vec![] };
        with_interval(&number)
    }

    #[test]
    fn numbers_with_their_uncertainty() {
        let check = |mean, interval, unit, wanted: &str| {
            assert_eq!(number(mean, interval, unit), wanted);
        };
        check(37.2, Some((29.1, 45.8)), Unit::Calls, "37 [29 – 46]");
        check(0.4, Some((-0.2, 1.0)), Unit::Calls, "0.4 [0 – 1]");
        check(0.0, Some((0.0, 0.0)), Unit::Calls, "0");
        check(1_240_117.0, None, Unit::Calls, "1,240,117");
        check(112.0, Some((109.0, 115.2)), Unit::Seconds, "1 min 52 s [1:49 – 1:55]");
        check(0.0842, Some((0.0811, 0.0874)), Unit::Seconds, "84.2 ms [81.1 – 87.4 ms]");
        check(1.24e9, Some((1.2e9, 1.29e9)), Unit::Bytes, "1.24 GB [1.2 – 1.29 GB]");
        check(0.0, None, Unit::Bytes, "0 bytes");
        check(0.92, Some((0.91, 0.93)), Unit::UsdPerHour, "0.92 USD/h [0.91 – 0.93]");
        check(0.41, Some((0.4, 0.42)), Unit::Share, "41 % [40 – 42 %]");
        check(1.0, Some((1.0, 1.0)), Unit::YesNo, "yes");
        check(0.95, None, Unit::YesNo, "in 95 % of the runs");
        check(15.2, Some((15.16, 15.21)), Unit::Seconds, "15.2 s");
        check(6.0, Some((6.0, 6.0)), Unit::Nodes, "6");
    }
}
