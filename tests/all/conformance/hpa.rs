//! HorizontalPodAutoscaler: the calculator's answers, and whole lives of autoscalers look by look.
//!
//! Each recorded look has all that the controller could read; what it remembers is kept between
//! the looks of a case. Which pods a metric is of and what they ask for is read here from the
//! recorded objects; everything after that is the library's.

use std::collections::BTreeMap;

use seatrial::api::{TextSelector, lower_hpa};
use seatrial::autoscalers::behavior::{Asked, Combined, Look, Memory, Verdict, combine};
use seatrial::autoscalers::replica_calculator::{
    Failure, PodInput, PodMetric, Proposal, Question, Tolerance,
};
use seatrial::base::{Duration, Interner, Quantity, SimTime};
use seatrial::cluster::{HpaStatus, Phase};
use seatrial::model::{HpaSpec, Labels};
use serde_json::{Value, json};

use crate::support::corpus::run_corpus;

/// Recorded times may be before the start of a case: all are moved by this.
const MOVED_MS: i64 = 1_000_000_000;

#[test]
fn conformance_replica_calculator() {
    run_corpus("hpa", "replica-calculator", calculated);
}

#[test]
fn conformance_timelines() {
    run_corpus("hpa", "timelines", lived);
}

fn int(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

fn at(ms: i64) -> SimTime {
    SimTime::at(span(ms + MOVED_MS))
}

fn span(ms: i64) -> Duration {
    Duration::ms(u64::try_from(ms).expect("a time after the moved start"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn milli(value: &Value) -> i64 {
    let text = value.as_str().unwrap_or("0");
    Quantity::parse(text).expect("a recorded quantity").milli_value()
}

/// What a look reads: a case of the calculator, or one sync of a timeline.
struct Reading<'a> {
    input: &'a Value,
    templates: &'a Value,
    pods: Vec<&'a Value>,
    current: i64,
    status_replicas: i64,
    tolerance: Tolerance,
    now: SimTime,
    settings: &'a Value,
}

/// A metric by what it is of.
struct Metric<'a> {
    name: &'a str,
    container: Option<&'a str>,
}

type Values = BTreeMap<String, PodMetric>;

impl Reading<'_> {
    fn template(&self, pod: &Value) -> &Value {
        &self.templates[pod["template"].as_str().expect("a template")]
    }

    /// Values of the resource metrics API by pod (rules A22, A23).
    fn resource_values(&self, metric: &Metric<'_>) -> Option<Values> {
        let items = list(&self.input["podMetrics"]["items"]);
        if items.is_empty() || !self.input["podMetrics"]["error"].is_null() {
            return None;
        }
        let value_of = |item: &Value| -> Option<i64> {
            let containers = item["containers"].as_object()?;
            let amount = |usage: &Value| usage.get(metric.name).map(milli);
            match metric.container {
                Some(container) => amount(containers.get(container)?),
                None if containers.is_empty() => None,
                None => containers.values().map(amount).sum(),
            }
        };
        let entry = |item: &Value| {
            let metric = PodMetric {
                value: value_of(item)?,
                at: at(int(&item["timestampMs"])),
                window: span(int(&item["windowMs"])),
            };
            Some((item["pod"].as_str()?.to_owned(), metric))
        };
        // The API answers for the selector: of the pods that are there only for those.
        let is_asked = |item: &&Value| {
            let is_it = |pod: &Value| pod["name"] == item["pod"];
            self.pods.iter().any(|pod| is_it(pod)) || !list(&self.input["pods"]).iter().any(is_it)
        };
        Some(items.iter().filter(is_asked).filter_map(entry).collect())
    }

    /// Values of a custom metric by pod (rule A24).
    fn custom_values(&self, name: &str) -> Option<Values> {
        let entry = |value: &Value| {
            let secs = value["windowSeconds"].as_i64().unwrap_or(60);
            let metric = PodMetric {
                value: milli(&value["value"]),
                at: at(int(&value["timestampMs"])),
                window: span(secs * 1000),
            };
            (value["pod"].as_str().unwrap_or("").to_owned(), metric)
        };
        let values = answer(&self.input["custom"][name])?;
        Some(values.iter().map(entry).collect())
    }

    /// What a pod asks for (rule A33).
    fn request(&self, pod: &Value, metric: &Metric<'_>) -> Option<i64> {
        let spec = &self.template(pod)["spec"];
        let whole = spec["resources"]["requests"].as_object().filter(|r| !r.is_empty());
        let amount = |of: &Value| of["resources"]["requests"].get(metric.name).map(milli);
        let sidecars = list(&spec["initContainers"]).iter();
        let sidecars = sidecars.filter(|c| c["restartPolicy"] == "Always");
        let mut running = list(&spec["containers"]).iter().chain(sidecars);
        match (metric.container, whole) {
            // What the pod as a whole does not say, defaulting takes from its containers.
            (None, Some(whole)) => whole.get(metric.name).map(milli).or_else(|| {
                let amounts: Vec<i64> = running.filter_map(amount).collect();
                (!amounts.is_empty()).then(|| amounts.iter().sum())
            }),
            (None, None) => running.map(amount).sum(),
            (Some(name), _) => amount(running.find(|c| c["name"] == name)?),
        }
    }

    /// The pods as the grouping sees them: a condition Unknown is not False.
    fn inputs(&self, values: &mut Values, metric: &Metric<'_>) -> Vec<PodInput> {
        let input = |pod: &&Value| PodInput {
            phase: phase(pod),
            deleting: pod["deleting"] == true,
            start: pod["startMs"].as_i64().map(at),
            ready: pod["ready"].as_str().map(|ready| {
                let since = at(int(&pod["readySinceMs"]));
                (ready != "False", since)
            }),
            request: self.request(pod, metric),
            metric: values.remove(pod["name"].as_str().expect("a name")),
        };
        self.pods.iter().map(input).collect()
    }

    fn question<'b>(&self, pods: &'b [PodInput], strays: &'b [i64], is_cpu: bool) -> Question<'b> {
        Question {
            pods,
            strays,
            is_cpu,
            current: self.current,
            tolerance: self.tolerance,
            now: self.now,
            initialization: span(int(&self.settings["cpuInitializationPeriodMs"])),
            initial_delay: span(int(&self.settings["initialReadinessDelayMs"])),
        }
    }

    /// A metric of pods: what the API gives for them against percent or average.
    fn of_pods(
        &self,
        values: Option<Values>,
        metric: &Metric<'_>,
        ask: impl Fn(&Question<'_>) -> Result<Proposal, Failure>,
    ) -> Result<Proposal, Failure> {
        let mut values = values.filter(|v| !v.is_empty()).ok_or(Failure::NoMetrics)?;
        let pods = self.inputs(&mut values, metric);
        let strays: Vec<i64> = values.values().map(|metric| metric.value).collect();
        ask(&self.question(&pods, &strays, metric.name == "cpu"))
    }

    /// A number that is not of the pods, against a target of its own.
    fn of_value(&self, usage: Option<i64>, target: i64) -> Result<Proposal, Failure> {
        let usage = usage.ok_or(Failure::NoMetrics)?;
        let input = |pod: &&Value| PodInput {
            phase: phase(pod),
            deleting: false,
            start: None,
            ready: Some((pod["ready"] == "True" && pod["phase"] == "Running", self.now)),
            request: None,
            metric: None,
        };
        let pods: Vec<PodInput> = self.pods.iter().map(input).collect();
        self.question(&pods, &[], false).value(usage, target)
    }

    /// A number that is not of the pods, against a target for each.
    fn of_share(
        &self,
        usage: Option<i64>,
        target: i64,
        is_object: bool,
    ) -> Result<Proposal, Failure> {
        let usage = usage.ok_or(Failure::NoMetrics)?;
        let question = Question { current: self.status_replicas, ..self.question(&[], &[], false) };
        Ok(question.share(usage, target, is_object))
    }

    fn object_usage(&self, name: &str) -> Option<i64> {
        answer(&self.input["custom"][name])?.first().map(|v| milli(&v["value"]))
    }

    fn external_usage(&self, name: &str) -> Option<i64> {
        let values = answer(&self.input["external"][name])?;
        let sum = |sum: i64, v: &Value| sum.saturating_add(milli(&v["value"]));
        (!values.is_empty()).then(|| values.iter().fold(0, sum))
    }
}

fn answer(of: &Value) -> Option<&[Value]> {
    of["error"].is_null().then(|| list(&of["values"]))
}

fn phase(pod: &Value) -> Phase {
    match pod["phase"].as_str() {
        Some("Pending") => Phase::Pending,
        Some("Succeeded") => Phase::Succeeded,
        Some("Failed") => Phase::Failed,
        _ => Phase::Running,
    }
}

fn calculated(case: &Value) -> Result<(), String> {
    let args = &case["args"];
    let text = |key: &str| args[key].as_str();
    let number = |of: &Value| of.as_f64().unwrap_or(0.0);
    let reading = Reading {
        input: &case["in"],
        templates: &case["podTemplates"],
        pods: list(&case["in"]["pods"]).iter().collect(),
        current: int(&args["currentReplicas"]),
        status_replicas: int(&args["currentReplicas"]),
        tolerance: Tolerance {
            down: number(&args["toleranceDownUp"][0]),
            up: number(&args["toleranceDownUp"][1]),
        },
        now: at(int(&case["nowMs"])),
        settings: case,
    };
    let target = int(&args["target"]);
    let name = text("resource").or_else(|| text("metricName")).unwrap_or("");
    let container = text("container").filter(|c| !c.is_empty());
    let metric = Metric { name, container };
    let percent = i32::try_from(target).unwrap_or(i32::MAX);
    let result = match case["function"].as_str() {
        Some("GetResourceReplicas") => {
            let values = reading.resource_values(&metric);
            reading.of_pods(values, &metric, |q| q.utilization(percent))
        }
        Some("GetRawResourceReplicas") => {
            let values = reading.resource_values(&metric);
            reading.of_pods(values, &metric, |q| q.average(target))
        }
        Some("GetMetricReplicas") => {
            reading.of_pods(reading.custom_values(name), &metric, |q| q.average(target))
        }
        Some("GetObjectMetricReplicas") => reading.of_value(reading.object_usage(name), target),
        Some("GetExternalMetricReplicas") => reading.of_value(reading.external_usage(name), target),
        Some("GetObjectPerPodMetricReplicas") => {
            reading.of_share(reading.object_usage(name), target, true)
        }
        _ => reading.of_share(reading.external_usage(name), target, false),
    };
    let out = &case["out"];
    match result {
        Err(failure) if out["error"].is_null() => Err(format!("{failure}, not {out}")),
        Err(_) => Ok(()),
        Ok(ours) => {
            let per_pod = reading.current == 0 && name_is_per_pod(case);
            let same = out["error"].is_null()
                && ours.replicas == int(&out["replicas"])
                && (per_pod || ours.usage == int(&out["usage"]))
                && ours.utilization.map_or(0, i64::from) == int(&out["utilization"]);
            same.then_some(()).ok_or(format!("{ours:?}, not {out}"))
        }
    }
}

fn name_is_per_pod(case: &Value) -> bool {
    case["function"].as_str().is_some_and(|name| name.contains("PerPod"))
}

/// What is kept of one autoscaler between its looks.
#[derive(Default)]
struct Kept {
    memory: Memory,
    status: HpaStatus,
    spec: Value,
    /// The selector that it has put into the controller's table of selectors, as parsed last.
    selects: Option<TextSelector>,
}

fn manifest_of<'a>(case: &'a Value, name: &str) -> &'a Value {
    let is_it = |hpa: &&Value| hpa["manifest"]["metadata"]["name"] == name;
    list(&case["hpas"]).iter().find(is_it).unwrap_or(&Value::Null)
}

fn lived(case: &Value) -> Result<(), String> {
    let mut kept: BTreeMap<String, Kept> = BTreeMap::new();
    for hpa in list(&case["hpas"]) {
        let spec = hpa["defaultedSpec"].clone();
        let name = hpa["manifest"]["metadata"]["name"].as_str().unwrap_or("");
        let fresh = Kept { spec, ..Kept::default() };
        kept.insert(name.to_owned(), fresh);
    }
    let mut events = list(&case["events"]).iter().peekable();
    for (number, sync) in list(&case["syncs"]).iter().enumerate() {
        let now = int(&sync["t"]);
        while let Some(event) = events.next_if(|event| int(&event["t"]) <= now) {
            happen(event, case, &mut kept);
        }
        let name = sync["hpa"].as_str().unwrap_or("");
        let mut hpa = kept.remove(name).ok_or("no such autoscaler")?;
        let others: Vec<&TextSelector> =
            kept.values().filter_map(|other| other.selects.as_ref()).collect();
        let found = look((case, sync), &mut hpa, &others);
        found.map_err(|how| format!("sync {number} at {now} ms: {how}"))?;
        kept.insert(name.to_owned(), hpa);
    }
    Ok(())
}

fn happen(event: &Value, case: &Value, kept: &mut BTreeMap<String, Kept>) {
    let name = event["hpa"].as_str().unwrap_or("");
    let forget = |hpa: &mut Kept| (hpa.memory, hpa.selects) = (Memory::default(), None);
    match (event["op"].as_str(), kept.get_mut(name)) {
        (Some("editHPA"), Some(hpa)) => hpa.spec = event["spec"].clone(),
        (Some("deleteHPA" | "createHPA"), Some(hpa)) => {
            let spec = manifest_of(case, name)["defaultedSpec"].clone();
            *hpa = Kept { spec, ..Kept::default() };
        }
        (Some("restartController"), _) => kept.values_mut().for_each(forget),
        _ => {}
    }
}

/// One look against what was recorded of it.
fn look(
    (case, sync): (&Value, &Value),
    hpa: &mut Kept,
    others: &[&TextSelector],
) -> Result<(), String> {
    let (input, out) = (&sync["in"], &sync["out"]);
    let scale = &input["scale"];
    let mut write = None;
    if scale.is_null() || !scale["error"].is_null() {
        hpa.status.able_reason = "FailedGetScale";
    } else {
        let spec = lower_hpa(&json!({ "spec": hpa.spec }), &mut Interner::new());
        let look = Look {
            spec: &spec,
            current: int(&scale["specReplicas"]),
            now: at(int(&sync["t"])),
            window: span(int(&case["controller"]["downscaleStabilizationMs"])),
            scales_to_zero: case["featureGates"]["HPAScaleToZero"] == true,
        };
        let selects = &mut hpa.selects;
        let metrics = || metrics((case, sync), (&hpa.spec, &spec), (selects, others));
        let verdict = look.decide(&mut hpa.memory, &mut hpa.status, metrics);
        if let Verdict::Scale { to, .. } = verdict {
            write = Some(to);
            if out["scaleWriteError"].is_null() {
                look.written(to, &mut hpa.memory, &mut hpa.status);
            } else {
                hpa.status.able_reason = "FailedUpdateScale";
            }
        }
    }
    compare(write, &hpa.status, out)
}

fn compare(write: Option<i64>, status: &HpaStatus, out: &Value) -> Result<(), String> {
    let recorded = list(&out["scaleWrites"]).first().map(int);
    if write != recorded {
        return Err(format!("writes {write:?}, not {recorded:?}"));
    }
    let numbers = |key| int(&out[key]);
    let ours = (i64::from(status.current), i64::from(status.desired));
    let theirs = (numbers("currentReplicas"), numbers("desiredReplicas"));
    if ours != theirs {
        return Err(format!("{ours:?} replicas, not {theirs:?}"));
    }
    let last = out["lastScaleMs"].as_i64();
    let whole = |ms: i64| ms.div_euclid(1000);
    let ours = status.last_scale.map(|at| at.since_start().whole_secs());
    let ours = ours.map(|secs| i64::try_from(secs).unwrap_or(0) - MOVED_MS / 1000);
    if ours != last.map(whole) {
        return Err(format!("last scale {ours:?} s, not {last:?} ms"));
    }
    let truth = |yes: bool| if yes { "True" } else { "False" };
    let able = !["FailedGetScale", "FailedUpdateScale"].contains(&status.able_reason);
    let active = status.active_reason == "ValidMetricFound";
    let zero = status.scaled_to_zero;
    let zero_reason = zero.map_or("", |zero| if zero { "ScaledToZero" } else { "NotScaledToZero" });
    let ours = [
        ("AbleToScale", truth(able), status.able_reason),
        ("ScalingActive", truth(active), status.active_reason),
        ("ScalingLimited", truth(status.is_limited), status.limited_reason),
        ("ScaledToZero", truth(zero == Some(true)), zero_reason),
    ];
    for (kind, value, reason) in ours {
        let found = list(&out["conditions"]).iter().find(|c| c[0] == kind);
        let theirs =
            found.map_or(("", ""), |c| (c[1].as_str().unwrap_or(""), c[2].as_str().unwrap_or("")));
        let ours = if reason.is_empty() { ("", "") } else { (value, reason) };
        if ours != theirs {
            return Err(format!("{kind} {ours:?}, not {theirs:?}"));
        }
    }
    Ok(())
}

/// What the metrics ask for (rule A10: first the selector, then who else selects these pods).
fn metrics(
    (case, sync): (&Value, &Value),
    (written, spec): (&Value, &HpaSpec),
    (selects, others): (&mut Option<TextSelector>, &[&TextSelector]),
) -> Result<Combined, &'static str> {
    let scale = &sync["in"]["scale"];
    let text = scale["selector"].as_str().unwrap_or("");
    let parsed = TextSelector::parse(text).ok().filter(|_| !text.is_empty());
    let own = &*selects.insert(parsed.ok_or("InvalidSelector")?);
    let pods = list(&sync["in"]["pods"]).iter();
    let selected = pods.filter(|pod| matches(own, case, pod));
    let is_others = |pod: &&Value| others.iter().any(|other| matches(other, case, pod));
    if selected.clone().any(|pod| is_others(&pod)) {
        return Err("AmbiguousSelector");
    }
    let default = case["controller"]["tolerance"].as_f64().unwrap_or(0.1);
    let rules = spec.behavior.as_ref();
    let reading = Reading {
        input: &sync["in"],
        templates: &case["podTemplates"],
        pods: selected.collect(),
        current: int(&scale["specReplicas"]),
        status_replicas: int(&scale["statusReplicas"]),
        tolerance: Tolerance {
            down: rules.and_then(|r| r.down.tolerance).unwrap_or(default),
            up: rules.and_then(|r| r.up.tolerance).unwrap_or(default),
        },
        now: at(int(&sync["t"])),
        settings: &case["controller"],
    };
    let asked: Vec<Asked> = list(&written["metrics"]).iter().map(|m| one(&reading, m)).collect();
    combine(asked, reading.current)
}

/// Whether a selector selects a pod, by the labels of its template.
fn matches(selector: &TextSelector, case: &Value, pod: &Value) -> bool {
    let template = &case["podTemplates"][pod["template"].as_str().unwrap_or("")];
    let mut names = Interner::new();
    let pairs = template["labels"].as_object().into_iter().flatten();
    let labels =
        Labels::new(pairs.map(|(key, value)| {
            (names.intern(key), names.intern(value.as_str().unwrap_or_default()))
        }));
    selector.lower(&mut names).matches(&labels, &names)
}

fn one(reading: &Reading<'_>, metric: &Value) -> Asked {
    let kind = metric["type"].as_str().unwrap_or("");
    let (body, failed) = match kind {
        "Resource" => (&metric["resource"], "FailedGetResourceMetric"),
        "ContainerResource" => (&metric["containerResource"], "FailedGetContainerResourceMetric"),
        "Pods" => (&metric["pods"], "FailedGetPodsMetric"),
        "Object" => (&metric["object"], "FailedGetObjectMetric"),
        _ => (&metric["external"], "FailedGetExternalMetric"),
    };
    let target = &body["target"];
    let average = Some(&target["averageValue"]).filter(|v| !v.is_null()).map(milli);
    let percent = i32::try_from(int(&target["averageUtilization"])).unwrap_or(i32::MAX);
    let name = body["name"].as_str().or_else(|| body["metric"]["name"].as_str());
    let of = Metric { name: name.unwrap_or(""), container: body["container"].as_str() };
    let ask = |question: &Question<'_>| match average {
        Some(average) => question.average(average),
        None => question.utilization(percent),
    };
    let result = match kind {
        "Resource" | "ContainerResource" => reading.of_pods(reading.resource_values(&of), &of, ask),
        "Pods" => reading.of_pods(reading.custom_values(of.name), &of, ask),
        _ => {
            let usage = if kind == "Object" {
                reading.object_usage(of.name)
            } else {
                reading.external_usage(of.name)
            };
            match average {
                Some(average) => reading.of_share(usage, average, kind == "Object"),
                None => reading.of_value(usage, milli(&target["value"])),
            }
        }
    };
    result.map(|p| (p.replicas, kind_name(kind))).map_err(|_| failed)
}

fn kind_name(kind: &str) -> &'static str {
    if kind == "Resource" { "resource" } else { "other" }
}
