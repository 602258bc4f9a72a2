//! The controllers' work queues, and their writes on the way to the API server.
//!
//! A key waits once to be looked at as soon as may be, and once with a delay; of two delayed adds
//! the earlier deadline counts (rule C15). A key whose own
//! writes are still under way is looked at again only when they have landed (rule C20).

use crate::base::{Duration, Id, LookupMap, SimTime};
use crate::cluster::{Change, Cluster, Controller, Plan, RateLimiter, Requeue, Write};
use crate::event::{ControllerId, Event, WriteId};
use crate::model::{Model, ObjectKey};
use crate::sim::{Ctx, Streams};

use super::client::Client;

type Key = (ControllerId, ObjectKey);

/// The work queues of all controllers.
#[derive(Debug)]
pub(super) struct WorkQueues {
    clients: Vec<Client>,
    due: LookupMap<Key, Due>,
    limiters: Vec<RateLimiter>,
    in_flight: LookupMap<Key, InFlight>,
    writes: Vec<Option<(Key, Write)>>,
    free: Vec<WriteId>,
    woken: Vec<ObjectKey>,
    woken_later: Vec<(ObjectKey, Duration)>,
}

/// When a key is looked at.
#[derive(Clone, Copy, Debug, Default)]
struct Due {
    /// As soon as its watch lets it.
    soon: Option<SimTime>,
    /// After a delay that somebody asked for.
    later: Option<SimTime>,
}

/// Which of the two.
#[derive(Clone, Copy, Debug)]
enum Lane {
    Soon,
    Later,
}

#[derive(Clone, Copy, Debug, Default)]
struct InFlight {
    writes: u32,
    look_again: bool,
}

impl WorkQueues {
    pub(super) fn new(
        controllers: &[Box<dyn Controller>],
        model: &Model,
        streams: &Streams,
    ) -> Self {
        let client = |c: &dyn Controller| Client::new(c.name(), &model.latencies, streams);
        Self {
            clients: controllers.iter().map(|c| client(&**c)).collect(),
            due: LookupMap::new(),
            limiters: controllers.iter().map(|c| RateLimiter::new(c.backoff())).collect(),
            in_flight: LookupMap::new(),
            writes: Vec::new(),
            free: Vec::new(),
            woken: Vec::new(),
            woken_later: Vec::new(),
        }
    }

    /// Wakes the controllers that a change concerns.
    pub(super) fn wake(
        &mut self,
        change: &Change,
        controllers: &[Box<dyn Controller>],
        cluster: &Cluster,
        ctx: &mut Ctx<'_>,
    ) {
        let mut woken = std::mem::take(&mut self.woken);
        for (index, controller) in controllers.iter().enumerate() {
            controller.wakes(change, cluster, &mut woken);
            if woken.is_empty() {
                continue;
            }
            let heard = self.clients[index].hears(change.is_of_pod(), ctx.now());
            for key in woken.drain(..) {
                let own = controller.wake_delay_of(change, key);
                let at = heard + own;
                let lane = if own.is_zero() { Lane::Soon } else { Lane::Later };
                self.add((ControllerId::from_index(index), key), lane, at, ctx);
            }
            controller.wakes_later(change, cluster, &mut self.woken_later);
            while let Some((key, delay)) = self.woken_later.pop() {
                let at = ctx.now() + delay + self.clients[index].watch_delay();
                self.add((ControllerId::from_index(index), key), Lane::Later, at, ctx);
            }
        }
        self.woken = woken;
    }

    fn add(&mut self, key: Key, lane: Lane, at: SimTime, ctx: &mut Ctx<'_>) {
        let due = self.due.or_insert_with(key, Due::default);
        let slot = match lane {
            Lane::Soon => &mut due.soon,
            Lane::Later => &mut due.later,
        };
        if slot.is_some_and(|due| due <= at) {
            return;
        }
        *slot = Some(at);
        ctx.at(at, Event::Reconcile { controller: key.0, key: key.1 });
    }

    /// Lets a controller look at an object, if that is still due now.
    pub(super) fn reconcile(
        &mut self,
        key: Key,
        controllers: &mut [Box<dyn Controller>],
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) {
        if !self.is_due(key, ctx.now()) {
            return;
        }
        if let Some(waiting) = self.in_flight.get_mut(&key) {
            waiting.look_again = true;
            return;
        }
        let controller = &mut controllers[key.0.index()];
        let requeue = controller.reconcile(key.1, cluster, plan, ctx);
        if !self.clients[key.0.index()].is_inline() && !plan.is_empty() {
            self.send(key, plan, ctx);
        }
        let delay = self.limiters[key.0.index()].after(key.1, requeue, ctx.now());
        if let Some(delay) = delay {
            self.add(key, Lane::Later, ctx.now() + delay, ctx);
        }
    }

    /// Whether a key is due now; it no longer is then.
    fn is_due(&mut self, key: Key, now: SimTime) -> bool {
        let Some(due) = self.due.get_mut(&key) else { return false };
        let before = (due.soon, due.later);
        due.soon = due.soon.filter(|at| *at != now);
        due.later = due.later.filter(|at| *at != now);
        let (after, is_empty) = ((due.soon, due.later), due.soon.or(due.later).is_none());
        if is_empty {
            self.due.remove(&key);
        }
        before != after
    }

    /// Puts what controllers look at by themselves into their queues.
    pub(super) fn begin(
        &mut self,
        controllers: &[Box<dyn Controller>],
        cluster: &Cluster,
        ctx: &mut Ctx<'_>,
    ) {
        let mut begun = Vec::new();
        for (index, controller) in controllers.iter().enumerate() {
            controller.begins(cluster, &mut begun);
            for (key, delay) in begun.drain(..) {
                let key = (ControllerId::from_index(index), key);
                self.add(key, Lane::Later, ctx.now() + delay, ctx);
            }
        }
    }

    fn send(&mut self, key: Key, plan: &mut Plan, ctx: &mut Ctx<'_>) {
        let client = &mut self.clients[key.0.index()];
        let sent = ctx.now() + client.handling();
        let mut lands = sent;
        let mut count = 0;
        for write in plan.take() {
            lands = client.lands(sent, lands);
            let id = self.free.pop().unwrap_or_else(|| {
                self.writes.push(None);
                WriteId::from_index(self.writes.len() - 1)
            });
            self.writes[id.index()] = Some((key, write));
            ctx.at(lands, Event::Write(id));
            count += 1;
        }
        self.in_flight.insert(key, InFlight { writes: count, look_again: false });
    }

    /// A write reaches the API server.
    pub(super) fn land(
        &mut self,
        id: WriteId,
        controllers: &mut [Box<dyn Controller>],
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) {
        let landed = self.writes[id.index()].take();
        let (key, write) = landed.expect("a write lands once");
        self.free.push(id);
        plan.push(write);
        let waiting = self.in_flight.get_mut(&key).expect("its key waits for it");
        waiting.writes -= 1;
        let InFlight { writes, look_again } = *waiting;
        if writes == 0 {
            self.in_flight.remove(&key);
            if let Requeue::After(delay) = controllers[key.0.index()].landed(key.1, ctx.now()) {
                self.add(key, Lane::Later, ctx.now() + delay, ctx);
            }
            if look_again {
                let at = ctx.now() + self.clients[key.0.index()].watch_delay();
                self.add(key, Lane::Soon, at, ctx);
            }
        }
    }
}
