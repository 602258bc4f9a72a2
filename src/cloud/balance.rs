//! Which machine a group makes next, and which one it gives up.
//!
//! A group spreads its machines over its zones, and shrinks where it has most: as an auto scaling
//! group does. Ours: within a zone what does not run yet goes first, then the oldest.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::base::Symbol;
use crate::cluster::{Cluster, Instance, InstanceState};
use crate::model::{GroupId, InstanceRef, Offer};

/// What a machine will be: of what can be had, in the zone where its group has fewest, the first.
/// Without a group, the first of what can be had.
pub(super) fn choose(machine: &Instance, cluster: &Cluster) -> Option<Arc<Offer>> {
    let cloud = cluster.cloud();
    let can_be_had = |offer: &&Arc<Offer>| cloud.has_some(machine.group, offer);
    let mut offers = machine.offers.iter().filter(can_be_had);
    match machine.group {
        None => offers.next().cloned(),
        // Of equal ones the first is taken: zones and types stand in order of preference.
        Some(group) => offers.min_by_key(|offer| in_zone(group, offer.zone, cluster)).cloned(),
    }
}

/// How many machines of a group run in a zone.
fn in_zone(group: GroupId, zone: Option<Symbol>, cluster: &Cluster) -> usize {
    let is_there = |machine: &Instance| {
        machine.is_wanted() && machine.offer.as_ref().is_some_and(|offer| offer.zone == zone)
    };
    cluster.cloud().of_group(group).filter(|(_, machine)| is_there(machine)).count()
}

/// Which `count` machines a group that is too large gives up.
pub(super) fn surplus(group: GroupId, count: usize, cluster: &Cluster) -> Vec<InstanceRef> {
    let all = cluster.cloud().of_group(group).filter(|(_, machine)| machine.is_wanted());
    let mut left: Vec<(InstanceRef, &Instance)> = all.collect();
    let zone = |machine: &Instance| machine.offer.as_ref().map(|offer| offer.zone);
    let mut chosen = Vec::new();
    while chosen.len() < count {
        let key = |at: &usize| {
            let machine = left[*at].1;
            let runs = machine.state == InstanceState::Registered;
            let fellows = left.iter().filter(|(_, other)| zone(other) == zone(machine)).count();
            (machine.running.is_some(), Reverse(fellows), runs, machine.serial)
        };
        let Some(at) = (0..left.len()).min_by_key(key) else { break };
        chosen.push(left.remove(at).0);
    }
    chosen
}
