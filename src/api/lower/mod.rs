//! From an object's tree to the plain data of the model.
//!
//! The tree has been through [`super::prepare`]: defaults are filled and what would be refused has
//! been said. What is odd all the same becomes the nearest thing that the model can hold; nothing
//! here panics.

mod affinity;
mod catalog;
mod container;
mod controllers;
mod daemon_set;
mod hpa;
mod ingress;
mod job;
mod node;
mod object;
mod pod;
mod service;
mod storage;
mod vpa;
mod workload;

use serde_json::Value;

pub use affinity::lower_spread;
pub use catalog::{lower_budget, lower_namespace, lower_owner_selector};
pub use container::command_sleep;
pub use controllers::lower_stateful_set;
pub use daemon_set::lower_daemon_set;
pub use hpa::lower_hpa;
pub use ingress::lower_ingress;
pub use job::{lower_cron_job, lower_job};
pub use node::{keep_annotations, lower_keeps, lower_node, lower_taints};
pub use object::{Object, lower_object};
pub use pod::{
    deletion_cost, lower_generated, lower_pod, lower_pod_spec, lower_tolerations, tagged,
};
pub use service::lower_service;
pub use storage::{
    lower_attachment, lower_capacity, lower_claim, lower_class, lower_csi_driver, lower_csi_node,
    lower_volume,
};

pub use vpa::{lower_amounts, lower_vpa};
pub use workload::{
    OWN_ANNOTATIONS, ROLLBACK_TO, lower_deployment, lower_replica_set, lower_replication_controller,
};

use super::problem::{At, Found, Problem};
use super::read::text;
use super::selector::TextSelector;
use crate::base::Interner;
use crate::model::{Behaviors, ObjectName, PriorityClasses, Selector};

/// What lowering needs besides the object.
pub struct Lowering<'a> {
    /// What containers do.
    pub behaviors: &'a Behaviors,
    /// The priority classes of the cluster.
    pub classes: &'a PriorityClasses,
    /// Where names get their symbols.
    pub names: &'a mut Interner,
}

/// Namespace and name of an object; `default` where no namespace is given.
pub fn object_name(object: &Value, names: &mut Interner) -> ObjectName {
    let metadata = &object["metadata"];
    let namespace = match text(&metadata["namespace"]) {
        "" => "default",
        given => given,
    };
    let name = text(&metadata["name"]);
    ObjectName { namespace: names.intern(namespace), name: names.intern(name) }
}

fn errors(found: &Found) -> Vec<&Problem> {
    found.0.iter().filter(|problem| problem.is_error).collect()
}

/// A selector whose faults were said before: what cannot be read selects nothing, as null does.
fn optional_selector(object: &Value, names: &mut Interner) -> Option<Selector> {
    Some(TextSelector::of_object(object).ok()??.lower(names))
}

fn lower_selector(object: &Value, names: &mut Interner, found: &mut Found) -> Selector {
    match TextSelector::of_object(object) {
        Ok(selector) => selector.unwrap_or_default().lower(names),
        Err(why) => {
            found.invalid(&At::ROOT.field("spec.selector"), object, &why);
            Selector::default()
        }
    }
}
