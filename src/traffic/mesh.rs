//! The proxies of a service mesh: a container of the pod through which all its calls go, in and out
//! (rules N187, N471).
//!
//! ```text
//! app ─► localhost ─► its proxy ─► network ─► the other proxy ─► localhost ─► app
//! ```
//!
//! A pod whose proxy has not begun, or has ended, refuses what comes and cannot call; what is under
//! way through a proxy that ends is reset. A proxy answers for an app that is not there: 503.
//!
//! Differs: proxies choose pods as kube-proxy does on their node, without a balance, tries or
//! ejections of their own (the caller's settings stand for them); what a pod waits for from others
//! when its proxy ends is answered to nobody.

use crate::base::{Duration, IdVec};
use crate::model::{MeshSpec, Model, PodId, PodRef};
use crate::record::{Cause, Fate};
use crate::sim::Ctx;

use super::ends::End;
use super::{Call, Caller, Purpose, Traffic};

/// Which proxies take calls.
#[derive(Debug)]
pub(super) struct Mesh {
    spec: Option<MeshSpec>,
    up: IdVec<PodId, Option<u32>>,
}

impl Mesh {
    pub(super) fn new(model: &Model) -> Self {
        Self { spec: model.mesh.clone(), up: IdVec::new() }
    }

    /// Whether there is a mesh at all.
    #[inline]
    pub(super) const fn is_there(&self) -> bool {
        self.spec.is_some()
    }

    /// Whether the proxy of a pod takes calls.
    fn is_up(&self, pod: PodRef) -> bool {
        self.up.get(pod.id).is_some_and(|life| *life == Some(pod.life))
    }
}

impl Traffic {
    /// Whether a pod is part of the mesh; then whether its proxy takes calls.
    fn proxy_of(&self, pod: PodRef) -> Option<bool> {
        let is_meshed = self.servers.get(pod).is_some_and(|row| row.is_meshed);
        is_meshed.then(|| self.mesh.is_up(pod))
    }

    /// The pod that makes a call.
    fn pod_of_caller(&self, call: &Call) -> Option<PodRef> {
        match call.caller {
            Caller::Call(parent) => self.calls.get(parent).map(|parent| parent.server),
            Caller::Source(..) | Caller::Probe(_) => None,
        }
    }

    /// Whether a call cannot leave its pod.
    #[cold]
    pub(super) fn is_shut_in(&self, call: &Call) -> bool {
        let proxy = self.pod_of_caller(call).and_then(|pod| self.proxy_of(pod));
        proxy == Some(false)
    }

    /// How a call that reaches a pod fares by its proxy, if it is part of the mesh: it is refused,
    /// or gets the proxy's answer where the app is not there.
    #[cold]
    pub(super) fn at_proxy(
        &self,
        call: &Call,
        shut: Option<(Fate, Cause)>,
    ) -> Option<(Fate, Cause)> {
        match (self.proxy_of(call.server), shut) {
            (Some(false), _) if call.is_kept => Some((Fate::Reset, Cause::NoMeshProxy)),
            (Some(false), _) => Some((Fate::Refused, Cause::NoMeshProxy)),
            (Some(true), Some((Fate::Refused, cause))) => Some((Fate::ServerError, cause)),
            (Some(true) | None, shut) => shut,
        }
    }

    /// What proxies add to a way: a quarter of the law each, which is of two there and back.
    #[cold]
    pub(super) fn set_mesh(&self, call: &mut Call) {
        let Some(spec) = &self.mesh.spec else { return };
        let pods = [self.pod_of_caller(call), Some(call.server)];
        let count = pods.into_iter().flatten().filter_map(|pod| self.proxy_of(pod)).count();
        if count > 0 {
            let pair = Duration::from_secs_f64(spec.latency.quantile(call.chance(Purpose::Mesh)));
            call.set_hop(call.hop() + pair.scale(if count == 2 { 0.5 } else { 0.25 }));
        }
    }

    /// The proxy of a pod begins to take calls, or ends: what goes through it then is reset.
    pub(super) fn proxy_is(&mut self, pod: PodRef, is_up: bool, ctx: &mut Ctx<'_>) {
        *self.mesh.up.grow_to(pod.id) = is_up.then_some(pod.life);
        if is_up || self.proxy_of(pod).is_none() {
            return;
        }
        for call in self.cut(pod, ctx) {
            let at = ctx.now() + call.hop();
            self.settle(call, End { fate: Fate::Reset, cause: Cause::CutByMeshProxy, at }, ctx);
        }
        self.tell_if_idle(pod, ctx);
    }
}
