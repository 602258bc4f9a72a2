//! The scheduling queue alone.

use super::*;

const fn pod(number: u32) -> PodRef {
    PodRef { id: PodId::new(number), life: 0 }
}

fn at(ms: u64) -> SimTime {
    SimTime::at(Duration::ms(ms))
}

fn queue() -> SchedulingQueue {
    SchedulingQueue::new(Duration::secs(1), Duration::secs(10))
}

const fn free(_: PodRef) -> Option<Plugin> {
    None
}

fn add(queue: &mut SchedulingQueue, number: u32, priority: i32, ms: u64) {
    queue.add(pod(number), (ClassId::new(0), 0, priority), None, None, at(ms));
}

fn popped(queue: &mut SchedulingQueue) -> Option<u32> {
    queue.pop().map(|waiting| waiting.pod.id.number())
}

fn place(queue: &SchedulingQueue, number: u32) -> Option<Place> {
    queue.get(pod(number)).map(|waiting| waiting.place)
}

fn fit() -> PluginSet {
    let mut set = PluginSet::EMPTY;
    set.insert(Plugin::NodeResourcesFit);
    set
}

#[test]
fn priority_then_time_then_order_of_coming() {
    let mut queue = queue();
    for (number, priority, ms) in [(0, 0, 5), (1, 0, 1), (2, 7, 9), (3, 0, 1)] {
        add(&mut queue, number, priority, ms);
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
    add(&mut queue, 0, 0, 10_300);
    for (failed, leaves) in [(10_300, 12_000), (12_050, 15_000)] {
        assert_eq!(popped(&mut queue), Some(0));
        queue.requeue(pod(0), fit(), free, at(failed));
        assert!(!queue.may_pop());
        queue.move_if(|_| true, free, at(failed + 1));
        assert_eq!(queue.next_flush(), Some(at(leaves)));
        queue.flush_backoff(at(leaves - 1000));
        assert_eq!(place(&queue, 0), Some(Place::Backoff));
        queue.flush_backoff(at(leaves));
        assert_eq!(place(&queue, 0), Some(Place::Active));
    }
}

/// S137: with nothing active the head of the back-off heap is taken, never of the errors'.
#[test]
fn an_idle_queue_does_not_wait_for_back_off() {
    let mut queue = queue();
    add(&mut queue, 0, 0, 0);
    add(&mut queue, 1, 0, 0);
    popped(&mut queue);
    queue.requeue(pod(0), fit(), free, at(0));
    popped(&mut queue);
    queue.requeue(pod(1), PluginSet::EMPTY, free, at(0));
    assert_eq!(popped(&mut queue), None);
    queue.move_if(|_| true, free, at(1));
    assert_eq!((popped(&mut queue), popped(&mut queue)), (Some(0), None));
    assert_eq!(queue.next_flush(), Some(at(2000)));
    queue.flush_backoff(at(2000));
    assert_eq!(popped(&mut queue), Some(1));
}

#[test]
fn after_more_than_five_minutes_a_pod_is_tried_again() {
    let mut queue = queue();
    add(&mut queue, 0, 0, 0);
    let gate = Some(Plugin::SchedulingGates);
    queue.add(pod(1), (ClassId::new(0), 0, 0), None, gate, at(0));
    popped(&mut queue);
    queue.requeue(pod(0), fit(), free, at(0));
    // At 300 s it has waited for exactly five minutes: not yet.
    assert_eq!(queue.next_unschedulable_flush(), Some(at(330_000)));
    queue.flush_unschedulable(free, at(300_000));
    assert_eq!(place(&queue, 0), Some(Place::Unschedulable));
    queue.flush_unschedulable(free, at(330_000));
    assert_eq!(popped(&mut queue), Some(0));
    // What is held back stays.
    assert_eq!(place(&queue, 1), Some(Place::Gated));
    assert_eq!(queue.next_unschedulable_flush(), None);
}

/// S132, S133: what would have helped while the pod was being placed counts when it is back.
#[test]
fn events_during_an_attempt_count() {
    let mut queue = queue();
    for (number, helps) in [(0, Plugin::NodeResourcesFit), (1, Plugin::NodeAffinity)] {
        add(&mut queue, number, 0, 0);
        popped(&mut queue);
        assert_eq!(queue.in_flight(), [pod(number)]);
        let mut helped = PluginSet::EMPTY;
        helped.insert(helps);
        queue.note(pod(number), helped);
        queue.requeue(pod(number), fit(), free, at(10));
    }
    assert_eq!(place(&queue, 0), Some(Place::Backoff));
    assert_eq!(place(&queue, 1), Some(Place::Unschedulable));
}

/// S149: activation ignores back-off, and is remembered for a pod that is being placed.
#[test]
fn activation_ignores_back_off() {
    let mut queue = queue();
    add(&mut queue, 0, 0, 0);
    popped(&mut queue);
    queue.activate_now(pod(0), free);
    queue.requeue(pod(0), fit(), free, at(0));
    assert_eq!(place(&queue, 0), Some(Place::Backoff));
    queue.activate_now(pod(0), free);
    assert_eq!(place(&queue, 0), Some(Place::Active));
}
