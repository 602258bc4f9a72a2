//! The kubelet of one node as a machine: from the configuration of its pods, what its runtime
//! answers and what its probes say to runtime calls, API writes and events, each at its instant.
//!
//! It has no clock, no cluster and no randomness: whoever owns it (the *host*: the engine's
//! adapter, or a test that replays recordings) tells it what happens, calls [`Machine::advance`] at
//! [`Machine::next_due`], and answers through [`Host`]. Nothing ticks: the periodic loops of the
//! kubelet (relist, sync tick, housekeeping, status manager, volumes, probes) are phases and
//! periods, and the next instant at which one of them finds something to do is computed.
//!
//! ```text
//!  config ──► dispatch ──► worker of a pod ──► runtime calls ──► Host
//!               ▲   ▲            │   ▲
//!  relist ──────┘   │            │   └── cache (what the last relist saw)
//!  probe results ───┘            └──► status ──► sender ──► API writes ──► Host
//! ```
//!
//! Who calls what:
//! * the host calls the inputs (`pod_added` … `done`, `exited`), always with the present instant;
//!   each input does all that follows from it at that instant before it returns;
//! * the machine calls [`Host`]; a call that takes no time answers there and then, any other is
//!   answered later with [`Machine::done`] (never after it was cancelled);
//! * `prober`, `images` and `admit` know nothing of workers: the machine calls them.
//!
//! Source: kubernetes v1.36.3 pkg/kubelet (rules N1 to N139; recorded: conformance/kubelet).

pub mod admit;
pub mod backoff;
pub mod images;
pub mod prober;
mod types;

pub use types::*;

use crate::base::SimTime;

/// The kubelet of one node.
#[derive(Debug)]
pub struct Machine {
    config: Config,
}

impl Machine {
    /// A kubelet that has run for a while and has no pods.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    /// The API has a new pod bound to this node. Ends with the pod dispatched or turned away.
    pub fn pod_added<H: Host>(&mut self, pod: PodInput, now: SimTime, host: &mut H) -> Slot {
        let _unused = (pod, now, host, &self.config);
        Slot(0)
    }

    /// The API object has a deletion timestamp now, or a shorter grace than before.
    pub fn pod_deleting<H: Host>(
        &mut self,
        slot: Slot,
        deletion: Deletion,
        now: SimTime,
        host: &mut H,
    ) {
        let _ = (slot, deletion, now, host);
    }

    /// The specification was patched (`activeDeadlineSeconds`).
    pub fn spec_changed<H: Host>(
        &mut self,
        slot: Slot,
        change: SpecChange,
        now: SimTime,
        host: &mut H,
    ) {
        let _ = (slot, change, now, host);
    }

    /// Somebody else wrote the status: which of the pod's readiness gates are open now, bit by bit.
    pub fn gates_changed<H: Host>(&mut self, slot: Slot, open: u32, now: SimTime, host: &mut H) {
        let _ = (slot, open, now, host);
    }

    /// The API object is gone.
    pub fn pod_removed<H: Host>(&mut self, slot: Slot, now: SimTime, host: &mut H) {
        let _ = (slot, now, host);
    }

    /// A call that [`Host::begin`] did not answer at once is over.
    pub fn done<H: Host>(
        &mut self,
        slot: Slot,
        call: Call,
        outcome: Outcome,
        now: SimTime,
        host: &mut H,
    ) {
        let _ = (slot, call, outcome, now, host);
    }

    /// A container's process ended: by itself, on the stop signal or killed. Told before the end
    /// of the stop call that brought it about.
    pub fn exited<H: Host>(
        &mut self,
        slot: Slot,
        container: u8,
        exit: Exit,
        now: SimTime,
        host: &mut H,
    ) {
        let _ = (slot, container, exit, now, host);
    }

    /// What [`Host::probe_outlook`] says of a pod's probes is another thing from now on.
    pub fn outlook_changed<H: Host>(&mut self, slot: Slot, now: SimTime, host: &mut H) {
        let _ = (slot, now, host);
    }

    /// When something of its own is due next.
    #[must_use]
    pub fn next_due(&self) -> Option<SimTime> {
        None
    }

    /// Does what is due at `now`.
    pub fn advance<H: Host>(&mut self, now: SimTime, host: &mut H) {
        let _ = (now, host);
    }
}
