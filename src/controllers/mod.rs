//! The control loops of the controller manager: Deployment, ReplicaSet, DaemonSet, EndpointSlice.
//!
//! Each looks at the cluster and answers with a plan; running one twice is harmless. The heart of
//! each is a pure function in a file of its own. Work queues, watch delays, retries and the
//! clients' limits are the engine's.
//!
//! ```text
//! pods' readiness ─► ReplicaSet status ─► Deployment ─► size of ReplicaSets ─► pods
//!        └─────────► EndpointSlice ─► endpoints
//! ```

mod attach_detach;
mod claiming;
mod cron_job;
mod daemon_set;
mod deletion_order;
mod deployment;
mod deployment_progress;
mod disruption;
pub mod endpoint_slice;
mod garbage_collector;
mod job;
mod namespace;
mod node_ipam;
mod node_lifecycle;
mod pod_gc;
mod pod_names;
mod replicaset;
mod revisions;
pub mod rolling;
mod stateful_set;
mod taint_eviction;
mod template_hash;
mod ttl_after_finished;

pub use attach_detach::AttachDetachController;
pub use cron_job::CronJobController;
pub use daemon_set::DaemonSetController;
pub use deletion_order::{Candidate, first_to_go};
pub use deployment::DeploymentController;
pub use disruption::{DisruptionController, evictions_allowed};
pub use endpoint_slice::EndpointSliceController;
pub use garbage_collector::{GARBAGE_COLLECTOR, GarbageCollector};
pub use job::JobController;
pub use namespace::NamespaceController;
pub use node_ipam::NodeIpamController;
pub use node_lifecycle::NodeLifecycleController;
pub use pod_gc::PodGcController;
pub use replicaset::ReplicaSetController;
pub use stateful_set::StatefulSetController;
pub use taint_eviction::TaintEvictionController;
pub use template_hash::template_hash;
pub use ttl_after_finished::TtlAfterFinishedController;
