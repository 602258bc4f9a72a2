//! What is around the machine of a node: its pods as the world has them, images, draws.

use std::collections::VecDeque;
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use smallvec::SmallVec;

use super::addresses::Reservations;
use super::disks::RowDisks;
use super::machine::{Call, Config, Exit, Outcome, Slot};
use super::memory::Ledger;
use super::node_disk::NodeDisk;
use super::pressure::Pressure;
use super::processes::Process;
use super::resize::{Promise, Resizes};
use super::shutdown::Shutdown;
use super::status::Word;
use super::storage::RowStorage;
use crate::base::{Duration, Interner, Ip, LookupSet, SimTime, Symbol, cast, dist};
use crate::cluster::Pod;
use crate::model::{
    Behavior, ConfigRef, Container, KubeletSpec, Latencies, NodeSpec, PodRef, Template,
};
use crate::record::PodName;
use crate::sim::Streams;

/// An instant that does not come: nothing is due.
pub(super) const NEVER: SimTime = SimTime::MAX;

/// What the machine is to be told at this instant.
#[derive(Clone, Copy, Debug)]
pub(super) enum News {
    /// A process ended.
    Exited(Slot, u8, Exit),
    /// A call is over.
    Done(Slot, Call, Outcome),
    /// Probes get other answers from now on.
    Outlook(Slot),
}

/// What a node has besides its machine.
#[derive(Debug)]
pub(super) struct NodeState {
    /// Draws of the machinery.
    pub machinery: ChaCha8Rng,
    /// Draws of how fast images come.
    pub pulls: ChaCha8Rng,
    /// Draws of what containers do.
    pub apps: ChaCha8Rng,
    /// Images that are there.
    pub images: LookupSet<Symbol>,
    /// Pulls under way that will fail.
    pub failing: Vec<(Slot, u8)>,
    /// Sandboxes being made.
    pub sandboxes: u32,
    /// The addresses of its pods.
    pub addresses: Reservations,
    /// When the event of the machine is due.
    pub due: SimTime,
    /// The pod that the machine is about to take, until its slot is known.
    pub incoming: Option<Row>,
    /// What the machine is to be told.
    pub news: VecDeque<News>,
    /// What it wrote in this event.
    pub words: Vec<Word>,
    /// What its processes have in memory.
    pub memory: Ledger,
    /// Whether it runs out of memory, or of disk.
    pub pressure: Pressure,
    /// What is on its disk; `None`: there is enough.
    pub disk: Option<Box<NodeDisk>>,
    /// When the disks that it uses are reported next.
    pub disks_due: SimTime,
    /// The shutdown of its machine, once it has begun.
    pub shutdown: Option<Shutdown>,
    /// Calls made so far; wraps around.
    pub calls: u16,
    /// When the bucket of its client would be full again (rule N11).
    client_full: SimTime,
    /// Resizes that wait.
    pub resizes: Resizes,
    rows: Vec<Option<Row>>,
}

/// A pod on its node.
#[derive(Debug)]
pub(super) struct Row {
    /// Which it is.
    pub pod: PodRef,
    /// Its name.
    pub name: (Symbol, PodName),
    /// Its template; the API may forget it before the kubelet does.
    pub template: Arc<Template>,
    /// See [`Pod::uid`].
    pub uid: u64,
    /// See [`Pod::index`].
    pub index: Option<u32>,
    is_static: bool,
    /// How long its containers run, if that is said of the pod.
    pub lifetime: Option<Duration>,
    /// When the kubelet took it.
    pub taken: SimTime,
    /// When its first container ran.
    pub started: Option<SimTime>,
    /// Since when its volumes cannot be mounted.
    pub mounts_from: Option<SimTime>,
    /// Objects with newer data than its files: which, when they changed, when the kubelet hears.
    pub files: Vec<(ConfigRef, SimTime, SimTime)>,
    /// Immutable objects whose files it has: whether a Secret, and the name.
    pub sealed: Vec<(bool, Symbol)>,
    /// When its files are made anew.
    pub files_due: SimTime,
    /// The address of its sandbox, if that has one of its own.
    pub address: Option<Ip>,
    /// Its disks, if it has some.
    pub disks: Option<Box<RowDisks>>,
    /// What it has on the node's disk, if its containers write something.
    pub storage: Option<Box<RowStorage>>,
    /// Whether the kubelet ends it, so that its containers are removed then.
    pub is_evicted: bool,
    /// Whether its ended containers are removed.
    pub is_cleared: bool,
    /// Whether it is known when its readiness gates open.
    pub gates_are_due: bool,
    /// Init containers, then the others.
    pub processes: SmallVec<[Process; 1]>,
    /// Calls under way, by their numbers.
    pub calls: SmallVec<[(u16, Call); 1]>,
    /// What the node has promised its containers.
    pub promise: Promise,
    /// Whether somebody outside of the cluster has opened its readiness gates.
    pub gates_are_open: bool,
    /// The status that the kubelet wrote last, or would have.
    pub(super) last: Option<crate::cluster::PodStatus>,
}

impl Row {
    pub(super) fn new(pod: PodRef, row: &Pod, template: Arc<Template>, now: SimTime) -> Self {
        let processes = template.behaviors.iter().map(|_| Process::NEW).collect();
        Self {
            pod,
            name: (row.namespace, row.name),
            uid: row.uid,
            index: row.index,
            is_static: row.is_static,
            lifetime: row.lifetime.or(template.spec.lifetime),
            promise: Promise::new(Arc::clone(&template)),
            gates_are_open: false,
            taken: now,
            started: None,
            mounts_from: None,
            files: Vec::new(),
            sealed: Vec::new(),
            files_due: NEVER,
            address: None,
            disks: None,
            storage: RowStorage::of(&template.behaviors),
            is_evicted: false,
            is_cleared: false,
            gates_are_due: false,
            processes,
            calls: SmallVec::new(),
            last: None,
            template,
        }
    }

    /// Whether the kubelet has it from a file of its own (rule N15).
    pub(super) const fn is_static(&self) -> bool {
        self.is_static
    }

    /// How many init containers it has.
    pub(super) fn inits_u8(&self) -> u8 {
        u8::try_from(self.inits()).unwrap_or(u8::MAX)
    }

    fn inits(&self) -> usize {
        self.template.spec.init_containers.len()
    }

    /// Whether it is an init container (sidecars among them).
    pub(super) fn is_init(&self, c: u8) -> bool {
        usize::from(c) < self.inits()
    }

    /// Whether it is a sidecar: an init container that keeps running (rule N65).
    pub(super) fn is_sidecar(&self, c: u8) -> bool {
        self.is_init(c) && self.spec(c).restart_always
    }

    /// The container that serves calls.
    pub(super) fn server(&self) -> Option<u8> {
        let inits = u8::try_from(self.inits()).ok()?;
        Some(inits + self.template.server?)
    }

    /// A container as its template describes it.
    pub(super) fn spec(&self, c: u8) -> &Container {
        let (spec, index) = (&self.template.spec, usize::from(c));
        match index.checked_sub(spec.init_containers.len()) {
            None => &spec.init_containers[index],
            Some(index) => &spec.containers[index],
        }
    }

    /// What a container does.
    pub(super) fn behavior(&self, c: u8) -> &Behavior {
        &self.template.behaviors[usize::from(c)]
    }

    /// A container's process.
    pub(super) fn process(&mut self, c: u8) -> &mut Process {
        &mut self.processes[usize::from(c)]
    }
}

impl NodeState {
    pub(super) fn new(
        name: &str,
        spec: &NodeSpec,
        names: &Interner,
        streams: &Streams,
        is_ideal: bool,
    ) -> Self {
        let mut present = LookupSet::new();
        for (image, _) in spec.images.iter() {
            present.insert(*image);
        }
        let disk = spec.kubelet.disk.as_ref().map(|disk| {
            Box::new(NodeDisk::new(name, (disk, &spec.images), names, streams, is_ideal))
        });
        Self {
            disk,
            machinery: streams.open("kubelet", name),
            pulls: streams.open("pulls", name),
            apps: streams.open("containers", name),
            images: present,
            failing: Vec::new(),
            sandboxes: 0,
            addresses: Reservations::default(),
            due: NEVER,
            incoming: None,
            news: VecDeque::new(),
            words: Vec::new(),
            memory: Ledger::default(),
            pressure: Pressure::new(name, streams, is_ideal),
            disks_due: NEVER,
            shutdown: None,
            calls: 0,
            client_full: SimTime::ZERO,
            resizes: Resizes::default(),
            rows: Vec::new(),
        }
    }

    /// The kubelet makes so many requests to the API server: how long its client has them wait.
    ///
    /// Source: kubernetes v1.36.3 pkg/kubelet/apis/config/v1beta1/defaults.go, `kubeAPIQPS` 50,
    /// `kubeAPIBurst` 100 (rule N11).
    pub(super) fn requests_wait(&mut self, requests: u64, now: SimTime) -> Duration {
        const GAP: Duration = Duration::ms(20);
        const BURST: u64 = 100;
        self.client_full = self.client_full.max(now) + GAP.saturating_mul(requests);
        self.client_full.saturating_since(now).saturating_sub(GAP.saturating_mul(BURST))
    }

    /// The pod of a slot, if there is one.
    pub(super) fn row(&self, slot: Slot) -> Option<&Row> {
        self.rows.get(cast::usize_of(slot.0))?.as_ref()
    }

    /// The same, to be changed.
    pub(super) fn row_mut(&mut self, slot: Slot) -> Option<&mut Row> {
        self.rows.get_mut(cast::usize_of(slot.0))?.as_mut()
    }

    /// Puts the pod that came into its slot, if that has not been done.
    pub(super) fn bind(&mut self, slot: Slot) -> Option<PodRef> {
        let row = self.incoming.take()?;
        let at = cast::usize_of(slot.0);
        if self.rows.len() <= at {
            self.rows.resize_with(at + 1, || None);
        }
        let pod = row.pod;
        self.rows[at] = Some(row);
        Some(pod)
    }

    /// Forgets the pod of a slot.
    pub(super) fn forget(&mut self, slot: Slot) {
        if let Some(row) = self.rows.get_mut(cast::usize_of(slot.0)) {
            self.resizes.is_due = true;
            *row = None;
        }
    }

    /// The slots that have a pod.
    pub(super) fn slots(&self) -> Vec<Slot> {
        let known = (0..).map(Slot).zip(&self.rows).filter(|(_, row)| row.is_some());
        known.map(|(slot, _)| slot).collect()
    }
}

/// The kubelet's loops. In `ideal` there are none: what changes is seen, and what is due is done,
/// at that instant. Else their phases are drawn.
///
/// Housekeeping does nothing here but forget pods that are gone, and has no period.
pub(super) fn config(latencies: &Latencies, set: &KubeletSpec, rng: &mut ChaCha8Rng) -> Config {
    let is_ideal = latencies.relist.is_zero();
    let tick = if is_ideal { Duration::ZERO } else { Duration::secs(1) };
    let phase = |period: Duration, rng: &mut ChaCha8Rng| {
        if period.is_zero() { SimTime::ZERO } else { SimTime::at(period.scale(dist::open01(rng))) }
    };
    Config {
        relist: latencies.relist,
        relist_phase: phase(latencies.relist, rng),
        on_demand: if is_ideal { Duration::ZERO } else { Duration::ms(1) },
        sync_tick: tick,
        sync_phase: phase(tick, rng),
        housekeeping: Duration::ZERO,
        status_tick: if is_ideal { Duration::ZERO } else { Duration::secs(10) },
        volume_loop: if latencies.volumes.is_zero() { Duration::ZERO } else { Duration::ms(100) },
        volume_wait: latencies.volumes,
        backoff_max: set.backoff_max,
        serialize_pulls: set.serialize_pulls,
        parallel_pulls_max: set.parallel_pulls_max,
        limits_pulls: (!is_ideal && set.pulls_per_second > 0)
            .then_some((set.pulls_per_second, set.pulls_burst)),
        resync: false,
    }
}
