//! DaemonSets.

use std::sync::Arc;

use serde_json::Value;

use super::super::problem::Problem;
use super::super::read::{count, int_or_string, seconds};
use super::controllers::parts;
use super::{Lowering, lower_tolerations};
use crate::base::{Duration, IntOrString, Interner};
use crate::model::{
    DaemonSetSpec, DaemonSetStrategy, NodeAffinity, PodSpec, TaintEffect, Template, Toleration,
    TolerationOperator, WorkloadKind,
};

/// Lowers a DaemonSet.
///
/// # Errors
/// What keeps it from being lowered: a priority class that is not there, no containers.
pub fn lower_daemon_set(
    object: &Arc<Value>,
    cx: &mut Lowering<'_>,
) -> Result<DaemonSetSpec, Vec<Problem>> {
    let (name, selector, template) = parts(WorkloadKind::DaemonSet, object, cx)?;
    let spec = &object["spec"];
    let given = lower_tolerations(&spec["template"]["spec"]["tolerations"], cx.names);
    let affinity = template.spec.node_affinity.clone();
    let pods = PodSpec {
        tolerations: with_daemon_tolerations(given, template.spec.host_network, cx.names),
        node_affinity: NodeAffinity { required: None, ..affinity.clone() },
        ..(*template.spec).clone()
    };
    Ok(DaemonSetSpec {
        name,
        source: Arc::clone(object),
        selector,
        template: Arc::new(Template { spec: Arc::new(pods), ..(*template).clone() }),
        affinity,
        min_ready: seconds(&spec["minReadySeconds"]).unwrap_or(Duration::ZERO),
        history_limit: count(&spec["revisionHistoryLimit"]).unwrap_or(10),
        strategy: lower_strategy(&spec["updateStrategy"]),
    })
}

/// Rule C97.
fn lower_strategy(strategy: &Value) -> DaemonSetStrategy {
    if strategy["type"] == "OnDelete" {
        return DaemonSetStrategy::OnDelete;
    }
    let rolling = &strategy["rollingUpdate"];
    let limit = |key: &str, or: i64| int_or_string(&rolling[key]).unwrap_or(IntOrString::Int(or));
    DaemonSetStrategy::RollingUpdate {
        max_unavailable: limit("maxUnavailable", 1),
        max_surge: limit("maxSurge", 0),
    }
}

/// What the controller adds to the tolerations of each pod. Both of NoExecute are there then, so
/// that the API server adds none of its own.
///
/// Source: kubernetes v1.36.3 pkg/controller/daemon/util/daemonset_util.go
/// `AddOrUpdateDaemonPodTolerations` (rule C100).
fn with_daemon_tolerations(
    mut list: Vec<Toleration>,
    host_network: bool,
    names: &mut Interner,
) -> Vec<Toleration> {
    use TaintEffect::{NoExecute, NoSchedule};
    let wanted = [
        ("not-ready", NoExecute),
        ("unreachable", NoExecute),
        ("disk-pressure", NoSchedule),
        ("memory-pressure", NoSchedule),
        ("pid-pressure", NoSchedule),
        ("unschedulable", NoSchedule),
        ("network-unavailable", NoSchedule),
    ];
    for (key, effect) in &wanted[..if host_network { 7 } else { 6 }] {
        let added = Toleration {
            key: Some(names.intern(&format!("node.kubernetes.io/{key}"))),
            operator: TolerationOperator::Exists,
            value: names.intern(""),
            effect: Some(*effect),
            seconds: None,
        };
        let is_same = |known: &Toleration| Toleration { seconds: None, ..known.clone() } == added;
        match list.iter_mut().find(|known| is_same(known)) {
            Some(known) => *known = added,
            None => list.push(added),
        }
    }
    list
}
