//! Counts of pods by domain: spreading, affinity, and anti-affinity in both directions.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{Interner, Symbol};
use crate::model::{Labels, PodAffinityTerm, Selector, Taint, Toleration};
use crate::placement::PodInfo;

use super::requirement::{Kind, Place, Requirement, Requirements, tolerates};
use super::types::NodePool;
use super::view::{Settings, View};
use super::wishes::Wishes;
use super::words::Words;

/// What a group counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Spread,
    Affinity,
    AntiAffinity,
}

/// Which nodes a spread counts (rule S107 of Kubernetes, as Karpenter has it).
#[derive(Clone, Debug, PartialEq)]
struct NodeFilter {
    asked: Vec<Requirements>,
    honors_affinity: bool,
    honors_taints: bool,
    tolerations: Vec<Toleration>,
}

/// What makes two groups the same one.
#[derive(Clone, Debug, PartialEq)]
struct Shape {
    key: Symbol,
    sort: Sort,
    max_skew: i64,
    namespaces: BTreeSet<Symbol>,
    selector: Option<Selector>,
    filter: Option<NodeFilter>,
}

/// Pods that one constraint counts, by domain.
#[derive(Clone, Debug)]
struct Group {
    shape: Shape,
    min_domains: usize,
    owners: BTreeSet<usize>,
    counts: BTreeMap<Symbol, i64>,
}

/// Where something is to be placed: the taints and what is known of the labels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot<'a> {
    pub(super) taints: &'a [Taint],
    pub(super) known: &'a Requirements,
    pub(super) place: Place,
}

/// Names and settings that every question needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms<'a> {
    pub(super) view: &'a View,
    pub(super) settings: Settings,
    pub(super) words: &'a Words,
    pub(super) names: &'a Interner,
}

impl<'a> Terms<'a> {
    pub(super) const fn new(
        view: &'a View,
        (settings, words, names): (Settings, &'a Words, &'a Interner),
    ) -> Self {
        Self { view, settings, words, names }
    }
}

/// All groups of one scheduling run.
///
/// Source: kubernetes-sigs/karpenter v1.14.1
/// pkg/controllers/provisioning/scheduling/{topology,topologygroup,topologynodefilter,topologydomaingroup}.go
/// (rule A192; recorded). Where the original takes a random one of equal domains the first by name
/// is taken.
#[derive(Clone, Debug)]
pub(super) struct Topology {
    groups: Vec<Group>,
    inverse: Vec<Group>,
    domains: BTreeMap<Symbol, BTreeMap<Symbol, Vec<Vec<Taint>>>>,
    counted: Vec<usize>,
    nodes: Vec<usize>,
}

impl Topology {
    /// The groups of the pods that are to be placed. They are not counted where they run now;
    /// `nodes` are the nodes that stay.
    pub(super) fn new(
        asked: &[(usize, Wishes)],
        pools: &[usize],
        nodes: Vec<usize>,
        terms: Terms<'_>,
    ) -> Self {
        let moving: BTreeSet<usize> = asked.iter().map(|(pod, _)| *pod).collect();
        let counted = |pod: &usize| !moving.contains(pod) && terms.view.pods[*pod].node.is_some();
        let mut all = Self {
            groups: Vec::new(),
            inverse: Vec::new(),
            domains: domains(pools, terms),
            counted: (0..terms.view.pods.len()).filter(counted).collect(),
            nodes,
        };
        for pod in all.counted.clone() {
            let view = &terms.view.pods[pod];
            let wishes = &view.info.spec.pod_affinity.anti_required;
            let node = view.node.map(|node| &terms.view.nodes[node].labels);
            all.add_inverse(pod, wishes, node, terms);
        }
        for (pod, wishes) in asked {
            all.update(*pod, wishes, terms);
        }
        all
    }

    /// Sets what a pod asks now.
    pub(super) fn update(&mut self, pod: usize, wishes: &Wishes, terms: Terms<'_>) {
        for group in &mut self.groups {
            group.owners.remove(&pod);
        }
        self.add_inverse(pod, &wishes.fellows.anti_required, None, terms);
        let info = &terms.view.pods[pod].info;
        for (shape, min_domains) in shapes(info, wishes, terms) {
            let known = self.groups.iter().position(|group| group.shape == shape);
            let at = known.unwrap_or_else(|| {
                let mut group = self.group(shape, min_domains, wishes);
                self.count(&mut group, terms);
                self.groups.push(group);
                self.groups.len() - 1
            });
            self.groups[at].owners.insert(pod);
        }
    }

    fn add_inverse(
        &mut self,
        pod: usize,
        list: &[PodAffinityTerm],
        node: Option<&Labels>,
        terms: Terms<'_>,
    ) {
        for term in list {
            let shape = of_term(Sort::AntiAffinity, term, terms);
            let known = self.inverse.iter().position(|group| group.shape == shape);
            let at = known.unwrap_or_else(|| {
                let wishes = Wishes::of(&terms.view.pods[pod].info.spec);
                let group = self.group(shape, 0, &wishes);
                self.inverse.push(group);
                self.inverse.len() - 1
            });
            let group = &mut self.inverse[at];
            if let Some(domain) = node.and_then(|labels| labels.get(group.shape.key)) {
                *group.counts.entry(domain).or_default() += 1;
            }
            group.owners.insert(pod);
        }
    }

    fn group(&self, shape: Shape, min_domains: usize, wishes: &Wishes) -> Group {
        let honors = shape.filter.as_ref().is_some_and(|filter| filter.honors_taints);
        let is_open = |sets: &Vec<Vec<Taint>>| {
            !honors || sets.iter().any(|taints| tolerates(&wishes.tolerations, taints))
        };
        let known = self.domains.get(&shape.key).into_iter().flatten();
        let counts = known.filter(|(_, sets)| is_open(sets)).map(|(domain, _)| (*domain, 0));
        Group { counts: counts.collect(), min_domains, owners: BTreeSet::new(), shape }
    }

    /// Counts the pods that run, and knows the domains of the nodes that stay.
    fn count(&self, group: &mut Group, terms: Terms<'_>) {
        let view = terms.view;
        let labels = |node: usize| {
            Requirements::of_labels(&view.nodes[node].labels, terms.words, terms.names)
        };
        let is_open = |group: &Group, node: usize| {
            let known = labels(node);
            let taints = &view.nodes[node].taints;
            group.admits(Spot { taints, known: &known, place: Place::OnNode }, terms)
        };
        for node in self.nodes.iter().copied().filter(|node| view.nodes[*node].is_registered) {
            if let Some(domain) = view.nodes[node].labels.get(group.shape.key)
                && is_open(group, node)
            {
                group.counts.entry(domain).or_default();
            }
        }
        for pod in &self.counted {
            let pod = &view.pods[*pod];
            let Some(node) = pod.node else { continue };
            if pod.is_terminating || !group.selects(&pod.info, terms.names) {
                continue;
            }
            let own = (group.shape.key == terms.words.hostname).then_some(view.nodes[node].name);
            let domain = view.nodes[node].labels.get(group.shape.key).or(own);
            if let Some(domain) = domain
                && is_open(group, node)
            {
                *group.counts.entry(domain).or_default() += 1;
            }
        }
    }

    /// A node of this name is there.
    pub(super) fn register_host(&mut self, host: Symbol, terms: Terms<'_>) {
        for group in self.groups.iter_mut().chain(&mut self.inverse) {
            if group.shape.key == terms.words.hostname {
                group.counts.entry(host).or_default();
            }
        }
    }

    /// What the constraints that concern a pod leave of a spot, if anything; `required` is what
    /// the pod requires of the node.
    pub(super) fn narrow(
        &self,
        pod: usize,
        required: &Requirements,
        spot: Spot<'_>,
        terms: Terms<'_>,
    ) -> Option<Requirements> {
        let info = &terms.view.pods[pod].info;
        let mut left = spot.known.clone();
        let owned = self.groups.iter().filter(|group| group.owners.contains(&pod));
        let against = self.inverse.iter().filter(|g| g.counts_pod(info, spot, terms));
        for group in owned.chain(against) {
            let of_pod = required.allowed(group.shape.key);
            let of_node = spot.known.allowed(group.shape.key);
            let domains = group.next(info, &of_pod, &of_node, terms);
            if domains.is_empty() {
                return None;
            }
            left.add(domains, terms.names);
        }
        Some(left)
    }

    /// A pod has its place.
    pub(super) fn record(&mut self, pod: usize, spot: Spot<'_>, terms: Terms<'_>) {
        let info = &terms.view.pods[pod].info;
        for group in &mut self.groups {
            if !group.counts_pod(info, spot, terms) {
                continue;
            }
            let domains = spot.known.allowed(group.shape.key);
            if group.shape.sort == Sort::AntiAffinity {
                group.record(&domains);
            } else if let Some(domain) = domains.only() {
                *group.counts.entry(domain).or_default() += 1;
            }
        }
        for group in self.inverse.iter_mut().filter(|group| group.owners.contains(&pod)) {
            group.record(&spot.known.allowed(group.shape.key));
        }
    }
}

/// The domains that pools can bring, with the taints that stand before each.
fn domains(
    pools: &[usize],
    terms: Terms<'_>,
) -> BTreeMap<Symbol, BTreeMap<Symbol, Vec<Vec<Taint>>>> {
    let mut all: BTreeMap<Symbol, BTreeMap<Symbol, Vec<Vec<Taint>>>> = BTreeMap::new();
    for pool in pools.iter().map(|pool| &terms.view.pools[*pool]) {
        let mut add = |requirement: &Requirement| {
            for value in requirement.values() {
                let sets = all.entry(requirement.key).or_default().entry(value).or_default();
                if !sets.contains(&pool.taints) {
                    sets.push(pool.taints.clone());
                }
            }
        };
        let own = of_pool(pool, terms);
        for of in &pool.types {
            let mut both = own.clone();
            both.add_all(&terms.view.types[*of].requirements, terms.names);
            both.iter().for_each(&mut add);
        }
        own.iter().filter(|requirement| requirement.kind() == Kind::In).for_each(&mut add);
    }
    all
}

/// What a pool asks of its nodes, with their labels.
pub(super) fn of_pool(pool: &NodePool, terms: Terms<'_>) -> Requirements {
    let mut own = pool.requirements.clone();
    let labels = Requirements::of_labels(&pool.labels, terms.words, terms.names);
    own.add_all(&labels, terms.names);
    own
}

fn shapes(info: &PodInfo, wishes: &Wishes, terms: Terms<'_>) -> Vec<(Shape, usize)> {
    let respects = !terms.settings.ignores_preferences;
    let mut all = Vec::new();
    for constraint in wishes.spread.iter().filter(|c| c.is_hard || respects) {
        let filter = NodeFilter {
            asked: wishes.alternatives(terms.words, terms.names),
            honors_affinity: constraint.honors_affinity,
            honors_taints: constraint.honors_taints,
            tolerations: wishes.tolerations.clone(),
        };
        let shape = Shape {
            key: constraint.topology_key,
            sort: Sort::Spread,
            max_skew: i64::from(constraint.max_skew),
            namespaces: BTreeSet::from([info.namespace]),
            selector: constraint.selector.clone(),
            filter: Some(filter),
        };
        all.push((shape, usize::try_from(constraint.min_domains).unwrap_or(0)));
    }
    let fellows = &wishes.fellows;
    let preferred = fellows.preferred.iter().filter(|_| respects).map(|(_, term)| term);
    for term in fellows.required.iter().chain(preferred) {
        all.push((of_term(Sort::Affinity, term, terms), 0));
    }
    let preferred = fellows.anti_preferred.iter().filter(|_| respects).map(|(_, term)| term);
    for term in fellows.anti_required.iter().chain(preferred) {
        all.push((of_term(Sort::AntiAffinity, term, terms), 0));
    }
    all
}

fn of_term(sort: Sort, term: &PodAffinityTerm, terms: Terms<'_>) -> Shape {
    let mut namespaces: BTreeSet<Symbol> = term.namespaces.iter().copied().collect();
    if let Some(selector) = &term.namespace_selector {
        let selected = terms.view.namespaces.iter();
        let selected = selected.filter(|(_, labels)| selector.matches(labels, terms.names));
        namespaces.extend(selected.map(|(name, _)| *name));
    }
    Shape {
        key: term.topology_key,
        sort,
        max_skew: i64::from(i32::MAX),
        namespaces,
        selector: term.selector.clone(),
        filter: None,
    }
}

impl Group {
    fn selects(&self, info: &PodInfo, names: &Interner) -> bool {
        self.shape.namespaces.contains(&info.namespace)
            && self.shape.selector.as_ref().is_some_and(|s| s.matches(&info.labels, names))
    }

    fn admits(&self, spot: Spot<'_>, terms: Terms<'_>) -> bool {
        let Some(filter) = &self.shape.filter else { return true };
        let holds = |asked| spot.known.compatible(asked, spot.place, terms.words, terms.names);
        (!filter.honors_affinity || filter.asked.iter().any(holds))
            && (!filter.honors_taints || tolerates(&filter.tolerations, spot.taints))
    }

    fn counts_pod(&self, info: &PodInfo, spot: Spot<'_>, terms: Terms<'_>) -> bool {
        self.selects(info, terms.names) && self.admits(spot, terms)
    }

    fn record(&mut self, domains: &Requirement) {
        for domain in domains.values() {
            *self.counts.entry(domain).or_default() += 1;
        }
    }

    fn count_of(&self, domain: Symbol) -> i64 {
        self.counts.get(&domain).copied().unwrap_or(0)
    }

    /// The domains by name.
    fn named<'a>(&'a self, names: &'a Interner) -> Vec<(Symbol, i64)> {
        let mut all: Vec<(Symbol, i64)> = self.counts.iter().map(|(d, n)| (*d, *n)).collect();
        all.sort_by_key(|(domain, _)| names.resolve(*domain));
        all
    }

    fn next(
        &self,
        info: &PodInfo,
        of_pod: &Requirement,
        of_node: &Requirement,
        terms: Terms<'_>,
    ) -> Requirement {
        let host = of_node.only().filter(|_| self.shape.key == terms.words.hostname);
        match self.shape.sort {
            Sort::Spread => self.next_spread(info, (of_pod, of_node), host, terms.names),
            Sort::Affinity => self.next_affinity(info, (of_pod, of_node), host, terms.names),
            Sort::AntiAffinity => self.next_empty((of_pod, of_node), host, terms.names),
        }
    }

    /// The emptiest domain that keeps the skew. A new host can always be made: its minimum is zero.
    fn next_spread(
        &self,
        info: &PodInfo,
        (of_pod, of_node): (&Requirement, &Requirement),
        host: Option<Symbol>,
        names: &Interner,
    ) -> Requirement {
        let key = self.shape.key;
        let own = i64::from(self.selects(info, names));
        if let Some(host) = host {
            let fits = self.count_of(host) + own <= self.shape.max_skew;
            return if fits { Requirement::one_of(key, [host]) } else { Requirement::none(key) };
        }
        let least = self.least(of_pod, names);
        let open = self.named(names).into_iter().filter(|(domain, count)| {
            of_node.has(*domain, names) && count + own - least <= self.shape.max_skew
        });
        match open.min_by_key(|(_, count)| *count) {
            Some((domain, _)) => Requirement::one_of(key, [domain]),
            None => Requirement::none(key),
        }
    }

    fn least(&self, of_pod: &Requirement, names: &Interner) -> i64 {
        let open: Vec<i64> = self
            .counts
            .iter()
            .filter(|(domain, _)| of_pod.has(**domain, names))
            .map(|(_, count)| *count)
            .collect();
        if open.len() < self.min_domains {
            return 0;
        }
        open.into_iter().min().unwrap_or(i64::from(i32::MAX))
    }

    /// Domains with fellows; the first pod of its own group may begin anywhere.
    fn next_affinity(
        &self,
        info: &PodInfo,
        (of_pod, of_node): (&Requirement, &Requirement),
        host: Option<Symbol>,
        names: &Interner,
    ) -> Requirement {
        let mut left = Requirement::none(self.shape.key);
        let has_any = || self.counts.iter().any(|(d, n)| *n > 0 && of_pod.has(*d, names));
        let begins =
            || self.selects(info, names) && (self.counts.values().all(|n| *n == 0) || !has_any());
        if let Some(host) = host {
            if of_pod.has(host, names) && (self.count_of(host) > 0 || begins()) {
                left.insert(host);
            }
            return left;
        }
        for (domain, count) in self.named(names) {
            if count > 0 && of_pod.has(domain, names) && of_node.has(domain, names) {
                left.insert(domain);
            }
        }
        if left.is_empty() && begins() {
            let all = self.named(names);
            let is_on_both = |d: Symbol| of_pod.has(d, names) && of_node.has(d, names);
            let here = all.iter().find(|(domain, _)| is_on_both(*domain));
            let anywhere = all.iter().find(|(domain, _)| of_pod.has(*domain, names));
            for (domain, _) in here.into_iter().chain(if here.is_some() { None } else { anywhere })
            {
                left.insert(*domain);
            }
        }
        left
    }

    fn next_empty(
        &self,
        (of_pod, of_node): (&Requirement, &Requirement),
        host: Option<Symbol>,
        names: &Interner,
    ) -> Requirement {
        let mut left = Requirement::none(self.shape.key);
        if let Some(host) = host {
            if self.count_of(host) == 0 {
                left.insert(host);
            }
            return left;
        }
        for (domain, count) in &self.counts {
            if *count == 0 && of_pod.has(*domain, names) && of_node.has(*domain, names) {
                left.insert(*domain);
            }
        }
        left
    }
}
