//! How the kubelet of a node is set, and the disk that it looks after.

use crate::base::{Bytes, Duration};

/// From this priority on a pod is critical.
const SYSTEM_CRITICAL: i32 = 2_000_000_000;

/// Settings of a kubelet (its `KubeletConfiguration`), as far as they matter here.
///
/// Source: kubernetes v1.36.3 pkg/kubelet/apis/config/v1beta1/defaults.go,
/// pkg/kubelet/eviction/defaults_linux.go (rules N60, N62, N92, N99, N101, N103, N132).
#[derive(Clone, Debug, PartialEq)]
pub struct KubeletSpec {
    /// When pods are evicted, by the place of the [`Signal`].
    pub eviction: [Eviction; Signal::ALL.len()],
    /// Longest grace of a pod that a soft threshold evicts (`evictionMaxPodGracePeriod`).
    pub eviction_grace_max: Duration,
    /// How long a condition outlasts its threshold (`evictionPressureTransitionPeriod`).
    pub eviction_transition: Duration,
    /// How long a shutdown of the machine is put off for its pods (`shutdownGracePeriod`); zero:
    /// not at all.
    pub shutdown_grace: Duration,
    /// The last part of it, for critical pods (`shutdownGracePeriodCriticalPods`).
    pub shutdown_grace_critical: Duration,
    /// When images that nobody uses are removed.
    pub images: ImageRoom,
    /// How much of a container's logs is kept.
    pub logs: LogRoom,
    /// The disk; `None`: nothing is said of it, and there is enough.
    pub disk: Option<DiskSpec>,
    /// In place of both graces: from which priority on pods have how long, lowest first
    /// (`shutdownGracePeriodByPodPriority`).
    pub shutdown_by_priority: Vec<(i32, Duration)>,
    /// Images are pulled one at a time (`serializeImagePulls`).
    pub serialize_pulls: bool,
    /// Else so many at a time at most; `None`: no limit (`maxParallelImagePulls`).
    pub parallel_pulls_max: Option<u32>,
    /// Pulls a second that are let through; 0: any number (`registryPullQPS`).
    pub pulls_per_second: u32,
    /// Pulls that are let through at once (`registryBurst`).
    pub pulls_burst: u32,
    /// Longest back-off of a container that crashes
    /// (`crashLoopBackOff.maxContainerRestartPeriod`).
    pub backoff_max: Duration,
}

impl KubeletSpec {
    /// The defaults.
    pub const DEFAULT: Self = Self {
        eviction: [
            Eviction::hard(Limit::Bytes(Bytes::mib(100))),
            Eviction::hard(Limit::Share(0.1)),
            Eviction::hard(Limit::Share(0.15)),
        ],
        eviction_grace_max: Duration::ZERO,
        eviction_transition: Duration::mins(5),
        shutdown_grace: Duration::ZERO,
        shutdown_grace_critical: Duration::ZERO,
        images: ImageRoom { high: 85, low: 80, age_min: Duration::mins(2) },
        logs: LogRoom { size_max: Bytes::mib(10), files_max: 5 },
        disk: None,
        shutdown_by_priority: Vec::new(),
        serialize_pulls: true,
        parallel_pulls_max: None,
        pulls_per_second: 5,
        pulls_burst: 10,
        backoff_max: Duration::secs(300),
    };

    /// When a signal has pods evicted.
    #[must_use]
    pub const fn on(&self, signal: Signal) -> &Eviction {
        &self.eviction[signal as usize]
    }

    /// So much of the memory must be available for no pod to be evicted at once.
    #[must_use]
    pub fn memory_hard(&self) -> Bytes {
        self.on(Signal::Memory).hard.map_or(Bytes(0), |limit| Bytes(limit.of(Bytes(0))))
    }

    /// The disk of a node of which only is said what pods can have of it: allocatable has the hard
    /// threshold of `nodefs.available` subtracted.
    #[must_use]
    pub fn disk_of(&self, allocatable: Bytes) -> Option<DiskSpec> {
        let nodefs = match self.on(Signal::NodeFs).hard {
            Some(Limit::Bytes(kept)) => Bytes(allocatable.0.saturating_add(kept.0)),
            Some(Limit::Share(part)) => Bytes(scaled(allocatable, 1.0 / (1.0 - f64::from(part)))),
            None => allocatable,
        };
        (allocatable.0 > 0).then_some(DiskSpec { nodefs, imagefs: None, system: Bytes(0) })
    }

    /// What pods can have of the disk.
    #[must_use]
    pub fn allocatable_of(&self, disk: &DiskSpec) -> Bytes {
        let kept = self.on(Signal::NodeFs).hard.map_or(0, |limit| limit.of(disk.nodefs));
        Bytes((disk.nodefs.0 - kept).max(0))
    }

    /// The groups of pods that a shutdown ends one after another: from which priority on, and how
    /// long the group has. None: nothing is put off.
    ///
    /// Source: kubernetes v1.36.3 pkg/kubelet/nodeshutdown/nodeshutdown_manager.go `migrateConfig`.
    #[must_use]
    pub fn shutdown_groups(&self) -> Vec<(i32, Duration)> {
        if !self.shutdown_by_priority.is_empty() || self.shutdown_grace.is_zero() {
            return self.shutdown_by_priority.clone();
        }
        let ordinary = self.shutdown_grace.saturating_sub(self.shutdown_grace_critical);
        vec![(0, ordinary), (SYSTEM_CRITICAL, self.shutdown_grace_critical)]
    }
}

impl Default for KubeletSpec {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What the kubelet looks at to see whether its node runs out of something (rule N99).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// `memory.available`.
    Memory,
    /// `nodefs.available`: logs, volumes of the kind `emptyDir`, and without an image file system
    /// of its own all else.
    NodeFs,
    /// `imagefs.available`: images and what containers write into their own layers.
    ImageFs,
}

impl Signal {
    /// All of them, in the order in which they are acted upon.
    pub const ALL: [Self; 3] = [Self::Memory, Self::NodeFs, Self::ImageFs];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory.available",
            Self::NodeFs => "nodefs.available",
            Self::ImageFs => "imagefs.available",
        }
    }

    /// The condition of the node that follows from it.
    #[must_use]
    pub const fn condition(self) -> Pressure {
        match self {
            Self::Memory => Pressure::Memory,
            Self::NodeFs | Self::ImageFs => Pressure::Disk,
        }
    }
}

/// What a node runs out of: conditions that its kubelet reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// MemoryPressure.
    Memory,
    /// DiskPressure.
    Disk,
}

impl Pressure {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Memory, Self::Disk];

    /// The type of the condition.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "MemoryPressure",
            Self::Disk => "DiskPressure",
        }
    }
}

/// When a signal has pods evicted (rules N99, N101).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Eviction {
    /// While less than this is available (`evictionHard`).
    pub hard: Option<Limit>,
    /// While less than this is available for so long (`evictionSoft`, `evictionSoftGracePeriod`).
    pub soft: Option<(Limit, Duration)>,
    /// So much more than a threshold must be available for it to be met no longer
    /// (`evictionMinimumReclaim`).
    pub reclaim: Limit,
}

impl Eviction {
    /// Never.
    pub const NONE: Self = Self { hard: None, soft: None, reclaim: Limit::Bytes(Bytes(0)) };

    /// While less than this is available.
    #[must_use]
    pub const fn hard(limit: Limit) -> Self {
        Self { hard: Some(limit), ..Self::NONE }
    }
}

/// An amount of something that is limited.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// So much.
    Bytes(Bytes),
    /// A part of the whole, from 0 to 1, in the precision of the original.
    Share(f32),
}

impl Limit {
    /// How much that is.
    ///
    /// Source: kubernetes v1.36.3 pkg/kubelet/eviction/api/types.go `GetThresholdQuantity`.
    #[must_use]
    pub fn of(self, whole: Bytes) -> i64 {
        match self {
            Self::Bytes(amount) => amount.0,
            Self::Share(part) => scaled(whole, f64::from(part)),
        }
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes(amount) => amount.fmt(f),
            Self::Share(part) => write!(f, "{}%", (f64::from(*part) * 1e6).round() / 1e4),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a part of an amount of bytes")]
fn scaled(of: Bytes, factor: f64) -> i64 {
    (of.as_f64() * factor) as i64
}

/// When images that nobody uses are removed (rule N103).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageRoom {
    /// When their file system is so full, in percent (`imageGCHighThresholdPercent`).
    pub high: u8,
    /// Until it is no fuller than that, in percent (`imageGCLowThresholdPercent`).
    pub low: u8,
    /// Those that are younger stay (`imageMinimumGCAge`).
    pub age_min: Duration,
}

/// How much of a container's logs is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRoom {
    /// A file that has become as large is rotated (`containerLogMaxSize`).
    pub size_max: Bytes,
    /// So many files, the one that is written among them (`containerLogMaxFiles`).
    pub files_max: u32,
}

/// The disk of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSpec {
    /// Size of the file system of the node.
    pub nodefs: Bytes,
    /// Size of another one for images and the layers of containers; `None`: they are on the first.
    pub imagefs: Option<Bytes>,
    /// What is on the first one besides pods and images.
    pub system: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rule N99: 10 % of the file system are kept, so 90 GiB for pods are of 100 GiB.
    #[test]
    fn allocatable_and_the_whole() {
        let set = KubeletSpec::DEFAULT;
        let disk = set.disk_of(Bytes::gib(90)).expect("a disk");
        assert!((disk.nodefs.0 - Bytes::gib(100).0).abs() < 1 << 10, "{disk:?}");
        assert!((set.allocatable_of(&disk).0 - Bytes::gib(90).0).abs() < 1 << 10);
        assert_eq!(set.disk_of(Bytes(0)), None);
        assert_eq!(set.memory_hard(), Bytes::mib(100));
        let shown = Signal::ALL.map(|signal| set.on(signal).hard.map(|hard| hard.to_string()));
        assert_eq!(shown.map(Option::unwrap), ["100Mi", "10%", "15%"]);
    }
}
