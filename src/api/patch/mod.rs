//! Patches: what a server makes of them, and how a client makes them from objects.
//!
//! ```text
//! old object + patch ─ apply_patch ─► new object          (then `api::update` checks it)
//! old, new ─ two_way, merge_diff ─► patch                 (kubectl set, taint, …; kubectl label)
//! last applied, wanted, stored ─ three_way ─► patch       (kubectl apply)
//! ```
//!
//! Source: kubernetes v1.36.3 staging/src/k8s.io/apimachinery/pkg/util/strategicpatch/patch.go and
//! evanphx/json-patch v4 (recorded).

mod diff;
mod json;
mod keys;
mod managed;
mod order;
mod strategic;

use serde_json::{Map, Value};

use super::kinds::Kind;

pub use managed::{Conflict, Manager, Managers, conflicts_text};

/// The three languages of patches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchType {
    /// Lists of the built-in types merge by their keys.
    Strategic,
    /// RFC 7386: lists are replaced.
    Merge,
    /// RFC 6902: a list of operations.
    Json,
}

impl PatchType {
    /// The content type of the request.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Strategic => "application/strategic-merge-patch+json",
            Self::Merge => "application/merge-patch+json",
            Self::Json => "application/json-patch+json",
        }
    }
}

/// Why a patch cannot be applied, in the words of the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatchError {
    /// It is no patch: status 400.
    BadRequest(String),
    /// It does not fit the object: status 422.
    Unprocessable(String),
    /// Anything else: status 500.
    Internal(String),
}

/// The object after a patch, not yet with defaults and not checked.
///
/// # Errors
/// The patch is none, or it does not fit the object.
pub fn apply_patch(
    kind: Kind,
    old: &Value,
    language: PatchType,
    patch: &Value,
) -> Result<Value, PatchError> {
    match (language, patch) {
        (PatchType::Json, patch) => json::apply(old, patch).map_err(PatchError::Unprocessable),
        (PatchType::Merge, Value::Object(_)) => Ok(merged(old, patch)),
        (PatchType::Strategic, Value::Object(_)) => strategic::apply(kind, old, patch),
        _ => Err(PatchError::BadRequest("invalid JSON document".to_owned())),
    }
}

/// The strategic patch that makes one object of another.
///
/// # Errors
/// A list of the objects has items that cannot be told apart, in kubectl's words.
pub fn two_way(kind: Kind, old: &Value, new: &Value) -> Result<Value, String> {
    diff::two_way(kind, old, new)
}

/// The strategic patch of `kubectl apply`: what the wanted object (`modified`) has otherwise than
/// the stored one (`current`), and what it has no more of what was applied last (`original`).
///
/// # Errors
/// As [`two_way`].
pub fn three_way(
    kind: Kind,
    original: &Value,
    modified: &Value,
    current: &Value,
) -> Result<Value, String> {
    diff::three_way(kind, original, modified, current)
}

/// The JSON merge patch that makes one object of another.
#[must_use]
pub fn merge_diff(old: &Value, new: &Value) -> Value {
    let (Value::Object(old), Value::Object(new)) = (old, new) else { return new.clone() };
    let mut patch = Map::new();
    for (key, value) in new {
        match old.get(key) {
            Some(before) if before == value => {}
            Some(before @ Value::Object(_)) if value.is_object() => {
                patch.insert(key.clone(), merge_diff(before, value));
            }
            _ => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    patch.into()
}

/// The JSON merge patch of `kubectl apply` for kinds without strategic merge.
///
/// Source: kubernetes v1.36.3 staging/src/k8s.io/apimachinery/pkg/util/jsonmergepatch/patch.go
/// `CreateThreeWayJSONMergePatch`.
#[must_use]
pub fn three_way_merge(original: &Value, modified: &Value, current: &Value) -> Value {
    let empty = Value::Object(Map::new());
    let original = if original.is_object() { original } else { &empty };
    let added = nulls(merge_diff(current, modified), false);
    let deleted = nulls(merge_diff(original, modified), true);
    both(deleted, added)
}

/// Only the nulls of a patch, or all but them; mappings that are empty then are left out.
fn nulls(patch: Value, wanted: bool) -> Value {
    let Value::Object(map) = patch else { return patch };
    let kept = map.into_iter().filter_map(|(key, value)| match value {
        Value::Object(_) => {
            let inner = nulls(value, wanted);
            inner.as_object().is_some_and(|map| !map.is_empty()).then_some((key, inner))
        }
        value => (value.is_null() == wanted).then_some((key, value)),
    });
    Value::Object(kept.collect())
}

/// Two patches as one; the second wins.
fn both(first: Value, second: Value) -> Value {
    match (first, second) {
        (Value::Object(mut first), Value::Object(second)) => {
            for (key, value) in second {
                let before = first.remove(&key);
                first.insert(
                    key,
                    match before {
                        Some(before) => both(before, value),
                        None => value,
                    },
                );
            }
            Value::Object(first)
        }
        (_, second) => second,
    }
}

/// A JSON merge patch applied.
fn merged(old: &Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut new = old.as_object().cloned().unwrap_or_default();
    for (key, value) in patch {
        if value.is_null() {
            new.remove(key);
        } else {
            let value = merged(new.get(key).unwrap_or(&Value::Null), value);
            new.insert(key.clone(), value);
        }
    }
    new.into()
}

/// A value as Go prints it with `%v`: the order of keys and messages depend on it.
fn go_text(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_text).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(map) => {
            let items: Vec<String> =
                map.iter().map(|(key, value)| format!("{key}:{}", go_text(value))).collect();
            format!("map[{}]", items.join(" "))
        }
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// What Go's decoder makes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GoType {
    Nil,
    Bool,
    Int,
    Float,
    Text,
    List,
    Map,
}

fn go_type(value: &Value) -> GoType {
    match value {
        Value::Null => GoType::Nil,
        Value::Bool(_) => GoType::Bool,
        Value::Number(number) if number.is_f64() => GoType::Float,
        Value::Number(_) => GoType::Int,
        Value::String(_) => GoType::Text,
        Value::Array(_) => GoType::List,
        Value::Object(_) => GoType::Map,
    }
}

/// The one type of all items of lists.
///
/// # Errors
/// They have several, or are lists, or there is none.
fn item_type(lists: &[&[Value]]) -> Result<GoType, String> {
    let mut all = lists.iter().copied().flatten().map(go_type);
    let first = all.next().ok_or("no elements in any of the given slices")?;
    if first == GoType::List {
        return Err(LISTS_OF_LISTS.to_owned());
    }
    if all.any(|other| other != first) {
        let texts: Vec<String> = lists.iter().map(|l| go_text(&Value::Array(l.to_vec()))).collect();
        return Err(format!("list element types are not identical: [{}]", texts.join(" ")));
    }
    Ok(first)
}

const LISTS_OF_LISTS: &str = "lists of lists are not supported";

/// What a patch says of a mapping: `replace`, `delete`, `merge`.
const PATCH: &str = "$patch";
/// Which keys of a mapping stay.
const RETAIN_KEYS: &str = "$retainKeys";
/// The order of a list's items.
const ORDER: &str = "$setElementOrder";
/// Items that leave a list of texts or numbers.
const DELETE_FROM: &str = "$deleteFromPrimitiveList";

/// The value of an item's merge key.
///
/// # Errors
/// It is no mapping, or has no such key.
fn key_of<'v>(item: &'v Value, key: &str) -> Result<&'v Value, String> {
    let map = item.as_object().ok_or_else(|| wrong_type("map[string]interface {}", item))?;
    map.get(key).ok_or_else(|| no_key(item, key))
}

fn no_key(item: &Value, key: &str) -> String {
    format!("map: {} does not contain declared merge key: {key}", go_text(item))
}

fn wrong_type(wanted: &str, found: &Value) -> String {
    let found = match go_type(found) {
        GoType::Nil => "<nil>",
        GoType::Bool => "bool",
        GoType::Int => "int64",
        GoType::Float => "float64",
        GoType::Text => "string",
        GoType::List => "[]interface {}",
        GoType::Map => "map[string]interface {}",
    };
    format!("expected a {wanted}, but received a {found}")
}

#[cfg(test)]
mod tests;
