//! Keys of labels and taints that mean something to the control plane, and failure domains.

use crate::base::{Interner, Symbol};
use crate::model::{Labels, ZoneId};

/// Keys of labels and taints of nodes.
#[derive(Clone, Copy, Debug)]
pub struct NodeKeys {
    /// Taint of a node that reports that it is not ready.
    pub not_ready: Symbol,
    /// Taint of a node that nobody hears of.
    pub unreachable: Symbol,
    /// Taint of a cordoned node.
    pub unschedulable: Symbol,
    /// Taints of the other conditions (rule C164).
    pub pressures: [Symbol; 4],
    /// Taint by which a user says that a node is out of service (rule C174).
    pub out_of_service: Symbol,
    /// Label of nodes that do not count for the state of their zone (rule C166).
    pub exclude_disruption: Symbol,
    /// Label of nodes that load balancers leave out (rule N166).
    pub exclude_balancers: Symbol,
    /// Taint of a node that the Cluster Autoscaler is about to remove (rules N163, N166).
    pub to_be_deleted: Symbol,
    /// Labels of control-plane nodes (rule C181).
    pub control_plane: [Symbol; 2],
    /// The value of a taint that has none.
    pub no_value: Symbol,
    region: [Symbol; 2],
    zone: [Symbol; 2],
}

impl NodeKeys {
    pub(super) fn new(names: &mut Interner) -> Self {
        let mut key = |text: &str| names.intern(text);
        Self {
            not_ready: key("node.kubernetes.io/not-ready"),
            unreachable: key("node.kubernetes.io/unreachable"),
            unschedulable: key("node.kubernetes.io/unschedulable"),
            pressures: [
                key("node.kubernetes.io/memory-pressure"),
                key("node.kubernetes.io/disk-pressure"),
                key("node.kubernetes.io/pid-pressure"),
                key("node.kubernetes.io/network-unavailable"),
            ],
            out_of_service: key("node.kubernetes.io/out-of-service"),
            exclude_disruption: key("node.kubernetes.io/exclude-disruption"),
            exclude_balancers: key("node.kubernetes.io/exclude-from-external-load-balancers"),
            to_be_deleted: key("ToBeDeletedByClusterAutoscaler"),
            control_plane: [
                key("node-role.kubernetes.io/control-plane"),
                key("node-role.kubernetes.io/master"),
            ],
            no_value: key(""),
            region: [
                key("failure-domain.beta.kubernetes.io/region"),
                key("topology.kubernetes.io/region"),
            ],
            zone: [
                key("failure-domain.beta.kubernetes.io/zone"),
                key("topology.kubernetes.io/zone"),
            ],
        }
    }
}

/// Failure domains: region and zone, numbered as they are met (rule C165).
#[derive(Clone, Debug, Default)]
pub(super) struct Zones(Vec<(Symbol, Symbol)>);

impl Zones {
    /// The domain of a node with these labels. The deprecated labels win if they are there.
    ///
    /// Source: kubernetes v1.36.3 component-helpers/node/topology/helpers.go `GetZoneKey`.
    pub(super) fn of(&mut self, labels: &Labels, keys: &NodeKeys) -> ZoneId {
        let first = |[old, new]: [Symbol; 2]| {
            labels.get(old).or_else(|| labels.get(new)).unwrap_or(keys.no_value)
        };
        let zone = (first(keys.region), first(keys.zone));
        let place = self.0.iter().position(|known| *known == zone).unwrap_or_else(|| {
            self.0.push(zone);
            self.0.len() - 1
        });
        crate::base::Id::from_index(place)
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }
}
