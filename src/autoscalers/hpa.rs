//! HorizontalPodAutoscaler: the number of replicas follows the use of resources.
//!
//! Each autoscaler is looked at every 15 s, first 15 s after its creation; a change of its
//! specification or of the pods wakes nobody earlier (rules A1, A2).
//!
//! Source: kubernetes v1.36.3 pkg/controller/podautoscaler/horizontal.go (rules A1 to A61).
//! Differs: a metric is found by its name alone, without selectors or described objects; what a pod
//! uses beyond what behaviours say of its containers counts for the one that serves calls.

use crate::api::Kind;
use crate::base::{Duration, IdVec, Symbol};
use crate::cluster::{
    Change, Cluster, Controller, Hpa, HpaStatus, ObjectChange, Plan, Pod, Requeue,
    StatefulSetWrite, TemplateRow, Write,
};
use crate::model::{
    DeploymentId, HorizontalSettings, HpaId, HpaSpec, HpaTarget, Model, ObjectKey, ObjectName,
    PodId, ReplicaSetRef, ScaledObjectSpec, Selector, StatefulSetId,
};
use crate::record::{About, EventRecord, ScaleRecord};
use crate::sim::{Ctx, Streams};

use super::behavior::{Combined, Look, Memory, Verdict};
use super::hpa_metrics::Reading;
use super::keda_fallback::{Failures, Served};

/// The controller of all autoscalers.
#[derive(Debug, Default)]
pub struct HorizontalController {
    settings: HorizontalSettings,
    rows: IdVec<HpaId, Row>,
}

#[derive(Clone, Debug, Default)]
struct Row {
    memory: Memory,
    /// Namespace and selector of the target, as last read.
    selects: Option<(Symbol, Selector)>,
    /// How often in a row each trigger of its ScaledObject has not been answered.
    failures: Failures,
}

/// What an autoscaler scales.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    Deployment(DeploymentId),
    ReplicaSet(ReplicaSetRef),
    StatefulSet(StatefulSetId),
}

impl HorizontalController {
    /// For a run of this model.
    #[must_use]
    pub fn new(model: &Model, _streams: &Streams) -> Self {
        Self { settings: model.horizontal, rows: IdVec::default() }
    }
}

impl Controller for HorizontalController {
    fn name(&self) -> &'static str {
        "horizontal-pod-autoscaler-controller"
    }

    fn wakes(&self, change: &Change, _cluster: &Cluster, out: &mut Vec<ObjectKey>) {
        if let Change::Hpa { hpa, what: ObjectChange::Added | ObjectChange::Spec } = change {
            out.push(ObjectKey::Hpa(*hpa));
        }
    }

    fn wake_delay(&self) -> Duration {
        self.settings.period
    }

    fn reconcile(
        &mut self,
        key: ObjectKey,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> Requeue {
        let ObjectKey::Hpa(id) = key else {
            return Requeue::Never;
        };
        let Some(row) = cluster.hpa(id) else {
            return Requeue::Never;
        };
        let mut status = row.status;
        match Target::of(&row.spec, cluster) {
            Some(target) => self.sync((id, row), target, &mut status, cluster, plan, ctx),
            None => status.able_reason = "FailedGetScale",
        }
        if status != row.status {
            plan.push(Write::HpaStatus { hpa: id, status });
        }
        Requeue::After(self.settings.period)
    }
}

impl HorizontalController {
    #[expect(
        clippy::too_many_arguments,
        reason = "an autoscaler, its target, its status, and what every controller is given"
    )]
    fn sync(
        &mut self,
        (id, row): (HpaId, &Hpa),
        target: Target,
        status: &mut HpaStatus,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) {
        let current = target.replicas(cluster);
        let look = Look {
            spec: &row.spec,
            current: i64::from(current),
            now: ctx.now(),
            window: self.settings.stabilization,
            scales_to_zero: self.settings.scales_to_zero,
        };
        let mut memory = std::mem::take(&mut self.rows.grow_to(id).memory);
        let mut utilization = None;
        let verdict = look.decide(&mut memory, status, || {
            let (asked, percent) = self.ask(id, &look, target, cluster);
            utilization = percent;
            asked
        });
        if let Verdict::Scale { to, .. } = verdict {
            look.written(to, &mut memory, status);
        }
        self.rows[id].memory = memory;
        if utilization.is_some() {
            status.utilization = utilization;
        }
        let Verdict::Scale { to, raw, reason } = verdict else {
            return;
        };
        let count = |n: i64| u32::try_from(n).expect("a number of replicas is never negative");
        plan.push(target.scale(count(to), cluster));
        ctx.recorder.scale(ScaleRecord {
            at: look.now,
            hpa: id,
            from: current,
            to: count(to),
            raw: count(raw),
            utilization,
            reason,
        });
        if ctx.recorder.wants_events() {
            ctx.recorder.event(EventRecord {
                at: look.now,
                is_warning: false,
                reason: "SuccessfulRescale",
                about: About::Object("HorizontalPodAutoscaler", row.spec.name),
                message: format!("New size: {to}; reason: {reason}"),
            });
        }
    }

    /// What the metrics ask for, and the CPU utilisation.
    fn ask(
        &mut self,
        id: HpaId,
        look: &Look<'_>,
        target: Target,
        cluster: &Cluster,
    ) -> (Result<Combined, &'static str>, Option<i32>) {
        let namespace = look.spec.name.namespace;
        self.rows.grow_to(id).selects = Some((namespace, target.selector(cluster).clone()));
        let pods = selected(namespace, target, cluster);
        if self.is_ambiguous(id, namespace, &pods, cluster) {
            return (Err("AmbiguousSelector"), None);
        }
        let served = self.serve(id, look, &pods, cluster);
        let reading = Reading {
            spec: look.spec,
            pods: &pods,
            current: look.current,
            counted: i64::from(target.counted(cluster)),
            now: look.now,
            served: &served,
            cluster,
            settings: self.settings,
        };
        reading.all()
    }

    /// What KEDA answers in place of metrics that fail, if a ScaledObject made the autoscaler
    /// (rule A228).
    fn serve(
        &mut self,
        id: HpaId,
        look: &Look<'_>,
        pods: &[PodId],
        cluster: &Cluster,
    ) -> Vec<(Symbol, i64)> {
        let made = |spec: &&ScaledObjectSpec| spec.hpa == look.spec.name;
        let Some(spec) = cluster.model().scaled_objects.iter().find(made) else {
            return Vec::new();
        };
        let is_ready = |pod: &&PodId| cluster.pods()[**pod].status.ready;
        let ready = pods.iter().filter(is_ready).fold(0, |sum: i64, _| sum + 1);
        let of = Served { current: look.current, ready, now: look.now, cluster };
        self.rows.grow_to(id).failures.serve(spec, look.spec, &of)
    }

    /// Whether another autoscaler that has looked before selects one of these pods too.
    ///
    /// Source: horizontal.go `validateAndParseSelector`, `hpasControllingPodsUnderSelector`
    /// (rule A10).
    fn is_ambiguous(
        &self,
        id: HpaId,
        namespace: Symbol,
        pods: &[PodId],
        cluster: &Cluster,
    ) -> bool {
        let names = cluster.names();
        let mut templates: Vec<_> = pods.iter().map(|pod| cluster.pods()[*pod].template).collect();
        templates.sort_unstable();
        templates.dedup();
        let labels: Vec<_> = templates.iter().map(|id| &cluster.templates()[*id].labels).collect();
        let selects = |other: &Row| {
            let Some((its, selector)) = &other.selects else {
                return false;
            };
            *its == namespace && labels.iter().any(|labels| selector.matches(labels, names))
        };
        let others = self.rows.enumerate().filter(|(other, _)| *other != id);
        others.filter(|(other, _)| cluster.hpa(*other).is_some()).any(|(_, row)| selects(row))
    }
}

/// The pods that the target's selector selects: its own, and others' if any have such labels.
fn selected(namespace: Symbol, target: Target, cluster: &Cluster) -> Vec<PodId> {
    let (selector, own) = (target.selector(cluster), target.pods(cluster));
    let workload = |pod: &PodId| cluster.template_of(&cluster.pods()[*pod]).template.workload;
    let mut kinds: Vec<_> = own.iter().map(workload).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let is_strange = |(_, row): (_, &TemplateRow)| {
        let workload = row.template.workload;
        row.users > 0
            && workload.name.namespace == namespace
            && !kinds.contains(&workload)
            && selector.matches(&row.labels, cluster.names())
    };
    if !cluster.templates().iter().any(is_strange) {
        return own;
    }
    let is_selected = |pod: &Pod| {
        pod.namespace == namespace
            && selector.matches(&cluster.template_of(pod).labels, cluster.names())
    };
    cluster.pods().iter().filter(|(_, pod)| is_selected(pod)).map(|(id, _)| id).collect()
}

impl Target {
    pub(super) fn of(spec: &HpaSpec, cluster: &Cluster) -> Option<Self> {
        Self::find(spec.name.namespace, spec.target, cluster)
    }

    /// What a reference from this namespace leads to.
    pub(super) fn find(namespace: Symbol, target: HpaTarget, cluster: &Cluster) -> Option<Self> {
        let named = |name| ObjectName { namespace, name };
        match target {
            HpaTarget::Deployment(name) => {
                cluster.deployment_named(named(name)).map(Self::Deployment)
            }
            HpaTarget::ReplicaSet(name) => {
                let set = cluster.replica_set_named(Kind::ReplicaSet, named(name));
                set.map(Self::ReplicaSet)
            }
            HpaTarget::ReplicationController(name) => {
                let set = cluster.replica_set_named(Kind::ReplicationController, named(name));
                set.map(Self::ReplicaSet)
            }
            HpaTarget::StatefulSet(name) => {
                cluster.stateful_sets().named(named(name)).map(Self::StatefulSet)
            }
            HpaTarget::Missing => None,
        }
    }

    /// Its pods.
    fn pods(self, cluster: &Cluster) -> Vec<PodId> {
        let of_set = |set| cluster.replica_sets()[set].pods.iter().copied();
        match self {
            Self::Deployment(id) => {
                let sets = cluster.deployment(id).into_iter().flat_map(|row| &row.replica_sets);
                sets.flat_map(|set| of_set(*set)).collect()
            }
            Self::ReplicaSet(set) => of_set(set.id).collect(),
            Self::StatefulSet(id) => {
                cluster.stateful_sets().get(id).map_or_else(Vec::new, |row| row.pods.clone())
            }
        }
    }

    pub(super) fn replicas(self, cluster: &Cluster) -> u32 {
        match self {
            Self::Deployment(id) => cluster.deployment(id).map_or(0, |row| row.replicas),
            Self::ReplicaSet(set) => cluster.replica_sets()[set.id].replicas,
            Self::StatefulSet(id) => {
                cluster.stateful_sets().get(id).map_or(0, |row| row.spec.replicas)
            }
        }
    }

    /// `status.replicas`.
    fn counted(self, cluster: &Cluster) -> u32 {
        match self {
            Self::Deployment(id) => cluster.deployment(id).map_or(0, |row| row.status.replicas),
            Self::ReplicaSet(set) => cluster.replica_sets()[set.id].status.replicas,
            Self::StatefulSet(id) => {
                cluster.stateful_sets().get(id).map_or(0, |row| row.status.replicas)
            }
        }
    }

    fn selector(self, cluster: &Cluster) -> &Selector {
        match self {
            Self::Deployment(id) => {
                &cluster.deployment(id).expect("the target was found").spec.selector
            }
            Self::ReplicaSet(set) => &cluster.replica_sets()[set.id].selector,
            Self::StatefulSet(id) => {
                &cluster.stateful_sets().get(id).expect("the target was found").spec.selector
            }
        }
    }

    /// The write of the Scale subresource; annotations of a ReplicaSet stay.
    pub(super) fn scale(self, replicas: u32, cluster: &Cluster) -> Write {
        match self {
            Self::Deployment(deployment) => Write::ScaleDeployment { deployment, replicas },
            Self::ReplicaSet(replica_set) => {
                let row = &cluster.replica_sets()[replica_set.id];
                Write::ScaleReplicaSet { replica_set, replicas, desired: row.desired, max: row.max }
            }
            Self::StatefulSet(id) => Write::StatefulSet(id, StatefulSetWrite::Replicas(replicas)),
        }
    }
}
