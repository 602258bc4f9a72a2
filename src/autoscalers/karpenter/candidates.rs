//! Nodes that may be disturbed, what that costs and saves, and how many budgets allow.

use std::collections::BTreeMap;

use crate::base::{Duration, Symbol, cast};
use crate::model::{ConsolidationPolicy, DisruptionReason, QuotaNodes, Taint, TaintEffect};

use super::requirement::tolerates;
use super::topology::Terms;
use super::types::NodePool;
use super::view::{NodeView, PodView};
use super::{is_fully_blocked, is_movable};

/// A node that may be disturbed.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) node: usize,
    pub(super) pool: usize,
    /// Its type, if the pool still knows it.
    pub(super) of: Option<usize>,
    /// The label of its capacity type.
    pub(super) capacity_type: Option<Symbol>,
    /// Its zone.
    pub(super) zone: Option<Symbol>,
    /// What its own offering costs, USD an hour; 0 if unknown.
    pub(super) price: f64,
    /// What moving its pods costs, itself counted as 1 (rule A204).
    pub(super) cost: f64,
    /// The pods that go elsewhere.
    pub(super) pods: Vec<usize>,
}

impl Candidate {
    /// Whether no pod costs anything to move (rule A204).
    pub(super) fn is_empty(&self) -> bool {
        self.cost <= 1.0
    }

    /// Price for disturbance: the higher, the sooner it is taken (rule A205).
    pub(super) fn ratio(&self) -> f64 {
        self.price / self.cost
    }
}

/// What the eviction of a pod costs (rule A204).
///
/// Source: kubernetes-sigs/karpenter v1.14.1 pkg/utils/disruption/disruption.go `EvictionCost`.
pub(super) fn eviction_cost(pod: &PodView) -> f64 {
    let deletion = pod.deletion_cost.unwrap_or(0.0) / f64::from(1_u32 << 27);
    let priority = f64::from(pod.info.spec.priority) / f64::from(1_u32 << 25);
    (1.0 + deletion + priority).clamp(-10.0, 10.0)
}

/// What moving these pods of one node costs (rule A204).
fn cost_of(pods: &[usize], terms: Terms<'_>) -> f64 {
    pods.iter().fold(1.0, |sum, pod| sum + eviction_cost(&terms.view.pods[*pod]).max(0.0))
}

fn pods_of(node: usize, terms: Terms<'_>) -> impl Iterator<Item = usize> {
    let pods = &terms.view.pods;
    (0..pods.len()).filter(move |pod| pods[*pod].node == Some(node))
}

fn movable_of(node: usize, terms: Terms<'_>) -> Vec<usize> {
    pods_of(node, terms).filter(|pod| is_movable(&terms.view.pods[*pod])).collect()
}

/// All candidates, by name of the node (rule A201). `is_eventual`: of a method that a grace period
/// of the node makes stronger than its pods' wishes.
///
/// Source: kubernetes-sigs/karpenter v1.14.1 pkg/controllers/disruption/types.go `NewCandidate`.
pub(super) fn candidates(is_eventual: bool, terms: Terms<'_>) -> Vec<Candidate> {
    let view = terms.view;
    let mut all: Vec<Candidate> =
        (0..view.nodes.len()).filter_map(|node| candidate(node, is_eventual, terms)).collect();
    all.sort_by_key(|candidate| terms.names.resolve(view.nodes[candidate.node].name));
    all
}

fn candidate(at: usize, is_eventual: bool, terms: Terms<'_>) -> Option<Candidate> {
    let view = terms.view;
    let node = &view.nodes[at];
    let claim = node.claim?;
    let is_nominated = node.nominated_until.is_some_and(|until| until > view.now);
    if !node.is_registered
        || !node.is_initialized
        || node.is_deleting
        || node.is_kept
        || is_nominated
    {
        return None;
    }
    let pool = pool_of(node, terms)?;
    let is_held = pods_of(at, terms).any(|pod| holds_node(&view.pods[pod], terms));
    if is_held && !(is_eventual && claim.has_grace_period) {
        return None;
    }
    let label = |key| node.labels.get(key);
    let name = label(terms.words.instance_type);
    let mut known = view.pools[pool].types.iter().copied();
    let of = known.find(|t| Some(view.types[*t].name) == name);
    let pods = movable_of(at, terms);
    Some(Candidate {
        node: at,
        pool,
        of,
        capacity_type: label(terms.words.capacity_type),
        zone: label(terms.words.zone),
        price: of.map_or(0.0, |t| price_of(node, t, terms)),
        cost: cost_of(&pods, terms),
        pods,
    })
}

fn pool_of(node: &NodeView, terms: Terms<'_>) -> Option<usize> {
    let name = node.labels.get(terms.words.node_pool)?;
    terms.view.pools.iter().position(|pool| pool.name == name)
}

/// What the node's own offering costs, whether it can be bought now or not.
fn price_of(node: &NodeView, of: usize, terms: Terms<'_>) -> f64 {
    let zone = node.labels.get(terms.words.zone);
    let kind = node.labels.get(terms.words.capacity_type);
    let mut offerings = terms.view.types[of].offerings.iter();
    let own = offerings.find(|o| Some(o.zone) == zone && Some(o.capacity_type) == kind);
    own.map_or(0.0, |offering| offering.price)
}

/// Whether the pod keeps its node from being disturbed: it says so, or a budget says so, or two
/// budgets select it, which no eviction survives (rule A201).
fn holds_node(pod: &PodView, terms: Terms<'_>) -> bool {
    if pod.is_terminating {
        return false;
    }
    if pod.is_kept {
        return true;
    }
    let taint = Taint {
        key: terms.words.disrupted,
        value: terms.words.nothing,
        effect: TaintEffect::NoSchedule,
    };
    if pod.is_static || tolerates(&pod.info.spec.tolerations, &[taint]) {
        return false;
    }
    let budgets: Vec<_> =
        terms.view.budgets.iter().filter(|budget| budget.selects(pod, terms.names)).collect();
    let is_used_up = |budget: &&super::view::BudgetView| {
        budget.allowed == 0 && !(budget.frees_unready && pod.is_unready)
    };
    budgets.len() > 1 || budgets.iter().any(is_used_up)
}

/// Whether the pod can be moved now: nothing keeps it where it is for good.
pub(super) fn can_move(pod: &PodView, terms: Terms<'_>) -> bool {
    is_movable(pod) && !pod.is_kept && !is_fully_blocked(pod, terms)
}

/// How many nodes of each pool may be disturbed for a reason (rule A216).
///
/// Source: kubernetes-sigs/karpenter v1.14.1 pkg/controllers/disruption/helpers.go
/// `BuildDisruptionBudgetMapping`; pkg/apis/v1/nodepool.go `GetAllowedDisruptionsByReason`.
pub(super) fn allowed(reason: DisruptionReason, terms: Terms<'_>) -> BTreeMap<usize, u32> {
    let mut all = BTreeMap::new();
    for (at, pool) in terms.view.pools.iter().enumerate() {
        let is_of = |node: &&NodeView| {
            node.claim.is_some() && node.is_initialized && pool_of(node, terms) == Some(at)
        };
        let nodes: Vec<&NodeView> = terms.view.nodes.iter().filter(is_of).collect();
        let away = nodes.iter().filter(|node| !node.is_ready || node.is_deleting).count();
        let most = most(pool, reason, cast::u32_of(nodes.len()), terms.view.unix);
        all.insert(at, most.saturating_sub(cast::u32_of(away)));
    }
    all
}

fn most(pool: &NodePool, reason: DisruptionReason, nodes: u32, unix: i64) -> u32 {
    let counts = pool.budgets.iter().filter(|budget| {
        (budget.reasons.is_empty() || budget.reasons.contains(&reason))
            && budget.window.as_ref().is_none_or(|(schedule, length)| {
                schedule.next(unix - whole_secs(*length)).is_some_and(|hit| hit <= unix)
            })
    });
    let counts = counts.map(|budget| match budget.nodes {
        QuotaNodes::Count(count) => count,
        QuotaNodes::Percent(part) => (nodes * part).div_ceil(100),
    });
    counts.min().unwrap_or(u32::MAX)
}

fn whole_secs(time: Duration) -> i64 {
    i64::try_from(time.whole_secs()).unwrap_or(i64::MAX)
}

/// What a pool costs in all: USD an hour, and the moving of all its pods.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    price: f64,
    cost: f64,
}

/// The totals of the pools, over all their nodes (rule A214).
pub(super) fn totals(terms: Terms<'_>) -> BTreeMap<usize, Totals> {
    let mut all: BTreeMap<usize, Totals> = BTreeMap::new();
    for (at, node) in terms.view.nodes.iter().enumerate() {
        let Some(pool) = pool_of(node, terms) else { continue };
        let total = all.entry(pool).or_default();
        let name = node.labels.get(terms.words.instance_type);
        let mut known = terms.view.pools[pool].types.iter().copied();
        let of = known.find(|t| Some(terms.view.types[*t].name) == name);
        total.price += of.map_or(0.0, |t| price_of(node, t, terms));
        total.cost += cost_of(&movable_of(at, terms), terms);
    }
    all
}

/// Whether a saving of that much is worth moving pods for that cost: at least half of the share
/// that the pool pays for its own (rule A214).
fn is_worth(savings: f64, cost: f64, of: Totals) -> bool {
    if of.price <= 0.0 || of.cost <= 0.0 {
        return false;
    }
    let (saved, moved) = (savings / of.price, cost / of.cost);
    saved > 0.0 && (moved == 0.0 || saved / moved >= 0.5)
}

/// Whether all pools of policy Balanced approve of a move that saves this much (rule A214).
///
/// Source: kubernetes-sigs/karpenter v1.14.1 pkg/controllers/disruption/balanced.go
/// `EvaluateBalancedMove`.
pub(super) fn approves(
    moved: &[&Candidate],
    savings: f64,
    totals: &BTreeMap<usize, Totals>,
    terms: Terms<'_>,
) -> bool {
    let mut pools: Vec<usize> = moved.iter().map(|candidate| candidate.pool).collect();
    pools.sort_unstable();
    pools.dedup();
    let all: f64 = moved.iter().map(|candidate| candidate.price).sum();
    pools.iter().all(|pool| {
        if terms.view.pools[*pool].policy != ConsolidationPolicy::Balanced {
            return true;
        }
        let own = || moved.iter().filter(|candidate| candidate.pool == *pool);
        let cost: f64 = own().map(|candidate| candidate.cost).sum();
        let price: f64 = own().map(|candidate| candidate.price).sum();
        let share = if all > 0.0 && pools.len() > 1 { savings * (price / all) } else { savings };
        is_worth(share, cost, totals.get(pool).copied().unwrap_or_default())
    })
}
