//! Rates of calls: constant, steps, a daily curve, a series of counts.

use std::sync::Arc;

use crate::base::{Duration, SimTime, cast, math};
use crate::model::Rate;
use crate::tree::{Diagnostic, Diagnostics, Span as Place, Spanned};

use super::file::{DailyFile, SeriesFile, StepFile, TrafficFile};
use super::input::Input;

/// Rates above this are refused: a typing error, or not this tool's job.
const RATE_MAX: f64 = 1.0e9;

/// The rate of a source: exactly one of the four forms.
pub(super) fn lower(
    file: &TrafficFile,
    place: Place,
    input: &mut Input,
) -> Option<Rate> {
    let found = &mut input.found;
    let forms = [
        file.rate.is_some(),
        file.steps.is_some(),
        file.daily.is_some(),
        file.series.is_some(),
    ];
    if forms.iter().filter(|given| **given).count() != 1 {
        let message = "expected exactly one of rate, steps, daily and series";
        found.push(Diagnostic::error(place, message).with_hint("for example rate: 400/s"));
        return None;
    }
    let rate = if let Some(rate) = &file.rate {
        Some(Rate::constant(rate.value.0))
    } else if let Some(steps) = &file.steps {
        step(steps, place, found)
    } else if let Some(daily) = &file.daily {
        curve(&daily.value, daily.span, found)
    } else {
        return file.series.as_ref().and_then(|series| read(series, input));
    }?;
    bounded(rate, place, found)
}

fn bounded(rate: Rate, place: Place, found: &mut Diagnostics) -> Option<Rate> {
    if rate.max() > RATE_MAX {
        found.error(place, format!("a rate of {}/s is more than this can simulate", rate.max()));
        return None;
    }
    Some(rate)
}

fn step(
    steps: &[Spanned<StepFile>],
    place: Place,
    found: &mut Diagnostics,
) -> Option<Rate> {
    let Some(first) = steps.first() else {
        found.error(place, "steps: expected at least one step");
        return None;
    };
    if first.at.0 > Duration::ZERO {
        let hint = "begin with { at: 0s, rate: … }";
        found.push(Diagnostic::error(first.span, "the first step is not at 0s").with_hint(hint));
    }
    for pair in steps.windows(2) {
        if pair[1].at.0 <= pair[0].at.0 {
            let message = "this step is not later than the one before it";
            let error = Diagnostic::error(pair[1].span, message);
            found.push(error.with_related(pair[0].span, "the one before"));
        }
    }
    let points = steps.iter().map(|step| (SimTime::ZERO + step.at.0, step.rate.0));
    Some(Rate { points: points.collect(), is_linear: false, repeat: None })
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

fn read(series: &Spanned<SeriesFile>, input: &mut Input) -> Option<Rate> {
    let SeriesFile { file, column, every, time, from, scale } = &series.value;
    let text = input.read_text(file)?;
    let found = &mut input.found;
    let every = every.map_or(Duration::mins(1), |span| span.0);
    let scale = scale.unwrap_or(1.0);
    if every.is_zero() || !scale.is_finite() || scale < 0.0 {
        found.error(series.span, "`every` must be above 0s and `scale` a number from 0 on");
        return None;
    }
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let headers = rows.headers().cloned().unwrap_or_default();
    let find = |name: &Spanned<String>, found: &mut Diagnostics| {
        let index = headers.iter().position(|header| header.trim() == name.value);
        if index.is_none() {
            let message = format!("{} has no column \"{}\"", file.value, name.value);
            found.push(Diagnostic::error(name.span, message).with_suggestion(&name.value, &headers));
        }
        index
    };
    let value_at = find(column, found)?;
    let time_at = match time {
        Some(time) => Some(find(time, found)?),
        None => None,
    };
    if let (Some(from), None) = (from, time_at) {
        let error = Diagnostic::error(from.span, "`from` needs to know the column of times");
        found.push(error.with_hint("say it with `time: COLUMN`"));
        return None;
    }
    let mut counts = Vec::new();
    let mut begun = from.is_none();
    for (index, row) in rows.records().enumerate() {
        let Ok(row) = row else {
            found.error(file.span, format!("row {} of {} is not CSV", index + 2, file.value));
            return None;
        };
        begun = begun || (row.get(time_at.unwrap_or(0)) == from.as_ref().map(|f| f.value.as_str()));
        if !begun {
            continue;
        }
        let text = row.get(value_at).unwrap_or("").trim();
        let Some(count) = text.parse::<f64>().ok().filter(|c| c.is_finite() && *c >= 0.0) else {
            let message = format!("row {} of {}: \"{text}\" is no count", index + 2, file.value);
            found.error(column.span, message);
            return None;
        };
        counts.push(count * scale / every.as_secs_f64());
        if counts.len() > ROWS_MAX {
            found.error(file.span, format!("more than {ROWS_MAX} rows"));
            return None;
        }
    }
    if counts.is_empty() {
        let place = from.as_ref().map_or(file.span, |from| from.span);
        found.error(place, format!("no row of {} is used", file.value));
        return None;
    }
    let at = |index: usize| SimTime::ZERO + every * cast::u64_of(index);
    let points: Arc<[_]> = counts.iter().enumerate().map(|(i, rate)| (at(i), *rate)).collect();
    bounded(Rate { points, is_linear: false, repeat: None }, series.span, found)
}
