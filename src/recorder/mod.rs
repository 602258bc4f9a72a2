//! The recorder: takes facts from a run, keeps bounded sums, streams rows.
//!
//! A run writes here and never reads. What is kept is bounded by the length of the run and the
//! number of workloads, not by the number of pods or calls.

use crate::record::{
    CallRecord, CommandRecord, EventRecord, PodRecord, RolloutRecord, Sample, ScaleRecord,
};

/// Takes the facts of one run.
#[derive(Debug, Default)]
pub struct Recorder {
    /// Whether Kubernetes Events are wanted: their texts cost time.
    wants_events: bool,
    /// Every call, for who wants to look at them one by one.
    calls: Option<Vec<CallRecord>>,
}

impl Recorder {
    /// A recorder that keeps nothing.
    #[must_use]
    pub fn off() -> Self {
        Self::default()
    }

    /// Whether Kubernetes Events are wanted: ask before making a text.
    #[must_use]
    pub const fn wants_events(&self) -> bool {
        self.wants_events
    }

    /// A pod is gone, or the run has ended.
    pub fn pod(&mut self, _row: &PodRecord) {}

    /// A Kubernetes Event.
    pub fn event(&mut self, _row: EventRecord) {}

    /// A recorder that keeps every call until they are taken.
    #[must_use]
    pub fn keeping_calls() -> Self {
        Self { calls: Some(Vec::new()), ..Self::default() }
    }

    /// Takes the calls kept so far.
    pub fn take_calls(&mut self) -> Vec<CallRecord> {
        self.calls.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// A call has ended.
    #[inline]
    pub fn call(&mut self, row: &CallRecord) {
        if let Some(calls) = &mut self.calls {
            calls.push(*row);
        }
    }

    /// An autoscaler has changed the number of replicas.
    pub fn scale(&mut self, _row: ScaleRecord) {}

    /// A rollout has made a step.
    pub fn rollout(&mut self, _row: RolloutRecord) {}

    /// A command of the timeline was carried out or refused.
    pub fn command(&mut self, _row: CommandRecord) {}

    /// A sample of the cluster.
    pub fn sample(&mut self, _row: &Sample) {}
}
