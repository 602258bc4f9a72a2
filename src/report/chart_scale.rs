//! Axes: which values they span and where their ticks are.
//!
//! Owns rounding to human steps: 1, 2, 5; those of a clock; powers of 1024.

use super::chart::{Axis, Scale, Unit};
use super::chart_math::{count, index, log10, pow10, round_step};
use super::chart_text::{DAY, HOUR, MINUTE, byte_unit, log_text, tick_text};

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
const LONG_MINOR: [f64; 10] =
    [20.0, 30.0, 120.0, 300.0, 1200.0, 1800.0, 7200.0, 18_000.0, 172_800.0, 432_000.0];

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
    let known = axis.range.or(extent).filter(|(lo, hi)| lo.is_finite() && hi.is_finite());
    let Some((lo, hi)) = known else {
        let map = Map { lo: 0.0, hi: 1.0, scale: Scale::Linear };
        return Fitted { map, ticks: Vec::new(), minor: Vec::new(), label: axis.label.clone() };
    };
    let ends = if axis.range.is_some() { Ends::Exact } else { ends };
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
        map: Map { lo, hi, scale: Scale::Linear },
        ticks: names
            .iter()
            .enumerate()
            .map(|(i, n)| Tick { at: count(i), label: n.clone() })
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
        hi = if hi > 0.0 { ((hi + room) / step).ceil() * step } else { hi };
        hi = if whole_share { hi.min(1.0) } else { hi };
        lo = if lo.abs() < step * 1e-9 { 0.0 } else { ((lo - room) / step).floor() * step };
    }
    let first = (lo / step - 1e-6).ceil();
    let steps = ((hi / step + 1e-6).floor() - first).clamp(0.0, 200.0);
    let at = (0..=index(steps)).map(|i| (first + count(i)) * step);
    let most = hi.abs().max(lo.abs());
    let ticks = at.map(|at| Tick { at, label: tick_text(&axis.unit, at, step, most) }).collect();
    let map = Map { lo, hi, scale: Scale::Linear };
    Fitted { map, ticks, minor: Vec::new(), label: with_hint(axis, step, most) }
}

fn fit_log(axis: &Axis, (lo, hi): (f64, f64), ends: Ends, target: usize) -> Fitted {
    let hi = if hi > 0.0 { hi } else { 1.0 };
    let lo = if lo > 0.0 { lo.min(hi) } else { hi / 1000.0 };
    let (mut lo, mut hi) = if hi / lo < 1.000_001 { (lo / 2.0, hi * 2.0) } else { (lo, hi) };
    let (majors, minors) = log_grid(&axis.unit, lo / 10.0, hi * 10.0);
    if ends == Ends::Ticks || axis.range.is_none() {
        let all = || majors.iter().chain(&minors).copied();
        lo = all().filter(|v| *v <= lo * 1.000_001).fold(lo / 10.0, f64::max);
        hi = all().filter(|v| *v >= hi * 0.999_999).fold(hi * 10.0, f64::min);
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
    minor.extend(labelled.iter().enumerate().filter(|(i, _)| i % every != 0).map(|(_, v)| *v));
    let ticks = labelled
        .into_iter()
        .step_by(every)
        .map(|at| Tick { at, label: log_text(&axis.unit, at) })
        .collect();
    let map = Map { lo, hi, scale: Scale::Log };
    Fitted { map, ticks, minor, label: with_hint(axis, 1.0, hi) }
}

/// Places between `lo` and `hi` that a log axis labels first, and second.
fn log_grid(unit: &Unit, lo: f64, hi: f64) -> (Vec<f64>, Vec<f64>) {
    let keep = |v: &f64| *v >= lo && *v <= hi;
    if *unit == Unit::Bytes {
        let powers = |from: u32| (from..60).step_by(10).map(|k| libm::pow(2.0, f64::from(k)));
        let between = powers(4).chain(powers(7));
        return (powers(0).filter(keep).collect(), between.filter(keep).collect());
    }
    let decade = |m: f64| move |k: i32| m * pow10(f64::from(k));
    let top = if *unit == Unit::Seconds { 1 } else { 18 };
    let mut majors: Vec<f64> = (-9..top).map(decade(1.0)).collect();
    let mut minors: Vec<f64> = (-9..top).flat_map(|k| [decade(2.0)(k), decade(5.0)(k)]).collect();
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
    CLOCK_STEPS.into_iter().find(|s| *s >= raw).unwrap_or_else(|| round_step(raw / last) * last)
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
        check(&axis(Unit::Count), (2.0, 3.0), Ends::Ticks, 5, "0 | 1 | 2 | 3 | 4");
        check(
            &axis(Unit::Count),
            (900.0, 2100.0),
            Ends::Ticks,
            5,
            "0 | 500 | 1,000 | 1,500 | 2,000 | 2,500",
        );
        check(&axis(Unit::Number), (0.0, 0.31), Ends::Ticks, 5, "0.0 | 0.1 | 0.2 | 0.3 | 0.4");
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
        check(&axis(Unit::Clock), (0.0, 7200.0), ends, 5, "0:00 | 0:30 | 1:00 | 1:30 | 2:00");
        check(&axis(Unit::Clock), (0.0, 2.0), ends, 4, "0.0 | 0.5 | 1.0 | 1.5 | 2.0");
        check(&axis(Unit::Clock), (0.0, 7.0 * DAY), ends, 8, "0 | 1 | 2 | 3 | 4 | 5 | 6 | 7");
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
        check(&axis(Unit::Number).log(), (3.0, 30.0), Ends::Ticks, 8, "2 | 5 | 10 | 20 | 50");
        assert!(
            fit(&axis(Unit::Count).log(), Some((1.0, 9.0)), Ends::Ticks, 5)
                .label
                .contains("log scale")
        );
    }

    #[test]
    fn odd_extents_give_an_axis_all_the_same() {
        for extent in
            [None, Some((0.0, 0.0)), Some((5.0, 5.0)), Some((-3.0, -3.0)), Some((f64::NAN, 1.0))]
        {
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
                        assert!(fitted.map.hi > fitted.map.lo, "{axis:?} {extent:?} {fitted:?}");
                        assert!(fitted.ticks.len() < 20);
                    }
                }
            }
        }
    }
}
