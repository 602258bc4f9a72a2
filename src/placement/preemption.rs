//! Preemption: whom to evict so that a pod fits.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/framework/preemption/preemption.go,
//! plugins/defaultpreemption (rules S170 to S189; recorded).

use crate::model::{NodeId, PodRef};

use super::failure::{FitError, histogram};
use super::plain::Attempt;
use super::pod_info::Applicant;
use super::world::World;

/// What becomes of a pod's nomination (rule S35).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nomination {
    /// It stays as it is.
    #[default]
    Keep,
    /// It is this node from now on.
    Set(NodeId),
    /// There is none any more.
    Clear,
}

/// What the PostFilter plugins did (rule S33).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PostFilter {
    /// The message's second part; empty after a preemption.
    pub message: String,
    /// What becomes of the nomination.
    pub nomination: Nomination,
    /// Whom to evict, in order.
    pub victims: Vec<PodRef>,
    /// Lower-priority pods whose nomination to the node is withdrawn (rule S186).
    pub cleared: Vec<PodRef>,
}

/// Runs the PostFilter plugins after an attempt that found no node.
#[must_use]
pub fn post_filter(
    _attempt: &Attempt,
    error: &FitError,
    of: &Applicant,
    _world: &World<'_>,
) -> PostFilter {
    let message = if error.pre_filter.is_some() {
        "not found".to_owned()
    } else {
        nobody_to_evict(error, of.info.spec.preempts_never)
    };
    let never = of.info.spec.preempts_never;
    let nomination = if never { Nomination::Keep } else { Nomination::Clear };
    PostFilter { message, nomination, ..PostFilter::default() }
}

/// What the default PostFilter plugins say where no pod has a lower priority.
pub(super) fn nobody_to_evict(error: &FitError, preempts_never: bool) -> String {
    let preemption = if preempts_never {
        "not eligible due to preemptionPolicy=Never.".to_owned()
    } else {
        let candidates = error.unschedulable;
        let no_victims = "No preemption victims found for incoming pod".to_owned();
        let not_helpful = "Preemption is not helpful for scheduling".to_owned();
        let counts = [(candidates, no_victims), (error.nodes - candidates, not_helpful)];
        let counts: Vec<_> = counts.into_iter().filter(|(count, _)| *count > 0).collect();
        histogram(error.nodes, &counts)
    };
    format!("no new claims to deallocate, preemption: {preemption}")
}
