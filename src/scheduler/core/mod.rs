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

mod attempt;
mod pods;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{Duration, IdVec, Interner, LookupMap, SimTime, Symbol};
use crate::model::{NodeId, NodeSpec, PodId, PodRef, SchedulerSettings};
use crate::placement::plugins::volumes::hints::StorageChange;
use crate::placement::{
    ClassId, Failure, NodeState, PlacedPod, Placer, Plugin, PluginSet, PodInfo, Policy,
};
use crate::scheduler::binder::VolumeBinder;
use crate::scheduler::hints::{Happened, NodeAspect, helpers, may_help};
use crate::scheduler::queue::SchedulingQueue;

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
