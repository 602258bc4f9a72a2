//! TaintToleration: taints keep pods away, or are avoided.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/tainttoleration/taint_toleration.go
//! (rules S93 to S96; recorded).

use crate::base::cast;
use crate::model::{PodSpec, Taint, TaintEffect, Toleration};

use super::super::nodes::NodeState;
use super::super::verdict::{Plugin, Reason, Rejection};

/// Whether the pod tolerates all taints that keep pods away (rule S94).
#[must_use]
pub fn tolerates_all(pod: &PodSpec, taints: &[Taint]) -> bool {
    let binds = |taint: &&Taint| taint.effect != TaintEffect::PreferNoSchedule;
    let tolerated = |taint: &Taint| pod.tolerations.iter().any(|t| t.tolerates(taint));
    taints.iter().filter(binds).all(tolerated)
}

/// The filter.
///
/// # Errors
/// If there is a taint that the pod does not tolerate.
pub fn filter(pod: &PodSpec, node: &NodeState) -> Result<(), Rejection> {
    if tolerates_all(pod, &node.spec.taints) {
        return Ok(());
    }
    Err(Rejection::unresolvable(Plugin::TaintToleration, Reason::UntoleratedTaint))
}

/// How many taints to be avoided the pod does not tolerate (rule S96): less is better.
#[must_use]
pub fn raw_score(pod: &PodSpec, node: &NodeState) -> i64 {
    let avoided = |t: &&Taint| t.effect == TaintEffect::PreferNoSchedule;
    let counts = |t: &&Toleration| matches!(t.effect, None | Some(TaintEffect::PreferNoSchedule));
    let tolerations = || pod.tolerations.iter().filter(counts);
    let untolerated = |taint: &&Taint| !tolerations().any(|t| t.tolerates(taint));
    cast::i64_of(node.spec.taints.iter().filter(avoided).filter(untolerated).count())
}
