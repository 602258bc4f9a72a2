//! Instance types with their offerings, and NodePools.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::base::{Duration, Interner, Symbol};
use crate::model::{ConsolidationPolicy, DisruptionQuota, Labels, Resource, Resources, Taint};

use super::requirement::{Place, Requirement, Requirements};
use super::words::Words;

/// How many instance types a NodeClaim lists at most (rule A195).
pub const TYPES_MAX: usize = 600;

/// A kind of machine that the cloud sells.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceType {
    /// Its name.
    pub name: Symbol,
    /// What it brings: its labels, the zones and capacity types of its available offerings.
    pub requirements: Requirements,
    /// All that the machine has; `pods` among the scalars.
    pub capacity: Resources,
    /// What pods can have of it.
    pub allocatable: Resources,
    /// Where and how it is sold.
    pub offerings: Vec<Offering>,
}

/// One way to buy an instance type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Offering {
    /// Zone.
    pub zone: Symbol,
    /// `on-demand`, `spot` or `reserved`.
    pub capacity_type: Symbol,
    /// USD an hour.
    pub price: f64,
    /// Whether the cloud has it now.
    pub is_available: bool,
}

impl Offering {
    /// Whether it can be bought under these requirements of a claim.
    #[must_use]
    pub fn suits(&self, asked: &Requirements, words: &Words, names: &Interner) -> bool {
        let allows = |key, value| asked.get(key).is_none_or(|r| r.has(value, names));
        allows(words.zone, self.zone) && allows(words.capacity_type, self.capacity_type)
    }
}

impl InstanceType {
    /// The requirements of a type that brings these labels and sells these offerings.
    #[must_use]
    pub fn requirements_of(
        labels: &Labels,
        offerings: &[Offering],
        words: &Words,
        names: &Interner,
    ) -> Requirements {
        let mut all = Requirements::of_labels(labels, words, names);
        let on_sale = || offerings.iter().filter(|o| o.is_available);
        all.add(Requirement::one_of(words.zone, on_sale().map(|o| o.zone)), names);
        let kinds = on_sale().map(|o| o.capacity_type);
        all.add(Requirement::one_of(words.capacity_type, kinds), names);
        all
    }

    /// The offerings that can be bought under these requirements.
    pub fn suitable<'a>(
        &'a self,
        asked: &'a Requirements,
        words: &'a Words,
        names: &'a Interner,
    ) -> impl Iterator<Item = &'a Offering> {
        self.offerings.iter().filter(|o| o.is_available && o.suits(asked, words, names))
    }

    /// The cheapest price under these requirements; infinite without an offering.
    #[must_use]
    pub fn cheapest(&self, asked: &Requirements, words: &Words, names: &Interner) -> f64 {
        self.suitable(asked, words, names).map(|o| o.price).fold(f64::INFINITY, f64::min)
    }

    /// What a launch can cost at worst: the dearest offering of the first capacity type, in the
    /// order reserved, spot, on-demand, that can be bought (rule A212).
    ///
    /// Source: kubernetes-sigs/karpenter v1.14.1 pkg/cloudprovider/types.go `WorstLaunchPrice`.
    #[must_use]
    pub fn worst_launch_price(&self, asked: &Requirements, words: &Words, names: &Interner) -> f64 {
        let order = [words.reserved, words.spot, words.on_demand];
        let dearest = |kind: Symbol| {
            let prices = self.suitable(asked, words, names).filter(|o| o.capacity_type == kind);
            prices.map(|o| o.price).reduce(f64::max)
        };
        order.into_iter().find_map(dearest).unwrap_or(f64::INFINITY)
    }
}

/// Sorts types by their cheapest price under the requirements, equal ones by name (rule A195).
pub fn sort_by_price(
    types: &mut [usize],
    of: &[InstanceType],
    asked: &Requirements,
    words: &Words,
    names: &Interner,
) {
    let price: BTreeMap<usize, f64> =
        types.iter().map(|t| (*t, of[*t].cheapest(asked, words, names))).collect();
    let name = |t: &usize| names.resolve(of[*t].name);
    types.sort_by(|a, b| price[a].total_cmp(&price[b]).then_with(|| name(a).cmp(name(b))));
}

/// Whether types offer as many values as `minValues` asks: how many of them, in order, are enough,
/// or else the labels that fall short and how many values there are of each (rule A195).
///
/// # Errors
/// The labels that fall short.
pub fn satisfies_min_values(
    types: &[usize],
    of: &[InstanceType],
    asked: &Requirements,
) -> Result<usize, BTreeMap<Symbol, usize>> {
    let wanted: Vec<(Symbol, usize)> =
        asked.iter().filter_map(|r| r.min_values.map(|count| (r.key, count))).collect();
    if wanted.is_empty() {
        return Ok(0);
    }
    let mut found: BTreeMap<Symbol, BTreeSet<Symbol>> = BTreeMap::new();
    let mut short = BTreeMap::new();
    for (place, t) in types.iter().enumerate() {
        for (key, _) in &wanted {
            let values = of[*t].requirements.get(*key).into_iter().flat_map(Requirement::values);
            found.entry(*key).or_default().extend(values);
        }
        let is_short = |(key, count): &&(Symbol, usize)| found[key].len() < *count;
        short = wanted.iter().filter(is_short).map(|(key, _)| (*key, found[key].len())).collect();
        if short.is_empty() {
            return Ok(place + 1);
        }
    }
    if short.is_empty() { Ok(types.len()) } else { Err(short) }
}

/// A NodePool: what may be bought and how it is disturbed.
#[derive(Clone, Debug, PartialEq)]
pub struct NodePool {
    /// Its name.
    pub name: Symbol,
    /// Of two pools that suit, the heavier is taken (rule A189).
    pub weight: i32,
    /// Whether it is ready to be used.
    pub is_ready: bool,
    /// `spec.template.spec.requirements`, with `minValues`.
    pub requirements: Requirements,
    /// Labels of its nodes: those of the template, of the pool and of the node class.
    pub labels: Labels,
    /// Taints of its nodes.
    pub taints: Vec<Taint>,
    /// `spec.limits`: only what is named is limited.
    pub limits: Vec<(Resource, i64)>,
    /// Which types the pool can buy: places in the list of all types.
    pub types: Vec<usize>,
    /// `consolidationPolicy`.
    pub policy: ConsolidationPolicy,
    /// `consolidateAfter`; `None`: never.
    pub consolidate_after: Option<Duration>,
    /// Budgets.
    pub budgets: Vec<DisruptionQuota>,
}

/// The pools in the order of trying: by weight descending, equal ones by name descending (A189).
#[must_use]
pub fn in_order(pools: &[NodePool], names: &Interner) -> Vec<usize> {
    let mut order: Vec<usize> = (0..pools.len()).filter(|at| pools[*at].is_ready).collect();
    let name = |at: &usize| names.resolve(pools[*at].name);
    order.sort_by(|a, b| match pools[*b].weight.cmp(&pools[*a].weight) {
        Ordering::Equal => name(b).cmp(name(a)),
        other => other,
    });
    order
}

/// An amount by name.
#[must_use]
pub fn amount(of: &Resources, resource: Resource) -> i64 {
    match resource {
        Resource::Cpu => of.cpu.0,
        Resource::Memory => of.memory.0,
        Resource::EphemeralStorage => of.ephemeral_storage.0,
        Resource::Scalar(name) => of.scalar(name),
    }
}

/// Whether all that is asked for is there; nothing fits where something is overdrawn already.
///
/// Source: kubernetes-sigs/karpenter v1.14.1 pkg/utils/resources/resources.go `Fits`.
#[must_use]
pub fn fits(asked: &Resources, there: &Resources) -> bool {
    let is_overdrawn = there.cpu.0 < 0
        || there.memory.0 < 0
        || there.ephemeral_storage.0 < 0
        || there.scalars.iter().any(|(_, amount)| *amount < 0);
    !is_overdrawn
        && asked.cpu <= there.cpu
        && asked.memory <= there.memory
        && asked.ephemeral_storage <= there.ephemeral_storage
        && asked.scalars.iter().all(|(name, amount)| *amount <= there.scalar(*name))
}

/// The smaller amount of each resource that both name (the others are dropped).
#[must_use]
pub fn smaller(one: &Resources, other: &Resources) -> Resources {
    let both = one.scalars.iter().filter(|(name, _)| other.scalars.iter().any(|(n, _)| n == name));
    Resources {
        cpu: one.cpu.min(other.cpu),
        memory: one.memory.min(other.memory),
        ephemeral_storage: one.ephemeral_storage.min(other.ephemeral_storage),
        scalars: both.map(|(name, amount)| (*name, (*amount).min(other.scalar(*name)))).collect(),
    }
}

/// Whether a claim of these requirements can be met by the type at all, apart from its size.
#[must_use]
pub fn is_compatible(
    of: &InstanceType,
    asked: &Requirements,
    words: &Words,
    names: &Interner,
) -> bool {
    of.requirements.intersects(asked, names) && of.suitable(asked, words, names).next().is_some()
}

/// Whether a daemon's requirements can hold on a template and on a type of it (rule A193).
#[must_use]
pub fn suits_daemon(
    (template, of): (&Requirements, &InstanceType),
    daemon: &Requirements,
    words: &Words,
    names: &Interner,
) -> bool {
    template.compatible(daemon, Place::OnClaim, words, names)
        && of.requirements.intersects(daemon, names)
}
