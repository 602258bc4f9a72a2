//! ImageLocality: nodes that have the pod's images come first.
//!
//! Source: kubernetes v1.36.3 pkg/scheduler/framework/plugins/imagelocality/image_locality.go
//! (rule S122; recorded).

use crate::base::{Bytes, cast};
use crate::model::{NodeId, PodSpec};

use super::super::images::ImageState;
use super::super::nodes::NodeState;
use super::super::pod_info::{Applicant, PodInfo};
use super::super::select::SCORE_MAX;
use super::super::world::World;

/// What a node has at least to have of a pod's images, in bytes.
const LEAST: i64 = Bytes::mib(23).0;
/// What counts at most for each container, in bytes.
const MOST_EACH: i64 = Bytes::mib(1000).0;

/// The scores of nodes.
#[must_use]
pub fn scores(of: &Applicant, nodes: &[(NodeId, &NodeState)], world: &World<'_>) -> Vec<i64> {
    nodes.iter().map(|(node, _)| score(&of.info.spec, *node, world)).collect()
}

/// Whether any node has any of the pod's images: else all score the same.
pub(in crate::placement) fn is_known(pod: &PodInfo, world: &World<'_>) -> bool {
    pod.spec.image_names.iter().any(|name| world.nodes.has_image(*name))
}

/// The score of a node.
#[must_use]
pub fn score(pod: &PodSpec, node: NodeId, world: &World<'_>) -> i64 {
    let images = pod.image_names.iter().filter_map(|name| world.nodes.image(node, *name));
    let sum = images.map(|image| spread(image, world.nodes.len())).sum();
    score_of_sum(sum, pod.init_containers.len() + pod.containers.len())
}

/// What of an image counts, in bytes: the less the fewer nodes have it, so that pods do not heap up
/// on those that do.
fn spread(image: ImageState, nodes: usize) -> i64 {
    let part = f64::from(image.nodes) / cast::f64_of_usize(nodes);
    cast::i64_trunc(cast::f64_of_i64(image.size.0) * part)
}

fn score_of_sum(sum: i64, containers: usize) -> i64 {
    let most = MOST_EACH * cast::i64_of(containers);
    let counted = if sum < LEAST { LEAST } else { sum.min(most) };
    SCORE_MAX * (counted - LEAST) / (most - LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_is_nothing_and_much_is_enough() {
        let mib = |mib: i64| Bytes::mib(mib).0;
        assert_eq!(score_of_sum(mib(23), 1), 0);
        assert_eq!(score_of_sum(mib(5000), 2), 100);
        assert_eq!(score_of_sum(mib(1000), 2), 49);
        assert_eq!(score_of_sum(0, 0), 0);
        let image = ImageState { size: Bytes(1001), nodes: 1 };
        assert_eq!(spread(image, 2), 500);
    }
}
