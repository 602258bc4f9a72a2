//! The way of a call: through which node it comes in, which pod the proxy there chooses, and how
//! long the wire takes.

use std::sync::Arc;

use crate::base::dist::mix;
use crate::base::{Distribution, Duration, SimTime, cast};
use crate::cluster::{Cluster, NodeChange};
use crate::event::Event;
use crate::model::{DnsCache, Latencies, NodeId, PodRef, ServiceId, ServiceKind, Targets};
use crate::network::balancer::Balancer;
use crate::network::rules::one_of;
use crate::network::targets::PodBalancer;
use crate::network::way::{Side, Way};
use crate::record::{Cause, Fate};
use crate::sim::{Ctx, LaneId};

use super::ends::End;
use super::sources::Source;
use super::{Call, Caller, Purpose, Traffic};

/// One way from caller to server, by how far they are from each other.
#[derive(Debug)]
pub(super) struct Hops {
    same_node: Option<Hop>,
    same_zone: Hop,
    between_zones: Option<Hop>,
    /// Lanes of calls on their way, one a constant hop.
    lanes: Vec<(Duration, LaneId)>,
    /// Lanes of time-outs, one a length.
    timeouts: Vec<(Duration, LaneId)>,
}

/// One way of one distance.
#[derive(Debug)]
enum Hop {
    /// Always the same.
    Constant(Duration),
    /// Drawn once a call: both ways take the same.
    Drawn(Distribution),
}

impl Hop {
    fn new(hop: &Distribution) -> Self {
        if hop.is_constant() {
            Self::Constant(Duration::from_secs_f64(hop.quantile(0.5)))
        } else {
            Self::Drawn(hop.clone())
        }
    }

    #[inline]
    fn set(&self, call: &mut Call) {
        call.set_hop(match self {
            Self::Constant(hop) => *hop,
            Self::Drawn(hop) => Duration::from_secs_f64(hop.quantile(call.chance(Purpose::Hop))),
        });
    }
}

impl Hops {
    pub(super) fn new(latencies: &Latencies) -> Self {
        Self {
            same_node: latencies.hop_same_node.as_ref().map(Hop::new),
            same_zone: Hop::new(&latencies.hop),
            between_zones: latencies.hop_between_zones.as_ref().map(Hop::new),
            lanes: Vec::new(),
            timeouts: Vec::new(),
        }
    }

    /// The run begins.
    pub(super) fn start(&mut self, ctx: &mut Ctx<'_>) {
        let all = [Some(&self.same_zone), self.same_node.as_ref(), self.between_zones.as_ref()];
        for hop in all.into_iter().flatten() {
            let Hop::Constant(hop) = hop else { continue };
            if !hop.is_zero() && self.lanes.iter().all(|(other, _)| other != hop) {
                self.lanes.push((*hop, ctx.queue.add_lane(*hop)));
            }
        }
    }

    /// The lane of all clients with this time-out.
    pub(super) fn lane_of_timeout(&mut self, timeout: Duration, ctx: &mut Ctx<'_>) -> LaneId {
        let known = self.timeouts.iter().find(|(all, _)| *all == timeout);
        known.map(|(_, lane)| *lane).unwrap_or_else(|| {
            let lane = ctx.queue.add_lane(timeout);
            self.timeouts.push((timeout, lane));
            lane
        })
    }

    /// The hop between two nodes, if it is not that of one zone (rule N188).
    fn between(&self, from: NodeId, to: NodeId, cluster: &Cluster) -> Option<&Hop> {
        let zone = |node: NodeId| cluster.nodes()[node].spec.zone;
        if from == to {
            self.same_node.as_ref()
        } else if zone(from) == zone(to) {
            None
        } else {
            self.between_zones.as_ref()
        }
    }
}

impl Traffic {
    /// Draws how long one way takes within a zone.
    #[inline]
    pub(super) fn set_hop(&self, call: &mut Call) {
        self.hops.same_zone.set(call);
    }

    /// Draws how long one way takes, now that it is known where the call goes.
    #[inline]
    pub(super) fn set_distance(&self, call: &mut Call, cluster: &Cluster) {
        if self.hops.same_node.is_none() && self.hops.between_zones.is_none() {
            return;
        }
        let from = self.node_of_caller(call);
        let to = cluster.pod(call.server).and_then(|pod| pod.node);
        let hop = from.zip(to).and_then(|(from, to)| self.hops.between(from, to, cluster));
        if let Some(hop) = hop {
            hop.set(call);
        }
    }

    /// Lets an event happen after a hop.
    #[inline]
    pub(super) fn send(&self, hop: Duration, event: Event, ctx: &mut Ctx<'_>) {
        match self.hops.lanes.iter().find(|(all, _)| *all == hop) {
            Some((_, lane)) => ctx.queue.push_lane(*lane, event),
            None => ctx.after(hop, event),
        }
    }

    /// Lets an event happen at an instant, which is mostly so far away as a hop.
    #[inline]
    pub(super) fn send_at(&self, at: SimTime, hop: Duration, event: Event, ctx: &mut Ctx<'_>) {
        if at.saturating_since(ctx.now()) == hop {
            self.send(hop, event, ctx);
        } else {
            ctx.at(at, event);
        }
    }

    /// The pod that the proxy of a node chooses for a new connection, and of how many.
    #[inline]
    pub(super) fn route(
        &mut self,
        call: &Call,
        node: NodeId,
        word: u32,
        cluster: &Cluster,
        now: SimTime,
    ) -> Result<(PodRef, usize), End> {
        let side = match call.caller {
            Caller::Call(_) | Caller::Probe(_) if !self.is_from_outside(call) => Side::Inside,
            Caller::Source(..) | Caller::Call(_) | Caller::Probe(_) => Side::Outside,
        };
        let (way, affinity) = self.proxies.way(cluster, (node, side), call.service, now);
        match way {
            Way::To(pods) if affinity.is_none() => Ok((pods[one_of(word, pods.len())], pods.len())),
            Way::To(pods) => {
                let pods = Arc::clone(pods);
                Ok((self.stay(call, node, (&pods, affinity), word, now), pods.len()))
            }
            Way::ByName => self.resolve(call, word, cluster, now),
            Way::Reject => Err(End { fate: Fate::NoEndpoint, cause: Cause::NoReadyPod, at: now }),
            // Nobody finds a name that was never there.
            Way::Drop if cluster.is_unborn(call.service) => {
                Err(End { fate: Fate::NoEndpoint, cause: Cause::NoReadyPod, at: now })
            }
            Way::Drop => {
                let cause = self.why_dropped(call, side, cluster);
                Err(End { fate: Fate::TimedOut, cause, at: call.deadline.max(now) })
            }
        }
    }

    /// Why a node has no answer: its rules lead nowhere.
    #[cold]
    fn why_dropped(&self, call: &Call, side: Side, cluster: &Cluster) -> Cause {
        let spec = cluster.service(call.service).map(|row| &row.spec);
        let is_local = spec.is_some_and(|spec| match side {
            Side::Outside if is_outside(spec.kind) => spec.external_local,
            Side::Outside | Side::Inside => spec.internal_local,
        });
        let is_balanced = side == Side::Outside && self.balancer(call.service).is_some();
        match (is_local, is_balanced) {
            (true, true) => Cause::StaleBalancer,
            (true, false) => Cause::NotOnNode,
            (false, _) => Cause::NoReadyPod,
        }
    }

    /// The pod with which an address stays on a node; another one if that is not used any more, or
    /// the address was away for too long.
    ///
    /// Source: kubernetes v1.36.3 pkg/proxy/iptables/proxier.go (`recent`), by node (rule N161).
    fn stay(
        &mut self,
        call: &Call,
        node: NodeId,
        (pods, affinity): (&[PodRef], Option<Duration>),
        word: u32,
        now: SimTime,
    ) -> PodRef {
        let any = pods[one_of(word, pods.len())];
        let address = match call.caller {
            Caller::Source(source, _) => self.sources[source].addresses().map(|count| {
                let number = one_of(high(call.address()), cast::usize_of(count));
                u64::from(source.number()) << 32 | cast::u64_of(number)
            }),
            Caller::Call(parent) => self.calls.get(parent).map(|call| {
                1 << 63 | u64::from(call.server.life) << 32 | u64::from(call.server.id.number())
            }),
            Caller::Probe(_) => None,
        };
        let (Some(address), Some(span)) = (address, affinity) else { return any };
        let key = (call.service, node, address);
        let known = self.sticky.get(&key).copied();
        let stays =
            known.filter(|(pod, used)| now.saturating_since(*used) <= span && pods.contains(pod));
        let pod = stays.map_or(any, |(pod, _)| pod);
        self.sticky.insert(key, (pod, now));
        pod
    }

    /// One of the pods that DNS gives, as the client or the server may have kept it (rule N182).
    fn resolve(
        &mut self,
        call: &Call,
        word: u32,
        cluster: &Cluster,
        now: SimTime,
    ) -> Result<(PodRef, usize), End> {
        let Self { clients, names, proxies, .. } = self;
        let client = &mut clients[usize::from(call.client)];
        let cache = client.spec.dns_cache;
        let kept = client.answer(call.place);
        if kept.as_ref().is_none_or(|answer| now >= answer.until) {
            let mut answer = names.answer(proxies, cluster, call.service, now);
            if let DnsCache::For(span) = cache {
                let until = now.saturating_add(span);
                // Nobody keeps for longer than it is good that there is nothing.
                let is_nothing = answer.pods.is_empty();
                answer.until = if is_nothing { until.min(answer.until) } else { until };
            }
            *kept = Some(answer);
        }
        let pods = kept.as_ref().map_or(&[][..], |answer| &answer.pods);
        if pods.is_empty() {
            let row = cluster.service(call.service);
            let is_ready = row.is_some_and(|row| row.endpoints.endpoints.iter().any(|e| e.ready));
            let cause = if is_ready { Cause::StaleDns } else { Cause::NoReadyPod };
            return Err(End { fate: Fate::NoEndpoint, cause, at: now });
        }
        Ok((pods[one_of(word, pods.len())], pods.len()))
    }

    /// Puts the load balancer that the scenario has before each Service of that type that is
    /// called from outside.
    pub(super) fn begin_balancers(&mut self, cluster: &Cluster, ctx: &Ctx<'_>) {
        let services: Vec<ServiceId> = self.sources.iter().filter_map(Source::service).collect();
        services.into_iter().for_each(|service| self.begin_balancer(service, cluster, ctx));
    }

    /// Puts one before a Service, if it is of that type and called from outside.
    pub(super) fn begin_balancer(&mut self, service: ServiceId, cluster: &Cluster, ctx: &Ctx<'_>) {
        let Some(spec) = &cluster.model().balancer else { return };
        let is_called = self.sources.iter().any(|source| source.service() == Some(service));
        let row = cluster.service(service).filter(|_| is_called);
        let is_new = self.balancer(service).is_none() && !self.has_targets(service);
        if is_new && row.is_some_and(|row| row.spec.kind == ServiceKind::LoadBalancer) {
            let seed = ctx.streams.seed ^ mix(u64::from(ctx.streams.replication));
            if spec.targets == Targets::Pods {
                let balancer = PodBalancer::new(spec.clone(), service, seed);
                *self.targets.grow_to(service) = Some(Box::new(balancer));
                self.has_targets = true;
                return;
            }
            let balancer = Balancer::new(spec.clone(), service, cluster, seed);
            *self.balancers.grow_to(service) = Some(Box::new(balancer));
        }
    }

    fn balancer(&self, service: ServiceId) -> Option<&Balancer> {
        self.balancers.get(service).and_then(Option::as_deref)
    }

    /// Load balancers check as before up to a change of a node.
    pub(super) fn balancers_hear(
        &mut self,
        node: NodeId,
        what: NodeChange,
        cluster: &Cluster,
        now: SimTime,
    ) {
        for balancer in self.balancers.iter_mut().flatten() {
            balancer.settle(&mut self.proxies, cluster, now);
            match what {
                NodeChange::Down => balancer.set_up(node, false),
                NodeChange::Up => balancer.set_up(node, !cluster.is_cut_from_outside(node)),
                NodeChange::Added | NodeChange::Removed => balancer.sync(cluster, now),
                NodeChange::Labels => {
                    if balancer.is_relabelled(node, cluster) {
                        balancer.sync(cluster, now);
                    }
                }
                NodeChange::Links => {
                    let is_reached = !cluster.is_cut_from_outside(node);
                    balancer.set_up(node, is_reached && cluster.nodes()[node].is_up);
                }
                NodeChange::Cordoned
                | NodeChange::Uncordoned
                | NodeChange::Taints
                | NodeChange::Offer
                | NodeChange::Cut
                | NodeChange::Joined
                | NodeChange::Pressure
                | NodeChange::ShutsDown
                | NodeChange::KubeletRestarts
                | NodeChange::SandboxesLost
                | NodeChange::Ready => {}
            }
        }
    }

    /// The node through which a call from outside comes in.
    #[inline]
    fn entry_of(
        &mut self,
        call: &Call,
        word: u32,
        cluster: &Cluster,
        now: SimTime,
    ) -> Result<NodeId, Cause> {
        if let Some(balancer) = self.balancers.get_mut(call.service).and_then(Option::as_mut) {
            let node = balancer.entry(&mut self.proxies, cluster, word, now);
            let is_up = |node: &NodeId| cluster.nodes()[*node].is_up;
            return node.filter(is_up).ok_or(Cause::StaleBalancer);
        }
        if is_balanced(call, cluster) {
            let places = self.proxies.places(cluster, call.service);
            if let Some(node) = places.get(one_of(word, places.len())) {
                return Ok(*node);
            }
        }
        let entries = self.entries(cluster);
        match entries.get(one_of(word, entries.len())) {
            Some(node) => Ok(*node),
            None => Err(self.why_no_entry(call, cluster)),
        }
    }

    /// Why there is no node to come in by: none has come yet and with it no pod of the Service, or
    /// those with its pods are down.
    #[cold]
    fn why_no_entry(&mut self, call: &Call, cluster: &Cluster) -> Cause {
        let is_empty = self.proxies.places(cluster, call.service).is_empty();
        if is_empty { Cause::NoReadyPod } else { Cause::NodeDown }
    }

    /// The node whose proxy chooses: of a call from outside one of those that are ready and up,
    /// of a pod's call the pod's.
    #[inline]
    pub(super) fn entry(
        &mut self,
        call: &mut Call,
        word: u32,
        cluster: &Cluster,
        now: SimTime,
    ) -> Result<NodeId, End> {
        match call.caller {
            Caller::Source(source, _) => {
                let node = self.entry_of(call, word, cluster, now).map_err(|cause| End {
                    fate: Fate::TimedOut,
                    cause,
                    at: call.deadline.max(now),
                })?;
                call.caller = Caller::Source(source, node);
                Ok(node)
            }
            Caller::Call(_) if self.is_from_outside(call) => {
                let at = call.deadline.max(now);
                self.entry_of(call, word, cluster, now).map_err(|cause| End {
                    fate: Fate::TimedOut,
                    cause,
                    at,
                })
            }
            Caller::Call(parent) => {
                let parent = self.calls.get(parent).expect("a pod calls while it serves");
                Ok(self.servers.get(parent.server).expect("it has a server").node)
            }
            Caller::Probe(_) => unreachable!("a probe goes straight to its pod"),
        }
    }
}

/// Whether a load balancer stands before a Service that only lets it in where its pods are
/// (`externalTrafficPolicy: Local`).
#[inline]
fn is_balanced(call: &Call, cluster: &Cluster) -> bool {
    let spec = cluster.service(call.service).map(|row| &row.spec);
    spec.is_some_and(|spec| spec.external_local && is_outside(spec.kind))
}

/// Whether calls from outside come by a node's port or a load balancer.
const fn is_outside(kind: ServiceKind) -> bool {
    matches!(kind, ServiceKind::NodePort | ServiceKind::LoadBalancer)
}

/// The two halves of a random word.
pub(super) const fn high(word: u64) -> u32 {
    (word >> 32) as u32
}

#[expect(clippy::cast_possible_truncation, reason = "the other half is for another choice")]
pub(super) const fn low(word: u64) -> u32 {
    word as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::testing::{Builder, constant};
    use crate::sim::Streams;

    /// N165, N188: a pod that reaches itself through its Service goes the way between two pods of
    /// one machine; so far machines without a zone are of one zone.
    #[test]
    fn hops_by_distance() {
        let mut latencies = Latencies::ideal();
        latencies.hop_same_node = Some(constant(0.000_03));
        latencies.hop_between_zones = Some(constant(0.001));
        let hops = Hops::new(&latencies);
        let model = Arc::new(Builder::new(latencies).node("a").node("b").model());
        let streams = Streams { seed: 1, replication: 0 };
        let cluster = Cluster::new(&model, &streams, &mut Vec::new());
        let (a, b) = (NodeId::new(0), NodeId::new(1));
        let of = |from, to| match hops.between(from, to, &cluster) {
            Some(Hop::Constant(hop)) => Some(*hop),
            _ => None,
        };
        assert_eq!(of(a, a), Some(Duration::us(30)));
        assert_eq!(of(a, b), None);
    }
}
