//! The cluster of a run as an iteration sees it, kept up with each change.
//!
//! ```text
//! change ─note─► what is to be looked at again ─sync─► rows of nodes, pods, budgets, DaemonSets
//! ```
//!
//! Nothing is read twice that did not change: a day has 8,640 scans. Differs: claims that are made
//! in the run ask for nothing here, and where a claim was bound in the run is not known.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::base::go_time::parse_go_duration;
use crate::base::{Duration, Id, IdVec, Interner, SimTime, Symbol};
use crate::cluster::{
    Change, CloudChange, Cluster, Node, ObjectChange, Pod, Readiness, TemplateRow,
};
use crate::model::{
    Labels, Model, NodeId, ObjectKey, OwnerRef, PodId, PodSpec, PodVolume, Profile, TemplateId,
    WorkloadKind,
};
use crate::placement::plugins::volumes::controller;
use crate::placement::{Catalog, PodInfo};

use super::view::{
    BudgetView, Controller, ControllerKind, DaemonSetView, NodeView, PodTraits, PodView,
    SafeToEvict, View, natural,
};

/// How fresh the news must be that a pod finds no place, to start an iteration (rule A119).
const FRESH: Duration = Duration::secs(10);
/// The priority of class `system-node-critical`.
const NODE_CRITICAL: i32 = 2_000_001_000;
const PREFIX: &str = "cluster-autoscaler.kubernetes.io";

/// See the module.
#[derive(Debug)]
pub(super) struct Look {
    fixed: Arc<(Profile, Catalog)>,
    nodes: Vec<NodeView>,
    /// In order of creation.
    pods: Vec<PodView>,
    /// The numbers of these pods in the run.
    serials: Vec<u64>,
    /// The number of the pod of a slot that stands in the list, and since when it finds no place.
    slots: IdVec<PodId, Slot>,
    budgets: Vec<BudgetView>,
    daemon_sets: Vec<DaemonSetView>,
    kinds: IdVec<TemplateId, Option<Kind>>,
    dirty: Dirty,
    /// Whether a pod has found no place lately.
    pub(super) has_news: bool,
    /// Whether anything changed since somebody looked.
    pub(super) has_changed: bool,
    /// Whether anything of the cloud changed since lists of machines were read.
    pub(super) has_new_machines: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    serial: Option<u64>,
    unplaced: Option<SimTime>,
}

/// What all pods of a template share.
#[derive(Debug)]
struct Kind {
    spec: Arc<PodSpec>,
    info: Arc<PodInfo>,
    traits: PodTraits,
}

/// What is to be looked at again.
#[derive(Debug, Default)]
struct Dirty {
    pods: Vec<PodId>,
    nodes: Vec<NodeId>,
    budgets: bool,
    daemon_sets: bool,
}

impl Look {
    /// Before the run: nothing is known but namespaces and storage.
    pub(super) fn new(model: &Model) -> Self {
        let storage = controller::settled(model.storage.clone(), &model.names);
        let mut catalog = Catalog { storage, ..Catalog::default() };
        if let Some(key) = model.names.get("kubernetes.io/metadata.name") {
            for template in model.templates() {
                let name = template.workload.name.namespace;
                catalog.namespaces.insert(name, Labels::new([(key, name)]));
            }
        }
        for namespace in &model.namespaces {
            catalog.namespaces.insert(namespace.name, namespace.labels.clone());
        }
        Self {
            fixed: Arc::new((Profile::default(), catalog)),
            nodes: Vec::new(),
            pods: Vec::new(),
            serials: Vec::new(),
            slots: IdVec::new(),
            budgets: Vec::new(),
            daemon_sets: Vec::new(),
            kinds: IdVec::new(),
            dirty: Dirty::default(),
            has_news: false,
            has_changed: true,
            has_new_machines: true,
        }
    }

    /// All that is there is to be looked at.
    pub(super) fn forget(&mut self, cluster: &Cluster) {
        self.dirty.pods.extend(cluster.pods().ids());
        self.dirty.nodes.extend(cluster.nodes().ids());
        (self.dirty.budgets, self.dirty.daemon_sets) = (true, true);
    }

    /// What a change touches is to be looked at again.
    pub(super) fn note(&mut self, change: &Change) {
        match change {
            Change::PodStatus { what, .. } if !what.ended => {}
            Change::PodAdded { pod, .. }
            | Change::PodBound { pod, .. }
            | Change::PodStatus { pod, .. }
            | Change::PodUnplaced { pod }
            | Change::PodNominated { pod }
            | Change::PodDeleting { pod, .. }
            | Change::PodMeta { pod, .. }
            | Change::PodResized { pod, .. }
            | Change::PodRemoved { pod, .. } => self.dirty.pods.push(pod.id),
            Change::Node { node, .. } => self.dirty.nodes.push(*node),
            Change::Cloud(change) => {
                (self.has_changed, self.has_new_machines) = (true, true);
                if let CloudChange::Ended(Some(node)) = change {
                    self.dirty.nodes.push(*node);
                }
            }
            Change::Object { key: ObjectKey::Budget(_), .. } => self.dirty.budgets = true,
            Change::Object { key: ObjectKey::DaemonSet(_), what } => {
                self.dirty.daemon_sets |= *what != ObjectChange::Status;
            }
            _ => {}
        }
    }

    /// Looks at what has changed.
    pub(super) fn sync(&mut self, cluster: &Cluster, marks: &Marks, now: SimTime) {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.pods.sort_unstable();
        dirty.pods.dedup();
        dirty.nodes.sort_unstable();
        dirty.nodes.dedup();
        self.sync_pods(&dirty.pods, cluster, now);
        self.sync_nodes(&dirty.nodes, cluster, marks, now);
        if dirty.budgets {
            let budgets = cluster.budgets().iter().map(|(_, row)| BudgetView {
                namespace: row.spec.name.namespace,
                selector: row.spec.selector.clone(),
                allowed: row.status.allowed,
            });
            let budgets: Vec<BudgetView> = budgets.collect();
            self.has_changed |= budgets != self.budgets;
            self.budgets = budgets;
        }
        if dirty.daemon_sets {
            self.daemon_sets =
                cluster.daemon_sets().iter().map(|(id, row)| daemon_set(id, row)).collect();
            self.has_changed = true;
        }
    }

    fn sync_pods(&mut self, dirty: &[PodId], cluster: &Cluster, now: SimTime) {
        let mut new = Vec::new();
        let mut gone = Vec::new();
        for id in dirty {
            let row = cluster.pods().at(*id).filter(|row| !row.is_terminal());
            let slot = *self.slots.grow_to(*id);
            let known = slot.serial.and_then(|serial| self.serials.binary_search(&serial).ok());
            let is_same = slot.serial.is_some() && slot.serial == row.map(|row| row.serial);
            let made = row.map(|row| self.pod(*id, row, cluster));
            let is_unplaced = made.as_ref().is_some_and(|pod| pod.is_unschedulable);
            let since = slot.unplaced.filter(|_| is_same).unwrap_or(now);
            self.has_news |= is_unplaced && since + FRESH > now;
            self.slots[*id] =
                Slot { serial: row.map(|row| row.serial), unplaced: is_unplaced.then_some(since) };
            match (known, made) {
                (Some(at), Some(pod)) if is_same => {
                    self.has_changed |= is_other(&self.pods[at], &pod);
                    self.pods[at] = pod;
                }
                (known, made) => {
                    self.has_changed |= known.is_some() || made.is_some();
                    gone.extend(known);
                    new.extend(made.zip(row.map(|row| row.serial)));
                }
            }
        }
        if !gone.is_empty() {
            gone.sort_unstable();
            let stays = |at: usize| gone.binary_search(&at).is_err();
            let mut at = 0..;
            self.pods.retain(|_| stays(at.next().unwrap_or(0)));
            let mut at = 0..;
            self.serials.retain(|_| stays(at.next().unwrap_or(0)));
        }
        new.sort_unstable_by_key(|(_, serial)| *serial);
        for (pod, serial) in new {
            let at = self.serials.partition_point(|other| *other < serial);
            self.pods.insert(at, pod);
            self.serials.insert(at, serial);
        }
    }

    fn pod(&mut self, id: PodId, row: &Pod, cluster: &Cluster) -> PodView {
        let template = cluster.template_of(row);
        let kind = self.kinds.grow_to(row.template);
        let is_known = |kind: &Kind| {
            Arc::ptr_eq(&kind.spec, cluster.held(row)) && kind.info.labels == template.labels
        };
        if !kind.as_ref().is_some_and(is_known) {
            let spec = cluster.held(row);
            *kind = Some(kind_of(template, spec, &self.fixed.1, cluster.names()));
        }
        let kind = kind.as_ref().expect("just made");
        let deletion = row.deletion;
        let traits = PodTraits {
            deletion: deletion.map(|deletion| deletion.requested.floor_secs()),
            grace: deletion.map_or(kind.traits.grace, |deletion| deletion.grace),
            ..kind.traits.clone()
        };
        PodView {
            pod: cluster.pods().refer(id),
            name: row.name,
            info: Arc::clone(&kind.info),
            shape: u64::from(row.template.number()),
            node: row.node,
            nominated: row.nominated,
            // One that can go to a single node needs no other.
            is_unschedulable: row.node.is_none()
                && row.unschedulable.is_some()
                && row.pinned.is_none(),
            created: row.created.floor_secs(),
            controller: row.owner.map(|owner| controller_of(owner, row, cluster)),
            traits,
        }
    }

    fn sync_nodes(&mut self, dirty: &[NodeId], cluster: &Cluster, marks: &Marks, now: SimTime) {
        let mut is_new = false;
        for id in dirty {
            self.has_changed = true;
            let row = &cluster.nodes()[*id];
            let known = self.nodes.iter().position(|node| node.node == *id);
            if row.is_gone {
                if let Some(at) = known {
                    self.nodes.remove(at);
                }
                continue;
            }
            let made = node(*id, row, known.map(|at| &self.nodes[at]), cluster, marks, now);
            match known {
                Some(at) => self.nodes[at] = made,
                None => {
                    self.nodes.push(made);
                    is_new = true;
                }
            }
        }
        if is_new {
            let name = |node: &NodeView| cluster.names().resolve(node.spec.name);
            self.nodes.sort_by(|a, b| natural(name(a), name(b)));
        }
    }

    /// Lends what an iteration sees; its second half is to be given back.
    pub(super) fn fixed(&self) -> Arc<(Profile, Catalog)> {
        Arc::clone(&self.fixed)
    }

    /// Lends the lists; they are to be given [`back`](Self::take_back).
    pub(super) fn lend<'f>(&mut self, fixed: &'f (Profile, Catalog), now: SimTime) -> View<'f> {
        View {
            now,
            profile: &fixed.0,
            catalog: &fixed.1,
            nodes: std::mem::take(&mut self.nodes),
            pods: std::mem::take(&mut self.pods),
            budgets: std::mem::take(&mut self.budgets),
            daemon_sets: std::mem::take(&mut self.daemon_sets),
        }
    }

    /// The lists are back.
    pub(super) fn take_back(&mut self, view: View<'_>) {
        let View { nodes, pods, budgets, daemon_sets, .. } = view;
        (self.nodes, self.pods, self.budgets, self.daemon_sets) =
            (nodes, pods, budgets, daemon_sets);
    }

    /// The number in the run of the pod at a place of the list.
    pub(super) fn serial(&self, at: usize) -> u64 {
        self.serials[at]
    }
}

/// What of nodes only the autoscaler knows: its taint, and since when nodes have it.
#[derive(Debug)]
pub(super) struct Marks {
    pub(super) deleting: Symbol,
    /// How the autoscaler is set.
    pub(super) flags: super::Options,
    pub(super) since: BTreeMap<NodeId, SimTime>,
}

/// Whether anything is different that an iteration reads.
fn is_other(a: &PodView, b: &PodView) -> bool {
    (a.pod, a.node, a.nominated, a.is_unschedulable, a.controller, a.shape)
        != (b.pod, b.node, b.nominated, b.is_unschedulable, b.controller, b.shape)
        || a.traits.deletion != b.traits.deletion
        || a.traits.grace != b.traits.grace
        || !Arc::ptr_eq(&a.info, &b.info)
}

fn node(
    id: NodeId,
    row: &Node,
    before: Option<&NodeView>,
    cluster: &Cluster,
    marks: &Marks,
    now: SimTime,
) -> NodeView {
    let machine = cluster.cloud().of_node(id).and_then(|of| cluster.cloud().instance(of));
    let keys = cluster.node_keys();
    let spoils = [keys.not_ready, keys.pressures[1], keys.pressures[3]];
    let is_starting = |key: Symbol| marks.flags.is_startup_taint(cluster.names().resolve(key));
    let is_ready = row.condition == Readiness::True
        && !(row.spec.taints.iter())
            .any(|taint| spoils.contains(&taint.key) || is_starting(taint.key));
    let changed = before.filter(|before| before.is_ready == is_ready);
    let is_marked = row.spec.taints.iter().any(|taint| taint.key == marks.deleting);
    let offer = machine.and_then(|machine| machine.offer.as_ref());
    NodeView {
        node: id,
        spec: row.spec.clone(),
        capacity: offer.map_or_else(|| row.spec.allocatable.clone(), |offer| offer.has.clone()),
        group: machine.and_then(|machine| machine.group).map(Id::index),
        is_ready,
        ready_changed: changed.map_or(now, |before| before.ready_changed),
        created: row.created.floor_secs(),
        is_kept: row.spec.keeps.from_cluster_autoscaler,
        deleting_since: marks.since.get(&id).copied().filter(|_| is_marked),
    }
}

fn controller_of(owner: OwnerRef, row: &Pod, cluster: &Cluster) -> Controller {
    let number = |kind: u64, id: u32, life: u32| kind << 61 | u64::from(life) << 29 | u64::from(id);
    let (kind, uid, exists, replicas) = match owner {
        OwnerRef::ReplicaSet(set) => {
            let there = cluster.replica_sets().get(set);
            let kind = match row.origin {
                WorkloadKind::ReplicationController => ControllerKind::ReplicationController,
                _ => ControllerKind::ReplicaSet,
            };
            let replicas = there.map(|set| i64::from(set.replicas));
            (kind, number(0, set.id.number(), set.life), there.is_some(), replicas)
        }
        OwnerRef::StatefulSet(set) => {
            let exists = cluster.stateful_sets().get(set).is_some();
            (ControllerKind::StatefulSet, number(1, set.number(), 0), exists, None)
        }
        OwnerRef::DaemonSet(set) => {
            let exists = cluster.daemon_sets().get(set).is_some();
            (ControllerKind::DaemonSet, daemon_number(set), exists, None)
        }
        OwnerRef::Job(job) => {
            let exists = cluster.jobs().contains(job);
            (ControllerKind::Job, number(3, job.id.number(), job.life), exists, None)
        }
    };
    Controller { kind, uid, exists, replicas }
}

fn daemon_number(set: crate::model::DaemonSetId) -> u64 {
    2 << 61 | u64::from(set.number())
}

fn daemon_set(id: crate::model::DaemonSetId, row: &crate::cluster::DaemonSet) -> DaemonSetView {
    let (name, template) = (row.spec.name, &row.spec.template);
    let mut spec = (*template.spec).clone();
    spec.node_affinity.required.clone_from(&row.spec.affinity.required);
    let is_critical = spec.priority == NODE_CRITICAL && !spec.preempts_never;
    let info = PodInfo::plain(name.namespace, template.labels.clone(), Arc::new(spec));
    DaemonSetView { uid: daemon_number(id), info: Arc::new(info), is_critical }
}

fn kind_of(row: &TemplateRow, own: &Arc<PodSpec>, catalog: &Catalog, names: &Interner) -> Kind {
    let template = &row.template;
    let namespace = template.workload.name.namespace;
    let is_known = |volume: &PodVolume| match volume {
        PodVolume::Claim(name) => {
            catalog.storage.claim(crate::model::ObjectName { namespace, name: *name }).is_some()
        }
        PodVolume::Templated { .. } | PodVolume::Ephemeral { .. } => false,
        PodVolume::Disk(_) | PodVolume::Csi(_) => true,
    };
    let spec = match own.volumes.iter().all(is_known) {
        true => Arc::clone(own),
        false => {
            let mut spec = (**own).clone();
            spec.volumes.retain(is_known);
            Arc::new(spec)
        }
    };
    let info = Arc::new(PodInfo::plain(namespace, row.labels.clone(), spec));
    let is_system = names.resolve(namespace) == "kube-system";
    let traits = traits(&template.source, template.spec.grace, is_system);
    Kind { spec: Arc::clone(own), info, traits }
}

/// What the manifest of a pod says of its being moved (rules A129, A171, A175).
fn traits(source: &Value, grace: Duration, is_system: bool) -> PodTraits {
    let annotations = &source["metadata"]["annotations"];
    let annotation = |key: &str| annotations[key].as_str();
    let own = |key: &str| annotations[format!("{PREFIX}/{key}").as_str()].as_str();
    let let_go = own("safe-to-evict-local-volumes").unwrap_or_default();
    let is_local = |volume: &Value| {
        let is_disk = volume["emptyDir"].is_object() && volume["emptyDir"]["medium"] != "Memory";
        let is_kept = !let_go.split(',').any(|name| volume["name"] == name);
        (volume["hostPath"].is_object() || is_disk) && is_kept
    };
    let delay = own("pod-scale-up-delay").or_else(|| annotation("pod-scale-up-delay"));
    let delay = delay.and_then(|text| parse_go_duration(text).ok());
    PodTraits {
        is_mirror: annotation("kubernetes.io/config.mirror").is_some(),
        is_static: annotation("kubernetes.io/config.source").is_some_and(|from| from == "file"),
        deletion: None,
        grace,
        safe_to_evict: match own("safe-to-evict") {
            Some("true") => SafeToEvict::Yes,
            Some("false") => SafeToEvict::No,
            Some("on-completion") => SafeToEvict::OnCompletion,
            _ => SafeToEvict::Unsaid,
        },
        has_local_storage: source["spec"]["volumes"]
            .as_array()
            .is_some_and(|volumes| volumes.iter().any(is_local)),
        scale_up_delay: delay.and_then(|nanos| u64::try_from(nanos).ok()).map(Duration::ns),
        is_system,
        is_finished: false,
    }
}
