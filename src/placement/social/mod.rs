//! Decisions about pods that care for others: spread constraints and affinity between pods.
//!
//! A class's [`Plan`] says which counters its constraints read. A decision takes the nodes that the
//! pod alone fits on in the order of the walk, asks the [`Judge`] about each (a few look-ups in
//! sums by domain), and scores those found, plugin by plugin over the list. Counts, order of
//! arithmetic and rounding are those of the plain evaluation.

mod choice;

use smallvec::SmallVec;

use crate::base::{Symbol, cast};
use crate::model::{NodeId, Plugin, PodAffinityTerm, PodId, PodRef, Selector, SpreadConstraint};

use crate::placement::classes::Statics;
use crate::placement::columns::Reader;
use crate::placement::fellows::{Carried, Counter, CounterId, Fellows, Key, NOWHERE, Question};
use crate::placement::plugins::inter_pod_affinity::{self, OwnTerm, all_select};
use crate::placement::plugins::{image_locality, pod_topology_spread};
use crate::placement::pod_info::PodInfo;
use crate::placement::verdict::{Reason, Rejection};
use crate::placement::world::World;

pub(in crate::placement) use choice::{Asked, choose};

/// Images are scored without knowing which pod asks.
const NOBODY: PodRef = PodRef { id: PodId::new(u32::MAX), life: 0 };

/// A hard spread constraint.
#[derive(Clone, Debug)]
struct Hard {
    counter: CounterId,
    max_skew: i64,
    min_domains: i64,
    /// 1 if the pod counts itself.
    own: i64,
    policies: Policies,
}

/// A soft spread constraint.
#[derive(Clone, Debug)]
struct Soft {
    counter: CounterId,
    max_skew: i32,
    is_hostname: bool,
    policies: Policies,
}

/// Which nodes a constraint counts on (rule S107).
#[derive(Clone, Copy, Debug)]
struct Policies {
    affinity: bool,
    taints: bool,
}

/// What decisions about a class read of other pods.
#[derive(Clone, Debug, Default)]
pub(in crate::placement) struct Plan {
    /// Of which counters and of which state of the catalog it was made.
    made_of: Option<(u64, u64)>,
    /// How many counters have been looked at for terms that others carry.
    seen: usize,
    hard: Vec<Hard>,
    soft: Vec<Soft>,
    /// Whether nodes that lack a soft constraint's key are ignored (rule S112).
    requires_all: bool,
    required: Vec<CounterId>,
    /// Whether the pod matches its own required terms.
    likes_itself: bool,
    anti: Vec<CounterId>,
    /// Terms of required anti-affinity of others that mean this class.
    shunned_by: Vec<CounterId>,
    /// What each pod of a counter's question adds to the score of its domain.
    weights: Vec<(CounterId, i64)>,
    /// Whether there are images on nodes that the class uses.
    pub(in crate::placement) has_images: bool,
}

impl Plan {
    /// Whether others do not matter.
    pub(in crate::placement) const fn is_empty(&self) -> bool {
        self.hard.is_empty()
            && self.soft.is_empty()
            && self.required.is_empty()
            && self.anti.is_empty()
            && self.shunned_by.is_empty()
            && self.weights.is_empty()
            && !self.has_images
    }

    /// Whether others decide where the pod may go.
    pub(in crate::placement) const fn has_filters(&self) -> bool {
        !(self.hard.is_empty()
            && self.required.is_empty()
            && self.anti.is_empty()
            && self.shunned_by.is_empty())
    }

    /// Brings it up to date: makes it anew if the catalog changed, and looks at terms that are new.
    pub(in crate::placement) fn refresh(
        &mut self,
        info: &PodInfo,
        version: u64,
        fellows: &mut Fellows,
        world: &World<'_>,
    ) {
        if self.made_of != Some((fellows.epoch, version)) {
            *self = Self::make(info, fellows, world);
            self.made_of = Some((fellows.epoch, version));
        }
        for counter in &fellows.carriers[self.seen..] {
            self.look(*counter, info, fellows, world);
        }
        self.seen = fellows.carriers.len();
    }

    fn make(info: &PodInfo, fellows: &mut Fellows, world: &World<'_>) -> Self {
        let mut plan = Self::default();
        let constraints = pod_topology_spread::constraints(info, world);
        plan.requires_all = constraints.requires_all;
        let mut counter =
            |question, label| fellows.counter(question, label, world.nodes, world.names);
        for hard in &constraints.hard {
            let own = hard.selector.as_ref().is_some_and(|s| s.matches(&info.labels, world.names));
            plan.hard.push(Hard {
                counter: counter(alike(info, hard), hard.topology_key),
                max_skew: i64::from(hard.max_skew),
                min_domains: i64::from(hard.min_domains),
                own: i64::from(own),
                policies: policies(hard),
            });
        }
        for soft in &constraints.soft {
            plan.soft.push(Soft {
                counter: counter(alike(info, soft), soft.topology_key),
                max_skew: soft.max_skew,
                is_hostname: world.names.resolve(soft.topology_key) == "kubernetes.io/hostname",
                policies: policies(soft),
            });
        }
        plan.take_affinity(info, &mut counter, world);
        plan.has_images = image_locality::is_known(info, world);
        plan
    }

    fn take_affinity(
        &mut self,
        info: &PodInfo,
        counter: &mut impl FnMut(Question, Symbol) -> CounterId,
        world: &World<'_>,
    ) {
        let affinity = &info.spec.pod_affinity;
        let own = |term: &PodAffinityTerm| OwnTerm::new(term, world.catalog, world.names);
        let all: Vec<_> = affinity.required.iter().map(own).collect();
        self.likes_itself = all_select(&all, info, world.names);
        for term in &affinity.required {
            self.required.push(counter(Question::Selected(all.clone(), true), term.topology_key));
        }
        let mut one = |term: &PodAffinityTerm| {
            counter(Question::Selected(vec![own(term)], true), term.topology_key)
        };
        self.anti = affinity.anti_required.iter().map(&mut one).collect();
        for (weight, term) in &affinity.preferred {
            self.weights.push((one(term), i64::from(*weight)));
        }
        for (weight, term) in &affinity.anti_preferred {
            self.weights.push((one(term), -i64::from(*weight)));
        }
    }

    /// Looks at one counter: does it count pods with a term that means this class?
    fn look(&mut self, id: CounterId, info: &PodInfo, fellows: &Fellows, world: &World<'_>) {
        let Question::Carriers(how, term) = &fellows.counters[id].question else { return };
        let args = &world.profile.args;
        let asks = !info.spec.pod_affinity.preferred.is_empty()
            || !info.spec.pod_affinity.anti_preferred.is_empty();
        let reads_existing = asks || !args.ignores_preferred_of_existing;
        let weight = match how {
            Carried::AntiRequired => 0,
            _ if !reads_existing => return,
            Carried::Required => i64::from(args.hard_pod_affinity_weight),
            Carried::Preferred(weight) => i64::from(*weight),
            Carried::AntiPreferred(weight) => -i64::from(*weight),
        };
        if !inter_pod_affinity::means(term, info, world) {
            return;
        }
        if *how == Carried::AntiRequired {
            self.shunned_by.push(id);
        } else if weight != 0 {
            self.weights.push((id, weight));
        }
    }
}

fn policies(of: &SpreadConstraint) -> Policies {
    Policies { affinity: of.honors_affinity, taints: of.honors_taints }
}

/// The pods that a spread constraint counts (rules S105, S108).
fn alike(info: &PodInfo, constraint: &SpreadConstraint) -> Question {
    let counts = |selector: &&Selector| !selector.0.is_empty();
    let selector = constraint.selector.as_ref().filter(counts).cloned();
    let alike = OwnTerm::within(info.namespace, selector, constraint.topology_key);
    Question::Selected(vec![alike], false)
}

/// Room that decisions use again and again.
#[derive(Clone, Debug, Default)]
pub(in crate::placement) struct Room {
    /// The nodes found, by place, with their local totals.
    found: Vec<(u32, i64)>,
    /// Their ids.
    nodes: Vec<NodeId>,
    by_domain: Vec<f64>,
    stamps: Vec<u32>,
    stamp: u32,
    sums: Vec<f64>,
    raw: Vec<i64>,
    totals: Vec<i64>,
}

/// The most pods that a domain may have for one more.
struct Limit<'a> {
    key: &'a Key,
    counts: SmallVec<[u32; 16]>,
    shared: Option<&'a Counter>,
    most: i64,
}

impl Limit<'_> {
    fn count(&self, domain: u32) -> i64 {
        i64::from(match self.shared {
            Some(counter) => counter.count(domain),
            None => self.counts.get(cast::usize_of(domain)).copied().unwrap_or(0),
        })
    }
}

type Sums<'a> = SmallVec<[(&'a Key, &'a Counter); 2]>;

/// What others say about nodes for one pod.
pub(in crate::placement) struct Judge<'a> {
    limits: SmallVec<[Limit<'a>; 2]>,
    required: Sums<'a>,
    /// Whether the pod may be the first of its kind (rule S119).
    may_be_first: bool,
    anti: Sums<'a>,
    shunned_by: Sums<'a>,
}

impl<'a> Judge<'a> {
    pub(in crate::placement) fn new(plan: &Plan, fellows: &'a Fellows, with: Reader<'_>) -> Self {
        let sums = |ids: &[CounterId]| -> Sums<'a> {
            ids.iter().map(|id| (fellows.key_of(*id), &fellows.counters[*id])).collect()
        };
        let required = sums(&plan.required);
        let nobody = required.iter().all(|(_, counter)| counter.total == 0);
        let is_there = |(_, counter): &(&Key, &Counter)| counter.total > 0;
        Self {
            limits: limits(plan, fellows, with),
            may_be_first: nobody && plan.likes_itself,
            required,
            anti: sums(&plan.anti).into_iter().filter(is_there).collect(),
            shunned_by: sums(&plan.shunned_by).into_iter().filter(is_there).collect(),
        }
    }

    /// Whether others let the pod on a node.
    #[inline]
    pub(in crate::placement) fn takes(&self, node: NodeId) -> bool {
        self.spreads(node)
            && self.finds_friends(node)
            && !self.meets(&self.anti, node)
            && !self.meets(&self.shunned_by, node)
    }

    fn spreads(&self, node: NodeId) -> bool {
        self.limits.iter().all(|limit| {
            let domain = limit.key.of(node);
            domain != NOWHERE && limit.count(domain) <= limit.most
        })
    }

    fn finds_friends(&self, node: NodeId) -> bool {
        let mut all = true;
        for (key, counter) in &self.required {
            let domain = key.of(node);
            if domain == NOWHERE {
                return false;
            }
            all &= counter.count(domain) > 0;
        }
        all || self.may_be_first
    }

    fn meets(&self, sums: &Sums<'_>, node: NodeId) -> bool {
        sums.iter().any(|(key, counter)| {
            let domain = key.of(node);
            domain != NOWHERE && counter.count(domain) > 0
        })
    }

    /// Why others do not let the pod on a node, if they do not (rules S109, S119).
    pub(in crate::placement) fn verdict(&self, node: NodeId) -> Result<(), Rejection> {
        for limit in &self.limits {
            let domain = limit.key.of(node);
            if domain == NOWHERE {
                return Err(Rejection::unresolvable(
                    Plugin::PodTopologySpread,
                    Reason::Fixed(pod_topology_spread::MISSING_LABEL),
                ));
            }
            if limit.count(domain) > limit.most {
                let reason = Reason::Fixed(pod_topology_spread::TOO_SKEWED);
                return Err(Rejection::unschedulable(Plugin::PodTopologySpread, reason));
            }
        }
        let unschedulable =
            |text| Err(Rejection::unschedulable(Plugin::InterPodAffinity, Reason::Fixed(text)));
        if !self.finds_friends(node) {
            let reason = Reason::Fixed(inter_pod_affinity::NO_FRIENDS);
            return Err(Rejection::unresolvable(Plugin::InterPodAffinity, reason));
        }
        if self.meets(&self.anti, node) {
            return unschedulable(inter_pod_affinity::MEETS_SHUNNED);
        }
        if self.meets(&self.shunned_by, node) {
            return unschedulable(inter_pod_affinity::SHUNNED);
        }
        Ok(())
    }
}

/// Whether all nodes count for a constraint, so that the kept sums are the counts.
fn all_count(keys: &[&Key], policies: Policies, with: Reader<'_>) -> bool {
    keys.iter().all(|key| key.nodes_with == with.nodes.len())
        && (!policies.affinity || with.statics.likes_all)
        && (!policies.taints || with.statics.tolerates_all)
}

/// Whether a node counts for a constraint.
fn counts(place: usize, keys: &[&Key], policies: Policies, with: Reader<'_>) -> bool {
    let node = with.nodes.order()[place];
    let statics: &Statics = with.statics;
    keys.iter().all(|key| key.of(node) != NOWHERE)
        && (!policies.affinity || statics.likes[place])
        && (!policies.taints || statics.tolerates[place])
}

fn limits<'a>(plan: &Plan, fellows: &'a Fellows, with: Reader<'_>) -> SmallVec<[Limit<'a>; 2]> {
    let keys: SmallVec<[&Key; 4]> =
        plan.hard.iter().map(|hard| fellows.key_of(hard.counter)).collect();
    let limit = |hard: &Hard| {
        let (key, counter) = (fellows.key_of(hard.counter), &fellows.counters[hard.counter]);
        let is_shared = all_count(&keys, hard.policies, with);
        let (least, domains, counts) = if is_shared {
            let (least, domains) = least_shared(key, counter);
            (least, domains, SmallVec::new())
        } else {
            least_counted(key, counter, |place| counts(place, &keys, hard.policies, with), with)
        };
        let least = if domains < hard.min_domains { 0 } else { least };
        let most = hard.max_skew + least - hard.own;
        Limit { key, counts, shared: is_shared.then_some(counter), most }
    };
    plan.hard.iter().map(limit).collect()
}

/// The least count of the domains that have nodes, and how many they are.
fn least_shared(key: &Key, counter: &Counter) -> (i64, i64) {
    let (mut least, mut domains) = (u32::MAX, 0);
    for (domain, nodes) in (0..).zip(&key.nodes_in) {
        if *nodes > 0 {
            least = least.min(counter.count(domain));
            domains += 1;
        }
    }
    (if domains == 0 { i64::from(i32::MAX) } else { i64::from(least) }, domains)
}

/// The same of the nodes that count, with the counts.
fn least_counted(
    key: &Key,
    counter: &Counter,
    counts: impl Fn(usize) -> bool,
    with: Reader<'_>,
) -> (i64, i64, SmallVec<[u32; 16]>) {
    let mut sums: SmallVec<[u32; 16]> = SmallVec::from_elem(0, key.nodes_in.len());
    let mut registered: SmallVec<[bool; 16]> = SmallVec::from_elem(false, key.nodes_in.len());
    for (place, node) in with.nodes.order().iter().enumerate() {
        if counts(place) {
            let domain = cast::usize_of(key.of(*node));
            registered[domain] = true;
            sums[domain] += counter.on(*node);
        }
    }
    let of = || sums.iter().zip(&registered).filter(|(_, is)| **is).map(|(sum, _)| *sum);
    let least = of().min().map_or(i64::from(i32::MAX), i64::from);
    let domains = cast::i64_of(of().count());
    (least, domains, sums)
}
