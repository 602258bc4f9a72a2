//! `cluster.addresses`: where the addresses of pods come from.

use serde_json::{Value, json};

use crate::base::text::counted;
use crate::base::{Cidr, Interner};
use crate::model::{AddressSpec, Model, NodeSpec};
use crate::tree::{Diagnostic, Diagnostics, Spanned};

use super::file::AddressFile;

/// Bits that the ranges of nodes have in common, at least and at most (the plugin host-local takes
/// nothing smaller).
const BITS: std::ops::RangeInclusive<u8> = 10..=30;
/// So many bits more than the cluster's range at most.
///
/// Source: kubernetes v1.36.3 pkg/controller/nodeipam/ipam/cidrset/cidr_set.go
/// `clusterSubnetMaxDiff`.
const DEPTH_MAX: u8 = 16;

/// The settings, checked.
pub(super) fn lower(
    file: Option<&Spanned<AddressFile>>,
    nodes: &[NodeSpec],
    names: &Interner,
    found: &mut Diagnostics,
) -> AddressSpec {
    let mut to = AddressSpec::DEFAULT;
    let Some(file) = file else { return to };
    let AddressFile { cluster_cidr, node_cidr_mask_size, cool_down } = &file.value;
    if let Some(span) = cool_down {
        to.cool_down = span.value.0;
    }
    if let Some(bits) = node_cidr_mask_size {
        if BITS.contains(&bits.value) {
            to.node_bits = Some(bits.value);
        } else {
            let message = format!("`nodeCIDRMaskSize` is from 10 to 30, not {}", bits.value);
            let hint = "24: 253 addresses for the pods of a node; 26: 61; 28: 13";
            found.push(Diagnostic::error(bits.span, message).with_hint(hint));
            return to;
        }
    }
    if let Some(text) = cluster_cidr {
        to.cluster = Cidr::parse(&text.value);
        let Some(cluster) = to.cluster else {
            let message = format!("\"{}\" is no range of addresses", text.value);
            let hint = "an IPv4 range as 10.244.0.0/16";
            found.push(Diagnostic::error(text.span, message).with_hint(hint));
            return to;
        };
        check_range(cluster, &to, text, nodes.len(), found);
    }
    let bits = to.node_bits.unwrap_or(AddressSpec::NODE_BITS);
    let room = Cidr::around(0, bits).last().saturating_sub(2);
    let is_fixed = to.cluster.is_some() || to.node_bits.is_some();
    let crowded = nodes.iter().find(|node| is_fixed && node.pods_max > room);
    if let Some(node) = crowded {
        let (name, pods) = (names.resolve(node.name), node.pods_max);
        let message = format!("node {name} takes {pods} pods and has {room} addresses for them");
        let hint = "a smaller nodeCIDRMaskSize; without an address a sandbox fails";
        found.push(Diagnostic::warning(file.span, message).with_hint(hint));
    }
    to
}

/// The settings as the model has them.
pub(super) fn show(model: &Model) -> Value {
    let AddressSpec { cluster, cool_down, .. } = model.addresses;
    let cluster = cluster.map_or_else(|| AddressSpec::ANY.to_owned(), |range| range.to_string());
    json!({
        "clusterCIDR": cluster,
        "nodeCIDRMaskSize": model.node_range_bits(),
        "coolDown": cool_down.go_text(),
    })
}

fn check_range(
    cluster: Cidr,
    to: &AddressSpec,
    text: &Spanned<String>,
    nodes: usize,
    found: &mut Diagnostics,
) {
    let bits = to.node_bits.unwrap_or(AddressSpec::NODE_BITS);
    let Some(depth) = bits.checked_sub(cluster.bits()) else {
        let message = format!("no range of a node, /{bits}, fits into {cluster}");
        let hint = "a larger clusterCIDR, or a larger nodeCIDRMaskSize";
        return found.push(Diagnostic::error(text.span, message).with_hint(hint));
    };
    if depth > DEPTH_MAX {
        let message = format!("ranges of nodes, /{bits}, are too small a part of {cluster}");
        let hint = format!("kube-controller-manager takes /{} at most", cluster.bits() + DEPTH_MAX);
        return found.push(Diagnostic::error(text.span, message).with_hint(hint));
    }
    let ranges = 1_u64 << depth;
    if crate::base::cast::u64_of(nodes) > ranges {
        let (has, there) =
            (counted(ranges, "range"), counted(crate::base::cast::u64_of(nodes), "node"));
        let message = format!("{cluster} has {has} of /{bits} for {there}");
        let hint = "nodes without one say CIDRNotAvailable, and sandboxes there fail";
        found.push(Diagnostic::warning(text.span, message).with_hint(hint));
    }
}
