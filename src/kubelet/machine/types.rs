//! What goes into a machine and what comes out of it.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::base::{Duration, SimTime, Symbol};
use crate::model::PodSpec;

/// A pod on its machine: the number of a slot, used again when the pod is forgotten
/// ([`Host::forgotten`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

/// Periods, phases and limits of one kubelet. In `ideal` all periods of the machinery are zero.
#[derive(Clone, Debug)]
pub struct Config {
    /// Period of the global relist; zero: a change is seen at once (rule N4).
    pub relist: Duration,
    /// The first global relist.
    pub relist_phase: SimTime,
    /// How long an on-demand relist takes to be carried out (rule N5).
    pub on_demand: Duration,
    /// Period of the sync tick, 1 s (rule N1); zero: what is due is looked at when it is due.
    pub sync_tick: Duration,
    /// The first sync tick; housekeeping, the sender's tick and the volume loops have its phase.
    pub sync_phase: SimTime,
    /// Period of housekeeping, 2 s; zero: at once.
    pub housekeeping: Duration,
    /// Period of the sender's reconciliation of statuses, 10 s (rule N10); zero: at once.
    pub status_tick: Duration,
    /// Period of the volume loops, 100 ms (rule N52); zero: volumes are there at once.
    pub volume_loop: Duration,
    /// From one look of a waiting worker at its volumes to the next, 300 ms (rule N52).
    pub volume_wait: Duration,
    /// Longest crash back-off, 300 s (rule N92).
    pub backoff_max: Duration,
    /// Pulls one at a time (rule N60).
    pub serialize_pulls: bool,
    /// Pulls at the same time at most, if not one at a time.
    pub parallel_pulls_max: Option<u32>,
    /// Pulls a second that the kubelet lets through, and at once (rule N62); `None`: any number.
    pub limits_pulls: Option<(u32, u32)>,
    /// Whether a sync that went well is repeated after 60 to 90 s (rule N8). Off, nothing of a
    /// running pod is ever due without cause: what a repetition finds is known beforehand.
    pub resync: bool,
}

/// A pod as its configuration has it.
#[derive(Clone, Debug)]
pub struct PodInput {
    /// Its specification.
    pub spec: Arc<PodSpec>,
    /// When the object was created.
    pub created: SimTime,
    /// Orders pods of one instant.
    pub serial: u64,
    /// `metadata.generation`.
    pub generation: i64,
    /// Its deletion, if it came with one.
    pub deletion: Option<Deletion>,
}

/// A deletion as the object has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// `deletionGracePeriodSeconds`; zero for a forced one (rule N121).
    pub grace: Duration,
    /// `metadata.generation` after it.
    pub generation: i64,
}

/// What a patch of the specification may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpecChange {
    /// `activeDeadlineSeconds`.
    pub active_deadline: Option<Duration>,
    /// `metadata.generation` after it.
    pub generation: i64,
}

/// A call that the kubelet makes and that may take time. Containers are numbered as in the
/// template: init containers first, then the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// RunPodSandbox.
    RunSandbox {
        /// How many sandboxes the pod had before.
        attempt: u32,
    },
    /// StopPodSandbox.
    StopSandbox,
    /// CreateContainer.
    Create {
        /// Which container.
        container: u8,
        /// Its run, from 0.
        attempt: u32,
    },
    /// StartContainer.
    Start {
        /// Which container.
        container: u8,
        /// Its run, from 0.
        attempt: u32,
    },
    /// StopContainer: done when its process is dead.
    Stop {
        /// Which container.
        container: u8,
        /// Its run, from 0.
        attempt: u32,
        /// From the signal to SIGKILL; whole seconds.
        timeout: Duration,
    },
    /// RemoveContainer; takes no time.
    Remove {
        /// Which container.
        container: u8,
        /// Its run, from 0.
        attempt: u32,
    },
    /// PullImage.
    Pull {
        /// For which container.
        container: u8,
        /// What.
        image: Symbol,
    },
    /// A probe.
    Probe {
        /// Of which container.
        container: u8,
        /// Which of its probes.
        which: Which,
        /// Of which run: the stored status may still have the one before.
        attempt: u32,
        /// `timeoutSeconds`.
        timeout: Duration,
    },
    /// A lifecycle hook.
    Hook {
        /// Of which container.
        container: u8,
        /// Whether it is postStart (else preStop).
        is_post_start: bool,
    },
    /// UpdateContainerResources of the containers that are to get other amounts (rule N104).
    Resize,
    /// GET of the pod, before a patch of its status.
    Get,
    /// PATCH of the status; takes effect as it begins. The status is in [`Host::begin_patch`].
    Patch,
    /// DELETE with grace 0; takes effect as it begins.
    Delete,
}

/// One of a container's probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Which {
    /// readinessProbe.
    Readiness,
    /// livenessProbe.
    Liveness,
    /// startupProbe.
    Startup,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It went well. An exec: exit code 0. A GET: the object is there.
    Ok,
    /// A sandbox is there, with this address (the host numbers them from 1).
    Sandbox(u32),
    /// The runtime failed. A GET or PATCH: the object is gone.
    Failed,
    /// An exec ended with another code than 0, or a network probe got a bad answer.
    Exit(i32),
    /// A probe took longer than its timeout.
    TimedOut,
    /// A probe could not be carried out: the container does not run.
    NotRunning,
    /// A probe's context was cancelled (rule N138).
    Cancelled,
    /// A probe could not be carried out for another reason.
    Errored,
    /// A GET: another object has the name.
    Replaced,
}

/// What a probe will answer (see [`Host::probe_outlook`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// Nobody knows: each is a [`Host::begin`].
    Ask,
    /// It answers this at once, and goes on until the instant (exclusive) unless the machine is
    /// told otherwise with [`super::Machine::outlook_changed`].
    Steady(Outcome, SimTime),
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Exit code.
    pub code: i32,
    /// Reason as the runtime has it: `Completed`, `Error`, `OOMKilled`.
    pub reason: &'static str,
}

/// What the machine asks of the world.
pub trait Host {
    /// A call begins. `Some`: it took no time and this is its outcome; `None`: its outcome comes
    /// with [`super::Machine::done`].
    fn begin(&mut self, slot: Slot, call: Call) -> Option<Outcome>;

    /// A PATCH of the status begins, and takes effect now.
    fn begin_patch(&mut self, slot: Slot, status: &Status) -> Option<Outcome>;

    /// A hook or probe under way is given up: it must not be answered any more, except that a
    /// probe whose runtime heeds the cancel ends with [`Outcome::Cancelled`] at once (the machine
    /// does that itself).
    fn cancel(&mut self, slot: Slot, call: Call);

    /// An event for the record.
    fn event(&mut self, slot: Slot, container: Option<u8>, say: Say);

    /// What the work queue adds at random: the pod is looked at again after `base` and up to half
    /// of it more (rule N8). Gives the whole delay.
    fn requeue(&mut self, slot: Slot, base: Duration) -> Duration;

    /// Whether the pod has volumes that must be mounted.
    fn has_volumes(&mut self, slot: Slot) -> bool {
        let _ = slot;
        true
    }

    /// Whether a volume of the pod cannot be mounted now; the host tells with
    /// [`super::Machine::volumes_changed`] when that may be otherwise (rule N53).
    fn lacks_volumes(&mut self, slot: Slot) -> bool {
        let _ = slot;
        false
    }

    /// The volumes of a pod whose containers have stopped are unmounted at this instant.
    fn unmounts(&mut self, slot: Slot, at: SimTime) {
        let _ = (slot, at);
    }

    /// What the clean-up of a pod takes after its volumes are unmounted, before its object may go
    /// (rule N130).
    fn clean_up(&mut self, slot: Slot) -> Duration {
        let _ = slot;
        Duration::ZERO
    }

    /// Whether the configuration of a container cannot be made: a ConfigMap or Secret, or a key of
    /// it, is not there (rule N53).
    fn lacks_config(&mut self, slot: Slot, container: u8) -> bool {
        let _ = (slot, container);
        false
    }

    /// Which of several waiting statuses is written next: the kubelet takes them in no order.
    fn next_write(&mut self, waiting: &[Slot]) -> usize {
        let _ = waiting;
        0
    }

    /// Whether a status that changed at this very instant is in the batch that begins, with
    /// `batch`; else it is in the next.
    fn joins_batch(&mut self, slot: Slot, batch: &[Slot]) -> bool {
        let _ = (slot, batch);
        true
    }

    /// Whether a status is written as it is, although it may change again at this very instant.
    fn writes_now(&mut self, slot: Slot, status: &Status, is_last: bool) -> bool {
        let _ = (slot, status, is_last);
        false
    }

    /// Whether the host has more to tell of this very instant: statuses are written after that.
    fn has_more_now(&mut self) -> bool {
        false
    }

    /// Whether a readiness worker that is asked to look out of band sees the status that is being
    /// built; else it looks at the one before, and next time a period later (rule N85).
    fn poke_sees(&mut self, slot: Slot, container: u8) -> bool {
        let _ = (slot, container);
        true
    }

    /// Whether a probe's result is an update of its own for a worker that had another at this very
    /// instant, or comes together with that; `ours`: as the machine would have it (rule N2).
    fn comes_apart(&mut self, slot: Slot, ours: bool) -> bool {
        let _ = slot;
        ours
    }

    /// Which of several pods that asked for a relist at the same instant has it first.
    fn next_relist(&mut self, asking: &[Slot]) -> usize {
        let _ = asking;
        0
    }

    /// Whether the volumes of a pod whose containers have stopped are unmounted one round of the
    /// loops later: the reconciler may look before the populator has told it (rule N130).
    fn unmounts_late(&mut self, slot: Slot) -> bool {
        let _ = slot;
        false
    }

    /// Whether an image is on the node.
    fn has_image(&mut self, image: Symbol) -> bool;

    /// What a probe answers from now on, if it is known.
    fn probe_outlook(&mut self, slot: Slot, container: u8, which: Which) -> Outlook {
        let _ = (slot, container, which);
        Outlook::Ask
    }

    /// Whether the runtime heeds that a probe's context was cancelled: exec probes (rule N138).
    fn probe_heeds_cancel(&mut self, slot: Slot, container: u8, which: Which) -> bool;

    /// Whether the node turns the pod away, and why; `others` are the pods that it has (rule N40).
    fn rejection(&mut self, slot: Slot, others: &[Slot]) -> Option<Rejection>;

    /// The machine has forgotten the pod; the slot is used again, and calls for it that are under
    /// way must not be answered any more.
    fn forgotten(&mut self, slot: Slot);
}

/// Why a pod is turned away (rule N42), and whom it would have to preempt (rule N43).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The reason: `OutOfcpu`, `NodeAffinity`, …
    pub reason: &'static str,
    /// Numbers for the message: requested, used, capacity.
    pub numbers: [i64; 3],
    /// Pods to be preempted to make room; empty: the pod is turned away.
    pub victims: Vec<Slot>,
}

/// The phase of a pod (rule N89).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not all containers have run yet.
    Pending,
    /// At least one container runs or will run again.
    Running,
    /// All ended with 0.
    Succeeded,
    /// Ended otherwise.
    Failed,
}

impl Phase {
    /// Whether it is final.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// A pod's status as the kubelet writes it. Times are cut to whole seconds (rule N14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Phase.
    pub phase: Phase,
    /// Reason; empty if there is none.
    pub reason: &'static str,
    /// Message.
    pub message: Message,
    /// Its address: the number that came with its sandbox.
    pub ip: Option<u32>,
    /// `startTime`.
    pub start: Option<SimTime>,
    /// `observedGeneration`.
    pub observed_generation: i64,
    /// Conditions.
    pub conditions: Conditions,
    /// Containers: init containers first, then the others, as in the template. Empty: not written
    /// yet.
    pub containers: SmallVec<[ContainerStatus; 1]>,
    /// What the pod's `resources` name.
    pub resources: Told,
}

/// What the pod's `resources` name, besides memory requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "entries of a map that are there or not")]
pub struct Told {
    /// A CPU request.
    pub has_cpu: bool,
    /// A CPU limit.
    pub has_cpu_limit: bool,
    /// A memory limit.
    pub has_memory_limit: bool,
    /// Ephemeral storage and extended resources.
    pub has_others: bool,
}

/// A pod's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// None.
    None,
    /// It was turned away: the numbers of [`Rejection`].
    Rejected([i64; 3]),
    /// `activeDeadlineSeconds` is over.
    Deadline,
    /// A critical pod took its place.
    Preempted,
}

/// The conditions of a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// PodScheduled.
    pub scheduled: Option<Condition>,
    /// PodReadyToStartContainers.
    pub ready_to_start: Option<Condition>,
    /// Initialized.
    pub initialized: Option<Condition>,
    /// ContainersReady.
    pub containers_ready: Option<Condition>,
    /// Ready.
    pub ready: Option<Condition>,
    /// AllContainersRestarting.
    pub all_restarting: Option<Condition>,
    /// DisruptionTarget.
    pub disruption: Option<Condition>,
}

/// A condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    /// True or False.
    pub is_true: bool,
    /// Why.
    pub reason: Because,
    /// When `is_true` changed last, in whole seconds.
    pub since: SimTime,
    /// What its message names: init containers, bit by bit; of Ready the readiness gates, two bits
    /// each (1: it has no condition, 2: its condition is not True).
    pub named: u64,
}

/// The reason of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// None.
    None,
    /// ContainersNotReady.
    ContainersNotReady,
    /// ContainersNotInitialized.
    ContainersNotInitialized,
    /// PodCompleted.
    PodCompleted,
    /// PodFailed.
    PodFailed,
    /// ReadinessGatesNotReady.
    ReadinessGatesNotReady,
    /// RestartAllContainersStarted.
    RestartAllContainersStarted,
    /// TerminationByKubelet.
    TerminationByKubelet,
}

/// A container in the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContainerStatus {
    /// Its state.
    pub state: State,
    /// How the run before ended.
    pub last: Option<Ended>,
    /// Whether it is ready.
    pub ready: bool,
    /// Whether it has started.
    pub started: bool,
    /// How often it was started again.
    pub restarts: u32,
    /// `containerID`: which run this is about; probe workers compare it.
    pub id: Option<u32>,
}

/// The state of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits, for this reason.
    Waiting(&'static str),
    /// It runs, since then (whole seconds).
    Running(SimTime),
    /// It ended.
    Terminated(Ended),
}

/// The end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Exit code.
    pub code: i32,
    /// Reason.
    pub reason: &'static str,
    /// When it started, in whole seconds; `None`: never.
    pub started: Option<SimTime>,
    /// When it ended, in whole seconds; `None`: nobody knows.
    pub finished: Option<SimTime>,
}

/// An event, by what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say {
    /// Pulling.
    Pulling,
    /// Pulled, by a pull.
    Pulled {
        /// How long the pull took.
        took: Duration,
        /// The same with its wait.
        with_wait: Duration,
    },
    /// Pulled: it was there.
    Present,
    /// Failed: the pull, with the runtime's error.
    PullFailed,
    /// Failed: too many pulls a second (rule N62).
    PullQps,
    /// BackOff: the image.
    PullBackOff,
    /// ErrImageNeverPull.
    NeverPull,
    /// Failed: the container cannot be started for this reason.
    StartFailed(&'static str),
    /// Failed: CreateContainer's error.
    CreateFailed,
    /// Failed: StartContainer's error.
    RunFailed,
    /// Created.
    Created,
    /// Started.
    Started,
    /// FailedPostStartHook.
    PostStartFailed,
    /// FailedPreStopHook.
    PreStopFailed,
    /// Killing.
    Killing(Kill),
    /// BackOff: restarting a failed container.
    CrashBackOff,
    /// Unhealthy.
    Unhealthy(Which, Outcome),
    /// FailedCreatePodSandBox.
    SandboxFailed,
    /// SandboxChanged.
    SandboxChanged,
    /// FailedKillPod.
    KillFailed,
    /// DeadlineExceeded.
    DeadlineExceeded,
    /// The pod is turned away: reason and numbers of [`Rejection`].
    Rejected(&'static str, [i64; 3]),
    /// Preempting.
    Preempting,
    /// FailedMount.
    MountFailed,
    /// FailedMount: the wait for volumes is given up (rule N52).
    MountTimedOut,
}

/// Why a container is killed: the message of Killing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kill {
    /// The pod ends.
    Stopping,
    /// Its liveness probe failed.
    Liveness,
    /// Its startup probe failed.
    Startup,
    /// Its postStart hook failed.
    PostStart,
    /// It is to get other amounts, which need a restart (rule N104).
    Resize,
    /// All containers are restarted, or the sandbox is a new one.
    Plain,
}
