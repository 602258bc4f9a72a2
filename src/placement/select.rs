//! How many nodes are looked for, and which of the best takes the pod.

use std::cmp::Ordering;

use crate::base::cast;

/// How many feasible nodes end the search, of `nodes` (after narrowing).
///
/// `percentage` is `percentageOfNodesToScore`, 0 for the adaptive one.
///
/// Source: kubernetes v1.36.3 pkg/scheduler/schedule_one.go `numFeasibleNodesToFind` (rules S21,
/// S22; recorded).
#[must_use]
pub const fn feasible_max(nodes: usize, percentage: u8) -> usize {
    const LEAST: usize = 100;
    if nodes < LEAST {
        return nodes;
    }
    let percentage = match percentage {
        0 => {
            let adaptive = 50_usize.saturating_sub(nodes / 125);
            if adaptive < 5 { 5 } else { adaptive }
        }
        set => set as usize,
    };
    let found = nodes * percentage / 100;
    if found < LEAST { LEAST } else { found }
}

/// Where the place `index` of a binary heap stands when one walks it parents first, then the left
/// and the right part: less is earlier. Says nothing of the size of the heap.
///
/// Heapifying a list from the last parent down, and preferring the parent over equal children and
/// the left child over an equal right one, leaves at the root the greatest entry that is met first
/// on this walk. So the root is known without building the heap.
#[must_use]
pub const fn preorder(index: usize) -> u64 {
    let place = index as u64 + 1;
    let above = place.leading_zeros();
    // The path from the root is the binary number below its leading one; an ancestor's path is a
    // beginning of it and comes first.
    ((place << above) & !0x3f) | (63 - above) as u64
}

/// The place that the scheduler takes of a list of totals: the root after heapifying it.
///
/// Source: kubernetes v1.36.3 pkg/scheduler/schedule_one.go `newSortedNodeScores` (rule S50,
/// vector V1; recorded).
///
/// # Panics
/// If there is none.
#[must_use]
pub fn heap_root(totals: &[i64]) -> usize {
    let better = |a: &(usize, &i64), b: &(usize, &i64)| match a.1.cmp(b.1) {
        Ordering::Equal => preorder(b.0).cmp(&preorder(a.0)),
        unequal => unequal,
    };
    let best = totals.iter().enumerate().max_by(better);
    best.expect("a feasible node to choose").0
}

/// Where the next search starts (rule S27): `examined` nodes were found or failed.
#[must_use]
pub const fn next_start(start: usize, examined: usize, nodes: usize) -> usize {
    (start + examined) % nodes
}

/// The score of the one range that all plugins share.
pub(super) const SCORE_MAX: i64 = 100;

/// Normalises raw scores to 0 to 100, the greatest to 100; all 0 if none is above 0.
///
/// Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/helper/normalize_score.go
/// `DefaultNormalizeScore` (rule S100, vector V8; recorded).
pub(super) const fn normalized(raw: i64, max: i64) -> i64 {
    if max == 0 { 0 } else { SCORE_MAX * raw / max }
}

/// The same with the least raw score best (rule S96, vector V7; recorded).
pub(super) const fn normalized_reverse(raw: i64, max: i64) -> i64 {
    SCORE_MAX - normalized(raw, max)
}

/// Heapifies as the scheduler does and gives the place of the root: what `heap_root` must equal.
#[cfg(test)]
fn heapified_root(totals: &[i64]) -> usize {
    let mut heap: Vec<usize> = (0..totals.len()).collect();
    for from in (0..heap.len() / 2).rev() {
        let mut parent = from;
        loop {
            let left = 2 * parent + 1;
            if left >= heap.len() {
                break;
            }
            let right = left + 1;
            let is_right_better = right < heap.len() && totals[heap[right]] > totals[heap[left]];
            let child = if is_right_better { right } else { left };
            if totals[heap[child]] <= totals[heap[parent]] {
                break;
            }
            heap.swap(parent, child);
            parent = child;
        }
    }
    heap[0]
}

/// The number of a count that fits.
pub(super) fn count_of(count: usize) -> u32 {
    cast::u32_of(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_ends_as_in_s22() {
        let table = [
            (99, 99),
            (100, 100),
            (200, 100),
            (207, 101),
            (250, 120),
            (500, 230),
            (1000, 420),
            (2000, 680),
            (3000, 780),
            (3249, 812),
            (4000, 720),
            (5000, 500),
            (5499, 384),
            (5500, 330),
            (5624, 337),
            (5625, 281),
            (6000, 300),
            (10000, 500),
            (15000, 750),
        ];
        for (nodes, found) in table {
            assert_eq!(feasible_max(nodes, 0), found, "{nodes} nodes");
        }
        assert_eq!(feasible_max(1000, 100), 1000);
        assert_eq!(feasible_max(1000, 1), 100);
    }

    #[test]
    fn the_root_of_the_heap_as_in_v1() {
        let vectors: [(&[i64], usize); 8] = [
            (&[5, 5, 5, 5], 0),
            (&[1, 1, 2, 2], 3),
            (&[2, 1, 2], 0),
            (&[1, 2, 2], 1),
            (&[1, 3, 3, 3, 3], 1),
            (&[3, 1, 1, 3, 3], 0),
            (&[1, 1, 1, 2, 2, 2, 2], 3),
            (&[0, 0, 9, 0, 9, 9, 9], 4),
        ];
        for (totals, root) in vectors {
            assert_eq!(heap_root(totals), root, "{totals:?}");
            assert_eq!(heapified_root(totals), root, "{totals:?}");
        }
    }

    #[test]
    fn the_walk_finds_the_root_of_every_small_heap() {
        for len in 1..=9_u32 {
            for code in 0..3_usize.pow(len) {
                let digit = |place: u32| cast::i64_of(code / 3_usize.pow(place) % 3);
                let totals: Vec<i64> = (0..len).map(digit).collect();
                assert_eq!(heap_root(&totals), heapified_root(&totals), "{totals:?}");
            }
        }
    }

    #[test]
    fn normalised_as_in_v7_and_v8() {
        let reversed = |raw: [i64; 3]| raw.map(|r| normalized_reverse(r, raw[2]));
        assert_eq!(reversed([0, 1, 3]), [100, 67, 0]);
        assert_eq!(normalized_reverse(0, 0), 100);
        assert_eq!([0, 20, 70].map(|r| normalized(r, 70)), [0, 28, 100]);
        assert_eq!(normalized(0, 0), 0);
    }

    #[test]
    fn starts_move_on_as_in_v3() {
        let step = |start: &usize| Some(next_start(*start, feasible_max(300, 0), 300));
        let starts: Vec<usize> = std::iter::successors(Some(0), step).take(6).collect();
        assert_eq!(starts, [0, 144, 288, 132, 276, 120]);
    }
}
