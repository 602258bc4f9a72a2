//! ScaledJobs of KEDA among the manifests.

use serde_json::{Value as Json, json};

use crate::api::{self, Kind, Lowering};
use crate::base::cast;
use crate::manifest::Document;
use crate::model::{
    CronJobSpec, JobStrategy, MetricSource, PendingCondition, ScaledJobSpec, Together, TriggerSpec,
};
use crate::tree::{Diagnostic, Value};

use super::input::Input;
use super::keda::One;

/// The strategies by name.
const STRATEGIES: [&str; 4] = ["default", "custom", "accurate", "eager"];
/// How several triggers count, by name.
const TOGETHER: [(&str, Together); 4] = [
    ("max", Together::Max),
    ("min", Together::Min),
    ("avg", Together::Mean),
    ("sum", Together::Sum),
];

/// What its Jobs hang on: a CronJob that starts none itself.
///
/// Source: keda v2.20.2 pkg/scaling/executor/scale_jobs.go `generateJobs`.
pub(super) fn cron_job(
    document: &Document,
    cx: &mut Lowering<'_>,
    input: &mut Input,
) -> Option<CronJobSpec> {
    let root = document.root();
    let written = root.to_json();
    let spec = &written["spec"];
    let Some(of) = root.at(&["spec", "jobTargetRef"]) else {
        input.found.error(document.span(), "a ScaledJob needs a jobTargetRef");
        return None;
    };
    let mut job = spec["jobTargetRef"].clone();
    let pod = &mut job["template"]["spec"];
    if pod.is_object() && pod["restartPolicy"].is_null() {
        pod["restartPolicy"] = json!("OnFailure");
    }
    let labels = json!({ "scaledjob.keda.sh/name": written["metadata"]["name"] });
    let mut tree = json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": written["metadata"],
        "spec": {
            "schedule": "0 0 1 1 *", "suspend": true,
            "jobTemplate": { "metadata": { "labels": labels }, "spec": job },
        },
    });
    let mut problems = api::prepare(Kind::CronJob, &mut tree);
    let is_refused = problems.iter().any(|problem| problem.is_error);
    let tree = std::sync::Arc::new(tree);
    let lowered = if is_refused { None } else { Some(api::lower_cron_job(&tree, cx)) };
    let lowered = match lowered {
        Some(Ok(spec)) => Some(spec),
        Some(Err(more)) => {
            problems.extend(more);
            None
        }
        None => None,
    };
    for problem in problems.iter().filter(|problem| problem.is_error) {
        let path = problem.path.replace("spec.jobTemplate.spec", "spec.jobTargetRef");
        input.found.error(of.span(), format!("{path}: {}", problem.message));
    }
    lowered
}

impl One<'_> {
    /// The loop; `None` of a paused one.
    pub(super) fn job(&mut self) -> Option<ScaledJobSpec> {
        let before = self.input.found.error_count();
        let (min, max) = self.sizes(0);
        let polling = self.seconds("pollingInterval", 30).max(crate::base::Duration::secs(1));
        let kept = |one: &mut Self, key: &str| cast::usize_of(one.count(key).unwrap_or(100));
        let kept = (kept(self, "successfulJobsHistoryLimit"), kept(self, "failedJobsHistoryLimit"));
        let (triggers, asked) = self.triggers();
        let triggers: Vec<TriggerSpec> = triggers.into_iter().map(|(_, trigger)| trigger).collect();
        let triggers = self.thresholds(triggers, &asked);
        let strategy = self.strategy();
        let together = self.together();
        let pending_until = self.pending_conditions();
        self.check_rollout();
        if self.input.found.error_count() > before || self.is_set("paused") {
            return None;
        }
        Some(ScaledJobSpec {
            name: self.object_name(),
            polling,
            jobs_min: i64::from(min),
            jobs_max: i64::from(max),
            strategy: strategy?,
            together: together?,
            pending_until,
            kept,
            triggers,
        })
    }

    /// With what one Job is worth; cpu and memory say nothing of a queue. Within its hours a cron
    /// trigger asks for `desiredReplicas`.
    fn thresholds(
        &mut self,
        triggers: Vec<TriggerSpec>,
        asked: &[Json],
    ) -> Vec<(TriggerSpec, i64)> {
        let mut all = Vec::new();
        for (trigger, asked) in triggers.into_iter().zip(asked) {
            let Some(metric) = trigger.metric else {
                let message = "a ScaledJob has no pods before it scales: no cpu or memory triggers";
                let place = self.place("triggers");
                self.input.found.error(place, message);
                continue;
            };
            let is_cron = matches!(self.metrics[metric].source, MetricSource::Cron { .. });
            let target = &asked["external"]["target"];
            let text = target["averageValue"].as_str().or(target["value"].as_str());
            let milli = text.and_then(|text| text.trim_end_matches('m').parse().ok());
            // Outside its hours a cron trigger is worth one.
            let activation = if is_cron { 1000 } else { trigger.activation };
            all.push((TriggerSpec { activation, ..trigger }, milli.unwrap_or(1000).max(1)));
        }
        all
    }

    fn of_strategy(&self, key: &str) -> Option<Value<'_>> {
        self.spec("scalingStrategy").and_then(|strategy| strategy.get(key))
    }

    fn strategy(&mut self) -> Option<JobStrategy> {
        let name =
            self.of_strategy("strategy").map(|value| (value.span(), value.written().into_owned()));
        match name.as_ref().map_or("default", |(_, name)| name) {
            "default" | "" => Some(JobStrategy::Default),
            "accurate" => Some(JobStrategy::Accurate),
            "eager" => Some(JobStrategy::Eager),
            "custom" => self.custom(),
            other => {
                let place = name.as_ref().map_or(self.document.span(), |(place, _)| *place);
                let error = Diagnostic::error(place, format!("no strategy \"{other}\""));
                let error = error.with_hint(format!("there are {}", STRATEGIES.join(", ")));
                self.input.found.push(error.with_suggestion(other, STRATEGIES));
                None
            }
        }
    }

    fn custom(&mut self) -> Option<JobStrategy> {
        let deduction = self.of_strategy("customScalingQueueLengthDeduction");
        let deduction = deduction.and_then(Value::as_i64).unwrap_or(0);
        let part = self.of_strategy("customScalingRunningJobPercentage");
        let place = part.map_or(self.place("scalingStrategy"), Value::span);
        let running = part.and_then(|part| part.written().trim().parse::<f64>().ok());
        let running = running.filter(|running| running.is_finite());
        let Some(running) = running else {
            let message = "the strategy custom needs customScalingRunningJobPercentage, a number";
            let error = Diagnostic::error(place, message);
            self.input.found.push(error.with_hint("for example \"0.5\": half of what runs counts"));
            return None;
        };
        Some(JobStrategy::Custom { deduction, running })
    }

    fn together(&mut self) -> Option<Together> {
        let Some(value) = self.of_strategy("multipleScalersCalculation") else {
            return Some(Together::Max);
        };
        let (place, name) = (value.span(), value.written().into_owned());
        let known = TOGETHER.iter().find(|(known, _)| *known == name);
        if known.is_none() {
            let error = Diagnostic::error(place, format!("no calculation \"{name}\""));
            let all = TOGETHER.map(|(name, _)| name);
            let error = error.with_hint(format!("there are {}", all.join(", ")));
            self.input.found.push(error.with_suggestion(&name, all));
        }
        known.map(|(_, together)| *together)
    }

    fn pending_conditions(&mut self) -> Vec<PendingCondition> {
        let given = self.of_strategy("pendingPodConditions").into_iter().flat_map(Value::items);
        let given: Vec<_> =
            given.map(|value| (value.span(), value.written().into_owned())).collect();
        let mut all = Vec::new();
        for (place, name) in given {
            match name.as_str() {
                "PodScheduled" => all.push(PendingCondition::PodScheduled),
                "Ready" | "ContainersReady" => all.push(PendingCondition::Ready),
                other => {
                    let known = ["PodScheduled", "ContainersReady", "Ready"];
                    let message = format!("the condition \"{other}\" of pods is not modelled");
                    let error = Diagnostic::error(place, message);
                    let error = error.with_hint(format!("modelled are {}", known.join(", ")));
                    self.input.found.push(error.with_suggestion(other, known));
                }
            }
        }
        all
    }

    /// Which matters when the ScaledJob changes, which it does not during a run.
    fn check_rollout(&mut self) {
        let strategy = self.spec("rollout").and_then(|rollout| rollout.get("strategy"));
        let strategy = strategy.or_else(|| self.spec("rolloutStrategy"));
        let Some(value) = strategy else { return };
        let (place, name) = (value.span(), value.written().into_owned());
        if !matches!(name.as_str(), "default" | "gradual") {
            let error = Diagnostic::error(place, format!("no rollout strategy \"{name}\""));
            let error = error.with_hint("there are default and gradual");
            self.input.found.push(error.with_suggestion(&name, ["default", "gradual"]));
        }
    }
}
