//! PodTopologySpread: pods of a kind are spread over domains.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/podtopologyspread (rules S103 to
//! S115; recorded).

use crate::model::NodeId;

use super::super::nodes::NodeState;
use super::super::pod_info::{Applicant, PodInfo};
use super::super::verdict::Rejection;
use super::super::world::World;
use super::PluginScores;

/// Hard constraints with their counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FilterState {}

impl FilterState {
    /// A pod comes to a node (`by` 1) or leaves it (−1) in thought (rule S110).
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

/// Counts for hard constraints; `None` without any (rules S108, S111).
#[must_use]
pub fn pre_filter(_of: &Applicant, _world: &World<'_>) -> Option<FilterState> {
    None
}

/// The filter (rule S109).
///
/// # Errors
/// If a constraint would be broken.
pub fn filter(
    _state: &FilterState,
    _of: &Applicant,
    _node: &NodeState,
    _world: &World<'_>,
) -> Result<(), Rejection> {
    Ok(())
}

/// Scores; `None` without soft constraints (rules S111 to S115).
#[must_use]
pub fn scores(
    _of: &Applicant,
    _nodes: &[(NodeId, &NodeState)],
    _world: &World<'_>,
) -> Option<PluginScores> {
    None
}
// What src/placement/social.rs (the fast evaluation) uses: same names, filled in with the plugin.
pub struct Constraints {
    pub hard: Vec<crate::model::SpreadConstraint>,
    pub soft: Vec<crate::model::SpreadConstraint>,
    pub requires_all: bool,
}
pub fn constraints(_info: &PodInfo, _world: &World<'_>) -> Constraints {
    Constraints { hard: Vec::new(), soft: Vec::new(), requires_all: false }
}
pub const MISSING_LABEL: &str = "";
pub const TOO_SKEWED: &str = "";
pub fn weight(size: usize) -> f64 {
    size as f64
}
pub fn score_for(count: u32, skew: i32, weight: f64) -> f64 {
    f64::from(count) * weight + f64::from(skew - 1)
}
pub fn rounded(score: f64) -> i64 {
    score as i64
}
