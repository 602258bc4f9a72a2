//! Orders in which failing nodes may get their NoExecute taints.

use serde_json::Value;

use super::case::{Case, list, ms, text};

/// How many orders are tried.
const TRIES: usize = 200;

/// Orders of the nodes that get such a taint at varying times: first those that must have it
/// early, then others.
pub(super) fn orders(case: &Case<'_>) -> impl Iterator<Item = Vec<u32>> + use<> {
    let mut nodes: Vec<(u64, u64, u32)> = Vec::new();
    if case.value["varies"].get("Node.taints").is_some() {
        for (number, node) in (0..).zip(list(&case.value["nodes"])) {
            let (may, must) = window(case, text(&node["metadata"]["name"]));
            nodes.extend(may.map(|may| (must.unwrap_or(u64::MAX), may, number)));
        }
    }
    nodes.sort_unstable();
    let mut next = (!nodes.is_empty()).then(|| (0..nodes.len()).collect::<Vec<_>>());
    let orders = std::iter::from_fn(move || {
        let order = next.clone()?;
        next = following(order.clone());
        Some(order.into_iter().map(|place| nodes[place].2).collect())
    });
    orders.take(TRIES)
}

/// When a node may have the taint first, and when it must have it.
fn window(case: &Case<'_>, node: &str) -> (Option<u64>, Option<u64>) {
    let (mut may, mut must) = (None, None);
    for slot in list(&case.value["timeline"]) {
        let records = list(&slot["ch"]).iter().filter(|record| record["k"] == "Node");
        for record in records.filter(|record| record["n"] == node) {
            if list(&record["alt"]["taints"]).iter().any(is_evicting) {
                may = may.or(Some(ms(&slot["t"])));
            }
            if is_evicting(&record["taints"]) {
                may = may.or(Some(ms(&slot["t"])));
                must = must.or(Some(ms(&slot["t"])));
            }
        }
    }
    (may, must)
}

fn is_evicting(taints: &Value) -> bool {
    list(taints).iter().any(|taint| text(taint).ends_with(":NoExecute"))
}

/// The next permutation in lexicographic order.
fn following(mut order: Vec<usize>) -> Option<Vec<usize>> {
    let at = order.windows(2).rposition(|pair| pair[0] < pair[1])?;
    let with = order.iter().rposition(|place| *place > order[at]).expect("the one after it is");
    order.swap(at, with);
    order[at + 1..].reverse();
    Some(order)
}
