//! Dense ids, tables indexed by their own id only, and slots that are used again.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

/// A dense id: a `u32` that counts from zero within its kind.
pub trait Id: Copy + Eq + Ord + Hash + fmt::Debug {
    /// The place in a table.
    fn index(self) -> usize;
    /// The id of a place in a table.
    fn from_index(index: usize) -> Self;
}

/// Makes an id type: `id_type!(PodId, "One pod's slot.");`.
macro_rules! id_type {
    ($name:ident, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u32);

        impl $name {
            /// The id with this number.
            pub const fn new(number: u32) -> Self {
                Self(number)
            }

            /// The place in a table.
            pub const fn index(self) -> usize {
                $crate::base::cast::usize_of(self.0)
            }

            /// The number itself.
            pub const fn number(self) -> u32 {
                self.0
            }
        }

        impl $crate::base::ids::Id for $name {
            fn index(self) -> usize {
                $crate::base::cast::usize_of(self.0)
            }
            fn from_index(index: usize) -> Self {
                Self($crate::base::cast::u32_of(index))
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    };
}
pub(crate) use id_type;

/// A table with one entry an id, indexed by its own id only.
#[derive(Clone, PartialEq, Eq)]
pub struct IdVec<I, T> {
    rows: Vec<T>,
    kind: PhantomData<fn() -> I>,
}

impl<I: Id, T> IdVec<I, T> {
    /// An empty table.
    pub const fn new() -> Self {
        Self { rows: Vec::new(), kind: PhantomData }
    }

    /// An empty table with room for that many entries.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { rows: Vec::with_capacity(capacity), kind: PhantomData }
    }

    /// A table of `len` equal entries.
    pub fn filled(value: T, len: usize) -> Self
    where
        T: Clone,
    {
        Self { rows: vec![value; len], kind: PhantomData }
    }

    /// Adds an entry and gives its id.
    pub fn push(&mut self, value: T) -> I {
        let id = I::from_index(self.rows.len());
        self.rows.push(value);
        id
    }

    /// The id that the next `push` will give.
    pub fn next_id(&self) -> I {
        I::from_index(self.rows.len())
    }

    /// The entry, if there is one.
    pub fn get(&self, id: I) -> Option<&T> {
        self.rows.get(id.index())
    }

    /// The entry, if there is one.
    pub fn get_mut(&mut self, id: I) -> Option<&mut T> {
        self.rows.get_mut(id.index())
    }

    /// The entry, after growing the table with defaults up to it.
    pub fn grow_to(&mut self, id: I) -> &mut T
    where
        T: Default,
    {
        if self.rows.len() <= id.index() {
            self.rows.resize_with(id.index() + 1, T::default);
        }
        &mut self.rows[id.index()]
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The entries in id order.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.rows.iter()
    }

    /// The entries in id order.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, T> {
        self.rows.iter_mut()
    }

    /// The ids in order.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = I> + ExactSizeIterator + use<I, T> {
        (0..self.rows.len()).map(I::from_index)
    }

    /// Ids with their entries, in order.
    pub fn enumerate(&self) -> impl DoubleEndedIterator<Item = (I, &T)> + ExactSizeIterator {
        self.rows.iter().enumerate().map(|(index, row)| (I::from_index(index), row))
    }

    /// Ids with their entries, in order.
    pub fn enumerate_mut(
        &mut self,
    ) -> impl DoubleEndedIterator<Item = (I, &mut T)> + ExactSizeIterator {
        self.rows.iter_mut().enumerate().map(|(index, row)| (I::from_index(index), row))
    }

    /// The entries in id order.
    pub fn as_slice(&self) -> &[T] {
        &self.rows
    }

    /// Forgets all entries; keeps the room.
    pub fn clear(&mut self) {
        self.rows.clear();
    }
}

impl<I: Id, T> Default for IdVec<I, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<I, T: fmt::Debug> fmt::Debug for IdVec<I, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.rows).finish()
    }
}

impl<I, T> From<Vec<T>> for IdVec<I, T> {
    fn from(rows: Vec<T>) -> Self {
        Self { rows, kind: PhantomData }
    }
}

impl<I, T> FromIterator<T> for IdVec<I, T> {
    fn from_iter<F: IntoIterator<Item = T>>(rows: F) -> Self {
        Self { rows: rows.into_iter().collect(), kind: PhantomData }
    }
}

impl<'a, I: Id, T> IntoIterator for &'a IdVec<I, T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.rows.iter()
    }
}

impl<I: Id, T> Index<I> for IdVec<I, T> {
    type Output = T;
    fn index(&self, id: I) -> &T {
        &self.rows[id.index()]
    }
}

impl<I: Id, T> IndexMut<I> for IdVec<I, T> {
    fn index_mut(&mut self, id: I) -> &mut T {
        &mut self.rows[id.index()]
    }
}

/// A reference that outlives its thing: a slot and which life of the slot is meant.
///
/// What waits (an event, a late watcher) holds one of these, because slots are used again.
pub struct Ref<I> {
    /// The slot.
    pub id: I,
    /// Which of the slot's lives, from 0.
    pub life: u32,
}

impl<I: Copy> Copy for Ref<I> {}
impl<I: Copy> Clone for Ref<I> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<I: PartialEq> PartialEq for Ref<I> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.life == other.life
    }
}
impl<I: Eq> Eq for Ref<I> {}
impl<I: Ord> PartialOrd for Ref<I> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<I: Ord> Ord for Ref<I> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (&self.id, self.life).cmp(&(&other.id, other.life))
    }
}
impl<I: Hash> Hash for Ref<I> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
        self.life.hash(state);
    }
}
impl<I: fmt::Debug> fmt::Debug for Ref<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}#{}", self.id, self.life)
    }
}

/// Slots of things that come and go: the last one freed is used first, and each use is another
/// life of the slot. Memory is that of the most that ever lived at once.
#[derive(Clone)]
pub struct Slots<I, T> {
    slots: Vec<Slot<T>>,
    free: Vec<I>,
}

#[derive(Clone)]
struct Slot<T> {
    life: u32,
    value: Option<T>,
}

impl<I: Id, T> Slots<I, T> {
    /// No slots.
    pub const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    /// The reference that the next `insert` will give.
    pub fn next_ref(&self) -> Ref<I> {
        match self.free.last() {
            Some(&id) => Ref { id, life: self.slots[id.index()].life + 1 },
            None => Ref { id: I::from_index(self.slots.len()), life: 0 },
        }
    }

    /// Puts a thing into the slot freed last, or into a new one.
    pub fn insert(&mut self, value: T) -> Ref<I> {
        if let Some(id) = self.free.pop() {
            let slot = &mut self.slots[id.index()];
            slot.life += 1;
            slot.value = Some(value);
            return Ref { id, life: slot.life };
        }
        let id = I::from_index(self.slots.len());
        self.slots.push(Slot { life: 0, value: Some(value) });
        Ref { id, life: 0 }
    }

    /// Takes the thing out and frees its slot.
    ///
    /// # Panics
    /// When the slot is empty: the caller lost track of what lives.
    pub fn remove(&mut self, id: I) -> T {
        let value = self.slots.get_mut(id.index()).and_then(|slot| slot.value.take());
        let Some(value) = value else { panic!("{id:?} was removed, but nothing lives there") };
        self.free.push(id);
        value
    }

    /// The thing meant; none when it is gone, also when another lives in its slot.
    pub fn get(&self, what: Ref<I>) -> Option<&T> {
        let slot = self.slots.get(what.id.index())?;
        if slot.life == what.life { slot.value.as_ref() } else { None }
    }

    /// The thing meant; none when it is gone, also when another lives in its slot.
    pub fn get_mut(&mut self, what: Ref<I>) -> Option<&mut T> {
        let slot = self.slots.get_mut(what.id.index())?;
        if slot.life == what.life { slot.value.as_mut() } else { None }
    }

    /// Whatever lives in the slot now.
    pub fn at(&self, id: I) -> Option<&T> {
        self.slots.get(id.index())?.value.as_ref()
    }

    /// Whatever lives in the slot now.
    pub fn at_mut(&mut self, id: I) -> Option<&mut T> {
        self.slots.get_mut(id.index())?.value.as_mut()
    }

    /// True while the thing meant lives.
    pub fn contains(&self, what: Ref<I>) -> bool {
        self.get(what).is_some()
    }

    /// The present life of a slot, the last one when it is empty.
    pub fn life(&self, id: I) -> u32 {
        self.slots[id.index()].life
    }

    /// The reference to whatever lives in the slot now.
    pub fn refer(&self, id: I) -> Ref<I> {
        Ref { id, life: self.life(id) }
    }

    /// How many live.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// True when none lives.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many slots there are, live or free: one more than the highest index ever used.
    pub fn capacity_slots(&self) -> usize {
        self.slots.len()
    }

    /// What lives, with ids, in id order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (I, &T)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            slot.value.as_ref().map(|value| (I::from_index(index), value))
        })
    }

    /// What lives, with ids, in id order.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (I, &mut T)> {
        self.slots.iter_mut().enumerate().filter_map(|(index, slot)| {
            slot.value.as_mut().map(|value| (I::from_index(index), value))
        })
    }

    /// The ids of what lives, in order.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = I> {
        self.iter().map(|(id, _)| id)
    }
}

impl<I: Id, T> Default for Slots<I, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<I: Id, T: fmt::Debug> fmt::Debug for Slots<I, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<I: Id, T> Index<I> for Slots<I, T> {
    type Output = T;
    fn index(&self, id: I) -> &T {
        match self.at(id) {
            Some(value) => value,
            None => panic!("nothing lives in {id:?}"),
        }
    }
}

impl<I: Id, T> IndexMut<I> for Slots<I, T> {
    fn index_mut(&mut self, id: I) -> &mut T {
        match self.at_mut(id) {
            Some(value) => value,
            None => panic!("nothing lives in {id:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Symbol;

    #[test]
    fn a_table_is_indexed_by_its_own_id() {
        let mut ships: IdVec<Symbol, &str> = IdVec::new();
        let first = ships.push("Argo");
        let second = ships.push("Beagle");
        assert_eq!((ships[first], ships[second]), ("Argo", "Beagle"));
        assert_eq!(ships.ids().collect::<Vec<_>>(), [first, second]);
        assert_eq!(format!("{second:?}"), "Symbol(1)");
        assert_eq!(ships.get(Symbol::new(2)), None);
        *ships.grow_to(Symbol::new(3)) = "Calypso";
        assert_eq!(ships.as_slice(), ["Argo", "Beagle", "", "Calypso"]);
    }

    #[test]
    fn the_slot_freed_last_is_used_first_and_lives_again() {
        let mut ships: Slots<Symbol, &str> = Slots::new();
        let argo = ships.insert("Argo");
        let beagle = ships.insert("Beagle");
        ships.insert("Calypso");
        assert_eq!(ships.remove(argo.id), "Argo");
        assert_eq!(ships.remove(beagle.id), "Beagle");
        assert_eq!((ships.get(beagle), ships.life(beagle.id)), (None, 0));
        let next = ships.next_ref();
        let dart = ships.insert("Dart");
        assert_eq!(dart, next);
        assert_eq!(dart, Ref { id: beagle.id, life: 1 });
        assert_eq!((ships.get(beagle), ships.get(dart)), (None, Some(&"Dart")));
        assert_eq!((ships.len(), ships.capacity_slots()), (2, 3));
        let alive: Vec<_> = ships.iter().map(|(id, name)| (id.index(), *name)).collect();
        assert_eq!(alive, [(1, "Dart"), (2, "Calypso")]);
    }

    #[test]
    #[should_panic(expected = "Symbol(0) was removed, but nothing lives there")]
    fn a_slot_is_freed_once() {
        let mut ships: Slots<Symbol, u8> = Slots::new();
        let only = ships.insert(1);
        ships.remove(only.id);
        ships.remove(only.id);
    }
}
