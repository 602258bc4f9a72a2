//! The disk of a node: what is on it, and the removal of images that nobody uses (rule N103).
//!
//! ```text
//! nodefs  = system + logs + volumes (emptyDir) + what is on imagefs, unless that is separate
//! imagefs = images + layers of containers
//! ```
//!
//! A node of whose disk nothing is said has enough, and nothing of this is kept.
//!
//! Source: kubernetes v1.36.3 pkg/kubelet/images/image_gc_manager.go (`GarbageCollect`,
//! `freeSpace`, `detectImages`), pkg/kubelet/kubelet.go (`StartGarbageCollection`). Differs: an
//! image takes its compressed size and shares no layers with others; when one was used last is
//! known; a container of a pod that the kubelet has not removed uses its image.

use smallvec::SmallVec;

use super::fill::Fill;
use super::host::Port;
use super::machine::{Machine, Slot};
use super::node::{NEVER, Row};
use crate::base::{Bytes, Duration, Interner, SimTime, Symbol, dist};
use crate::event::{Event, KubeletNodeStep};
use crate::model::{DiskSpec, ImageRoom};
use crate::sim::Streams;

/// From one look at the images to the next.
const PERIOD: Duration = Duration::mins(5);
/// The same at ended containers.
const CONTAINERS: Duration = Duration::mins(1);

/// A file system of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fs {
    /// The one of logs and volumes.
    Node,
    /// The one of images and layers.
    Images,
}

/// What a kubelet knows of the disk of its node.
#[derive(Debug)]
pub(super) struct NodeDisk {
    fills: [Fill; 2],
    sizes: [i64; 2],
    is_split: bool,
    images: Vec<Image>,
    /// Images that were removed and have not been pulled again.
    removed: Vec<Symbol>,
    /// The first looks at images and at ended containers; none: they come at the very instant.
    phases: Option<[SimTime; 2]>,
    /// When the next look at images is due.
    due: SimTime,
    /// A look before that would find nothing to remove.
    not_before: SimTime,
    /// Whether somebody has looked at it at all.
    pub is_known: bool,
}

/// An image on the disk.
#[derive(Clone, Debug)]
struct Image {
    names: SmallVec<[Symbol; 1]>,
    size: i64,
    /// Since when it is there; none: from before the run.
    since: Option<SimTime>,
    /// When the last container with it was removed; none: there was none.
    used: Option<SimTime>,
}

impl NodeDisk {
    pub(super) fn new(
        name: &str,
        (spec, images): (&DiskSpec, &[(Symbol, Bytes)]),
        texts: &Interner,
        streams: &Streams,
        is_ideal: bool,
    ) -> Self {
        let phases = (!is_ideal).then(|| {
            let rng = &mut streams.open("node-disk", name);
            [PERIOD, CONTAINERS].map(|period| SimTime::at(period.scale(dist::open01(rng))))
        });
        let sizes = [spec.nodefs.0, spec.imagefs.unwrap_or(spec.nodefs).0];
        let mut disk = Self {
            fills: [Fill::default(), Fill::default()],
            sizes,
            is_split: spec.imagefs.is_some(),
            images: Vec::new(),
            removed: Vec::new(),
            phases,
            due: NEVER,
            not_before: SimTime::ZERO,
            is_known: false,
        };
        disk.fill_mut(Fs::Node).raise(spec.system.0);
        for (image, size) in images {
            // An image without a tag stands in the list with one too.
            let tagged = crate::api::tagged(texts.resolve(*image));
            let known = disk.images.iter_mut().find(|known| {
                known.names.iter().any(|name| crate::api::tagged(texts.resolve(*name)) == tagged)
            });
            match known {
                Some(known) => known.names.push(*image),
                None => disk.put(*image, size.0, None),
            }
        }
        disk
    }

    const fn place(&self, fs: Fs) -> usize {
        match fs {
            Fs::Images if self.is_split => 1,
            Fs::Node | Fs::Images => 0,
        }
    }

    /// What is on a file system.
    pub(super) const fn fill(&self, fs: Fs) -> &Fill {
        &self.fills[self.place(fs)]
    }

    /// The same, to be changed.
    pub(super) const fn fill_mut(&mut self, fs: Fs) -> &mut Fill {
        &mut self.fills[self.place(fs)]
    }

    /// The size of a file system.
    pub(super) const fn size(&self, fs: Fs) -> i64 {
        self.sizes[self.place(fs)]
    }

    /// Whether images have a file system of their own.
    pub(super) const fn is_split(&self) -> bool {
        self.is_split
    }

    fn put(&mut self, name: Symbol, size: i64, since: Option<SimTime>) {
        let names = SmallVec::from_slice(&[name]);
        self.images.push(Image { names, size, since, used: None });
        self.fill_mut(Fs::Images).raise(size);
    }

    /// A pulled image, if there is room for it.
    pub(super) fn pulled(&mut self, name: Symbol, size: Bytes, now: SimTime) -> bool {
        if self.images.iter().any(|image| image.names.contains(&name)) {
            return true;
        }
        if self.fill(Fs::Images).at(now).saturating_add(size.0) > self.size(Fs::Images) {
            return false;
        }
        self.put(name, size.0, Some(now));
        true
    }

    /// Whether an image that was pulled had been removed before.
    pub(super) fn was_removed(&mut self, name: Symbol) -> bool {
        let at = self.removed.iter().position(|removed| *removed == name);
        at.map(|at| self.removed.swap_remove(at)).is_some()
    }

    /// When images are looked at next, as things are.
    fn next_look(&self, room: &ImageRoom, now: SimTime) -> SimTime {
        let full = self.fill(Fs::Images).passes(most_used(self.size(Fs::Images), room.high), now);
        if full == NEVER || self.not_before == NEVER {
            return NEVER;
        }
        let from = full.max(self.not_before).max(now);
        self.phases.map_or(from, |[phase, _]| from.next_tick(phase, PERIOD))
    }

    /// When ended containers are removed that nobody needs from an instant on.
    pub(super) fn next_clearance(&self, from: SimTime) -> SimTime {
        self.phases.map_or(from, |[_, phase]| from.next_tick(phase, CONTAINERS))
    }
}

/// The most that may be used of a size for the percentage that is used to be below a threshold.
fn most_used(size: i64, high: u8) -> i64 {
    // 100 - available · 100 / size is at least `high` if available · 100 < size · (101 - high).
    let available = (i128::from(size) * (101 - i128::from(high)) - 1).div_euclid(100);
    size - i64::try_from(available).unwrap_or(size) - 1
}

/// Whether a container with an image is there.
fn uses(row: &Row, image: &Image) -> bool {
    !row.is_cleared && images_of(row).any(|name| image.names.contains(&name))
}

/// The images of the containers that a pod has had.
fn images_of(row: &Row) -> impl Iterator<Item = Symbol> {
    let runs = (0_u8..).zip(&row.processes).filter(|(_, process)| process.runs() > 0);
    runs.map(|(c, _)| row.spec(c).image)
}

impl Port<'_, '_> {
    /// What is on the disk of the node has changed, or what uses it.
    pub(super) fn disk_changed(&mut self) {
        if self.state.disk.is_some() {
            self.pressure_changed();
            self.images_later();
        }
    }

    /// The disk of a node is as it is from the start: somebody has to look at it once.
    pub(super) fn disk_begins(&mut self) {
        let disk = self.state.disk.as_deref_mut();
        if disk.is_some_and(|disk| !std::mem::replace(&mut disk.is_known, true)) {
            self.disk_changed();
        }
    }

    fn images_later(&mut self) {
        let (now, room) = (self.now, self.cluster.nodes()[self.node].spec.kubelet.images);
        let Some(disk) = self.state.disk.as_deref_mut() else { return };
        let at = disk.next_look(&room, now);
        if at < disk.due {
            disk.due = at;
            let step = KubeletNodeStep::Images;
            self.ctx.at(at, Event::KubeletNode { node: self.node, step });
        }
    }

    /// A container of a pod on the node will be removed: images that only it uses are free then.
    pub(super) fn images_left(&mut self, slot: Slot, at: SimTime) {
        let Some(row) = self.state.row(slot) else { return };
        let names: SmallVec<[Symbol; 4]> = images_of(row).collect();
        let Some(disk) = self.state.disk.as_deref_mut() else { return };
        let own = disk.images.iter_mut();
        for image in own.filter(|image| image.names.iter().any(|name| names.contains(name))) {
            image.used = image.used.max(Some(at));
        }
        disk.not_before = disk.not_before.min(at);
        self.images_later();
    }

    /// The kubelet looks whether images are to be removed (rule N103).
    pub(super) fn look_at_images(&mut self) {
        let (now, node) = (self.now, &self.cluster.nodes()[self.node]);
        let room = node.spec.kubelet.images;
        let Some(disk) = self.state.disk.as_deref_mut().filter(|disk| disk.due == now) else {
            return;
        };
        disk.due = NEVER;
        if !node.is_up {
            return;
        }
        let size = disk.size(Fs::Images);
        let used = disk.fill(Fs::Images).at(now);
        if used > most_used(size, room.high) {
            let part = i128::from(size) * (100 - i128::from(room.low)) / 100;
            let wanted = i64::try_from(part).unwrap_or(size) - (size - used);
            let freed = self.remove_images(wanted);
            if freed < wanted {
                self.tell_of_node(true, "FreeDiskSpaceFailed", || {
                    format!(
                        "Failed to garbage collect required amount of images. Attempted to free \
                         {wanted} bytes, but only found {freed} bytes eligible to free."
                    )
                });
            }
            let again = self.next_removable(room.age_min);
            if let Some(disk) = self.state.disk.as_deref_mut() {
                let next = now.saturating_add(Duration::ns(1));
                disk.not_before = if disk.phases.is_some() { next } else { again };
            }
        }
        self.disk_changed();
    }

    /// When an image that nobody uses and that is too young to be removed is old enough.
    pub(super) fn next_removable(&self, age_min: Duration) -> SimTime {
        let Some(disk) = self.state.disk.as_deref() else { return NEVER };
        let unused = disk.images.iter().filter(|image| !self.is_used(image));
        let old = unused.filter_map(|image| Some(image.since?.saturating_add(age_min)));
        old.filter(|at| *at > self.now).min().unwrap_or(NEVER)
    }

    fn is_used(&self, image: &Image) -> bool {
        let slots = self.state.slots().into_iter();
        slots.filter_map(|slot| self.state.row(slot)).any(|row| uses(row, image))
    }

    /// Removes images that nobody uses, those that were used longest ago first, until so many
    /// bytes are free. Gives how many are.
    pub(super) fn remove_images(&mut self, wanted: i64) -> i64 {
        let (now, age) = (self.now, self.cluster.nodes()[self.node].spec.kubelet.images.age_min);
        let Some(disk) = self.state.disk.as_deref() else { return 0 };
        let is_old =
            |image: &Image| image.since.is_none_or(|since| since.saturating_add(age) <= now);
        let all = disk.images.iter().filter(|image| is_old(image) && !self.is_used(image));
        let mut all: Vec<Image> = all.cloned().collect();
        all.sort_by_key(|image| (image.used, image.since));
        let mut freed = 0_i64;
        for image in all {
            if freed >= wanted {
                break;
            }
            freed = freed.saturating_add(image.size);
            self.remove_image(&image);
        }
        freed
    }

    fn remove_image(&mut self, image: &Image) {
        for name in &image.names {
            self.state.images.remove(name);
        }
        let Some(disk) = self.state.disk.as_deref_mut() else { return };
        disk.images.retain(|other| other.names != image.names);
        disk.removed.extend_from_slice(&image.names);
        disk.fill_mut(Fs::Images).raise(-image.size);
        if let Some(tally) = self.ctx.recorder.pressure() {
            tally.removed(Bytes(image.size));
        }
    }

    /// Removes ended containers of pods that have ended (`DeleteAllUnusedContainers`).
    pub(super) fn remove_containers(&mut self, machine: &Machine) {
        for slot in self.state.slots() {
            if machine.has_stopped(slot) {
                self.containers_go(slot, self.now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rule N103: the percentage is 100 less the available one, rounded down: of 1000 bytes 841
    /// are used when 159 are available, which is 15 %.
    #[test]
    fn percentages_are_rounded_as_the_kubelet_does() {
        assert_eq!(most_used(1000, 85), 840);
        assert_eq!(100 - 160 * 100 / 1000, 84);
        assert_eq!(100 - 159 * 100 / 1000, 85);
    }
}
