//! Nodes without columns: for classes that are asked about too seldom to keep any.
//!
//! Each node is looked at with its numbers at hand, from the start of the search on, for as long as
//! who chooses among them asks for more.

use crate::base::cast;

use super::columns::{self, Numbers, Reader};
use super::select::{normalized, normalized_reverse};

/// A node that takes the pod: its place in the walk and its local total.
type Found = (u32, i64);

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
