//! InterPodAffinity: pods go where certain others are, or are not.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/interpodaffinity (rules S116 to
//! S121; recorded).

use crate::model::NodeId;

use super::super::nodes::NodeState;
use super::super::pod_info::{Applicant, PodInfo};
use super::super::verdict::Rejection;
use super::super::world::World;
use super::PluginScores;

/// Counts by label and value.
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

/// Counts; `None` if there is nothing to look at (rule S118).
#[must_use]
pub fn pre_filter(_of: &Applicant, _world: &World<'_>) -> Option<FilterState> {
    None
}

/// The filter (rule S119).
///
/// # Errors
/// If affinity or anti-affinity forbids the node.
pub fn filter(
    _state: &FilterState,
    _of: &Applicant,
    _node: &NodeState,
    _world: &World<'_>,
) -> Result<(), Rejection> {
    Ok(())
}

/// Scores; `None` if nothing was accumulated (rules S120, S121).
#[must_use]
pub fn scores(
    _of: &Applicant,
    _nodes: &[(NodeId, &NodeState)],
    _world: &World<'_>,
) -> Option<PluginScores> {
    None
}
// What src/placement/social.rs (the fast evaluation) uses: reasons of the three filters; `means`: an
// existing pod's term matches the incoming pod (namespace labels looked up); rule S121.
pub const NO_FRIENDS: &str = "";
pub const MEETS_SHUNNED: &str = "";
pub const SHUNNED: &str = "";
pub fn means(_term: &crate::model::PodAffinityTerm, _info: &PodInfo, _world: &World<'_>) -> bool {
    false
}
pub fn normalized(score: i64, _least: i64, _most: i64) -> i64 {
    score
}
