//! All that one decision reads.

use std::fmt::Debug;
use std::sync::Arc;

use crate::base::Interner;
use crate::model::Profile;

use super::catalog::Catalog;
use super::nodes::{NodeState, Nodes};
use super::nominator::Nominator;
use super::pod_info::PodInfo;

/// The state that one decision reads; nothing of it changes meanwhile (rule S5).
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    /// The nodes with their pods.
    pub nodes: &'a Nodes,
    /// Other objects.
    pub catalog: &'a Catalog,
    /// Nominations.
    pub nominator: &'a Nominator,
    /// Which plugins take part.
    pub profile: &'a Profile,
    /// `percentageOfNodesToScore` that holds for the profile.
    pub percentage: u8,
    /// Policies of the user's own: number n is [`crate::model::Plugin::Custom`] of n.
    pub policies: &'a [Arc<dyn Policy>],
    /// All names.
    pub names: &'a Interner,
}

/// A policy of the user's own: a filter, a score, or both.
///
/// Its number in the list given to the placer is the number of its [`crate::model::Plugin::Custom`]
/// in a profile's `filter` and `score`.
pub trait Policy: Debug + Send + Sync {
    /// Its name, as it stands in messages and explanations.
    fn name(&self) -> &str;

    /// Whether the node takes the pod.
    ///
    /// # Errors
    /// The reason, as the message counts it: `node(s) ...`.
    fn filter(&self, _pod: &PodInfo, _node: &NodeState, _world: &World<'_>) -> Result<(), String> {
        Ok(())
    }

    /// How good the node is, any number; more is better.
    fn score(&self, _pod: &PodInfo, _node: &NodeState, _world: &World<'_>) -> i64 {
        0
    }

    /// Brings the scores of the nodes that take the pod into the range 0 to 100. What lies outside
    /// is cut off.
    fn normalize(&self, _scores: &mut [i64]) {}
}
