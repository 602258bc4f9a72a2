//! EndpointSlices: what stands behind a Service, as the API keeps it, in pieces.
//!
//! Each write of a slice makes the next version of the Service's endpoints: the union of all
//! slices, which the proxies follow.

use std::sync::Arc;

use crate::base::Symbol;
use crate::model::{Labels, NodeId, Protocol, ServiceId};

use super::{Change, Cluster, Endpoint};

/// An EndpointSlice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSlice {
    /// Its number among all that the Service ever had: stands for the end of its name.
    pub number: u32,
    /// Labels of the Service that it has taken over.
    pub labels: Labels,
    /// The ports of all its endpoints, sorted.
    pub ports: Vec<SlicePort>,
    /// Its endpoints, in the order in which they came.
    pub endpoints: Vec<SliceEndpoint>,
}

/// A port of the endpoints of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlicePort {
    /// Name of the Service's port; the empty symbol if it has none.
    pub name: Symbol,
    /// The number in the pods.
    pub port: u16,
    /// Protocol.
    pub protocol: Protocol,
    /// `appProtocol`.
    pub app_protocol: Option<Symbol>,
}

/// An endpoint in a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceEndpoint {
    /// The serial of its pod.
    pub serial: u64,
    /// Pod, node and conditions.
    pub endpoint: Endpoint,
    /// Its zone.
    pub zone: Option<Symbol>,
    /// Hint: for callers of this zone (rule C181).
    pub for_zone: Option<Symbol>,
    /// Hint: for callers on this node.
    pub for_node: Option<NodeId>,
}

impl SliceEndpoint {
    /// Whether it has a hint.
    #[must_use]
    pub const fn has_hint(&self) -> bool {
        self.for_zone.is_some() || self.for_node.is_some()
    }

    /// Takes its hints off.
    pub const fn clear_hints(&mut self) {
        (self.for_zone, self.for_node) = (None, None);
    }
}

impl Cluster {
    /// Creates a slice (no number), updates one, or deletes one (no slice).
    pub(super) fn write_slice(
        &mut self,
        service: ServiceId,
        number: Option<u32>,
        slice: Option<EndpointSlice>,
        changes: &mut Vec<Change>,
    ) {
        let now = self.now;
        let Some(row) = &mut self.services[service] else { return };
        match (number, slice) {
            (None, Some(slice)) => {
                row.slices.push(EndpointSlice { number: row.slices_made, ..slice });
                row.slices_made += 1;
            }
            (Some(number), Some(slice)) => {
                let place = row.slices.iter_mut().find(|row| row.number == number);
                let Some(place) = place else { return };
                *place = EndpointSlice { number, ..slice };
            }
            (Some(number), None) => row.slices.retain(|slice| slice.number != number),
            (None, None) => return,
        }
        let next = row.endpoints.of_slices(&row.slices, &row.spec, now);
        row.endpoints = Arc::new(next);
        self.log.push(service, Arc::clone(&row.endpoints));
        changes.push(Change::Endpoints { service });
    }
}
