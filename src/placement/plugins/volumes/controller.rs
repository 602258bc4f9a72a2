//! What the control plane makes of claims without the scheduler: it binds those that wait for no
//! consumer, and makes those of generic ephemeral volumes.
//!
//! Source: kubernetes v1.36.3 pkg/controller/volume/persistentvolume/pv_controller.go. Differs: it
//! happens before the run and takes no time; a volume that is made for nobody in particular can be
//! reached wherever the class allows it.

use crate::base::Interner;
use crate::model::{Claim, ClaimTemplate, ObjectName, PodVolume, Storage, StorageClass, Volume};

use super::super::super::pod_info::PodInfo;
use super::super::super::storage::StorageCatalog;
use super::binding::{NO_PROVISIONER, smallest};
use super::reserve::new_volume;
use super::{claim_name, owns};

/// The storage objects at the start of a run: a claim is bound if its class does not wait for a
/// consumer and there is a volume for it.
#[must_use]
pub fn settled(all: Storage, names: &Interner) -> StorageCatalog {
    let claims: Vec<_> = all.claims.iter().map(|claim| claim.name).collect();
    let mut storage = StorageCatalog::from(all);
    claims.into_iter().for_each(|claim| settle(claim, &mut storage, names));
    storage
}

/// Makes the claims of a pod's generic ephemeral volumes; those of a class that does not wait are
/// bound at once. A pod without identity has none.
///
/// Source: kubernetes v1.36.3 pkg/controller/volume/ephemeral/controller.go. Differs: it takes no
/// time.
pub fn make_claims(pod: &PodInfo, storage: &mut StorageCatalog, names: &Interner) {
    let Some(identity) = pod.identity else { return };
    for volume in &pod.spec.volumes {
        let PodVolume::Ephemeral { claim: template, .. } = volume else { continue };
        let name = claim_name(volume, pod, names).and_then(|used| used.name);
        if let Some(name) = name.filter(|name| storage.claim(*name).is_none()) {
            let mut claim = Claim::of_template(name, template, identity.uid);
            claim.class = claim.class.or(storage.default_class());
            storage.set_claim(claim);
            settle(name, storage, names);
        }
    }
}

/// Makes a claim of a StatefulSet's pod, unless it is there; one of a class that does not wait is
/// bound at once.
///
/// Source: kubernetes v1.36.3 pkg/controller/statefulset/stateful_set_utils.go
/// `getPersistentVolumeClaims` (rule C82).
pub fn make_claim(
    name: ObjectName,
    template: &ClaimTemplate,
    storage: &mut StorageCatalog,
    names: &Interner,
) {
    if storage.claim(name).is_some() {
        return;
    }
    let mut claim = Claim { owner_uid: None, ..Claim::of_template(name, template, name.name) };
    claim.class = claim.class.or(storage.default_class());
    storage.set_claim(claim);
    settle(name, storage, names);
}

/// Removes a claim, and the volume that was made for it.
pub fn remove_claim(name: ObjectName, storage: &mut StorageCatalog) {
    if let Some(claim) = storage.remove_claim(name)
        && claim.volume == Some(claim.new_volume)
    {
        storage.remove_volume(claim.new_volume);
    }
}

/// Removes the claims of a pod that has ended or is gone, and the volumes that were made for them.
pub fn remove_claims(pod: &PodInfo, storage: &mut StorageCatalog, names: &Interner) {
    for volume in &pod.spec.volumes {
        let used = claim_name(volume, pod, names).filter(|used| used.is_ephemeral);
        let Some(name) = used.and_then(|used| used.name) else { continue };
        if storage.claim(name).is_some_and(|claim| owns(pod, claim)) {
            remove_claim(name, storage);
        }
    }
}

fn settle(name: ObjectName, storage: &mut StorageCatalog, names: &Interner) {
    let Some(claim) = storage.claim(name).filter(|claim| !claim.bind_completed) else { return };
    let class = claim.class.and_then(|class| storage.class(class));
    let found = match claim.volume {
        Some(volume) => storage.volume(volume).filter(|volume| is_free_for(claim, volume)),
        None if class.is_some_and(|class| class.waits) => return,
        None => smallest(claim, None, &|_| false, (storage, names)),
    };
    if let Some(volume) = found {
        let volume = volume.name;
        return storage.bind(volume, name);
    }
    let provisions =
        |class: &&StorageClass| !matches!(names.resolve(class.provisioner), "" | NO_PROVISIONER);
    if claim.volume.is_none()
        && let Some(class) = class.filter(provisions)
    {
        let allowed = (!class.allowed.is_empty()).then(|| class.allowed.clone());
        let volume = new_volume(claim, class, allowed);
        let made = volume.name;
        storage.set_volume(volume);
        storage.bind(made, name);
    }
}

fn is_free_for(claim: &Claim, volume: &Volume) -> bool {
    volume
        .claim
        .is_none_or(|(name, uid)| name == claim.name && uid.is_none_or(|uid| uid == claim.uid))
}
