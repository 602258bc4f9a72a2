//! The numbers of Cluster Autoscaler: what it asked of each node group, and whom none helped.

use crate::base::{Symbol, cast};
use crate::record::{GroupRecord, GroupStep};
use crate::recorder::Facts;

use super::summary::{Metrics, Summary, Unit};
use super::words;

/// Groups and reasons with a line of their own, at most, of each.
const LINES_MAX: usize = 4;

/// The steps of a group, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    scale_ups: u32,
    asked: u32,
    pods: u32,
    started: u32,
    emptied: u32,
    removed: u32,
    kept: u32,
    backed_off: u32,
}

impl Tally {
    fn of(steps: &[GroupRecord], group: Symbol) -> Self {
        let mut all = Self::default();
        for row in steps.iter().filter(|row| row.group == group) {
            match row.step {
                GroupStep::Grew { from, to, pods } => {
                    all.scale_ups += 1;
                    all.asked += to - from;
                    all.pods += pods;
                }
                GroupStep::BackedOff { .. } => all.backed_off += 1,
                GroupStep::Shrinks { pods, .. } => {
                    all.started += 1;
                    all.emptied += u32::from(pods > 0);
                }
                GroupStep::Shrank { .. } => all.removed += 1,
                GroupStep::Kept { .. } => all.kept += 1,
            }
        }
        all
    }
}

/// The groups, if Cluster Autoscaler runs.
fn groups(facts: &Facts) -> impl Iterator<Item = (Symbol, &str)> {
    let cloud = &facts.model.cloud;
    let groups = cloud.groups.iter().filter(|_| cloud.cluster_autoscaler.is_some());
    groups.map(|group| (group.name, facts.model.names.resolve(group.name)))
}

pub(super) fn put_groups(facts: &Facts, out: &mut Metrics) {
    for (group, name) in groups(facts) {
        let all = Tally::of(&facts.groups, group);
        let mut put = |last: &str, count: u32, unit, about| {
            out.put(&["groups", name, last], Some(f64::from(count)), unit, about);
        };
        let about = "times that Cluster Autoscaler asked for machines";
        put("scale_ups", all.scale_ups, Unit::Count, about);
        put("machines_asked", all.asked, Unit::Count, "machines that it asked for");
        put("pods_helped", all.pods, Unit::Pods, "pods that these machines were for");
        put("nodes_removed", all.removed, Unit::Count, "nodes that it removed");
        let about = "nodes with pods that had to move, whose removal it began";
        put("nodes_emptied", all.emptied, Unit::Count, about);
        put("nodes_kept", all.kept, Unit::Count, "nodes that stayed though removal had begun");
        let about = "times that the group was left alone because a machine did not come";
        put("backed_off", all.backed_off, Unit::Count, about);
    }
    if facts.model.cloud.cluster_autoscaler.is_some() {
        let count = facts.unhelped.values().map(|count| cast::f64_of_u64(*count)).sum();
        let about = "times that a pod was told that no group helps it, or a new reason";
        out.put(&["groups", "not_triggered"], Some(count), Unit::Count, about);
    }
}

/// A line each group that changed, and the commonest reasons why none helped.
pub(super) fn lines(facts: &Facts, summary: &Summary) -> Vec<String> {
    let line = |(_, name): (Symbol, &str)| {
        let value = |last: &str| summary.get(&["groups", name, last]).and_then(|n| n.value);
        let text = |last: &str| words::value(value(last).unwrap_or(0.0), Unit::Count);
        let is_any = |last: &str| value(last).is_some_and(|value| value > 0.0);
        let mut parts = Vec::new();
        if is_any("scale_ups") {
            let (asked, ups) = (text("machines_asked"), text("scale_ups"));
            let pods = text("pods_helped");
            let plural = |count: &str| if count == "1" { "" } else { "s" };
            parts.push(format!(
                "{ups} scale-up{}: {asked} machine{} for {pods} pod{}",
                plural(&ups),
                plural(&asked),
                plural(&pods)
            ));
        }
        if is_any("nodes_removed") {
            let (gone, emptied) = (text("nodes_removed"), text("nodes_emptied"));
            let plural = if gone == "1" { "" } else { "s" };
            parts.push(format!("{gone} node{plural} removed ({emptied} had pods)"));
        }
        if is_any("nodes_kept") {
            parts.push(format!("{} stayed after all", text("nodes_kept")));
        }
        if is_any("backed_off") {
            let times = text("backed_off");
            let plural = if times == "1" { "" } else { "s" };
            parts.push(format!("backed off {times} time{plural}"));
        }
        (!parts.is_empty()).then(|| format!("group/{name}  {}", parts.join("; ")))
    };
    let mut lines: Vec<String> = groups(facts).filter_map(line).take(LINES_MAX).collect();
    let mut reasons: Vec<(&String, &u64)> = facts.unhelped.iter().collect();
    reasons.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
    let reasons = reasons.into_iter().take(LINES_MAX);
    lines.extend(reasons.map(|(why, count)| {
        let plural = if *count == 1 { "" } else { "s" };
        let why = if why.is_empty() { "there is none" } else { why };
        format!("no group helped {count} pod{plural}: {why}")
    }));
    lines
}
