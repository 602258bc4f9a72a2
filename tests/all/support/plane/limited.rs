//! Cases whose controllers have limited clients: these are the engine's, and so is the world. Only
//! scheduler and kubelets follow the script.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use seatrial::api;
use seatrial::base::{Distribution, Duration, SimTime};
use seatrial::cluster::{
    Change, Cluster, Component, Controller, KubeletEvent, Off, Phase, Plan, PodStatus, Write,
};
use seatrial::controllers::{DeploymentController, ReplicaSetController};
use seatrial::engine::{Roles, World};
use seatrial::event::{Event, KubeletStep, SchedulerEvent};
use seatrial::model::{Latencies, Model, ObjectName, PodRef};
use seatrial::recorder::Recorder;
use seatrial::sim::{Ctx, Streams};
use serde_json::Value;

use super::actor::{Actor, Uids};
use super::case::{Case, list, merge, ms, text};
use super::names::Names;
use super::ops::kind_of;
use super::{Timeline, model_of, records};

/// Delays in milliseconds by image and name.
type Behave = BTreeMap<String, BTreeMap<String, u64>>;

fn delay(behave: &Behave, pod: PodRef, cluster: &Cluster, name: &str) -> Duration {
    let image = cluster.pod(pod).map(|row| {
        let image = cluster.template_of(row).template.spec.containers[0].image;
        cluster.names().resolve(image)
    });
    let rules = image.and_then(|image| behave.get(image));
    Duration::ms(rules.and_then(|rules| rules.get(name)).copied().unwrap_or(0))
}

/// Binds each pod after its delay to the node with the fewest.
struct Binder(Behave);

/// What is drawn of the order of what happens at one instant: how late pods are.
struct Chance {
    draw: u32,
    rng: ChaCha8Rng,
}

impl Chance {
    /// Nanoseconds between two things of one instant.
    fn blink(&mut self) -> Duration {
        const LATEST: [u64; 5] = [0, 300, 1000, 4000, 20_000];
        let latest = LATEST[self.draw as usize % LATEST.len()];
        Duration::ns(if latest == 0 { 0 } else { self.rng.random_range(0..latest) })
    }
}

impl Component<SchedulerEvent> for Binder {
    fn observe(&mut self, change: &Change, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        if let Change::PodAdded { pod, .. } = change {
            let delay = delay(&self.0, *pod, cluster, "bind_ms");
            ctx.after(delay, Event::Scheduler(SchedulerEvent::Bind(*pod)));
        }
    }

    fn handle(
        &mut self,
        event: SchedulerEvent,
        cluster: &Cluster,
        plan: &mut Plan,
        _: &mut Ctx<'_>,
    ) {
        let SchedulerEvent::Bind(pod) = event else { return };
        let is_there = cluster.pod(pod).is_some();
        let fewest = cluster.nodes().enumerate().min_by_key(|(id, node)| (node.pods.len(), *id));
        if let Some((node, _)) = fewest.filter(|_| is_there) {
            plan.push(Write::BindPod { pod, node });
        }
    }
}

/// Starts each pod, makes it ready and lets it end, after its delays.
struct Starter(Behave, Chance);

impl seatrial::cluster::KubeletRole for Starter {}

impl Component<KubeletEvent> for Starter {
    fn observe(&mut self, change: &Change, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let (pod, name, step) = match change {
            Change::PodBound { pod, .. } => (*pod, "start_ms", KubeletStep::Admit),
            Change::PodDeleting { pod, .. } => {
                let is_bound = cluster.pod(*pod).is_some_and(|row| row.node.is_some());
                let name = if is_bound { "term_ms" } else { "" };
                (*pod, name, KubeletStep::Kill)
            }
            _ => return,
        };
        let delay = delay(&self.0, pod, cluster, name) + self.1.blink();
        ctx.after(delay, Event::Kubelet { pod, step });
    }

    fn handle(
        &mut self,
        event: KubeletEvent,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) {
        let KubeletEvent::Pod(pod, step) = event else { return };
        let Some(row) = cluster.pod(pod) else { return };
        if step == KubeletStep::Kill {
            return plan.push(Write::RemovePod { pod });
        }
        if row.deletion.is_some() {
            return;
        }
        let wait = delay(&self.0, pod, cluster, "ready_ms");
        // A pod that runs already is seen again when it is ready.
        let ready = row.status.phase == Phase::Running || wait.is_zero();
        if !ready {
            ctx.after(wait, Event::Kubelet { pod, step: KubeletStep::Admit });
        }
        let now = Some(ctx.now());
        let started = row.status.started.or(now);
        let status = PodStatus {
            phase: Phase::Running,
            ip: Some(seatrial::base::Ip::LOCALHOST),
            start_time: started,
            started,
            ready,
            ..row.status
        };
        plan.push(Write::PodStatus { pod, status });
    }
}

/// Runs a case to its horizon; what was there after each slot.
///
/// What upstream leaves to chance within one instant is drawn, another way with each `draw`: in all
/// but the first one calls, watches or pods take some microseconds longer.
pub(super) fn run(case: &Case<'_>, draw: u32) -> Result<Timeline, String> {
    let model = model_of(case);
    let mut model = Model::clone(&model);
    model.latencies = Latencies { limited_clients: true, ..Latencies::ideal() };
    let blink = Distribution::Uniform { low: 0.0, high: 1e-6 };
    if draw % 2 == 1 {
        model.latencies.watch = blink.clone();
    }
    if draw % 3 == 1 {
        model.latencies.api_write = blink;
    }
    let model = Arc::new(model);
    let streams = Streams { seed: 1, replication: draw };
    let roles = roles(case, &model, &streams);
    let mut world = World::with_roles(&model, streams, roles, Recorder::off());
    let mut names = Names::new(case);
    let actor = Actor::new(case, Uids::new());
    let mut timeline = Timeline::new();
    world.begin();
    let mut ops = case.ops.iter().peekable();
    for slot in 0..case.horizon / case.grid {
        let (from, to) = (slot * case.grid, (slot + 1) * case.grid);
        while let Some((_, op)) = ops.next_if(|(_, op)| ms(&op["t"]) < to) {
            let at = SimTime::ZERO + Duration::ms(ms(&op["t"]));
            world.advance_to(at);
            operate(&mut world, op)?;
        }
        world.step_until(SimTime::ZERO + Duration::ms(to));
        names.learn(world.cluster());
        let records = records::records(world.cluster(), &names, &actor);
        let is_new = timeline.last_key_value().is_none_or(|(_, last)| *last != records);
        if is_new {
            timeline.insert(from, records);
        }
    }
    Ok(timeline)
}

fn roles(case: &Case<'_>, model: &Arc<Model>, streams: &Streams) -> Roles {
    let rules = case.value["behave"].as_object();
    let first = |value: &Value| list(value).first().map_or(0, ms);
    let of_image = |rules: &Value| {
        let rules = rules.as_object().into_iter().flatten();
        rules.map(|(name, value)| (name.clone(), first(value))).collect()
    };
    let behave = rules.into_iter().flatten().map(|(image, rules)| (image.clone(), of_image(rules)));
    let behave: Behave = behave.collect();
    let chance = Chance { draw: streams.replication, rng: streams.open("chance", "") };
    let controllers: Vec<Box<dyn Controller>> = vec![
        Box::new(ReplicaSetController::new(model, streams)),
        Box::new(DeploymentController::new(model, streams)),
    ];
    Roles {
        scheduler: Box::new(Binder(behave.clone())),
        kubelet: Box::new(Starter(behave, chance)),
        nodes: Box::new(Off),
        traffic: Box::new(Off),
        generators: Box::new(Off),
        cloud: Box::new(Off),
        controllers,
    }
}

fn operate(world: &mut World, op: &Value) -> Result<(), String> {
    let is_patch = op["op"] == "patch";
    let mut tree = op["obj"].clone();
    if is_patch {
        let kind = super::ops::kind_named(text(&op["kind"]))?;
        let names = world.cluster().names();
        let name = [text(&op["name"]), "default"].map(|name| names.get(name));
        let [Some(name), Some(namespace)] = name else { return Err("no such object".to_owned()) };
        let live = world.cluster().tree(kind, ObjectName { namespace, name });
        tree = Value::clone(live.ok_or("no such object")?);
        merge(&mut tree, &op["patch"]);
    }
    let kind = kind_of(&tree)?;
    let problems = api::prepare(kind, &mut tree);
    if let Some(problem) = problems.iter().find(|p| p.is_error) {
        return Err(format!("refused: {} {}", problem.path, problem.message));
    }
    let tree = Arc::new(tree);
    let mut failure = None;
    world.apply(|cluster, plan| {
        let model = Arc::clone(cluster.model());
        let (behaviors, classes) = (&model.behaviors, &model.priorities);
        let cx = &mut api::Lowering { behaviors, classes, names: cluster.names_mut() };
        match api::lower_object(kind, &tree, cx) {
            Ok(object) if is_patch => plan.push(Write::Replace(Box::new(object))),
            Ok(object) => plan.push(Write::Create(Box::new(object))),
            Err(problems) => failure = Some(format!("cannot be lowered: {problems:?}")),
        }
    });
    failure.map_or(Ok(()), Err)
}

/// The numbers of a recorded run: how many there are, and those beyond what our draws span at their
/// slot.
pub(super) fn beyond(draws: &[Timeline], recorded: &Value) -> (usize, Vec<String>) {
    let (mut count, mut out) = (0, Vec::new());
    for slot in list(recorded) {
        let t = ms(&slot["t"]);
        for record in list(&slot["ch"]) {
            let (kind, name) = (text(&record["k"]), text(&record["n"]));
            for field in NUMBERS {
                let theirs = ms(&record[*field]);
                let ours = draws.iter().map(|draw| number(draw, t, (kind, name), field));
                let (low, high) = ours.fold((u64::MAX, 0), |(l, h), n| (l.min(n), h.max(n)));
                count += 1;
                if !(low..=high).contains(&theirs) {
                    let span = format!("ours {low} to {high}, theirs {theirs}");
                    out.push(format!("at {t} ms {kind} {name} {field}: {span}"));
                }
            }
        }
    }
    (count, out)
}

const NUMBERS: &[&str] =
    &["spec", "replicas", "updated", "ready", "available", "unavailable", "terminating", "labeled"];

/// A number of an object at the end of a slot.
fn number(draw: &Timeline, t: u64, (kind, name): (&str, &str), field: &str) -> u64 {
    let records = draw.range(..=t).next_back().map(|(_, records)| records);
    let mut all = records.into_iter().flatten();
    let found = all.find(|((k, n), _)| *k == kind && n == name);
    found.map_or(0, |(_, record)| ms(&record[field]))
}
