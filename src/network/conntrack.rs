//! Which flows a proxy deletes from the kernel's table of connections.
//!
//! Source: kubernetes v1.36.3 pkg/proxy/conntrack/cleanup.go `CleanStaleEntries` (rule N160).

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use crate::model::Protocol;

use super::service::PortInfo;
use super::table::Known;

/// Address and port.
pub type Socket = (Ipv4Addr, u16);

/// An entry of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Its protocol.
    pub protocol: Protocol,
    /// Where the client sent it.
    pub to: Socket,
    /// From where answers come: the backend, if it was translated.
    pub reply: Socket,
}

/// Where the flows of UDP Services may lead to.
#[derive(Clone, Debug, Default)]
pub struct Serving {
    by_address: BTreeMap<Socket, BTreeSet<Socket>>,
    by_node_port: BTreeMap<u16, BTreeSet<Socket>>,
}

impl Serving {
    /// Adds a port of a Service. Without a serving endpoint its flows stay.
    pub fn add(&mut self, protocol: Protocol, port: &PortInfo, endpoints: &[Known]) {
        if protocol != Protocol::Udp {
            return;
        }
        let serving: BTreeSet<Socket> =
            endpoints.iter().filter(|e| e.serving).map(|e| e.at).collect();
        if serving.is_empty() {
            return;
        }
        let addresses = [port.cluster_ip].into_iter();
        for ip in addresses.chain(port.balancers.iter().chain(&port.external_ips).copied()) {
            self.by_address.insert((ip, port.port), serving.clone());
        }
        if port.node_port != 0 {
            self.by_node_port.insert(port.node_port, serving);
        }
    }

    /// Whether a flow leads to where nothing serves: to a backend that is gone, or, never
    /// translated, to the Service's own address.
    #[must_use]
    pub fn is_stale(&self, flow: &Flow) -> bool {
        let by_port = || self.by_node_port.get(&flow.to.1);
        let serving = self.by_address.get(&flow.to).or_else(by_port);
        flow.protocol == Protocol::Udp && serving.is_some_and(|all| !all.contains(&flow.reply))
    }
}
