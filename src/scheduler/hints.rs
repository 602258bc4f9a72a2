//! Whether something that happened may let a rejected pod fit: the queueing hints.
//!
//! Source: kubernetes v1.36.3 `isSchedulableAfter…` of each plugin, pkg/scheduler/scheduler.go
//! `buildQueueingHintMap` (rules S141 to S153; recorded).

use smallvec::SmallVec;

use crate::model::{Labels, PodAffinityTerm, Resources};
use crate::placement::plugins::volumes::hints as volumes;
use crate::placement::plugins::{
    node_affinity, node_ports, node_unschedulable, pod_topology_spread, resources_fit,
    taint_toleration,
};
use crate::placement::{NodeState, Plugin, PluginSet, PodInfo, World};

/// What happened. Nodes are as declared, without pods.
#[derive(Clone, Copy, Debug)]
pub enum Happened<'a> {
    /// A node is new.
    NodeAdded(&'a NodeState),
    /// An aspect of a node changed: old and new.
    NodeUpdated(NodeAspect, &'a NodeState, &'a NodeState),
    /// A node is gone.
    NodeDeleted(&'a NodeState),
    /// A pod has a node.
    PodAdded(&'a PodInfo),
    /// An aspect of a pod that has a node changed: old and new.
    PodUpdated(PodAspect, &'a PodInfo, &'a PodInfo),
    /// A pod that had a node is gone or has ended.
    PodDeleted(&'a PodInfo),
    /// A pod that was nominated to a node is gone, or is nominated to another.
    NominationLost(&'a PodInfo),
    /// An aspect of the waiting pod itself changed: old and new.
    Own(PodAspect, &'a PodInfo, &'a PodInfo),
    /// Something about storage objects.
    Storage(volumes::StorageChange<'a>),
}

/// What of a node changed (rule S145).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeAspect {
    /// What pods can have of it.
    Allocatable,
    /// Labels.
    Labels,
    /// Taints, or it takes pods again.
    Taints,
}

impl NodeAspect {
    /// All aspects that differ, in the order in which they are told. Cordoning is none.
    #[must_use]
    pub fn between(old: &NodeState, new: &NodeState) -> SmallVec<[Self; 4]> {
        let (old, new) = (&old.spec, &new.spec);
        let holds_more = (&old.allocatable, old.pods_max) != (&new.allocatable, new.pods_max);
        let all = [
            (old.unschedulable && !new.unschedulable, Self::Taints),
            (holds_more, Self::Allocatable),
            (old.labels != new.labels, Self::Labels),
            (old.taints != new.taints, Self::Taints),
        ];
        all.into_iter().filter(|(differs, _)| *differs).map(|(_, aspect)| aspect).collect()
    }
}

/// What of a pod changed (rule S146).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodAspect {
    /// Labels.
    Labels,
    /// It asks for less of something.
    ScaleDown,
    /// Its last scheduling gate is gone.
    Ungated,
    /// Tolerations.
    Tolerations,
}

impl PodAspect {
    /// All aspects that differ, in the order in which they are told.
    #[must_use]
    pub fn between(old: &PodInfo, new: &PodInfo) -> SmallVec<[Self; 4]> {
        let (was, is) = (&old.spec, &new.spec);
        let ungated = !was.scheduling_gates.is_empty() && is.scheduling_gates.is_empty();
        let all = [
            (old.labels != new.labels, Self::Labels),
            (is_less(&is.requests, &was.requests), Self::ScaleDown),
            (ungated, Self::Ungated),
            (was.tolerations.len() != is.tolerations.len(), Self::Tolerations),
        ];
        all.into_iter().filter(|(differs, _)| *differs).map(|(_, aspect)| aspect).collect()
    }
}

fn is_less(new: &Resources, old: &Resources) -> bool {
    new.cpu < old.cpu
        || new.memory < old.memory
        || new.ephemeral_storage < old.ephemeral_storage
        || old.scalars.iter().any(|(name, amount)| new.scalar(*name) < *amount)
}

/// Whether a plugin among those that rejected the pod says that this may help.
#[must_use]
pub fn may_help(
    happened: Happened<'_>,
    pod: &PodInfo,
    rejectors: PluginSet,
    world: &World<'_>,
) -> bool {
    rejectors.iter().any(|plugin| helps(plugin, happened, pod, world))
}

/// All plugins that say so.
#[must_use]
pub fn helpers(happened: Happened<'_>, pod: &PodInfo, world: &World<'_>) -> PluginSet {
    let mut all = PluginSet::EMPTY;
    let helps = |plugin: &Plugin| helps(*plugin, happened, pod, world);
    PluginSet::ALL.iter().filter(helps).for_each(|plugin| all.insert(plugin));
    all
}

/// Whether a plugin says so; one that does not listen to such events does not. A policy of the
/// user's own listens to all.
fn helps(plugin: Plugin, happened: Happened<'_>, pod: &PodInfo, world: &World<'_>) -> bool {
    if matches!(plugin, Plugin::Custom(_)) {
        return true;
    }
    match happened {
        Happened::NodeAdded(node) => after_node_added(plugin, pod, node, world),
        Happened::NodeUpdated(NodeAspect::Taints, old, new) => {
            after_taints(plugin, pod, (old, new), world)
        }
        Happened::NodeUpdated(NodeAspect::Labels, old, new) => {
            after_node_labels(plugin, pod, (old, new), world)
        }
        Happened::NodeUpdated(NodeAspect::Allocatable, old, new) => {
            plugin == Plugin::NodeResourcesFit
                && has_grown(pod, old, new)
                && resources_fit::filter(&pod.spec, new, world).is_ok()
        }
        Happened::NodeDeleted(node) => {
            plugin == Plugin::PodTopologySpread && has_spread_keys(pod, &node.spec.labels, world)
        }
        Happened::PodAdded(other) => match plugin {
            Plugin::PodTopologySpread => is_spread_with(pod, other, world),
            Plugin::InterPodAffinity => matches_all(&pod.spec.pod_affinity.required, other, world),
            _ => false,
        },
        Happened::PodUpdated(aspect, old, new) => {
            after_pod_updated(plugin, pod, aspect, (old, new), world)
        }
        Happened::PodDeleted(gone) => after_pod_deleted(plugin, pod, gone, world),
        Happened::NominationLost(gone) => {
            plugin != Plugin::PodTopologySpread && after_pod_deleted(plugin, pod, gone, world)
        }
        Happened::Own(aspect, old, new) => after_own(plugin, aspect, (old, new), world),
        Happened::Storage(change) => volumes::may_help(plugin, change, pod, world.names),
    }
}

fn after_node_added(plugin: Plugin, pod: &PodInfo, node: &NodeState, world: &World<'_>) -> bool {
    let spec = &pod.spec;
    match plugin {
        Plugin::NodeUnschedulable => !node.spec.unschedulable,
        Plugin::NodeName => spec.node_name == Some(node.spec.name),
        Plugin::TaintToleration => taint_toleration::tolerates_all(spec, &node.spec.taints),
        Plugin::NodeAffinity => node_affinity::filter(spec, node, world).is_ok(),
        Plugin::NodeResourcesFit => resources_fit::filter(spec, node, world).is_ok(),
        Plugin::PodTopologySpread => has_spread_keys(pod, &node.spec.labels, world),
        Plugin::InterPodAffinity => {
            let has = |term: &PodAffinityTerm| node.spec.labels.get(term.topology_key).is_some();
            let affinity = &spec.pod_affinity;
            !affinity.anti_required.is_empty() || affinity.required.iter().any(has)
        }
        Plugin::NodePorts
        | Plugin::VolumeRestrictions
        | Plugin::VolumeBinding
        | Plugin::VolumeZone
        | Plugin::DynamicResources => true,
        _ => false,
    }
}

/// Those that listen to new nodes and not to taints are woken by every change of taints (rule
/// S148).
fn after_taints(
    plugin: Plugin,
    pod: &PodInfo,
    (old, new): (&NodeState, &NodeState),
    world: &World<'_>,
) -> bool {
    match plugin {
        Plugin::NodeUnschedulable => old.spec.unschedulable && !new.spec.unschedulable,
        Plugin::TaintToleration => {
            let tolerates =
                |node: &NodeState| taint_toleration::tolerates_all(&pod.spec, &node.spec.taints);
            !tolerates(old) && tolerates(new)
        }
        Plugin::PodTopologySpread => is_spread_anew(pod, (old, new), world),
        Plugin::NodeName
        | Plugin::NodeAffinity
        | Plugin::NodePorts
        | Plugin::NodeResourcesFit
        | Plugin::VolumeRestrictions
        | Plugin::VolumeBinding
        | Plugin::VolumeZone
        | Plugin::InterPodAffinity
        | Plugin::DynamicResources => true,
        _ => false,
    }
}

fn after_node_labels(
    plugin: Plugin,
    pod: &PodInfo,
    (old, new): (&NodeState, &NodeState),
    world: &World<'_>,
) -> bool {
    match plugin {
        Plugin::NodeAffinity => {
            let matches = |node| node_affinity::filter(&pod.spec, node, world).is_ok();
            !matches(old) && matches(new)
        }
        Plugin::PodTopologySpread => is_spread_anew(pod, (old, new), world),
        Plugin::InterPodAffinity => {
            let of =
                |node: &NodeState, term: &PodAffinityTerm| node.spec.labels.get(term.topology_key);
            let affinity = &pod.spec.pod_affinity;
            affinity.required.iter().any(|t| of(new, t).is_some() && of(new, t) != of(old, t))
                || affinity
                    .anti_required
                    .iter()
                    .any(|t| of(old, t).is_some() && of(new, t) != of(old, t))
        }
        Plugin::VolumeBinding | Plugin::VolumeZone | Plugin::DynamicResources => true,
        _ => false,
    }
}

/// Whether the node has more of something that the pod asks for, or takes more pods.
fn has_grown(pod: &PodInfo, old: &NodeState, new: &NodeState) -> bool {
    let (before, now) = (&old.spec.allocatable, &new.spec.allocatable);
    let wants = &pod.spec.requests;
    new.spec.pods_max > old.spec.pods_max
        || (wants.cpu.0 > 0 && now.cpu > before.cpu)
        || (wants.memory.0 > 0 && now.memory > before.memory)
        || (wants.ephemeral_storage.0 > 0 && now.ephemeral_storage > before.ephemeral_storage)
        || (wants.scalars.iter()).any(|(name, _)| now.scalar(*name) > before.scalar(*name))
}

fn after_pod_updated(
    plugin: Plugin,
    pod: &PodInfo,
    aspect: PodAspect,
    (old, new): (&PodInfo, &PodInfo),
    world: &World<'_>,
) -> bool {
    match (plugin, aspect) {
        (Plugin::NodeResourcesFit, PodAspect::ScaleDown) => frees(pod, old, new),
        (Plugin::PodTopologySpread, PodAspect::Labels) => {
            new.namespace == pod.namespace && is_selected_anew(pod, old, new, world)
        }
        (Plugin::InterPodAffinity, PodAspect::Labels) => {
            let affinity = &pod.spec.pod_affinity;
            let all = |terms: &[PodAffinityTerm], of| matches_all(terms, of, world);
            (!all(&affinity.required, old) && all(&affinity.required, new))
                || (all(&affinity.anti_required, old) && !all(&affinity.anti_required, new))
        }
        _ => false,
    }
}

/// Whether a pod that is resized asks for less of something that the waiting pod asks for.
fn frees(pod: &PodInfo, old: &PodInfo, new: &PodInfo) -> bool {
    let (wants, was, is) = (&pod.spec.requests, &old.spec.requests, &new.spec.requests);
    (wants.cpu.0 > 0 && is.cpu < was.cpu)
        || (wants.memory.0 > 0 && is.memory < was.memory)
        || (wants.ephemeral_storage.0 > 0 && is.ephemeral_storage < was.ephemeral_storage)
        || (wants.scalars.iter())
            .any(|(name, amount)| *amount > 0 && is.scalar(*name) < was.scalar(*name))
}

fn after_pod_deleted(plugin: Plugin, pod: &PodInfo, gone: &PodInfo, world: &World<'_>) -> bool {
    match plugin {
        Plugin::NodeResourcesFit => true,
        Plugin::NodePorts => {
            node_ports::any_conflict(&pod.spec.host_ports, &gone.spec.host_ports, world.names)
        }
        Plugin::PodTopologySpread => is_spread_with(pod, gone, world),
        // From 1.36 on the anti-affinity of the pod that is gone counts too (rule S153).
        Plugin::InterPodAffinity => {
            let anti = |of: &PodInfo, other| {
                matches_all(&of.spec.pod_affinity.anti_required, other, world)
            };
            anti(pod, gone) || anti(gone, pod)
        }
        Plugin::VolumeRestrictions | Plugin::NodeVolumeLimits => {
            volumes::helps_freed(plugin, pod, gone)
        }
        _ => false,
    }
}

fn after_own(
    plugin: Plugin,
    aspect: PodAspect,
    (old, new): (&PodInfo, &PodInfo),
    world: &World<'_>,
) -> bool {
    match (plugin, aspect) {
        (Plugin::SchedulingGates, PodAspect::Ungated)
        | (Plugin::TaintToleration, PodAspect::Tolerations)
        | (Plugin::NodeResourcesFit, PodAspect::ScaleDown)
        | (Plugin::InterPodAffinity, PodAspect::Labels) => true,
        (Plugin::NodeUnschedulable, PodAspect::Tolerations) => {
            node_unschedulable::tolerates_cordon(&new.spec, world.names)
        }
        (Plugin::PodTopologySpread, PodAspect::Tolerations) => {
            pod_topology_spread::hard_constraints(new, world).iter().any(|c| c.honors_taints)
        }
        (Plugin::PodTopologySpread, PodAspect::Labels) => is_selected_anew(new, old, new, world),
        _ => false,
    }
}

/// Whether a pod counts for a hard constraint of the waiting pod (rule S151).
fn is_spread_with(pod: &PodInfo, other: &PodInfo, world: &World<'_>) -> bool {
    let selects = |selector: &Option<crate::model::Selector>| {
        selector.as_ref().is_some_and(|s| s.matches(&other.labels, world.names))
    };
    other.namespace == pod.namespace
        && (pod_topology_spread::hard_constraints(pod, world).iter()).any(|c| selects(&c.selector))
}

fn is_selected_anew(pod: &PodInfo, old: &PodInfo, new: &PodInfo, world: &World<'_>) -> bool {
    let hard = pod_topology_spread::hard_constraints(pod, world);
    hard.iter().filter_map(|c| c.selector.as_ref()).any(|selector| {
        selector.matches(&old.labels, world.names) != selector.matches(&new.labels, world.names)
    })
}

fn has_spread_keys(pod: &PodInfo, labels: &Labels, world: &World<'_>) -> bool {
    let hard = pod_topology_spread::hard_constraints(pod, world);
    hard.iter().all(|constraint| labels.get(constraint.topology_key).is_some())
}

/// Whether a node's change of labels or taints may shift the waiting pod's domains (rule S151).
fn is_spread_anew(pod: &PodInfo, (old, new): (&NodeState, &NodeState), world: &World<'_>) -> bool {
    let has = |node: &NodeState| has_spread_keys(pod, &node.spec.labels, world);
    let hard = pod_topology_spread::hard_constraints(pod, world);
    let differs = |key| old.spec.labels.get(key) != new.spec.labels.get(key);
    has(old) != has(new)
        || (has(new)
            && (hard.iter().any(|c| differs(c.topology_key)) || old.spec.taints != new.spec.taints))
}

/// Whether a pod matches all terms; of none it matches nothing. Labels of namespaces are not known
/// here: a selector of namespaces sees none (rule S152).
fn matches_all(terms: &[PodAffinityTerm], pod: &PodInfo, world: &World<'_>) -> bool {
    let matches = |term: &PodAffinityTerm| {
        let selector = term.namespace_selector.as_ref();
        (term.namespaces.contains(&pod.namespace)
            || selector.is_some_and(|s| s.matches(&Labels::default(), world.names)))
            && term.selector.as_ref().is_some_and(|s| s.matches(&pod.labels, world.names))
    };
    !terms.is_empty() && terms.iter().all(matches)
}
