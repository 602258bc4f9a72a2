//! What the container runtime has of a pod, and what the kubelet last saw of it (rule N4).

use smallvec::SmallVec;

use super::types::Exit;
use crate::base::SimTime;

/// The state of one run of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunState {
    /// Created, not started.
    Created,
    /// It runs since then.
    Running(SimTime),
    /// It ended: how, when it started, when it ended.
    Exited(Exit, Option<SimTime>, SimTime),
}

/// One run of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Which container.
    pub container: u8,
    /// Which run, from 0; again from 0 after all were restarted.
    pub attempt: u32,
    /// A number of its own within the pod.
    pub id: u32,
    /// Its state.
    pub state: RunState,
}

impl Run {
    /// Whether it runs.
    #[must_use]
    pub(super) const fn is_running(&self) -> bool {
        matches!(self.state, RunState::Running(_))
    }

    /// How and when it ended.
    #[must_use]
    pub(super) const fn exit(&self) -> Option<(Exit, SimTime)> {
        match self.state {
            RunState::Exited(exit, _, finished) => Some((exit, finished)),
            RunState::Created | RunState::Running(_) => None,
        }
    }
}

/// The sandbox of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sandbox {
    /// How many there were before.
    pub attempt: u32,
    /// Whether it is ready; stopped if not.
    pub is_ready: bool,
    /// Its address.
    pub ip: u32,
}

/// All of a pod in the runtime; runs in the order in which they were created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Runtime {
    /// Its newest sandbox.
    pub sandbox: Option<Sandbox>,
    /// Its containers, dead ones too.
    pub runs: SmallVec<[Run; 2]>,
}

/// What a relist reports to the main loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noticed {
    /// Something started: look at the pod.
    Look,
    /// A container died, or the sandbox: 0.
    Died(u32),
}

impl Runtime {
    /// The newest run of a container.
    #[must_use]
    pub(super) fn newest(&self, container: u8) -> Option<&Run> {
        self.runs.iter().rev().find(|run| run.container == container)
    }

    /// A run by its number.
    #[must_use]
    pub(super) fn by_id(&self, id: u32) -> Option<&Run> {
        self.runs.iter().find(|run| run.id == id)
    }

    /// Runs that are dead while a later run of the container is dead too.
    #[must_use]
    pub(super) fn older_dead(&self) -> Vec<Run> {
        let dead = || self.runs.iter().filter(|run| run.exit().is_some());
        let is_older =
            |run: &&Run| dead().any(|other| other.container == run.container && other.id > run.id);
        dead().filter(is_older).copied().collect()
    }

    /// Whether a sandbox is needed, and which it will be (rule N57).
    #[must_use]
    pub(super) fn sandbox_needed(&self) -> Option<u32> {
        match self.sandbox {
            None => Some(0),
            Some(sandbox) if !sandbox.is_ready => Some(sandbox.attempt + 1),
            Some(_) => None,
        }
    }

    /// What differs from what was seen before; `None`: nothing at all.
    ///
    /// Source: kubernetes v1.36.3 pkg/kubelet/pleg/generic.go `generateEvents`.
    #[must_use]
    pub(super) fn news(&self, before: &Self) -> Option<SmallVec<[Noticed; 2]>> {
        if self == before {
            return None;
        }
        let mut news = SmallVec::new();
        for run in &self.runs {
            let old = before.by_id(run.id);
            if old.is_some_and(|old| old.state == run.state) {
                continue;
            }
            match run.state {
                RunState::Created => {}
                RunState::Running(_) => news.push(Noticed::Look),
                RunState::Exited(..) => news.push(Noticed::Died(run.id)),
            }
        }
        let is_gone = |old: &&Run| self.by_id(old.id).is_none() && old.exit().is_none();
        news.extend(before.runs.iter().filter(is_gone).map(|old| Noticed::Died(old.id)));
        if self.sandbox != before.sandbox {
            let is_ready = self.sandbox.is_some_and(|sandbox| sandbox.is_ready);
            news.push(if is_ready { Noticed::Look } else { Noticed::Died(0) });
        }
        Some(news)
    }
}
