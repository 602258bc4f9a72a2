//! A node that runs out of memory or of room on its disk: the kubelet evicts pods, and the kernel
//! kills containers where it is too late for that (rules N44, N95, N99 to N101).
//!
//! Of memory is available what pods can have of the node (`allocatable`), which the hard threshold
//! is subtracted from, and that threshold, less what they use: all else on a node stays within what
//! is kept for it. Of the disk it is what is not used (see [`super::node_disk`]).
//!
//! ```text
//! threshold met ─next look─► condition ─► disk: ended containers, unused images go
//!       │                                 then one pod a round ─► enough ─5 min─► no condition
//!       └─ all memory and the threshold: the kernel kills a container at once
//! ```
//!
//! The kubelet looks every 10 s, and here only when it finds something: the instant at which
//! a threshold is met is worked out whenever a process comes, goes or takes more.
//!
//! Source: kubernetes v1.36.3 pkg/kubelet/eviction/eviction_manager.go (`Start`, `synchronize`,
//! `reclaimNodeLevelResources`, `Admit`), helpers.go (`thresholdsMet`, `rankMemoryPressure`,
//! `rankDiskPressureFunc`, `evictionMessage`). Differs: no inodes, process ids and file system for
//! layers alone; what is used is known at each look; a full disk fails pulls, not writes; while
//! nobody is left to evict no look repeats the Event.

use super::host::Port;
use super::machine::pressure::{Usage, eviction_order, oom_score};
use super::machine::{Machine, Slot, admit};
use super::node::NEVER;
use super::node_disk::Fs;
use super::storage::Part;
use crate::base::{Bytes, Duration, SimTime, dist};
use crate::cluster::Write;
use crate::event::{Event, KubeletNodeStep};
use crate::model::{PodRef, PodSpec, Pressure as Condition, QosClass, Signal, Taint, TaintEffect};
use crate::record::{About, EventRecord};
use crate::sim::Streams;

/// From one look at what is available to the next, and from one report of the node to the next.
const PERIOD: Duration = Duration::secs(10);
/// How long it waits for an evicted pod to be cleaned up before it looks again.
const CLEANUP_MAX: Duration = Duration::secs(30);
/// How often it looks whether that is so.
const CLEANUP_POLL: Duration = Duration::secs(1);
/// Grace of a pod that a hard threshold evicts.
pub(super) const AT_ONCE: Duration = Duration::secs(1);
/// The reason of a pod that is evicted.
pub(super) const EVICTED: &str = "Evicted";
/// What is used is known in such blocks, in bytes.
const BLOCK: i64 = 4096;

/// What a kubelet knows of what its node runs out of.
#[derive(Debug)]
pub(super) struct Pressure {
    /// The first look; none: it looks at the very instant.
    looks: Option<SimTime>,
    /// The first report of the node.
    reports: SimTime,
    /// Since when the hard and the soft threshold of each signal are met.
    met: [[Option<SimTime>; 2]; Signal::ALL.len()],
    /// When one of them was met last, by condition.
    last_met: [SimTime; Condition::ALL.len()],
    /// The conditions as the kubelet has them.
    is_on: [bool; Condition::ALL.len()],
    /// The pod that was evicted and is not cleaned up, and until when that is waited for.
    cleanup: Option<(Slot, PodRef, SimTime)>,
    /// When the next look is due.
    due: SimTime,
    /// When the next report is.
    report_due: SimTime,
}

/// What came of a threshold that is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    /// Nothing was to be done.
    Nothing,
    /// A pod is evicted, or room was made without that.
    Something,
    /// There is nobody to evict.
    Helpless,
}

impl Pressure {
    pub(super) fn new(name: &str, streams: &Streams, is_ideal: bool) -> Self {
        let mut phases = (None, SimTime::ZERO);
        if !is_ideal {
            let rng = &mut streams.open("node-pressure", name);
            let mut phase = || SimTime::at(PERIOD.scale(dist::open01(rng)));
            phases = (Some(phase()), phase());
        }
        Self {
            looks: phases.0,
            reports: phases.1,
            met: [[None; 2]; Signal::ALL.len()],
            last_met: [SimTime::ZERO; Condition::ALL.len()],
            is_on: [false; Condition::ALL.len()],
            cleanup: None,
            due: NEVER,
            report_due: NEVER,
        }
    }

    /// The kubelet's memory of it is gone; looks that were due find nothing.
    pub(super) fn power_lost(&mut self) {
        (self.met, self.cleanup) = ([[None; 2]; Signal::ALL.len()], None);
    }

    /// The first look from an instant on.
    pub(super) fn look_from(&self, at: SimTime) -> SimTime {
        match self.looks {
            Some(phase) if at != NEVER => at.next_tick(phase, PERIOD),
            _ => at,
        }
    }

    /// Whether a threshold is met that leads to a condition.
    fn is_met(&self, condition: Condition) -> bool {
        let own = Signal::ALL.into_iter().zip(&self.met);
        let mut own = own.filter(|(signal, _)| signal.condition() == condition);
        own.any(|(_, met)| met.iter().any(Option::is_some))
    }
}

/// What a node has of something, and when too little of it is left.
#[derive(Clone, Copy)]
struct Limits {
    /// All of it.
    capacity: i64,
    /// The thresholds: so much must be available, and for how long it may not be.
    thresholds: [Option<(i64, Duration)>; 2],
    /// So much more than a threshold must be available for it to be met no longer.
    reclaim: i64,
}

impl Port<'_, '_> {
    /// What the node has of what a signal is about; `None`: nothing is said of it, and there is
    /// enough.
    fn limits(&self, signal: Signal) -> Option<Limits> {
        let spec = &self.cluster.nodes()[self.node].spec;
        let disk = self.state.disk.as_deref();
        let capacity = match signal {
            Signal::Memory => {
                let allocatable = spec.allocatable.memory.0;
                (allocatable > 0).then(|| allocatable + spec.kubelet.memory_hard().0)?
            }
            Signal::NodeFs => disk?.size(Fs::Node),
            Signal::ImageFs => disk?.size(Fs::Images),
        };
        let eviction = spec.kubelet.on(signal);
        let whole = Bytes(capacity);
        Some(Limits {
            capacity,
            thresholds: [
                eviction.hard.map(|hard| (hard.of(whole), Duration::ZERO)),
                eviction.soft.map(|(soft, grace)| (soft.of(whole), grace)),
            ],
            reclaim: eviction.reclaim.of(whole),
        })
    }

    /// How much is used of what a signal is about.
    fn used(&self, signal: Signal) -> i64 {
        let disk = |fs| self.state.disk.as_deref().map_or(0, |disk| disk.fill(fs).at(self.now));
        match signal {
            Signal::Memory => self.state.memory.at(self.now),
            Signal::NodeFs => disk(Fs::Node),
            Signal::ImageFs => disk(Fs::Images),
        }
    }

    /// When more than an amount is used of it, as things are.
    fn passes(&self, signal: Signal, amount: i64) -> SimTime {
        let now = self.now;
        let disk = |fs| match self.state.disk.as_deref() {
            Some(disk) => disk.fill(fs).passes(amount, now),
            None => NEVER,
        };
        match signal {
            Signal::Memory => self.state.memory.passes(amount, now),
            Signal::NodeFs => disk(Fs::Node),
            Signal::ImageFs => disk(Fs::Images),
        }
    }

    /// What is used, or will be, is another thing from now on.
    pub(super) fn pressure_changed(&mut self) {
        let at = self.next_look();
        self.look_at(at);
    }

    /// A process has ended: a threshold may be met no longer.
    pub(super) fn memory_freed(&mut self) {
        if self.state.pressure.is_met(Condition::Memory) {
            self.pressure_changed();
        }
    }

    /// When the kernel finds no memory left, as things are.
    fn kernel_looks(&self) -> SimTime {
        let limits = self.limits(Signal::Memory);
        limits.map_or(NEVER, |limits| self.passes(Signal::Memory, limits.capacity))
    }

    /// When somebody has to look at the node next, as things are.
    fn next_look(&self) -> SimTime {
        let pressure = &self.state.pressure;
        let look = if pressure.cleanup.is_some() { NEVER } else { self.next_finding() };
        self.kernel_looks().min(pressure.look_from(look))
    }

    /// When the kubelet would find something if it looked at every instant.
    fn next_finding(&self) -> SimTime {
        let (now, pressure) = (self.now, &self.state.pressure);
        let mut next = NEVER;
        for (signal, met) in Signal::ALL.into_iter().zip(&pressure.met) {
            let Some(limits) = self.limits(signal) else { continue };
            for (since, threshold) in met.iter().zip(limits.thresholds) {
                let Some((value, grace)) = threshold else { continue };
                let found = match since.map(|since| since.saturating_add(grace)) {
                    None => self.passes(signal, limits.capacity - value),
                    Some(due) if due > now => due,
                    Some(_) => now.saturating_add(Duration::ns(1)),
                };
                next = next.min(found);
            }
        }
        for condition in Condition::ALL {
            let at = condition as usize;
            if pressure.is_on[at] && !pressure.is_met(condition) {
                let ends = pressure.last_met[at].saturating_add(self.transition());
                next = next.min(ends.max(now));
            }
        }
        next
    }

    fn transition(&self) -> Duration {
        self.cluster.nodes()[self.node].spec.kubelet.eviction_transition
    }

    /// A look at the node: the kernel's, or the kubelet's.
    pub(super) fn look_at_node(&mut self, machine: &mut Machine) {
        let now = self.now;
        if self.state.pressure.due != now {
            return;
        }
        self.state.pressure.due = NEVER;
        if !self.cluster.nodes()[self.node].is_up {
            return;
        }
        if let Some(limits) = self.limits(Signal::Memory) {
            while self.state.memory.at(now) > limits.capacity && self.kernel_kills(&limits) {}
        }
        let before = self.state.pressure.cleanup;
        let is_turn = before.is_none() && self.state.pressure.look_from(now) == now;
        let mut done = Done::Nothing;
        if is_turn || self.cleanup_is_over(machine) {
            self.state.pressure.cleanup = None;
            done = self.synchronize(machine);
        }
        if let Some((_, _, until)) = self.state.pressure.cleanup {
            // Without latencies it may be cleaned up at this very instant.
            let is_new = before != self.state.pressure.cleanup;
            let is_soon = is_new && self.state.pressure.looks.is_none();
            self.look_at(if is_soon { now } else { (now + CLEANUP_POLL).min(until) });
        } else if done == Done::Helpless {
            self.look_when_helped();
        } else {
            self.pressure_changed();
        }
    }

    /// Nobody is left to evict: what comes or goes is looked at then, and here what does so by
    /// itself.
    fn look_when_helped(&mut self) {
        let (now, node) = (self.now, &self.cluster.nodes()[self.node]);
        let mut at = self.kernel_looks();
        if let Some(disk) = self.state.disk.as_deref() {
            let freed =
                disk.fill(Fs::Node).next_turn(now).min(disk.fill(Fs::Images).next_turn(now));
            let freed = freed.min(self.next_removable(node.spec.kubelet.images.age_min));
            at = at.min(self.state.pressure.look_from(freed));
        }
        self.look_at(at);
    }

    fn look_at(&mut self, at: SimTime) {
        if at < self.state.pressure.due {
            self.state.pressure.due = at;
            let step = KubeletNodeStep::Memory;
            self.ctx.at(at, Event::KubeletNode { node: self.node, step });
        }
    }

    /// Whether the evicted pod is cleaned up, or has been waited for long enough.
    fn cleanup_is_over(&self, machine: &Machine) -> bool {
        self.state.pressure.cleanup.is_some_and(|(slot, pod, until)| {
            let is_there = self.state.row(slot).is_some_and(|row| row.pod == pod);
            !is_there || machine.has_ended(slot) || until <= self.now
        })
    }

    /// The kernel has no memory left for pods: it kills the container that is worst by its size
    /// and score. False: there is none.
    fn kernel_kills(&mut self, limits: &Limits) -> bool {
        let now = self.now;
        let mut worst: Option<(i128, Slot, u8)> = None;
        for slot in self.state.slots() {
            let Some(row) = self.state.row(slot) else { continue };
            let count = u8::try_from(row.processes.len()).unwrap_or(u8::MAX);
            for c in (0..count).filter(|c| row.processes[usize::from(*c)].is_running) {
                let total = crate::base::Bytes(limits.capacity);
                let score = i128::from(oom_score(&row.template.spec, c, total));
                let used = row.memory(c, now).0;
                let badness = i128::from(used) + score * i128::from(limits.capacity) / 1000;
                if used > 0 && worst.is_none_or(|(most, ..)| badness > most) {
                    worst = Some((badness, slot, c));
                }
            }
        }
        let Some((_, slot, c)) = worst else { return false };
        self.kill_for_memory(slot, c);
        true
    }

    /// The kubelet looks at what is available.
    fn synchronize(&mut self, machine: &mut Machine) -> Done {
        let now = self.now;
        let was_met = Condition::ALL.map(|condition| self.state.pressure.is_met(condition));
        let all = Signal::ALL.map(|signal| (signal, self.limits(signal), self.used(signal)));
        for ((_, limits, used), met) in all.iter().zip(&mut self.state.pressure.met) {
            let Some(limits) = limits else { continue };
            for (since, threshold) in met.iter_mut().zip(limits.thresholds) {
                let more = if since.is_some() { limits.reclaim } else { 0 };
                let available = limits.capacity - used;
                let is_met = threshold.is_some_and(|(value, _)| available < value + more);
                *since = is_met.then(|| since.unwrap_or(now));
            }
        }
        for (condition, was_met) in Condition::ALL.into_iter().zip(was_met) {
            self.judge(condition, was_met);
        }
        for (signal, limits, used) in all {
            let Some(limits) = limits else { continue };
            let met = self.state.pressure.met[signal as usize];
            for (place, (since, threshold)) in met.into_iter().zip(limits.thresholds).enumerate() {
                let Some((since, (value, grace))) = since.zip(threshold) else { continue };
                if since.saturating_add(grace) <= now {
                    let available = limits.capacity - used;
                    return self.act(signal, place == 1, (value, available), machine);
                }
            }
        }
        Done::Nothing
    }

    /// Whether a condition is there now.
    fn judge(&mut self, condition: Condition, was_met: bool) {
        let (now, at) = (self.now, condition as usize);
        let transition = self.transition();
        let pressure = &mut self.state.pressure;
        let is_met = pressure.is_met(condition);
        if is_met {
            pressure.last_met[at] = now;
        } else if was_met {
            let period = if pressure.looks.is_some() { PERIOD } else { Duration::ZERO };
            pressure.last_met[at] = now.saturating_sub(period);
        }
        let lasts = pressure.last_met[at].saturating_add(transition) > now;
        let is_on = is_met || (pressure.is_on[at] && lasts);
        if std::mem::replace(&mut pressure.is_on[at], is_on) != is_on {
            self.report_later();
        }
    }

    /// Does something about a threshold that is met: room is made on the disk, or a pod goes.
    fn act(
        &mut self,
        signal: Signal,
        is_soft: bool,
        told: (i64, i64),
        machine: &mut Machine,
    ) -> Done {
        let is_disk = signal.condition() == Condition::Disk;
        if is_disk && self.reclaim(signal, machine) {
            self.tell_attempt(signal);
            return Done::Something;
        }
        let most = self.cluster.nodes()[self.node].spec.kubelet.eviction_grace_max;
        match self.evict_one(signal, is_soft.then_some(most), told, machine) {
            true => Done::Something,
            false => Done::Helpless,
        }
    }

    fn tell_attempt(&mut self, signal: Signal) {
        let text = || format!("Attempting to reclaim {}", resource(signal));
        self.tell_of_node(true, "EvictionThresholdMet", text);
    }

    /// Removes ended containers and images that nobody uses. Gives whether that is enough. On a
    /// node whose images are on a file system of their own it helps that one alone.
    fn reclaim(&mut self, signal: Signal, machine: &Machine) -> bool {
        let is_split = self.state.disk.as_deref().is_some_and(super::node_disk::NodeDisk::is_split);
        if is_split && signal == Signal::NodeFs {
            return false;
        }
        self.remove_containers(machine);
        self.remove_images(i64::MAX);
        !Signal::ALL.into_iter().any(|signal| {
            let Some(limits) = self.limits(signal) else { return false };
            let available = limits.capacity - self.used(signal);
            let wanted =
                limits.thresholds.iter().flatten().map(|(value, _)| value + limits.reclaim);
            wanted.max().is_some_and(|wanted| available < wanted)
        })
    }

    /// Evicts the first pod in the order of who is to go; `most`: its longest grace. Gives whether
    /// there is one.
    fn evict_one(
        &mut self,
        signal: Signal,
        most: Option<Duration>,
        told: (i64, i64),
        machine: &mut Machine,
    ) -> bool {
        let now = self.now;
        let is_split = self.state.disk.as_deref().is_some_and(super::node_disk::NodeDisk::is_split);
        let usages = machine.active().filter_map(|slot| {
            let row = self.state.row(slot)?;
            let spec: &PodSpec = &row.template.spec;
            let part = match signal {
                Signal::NodeFs if is_split => Part::Node,
                Signal::ImageFs if is_split => Part::Layers,
                Signal::Memory | Signal::NodeFs | Signal::ImageFs => Part::All,
            };
            let is_static = row.is_static();
            Some(match signal {
                Signal::Memory => Usage::of_memory(slot, spec, row.memory_used(now), is_static),
                Signal::NodeFs | Signal::ImageFs => {
                    Usage::of_disk(slot, spec, Bytes(row.storage_used(part, now)), is_static)
                }
            })
        });
        let usages: Vec<Usage<'_>> = usages.collect();
        let Some(slot) = eviction_order(&usages).first().copied() else { return false };
        let Some(row) = self.state.row(slot) else { return false };
        let (pod, own) = (row.pod, row.template.spec.grace);
        if let Some(tally) = self.ctx.recorder.pressure() {
            tally.evicted[signal.condition() as usize] += 1;
        }
        self.tell_attempt(signal);
        self.tell_eviction(slot, signal, told);
        self.state.pressure.cleanup = Some((slot, pod, now + CLEANUP_MAX));
        let grace = most.map_or(AT_ONCE, |most| most.min(own));
        self.evict(slot, EVICTED, grace, machine);
        true
    }

    /// The Event of a pod that is evicted: what the node lacks, and which containers use more than
    /// they ask for.
    fn tell_eviction(&mut self, slot: Slot, signal: Signal, (threshold, available): (i64, i64)) {
        let (now, names) = (self.now, self.cluster.names());
        let Some(row) = self.state.row(slot).filter(|_| self.ctx.recorder.wants_events()) else {
            return;
        };
        let what = resource(signal);
        let blocks = |bytes: i64| Bytes(bytes.max(0) / BLOCK * BLOCK);
        let mut message = format!(
            "The node was low on resource: {what}. Threshold quantity: {}, available: {}. ",
            Bytes(threshold),
            blocks(available)
        );
        let count = u8::try_from(row.processes.len()).unwrap_or(u8::MAX);
        for c in (0..count).filter(|c| row.processes[usize::from(*c)].is_running) {
            let spec = row.spec(c);
            let (used, asked) = match signal {
                Signal::Memory => (row.memory(c, now).0, spec.requests.memory),
                Signal::NodeFs | Signal::ImageFs => {
                    (row.own_storage(c, now), spec.requests.ephemeral_storage)
                }
            };
            if used > asked.0 {
                message.push_str(&format!(
                    "Container {} was using {}, request is {asked}, has larger consumption of \
                     {what}. ",
                    names.resolve(spec.name),
                    blocks(used)
                ));
            }
        }
        let about = About::Pod(row.name.0, row.name.1);
        let (at, reason, is_warning) = (now, EVICTED, true);
        self.ctx.recorder.event(EventRecord { at, is_warning, reason, about, message });
    }

    pub(super) fn tell_of_node(
        &mut self,
        is_warning: bool,
        reason: &'static str,
        text: impl Fn() -> String,
    ) {
        if self.ctx.recorder.wants_events() {
            let about = About::Node(self.cluster.nodes()[self.node].spec.name);
            let message = text();
            self.ctx.recorder.event(EventRecord {
                at: self.now,
                is_warning,
                reason,
                about,
                message,
            });
        }
    }

    /// The condition is written with the next report of the node.
    fn report_later(&mut self) {
        let at = self.next_report(self.now);
        self.report_at(at);
    }

    /// When the first report of the node from an instant on is there.
    pub(super) fn next_report(&mut self, from: SimTime) -> SimTime {
        let pressure = &self.state.pressure;
        if pressure.looks.is_none() {
            return from;
        }
        let tick = from.next_tick(pressure.reports, PERIOD);
        tick + self.latencies().status_write.sample_duration(&mut self.state.machinery)
    }

    /// The conditions of the node are reported at an instant.
    pub(super) fn report_at(&mut self, at: SimTime) {
        self.state.pressure.report_due = at;
        let step = KubeletNodeStep::Report;
        self.ctx.at(at, Event::KubeletNode { node: self.node, step });
    }

    /// The node's conditions as they are now.
    pub(super) fn report(&mut self) {
        let (node, row) = (self.node, &self.cluster.nodes()[self.node]);
        if self.state.pressure.report_due != self.now || !row.is_up {
            return;
        }
        let name = self.cluster.names().resolve(row.spec.name).to_owned();
        let text = |reason: &str| format!("Node {name} status is now: {reason}");
        if self.state.shutdown.is_some() && row.ready {
            self.tell_of_node(false, "NodeNotReady", || text("NodeNotReady"));
            self.plan.push(Write::NodeReady { node, ready: false });
        }
        for condition in Condition::ALL {
            let is_on = self.state.pressure.is_on[condition as usize];
            if row.has_pressure(condition) == is_on {
                continue;
            }
            let reason = match (condition, is_on) {
                (Condition::Memory, true) => "NodeHasInsufficientMemory",
                (Condition::Memory, false) => "NodeHasSufficientMemory",
                (Condition::Disk, true) => "NodeHasDiskPressure",
                (Condition::Disk, false) => "NodeHasNoDiskPressure",
            };
            self.tell_of_node(false, reason, || text(reason));
            if let Some(tally) = self.ctx.recorder.pressure() {
                tally.turns(condition, is_on, self.now);
            }
            self.plan.push(Write::NodePressure { node, what: condition, is_on });
        }
    }

    /// The conditions for which a node turns a pod away, bit by bit: under DiskPressure every pod
    /// but critical ones, under MemoryPressure alone one that asks for nothing and does not
    /// tolerate the taint (rule N44).
    pub(super) fn unwelcome(&self, spec: &PodSpec, is_static: bool) -> Option<i64> {
        let keys = self.cluster.node_keys();
        let taint =
            Taint { key: keys.pressures[0], value: keys.no_value, effect: TaintEffect::NoSchedule };
        let [memory, disk] = self.state.pressure.is_on;
        let stays = admit::is_critical(spec, is_static)
            || (!disk
                && (spec.qos != QosClass::BestEffort
                    || spec.tolerations.iter().any(|toleration| toleration.tolerates(&taint))));
        ((memory || disk) && !stays).then_some(i64::from(memory) | i64::from(disk) << 1)
    }
}

/// How a signal's resource is called.
const fn resource(signal: Signal) -> &'static str {
    match signal {
        Signal::Memory => "memory",
        Signal::NodeFs | Signal::ImageFs => "ephemeral-storage",
    }
}
