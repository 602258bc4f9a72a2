//! The sources of calls from outside.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::base::dist::open01;
use crate::base::math::ln;
use crate::base::{Duration, IdVec, Interner, SimTime};
use crate::cluster::Cluster;
use crate::event::{Event, TrafficEvent};
use crate::model::{Connections, NodeId, PodRef, PoissonProcess, ServiceId, SourceId, TrafficSpec};
use crate::sim::{Ctx, CursorId, Streams};

use super::call::{Call, Caller};

/// A source of calls.
#[derive(Debug)]
pub(super) struct Source {
    spec: TrafficSpec,
    service: Option<ServiceId>,
    arrivals: PoissonProcess,
    cursor: Option<CursorId>,
    /// Gaps between calls.
    gaps: ChaCha8Rng,
    /// One word a call: everything about it.
    lucks: ChaCha8Rng,
    /// The connections of each node that no call uses, the one used last at the end: clients take
    /// that one first.
    idle: IdVec<NodeId, Vec<Connection>>,
}

/// A kept connection that no call uses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connection {
    pub(super) pod: PodRef,
    /// When its last answer left the pod.
    pub(super) used: SimTime,
}

impl Source {
    pub(super) fn new(spec: &TrafficSpec, names: &Interner, streams: &Streams) -> Self {
        let name = names.resolve(spec.name);
        Self {
            spec: spec.clone(),
            service: None,
            arrivals: PoissonProcess::new(&spec.rate),
            cursor: None,
            gaps: streams.open("traffic-gaps", name),
            lucks: streams.open("traffic-calls", name),
            idle: IdVec::new(),
        }
    }

    /// Finds the Service and waits for the first call. A source whose Service was never there
    /// stays silent: loading the scenario has said so.
    pub(super) fn start(&mut self, id: SourceId, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        self.service = cluster.service_named(self.spec.to);
        if self.service.is_some() {
            self.cursor = Some(ctx.queue.add_cursor());
            self.wait(id, ctx);
        }
    }

    /// Sets the cursor to the next call.
    fn wait(&mut self, id: SourceId, ctx: &mut Ctx<'_>) {
        let need = -ln(open01(&mut self.gaps));
        let next = self.arrivals.next(ctx.now(), need);
        if let (Some(cursor), Some(at)) = (self.cursor, next) {
            ctx.queue.set_cursor(cursor, at, Event::Traffic(TrafficEvent::Start(id)));
        }
    }

    /// The call that starts now; the next one is waited for.
    pub(super) fn call(&mut self, id: SourceId, ctx: &mut Ctx<'_>) -> Option<Call> {
        self.wait(id, ctx);
        let caller = Caller::Source(id, NodeId::new(0));
        let luck = self.lucks.next_u64();
        Some(Call::new(caller, self.service?, ctx.now(), self.spec.timeout, luck))
    }

    /// How long an attempt is waited for.
    pub(super) const fn timeout(&self) -> Duration {
        self.spec.timeout
    }

    /// How many more attempts a failed call gets.
    pub(super) const fn retries(&self) -> u32 {
        self.spec.retries
    }

    /// Whether connections are kept.
    pub(super) const fn keeps(&self) -> bool {
        matches!(self.spec.connections, Connections::KeepAlive { .. })
    }

    /// Takes the connection of a node that was used last, if it is not `closed`.
    pub(super) fn take_idle(
        &mut self,
        node: NodeId,
        closed: impl Fn(&Connection) -> bool,
    ) -> Option<PodRef> {
        let idle = self.idle.grow_to(node);
        while let Some(connection) = idle.pop() {
            if !closed(&connection) {
                return Some(connection.pod);
            }
        }
        None
    }

    /// Keeps a connection for the next call, if the pool has room.
    pub(super) fn keep(&mut self, node: NodeId, pod: PodRef, used: SimTime) {
        let Connections::KeepAlive { pool } = self.spec.connections else {
            return;
        };
        let idle = self.idle.grow_to(node);
        if idle.len() < crate::base::cast::usize_of(pool) {
            idle.push(Connection { pod, used });
        }
    }
}
