//! A virtual control plane for the recorded cases of the controllers: the real controllers, and a
//! scheduler, kubelets, a quota and users that follow the script of a case.
//!
//! ```text
//! case ─► Plane::run ─► what was there after each slot (records.rs) ─► compare.rs ─► judge.rs
//!           │  ops.rs (users)   actor.rs (scheduler and kubelets)
//!           └─ controllers.rs (who runs)
//! ```
//!
//! At one instant keys that wait are looked at first, one controller after the other in the order
//! of controllers.rs, so that owners read a fresh status of what they own; then come keys whose
//! delay is over, in the order in which it was asked for, then what pods do by themselves, then the
//! operations, each with what follows.

mod actor;
mod case;
mod chance;
mod compare;
mod compare_slices;
mod controllers;
mod judge;
mod limited;
mod names;
mod ops;
mod ops_disruption;
mod ops_nodes;
mod record_budget;
mod record_claim;
mod record_cron_job;
mod record_daemon_set;
mod record_deployment;
mod record_endpoint_slice;
mod record_job;
mod record_node;
mod record_pod;
mod record_replica_set;
mod record_stateful_set;
mod records;
mod turns;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use seatrial::api::{self, Lowering};
use seatrial::base::{Duration, Interner, SimTime};
use seatrial::cluster::{Change, Cluster, Controller, Plan, RateLimiter, Requeue, Write};
use seatrial::drain::Drains;
use seatrial::event::Event;
use seatrial::model::{Model, NodeOrder, ObjectKey};
use seatrial::recorder::Recorder;
use seatrial::sim::{Ctx, EventQueue, Streams};
use serde_json::Value;

pub(crate) use judge::{judge_controllers, judge_limited, judge_most_controllers, setting};

use actor::{Actor, Uids};
use case::{Case, list, ms, text};
use chance::Chance;
use names::Names;
use records::Records;

/// Settled states by slot, in milliseconds.
pub(crate) type Timeline = BTreeMap<u64, Records>;

/// The world of one case.
pub(crate) struct Plane {
    pub(crate) cluster: Cluster,
    controllers: Vec<Box<dyn Controller>>,
    queue: EventQueue<Event>,
    streams: Streams,
    recorder: Recorder,
    plan: Plan,
    /// Keys that wait to be looked at now, by place in the order of controllers.
    due: BTreeSet<(usize, ObjectKey)>,
    /// When keys are looked at that wait for a later instant: the earliest time of each (rule
    /// C15), and when it was asked for.
    delayed: BTreeMap<(usize, ObjectKey), (SimTime, u64)>,
    /// The same by time.
    timers: BTreeSet<(SimTime, u64, usize, ObjectKey)>,
    timers_made: u64,
    /// How long keys wait whose look failed, by controller.
    limiters: Vec<RateLimiter>,
    pub(crate) actor: Actor,
    /// Drains, and what they still have to do by themselves.
    pub(crate) drains: ops_disruption::CaseDrains,
    /// Answers of operations.
    pub(crate) answers: Vec<Value>,
    names: Names,
    chance: Chance,
    /// Whether each look of a controller is printed.
    tells_looks: bool,
}

impl Plane {
    fn new(case: &Case<'_>, uids: Uids, draw: u32) -> Result<Self, String> {
        let model = model_of(case);
        let streams = Streams { seed: model.run.seed, replication: draw };
        let mut changes = Vec::new();
        let cluster = Cluster::new(&model, &streams, &mut changes);
        let mut plane = Self {
            cluster,
            controllers: controllers::of_case(case, &model, &streams)?,
            queue: EventQueue::new(10_000_000),
            streams,
            recorder: Recorder::off(),
            plan: Plan::default(),
            due: BTreeSet::new(),
            delayed: BTreeMap::new(),
            timers: BTreeSet::new(),
            timers_made: 0,
            limiters: Vec::new(),
            actor: Actor::new(case, uids),
            drains: ops_disruption::CaseDrains::new(Drains::new(&model, &streams)),
            answers: Vec::new(),
            names: Names::new(case),
            chance: Chance::new(&streams),
            tells_looks: setting("SEATRIAL_LOOKS").is_some(),
        };
        let limiters = plane.controllers.iter().map(|c| RateLimiter::new(c.backoff()));
        plane.limiters = limiters.collect();
        let mut begun = Vec::new();
        for place in 0..plane.controllers.len() {
            plane.controllers[place].begins(&plane.cluster, &mut begun);
            for (key, delay) in begun.drain(..) {
                plane.add(SimTime::ZERO + delay, place, key);
            }
        }
        plane.hear(&changes);
        Ok(plane)
    }

    /// Runs a case to its horizon; what was there after each slot, by the recorded names. What
    /// controllers draw is another with each `draw`.
    fn run(case: &Case<'_>, uids: Uids, draw: u32) -> Result<(Self, Timeline), String> {
        let mut plane = Self::new(case, uids, draw)?;
        plane.settle();
        let records = records::records(&plane.cluster, &plane.names, &plane.actor);
        let mut timeline = Timeline::from([(0, records)]);
        let mut ops = case.ops.iter().peekable();
        loop {
            let op = ops.peek().map(|(_, op)| ms(&op["t"]));
            let next = plane.next_due().into_iter().chain(op).min();
            let Some(next) = next.filter(|t| *t < case.horizon + case.grid) else { break };
            match ops.peek() {
                Some((_, op)) if ms(&op["t"]) == next && op["op"] == "evict" => {
                    plane.run_steps(next);
                }
                _ => plane.run_to(next),
            }
            while let Some((index, op)) = ops.next_if(|(_, op)| ms(&op["t"]) == next) {
                plane.operate(case, *index, op)?;
                // Objects that are created in a row are there before anybody looks at them.
                let creates = |op: &Value| op["op"] == "create" && ms(&op["t"]) == next;
                if !creates(op) || !ops.peek().is_some_and(|(_, op)| creates(op)) {
                    plane.settle();
                }
            }
            let records = records::records(&plane.cluster, &plane.names, &plane.actor);
            timeline.insert(next / case.grid * case.grid, records);
        }
        Ok((plane, timeline))
    }

    /// When something happens next, in milliseconds; never in the middle of one.
    fn next_due(&self) -> Option<u64> {
        let key = self.due.first().map(|_| self.now());
        let timer = self.timers.first().map(|timer| timer.0);
        let step = self.actor.next();
        let later = self.drains.later.first_key_value().map(|(later, _)| later.0);
        let next = [key, timer, step, later].into_iter().flatten().min()?;
        Some(next.since_start().as_nanos().div_ceil(1_000_000))
    }

    pub(crate) fn now(&self) -> SimTime {
        self.queue.now()
    }

    /// Lets everything happen that is due up to and at that time.
    fn run_to(&mut self, at: u64) {
        let at = SimTime::ZERO + Duration::ms(at);
        loop {
            let quick = self.due.iter().any(|(place, _)| self.is_quick(*place));
            if !self.due.is_empty() && self.chance.looks_first(quick) {
                self.look_at_due(quick);
                continue;
            }
            let timer = self.timers.first().map(|timer| timer.0);
            let step = self.actor.next();
            let later = self.drains.later.first_key_value().map(|(later, _)| later.0);
            let key = self.due.first().map(|_| self.now());
            let next = [key, timer, step, later].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= at) else {
                break self.advance(at);
            };
            self.advance(next);
            if timer == Some(next) {
                self.take_timer(next);
            } else if step == Some(next) {
                self.take_step();
            } else if later == Some(next) {
                self.take_later();
            } else {
                self.look_at_due(false);
            }
        }
    }

    /// Looks at a key that is due now, of quick controllers if only these are asked.
    fn look_at_due(&mut self, quick: bool) {
        let plain = quick && self.chance.is_plain();
        let keys = self.due.iter().copied().filter(|(place, _)| !plain || self.is_quick(*place));
        let keys: Vec<(usize, ObjectKey)> = keys.collect();
        let (place, key) = keys[self.chance.which(keys.len())];
        self.due.remove(&(place, key));
        self.look(place, key);
    }

    /// Looks at a key whose delay is over.
    fn take_timer(&mut self, now: SimTime) {
        let over: Vec<_> = self.timers.iter().take_while(|timer| timer.0 == now).copied().collect();
        let timer = over[self.chance.which(over.len())];
        let (_, _, place, key) = timer;
        self.timers.remove(&timer);
        self.delayed.remove(&(place, key));
        self.look(place, key);
    }

    /// Whether a controller looks between two things of one instant, as the recorded ones of
    /// Deployments and ReplicaSets mostly have.
    fn is_quick(&self, place: usize) -> bool {
        matches!(self.controllers[place].name(), "deployment-controller" | "replicaset-controller")
    }

    /// Lets everything happen that is due before that time, and what pods do by themselves at it:
    /// an eviction comes before controllers have looked.
    fn run_steps(&mut self, at: u64) {
        if let Some(before) = at.checked_sub(1) {
            self.run_to(before);
        }
        let at = SimTime::ZERO + Duration::ms(at);
        self.advance(at);
        while self.actor.next().is_some_and(|next| next <= at) {
            self.take_step();
        }
    }

    /// Lets everything happen that follows from the present instant.
    pub(crate) fn settle(&mut self) {
        self.run_to(self.now().since_start().as_nanos().div_ceil(1_000_000));
    }

    fn advance(&mut self, to: SimTime) {
        if to > self.now() {
            self.queue.push(to, Event::Sample);
            self.queue.pop();
        }
    }

    /// Writes as somebody outside.
    pub(crate) fn write(&mut self, write: Write) {
        self.plan.push(write);
        self.commit();
    }

    /// Commits what is asked for: pods get their recorded uids.
    fn commit(&mut self) {
        let mut plan = std::mem::take(&mut self.plan);
        self.actor.name_pods(&mut plan, &mut self.cluster, &self.names, &mut self.chance);
        let mut changes = Vec::new();
        let now = self.now();
        self.cluster.commit(&mut plan, now, &mut changes, &mut self.recorder);
        self.cluster.check_invariants();
        self.plan = plan;
        self.hear(&changes);
    }

    fn hear(&mut self, changes: &[Change]) {
        let now = self.now();
        let mut keys = Vec::new();
        self.names.learn(&self.cluster);
        let mut later = Vec::new();
        for change in changes {
            for place in 0..self.controllers.len() {
                self.controllers[place].wakes_later(change, &self.cluster, &mut later);
                for (key, delay) in later.drain(..) {
                    self.add(now + delay, place, key);
                }
                self.controllers[place].wakes(change, &self.cluster, &mut keys);
                for key in keys.drain(..) {
                    let at = now + self.controllers[place].wake_delay_of(change, key);
                    self.add(at, place, key);
                }
            }
        }
        for change in changes {
            self.follow(change);
        }
    }

    /// Puts a key into its queue: once for now, and once for the earliest later instant.
    fn add(&mut self, at: SimTime, place: usize, key: ObjectKey) {
        if at <= self.now() {
            self.due.insert((place, key));
            return;
        }
        match self.delayed.get(&(place, key)).copied() {
            Some((earlier, _)) if earlier <= at => return,
            Some((later, number)) => {
                self.timers.remove(&(later, number, place, key));
            }
            None => {}
        }
        self.delayed.insert((place, key), (at, self.timers_made));
        self.timers.insert((at, self.timers_made, place, key));
        self.timers_made += 1;
    }

    /// A controller looks at an object.
    fn look(&mut self, place: usize, key: ObjectKey) {
        let ctx = &mut Ctx {
            queue: &mut self.queue,
            streams: &self.streams,
            recorder: &mut self.recorder,
        };
        let requeue = self.controllers[place].reconcile(key, &self.cluster, &mut self.plan, ctx);
        if self.tells_looks {
            let name = self.controllers[place].name();
            println!("look {} {name} {key:?} {:?} {requeue:?}", self.now(), self.plan);
        }
        let is_stale = self.chance.is_stale(&self.plan);
        if self.controllers[place].name() == "replicaset-controller"
            && let Some(unseen) = self.chance.part(&mut self.plan)
        {
            self.commit();
            self.sum_up(place, key);
            unseen.into_iter().for_each(|write| self.plan.push(write));
        }
        self.commit();
        let now = self.now();
        let requeue = if is_stale { Requeue::Limited } else { requeue };
        let delay = self.limiters[place].after(key, requeue, now);
        if let Some(delay) = delay {
            self.add(self.now() + delay, place, key);
        }
    }

    /// A controller looks at an object whose expectations are open: it writes the status alone, and
    /// the owner may look then.
    fn sum_up(&mut self, place: usize, key: ObjectKey) {
        let ctx = &mut Ctx {
            queue: &mut self.queue,
            streams: &self.streams,
            recorder: &mut self.recorder,
        };
        self.controllers[place].reconcile(key, &self.cluster, &mut self.plan, ctx);
        let writes: Vec<Write> = self.plan.take().collect();
        let is_status = |write: &Write| matches!(write, Write::ReplicaSetStatus { .. });
        writes.into_iter().filter(is_status).for_each(|write| self.plan.push(write));
        self.commit();
        let owners = self.due.iter().copied().filter(|(other, _)| *other != place);
        for (place, key) in owners.collect::<Vec<_>>() {
            if self.is_quick(place) && self.chance.looks_first(true) {
                self.due.remove(&(place, key));
                self.look(place, key);
            }
        }
    }

    /// Lowers objects as the API server and the scenario do it.
    pub(crate) fn lowering<T>(&mut self, lower: impl FnOnce(&mut Lowering<'_>) -> T) -> T {
        let model = Arc::clone(self.cluster.model());
        let (behaviors, classes) = (&model.behaviors, &model.priorities);
        lower(&mut Lowering { behaviors, classes, names: self.cluster.names_mut() })
    }
}

/// The cluster at the start of a case: its nodes.
fn model_of(case: &Case<'_>) -> Arc<Model> {
    let mut names = Interner::new();
    names.intern("");
    let nodes = list(&case.value["nodes"]);
    let nodes = nodes.iter().map(|node| api::lower_node(node, &mut names)).collect();
    let trees = list(&case.value["nodes"]).iter().map(|node| Arc::new(node.clone())).collect();
    let empty = Model::empty(text(&case.value["id"]), Interner::new());
    let mut model = Model { nodes, trees, node_order: NodeOrder::Given, ..empty };
    model.run.start_unix = case.value["start_unix"].as_i64().unwrap_or(0);
    model.names = Arc::new(names);
    Arc::new(model)
}
