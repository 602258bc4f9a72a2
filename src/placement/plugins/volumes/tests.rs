//! Rules of the volume plugins that the recordings seldom or never show.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::api::{
    lower_attachment, lower_capacity, lower_claim, lower_class, lower_csi_driver, lower_csi_node,
    lower_volume,
};
use crate::model::{DiskKind, InlineDisk, Labels, NodeId, NodeSpec, PodId, PodSpec, Resources};
use crate::model::{PodRef, SchedulerSettings, Storage};
use crate::placement::plain::attempt;
use crate::placement::{PlacedPod, Placer};

/// Two nodes: `n-a` in zone a (with the old label too), `n-b` in zone b.
struct World {
    names: Interner,
    storage: Storage,
    on_a: Vec<Vec<PodVolume>>,
}

impl World {
    fn new(objects: &[Value]) -> Self {
        let mut names = Interner::new();
        names.intern("");
        let mut storage = Storage::default();
        for object in objects {
            let names = &mut names;
            match object["kind"].as_str().expect("a kind") {
                "claim" => storage.claims.push(lower_claim(object, names)),
                "volume" => storage.volumes.push(lower_volume(object, names)),
                "class" => storage.classes.push(lower_class(object, names)),
                "csinode" => storage.csi_nodes.push(lower_csi_node(object, names)),
                "driver" => storage.csi_drivers.push(lower_csi_driver(object, names)),
                "capacity" => storage.capacities.push(lower_capacity(object, names)),
                _ => storage.attachments.push(lower_attachment(object, names)),
            }
        }
        Self { names, storage, on_a: Vec::new() }
    }

    /// A pod with these volumes on the node in zone a.
    fn with(mut self, volumes: Vec<PodVolume>) -> Self {
        self.on_a.push(volumes);
        self
    }

    fn claim(&mut self, name: &str) -> PodVolume {
        PodVolume::Claim(self.names.intern(name))
    }

    fn info(&mut self, volumes: Vec<PodVolume>) -> Arc<PodInfo> {
        let scheduler = self.names.intern("");
        let spec = PodSpec { volumes, ..PodSpec::plain(Vec::new(), scheduler) };
        let namespace = self.names.intern("default");
        Arc::new(PodInfo::plain(namespace, Labels::default(), Arc::new(spec)))
    }

    /// The nodes that take a pod with these volumes, or why none does.
    fn ask(&mut self, volumes: Vec<PodVolume>) -> String {
        let mut placer = Placer::new(&SchedulerSettings::default());
        let mut nodes = Vec::new();
        for (number, zone) in (0..).zip(["a", "b"]) {
            let name = self.names.intern(&format!("n-{zone}"));
            let key = self.names.intern("topology.kubernetes.io/zone");
            let labels = Labels::new([(key, self.names.intern(zone))]);
            let spec = NodeSpec { labels, ..NodeSpec::plain(name, Resources::default()) };
            nodes.push((NodeId::new(number), spec));
        }
        placer.add_nodes(nodes, &self.names);
        placer.catalog_mut().storage = StorageCatalog::from(self.storage.clone());
        for (number, volumes) in (10..).zip(self.on_a.clone()) {
            let placed = PlacedPod::new(pod(number), self.info(volumes));
            placer.place(NodeId::new(0), placed, &self.names);
        }
        let info = self.info(volumes);
        let of = Applicant { pod: pod(1), info, nominated: None, pinned: None };
        let world = placer.world(0, &self.names);
        let found = attempt(&of, &world, 0);
        if let Some(rejected) = found.pre_filter {
            return rejected.rejection.reasons[0].text(&self.names);
        }
        let mut parts: Vec<_> = found
            .feasible
            .iter()
            .map(|id| self.names.resolve(placer.nodes().state(*id).spec.name).to_owned())
            .collect();
        parts.extend(found.failed.iter().map(|(_, why)| why.reasons[0].text(&self.names)));
        parts.join(", ")
    }
}

const fn pod(number: u32) -> PodRef {
    PodRef { id: PodId::new(number), life: 0 }
}

fn claim(name: &str, class: &str, gib: u32, volume: &str) -> Value {
    let bound = if volume.is_empty() { Value::Null } else { json!("yes") };
    json!({
        "kind": "claim",
        "metadata": { "name": name, "namespace": "default", "uid": name,
                      "annotations": { "pv.kubernetes.io/bind-completed": bound } },
        "spec": { "storageClassName": class, "volumeName": volume, "accessModes": ["ReadWriteOnce"],
                  "resources": { "requests": { "storage": format!("{gib}Gi") } } },
    })
}

fn volume(name: &str, gib: u32, labels: &Value) -> Value {
    json!({
        "kind": "volume",
        "metadata": { "name": name, "labels": labels },
        "spec": { "storageClassName": "local", "accessModes": ["ReadWriteOnce"],
                  "capacity": { "storage": format!("{gib}Gi") },
                  "csi": { "driver": "csi.example.com", "volumeHandle": name } },
        "status": { "phase": "Available" },
    })
}

fn class(name: &str, provisioner: &str) -> Value {
    json!({ "kind": "class", "metadata": { "name": name }, "provisioner": provisioner,
            "volumeBindingMode": "WaitForFirstConsumer" })
}

fn limit(driver: &str, count: i64) -> Value {
    json!({ "kind": "csinode", "metadata": { "name": "n-a" },
            "spec": { "drivers": [{ "name": driver, "allocatable": { "count": count } }] } })
}

#[test]
fn a_volume_of_several_zones_and_of_old_labels_fits_nodes_with_new_ones() {
    let beta = "failure-domain.beta.kubernetes.io/zone";
    let no_zone = "node(s) had no available volume zone";
    for (labels, answer) in [
        (json!({ beta: "a__c" }), format!("n-a, {no_zone}")),
        (json!({ beta: "a__b" }), "n-a, n-b".to_owned()),
        (json!({ beta: "a____b" }), "n-a, n-b".to_owned()),
        (json!({ "topology.kubernetes.io/zone": "c" }), format!("{no_zone}, {no_zone}")),
    ] {
        let mut world = World::new(&[claim("data", "local", 1, "v"), volume("v", 1, &labels)]);
        let data = world.claim("data");
        assert_eq!(world.ask(vec![data]), answer);
    }
}

#[test]
fn attached_and_claimed_volumes_count_once_each() {
    let attached = |volume: &str| {
        json!({ "kind": "attachment", "metadata": { "name": volume },
                "spec": { "attacher": "csi.example.com", "nodeName": "n-a",
                          "source": { "persistentVolumeName": volume } } })
    };
    let objects = |count| {
        vec![
            claim("one", "local", 1, "v1"),
            claim("two", "local", 1, "v2"),
            volume("v1", 1, &json!({})),
            volume("v2", 1, &json!({})),
            volume("v3", 1, &json!({})),
            attached("v1"),
            attached("v3"),
            limit("csi.example.com", count),
        ]
    };
    // On the node: v1 by a pod and attached, v3 attached; new: v2.
    for (count, answer) in [(3, "n-a, n-b"), (2, "n-b, node(s) exceed max volume count")] {
        let mut world = World::new(&objects(count));
        let (one, two) = (world.claim("one"), world.claim("two"));
        let mut world = world.with(vec![one.clone()]);
        assert_eq!(world.ask(vec![two.clone(), two]), answer);
        // What is there already costs nothing.
        assert_eq!(world.ask(vec![one]), "n-a, n-b");
    }
}

#[test]
fn disks_in_pods_count_for_the_driver_that_they_migrate_to() {
    let mut world = World::new(&[limit("ebs.csi.aws.com", 1)]);
    let driver = world.names.intern("ebs.csi.aws.com");
    let mut disk = |id: &str| {
        let id = world.names.intern(id);
        PodVolume::Disk(InlineDisk {
            kind: DiskKind::AwsElasticBlockStore,
            id,
            monitors: Vec::new(),
            read_only: false,
            csi: Some((driver, id)),
        })
    };
    let (one, two) = (disk("vol-1"), disk("vol-2"));
    let mut world = world.with(vec![one.clone()]);
    assert_eq!(world.ask(vec![two]), "n-b, node(s) exceed max volume count");
    assert_eq!(world.ask(vec![one]), "n-b, node(s) had no available disk");
}

#[test]
fn the_smaller_claim_takes_the_smaller_volume() {
    // Two volumes suffice for both claims only if the small one is not wasted on the large claim.
    let mut world = World::new(&[
        class("local", "kubernetes.io/no-provisioner"),
        claim("large", "local", 5, ""),
        claim("small", "local", 1, ""),
        volume("v5", 5, &json!({})),
        volume("v2", 2, &json!({})),
    ]);
    let (large, small) = (world.claim("large"), world.claim("small"));
    assert_eq!(world.ask(vec![large.clone(), small]), "n-a, n-b");
    let none = "node(s) didn't find available persistent volumes to bind";
    world.storage.volumes.remove(0);
    assert_eq!(world.ask(vec![large]), format!("{none}, {none}"));
}

#[test]
fn topology_and_capacity_say_where_a_volume_can_be_made() {
    let in_zone = |zone: &str, of: &str, extra: Value| {
        let mut capacity = json!({
            "kind": "capacity",
            "metadata": { "name": zone, "namespace": "kube-system" },
            "storageClassName": of,
            "nodeTopology": { "matchLabels": { "topology.kubernetes.io/zone": zone } },
        });
        capacity.as_object_mut().expect("a map").extend(extra.as_object().expect("a map").clone());
        capacity
    };
    let driver = |publishes: bool| {
        json!({ "kind": "driver", "metadata": { "name": "csi.example.com" },
                "spec": { "storageCapacity": publishes } })
    };
    let mut zonal = class("fast", "csi.example.com");
    zonal["allowedTopologies"] = json!([{ "matchLabelExpressions":
        [{ "key": "topology.kubernetes.io/zone", "values": ["b", "c"] }] }]);
    let nothing = "node(s) didn't find available persistent volumes to bind";
    let full = "node(s) did not have enough free storage";
    let plain = class("fast", "csi.example.com");
    // The largest possible volume counts before what is left in all.
    let a = in_zone("a", "fast", json!({ "capacity": "100Gi", "maximumVolumeSize": "5Gi" }));
    let b = in_zone("b", "fast", json!({ "capacity": "10Gi" }));
    for (objects, answer) in [
        (vec![zonal], format!("n-b, {nothing}")),
        (vec![plain.clone(), driver(true), a.clone(), b.clone()], format!("n-b, {full}")),
        (vec![plain.clone(), driver(true)], format!("{full}, {full}")),
        (vec![plain, driver(false), a, b], "n-a, n-b".to_owned()),
    ] {
        let mut world = World::new(&objects);
        let data = lower_claim(&claim("data", "fast", 10, ""), &mut world.names);
        world.storage.claims.push(data);
        let data = world.claim("data");
        assert_eq!(world.ask(vec![data]), answer);
    }
}

#[test]
fn what_is_missing_is_said_before_any_node_is_looked_at() {
    let mut world = World::new(&[
        class("fast", "csi.example.com"),
        claim("bound", "fast", 1, "gone"),
        claim("unclassed", "", 1, ""),
    ]);
    for (name, answer) in [
        ("nowhere", "persistentvolumeclaim \"nowhere\" not found"),
        ("bound", "persistentvolume \"gone\" not found"),
        ("unclassed", "pod has unbound immediate PersistentVolumeClaims"),
    ] {
        let volume = world.claim(name);
        assert_eq!(world.ask(vec![volume]), answer);
    }
}
