//! StatefulSets, and what all owners of pods have.

use std::sync::Arc;

use serde_json::Value;

use super::super::problem::{At, Found, Problem};
use super::super::read::{count, items, seconds, text};
use super::storage::lower_claim_template;
use super::{Lowering, errors, lower_selector, object_name, pod};
use crate::base::{Duration, Symbol};
use crate::model::{
    ClaimRetention, ObjectName, PodVolume, RollingUpdate, Selector, StatefulSetSpec, Template,
    Workload, WorkloadKind,
};

/// What every owner of pods has: its name, which pods are its own, and their template.
pub(super) type Parts = (ObjectName, Selector, Arc<Template>);

/// Name, selector and template of an object with `spec.template`.
pub(super) fn parts(
    kind: WorkloadKind,
    object: &Value,
    cx: &mut Lowering<'_>,
) -> Result<Parts, Vec<Problem>> {
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
    let strategy = &spec["updateStrategy"];
    let rolling = &strategy["rollingUpdate"];
    let partition = count(&rolling["partition"]).unwrap_or(0);
    let retention = &spec["persistentVolumeClaimRetentionPolicy"];
    let (claims, template) = with_claims(template, &spec["volumeClaimTemplates"], cx);
    Ok(StatefulSetSpec {
        name,
        source: Arc::clone(object),
        replicas: count(&spec["replicas"]).unwrap_or(1),
        start: count(&spec["ordinals"]["start"]).unwrap_or(0),
        selector,
        template,
        is_parallel: spec["podManagementPolicy"] == "Parallel",
        on_delete: strategy["type"] == "OnDelete",
        rolling: rolling.is_object().then_some(RollingUpdate { partition }),
        min_ready: seconds(&spec["minReadySeconds"]).unwrap_or(Duration::ZERO),
        history_limit: count(&spec["revisionHistoryLimit"]).unwrap_or(10),
        claims,
        retention: ClaimRetention {
            deletes_with_set: retention["whenDeleted"] == "Delete",
            deletes_with_scale: retention["whenScaled"] == "Delete",
        },
    })
}

/// The names of the claim templates, and the template with a volume for each; a volume of the pod
/// with that name gives way (rule C82).
fn with_claims(
    template: Arc<Template>,
    list: &Value,
    cx: &mut Lowering<'_>,
) -> (Vec<Symbol>, Arc<Template>) {
    let all = items(list);
    if all.is_empty() {
        return (Vec::new(), template);
    }
    let mut spec = (*template.spec).clone();
    let mut names = Vec::new();
    for claim in all {
        let name = cx.names.intern(text(&claim["metadata"]["name"]));
        let claim = lower_claim_template(&claim["spec"], cx.names);
        names.push(name);
        spec.volumes.push(PodVolume::Templated { template: name, claim });
    }
    (names, Arc::new(Template { spec: Arc::new(spec), ..(*template).clone() }))
}
