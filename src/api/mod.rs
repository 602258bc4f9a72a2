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
mod lower;
mod names;
mod node_selector;
mod priority;
mod problem;
mod read;
mod requests;
mod selector;
mod selector_parser;

use std::sync::Arc;

use serde_json::Value;

pub use defaults::default_object;
pub use kinds::Kind;
pub use lower::*;
pub use node_selector::NodeRules;
pub use priority::{PriorityClass, PriorityClasses};
pub use problem::{Problem, Reason};
pub use requests::{Amounts, PodAmounts, pod_amounts, qos_class, resources};
pub use selector::TextSelector;

/// An object that was looked at as a whole.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The object with defaults.
    pub object: Arc<Value>,
    /// All that is wrong or odd; when one is an error the object is refused.
    pub problems: Vec<Problem>,
}

impl Prepared {
    /// Whether the object is taken.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        !self.problems.iter().any(|problem| problem.is_error)
    }
}

/// Checks the fields of an object, fills in its defaults and validates it.
#[must_use]
pub fn prepare(kind: Kind, mut object: Value) -> Prepared {
    default_object(kind, &mut object);
    Prepared { object: Arc::new(object), problems: Vec::new() }
}
