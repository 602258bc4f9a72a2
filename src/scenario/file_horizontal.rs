//! `cluster.horizontalPodAutoscaler` as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::units::Span;
use crate::tree::Spanned;

/// How kube-controller-manager looks at HorizontalPodAutoscalers; what is left out is its default.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct HorizontalFile {
    /// From one look at an autoscaler to the next: `--horizontal-pod-autoscaler-sync-period`, else
    /// 15s.
    pub sync_period: Option<Spanned<Span>>,
    /// How long the largest recommendation holds where the autoscaler says nothing:
    /// `--horizontal-pod-autoscaler-downscale-stabilization`, else 5m.
    pub downscale_stabilization: Option<Spanned<Span>>,
    /// How far a ratio may be from 1 without a change where the autoscaler says nothing:
    /// `--horizontal-pod-autoscaler-tolerance`, else 0.1.
    pub tolerance: Option<Spanned<f64>>,
    /// How long the CPU of a pod that has just started counts only once it is ready:
    /// `--horizontal-pod-autoscaler-cpu-initialization-period`, else 5m.
    pub cpu_initialization_period: Option<Spanned<Span>>,
    /// A pod that turned unready within this time of its start was never ready:
    /// `--horizontal-pod-autoscaler-initial-readiness-delay`, else 30s.
    pub initial_readiness_delay: Option<Spanned<Span>>,
    /// The gate HPAScaleToZero, off unless switched on: `minReplicas: 0` is allowed with an Object
    /// or External metric.
    pub scale_to_zero: Option<bool>,
}
