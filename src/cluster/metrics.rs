//! What the metrics API says of pods: what metrics-server makes of the kubelets' samples.

use crate::base::{Duration, SimTime, cast};
use crate::model::{PodId, PodRef};

use super::Cluster;

/// From this age of a container on one sample is enough (`freshContainerMinMetricsResolution`).
const FRESH: Duration = Duration::secs(10);

/// What a kubelet has measured of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodReading {
    /// Whose.
    pub pod: PodRef,
    /// When the kubelet took the sample.
    pub at: SimTime,
    /// CPU time since the pod's start.
    pub spent: Duration,
    /// Memory in use, in bytes.
    pub memory: i64,
    /// How often its containers had been started again.
    pub restarts: u32,
}

/// What the metrics API knows of a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PodMetrics {
    /// The last two samples: instant and CPU time since the pod's start.
    pub points: [Option<(SimTime, Duration)>; 2],
    /// What they give: millicores, rounded up (rules A21, A63); `None`: it is not reported.
    pub cpu_milli: Option<i64>,
    /// When the last sample was taken.
    pub at: SimTime,
    /// The window that the value stands for.
    pub window: Duration,
    /// Memory in use, in bytes.
    pub memory_bytes: i64,
    /// Restarts at the last sample.
    pub restarts: u32,
    /// The last publication that it was in.
    pub published: Option<SimTime>,
}

impl Cluster {
    /// What the metrics pipeline has said of a pod, be it in its last publication or not.
    #[must_use]
    pub fn metrics(&self, pod: PodId) -> &PodMetrics {
        &self.metrics[pod]
    }

    /// What the metrics API answers about a pod: nothing if the last publication did not have it
    /// (rule A65), or if there is no earlier sample to compare with (rules A64, A66).
    #[must_use]
    pub fn reported(&self, pod: PodId) -> Option<&PodMetrics> {
        let metrics = &self.metrics[pod];
        let is_in = metrics.published.is_some() && metrics.published == self.metrics_at;
        (is_in && metrics.cpu_milli.is_some()).then_some(metrics)
    }

    /// When the metrics pipeline published last.
    #[must_use]
    pub const fn metrics_at(&self) -> Option<SimTime> {
        self.metrics_at
    }

    /// CPU in use by all pods as last published.
    #[must_use]
    pub const fn cpu_used_milli(&self) -> i64 {
        self.cpu_used_milli
    }

    /// Whether metrics-server is there.
    #[must_use]
    pub const fn has_metrics_server(&self) -> bool {
        !self.metrics_server_away
    }

    /// metrics-server goes, and what it knew with it, or comes back and knows nothing: it takes two
    /// samples of a container to say something of it (rule A64).
    pub(super) fn set_metrics_server(&mut self, is_up: bool) {
        self.metrics_server_away = !is_up;
        self.metrics_at = None;
    }

    /// Publishes what the kubelets that answered have measured: it takes the place of all that was
    /// published before.
    ///
    /// Source: metrics-server pkg/storage/pod.go `Store`, `GetMetrics`, storage/types.go
    /// `resourceUsage` (rules A63 to A66).
    pub(super) fn publish_metrics(&mut self, sample: &[PodReading]) {
        let before = self.metrics_at.replace(self.now);
        let resolution = self.model.latencies.metrics_period;
        self.cpu_used_milli = 0;
        for reading in sample {
            let Some(pod) = self.pods.get(reading.pod) else { continue };
            let started = pod.status.started;
            let metrics = &mut self.metrics[reading.pod.id];
            if metrics.published != before {
                // Rule A65: who was missing once has lost its earlier points.
                *metrics = PodMetrics { restarts: reading.restarts, ..PodMetrics::default() };
            }
            metrics.published = Some(self.now);
            metrics.take(reading, started, resolution);
            self.cpu_used_milli += metrics.cpu_milli.unwrap_or(0);
        }
    }
}

impl PodMetrics {
    fn take(&mut self, reading: &PodReading, started: Option<SimTime>, resolution: Duration) {
        let PodReading { at, spent, restarts, .. } = *reading;
        if self.points[1].is_some_and(|(last, _)| last == at) {
            return; // rule A63: the same sample again changes nothing
        }
        // Rule A66: a container that was started again has no earlier point.
        let is_same = self.restarts == restarts;
        self.points = [self.points[1].filter(|_| is_same), Some((at, spent))];
        self.restarts = restarts;
        self.memory_bytes = reading.memory;
        self.at = at;
        let age = started.map_or(Duration::ZERO, |started| at.saturating_since(started));
        let is_new = restarts == 0 && (FRESH..resolution).contains(&age);
        let start = started.filter(|_| is_new).map(|started| (started, Duration::ZERO));
        self.cpu_milli = None;
        if let Some((from, earlier)) = self.points[0].or(start).filter(|(from, _)| *from < at) {
            self.window = at - from;
            self.cpu_milli = Some(milli_rate(spent.saturating_sub(earlier), self.window));
        }
    }
}

/// CPU time over a window in millicores: whole nanocores first, as metrics-server has them, then
/// rounded up, as the autoscaler's client does (rules A21, A63).
fn milli_rate(used: Duration, window: Duration) -> i64 {
    let nano = u128::from(used.as_nanos()) * 1_000_000_000 / u128::from(window.as_nanos());
    cast::i64_saturating(i128::try_from(nano.div_ceil(1_000_000)).unwrap_or(i128::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Id;

    fn at(secs: u64) -> SimTime {
        SimTime::ZERO + Duration::secs(secs)
    }

    fn reading(secs: u64, spent: u64, restarts: u32) -> PodReading {
        let pod = PodRef { id: PodId::from_index(0), life: 0 };
        PodReading { pod, at: at(secs), spent: Duration::secs(spent), memory: 7, restarts }
    }

    fn taken(readings: &[PodReading], started: u64) -> PodMetrics {
        let mut metrics = PodMetrics::default();
        for reading in readings {
            metrics.take(reading, Some(at(started)), Duration::secs(15));
        }
        metrics
    }

    /// Rule A63: the rate between the two last samples; the same one again changes nothing.
    #[test]
    fn a_value_is_what_two_samples_say() {
        let two = taken(&[reading(20, 5, 0), reading(30, 10, 0)], 0);
        assert_eq!((two.cpu_milli, two.window), (Some(500), Duration::secs(10)));
        let again = taken(&[reading(20, 5, 0), reading(30, 10, 0), reading(30, 10, 0)], 0);
        assert_eq!(again, two);
    }

    /// Rules A64, A66: one sample is enough between 10 s and the resolution, and a restart hides
    /// the pod for one publication.
    #[test]
    fn a_new_pod_is_seen_with_one_sample_and_a_restarted_one_with_two() {
        assert_eq!(taken(&[reading(9, 9, 0)], 0).cpu_milli, None);
        assert_eq!(taken(&[reading(12, 6, 0)], 0).cpu_milli, Some(500));
        assert_eq!(taken(&[reading(16, 8, 0)], 0).cpu_milli, None);
        let restarted = [reading(12, 6, 0), reading(24, 6, 1)];
        assert_eq!(taken(&restarted, 0).cpu_milli, None);
        let [first, second] = restarted;
        assert_eq!(taken(&[first, second, reading(34, 16, 1)], 0).cpu_milli, Some(1000));
    }
}
