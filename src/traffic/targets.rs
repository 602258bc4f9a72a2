//! Load balancers with pods as targets: what they check, where they send, and the readiness gates
//! that their controller opens (rules N190 to N192, N469).

use crate::base::{IdVec, SimTime};
use crate::cluster::{Cluster, Plan, Plight, Serving, Write};
use crate::event::TrafficEvent;
use crate::model::{NodeId, PodRef, ServiceId};
use crate::network::targets::PodBalancer;
use crate::network::view::Watcher;
use crate::record::{Cause, Fate};
use crate::sim::Ctx;

use super::ends::End;
use super::{Call, Caller, Servers, Traffic, event};

/// Readiness gates that controllers of load balancers open, by how they begin.
///
/// Source: aws-load-balancer-controller, docs (pod readiness gate); ingress-gce, NEG readiness.
const GATES: [&str; 2] = ["target-health.", "cloud.google.com/load-balancer-neg-ready"];

/// The balancers, by the Services before which they stand.
pub(super) type PodBalancers = IdVec<ServiceId, Option<Box<PodBalancer>>>;

/// Whether a check of a pod's server goes well.
fn answers(servers: &Servers, outside_cut: &IdVec<NodeId, bool>, pod: PodRef) -> bool {
    let is_reached = |node| !outside_cut.get(node).is_some_and(|is_cut| *is_cut);
    servers.get(pod).is_some_and(|row| {
        row.state == Serving::Accepting && row.is_up && !row.is_hung && is_reached(row.node)
    })
}

impl Traffic {
    /// Whether a load balancer sends calls to a Service straight to pods.
    pub(super) fn has_targets(&self, service: ServiceId) -> bool {
        self.targets.get(service).is_some_and(Option::is_some)
    }

    /// All balancers have checked as before, up to a change.
    pub(super) fn targets_settle(&mut self, now: SimTime) {
        let Self { targets, servers, outside_cut, .. } = self;
        for balancer in targets.iter_mut().flatten() {
            balancer.settle(|pod| answers(servers, outside_cut, pod), now);
        }
    }

    /// The endpoints of a Service have changed: its balancer's controller registers pods, and
    /// deregisters those that are ready no more or told to end.
    pub(super) fn targets_hear(
        &mut self,
        service: ServiceId,
        cluster: &Cluster,
        ctx: &mut Ctx<'_>,
    ) {
        if !self.has_targets(service) {
            return;
        }
        let now = ctx.now();
        self.targets_settle(now);
        let Some(row) = cluster.service(service) else { return };
        let gated = |pod| is_gated(pod, cluster);
        let endpoints = row.endpoints.endpoints.iter().filter(|e| !e.terminating);
        let wanted: Vec<PodRef> =
            endpoints.filter(|e| e.ready || gated(e.pod)).map(|e| e.pod).collect();
        let told = self.proxies.hears(cluster, Watcher::MESH, now).saturating_since(now);
        let Some(balancer) = self.targets.get_mut(service).and_then(Option::as_mut) else { return };
        let known = |balancer: &PodBalancer, pod| balancer.health(pod).is_some();
        let new: Vec<PodRef> =
            wanted.iter().copied().filter(|pod| !known(balancer, *pod) && gated(*pod)).collect();
        balancer.hear(&wanted, told, now);
        for pod in new {
            if let Some((_, at)) = balancer.health(pod) {
                ctx.at(at, event(TrafficEvent::Target(pod)));
            }
        }
    }

    /// A balancer has checked a pod whose readiness gate it opens.
    pub(super) fn target_checked(&mut self, pod: PodRef, plan: &mut Plan, ctx: &mut Ctx<'_>) {
        self.targets_settle(ctx.now());
        let mut found = self.targets.iter().flatten().filter_map(|balancer| balancer.health(pod));
        let Some((is_healthy, at)) = found.next() else { return };
        if is_healthy {
            plan.push(Write::Plight { pod, what: Plight::GatesOpen });
        } else if at > ctx.now() && at < self.horizon {
            ctx.at(at, event(TrafficEvent::Target(pod)));
        }
    }

    /// Finds the pod that a balancer sends a call from outside to, and a connection to it; `None`:
    /// no such balancer stands before its Service.
    #[cold]
    pub(super) fn connect_target(
        &mut self,
        call: &mut Call,
        (keeps, word): (bool, u32),
        now: SimTime,
    ) -> Option<Result<(), End>> {
        let Caller::Source(source, _) = call.caller else { return None };
        if !self.has_targets(call.service) {
            return None;
        }
        let outside = NodeId::new(0);
        call.caller = Caller::Source(source, outside);
        if keeps && self.idle_connection(call, outside, now) {
            return Some(Ok(()));
        }
        let Self { targets, servers, outside_cut, .. } = self;
        let balancer = targets.get_mut(call.service).and_then(Option::as_mut)?;
        balancer.settle(|pod| answers(servers, outside_cut, pod), now);
        let Some(pod) = balancer.choose(word) else {
            let (fate, cause) = (Fate::TimedOut, Cause::StaleBalancer);
            return Some(Err(End { fate, cause, at: call.deadline.max(now) }));
        };
        self.opened(call, pod, outside, now);
        Some(Ok(()))
    }
}

/// Whether all readiness gates of a pod are those of load balancers, and it has some.
fn is_gated(pod: PodRef, cluster: &Cluster) -> bool {
    let row = cluster.pod(pod);
    row.is_some_and(|row| {
        let gates = &cluster.template_of(row).template.spec.readiness_gates;
        let is_own = |gate: &str| GATES.iter().any(|start| gate.starts_with(start));
        !gates.is_empty() && gates.iter().all(|gate| is_own(cluster.names().resolve(*gate)))
    })
}
