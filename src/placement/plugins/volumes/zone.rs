//! VolumeZone: zones and regions that labels of bound volumes name.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/volumezone/volume_zone.go (rule
//! S123d; recorded).

use crate::base::{Interner, Symbol};
use crate::model::Volume;

use super::super::super::nodes::NodeState;
use super::super::super::pod_info::PodInfo;
use super::super::super::verdict::{Plugin, Reason, Rejection};
use super::super::super::world::World;
use super::named_claims;

/// Labels that name zones and regions, each with the one that took its place.
const LABELS: [(&str, &str); 4] = [
    ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
    ("topology.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("topology.kubernetes.io/region", "topology.kubernetes.io/region"),
];

/// What the labels of the pod's bound volumes ask of a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    asked: Vec<Asked>,
    /// Labels of which a node must have one to be asked at all.
    keys: Vec<Symbol>,
}

/// One label of a volume.
#[derive(Clone, Debug, PartialEq)]
struct Asked {
    key: Symbol,
    /// The key that took its place, if any object has it.
    newer: Option<Symbol>,
    values: Vec<Symbol>,
}

/// `None`: no volume names a zone.
///
/// # Errors
/// The text for a claim, class or volume that is not there.
pub fn pre_filter(pod: &PodInfo, world: &World<'_>) -> Result<Option<State>, String> {
    let (storage, names) = (&world.catalog.storage, world.names);
    let mut state = State::default();
    for claim in named_claims(pod, storage, names)? {
        if let Some(name) = claim.volume {
            let text = || format!("persistentvolume \"{}\" not found", names.resolve(name));
            add_labels(&mut state.asked, storage.volume(name).ok_or_else(text)?, names);
            continue;
        }
        let class = claim.class.filter(|name| !names.resolve(*name).is_empty());
        let class = class.ok_or("PersistentVolumeClaim had no pv name and storageClass name")?;
        let text = || format!("storageclass.storage.k8s.io \"{}\" not found", names.resolve(class));
        if !storage.class(class).ok_or_else(text)?.waits {
            return Err("PersistentVolume had no name".to_owned());
        }
    }
    state.keys.extend(LABELS.into_iter().filter_map(|(key, _)| names.get(key)));
    Ok((!state.asked.is_empty()).then_some(state))
}

fn add_labels(asked: &mut Vec<Asked>, volume: &Volume, names: &Interner) {
    for (key, newer) in LABELS {
        let Some(key) = names.get(key) else { continue };
        let Some(values) = volume.labels.get(key).and_then(|value| zones(value, names)) else {
            continue;
        };
        asked.push(Asked { key, newer: names.get(newer), values });
    }
}

/// Whether two states of a volume name different zones.
#[must_use]
pub fn differ(old: &Volume, new: &Volume, names: &Interner) -> bool {
    let asked = |volume| {
        let mut asked = Vec::new();
        add_labels(&mut asked, volume, names);
        asked
    };
    asked(old) != asked(new)
}

/// The values in a label, `__` between them; `None` if one is empty. A value that no label has is
/// left out.
fn zones(value: Symbol, names: &Interner) -> Option<Vec<Symbol>> {
    let parts: Vec<_> = names.resolve(value).split("__").map(str::trim).collect();
    let is_valid = parts.iter().all(|part| !part.is_empty());
    is_valid.then(|| parts.into_iter().filter_map(|part| names.get(part)).collect())
}

/// The filter.
///
/// # Errors
/// If the node has topology labels and a volume is in another zone or region.
pub fn filter(state: &State, node: &NodeState) -> Result<(), Rejection> {
    let labels = &node.spec.labels;
    if state.keys.iter().all(|key| labels.get(*key).is_none()) {
        return Ok(());
    }
    let fits = |asked: &Asked| {
        let newer = || asked.newer.and_then(|key| labels.get(key));
        let value = labels.get(asked.key).or_else(newer);
        value.is_some_and(|value| asked.values.contains(&value))
    };
    if state.asked.iter().all(fits) {
        return Ok(());
    }
    let reason = Reason::Fixed("node(s) had no available volume zone");
    Err(Rejection::unresolvable(Plugin::VolumeZone, reason))
}
