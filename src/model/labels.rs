//! Labels, selectors and the requirements of node affinity, with all text interned.

use smallvec::SmallVec;

use crate::base::{Interner, Symbol};

/// Labels of one object: key and value, sorted by key's symbol, each key once.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(SmallVec<[(Symbol, Symbol); 4]>);

impl Labels {
    /// From pairs in any order; of a key that stands twice the last counts.
    #[must_use]
    pub fn new(pairs: impl IntoIterator<Item = (Symbol, Symbol)>) -> Self {
        let mut labels = Self::default();
        for (key, value) in pairs {
            labels.set(key, value);
        }
        labels
    }

    /// The value of a label.
    #[must_use]
    pub fn get(&self, key: Symbol) -> Option<Symbol> {
        self.0.binary_search_by_key(&key, |(k, _)| *k).ok().map(|at| self.0[at].1)
    }

    /// Whether all of `wanted` are among these, with the same values.
    #[must_use]
    pub fn has_all(&self, wanted: &Self) -> bool {
        wanted.iter().all(|(key, value)| self.get(key) == Some(value))
    }

    /// Sets a label.
    pub fn set(&mut self, key: Symbol, value: Symbol) {
        match self.0.binary_search_by_key(&key, |(k, _)| *k) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (key, value)),
        }
    }

    /// Removes a label.
    pub fn remove(&mut self, key: Symbol) {
        self.0.retain(|(k, _)| *k != key);
    }

    /// All pairs, by key's symbol (an order without meaning, the same in each run).
    pub fn iter(&self) -> impl Iterator<Item = (Symbol, Symbol)> + '_ {
        self.0.iter().copied()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What one expression asks of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// The label is there and its value is listed.
    In,
    /// The label is absent or its value is not listed.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is absent.
    DoesNotExist,
    /// The label is a whole number greater than the one given (node affinity only).
    Gt,
    /// The label is a whole number less than the one given (node affinity only).
    Lt,
}

/// One expression of a selector.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requirement {
    /// The label.
    pub key: Symbol,
    /// What is asked of it.
    pub operator: Operator,
    /// The values, as written; of `Gt` and `Lt` exactly one.
    pub values: SmallVec<[Symbol; 2]>,
}

impl Requirement {
    /// Whether the labels meet it. `names` is asked for text by `Gt` and `Lt` only.
    ///
    /// Source: kubernetes v1.36.3 apimachinery/pkg/labels/selector.go `Requirement.Matches`
    /// (rule S98).
    #[must_use]
    pub fn matches(&self, labels: &Labels, names: &Interner) -> bool {
        let value = labels.get(self.key);
        match self.operator {
            Operator::In => value.is_some_and(|v| self.values.contains(&v)),
            Operator::NotIn => value.is_none_or(|v| !self.values.contains(&v)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::Gt | Operator::Lt => value.is_some_and(|v| self.compares(v, names)),
        }
    }

    fn compares(&self, value: Symbol, names: &Interner) -> bool {
        let number = |symbol: Symbol| names.resolve(symbol).parse::<i64>().ok();
        let (Some(left), Some(right)) =
            (number(value), self.values.first().and_then(|s| number(*s)))
        else {
            return false;
        };
        if self.operator == Operator::Gt { left > right } else { left < right }
    }
}

/// A label selector: everything must hold. Without requirements it selects all; a selector that
/// selects nothing (a null one) is `None` where selectors are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Selector(pub Vec<Requirement>);

impl Selector {
    /// Whether the labels are selected.
    #[must_use]
    pub fn matches(&self, labels: &Labels, names: &Interner) -> bool {
        self.0.iter().all(|requirement| requirement.matches(labels, names))
    }

    /// The selector that wants each of these labels.
    #[must_use]
    pub fn from_labels(labels: &Labels) -> Self {
        let requirement = |(key, value)| Requirement {
            key,
            operator: Operator::In,
            values: SmallVec::from_slice(&[value]),
        };
        Self(labels.iter().map(requirement).collect())
    }
}
