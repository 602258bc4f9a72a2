//! ScaledObjects of KEDA among the manifests.

use serde_json::{Value as Json, json};

use crate::api::{self, Kind};
use crate::base::cron::{Schedule, Zone};
use crate::base::{Duration, Interner, cast};
use crate::manifest::Document;
use crate::model::{HpaSpec, MetricSource, MetricSpec, ObjectName, ScaledObjectSpec, TriggerSpec};
use crate::tree::{Diagnostic, Span, Value};

use super::input::Input;
use super::objects::identity;

/// Whether a document is one.
pub(super) fn is_one(document: &Document) -> bool {
    let group = document.api_version.value.split('/').next();
    group == Some("keda.sh") && document.kind.value == "ScaledObject"
}

/// Triggers by type: the key of the threshold, that of the activation threshold, and the threshold
/// if none is given.
///
/// Source: keda v2.20.2 pkg/scalers.
const TRIGGERS: &[(&str, &str, &str, f64)] = &[
    ("aws-sqs-queue", "queueLength", "activationQueueLength", 5.0),
    ("azure-queue", "queueLength", "activationQueueLength", 5.0),
    ("azure-servicebus", "messageCount", "activationMessageCount", 5.0),
    ("gcp-pubsub", "value", "activationValue", 10.0),
    ("kafka", "lagThreshold", "activationLagThreshold", 10.0),
    ("metrics-api", "targetValue", "activationTargetValue", 0.0),
    ("mysql", "queryValue", "activationQueryValue", 0.0),
    ("nats-jetstream", "lagThreshold", "activationLagThreshold", 10.0),
    ("postgresql", "targetQueryValue", "activationTargetQueryValue", 0.0),
    ("prometheus", "threshold", "activationThreshold", 0.0),
    ("rabbitmq", "value", "activationValue", 0.0),
    ("redis", "listLength", "activationListLength", 5.0),
];

/// Lowers all that are there: with the autoscalers that they make, and the metrics that these ask
/// for.
pub(super) fn lower(
    documents: &[Document],
    metrics: &mut Vec<MetricSpec>,
    hpas: &mut Vec<HpaSpec>,
    names: &mut Interner,
    input: &mut Input,
) -> Vec<ScaledObjectSpec> {
    let known = metrics.len();
    let mut all = Vec::new();
    for document in documents.iter().filter(|document| is_one(document)) {
        let mut one = One { document, documents, known, metrics, names, input };
        if let Some((spec, hpa)) = one.lower() {
            all.push(spec);
            hpas.push(hpa);
        }
    }
    let text = |name: ObjectName| {
        (names.resolve(name.namespace).to_owned(), names.resolve(name.name).to_owned())
    };
    hpas.sort_by_key(|hpa| text(hpa.name));
    all.sort_by_key(|spec| text(spec.name));
    all
}

struct One<'a> {
    document: &'a Document,
    documents: &'a [Document],
    /// How many metrics the scenario has.
    known: usize,
    metrics: &'a mut Vec<MetricSpec>,
    names: &'a mut Interner,
    input: &'a mut Input,
}

impl One<'_> {
    fn lower(&mut self) -> Option<(ScaledObjectSpec, HpaSpec)> {
        let before = self.input.found.error_count();
        let count = |one: &mut Self, key: &str, default: u32| one.count(key).unwrap_or(default);
        let (min, max) = (count(self, "minReplicaCount", 0), count(self, "maxReplicaCount", 100));
        let idle = self.count("idleReplicaCount");
        if min > max {
            let message = format!("minReplicaCount {min} is above maxReplicaCount {max}");
            let place = self.place("minReplicaCount");
            self.input.found.error(place, message);
        }
        if let Some(idle) = idle.filter(|idle| *idle >= min) {
            let place = self.place("idleReplicaCount");
            let message = format!("idleReplicaCount {idle} is not below minReplicaCount {min}");
            self.input.found.error(place, message);
        }
        let seconds = |one: &mut Self, key: &str, default: u32| {
            Duration::secs(u64::from(one.count(key).unwrap_or(default)))
        };
        let polling = seconds(self, "pollingInterval", 30).max(Duration::secs(1));
        let cooldown = seconds(self, "cooldownPeriod", 300);
        let initial_cooldown = seconds(self, "initialCooldownPeriod", 0);
        for key in ["fallback"] {
            if self.spec(key).is_some() {
                let place = self.place(key);
                let message = format!("`{key}` of a ScaledObject is not modelled and left out");
                self.input.found.push(Diagnostic::warning(place, message));
            }
        }
        let root = self.document.root();
        let (_, namespace, name) = identity(self.document);
        let mut triggers = Vec::new();
        let mut asked = Vec::new();
        let given = root.at(&["spec", "triggers"]);
        if given.is_none_or(Value::is_empty) {
            let message = "a ScaledObject has one trigger at least";
            self.input.found.error(self.document.span(), message);
        }
        for (index, trigger) in given.into_iter().flat_map(Value::items).enumerate() {
            let of = format!("{namespace}-{name}");
            let Some((trigger, metric)) = self.trigger(index, &of, trigger) else { continue };
            triggers.push(trigger);
            asked.push(metric);
        }
        self.check_target(namespace);
        if self.annotation("paused-replicas").is_some() {
            let message = "`paused-replicas` of a ScaledObject is not modelled and left out";
            let place =
                self.annotation("paused-replicas").map_or(self.document.span(), Value::span);
            self.input.found.push(Diagnostic::warning(place, message));
        }
        // Rule A231: a paused one has no loop and no autoscaler.
        if self.input.found.error_count() > before || self.is_set("paused") {
            return None;
        }
        let written = root.to_json();
        let spec = &written["spec"];
        let mut tree = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": { "name": format!("keda-hpa-{name}"), "namespace": namespace },
            "spec": {
                "scaleTargetRef": {
                    "apiVersion": "apps/v1", "kind": "Deployment",
                    "name": spec["scaleTargetRef"]["name"],
                },
                "minReplicas": min.max(1), "maxReplicas": max, "metrics": asked,
            },
        });
        let behavior = &spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"];
        if !behavior.is_null() {
            tree["spec"]["behavior"] = behavior.clone();
        }
        // Rule A231: the autoscaler that it makes keeps still in that direction too.
        let (may_grow, may_shrink) =
            (!self.is_set("paused-scale-out"), !self.is_set("paused-scale-in"));
        for (direction, may) in [("scaleUp", may_grow), ("scaleDown", may_shrink)] {
            if !may {
                tree["spec"]["behavior"][direction]["selectPolicy"] = json!("Disabled");
            }
        }
        let problems = api::prepare(Kind::HorizontalPodAutoscaler, &mut tree);
        for problem in problems.iter().filter(|problem| problem.is_error) {
            let message =
                format!("its autoscaler is refused: {} {}", problem.path, problem.message);
            self.input.found.error(self.document.span(), message);
        }
        let hpa = api::lower_hpa(&tree, self.names);
        let own =
            ObjectName { namespace: self.names.intern(namespace), name: self.names.intern(name) };
        let spec = ScaledObjectSpec {
            name: own,
            hpa: hpa.name,
            replicas_min: min,
            replicas_idle: idle,
            polling,
            cooldown,
            initial_cooldown,
            may_grow,
            may_shrink,
            triggers,
        };
        Some((spec, hpa))
    }

    fn annotation(&self, name: &str) -> Option<Value<'_>> {
        let key = format!("autoscaling.keda.sh/{name}");
        self.document.root().at(&["metadata", "annotations", &key])
    }

    /// Whether an annotation that pauses is there and not "false".
    fn is_set(&self, name: &str) -> bool {
        self.annotation(name).is_some_and(|value| value.as_str() != Some("false"))
    }

    fn spec(&self, key: &str) -> Option<Value<'_>> {
        self.document.root().at(&["spec", key])
    }

    fn place(&self, key: &str) -> Span {
        self.spec(key).map_or(self.document.span(), Value::span)
    }

    /// A whole number of the specification.
    fn count(&mut self, key: &str) -> Option<u32> {
        let value = self.spec(key)?;
        let (place, number) = (value.span(), value.as_i64());
        let number = number.and_then(|number| u32::try_from(number).ok());
        if number.is_none() {
            self.input.found.error(place, format!("`{key}` is a whole number from 0 on"));
        }
        number
    }

    /// What it scales must be a Deployment that is there.
    fn check_target(&mut self, namespace: &str) {
        let root = self.document.root();
        let at = |key: &str| root.at(&["spec", "scaleTargetRef", key]);
        let kind = at("kind").and_then(Value::as_str).unwrap_or("Deployment");
        let name = at("name").and_then(Value::as_str).unwrap_or_default();
        let place = at("name").map_or(self.document.span(), Value::span);
        if kind != "Deployment" {
            let message = format!("a ScaledObject for a {kind} is not modelled");
            let error = Diagnostic::error(place, message);
            self.input.found.push(error.with_hint("modelled is a Deployment"));
            return;
        }
        let inside = || {
            let all = self.documents.iter().map(identity);
            let of = all.filter(|(k, n, _)| *k == "Deployment" && *n == namespace);
            of.map(|(_, _, name)| name)
        };
        if !inside().any(|other| other == name) {
            let message = format!("there is no Deployment \"{name}\" for this ScaledObject");
            let error = Diagnostic::error(place, message).with_suggestion(name, inside());
            self.input.found.push(error);
        }
    }

    /// A trigger, and what the autoscaler asks for because of it.
    fn trigger(
        &mut self,
        index: usize,
        of: &str,
        trigger: Value<'_>,
    ) -> Option<(TriggerSpec, Json)> {
        let kind = trigger.get("type");
        let place = kind.map_or(trigger.span(), Value::span);
        let kind = kind.and_then(Value::as_str).unwrap_or_default();
        if matches!(kind, "cpu" | "memory") {
            return self.of_resource(kind, trigger);
        }
        let name = format!("s{index}-{kind}-{of}");
        if kind == "cron" {
            let source = self.cron(trigger, place)?;
            return Some(self.asked(&name, (source, Duration::ZERO), (1.0, 0.0), "AverageValue"));
        }
        let Some((_, threshold, activation, default)) = TRIGGERS.iter().find(|row| row.0 == kind)
        else {
            let message = format!("a trigger of the type \"{kind}\" is not modelled");
            let known = || TRIGGERS.iter().map(|row| row.0).chain(["cpu", "memory", "cron"]);
            let all: Vec<&str> = known().collect();
            let error = Diagnostic::error(place, message);
            let error = error.with_hint(format!("modelled are {}", all.join(", ")));
            self.input.found.push(error.with_suggestion(kind, known()));
            return None;
        };
        let threshold = self.number(trigger, threshold)?.unwrap_or(*default);
        if threshold <= 0.0 {
            self.input.found.error(place, "this trigger needs a threshold above 0");
            return None;
        }
        let activation = self.number(trigger, activation)?.unwrap_or(0.0);
        let source = self.metric(trigger, kind, place)?;
        let metric_type = trigger.get("metricType").and_then(Value::as_str);
        let metric_type = metric_type.unwrap_or("AverageValue");
        Some(self.asked(&name, source, (threshold, activation), metric_type))
    }

    fn asked(
        &mut self,
        name: &str,
        (source, delay): (MetricSource, Duration),
        (threshold, activation): (f64, f64),
        metric_type: &str,
    ) -> (TriggerSpec, Json) {
        let milli = |value: f64| cast::i64_trunc((value * 1000.0).round());
        let metric = self.metrics.len();
        self.metrics.push(MetricSpec {
            name: self.names.intern(name),
            source,
            delay,
            gaps: Vec::new(),
        });
        let key = if metric_type == "Value" { "value" } else { "averageValue" };
        let target = json!({ "type": metric_type, key: format!("{}m", milli(threshold)) });
        let asked = json!({
            "type": "External", "external": { "metric": { "name": name }, "target": target },
        });
        (TriggerSpec { metric: Some(metric), activation: milli(activation) }, asked)
    }

    fn of_resource(&mut self, kind: &str, trigger: Value<'_>) -> Option<(TriggerSpec, Json)> {
        let value = self.number(trigger, "value")?.unwrap_or(80.0);
        let is_average = trigger.get("metricType").and_then(Value::as_str) == Some("AverageValue");
        let target = match is_average {
            true => {
                json!({ "type": "AverageValue", "averageValue": trigger.at(&["metadata", "value"])?.written() })
            }
            false => json!({ "type": "Utilization", "averageUtilization": cast::i64_trunc(value) }),
        };
        let asked = json!({ "type": "Resource", "resource": { "name": kind, "target": target } });
        Some((TriggerSpec { metric: None, activation: 0 }, asked))
    }

    /// A number of a trigger's metadata, which are texts; `None` if it is none.
    #[expect(clippy::option_option, reason = "wrong, absent, given")]
    fn number(&mut self, trigger: Value<'_>, key: &str) -> Option<Option<f64>> {
        let Some(value) = trigger.at(&["metadata", key]) else { return Some(None) };
        let number = value.written().trim().parse::<f64>().ok();
        let number = number.filter(|number| number.is_finite() && *number >= 0.0);
        if number.is_none()
            && trigger.get("metricType").and_then(Value::as_str) != Some("AverageValue")
        {
            let message = format!("`{key}` is a number from 0 on, not \"{}\"", value.written());
            self.input.found.error(value.span(), message);
            return None;
        }
        Some(number)
    }

    /// The metric of the scenario that a trigger asks for: by its name, or by what it asks.
    fn metric(
        &mut self,
        trigger: Value<'_>,
        kind: &str,
        place: Span,
    ) -> Option<(MetricSource, Duration)> {
        let named = trigger.get("name").into_iter();
        let data = trigger.get("metadata").into_iter().flat_map(Value::entries);
        let asked: Vec<String> = named
            .chain(data.map(|entry| entry.value))
            .map(|value| value.written().into_owned())
            .collect();
        let known = &self.metrics[..self.known];
        let is_it = |metric: &&MetricSpec| {
            asked.iter().any(|asked| asked == self.names.resolve(metric.name))
        };
        if let Some(found) = known.iter().find(is_it) {
            return Some((found.source.clone(), found.delay));
        }
        let message = format!("the scenario has no metric for this {kind} trigger");
        let asked = asked.first().map_or("NAME", String::as_str);
        let error = Diagnostic::error(place, message);
        let hint = format!("say what it is worth: metrics: [{{ name: \"{asked}\", value: 10 }}]");
        self.input.found.push(error.with_hint(hint));
        None
    }

    fn cron(&mut self, trigger: Value<'_>, place: Span) -> Option<MetricSource> {
        let text = |key: &str| trigger.at(&["metadata", key]);
        let Some(zone) = text("timezone") else {
            let error = Diagnostic::error(place, "a cron trigger needs a timezone");
            self.input.found.push(error.with_hint("for example timezone: Europe/Berlin"));
            return None;
        };
        let zone = match Zone::named(&zone.written()) {
            Ok(zone) => zone,
            Err(error) => {
                self.input.found.error(text("timezone")?.span(), error.to_string());
                return None;
            }
        };
        let mut schedule = |key: &str| {
            let Some(value) = text(key) else {
                self.input.found.error(place, format!("a cron trigger needs `{key}`"));
                return None;
            };
            let parsed = Schedule::parse(&value.written(), &zone);
            parsed.map_err(|error| self.input.found.error(value.span(), error.to_string())).ok()
        };
        let (start, end) = (schedule("start")?, schedule("end")?);
        let desired = text("desiredReplicas").and_then(|value| value.written().parse().ok());
        let Some(desired) = desired else {
            self.input.found.error(place, "a cron trigger needs `desiredReplicas`, a whole number");
            return None;
        };
        Some(MetricSource::Cron { start, end, desired })
    }
}
