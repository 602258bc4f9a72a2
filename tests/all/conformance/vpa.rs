//! The recommender of the VerticalPodAutoscaler, loop by loop: samples, OOM kills, restarts from
//! checkpoints (rules A77 to A100).

use seatrial::api;
use seatrial::autoscalers::vpa::{
    Checkpoint, Estimation, PodLook, Recommendation, Recommender, UsageSample,
};
use seatrial::base::{Duration, Interner, Quantity, SimTime};
use seatrial::model::{Amounts, VpaSpec};
use serde_json::Value;

use crate::support::corpus::run_corpus;

/// Samples may be from before the start: all times are moved by so many whole days.
const MOVED_MS: i64 = 100 * 86_400_000;

#[test]
fn conformance_vpa_recommendations() {
    run_corpus("vpa", "recommendations", lived);
}

fn at(ms: &Value) -> SimTime {
    let moved = ms.as_i64().expect("a time") + MOVED_MS;
    SimTime::at(Duration::ms(u64::try_from(moved).expect("after the moved start")))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The recommender of a case and what is needed to tell it things.
struct Life<'a> {
    case: &'a Value,
    names: Interner,
    spec: VpaSpec,
    settings: Estimation,
    recommender: Recommender<usize, usize>,
    written: Checkpoint,
    /// Label sets seen, by their place.
    groups: Vec<&'a Value>,
}

fn lived(case: &Value) -> Result<(), String> {
    let mut names = Interner::new();
    let spec = api::lower_vpa(&case["vpa"], &mut names);
    let mut life = Life {
        case,
        names,
        spec,
        settings: settings(&case["settings"]),
        recommender: Recommender::default(),
        written: Checkpoint::new(),
        groups: Vec::new(),
    };
    for (number, now) in list(&case["loops"]).iter().enumerate() {
        let ours = life.turn(now);
        life.compare(&ours, now).map_err(|how| format!("loop {number} at {}: {how}", now["t"]))?;
    }
    Ok(())
}

fn settings(of: &Value) -> Estimation {
    let default = Estimation::default();
    let number = |key: &str, or: f64| of[key].as_f64().unwrap_or(or);
    let target = number("targetPercentile", default.cpu_percentile);
    // Names of the optional flags are told by their parts.
    let flags = || of.as_object().into_iter().flatten();
    let max = |resource: &str| {
        let is_it = |key: &str| key.contains("max") && key.contains(resource);
        flags().find(|(key, _)| is_it(&key.to_lowercase())).map(|(_, value)| value.clone())
    };
    Estimation {
        margin: number("recommendationMarginFraction", default.margin),
        cpu_percentile: target,
        memory_percentile: target,
        round_cpu: of["roundCpuMillicores"].as_i64().unwrap_or(default.round_cpu),
        round_memory: of["roundMemoryBytes"].as_i64().unwrap_or(default.round_memory),
        max: Amounts {
            cpu: max("cpu").and_then(|value| quantity(&value)).map(|q| q.milli_value()),
            memory: max("memory").and_then(|value| quantity(&value)).map(|q| q.value()),
        },
        whole_cores: flags()
            .any(|(key, value)| key.to_lowercase().contains("integer") && *value == true),
        ..default
    }
}

fn quantity(value: &Value) -> Option<Quantity> {
    Quantity::parse(value.as_str()?).ok()
}

impl<'a> Life<'a> {
    /// One loop of the recommender.
    fn turn(&mut self, turn: &'a Value) -> Vec<Recommendation> {
        let now = at(&turn["t"]);
        if turn["restart"] == true {
            self.recommender = Recommender::restarted(&self.written, now);
        }
        let pods = self.pods(turn);
        self.recommender.list(&pods, now);
        for sample in list(&turn["samples"]) {
            let used = |value: &Value| value.as_i64().filter(|value| *value >= 0);
            let sample = UsageSample {
                pod: self.pod(&sample[0]),
                container: self.names.intern(sample[1].as_str().expect("a container")),
                at: at(&sample[2]),
                cpu: used(&sample[3]),
                memory: used(&sample[4]),
            };
            self.recommender.sample(&sample);
        }
        for oom in list(&turn["ooms"]) {
            let container = self.names.intern(oom["container"].as_str().expect("a container"));
            let request = oom["memoryRequestBytes"].as_i64().unwrap_or(0);
            let pod = self.pod(&oom["pod"]);
            self.recommender.oom(pod, container, request, at(&oom["timestampMs"]));
        }
        let ours = self.recommender.recommend(&self.settings, &self.spec, now);
        self.written = self.recommender.checkpoint(now);
        self.recommender.collect(now);
        ours
    }

    fn pod(&self, name: &Value) -> usize {
        let pods = list(&self.case["pods"]);
        pods.iter().position(|pod| pod["name"] == *name).unwrap_or(usize::MAX)
    }

    fn pods(&mut self, turn: &Value) -> Vec<PodLook<usize, usize>> {
        let now = turn["t"].as_i64().expect("a time");
        let mut looks = Vec::new();
        for pod in list(&self.case["pods"]) {
            let span = |key: &str| pod[key].as_i64().expect("a time");
            if now < span("fromMs") || now >= span("toMs") || pod["labels"]["app"] != "web" {
                continue;
            }
            let labels = &pod["labels"];
            let known = self.groups.iter().position(|group| *group == labels);
            let group = known.unwrap_or(self.groups.len());
            if known.is_none() {
                self.groups.push(labels);
            }
            let containers = pod["requests"].as_object().into_iter().flatten();
            let containers = containers.map(|(name, _)| self.names.intern(name)).collect();
            looks.push(PodLook { pod: self.pod(&pod["name"]), group, containers });
        }
        looks
    }

    fn compare(&self, ours: &[Recommendation], turn: &Value) -> Result<(), String> {
        let Some(conditions) = turn["conditions"].as_object() else {
            return Ok(());
        };
        let matched = self.recommender.has_pods();
        let provided = match (ours.is_empty(), matched) {
            (false, _) => "True",
            (true, true) => "False",
            (true, false) => "False/NoPodsMatched",
        };
        let none = conditions.get("NoPodsMatched").is_some_and(|c| *c == "True/NoPodsMatched");
        if conditions["RecommendationProvided"] != provided || none == matched {
            return Err(format!("{provided}, matched {matched}, not {conditions:?}"));
        }
        let theirs = list(&turn["recommendation"]);
        if theirs.len() != ours.len() {
            return Err(format!("{} containers, not {}", ours.len(), theirs.len()));
        }
        for recorded in theirs {
            let name = recorded["containerName"].as_str().unwrap_or("");
            let own = ours.iter().find(|own| self.names.resolve(own.container) == name);
            let own = own.ok_or_else(|| format!("nothing for {name}"))?;
            same(name, own, recorded)?;
        }
        Ok(())
    }
}

fn same(name: &str, own: &Recommendation, recorded: &Value) -> Result<(), String> {
    let four = [
        ("target", own.target),
        ("lowerBound", own.lower),
        ("upperBound", own.upper),
        ("uncappedTarget", own.uncapped),
    ];
    for (key, amounts) in four {
        let theirs = Amounts {
            cpu: quantity(&recorded[key]["cpu"]).map(|q| q.milli_value()),
            memory: quantity(&recorded[key]["memory"]).map(|q| q.value()),
        };
        if amounts != theirs {
            return Err(format!("{name} {key}: {amounts:?}, not {theirs:?}"));
        }
    }
    Ok(())
}
