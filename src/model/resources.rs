//! Amounts of resources: what pods ask for and nodes have.

use smallvec::SmallVec;

use crate::base::{Bytes, MilliCpu, Symbol};

/// Amounts by resource. CPU in millicores, memory and ephemeral storage in bytes, the others
/// (extended resources, hugepages) in whole units, sorted by symbol, each name once.
///
/// Source: kubernetes v1.36.3 pkg/scheduler/framework/types.go `Resource` (rule S80).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Resources {
    /// CPU.
    pub cpu: MilliCpu,
    /// Memory.
    pub memory: Bytes,
    /// Ephemeral storage.
    pub ephemeral_storage: Bytes,
    /// Everything else by name. A name may stand with 0: it was asked for.
    pub scalars: SmallVec<[(Symbol, i64); 1]>,
}

impl Resources {
    /// The amount of one of the other resources; 0 if it is not named.
    #[must_use]
    pub fn scalar(&self, name: Symbol) -> i64 {
        self.scalars.iter().find(|(n, _)| *n == name).map_or(0, |(_, amount)| *amount)
    }

    /// Adds `amount` of one of the other resources.
    pub fn add_scalar(&mut self, name: Symbol, amount: i64) {
        match self.scalars.binary_search_by_key(&name, |(n, _)| *n) {
            Ok(at) => self.scalars[at].1 += amount,
            Err(at) => self.scalars.insert(at, (name, amount)),
        }
    }

    /// Adds all of `other`.
    pub fn add(&mut self, other: &Self) {
        self.cpu.0 += other.cpu.0;
        self.memory.0 += other.memory.0;
        self.ephemeral_storage.0 += other.ephemeral_storage.0;
        for (name, amount) in &other.scalars {
            self.add_scalar(*name, *amount);
        }
    }

    /// Takes all of `other` away. Amounts may become negative: a node can be overcommitted.
    pub fn subtract(&mut self, other: &Self) {
        self.cpu.0 -= other.cpu.0;
        self.memory.0 -= other.memory.0;
        self.ephemeral_storage.0 -= other.ephemeral_storage.0;
        for (name, amount) in &other.scalars {
            self.add_scalar(*name, -*amount);
        }
    }
}
