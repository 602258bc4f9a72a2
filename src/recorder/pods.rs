//! Pods: counts, pending and start-up times, why they waited.

use std::collections::BTreeMap;

use crate::base::{Duration, Histogram, SimTime};
use crate::model::{Workload, WorkloadKind};
use crate::record::{DiskRecord, PodRecord};

use super::Spent;

/// What became of a set of pods.
#[derive(Clone, Debug, Default)]
pub struct PodTally {
    /// Pods that were created.
    pub created: u64,
    /// Of them placed on a node.
    pub placed: u64,
    /// Of them never placed.
    pub never_scheduled: u64,
    /// Pods for which at least one attempt to place them failed.
    pub waited: u64,
    /// Pods that ended by themselves.
    pub finished: u64,
    /// Pods whose deletion was asked for.
    pub deleted: u64,
    /// How often containers were started again.
    pub restarts: u64,
    /// What their nodes cost, as far as they asked for them.
    pub cost_requested: Spent,
    /// The same as far as they used them.
    pub cost_used: Spent,
    /// Prices of those that are still there, and those times the instants since when: what they
    /// have cost is known at the end.
    open: (i128, i128),
    /// From creation to placement, of those that were placed.
    pub pending: Histogram,
    /// The same of those of them that waited.
    pub waiting: Histogram,
    /// From placement to the first time ready, of those that became ready.
    pub startup: Histogram,
}

impl PodTally {
    fn add(&mut self, row: &PodRecord) {
        self.created += 1;
        self.finished += u64::from(row.finished.is_some());
        self.deleted += u64::from(row.deleted.is_some());
        self.waited += u64::from(row.message.is_some());
        self.restarts += u64::from(row.restarts);
        let Some(scheduled) = row.scheduled else {
            self.never_scheduled += 1;
            return;
        };
        self.placed += 1;
        self.cost_used += Spent(row.cost_used);
        match row.finished.or(row.gone) {
            Some(end) => {
                let span = end.saturating_since(scheduled);
                self.cost_requested += Spent::of_fine(row.price_requested, span);
            }
            None => {
                let price = i128::from(row.price_requested);
                self.open.0 += price;
                self.open.1 += price * i128::from(scheduled.since_start().as_nanos());
            }
        }
        let pending = scheduled.saturating_since(row.created);
        self.pending.record(pending);
        if row.message.is_some() {
            self.waiting.record(pending);
        }
        if let Some(ready) = row.ready {
            self.startup.record(ready.saturating_since(scheduled));
        }
    }
}

impl PodTally {
    /// The run has ended.
    fn end(&mut self, at: SimTime) {
        let (price, since) = std::mem::take(&mut self.open);
        self.cost_requested += Spent(price * i128::from(at.since_start().as_nanos()) - since);
    }
}

/// All pods of a run, and those of each workload.
#[derive(Clone, Debug, Default)]
pub struct PodFacts {
    /// All pods.
    pub all: PodTally,
    /// Pods by the workload; bare pods, and workloads beyond the first 500, are in `all` only.
    pub by_workload: BTreeMap<Workload, PodTally>,
    /// Pods by how they ended or why they do not run.
    pub reasons: BTreeMap<&'static str, u64>,
    /// Pods that waited, by the reason that most nodes gave at the last failed attempt.
    pub waited_for: BTreeMap<String, u64>,
    /// Waits for disks to be attached.
    pub disks: DiskTally,
    /// Failed pulls of each image.
    pub failed_pulls: BTreeMap<String, u64>,
    /// Sandboxes that could not be made on each node.
    pub failed_sandboxes: BTreeMap<String, u64>,
    /// Pending times of some pods exactly: every pod, or every second, fourth, … of many.
    pub pending_samples: Vec<Duration>,
    stride: u64,
    seen: u64,
}

/// Waits of pods for disks.
#[derive(Clone, Debug, Default)]
pub struct DiskTally {
    /// From the binding of a pod until a disk was attached to its node.
    pub waits: Histogram,
    /// How long a disk was still at another node.
    pub held: Histogram,
    /// The first ones, one by one.
    pub first: Vec<DiskRecord>,
}

impl DiskTally {
    /// One more.
    pub fn add(&mut self, row: DiskRecord) {
        self.waits.record(row.waited);
        if let Some((_, held)) = row.held {
            self.held.record(held);
        }
        if self.first.len() < DISKS_MAX {
            self.first.push(row);
        }
    }
}

const DISKS_MAX: usize = 10_000;
const WORKLOADS_MAX: usize = 500;
const REASONS_MAX: usize = 50;
const SAMPLES_MAX: usize = 20_000;

impl PodFacts {
    /// Adds a pod that is gone, or was there at the end of the run.
    pub fn add(&mut self, row: &PodRecord) {
        self.all.add(row);
        *self.reasons.entry(row.reason).or_default() += 1;
        if let Some(message) = &row.message {
            let reason = main_reason(message);
            if self.waited_for.len() < REASONS_MAX || self.waited_for.contains_key(&reason) {
                *self.waited_for.entry(reason).or_default() += 1;
            }
        }
        if row.workload.kind != WorkloadKind::Pod
            && (self.by_workload.len() < WORKLOADS_MAX
                || self.by_workload.contains_key(&row.workload))
        {
            self.by_workload.entry(row.workload).or_default().add(row);
        }
        if let Some(scheduled) = row.scheduled {
            self.sample(scheduled.saturating_since(row.created));
        }
    }

    /// The run has ended: what pods cost that are still there is known.
    pub(super) fn end(&mut self, at: SimTime) {
        self.all.end(at);
        self.by_workload.values_mut().for_each(|tally| tally.end(at));
    }

    fn sample(&mut self, pending: Duration) {
        let stride = self.stride.max(1);
        if self.seen.is_multiple_of(stride) {
            self.pending_samples.push(pending);
        }
        self.seen += 1;
        if self.pending_samples.len() == SAMPLES_MAX {
            let mut index = 0;
            self.pending_samples.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.stride = stride * 2;
        }
    }
}

/// The reason that most nodes gave: `Insufficient cpu` of
/// `0/6 nodes are available: 4 Insufficient cpu, 2 node(s) had untolerated taint(s). preemption: …`.
fn main_reason(message: &str) -> String {
    let reasons = message.split_once(": ").map_or(message, |(_, rest)| rest);
    let end = reasons.find(". ").unwrap_or(reasons.len());
    let mut most = (0_u64, reasons[..end].trim_end_matches('.'));
    for piece in reasons[..end].trim_end_matches('.').split(", ") {
        let counted = piece.split_once(' ');
        let counted = counted.and_then(|(count, reason)| Some((count.parse().ok()?, reason)));
        if let Some((count, reason)) = counted
            && count > most.0
        {
            most = (count, reason);
        }
    }
    let reason = most.1.strip_prefix("node(s) had ");
    let reason = reason.or_else(|| most.1.strip_prefix("node(s) "));
    let reason = reason.unwrap_or(most.1);
    // A taint is named with its value, which may be one of very many.
    reason.split(" {").next().unwrap_or(reason).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_that_most_nodes_gave() {
        let check = |message: &str, wanted: &str| assert_eq!(main_reason(message), wanted);
        check(
            "0/6 nodes are available: 6 Insufficient cpu. no new claims to deallocate, \
             preemption: 0/6 nodes are available.",
            "Insufficient cpu",
        );
        check(
            "0/6 nodes are available: 2 Insufficient cpu, 4 node(s) had untolerated taint \
             {gpu: yes}. preemption: 0/6 nodes are available: 6 No preemption victims found.",
            "untolerated taint",
        );
        check("no nodes available to schedule pods", "no nodes available to schedule pods");
    }

    #[test]
    fn samples_of_pending_times_are_bounded() {
        let mut pods = PodFacts::default();
        (0..100_000).for_each(|n| pods.sample(Duration::ns(n)));
        assert!((10_000..20_000).contains(&pods.pending_samples.len()));
        let stride = pods.pending_samples[1].as_nanos();
        let evenly = |pair: &[Duration]| pair[1].as_nanos() - pair[0].as_nanos() == stride;
        assert!(pods.pending_samples.windows(2).all(evenly));
    }
}
