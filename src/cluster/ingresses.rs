//! Ingresses: what they say now, and the versions of it that proxies follow.

use std::sync::Arc;

use crate::base::{Interner, SimTime};
use crate::model::{IngressPath, IngressRules, ObjectName};

use super::Cluster;

/// All Ingresses of the cluster.
#[derive(Clone, Debug)]
pub struct Ingresses {
    /// In the order in which proxies look at them.
    rows: Vec<(SimTime, Arc<IngressRules>)>,
    versions: Vec<IngressVersion>,
}

/// What all Ingresses together say from an instant on.
#[derive(Clone, Debug)]
pub struct IngressVersion {
    /// When it was written.
    pub at: SimTime,
    /// All of them, in the order in which proxies look at them.
    pub rules: Arc<[Arc<IngressRules>]>,
}

impl IngressVersion {
    /// All paths; of equal ones the first counts.
    pub fn paths(&self) -> impl DoubleEndedIterator<Item = &IngressPath> {
        self.rules.iter().flat_map(|rules| &rules.paths)
    }
}

impl Ingresses {
    /// Those of the model, which are there from the start.
    pub(super) fn new(model: &[IngressRules], names: &Interner) -> Self {
        let mut own = Self { rows: Vec::new(), versions: Vec::new() };
        for rules in model {
            own.insert(Arc::new(rules.clone()), SimTime::ZERO, names);
        }
        own.write(SimTime::ZERO);
        own
    }

    /// All versions, the first one from the start.
    #[must_use]
    pub fn versions(&self) -> &[IngressVersion] {
        &self.versions
    }

    /// What holds now.
    ///
    /// # Panics
    /// Never: there is one from the start.
    #[must_use]
    pub fn newest(&self) -> &IngressVersion {
        self.versions.last().expect("there is one from the start")
    }

    /// The oldest first; of one second the last by name.
    ///
    /// Source: ingress-nginx internal/ingress/controller/store/store.go `sortIngressSlice`.
    fn insert(&mut self, rules: Arc<IngressRules>, now: SimTime, names: &Interner) {
        let key = |(at, rules): &(SimTime, Arc<IngressRules>)| {
            let name = |symbol| std::cmp::Reverse(names.resolve(symbol).to_owned());
            let second = at.as_nanos() / 1_000_000_000;
            (second, name(rules.name.namespace), name(rules.name.name))
        };
        let row = (now, rules);
        let place = self.rows.partition_point(|other| key(other) <= key(&row));
        self.rows.insert(place, row);
    }

    fn write(&mut self, at: SimTime) {
        let rules = self.rows.iter().map(|(_, rules)| Arc::clone(rules)).collect();
        self.versions.push(IngressVersion { at, rules });
    }
}

impl Cluster {
    /// All Ingresses.
    #[must_use]
    pub const fn ingresses(&self) -> &Ingresses {
        &self.ingresses
    }

    /// An Ingress came, or another version of one.
    pub(super) fn put_ingress(&mut self, rules: Arc<IngressRules>) {
        let Self { ingresses, names, now, .. } = self;
        let known = ingresses.rows.iter_mut().find(|(_, row)| row.name == rules.name);
        match known {
            Some((_, row)) => *row = rules,
            None => ingresses.insert(rules, *now, names),
        }
        ingresses.write(*now);
    }

    /// An Ingress is gone.
    pub(super) fn drop_ingress(&mut self, name: ObjectName) {
        let before = self.ingresses.rows.len();
        self.ingresses.rows.retain(|(_, row)| row.name != name);
        if self.ingresses.rows.len() < before {
            self.ingresses.write(self.now);
        }
    }
}
