//! The room `sim`.

mod lanes;
mod queue;
mod queue_future;
mod queue_instant;
#[cfg(test)]
mod queue_tests;
mod streams;

pub use lanes::{CursorId, LaneId};
pub use queue::{EventQueue, QueueLimit, Ranked};
pub use streams::Streams;
