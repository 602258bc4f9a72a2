//! How numbers are written on a chart: thousands apart, a true minus sign, units in words.

use super::chart::Unit;
use super::chart_math::{index, log10, pow10};

pub(super) const MINUTE: f64 = 60.0;
pub(super) const HOUR: f64 = 3600.0;
pub(super) const DAY: f64 = 86_400.0;

/// A tick of a linear axis whose ticks are `step` apart and whose largest value is `most`.
pub(super) fn tick_text(unit: &Unit, v: f64, step: f64, most: f64) -> String {
    let v = if v.abs() < step * 1e-6 { 0.0 } else { v };
    match unit {
        Unit::Clock => clock_text(v, step, most),
        Unit::Share => format!("{} %", number(v * 100.0, decimals(step * 100.0))),
        Unit::Change => format!("{}{} %", plus(v), number(v * 100.0, decimals(step * 100.0))),
        Unit::Seconds | Unit::Bytes if v.abs() <= 0.0 => "0".to_owned(),
        Unit::Seconds => in_unit(v, step, time_unit(most)),
        Unit::Bytes => in_unit(v, step, byte_unit(most)),
        Unit::Count | Unit::Number | Unit::Names(_) => large(v, step, most),
    }
}

fn in_unit(v: f64, step: f64, (size, name): (f64, &str)) -> String {
    format!("{} {name}", number(v / size, decimals(step / size)))
}

fn large(v: f64, step: f64, most: f64) -> String {
    match most {
        m if m >= 1e10 => in_unit(v, step, (1e9, "G")),
        m if m >= 1e7 => in_unit(v, step, (1e6, "M")),
        _ => number(v, decimals(step)),
    }
}

pub(super) fn log_text(unit: &Unit, v: f64) -> String {
    match unit {
        Unit::Count | Unit::Number if v >= 1e7 => large(v, v, v),
        Unit::Share => format!("{} %", number(v * 100.0, decimals(v * 100.0))),
        Unit::Seconds | Unit::Clock => in_unit(v, v, time_unit(v)),
        Unit::Bytes => in_unit(v, v, byte_unit(v)),
        Unit::Count | Unit::Number | Unit::Change | Unit::Names(_) => number(v, decimals(v)),
    }
}

/// An estimate with its interval; a relative difference names its unit once.
pub(super) fn estimate_text(unit: &Unit, (value, low, high): (f64, f64, f64)) -> String {
    if *unit == Unit::Change {
        let places = if high - low < 0.1 { 1 } else { 0 };
        let text = |v: f64| format!("{}{}", plus(v), number(v * 100.0, places));
        return format!("{} %  [{}, {}]", text(value), text(low), text(high));
    }
    let text = |v: f64| value_text(unit, v);
    format!("{}  [{} – {}]", text(value), text(low), text(high))
}

/// A value by itself, to about three digits.
fn value_text(unit: &Unit, v: f64) -> String {
    let digits = |v: f64| {
        if v.abs() > 0.0 { pow10(log10(v.abs()).floor() - 2.0) } else { 1.0 }
    };
    match unit {
        Unit::Change | Unit::Share => {
            let sign = if *unit == Unit::Change { plus(v) } else { "" };
            let places = if v.abs() >= 0.1 { 0 } else { 1 };
            format!("{sign}{} %", number(v * 100.0, places))
        }
        Unit::Seconds => in_unit(v, digits(v), time_unit(v.abs())),
        Unit::Bytes => in_unit(v, digits(v / byte_unit(v).0) * byte_unit(v).0, byte_unit(v)),
        Unit::Count | Unit::Number | Unit::Names(_) => large(v, digits(v).min(1.0), v.abs()),
        Unit::Clock => clock_text(v, 1.0, v),
    }
}

fn plus(v: f64) -> &'static str {
    if v > 0.0 { "+" } else { "" }
}

fn time_unit(most: f64) -> (f64, &'static str) {
    const UNITS: [(f64, f64, &str); 6] = [
        (2.0 * DAY, DAY, "d"),
        (2.0 * HOUR, HOUR, "h"),
        (2.0 * MINUTE, MINUTE, "min"),
        (1.0, 1.0, "s"),
        (1e-3, 1e-3, "ms"),
        (1e-6, 1e-6, "µs"),
    ];
    const ALONE: [(f64, &str); 3] = [(DAY, "d"), (HOUR, "h"), (MINUTE, "min")];
    let near = |size: f64| (most / size - 1.0).abs() < 1e-9;
    if let Some(unit) = ALONE.into_iter().find(|(size, _)| near(*size)) {
        return unit;
    }
    let fits = UNITS.into_iter().find(|(from, _, _)| most >= from * 0.999_999);
    fits.map_or((1e-9, "ns"), |(_, size, name)| (size, name))
}

pub(super) fn byte_unit(most: f64) -> (f64, &'static str) {
    const NAMES: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut unit = (1.0, NAMES[0]);
    for name in &NAMES[1..] {
        if most >= unit.0 * 1024.0 {
            unit = (unit.0 * 1024.0, name);
        }
    }
    unit
}

fn clock_text(v: f64, step: f64, most: f64) -> String {
    if step < 1.0 {
        return number(v, decimals(step));
    }
    let sign = if v < 0.0 { "−" } else { "" };
    let total = v.abs().round();
    let (d, h, m, s) = (
        (total / DAY).floor(),
        (total / HOUR).floor(),
        (total / MINUTE).floor() % 60.0,
        total % MINUTE,
    );
    match () {
        () if most >= 3.0 * DAY && step >= DAY => format!("{sign}{d}"),
        () if most >= 3.0 * DAY => format!("{sign}{d} d {:02}:{m:02}", h % 24.0),
        () if most >= HOUR && step < MINUTE => format!("{sign}{h}:{m:02}:{s:02}"),
        () if most >= HOUR => format!("{sign}{h}:{m:02}"),
        () => format!("{sign}{}:{s:02}", (total / MINUTE).floor()),
    }
}

/// Decimals that tell multiples of `step` apart.
fn decimals(step: f64) -> usize {
    if step > 0.0 { index((-log10(step) - 1e-9).ceil()).min(9) } else { 0 }
}

/// With thousands separated by commas and a true minus sign.
fn number(v: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", v.abs());
    let (whole, part) = text.split_once('.').map_or((text.as_str(), None), |(w, p)| (w, Some(p)));
    let mut out = String::new();
    if v < 0.0 && text.bytes().any(|b| (b'1'..=b'9').contains(&b)) {
        out.push('−');
    }
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(part) = part {
        out.push('.');
        out.push_str(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_to_three_digits() {
        assert_eq!(value_text(&Unit::Change, -0.123), "−12 %");
        assert_eq!(value_text(&Unit::Change, 0.0123), "+1.2 %");
        assert_eq!(value_text(&Unit::Seconds, 0.0842), "84.2 ms");
        assert_eq!(value_text(&Unit::Number, 240_117.0), "240,117");
        assert_eq!(value_text(&Unit::Number, 0.0), "0");
    }
}
