//! Topology hints: which callers an endpoint is for.
//!
//! With `trafficDistribution` each ready endpoint is for its own zone, or node. With the annotation
//! `topology-mode: Auto` zones get endpoints by their share of the CPU, and some endpoints are
//! given to other zones.
//!
//! Source: kubernetes v1.36.3 endpointslice/trafficdist/trafficdist.go,
//! endpointslice/topologycache/topologycache.go, sliceinfo.go, utils.go (rule C181). Which of
//! several equal endpoints is given away is left to chance there; here the first one.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::Symbol;
use crate::base::cast::{f64_of_i64, i64_of, i64_trunc};
use crate::cluster::{EndpointSlice, SliceEndpoint};
use crate::model::{ServiceId, TrafficDistribution};

use super::packing::Packing;

/// How much more than its share a zone may have to bear.
const OVERLOAD: f64 = 0.2;

/// Endpoints by zone.
type ByZone = BTreeMap<Symbol, i64>;

/// Gives ready endpoints the hints that go with `trafficDistribution`.
pub fn distribute(kind: TrafficDistribution, existing: &[EndpointSlice], packing: &mut Packing) {
    let wants_node = kind == TrafficDistribution::PreferSameNode;
    let hints = |of: &SliceEndpoint| (of.zone, wants_node.then_some(of.endpoint.node));
    let is_wrong =
        |of: &SliceEndpoint| of.endpoint.ready && (of.for_zone, of.for_node) != hints(of);
    for place in packing.unchanged(existing) {
        if existing[place].endpoints.iter().any(is_wrong) {
            packing.update.push((place, existing[place].clone()));
        }
    }
    for endpoint in written(packing).flat_map(|slice| &mut slice.endpoints) {
        if endpoint.endpoint.ready {
            (endpoint.for_zone, endpoint.for_node) = hints(endpoint);
        }
    }
}

/// Takes all hints off.
pub fn remove(existing: &[EndpointSlice], packing: &mut Packing) {
    for place in packing.unchanged(existing) {
        if existing[place].endpoints.iter().any(SliceEndpoint::has_hint) {
            packing.update.push((place, existing[place].clone()));
        }
    }
    written(packing).flat_map(|slice| &mut slice.endpoints).for_each(SliceEndpoint::clear_hints);
}

/// The slices that are created, then those that are updated.
fn written(packing: &mut Packing) -> impl Iterator<Item = &mut EndpointSlice> {
    packing.create.iter_mut().chain(packing.update.iter_mut().map(|(_, slice)| slice))
}

/// What the controller tells when hints come or go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopologyEvent {
    /// Whether hints are off; else they are on.
    pub is_warning: bool,
    /// In the controller's words, without the address type.
    pub message: String,
}

impl TopologyEvent {
    fn off(message: impl Into<String>) -> Option<Self> {
        Some(Self { is_warning: true, message: message.into() })
    }

    /// The reason of the event.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        if self.is_warning { "TopologyAwareHintsDisabled" } else { "TopologyAwareHintsEnabled" }
    }
}

/// A node as far as hints go.
#[derive(Clone, Copy, Debug)]
pub struct TopologyNode {
    /// Its zone.
    pub zone: Option<Symbol>,
    /// Allocatable CPU, in millicores.
    pub milli_cpu: i64,
    /// Whether it is ready.
    pub is_ready: bool,
    /// Whether it belongs to the control plane.
    pub is_control_plane: bool,
}

/// What zones have, and what Services have been given.
#[derive(Clone, Debug, Default)]
pub struct TopologyCache {
    /// Shares of the CPU by zone; `None`: not known well enough.
    shares: Option<BTreeMap<Symbol, f64>>,
    /// Hints by zone of Services that have them.
    hinted: BTreeMap<ServiceId, ByZone>,
    populated: BTreeSet<ServiceId>,
}

/// How many endpoints a zone should have.
#[derive(Clone, Copy, Debug)]
struct Allocation {
    maximum: i64,
    desired: f64,
}

impl TopologyCache {
    /// Takes over the nodes as they are.
    pub fn set_nodes(&mut self, nodes: impl Iterator<Item = TopologyNode>) {
        self.shares = None;
        let mut by_zone: ByZone = BTreeMap::new();
        for node in nodes.filter(|node| node.is_ready && !node.is_control_plane) {
            let Some(zone) = node.zone.filter(|_| node.milli_cpu != 0) else { return };
            *by_zone.entry(zone).or_default() += node.milli_cpu;
        }
        let total: i64 = by_zone.values().sum();
        if total != 0 && by_zone.len() >= 2 {
            let share = |cpu: i64| f64_of_i64(cpu) / f64_of_i64(total);
            self.shares = Some(by_zone.into_iter().map(|(zone, cpu)| (zone, share(cpu))).collect());
        }
    }

    /// Whether any Service has hints by shares.
    #[must_use]
    pub fn is_used(&self) -> bool {
        !self.hinted.is_empty()
    }

    /// The Services with a zone that has too few endpoints for its share.
    pub fn overloaded(&self) -> impl Iterator<Item = ServiceId> + '_ {
        let hinted = self.hinted.iter();
        hinted.filter(|(_, by_zone)| self.is_overloaded(by_zone)).map(|(service, _)| *service)
    }

    fn is_overloaded(&self, by_zone: &ByZone) -> bool {
        let Some(shares) = self.shares.as_ref().filter(|_| !by_zone.is_empty()) else {
            return !by_zone.is_empty();
        };
        let total = f64_of_i64(by_zone.values().sum());
        shares.iter().any(|(zone, share)| {
            let least = (total * share * (1.0 / (1.0 + OVERLOAD))).ceil();
            by_zone.get(zone).is_none_or(|count| f64_of_i64(*count) < least)
        })
    }

    /// The Service has no hints by shares any more: what is to be told if it had.
    pub fn forget(&mut self, service: ServiceId) -> Option<TopologyEvent> {
        self.hinted.remove(&service);
        let had = self.populated.remove(&service);
        if had { TopologyEvent::off("Topology Aware Hints has been disabled") } else { None }
    }

    /// Gives endpoints hints by the shares of the zones.
    pub fn add_hints(
        &mut self,
        service: ServiceId,
        existing: &[EndpointSlice],
        packing: &mut Packing,
    ) -> Option<TopologyEvent> {
        let outcome = self.try_hints(existing, packing);
        match outcome {
            Ok(by_zone) => {
                self.hinted.insert(service, by_zone);
                let is_new = self.populated.insert(service);
                let message = "Topology Aware Hints has been enabled".to_owned();
                is_new.then_some(TopologyEvent { is_warning: false, message })
            }
            Err(message) => {
                self.forget(service);
                remove(existing, packing);
                TopologyEvent::off(message)
            }
        }
    }

    fn try_hints(
        &self,
        existing: &[EndpointSlice],
        packing: &mut Packing,
    ) -> Result<ByZone, String> {
        let unchanged = packing.unchanged(existing);
        let kept = unchanged.iter().map(|place| &existing[*place]);
        let slices = packing.create.iter().chain(packing.update.iter().map(|(_, slice)| slice));
        let all = slices.chain(kept).flat_map(|slice| &slice.endpoints);
        let ready = all.filter(|endpoint| endpoint.endpoint.ready).count();
        let allocations = self.allocations(i64_of(ready))?;
        let mut by_zone = ByZone::new();
        for place in unchanged {
            match hints_by_zone(&existing[place], &by_zone, &allocations) {
                None => packing.update.push((place, existing[place].clone())),
                Some(own) => {
                    own.into_iter().for_each(|(zone, n)| *by_zone.entry(zone).or_default() += n);
                }
            }
        }
        for endpoint in written(packing).flat_map(|slice| &mut slice.endpoints) {
            if endpoint.endpoint.ready {
                let zone = endpoint.zone;
                let zone = zone.ok_or("One or more endpoints do not have a zone specified")?;
                *by_zone.entry(zone).or_default() += 1;
                (endpoint.for_zone, endpoint.for_node) = (Some(zone), None);
            }
        }
        let (mut giving, mut receiving) = givers_and_receivers(&allocations, &by_zone);
        for endpoint in written(packing).flat_map(|slice| &mut slice.endpoints) {
            let Some(to) = receiving.keys().next().copied() else { break };
            let from = endpoint.zone.filter(|zone| giving.contains_key(zone));
            let Some(from) = from.filter(|_| endpoint.endpoint.ready) else { continue };
            endpoint.for_zone = Some(to);
            take_one(&mut giving, from);
            take_one(&mut receiving, to);
            *by_zone.entry(to).or_default() += 1;
            *by_zone.entry(from).or_default() -= 1;
        }
        if by_zone.is_empty() {
            return Err("No hints allocated for zones".to_owned());
        }
        Ok(by_zone)
    }

    /// How many endpoints each zone should have, of so many.
    fn allocations(&self, count: i64) -> Result<BTreeMap<Symbol, Allocation>, String> {
        let shares = self.shares.as_ref().ok_or(
            "Insufficient Node information: allocatable CPU or zone not specified on one or more \
             nodes",
        )?;
        let zones = i64_of(shares.len());
        let numbers = format!("({count} endpoints, {zones} zones)");
        if zones > count {
            return Err(format!("Insufficient number of endpoints {numbers}"));
        }
        let least = |share: &f64| {
            let desired = share * f64_of_i64(count);
            (desired, (desired * (1.0 / (1.0 + OVERLOAD))).ceil())
        };
        let total: i64 = shares.values().map(|share| i64_trunc(least(share).1)).sum();
        if total > count {
            return Err(format!(
                "Unable to allocate minimum required endpoints to each zone without exceeding \
                 overload threshold {numbers}"
            ));
        }
        let allocate = |(zone, share): (&Symbol, &f64)| {
            let (desired, least) = least(share);
            let maximum = i64_trunc(least) + count - total;
            (*zone, Allocation { maximum, desired: desired.max(least) })
        };
        Ok(shares.iter().map(allocate).collect())
    }
}

fn take_one(from: &mut ByZone, zone: Symbol) {
    let left = from.get_mut(&zone).expect("it has some");
    *left -= 1;
    if *left == 0 {
        from.remove(&zone);
    }
}

/// The hints of a slice by zone; `None` if they do not fit the allocations.
fn hints_by_zone(
    slice: &EndpointSlice,
    before: &ByZone,
    allocations: &BTreeMap<Symbol, Allocation>,
) -> Option<ByZone> {
    let mut by_zone = ByZone::new();
    for endpoint in slice.endpoints.iter().filter(|endpoint| endpoint.endpoint.ready) {
        let zone = endpoint.for_zone.filter(|zone| allocations.contains_key(zone))?;
        *by_zone.entry(zone).or_default() += 1;
    }
    let fits = |(zone, count): (&Symbol, &i64)| {
        let before = before.get(zone).copied().unwrap_or(0);
        count + before <= allocations[zone].maximum
    };
    by_zone.iter().all(fits).then_some(by_zone)
}

/// How many endpoints zones give to others and get from others.
fn givers_and_receivers(
    allocations: &BTreeMap<Symbol, Allocation>,
    by_zone: &ByZone,
) -> (ByZone, ByZone) {
    let (mut above, mut below) = (BTreeMap::new(), BTreeMap::new());
    for (zone, allocation) in allocations {
        let has = f64_of_i64(by_zone.get(zone).copied().unwrap_or(0));
        if has > allocation.desired {
            above.insert(*zone, has - allocation.desired);
        } else if has < allocation.desired {
            below.insert(*zone, allocation.desired - has);
        }
    }
    let (mut giving, mut receiving) = (ByZone::new(), ByZone::new());
    while let (Some((from, give)), Some((to, take))) = (most(&above), most(&below)) {
        if (give < 1.0 && take < 1.0) || give < 0.5 || take < 0.5 {
            break;
        }
        *giving.entry(from).or_default() += 1;
        above.insert(from, give - 1.0);
        *receiving.entry(to).or_default() += 1;
        below.insert(to, take - 1.0);
    }
    (giving, receiving)
}

/// The zone with the greatest number above zero.
fn most(zones: &BTreeMap<Symbol, f64>) -> Option<(Symbol, f64)> {
    let mut best: Option<(Symbol, f64)> = None;
    for (zone, number) in zones {
        if *number > best.map_or(0.0, |(_, best)| best) {
            best = Some((*zone, *number));
        }
    }
    best
}
