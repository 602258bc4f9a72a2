//! How the controller of HorizontalPodAutoscalers is set.

use crate::base::Duration;

/// The flags of kube-controller-manager that concern autoscalers.
///
/// Source: kubernetes v1.36.3 pkg/controller/podautoscaler/config/v1alpha1/defaults.go (rule A5);
/// pkg/features/kube_features.go `HPAScaleToZero` (rule A17).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HorizontalSettings {
    /// From one look at an autoscaler to the next (`--horizontal-pod-autoscaler-sync-period`).
    pub period: Duration,
    /// How long the largest recommendation holds
    /// (`--horizontal-pod-autoscaler-downscale-stabilization`).
    pub stabilization: Duration,
    /// How far a ratio may be from 1 without a change (`--horizontal-pod-autoscaler-tolerance`).
    pub tolerance: f64,
    /// So long after its start a pod's readiness is looked at closely
    /// (`--horizontal-pod-autoscaler-cpu-initialization-period`).
    pub initialization: Duration,
    /// A pod whose readiness changed last within this time of its start was never ready
    /// (`--horizontal-pod-autoscaler-initial-readiness-delay`).
    pub initial_delay: Duration,
    /// The gate HPAScaleToZero.
    pub scales_to_zero: bool,
}

impl HorizontalSettings {
    /// kube-controller-manager's defaults.
    pub const DEFAULT: Self = Self {
        period: Duration::secs(15),
        stabilization: Duration::mins(5),
        tolerance: 0.1,
        initialization: Duration::mins(5),
        initial_delay: Duration::secs(30),
        scales_to_zero: false,
    };
}

impl Default for HorizontalSettings {
    fn default() -> Self {
        Self::DEFAULT
    }
}
