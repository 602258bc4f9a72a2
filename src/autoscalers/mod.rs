//! The autoscalers: HorizontalPodAutoscaler, VerticalPodAutoscaler, and the Cluster Autoscaler
//! and Karpenter as pure code.
//!
//! ```text
//! metrics of pods ─► replica_calculator ─► combine ─► behavior (stabilise, limit) ─► spec.replicas
//! ```
//!
//! The arithmetic stands apart in pure functions, with the original's order of operations; the
//! controller only reads the cluster and writes the result.

pub mod behavior;
pub mod cluster_autoscaler;
mod hpa;
mod hpa_metrics;
pub mod karpenter;
mod keda;
mod keda_fallback;
mod keda_jobs;
pub mod replica_calculator;
mod vertical;
pub mod vpa;

pub use cluster_autoscaler::ClusterAutoscalerController;
pub use hpa::HorizontalController;
pub use karpenter::KarpenterController;
pub use keda::KedaController;
pub use keda_jobs::ScaledJobController;
pub use vertical::VerticalController;
