//! The controllers' work queues, and their writes on the way to the API server.
//!
//! A key waits once to be looked at as soon as may be, and once with a delay; of two delayed adds
//! the earlier deadline counts (rule C15). A key whose own
//! writes are still under way is looked at again only when they have landed (rule C20).
//!
//! A look's writes go out one after another, pods in batches (outgoing.rs); one that meets a newer
//! version of its object is refused, and the look has failed then (rule C5).

use crate::base::{Duration, Id, LookupMap, SimTime};
use crate::cluster::{Change, Cluster, Controller, Plan, RateLimiter, Requeue, Write};
use crate::event::{ControllerId, Event, WriteId};
use crate::model::{Model, ObjectKey};
use crate::sim::{Ctx, Streams};

use super::client::Client;
use super::outgoing::{self, Outgoing, Versions};

type Key = (ControllerId, ObjectKey);

/// The work queues of all controllers.
#[derive(Debug)]
pub(super) struct WorkQueues {
    clients: Vec<Client>,
    due: LookupMap<Key, Due>,
    limiters: Vec<RateLimiter>,
    in_flight: LookupMap<Key, InFlight>,
    versions: Versions,
    calls: Vec<Option<Call>>,
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

/// The writes of a look that are not all there yet.
#[derive(Debug)]
struct InFlight {
    outgoing: Outgoing,
    /// How many are on their way.
    calls: u32,
    /// The version of the world that the look has seen.
    seen: u64,
    look_again: bool,
    /// Whether a status was refused and is being written once more.
    is_retried: bool,
    /// Whether a write was refused.
    has_failed: bool,
    requeue: Requeue,
}

/// A call on its way to the API server.
#[derive(Debug)]
enum Call {
    Write(Key, Write),
    /// The object is read once more, to write its status again.
    Read(Key, Write),
    Event(ControllerId),
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
            versions: Versions::new(model.latencies.limited_clients),
            calls: Vec::new(),
            free: Vec::new(),
            woken: Vec::new(),
            woken_later: Vec::new(),
        }
    }

    /// Wakes the controllers that a change concerns.
    pub(super) fn wake(
        &mut self,
        change: &Change,
        controllers: &mut [Box<dyn Controller>],
        cluster: &Cluster,
        ctx: &mut Ctx<'_>,
    ) {
        self.versions.note(change);
        let mut woken = std::mem::take(&mut self.woken);
        for (index, controller) in controllers.iter_mut().enumerate() {
            controller.notes(change);
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
        let client = &mut self.clients[key.0.index()];
        client.read(ctx.now());
        if client.is_inline() || plan.is_empty() {
            self.put_back(key, requeue, ctx);
        } else {
            if let Requeue::After(delay) = requeue {
                self.add(key, Lane::Later, ctx.now() + delay, ctx);
            }
            self.send(key, requeue, plan, ctx);
        }
    }

    /// A look has ended: when the next one is.
    fn put_back(&mut self, key: Key, requeue: Requeue, ctx: &mut Ctx<'_>) {
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

    fn send(&mut self, key: Key, requeue: Requeue, plan: &mut Plan, ctx: &mut Ctx<'_>) {
        let at = self.clients[key.0.index()].sends(ctx.now());
        let in_flight = InFlight {
            outgoing: Outgoing::new(plan.take()),
            calls: 0,
            seen: self.versions.now(),
            look_again: false,
            is_retried: false,
            has_failed: false,
            requeue,
        };
        self.in_flight.insert(key, in_flight);
        self.launch(key, at, ctx);
    }

    /// Sends the next writes of a look at `at`.
    fn launch(&mut self, key: Key, at: SimTime, ctx: &mut Ctx<'_>) {
        let in_flight = self.in_flight.get_mut(&key).expect("its writes are under way");
        let batch = in_flight.outgoing.batch();
        in_flight.calls = u32::try_from(batch.len()).expect("a plan is not that long");
        for write in batch {
            let lands = self.clients[key.0.index()].lands(at);
            self.call(Call::Write(key, write), lands, ctx);
        }
    }

    fn call(&mut self, call: Call, at: SimTime, ctx: &mut Ctx<'_>) {
        let id = self.free.pop().unwrap_or_else(|| {
            self.calls.push(None);
            WriteId::from_index(self.calls.len() - 1)
        });
        self.calls[id.index()] = Some(call);
        ctx.at(at, Event::Write(id));
    }

    /// A call reaches the API server.
    pub(super) fn land(
        &mut self,
        id: WriteId,
        controllers: &mut [Box<dyn Controller>],
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) {
        let call = self.calls[id.index()].take().expect("a call lands once");
        self.free.push(id);
        match call {
            Call::Event(controller) => {
                if let Some(at) = self.clients[controller.index()].event_sent(ctx.now()) {
                    self.call(Call::Event(controller), at, ctx);
                }
            }
            Call::Read(key, write) => {
                let in_flight = self.in_flight.get_mut(&key).expect("its key waits for it");
                in_flight.seen = self.versions.now();
                let lands = self.clients[key.0.index()].lands(ctx.now());
                self.call(Call::Write(key, write), lands, ctx);
            }
            Call::Write(key, write) => self.land_write(key, write, controllers, plan, ctx),
        }
    }

    fn land_write(
        &mut self,
        key: Key,
        write: Write,
        controllers: &mut [Box<dyn Controller>],
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) {
        let in_flight = self.in_flight.get_mut(&key).expect("its key waits for it");
        if self.versions.is_stale(&write, in_flight.seen) {
            if outgoing::is_retried(&write) && !in_flight.is_retried {
                in_flight.is_retried = true;
                let at = self.clients[key.0.index()].lands(ctx.now());
                return self.call(Call::Read(key, write), at, ctx);
            }
            in_flight.has_failed = true;
            in_flight.outgoing.clear();
        } else {
            if outgoing::is_told(&write) {
                let event = self.clients[key.0.index()].event(key.1, ctx.now());
                if let Some(at) = event {
                    self.call(Call::Event(key.0), at, ctx);
                }
            }
            plan.push(write);
        }
        let in_flight = self.in_flight.get_mut(&key).expect("its key waits for it");
        in_flight.calls -= 1;
        match in_flight.calls {
            0 if in_flight.outgoing.is_empty() => self.end(key, controllers, ctx),
            0 => self.launch(key, ctx.now(), ctx),
            _ => {}
        }
    }

    /// All writes of a look have landed.
    fn end(&mut self, key: Key, controllers: &mut [Box<dyn Controller>], ctx: &mut Ctx<'_>) {
        let in_flight = self.in_flight.remove(&key).expect("its key waits for it");
        if let Requeue::After(delay) = controllers[key.0.index()].landed(key.1, ctx.now()) {
            self.add(key, Lane::Later, ctx.now() + delay, ctx);
        }
        let requeue = match in_flight.requeue {
            _ if in_flight.has_failed => Requeue::Failed,
            Requeue::After(_) | Requeue::Never => Requeue::Never,
            Requeue::Failed => Requeue::Failed,
            Requeue::Limited => Requeue::Limited,
        };
        self.put_back(key, requeue, ctx);
        if in_flight.look_again {
            let at = ctx.now() + self.clients[key.0.index()].watch_delay();
            self.add(key, Lane::Soon, at, ctx);
        }
    }
}
