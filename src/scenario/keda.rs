//! ScaledObjects of KEDA among the manifests.

use serde_json::{Value as Json, json};

use crate::api::{self, Kind};
use crate::base::{Duration, Formula, Interner};
use crate::manifest::Document;
use crate::model::{
    Fallback, FallbackBehavior, HpaSpec, MetricSource, MetricSpec, ObjectName, PausedScale,
    ScaledJobSpec, ScaledObjectSpec, TriggerSpec,
};
use crate::tree::{Diagnostic, Span, Value};

use super::input::Input;
use super::keda_triggers::Answer;
use super::objects::identity;

/// Whether a document is one.
pub(super) fn is_one(document: &Document) -> bool {
    is_of(document, "ScaledObject")
}

/// Whether a document is one of KEDA of this kind.
pub(super) fn is_of(document: &Document, kind: &str) -> bool {
    let group = document.api_version.value.split('/').next();
    group == Some("keda.sh") && document.kind.value == kind
}

/// All that KEDA works on.
#[derive(Debug, Default)]
pub(super) struct Scaled {
    /// ScaledObjects, by namespace and name.
    pub(super) objects: Vec<ScaledObjectSpec>,
    /// Those that are kept at one size.
    pub(super) paused: Vec<PausedScale>,
    /// ScaledJobs, by namespace and name.
    pub(super) jobs: Vec<ScaledJobSpec>,
}

/// Lowers all that are there: with the autoscalers that they make, and the metrics that these ask
/// for.
pub(super) fn lower(
    documents: &[Document],
    metrics: &mut Vec<MetricSpec>,
    hpas: &mut Vec<HpaSpec>,
    names: &mut Interner,
    input: &mut Input,
) -> Scaled {
    let known = metrics.len();
    let mut all = Scaled::default();
    for document in documents {
        let mut one = One { document, documents, known, metrics, names, input };
        if is_one(document) {
            let before = one.input.found.len();
            match one.lower() {
                Some(Lowered::Scales(made)) => {
                    let (spec, hpa) = *made;
                    all.objects.push(spec);
                    hpas.push(hpa);
                }
                Some(Lowered::Keeps(paused)) => all.paused.push(paused),
                None if one.input.is_plain => all.paused.extend(one.kept_from(before)),
                Some(Lowered::Rests) | None => {}
            }
        } else if is_of(document, "ScaledJob") {
            let before = one.input.found.len();
            all.jobs.extend(one.job());
            if one.input.is_plain {
                one.input.found.soften_from(before);
            }
        }
    }
    let text = |name: ObjectName| {
        (names.resolve(name.namespace).to_owned(), names.resolve(name.name).to_owned())
    };
    hpas.sort_by_key(|hpa| text(hpa.name));
    all.objects.sort_by_key(|spec| text(spec.name));
    all
}

/// What becomes of a ScaledObject.
enum Lowered {
    Scales(Box<(ScaledObjectSpec, HpaSpec)>),
    /// Rule A231: `paused-replicas` sets a size; there is no loop and no autoscaler.
    Keeps(PausedScale),
    /// Rule A231: a paused one has no loop and no autoscaler.
    Rests,
}

/// One object of KEDA and what it is read with.
pub(super) struct One<'a> {
    pub(super) document: &'a Document,
    pub(super) documents: &'a [Document],
    /// How many metrics the scenario has.
    pub(super) known: usize,
    pub(super) metrics: &'a mut Vec<MetricSpec>,
    pub(super) names: &'a mut Interner,
    pub(super) input: &'a mut Input,
}

impl<'a> One<'a> {
    fn lower(&mut self) -> Option<Lowered> {
        let before = self.input.found.error_count();
        let (min, max) = self.sizes(0);
        let idle = self.count("idleReplicaCount");
        if let Some(idle) = idle.filter(|idle| *idle >= min) {
            let place = self.place("idleReplicaCount");
            let message = format!("idleReplicaCount {idle} is not below minReplicaCount {min}");
            self.input.found.error(place, message);
        }
        let polling = self.seconds("pollingInterval", 30).max(Duration::secs(1));
        let cooldown = self.seconds("cooldownPeriod", 300);
        let initial_cooldown = self.seconds("initialCooldownPeriod", 0);
        let (triggers, mut asked) = self.triggers();
        let composite = self.composite(&triggers, &mut asked);
        let fallback = self.fallback(&triggers);
        let target = self.target();
        let kept = self.paused_replicas();
        if self.input.found.error_count() > before {
            return None;
        }
        let hpa = self.hpa((min, max), &target?, &asked)?;
        let name = self.object_name();
        if let Some(replicas) = kept {
            return Some(Lowered::Keeps(PausedScale { name, target: hpa.target, replicas }));
        }
        if self.is_set("paused") {
            return Some(Lowered::Rests);
        }
        let spec = ScaledObjectSpec {
            name,
            hpa: hpa.name,
            replicas_min: min,
            replicas_idle: idle,
            polling,
            cooldown,
            initial_cooldown,
            may_grow: !self.is_set("paused-scale-out"),
            may_shrink: !self.is_set("paused-scale-in"),
            triggers: triggers.into_iter().map(|(_, trigger)| trigger).collect(),
            composite,
            fallback,
        };
        Some(Lowered::Scales(Box::new((spec, hpa))))
    }

    /// One that needs what only a scenario says, where there is none: what was wrong with it from
    /// a message on is told as a warning, and its target keeps its size, or the least that it asks
    /// for.
    fn kept_from(&mut self, before: usize) -> Option<PausedScale> {
        let least = self.count("minReplicaCount").filter(|least| *least > 0);
        let (_, _, name) = identity(self.document);
        let size = least.map_or("keeps its size".to_owned(), |least| format!("has {least} pods"));
        let hint =
            format!("without a scenario that says it, what ScaledObject \"{name}\" scales {size}");
        let found = &mut self.input.found;
        found.soften_from(before);
        found.edit_from(before, |told| told.hint = Some(hint.clone().into()));
        let before = found.len();
        let target = self.target();
        self.input.found.soften_from(before);
        let cpu =
            json!({ "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 80 } });
        let asked = [json!({ "type": "Resource", "resource": cpu })];
        let hpa = self.hpa((least?, least?), &target?, &asked)?;
        let name = self.object_name();
        Some(PausedScale { name, target: hpa.target, replicas: least? })
    }

    /// `minReplicaCount` and `maxReplicaCount`.
    pub(super) fn sizes(&mut self, least: u32) -> (u32, u32) {
        let min = self.count("minReplicaCount").unwrap_or(least);
        let max = self.count("maxReplicaCount").unwrap_or(100);
        if min > max {
            let message = format!("minReplicaCount {min} is above maxReplicaCount {max}");
            let place = self.place("minReplicaCount");
            self.input.found.error(place, message);
        }
        (min, max)
    }

    pub(super) fn seconds(&mut self, key: &str, default: u32) -> Duration {
        Duration::secs(u64::from(self.count(key).unwrap_or(default)))
    }

    pub(super) fn object_name(&mut self) -> ObjectName {
        let (_, namespace, name) = identity(self.document);
        ObjectName { namespace: self.names.intern(namespace), name: self.names.intern(name) }
    }

    /// The triggers with their names, and the metrics that an autoscaler asks for because of them.
    pub(super) fn triggers(&mut self) -> (Vec<(Option<String>, TriggerSpec)>, Vec<Json>) {
        let (_, namespace, name) = identity(self.document);
        let of = format!("{namespace}-{name}");
        let (mut triggers, mut asked) = (Vec::new(), Vec::new());
        let given = self.document.root().at(&["spec", "triggers"]);
        if given.is_none_or(Value::is_empty) {
            let message = format!("a {} has one trigger at least", self.document.kind.value);
            self.input.found.error(self.document.span(), message);
        }
        for (index, trigger) in given.into_iter().flat_map(Value::items).enumerate() {
            let own = trigger.get("name").map(|name| name.written().into_owned());
            let is_second = |(other, _): &(Option<String>, TriggerSpec)| *other == own;
            if own.is_some() && triggers.iter().any(is_second) {
                let message = format!("a second trigger \"{}\"", own.as_deref().unwrap_or(""));
                self.input.found.error(trigger.span(), message);
            }
            let Some((trigger, metric)) = self.trigger(index, &of, trigger) else { continue };
            triggers.push((own, trigger));
            asked.push(metric);
        }
        (triggers, asked)
    }

    /// `scalingModifiers`: one metric in place of those of the triggers.
    ///
    /// Source: keda v2.20.2 pkg/scaling/modifiers/modifiers.go, apis/keda/v1alpha1
    /// scaledobject_webhook.go `validateScalingModifiersFormula` (rule A225).
    fn composite(
        &mut self,
        triggers: &[(Option<String>, TriggerSpec)],
        asked: &mut Vec<Json>,
    ) -> Option<TriggerSpec> {
        let root = self.document.root();
        let given = root.at(&["spec", "advanced", "scalingModifiers"])?;
        let text = given.get("formula")?;
        let formula = match Formula::parse(&text.written()) {
            Ok(formula) => formula,
            Err(error) => {
                let place = format!("at character {}", error.at + 1);
                let message = format!("this formula cannot be read: {} ({place})", error.message);
                self.input.found.error(text.span(), message);
                return None;
            }
        };
        let own: Vec<&str> = triggers.iter().filter_map(|(name, _)| name.as_deref()).collect();
        let mut of = Vec::new();
        for name in formula.names() {
            let named = triggers.iter().find(|(own, _)| own.as_ref() == Some(name));
            let Some((_, trigger)) = named else {
                let message = format!("no trigger is called \"{name}\"");
                let error = Diagnostic::error(text.span(), message);
                let error = error.with_hint("a formula names triggers by their `name`");
                self.input.found.push(error.with_suggestion(name, own.iter().copied()));
                return None;
            };
            let Some(metric) = trigger.metric else {
                let message = format!("\"{name}\" is no number: cpu and memory have no part in it");
                self.input.found.error(text.span(), message);
                return None;
            };
            of.push(metric);
        }
        let positive = |value: Value<'_>| {
            let number = value.written().trim().parse::<f64>().ok();
            number.filter(|number| number.is_finite() && *number >= 0.0)
        };
        let Some(target) = given.get("target").and_then(positive).filter(|target| *target > 0.0)
        else {
            let place = given.get("target").map_or(text.span(), Value::span);
            let error = Diagnostic::error(place, "scalingModifiers needs a target above 0");
            self.input.found.push(error.with_hint("for example target: \"10\""));
            return None;
        };
        let activation = match given.get("activationTarget") {
            None => 0.0,
            Some(value) => positive(value).unwrap_or_else(|| {
                self.input.found.error(value.span(), "activationTarget is a number from 0 on");
                0.0
            }),
        };
        let metric_type = given.get("metricType").and_then(Value::as_str);
        let (_, namespace, name) = identity(self.document);
        let shown = format!("composite-metric-{namespace}-{name}");
        let source = Answer::at_once(MetricSource::Formula { formula, of });
        let metric_type = metric_type.unwrap_or("AverageValue");
        let (trigger, metric) = self.asked(&shown, source, (target, activation), metric_type);
        asked.retain(|metric| metric["type"] != "External");
        asked.push(metric);
        Some(trigger)
    }

    /// `fallback`.
    fn fallback(&mut self, triggers: &[(Option<String>, TriggerSpec)]) -> Option<Fallback> {
        let given = self.spec("fallback")?;
        let mut count = |key: &str| {
            let value = given.get(key);
            let number = value.and_then(Value::as_i64).and_then(|n| u32::try_from(n).ok());
            if number.is_none() {
                let place = value.map_or(given.span(), Value::span);
                let message = format!("`{key}` of a fallback is a whole number from 0 on");
                self.input.found.error(place, message);
            }
            number
        };
        let (failures_max, replicas) = (count("failureThreshold"), count("replicas"));
        const BEHAVIORS: [(&str, FallbackBehavior); 4] = [
            ("static", FallbackBehavior::Static),
            ("currentReplicas", FallbackBehavior::Current),
            ("currentReplicasIfHigher", FallbackBehavior::CurrentIfHigher),
            ("currentReplicasIfLower", FallbackBehavior::CurrentIfLower),
        ];
        let behavior = given.get("behavior").map(|value| (value, value.written()));
        let named = behavior.as_ref().map_or("static", |(_, text)| text);
        let known = || BEHAVIORS.iter().map(|(name, _)| *name);
        let found = BEHAVIORS.iter().find(|(name, _)| *name == named);
        if let (None, Some((value, text))) = (found, &behavior) {
            let error = Diagnostic::error(value.span(), format!("no behavior \"{text}\""));
            let all: Vec<&str> = known().collect();
            let error = error.with_hint(format!("there are {}", all.join(", ")));
            self.input.found.push(error.with_suggestion(text, known()));
        }
        if triggers.iter().all(|(_, trigger)| trigger.metric.is_none()) {
            let message = "a fallback needs a trigger other than cpu and memory";
            self.input.found.error(given.span(), message);
        }
        let behavior = found?.1;
        Some(Fallback { failures_max: failures_max?, replicas: replicas?, behavior })
    }

    /// The annotation `paused-replicas`.
    fn paused_replicas(&mut self) -> Option<u32> {
        let value = self.annotation("paused-replicas")?;
        let replicas = value.written().trim().parse().ok();
        if replicas.is_none() {
            let message = format!("paused-replicas is a whole number, not \"{}\"", value.written());
            self.input.found.error(value.span(), message);
        }
        replicas
    }

    /// The autoscaler that it makes.
    ///
    /// Source: keda v2.20.2 controllers/keda/hpa.go `newHPAForScaledObject` (rules A222, A223).
    fn hpa(
        &mut self,
        (min, max): (u32, u32),
        target: &(String, String),
        asked: &[Json],
    ) -> Option<HpaSpec> {
        let (_, namespace, name) = identity(self.document);
        let written = self.document.root().to_json();
        let config = &written["spec"]["advanced"]["horizontalPodAutoscalerConfig"];
        let own = config["name"].as_str().filter(|name| !name.is_empty());
        let api_version = match target.0.as_str() {
            "ReplicationController" => "v1",
            _ => "apps/v1",
        };
        let mut tree = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {
                "name": own.map_or_else(|| format!("keda-hpa-{name}"), str::to_owned),
                "namespace": namespace,
            },
            "spec": {
                "scaleTargetRef": { "apiVersion": api_version, "kind": target.0, "name": target.1 },
                "minReplicas": min.max(1), "maxReplicas": max.max(1), "metrics": asked,
            },
        });
        if !config["behavior"].is_null() {
            tree["spec"]["behavior"] = config["behavior"].clone();
        }
        // Rule A231: the autoscaler that it makes keeps still in that direction too.
        let pauses = [("scaleUp", "paused-scale-out"), ("scaleDown", "paused-scale-in")];
        for (direction, _) in pauses.into_iter().filter(|(_, name)| self.is_set(name)) {
            tree["spec"]["behavior"][direction]["selectPolicy"] = json!("Disabled");
        }
        let problems = api::prepare(Kind::HorizontalPodAutoscaler, &mut tree);
        let mut is_refused = false;
        for problem in problems.iter().filter(|problem| problem.is_error) {
            is_refused = true;
            let message =
                format!("its autoscaler is refused: {} {}", problem.path, problem.message);
            self.input.found.error(self.document.span(), message);
        }
        (!is_refused).then(|| api::lower_hpa(&tree, self.names))
    }

    pub(super) fn annotation(&self, name: &str) -> Option<Value<'a>> {
        let key = format!("autoscaling.keda.sh/{name}");
        self.document.root().at(&["metadata", "annotations", &key])
    }

    /// Whether an annotation that pauses is there and not "false".
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.annotation(name).is_some_and(|value| value.as_str() != Some("false"))
    }

    pub(super) fn spec(&self, key: &str) -> Option<Value<'a>> {
        self.document.root().at(&["spec", key])
    }

    pub(super) fn place(&self, key: &str) -> Span {
        self.spec(key).map_or(self.document.span(), Value::span)
    }

    /// A whole number of the specification.
    pub(super) fn count(&mut self, key: &str) -> Option<u32> {
        let value = self.spec(key)?;
        let (place, number) = (value.span(), value.as_i64());
        let number = number.and_then(|number| u32::try_from(number).ok());
        if number.is_none() {
            self.input.found.error(place, format!("`{key}` is a whole number from 0 on"));
        }
        number
    }

    /// Kind and name of what it scales, which must be there.
    fn target(&mut self) -> Option<(String, String)> {
        const SCALED: [&str; 4] =
            ["Deployment", "StatefulSet", "ReplicaSet", "ReplicationController"];
        let (_, namespace, _) = identity(self.document);
        let root = self.document.root();
        let at = |key: &str| root.at(&["spec", "scaleTargetRef", key]);
        let kind = at("kind").and_then(Value::as_str).unwrap_or("Deployment");
        let name = at("name").and_then(Value::as_str).unwrap_or_default();
        let place = at("name").map_or(self.document.span(), Value::span);
        if !SCALED.contains(&kind) {
            let place = at("kind").map_or(place, Value::span);
            let message = format!("a {kind} has no number of replicas that is modelled");
            let error = Diagnostic::error(place, message);
            let error = error.with_hint(format!("scaled can be a {}", SCALED.join(", ")));
            self.input.found.push(error.with_suggestion(kind, SCALED));
            return None;
        }
        let inside = || {
            let all = self.documents.iter().map(identity);
            let of = all.filter(|(k, n, _)| *k == kind && *n == namespace);
            of.map(|(_, _, name)| name)
        };
        if !inside().any(|other| other == name) {
            let message = format!("there is no {kind} \"{name}\" for this ScaledObject");
            let error = Diagnostic::error(place, message).with_suggestion(name, inside());
            self.input.found.push(error);
            return None;
        }
        Some((kind.to_owned(), name.to_owned()))
    }
}
