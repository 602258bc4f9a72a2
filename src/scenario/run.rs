//! `run` and the like: settings.

use crate::base::{Duration, SimTime};
use crate::model::{NodeOrder, RunSettings};
use crate::tree::{Diagnostic, Diagnostics};

use super::file::{OrderFile, RunFile};

/// Replications at most.
const REPLICATIONS_MAX: u32 = 100_000;

pub(super) fn settings(file: &RunFile, found: &mut Diagnostics) -> RunSettings {
    let mut run = RunSettings::default();
    if let Some(until) = &file.until {
        if until.value.0.is_zero() {
            found.error(until.span, "a horizon of 0s leaves nothing to run");
        }
        run.until = Some(SimTime::ZERO + until.value.0);
    }
    if let Some(replications) = &file.replications {
        if replications.value == 0 || replications.value > REPLICATIONS_MAX {
            let message =
                format!("from 1 to {REPLICATIONS_MAX} replications, not {}", replications.value);
            found.error(replications.span, message);
        }
        run.replications = replications.value;
    }
    if let Some(slow) = &file.slow {
        if slow.value.0.is_zero() {
            found.error(slow.span, "no call takes no time");
        }
        run.slow = slow.value.0;
    }
    if let Some(sample) = &file.sample {
        if sample.value.0 < Duration::ms(1) {
            found.error(sample.span, "samples are at least 1ms apart");
        }
        run.sample = sample.value.0.max(Duration::ms(1));
    }
    if let Some(start) = &file.start {
        match crate::base::go_time::Timestamp::parse(&start.value) {
            Ok(at) => run.start_unix = at.unix_secs(),
            Err(_) => {
                let message = format!("\"{}\" is not a date and time", start.value);
                let hint = "for example 2026-01-05T00:00:00Z (RFC 3339)";
                found.push(Diagnostic::error(start.span, message).with_hint(hint));
            }
        }
    }
    run.seed = file.seed.unwrap_or(run.seed);
    if let Some(warmup) = &file.warmup {
        run.warmup = warmup.value.0;
        if let Some(until) = &file.until
            && until.value.0 <= run.warmup
            && !until.value.0.is_zero()
        {
            let warning = Diagnostic::warning(warmup.span, "the warm-up leaves nothing to measure");
            found.push(warning.with_related(until.span, "the end of the run"));
        }
    }
    if let Some(events_max) = &file.events_max {
        run.events_max = events_max.value;
        if run.events_max == 0 {
            found.error(events_max.span, "a run needs at least one event");
        }
    }
    run
}

pub(super) const fn node_order(file: Option<OrderFile>) -> NodeOrder {
    match file {
        Some(OrderFile::Seeded) => NodeOrder::Seeded,
        Some(OrderFile::Given) => NodeOrder::Given,
        Some(OrderFile::ByName) | None => NodeOrder::ByName,
    }
}
