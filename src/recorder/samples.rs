//! The series of the whole cluster, thinned when it gets long, and its averages over time.

use crate::base::{SimTime, Symbol, cast};
use crate::model::Workload;
use crate::record::{PoolSample, Sample};

/// What is sampled of the whole cluster: a column of `series.csv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gauge {
    /// Pods without a node.
    PodsPending,
    /// Pods that run.
    PodsRunning,
    /// Pods that are ready.
    PodsReady,
    /// Pods that are being deleted.
    PodsTerminating,
    /// Nodes that are ready.
    NodesReady,
    /// Allocatable CPU of ready nodes, in cores.
    CpuAllocatable,
    /// Requested CPU, in cores.
    CpuRequested,
    /// CPU in use, in cores.
    CpuUsed,
    /// Allocatable memory, in bytes.
    MemoryAllocatable,
    /// Requested memory, in bytes.
    MemoryRequested,
    /// The least part of CPU that is requested on a node, 0 to 1.
    CpuRequestedLeast,
    /// The greatest part of CPU that is requested on a node, 0 to 1.
    CpuRequestedMost,
    /// What all nodes cost, in USD an hour.
    Cost,
    /// Machines of the cloud that run and are paid for.
    Machines,
}

impl Gauge {
    /// All, in the order of columns.
    pub const ALL: [Self; 14] = [
        Self::PodsPending,
        Self::PodsRunning,
        Self::PodsReady,
        Self::PodsTerminating,
        Self::NodesReady,
        Self::CpuAllocatable,
        Self::CpuRequested,
        Self::CpuUsed,
        Self::MemoryAllocatable,
        Self::MemoryRequested,
        Self::CpuRequestedLeast,
        Self::CpuRequestedMost,
        Self::Cost,
        Self::Machines,
    ];

    /// The name of its column.
    #[must_use]
    pub const fn column(self) -> &'static str {
        match self {
            Self::PodsPending => "pods_pending",
            Self::PodsRunning => "pods_running",
            Self::PodsReady => "pods_ready",
            Self::PodsTerminating => "pods_terminating",
            Self::NodesReady => "nodes_ready",
            Self::CpuAllocatable => "cpu_allocatable_cores",
            Self::CpuRequested => "cpu_requested_cores",
            Self::CpuUsed => "cpu_used_cores",
            Self::MemoryAllocatable => "memory_allocatable_bytes",
            Self::MemoryRequested => "memory_requested_bytes",
            Self::CpuRequestedLeast => "cpu_requested_share_min",
            Self::CpuRequestedMost => "cpu_requested_share_max",
            Self::Cost => "cost_usd_per_hour",
            Self::Machines => "machines_running",
        }
    }

    fn of(self, row: &Sample) -> f64 {
        match self {
            Self::PodsPending => f64::from(row.pods_pending),
            Self::PodsRunning => f64::from(row.pods_running),
            Self::PodsReady => f64::from(row.pods_ready),
            Self::PodsTerminating => f64::from(row.pods_terminating),
            Self::NodesReady => f64::from(row.nodes_ready),
            Self::CpuAllocatable => row.cpu_allocatable_cores,
            Self::CpuRequested => row.cpu_requested_cores,
            Self::CpuUsed => row.cpu_used_cores,
            Self::MemoryAllocatable => row.memory_allocatable_bytes,
            Self::MemoryRequested => row.memory_requested_bytes,
            Self::CpuRequestedLeast => row.cpu_requested_range.0,
            Self::CpuRequestedMost => row.cpu_requested_range.1,
            Self::Cost => row.cost_usd_per_hour,
            Self::Machines => f64::from(row.machines),
        }
    }
}

/// Mean and extremes of the samples that one point stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    const fn of(value: f64) -> Self {
        Self { mean: value, min: value, max: value }
    }

    fn merge(&mut self, own: u32, other: Self, more: u32) {
        let (own, more) = (f64::from(own), f64::from(more));
        self.mean = (self.mean * own + other.mean * more) / (own + more);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }
}

/// One or several samples, one after another.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplePoint {
    /// When the first of them was taken.
    pub at: SimTime,
    /// How many there are.
    pub samples: u32,
    gauges: [Spread; Gauge::ALL.len()],
    /// One entry a revision of a workload that has a ReplicaSet.
    pub replicas: Vec<ReplicaPoint>,
    /// One entry a pool that has machines.
    pub pools: Vec<PoolPoint>,
}

/// The machines of one pool, means over the samples of a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoolPoint {
    /// Its name.
    pub pool: Symbol,
    /// Machines that are paid for.
    pub nodes: f64,
    /// What they cost an hour, in USD.
    pub cost_usd_per_hour: f64,
}

/// The pods of one revision of one workload, means over the samples of a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReplicaPoint {
    /// Whose.
    pub workload: Workload,
    /// Revision.
    pub revision: u32,
    /// Pods that are not being deleted.
    pub pods: f64,
    /// Of them ready.
    pub ready: f64,
    /// Pods that are being deleted.
    pub terminating: f64,
    /// How many the workload wants in all.
    pub wanted: f64,
}

impl SamplePoint {
    fn of(row: &Sample) -> Self {
        let replica = |r: &crate::record::ReplicaSample| ReplicaPoint {
            workload: r.workload,
            revision: r.revision,
            pods: f64::from(r.pods),
            ready: f64::from(r.ready),
            terminating: f64::from(r.terminating),
            wanted: f64::from(r.wanted),
        };
        Self {
            at: row.at,
            samples: 1,
            gauges: Gauge::ALL.map(|gauge| Spread::of(gauge.of(row))),
            replicas: row.replicas.iter().map(replica).collect(),
            pools: row.pools.iter().map(PoolPoint::of).collect(),
        }
    }

    /// One of the gauges.
    #[must_use]
    pub const fn gauge(&self, gauge: Gauge) -> Spread {
        self.gauges[gauge as usize]
    }

    fn merge(&mut self, other: &Self) {
        for (own, more) in self.gauges.iter_mut().zip(other.gauges) {
            own.merge(self.samples, more, other.samples);
        }
        self.merge_replicas(other);
        self.merge_pools(other);
        self.samples += other.samples;
    }

    /// What one of both lacks counts as no machines there.
    fn merge_pools(&mut self, other: &Self) {
        let part = f64::from(other.samples) / f64::from(self.samples + other.samples);
        for more in &other.pools {
            if self.pools.iter().all(|own| own.pool != more.pool) {
                self.pools.push(PoolPoint { nodes: 0.0, cost_usd_per_hour: 0.0, ..*more });
            }
        }
        for own in &mut self.pools {
            let more = other.pools.iter().find(|more| more.pool == own.pool);
            let (nodes, cost) =
                more.map_or((0.0, 0.0), |more| (more.nodes, more.cost_usd_per_hour));
            own.nodes += (nodes - own.nodes) * part;
            own.cost_usd_per_hour += (cost - own.cost_usd_per_hour) * part;
        }
    }

    /// What one of both lacks counts as no pods there.
    fn merge_replicas(&mut self, other: &Self) {
        let (own, more) = (f64::from(self.samples), f64::from(other.samples));
        let part = more / (own + more);
        let same = |a: &ReplicaPoint, b: &ReplicaPoint| {
            a.workload == b.workload && a.revision == b.revision
        };
        for row in &mut self.replicas {
            let found = other.replicas.iter().find(|r| same(r, row)).copied();
            let other =
                found.unwrap_or(ReplicaPoint { pods: 0.0, ready: 0.0, terminating: 0.0, ..*row });
            row.mix(&other, part);
        }
        for row in &other.replicas {
            if self.replicas.iter().all(|r| !same(r, row)) {
                let mut new = ReplicaPoint { pods: 0.0, ready: 0.0, terminating: 0.0, ..*row };
                new.mix(row, part);
                self.replicas.push(new);
            }
        }
    }
}

impl PoolPoint {
    fn of(row: &PoolSample) -> Self {
        let PoolSample { pool, nodes, cost_usd_per_hour } = *row;
        Self { pool, nodes: f64::from(nodes), cost_usd_per_hour }
    }
}

impl ReplicaPoint {
    fn mix(&mut self, other: &Self, part: f64) {
        let mix = |own: &mut f64, more: f64| *own += (more - *own) * part;
        mix(&mut self.pods, other.pods);
        mix(&mut self.ready, other.ready);
        mix(&mut self.terminating, other.terminating);
        mix(&mut self.wanted, other.wanted);
    }
}

/// The series of the whole cluster.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    points: Vec<SamplePoint>,
    stride: u32,
    last: Option<SamplePoint>,
    /// Value · seconds of each gauge up to the last sample, or the end.
    area: [f64; Gauge::ALL.len()],
    max: [f64; Gauge::ALL.len()],
    seconds: f64,
}

/// More points than this are merged, two by two.
const POINTS_MAX: usize = 5_000;

impl Samples {
    /// Adds a sample; instants do not go back.
    pub fn add(&mut self, row: &Sample) {
        let point = SamplePoint::of(row);
        self.hold_until(row.at);
        for (max, gauge) in self.max.iter_mut().zip(point.gauges) {
            *max = max.max(gauge.mean);
        }
        let stride = self.stride.max(1);
        match self.points.last_mut() {
            Some(open) if open.samples < stride => open.merge(&point),
            _ => self.points.push(point.clone()),
        }
        self.last = Some(point);
        if self.points.len() > POINTS_MAX {
            self.thin();
        }
    }

    /// The last sample holds until the end of the run.
    pub(super) fn end(&mut self, at: SimTime) {
        self.hold_until(at);
        if let Some(last) = &mut self.last {
            last.at = last.at.max(at);
        }
    }

    /// The points in order.
    #[must_use]
    pub fn points(&self) -> &[SamplePoint] {
        &self.points
    }

    /// The average over time of a gauge; `None` when no time has passed.
    #[must_use]
    pub fn mean(&self, gauge: Gauge) -> Option<f64> {
        (self.seconds > 0.0).then(|| self.area[gauge as usize] / self.seconds)
    }

    /// Value · seconds of a gauge over the whole run.
    #[must_use]
    pub const fn area(&self, gauge: Gauge) -> f64 {
        self.area[gauge as usize]
    }

    /// The greatest sample of a gauge; 0 without any.
    #[must_use]
    pub const fn max(&self, gauge: Gauge) -> f64 {
        self.max[gauge as usize]
    }

    fn hold_until(&mut self, at: SimTime) {
        let Some(last) = &self.last else { return };
        let span = at.saturating_since(last.at).as_secs_f64();
        for (area, gauge) in self.area.iter_mut().zip(last.gauges) {
            *area += gauge.mean * span;
        }
        self.seconds += span;
    }

    fn thin(&mut self) {
        let mut thinned: Vec<SamplePoint> = Vec::with_capacity(self.points.len() / 2 + 1);
        for pair in self.points.chunks(2) {
            let mut first = pair[0].clone();
            pair.iter().skip(1).for_each(|second| first.merge(second));
            thinned.push(first);
        }
        self.points = thinned;
        self.stride = self.stride.max(1) * 2;
    }

    /// How many points there are, as a float for means.
    #[must_use]
    pub fn samples(&self) -> f64 {
        cast::f64_of_u64(self.points.iter().map(|p| u64::from(p.samples)).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Duration;

    #[test]
    fn long_series_are_thinned_and_averages_stay_exact() {
        let mut samples = Samples::default();
        let many = 12_000;
        for second in 0..many {
            let row = Sample {
                at: SimTime::at(Duration::secs(second)),
                pods_pending: u32::from(second == 7_777) * 40,
                cost_usd_per_hour: 1.5,
                ..Sample::default()
            };
            samples.add(&row);
        }
        samples.end(SimTime::at(Duration::secs(many)));
        assert!(samples.points().len() <= POINTS_MAX);
        assert!((samples.samples() - 12_000.0).abs() < 1e-9);
        // 40 pods for one of 12,000 s
        let mean = samples.mean(Gauge::PodsPending).unwrap();
        assert!((mean - 40.0 / 12_000.0).abs() < 1e-12);
        assert!((samples.area(Gauge::Cost) - 18_000.0).abs() < 1e-6);
        let peak = samples.points().iter().map(|p| p.gauge(Gauge::PodsPending).max);
        assert!((peak.fold(0.0, f64::max) - 40.0).abs() < 1e-12);
    }
}
