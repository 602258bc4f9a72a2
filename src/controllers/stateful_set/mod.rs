//! StatefulSet: pods with numbers, each with its own claims, made, changed and removed in order.
//!
//! ```text
//! revisions ─► slots (by ordinal) and condemned pods (beyond the size)
//!                 │ replicas: lowest first; ordered: the first that is not available ends the look
//!                 ├─► condemned: highest first, ordered: one a look
//!                 ├─► update: highest first, down to the partition, one a look
//!                 └─► status ─► complete? the update revision becomes the current one ─► history
//! ```
//!
//! There are no expectations: names are fixed, so a pod is never made twice (rule C81).
//!
//! Source: kubernetes v1.36.3 pkg/controller/statefulset (rules C80 to C96). Differs: a pod of a
//! manifest is not adopted, and a pod's identity and storage never need repair.

mod claims;
mod look;

use crate::base::Duration;
use crate::cluster::{
    Change, Cluster, Controller, ObjectChange, Plan, Pod, Requeue, Revision, StatefulSet,
    StatefulSetStatus, StatefulSetWrite, Write,
};
use crate::model::{Model, ObjectKey, OwnerRef, StatefulSetId, Workload, WorkloadKind};
use crate::record::PodName;
use crate::sim::{Ctx, Streams};

use super::claiming::{self, Claims};
use super::revisions;
use look::Look;

/// The StatefulSet controller.
#[derive(Debug, Default)]
pub struct StatefulSetController;

impl StatefulSetController {
    /// For a run of this model.
    #[must_use]
    pub fn new(_model: &Model, _streams: &Streams) -> Self {
        Self
    }
}

impl Controller for StatefulSetController {
    fn name(&self) -> &'static str {
        "statefulset-controller"
    }

    /// Source: kubernetes v1.36.3 pkg/controller/statefulset/stateful_set.go `addPod`, `updatePod`,
    /// `deletePod`.
    fn wakes(&self, change: &Change, cluster: &Cluster, out: &mut Vec<ObjectKey>) {
        let mut wake = |owner: Option<OwnerRef>| {
            if let Some(OwnerRef::StatefulSet(id)) = owner
                && cluster.stateful_sets().get(id).is_some()
            {
                out.push(ObjectKey::StatefulSet(id));
            }
        };
        if let Change::PodMeta { pod, .. } | Change::PodAdded { pod, owner: None } = *change {
            let mut concerned = Vec::new();
            claiming::concerned(pod, cluster, &mut concerned);
            for key in concerned {
                if let ObjectKey::StatefulSet(id) = key {
                    wake(Some(OwnerRef::StatefulSet(id)));
                }
            }
        }
        match *change {
            Change::Object { key: ObjectKey::StatefulSet(id), what }
                if what != ObjectChange::Removed =>
            {
                wake(Some(OwnerRef::StatefulSet(id)));
            }
            Change::PodAdded { owner, .. }
            | Change::PodBound { owner, .. }
            | Change::PodStatus { owner, .. }
            | Change::PodDeleting { owner, .. }
            | Change::PodMeta { owner, .. }
            | Change::PodRefused { owner }
            | Change::PodRemoved { owner, .. } => wake(owner),
            _ => {}
        }
    }

    fn reconcile(
        &mut self,
        key: ObjectKey,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> Requeue {
        let ObjectKey::StatefulSet(id) = key else { return Requeue::Never };
        let Some(set) = cluster.stateful_sets().get(id) else { return Requeue::Never };
        let spec = &set.spec;
        let claims = Claims {
            owner: OwnerRef::StatefulSet(id),
            namespace: spec.name.namespace,
            selector: &spec.selector,
            pods: &set.pods,
        };
        // Its members are those with its name and a number.
        let is_member = |pod: &Pod| matches!(pod.name, PodName::Numbered { prefix, .. } if prefix == spec.name.name);
        if !set.is_deleting && claiming::claim(claims, is_member, cluster, plan) {
            return Requeue::Never;
        }
        sync((id, set), cluster, plan, ctx)
    }
}

/// Source: kubernetes v1.36.3 pkg/controller/statefulset/stateful_set_control.go
/// `UpdateStatefulSet`, `performUpdate` (rules C83, C92, C96).
fn sync(
    (id, set): (StatefulSetId, &StatefulSet),
    cluster: &Cluster,
    plan: &mut Plan,
    ctx: &mut Ctx<'_>,
) -> Requeue {
    let write = |write| Write::StatefulSet(id, write);
    let spec = &*set.spec;
    let (update, news) = revisions::present(&set.revisions, &spec.template, &spec.source, cluster);
    if let Some(news) = news {
        // What follows from it comes when it is there.
        let workload = Workload { kind: WorkloadKind::StatefulSet, name: spec.name };
        revisions::tell_start(workload, &news, ctx);
        plan.push(write(StatefulSetWrite::Revision(news)));
        return Requeue::Never;
    }
    let update = update.expect("a revision that is not there is made");
    let known = |revision: &&Revision| Some(revision.hash) == set.status.current_revision;
    let current = set.revisions.iter().find(known).unwrap_or(update);
    let mut look = Look::new((id, set), (current, update), cluster, ctx);
    let is_ok = look.carry_out(plan);
    let status = look.final_status();
    let next = next_availability(set, cluster, ctx);
    for old in outdated(set, update, current, cluster) {
        plan.push(write(StatefulSetWrite::Revision(old)));
    }
    let is_new = |status: &StatefulSetStatus| status.current_revision == Some(update.hash);
    if is_new(&status) && !is_new(&set.status) {
        let workload = Workload { kind: WorkloadKind::StatefulSet, name: spec.name };
        revisions::tell_end(workload, update, ctx);
    }
    if status != set.status {
        plan.push(write(StatefulSetWrite::Status(status)));
    }
    if is_ok { next.map_or(Requeue::Never, Requeue::After) } else { Requeue::Failed }
}

/// How long until the next ready pod becomes available (rules C77, C96).
fn next_availability(set: &StatefulSet, cluster: &Cluster, ctx: &Ctx<'_>) -> Option<Duration> {
    let (now, min_ready) = (ctx.now(), set.spec.min_ready);
    let pods = set.pods.iter().map(|id| &cluster.pods()[*id]);
    let waiting = pods.filter(|pod| pod.status.ready && !pod.is_available(min_ready, now));
    waiting.map(|pod| (pod.ready_since() + min_ready).saturating_since(now)).min()
}

/// The revisions that go (rule C83): live are those that a pod has, the current and the newest.
fn outdated(
    set: &StatefulSet,
    update: &Revision,
    current: &Revision,
    cluster: &Cluster,
) -> Vec<crate::cluster::RevisionWrite> {
    let label = cluster.revision_label();
    let is_live = |revision: &Revision| {
        revision.hash == current.hash
            || revision.hash == update.hash
            || set.pods.iter().any(|id| {
                let labels = &cluster.template_of(&cluster.pods()[*id]).labels;
                labels.get(label) == Some(revision.hash)
            })
    };
    let mut old: Vec<&Revision> = set.revisions.iter().filter(|r| !is_live(r)).collect();
    old.sort_by_key(|revision| revision.number);
    let excess = old.len().saturating_sub(crate::base::cast::usize_of(set.spec.history_limit));
    let gone = old.into_iter().take(excess);
    gone.map(|revision| crate::cluster::RevisionWrite::Remove { hash: revision.hash }).collect()
}
