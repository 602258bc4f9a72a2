//! Operations around disruption: evictions, drains, cordons.

use seatrial::base::{Duration, SimTime};
use seatrial::cluster::Write;
use seatrial::drain::Drains;
use seatrial::event::{DrainId, DrainStep, Event};
use seatrial::model::{DrainOptions, PodRef};
use seatrial::sim::{Ctx, EventQueue};
use serde_json::Value;

use super::Plane;
use super::case::text;
use super::ops::nodes_of;

/// How far apart the recordings ask for the pods of a node.
const SPACING: Duration = Duration::ms(10);

/// What an operation still has to do at a later instant: a drain goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Later {
    drain: DrainId,
    step: DrainStep,
}

/// The drains of a case.
#[derive(Debug)]
pub(crate) struct CaseDrains {
    drains: Drains,
    /// The operation of each.
    ops: Vec<usize>,
    /// What they wait for, by time and order.
    pub(crate) later: std::collections::BTreeMap<(SimTime, u64), Later>,
    made: u64,
}

impl CaseDrains {
    pub(super) fn new(drains: Drains) -> Self {
        let drains = drains.recorded(SPACING);
        Self { drains, ops: Vec::new(), later: Default::default(), made: 0 }
    }
}

impl Plane {
    pub(super) fn disrupt(&mut self, index: usize, op: &Value) -> Result<(), String> {
        match text(&op["op"]) {
            kind @ ("cordon" | "uncordon") => {
                for name in nodes_of(op) {
                    let name = self.symbol(name);
                    let Some(node) = self.cluster.node_named(name) else { continue };
                    self.write(Write::Cordon { node, unschedulable: kind == "cordon" });
                }
            }
            "evict" => match self.find_pod(text(&op["name"])) {
                Some(pod) => self.evict(index, pod),
                None => self.answer(index, "", "no pod"),
            },
            "drain" => {
                let nodes: Vec<String> = nodes_of(op).map(str::to_owned).collect();
                let nodes = nodes.iter().map(|name| self.symbol(name)).collect();
                let (force, ignore_daemon_sets) = (true, true);
                let options =
                    DrainOptions { nodes, force, ignore_daemon_sets, ..Default::default() };
                self.drains.ops.push(index);
                self.in_drains(|drains, plane, ctx| {
                    let plan = &mut plane.plan;
                    drains.start("drain", &options, &mut plane.cluster, plan, ctx).map(|_| ())
                })?;
            }
            other => return Err(format!("no operation {other:?}")),
        }
        Ok(())
    }

    fn evict(&mut self, index: usize, pod: PodRef) {
        let called = self.pod_text(pod);
        let answer = self.plan.evict_pod(pod, None, &self.cluster);
        let text = answer.map_or_else(|refused| refused.to_string(), |()| "ok".to_owned());
        self.commit();
        self.answer(index, &called, &text);
    }

    /// Goes on with what a drain has left for this instant.
    pub(super) fn take_later(&mut self) {
        let (_, Later { drain, step }) = self.drains.later.pop_first().expect("it is there");
        let done = self.in_drains(|drains, plane, ctx| {
            drains.handle((drain, step), &plane.cluster, &mut plane.plan, ctx);
            Ok(())
        });
        done.expect("a drain goes on");
    }

    /// Lets the drains act now: what they schedule waits, what they ask for is committed.
    fn in_drains(
        &mut self,
        act: impl FnOnce(&mut Drains, &mut Self, &mut Ctx<'_>) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut queue = EventQueue::new(1_000_000);
        queue.push(self.now(), Event::Sample);
        queue.pop();
        let model = std::sync::Arc::clone(self.cluster.model());
        let streams = self.streams;
        let mut drains = std::mem::replace(&mut self.drains.drains, Drains::new(&model, &streams));
        let mut recorder = seatrial::recorder::Recorder::off();
        let mut ctx = Ctx { queue: &mut queue, streams: &streams, recorder: &mut recorder };
        let done = act(&mut drains, self, &mut ctx);
        let answers = drains.take_answers();
        self.drains.drains = drains;
        while let Some((at, event)) = queue.pop() {
            let Event::Drain { drain, step } = event else { panic!("no drain: {event:?}") };
            self.drains.later.insert((at, self.drains.made), Later { drain, step });
            self.drains.made += 1;
        }
        for answer in answers {
            let op = self.drains.ops[answer.drain.index()];
            let about = match answer.about {
                Some(name) => self.find_pod(&name).map_or(name, |pod| self.pod_text(pod)),
                None => String::new(),
            };
            self.answer(op, &about, &answer.text);
        }
        self.commit();
        done
    }
}
