//! A node whose memory runs out: the kubelet evicts pods, and the kernel kills containers where it
//! is too late for that (rules N44, N95, N99 to N101).
//!
//! What is available is what pods can have of the node (`allocatable`), which the hard threshold is
//! subtracted from, and that threshold, less what they use: all else on a node stays within what
//! is kept for it.
//!
//! ```text
//! more than allocatable ─next look─► MemoryPressure, one pod a round ─► enough ─5 min─► none
//!        └─ all of it and the threshold: the kernel kills a container at once
//! ```
//!
//! The kubelet looks every 10 s, and here only when it finds something: the instant at which
//! memory passes a threshold is worked out whenever a process comes, goes or takes more.
//!
//! Source: kubernetes v1.36.3 pkg/kubelet/eviction/eviction_manager.go (`Start`, `synchronize`,
//! `Admit`), helpers.go (`thresholdsMet`, `rankMemoryPressure`). Differs: memory is the only
//! signal; what pods use is known at each look.

use super::host::Port;
use super::machine::pressure::{Usage, memory_order, oom_score};
use super::machine::{Machine, Say, Slot, admit};
use super::memory::Ledger;
use super::node::NEVER;
use crate::base::{Duration, SimTime, dist};
use crate::cluster::Write;
use crate::event::{Event, KubeletNodeStep};
use crate::model::{PodRef, PodSpec, QosClass, Taint, TaintEffect};
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

/// What a kubelet knows of the memory of its node.
#[derive(Debug)]
pub(super) struct Pressure {
    /// The first look; none: it looks at the very instant.
    looks: Option<SimTime>,
    /// The first report of the node.
    reports: SimTime,
    /// Since when the hard and the soft threshold are met.
    met: [Option<SimTime>; 2],
    /// When one of them was met last.
    last_met: SimTime,
    /// Condition MemoryPressure as the kubelet has it.
    is_on: bool,
    /// The pod that was evicted and is not cleaned up, and until when that is waited for.
    cleanup: Option<(Slot, PodRef, SimTime)>,
    /// When the next look is due.
    due: SimTime,
    /// When the next report is.
    report_due: SimTime,
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
            met: [None; 2],
            last_met: SimTime::ZERO,
            is_on: false,
            cleanup: None,
            due: NEVER,
            report_due: NEVER,
        }
    }

    /// The kubelet's memory of it is gone; looks that were due find nothing.
    pub(super) fn power_lost(&mut self) {
        (self.met, self.cleanup) = ([None; 2], None);
    }

    /// The first look from an instant on.
    pub(super) fn look_from(&self, at: SimTime) -> SimTime {
        match self.looks {
            Some(phase) if at != NEVER => at.next_tick(phase, PERIOD),
            _ => at,
        }
    }

    fn is_met(&self) -> bool {
        self.met.iter().any(Option::is_some)
    }
}

/// What a node has for pods, and when it is too little.
#[derive(Clone, Copy)]
struct Limits {
    /// What pods can have before the kernel kills.
    capacity: i64,
    /// The thresholds: so much must be available, and for how long it may not be.
    thresholds: [Option<(i64, Duration)>; 2],
}

impl Limits {
    /// More than this in use meets the first of the thresholds.
    fn first(&self) -> i64 {
        let most = self.thresholds.iter().flatten().map(|(value, _)| *value).max();
        self.capacity - most.unwrap_or(0)
    }
}

impl Port<'_, '_> {
    fn limits(&self) -> Limits {
        let spec = &self.cluster.nodes()[self.node].spec;
        let set = &spec.kubelet;
        let hard = set.eviction_hard.0;
        Limits {
            capacity: spec.allocatable.memory.0 + hard,
            thresholds: [
                Some((hard, Duration::ZERO)),
                set.eviction_soft.map(|(soft, grace)| (soft.0, grace)),
            ],
        }
    }

    /// What processes use, or will use, is another thing from now on.
    pub(super) fn memory_changed(&mut self) {
        let limits = self.limits();
        // A node of whose memory nothing is said has enough.
        if self.cluster.nodes()[self.node].spec.allocatable.memory.0 > 0 {
            let at = self.next_look(&limits);
            self.look_at(at);
        }
    }

    /// A process has ended: a threshold may be met no longer.
    pub(super) fn memory_freed(&mut self) {
        if self.state.pressure.is_met() {
            self.memory_changed();
        }
    }

    /// When somebody has to look at the memory of the node next, as things are.
    fn next_look(&self, limits: &Limits) -> SimTime {
        let (now, pressure) = (self.now, &self.state.pressure);
        let memory: &Ledger = &self.state.memory;
        let killed = memory.passes(limits.capacity, now);
        let look = if pressure.cleanup.is_some() {
            NEVER
        } else if pressure.is_met() {
            let waits = |(since, threshold): (&Option<SimTime>, &Option<(i64, Duration)>)| {
                let due = since.as_ref()?.saturating_add(threshold.as_ref()?.1);
                (due > now).then_some(due)
            };
            let others = pressure.met.iter().zip(&limits.thresholds);
            let others = others.filter(|(since, _)| since.is_none());
            let passed = others.filter_map(|(_, threshold)| {
                Some(memory.passes(limits.capacity - threshold.as_ref()?.0, now))
            });
            let waits = pressure.met.iter().zip(&limits.thresholds).filter_map(waits);
            let next = waits.chain(passed).filter(|at| *at != NEVER).min();
            next.unwrap_or_else(|| now.saturating_add(Duration::ns(1)))
        } else {
            let ends = pressure.last_met.saturating_add(self.transition());
            let ends = if pressure.is_on { ends.max(now) } else { NEVER };
            memory.passes(limits.first(), now).min(ends)
        };
        killed.min(pressure.look_from(look))
    }

    fn transition(&self) -> Duration {
        self.cluster.nodes()[self.node].spec.kubelet.eviction_transition
    }

    /// A look at the node's memory: the kernel's, or the kubelet's.
    pub(super) fn look_at_memory(&mut self, machine: &mut Machine) {
        let now = self.now;
        if self.state.pressure.due != now {
            return;
        }
        self.state.pressure.due = NEVER;
        if !self.cluster.nodes()[self.node].is_up {
            return;
        }
        let limits = self.limits();
        while self.state.memory.at(now) > limits.capacity && self.kernel_kills(&limits) {}
        let before = self.state.pressure.cleanup;
        let is_turn = before.is_none() && self.state.pressure.look_from(now) == now;
        if is_turn || self.cleanup_is_over(machine) {
            self.state.pressure.cleanup = None;
            self.synchronize(&limits, machine);
        }
        if let Some((_, _, until)) = self.state.pressure.cleanup {
            // Without latencies it may be cleaned up at this very instant.
            let is_new = before != self.state.pressure.cleanup;
            let is_soon = is_new && self.state.pressure.looks.is_none();
            self.look_at(if is_soon { now } else { (now + CLEANUP_POLL).min(until) });
        } else if self.is_hopeless(&limits) {
            // Nothing is left to evict: what comes or goes is looked at then.
            self.look_at(self.state.memory.passes(limits.capacity, now));
        } else {
            self.memory_changed();
        }
    }

    fn look_at(&mut self, at: SimTime) {
        if at < self.state.pressure.due {
            self.state.pressure.due = at;
            let step = KubeletNodeStep::Memory;
            self.ctx.at(at, Event::KubeletNode { node: self.node, step });
        }
    }

    /// Whether a threshold is met and has waited long enough, so that a pod would have been
    /// evicted if there were one.
    fn is_hopeless(&self, limits: &Limits) -> bool {
        let met = self.state.pressure.met.iter().zip(&limits.thresholds);
        met.filter_map(|(since, of)| Some((*since)?.saturating_add(of.as_ref()?.1)))
            .any(|due| due <= self.now)
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
    fn synchronize(&mut self, limits: &Limits, machine: &mut Machine) {
        let now = self.now;
        let reclaim = self.cluster.nodes()[self.node].spec.kubelet.eviction_reclaim.0;
        let available = limits.capacity - self.state.memory.at(now);
        let pressure = &mut self.state.pressure;
        let was_met = pressure.is_met();
        for (since, threshold) in pressure.met.iter_mut().zip(&limits.thresholds) {
            let more = if since.is_some() { reclaim } else { 0 };
            let is_met = threshold.is_some_and(|(value, _)| available < value + more);
            *since = is_met.then(|| since.unwrap_or(now));
        }
        if pressure.is_met() {
            pressure.last_met = now;
        } else if was_met {
            let period = if pressure.looks.is_some() { PERIOD } else { Duration::ZERO };
            pressure.last_met = now.saturating_sub(period);
        }
        let lasts = pressure.last_met.saturating_add(self.transition()) > now;
        let pressure = &mut self.state.pressure;
        let is_on = pressure.is_met() || (pressure.is_on && lasts);
        if is_on != pressure.is_on {
            pressure.is_on = is_on;
            self.report_later();
        }
        let [hard, soft] = self.state.pressure.met;
        let is_over = |since: Option<SimTime>, at: usize| {
            let grace = limits.thresholds[at].map_or(Duration::ZERO, |(_, grace)| grace);
            since.is_some_and(|since| since.saturating_add(grace) <= now)
        };
        if is_over(hard, 0) {
            self.evict_one(limits.thresholds[0], None, available, machine);
        } else if is_over(soft, 1) {
            let most = self.cluster.nodes()[self.node].spec.kubelet.eviction_grace_max;
            self.evict_one(limits.thresholds[1], Some(most), available, machine);
        }
    }

    /// Evicts the first pod in the order of who is to go; `most`: its longest grace.
    fn evict_one(
        &mut self,
        threshold: Option<(i64, Duration)>,
        most: Option<Duration>,
        available: i64,
        machine: &mut Machine,
    ) {
        let now = self.now;
        let usages = machine.active().filter_map(|slot| {
            let row = self.state.row(slot)?;
            let spec: &PodSpec = &row.template.spec;
            let (memory, is_static) = (row.memory_used(now), row.is_static());
            Some(Usage { slot, spec, memory, is_static })
        });
        let usages: Vec<Usage<'_>> = usages.collect();
        let Some(slot) = memory_order(&usages).first().copied() else { return };
        let Some(row) = self.state.row(slot) else { return };
        let (pod, own) = (row.pod, row.template.spec.grace);
        let text = || "Attempting to reclaim memory".to_owned();
        self.tell_of_node(true, "EvictionThresholdMet", text);
        let threshold = threshold.map_or(0, |(value, _)| value);
        let say = Say::Evicted { threshold, available };
        if self.ctx.recorder.wants_events() {
            self.tell(slot, None, say);
        }
        self.state.pressure.cleanup = Some((slot, pod, now + CLEANUP_MAX));
        let grace = most.map_or(AT_ONCE, |most| most.min(own));
        machine.evict(slot, EVICTED, grace, now, self);
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
        let is_on = self.state.pressure.is_on;
        if row.memory_pressure != is_on {
            let reason =
                if is_on { "NodeHasInsufficientMemory" } else { "NodeHasSufficientMemory" };
            self.tell_of_node(false, reason, || text(reason));
            self.plan.push(Write::NodePressure { node, is_on });
        }
    }

    /// Whether a node under pressure turns a pod away: one that asks for nothing, and does not
    /// tolerate the taint (rule N44).
    pub(super) fn is_unwelcome(&self, spec: &PodSpec, is_static: bool) -> bool {
        let keys = self.cluster.node_keys();
        let taint =
            Taint { key: keys.pressures[0], value: keys.no_value, effect: TaintEffect::NoSchedule };
        self.state.pressure.is_on
            && spec.qos == QosClass::BestEffort
            && !admit::is_critical(spec, is_static)
            && !spec.tolerations.iter().any(|toleration| toleration.tolerates(&taint))
    }
}
