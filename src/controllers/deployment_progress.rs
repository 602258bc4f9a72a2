//! Status of a Deployment: sums of its ReplicaSets, and the condition Progressing.

use crate::base::{Duration, SimTime};
use crate::cluster::{DeploymentStatus, ProgressReason, Progressing, ReplicaSetStatus, Requeue};

use super::rolling::Limits;

/// What the status is computed from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sums {
    /// Sum of `spec.replicas`.
    pub(super) spec: u32,
    /// Sums of the ReplicaSets' status.
    pub(super) all: ReplicaSetStatus,
    /// `status.replicas` of the new one.
    pub(super) updated: u32,
}

/// The rule of progress for one look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    /// `progressDeadlineSeconds`; `None`: never.
    pub(super) deadline: Option<Duration>,
    /// `metadata.generation`.
    pub(super) generation: u64,
    /// `spec.replicas`.
    pub(super) replicas: u32,
    /// The present instant.
    pub(super) now: SimTime,
}

/// Sums up; conditions but Available are those of `before`.
///
/// Source: kubernetes v1.36.3 pkg/controller/deployment/sync.go `calculateStatus` (rule C56).
pub(super) fn sum_up(
    before: &DeploymentStatus,
    generation: u64,
    sums: &Sums,
    limits: &Limits,
) -> DeploymentStatus {
    DeploymentStatus {
        observed_generation: generation,
        replicas: sums.all.replicas,
        updated: sums.updated,
        ready: sums.all.ready,
        available: sums.all.available,
        unavailable: sums.spec.saturating_sub(sums.all.available),
        terminating: sums.all.terminating,
        is_available: i64::from(sums.all.available) >= limits.available_min(),
        progressing: before.progressing,
        failure: before.failure,
        collisions: before.collisions,
    }
}

/// Sets the condition Progressing unless it has that reason already.
///
/// Source: kubernetes v1.36.3 pkg/controller/deployment/util/deployment_util.go
/// `SetDeploymentCondition` (rule C56); times are whole seconds (rule C2).
pub(super) fn set_reason(status: &mut DeploymentStatus, reason: ProgressReason, now: SimTime) {
    if status.progressing.is_none_or(|p| p.reason != reason) {
        let updated = now.floor_secs();
        status.progressing = Some(Progressing { reason, updated });
    }
}

impl Progress {
    /// Notes that the Deployment was paused or resumed.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/deployment/sync.go `checkPausedConditions`
    /// (rule C55).
    pub(super) fn note_pause(&self, status: &mut DeploymentStatus, paused: bool) {
        let reason = status.progressing.map(|p| p.reason);
        if self.deadline.is_none() || reason == Some(ProgressReason::ProgressDeadlineExceeded) {
            return;
        }
        let was_paused = reason == Some(ProgressReason::DeploymentPaused);
        match (paused, was_paused) {
            (true, false) => set_reason(status, ProgressReason::DeploymentPaused, self.now),
            (false, true) => set_reason(status, ProgressReason::DeploymentResumed, self.now),
            (true, true) | (false, false) => {}
        }
    }

    /// Whether the rollout is complete.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/deployment/util/deployment_util.go
    /// `DeploymentComplete` (rule C57).
    pub(super) fn is_complete(&self, status: &DeploymentStatus) -> bool {
        let wanted = self.replicas;
        [status.updated, status.replicas, status.available] == [wanted; 3]
            && status.observed_generation >= self.generation
    }

    /// Estimates progress from the status before to the one now.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/deployment/progress.go `syncRolloutStatus`,
    /// util/deployment_util.go `DeploymentProgressing` (rule C58).
    pub(super) fn estimate(&self, before: &DeploymentStatus, status: &mut DeploymentStatus) {
        if self.deadline.is_none() {
            status.progressing = None;
            return;
        }
        let reason = status.progressing.map(|p| p.reason);
        let is_done = reason == Some(ProgressReason::NewReplicaSetAvailable);
        if is_done && status.replicas == status.updated {
            return;
        }
        if self.is_complete(status) {
            set_reason(status, ProgressReason::NewReplicaSetAvailable, self.now);
        } else if has_moved(before, status) {
            status.progressing = None;
            set_reason(status, ProgressReason::ReplicaSetUpdated, self.now);
        } else if self.is_late(status.progressing) {
            set_reason(status, ProgressReason::ProgressDeadlineExceeded, self.now);
        }
    }

    /// Whether nothing has happened for too long.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/deployment/util/deployment_util.go
    /// `DeploymentTimedOut` (rule C59).
    fn is_late(&self, progressing: Option<Progressing>) -> bool {
        let (Some(deadline), Some(last)) = (self.deadline, progressing) else {
            return false;
        };
        match last.reason {
            ProgressReason::NewReplicaSetAvailable => false,
            ProgressReason::ProgressDeadlineExceeded => true,
            ProgressReason::NewReplicaSetCreated
            | ProgressReason::FoundNewReplicaSet
            | ProgressReason::ReplicaSetUpdated
            | ProgressReason::DeploymentPaused
            | ProgressReason::DeploymentResumed
            | ProgressReason::ReplicaSetCreateError => last.updated + deadline < self.now,
        }
    }

    /// When to look again at a rollout that may be stuck, after a look that wrote no status.
    ///
    /// Source: kubernetes v1.36.3 pkg/controller/deployment/progress.go `requeueStuckDeployment`
    /// (rule C60). Differs: with the reason NewReplicaSetAvailable nothing can come of it and nothing
    /// is asked.
    pub(super) fn look_again(&self, status: &DeploymentStatus) -> Requeue {
        let (Some(deadline), Some(last)) = (self.deadline, status.progressing) else {
            return Requeue::Never;
        };
        let settled =
            [ProgressReason::ProgressDeadlineExceeded, ProgressReason::NewReplicaSetAvailable];
        if self.is_complete(status) || settled.contains(&last.reason) {
            return Requeue::Never;
        }
        let left = (last.updated + deadline).saturating_since(self.now);
        let second = Duration::secs(1);
        if left < second { Requeue::Limited } else { Requeue::After(left + second) }
    }
}

fn has_moved(before: &DeploymentStatus, now: &DeploymentStatus) -> bool {
    let old = |s: &DeploymentStatus| i64::from(s.replicas) - i64::from(s.updated);
    now.updated > before.updated
        || old(now) < old(before)
        || now.ready > before.ready
        || now.available > before.available
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(
        replicas: u32,
        updated: u32,
        available: u32,
        reason: ProgressReason,
    ) -> DeploymentStatus {
        DeploymentStatus {
            replicas,
            updated,
            ready: available,
            available,
            observed_generation: 1,
            progressing: Some(Progressing { reason, updated: SimTime::ZERO }),
            ..DeploymentStatus::default()
        }
    }

    fn progress(at: u64) -> Progress {
        Progress {
            deadline: Some(Duration::secs(10)),
            generation: 1,
            replicas: 2,
            now: SimTime::ZERO + Duration::ms(at),
        }
    }

    fn estimate(at: u64, before: DeploymentStatus, mut now: DeploymentStatus) -> Progressing {
        progress(at).estimate(&before, &mut now);
        now.progressing.expect("a deadline keeps the condition")
    }

    #[test]
    fn progress_has_a_fresh_time_even_with_the_same_reason() {
        let before = status(3, 1, 2, ProgressReason::ReplicaSetUpdated);
        let now = status(3, 2, 2, ProgressReason::ReplicaSetUpdated);
        let seen = estimate(4_700, before, now);
        assert_eq!(seen.reason, ProgressReason::ReplicaSetUpdated);
        assert_eq!(seen.updated, SimTime::ZERO + Duration::secs(4));
    }

    #[test]
    fn the_deadline_must_be_past() {
        let stuck = status(3, 1, 2, ProgressReason::ReplicaSetUpdated);
        let reason = |at| estimate(at, stuck, stuck).reason;
        assert_eq!(reason(10_000), ProgressReason::ReplicaSetUpdated);
        assert_eq!(reason(10_001), ProgressReason::ProgressDeadlineExceeded);
    }

    #[test]
    fn a_complete_rollout_is_not_estimated_again() {
        let before = status(3, 2, 1, ProgressReason::ReplicaSetUpdated);
        let done = status(2, 2, 2, ProgressReason::ReplicaSetUpdated);
        let reason = estimate(1_000, before, done).reason;
        assert_eq!(reason, ProgressReason::NewReplicaSetAvailable);
        let lost = status(2, 2, 1, ProgressReason::NewReplicaSetAvailable);
        let seen = estimate(99_000, done, lost);
        assert_eq!(seen.reason, ProgressReason::NewReplicaSetAvailable);
        assert_eq!(progress(99_000).look_again(&lost), Requeue::Never);
    }

    #[test]
    fn a_stuck_rollout_is_looked_at_a_second_after_its_deadline() {
        let stuck = status(3, 1, 2, ProgressReason::ReplicaSetUpdated);
        // 10 s − 4 s + 1 s
        assert_eq!(progress(4_000).look_again(&stuck), Requeue::After(Duration::secs(7)));
    }

    #[test]
    fn a_pause_stops_the_clock() {
        let mut now = status(3, 1, 2, ProgressReason::ReplicaSetUpdated);
        progress(1_000).note_pause(&mut now, true);
        assert_eq!(now.progressing.unwrap().reason, ProgressReason::DeploymentPaused);
        progress(9_000).note_pause(&mut now, false);
        let resumed = now.progressing.unwrap();
        assert_eq!(resumed.reason, ProgressReason::DeploymentResumed);
        assert_eq!(resumed.updated, SimTime::ZERO + Duration::secs(9));
        let mut late = status(3, 1, 2, ProgressReason::ProgressDeadlineExceeded);
        progress(9_000).note_pause(&mut late, true);
        assert_eq!(late.progressing.unwrap().reason, ProgressReason::ProgressDeadlineExceeded);
    }
}
