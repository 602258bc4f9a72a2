//! Writes of the metrics pipeline.

use crate::base::{Duration, cast};
use crate::model::PodId;

use super::Cluster;

impl Cluster {
    /// Publishes a sample of the metrics pipeline: the value is what the last two points give.
    ///
    /// Source: metrics-server pkg/storage/pod.go `GetMetrics`, storage/types.go `resourceUsage`
    /// (rules A63, A64, A65).
    pub(super) fn publish_metrics(&mut self, sample: &[(PodId, Duration, i64)]) {
        let now = self.now;
        self.metrics_at = Some(now);
        self.cpu_used_milli = 0;
        for (id, spent, memory) in sample {
            let Some(pod) = self.pods.at(*id) else {
                continue;
            };
            let metrics = &mut self.metrics[*id];
            metrics.points[0] = metrics.points[1];
            metrics.points[1] = Some((now, *spent));
            metrics.memory_bytes = *memory;
            let age = pod.status.started.map_or(Duration::ZERO, |at| now - at);
            let synthetic = pod.status.started.filter(|_| age >= Duration::secs(10));
            let from = metrics.points[0].or(synthetic.map(|at| (at, Duration::ZERO)));
            let Some((at, before)) = from.filter(|(at, _)| *at < now) else {
                continue;
            };
            let window = now - at;
            let used = spent.saturating_sub(before);
            let milli = milli_rate(used, window);
            self.cpu_used_milli += milli;
            metrics.cpu_milli = Some(milli);
            metrics.at = now;
            metrics.window = window;
        }
    }
}

/// CPU time over a window in millicores: whole nanocores first, as metrics-server has them, then
/// rounded up, as the autoscaler's client does (rules A21, A63).
fn milli_rate(used: Duration, window: Duration) -> i64 {
    let nano = u128::from(used.as_nanos()) * 1_000_000_000 / u128::from(window.as_nanos());
    cast::i64_saturating(i128::try_from(nano.div_ceil(1_000_000)).unwrap_or(i128::MAX))
}
