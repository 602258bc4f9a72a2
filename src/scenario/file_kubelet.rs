//! The part of the scenario file about kubelets, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::tree::Spanned;

use super::units::{Room, Size, Span};

/// How kubelets are set: fields of their KubeletConfiguration; what is left out is its default.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct KubeletFile {
    /// Pods are evicted while less than this is available; if absent 100Mi of memory, 10% of the
    /// disk, 15% of the images' file system. A signal that is left out has no threshold then. The
    /// node's `allocatable` has it subtracted already, so this happens when pods together use more
    /// than that.
    pub eviction_hard: Option<Spanned<SignalsFile<Room>>>,
    /// The same after a while: see `evictionSoftGracePeriod`.
    pub eviction_soft: Option<Spanned<SignalsFile<Room>>>,
    /// For how long less than `evictionSoft` must be available.
    pub eviction_soft_grace_period: Option<Spanned<SignalsFile<Span>>>,
    /// Longest grace of a pod that a soft threshold evicts; whole seconds, 0s if absent.
    pub eviction_max_pod_grace_period: Option<Spanned<Span>>,
    /// So much more than a threshold must be available for evictions to end; 0 if absent.
    pub eviction_minimum_reclaim: Option<Spanned<SignalsFile<Room>>>,
    /// Signals that `evictionHard` leaves out keep their defaults.
    pub merge_default_eviction_settings: Option<bool>,
    /// How long MemoryPressure and DiskPressure outlast their causes; 5m if absent.
    pub eviction_pressure_transition_period: Option<Spanned<Span>>,
    /// How long a shutdown of the machine (fault `shutdown`) is put off for its pods; 0s, not at
    /// all, if absent.
    pub shutdown_grace_period: Option<Spanned<Span>>,
    /// The last part of `shutdownGracePeriod`, kept for critical pods; 0s if absent.
    pub shutdown_grace_period_critical_pods: Option<Spanned<Span>>,
    /// Images that nobody uses are removed when their file system is so full, in percent; 85 if
    /// absent.
    #[serde(rename = "imageGCHighThresholdPercent")]
    pub image_high: Option<Spanned<u8>>,
    /// Until it is no fuller than that, in percent; 80 if absent.
    #[serde(rename = "imageGCLowThresholdPercent")]
    pub image_low: Option<Spanned<u8>>,
    /// Images that are younger stay; 2m if absent.
    #[serde(rename = "imageMinimumGCAge")]
    pub image_age_min: Option<Spanned<Span>>,
    /// A container's log file that has become as large is rotated; 10Mi if absent.
    pub container_log_max_size: Option<Spanned<Size>>,
    /// So many files of a container's logs are kept, at least 2; 5 if absent.
    pub container_log_max_files: Option<Spanned<u32>>,
    /// In place of `shutdownGracePeriod`: groups of pods by priority, each with its time; lower ones end first.
    pub shutdown_grace_period_by_pod_priority: Option<Spanned<Vec<ShutdownGroupFile>>>,
    /// Whether images are pulled one at a time; true if absent, unless `maxParallelImagePulls` is
    /// 2 or more.
    pub serialize_image_pulls: Option<bool>,
    /// How many images are pulled at a time at most where they are not pulled one at a time; any
    /// number if absent.
    pub max_parallel_image_pulls: Option<Spanned<u32>>,
    /// How many pulls a second begin at most, others fail; 5 if absent, 0: any number.
    #[serde(rename = "registryPullQPS")]
    pub registry_pull_qps: Option<u32>,
    /// How many of them may begin at once; 10 if absent.
    pub registry_burst: Option<u32>,
    /// How long a container that crashes is kept from starting again.
    pub crash_loop_back_off: Option<CrashLoopFile>,
}

/// Pods from a priority on, when a machine shuts down.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShutdownGroupFile {
    /// From this priority on, up to the next group.
    pub priority: i32,
    /// How long they have.
    pub shutdown_grace_period_seconds: u32,
}

/// Back-off of containers that crash.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CrashLoopFile {
    /// The longest back-off, from 1s to 300s; 300s if absent. Below 10s the first one is as long.
    pub max_container_restart_period: Spanned<Span>,
}

/// A value for each signal of eviction.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct SignalsFile<T> {
    /// Memory that is not in use.
    #[serde(rename = "memory.available")]
    pub memory: Option<Spanned<T>>,
    /// What is left on the node's disk.
    #[serde(rename = "nodefs.available")]
    pub nodefs: Option<Spanned<T>>,
    /// What is left where images and the layers of containers are.
    #[serde(rename = "imagefs.available")]
    pub imagefs: Option<Spanned<T>>,
    /// Inodes that are left on the node's disk: read, and not modelled.
    #[serde(rename = "nodefs.inodesFree")]
    pub nodefs_inodes: Option<Spanned<T>>,
    /// The same of the images' file system.
    #[serde(rename = "imagefs.inodesFree")]
    pub imagefs_inodes: Option<Spanned<T>>,
}

/// The disk of each machine.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DiskFile {
    /// Size of its file system: images, the layers of containers, their logs and `emptyDir` volumes.
    pub nodefs: Spanned<Size>,
    /// Size of another file system for images and layers, if there is one.
    pub imagefs: Option<Spanned<Size>>,
    /// What is on the first one besides; nothing if absent.
    pub system: Option<Spanned<Size>>,
}
