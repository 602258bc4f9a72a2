//! Reads a recorded cluster: nodes, pods, and the other objects that decisions read, into a placer.

use std::collections::BTreeMap;
use std::sync::Arc;

use seatrial::api::{
    Lowering, lower_attachment, lower_budget, lower_capacity, lower_claim, lower_class,
    lower_csi_driver, lower_csi_node, lower_namespace, lower_node, lower_owner_selector,
    lower_pod_spec, lower_scheduler, lower_service, lower_volume, object_name, pod_amounts,
    resources,
};
use seatrial::base::{Duration, Id, Interner, SimTime, Symbol};
use seatrial::model::{
    Behavior, Behaviors, Labels, NodeId, PodId, PodRef, PodSpec, PriorityClasses,
    SchedulerSettings, Storage,
};
use seatrial::placement::{
    Catalog, ClassId, Owner, OwnerKind, PlacedPod, Placer, PodIdentity, PodInfo, StorageCatalog,
};
use serde_json::Value;

use super::corpus::{int, text};

/// A recorded case, read.
pub(crate) struct Case {
    /// All names.
    pub(crate) names: Interner,
    /// Nodes, pods, nominations, other objects, the search's start.
    pub(crate) placer: Placer,
    /// Names of all pods, as `NAMESPACE/NAME`.
    pub(crate) pods: BTreeMap<PodRef, String>,
    /// Nominated pods that the recorder's scheduler knew by name alone.
    pub(crate) stubs: Vec<PodRef>,
    /// The pod to schedule.
    pub(crate) asked: PodRef,
    /// Its class.
    pub(crate) class: ClassId,
    /// Its profile.
    pub(crate) profile: usize,
}

/// The settings of a case: without a word 100 percent of the nodes are looked at.
///
/// A whole `KubeSchedulerConfiguration` may stand there instead of the percentage.
pub(crate) fn settings(config: &Value, names: &mut Interner) -> SchedulerSettings {
    let percentage = config["percentageOfNodesToScore"].as_u64().unwrap_or(100);
    let settings = if config["kind"].is_string() {
        let (settings, problems) = lower_scheduler(config, &[], names);
        assert!(!problems.iter().any(|p| p.is_error), "{problems:?}");
        settings
    } else {
        SchedulerSettings::default()
    };
    let percentage = u8::try_from(percentage).expect("a percentage");
    SchedulerSettings { percentage_of_nodes_to_score: percentage, ..settings }
}

/// Reads objects: names and what lowering wants.
pub(crate) struct Objects {
    pub(crate) names: Interner,
    behaviors: Behaviors,
    classes: PriorityClasses,
}

impl Objects {
    pub(crate) fn new() -> Self {
        Self {
            names: Interner::new(),
            behaviors: Behaviors { standard: Behavior::plain(), rules: Vec::new(), mesh: None },
            classes: PriorityClasses::default(),
        }
    }

    /// The specification of a pod that nobody has placed yet.
    ///
    /// What the API server resolved from the class stands in the object here: no class is named.
    pub(crate) fn spec(&mut self, object: &Value) -> Result<PodSpec, String> {
        let mut object = object.clone();
        let spec = object["spec"].as_object_mut().ok_or("a pod without spec")?;
        let priority = spec.remove("priority").and_then(|p| p.as_i64()).unwrap_or(0);
        let policy = spec.remove("preemptionPolicy");
        let mut cx =
            Lowering { behaviors: &self.behaviors, classes: &self.classes, names: &mut self.names };
        let lowered = lower_pod_spec(&object, &mut cx);
        let mut spec = lowered.map_err(|p| format!("lowering: {p:?}"))?;
        spec.priority = i32::try_from(priority).map_err(|e| e.to_string())?;
        spec.preempts_never = policy.is_some_and(|p| p == "Never");
        Ok(spec)
    }

    /// A pod that is to be placed.
    pub(crate) fn info(&mut self, object: &Value) -> Result<Arc<PodInfo>, String> {
        let spec = self.spec(object)?;
        Ok(self.info_of(object, spec))
    }

    /// A pod on a node: what it takes depends on its status too (rule S84).
    pub(crate) fn placed(&mut self, pod: PodRef, object: &Value) -> Result<PlacedPod, String> {
        let amounts = pod_amounts(object);
        let spec = PodSpec {
            requests: resources(&amounts.requests, &mut self.names),
            nonzero_requests: amounts.nonzero,
            ..self.spec(object)?
        };
        let evicted = |condition: &Value| {
            condition["type"] == "DisruptionTarget"
                && condition["status"] == "True"
                && condition["reason"] == "PreemptionByScheduler"
        };
        Ok(PlacedPod {
            name: Some(self.symbol(&object["metadata"]["name"])),
            start: text(&object["status"], "startTime").map(instant),
            is_terminating: object["metadata"]["deletionTimestamp"].is_string(),
            is_preempted: list(&object["status"], "conditions").iter().any(evicted),
            ..PlacedPod::new(pod, self.info_of(object, spec))
        })
    }

    /// A nominated pod that the recorder's scheduler has taken out of its queue: the nominator knows
    /// no more than its name then, so it has priority 0, no labels and asks for nothing.
    ///
    /// Source: kubernetes v1.36.3 pkg/scheduler/backend/queue/scheduling_queue.go
    /// `nominatedPodToInfo`.
    fn stub(&mut self, object: &Value) -> Result<Arc<PodInfo>, String> {
        let whole = self.info(object)?;
        let spec = PodSpec {
            priority: 0,
            requests: Default::default(),
            nonzero_requests: Default::default(),
            scored_requests: Default::default(),
            host_ports: Vec::new(),
            pod_affinity: Default::default(),
            spread: Vec::new(),
            volumes: Vec::new(),
            ..(*whole.spec).clone()
        };
        Ok(Arc::new(PodInfo::plain(whole.namespace, Labels::default(), Arc::new(spec))))
    }

    fn info_of(&mut self, object: &Value, spec: PodSpec) -> Arc<PodInfo> {
        let metadata = &object["metadata"];
        let is_of_its_own =
            list(&object["spec"], "volumes").iter().any(|v| v["ephemeral"].is_object());
        let identity = PodIdentity {
            name: self.symbol(&metadata["name"]),
            uid: self.symbol(&metadata["uid"]),
        };
        let namespace = object_name(object, &mut self.names).namespace;
        let labels = self.labels(&metadata["labels"]);
        let info = PodInfo::plain(namespace, labels, Arc::new(spec));
        Arc::new(PodInfo {
            owner: self.owner(metadata),
            identity: is_of_its_own.then_some(identity),
            ..info
        })
    }

    fn labels(&mut self, labels: &Value) -> Labels {
        let pairs = labels.as_object().into_iter().flatten();
        let pairs = pairs.map(|(key, value)| (self.names.intern(key), self.symbol(value)));
        Labels::new(pairs.collect::<Vec<_>>())
    }

    fn symbol(&mut self, value: &Value) -> Symbol {
        self.names.intern(value.as_str().unwrap_or_default())
    }

    fn owner(&mut self, metadata: &Value) -> Option<Owner> {
        let owners = list(metadata, "ownerReferences");
        let owner = owners.iter().find(|owner| owner["controller"] == true)?;
        let kind = match text(owner, "kind")? {
            "ReplicationController" => OwnerKind::ReplicationController,
            "ReplicaSet" => OwnerKind::ReplicaSet,
            "StatefulSet" => OwnerKind::StatefulSet,
            _ => return None,
        };
        Some(Owner { kind, name: self.symbol(&owner["name"]) })
    }

    /// All objects of a cluster but nodes and pods.
    pub(crate) fn catalog(&mut self, cluster: &Value) -> Catalog {
        let mut catalog =
            Catalog { storage: StorageCatalog::from(self.storage(cluster)), ..Catalog::default() };
        for object in list(cluster, "services") {
            let service = lower_service(object, &mut self.names);
            if let Some(selector) = service.selector {
                catalog.services.insert(service.name, selector);
            }
        }
        let owners = [
            ("replicationControllers", OwnerKind::ReplicationController),
            ("replicaSets", OwnerKind::ReplicaSet),
            ("statefulSets", OwnerKind::StatefulSet),
        ];
        for (key, kind) in owners {
            for object in list(cluster, key) {
                let name = object_name(object, &mut self.names);
                if let Some(selector) = lower_owner_selector(object, &mut self.names) {
                    let owner = Owner { kind, name: name.name };
                    catalog.owners.insert((name.namespace, owner), selector);
                }
            }
        }
        for object in list(cluster, "namespaces") {
            let namespace = lower_namespace(object, &mut self.names);
            catalog.namespaces.insert(namespace.name, namespace.labels);
        }
        let budgets = list(cluster, "podDisruptionBudgets").iter();
        catalog.budgets = budgets.map(|object| lower_budget(object, &mut self.names)).collect();
        catalog
    }

    fn storage(&mut self, cluster: &Value) -> Storage {
        let names = &mut self.names;
        fn all<T>(
            cluster: &Value,
            key: &str,
            names: &mut Interner,
            lower: impl Fn(&Value, &mut Interner) -> T,
        ) -> Vec<T> {
            list(cluster, key).iter().map(|object| lower(object, names)).collect()
        }
        Storage {
            claims: all(cluster, "persistentVolumeClaims", names, lower_claim),
            volumes: all(cluster, "persistentVolumes", names, lower_volume),
            classes: all(cluster, "storageClasses", names, lower_class),
            csi_nodes: all(cluster, "csiNodes", names, lower_csi_node),
            csi_drivers: all(cluster, "csiDrivers", names, lower_csi_driver),
            capacities: all(cluster, "csiStorageCapacities", names, lower_capacity),
            attachments: all(cluster, "volumeAttachments", names, lower_attachment),
        }
    }
}

/// Reads a case: `config`, `cluster`, `startIndex` and the pod to schedule.
pub(crate) fn read(case: &Value) -> Result<Case, String> {
    let mut objects = Objects::new();
    let settings = settings(&case["config"], &mut objects.names);
    let cluster = &case["cluster"];
    let mut placer = Placer::new(&settings);
    *placer.catalog_mut() = objects.catalog(cluster);
    let nodes: BTreeMap<String, NodeId> = add_nodes(&mut placer, cluster, &mut objects);
    let mut pods = BTreeMap::new();
    let mut ids = (0..).map(|id| PodRef { id: PodId::from_index(id), life: 0 });
    let mut known = |object: &Value| {
        let pod = ids.next().expect("enough numbers");
        pods.insert(pod, full_name(object));
        pod
    };
    for object in list(cluster, "pods") {
        let placed = objects.placed(known(object), object)?;
        let node = text(&object["spec"], "nodeName").and_then(|name| nodes.get(name));
        placer.place(*node.ok_or("a bound pod without node")?, placed, &objects.names);
    }
    let pod = &case["pod"];
    let asked = known(pod);
    let nominated = list(cluster, "nominatedPods");
    let popped = popped_before(pod, nominated);
    let mut stubs = Vec::new();
    let others = nominated.iter().zip(popped).map(|(o, gone)| (None, o, gone));
    for (at, object, gone) in others.chain([(Some(asked), pod, false)]) {
        let node = text(&object["status"], "nominatedNodeName").and_then(|name| nodes.get(name));
        let info = if gone { objects.stub(object)? } else { objects.info(object)? };
        let at = at.unwrap_or_else(|| known(object));
        if gone {
            stubs.push(at);
        }
        if let Some(node) = node {
            placer.nominator_mut().add(at, info, *node);
        }
    }
    let info = objects.info(pod)?;
    let names = objects.names;
    let class = placer.class(&info, &names);
    let start = int(case, "startIndex").unwrap_or(0);
    placer.set_start(usize::try_from(start).map_err(|e| e.to_string())?);
    let scheduler = text(&pod["spec"], "schedulerName").unwrap_or("default-scheduler");
    let profile = placer.profile_named(scheduler).ok_or("no profile for the pod")?;
    Ok(Case { names, placer, pods, stubs, asked, class, profile })
}

/// Which of the nominated pods the recorder took out of the queue before it got the pod to schedule:
/// all came in at one instant, so priority and the order of a binary heap decide (rule S131).
fn popped_before(pod: &Value, nominated: &[Value]) -> Vec<bool> {
    let priority = |of: &Value| of["spec"]["priority"].as_i64().unwrap_or(0);
    let mut heap: Vec<(i64, usize)> = Vec::new();
    for (number, object) in nominated.iter().chain([pod]).enumerate() {
        heap.push((priority(object), number));
        let mut at = heap.len() - 1;
        while at > 0 && heap[at].0 > heap[(at - 1) / 2].0 {
            heap.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
    }
    let mut popped = vec![false; nominated.len()];
    while heap[0].1 != nominated.len() {
        popped[heap.swap_remove(0).1] = true;
        let mut at = 0;
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let Some(of_left) = heap.get(left) else { break };
            let is_right = heap.get(right).is_some_and(|of_right| of_right.0 > of_left.0);
            let child = if is_right { right } else { left };
            if heap[child].0 <= heap[at].0 {
                break;
            }
            heap.swap(at, child);
            at = child;
        }
    }
    popped
}

fn add_nodes(
    placer: &mut Placer,
    cluster: &Value,
    objects: &mut Objects,
) -> BTreeMap<String, NodeId> {
    let nodes = (0..).map(NodeId::new).zip(list(cluster, "nodes"));
    let mut by_name = BTreeMap::new();
    let mut specs = Vec::new();
    for (id, object) in nodes {
        specs.push((id, lower_node(object, &mut objects.names)));
        by_name.insert(text(&object["metadata"], "name").unwrap_or_default().to_owned(), id);
    }
    placer.add_nodes(specs, &objects.names);
    by_name
}

/// `NAMESPACE/NAME`.
pub(crate) fn full_name(object: &Value) -> String {
    let field = |key| text(&object["metadata"], key).unwrap_or_default();
    format!("{}/{}", field("namespace"), field("name"))
}

/// A list of a recording, or none.
pub(crate) fn list<'a>(of: &'a Value, key: &str) -> &'a [Value] {
    of[key].as_array().map_or(&[], Vec::as_slice)
}

/// An instant of the recordings, counted from the beginning of 1999 (recordings begin with 2000).
pub(crate) fn instant(text: &str) -> SimTime {
    const DAY: i64 = 86_400;
    let number = |at: std::ops::Range<usize>| text[at].parse::<i64>().expect("a time");
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    // Days since 1970, after Hinnant's `days_from_civil`.
    let shifted = if month <= 2 { year - 1 } else { year };
    let in_era = shifted.rem_euclid(400);
    let in_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = shifted.div_euclid(400) * 146_097 + in_era * 365 + in_era / 4 - in_era / 100
        + in_year
        - 719_468;
    let seconds = days * DAY + number(11..13) * 3_600 + number(14..16) * 60 + number(17..19);
    let beginning = (10_957 - 366) * DAY;
    let seconds = u64::try_from(seconds - beginning).expect("not before 1999");
    SimTime::ZERO + Duration::secs(seconds)
}
