//! Sets of label values: what a pool, a pod, an instance type or a node allows of each label.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{Interner, Symbol};
use crate::model::{self, Labels, Operator, Taint, Toleration};

use super::words::Words;

/// What is allowed of one label: listed values, or all but the listed ones, within bounds.
///
/// Source: kubernetes-sigs/karpenter v1.14.1 pkg/scheduling/requirement.go `Requirement` (rule A193).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The label.
    pub key: Symbol,
    /// How many different values the instance types must offer (`minValues`).
    pub min_values: Option<usize>,
    is_complement: bool,
    values: BTreeSet<Symbol>,
    above: Option<i64>,
    below: Option<i64>,
}

/// What a [`Requirement`] amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Some values only.
    In,
    /// All values but some.
    NotIn,
    /// Any value (within bounds).
    Exists,
    /// No value: the label must be absent.
    DoesNotExist,
}

impl Requirement {
    /// What an operator and its values ask. `names` is asked for the number of `Gt` and `Lt`.
    #[must_use]
    pub fn new(
        key: Symbol,
        operator: Operator,
        values: impl IntoIterator<Item = Symbol>,
        names: &Interner,
    ) -> Self {
        let mut all = Self::any(key);
        let mut values = values.into_iter();
        let number = |symbol: Option<Symbol>| symbol.and_then(|s| names.resolve(s).parse().ok());
        match operator {
            Operator::In => return Self::one_of(key, values),
            Operator::DoesNotExist => return Self::none(key),
            Operator::NotIn => all.values.extend(values),
            Operator::Gt => all.above = number(values.next()),
            Operator::Lt => all.below = number(values.next()),
            Operator::Exists => {}
        }
        all
    }

    /// Any value.
    #[must_use]
    pub const fn any(key: Symbol) -> Self {
        let (above, below, min_values) = (None, None, None);
        Self { key, min_values, is_complement: true, values: BTreeSet::new(), above, below }
    }

    /// No value.
    #[must_use]
    pub const fn none(key: Symbol) -> Self {
        let (above, below, min_values) = (None, None, None);
        Self { key, min_values, is_complement: false, values: BTreeSet::new(), above, below }
    }

    /// One of these values.
    #[must_use]
    pub fn one_of(key: Symbol, values: impl IntoIterator<Item = Symbol>) -> Self {
        Self { values: values.into_iter().collect(), ..Self::none(key) }
    }

    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match (self.is_complement, self.values.is_empty()) {
            (true, true) => Kind::Exists,
            (true, false) => Kind::NotIn,
            (false, true) => Kind::DoesNotExist,
            (false, false) => Kind::In,
        }
    }

    /// The values that are listed: the allowed ones, of a complement the forbidden ones.
    pub fn values(&self) -> impl ExactSizeIterator<Item = Symbol> + '_ {
        self.values.iter().copied()
    }

    /// `Gt`: only numbers above this one.
    #[must_use]
    pub const fn above(&self) -> Option<i64> {
        self.above
    }

    /// `Lt`: only numbers below this one.
    #[must_use]
    pub const fn below(&self) -> Option<i64> {
        self.below
    }

    /// The only value that is allowed, if it is one.
    #[must_use]
    pub fn only(&self) -> Option<Symbol> {
        let mut values = self.values.iter();
        let first = values.next().copied();
        if self.is_complement || values.next().is_some() { None } else { first }
    }

    /// Whether no value is allowed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.is_complement && self.values.is_empty()
    }

    /// Adds an allowed value to a list of allowed ones.
    pub fn insert(&mut self, value: Symbol) {
        self.values.insert(value);
    }

    /// Whether a value is allowed.
    #[must_use]
    pub fn has(&self, value: Symbol, names: &Interner) -> bool {
        self.values.contains(&value) != self.is_complement
            && within(value, (self.above, self.below), names)
    }

    /// What both allow; the larger `min_values` stays.
    #[must_use]
    pub fn intersection(&self, other: &Self, names: &Interner) -> Self {
        let min_values = self.min_values.max(other.min_values);
        let above = self.above.max(other.above);
        let below = match (self.below, other.below) {
            (Some(left), Some(right)) => Some(left.min(right)),
            (left, right) => left.or(right),
        };
        if above.zip(below).is_some_and(|(above, below)| above >= below) {
            return Self { min_values, ..Self::none(self.key) };
        }
        let mut values: BTreeSet<Symbol> = match (self.is_complement, other.is_complement) {
            (true, true) => self.values.union(&other.values).copied().collect(),
            (true, false) => other.values.difference(&self.values).copied().collect(),
            (false, true) => self.values.difference(&other.values).copied().collect(),
            (false, false) => self.values.intersection(&other.values).copied().collect(),
        };
        values.retain(|value| within(*value, (above, below), names));
        let is_complement = self.is_complement && other.is_complement;
        let (above, below) = if is_complement { (above, below) } else { (None, None) };
        Self { key: self.key, min_values, is_complement, values, above, below }
    }

    fn is_negative(&self) -> bool {
        matches!(self.kind(), Kind::NotIn | Kind::DoesNotExist)
    }
}

/// With bounds only whole numbers between them count.
fn within(value: Symbol, (above, below): (Option<i64>, Option<i64>), names: &Interner) -> bool {
    if above.is_none() && below.is_none() {
        return true;
    }
    let Ok(number) = names.resolve(value).parse::<i64>() else { return false };
    above.is_none_or(|above| above < number) && below.is_none_or(|below| number < below)
}

/// A [`Requirement`] a label, all of which hold; a label without one may have any value.
///
/// Source: kubernetes-sigs/karpenter v1.14.1 pkg/scheduling/requirements.go (rule A193).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirements(BTreeMap<Symbol, Requirement>);

impl Requirements {
    /// The labels of a node or a selector: each with its one value.
    #[must_use]
    pub fn of_labels(labels: &Labels, words: &Words, names: &Interner) -> Self {
        let mut all = Self::default();
        for (key, value) in labels.iter() {
            all.add(Requirement::one_of(words.normal(key), [value]), names);
        }
        all
    }

    /// Expressions of a term of node affinity.
    #[must_use]
    pub fn of_expressions(
        expressions: &[model::Requirement],
        words: &Words,
        names: &Interner,
    ) -> Self {
        let mut all = Self::default();
        for asked in expressions {
            let (key, values) = (words.normal(asked.key), asked.values.iter().copied());
            all.add(Requirement::new(key, asked.operator, values, names), names);
        }
        all
    }

    /// Narrows one label.
    pub fn add(&mut self, requirement: Requirement, names: &Interner) {
        let merged = match self.0.get(&requirement.key) {
            Some(known) => requirement.intersection(known, names),
            None => requirement,
        };
        self.0.insert(merged.key, merged);
    }

    /// Narrows by all of `other`.
    pub fn add_all(&mut self, other: &Self, names: &Interner) {
        for requirement in other.iter() {
            self.add(requirement.clone(), names);
        }
    }

    /// What is asked of a label, if anything is.
    #[must_use]
    pub fn get(&self, key: Symbol) -> Option<&Requirement> {
        self.0.get(&key)
    }

    /// What is allowed of a label: anything if nothing is asked.
    #[must_use]
    pub fn allowed(&self, key: Symbol) -> Requirement {
        self.get(key).cloned().unwrap_or_else(|| Requirement::any(key))
    }

    /// Sets how many values must be offered of a label.
    pub fn set_min_values(&mut self, key: Symbol, count: usize) {
        if let Some(requirement) = self.0.get_mut(&key) {
            requirement.min_values = Some(count);
        }
    }

    /// Forgets a label.
    pub fn remove(&mut self, key: Symbol) {
        self.0.remove(&key);
    }

    /// All of them, by symbol of the label.
    pub fn iter(&self) -> impl Iterator<Item = &Requirement> {
        self.0.values()
    }

    /// Whether some label must have several values on offer.
    #[must_use]
    pub fn has_min_values(&self) -> bool {
        self.iter().any(|requirement| requirement.min_values.is_some())
    }

    /// Whether `asked` can hold here, where labels that stand nowhere are allowed.
    #[must_use]
    pub fn intersects(&self, asked: &Self, names: &Interner) -> bool {
        asked.iter().all(|incoming| {
            let Some(known) = self.get(incoming.key) else { return true };
            (incoming.is_negative() && known.is_negative())
                || !known.intersection(incoming, names).is_empty()
        })
    }

    /// Whether `asked` can hold here. A label that stands nowhere is absent: it must not be asked
    /// for, unless it is well known and the instance type will bring it (`OnClaim`).
    #[must_use]
    pub fn compatible(&self, asked: &Self, place: Place, words: &Words, names: &Interner) -> bool {
        let is_known = |incoming: &Requirement| {
            (place == Place::OnClaim && words.is_well_known(incoming.key))
                || self.0.contains_key(&incoming.key)
                || incoming.is_negative()
        };
        asked.iter().all(is_known) && self.intersects(asked, names)
    }
}

/// Where requirements are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On a machine that is still to come: well-known labels are left open.
    OnClaim,
    /// On a node: its labels are all it has.
    OnNode,
}

/// Whether every taint is tolerated, `PreferNoSchedule` too (rule A191).
#[must_use]
pub fn tolerates(tolerations: &[Toleration], taints: &[Taint]) -> bool {
    taints.iter().all(|taint| tolerations.iter().any(|t| t.tolerates(taint)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(operator: Operator, values: &[&str], names: &mut Interner) -> Requirement {
        let key = names.intern("key");
        let values: Vec<Symbol> = values.iter().map(|v| names.intern(v)).collect();
        Requirement::new(key, operator, values, names)
    }

    #[test]
    fn intersections_of_lists_complements_and_bounds() {
        let mut names = Interner::new();
        let ab = asks(Operator::In, &["1", "9"], &mut names);
        let not_a = asks(Operator::NotIn, &["1"], &mut names);
        let above = asks(Operator::Gt, &["5"], &mut names);
        let below = asks(Operator::Lt, &["5"], &mut names);
        let nine = names.intern("9");
        assert_eq!(ab.intersection(&not_a, &names).only(), Some(nine));
        assert_eq!(ab.intersection(&above, &names).only(), Some(nine));
        assert_eq!(above.intersection(&below, &names).kind(), Kind::DoesNotExist);
        assert_eq!(not_a.intersection(&above, &names).kind(), Kind::Exists, "1 is out anyway");
        assert_eq!(not_a.intersection(&below, &names).kind(), Kind::NotIn);
        assert!(above.has(nine, &names) && !below.has(nine, &names));
        assert_eq!(above.kind(), Kind::Exists);
    }

    #[test]
    fn well_known_labels_are_open_on_a_claim_only() {
        let mut names = Interner::new();
        let words = Words::new(&[], &mut names);
        let zone = names.intern("topology.kubernetes.io/zone");
        let team = names.intern("team");
        let a = names.intern("a");
        let none = Requirements::default();
        let mut asked = Requirements::default();
        asked.add(Requirement::one_of(zone, [a]), &names);
        assert!(none.compatible(&asked, Place::OnClaim, &words, &names));
        assert!(!none.compatible(&asked, Place::OnNode, &words, &names));
        asked.add(Requirement::one_of(team, [a]), &names);
        assert!(!none.compatible(&asked, Place::OnClaim, &words, &names));
        let mut not_asked = Requirements::default();
        not_asked.add(Requirement::new(team, Operator::NotIn, [a], &names), &names);
        assert!(none.compatible(&not_asked, Place::OnNode, &words, &names));
        let mut absent = Requirements::default();
        absent.add(Requirement::none(team), &names);
        assert!(absent.compatible(&not_asked, Place::OnNode, &words, &names));
    }
}
