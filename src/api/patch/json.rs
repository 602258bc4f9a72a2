//! JSON patches (RFC 6902), with the errors of the library that the API server uses.
//!
//! Source: evanphx/json-patch v4 patch.go (two of its messages recorded).

use serde_json::{Map, Value};

use super::super::read::text;

/// The object after the operations, one after another.
///
/// # Errors
/// The first one that cannot be carried out.
pub(super) fn apply(old: &Value, patch: &Value) -> Result<Value, String> {
    let operations = patch.as_array().ok_or_else(|| {
        let found = match patch {
            Value::Object(_) => "object",
            Value::String(_) => "string",
            Value::Bool(_) => "bool",
            _ => "number",
        };
        format!("json: cannot unmarshal {found} into Go value of type jsonpatch.Patch")
    })?;
    let mut document = old.clone();
    for operation in operations {
        carry_out(operation, &mut document)?;
    }
    Ok(document)
}

const MISSING: &str = "missing value";
const INVALID_INDEX: &str = "invalid index referenced";

fn carry_out(operation: &Value, document: &mut Value) -> Result<(), String> {
    let path = text(&operation["path"]);
    let from = text(&operation["from"]);
    let value = operation["value"].clone();
    match text(&operation["op"]) {
        "add" => {
            let missing = || {
                format!("add operation does not apply: doc is missing path: \"{path}\": {MISSING}")
            };
            let (holder, key) = find(document, path).ok_or_else(missing)?;
            add(holder, &key, value).map_err(|e| format!("error in add for path: '{path}': {e}"))
        }
        "remove" => {
            let missing = || {
                format!(
                    "remove operation does not apply: doc is missing path: \"{path}\": {MISSING}"
                )
            };
            let (holder, key) = find(document, path).ok_or_else(missing)?;
            let removed = remove(holder, &key);
            removed.map(drop).map_err(|e| format!("error in remove for path: '{path}': {e}"))
        }
        "replace" => {
            let missing = |what: &str| {
                format!(
                    "replace operation does not apply: doc is missing {what}: {path}: {MISSING}"
                )
            };
            let (holder, key) = find(document, path).ok_or_else(|| missing("path"))?;
            *get(holder, &key).map_err(|_| missing("key"))? = value;
            Ok(())
        }
        "move" => {
            let missing = |what: &str, path: &str| {
                format!("move operation does not apply: doc is missing {what}: {path}: {MISSING}")
            };
            let (holder, key) = find(document, from).ok_or_else(|| missing("from path", from))?;
            let moved = remove(holder, &key)
                .map_err(|e| format!("error in move for path: '{key}': {e}"))?;
            let (holder, key) =
                find(document, path).ok_or_else(|| missing("destination path", path))?;
            add(holder, &key, moved).map_err(|e| format!("error in move for path: '{path}': {e}"))
        }
        "copy" => {
            let missing = |what: &str, path: &str| {
                format!("copy operation does not apply: doc is missing {what}: {path}: {MISSING}")
            };
            let (holder, key) = find(document, from).ok_or_else(|| missing("from path", from))?;
            let copied = get(holder, &key)
                .map_err(|e| format!("error in copy for from: '{from}': {e}"))?
                .clone();
            let (holder, key) =
                find(document, path).ok_or_else(|| missing("destination path", path))?;
            add(holder, &key, copied)
                .map_err(|e| format!("error while adding value during copy: {e}"))
        }
        "test" => test(document, path, &value),
        other => Err(format!("Unexpected kind: {other}")),
    }
}

fn test(document: &mut Value, path: &str, value: &Value) -> Result<(), String> {
    let failed = || format!("testing value {path} failed: test failed");
    if path.is_empty() {
        return if document == value { Ok(()) } else { Err(failed()) };
    }
    let missing = || format!("test operation does not apply: is missing path: {path}: {MISSING}");
    let (holder, key) = find(document, path).ok_or_else(missing)?;
    match get(holder, &key) {
        Ok(found) if same(found, value) => Ok(()),
        Err(error) if error.ends_with(INVALID_INDEX) => {
            Err(format!("error in test for path: '{path}': {error}"))
        }
        Err(_) if value.is_null() => Ok(()),
        Ok(_) | Err(_) => Err(failed()),
    }
}

/// Numbers are the same whether they are whole or not.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.to_string() == right.to_string(),
        _ => left == right,
    }
}

/// The mapping or list that holds what a path leads to, and the last step of the path.
fn find<'v>(document: &'v mut Value, path: &str) -> Option<(&'v mut Value, String)> {
    let steps: Vec<String> =
        path.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    let (key, steps) = steps.get(1..)?.split_last()?;
    let mut holder = document;
    for step in steps {
        holder = get(holder, step).ok()?;
    }
    (holder.is_object() || holder.is_array()).then(|| (holder, key.clone()))
}

fn get<'v>(holder: &'v mut Value, key: &str) -> Result<&'v mut Value, String> {
    match holder {
        Value::Array(items) => {
            let at = index(key, items.len())?;
            Ok(&mut items[at])
        }
        Value::Object(map) => map
            .get_mut(key)
            .ok_or_else(|| format!("unable to get nonexistent key: {key}: {MISSING}")),
        _ => Err(MISSING.to_owned()),
    }
}

fn add(holder: &mut Value, key: &str, value: Value) -> Result<(), String> {
    match holder {
        Value::Array(items) if key == "-" => items.push(value),
        Value::Array(items) => {
            let at = index(key, items.len() + 1)?;
            items.insert(at, value);
        }
        Value::Object(map) => {
            map.insert(key.to_owned(), value);
        }
        _ => *holder = Map::from_iter([(key.to_owned(), value)]).into(),
    }
    Ok(())
}

fn remove(holder: &mut Value, key: &str) -> Result<Value, String> {
    match holder {
        Value::Array(items) => {
            let at = index(key, items.len())?;
            Ok(items.remove(at))
        }
        Value::Object(map) => map
            .remove(key)
            .ok_or_else(|| format!("Unable to remove nonexistent key: {key}: {MISSING}")),
        _ => Err(MISSING.to_owned()),
    }
}

/// A place in a list; places below zero count from its end.
fn index(key: &str, len: usize) -> Result<usize, String> {
    let at: i64 =
        key.parse().map_err(|_| format!("strconv.Atoi: parsing \"{key}\": invalid syntax"))?;
    let beyond = || format!("Unable to access invalid index: {at}: {INVALID_INDEX}");
    let place =
        if at < 0 { i64::try_from(len).ok().and_then(|len| at.checked_add(len)) } else { Some(at) };
    let place = place.and_then(|place| usize::try_from(place).ok());
    place.filter(|place| *place < len).ok_or_else(beyond)
}
