//! What the API server does with an object that is created or changed: decode strictly, fill in
//! defaults, prepare (status, generation), check.

use std::fmt;

use serde_json::{Map, Value, json};

use super::default_object;
use super::kinds::Kind;
use super::problem::{Found, Problem};
use super::read::{deep_mut, default, is_set, items, map_mut, maps_mut, text};
use super::requests::qos_class;
use super::validate::{self, Allowed};
use crate::model::QosClass;

/// Why the API server takes no object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It cannot be decoded: nothing else is looked at. A status `BadRequest`.
    Decode(String),
    /// Fields that are unknown or there twice, such as `unknown field "spec.replica"`. A status
    /// `BadRequest`; kubectl joins them with `, ` after `strict decoding error: `.
    Strict(Vec<String>),
    /// Field by field; a status `Invalid`.
    Invalid(Vec<Problem>),
}

impl Refused {
    /// What is wrong, one text each: `FIELD: MESSAGE` of fields.
    #[must_use]
    pub fn causes(&self) -> Vec<String> {
        match self {
            Self::Decode(text) => vec![text.clone()],
            Self::Strict(texts) => texts.clone(),
            Self::Invalid(problems) => {
                let mut causes: Vec<String> = Vec::new();
                for cause in problems.iter().map(Problem::cause_text) {
                    if !causes.contains(&cause) {
                        causes.push(cause);
                    }
                }
                causes
            }
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.causes().join(", "))
    }
}

/// What decoding found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Why the object cannot be decoded, if so; in the words of the API server.
    pub error: Option<String>,
    /// Fields that are unknown.
    pub strict: Vec<String>,
}

/// Decodes an object strictly (`fieldValidation=Strict`).
#[must_use]
pub fn decode(kind: Kind, object: &Value) -> Decoded {
    super::decode::decode(kind, object)
}

/// Creates an object: gives it as the API server stores it (defaults filled in, `generation` 1
/// where the kind has one, the status of one that is new).
///
/// Admission (namespaces, quota, limits, priorities) is not asked; `metadata.name` is there, made
/// up by the caller where only `metadata.generateName` is written.
///
/// # Errors
/// Why it is refused.
pub fn create(kind: Kind, mut object: Value) -> Result<Value, Refused> {
    admit_decoded(kind, &object)?;
    default_object(kind, &mut object);
    if kind == Kind::Service {
        first_address(&Value::Null, &mut object);
    }
    before_create(kind, object, Allowed::default()).map_err(Refused::Invalid)
}

/// Changes an object: `old` is the stored one, `new` the whole object as it shall be. Gives the
/// object as it is stored then (`generation` one more where the specification changed, rule C4;
/// the status of the old one).
///
/// # Errors
/// Why it is refused.
pub fn update(kind: Kind, old: &Value, mut new: Value) -> Result<Value, Refused> {
    admit_decoded(kind, &new)?;
    default_object(kind, &mut new);
    if kind == Kind::Service {
        keep_addresses(old, &mut new);
        first_address(old, &mut new);
    }
    before_update(kind, old, new).map_err(Refused::Invalid)
}

/// Changes a pod through its subresource `resize`: amounts of its containers alone (rule N104).
///
/// # Errors
/// Why it is refused.
pub fn resize(old: &Value, mut new: Value) -> Result<Value, Refused> {
    admit_decoded(Kind::Pod, &new)?;
    default_object(Kind::Pod, &mut new);
    let mut new = validate::only_resized(old, &new);
    if old["spec"] != new["spec"] {
        let generation = old["metadata"]["generation"].as_i64().unwrap_or(0);
        set(&mut new, "metadata", "generation", (generation + 1).into());
    }
    let mut found = Found::default();
    validate::validate_resize(old, &new, &mut found);
    found.0.retain(|problem| problem.is_error);
    if found.0.is_empty() { Ok(new) } else { Err(Refused::Invalid(found.0)) }
}

fn admit_decoded(kind: Kind, object: &Value) -> Result<(), Refused> {
    let decoded = decode(kind, object);
    match decoded.error {
        Some(error) => Err(Refused::Decode(error)),
        None if decoded.strict.is_empty() => Ok(()),
        None => Err(Refused::Strict(decoded.strict)),
    }
}

/// A uid where none is given, for checks alone.
const NO_UID: &str = "00000000-0000-0000-0000-000000000000";

/// What is done to a decoded object with defaults before it is created: it is prepared and checked.
///
/// Source: kubernetes v1.36.3 staging/src/k8s.io/apiserver/pkg/registry/rest/create.go
/// `BeforeCreate` and the strategies of the kinds. Without a name and with `generateName` the name
/// ends in `abcde`.
///
/// # Errors
/// What is wrong, field by field.
pub fn before_create(kind: Kind, object: Value, allowed: Allowed) -> Result<Value, Vec<Problem>> {
    let mut found = Found::default();
    let object = check_new(kind, object, allowed, &mut found);
    found.0.retain(|problem| problem.is_error);
    if found.0.is_empty() { Ok(object) } else { Err(found.0) }
}

/// Prepares and checks a new object, decoded and with defaults; warnings are among the findings.
pub(super) fn check_new(
    kind: Kind,
    mut object: Value,
    allowed: Allowed,
    found: &mut Found,
) -> Value {
    prepare_metadata(kind, &mut object);
    converted(kind, &mut object);
    if kind == Kind::DaemonSet {
        annotate(&mut object, TEMPLATE_GENERATION, "1");
    }
    reset_status(kind, &mut object);
    prepare_spec(kind, &mut object);
    let mut checked = object.clone();
    if kind == Kind::Job {
        let uid = text(&object["metadata"]["uid"]).to_owned();
        if uid.is_empty() {
            set(&mut checked, "metadata", "uid", NO_UID.into());
        }
        generate_selector(&mut checked);
        if !uid.is_empty() {
            generate_selector(&mut object);
        }
    }
    validate::validate(kind, &checked, allowed, found);
    // The generic checks follow once the kind has nothing against the object.
    if !found.0.iter().any(|problem| problem.is_error) {
        validate::generic_metadata(kind, &checked["metadata"], found);
    }
    object
}

/// What is done to a changed object, decoded and with defaults, before it is stored.
///
/// Source: kubernetes v1.36.3 staging/src/k8s.io/apiserver/pkg/registry/rest/update.go
/// `BeforeUpdate` and the strategies of the kinds.
///
/// # Errors
/// What is wrong, field by field.
pub fn before_update(kind: Kind, old: &Value, mut new: Value) -> Result<Value, Vec<Problem>> {
    for field in [
        "uid",
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
    ] {
        let own = &new["metadata"][field];
        let given = is_set(own) && *own != "";
        let fixed = !matches!(field, "uid" | "creationTimestamp") || !given;
        if fixed {
            match old["metadata"].get(field) {
                Some(value) => set(&mut new, "metadata", field, value.clone()),
                None => unset(&mut new, "metadata", field),
            }
        }
    }
    converted(kind, &mut new);
    if kind == Kind::DaemonSet {
        template_generation(old, &mut new);
    }
    prepare_spec(kind, &mut new);
    if has_status(kind) {
        match old.get("status") {
            Some(status) => new["status"] = status.clone(),
            None => {
                new.as_object_mut().map(|new| new.remove("status"));
            }
        }
    }
    let changed = old["spec"] != new["spec"]
        || kind == Kind::Deployment
            && old["metadata"]["annotations"] != new["metadata"]["annotations"];
    if has_generation(kind) && changed {
        let generation = old["metadata"]["generation"].as_i64().unwrap_or(0);
        set(&mut new, "metadata", "generation", (generation + 1).into());
    }
    let mut found = Found::default();
    validate::validate_update(kind, old, &new, &mut found);
    found.0.retain(|problem| problem.is_error);
    if found.0.is_empty() {
        validate::validate_generic_update(kind, old, &new, &mut found);
    }
    if found.0.is_empty() { Ok(new) } else { Err(found.0) }
}

/// Kinds of which the API server counts the changes of the specification (rule C4).
const fn has_generation(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Pod
            | Kind::Deployment
            | Kind::ReplicaSet
            | Kind::StatefulSet
            | Kind::DaemonSet
            | Kind::Job
            | Kind::CronJob
            | Kind::ReplicationController
            | Kind::PodDisruptionBudget
            | Kind::Ingress
            | Kind::NetworkPolicy
    )
}

/// Kinds whose status only `/status` changes.
const fn has_status(kind: Kind) -> bool {
    has_generation(kind)
        || matches!(
            kind,
            Kind::Service
                | Kind::HorizontalPodAutoscaler
                | Kind::Node
                | Kind::PersistentVolumeClaim
                | Kind::PersistentVolume
                | Kind::Namespace
                | Kind::ResourceQuota
        )
}

fn prepare_metadata(kind: Kind, object: &mut Value) {
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"] {
        unset(object, "metadata", field);
    }
    if has_generation(kind) {
        set(object, "metadata", "generation", 1.into());
    }
    let metadata = &object["metadata"];
    let prefix = text(&metadata["generateName"]);
    if text(&metadata["name"]).is_empty() && !prefix.is_empty() {
        const PREFIX_MAX: usize = 58;
        let mut end = prefix.len().min(PREFIX_MAX);
        while !prefix.is_char_boundary(end) {
            end -= 1;
        }
        let name = format!("{}abcde", &prefix[..end]);
        set(object, "metadata", "name", name.into());
    }
}

const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

fn annotate(object: &mut Value, key: &str, value: &str) {
    let Some(metadata) = deep_mut(object, &["metadata"]) else { return };
    default(metadata, "annotations", Map::new());
    if let Some(annotations) = map_mut(metadata, "annotations") {
        annotations.insert(key.to_owned(), value.into());
    }
}

/// A DaemonSet counts its templates in an annotation.
///
/// Source: kubernetes v1.36.3 pkg/registry/apps/daemonset/strategy.go `PrepareForUpdate`.
fn template_generation(old: &Value, new: &mut Value) {
    let before = &old["metadata"]["annotations"][TEMPLATE_GENERATION];
    let Some(count) = before.as_str().and_then(|count| count.parse::<i64>().ok()) else { return };
    let changed = i64::from(old["spec"]["template"] != new["spec"]["template"]);
    annotate(new, TEMPLATE_GENERATION, &(count + changed).to_string());
}

/// What the way through the internal version and back makes of an object.
///
/// Source: kubernetes v1.36.3 pkg/apis/{core,apps}/v1/conversion.go.
fn converted(kind: Kind, object: &mut Value) {
    let path: &[&str] = match kind {
        Kind::Pod => &["spec"],
        Kind::CronJob => &["spec", "jobTemplate", "spec", "template", "spec"],
        _ => &["spec", "template", "spec"],
    };
    if let Some(spec) = deep_mut(object, path) {
        let own = |field: &str| text(spec.get(field).unwrap_or(&Value::Null)).to_owned();
        let name = [own("serviceAccountName"), own("serviceAccount")];
        if let Some(name) = name.into_iter().find(|name| !name.is_empty()) {
            for field in ["serviceAccountName", "serviceAccount"] {
                spec.insert(field.to_owned(), name.as_str().into());
            }
        }
    }
    if kind == Kind::StatefulSet
        && let Some(spec) = deep_mut(object, &["spec"])
    {
        for claim in maps_mut(spec, "volumeClaimTemplates") {
            default(claim, "apiVersion", "v1");
            default(claim, "kind", "PersistentVolumeClaim");
        }
    }
}

fn qos(spec: &Value) -> &'static str {
    match qos_class(spec) {
        QosClass::BestEffort => "BestEffort",
        QosClass::Burstable => "Burstable",
        QosClass::Guaranteed => "Guaranteed",
    }
}

/// The status of a new object, as Go prints it.
fn reset_status(kind: Kind, object: &mut Value) {
    let status = match kind {
        Kind::Node | Kind::NetworkPolicy => return,
        Kind::Pod => json!({ "phase": "Pending", "qosClass": qos(&object["spec"]) }),
        Kind::PersistentVolumeClaim | Kind::PersistentVolume => json!({ "phase": "Pending" }),
        Kind::Namespace => json!({ "phase": "Active" }),
        Kind::ReplicaSet | Kind::ReplicationController => json!({ "replicas": 0 }),
        Kind::StatefulSet => json!({ "replicas": 0, "availableReplicas": 0 }),
        Kind::DaemonSet => json!({
            "currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0,
            "numberReady": 0,
        }),
        Kind::PodDisruptionBudget => json!({
            "disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0,
        }),
        Kind::HorizontalPodAutoscaler => json!({ "desiredReplicas": 0, "currentMetrics": null }),
        Kind::Service | Kind::Ingress => json!({ "loadBalancer": {} }),
        kind if has_status(kind) => json!({}),
        _ => return,
    };
    if let Some(object) = object.as_object_mut() {
        object.insert("status".to_owned(), status);
    }
}

/// Fields that the API server drops or derives: what their feature gates keep out, a source of
/// data that is none.
fn prepare_spec(kind: Kind, object: &mut Value) {
    match kind {
        Kind::StatefulSet => {
            let strategy = deep_mut(object, &["spec", "updateStrategy", "rollingUpdate"]);
            // MaxUnavailableStatefulSet is off by default.
            strategy.map(|rolling| rolling.remove("maxUnavailable"));
        }
        Kind::PersistentVolumeClaim => data_source(object),
        _ => {}
    }
}

/// Source: pkg/api/persistentvolumeclaim/util.go `EnforceDataSourceBackwardsCompatibility`,
/// `NormalizeDataSources`.
fn data_source(claim: &mut Value) {
    let source = &claim["spec"]["dataSource"];
    let known = matches!(
        (text(&source["apiGroup"]), text(&source["kind"])),
        ("", "PersistentVolumeClaim") | ("snapshot.storage.k8s.io", "VolumeSnapshot")
    );
    if is_set(source) && (!known || text(&source["name"]).is_empty()) {
        unset(claim, "spec", "dataSource");
    } else if is_set(source) && !is_set(&claim["spec"]["dataSourceRef"]) {
        let source = source.clone();
        set(claim, "spec", "dataSourceRef", source);
    }
}

/// A Job that does not select its pods by hand selects them by its uid.
///
/// Source: kubernetes v1.36.3 pkg/registry/batch/job/strategy.go `generateSelector`.
fn generate_selector(job: &mut Value) {
    if job["spec"]["manualSelector"] == true {
        return;
    }
    let (uid, name) = (job["metadata"]["uid"].clone(), job["metadata"]["name"].clone());
    let Some(spec) = deep_mut(job, &["spec"]) else { return };
    default(spec, "template", Map::new());
    default(spec, "selector", Map::new());
    if let Some(template) = map_mut(spec, "template") {
        default(template, "metadata", Map::new());
        if let Some(metadata) = map_mut(template, "metadata") {
            default(metadata, "labels", Map::new());
            for (label, is_uid) in validate::JOB_LABELS {
                if let Some(labels) = map_mut(metadata, "labels") {
                    default(labels, label, if is_uid { uid.clone() } else { name.clone() });
                }
            }
        }
    }
    if let Some(selector) = map_mut(spec, "selector") {
        default(selector, "matchLabels", Map::new());
        if let Some(labels) = map_mut(selector, "matchLabels") {
            default(labels, "batch.kubernetes.io/controller-uid", uid);
        }
    }
}

/// Both fields of a Service's addresses say the same, where only the older one is written.
///
/// Source: kubernetes v1.36.3 pkg/registry/core/service/storage/storage.go `NormalizeClusterIPs`.
pub(super) fn first_address(old: &Value, new: &mut Value) {
    let spec = &new["spec"];
    let (first, all) = (spec["clusterIP"].clone(), items(&spec["clusterIPs"]).to_vec());
    let written = !text(&first).is_empty();
    if old.is_null() {
        if written && all.is_empty() {
            set(new, "spec", "clusterIPs", vec![first].into());
        }
        return;
    }
    let before = &old["spec"];
    let same = items(&before["clusterIPs"]) == all.as_slice();
    if before["clusterIP"] == first || !same {
        return;
    }
    if !written {
        unset(new, "spec", "clusterIPs");
    } else if all.is_empty() {
        set(new, "spec", "clusterIPs", vec![first].into());
    } else {
        let mut all = all;
        all[0] = first;
        set(new, "spec", "clusterIPs", all.into());
    }
}

/// Addresses and ports that were given to a Service stay where the change does not name any.
///
/// Source: `patchAllocatedValues`.
fn keep_addresses(old: &Value, new: &mut Value) {
    let has_address = |service: &Value| text(&service["spec"]["type"]) != "ExternalName";
    if !has_address(old) || !has_address(new) {
        return;
    }
    if text(&new["spec"]["clusterIP"]).is_empty() && items(&new["spec"]["clusterIPs"]).is_empty() {
        for field in ["clusterIP", "clusterIPs"] {
            if let Some(value) = old["spec"].get(field) {
                set(new, "spec", field, value.clone());
            }
        }
    }
}

fn set(object: &mut Value, part: &str, field: &str, value: Value) {
    if let Some(part) = deep_mut(object, &[part]) {
        part.insert(field.to_owned(), value);
    }
}

fn unset(object: &mut Value, part: &str, field: &str) {
    if let Some(part) = deep_mut(object, &[part]) {
        part.remove(field);
    }
}
