//! The future: all that happens later than now, ordered by (time, sequence).
//!
//! It is a radix wheel with a small sorted buffer in front.
//!
//! ```text
//!   push ──► t <= near_last ? ──yes──► near: sorted, soonest last ──pop──►
//!                 │ no                   ▲            │ grown past SPILL_LEN
//!                 ▼                      │ refill     ▼
//!   wheel: level = highest digit (base 256) in which t differs from base; slot = that digit of t
//! ```
//!
//! * `base` is a past value of the clock. It moves only when the clock is about to move there, so no
//!   push can ever come before it.
//! * Every level's slots lie after all slots of the levels below it. The first slot of the lowest
//!   level in use is therefore next: if it is small it is sorted into `near` (with as many of its
//!   neighbours as are small too), if it is big it is spread over the levels below.
//! * An event moves down at most once a level, eight times in all, so no pattern of times is
//!   quadratic. Events of one time share a slot always, and slots are first in, first out.
//! * Slots are chains of blocks in one arena; freed blocks are used again at once. There is no
//!   allocation per event.

/// The time that no event has: an empty structure's minimum.
pub(super) const NEVER: u64 = u64::MAX;

/// An event waiting for its time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<E> {
    /// When, in nanoseconds.
    pub(super) at: u64,
    /// The number of its insertion.
    pub(super) seq: u64,
    /// What.
    pub(super) event: E,
}

/// Binary digits of time that one level resolves.
const BITS: u32 = 8;
/// Slots of a level.
const SLOTS: usize = 1 << BITS;
/// Levels that cover 64 bits.
const LEVELS: usize = 64usize.div_ceil(BITS as usize);
/// Words of a level's map of slots in use.
const WORDS: usize = SLOTS.div_ceil(64);
/// Entries of a block.
const BLOCK: u32 = 32;
/// No block.
const NIL: u32 = u32::MAX;
/// A refill sorts at most so many entries, except those of one single instant.
const NEAR_LEN: usize = 32;
/// The sorted buffer goes back into the wheel when it has grown past this.
const SPILL_LEN: usize = 2 * NEAR_LEN;
/// Memory for more entries than this is given back when a structure is empty.
pub(super) const KEEP_LEN: usize = 1 << 14;

/// A first-in-first-out chain of blocks.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The earliest time in it; `NEVER` when empty.
    min: u64,
    head: u32,
    tail: u32,
    len: u32,
}

impl Slot {
    const EMPTY: Self = Self { min: NEVER, head: NIL, tail: NIL, len: 0 };
}

/// Blocks of entries, chained by index.
#[derive(Debug)]
struct Arena<E> {
    entries: Vec<Entry<E>>,
    next: Vec<u32>,
    free: u32,
}

impl<E: Copy> Arena<E> {
    const fn new() -> Self {
        Self { entries: Vec::new(), next: Vec::new(), free: NIL }
    }

    /// A block without a successor; `fill` only initialises new memory.
    fn alloc(&mut self, fill: Entry<E>) -> u32 {
        let block = self.free;
        if block == NIL {
            let block = u32::try_from(self.next.len()).expect("fewer than 2^32 blocks");
            self.entries.resize(self.entries.len() + BLOCK as usize, fill);
            self.next.push(NIL);
            return block;
        }
        self.free = std::mem::replace(&mut self.next[block as usize], NIL);
        block
    }

    fn release(&mut self, block: u32) {
        self.next[block as usize] = self.free;
        self.free = block;
    }

    #[inline]
    fn append(&mut self, slot: &mut Slot, entry: Entry<E>) {
        let offset = slot.len % BLOCK;
        if offset == 0 {
            let block = self.alloc(entry);
            if slot.len == 0 {
                slot.head = block;
            } else {
                self.next[slot.tail as usize] = block;
            }
            slot.tail = block;
        }
        self.entries[slot.tail as usize * BLOCK as usize + offset as usize] = entry;
        slot.len = slot.len.checked_add(1).expect("fewer than 2^32 events in a slot");
        slot.min = slot.min.min(entry.at);
    }

    /// Takes the first block off a chain: its entries, to be read before the next `append`.
    fn shift(&mut self, slot: &mut Slot) -> (u32, std::ops::Range<usize>) {
        let block = slot.head;
        let start = block as usize * BLOCK as usize;
        let len = BLOCK.min(slot.len) as usize;
        slot.head = self.next[block as usize];
        slot.len = slot.len.saturating_sub(BLOCK);
        (block, start..start + len)
    }
}

/// The digit of a time that a level resolves.
#[inline]
fn digit(at: u64, level: u32) -> usize {
    (at >> (level * BITS)).to_le_bytes()[0].into()
}

/// All slots, on the heap from the start.
fn empty_slots() -> Box<[[Slot; SLOTS]; LEVELS]> {
    let slots = vec![[Slot::EMPTY; SLOTS]; LEVELS].into_boxed_slice();
    slots.try_into().unwrap_or_else(|_| unreachable!("it was made with so many levels"))
}

/// All later events, by (time, sequence).
#[derive(Debug)]
pub(super) struct Future<E> {
    /// The next events, latest first, so that the soonest is popped off the end.
    near: Vec<Entry<E>>,
    /// `near` holds every entry up to and including this time; the wheel holds the later ones.
    near_last: u64,
    base: u64,
    /// A bit for each level in use.
    levels: u16,
    maps: [[u64; WORDS]; LEVELS],
    slots: Box<[[Slot; SLOTS]; LEVELS]>,
    wheel_len: usize,
    arena: Arena<E>,
}

impl<E: Copy> Future<E> {
    pub(super) fn new() -> Self {
        Self {
            near: Vec::with_capacity(SPILL_LEN + 1),
            near_last: NEVER,
            base: 0,
            levels: 0,
            maps: [[0; WORDS]; LEVELS],
            slots: empty_slots(),
            wheel_len: 0,
            arena: Arena::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.near.len() + self.wheel_len
    }

    /// The earliest time; `NEVER` when nothing waits.
    #[inline]
    pub(super) fn min(&self) -> u64 {
        match self.near.last() {
            Some(entry) => entry.at,
            None => self.first_slot().map_or(NEVER, |(level, slot)| self.slot(level, slot).min),
        }
    }

    /// Adds an entry whose time is after `now` and whose sequence is above all before it.
    #[inline]
    pub(super) fn push(&mut self, entry: Entry<E>, now: u64) {
        if entry.at > self.near_last {
            self.place(entry);
            return;
        }
        let index = self.near.partition_point(|other| other.at > entry.at);
        self.near.insert(index, entry);
        if self.near.len() > SPILL_LEN {
            self.spill(now);
        }
    }

    /// Takes the first entry; the clock must move to its time before the next `push`.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<Entry<E>> {
        if self.near.is_empty() {
            self.refill();
        }
        self.near.pop()
    }

    /// Takes the first entry if its time is `at`, the time of the last one taken.
    #[inline]
    pub(super) fn pop_at(&mut self, at: u64) -> Option<Entry<E>> {
        self.near.pop_if(|entry| entry.at == at)
    }

    /// The earliest time, if it may be the time of the last one taken: `near` held all of that.
    #[inline]
    pub(super) fn near_time(&self) -> u64 {
        self.near.last().map_or(NEVER, |entry| entry.at)
    }

    fn slot(&self, level: u32, slot: usize) -> &Slot {
        &self.slots[level as usize][slot]
    }

    /// The lowest level in use and its first slot.
    #[inline]
    fn first_slot(&self) -> Option<(u32, usize)> {
        if self.levels == 0 {
            return None;
        }
        let level = self.levels.trailing_zeros();
        let word = self.maps[level as usize].iter().position(|&word| word != 0)?;
        Some((level, word * 64 + self.maps[level as usize][word].trailing_zeros() as usize))
    }

    #[inline]
    fn place(&mut self, entry: Entry<E>) {
        let level = ((entry.at ^ self.base) | 1).ilog2() / BITS;
        let slot = digit(entry.at, level);
        self.arena.append(&mut self.slots[level as usize][slot], entry);
        self.maps[level as usize][slot / 64] |= 1 << (slot % 64);
        self.levels |= 1 << level;
        self.wheel_len += 1;
    }

    /// Empties a slot of the wheel and hands over its chain.
    fn take_slot(&mut self, level: u32, slot: usize) -> Slot {
        let chain = std::mem::replace(&mut self.slots[level as usize][slot], Slot::EMPTY);
        self.maps[level as usize][slot / 64] &= !(1 << (slot % 64));
        if self.maps[level as usize] == [0; WORDS] {
            self.levels &= !(1 << level);
        }
        self.wheel_len -= chain.len as usize;
        chain
    }

    /// Brings the next entries into the empty `near`.
    #[cold]
    fn refill(&mut self) {
        if self.near.capacity() > KEEP_LEN {
            self.near.shrink_to(SPILL_LEN + 1);
        }
        while let Some((level, slot)) = self.first_slot() {
            self.base = self.slot(level, slot).min;
            if self.wheel_len <= NEAR_LEN {
                self.gather_all();
                return;
            }
            if level == 0 || self.slot(level, slot).len as usize <= NEAR_LEN {
                self.gather(level, slot);
                return;
            }
            self.spread(level, slot);
        }
    }

    /// Spreads a big slot over the levels below.
    fn spread(&mut self, level: u32, slot: usize) {
        let mut chain = self.take_slot(level, slot);
        while chain.len > 0 {
            let (block, range) = self.arena.shift(&mut chain);
            for index in range {
                let entry = self.arena.entries[index];
                self.place(entry);
            }
            self.arena.release(block);
        }
    }

    /// Sorts a slot into `near`, and the slots after it while they fit.
    fn gather(&mut self, level: u32, first: usize) {
        let mut last = first;
        self.gather_slot(level, first);
        while let Some((next_level, slot)) = self.first_slot() {
            let len = self.near.len() + self.slot(next_level, slot).len as usize;
            if next_level != level || len > NEAR_LEN {
                break;
            }
            self.gather_slot(level, slot);
            last = slot;
        }
        let shift = level * BITS;
        let digits_above = self.base.checked_shr(shift + BITS).unwrap_or(0) << BITS;
        self.near_last = ((digits_above | last as u64) << shift) | ((1 << shift) - 1);
        self.sort_near();
    }

    /// Sorts all that is left into `near`.
    fn gather_all(&mut self) {
        while let Some((level, slot)) = self.first_slot() {
            self.gather_slot(level, slot);
        }
        self.near_last = NEVER;
        if self.arena.entries.len() > KEEP_LEN {
            self.arena = Arena::new();
        }
        self.sort_near();
    }

    fn gather_slot(&mut self, level: u32, slot: usize) {
        let mut chain = self.take_slot(level, slot);
        while chain.len > 0 {
            let (block, range) = self.arena.shift(&mut chain);
            self.near.extend_from_slice(&self.arena.entries[range]);
            self.arena.release(block);
        }
    }

    /// Slots are first in, first out and their times are apart: a stable sort by time is enough.
    fn sort_near(&mut self) {
        self.near.reverse();
        self.near.sort_by_key(|entry| std::cmp::Reverse(entry.at));
    }

    /// Puts a `near` that has grown too long back into the wheel.
    #[cold]
    fn spill(&mut self, now: u64) {
        self.base = now;
        self.near_last = now;
        // Soonest first: entries of one time stay in the order of their sequence.
        while let Some(entry) = self.near.pop() {
            self.place(entry);
        }
    }
}
