//! The scheduling queue: pods that wait, and where.
//!
//! ```text
//!           add ─► active ─pop─► (attempt) ─failed─► unschedulable
//!                    ▲  ▲                               │ event that may help
//!      back-off over │  └────── not backing off ────────┤
//!                 backoff ◄──────── backing off ────────┘
//!                    └─pop, when active is empty
//! ```
//!
//! It knows no cluster: pods are references with what their order needs. Entries that left a heap
//! stay in it and are skipped by their ticket.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/backend/queue (rules S130 to S139; recorded).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use crate::base::{Duration, IdVec, SimTime};
use crate::model::{PodId, PodRef};
use crate::placement::{ClassId, PluginSet};

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
    /// Until its gates are gone.
    Gated,
    /// Nowhere: it is being placed.
    InFlight,
}

/// A pod that waits.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Which.
    pub pod: PodRef,
    /// Its class.
    pub class: ClassId,
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
    /// Who rejected it at the last attempt.
    pub rejectors: PluginSet,
    /// The message of the last failed attempt.
    pub message: Option<Arc<str>>,
    ticket: u64,
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
    unschedulable: BTreeMap<u64, PodRef>,
    tickets: u64,
    backoff_initial: Duration,
    backoff_max: Duration,
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
            unschedulable: BTreeMap::new(),
            tickets: 0,
            backoff_initial,
            backoff_max,
        }
    }

    /// A pod that waits or is being placed.
    #[must_use]
    pub fn get(&self, pod: PodRef) -> Option<&Waiting> {
        let waiting = self.pods.get(pod.id)?.as_ref()?;
        (waiting.pod == pod).then_some(waiting)
    }

    fn get_mut(&mut self, pod: PodRef) -> Option<&mut Waiting> {
        let waiting = self.pods.get_mut(pod.id)?.as_mut()?;
        (waiting.pod == pod).then_some(waiting)
    }

    /// Adds a pod that is new; a gated one waits for its gates.
    pub fn add(&mut self, pod: PodRef, class: ClassId, priority: i32, now: SimTime) {
        self.enter(pod, class, priority, now);
        self.activate(pod);
    }

    /// Adds a pod that has gates (rule S73).
    pub fn add_gated(&mut self, pod: PodRef, class: ClassId, priority: i32, now: SimTime) {
        self.enter(pod, class, priority, now);
    }

    fn enter(&mut self, pod: PodRef, class: ClassId, priority: i32, now: SimTime) {
        let waiting = Waiting {
            pod,
            class,
            priority,
            timestamp: now,
            place: Place::Gated,
            attempts: 0,
            unschedulable_count: 0,
            error_count: 0,
            rejectors: PluginSet::EMPTY,
            message: None,
            ticket: 0,
        };
        *self.pods.grow_to(pod.id) = Some(waiting);
    }

    /// Removes a pod, if it is there: it was placed, or is gone.
    pub fn forget(&mut self, pod: PodRef) {
        let Some(waiting) = self.get(pod) else { return };
        if waiting.place == Place::Unschedulable {
            let ticket = waiting.ticket;
            self.unschedulable.remove(&ticket);
        }
        self.pods[pod.id] = None;
    }

    /// Takes the next pod: the head of the active ones, else of those that back off after a
    /// rejection (rules S132, S137).
    pub fn pop(&mut self) -> Option<&Waiting> {
        let pod = self.pop_active().or_else(|| self.pop_backoff())?;
        let waiting = self.get_mut(pod)?;
        waiting.place = Place::InFlight;
        waiting.attempts += 1;
        waiting.rejectors = PluginSet::EMPTY;
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

    /// Puts a pod back that was rejected; it waits for an event (rules S133, S134).
    pub fn requeue_rejected(&mut self, pod: PodRef, rejectors: PluginSet, now: SimTime) {
        let ticket = self.ticket();
        let Some(waiting) = self.get_mut(pod) else {
            return;
        };
        waiting.unschedulable_count += 1;
        waiting.error_count = 0;
        waiting.timestamp = now;
        waiting.rejectors = rejectors;
        waiting.place = Place::Unschedulable;
        waiting.ticket = ticket;
        self.unschedulable.insert(ticket, pod);
    }

    /// Puts a pod back whose attempt was an error; it is tried again after its back-off.
    pub fn requeue_error(&mut self, pod: PodRef, now: SimTime) {
        let Some(waiting) = self.get_mut(pod) else {
            return;
        };
        waiting.error_count += 1;
        waiting.timestamp = now;
        self.after_backoff(pod, now);
    }

    /// Notes the message of the last attempt; gives whether it is another than before.
    pub fn set_message(&mut self, pod: PodRef, message: &Arc<str>) -> bool {
        let Some(waiting) = self.get_mut(pod) else {
            return false;
        };
        let known = waiting.message.as_ref();
        if known.is_some_and(|m| Arc::ptr_eq(m, message) || m == message) {
            return false;
        }
        waiting.message = Some(Arc::clone(message));
        true
    }

    /// Whether any pod waits for an event.
    #[must_use]
    pub fn has_unschedulable(&self) -> bool {
        !self.unschedulable.is_empty()
    }

    /// Moves those pods that wait for an event and that `helps` says it may help (rule S142).
    ///
    /// # Panics
    /// If a pod is listed that does not wait: a bug of this queue.
    pub fn move_if(&mut self, now: SimTime, mut helps: impl FnMut(&Waiting) -> bool) {
        let helped = |(ticket, pod): (&u64, &PodRef)| {
            let is_helped = self.get(*pod).is_some_and(&mut helps);
            is_helped.then_some((*ticket, *pod))
        };
        let moved: Vec<_> = self.unschedulable.iter().filter_map(helped).collect();
        for (ticket, pod) in moved {
            self.unschedulable.remove(&ticket);
            self.after_backoff(pod, now);
        }
    }

    /// Moves a pod to those that back off if it still does, else to the active ones (rule S134).
    fn after_backoff(&mut self, pod: PodRef, now: SimTime) {
        let Some(waiting) = self.get(pod) else { return };
        let expiry = self.expiry(waiting);
        if expiry.is_none_or(|expiry| expiry < whole_second(now)) {
            return self.activate(pod);
        }
        let ticket = self.ticket();
        let Some(waiting) = self.get_mut(pod) else {
            return;
        };
        waiting.ticket = ticket;
        let order = (Reverse(waiting.priority), waiting.timestamp, ticket);
        let key = (expiry.expect("it backs off"), order);
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
        let Some(waiting) = self.get_mut(pod) else {
            return;
        };
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
        Some(whole_second(waiting.timestamp + wait))
    }

    /// Moves all pods whose back-off is over to the active ones (rule S136).
    pub fn flush_backoff(&mut self, now: SimTime) {
        let second = whole_second(now);
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

    /// When the next back-off is over: the flush after the second in which it ends.
    #[must_use]
    pub fn next_flush(&self) -> Option<SimTime> {
        let expiry = |heap: &Heap<(SimTime, Order)>| heap.peek().map(|Reverse(((at, _), _))| *at);
        let (a, b) = (expiry(&self.backoff), expiry(&self.error_backoff));
        let first = match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, other) => one.or(other),
        };
        first.map(|at| at + SECOND)
    }

    /// Moves all pods that have waited for an event for more than five minutes (rule S139).
    pub fn flush_unschedulable(&mut self, now: SimTime) {
        self.move_if(now, |waiting| now.saturating_since(waiting.timestamp) > STAY_MAX);
    }

    /// When such a pod is looked at next: a tick of 30 s.
    #[must_use]
    pub fn next_unschedulable_flush(&self) -> Option<SimTime> {
        let (_, first) = self.unschedulable.first_key_value()?;
        let due = self.get(*first)?.timestamp + STAY_MAX;
        Some((due + Duration::ns(1)).next_tick(SimTime::ZERO, FLUSH_PERIOD))
    }

    const fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }
}

/// The time cut to the whole second.
fn whole_second(at: SimTime) -> SimTime {
    SimTime::at(Duration::secs(at.since_start().whole_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::Plugin;

    fn pod(number: u32) -> PodRef {
        PodRef { id: PodId::new(number), life: 0 }
    }

    fn at(ms: u64) -> SimTime {
        SimTime::at(Duration::ms(ms))
    }

    fn queue() -> SchedulingQueue {
        SchedulingQueue::new(Duration::secs(1), Duration::secs(10))
    }

    fn popped(queue: &mut SchedulingQueue) -> Option<u32> {
        queue.pop().map(|waiting| waiting.pod.id.number())
    }

    const CLASS: ClassId = ClassId::new(0);

    fn fit() -> PluginSet {
        let mut set = PluginSet::EMPTY;
        set.insert(Plugin::NodeResourcesFit);
        set
    }

    #[test]
    fn priority_then_time_then_order_of_coming() {
        let mut queue = queue();
        for (number, priority, ms) in [(0, 0, 5), (1, 0, 1), (2, 7, 9), (3, 0, 1)] {
            queue.add(pod(number), CLASS, priority, at(ms));
        }
        queue.forget(pod(3));
        let order: Vec<_> = std::iter::from_fn(|| popped(&mut queue)).collect();
        assert_eq!(order, [2, 1, 0]);
    }

    /// V12: the first failure at 10.30 s ends its back-off in second 11 and leaves at 12.0 s; the
    /// second at 12.05 s has 2 s, ends in second 14 and leaves at 15.0 s.
    #[test]
    fn back_off_is_aligned_to_seconds_as_in_v12() {
        let mut queue = queue();
        queue.add(pod(0), CLASS, 0, at(10_300));
        for (failed, leaves) in [(10_300, 12_000), (12_050, 15_000)] {
            assert_eq!(popped(&mut queue), Some(0));
            queue.requeue_rejected(pod(0), fit(), at(failed));
            assert!(!queue.may_pop());
            queue.move_if(at(failed + 1), |_| true);
            assert_eq!(queue.next_flush(), Some(at(leaves)));
            queue.flush_backoff(at(leaves - 1000));
            assert_eq!(queue.get(pod(0)).map(|w| w.place), Some(Place::Backoff));
            queue.flush_backoff(at(leaves));
            assert_eq!(queue.get(pod(0)).map(|w| w.place), Some(Place::Active));
        }
    }

    /// S137: with nothing active the head of the back-off heap is taken, never of the errors'.
    #[test]
    fn an_idle_queue_does_not_wait_for_back_off() {
        let mut queue = queue();
        queue.add(pod(0), CLASS, 0, at(0));
        queue.add(pod(1), CLASS, 0, at(0));
        popped(&mut queue);
        queue.requeue_rejected(pod(0), fit(), at(0));
        popped(&mut queue);
        queue.requeue_error(pod(1), at(0));
        assert_eq!(popped(&mut queue), None);
        queue.move_if(at(1), |_| true);
        assert_eq!((popped(&mut queue), popped(&mut queue)), (Some(0), None));
        assert_eq!(queue.next_flush(), Some(at(2000)));
        queue.flush_backoff(at(2000));
        assert_eq!(popped(&mut queue), Some(1));
    }

    #[test]
    fn after_more_than_five_minutes_a_pod_is_tried_again() {
        let mut queue = queue();
        queue.add(pod(0), CLASS, 0, at(0));
        popped(&mut queue);
        queue.requeue_rejected(pod(0), fit(), at(0));
        // At 300 s it has waited for exactly five minutes: not yet.
        assert_eq!(queue.next_unschedulable_flush(), Some(at(330_000)));
        queue.flush_unschedulable(at(300_000));
        assert!(queue.has_unschedulable());
        queue.flush_unschedulable(at(330_000));
        assert_eq!(popped(&mut queue), Some(0));
    }
}
