//! How long a Job waits before it replaces failed pods (rule C125).
//!
//! Source: kubernetes v1.36.3 pkg/controller/job/backoff_utils.go.

use crate::base::{Duration, SimTime, cast};
use crate::cluster::Pod;

/// After the first failure.
const FIRST: Duration = Duration::secs(10);
/// At most; the documentation says six minutes.
const LONGEST: Duration = Duration::mins(10);

/// What is remembered of a Job's failures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// Which life of the slot it is about.
    pub life: Option<u32>,
    /// Pods that failed since the last success.
    pub failures: u32,
    /// When the last of them ended.
    pub last: Option<SimTime>,
}

impl Record {
    /// Of a Job without failures.
    pub(super) const fn new(life: u32) -> Self {
        Self { life: Some(life), failures: 0, last: None }
    }

    /// With the pods that have ended since: instants of their ends. Failures after the latest
    /// success count on; those before it are forgotten.
    pub(super) fn with(self, succeeded: &[SimTime], failed: &[SimTime]) -> Self {
        let last = failed.iter().copied().max();
        match succeeded.iter().max() {
            None if failed.is_empty() => self,
            None => Self { failures: self.failures + cast::u32_of(failed.len()), last, ..self },
            Some(success) => {
                let after = failed.iter().filter(|at| *at > success).count();
                let last = last.filter(|at| at > success);
                Self { failures: cast::u32_of(after), last, ..self }
            }
        }
    }

    /// How long pods still wait.
    pub(super) fn remaining(self, now: SimTime) -> Duration {
        self.last.map_or(Duration::ZERO, |last| remaining(self.failures, last, now))
    }
}

/// How long is left of the wait after so many failures, the last at that instant.
pub(super) fn remaining(failures: u32, last: SimTime, now: SimTime) -> Duration {
    if failures == 0 {
        return Duration::ZERO;
    }
    let doubled = FIRST.saturating_mul(1 << (failures - 1).min(20));
    let wait = if failures == 1 { FIRST } else { doubled.min(LONGEST) };
    (last + wait).saturating_since(now)
}

/// When a pod ended, in whole seconds: its containers' end, else when it was unready, else when its
/// deletion was asked for.
///
/// Source: kubernetes v1.36.3 pkg/controller/job/backoff_utils.go `getFinishedTime`.
pub(super) fn finished_time(pod: &Pod) -> SimTime {
    let ended = pod.status.finished.filter(|_| pod.is_terminal());
    let unready = || {
        let told = pod.status.start_time.filter(|_| !pod.status.ready);
        told.map(|at| pod.ready_changed.max(at))
    };
    let deleted = || pod.deletion.map(|deletion| deletion.requested);
    ended.or_else(unready).or_else(deleted).unwrap_or(pod.created).floor_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> SimTime {
        SimTime::at(Duration::secs(secs))
    }

    /// Rule C125: 10 s doubled a failure, at most 10 min; pods are counted, not rounds.
    #[test]
    fn the_wait_doubles_with_each_failed_pod() {
        assert_eq!(remaining(0, at(0), at(0)), Duration::ZERO);
        assert_eq!(remaining(1, at(100), at(100)), Duration::secs(10));
        assert_eq!(remaining(3, at(100), at(105)), Duration::secs(35));
        assert_eq!(remaining(6, at(100), at(100)), Duration::secs(320));
        assert_eq!(remaining(7, at(100), at(100)), Duration::secs(600));
        assert_eq!(remaining(99, at(100), at(701)), Duration::ZERO);
    }

    #[test]
    fn a_success_resets_but_later_failures_stay() {
        let record = Record::new(0).with(&[], &[at(1), at(3), at(2)]);
        assert_eq!((record.failures, record.last), (3, Some(at(3))));
        assert_eq!(record.remaining(at(3)), Duration::secs(40));
        let reset = record.with(&[at(5)], &[]);
        assert_eq!((reset.failures, reset.last), (0, None));
        let kept = record.with(&[at(5)], &[at(4), at(6)]);
        assert_eq!((kept.failures, kept.last), (1, Some(at(6))));
    }
}
