//! A strategic merge patch applied to an object, or to another patch.

use serde_json::{Map, Value};

use super::super::kinds::Kind;
use super::keys::{self, Field, Merge};
use super::order::{deduplicated, key_for, ordered, split};
use super::{
    DELETE_FROM, GoType, ORDER, PATCH, PatchError, RETAIN_KEYS, go_text, go_type, item_type,
    key_of, no_key, wrong_type,
};

/// What the patch is applied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Into {
    /// An object: directives are carried out, nulls of nothing vanish.
    Object,
    /// Another patch: directives and nulls are handed on.
    Patch,
}

const BAD_RETAIN_KEYS: &str = "invalid patch format of retainKeys";
const BAD_ORDER: &str = "invalid patch format of setElementOrder list";
const BAD_DELETE_FROM: &str = "invalid patch format of primitive list";

/// The object after a patch.
pub(super) fn apply(kind: Kind, old: &Value, patch: &Value) -> Result<Value, PatchError> {
    let (old, patch) = (map_of(old), map_of(patch));
    let merged = merge_maps(old, patch, keys::root(kind), Into::Object);
    merged.map(Value::Object).map_err(|text| match text.as_str() {
        BAD_RETAIN_KEYS | BAD_ORDER | BAD_DELETE_FROM => PatchError::BadRequest(text),
        super::LISTS_OF_LISTS => PatchError::Unprocessable(text),
        _ => PatchError::Internal(text),
    })
}

fn map_of(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

type Merged<T> = Result<T, String>;

/// A patch merged into a mapping of a type.
pub(super) fn merge_maps(
    mut original: Map<String, Value>,
    mut patch: Map<String, Value>,
    of: &str,
    into: Into,
) -> Merged<Map<String, Value>> {
    if let Some(directive) = patch.get(PATCH) {
        return match directive.as_str() {
            Some("replace") => {
                patch.remove(PATCH);
                Ok(patch)
            }
            Some("delete") => Ok(Map::new()),
            _ => {
                let (directive, patch) = (go_text(directive), go_text(&patch.clone().into()));
                Err(format!("unknown patch type: {directive} in map: {patch}"))
            }
        };
    }
    retain_keys(&mut original, &mut patch, into)?;
    merge_ordered_lists(&mut original, &mut patch, of, into)?;
    for (key, value) in patch {
        merge_field(&mut original, &key, value, of, into)?;
    }
    Ok(original)
}

fn merge_field(
    original: &mut Map<String, Value>,
    key: &str,
    value: Value,
    of: &str,
    into: Into,
) -> Merged<()> {
    let (key, deletes) = match key.strip_prefix(DELETE_FROM) {
        Some(_) if into == Into::Patch => {
            original.insert(key.to_owned(), value);
            return Ok(());
        }
        Some(rest) => (rest.strip_prefix('/').ok_or(BAD_DELETE_FROM)?, true),
        None => (key, false),
    };
    if value.is_null() {
        original.remove(key);
        if into == Into::Object {
            return Ok(());
        }
    }
    let Some(before) = original.remove(key) else {
        if !deletes && let Some(value) = taken(value, into) {
            original.insert(key.to_owned(), value);
        }
        return Ok(());
    };
    let field = keys::field(of, key);
    let merged = match (before, value) {
        (Value::Object(before), Value::Object(patch)) => {
            Some(merge_maps(before, patch, field.below, into)?.into())
        }
        (Value::Array(before), Value::Array(patch)) => {
            Some(merge_lists(before, patch, field, into, deletes)?.into())
        }
        (before, _) if deletes => Some(before),
        (_, value) => taken(value, into),
    };
    original.extend(merged.map(|merged| (key.to_owned(), merged)));
    Ok(())
}

/// A value of a patch where there was none: without nulls and directives in an object.
fn taken(value: Value, into: Into) -> Option<Value> {
    if value.get(PATCH).is_some() {
        return None;
    }
    match value {
        Value::Object(map) => {
            let keep = |(key, value): (String, Value)| {
                let is_left_out = into == Into::Object && (value.is_null() || key.starts_with('$'));
                if is_left_out { None } else { taken(value, into).map(|value| (key, value)) }
            };
            Some(Value::Object(map.into_iter().filter_map(keep).collect()))
        }
        Value::Array(items) => {
            Some(items.into_iter().filter_map(|item| taken(item, into)).collect())
        }
        scalar => Some(scalar),
    }
}

/// Carries out `$retainKeys`, or hands it on.
fn retain_keys(
    original: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
    into: Into,
) -> Merged<()> {
    let Some(keys) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    if into == Into::Patch {
        match original.get(RETAIN_KEYS) {
            Some(own) if *own != keys => {
                let (own, keys) = (go_text(own), go_text(&keys));
                return Err(format!(
                    "{own} and {keys} are not deep equal: this may happen when calculating the \
                     3-way diff patch"
                ));
            }
            Some(_) => {}
            None => {
                original.insert(RETAIN_KEYS.to_owned(), keys);
            }
        }
        return Ok(());
    }
    let keys = keys.as_array().ok_or(BAD_RETAIN_KEYS)?;
    let is_kept = |key: &String| keys.iter().any(|kept| kept == key.as_str());
    let is_named = |(key, value): (&String, &Value)| {
        value.is_null() || key.starts_with(DELETE_FROM) || key.starts_with(ORDER) || is_kept(key)
    };
    if !patch.iter().all(is_named) {
        return Err(BAD_RETAIN_KEYS.to_owned());
    }
    original.retain(|key, _| is_kept(key));
    Ok(())
}

/// Merges the lists whose order the patch gives, and takes them out of the patch.
fn merge_ordered_lists(
    original: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
    of: &str,
    into: Into,
) -> Merged<()> {
    let directives: Vec<String> =
        patch.keys().filter(|key| key.starts_with(ORDER)).cloned().collect();
    for directive in directives {
        let order = patch.remove(&directive).unwrap_or_default();
        if into == Into::Patch {
            match original.get(&directive) {
                Some(own) if *own != order => return Err(BAD_ORDER.to_owned()),
                Some(_) => {}
                None => {
                    original.insert(directive.clone(), order.clone());
                }
            }
        }
        let order = list_of(&order)?;
        let name = directive.strip_prefix(ORDER).and_then(|rest| rest.strip_prefix('/'));
        let name = name.ok_or(BAD_ORDER)?;
        let field = keys::field(of, name);
        let before = original.get(name).map(list_of).transpose()?;
        let new = patch.remove(name);
        let new = new.as_ref().map(list_of).transpose()?;
        let key = match field.merge {
            Merge::Key(key) => key,
            Merge::Replace | Merge::Set => "",
        };
        check_order(new.as_deref().unwrap_or_default(), &order, key)?;
        let merged = match (&before, new.clone()) {
            (Some(before), Some(new)) => merge_lists(before.clone(), new, field, into, false)?,
            (Some(before), None) => before.clone(),
            (None, Some(new)) => new,
            (None, None) => continue,
        };
        let before = before.unwrap_or_default();
        let of = item_type(&[&before, &new.unwrap_or_default()])?;
        let (ours, theirs) = split(merged, &order, key)?;
        let both = ordered(ours, theirs, &order, &before, key_for(of, key))?;
        original.insert(name.to_owned(), both.into());
    }
    Ok(())
}

fn list_of(value: &Value) -> Merged<Vec<Value>> {
    value.as_array().cloned().ok_or_else(|| wrong_type("[]interface {}", value))
}

/// The items of a patch stand in the given order and are among it.
fn check_order(patch: &[Value], order: &[Value], key: &str) -> Merged<()> {
    if patch.is_empty() || order.is_empty() {
        return Ok(());
    }
    let same = |left: &Value, right: &Value| -> Merged<bool> {
        match key {
            "" => Ok(left == right),
            key => Ok(key_of(left, key)? == key_of(right, key)?),
        }
    };
    let mut order_left = order.iter();
    for item in patch.iter().filter(|item| item.get(PATCH).is_none()) {
        let mut found = false;
        for other in order_left.by_ref() {
            if same(item, other)? {
                found = true;
                break;
            }
        }
        if !found {
            let (patch, order) = (go_text(&patch.to_vec().into()), go_text(&order.to_vec().into()));
            return Err(format!(
                "The order in patch list:\n{patch}\n doesn't match {ORDER} list:\n{order}\n"
            ));
        }
    }
    Ok(())
}

/// A list of a patch merged into a list.
fn merge_lists(
    original: Vec<Value>,
    patch: Vec<Value>,
    field: Field,
    into: Into,
    deletes: bool,
) -> Merged<Vec<Value>> {
    if field.merge == Merge::Replace {
        return Ok(match taken(patch.into(), into) {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        });
    }
    if original.is_empty() && patch.is_empty() {
        return Ok(original);
    }
    if item_type(&[&original, &patch])? != GoType::Map {
        if deletes && into == Into::Object {
            return Ok(original.into_iter().filter(|item| !patch.contains(item)).collect());
        }
        let both = original.iter().chain(&patch).cloned().collect();
        let (ours, theirs) = split(deduplicated(both), &patch, "")?;
        return ordered(ours, theirs, &patch, &original, "");
    }
    let Merge::Key(key) = field.merge else {
        return Err("cannot merge lists without merge key for type map".to_owned());
    };
    let (original, patch) = without_directives(original, patch, key)?;
    let mut merged = original.clone();
    for item in &patch {
        let own = key_of(item, key)?;
        let at = merged.iter().position(|other| other.get(key) == Some(own));
        match at {
            Some(at) => {
                let before = map_of(&merged[at]);
                merged[at] = merge_maps(before, map_of(item), field.below, into)?.into();
            }
            None => merged.extend(taken(item.clone(), into)),
        }
    }
    let (ours, theirs) = split(merged, &patch, key)?;
    ordered(ours, theirs, &patch, &original, key)
}

/// Carries out `$patch` in the items of a list.
fn without_directives(
    mut original: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
) -> Merged<(Vec<Value>, Vec<Value>)> {
    let mut rest = Vec::with_capacity(patch.len());
    let mut replaces = false;
    for item in patch {
        match item.get(PATCH).map(|directive| directive.as_str().unwrap_or_default()) {
            None => rest.push(item),
            Some("delete") => {
                let own = item.get(key).ok_or_else(|| no_key(&item, key))?;
                original.retain(|other| other.get(key) != Some(own));
            }
            Some("replace") => replaces = true,
            Some("merge") => {
                return Err("merging lists cannot yet be specified in the patch".to_owned());
            }
            Some(other) => {
                return Err(format!("unknown patch type: {other} in map: {}", go_text(&item)));
            }
        }
    }
    debug_assert!(rest.iter().all(|item| go_type(item) == GoType::Map), "items are mappings");
    Ok(if replaces { (rest, Vec::new()) } else { (original, rest) })
}
