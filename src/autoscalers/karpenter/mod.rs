//! Karpenter 1.14: which machines to buy for pods that wait, and which nodes to replace or remove,
//! as pure code over a view of the cluster.
//!
//! ```text
//! View ─► queue of pods ─► nodes that are there ─► claims of this run ─► a new claim of a pool
//!                                                        │
//!                              types that still fit ◄─ requirements, topology, requests
//!
//! View ─► candidates ─► empty · drifted · several · one ─► the same, without them ─► Command
//! ```
//!
//! Source: kubernetes-sigs/karpenter v1.14.1 pkg/controllers (rules A185 to A221; recorded).
//! Differs: volumes do not narrow the zones of claims; reserved offerings, dynamic resources, static
//! pools, capacity buffers and price overlays are not modelled.

mod candidates;
mod claim;
mod disruption;
mod drift;
mod look;
mod requirement;
mod retire;
mod run;
mod solver;
mod topology;
mod types;
mod view;
mod wishes;
mod words;

use crate::base::{Interner, Symbol};

pub use claim::NewClaim;
pub use disruption::{Command, Found, Method, VALIDATION, disrupt, is_still_valid};
pub use requirement::{Kind, Place, Requirement, Requirements, tolerates};
pub use run::KarpenterController;
pub use solver::{Solution, hosts};
pub use types::*;
pub use view::*;
pub use words::Words;

use candidates::can_move;
use solver::{Question, solve};
use topology::Terms;

/// One provisioning run: the pods that wait and those of nodes that are being deleted (rule A188).
/// No more claims than there are `hosts` are made.
#[must_use]
pub fn provision(view: &View, terms: (Settings, &Words, &Interner), hosts: &[Symbol]) -> Solution {
    let terms = Terms::new(view, terms);
    let is_asked =
        |pod: &PodView| pod.is_pending || (is_leaving(pod, view) && can_move(pod, terms));
    let pods = (0..view.pods.len()).filter(|at| is_asked(&view.pods[*at])).collect();
    let mut solution = solve(&Question { pods, ..Question::default() }, hosts, terms);
    let claims = solution.claims.into_iter().map(|claim| claim.for_the_cloud(terms));
    solution.claims = claims.collect();
    solution
}

fn is_leaving(pod: &PodView, view: &View) -> bool {
    pod.node.is_some_and(|node| view.nodes[node].is_deleting)
}

/// Whether the pod goes elsewhere when its node goes: neither a daemon's nor a node's own, not on
/// its way out, unless a StatefulSet will make it anew under its name.
///
/// Source: kubernetes-sigs/karpenter v1.14.1 pkg/utils/pod/scheduling.go `IsReschedulable`.
fn is_movable(pod: &PodView) -> bool {
    !pod.is_daemon && !pod.is_static && (!pod.is_terminating || pod.is_stateful)
}

/// Whether a budget that never lets a pod go selects it.
fn is_fully_blocked(pod: &PodView, terms: Terms<'_>) -> bool {
    let blocks = |budget: &&BudgetView| budget.is_blocking && budget.selects(pod, terms.names);
    terms.view.budgets.iter().any(|budget| blocks(&budget))
}
