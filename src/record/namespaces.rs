//! What became of a namespace that was deleted.

use crate::base::SimTime;

/// A namespace that was deleted, told when it is gone or the run ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceRecord {
    /// Its name.
    pub name: String,
    /// When it was deleted.
    pub deleted: SimTime,
    /// When it was gone; `None`: it is terminating still.
    pub gone: Option<SimTime>,
    /// Pods that are left in it.
    pub pods_left: u32,
}
