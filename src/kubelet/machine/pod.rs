//! One pod on its machine.

use std::collections::VecDeque;

use smallvec::SmallVec;

use super::prober::Probes;
use super::runtime::{Run, RunState, Runtime};
use super::types::{Config, Deletion, Kill, Message, Phase, PodInput, Status};
use crate::base::{Duration, SimTime};

/// The status that the kubelet keeps of a pod, and what of it was written.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub status: Option<Status>,
    /// Counts the changes.
    pub version: u64,
    /// The last of them.
    pub changed: SimTime,
    /// The last version that was written.
    pub written: u64,
    pub is_finished: bool,
    /// The readiness gates as the status has them.
    pub gates: Gates,
    /// The API was not told the final phase yet: containers could still run (rule N129).
    pub is_held: bool,
    /// As the API has it.
    pub api: Option<Status>,
    /// The API object was deleted by the kubelet: nothing is written any more.
    pub is_dropped: bool,
}

/// Which of a pod's readiness gates are open, and which have a condition at all, bit by bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gates {
    pub open: u32,
    pub told: u32,
}

/// What kind of step a worker is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Sync,
    Terminating,
    Terminated,
}

/// Something to be done in a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Todo {
    KillPod,
    Kill(u32, Kill),
    /// A container is killed and all of it forgotten (rule N93).
    Reset(u8),
    Sandbox(u32),
    /// Containers get other amounts.
    Resize,
    Start(u8),
}

/// What a step waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Busy {
    /// Its volumes: looked at again then.
    Volumes(SimTime),
    /// Volumes that cannot be mounted yet: given up then (rule N52).
    Lacking(SimTime),
    /// The kills of the list.
    Kills(AfterKills),
    StopSandbox,
    Sandbox(u32),
    Pull(u8),
    Create(u8),
    Launch(u8, u32),
    Hook(u8, u32),
    Resize,
    /// Its volumes to be gone.
    Unmount(SimTime),
}

/// What follows when all kills of the list are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterKills {
    StopSandbox,
    Next,
    Reset(u8),
    /// The start of this container failed by its hook.
    HookFailed(u8),
}

/// A step under way.
#[derive(Debug)]
pub(super) struct Step {
    pub kind: Kind,
    pub todo: VecDeque<Todo>,
    pub busy: Option<Busy>,
    /// A runtime action was taken.
    pub has_acted: bool,
    pub has_failed: bool,
    pub backoff: Option<SimTime>,
    /// What the step knows (the cache as it began).
    pub seen: Runtime,
    /// Ends in the next state of the pod (rule N8).
    pub is_terminal: bool,
    pub is_reset: bool,
}

/// The update that the worker took last: what the object said then, whatever came since while the
/// worker waits for a newer view (rules N2, N7).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Taken {
    pub kind: Kind,
    pub generation: i64,
    pub deletion: Option<Deletion>,
    /// When it was taken.
    pub at: SimTime,
    /// The phase that the API had.
    pub phase: Option<Phase>,
}

/// The worker of a pod.
#[derive(Debug, Default)]
pub(super) struct Worker {
    pub is_terminating: bool,
    pub is_terminated: bool,
    pub is_deleted: bool,
    pub is_evicted: bool,
    /// Containers are stopped and the step after is done.
    pub is_over: bool,
    pub is_cancelled: bool,
    /// Effective grace in seconds, once known.
    pub grace: Option<u64>,
    pub has_update: bool,
    /// An update was taken and waits for a newer view.
    pub is_waiting: bool,
    pub taken: Taken,
    pub step: Option<Step>,
    pub last: Option<SimTime>,
    /// The work queue has it until then.
    pub queue: Option<SimTime>,
    /// What an eviction writes.
    pub verdict: Option<(&'static str, Message)>,
}

/// Where the kill of one container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KillPhase {
    /// Its hook runs; given up then.
    PreStop(SimTime),
    /// It waits for its turn; not longer than until then.
    Turn(SimTime),
    Stop,
    Done,
}

/// The kill of one container.
#[derive(Clone, Copy, Debug)]
pub(super) struct Killing {
    pub container: u8,
    pub attempt: u32,
    pub phase: KillPhase,
    /// Seconds of grace left.
    pub left: u64,
    pub began: SimTime,
    pub is_ordered: bool,
}

/// A pod.
#[derive(Debug)]
pub(super) struct Pod {
    pub input: PodInput,
    pub has_volumes: bool,
    /// The API object is gone.
    pub is_gone: bool,
    /// The main loop has not come to it yet, or drives others out for it.
    pub is_unseen: bool,
    /// Turned away.
    pub is_rejected: bool,
    pub gates: Gates,
    pub runtime: Runtime,
    pub cache: Runtime,
    /// When the runtime changed without the cache.
    pub dirty: Option<SimTime>,
    /// The last relist of this pod.
    pub relisted: Option<SimTime>,
    /// A relist was asked for then, and will be carried out then.
    pub asked: Option<(SimTime, SimTime)>,
    pub worker: Worker,
    pub kills: SmallVec<[Killing; 2]>,
    pub probes: Probes,
    pub kept: Kept,
    pub reasons: SmallVec<[(u8, &'static str); 1]>,
    /// Its volumes are there.
    pub is_mounted: bool,
    /// Its volumes are gone then.
    pub unmounted: Option<SimTime>,
    pub ids: u32,
    /// What the machine's list of due instants says.
    pub due: Option<SimTime>,
    pub deadline_said: bool,
    /// It is to get other amounts: the containers that are restarted for it, bit by bit.
    pub resize: Option<u64>,
}

impl Pod {
    pub(super) fn new(input: PodInput, has_volumes: bool) -> Self {
        Self {
            input,
            has_volumes,
            is_gone: false,
            is_unseen: true,
            is_rejected: false,
            gates: Gates::default(),
            runtime: Runtime::default(),
            cache: Runtime::default(),
            dirty: None,
            relisted: None,
            asked: None,
            worker: Worker::default(),
            kills: SmallVec::new(),
            probes: Probes::default(),
            kept: Kept::default(),
            reasons: SmallVec::new(),
            is_mounted: !has_volumes,
            unmounted: None,
            ids: 0,
            due: None,
            deadline_said: false,
            resize: None,
        }
    }

    pub(super) fn is_deleting(&self) -> bool {
        self.input.deletion.is_some()
    }

    /// Changes a run and notes that the runtime differs from the cache.
    pub(super) fn set_run(&mut self, id: u32, state: RunState, now: SimTime) {
        if let Some(run) = self.runtime.runs.iter_mut().find(|run| run.id == id) {
            run.state = state;
            self.touch(now);
        }
    }

    pub(super) fn touch(&mut self, now: SimTime) {
        self.dirty.get_or_insert(now);
    }

    pub(super) fn add_run(&mut self, container: u8, attempt: u32, now: SimTime) -> u32 {
        self.ids += 1;
        let run = Run { container, attempt, id: self.ids, state: RunState::Created };
        self.runtime.runs.push(run);
        self.touch(now);
        self.ids
    }

    /// The newest run that is there, of those created with this number.
    pub(super) fn run_of(&self, container: u8) -> Option<Run> {
        self.runtime.newest(container).copied()
    }

    /// The instant after which the deadline is over (rule N133), as far as it is known.
    pub(super) fn deadline(&self) -> Option<SimTime> {
        let limit = self.input.spec.active_deadline?;
        Some(self.kept.status.as_ref()?.start?.saturating_add(limit))
    }

    /// When the next relist of this pod is due.
    fn relist_due(&self, config: &Config) -> Option<SimTime> {
        let after = |instant: SimTime| {
            instant.saturating_add(Duration::ns(1)).next_tick(config.relist_phase, config.relist)
        };
        if config.relist.is_zero() {
            let waits = self.worker.last.filter(|_| self.worker.is_waiting);
            return [self.dirty, waits].into_iter().flatten().min();
        }
        let dirty = self.dirty.map(|since| {
            let tick = since.next_tick(config.relist_phase, config.relist);
            self.relisted.filter(|done| *done >= tick).map_or(tick, after)
        });
        let waits = self.worker.last.filter(|_| self.worker.is_waiting).map(after);
        let asked = self.asked.map(|(_, due)| due);
        [dirty, waits, asked].into_iter().flatten().min()
    }

    /// When something of it is due next.
    pub(super) fn next_due(&self, config: &Config, is_held: bool) -> Option<SimTime> {
        let next = Duration::ns(1);
        let tick = |due: SimTime| {
            if config.sync_tick.is_zero() {
                return due;
            }
            due.saturating_add(next).next_tick(config.sync_phase, config.sync_tick)
        };
        let queue = self.worker.queue.filter(|_| !self.worker.is_over && !is_held).map(tick);
        let deadline = self
            .deadline()
            .filter(|_| !self.worker.is_terminating && !self.is_rejected && !self.deadline_said)
            .filter(|_| !is_held);
        let deadline = deadline.map(|due| due.next_tick(config.sync_phase, config.sync_tick));
        let busy = match self.worker.step.as_ref().and_then(|step| step.busy) {
            Some(Busy::Volumes(due) | Busy::Lacking(due) | Busy::Unmount(due)) => Some(due),
            Some(_) | None => None,
        };
        let kills = self.kills.iter().filter_map(|kill| match kill.phase {
            KillPhase::PreStop(due) | KillPhase::Turn(due) => Some(due),
            KillPhase::Stop | KillPhase::Done => None,
        });
        let own = [self.relist_due(config), queue, deadline, busy, self.probes.next_due()];
        own.into_iter().flatten().chain(kills).min()
    }
}
