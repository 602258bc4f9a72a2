//! Writes about nodes.

use std::sync::Arc;

use crate::api::Kind;
use crate::base::SimTime;
use crate::model::{CutFrom, FaultPlace, NodeId, NodeSpec, PodRef, Pressure, Taint, TaintEffect};

use super::{Change, Cluster, NodeChange, PodStatus, Readiness};

impl Cluster {
    /// The taint of a cordoned node.
    pub(super) const fn cordoned_taint(&self) -> Taint {
        let keys = &self.node_keys;
        Taint { key: keys.unschedulable, value: keys.no_value, effect: TaintEffect::NoSchedule }
    }

    /// The taint of a node that is not ready.
    pub(super) const fn not_ready_taint(&self) -> Taint {
        let keys = &self.node_keys;
        Taint { key: keys.not_ready, value: keys.no_value, effect: TaintEffect::NoSchedule }
    }

    /// Puts another version of a Node in place: labels, taints, `unschedulable`, what it offers.
    pub(super) fn replace_node(&mut self, spec: NodeSpec, changes: &mut Vec<Change>) {
        let Some(node) = self.node_named(spec.name) else { return };
        let zone = self.zones.of(&spec.labels, &self.node_keys);
        let row = &mut self.nodes[node];
        row.zone = zone;
        let before = row.spec.clone();
        let images = if spec.images.is_empty() { &before.images } else { &spec.images };
        row.spec = NodeSpec {
            pool: before.pool,
            price_per_hour: before.price_per_hour,
            images: Arc::clone(images),
            proxy: before.proxy,
            kubelet: before.kubelet.clone(),
            ..spec
        };
        let (unschedulable, wanted) = (before.unschedulable, row.spec.unschedulable);
        if (&before.labels, before.keeps) != (&row.spec.labels, row.spec.keeps) {
            changes.push(Change::Node { node, what: NodeChange::Labels });
        }
        let offer = |of: &NodeSpec| (of.allocatable.clone(), of.pods_max, Arc::clone(&of.images));
        if offer(&before) != offer(&row.spec) {
            changes.push(Change::Node { node, what: NodeChange::Offer });
        }
        if before.taints != row.spec.taints {
            changes.push(Change::Node { node, what: NodeChange::Taints });
        }
        if unschedulable != wanted {
            self.nodes[node].spec.unschedulable = unschedulable;
            self.cordon(node, wanted, changes);
        }
    }

    /// Removes a Node object; its machine goes with it.
    pub(super) fn remove_node(&mut self, node: NodeId, changes: &mut Vec<Change>) {
        let row = &mut self.nodes[node];
        if std::mem::replace(&mut row.is_gone, true) {
            return;
        }
        row.gone_at = Some(self.now);
        (row.ready, row.condition) = (false, Readiness::Absent);
        let name = row.spec.name;
        let was_up = std::mem::replace(&mut row.is_up, false);
        self.node_by_name.remove(&name);
        self.free_range(node);
        self.trees.retain(|(kind, object), _| *kind != Kind::Node || object.name != name);
        if was_up {
            changes.push(Change::Node { node, what: NodeChange::Down });
        }
        changes.push(Change::Node { node, what: NodeChange::Removed });
    }

    /// Marks a node; the taint that goes with it is the node lifecycle's (rule C164).
    pub(super) fn cordon(&mut self, node: NodeId, unschedulable: bool, changes: &mut Vec<Change>) {
        let spec = &mut self.nodes[node].spec;
        if std::mem::replace(&mut spec.unschedulable, unschedulable) == unschedulable {
            return;
        }
        let what = if unschedulable { NodeChange::Cordoned } else { NodeChange::Uncordoned };
        changes.push(Change::Node { node, what });
    }

    /// Source: kubernetes v1.36.3 pkg/controller/util/node/controller_utils.go
    /// `SwapNodeControllerTaint`.
    pub(super) fn swap_taints(
        &mut self,
        node: NodeId,
        add: &[Taint],
        remove: &[Taint],
        changes: &mut Vec<Change>,
    ) {
        let row = &mut self.nodes[node];
        let is = |a: &Taint, b: &Taint| a.key == b.key && a.effect == b.effect;
        let before = row.spec.taints.clone();
        let taints = &mut row.spec.taints;
        for taint in add {
            match taints.iter_mut().find(|other| is(other, taint)) {
                Some(present) => *present = taint.clone(),
                None => taints.push(taint.clone()),
            }
        }
        taints.retain(|taint| !remove.iter().any(|other| is(other, taint)));
        if !row.is_gone && before != *taints {
            changes.push(Change::Node { node, what: NodeChange::Taints });
        }
    }

    /// Sets a node's condition Ready.
    pub(super) fn set_condition(
        &mut self,
        node: NodeId,
        condition: Readiness,
        changes: &mut Vec<Change>,
    ) {
        let row = &mut self.nodes[node];
        if row.is_gone || row.condition == condition {
            return;
        }
        row.condition = condition;
        row.ready = condition == Readiness::True;
        if row.ready {
            row.first_ready.get_or_insert(self.now);
        }
        changes.push(Change::Node { node, what: NodeChange::Ready });
    }

    /// Sets a node's condition MemoryPressure or DiskPressure.
    pub(super) fn set_pressure(
        &mut self,
        (node, what): (NodeId, Pressure),
        is_on: bool,
        changes: &mut Vec<Change>,
    ) {
        let row = &mut self.nodes[node];
        let known = &mut row.pressures[what as usize];
        if !row.is_gone && std::mem::replace(known, is_on) != is_on {
            changes.push(Change::Node { node, what: NodeChange::Pressure });
        }
    }

    /// The machine dies or comes back.
    pub(super) fn set_up(&mut self, node: NodeId, is_up: bool, changes: &mut Vec<Change>) {
        let now = self.now;
        let row = &mut self.nodes[node];
        if row.is_up == is_up || row.is_gone {
            return;
        }
        row.is_up = is_up;
        row.down_since = (!is_up || row.is_cut()).then_some(row.down_since.unwrap_or(now));
        let what = if is_up { NodeChange::Up } else { NodeChange::Down };
        changes.push(Change::Node { node, what });
    }

    /// Cuts machines off, or ends all cuts of a place.
    pub(super) fn set_cut(
        &mut self,
        place: FaultPlace,
        from: Option<CutFrom>,
        nodes: &[NodeId],
        changes: &mut Vec<Change>,
    ) {
        let now = self.now;
        match from {
            Some(from) => self.cuts.push((place, from)),
            None => self.cuts.retain(|(other, _)| *other != place),
        }
        let is_cut = |node: NodeId| {
            let mut api = self.cuts.iter().filter(|(_, from)| from.is_from_api());
            api.any(|(place, _)| self.is_at(node, *place))
        };
        let cut: Vec<bool> = nodes.iter().map(|node| is_cut(*node)).collect();
        for (node, is_cut) in nodes.iter().copied().zip(cut) {
            let row = &mut self.nodes[node];
            if row.is_cut() != is_cut {
                match row.cuts.last_mut().filter(|_| !is_cut) {
                    Some((_, until)) => *until = now,
                    None => row.cuts.push((now, SimTime::MAX)),
                }
                row.down_since = (is_cut || !row.is_up).then_some(row.down_since.unwrap_or(now));
                let what = if is_cut { NodeChange::Cut } else { NodeChange::Joined };
                changes.push(Change::Node { node, what });
            }
            changes.push(Change::Node { node, what: NodeChange::Links });
        }
        let holds = self.nodes.iter().any(super::Node::is_cut);
        self.log.hold(holds);
    }

    /// Turns condition Ready of a pod off.
    pub(super) fn mark_unready(&mut self, pod: PodRef, changes: &mut Vec<Change>) {
        if let Some(row) = self.pods.get(pod) {
            let status = PodStatus { ready: false, ..row.status };
            self.set_pod_status(pod, status, changes);
        }
    }
}
