//! Whether something that happened may let a rejected pod fit: the queueing hints.
//!
//! Source: kubernetes v1.36.3 `isSchedulableAfter…` of each plugin, pkg/scheduler/scheduler.go
//! `buildQueueingHintMap` (rules S143 to S150; recorded). Pods do not change here, so hints about
//! the waiting pod itself are absent.

use crate::model::{NodeSpec, PodSpec};
use crate::placement::plugins::node_affinity;
use crate::placement::plugins::volumes::hints::{self as volume_hints, StorageChange};
use crate::placement::plugins::{node_ports, node_unschedulable, resources_fit, taint_toleration};
use crate::placement::{NodeState, Plugin, PluginSet, PodInfo, World};

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum Happened<'a> {
    /// A node is new.
    NodeAdded(&'a NodeState),
    /// A node declares something else than before: old and new.
    NodeChanged(&'a NodeSpec, &'a NodeState),
    /// A pod that had a node is gone or has ended.
    PodFreed(&'a PodInfo),
    /// A storage object has changed.
    Storage(StorageChange<'a>),
}

/// Whether a plugin among those that rejected the pod says that this may help.
#[must_use]
pub fn may_help(
    happened: Happened<'_>,
    info: &PodInfo,
    rejectors: PluginSet,
    world: &World<'_>,
) -> bool {
    let pod = &*info.spec;
    rejectors.iter().any(|plugin| match happened {
        Happened::NodeAdded(node) => helps_new(plugin, pod, node, world),
        Happened::NodeChanged(old, node) => helps_changed(plugin, pod, (old, node), world),
        Happened::PodFreed(gone) => helps_freed(plugin, info, gone, world),
        Happened::Storage(change) => volume_hints::may_help(plugin, change, info, world.names),
    })
}

fn helps_new(plugin: Plugin, pod: &PodSpec, node: &NodeState, world: &World<'_>) -> bool {
    match plugin {
        Plugin::NodeUnschedulable => {
            !node.spec.unschedulable || node_unschedulable::tolerates_cordon(pod, world.names)
        }
        Plugin::NodeName => pod.node_name == Some(node.spec.name),
        Plugin::TaintToleration => taint_toleration::tolerates_all(pod, &node.spec.taints),
        Plugin::NodeAffinity => node_affinity::filter(pod, node, world).is_ok(),
        Plugin::NodePorts => true,
        Plugin::NodeVolumeLimits => false,
        Plugin::NodeResourcesFit => resources_fit::fits_empty(pod, node, world),
        _ => true,
    }
}

/// A node update is one event an aspect (rule S145): allocatable, labels, taints or uncordoning.
fn helps_changed(
    plugin: Plugin,
    pod: &PodSpec,
    (old, node): (&NodeSpec, &NodeState),
    world: &World<'_>,
) -> bool {
    let new = &node.spec;
    let uncordoned = old.unschedulable && !new.unschedulable;
    let taints = uncordoned || old.taints != new.taints;
    match plugin {
        Plugin::NodeUnschedulable => taints && uncordoned,
        Plugin::TaintToleration => {
            let tolerated = |spec: &NodeSpec| taint_toleration::tolerates_all(pod, &spec.taints);
            taints && !tolerated(old) && tolerated(new)
        }
        // Those that register for new nodes are woken by every change of taints (rule S148).
        Plugin::NodeName | Plugin::NodePorts => taints,
        Plugin::VolumeRestrictions => taints,
        Plugin::VolumeBinding | Plugin::VolumeZone => taints || old.labels != new.labels,
        Plugin::NodeVolumeLimits => false,
        Plugin::NodeAffinity => {
            let before = NodeState::empty(old.clone());
            let matches = |node| node_affinity::filter(pod, node, world).is_ok();
            taints || (old.labels != new.labels && !matches(&before) && matches(node))
        }
        Plugin::NodeResourcesFit => {
            taints || (grew(pod, old, new) && resources_fit::fits_empty(pod, node, world))
        }
        _ => true,
    }
}

/// Whether the node has more of something that the pod asks for, or takes more pods.
fn grew(pod: &PodSpec, old: &NodeSpec, new: &NodeSpec) -> bool {
    let (before, now, wants) = (&old.allocatable, &new.allocatable, &pod.requests);
    new.pods_max > old.pods_max
        || (wants.cpu.0 > 0 && now.cpu > before.cpu)
        || (wants.memory.0 > 0 && now.memory > before.memory)
        || (wants.ephemeral_storage.0 > 0 && now.ephemeral_storage > before.ephemeral_storage)
        || (wants.scalars.iter()).any(|(name, _)| now.scalar(*name) > before.scalar(*name))
}

fn helps_freed(plugin: Plugin, pod: &PodInfo, gone: &PodInfo, world: &World<'_>) -> bool {
    match plugin {
        Plugin::NodeResourcesFit => true,
        Plugin::NodePorts => {
            node_ports::any_conflict(&pod.spec.host_ports, &gone.spec.host_ports, world.names)
        }
        Plugin::VolumeRestrictions
        | Plugin::NodeVolumeLimits
        | Plugin::VolumeBinding
        | Plugin::VolumeZone => volume_hints::helps_freed(plugin, pod, gone),
        Plugin::NodeUnschedulable
        | Plugin::NodeName
        | Plugin::TaintToleration
        | Plugin::NodeAffinity => false,
        _ => true,
    }
}
