//! A table of objects that have names: ids are not used again.

use crate::base::{Id, IdVec, LookupMap};
use crate::model::ObjectName;

/// Rows by id and by name; a deleted one leaves a gap.
#[derive(Debug)]
pub struct Registry<I: Id, T> {
    rows: IdVec<I, Option<T>>,
    by_name: LookupMap<ObjectName, I>,
}

impl<I: Id, T> Registry<I, T> {
    /// Without rows.
    pub(super) fn new() -> Self {
        Self { rows: IdVec::new(), by_name: LookupMap::new() }
    }

    /// A row; `None` once deleted.
    #[must_use]
    pub fn get(&self, id: I) -> Option<&T> {
        (id.index() < self.rows.len()).then(|| self.rows[id].as_ref()).flatten()
    }

    /// The row of a name, as long as it is there.
    #[must_use]
    pub fn named(&self, name: ObjectName) -> Option<I> {
        let id = self.by_name.get(&name).copied()?;
        self.get(id).map(|_| id)
    }

    /// All rows that are there, in order of creation.
    pub fn iter(&self) -> impl Iterator<Item = (I, &T)> {
        self.rows.enumerate().filter_map(|(id, row)| row.as_ref().map(|row| (id, row)))
    }

    pub(super) fn get_mut(&mut self, id: I) -> Option<&mut T> {
        self.rows[id].as_mut()
    }

    pub(super) fn insert(&mut self, name: ObjectName, row: T) -> I {
        let id = self.rows.push(Some(row));
        self.by_name.insert(name, id);
        id
    }

    pub(super) fn remove(&mut self, id: I) -> Option<T> {
        self.rows[id].take()
    }
}
