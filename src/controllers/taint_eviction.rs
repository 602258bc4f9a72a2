//! Taint eviction: pods leave a node whose NoExecute taints they do not tolerate, at once or when
//! their patience is over.
//!
//! ```text
//! taint seen ─► not tolerated: DELETE now
//!           └─► tolerated for a while: timer ─► DELETE
//!           └─► tolerated for ever, or all taints gone: timer cancelled
//! ```
//!
//! A timer once set is never moved (rule C170). Owns the timers.
//!
//! Source: kubernetes v1.36.3 pkg/controller/tainteviction/taint_eviction.go, timed_workers.go
//! (rules C168 to C171, N403). Differs: the condition and the DELETE are one write, without tries.

use std::collections::BTreeMap;

use crate::base::{Duration, IdVec, SimTime};
use crate::cluster::{
    Change, Cluster, Controller, Disruption, NodeChange, Plan, Pod, Requeue, Write,
};
use crate::model::{Model, NodeId, ObjectKey, PodId, Taint, Toleration};
use crate::record::{About, EventRecord};
use crate::sim::{Ctx, Streams};

/// The taint eviction controller.
#[derive(Debug, Default)]
pub struct TaintEvictionController {
    nodes: IdVec<NodeId, BTreeMap<PodId, Timer>>,
}

/// When a pod goes.
#[derive(Clone, Copy, Debug)]
struct Timer {
    /// Which life of the pod's slot it is about.
    life: u32,
    /// When it fires; `None` once it has.
    due: Option<SimTime>,
}

/// How long a pod stays with taints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    /// It does not tolerate one of them.
    None,
    /// For this long.
    For(Duration),
    /// For ever.
    Endless,
}

impl TaintEvictionController {
    /// For a run of this model.
    #[must_use]
    pub fn new(_model: &Model, _streams: &Streams) -> Self {
        Self::default()
    }

    /// Sets and cancels the timers of a node's pods.
    fn set_timers(&mut self, node: NodeId, cluster: &Cluster, now: SimTime) {
        let row = &cluster.nodes()[node];
        let taints: Vec<Taint> = row.no_execute().cloned().collect();
        let timers = self.nodes.grow_to(node);
        if taints.is_empty() {
            return timers.clear();
        }
        for id in pods_of(node, cluster) {
            let pod = &cluster.pods()[id];
            let life = cluster.pods().refer(id).life;
            let known = timers.get(&id).filter(|timer| timer.life == life);
            let due = match patience(&taints, tolerations(pod, cluster)) {
                Patience::None if known.is_none_or(|timer| timer.due.is_some()) => now,
                Patience::For(patience) if known.is_none() => now + patience,
                Patience::None | Patience::For(_) => continue,
                Patience::Endless => {
                    timers.remove(&id);
                    continue;
                }
            };
            timers.insert(id, Timer { life, due: Some(due) });
        }
    }

    /// Deletes the pods whose time it is; how long until the next one.
    fn fire(
        &mut self,
        node: NodeId,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> Option<Duration> {
        let now = ctx.now();
        let timers = self.nodes.grow_to(node);
        let pods = cluster.pods();
        timers.retain(|id, timer| pods.at(*id).is_some() && pods.refer(*id).life == timer.life);
        for (id, timer) in timers.iter_mut().filter(|(_, t)| t.due.is_some_and(|due| due <= now)) {
            timer.due = None;
            let (pod, reason) = (pods.refer(*id), Disruption::DeletionByTaintManager);
            plan.push(Write::Evict { pod, reason, grace: None });
            if ctx.recorder.wants_events() {
                tell(&pods[*id], cluster, ctx);
            }
        }
        let next = timers.values().filter_map(|timer| timer.due).min();
        next.map(|due| due.saturating_since(now))
    }
}

impl Controller for TaintEvictionController {
    fn name(&self) -> &'static str {
        "taint-eviction-controller"
    }

    fn wakes(&self, change: &Change, cluster: &Cluster, out: &mut Vec<ObjectKey>) {
        let (Change::Node { node, what: NodeChange::Added | NodeChange::Taints }
        | Change::PodBound { node, .. }) = *change
        else {
            return;
        };
        let has_timers = || self.nodes.get(node).is_some_and(|timers| !timers.is_empty());
        if cluster.nodes()[node].no_execute().next().is_some() || has_timers() {
            out.push(ObjectKey::Node(node));
        }
    }

    fn reconcile(
        &mut self,
        key: ObjectKey,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> Requeue {
        let ObjectKey::Node(node) = key else { return Requeue::Never };
        // The timers of a node that is gone run on.
        if !cluster.nodes()[node].is_gone {
            self.set_timers(node, cluster, ctx.now());
        }
        self.fire(node, cluster, plan, ctx).map_or(Requeue::Never, Requeue::After)
    }
}

/// All pods bound to a node, those that have ended too.
fn pods_of(node: NodeId, cluster: &Cluster) -> Vec<PodId> {
    if cluster.pod_counts().terminal == 0 {
        return cluster.nodes()[node].pods.clone();
    }
    let bound = cluster.pods().iter().filter(|(_, pod)| pod.node == Some(node));
    bound.map(|(id, _)| id).collect()
}

fn tolerations<'a>(pod: &Pod, cluster: &'a Cluster) -> &'a [Toleration] {
    &cluster.template_of(pod).template.spec.tolerations
}

/// Of each taint the first toleration that matches counts; the shortest time of those that have
/// one (rule C169).
///
/// Source: kubernetes v1.36.3 component-helpers/scheduling/corev1/helpers.go
/// `GetMatchingTolerations`; pkg/controller/tainteviction/taint_eviction.go
/// `getMinTolerationTime`.
fn patience(taints: &[Taint], tolerations: &[Toleration]) -> Patience {
    let mut shortest: Option<Duration> = None;
    for taint in taints {
        let Some(first) = tolerations.iter().find(|toleration| toleration.tolerates(taint)) else {
            return Patience::None;
        };
        shortest = shortest.into_iter().chain(first.seconds).min();
    }
    shortest.map_or(Patience::Endless, Patience::For)
}

fn tell(pod: &Pod, cluster: &Cluster, ctx: &mut Ctx<'_>) {
    let namespace = cluster.names().resolve(pod.namespace);
    let name = pod.name.text(cluster.names());
    let at = ctx.now();
    ctx.recorder.event(EventRecord {
        at,
        is_warning: false,
        reason: "TaintManagerEviction",
        about: About::Pod(pod.namespace, pod.name),
        message: format!("Marking for deletion Pod {namespace}/{name}"),
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Symbol;
    use crate::model::{TaintEffect, TolerationOperator};

    fn taint(key: u32) -> Taint {
        Taint { key: Symbol::new(key), value: Symbol::new(0), effect: TaintEffect::NoExecute }
    }

    fn toleration(key: Option<u32>, seconds: Option<u64>) -> Toleration {
        Toleration {
            key: key.map(Symbol::new),
            operator: TolerationOperator::Exists,
            value: Symbol::new(0),
            effect: Some(TaintEffect::NoExecute),
            seconds: seconds.map(Duration::secs),
        }
    }

    /// Rule C169.
    #[test]
    fn the_first_toleration_of_each_taint_counts() {
        let taints = [taint(1), taint(2)];
        let both = |a, b| patience(&taints, &[toleration(Some(1), a), toleration(Some(2), b)]);
        assert_eq!(patience(&taints, &[toleration(Some(1), None)]), Patience::None);
        assert_eq!(both(None, None), Patience::Endless);
        assert_eq!(both(Some(30), None), Patience::For(Duration::secs(30)));
        assert_eq!(both(Some(30), Some(0)), Patience::For(Duration::ZERO));
        let order = [toleration(Some(1), Some(300)), toleration(None, Some(10))];
        assert_eq!(patience(&taints[..1], &order), Patience::For(Duration::secs(300)));
        assert_eq!(patience(&taints, &order), Patience::For(Duration::secs(10)));
    }
}
