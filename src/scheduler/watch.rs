//! What the scheduler's watch tells, and what of the cluster its core is told then.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{IdVec, Interner, LookupSet, Symbol};
use crate::cluster::{Change, Cluster, Disruption, NodeChange, ObjectChange, Pod};
use crate::model::{
    BudgetId, DisruptionBudget, Labels, NodeId, NodeOrder, ObjectKey, ObjectName, OwnerRef, PodRef,
    PodSpec, PodVolume, Selector, ServiceId, TemplateId, WorkloadKind,
};
use crate::placement::plugins::volumes::controller;
use crate::placement::{ClassId, Owner, OwnerKind, PodIdentity, PodInfo};
use crate::record::PodName;
use crate::sim::{Ctx, Streams};

use super::core::{Core, PodFacts};
use super::tell;

/// What the watch tells.
#[derive(Clone, Copy, Debug)]
pub(super) enum Notice {
    /// A pod is new.
    Added(PodRef),
    /// A pod has a node.
    Bound(PodRef, NodeId),
    /// Something else of a pod changed.
    Updated(PodRef),
    /// A pod asks for other amounts, or takes others of its node.
    Resized(PodRef),
    /// A pod has ended or is gone.
    Freed(PodRef),
    /// A node is new, declares something else or is gone.
    Node(NodeId),
    /// A Service is new, changed or gone.
    Service(ServiceId),
    /// A ReplicaSet or StatefulSet is new or gone.
    Owner(OwnerRef),
    /// A claim of a StatefulSet's pod is gone.
    ClaimGone(ObjectName),
    /// A PodDisruptionBudget is new, changed or gone.
    Budget(BudgetId),
}

impl Notice {
    /// What of a change the watch tells.
    pub(super) const fn of(change: &Change) -> Option<Self> {
        match change {
            Change::PodAdded { pod, .. } => Some(Self::Added(*pod)),
            Change::PodBound { pod, node, .. } => Some(Self::Bound(*pod, *node)),
            Change::PodResized { pod, .. } => Some(Self::Resized(*pod)),
            Change::PodStatus { pod, what, .. } if what.ended => Some(Self::Freed(*pod)),
            Change::PodStatus { pod, what, .. } if what.phase => Some(Self::Updated(*pod)),
            Change::PodRemoved { pod, .. } => Some(Self::Freed(*pod)),
            Change::PodDeleting { pod, .. } | Change::PodNominated { pod } => {
                Some(Self::Updated(*pod))
            }
            Change::Node {
                node,
                what:
                    NodeChange::Added
                    | NodeChange::Cordoned
                    | NodeChange::Uncordoned
                    | NodeChange::Labels
                    | NodeChange::Offer
                    | NodeChange::Taints
                    | NodeChange::Removed,
            } => Some(Self::Node(*node)),
            Change::Claim { name, what: ObjectChange::Removed } => Some(Self::ClaimGone(*name)),
            Change::Service {
                service,
                what: ObjectChange::Added | ObjectChange::Spec | ObjectChange::Removed,
            } => Some(Self::Service(*service)),
            Change::ReplicaSet {
                replica_set,
                what: ObjectChange::Added | ObjectChange::Removed,
                ..
            } => Some(Self::Owner(OwnerRef::ReplicaSet(*replica_set))),
            Change::Object {
                key: ObjectKey::StatefulSet(set),
                what: ObjectChange::Added | ObjectChange::Removed,
            } => Some(Self::Owner(OwnerRef::StatefulSet(*set))),
            Change::Object { key: ObjectKey::Budget(budget), .. } => Some(Self::Budget(*budget)),
            Change::PodStatus { .. }
            | Change::PodMeta { .. }
            | Change::PodConditions { .. }
            | Change::PodRefused { .. }
            | Change::Object { .. }
            | Change::Garbage
            | Change::Claim { .. }
            | Change::Disk { .. }
            | Change::Tree { .. }
            | Change::Serving { .. }
            | Change::Plight { .. }
            | Change::ServerIdle { .. }
            | Change::Load { .. }
            | Change::Served { .. }
            | Change::OomKill { .. }
            | Change::ReplicaSet { .. }
            | Change::Deployment { .. }
            | Change::Hpa { .. }
            | Change::Service { .. }
            | Change::Endpoints { .. }
            | Change::Cloud(_)
            | Change::PodUnplaced { .. }
            | Change::Node { .. } => None,
        }
    }
}

/// What all pods of a template and an owner share.
#[derive(Clone, Debug)]
struct Kind {
    spec: Arc<PodSpec>,
    owner: Option<OwnerRef>,
    info: Arc<PodInfo>,
    class: ClassId,
}

/// What is known of the cluster beside the core.
#[derive(Debug, Default)]
pub(super) struct Watch {
    kinds: IdVec<TemplateId, Option<Kind>>,
    services: BTreeMap<ServiceId, ObjectName>,
    budgets: BTreeMap<BudgetId, ObjectName>,
    owners: BTreeMap<OwnerRef, (Symbol, Owner)>,
    strangers: LookupSet<Symbol>,
    /// The one priority of all pods so far; then those that are of several.
    priorities: Priorities,
}

/// Whether pods differ in priority: only then does it matter when they started (rule S178).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Priorities {
    #[default]
    None,
    One(i32),
    Several,
}

/// Class and description of a pod: those of its kind, unless it has generic ephemeral volumes,
/// whose claims are its own.
fn of_pod(kind: &Kind, row: &Pod, core: &mut Core, cluster: &Cluster) -> (ClassId, Arc<PodInfo>) {
    let is_own = |volume: &PodVolume| {
        matches!(volume, PodVolume::Ephemeral { .. } | PodVolume::Templated { .. })
    };
    let names = cluster.names();
    if !kind.spec.volumes.iter().any(is_own) {
        return (kind.class, Arc::clone(&kind.info));
    }
    let name = names.get(&row.name.text(names)).expect("interned when the pod was created");
    let identity = Some(PodIdentity { name, uid: name });
    let spec = with_own_claims(&kind.spec, row, core, names);
    let info = Arc::new(PodInfo { identity, spec, ..(*kind.info).clone() });
    (core.placer_mut().class(&info, names), info)
}

/// Namespace, name and selector of an owner that default spreading knows (rule S104).
fn owner_of(of: OwnerRef, cluster: &Cluster) -> Option<(Symbol, Owner, &Selector)> {
    let (kind, name, selector) = match of {
        OwnerRef::ReplicaSet(set) => {
            let row = cluster.replica_sets().get(set)?;
            let workload = cluster.templates()[row.template].template.workload.kind;
            let kind = match workload {
                WorkloadKind::ReplicationController => OwnerKind::ReplicationController,
                _ => OwnerKind::ReplicaSet,
            };
            (kind, row.name, &row.selector)
        }
        OwnerRef::StatefulSet(set) => {
            let spec = &cluster.stateful_sets().get(set)?.spec;
            (OwnerKind::StatefulSet, spec.name, &spec.selector)
        }
        OwnerRef::DaemonSet(_) | OwnerRef::Job(_) => return None,
    };
    Some((name.namespace, Owner { kind, name: name.name }, selector))
}

/// The specification of a StatefulSet's pod: its claim templates are claims of its own, which are
/// in the catalogue from now on.
fn with_own_claims(
    spec: &Arc<PodSpec>,
    row: &Pod,
    core: &mut Core,
    names: &Interner,
) -> Arc<PodSpec> {
    let is_template = |volume: &PodVolume| matches!(volume, PodVolume::Templated { .. });
    if !spec.volumes.iter().any(is_template) {
        return Arc::clone(spec);
    }
    let mut own = (**spec).clone();
    let pod = row.name.text(names);
    let storage = &mut core.placer_mut().catalog_mut().storage;
    for volume in &mut own.volumes {
        let PodVolume::Templated { template, claim } = volume else { continue };
        let text = format!("{}-{pod}", names.resolve(*template));
        let name = names.get(&text).expect("interned when the pod was created");
        controller::make_claim(
            ObjectName { namespace: row.namespace, name },
            claim,
            storage,
            names,
        );
        *volume = PodVolume::Claim(name);
    }
    Arc::new(own)
}

impl Watch {
    /// What is there when the scheduler starts, and the waiting pods in the order in which it
    /// finds them if that is left to chance (rules S12, S12a).
    pub(super) fn start(&mut self, core: &mut Core, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let (names, model) = (cluster.names(), cluster.model());
        for (budget, _) in cluster.budgets().iter() {
            self.learn_budget(budget, core, cluster);
        }
        let catalog = core.placer_mut().catalog_mut();
        if let Some(key) = names.get("kubernetes.io/metadata.name") {
            for template in model.templates() {
                let name = template.workload.name.namespace;
                catalog.namespaces.insert(name, Labels::new([(key, name)]));
            }
        }
        for namespace in &model.namespaces {
            catalog.namespaces.insert(namespace.name, namespace.labels.clone());
        }
        for service in cluster.service_ids() {
            self.learn_service(service, core, cluster);
        }
        for (id, _) in cluster.replica_sets().iter() {
            let set = OwnerRef::ReplicaSet(cluster.replica_sets().refer(id));
            self.learn_owner(set, core, cluster);
        }
        for (id, _) in cluster.stateful_sets().iter() {
            self.learn_owner(OwnerRef::StatefulSet(id), core, cluster);
        }
        if model.node_order == NodeOrder::Seeded {
            for pod in pods_by_chance(cluster, ctx.streams) {
                self.learn(Notice::Added(pod), core, cluster, ctx);
            }
        }
    }

    /// Whether a notice says anything that is read: when a pod started is read only where pods
    /// differ in priority.
    pub(super) fn wants(&self, notice: Notice, cluster: &Cluster) -> bool {
        let Notice::Updated(pod) = notice else { return true };
        self.priorities == Priorities::Several
            || cluster.pod(pod).is_some_and(|row| row.deletion.is_some())
    }

    /// Takes over what the watch tells.
    pub(super) fn learn(
        &mut self,
        notice: Notice,
        core: &mut Core,
        cluster: &Cluster,
        ctx: &mut Ctx<'_>,
    ) {
        let (names, now) = (cluster.names(), ctx.now());
        match notice {
            Notice::Added(pod) => self.add(pod, core, cluster, ctx),
            Notice::Bound(pod, node) if core.confirm_assumed(pod, node, names, now) => {}
            Notice::Bound(pod, node) => {
                let Some(row) = cluster.pod(pod) else { return };
                let facts = self.facts_of(row, core, cluster);
                core.update_pod(pod, PodFacts { node: Some(node), ..facts }, names, now);
            }
            Notice::Updated(pod) | Notice::Resized(pod) => {
                let Some(row) = cluster.pod(pod).filter(|_| core.knows(pod)) else { return };
                let facts = self.facts_of(row, core, cluster);
                core.update_pod(pod, facts, names, now);
            }
            Notice::Freed(pod) => {
                let info = core.info_of(pod).filter(|info| info.identity.is_some()).cloned();
                core.delete_pod(pod, names, now);
                if let Some(info) = info {
                    let storage = &mut core.placer_mut().catalog_mut().storage;
                    controller::remove_claims(&info, storage, names);
                }
            }
            Notice::Node(node) if cluster.nodes()[node].is_gone => {
                core.delete_node(node, names, now);
            }
            Notice::Node(node) => {
                core.update_node(node, &cluster.nodes()[node].spec, names, now);
            }
            Notice::Service(service) => self.learn_service(service, core, cluster),
            Notice::ClaimGone(claim) => {
                controller::remove_claim(claim, &mut core.placer_mut().catalog_mut().storage);
            }
            Notice::Owner(owner) => self.learn_owner(owner, core, cluster),
            Notice::Budget(budget) => self.learn_budget(budget, core, cluster),
        }
    }

    /// A new pod without a node waits to be placed, unless it is not for this scheduler.
    fn add(&mut self, pod: PodRef, core: &mut Core, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let Some(row) = cluster.pod(pod) else { return };
        if row.node.is_some() || core.knows(pod) {
            return;
        }
        let facts = self.facts_of(row, core, cluster);
        let spec = &facts.info.spec;
        if spec.node_name.is_some() {
            return;
        }
        let who = spec.scheduler_name;
        let profile = core.profile_of(who, cluster.names());
        if profile.is_none() {
            return self.warn_of_stranger(who, row, cluster, ctx);
        }
        if facts.info.identity.is_some() {
            let storage = &mut core.placer_mut().catalog_mut().storage;
            controller::make_claims(&facts.info, storage, cluster.names());
        }
        core.add_pod_of(profile, pod, facts, cluster.names(), ctx.now());
    }

    /// Says once of each other scheduler that its pods will wait for ever.
    fn warn_of_stranger(&mut self, who: Symbol, pod: &Pod, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        if self.strangers.insert(who) {
            let who = cluster.names().resolve(who);
            let message = format!("no scheduler is called {who}: its pods are never placed");
            tell::tell((true, "UnknownScheduler"), pod, message, ctx);
        }
    }

    fn facts_of(&mut self, row: &Pod, core: &mut Core, cluster: &Cluster) -> PodFacts {
        let template = cluster.template_of(row);
        let spec = cluster.held(row);
        let slot = self.kinds.grow_to(row.template);
        let is_known = |kind: &Kind| Arc::ptr_eq(&kind.spec, spec) && kind.owner == row.owner;
        if !slot.as_ref().is_some_and(is_known) {
            let owner = row.owner.and_then(|owner| owner_of(owner, cluster));
            let owner = owner.map(|(_, owner, _)| owner);
            let labels = template.labels.clone();
            let info = PodInfo::plain(row.namespace, labels, Arc::clone(spec));
            let info = Arc::new(PodInfo { owner, ..info });
            let class = core.placer_mut().class(&info, cluster.names());
            *slot = Some(Kind { spec: Arc::clone(spec), owner: row.owner, info, class });
            self.note_priority(spec.priority, core, cluster);
        }
        let kind = self.kinds[row.template].as_ref().expect("set above");
        let (class, info) = of_pod(kind, row, core, cluster);
        PodFacts {
            nominated: row.nominated,
            pinned: row.pinned.map(|node| cluster.nodes()[node].spec.name),
            start: row.status.start_time,
            is_terminating: row.deletion.is_some(),
            is_preempted: row.disruption == Some(Disruption::PreemptionByScheduler),
            name: match row.name {
                PodName::Fixed(name) => Some(name),
                PodName::Generated { .. } | PodName::Indexed { .. } | PodName::Numbered { .. } => {
                    None
                }
            },
            ..PodFacts::new(class, info)
        }
    }

    /// From the second priority on it matters when pods started.
    fn note_priority(&mut self, priority: i32, core: &mut Core, cluster: &Cluster) {
        self.priorities = match self.priorities {
            Priorities::None => Priorities::One(priority),
            Priorities::One(known) if known != priority => {
                let started = cluster.pods().iter().map(|(id, row)| (id, row.status.start_time));
                for (id, start) in started {
                    core.set_start(cluster.pods().refer(id), start);
                }
                Priorities::Several
            }
            same => same,
        };
    }

    fn learn_service(&mut self, id: ServiceId, core: &mut Core, cluster: &Cluster) {
        let services = &mut core.placer_mut().catalog_mut().services;
        if let Some(known) = self.services.remove(&id) {
            services.remove(&known);
        }
        let Some(row) = cluster.service(id) else { return };
        if let Some(selector) = &row.spec.selector {
            services.insert(row.spec.name, selector.clone());
            self.services.insert(id, row.spec.name);
        }
    }

    /// Preemption reads the status as it is now (rule S179). Pods with generated names are left
    /// out of `disruptedPods`: their deletion is set at the instant of the eviction.
    fn learn_budget(&mut self, id: BudgetId, core: &mut Core, cluster: &Cluster) {
        let budgets = &mut core.placer_mut().catalog_mut().budgets;
        let row = cluster.budgets().get(id);
        let known = row.map(|row| row.spec.name).or_else(|| self.budgets.remove(&id));
        let place = known.and_then(|name| budgets.iter().position(|b| b.name == name));
        let live = row.map(|row| {
            self.budgets.insert(id, row.spec.name);
            let symbol = |name: PodName| cluster.names().get(&name.text(cluster.names()));
            let names = row.status.disrupted.iter().filter_map(|(name, _)| symbol(*name));
            let (allowed, disrupted) = (row.status.allowed, names.collect());
            DisruptionBudget { allowed, disrupted, ..DisruptionBudget::clone(&row.spec) }
        });
        match (place, live) {
            (Some(place), Some(live)) => budgets[place] = live,
            (Some(place), None) => drop(budgets.remove(place)),
            (None, live) => budgets.extend(live),
        }
    }

    fn learn_owner(&mut self, of: OwnerRef, core: &mut Core, cluster: &Cluster) {
        let owners = &mut core.placer_mut().catalog_mut().owners;
        if let Some(known) = self.owners.remove(&of) {
            owners.remove(&known);
        }
        if let Some((namespace, owner, selector)) = owner_of(of, cluster) {
            owners.insert((namespace, owner), selector.clone());
            self.owners.insert(of, (namespace, owner));
        }
    }
}

/// The pods that wait at the start, shuffled: from 1.35 on a scheduler finds them in no order.
fn pods_by_chance(cluster: &Cluster, streams: &Streams) -> Vec<PodRef> {
    use rand::seq::SliceRandom;
    let names = cluster.names();
    let waiting = cluster.pods().iter().filter(|(_, row)| row.node.is_none());
    let mut pods: Vec<_> = waiting.map(|(id, _)| cluster.pods().refer(id)).collect();
    pods.sort_by_cached_key(|pod| {
        cluster.pod(*pod).map(|row| (names.resolve(row.namespace).to_owned(), row.name.text(names)))
    });
    pods.shuffle(&mut streams.open("scheduler-pod-order", ""));
    pods
}
