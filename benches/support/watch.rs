//! A stop watch: wall clock and the processor's time of this thread; the greatest memory.

#[expect(clippy::disallowed_types, reason = "a benchmark reads the wall clock")]
use std::time::Instant;

/// Started at some instant.
#[allow(dead_code, clippy::allow_attributes, reason = "not every benchmark asks for all of it")]
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

    #[allow(dead_code, clippy::allow_attributes, reason = "not every benchmark asks for it")]
    /// Seconds of the processor since then, where they are known (Linux), else the wall clock's.
    pub(crate) fn processor_s(&self) -> f64 {
        let spent = thread_s().zip(self.1).map(|(now, before)| now - before);
        spent.unwrap_or_else(|| self.wall_s())
    }
}

/// The greatest resident memory of the process so far, in MiB (Linux).
#[allow(dead_code, clippy::allow_attributes, reason = "not every benchmark asks for it")]
pub(crate) fn peak_rss_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}

/// How long this thread has run, in seconds.
fn thread_s() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    let nanos: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanos / 1e9)
}
