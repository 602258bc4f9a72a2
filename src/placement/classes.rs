//! Classes: pods that no decision tells apart share one.
//!
//! Two templates with equal requests, ports, selector, affinity and tolerations are one class, so
//! that what was computed for one serves the other. What concerns nodes as declared only is shared
//! further, by all classes with equal selector, affinity and tolerations ([`Statics`]).

use std::sync::Arc;

use crate::base::{Bytes, IdVec, LookupMap, MilliCpu, Symbol, cast, id_type};
use crate::model::{
    HostPort, Labels, NodeAffinity, PodAffinity, PodSpec, PodVolume, Resources, SpreadConstraint,
    Toleration,
};

use super::plugins::{node_affinity, node_name, node_unschedulable, taint_toleration};
use super::pod_info::{Owner, PodIdentity, PodInfo};
use super::verdict::{Plugin, Rejection};
use super::world::World;

id_type!(ClassId, "Pods that no decision tells apart.");

/// Classes that agree on everything about nodes as declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct StaticId(u32);

/// What tells classes apart that agree on nodes as declared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ClassKey {
    statics: StaticId,
    requests: Resources,
    nonzero_requests: (MilliCpu, Bytes),
    host_ports: Vec<HostPort>,
    scored_requests: Resources,
    preempts_never: bool,
    priority: i32,
    namespace: Symbol,
    labels: Labels,
    owner: Option<Owner>,
    identity: Option<PodIdentity>,
    pod_affinity: PodAffinity,
    spread: Vec<SpreadConstraint>,
    volumes: Vec<PodVolume>,
    image_names: Vec<Symbol>,
    profile: Symbol,
}

/// What the static filters and scores read of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct StaticKey {
    node_name: Option<Symbol>,
    selector: Labels,
    affinity: NodeAffinity,
    tolerations: Vec<Toleration>,
}

/// Those filters whose verdict pods on the node do not change.
fn filter_static(
    pod: &PodSpec,
    node: &super::NodeState,
    world: &World<'_>,
) -> Result<(), Rejection> {
    node_unschedulable::filter(pod, node, world.names)?;
    node_name::filter(pod, node)?;
    taint_toleration::filter(pod, node)?;
    node_affinity::filter(pod, node, world)
}

/// What nodes as declared say to a pod, by place of the walk.
#[derive(Clone, Debug)]
pub(super) struct Statics {
    spec: Arc<PodSpec>,
    /// Whether the affinity names nodes: the search is narrowed, and never cached.
    pub(super) is_narrowed: bool,
    /// Who rejects, if anyone does.
    pub(super) rejects: Vec<Option<Plugin>>,
    /// Raw score of TaintToleration.
    pub(super) taint_raw: Vec<i64>,
    /// Raw score of NodeAffinity.
    pub(super) affinity_raw: Vec<i64>,
    /// How many places have a raw score that is not 0.
    raws: usize,
}

impl Statics {
    fn new(spec: &Arc<PodSpec>) -> Self {
        Self {
            spec: Arc::clone(spec),
            is_narrowed: node_affinity::named_nodes(spec).is_some(),
            rejects: Vec::new(),
            taint_raw: Vec::new(),
            affinity_raw: Vec::new(),
            raws: 0,
        }
    }

    /// Whether all nodes have the raw scores 0, so that the normalised ones are the same for all.
    pub(super) const fn is_uniform(&self) -> bool {
        self.raws == 0
    }

    fn fill(&mut self, world: &World<'_>) {
        self.rejects = vec![None; world.nodes.len()];
        self.taint_raw = vec![0; world.nodes.len()];
        self.affinity_raw = vec![0; world.nodes.len()];
        self.raws = 0;
        for at in 0..world.nodes.len() {
            self.refresh(at, world);
        }
    }

    fn refresh(&mut self, at: usize, world: &World<'_>) {
        let node = world.nodes.at(at);
        let verdict = filter_static(&self.spec, node, world);
        self.rejects[at] = verdict.err().map(|rejection| rejection.plugin);
        let has_raw = |s: &Self| usize::from(s.taint_raw[at] != 0 || s.affinity_raw[at] != 0);
        self.raws -= has_raw(self);
        self.taint_raw[at] = taint_toleration::raw_score(&self.spec, node);
        self.affinity_raw[at] = node_affinity::raw_score(&self.spec, node, world);
        self.raws += has_raw(self);
    }
}

/// A class.
#[derive(Clone, Debug)]
pub(super) struct Class {
    /// The first pod of it: all others are the same to a decision.
    pub(super) info: Arc<PodInfo>,
    statics: StaticId,
}

/// All classes met so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Classes {
    pub(super) classes: IdVec<ClassId, Class>,
    statics: Vec<Statics>,
    by_key: LookupMap<ClassKey, ClassId>,
    statics_by_key: LookupMap<StaticKey, StaticId>,
}

impl Classes {
    /// What nodes as declared say to a class.
    pub(super) fn statics_of(&self, class: &Class) -> &Statics {
        &self.statics[cast::usize_of(class.statics.0)]
    }

    /// The class of a pod.
    pub(super) fn intern(&mut self, info: &Arc<PodInfo>, world: &World<'_>) -> ClassId {
        let spec = &info.spec;
        let statics = self.intern_statics(spec, world);
        let key = ClassKey {
            statics,
            requests: spec.requests.clone(),
            nonzero_requests: spec.nonzero_requests,
            host_ports: spec.host_ports.clone(),
            scored_requests: spec.scored_requests.clone(),
            preempts_never: spec.preempts_never,
            priority: spec.priority,
            namespace: info.namespace,
            labels: info.labels.clone(),
            owner: info.owner,
            identity: info.identity,
            pod_affinity: spec.pod_affinity.clone(),
            spread: spec.spread.clone(),
            volumes: spec.volumes.clone(),
            image_names: spec.image_names.clone(),
            profile: spec.scheduler_name,
        };
        let classes = &mut self.classes;
        *self.by_key.or_insert_with(key, || {
            let info = Arc::clone(info);
            classes.push(Class { info, statics })
        })
    }

    fn intern_statics(&mut self, spec: &Arc<PodSpec>, world: &World<'_>) -> StaticId {
        let key = StaticKey {
            node_name: spec.node_name,
            selector: spec.node_selector.clone(),
            affinity: spec.node_affinity.clone(),
            tolerations: spec.tolerations.clone(),
        };
        let statics = &mut self.statics;
        *self.statics_by_key.or_insert_with(key, || {
            let mut new = Statics::new(spec);
            new.fill(world);
            statics.push(new);
            StaticId(cast::u32_of(statics.len() - 1))
        })
    }

    /// A node came or went: all places are others.
    pub(super) fn refill(&mut self, world: &World<'_>) {
        for statics in &mut self.statics {
            statics.fill(world);
        }
    }

    /// What a node declares has changed.
    pub(super) fn refresh(&mut self, at: usize, world: &World<'_>) {
        for statics in &mut self.statics {
            statics.refresh(at, world);
        }
    }
}
