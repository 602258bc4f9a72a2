//! Addresses: the range that each node has for its pods, and which pod has an address now.
//!
//! ```text
//! cluster range ──node──► its range ──sandbox──► a pod's address ──end of the sandbox──► free again
//! ```
//!
//! A node gets the next range that is free after the one given last, round and round; the range of
//! a node that goes is free again. Which address of its range a pod gets is its kubelet's to say
//! (`kubelet/addresses.rs`).
//!
//! Source: kubernetes v1.36.3 pkg/controller/nodeipam/ipam/range_allocator.go `AllocateOrOccupyCIDR`,
//! `ReleaseCIDR`; cidrset/cidr_set.go `AllocateNext`, `Occupy`. Differs: a node has its range as
//! soon as it is there; one that found none has the next one that is free again at once, where the
//! controller tries again after up to 1000 s; a range that another node has is not had twice; one family of addresses, IPv4.

use std::collections::VecDeque;

use serde_json::Value;

use crate::api::Kind;
use crate::base::{BitSet, Cidr, Ip, LookupMap};
use crate::model::{Model, NodeId, NodeSpec, ObjectName, PodRef};

use super::Cluster;

/// Where the pods of a cluster begin that does not say it: flannel's and kubeadm's examples.
const FIRST: u32 = 0x0af4_0000;
/// Where machines have their addresses, and where they have them if pods are there.
const MACHINES: [u32; 2] = [0xac10_0000, 0xc0a8_0000];

/// All ranges, and who has which address.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    cluster: Option<Cidr>,
    node_bits: u8,
    /// The numbers of the ranges that are taken.
    taken: BitSet,
    next: u32,
    machines: u32,
    /// Nodes that found no range, in order.
    waiting: Vec<NodeId>,
    /// The pods whose sandboxes have addresses, as far as anybody may call them.
    holders: LookupMap<Ip, PodRef>,
    /// Which address pods had that have none now, and the order in which they gave it back.
    past: LookupMap<PodRef, Ip>,
    given_back: VecDeque<PodRef>,
}

/// So many addresses of the past are known: those of pods of long ago nobody uses.
const PAST_MAX: usize = 65_536;

impl Addresses {
    pub(super) fn new(model: &Model) -> Self {
        let (cluster, node_bits) = (model.addresses.cluster, model.node_range_bits());
        let machines = MACHINES[usize::from(
            cluster.is_some_and(|range| range.overlaps(Cidr::around(MACHINES[0], 12))),
        )];
        Self { cluster, node_bits, machines, ..Self::default() }
    }

    /// How many ranges there are.
    fn count(&self) -> u32 {
        let fixed = self.cluster.map_or(0, Cidr::bits);
        1_u32.checked_shl(u32::from(self.node_bits.saturating_sub(fixed))).unwrap_or(u32::MAX)
    }

    /// The range of a number. Without a range of the cluster's own the first ones are those of
    /// 10.244.0.0/16, then come the others of 10.0.0.0/8, then all that is behind.
    fn range(&self, number: u32) -> Cidr {
        let shift = u32::from(32 - self.node_bits.min(32));
        let base = match self.cluster {
            Some(cluster) => cluster.base() | (number << shift),
            None => {
                let in_ten = 0x0100_0000_u32 >> shift;
                let ten = 0x0a00_0000;
                let first = (FIRST - ten) >> shift;
                match number.checked_sub(in_ten) {
                    None => ten | (((first + number) % in_ten) << shift),
                    Some(more) => (ten + 0x0100_0000_u32).wrapping_add(more << shift),
                }
            }
        };
        Cidr::around(base, self.node_bits)
    }

    /// The number of a range, if it is one of these.
    fn number(&self, range: Cidr) -> Option<u32> {
        let shift = u32::from(32 - self.node_bits.min(32));
        if range.bits() != self.node_bits {
            return None;
        }
        match self.cluster {
            Some(cluster) => {
                cluster.overlaps(range).then(|| (range.base() & cluster.last()) >> shift)
            }
            None => {
                let in_ten = 0x0100_0000_u32 >> shift;
                let place = (range.base() >> shift).checked_sub(FIRST >> shift);
                let is_ten = range.base() >> 24 == 10;
                is_ten.then(|| {
                    place.unwrap_or_else(|| in_ten - ((FIRST >> shift) - (range.base() >> shift)))
                })
            }
        }
    }

    /// The next range that is free.
    fn take(&mut self) -> Option<Cidr> {
        let count = self.count();
        let mut tried = (0..count).map(|step| (self.next.wrapping_add(step)) % count);
        let number = tried.find(|number| !self.taken.contains(*number))?;
        self.next = (number + 1) % count;
        self.taken.insert(number);
        Some(self.range(number))
    }

    fn remember(&mut self, pod: PodRef, ip: Ip) {
        if self.given_back.len() == PAST_MAX
            && let Some(oldest) = self.given_back.pop_front()
        {
            self.past.remove(&oldest);
        }
        self.past.insert(pod, ip);
        self.given_back.push_back(pod);
    }

    /// The numbers of all ranges that one overlaps, whatever its size (cidr_set.go
    /// `getBeginningAndEndIndices`).
    fn numbers(&self, range: Cidr) -> impl Iterator<Item = u32> + use<> {
        let wider = self.node_bits.saturating_sub(range.bits());
        let first = self.number(Cidr::around(range.base(), self.node_bits));
        let count = self.count();
        let past = move |first: u32| first.saturating_add(1 << wider.min(31)).min(count);
        first.into_iter().flat_map(move |first| first..past(first))
    }

    fn occupy(&mut self, range: Cidr) {
        for number in self.numbers(range) {
            self.taken.insert(number);
        }
    }

    fn free(&mut self, range: Cidr) {
        for number in self.numbers(range) {
            self.taken.remove(number);
        }
        if !self.holders.is_empty() {
            let all = (0..=range.last()).filter_map(|place| range.at(place));
            for ip in all {
                if let Some(pod) = self.holders.remove(&ip) {
                    self.remember(pod, ip);
                }
            }
        }
    }
}

impl Cluster {
    /// Marks the ranges that Nodes of manifests have already.
    pub(super) fn occupy_ranges(&mut self) {
        let given: Vec<Cidr> =
            self.trees_of(Kind::Node).filter_map(|(_, tree)| range_of(tree)).collect();
        given.into_iter().for_each(|range| self.addresses.occupy(range));
    }

    /// The range and the address of a node that comes: those of its manifest, else the next ones.
    pub(super) fn addresses_for(&mut self, spec: &NodeSpec) -> (Option<Cidr>, Ip) {
        let node = self.nodes.next_id();
        let own = ["", "default"].into_iter().filter_map(|namespace| self.names.get(namespace));
        let named = |namespace| ObjectName { namespace, name: spec.name };
        let tree = own.filter_map(|namespace| self.tree(Kind::Node, named(namespace))).next();
        let (range, address) = tree.map_or((None, None), |tree| (range_of(tree), address_of(tree)));
        let machines = self.addresses.machines.wrapping_add(node.number().wrapping_add(2));
        let address = address.or_else(|| Ip::new(machines)).unwrap_or(Ip::LOCALHOST);
        let is_taken = |range: &Cidr| {
            self.nodes.iter().any(|node| node.pod_range.is_some_and(|own| own.overlaps(*range)))
        };
        // One that another node has is not had twice: this one gets the next that is free.
        if let Some(range) = range.filter(|range| !is_taken(range)) {
            self.addresses.occupy(range);
            return (Some(range), address);
        }
        let range = self.addresses.take();
        if range.is_none() {
            self.addresses.waiting.push(node);
        }
        (range, address)
    }

    /// A node has gone: its range is free, and the first that waits for one has it.
    pub(super) fn free_range(&mut self, node: NodeId) {
        self.addresses.waiting.retain(|other| *other != node);
        let Some(range) = self.nodes[node].pod_range.take() else { return };
        self.addresses.free(range);
        // Smaller ones may share a number with it.
        let bits = self.addresses.node_bits;
        let all = &mut self.addresses;
        let others = self.nodes.iter().filter_map(|node| node.pod_range);
        others.filter(|own| own.bits() > bits).for_each(|own| all.occupy(own));
        let Some(first) = self.addresses.waiting.first().copied() else { return };
        if let Some(range) = self.addresses.take() {
            self.addresses.waiting.remove(0);
            self.nodes[first].pod_range = Some(range);
        }
    }

    /// A pod's sandbox has an address, or has it no more.
    ///
    /// # Panics
    /// If another pod has that address.
    pub(super) fn set_holder(&mut self, pod: PodRef, ip: Ip, holds: bool) {
        let all = &mut self.addresses;
        if holds {
            let before = all.holders.insert(ip, pod);
            assert!(before.is_none_or(|other| other == pod), "two pods have {ip}");
            all.past.remove(&pod);
        } else if all.holders.get(&ip) == Some(&pod) {
            all.holders.remove(&ip);
            all.remember(pod, ip);
        }
    }

    /// The address that a pod had which has none any more. Known only where somebody makes calls,
    /// and not for ever.
    #[must_use]
    pub fn last_address(&self, pod: PodRef) -> Option<Ip> {
        self.addresses.past.get(&pod).copied()
    }

    /// The pod whose sandbox has an address now. Known only where somebody makes calls.
    #[must_use]
    pub fn holder(&self, ip: Ip) -> Option<PodRef> {
        self.addresses.holders.get(&ip).copied()
    }
}

/// The range that a Node's manifest says.
fn range_of(tree: &Value) -> Option<Cidr> {
    let spec = &tree["spec"];
    let list = spec["podCIDRs"].as_array().into_iter().flatten();
    list.chain([&spec["podCIDR"]]).find_map(|range| Cidr::parse(range.as_str()?))
}

/// The internal address that a Node's manifest says.
fn address_of(tree: &Value) -> Option<Ip> {
    let mut all = tree["status"]["addresses"].as_array()?.iter();
    all.find_map(|address| {
        Some(&address["address"]).filter(|_| address["type"] == "InternalIP")?.as_str()
    })
    .and_then(Ip::parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(cluster: Option<&str>, node_bits: u8) -> Addresses {
        let cluster = cluster.map(|text| Cidr::parse(text).unwrap());
        Addresses { cluster, node_bits, ..Addresses::default() }
    }

    fn text(range: Option<Cidr>) -> String {
        range.map_or_else(|| "none".to_owned(), |range| range.to_string())
    }

    /// cidr_set.go `AllocateNext`: the next after the last one, round and round.
    #[test]
    fn ranges_go_round() {
        let mut all = ranges(Some("10.1.0.0/22"), 24);
        let first: Vec<_> = (0..5).map(|_| text(all.take())).collect();
        assert_eq!(first, ["10.1.0.0/24", "10.1.1.0/24", "10.1.2.0/24", "10.1.3.0/24", "none"]);
        for gone in ["10.1.2.0/24", "10.1.1.0/24"] {
            all.free(Cidr::parse(gone).unwrap());
        }
        let then: Vec<_> = (0..3).map(|_| text(all.take())).collect();
        assert_eq!(then, ["10.1.1.0/24", "10.1.2.0/24", "none"]);
    }

    /// A node's own range may be of another size: all that it overlaps is taken.
    #[test]
    fn a_range_of_another_size_is_occupied() {
        let mut all = ranges(Some("10.1.0.0/22"), 24);
        all.occupy(Cidr::parse("10.1.0.0/23").unwrap());
        all.occupy(Cidr::parse("10.1.2.128/25").unwrap());
        assert_eq!([text(all.take()), text(all.take())], ["10.1.3.0/24", "none"]);
        let mut all = ranges(None, 24);
        all.occupy(Cidr::parse("10.244.0.0/16").unwrap());
        assert_eq!(text(all.take()), "10.245.0.0/24");
    }

    #[test]
    fn what_is_occupied_is_not_given() {
        let mut all = ranges(Some("10.1.0.0/16"), 24);
        all.occupy(Cidr::parse("10.1.0.0/24").unwrap());
        all.occupy(Cidr::parse("192.168.0.0/24").unwrap());
        assert_eq!(text(all.take()), "10.1.1.0/24");
    }

    /// Without a range of the cluster's own no node is ever without.
    #[test]
    fn without_a_cluster_range_there_is_no_end() {
        let mut all = ranges(None, 24);
        assert_eq!(text(all.take()), "10.244.0.0/24");
        for number in [0, 255, 256, 3071, 3072, 65_535, 65_536, 70_000] {
            let range = all.range(number);
            let known = all.number(range);
            assert!(known == Some(number) || (known.is_none() && number > 65_535), "{range}");
        }
        assert_eq!(text(Some(all.range(3072))), "10.0.0.0/24");
        assert_eq!(text(Some(all.range(65_536))), "11.0.0.0/24");
    }
}
