//! The instant being worked: its waiting events by (rank, order of arrival).
//!
//! What arrives has ascending sequence numbers, so a first-in-first-out row a rank is the order
//! itself: nothing is compared.

use std::collections::VecDeque;

use super::queue_future::KEEP_LEN;

/// The waiting events of one instant.
#[derive(Debug)]
pub(super) struct Instant<E> {
    rows: Vec<VecDeque<E>>,
    /// A bit for each rank that waits.
    waiting: [u64; 4],
    len: usize,
}

impl<E: Copy> Instant<E> {
    pub(super) const fn new() -> Self {
        Self { rows: Vec::new(), waiting: [0; 4], len: 0 }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub(super) fn push(&mut self, rank: u8, event: E) {
        let row = usize::from(rank);
        if row >= self.rows.len() {
            self.rows.resize_with(row + 1, VecDeque::new);
        }
        self.rows[row].push_back(event);
        self.waiting[row / 64] |= 1 << (row % 64);
        self.len += 1;
    }

    /// What is next of an event that came before all that wait, the least of whose ranks is given.
    #[inline]
    pub(super) fn first_or(&mut self, rank: u8, first: E, least: u8) -> E {
        if rank <= least {
            return first;
        }
        let next = self.pop().expect("one of the least rank waits");
        self.push(rank, first);
        self.rows[usize::from(rank)].rotate_right(1);
        next
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<E> {
        let word = self.waiting.iter().position(|&word| word != 0)?;
        let row = &mut self.rows[word * 64 + self.waiting[word].trailing_zeros() as usize];
        let event = row.pop_front();
        if row.is_empty() {
            self.waiting[word] &= self.waiting[word] - 1;
            if row.capacity() > KEEP_LEN {
                row.shrink_to(0);
            }
        }
        self.len -= 1;
        event
    }
}
