//! All kubelets together: from a bound pod to running containers, their probes and restarts, and
//! their end.
//!
//! What a kubelet does is in `machine`, one [`Machine`] a node, proved against recordings. This is
//! the world around it: `mod` tells it what the cluster changes, `host` carries out its calls with
//! the latencies of the model, `processes` is what containers do, `status` and `events` put into
//! the API what it writes.
//!
//! ```text
//!  Change ─► observe ─► event ─► handle ─► Machine ⇄ host ─► Plan
//!                         ▲                  │        │
//!                         └── next_due ◄─────┘        └─► processes ─► event
//! ```
//!
//! What takes no time happens in one event: in `ideal` latencies a pod costs an event for its start
//! and one for its end. A machine has one event of its own, for when it is due next; nothing of a
//! pod that runs and is well is ever due.
//!
//! Source: kubernetes v1.36.3 pkg/kubelet (rules N1 to N139). Differs: no resync without cause
//! (N8); no limits of attached volumes (N46).

mod addresses;
mod disks;
mod events;
mod files;
mod fill;
mod hang;
mod host;
pub mod machine;
mod memory;
mod mounts;
mod node;
mod node_disk;
mod node_reports;
mod pressure;
mod processes;
mod resize;
mod shutdown;
mod status;
mod storage;
#[cfg(test)]
mod swarm;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::base::{Distribution, Duration, IdVec, Interner, LookupMap, SimTime};
use crate::cluster::{
    Change, Cluster, Component, KubeletEvent, KubeletRole, NodeChange, Plan, Plight, Pod,
};
use crate::event::{Event, KubeletNodeStep, KubeletStep, ServerStep, SlotStep};
use crate::model::{Model, NodeId, PodId, PodRef, PodSpec, RestartPolicy, TemplateId};
use crate::sim::{Ctx, Streams};

pub use node_reports::NodeReports;

use host::Port;
use machine::{Deletion, Machine, PodInput, Slot};
use node::{NodeState, Row};

/// The kubelets of all nodes.
#[derive(Debug)]
pub struct Kubelet {
    pods: IdVec<PodId, Place>,
    nodes: IdVec<NodeId, Node>,
    /// Whether the scenario has callers at all.
    has_callers: bool,
    /// Specifications of pods with a lifetime, by their template: see [`ends_by_itself`].
    ending: LookupMap<TemplateId, (Arc<PodSpec>, Arc<PodSpec>)>,
}

/// Where the kubelet of its node has a pod.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    life: u32,
    slot: Option<Slot>,
}

/// The kubelet of a node, and what is around it.
#[derive(Debug)]
struct Node {
    machine: Machine,
    state: NodeState,
}

impl Node {
    fn new(
        spec: &crate::model::NodeSpec,
        names: &Interner,
        model: &Model,
        streams: &Streams,
    ) -> Self {
        let name = names.resolve(spec.name);
        let is_ideal = model.latencies.relist.is_zero();
        let mut state = NodeState::new(name, spec, names, streams, is_ideal);
        let machine =
            Machine::new(node::config(&model.latencies, &spec.kubelet, &mut state.machinery));
        Self { machine, state }
    }
}

impl Kubelet {
    /// Kubelets for the nodes of a model; those of nodes that come later are made as they come.
    #[must_use]
    pub fn new(model: &Model, streams: &Streams) -> Self {
        let of = |node: &crate::model::NodeSpec| Node::new(node, &model.names, model, streams);
        Self {
            pods: IdVec::new(),
            nodes: model.nodes.iter().map(of).collect(),
            has_callers: !model.traffic.is_empty(),
            ending: LookupMap::new(),
        }
    }

    fn slot_of(&self, pod: PodRef) -> Option<Slot> {
        self.pods.get(pod.id).filter(|place| place.life == pod.life)?.slot
    }

    /// A draining server has nothing left: it exits now (an event of this instant).
    fn server_idle(&mut self, pod: PodRef, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let node = cluster.pod(pod).and_then(|row| row.node);
        let Some((node, slot)) = node.zip(self.slot_of(pod)) else { return };
        let Some(row) = self.nodes[node].state.row_mut(slot) else { return };
        let mesh = cluster.model().mesh.as_ref().map(|mesh| mesh.container);
        let all = 0..u8::try_from(row.processes.len()).unwrap_or(u8::MAX);
        let server = row.server();
        for container in all {
            let waits = server == Some(container) || Some(row.spec(container).name) == mesh;
            if waits && row.process(container).is_idle(ctx.now()) {
                let step = SlotStep::DrainEnds(container);
                ctx.after(Duration::ZERO, Event::Slot { node, slot: slot.0, step });
            }
        }
    }

    /// A server has taken calls, or lost some, that take memory or disk.
    fn at_server(
        &mut self,
        pod: PodRef,
        cluster: &Cluster,
        ctx: &mut Ctx<'_>,
        what: impl FnOnce(&mut Port<'_, '_>, Slot),
    ) {
        let node = cluster.pod(pod).and_then(|row| row.node);
        let Some((node, slot)) = node.zip(self.slot_of(pod)) else { return };
        let (now, has_callers, state) = (ctx.now(), self.has_callers, &mut self.nodes[node].state);
        let (plan, pods) = (&mut Plan::default(), &mut self.pods);
        // What follows is an event of its own: nothing is asked for here.
        let mut port = Port { node, state, pods, cluster, plan, ctx, now, has_callers };
        what(&mut port, slot);
    }

    /// The object of a pod is gone. A kubelet that was done with it forgets it there and
    /// then, or in an event of this instant if its address is to be given back.
    fn pod_removed(&mut self, pod: PodRef, node: NodeId, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let Some(slot) = self.slot_of(pod) else { return };
        let is_over = self.nodes[node].machine.is_over(slot);
        let holds = self.nodes[node].state.row(slot).is_some_and(|row| row.address.is_some());
        if is_over && !holds {
            let plan = &mut Plan::default();
            self.with(node, cluster, plan, ctx, |machine, port| {
                machine.pod_removed(slot, port.now, port);
            });
            assert!(plan.is_empty(), "a kubelet that is done with a pod has nothing to say of it");
        } else if is_over || !cluster.nodes()[node].is_cut() {
            let state = &mut self.nodes[node].state;
            let kill = &cluster.model().latencies.kill;
            let delay =
                if is_over { Duration::ZERO } else { kill.sample_duration(&mut state.machinery) };
            ctx.after(delay, Event::Slot { node, slot: slot.0, step: SlotStep::Gone });
        }
    }

    /// Something happens to a kubelet, and all that follows from it at this instant.
    fn with(
        &mut self,
        node: NodeId,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
        what: impl FnOnce(&mut Machine, &mut Port<'_, '_>),
    ) {
        let Node { machine, state } = &mut self.nodes[node];
        let (now, pods, has_callers) = (ctx.now(), &mut self.pods, self.has_callers);
        let mut port = Port { node, state, pods, cluster, plan, ctx, now, has_callers };
        what(machine, &mut port);
        port.settle(machine);
    }

    fn admit(&mut self, pod: PodRef, cluster: &Cluster, plan: &mut Plan, ctx: &mut Ctx<'_>) {
        let Some(row) = cluster.pod(pod).filter(|row| !row.is_terminal()) else { return };
        let hears =
            |node: &NodeId| cluster.nodes()[*node].is_up && !cluster.nodes()[*node].is_cut();
        let Some(node) = row.node.filter(hears) else { return };
        let is_known = |place: &Place| place.life == pod.life && place.slot.is_none();
        if !self.pods.get(pod.id).is_some_and(is_known) {
            return;
        }
        let template = &cluster.template_of(row).template;
        let mut spec = Arc::clone(&template.spec);
        if row.lifetime.or(spec.lifetime).is_some() && spec.restart_policy == RestartPolicy::Always
        {
            spec = self.ends_by_itself(row.template, &spec);
        }
        let input = PodInput {
            spec,
            created: row.created.floor_secs(),
            serial: row.serial,
            generation: 1,
            deletion: deletion_of(row),
        };
        let new = Row::new(pod, row, Arc::clone(template), ctx.now());
        self.with(node, cluster, plan, ctx, |machine, port| {
            port.state.incoming = Some(new);
            port.disk_begins();
            port.take_disks();
            let slot = machine.pod_added(input, port.now, port);
            port.bind(slot);
            port.disks_known(slot);
            port.catch_up(slot, machine);
        });
    }

    /// A pod with a lifetime is over at its end, whatever the policy says of an end with 0.
    fn ends_by_itself(&mut self, template: TemplateId, spec: &Arc<PodSpec>) -> Arc<PodSpec> {
        if let Some((of, ending)) = self.ending.get(&template)
            && Arc::ptr_eq(of, spec)
        {
            return Arc::clone(ending);
        }
        let policy = RestartPolicy::OnFailure;
        let ending = Arc::new(PodSpec { restart_policy: policy, ..PodSpec::clone(spec) });
        self.ending.insert(template, (Arc::clone(spec), Arc::clone(&ending)));
        ending
    }

    fn kill(&mut self, pod: PodRef, cluster: &Cluster, plan: &mut Plan, ctx: &mut Ctx<'_>) {
        let Some(row) = cluster.pod(pod) else { return };
        let Some(((node, slot), deletion)) = row.node.zip(self.slot_of(pod)).zip(deletion_of(row))
        else {
            return;
        };
        if cluster.nodes()[node].is_up && !cluster.nodes()[node].is_cut() {
            self.with(node, cluster, plan, ctx, |machine, port| {
                machine.pod_deleting(slot, deletion, port.now, port);
            });
        }
    }

    /// The API has another version of a pod.
    fn changed(
        &mut self,
        pod: PodRef,
        step: KubeletStep,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) {
        let node = cluster.pod(pod).and_then(|row| row.node);
        let Some((node, slot)) = node.zip(self.slot_of(pod)) else { return };
        if !cluster.nodes()[node].is_up || cluster.nodes()[node].is_cut() {
            return;
        }
        self.with(node, cluster, plan, ctx, |machine, port| match step {
            KubeletStep::Resize => port.resize_asked(slot),
            KubeletStep::Conditions => port.gates_told(slot, machine),
            KubeletStep::Admit | KubeletStep::Kill => {}
        });
    }

    /// The kubelet starts with the pods that the API has for it.
    fn restart(&mut self, node: NodeId, cluster: &Cluster, plan: &mut Plan, ctx: &mut Ctx<'_>) {
        if !cluster.nodes()[node].is_up {
            return;
        }
        let pods: Vec<PodRef> =
            cluster.nodes()[node].pods.iter().map(|id| cluster.pods().refer(*id)).collect();
        let deleted = pods.iter().filter_map(|pod| {
            Some((self.slot_of(*pod)?, cluster.pod(*pod).and_then(deletion_of)?))
        });
        let deleted: Vec<(Slot, Deletion)> = deleted.collect();
        self.with(node, cluster, plan, ctx, |machine, port| {
            for (slot, deletion) in deleted {
                machine.pod_deleting(slot, deletion, port.now, port);
            }
            machine.restarted(port.now, port);
            port.disks_again();
            port.disk_changed();
            port.look_for_resizes();
        });
        for pod in pods {
            self.admit(pod, cluster, plan, ctx);
        }
    }

    /// The kubelet's process is started anew; its pods run on (rule N16).
    fn start_anew(&mut self, node: NodeId, cluster: &Cluster, plan: &mut Plan, ctx: &mut Ctx<'_>) {
        if !cluster.nodes()[node].is_up {
            return;
        }
        let model = cluster.model();
        let keeps_ready = !model.regressions.unready_after_kubelet_restart;
        let is_ideal = model.latencies.relist.is_zero();
        let spread = Distribution::Uniform { low: 0.0, high: if is_ideal { 0.0 } else { 1.0 } };
        let mut chance = self.nodes[node].state.machinery.clone();
        self.with(node, cluster, plan, ctx, |machine, port| {
            let mut phase = || spread.sample(&mut chance);
            machine.kubelet_restarted(keeps_ready, &mut phase, port.now, port);
        });
    }

    /// A kubelet hears the API server again: of pods that are gone, of others that are to go, of new
    /// ones (rule N406).
    fn rejoin(&mut self, node: NodeId, cluster: &Cluster, plan: &mut Plan, ctx: &mut Ctx<'_>) {
        if !cluster.nodes()[node].is_up || cluster.nodes()[node].is_cut() {
            return;
        }
        let known = self.nodes[node].state.slots();
        self.with(node, cluster, plan, ctx, |machine, port| {
            port.write_again();
            port.report_disks_later(port.now);
            port.look_for_resizes();
            for slot in known {
                let Some(pod) = port.state.row(slot).map(|row| row.pod) else { continue };
                match cluster.pod(pod).map(deletion_of) {
                    None => machine.pod_removed(slot, port.now, port),
                    Some(Some(deletion)) => machine.pod_deleting(slot, deletion, port.now, port),
                    Some(None) => {}
                }
            }
        });
        let pods: Vec<PodRef> =
            cluster.nodes()[node].pods.iter().map(|id| cluster.pods().refer(*id)).collect();
        for pod in pods {
            self.admit(pod, cluster, plan, ctx);
        }
    }

    fn node_event(
        &mut self,
        node: NodeId,
        step: KubeletNodeStep,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) {
        match step {
            KubeletNodeStep::Due => {
                let state = &mut self.nodes[node].state;
                if state.due == ctx.now() {
                    state.due = SimTime::MAX;
                    self.with(node, cluster, plan, ctx, |_, _| {});
                }
            }
            KubeletNodeStep::PowerLost => self.with(node, cluster, plan, ctx, |machine, port| {
                machine.power_lost(port.now);
                port.power_lost();
            }),
            KubeletNodeStep::Restart => self.restart(node, cluster, plan, ctx),
            KubeletNodeStep::StartsAnew => self.start_anew(node, cluster, plan, ctx),
            KubeletNodeStep::SandboxesLost => {
                let known = self.nodes[node].state.slots();
                self.with(node, cluster, plan, ctx, |machine, port| {
                    for slot in known {
                        machine.sandbox_lost(slot, port.now, port);
                    }
                });
            }
            KubeletNodeStep::Rejoin => self.rejoin(node, cluster, plan, ctx),
            KubeletNodeStep::Memory => self.with(node, cluster, plan, ctx, |machine, port| {
                port.look_at_node(machine);
            }),
            KubeletNodeStep::Images => {
                self.with(node, cluster, plan, ctx, |_, port| port.look_at_images());
            }
            KubeletNodeStep::Disks => self.with(node, cluster, plan, ctx, |machine, port| {
                port.report_disks(machine);
            }),
            KubeletNodeStep::Report => self.with(node, cluster, plan, ctx, |_, port| {
                port.report();
            }),
            KubeletNodeStep::Resizes => {
                self.with(node, cluster, plan, ctx, |_, port| port.resizes_are_due());
            }
            KubeletNodeStep::ShutDown => self.with(node, cluster, plan, ctx, |machine, port| {
                port.shut_down(machine);
            }),
            KubeletNodeStep::ShutdownGoesOn => {
                self.with(node, cluster, plan, ctx, |machine, port| port.shutdown_is_due(machine));
            }
        }
    }
}

fn deletion_of(row: &Pod) -> Option<Deletion> {
    row.deletion.map(|deletion| Deletion { grace: deletion.grace, generation: 2 })
}

impl Component<KubeletEvent> for Kubelet {
    fn observe(&mut self, change: &Change, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let latencies = &cluster.model().latencies;
        match *change {
            Change::PodBound { pod, node, .. } => {
                *self.pods.grow_to(pod.id) = Place { life: pod.life, slot: None };
                let rng = &mut self.nodes[node].state.machinery;
                let delay = latencies.kubelet_sync.sample_duration(rng);
                ctx.after(delay, Event::Kubelet { pod, step: KubeletStep::Admit });
            }
            Change::PodDeleting { pod, node: Some(node), .. } => {
                let rng = &mut self.nodes[node].state.machinery;
                let delay = latencies.kill.sample_duration(rng);
                ctx.after(delay, Event::Kubelet { pod, step: KubeletStep::Kill });
            }
            Change::PodResized { pod, node: Some(node), is_asked: true, .. } => {
                let rng = &mut self.nodes[node].state.machinery;
                let delay = latencies.kubelet_sync.sample_duration(rng);
                ctx.after(delay, Event::Kubelet { pod, step: KubeletStep::Resize });
            }
            Change::PodConditions { pod, node: Some(node) } => {
                let rng = &mut self.nodes[node].state.machinery;
                let delay = latencies.kubelet_sync.sample_duration(rng);
                ctx.after(delay, Event::Kubelet { pod, step: KubeletStep::Conditions });
            }
            Change::PodRemoved { pod, node: Some(node), .. } => {
                self.pod_removed(pod, node, cluster, ctx);
            }
            Change::Plight { pod, what } => {
                let node = cluster.pod(pod).and_then(|row| row.node);
                let is_it = what == Plight::GatesOpen;
                if let Some((node, slot)) = node.zip(self.slot_of(pod)).filter(|_| is_it) {
                    let step = SlotStep::Gates;
                    ctx.after(Duration::ZERO, Event::Slot { node, slot: slot.0, step });
                }
            }
            Change::ServerIdle { pod } => self.server_idle(pod, cluster, ctx),
            Change::Load { pod, calls } => {
                self.at_server(pod, cluster, ctx, |port, slot| port.load_changed(slot, calls));
            }
            Change::Served { pod, calls } => {
                self.at_server(pod, cluster, ctx, |port, slot| port.served(slot, calls));
            }
            Change::Node { node, what: NodeChange::Added } => {
                if node == self.nodes.next_id() {
                    let spec = &cluster.nodes()[node].spec;
                    let (names, model) = (cluster.names(), cluster.model());
                    self.nodes.push(Node::new(spec, names, model, ctx.streams));
                }
            }
            Change::Node { node, what: NodeChange::Down } => {
                let step = KubeletNodeStep::PowerLost;
                ctx.after(Duration::ZERO, Event::KubeletNode { node, step });
            }
            Change::Node { node, what: NodeChange::Joined } => {
                let rng = &mut self.nodes[node].state.machinery;
                let delay = latencies.kubelet_sync.sample_duration(rng);
                let step = KubeletNodeStep::Rejoin;
                ctx.after(delay, Event::KubeletNode { node, step });
            }
            Change::Node { node, what: NodeChange::ShutsDown } => {
                let step = KubeletNodeStep::ShutDown;
                ctx.after(Duration::ZERO, Event::KubeletNode { node, step });
            }
            Change::Node { node, what: NodeChange::KubeletRestarts } => {
                let step = KubeletNodeStep::StartsAnew;
                ctx.after(Duration::ZERO, Event::KubeletNode { node, step });
            }
            Change::Node { node, what: NodeChange::SandboxesLost } => {
                let step = KubeletNodeStep::SandboxesLost;
                ctx.after(Duration::ZERO, Event::KubeletNode { node, step });
            }
            Change::Disk { disk, node } => self.disk_changed(disk, node, cluster, ctx),
            Change::Tree { kind, name, has_new_data } => {
                self.config_changed((kind, name), cluster, ctx);
                if has_new_data {
                    self.files_changed((kind, name), cluster, ctx);
                }
            }
            Change::Node { node, what: NodeChange::Up } => {
                let rng = &mut self.nodes[node].state.machinery;
                let delay = latencies.kubelet_sync.sample_duration(rng);
                ctx.after(delay, Event::KubeletNode { node, step: KubeletNodeStep::Restart });
            }
            Change::PodAdded { .. }
            | Change::PodDeleting { .. }
            | Change::PodMeta { .. }
            | Change::PodResized { .. }
            | Change::PodConditions { node: None, .. }
            | Change::OomKill { .. }
            | Change::PodRefused { .. }
            | Change::Object { .. }
            | Change::Garbage
            | Change::Claim { .. }
            | Change::PodUnplaced { .. }
            | Change::PodNominated { .. }
            | Change::PodStatus { .. }
            | Change::PodRemoved { .. }
            | Change::Serving { .. }
            | Change::ReplicaSet { .. }
            | Change::Deployment { .. }
            | Change::Hpa { .. }
            | Change::Service { .. }
            | Change::Endpoints { .. }
            | Change::Cloud(_)
            | Change::Node { .. } => {}
        }
    }

    fn handle(
        &mut self,
        event: KubeletEvent,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) {
        match event {
            KubeletEvent::Pod(pod, KubeletStep::Admit) => self.admit(pod, cluster, plan, ctx),
            KubeletEvent::Pod(pod, KubeletStep::Kill) => self.kill(pod, cluster, plan, ctx),
            KubeletEvent::Pod(pod, step @ (KubeletStep::Resize | KubeletStep::Conditions)) => {
                self.changed(pod, step, cluster, plan, ctx);
            }
            KubeletEvent::Server(pod, step) => {
                let node = cluster.pod(pod).and_then(|row| row.node);
                let Some((node, slot)) = node.zip(self.slot_of(pod)) else { return };
                self.with(node, cluster, plan, ctx, |_, port| match step {
                    ServerStep::Hangs => port.server_hangs(slot),
                    ServerStep::Probed { number, is_ok } => port.probed(slot, number, is_ok),
                });
            }
            KubeletEvent::Slot(node, slot, step) => {
                let slot = Slot(slot);
                self.with(node, cluster, plan, ctx, |machine, port| match step {
                    SlotStep::Gone => machine.pod_removed(slot, port.now, port),
                    SlotStep::Mounted => machine.volumes_changed(slot, port.now, port),
                    SlotStep::Gates => port.gates_open(slot, machine),
                    SlotStep::Files => port.files_are_due(slot),
                    SlotStep::Storage => port.look_at_storage(slot, machine),
                    step => port.step(slot, step),
                });
            }
            KubeletEvent::Node(node, step) => self.node_event(node, step, cluster, plan, ctx),
        }
    }
}

impl KubeletRole for Kubelet {
    fn memory_used(&self, node: NodeId, pod: PodRef, now: SimTime) -> Option<i64> {
        let row = self.nodes.get(node)?.state.row(self.slot_of(pod)?)?;
        Some(row.memory_metered(now))
    }
}
