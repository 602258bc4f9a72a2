//! NodeAffinity: node selector and affinity to nodes.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/nodeaffinity/node_affinity.go
//! (rules S97 to S100; recorded).

use crate::base::Symbol;
use crate::model::{Labels, NodeSelectorTerm, Operator, PodSpec, matches_node};

use super::super::nodes::NodeState;
use super::super::verdict::{Plugin, Reason, Rejection};
use super::super::world::World;
use super::PreFilterResult;

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

/// The PreFilter (rule S99). A pod that is `pinned` has that node's name for required affinity.
#[must_use]
pub fn pre_filter(pod: &PodSpec, pinned: Option<Symbol>, world: &World<'_>) -> PreFilterResult {
    if let Some(name) = pinned {
        return PreFilterResult::Names(vec![name]);
    }
    let added = world.profile.args.added_affinity.as_ref();
    if pod.node_selector.is_empty()
        && pod.node_affinity.required.is_none()
        && added.is_none_or(|added| added.required.is_none())
    {
        return PreFilterResult::Skip;
    }
    match named_nodes(pod) {
        Some(names) if names.is_empty() => PreFilterResult::Rejected(Rejection::unresolvable(
            Plugin::NodeAffinity,
            Reason::Fixed("pod affinity terms conflict"),
        )),
        Some(names) => PreFilterResult::Names(names),
        None => PreFilterResult::Success,
    }
}

/// The filter.
///
/// # Errors
/// If selector or required affinity do not match, or the affinity that the profile adds.
pub fn filter(pod: &PodSpec, node: &NodeState, world: &World<'_>) -> Result<(), Rejection> {
    let spec = &node.spec;
    if let Some(added) = &world.profile.args.added_affinity
        && !matches_node(&Labels::default(), added, spec.name, &spec.labels, world.names)
    {
        let reason = "node(s) didn't match scheduler-enforced node affinity";
        return Err(Rejection::unresolvable(Plugin::NodeAffinity, Reason::Fixed(reason)));
    }
    let (selector, affinity) = (&pod.node_selector, &pod.node_affinity);
    if matches_node(selector, affinity, spec.name, &spec.labels, world.names) {
        return Ok(());
    }
    Err(Rejection::unresolvable(Plugin::NodeAffinity, Reason::NodeAffinity))
}

/// Whether there is anything to score (rule S100).
///
/// # Errors
/// If a preferred term has a value that is none (rule S98a).
pub fn pre_score(pod: &PodSpec, world: &World<'_>) -> Result<bool, String> {
    if let Some(error) = &pod.node_affinity.preferred_error {
        return Err(error.to_string());
    }
    let added = world.profile.args.added_affinity.as_ref();
    Ok(!pod.node_affinity.preferred.is_empty()
        || added.is_some_and(|added| !added.preferred.is_empty()))
}

/// The sum of the weights of the preferred terms that match (rule S100).
#[must_use]
pub fn raw_score(pod: &PodSpec, node: &NodeState, world: &World<'_>) -> i64 {
    let spec = &node.spec;
    let matching = |(weight, term): &(i32, NodeSelectorTerm)| {
        let counts = *weight != 0 && term.matches(spec.name, &spec.labels, world.names);
        counts.then_some(i64::from(*weight))
    };
    let added = world.profile.args.added_affinity.iter().flat_map(|added| &added.preferred);
    pod.node_affinity.preferred.iter().chain(added).filter_map(matching).sum()
}
