//! The indexes of an indexed Job: which succeeded, which failed, which are missing.
//!
//! Source: kubernetes v1.36.3 pkg/controller/job/indexed_job_utils.go (rules C127, C128).

use std::collections::BTreeMap;

use crate::base::Duration;
use crate::cluster::{IndexFailures, Pod};
use crate::model::{FailureAction, Intervals, PodId};

use super::backoff::{finished_time, remaining};
use super::look::Look;

/// What is known of a Job's indexes.
#[derive(Clone, Debug)]
pub(super) struct Indexes {
    /// Those that the status has.
    pub previous: Intervals,
    /// With those that have succeeded since.
    pub succeeded: Intervals,
    /// Those that failed, if indexes are judged one by one.
    pub failed: Option<Intervals>,
    /// The failed pod of each index that waits for its replacement: it keeps its finalizer, as the
    /// replacement takes over the count of failures.
    pub delayed: BTreeMap<u32, PodId>,
}

impl Look<'_> {
    /// Looks at the indexes of an indexed Job; `None` for another.
    pub(super) fn indexes(&self) -> Option<Indexes> {
        let completions = self.completions_if_indexed()?;
        let previous = self.row.status.completed_indexes.below(completions);
        let tracked = || self.pods().filter(|(_, pod)| pod.is_tracked);
        let valid = |pod: &Pod| pod.index.filter(|index| *index < completions);
        let new = tracked().filter(|(_, pod)| self.has_succeeded(pod));
        let succeeded = previous.union(&Intervals::of(new.filter_map(|(_, pod)| valid(pod))));
        let mut indexes =
            Indexes { previous, succeeded, failed: None, delayed: BTreeMap::default() };
        if let Some(limit) = self.spec.backoff_limit_per_index {
            let before = self.row.status.failed_indexes.clone().unwrap_or_default();
            let new = tracked().filter(|(_, pod)| self.fails_its_index(pod, limit));
            let new = Intervals::of(new.filter_map(|(_, pod)| valid(pod)));
            indexes.failed = Some(before.below(completions).union(&new));
            indexes.delayed = self.delayed(&indexes, completions);
        }
        Some(indexes)
    }

    fn fails_its_index(&self, pod: &Pod, limit: u32) -> bool {
        if !self.has_failed(pod) {
            return false;
        }
        let matched = self.policy(pod);
        matched.is_some_and(|matched| matched.action == FailureAction::FailIndex)
            || (self.counts(pod) && pod.index_failures.counted >= limit)
    }

    /// Of each index that is neither active nor done, the latest failed pod.
    fn delayed(&self, indexes: &Indexes, completions: u32) -> BTreeMap<u32, PodId> {
        let active = Intervals::of(self.active.iter().filter_map(|pod| self.pod(*pod).index));
        let done = indexes
            .failed
            .as_ref()
            .map_or_else(|| indexes.succeeded.clone(), |failed| indexes.succeeded.union(failed));
        let closed = done.union(&active);
        let mut delayed: BTreeMap<u32, PodId> = BTreeMap::new();
        for (id, pod) in self.pods() {
            let waits = pod.is_tracked && self.has_failed(pod);
            let index = pod.index.filter(|index| *index < completions && waits);
            let Some(index) = index.filter(|index| !closed.has(*index)) else { continue };
            let is_later = delayed.get(&index).is_none_or(|other| {
                let other = self.pod(*other);
                other.index_failures.total() <= pod.index_failures.total()
                    && finished_time(pod) >= finished_time(other)
            });
            if is_later {
                delayed.insert(index, id);
            }
        }
        delayed
    }

    /// The lowest indexes without pod, at most `count`.
    pub(super) fn pending_indexes(&self, count: usize, completions: u32) -> Vec<u32> {
        let of = |pods: &[PodId]| Intervals::of(pods.iter().filter_map(|pod| self.pod(*pod).index));
        let mut closed = of(&self.active);
        if let Some(indexes) = &self.indexes {
            closed = closed.union(&indexes.succeeded);
            closed = indexes.failed.iter().fold(closed, |closed, failed| closed.union(failed));
        }
        if self.spec.replaces_ended_only {
            closed = closed.union(&of(&self.terminating_pods));
        }
        closed.first_missing(count, completions)
    }

    /// Those of the indexes that need not wait for their back-off; if all must, how long the first
    /// of them does.
    pub(super) fn ready_indexes(&self, wanted: &[u32]) -> Result<Vec<u32>, Duration> {
        let wait = |index: &u32| {
            let pod = self.pod(*self.indexes.as_ref()?.delayed.get(index)?);
            let left = remaining(pod.index_failures.total() + 1, finished_time(pod), self.now);
            Some(left).filter(|left| !left.is_zero())
        };
        let now: Vec<u32> = wanted.iter().copied().filter(|index| wait(index).is_none()).collect();
        if !now.is_empty() {
            return Ok(now);
        }
        match wanted.iter().filter_map(wait).min() {
            Some(left) => Err(left),
            None => Ok(now),
        }
    }

    /// The count of failures that the replacement of an index' pod takes over.
    pub(super) fn failures_of(&self, index: u32) -> IndexFailures {
        let indexes = self.indexes.as_ref();
        let Some(replaced) = indexes.and_then(|indexes| indexes.delayed.get(&index)) else {
            return IndexFailures::NONE;
        };
        let pod = self.pod(*replaced);
        let IndexFailures { counted, ignored } = pod.index_failures;
        if self.counts(pod) {
            IndexFailures { counted: counted + 1, ignored }
        } else {
            IndexFailures { counted, ignored: ignored + 1 }
        }
    }
}
