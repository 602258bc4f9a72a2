//! `metrics`: numbers that autoscalers ask for by name.

use crate::base::{Duration, Interner, SimTime};
use crate::manifest::Document;
use crate::model::{CallMeasure, MetricSource, MetricSpec, Rate};
use crate::tree::{Diagnostic, Diagnostics, Span as Place, Spanned, Value};

use super::behaviors::{self, Known};
use super::file::{GapFile, MeasureFile, MetricFile, MetricStepFile, SeriesFile};
use super::input::Input;
use super::rates;

/// The metrics, checked.
pub(super) fn lower(
    files: &[Spanned<MetricFile>],
    known: &Known<'_>,
    names: &mut Interner,
    input: &mut Input,
) -> Vec<MetricSpec> {
    let mut all = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let own = &file.value.name;
        if let Some(first) = files[..index].iter().find(|f| f.value.name.value == own.value) {
            let error = Diagnostic::error(own.span, format!("a second metric \"{}\"", own.value));
            input.found.push(error.with_related(first.value.name.span, "the first"));
            continue;
        }
        let Some(source) = source(file, known, names, input) else { continue };
        let delay = file.value.delay.as_ref().map_or(Duration::ZERO, |delay| delay.value.0);
        let gap = |gap: &Spanned<GapFile>| {
            let from = SimTime::ZERO + gap.value.at.0;
            (from, from.saturating_add(gap.value.lasts.0))
        };
        let gaps = file.value.gaps.iter().map(gap).collect();
        all.push(MetricSpec { name: names.intern(&own.value), source, delay, gaps });
    }
    all
}

fn source(
    file: &Spanned<MetricFile>,
    known: &Known<'_>,
    names: &mut Interner,
    input: &mut Input,
) -> Option<MetricSource> {
    let MetricFile { value, steps, series, calls, .. } = &file.value;
    let given = [value.is_some(), steps.is_some(), series.is_some(), calls.is_some()];
    if given.iter().filter(|given| **given).count() != 1 {
        let message = "expected exactly one of value, steps, series and calls";
        let error = Diagnostic::error(file.value.name.span, message);
        input.found.push(error.with_hint("for example value: 30"));
        return None;
    }
    if let Some(value) = value {
        check(value.value, value.span, &mut input.found)?;
        return Some(MetricSource::Series(Rate::constant(value.value)));
    }
    if let Some(steps) = steps {
        return stepped(&steps.value, steps.span, &mut input.found).map(MetricSource::Series);
    }
    if let Some(series) = series {
        return read(series, input).map(MetricSource::Series);
    }
    let calls = &calls.as_ref()?.value;
    let of = behaviors::workload(&calls.of, known, names, &mut input.found)?;
    let measure = match calls.measure {
        MeasureFile::PerSecond => CallMeasure::PerSecond,
        MeasureFile::InFlight => CallMeasure::InFlight,
    };
    let window = calls.window.as_ref().map_or(Duration::ZERO, |window| window.value.0);
    if let Some(window) = calls.window.as_ref().filter(|_| measure == CallMeasure::InFlight) {
        let error = Diagnostic::error(window.span, "`window` is for a rate: measure: per-second");
        input.found.push(error.with_hint("how many are in flight is true of an instant"));
        return None;
    }
    Some(MetricSource::Calls { of, measure, window })
}

/// What the metrics API can tell: thousandths in 64 bits.
fn check(value: f64, place: Place, found: &mut Diagnostics) -> Option<()> {
    if (0.0..=rates::RATE_MAX).contains(&value) {
        return Some(());
    }
    found.error(place, format!("a metric is a number from 0 to {}, not {value}", rates::RATE_MAX));
    None
}

fn stepped(
    steps: &[Spanned<MetricStepFile>],
    place: Place,
    found: &mut Diagnostics,
) -> Option<Rate> {
    if steps.is_empty() {
        found.error(place, "steps: expected at least one step");
        return None;
    }
    if !rates::follow_each_other(steps, |step| step.at.0, found) {
        return None;
    }
    for step in steps {
        check(step.value.value, step.span, found)?;
    }
    let points = steps.iter().map(|step| (SimTime::ZERO + step.value.at.0, step.value.value));
    Some(Rate { points: points.collect(), is_linear: false, repeat: None })
}

/// The rows as they are: a series of calls is a rate, which this is not.
pub(super) fn read(series: &Spanned<SeriesFile>, input: &mut Input) -> Option<Rate> {
    let rate = rates::read(series, input)?;
    let every = series.value.every.as_ref().map_or(Duration::mins(1), |every| every.value.0);
    let points = rate.points.iter().map(|(at, rate)| (*at, rate * every.as_secs_f64()));
    Some(Rate { points: points.collect(), ..rate })
}

/// Metrics that autoscalers ask for and nothing answers: they count as invalid.
pub(super) fn check_asked(
    documents: &[Document],
    metrics: &[MetricSpec],
    names: &Interner,
    input: &mut Input,
) {
    let known = || metrics.iter().map(|metric| names.resolve(metric.name));
    for document in documents.iter().filter(|d| d.kind.value == "HorizontalPodAutoscaler") {
        let asked = document.root().at(&["spec", "metrics"]);
        for metric in asked.into_iter().flat_map(Value::items) {
            let name = ["pods", "object", "external"];
            let name = name.iter().find_map(|kind| metric.at(&[kind, "metric", "name"]));
            let Some((value, text)) = name.and_then(|name| Some((name, name.as_str()?))) else {
                continue;
            };
            if known().any(|known| known == text) {
                continue;
            }
            let message = format!("the scenario has no metric \"{text}\"");
            let hint = format!(
                "this autoscaler does not see it: metrics: [{{ name: {text}, value: 10 }}] says \
                 what it is worth"
            );
            let warning = Diagnostic::warning(value.span(), message).with_hint(hint);
            input.found.push(warning.with_suggestion(text, known()));
        }
    }
}
