//! NodeUnschedulable: cordoned nodes take only pods that tolerate it.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/nodeunschedulable (rule S75).

use crate::base::Interner;
use crate::model::{PodSpec, TaintEffect, Toleration, TolerationOperator};

use super::super::nodes::NodeState;
use super::super::verdict::{Plugin, Reason, Rejection};

/// Whether a node that is cordoned takes the pod all the same: it tolerates the taint
/// `node.kubernetes.io/unschedulable:NoSchedule`.
#[must_use]
pub fn tolerates_cordon(pod: &PodSpec, names: &Interner) -> bool {
    let key = names.get("node.kubernetes.io/unschedulable");
    let tolerates = |t: &Toleration| {
        let value = match t.operator {
            TolerationOperator::Exists => true,
            TolerationOperator::Equal => names.resolve(t.value).is_empty(),
            TolerationOperator::Lt | TolerationOperator::Gt => false,
        };
        t.effect.is_none_or(|e| e == TaintEffect::NoSchedule)
            && t.key.is_none_or(|k| Some(k) == key)
            && value
    };
    pod.tolerations.iter().any(tolerates)
}

/// The filter.
///
/// # Errors
/// If the node is cordoned and the pod does not tolerate that.
pub fn filter(pod: &PodSpec, node: &NodeState, names: &Interner) -> Result<(), Rejection> {
    if !node.spec.unschedulable || tolerates_cordon(pod, names) {
        return Ok(());
    }
    Err(Rejection::unresolvable(Plugin::NodeUnschedulable, Reason::WereUnschedulable))
}
