//! The choice among the nodes found: scores of spreading, affinity and images (rules S110 to S127).

use std::sync::Arc;

use smallvec::SmallVec;

use super::{Judge, NOBODY, Plan, Room, Soft, all_count, counts};
use crate::base::cast;
use crate::model::NodeId;
use crate::placement::columns::{Choice, Reader};
use crate::placement::fellows::{Counter, Fellows, Key, NOWHERE};
use crate::placement::plugins::{image_locality, inter_pod_affinity, pod_topology_spread};
use crate::placement::pod_info::{Applicant, PodInfo};
use crate::placement::select::preorder;
use crate::placement::verdict::Rejection;
use crate::placement::walk;

/// What is asked of one decision.
pub(in crate::placement) struct Asked<'a, 'f> {
    /// Where the search starts.
    pub(in crate::placement) start: usize,
    /// How many nodes end it.
    pub(in crate::placement) enough: usize,
    pub(in crate::placement) plan: &'a Plan,
    pub(in crate::placement) judge: Option<&'a Judge<'f>>,
    pub(in crate::placement) fellows: &'a Fellows,
    pub(in crate::placement) info: &'a Arc<PodInfo>,
    /// Places that nominated pods bar.
    pub(in crate::placement) barred: &'a [(usize, Rejection)],
}

/// The node that takes the pod of those that it fits on alone, given in the order of the walk with
/// their local totals; `None` if others let it on none of them.
pub(in crate::placement) fn choose(
    candidates: impl Iterator<Item = (usize, i64)>,
    asked: &Asked<'_, '_>,
    room: &mut Room,
    with: Reader<'_>,
) -> Option<Choice> {
    let order = with.nodes.order();
    room.found.clear();
    let mut next_start = asked.start;
    for (place, local) in candidates {
        if asked.judge.is_some_and(|judge| !judge.takes(order[place]))
            || asked.barred.iter().any(|(barred, _)| *barred == place)
        {
            continue;
        }
        if room.found.len() == asked.enough {
            next_start = place;
            break;
        }
        room.found.push((cast::u32_of(place), local));
    }
    let place = match room.found.as_slice() {
        [] => return None,
        [(only, _)] => *only,
        _ => best(asked, room, with),
    };
    let node = order[cast::usize_of(place)];
    Some(Choice { node, found: room.found.len(), next_start })
}

/// The best total of the nodes found, and of equal ones the first on the heap's walk.
fn best(asked: &Asked<'_, '_>, room: &mut Room, with: Reader<'_>) -> u32 {
    let mut totals = std::mem::take(&mut room.totals);
    totals.clear();
    totals.extend(room.found.iter().map(|(_, local)| *local));
    let order = with.nodes.order();
    room.nodes.clear();
    room.nodes.extend(room.found.iter().map(|(place, _)| order[cast::usize_of(*place)]));
    if !with.statics.is_uniform() {
        walk::add_statics(&room.found, &mut totals, with);
    }
    add_scores(asked, room, &mut totals, with);
    let (mut best, mut key, mut at) = (i64::MIN, u64::MAX, 0);
    for (number, (total, (place, _))) in totals.iter().zip(&room.found).enumerate() {
        if *total > best || (*total == best && preorder(number) < key) {
            (best, key, at) = (*total, preorder(number), *place);
        }
    }
    room.totals = totals;
    at
}

/// Adds the scores of spreading, affinity and images to the totals of the nodes found.
fn add_scores(asked: &Asked<'_, '_>, room: &mut Room, totals: &mut [i64], with: Reader<'_>) {
    let (plan, fellows) = (asked.plan, asked.fellows);
    if with.weights.spread != 0 && !plan.soft.is_empty() {
        add_spread(plan, fellows, room, totals, with);
    }
    if with.weights.inter_pod != 0 && !plan.weights.is_empty() {
        add_affinity(plan, fellows, room, totals, with);
    }
    if with.weights.images != 0 && plan.has_images {
        let nodes: Vec<_> = room.nodes.iter().map(|id| (*id, with.nodes.state(*id))).collect();
        let (info, nominated) = (Arc::clone(asked.info), None);
        let of = Applicant { pod: NOBODY, info, nominated, pinned: None };
        let scores = image_locality::scores(&of, &nodes, with.world);
        for (total, score) in totals.iter_mut().zip(scores) {
            *total += with.weights.images * score;
        }
    }
}

/// Soft spread constraints (rules S112 to S115).
fn add_spread(
    plan: &Plan,
    fellows: &Fellows,
    room: &mut Room,
    totals: &mut [i64],
    with: Reader<'_>,
) {
    let keys: SmallVec<[&Key; 4]> =
        plan.soft.iter().map(|soft| fellows.key_of(soft.counter)).collect();
    let needed: &[&Key] = if plan.requires_all { &keys } else { &[] };
    let is_complete = keys.iter().all(|key| key.nodes_with == with.nodes.len());
    let is_ignored =
        |node: NodeId| !is_complete && needed.iter().any(|key| key.of(node) == NOWHERE);
    let nodes = room.nodes.as_slice();
    let ignored = if is_complete { 0 } else { nodes.iter().filter(|n| is_ignored(**n)).count() };
    room.sums.clear();
    room.sums.resize(nodes.len(), 0.0);
    for (soft, key) in plan.soft.iter().zip(&keys) {
        let counter = &fellows.counters[soft.counter];
        if soft.is_hostname {
            let weight = pod_topology_spread::weight(nodes.len() - ignored);
            for (sum, node) in room.sums.iter_mut().zip(nodes) {
                if is_complete || key.of(*node) != NOWHERE {
                    let count = counter.on(*node);
                    *sum += pod_topology_spread::score_for(count, soft.max_skew, weight);
                }
            }
            continue;
        }
        let live = nodes.iter().filter(|node| !is_ignored(**node)).map(|node| key.of(*node));
        let size = distinct(live, key, &mut room.stamps, &mut room.stamp);
        let weight = pod_topology_spread::weight(size);
        domain_scores(soft, (key, counter), needed, weight, &mut room.by_domain, with);
        for (sum, node) in room.sums.iter_mut().zip(nodes) {
            let domain = key.of(*node);
            if domain != NOWHERE {
                *sum += room.by_domain[cast::usize_of(domain)];
            }
        }
    }
    room.raw.clear();
    room.raw.extend(room.sums.iter().map(|sum| pod_topology_spread::rounded(*sum)));
    let (mut least, mut most) = (i64::MAX, 0);
    for (score, node) in room.raw.iter().zip(nodes) {
        if ignored == 0 || !is_ignored(*node) {
            least = least.min(*score);
            most = most.max(*score);
        }
    }
    let normal = |score: i64| pod_topology_spread::normalized(score, least, most);
    let mut last = (i64::MIN, 0);
    for ((total, score), node) in totals.iter_mut().zip(&room.raw).zip(nodes) {
        if ignored == 0 || !is_ignored(*node) {
            if last.0 != *score {
                last = (*score, with.weights.spread * normal(*score));
            }
            *total += last.1;
        }
    }
}

/// What a constraint adds to the score of the nodes of each domain.
fn domain_scores(
    soft: &Soft,
    (key, counter): (&Key, &Counter),
    needed: &[&Key],
    weight: f64,
    by_domain: &mut Vec<f64>,
    with: Reader<'_>,
) {
    let score = |count| pod_topology_spread::score_for(count, soft.max_skew, weight);
    by_domain.clear();
    if all_count(needed, soft.policies, with) {
        let domains = 0..cast::u32_of(key.nodes_in.len());
        by_domain.extend(domains.map(|domain| score(counter.count(domain))));
        return;
    }
    let mut sums: SmallVec<[u32; 16]> = SmallVec::from_elem(0, key.nodes_in.len());
    for (place, node) in with.nodes.order().iter().enumerate() {
        let domain = key.of(*node);
        if domain != NOWHERE && counts(place, needed, soft.policies, with) {
            sums[cast::usize_of(domain)] += counter.on(*node);
        }
    }
    by_domain.extend(sums.iter().map(|sum| score(*sum)));
}

/// How many different domains there are; those without the label are one.
fn distinct(
    domains: impl Iterator<Item = u32>,
    key: &Key,
    stamps: &mut Vec<u32>,
    stamp: &mut u32,
) -> usize {
    let width = key.nodes_in.len() + 1;
    if width <= 64 {
        let bit = |domain| if domain == NOWHERE { width - 1 } else { cast::usize_of(domain) };
        let set = domains.fold(0_u64, |set, domain| set | 1 << bit(domain));
        return cast::usize_of(set.count_ones());
    }
    if stamps.len() < width {
        stamps.resize(width, 0);
    }
    *stamp = stamp.wrapping_add(1);
    if *stamp == 0 {
        stamps.fill(0);
        *stamp = 1;
    }
    let mut count = 0;
    for domain in domains {
        let at = if domain == NOWHERE { width - 1 } else { cast::usize_of(domain) };
        if stamps[at] != *stamp {
            stamps[at] = *stamp;
            count += 1;
        }
    }
    count
}

/// Affinity between pods (rules S120, S121).
fn add_affinity(
    plan: &Plan,
    fellows: &Fellows,
    room: &mut Room,
    totals: &mut [i64],
    with: Reader<'_>,
) {
    let Room { nodes, raw, .. } = room;
    raw.clear();
    raw.resize(nodes.len(), 0);
    let mut is_any = false;
    for (id, weight) in &plan.weights {
        let (key, counter) = (fellows.key_of(*id), &fellows.counters[*id]);
        if counter.total == 0 {
            continue;
        }
        is_any = true;
        for (sum, node) in raw.iter_mut().zip(nodes.iter()) {
            let domain = key.of(*node);
            if domain != NOWHERE {
                *sum += weight * i64::from(counter.count(domain));
            }
        }
    }
    if !is_any {
        return;
    }
    let (least, most) = raw.iter().fold((i64::MAX, i64::MIN), |(a, b), s| (a.min(*s), b.max(*s)));
    if least == most {
        return;
    }
    for (total, score) in totals.iter_mut().zip(raw.iter()) {
        let normalized = inter_pod_affinity::normalized(*score, least, most);
        *total += with.weights.inter_pod * normalized;
    }
}
