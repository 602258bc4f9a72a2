//! The loops of the VerticalPodAutoscalers: each minute the recommender reads samples and says
//! what new pods get, and the updater evicts pods that ask for something else.
//!
//! Source: kubernetes/autoscaler vertical-pod-autoscaler 1.7.3 pkg/recommender/routines,
//! pkg/updater/logic/updater.go (rules A77, A101 to A110). Differs: recommender and updater act at
//! one instant, the updater on what the recommender has just said.

use std::collections::BTreeMap;

use crate::base::{Duration, SimTime, Symbol};
use crate::cluster::{
    Change, Cluster, Controller, EvictionRefused, Phase, Plan, Pod, Requeue, Vpa, Write, allot,
    class_with, declared, recommended,
};
use crate::model::{
    Amounts, Model, ObjectKey, OwnerRef, PodId, PodRef, TemplateId, VpaMode, VpaSpec, Workload,
};
use crate::record::{PodName, VerticalRecord};
use crate::sim::Ctx;

use super::hpa_metrics::{cpu_of, memory_of};
use super::vpa::{
    Estimation, Group, MIN_REPLICAS, PodLook, Priority, Recommendation, Recommender, Requested,
    UsageSample, is_wanted, meets,
};

/// `--recommender-interval` and `--updater-interval`.
const PERIOD: Duration = Duration::mins(1);

/// The recommender and the updater.
#[derive(Debug, Default)]
pub struct VerticalController {
    settings: Estimation,
    rows: Vec<Row>,
}

#[derive(Debug, Default)]
struct Row {
    recommender: Recommender<(PodId, u64), TemplateId>,
    target: Amounts,
    since: SimTime,
    /// The label set of each pod, by the template that it came with: a resize gives it another.
    groups: BTreeMap<(PodId, u64), TemplateId>,
    /// When the updater first saw a resize of a pod (rule A111).
    seen: BTreeMap<(Symbol, PodName), SimTime>,
}

/// How long the updater lets a deferred resize wait (rule A111).
const DEFERRED_MAX: Duration = Duration::mins(5);
/// How long it lets one be in progress.
const PROGRESS_MAX: Duration = Duration::hours(1);

/// `--evict-after-oom-threshold` (rule A105).
const QUICK_OOM: Duration = Duration::mins(10);

/// How many pods one loop of the updater evicted, how many budgets refused, and how many resizes
/// it began.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    evicted: u32,
    refused: u32,
    resized: u32,
}

impl VerticalController {
    /// For a run of this model.
    #[must_use]
    pub fn new(model: &Model) -> Self {
        let rows = model.vpas.iter().map(|_| Row::default()).collect();
        Self { settings: Estimation::default(), rows }
    }
}

impl Controller for VerticalController {
    fn name(&self) -> &'static str {
        "vertical-pod-autoscaler"
    }

    fn wakes(&self, _change: &Change, _cluster: &Cluster, _out: &mut Vec<ObjectKey>) {}

    fn begins(&self, _cluster: &Cluster, out: &mut Vec<(ObjectKey, Duration)>) {
        if !self.rows.is_empty() {
            out.push((ObjectKey::Cluster, PERIOD));
        }
    }

    fn reconcile(
        &mut self,
        _key: ObjectKey,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> Requeue {
        let mut pods = pods_by_target(cluster);
        for (vpa, Vpa { spec, created }) in cluster.vpas() {
            while self.rows.len() <= vpa {
                self.rows.push(Row::default());
            }
            // One that was deleted and has come again begins anew.
            if self.rows[vpa].since != *created {
                self.rows[vpa] = Row { since: *created, ..Row::default() };
            }
            // Of several for one workload the first counts (rule A103): it takes the pods.
            if let Some((workload, own)) = spec.target.and_then(|of| pods.remove_entry(&of)) {
                self.turn((vpa, spec), (workload, &own), cluster, plan, ctx);
            }
        }
        Requeue::After(PERIOD)
    }
}

impl VerticalController {
    /// One loop for one autoscaler.
    fn turn(
        &mut self,
        (vpa, spec): (usize, &VpaSpec),
        (workload, pods): (Workload, &[(PodId, &Pod)]),
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) {
        let now = ctx.now();
        let row = &mut self.rows[vpa];
        feed(row, pods, cluster, now);
        let recommended = row.recommender.recommend(&self.settings, spec, now);
        row.recommender.collect(now);
        let target = total(&recommended);
        let is_new = target != row.target;
        row.target = target;
        if recommended.is_empty() {
            return;
        }
        if spec.mode != VpaMode::Off {
            let targets = recommended.iter().map(|of| (of.container, of.target)).collect();
            plan.push(Write::Recommend { workload, targets });
        }
        let Done { evicted, refused, resized } = match spec.mode {
            VpaMode::Off | VpaMode::Initial => Done::default(),
            VpaMode::Recreate | VpaMode::InPlaceOrRecreate => {
                let seen = &mut row.seen;
                let mut updater = Updater { spec, recommended: &recommended, cluster, seen, now };
                updater.run(pods, plan)
            }
        };
        if is_new || evicted + refused + resized > 0 {
            let record = VerticalRecord { at: now, vpa, target, evicted, refused, resized };
            ctx.recorder.vertical(record);
        }
    }
}

/// The pods of each workload that an autoscaler is for, by one walk over all pods; none of those
/// that have ended.
fn pods_by_target(cluster: &Cluster) -> BTreeMap<Workload, Vec<(PodId, &Pod)>> {
    let targets = cluster.vpas().filter_map(|(_, vpa)| vpa.spec.target);
    let mut all: BTreeMap<Workload, Vec<(PodId, &Pod)>> =
        targets.map(|target| (target, Vec::new())).collect();
    let counts = |pod: &Pod| !pod.is_terminal() || was_evicted(pod, cluster.now());
    for (id, pod) in cluster.pods().iter().filter(|(_, pod)| counts(pod)) {
        let workload = cluster.template_of(pod).template.workload;
        if let Some(own) = all.get_mut(&workload) {
            own.push((id, pod));
        }
    }
    all
}

/// Whether a kubelet evicted it for pressure since the last loop.
fn was_evicted(pod: &Pod, now: SimTime) -> bool {
    let since = now.saturating_sub(PERIOD);
    pod.status.reason == "Evicted" && pod.status.finished.is_some_and(|at| at > since)
}

/// The targets of all containers together.
fn total(recommended: &[Recommendation]) -> Amounts {
    let sum = |get: fn(&Amounts) -> Option<i64>| {
        let known = recommended.iter().filter_map(|of| get(&of.target));
        known.reduce(i64::saturating_add)
    };
    Amounts { cpu: sum(|a| a.cpu), memory: sum(|a| a.memory) }
}

/// Lists the pods and gives the pipeline's last sample of each (rules A77, A78).
fn feed(row: &mut Row, pods: &[(PodId, &Pod)], cluster: &Cluster, now: SimTime) {
    let Row { recommender, groups, .. } = row;
    let before = std::mem::take(groups);
    for (id, pod) in pods {
        let key = (*id, pod.serial);
        groups.insert(key, before.get(&key).copied().unwrap_or(pod.template));
    }
    let look = |(id, pod): &(PodId, &Pod)| PodLook {
        pod: (*id, pod.serial),
        group: groups[&(*id, pod.serial)],
        containers: cluster
            .template_of(pod)
            .template
            .spec
            .containers
            .iter()
            .map(|c| c.name)
            .collect(),
    };
    let looks: Vec<_> = pods.iter().map(look).collect();
    recommender.list(&looks, now);
    take_samples(recommender, pods, cluster);
    let since = now.saturating_sub(PERIOD);
    for (id, pod) in pods {
        // Rules A91, A92: kills since the last loop, after the samples of this one.
        let template = &cluster.template_of(pod).template;
        if was_evicted(pod, now) {
            take_eviction(recommender, (*id, pod), cluster);
        }
        for (name, at) in pod.oom_kills.iter().filter(|(_, at)| *at > since) {
            let container = template.spec.containers.iter().find(|c| c.name == *name);
            let request = container.and_then(|c| declared(c).requests.memory).unwrap_or(0);
            recommender.oom((*id, pod.serial), *name, request, *at);
        }
    }
}

/// A pod that its kubelet evicted for memory: containers that used more than they ask for count as
/// killed for it (rule A92).
///
/// Source: vertical-pod-autoscaler pkg/recommender/input/oom/observer.go `OnEvent`.
fn take_eviction(
    recommender: &mut Recommender<(PodId, u64), TemplateId>,
    (id, pod): (PodId, &Pod),
    cluster: &Cluster,
) {
    let template = &cluster.template_of(pod).template;
    let (used, at) =
        (cluster.metrics(id).memory_bytes, pod.status.finished.unwrap_or(cluster.now()));
    for container in &template.spec.containers {
        let own = memory_of(template, container.name, used);
        if own > declared(container).requests.memory.unwrap_or(0) {
            recommender.oom((id, pod.serial), container.name, own, at);
        }
    }
}

/// The pipeline's last sample of each pod that it reports.
fn take_samples(
    recommender: &mut Recommender<(PodId, u64), TemplateId>,
    pods: &[(PodId, &Pod)],
    cluster: &Cluster,
) {
    for (id, pod) in pods {
        let Some(metrics) = cluster.reported(*id) else { continue };
        let Some(cpu) = metrics.cpu_milli else { continue };
        let template = &cluster.template_of(pod).template;
        for container in &template.spec.containers {
            recommender.sample(&UsageSample {
                pod: (*id, pod.serial),
                container: container.name,
                at: metrics.at,
                cpu: Some(cpu_of(template, container.name, cpu)),
                memory: Some(memory_of(template, container.name, metrics.memory_bytes)),
            });
        }
    }
}

/// A pod that is to be updated.
struct Candidate {
    pod: PodRef,
    owner: OwnerRef,
    is_pending: bool,
    priority: Priority,
}

/// What is to become of a pod that is to be updated (rule A111).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Waits,
    Resizes,
    Evicts,
}

/// One loop of the updater for one autoscaler.
struct Updater<'a> {
    spec: &'a VpaSpec,
    recommended: &'a [Recommendation],
    cluster: &'a Cluster,
    seen: &'a mut BTreeMap<(Symbol, PodName), SimTime>,
    now: SimTime,
}

impl Updater<'_> {
    /// Rules A103 to A111.
    fn run(&mut self, pods: &[(PodId, &Pod)], plan: &mut Plan) -> Done {
        let live: Vec<&(PodId, &Pod)> =
            pods.iter().filter(|(_, pod)| pod.deletion.is_none() && !pod.is_terminal()).collect();
        let mut groups = groups(&live, self.cluster);
        let judge = |(id, pod): &&(PodId, &Pod)| {
            candidate(self.spec, (*id, pod), self.recommended, self.cluster, self.now)
        };
        let mut wanted: Vec<Candidate> = live.iter().filter_map(judge).collect();
        wanted.sort_by(|a, b| a.priority.before(&b.priority));
        let mut done = Done::default();
        let least = self.spec.replicas_min.unwrap_or(MIN_REPLICAS);
        for candidate in wanted {
            let Some(group) = groups.get_mut(&candidate.owner) else { continue };
            if !group.is_large_enough(least) {
                continue;
            }
            let may_disrupt = group.may_disrupt(candidate.is_pending);
            let mut step = self.step(&candidate);
            if !may_disrupt || step == Step::Waits {
                continue;
            }
            if step == Step::Resizes && !self.resize(candidate.pod, plan) {
                step = Step::Evicts;
            }
            if step == Step::Resizes {
                group.disrupted += 1;
                done.resized += 1;
                continue;
            }
            let answer: Result<(), EvictionRefused> =
                plan.evict_pod(candidate.pod, None, self.cluster);
            match answer {
                Ok(()) => {
                    group.disrupted += u32::from(!candidate.is_pending);
                    done.evicted += 1;
                }
                Err(_) => done.refused += 1,
            }
        }
        done
    }

    /// Whether a pod is resized, evicted or left alone.
    fn step(&mut self, candidate: &Candidate) -> Step {
        if self.spec.mode != VpaMode::InPlaceOrRecreate {
            return Step::Evicts;
        }
        let Some(row) = self.cluster.pod(candidate.pod).filter(|_| !candidate.is_pending) else {
            return Step::Waits;
        };
        let status = row.resize.as_ref().map(|resize| &resize.status);
        let told = status.filter(|of| of.pending.is_some() || of.progress.is_some());
        let Some(told) = told else {
            // One that the kubelet has not answered yet is a resize, too.
            return if status.is_some() { Step::Waits } else { Step::Resizes };
        };
        let since = *self.seen.entry((row.namespace, row.name)).or_insert(self.now);
        let waited = self.now.saturating_since(since);
        let gives_up = match (&told.pending, &told.progress) {
            (Some(pending), _) if pending.is_infeasible => true,
            (_, Some(Some(_))) => true,
            (Some(_), _) => waited > DEFERRED_MAX,
            (None, _) => waited > PROGRESS_MAX,
        };
        if gives_up { Step::Evicts } else { Step::Waits }
    }

    /// Asks for a resize; gives whether the API server takes it: it keeps the class, and
    /// quotas have so much left (rules N104, C188).
    fn resize(&self, pod: PodRef, plan: &mut Plan) -> bool {
        let Some(row) = self.cluster.pod(pod) else { return false };
        let spec = &self.cluster.template_of(row).template.spec;
        let targets: Vec<(Symbol, Amounts)> =
            self.recommended.iter().map(|of| (of.container, of.target)).collect();
        let bounds = self.cluster.limit_bounds(row.namespace);
        let amounts = recommended(spec, &targets, (self.spec, &bounds));
        let takes = class_with(spec, &amounts) == spec.qos
            && self.cluster.admit_amounts(pod, &amounts).is_ok();
        if takes {
            plan.push(Write::ResizePod { pod, amounts });
        }
        takes
    }
}

fn groups(live: &[&(PodId, &Pod)], cluster: &Cluster) -> BTreeMap<OwnerRef, Group> {
    let mut groups = BTreeMap::new();
    for (_, pod) in live {
        let Some(owner) = pod.owner else { continue };
        let fresh = Group { configured: 0, live: 0, pending: 0, disrupted: 0 };
        let group: &mut Group = groups.entry(owner).or_insert(fresh);
        group.live += 1;
        group.pending += u32::from(pod.status.phase == Phase::Pending);
    }
    for (owner, group) in &mut groups {
        group.configured = match owner {
            OwnerRef::ReplicaSet(set) => {
                cluster.replica_sets().get(*set).map_or(0, |row| row.replicas)
            }
            OwnerRef::StatefulSet(set) => {
                cluster.stateful_sets().get(*set).map_or(0, |row| row.spec.replicas)
            }
            OwnerRef::DaemonSet(set) => {
                cluster.daemon_sets().get(*set).map_or(0, |row| row.status.ready)
            }
            OwnerRef::Job(_) => group.live,
        };
    }
    groups
}

fn candidate(
    spec: &VpaSpec,
    (id, pod): (PodId, &Pod),
    recommended: &[Recommendation],
    cluster: &Cluster,
    now: SimTime,
) -> Option<Candidate> {
    let owner = pod.owner?;
    let bounds = cluster.limit_bounds(pod.namespace);
    // While a pod is resized what its containers have counts.
    let containers = &cluster.actual(pod).containers;
    let requested: Vec<Requested> = containers
        .iter()
        .map(|c| Requested { container: c.name, requests: declared(c).requests })
        .collect();
    let capped: Vec<Recommendation> = recommended
        .iter()
        .map(|of| {
            let own = containers.iter().find(|c| c.name == of.container);
            let allotted =
                own.map(|c| allot(declared(c), of.target, spec.policy(of.container), &bounds));
            let target = allotted.map_or(of.target, |allotment| Amounts {
                cpu: of.target.cpu.and(allotment.requests.cpu),
                memory: of.target.memory.and(allotment.requests.memory),
            });
            Recommendation { target, ..*of }
        })
        .collect();
    let priority = Priority::of(&requested, &capped);
    let age = pod.status.start_time.map(|start| now.saturating_since(start));
    // Rule A105: killed for memory within 10 min of its start.
    let kills = &pod.oom_kills;
    let began = kills.iter().rev().nth(1).map(|(_, at)| *at).or(pod.status.started);
    let ran = kills.last().zip(began).map(|((_, at), began)| at.saturating_since(began));
    let is_quick = ran.is_some_and(|ran| ran < QUICK_OOM);
    let is_it =
        is_wanted(&priority, age, is_quick) && meets(&spec.requirements, &requested, &capped);
    is_it.then(|| Candidate {
        pod: cluster.pods().refer(id),
        owner,
        is_pending: pod.status.phase == Phase::Pending,
        priority,
    })
}
