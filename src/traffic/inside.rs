//! Calls inside a pod, and the bytes of calls (rule N188).
//!
//! A container calls another one of its pod by localhost, or reads what that has written to a
//! shared volume: no proxy, no connection, a hop of microseconds, nothing on the network. The other
//! container is there as long as the pod's server is (a sidecar starts before and stops after it,
//! rule N124), and takes any number of calls at once.
//!
//! Differs: an ordinary container that stops on SIGTERM before the pod's server does is not
//! modelled; the size of a call makes it longer by its part of the rate of a link, whatever else is
//! on that link.

use crate::base::{Distribution, Duration, cast};
use crate::cluster::Cluster;
use crate::event::{CallRef, TrafficEvent};
use crate::model::{Behavior, Latencies, Template};
use crate::record::Distance;
use crate::sim::Ctx;

use super::call::{Call, Purpose};
use super::{Traffic, event};

/// A container beside a pod's server.
#[derive(Clone, Debug)]
pub(super) struct Neighbour {
    hold: Distribution,
    errors: f64,
    /// Request and answer.
    bytes: u64,
}

impl Neighbour {
    /// The container of this name, if the pods of the template have it.
    pub(super) fn of(template: &Template, name: crate::base::Symbol) -> Option<Self> {
        let spec = &template.spec;
        let mut containers = spec.init_containers.iter().chain(&spec.containers);
        let at = containers.position(|container| container.name == name)?;
        let serve = template.behaviors[at].serve.as_ref()?;
        let bytes = size_of(&template.behaviors[at]);
        Some(Self { hold: serve.hold.clone(), errors: serve.errors, bytes })
    }
}

/// What a call to a server takes there and back, in bytes.
pub(super) fn size_of(behavior: &Behavior) -> u64 {
    let serve = behavior.serve.as_ref();
    serve.map_or(0, |serve| (serve.request.0 + serve.response.0).max(0).unsigned_abs())
}

/// What calls meet inside pods and on links.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    in_pod: Duration,
    /// Bytes a second between two machines.
    rate: f64,
}

impl Links {
    pub(super) const fn new(latencies: &Latencies) -> Self {
        Self { in_pod: latencies.hop_in_pod, rate: latencies.network_rate }
    }

    /// One way between two containers of a pod.
    pub(super) const fn in_pod(&self) -> Duration {
        self.in_pod
    }
}

impl Traffic {
    /// A call in service calls a container of its own pod; whether that answers well is known at
    /// once, the answer comes later.
    pub(super) fn call_neighbour(
        &mut self,
        id: CallRef,
        neighbour: usize,
        child: &Call,
        ctx: &mut Ctx<'_>,
    ) -> bool {
        let call = &self.calls[id.id];
        let (service, start) = (call.service, call.start);
        let (_, kind) = self.servers.of(call);
        let Neighbour { hold, errors, bytes } = &kind.neighbours[neighbour];
        let hold = Duration::from_secs_f64(hold.quantile(child.chance(Purpose::Hold)));
        let is_ok = *errors <= 0.0 || child.chance(Purpose::Fault) >= *errors;
        if *bytes > 0 {
            ctx.recorder.bytes(service, start, Distance::InPod, *bytes);
        }
        ctx.after(hold + self.links.in_pod * 2, event(TrafficEvent::Continue(id)));
        is_ok
    }

    /// How far a call goes, and how much longer it takes for its size: half of that on each way.
    #[cold]
    pub(super) fn set_size(&self, call: &mut Call, bytes: u64, cluster: &Cluster) {
        let from = self.node_of_caller(call);
        let to = self.servers.get(call.server).map(|server| server.node);
        let zone = |node| cluster.nodes()[node].spec.zone;
        call.distance = match from.zip(to) {
            Some((from, to)) if from == to => Distance::SameNode,
            Some((from, to)) if zone(from) != zone(to) => Distance::BetweenZones,
            _ => Distance::SameZone,
        };
        if call.distance != Distance::SameNode && self.links.rate.is_finite() {
            let secs = cast::f64_of_u64(bytes) / self.links.rate / 2.0;
            call.set_hop(call.hop() + Duration::from_secs_f64(secs));
        }
    }
}

/// A server has answered a call of so many bytes.
#[cold]
pub(super) fn count_bytes(call: &Call, bytes: u64, ctx: &mut Ctx<'_>) {
    if call.service != super::NO_SERVICE {
        ctx.recorder.bytes(call.about(), call.start, call.distance, bytes);
    }
}
