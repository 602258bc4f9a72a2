//! The part of the scenario file about the addresses of pods.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::tree::Spanned;

use super::units::Span;

/// Where the addresses of pods come from: each node has a range of its own, out of which each of
/// its pods gets the address after the one given last, round and round.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct AddressFile {
    /// The range of all pods: `--cluster-cidr` of kube-controller-manager, as `10.244.0.0/16`. If
    /// absent that one, and on from there for as many nodes as there are.
    #[serde(rename = "clusterCIDR")]
    pub cluster_cidr: Option<Spanned<String>>,
    /// How many bits a node's range has in common: `--node-cidr-mask-size`, else 24: 253 pods.
    /// Without `clusterCIDR` fewer if nodes take so many pods that they need more addresses.
    #[serde(rename = "nodeCIDRMaskSize")]
    pub node_cidr_mask_size: Option<Spanned<u8>>,
    /// For how long an address that a pod gave back is given to no other one: 0s if absent, as the
    /// plugin host-local does it; 30s is what the VPC CNI of Amazon does.
    pub cool_down: Option<Spanned<Span>>,
}
