//! The part of the scenario file about kubelets, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::tree::Spanned;

use super::units::{Size, Span};

/// How kubelets are set: fields of their KubeletConfiguration; what is left out is its default.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct KubeletFile {
    /// Pods are evicted while less than this is available; 100Mi of memory if absent. The node's
    /// `allocatable` has it subtracted already, so this happens when pods together use more than
    /// that.
    pub eviction_hard: Option<Spanned<SignalsFile<Size>>>,
    /// The same after a while: see `evictionSoftGracePeriod`.
    pub eviction_soft: Option<Spanned<SignalsFile<Size>>>,
    /// For how long less than `evictionSoft` must be available.
    pub eviction_soft_grace_period: Option<Spanned<SignalsFile<Span>>>,
    /// Longest grace of a pod that a soft threshold evicts; whole seconds, 0s if absent.
    pub eviction_max_pod_grace_period: Option<Spanned<Span>>,
    /// So much more than a threshold must be available for evictions to end; 0 if absent.
    pub eviction_minimum_reclaim: Option<Spanned<SignalsFile<Size>>>,
    /// How long MemoryPressure outlasts its cause; 5m if absent.
    pub eviction_pressure_transition_period: Option<Spanned<Span>>,
    /// How long a shutdown of the machine (fault `shutdown`) is put off for its pods; 0s, not at
    /// all, if absent.
    pub shutdown_grace_period: Option<Spanned<Span>>,
    /// The last part of `shutdownGracePeriod`, kept for critical pods; 0s if absent.
    pub shutdown_grace_period_critical_pods: Option<Spanned<Span>>,
}

/// A value for each signal of eviction; memory is the only one that is modelled.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct SignalsFile<T> {
    /// Memory that is not in use.
    #[serde(rename = "memory.available")]
    pub memory: Spanned<T>,
}
