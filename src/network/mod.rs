//! The network of a cluster as pure code: what kube-proxy decides, and when its rules are written.
//!
//! ```text
//! Service, slices ─► table (what the proxy knows) ─► choice (usable endpoints) ─► rules (outcomes)
//!         └── changes ─► cycle (when a run starts) ─► proxier (what a run takes over)
//! ```
//!
//! Each part is a value that somebody else keeps and drives. Objects come in as plain data, so the
//! same code answers for recorded objects and for the simulation: `proxier` keeps one node's tables
//! apart, as a real proxy does; `view` keeps those of all nodes of a run as places in one log, with
//! the same cycle, choice and rules.

pub mod balancer;
pub mod choice;
pub mod conntrack;
pub mod cycle;
pub mod dns;
pub mod ewma;
pub mod health;
pub mod ingress;
pub mod mesh;
pub mod proxier;
pub mod rules;
pub mod runner;
pub mod service;
pub mod table;
pub mod targets;
pub mod view;
pub mod way;
