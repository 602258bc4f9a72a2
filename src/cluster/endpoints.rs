//! Endpoints of Services: immutable versions, and the log of them that proxies follow.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::base::{Duration, IdVec, SimTime, Symbol};
use crate::model::{NodeId, PodRef, ServiceId, ServiceSpec};

use super::endpoint_slices::{EndpointSlice, SliceEndpoint};

/// One version of a Service's endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSet {
    /// Its number within the Service, from 0 (the empty first one).
    pub version: u32,
    /// When it was written.
    pub at: SimTime,
    /// All endpoints, in order of the pods' serials.
    pub endpoints: Box<[Endpoint]>,
    /// Those that a connection from anywhere in the cluster may reach (rule N157): the ready ones,
    /// or, if none is ready, those that serve while they terminate.
    pub usable: Box<[u32]>,
    /// Which of them callers near by reach, if hints say so.
    pub near: Option<Box<Near>>,
}

/// Usable endpoints by the hints that all of them have (rule C182).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Near {
    /// By node, sorted; empty if one lacks such a hint.
    nodes: Vec<(NodeId, Box<[u32]>)>,
    /// By zone, sorted; empty if one lacks such a hint.
    zones: Vec<(Symbol, Box<[u32]>)>,
}

/// An endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its pod.
    pub pod: PodRef,
    /// Where it is.
    pub node: NodeId,
    /// Condition ready.
    pub ready: bool,
    /// Condition serving.
    pub serving: bool,
    /// Condition terminating.
    pub terminating: bool,
}

impl EndpointSet {
    /// The first version of a Service: no endpoints.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            version: 0,
            at: SimTime::ZERO,
            endpoints: Box::default(),
            usable: Box::default(),
            near: None,
        }
    }

    /// The version after `self`.
    #[must_use]
    pub fn next(&self, endpoints: Vec<Endpoint>, at: SimTime) -> Self {
        let indexed = || (0_u32..).zip(&endpoints);
        let mut usable: Vec<u32> = indexed().filter(|(_, e)| e.ready).map(|(i, _)| i).collect();
        if usable.is_empty() {
            let last = |e: &Endpoint| e.serving && e.terminating;
            usable = indexed().filter(|(_, e)| last(e)).map(|(i, _)| i).collect();
        }
        let (endpoints, usable) = (endpoints.into(), usable.into());
        Self { version: self.version + 1, at, endpoints, usable, near: None }
    }

    /// The version after `self`: what stands in these slices. A pod that stands in two counts
    /// once; one that has none of the Service's ports cannot be reached.
    pub(super) fn of_slices(
        &self,
        slices: &[EndpointSlice],
        service: &ServiceSpec,
        at: SimTime,
    ) -> Self {
        let reached = slices.iter().filter(|s| service.ports.is_empty() || !s.ports.is_empty());
        let mut all: Vec<&SliceEndpoint> = reached.flat_map(|slice| &slice.endpoints).collect();
        all.sort_by_key(|endpoint| endpoint.serial);
        all.dedup_by_key(|endpoint| endpoint.serial);
        let next = self.next(all.iter().map(|endpoint| endpoint.endpoint).collect(), at);
        let near = near(&all);
        Self { near, ..next }
    }

    /// Those that a connection from a node, in a zone, may reach under the policy Cluster.
    ///
    /// Source: kubernetes v1.36.3 pkg/proxy/topology.go `topologyModeFromHints` (rule C182).
    #[inline]
    #[must_use]
    pub fn usable_at(&self, node: NodeId, zone: Option<Symbol>) -> &[u32] {
        let Some(near) = &self.near else { return &self.usable };
        let of_node = near.nodes.binary_search_by_key(&node, |(node, _)| *node);
        if let Ok(place) = of_node {
            return &near.nodes[place].1;
        }
        let zone =
            zone.and_then(|zone| near.zones.binary_search_by_key(&zone, |(zone, _)| *zone).ok());
        zone.map_or(&self.usable, |place| &near.zones[place].1)
    }
}

/// The ready endpoints by their hints; `None` if a ready one lacks them.
fn near(all: &[&SliceEndpoint]) -> Option<Box<Near>> {
    let ready = || (0_u32..).zip(all).filter(|(_, endpoint)| endpoint.endpoint.ready);
    ready().next()?;
    let nodes = ready().map(|(index, endpoint)| Some((endpoint.for_node?, index)));
    let zones = ready().map(|(index, endpoint)| Some((endpoint.for_zone?, index)));
    let near = Near {
        nodes: grouped(nodes.collect()).unwrap_or_default(),
        zones: grouped(zones.collect()).unwrap_or_default(),
    };
    let has_none = near.nodes.is_empty() && near.zones.is_empty();
    (!has_none).then(|| Box::new(near))
}

/// Pairs by their first part.
fn grouped<K: Ord + Copy>(pairs: Option<Vec<(K, u32)>>) -> Option<Vec<(K, Box<[u32]>)>> {
    let mut groups: BTreeMap<K, Vec<u32>> = BTreeMap::new();
    for (key, index) in pairs? {
        groups.entry(key).or_default().push(index);
    }
    Some(groups.into_iter().map(|(key, all)| (key, all.into())).collect())
}

/// All versions of all Services' endpoints of the last ten minutes, in order of their writing.
///
/// A node's proxy is a reader of this log with a place of its own in it. What is older than ten
/// minutes has long reached every proxy that can be reached, so it is folded into a base.
#[derive(Clone, Debug, Default)]
pub struct EndpointLog {
    entries: VecDeque<(ServiceId, Arc<EndpointSet>)>,
    first: u64,
    base: IdVec<ServiceId, Arc<EndpointSet>>,
}

/// How long the log is kept.
const KEPT: Duration = Duration::mins(10);

impl EndpointLog {
    /// Adds a Service with its first, empty version, which needs no entry.
    pub(super) fn add_service(&mut self, set: Arc<EndpointSet>) {
        self.base.push(set);
    }

    /// Adds a version.
    pub(super) fn push(&mut self, service: ServiceId, set: Arc<EndpointSet>) {
        let now = set.at;
        self.entries.push_back((service, set));
        while let Some((service, set)) = self.entries.front() {
            if set.at + KEPT >= now {
                break;
            }
            self.base[*service] = Arc::clone(set);
            self.entries.pop_front();
            self.first += 1;
        }
    }

    /// The number of the oldest entry that is still there.
    #[must_use]
    pub const fn first(&self) -> u64 {
        self.first
    }

    /// The number after the newest entry.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// An entry by its number, from [`Self::first`] to before [`Self::end`].
    ///
    /// # Panics
    /// If the number is outside that.
    #[must_use]
    pub fn entry(&self, number: u64) -> (ServiceId, &Arc<EndpointSet>) {
        let index = usize::try_from(number - self.first).expect("the log fits in memory");
        let (service, set) = &self.entries[index];
        (*service, set)
    }

    /// What held before the oldest entry.
    #[must_use]
    pub fn base(&self, service: ServiceId) -> &Arc<EndpointSet> {
        &self.base[service]
    }
}
