//! NodeAffinity: node selector and affinity to nodes.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/nodeaffinity/node_affinity.go
//! (rules S97 to S100; recorded). Differs: no affinity added by the scheduler's configuration; an
//! illegal value in a preferred term does not make the attempt an error (rule S98a).

use crate::base::{Interner, Symbol};
use crate::model::{NodeSelectorTerm, Operator, PodSpec, matches_node};

use super::super::nodes::NodeState;
use super::super::verdict::{Plugin, Reason, Rejection};

/// The nodes that the required terms name, if every term names one by the field `metadata.name`
/// (rule S99): those of all terms, sorted by symbol. Empty if the terms contradict themselves.
#[must_use]
pub fn named_nodes(pod: &PodSpec) -> Option<Vec<Symbol>> {
    let terms = pod.node_affinity.required.as_ref()?;
    if terms.is_empty() {
        return None;
    }
    let mut all = Vec::new();
    for term in terms {
        all.extend(named_by_term(term)?);
    }
    all.sort_unstable();
    all.dedup();
    Some(all)
}

fn named_by_term(term: &NodeSelectorTerm) -> Option<Vec<Symbol>> {
    let mut lists = term
        .fields
        .iter()
        .filter(|field| field.operator == Operator::In)
        .map(|field| &field.values);
    let mut names = lists.next()?.to_vec();
    for list in lists {
        names.retain(|name| list.contains(name));
    }
    Some(names)
}

/// The filter.
///
/// # Errors
/// If selector or required affinity do not match.
pub fn filter(pod: &PodSpec, node: &NodeState, names: &Interner) -> Result<(), Rejection> {
    let spec = &node.spec;
    let (selector, affinity) = (&pod.node_selector, &pod.node_affinity);
    if matches_node(selector, affinity, spec.name, &spec.labels, names) {
        return Ok(());
    }
    Err(Rejection::unresolvable(Plugin::NodeAffinity, Reason::NodeAffinity))
}

/// The sum of the weights of the preferred terms that match (rule S100).
#[must_use]
pub fn raw_score(pod: &PodSpec, node: &NodeState, names: &Interner) -> i64 {
    let spec = &node.spec;
    let matching = |(weight, term): &(i32, NodeSelectorTerm)| {
        let counts = *weight != 0 && term.matches(spec.name, &spec.labels, names);
        counts.then_some(i64::from(*weight))
    };
    pod.node_affinity.preferred.iter().filter_map(matching).sum()
}
