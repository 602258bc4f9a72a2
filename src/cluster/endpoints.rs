//! Endpoints of Services: immutable versions, and the log of them that proxies follow.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::base::{Duration, IdVec, SimTime};
use crate::model::{NodeId, PodRef, ServiceId};

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
        Self { version: 0, at: SimTime::ZERO, endpoints: Box::default(), usable: Box::default() }
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
        Self { version: self.version + 1, at, endpoints: endpoints.into(), usable: usable.into() }
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
