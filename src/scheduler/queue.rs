//! The scheduling queue: pods that wait, and where.
//!
//! ```text
//!           add ─► active ─pop─► in flight ─failed─► unschedulable
//!                    ▲  ▲                               │ event that may help
//!      back-off over │  └────── not backing off ────────┤
//!                 backoff ◄──────── backing off ────────┘
//!                    └─pop, when active is empty
//! ```
//!
//! It knows no cluster: pods are references with what their order needs. Entries that left a heap
//! stay in it and are skipped by their ticket. Pods that wait for an event are kept by what
//! decides whether an event helps them, so that it is asked once for all that are alike.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/backend/queue (rules S130 to S149; recorded).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::base::{Duration, IdVec, SimTime, Symbol};
use crate::model::{PodId, PodRef};
use crate::placement::{ClassId, Plugin, PluginSet};

/// How long pods that nothing woke wait until they are tried again all the same (rule S139).
const STAY_MAX: Duration = Duration::mins(5);
/// How often that is looked at.
const FLUSH_PERIOD: Duration = Duration::secs(30);
const SECOND: Duration = Duration::secs(1);

/// Where a pod waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// To be taken next.
    Active,
    /// Until its back-off is over.
    Backoff,
    /// The same after an error: it is not taken earlier (rule S137).
    ErrorBackoff,
    /// Until something happens that may help.
    Unschedulable,
    /// Until what holds it back before it is tried is gone.
    Gated,
    /// Nowhere: it is being placed.
    InFlight,
    /// Nowhere: it is placed, and comes back if its binding fails.
    Aside,
}

/// A pod that waits.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Which.
    pub pod: PodRef,
    /// Its class.
    pub class: ClassId,
    /// Its profile.
    pub profile: u8,
    /// Its priority.
    pub priority: i32,
    /// When it came into the queue first or after its last attempt (rule S131).
    pub timestamp: SimTime,
    /// Where it waits.
    pub place: Place,
    /// How often it was tried.
    pub attempts: u32,
    /// Failed attempts that count for its back-off (rule S135).
    pub unschedulable_count: u32,
    /// Errors in a row.
    pub error_count: u32,
    /// Who rejected it at the last attempt, or holds it back.
    pub rejectors: PluginSet,
    /// The PreEnqueue plugin that holds it back (rule S155).
    pub gate: Option<Plugin>,
    /// The name of the only node that it can go to.
    pub pinned: Option<Symbol>,
    /// Plugins that say that something since the pod was taken may help it (rules S132, S133).
    helped: PluginSet,
    /// Whether it is to be tried again whatever the plugins say (rule S149).
    forced: bool,
    ticket: u64,
}

/// What decides whether an event helps a pod that waits for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kin {
    /// Class.
    pub class: ClassId,
    /// Profile.
    pub profile: u8,
    /// Who rejected.
    pub rejectors: PluginSet,
    /// Who holds back.
    pub gate: Option<Plugin>,
    /// The name of the only node that they can go to.
    pub pinned: Option<Symbol>,
}

/// What becomes of a pod that nothing takes at once (rules S133, S134).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strategy {
    Skip,
    AfterBackoff,
}

/// Higher priority first, then the earlier timestamp, then who came in first (rules S74, S131).
type Order = (Reverse<i32>, SimTime, u64);
type Heap<K> = BinaryHeap<Reverse<(K, PodRef)>>;

/// The queue of one scheduler.
#[derive(Debug)]
pub struct SchedulingQueue {
    pods: IdVec<PodId, Option<Waiting>>,
    active: Heap<Order>,
    /// By the second in which the back-off ends.
    backoff: Heap<(SimTime, Order)>,
    error_backoff: Heap<(SimTime, Order)>,
    /// By kin, then by timestamp and ticket.
    parked: BTreeMap<Kin, BTreeMap<(SimTime, u64), PodRef>>,
    in_flight: Vec<PodRef>,
    tickets: u64,
    backoff_initial: Duration,
    backoff_max: Duration,
    /// When the loops that flush begin.
    begins: SimTime,
}

impl SchedulingQueue {
    /// Empty, with these back-offs.
    #[must_use]
    pub fn new(backoff_initial: Duration, backoff_max: Duration) -> Self {
        Self {
            pods: IdVec::new(),
            active: BinaryHeap::new(),
            backoff: BinaryHeap::new(),
            error_backoff: BinaryHeap::new(),
            parked: BTreeMap::new(),
            in_flight: Vec::new(),
            tickets: 0,
            backoff_initial,
            backoff_max,
            begins: SimTime::ZERO,
        }
    }

    /// The loops that flush begin at this instant.
    pub const fn begin(&mut self, at: SimTime) {
        self.begins = at;
    }

    /// A pod that waits or is being placed.
    #[must_use]
    pub fn get(&self, pod: PodRef) -> Option<&Waiting> {
        let waiting = self.pods.get(pod.id)?.as_ref()?;
        (waiting.pod == pod).then_some(waiting)
    }

    /// All pods that wait or are being placed, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.pods.iter().flatten()
    }

    fn get_mut(&mut self, pod: PodRef) -> Option<&mut Waiting> {
        let waiting = self.pods.get_mut(pod.id)?.as_mut()?;
        (waiting.pod == pod).then_some(waiting)
    }

    /// Adds a pod that is new: to the active ones, unless `gate` holds it back (rule S73).
    pub fn add(
        &mut self,
        pod: PodRef,
        (class, profile, priority): (ClassId, u8, i32),
        pinned: Option<Symbol>,
        gate: Option<Plugin>,
        now: SimTime,
    ) {
        *self.pods.grow_to(pod.id) = Some(Waiting {
            pod,
            class,
            profile,
            priority,
            timestamp: now,
            place: Place::InFlight,
            attempts: 0,
            unschedulable_count: 0,
            error_count: 0,
            rejectors: PluginSet::EMPTY,
            gate: None,
            pinned,
            helped: PluginSet::EMPTY,
            forced: false,
            ticket: 0,
        });
        self.enter(pod, gate, |queue| queue.activate(pod));
    }

    /// Removes a pod, if it is there: it was placed, or is gone.
    pub fn forget(&mut self, pod: PodRef) {
        if self.get(pod).is_some() {
            self.leave(pod);
            self.pods[pod.id] = None;
        }
    }

    /// A pod is placed: it is forgotten once it is bound (rule S55).
    pub fn set_aside(&mut self, pod: PodRef) {
        self.leave(pod);
        if let Some(waiting) = self.get_mut(pod) {
            waiting.place = Place::Aside;
        }
    }

    /// Takes a pod off what is not a heap.
    fn leave(&mut self, pod: PodRef) {
        let Some(waiting) = self.get(pod) else { return };
        match waiting.place {
            Place::Unschedulable | Place::Gated => {
                let (kin, key) = (waiting.kin(), (waiting.timestamp, waiting.ticket));
                let Some(alike) = self.parked.get_mut(&kin) else { return };
                alike.remove(&key);
                if alike.is_empty() {
                    self.parked.remove(&kin);
                }
            }
            Place::InFlight => self.in_flight.retain(|p| *p != pod),
            Place::Active | Place::Backoff | Place::ErrorBackoff | Place::Aside => {}
        }
    }

    /// A pod is of another class from now on.
    pub fn set_class(&mut self, pod: PodRef, class: ClassId) {
        let Some(place) = self.get(pod).filter(|w| w.class != class).map(|w| w.place) else {
            return;
        };
        let is_parked = matches!(place, Place::Unschedulable | Place::Gated);
        if is_parked {
            self.leave(pod);
        }
        if let Some(waiting) = self.get_mut(pod) {
            waiting.class = class;
        }
        if is_parked {
            self.park(pod);
        }
    }

    /// Takes the next pod: the head of the active ones, else of those that back off after a
    /// rejection (rules S132, S137).
    pub fn pop(&mut self) -> Option<&Waiting> {
        let pod = self.pop_active().or_else(|| self.pop_backoff())?;
        self.in_flight.push(pod);
        let waiting = self.get_mut(pod)?;
        waiting.place = Place::InFlight;
        waiting.attempts += 1;
        waiting.rejectors = PluginSet::EMPTY;
        waiting.gate = None;
        waiting.helped = PluginSet::EMPTY;
        waiting.forced = false;
        Some(waiting)
    }

    fn pop_active(&mut self) -> Option<PodRef> {
        while let Some(Reverse(((_, _, ticket), pod))) = self.active.pop() {
            if self.holds(pod, ticket) {
                return Some(pod);
            }
        }
        None
    }

    fn pop_backoff(&mut self) -> Option<PodRef> {
        while let Some(Reverse(((_, (_, _, ticket)), pod))) = self.backoff.pop() {
            if self.holds(pod, ticket) {
                return Some(pod);
            }
        }
        None
    }

    /// Whether a pod still waits where this ticket was given.
    fn holds(&self, pod: PodRef, ticket: u64) -> bool {
        self.get(pod).is_some_and(|w| w.ticket == ticket)
    }

    /// Whether a pod could be taken now; may be true when all of them are gone.
    #[must_use]
    pub fn may_pop(&self) -> bool {
        !self.active.is_empty() || !self.backoff.is_empty()
    }

    /// Puts a pod back whose attempt failed: without rejectors it was an error. Events since it
    /// was taken count (rules S133, S134).
    pub fn requeue(
        &mut self,
        pod: PodRef,
        rejectors: PluginSet,
        gate: impl Fn(PodRef) -> Option<Plugin>,
        now: SimTime,
    ) {
        self.leave(pod);
        let Some(waiting) = self.get_mut(pod) else { return };
        waiting.timestamp = now;
        waiting.rejectors = rejectors;
        let is_helped = waiting.forced || waiting.helped.meets(rejectors);
        if rejectors.is_empty() {
            waiting.error_count += 1;
        } else {
            waiting.unschedulable_count += 1;
            waiting.error_count = 0;
        }
        let waits = !rejectors.is_empty() && !is_helped;
        let strategy = if waits { Strategy::Skip } else { Strategy::AfterBackoff };
        self.follow(pod, strategy, gate, now);
    }

    /// Notes for a pod that is being placed that these plugins say that something may help.
    pub fn note(&mut self, pod: PodRef, helped: PluginSet) {
        if let Some(waiting) = self.get_mut(pod) {
            waiting.helped = waiting.helped.union(helped);
        }
    }

    /// The pods that are being placed.
    #[must_use]
    pub fn in_flight(&self) -> &[PodRef] {
        &self.in_flight
    }

    /// Whether any pod waits for an event.
    #[must_use]
    pub fn has_parked(&self) -> bool {
        !self.parked.is_empty()
    }

    /// Moves those pods that wait for an event and that `helps` says it may help (rule S142).
    pub fn move_if(
        &mut self,
        helps: impl Fn(&Kin) -> bool,
        gate: impl Fn(PodRef) -> Option<Plugin>,
        now: SimTime,
    ) {
        let helped: Vec<_> = self.parked.keys().filter(|kin| helps(kin)).copied().collect();
        let mut moved = Vec::new();
        for kin in helped {
            moved.extend(self.parked.remove(&kin).unwrap_or_default());
        }
        moved.sort_unstable();
        for (_, pod) in moved {
            self.follow(pod, Strategy::AfterBackoff, &gate, now);
        }
    }

    /// Moves one pod that waits for an event, because it has itself changed; gives whether it is
    /// active now (rule S147).
    pub fn move_one(
        &mut self,
        pod: PodRef,
        gate: impl Fn(PodRef) -> Option<Plugin>,
        now: SimTime,
    ) -> bool {
        self.leave(pod);
        self.follow(pod, Strategy::AfterBackoff, gate, now);
        self.get(pod).is_some_and(|waiting| waiting.place == Place::Active)
    }

    /// Makes a pod active at once, whatever its back-off; one that is being placed comes back
    /// (rule S149).
    pub fn activate_now(&mut self, pod: PodRef, gate: impl Fn(PodRef) -> Option<Plugin>) {
        let Some(waiting) = self.get_mut(pod) else { return };
        match waiting.place {
            Place::Active | Place::Aside => {}
            Place::InFlight => waiting.forced = true,
            Place::Backoff | Place::ErrorBackoff => self.activate(pod),
            Place::Unschedulable | Place::Gated => {
                self.leave(pod);
                self.enter(pod, gate(pod), |queue| queue.activate(pod));
            }
        }
    }

    fn follow(
        &mut self,
        pod: PodRef,
        strategy: Strategy,
        gate: impl Fn(PodRef) -> Option<Plugin>,
        now: SimTime,
    ) {
        let Some(waiting) = self.get(pod) else { return };
        if strategy == Strategy::Skip {
            return self.park(pod);
        }
        let expiry = self.expiry(waiting).filter(|expiry| *expiry >= now.floor_secs());
        self.enter(pod, gate(pod), |queue| match expiry {
            Some(expiry) => queue.back_off(pod, expiry),
            None => queue.activate(pod),
        });
    }

    /// Lets a pod on unless something holds it back (rules S134, S155).
    fn enter(&mut self, pod: PodRef, gate: Option<Plugin>, on: impl FnOnce(&mut Self)) {
        let Some(waiting) = self.get_mut(pod) else { return };
        waiting.gate = gate;
        if let Some(plugin) = gate {
            waiting.rejectors.insert(plugin);
            return self.park(pod);
        }
        on(self);
    }

    /// Lets a pod wait for an event.
    fn park(&mut self, pod: PodRef) {
        let ticket = self.ticket();
        let Some(waiting) = self.get_mut(pod) else { return };
        waiting.place = if waiting.gate.is_some() { Place::Gated } else { Place::Unschedulable };
        waiting.ticket = ticket;
        let (kin, key) = (waiting.kin(), (waiting.timestamp, ticket));
        self.parked.entry(kin).or_default().insert(key, pod);
    }

    fn back_off(&mut self, pod: PodRef, expiry: SimTime) {
        let ticket = self.ticket();
        let Some(waiting) = self.get_mut(pod) else { return };
        waiting.ticket = ticket;
        let key = (expiry, (Reverse(waiting.priority), waiting.timestamp, ticket));
        if waiting.error_count > 0 {
            waiting.place = Place::ErrorBackoff;
            self.error_backoff.push(Reverse((key, pod)));
        } else {
            waiting.place = Place::Backoff;
            self.backoff.push(Reverse((key, pod)));
        }
    }

    fn activate(&mut self, pod: PodRef) {
        let ticket = self.ticket();
        let Some(waiting) = self.get_mut(pod) else { return };
        waiting.place = Place::Active;
        waiting.ticket = ticket;
        let order = (Reverse(waiting.priority), waiting.timestamp, ticket);
        self.active.push(Reverse((order, pod)));
    }

    /// The second in which a pod's back-off ends; `None` without back-off (rules S135, S136).
    fn expiry(&self, waiting: &Waiting) -> Option<SimTime> {
        let count = match waiting.error_count {
            0 => waiting.unschedulable_count,
            errors => errors,
        };
        if count == 0 || self.backoff_max.is_zero() {
            return None;
        }
        let doubled = 1_u64.checked_shl(count - 1).unwrap_or(u64::MAX);
        let wait = self.backoff_initial.saturating_mul(doubled).min(self.backoff_max);
        Some((waiting.timestamp + wait).floor_secs())
    }

    /// Moves all pods whose back-off is over to the active ones (rule S136).
    pub fn flush_backoff(&mut self, now: SimTime) {
        let second = now.floor_secs();
        for is_error in [false, true] {
            while let Some(pod) = self.pop_expired(is_error, second) {
                self.activate(pod);
            }
        }
    }

    fn pop_expired(&mut self, is_error: bool, second: SimTime) -> Option<PodRef> {
        loop {
            let heap = if is_error { &mut self.error_backoff } else { &mut self.backoff };
            let Reverse(((expiry, _), _)) = heap.peek()?;
            if *expiry >= second {
                return None;
            }
            let Reverse(((_, (_, _, ticket)), pod)) = heap.pop()?;
            if self.holds(pod, ticket) {
                return Some(pod);
            }
        }
    }

    /// When the next back-off is over: the flush after the second in which it ends. It may be
    /// past.
    #[must_use]
    pub fn next_flush(&self) -> Option<SimTime> {
        let expiry = |heap: &Heap<(SimTime, Order)>| heap.peek().map(|Reverse(((at, _), _))| *at);
        let (a, b) = (expiry(&self.backoff), expiry(&self.error_backoff));
        let first = match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, other) => one.or(other),
        };
        let begins = self.begins.floor_secs();
        first.map(|at| at.max(begins) + SECOND)
    }

    /// Moves all pods that have waited for an event for more than five minutes; those that are
    /// held back stay (rule S139).
    pub fn flush_unschedulable(&mut self, gate: impl Fn(PodRef) -> Option<Plugin>, now: SimTime) {
        let free = self.parked.iter().filter(|(kin, _)| kin.gate.is_none());
        let is_long =
            |((at, _), _): &(&(SimTime, u64), &PodRef)| now.saturating_since(*at) > STAY_MAX;
        let long = free.flat_map(|(_, alike)| alike.iter().take_while(is_long));
        let mut moved: Vec<_> = long.map(|(key, pod)| (*key, *pod)).collect();
        moved.sort_unstable();
        for (_, pod) in moved {
            self.leave(pod);
            self.follow(pod, Strategy::AfterBackoff, &gate, now);
        }
    }

    /// When such a pod is looked at next: a tick of 30 s. It may be past.
    #[must_use]
    pub fn next_unschedulable_flush(&self) -> Option<SimTime> {
        let free = self.parked.iter().filter(|(kin, _)| kin.gate.is_none());
        let first = |alike: &BTreeMap<(SimTime, u64), PodRef>| {
            alike.first_key_value().map(|((at, _), _)| *at)
        };
        let due = free.filter_map(|(_, alike)| first(alike)).min()? + STAY_MAX;
        Some((due + Duration::ns(1)).next_tick(self.begins, FLUSH_PERIOD))
    }

    const fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }
}

impl Waiting {
    const fn kin(&self) -> Kin {
        let Self { class, profile, rejectors, gate, pinned, .. } = *self;
        Kin { class, profile, rejectors, gate, pinned }
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
