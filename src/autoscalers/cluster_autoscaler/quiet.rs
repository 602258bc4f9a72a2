//! Whether nothing would come of looking again: then a run leaves iterations out.
//!
//! An iteration that found nothing to do, left the autoscaler as it was and saw a cluster that has
//! not changed since decides the same again, until one of its clocks runs out. All clocks that it
//! reads are here.

use std::collections::BTreeMap;

use crate::base::{SimTime, Symbol};

use super::planner::{DELETION_MAX, Hints};
use super::templates::STABLE;
use super::view::View;
use super::{ClusterAutoscaler, Iteration, ScaleUpResult};

/// What an iteration starts from and may leave otherwise.
#[derive(Debug, PartialEq)]
pub(super) struct Pose {
    last: usize,
    since: BTreeMap<Symbol, SimTime>,
    recheck: BTreeMap<Symbol, SimTime>,
    hints: Hints,
}

impl ClusterAutoscaler {
    /// As it stands now.
    pub(super) fn pose(&self) -> Pose {
        Pose {
            last: self.last,
            since: self.planner.since.clone(),
            recheck: self.planner.recheck.clone(),
            hints: self.planner.hints.clone(),
        }
    }

    /// Until when iterations come to nothing after one that began with `before`, as long as the
    /// view stays as it is; `None` if the next one may do something.
    pub(super) fn quiet_until(
        &self,
        before: &Pose,
        iteration: &Iteration,
        view: &View<'_>,
    ) -> Option<SimTime> {
        let waits = view.pods.iter().any(|pod| pod.is_unschedulable || pod.nominated.is_some());
        let (on, off) = &iteration.soft_taints;
        let is_still = iteration.is_healthy
            && iteration.up.result == ScaleUpResult::NotNeeded
            && iteration.departures.is_empty()
            && iteration.log.is_empty()
            && iteration.ended.is_empty()
            && on.len() + off.len() == 0
            && !waits
            && !self.options.delays_locally
            && self.actuator.next_step().is_none()
            && self.registry.is_settled()
            && self.hints.is_empty()
            && self.pose() == *before;
        is_still.then(|| self.next_clock(view))
    }

    /// When the first clock runs out that an iteration looks at.
    fn next_clock(&self, view: &View<'_>) -> SimTime {
        let (options, now) = (&self.options, view.now);
        let mut next = SimTime::MAX;
        let mut sooner = |at: SimTime| {
            if at >= now {
                next = next.min(at);
            }
        };
        self.planner.recheck.values().for_each(|until| sooner(*until));
        for since in self.planner.since.values() {
            sooner(*since + options.unneeded_time);
            sooner(*since + options.unready_time);
        }
        self.last_scale_up.into_iter().for_each(|at| sooner(at + options.delay_after_add));
        self.last_scale_down.into_iter().for_each(|at| sooner(at + options.delay_after_delete));
        for node in &view.nodes {
            sooner(node.ready_changed + STABLE);
            node.deleting_since.into_iter().for_each(|since| sooner(since + DELETION_MAX));
            if !node.is_ready {
                sooner(node.created + options.startup_time);
            }
        }
        for pod in &view.pods {
            if pod.traits.is_system {
                sooner(pod.created + options.system_blocks);
            }
            if let Some(since) = pod.traits.deletion {
                sooner(since + pod.traits.grace + super::drainability::LONG_TERMINATING);
            }
        }
        next
    }

    /// An iteration is left out.
    pub(super) fn skip(&mut self, now: SimTime) {
        self.planner.passes(now);
        self.registry.refresh(now);
    }
}
