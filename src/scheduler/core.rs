//! The scheduler without cluster and without time of its own: its cache, its queue, its decisions.
//!
//! ```text
//! what the watches tell ─► pods, nodes, catalogue ─► queue ─pop─► attempt ─► assumed ─► bind
//!                                                      ▲             │
//!                                                      └── fail ◄────┘ (preempt)
//! ```
//!
//! Who drives it tells it what happens (nodes, pods, storage), lets the loop turn ([`Core::pop`],
//! [`Core::attempt`], then the binding or [`Core::preempt`] and [`Core::fail`]) and flushes the
//! queue when it is time. What it wants of the API server it gives back; it learns of it when it
//! is told. The simulator's component and the tests of recordings drive the same thing.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/{schedule_one, eventhandlers}.go, backend/cache
//! (rules S1 to S62, S130 to S157, S185 to S189; recorded).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{Duration, IdVec, Interner, LookupMap, SimTime, Symbol};
use crate::model::{NodeId, NodeSpec, PodId, PodRef, SchedulerSettings};
use crate::placement::plugins::volumes::hints::StorageChange;
use crate::placement::{
    ClassId, Decision, Failure, NodeState, Nomination, PlacedPod, Placer, Plugin, PluginSet,
    PodInfo, Policy,
};

use super::binder::VolumeBinder;
use super::hints::{Happened, NodeAspect, PodAspect, helpers, may_help};
use super::queue::{Place, SchedulingQueue};

/// What a watch tells of a pod.
#[derive(Clone, Debug)]
pub struct PodFacts {
    /// Its class, of the placer of this scheduler.
    pub class: ClassId,
    /// What it is like.
    pub info: Arc<PodInfo>,
    /// Where it is bound.
    pub node: Option<NodeId>,
    /// `status.nominatedNodeName`.
    pub nominated: Option<NodeId>,
    /// `status.startTime`.
    pub start: Option<SimTime>,
    /// Whether its deletion has begun.
    pub is_terminating: bool,
    /// Whether a scheduler has evicted it (rule S171).
    pub is_preempted: bool,
    /// Its name, if budgets may name it (rule S179).
    pub name: Option<Symbol>,
    /// The name of the only node that it can go to (rule C102).
    pub pinned: Option<Symbol>,
}

impl PodFacts {
    /// Of a new pod without a node.
    #[must_use]
    pub const fn new(class: ClassId, info: Arc<PodInfo>) -> Self {
        Self {
            class,
            info,
            node: None,
            nominated: None,
            start: None,
            is_terminating: false,
            is_preempted: false,
            name: None,
            pinned: None,
        }
    }
}

/// How far a pod is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It waits or is being placed.
    Waiting,
    /// It is counted on a node, and its binding is under way.
    Assumed(NodeId),
    /// It is bound.
    Bound(NodeId),
}

/// A pod that this scheduler knows.
#[derive(Clone, Debug)]
struct Row {
    life: u32,
    facts: PodFacts,
    profile: Option<u8>,
    stage: Stage,
    /// Condition `PodScheduled=False` as written last: whether by an error, and the message.
    condition: Option<(bool, Arc<str>)>,
}

/// What came of an attempt.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// None was made: the pod is gone, being deleted or placed (rule S3).
    Skipped,
    /// It is assumed on a node: bind it.
    Assumed {
        /// Which.
        node: NodeId,
        /// How many nodes were found that take it.
        feasible: u32,
        /// How long its volumes take to be bound: [`Core::bind_volumes`] then.
        volumes: Duration,
    },
    /// It goes nowhere. [`Core::preempt`] and [`Core::fail`] must follow.
    Failed(Box<Failure>),
}

/// What is written of a pod after a failed attempt (rules S60, S61).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// The message of the condition.
    pub message: Arc<str>,
    /// Whether the message is another than before.
    pub is_news: bool,
    /// `status.nominatedNodeName`, if it changes.
    pub nomination: Option<Option<NodeId>>,
}

/// The scheduler's state machine.
#[derive(Debug)]
pub struct Core {
    placer: Placer,
    queue: SchedulingQueue,
    rows: IdVec<PodId, Option<Row>>,
    profiles: LookupMap<Symbol, Option<u8>>,
    volumes: VolumeBinder,
    /// Pods on nodes that are not there (rule S11).
    strays: BTreeMap<NodeId, Vec<PlacedPod>>,
    /// Pods whose victims are being evicted, with the last of them (rule S186).
    preempting: BTreeMap<PodRef, PodRef>,
}

/// Those plugins that what happened may concern, of those that rejected a pod that is pinned to a
/// node, or say that it may help: NodeAffinity asks for the node's name (rule C102).
fn heard(happened: Happened<'_>, pinned: Option<Symbol>, plugins: PluginSet) -> PluginSet {
    let (Happened::NodeAdded(node) | Happened::NodeUpdated(NodeAspect::Labels, _, node)) = happened
    else {
        return plugins;
    };
    match pinned {
        Some(name) if name != node.spec.name => plugins.without(Plugin::NodeAffinity),
        _ => plugins,
    }
}

/// Which PreEnqueue plugin holds a pod back (rule S155).
fn gate_of(
    pod: PodRef,
    rows: &IdVec<PodId, Option<Row>>,
    preempting: &BTreeMap<PodRef, PodRef>,
    placer: &Placer,
) -> Option<Plugin> {
    let row = rows.get(pod.id)?.as_ref()?;
    let spec = &row.facts.info.spec;
    if spec.scheduling_gates.is_empty() && preempting.is_empty() {
        return None;
    }
    let asks = &placer.profile(usize::from(row.profile?)).pre_enqueue;
    asks.iter().copied().find(|plugin| match plugin {
        Plugin::SchedulingGates => !spec.scheduling_gates.is_empty(),
        Plugin::DefaultPreemption => preempting.contains_key(&pod),
        _ => false,
    })
}

impl Core {
    /// Without nodes and pods.
    #[must_use]
    pub fn new(settings: &SchedulerSettings, volumes: VolumeBinder) -> Self {
        Self {
            placer: Placer::new(settings),
            queue: SchedulingQueue::new(settings.backoff_initial, settings.backoff_max),
            rows: IdVec::new(),
            profiles: LookupMap::new(),
            volumes,
            strays: BTreeMap::new(),
            preempting: BTreeMap::new(),
        }
    }

    /// With policies of the user's own.
    #[must_use]
    pub fn with_policies(mut self, policies: Vec<Arc<dyn Policy>>) -> Self {
        self.placer = self.placer.with_policies(policies);
        self
    }

    /// The pods that wait.
    #[must_use]
    pub const fn queue(&self) -> &SchedulingQueue {
        &self.queue
    }

    /// The nodes and other objects as this scheduler sees them.
    #[must_use]
    pub const fn placer(&self) -> &Placer {
        &self.placer
    }

    /// The same, to set its catalogue, its start and to intern classes.
    pub const fn placer_mut(&mut self) -> &mut Placer {
        &mut self.placer
    }

    /// The loops that flush the queue begin.
    pub const fn begin(&mut self, at: SimTime) {
        self.queue.begin(at);
    }

    /// The profile for pods of this `schedulerName` (rule S4).
    pub fn profile_of(&mut self, scheduler: Symbol, names: &Interner) -> Option<u8> {
        if let Some(known) = self.profiles.get(&scheduler) {
            return *known;
        }
        let found = self.placer.profile_named(names.resolve(scheduler));
        let found = found.and_then(|profile| u8::try_from(profile).ok());
        self.profiles.insert(scheduler, found);
        found
    }

    fn row(&self, pod: PodRef) -> Option<&Row> {
        self.rows.get(pod.id)?.as_ref().filter(|row| row.life == pod.life)
    }

    fn row_mut(&mut self, pod: PodRef) -> Option<&mut Row> {
        self.rows.get_mut(pod.id)?.as_mut().filter(|row| row.life == pod.life)
    }

    /// The profile that places a pod that is known and waits, or was placed by this scheduler.
    #[must_use]
    pub fn profile_of_pod(&self, pod: PodRef) -> Option<usize> {
        self.row(pod)?.profile.map(usize::from)
    }

    /// Whether a pod waits here, is being placed or counts.
    #[must_use]
    pub fn knows(&self, pod: PodRef) -> bool {
        self.row(pod).is_some()
    }

    /// What a pod is like that this scheduler knows.
    #[must_use]
    pub fn info_of(&self, pod: PodRef) -> Option<&Arc<PodInfo>> {
        self.row(pod).map(|row| &row.facts.info)
    }

    /// When a pod that counts started.
    pub fn set_start(&mut self, pod: PodRef, start: Option<SimTime>) {
        let Some(row) = self.row_mut(pod).filter(|row| row.facts.start != start) else { return };
        row.facts.start = start;
        let (stage, facts) = (row.stage, row.facts.clone());
        if let Stage::Bound(node) = stage {
            self.touch(pod, node, &facts);
        }
    }

    /// Where a pod is counted.
    #[must_use]
    pub fn node_of(&self, pod: PodRef) -> Option<NodeId> {
        match self.row(pod)?.stage {
            Stage::Waiting => None,
            Stage::Assumed(node) | Stage::Bound(node) => Some(node),
        }
    }

    /// Whether a pod is counted on a node without being bound to it yet.
    #[must_use]
    pub fn is_assumed(&self, pod: PodRef) -> bool {
        self.row(pod).is_some_and(|row| matches!(row.stage, Stage::Assumed(_)))
    }
}

/// Nodes and other objects.
impl Core {
    /// Nodes that are there when the scheduler starts, in this order; nobody waits yet.
    pub fn add_nodes(
        &mut self,
        nodes: impl IntoIterator<Item = (NodeId, NodeSpec)>,
        names: &Interner,
    ) {
        self.placer.add_nodes(nodes, names);
    }

    /// A node is new.
    pub fn add_node(&mut self, node: NodeId, spec: NodeSpec, names: &Interner, now: SimTime) {
        let empty = self.is_listening().then(|| NodeState::empty(spec.clone()));
        self.placer.add_node(node, spec, names);
        for pod in self.strays.remove(&node).unwrap_or_default() {
            self.placer.place(node, pod, names);
        }
        if let Some(empty) = empty {
            self.publish(Happened::NodeAdded(&empty), names, now);
        }
    }

    /// A node declares something else, or nothing that is read here (rule S145).
    pub fn update_node(&mut self, node: NodeId, spec: &NodeSpec, names: &Interner, now: SimTime) {
        let Some(known) = self.placer.nodes().get(node) else {
            return self.add_node(node, spec.clone(), names, now);
        };
        if known.spec == *spec {
            return;
        }
        let old = NodeState::empty(known.spec.clone());
        self.placer.update_node(node, spec, names);
        if self.is_listening() {
            let new = NodeState::empty(spec.clone());
            for aspect in NodeAspect::between(&old, &new) {
                self.publish(Happened::NodeUpdated(aspect, &old, &new), names, now);
            }
        }
    }

    /// A node is gone; its pods are remembered (rule S11).
    pub fn delete_node(&mut self, node: NodeId, names: &Interner, now: SimTime) {
        let Some(known) = self.placer.nodes().get(node) else { return };
        let (old, pods) = (NodeState::empty(known.spec.clone()), known.pods.clone());
        self.publish(Happened::NodeDeleted(&old), names, now);
        self.placer.remove_node(node, names);
        if !pods.is_empty() {
            self.strays.entry(node).or_default().extend(pods);
        }
    }

    /// Storage objects changed; the catalogue knows already.
    pub fn storage_changed(&mut self, change: StorageChange<'_>, names: &Interner, now: SimTime) {
        self.publish(Happened::Storage(change), names, now);
    }

    /// Whether anybody could be helped by what happens.
    fn is_listening(&self) -> bool {
        self.queue.has_parked() || !self.queue.in_flight().is_empty()
    }

    /// Tells the queue what happened (rule S142).
    fn publish(&mut self, happened: Happened<'_>, names: &Interner, now: SimTime) {
        self.publish_below(happened, i32::MAX, names, now);
    }

    /// The same for pods of at most this priority; pods that are being placed hear it all the same.
    fn publish_below(
        &mut self,
        happened: Happened<'_>,
        priority_max: i32,
        names: &Interner,
        now: SimTime,
    ) {
        if !self.is_listening() {
            return;
        }
        let is_end = matches!(happened, Happened::PodDeleted(_) | Happened::NominationLost(_));
        let Self { queue, placer, rows, preempting, .. } = self;
        let gate = |pod| gate_of(pod, rows, preempting, placer);
        queue.move_if(
            |kin| {
                let hears = match kin.gate {
                    None => true,
                    Some(Plugin::DefaultPreemption) => is_end,
                    Some(_) => false,
                };
                let info = placer.info(kin.class);
                hears
                    && info.spec.priority <= priority_max
                    && (kin.rejectors.is_empty() || {
                        let world = placer.world(usize::from(kin.profile), names);
                        let rejectors = heard(happened, kin.pinned, kin.rejectors);
                        may_help(happened, info, rejectors, &world)
                    })
            },
            gate,
            now,
        );
        for at in 0..queue.in_flight().len() {
            let pod = queue.in_flight()[at];
            let Some(waiting) = queue.get(pod) else { continue };
            let world = placer.world(usize::from(waiting.profile), names);
            let helped = helpers(happened, placer.info(waiting.class), &world);
            let helped = heard(happened, waiting.pinned, helped);
            queue.note(pod, helped);
        }
    }
}

/// Pods, as the watch tells.
impl Core {
    /// A pod is new to this scheduler. One that is for another scheduler counts once it has a node.
    pub fn add_pod(&mut self, pod: PodRef, facts: PodFacts, names: &Interner, now: SimTime) {
        let profile = self.profile_of(facts.info.spec.scheduler_name, names);
        if profile.is_some() || facts.node.is_some() {
            self.add_pod_of(profile, pod, facts, names, now);
        }
    }

    /// The same of a pod whose profile is known.
    pub(super) fn add_pod_of(
        &mut self,
        profile: Option<u8>,
        pod: PodRef,
        facts: PodFacts,
        names: &Interner,
        now: SimTime,
    ) {
        let (life, node) = (pod.life, facts.node);
        let stage = node.map_or(Stage::Waiting, Stage::Bound);
        let row = Row { life, facts, profile, stage, condition: None };
        *self.rows.grow_to(pod.id) = Some(row);
        match node {
            Some(node) => self.count_bound(pod, node, names, now),
            None => self.enqueue(pod, now),
        }
    }

    fn enqueue(&mut self, pod: PodRef, now: SimTime) {
        let gate = gate_of(pod, &self.rows, &self.preempting, &self.placer);
        let Some(row) = self.row(pod) else { return };
        let facts = &row.facts;
        let Some(profile) = row.profile else { return };
        let (class, priority, pinned) = (facts.class, facts.info.spec.priority, facts.pinned);
        if let (Some(node), None) = (facts.nominated, gate) {
            let info = Arc::clone(&facts.info);
            self.placer.nominator_mut().add(pod, info, node);
        }
        self.queue.add(pod, (class, profile, priority), pinned, gate, now);
    }

    fn count_bound(&mut self, pod: PodRef, node: NodeId, names: &Interner, now: SimTime) {
        self.count(pod, node, names);
        self.tell_added(pod, names, now);
    }

    /// A pod has a node, which may help others (rule S146).
    fn tell_added(&mut self, pod: PodRef, names: &Interner, now: SimTime) {
        let Some(row) = self.row(pod).filter(|_| self.is_listening()) else { return };
        let info = Arc::clone(&row.facts.info);
        self.publish(Happened::PodAdded(&info), names, now);
    }

    fn count(&mut self, pod: PodRef, node: NodeId, names: &Interner) {
        let Some(Row { facts, .. }) = self.row(pod) else { return };
        let placed = PlacedPod {
            class: Some(facts.class),
            start: facts.start,
            is_terminating: facts.is_terminating,
            is_preempted: facts.is_preempted,
            name: facts.name,
            ..PlacedPod::new(pod, Arc::clone(&facts.info))
        };
        if self.placer.nodes().get(node).is_none() {
            self.strays.entry(node).or_default().push(placed);
        } else {
            self.placer.place(node, placed, names);
        }
    }

    fn discount(&mut self, pod: PodRef, node: NodeId) {
        if self.placer.nodes().get(node).is_some() {
            return self.placer.remove_pod(node, pod);
        }
        if let Some(strays) = self.strays.get_mut(&node) {
            strays.retain(|stray| stray.pod != pod);
            if strays.is_empty() {
                self.strays.remove(&node);
            }
        }
    }

    /// A pod is another than before: bound, changed, being deleted.
    pub fn update_pod(&mut self, pod: PodRef, facts: PodFacts, names: &Interner, now: SimTime) {
        let Some(row) = self.row(pod) else {
            return self.add_pod(pod, facts, names, now);
        };
        let has_begun_to_end = facts.is_terminating && !row.facts.is_terminating;
        if has_begun_to_end {
            self.victim_is_done(pod);
        }
        let Some(row) = self.row(pod) else { return };
        match (row.stage, facts.node) {
            (Stage::Bound(node), _) => self.update_bound(pod, node, facts, names, now),
            (Stage::Waiting, None) => self.update_waiting(pod, facts, names, now),
            (Stage::Assumed(_), None) if has_begun_to_end => self.forget_assumed(pod, names, now),
            (Stage::Assumed(_), None) => {}
            (_, Some(node)) => self.confirm(pod, node, facts, names, now),
        }
    }

    /// A pod is bound to the node that it was assumed on, and is as it was; gives whether that is
    /// so.
    pub fn confirm_assumed(
        &mut self,
        pod: PodRef,
        node: NodeId,
        names: &Interner,
        now: SimTime,
    ) -> bool {
        let Some(row) = self.row_mut(pod) else { return false };
        if row.stage != Stage::Assumed(node) {
            return false;
        }
        row.stage = Stage::Bound(node);
        row.facts.node = Some(node);
        self.tell_added(pod, names, now);
        self.queue.forget(pod);
        true
    }

    /// A pod has a node: what this scheduler assumed, or somebody else's doing.
    fn confirm(
        &mut self,
        pod: PodRef,
        node: NodeId,
        facts: PodFacts,
        names: &Interner,
        now: SimTime,
    ) {
        let Some(row) = self.row_mut(pod) else { return };
        let was = row.stage;
        let is_same = Arc::ptr_eq(&row.facts.info, &facts.info)
            && (facts.start, facts.is_terminating, facts.is_preempted)
                == (row.facts.start, row.facts.is_terminating, row.facts.is_preempted);
        row.facts = facts;
        row.stage = Stage::Bound(node);
        match was {
            Stage::Assumed(assumed) if assumed == node && is_same => {}
            Stage::Assumed(assumed) => {
                self.discount(pod, assumed);
                self.count(pod, node, names);
            }
            Stage::Waiting | Stage::Bound(_) => self.count(pod, node, names),
        }
        self.tell_added(pod, names, now);
        self.queue.forget(pod);
        self.placer.nominator_mut().remove(pod);
    }

    fn update_bound(
        &mut self,
        pod: PodRef,
        node: NodeId,
        facts: PodFacts,
        names: &Interner,
        now: SimTime,
    ) {
        let Some(row) = self.row_mut(pod) else { return };
        let old = std::mem::replace(&mut row.facts, facts);
        let new = row.facts.clone();
        if Arc::ptr_eq(&old.info, &new.info) {
            self.touch(pod, node, &new);
            return;
        }
        self.discount(pod, node);
        self.count(pod, node, names);
        for aspect in PodAspect::between(&old.info, &new.info) {
            self.publish(Happened::PodUpdated(aspect, &old.info, &new.info), names, now);
        }
    }

    fn touch(&mut self, pod: PodRef, node: NodeId, facts: &PodFacts) {
        let set = |placed: &mut PlacedPod| {
            placed.start = facts.start;
            placed.is_terminating = facts.is_terminating;
            placed.is_preempted = facts.is_preempted;
        };
        match self.strays.get_mut(&node) {
            Some(strays) => strays.iter_mut().filter(|stray| stray.pod == pod).for_each(set),
            None => self.placer.touch_pod(node, pod, set),
        }
    }

    /// A waiting pod has changed (rule S147).
    fn update_waiting(&mut self, pod: PodRef, facts: PodFacts, names: &Interner, now: SimTime) {
        let Some(row) = self.row_mut(pod) else { return };
        let old = std::mem::replace(&mut row.facts, facts);
        let new = row.facts.clone();
        self.queue.set_class(pod, new.class);
        let aspects = PodAspect::between(&old.info, &new.info);
        let own = |aspect| Happened::Own(aspect, &old.info, &new.info);
        match self.queue.get(pod).map(|waiting| (waiting.place, waiting.profile)) {
            None => self.enqueue(pod, now),
            Some((Place::InFlight | Place::Aside, profile)) => {
                let world = self.placer.world(usize::from(profile), names);
                let helped = aspects.iter().map(|a| helpers(own(*a), &new.info, &world));
                let helped = helped.fold(PluginSet::EMPTY, PluginSet::union);
                self.queue.note(pod, helped);
            }
            Some((Place::Active | Place::Backoff | Place::ErrorBackoff, _)) => {
                self.renominate(pod, &old, &new);
            }
            Some((Place::Unschedulable | Place::Gated, profile)) => {
                self.renominate(pod, &old, &new);
                for aspect in aspects {
                    let Some(waiting) = self.queue.get(pod) else { break };
                    let (rejectors, world) =
                        (waiting.rejectors, self.placer.world(usize::from(profile), names));
                    let helps =
                        rejectors.is_empty() || may_help(own(aspect), &new.info, rejectors, &world);
                    let Self { queue, placer, rows, preempting, .. } = self;
                    let gate = |pod| gate_of(pod, rows, preempting, placer);
                    if helps && queue.move_one(pod, gate, now) {
                        break;
                    }
                }
            }
        }
        if old.nominated.is_some() && old.nominated != new.nominated {
            let priority = old.info.spec.priority;
            self.publish_below(Happened::NominationLost(&old.info), priority, names, now);
        }
    }

    /// Keeps the nomination up when its pod changes: one that the API does not know of stays (rule
    /// S157).
    fn renominate(&mut self, pod: PodRef, old: &PodFacts, new: &PodFacts) {
        let nominator = self.placer.nominator_mut();
        let known = nominator.remove(pod);
        let kept = known.filter(|_| old.nominated.is_none() && new.nominated.is_none());
        if let Some(node) = kept.or(new.nominated) {
            nominator.add(pod, Arc::clone(&new.info), node);
        }
    }

    /// A pod is gone, or has ended: what it held is free (rules S6, S58, S146).
    pub fn delete_pod(&mut self, pod: PodRef, names: &Interner, now: SimTime) {
        self.victim_is_done(pod);
        self.preempting.remove(&pod);
        let Some(row) = self.row(pod) else { return };
        match row.stage {
            Stage::Bound(node) => {
                self.discount(pod, node);
                let Some(row) = self.rows[pod.id].take() else { return };
                if self.is_listening() {
                    self.publish(Happened::PodDeleted(&row.facts.info), names, now);
                }
            }
            Stage::Assumed(_) => {
                self.forget_assumed(pod, names, now);
                self.queue.forget(pod);
                self.rows[pod.id] = None;
            }
            Stage::Waiting => {
                self.queue.forget(pod);
                self.placer.nominator_mut().remove(pod);
                let Some(Row { facts, .. }) = self.rows[pod.id].take() else { return };
                if facts.nominated.is_some() {
                    let priority = facts.info.spec.priority;
                    let lost = Happened::NominationLost(&facts.info);
                    self.publish_below(lost, priority, names, now);
                }
            }
        }
    }

    /// What was assumed of a pod does not hold: it is gone, or its binding failed.
    fn forget_assumed(&mut self, pod: PodRef, names: &Interner, now: SimTime) {
        let Some(row) = self.row_mut(pod) else { return };
        let Stage::Assumed(node) = row.stage else { return };
        row.stage = Stage::Waiting;
        let info = Arc::clone(&row.facts.info);
        self.volumes.unreserve(pod, &mut self.placer);
        self.discount(pod, node);
        self.publish(Happened::PodDeleted(&info), names, now);
    }

    /// If a pod is the last victim of another, that one is held back no longer (rule S186).
    fn victim_is_done(&mut self, victim: PodRef) {
        if !self.preempting.is_empty() {
            self.preempting.retain(|_, last| *last != victim);
        }
    }
}

/// The loop.
impl Core {
    /// Takes the next pod (rules S132, S137).
    pub fn pop(&mut self) -> Option<PodRef> {
        self.queue.pop().map(|waiting| waiting.pod)
    }

    /// One scheduling cycle of a pod that was popped, up to the assumption (rules S2, S3, S52).
    pub fn attempt(&mut self, pod: PodRef, names: &Interner) -> Outcome {
        let known = self.row(pod).filter(|row| {
            row.stage == Stage::Waiting && !row.facts.is_terminating && row.profile.is_some()
        });
        let known = known.map(|row| (row.facts.class, row.profile, row.facts.pinned));
        let Some((class, profile, pinned)) = known else {
            self.queue.forget(pod);
            return Outcome::Skipped;
        };
        let profile = profile.map_or(0, usize::from);
        let decision = match pinned {
            None => self.placer.decide(pod, class, profile, names),
            Some(name) => self.placer.decide_pinned(pod, class, name, profile, names),
        };
        match decision {
            Decision::Placed { node, feasible } => {
                let volumes = self.assume(pod, node, profile, names);
                Outcome::Assumed { node, feasible, volumes }
            }
            Decision::Failed(failure) => Outcome::Failed(Box::new(failure)),
        }
    }

    /// A pod that was popped is gone in the API: nothing is tried.
    pub fn skip(&mut self, pod: PodRef) {
        self.queue.forget(pod);
    }

    fn assume(&mut self, pod: PodRef, node: NodeId, profile: usize, names: &Interner) -> Duration {
        self.queue.set_aside(pod);
        self.placer.nominator_mut().remove(pod);
        let Some(row) = self.row_mut(pod) else { return Duration::ZERO };
        row.stage = Stage::Assumed(node);
        row.condition = None;
        let mut wait = None;
        if !row.facts.info.spec.volumes.is_empty() {
            let info = Arc::clone(&row.facts.info);
            let Self { volumes, placer, .. } = self;
            wait = volumes.reserve(pod, &info, (node, profile), placer, names);
        }
        self.count(pod, node, names);
        wait.unwrap_or(Duration::ZERO)
    }

    /// The volumes that were promised to an assumed pod are bound, which may help pods that wait
    /// (rule S123c).
    pub fn bind_volumes(&mut self, pod: PodRef, names: &Interner, now: SimTime) {
        if !self.volumes.has(pod) {
            return;
        }
        let bound = self.volumes.finish(pod, &mut self.placer, names);
        if !self.is_listening() {
            return;
        }
        for (claim, volume) in bound {
            let storage = &self.placer.catalog().storage;
            let claim = storage.claim(claim).cloned();
            if storage.volume(volume).is_some() {
                self.publish(Happened::Storage(StorageChange::VolumeAdded), names, now);
            }
            if let Some(claim) = claim {
                let change = StorageChange::ClaimUpdated(&claim);
                self.publish(Happened::Storage(change), names, now);
            }
        }
    }

    /// Whom to evict for a pod whose attempt failed; it is held back until the last of them is on
    /// its way. Those that are ending already are passed over (rule S186).
    pub fn preempt(&mut self, pod: PodRef, failure: &Failure) -> Vec<PodRef> {
        let is_alive =
            |victim: &PodRef| self.row(*victim).is_some_and(|row| !row.facts.is_terminating);
        let victims: Vec<_> = failure.victims.iter().copied().filter(is_alive).collect();
        if let Some(last) = victims.last() {
            self.preempting.insert(pod, *last);
        }
        victims
    }

    /// The failure handler: the pod is back in the queue (rules S35, S59 to S61). What must be
    /// written of it, if anything.
    pub fn fail(&mut self, pod: PodRef, failure: &Failure, now: SimTime) -> Option<Patch> {
        if self.row(pod).is_none_or(|row| row.stage != Stage::Waiting) {
            self.queue.forget(pod);
            return None;
        }
        let Self { queue, placer, rows, preempting, .. } = self;
        queue.requeue(pod, failure.plugins, |pod| gate_of(pod, rows, preempting, placer), now);
        self.nominate_and_patch(pod, failure)
    }

    fn nominate_and_patch(&mut self, pod: PodRef, failure: &Failure) -> Option<Patch> {
        let row = self.rows.get_mut(pod.id)?.as_mut()?;
        let nominator = self.placer.nominator_mut();
        nominator.remove(pod);
        let wanted = match failure.nomination {
            Nomination::Keep => None,
            Nomination::Set(node) => Some(Some(node)),
            Nomination::Clear => Some(None),
        };
        if let Some(node) = wanted.unwrap_or(row.facts.nominated) {
            nominator.add(pod, Arc::clone(&row.facts.info), node);
        }
        let is_error = failure.plugins.is_empty();
        let known = row.condition.as_ref().is_some_and(|(was_error, message)| {
            *was_error == is_error
                && (Arc::ptr_eq(message, &failure.message) || *message == failure.message)
        });
        let nomination = wanted.filter(|wanted| *wanted != row.facts.nominated);
        if known && nomination.is_none() {
            return None;
        }
        let message = Arc::clone(&failure.message);
        row.condition = Some((is_error, Arc::clone(&message)));
        Some(Patch { message, is_news: !known, nomination })
    }

    /// A binding failed: the pod is back in the queue after an error (rule S57).
    pub fn bind_failed(
        &mut self,
        pod: PodRef,
        message: &str,
        names: &Interner,
        now: SimTime,
    ) -> Option<Patch> {
        self.forget_assumed(pod, names, now);
        self.fail(pod, &Failure::error(message), now)
    }

    /// Makes a pod active at once (rule S149).
    pub fn activate(&mut self, pod: PodRef) {
        let Self { queue, placer, rows, preempting, .. } = self;
        queue.activate_now(pod, |pod| gate_of(pod, rows, preempting, placer));
    }

    /// Lets pods whose back-off is over go on (rule S136).
    pub fn flush_backoff(&mut self, now: SimTime) {
        self.queue.flush_backoff(now);
    }

    /// Lets pods that have waited long be tried again (rule S139).
    pub fn flush_unschedulable(&mut self, now: SimTime) {
        let Self { queue, placer, rows, preempting, .. } = self;
        queue.flush_unschedulable(|pod| gate_of(pod, rows, preempting, placer), now);
    }
}
