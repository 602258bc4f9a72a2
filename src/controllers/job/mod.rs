//! Job: pods until enough of them have succeeded, or too many have failed.
//!
//! ```text
//! pods ─► counts ─► verdict? ─yes─► delete what runs ─────────────────┐
//!                      └─no──► delete or create pods ─► all done? ────┴─► count ended pods ─► status
//!                               (manage)                                  (tracking)
//! ```
//!
//! A look goes over the Job's own pods, as the original's does, and looks come at most once a second
//! (rule C115). `look` holds what one look knows and the order of verdicts; `manage` makes and
//! deletes pods, `tracking` counts those that have ended, the others are pure functions.
//!
//! Expectations (rule C19) are the engine's: a key whose own writes are under way is not looked at.
//!
//! Source: kubernetes v1.36.3 pkg/controller/job/job_controller.go `syncJob` (rules C114 to C133).
//! Differs: restarts are counted per pod and not per container.

mod backoff;
mod failure_policy;
mod indexed;
mod look;
mod manage;
mod removal_order;
mod success_policy;
mod tracking;

use crate::base::{Duration, IdVec};
use crate::cluster::{Backoff, Change, Cluster, Controller, ObjectChange, Plan, Requeue, Write};
use crate::model::{JobId, JobRef, Model, ObjectKey, OwnerRef, PodId, PodRef};
use crate::sim::{Ctx, Streams};

use self::backoff::Record;
use self::look::Look;
use super::claiming::{self, Claims};
use super::pod_names::PodNames;

/// How long events of pods and status are gathered before a look (rule C115).
const BATCH: Duration = Duration::secs(1);

/// The Job controller.
#[derive(Debug)]
pub struct JobController {
    names: PodNames<JobId>,
    /// Failures since the last success: in memory alone (rule C125).
    records: IdVec<JobId, Record>,
}

impl JobController {
    /// For a run of this model.
    #[must_use]
    pub fn new(_model: &Model, streams: &Streams) -> Self {
        Self { names: PodNames::new("pod-names-job", streams), records: IdVec::new() }
    }

    fn sync(
        &mut self,
        job: JobRef,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> Requeue {
        let row = &cluster.jobs()[job.id];
        if row.status.finished().is_some() || row.spec.is_managed_elsewhere {
            return Requeue::Never;
        }
        let claims = Claims {
            owner: OwnerRef::Job(job),
            namespace: row.spec.name.namespace,
            selector: &row.selector,
            pods: &row.pods,
        };
        if !row.is_deleting && claiming::claim(claims, |_| true, cluster, plan) {
            let released = |write: &Write| match write {
                Write::PodOwner { pod, owner: None } => Some(*pod),
                _ => None,
            };
            let released: Vec<PodRef> = plan.writes().iter().filter_map(released).collect();
            released.into_iter().for_each(|pod| plan.push(Write::Untrack { pod }));
            return Requeue::Never;
        }
        let record = *self.records.grow_to(job.id);
        let record = if record.life == Some(job.life) { record } else { Record::new(job.life) };
        let mut look = Look::new(job, record, cluster, ctx.now());
        look.judge();
        if look.verdict.is_some() {
            look.delete_active(plan);
        } else {
            look.manage(&mut self.names, plan, ctx);
        }
        if look.track(plan, ctx) {
            *self.records.grow_to(job.id) = look.record;
        }
        look.requeue()
    }
}

impl Controller for JobController {
    fn name(&self) -> &'static str {
        "job-controller"
    }

    /// Any change of a pod wakes its Job; pods that no unfinished Job owns are looked at
    /// themselves.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/job/job_controller.go `addPod`, `updatePod`,
    /// `deletePod`, `updateJob` (rule C115).
    fn wakes(&self, change: &Change, cluster: &Cluster, out: &mut Vec<ObjectKey>) {
        if let Change::PodMeta { pod, .. } | Change::PodAdded { pod, owner: None } = change {
            let from = out.len();
            claiming::concerned(*pod, cluster, out);
            let mut others = out.split_off(from);
            others.retain(|key| matches!(key, ObjectKey::Job(_)));
            out.append(&mut others);
        }
        let (pod, owner) = match change {
            Change::Object { key: ObjectKey::Job(id), .. } => {
                if cluster.jobs().at(*id).is_some() {
                    out.push(ObjectKey::Job(*id));
                }
                return;
            }
            Change::PodAdded { pod, owner }
            | Change::PodBound { pod, owner, .. }
            | Change::PodStatus { pod, owner, .. }
            | Change::PodDeleting { pod, owner, .. }
            | Change::PodMeta { pod, owner }
            | Change::PodRemoved { pod, owner, .. } => (*pod, *owner),
            _ => return,
        };
        match owner {
            Some(OwnerRef::Job(job)) if is_at_work(job, cluster) => {
                out.push(ObjectKey::Job(job.id));
            }
            _ if is_orphan(pod, cluster) => out.push(ObjectKey::Pod(pod.id)),
            _ => {}
        }
    }

    fn wake_delay_of(&self, change: &Change, key: ObjectKey) -> Duration {
        match (change, key) {
            (Change::Object { what: ObjectChange::Added | ObjectChange::Spec, .. }, _)
            | (_, ObjectKey::Pod(_)) => Duration::ZERO,
            _ => BATCH,
        }
    }

    /// Rule C16.
    fn backoff(&self) -> Backoff {
        Backoff { base: BATCH, max: Duration::secs(60), tries: None, has_bucket: false }
    }

    fn reconcile(
        &mut self,
        key: ObjectKey,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> Requeue {
        match key {
            ObjectKey::Job(id) if cluster.jobs().at(id).is_some() => {
                self.sync(cluster.jobs().refer(id), cluster, plan, ctx)
            }
            ObjectKey::Pod(id) => {
                release(id, cluster, plan);
                Requeue::Never
            }
            _ => Requeue::Never,
        }
    }
}

fn is_at_work(job: JobRef, cluster: &Cluster) -> bool {
    cluster.jobs().get(job).is_some_and(|row| row.status.finished().is_none())
}

/// Whether a pod has the finalizer and no Job that would take it off.
fn is_orphan(pod: PodRef, cluster: &Cluster) -> bool {
    cluster.pod(pod).is_some_and(|row| {
        row.is_tracked
            && match row.owner {
                Some(OwnerRef::Job(job)) => !is_at_work(job, cluster),
                Some(_) => false,
                None => true,
            }
    })
}

/// Takes the finalizer off a pod without Job.
///
/// Source: kubernetes v1.36.3 pkg/controller/job/job_controller.go `syncOrphanPod`.
fn release(id: PodId, cluster: &Cluster, plan: &mut Plan) {
    if cluster.pods().at(id).is_some() {
        let pod = cluster.pods().refer(id);
        if is_orphan(pod, cluster) {
            plan.push(Write::Untrack { pod });
        }
    }
}
