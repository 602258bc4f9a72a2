//! Agreement with what the real components decided, a file an area.

mod api_errors;
mod daemon_sets;
mod deployments;
mod disruption;
mod endpoint_slices;
mod endpoints;
mod hpa;
mod jobs;
mod kubectl;
mod kubelet;
mod label_selectors;
mod network;
mod node_autoscaling;
mod node_lifecycle;
mod node_selectors;
mod objects;
mod replica_sets;
mod requests;
mod scheduler_decisions;
mod scheduler_queue;
mod scheduler_sequences;
mod stateful_sets;
mod timelines;
mod tolerations;
mod validation;
mod vpa;
