//! A machine that is still to come: what it must be, and which instance types still can be it.

use crate::base::Symbol;
use crate::model::{HostPort, PodSpec, Resources, Taint};

use super::requirement::{Place, Requirement, Requirements, tolerates};
use super::topology::{Spot, Terms, Topology, of_pool};
use super::types::{
    TYPES_MAX, fits, is_compatible, satisfies_min_values, smaller, sort_by_price, suits_daemon,
};
use super::wishes::Wishes;

/// What a pool's claims begin with.
#[derive(Clone, Debug)]
pub(super) struct Template {
    pub(super) pool: usize,
    pub(super) requirements: Requirements,
    pub(super) types: Vec<usize>,
    daemons: Vec<DaemonGroup>,
}

/// Instance types on which the same DaemonSets will run.
#[derive(Clone, Debug)]
struct DaemonGroup {
    types: Vec<usize>,
    requests: Resources,
    ports: Vec<HostPort>,
    has_daemons: bool,
}

/// A daemon pod: what it asks changes as it is judged.
#[derive(Clone, Debug)]
pub(super) struct Daemon {
    pub(super) wishes: Wishes,
    pub(super) requests: Resources,
    pub(super) ports: Vec<HostPort>,
}

/// What is asked of places by one pod, as it stands after what was given up.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) pod: usize,
    pub(super) wishes: Wishes,
    pub(super) requirements: Requirements,
    pub(super) required: Requirements,
    pub(super) requests: Resources,
    pub(super) ports: Vec<HostPort>,
}

/// A claim being filled.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) template: usize,
    pub(super) host: Symbol,
    pub(super) pods: Vec<usize>,
    pub(super) requirements: Requirements,
    pub(super) types: Vec<usize>,
    pub(super) requests: Resources,
    daemons: Vec<DaemonGroup>,
}

/// A claim that is to be created.
#[derive(Clone, Debug, PartialEq)]
pub struct NewClaim {
    /// Its pool.
    pub pool: usize,
    /// Its pods, in the order in which they were placed.
    pub pods: Vec<usize>,
    /// The types it may become, cheapest first.
    pub types: Vec<usize>,
    /// What it must be; the names of the types are not in it.
    pub requirements: Requirements,
    /// What its pods and the least daemons ask for.
    pub requests: Resources,
    /// Its taints.
    pub taints: Vec<Taint>,
}

/// What adding a pod would make of a claim.
pub(super) struct Added {
    requirements: Requirements,
    types: Vec<usize>,
}

impl Template {
    /// Of a pool; `None` if no type is left of it.
    pub(super) fn new(pool: usize, daemons: &mut [Daemon], terms: Terms<'_>) -> Option<Self> {
        let of = &terms.view.pools[pool];
        let requirements = of_pool(of, terms);
        let is_open = |t: &usize| {
            is_compatible(&terms.view.types[*t], &requirements, terms.words, terms.names)
        };
        let types: Vec<usize> = of.types.iter().copied().filter(is_open).collect();
        let enough = terms.settings.relaxes_min_values
            || satisfies_min_values(&types, &terms.view.types, &requirements).is_ok();
        if types.is_empty() || !enough {
            return None;
        }
        let mut groups: Vec<(Vec<usize>, DaemonGroup)> = Vec::new();
        for t in &types {
            let here = |daemon: &mut Daemon| {
                daemon.wishes.tolerate_preferred();
                runs_on(daemon, *t, (&of.taints, &requirements), terms)
            };
            let run: Vec<usize> = (0..daemons.len()).filter(|d| here(&mut daemons[*d])).collect();
            if let Some((_, group)) = groups.iter_mut().find(|(same, _)| *same == run) {
                group.types.push(*t);
                continue;
            }
            let mut group = DaemonGroup {
                types: vec![*t],
                requests: Resources::default(),
                ports: Vec::new(),
                has_daemons: !run.is_empty(),
            };
            for daemon in run.iter().map(|d| &daemons[*d]) {
                group.requests.add(&daemon.requests);
                group.ports.extend_from_slice(&daemon.ports);
            }
            groups.push((run, group));
        }
        let daemons = groups.into_iter().map(|(_, group)| group).collect();
        Some(Self { pool, requirements, types, daemons })
    }
}

/// Whether a daemon will run on a type of a pool; required terms that fail are given up for good.
fn runs_on(
    daemon: &mut Daemon,
    of: usize,
    (taints, template): (&[Taint], &Requirements),
    terms: Terms<'_>,
) -> bool {
    if !tolerates(&daemon.wishes.tolerations, taints) {
        return false;
    }
    loop {
        let asked = daemon.wishes.required(terms.words, terms.names);
        let of = &terms.view.types[of];
        if suits_daemon((template, of), &asked, terms.words, terms.names) {
            return true;
        }
        if !daemon.wishes.drop_term() {
            return false;
        }
    }
}

/// Whether two host ports cannot be on one node.
pub(super) fn clash(one: &[HostPort], other: &[HostPort], terms: Terms<'_>) -> bool {
    let is_any = |ip: Symbol| matches!(terms.names.resolve(ip), "" | "0.0.0.0" | "::");
    let same = |a: &HostPort, b: &HostPort| {
        a.port == b.port
            && a.protocol == b.protocol
            && (a.ip == b.ip || is_any(a.ip) || is_any(b.ip))
    };
    one.iter().any(|a| other.iter().any(|b| same(a, b)))
}

impl Asked {
    /// What a pod asks.
    pub(super) fn new(pod: usize, wishes: Wishes, terms: Terms<'_>) -> Self {
        let spec = &terms.view.pods[pod].info.spec;
        let required = wishes.required(terms.words, terms.names);
        let requirements = if terms.settings.ignores_preferences {
            required.clone()
        } else {
            wishes.asked(terms.words, terms.names)
        };
        let requests = requests_of(spec, terms);
        Self { pod, wishes, requirements, required, requests, ports: spec.host_ports.clone() }
    }
}

/// What a pod takes, itself counted.
pub(super) fn requests_of(spec: &PodSpec, terms: Terms<'_>) -> Resources {
    let mut all = spec.requests.clone();
    all.add_scalar(terms.words.pods, 1);
    all
}

impl Claim {
    /// An empty one of these types.
    pub(super) fn new(
        (at, template): (usize, &Template),
        types: Vec<usize>,
        host: Symbol,
        terms: Terms<'_>,
    ) -> Self {
        let mut requirements = template.requirements.clone();
        requirements.add(Requirement::one_of(terms.words.hostname, [host]), terms.names);
        Self {
            template: at,
            host,
            pods: Vec::new(),
            requirements,
            types,
            requests: Resources::default(),
            daemons: template.daemons.clone(),
        }
    }

    /// What it would become with this pod, if it can have it.
    ///
    /// Source: kubernetes-sigs/karpenter v1.14.1
    /// pkg/controllers/provisioning/scheduling/nodeclaim.go `CanAdd` (rule A193; recorded).
    pub(super) fn can_add(
        &self,
        asked: &Asked,
        taints: &[Taint],
        topology: &Topology,
        relaxes: bool,
        terms: Terms<'_>,
    ) -> Option<Added> {
        let (words, names) = (terms.words, terms.names);
        let suits = self.requirements.compatible(&asked.requirements, Place::OnClaim, words, names);
        if !tolerates(&asked.wishes.tolerations, taints) || !suits {
            return None;
        }
        let mut all = self.requirements.clone();
        all.add_all(&asked.requirements, names);
        let spot = Spot { taints, known: &all, place: Place::OnClaim };
        let left = topology.narrow(asked.pod, &asked.required, spot, terms)?;
        if !all.compatible(&left, Place::OnClaim, words, names) {
            return None;
        }
        all.add_all(&left, names);
        let types = self.types_for(asked, &all, terms);
        if let Err(short) = satisfies_min_values(&types, &terms.view.types, &all) {
            if !relaxes {
                return None;
            }
            for (key, count) in short {
                all.set_min_values(key, count);
            }
        }
        if types.is_empty() { None } else { Some(Added { requirements: all, types }) }
    }

    fn types_for(&self, asked: &Asked, all: &Requirements, terms: Terms<'_>) -> Vec<usize> {
        let mut types = Vec::new();
        for group in self.daemons.iter().filter(|g| !clash(&asked.ports, &g.ports, terms)) {
            let mut total = self.requests.clone();
            total.add(&asked.requests);
            total.add(&group.requests);
            let suits = |t: &usize| {
                let of = &terms.view.types[*t];
                self.types.contains(t)
                    && fits(&total, &of.allocatable)
                    && is_compatible(of, all, terms.words, terms.names)
            };
            types.extend(group.types.iter().copied().filter(suits));
        }
        types
    }

    /// Takes the pod.
    pub(super) fn add(
        &mut self,
        asked: &Asked,
        added: Added,
        taints: &[Taint],
        topology: &mut Topology,
        terms: Terms<'_>,
    ) {
        self.pods.push(asked.pod);
        self.types = added.types;
        self.requirements = added.requirements;
        self.requests.add(&asked.requests);
        topology.register_host(self.host, terms);
        let spot = Spot { taints, known: &self.requirements, place: Place::OnClaim };
        topology.record(asked.pod, spot, terms);
        for group in &mut self.daemons {
            group.ports.extend_from_slice(&asked.ports);
        }
    }

    /// The claim to create: types in order of price, capacity types that can be had, the least
    /// daemons counted (rule A195).
    ///
    /// Source: kubernetes-sigs/karpenter v1.14.1
    /// pkg/controllers/provisioning/scheduling/nodeclaimtemplate.go `ToNodeClaim`.
    pub(super) fn finish(mut self, pool: usize, terms: Terms<'_>) -> NewClaim {
        self.requirements.remove(terms.words.hostname);
        if let Some(least) = self.least_daemons() {
            self.requests.add(&least);
        }
        let taints = terms.view.pools[pool].taints.clone();
        let (pods, requests) = (self.pods, self.requests);
        let claim = NewClaim {
            pool,
            pods,
            types: self.types,
            requirements: self.requirements,
            requests,
            taints,
        };
        claim.sorted(terms)
    }

    fn least_daemons(&self) -> Option<Resources> {
        let here = self.daemons.iter().filter(|g| g.types.iter().any(|t| self.types.contains(t)));
        let mut least: Option<Resources> = None;
        for group in here {
            least = Some(match least {
                Some(least) if least != Resources::default() => smaller(&least, &group.requests),
                _ => group.requests.clone(),
            });
        }
        least.filter(|_| self.daemons.iter().any(|group| group.has_daemons))
    }
}

impl NewClaim {
    fn sorted(mut self, terms: Terms<'_>) -> Self {
        let (types, words, names) = (&terms.view.types, terms.words, terms.names);
        sort_by_price(&mut self.types, types, &self.requirements, words, names);
        self
    }

    /// As it is created: no more than [`TYPES_MAX`] types; `None` if they no longer offer the
    /// values that `minValues` asks.
    pub(super) fn truncated(mut self, terms: Terms<'_>) -> Option<Self> {
        let types = &terms.view.types;
        self.types.truncate(TYPES_MAX);
        let enough = terms.settings.relaxes_min_values
            || satisfies_min_values(&self.types, types, &self.requirements).is_ok();
        enough.then_some(self)
    }

    /// As the cloud gets it: types by price once more, for requirements may have changed since;
    /// capacity types are those that can be had.
    pub(super) fn for_the_cloud(self, terms: Terms<'_>) -> Self {
        let mut this = self.sorted(terms);
        let (words, names) = (terms.words, terms.names);
        let mut kinds = Requirement::none(words.capacity_type);
        for of in this.types.iter().map(|t| &terms.view.types[*t]) {
            for offering in of.suitable(&this.requirements, words, names) {
                kinds.insert(offering.capacity_type);
            }
        }
        if !kinds.is_empty() {
            this.requirements.add(kinds, names);
        }
        this
    }
}
