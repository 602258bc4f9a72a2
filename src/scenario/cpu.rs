//! `cpu` of a behaviour: a series of cores over time.

use serde_json::{Value, json};

use crate::base::{Duration, SimTime};
use crate::model::{CpuOf, CpuUse, Rate};
use crate::tree::{Diagnostic, Diagnostics, Span as Place, Spanned};

use super::file::{CpuFile, CpuOfFile, CpuStepFile};
use super::input::Input;
use super::{metrics, rates};

/// The series, checked.
pub(super) fn lower(file: &Spanned<CpuFile>, input: &mut Input) -> Option<CpuUse> {
    let CpuFile { of, series, steps, repeat } = &file.value;
    let cores = match (series, steps) {
        (Some(series), None) => metrics::read(series, input),
        (None, Some(steps)) => stepped(&steps.value, steps.span, &mut input.found),
        _ => {
            let error = Diagnostic::error(file.span, "expected exactly one of series and steps");
            let hint = "for example cpu: { steps: [{ at: 0s, cpu: 2 }, { at: 5m, cpu: 6 }] }";
            input.found.push(error.with_hint(hint));
            None
        }
    }?;
    if let Some(repeat) = repeat.as_ref().filter(|repeat| repeat.value.0 < Duration::secs(1)) {
        input.found.error(repeat.span, "a series begins anew after 1s at least");
        return None;
    }
    let repeat = repeat.as_ref().map(|repeat| repeat.value.0);
    let of = match of {
        CpuOfFile::Workload => CpuOf::Workload,
        CpuOfFile::Pod => CpuOf::Pod,
    };
    Some(CpuUse { cores: Rate { repeat, ..cores }, of })
}

fn stepped(steps: &[Spanned<CpuStepFile>], place: Place, found: &mut Diagnostics) -> Option<Rate> {
    let Some(first) = steps.first() else {
        found.error(place, "steps: expected at least one step");
        return None;
    };
    if first.value.at.0 > Duration::ZERO {
        let hint = "begin with { at: 0s, cpu: … }";
        found.push(Diagnostic::error(first.span, "the first step is not at 0s").with_hint(hint));
        return None;
    }
    if !rates::follow_each_other(steps, |step| step.at.0, found) {
        return None;
    }
    let point = |step: &Spanned<CpuStepFile>| {
        (SimTime::ZERO + step.value.at.0, step.value.cpu.0.as_cores())
    };
    Some(Rate { points: steps.iter().map(point).collect(), is_linear: false, repeat: None })
}

/// What it is in `check --show`.
pub(super) fn show(cpu: &CpuUse) -> Value {
    let points = &cpu.cores.points;
    let least = points.iter().fold(f64::MAX, |least, (_, cores)| least.min(*cores));
    json!({
        "of": match cpu.of { CpuOf::Workload => "workload", CpuOf::Pod => "pod" },
        "points": points.len(),
        "cores": format!("{least} to {}", cpu.cores.max()),
        "repeat": cpu.cores.repeat.map(Duration::go_text),
    })
}
