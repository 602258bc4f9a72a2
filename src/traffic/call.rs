//! A call under way.
//!
//! ```text
//! attempt ─► Travelling ─► Waiting ─► InService ─► Calling ─► the server is done
//!                │ refused    │           │           │            │
//!                └────────────┴───reset, late, error──┴────────────┴─► settled
//!                                                                      │      │
//!                                           BackOff ─► next attempt ◄──┘      └─► recorded
//! ```
//!
//! Each attempt has a slot of its own, so what waits for an attempt that is over finds nothing.
//! A caller that gives up leaves the server at work: the slot stays until that is done.

use crate::base::dist::{mix, open01_of};
use crate::base::{Duration, SimTime};
use crate::event::CallRef;
use crate::model::{NodeId, PodRef, ServiceId, SourceId};
use crate::record::{Cause, Distance};

/// One attempt of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    /// When the call (its first attempt) started.
    pub(super) start: SimTime,
    /// Until when this attempt is waited for.
    pub(super) deadline: SimTime,
    /// When its time in service began.
    pub(super) began: SimTime,
    /// The random word from which everything about the call is drawn.
    luck: u64,
    /// How long it is in service, if its caller says so; else zero.
    pub(super) hold: Duration,
    /// Until when its connection may be used.
    pub(super) ages_at: SimTime,
    /// The other of two attempts that race.
    pub(super) twin: CallRef,
    /// The pod that it goes to.
    pub(super) server: PodRef,
    /// Who called.
    pub(super) caller: Caller,
    /// Which Service is called.
    pub(super) service: ServiceId,
    /// The Service behind an ingress proxy, of a call to such a one.
    pub(super) backend: ServiceId,
    /// The pod that the proxy called last.
    pub(super) upstream: PodRef,
    /// Why that failed; of another call that it is lost, as long as its caller and its server
    /// cannot reach each other.
    pub(super) why: Cause,
    /// An ingress proxy makes it.
    pub(super) is_upstream: bool,
    /// A proxy may send it again after it was sent.
    pub(super) is_idempotent: bool,
    /// One way from caller to server, in nanoseconds.
    hop: u32,
    /// CPU that it uses, by time in service; see `servers`.
    pub(super) cpu_rate: u32,
    /// Which of its client's shared connections it takes.
    pub(super) slot: u32,
    /// Where its client is, if that is a pod: the pod's slot.
    pub(super) place: u32,
    /// Its client's settings and state.
    pub(super) client: ClientId,
    /// How many downstream calls it has made.
    pub(super) step: u16,
    /// How many of them have not been answered.
    pub(super) pending: u16,
    /// How many attempts were made before this one.
    pub(super) attempt: u8,
    /// The greater, the earlier it is served where that counts.
    pub(super) priority: u8,
    /// Round trips before its connection can take it.
    pub(super) opening: u8,
    /// Where it is.
    pub(super) stage: Stage,
    /// Its caller waits no longer: the end was told.
    pub(super) is_given_up: bool,
    /// It uses a connection that was there.
    pub(super) is_kept: bool,
    /// The server will have closed that connection when the call arrives.
    pub(super) is_doomed: bool,
    /// It will be told when its time is over.
    pub(super) is_timed: bool,
    /// A downstream call that it cannot do without failed.
    pub(super) is_failed: bool,
    /// It may have a twin no more.
    pub(super) is_hedged: bool,
    /// How far its server is; set where bytes are counted.
    pub(super) distance: Distance,
}

const _: () = assert!(size_of::<Call>() <= 128);

/// A client's number: the sources first, then the callers among the pods, each with one state for
/// all pods of its kind.
pub(super) type ClientId = u16;

/// Who called.
#[derive(Clone, Copy, Debug)]
pub(super) enum Caller {
    /// A source, through a node.
    Source(SourceId, NodeId),
    /// A pod, while it served another call.
    Call(CallRef),
    /// The kubelet, with a probe of this number.
    Probe(u16),
}

/// Where a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// On its way to the pod.
    Travelling,
    /// In the pod's backlog.
    Waiting,
    /// In service.
    InService,
    /// Waits, in service, for a call that it depends on.
    Calling,
    /// Waits for its next attempt.
    BackOff,
    /// Its answer is on the way.
    Answering,
    /// Its answer was lost, and its server sends it again.
    Resending,
}

/// What is drawn from a call's luck. Numbers from [`CHILD`] on are the downstream calls'.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// Node and endpoint.
    Route,
    /// Time in service.
    Hold,
    /// Whether the server fails.
    Fault,
    /// Time on the wire.
    Hop,
    /// Time to the next attempt.
    BackOff,
    /// Which of the shared connections.
    Slot,
    /// How long a new connection may be used.
    Age,
    /// How long a user thinks after it.
    Think,
    /// Whether a cache has the answer.
    Cache,
    /// Whether a call that is not always made is made.
    Made,
    /// What proxies of a mesh add.
    Mesh,
}

const CHILD: u64 = 16;
/// Apart from all purposes and attempts.
const ADDRESS: u64 = 1 << 63;

impl Call {
    /// A call that starts, before it has found its server.
    pub(super) const fn new(
        caller: Caller,
        client: ClientId,
        service: ServiceId,
        start: SimTime,
        luck: u64,
    ) -> Self {
        Self {
            start,
            deadline: SimTime::MAX,
            began: start,
            luck,
            hold: Duration::ZERO,
            ages_at: SimTime::MAX,
            twin: NO_CALL,
            server: NO_POD,
            caller,
            service,
            backend: NO_SERVICE,
            upstream: NO_POD,
            why: Cause::None,
            is_upstream: false,
            is_idempotent: true,
            hop: 0,
            cpu_rate: 0,
            slot: 0,
            place: 0,
            client,
            step: 0,
            pending: 0,
            attempt: 0,
            priority: 0,
            opening: 0,
            stage: Stage::Travelling,
            is_given_up: false,
            is_kept: false,
            is_doomed: false,
            is_timed: false,
            is_failed: false,
            is_hedged: false,
            distance: Distance::SameZone,
        }
    }

    /// The same at another stage.
    pub(super) const fn at_stage(&self, stage: Stage) -> Self {
        let mut call = *self;
        call.stage = stage;
        call
    }

    /// The attempt after this one; it knows where this one went.
    pub(super) const fn again(&self, now: SimTime) -> Self {
        Self {
            start: self.start,
            attempt: self.attempt.saturating_add(1),
            server: self.server,
            hold: self.hold,
            place: self.place,
            priority: self.priority,
            backend: self.backend,
            is_upstream: self.is_upstream,
            is_idempotent: self.is_idempotent,
            ..Self::new(self.caller, self.client, self.service, now, self.luck)
        }
    }

    /// The Service that it is about.
    pub(super) const fn about(&self) -> ServiceId {
        if self.is_proxied() { self.backend } else { self.service }
    }

    /// Whether its answer does not arrive: caller and server cannot reach each other.
    pub(super) fn is_lost(&self) -> bool {
        self.why == Cause::Partitioned && !self.is_proxied()
    }

    /// Whether it goes to an ingress proxy.
    pub(super) const fn is_proxied(&self) -> bool {
        self.backend.number() != NO_SERVICE.number()
    }

    /// One way from caller to server.
    pub(super) const fn hop(&self) -> Duration {
        Duration::ns(self.hop as u64)
    }

    /// Sets that; more than four seconds count as four.
    pub(super) fn set_hop(&mut self, hop: Duration) {
        self.hop = u32::try_from(hop.as_nanos()).unwrap_or(u32::MAX);
    }

    /// A random word of this attempt for one purpose, the same whenever it is asked for.
    pub(super) const fn word(&self, purpose: Purpose) -> u64 {
        self.part(purpose as u64)
    }

    /// A number between 0 and 1 of this attempt for one purpose.
    pub(super) const fn chance(&self, purpose: Purpose) -> f64 {
        open01_of(self.word(purpose))
    }

    /// A random word of all attempts together, for the address that the call comes from.
    pub(super) const fn address(&self) -> u64 {
        mix(self.luck ^ ADDRESS)
    }

    /// The luck of the downstream call that is next.
    pub(super) const fn child_luck(&self) -> u64 {
        self.part(CHILD + self.step as u64)
    }

    const fn part(&self, number: u64) -> u64 {
        mix(self.luck ^ ((self.attempt as u64) << 32 | number))
    }
}

/// No Service.
pub(super) const NO_SERVICE: ServiceId = ServiceId::new(u32::MAX);

/// No call: the slot that is never used.
pub(super) const NO_CALL: CallRef =
    CallRef { id: crate::event::CallId::new(u32::MAX), life: u32::MAX };

/// No pod: the slot that is never used.
pub(super) const NO_POD: PodRef = PodRef { id: crate::model::PodId::new(u32::MAX), life: u32::MAX };
