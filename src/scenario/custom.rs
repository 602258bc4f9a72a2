//! Custom objects as commands write them during a run: checked and lowered, with what is wrong in
//! words.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::base::{Duration, Interner};
use crate::kubectl;
use crate::manifest::{Document, Loader};
use crate::model::{
    ConsolidationPolicy, Custom, CustomObject, CustomSpec, DisruptionReason, ObjectName, Operator,
    PoolSpec, QuotaNodes, Resource, TaintEffect,
};
use crate::tree::{Severity, Spanned};

use super::behaviors::object_name;
use super::file_karpenter::NodePoolFile;
use super::input::Input;
use super::objects::identity;
use super::{karpenter, node_pools, verticals};

/// Which kind of custom object a document is.
pub(super) fn custom_of(api_version: &str, kind: &str) -> Option<Custom> {
    kubectl::resource_of(api_version, kind)?.custom
}

/// What an object becomes.
///
/// # Errors
/// What is wrong with it, one text each.
pub fn lower(
    custom: Custom,
    object: &Value,
    names: &mut Interner,
) -> Result<CustomSpec, Vec<String>> {
    let text = object.to_string().into_bytes();
    let mut input = Input::new(Loader::from_memory([("object.json", text)]));
    let documents = input.read_manifests(&[Spanned::nowhere("object.json".to_owned())]);
    let lowered = documents.first().and_then(|document| match custom {
        Custom::VerticalPodAutoscaler => {
            let spec = verticals::lower(document, &documents, names, &mut input)?;
            Some(CustomSpec::Vpa(Arc::new(spec)))
        }
        Custom::NodePool => {
            let file = node_pools::read(document, &mut input.found)?;
            let spec = karpenter::pool(&file, names, &mut input.found);
            Some(CustomSpec::NodePool(Arc::new(spec)))
        }
    });
    let errors = input.found.iter().filter(|found| found.severity == Severity::Error);
    let errors: Vec<String> = errors.map(|found| found.message.to_string()).collect();
    match lowered {
        Some(spec) if errors.is_empty() => Ok(spec),
        _ if errors.is_empty() => Err(vec!["it cannot be read".to_owned()]),
        _ => Err(errors),
    }
}

/// Those that are there from the start: of manifests, and the pools that the scenario declares.
pub(super) fn declared(
    documents: &[Document],
    (pools, written): (&[PoolSpec], &[Spanned<NodePoolFile>]),
    names: &mut Interner,
) -> Vec<CustomObject> {
    let mut all = Vec::new();
    for document in documents {
        let (kind, namespace, name) = identity(document);
        let Some(custom) = custom_of(&document.api_version.value, kind) else { continue };
        let mut tree = document.root().to_json();
        let is_namespaced = custom == Custom::VerticalPodAutoscaler;
        if is_namespaced {
            tree["metadata"]["namespace"] = namespace.into();
        }
        let namespace = if is_namespaced { namespace } else { "default" };
        let name = object_name(namespace, name, names);
        all.push(CustomObject { custom, name, tree: Arc::new(tree) });
    }
    let namespace = names.intern("default");
    for pool in pools {
        let name = ObjectName { namespace, name: pool.name };
        let is_pool = |own: &CustomObject| own.custom == Custom::NodePool && own.name == name;
        if !all.iter().any(is_pool) {
            let is_it =
                |own: &&Spanned<NodePoolFile>| own.value.name.value == names.resolve(pool.name);
            let tree = Arc::new(pool_tree(pool, written.iter().find(is_it), names));
            all.push(CustomObject { custom: Custom::NodePool, name, tree });
        }
    }
    all
}

/// A pool of the scenario as Kubernetes would keep it.
fn pool_tree(pool: &PoolSpec, written: Option<&Spanned<NodePoolFile>>, names: &Interner) -> Value {
    let text = |symbol| names.resolve(symbol);
    let asked = pool.requirements.iter().map(|(asked, min)| {
        let operator = match asked.operator {
            Operator::In => "In",
            Operator::NotIn => "NotIn",
            Operator::Exists => "Exists",
            Operator::DoesNotExist => "DoesNotExist",
            Operator::Gt => "Gt",
            Operator::Lt => "Lt",
        };
        let values: Vec<&str> = asked.values.iter().map(|value| text(*value)).collect();
        let mut one = json!({ "key": text(asked.key), "operator": operator });
        if !values.is_empty() {
            one["values"] = json!(values);
        }
        if let Some(min) = min {
            one["minValues"] = json!(min);
        }
        one
    });
    let mut node = json!({ "requirements": asked.collect::<Vec<_>>() });
    if !pool.taints.is_empty() {
        let taint = |taint: &crate::model::Taint| {
            let effect = match taint.effect {
                TaintEffect::NoSchedule => "NoSchedule",
                TaintEffect::PreferNoSchedule => "PreferNoSchedule",
                TaintEffect::NoExecute => "NoExecute",
            };
            json!({ "key": text(taint.key), "value": text(taint.value), "effect": effect })
        };
        node["taints"] = pool.taints.iter().map(taint).collect();
    }
    node["expireAfter"] = span(pool.expire_after).into();
    if let Some(grace) = pool.termination_grace {
        node["terminationGracePeriod"] = span(Some(grace)).into();
    }
    let labels = pool.labels.iter().map(|(key, value)| (text(key).to_owned(), text(value).into()));
    let labels: serde_json::Map<String, Value> = labels.collect();
    let mut spec = json!({
        "weight": pool.weight,
        "template": { "metadata": { "labels": labels }, "spec": node },
        "disruption": {
            "consolidationPolicy": match pool.policy {
                ConsolidationPolicy::WhenEmpty => "WhenEmpty",
                ConsolidationPolicy::WhenEmptyOrUnderutilized => "WhenEmptyOrUnderutilized",
                ConsolidationPolicy::Balanced => "Balanced",
            },
            "consolidateAfter": span(pool.consolidate_after),
            "budgets": budgets(pool, written),
        },
    });
    for (resource, amount) in &pool.limits {
        match resource {
            Resource::Cpu => spec["limits"]["cpu"] = format!("{amount}m").into(),
            Resource::Memory => spec["limits"]["memory"] = amount.to_string().into(),
            Resource::Scalar(name) => spec["limits"][text(*name)] = json!(amount),
            Resource::EphemeralStorage => {}
        }
    }
    json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodePool",
        "metadata": { "name": text(pool.name) }, "spec": spec,
    })
}

fn budgets(pool: &PoolSpec, written: Option<&Spanned<NodePoolFile>>) -> Vec<Value> {
    let written = written.and_then(|pool| pool.value.budgets.as_ref());
    let budget = |(place, quota): (usize, &crate::model::DisruptionQuota)| {
        let nodes = match quota.nodes {
            QuotaNodes::Count(count) => count.to_string(),
            QuotaNodes::Percent(percent) => format!("{percent}%"),
        };
        let reasons: Vec<&str> = quota
            .reasons
            .iter()
            .map(|reason| match reason {
                DisruptionReason::Empty => "Empty",
                DisruptionReason::Drifted => "Drifted",
                DisruptionReason::Underutilized => "Underutilized",
            })
            .collect();
        let mut one = json!({ "nodes": nodes });
        if !reasons.is_empty() {
            one["reasons"] = json!(reasons);
        }
        let schedule = written.and_then(|all| all.get(place)?.value.schedule.as_ref());
        if let Some(((_, length), schedule)) = quota.window.as_ref().zip(schedule) {
            one["schedule"] = schedule.value.as_str().into();
            one["duration"] = span(Some(*length)).into();
        }
        one
    };
    pool.budgets.iter().enumerate().map(budget).collect()
}

/// A span of time in seconds; `None`: never.
fn span(of: Option<Duration>) -> String {
    of.map_or_else(|| "Never".to_owned(), |span| format!("{}s", span.whole_secs()))
}
