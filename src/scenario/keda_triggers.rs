//! Triggers of KEDA: what they ask for, and what answers.

use serde_json::{Value as Json, json};

use crate::base::cron::{Schedule, Zone};
use crate::base::{Duration, SimTime, cast};
use crate::model::{MetricSource, MetricSpec, TriggerSpec};
use crate::tree::{Diagnostic, Span, Value};

use super::keda::One;

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

/// Where the value of a trigger comes from, how old it is, and when there is none.
pub(super) struct Answer {
    source: MetricSource,
    delay: Duration,
    gaps: Vec<(SimTime, SimTime)>,
}

impl Answer {
    /// As it is now, always.
    pub(super) const fn at_once(source: MetricSource) -> Self {
        Self { source, delay: Duration::ZERO, gaps: Vec::new() }
    }
}

impl One<'_> {
    /// A trigger, and what the autoscaler asks for because of it.
    pub(super) fn trigger(
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
            return Some(self.asked(&name, Answer::at_once(source), (1.0, 0.0), "AverageValue"));
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
        if !matches!(metric_type, "AverageValue" | "Value") {
            let place = trigger.get("metricType").map_or(place, Value::span);
            let message = format!("the metricType of a {kind} trigger is AverageValue or Value");
            self.input.found.error(place, message);
            return None;
        }
        Some(self.asked(&name, source, (threshold, activation), metric_type))
    }

    pub(super) fn asked(
        &mut self,
        name: &str,
        answer: Answer,
        (threshold, activation): (f64, f64),
        metric_type: &str,
    ) -> (TriggerSpec, Json) {
        let milli = |value: f64| cast::i64_trunc((value * 1000.0).round());
        let metric = self.metrics.len();
        self.metrics.push(MetricSpec {
            name: self.names.intern(name),
            source: answer.source,
            delay: answer.delay,
            gaps: answer.gaps,
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
    pub(super) fn number(&mut self, trigger: Value<'_>, key: &str) -> Option<Option<f64>> {
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
    fn metric(&mut self, trigger: Value<'_>, kind: &str, place: Span) -> Option<Answer> {
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
            let MetricSpec { source, delay, gaps, .. } = found.clone();
            return Some(Answer { source, delay, gaps });
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
