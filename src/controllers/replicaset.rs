//! ReplicaSet: as many pods as asked for.
//!
//! Terminal pods and those being deleted do not count: they are replaced at once and, if terminal,
//! left where they are (rule C67). Pods are made and deleted up to 500 a look; the growing batches
//! of the original (rule C69) cannot be seen while no creation fails.
//!
//! Expectations (rule C19) are the engine's: a key whose own writes are under way is not looked at.
//!
//! Source: kubernetes v1.36.3 pkg/controller/replicaset/replica_set.go `syncReplicaSet`,
//! `manageReplicas` (rules C66 to C79). Differs: nothing is adopted or released, creations never
//! fail, and `restarts` in the order of deletion is the sum over a pod's containers.

use crate::base::{Duration, SimTime};
use crate::cluster::{
    Change, Cluster, Controller, NewPod, ObjectChange, Plan, Pod, ReplicaSet, ReplicaSetStatus,
    Requeue, Write,
};
use crate::model::{Model, ObjectKey, OwnerRef, PodId, ReplicaSetId, ReplicaSetRef};
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
}

impl ReplicaSetController {
    /// For a run of this model.
    #[must_use]
    pub fn new(_model: &Model, streams: &Streams) -> Self {
        Self { names: PodNames::new("pod-names", streams) }
    }
}

impl Controller for ReplicaSetController {
    fn name(&self) -> &'static str {
        "replicaset-controller"
    }

    /// Source: kubernetes v1.36.3 pkg/controller/replicaset/replica_set.go `addPod`, `updatePod`,
    /// `deletePod` (rule C68). Differs: a pod's binding and IP wake nobody: nothing follows.
    fn wakes(&self, change: &Change, cluster: &Cluster, out: &mut Vec<ObjectKey>) {
        let whose = match change {
            Change::ReplicaSet {
                replica_set,
                what: ObjectChange::Added | ObjectChange::Spec,
                ..
            } => Some(*replica_set),
            Change::PodStatus { owner, what, .. } if what.ready || what.phase => {
                owner.and_then(OwnerRef::replica_set)
            }
            Change::PodAdded { owner, .. }
            | Change::PodDeleting { owner, .. }
            | Change::PodRemoved { owner, .. } => owner.and_then(OwnerRef::replica_set),
            _ => None,
        };
        if let Some(whose) = whose.filter(|whose| cluster.replica_sets().contains(*whose)) {
            out.push(ObjectKey::ReplicaSet(whose.id));
        }
    }

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
        let (status, next) = status(set, cluster, ctx.now());
        let (active, wanted) = (status.replicas as usize, set.replicas as usize);
        if active < wanted {
            self.create(at, (wanted - active).min(BURST), cluster, plan, ctx);
        } else if active > wanted {
            delete(at, active - wanted, cluster, plan, ctx);
        }
        if status != set.status {
            plan.push(Write::ReplicaSetStatus { replica_set: at, status });
        }
        next.map_or(Requeue::Never, Requeue::After)
    }
}

/// The status of the pods as they are, before anything is made or deleted; and how long until the
/// next ready pod becomes available.
///
/// Source: kubernetes v1.36.3 pkg/controller/replicaset/replica_set_utils.go `calculateStatus`,
/// pkg/controller/controller_utils.go `FindMinNextPodAvailabilityCheck` (rules C76, C77).
fn status(
    set: &ReplicaSet,
    cluster: &Cluster,
    now: SimTime,
) -> (ReplicaSetStatus, Option<Duration>) {
    let mut status = ReplicaSetStatus::default();
    let mut next: Option<Duration> = None;
    let template_labels = &cluster.templates()[set.template].labels;
    for pod in &set.pods {
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
    fn create(
        &mut self,
        at: ReplicaSetRef,
        count: usize,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) {
        let set = &cluster.replica_sets()[at.id];
        let template = &cluster.templates()[set.template].template;
        for _ in 0..count {
            let name = self.names.next(at, set.name, cluster.names());
            let namespace = set.name.namespace;
            plan.push(Write::CreatePod(NewPod {
                owner: Some(OwnerRef::ReplicaSet(at)),
                revision: set.revision,
                lifetime: template.spec.lifetime,
                ..NewPod::new(namespace, name, set.template, template.workload.kind)
            }));
            if ctx.recorder.wants_events() {
                let message = format!("Created pod: {}", name.text(cluster.names()));
                tell(set, "SuccessfulCreate", message, ctx);
            }
        }
    }
}

/// Deletes `excess` pods, at most [`BURST`]. If all go, no order is made (rule C71).
fn delete(at: ReplicaSetRef, excess: usize, cluster: &Cluster, plan: &mut Plan, ctx: &mut Ctx<'_>) {
    let set = &cluster.replica_sets()[at.id];
    let pods = cluster.pods();
    let active = set.pods.iter().copied().filter(|pod| pods[*pod].is_active());
    let goes: Vec<PodId> = if set.replicas == 0 {
        active.collect()
    } else {
        let ranks = ranks(set, cluster);
        let mut order: Vec<Candidate> =
            active.map(|pod| candidate(pod, &pods[pod], &ranks)).collect();
        first_to_go(&mut order, ctx.now());
        order.iter().map(|candidate| candidate.pod).collect()
    };
    for pod in goes.into_iter().take(excess.min(BURST)) {
        plan.push(Write::DeletePod { pod: pods.refer(pod), grace: None });
        if ctx.recorder.wants_events() {
            let message = format!("Deleted pod: {}", pods[pod].name.text(cluster.names()));
            tell(set, "SuccessfulDelete", message, ctx);
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

/// How many active pods of all revisions of the Deployment stand on each node; nothing for a
/// ReplicaSet without a Deployment.
///
/// Source: kubernetes v1.36.3 pkg/controller/replicaset/replica_set.go
/// `getPodsRankedByRelatedPodsOnSameNode` (rule C75).
fn ranks(set: &ReplicaSet, cluster: &Cluster) -> RankTable {
    let Some(owner) = set.owner.and_then(|owner| cluster.deployment(owner)) else {
        return RankTable::default();
    };
    let sets = owner.replica_sets.iter().map(|id| &cluster.replica_sets()[*id]);
    let pods = sets.flat_map(|set| &set.pods).map(|pod| &cluster.pods()[*pod]);
    RankTable::of(pods.filter(|pod| pod.is_active()).map(|pod| pod.node).collect())
}

fn tell(set: &ReplicaSet, reason: &'static str, message: String, ctx: &mut Ctx<'_>) {
    let at = ctx.now();
    ctx.recorder.event(EventRecord {
        at,
        is_warning: false,
        reason,
        about: About::Object("ReplicaSet", set.name),
        message,
    });
}
