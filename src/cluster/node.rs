//! The row of a node.

use crate::base::{Bytes, MilliCpu, SimTime};
use crate::model::{HostPort, NodeSpec, PodId, Resources};

/// A node as the API server keeps it, with what its pods take.
#[derive(Clone, Debug)]
pub struct Node {
    /// As declared; labels, taints and `unschedulable` change with commands and faults.
    pub spec: NodeSpec,
    /// When it was created.
    pub created: SimTime,
    /// Condition Ready.
    pub ready: bool,
    /// Whether the machine itself is up: a crashed one answers nothing long before it is NotReady.
    pub is_up: bool,
    /// Whether the Node object has been deleted; the id is not used again.
    pub is_gone: bool,
    /// Its pods that are not terminal, those being deleted among them, in order of binding.
    pub pods: Vec<PodId>,
    /// The sum of their requests (rule S85).
    pub requested: Resources,
    /// The same of CPU and memory with the scheduler's defaults (rule S85).
    pub nonzero_requested: (MilliCpu, Bytes),
    /// Host ports that they hold.
    pub host_ports: Vec<HostPort>,
}
