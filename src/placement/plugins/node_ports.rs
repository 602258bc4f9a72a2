//! NodePorts: a host port is held by one pod of a node.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/nodeports (rule S77; recorded).

use smallvec::SmallVec;

use crate::base::Interner;
use crate::model::{HostPort, PodSpec};

use super::super::nodes::NodeState;
use super::super::verdict::{Code, Plugin, Reason, Rejection};

/// Whether two ports exclude each other: same protocol and number, and the same address or one of
/// them on all addresses.
#[must_use]
pub fn conflict(a: &HostPort, b: &HostPort, names: &Interner) -> bool {
    let is_wildcard = |port: &HostPort| matches!(names.resolve(port.ip), "" | "0.0.0.0");
    a.port == b.port
        && a.protocol == b.protocol
        && (a.ip == b.ip || is_wildcard(a) || is_wildcard(b))
}

/// Whether any of the wanted ports is held.
#[must_use]
pub fn any_conflict(wanted: &[HostPort], held: &[HostPort], names: &Interner) -> bool {
    wanted.iter().any(|w| held.iter().any(|h| conflict(w, h, names)))
}

/// The filter.
///
/// # Errors
/// If a port is taken.
pub fn filter(pod: &PodSpec, node: &NodeState, names: &Interner) -> Result<(), Rejection> {
    if !any_conflict(&pod.host_ports, &node.usage.host_ports, names) {
        return Ok(());
    }
    Err(Rejection {
        plugin: Plugin::NodePorts,
        code: Code::Unschedulable,
        reasons: SmallVec::from_iter([Reason::PortTaken]),
    })
}
