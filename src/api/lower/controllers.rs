//! StatefulSets and DaemonSets.

use std::sync::Arc;

use serde_json::Value;

use super::super::problem::{At, Found, Problem};
use super::super::read::count;
use super::{Lowering, errors, lower_selector, object_name, pod};
use crate::model::{
    DaemonSetSpec, ObjectName, Selector, StatefulSetSpec, Template, Workload, WorkloadKind,
};

/// What every owner of pods has: its name, which pods are its own, and their template.
type Parts = (ObjectName, Selector, Arc<Template>);

/// Name, selector and template of an object with `spec.template`.
fn parts(kind: WorkloadKind, object: &Value, cx: &mut Lowering<'_>) -> Result<Parts, Vec<Problem>> {
    let spec = &object["spec"];
    let name = object_name(object, cx.names);
    let mut found = Found::default();
    let at = At::ROOT.field("spec.template");
    let workload = Workload { kind, name };
    let template = pod::lower_template(workload, &spec["template"], &at, cx, &mut found);
    let selector = lower_selector(&spec["selector"], cx.names, &mut found);
    match (template, errors(&found).as_slice()) {
        (Some(template), []) => Ok((name, selector, template)),
        _ => Err(found.0),
    }
}

/// Lowers a StatefulSet.
///
/// # Errors
/// What keeps it from being lowered: a priority class that is not there, no containers.
pub fn lower_stateful_set(
    object: &Arc<Value>,
    cx: &mut Lowering<'_>,
) -> Result<StatefulSetSpec, Vec<Problem>> {
    let (name, selector, template) = parts(WorkloadKind::StatefulSet, object, cx)?;
    let spec = &object["spec"];
    Ok(StatefulSetSpec {
        name,
        source: Arc::clone(object),
        replicas: count(&spec["replicas"]).unwrap_or(1),
        selector,
        template,
    })
}

/// Lowers a DaemonSet.
///
/// # Errors
/// What keeps it from being lowered: a priority class that is not there, no containers.
pub fn lower_daemon_set(
    object: &Arc<Value>,
    cx: &mut Lowering<'_>,
) -> Result<DaemonSetSpec, Vec<Problem>> {
    let (name, selector, template) = parts(WorkloadKind::DaemonSet, object, cx)?;
    Ok(DaemonSetSpec { name, source: Arc::clone(object), selector, template })
}
