//! The scheduling cycle and what follows it (rules S2, S3, S52, S60, S61).

use std::sync::Arc;

use super::{Core, Outcome, Patch, Stage, gate_of};
use crate::base::{Duration, Interner, SimTime};
use crate::model::{NodeId, PodRef};
use crate::placement::plugins::volumes::hints::StorageChange;
use crate::placement::{Decision, Failure, Nomination};
use crate::scheduler::hints::Happened;

/// The loop.
impl Core {
    /// Takes the next pod (rules S132, S137).
    pub fn pop(&mut self) -> Option<PodRef> {
        self.queue.pop().map(|waiting| waiting.pod)
    }

    /// One scheduling cycle of a pod that was popped, up to the assumption (rules S2, S3, S52).
    pub fn attempt(&mut self, pod: PodRef, names: &Interner) -> Outcome {
        let known = self.row(pod).filter(|row| {
            row.stage == Stage::Waiting && !row.facts.is_terminating && row.profile.is_some()
        });
        let known = known.map(|row| (row.facts.class, row.profile, row.facts.pinned));
        let Some((class, profile, pinned)) = known else {
            self.queue.forget(pod);
            return Outcome::Skipped;
        };
        let profile = profile.map_or(0, usize::from);
        let decision = match pinned {
            None => self.placer.decide(pod, class, profile, names),
            Some(name) => self.placer.decide_pinned(pod, class, name, profile, names),
        };
        match decision {
            Decision::Placed { node, feasible } => {
                let volumes = self.assume(pod, node, profile, names);
                Outcome::Assumed { node, feasible, volumes }
            }
            Decision::Failed(failure) => Outcome::Failed(Box::new(failure)),
        }
    }

    /// A pod that was popped is gone in the API: nothing is tried.
    pub fn skip(&mut self, pod: PodRef) {
        self.queue.forget(pod);
    }

    fn assume(&mut self, pod: PodRef, node: NodeId, profile: usize, names: &Interner) -> Duration {
        self.queue.set_aside(pod);
        self.placer.nominator_mut().remove(pod);
        let Some(row) = self.row_mut(pod) else { return Duration::ZERO };
        row.stage = Stage::Assumed(node);
        row.condition = None;
        let mut wait = None;
        if !row.facts.info.spec.volumes.is_empty() {
            let info = Arc::clone(&row.facts.info);
            let Self { volumes, placer, .. } = self;
            wait = volumes.reserve(pod, &info, (node, profile), placer, names);
        }
        self.count(pod, node, names);
        wait.unwrap_or(Duration::ZERO)
    }

    /// The volumes that were promised to an assumed pod are bound, which may help pods that wait
    /// (rule S123c).
    pub fn bind_volumes(&mut self, pod: PodRef, names: &Interner, now: SimTime) {
        if !self.volumes.has(pod) {
            return;
        }
        let bound = self.volumes.finish(pod, &mut self.placer, names);
        if !self.is_listening() {
            return;
        }
        for (claim, volume) in bound {
            let storage = &self.placer.catalog().storage;
            let claim = storage.claim(claim).cloned();
            if storage.volume(volume).is_some() {
                self.publish(Happened::Storage(StorageChange::VolumeAdded), names, now);
            }
            if let Some(claim) = claim {
                let change = StorageChange::ClaimUpdated(&claim);
                self.publish(Happened::Storage(change), names, now);
            }
        }
    }

    /// Whom to evict for a pod whose attempt failed; it is held back until the last of them is on
    /// its way. Those that are ending already are passed over (rule S186).
    pub fn preempt(&mut self, pod: PodRef, failure: &Failure) -> Vec<PodRef> {
        let is_alive =
            |victim: &PodRef| self.row(*victim).is_some_and(|row| !row.facts.is_terminating);
        let victims: Vec<_> = failure.victims.iter().copied().filter(is_alive).collect();
        if let Some(last) = victims.last() {
            self.preempting.insert(pod, *last);
        }
        victims
    }

    /// The failure handler: the pod is back in the queue (rules S35, S59 to S61). What must be
    /// written of it, if anything.
    pub fn fail(&mut self, pod: PodRef, failure: &Failure, now: SimTime) -> Option<Patch> {
        if self.row(pod).is_none_or(|row| row.stage != Stage::Waiting) {
            self.queue.forget(pod);
            return None;
        }
        let Self { queue, placer, rows, preempting, .. } = self;
        queue.requeue(pod, failure.plugins, |pod| gate_of(pod, rows, preempting, placer), now);
        self.nominate_and_patch(pod, failure)
    }

    fn nominate_and_patch(&mut self, pod: PodRef, failure: &Failure) -> Option<Patch> {
        let row = self.rows.get_mut(pod.id)?.as_mut()?;
        let nominator = self.placer.nominator_mut();
        nominator.remove(pod);
        let wanted = match failure.nomination {
            Nomination::Keep => None,
            Nomination::Set(node) => Some(Some(node)),
            Nomination::Clear => Some(None),
        };
        if let Some(node) = wanted.unwrap_or(row.facts.nominated) {
            nominator.add(pod, Arc::clone(&row.facts.info), node);
        }
        let is_error = failure.plugins.is_empty();
        let known = row.condition.as_ref().is_some_and(|(was_error, message)| {
            *was_error == is_error
                && (Arc::ptr_eq(message, &failure.message) || *message == failure.message)
        });
        let nomination = wanted.filter(|wanted| *wanted != row.facts.nominated);
        if known && nomination.is_none() {
            return None;
        }
        let message = Arc::clone(&failure.message);
        row.condition = Some((is_error, Arc::clone(&message)));
        Some(Patch { message, is_news: !known, nomination })
    }

    /// A binding failed: the pod is back in the queue after an error (rule S57).
    pub fn bind_failed(
        &mut self,
        pod: PodRef,
        message: &str,
        names: &Interner,
        now: SimTime,
    ) -> Option<Patch> {
        self.forget_assumed(pod, names, now);
        self.fail(pod, &Failure::error(message), now)
    }

    /// Makes a pod active at once (rule S149).
    pub fn activate(&mut self, pod: PodRef) {
        let Self { queue, placer, rows, preempting, .. } = self;
        queue.activate_now(pod, |pod| gate_of(pod, rows, preempting, placer));
    }

    /// Lets pods whose back-off is over go on (rule S136).
    pub fn flush_backoff(&mut self, now: SimTime) {
        self.queue.flush_backoff(now);
    }

    /// Lets pods that have waited long be tried again (rule S139).
    pub fn flush_unschedulable(&mut self, now: SimTime) {
        let Self { queue, placer, rows, preempting, .. } = self;
        queue.flush_unschedulable(|pod| gate_of(pod, rows, preempting, placer), now);
    }
}
