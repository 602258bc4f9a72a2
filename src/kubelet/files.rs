//! Mounted files of ConfigMaps and Secrets that change while a pod runs (rule N54).
//!
//! The kubelet hears of the change; the next sync of the pod brings it to the files: the start of
//! a container, or else the resync that each pod has every 60 to 90 s. Environments and mounts with
//! `subPath` stay as they are until their container is made anew.
//!
//! Of an immutable object the kubelet does not hear again once it has it: not even when another one
//! of its name comes.
//!
//! Source: kubernetes v1.36.3 pkg/kubelet/util/manager/watch_based_manager.go (`Get`,
//! `stopIfIdle`). Differs: of the syncs of a pod, only starts of containers and resyncs count.

use std::sync::Arc;

use super::Kubelet;
use super::host::Port;
use super::machine::Slot;
use super::node::NEVER;
use crate::api::Kind;
use crate::base::{Distribution, Duration, Interner, Symbol};
use crate::cluster::{Cluster, Phase};
use crate::event::{Event, SlotStep};
use crate::model::{ConfigRef, ObjectName, PodRef};
use crate::record::ConfigRecord;
use crate::sim::Ctx;

/// From one resync of a pod to the next, in seconds.
const RESYNC: Distribution = Distribution::Uniform { low: 60.0, high: 90.0 };
/// How much of that is left at an instant.
const PHASE: Distribution = Distribution::Uniform { low: 0.0, high: 1.0 };

/// Whether a pod is there and not over.
fn is_alive(pod: PodRef, cluster: &Cluster) -> bool {
    let phase = cluster.pod(pod).map(|row| row.status.phase);
    phase.is_some_and(|phase| !matches!(phase, Phase::Succeeded | Phase::Failed))
}

/// `configmap/prices`, as scenarios name it.
fn object_text(config: ConfigRef, namespace: Symbol, names: &Interner) -> String {
    let kind = if config.is_secret { "secret" } else { "configmap" };
    ObjectName { namespace, name: config.name }.of_kind(kind, names)
}

impl Kubelet {
    /// A ConfigMap or Secret has other data: pods that run with it have it as files with their next
    /// sync.
    pub(super) fn files_changed(
        &mut self,
        (kind, name): (Kind, ObjectName),
        cluster: &Cluster,
        ctx: &mut Ctx<'_>,
    ) {
        if !matches!(kind, Kind::ConfigMap | Kind::Secret) || cluster.tree(kind, name).is_none() {
            return;
        }
        let is_secret = kind == Kind::Secret;
        let is_it = |of: &&ConfigRef| of.name == name.name && of.is_secret == is_secret;
        let latencies = &cluster.model().latencies;
        let now = ctx.now();
        for (node, of) in self.nodes.enumerate_mut() {
            for slot in of.state.slots() {
                let Some(row) = of.state.row_mut(slot) else { continue };
                let runs = row.started.is_some() && is_alive(row.pod, cluster);
                if row.name.0 != name.namespace || !runs {
                    continue;
                }
                let template = Arc::clone(&row.template);
                let refs = || template.spec.config_refs.iter().filter(is_it);
                let is_file = |of: &&ConfigRef| of.is_mounted() && !of.is_sub_path;
                if let Some(config) = refs().find(|of| !is_file(of)) {
                    let object = object_text(*config, name.namespace, cluster.names());
                    let pod = row.name;
                    let row = ConfigRecord { object, pod, changed: now, refreshed: None };
                    ctx.recorder.config(row);
                }
                let Some(config) = refs().find(is_file).copied() else { continue };
                if row.sealed.contains(&(config.is_secret, config.name)) {
                    continue;
                }
                let rng = &mut of.state.machinery;
                let heard = now + latencies.watch.sample_duration(rng);
                let wait = if latencies.relist.is_zero() {
                    Duration::ZERO
                } else {
                    RESYNC.sample_duration(rng).scale(PHASE.sample(rng))
                };
                let Some(row) = of.state.row_mut(slot) else { continue };
                row.files.push((config, now, heard));
                if row.files_due == NEVER || row.files_due < heard {
                    row.files_due = heard.saturating_add(wait);
                    let step = SlotStep::Files;
                    ctx.at(row.files_due, Event::Slot { node, slot: slot.0, step });
                }
            }
        }
    }
}

impl Port<'_, '_> {
    /// The pod has its files: those of immutable objects are as they are for good.
    pub(super) fn seal_files(&mut self, slot: Slot) {
        let Some(row) = self.state.row(slot) else { return };
        let is_immutable = |config: &&ConfigRef| {
            let kind = if config.is_secret { Kind::Secret } else { Kind::ConfigMap };
            let name = ObjectName { namespace: row.name.0, name: config.name };
            self.cluster.tree(kind, name).is_some_and(|tree| tree["immutable"] == true)
        };
        let refs = row.template.spec.config_refs.iter().filter(|config| config.is_mounted());
        let sealed = refs.filter(is_immutable).map(|config| (config.is_secret, config.name));
        let sealed: Vec<_> = sealed.collect();
        if let Some(row) = self.state.row_mut(slot).filter(|_| !sealed.is_empty()) {
            row.sealed = sealed;
        }
    }

    /// The resync of a pod whose files are old.
    pub(super) fn files_are_due(&mut self, slot: Slot) {
        let now = self.now;
        let Some(row) = self.state.row_mut(slot).filter(|row| row.files_due == now) else { return };
        row.files_due = NEVER;
        self.refresh_files(slot);
    }

    /// A sync makes the files of a pod anew, of all that the kubelet has heard of.
    pub(super) fn refresh_files(&mut self, slot: Slot) {
        let now = self.now;
        let Some(row) = self.state.row_mut(slot).filter(|row| !row.files.is_empty()) else {
            return;
        };
        let pod = row.name;
        let runs = is_alive(row.pod, self.cluster);
        let (heard, later) = row.files.drain(..).partition(|(_, _, heard)| *heard <= now);
        row.files = later;
        let heard: Vec<_> = heard;
        for (config, changed, _) in heard.into_iter().filter(|_| runs) {
            let object = object_text(config, pod.0, self.cluster.names());
            let row = ConfigRecord { object, pod, changed, refreshed: Some(now) };
            self.ctx.recorder.config(row);
        }
    }
}
