//! What the machine of a node asks of its world: calls of the runtime and of the API, with the
//! latencies of the model.

use smallvec::SmallVec;

use super::Place;
use super::machine::{
    Call, Host, Kill, Machine, Outcome, Outlook, Rejection, Say, Slot, Status, Which, admit,
};
use super::node::{NEVER, News, NodeState};
use super::pressure::EVICTED;
use super::processes::{hook_fails, hook_time, is_exec};
use super::shutdown::NODE_SHUTDOWN;
use crate::base::{Bytes, Distribution, Duration, IdVec, SimTime, Symbol, dist};
use crate::cluster::{Cluster, Plan, Serving};
use crate::event::{Event, KubeletNodeStep, SlotStep};
use crate::model::{ConfigRef, Latencies, NodeId, NodeSpec, PodId, PodSpec, TaintEffect};
use crate::sim::Ctx;

/// How much longer a sandbox takes for each other one that its node makes meanwhile (rule N302).
const SANDBOX_CROWDING: f64 = 0.03;

/// What the machine does in one event before the engine has another look at it.
const ROUNDS_MAX: u32 = 100_000;

/// All that the machine of a node may touch, for the time of one event.
pub(super) struct Port<'a, 'q> {
    /// Which node.
    pub node: NodeId,
    /// What is around its machine.
    pub state: &'a mut NodeState,
    /// Where pods are.
    pub pods: &'a mut IdVec<PodId, Place>,
    /// The cluster.
    pub cluster: &'a Cluster,
    /// What is asked for.
    pub plan: &'a mut Plan,
    /// Queue and recorder.
    pub ctx: &'a mut Ctx<'q>,
    /// The present instant.
    pub now: SimTime,
    /// Whether the scenario has callers at all.
    pub has_callers: bool,
}

impl<'a> Port<'a, '_> {
    /// How long things take.
    pub(super) fn latencies(&self) -> &'a Latencies {
        &self.cluster.model().latencies
    }

    /// Lets a step happen at an instant.
    pub(super) fn later(&mut self, at: SimTime, slot: Slot, step: SlotStep) {
        if at != NEVER {
            self.ctx.at(at, Event::Slot { node: self.node, slot: slot.0, step });
        }
    }

    /// The slot of the pod that came is known.
    pub(super) fn bind(&mut self, slot: Slot) {
        if let Some(pod) = self.state.bind(slot)
            && let Some(place) = self.pods.get_mut(pod.id).filter(|place| place.life == pod.life)
        {
            place.slot = Some(slot);
        }
    }

    /// All that follows at this instant; then what the API gets of it, and the machine's event.
    pub(super) fn settle(&mut self, machine: &mut Machine) {
        let now = self.now;
        for _ in 0..ROUNDS_MAX {
            match self.state.news.pop_front() {
                Some(News::Exited(slot, c, exit)) => machine.exited(slot, c, exit, now, self),
                Some(News::Done(slot, call, end)) => machine.done(slot, call, end, now, self),
                Some(News::Outlook(slot)) => machine.outlook_changed(slot, now, self),
                None if machine.next_due().is_some_and(|due| due <= now) => {
                    machine.advance(now, self);
                }
                None if self.try_resizes(machine) => {}
                None if self.shutdown_goes_on(machine) => {}
                None => break,
            }
        }
        self.flush();
        let due = machine.next_due().map_or(NEVER, |due| due.max(now));
        if due != self.state.due {
            self.state.due = due;
            if due != NEVER {
                let step = KubeletNodeStep::Due;
                self.ctx.at(due, Event::KubeletNode { node: self.node, step });
            }
        }
    }

    fn draw(&mut self, of: &Distribution) -> Duration {
        of.sample_duration(&mut self.state.machinery)
    }

    /// How long a call takes; probes and stops are not asked for.
    fn time_of(&mut self, slot: Slot, call: Call) -> Duration {
        let latencies = self.latencies();
        match call {
            Call::RunSandbox { .. } => {
                let alone = self.draw(&latencies.sandbox);
                let others = f64::from(self.state.sandboxes);
                self.state.sandboxes += 1;
                alone.scale(1.0 + SANDBOX_CROWDING * others)
            }
            Call::StopSandbox => self.draw(&latencies.sandbox_stop),
            Call::Create { .. } => self.draw(&latencies.container_start),
            Call::Pull { container, image } => {
                let fixed = self.draw(&latencies.pull);
                if self.is_out(image) {
                    self.state.failing.push((slot, container));
                    return fixed;
                }
                // Layers that are there are not fetched again.
                let row = self.state.row(slot).filter(|_| !self.state.images.contains(&image));
                let size = row.map_or(Bytes(0), |row| row.behavior(container).image_size);
                if size.0 == 0 {
                    return fixed;
                }
                // Rule N302: registries and links are slow now and then.
                let spread = latencies.pull_rate / latencies.pull_slow;
                let slower = match spread > 1.0 {
                    true => Distribution::log_normal_p99(1.0, spread).sample(&mut self.state.pulls),
                    false => 1.0,
                };
                fixed + Duration::from_secs_f64(size.as_f64() * slower / latencies.pull_rate)
            }
            Call::Hook { container, is_post_start } => {
                if let Some(wait) = self.waits_for_proxy(slot, container, is_post_start) {
                    return wait;
                }
                let row = self.state.row(slot);
                row.map_or(Duration::ZERO, |row| hook_time(row, container, is_post_start))
            }
            // GET and PATCH together: the PATCH takes effect as it begins.
            Call::Get => {
                let waits = latencies.limited_clients;
                let wait =
                    if waits { self.state.requests_wait(2, self.now) } else { Duration::ZERO };
                wait + self.draw(&latencies.status_write)
            }
            Call::Resize => self.resize_time(slot),
            Call::Start { .. }
            | Call::Stop { .. }
            | Call::Remove { .. }
            | Call::Probe { .. }
            | Call::Patch
            | Call::Delete => Duration::ZERO,
        }
    }

    /// Whether no registry gives an image now (rule N63).
    fn is_out(&self, image: Symbol) -> bool {
        let outages = &self.cluster.model().outages;
        !outages.is_empty() && {
            let name = self.cluster.names().resolve(image);
            outages.iter().any(|outage| outage.hits(name, self.now))
        }
    }

    /// A call is over: what it did, and how it ended.
    fn end(&mut self, slot: Slot, call: Call) -> Outcome {
        match call {
            Call::RunSandbox { .. } => {
                self.state.sandboxes = self.state.sandboxes.saturating_sub(1);
                // Rule N58: a node without its network plugin makes none, nor one without an address.
                let node = &self.cluster.nodes()[self.node];
                let address = if node.cni_is_down { None } else { self.take_address(slot) };
                let Some(ip) = address else {
                    self.ctx.recorder.failed_sandbox(self.cluster.names().resolve(node.spec.name));
                    return Outcome::Failed;
                };
                return Outcome::Sandbox(ip.number());
            }
            Call::StopSandbox => {
                self.set_serving(slot, Serving::Gone);
                self.drop_address(slot);
            }
            Call::Start { container, .. } => self.launch(slot, container),
            Call::Pull { container, image } => {
                let of = (slot, container);
                if let Some(at) = self.state.failing.iter().position(|failing| *failing == of) {
                    self.state.failing.swap_remove(at);
                    self.ctx.recorder.failed_pull(self.cluster.names().resolve(image));
                    return Outcome::Failed;
                }
                if !self.has_room_for(slot, container, image) {
                    return Outcome::Failed;
                }
                self.state.images.insert(image);
            }
            Call::Get => {
                let row = self.state.row(slot);
                if row.is_none_or(|row| self.cluster.pod(row.pod).is_none()) {
                    return Outcome::Failed;
                }
            }
            Call::Delete => self.remove_object(slot),
            Call::Hook { container, is_post_start } => {
                let row = self.state.row(slot);
                if row.is_some_and(|row| hook_fails(row, container, is_post_start)) {
                    return Outcome::Exit(1);
                }
                if !is_post_start {
                    self.quits(slot, container);
                }
            }
            Call::Resize => return self.actuate(slot),
            Call::Create { .. }
            | Call::Stop { .. }
            | Call::Remove { .. }
            | Call::Probe { .. }
            | Call::Patch => {}
        }
        Outcome::Ok
    }

    /// A call under way is over, unless it was given up.
    pub(super) fn done(&mut self, slot: Slot, number: u16) {
        let Some(row) = self.state.row_mut(slot) else { return };
        let Some(at) = row.calls.iter().position(|(of, _)| *of == number) else { return };
        let (_, call) = row.calls.swap_remove(at);
        let outcome = self.end(slot, call);
        self.state.news.push_back(News::Done(slot, call, outcome));
    }

    /// A pod with what the node has promised it.
    pub(super) fn spec(&self, slot: Slot) -> Option<&PodSpec> {
        self.state.row(slot).map(|row| &*row.promise.allocated.spec)
    }

    /// Whether all pods of the node fit by the API's sums, so that there is nothing to look at:
    /// they hold every pod that the kubelet has and those that it has not seen yet.
    fn all_fit(&self, spec: &PodSpec) -> bool {
        let node = &self.cluster.nodes()[self.node];
        let has = &node.spec.allocatable;
        let sum = &node.requested;
        let most = crate::base::cast::usize_of(node.spec.pods_max);
        spec.host_ports.is_empty()
            && node.pods.len() <= most
            && sum.cpu <= has.cpu
            && sum.memory <= has.memory
            && sum.ephemeral_storage <= has.ephemeral_storage
            && sum.scalars.iter().all(|(name, amount)| {
                let known = has.scalars.iter().find(|(n, _)| n == name);
                known.is_none_or(|(_, there)| amount <= there)
            })
    }
}

/// The node without the taint of an unreachable node, which every pod tolerates for a while
/// (rule N403); `None`: it has none.
fn without_unreachable(node: &NodeSpec, key: Symbol) -> Option<NodeSpec> {
    let is_it =
        |taint: &crate::model::Taint| taint.key == key && taint.effect == TaintEffect::NoExecute;
    node.taints.iter().any(is_it).then(|| {
        let mut node = node.clone();
        node.taints.retain(|taint| !is_it(taint));
        node
    })
}

impl Host for Port<'_, '_> {
    fn begin(&mut self, slot: Slot, call: Call) -> Option<Outcome> {
        self.bind(slot);
        match call {
            Call::RunSandbox { .. } => self.seal_files(slot),
            Call::Probe { container, which, timeout, .. } => {
                self.begin_probe(slot, container, which, (call, timeout));
                return None;
            }
            Call::Stop { container, timeout, .. } => {
                return self.stop(slot, container, timeout, call);
            }
            _ => {}
        }
        let time = self.time_of(slot, call);
        if time.is_zero() {
            return Some(self.end(slot, call));
        }
        self.state.calls = self.state.calls.wrapping_add(1);
        let number = self.state.calls;
        let row = self.state.row_mut(slot).expect("a pod that the machine has");
        row.calls.push((number, call));
        self.later(self.now.saturating_add(time), slot, SlotStep::Done(number));
        None
    }

    fn begin_patch(&mut self, slot: Slot, status: &Status) -> Option<Outcome> {
        self.write_status(slot, status);
        Some(Outcome::Ok)
    }

    fn cancel(&mut self, slot: Slot, call: Call) {
        if let Some(row) = self.state.row_mut(slot) {
            row.calls.retain(|(_, under_way)| *under_way != call);
        }
    }

    fn event(&mut self, slot: Slot, container: Option<u8>, say: Say) {
        self.bind(slot);
        if let (Say::Killing(Kill::Liveness | Kill::Startup), Some(c)) = (say, container) {
            self.condemned(slot, c);
        }
        if say == Say::Started {
            self.refresh_files(slot);
        }
        if self.ctx.recorder.wants_events() {
            self.tell(slot, container, say);
        }
    }

    fn requeue(&mut self, _slot: Slot, base: Duration) -> Duration {
        if self.latencies().relist.is_zero() {
            return base;
        }
        base.scale(1.0 + 0.5 * dist::open01(&mut self.state.machinery))
    }

    fn has_volumes(&mut self, slot: Slot) -> bool {
        self.bind(slot);
        // Every pod has the token of its service account, which takes no time where nothing does.
        !self.latencies().volumes.is_zero()
            || self.state.row(slot).is_some_and(|row| row.disks.is_some())
            || self
                .spec(slot)
                .is_some_and(|spec| spec.config_refs.iter().any(ConfigRef::is_mounted))
    }

    fn unmounts(&mut self, slot: Slot, at: SimTime) {
        self.disks_unmount(slot, at);
        self.storage_stops(slot, at);
    }

    fn clean_up(&mut self, _slot: Slot) -> Duration {
        let latencies = self.latencies();
        self.draw(&latencies.finalize)
    }

    fn poke_sees(&mut self, slot: Slot, container: u8) -> bool {
        let miss = self.latencies().probe_miss;
        if miss <= 0.0 {
            return true;
        }
        let Some(row) = self.state.row(slot) else { return true };
        let runs = u64::from(row.processes[usize::from(container)].runs());
        let which = dist::mix(u64::from(container) << 32 | runs);
        dist::open01_of(dist::mix(row.uid ^ which)) >= miss
    }

    fn lacks_config(&mut self, slot: Slot, container: u8) -> bool {
        self.missing_config(slot, Some(container)).is_some()
    }

    fn lacks_volumes(&mut self, slot: Slot) -> bool {
        self.cannot_mount(slot)
    }

    fn has_more_now(&mut self) -> bool {
        !self.state.news.is_empty()
    }

    fn has_image(&mut self, image: Symbol) -> bool {
        self.state.images.contains(&image)
    }

    fn probe_outlook(&mut self, slot: Slot, container: u8, which: Which) -> Outlook {
        self.outlook(slot, container, which)
    }

    fn probe_heeds_cancel(&mut self, slot: Slot, container: u8, which: Which) -> bool {
        let is_on = self.cluster.model().regressions.cancelled_exec_probes;
        is_on && self.state.row(slot).is_some_and(|row| is_exec(row, container, which))
    }

    fn rejection(&mut self, slot: Slot, others: &[Slot]) -> Option<Rejection> {
        self.bind(slot);
        let spec = self.spec(slot)?;
        let is_static = self.state.row(slot).is_some_and(|row| row.is_static());
        if self.state.shutdown.is_some() {
            return Some(Rejection { reason: NODE_SHUTDOWN, numbers: [0; 3], victims: Vec::new() });
        }
        if let Some(conditions) = self.unwelcome(spec, is_static) {
            if let Some(tally) = self.ctx.recorder.pressure() {
                tally.turned_away += 1;
            }
            let numbers = [conditions, 0, 0];
            return Some(Rejection { reason: EVICTED, numbers, victims: Vec::new() });
        }
        let node = &self.cluster.nodes()[self.node].spec;
        let pruned = without_unreachable(node, self.cluster.node_keys().unreachable);
        let node = pruned.as_ref().unwrap_or(node);
        let others: SmallVec<[admit::Held<'_>; 16]> = if self.all_fit(spec) {
            SmallVec::new()
        } else {
            others.iter().filter_map(|other| Some((*other, self.spec(*other)?))).collect()
        };
        admit::rejection(spec, &others, node, is_static, self.cluster.names())
    }

    fn forgotten(&mut self, slot: Slot) {
        self.drop_address(slot);
        if let Some(row) = self.state.row(slot) {
            let pod = row.pod;
            if let Some(place) = self.pods.get_mut(pod.id).filter(|p| p.life == pod.life) {
                place.slot = None;
            }
        }
        self.storage_forgotten(slot);
        self.state.forget(slot);
    }
}
