//! A rollout and the calls that it touched.

use crate::base::{Duration, SimTime};
use crate::model::{Action, Command, Workload};
use crate::record::{CallRecord, Fate};
use crate::recorder::{CallCounts, Facts, IntervalLatency, Rollout};

use super::names;

/// A rollout with the calls to its Services while it rolled.
#[derive(Clone, Debug)]
pub struct RolloutCalls {
    /// Calls that started from the start of the rollout until it settled. Totals are by whole
    /// intervals of the series, failed ones by their own start where all are known.
    pub counts: CallCounts,
    /// Latencies before the rollout, after the warm-up and any rollout before it.
    pub before: IntervalLatency,
    /// Latencies while it rolled.
    pub during: IntervalLatency,
    /// How long after its pod's deletion a call failed, at most.
    pub after_deletion_max: Option<Duration>,
}

/// The rollouts of a workload, its first revision left out.
pub(super) fn of_workload(facts: &Facts, workload: Workload) -> Vec<&Rollout> {
    let own = |r: &&Rollout| r.workload == workload && r.revision > 1;
    facts.rollouts.iter().filter(own).collect()
}

/// From the start of a rollout until the calls that it touches have ended: some seconds after the
/// last old pod, at most until the next rollout or the end of the run.
pub(super) fn span(facts: &Facts, rollout: &Rollout) -> (SimTime, SimTime) {
    let later = |r: &&Rollout| r.workload == rollout.workload && r.started > rollout.started;
    let next = facts.rollouts.iter().find(later).map(|r| r.started);
    let settled = rollout.settled().unwrap_or(SimTime::MAX);
    let until = settled.min(next.unwrap_or(SimTime::MAX)).min(facts.ended);
    (rollout.started, until.max(rollout.started))
}

/// The failed calls to the Services of a rollout while it rolled: those that started then, and those
/// that were under way when it began, such as long ones that it cut.
fn failures<'a>(
    facts: &'a Facts,
    services: &'a [usize],
    (from, until): (SimTime, SimTime),
) -> impl Iterator<Item = &'a CallRecord> {
    let warmup = SimTime::at(facts.model.run.warmup);
    let touched = move |call: &&CallRecord| {
        let end = call.start.saturating_add(call.latency);
        let is_then = call.start < until && (call.start >= from || end > from);
        is_then && call.start >= warmup && services.contains(&call.service.index())
    };
    facts.failures.iter().filter(touched)
}

/// The calls to the Services of a rollout's workload, before and while it rolled.
#[must_use]
pub fn calls(facts: &Facts, rollout: &Rollout) -> RolloutCalls {
    let services = names::services_of(&facts.model, rollout.workload);
    let (from, until) = span(facts, rollout);
    let earlier = |r: &&Rollout| r.workload == rollout.workload && r.started < rollout.started;
    let previous = facts.rollouts.iter().rev().find(earlier);
    let previous = previous.filter(|r| r.settled().is_some());
    let quiet = previous.map_or(SimTime::ZERO, |r| span(facts, r).1.min(from));
    let quiet = quiet.max(SimTime::at(facts.model.run.warmup));
    let (mut before, mut during) =
        (crate::recorder::Interval::default(), crate::recorder::Interval::default());
    for (index, calls) in facts.services.iter().enumerate() {
        if services.contains(&index) {
            let width = calls.width();
            let first = from.as_nanos() / width.as_nanos() * width.as_nanos();
            let first = SimTime::from_nanos(first);
            before.merge(&calls.between(quiet, first));
            during.merge(&calls.between(first, until));
        }
    }
    let mut counts = during.counts;
    let touched = || failures(facts, &services, (from, until));
    if facts.failures_dropped == 0 {
        let ok = counts.ok();
        counts = CallCounts { retried: counts.retried, ..CallCounts::default() };
        touched().for_each(|call| counts.add_failed(call));
        counts.by_fate[Fate::Ok as usize] = ok;
    }
    let after_deletion_max = touched().filter_map(|call| facts.after_deletion(call)).max();
    RolloutCalls { counts, before: before.latency, during: during.latency, after_deletion_max }
}

/// A line for each rollout of a workload that was not complete when the next one began.
pub(super) fn given_up(facts: &Facts, workload: Workload) -> Vec<String> {
    let all = of_workload(facts, workload);
    let line = |pair: &[&Rollout]| {
        let [old, new] = pair else { return None };
        let is_complete = old.completed.is_some_and(|at| at <= new.started);
        let whole = |at: SimTime| SimTime::at(Duration::secs(at.since_start().whole_secs()));
        let late = old.deadline_exceeded.filter(|at| *at <= new.started);
        let late = late.map(|at| format!(", progress deadline passed at {}", whole(at)));
        let line = format!(
            "  before     {} at {}: not complete when this one began{}",
            title(facts, old),
            whole(old.started),
            late.unwrap_or_default()
        );
        (!is_complete).then_some(line)
    };
    all.windows(2).filter_map(line).collect()
}

/// What a rollout leads from and to: the tags of the images, or what else was done.
#[must_use]
pub fn title(facts: &Facts, rollout: &Rollout) -> String {
    let model = &facts.model;
    let template = model.rolling_templates().find(|(own, _)| *own == rollout.workload);
    let spec = template.map(|(_, template)| &template.spec);
    let containers =
        spec.iter().flat_map(|spec| spec.init_containers.iter().chain(&spec.containers));
    let text = |symbol| model.names.resolve(symbol).to_owned();
    let mut images: Vec<(String, String)> =
        containers.map(|c| (text(c.name), text(c.image))).collect();
    let mut last = None;
    for done in &facts.commands {
        let entry = &model.timeline[crate::base::cast::usize_of(done.entry)];
        let Action::Command(Command::Kubectl(command)) = &entry.action else { continue };
        // Whose it is first: that is a number, the rest is text.
        let Some(new) = command.revisions.iter().find(|of| of.workload == rollout.workload) else {
            continue;
        };
        if done.at > rollout.started || done.refused.is_some() {
            continue;
        }
        let said = set_images(&mut images, &new.images);
        last = Some(said.unwrap_or_else(|| new.about.to_owned()));
    }
    last.unwrap_or_else(|| format!("to revision {}", rollout.revision))
}

/// Sets the images and says what changed first.
fn set_images(images: &mut [(String, String)], new: &[(String, String)]) -> Option<String> {
    let mut said = None;
    for (container, image) in new {
        let named = images.iter_mut().filter(|(name, _)| name == container || container == "*");
        for (_, old) in named {
            if old != image {
                said.get_or_insert_with(|| change(old, image));
                old.clone_from(image);
            }
        }
    }
    said
}

/// `v1 → v2` of two tags of one image, else both names.
fn change(old: &str, new: &str) -> String {
    let short = |image: &str| image.rsplit('/').next().unwrap_or(image).to_owned();
    let (old_short, new_short) = (short(old), short(new));
    match (old_short.split_once(':'), new_short.split_once(':')) {
        (Some((name, from)), Some((other, to))) if name == other => format!("{from} → {to}"),
        (None, Some((name, to))) if name == old_short => format!("latest → {to}"),
        _ => format!("{old_short} → {new_short}"),
    }
}

#[cfg(test)]
mod tests {
    use super::change;

    #[test]
    fn tags_of_one_image() {
        assert_eq!(change("shop/checkout:v1", "shop/checkout:v2"), "v1 → v2");
        assert_eq!(change("nginx", "nginx:1.27"), "latest → 1.27");
        assert_eq!(change("nginx:1", "r.io:5000/caddy:2"), "nginx:1 → caddy:2");
    }
}
