//! The row of a node.

use crate::base::{Bytes, Cidr, Ip, MilliCpu, SimTime};
use crate::model::{HostPort, NodeSpec, PodId, Pressure, Resources, Taint, TaintEffect, ZoneId};

use super::NodeKeys;

/// A node as the API server keeps it, with what its pods take.
#[derive(Clone, Debug)]
pub struct Node {
    /// As declared; labels, taints and `unschedulable` change with commands and faults.
    pub spec: NodeSpec,
    /// `spec.podCIDR`: the range of its pods' addresses; `None`: none was left for it.
    pub pod_range: Option<Cidr>,
    /// Its own address (`InternalIP`).
    pub address: Ip,
    /// When it was created.
    pub created: SimTime,
    /// When condition Ready became True for the first time.
    pub first_ready: Option<SimTime>,
    /// Whether condition Ready is True.
    pub ready: bool,
    /// Condition Ready.
    pub condition: Readiness,
    /// Conditions MemoryPressure and DiskPressure.
    pub pressures: [bool; Pressure::ALL.len()],
    /// When its kubelet reported last.
    pub reported: Option<SimTime>,
    /// When its Lease was renewed last before its machine went down, if somebody has said so. A
    /// machine that is up renews its Lease without any write.
    pub lease: Option<SimTime>,
    /// Since when nobody hears of the machine: it is down, or cut off from the API server.
    pub down_since: Option<SimTime>,
    /// When it was cut off from the API server: from and until, [`SimTime::MAX`] while it is.
    pub cuts: Vec<(SimTime, SimTime)>,
    /// Its failure domain.
    pub zone: ZoneId,
    /// Whether the machine itself is up: a crashed one answers nothing long before it is NotReady.
    pub is_up: bool,
    /// Whether its network plugin fails: sandboxes cannot be made (rule N58).
    pub cni_is_down: bool,
    /// Whether the Node object has been deleted; the id is not used again.
    pub is_gone: bool,
    /// When that was.
    pub gone_at: Option<SimTime>,
    /// Whether its machine is one of the cloud's.
    pub is_machine: bool,
    /// Its pods that are not terminal, those being deleted among them, in order of binding.
    pub pods: Vec<PodId>,
    /// The sum of their requests (rule S85).
    pub requested: Resources,
    /// The same of CPU and memory with the scheduler's defaults (rule S85).
    pub nonzero_requested: (MilliCpu, Bytes),
    /// Host ports that they hold.
    pub host_ports: Vec<HostPort>,
}

impl Node {
    /// Whether it has a condition.
    #[must_use]
    pub const fn has_pressure(&self, what: Pressure) -> bool {
        self.pressures[what as usize]
    }

    /// Whether it is cut off from the API server.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cuts.last().is_some_and(|(_, until)| *until == SimTime::MAX)
    }
}

/// Condition Ready of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Readiness {
    /// Its kubelet is well.
    #[default]
    True,
    /// Its kubelet says that it is not.
    False,
    /// Nobody has heard of its kubelet for a while (rule C162).
    Unknown,
    /// Its kubelet has never reported.
    Absent,
}

impl Readiness {
    /// The status as the API has it; empty if there is none.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
            Self::Absent => "",
        }
    }
}

impl Node {
    /// Whether it has a taint of this key and effect.
    #[must_use]
    pub fn has_taint(&self, key: crate::base::Symbol, effect: TaintEffect) -> bool {
        self.spec.taints.iter().any(|taint| taint.key == key && taint.effect == effect)
    }

    /// Its NoExecute taints.
    pub fn no_execute(&self) -> impl Iterator<Item = &Taint> {
        self.spec.taints.iter().filter(|taint| taint.effect == TaintEffect::NoExecute)
    }

    /// Whether the node lifecycle's own NoExecute taint stands: not-ready or unreachable.
    #[must_use]
    pub fn has_lost_taint(&self, keys: &NodeKeys) -> bool {
        [keys.not_ready, keys.unreachable]
            .into_iter()
            .any(|key| self.has_taint(key, TaintEffect::NoExecute))
    }
}
