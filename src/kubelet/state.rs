//! What the kubelets know of a pod and of a node.

use rand_chacha::ChaCha8Rng;
use smallvec::SmallVec;

use crate::base::{Bytes, Duration, LookupMap, SimTime, Symbol};
use crate::cluster::PodStatus;
use crate::sim::Streams;

/// An instant that does not come: nothing is due.
pub(super) const NEVER: SimTime = SimTime::MAX;

/// Where a pod's life on its node stands.
///
/// ```text
/// Bound ─Admit─► Volumes ─► Sandbox ─► Running ─kill─► Stopping ─all dead─► SandboxStop
///   │                                    │                                     │
///   └─rejected─► Ended                   └─all done─► (sidecars: Stopping)     ├─► Ended (terminal)
///                                                                              └─► Finalize ─► Ended
/// any ─power lost─► Down ─node up─► Bound
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Bound to the node; the kubelet has not seen it.
    Bound,
    /// It waits for its volumes.
    Volumes,
    /// Its sandbox is being made.
    Sandbox,
    /// Containers start and run.
    Running,
    /// All containers are being stopped.
    Stopping,
    /// All containers are dead; the sandbox goes.
    SandboxStop,
    /// The sandbox is gone; the object can go after clean-up.
    Finalize,
    /// The kubelet has nothing more to do.
    Ended,
    /// Its node lost power.
    Down,
}

/// What the end of a pod's containers leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// A terminal phase, by the exit codes.
    Completed,
    /// Phase Failed with this reason.
    Failed(&'static str),
    /// The object goes: it was deleted.
    Removed,
}

/// A pod on its node.
///
/// A timer is an instant in here: an event about another instant than the one noted is stale.
#[derive(Clone, Debug)]
pub(super) struct PodState {
    /// Which life of the slot this is about; `u32::MAX` before the first.
    pub life: u32,
    /// Where its life stands.
    pub stage: Stage,
    /// When the one thing is there that the stage, or the container at hand, waits for.
    pub due: SimTime,
    /// The container that is being started, or stopped to be started again.
    pub at_hand: Option<u8>,
    /// Whether a pass of the pod's worker is under way: nothing else is looked at (rules N2, N9).
    pub in_pass: bool,
    /// Whether the pod is to be stopped as soon as the pass is over.
    pub kill_pending: bool,
    /// What the end of the containers leads to.
    pub end: End,
    /// Whether there is a sandbox.
    pub has_sandbox: bool,
    /// Whether all app containers have run (rule N89).
    pub initialised: bool,
    /// Why no container can be started; empty if they can.
    pub blocked: &'static str,
    /// When the workers of its probes were made: the phase of their ticks (rule N51).
    pub probes_since: SimTime,
    /// When the status write under way lands; [`NEVER`] if there is none.
    pub write_due: SimTime,
    /// The status as the kubelet has it.
    pub status: PodStatus,
    /// Init containers, then app containers, as in the template.
    pub containers: SmallVec<[Container; 1]>,
}

impl Default for PodState {
    fn default() -> Self {
        Self {
            life: u32::MAX,
            stage: Stage::Ended,
            due: NEVER,
            at_hand: None,
            in_pass: false,
            kill_pending: false,
            end: End::Completed,
            has_sandbox: false,
            initialised: false,
            blocked: "",
            probes_since: SimTime::ZERO,
            write_due: NEVER,
            status: PodStatus::NEW,
            containers: SmallVec::new(),
        }
    }
}

impl PodState {
    /// Whether no container has a process.
    pub(super) fn all_dead(&self) -> bool {
        self.containers.iter().all(|c| c.process != Process::Running)
    }
}

/// Where a container's process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Process {
    /// It is to be started when its turn comes.
    Due,
    /// It runs.
    Running,
    /// It ended.
    Exited,
}

/// How far the stop of a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Nobody stops it.
    No,
    /// Its preStop hook runs.
    Hook,
    /// A sidecar waits for its turn (rule N124).
    Turn,
    /// It has the stop signal and goes on accepting.
    Accepting,
    /// It finishes what it has accepted.
    Draining,
    /// It does not hear the signal.
    Deaf,
}

/// A container of a pod.
#[derive(Clone, Copy, Debug)]
pub(super) struct Container {
    /// Where its process stands.
    pub process: Process,
    /// How far its stop is.
    pub stop: Stop,
    /// Whether its start is not in the status yet.
    pub fresh: bool,
    /// Whether its end has been noticed.
    pub seen: bool,
    /// Whether it ended with 0.
    pub exit_ok: bool,
    /// With which code it ended.
    pub exit_code: i32,
    /// Whether its startup probe has passed, or it has none.
    pub is_started: bool,
    /// What its readiness probe says.
    pub is_ready: bool,
    /// Whether a probe has condemned it.
    pub verdict: Option<Verdict>,
    /// How often it was started.
    pub runs: u32,
    /// When its process started last.
    pub started: SimTime,
    /// From when on its process can serve.
    pub able_at: SimTime,
    /// When its process ended last.
    pub finished: SimTime,
    /// When its process ends by itself.
    pub exit_due: SimTime,
    /// When its end is noticed.
    pub seen_due: SimTime,
    /// When it is due to be started again.
    pub restart_due: SimTime,
    /// Crash back-off; zero before the first restart (rule N90).
    pub backoff: Duration,
    /// When that was raised last.
    pub backoff_at: SimTime,
    /// Phase of the ticks of its readiness probe: the last poke (rule N85).
    pub ready_anchor: SimTime,
    /// When its readiness probe says something else.
    pub ready_due: SimTime,
    /// When its liveness probe condemns it.
    pub live_due: SimTime,
    /// When its startup probe passes or condemns it.
    pub startup_due: SimTime,
    /// When hook, acceptance or drain is over.
    pub stop_due: SimTime,
    /// When the grace is over.
    pub grace_due: SimTime,
    /// When hook or waiting for the turn began.
    pub stop_since: SimTime,
    /// Grace that was left then.
    pub grace_left: Duration,
}

/// Which probe condemned a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The liveness probe.
    Liveness,
    /// The startup probe.
    Startup,
}

impl Container {
    /// Before the first start.
    pub(super) const NEW: Self = Self {
        process: Process::Due,
        stop: Stop::No,
        fresh: false,
        seen: false,
        exit_ok: false,
        exit_code: 0,
        is_started: false,
        is_ready: false,
        verdict: None,
        runs: 0,
        started: SimTime::ZERO,
        able_at: NEVER,
        finished: SimTime::ZERO,
        exit_due: NEVER,
        seen_due: NEVER,
        restart_due: NEVER,
        backoff: Duration::ZERO,
        backoff_at: SimTime::ZERO,
        ready_anchor: SimTime::ZERO,
        ready_due: NEVER,
        live_due: NEVER,
        startup_due: NEVER,
        stop_due: NEVER,
        grace_due: NEVER,
        stop_since: SimTime::ZERO,
        grace_left: Duration::ZERO,
    };

    /// The same container without process and without anything due; its history stays.
    pub(super) const fn without_process(self, now: SimTime) -> Self {
        Self {
            process: Process::Exited,
            runs: self.runs,
            started: self.started,
            finished: now,
            backoff: self.backoff,
            backoff_at: self.backoff_at,
            is_started: self.is_started,
            is_ready: self.is_ready,
            ready_anchor: self.ready_anchor,
            ready_due: if self.is_ready { self.ready_due } else { NEVER },
            ..Self::NEW
        }
    }
}

/// What the kubelet of a node keeps.
#[derive(Debug)]
pub(super) struct NodeState {
    /// Draws of the machinery.
    pub machinery: ChaCha8Rng,
    /// Draws of what containers do.
    pub apps: ChaCha8Rng,
    /// Images, and from when on they are there.
    images: LookupMap<Symbol, SimTime>,
    /// When all pulls asked for so far are done: one at a time (rule N60).
    pulls_done: SimTime,
    /// Sandboxes being made.
    pub sandboxes: u32,
}

impl NodeState {
    pub(super) fn new(name: &str, images: &[(Symbol, Bytes)], streams: &Streams) -> Self {
        let mut present = LookupMap::new();
        for (image, _) in images {
            present.insert(*image, SimTime::ZERO);
        }
        Self {
            machinery: streams.open("kubelet", name),
            apps: streams.open("containers", name),
            images: present,
            pulls_done: SimTime::ZERO,
            sandboxes: 0,
        }
    }

    /// Whether an image is there.
    pub(super) fn has_image(&self, image: Symbol, now: SimTime) -> bool {
        self.images.get(&image).is_some_and(|from| *from <= now)
    }

    /// Takes a pull into the row and says when it is done. Layers that are there, or that a pull
    /// before it brings, are not fetched again.
    pub(super) fn pull(
        &mut self,
        image: Symbol,
        fixed: Duration,
        transfer: Duration,
        now: SimTime,
    ) -> SimTime {
        let is_known = self.images.get(&image).is_some();
        let work = if is_known { fixed } else { fixed.saturating_add(transfer) };
        self.pulls_done = self.pulls_done.max(now).saturating_add(work);
        if !is_known {
            self.images.insert(image, self.pulls_done);
        }
        self.pulls_done
    }

    /// Forgets what was under way: the node lost power. A pull that was under way counts as done.
    pub(super) fn reset(&mut self, now: SimTime) {
        self.pulls_done = now;
        self.sandboxes = 0;
    }
}
