//! How endpoints are packed into slices: as few writes as can be, never rebalanced.
//!
//! Source: kubernetes v1.36.3 endpointslice/reconciler.go `reconcileByAddressType`,
//! `reconcileByPortMapping`, `finalize`, endpointslice/utils.go `getSliceToFill` (rule C179).
//! Which endpoint goes into which of several slices is left to chance there; here they are taken
//! in the order of the pods' serials and slices in their own order.

use std::collections::BTreeMap;

use crate::cluster::{EndpointSlice, SliceEndpoint, SlicePort};
use crate::model::Labels;

/// Endpoints of a slice at most.
pub const ENDPOINTS_MAX: usize = 100;

/// An endpoint that should be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// Its ports, sorted.
    pub ports: Vec<SlicePort>,
    /// The endpoint, without hints.
    pub endpoint: SliceEndpoint,
}

/// What is to be written of slices. Slices that are there are named by their places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packing {
    /// New ones.
    pub create: Vec<EndpointSlice>,
    /// What slices become.
    pub update: Vec<(usize, EndpointSlice)>,
    /// Those that go.
    pub delete: Vec<usize>,
}

impl Packing {
    /// How many slices are written.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.create.len() + self.update.len() + self.delete.len()
    }

    /// Whether nothing is written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The places of the slices that stay as they are.
    #[must_use]
    pub fn unchanged(&self, existing: &[EndpointSlice]) -> Vec<usize> {
        let updated = |place: &usize| self.update.iter().any(|(other, _)| other == place);
        let stays = |place: &usize| !updated(place) && !self.delete.contains(place);
        (0..existing.len()).filter(stays).collect()
    }

    /// A slice that would be deleted takes over what one would be created for.
    #[must_use]
    pub fn reuse(mut self) -> Self {
        let reused = self.create.len().min(self.delete.len());
        let slices = self.create.split_off(self.create.len() - reused);
        self.update.extend(self.delete.drain(..reused).zip(slices.into_iter().rev()));
        self
    }
}

/// Packs what should be there into the slices that are there.
#[must_use]
pub fn pack(
    existing: &[EndpointSlice],
    desired: Vec<Desired>,
    labels: &Labels,
    max: usize,
) -> Packing {
    let mut by_ports: BTreeMap<Vec<SlicePort>, BTreeMap<u64, SliceEndpoint>> = BTreeMap::new();
    for Desired { ports, endpoint } in desired {
        by_ports.entry(ports).or_default().insert(endpoint.serial, endpoint);
    }
    let mut packing = Packing::default();
    let mut left: Vec<usize> = (0..existing.len()).collect();
    for (ports, endpoints) in by_ports {
        let own: Vec<usize> =
            left.iter().copied().filter(|place| existing[*place].ports == ports).collect();
        left.retain(|place| !own.contains(place));
        pack_group(existing, &own, Group { ports, endpoints, labels, max }, &mut packing);
    }
    packing.delete.extend(left);
    if packing.delete.len() == existing.len() && packing.create.is_empty() {
        let is_placeholder = |slice: &EndpointSlice| {
            slice.endpoints.is_empty() && slice.ports.is_empty() && slice.labels == *labels
        };
        if packing.delete.len() == 1 && is_placeholder(&existing[packing.delete[0]]) {
            packing.delete.clear();
        } else {
            packing.create.push(new_slice(Vec::new(), labels));
        }
    }
    packing
}

/// All endpoints of one set of ports.
struct Group<'a> {
    ports: Vec<SlicePort>,
    endpoints: BTreeMap<u64, SliceEndpoint>,
    labels: &'a Labels,
    max: usize,
}

impl Group<'_> {
    /// Puts endpoints that have no place yet into a slice, until it is full.
    fn fill(&mut self, slice: &mut EndpointSlice) {
        while slice.endpoints.len() < self.max
            && let Some((_, endpoint)) = self.endpoints.pop_first()
        {
            slice.endpoints.push(endpoint);
        }
    }
}

fn pack_group(
    existing: &[EndpointSlice],
    own: &[usize],
    mut group: Group<'_>,
    packing: &mut Packing,
) {
    let mut unchanged = Vec::new();
    let mut update = Vec::new();
    for place in own {
        match refresh(&existing[*place], &mut group) {
            Refreshed::Same => unchanged.push(*place),
            Refreshed::Empty => packing.delete.push(*place),
            Refreshed::Changed(slice) => update.push((*place, slice)),
        }
    }
    // Those that are written anyway are filled, the fullest first.
    update.sort_by_key(|(_, slice)| std::cmp::Reverse(slice.endpoints.len()));
    for (_, slice) in &mut update {
        group.fill(slice);
    }
    while !group.endpoints.is_empty() {
        let fits = |place: &&usize| {
            let all = group.endpoints.len() + existing[**place].endpoints.len();
            group.endpoints.len() < group.max && all <= group.max
        };
        let best = unchanged
            .iter()
            .filter(fits)
            .max_by_key(|place| (existing[**place].endpoints.len(), std::cmp::Reverse(**place)));
        if let Some(place) = best.copied() {
            unchanged.retain(|other| *other != place);
            let mut slice = existing[place].clone();
            group.fill(&mut slice);
            update.push((place, slice));
        } else {
            let mut slice = new_slice(group.ports.clone(), group.labels);
            group.fill(&mut slice);
            packing.create.push(slice);
        }
    }
    packing.update.append(&mut update);
}

fn new_slice(ports: Vec<SlicePort>, labels: &Labels) -> EndpointSlice {
    EndpointSlice { number: 0, labels: labels.clone(), ports, endpoints: Vec::new() }
}

/// What becomes of a slice before new endpoints are put in.
enum Refreshed {
    Same,
    Changed(EndpointSlice),
    Empty,
}

/// Drops the endpoints that should not be there and renews the others, in place.
fn refresh(slice: &EndpointSlice, group: &mut Group<'_>) -> Refreshed {
    let mut is_changed = false;
    let mut kept = Vec::with_capacity(slice.endpoints.len());
    for old in &slice.endpoints {
        let Some(new) = group.endpoints.remove(&old.serial) else { continue };
        is_changed |= (new.endpoint, new.zone) != (old.endpoint, old.zone);
        kept.push(new);
    }
    let labels = group.labels.clone();
    if is_changed || kept.len() != slice.endpoints.len() {
        if kept.is_empty() {
            return Refreshed::Empty;
        }
        return Refreshed::Changed(EndpointSlice { labels, endpoints: kept, ..slice.clone() });
    }
    if slice.labels != labels {
        return Refreshed::Changed(EndpointSlice { labels, ..slice.clone() });
    }
    Refreshed::Same
}
