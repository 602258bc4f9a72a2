//! The addresses of a node's pods: what the network plugin gives to sandboxes and takes back.
//!
//! A pod has an address from the creation of its sandbox to that sandbox's end; another sandbox has
//! another one. Pods on the host's network have the node's.
//!
//! Source: containernetworking plugins v1.9 plugins/ipam/host-local/backend/allocator/allocator.go
//! `Get`, `GetIter`, `Next`, `Canonicalize` (rules N57, N128, N551). What was reserved last is kept
//! on disk, so the round goes on after a reboot, and so do addresses that nobody has given back.

use std::collections::VecDeque;

use super::host::Port;
use super::machine::Slot;
use crate::base::{BitSet, Cidr, Ip, SimTime};
use crate::cluster::Write;

/// The plugin's reservations on a node, by the places of addresses in the node's range.
#[derive(Debug, Default)]
pub(super) struct Reservations {
    taken: BitSet,
    count: u32,
    /// What was reserved last; 0: nothing yet.
    last: u32,
    /// Given back and not to be given again before then.
    cooling: VecDeque<(SimTime, u32)>,
}

/// The gateway's place: the first one.
const GATEWAY: u32 = 1;

impl Reservations {
    /// Reserves the next address after the last one that was reserved, round and round. The first
    /// address is the network's, the second the gateway's, the last one goes to all.
    pub(super) fn take(&mut self, range: Cidr, now: SimTime) -> Option<Ip> {
        while let Some((_, place)) = self.cooling.front().copied().filter(|(at, _)| *at <= now) {
            self.cooling.pop_front();
            self.clear(place);
        }
        let end = range.last().saturating_sub(1);
        if end <= GATEWAY || self.count >= end - GATEWAY {
            return None;
        }
        let mut place = self.last.clamp(GATEWAY, end);
        loop {
            place = if place == end { GATEWAY + 1 } else { place + 1 };
            if self.taken.insert(place) {
                break;
            }
        }
        self.count += 1;
        self.last = place;
        range.at(place)
    }

    fn clear(&mut self, place: u32) {
        if self.taken.remove(place) {
            self.count -= 1;
        }
    }

    /// Gives an address back, to be used again from an instant on.
    pub(super) fn give_back(&mut self, range: Cidr, ip: Ip, (now, from): (SimTime, SimTime)) {
        let Some(place) = range.place(ip) else { return };
        if from > now {
            self.cooling.push_back((from, place));
        } else {
            self.clear(place);
        }
    }
}

impl Port<'_, '_> {
    /// A sandbox gets its address: `None` if there is none for it. What an earlier sandbox of the
    /// pod had is given back first.
    pub(super) fn take_address(&mut self, slot: Slot) -> Option<Ip> {
        self.drop_address(slot);
        let node = &self.cluster.nodes()[self.node];
        let row = self.state.row(slot)?;
        if row.template.spec.host_network {
            return Some(node.address);
        }
        let pod = row.pod;
        let ip = self.state.addresses.take(node.pod_range?, self.now)?;
        self.state.row_mut(slot)?.address = Some(ip);
        if self.has_callers {
            self.plan.push(Write::Address { pod, ip, holds: true });
        }
        Some(ip)
    }

    /// The sandbox of a pod is gone, and its address is free.
    pub(super) fn drop_address(&mut self, slot: Slot) {
        let Some(row) = self.state.row_mut(slot) else { return };
        let (pod, Some(ip)) = (row.pod, row.address.take()) else { return };
        let cool_down = self.cluster.model().addresses.cool_down;
        let from = self.now.saturating_add(cool_down);
        if let Some(range) = self.cluster.nodes()[self.node].pod_range {
            self.state.addresses.give_back(range, ip, (self.now, from));
        }
        if self.has_callers {
            self.plan.push(Write::Address { pod, ip, holds: false });
        }
    }

    /// Why a pod's sandbox has no address, in the words of the plugins; `None`: that is not why it
    /// is not there.
    pub(super) fn no_address_text(&self, slot: Slot) -> Option<String> {
        let row = self.state.row(slot)?;
        let node = &self.cluster.nodes()[self.node];
        if row.template.spec.host_network || row.address.is_some() || node.cni_is_down {
            return None;
        }
        let why = match node.pod_range {
            None => "no podCIDR has been assigned to the node".to_owned(),
            Some(range) => {
                let end = range.at(range.last().saturating_sub(1))?;
                let first = range.at(GATEWAY)?;
                format!(
                    "plugin type=\"host-local\" failed (add): failed to allocate for range 0: \
                     no IP addresses available in range set: {first}-{end}"
                )
            }
        };
        Some(format!("Failed to create pod sandbox: failed to setup network for sandbox: {why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Duration;

    fn range() -> Cidr {
        Cidr::parse("10.1.2.0/29").unwrap()
    }

    fn at(secs: u64) -> SimTime {
        SimTime::at(Duration::secs(secs))
    }

    fn take(from: &mut Reservations, secs: u64) -> String {
        from.take(range(), at(secs)).map_or_else(|| "none".to_owned(), |ip| ip.to_string())
    }

    /// host-local: .0 is the network, .1 the gateway, .7 goes to all; the next after the last one.
    #[test]
    fn addresses_go_round() {
        let mut all = Reservations::default();
        let first: Vec<_> = (0..6).map(|_| take(&mut all, 0)).collect();
        assert_eq!(first, ["10.1.2.2", "10.1.2.3", "10.1.2.4", "10.1.2.5", "10.1.2.6", "none"]);
        for ip in ["10.1.2.5", "10.1.2.3"] {
            all.give_back(range(), Ip::parse(ip).unwrap(), (at(1), at(1)));
        }
        assert_eq!([take(&mut all, 1), take(&mut all, 1)], ["10.1.2.3", "10.1.2.5"]);
        assert_eq!(take(&mut all, 1), "none");
    }

    /// Rule N128: some plugins let an address rest before they give it again.
    #[test]
    fn an_address_may_rest() {
        let mut all = Reservations::default();
        let first = all.take(range(), at(0)).unwrap();
        (0..4).for_each(|_| assert!(all.take(range(), at(0)).is_some()));
        all.give_back(range(), first, (at(1), at(31)));
        assert_eq!([take(&mut all, 2), take(&mut all, 31)], ["none", "10.1.2.2"]);
    }

    #[test]
    fn a_range_may_be_too_small() {
        let tiny = Cidr::parse("10.1.2.0/31").unwrap();
        assert_eq!(Reservations::default().take(tiny, at(0)), None);
        let one = Cidr::parse("10.1.2.0/30").unwrap();
        let mut all = Reservations::default();
        assert!(all.take(one, at(0)).is_some());
        assert_eq!(all.take(one, at(0)), None);
    }
}
