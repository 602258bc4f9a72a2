//! VerticalPodAutoscalers among the manifests.

use crate::api;
use crate::base::Interner;
use crate::manifest::Document;
use crate::model::VpaSpec;
use crate::tree::Diagnostic;

use super::input::Input;
use super::objects::identity;

const MODES: [&str; 5] = ["Off", "Initial", "Recreate", "Auto", "InPlaceOrRecreate"];

/// Whether a document is one.
pub(super) fn is_one(document: &Document) -> bool {
    let group = document.api_version.value.split('/').next();
    group == Some("autoscaling.k8s.io") && document.kind.value == "VerticalPodAutoscaler"
}

/// Lowers one, among all documents.
pub(super) fn lower(
    document: &Document,
    all: &[Document],
    names: &mut Interner,
    input: &mut Input,
) -> Option<VpaSpec> {
    let root = document.root();
    let mode = root.at(&["spec", "updatePolicy", "updateMode"]);
    if let Some((value, mode)) = mode.and_then(|value| Some((value, value.as_str()?)))
        && !MODES.contains(&mode)
    {
        let message = format!("there is no updateMode \"{mode}\"");
        let error = Diagnostic::error(value.span(), message);
        input.found.push(error.with_suggestion(mode, MODES));
        return None;
    }
    let spec = api::lower_vpa(&root.to_json(), names);
    let bounds = |min: Option<i64>, max: Option<i64>| min.zip(max).is_some_and(|(a, b)| a > b);
    let is_odd = |policy: &&crate::model::VpaPolicy| {
        bounds(policy.min.cpu, policy.max.cpu) || bounds(policy.min.memory, policy.max.memory)
    };
    if spec.policies.iter().any(|policy| is_odd(&policy)) {
        let place = root.at(&["spec", "resourcePolicy", "containerPolicies"]);
        let place = place.map_or(document.span(), |value| value.span());
        input.found.push(Diagnostic::error(place, "minAllowed is above maxAllowed"));
        return None;
    }
    let at = |key: &str| root.at(&["spec", "targetRef", key]);
    let (kind, name) = (at("kind"), at("name"));
    let text = |value: Option<crate::tree::Value<'_>>| {
        value.and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
    };
    let (kind_text, name_text) = (text(kind), text(name));
    let (_, namespace, _) = identity(document);
    let of_kind = || {
        let inside = all.iter().map(identity);
        inside.filter(|(k, n, _)| *k == kind_text && *n == namespace).map(|(_, _, name)| name)
    };
    let place = name.or(kind).map_or(document.span(), |value| value.span());
    if spec.target.is_none() {
        let message = "this autoscaler is for nothing that is modelled";
        input.found.push(Diagnostic::warning(place, message).with_hint("it does nothing"));
    } else if !of_kind().any(|other| other == name_text) {
        let message = format!("there is no {kind_text} \"{name_text}\" for this autoscaler");
        let warning = Diagnostic::warning(place, message);
        input.found.push(warning.with_suggestion(&name_text, of_kind()));
    }
    Some(spec)
}
