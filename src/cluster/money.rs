//! What a pod's share of its node costs.
//!
//! The share is half its part of the CPU and half its part of the memory; exact, in whole numbers.

use crate::base::Duration;
use crate::model::PodId;
use crate::recorder::FINE;

use super::{Cluster, Node, Pod};

/// A part of a price: `of / all`, rounded down; 0 of nothing.
fn part(price: i128, of: i64, all: i64) -> i128 {
    if all <= 0 { 0 } else { price * i128::from(of) / i128::from(all) }
}

impl Cluster {
    fn node_and_price(&self, pod: &Pod) -> Option<(&Node, i128)> {
        let node = &self.nodes[pod.node?];
        let price = i128::from(node.spec.price_per_hour.0) * i128::from(FINE);
        (price > 0).then_some((node, price))
    }

    /// What an hour of a pod's share by its requests costs, in millionths of a money.
    pub(super) fn price_requested(&self, pod: &Pod) -> i64 {
        let Some((node, price)) = self.node_and_price(pod) else { return 0 };
        let of = &self.templates[pod.template].template.spec.requests;
        let all = &node.spec.allocatable;
        let cpu = part(price, of.cpu.0, all.cpu.0);
        let memory = part(price, of.memory.0, all.memory.0);
        i64::try_from((cpu + memory) / 2).unwrap_or(i64::MAX)
    }

    /// What a pod's share by its use has cost up to the last sample of the metrics pipeline, in
    /// millionths of a money times nanoseconds.
    pub(super) fn cost_used(&self, id: PodId, pod: &Pod) -> i128 {
        let Some((node, price)) = self.node_and_price(pod) else { return 0 };
        let Some(metrics) = self.metrics.get(id) else { return 0 };
        let Some((at, spent)) = metrics.points[1] else { return 0 };
        let all = &node.spec.allocatable;
        let ran = pod.status.started.map_or(Duration::ZERO, |from| at.saturating_since(from));
        // A core-second of use is 1000 millicores for a second.
        let cpu = part(price * i128::from(spent.as_nanos()), 1000, all.cpu.0);
        let memory = part(price * i128::from(ran.as_nanos()), metrics.memory_bytes, all.memory.0);
        (cpu + memory) / 2
    }
}
