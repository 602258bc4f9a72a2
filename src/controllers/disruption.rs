//! The disruption controller: how many of a PodDisruptionBudget's pods may be evicted now.
//!
//! ```text
//! pods, their controllers' scales ─► expected, desired ─┐
//! ready pods, without those just evicted ─► healthy ────┴─► allowed = healthy − desired
//! ```
//!
//! The eviction API takes from `allowed` and notes the pod in `disruptedPods`; the controller
//! drops the note when it sees the pod going, and puts the number right. Its own writes meet
//! those of the eviction API as conflicts: they are refused and it looks again (rule C150).
//!
//! Source: kubernetes v1.36.3 pkg/controller/disruption/disruption.go `trySync` (rules C144 to
//! C150). Differs: of several budgets that select a pod the oldest is looked at, where the
//! original takes any.

use crate::base::{Duration, SimTime};
use crate::cluster::{
    Budget, BudgetStatus, BudgetWrite, Change, Cluster, Controller, Disruption, DisruptionAllowed,
    ObjectChange, Plan, Pod, Requeue, Write,
};
use crate::model::{BudgetId, Model, ObjectKey, PodId, TemplateId};
use crate::record::{About, EventRecord, PodName};
use crate::sim::{Ctx, Streams};

/// How long an evicted pod may take until its deletion is set; then it counts again (rule C149).
const DELETION_TIMEOUT: Duration = Duration::secs(120);
/// How long a condition `DisruptionTarget` holds of a pod that is not deleted (rule C149).
const STALE_AFTER: Duration = Duration::secs(120);

/// The disruption controller.
#[derive(Clone, Copy, Debug, Default)]
pub struct DisruptionController;

impl DisruptionController {
    /// For a run of this model.
    #[must_use]
    pub const fn new(_model: &Model, _streams: &Streams) -> Self {
        Self
    }
}

/// How many evictions a budget allows (rule C147): counted against healthy pods, so surge pods of
/// a rollout raise it and unready ones lower it; none while no pod is expected.
#[must_use]
pub fn evictions_allowed(expected: i64, healthy: i64, desired: i64) -> i64 {
    if expected <= 0 { 0 } else { (healthy - desired).max(0) }
}

impl Controller for DisruptionController {
    fn name(&self) -> &'static str {
        "disruption-controller"
    }

    /// Pods of all changes wake the first budget that selects them; a controller's scale wakes
    /// nobody (rule C150).
    fn wakes(&self, change: &Change, cluster: &Cluster, out: &mut Vec<ObjectKey>) {
        let template = match change {
            Change::Object { key: key @ ObjectKey::Budget(_), what }
                if *what != ObjectChange::Removed =>
            {
                return out.push(*key);
            }
            Change::PodRemoved { template, .. } => Some(*template),
            Change::PodAdded { pod, .. }
            | Change::PodBound { pod, .. }
            | Change::PodStatus { pod, .. }
            | Change::PodDeleting { pod, .. } => cluster.pod(*pod).map(|row| row.template),
            Change::PodMeta { pod, .. } => cluster.pod(*pod).map(|row| {
                if may_be_stale(row) {
                    out.push(ObjectKey::Pod(pod.id));
                }
                row.template
            }),
            _ => None,
        };
        out.extend(template.and_then(|id| first_budget(id, cluster)).map(ObjectKey::Budget));
    }

    fn reconcile(
        &mut self,
        key: ObjectKey,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> Requeue {
        match key {
            ObjectKey::Budget(id) => sync(id, cluster, plan, ctx),
            ObjectKey::Pod(id) => take_back(id, cluster, plan, ctx.now()),
            _ => Requeue::Never,
        }
    }
}

fn first_budget(template: TemplateId, cluster: &Cluster) -> Option<BudgetId> {
    cluster.templates().at(template)?.budgets.first().copied()
}

/// Source: disruption.go `trySync`, `failSafe` (rules C144 to C149).
fn sync(id: BudgetId, cluster: &Cluster, plan: &mut Plan, ctx: &mut Ctx<'_>) -> Requeue {
    let Some(budget) = cluster.budgets().get(id) else { return Requeue::Never };
    let version = budget.version;
    if budget.pods.is_empty() {
        tell(budget, (false, "NoPods"), || "No matching pods found".to_owned(), ctx);
    }
    let expected = match cluster.expected_pods(budget) {
        Ok(expected) => expected,
        Err(why) => {
            let text = || format!("Failed to calculate the number of expected pods: {why}");
            tell(budget, (true, "CalculateExpectedPodCountFailed"), text, ctx);
            let status = failed(budget, &why);
            if status != budget.status {
                plan.push(Write::Budget(id, BudgetWrite::Status { version, status }));
            }
            return Requeue::Never;
        }
    };
    if expected.has_unmanaged {
        tell(budget, (true, "UnmanagedPods"), unmanaged, ctx);
    }
    let (disrupted, recheck) = still_disrupted(budget, cluster, ctx);
    let healthy = healthy(budget, &disrupted, cluster, ctx.now());
    let allowed = evictions_allowed(expected.pods, healthy, expected.desired);
    let status = BudgetStatus {
        observed_generation: budget.generation,
        expected: expected.pods,
        healthy,
        desired: expected.desired,
        allowed,
        disrupted,
        condition: Some(DisruptionAllowed::of(allowed)),
    };
    if status != budget.status {
        plan.push(Write::Budget(id, BudgetWrite::Status { version, status }));
    }
    recheck.map_or(Requeue::Never, |at| Requeue::After(at.saturating_since(ctx.now())))
}

/// What stands in the status when the count failed: no evictions, and why (rule C148); the rest,
/// the observed generation too, stays as it was.
fn failed(budget: &Budget, why: &str) -> BudgetStatus {
    let condition = Some(DisruptionAllowed::SyncFailed(why.into()));
    BudgetStatus { allowed: 0, condition, ..budget.status.clone() }
}

/// The evicted pods whose deletion is still awaited, and when the first of them is taken for not
/// deleted.
///
/// Source: disruption.go `buildDisruptedPodMap` (rule C149).
fn still_disrupted(
    budget: &Budget,
    cluster: &Cluster,
    ctx: &mut Ctx<'_>,
) -> (Vec<(PodName, SimTime)>, Option<SimTime>) {
    let (mut awaited, mut recheck) = (Vec::new(), None::<SimTime>);
    let now = ctx.now();
    for (name, since) in &budget.status.disrupted {
        let mut pods = budget.pods.iter().map(|pod| &cluster.pods()[*pod]);
        let Some(pod) = pods.find(|pod| pod.name == *name && pod.deletion.is_none()) else {
            continue;
        };
        let until = *since + DELETION_TIMEOUT;
        if until < now {
            not_deleted(pod, budget, cluster, ctx);
            continue;
        }
        awaited.push((*name, *since));
        recheck = Some(recheck.map_or(until, |earlier| earlier.min(until)));
    }
    (awaited, recheck)
}

/// Ready pods that are neither going nor just evicted.
///
/// Source: disruption.go `countHealthyPods` (rule C146).
fn healthy(
    budget: &Budget,
    disrupted: &[(PodName, SimTime)],
    cluster: &Cluster,
    now: SimTime,
) -> i64 {
    let is_evicted = |pod: &Pod| {
        disrupted.iter().any(|(name, since)| *name == pod.name && *since + DELETION_TIMEOUT > now)
    };
    let pods = budget.pods.iter().map(|pod| &cluster.pods()[*pod]);
    let count =
        pods.filter(|pod| pod.deletion.is_none() && pod.status.ready && !is_evicted(pod)).count();
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Whether a pod has a condition `DisruptionTarget` that may turn out to be about nothing.
const fn may_be_stale(pod: &Pod) -> bool {
    pod.deletion.is_none()
        && !pod.is_terminal()
        && !matches!(pod.disruption, None | Some(Disruption::TerminationByKubelet))
}

/// Takes back a condition `DisruptionTarget` that nothing followed.
///
/// Source: disruption.go `syncStalePodDisruption`,
/// `nonTerminatingPodHasStaleDisruptionCondition` (rule C149).
fn take_back(id: PodId, cluster: &Cluster, plan: &mut Plan, now: SimTime) -> Requeue {
    let Some(pod) = cluster.pods().at(id).filter(|pod| may_be_stale(pod)) else {
        return Requeue::Never;
    };
    let stale_at = pod.disruption_changed.floor_secs() + STALE_AFTER;
    if now < stale_at {
        return Requeue::After(stale_at.saturating_since(now));
    }
    plan.push(Write::Disruption { pod: cluster.pods().refer(id), reason: None });
    Requeue::Never
}

fn unmanaged() -> String {
    "Some of the selected pods have no controller: they do not count. To count them, set \
     .spec.minAvailable to an integer"
        .to_owned()
}

fn not_deleted(pod: &Pod, budget: &Budget, cluster: &Cluster, ctx: &mut Ctx<'_>) {
    if !ctx.recorder.wants_events() {
        return;
    }
    let name = cluster.names().resolve(budget.spec.name.name);
    let (at, about) = (ctx.now(), About::Pod(pod.namespace, pod.name));
    let message = format!("Pod was expected by PDB {name} to be deleted but it wasn't");
    let (is_warning, reason) = (true, "NotDeleted");
    ctx.recorder.event(EventRecord { at, is_warning, reason, about, message });
}

fn tell(
    budget: &Budget,
    (is_warning, reason): (bool, &'static str),
    message: impl FnOnce() -> String,
    ctx: &mut Ctx<'_>,
) {
    if ctx.recorder.wants_events() {
        let (at, about) = (ctx.now(), About::Object("PodDisruptionBudget", budget.spec.name));
        let message = message();
        ctx.recorder.event(EventRecord { at, is_warning, reason, about, message });
    }
}
