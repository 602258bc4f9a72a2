//! What the cluster's DNS answers for headless Services: their ready pods, more or less old.
//!
//! ```text
//! slices ──watch──► server ──its cache──► answer with the TTL that is left ──► the client's own cache
//! ```
//!
//! Differs: one server stands for all of them; a Service has one name, its pods have none.
//!
//! Source: coredns plugins kubernetes and cache (rules N164, N182).

use std::sync::Arc;

use crate::base::{Duration, IdVec, SimTime};
use crate::cluster::Cluster;
use crate::model::{Dns, PodRef, ServiceId};

use super::view::{Proxies, Watcher};

/// The server.
#[derive(Debug)]
pub struct Names {
    spec: Dns,
    /// The last answer of each, with the version that it was made from.
    kept: IdVec<ServiceId, Option<(u32, Answer)>>,
}

/// The pods behind a name.
#[derive(Clone, Debug)]
pub struct Answer {
    /// They; none: there is no such name.
    pub pods: Arc<[PodRef]>,
    /// Until when it may be kept.
    pub until: SimTime,
}

impl Names {
    /// A server that keeps nothing yet.
    #[must_use]
    pub const fn new(spec: Dns) -> Self {
        Self { spec, kept: IdVec::new() }
    }

    /// What it answers at an instant.
    pub fn answer(
        &mut self,
        proxies: &mut Proxies,
        cluster: &Cluster,
        service: ServiceId,
        now: SimTime,
    ) -> Answer {
        let kept = self.kept.grow_to(service);
        if let Some((_, answer)) = kept.as_ref().filter(|(_, answer)| now < answer.until) {
            return answer.clone();
        }
        let (set, _) = proxies.told(cluster, Watcher::DNS, service, now);
        let same = kept.take().filter(|(version, _)| *version == set.version);
        let pods = same.map_or_else(
            || set.endpoints.iter().filter(|e| e.ready).map(|e| e.pod).collect(),
            |(_, answer)| answer.pods,
        );
        let keeps = if pods.is_empty() { self.spec.negative } else { self.spec.cache };
        let until = now.saturating_add(keeps.min(self.spec.ttl.max(self.spec.negative)));
        *kept = Some((set.version, Answer { pods: Arc::clone(&pods), until }));
        let ttl = if pods.is_empty() { Duration::ZERO } else { self.spec.ttl };
        Answer { pods, until: now.saturating_add(ttl).max(until) }
    }
}
