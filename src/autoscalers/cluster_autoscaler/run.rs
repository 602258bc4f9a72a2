//! Cluster Autoscaler in a run: a scan every ten seconds, or as soon as a pod finds no place.
//!
//! ```text
//! tick, pod without place ─► sync ─► run_once ─┬─► Retarget, DeleteInstances
//!                                              ├─► taints, cordons, soft taints
//!                                              └─► Events, facts
//! node on its way out ─► 5 s ─► evict ─► gone ─► DeleteInstances (or its taint is taken off)
//! ```
//!
//! It owns when iterations begin, and since when nodes have its taint. What an iteration decides
//! is the pure code's.
//!
//! Source: kubernetes/autoscaler cluster-autoscaler 1.36 loop/trigger.go `Wait`, main.go `run`
//! (rules A118 to A120, A159, A178, A183). Differs: an iteration takes no time; the taint of a node
//! on its way out has no value; the simulated scheduler is the default one, whatever the cluster's
//! scheduler is set to; what the real program leaves to chance goes by names.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{Duration, Interner, SimTime, Symbol, cast};
use crate::cluster::{Change, Cluster, Controller, Plan, Requeue, Write};
use crate::model::{
    ClusterAutoscalerSpec, GroupSpec, Model, NodeId, ObjectKey, ObjectName, Taint, TaintEffect,
};
use crate::record::{About, EventRecord, GroupRecord, GroupStep};
use crate::recorder::Recorder;
use crate::sim::Ctx;

use super::actuator::Deletion;
use super::cloud::Group;
use super::look::{Look, Marks};
use super::run_cloud::{RunCloud, RunEvictor};
use super::scale_up::{Remaining, ScaleUpResult};
use super::view::{PodView, View};
use super::{ClusterAutoscaler, Iteration, ScaleDownResult};

/// Reasons of Events about the cluster, and whether they are warnings.
const REASONS: [(&str, bool); 11] = [
    ("ClusterUnhealthy", true),
    ("DeleteUnregistered", false),
    ("DeleteUnregisteredFailed", true),
    ("ScaledUpGroup", false),
    ("FailedToScaleUpGroup", true),
    ("ScaleUpTimedOut", true),
    ("FailedToRevertScaleUp", true),
    ("ScaleUpFailed", true),
    ("MaxNodesTotalReached", true),
    ("ScaleDownEmpty", false),
    ("ScaleDown", false),
];

/// The controller; off in a model without Cluster Autoscaler.
#[derive(Debug, Default)]
pub struct ClusterAutoscalerController {
    works: Option<Box<Works>>,
}

#[derive(Debug)]
struct Works {
    spec: Arc<ClusterAutoscalerSpec>,
    core: ClusterAutoscaler,
    look: Look,
    groups: Vec<Group>,
    names: Interner,
    marks: Marks,
    /// How many iterations there were, and the last of them that changed something.
    scans: u64,
    productive: Option<u64>,
    next: SimTime,
    /// Until when iterations come to nothing if nothing changes.
    quiet: Option<SimTime>,
    /// What was last said of pods that no group helps, by the pod's number.
    told: BTreeMap<u64, String>,
}

impl ClusterAutoscalerController {
    /// For a run of this model.
    #[must_use]
    pub fn new(model: &Model) -> Self {
        let Some(spec) = model.cloud.cluster_autoscaler.clone() else { return Self::default() };
        let groups = model.cloud.groups.iter().map(|of| group(of, &model.names)).collect();
        let flags = spec.flags.clone();
        let marks = Marks { deleting: spec.words.deleting, flags, since: BTreeMap::new() };
        let works = Works {
            core: ClusterAutoscaler::new(spec.flags.clone()),
            spec,
            look: Look::new(model),
            groups,
            names: Interner::new(),
            marks,
            scans: 0,
            productive: None,
            next: SimTime::ZERO,
            quiet: None,
            told: BTreeMap::new(),
        };
        Self { works: Some(Box::new(works)) }
    }
}

fn group(of: &GroupSpec, names: &Interner) -> Group {
    let first = of.offers.first();
    let first = first.expect("a group has a type of machine in some zone");
    Group {
        id: names.resolve(of.name).to_owned(),
        min: of.min,
        max: of.max,
        target: of.size,
        template: first.node.clone(),
        capacity: first.has.clone(),
        price_per_hour: first.node.price_per_hour.as_usd(),
    }
}

impl Controller for ClusterAutoscalerController {
    fn name(&self) -> &'static str {
        "cluster-autoscaler"
    }

    fn notes(&mut self, change: &Change) {
        if let Some(works) = &mut self.works {
            works.look.note(change);
        }
    }

    fn wakes(&self, change: &Change, _cluster: &Cluster, out: &mut Vec<ObjectKey>) {
        let is_news = matches!(change, Change::PodUnplaced { .. });
        if self.works.as_ref().is_some_and(|works| is_news && works.spec.flags.is_frequent) {
            out.push(ObjectKey::Cluster);
        }
    }

    fn begins(&self, _cluster: &Cluster, out: &mut Vec<(ObjectKey, Duration)>) {
        if self.works.is_some() {
            out.push((ObjectKey::Cluster, Duration::ZERO));
        }
    }

    fn reconcile(
        &mut self,
        _key: ObjectKey,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> Requeue {
        let Some(works) = &mut self.works else { return Requeue::Never };
        let next = works.turn(cluster, plan, ctx);
        Requeue::After(next.saturating_since(ctx.now()))
    }
}

impl Works {
    /// Does what is due; when the next thing is.
    fn turn(&mut self, cluster: &Cluster, plan: &mut Plan, ctx: &mut Ctx<'_>) -> SimTime {
        let now = ctx.now();
        if self.scans == 0 {
            self.look.forget(cluster);
        }
        if self.names.len() != cluster.names().len() {
            self.names = cluster.names().clone();
        }
        self.look.sync(cluster, &self.marks, now);
        for (group, row) in self.groups.iter_mut().zip(cluster.cloud().groups().iter()) {
            group.target = row.target;
        }
        if self.core.next_step().is_some_and(|at| at <= now) {
            self.advance(cluster, plan, ctx);
        }
        let is_woken = self.look.has_news && self.spec.flags.is_frequent;
        // What deletions under way have just asked for is to be seen by the iteration.
        if plan.is_empty() && (self.next <= now || is_woken) {
            let is_quiet = self.is_quiet(now);
            if is_quiet && !cfg!(debug_assertions) {
                self.core.skip(now);
                self.scans += 1;
                self.next = now + self.spec.flags.scan_interval;
            } else {
                // Tests carry out what a release leaves out, and see that nothing comes of it.
                self.scan(cluster, plan, ctx);
                let is_nothing = plan.is_empty() && self.quiet.is_some();
                assert!(!is_quiet || is_nothing, "an iteration at {now} was not to be left out");
            }
        }
        let step = self.core.next_step().map(|at| at.max(now));
        step.map_or(self.next, |at| at.min(self.next)).max(now)
    }

    /// Whether an iteration would decide as the last one did, which did nothing.
    fn is_quiet(&self, now: SimTime) -> bool {
        let look = &self.look;
        let is_same = !look.has_changed && !look.has_new_machines && !look.has_news;
        is_same && self.quiet.is_some_and(|until| now < until)
    }

    /// One iteration, and when the next one begins (rules A118, A119).
    fn scan(&mut self, cluster: &Cluster, plan: &mut Plan, ctx: &mut Ctx<'_>) {
        let now = ctx.now();
        self.look.has_news = false;
        self.look.has_changed = false;
        let fixed = self.look.fixed();
        let view = self.look.lend(&fixed, now);
        let shared = RefCell::new(plan);
        let mut cloud = RunCloud { groups: &mut self.groups, cluster, plan: &shared };
        if self.core.registry.would_read(now) {
            self.look.has_new_machines = false;
        }
        let before = self.core.pose();
        let iteration = self.core.run_once(&view, &mut cloud, &mut self.names);
        let plan = shared.into_inner();
        self.scans += 1;
        self.write(&iteration, cluster, plan, now);
        self.tell(&iteration, &view, ctx);
        self.quiet = self.core.quiet_until(&before, &iteration, &view);
        self.look.take_back(view);
        let has_grown = iteration.up.result == ScaleUpResult::Successful;
        if has_grown || iteration.down == ScaleDownResult::NodeDeleteStarted {
            self.productive = Some(self.scans);
        }
        // The start of the iteration before is what a change is compared with: two follow at once.
        let is_fresh = self.productive.is_some_and(|last| last + 1 >= self.scans);
        let waits = !(self.spec.flags.is_frequent && is_fresh);
        self.next = if waits { now + self.spec.flags.scan_interval } else { now };
    }

    /// Taints and cordons (rules A178, A183).
    fn write(&mut self, iteration: &Iteration, cluster: &Cluster, plan: &mut Plan, now: SimTime) {
        let (deleting, soft) = (self.taint(TaintEffect::NoSchedule), self.soft());
        for of in &iteration.departures {
            let Some(node) = cluster.node_named(of.node) else { continue };
            self.marks.since.insert(node, now);
            let add = vec![deleting.clone()];
            plan.push(Write::SwapTaints { node, add, remove: Vec::new() });
            if self.spec.flags.cordons {
                plan.push(Write::Cordon { node, unschedulable: true });
            }
        }
        let (on, off) = &iteration.soft_taints;
        for node in on.iter().filter_map(|name| cluster.node_named(*name)) {
            plan.push(Write::SwapTaints { node, add: vec![soft.clone()], remove: Vec::new() });
        }
        for node in off.iter().filter_map(|name| cluster.node_named(*name)) {
            plan.push(Write::SwapTaints { node, add: Vec::new(), remove: vec![soft.clone()] });
        }
    }

    fn taint(&self, effect: TaintEffect) -> Taint {
        Taint { key: self.spec.words.deleting, value: self.spec.words.nothing, effect }
    }

    fn soft(&self) -> Taint {
        let (key, value) = (self.spec.words.candidate, self.spec.words.nothing);
        Taint { key, value, effect: TaintEffect::PreferNoSchedule }
    }

    /// Goes on with deletions under way (rules A178 to A181).
    fn advance(&mut self, cluster: &Cluster, plan: &mut Plan, ctx: &mut Ctx<'_>) {
        let now = ctx.now();
        let before = self.core.actuator.ended.clone();
        let fixed = self.look.fixed();
        let view = self.look.lend(&fixed, now);
        let shared = RefCell::new(plan);
        let mut cloud = RunCloud { groups: &mut self.groups, cluster, plan: &shared };
        let mut evictor = RunEvictor { cluster, plan: &shared, now, granted: Vec::new() };
        let released = self.core.advance(&view, &mut cloud, &mut evictor, &self.names);
        let granted = evictor.granted;
        let plan = shared.into_inner();
        self.look.take_back(view);
        self.look.has_changed = true;
        for pod in &granted {
            tell_pod(pod, (false, "ScaleDown"), || "deleting pod for node scale down".into(), ctx);
        }
        for node in released.iter().filter_map(|name| cluster.node_named(*name)) {
            self.marks.since.remove(&node);
            let remove = vec![self.taint(TaintEffect::NoSchedule)];
            plan.push(Write::SwapTaints { node, add: Vec::new(), remove });
            if self.spec.flags.cordons {
                plan.push(Write::Cordon { node, unschedulable: false });
            }
        }
        let ended: Vec<(Symbol, Deletion)> = (self.core.actuator.ended.iter())
            .filter(|(node, how)| before.get(node) != Some(how))
            .map(|(node, how)| (*node, *how))
            .collect();
        for (node, how) in ended {
            self.tell_end(node, how, cluster, ctx);
        }
    }

    fn tell_end(&self, name: Symbol, how: Deletion, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let group = cluster.node_named(name).and_then(|node| group_of(node, cluster));
        let why = match how {
            Deletion::Done => None,
            Deletion::Blocked => Some("a pod came, or must stay"),
            Deletion::EvictionFailed => Some("pods could not be evicted in time"),
            Deletion::CloudFailed => Some("the cloud refused"),
        };
        let step =
            why.map_or(GroupStep::Shrank { node: name }, |why| GroupStep::Kept { node: name, why });
        if let Some(group) = group {
            ctx.recorder.group(GroupRecord { at: ctx.now(), group, step });
        }
        let text = || match why {
            None => "node removed by cluster autoscaler".to_owned(),
            Some(why) => format!("failed to delete the node: {why}"),
        };
        let reason = if why.is_none() { "ScaleDown" } else { "ScaleDownFailed" };
        tell(About::Node(name), (why.is_some(), reason), text, ctx);
    }

    /// Facts and Events of an iteration.
    fn tell(&mut self, iteration: &Iteration, view: &View<'_>, ctx: &mut Ctx<'_>) {
        let at = ctx.now();
        let group = |number: usize| self.names.get(&self.groups[number].id);
        let pods = cast::u32_of(iteration.up.triggered.len());
        for grows in &iteration.up.increases {
            let step = GroupStep::Grew { from: grows.from, to: grows.to, pods };
            let Some(group) = group(grows.group) else { continue };
            ctx.recorder.group(GroupRecord { at, group, step });
        }
        for of in &iteration.backed_off {
            let Some(group) = group(of.group) else { continue };
            let step = GroupStep::BackedOff { until: of.until };
            ctx.recorder.group(GroupRecord { at, group, step });
        }
        for of in &iteration.departures {
            let Some(group) = group(of.group) else { continue };
            let step = GroupStep::Shrinks { node: of.node, pods: cast::u32_of(of.pods.len()) };
            ctx.recorder.group(GroupRecord { at, group, step });
            let text = || "marked the node as toBeDeleted/unschedulable".to_owned();
            tell(About::Node(of.node), (false, "ScaleDown"), text, ctx);
        }
        self.tell_pods(iteration, view, ctx);
        let about = ObjectName { namespace: self.spec.words.system, name: self.spec.words.status };
        for line in &iteration.log {
            let (reason, text) = line.split_once(": ").unwrap_or(("", line));
            let known = REASONS.iter().find(|(known, _)| *known == reason);
            let Some((reason, is_warning)) = known else { continue };
            let about = About::Object("ConfigMap", about);
            tell(about, (*is_warning, reason), || text.to_owned(), ctx);
        }
    }

    /// What pods hear: that nodes come for them, or why not. The same is not said twice in turn.
    fn tell_pods(&mut self, iteration: &Iteration, view: &View<'_>, ctx: &mut Ctx<'_>) {
        let up = &iteration.up;
        if up.result == ScaleUpResult::Successful && !up.triggered.is_empty() {
            let groups: Vec<String> = (up.increases.iter())
                .map(|of| {
                    let id = &self.groups[of.group].id;
                    format!("{{{id} {}->{} (max: {})}}", of.from, of.to, of.max)
                })
                .collect();
            let text = format!("pod triggered scale-up: [{}]", groups.join(" "));
            for pod in &up.triggered {
                tell_pod(&view.pods[*pod], (false, "TriggeredScaleUp"), || text.clone(), ctx);
            }
        }
        let mut told = BTreeMap::new();
        for rest in &up.remaining {
            let why = why_not(rest);
            for pod in &rest.pods {
                let serial = self.look.serial(*pod);
                if self.told.get(&serial) != Some(&why) {
                    ctx.recorder.unhelped(&why);
                    let text = || format!("pod didn't trigger scale-up: {why}");
                    tell_pod(&view.pods[*pod], (false, "NotTriggerScaleUp"), text, ctx);
                }
                told.insert(serial, why.clone());
            }
        }
        self.told = told;
    }
}

/// How many groups do not help, by why.
fn why_not(rest: &Remaining) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in rest.rejected.values().chain(rest.skipped.values()).flatten() {
        *counts.entry(reason).or_default() += 1;
    }
    let texts: Vec<String> = counts.iter().map(|(why, count)| format!("{count} {why}")).collect();
    texts.join(", ")
}

fn group_of(node: NodeId, cluster: &Cluster) -> Option<Symbol> {
    let machine = cluster.cloud().instance(cluster.cloud().of_node(node)?)?;
    machine.group.map(|group| cluster.group_spec(group).name)
}

fn tell_pod(
    pod: &PodView,
    kind: (bool, &'static str),
    text: impl FnOnce() -> String,
    ctx: &mut Ctx<'_>,
) {
    tell(About::Pod(pod.info.namespace, pod.name), kind, text, ctx);
}

fn tell(
    about: About,
    (is_warning, reason): (bool, &'static str),
    text: impl FnOnce() -> String,
    ctx: &mut Ctx<'_>,
) {
    let at = ctx.now();
    let recorder: &mut Recorder = ctx.recorder;
    if recorder.wants_events() {
        let message = text();
        recorder.event(EventRecord { at, is_warning, reason, about, message });
    }
}
