//! NodeName: a pod that names its node goes nowhere else.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/nodename (rule S76).

use crate::model::PodSpec;

use super::super::nodes::NodeState;
use super::super::verdict::{Plugin, Reason, Rejection};

/// The filter.
///
/// # Errors
/// If the pod names another node.
pub fn filter(pod: &PodSpec, node: &NodeState) -> Result<(), Rejection> {
    match pod.node_name {
        Some(name) if name != node.spec.name => {
            Err(Rejection::unresolvable(Plugin::NodeName, Reason::OtherNodeName))
        }
        _ => Ok(()),
    }
}
