//! The cloud: makes the machines that node groups want, and takes machines away.
//!
//! ```text
//! target size ─Fill─► launch ─create─► runs (is paid for) ─register─► Node, not Ready ─ready─► Ready
//!      ▲                 └─► failed ─retry─► given up ─┐                                        │
//!      │                                              │     notice ─2 min─► reclaimed ◄──(spot)──┤
//!      └────────────────── one fewer ◄────────────────┴──── deleted ─delete─► off ◄──────────────┘
//!                                                                              └─ NotReady ─≤5 s─► Node goes
//! ```
//!
//! It owns what is decided of each machine's life when it is asked for, and the Nodes whose
//! machines are gone. Target sizes and states of machines are the cluster's table
//! (`cluster/cloud.rs`), which autoscalers read and write; this room does what follows.
//!
//! Ours, not Kubernetes': a group behaves as an auto scaling group of a public cloud does. A Node
//! without machine goes as by cloud-controller-manager: kubernetes v1.36.3
//! staging/src/k8s.io/cloud-provider/controllers/nodelifecycle/node_lifecycle_controller.go
//! `MonitorNodes`. Differs: one provider for all groups, whose API answers at once and is never
//! limited; a machine in a lost zone is as down as any other and is replaced only if its group
//! says so.

mod actions;
mod balance;

use rand_chacha::ChaCha8Rng;

use std::sync::Arc;

use crate::base::dist::open01;
use crate::base::{Distribution, Duration, IdVec, SimTime};
use crate::cluster::{
    Change, CloudChange, Cluster, Component, InstanceState, InstanceWrite, Launch, LaunchError,
    NodeChange, Plan, Readiness, Write,
};
use crate::event::{CloudEvent, Event, InstanceStep};
use crate::model::{
    BootTimes, CapacityType, Failures, GroupId, InstanceId, InstanceRef, Model, NodeId, Offer,
    OnNotice,
};
use crate::sim::Ctx;

pub use actions::act;

/// How often cloud-controller-manager looks at Nodes that are not Ready (`--node-monitor-period`).
const SWEEP: Duration = Duration::secs(5);

/// Who makes and deletes machines.
#[derive(Debug)]
pub struct Provider {
    plans: IdVec<InstanceId, Fate>,
    /// Nodes whose machines are gone.
    orphans: Vec<NodeId>,
    /// When the next look at them is.
    sweep: Option<SimTime>,
    notice: Duration,
    retry: Duration,
}

/// What is drawn of a machine when it is asked for: chance does not depend on what others do.
#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    /// How slow it is to come: the quantile of every step.
    slowness: f64,
    /// The quantile of its deletion.
    ending: f64,
    /// Compared with the parts that fail.
    luck: f64,
    /// The quantile of its time until an interruption.
    wanted_back: f64,
}

impl Fate {
    fn draw(rng: &mut ChaCha8Rng) -> Self {
        let slowness = open01(rng);
        let ending = open01(rng);
        let luck = open01(rng);
        Self { slowness, ending, luck, wanted_back: open01(rng) }
    }

    /// Whether it cannot be had, and why.
    fn error(&self, failures: &Failures) -> Option<LaunchError> {
        let Failures { out_of_resources, other, .. } = *failures;
        if self.luck < out_of_resources {
            return Some(LaunchError::OutOfResources);
        }
        (self.luck < out_of_resources + other).then_some(LaunchError::Other)
    }

    /// Whether its Node never appears.
    fn is_lost(&self, failures: &Failures) -> bool {
        let from = failures.out_of_resources + failures.other;
        (from..from + failures.never_registers).contains(&self.luck)
    }
}

fn span(law: &Distribution, quantile: f64) -> Duration {
    Duration::from_secs_f64(law.quantile(quantile).max(0.0))
}

impl Provider {
    /// For runs of this model.
    #[must_use]
    pub fn new(model: &Model) -> Self {
        Self {
            plans: IdVec::new(),
            orphans: Vec::new(),
            sweep: None,
            notice: model.cloud.notice,
            retry: model.cloud.retry,
        }
    }

    fn after(&self, delay: Duration, instance: InstanceRef, step: InstanceStep, ctx: &mut Ctx<'_>) {
        ctx.after(delay, Event::Cloud(CloudEvent::Instance { instance, step }));
    }

    /// Draws what becomes of a machine.
    fn draw(&mut self, instance: InstanceRef, cluster: &Cluster, ctx: &Ctx<'_>) -> Fate {
        let name = cluster.cloud().instance(instance).map(|machine| machine.name);
        let name = name.map_or("", |name| cluster.names().resolve(name));
        let fate = Fate::draw(&mut ctx.streams.open("machine", name));
        *self.plans.grow_to(instance.id) = fate;
        fate
    }

    /// When a spot machine is wanted back.
    fn arm_interruption(&self, instance: InstanceRef, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let Some(machine) = cluster.cloud().instance(instance) else { return };
        let is_spot = machine.offer.as_ref().is_some_and(|o| o.capacity == CapacityType::Spot);
        let law = machine.group.and_then(|g| cluster.group_spec(g).interrupted_after.as_ref());
        if let Some(law) = law.filter(|_| is_spot) {
            let delay = span(law, self.plans[instance.id].wanted_back);
            self.after(delay, instance, InstanceStep::Notice, ctx);
        }
    }

    /// A group makes machines, or deletes some, until it has as many as it wants.
    fn fill(group: GroupId, cluster: &Cluster, plan: &mut Plan) {
        let cloud = cluster.cloud();
        let wanted = cloud.groups()[group].target as usize;
        let there = cloud.of_group(group).filter(|(_, machine)| machine.is_wanted()).count();
        let offers: Arc<[Arc<Offer>]> = cluster.group_spec(group).offers.clone().into();
        for _ in there..wanted {
            let launch = Launch { group: Some(group), name: None, offers: Arc::clone(&offers) };
            plan.push(Write::Launch(Box::new(launch)));
        }
        if there > wanted {
            let instances = balance::surplus(group, there - wanted, cluster);
            plan.push(Write::DeleteInstances { instances, lowers_target: false });
        }
    }

    /// A step in the life of a machine that is still there.
    fn step(
        &self,
        (instance, step): (InstanceRef, InstanceStep),
        cluster: &Cluster,
        plan: &mut Plan,
    ) {
        let Some(machine) = cluster.cloud().instance(instance) else { return };
        let write = |write| Write::Instance { instance, write: Box::new(write) };
        match step {
            InstanceStep::Create if machine.state == InstanceState::Requested => {
                plan.push(write(self.create(instance, cluster)));
            }
            InstanceStep::Register if machine.state == InstanceState::Running => {
                plan.push(write(InstanceWrite::Register));
            }
            InstanceStep::Ready if machine.state == InstanceState::Registered => {
                let node = machine.node.filter(|node| cluster.nodes()[*node].is_up);
                if let Some(node) = node {
                    plan.push(Write::NodeReady { node, ready: true });
                }
            }
            InstanceStep::Notice if machine.is_wanted() => {
                if machine.noticed.is_none() {
                    plan.push(write(InstanceWrite::Notice));
                }
            }
            InstanceStep::Reclaim => {
                let instances = vec![instance];
                plan.push(Write::DeleteInstances { instances, lowers_target: false });
                plan.push(write(InstanceWrite::End));
            }
            InstanceStep::Heal => {
                let is_down = |node: &NodeId| !cluster.nodes()[*node].is_up;
                if machine.node.as_ref().is_some_and(is_down) {
                    let instances = vec![instance];
                    plan.push(Write::DeleteInstances { instances, lowers_target: false });
                }
            }
            InstanceStep::End if machine.state == InstanceState::Deleting => {
                plan.push(write(InstanceWrite::End));
            }
            InstanceStep::GiveUp if machine.state == InstanceState::Failed => {
                plan.push(write(InstanceWrite::End));
            }
            InstanceStep::Create
            | InstanceStep::Register
            | InstanceStep::Ready
            | InstanceStep::Notice
            | InstanceStep::End
            | InstanceStep::GiveUp => {}
        }
    }

    /// Whether a machine can be had, and which.
    fn create(&self, instance: InstanceRef, cluster: &Cluster) -> InstanceWrite {
        let machine = &cluster.cloud().instances()[instance.id];
        let failures = failures_of(machine.group, cluster);
        if let Some(error) = self.plans[instance.id].error(&failures) {
            return InstanceWrite::Fail(error);
        }
        match balance::choose(machine, cluster) {
            Some(offer) => InstanceWrite::Run(offer),
            None => InstanceWrite::Fail(LaunchError::OutOfResources),
        }
    }

    /// Nodes whose machines are gone go as soon as they are not Ready.
    fn arm_sweep(&mut self, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let is_lost = |node: &NodeId| cluster.nodes()[*node].condition != Readiness::True;
        if self.sweep.is_some() || !self.orphans.iter().any(is_lost) {
            return;
        }
        let periods = ctx.now().since_start().as_nanos() / SWEEP.as_nanos() + 1;
        let at = SimTime::ZERO + SWEEP * periods;
        self.sweep = Some(at);
        ctx.at(at, Event::Cloud(CloudEvent::Sweep));
    }

    fn sweep(&mut self, cluster: &Cluster, plan: &mut Plan) {
        self.sweep = None;
        self.orphans.retain(|node| {
            let row = &cluster.nodes()[*node];
            let goes = !row.is_gone && row.condition != Readiness::True;
            if goes {
                plan.push(Write::RemoveNode { node: *node });
            }
            !goes && !row.is_gone
        });
    }

    fn cloud_changed(&mut self, change: CloudChange, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        match change {
            CloudChange::Group(group) => {
                ctx.after(Duration::ZERO, Event::Cloud(CloudEvent::Fill(group)));
            }
            CloudChange::Requested(instance) => {
                let fate = self.draw(instance, cluster, ctx);
                let delay = span(&boot_of(instance, cluster).create, fate.slowness);
                self.after(delay, instance, InstanceStep::Create, ctx);
            }
            CloudChange::Running(instance) => {
                let fate = self.plans[instance.id];
                let machine = &cluster.cloud().instances()[instance.id];
                if !fate.is_lost(&failures_of(machine.group, cluster)) {
                    let delay = span(&boot_of(instance, cluster).register, fate.slowness);
                    self.after(delay, instance, InstanceStep::Register, ctx);
                }
                self.arm_interruption(instance, cluster, ctx);
            }
            CloudChange::Registered(instance) => {
                let fate = self.plans[instance.id];
                let delay = span(&boot_of(instance, cluster).ready, fate.slowness);
                self.after(delay, instance, InstanceStep::Ready, ctx);
            }
            CloudChange::Failed(instance) => {
                self.after(self.retry, instance, InstanceStep::GiveUp, ctx);
            }
            CloudChange::Noticed(instance) => {
                self.after(self.notice, instance, InstanceStep::Reclaim, ctx);
                let group = cluster.cloud().instance(instance).and_then(|machine| machine.group);
                let drains = |group| cluster.group_spec(group).on_notice == OnNotice::Drain;
                if group.is_some_and(drains) {
                    ctx.after(Duration::ZERO, Event::Cloud(CloudEvent::Drain(instance)));
                }
            }
            CloudChange::Deleting(instance) => {
                let fate = self.plans.get(instance.id).copied().unwrap_or_default();
                let machine = cluster.cloud().instance(instance);
                // What never ran is gone at once.
                let runs = machine.is_some_and(|machine| machine.running.is_some());
                let law = &boot_of(instance, cluster).delete;
                let delay = if runs { span(law, fate.ending) } else { Duration::ZERO };
                self.after(delay, instance, InstanceStep::End, ctx);
            }
            CloudChange::NodePool(_) => {}
            CloudChange::Ended(node) => {
                self.orphans.extend(node.filter(|node| !cluster.nodes()[*node].is_gone));
                self.arm_sweep(cluster, ctx);
            }
        }
    }
}

fn boot_of(instance: InstanceRef, cluster: &Cluster) -> &BootTimes {
    let group = cluster.cloud().instance(instance).and_then(|machine| machine.group);
    group.map_or(&cluster.model().cloud.boot, |group| &cluster.group_spec(group).boot)
}

fn failures_of(group: Option<GroupId>, cluster: &Cluster) -> Failures {
    group.map_or_else(Failures::default, |group| cluster.group_spec(group).failures)
}

impl Component<CloudEvent> for Provider {
    fn start(&mut self, cluster: &Cluster, _plan: &mut Plan, ctx: &mut Ctx<'_>) {
        let there: Vec<InstanceRef> = {
            let machines = cluster.cloud().instances();
            machines.ids().map(|id| machines.refer(id)).collect()
        };
        for instance in there {
            self.draw(instance, cluster, ctx);
            self.arm_interruption(instance, cluster, ctx);
        }
    }

    fn observe(&mut self, change: &Change, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        match *change {
            Change::Cloud(change) => self.cloud_changed(change, cluster, ctx),
            Change::Node { node, what: NodeChange::Down } => {
                let Some(instance) = cluster.cloud().of_node(node) else { return };
                let machine = &cluster.cloud().instances()[instance.id];
                let heal = machine.group.and_then(|group| cluster.group_spec(group).heal);
                if let Some(delay) = heal.filter(|_| machine.is_wanted()) {
                    self.after(delay, instance, InstanceStep::Heal, ctx);
                }
            }
            Change::Node { what: NodeChange::Ready, .. } => self.arm_sweep(cluster, ctx),
            _ => {}
        }
    }

    fn handle(&mut self, event: CloudEvent, cluster: &Cluster, plan: &mut Plan, ctx: &mut Ctx<'_>) {
        match event {
            CloudEvent::Fill(group) => Self::fill(group, cluster, plan),
            CloudEvent::Instance { instance, step } => {
                self.step((instance, step), cluster, plan);
            }
            CloudEvent::Sweep => {
                self.sweep(cluster, plan);
                self.arm_sweep(cluster, ctx);
            }
            CloudEvent::Drain(_) => {} // the engine's: it has the drains
        }
    }
}
