//! What a new node of each group is like, and which groups are alike.
//!
//! Source: kubernetes/autoscaler cluster-autoscaler 1.36
//! processors/nodeinfosprovider/mixed_nodeinfos_processor.go; simulator/node_info_utils.go;
//! processors/nodegroupset/compare_nodegroups.go (rules A137, A153).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{Duration, Id, Interner, SimTime, cast};
use crate::model::{NodeSpec, PodId, PodRef, Resources, TaintEffect};
use crate::placement::{NodeState, Nodes, Nominator, PlacedPod, PodInfo, World, plugins};

use super::Options;
use super::cloud::Group;
use super::ledger::Ledger;
use super::view::{DaemonSetView, NodeView, View};

/// How long a node must have been as it is, to be a model for others (rule A137).
pub(super) const STABLE: Duration = Duration::mins(1);
/// By how much the memory of similar groups may differ (rule A153).
const MEMORY_RATIO: f64 = 0.015;
/// By how much what is allocatable and free may differ (rule A153).
const FREE_RATIO: f64 = 0.05;
/// Labels that similar groups may differ in (rule A153).
const IGNORED: [&str; 7] = [
    "kubernetes.io/hostname",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "beta.kubernetes.io/fluentd-ds-ready",
    "kops.k8s.io/instancegroup",
];
/// Taints of a node's own state or of the autoscaler, which a new node has not.
const PASSING: [&str; 10] = [
    "ToBeDeletedByClusterAutoscaler",
    "DeletionCandidateOfClusterAutoscaler",
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/unschedulable",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/network-unavailable",
    "node.kubernetes.io/pid-pressure",
    "node.cloudprovider.kubernetes.io/shutdown",
];

/// What a new node of a group is like.
#[derive(Clone, Debug)]
pub struct Template {
    /// How its nodes are called in simulations.
    pub name: String,
    /// The node with the pods that stand on each.
    pub state: NodeState,
    /// `status.capacity`.
    pub capacity: Resources,
    /// When it was made; nodes made of it are remembered by that.
    pub made: SimTime,
}

impl Template {
    /// A node like it.
    pub(super) fn node(&self, name: &str, names: &mut Interner) -> NodeState {
        let mut state = self.state.clone();
        state.spec.name = names.intern(name);
        let hostname = names.intern("kubernetes.io/hostname");
        state.spec.labels.set(hostname, state.spec.name);
        state
    }
}

/// Templates that were made of good nodes, by the number of the group.
#[derive(Debug, Default)]
pub(super) struct Templates {
    last: BTreeMap<usize, Template>,
}

impl Templates {
    /// The templates of all groups: of a good node, else as when there was one last, else the
    /// cloud's.
    pub(super) fn make(
        &mut self,
        (view, ledger): (&View<'_>, &Ledger),
        groups: &[Group],
        options: &Options,
        names: &Interner,
    ) -> Vec<Template> {
        let one = |(number, group): (usize, &Group)| {
            let is_good = |node: &&NodeView| {
                node.group == Some(number)
                    && node.is_ready
                    && !node.spec.unschedulable
                    && node.deleting_since.is_none()
                    && node.ready_changed + STABLE < view.now
            };
            let name = format!("template-node-for-{}", group.id);
            if let Some(node) = view.nodes.iter().find(is_good) {
                let template = of_real((view, ledger), node, options, name, names);
                self.last.insert(number, template.clone());
                return template;
            }
            match self.last.get(&number) {
                Some(last) => Template { made: view.now, ..last.clone() },
                None => of_cloud(view, group, options, name, names),
            }
        };
        groups.iter().enumerate().map(one).collect()
    }
}

fn of_real(
    (view, ledger): (&View<'_>, &Ledger),
    node: &NodeView,
    options: &Options,
    name: String,
    names: &Interner,
) -> Template {
    let mut state = NodeState::empty(lasting(&node.spec, options, names));
    let mut owners = Vec::new();
    let on = ledger.on(node.node).map(|at| &view.pods[at]);
    for pod in on.filter(|pod| pod.node.is_some()) {
        if pod.is_daemon() || pod.traits.is_mirror {
            owners.extend(pod.controller.map(|owner| owner.uid));
            state.add(PlacedPod::new(pod.pod, Arc::clone(&pod.info)));
        }
    }
    let missing = view.daemon_sets.iter().filter(|set| !owners.contains(&set.uid));
    let missing = missing.filter(|set| options.forces_daemons || set.is_critical);
    add_daemons(&mut state, missing, view, names);
    Template { name, state, capacity: node.capacity.clone(), made: view.now }
}

fn of_cloud(
    view: &View<'_>,
    group: &Group,
    options: &Options,
    name: String,
    names: &Interner,
) -> Template {
    let mut state = NodeState::empty(lasting(&group.template, options, names));
    add_daemons(&mut state, view.daemon_sets.iter(), view, names);
    Template { name, state, capacity: group.capacity.clone(), made: view.now }
}

fn lasting(spec: &NodeSpec, options: &Options, names: &Interner) -> NodeSpec {
    let mut spec = spec.clone();
    let passes = |key: &str| PASSING.contains(&key) || options.is_passing_taint(key);
    spec.taints.retain(|taint| !passes(names.resolve(taint.key)));
    spec
}

fn add_daemons<'d>(
    state: &mut NodeState,
    sets: impl Iterator<Item = &'d DaemonSetView>,
    view: &View<'_>,
    names: &Interner,
) {
    for (number, set) in sets.enumerate() {
        if runs_on(&set.info, state, view, names) {
            let id = PodId::from_index(cast::usize_of(u32::MAX) - 1 - number);
            state.add(PlacedPod::new(PodRef { id, life: 0 }, Arc::clone(&set.info)));
        }
    }
}

/// Whether a DaemonSet has a pod on such a node: by its name, affinity and taints alone.
fn runs_on(info: &PodInfo, node: &NodeState, view: &View<'_>, names: &Interner) -> bool {
    let (nodes, nominator) = (Nodes::new(), Nominator::default());
    let world = World {
        nodes: &nodes,
        catalog: view.catalog,
        nominator: &nominator,
        profile: view.profile,
        percentage: 100,
        policies: &[],
        names,
    };
    let tolerated = |taint: &crate::model::Taint| {
        taint.effect == TaintEffect::PreferNoSchedule
            || info.spec.tolerations.iter().any(|t| t.tolerates(taint))
    };
    plugins::node_affinity::filter(&info.spec, node, &world).is_ok()
        && node.spec.taints.iter().all(tolerated)
}

/// Whether two groups are alike (rule A153).
pub(super) fn are_similar(a: &Template, b: &Template, options: &Options, names: &Interner) -> bool {
    let exact = |x: &Resources, y: &Resources| {
        x.cpu == y.cpu && x.ephemeral_storage == y.ephemeral_storage && x.scalars == y.scalars
    };
    let memory = (a.capacity.memory.0, b.capacity.memory.0);
    exact(&a.capacity, &b.capacity)
        && is_near(memory, MEMORY_RATIO)
        && are_near(&a.state.spec.allocatable, &b.state.spec.allocatable)
        && are_near(&free(a), &free(b))
        && is_near((room(a), room(b)), FREE_RATIO)
        && labels(a, options, names) == labels(b, options, names)
}

fn room(of: &Template) -> i64 {
    i64::from(of.state.spec.pods_max)
}

fn free(of: &Template) -> Resources {
    let mut free = of.state.spec.allocatable.clone();
    free.subtract(&of.state.usage.requested);
    free
}

fn is_near((a, b): (i64, i64), ratio: f64) -> bool {
    let (larger, smaller) = (cast::f64_of_i64(a.max(b)), cast::f64_of_i64(a.min(b)));
    larger - smaller <= larger * ratio
}

fn are_near(a: &Resources, b: &Resources) -> bool {
    let keys = |of: &Resources| of.scalars.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    is_near((a.cpu.0, b.cpu.0), FREE_RATIO)
        && is_near((a.memory.0, b.memory.0), FREE_RATIO)
        && is_near((a.ephemeral_storage.0, b.ephemeral_storage.0), FREE_RATIO)
        && keys(a) == keys(b)
        && a.scalars.iter().zip(&b.scalars).all(|(x, y)| is_near((x.1, y.1), FREE_RATIO))
}

fn labels<'n>(of: &Template, options: &Options, names: &'n Interner) -> Vec<(&'n str, &'n str)> {
    let all = of.state.spec.labels.iter().map(|(k, v)| (names.resolve(k), names.resolve(v)));
    let is_ignored =
        |key: &str| IGNORED.contains(&key) || options.ignored_labels.iter().any(|l| l == key);
    all.filter(|(key, _)| !is_ignored(key)).collect()
}
