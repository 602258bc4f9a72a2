//! Drives the scheduler's core through a recorded timeline in virtual time, and notes what it does.
//!
//! It stands for all that the recordings stood for: an API server that answers at once, watches
//! without delay, a kubelet that lets pods vanish.

mod turns;

use std::collections::BTreeMap;

use seatrial::api::{
    lower_attachment, lower_capacity, lower_claim, lower_class, lower_csi_driver, lower_csi_node,
    lower_namespace, lower_node, lower_service, lower_volume,
};
use seatrial::base::{Duration, Id, SimTime};
use seatrial::model::{Latencies, NodeId, PodId, PodRef};
use seatrial::placement::PluginSet;
use seatrial::placement::plugins::volumes::hints::StorageChange;
use seatrial::scheduler::{Core, Place, PodFacts, VolumeBinder};
use seatrial::sim::Streams;
use serde_json::{Value, json};

use super::corpus::{int, text};
use super::scheduler_case::{Objects, full_name, instant, list, settings};

/// Time 0 of the timelines.
const BEGINNING: &str = "2000-01-01T00:00:10Z";
/// From the end of a pod's grace to its end, after `terminate`.
const KUBELET: Duration = Duration::ms(137);
/// What each further eviction takes longer.
const EVICTION: Duration = Duration::us(1009);
/// How long after an event the queue is looked at.
const LOOK: Duration = Duration::us(1);
/// What a failed attempt took of virtual time when this was recorded: one microsecond for ten of
/// them, whatever they failed for.
const FAILURE: Duration = Duration::ns(100);
/// What a binding says that is made to fail.
const REFUSED: &str = "running Bind plugin \"DefaultBinder\": binding refused";
const STEPS_MAX: usize = 200_000;

/// What happens by itself.
enum Due {
    Event(usize),
    Vanish(PodRef),
}

struct Pod {
    at: PodRef,
    object: Value,
    is_new: bool,
}

/// What was done, in the form of the recordings' `outcome`.
#[derive(Default)]
pub(crate) struct Done {
    pub(crate) attempts: Vec<Value>,
    pub(crate) evictions: Vec<Value>,
    pub(crate) queue_after: Vec<(usize, Value)>,
    pub(crate) placements: BTreeMap<String, String>,
    pub(crate) pending: Value,
    pub(crate) node_order: Vec<String>,
}

/// A case under way.
pub(crate) struct Driver<'a> {
    case: &'a Value,
    objects: Objects,
    core: Core,
    zero: SimTime,
    now: SimTime,
    node_ids: BTreeMap<String, NodeId>,
    nodes: BTreeMap<String, Value>,
    pods: BTreeMap<String, Pod>,
    pod_names: Vec<String>,
    others: BTreeMap<(String, String), Value>,
    agenda: BTreeMap<(SimTime, usize), Due>,
    /// When the loop goes to the queue next.
    turn: SimTime,
    look: Option<(usize, SimTime)>,
    refusals: BTreeMap<String, i64>,
    bindings: u64,
    done: Done,
}

/// Runs a case to its horizon.
pub(crate) fn run(case: &Value) -> Result<Done, String> {
    let mut driver = Driver::new(case)?;
    driver.run()?;
    driver.done.pending = driver.places();
    let new = driver.pods.iter().filter(|(_, pod)| pod.is_new);
    let node = |pod: &Pod| text(&pod.object["spec"], "nodeName").unwrap_or_default().to_owned();
    driver.done.placements = new.map(|(name, pod)| (name.clone(), node(pod))).collect();
    Ok(driver.done)
}

impl<'a> Driver<'a> {
    fn new(case: &'a Value) -> Result<Self, String> {
        let mut objects = Objects::new();
        let mut settings = settings(&case["config"], &mut objects.names);
        settings.percentage_of_nodes_to_score = 0;
        let stream = Streams { seed: 1, replication: 0 }.open("volumes", "");
        let mut core = Core::new(&settings, VolumeBinder::new(&Latencies::ideal(), stream));
        *core.placer_mut().catalog_mut() = objects.catalog(&case["cluster"]);
        let zero = instant(BEGINNING);
        let at = |key| zero + micros(int(case, key).unwrap_or(0));
        core.begin(at("queueRunAtUs"));
        let refusals = case["bindFailures"].as_object().into_iter().flatten();
        let refusals = refusals.filter_map(|(pod, n)| Some((pod.clone(), n.as_i64()?))).collect();
        let mut driver = Self {
            case,
            objects,
            core,
            zero,
            now: zero,
            node_ids: BTreeMap::new(),
            nodes: BTreeMap::new(),
            pods: BTreeMap::new(),
            pod_names: Vec::new(),
            others: BTreeMap::new(),
            agenda: BTreeMap::new(),
            turn: at("loopStartUs") + micros(int(case, "cycleDelayUs").unwrap_or(0)),
            look: None,
            refusals,
            bindings: 0,
            done: Done::default(),
        };
        driver.fill()?;
        Ok(driver)
    }

    fn fill(&mut self) -> Result<(), String> {
        let cluster = &self.case["cluster"];
        let kinds = [
            ("persistentVolumes", "PersistentVolume"),
            ("persistentVolumeClaims", "PersistentVolumeClaim"),
            ("storageClasses", "StorageClass"),
            ("csiNodes", "CSINode"),
            ("csiDrivers", "CSIDriver"),
            ("csiStorageCapacities", "CSIStorageCapacity"),
            ("volumeAttachments", "VolumeAttachment"),
            ("services", "Service"),
            ("namespaces", "Namespace"),
        ];
        for (key, kind) in kinds {
            for object in list(cluster, key) {
                self.others.insert((kind.to_owned(), full_name(object)), object.clone());
            }
        }
        for object in list(cluster, "nodes") {
            self.set_node(object.clone());
        }
        for object in list(cluster, "pods").iter().chain(list(cluster, "nominatedPods")) {
            self.create_pod(object.clone(), false)?;
        }
        for (number, event) in list(self.case, "events").iter().enumerate() {
            let at = self.zero + micros(int(event, "atUs").ok_or("an event without time")?);
            self.agenda.insert((at, number), Due::Event(number));
        }
        Ok(())
    }

    /// The next instant at which anything happens, and lets it happen, until the horizon.
    fn run(&mut self) -> Result<(), String> {
        let horizon = self.zero + micros(int(self.case, "horizonUs").ok_or("no horizon")?);
        for _ in 0..STEPS_MAX {
            let due = self.agenda.keys().next().map(|(at, _)| *at);
            let queue = self.core.queue();
            let backoff = queue.next_flush().map(|at| at.max(self.now));
            let long = queue.next_unschedulable_flush().map(|at| at.max(self.now));
            let turn = queue.may_pop().then(|| self.turn.max(self.now));
            let Some(next) = [due, backoff, long, turn].into_iter().flatten().min() else { break };
            if let Some((event, _)) = self.look.filter(|(_, at)| next > *at + LOOK) {
                let places = self.places();
                self.done.queue_after.push((event, places));
                self.look = None;
            }
            if next > horizon {
                break;
            }
            self.now = next;
            if due == Some(next) {
                let (_, due) = self.agenda.pop_first().ok_or("it was there")?;
                self.happen(&due)?;
            } else if backoff == Some(next) {
                self.core.flush_backoff(next);
            } else if long == Some(next) {
                self.core.flush_unschedulable(next);
            } else {
                self.turn_once()?;
            }
        }
        if let Some((event, _)) = self.look.take() {
            let places = self.places();
            self.done.queue_after.push((event, places));
        }
        Ok(())
    }

    fn happen(&mut self, due: &Due) -> Result<(), String> {
        match *due {
            Due::Vanish(pod) => {
                let name = self.pod_names[pod.id.index()].clone();
                if self.pods.get(&name).is_some_and(|known| known.at == pod) {
                    self.vanish(&name);
                }
                Ok(())
            }
            Due::Event(number) => {
                self.look = Some((number, self.now));
                self.event(&list(self.case, "events")[number])
            }
        }
    }

    fn event(&mut self, event: &Value) -> Result<(), String> {
        let (kind, op) = (text(event, "kind").unwrap_or(""), text(event, "op").unwrap_or(""));
        let name = text(event, "name").unwrap_or("").to_owned();
        let full = format!("{}/{name}", text(event, "namespace").unwrap_or(""));
        match (kind, op) {
            ("Node", "create") => self.set_node(event["object"].clone()),
            ("Node", "patch") => {
                if let Some(node) = self.nodes.get(&name) {
                    let mut object = node.clone();
                    merge(&mut object, &event["patch"]);
                    self.set_node(object);
                }
            }
            ("Node", "delete") => {
                if self.nodes.remove(&name).is_some() {
                    let id = self.node_id(&name);
                    self.core.delete_node(id, &self.objects.names, self.now);
                }
            }
            ("Pod", "create") => {
                if !self.pods.contains_key(&full) {
                    self.create_pod(event["object"].clone(), true)?;
                }
            }
            ("Pod", "patch") => self.change_pod(&full, |object| merge(object, &event["patch"]))?,
            ("Pod", "delete") => self.vanish(&full),
            ("Pod", "terminate") => {
                let grace = Duration::secs(int(event, "graceSeconds").unwrap_or(0).unsigned_abs());
                self.terminate(&full, grace)?;
            }
            (_, "delete") => self.remove_other(kind, &full),
            _ => self.set_other(kind, &full, event)?,
        }
        Ok(())
    }

    fn node_id(&mut self, name: &str) -> NodeId {
        let next = NodeId::from_index(self.node_ids.len());
        *self.node_ids.entry(name.to_owned()).or_insert(next)
    }

    fn set_node(&mut self, object: Value) {
        let name = text(&object["metadata"], "name").unwrap_or_default().to_owned();
        let id = self.node_id(&name);
        let spec = lower_node(&object, &mut self.objects.names);
        self.nodes.insert(name, object);
        self.core.update_node(id, &spec, &self.objects.names, self.now);
    }

    fn create_pod(&mut self, object: Value, is_new: bool) -> Result<(), String> {
        let name = full_name(&object);
        let at = PodRef { id: PodId::from_index(self.pod_names.len()), life: 0 };
        self.pod_names.push(name.clone());
        let facts = self.facts(at, &object)?;
        self.pods.insert(name, Pod { at, object, is_new });
        self.core.add_pod(at, facts, &self.objects.names, self.now);
        Ok(())
    }

    fn facts(&mut self, at: PodRef, object: &Value) -> Result<PodFacts, String> {
        let placed = self.objects.placed(at, object)?;
        let node = text(&object["spec"], "nodeName").map(|name| self.node_id(name));
        let info = if node.is_some() { placed.info } else { self.objects.info(object)? };
        let nominated = text(&object["status"], "nominatedNodeName").filter(|n| !n.is_empty());
        let nominated = nominated.map(|name| self.node_id(name));
        let class = self.core.placer_mut().class(&info, &self.objects.names);
        Ok(PodFacts {
            node,
            nominated,
            start: placed.start,
            is_terminating: placed.is_terminating,
            is_preempted: placed.is_preempted,
            name: placed.name,
            ..PodFacts::new(class, info)
        })
    }

    fn change_pod(&mut self, name: &str, change: impl FnOnce(&mut Value)) -> Result<(), String> {
        let Some(pod) = self.pods.get_mut(name) else { return Ok(()) };
        let before = pod.object.clone();
        change(&mut pod.object);
        let (at, object) = (pod.at, pod.object.clone());
        if before != object {
            let facts = self.facts(at, &object)?;
            self.core.update_pod(at, facts, &self.objects.names, self.now);
        }
        Ok(())
    }

    fn vanish(&mut self, name: &str) {
        if let Some(pod) = self.pods.remove(name) {
            self.core.delete_pod(pod.at, &self.objects.names, self.now);
        }
    }

    fn terminate(&mut self, name: &str, grace: Duration) -> Result<(), String> {
        let Some(pod) = self.pods.get(name) else { return Ok(()) };
        if text(&pod.object["spec"], "nodeName").is_none() {
            self.vanish(name);
            return Ok(());
        }
        let (at, when) = (pod.at, self.now + grace + KUBELET);
        self.later(when, Due::Vanish(at));
        self.change_pod(name, end)
    }

    fn later(&mut self, at: SimTime, due: Due) {
        // After all events of the case; those of one instant in the order in which they were set.
        let last = self.agenda.keys().map(|(_, number)| *number).max().unwrap_or(0);
        self.agenda.insert((at, last + 1), due);
    }

    /// Storage objects and the like that go; only the end of an attachment is listened to.
    fn remove_other(&mut self, kind: &str, full: &str) {
        let Some(gone) = self.others.remove(&(kind.to_owned(), full.to_owned())) else { return };
        let Self { objects, core, now, .. } = self;
        let names = &mut objects.names;
        let catalog = core.placer_mut().catalog_mut();
        let storage = &mut catalog.storage;
        match kind {
            "PersistentVolumeClaim" => {
                storage.remove_claim(lower_claim(&gone, names).name);
            }
            "PersistentVolume" => {
                storage.remove_volume(lower_volume(&gone, names).name);
            }
            "StorageClass" => {
                storage.remove_class(lower_class(&gone, names).name);
            }
            "Service" => {
                catalog.services.remove(&lower_service(&gone, names).name);
            }
            "VolumeAttachment" => {
                let gone = lower_attachment(&gone, names);
                storage.remove_attachment(gone.node, gone.name);
                core.storage_changed(StorageChange::AttachmentDeleted(&gone), names, *now);
            }
            _ => {}
        }
    }

    fn set_other(&mut self, kind: &str, full: &str, event: &Value) -> Result<(), String> {
        let key = (kind.to_owned(), full.to_owned());
        let old = self.others.get(&key).cloned();
        let mut object = old.clone().unwrap_or_default();
        match text(event, "op") {
            Some("create") if old.is_none() => object = event["object"].clone(),
            Some("patch") if old.is_some() => merge(&mut object, &event["patch"]),
            _ => return Ok(()),
        }
        self.others.insert(key, object.clone());
        let Self { objects, core, now, .. } = self;
        let names = &mut objects.names;
        let catalog = core.placer_mut().catalog_mut();
        let storage = &mut catalog.storage;
        match (kind, old) {
            ("PersistentVolumeClaim", old) => {
                let claim = lower_claim(&object, names);
                storage.set_claim(claim.clone());
                let change = match old {
                    None => StorageChange::ClaimAdded(&claim),
                    Some(_) => StorageChange::ClaimUpdated(&claim),
                };
                core.storage_changed(change, names, *now);
            }
            ("PersistentVolume", old) => {
                let volume = lower_volume(&object, names);
                storage.set_volume(volume.clone());
                match old.map(|old| lower_volume(&old, names)) {
                    None => core.storage_changed(StorageChange::VolumeAdded, names, *now),
                    Some(old) => {
                        let change = StorageChange::VolumeUpdated(&old, &volume);
                        core.storage_changed(change, names, *now);
                    }
                }
            }
            ("StorageClass", old) => {
                let class = lower_class(&object, names);
                storage.set_class(class.clone());
                match old.map(|old| lower_class(&old, names)) {
                    None => core.storage_changed(StorageChange::ClassAdded(&class), names, *now),
                    Some(old) => {
                        let change = StorageChange::ClassUpdated(&old, &class);
                        core.storage_changed(change, names, *now);
                    }
                }
            }
            ("CSINode", old) => {
                let node = lower_csi_node(&object, names);
                storage.set_csi_node(node.clone());
                match old.map(|old| lower_csi_node(&old, names)) {
                    None => core.storage_changed(StorageChange::CsiNodeAdded, names, *now),
                    Some(old) => {
                        let change = StorageChange::CsiNodeUpdated(&old, &node);
                        core.storage_changed(change, names, *now);
                    }
                }
            }
            ("CSIDriver", old) => {
                let driver = lower_csi_driver(&object, names);
                storage.set_driver(driver.clone());
                if let Some(old) = old.map(|old| lower_csi_driver(&old, names)) {
                    let change = StorageChange::DriverUpdated(&old, &driver);
                    core.storage_changed(change, names, *now);
                }
            }
            ("CSIStorageCapacity", old) => {
                let capacity = lower_capacity(&object, names);
                storage.set_capacity(capacity.clone());
                match old.map(|old| lower_capacity(&old, names)) {
                    None => core.storage_changed(StorageChange::CapacityAdded, names, *now),
                    Some(old) => {
                        let change = StorageChange::CapacityUpdated(&old, &capacity);
                        core.storage_changed(change, names, *now);
                    }
                }
            }
            ("VolumeAttachment", _) => storage.set_attachment(lower_attachment(&object, names)),
            ("Service", _) => {
                let service = lower_service(&object, names);
                catalog.services.remove(&service.name);
                if let Some(selector) = service.selector {
                    catalog.services.insert(service.name, selector);
                }
            }
            ("Namespace", _) => {
                let namespace = lower_namespace(&object, names);
                catalog.namespaces.insert(namespace.name, namespace.labels);
            }
            _ => return Err(format!("{kind} {full}: not known to the driver")),
        }
        Ok(())
    }
}

/// What is told of the state.
impl Driver<'_> {
    fn since_zero(&self, at: SimTime) -> u64 {
        (at - self.zero).as_nanos() / 1000
    }

    fn node_name(&self, node: NodeId) -> String {
        let mut all = self.node_ids.iter();
        all.find(|(_, id)| **id == node).map(|(name, _)| name.clone()).unwrap_or_default()
    }

    fn node_order(&self) -> Vec<String> {
        self.core.placer().nodes().order().iter().map(|node| self.node_name(*node)).collect()
    }

    /// The contents of the queue.
    fn places(&self) -> Value {
        let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for waiting in self.core.queue().iter() {
            let place = match waiting.place {
                Place::Active => "active",
                Place::Backoff | Place::ErrorBackoff => "backoff",
                Place::Unschedulable => "unschedulable",
                Place::Gated => "gated",
                Place::InFlight | Place::Aside => continue,
            };
            places.entry(place).or_default().push(&self.pod_names[waiting.pod.id.index()]);
        }
        places.values_mut().for_each(|pods| pods.sort_unstable());
        json!(places)
    }
}

fn micros(number: i64) -> Duration {
    Duration::us(number.unsigned_abs())
}

fn end(object: &mut Value) {
    object["metadata"]["deletionTimestamp"] = json!(BEGINNING);
}

pub(crate) fn sorted(plugins: PluginSet) -> Vec<&'static str> {
    let mut names: Vec<_> = plugins.iter().map(|plugin| plugin.as_str()).collect();
    names.sort_unstable();
    names
}

/// A JSON merge patch (RFC 7386).
fn merge(object: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    let Some(into) = object.as_object_mut() else { return };
    for (key, value) in fields {
        if value.is_null() {
            into.remove(key);
        } else {
            merge(into.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}
