//! Rates of calls: constant, steps, a daily curve, a series of counts.

use std::sync::Arc;

use crate::base::text::counted;
use crate::base::{Duration, SimTime, cast, math};
use crate::model::Rate;
use crate::tree::{Diagnostic, Diagnostics, Span as Place, Spanned};

use super::file::{DailyFile, SeriesFile, StepFile, TrafficFile};
use super::input::Input;

/// Rates above this are refused: a typing error, or not this tool's job.
pub(super) const RATE_MAX: f64 = 1.0e9;

/// The rate of a source, in one of four forms.
pub(super) fn lower(file: &TrafficFile, place: Place, input: &mut Input) -> Option<Rate> {
    let found = &mut input.found;
    let rate = if let Some(rate) = &file.rate {
        Some(Rate::constant(rate.value.0))
    } else if let Some(steps) = &file.steps {
        step(steps, place, found)
    } else if let Some(daily) = &file.daily {
        curve(&daily.value, daily.span, found)
    } else {
        return file.series.as_ref().and_then(|series| read(series, input));
    }?;
    bounded(rate, file.rate.as_ref().map_or(place, |rate| rate.span), found)
}

fn bounded(rate: Rate, place: Place, found: &mut Diagnostics) -> Option<Rate> {
    if rate.max() > RATE_MAX {
        found.error(place, format!("a rate of {}/s is more than this can simulate", rate.max()));
        return None;
    }
    Some(rate)
}

fn step(steps: &[Spanned<StepFile>], place: Place, found: &mut Diagnostics) -> Option<Rate> {
    let Some(first) = steps.first() else {
        found.error(place, "steps: expected at least one step");
        return None;
    };
    if first.at.0 > Duration::ZERO {
        let hint = "begin with { at: 0s, rate: … }";
        found.push(Diagnostic::error(first.span, "the first step is not at 0s").with_hint(hint));
    }
    follow_each_other(steps, |step| step.at.0, found);
    let points = steps.iter().map(|step| (SimTime::ZERO + step.at.0, step.rate.0));
    Some(Rate { points: points.collect(), is_linear: false, repeat: None })
}

/// Whether there are steps, each later than the one before it; otherwise says where not.
pub(super) fn follow_each_other<T>(
    steps: &[Spanned<T>],
    at: impl Fn(&T) -> Duration,
    found: &mut Diagnostics,
) -> bool {
    let mut all = true;
    for pair in steps.windows(2) {
        if at(&pair[1].value) <= at(&pair[0].value) {
            let message = "this step is not later than the one before it";
            let error = Diagnostic::error(pair[1].span, message);
            found.push(error.with_related(pair[0].span, "the one before"));
            all = false;
        }
    }
    all
}

/// Points of a sine in a period: a line between two differs from it by less than 0.03 %.
const CURVE_POINTS: u64 = 96;

fn curve(daily: &DailyFile, place: Place, found: &mut Diagnostics) -> Option<Rate> {
    let period = daily.period.map_or(Duration::hours(24), |span| span.0);
    if period < Duration::secs(1) {
        found.error(place, "the period of a daily curve is at least 1s");
        return None;
    }
    if daily.high.0 < daily.low.0 {
        found.error(place, "the high rate of a daily curve is below its low rate");
        return None;
    }
    let middle = f64::midpoint(daily.high.0, daily.low.0);
    let swing = (daily.high.0 - daily.low.0) / 2.0;
    let point = |index: u64| {
        let at = Duration::ns(period.as_nanos() / CURVE_POINTS * index);
        let angle = (at.as_secs_f64() - daily.peak.0.as_secs_f64()) / period.as_secs_f64();
        let rate = middle + swing * math::cos(angle * std::f64::consts::TAU);
        (SimTime::ZERO + at, rate.max(0.0))
    };
    let mut points: Vec<_> = (0..CURVE_POINTS).map(point).collect();
    points.push((SimTime::ZERO + period, points[0].1));
    Some(Rate { points: points.into(), is_linear: true, repeat: Some(period) })
}

/// Rows of a series at most.
const ROWS_MAX: usize = 10_000_000;

/// Why a row cannot be read.
pub(super) fn no_row(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("this row has {}, the header has {expected_len}", counted(*len, "field"))
        }
        _ => "this row is not CSV".to_owned(),
    }
}

pub(super) fn read(series: &Spanned<SeriesFile>, input: &mut Input) -> Option<Rate> {
    let SeriesFile { file, column, every, time, from, scale } = &series.value;
    let text = input.read_text(file)?;
    let found = &mut input.found;
    let before = found.error_count();
    if let Some(every) = every.as_ref().filter(|every| every.value.0 < Duration::ms(1)) {
        found.error(every.span, "a row stands for 1ms at least");
    }
    let wrong = |scale: &&Spanned<f64>| !scale.value.is_finite() || scale.value < 0.0;
    if let Some(scale) = scale.as_ref().filter(wrong) {
        found.error(scale.span, format!("a scale is a number from 0 on, not {}", scale.value));
    }
    let every = every.as_ref().map_or(Duration::mins(1), |every| every.value.0);
    let scale = scale.as_ref().map_or(1.0, |scale| scale.value);
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let headers = rows.headers().cloned().unwrap_or_default();
    let find = |name: &Spanned<String>, found: &mut Diagnostics| {
        let index = headers.iter().position(|header| header.trim() == name.value);
        if index.is_none() {
            let message = format!("{} has no column \"{}\"", file.value, name.value);
            let listed: Vec<&str> = headers.iter().take(20).collect();
            let error = Diagnostic::error(name.span, message);
            let error = error.with_hint(format!("it has {}", listed.join(", ")));
            found.push(error.with_suggestion(&name.value, &headers));
        }
        index
    };
    let value_at = find(column, found);
    let time_at = time.as_ref().and_then(|time| find(time, found));
    if let (Some(from), None) = (from, time) {
        let error = Diagnostic::error(from.span, "`from` needs to know the column of times");
        found.push(error.with_hint("say it with `time: COLUMN`"));
    }
    if found.error_count() > before {
        return None;
    }
    let value_at = value_at?;
    let mut counts = Vec::new();
    let mut begun = from.is_none();
    for row in rows.records() {
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                let error = Diagnostic::error(text.line(error.position()), no_row(&error));
                found.push(error.with_related(file.span, "read because of this"));
                return None;
            }
        };
        begun = begun || (row.get(time_at.unwrap_or(0)) == from.as_ref().map(|f| f.value.as_str()));
        if !begun {
            continue;
        }
        let count = row.get(value_at).unwrap_or("").trim();
        let number = count.parse::<f64>().ok().filter(|c| c.is_finite() && *c >= 0.0);
        let Some(number) = number else {
            let message = format!("\"{count}\" is no number from 0 on");
            let error = Diagnostic::error(text.line(row.position()), message);
            found.push(error.with_related(column.span, "the column"));
            return None;
        };
        counts.push(number * scale / every.as_secs_f64());
        if counts.len() > ROWS_MAX {
            found.error(file.span, format!("more than {ROWS_MAX} rows"));
            return None;
        }
    }
    if counts.is_empty() {
        let (place, message) = match from {
            Some(from) => {
                let column = time.as_ref().map_or("", |time| time.value.as_str());
                let text = &from.value;
                let message = format!("no row of {} has \"{text}\" as {column}", file.value);
                (from.span, message)
            }
            None => (file.span, format!("{} has no rows", file.value)),
        };
        found.error(place, message);
        return None;
    }
    let rows = cast::u64_of(counts.len());
    if every.as_nanos().checked_mul(rows).is_none_or(|end| end > i64::MAX.unsigned_abs()) {
        found.error(series.span, format!("{rows} rows of {every} each are longer than 292 years"));
        return None;
    }
    let at = |index: usize| SimTime::ZERO + every * cast::u64_of(index);
    let points: Arc<[_]> = counts.iter().enumerate().map(|(i, rate)| (at(i), *rate)).collect();
    bounded(Rate { points, is_linear: false, repeat: None }, series.span, found)
}
