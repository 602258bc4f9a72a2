//! The series of the whole cluster, thinned when it gets long, and its averages over time.

use crate::base::{SimTime, Symbol, cast};
use crate::model::Workload;
use crate::record::{PoolSample, ReplicaSample, Sample};

const GAUGES: usize = Gauge::ALL.len();

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
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplePoint<'a> {
    /// When the first of them was taken.
    pub at: SimTime,
    /// How many there are.
    pub samples: u32,
    gauges: [Spread; GAUGES],
    /// One entry a revision of a workload that has a ReplicaSet.
    pub replicas: &'a [ReplicaPoint],
    /// One entry a pool that has machines.
    pub pools: &'a [PoolPoint],
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

impl SamplePoint<'_> {
    /// One of the gauges.
    #[must_use]
    pub const fn gauge(&self, gauge: Gauge) -> Spread {
        self.gauges[gauge as usize]
    }
}

/// Points in few pieces of memory, so that another one hardly ever asks for some.
#[derive(Clone, Debug, Default)]
struct Points {
    rows: Vec<Row>,
    replicas: Vec<ReplicaPoint>,
    pools: Vec<PoolPoint>,
}

/// A point: its entries are those from where it begins to where the next one does.
#[derive(Clone, Copy, Debug)]
struct Row {
    at: SimTime,
    samples: u32,
    gauges: [Spread; GAUGES],
    replicas_from: usize,
    pools_from: usize,
}

impl Points {
    fn get(&self, index: usize) -> SamplePoint<'_> {
        let row = &self.rows[index];
        let next = self.rows.get(index + 1);
        let replicas = row.replicas_from..next.map_or(self.replicas.len(), |n| n.replicas_from);
        let pools = row.pools_from..next.map_or(self.pools.len(), |n| n.pools_from);
        let (replicas, pools) = (&self.replicas[replicas], &self.pools[pools]);
        SamplePoint { at: row.at, samples: row.samples, gauges: row.gauges, replicas, pools }
    }

    fn push(&mut self, point: SamplePoint<'_>) {
        let SamplePoint { at, samples, gauges, replicas, pools } = point;
        let (replicas_from, pools_from) = (self.replicas.len(), self.pools.len());
        self.rows.push(Row { at, samples, gauges, replicas_from, pools_from });
        self.replicas.extend_from_slice(replicas);
        self.pools.extend_from_slice(pools);
    }

    /// Adds the samples of a point to those of the last one.
    fn merge(&mut self, other: SamplePoint<'_>) {
        let Some(mut row) = self.rows.last().copied() else { return self.push(other) };
        for (own, more) in row.gauges.iter_mut().zip(other.gauges) {
            own.merge(row.samples, more, other.samples);
        }
        let part = f64::from(other.samples) / f64::from(row.samples + other.samples);
        self.merge_replicas(row.replicas_from, other.replicas, part);
        self.merge_pools(row.pools_from, other.pools, part);
        row.samples += other.samples;
        self.rows.pop();
        self.rows.push(row);
    }

    /// What one of both lacks counts as no machines there.
    fn merge_pools(&mut self, from: usize, other: &[PoolPoint], part: f64) {
        for more in other {
            if self.pools[from..].iter().all(|own| own.pool != more.pool) {
                self.pools.push(PoolPoint { nodes: 0.0, cost_usd_per_hour: 0.0, ..*more });
            }
        }
        for own in &mut self.pools[from..] {
            let more = other.iter().find(|more| more.pool == own.pool);
            let (nodes, cost) =
                more.map_or((0.0, 0.0), |more| (more.nodes, more.cost_usd_per_hour));
            own.nodes += (nodes - own.nodes) * part;
            own.cost_usd_per_hour += (cost - own.cost_usd_per_hour) * part;
        }
    }

    /// What one of both lacks counts as no pods there.
    fn merge_replicas(&mut self, from: usize, other: &[ReplicaPoint], part: f64) {
        let same = |a: &ReplicaPoint, b: &ReplicaPoint| {
            a.workload == b.workload && a.revision == b.revision
        };
        for row in &mut self.replicas[from..] {
            let found = other.iter().find(|r| same(r, row)).copied();
            row.mix(&found.unwrap_or_else(|| row.without_pods()), part);
        }
        for row in other {
            if self.replicas[from..].iter().all(|r| !same(r, row)) {
                let mut new = row.without_pods();
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
    fn of(row: &ReplicaSample) -> Self {
        Self {
            workload: row.workload,
            revision: row.revision,
            pods: f64::from(row.pods),
            ready: f64::from(row.ready),
            terminating: f64::from(row.terminating),
            wanted: f64::from(row.wanted),
        }
    }

    const fn without_pods(&self) -> Self {
        Self { pods: 0.0, ready: 0.0, terminating: 0.0, ..*self }
    }

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
    points: Points,
    stride: u32,
    last: Option<(SimTime, [Spread; GAUGES])>,
    /// The entries of the sample that is added.
    replicas: Vec<ReplicaPoint>,
    pools: Vec<PoolPoint>,
    /// Value · seconds of each gauge up to the last sample, or the end.
    area: [f64; GAUGES],
    max: [f64; GAUGES],
    seconds: f64,
}

/// More points than this are merged, two by two.
const POINTS_MAX: usize = 5_000;

impl Samples {
    /// Adds a sample; instants do not go back.
    pub fn add(&mut self, row: &Sample) {
        self.hold_until(row.at);
        let gauges = Gauge::ALL.map(|gauge| Spread::of(gauge.of(row)));
        for (max, gauge) in self.max.iter_mut().zip(gauges) {
            *max = max.max(gauge.mean);
        }
        self.replicas.clear();
        self.replicas.extend(row.replicas.iter().map(ReplicaPoint::of));
        self.pools.clear();
        self.pools.extend(row.pools.iter().map(PoolPoint::of));
        let (replicas, pools) = (self.replicas.as_slice(), self.pools.as_slice());
        let point = SamplePoint { at: row.at, samples: 1, gauges, replicas, pools };
        match self.points.rows.last() {
            Some(open) if open.samples < self.stride.max(1) => self.points.merge(point),
            _ => self.points.push(point),
        }
        self.last = Some((row.at, gauges));
        if self.points.rows.len() > POINTS_MAX {
            self.thin();
        }
    }

    /// The last sample holds until the end of the run.
    pub(super) fn end(&mut self, at: SimTime) {
        self.hold_until(at);
        if let Some((last, _)) = &mut self.last {
            *last = at.max(*last);
        }
    }

    /// The points in order.
    #[must_use]
    pub fn points(&self) -> impl ExactSizeIterator<Item = SamplePoint<'_>> + Clone {
        (0..self.points.rows.len()).map(|index| self.points.get(index))
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
        let Some((last, gauges)) = self.last else { return };
        let span = at.saturating_since(last).as_secs_f64();
        for (area, gauge) in self.area.iter_mut().zip(gauges) {
            *area += gauge.mean * span;
        }
        self.seconds += span;
    }

    fn thin(&mut self) {
        let mut thinned = Points::default();
        for (index, point) in self.points().enumerate() {
            if index % 2 == 0 { thinned.push(point) } else { thinned.merge(point) }
        }
        self.points = thinned;
        self.stride = self.stride.max(1) * 2;
    }

    /// How many points there are, as a float for means.
    #[must_use]
    pub fn samples(&self) -> f64 {
        cast::f64_of_u64(self.points.rows.iter().map(|p| u64::from(p.samples)).sum())
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
        let peak = samples.points().map(|p| p.gauge(Gauge::PodsPending).max);
        assert!((peak.fold(0.0, f64::max) - 40.0).abs() < 1e-12);
    }
}
