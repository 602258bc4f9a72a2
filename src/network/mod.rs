//! The network of a cluster as pure code: what kube-proxy decides, and when its rules are written.
//!
//! ```text
//! Service, slices ─► table (what the proxy knows) ─► choice (usable endpoints) ─► rules (outcomes)
//!         └── changes ─► runner (when a run starts) ─► proxier (what a run takes over)
//! ```
//!
//! It owns no state of a run: each part is a value that somebody else keeps and drives. Objects
//! come in as plain data, so the same code answers for recorded objects and for the simulation.

pub mod choice;
pub mod conntrack;
pub mod health;
pub mod proxier;
pub mod rules;
pub mod runner;
pub mod service;
pub mod table;
