//! The cluster of a run as Karpenter sees it, and what its cloud sells now.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{Interner, SimTime, Symbol};
use crate::cluster::{Cluster, Node, Pod, Readiness};
use crate::model::{
    CapacityType, KarpenterSpec, Labels, NodeId, Offer, PoolSpec, Resources, Taint, WorkloadKind,
};
use crate::placement::PodInfo;

use super::claim::NewClaim;
use super::requirement::{Requirement, Requirements};
use super::types::{InstanceType, NodePool, Offering};
use super::view::{BudgetView, ClaimView, NodeView, PodView, View};
use super::words::Words;

/// Which machine a node of the view is.
pub(super) type Serial = u64;

/// A view, and what its places mean.
pub(super) struct Look {
    pub(super) view: View,
    /// By place of the node: Karpenter's own machine behind it.
    pub(super) serials: Vec<Option<Serial>>,
}

/// What is known of one of Karpenter's own machines, besides what the cluster tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) node: Option<NodeId>,
    pub(super) is_leaving: bool,
    pub(super) nominated_until: Option<SimTime>,
    pub(super) claim: ClaimView,
}

/// What the cloud sells, by type.
#[derive(Clone, Debug, Default)]
pub(super) struct Catalog {
    pub(super) types: Vec<InstanceType>,
    /// The offers of each type, in the order of its offerings.
    pub(super) offers: Vec<Vec<Arc<Offer>>>,
}

fn with_pods(mut of: Resources, count: u32, words: &Words) -> Resources {
    of.add_scalar(words.pods, i64::from(count));
    of
}

impl Catalog {
    /// All types, with what each brings; labels that they bring are learned.
    pub(super) fn new(spec: &KarpenterSpec, words: &mut Words, names: &Interner) -> Self {
        let mut all = Self::default();
        let mut places = BTreeMap::new();
        for offer in &spec.offers {
            let at = *places.entry(offer.kind).or_insert_with(|| {
                all.offers.push(Vec::new());
                all.offers.len() - 1
            });
            all.offers[at].push(Arc::clone(offer));
        }
        for offers in &all.offers {
            let first = &offers[0];
            let mut labels = first.node.labels.clone();
            labels.remove(words.zone);
            labels.remove(words.capacity_type);
            labels.iter().for_each(|(key, _)| words.learn(key));
            let name = labels.get(words.instance_type).unwrap_or(first.node.name);
            let pods = first.node.pods_max;
            all.types.push(InstanceType {
                name,
                requirements: Requirements::of_labels(&labels, words, names),
                capacity: with_pods(first.has.clone(), pods, words),
                allocatable: with_pods(first.node.allocatable.clone(), pods, words),
                offerings: Vec::new(),
            });
        }
        all
    }

    /// The types as they can be bought now.
    pub(super) fn now(
        &self,
        can_be_had: impl Fn(&Offer) -> bool,
        words: &Words,
        names: &Interner,
    ) -> Vec<InstanceType> {
        let offering = |offer: &Arc<Offer>| Offering {
            zone: offer.zone.unwrap_or(words.nothing),
            capacity_type: capacity_type(offer.capacity, words),
            price: offer.node.price_per_hour.as_usd(),
            is_available: can_be_had(offer),
        };
        let both = self.types.iter().zip(&self.offers);
        let now = both.map(|(of, offers)| {
            let offerings: Vec<Offering> = offers.iter().map(offering).collect();
            let on_sale = || offerings.iter().filter(|o| o.is_available);
            let mut requirements = of.requirements.clone();
            let zones = on_sale().map(|o| o.zone);
            requirements.add(Requirement::one_of(words.zone, zones), names);
            let kinds = on_sale().map(|o| o.capacity_type);
            requirements.add(Requirement::one_of(words.capacity_type, kinds), names);
            InstanceType { offerings, requirements, ..of.clone() }
        });
        now.collect()
    }

    /// What to ask the cloud for: spot machines if they are allowed and can be had, none dearer
    /// than the cheapest on demand, else machines on demand; cheapest first (rule A196).
    ///
    /// Source: aws/karpenter-provider-aws pkg/providers/instance/instance.go. Differs: the cheapest
    /// spot offer is taken, not the one with the best of price and capacity.
    pub(super) fn launch(
        &self,
        claim: &NewClaim,
        pool: &PoolSpec,
        view: &View,
        (words, names): (&Words, &Interner),
    ) -> Arc<[Arc<Offer>]> {
        let mut all: Vec<(&Offering, &Arc<Offer>)> = Vec::new();
        for t in &claim.types {
            let both = view.types[*t].offerings.iter().zip(&self.offers[*t]);
            let suits = |o: &Offering| o.is_available && o.suits(&claim.requirements, words, names);
            all.extend(both.filter(|(offering, _)| suits(offering)));
        }
        let is_spot = |(_, offer): &(&Offering, &Arc<Offer>)| offer.capacity == CapacityType::Spot;
        let (mut spot, on_demand): (Vec<_>, Vec<_>) = all.into_iter().partition(is_spot);
        let cheapest = on_demand.iter().map(|(o, _)| o.price).fold(f64::INFINITY, f64::min);
        spot.retain(|(offering, _)| offering.price <= cheapest);
        let mut chosen = if spot.is_empty() { on_demand } else { spot };
        chosen.sort_by(|(a, _), (b, _)| a.price.total_cmp(&b.price));
        let labels = labels_of(claim, pool, words);
        chosen.iter().map(|(_, offer)| Arc::new(of_pool(offer, pool, &labels, words))).collect()
    }
}

fn capacity_type(of: CapacityType, words: &Words) -> Symbol {
    match of {
        CapacityType::OnDemand => words.on_demand,
        CapacityType::Spot => words.spot,
    }
}

/// Labels of the claim's node: the pool's, and those that its requirements leave one value.
fn labels_of(claim: &NewClaim, pool: &PoolSpec, words: &Words) -> Labels {
    let mut labels = pool.labels.clone();
    for asked in claim.requirements.iter().filter(|r| !words.is_well_known(r.key)) {
        if let Some(value) = asked.only() {
            labels.set(asked.key, value);
        }
    }
    labels.set(words.node_pool, pool.name);
    labels
}

fn of_pool(offer: &Offer, pool: &PoolSpec, labels: &Labels, words: &Words) -> Offer {
    let mut made = offer.clone();
    for (key, value) in labels.iter() {
        made.node.labels.set(key, value);
    }
    made.node.labels.set(words.capacity_type, capacity_type(offer.capacity, words));
    (made.node.pool, made.node.name) = (pool.name, pool.name);
    made.node.taints.clone_from(&pool.taints);
    made
}

/// A pool as decisions see it.
pub(super) fn pool(spec: &PoolSpec, types: usize, words: &Words, names: &Interner) -> NodePool {
    let mut requirements = Requirements::default();
    for (asked, min_values) in &spec.requirements {
        let values = asked.values.iter().copied();
        let key = words.normal(asked.key);
        let mut one = Requirement::new(key, asked.operator, values, names);
        one.min_values = *min_values;
        requirements.add(one, names);
    }
    let mut labels = spec.labels.clone();
    labels.set(words.node_pool, spec.name);
    NodePool {
        name: spec.name,
        weight: spec.weight,
        is_ready: true,
        requirements,
        labels,
        taints: spec.taints.clone(),
        limits: spec.limits.clone(),
        types: (0..types).collect(),
        policy: spec.policy,
        consolidate_after: spec.consolidate_after,
        budgets: spec.budgets.clone(),
    }
}

/// Looks at the cluster; `known` are Karpenter's own machines that run.
pub(super) fn look(
    cluster: &Cluster,
    known: &BTreeMap<Serial, Known>,
    types: Vec<InstanceType>,
    pools: Vec<NodePool>,
    words: &Words,
) -> Look {
    let now = cluster.now();
    let mut look = Look {
        view: View {
            now,
            unix: cluster.model().run.start_unix + whole_secs(now),
            types,
            pools,
            nodes: Vec::new(),
            pods: Vec::new(),
            daemons: Vec::new(),
            budgets: cluster.budgets().iter().map(|(_, row)| budget(row)).collect(),
            namespaces: Vec::new(),
        },
        serials: Vec::new(),
    };
    let mut places = BTreeMap::new();
    let own: BTreeMap<NodeId, Serial> =
        known.iter().filter_map(|(serial, known)| known.node.map(|node| (node, *serial))).collect();
    for (id, row) in cluster.nodes().enumerate().filter(|(_, row)| !row.is_gone) {
        let serial = own.get(&id).copied();
        places.insert(id, look.view.nodes.len());
        look.view.nodes.push(node(row, serial.and_then(|serial| known.get(&serial)), words));
        look.serials.push(serial);
    }
    for (serial, of) in known.iter().filter(|(_, of)| of.node.is_none()) {
        if let Some(made) = coming(*serial, of, cluster, words) {
            look.view.nodes.push(made);
            look.serials.push(Some(*serial));
        }
    }
    for (_, row) in cluster.pods().iter().filter(|(_, row)| !row.is_terminal()) {
        look.view.pods.push(pod(row, &places, cluster));
    }
    for (_, row) in cluster.daemon_sets().iter() {
        let (name, template) = (row.spec.name, &row.spec.template);
        let mut spec = (*template.spec).clone();
        spec.node_affinity.required.clone_from(&row.spec.affinity.required);
        let info = PodInfo::plain(name.namespace, template.labels.clone(), Arc::new(spec));
        look.view.daemons.push(Arc::new(info));
    }
    look
}

fn whole_secs(now: SimTime) -> i64 {
    i64::try_from(now.since_start().whole_secs()).unwrap_or(i64::MAX)
}

fn budget(row: &crate::cluster::Budget) -> BudgetView {
    use crate::base::IntOrString;
    let is = |of: &Option<IntOrString>, texts: [&str; 2]| {
        of.as_ref().is_some_and(|of| texts.contains(&of.to_string().as_str()))
    };
    BudgetView {
        namespace: row.spec.name.namespace,
        selector: row.spec.selector.clone(),
        allowed: row.status.allowed,
        is_blocking: is(&row.spec.max_unavailable, ["0", "0%"])
            || is(&row.spec.min_available, ["100%", "100%"]),
        frees_unready: row.spec.evicts_unhealthy,
    }
}

/// A node that is not yet up is judged without the taints of its coming.
fn taints(row: &Node, is_initialized: bool, words: &Words) -> Vec<Taint> {
    let passes = |taint: &&Taint| !is_initialized && words.is_of_coming(taint.key);
    row.spec.taints.iter().filter(|taint| !passes(taint)).cloned().collect()
}

fn node(row: &Node, known: Option<&Known>, words: &Words) -> NodeView {
    let is_initialized = known.is_none() || row.first_ready.is_some();
    let pods = row.spec.pods_max;
    let allocatable = with_pods(row.spec.allocatable.clone(), pods, words);
    NodeView {
        name: row.spec.name,
        labels: row.spec.labels.clone(),
        taints: taints(row, is_initialized, words),
        capacity: allocatable.clone(),
        allocatable,
        is_registered: true,
        is_initialized,
        is_ready: row.condition == Readiness::True,
        is_deleting: known.is_some_and(|known| known.is_leaving),
        is_kept: row.spec.keeps.from_karpenter,
        nominated_until: known.and_then(|known| known.nominated_until),
        claim: known.map(|known| known.claim),
    }
}

/// A machine whose node is still to come.
fn coming(serial: Serial, known: &Known, cluster: &Cluster, words: &Words) -> Option<NodeView> {
    let mut machines = cluster.cloud().instances().iter();
    let (_, machine) = machines.find(|(_, machine)| machine.serial == serial)?;
    let offer = machine.offer.as_ref()?;
    let pods = offer.node.pods_max;
    Some(NodeView {
        name: machine.name,
        labels: offer.node.labels.clone(),
        taints: offer.node.taints.clone(),
        allocatable: with_pods(offer.node.allocatable.clone(), pods, words),
        capacity: with_pods(offer.has.clone(), pods, words),
        is_registered: false,
        is_initialized: false,
        is_ready: false,
        is_deleting: known.is_leaving,
        is_kept: false,
        nominated_until: known.nominated_until,
        claim: Some(known.claim),
    })
}

fn pod(row: &Pod, places: &BTreeMap<NodeId, usize>, cluster: &Cluster) -> PodView {
    let template = cluster.template_of(row);
    let spec = Arc::clone(cluster.held(row));
    let is_daemon = row.origin == WorkloadKind::DaemonSet;
    let annotations = &template.template.source["metadata"]["annotations"];
    PodView {
        uid: row.uid,
        created: row.created,
        info: Arc::new(PodInfo::plain(row.namespace, template.labels.clone(), spec)),
        node: row.node.and_then(|node| places.get(&node).copied()),
        is_pending: is_waiting(row),
        is_terminating: row.deletion.is_some(),
        is_daemon,
        is_static: false,
        is_stateful: row.origin == WorkloadKind::StatefulSet,
        is_kept: annotations["karpenter.sh/do-not-disrupt"] == "true",
        is_unready: row.status.start_time.is_some() && !row.status.ready,
        deletion_cost: Some(f64::from(row.deletion_cost)),
    }
}

/// Whether the scheduler has found no place for the pod (rule A185).
pub(super) fn is_waiting(row: &Pod) -> bool {
    row.node.is_none()
        && row.unschedulable.is_some()
        && row.nominated.is_none()
        && row.deletion.is_none()
        && row.origin != WorkloadKind::DaemonSet
}
