//! What a proxy takes from a Service.
//!
//! Source: kubernetes v1.36.3 pkg/proxy/serviceport.go `newBaseServiceInfo`,
//! pkg/proxy/util/utils.go `ShouldSkipService`, pkg/api/v1/service/util.go (rules N158, N161, N162).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::base::Symbol;
use crate::model::{Protocol, ServiceKind};

use super::choice::Usage;

/// A Service as it is written, as far as proxies look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceSeen {
    /// Its type.
    pub kind: ServiceKind,
    /// Its virtual IP; `None` without one.
    pub cluster_ip: Option<Ipv4Addr>,
    /// Its ports.
    pub ports: Vec<PortSeen>,
    /// IPs of its load balancer, from its status.
    pub balancers: Vec<BalancerSeen>,
    /// `externalIPs`.
    pub external_ips: Vec<Ipv4Addr>,
    /// `loadBalancerSourceRanges`, those of IPv4.
    pub source_ranges: Vec<Cidr>,
    /// `sessionAffinity: ClientIP`: for how many seconds.
    pub affinity_seconds: Option<u32>,
    /// `internalTrafficPolicy: Local`.
    pub internal_local: bool,
    /// `externalTrafficPolicy: Local`.
    pub external_local: bool,
    /// `healthCheckNodePort`, 0 without one.
    pub health_check_port: u16,
}

/// A port of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortSeen {
    /// Name and protocol.
    pub key: PortKey,
    /// At the virtual IP.
    pub port: u16,
    /// At each node; 0 without one.
    pub node_port: u16,
}

/// An IP of a load balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BalancerSeen {
    /// The IP.
    pub ip: Ipv4Addr,
    /// `ipMode: Proxy`: packets come with the node's address, so the proxy has no rule for it.
    pub is_proxy: bool,
}

/// What tells the ports of a Service apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortKey {
    /// Its name; the empty symbol without one.
    pub name: Symbol,
    /// Its protocol.
    pub protocol: Protocol,
}

/// What a proxy keeps of one port of a Service. A Service whose ports all stay the same here asks
/// for no run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortInfo {
    /// The virtual IP.
    pub cluster_ip: Ipv4Addr,
    /// The port there, and at the IPs of balancers and outside.
    pub port: u16,
    /// The port of each node; 0 without one.
    pub node_port: u16,
    /// IPs of load balancers that the proxy answers for.
    pub balancers: Vec<Ipv4Addr>,
    /// `externalIPs`.
    pub external_ips: Vec<Ipv4Addr>,
    /// Who may come by the load balancer; empty: everybody.
    pub source_ranges: Vec<Cidr>,
    /// Affinity of clients, in seconds.
    pub affinity_seconds: Option<u32>,
    /// Whether traffic from inside stays on the node.
    pub internal_local: bool,
    /// Whether traffic from outside stays on the node.
    pub external_local: bool,
    /// The port of the health check; 0 without one.
    pub health_check_port: u16,
}

/// The ports of a Service as a proxy keeps them.
pub type Ports = BTreeMap<PortKey, PortInfo>;

impl ServiceSeen {
    /// What a proxy keeps; `None` if it ignores the Service.
    #[must_use]
    pub fn ports(&self) -> Option<Ports> {
        let cluster_ip = self.cluster_ip.filter(|_| self.kind != ServiceKind::ExternalName)?;
        let direct = self.balancers.iter().filter(|balancer| !balancer.is_proxy);
        let balancers: Vec<Ipv4Addr> = direct.map(|balancer| balancer.ip).collect();
        let external_local = self.external_local && self.is_outside();
        let has_check = external_local && self.kind == ServiceKind::LoadBalancer;
        let info = |port: &PortSeen| PortInfo {
            cluster_ip,
            port: port.port,
            node_port: port.node_port,
            balancers: balancers.clone(),
            external_ips: self.external_ips.clone(),
            source_ranges: self.source_ranges.clone(),
            affinity_seconds: self.affinity_seconds,
            internal_local: self.internal_local,
            external_local,
            health_check_port: if has_check { self.health_check_port } else { 0 },
        };
        Some(self.ports.iter().map(|port| (port.key, info(port))).collect())
    }

    /// Whether its type lets anybody in from outside.
    const fn is_outside(&self) -> bool {
        match self.kind {
            ServiceKind::NodePort | ServiceKind::LoadBalancer => true,
            ServiceKind::ClusterIp => !self.external_ips.is_empty(),
            ServiceKind::Headless | ServiceKind::ExternalName => false,
        }
    }
}

impl PortInfo {
    /// Whether anybody can come from outside.
    #[must_use]
    pub const fn is_outside(&self) -> bool {
        self.node_port != 0 || !self.balancers.is_empty() || !self.external_ips.is_empty()
    }

    /// Which policies it ever uses. Who comes from the cluster to an address for the outside is
    /// sent to all endpoints, so a port with such an address always needs the policy Cluster.
    #[must_use]
    pub const fn usage(&self) -> Usage {
        let is_outside = self.is_outside();
        Usage {
            cluster: !self.internal_local || is_outside,
            local: self.internal_local || (self.external_local && is_outside),
        }
    }
}

/// A range of IPv4 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    /// Its first bits.
    pub base: Ipv4Addr,
    /// How many of them, at most 32.
    pub bits: u32,
}

impl Cidr {
    /// Reads a range, with spaces around it; `None` if it is not one of IPv4.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (base, bits) = text.trim().split_once('/')?;
        let bits = bits.parse().ok().filter(|bits| *bits <= 32)?;
        Some(Self { base: base.parse().ok()?, bits })
    }

    /// Whether an address is in it.
    #[must_use]
    pub fn has(&self, ip: Ipv4Addr) -> bool {
        let differ = u32::from(self.base) ^ u32::from(ip);
        differ.checked_shr(32 - self.bits).unwrap_or(0) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let range = |text: &str| Cidr::parse(text).expect("a range");
        assert!(range(" 10.244.0.0/16 ").has(Ipv4Addr::new(10, 244, 9, 9)));
        assert!(!range("10.244.0.0/16").has(Ipv4Addr::new(10, 245, 0, 0)));
        assert!(range("0.0.0.0/0").has(Ipv4Addr::new(1, 2, 3, 4)));
        assert!(!range("1.2.3.4/32").has(Ipv4Addr::new(1, 2, 3, 5)));
        assert_eq!(Cidr::parse("fd00::/8"), None);
    }
}
