//! The plugins of the default profile that are modelled, a file each.
//!
//! A filter is a function from pod and node to a verdict; a score's arithmetic is a function from
//! numbers to a number. They know of no cache. To add one: its file, its row in [`filter`] (or in
//! `plain`'s scores), its entry in [`super::Plugin`].

pub mod balanced_allocation;
pub mod node_affinity;
pub mod node_name;
pub mod node_ports;
pub mod node_unschedulable;
pub mod resources_fit;
pub mod taint_toleration;

use crate::base::Interner;
use crate::model::PodSpec;

use super::nodes::NodeState;
use super::verdict::Rejection;

/// Asks all filters in the order of the profile; the first that rejects is the answer (rules S30,
/// S71).
///
/// # Errors
/// The verdict of that filter.
pub fn filter(pod: &PodSpec, node: &NodeState, names: &Interner) -> Result<(), Rejection> {
    filter_static(pod, node, names)?;
    node_ports::filter(pod, node, names)?;
    resources_fit::filter(pod, node)
}

/// Those filters whose verdict pods on the node do not change.
///
/// # Errors
/// The verdict of the first that rejects.
pub(super) fn filter_static(
    pod: &PodSpec,
    node: &NodeState,
    names: &Interner,
) -> Result<(), Rejection> {
    node_unschedulable::filter(pod, node, names)?;
    node_name::filter(pod, node)?;
    taint_toleration::filter(pod, node)?;
    node_affinity::filter(pod, node, names)
}
