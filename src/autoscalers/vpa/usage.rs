//! What containers have used: the history of a label set, and the running interval of one container.
//!
//! Source: vertical-pod-autoscaler pkg/recommender/model/aggregate_container_state.go, container.go
//! (rules A79 to A82, A89 to A91).

use crate::base::{Duration, SimTime, cast};
use crate::model::ResourceName;

use super::histogram::{Checkpoint as HistogramCheckpoint, DecayingHistogram};

/// One peak of memory is kept of such an interval.
const INTERVAL: Duration = Duration::hours(24);
/// A history without samples for so long is forgotten (rule A80).
const EXPIRY: Duration = Duration::hours(8 * 24);
/// The weight of a sample of CPU (rule A86).
const CPU_WEIGHT: f64 = 0.1;
/// What an OOM kill adds at least, in bytes.
const OOM_BUMP_MIN: i64 = 100 * 1024 * 1024;
/// What an OOM kill multiplies with.
const OOM_BUMP: f64 = 1.2;

/// The history of all containers of one name in pods of one label set.
#[derive(Clone, Debug, PartialEq)]
pub struct Usage {
    /// CPU, in cores.
    pub cpu: DecayingHistogram,
    /// Peaks of memory, in bytes.
    pub memory: DecayingHistogram,
    /// The first sample of CPU.
    pub first: Option<SimTime>,
    /// The last sample of CPU.
    pub last: Option<SimTime>,
    /// Number of samples of CPU.
    pub samples: u64,
    created: SimTime,
}

/// What is kept of a history over a restart.
#[derive(Clone, Debug, PartialEq)]
pub struct UsageCheckpoint {
    cpu: HistogramCheckpoint,
    memory: HistogramCheckpoint,
    first: Option<SimTime>,
    last: Option<SimTime>,
    samples: u64,
}

impl Usage {
    /// An empty one, created then.
    #[must_use]
    pub fn new(created: SimTime) -> Self {
        Self {
            cpu: DecayingHistogram::new(ResourceName::Cpu),
            memory: DecayingHistogram::new(ResourceName::Memory),
            first: None,
            last: None,
            samples: 0,
            created,
        }
    }

    /// Adds all of another one.
    pub fn merge(&mut self, other: &mut Self) {
        self.cpu.merge(&mut other.cpu);
        self.memory.merge(&mut other.memory);
        self.first = [self.first, other.first].into_iter().flatten().min();
        self.last = self.last.max(other.last);
        self.samples += other.samples;
    }

    /// Whether it has never had a sample.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.samples == 0
    }

    /// Rule A80.
    #[must_use]
    pub fn is_expired(&self, now: SimTime) -> bool {
        let since = if self.is_empty() { None } else { self.last };
        now >= since.unwrap_or(self.created).saturating_add(EXPIRY)
    }

    /// What a restart keeps.
    #[must_use]
    pub fn checkpoint(&self) -> UsageCheckpoint {
        UsageCheckpoint {
            cpu: self.cpu.checkpoint(),
            memory: self.memory.checkpoint(),
            first: self.first.map(SimTime::floor_secs),
            last: self.last.map(SimTime::floor_secs),
            samples: self.samples,
        }
    }

    /// What a restart brings back.
    #[must_use]
    pub fn restored(kept: &UsageCheckpoint, now: SimTime) -> Self {
        Self {
            cpu: DecayingHistogram::restored(ResourceName::Cpu, &kept.cpu),
            memory: DecayingHistogram::restored(ResourceName::Memory, &kept.memory),
            first: kept.first,
            last: kept.last,
            samples: kept.samples,
            created: now,
        }
    }

    /// Takes the peak of a running interval away: a checkpoint does not have it.
    pub fn without_running(&mut self, window: &Window, now: SimTime) {
        if let Some(end) = window.end.filter(|end| now < *end) {
            self.memory.subtract(cast::f64_of_i64(window.peak()), 1.0, end);
        }
    }
}

/// What is known of one container of one pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    last_cpu: Option<SimTime>,
    last_memory: Option<SimTime>,
    /// End of the running interval of memory.
    end: Option<SimTime>,
    usage_peak: i64,
    oom_peak: i64,
}

impl Window {
    fn peak(&self) -> i64 {
        self.usage_peak.max(self.oom_peak)
    }

    /// A sample of CPU, in millicores (rule A81).
    pub fn cpu(&mut self, milli: i64, at: SimTime, usage: &mut Usage) {
        if milli < 0 || self.last_cpu >= Some(at) {
            return;
        }
        self.last_cpu = Some(at);
        usage.cpu.add(cast::f64_of_i64(milli) / 1000.0, CPU_WEIGHT, at);
        usage.last = usage.last.max(Some(at));
        usage.first = Some(usage.first.map_or(at, |first| first.min(at)));
        usage.samples += 1;
    }

    /// A sample of memory, in bytes (rule A90).
    pub fn memory(&mut self, bytes: i64, at: SimTime, usage: &mut Usage) {
        if self.last_memory.is_none_or(|last| at >= last) {
            self.add_memory(bytes, at, false, usage);
        }
    }

    /// An OOM kill with that request of memory, in bytes (rule A91).
    pub fn oom(&mut self, request: i64, at: SimTime, usage: &mut Usage) {
        if self.end.is_some_and(|end| at < end.saturating_sub(INTERVAL)) {
            return;
        }
        let used = request.max(self.usage_peak);
        let scaled = cast::i64_trunc(cast::f64_of_i64(used) * OOM_BUMP);
        self.add_memory(scaled.max(used + OOM_BUMP_MIN), at, true, usage);
    }

    /// Rule A89.
    fn add_memory(&mut self, bytes: i64, at: SimTime, is_oom: bool, usage: &mut Usage) {
        if bytes < 0 {
            return;
        }
        self.last_memory = Some(at);
        let end = self.end.unwrap_or(at);
        if at < end {
            let peak = self.peak();
            if peak == 0 || bytes <= peak {
                return;
            }
            usage.memory.subtract(cast::f64_of_i64(peak), 1.0, end);
        } else {
            let over = (at - end).as_nanos() / INTERVAL.as_nanos() + 1;
            self.end = Some(end.saturating_add(INTERVAL.saturating_mul(over)));
            (self.usage_peak, self.oom_peak) = (0, 0);
        }
        let end = self.end.unwrap_or(end);
        usage.memory.add(cast::f64_of_i64(bytes), 1.0, end);
        if is_oom {
            self.oom_peak = bytes;
        } else {
            self.usage_peak = bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> SimTime {
        SimTime::at(Duration::secs(secs))
    }

    #[test]
    fn stale_samples_count_once() {
        let (mut window, mut usage) = (Window::default(), Usage::new(at(0)));
        window.cpu(100, at(10), &mut usage);
        window.cpu(900, at(10), &mut usage);
        assert_eq!((usage.samples, usage.last), (1, Some(at(10))), "A81, A82");
        assert!(
            !usage.is_expired(at(8 * 86400 + 9)) && usage.is_expired(at(8 * 86400 + 10)),
            "A80"
        );
    }

    #[test]
    fn memory_is_one_peak_a_day() {
        let (mut window, mut usage) = (Window::default(), Usage::new(at(0)));
        for (n, bytes) in [(0, 100_000_000), (60, 400_000_000), (120, 50_000_000)] {
            window.memory(bytes, at(n), &mut usage);
        }
        let low = usage.memory.percentile(0.01);
        assert!(low > 4e8, "A89: only the peak of the day is left, {low}");
        window.memory(50_000_000, at(86_400), &mut usage);
        assert!(usage.memory.percentile(0.01) < 6e7, "A89: a new interval has a peak of its own");
    }

    #[test]
    fn an_oom_kill_bumps() {
        let (mut window, mut usage) = (Window::default(), Usage::new(at(0)));
        window.oom(1 << 30, at(5), &mut usage);
        let peak = usage.memory.percentile(0.9);
        assert!(peak >= 1.2 * 1_073_741_824.0, "A91: {peak}");
        window.memory(1, at(100_000), &mut usage);
        window.oom(1 << 40, at(10), &mut usage);
        assert!(usage.memory.percentile(1.0) < 1e10, "A91: too old");
    }
}
