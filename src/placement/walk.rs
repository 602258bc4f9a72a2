//! One decision without columns: for classes that are asked about too seldom to keep any.
//!
//! It looks at nodes from the start of the search on until enough are found, with the numbers of
//! each node at hand, and scores those alone.

use crate::base::cast;

use super::columns::{self, Choice, Numbers, Reader};
use super::select::{SCORE_MAX, normalized, normalized_reverse, preorder};

/// A node that takes the pod: its place in the walk and its local total.
type Found = (u32, i64);

/// The node that takes a pod of the class; `None` if none does. `found` is a buffer.
#[inline]
pub(super) fn choose(
    start: usize,
    enough: usize,
    with: Reader<'_>,
    found: &mut Vec<Found>,
) -> Option<Choice> {
    let nodes = with.nodes.len();
    let start = start % nodes;
    let numbers = Numbers::of(&with.class.info.spec, with.world);
    found.clear();
    let mut next_start = start;
    for place in (start..nodes).chain(0..start) {
        if !takes(&numbers, place, with) {
            continue;
        }
        if found.len() == enough {
            next_start = place;
            break;
        }
        let local = numbers.local(&with.nodes.lines()[place], with.weights);
        found.push((cast::u32_of(place), local));
    }
    let place = match found.as_slice() {
        [] => return None,
        [(only, _)] => *only,
        several => best(several, with),
    };
    Some(Choice { node: with.nodes.order()[cast::usize_of(place)], found: found.len(), next_start })
}

/// All places that a class fits on alone, in the order of the search, with their local totals.
pub(super) fn candidates<'a>(
    start: usize,
    with: Reader<'a>,
) -> impl Iterator<Item = (usize, i64)> + 'a {
    let numbers = Numbers::of(&with.class.info.spec, with.world);
    let nodes = with.nodes.len();
    let start = start % nodes;
    (start..nodes).chain(0..start).filter_map(move |place| {
        let takes = takes(&numbers, place, with);
        takes.then(|| (place, numbers.local(&with.nodes.lines()[place], with.weights)))
    })
}

/// Whether a class fits on a node alone.
pub(super) fn fits(place: usize, with: Reader<'_>) -> bool {
    takes(&Numbers::of(&with.class.info.spec, with.world), place, with)
}

fn takes(numbers: &Numbers, place: usize, with: Reader<'_>) -> bool {
    if with.statics.rejects[place].is_some() {
        return false;
    }
    let fits = numbers.fits(&with.nodes.lines()[place]);
    if numbers.is_simple || !fits {
        return fits;
    }
    columns::filter(&with.class.info.spec, with.nodes.at(place), with.world).is_ok()
}

/// Adds what is normalised over the nodes found: taints to be avoided and preferred affinity.
pub(super) fn add_statics(found: &[Found], totals: &mut [i64], with: Reader<'_>) {
    let (statics, weights) = (with.statics, with.weights);
    let raws = |place: u32| {
        let place = cast::usize_of(place);
        (statics.taint_raw[place], statics.affinity_raw[place])
    };
    let (mut taint_max, mut affinity_max) = (0, 0);
    for (taint, affinity) in found.iter().map(|(place, _)| raws(*place)) {
        taint_max = taint_max.max(taint);
        affinity_max = affinity_max.max(affinity);
    }
    for (total, (place, _)) in totals.iter_mut().zip(found) {
        let (taint, affinity) = raws(*place);
        *total += weights.taint_toleration * normalized_reverse(taint, taint_max)
            + weights.node_affinity * normalized(affinity, affinity_max);
    }
}

/// The best total, and of equal ones the first on the heap's walk.
fn best(found: &[Found], with: Reader<'_>) -> u32 {
    let (statics, weights) = (with.statics, with.weights);
    let raws = |place: u32| {
        let place = cast::usize_of(place);
        (statics.taint_raw[place], statics.affinity_raw[place])
    };
    let (mut taint_max, mut affinity_max) = (0, 0);
    if !statics.is_uniform() {
        for (taint, affinity) in found.iter().map(|(place, _)| raws(*place)) {
            taint_max = taint_max.max(taint);
            affinity_max = affinity_max.max(affinity);
        }
    }
    let normal = |place: u32| {
        if taint_max == 0 && affinity_max == 0 {
            return weights.taint_toleration * SCORE_MAX;
        }
        let (taint, affinity) = raws(place);
        weights.taint_toleration * normalized_reverse(taint, taint_max)
            + weights.node_affinity * normalized(affinity, affinity_max)
    };
    let (mut best, mut key, mut at) = (i64::MIN, u64::MAX, 0);
    for (number, (place, local)) in found.iter().enumerate() {
        let total = local + normal(*place);
        if total > best || (total == best && preorder(number) < key) {
            (best, key, at) = (total, preorder(number), *place);
        }
    }
    at
}
