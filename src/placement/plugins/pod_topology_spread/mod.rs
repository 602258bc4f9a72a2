//! PodTopologySpread: pods of a kind are spread over domains.
//!
//! Here are the constraints of a pod and which pods they count; `filtering.rs` keeps the hard ones,
//! `scoring.rs` ranks by the soft ones.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/podtopologyspread (rules S103 to
//! S115; recorded).

mod filtering;
mod scoring;

use crate::base::{Interner, Symbol, cast};
use crate::model::{
    DefaultSpread, Labels, NodeSpec, PodSpec, Selector, SpreadConstraint, matches_node,
};

use super::super::nodes::NodeState;
use super::super::pod_info::{PlacedPod, PodInfo};
use super::super::world::World;
use super::taint_toleration;

pub use filtering::{FilterState, filter, pre_filter};
pub(in crate::placement) use filtering::{MISSING_LABEL, TOO_SKEWED};
pub(in crate::placement) use scoring::{
    ScoreState, normalized, pre_score, rounded, score_for, scores, weight,
};

/// The label of host names: its counts are taken node by node.
const HOST: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";

/// The constraints of a pod, with the selectors that hold for it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::placement) struct Constraints {
    /// Those that filter.
    pub(in crate::placement) hard: Vec<SpreadConstraint>,
    /// Those that score.
    pub(in crate::placement) soft: Vec<SpreadConstraint>,
    /// Whether only nodes with the labels of all soft constraints are scored: not under the
    /// constraints of the system (rule S112).
    pub(in crate::placement) requires_all: bool,
}

/// The constraints of a pod: its own if it has any, else the profile's with the selector of its
/// Services and owner (rules S103, S104).
///
/// Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/podtopologyspread/common.go
/// `buildDefaultConstraints`, `filterTopologySpreadConstraints` (recorded). Differs: a constraint
/// of the system whose label nothing has is left out; it would add nothing.
pub(in crate::placement) fn constraints(info: &PodInfo, world: &World<'_>) -> Constraints {
    let own = &info.spec.spread;
    let default = &world.profile.args.default_spread;
    let requires_all = !own.is_empty() || *default != DefaultSpread::System;
    let all: Vec<SpreadConstraint> = if own.is_empty() {
        let selector = || world.catalog.default_selector(info);
        match default {
            DefaultSpread::System => selector().map(|s| system(&s, world.names)),
            DefaultSpread::List(list) if list.is_empty() => None,
            DefaultSpread::List(list) => selector().map(|selector| {
                let with = |from: &SpreadConstraint| SpreadConstraint {
                    selector: Some(selector.clone()),
                    match_label_keys: Vec::new(),
                    ..from.clone()
                };
                list.iter().map(with).collect()
            }),
        }
        .unwrap_or_default()
    } else {
        own.iter().map(|constraint| merged(constraint, &info.labels)).collect()
    };
    let (hard, soft) = all.into_iter().partition(|constraint| constraint.is_hard);
    Constraints { hard, soft, requires_all }
}

/// The constraints of a pod that filter.
#[must_use]
pub fn hard_constraints(info: &PodInfo, world: &World<'_>) -> Vec<SpreadConstraint> {
    constraints(info, world).hard
}

fn merged(from: &SpreadConstraint, labels: &Labels) -> SpreadConstraint {
    let mut merged = from.clone();
    merged.merge_keys(labels);
    merged
}

/// The constraints of pods without own ones, as long as nobody says otherwise (rule S104).
///
/// Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/podtopologyspread/plugin.go
/// `systemDefaultConstraints`.
fn system(selector: &Selector, names: &Interner) -> Vec<SpreadConstraint> {
    let soft = |(key, max_skew)| {
        Some(SpreadConstraint {
            max_skew,
            topology_key: names.get(key)?,
            is_hard: false,
            selector: Some(selector.clone()),
            match_label_keys: Vec::new(),
            min_domains: 1,
            honors_affinity: true,
            honors_taints: false,
        })
    };
    [(HOST, 3), (ZONE, 5)].into_iter().filter_map(soft).collect()
}

/// Whether a constraint selects pods of these labels.
pub(in crate::placement) fn selects(
    constraint: &SpreadConstraint,
    labels: &Labels,
    names: &Interner,
) -> bool {
    constraint.selector.as_ref().is_some_and(|selector| selector.matches(labels, names))
}

/// How many pods of a node a constraint of a pod of `namespace` counts: not those that are being
/// deleted, and none under an empty selector (rules S105, S108).
///
/// Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/podtopologyspread/common.go
/// `countPodsMatchSelector` (recorded).
pub(in crate::placement) fn count_on(
    constraint: &SpreadConstraint,
    namespace: Symbol,
    node: &NodeState,
    names: &Interner,
) -> u32 {
    if constraint.selector.as_ref().is_none_or(|selector| selector.0.is_empty()) {
        return 0;
    }
    let counts = |placed: &&PlacedPod| {
        !placed.is_terminating
            && placed.info.namespace == namespace
            && selects(constraint, &placed.info.labels, names)
    };
    cast::u32_of(node.pods.iter().filter(counts).count())
}

/// Whether a node counts by the constraint's policies (rule S107).
pub(in crate::placement) fn includes(
    constraint: &SpreadConstraint,
    pod: &PodSpec,
    node: &NodeSpec,
    names: &Interner,
) -> bool {
    let (selector, affinity) = (&pod.node_selector, &pod.node_affinity);
    let likes = || matches_node(selector, affinity, node.name, &node.labels, names);
    (!constraint.honors_affinity || likes())
        && (!constraint.honors_taints || taint_toleration::tolerates_all(pod, &node.taints))
}

/// Whether a node of these labels is in a domain of every constraint.
fn has_all_keys(constraints: &[SpreadConstraint], labels: &Labels) -> bool {
    constraints.iter().all(|constraint| labels.get(constraint.topology_key).is_some())
}
