//! Classes: pods that no decision tells apart share one.
//!
//! Two templates with equal requests, ports, selector, affinity and tolerations are one class, so
//! that what was computed for one serves the other. What concerns nodes as declared only is shared
//! further, by all classes with equal selector, affinity and tolerations ([`Statics`]).

use std::sync::Arc;

use crate::base::{Bytes, IdVec, Interner, LookupMap, MilliCpu, Symbol, cast, id_type};
use crate::model::{HostPort, Labels, NodeAffinity, PodSpec, Resources, Toleration};

use super::nodes::Nodes;
use super::plugins::{self, node_affinity, taint_toleration};
use super::verdict::Plugin;

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
    preempts_never: bool,
}

/// What the static filters and scores read of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct StaticKey {
    node_name: Option<Symbol>,
    selector: Labels,
    affinity: NodeAffinity,
    tolerations: Vec<Toleration>,
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

    fn fill(&mut self, nodes: &Nodes, names: &Interner) {
        self.rejects = vec![None; nodes.len()];
        self.taint_raw = vec![0; nodes.len()];
        self.affinity_raw = vec![0; nodes.len()];
        self.raws = 0;
        for at in 0..nodes.len() {
            self.refresh(at, nodes, names);
        }
    }

    fn refresh(&mut self, at: usize, nodes: &Nodes, names: &Interner) {
        let node = nodes.at(at);
        let verdict = plugins::filter_static(&self.spec, node, names);
        self.rejects[at] = verdict.err().map(|rejection| rejection.plugin);
        let has_raw = |s: &Self| usize::from(s.taint_raw[at] != 0 || s.affinity_raw[at] != 0);
        self.raws -= has_raw(self);
        self.taint_raw[at] = taint_toleration::raw_score(&self.spec, node);
        self.affinity_raw[at] = node_affinity::raw_score(&self.spec, node, names);
        self.raws += has_raw(self);
    }
}

/// A class.
#[derive(Clone, Debug)]
pub(super) struct Class {
    /// The specification of the first pod of it: all others are the same to a decision.
    pub(super) spec: Arc<PodSpec>,
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
    pub(super) fn intern(
        &mut self,
        spec: &Arc<PodSpec>,
        nodes: &Nodes,
        names: &Interner,
    ) -> ClassId {
        let statics = self.intern_statics(spec, nodes, names);
        let key = ClassKey {
            statics,
            requests: spec.requests.clone(),
            nonzero_requests: spec.nonzero_requests,
            host_ports: spec.host_ports.clone(),
            preempts_never: spec.preempts_never,
        };
        let classes = &mut self.classes;
        *self.by_key.or_insert_with(key, || {
            let spec = Arc::clone(spec);
            classes.push(Class { spec, statics })
        })
    }

    fn intern_statics(&mut self, spec: &Arc<PodSpec>, nodes: &Nodes, names: &Interner) -> StaticId {
        let key = StaticKey {
            node_name: spec.node_name,
            selector: spec.node_selector.clone(),
            affinity: spec.node_affinity.clone(),
            tolerations: spec.tolerations.clone(),
        };
        let statics = &mut self.statics;
        *self.statics_by_key.or_insert_with(key, || {
            let mut new = Statics::new(spec);
            new.fill(nodes, names);
            statics.push(new);
            StaticId(cast::u32_of(statics.len() - 1))
        })
    }

    /// A node came or went: all places are others.
    pub(super) fn refill(&mut self, nodes: &Nodes, names: &Interner) {
        for statics in &mut self.statics {
            statics.fill(nodes, names);
        }
    }

    /// What a node declares has changed.
    pub(super) fn refresh(&mut self, at: usize, nodes: &Nodes, names: &Interner) {
        for statics in &mut self.statics {
            statics.refresh(at, nodes, names);
        }
    }
}
