//! The recommender's memory of one autoscaler, loop by loop.
//!
//! Source: vertical-pod-autoscaler pkg/recommender/model/cluster.go, vpa.go,
//! checkpoint/checkpoint_writer.go (rules A77 to A80, A88).

use std::collections::BTreeMap;

use crate::base::{Duration, SimTime, Symbol};
use crate::model::VpaSpec;

use super::estimate::{Estimation, Recommendation};
use super::usage::{Usage, UsageCheckpoint, Window};

/// Histories that are of no use are looked for so often.
const COLLECTION: Duration = Duration::hours(1);

/// A pod of the autoscaler's target, as listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodLook<P, G> {
    /// Which.
    pub pod: P,
    /// Its label set: pods with the same share a history.
    pub group: G,
    /// Names of its containers; not of its init containers (rule A78).
    pub containers: Vec<Symbol>,
}

/// What one container used, from the metrics API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageSample<P> {
    /// Of which pod.
    pub pod: P,
    /// Of which container.
    pub container: Symbol,
    /// When it was taken.
    pub at: SimTime,
    /// Millicores.
    pub cpu: Option<i64>,
    /// Bytes.
    pub memory: Option<i64>,
}

/// All histories of an autoscaler, by what pods `P` and label sets `G` are known.
#[derive(Clone, Debug, PartialEq)]
pub struct Recommender<P, G> {
    pods: BTreeMap<P, (G, BTreeMap<Symbol, Window>)>,
    histories: BTreeMap<(G, Symbol), Usage>,
    restored: BTreeMap<Symbol, Usage>,
    collected: Option<SimTime>,
}

/// What is kept over a restart, by container.
pub type Checkpoint = BTreeMap<Symbol, UsageCheckpoint>;

impl<P, G> Default for Recommender<P, G> {
    fn default() -> Self {
        Self {
            pods: BTreeMap::new(),
            histories: BTreeMap::new(),
            restored: BTreeMap::new(),
            collected: None,
        }
    }
}

impl<P: Ord + Copy, G: Ord + Copy> Recommender<P, G> {
    /// A new process that loads what an earlier one has written.
    #[must_use]
    pub fn restarted(kept: &Checkpoint, now: SimTime) -> Self {
        let back =
            |(name, usage): (&Symbol, &UsageCheckpoint)| (*name, Usage::restored(usage, now));
        Self { restored: kept.iter().map(back).collect(), ..Self::default() }
    }

    /// The pods that are there now; of the others nothing but their history is left.
    pub fn list(&mut self, pods: &[PodLook<P, G>], now: SimTime) {
        let listed: BTreeMap<P, &PodLook<P, G>> =
            pods.iter().map(|look| (look.pod, look)).collect();
        self.pods.retain(|pod, _| listed.contains_key(pod));
        for look in pods {
            let (group, windows) =
                self.pods.entry(look.pod).or_insert_with(|| (look.group, BTreeMap::new()));
            *group = look.group;
            for container in &look.containers {
                windows.entry(*container).or_default();
                let key = (look.group, *container);
                self.histories.entry(key).or_insert_with(|| Usage::new(now));
            }
        }
    }

    /// Whether a pod matches.
    #[must_use]
    pub fn has_pods(&self) -> bool {
        !self.pods.is_empty()
    }

    /// Takes a sample; of an unknown container it is dropped.
    pub fn sample(&mut self, sample: &UsageSample<P>) {
        let Some((window, usage)) = self.known(sample.pod, sample.container) else {
            return;
        };
        if let Some(milli) = sample.cpu {
            window.cpu(milli, sample.at, usage);
        }
        if let Some(bytes) = sample.memory {
            window.memory(bytes, sample.at, usage);
        }
    }

    /// Takes an OOM kill with that request of memory, in bytes.
    pub fn oom(&mut self, pod: P, container: Symbol, request: i64, at: SimTime) {
        if let Some((window, usage)) = self.known(pod, container) {
            window.oom(request, at, usage);
        }
    }

    fn known(&mut self, pod: P, container: Symbol) -> Option<(&mut Window, &mut Usage)> {
        let (group, windows) = self.pods.get_mut(&pod)?;
        let usage = self.histories.get_mut(&(*group, container))?;
        Some((windows.get_mut(&container)?, usage))
    }

    /// The histories by container, over all label sets and what a restart brought (rule A79).
    fn merged(&mut self, now: SimTime) -> BTreeMap<Symbol, Usage> {
        let mut merged: BTreeMap<Symbol, Usage> = BTreeMap::new();
        for ((_, name), usage) in &mut self.histories {
            merged.entry(*name).or_insert_with(|| Usage::new(now)).merge(usage);
        }
        for (name, usage) in &mut self.restored {
            merged.entry(*name).or_insert_with(|| Usage::new(now)).merge(usage);
        }
        merged
    }

    /// What is recommended now, by container.
    pub fn recommend(
        &mut self,
        settings: &Estimation,
        spec: &VpaSpec,
        now: SimTime,
    ) -> Vec<Recommendation> {
        let all: Vec<(Symbol, Usage)> = self.merged(now).into_iter().collect();
        settings.recommend(&all, spec)
    }

    /// What a restart keeps: all but the memory peaks of running intervals.
    pub fn checkpoint(&mut self, now: SimTime) -> Checkpoint {
        let mut merged = self.merged(now);
        for (_, windows) in self.pods.values() {
            for (name, window) in windows {
                if let Some(usage) = merged.get_mut(name) {
                    usage.without_running(window, now);
                }
            }
        }
        merged.into_iter().map(|(name, usage)| (name, usage.checkpoint())).collect()
    }

    /// Forgets, once an hour, histories that are expired, and empty ones of pods that are gone.
    pub fn collect(&mut self, now: SimTime) {
        if self.collected.is_some_and(|last| now < last.saturating_add(COLLECTION)) {
            return;
        }
        self.collected = Some(now);
        let pods = &self.pods;
        self.histories.retain(|(group, name), usage| {
            let is_used =
                || pods.values().any(|(its, windows)| its == group && windows.contains_key(name));
            !usage.is_expired(now) && (!usage.is_empty() || is_used())
        });
    }
}
