//! ConfigMaps and Secrets that pods need, as they are now: a pod that lacks one waits, and heals
//! when it comes (rule N53).
//!
//! What a container's environment needs keeps the container from being made
//! (`CreateContainerConfigError`); the next sync tries again (rule N8). What is mounted keeps the
//! pod from starting at all: the mount fails, and is tried again after 0.5 s, 1 s, 2 s … at most
//! 2 min 2 s. No event stands for a try that fails: the first one after the object has come is
//! worked out.

use super::Kubelet;
use super::host::Port;
use super::machine::Slot;
use crate::api::Kind;
use crate::base::{Duration, SimTime};
use crate::cluster::Cluster;
use crate::event::{Event, SlotStep};
use crate::model::{ConfigRef, ObjectName};
use crate::sim::Ctx;

/// From the first mount that fails to the next.
const FIRST: Duration = Duration::ms(500);
/// Longest time between two.
const LONGEST: Duration = Duration::secs(122);

/// The first try from an instant on, of tries that began to fail at `first`.
pub(super) fn next_try(first: SimTime, now: SimTime) -> SimTime {
    let (mut at, mut pause) = (first, FIRST);
    while at < now {
        at = at.saturating_add(pause);
        pause = pause.saturating_add(pause).min(LONGEST);
    }
    at
}

/// Whether a ConfigMap or Secret, or a key of it, is not there.
fn is_missing(config: &ConfigRef, name: ObjectName, cluster: &Cluster) -> bool {
    let kind = if config.is_secret { Kind::Secret } else { Kind::ConfigMap };
    let Some(tree) = cluster.tree(kind, name) else { return true };
    config.key.is_some_and(|key| {
        let key = cluster.names().resolve(key);
        let parts = ["data", "binaryData", "stringData"];
        parts.iter().all(|part| tree[*part].get(key).is_none())
    })
}

impl Port<'_, '_> {
    /// The first ConfigMap or Secret that is not there, or lacks a key, of those that the
    /// environment of a container needs, or else volumes.
    pub(super) fn missing_config(&self, slot: Slot, container: Option<u8>) -> Option<ConfigRef> {
        let row = self.state.row(slot)?;
        let namespace = row.name.0;
        let is_it = |config: &&ConfigRef| {
            let name = ObjectName { namespace, name: config.name };
            config.container == container
                && !config.is_optional
                && is_missing(config, name, self.cluster)
        };
        row.template.spec.config_refs.iter().find(is_it).copied()
    }

    /// Whether a volume cannot be mounted; notes since when.
    pub(super) fn cannot_mount(&mut self, slot: Slot) -> bool {
        let lacks = self.missing_config(slot, None).is_some();
        let now = self.now;
        if lacks && let Some(row) = self.state.row_mut(slot) {
            row.mounts_from.get_or_insert(now);
        }
        lacks || self.lacks_disks(slot)
    }
}

impl Kubelet {
    /// A ConfigMap or Secret is there, or another one: pods whose mounts wait for it have it with
    /// their next try.
    pub(super) fn config_changed(
        &self,
        (kind, name): (Kind, ObjectName),
        cluster: &Cluster,
        ctx: &mut Ctx<'_>,
    ) {
        if !matches!(kind, Kind::ConfigMap | Kind::Secret) || cluster.tree(kind, name).is_none() {
            return;
        }
        for (node, of) in self.nodes.enumerate() {
            for slot in of.state.slots() {
                let Some(row) = of.state.row(slot).filter(|row| row.name.0 == name.namespace)
                else {
                    continue;
                };
                let needs = |config: &ConfigRef| {
                    config.is_mounted()
                        && config.name == name.name
                        && config.is_secret == (kind == Kind::Secret)
                };
                let waits = row.mounts_from.filter(|_| row.started.is_none());
                if let Some(first) = waits
                    && row.template.spec.config_refs.iter().any(needs)
                {
                    let step = SlotStep::Mounted;
                    ctx.at(next_try(first, ctx.now()), Event::Slot { node, slot: slot.0, step });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tries at 0, 0.5, 1.5, 3.5 s …, later each 122 s.
    #[test]
    fn mounts_are_tried_again() {
        let at = |secs: f64| SimTime::at(Duration::from_secs_f64(secs));
        let next = |now: f64| next_try(at(10.0), at(now));
        assert_eq!(next(10.2), at(10.5));
        assert_eq!(next(12.0), at(13.5));
        // 10 + 0.5 + 1 + 2 + … + 64 = 137.5; then 259.5 and 381.5.
        assert_eq!(next(140.0), at(259.5));
        assert_eq!(next(260.0), at(381.5));
    }
}
