//! ResourceQuota: what an object takes, and whether that is left.
//!
//! Source: kubernetes v1.36.3 apiserver/pkg/admission/plugin/resourcequota/controller.go
//! `CheckRequest`, pkg/quota/v1/evaluator/core (rule C188). Differs: scopes CrossNamespacePodAffinity
//! and VolumeAttributesClass select nothing.

use serde_json::Value;

use super::super::kinds::Kind;
use super::super::read::{entries, is_set, items, text};
use super::super::requests::{Amounts, list, pod_amounts, qos_class};
use crate::base::{Format, Quantity};
use crate::model::QosClass;

/// What an object takes, by the names that quotas have for it, and what decides the scopes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// Amounts by quota name: `pods`, `requests.cpu`, `count/deployments.apps`.
    pub amounts: Amounts,
    /// Scopes that a pod is in, by name.
    scopes: Vec<&'static str>,
    /// The pod's priority class.
    class: String,
    /// By compute resource, the containers that do not say it.
    silent: Vec<(&'static str, Vec<String>)>,
}

/// A ResourceQuota.
#[derive(Clone, Debug)]
pub struct Quota {
    /// Its name.
    pub name: String,
    /// `spec.hard`.
    pub hard: Amounts,
    /// `spec.scopes` and `spec.scopeSelector`: scope, operator, values.
    scopes: Vec<(String, String, Vec<String>)>,
}

impl Quota {
    /// From its tree.
    #[must_use]
    pub fn new(object: &Value) -> Self {
        let spec = &object["spec"];
        let plain = items(&spec["scopes"]).iter();
        let mut scopes: Vec<_> =
            plain.map(|scope| (text(scope).to_owned(), "Exists".to_owned(), Vec::new())).collect();
        for term in items(&spec["scopeSelector"]["matchExpressions"]) {
            let values = items(&term["values"]).iter().map(|value| text(value).to_owned());
            let words = (text(&term["scopeName"]).to_owned(), text(&term["operator"]).to_owned());
            scopes.push((words.0, words.1, values.collect()));
        }
        Self {
            name: text(&object["metadata"]["name"]).to_owned(),
            hard: list(&spec["hard"]),
            scopes,
        }
    }

    /// Whether it counts such an object: it names something of it, and all scopes fit.
    #[must_use]
    pub fn counts(&self, usage: &Usage) -> bool {
        let fits = |(scope, operator, values): &(String, String, Vec<String>)| {
            if scope != "PriorityClass" {
                return usage.scopes.iter().any(|own| own == scope);
            }
            match operator.as_str() {
                "In" => values.contains(&usage.class),
                "NotIn" => !values.contains(&usage.class),
                "DoesNotExist" => usage.class.is_empty(),
                _ => !usage.class.is_empty(),
            }
        };
        self.hard.keys().any(|name| usage.amounts.contains_key(name) || is_compute(name, usage))
            && self.scopes.iter().all(fits)
    }

    /// Whether an object may be created beside what is used.
    ///
    /// # Errors
    /// The message of the refusal.
    pub fn check(&self, usage: &Usage, used: &Amounts) -> Result<(), String> {
        let name = &self.name;
        let named = |what: &str| {
            self.hard.contains_key(what)
                || (what.strip_prefix("requests.")).is_some_and(|what| self.hard.contains_key(what))
        };
        let silent = usage.silent.iter().filter(|(what, _)| named(what));
        let missing: Vec<String> = silent
            .map(|(what, who)| format!("{} for: {}", self.own_name(what), who.join(",")))
            .collect();
        if !missing.is_empty() {
            return Err(format!("failed quota: {name}: must specify {}", missing.join("; ")));
        }
        let zero = || Quantity::from_value(0, Format::DecimalSI);
        let (mut asked, mut have, mut limit) = (Vec::new(), Vec::new(), Vec::new());
        for (what, hard) in &self.hard {
            let Some(more) = usage.amounts.get(what).filter(|more| more.sign() > 0) else {
                continue;
            };
            let before = used.get(what).cloned().unwrap_or_else(zero);
            if &before + more > *hard {
                asked.push(format!("{what}={more}"));
                have.push(format!("{what}={before}"));
                limit.push(format!("{what}={hard}"));
            }
        }
        if asked.is_empty() {
            return Ok(());
        }
        let [asked, have, limit] = [asked, have, limit].map(|list| list.join(","));
        Err(format!("exceeded quota: {name}, requested: {asked}, used: {have}, limited: {limit}"))
    }

    /// A compute resource as this quota calls it.
    fn own_name<'a>(&self, what: &'a str) -> &'a str {
        match what.strip_prefix("requests.") {
            Some(short) if !self.hard.contains_key(what) => short,
            _ => what,
        }
    }
}

fn is_compute(name: &str, usage: &Usage) -> bool {
    usage
        .silent
        .iter()
        .any(|(what, _)| *what == name || what.strip_prefix("requests.") == Some(name))
}

/// What an object takes of quotas; nothing of a terminal pod.
#[must_use]
pub fn usage(kind: Kind, object: &Value) -> Usage {
    let mut usage = Usage::default();
    let mut one = |name: &str| {
        usage.amounts.insert(name.to_owned(), whole(1));
    };
    match kind {
        Kind::Pod => return pod_usage(object),
        Kind::Service => {
            one("services");
            one("count/services");
            service_usage(&object["spec"], &mut usage.amounts);
        }
        Kind::PersistentVolumeClaim => {
            one("persistentvolumeclaims");
            one("count/persistentvolumeclaims");
            claim_usage(&object["spec"], &mut usage.amounts);
        }
        Kind::ConfigMap => ["configmaps", "count/configmaps"].iter().for_each(|name| one(name)),
        Kind::Secret => ["secrets", "count/secrets"].iter().for_each(|name| one(name)),
        Kind::ServiceAccount => one("count/serviceaccounts"),
        Kind::Deployment => one("count/deployments.apps"),
        Kind::ReplicaSet => one("count/replicasets.apps"),
        Kind::StatefulSet => one("count/statefulsets.apps"),
        Kind::DaemonSet => one("count/daemonsets.apps"),
        Kind::Job => one("count/jobs.batch"),
        Kind::CronJob => one("count/cronjobs.batch"),
        Kind::HorizontalPodAutoscaler => one("count/horizontalpodautoscalers.autoscaling"),
        Kind::PodDisruptionBudget => one("count/poddisruptionbudgets.policy"),
        _ => {}
    }
    usage
}

fn whole(count: i64) -> Quantity {
    Quantity::from_value(count, Format::DecimalSI)
}

fn service_usage(spec: &Value, amounts: &mut Amounts) {
    let ports = i64::try_from(items(&spec["ports"]).len()).unwrap_or(i64::MAX);
    let kind = text(&spec["type"]);
    let has_ports = spec["allocateLoadBalancerNodePorts"] != false;
    let has_ports = kind == "NodePort" || (kind == "LoadBalancer" && has_ports);
    amounts.insert("services.nodeports".to_owned(), whole(if has_ports { ports } else { 0 }));
    let balancers = whole(i64::from(kind == "LoadBalancer"));
    amounts.insert("services.loadbalancers".to_owned(), balancers);
}

fn claim_usage(spec: &Value, amounts: &mut Amounts) {
    let storage = list(&spec["resources"]["requests"]).remove("storage");
    let class = text(&spec["storageClassName"]);
    if !class.is_empty() {
        let suffix = format!("{class}.storageclass.storage.k8s.io");
        amounts.insert(format!("{suffix}/persistentvolumeclaims"), whole(1));
        if let Some(storage) = &storage {
            amounts.insert(format!("{suffix}/requests.storage"), storage.clone());
        }
    }
    amounts.extend(storage.map(|storage| ("requests.storage".to_owned(), storage)));
}

fn pod_usage(pod: &Value) -> Usage {
    let mut usage = Usage::default();
    let amounts = &mut usage.amounts;
    amounts.insert("pods".to_owned(), whole(1));
    amounts.insert("count/pods".to_owned(), whole(1));
    let of_pod = pod_amounts(pod);
    for (name, amount) in of_pod.requests {
        if matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") {
            amounts.insert(name.clone(), amount.clone());
        }
        amounts.insert(format!("requests.{name}"), amount);
    }
    for (name, amount) in of_pod.limits {
        if matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") {
            amounts.insert(format!("limits.{name}"), amount);
        }
    }
    let spec = &pod["spec"];
    let best_effort = qos_class(spec) == QosClass::BestEffort;
    usage.scopes.push(if best_effort { "BestEffort" } else { "NotBestEffort" });
    let ends = is_set(&spec["activeDeadlineSeconds"]);
    usage.scopes.push(if ends { "Terminating" } else { "NotTerminating" });
    usage.class = text(&spec["priorityClassName"]).to_owned();
    usage.silent = silent(spec);
    usage
}

/// Which containers do not say which compute resource; a pod that says it for all of them does.
fn silent(spec: &Value) -> Vec<(&'static str, Vec<String>)> {
    let all = [
        ("limits.cpu", "limits", "cpu"),
        ("limits.memory", "limits", "memory"),
        ("requests.cpu", "requests", "cpu"),
        ("requests.memory", "requests", "memory"),
    ];
    let says = |of: &Value, kind: &str, what: &str| {
        entries(&of["resources"][kind]).any(|(name, _)| name == what)
    };
    let mut silent = Vec::new();
    for (name, kind, what) in all {
        let containers = items(&spec["initContainers"]).iter().chain(items(&spec["containers"]));
        let lacking = containers.filter(|container| !says(container, kind, what));
        let mut who: Vec<String> = lacking.map(|c| text(&c["name"]).to_owned()).collect();
        who.sort();
        if !who.is_empty() && !says(spec, kind, what) {
            silent.push((name, who));
        }
    }
    silent
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn quota() -> Quota {
        Quota::new(&json!({"metadata": {"name": "q"}, "spec": {"hard": {
            "pods": "1", "requests.cpu": "500m", "limits.memory": "1Gi",
        }}}))
    }

    fn pod(resources: &Value) -> Usage {
        usage(
            Kind::Pod,
            &json!({"spec": {"containers": [{"name": "app", "resources": resources}]}}),
        )
    }

    /// Rule C188: a quota that names CPU or memory wants it said for each container.
    #[test]
    fn what_is_counted_must_be_said() {
        let told = quota().check(&pod(&json!({})), &Amounts::new()).expect_err("nothing is said");
        let wanted = "failed quota: q: must specify limits.memory for: app; requests.cpu for: app";
        assert_eq!(told, wanted);
    }

    /// Rule C188: what is asked, used and limited is told of what does not fit alone.
    #[test]
    fn what_does_not_fit_is_told() {
        let resources = json!({"requests": {"cpu": "450m"}, "limits": {"memory": "100Mi"}});
        let used = Amounts::from([
            ("pods".to_owned(), whole(0)),
            ("requests.cpu".to_owned(), Quantity::parse("100m").expect("an amount")),
        ]);
        assert_eq!(quota().check(&pod(&resources), &Amounts::new()), Ok(()));
        let told = quota().check(&pod(&resources), &used).expect_err("too much CPU");
        let wanted = "exceeded quota: q, requested: requests.cpu=450m, used: requests.cpu=100m, \
                      limited: requests.cpu=500m";
        assert_eq!(told, wanted);
    }

    /// Rule C188: scopes narrow what a quota counts.
    #[test]
    fn scopes_select_pods() {
        let best = Quota::new(&json!({"metadata": {"name": "b"}, "spec": {
            "hard": {"pods": "1"}, "scopes": ["BestEffort"],
        }}));
        assert!(best.counts(&pod(&json!({}))));
        assert!(!best.counts(&pod(&json!({"requests": {"cpu": "1"}}))));
        let high = Quota::new(&json!({"metadata": {"name": "h"}, "spec": {"hard": {"pods": "1"},
        "scopeSelector": {"matchExpressions": [
            {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]},
        ]}}}));
        assert!(!high.counts(&pod(&json!({}))));
        let urgent = json!({"spec": {"priorityClassName": "high", "containers": []}});
        assert!(high.counts(&usage(Kind::Pod, &urgent)));
    }
}
