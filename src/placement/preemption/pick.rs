//! Which candidate is taken.

use std::cmp::{Ordering, Reverse};

use crate::base::SimTime;
use crate::model::NodeId;

use super::Candidate;
use super::victims::by_start;

/// When the earliest victim of a node's highest priority started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Start(Option<SimTime>);

impl Ord for Start {
    fn cmp(&self, other: &Self) -> Ordering {
        by_start(self.0, other.0)
    }
}

impl PartialOrd for Start {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// How bad a candidate is; less is better.
type Harm = (usize, i32, i64, usize, Reverse<Start>);

/// The criteria in their order: violated budgets, the priority of the most important victim, the
/// sum of priorities (each at least 0, so that more victims are worse), how many victims, and how
/// long the most important ones have been there.
fn harm(candidate: &Candidate) -> Harm {
    const LIFT: i64 = 1 << 31;
    let victims = &candidate.victims;
    let highest = victims.iter().map(|victim| victim.priority).max().unwrap_or(i32::MIN);
    let sum = victims.iter().map(|victim| i64::from(victim.priority) + LIFT).sum();
    let most_important = victims.iter().filter(|victim| victim.priority == highest);
    let earliest = most_important.map(|victim| Start(victim.start)).min();
    let earliest = earliest.unwrap_or(Start(None));
    (candidate.violations, highest, sum, victims.len(), Reverse(earliest))
}

/// The best candidates, in their order.
///
/// Source: kubernetes v1.36.3 pkg/scheduler/framework/preemption/preemption.go
/// `pickOneNodeForPreemption` (rule S183, vector V15; recorded).
#[must_use]
pub fn best(candidates: &[Candidate]) -> Vec<NodeId> {
    let harms: Vec<Harm> = candidates.iter().map(harm).collect();
    let least = harms.iter().min();
    let all = candidates.iter().zip(&harms);
    all.filter(|(_, harm)| Some(*harm) == least).map(|(candidate, _)| candidate.node).collect()
}
