//! Cluster Autoscaler over many iterations. What the environment did is replayed; what the
//! autoscaler did to it is compared, besides what its iterations say.

use seatrial::autoscalers::cluster_autoscaler::ClusterAutoscaler;
use seatrial::base::SimTime;
use seatrial::model::Profile;
use seatrial::placement::Catalog;
use serde_json::{Map, Value, json};

use super::node_autoscaling::{START, agree, natural, options, told};
use super::node_autoscaling_world::{CAUSED, Ms, Recorded, World, at, ms};
use crate::support::corpus::{Verdict, int, judge_share, text};
use crate::support::scheduler_case::list;

fn milliseconds(at: SimTime) -> Ms {
    i64::try_from(at.since_start().saturating_sub(START).as_nanos() / 1_000_000).expect("soon")
}

fn check(case: &Value) -> Result<(), String> {
    let (profile, catalog) = (Profile::default(), Catalog::default());
    let options = options(case)?;
    let mut world = World::new(case, options.clone());
    let cordons = options.cordons;
    let mut autoscaler = ClusterAutoscaler::new(options);
    let first = int(case, "firstLoop").unwrap_or(0);
    let (interval, count) = (int(case, "interval").unwrap_or(10), int(case, "loops").unwrap_or(1));
    let mut expected = list(&case["expect"], "loops").iter();
    let mut last: Map<String, Value> = Map::new();
    for number in 0..count {
        let t = first + number * interval;
        while let Some(due) =
            autoscaler.next_step().map(milliseconds).filter(|due| *due <= t * 1_000)
        {
            world.advance(due);
            step(&mut world, &mut autoscaler, (&profile, &catalog));
        }
        world.advance(t * 1_000);
        let view = world.view(&profile, &catalog);
        let mut names = std::mem::take(&mut world.reader.objects.names);
        let iteration = autoscaler.run_once(&view, &mut world, &mut names);
        world.reader.objects.names = names;
        world.start(&iteration, cordons);
        let names = &world.reader.objects.names;
        let ours = told(&iteration, &autoscaler, (&view, &world.groups), (t, names));
        let mut as_before = last.clone();
        as_before.insert("t".to_owned(), t.into());
        if ours != as_before || number + 1 == count {
            let theirs = expected.next().ok_or_else(|| format!("t {t}: nothing more recorded"))?;
            agree(&ours, theirs).map_err(|how| format!("t {t}: {how}"))?;
        }
        last = ours;
    }
    if let Some(problem) = world.problem {
        return Err(problem);
    }
    same_causes(&world)
}

fn step(
    world: &mut World<'_>,
    autoscaler: &mut ClusterAutoscaler,
    (profile, catalog): (&Profile, &Catalog),
) {
    let view = world.view(profile, catalog);
    let names = std::mem::take(&mut world.reader.objects.names);
    let mut asked = Recorded {
        events: world.events.clone(),
        now: world.now,
        answers: Vec::new(),
        done: world.done.clone(),
        texts: world.texts.clone(),
        problem: None,
    };
    let released = autoscaler.advance(&view, world, &mut asked, &names);
    world.reader.objects.names = names;
    world.done = asked.done.union(&world.done).copied().collect();
    if world.problem.is_none() {
        world.problem = asked.problem;
    }
    for (event, name) in asked.answers {
        world.cause_at(ms(event), text(event, "ev").unwrap_or_default(), json!({"name": name}));
        if event["ev"] == "evicted"
            && let Some(pod) = world.pods.get_mut(&natural(&name))
        {
            pod.traits.deletion = Some(at(ms(event)));
        }
    }
    for node in released {
        world.release(node);
    }
}

/// Whether the autoscaler did to the world what it did in the recording.
fn same_causes(world: &World<'_>) -> Result<(), String> {
    let plain = |event: &Value, t: Ms| {
        let mut of = json!({"ev": event["ev"], "t": t / 1_000});
        for key in ["name", "group", "n"] {
            if !event[key].is_null() {
                of[key] = event[key].clone();
            }
        }
        if event["ev"] == "evicted" || event["ev"] == "evictionRefused" {
            of["t"] = t.into();
            of["group"] = Value::Null;
        }
        of.to_string()
    };
    let counts = |event: &&Value| {
        let kind = text(event, "ev").unwrap_or_default();
        CAUSED.contains(&kind) || kind == "evicted"
    };
    let theirs: Vec<String> =
        world.events.iter().copied().filter(counts).map(|e| plain(e, ms(e))).collect();
    let ours: Vec<String> = world
        .caused
        .iter()
        .map(|event| plain(event, event["t"].as_i64().expect("milliseconds")))
        .collect();
    let missing = theirs.iter().find(|event| !ours.contains(event));
    let added = ours.iter().find(|event| !theirs.contains(event));
    match (missing, added) {
        (None, None) => Ok(()),
        (missing, added) => Err(format!("events: missing {missing:?}, ours alone {added:?}")),
    }
}

fn judge(file: &str, differing_max: usize) {
    judge_share("node-autoscaling", file, differing_max, |case| match check(case) {
        Ok(()) => Verdict::Agreed,
        Err(how) => Verdict::Differs(how),
    });
}

#[test]
fn conformance_autoscaling_up_basic() {
    judge("ca-up-basic", 0);
}

#[test]
fn conformance_autoscaling_up_filters() {
    judge("ca-up-filters", 0);
}

#[test]
fn conformance_autoscaling_up_failures() {
    judge("ca-up-failures", 0);
}

#[test]
fn conformance_autoscaling_up_limits() {
    judge("ca-up-limits", 0);
}

#[test]
fn conformance_autoscaling_down_empty() {
    judge("ca-down-empty", 0);
}

#[test]
fn conformance_autoscaling_down_drain() {
    judge("ca-down-drain", 0);
}

#[test]
fn conformance_autoscaling_down_blocked() {
    judge("ca-down-blocked", 0);
}

#[test]
fn conformance_autoscaling_down_cooldown() {
    judge("ca-down-cooldown", 0);
}

#[test]
fn conformance_autoscaling_down_unready() {
    judge("ca-down-unready", 0);
}

#[test]
fn conformance_autoscaling_mixed() {
    judge("ca-mixed", 0);
}
