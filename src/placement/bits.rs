//! Sets of places as words of bits.

use crate::base::cast;

/// Bits of a word.
pub(super) const WORD: usize = 64;

/// Which places of a word a search that starts at a place looks at, in the word number `step` from
/// that of the start: what stands before the start comes at the end.
pub(super) const fn mask_of(step: usize, words: usize, start: usize) -> u64 {
    let from_start = u64::MAX << (start % WORD);
    if step == 0 {
        from_start
    } else if step == words {
        !from_start
    } else {
        u64::MAX
    }
}

/// The places of the bits that are set, upwards.
pub(super) fn ones(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        if bits == 0 {
            return None;
        }
        let bit = cast::usize_of(bits.trailing_zeros());
        bits &= bits - 1;
        Some(bit)
    })
}

/// The place of the set bit number `n`, counted from 0.
pub(super) fn nth_bit(mut bits: u64, n: usize) -> usize {
    if bits == u64::MAX {
        return n;
    }
    for _ in 0..n {
        bits &= bits - 1;
    }
    cast::usize_of(bits.trailing_zeros())
}
