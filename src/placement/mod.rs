//! Placement: which nodes take a pod, which is best, and why none does.
//!
//! Functions of nodes and pods, as in kube-scheduler's default profile (rules S15 to S100, S124 to
//! S127). It knows no events, no time and no queues: the scheduler asks it, and so can whoever
//! wants to know whether a pod would fit.
//!
//! Two evaluations give the same answer bit for bit: [`plain`], rule by rule, and [`Placer`], which
//! keeps columns of what it computed for a class of pods and reads only what changed (or walks once
//! over the numbers of the nodes, for a class that is seldom asked about). A property test holds
//! them together.
//!
//! Absent: dynamic resources, extenders.

mod bits;
mod catalog;
mod classes;
mod columns;
mod failure;
mod fellows;
mod images;
mod node_tree;
mod nodes;
mod nominator;
mod placer;
pub mod plain;
pub mod plugins;
mod pod_info;
pub mod preemption;
mod select;
mod social;
mod storage;
mod verdict;
mod walk;
pub mod what_if;
mod world;

pub use catalog::Catalog;
pub use classes::ClassId;
pub use failure::{Failure, FitError};
pub use images::ImageState;
pub use node_tree::{NodeTree, ZoneKey};
pub use nodes::{NodeState, Nodes, Usage};
pub use nominator::{Nominated, Nominator};
pub use placer::{Decision, Placer};
pub use pod_info::{Applicant, Owner, OwnerKind, PlacedPod, PodIdentity, PodInfo};
pub use preemption::Nomination;
pub use select::{feasible_max, heap_root, next_start, preorder};
pub use storage::StorageCatalog;
pub use verdict::{Code, Plugin, PluginSet, Reason, Rejection};
pub use world::{Policy, World};
