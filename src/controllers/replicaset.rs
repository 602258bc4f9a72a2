//! ReplicaSet: as many pods as asked for; a ReplicationController is one too.
//!
//! Terminal pods and those being deleted do not count: they are replaced at once and, if terminal,
//! left where they are (rule C67). Pods are made and deleted up to 500 a look.
//!
//! Expectations (rule C19) are the engine's: a key whose own writes are under way is not looked at.
//!
//! Source: kubernetes v1.36.3 pkg/controller/replicaset/replica_set.go `syncReplicaSet`,
//! `manageReplicas` (rules C66 to C79). Differs: `restarts` in the order of deletion is the sum
//! over a pod's containers, and only a set's own pods count for ranks.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::base::{Duration, SimTime};
use crate::cluster::{
    Change, Cluster, Controller, NewPod, ObjectChange, Plan, Pod, ReplicaFailure, ReplicaSet,
    ReplicaSetStatus, Requeue, Write,
};
use crate::model::{
    Model, ObjectKey, OwnerRef, PodId, PodRef, ReplicaSetId, ReplicaSetRef, Template, WorkloadKind,
};
use crate::record::{About, EventRecord};
use crate::sim::{Ctx, Streams};

use super::deletion_order::{Candidate, RankTable, first_to_go};
use super::pod_names::PodNames;

/// Pods that one look makes or deletes at most.
const BURST: usize = 500;

/// The ReplicaSet controller.
#[derive(Debug)]
pub struct ReplicaSetController {
    names: PodNames<ReplicaSetId>,
    /// In which order pods are listed; `None`: as they were created.
    order: Option<ChaCha8Rng>,
}

impl ReplicaSetController {
    /// For a run of this model.
    #[must_use]
    pub fn new(_model: &Model, streams: &Streams) -> Self {
        Self { names: PodNames::new("pod-names", streams), order: None }
    }

    /// Lists pods in an order that is drawn, as the original does whose list comes from a hash map:
    /// where the order of deletion is a ring, it decides (see [`first_to_go`]).
    #[must_use]
    pub fn with_drawn_order(mut self, streams: &Streams) -> Self {
        self.order = Some(streams.open("pod-order", "replicaset-controller"));
        self
    }
}

impl Controller for ReplicaSetController {
    fn name(&self) -> &'static str {
        "replicaset-controller"
    }

    /// Source: kubernetes v1.36.3 pkg/controller/replicaset/replica_set.go `addPod`, `updatePod`,
    /// `deletePod`, `updateRS` (rule C68). Differs: what nothing can follow from wakes nobody, such
    /// as a pod's binding; but each of these lets a set try again that could not create a pod.
    fn wakes(&self, change: &Change, cluster: &Cluster, out: &mut Vec<ObjectKey>) {
        let sets = cluster.replica_sets();
        let has_failed =
            |set: &ReplicaSetRef| sets.get(*set).is_some_and(|set| set.status.failure.is_some());
        let of = |owner: &Option<OwnerRef>| owner.and_then(OwnerRef::replica_set);
        let whose = match change {
            Change::ReplicaSet { replica_set, what, .. } => match what {
                ObjectChange::Added | ObjectChange::Spec => Some(*replica_set),
                ObjectChange::Status => Some(*replica_set).filter(has_failed),
                _ => None,
            },
            Change::PodStatus { owner, what, .. } if what.ready || what.phase => of(owner),
            Change::PodBound { owner, .. } | Change::PodStatus { owner, .. } => {
                of(owner).filter(has_failed)
            }
            Change::PodMeta { pod, owner } => {
                meta_wakes(*pod, *owner, cluster, out);
                None
            }
            Change::PodAdded { pod, owner: None } => {
                adopters(*pod, cluster, out);
                None
            }
            Change::PodAdded { owner, .. }
            | Change::PodRefused { owner }
            | Change::PodDeleting { owner, .. }
            | Change::PodRemoved { owner, .. } => of(owner),
            _ => None,
        };
        if let Some(whose) = whose.filter(|whose| sets.contains(*whose)) {
            out.push(ObjectKey::ReplicaSet(whose.id));
        }
    }

    /// A pod that has become ready is available after `minReadySeconds` (rule C68): this is what
    /// tells a set whose looks fail.
    fn wakes_later(
        &self,
        change: &Change,
        cluster: &Cluster,
        out: &mut Vec<(ObjectKey, Duration)>,
    ) {
        let Change::PodStatus { pod, owner: Some(OwnerRef::ReplicaSet(owner)), what, .. } = change
        else {
            return;
        };
        let is_ready = || cluster.pod(*pod).is_some_and(|pod| pod.status.ready);
        let set = cluster.replica_sets().get(*owner).filter(|set| !set.min_ready.is_zero());
        if let Some(set) = set.filter(|_| what.ready && is_ready()) {
            out.push((ObjectKey::ReplicaSet(owner.id), set.min_ready));
        }
    }

    /// Source: kubernetes v1.36.3 pkg/controller/replicaset/replica_set.go `syncReplicaSet`
    /// (rule C66). While the set is being deleted only its status is kept up (rule C194); what is
    /// refused because the namespace ends counts as made, and is silent (rule C70).
    fn reconcile(
        &mut self,
        key: ObjectKey,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> Requeue {
        let ObjectKey::ReplicaSet(id) = key else {
            return Requeue::Never;
        };
        let Some(set) = cluster.replica_sets().at(id) else {
            return Requeue::Never;
        };
        let at = cluster.replica_sets().refer(id);
        let claimed = claim(at, set, cluster, plan);
        let (mut status, next) = status(set, &claimed, cluster, ctx.now());
        let (active, wanted) = (status.replicas as usize, set.replicas as usize);
        let is_ending = cluster.namespace_deleted(set.name.namespace).is_some();
        if set.is_deleting || (is_ending && active < wanted) {
            status.failure = None;
        } else if active < wanted {
            status.failure = self.create(at, (wanted - active).min(BURST), cluster, plan, ctx);
        } else if active > wanted {
            self.delete(at, (&claimed, active - wanted), cluster, plan, ctx);
        }
        if status != set.status {
            plan.push(Write::ReplicaSetStatus { replica_set: at, status });
        }
        match status.failure {
            Some(_) => Requeue::Failed,
            None => next.map_or(Requeue::Never, Requeue::After),
        }
    }
}

/// A pod's labels or owner changed: its owners before and now look, and who might adopt it.
fn meta_wakes(pod: PodRef, before: Option<OwnerRef>, cluster: &Cluster, out: &mut Vec<ObjectKey>) {
    let now = cluster.pod(pod).and_then(|row| row.owner);
    for set in [before, now].into_iter().flatten().filter_map(OwnerRef::replica_set) {
        if cluster.replica_sets().contains(set) {
            out.push(ObjectKey::ReplicaSet(set.id));
        }
    }
    if now.is_none() {
        adopters(pod, cluster, out);
    }
}

/// The ReplicaSets that select a pod without owner.
fn adopters(pod: PodRef, cluster: &Cluster, out: &mut Vec<ObjectKey>) {
    if let Some(row) = cluster.pod(pod) {
        let from = out.len();
        cluster.owners_selecting(row.namespace, &cluster.template_of(row).labels, out);
        let mut others = out.split_off(from);
        others.retain(|key| matches!(key, ObjectKey::ReplicaSet(_)));
        out.append(&mut others);
    }
}

/// The pods that count as the set's own: of those that it owns the selected ones (an active one
/// that is not is released), and those without owner that it selects and so adopts.
///
/// Source: kubernetes v1.36.3 pkg/controller/controller_ref_manager.go `ClaimPods` (rule C8).
fn claim(at: ReplicaSetRef, set: &ReplicaSet, cluster: &Cluster, plan: &mut Plan) -> Vec<PodId> {
    let pods = cluster.pods();
    let is_own = |pod: &Pod| {
        pod.template == set.template
            || set.selector.matches(&cluster.template_of(pod).labels, cluster.names())
    };
    let mut claimed = Vec::with_capacity(set.pods.len());
    for id in &set.pods {
        if is_own(&pods[*id]) {
            claimed.push(*id);
        } else if pods[*id].is_active() && !set.is_deleting {
            plan.push(Write::PodOwner { pod: pods.refer(*id), owner: None });
        }
    }
    if !set.is_deleting {
        let orphans = cluster.orphans(set.name.namespace, &set.selector).into_iter();
        for id in orphans.filter(|id| pods[*id].is_active()) {
            let owner = Some(OwnerRef::ReplicaSet(at));
            plan.push(Write::PodOwner { pod: pods.refer(id), owner });
            claimed.push(id);
        }
    }
    claimed
}

/// The status of the pods as they are, before anything is made or deleted; and how long until the
/// next ready pod becomes available.
///
/// Source: kubernetes v1.36.3 pkg/controller/replicaset/replica_set_utils.go `calculateStatus`,
/// pkg/controller/controller_utils.go `FindMinNextPodAvailabilityCheck` (rules C76, C77).
fn status(
    set: &ReplicaSet,
    claimed: &[PodId],
    cluster: &Cluster,
    now: SimTime,
) -> (ReplicaSetStatus, Option<Duration>) {
    let mut status =
        ReplicaSetStatus { observed_generation: set.generation, ..ReplicaSetStatus::default() };
    let mut next: Option<Duration> = None;
    let template_labels = &cluster.templates()[set.template].labels;
    for pod in claimed {
        let pod = &cluster.pods()[*pod];
        if pod.is_terminal() {
            continue;
        }
        if pod.deletion.is_some() {
            status.terminating += 1;
            continue;
        }
        status.replicas += 1;
        let labels = &cluster.template_of(pod).labels;
        let is_labeled = pod.template == set.template || labels.has_all(template_labels);
        status.fully_labeled += u32::from(is_labeled);
        status.ready += u32::from(pod.status.ready);
        if pod.is_available(set.min_ready, now) {
            status.available += 1;
        } else if pod.status.ready {
            let left = (pod.ready_since() + set.min_ready).saturating_since(now);
            next = Some(next.map_or(left, |next| next.min(left)));
        }
    }
    (status, next)
}

impl ReplicaSetController {
    /// Makes pods in batches of 1, 2, 4 and so on: the batch in which one is refused is the last,
    /// and the look has failed then.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/replicaset/replica_set.go `manageReplicas`,
    /// pkg/controller/controller_utils.go `slowStartBatch` (rules C69, C78, C79).
    fn create(
        &mut self,
        at: ReplicaSetRef,
        count: usize,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> Option<ReplicaFailure> {
        let (mut left, mut batch) = (count, 1);
        while left > 0 {
            let size = batch.min(left);
            let made = (0..size).filter(|_| self.create_one(at, cluster, plan, ctx)).count();
            if made < size {
                return Some(ReplicaFailure::FailedCreate);
            }
            (left, batch) = (left - size, batch * 2);
        }
        None
    }

    /// Makes a pod; false if it is refused.
    fn create_one(
        &mut self,
        at: ReplicaSetRef,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> bool {
        let set = &cluster.replica_sets()[at.id];
        let template = &cluster.templates()[set.template].template;
        let name = self.names.next(at, set.name, cluster.names());
        let new = NewPod {
            owner: Some(OwnerRef::ReplicaSet(at)),
            revision: set.revision,
            lifetime: template.spec.lifetime,
            ..NewPod::new(set.name.namespace, name, set.template, template.workload.kind)
        };
        let made = plan.create_pod(new, cluster);
        if ctx.recorder.wants_events() {
            let (reason, message) = match &made {
                Ok(()) => {
                    ("SuccessfulCreate", format!("Created pod: {}", name.text(cluster.names())))
                }
                Err(refusal) => ("FailedCreate", format!("Error creating: {}", refusal.message)),
            };
            tell((set, template), reason, message, ctx);
        }
        made.is_ok()
    }

    /// Deletes so many of the claimed pods, at most [`BURST`]. If all go, no order is made (rule C71).
    fn delete(
        &mut self,
        at: ReplicaSetRef,
        (claimed, excess): (&[PodId], usize),
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) {
        let set = &cluster.replica_sets()[at.id];
        let template = &cluster.templates()[set.template].template;
        let pods = cluster.pods();
        let active = claimed.iter().copied().filter(|pod| pods[*pod].is_active());
        let goes: Vec<PodId> = if set.replicas == 0 {
            active.collect()
        } else {
            let ranks = ranks(set, cluster);
            let mut order: Vec<Candidate> =
                active.map(|pod| candidate(pod, &pods[pod], &ranks)).collect();
            if let Some(rng) = &mut self.order {
                order.shuffle(rng);
            }
            first_to_go(&mut order, ctx.now());
            order.iter().map(|candidate| candidate.pod).collect()
        };
        for pod in goes.into_iter().take(excess.min(BURST)) {
            plan.push(Write::DeletePod { pod: pods.refer(pod), grace: None });
            if ctx.recorder.wants_events() {
                let message = format!("Deleted pod: {}", pods[pod].name.text(cluster.names()));
                tell((set, template), "SuccessfulDelete", message, ctx);
            }
        }
    }
}

fn candidate(id: PodId, pod: &Pod, ranks: &RankTable) -> Candidate {
    Candidate {
        pod: id,
        has_node: pod.node.is_some(),
        phase: pod.status.phase,
        ready_since: pod.status.ready.then(|| pod.ready_since()),
        cost: pod.deletion_cost,
        rank: ranks.rank(pod.node),
        restarts: pod.status.restarts,
        created: pod.created.floor_secs(),
        uid: pod.uid,
    }
}

/// How many active pods of all ReplicaSets of the same owner stand on each node; nothing for a
/// ReplicaSet without owner.
///
/// Source: kubernetes v1.36.3 pkg/controller/replicaset/replica_set.go
/// `getPodsRankedByRelatedPodsOnSameNode`, `getReplicaSetsWithSameController` (rule C75).
fn ranks(set: &ReplicaSet, cluster: &Cluster) -> RankTable {
    let rows = cluster.replica_sets();
    let owner = set.owner.and_then(|owner| cluster.deployment(owner));
    let related: Vec<&ReplicaSet> = match (owner, set.foreign_owner) {
        (Some(owner), _) => owner.replica_sets.iter().map(|id| &rows[*id]).collect(),
        (None, Some(foreign)) => {
            let is_kin = |row: &&ReplicaSet| {
                row.name.namespace == set.name.namespace
                    && row.foreign_owner.is_some_and(|other| other.uid == foreign.uid)
            };
            rows.iter().map(|(_, row)| row).filter(is_kin).collect()
        }
        (None, None) => return RankTable::default(),
    };
    let pods = related.iter().flat_map(|set| &set.pods).map(|pod| &cluster.pods()[*pod]);
    RankTable::of(pods.filter(|pod| pod.is_active()).map(|pod| pod.node).collect())
}

fn tell(
    (set, template): (&ReplicaSet, &Template),
    reason: &'static str,
    message: String,
    ctx: &mut Ctx<'_>,
) {
    let at = ctx.now();
    let kind = match template.workload.kind {
        WorkloadKind::ReplicationController => "ReplicationController",
        _ => "ReplicaSet",
    };
    ctx.recorder.event(EventRecord {
        at,
        is_warning: reason == "FailedCreate",
        reason,
        about: About::Object(kind, set.name),
        message,
    });
}
