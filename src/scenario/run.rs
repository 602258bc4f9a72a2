//! `run`, `scheduler` and the like: settings.

use crate::base::{Duration, SimTime};
use crate::model::{NodeOrder, Plugin, Profile, RunSettings, SchedulerSettings, Scoring};
use crate::tree::{Diagnostic, Diagnostics, Spanned};

use super::file::{OrderFile, ProfileFile, RunFile, SchedulerFile};
use super::units::Span;

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

pub(super) fn scheduler(
    file: Option<&SchedulerFile>,
    found: &mut Diagnostics,
) -> SchedulerSettings {
    let mut settings = SchedulerSettings::default();
    let Some(file) = file else { return settings };
    let mut profile = Profile::default();
    profile.args.scoring = match file.profile {
        Some(ProfileFile::MostAllocated) => Scoring::MostAllocated,
        Some(ProfileFile::Default) | None => Scoring::LeastAllocated,
    };
    if let Some(percentage) = &file.percentage_of_nodes_to_score {
        if percentage.value > 100 {
            found.error(percentage.span, "a percentage is at most 100");
        }
        settings.percentage_of_nodes_to_score = percentage.value.min(100);
    }
    let span = |span: &Option<Spanned<Span>>, usual| span.as_ref().map_or(usual, |s| s.value.0);
    settings.backoff_initial = span(&file.backoff_initial, Duration::secs(1));
    settings.backoff_max = span(&file.backoff_max, Duration::secs(10));
    let place = file.backoff_max.as_ref().or(file.backoff_initial.as_ref());
    if let Some(place) = place.filter(|_| settings.backoff_max < settings.backoff_initial) {
        let (first, longest) = (settings.backoff_initial, settings.backoff_max);
        let message = format!("the longest back-off, {longest}, is below the first, {first}");
        found.error(place.span, message);
    }
    for (name, weight) in &file.weights {
        if !(0..=100).contains(&weight.value) {
            found.error(weight.span, format!("a weight is from 0 to 100, not {}", weight.value));
        }
        let scores = |plugin: &Plugin| profile.weight(*plugin) > 0;
        match Plugin::named(name).filter(scores) {
            Some(plugin) => profile.set_weight(plugin, weight.value),
            None => {
                let known = Profile::default().score;
                let known = known.iter().map(|(plugin, _)| plugin.as_str());
                let message = format!("unknown score plugin \"{name}\"");
                found.push(Diagnostic::error(weight.span, message).with_suggestion(name, known));
            }
        }
    }
    settings.profiles = vec![profile];
    settings
}

pub(super) const fn node_order(file: Option<OrderFile>) -> NodeOrder {
    match file {
        Some(OrderFile::Seeded) => NodeOrder::Seeded,
        Some(OrderFile::Given) => NodeOrder::Given,
        Some(OrderFile::ByName) | None => NodeOrder::ByName,
    }
}
