//! VolumeRestrictions, NodeVolumeLimits, VolumeBinding and VolumeZone: nodes that the pod's volumes
//! reach.
//!
//! A file each; here is what they share: which claims the volumes of a pod use. Filters read the
//! storage objects of the catalogue; [`reserve`] is what the chosen node means for them.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/{volumerestrictions,
//! nodevolumelimits, volumebinding, volumezone} (rules S123a to S123d; recorded).

pub mod attach;
pub mod binding;
pub mod controller;
pub mod hints;
pub mod limits;
pub mod reserve;
pub mod restrictions;
#[cfg(test)]
mod tests;
pub mod zone;

use std::sync::Arc;

use crate::base::{Interner, Symbol};
use crate::model::{Claim, ObjectName, PodVolume};

use super::super::nodes::NodeState;
use super::super::pod_info::{Applicant, PodInfo};
use super::super::storage::StorageCatalog;
use super::super::verdict::{Plugin, Reason, Rejection};
use super::super::world::World;
use super::PreFilterResult;

/// What is known of the pod's volumes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FilterState {
    /// Claims that only one pod may use.
    pub restrictions: restrictions::State,
    /// Volumes that count against the limits of drivers.
    pub limits: limits::State,
    /// Claims that are bound, and those that wait for their first consumer.
    pub binding: binding::State,
    /// Zones of the bound volumes.
    pub zone: zone::State,
}

impl FilterState {
    /// A pod comes to a node (`by` 1) or leaves it (−1) in thought.
    pub fn update(&mut self, other: &PodInfo, by: i32) {
        self.restrictions.update(other, by);
    }
}

/// The PreFilter of one of the plugins.
#[must_use]
pub fn pre_filter(
    plugin: Plugin,
    of: &Applicant,
    world: &World<'_>,
    state: &mut FilterState,
) -> PreFilterResult {
    if of.info.spec.volumes.is_empty() {
        return PreFilterResult::Skip;
    }
    let found = match plugin {
        Plugin::VolumeRestrictions => restrictions::pre_filter(&of.info, world)
            .map(|found| found.map(|found| state.restrictions = found)),
        Plugin::NodeVolumeLimits => {
            Ok(limits::pre_filter(&of.info, world).map(|found| state.limits = found))
        }
        Plugin::VolumeBinding => binding::pre_filter(&of.info, world)
            .map(|found| found.map(|found| state.binding = found)),
        _ => zone::pre_filter(&of.info, world).map(|found| found.map(|found| state.zone = found)),
    };
    match found {
        Ok(Some(())) => PreFilterResult::Success,
        Ok(None) => PreFilterResult::Skip,
        Err(text) => PreFilterResult::Rejected(Rejection::unresolvable(plugin, said(text))),
    }
}

/// The filter of one of the plugins.
///
/// # Errors
/// If a volume of the pod is not to be had on the node.
pub fn filter(
    plugin: Plugin,
    state: &FilterState,
    of: &Applicant,
    node: &NodeState,
    world: &World<'_>,
) -> Result<(), Rejection> {
    match plugin {
        Plugin::VolumeRestrictions => restrictions::filter(&state.restrictions, of, node),
        Plugin::NodeVolumeLimits => limits::filter(&state.limits, node, world),
        Plugin::VolumeBinding => binding::filter(&state.binding, node, world),
        _ => zone::filter(&state.zone, node),
    }
}

fn said(text: String) -> Reason {
    Reason::Text(Arc::from(text))
}

/// The name of a claim that a volume uses.
struct ClaimName {
    /// With its namespace; `None` if no object has that name.
    name: Option<ObjectName>,
    /// Whether it is the claim of a generic ephemeral volume.
    is_ephemeral: bool,
}

/// Which claim a volume uses; `None` if it uses none.
fn claim_name(volume: &PodVolume, pod: &PodInfo, names: &Interner) -> Option<ClaimName> {
    let in_namespace = |name| ObjectName { namespace: pod.namespace, name };
    match volume {
        PodVolume::Claim(name) => {
            Some(ClaimName { name: Some(in_namespace(*name)), is_ephemeral: false })
        }
        PodVolume::Ephemeral { volume, .. } => {
            let name = names.get(&ephemeral_name(*volume, pod, names)).map(in_namespace);
            Some(ClaimName { name, is_ephemeral: true })
        }
        PodVolume::Templated { .. } | PodVolume::Disk(_) | PodVolume::Csi(_) => None,
    }
}

/// Pod and volume, with a dash between.
fn ephemeral_name(volume: Symbol, pod: &PodInfo, names: &Interner) -> String {
    let pod = pod.identity.map_or("", |identity| names.resolve(identity.name));
    format!("{pod}-{}", names.resolve(volume))
}

/// The claims that the pod names itself, those of generic ephemeral volumes left out.
///
/// # Errors
/// The text for one that is not there.
fn named_claims<'a>(
    pod: &PodInfo,
    storage: &'a StorageCatalog,
    names: &Interner,
) -> Result<Vec<&'a Claim>, String> {
    let mut claims = Vec::new();
    for volume in &pod.spec.volumes {
        if let PodVolume::Claim(name) = volume {
            let claim = storage.claim(ObjectName { namespace: pod.namespace, name: *name });
            claims.push(claim.ok_or_else(|| not_found(names.resolve(*name)))?);
        }
    }
    Ok(claims)
}

fn not_found(claim: &str) -> String {
    format!("persistentvolumeclaim \"{claim}\" not found")
}

/// Whether the pod is the claim's controlling owner, as it must be of a generic ephemeral volume's.
fn owns(pod: &PodInfo, claim: &Claim) -> bool {
    pod.identity.is_some_and(|identity| claim.owner_uid == Some(identity.uid))
}
