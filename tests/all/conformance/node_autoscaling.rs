//! Cluster Autoscaler, iteration by iteration: what the recordings' README lists is compared.

use std::collections::{BTreeMap, BTreeSet};

use seatrial::api::{lower_budget, lower_node};
use seatrial::autoscalers::cluster_autoscaler::{
    BudgetView, Cloud, ClusterAutoscaler, Controller, ControllerKind, DaemonSetView, Deletion,
    Group, Instance, Iteration, NodeView, Options, PodTraits, PodView, SafeToEvict,
    ScaleDownResult, ScaleUpResult, View,
};
use seatrial::base::go_time::parse_go_duration;
use seatrial::base::{Duration, Id, Interner, SimTime, Symbol};
use seatrial::model::{NodeId, PodId, PodRef, Profile};
use seatrial::placement::Catalog;
use seatrial::record::PodName;
use serde_json::{Map, Value, json};

use crate::support::corpus::Verdict;
use crate::support::corpus::{int, judge_share, text};
use crate::support::scheduler_case::{Objects, instant, list};

/// 2000-01-01T00:00:00Z, as [`instant`] counts.
pub(super) const START: Duration = Duration::hours(366 * 24);

/// A cloud that does what it is told at once.
struct Fake {
    groups: Vec<Group>,
}

impl Cloud for Fake {
    fn groups(&self) -> &[Group] {
        &self.groups
    }

    fn instances(&self, _: usize) -> Vec<Instance> {
        Vec::new()
    }

    fn has_instance(&self, _: Symbol, _: Option<usize>) -> bool {
        true
    }

    fn increase(&mut self, group: usize, by: u32) -> Result<(), String> {
        self.groups[group].target += by;
        Ok(())
    }

    fn delete(&mut self, group: usize, nodes: &[Symbol]) -> Result<(), String> {
        self.groups[group].target -= u32::try_from(nodes.len()).map_err(|e| e.to_string())?;
        Ok(())
    }

    fn decrease_target(&mut self, group: usize, by: u32) -> Result<(), String> {
        self.groups[group].target -= by;
        Ok(())
    }
}

/// Reads a case.
pub(super) struct Reader<'a> {
    pub(super) case: &'a Value,
    pub(super) objects: Objects,
    pub(super) uids: BTreeMap<String, u64>,
}

pub(super) fn natural(name: &str) -> Vec<(u64, String)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let (number, after) = after.split_at(end);
        parts.push((0, word.to_owned()));
        parts.push((number.parse().unwrap_or(0), String::new()));
        rest = after;
    }
    parts
}

pub(super) fn name_of(object: &Value) -> &str {
    text(&object["metadata"], "name").unwrap_or_default()
}

pub(super) fn by_name(objects: &[Value]) -> Vec<&Value> {
    let mut all: Vec<&Value> = objects.iter().collect();
    all.sort_by_key(|object| natural(name_of(object)));
    all
}

pub(super) fn groups_of(case: &Value) -> Vec<&Value> {
    let mut all: Vec<&Value> = list(case, "groups").iter().collect();
    all.sort_by_key(|group| natural(text(group, "id").unwrap_or_default()));
    all
}

pub(super) fn created(object: &Value) -> SimTime {
    text(&object["metadata"], "creationTimestamp").map_or(SimTime::ZERO, instant)
}

impl Reader<'_> {
    pub(super) fn uid(&mut self, text: &str) -> u64 {
        let next = u64::try_from(self.uids.len()).expect("few");
        *self.uids.entry(text.to_owned()).or_insert(next)
    }

    pub(super) fn groups(&mut self) -> Vec<Group> {
        let size = |group: &Value, key| u32::try_from(int(group, key).unwrap_or(0)).expect("small");
        let names = &mut self.objects.names;
        let one = |group: &Value| Group {
            id: text(group, "id").unwrap_or_default().to_owned(),
            min: size(group, "min"),
            max: size(group, "max"),
            target: size(group, "target"),
            template: lower_node(&group["template"], names),
            capacity: capacity(&group["template"], names),
            price_per_hour: group["pricePerHour"].as_f64().unwrap_or(0.0),
        };
        groups_of(self.case).into_iter().map(one).collect()
    }

    pub(super) fn node(&mut self, (at, object): (usize, &Value)) -> NodeView {
        let conditions = list(&object["status"], "conditions");
        let ready = conditions.iter().find(|c| c["type"] == "Ready");
        let provider = text(&object["spec"], "providerID").unwrap_or_default();
        let group = provider.split('/').nth(3);
        let groups = groups_of(self.case);
        let kept = &object["metadata"]["annotations"];
        NodeView {
            node: NodeId::from_index(at),
            spec: lower_node(object, &mut self.objects.names),
            capacity: capacity(object, &mut self.objects.names),
            group: groups.iter().position(|g| text(g, "id") == group),
            is_ready: ready.is_some_and(|c| c["status"] == "True"),
            ready_changed: ready
                .and_then(|c| text(c, "lastTransitionTime"))
                .map_or(SimTime::ZERO, instant),
            created: created(object),
            is_kept: kept["cluster-autoscaler.kubernetes.io/scale-down-disabled"] == "true",
            deleting_since: None,
        }
    }

    pub(super) fn controller(&mut self, object: &Value) -> Option<Controller> {
        let refs = list(&object["metadata"], "ownerReferences");
        let owner = refs.iter().find(|owner| owner["controller"] == true)?;
        let kind = match text(owner, "kind")? {
            "ReplicationController" => ControllerKind::ReplicationController,
            "ReplicaSet" => ControllerKind::ReplicaSet,
            "StatefulSet" => ControllerKind::StatefulSet,
            "Job" => ControllerKind::Job,
            "DaemonSet" => ControllerKind::DaemonSet,
            _ => ControllerKind::Other,
        };
        let is_it = |o: &&Value| {
            o["kind"] == owner["kind"]
                && o["name"] == owner["name"]
                && o["namespace"] == object["metadata"]["namespace"]
        };
        let known = list(self.case, "owners").iter().find(is_it);
        let is_set = |o: &Value| o["metadata"]["name"] == owner["name"];
        let is_daemon =
            kind == ControllerKind::DaemonSet && list(self.case, "daemonSets").iter().any(is_set);
        let replicas = known.and_then(|owner| int(owner, "replicas"));
        let uid = self.uid(text(owner, "uid")?);
        Some(Controller { kind, uid, exists: known.is_some() || is_daemon, replicas })
    }

    pub(super) fn pod(
        &mut self,
        (at, object): (usize, &Value),
        nodes: &BTreeMap<String, NodeId>,
        bound: &BTreeMap<String, String>,
    ) -> PodView {
        let name = name_of(object);
        let node = text(&object["spec"], "nodeName").map(str::to_owned);
        let node = node.or_else(|| bound.get(name).cloned());
        let annotations = &object["metadata"]["annotations"];
        let nominated = text(&object["status"], "nominatedNodeName");
        let mut free = object.clone();
        free["spec"].as_object_mut().expect("a spec").remove("nodeName");
        let info = self.objects.info(&free).expect("a pod");
        PodView {
            pod: PodRef { id: PodId::from_index(at), life: 0 },
            name: PodName::Fixed(self.objects.names.intern(name)),
            info,
            shape: self.uid(&free["spec"].to_string()),
            node: node.and_then(|name| nodes.get(&name).copied()),
            nominated: nominated.and_then(|name| nodes.get(name).copied()),
            is_unschedulable: !annotations["test/unjudged"].is_string(),
            created: created(object),
            controller: self.controller(object),
            traits: traits(object),
        }
    }

    pub(super) fn daemon_set(&mut self, object: &Value) -> DaemonSetView {
        let mut pod = object["spec"]["template"].clone();
        pod["metadata"]["namespace"] = object["metadata"]["namespace"].clone();
        let keys = [
            "not-ready",
            "unreachable",
            "disk-pressure",
            "memory-pressure",
            "pid-pressure",
            "unschedulable",
        ];
        let mut tolerations = list(&pod["spec"], "tolerations").to_vec();
        tolerations.extend(keys.iter().map(|key| {
            let key = format!("node.kubernetes.io/{key}");
            json!({"key": key, "operator": "Exists"})
        }));
        pod["spec"]["tolerations"] = Value::from(tolerations);
        DaemonSetView {
            uid: self.uid(text(&object["metadata"], "uid").unwrap_or_default()),
            info: self.objects.info(&pod).expect("a pod"),
            is_critical: pod["spec"]["priorityClassName"] == "system-node-critical",
        }
    }
}

pub(super) fn capacity(object: &Value, names: &mut Interner) -> seatrial::model::Resources {
    lower_node(
        &json!({"metadata": {}, "spec": {}, "status": {
            "capacity": object["status"]["capacity"]
        }}),
        names,
    )
    .allocatable
}

pub(super) fn traits(object: &Value) -> PodTraits {
    let (metadata, spec) = (&object["metadata"], &object["spec"]);
    let annotation = |key: &str| text(&metadata["annotations"], key);
    let prefix = "cluster-autoscaler.kubernetes.io";
    let let_go = annotation(&format!("{prefix}/safe-to-evict-local-volumes")).unwrap_or_default();
    let is_local = |volume: &Value| {
        let is_disk = volume["emptyDir"].is_object() && volume["emptyDir"]["medium"] != "Memory";
        let is_kept = !let_go.split(',').any(|name| volume["name"] == name);
        (volume["hostPath"].is_object() || is_disk) && is_kept
    };
    let grace = int(spec, "terminationGracePeriodSeconds").unwrap_or(30);
    PodTraits {
        is_mirror: annotation("kubernetes.io/config.mirror").is_some(),
        is_static: annotation("kubernetes.io/config.source").is_some_and(|s| s == "file"),
        deletion: text(metadata, "deletionTimestamp").map(instant),
        grace: Duration::secs(u64::try_from(grace).unwrap_or(0)),
        safe_to_evict: match annotation(&format!("{prefix}/safe-to-evict")) {
            Some("true") => SafeToEvict::Yes,
            Some("false") => SafeToEvict::No,
            Some("on-completion") => SafeToEvict::OnCompletion,
            _ => SafeToEvict::Unsaid,
        },
        has_local_storage: list(spec, "volumes").iter().any(is_local),
        scale_up_delay: annotation(&format!("{prefix}/pod-scale-up-delay"))
            .and_then(|t| parse_go_duration(t).ok())
            .and_then(|nanos| u64::try_from(nanos).ok())
            .map(Duration::ns),
        is_system: metadata["namespace"] == "kube-system",
        is_finished: object["status"]["phase"] == "Succeeded"
            || object["status"]["phase"] == "Failed",
    }
}

/// The flags of a case.
pub(super) fn options(case: &Value) -> Result<Options, String> {
    let mut options = Options::default();
    for (flag, value) in case["options"].as_object().into_iter().flatten() {
        options.set(flag, value.as_str().unwrap_or_default())?;
    }
    for (priority, patterns) in case["expanderPriorities"].as_object().into_iter().flatten() {
        let patterns = patterns.as_array().into_iter().flatten();
        let patterns = patterns.filter_map(Value::as_str).map(str::to_owned).collect();
        options.priorities.insert(priority.parse().map_err(|_| "a priority")?, patterns);
    }
    Ok(options)
}

/// One iteration of a case in our words and as recorded.
fn check(case: &Value) -> Result<(), String> {
    let options = options(case)?;
    let mut reader = Reader { case, objects: Objects::new(), uids: BTreeMap::new() };
    let mut cloud = Fake { groups: reader.groups() };
    let nodes = by_name(list(case, "nodes"));
    let ids: BTreeMap<String, NodeId> = nodes
        .iter()
        .enumerate()
        .map(|(at, node)| (name_of(node).to_owned(), NodeId::from_index(at)))
        .collect();
    let mut nodes: Vec<NodeView> =
        nodes.into_iter().enumerate().map(|node| reader.node(node)).collect();
    for node in &mut nodes {
        let mut keys = node.spec.taints.iter().map(|taint| taint.key);
        node.is_ready &=
            !keys.any(|key| options.is_startup_taint(reader.objects.names.resolve(key)));
    }
    let first = int(case, "firstLoop").unwrap_or(0);
    let bound = list(&case["expect"], "events").iter().filter(|event| {
        event["ev"] == "podBound" && event["t"].as_i64().is_some_and(|t| t <= first)
    });
    let bound: BTreeMap<String, String> = bound
        .filter_map(|e| Some((text(e, "name")?.to_owned(), text(e, "node")?.to_owned())))
        .collect();
    let pods = by_name(list(case, "pods"));
    let mut pods: Vec<PodView> =
        pods.into_iter().enumerate().map(|pod| reader.pod(pod, &ids, &bound)).collect();
    // The object says whole seconds; what is cut off makes a pod younger.
    pods.iter_mut().for_each(|pod| pod.created += Duration::ms(1));
    let budgets = list(case, "pdbs").iter().map(|object| {
        let budget = lower_budget(object, &mut reader.objects.names);
        let namespace = budget.name.namespace;
        BudgetView { namespace, selector: budget.selector, allowed: budget.allowed }
    });
    let budgets = budgets.collect();
    let daemon_sets = list(case, "daemonSets").iter().map(|set| reader.daemon_set(set)).collect();
    let (catalog, profile) = (Catalog::default(), Profile::default());
    let now = SimTime::ZERO + START + Duration::secs(u64::try_from(first).unwrap_or(0));
    let mut names = reader.objects.names;
    let view =
        View { now, profile: &profile, catalog: &catalog, nodes, pods, budgets, daemon_sets };
    let mut plain_cloud = Fake { groups: cloud.groups.clone() };
    let mut run = |mut autoscaler: ClusterAutoscaler, cloud: &mut Fake| {
        let iteration = autoscaler.run_once(&view, cloud, &mut names);
        told(&iteration, &autoscaler, (&view, &cloud.groups), (first, &names))
    };
    let ours = run(ClusterAutoscaler::new(options.clone()), &mut cloud);
    if ours != run(ClusterAutoscaler::plain(options), &mut plain_cloud) {
        return Err("what is remembered changes the decision".to_owned());
    }
    agree(&ours, &case["expect"]["loops"][0])
}

/// Whether a record is as recorded; all that either says counts.
pub(super) fn agree(ours: &Map<String, Value>, theirs: &Value) -> Result<(), String> {
    let keys: BTreeSet<&String> =
        ours.keys().chain(theirs.as_object().into_iter().flat_map(Map::keys)).collect();
    let mut differing = Vec::new();
    for key in keys {
        let (ours, theirs) = (ours.get(key).unwrap_or(&Value::Null), &theirs[key]);
        if ours != theirs {
            differing.push(format!("{key}: ours {ours}, not {theirs}"));
        }
    }
    if differing.is_empty() { Ok(()) } else { Err(differing.join("; ")) }
}

/// An iteration as the recordings tell it.
pub(super) fn told(
    iteration: &Iteration,
    autoscaler: &ClusterAutoscaler,
    (view, groups): (&View<'_>, &[Group]),
    (t, names): (i64, &Interner),
) -> Map<String, Value> {
    let mut all = Map::new();
    let up = &iteration.up;
    let pods = |list: &[usize]| -> Value {
        list.iter().map(|pod| view.pods[*pod].name.text(names)).collect()
    };
    let id = |group: usize| groups[group].id.clone();
    let mut put = |key: &str, value: Value| {
        let is_empty = match &value {
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            Value::Null => true,
            _ => false,
        };
        if !is_empty {
            all.insert(key.to_owned(), value);
        }
    };
    put("t", t.into());
    if !iteration.is_healthy {
        put("clusterHealthy", false.into());
    }
    let mut found: Vec<_> = up.estimates.iter().collect();
    found.sort_by_key(|(group, ..)| natural(&id(*group)));
    let on_node = |list: &Vec<usize>| sorted(&pods(list));
    let estimates = found.into_iter().map(|(group, lists, found)| {
        let mut one = json!({
            "group": id(*group),
            "podGroups": lists.iter().map(|list| pods(list)).collect::<Value>(),
            "count": found.nodes,
            "placed": found.pods.len(),
        });
        if !found.by_node.is_empty() {
            one["newNodes"] = found.by_node.iter().map(on_node).collect();
        }
        one
    });
    put("estimates", estimates.collect());
    let mut choices: Vec<_> = up.choices.iter().collect();
    choices.sort_by_key(|choice| natural(&id(choice.group)));
    let options = choices.into_iter().map(|choice| {
        let mut one = json!({
            "group": id(choice.group), "count": choice.nodes, "pods": choice.pods.len()
        });
        if !choice.similar.is_empty() {
            one["similar"] = choice.similar.iter().map(|group| id(*group)).collect();
        }
        one
    });
    put("options", options.collect());
    let rounds = up.rounds.iter().map(|(name, left)| {
        let mut left: Vec<String> = left.iter().map(|at| id(up.choices[*at].group)).collect();
        left.sort_by_key(|name| natural(name));
        std::iter::once((*name).to_owned()).chain(left).collect::<Value>()
    });
    put("expander", rounds.collect());
    put("best", up.best.map_or(Value::Null, |at| id(up.choices[at].group).into()));
    let result = match up.result {
        ScaleUpResult::NotTried => "NotTried",
        ScaleUpResult::NotNeeded => "NotNeeded",
        ScaleUpResult::LimitedByMaxNodesTotal => "LimitedByMaxNodesTotal",
        ScaleUpResult::InCooldown => "InCooldown",
        ScaleUpResult::NoOptionsAvailable => "NoOptionsAvailable",
        ScaleUpResult::Successful => "Successful",
        ScaleUpResult::Error => "Error",
    };
    put("scaleUp", result.into());
    let increases = up.increases.iter().map(
        |grows| json!({"group": id(grows.group), "from": grows.from, "to": grows.to, "max": grows.max}),
    );
    put("scaleUpInfos", increases.collect());
    put("triggered", sorted(&pods(&up.triggered)));
    put("awaiting", sorted(&pods(&up.awaiting)));
    let by_group = |of: &BTreeMap<usize, Vec<String>>| -> Value {
        of.iter().map(|(group, why)| (id(*group), Value::from(why.clone()))).collect()
    };
    let mut remaining: Vec<_> =
        up.remaining.iter().map(|one| (sorted(&pods(&one.pods)), one)).collect();
    remaining.sort_by_key(|(list, _)| natural(list[0].as_str().unwrap_or_default()));
    let remain = remaining.into_iter().map(|(list, remaining)| {
        let mut one = json!({"pods": list});
        for (key, of) in [("rejected", &remaining.rejected), ("skipped", &remaining.skipped)] {
            if !of.is_empty() {
                one[key] = by_group(of);
            }
        }
        one
    });
    put("remain", remain.collect());
    let down = match iteration.down {
        ScaleDownResult::NoCandidates => "NoCandidates",
        ScaleDownResult::InCooldown => "InCooldown",
        ScaleDownResult::NoNodeDeleted => "NoNodeDeleted",
        ScaleDownResult::NotTried => "NotTried",
        ScaleDownResult::NodeDeleteStarted => "NodeDeleteStarted",
    };
    put("scaleDown", down.into());
    put("failedResize", up.failed.iter().map(|group| id(*group)).collect());
    put("scaleUpError", up.error.clone().map_or(Value::Null, Value::from));
    let departures = iteration.departures.iter().map(|of| {
        let mut one = json!({
            "node": names.resolve(of.node), "group": id(of.group),
            "util": rounded(of.utilization.most()),
        });
        if !of.pods.is_empty() {
            one["evicted"] = sorted(&pods(&of.pods));
        }
        one
    });
    put("deletionStarted", departures.collect());
    let ended = iteration.ended.iter().map(|(node, how)| {
        let how = match how {
            Deletion::Done => "Ok",
            Deletion::Blocked => "Internal",
            Deletion::EvictionFailed => "FailedToEvictPods",
            Deletion::CloudFailed => "FailedToDelete",
        };
        (names.resolve(*node).to_owned(), Value::from(how))
    });
    put("deleteResults", ended.collect());
    let backed_off = iteration.backed_off.iter().map(|of| {
        json!({
            "group": id(of.group), "until": seconds(of.until),
            "class": of.error.class.name(), "code": of.error.code,
        })
    });
    let mut backed_off: Vec<Value> = backed_off.collect();
    backed_off.sort_by_key(|of| natural(text(of, "group").unwrap_or_default()));
    put("backoff", backed_off.into());
    let since = autoscaler.unneeded().iter();
    put(
        "unneededSince",
        since
            .map(|(node, at)| (names.resolve(*node).to_owned(), Value::from(seconds(*at))))
            .collect(),
    );
    let unremovable = iteration.unremovable.iter().map(|stays| {
        let mut one = json!({"node": names.resolve(stays.node), "reason": stays.reason});
        if let Some((pod, why)) = stays.pod {
            one["pod"] = pod.text(names).into();
            one["why"] = why.into();
        }
        if let Some(used) = stays.utilization {
            one["util"] = rounded(used);
        }
        one
    });
    put("unremovable", unremovable.collect());
    put(
        "targets",
        groups.iter().map(|group| (group.id.clone(), Value::from(group.target))).collect(),
    );
    let upcoming = groups.iter().enumerate().filter_map(|(at, group)| {
        let count = autoscaler.upcoming(at, view.now);
        (count > 0).then(|| (group.id.clone(), Value::from(count)))
    });
    put("upcoming", upcoming.collect());
    let requests = autoscaler
        .requests()
        .iter()
        .map(|(group, request)| (id(*group), json!([request.increase, seconds(request.deadline)])));
    put("requests", requests.collect());
    put("log", iteration.log.iter().map(String::as_str).collect());
    for (key, at) in [
        ("lastScaleUp", autoscaler.last_scale_up()),
        ("lastScaleDownStart", autoscaler.last_scale_down()),
    ] {
        put(key, at.map_or(Value::Null, |at| seconds(at).into()));
    }
    all
}

fn seconds(at: SimTime) -> i64 {
    i64::try_from(at.since_start().saturating_sub(START).whole_secs()).expect("soon")
}

fn rounded(used: f64) -> Value {
    let used = (used * 1e9).round() / 1e9;
    let whole = [0_i64, 1].into_iter().find(|n| used.to_string() == n.to_string());
    whole.map_or_else(|| json!(used), |whole| json!(whole))
}

pub(super) fn sorted(list: &Value) -> Value {
    let mut names: Vec<String> = list
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    names.sort_by_key(|name| natural(name));
    names.into()
}

fn judge(file: &str, differing_max: usize) {
    judge_share("node-autoscaling", file, differing_max, |case| match check(case) {
        Ok(()) => Verdict::Agreed,
        Err(how) => Verdict::Differs(how),
    });
}

#[test]
fn conformance_autoscaling_est_basic() {
    judge("ca-est-basic", 0);
}

#[test]
fn conformance_autoscaling_est_constraints() {
    judge("ca-est-constraints", 0);
}

#[test]
fn conformance_autoscaling_est_limits() {
    judge("ca-est-limits", 0);
}

#[test]
fn conformance_autoscaling_est_expander() {
    judge("ca-est-expander", 0);
}

#[test]
fn conformance_autoscaling_est_balance() {
    judge("ca-est-balance", 0);
}
