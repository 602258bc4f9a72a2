//! Which pods of a ReplicaSet go first when it shrinks.

use std::cmp::Reverse;

use crate::base::{SimTime, cast};
use crate::cluster::Phase;
use crate::model::PodId;

/// What the order reads of a pod. Times are whole seconds, as the API stores them (rule C2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub pod: PodId,
    /// Whether it has a node.
    pub has_node: bool,
    /// Its phase.
    pub phase: Phase,
    /// Since when it has been ready; `None` if it is not.
    pub ready_since: Option<SimTime>,
    /// Annotation `pod-deletion-cost` (rule C74).
    pub cost: i32,
    /// How many pods of the same Deployment stand on its node (rule C75).
    pub rank: u32,
    /// How often containers were started again.
    pub restarts: u32,
    /// When it was created.
    pub created: SimTime,
    /// Its uid.
    pub uid: u64,
}

/// Puts the pods in the order in which they go.
///
/// The order is not transitive: pods of one age are ordered by uid, those ready since the same
/// second by restarts, so three can stand in a ring. The original's outcome then hangs on its sort
/// and on the order of a hash map. Here it is the merge of neighbours in the order given.
///
/// Source: kubernetes v1.36.3 pkg/controller/controller_utils.go `ActivePodsWithRanks.Less`,
/// `logarithmicRankDiff` (rules C72, C73).
pub fn first_to_go(pods: &mut Vec<Candidate>, now: SimTime) {
    let mut width = 1;
    let mut merged = Vec::with_capacity(pods.len());
    while width < pods.len() {
        for pair in pods.chunks(2 * width) {
            let (left, right) = pair.split_at(width.min(pair.len()));
            merge(left, right, now, &mut merged);
        }
        std::mem::swap(pods, &mut merged);
        merged.clear();
        width *= 2;
    }
}

fn merge(mut left: &[Candidate], mut right: &[Candidate], now: SimTime, out: &mut Vec<Candidate>) {
    while let (Some(l), Some(r)) = (left.first(), right.first()) {
        if goes_before(r, l, now) {
            out.push(*r);
            right = &right[1..];
        } else {
            out.push(*l);
            left = &left[1..];
        }
    }
    out.extend_from_slice(left);
    out.extend_from_slice(right);
}

/// Whether `a` goes before `b`.
fn goes_before(a: &Candidate, b: &Candidate, now: SimTime) -> bool {
    let first = |p: &Candidate| {
        let is_ready = p.ready_since.is_some();
        (p.has_node, p.phase, is_ready, p.cost, Reverse(p.rank))
    };
    if first(a) != first(b) {
        return first(a) < first(b);
    }
    if let (Some(left), Some(right)) = (a.ready_since, b.ready_since)
        && left != right
    {
        return by_age(a, b, (left, right), now);
    }
    if a.restarts != b.restarts {
        return a.restarts > b.restarts;
    }
    a.created != b.created && by_age(a, b, (a.created, b.created), now)
}

/// The younger first, on a scale of powers of two; within one power the smaller uid.
fn by_age(a: &Candidate, b: &Candidate, (left, right): (SimTime, SimTime), now: SimTime) -> bool {
    let bucket = |at| now.saturating_since(at).as_nanos().checked_ilog2();
    (bucket(left), a.uid) < (bucket(right), b.uid)
}

/// How many of the counts belong to the node: a small table of (node, count), sorted by node.
#[derive(Clone, Debug, Default)]
pub(super) struct RankTable(Vec<(Option<crate::model::NodeId>, u32)>);

impl RankTable {
    /// Of the nodes of all pods that count.
    pub(super) fn of(mut nodes: Vec<Option<crate::model::NodeId>>) -> Self {
        nodes.sort_unstable();
        let runs = nodes.chunk_by(|a, b| a == b);
        Self(runs.map(|run| (run[0], cast::u32_of(run.len()))).collect())
    }

    /// How many stand on a node.
    pub(super) fn rank(&self, node: Option<crate::model::NodeId>) -> u32 {
        let found = self.0.binary_search_by_key(&node, |(n, _)| *n);
        found.map_or(0, |at| self.0[at].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Duration, Id};

    const NOW: SimTime = SimTime::at(Duration::secs(1 << 20));

    fn pod(number: usize) -> Candidate {
        Candidate {
            pod: PodId::from_index(number),
            has_node: true,
            phase: Phase::Running,
            ready_since: Some(SimTime::ZERO),
            cost: 0,
            rank: 0,
            restarts: 0,
            created: SimTime::ZERO,
            uid: 0,
        }
    }

    fn ago(secs: u64) -> SimTime {
        NOW.saturating_sub(Duration::secs(secs))
    }

    /// Sorts the pods from the reversed order and expects the order given.
    fn check(pods: &[Candidate]) {
        let mut sorted: Vec<Candidate> = pods.iter().rev().copied().collect();
        first_to_go(&mut sorted, NOW);
        assert_eq!(sorted, pods);
    }

    /// The ladder of controller_utils_test.go `TestSortingActivePodsWithRanks`.
    #[test]
    fn each_criterion_yields_to_those_before_it() {
        check(&[
            Candidate { has_node: false, phase: Phase::Pending, ready_since: None, ..pod(0) },
            Candidate { phase: Phase::Pending, ready_since: None, ..pod(1) },
            Candidate { ready_since: None, cost: -1, ..pod(2) },
            Candidate { ready_since: None, rank: 9, ..pod(3) },
            Candidate { ready_since: None, rank: 1, ..pod(4) },
            Candidate { cost: -7, rank: 1, ..pod(5) },
            Candidate { rank: 3, restarts: 0, ..pod(6) },
            Candidate { ready_since: Some(ago(1)), rank: 1, ..pod(7) },
            Candidate { ready_since: Some(ago(100)), rank: 1, ..pod(8) },
            Candidate { cost: 5, rank: 9, ..pod(9) },
        ]);
    }

    /// 5 s and 8 s ago are one bucket (2³² = 4.29·10⁹ ns ≤ both < 2³³ = 8.59·10⁹ ns); 9 s is not.
    #[test]
    fn ages_of_one_power_of_two_are_ordered_by_uid() {
        check(&[
            Candidate { ready_since: Some(ago(8)), uid: 1, restarts: 0, ..pod(0) },
            Candidate { ready_since: Some(ago(5)), uid: 2, restarts: 9, ..pod(1) },
            Candidate { ready_since: Some(ago(9)), uid: 0, ..pod(2) },
        ]);
    }

    #[test]
    fn ready_since_the_same_second_restarts_decide_and_then_age() {
        check(&[
            Candidate { restarts: 2, created: ago(5000), ..pod(0) },
            Candidate { restarts: 1, created: ago(1), ..pod(1) },
            Candidate { restarts: 1, created: ago(5000), ..pod(2) },
        ]);
    }

    /// What lies in the future counts as younger than all: bucket −1.
    #[test]
    fn a_time_that_is_not_past_goes_first() {
        check(&[
            Candidate { ready_since: Some(NOW), uid: 9, ..pod(0) },
            Candidate { ready_since: Some(ago(1)), uid: 1, ..pod(1) },
        ]);
    }
}
