//! The order of merged lists: that of the patch for its items, that of the server for the others.

use serde_json::Value;

use super::{GoType, PATCH, go_text, key_of};

/// What of an item tells it from others: the value of its key, or itself.
fn told<'v>(item: &'v Value, key: &str) -> &'v Value {
    if key.is_empty() { item } else { &item[key] }
}

fn index(list: &[Value], item: &Value, key: &str) -> Option<usize> {
    list.iter().position(|other| told(other, key) == told(item, key))
}

/// Both parts in their orders, one list of them.
pub(super) fn ordered(
    patch: Vec<Value>,
    server_only: Vec<Value>,
    patch_order: &[Value],
    server_order: &[Value],
    key: &str,
) -> Result<Vec<Value>, String> {
    let patch = by_order(patch, patch_order, key)?;
    let server_only = by_order(server_only, server_order, key)?;
    Ok(interleaved(server_only, patch, server_order, key))
}

/// Sorts a list by another one; items that shall be deleted stand at its end.
pub(super) fn by_order(list: Vec<Value>, order: &[Value], key: &str) -> Result<Vec<Value>, String> {
    let (mut list, deleted): (Vec<Value>, Vec<Value>) = if key.is_empty() {
        (list, Vec::new())
    } else {
        for item in list.iter().chain(order) {
            key_of(item, key)?;
        }
        list.into_iter().partition(|item| item[PATCH] != "delete")
    };
    let place = |item: &Value| index(order, item, key);
    // Items without a place go before the ones that they follow, as Go's stable sort does it.
    for end in 1..list.len() {
        for at in (1..=end).rev() {
            let is_less = match (place(&list[at]), place(&list[at - 1])) {
                (Some(a), Some(b)) => a < b,
                _ => true,
            };
            if !is_less {
                break;
            }
            list.swap(at, at - 1);
        }
    }
    list.extend(deleted);
    Ok(list)
}

/// Puts the items of `left` between those of `right`, by the order of the server where it knows
/// both.
fn interleaved(left: Vec<Value>, right: Vec<Value>, order: &[Value], key: &str) -> Vec<Value> {
    let mut all = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(l), Some(r)) = (left.peek(), right.peek()) {
        let is_left = match (index(order, l, key), index(order, r, key)) {
            (Some(l), Some(r)) => l < r,
            _ => false,
        };
        all.extend(if is_left { left.next() } else { right.next() });
    }
    all.extend(left);
    all.extend(right);
    all
}

/// Those of a list that another one has, and those that it has not.
pub(super) fn split(
    list: Vec<Value>,
    by: &[Value],
    key: &str,
) -> Result<(Vec<Value>, Vec<Value>), String> {
    if !key.is_empty() {
        for item in &list {
            key_of(item, key)?;
        }
    }
    Ok(list.into_iter().partition(|item| index(by, item, key).is_some()))
}

/// A list without what it has twice: the last one takes the place of what leaves.
pub(super) fn deduplicated(mut list: Vec<Value>) -> Vec<Value> {
    let mut at = 0;
    while at < list.len() {
        let mut other = at + 1;
        while other < list.len() {
            if list[at] == list[other] {
                list.swap_remove(other);
            } else {
                other += 1;
            }
        }
        at += 1;
    }
    list
}

/// Sorts by the text of a key (or of the item), as Go's unstable sort with "not greater" does it.
pub(super) fn by_text(list: &[Value], key: &str) -> Vec<Value> {
    let text = |item: &Value| go_text(told(item, key));
    let mut items: Vec<(String, Value)> =
        list.iter().map(|item| (text(item), item.clone())).collect();
    crate::base::go_sort::sort(&mut items, |a, b| a.0 <= b.0);
    items.into_iter().map(|(_, item)| item).collect()
}

/// Whether items of a type are told apart by a key.
pub(super) fn key_for(of: GoType, key: &'static str) -> &'static str {
    if of == GoType::Map { key } else { "" }
}
