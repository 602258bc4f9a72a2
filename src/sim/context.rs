//! What a component may touch besides its own fields and the cluster.

use crate::base::{Duration, SimTime};
use crate::event::{self, Event};
use crate::recorder::Recorder;

use super::{EventQueue, Ranked, Streams};

impl Ranked for Event {
    fn rank(&self) -> u8 {
        event::rank(self)
    }
}

/// All that a component may touch besides its own fields and the cluster.
#[derive(Debug)]
pub struct Ctx<'a> {
    /// What will happen.
    pub queue: &'a mut EventQueue<Event>,
    /// Where generators of random numbers are opened.
    pub streams: &'a Streams,
    /// Where facts are told.
    pub recorder: &'a mut Recorder,
}

impl Ctx<'_> {
    /// The present instant.
    #[must_use]
    pub fn now(&self) -> SimTime {
        self.queue.now()
    }

    /// Lets `event` happen after `delay`; zero means later at this instant.
    pub fn after(&mut self, delay: Duration, event: Event) {
        self.queue.push_after(delay, event);
    }

    /// Lets `event` happen at an instant that is not past.
    pub fn at(&mut self, at: SimTime, event: Event) {
        self.queue.push(at, event);
    }
}
