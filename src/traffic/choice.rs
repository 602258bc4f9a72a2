//! What a node's proxy does with a new connection.

use crate::base::{Symbol, cast};
use crate::cluster::{Endpoint, EndpointSet};
use crate::model::{NodeId, PodRef};

/// What becomes of a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// It goes to this pod.
    Pod(PodRef),
    /// Nothing is usable anywhere: refused at once (rule N158).
    Reject,
    /// Nothing is usable here, under a policy Local: no answer (rule N158).
    Drop,
}

/// Chooses among the usable endpoints, all as likely (rules N156, N157).
///
/// Source: kubernetes v1.36.3 pkg/proxy/iptables/proxier.go `writeServiceToEndpointRules`.
#[inline]
pub(super) fn choose(
    set: &EndpointSet,
    node: NodeId,
    zone: impl FnOnce() -> Option<Symbol>,
    word: u32,
) -> Choice {
    let usable = if set.near.is_none() { &set.usable } else { set.usable_at(node, zone()) };
    if usable.is_empty() {
        return Choice::Reject;
    }
    let index = usable[one_of(word, usable.len())];
    Choice::Pod(set.endpoints[cast::usize_of(index)].pod)
}

/// Chooses among the endpoints on one node: the ready ones, else those that serve while they
/// terminate.
///
/// Source: kubernetes v1.36.3 pkg/proxy/topology.go `CategorizeEndpoints` (rules N157, N158).
pub(super) fn choose_local(set: &EndpointSet, node: NodeId, word: u32) -> Choice {
    let last = |e: &Endpoint| e.serving && e.terminating;
    let here = |wanted: fn(&Endpoint) -> bool| {
        let count = set.endpoints.iter().filter(|e| e.node == node && wanted(e)).count();
        let mut found = set.endpoints.iter().filter(move |e| e.node == node && wanted(e));
        found.nth(one_of(word, count)).map(|e| Choice::Pod(e.pod))
    };
    here(|e| e.ready).or_else(|| here(last)).unwrap_or(if set.usable.is_empty() {
        Choice::Reject
    } else {
        Choice::Drop
    })
}

/// Which of `count` things a random word chooses, all as likely; 0 of none.
pub(super) fn one_of(word: u32, count: usize) -> usize {
    let scaled = (u64::from(word) * cast::u64_of(count)) >> 32;
    usize::try_from(scaled).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Ref, SimTime};
    use crate::model::PodId;

    fn endpoint(pod: u32, node: u32, state: &str) -> Endpoint {
        Endpoint {
            pod: Ref { id: PodId::new(pod), life: 0 },
            node: NodeId::new(node),
            ready: state == "ready",
            serving: state != "unready",
            terminating: state == "last",
        }
    }

    fn check(endpoints: &[(u32, &str)], local: Option<u32>, expected: &[Option<u32>]) {
        let rows = (0..).zip(endpoints);
        let rows = rows.map(|(pod, (node, state))| endpoint(pod, *node, state)).collect();
        let set = EndpointSet::empty().next(rows, SimTime::ZERO);
        let mut words = [0, 1 << 30, 1 << 31, u32::MAX].into_iter();
        let choices = words.by_ref().map(|word| match local {
            None => choose(&set, NodeId::new(9), || None, word),
            Some(node) => choose_local(&set, NodeId::new(node), word),
        });
        let mut found: Vec<Option<u32>> = choices
            .map(|choice| match choice {
                Choice::Pod(pod) => Some(pod.id.number()),
                Choice::Reject => None,
                Choice::Drop => Some(u32::MAX),
            })
            .collect();
        found.dedup();
        assert_eq!(found, expected, "{endpoints:?} {local:?}");
    }

    const DROP: Option<u32> = Some(u32::MAX);

    #[test]
    fn ready_ones_then_the_last_ones_then_none() {
        let mixed = [(0, "ready"), (1, "last"), (1, "ready"), (2, "unready"), (2, "last")];
        check(&mixed, None, &[Some(0), Some(2)]);
        check(&mixed, Some(0), &[Some(0)]);
        check(&mixed, Some(1), &[Some(2)]);
        check(&mixed, Some(2), &[Some(4)]);
        check(&mixed, Some(3), &[DROP]);
        check(&[(1, "last"), (2, "last")], None, &[Some(0), Some(1)]);
        check(&[(1, "last"), (2, "unready")], Some(2), &[DROP]);
        check(&[(1, "unready")], None, &[None]);
        check(&[(1, "unready")], Some(1), &[None]);
    }
}
