//! Disks of pods: a pod waits until those that it uses are attached to its node, and the node
//! tells which it uses, so that none is taken off while it is mounted (rules N52, N55, N56).
//!
//! ```text
//! pod taken ─next report─► told in use ─tries 0.5 s, 1 s, 2 s …, once attached─► mounted
//! containers stopped ─► unmounted ─next report─► not in use: it may be detached
//! ```
//!
//! A node reports every 10 s. No event stands for a try that fails: the first one after a disk has
//! come is worked out (see [`super::mounts`]).
//!
//! Source: kubernetes v1.36.3 pkg/kubelet/volumemanager/reconciler/reconciler_common.go
//! `waitForVolumeAttach`, pkg/volume/util/operationexecutor (`VerifyControllerAttachedVolume`).
//! Differs: what a mount takes is a part of the latency `attach`; a pod that names its node by hand
//! has its disks at once.

use smallvec::SmallVec;

use super::Kubelet;
use super::host::Port;
use super::machine::{Machine, Slot};
use super::mounts::next_try;
use super::node::NEVER;
use crate::base::SimTime;
use crate::cluster::{Cluster, DiskWrite, Write};
use crate::event::{Event, KubeletNodeStep, SlotStep};
use crate::model::{DiskId, NodeId};
use crate::sim::Ctx;

/// The disks of a pod on its node.
#[derive(Clone, Debug)]
pub(super) struct RowDisks {
    /// Which.
    ids: SmallVec<[DiskId; 1]>,
    /// From when on the kubelet tries to mount them: the node has told that it uses them.
    from: SimTime,
    /// When they are mounted.
    at: SimTime,
    /// When they are unmounted.
    until: SimTime,
}

impl Port<'_, '_> {
    /// The pod that comes is known to need disks.
    pub(super) fn take_disks(&mut self) {
        let Some(row) = self.state.incoming.as_mut() else { return };
        let ids = self.cluster.disks_of(row.pod);
        row.disks = (!ids.is_empty()).then(|| {
            let ids = SmallVec::from_slice(ids);
            Box::new(RowDisks { ids, from: NEVER, at: NEVER, until: NEVER })
        });
    }

    /// A pod with disks was taken, or its kubelet has started anew: they are mounted when they
    /// can be.
    pub(super) fn disks_known(&mut self, slot: Slot) {
        let Some(disks) = self.state.row(slot).and_then(|row| row.disks.as_deref()) else { return };
        let node = self.node;
        let are_used = disks.ids.iter().all(|disk| self.cluster.disk(*disk).in_use.contains(&node));
        let from = if are_used { self.now } else { self.report_disks_later(self.now) };
        let Some(row) = self.state.row_mut(slot) else { return };
        if let Some(disks) = row.disks.as_deref_mut() {
            (disks.from, disks.at) = (from, NEVER);
        }
        let mounted = row.attach(self.cluster, (node, self.now));
        self.later(mounted, slot, SlotStep::Mounted);
    }

    /// The kubelet has started: it has nothing mounted.
    pub(super) fn disks_again(&mut self) {
        for slot in self.state.slots() {
            self.disks_known(slot);
        }
        self.report_disks_later(self.now);
    }

    /// Whether a disk of the pod is not mounted.
    pub(super) fn lacks_disks(&self, slot: Slot) -> bool {
        let disks = self.state.row(slot).and_then(|row| row.disks.as_deref());
        disks.is_some_and(|disks| disks.at > self.now)
    }

    /// The containers of a pod have stopped, and its disks are unmounted at an instant.
    pub(super) fn disks_unmount(&mut self, slot: Slot, at: SimTime) {
        let disks = self.state.row_mut(slot).and_then(|row| row.disks.as_deref_mut());
        if let Some(disks) = disks {
            disks.until = at;
            self.report_disks_later(at);
        }
    }

    /// Which disks are in use is told with the next report after an instant. Gives when.
    pub(super) fn report_disks_later(&mut self, from: SimTime) -> SimTime {
        if self.cluster.disks().next().is_none() {
            return from;
        }
        if self.state.disks_due < from || self.state.disks_due == NEVER {
            let at = self.next_report(from);
            self.state.disks_due = at;
            self.ctx.at(at, Event::KubeletNode { node: self.node, step: KubeletNodeStep::Disks });
        }
        self.state.disks_due
    }

    /// Tells which disks are in use.
    pub(super) fn report_disks(&mut self, machine: &Machine) {
        let (now, node) = (self.now, self.node);
        let row = &self.cluster.nodes()[node];
        if self.state.disks_due == now {
            self.state.disks_due = NEVER;
        }
        if !row.is_up || row.is_cut() || row.is_gone {
            return;
        }
        let mut used: SmallVec<[DiskId; 8]> = SmallVec::new();
        for slot in self.state.slots() {
            let Some(disks) = self.state.row(slot).and_then(|row| row.disks.as_deref()) else {
                continue;
            };
            // What was turned away never mounts anything.
            let is_there = !machine.has_stopped(slot) || disks.until != NEVER;
            if is_there && disks.until > now {
                used.extend_from_slice(&disks.ids);
            }
        }
        let told = self.cluster.disks_in_use(node);
        let mut all: SmallVec<[DiskId; 8]> = SmallVec::from_slice(told);
        all.extend_from_slice(&used);
        all.sort_unstable();
        all.dedup();
        for disk in all {
            let is_used = used.contains(&disk);
            if told.contains(&disk) != is_used {
                self.plan.push(Write::Disk { disk, node, write: DiskWrite::InUse(is_used) });
            }
        }
    }

    /// What a pod waits for when its kubelet gives up waiting.
    pub(super) fn waits_text(&self, slot: Slot) -> String {
        let names = self.cluster.names();
        let disks = self.state.row(slot).and_then(|row| row.disks.as_deref());
        let missing = disks.iter().flat_map(|disks| &disks.ids);
        let missing = missing.map(|disk| self.cluster.disk(*disk));
        let missing: Vec<&str> = missing
            .filter(|disk| !disk.is_at(self.node))
            .map(|disk| names.resolve(disk.name))
            .collect();
        format!(
            "Unable to attach or mount volumes: unmounted volumes=[{}], unattached volumes=[], \
             failed to process volumes=[]: context deadline exceeded",
            missing.join(" ")
        )
    }
}

impl super::node::Row {
    /// When its disks are mounted, if all are attached to its node; else never, as things are.
    fn attach(&mut self, cluster: &Cluster, (node, now): (NodeId, SimTime)) -> SimTime {
        let Some(disks) = self.disks.as_deref_mut().filter(|disks| disks.at == NEVER) else {
            return NEVER;
        };
        if disks.ids.iter().all(|disk| cluster.disk(*disk).is_at(node)) {
            disks.at = next_try(disks.from, now.max(disks.from));
        }
        disks.at
    }
}

impl Kubelet {
    /// A disk has come to a node, or something else befell it: pods that have waited for it mount
    /// it with their next try.
    pub(super) fn disk_changed(
        &mut self,
        disk: DiskId,
        node: NodeId,
        cluster: &Cluster,
        ctx: &mut Ctx<'_>,
    ) {
        if !cluster.disk(disk).is_at(node) {
            return;
        }
        let state = &mut self.nodes[node].state;
        for slot in state.slots() {
            let Some(row) = state.row_mut(slot) else { continue };
            if row.disks.as_deref().is_some_and(|disks| disks.ids.contains(&disk)) {
                let at = row.attach(cluster, (node, ctx.now()));
                if at != NEVER {
                    ctx.at(at, Event::Slot { node, slot: slot.0, step: SlotStep::Mounted });
                }
            }
        }
    }
}
