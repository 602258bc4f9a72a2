//! Pods that are resized in place: what their node promises them, when containers get it, and why
//! not (rule N104).
//!
//! ```text
//! asked ─► fits? ──► allocated ──► sync: kills, UpdateContainerResources, starts ──► actual
//!            └─ no: Infeasible, or Deferred: tried again when something is freed, and every 3 min
//! ```
//!
//! Source: kubernetes v1.36.3 pkg/kubelet/allocation/allocation_manager.go (`canResizePod`,
//! `sortPendingResizes`, `RetryPendingResizes`), kuberuntime `validateMemoryResizeAction`,
//! `doPodResizeAction`. Differs: all containers get their amounts in one call.

use std::cmp::Reverse;
use std::sync::Arc;

use super::host::Port;
use super::machine::{Machine, Outcome, Slot};
use super::memory::Appetite;
use super::node::{NodeState, Row};
use crate::base::{Duration, SimTime};
use crate::cluster::{ResizePending, ResizeStatus, Write};
use crate::event::{Event, KubeletNodeStep};
use crate::model::{PodSpec, QosClass, Template};
use crate::record::{About, EventRecord};

/// How often deferred resizes are tried anyway.
const RETRY: Duration = Duration::mins(3);

/// The resizes of a node that wait.
#[derive(Debug, Default)]
pub(super) struct Resizes {
    waiting: Vec<(Slot, SimTime)>,
    /// Something was freed, or asked for.
    pub is_due: bool,
    /// When they are tried anyway.
    timer: Option<SimTime>,
    /// The API is to hear of some.
    has_news: bool,
}

/// A pod's amounts, as its node has them; what containers have is in its template.
#[derive(Debug)]
pub(super) struct Promise {
    /// What it is promised.
    pub allocated: Arc<Template>,
    pending: Option<ResizePending>,
    progress: Option<Option<Arc<str>>>,
    /// What is to be told to the API.
    is_news: bool,
}

impl Promise {
    /// Of a pod that is as it came.
    pub(super) const fn new(template: Arc<Template>) -> Self {
        Self { allocated: template, pending: None, progress: None, is_news: false }
    }
}

impl NodeState {
    /// The API gets to hear of a pod's amounts.
    pub(super) fn tell(&mut self, slot: Slot) {
        if let Some(row) = self.row_mut(slot) {
            row.promise.is_news = true;
            self.resizes.has_news = true;
        }
    }
}

/// Why a node does not promise an amount.
fn refusal(wants: &PodSpec, used: (i64, i64), has: (i64, i64)) -> Option<ResizePending> {
    let (cpu, memory) = (wants.requests.cpu.0, wants.requests.memory.0);
    let amounts = [("memory", memory, used.1, has.1), ("cpu", cpu, used.0, has.0)];
    for (name, wanted, _, has) in amounts {
        if wanted > has {
            let text = format!(
                "Node didn't have enough capacity: {name}, requested: {wanted}, capacity: {has}"
            );
            return Some(ResizePending { is_infeasible: true, message: text.into() });
        }
    }
    let mut amounts = amounts.into_iter().rev();
    let (name, wanted, used, has) = amounts.find(|(_, wanted, used, has)| *wanted > has - used)?;
    let text = format!(
        "Node didn't have enough resource: {name}, requested: {wanted}, used: {used}, capacity: \
         {has}"
    );
    Some(ResizePending { is_infeasible: false, message: text.into() })
}

const fn class(qos: QosClass) -> u8 {
    match qos {
        QosClass::Guaranteed => 0,
        QosClass::Burstable => 1,
        QosClass::BestEffort => 2,
    }
}

impl Port<'_, '_> {
    /// What the API asks for of a pod that is there.
    fn wanted(&self, slot: Slot) -> Option<Arc<Template>> {
        let api = self.cluster.pod(self.state.row(slot)?.pod)?;
        Some(Arc::clone(&self.cluster.template_of(api).template))
    }

    /// The API asks for amounts: tried at once if they are others than those that are promised.
    pub(super) fn resize_asked(&mut self, slot: Slot) {
        let Some(wanted) = self.wanted(slot) else { return };
        let now = self.now;
        self.state.resizes.waiting.retain(|(waiting, _)| *waiting != slot);
        let Some(row) = self.state.row_mut(slot) else { return };
        if wanted.spec.has_amounts_of(&row.promise.allocated.spec) {
            row.promise.pending = None;
            self.state.tell(slot);
        } else {
            self.state.resizes.waiting.push((slot, now));
            self.state.resizes.is_due = true;
        }
    }

    /// A kubelet that starts or hears the API again finds what was asked for meanwhile.
    pub(super) fn look_for_resizes(&mut self) {
        for slot in self.state.slots() {
            let differs = self.wanted(slot).zip(self.state.row(slot)).is_some_and(|(to, row)| {
                row.promise.pending.is_some()
                    || !to.spec.has_amounts_of(&row.promise.allocated.spec)
            });
            if differs {
                self.resize_asked(slot);
            }
        }
    }

    /// Tries the resizes that wait, if there is a reason; gives whether it did.
    pub(super) fn try_resizes(&mut self, machine: &mut Machine) -> bool {
        let is_due = std::mem::take(&mut self.state.resizes.is_due);
        if !is_due || self.state.resizes.waiting.is_empty() {
            return false;
        }
        let mut waiting = std::mem::take(&mut self.state.resizes.waiting);
        waiting.sort_by_cached_key(|(slot, since)| {
            let row = self.state.row(*slot);
            let (wanted, row) = self.wanted(*slot).zip(row)?;
            let (to, from) = (&wanted.spec.requests, &row.promise.allocated.spec.requests);
            let is_more = to.cpu > from.cpu || to.memory > from.memory;
            let priority = Reverse(wanted.spec.priority);
            Some((is_more, priority, class(wanted.spec.qos), *since))
        });
        for (slot, since) in waiting {
            if self.resize(slot, machine) {
                self.state.resizes.waiting.push((slot, since));
            }
        }
        self.arm_resizes();
        true
    }

    fn arm_resizes(&mut self) {
        let resizes = &mut self.state.resizes;
        if resizes.waiting.is_empty() {
            resizes.timer = None;
        } else if resizes.timer.is_none_or(|due| due <= self.now) {
            let due = self.now.saturating_add(RETRY);
            resizes.timer = Some(due);
            let step = KubeletNodeStep::Resizes;
            self.ctx.at(due, Event::KubeletNode { node: self.node, step });
        }
    }

    /// The timer of deferred resizes.
    pub(super) fn resizes_are_due(&mut self) {
        if self.state.resizes.timer == Some(self.now) {
            self.state.resizes.is_due = true;
        }
    }

    /// Tries one resize; gives whether it waits on.
    fn resize(&mut self, slot: Slot, machine: &mut Machine) -> bool {
        let now = self.now;
        let Some(wanted) = self.wanted(slot) else { return false };
        if machine.has_stopped(slot) {
            return false;
        }
        let sum = |(cpu, memory): (i64, i64), spec: &PodSpec| {
            (cpu + spec.requests.cpu.0, memory + spec.requests.memory.0)
        };
        let others = machine.active().filter(|other| *other != slot);
        let others = others.filter_map(|other| self.spec(other));
        let used = others.fold((0, 0), sum);
        let has = &self.cluster.nodes()[self.node].spec.allocatable;
        let has = (has.cpu.0, has.memory.0);
        let refused = match self.state.row(slot).is_some_and(Row::is_static) {
            true => {
                let message = "In-place resize of static-pods is not supported".into();
                Some(ResizePending { is_infeasible: true, message })
            }
            false => refusal(&wanted.spec, used, has),
        };
        let Some(row) = self.state.row_mut(slot) else { return false };
        let is_same = row.promise.pending == refused;
        row.promise.pending.clone_from(&refused);
        if let Some(refused) = refused {
            if !is_same {
                self.state.tell(slot);
                let reason =
                    if refused.is_infeasible { "ResizeInfeasible" } else { "ResizeDeferred" };
                let text = format!("Pod resize {}: {}", refused.reason(), refused.message);
                self.say(slot, (true, reason), text);
            }
            return !refused.is_infeasible;
        }
        row.promise.allocated = Arc::clone(&wanted);
        row.promise.progress = Some(None);
        self.state.tell(slot);
        self.say(slot, (false, "ResizeStarted"), "Pod resize started".to_owned());
        machine.resized(slot, &wanted.spec, now, self);
        false
    }

    /// How long it takes until containers have their new amounts and the API shows it.
    pub(super) fn resize_time(&mut self, slot: Slot) -> Duration {
        let latencies = self.latencies();
        let row = self.state.row(slot);
        let runs = row.is_some_and(|row| row.processes.iter().any(|own| own.is_running));
        if runs {
            latencies.resize.sample_duration(&mut self.state.machinery)
        } else {
            Duration::ZERO
        }
    }

    /// Containers get what is promised, unless one has more in memory than it may have then.
    pub(super) fn actuate(&mut self, slot: Slot) -> Outcome {
        let now = self.now;
        let Some(row) = self.state.row_mut(slot) else { return Outcome::Ok };
        let to = Arc::clone(&row.promise.allocated);
        let over = to.spec.all_containers().zip(0_u8..).find_map(|(own, c)| {
            let limit = own.memory_limit.filter(|limit| limit.0 > 0)?;
            let used = row.memory(c, now);
            let is_lower = row.spec(c).memory_limit.is_none_or(|before| limit < before);
            (is_lower && used > limit).then_some((limit, used))
        });
        if let Some((limit, used)) = over {
            let text: Arc<str> = format!(
                "attempting to set pod memory limit ({}) below current usage ({})",
                limit.0, used.0
            )
            .into();
            let error = Some(Some(Arc::clone(&text)));
            if row.promise.progress != error {
                row.promise.progress = error;
                self.state.tell(slot);
                self.say(slot, (true, "ResizeError"), format!("Pod resize error: {text}"));
            }
            return Outcome::Failed;
        }
        row.promise.progress = None;
        self.state.tell(slot);
        self.swap_template(slot, to);
        self.say(slot, (false, "ResizeCompleted"), "Pod resize completed".to_owned());
        self.state.resizes.is_due = true;
        Outcome::Ok
    }

    /// Running containers have other amounts from now on.
    fn swap_template(&mut self, slot: Slot, to: Arc<Template>) {
        let Some(row) = self.state.row_mut(slot) else { return };
        let running: Vec<(u8, Appetite)> = (0_u8..)
            .zip(&row.processes)
            .filter(|(_, process)| process.is_running)
            .map(|(c, _)| (c, row.appetite(c)))
            .collect();
        row.template = to;
        for (c, before) in running {
            self.appetite_changed(slot, c, before);
        }
    }

    /// What the API gets to hear of the node's promises.
    pub(super) fn flush_promises(&mut self) {
        if !std::mem::take(&mut self.state.resizes.has_news) {
            return;
        }
        for slot in self.state.slots() {
            let Some(row) = self.state.row_mut(slot) else { continue };
            if !std::mem::take(&mut row.promise.is_news) {
                continue;
            }
            let status = ResizeStatus {
                allocated: Arc::clone(&row.promise.allocated.spec),
                actual: Arc::clone(&row.template.spec),
                pending: row.promise.pending.clone(),
                progress: row.promise.progress.clone(),
            };
            let pod = row.pod;
            self.plan.push(Write::ResizeStatus { pod, status });
        }
    }

    /// Processes are gone: those that come have what is promised.
    pub(super) fn promises_after_power_loss(&mut self) {
        self.state.resizes.waiting.clear();
        self.state.resizes.timer = None;
        for slot in self.state.slots() {
            let Some(row) = self.state.row_mut(slot) else { continue };
            if !Arc::ptr_eq(&row.template, &row.promise.allocated) {
                row.template = Arc::clone(&row.promise.allocated);
                row.promise.progress = None;
                self.state.tell(slot);
            }
        }
    }

    fn say(&mut self, slot: Slot, (is_warning, reason): (bool, &'static str), message: String) {
        let Some(row) = self.state.row(slot) else { return };
        if self.ctx.recorder.wants_events() {
            let about = About::Pod(row.name.0, row.name.1);
            let at = self.now;
            self.ctx.recorder.event(EventRecord { at, is_warning, reason, about, message });
        }
    }
}
