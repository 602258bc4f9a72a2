//! Endpoints of Services: immutable versions, and the log of them that proxies follow.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::base::{Duration, IdVec, SimTime, Symbol};
use crate::model::{NodeId, PodRef, ServiceId, ServiceSpec};

use super::endpoint_slices::{EndpointSlice, SliceEndpoint};

/// One version of what proxies follow of a Service: itself and its endpoints.
#[derive(Clone, Debug)]
pub struct EndpointSet {
    /// Its number within the Service, from 0 (the empty first one).
    pub version: u32,
    /// When it was written.
    pub at: SimTime,
    /// The Service; `None`: it is not there.
    pub service: Option<Arc<ServiceSpec>>,
    /// All endpoints, in order of the pods' serials.
    pub endpoints: Box<[Endpoint]>,
    /// For whom they are, one entry an endpoint; empty if none has a hint.
    pub hints: Box<[Hints]>,
}

/// For whom an endpoint is (rule C181).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// For callers of this zone.
    pub zone: Option<Symbol>,
    /// For callers on this node.
    pub node: Option<NodeId>,
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
    pub fn empty(service: Option<Arc<ServiceSpec>>) -> Self {
        let (endpoints, hints) = (Box::default(), Box::default());
        Self { version: 0, at: SimTime::ZERO, service, endpoints, hints }
    }

    /// The version after `self`, without hints.
    #[must_use]
    pub fn next(&self, endpoints: Vec<Endpoint>, at: SimTime) -> Self {
        let (endpoints, hints) = (endpoints.into(), Box::default());
        Self { version: self.version + 1, at, service: self.service.clone(), endpoints, hints }
    }

    /// The version after `self`: another Service with the same endpoints.
    pub(super) fn of_service(&self, service: Option<Arc<ServiceSpec>>, at: SimTime) -> Self {
        Self { version: self.version + 1, at, service, ..self.clone() }
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
        if !all.iter().any(|endpoint| endpoint.has_hint()) {
            return next;
        }
        let hints = |e: &&SliceEndpoint| Hints { zone: e.for_zone, node: e.for_node };
        Self { hints: all.iter().map(hints).collect(), ..next }
    }
}

/// All versions of all Services' endpoints of the last ten minutes, in order of their writing.
///
/// A node's proxy is a reader of this log with a place of its own in it. What is older than ten
/// minutes has long reached every proxy that can be reached, so it is folded into a base.
#[derive(Clone, Debug, Default)]
pub struct EndpointLog {
    entries: VecDeque<(ServiceId, Arc<EndpointSet>)>,
    first: u64,
    /// Whether old entries stay: somebody is cut off and will read on from them.
    is_held: bool,
    /// When the entry before the first was written.
    folded_at: SimTime,
    base: IdVec<ServiceId, Arc<EndpointSet>>,
}

/// How long the log is kept.
const KEPT: Duration = Duration::mins(10);

impl EndpointLog {
    /// Adds a Service with its first, empty version, which needs no entry.
    pub(super) fn add_service(&mut self, set: Arc<EndpointSet>) {
        self.base.push(set);
    }

    /// The newest version of a Service's endpoints.
    #[must_use]
    pub fn newest(&self, service: ServiceId) -> &Arc<EndpointSet> {
        let own = self.entries.iter().rev().find(|(of, _)| *of == service);
        own.map_or(&self.base[service], |(_, set)| set)
    }

    /// Adds a version.
    pub(super) fn push(&mut self, service: ServiceId, set: Arc<EndpointSet>) {
        let now = set.at;
        self.entries.push_back((service, set));
        while let Some((service, set)) = self.entries.front() {
            if self.is_held || set.at + KEPT >= now {
                break;
            }
            self.folded_at = set.at;
            self.base[*service] = Arc::clone(set);
            self.entries.pop_front();
            self.first += 1;
        }
    }

    /// Lets old entries stay, or go again.
    pub(super) const fn hold(&mut self, is_held: bool) {
        self.is_held = is_held;
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

    /// When the last entry was written that is not there any more.
    #[must_use]
    pub const fn folded_at(&self) -> SimTime {
        self.folded_at
    }

    /// How many Services it is about.
    #[must_use]
    pub fn services(&self) -> usize {
        self.base.len()
    }

    /// What held before the oldest entry.
    #[must_use]
    pub fn base(&self, service: ServiceId) -> &Arc<EndpointSet> {
        &self.base[service]
    }
}
