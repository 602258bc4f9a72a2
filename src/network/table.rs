//! What a proxy knows of endpoints: slices that have come, and those that a run has taken over.
//!
//! Source: kubernetes v1.36.3 pkg/proxy/endpointslicecache.go, pkg/proxy/endpointschangetracker.go
//! (rules N150, N157).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::base::Symbol;
use crate::model::Protocol;

use super::choice::{Hint, Seen};
use super::service::PortKey;

/// A Service or a slice: namespace and name.
pub type Name = (Symbol, Symbol);

/// A slice as it is written, as far as proxies look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceSeen {
    /// Stands for all that it says: two that say the same have the same.
    pub text: Symbol,
    /// Its ports.
    pub ports: Vec<SlicePortSeen>,
    /// Its endpoints.
    pub endpoints: Vec<EndpointSeen>,
}

/// A port of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlicePortSeen {
    /// Its name; without one it is passed over.
    pub name: Option<Symbol>,
    /// Its number; without one it is passed over.
    pub port: Option<u16>,
    /// Its protocol.
    pub protocol: Protocol,
}

/// An endpoint of a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSeen {
    /// Its first address: the others do not count. Without one it is passed over.
    pub ip: Option<Ipv4Addr>,
    /// Its node.
    pub node: Option<Symbol>,
    /// Condition ready; missing: it is.
    pub ready: Option<bool>,
    /// Condition serving; missing: it is.
    pub serving: Option<bool>,
    /// Condition terminating; missing: it is not.
    pub terminating: Option<bool>,
    /// For which zones it is.
    pub for_zones: Vec<Symbol>,
    /// For which nodes it is.
    pub for_nodes: Vec<Symbol>,
}

/// An endpoint of a port as a proxy keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Address and port.
    pub at: (Ipv4Addr, u16),
    /// Conditions.
    pub ready: bool,
    /// Condition serving.
    pub serving: bool,
    /// Condition terminating.
    pub terminating: bool,
    /// Whether it is on the proxy's node.
    pub is_local: bool,
    for_zones: Vec<Symbol>,
    for_nodes: Vec<Symbol>,
}

impl Known {
    /// As seen from a node in a zone.
    #[must_use]
    pub fn seen(&self, node: Symbol, zone: Option<Symbol>) -> Seen {
        Seen {
            ready: self.ready,
            serving: self.serving,
            terminating: self.terminating,
            is_local: self.is_local,
            node_hint: Hint::of(&self.for_nodes, Some(&node)),
            zone_hint: Hint::of(&self.for_zones, zone.as_ref()),
        }
    }
}

/// The endpoints of the ports of a Service, each once, by address.
pub type Endpoints = BTreeMap<PortKey, Vec<Known>>;

/// The slices of one Service.
#[derive(Clone, Debug, Default)]
struct OfService {
    applied: BTreeMap<Name, SliceSeen>,
    /// What has changed since: a slice, or its end.
    pending: BTreeMap<Name, Option<SliceSeen>>,
}

/// All slices that a proxy knows.
#[derive(Clone, Debug, Default)]
pub struct SliceTable {
    services: BTreeMap<Name, OfService>,
}

impl SliceTable {
    /// Takes a slice, or its end; whether anything has changed by it.
    pub fn update(&mut self, service: Name, slice: Name, to: Option<SliceSeen>) -> bool {
        let row = self.services.entry(service).or_default();
        let known = row.pending.get(&slice).map(Option::as_ref);
        let is_same = known.map_or_else(
            || row.applied.get(&slice) == to.as_ref(),
            |pending| pending == to.as_ref(),
        );
        if !is_same {
            row.pending.insert(slice, to);
        }
        !is_same
    }

    /// Takes over what is pending: each Service with a change, and its endpoints before and after.
    pub fn take(&mut self, node: Symbol) -> Vec<(Name, Endpoints, Endpoints)> {
        let mut changed = Vec::new();
        for (service, row) in &mut self.services {
            if row.pending.is_empty() {
                continue;
            }
            let before = endpoints(&row.applied, node);
            for (name, slice) in std::mem::take(&mut row.pending) {
                match slice {
                    Some(slice) => drop(row.applied.insert(name, slice)),
                    None => drop(row.applied.remove(&name)),
                }
            }
            changed.push((*service, before, endpoints(&row.applied, node)));
        }
        changed
    }
}

/// The union of slices. Where an address stands in two, the one that does not terminate wins.
fn endpoints(slices: &BTreeMap<Name, SliceSeen>, node: Symbol) -> Endpoints {
    let mut all: BTreeMap<PortKey, BTreeMap<(Ipv4Addr, u16), Known>> = BTreeMap::new();
    for slice in slices.values() {
        for port in &slice.ports {
            let (Some(name), Some(number)) = (port.name, port.port.filter(|n| *n != 0)) else {
                continue;
            };
            let of_port = all.entry(PortKey { name, protocol: port.protocol }).or_default();
            for known in slice.endpoints.iter().filter_map(|seen| known(seen, number, node)) {
                // Of several that do not terminate the last one counts, else the first.
                if !known.terminating || !of_port.contains_key(&known.at) {
                    of_port.insert(known.at, known);
                }
            }
        }
    }
    all.into_iter().map(|(key, of_port)| (key, of_port.into_values().collect())).collect()
}

fn known(seen: &EndpointSeen, port: u16, node: Symbol) -> Option<Known> {
    Some(Known {
        at: (seen.ip?, port),
        ready: seen.ready.unwrap_or(true),
        serving: seen.serving.unwrap_or(true),
        terminating: seen.terminating.unwrap_or(false),
        is_local: seen.node == Some(node),
        for_zones: seen.for_zones.clone(),
        for_nodes: seen.for_nodes.clone(),
    })
}
