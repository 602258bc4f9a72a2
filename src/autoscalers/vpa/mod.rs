//! VerticalPodAutoscaler: requests follow what containers have used.
//!
//! ```text
//! samples, OOM kills ─► peaks ─► decaying histograms ─► percentiles ─► margin ─► confidence ─► floor
//!        (a container of a pod)    (a label set)          └─ merged over label sets, checkpoints
//! ─► policy's bounds ─► recommendation ─► admission of new pods
//!                                     └─► updater: which pods to evict or to resize
//! ```
//!
//! All of this is plain arithmetic over what it is told, with the original's order of operations.
//! Admission is the API server's (`cluster/vertical.rs`); the loops are in `vertical.rs` beside this
//! folder.
//!
//! Source: kubernetes/autoscaler vertical-pod-autoscaler 1.7.3 (rules A77 to A117). Differs: each
//! autoscaler has a history of its own, which begins with it.

mod estimate;
mod histogram;
mod recommender;
mod updater;
mod usage;

pub use estimate::{Estimation, Recommendation};
pub use histogram::{Checkpoint as HistogramCheckpoint, DecayingHistogram};
pub use recommender::{Checkpoint, PodLook, Recommender, UsageSample};
pub use updater::{Group, MIN_REPLICAS, Priority, Requested, is_wanted, meets};
pub use usage::{Usage, UsageCheckpoint, Window};
