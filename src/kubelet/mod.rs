//! All kubelets together: from a bound pod to running containers, their probes and restarts, and
//! their end.
//!
//! Owns what kubelets know of pods (`state`), the images of nodes, and the processes of containers;
//! what the API and the callers see of it goes through plans. A pod is carried by one *worker*,
//! strictly serial (rule N2): while a pass of it is under way nothing else of that pod is looked
//! at, and a pass once begun is carried to its end (rule N9). What takes no time happens in one
//! event; so a pod in `ideal` latencies costs an event for its start and one for its end.
//!
//! Probes cost no event a tick: when a container can serve is known when it starts, so the tick
//! at which a probe's verdict changes is computed (`probes`) and only that one is an event. The
//! state of a server is kept only of pods that somebody can call: a Service selects them, and the
//! scenario has callers.
//!
//! Source: kubernetes v1.36.3 pkg/kubelet (rules N1 to N139). Differs: the status manager's one
//! sender a node is not modelled (N10, N11: a write takes its latency, pods do not wait for each
//! other); no resync without cause (N8); no failing pulls, init containers, hooks or sandboxes
//! (N58, N62, N63); no node-pressure eviction, preemption by critical pods, static pods, resize,
//! graceful node shutdown or kubelet restart (N15, N16, N43 to N46, N95 to N104, N132).

mod admission;
mod exits;
pub mod machine;
mod node_reports;
mod probes;
mod start;
mod state;
mod status;
mod stop;
#[cfg(test)]
mod swarm;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod worker;

use crate::base::{Duration, IdVec};
use crate::cluster::{Change, Cluster, Component, KubeletEvent, NodeChange, Plan};
use crate::event::{Event, KubeletStep};
use crate::model::{Model, NodeId, PodId, PodRef};
use crate::sim::{Ctx, Streams};

pub use node_reports::NodeReports;

use state::{NodeState, PodState, Stage, Stop};
use worker::Worker;

/// The kubelets of all nodes.
#[derive(Debug)]
pub struct Kubelet {
    pods: IdVec<PodId, PodState>,
    nodes: IdVec<NodeId, NodeState>,
    /// Whether the scenario has callers at all.
    has_callers: bool,
}

impl Kubelet {
    /// Kubelets for the nodes of a model; those of nodes that come later are made as they come.
    #[must_use]
    pub fn new(model: &Model, streams: &Streams) -> Self {
        let of = |node: &crate::model::NodeSpec| {
            NodeState::new(model.names.resolve(node.name), &node.images, streams)
        };
        Self {
            pods: IdVec::new(),
            nodes: model.nodes.iter().map(of).collect(),
            has_callers: !model.traffic.is_empty(),
        }
    }

    fn pod_bound(&mut self, pod: PodRef, node: NodeId, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let state = self.pods.grow_to(pod.id);
        *state = PodState { life: pod.life, stage: Stage::Bound, ..PodState::default() };
        let rng = &mut self.nodes[node].machinery;
        let delay = cluster.model().latencies.kubelet_sync.sample_duration(rng);
        ctx.after(delay, Event::Kubelet { pod, step: KubeletStep::Admit });
    }

    /// A draining server has nothing left: it exits now (an event of this instant).
    fn server_idle(&mut self, pod: PodRef, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let Some(row) = cluster.pod(pod) else { return };
        let Some(state) = self.pods.get_mut(pod.id).filter(|s| s.life == pod.life) else {
            return;
        };
        let template = &cluster.template_of(row).template;
        let Some(server) = template.server else {
            return;
        };
        let inits = template.spec.init_containers.len();
        let index = inits + usize::from(server);
        let Some(container) = state.containers.get_mut(index) else {
            return;
        };
        if container.stop == Stop::Draining {
            container.stop_due = ctx.now();
            ctx.after(
                Duration::ZERO,
                Event::Kubelet { pod, step: KubeletStep::DrainEnds(worker::small(index)) },
            );
        }
    }

    /// Processes of a node end with it, and start again with it (rule N57).
    fn node_changed(&mut self, node: NodeId, up: bool, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        if !up {
            self.nodes[node].reset(ctx.now());
        }
        for id in &cluster.nodes()[node].pods {
            let pod = cluster.pods().refer(*id);
            let is_deleted = cluster.pod(pod).is_some_and(|row| row.deletion.is_some());
            let step = match (up, is_deleted) {
                (false, _) => KubeletStep::PowerLost,
                (true, true) => KubeletStep::Kill,
                (true, false) => KubeletStep::Admit,
            };
            let rng = &mut self.nodes[node].machinery;
            let delay = if up {
                cluster.model().latencies.kubelet_sync.sample_duration(rng)
            } else {
                Duration::ZERO
            };
            ctx.after(delay, Event::Kubelet { pod, step });
        }
    }
}

impl Component<KubeletEvent> for Kubelet {
    fn observe(&mut self, change: &Change, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        match *change {
            Change::PodBound { pod, node, .. } => self.pod_bound(pod, node, cluster, ctx),
            Change::PodDeleting { pod, node: Some(node), .. } => {
                let rng = &mut self.nodes[node].machinery;
                let delay = cluster.model().latencies.kill.sample_duration(rng);
                ctx.after(delay, Event::Kubelet { pod, step: KubeletStep::Kill });
            }
            Change::ServerIdle { pod } => self.server_idle(pod, cluster, ctx),
            Change::Node { node, what: NodeChange::Added } => {
                if node == self.nodes.next_id() {
                    let spec = &cluster.nodes()[node].spec;
                    let name = cluster.names().resolve(spec.name);
                    self.nodes.push(NodeState::new(name, &spec.images, ctx.streams));
                }
            }
            Change::Node { node, what: NodeChange::Down } => {
                self.node_changed(node, false, cluster, ctx);
            }
            Change::Node { node, what: NodeChange::Up } => {
                self.node_changed(node, true, cluster, ctx);
            }
            Change::PodAdded { .. }
            | Change::PodDeleting { .. }
            | Change::PodMeta { .. }
            | Change::PodRefused { .. }
            | Change::Object { .. }
            | Change::Claim { .. }
            | Change::Tree { .. }
            | Change::PodUnplaced { .. }
            | Change::PodNominated { .. }
            | Change::PodStatus { .. }
            | Change::PodRemoved { .. }
            | Change::Serving { .. }
            | Change::ReplicaSet { .. }
            | Change::Deployment { .. }
            | Change::Hpa { .. }
            | Change::Service { .. }
            | Change::Endpoints { .. }
            | Change::Cloud(_)
            | Change::Node { .. } => {}
        }
    }

    fn handle(
        &mut self,
        (pod, step): KubeletEvent,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) {
        let Some(row) = cluster.pod(pod) else { return };
        let Some(node) = row.node else { return };
        if self.pods.get(pod.id).is_none_or(|state| state.life != pod.life) {
            return;
        }
        if !cluster.nodes()[node].is_up && step != KubeletStep::PowerLost {
            return;
        }
        let rejection = match step {
            KubeletStep::Admit => admission::rejection(&self.pods, pod, row, node, cluster),
            _ => None,
        };
        let model = &**cluster.model();
        let worker = Worker {
            pod,
            row,
            template: &cluster.template_of(row).template,
            model,
            cluster,
            state: &mut self.pods[pod.id],
            node: &mut self.nodes[node],
            now: ctx.now(),
            is_called: self.has_callers && !cluster.template_of(row).services.is_empty(),
            is_removed: false,
            plan,
            ctx,
        };
        worker.work(step, rejection);
    }
}
