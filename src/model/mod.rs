//! The model: all that a run needs to know, checked, immutable, with defaults filled.
//!
//! Owned by nobody and shared by all runs of an experiment. It knows no file formats (`api` and
//! `scenario` make it) and nothing that changes during a run (`cluster` keeps that). Ids here are
//! the order of sorted names: the order of files decides nothing.

mod affinity;
mod behavior;
mod client;
mod cloud;
mod cluster_autoscaler;
mod controllers;
mod cpu_use;
mod custom;
mod drain;
mod horizontal;
mod ids;
mod ingress;
mod intervals;
mod jobs;
mod kubelet;
mod labels;
mod latency;
mod later;
mod metric;
mod network;
mod node;
mod node_monitor;
mod node_pool;
mod plain;
mod pod;
mod poisson;
mod priority;
mod resources;
mod scheduling;
mod serve;
mod settings;
mod storage;
mod timeline;
mod traffic;
mod vertical;
mod workload;

pub use affinity::*;
pub use behavior::*;
pub use client::*;
pub use cloud::*;
pub use cluster_autoscaler::*;
pub use controllers::*;
pub use cpu_use::{CpuOf, CpuUse};
pub use custom::*;
pub use drain::*;
pub use horizontal::*;
pub use ids::*;
pub use ingress::*;
pub use intervals::*;
pub use jobs::*;
pub use kubelet::*;
pub use labels::*;
pub use latency::*;
pub use later::Later;
pub use metric::*;
pub use network::*;
pub use node::*;
pub use node_monitor::*;
pub use node_pool::*;
pub use pod::*;
pub use poisson::*;
pub use priority::*;
pub use resources::*;
pub use scheduling::*;
pub use serve::*;
pub use settings::*;
pub use storage::*;
pub use timeline::*;
pub use traffic::*;
pub use vertical::*;
pub use workload::*;
