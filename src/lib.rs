//! Seatrial: a discrete-event simulator of a Kubernetes cluster.
//!
//! It reads the manifests that people already have, decides as the real control plane decides, in
//! virtual time, and measures scheduling, scaling and zero-downtime rollouts down to the single
//! failed request. `ARCHITECTURE.md` draws the way of the data and the rooms of the house.

pub mod api;
pub mod autoscalers;
pub mod base;
#[cfg(feature = "cli")]
pub mod cli;
pub mod cloud;
pub mod cluster;
pub mod controllers;
pub mod drain;
pub mod engine;
pub mod event;
pub mod experiment;
pub mod explain;
pub mod faults;
pub mod generators;
pub mod kubectl;
pub mod kubelet;
pub mod manifest;
pub mod model;
pub mod network;
pub mod placement;
pub mod record;
pub mod recorder;
pub mod report;
pub mod scenario;
pub mod scheduler;
pub mod sim;
pub mod traffic;
pub mod tree;
