//! Pods and pod templates.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::super::defaults::pod_view;
use super::super::node_selector::{NodeRules, lower_labels};
use super::super::problem::{At, Found, Problem, Reason};
use super::super::read::{is_set, items, port, quantity, seconds, text};
use super::super::requests::{pod_amounts, qos_class, resources, scored_amounts};
use super::affinity::{lower_pod_affinity, lower_spread};
use super::container::{lower_asked, lower_container, protocol, restart_policy};
use super::storage::lower_volumes;
use super::{Lowering, object_name};
use crate::base::{Duration, Interner, Symbol};
use crate::model::{
    ConfigRef, Container, HostPort, PodObject, PodSpec, PodTemplate, Resources, RestartPolicy,
    TaintEffect, Template, Toleration, TolerationOperator, Workload, WorkloadKind,
};

/// Lowers a pod that stands alone.
///
/// # Errors
/// What keeps it from being lowered: a priority class that is not there, no containers.
pub fn lower_pod(object: &Arc<Value>, cx: &mut Lowering<'_>) -> Result<PodObject, Vec<Problem>> {
    let mut found = Found::default();
    let name = object_name(object, cx.names);
    let workload = Workload { kind: WorkloadKind::Pod, name };
    let template = lower_template(workload, object, &At::ROOT, cx, &mut found);
    match template {
        Some(template) if !found.0.iter().any(|p| p.is_error) => Ok(PodObject { name, template }),
        _ => Err(found.0),
    }
}

/// Lowers the pod that a generator makes: its template belongs to the generator.
///
/// # Errors
/// What keeps it from being lowered: a priority class that is not there, no containers.
pub fn lower_generated(
    pod: &Value,
    workload: Workload,
    cx: &mut Lowering<'_>,
) -> Result<Arc<Template>, Vec<Problem>> {
    let mut found = Found::default();
    match lower_template(workload, pod, &At::ROOT, cx, &mut found) {
        Some(template) if !found.0.iter().any(|p| p.is_error) => Ok(template),
        _ => Err(found.0),
    }
}

/// Lowers the specification of a pod alone (`metadata` and `spec` of a pod or template).
///
/// # Errors
/// What keeps it from being lowered.
pub fn lower_pod_spec(pod: &Value, cx: &mut Lowering<'_>) -> Result<PodSpec, Vec<Problem>> {
    let mut found = Found::default();
    match lower_spec(&pod_view(pod), None, &At::ROOT, cx, &mut found) {
        Some(spec) if !found.0.iter().any(|p| p.is_error) => Ok(spec),
        _ => Err(found.0),
    }
}

pub(super) fn lower_template(
    workload: Workload,
    template: &Value,
    at: &At<'_>,
    cx: &mut Lowering<'_>,
    found: &mut Found,
) -> Option<Arc<Template>> {
    let injection = cx.behaviors.mesh.as_ref().and_then(|mesh| mesh.injection.as_deref());
    let namespace = cx.names.resolve(workload.name.namespace);
    let injected = injection.and_then(|injection| injection.into_pod(namespace, template));
    let view = pod_view(injected.as_ref().unwrap_or(template));
    let spec = lower_spec(&view, Some(workload.name.namespace), at, cx, found)?;
    let metadata = &template["metadata"];
    let pod = PodTemplate {
        labels: lower_labels(&metadata["labels"], cx.names),
        deletion_cost: deletion_cost(text(&metadata["annotations"][DELETION_COST])).unwrap_or(0),
        spec: Arc::new(spec),
        source: Arc::new(revision(template)),
    };
    Some(Arc::new(cx.behaviors.template(workload, pod, cx.names)))
}

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// A pod's deletion cost as the annotation has it; `None` for what the API server refuses.
///
/// Source: kubernetes v1.36.3 pkg/apis/core/helper/helpers.go `GetDeletionCostFromPodAnnotations`
/// (rule C74).
#[must_use]
pub fn deletion_cost(text: &str) -> Option<i32> {
    let starts = text == "0" || text.starts_with(|c: char| c == '-' || ('1'..='9').contains(&c));
    text.parse().ok().filter(|_| starts)
}

/// The template in a form in which equal templates are equal trees (rule C26): without the hash
/// label, amounts in one form, empty lists and mappings of texts left out.
fn revision(template: &Value) -> Value {
    let mut revision = Map::new();
    for key in ["metadata", "spec"] {
        let mut part = template[key].clone();
        if key == "metadata"
            && let Some(metadata) = part.as_object_mut()
        {
            metadata.retain(|key, _| matches!(key.as_str(), "labels" | "annotations"));
            if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
                labels.remove("pod-template-hash");
            }
        }
        if let Some(spec) = part.as_object_mut() {
            // The old name of the same field; objects that were stored have both.
            let old = spec.remove("serviceAccount");
            if let Some(old) = old.filter(|_| !spec.contains_key("serviceAccountName")) {
                spec.insert("serviceAccountName".to_owned(), old);
            }
        }
        normalize(&mut part);
        revision.insert(key.to_owned(), part);
    }
    revision.into()
}

fn normalize(value: &mut Value) {
    const MAPS: [&str; 6] =
        ["labels", "annotations", "nodeSelector", "limits", "requests", "matchLabels"];
    const FLAGS: [&str; 6] = ["hostNetwork", "hostPID", "hostIPC", "stdin", "stdinOnce", "tty"];
    if let Value::Array(list) = value {
        list.iter_mut().for_each(normalize);
    }
    let Value::Object(map) = value else { return };
    for (key, value) in map.iter_mut() {
        normalize(value);
        if matches!(key.as_str(), "limits" | "requests" | "overhead") {
            for amount in value.as_object_mut().into_iter().flat_map(Map::values_mut) {
                if let Some(quantity) = quantity(amount) {
                    *amount = quantity.canonical().into();
                }
            }
        }
    }
    map.retain(|key, value| match value {
        Value::Null => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty() || !MAPS.contains(&key.as_str()),
        Value::Bool(false) => !FLAGS.contains(&key.as_str()),
        _ => true,
    });
}

/// The specification of a pod that is made of a template, with what is filled in then; the
/// namespace, if the metadata do not say it.
fn lower_spec(
    pod: &Value,
    namespace: Option<Symbol>,
    at: &At<'_>,
    cx: &mut Lowering<'_>,
    found: &mut Found,
) -> Option<PodSpec> {
    let spec = &pod["spec"];
    let spec_at = at.field("spec");
    let (priority, preempts_never) = lower_priority(spec, &spec_at, cx, found);
    let names = &mut *cx.names;
    let namespace = namespace.unwrap_or_else(|| object_name(pod, names).namespace);
    let lower_all = |list: &Value, names: &mut Interner| -> Vec<Container> {
        items(list).iter().map(|container| lower_container(container, names)).collect()
    };
    let containers = lower_all(&spec["containers"], names);
    if containers.is_empty() {
        found.required(&spec_at.field("containers"), "");
        return None;
    }
    let rules = NodeRules::lower(&spec["nodeSelector"], &spec["affinity"]["nodeAffinity"], names);
    let amounts = pod_amounts(pod);
    Some(PodSpec {
        init_containers: lower_all(&spec["initContainers"], names),
        containers,
        restart_policy: restart_policy(&spec["restartPolicy"]).unwrap_or(RestartPolicy::Always),
        grace: seconds(&spec["terminationGracePeriodSeconds"]).unwrap_or(Duration::secs(30)),
        active_deadline: seconds(&spec["activeDeadlineSeconds"]),
        node_name: symbol(&spec["nodeName"], names),
        scheduler_name: names.intern(text(&spec["schedulerName"])),
        priority,
        preempts_never,
        scheduling_gates: symbols(&spec["schedulingGates"], "name", names),
        node_selector: rules.selector,
        node_affinity: rules.affinity,
        pod_affinity: lower_pod_affinity(&spec["affinity"], namespace, names),
        spread: lower_spread(&spec["topologySpreadConstraints"], names),
        tolerations: lower_tolerations(&spec["tolerations"], names),
        host_network: spec["hostNetwork"] == true,
        requests: resources(&amounts.requests, names),
        own_requests: lower_asked(&spec["resources"]["requests"]),
        own_limits: lower_asked(&spec["resources"]["limits"]),
        nonzero_requests: amounts.nonzero,
        scored_requests: scored_requests(pod, names),
        host_ports: host_ports(spec, names),
        qos: qos_class(spec),
        config_refs: config_refs(spec, names),
        readiness_gates: symbols(&spec["readinessGates"], "conditionType", names),
        volumes: lower_volumes(&spec["volumes"], names),
        empty_dirs: super::storage::lower_empty_dirs(&spec["volumes"], names),
        image_names: image_names(spec, names),
        lifetime: None,
    })
}

/// What the score of an incoming pod counts (rule S88).
fn scored_requests(pod: &Value, names: &mut Interner) -> Resources {
    resources(&scored_amounts(pod), names)
}

/// Name of an image as nodes report it: with a tag (rule S122).
///
/// Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/imagelocality/image_locality.go
/// `normalizedImageName`.
#[must_use]
pub fn tagged(image: &str) -> String {
    let (colon, slash) = (image.rfind(':'), image.rfind('/'));
    if colon.is_none() || colon < slash { format!("{image}:latest") } else { image.to_owned() }
}

fn image_names(spec: &Value, names: &mut Interner) -> Vec<Symbol> {
    let containers = items(&spec["initContainers"]).iter().chain(items(&spec["containers"]));
    containers.map(|c| names.intern(&tagged(text(&c["image"])))).collect()
}

fn symbol(value: &Value, names: &mut Interner) -> Option<Symbol> {
    Some(text(value)).filter(|text| !text.is_empty()).map(|text| names.intern(text))
}

fn symbols(list: &Value, key: &str, names: &mut Interner) -> Vec<Symbol> {
    items(list).iter().map(|item| names.intern(text(&item[key]))).collect()
}

/// Priority and whether it never preempts.
///
/// Source: kubernetes v1.36.3 plugin/pkg/admission/priority/admission.go `admitPod`. Differs: a
/// dumped pod whose class is not in the dump keeps the priority that stands in it.
fn lower_priority(spec: &Value, at: &At<'_>, cx: &Lowering<'_>, found: &mut Found) -> (i32, bool) {
    let given = spec["priority"].as_i64().and_then(|value| i32::try_from(value).ok());
    let never = spec["preemptionPolicy"] == "Never";
    let name = text(&spec["priorityClassName"]);
    let class = if name.is_empty() { Some(cx.classes.standard()) } else { cx.classes.get(name) };
    match (class, given) {
        (Some(class), Some(given)) if given != class.value => {
            let at = at.field("priority");
            let message = format!(
                "forbidden: the priority must not be written in a pod: its class gives {}, not {given}",
                class.value
            );
            let problem = found.add(&at, Reason::Forbidden, message);
            problem.hint =
                Some("write a PriorityClass and name it in priorityClassName".to_owned());
            (given, never)
        }
        (Some(class), _) => (class.value, never || class.preempts_never),
        (None, Some(given)) => (given, never),
        (None, None) => {
            let at = at.field("priorityClassName");
            let message = format!("no PriorityClass with name {name} was found");
            let close = crate::tree::closest(name, cx.classes.names());
            let hint = close.map(|close| format!("did you mean {close:?}?"));
            found.add(&at, Reason::NotFound, message).hint = hint;
            (0, never)
        }
    }
}

/// Lowers tolerations as they are written.
pub fn lower_tolerations(list: &Value, names: &mut Interner) -> Vec<Toleration> {
    let lower = |toleration: &Value| Toleration {
        key: symbol(&toleration["key"], names),
        operator: match text(&toleration["operator"]) {
            "Exists" => TolerationOperator::Exists,
            "Lt" => TolerationOperator::Lt,
            "Gt" => TolerationOperator::Gt,
            _ => TolerationOperator::Equal,
        },
        value: names.intern(text(&toleration["value"])),
        effect: effect(&toleration["effect"]),
        seconds: seconds(&toleration["tolerationSeconds"]),
    };
    items(list).iter().map(lower).collect()
}

pub(super) fn effect(value: &Value) -> Option<TaintEffect> {
    Some(match text(value) {
        "NoSchedule" => TaintEffect::NoSchedule,
        "PreferNoSchedule" => TaintEffect::PreferNoSchedule,
        "NoExecute" => TaintEffect::NoExecute,
        _ => return None,
    })
}

/// Host ports of containers and sidecars (rule S77), each once.
fn host_ports(spec: &Value, names: &mut Interner) -> Vec<HostPort> {
    let sidecars = items(&spec["initContainers"]).iter().filter(|c| c["restartPolicy"] == "Always");
    let mut ports = Vec::new();
    for container in items(&spec["containers"]).iter().chain(sidecars) {
        for declared in items(&container["ports"]) {
            let Some(number) = port(&declared["hostPort"]).filter(|n| *n != 0) else {
                continue;
            };
            let ip = match text(&declared["hostIP"]) {
                "0.0.0.0" => "",
                ip => ip,
            };
            let ip = names.intern(ip);
            let port = HostPort { ip, protocol: protocol(&declared["protocol"]), port: number };
            if !ports.contains(&port) {
                ports.push(port);
            }
        }
    }
    ports
}

/// What a pod takes of ConfigMaps and Secrets: volumes first, then the environments of its
/// containers, init containers before the others.
fn config_refs(spec: &Value, names: &mut Interner) -> Vec<ConfigRef> {
    let mut refs = Refs { all: Vec::new(), names };
    for volume in items(&spec["volumes"]) {
        let is_sub_path = is_sub_path(spec, &volume["name"]);
        let mut mount = |source: &Value, name: &str, is_secret| {
            refs.mounted(source, text(&source[name]), is_secret, is_sub_path);
        };
        mount(&volume["configMap"], "name", false);
        mount(&volume["secret"], "secretName", true);
        for source in items(&volume["projected"]["sources"]) {
            mount(&source["configMap"], "name", false);
            mount(&source["secret"], "name", true);
        }
    }
    let all = items(&spec["initContainers"]).iter().chain(items(&spec["containers"]));
    for (at, container) in (0_u8..).zip(all) {
        for source in items(&container["envFrom"]) {
            refs.environment(&source["configMapRef"], at, false);
            refs.environment(&source["secretRef"], at, true);
        }
        for variable in items(&container["env"]) {
            let from = &variable["valueFrom"];
            refs.environment(&from["configMapKeyRef"], at, false);
            refs.environment(&from["secretKeyRef"], at, true);
        }
    }
    refs.all
}

struct Refs<'a> {
    all: Vec<ConfigRef>,
    names: &'a mut Interner,
}

impl Refs<'_> {
    /// A source of a volume: the object, and the keys that its `items` name.
    #[expect(clippy::fn_params_excessive_bools, reason = "two facts of a mount, asked for once")]
    fn mounted(&mut self, source: &Value, name: &str, is_secret: bool, is_sub_path: bool) {
        if !is_set(source) {
            return;
        }
        let of = ConfigRef {
            is_secret,
            name: self.names.intern(name),
            key: None,
            container: None,
            is_optional: source["optional"] == true,
            is_sub_path,
        };
        self.push(of);
        for item in items(&source["items"]) {
            let key = Some(self.names.intern(text(&item["key"])));
            self.push(ConfigRef { key, ..of });
        }
    }

    /// A source of a container's environment.
    fn environment(&mut self, source: &Value, container: u8, is_secret: bool) {
        if !is_set(source) {
            return;
        }
        let key = Some(text(&source["key"])).filter(|key| !key.is_empty());
        let of = ConfigRef {
            is_secret,
            name: self.names.intern(text(&source["name"])),
            key: key.map(|key| self.names.intern(key)),
            container: Some(container),
            is_optional: source["optional"] == true,
            is_sub_path: false,
        };
        self.push(of);
    }

    fn push(&mut self, of: ConfigRef) {
        if !self.names.resolve(of.name).is_empty() && !self.all.contains(&of) {
            self.all.push(of);
        }
    }
}

/// Whether containers mount a volume, and all of them with a `subPath`.
fn is_sub_path(spec: &Value, volume: &Value) -> bool {
    let all = items(&spec["initContainers"]).iter().chain(items(&spec["containers"]));
    let mut mounts = all
        .flat_map(|container| items(&container["volumeMounts"]))
        .filter(|mount| mount["name"] == *volume)
        .map(|mount| is_set(&mount["subPath"]) || is_set(&mount["subPathExpr"]))
        .peekable();
    mounts.peek().is_some() && mounts.all(|is_sub| is_sub)
}
