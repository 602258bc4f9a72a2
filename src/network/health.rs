//! What a proxy answers to those who ask whether to send to its node.
//!
//! Source: kubernetes v1.36.3 pkg/proxy/healthcheck/proxy_health.go,
//! pkg/proxy/healthcheck/service_health.go, pkg/proxy/endpointschangetracker.go
//! `getLocalReadyEndpointIPs` (rules N162, N163).

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use crate::base::{Duration, SimTime};

use super::table::Known;

/// Whether a proxy keeps up with the changes that it is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProxyHealth {
    /// Since when a change waits for its run.
    pending: Option<SimTime>,
}

impl ProxyHealth {
    /// Nothing waits.
    #[must_use]
    pub const fn new() -> Self {
        Self { pending: None }
    }

    /// A run was asked for.
    pub fn queued(&mut self, now: SimTime) {
        self.pending.get_or_insert(now);
    }

    /// A run ended well.
    pub const fn updated(&mut self) {
        self.pending = None;
    }

    /// Healthy unless a change has waited for two periods.
    #[must_use]
    pub fn is_healthy(&self, now: SimTime, period: Duration) -> bool {
        self.pending.is_none_or(|since| now.saturating_since(since) < period * 2)
    }
}

/// An answer of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200: send here.
    Ok,
    /// 503: send elsewhere.
    Unavailable,
}

impl Answer {
    /// Its code.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Ok => 200,
            Self::Unavailable => 503,
        }
    }
}

/// How many checks of a load balancer in a row have said otherwise than it takes a target to be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Against(u32);

impl Against {
    /// A check says so of a target; whether `wanted` of them in a row turn it.
    pub const fn turns(&mut self, is_against: bool, wanted: u32) -> bool {
        self.0 = if is_against { self.0 + 1 } else { 0 };
        let turns = is_against && self.0 >= wanted;
        if turns {
            self.0 = 0;
        }
        turns
    }
}

/// The health check port of a Service under `externalTrafficPolicy: Local`.
#[must_use]
pub const fn service_answer(local: usize, is_proxy_healthy: bool) -> Answer {
    if local > 0 && is_proxy_healthy { Answer::Ok } else { Answer::Unavailable }
}

/// The proxy's own health check on a node that stays, or is about to be removed (it is tainted or
/// being deleted): such a one says no while it forwards.
#[must_use]
pub fn proxy_answer(is_healthy: bool, node: Stay) -> Answer {
    if is_healthy && node == Stay::Stays { Answer::Ok } else { Answer::Unavailable }
}

/// Whether a node stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    /// It stays.
    Stays,
    /// It is about to be removed.
    Leaves,
}

/// How many endpoints of a Service are on the node and ready: addresses over all its ports.
pub fn local_ready<'a>(ports: impl Iterator<Item = &'a [Known]>) -> usize {
    let ready = ports.flatten().filter(|e| e.is_local && e.ready);
    ready.map(|e| e.at.0).collect::<BTreeSet<Ipv4Addr>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// N163: unhealthy when a change has waited for twice the sync period.
    #[test]
    fn a_change_that_waits_too_long() {
        let at = |secs| SimTime::at(Duration::secs(secs));
        let mut health = ProxyHealth::default();
        health.queued(at(10));
        health.queued(at(50));
        assert!(health.is_healthy(at(69), Duration::secs(30)));
        assert!(!health.is_healthy(at(70), Duration::secs(30)));
        health.updated();
        assert!(health.is_healthy(at(99), Duration::secs(30)));
    }
}
