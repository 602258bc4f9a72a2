//! The scheduling simulation: pods onto nodes that are there, claims of this run, new claims.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::base::{Interner, Symbol, go_sort};
use crate::model::{HostPort, Resource, Resources, TaintEffect};

use super::claim::{Asked, Claim, Daemon, NewClaim, Template, clash, requests_of};
use super::requirement::{Place, Requirement, Requirements, tolerates};
use super::topology::{Spot, Terms, Topology};
use super::types::{amount, fits, in_order};
use super::view::View;
use super::wishes::Wishes;

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Solution {
    /// Claims to create, in the order of their opening but for the sorting by pods.
    pub claims: Vec<NewClaim>,
    /// Nodes that got pods, with these, in the order of trying.
    pub existing: Vec<(usize, Vec<usize>)>,
    /// Pods without a place, in the order of the queue.
    pub failed: Vec<usize>,
}

/// A node that is there.
struct ExistingNode {
    node: usize,
    pods: Vec<usize>,
    left: Resources,
    requirements: Requirements,
    ports: Vec<HostPort>,
    is_settling: bool,
}

/// Where pods may go and which are asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Question {
    /// The pods to place.
    pub(super) pods: Vec<usize>,
    /// Nodes that are not there.
    pub(super) without: BTreeSet<usize>,
    /// Nodes that still settle (`consolidateAfter`): closed to all but pending pods and those of
    /// nodes that go anyway (rule A211).
    pub(super) settling: BTreeSet<usize>,
}

/// Names for the hosts of claims that are to come: as many as pods are enough.
#[must_use]
pub fn hosts(count: usize, names: &mut Interner) -> Vec<Symbol> {
    (0..count).map(|n| names.intern(&format!("hostname-placeholder-{:04}", n + 1))).collect()
}

struct Solver<'a> {
    terms: Terms<'a>,
    hosts: &'a [Symbol],
    nodes: Vec<ExistingNode>,
    claims: Vec<Claim>,
    templates: Vec<Template>,
    left: BTreeMap<usize, Vec<(Resource, i64)>>,
    topology: Topology,
    tolerates_preferred: bool,
}

/// Places pods. There are no more new claims than `hosts`.
///
/// Source: kubernetes-sigs/karpenter v1.14.1
/// pkg/controllers/provisioning/scheduling/scheduler.go `Solve` (rules A189 to A195; recorded).
pub(super) fn solve(question: &Question, hosts: &[Symbol], terms: Terms<'_>) -> Solution {
    let mut solver = Solver::new(question, hosts, terms);
    let mut failed = BTreeSet::new();
    let mut last = BTreeMap::new();
    let mut queue = queue(&question.pods, terms);
    while let Some(pod) = queue.pop_front() {
        if last.get(&pod) == Some(&(queue.len() + 1)) {
            queue.push_front(pod);
            break;
        }
        if solver.place(pod) {
            failed.remove(&pod);
            continue;
        }
        failed.insert(pod);
        let wishes = Wishes::of(&terms.view.pods[pod].info.spec);
        solver.topology.update(pod, &wishes, terms);
        queue.push_back(pod);
        last.insert(pod, queue.len());
    }
    solver.solution(queue.into_iter().filter(|pod| failed.contains(pod)).collect())
}

/// Pods by CPU, then memory, both descending, then age, then UID (rule A190).
fn queue(pods: &[usize], terms: Terms<'_>) -> VecDeque<usize> {
    let mut order = pods.to_vec();
    let view = |pod: &usize| &terms.view.pods[*pod];
    let key = |pod: &usize| {
        let requests = &view(pod).info.spec.requests;
        (-requests.cpu.0, -requests.memory.0, view(pod).created, view(pod).uid)
    };
    order.sort_by_key(key);
    order.into()
}

impl<'a> Solver<'a> {
    fn new(question: &Question, hosts: &'a [Symbol], terms: Terms<'a>) -> Self {
        let view = terms.view;
        let pools = in_order(&view.pools, terms.names);
        let prefers = |pool: &usize| {
            view.pools[*pool].taints.iter().any(|t| t.effect == TaintEffect::PreferNoSchedule)
        };
        let mut daemons: Vec<Daemon> = view
            .daemons
            .iter()
            .map(|info| Daemon {
                wishes: Wishes::of(&info.spec),
                requests: requests_of(&info.spec, terms),
                ports: info.spec.host_ports.clone(),
            })
            .collect();
        let make = |pool: &usize| Template::new(*pool, &mut daemons, terms);
        let templates: Vec<Template> = pools.iter().filter_map(make).collect();
        let there: Vec<usize> = (0..view.nodes.len())
            .filter(|node| !question.without.contains(node) && !view.nodes[*node].is_deleting)
            .collect();
        let asked: Vec<(usize, Wishes)> = question
            .pods
            .iter()
            .map(|pod| (*pod, Wishes::of(&view.pods[*pod].info.spec)))
            .collect();
        let topology = Topology::new(&asked, &pools, there.clone(), terms);
        let mut solver = Self {
            terms,
            hosts,
            nodes: Vec::new(),
            claims: Vec::new(),
            templates,
            left: limits(&pools, &there, terms),
            topology,
            tolerates_preferred: pools.iter().any(prefers),
        };
        for node in there {
            solver.add_node(node, &daemons, question.settling.contains(&node));
        }
        let place = |node: &ExistingNode| {
            let view = &view.nodes[node.node];
            (!view.is_initialized, terms.names.resolve(view.name))
        };
        solver.nodes.sort_by(|a, b| place(a).cmp(&place(b)));
        solver
    }

    /// A node with what is left of it once the daemons that it lacks have come.
    fn add_node(&mut self, at: usize, daemons: &[Daemon], is_settling: bool) {
        let terms = self.terms;
        let node = &terms.view.nodes[at];
        let labels = Requirements::of_labels(&node.labels, terms.words, terms.names);
        let runs = |daemon: &&Daemon| {
            let asked = daemon.wishes.required(terms.words, terms.names);
            tolerates(&daemon.wishes.tolerations, &node.taints)
                && labels.compatible(&asked, Place::OnNode, terms.words, terms.names)
        };
        let mut coming = Resources::default();
        for daemon in daemons.iter().filter(runs) {
            coming.add(&daemon.requests);
        }
        let (mut left, mut ports) = (node.allocatable.clone(), Vec::new());
        for pod in terms.view.pods.iter().filter(|pod| pod.node == Some(at)) {
            let requests = requests_of(&pod.info.spec, terms);
            left.subtract(&requests);
            ports.extend_from_slice(&pod.info.spec.host_ports);
            if pod.is_daemon {
                coming.subtract(&requests);
            }
        }
        left.subtract(&at_least_nothing(coming));
        let host = node.labels.get(terms.words.hostname).unwrap_or(node.name);
        let mut requirements = labels;
        requirements.add(Requirement::one_of(terms.words.hostname, [host]), terms.names);
        self.topology.register_host(host, terms);
        let pods = Vec::new();
        self.nodes.push(ExistingNode { node: at, pods, left, requirements, ports, is_settling });
    }

    /// Tries all places; gives wishes up one by one until the pod has one.
    fn place(&mut self, pod: usize) -> bool {
        let spec = &self.terms.view.pods[pod].info.spec;
        let mut asked = Asked::new(pod, Wishes::of(spec), self.terms);
        loop {
            if self.on_node(&asked) || self.on_claim(&asked) || self.on_new_claim(&asked) {
                return true;
            }
            let mut wishes = asked.wishes;
            if !wishes.relax(self.tolerates_preferred) {
                return false;
            }
            self.topology.update(pod, &wishes, self.terms);
            asked = Asked::new(pod, wishes, self.terms);
        }
    }

    fn on_node(&mut self, asked: &Asked) -> bool {
        let found = (0..self.nodes.len())
            .find_map(|at| self.fits_node(&self.nodes[at], asked).map(|left| (at, left)));
        let Some((at, requirements)) = found else { return false };
        let node = &mut self.nodes[at];
        node.pods.push(asked.pod);
        node.left.subtract(&asked.requests);
        node.ports.extend_from_slice(&asked.ports);
        node.requirements = requirements;
        let taints = &self.terms.view.nodes[node.node].taints;
        let spot = Spot { taints, known: &node.requirements, place: Place::OnNode };
        self.topology.record(asked.pod, spot, self.terms);
        true
    }

    /// What is known of the node once it has the pod, if it can have it.
    fn fits_node(&self, node: &ExistingNode, asked: &Asked) -> Option<Requirements> {
        let terms = self.terms;
        let (words, names) = (terms.words, terms.names);
        let taints = &terms.view.nodes[node.node].taints;
        let is_closed = node.is_settling && !self.may_settle(asked.pod);
        let suits =
            || node.requirements.compatible(&asked.requirements, Place::OnNode, words, names);
        if is_closed
            || !tolerates(&asked.wishes.tolerations, taints)
            || clash(&asked.ports, &node.ports, terms)
            || !fits(&asked.requests, &node.left)
            || !suits()
        {
            return None;
        }
        let mut all = node.requirements.clone();
        all.add_all(&asked.requirements, names);
        let spot = Spot { taints, known: &all, place: Place::OnNode };
        let left = self.topology.narrow(asked.pod, &asked.required, spot, terms)?;
        if !all.compatible(&left, Place::OnNode, words, names) {
            return None;
        }
        all.add_all(&left, names);
        Some(all)
    }

    /// Pending pods, and those of nodes that go anyway, may go to a node that still settles.
    fn may_settle(&self, pod: usize) -> bool {
        let pod = &self.terms.view.pods[pod];
        pod.node.is_none_or(|node| self.terms.view.nodes[node].is_deleting)
    }

    /// Claims of this run, those with the fewest pods first (rule A192).
    fn on_claim(&mut self, asked: &Asked) -> bool {
        go_sort::sort(&mut self.claims, |a, b| a.pods.len() < b.pods.len());
        let terms = self.terms;
        for claim in &mut self.claims {
            let pool = self.templates[claim.template].pool;
            let taints = &terms.view.pools[pool].taints;
            if let Some(added) = claim.can_add(asked, taints, &self.topology, false, terms) {
                claim.add(asked, added, taints, &mut self.topology, terms);
                return true;
            }
        }
        false
    }

    /// A new claim of the first pool that can have it, within what its limits leave (rule A194).
    fn on_new_claim(&mut self, asked: &Asked) -> bool {
        let terms = self.terms;
        let Some(host) = self.hosts.get(self.claims.len()).copied() else { return false };
        for at in 0..self.templates.len() {
            let template = &self.templates[at];
            let left = self.left.get(&template.pool);
            let types = within(&template.types, left, terms);
            let taints = &terms.view.pools[template.pool].taints;
            let mut claim = Claim::new((at, template), types, host, terms);
            let relaxes = terms.settings.relaxes_min_values;
            let Some(added) = claim.can_add(asked, taints, &self.topology, relaxes, terms) else {
                continue;
            };
            claim.add(asked, added, taints, &mut self.topology, terms);
            if let Some(left) = self.left.get_mut(&template.pool) {
                take_largest(left, &claim.types, terms);
            }
            self.claims.push(claim);
            return true;
        }
        false
    }

    fn solution(self, failed: Vec<usize>) -> Solution {
        let mut solution = Solution { failed, ..Solution::default() };
        for node in self.nodes.into_iter().filter(|node| !node.pods.is_empty()) {
            solution.existing.push((node.node, node.pods));
        }
        for claim in self.claims {
            let pool = self.templates[claim.template].pool;
            let pods = claim.pods.clone();
            match claim.finish(pool, self.terms).truncated(self.terms) {
                Some(claim) => solution.claims.push(claim),
                None => solution.failed.extend(pods),
            }
        }
        solution
    }
}

/// What the limits of the pools leave besides the nodes that are there (rule A194).
fn limits(
    pools: &[usize],
    there: &[usize],
    terms: Terms<'_>,
) -> BTreeMap<usize, Vec<(Resource, i64)>> {
    let view: &View = terms.view;
    let mut all = BTreeMap::new();
    for pool in pools {
        let mut left = view.pools[*pool].limits.clone();
        let is_of = |node: &&usize| {
            view.nodes[**node].labels.get(terms.words.node_pool) == Some(view.pools[*pool].name)
        };
        for node in there.iter().filter(is_of) {
            for (resource, amount_left) in &mut left {
                *amount_left -= capacity(&view.nodes[*node].capacity, *resource, terms);
            }
        }
        all.insert(*pool, left);
    }
    all
}

/// A machine's amount; each machine is one of the resource `nodes`.
fn capacity(of: &Resources, resource: Resource, terms: Terms<'_>) -> i64 {
    if resource == Resource::Scalar(terms.words.nodes) { 1 } else { amount(of, resource) }
}

fn within(types: &[usize], left: Option<&Vec<(Resource, i64)>>, terms: Terms<'_>) -> Vec<usize> {
    let fits = |t: &usize| {
        let of = &terms.view.types[*t].capacity;
        left.into_iter().flatten().all(|(resource, left)| capacity(of, *resource, terms) <= *left)
    };
    types.iter().copied().filter(fits).collect()
}

fn take_largest(left: &mut [(Resource, i64)], types: &[usize], terms: Terms<'_>) {
    for (resource, left) in left {
        let of = |t: &usize| capacity(&terms.view.types[*t].capacity, *resource, terms);
        *left -= types.iter().map(of).max().unwrap_or(0);
    }
}

fn at_least_nothing(mut of: Resources) -> Resources {
    of.cpu.0 = of.cpu.0.max(0);
    of.memory.0 = of.memory.0.max(0);
    of.ephemeral_storage.0 = of.ephemeral_storage.0.max(0);
    for (_, amount) in &mut of.scalars {
        *amount = (*amount).max(0);
    }
    of
}
