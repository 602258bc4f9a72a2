//! Dotted paths into a tree: `spec.containers[0].image`, `nodes[pool=workers].count`.

use super::arena::{NodeId, Tree};
use super::value::Value;

/// The path from the root to a node; empty for the root.
pub(super) fn path_of(tree: &Tree, node: NodeId) -> String {
    let mut steps = Vec::new();
    walk(tree.root(), node, &mut steps);
    steps.concat()
}

/// Depth-first; recursion is bounded by the depth limit of reading.
fn walk(value: Value<'_>, sought: NodeId, steps: &mut Vec<String>) -> bool {
    if value.id() == sought {
        return true;
    }
    for (index, item) in value.items().enumerate() {
        steps.push(format!("[{index}]"));
        if walk(item, sought, steps) {
            return true;
        }
        steps.pop();
    }
    for entry in value.entries() {
        steps.push(key_step(entry.key, steps.is_empty()));
        if walk(entry.value, sought, steps) {
            return true;
        }
        steps.pop();
    }
    false
}

fn key_step(key: &str, first: bool) -> String {
    let simple = !key.is_empty() && !key.contains(['.', '[', ']', '=', '"']);
    match (simple, first) {
        (true, true) => key.to_owned(),
        (true, false) => format!(".{key}"),
        (false, _) => format!("[{key:?}]"),
    }
}
