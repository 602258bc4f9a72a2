//! The machine: the event queue, the random streams, and what a component may touch.

mod context;
mod lanes;
mod queue;
mod queue_future;
mod queue_instant;
#[cfg(test)]
mod queue_tests;
mod streams;

pub use context::Ctx;
pub use lanes::{CursorId, LaneId};
pub use queue::{EventQueue, QueueLimit, Ranked};
pub use streams::Streams;
