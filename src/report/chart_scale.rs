//! Axes: which values they span, where their ticks are, how a number is written.
//!
//! Owns rounding to human steps (1, 2, 5; clock steps; powers of 1024) and the text of ticks and values.

use super::chart::{Axis, Scale, Unit};
use super::chart_math::{count, index, log10, pow10, round_step};

const MINUTE: f64 = 60.0;
const HOUR: f64 = 3600.0;
const DAY: f64 = 86_400.0;

/// Steps of a clock axis in seconds, after the decimal ones below 10 s.
const CLOCK_STEPS: [f64; 19] = [
    10.0,
    15.0,
    30.0,
    60.0,
    120.0,
    300.0,
    600.0,
    900.0,
    1800.0,
    3600.0,
    7200.0,
    10_800.0,
    21_600.0,
    43_200.0,
    86_400.0,
    172_800.0,
    432_000.0,
    864_000.0,
    1_728_000.0,
];

/// Spans of time that a log axis labels first, in seconds, from 10 s up.
const LONG_MAJOR: [f64; 7] = [10.0, 60.0, 600.0, 3600.0, 36_000.0, 86_400.0, 864_000.0];
/// And those it labels when there is room.
const LONG_MINOR: [f64; 10] = [
    20.0, 30.0, 120.0, 300.0, 1200.0, 1800.0, 7200.0, 18_000.0, 172_800.0, 432_000.0,
];

/// From a value to its place along the axis: 0 at the first end, 1 at the last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Map {
    pub(super) lo: f64,
    pub(super) hi: f64,
    pub(super) scale: Scale,
}

/// A labelled place on an axis.
#[derive(Clone, Debug)]
pub(super) struct Tick {
    pub(super) at: f64,
    pub(super) label: String,
}

/// An axis ready to be drawn.
#[derive(Clone, Debug)]
pub(super) struct Fitted {
    pub(super) map: Map,
    pub(super) ticks: Vec<Tick>,
    /// Ticks without a label.
    pub(super) minor: Vec<f64>,
    /// The axis label with its hint.
    pub(super) label: String,
}

/// Whether an axis ends where its data end, or at the next tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    Exact,
    Ticks,
}

impl Map {
    /// `None` where the value has no place: not finite, or not above 0 on a log axis.
    pub(super) fn place(&self, v: f64) -> Option<f64> {
        if !v.is_finite() {
            return None;
        }
        match self.scale {
            Scale::Linear => Some((v - self.lo) / (self.hi - self.lo)),
            Scale::Log if v > 0.0 => {
                Some((log10(v) - log10(self.lo)) / (log10(self.hi) - log10(self.lo)))
            }
            Scale::Log => None,
        }
    }

    pub(super) fn spans(&self, v: f64) -> bool {
        let (lo, hi) = (self.lo.min(self.hi), self.lo.max(self.hi));
        (lo..=hi).contains(&v)
    }
}

/// Chooses ends and about `target` ticks for an axis whose data span `extent`.
pub(super) fn fit(axis: &Axis, extent: Option<(f64, f64)>, ends: Ends, target: usize) -> Fitted {
    if let Unit::Names(names) = &axis.unit {
        return fit_names(axis, names, ends);
    }
    let known = axis
        .range
        .or(extent)
        .filter(|(lo, hi)| lo.is_finite() && hi.is_finite());
    let Some((lo, hi)) = known else {
        let map = Map {
            lo: 0.0,
            hi: 1.0,
            scale: Scale::Linear,
        };
        return Fitted {
            map,
            ticks: Vec::new(),
            minor: Vec::new(),
            label: axis.label.clone(),
        };
    };
    let ends = if axis.range.is_some() {
        Ends::Exact
    } else {
        ends
    };
    match axis.scale {
        Scale::Linear => fit_linear(axis, (lo, hi), ends, target.max(2)),
        Scale::Log => fit_log(axis, (lo, hi), ends, target.max(2)),
    }
}

/// Columns run rightwards; rows run from top to bottom, and a y axis counts upwards.
fn fit_names(axis: &Axis, names: &[String], ends: Ends) -> Fitted {
    let last = count(names.len().max(1)) - 0.5;
    let (lo, hi) = match ends {
        Ends::Exact => (-0.5, last),
        Ends::Ticks => (last, -0.5),
    };
    Fitted {
        map: Map {
            lo,
            hi,
            scale: Scale::Linear,
        },
        ticks: names
            .iter()
            .enumerate()
            .map(|(i, n)| Tick {
                at: count(i),
                label: n.clone(),
            })
            .collect(),
        minor: Vec::new(),
        label: axis.label.clone(),
    }
}

fn fit_linear(axis: &Axis, (lo, hi): (f64, f64), ends: Ends, target: usize) -> Fitted {
    let (mut lo, mut hi) = (lo.min(hi), lo.max(hi));
    let with_zero = ends == Ends::Ticks && axis.from_zero || axis.unit == Unit::Change;
    if with_zero && axis.range.is_none() {
        (lo, hi) = (lo.min(0.0), hi.max(0.0));
    }
    if hi - lo <= hi.abs().max(lo.abs()) * 1e-12 {
        hi = lo + 1.0;
    }
    let step = step(&axis.unit, hi - lo, hi.abs().max(lo.abs()), target);
    if ends == Ends::Exact && axis.unit == Unit::Change && axis.range.is_none() {
        let room = 0.04 * (hi - lo);
        lo = if lo < 0.0 { lo - room } else { lo };
        hi = if hi > 0.0 { hi + room } else { hi };
    }
    if ends == Ends::Ticks {
        let whole_share = axis.unit == Unit::Share && hi <= 1.0;
        let room = 0.02 * (hi - lo);
        hi = if hi > 0.0 {
            ((hi + room) / step).ceil() * step
        } else {
            hi
        };
        hi = if whole_share { hi.min(1.0) } else { hi };
        lo = if lo.abs() < step * 1e-9 {
            0.0
        } else {
            ((lo - room) / step).floor() * step
        };
    }
    let first = (lo / step - 1e-6).ceil();
    let steps = ((hi / step + 1e-6).floor() - first).clamp(0.0, 200.0);
    let at = (0..=index(steps)).map(|i| (first + count(i)) * step);
    let most = hi.abs().max(lo.abs());
    let ticks = at
        .map(|at| Tick {
            at,
            label: tick_text(&axis.unit, at, step, most),
        })
        .collect();
    let map = Map {
        lo,
        hi,
        scale: Scale::Linear,
    };
    Fitted {
        map,
        ticks,
        minor: Vec::new(),
        label: with_hint(axis, step, most),
    }
}

fn fit_log(axis: &Axis, (lo, hi): (f64, f64), ends: Ends, target: usize) -> Fitted {
    let hi = if hi > 0.0 { hi } else { 1.0 };
    let lo = if lo > 0.0 { lo.min(hi) } else { hi / 1000.0 };
    let (mut lo, mut hi) = if hi / lo < 1.000_001 {
        (lo / 2.0, hi * 2.0)
    } else {
        (lo, hi)
    };
    let (majors, minors) = log_grid(&axis.unit, lo / 10.0, hi * 10.0);
    if ends == Ends::Ticks || axis.range.is_none() {
        let all = || majors.iter().chain(&minors).copied();
        lo = all()
            .filter(|v| *v <= lo * 1.000_001)
            .fold(lo / 10.0, f64::max);
        hi = all()
            .filter(|v| *v >= hi * 0.999_999)
            .fold(hi * 10.0, f64::min);
    }
    let inside = |v: &f64| *v >= lo * 0.999_999 && *v <= hi * 1.000_001;
    let majors: Vec<f64> = majors.into_iter().filter(inside).collect();
    let mut minor: Vec<f64> = minors.into_iter().filter(inside).collect();
    let mut labelled = majors.clone();
    if majors.len() + minor.len() <= target && majors.len() < 4 {
        labelled.append(&mut minor);
        labelled.sort_by(f64::total_cmp);
    }
    let every = labelled.len().div_ceil(target).max(1);
    minor.extend(
        labelled
            .iter()
            .enumerate()
            .filter(|(i, _)| i % every != 0)
            .map(|(_, v)| *v),
    );
    let ticks = labelled
        .into_iter()
        .step_by(every)
        .map(|at| Tick {
            at,
            label: log_text(&axis.unit, at),
        })
        .collect();
    let map = Map {
        lo,
        hi,
        scale: Scale::Log,
    };
    Fitted {
        map,
        ticks,
        minor,
        label: with_hint(axis, 1.0, hi),
    }
}

/// Places between `lo` and `hi` that a log axis labels first, and second.
fn log_grid(unit: &Unit, lo: f64, hi: f64) -> (Vec<f64>, Vec<f64>) {
    let keep = |v: &f64| *v >= lo && *v <= hi;
    if *unit == Unit::Bytes {
        let powers = |from: u32| (from..60).step_by(10).map(|k| libm::pow(2.0, f64::from(k)));
        let between = powers(4).chain(powers(7));
        return (
            powers(0).filter(keep).collect(),
            between.filter(keep).collect(),
        );
    }
    let decade = |m: f64| move |k: i32| m * pow10(f64::from(k));
    let top = if *unit == Unit::Seconds { 1 } else { 18 };
    let mut majors: Vec<f64> = (-9..top).map(decade(1.0)).collect();
    let mut minors: Vec<f64> = (-9..top)
        .flat_map(|k| [decade(2.0)(k), decade(5.0)(k)])
        .collect();
    if *unit == Unit::Seconds {
        majors.extend(LONG_MAJOR);
        minors.extend(LONG_MINOR);
    }
    majors.retain(keep);
    minors.retain(keep);
    (majors, minors)
}

fn step(unit: &Unit, span: f64, most: f64, target: usize) -> f64 {
    let raw = span / count(target);
    match unit {
        Unit::Count => round_step(raw).max(1.0),
        Unit::Bytes => {
            round_step(raw / byte_unit(most).0).max(byte_floor(most)) * byte_unit(most).0
        }
        Unit::Clock => clock_step(raw),
        Unit::Seconds if most >= 2.0 * MINUTE => clock_step(raw),
        Unit::Number | Unit::Share | Unit::Change | Unit::Seconds | Unit::Names(_) => {
            round_step(raw)
        }
    }
}

/// Bytes themselves do not come in parts.
fn byte_floor(most: f64) -> f64 {
    if most < 1024.0 { 1.0 } else { 0.0 }
}

fn clock_step(raw: f64) -> f64 {
    if raw <= 5.0 {
        return round_step(raw);
    }
    let last = CLOCK_STEPS[CLOCK_STEPS.len() - 1];
    CLOCK_STEPS
        .into_iter()
        .find(|s| *s >= raw)
        .unwrap_or_else(|| round_step(raw / last) * last)
}

fn with_hint(axis: &Axis, step: f64, most: f64) -> String {
    let hint = match (&axis.unit, axis.scale) {
        (_, Scale::Log) => " (log scale)",
        (Unit::Clock, _) if step < 1.0 => " (s)",
        (Unit::Clock, _) if most >= 3.0 * DAY => " (days)",
        (Unit::Clock, _) if most >= HOUR && step < MINUTE => " (h:min:s)",
        (Unit::Clock, _) if most >= HOUR => " (h:min)",
        (Unit::Clock, _) => " (min:s)",
        _ => "",
    };
    format!("{}{hint}", axis.label)
}

/// A tick of a linear axis whose ticks are `step` apart and whose largest value is `most`.
fn tick_text(unit: &Unit, v: f64, step: f64, most: f64) -> String {
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

fn log_text(unit: &Unit, v: f64) -> String {
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
pub(super) fn value_text(unit: &Unit, v: f64) -> String {
    let digits = |v: f64| {
        if v.abs() > 0.0 {
            pow10(log10(v.abs()).floor() - 2.0)
        } else {
            1.0
        }
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
    let fits = UNITS
        .into_iter()
        .find(|(from, _, _)| most >= from * 0.999_999);
    fits.map_or((1e-9, "ns"), |(_, size, name)| (size, name))
}

fn byte_unit(most: f64) -> (f64, &'static str) {
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
    if step > 0.0 {
        index((-log10(step) - 1e-9).ceil()).min(9)
    } else {
        0
    }
}

/// With thousands separated by commas and a true minus sign.
fn number(v: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", v.abs());
    let (whole, part) = text
        .split_once('.')
        .map_or((text.as_str(), None), |(w, p)| (w, Some(p)));
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

    fn check(axis: &Axis, extent: (f64, f64), ends: Ends, target: usize, want: &str) {
        let fitted = fit(axis, Some(extent), ends, target);
        let labels: Vec<&str> = fitted.ticks.iter().map(|t| t.label.as_str()).collect();
        assert_eq!(labels.join(" | "), want, "{axis:?} {extent:?}");
    }

    fn axis(unit: Unit) -> Axis {
        Axis::new("x", unit)
    }

    #[test]
    fn linear_ticks_are_round_and_begin_at_zero() {
        check(
            &axis(Unit::Count),
            (2.0, 3.0),
            Ends::Ticks,
            5,
            "0 | 1 | 2 | 3 | 4",
        );
        check(
            &axis(Unit::Count),
            (900.0, 2100.0),
            Ends::Ticks,
            5,
            "0 | 500 | 1,000 | 1,500 | 2,000 | 2,500",
        );
        check(
            &axis(Unit::Number),
            (0.0, 0.31),
            Ends::Ticks,
            5,
            "0.0 | 0.1 | 0.2 | 0.3 | 0.4",
        );
        check(
            &axis(Unit::Number),
            (0.0, 4e7),
            Ends::Ticks,
            5,
            "0 M | 10 M | 20 M | 30 M | 40 M | 50 M",
        );
        check(
            &axis(Unit::Share),
            (0.2, 0.97),
            Ends::Ticks,
            5,
            "0 % | 20 % | 40 % | 60 % | 80 % | 100 %",
        );
        check(
            &axis(Unit::Number).free(),
            (98.0, 99.0),
            Ends::Ticks,
            2,
            "97.5 | 98.0 | 98.5 | 99.0 | 99.5",
        );
        check(
            &axis(Unit::Change),
            (-0.12, 0.05),
            Ends::Ticks,
            4,
            "−15 % | −10 % | −5 % | 0 % | +5 % | +10 %",
        );
    }

    #[test]
    fn bytes_and_spans_carry_their_unit() {
        let gib = 1024.0 * 1024.0 * 1024.0;
        check(
            &axis(Unit::Bytes),
            (0.0, 7.0 * gib),
            Ends::Ticks,
            4,
            "0 | 2 GiB | 4 GiB | 6 GiB | 8 GiB",
        );
        check(
            &axis(Unit::Seconds),
            (0.0, 0.19),
            Ends::Ticks,
            4,
            "0 | 50 ms | 100 ms | 150 ms | 200 ms",
        );
        check(
            &axis(Unit::Seconds),
            (0.0, 500.0),
            Ends::Ticks,
            5,
            "0 | 2 min | 4 min | 6 min | 8 min | 10 min",
        );
    }

    #[test]
    fn clocks_read_as_people_write_them() {
        let ends = Ends::Exact;
        check(
            &axis(Unit::Clock),
            (0.0, 600.0),
            ends,
            6,
            "0:00 | 2:00 | 4:00 | 6:00 | 8:00 | 10:00",
        );
        check(
            &axis(Unit::Clock),
            (0.0, 7200.0),
            ends,
            5,
            "0:00 | 0:30 | 1:00 | 1:30 | 2:00",
        );
        check(
            &axis(Unit::Clock),
            (0.0, 2.0),
            ends,
            4,
            "0.0 | 0.5 | 1.0 | 1.5 | 2.0",
        );
        check(
            &axis(Unit::Clock),
            (0.0, 7.0 * DAY),
            ends,
            8,
            "0 | 1 | 2 | 3 | 4 | 5 | 6 | 7",
        );
    }

    #[test]
    fn log_ticks_stand_at_decades_and_at_minutes() {
        check(
            &axis(Unit::Seconds).log(),
            (0.02, 300.0),
            Ends::Exact,
            8,
            "100 ms | 1 s | 10 s | 1 min",
        );
        check(
            &axis(Unit::Count).log(),
            (1.0, 12_000.0),
            Ends::Ticks,
            8,
            "1 | 10 | 100 | 1,000 | 10,000",
        );
        check(
            &axis(Unit::Number).log(),
            (3.0, 30.0),
            Ends::Ticks,
            8,
            "2 | 5 | 10 | 20 | 50",
        );
        assert!(
            fit(&axis(Unit::Count).log(), Some((1.0, 9.0)), Ends::Ticks, 5)
                .label
                .contains("log scale")
        );
    }

    #[test]
    fn odd_extents_give_an_axis_all_the_same() {
        for extent in [
            None,
            Some((0.0, 0.0)),
            Some((5.0, 5.0)),
            Some((-3.0, -3.0)),
            Some((f64::NAN, 1.0)),
        ] {
            for unit in [
                Unit::Count,
                Unit::Number,
                Unit::Share,
                Unit::Change,
                Unit::Seconds,
                Unit::Clock,
                Unit::Bytes,
            ] {
                for axis in [axis(unit.clone()), axis(unit.clone()).log()] {
                    for ends in [Ends::Exact, Ends::Ticks] {
                        let fitted = fit(&axis, extent, ends, 5);
                        assert!(
                            fitted.map.hi > fitted.map.lo,
                            "{axis:?} {extent:?} {fitted:?}"
                        );
                        assert!(fitted.ticks.len() < 20);
                    }
                }
            }
        }
    }

    #[test]
    fn values_are_written_to_three_digits() {
        assert_eq!(value_text(&Unit::Change, -0.123), "−12 %");
        assert_eq!(value_text(&Unit::Change, 0.0123), "+1.2 %");
        assert_eq!(value_text(&Unit::Seconds, 0.0842), "84.2 ms");
        assert_eq!(value_text(&Unit::Number, 240_117.0), "240,117");
        assert_eq!(value_text(&Unit::Number, 0.0), "0");
    }
}
