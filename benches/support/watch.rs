//! A stop watch: wall clock and the processor's time of this thread.

#[expect(clippy::disallowed_types, reason = "a benchmark reads the wall clock")]
use std::time::Instant;

/// Started at some instant.
#[expect(clippy::disallowed_types, reason = "a benchmark reads the wall clock")]
pub(crate) struct Watch(Instant, Option<f64>);

impl Watch {
    #[expect(clippy::disallowed_types, reason = "a benchmark reads the wall clock")]
    pub(crate) fn start() -> Self {
        Self(Instant::now(), thread_s())
    }

    /// Seconds by the wall clock since then.
    pub(crate) fn wall_s(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }

    /// Seconds of the processor since then, where they are known (Linux), else the wall clock's.
    pub(crate) fn processor_s(&self) -> f64 {
        let spent = thread_s().zip(self.1).map(|(now, before)| now - before);
        spent.unwrap_or_else(|| self.wall_s())
    }
}

/// How long this thread has run, in seconds.
fn thread_s() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    let nanos: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanos / 1e9)
}
