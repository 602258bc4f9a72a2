//! Hash maps for look-up only.
//!
//! They offer no iteration, so the order of a hash table can never reach a result.

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;

use rustc_hash::{FxHashMap, FxHashSet};

/// A map from keys to values that can be asked and changed by key only.
#[derive(Clone)]
pub struct LookupMap<K, V>(FxHashMap<K, V>);

impl<K: Eq + Hash, V> LookupMap<K, V> {
    /// An empty map.
    pub fn new() -> Self {
        Self(FxHashMap::default())
    }

    /// An empty map with room for that many keys.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(FxHashMap::with_capacity_and_hasher(capacity, rustc_hash::FxBuildHasher))
    }

    /// The value of a key.
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.0.get(key)
    }

    /// The value of a key.
    pub fn get_mut<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.0.get_mut(key)
    }

    /// True when the key has a value.
    pub fn contains<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.contains_key(key)
    }

    /// Sets the value of a key; gives the one before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.0.insert(key, value)
    }

    /// Takes a key out; gives its value.
    pub fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.0.remove(key)
    }

    /// The value of a key, made first when there is none.
    pub fn or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        self.0.entry(key).or_insert_with(make)
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets all keys; keeps the room.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl<K: Eq + Hash, V> Default for LookupMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> fmt::Debug for LookupMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LookupMap({} keys)", self.0.len())
    }
}

/// A set that can be asked and changed by key only.
#[derive(Clone)]
pub struct LookupSet<K>(FxHashSet<K>);

impl<K: Eq + Hash> LookupSet<K> {
    /// An empty set.
    pub fn new() -> Self {
        Self(FxHashSet::default())
    }

    /// True when the key is in the set.
    pub fn contains<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.contains(key)
    }

    /// Puts a key in; true when it is new.
    pub fn insert(&mut self, key: K) -> bool {
        self.0.insert(key)
    }

    /// Takes a key out; true when it was there.
    pub fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.remove(key)
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets all keys; keeps the room.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl<K: Eq + Hash> Default for LookupSet<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K> fmt::Debug for LookupSet<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LookupSet({} keys)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_up_by_key() {
        let mut ages: LookupMap<String, u32> = LookupMap::new();
        assert_eq!(ages.insert("ada".to_owned(), 36), None);
        *ages.or_insert_with("bob".to_owned(), || 1) += 1;
        assert_eq!(
            (ages.get("ada"), ages.get("bob"), ages.get("eve")),
            (Some(&36), Some(&2), None)
        );
        assert_eq!((ages.remove("ada"), ages.len()), (Some(36), 1));

        let mut seen = LookupSet::new();
        assert!(seen.insert(7) && !seen.insert(7) && seen.remove(&7) && seen.is_empty());
    }
}
