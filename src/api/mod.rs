//! The room `api`: the Kubernetes kinds.
//!
//! ```text
//! object as written ─ prepare ─► object with defaults, problems ─ lower_… ─► model
//!                                        ▲
//!                     apply_patch, create, update (commands at run time)
//! ```
//!
//! It works on JSON trees, so that the same code serves files and objects that a command patches
//! during a run. Everything here is pure, and no input makes it panic. It knows one object at a
//! time: whether the things that it names are there is asked by `scenario`.

pub mod admission;
mod allocation;
mod canonical;
mod decode;
mod defaults;
mod internal;
mod kinds;
mod locate;
mod lower;
mod names;
mod node_selector;
mod patch;
mod problem;
mod read;
mod requests;
mod scheduler;
mod schema;
mod selector;
mod selector_parser;
mod strategy;
mod validate;

use serde_json::Value;

pub use allocation::allocate;
pub use defaults::default_object;
pub use kinds::{Kind, KindClass, classify, suggested_version};
pub use locate::{plain, report};
pub use lower::*;
pub use names::{label_value as label_value_faults, qualified_name as qualified_name_faults};
pub use node_selector::NodeRules;
pub use patch::{
    Conflict, Manager, Managers, PatchError, PatchType, apply_patch, conflicts_text, merge_diff,
    three_way, three_way_merge, two_way,
};
pub use problem::{Problem, Reason};
pub use requests::{Amounts, PodAmounts, pod_amounts, qos_class, resources, scored_amounts};
pub use scheduler::{SCHEDULER_GROUP, SCHEDULER_KIND, lower_scheduler};
pub use selector::TextSelector;
pub use strategy::{
    Decoded, Refused, before_create, before_update, create, decode, resize, update,
};
pub use validate::Allowed;

/// Checks the fields of an object, fills in its defaults and validates it.
///
/// When one of the problems is an error the object is refused and must not be lowered.
#[must_use]
pub fn prepare(kind: Kind, object: &mut Value) -> Vec<Problem> {
    let mut found = problem::Found::default();
    schema::check(kind, object, &mut found);
    default_object(kind, object);
    let mut refused = problem::Found::default();
    let mut new = object.clone();
    if kind == Kind::Service {
        strategy::first_address(&Value::Null, &mut new);
    }
    strategy::check_new(kind, new, Allowed::default(), &mut refused);
    let of_wrong_type = |problem: &Problem| {
        found.0.iter().any(|p| p.reason == Reason::Type && is_within(problem.location(), &p.path))
    };
    refused.0.retain(|problem| !of_wrong_type(problem));
    found.0.extend(refused.0);
    found.0
}

/// Whether a path is another one or leads into it.
fn is_within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        || outer.is_empty()
}
