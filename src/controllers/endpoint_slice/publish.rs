//! Which pods of a Service have an endpoint, and what it says.
//!
//! Source: kubernetes v1.36.3 endpointslice/util/controller_utils.go `ShouldPodBeInEndpoints`,
//! endpointslice/utils.go `podToEndpoint`, `getEndpointPorts`, `FindPort` (rules C176, C177, C180).

use crate::base::Symbol;
use crate::cluster::{Endpoint, SliceEndpoint, SlicePort};
use crate::model::{NodeId, PodRef, ServicePort, ServiceSpec, TargetPort, Template};

use super::packing::Desired;

/// What matters of a pod.
#[derive(Clone, Copy, Debug)]
pub struct PodFacts {
    /// Its serial.
    pub serial: u64,
    /// Which it is.
    pub pod: PodRef,
    /// Where it is bound.
    pub node: NodeId,
    /// Whether its IP is published.
    pub has_ip: bool,
    /// Whether its phase is terminal.
    pub is_over: bool,
    /// Condition Ready.
    pub is_ready: bool,
    /// Whether its deletion was asked for.
    pub is_deleted: bool,
}

/// What matters of a node.
#[derive(Clone, Copy, Debug)]
pub struct NodeFacts {
    /// Whether it is there.
    pub is_known: bool,
    /// Its zone.
    pub zone: Option<Symbol>,
}

/// Whether a pod has an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// It has this one.
    Yes(Desired),
    /// It has none.
    No,
    /// It has none until its node is known (rule C176).
    NodeUnknown,
}

/// The endpoint of a pod, if it has one.
#[must_use]
pub fn publish(
    service: &ServiceSpec,
    pod: PodFacts,
    node: NodeFacts,
    template: &Template,
) -> Published {
    if pod.is_over || !pod.has_ip {
        return Published::No;
    }
    if !node.is_known && !service.publish_not_ready {
        return Published::NodeUnknown;
    }
    let (serving, terminating) = (pod.is_ready, pod.is_deleted);
    let endpoint = Endpoint {
        pod: pod.pod,
        node: pod.node,
        ready: service.publish_not_ready || (serving && !terminating),
        serving,
        terminating,
    };
    Published::Yes(Desired {
        ports: ports(service, template),
        endpoint: SliceEndpoint {
            serial: pod.serial,
            endpoint,
            zone: node.zone.filter(|_| node.is_known),
            for_zone: None,
            for_node: None,
        },
    })
}

/// The ports of a Service as the pods of a template have them; those that they lack are left out.
#[must_use]
pub fn ports(service: &ServiceSpec, template: &Template) -> Vec<SlicePort> {
    let find = |port: &ServicePort| {
        Some(SlicePort {
            name: port.name,
            port: target(port, template)?,
            protocol: port.protocol,
            app_protocol: port.app_protocol,
        })
    };
    let mut ports: Vec<SlicePort> = service.ports.iter().filter_map(find).collect();
    ports.sort_unstable();
    ports
}

/// The number that a port of a Service leads to in the pods of a template.
fn target(port: &ServicePort, template: &Template) -> Option<u16> {
    let name = match port.target {
        TargetPort::Number(number) => return Some(number),
        TargetPort::Name(name) => name,
    };
    let spec = &template.spec;
    let sidecars = spec.init_containers.iter().filter(|container| container.restart_always);
    let mut declared = spec.containers.iter().chain(sidecars).flat_map(|c| &c.ports);
    let found = declared.find(|other| other.name == name && other.protocol == port.protocol);
    found.map(|found| found.port)
}
