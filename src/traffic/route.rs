//! The way of a call: through which node it comes in, which pod the proxy there chooses, and how
//! long the wire takes.

use crate::base::{Distribution, Duration, SimTime};
use crate::cluster::Cluster;
use crate::event::Event;
use crate::model::{Latencies, NodeId, PodRef, ServiceKind};
use crate::network::rules::one_of;
use crate::network::view::{Side, Way};
use crate::record::{Cause, Fate};
use crate::sim::{Ctx, LaneId};

use super::ends::End;
use super::{Call, Caller, Purpose, Traffic};

/// One way from caller to server, by how far they are from each other.
#[derive(Debug)]
pub(super) struct Hops {
    same_node: Option<Hop>,
    same_zone: Hop,
    between_zones: Option<Hop>,
    /// Lanes of calls on their way, one a constant hop.
    lanes: Vec<(Duration, LaneId)>,
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
        let from = match call.caller {
            Caller::Source(_, node) => Some(node),
            Caller::Call(parent) => {
                let parent = self.calls.get(parent).and_then(|call| self.servers.get(call.server));
                parent.map(|server| server.node)
            }
        };
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
            Caller::Source(..) => Side::Outside,
            Caller::Call(_) => Side::Inside,
        };
        let cause = Cause::NoReadyPod;
        match self.proxies.way(cluster, (node, side), call.service, now) {
            Way::To(pods) => Ok((pods[one_of(word, pods.len())], pods.len())),
            Way::Reject => Err(End { fate: Fate::NoEndpoint, cause, at: now }),
            Way::Drop => Err(End { fate: Fate::TimedOut, cause, at: call.deadline.max(now) }),
        }
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
                let balanced = is_balanced(call, cluster).then(|| {
                    let places = self.proxies.places(cluster, call.service);
                    places.get(one_of(word, places.len())).copied()
                });
                let balanced = balanced.flatten();
                let entries = self.entries(cluster);
                let any = (!entries.is_empty()).then(|| entries[one_of(word, entries.len())]);
                let Some(node) = balanced.or(any) else {
                    return Err(End {
                        fate: Fate::TimedOut,
                        cause: Cause::NodeDown,
                        at: call.deadline.max(now),
                    });
                };
                call.caller = Caller::Source(source, node);
                Ok(node)
            }
            Caller::Call(parent) => {
                let parent = self.calls.get(parent).expect("a pod calls while it serves");
                Ok(self.servers.get(parent.server).expect("it has a server").node)
            }
        }
    }
}

/// Whether a load balancer stands before a Service that only lets it in where its pods are
/// (`externalTrafficPolicy: Local`).
#[inline]
fn is_balanced(call: &Call, cluster: &Cluster) -> bool {
    let spec = cluster.service(call.service).map(|row| &row.spec);
    let is_outside = |kind| matches!(kind, ServiceKind::NodePort | ServiceKind::LoadBalancer);
    spec.is_some_and(|spec| spec.external_local && is_outside(spec.kind))
}

/// The two halves of a random word.
pub(super) const fn high(word: u64) -> u32 {
    (word >> 32) as u32
}

#[expect(clippy::cast_possible_truncation, reason = "the other half is for another choice")]
pub(super) const fn low(word: u64) -> u32 {
    word as u32
}
