//! Placement: what is kept between decisions gives what the plain evaluation gives, in random
//! worlds and in all small ones.

mod draw;

use std::sync::Arc;

use seatrial::base::{Bytes, Id, Interner, MilliCpu};
use seatrial::model::{
    Labels, NodeAffinity, NodeId, NodeSpec, PodId, PodRef, Resources, SchedulerSettings,
};
use seatrial::placement::{ClassId, Decision, Placer, plain};

use draw::Draw;

const WORLDS: u32 = 60;
const FELLOW_WORLDS: u32 = 80;
const STEPS: u32 = 250;
/// A pod that is asked about and nowhere counted.
const PROBE: PodRef = PodRef { id: PodId::new(u32::MAX - 1), life: 0 };

fn pod_ref(number: usize) -> PodRef {
    PodRef { id: PodId::from_index(number), life: 0 }
}

/// The same of a pod that can go to one node alone (rule C102): one that is there, or none.
fn decide_pinned(placer: &mut Placer, class: ClassId, names: &Interner, of: &str) {
    let start = placer.start();
    let order = placer.nodes().order();
    let some = order.get(start * 7 % order.len().max(1)).filter(|_| start % 8 != 3);
    let name = match some {
        Some(node) => placer.nodes().state(*node).spec.name,
        None => placer.info(class).namespace,
    };
    let fast = (placer.decide_pinned(PROBE, class, name, 0, names), placer.start());
    placer.set_start(start);
    let slow = (placer.decide_pinned_plain(PROBE, class, name, 0, names), placer.start());
    assert_eq!(fast, slow, "{of}, pinned, search from {start}");
    placer.set_start(start);
}

/// Decides twice, the second time plainly, and demands the same.
fn decide(placer: &mut Placer, class: ClassId, names: &Interner, of: &str) -> Decision {
    decide_pinned(placer, class, names, of);
    let start = placer.start();
    let fast = (placer.decide(PROBE, class, 0, names), placer.start());
    placer.set_start(start);
    let slow = (placer.decide_plain(PROBE, class, 0, names), placer.start());
    assert_eq!(fast, slow, "{of}, search from {start}");
    fast.0
}

/// S15 to S100: the columns decide what the plain evaluation decides, whatever happened before.
#[test]
fn columns_are_the_plain_evaluation() {
    for world in 0..WORLDS {
        let mut draw = Draw::new(world);
        let settings = draw.settings();
        let mut placer = Placer::new(&settings);
        let count = draw.one_of(&[0, 1, 2, 3, 30, 63, 64, 65, 101, 130, 207, 300]);
        let nodes: Vec<_> = (0..count).map(|n| (NodeId::new(n), draw.node(n as usize))).collect();
        placer.add_nodes(nodes, &draw.names);
        let pods: Vec<_> = (0..8).map(|_| draw.pod()).collect();
        let mut bound: Vec<(NodeId, PodRef)> = Vec::new();
        let mut made = 0;
        for step in 0..STEPS {
            let of = format!("world {world}, step {step}");
            let ids = placer.nodes().order().to_vec();
            let some_node = (!ids.is_empty()).then(|| draw.one_of(&ids));
            match draw.below(20) {
                0 | 1 if !bound.is_empty() => {
                    let (node, pod) = bound.swap_remove(draw.below(bound.len()));
                    placer.remove_pod(node, pod);
                }
                2 if draw.rarely(4) => {
                    let node = NodeId::new(count + step);
                    let spec = draw.node((count + step) as usize);
                    placer.add_node(node, spec, &draw.names);
                }
                3 if draw.rarely(8) && some_node.is_some() => {
                    let gone = some_node.expect("asked for");
                    placer.remove_node(gone, &draw.names);
                    bound.retain(|(node, _)| *node != gone);
                }
                4 | 5 if some_node.is_some() => {
                    let node = some_node.expect("asked for");
                    let mut spec = placer.nodes().state(node).spec.clone();
                    match draw.below(3) {
                        0 => spec.unschedulable = !spec.unschedulable,
                        1 => spec.taints = draw.taints(),
                        _ => spec.labels = draw.labels(),
                    }
                    placer.update_node(node, &spec, &draw.names);
                }
                // Much happens, so that what is kept is too old.
                6 if draw.rarely(4) && some_node.is_some() => {
                    let info = draw.info(&pods[0]);
                    let class = placer.class(&info, &draw.names);
                    for _ in 0..draw.one_of(&[50, 150, 700]) {
                        let node = draw.one_of(&ids);
                        placer.add_pod(node, PROBE, class, &draw.names);
                        placer.remove_pod(node, PROBE);
                    }
                }
                _ => {
                    let pod = &pods[draw.below(pods.len())];
                    let info = draw.info(pod);
                    let class = placer.class(&info, &draw.names);
                    if let Decision::Placed { node, .. } =
                        decide(&mut placer, class, &draw.names, &of)
                    {
                        let pod = pod_ref(made);
                        made += 1;
                        placer.add_pod(node, pod, class, &draw.names);
                        bound.push((node, pod));
                    }
                }
            }
        }
    }
}

/// S103 to S122: counters and columns decide what the plain evaluation decides for pods that care
/// for others, whatever happened before.
#[test]
fn counters_are_the_plain_evaluation() {
    for world in 0..FELLOW_WORLDS {
        let mut draw = Draw::new(1000 + world);
        let settings = draw.settings();
        let mut placer = Placer::new(&settings);
        let count = draw.one_of(&[1, 2, 5, 30, 64, 101, 150]);
        let nodes: Vec<_> = (0..count).map(|n| (NodeId::new(n), draw.node(n as usize))).collect();
        placer.add_nodes(nodes, &draw.names);
        draw.catalog(placer.catalog_mut());
        let pods: Vec<_> = (0..10).map(|_| draw.fellow()).collect();
        let mut bound: Vec<(NodeId, PodRef)> = Vec::new();
        for step in 0..STEPS {
            let of = format!("world {world}, step {step}");
            let ids = placer.nodes().order().to_vec();
            match draw.below(24) {
                0 | 1 if !bound.is_empty() => {
                    let (node, pod) = bound.swap_remove(draw.below(bound.len()));
                    placer.remove_pod(node, pod);
                }
                2 | 3 if !bound.is_empty() => {
                    let (node, pod) = bound[draw.below(bound.len())];
                    placer.touch_pod(node, pod, |placed| placed.is_terminating = true);
                }
                4 if draw.rarely(4) => {
                    let node = NodeId::new(count + step);
                    let spec = draw.node((count + step) as usize);
                    placer.add_node(node, spec, &draw.names);
                }
                5 if draw.rarely(8) && ids.len() > 1 => {
                    let gone = draw.one_of(&ids);
                    placer.remove_node(gone, &draw.names);
                    bound.retain(|(node, _)| *node != gone);
                }
                6 | 7 => {
                    let node = draw.one_of(&ids);
                    let mut spec = placer.nodes().state(node).spec.clone();
                    match draw.below(3) {
                        0 => spec.taints = draw.taints(),
                        1 => spec.images = draw.images(),
                        _ => spec.labels = draw.labels(),
                    }
                    placer.update_node(node, &spec, &draw.names);
                }
                8 if draw.rarely(6) => draw.catalog(placer.catalog_mut()),
                9 if draw.rarely(6) => {
                    let info = Arc::clone(&pods[draw.below(pods.len())]);
                    placer.nominator_mut().add(pod_ref(900), info, draw.one_of(&ids));
                }
                10 => {
                    placer.nominator_mut().remove(pod_ref(900));
                }
                _ => {
                    let class = placer.class(&pods[draw.below(pods.len())], &draw.names);
                    if let Decision::Placed { node, .. } =
                        decide(&mut placer, class, &draw.names, &of)
                    {
                        let pod = pod_ref(1000 + step as usize);
                        placer.add_pod(node, pod, class, &draw.names);
                        bound.push((node, pod));
                    }
                }
            }
        }
    }
}

/// S122: the first image of a pod's class may come with a node that is new, or changes.
#[test]
fn images_count_from_the_first_on() {
    let mut draw = Draw::new(0);
    let mut placer = Placer::new(&SchedulerSettings::default());
    let image = draw.name("app:1");
    let node = |draw: &mut Draw, number: usize| NodeSpec {
        name: draw.name(&format!("node-{number}")),
        allocatable: Resources { cpu: MilliCpu(4000), ..Resources::default() },
        pods_max: 10,
        ..draw.node.clone()
    };
    let nodes: Vec<_> = (0..3).map(|n| (NodeId::new(n), node(&mut draw, n as usize))).collect();
    placer.add_nodes(nodes, &draw.names);
    let mut spec = (*draw.pod()).clone();
    spec.node_selector = Labels::default();
    spec.node_affinity = NodeAffinity::default();
    spec.requests = Resources::default();
    spec.image_names = vec![image];
    let info = draw.info(&Arc::new(spec));
    let class = placer.class(&info, &draw.names);
    let placed = |node| Decision::Placed { node: NodeId::new(node), feasible: 3 };
    assert_eq!(decide(&mut placer, class, &draw.names, "no images"), placed(0));
    let mut with = placer.nodes().state(NodeId::new(2)).spec.clone();
    with.images = [(image, Bytes::gib(3))].into();
    placer.update_node(NodeId::new(2), &with, &draw.names);
    assert_eq!(decide(&mut placer, class, &draw.names, "an image"), placed(2));
}

/// All worlds of two nodes of 1 or 2 cores and three pods of 0, 1 or 2 cores against brute force.
#[test]
fn all_small_worlds() {
    let mut draw = Draw::new(0);
    let settings = SchedulerSettings::default();
    let worlds = (0..4).flat_map(|nodes| (0..27).map(move |pods| (nodes, pods)));
    for (nodes, pods) in worlds {
        let sizes = [1 + nodes % 2, 1 + nodes / 2].map(|cores| cores * 1000);
        let wants = [pods % 3, pods / 3 % 3, pods / 9].map(|cores| cores * 1000);
        let mut placer = Placer::new(&settings);
        for (node, cpu) in (0..).zip(sizes) {
            let mut spec = draw.node.clone();
            spec.allocatable.cpu = MilliCpu(cpu);
            spec.allocatable.memory = Bytes(0);
            placer.add_node(NodeId::new(node), spec, &draw.names);
        }
        let mut taken = [0, 0];
        let mut placed = 0;
        for wanted in wants {
            let mut pod = draw.pod.clone();
            pod.requests = Resources { cpu: MilliCpu(wanted), ..Resources::default() };
            pod.nonzero_requests = (MilliCpu(wanted), Bytes::mib(200));
            pod.scored_requests = Resources {
                cpu: MilliCpu(wanted),
                memory: Bytes::mib(200),
                ..Resources::default()
            };
            let info = draw.info(&Arc::new(pod));
            let class = placer.class(&info, &draw.names);
            let at = |node: usize| total_without_memory(sizes[node], taken[node], wanted);
            let expected = match (at(0), at(1)) {
                (None, None) => None,
                (one, other) if one >= other => Some(0),
                _ => Some(1),
            };
            let decision = decide(&mut placer, class, &draw.names, "a small world");
            let got = match decision {
                Decision::Placed { node, .. } => Some(node.index()),
                Decision::Failed(_) => None,
            };
            assert_eq!(got, expected, "{sizes:?} {taken:?} {wanted}");
            if let Some(node) = got {
                taken[node] += wanted;
                let pod = pod_ref(placed);
                placed += 1;
                placer.add_pod(NodeId::from_index(node), pod, class, &draw.names);
            }
        }
    }
}

/// The total of a node without memory: its part of the score of the fit is left out (rule S87), and
/// evenness of one resource is full (rule S90).
fn total_without_memory(of: i64, taken: i64, wanted: i64) -> Option<i64> {
    if wanted > 0 && taken + wanted > of {
        return None;
    }
    let fit = (of - taken - wanted) * 100 / of;
    let balance = if wanted == 0 { 0 } else { 50 + (50 + 100 - 100) / 2 };
    Some(300 + fit + balance)
}

/// S8, S27, V3: identical nodes, each pod starts where the search before it ended.
#[test]
fn the_start_moves_on() {
    let mut draw = Draw::new(0);
    let mut placer = Placer::new(&SchedulerSettings::default());
    let nodes = (0..300).map(|n| (NodeId::new(n), draw.node.clone()));
    placer.add_nodes(nodes, &draw.names);
    let info = draw.info(&Arc::new(draw.pod.clone()));
    let class = placer.class(&info, &draw.names);
    let mut starts = Vec::new();
    for _ in 0..6 {
        starts.push(placer.start());
        let decision = decide(&mut placer, class, &draw.names, "identical nodes");
        assert!(matches!(decision, Decision::Placed { feasible: 144, .. }));
    }
    assert_eq!(starts, [0, 144, 288, 132, 276, 120]);
    let of = placer.applicant(PROBE, class);
    let attempt = plain::attempt(&of, &placer.world(0, &draw.names), 0);
    assert_eq!(attempt.feasible.len(), 144);
}
