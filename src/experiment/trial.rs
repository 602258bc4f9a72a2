//! Rollouts and drills of plain manifests, and what would have helped, tried.
//!
//! ```text
//! Plain ─ one run ─► how long it takes ─ all seeds ─► what failed, by cause
//!                                             └─ remedies, a round each for all workloads ─► what helps
//! ```
//!
//! Each round changes every workload whose calls failed by its own next remedy, over the same
//! seeds: workloads do not call each other here, so that one round tells of all of them.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::base::{Duration, cast};
use crate::engine::{SimError, World};
use crate::model::{Model, Workload};
use crate::record::Cause;
use crate::recorder::Recorder;
use crate::report::trial::{Drained, Numbers, Of, Report, Subject, Tried};
use crate::scenario::plain::{Fronted, Plain, Trial};
use crate::scenario::{Loaded, Refused};

use super::remedies::{Patient, Remedy, remedies, shared_claim};
use super::{Experiment, Options, run, stuck};

/// What the trial is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// All workloads roll at once, as after `helm upgrade`.
    Rollout,
    /// Each machine in turn is drained and comes back.
    Drain,
    /// A zone loses power for some minutes.
    ZoneLoss,
    /// A machine loses power for some minutes.
    NodeCrash,
}

/// How it is done.
#[derive(Debug)]
pub struct How {
    /// What.
    pub kind: Kind,
    /// Calls a second to each Service.
    pub rate: f64,
    /// How many runs.
    pub seeds: u32,
    /// Seed of the experiment.
    pub seed: u64,
    /// How many runs at once.
    pub jobs: usize,
    /// Whether all invariants are checked after every commit.
    pub checks: bool,
    /// Whether one workload rolls after another, not all at once.
    pub one_by_one: bool,
    /// Whether remedies are tried.
    pub tries: bool,
    /// Whether Services that are behind an Ingress are called without it.
    pub is_direct: bool,
    /// Whether workloads call each other as their manifests say.
    pub is_graph: bool,
    /// The machine or zone that is hit; `None`: that with the most pods behind Services (of
    /// drains: each machine in turn).
    pub at: Option<String>,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The plain cluster does not fit the manifests.
    #[error("the manifests do not run in a plain cluster")]
    Refused(Box<Refused>),
    /// What shall be hit is not there.
    #[error("{0}")]
    Nowhere(String),
    /// A run passed a limit.
    #[error("{0}")]
    Limit(#[from] SimError),
}

impl From<Box<Refused>> for TrialError {
    fn from(refused: Box<Refused>) -> Self {
        Self::Refused(refused)
    }
}

/// From one drained machine to the next.
const DRAIN_EVERY: Duration = Duration::secs(150);
/// How long a machine or zone is without power: pods are evicted after five minutes.
const OUTAGE: Duration = Duration::secs(8 * 60);
/// Time before the event that is measured too.
const QUIET: Duration = Duration::secs(30);
/// Horizons of the first run, after the start of the rollouts.
const HORIZONS: [Duration; 3] = [Duration::secs(180), Duration::secs(660), Duration::secs(1800)];

/// One who is looked at.
struct Watched<'a> {
    fronted: &'a Fronted,
    /// Its name in the report.
    name: String,
    about: String,
    of: Of,
}

/// The scenario of a trial as a file that `seatrial run` takes, without remedies.
///
/// # Errors
/// As [`conduct`].
pub fn scenario(plain: &Plain, how: &How) -> Result<String, TrialError> {
    let place = place(plain, how)?;
    let mut base = trial(plain, how, &place, HORIZONS[0]);
    if how.one_by_one {
        in_turn(plain, &mut base, HORIZONS[0]);
    }
    Ok(plain.scenario(&base) + &plain.stand_ins_as_comments())
}

/// Runs it. `progress` is told how many runs have ended, and how many there will be at most as far
/// as is known by then.
///
/// # Errors
/// If the plain cluster does not fit the manifests, what shall be hit is not there, or a run passes
/// a limit.
pub fn conduct(
    plain: &Plain,
    how: &How,
    progress: &(dyn Fn(u32, u32) + Sync),
) -> Result<Report, TrialError> {
    let place = place(plain, how)?;
    let mut base = trial(plain, how, &place, HORIZONS[0]);
    if how.kind == Kind::Rollout {
        base.until = horizon(plain, how)?;
        if how.one_by_one {
            let each = base.until - plain.settled();
            in_turn(plain, &mut base, each);
        }
    }
    let loaded = plain.load(&base)?;
    let model = Arc::clone(&loaded.model);
    let watched = watched(plain, how, &model);
    let experiment = experiment(&loaded, how, how.seeds, &|ended| progress(ended, how.seeds))?;
    let mut subjects: Vec<Subject> = watched
        .iter()
        .map(|own| Subject {
            name: own.name.clone(),
            about: own.about.clone(),
            note: note(&plain.loaded.model, own.fronted),
            now: Numbers::of(&experiment.summary, &own.of),
            tried: Vec::new(),
        })
        .collect();
    if how.tries {
        let ill: Vec<Vec<Remedy>> = (watched.iter().zip(&subjects))
            .map(|(own, subject)| remedies_of(own, subject, &plain.loaded.model, how.kind))
            .collect();
        let rounds = ill.iter().map(Vec::len).max().unwrap_or(0);
        let all = how.seeds.saturating_mul(cast::u32_of(rounds).saturating_add(1));
        for round in 0..rounds {
            let before = how.seeds.saturating_mul(cast::u32_of(round).saturating_add(1));
            let told = |ended: u32| progress(before.saturating_add(ended), all);
            told(0);
            // Where a small change was enough, larger ones are not tried.
            let wants = |remedy: &&Remedy, subject: &Subject| {
                remedy.retries || !subject.tried.iter().any(|tried| tried.numbers.is_clean())
            };
            let given: Vec<Option<&Remedy>> = (ill.iter().zip(&subjects))
                .map(|(all, subject)| all.get(round).filter(|remedy| wants(remedy, subject)))
                .collect();
            if given.iter().all(Option::is_none) {
                continue;
            }
            try_round((plain, how, &base), (&watched, &given), &mut subjects, &told)?;
        }
    }
    let what = match how.kind {
        Kind::Rollout if how.one_by_one => "one after another".to_owned(),
        Kind::Rollout => "all at once".to_owned(),
        Kind::Drain if how.at.is_some() => format!("node {place} drained"),
        Kind::Drain => "each node drained in turn".to_owned(),
        Kind::ZoneLoss => format!("zone {place}, one of three, without power for 8 min"),
        Kind::NodeCrash => format!("node {place} without power for 8 min"),
    };
    let (to, graph) = match how.is_graph {
        true if plain.edges.is_empty() => (
            "each service",
            "\nno workload names a service of another one in env or args".to_owned(),
        ),
        true => (
            "each service that no other workload calls",
            format!("\neach call leads to one of each: {}", plain.graph_text()),
        ),
        false => ("each service", String::new()),
    };
    let about = format!(
        "{}, {what} · {} · {} calls/s to {to} · {}{}{graph}",
        crate::base::text::counted(cast::u64_of(subjects.len()), noun(how.kind)),
        crate::base::text::counted(u64::from(how.seeds), "run"),
        how.rate,
        plain.machines(),
        plain.assumed(),
    );
    let title = if how.kind == Kind::Rollout { "ROLLOUT" } else { "DRILL" }.to_owned();
    let is_stuck = |subject: &Subject| !subject.now.is_complete() || subject.now.is_dead();
    let stuck: Vec<&str> = (watched.iter().zip(&subjects))
        .filter(|(_, subject)| is_stuck(subject))
        .map(|(own, _)| own.fronted.target.as_str())
        .collect();
    let notes = stuck::why_all(&model, stuck)?;
    let drained = (how.kind == Kind::Drain)
        .then(|| Drained::of(&experiment.summary, &experiment.facts, drained_nodes(plain, how)));
    Ok(Report {
        title,
        about,
        seeds: how.seeds,
        subjects,
        others: plain.others.clone(),
        assumed: plain.stand_ins.clone(),
        drained,
        notes,
    })
}

/// How many machines a drill drains.
fn drained_nodes(plain: &Plain, how: &How) -> u32 {
    if how.at.is_some() { 1 } else { plain.nodes() }
}

const fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::Rollout => "workload",
        Kind::Drain | Kind::ZoneLoss | Kind::NodeCrash => "service",
    }
}

/// Runs one remedy of each and keeps what came. If they do not fit together, those are left out
/// that do not fit alone.
fn try_round(
    (plain, how, base): (&Plain, &How, &Trial),
    (watched, given): (&[Watched<'_>], &[Option<&Remedy>]),
    subjects: &mut [Subject],
    progress: &(dyn Fn(u32) + Sync),
) -> Result<(), TrialError> {
    let mut given = given.to_vec();
    let mut changed = with(base, watched, &given, how.kind);
    let mut loaded = plain.load(&changed);
    if loaded.is_err() {
        for index in 0..given.len() {
            let mut alone = vec![None; given.len()];
            alone[index] = given[index];
            if given[index].is_some() && plain.load(&with(base, watched, &alone, how.kind)).is_err()
            {
                given[index] = None;
            }
        }
        changed = with(base, watched, &given, how.kind);
        loaded = plain.load(&changed);
    }
    let Ok(loaded) = loaded else { return Ok(()) };
    let experiment = experiment(&loaded, how, how.seeds, progress)?;
    for ((own, remedy), subject) in watched.iter().zip(&given).zip(subjects) {
        if let Some(remedy) = remedy {
            subject.tried.push(Tried {
                about: remedy.about.clone(),
                sets: remedy.sets.clone(),
                numbers: Numbers::of(&experiment.summary, &own.of),
            });
        }
    }
    Ok(())
}

/// The trial with the remedies of some.
fn with(base: &Trial, watched: &[Watched<'_>], given: &[Option<&Remedy>], kind: Kind) -> Trial {
    let mut trial = base.clone();
    let mut treated: Vec<Workload> = Vec::new();
    for (own, remedy) in watched.iter().zip(given) {
        let Some(remedy) = remedy else { continue };
        if remedy.retries {
            trial.retried.extend(own.fronted.services.iter().cloned());
        }
        // A workload behind two Services is changed once.
        if !treated.contains(&own.fronted.workload) {
            treated.push(own.fronted.workload);
            trial.sets.extend(remedy.sets.iter().cloned());
            trial.behaviors.extend(remedy.behaviors.iter().cloned());
            trial.objects.extend(remedy.objects.iter().cloned());
        }
    }
    if kind == Kind::Rollout {
        // Pods that stop later make a rollout longer.
        trial.until += Duration::secs(180);
    }
    trial
}

fn remedies_of(own: &Watched<'_>, subject: &Subject, model: &Model, kind: Kind) -> Vec<Remedy> {
    let is_complete = subject.now.is_complete();
    if subject.now.failed_mean() <= 0.0 && (is_complete || subject.note.is_none()) {
        return Vec::new();
    }
    let causes: Vec<Cause> = subject.now.causes.iter().map(|(cause, _)| *cause).collect();
    remedies(&Patient { model, fronted: own.fronted, causes: &causes, kind, is_complete })
}

/// Why more pods cannot help, where that is so.
fn note(model: &Model, fronted: &Fronted) -> Option<String> {
    let claim = shared_claim(model, fronted)?;
    Some(format!(
        "its pods share the claim {claim}, which one node can use at a time: a second pod waits for \
         the first one's end unless it is on the same node"
    ))
}

fn watched<'a>(plain: &'a Plain, how: &How, model: &Model) -> Vec<Watched<'a>> {
    let kind = how.kind;
    let through = |services: &[String]| {
        let of = services.iter().filter_map(|own| plain.ingress_of(how.is_direct, own));
        let mut all: Vec<&str> = of.map(|(ingress, _)| ingress).collect();
        all.dedup();
        let text = all.join(", ");
        if all.is_empty() { text } else { format!(", through {text}") }
    };
    let mut all = Vec::new();
    for fronted in &plain.fronted {
        // Symbols are those of the first look: the same names have others in each model.
        let first = &plain.loaded.model;
        let texts = |workload: Workload| {
            let name = |symbol| first.names.resolve(symbol);
            (name(workload.name.namespace).to_owned(), name(workload.name.name).to_owned())
        };
        let (namespace, name) = texts(fronted.workload);
        let own = model.rolling().find(|own| {
            own.kind == fronted.workload.kind
                && model.names.resolve(own.name.namespace) == namespace
                && model.names.resolve(own.name.name) == name
        });
        if kind == Kind::Rollout {
            let of = own.and_then(|own| Of::rollout(model, own));
            all.extend(of.map(|of| Watched {
                fronted,
                name: fronted.target.clone(),
                about: format!(
                    "behind {}{}",
                    fronted.services.join(", "),
                    through(&fronted.services)
                ),
                of,
            }));
            continue;
        }
        for service in &fronted.services {
            let is_it = |own: &&crate::model::ServiceSpec| {
                own.name.of_kind("service", &model.names) == *service
            };
            let spec = model.services.iter().find(is_it);
            let of = spec.and_then(|spec| Of::service(model, spec.name));
            all.extend(of.map(|of| Watched {
                fronted,
                name: service.clone(),
                about: format!("of {}{}", fronted.target, through(std::slice::from_ref(service))),
                of,
            }));
        }
    }
    all
}

/// The machine or zone that a drill hits: the one that is asked for, else that on which most pods
/// behind Services stand in the first run before anything happens; of equal ones the first by
/// number or name.
fn place(plain: &Plain, how: &How) -> Result<String, TrialError> {
    let machine = |node: u32| format!("workers-{node}");
    let (what, all): (&str, Vec<String>) = match how.kind {
        Kind::ZoneLoss => ("zone", ["a", "b", "c"].map(str::to_owned).into()),
        Kind::Rollout | Kind::Drain | Kind::NodeCrash => {
            ("node", (0..plain.nodes()).map(machine).collect())
        }
    };
    if let Some(at) = &how.at {
        let message = || format!("there is no {what} {at}: there are {}", all.join(", "));
        let found = all.iter().find(|place| *place == at).cloned();
        return found.ok_or_else(|| TrialError::Nowhere(message()));
    }
    if matches!(how.kind, Kind::Rollout | Kind::Drain) {
        return Ok(all[0].clone());
    }
    let mut quiet = trial(plain, how, &all[0], HORIZONS[0]);
    quiet.timeline.clear();
    (quiet.until, quiet.warmup) = (plain.settled(), Duration::ZERO);
    let model = plain.load(&quiet)?.model;
    let cluster = World::new(&model, 0, Recorder::off()).run()?.cluster;
    let names = cluster.names();
    let mut counts = vec![0_u32; all.len()];
    for (_, pod) in cluster.pods().iter() {
        let Some(node) = pod.node.map(|node| &cluster.nodes()[node].spec) else { continue };
        let place = match how.kind {
            Kind::ZoneLoss => node.zone.map_or("", |zone| names.resolve(zone)),
            Kind::Rollout | Kind::Drain | Kind::NodeCrash => names.resolve(node.name),
        };
        if !cluster.template_of(pod).services.is_empty()
            && let Some(at) = all.iter().position(|known| known == place)
        {
            counts[at] += 1;
        }
    }
    let most = counts.iter().max().copied().unwrap_or(0);
    let at = counts.iter().position(|count| *count == most).unwrap_or(0);
    Ok(all[at].clone())
}

/// What happens, without remedies, and where.
fn trial(plain: &Plain, how: &How, place: &str, horizon: Duration) -> Trial {
    let start = plain.settled();
    let at = |after: Duration, key: &str, value: Value| json!({ "at": (start + after).go_text(), key: value });
    let fault = |after, key: &str, place: Value| at(after, "fault", json!({ key: place }));
    let (timeline, until): (Vec<Value>, Duration) = match how.kind {
        Kind::Rollout => {
            let roll = |fronted: &Fronted| {
                at(
                    Duration::ZERO,
                    "run",
                    format!("kubectl rollout restart {}", fronted.kubectl).into(),
                )
            };
            (plain.fronted.iter().map(roll).collect(), horizon)
        }
        Kind::Drain => {
            let mut all = Vec::new();
            let nodes: Vec<String> = match how.at {
                Some(_) => vec![place.to_owned()],
                None => (0..plain.nodes()).map(|node| format!("workers-{node}")).collect(),
            };
            let count = cast::u64_of(nodes.len());
            for (node, after) in nodes.into_iter().zip((0..).map(|turn| DRAIN_EVERY * turn)) {
                let drain = format!(
                    "kubectl drain {node} --ignore-daemonsets --delete-emptydir-data \
                     --force --timeout=120s"
                );
                all.push(at(after, "run", drain.into()));
                let back = format!("kubectl uncordon {node}");
                all.push(at(after + Duration::secs(130), "run", back.into()));
            }
            (all, DRAIN_EVERY * count)
        }
        Kind::ZoneLoss => {
            let place = json!({ "zone": place });
            let all = vec![
                fault(Duration::ZERO, "crash", place.clone()),
                fault(OUTAGE, "recover", place),
            ];
            (all, OUTAGE + Duration::secs(60))
        }
        Kind::NodeCrash => {
            let place = json!({ "node": place });
            let all = vec![
                fault(Duration::ZERO, "crash", place.clone()),
                fault(OUTAGE, "recover", place),
            ];
            (all, OUTAGE + Duration::secs(60))
        }
    };
    Trial {
        name: match how.kind {
            Kind::Rollout => "rollout",
            Kind::Drain => "drill-drain",
            Kind::ZoneLoss => "drill-zone-loss",
            Kind::NodeCrash => "drill-node-crash",
        }
        .to_owned(),
        rate: how.rate,
        timeline,
        warmup: start - QUIET,
        until: start + until,
        seed: how.seed,
        is_direct: how.is_direct,
        is_graph: how.is_graph,
        ..Trial::default()
    }
}

/// One rollout after another: each has as long as all together would take.
fn in_turn(plain: &Plain, trial: &mut Trial, each: Duration) {
    let start = plain.settled();
    let mut at = start;
    for entry in &mut trial.timeline {
        entry["at"] = at.go_text().into();
        at += each;
    }
    trial.until = at.max(start + each);
}

/// When all rollouts should have ended: found by one run.
fn horizon(plain: &Plain, how: &How) -> Result<Duration, TrialError> {
    let start = plain.settled();
    let mut until = Duration::ZERO;
    for horizon in HORIZONS {
        let loaded = plain.load(&trial(plain, how, "", horizon))?;
        let one = experiment(&loaded, how, 1, &|_| {})?;
        let watched = watched(plain, how, &loaded.model);
        let all: Vec<Numbers> =
            watched.iter().map(|own| Numbers::of(&one.summary, &own.of)).collect();
        let longest = all.iter().filter_map(|own| own.duration.as_ref()?.value).fold(0.0, f64::max);
        until = start + horizon;
        if all.iter().all(Numbers::is_complete) {
            let usual = Duration::from_secs_f64(longest * 1.5) + Duration::secs(40);
            return Ok((start + usual).min(until));
        }
    }
    Ok(until)
}

fn experiment(
    loaded: &Loaded,
    how: &How,
    seeds: u32,
    progress: &(dyn Fn(u32) + Sync),
) -> Result<Experiment, TrialError> {
    let options = Options {
        replications: seeds,
        jobs: how.jobs,
        checks: how.checks,
        ..Options::of(&loaded.model)
    };
    Ok(run(&loaded.model, options, progress)?)
}
