//! What pods have on the disk of their node, and their eviction when it is more than they may have
//! (rule N102).
//!
//! ```text
//! of a container = start + rate · time since its start + calls · a call's
//!                  in its own layer or a volume, and in its logs, which are rotated
//! ```
//!
//! It grows evenly, so the instant at which a limit is passed is worked out when a process starts;
//! the kubelet finds it with its next look (each 10 s). What is in a container's layer and its logs
//! stays until the next one of the container has ended too, or the pod is deleted or evicted; what
//! is in an `emptyDir` until the pod's volumes are unmounted.
//!
//! Source: kubernetes v1.36.3 pkg/kubelet/eviction/eviction_manager.go (`localStorageEviction`,
//! `emptyDirLimitEviction`, `podEphemeralStorageLimitEviction`,
//! `containerEphemeralStorageLimitEviction`), pkg/kubelet/pod_container_deletor.go,
//! pkg/kubelet/logs/container_log_manager.go. Differs: what is used is known at each look; rotated
//! logs are as large as they were.

use smallvec::SmallVec;

use super::fill::{Fill, Line};
use super::host::Port;
use super::machine::{Machine, Slot};
use super::node::{NEVER, Row};
use super::node_disk::Fs;
use super::pressure::{AT_ONCE, EVICTED};
use crate::base::{Bytes, SimTime, Symbol};
use crate::model::{Behavior, Container, LogRoom, PodSpec};
use crate::record::{About, EventRecord};

/// How often the kubelet looks whether a log is to be rotated, in seconds.
const ROTATION_SECS: i64 = 10;

/// What a pod has on the disk.
#[derive(Clone, Debug)]
pub(super) struct RowStorage {
    /// Of its containers.
    containers: SmallVec<[Held; 1]>,
    /// What ended containers have left in its volumes, in bytes.
    left: SmallVec<[(Symbol, i64); 1]>,
    /// When the kubelet finds too much.
    due: SimTime,
}

/// What a container has on the disk.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    /// What runs writes into its layer, or its volume.
    writes: Line,
    /// The same into its logs.
    logs: Line,
    /// What the one before has left in its layer.
    dead: i64,
    /// The same in its logs.
    dead_logs: i64,
}

impl RowStorage {
    /// Of a pod with containers that do this; `None`: they write nothing that counts.
    pub(super) fn of(behaviors: &[std::sync::Arc<Behavior>]) -> Option<Box<Self>> {
        let is_some = behaviors.iter().any(|own| own.writes.is_some() || own.logs.is_some());
        is_some.then(|| {
            let containers = behaviors.iter().map(|_| Held::default()).collect();
            Box::new(Self { containers, left: SmallVec::new(), due: NEVER })
        })
    }
}

/// What a limit is of.
#[derive(Clone, Copy, Debug)]
enum Limited {
    Volume(Symbol),
    Pod,
    Container(u8),
}

/// What is to be measured of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    All,
    /// Volumes and logs.
    Node,
    /// What is in layers.
    Layers,
}

impl Row {
    fn held(&self, c: u8) -> Held {
        let storage = self.storage.as_deref();
        storage.and_then(|own| own.containers.get(usize::from(c))).copied().unwrap_or_default()
    }

    fn volume(&self, c: u8) -> Option<Symbol> {
        self.behavior(c).writes.and_then(|writes| writes.volume)
    }

    fn containers(&self) -> std::ops::Range<u8> {
        0..u8::try_from(self.processes.len()).unwrap_or(u8::MAX)
    }

    /// What a container has of its own: its layer and its logs.
    pub(super) fn own_storage(&self, c: u8, now: SimTime) -> i64 {
        let held = self.held(c);
        let layer = if self.volume(c).is_some() { 0 } else { held.writes.at(now) };
        layer + held.logs.at(now) + held.dead_logs
    }

    /// What the kubelet measures of a pod: layers of containers that have ended are no part of it.
    pub(super) fn storage_used(&self, part: Part, now: SimTime) -> i64 {
        let Some(storage) = self.storage.as_deref() else { return 0 };
        let mut used: i64 = match part {
            Part::Layers => 0,
            Part::All | Part::Node => storage.left.iter().map(|(_, left)| *left).sum(),
        };
        for c in self.containers() {
            let held = self.held(c);
            let is_layer = self.volume(c).is_none();
            if part == Part::All || is_layer == (part == Part::Layers) {
                used += held.writes.at(now);
            }
            if part != Part::Layers {
                used += held.logs.at(now) + held.dead_logs;
            }
        }
        used
    }

    /// What is limited, the limit, and what there is of it; in the order of the kubelet's checks.
    fn limited(&self, now: SimTime) -> Vec<(Limited, Bytes, Fill)> {
        let Some(storage) = self.storage.as_deref() else { return Vec::new() };
        let left = |volume: Symbol| {
            let left = storage.left.iter().find(|(name, _)| *name == volume);
            left.map_or(0, |(_, left)| *left)
        };
        let mut all = Vec::new();
        for (volume, limit) in &self.template.spec.empty_dirs {
            let Some(limit) = limit else { continue };
            let mut fill = Fill::default();
            fill.raise(left(*volume));
            for c in self.containers().filter(|c| self.volume(*c) == Some(*volume)) {
                fill.add(&self.held(c).writes, now);
            }
            all.push((Limited::Volume(*volume), *limit, fill));
        }
        let mut pod = Fill::default();
        pod.raise(storage.left.iter().map(|(_, left)| *left).sum());
        let mut containers = Vec::new();
        for c in self.containers() {
            let held = self.held(c);
            let mut own = Fill::default();
            own.raise(held.dead_logs);
            own.add(&held.logs, now);
            if self.volume(c).is_none() {
                own.add(&held.writes, now);
            }
            pod.raise(held.dead_logs);
            pod.add(&held.logs, now);
            pod.add(&held.writes, now);
            if let Some(limit) = self.spec(c).storage_limit {
                containers.push((Limited::Container(c), limit, own));
            }
        }
        if let Some(limit) = total_limit(&self.template.spec) {
            all.push((Limited::Pod, limit, pod));
        }
        all.extend(containers);
        all
    }
}

/// The limit of a pod as the sum of its containers': with its sidecars, or that of an init container
/// beside the sidecars before it, if that is more; `None` where nobody has one (rule N102).
fn total_limit(spec: &PodSpec) -> Option<Bytes> {
    let all = || spec.init_containers.iter().chain(&spec.containers);
    if all().all(|container| container.storage_limit.is_none()) {
        return None;
    }
    let limit = |container: &Container| container.storage_limit.map_or(0, |limit| limit.0);
    let (mut sidecars, mut most) = (0, 0);
    for container in &spec.init_containers {
        let beside = sidecars + limit(container);
        if container.restart_always {
            sidecars = beside;
        }
        most = most.max(beside);
    }
    Some(Bytes(most.max(sidecars + spec.containers.iter().map(limit).sum::<i64>())))
}

/// The most that a container's logs take: files of the greatest size, or of what comes between two
/// looks if that is more.
fn logs_max(room: &LogRoom, rate: i64) -> i64 {
    let between = rate.saturating_mul(ROTATION_SECS).max(1);
    let size = room.size_max.0;
    let looks = (size + between - 1).div_euclid(between);
    let file = if between > size { between } else { looks.saturating_mul(between) };
    let file = if rate == 0 { size } else { file };
    file.saturating_mul(i64::from(room.files_max))
}

impl Port<'_, '_> {
    /// A process starts: from now on it writes.
    pub(super) fn storage_begins(&mut self, slot: Slot, c: u8) {
        let now = self.now;
        let room = self.cluster.nodes()[self.node].spec.kubelet.logs;
        let Some(row) = self.state.row_mut(slot).filter(|row| row.storage.is_some()) else {
            return;
        };
        let behavior = row.behavior(c);
        let writes = behavior.writes.map_or_else(Line::default, |writes| {
            Line::new(writes.start.0, writes.rate.0, now, None)
        });
        let logs = behavior.logs.map_or_else(Line::default, |logs| {
            Line::new(0, logs.rate.0, now, Some(logs_max(&room, logs.rate.0)))
        });
        self.set_lines(slot, c, writes, logs);
        self.watch_storage(slot);
        self.disk_changed();
    }

    /// Puts other lines in place of those of a container.
    fn set_lines(&mut self, slot: Slot, c: u8, writes: Line, logs: Line) {
        let now = self.now;
        let Some(row) = self.state.row_mut(slot) else { return };
        let place = if row.volume(c).is_some() { Fs::Node } else { Fs::Images };
        let before = row.held(c);
        if let Some(held) = row.storage.as_deref_mut() {
            let held = &mut held.containers[usize::from(c)];
            (held.writes, held.logs) = (writes, logs);
        }
        if let Some(disk) = self.state.disk.as_deref_mut() {
            for (fs, before, after) in
                [(place, before.writes, writes), (Fs::Node, before.logs, logs)]
            {
                let fill = disk.fill_mut(fs);
                fill.take(&before, now);
                fill.add(&after, now);
            }
        }
    }

    /// A server has taken so many more calls, each of which writes something.
    pub(super) fn served(&mut self, slot: Slot, calls: u32) {
        let now = self.now;
        let Some(row) = self.state.row(slot).filter(|row| row.storage.is_some()) else { return };
        let Some(c) = row.server() else { return };
        if !row.processes[usize::from(c)].is_running {
            return;
        }
        let behavior = row.behavior(c);
        let calls = i64::from(calls);
        let written = behavior.writes.map_or(0, |writes| writes.call.0.saturating_mul(calls));
        let logged = behavior.logs.map_or(0, |logs| logs.call.0.saturating_mul(calls));
        let Held { writes, logs, .. } = row.held(c);
        self.set_lines(slot, c, writes.raised(written, now), logs.raised(logged, now));
        self.watch_storage(slot);
        self.disk_changed();
    }

    /// When the kubelet finds too much of a pod is worked out anew.
    fn watch_storage(&mut self, slot: Slot) {
        let now = self.now;
        let Some(row) = self.state.row(slot) else { return };
        let passed =
            row.limited(now).iter().map(|(_, limit, fill)| fill.passes(limit.0, now)).min();
        let due = self.state.pressure.look_from(passed.unwrap_or(NEVER));
        let storage = self.state.row_mut(slot).and_then(|row| row.storage.as_deref_mut());
        if let Some(storage) = storage.filter(|storage| storage.due != due) {
            storage.due = due;
            self.later(due, slot, crate::event::SlotStep::Storage);
        }
    }

    /// A process ends: what it has written stays for now. Before
    /// [`super::processes::Process::end`].
    pub(super) fn storage_ends(&mut self, slot: Slot, c: u8) {
        let now = self.now;
        let Some(row) = self.state.row_mut(slot).filter(|row| row.storage.is_some()) else {
            return;
        };
        let (held, volume) = (row.held(c), row.volume(c));
        let (written, logged) = (held.writes.at(now), held.logs.at(now));
        let Some(storage) = row.storage.as_deref_mut() else { return };
        let own = &mut storage.containers[usize::from(c)];
        // Of ended containers the last one is kept.
        own.dead_logs = logged;
        if volume.is_none() {
            own.dead = written;
        }
        if let Some(volume) = volume {
            match storage.left.iter_mut().find(|(name, _)| *name == volume) {
                Some((_, left)) => *left = left.saturating_add(written),
                None => storage.left.push((volume, written)),
            }
        }
        self.set_lines(slot, c, Line::default(), Line::default());
        if let Some(disk) = self.state.disk.as_deref_mut() {
            let kept = if volume.is_some() { (Fs::Node, 0) } else { (Fs::Images, held.dead) };
            disk.fill_mut(kept.0).raise(written - kept.1);
            disk.fill_mut(Fs::Node).raise(logged - held.dead_logs);
        }
        self.disk_changed();
    }

    /// All processes of a pod end at once: what they have written stays.
    pub(super) fn storage_loses_power(&mut self, slot: Slot) {
        let Some(row) = self.state.row(slot).filter(|row| row.storage.is_some()) else { return };
        for c in row.containers() {
            let is_running =
                |row: &Row| row.processes.get(usize::from(c)).is_some_and(|own| own.is_running);
            if self.state.row(slot).is_some_and(is_running) {
                self.storage_ends(slot, c);
            }
        }
    }

    /// The volumes of a pod are unmounted at an instant: what is in them is gone.
    pub(super) fn volumes_go(&mut self, slot: Slot, at: SimTime) {
        let storage = self.state.row_mut(slot).and_then(|row| row.storage.as_deref_mut());
        let Some(storage) = storage else { return };
        let left: i64 = storage.left.drain(..).map(|(_, left)| left).sum();
        self.free(Fs::Node, at, left);
    }

    /// The ended containers of a pod are removed at an instant, with layers and logs; their images
    /// are used no longer.
    pub(super) fn containers_go(&mut self, slot: Slot, at: SimTime) {
        let Some(row) = self.state.row_mut(slot) else { return };
        if std::mem::replace(&mut row.is_cleared, true) {
            return;
        }
        let (mut layers, mut logs) = (0, 0);
        if let Some(storage) = row.storage.as_deref_mut() {
            for held in &mut storage.containers {
                layers += std::mem::take(&mut held.dead);
                logs += std::mem::take(&mut held.dead_logs);
            }
        }
        self.images_left(slot, at);
        self.free(Fs::Images, at, layers);
        self.free(Fs::Node, at, logs);
    }

    /// Something is gone at an instant.
    fn free(&mut self, fs: Fs, at: SimTime, bytes: i64) {
        let now = self.now;
        if let Some(disk) = self.state.disk.as_deref_mut().filter(|_| bytes > 0) {
            let fill = disk.fill_mut(fs);
            match at <= now {
                true => fill.raise(-bytes),
                false => fill.raise_at(at, -bytes),
            }
            self.disk_changed();
        }
    }

    /// The containers of a pod have stopped for good, and its volumes are unmounted at an instant.
    /// Ended containers of a pod that is deleted or evicted are removed, those of others stay.
    pub(super) fn storage_stops(&mut self, slot: Slot, at: SimTime) {
        if self.state.disk.is_none() {
            return;
        }
        self.volumes_go(slot, at);
        let Some(row) = self.state.row(slot) else { return };
        let is_deleted = self.cluster.pod(row.pod).is_none_or(|pod| pod.deletion.is_some());
        if is_deleted || row.is_evicted {
            self.containers_go(slot, self.now);
        }
    }

    /// The kubelet forgets a pod: what is left of it goes with the next look at ended containers.
    pub(super) fn storage_forgotten(&mut self, slot: Slot) {
        let Some(disk) = self.state.disk.as_deref() else { return };
        let next = disk.next_clearance(self.now);
        self.volumes_go(slot, self.now);
        self.containers_go(slot, next);
    }

    /// Whether an image that was pulled has room on the node; it takes it then.
    pub(super) fn has_room_for(&mut self, slot: Slot, c: u8, image: Symbol) -> bool {
        let now = self.now;
        let size = self.state.row(slot).map_or(Bytes(0), |row| row.behavior(c).image_size);
        let Some(disk) = self.state.disk.as_deref_mut() else { return true };
        let has_room = disk.pulled(image, size, now);
        let is_again = has_room && disk.was_removed(image);
        if let Some(tally) = self.ctx.recorder.pressure().filter(|_| is_again) {
            tally.pulled_again += 1;
        }
        self.disk_changed();
        has_room
    }

    /// The kubelet looks at what a pod has on the disk, and evicts it if that is too much.
    pub(super) fn look_at_storage(&mut self, slot: Slot, machine: &mut Machine) {
        let now = self.now;
        let Some(row) = self.state.row_mut(slot) else { return };
        let Some(storage) = row.storage.as_deref_mut().filter(|own| own.due == now) else {
            return;
        };
        storage.due = NEVER;
        let limited = row.limited(now);
        let is_over = |(_, limit, fill): &&(Limited, Bytes, Fill)| fill.at(now) > limit.0;
        let Some((what, limit, _)) = limited.iter().find(is_over) else {
            self.watch_storage(slot);
            return;
        };
        self.tell_storage(slot, *what, *limit);
        if let Some(tally) = self.ctx.recorder.pressure() {
            tally.over_limit += 1;
        }
        self.evict(slot, EVICTED, AT_ONCE, machine);
    }

    /// The kubelet ends a pod, whose containers are removed then.
    pub(super) fn evict(
        &mut self,
        slot: Slot,
        reason: &'static str,
        grace: crate::base::Duration,
        machine: &mut Machine,
    ) {
        if let Some(row) = self.state.row_mut(slot) {
            row.is_evicted = true;
        }
        machine.evict(slot, reason, grace, self.now, self);
    }

    fn tell_storage(&mut self, slot: Slot, what: Limited, limit: Bytes) {
        let Some(row) = self.state.row(slot).filter(|_| self.ctx.recorder.wants_events()) else {
            return;
        };
        let names = self.cluster.names();
        let message = match what {
            Limited::Volume(name) => {
                let name = names.resolve(name);
                format!("Usage of EmptyDir volume \"{name}\" exceeds the limit \"{limit}\". ")
            }
            Limited::Pod => format!(
                "Pod ephemeral local storage usage exceeds the total limit of containers {limit}. "
            ),
            Limited::Container(c) => {
                let name = names.resolve(row.spec(c).name);
                format!("Container {name} exceeded its local ephemeral storage limit \"{limit}\". ")
            }
        };
        let about = About::Pod(row.name.0, row.name.1);
        let (at, reason, is_warning) = (self.now, EVICTED, true);
        self.ctx.recorder.event(EventRecord { at, is_warning, reason, about, message });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Interner;

    /// Five files of 10 MiB. A container that logs 4 MiB a second has 40 MiB in each when the
    /// kubelet comes to rotate it, one with 300 KiB a second 11.7 MiB after four looks.
    #[test]
    fn logs_are_rotated_every_ten_seconds() {
        let room = LogRoom { size_max: Bytes::mib(10), files_max: 5 };
        let mib = 1 << 20;
        assert_eq!(logs_max(&room, 0), 50 * mib);
        assert_eq!(logs_max(&room, 4 * mib), 200 * mib);
        assert_eq!(logs_max(&room, 300 << 10), 5 * 12_000 * 1024);
    }

    /// Rule N102: sidecars add up with the containers; an init container counts beside the sidecars
    /// that are started before it, if that is more.
    #[test]
    fn the_limit_of_a_pod_counts_its_sidecars() {
        let mut names = Interner::default();
        let (own, image) = (names.intern("own"), names.intern("image"));
        let container = |limit: Option<i64>, restart_always| Container {
            storage_limit: limit.map(Bytes),
            restart_always,
            ..Container::plain(own, image)
        };
        let total = |inits: &[(Option<i64>, bool)], limit| {
            let mut spec = PodSpec::plain(vec![container(limit, false)], own);
            spec.init_containers = inits.iter().map(|(l, always)| container(*l, *always)).collect();
            total_limit(&spec).map(|limit| limit.0)
        };
        assert_eq!(total(&[(None, false)], None), None);
        assert_eq!(total(&[(Some(7), true)], Some(50)), Some(57));
        assert_eq!(total(&[(Some(70), false), (Some(7), true)], Some(50)), Some(70));
        assert_eq!(total(&[(Some(7), true), (Some(70), false)], Some(50)), Some(77));
        assert_eq!(total(&[(Some(7), true)], None), Some(7));
    }
}
