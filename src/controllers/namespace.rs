//! Namespace: what stands in a namespace that is deleted goes, pods first.
//!
//! ```text
//! marked ─ 5 s ─► pods deleted ─► any left? ─yes─► again after half of the longest grace + 1 s
//!                                    └─no──► all other kinds ─► the namespace itself
//! ```
//!
//! Meanwhile the API server refuses what controllers create there, so pods do not come back.
//!
//! Source: kubernetes v1.36.3 pkg/controller/namespace/namespace_controller.go `enqueueNamespace`,
//! `worker`, deletion/namespaced_resources_deleter.go `deleteAllContent`,
//! `deleteAllContentForGroupVersionResource`, `estimateGracefulTermination` (rule C186). Differs:
//! other kinds than pods go in the order of their kinds, and none of them takes time.

use crate::api::Kind;
use crate::base::{Duration, SimTime, Symbol};
use crate::cluster::{Backoff, Change, Cluster, Controller, Plan, Requeue, Write};
use crate::model::{Model, ObjectKey, PodId, Propagation};
use crate::sim::{Ctx, Streams};

/// From the mark to the first look, so that every API server has heard of it.
const DELAY: Duration = Duration::secs(5);
/// What is left to those who take finalizers off.
const FINALIZING_S: u64 = 15;

/// The namespace controller.
#[derive(Debug, Default)]
pub struct NamespaceController;

impl NamespaceController {
    /// For a run of this model.
    #[must_use]
    pub const fn new(_model: &Model, _streams: &Streams) -> Self {
        Self
    }
}

impl Controller for NamespaceController {
    fn name(&self) -> &'static str {
        "namespace-controller"
    }

    fn wakes(&self, change: &Change, cluster: &Cluster, out: &mut Vec<ObjectKey>) {
        if let Change::Tree { kind: Kind::Namespace, name, .. } = change
            && cluster.namespace_deleted(name.name).is_some()
        {
            out.push(ObjectKey::Namespace(name.name));
        }
    }

    fn wake_delay(&self) -> Duration {
        DELAY
    }

    /// Rule C16.
    fn backoff(&self) -> Backoff {
        Backoff { max: Duration::secs(60), ..Backoff::DEFAULT }
    }

    fn reconcile(
        &mut self,
        key: ObjectKey,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> Requeue {
        let ObjectKey::Namespace(namespace) = key else { return Requeue::Never };
        let Some(since) = cluster.namespace_deleted(namespace) else { return Requeue::Never };
        let pods = pods_in(namespace, cluster);
        let grace = longest_grace(&pods, since, cluster, ctx.now());
        for pod in pods.iter().filter(|pod| cluster.pods()[**pod].deletion.is_none()) {
            plan.push(Write::DeletePod { pod: cluster.pods().refer(*pod), grace: None });
        }
        let rows = pods.iter().map(|pod| &cluster.pods()[*pod]);
        // Those that no kubelet has to stop go with the DELETE.
        let mut left =
            rows.filter(|pod| pod.is_tracked || (pod.node.is_some() && !pod.is_terminal()));
        if let Some(first) = left.next() {
            let is_held = first.is_tracked || left.any(|pod| pod.is_tracked);
            return match (grace, is_held) {
                (0, false) => Requeue::Failed,
                (0, true) => Requeue::After(Duration::secs(FINALIZING_S / 2 + 1)),
                (grace, _) => Requeue::After(Duration::secs(grace / 2 + 1)),
            };
        }
        delete_rest(namespace, cluster, plan);
        plan.push(Write::FinishNamespace { namespace });
        Requeue::Never
    }
}

/// In order of their creation.
fn pods_in(namespace: Symbol, cluster: &Cluster) -> Vec<PodId> {
    let all = cluster.pods().iter().filter(|(_, pod)| pod.namespace == namespace);
    let mut found: Vec<(u64, PodId)> = all.map(|(id, pod)| (pod.serial, id)).collect();
    found.sort_unstable();
    found.into_iter().map(|(_, id)| id).collect()
}

/// The longest grace of pods that have not ended, in seconds; 0 once so long has passed since the
/// namespace was deleted.
fn longest_grace(pods: &[PodId], since: SimTime, cluster: &Cluster, now: SimTime) -> u64 {
    let running = pods.iter().map(|pod| &cluster.pods()[*pod]).filter(|pod| !pod.is_terminal());
    let graces = running.map(|pod| cluster.template_of(pod).template.spec.grace);
    let longest = graces.max().unwrap_or(Duration::ZERO);
    let passed = now.saturating_since(since.floor_secs());
    if passed >= longest { 0 } else { longest.whole_secs() }
}

/// All that is no pod; what it owns goes with it.
fn delete_rest(namespace: Symbol, cluster: &Cluster, plan: &mut Plan) {
    let (propagation, grace) = (Propagation::Background, None);
    for (kind, name) in cluster.objects_in(namespace) {
        plan.push(Write::Delete { kind, name, propagation, grace });
    }
}
