//! What a new connection meets on a node: the outcome of the rules that a proxy writes.
//!
//! Source: kubernetes v1.36.3 pkg/proxy/iptables/proxier.go and pkg/proxy/nftables/proxier.go
//! `syncProxyRules` (rules N156, N158).

use std::net::Ipv4Addr;

use crate::base::cast;
pub use crate::model::ProxyMode as Mode;

use super::choice::Chosen;
use super::service::PortInfo;

/// Where a connection is addressed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frontend {
    /// The Service's virtual IP.
    ClusterIp,
    /// The Service's port of this node.
    NodePort,
    /// An IP of the Service's load balancer.
    Balancer(Ipv4Addr),
    /// An external IP of the Service.
    External(Ipv4Addr),
}

/// Which of `count` backends a random word chooses, all as likely; 0 of none.
///
/// Source: kubernetes v1.36.3 pkg/proxy/iptables/proxier.go `writeServiceToEndpointRules`,
/// pkg/proxy/nftables/proxier.go (`numgen random`) (rule N156).
#[inline]
#[must_use]
pub fn one_of(word: u32, count: usize) -> usize {
    let scaled = (u64::from(word) * cast::u64_of(count)) >> 32;
    usize::try_from(scaled).unwrap_or(0)
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// A pod of the cluster.
    Pod(Ipv4Addr),
    /// This node itself.
    Node(Ipv4Addr),
    /// Outside the cluster.
    Outside(Ipv4Addr),
}

impl From {
    const fn ip(self) -> Ipv4Addr {
        match self {
            Self::Pod(ip) | Self::Node(ip) | Self::Outside(ip) => ip,
        }
    }
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// It goes to one of these, all as likely.
    To(&'a [u32]),
    /// It is refused at once.
    Reject,
    /// Nothing comes back.
    Drop,
    /// The proxy has no rule: it goes on to where it was addressed.
    NoRule,
}

/// What a new connection to a port meets.
#[must_use]
pub fn outcome<'a>(
    mode: Mode,
    port: &PortInfo,
    chosen: &'a Chosen,
    to: Frontend,
    from: From,
) -> Outcome<'a> {
    match to {
        Frontend::ClusterIp if port.internal_local => policy(&chosen.local, chosen),
        Frontend::ClusterIp => policy(&chosen.cluster, chosen),
        Frontend::NodePort if port.node_port == 0 => Outcome::NoRule,
        Frontend::NodePort => from_outside(port, chosen, from),
        Frontend::External(ip) if !port.external_ips.contains(&ip) => Outcome::NoRule,
        Frontend::External(_) => elsewhere(mode, port, chosen, from),
        Frontend::Balancer(ip) if !port.balancers.contains(&ip) => Outcome::NoRule,
        Frontend::Balancer(_) => {
            let ranges = &port.source_ranges;
            let may = ranges.is_empty() || ranges.iter().any(|range| range.has(from.ip()));
            let is_asked = chosen.has_any || mode == Mode::Nftables;
            if is_asked && !may { Outcome::Drop } else { elsewhere(mode, port, chosen, from) }
        }
    }
}

/// To an address that is not one of the node's: iptables looks for what has no endpoints on the
/// ways in and through, not on the way out.
fn elsewhere<'a>(mode: Mode, port: &PortInfo, chosen: &'a Chosen, from: From) -> Outcome<'a> {
    match from {
        From::Node(_) if mode == Mode::Iptables && !chosen.has_any => Outcome::NoRule,
        _ => from_outside(port, chosen, from),
    }
}

/// To an address for the outside: whoever is inside reaches all endpoints, whatever the policy.
fn from_outside<'a>(port: &PortInfo, chosen: &'a Chosen, from: From) -> Outcome<'a> {
    match from {
        From::Outside(_) if port.external_local => policy(&chosen.local, chosen),
        _ => policy(&chosen.cluster, chosen),
    }
}

fn policy<'a>(usable: &'a [u32], chosen: &Chosen) -> Outcome<'a> {
    match usable {
        [] if chosen.has_any => Outcome::Drop,
        [] => Outcome::Reject,
        usable => Outcome::To(usable),
    }
}
