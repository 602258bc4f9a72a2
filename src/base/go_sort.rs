//! The order that Go's `sort.Slice` leaves equal elements in.
//!
//! The sort is not stable, but the same input always comes out the same, and what Kubernetes does
//! with the result may depend on it. This is a pattern-defeating quicksort (O. Peters, 2021) with
//! Go's constants: short ranges by insertion, a pivot from three or nine places, ranges that look
//! sorted tried by insertion first, a few swaps against bad patterns, heapsort as the last resort.
//!
//! Source: the behaviour of go1.26 `sort.Slice`; the vectors in the tests come from it.

/// Sorts as Go's `sort.Slice` does: equal elements end up where they do there.
pub fn sort<T>(items: &mut [T], less: impl Fn(&T, &T) -> bool) {
    let depth = bits(items.len());
    let len = items.len();
    Sorter { items, less }.quick(0, len, depth);
}

/// Up to this length a range is sorted by insertion.
const INSERTION_MAX: usize = 12;
/// From this length on a pivot is taken of nine places, and a range that looks sorted is mended.
const LONG: usize = 50;

/// How many binary digits a number has.
const fn bits(number: usize) -> u32 {
    usize::BITS - number.leading_zeros()
}

/// How a range looked when its pivot was chosen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pattern {
    Unknown,
    Rising,
    Falling,
}

/// A range of the items; places are counted from its beginning.
struct Sorter<'a, T, L> {
    items: &'a mut [T],
    less: L,
}

impl<T, L: Fn(&T, &T) -> bool> Sorter<'_, T, L> {
    fn is_less(&self, a: usize, b: usize) -> bool {
        (self.less)(&self.items[a], &self.items[b])
    }

    fn part(&mut self, from: usize, to: usize) -> Sorter<'_, T, &L> {
        Sorter { items: &mut self.items[from..to], less: &self.less }
    }

    /// Sorts a range. What stands before it is not greater; if the pivot is not greater than that
    /// either, many are equal. `depth`: how many bad partitions are borne.
    fn quick(&mut self, mut from: usize, mut to: usize, mut depth: u32) {
        let (mut is_balanced, mut is_in_order) = (true, true);
        loop {
            let len = to - from;
            if len <= INSERTION_MAX {
                return self.part(from, to).insertion();
            }
            if depth == 0 {
                return self.part(from, to).heap();
            }
            if !is_balanced {
                self.part(from, to).break_patterns();
                depth -= 1;
            }
            let (mut pivot, mut pattern) = self.part(from, to).pivot();
            if pattern == Pattern::Falling {
                self.items[from..to].reverse();
                (pivot, pattern) = (len - 1 - pivot, Pattern::Rising);
            }
            let looks_sorted = is_balanced && is_in_order && pattern == Pattern::Rising;
            if looks_sorted && self.part(from, to).mend() {
                return;
            }
            if from > 0 && !self.is_less(from - 1, from + pivot) {
                from += self.part(from, to).partition_equal(pivot);
                continue;
            }
            let (left, was_in_order) = self.part(from, to).partition(pivot);
            is_in_order = was_in_order;
            let (middle, right) = (from + left, len - left);
            is_balanced = left.min(right) >= len / 8;
            // The shorter side first, the longer one in the next round.
            if left < right {
                self.quick(from, middle, depth);
                from = middle + 1;
            } else {
                self.quick(middle + 1, to, depth);
                to = middle;
            }
        }
    }

    fn insertion(&mut self) {
        for end in 1..self.items.len() {
            self.sink_left(end);
        }
    }

    /// Moves an element left past all greater ones.
    fn sink_left(&mut self, mut at: usize) {
        while at > 0 && self.is_less(at, at - 1) {
            self.items.swap(at, at - 1);
            at -= 1;
        }
    }

    fn heap(&mut self) {
        let len = self.items.len();
        for root in (0..=(len - 1) / 2).rev() {
            self.sift_down(root, len);
        }
        for end in (0..len).rev() {
            self.items.swap(0, end);
            self.sift_down(0, end);
        }
    }

    fn sift_down(&mut self, mut root: usize, end: usize) {
        loop {
            let mut child = 2 * root + 1;
            if child >= end {
                return;
            }
            if child + 1 < end && self.is_less(child, child + 1) {
                child += 1;
            }
            if !self.is_less(root, child) {
                return;
            }
            self.items.swap(root, child);
            root = child;
        }
    }

    /// Swaps three elements of the middle with three places of a fixed pseudo-random row.
    fn break_patterns(&mut self) {
        let len = self.items.len();
        if len < 8 {
            return;
        }
        let mut word = super::cast::u64_of(len);
        let below = (1_usize << bits(len)) - 1;
        let first = len / 4 * 2 - 1;
        for step in 0..3 {
            word ^= word << 13;
            word ^= word >> 7;
            word ^= word << 17;
            let low = super::cast::u64_of(below) & word;
            let mut other = super::cast::usize_of(u32::try_from(low).unwrap_or(u32::MAX));
            if other >= len {
                other -= len;
            }
            self.items.swap(first + step, other);
        }
    }

    /// The place of the pivot, and what the places that were compared look like.
    fn pivot(&self) -> (usize, Pattern) {
        const SWAPS_MAX: u32 = 12;
        let quarter = self.items.len() / 4;
        let mut places = [quarter, 2 * quarter, 3 * quarter];
        let mut swaps = 0;
        if self.items.len() >= LONG {
            places = places.map(|at| self.median([at - 1, at, at + 1], &mut swaps));
        }
        let pivot = self.median(places, &mut swaps);
        let pattern = match swaps {
            0 => Pattern::Rising,
            SWAPS_MAX => Pattern::Falling,
            _ => Pattern::Unknown,
        };
        (pivot, pattern)
    }

    /// The place of the middle one of three elements; counts the exchanges that sorted them.
    fn median(&self, of: [usize; 3], swaps: &mut u32) -> usize {
        let mut of = of;
        for (a, b) in [(0, 1), (1, 2), (0, 1)] {
            if self.is_less(of[b], of[a]) {
                of.swap(a, b);
                *swaps += 1;
            }
        }
        of[1]
    }

    /// Tries to finish a range that is nearly sorted; gives whether it is.
    fn mend(&mut self) -> bool {
        const STEPS_MAX: u32 = 5;
        let len = self.items.len();
        let mut at = 1;
        for _ in 0..STEPS_MAX {
            while at < len && !self.is_less(at, at - 1) {
                at += 1;
            }
            if at == len {
                return true;
            }
            if len < LONG {
                return false;
            }
            self.items.swap(at, at - 1);
            self.sink_left(at - 1);
            let mut right = at + 1;
            while right < len && self.is_less(right, right - 1) {
                self.items.swap(right, right - 1);
                right += 1;
            }
        }
        false
    }

    /// Smaller elements to the left of the pivot, the others to the right; gives the pivot's place
    /// and whether nothing had to move.
    fn partition(&mut self, pivot: usize) -> (usize, bool) {
        self.items.swap(0, pivot);
        let (mut left, mut right) = (1, self.items.len() - 1);
        let mut is_in_order = true;
        loop {
            while left <= right && self.is_less(left, 0) {
                left += 1;
            }
            while left <= right && !self.is_less(right, 0) {
                right -= 1;
            }
            if left > right {
                self.items.swap(right, 0);
                return (right, is_in_order);
            }
            self.items.swap(left, right);
            is_in_order = false;
            left += 1;
            right -= 1;
        }
    }

    /// Elements equal to the pivot to the left, greater ones to the right; gives the first of the
    /// latter. None is smaller.
    fn partition_equal(&mut self, pivot: usize) -> usize {
        self.items.swap(0, pivot);
        let (mut left, mut right) = (1, self.items.len() - 1);
        loop {
            while left <= right && !self.is_less(0, left) {
                left += 1;
            }
            while left <= right && self.is_less(0, right) {
                right -= 1;
            }
            if left > right {
                return left;
            }
            self.items.swap(left, right);
            left += 1;
            right -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys and numbers of elements in one of six patterns, as the program that made the vectors.
    fn elements(len: usize, keys: usize, kind: usize) -> Vec<(usize, usize)> {
        let mut state = (len * 1000 + keys * 10 + kind + 1) as u64;
        let mut key = |at: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            match kind {
                1 => at * keys / len,
                2 => (len - at) * keys / len,
                3 => at % keys,
                4 if at < len / 2 => at,
                4 => len - at,
                5 if at % 17 == 3 => 0,
                5 => at * keys / len,
                _ => usize::try_from((state >> 33) % keys as u64).expect("a small key"),
            }
        };
        (0..len).map(|at| (key(at), at)).collect()
    }

    /// FNV over the numbers in their order.
    fn fingerprint(sorted: &[(usize, usize)]) -> u64 {
        sorted.iter().fold(14_695_981_039_346_656_037, |hash, (_, number)| {
            (hash ^ *number as u64).wrapping_mul(1_099_511_628_211)
        })
    }

    #[test]
    fn equal_elements_stand_where_go_puts_them() {
        for line in include_str!("go_sort_vectors.txt").lines().filter(|l| !l.starts_with("//")) {
            let mut words = line.split(' ');
            let mut number = || words.next().expect("four words");
            let [len, keys, kind] = [(); 3].map(|()| number().parse().expect("a number"));
            let expected = u64::from_str_radix(number(), 16).expect("a fingerprint");
            let mut items = elements(len, keys, kind);
            sort(&mut items, |a, b| a.0 < b.0);
            assert!(items.is_sorted_by_key(|item| item.0), "{line}");
            assert_eq!(fingerprint(&items), expected, "{line}");
        }
    }

    #[test]
    fn the_last_resort_sorts_too() {
        let mut items = elements(300, 40, 0);
        Sorter { items: &mut items[..], less: |a: &(usize, usize), b: &(usize, usize)| a.0 < b.0 }
            .quick(0, 300, 0);
        assert!(items.is_sorted_by_key(|item| item.0));
    }
}
