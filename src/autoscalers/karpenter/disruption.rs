//! Which nodes to remove or replace: the methods in their order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::base::{Duration, Interner, Symbol, go_sort};
use crate::model::{ConsolidationPolicy, DisruptionReason};

use super::candidates::{Candidate, Totals, allowed, approves, can_move, candidates, totals};
use super::claim::NewClaim;
use super::is_leaving;
use super::requirement::Requirement;
use super::solver::{Question, Solution, solve};
use super::topology::Terms;
use super::types::{satisfies_min_values, sort_by_price};
use super::view::{Settings, View};
use super::words::Words;

/// How long a command waits before it is looked at again (rule A215).
pub const VALIDATION: Duration = Duration::secs(15);

/// How many nodes one multi-node command looks at (rule A208).
const NODES_MAX: usize = 100;

/// How many cheaper types a spot node must have to be replaced by a spot node (rule A213).
const SPOT_TYPES_MIN: usize = 15;

/// The methods, in the order in which they are asked (rule A200). Pools of a fixed size (static
/// drift) are not modelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Empty nodes go.
    Emptiness,
    /// Nodes that are not what they should be are replaced.
    Drift,
    /// Several nodes go, for one at most.
    MultiNode,
    /// One node goes, for one at most.
    SingleNode,
}

impl Method {
    /// All of them, in order.
    pub const ALL: [Self; 4] = [Self::Emptiness, Self::Drift, Self::MultiNode, Self::SingleNode];

    /// What its budgets are called.
    #[must_use]
    pub const fn reason(self) -> DisruptionReason {
        match self {
            Self::Emptiness => DisruptionReason::Empty,
            Self::Drift => DisruptionReason::Drifted,
            Self::MultiNode | Self::SingleNode => DisruptionReason::Underutilized,
        }
    }
}

/// Nodes to remove, and what is created first.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// The nodes, in the order of the search.
    pub nodes: Vec<usize>,
    /// What comes in their place.
    pub replacements: Vec<NewClaim>,
}

/// What a method found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The method.
    pub method: Method,
    /// The nodes that it looked at, by name.
    pub candidates: Vec<usize>,
    /// How many nodes of each pool budgets allowed it to disturb.
    pub budgets: BTreeMap<usize, u32>,
    /// What it wants to do.
    pub command: Option<Command>,
}

/// Asks one method; `None` if it has no candidate.
///
/// Source: kubernetes-sigs/karpenter v1.14.1 pkg/controllers/disruption (rules A200 to A217;
/// recorded). Nodes of equal worth, and those of one command of [`Method::Emptiness`], stand by name
/// where the original's order is random.
#[must_use]
pub fn disrupt(
    method: Method,
    view: &View,
    terms: (Settings, &Words, &Interner),
    hosts: &[Symbol],
) -> Option<Found> {
    let terms = Terms::new(view, terms);
    let is_open = |candidate: &Candidate| is_for(method, candidate, terms);
    let mut all = candidates(method == Method::Drift, terms);
    all.retain(is_open);
    if all.is_empty() {
        return None;
    }
    let nodes = all.iter().map(|candidate| candidate.node).collect();
    let budgets = allowed(method.reason(), terms);
    let totals = totals(terms);
    let search = Search { hosts, totals, terms };
    let mut left = budgets.clone();
    let command = match method {
        Method::Emptiness => search.emptiness(all, &mut left),
        Method::Drift => search.drift(all, &left),
        Method::MultiNode => search.multi_node(all, &mut left),
        Method::SingleNode => search.single_node(all, &left),
    };
    let command = command.map(|command| Command {
        replacements: command.replacements.into_iter().map(|c| c.for_the_cloud(terms)).collect(),
        ..command
    });
    Some(Found { method, candidates: nodes, budgets, command })
}

/// What of a command still holds in another view, after it has waited: its nodes are candidates
/// still and budgets still allow them (of [`Method::Emptiness`]: those for which it is so), and the
/// scheduling without them still asks for as many machines, of types that the command's are among
/// (rule A215).
///
/// Source: kubernetes-sigs/karpenter v1.14.1 pkg/controllers/disruption/validation.go.
#[must_use]
pub fn is_still_valid(
    method: Method,
    command: Command,
    view: &View,
    terms: (Settings, &Words, &Interner),
    hosts: &[Symbol],
) -> Option<Command> {
    let terms = Terms::new(view, terms);
    let mut all = candidates(method == Method::Drift, terms);
    all.retain(|candidate| {
        command.nodes.contains(&candidate.node) && is_for(method, candidate, terms)
    });
    let mut left = allowed(method.reason(), terms);
    all.retain(|candidate| take(&mut left, candidate.pool));
    if method == Method::Emptiness {
        let nodes: Vec<usize> = all.iter().map(|candidate| candidate.node).collect();
        return (!nodes.is_empty()).then_some(Command { nodes, ..command });
    }
    if all.len() != command.nodes.len() {
        return None;
    }
    let search = Search { hosts, totals: BTreeMap::new(), terms };
    let some: Vec<&Candidate> = all.iter().collect();
    let found = search.simulate(&some, true)?;
    let is_same = match (found.claims.as_slice(), command.replacements.as_slice()) {
        ([], []) => true,
        ([found], [asked]) => asked.types.iter().all(|t| found.types.contains(t)),
        _ => false,
    };
    is_same.then_some(command)
}

/// Whether the method looks at the node.
fn is_for(method: Method, candidate: &Candidate, terms: Terms<'_>) -> bool {
    let pool = &terms.view.pools[candidate.pool];
    let Some(claim) = terms.view.nodes[candidate.node].claim else { return false };
    let is_ripe = pool.consolidate_after.is_some() && claim.is_consolidatable;
    match method {
        Method::Drift => claim.drifted.is_some(),
        Method::Emptiness => is_ripe && candidate.is_empty(),
        Method::MultiNode | Method::SingleNode => {
            is_ripe
                && candidate.of.is_some()
                && candidate.capacity_type.is_some()
                && candidate.zone.is_some()
                && !candidate.is_empty()
                && pool.policy != ConsolidationPolicy::WhenEmpty
        }
    }
}

struct Search<'a> {
    hosts: &'a [Symbol],
    totals: BTreeMap<usize, Totals>,
    terms: Terms<'a>,
}

/// Takes one of the pool's budget.
fn take(left: &mut BTreeMap<usize, u32>, pool: usize) -> bool {
    match left.get_mut(&pool) {
        Some(count) if *count > 0 => {
            *count -= 1;
            true
        }
        _ => false,
    }
}

/// The most saved for the disturbance first (rule A205).
fn sort(candidates: &mut [Candidate]) {
    go_sort::sort(candidates, |a, b| a.ratio() > b.ratio());
}

/// Those that budgets allow, the most saved for the disturbance first.
fn affordable(mut all: Vec<Candidate>, left: &mut BTreeMap<usize, u32>) -> Vec<Candidate> {
    sort(&mut all);
    all.retain(|candidate| take(left, candidate.pool));
    all
}

impl Search<'_> {
    /// All empty nodes that budgets allow, at once (rule A207). The validation lists them anew.
    fn emptiness(&self, all: Vec<Candidate>, left: &mut BTreeMap<usize, u32>) -> Option<Command> {
        let all = affordable(all, left);
        let mut nodes: Vec<usize> = all.iter().map(|candidate| candidate.node).collect();
        nodes.sort_by_key(|node| self.terms.names.resolve(self.terms.view.nodes[*node].name));
        (!nodes.is_empty()).then_some(Command { nodes, replacements: Vec::new() })
    }

    /// The node that drifted first, those without pods before; any number of replacements (A217).
    fn drift(&self, mut all: Vec<Candidate>, left: &BTreeMap<usize, u32>) -> Option<Command> {
        let since = |candidate: &Candidate| {
            self.terms.view.nodes[candidate.node].claim.and_then(|claim| claim.drifted)
        };
        go_sort::sort(&mut all, |a, b| since(a) < since(b));
        let (empty, others): (Vec<Candidate>, Vec<Candidate>) =
            all.into_iter().partition(|candidate| candidate.pods.is_empty());
        for candidate in empty.into_iter().chain(others) {
            if left.get(&candidate.pool).copied().unwrap_or(0) == 0 {
                continue;
            }
            if let Some(found) = self.simulate(&[&candidate], false) {
                let nodes = vec![candidate.node];
                return Some(Command { nodes, replacements: found.claims });
            }
        }
        None
    }

    /// The longest beginning of the list that can go together, by bisection (rule A208).
    fn multi_node(&self, all: Vec<Candidate>, left: &mut BTreeMap<usize, u32>) -> Option<Command> {
        let all = affordable(all, left);
        if all.len() < 2 {
            return None;
        }
        let (mut low, mut high) = (1, all.len().min(NODES_MAX + 1) - 1);
        let mut best = None;
        while low <= high {
            let middle = usize::midpoint(low, high);
            let some: Vec<&Candidate> = all[..=middle].iter().collect();
            let found = self.consolidate(&some).and_then(|found| self.unlike(found, &some));
            match found.filter(|found| self.is_approved(found, &some)) {
                Some(found) => {
                    best = Some(found);
                    low = middle + 1;
                }
                None => high = middle - 1,
            }
        }
        best
    }

    /// The first node of the list that can go, pools in turn (rule A210).
    fn single_node(&self, mut all: Vec<Candidate>, left: &BTreeMap<usize, u32>) -> Option<Command> {
        sort(&mut all);
        for candidate in in_turn(all) {
            if left.get(&candidate.pool).copied().unwrap_or(0) == 0
                || !approves(&[&candidate], candidate.price, &self.totals, self.terms)
            {
                continue;
            }
            let some = [&candidate];
            let found = self.consolidate(&some);
            if let Some(found) = found.filter(|found| self.is_approved(found, &some)) {
                return Some(found);
            }
        }
        None
    }

    fn is_approved(&self, found: &Command, some: &[&Candidate]) -> bool {
        approves(some, self.savings(found, some), &self.totals, self.terms)
    }

    /// What a command saves, USD an hour, by the cheapest offering of its cheapest type.
    fn savings(&self, found: &Command, some: &[&Candidate]) -> f64 {
        let paid: f64 = some.iter().map(|candidate| candidate.price).sum();
        let new = found.replacements.iter().filter_map(|claim| claim.types.first()).map(|t| {
            let offerings = self.terms.view.types[*t].offerings.iter().filter(|o| o.is_available);
            offerings.map(|o| o.price).reduce(f64::min).unwrap_or(0.0)
        });
        paid - new.sum::<f64>()
    }

    /// The scheduling without these nodes; `None` if a pod that runs now would have no place, or
    /// only one on a node that is not yet up (rule A211).
    fn simulate(&self, some: &[&Candidate], settles: bool) -> Option<Solution> {
        let terms = self.terms;
        let view = terms.view;
        let without: BTreeSet<usize> = some.iter().map(|candidate| candidate.node).collect();
        let is_asked = |at: &usize| {
            let pod = &view.pods[*at];
            let moves = is_leaving(pod, view) || pod.node.is_some_and(|n| without.contains(&n));
            pod.is_pending || (moves && can_move(pod, terms))
        };
        let pods: Vec<usize> = (0..view.pods.len()).filter(is_asked).collect();
        let settling = if settles { settling(terms) } else { BTreeSet::new() };
        let found = solve(&Question { pods, without, settling }, self.hosts, terms);
        let waits = |pod: &usize| view.pods[*pod].is_pending;
        let is_firm = |(node, pods): &(usize, Vec<usize>)| {
            let is_free = |pod: &usize| waits(pod) || is_leaving(&view.pods[*pod], view);
            view.nodes[*node].is_initialized || pods.iter().all(is_free)
        };
        let is_good = found.failed.iter().all(waits) && found.existing.iter().all(is_firm);
        is_good.then_some(found)
    }

    /// What can be done with these nodes together (rules A211 to A213).
    ///
    /// Source: kubernetes-sigs/karpenter v1.14.1 pkg/controllers/disruption/consolidation.go
    /// `computeConsolidation`, `computeSpotToSpotConsolidation`.
    fn consolidate(&self, some: &[&Candidate]) -> Option<Command> {
        let (words, names) = (self.terms.words, self.terms.names);
        let found = self.simulate(some, true)?;
        let nodes = some.iter().map(|candidate| candidate.node).collect();
        let mut claims = found.claims;
        let Some(mut claim) = claims.pop() else {
            return Some(Command { nodes, replacements: Vec::new() });
        };
        if !claims.is_empty() {
            return None;
        }
        let price: f64 = some.iter().map(|candidate| candidate.price).sum();
        let kinds = claim.requirements.allowed(words.capacity_type);
        let (spot, on_demand) = (kinds.has(words.spot, names), kinds.has(words.on_demand, names));
        let are_spot = some.iter().all(|candidate| candidate.capacity_type == Some(words.spot));
        if are_spot && spot {
            claim = self.spot_to_spot(claim, price, some.len())?;
        } else {
            claim = self.cheaper(claim, price)?;
            if spot && on_demand {
                claim
                    .requirements
                    .add(Requirement::one_of(words.capacity_type, [words.spot]), names);
            }
        }
        Some(Command { nodes, replacements: vec![claim] })
    }

    /// Only the types whose worst launch is cheaper than the price (rule A212).
    fn cheaper(&self, mut claim: NewClaim, price: f64) -> Option<NewClaim> {
        let (types, words, names) = (&self.terms.view.types, self.terms.words, self.terms.names);
        let is_cheaper =
            |t: &usize| types[*t].worst_launch_price(&claim.requirements, words, names) < price;
        claim.types.retain(is_cheaper);
        let is_enough = satisfies_min_values(&claim.types, types, &claim.requirements).is_ok();
        (is_enough && !claim.types.is_empty()).then_some(claim)
    }

    /// A spot node for spot nodes, if that is allowed: of a single one the cheapest types only, and
    /// there must be many of them (rule A213).
    fn spot_to_spot(&self, mut claim: NewClaim, price: f64, nodes: usize) -> Option<NewClaim> {
        let (types, words, names) = (&self.terms.view.types, self.terms.words, self.terms.names);
        if !self.terms.settings.spot_to_spot {
            return None;
        }
        claim.requirements.add(Requirement::one_of(words.capacity_type, [words.spot]), names);
        let sells =
            |t: &usize| types[*t].suitable(&claim.requirements, words, names).next().is_some();
        claim.types.retain(sells);
        let mut claim = self.cheaper(claim, price)?;
        if nodes > 1 {
            return Some(claim);
        }
        if claim.types.len() < SPOT_TYPES_MIN {
            return None;
        }
        sort_by_price(&mut claim.types, types, &claim.requirements, words, names);
        let least = satisfies_min_values(&claim.types, types, &claim.requirements).unwrap_or(0);
        claim.types.truncate(least.max(SPOT_TYPES_MIN));
        Some(claim)
    }

    /// A replacement of a type that is removed must be cheaper than the cheapest such node: else
    /// that node could have stayed (rule A209).
    fn unlike(&self, mut found: Command, some: &[&Candidate]) -> Option<Command> {
        let Some(claim) = found.replacements.pop() else { return Some(found) };
        let is_same = |candidate: &&&Candidate| {
            candidate.of.is_some_and(|of| claim.types.contains(&of)) && candidate.price > 0.0
        };
        let cheapest = some.iter().filter(is_same).map(|candidate| candidate.price);
        let cheapest = cheapest.reduce(f64::min).unwrap_or(f64::INFINITY);
        found.replacements.push(self.cheaper(claim, cheapest)?);
        Some(found)
    }
}

/// The nodes of each pool in turn, the pool of the best node first: the original's order of pools
/// is random, this one its likeliest.
fn in_turn(all: Vec<Candidate>) -> Vec<Candidate> {
    let count = all.len();
    let mut pools: Vec<(usize, VecDeque<Candidate>)> = Vec::new();
    for candidate in all {
        let pool = candidate.pool;
        match pools.iter_mut().find(|(known, _)| *known == pool) {
            Some((_, list)) => list.push_back(candidate),
            None => pools.push((pool, VecDeque::from([candidate]))),
        }
    }
    let mut order = Vec::new();
    while order.len() < count {
        order.extend(pools.iter_mut().filter_map(|(_, list)| list.pop_front()));
    }
    order
}

/// Nodes to which a pod came or from which one went within `consolidateAfter` (rules A202, A211).
fn settling(terms: Terms<'_>) -> BTreeSet<usize> {
    let view = terms.view;
    let settles = |at: &usize| {
        let node = &view.nodes[*at];
        let name = node.labels.get(terms.words.node_pool);
        let pool = view.pools.iter().find(|pool| Some(pool.name) == name);
        let after = pool.and_then(|pool| pool.consolidate_after);
        let last = node.claim.and_then(|claim| claim.last_pod_event);
        after.zip(last).is_some_and(|(after, last)| last + after > view.now)
    };
    (0..view.nodes.len()).filter(settles).collect()
}
