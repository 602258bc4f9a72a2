//! What becomes of new connections to a version of a Service on a node: the rules that its proxy
//! writes for it.
//!
//! Which endpoints a version uses is [`choose`]'s, and what becomes of a connection [`outcome`]'s.
//!
//! Source: kubernetes v1.36.3 pkg/proxy/iptables/proxier.go (rules N156 to N161).

use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::base::{Duration, Symbol, cast};
use crate::cluster::{Cluster, EndpointSet};
use crate::model::{NodeId, PodRef, Protocol, ProxySpec, ServiceKind, ServiceSpec};

use super::choice::{Hint, Seen, choose};
use super::rules::{From, Frontend, Outcome, outcome};
use super::service::{PortInfo, PortKey, PortSeen, ServiceSeen};

/// Whether all nodes make the same of a version.
#[derive(Debug)]
pub(super) enum Rules {
    /// Nobody has asked.
    Unread,
    /// The same on all nodes.
    Common(Table),
    /// Each node has its own: a policy Local, or hints.
    Own,
}

/// What becomes of new connections to a Service on a node.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// To its virtual IP.
    pub(super) inside: Way,
    /// To the node's port, from outside; without one as inside.
    pub(super) outside: Way,
    /// For how long a client stays with its pod (rule N161).
    pub(super) affinity: Option<Duration>,
}

/// What becomes of a new connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// It goes to one of these, all as likely (rule N156).
    To(Arc<[PodRef]>),
    /// Nothing is usable anywhere: refused at once (rule N158).
    Reject,
    /// Nothing is usable here, under a policy Local, or there are no rules: no answer (rule N158).
    Drop,
    /// There is no virtual IP: callers go by the names of DNS.
    ByName,
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// A pod of the cluster, to the virtual IP.
    Inside,
    /// Somebody outside, by the port of the node if there is one.
    Outside,
}

impl Rules {
    pub(super) fn of(set: &EndpointSet, cluster: &Cluster, node: NodeId) -> Self {
        let info = set.service.as_deref().and_then(port_of);
        if info.is_some_and(|info| info.usage().local || !set.hints.is_empty()) {
            return Self::Own;
        }
        Self::Common(Table::of(set, node, None, cluster.nodes()[node].spec.proxy))
    }
}

impl Table {
    /// The rules that a node's proxy writes for a version.
    pub(super) fn of(
        set: &EndpointSet,
        node: NodeId,
        zone: Option<Symbol>,
        proxy: ProxySpec,
    ) -> Self {
        let Some(info) = set.service.as_deref().and_then(port_of) else {
            let is_headless = |spec: &Arc<ServiceSpec>| spec.kind == ServiceKind::Headless;
            let by_name = set.service.as_ref().is_some_and(is_headless);
            let way = if by_name { Way::ByName } else { Way::Drop };
            return Self { inside: way.clone(), outside: way, affinity: None };
        };
        let chosen = choose(&all_seen(set, Some((node, zone))), info.usage());
        let way = |to, from| Way::of(outcome(proxy.mode, &info, &chosen, to, from), set);
        let nobody = Ipv4Addr::UNSPECIFIED;
        let inside = way(Frontend::ClusterIp, From::Pod(nobody));
        let is_same = info.internal_local == info.external_local;
        let outside = if info.is_outside() && !is_same {
            way(Frontend::NodePort, From::Outside(nobody))
        } else {
            inside.clone()
        };
        let affinity = info.affinity_seconds.map(|secs| Duration::secs(u64::from(secs)));
        Self { inside, outside, affinity }
    }
}

impl Way {
    fn of(outcome: Outcome<'_>, set: &EndpointSet) -> Self {
        match outcome {
            Outcome::To(places) => {
                let pod = |place: &u32| set.endpoints[cast::usize_of(*place)].pod;
                Self::To(places.iter().map(pod).collect())
            }
            Outcome::Reject => Self::Reject,
            Outcome::Drop | Outcome::NoRule => Self::Drop,
        }
    }
}

/// The endpoints of a version as a proxy on a node in a zone sees them; without a node none is
/// local and no hint counts.
pub(super) fn all_seen(set: &EndpointSet, here: Option<(NodeId, Option<Symbol>)>) -> Vec<Seen> {
    let seen = |(place, endpoint): (usize, &crate::cluster::Endpoint)| {
        let hints = set.hints.get(place).copied().unwrap_or_default();
        let zone = here.and_then(|(_, zone)| zone);
        let node = here.map(|(node, _)| node);
        Seen {
            ready: endpoint.ready,
            serving: endpoint.serving,
            terminating: endpoint.terminating,
            is_local: node == Some(endpoint.node),
            node_hint: Hint::of(hints.node.as_slice(), node.as_ref()),
            zone_hint: Hint::of(hints.zone.as_slice(), zone.as_ref()),
        }
    };
    set.endpoints.iter().enumerate().map(seen).collect()
}

fn seconds(span: Duration) -> u32 {
    u32::try_from(span.as_nanos() / 1_000_000_000).unwrap_or(u32::MAX)
}

/// What a proxy keeps of a Service: of all its ports the same. `None`: it passes it over.
fn port_of(spec: &ServiceSpec) -> Option<PortInfo> {
    let is_outside = matches!(spec.kind, ServiceKind::NodePort | ServiceKind::LoadBalancer);
    let key = PortKey { name: spec.name.name, protocol: Protocol::Tcp };
    let seen = ServiceSeen {
        kind: spec.kind,
        cluster_ip: (spec.kind != ServiceKind::Headless).then_some(Ipv4Addr::UNSPECIFIED),
        ports: vec![PortSeen { key, port: 0, node_port: u16::from(is_outside) }],
        balancers: Vec::new(),
        external_ips: Vec::new(),
        source_ranges: Vec::new(),
        affinity_seconds: spec.affinity.map(seconds),
        internal_local: spec.internal_local,
        external_local: spec.external_local,
        health_check_port: 0,
    };
    seen.ports()?.into_values().next()
}
