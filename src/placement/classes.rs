//! Classes: pods that no decision tells apart share one.
//!
//! Two templates with equal requests, ports, selector, affinity and tolerations are one class, so
//! that what was computed for one serves the other. What concerns nodes as declared only is shared
//! further, by all classes with equal selector, affinity and tolerations ([`Statics`]).

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::base::{IdVec, LookupMap, Symbol, cast, id_type};
use crate::model::{Labels, NodeAffinity, PodSpec, Toleration, matches_node};

use super::plugins::{node_affinity, node_name, node_unschedulable, taint_toleration};
use super::pod_info::PodInfo;
use super::verdict::{Plugin, Rejection};
use super::world::World;

id_type!(ClassId, "Pods that no decision tells apart.");

/// Classes that agree on everything about nodes as declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct StaticId(u32);

/// What tells classes apart: all of a pod that a decision reads.
#[derive(Clone, Debug)]
struct ClassKey(Arc<PodInfo>);

/// All of a pod that a decision reads.
fn parts(info: &PodInfo) -> impl PartialEq + Hash + '_ {
    let spec = &*info.spec;
    (
        (&spec.requests, spec.nonzero_requests, &spec.scored_requests, &spec.host_ports),
        (spec.priority, spec.preempts_never, spec.scheduler_name, spec.node_name),
        (&spec.node_selector, &spec.node_affinity, &spec.tolerations),
        (&spec.pod_affinity, &spec.spread, &spec.volumes, &spec.image_names),
        (info.namespace, &info.labels, info.owner, info.identity),
    )
}

fn are_alike<'a>(one: &'a PodInfo, other: &'a PodInfo) -> bool {
    parts(one) == parts(other)
}

impl PartialEq for ClassKey {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || are_alike(&self.0, &other.0)
    }
}

impl Eq for ClassKey {}

impl Hash for ClassKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        parts(&self.0).hash(state);
    }
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
pub(super) fn filter_static(
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
    /// Whether the pod's own selector and required affinity match (rule S107).
    pub(super) likes: Vec<bool>,
    /// Whether they match everywhere.
    pub(super) likes_all: bool,
    /// Whether the pod tolerates the taints.
    pub(super) tolerates: Vec<bool>,
    /// Whether it tolerates all taints there are.
    pub(super) tolerates_all: bool,
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
            likes: Vec::new(),
            likes_all: true,
            tolerates: Vec::new(),
            tolerates_all: true,
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
        self.likes = vec![true; world.nodes.len()];
        self.tolerates = vec![true; world.nodes.len()];
        for at in 0..world.nodes.len() {
            self.enter(at, world);
        }
        self.sum_up();
    }

    fn sum_up(&mut self) {
        self.likes_all = self.likes.iter().all(|likes| *likes);
        self.tolerates_all = self.tolerates.iter().all(|tolerates| *tolerates);
    }

    fn refresh(&mut self, at: usize, world: &World<'_>) {
        self.enter(at, world);
        self.sum_up();
    }

    fn enter(&mut self, at: usize, world: &World<'_>) {
        let node = world.nodes.at(at);
        let verdict = filter_static(&self.spec, node, world);
        self.rejects[at] = verdict.err().map(|rejection| rejection.plugin);
        let has_raw = |s: &Self| usize::from(s.taint_raw[at] != 0 || s.affinity_raw[at] != 0);
        self.raws -= has_raw(self);
        self.taint_raw[at] = taint_toleration::raw_score(&self.spec, node);
        self.affinity_raw[at] = node_affinity::raw_score(&self.spec, node, world);
        self.raws += has_raw(self);
        let (spec, affinity) = (&node.spec, &self.spec.node_affinity);
        let selector = &self.spec.node_selector;
        self.likes[at] = matches_node(selector, affinity, spec.name, &spec.labels, world.names);
        self.tolerates[at] = taint_toleration::tolerates_all(&self.spec, &spec.taints);
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
        let key = ClassKey(Arc::clone(info));
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
