//! What the API server makes of a client's request: pure, one object at a time.

use serde_json::{Value, json};

use crate::api::{self, Kind, PatchError, PatchType, Refused};

use super::client::{At, Status, Sub};
use super::resources::Resource;

type Done = Result<Value, Status>;

/// A new object as it is stored.
///
/// # Errors
/// It is refused.
pub fn create(at: At<'_>, mut object: Value) -> Done {
    if at.resource.is_namespaced && object["metadata"].is_object() {
        object["metadata"]["namespace"] = at.namespace.into();
    }
    if at.resource.custom.is_some() {
        object["metadata"]["generation"] = 1.into();
        return Ok(object);
    }
    let kind = at.resource.kind.ok_or_else(Status::no_such_path)?;
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    api::create(kind, object).map_err(|refused| refusal(at.resource, &name, refused))
}

/// A patched object as it is stored. Subresources `resize` and `status` are those of pods; what a
/// status may say is not checked.
///
/// # Errors
/// The patch does not fit, or the object is refused.
pub fn patch(at: At<'_>, old: &Value, language: PatchType, patch: &Value) -> Done {
    if at.is_scale() {
        let scale = scale_of(at.resource, old).ok_or_else(Status::no_such_path)?;
        let mut new = scale.clone();
        if let Some(replicas) = patch["spec"]["replicas"].as_i64() {
            new["spec"]["replicas"] = replicas.into();
        }
        return replace_scale(at, old, &new);
    }
    let kind = match (at.resource.kind, at.resource.custom) {
        (Some(kind), _) => kind,
        (None, Some(_)) if language == PatchType::Strategic => return Err(no_strategic()),
        // The other languages know no kinds.
        (None, Some(_)) => Kind::Pod,
        (None, None) => return Err(Status::no_such_path()),
    };
    if matches!(at.sub, Sub::Resize | Sub::Status) && at.resource.kind != Some(Kind::Pod) {
        return Err(Status::no_such_path());
    }
    let new = api::apply_patch(kind, old, language, patch).map_err(unfit)?;
    match at.sub {
        Sub::Resize => {
            api::resize(old, new).map_err(|refused| refusal(at.resource, at.name, refused))
        }
        Sub::Status => {
            let mut kept = old.clone();
            kept["status"] = new["status"].clone();
            Ok(kept)
        }
        Sub::Object | Sub::Scale => update(at, old, new),
    }
}

/// A changed object as it is stored.
///
/// # Errors
/// It is refused.
pub fn update(at: At<'_>, old: &Value, mut new: Value) -> Done {
    if at.resource.custom.is_some() {
        let generation = old["metadata"]["generation"].as_i64().unwrap_or(1);
        let is_same = old["spec"] == new["spec"];
        new["metadata"]["generation"] = (generation + i64::from(!is_same)).into();
        return Ok(new);
    }
    let kind = at.resource.kind.ok_or_else(Status::no_such_path)?;
    api::update(kind, old, new).map_err(|refused| refusal(at.resource, at.name, refused))
}

/// The subresource `scale` of an object, if its kind has one.
#[must_use]
pub fn scale_of(resource: &Resource, object: &Value) -> Option<Value> {
    if !resource.has_scale {
        return None;
    }
    let mut metadata = json!({});
    for key in ["name", "namespace", "resourceVersion", "uid", "creationTimestamp"] {
        if let Some(value) = object["metadata"].get(key).filter(|_| key != "creationTimestamp") {
            metadata[key] = value.clone();
        }
    }
    let replicas = object["spec"]["replicas"].as_i64().unwrap_or(1);
    let now = object["status"]["replicas"].as_i64().unwrap_or(replicas);
    Some(json!({
        "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": metadata,
        "spec": { "replicas": replicas }, "status": { "replicas": now },
    }))
}

/// The object with the number of replicas of a scale, as it is stored.
///
/// # Errors
/// The kind has no scale, or the number is refused.
pub fn replace_scale(at: At<'_>, old: &Value, scale: &Value) -> Done {
    if !at.resource.has_scale {
        return Err(Status::no_such_path());
    }
    let mut new = old.clone();
    if new["spec"].is_object() {
        new["spec"]["replicas"] = scale["spec"]["replicas"].clone();
    }
    update(At { sub: Sub::Object, ..at }, old, new)
}

/// Custom kinds have no strategic merge.
///
/// Source: kubernetes v1.36.3 staging/src/k8s.io/apiserver/pkg/endpoints/handlers/negotiation
/// `NewUnsupportedMediaTypeError`.
fn no_strategic() -> Status {
    let accepted =
        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
    let message = format!(
        "the body of the request was in an unknown format - accepted media types include: \
         {accepted}"
    );
    Status { code: 415, reason: "UnsupportedMediaType", message, of: None, causes: Vec::new() }
}

fn unfit(error: PatchError) -> Status {
    let (code, reason, message) = match error {
        PatchError::BadRequest(text) => (400, "BadRequest", text),
        PatchError::Unprocessable(text) => (422, "Invalid", text),
        PatchError::Internal(text) => {
            (500, "InternalError", format!("Internal error occurred: {text}"))
        }
    };
    Status { code, reason, message, of: None, causes: Vec::new() }
}

/// The status of a refusal.
#[must_use]
pub fn refusal(resource: &Resource, name: &str, refused: Refused) -> Status {
    let bad =
        |message| Status { code: 400, reason: "BadRequest", message, of: None, causes: Vec::new() };
    match refused {
        Refused::Decode(text) => bad(text),
        Refused::Strict(texts) => bad(format!("strict decoding error: {}", texts.join(", "))),
        Refused::Invalid(_) => {
            let causes = refused.causes();
            let list = match causes.as_slice() {
                [cause] => cause.clone(),
                causes => format!("[{}]", causes.join(", ")),
            };
            Status {
                code: 422,
                reason: "Invalid",
                message: format!("{} {name:?} is invalid: {list}", resource.name),
                of: Some((resource.name.to_owned(), name.to_owned())),
                causes,
            }
        }
    }
}
