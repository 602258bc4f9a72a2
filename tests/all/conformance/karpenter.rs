//! Karpenter: what one provisioning run (rules A188 to A195) and one disruption run (rules A200 to
//! A217) decide.

use std::collections::BTreeMap;

use seatrial::api::{lower_budget, lower_node};
use seatrial::autoscalers::karpenter::{
    BudgetView, ClaimView, InstanceType, Kind, Method, NewClaim, NodePool, NodeView, Offering,
    PodView, Requirement, Requirements, Settings, View, Words, disrupt, hosts, provision,
};
use seatrial::base::cron::{Schedule, Zone};
use seatrial::base::go_time::parse_go_duration;
use seatrial::base::quantity::Quantity;
use seatrial::base::{Bytes, Duration, MilliCpu, SimTime, Symbol};
use seatrial::model::{
    ConsolidationPolicy, DisruptionQuota, DisruptionReason, Labels, Operator, QuotaNodes, Resource,
    Resources, Taint, TaintEffect,
};
use serde_json::{Map, Value, json};

use crate::support::corpus::{Verdict, int, judge_share, text};
use crate::support::scheduler_case::{Objects, instant, list};

/// 2000-01-01T00:00:00Z, as [`instant`] counts.
const START: Duration = Duration::hours(366 * 24);

/// The label that the recorder registered as well known.
const FAMILY: &str = "example.com/instance-family";

struct Reader<'a> {
    case: &'a Value,
    uids: Vec<String>,
    objects: Objects,
    words: Words,
}

impl Reader<'_> {
    fn symbol(&mut self, value: &Value) -> Symbol {
        self.objects.names.intern(value.as_str().unwrap_or_default())
    }

    fn amounts(&mut self, object: &Value) -> Resources {
        let mut all = Resources::default();
        for (name, amount) in object.as_object().into_iter().flatten() {
            let amount = Quantity::parse(amount.as_str().unwrap_or_default()).expect("a quantity");
            match name.as_str() {
                "cpu" => all.cpu = MilliCpu(amount.milli_value()),
                "memory" => all.memory = Bytes(amount.value()),
                "ephemeral-storage" => all.ephemeral_storage = Bytes(amount.value()),
                other => all.add_scalar(self.objects.names.intern(other), amount.value()),
            }
        }
        all
    }

    fn labels(&mut self, object: &Value) -> Labels {
        let pairs = object.as_object().into_iter().flatten();
        let pairs: Vec<_> =
            pairs.map(|(k, v)| (self.objects.names.intern(k), self.symbol(v))).collect();
        Labels::new(pairs)
    }

    fn instance_type(&mut self, object: &Value) -> InstanceType {
        let offering = |reader: &mut Self, o: &Value| Offering {
            zone: reader.symbol(&o["zone"]),
            capacity_type: reader.symbol(&o["capacityType"]),
            price: o["price"].as_f64().expect("a price"),
            is_available: o["available"] == true,
        };
        let offerings: Vec<Offering> =
            list(object, "offerings").iter().map(|o| offering(self, o)).collect();
        let labels = self.labels(&json!({
            "node.kubernetes.io/instance-type": object["name"],
            "kubernetes.io/arch": object["arch"],
            "kubernetes.io/os": "linux",
            FAMILY: object["family"],
        }));
        let capacity = self.amounts(&object["capacity"]);
        let mut allocatable = capacity.clone();
        allocatable.subtract(&self.amounts(&object["overhead"]));
        let names = &self.objects.names;
        InstanceType {
            requirements: InstanceType::requirements_of(&labels, &offerings, &self.words, names),
            name: names.get(text(object, "name").unwrap_or_default()).expect("interned"),
            capacity,
            allocatable,
            offerings,
        }
    }

    fn requirements(&mut self, asked: &Value) -> Requirements {
        let mut all = Requirements::default();
        for one in asked.as_array().into_iter().flatten() {
            let operator = match text(one, "operator").unwrap_or_default() {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                "Gt" => Operator::Gt,
                _ => Operator::Lt,
            };
            let key = self.symbol(&one["key"]);
            let values: Vec<Symbol> = list(one, "values").iter().map(|v| self.symbol(v)).collect();
            let names = &self.objects.names;
            let mut asked = Requirement::new(key, operator, values, names);
            asked.min_values = one["minValues"].as_u64().and_then(|n| usize::try_from(n).ok());
            all.add(asked, names);
        }
        all
    }

    fn taint(&mut self, object: &Value) -> Taint {
        Taint {
            key: self.symbol(&object["key"]),
            value: self.symbol(&object["value"]),
            effect: match text(object, "effect").unwrap_or_default() {
                "NoExecute" => TaintEffect::NoExecute,
                "PreferNoSchedule" => TaintEffect::PreferNoSchedule,
                _ => TaintEffect::NoSchedule,
            },
        }
    }

    fn pool(&mut self, object: &Value, types: usize) -> NodePool {
        let (name, spec) = (&object["metadata"]["name"], &object["spec"]);
        let template = &spec["template"];
        let class = &template["spec"]["nodeClassRef"];
        let mut labels = template["metadata"]["labels"].as_object().cloned().unwrap_or_default();
        let kind = text(class, "kind").unwrap_or_default().to_lowercase();
        let class_label = format!("{}/{kind}", text(class, "group").unwrap_or_default());
        labels.insert(class_label, class["name"].clone());
        labels.insert("karpenter.sh/nodepool".to_owned(), name.clone());
        let limits = self.amounts(&spec["limits"]);
        let limited = spec["limits"].as_object().into_iter().flatten();
        let limits = limited.map(|(name, _)| match name.as_str() {
            "cpu" => (Resource::Cpu, limits.cpu.0),
            "memory" => (Resource::Memory, limits.memory.0),
            "ephemeral-storage" => (Resource::EphemeralStorage, limits.ephemeral_storage.0),
            other => {
                let name = self.objects.names.get(other).expect("interned");
                (Resource::Scalar(name), limits.scalar(name))
            }
        });
        let limits = limits.collect();
        let disruption = &spec["disruption"];
        let conditions = list(&object["status"], "conditions");
        NodePool {
            name: self.symbol(name),
            weight: i32::try_from(int(spec, "weight").unwrap_or(0)).expect("a weight"),
            is_ready: conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"),
            requirements: self.requirements(&template["spec"]["requirements"]),
            labels: self.labels(&Value::Object(labels)),
            taints: list(&template["spec"], "taints").iter().map(|t| self.taint(t)).collect(),
            limits,
            types: (0..types).collect(),
            policy: match text(disruption, "consolidationPolicy").unwrap_or_default() {
                "WhenEmpty" => ConsolidationPolicy::WhenEmpty,
                "Balanced" => ConsolidationPolicy::Balanced,
                _ => ConsolidationPolicy::WhenEmptyOrUnderutilized,
            },
            consolidate_after: text(disruption, "consolidateAfter").and_then(duration),
            budgets: list(disruption, "budgets").iter().map(budget).collect(),
        }
    }

    fn node(&mut self, object: &Value) -> NodeView {
        let (metadata, status) = (&object["metadata"], &object["status"]);
        let claims = list(self.case, "nodeClaims").iter();
        let claim = claims.clone().find(|c| c["status"]["nodeName"] == metadata["name"]);
        let is_ready = list(status, "conditions")
            .iter()
            .any(|c| c["type"] == "Ready" && c["status"] == "True");
        let spec = lower_node(object, &mut self.objects.names);
        let is_initialized = metadata["labels"]["karpenter.sh/initialized"] == "true";
        NodeView {
            name: spec.name,
            labels: self.labels(&metadata["labels"]),
            taints: list(&object["spec"], "taints").iter().map(|t| self.taint(t)).collect(),
            allocatable: self.amounts(&status["allocatable"]),
            capacity: self.amounts(&status["capacity"]),
            is_registered: true,
            is_initialized: is_initialized || claim.is_none(),
            is_ready,
            is_deleting: metadata["deletionTimestamp"].is_string()
                || claim.is_some_and(|c| c["metadata"]["deletionTimestamp"].is_string()),
            is_kept: metadata["annotations"]["karpenter.sh/do-not-disrupt"] == "true",
            nominated_until: None,
            claim: claim.map(claim_view),
        }
    }

    fn pod(&mut self, object: &Value, nodes: &BTreeMap<String, usize>) -> PodView {
        let (metadata, spec) = (&object["metadata"], &object["spec"]);
        let annotations = &metadata["annotations"];
        let owned =
            |kind: &str| list(metadata, "ownerReferences").iter().any(|o| o["kind"] == kind);
        let conditions = list(&object["status"], "conditions");
        let is_unplaced = |c: &Value| c["type"] == "PodScheduled" && c["reason"] == "Unschedulable";
        let mut free = object.clone();
        free["spec"].as_object_mut().expect("a spec").remove("nodeName");
        let node = text(spec, "nodeName").and_then(|name| nodes.get(name).copied());
        PodView {
            uid: self.uids.binary_search(&uid_of(object).to_owned()).expect("listed") as u64,
            created: text(metadata, "creationTimestamp").map_or(SimTime::ZERO, instant),
            info: self.objects.info(&free).expect("a pod"),
            node,
            is_pending: node.is_none() && conditions.iter().any(is_unplaced),
            is_terminating: metadata["deletionTimestamp"].is_string(),
            is_daemon: owned("DaemonSet"),
            is_static: owned("Node"),
            is_stateful: owned("StatefulSet"),
            is_kept: annotations["karpenter.sh/do-not-disrupt"] == "true",
            is_unready: conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "False"),
            deletion_cost: text(annotations, "controller.kubernetes.io/pod-deletion-cost")
                .and_then(|cost| cost.parse().ok()),
        }
    }

    fn view(&mut self) -> View {
        let case = self.case;
        let types: Vec<InstanceType> =
            list(case, "instanceTypes").iter().map(|o| self.instance_type(o)).collect();
        let pools = list(case, "nodePools").iter().map(|o| self.pool(o, types.len())).collect();
        let nodes: Vec<NodeView> = list(case, "nodes").iter().map(|o| self.node(o)).collect();
        let places = list(case, "nodes").iter().enumerate();
        let places = places
            .map(|(at, o)| (text(&o["metadata"], "name").unwrap_or_default().to_owned(), at))
            .collect();
        let budgets = list(case, "pdbs").iter().map(|object| {
            let budget = lower_budget(object, &mut self.objects.names);
            let never = |key: &str, values: [Value; 2]| values.contains(&object["spec"][key]);
            BudgetView {
                namespace: budget.name.namespace,
                selector: budget.selector,
                allowed: int(&object["status"], "disruptionsAllowed").unwrap_or(0),
                is_blocking: never("maxUnavailable", [json!(0), json!("0%")])
                    || never("minAvailable", [json!("100%"), json!("100%")]),
                frees_unready: object["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow",
            }
        });
        let budgets = budgets.collect();
        let daemons = list(case, "daemonSets").iter().map(|set| {
            let mut pod = set["spec"]["template"].clone();
            pod["metadata"]["namespace"] = set["metadata"]["namespace"].clone();
            self.objects.info(&pod).expect("a pod")
        });
        let daemons = daemons.collect();
        let pods = list(case, "pods").iter().map(|o| self.pod(o, &places)).collect();
        let now = SimTime::ZERO + START;
        let namespaces = Vec::new();
        let unix = 946_684_800; // the same instant
        View { now, unix, types, pools, nodes, pods, daemons, budgets, namespaces }
    }
}

fn uid_of(object: &Value) -> &str {
    text(&object["metadata"], "uid").unwrap_or_default()
}

/// The name of a pod, by its place.
fn pod_name(case: &Value, at: usize) -> String {
    text(&list(case, "pods")[at]["metadata"], "name").unwrap_or_default().to_owned()
}

fn duration(text: &str) -> Option<Duration> {
    let nanos = parse_go_duration(text).ok()?;
    u64::try_from(nanos).ok().map(Duration::ns)
}

fn budget(object: &Value) -> DisruptionQuota {
    let nodes = text(object, "nodes").unwrap_or("10%");
    let number = |text: &str| text.parse().expect("a number");
    let reason = |r: &Value| match r.as_str() {
        Some("Empty") => DisruptionReason::Empty,
        Some("Drifted") => DisruptionReason::Drifted,
        _ => DisruptionReason::Underutilized,
    };
    let window = text(object, "schedule").map(|schedule| {
        let schedule = Schedule::parse(schedule, &Zone::UTC).expect("a schedule");
        (schedule, text(object, "duration").and_then(duration).unwrap_or(Duration::ZERO))
    });
    DisruptionQuota {
        nodes: match nodes.strip_suffix('%') {
            Some(part) => QuotaNodes::Percent(number(part)),
            None => QuotaNodes::Count(number(nodes)),
        },
        reasons: list(object, "reasons").iter().map(reason).collect(),
        window,
    }
}

fn claim_view(object: &Value) -> ClaimView {
    let holds = |kind: &str| {
        let conditions = list(&object["status"], "conditions").iter();
        let mut held = conditions.filter(|c| c["type"] == kind && c["status"] == "True");
        held.next().map(|c| text(c, "lastTransitionTime").map_or(SimTime::ZERO, instant))
    };
    let last = text(&object["status"], "lastPodEventTime").map(instant);
    ClaimView {
        is_consolidatable: holds("Consolidatable").is_some(),
        last_pod_event: last.or_else(|| holds("Initialized")),
        drifted: holds("Drifted"),
        has_grace_period: object["spec"]["terminationGracePeriod"].is_string(),
        created: text(&object["metadata"], "creationTimestamp").map_or(SimTime::ZERO, instant),
        expires: None,
    }
}

/// Our words for a claim, in the shape of the recordings.
fn told(claim: &NewClaim, view: &View, reader: &Reader<'_>) -> Value {
    let names = &reader.objects.names;
    let name = |symbol: Symbol| names.resolve(symbol).to_owned();
    let mut pods: Vec<String> = claim.pods.iter().map(|pod| pod_name(reader.case, *pod)).collect();
    pods.sort();
    let mut asked: Vec<Value> = claim
        .requirements
        .iter()
        .filter(|r| r.key != reader.words.instance_type || r.min_values.is_some())
        .map(|r| requirement(r, reader))
        .collect();
    asked.sort_by_key(|r| text(r, "key").unwrap_or_default().to_owned());
    let mut one = json!({
        "nodePool": name(view.pools[claim.pool].name),
        "pods": pods,
        "instanceTypes": claim.types.iter().map(|t| name(view.types[*t].name)).collect::<Value>(),
        "requirements": asked,
        "requests": {
            "cpu": claim.requests.cpu.0,
            "memory": claim.requests.memory.0,
            "pods": claim.requests.scalar(reader.words.pods),
        },
    });
    if !claim.taints.is_empty() {
        let taint = |t: &Taint| {
            json!({
                "key": name(t.key), "value": name(t.value),
                "effect": match t.effect {
                    TaintEffect::NoSchedule => "NoSchedule",
                    TaintEffect::NoExecute => "NoExecute",
                    TaintEffect::PreferNoSchedule => "PreferNoSchedule",
                },
            })
        };
        one["taints"] = claim.taints.iter().map(taint).collect();
    }
    one
}

fn requirement(asked: &Requirement, reader: &Reader<'_>) -> Value {
    let names = &reader.objects.names;
    let mut values: Vec<&str> = asked.values().map(|v| names.resolve(v)).collect();
    values.sort_unstable();
    let (operator, values) = match (asked.kind(), asked.above(), asked.below()) {
        (_, Some(above), _) => ("Gt", json!([above.to_string()])),
        (_, _, Some(below)) => ("Lt", json!([below.to_string()])),
        (Kind::In, ..) => ("In", json!(values)),
        (Kind::NotIn, ..) => ("NotIn", json!(values)),
        (Kind::Exists, ..) => ("Exists", Value::Null),
        (Kind::DoesNotExist, ..) => ("DoesNotExist", Value::Null),
    };
    let mut one = json!({"key": names.resolve(asked.key), "operator": operator});
    if asked.key == reader.words.instance_type {
        one["operator"] = "In".into();
    } else if !values.is_null() {
        one["values"] = values;
    }
    if let Some(count) = asked.min_values {
        one["minValues"] = count.into();
    }
    one
}

/// The recorded claim in the shape of ours: amounts as numbers, pods by name.
fn plain(claim: &Value) -> Value {
    let mut one = claim.clone();
    let amounts = claim["requests"].as_object().into_iter().flatten();
    let number = |(name, amount): (&String, &Value)| {
        let amount = Quantity::parse(amount.as_str().unwrap_or_default()).expect("a quantity");
        let amount = if name == "cpu" { amount.milli_value() } else { amount.value() };
        (name.clone(), Value::from(amount))
    };
    one["requests"] = Value::Object(amounts.map(number).collect());
    sort(&mut one["pods"]);
    one
}

fn sort(list: &mut Value) {
    if let Some(list) = list.as_array_mut() {
        list.sort_by_key(Value::to_string);
    }
}

/// Claims in an order of their own: that of the recordings has no meaning.
fn sorted(claims: impl Iterator<Item = Value>) -> Value {
    let mut all: Vec<Value> = claims.collect();
    all.sort_by_key(|claim| claim["pods"].to_string());
    all.into()
}

fn settings(case: &Value) -> Settings {
    let is = |key: &str, value: &str| case["options"][key] == value;
    Settings {
        ignores_preferences: is("preference-policy", "Ignore"),
        relaxes_min_values: is("min-values-policy", "BestEffort"),
        spot_to_spot: is("feature-gate-SpotToSpotConsolidation", "true"),
    }
}

fn reader(case: &Value) -> Reader<'_> {
    let mut objects = Objects::new();
    let words = Words::new(&[FAMILY], &mut objects.names);
    let mut uids: Vec<String> =
        list(case, "pods").iter().map(|pod| uid_of(pod).to_owned()).collect();
    uids.sort();
    Reader { case, uids, objects, words }
}

fn provisioned(case: &Value) -> Value {
    let mut reader = reader(case);
    let view = reader.view();
    let hosts = hosts(view.pods.len(), &mut reader.objects.names);
    let terms = (settings(case), &reader.words, &reader.objects.names);
    let found = provision(&view, terms, &hosts);
    let names = &reader.objects.names;
    let list = |pods: &[usize]| -> Value {
        let mut all: Value = pods.iter().map(|pod| pod_name(case, *pod)).collect();
        sort(&mut all);
        all
    };
    let mut all = Map::new();
    let claims = sorted(found.claims.iter().map(|claim| told(claim, &view, &reader)));
    all.insert("newNodeClaims".to_owned(), claims);
    let existing = found.existing.iter();
    let existing =
        existing.map(|(node, pods)| (names.resolve(view.nodes[*node].name).to_owned(), list(pods)));
    all.insert("existing".to_owned(), Value::Object(existing.collect()));
    all.insert("failed".to_owned(), list(&found.failed));
    Value::Object(all)
}

/// A recorded run of provisioning in the shape of ours.
fn recorded(run: &Value) -> Value {
    let claims = sorted(list(run, "newNodeClaims").iter().map(plain));
    let mut existing = run["existing"].as_object().cloned().unwrap_or_default();
    existing.values_mut().for_each(sort);
    let mut failed = Value::from(list(run, "failed").to_vec());
    sort(&mut failed);
    json!({"newNodeClaims": claims, "existing": existing, "failed": failed})
}

/// The recorded outcomes: the one, or those that were seen.
fn outcomes(case: &Value) -> Vec<&Value> {
    let several = list(case, "outcomes");
    if several.is_empty() { vec![&case["expect"]] } else { several.iter().collect() }
}

fn differs(ours: &Value, theirs: &Value) -> Option<String> {
    let keys = ours.as_object().into_iter().flatten();
    let wrong = keys.clone().find(|(key, value)| theirs[key.as_str()] != **value);
    wrong.map(|(key, value)| format!("{key}: ours {value}, not {}", theirs[key.as_str()]))
}

fn check_provision(case: &Value) -> Result<(), String> {
    let ours = provisioned(case);
    let theirs = outcomes(case);
    let found: Vec<Option<String>> =
        theirs.into_iter().map(|run| differs(&ours, &recorded(&run["provision"]))).collect();
    match found.into_iter().reduce(|a, b| a.and_then(|a| b.map(|_| a))) {
        Some(Some(how)) => Err(how),
        _ => Ok(()),
    }
}

/// One method's findings in the shape of the recordings.
fn disrupted(method: Method, view: &View, reader: &mut Reader<'_>) -> Option<Value> {
    let hosts = hosts(view.pods.len(), &mut reader.objects.names);
    let terms = (settings(reader.case), &reader.words, &reader.objects.names);
    let found = disrupt(method, view, terms, &hosts)?;
    let names = &reader.objects.names;
    let node = |at: &usize| names.resolve(view.nodes[*at].name).to_owned();
    let budget = |(pool, count): (&usize, &u32)| {
        (names.resolve(view.pools[*pool].name).to_owned(), Value::from(*count))
    };
    let (title, reason) = match method {
        Method::Emptiness => ("Emptiness", "Empty"),
        Method::Drift => ("Drift", "Drifted"),
        Method::MultiNode => ("MultiNodeConsolidation", "Underutilized"),
        Method::SingleNode => ("SingleNodeConsolidation", "Underutilized"),
    };
    let waits = found.command.is_some() && method != Method::Drift;
    let commands = found.command.iter().map(|command| {
        let claims = &command.replacements;
        let decision = if claims.is_empty() { "delete" } else { "replace" };
        let mut one = json!({
            "decision": decision,
            "candidates": command.nodes.iter().map(node).collect::<Value>(),
        });
        if !claims.is_empty() {
            one["replacements"] = sorted(claims.iter().map(|claim| told(claim, view, reader)));
        }
        one
    });
    Some(json!({
        "method": title,
        "reason": reason,
        "candidates": found.candidates.iter().map(node).collect::<Value>(),
        "budgets": Value::Object(found.budgets.iter().map(budget).collect()),
        "commands": commands.collect::<Value>(),
        "seconds": if waits { 15 } else { 0 },
    }))
}

/// A recorded run of disruption in the shape of ours.
fn recorded_disruption(run: &Value) -> Vec<Value> {
    let one = |method: &Value| {
        let mut one = method.clone();
        let commands = list(method, "commands").iter().map(|command| {
            let mut one = command.clone();
            if command["replacements"].is_array() {
                one["replacements"] = sorted(list(command, "replacements").iter().map(plain));
            }
            one
        });
        one["commands"] = commands.collect();
        one
    };
    list(run, "disruption").iter().map(one).collect()
}

fn check_disruption(case: &Value) -> Result<(), String> {
    let mut reader = reader(case);
    let view = reader.view();
    let ours: Vec<Value> =
        Method::ALL.into_iter().filter_map(|m| disrupted(m, &view, &mut reader)).collect();
    let mut how = String::new();
    for run in outcomes(case) {
        let theirs = recorded_disruption(run);
        if ours == theirs {
            return Ok(());
        }
        let pairs = ours.iter().zip(&theirs).find(|(ours, theirs)| ours != theirs);
        how = match pairs {
            Some((ours, theirs)) => {
                format!("{}: {}", ours["method"], differs(ours, theirs).unwrap_or_default())
            }
            None => format!("{} methods, not {}", ours.len(), theirs.len()),
        };
    }
    Err(how)
}

fn judge(file: &str, check: impl Fn(&Value) -> Result<(), String>) {
    judge_share("node-autoscaling", file, 0, |case| match check(case) {
        Ok(()) => Verdict::Agreed,
        Err(how) => Verdict::Differs(how),
    });
}

#[test]
fn conformance_karpenter_provision_basic() {
    judge("karpenter-provision-basic", check_provision);
}

#[test]
fn conformance_karpenter_provision_existing() {
    judge("karpenter-provision-existing", check_provision);
}

#[test]
fn conformance_karpenter_provision_constraints() {
    judge("karpenter-provision-constraints", check_provision);
}

#[test]
fn conformance_karpenter_disrupt_replace() {
    judge("karpenter-disrupt-replace", check_disruption);
}

#[test]
fn conformance_karpenter_disrupt_empty() {
    judge("karpenter-disrupt-empty", check_disruption);
}

#[test]
fn conformance_karpenter_disrupt_low() {
    judge("karpenter-disrupt-low", check_disruption);
}

#[test]
fn conformance_karpenter_disrupt_mix() {
    judge("karpenter-disrupt-mix", check_disruption);
}
