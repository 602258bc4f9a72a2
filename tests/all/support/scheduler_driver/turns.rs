//! The scheduler's loop: one attempt after another, its binding, its failure, its evictions.

use seatrial::base::Duration;
use seatrial::model::{NodeId, PodRef};
use seatrial::placement::plain::{Attempt, attempt};
use seatrial::placement::preemption::post_filter;
use seatrial::placement::{Failure, Nomination};
use seatrial::scheduler::{Outcome, Patch};
use serde_json::{Map, Value, json};

use super::super::corpus::int;

use super::{Driver, Due, EVICTION, FAILURE, REFUSED, end, micros, sorted};

impl Driver<'_> {
    pub(super) fn turn_once(&mut self) -> Result<(), String> {
        let Some(pod) = self.core.pop() else { return Ok(()) };
        if self.done.node_order.is_empty() {
            self.done.node_order = self.node_order();
        }
        self.turn = self.now + micros(int(self.case, "cycleDelayUs").unwrap_or(0));
        let name = self.pod_names[pod.id.index()].clone();
        let waiting = self.core.queue().get(pod).ok_or("it was popped")?;
        let (attempts, class, profile) = (waiting.attempts, waiting.class, waiting.profile);
        let placer = self.core.placer();
        let start = placer.start();
        let of = placer.applicant(pod, class);
        let world = placer.world(usize::from(profile), &self.objects.names);
        let plain = attempt(&of, &world, start);
        let is_rejected = plain.chosen.is_none() && plain.error.is_none();
        let search = is_rejected.then(|| post_filter(&plain, &of, &world).preemption).flatten();
        // Those that are ending already are listed too, and not evicted again.
        let chosen = search.and_then(|search| {
            search.candidates.into_iter().find(|candidate| Some(candidate.node) == search.chosen)
        });
        let victims = chosen.map(|chosen| chosen.victims.iter().map(|v| v.pod).collect::<Vec<_>>());
        let mut line = Map::new();
        line.insert("atUs".into(), json!(self.since_zero(self.now)));
        line.insert("pod".into(), json!(name));
        line.insert("attempt".into(), json!(attempts));
        line.insert("startIndex".into(), json!(start));
        match self.core.attempt(pod, &self.objects.names) {
            Outcome::Skipped => Ok(()),
            Outcome::Assumed { node, .. } => {
                if plain.chosen != Some(node) {
                    return Err(format!("{name}: {node:?} fast, {:?} plain", plain.chosen));
                }
                self.scheduled(&mut line, node, &plain);
                self.bind(pod, &name, node, line)
            }
            Outcome::Failed(failure) => {
                self.turn += FAILURE;
                self.failed(pod, line, &failure, victims.as_deref())
            }
        }
    }

    fn scheduled(&self, line: &mut Map<String, Value>, node: NodeId, plain: &Attempt) {
        line.insert("result".into(), json!("scheduled"));
        line.insert("node".into(), json!(self.node_name(node)));
        let found = plain.feasible.len();
        line.insert("feasibleCount".into(), json!(found));
        line.insert("evaluated".into(), json!(found + plain.failed.len()));
        if let Some(scores) = &plain.scores {
            let best = scores.totals.iter().max().copied().unwrap_or(0);
            line.insert("total".into(), json!(best));
            let ties = scores.totals.iter().filter(|total| **total == best).count();
            if ties > 1 {
                line.insert("ties".into(), json!(ties));
            }
        }
    }

    fn bind(
        &mut self,
        pod: PodRef,
        name: &str,
        node: NodeId,
        line: Map<String, Value>,
    ) -> Result<(), String> {
        let node = self.node_name(node);
        let refused = self.refusals.get_mut(name).filter(|left| **left > 0);
        let is_refused = refused.map(|left| *left -= 1).is_some();
        self.done.attempts.push(Value::Object(line.clone()));
        if is_refused {
            let keep = |(key, _): &(String, Value)| {
                ["atUs", "pod", "attempt", "startIndex"].contains(&key.as_str())
            };
            let mut error: Map<String, Value> = line.into_iter().filter(keep).collect();
            error.insert("result".into(), json!("error"));
            error.insert("message".into(), json!(REFUSED));
            error.insert("startIndex".into(), json!(self.core.placer().start()));
            self.done.attempts.push(Value::Object(error));
            let patch = self.core.bind_failed(pod, REFUSED, &self.objects.names, self.now);
            return self.patch(name, patch);
        }
        self.bindings += 1;
        let seconds = 10 + self.bindings;
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let start = format!("2000-01-01T{hours:02}:{minutes:02}:{seconds:02}Z");
        self.core.bind_volumes(pod, &self.objects.names, self.now);
        self.change_pod(name, |object| {
            object["spec"]["nodeName"] = json!(node);
            object["status"]["startTime"] = json!(start);
            if let Some(status) = object["status"].as_object_mut() {
                status.remove("nominatedNodeName");
            }
        })
    }

    fn failed(
        &mut self,
        pod: PodRef,
        mut line: Map<String, Value>,
        failure: &Failure,
        victims: Option<&[PodRef]>,
    ) -> Result<(), String> {
        let name = self.pod_names[pod.id.index()].clone();
        let is_error = failure.plugins.is_empty() && !failure.message.starts_with("no nodes");
        line.insert("result".into(), json!(if is_error { "error" } else { "unschedulable" }));
        line.insert("message".into(), json!(*failure.message));
        if !failure.plugins.is_empty() {
            line.insert("rejectors".into(), json!(sorted(failure.plugins)));
        }
        let names = |pods: &[PodRef]| {
            pods.iter().map(|p| self.pod_names[p.id.index()].clone()).collect::<Vec<_>>()
        };
        if let (Nomination::Set(node), Some(victims)) = (failure.nomination, victims) {
            line.insert("nominatedNode".into(), json!(self.node_name(node)));
            line.insert("victims".into(), json!(names(victims)));
        }
        self.done.attempts.push(Value::Object(line));
        let cleared = names(&failure.cleared);
        let evicted = self.core.preempt(pod, failure);
        let evicted = names(&evicted);
        if !evicted.is_empty() {
            for pod in cleared {
                self.nominate(&pod, None)?;
            }
        }
        for victim in evicted {
            self.evict(&victim)?;
        }
        let patch = self.core.fail(pod, failure, self.now);
        self.patch(&name, patch)
    }

    fn evict(&mut self, name: &str) -> Result<(), String> {
        let Some(pod) = self.pods.get(name) else { return Ok(()) };
        let grace = int(&pod.object["spec"], "terminationGracePeriodSeconds").unwrap_or(30);
        let number = u64::try_from(self.done.evictions.len() + 1).map_err(|e| e.to_string())?;
        let extra = micros(int(self.case, "deletionDelayUs").unwrap_or(0));
        let grace = Duration::secs(grace.unsigned_abs());
        let gone = self.now + grace + extra + EVICTION * number;
        self.done.evictions.push(json!({
            "atUs": self.since_zero(self.now), "pod": name, "goneUs": self.since_zero(gone),
        }));
        let at = pod.at;
        self.later(gone, Due::Vanish(at));
        self.change_pod(name, |object| {
            let evicted = json!({
                "type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler",
            });
            match object["status"]["conditions"].as_array_mut() {
                Some(conditions) => conditions.push(evicted),
                None => object["status"]["conditions"] = json!([evicted]),
            }
            end(object);
        })
    }

    fn patch(&mut self, name: &str, patch: Option<Patch>) -> Result<(), String> {
        match patch.and_then(|patch| patch.nomination) {
            Some(node) => {
                let node = node.map(|node| self.node_name(node));
                self.nominate(name, node)
            }
            None => Ok(()),
        }
    }

    fn nominate(&mut self, name: &str, node: Option<String>) -> Result<(), String> {
        self.change_pod(name, |object| match (node, object["status"].as_object_mut()) {
            (None, Some(status)) => {
                status.remove("nominatedNodeName");
            }
            (None, None) => {}
            (Some(node), _) => object["status"]["nominatedNodeName"] = json!(node),
        })
    }
}
