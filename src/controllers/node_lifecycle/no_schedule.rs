//! The NoSchedule taints that follow from a node's condition and its mark.
//!
//! Source: kubernetes v1.36.3 pkg/controller/nodelifecycle/node_lifecycle_controller.go
//! `doNoScheduleTaintingPass` (rule C164).

use crate::cluster::{Cluster, Node, Readiness, Write};
use crate::model::{NodeId, Pressure, Taint, TaintEffect};

/// What is to be written of a node's NoSchedule taints, if they are not as they should be.
pub(super) fn write(id: NodeId, node: &Node, cluster: &Cluster) -> Option<Write> {
    let keys = cluster.node_keys();
    let taint = |key| Taint { key, value: keys.no_value, effect: TaintEffect::NoSchedule };
    let [memory, disk, others @ ..] = keys.pressures;
    let own = [keys.not_ready, keys.unreachable, keys.unschedulable, memory, disk];
    let wanted = [
        node.condition == Readiness::False,
        node.condition == Readiness::Unknown,
        node.spec.unschedulable,
        node.has_pressure(Pressure::Memory),
        node.has_pressure(Pressure::Disk),
    ];
    let (mut add, mut remove) = (Vec::new(), Vec::new());
    for (key, wanted) in own.into_iter().zip(wanted) {
        match (wanted, node.has_taint(key, TaintEffect::NoSchedule)) {
            (true, false) => add.push(taint(key)),
            (false, true) => remove.push(taint(key)),
            _ => {}
        }
    }
    let stale = others.into_iter();
    remove.extend(stale.filter(|key| node.has_taint(*key, TaintEffect::NoSchedule)).map(taint));
    let is_right = add.is_empty() && remove.is_empty();
    (!is_right).then_some(Write::SwapTaints { node: id, add, remove })
}
