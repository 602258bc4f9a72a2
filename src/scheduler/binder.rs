//! Volumes between Reserve and the end of PreBind.
//!
//! ```text
//! chosen ─reserve─► promised ─(provision, poll)─► write ─► bound, and the pod is bound
//! ```
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/volumebinding/binder.go
//! `BindPodVolumes` (rule S123c). Differs: provisioners do not fail, so the bind timeout never
//! passes; a static volume is bound when the scheduler looks next; volumes of a pod that is gone
//! meanwhile are bound all the same, as nothing takes the promise back in the API.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;

use crate::base::{Distribution, Duration, Interner, Symbol};
use crate::model::{Latencies, NodeId, ObjectName, PodRef, Storage};
use crate::placement::plugins::volumes::binding::PodVolumes;
use crate::placement::plugins::volumes::{controller, reserve};
use crate::placement::{Placer, PodInfo};

/// The label of a node's zone.
const ZONE: &str = "topology.kubernetes.io/zone";

/// The volumes of pods whose binding cycle runs.
#[derive(Debug)]
pub struct VolumeBinder {
    promised: BTreeMap<PodRef, (NodeId, PodVolumes)>,
    provision: Distribution,
    poll: Duration,
    stream: ChaCha8Rng,
}

impl VolumeBinder {
    /// With these latencies; the stream is its own.
    #[must_use]
    pub fn new(latencies: &Latencies, stream: ChaCha8Rng) -> Self {
        Self {
            promised: BTreeMap::new(),
            provision: latencies.provision.clone(),
            poll: latencies.volume_poll,
            stream,
        }
    }

    /// The storage objects at the start.
    pub fn start(storage: &Storage, placer: &mut Placer, names: &Interner) {
        placer.catalog_mut().storage = controller::settled(storage.clone(), names);
    }

    /// Reserve: promises what the node means for the pod's unbound claims, so that the next
    /// decisions see it. Gives how long PreBind takes from now on; `None` if all is bound.
    pub fn reserve(
        &mut self,
        pod: PodRef,
        info: &PodInfo,
        (node, profile): (NodeId, usize),
        placer: &mut Placer,
        names: &Interner,
    ) -> Option<Duration> {
        let volumes = reserve::reserve(info, node, &placer.world(profile, names));
        if volumes == PodVolumes::default() {
            return None;
        }
        let name = placer.nodes().state(node).spec.name;
        reserve::assume(&volumes, name, &mut placer.catalog_mut().storage);
        let wait = self.wait(&volumes);
        self.promised.insert(pod, (node, volumes));
        Some(wait)
    }

    /// How long PreBind takes until these are bound.
    pub fn wait(&mut self, volumes: &PodVolumes) -> Duration {
        let mut wait = Duration::ZERO;
        for _ in &volumes.provisions {
            wait = wait.max(self.provision.sample_duration(&mut self.stream));
        }
        until_seen(wait, self.poll)
    }

    /// Whether anything is promised to a pod.
    #[must_use]
    pub fn has(&self, pod: PodRef) -> bool {
        self.promised.contains_key(&pod)
    }

    /// Unreserve: takes back what was promised.
    pub fn unreserve(&mut self, pod: PodRef, placer: &mut Placer) {
        if let Some((_, volumes)) = self.promised.remove(&pod) {
            reserve::unreserve(&volumes, &mut placer.catalog_mut().storage);
        }
    }

    /// The end of PreBind: volumes and claims are bound. Gives the claims that are bound now, with
    /// their volumes; none if the node is gone, which takes the promise back.
    pub fn finish(
        &mut self,
        pod: PodRef,
        placer: &mut Placer,
        names: &Interner,
    ) -> Vec<(ObjectName, Symbol)> {
        let Some((node, volumes)) = self.promised.remove(&pod) else { return Vec::new() };
        Self::write(&volumes, node, placer, names)
    }

    /// Binds volumes and claims as promised. Gives the claims that are bound now, with their
    /// volumes; none if the node is gone, which takes the promise back.
    pub fn write(
        volumes: &PodVolumes,
        node: NodeId,
        placer: &mut Placer,
        names: &Interner,
    ) -> Vec<(ObjectName, Symbol)> {
        let Some(spec) = placer.nodes().get(node).map(|node| node.spec.clone()) else {
            reserve::unreserve(volumes, &mut placer.catalog_mut().storage);
            return Vec::new();
        };
        let storage = &mut placer.catalog_mut().storage;
        reserve::write(volumes, &spec, names.get(ZONE), storage, names);
        let claims = volumes.bindings.iter().map(|(_, claim)| claim).chain(&volumes.provisions);
        let bound = claims.filter_map(|claim| Some((*claim, storage.claim(*claim)?.volume?)));
        bound.collect()
    }
}

/// The first look after so long: looks come one period after another, the first one after the
/// first period.
fn until_seen(wait: Duration, period: Duration) -> Duration {
    if period.is_zero() {
        return wait;
    }
    let periods = wait.as_nanos().div_ceil(period.as_nanos()).max(1);
    Duration::ns(periods * period.as_nanos())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::{Bytes, MilliCpu};
    use crate::model::{
        AccessMode, Claim, Labels, NodeSpec, PodId, PodSpec, PodVolume, Resources,
        SchedulerSettings, StorageClass, Volume,
    };
    use crate::placement::{Decision, Failure};
    use crate::sim::Streams;

    struct World {
        names: Interner,
        storage: Storage,
        zones: Vec<Symbol>,
    }

    impl World {
        /// Classes `made` and `static` that wait, `now` that does not; zones a and b.
        fn new() -> Self {
            let mut names = Interner::new();
            let zones = ["a", "b"].map(|zone| names.intern(zone)).to_vec();
            names.intern("");
            let mut storage = Storage::default();
            for (name, provisioner, waits) in [
                ("made", "csi.example.com", true),
                ("static", "kubernetes.io/no-provisioner", true),
                ("now", "csi.example.com", false),
            ] {
                storage.classes.push(StorageClass {
                    name: names.intern(name),
                    provisioner: names.intern(provisioner),
                    waits,
                    allowed: Vec::new(),
                    is_default: name == "made",
                });
            }
            Self { names, storage, zones }
        }

        fn claim(&mut self, name: &str, class: &str, gib: i64) -> ObjectName {
            let namespace = self.names.intern("default");
            let name = ObjectName { namespace, name: self.names.intern(name) };
            self.storage.claims.push(Claim {
                name,
                class: Some(self.names.intern(class)),
                modes: vec![AccessMode::ReadWriteOnce],
                is_block: false,
                request: Bytes(gib << 30),
                selector: None,
                volume: None,
                bind_completed: false,
                selected_node: None,
                is_lost: false,
                is_deleting: false,
                owner_uid: None,
                uid: self.names.intern(""),
                new_volume: self.names.intern(&format!("pvc-{}", name.name.number())),
            });
            name
        }

        fn volume(&mut self, name: &str, gib: i64) -> Symbol {
            let name = self.names.intern(name);
            self.storage.volumes.push(Volume {
                name,
                labels: Labels::default(),
                class: self.names.intern("static"),
                modes: vec![AccessMode::ReadWriteOnce],
                is_block: false,
                capacity: Bytes(gib << 30),
                node_affinity: None,
                claim: None,
                csi: None,
                is_migrated: false,
                is_available: true,
                is_deleting: false,
            });
            name
        }

        /// A node for four pods in each zone.
        fn placer(&mut self) -> Placer {
            let key = self.names.intern(ZONE);
            let nodes = (0u32..).zip(&self.zones).map(|(number, zone)| {
                let allocatable = Resources {
                    cpu: MilliCpu(400),
                    memory: Bytes(64 << 30),
                    ..Resources::default()
                };
                let labels = Labels::new([(key, *zone)]);
                (NodeId::new(number), NodeSpec { labels, ..NodeSpec::plain(*zone, allocatable) })
            });
            let mut placer = Placer::new(&SchedulerSettings::default());
            placer.add_nodes(nodes, &self.names);
            VolumeBinder::start(&self.storage, &mut placer, &self.names);
            placer
        }

        fn info(&self, claim: ObjectName) -> Arc<PodInfo> {
            let scheduler = self.names.get("").expect("interned");
            let requests = Resources { cpu: MilliCpu(100), ..Resources::default() };
            let volumes = vec![PodVolume::Claim(claim.name)];
            let spec = PodSpec { requests, volumes, ..PodSpec::plain(Vec::new(), scheduler) };
            Arc::new(PodInfo::plain(claim.namespace, Labels::default(), Arc::new(spec)))
        }
    }

    fn binder(latencies: &Latencies) -> VolumeBinder {
        VolumeBinder::new(latencies, Streams { seed: 1, replication: 0 }.open("volumes", ""))
    }

    fn decide(placer: &mut Placer, pod: u32, info: &Arc<PodInfo>, names: &Interner) -> Decision {
        let class = placer.class(info, names);
        placer.decide(pod_ref(pod), class, 0, names)
    }

    const fn pod_ref(number: u32) -> PodRef {
        PodRef { id: PodId::new(number), life: 0 }
    }

    #[test]
    fn a_made_volume_keeps_later_pods_in_the_zone_of_the_first() {
        let mut world = World::new();
        let claim = world.claim("data", "made", 1);
        let (mut placer, info) = (world.placer(), world.info(claim));
        let names = &world.names;
        let latencies = Latencies {
            provision: Distribution::Constant(2.5),
            volume_poll: Duration::secs(1),
            ..Latencies::ideal()
        };
        let mut binder = binder(&latencies);
        let Decision::Placed { node, .. } = decide(&mut placer, 1, &info, names) else { panic!() };
        // Looks after 1, 2 and 3 s: the volume is there at 2.5 s.
        let wait = binder.reserve(pod_ref(1), &info, (node, 0), &mut placer, names);
        assert_eq!(wait, Some(Duration::secs(3)));
        // Already now the claim belongs to the node; then to its zone.
        let only_there = |placer: &mut Placer| match decide(placer, 2, &info, names) {
            Decision::Placed { node, feasible } => (node, feasible),
            Decision::Failed(Failure { message, .. }) => panic!("{message}"),
        };
        assert_eq!(only_there(&mut placer), (node, 1));
        let bound = binder.finish(pod_ref(1), &mut placer, names);
        assert_eq!(bound.len(), 1);
        assert_eq!(only_there(&mut placer), (node, 1));
        let again = binder.reserve(pod_ref(2), &info, (node, 0), &mut placer, names);
        assert_eq!(again, None);
    }

    #[test]
    fn a_promised_volume_is_not_promised_twice_until_it_is_taken_back() {
        let mut world = World::new();
        let (large, small) = (world.volume("large", 5), world.volume("small", 2));
        let claims = [("one", 1), ("two", 1), ("three", 1)];
        let claims = claims.map(|(name, gib)| world.claim(name, "static", gib));
        let mut placer = world.placer();
        let names = &world.names;
        let mut binder = binder(&Latencies::ideal());
        let infos = claims.map(|claim| world.info(claim));
        let mut take = |pod: u32, info: &Arc<PodInfo>, placer: &mut Placer| {
            let Decision::Placed { node, .. } = decide(placer, pod, info, names) else {
                return false;
            };
            let wait = binder.reserve(pod_ref(pod), info, (node, 0), placer, names);
            assert_eq!(wait, Some(Duration::ZERO));
            true
        };
        assert!(take(1, &infos[0], &mut placer) && take(2, &infos[1], &mut placer));
        assert!(!take(3, &infos[2], &mut placer));
        let bound = binder.finish(pod_ref(1), &mut placer, names);
        assert_eq!(bound, [(claims[0], small)]);
        binder.unreserve(pod_ref(2), &mut placer);
        assert!(matches!(decide(&mut placer, 3, &infos[2], names), Decision::Placed { .. }));
        assert!(placer.catalog().storage.volume(large).is_some_and(|volume| volume.is_available));
    }

    #[test]
    fn claims_that_wait_for_no_consumer_are_bound_before_the_run() {
        let mut world = World::new();
        let (waits, now) = (world.claim("made", "made", 1), world.claim("now", "now", 1));
        let placer = world.placer();
        let storage = &placer.catalog().storage;
        assert!(storage.claim(waits).is_some_and(|claim| !claim.bind_completed));
        assert!(storage.claim(now).is_some_and(|claim| claim.bind_completed));
    }
}
