//! Strategic merge patches made from objects.

use serde_json::{Map, Value, json};

use super::super::kinds::Kind;
use super::keys::{self, Field, Merge};
use super::order::{by_order, by_text, deduplicated};
use super::strategic::{self, Into};
use super::{
    DELETE_FROM, GoType, LISTS_OF_LISTS, ORDER, PATCH, RETAIN_KEYS, go_text, go_type, item_type,
    key_of,
};

/// What a patch tells.
#[derive(Clone, Copy, Debug)]
struct Tells {
    additions: bool,
    deletions: bool,
    /// Which keys of this mapping stay.
    retained: bool,
}

type Diffed<T> = Result<T, String>;

pub(super) fn two_way(kind: Kind, old: &Value, new: &Value) -> Diffed<Value> {
    let tells = Tells { additions: true, deletions: true, retained: false };
    maps(&map_of(old), &map_of(new), keys::root(kind), tells).map(Value::Object)
}

pub(super) fn three_way(
    kind: Kind,
    original: &Value,
    modified: &Value,
    current: &Value,
) -> Diffed<Value> {
    let of = keys::root(kind);
    let (original, modified, current) = (map_of(original), map_of(modified), map_of(current));
    let additions = Tells { additions: true, deletions: false, retained: false };
    let delta = maps(&current, &modified, of, additions)?;
    let deletions = Tells { additions: false, deletions: true, retained: false };
    let deleted = maps(&original, &modified, of, deletions)?;
    strategic::merge_maps(deleted, delta, of, Into::Patch).map(Value::Object)
}

fn map_of(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn maps(
    original: &Map<String, Value>,
    modified: &Map<String, Value>,
    of: &str,
    tells: Tells,
) -> Diffed<Map<String, Value>> {
    let mut patch = Map::new();
    for (key, new) in modified {
        match original.get(key) {
            None if tells.additions => {
                patch.insert(key.clone(), new.clone());
            }
            None => {}
            Some(old) if key == PATCH && old != new => {
                patch.insert(key.clone(), new.clone());
            }
            Some(old) => field(key, old, new, of, tells, &mut patch)?,
        }
    }
    if tells.deletions {
        for key in original.keys().filter(|key| !modified.contains_key(*key)) {
            patch.insert(key.clone(), Value::Null);
        }
    }
    let leaves = |(key, value): (&String, &Value)| !value.is_null() && !modified.contains_key(key);
    if tells.retained && (!patch.is_empty() || original.iter().any(leaves)) {
        let kept = modified.iter().filter(|(_, value)| !value.is_null());
        let kept: Vec<Value> = kept.map(|(key, _)| key.as_str().into()).collect();
        if !kept.is_empty() {
            patch.insert(RETAIN_KEYS.to_owned(), kept.into());
        }
    }
    Ok(patch)
}

/// One field that both have.
fn field(
    key: &str,
    old: &Value,
    new: &Value,
    of: &str,
    tells: Tells,
    patch: &mut Map<String, Value>,
) -> Diffed<()> {
    let field = keys::field(of, key);
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let tells = Tells { retained: field.retains_keys, ..tells };
            let below = maps(old, new, field.below, tells)?;
            if !below.is_empty() {
                patch.insert(key.to_owned(), below.into());
            }
        }
        (Value::Array(old), Value::Array(new)) if field.merge != Merge::Replace => {
            let tells = Tells { retained: field.retains_keys, ..tells };
            let lists = lists(old, new, field, tells)?;
            if !lists.added.is_empty() {
                patch.insert(key.to_owned(), lists.added.into());
            }
            if !lists.deleted.is_empty() {
                patch.insert(format!("{DELETE_FROM}/{key}"), lists.deleted.into());
            }
            if !lists.order.is_empty() {
                patch.insert(format!("{ORDER}/{key}"), lists.order.into());
            }
        }
        (old, new) => {
            if tells.additions && (go_type(old) != go_type(new) || old != new) {
                patch.insert(key.to_owned(), new.clone());
            }
        }
    }
    Ok(())
}

/// What a patch says of a list that merges.
#[derive(Default)]
struct Lists {
    added: Vec<Value>,
    /// Texts and numbers that leave.
    deleted: Vec<Value>,
    order: Vec<Value>,
}

fn lists(original: &[Value], modified: &[Value], field: Field, tells: Tells) -> Diffed<Lists> {
    if original.is_empty() {
        let added = if tells.additions { modified.to_vec() } else { Vec::new() };
        return Ok(Lists { added, ..Lists::default() });
    }
    match item_type(&[original, modified])? {
        GoType::List => Err(LISTS_OF_LISTS.to_owned()),
        GoType::Map => {
            let Merge::Key(key) = field.merge else { return Ok(Lists::default()) };
            lists_of_maps(original, modified, key, field.below, tells)
        }
        _ => lists_of_scalars(original, modified, tells),
    }
}

fn lists_of_maps(
    original: &[Value],
    modified: &[Value],
    key: &str,
    of: &str,
    tells: Tells,
) -> Diffed<Lists> {
    let (changed, deleted) = changed_items(original, modified, key, of, tells)?;
    let mut added = by_order(changed, modified, key)?;
    let mut is_same_order = original.len() == modified.len();
    for (old, new) in original.iter().zip(modified) {
        is_same_order = is_same_order && key_of(old, key)? == key_of(new, key)?;
    }
    added.extend(deleted);
    let tells_order = !added.is_empty() || (tells.additions && !is_same_order);
    let of_key = |item: &Value| json!({ key: item[key] });
    let order = if tells_order { modified.iter().map(of_key).collect() } else { Vec::new() };
    Ok(Lists { added, deleted: Vec::new(), order })
}

/// The items that are new or changed, and directives for those that leave.
fn changed_items(
    original: &[Value],
    modified: &[Value],
    key: &str,
    of: &str,
    tells: Tells,
) -> Diffed<(Vec<Value>, Vec<Value>)> {
    let (original, modified) = (by_text(original, key), by_text(modified, key));
    let (mut changed, mut deleted) = (Vec::new(), Vec::new());
    let (mut olds, mut news) = (original.iter().peekable(), modified.iter().peekable());
    loop {
        let old = olds.peek().map(|item| key_of(item, key)).transpose()?;
        let new = news.peek().map(|item| key_of(item, key)).transpose()?;
        let order = match (old, new) {
            (None, None) => return Ok((changed, deleted)),
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(_), None) => std::cmp::Ordering::Less,
            (Some(old), Some(new)) => go_text(old).cmp(&go_text(new)),
        };
        let own = new.cloned().unwrap_or_default();
        match order {
            std::cmp::Ordering::Equal => {
                let (old, new) = (olds.next(), news.next());
                let (old, new) =
                    (map_of(old.unwrap_or(&Value::Null)), map_of(new.unwrap_or(&Value::Null)));
                let mut item = maps(&old, &new, of, tells)?;
                if !item.is_empty() {
                    item.insert(key.to_owned(), own);
                    changed.push(item.into());
                }
            }
            std::cmp::Ordering::Greater => {
                let item = news.next();
                changed.extend(item.filter(|_| tells.additions).cloned());
            }
            std::cmp::Ordering::Less => {
                let own = old.cloned().unwrap_or_default();
                olds.next();
                if tells.deletions {
                    deleted.push(json!({ key: own, PATCH: "delete" }));
                }
            }
        }
    }
}

fn lists_of_scalars(original: &[Value], modified: &[Value], tells: Tells) -> Diffed<Lists> {
    let (olds, news) = (by_text(original, ""), by_text(modified, ""));
    let (mut added, mut deleted) = (Vec::new(), Vec::new());
    let (mut old_items, mut new_items) = (olds.iter().peekable(), news.iter().peekable());
    loop {
        let order = match (old_items.peek(), new_items.peek()) {
            (None, None) => break,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(_), None) => std::cmp::Ordering::Less,
            (Some(old), Some(new)) => go_text(old).cmp(&go_text(new)),
        };
        let old = if order.is_le() { old_items.next() } else { None };
        let new = if order.is_ge() { new_items.next() } else { None };
        match (old, new) {
            (Some(old), None) if tells.deletions => deleted.push(old.clone()),
            (None, Some(new)) if tells.additions => added.push(new.clone()),
            _ => {}
        }
    }
    let added = by_order(added, modified, "")?;
    let deleted = deduplicated(deleted);
    let tells_order = !deleted.is_empty() || (tells.additions && original != modified);
    let order = if tells_order { modified.to_vec() } else { Vec::new() };
    Ok(Lists { added, deleted, order })
}
