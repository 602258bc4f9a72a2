//! Attaching disks to the nodes of the pods that use them, and taking them off again.
//!
//! ```text
//!  wanted ─► attach ─(latency)─► attached ─► wanted no longer ─► in use there?
//!    └─ at another node, and may be at one only: Multi-Attach    │ no, or the node is out of
//!       error, until it is away there                            │ service, or it is not ready
//!                             away ◄─(latency)─ detach ◄─────────┘ and 6 min are over
//! ```
//!
//! The loop of 100 ms is no event: a disk is looked at when something about it changes, at the next
//! turn of the loop, and when one of its times is over.
//!
//! Source: kubernetes v1.36.3 pkg/controller/volume/attachdetach (`attach_detach_controller.go`
//! `DefaultTimerConfig`, reconciler/reconciler.go, util/util.go `DetermineVolumeAction`) (rules
//! N55, N56, N404). Differs: attaching and detaching do not fail, and several disks of a node are
//! attached side by side; a crashing pod that is being deleted keeps its disks until its kubelet
//! has ended it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use rand_chacha::ChaCha8Rng;

use crate::base::{Duration, SimTime};
use crate::cluster::{
    Change, Cluster, Controller, Disk, DiskWrite, NodeChange, Plan, Requeue, Write,
};
use crate::model::{DiskId, Model, NodeId, ObjectKey, PodRef};
use crate::record::{About, DiskRecord, EventRecord};
use crate::sim::{Ctx, Streams};

/// The period of the loop.
const PERIOD: Duration = Duration::ms(100);
/// How long a node that is not ready is waited for (`maxWaitForUnmountDuration`).
const FORCED: Duration = Duration::mins(6);

/// The attach/detach controller.
#[derive(Debug)]
pub struct AttachDetachController {
    stream: ChaCha8Rng,
    /// What is under way, and when it is over.
    under_way: BTreeMap<DiskId, BTreeMap<NodeId, (Step, SimTime)>>,
    /// Since when a disk is to leave a node.
    leaves: BTreeMap<(DiskId, NodeId), SimTime>,
    /// Where the Multi-Attach error was told, since when, and the node that has the disk.
    told: BTreeMap<(DiskId, NodeId), (SimTime, NodeId)>,
    /// How long a disk that is being attached was at another node meanwhile.
    held: BTreeMap<(DiskId, NodeId), (NodeId, Duration)>,
    /// Without latencies the loop has no period.
    is_ideal: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Attach,
    Detach,
}

impl AttachDetachController {
    /// For a run of this model.
    #[must_use]
    pub fn new(model: &Model, streams: &Streams) -> Self {
        Self {
            stream: streams.open("attach-detach", ""),
            under_way: BTreeMap::new(),
            leaves: BTreeMap::new(),
            told: BTreeMap::new(),
            held: BTreeMap::new(),
            is_ideal: model.latencies.relist.is_zero(),
        }
    }

    /// What is under way with a disk.
    fn pending(&self, id: DiskId) -> impl Iterator<Item = (NodeId, Step, SimTime)> {
        let all = self.under_way.get(&id).into_iter().flatten();
        all.map(|(node, (step, due))| (*node, *step, *due))
    }

    fn begins(&mut self, id: DiskId, node: NodeId, step: Step, due: SimTime) {
        self.under_way.entry(id).or_default().insert(node, (step, due));
    }

    fn ends(&mut self, id: DiskId, node: NodeId) {
        if let Some(all) = self.under_way.get_mut(&id) {
            all.remove(&node);
            if all.is_empty() {
                self.under_way.remove(&id);
            }
        }
    }

    /// What is over by now.
    fn complete(&mut self, id: DiskId, cluster: &Cluster, plan: &mut Plan, ctx: &mut Ctx<'_>) {
        let over: Vec<_> = self.pending(id).filter(|(_, _, due)| *due <= ctx.now()).collect();
        for (node, step, _) in over {
            self.ends(id, node);
            let write = match step {
                Step::Attach => DiskWrite::Attached,
                Step::Detach => DiskWrite::Detached,
            };
            plan.push(Write::Disk { disk: id, node, write });
            if step == Step::Attach {
                let disk = cluster.disk(id);
                let name = cluster.names().resolve(disk.name);
                let text = format!("AttachVolume.Attach succeeded for volume \"{name}\" ");
                tell((disk, node), (false, "SuccessfulAttachVolume"), &text, cluster, ctx);
                record((disk, node), self.held.remove(&(id, node)), cluster, ctx);
            }
        }
    }

    /// Takes off what nobody wants. Gives when to look again.
    fn detach(
        &mut self,
        id: DiskId,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> Option<SimTime> {
        let (disk, now) = (cluster.disk(id), ctx.now());
        let mut next = None;
        for at in disk.attached.iter().filter(|at| !at.is_leaving) {
            let key = (id, at.node);
            if disk.is_wanted(at.node) {
                self.leaves.remove(&key);
                continue;
            }
            let since = *self.leaves.entry(key).or_insert(now);
            let node = &cluster.nodes()[at.node];
            let is_healthy = node.ready && !node.is_gone;
            let out = cluster.node_keys().out_of_service;
            let is_out = !node.is_gone && node.spec.taints.iter().any(|taint| taint.key == out);
            let forced = since.saturating_add(FORCED);
            if disk.in_use.contains(&at.node) && !is_out && (is_healthy || forced > now) {
                next = if is_healthy { next } else { earlier(next, forced) };
                continue;
            }
            self.leaves.remove(&key);
            let time = cluster.model().latencies.detach.sample_duration(&mut self.stream);
            self.begins(id, at.node, Step::Detach, now.saturating_add(time));
            plan.push(Write::Disk { disk: id, node: at.node, write: DiskWrite::Detaching });
        }
        next
    }

    /// Attaches it where it is wanted.
    fn attach(&mut self, id: DiskId, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let disk = cluster.disk(id);
        self.told.retain(|(other, node), _| *other != id || disk.is_wanted(*node));
        for (_, node) in &disk.pods {
            let key = (id, *node);
            let is_there = disk.attached.iter().any(|at| at.node == *node);
            let is_pending = self.pending(id).any(|(at, ..)| at == *node);
            if is_there || is_pending || cluster.nodes()[*node].is_gone {
                continue;
            }
            if !disk.is_shared {
                if self.pending(id).next().is_some() {
                    continue;
                }
                if let Some(at) = disk.attached.first() {
                    if let Entry::Vacant(told) = self.told.entry(key) {
                        told.insert((ctx.now(), at.node));
                        multi_attach((disk, *node), at.node, cluster, ctx);
                    }
                    continue;
                }
            }
            if let Some((since, other)) = self.told.remove(&key) {
                self.held.insert(key, (other, ctx.now().saturating_since(since)));
            }
            let time = cluster.model().latencies.attach.sample_duration(&mut self.stream);
            self.begins(id, *node, Step::Attach, ctx.now().saturating_add(time));
        }
    }
}

fn earlier(a: Option<SimTime>, b: SimTime) -> Option<SimTime> {
    Some(a.map_or(b, |a| a.min(b)))
}

/// Tells the pods on a node that want a disk of it.
fn tell(
    (disk, node): (&Disk, NodeId),
    (is_warning, reason): (bool, &'static str),
    text: &str,
    cluster: &Cluster,
    ctx: &mut Ctx<'_>,
) {
    if !ctx.recorder.wants_events() {
        return;
    }
    let at = ctx.now();
    for (pod, _) in disk.pods.iter().filter(|(_, on)| *on == node) {
        let Some(row) = cluster.pod(*pod) else { continue };
        let about = About::Pod(row.namespace, row.name);
        let message = text.to_owned();
        ctx.recorder.event(EventRecord { at, is_warning, reason, about, message });
    }
}

/// Records the wait of the pods on a node that want a disk.
fn record(
    (disk, node): (&Disk, NodeId),
    held: Option<(NodeId, Duration)>,
    cluster: &Cluster,
    ctx: &mut Ctx<'_>,
) {
    let name = |node: NodeId| cluster.nodes()[node].spec.name;
    let held = held.map(|(other, time)| (name(other), time));
    for (pod, _) in disk.pods.iter().filter(|(_, on)| *on == node) {
        let Some(row) = cluster.pod(*pod) else { continue };
        let waited = ctx.now().saturating_since(row.bound.unwrap_or(row.created));
        let pod = (row.namespace, row.name);
        let at = ctx.now();
        ctx.recorder.disk(DiskRecord { at, pod, disk: disk.name, node: name(node), waited, held });
    }
}

/// The disk is at another node and may be at one only.
fn multi_attach(
    (disk, node): (&Disk, NodeId),
    other: NodeId,
    cluster: &Cluster,
    ctx: &mut Ctx<'_>,
) {
    let names = cluster.names();
    let name_of = |pod: &PodRef| cluster.pod(*pod).map(|row| row.name.text(names));
    let users = disk.pods.iter().filter(|(_, on)| *on == other);
    let users: Vec<String> = users.filter_map(|(pod, _)| name_of(pod)).collect();
    let name = names.resolve(disk.name);
    let text = if users.is_empty() {
        format!(
            "Multi-Attach error for volume \"{name}\" Volume is already exclusively attached to \
             one node and can't be attached to another"
        )
    } else {
        let users = users.join(", ");
        format!("Multi-Attach error for volume \"{name}\" Volume is already used by pod(s) {users}")
    };
    tell((disk, node), (true, "FailedAttachVolume"), &text, cluster, ctx);
}

impl Controller for AttachDetachController {
    fn name(&self) -> &'static str {
        "attachdetach-controller"
    }

    fn wakes(&self, change: &Change, cluster: &Cluster, out: &mut Vec<ObjectKey>) {
        match *change {
            Change::Disk { disk, .. } => out.push(ObjectKey::Disk(disk)),
            Change::Node {
                node,
                what: NodeChange::Ready | NodeChange::Taints | NodeChange::Removed,
            } => {
                let there = cluster.disks().filter(|(_, disk)| disk.is_at(node));
                out.extend(there.map(|(id, _)| ObjectKey::Disk(id)));
            }
            _ => {}
        }
    }

    fn reconcile(
        &mut self,
        key: ObjectKey,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> Requeue {
        let ObjectKey::Disk(id) = key else { return Requeue::Never };
        let now = ctx.now();
        let period = if self.is_ideal { Duration::ZERO } else { PERIOD };
        let turn = now.next_tick(SimTime::ZERO, period);
        if turn > now {
            return Requeue::After(turn.saturating_since(now));
        }
        self.complete(id, cluster, plan, ctx);
        if !plan.is_empty() {
            // What was written wakes it again.
            return Requeue::Never;
        }
        let forced = self.detach(id, cluster, plan, ctx);
        self.attach(id, cluster, ctx);
        let next = self.pending(id).map(|(_, _, due)| due).chain(forced).min();
        next.map_or(Requeue::Never, |due| Requeue::After(due.max(now).saturating_since(now)))
    }
}
