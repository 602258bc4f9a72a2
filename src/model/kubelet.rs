//! How the kubelet of a node is set.

use crate::base::{Bytes, Duration};

/// Settings of a kubelet (its `KubeletConfiguration`), as far as they matter here.
///
/// Source: kubernetes v1.36.3 pkg/kubelet/apis/config/v1beta1/defaults.go,
/// pkg/kubelet/eviction/defaults_linux.go (rules N99, N101, N132).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KubeletSpec {
    /// Pods are evicted while less memory than this is available (`evictionHard`).
    pub eviction_hard: Bytes,
    /// The same after a while (`evictionSoft`, `evictionSoftGracePeriod`).
    pub eviction_soft: Option<(Bytes, Duration)>,
    /// Longest grace of a pod that a soft threshold evicts (`evictionMaxPodGracePeriod`).
    pub eviction_grace_max: Duration,
    /// So much more than a threshold must be available for it to be met no longer
    /// (`evictionMinimumReclaim`).
    pub eviction_reclaim: Bytes,
    /// How long a condition outlasts its threshold (`evictionPressureTransitionPeriod`).
    pub eviction_transition: Duration,
    /// How long a shutdown of the machine is put off for its pods (`shutdownGracePeriod`); zero:
    /// not at all.
    pub shutdown_grace: Duration,
    /// The last part of it, for critical pods (`shutdownGracePeriodCriticalPods`).
    pub shutdown_grace_critical: Duration,
}

impl KubeletSpec {
    /// The defaults.
    pub const DEFAULT: Self = Self {
        eviction_hard: Bytes::mib(100),
        eviction_soft: None,
        eviction_grace_max: Duration::ZERO,
        eviction_reclaim: Bytes(0),
        eviction_transition: Duration::mins(5),
        shutdown_grace: Duration::ZERO,
        shutdown_grace_critical: Duration::ZERO,
    };
}

impl Default for KubeletSpec {
    fn default() -> Self {
        Self::DEFAULT
    }
}
