//! From the start of an attempt to the end of its service.

use crate::base::dist::mix;
use crate::base::{Duration, SimTime};
use crate::cluster::{Cluster, Serving};
use crate::event::{CallRef, TrafficEvent};
use crate::model::{NO_LIMIT, NodeId, PodRef, ServiceKind};
use crate::network::rules::one_of;
use crate::record::{Cause, Fate};
use crate::sim::Ctx;

use super::call::NO_POD;
use super::clients::{Connection, Verdict};
use super::ends::End;
use super::ingress::{caller_of, is_proxy};
use super::inside::count_bytes;
use super::route::{high, low};
use super::{Call, Caller, Purpose, Stage, Traffic, event};

/// What a call that reaches a pod meets.
pub(super) enum Door {
    /// Its server takes it.
    Open,
    /// Nothing answers.
    Dark(Cause),
    /// Another pod of the Service has the address by now.
    Moved(PodRef),
    /// A pod of another application has it.
    Stranger(PodRef),
    /// It is refused, or its connection broke.
    Shut(Fate, Cause),
}

/// How often a client that avoids pods asks its proxy again.
const ASKS: u32 = 16;

impl Traffic {
    /// Sends an attempt on its way; gives it, unless it is over already.
    #[inline]
    pub(super) fn attempt(
        &mut self,
        call: &mut Call,
        cluster: &Cluster,
        ctx: &mut Ctx<'_>,
    ) -> Option<CallRef> {
        let now = ctx.now();
        self.set_hop(call);
        let client = &mut self.clients[usize::from(call.client)];
        let whole = call.start.saturating_add(client.spec.deadline);
        call.deadline = now.saturating_add(client.spec.timeout).min(whole);
        if !client.starts(call.place) {
            let end = End { fate: Fate::ServerError, cause: Cause::CallerFull, at: now };
            self.settle_for_good(call, end, ctx);
            return None;
        }
        let connect_timeout = client.spec.connect_timeout;
        if self.mesh.is_there()
            && let Some(sent) = self.through_own_proxy(call, cluster, ctx)
        {
            return sent;
        }
        if let Err(mut end) = self.connect(call, cluster, now) {
            if end.fate == Fate::TimedOut {
                end.at = end.at.min(now.saturating_add(connect_timeout)).max(now);
            }
            self.settle(call, end, ctx);
            return None;
        }
        self.set_distance(call, cluster);
        let (bytes, mut is_open_ended) = self.servers.is_about(call.server);
        if bytes > 0 {
            self.set_size(call, bytes, cluster);
        }
        if self.mesh.is_there() {
            self.set_mesh(call);
        }
        let hop = call.hop();
        is_open_ended |= call.is_proxied();
        let sent = self.calls.insert(*call);
        if is_open_ended {
            self.time_from_start(sent, ctx);
        }
        self.hedge_later(call, sent, ctx);
        if hop.is_zero() {
            self.arrive(sent, cluster, ctx);
        } else {
            self.send(hop, event(TrafficEvent::Arrive(sent)), ctx);
        }
        Some(sent)
    }

    /// Finds the pod that an attempt goes to: by a kept connection, or by a new one.
    #[inline]
    fn connect(&mut self, call: &mut Call, cluster: &Cluster, now: SimTime) -> Result<(), End> {
        if call.is_upstream {
            if self.mesh.makes(call) {
                return self.connect_mesh(call, cluster, now);
            }
            if self.ingress.balances() {
                return self.connect_upstream(call, cluster, now);
            }
        }
        let client = &self.clients[usize::from(call.client)];
        let keeps = client.keeps();
        if let Some(count) = client.shares() {
            call.slot = one_of_u32(high(call.word(Purpose::Slot)), count);
            if self.shared_connection(call, now) {
                return Ok(());
            }
        }
        let word = call.word(Purpose::Route);
        if let Some(proxy) = self.ingress.outside(call, word) {
            if !keeps || !self.idle_connection(call, NodeId::new(0), now) {
                self.opened(call, proxy, NodeId::new(0), now);
            }
            return Ok(());
        }
        if self.has_targets
            && let Some(found) = self.connect_target(call, (keeps, high(word)), now)
        {
            return found;
        }
        let node = self.entry(call, high(word), cluster, now)?;
        if keeps && self.idle_connection(call, node, now) {
            return Ok(());
        }
        self.open(call, node, low(word), cluster, now)
    }

    /// Takes an idle connection of a node, or of the pod that calls.
    #[inline]
    pub(super) fn idle_connection(&mut self, call: &mut Call, node: NodeId, now: SimTime) -> bool {
        let Self { clients, servers, .. } = self;
        let client = &mut clients[usize::from(call.client)];
        let place = pool_of(call, node);
        let (settings, hop) = (client.spec.connections, call.hop());
        let taken = client.take_idle(place, |kept| servers.verdict(kept, &settings, hop, now));
        let Some((kept, is_doomed)) = taken else { return false };
        (call.server, call.ages_at) = (kept.pod, kept.ages_at);
        (call.is_kept, call.is_doomed) = (true, is_doomed);
        true
    }

    /// Takes the connection that calls share, if it is there.
    fn shared_connection(&mut self, call: &mut Call, now: SimTime) -> bool {
        let Self { clients, servers, .. } = self;
        let client = &mut clients[usize::from(call.client)];
        let (settings, hop) = (client.spec.connections, call.hop());
        let slot = client.shared(call.place, call.slot);
        let Some(kept) = slot else { return false };
        let verdict = servers.verdict(kept, &settings, hop, now);
        if verdict == Verdict::Closed {
            *slot = None;
            return false;
        }
        kept.used = kept.used.max(now);
        call.server = kept.pod;
        (call.is_kept, call.is_doomed) = (true, verdict == Verdict::Doomed);
        if let Caller::Source(source, _) = call.caller {
            call.caller = Caller::Source(source, kept.node);
        }
        true
    }

    /// Opens a connection through a node.
    #[inline]
    fn open(
        &mut self,
        call: &mut Call,
        node: NodeId,
        word: u32,
        cluster: &Cluster,
        now: SimTime,
    ) -> Result<(), End> {
        let before = std::mem::replace(&mut call.server, NO_POD);
        let (mut pod, of) = self.route(call, node, word, cluster, now)?;
        let client = &mut self.clients[usize::from(call.client)];
        let elsewhere = client.spec.retries.elsewhere && before != NO_POD;
        if client.spec.ejection.is_some() {
            let is_there = |pod| cluster.pod(pod).is_some_and(crate::cluster::Pod::is_active);
            client.could_choose(call.place, of, is_there);
        }
        if elsewhere || client.spec.ejection.is_some() {
            for ask in 1..=ASKS {
                let client = &mut self.clients[usize::from(call.client)];
                let is_before = elsewhere && pod == before;
                if !is_before && !client.avoids(call.place, pod, now) {
                    break;
                }
                let word = mix(u64::from(word) << 8 | u64::from(ask));
                (pod, _) = self.route(call, node, high(word), cluster, now)?;
            }
        }
        self.opened(call, pod, node, now);
        Ok(())
    }

    /// A connection to a pod begins to be made.
    #[inline]
    pub(super) fn opened(&mut self, call: &mut Call, pod: PodRef, node: NodeId, now: SimTime) {
        call.server = pod;
        let client = &mut self.clients[usize::from(call.client)];
        if !call.hop().is_zero() {
            call.opening = 1 + u8::from(client.spec.connections.tls);
        }
        if client.keeps() || client.shares().is_some() {
            let most = self.servers.age_max(pod);
            call.ages_at = client.ages_at(now, most, call.chance(Purpose::Age));
            if let Some(row) = self.servers.get_mut(pod) {
                row.is_kept = true;
            }
        }
        if client.shares().is_some() {
            let kept = Connection { pod, node, used: now, ages_at: call.ages_at };
            *client.shared(call.place, call.slot) = Some(kept);
        }
    }

    /// An attempt reaches the pod: first its connection, if that is new.
    #[inline]
    pub(super) fn arrive(&mut self, id: CallRef, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let call = self.calls.get(id).expect("a call on its way is there");
        if call.is_given_up {
            self.calls.remove(id.id);
            return;
        }
        let (deadline, back) = (call.deadline, ctx.now() + call.hop());
        let mut door = self.door(call, cluster);
        if self.mesh.is_there() {
            door = self.door_of_proxy(call, door, cluster);
        }
        let end = match door {
            Door::Open if call.opening > 0 => {
                let call = &mut self.calls[id.id];
                let wait = call.hop() * (2 * u64::from(call.opening));
                (call.opening, call.is_kept) = (0, true);
                // When the request itself is sent.
                call.began = ctx.now() + wait.saturating_sub(call.hop());
                return ctx.after(wait, event(TrafficEvent::Arrive(id)));
            }
            Door::Open if is_proxy(call.server) => return self.call_upstream(id, cluster, ctx),
            Door::Open => return self.enter(id, ctx),
            Door::Dark(Cause::Partitioned) if self.is_sent_again(id, ctx) => return,
            Door::Moved(pod) => {
                self.calls[id.id].server = pod;
                return self.arrive(id, cluster, ctx);
            }
            Door::Stranger(pod) => {
                let wait = call.hop() * (2 * u64::from(call.opening));
                self.calls[id.id].upstream = pod;
                End { fate: Fate::ServerError, cause: Cause::OtherApplication, at: back + wait }
            }
            Door::Dark(cause) => {
                End { fate: Fate::TimedOut, cause, at: self.hears_nothing(call, deadline) }
            }
            Door::Shut(fate, cause) => End { fate, cause, at: back },
        };
        let call = self.calls.remove(id.id);
        if end.fate == Fate::TimedOut {
            self.blame(&call, end.cause);
        }
        self.settle(&call, end, ctx);
    }

    /// Until when a call waits whose pod does not answer.
    pub(super) fn hears_nothing(&self, call: &Call, deadline: SimTime) -> SimTime {
        let connect = self.clients[usize::from(call.client)].spec.connect_timeout;
        if call.is_kept { deadline } else { deadline.min(call.began.saturating_add(connect)) }
    }

    /// What a call meets at the pod, at this instant.
    #[inline]
    fn door(&self, call: &Call, cluster: &Cluster) -> Door {
        if cluster.has_cuts() && self.is_cut_off(call, cluster) {
            return Door::Dark(Cause::Partitioned);
        }
        if self.has_down && self.came_by_dead(call, cluster) {
            return Door::Dark(Cause::NodeDown);
        }
        let Some(row) = self.servers.get(call.server) else {
            return if is_proxy(call.server) { Door::Open } else { self.shut(call, cluster) };
        };
        match row.state {
            _ if !row.is_up => Door::Dark(Cause::NodeDown),
            _ if call.is_doomed => Door::Shut(Fate::Reset, Cause::IdleClosed),
            Serving::Accepting => Door::Open,
            // The server said "close" with its last answers and takes what is still on the wire.
            Serving::Draining if call.is_kept => Door::Open,
            Serving::Draining | Serving::Absent | Serving::Starting | Serving::Gone => {
                self.shut(call, cluster)
            }
        }
    }

    /// Whether the machine by which a call from outside came is down, and with it the entry of its
    /// connection (rule N160).
    #[cold]
    fn came_by_dead(&self, call: &Call, cluster: &Cluster) -> bool {
        match call.caller {
            Caller::Source(_, node) if !is_proxy(call.server) && !self.is_straight(call) => {
                !cluster.nodes()[node].is_up
            }
            Caller::Source(..) | Caller::Call(_) | Caller::Probe(_) => false,
        }
    }

    #[cold]
    pub(super) fn shut(&self, call: &Call, cluster: &Cluster) -> Door {
        if call.is_kept {
            return Door::Shut(Fate::Reset, Cause::ConnectionClosed);
        }
        let row = self.servers.get(call.server);
        let pod = cluster.pod(call.server);
        if row.is_none() && pod.is_some_and(|p| p.node.is_some_and(|n| !cluster.nodes()[n].is_up)) {
            return Door::Dark(Cause::NodeDown);
        }
        if let Some(door) = self.instead(call, cluster) {
            return door;
        }
        let is_leaving = pod.is_none_or(|pod| pod.deletion.is_some() || pod.is_terminal());
        let is_draining = row.is_some_and(|row| row.state == Serving::Draining);
        let row_of = cluster.service(call.service);
        let by_name = row_of.is_some_and(|row| row.spec.kind == ServiceKind::Headless);
        let cause = if row.is_some_and(|row| row.is_condemned) {
            Cause::KilledByProbe
        } else if is_leaving || is_draining {
            match by_name {
                _ if self.mesh.makes(call) => Cause::StaleMesh,
                _ if matches!(call.caller, Caller::Source(..))
                    && self.has_targets(call.service) =>
                {
                    Cause::StaleBalancer
                }
                _ if call.is_upstream && self.ingress.balances() => Cause::StaleIngress,
                true => Cause::StaleDns,
                false => Cause::StaleProxy,
            }
        } else if row.is_some_and(|row| row.has_served) {
            Cause::ProcessDown
        } else {
            Cause::NotYetServing
        };
        Door::Shut(Fate::Refused, cause)
    }

    /// The server takes a call: into service, or into its backlog.
    #[inline]
    pub(super) fn enter(&mut self, id: CallRef, ctx: &mut Ctx<'_>) {
        let call = &mut self.calls[id.id];
        let (row, kind) = self.servers.of(call);
        if row.busy < kind.concurrency {
            return self.begin_hold(id, ctx);
        }
        if row.backlog.len() < kind.backlog || row.is_hung {
            row.backlog.push(id.id, call.priority, kind.order);
            call.stage = Stage::Waiting;
            time(call, id, ctx);
            let server = call.server;
            return self.servers.note_load(server);
        }
        let at = ctx.now() + call.hop();
        let call = self.calls.remove(id.id);
        self.settle(&call, End { fate: Fate::ServerError, cause: Cause::BacklogFull, at }, ctx);
    }

    /// A call's time in service begins.
    #[inline]
    fn begin_hold(&mut self, id: CallRef, ctx: &mut Ctx<'_>) {
        let now = ctx.now();
        let call = &mut self.calls[id.id];
        call.stage = Stage::InService;
        let (pod, back, deadline) = (call.server, call.hop(), call.deadline);
        let hold = self.servers.begin(id.id, call, now);
        if self.can_hang {
            self.hangs_with_it(pod, ctx);
        }
        let Some(hold) = hold else { return self.arm(pod, ctx) };
        let ends = now.saturating_add(hold);
        if ends < SimTime::MAX {
            ctx.at(ends, event(TrafficEvent::HoldEnds(id)));
        }
        if ends.saturating_add(back) > deadline {
            time(&mut self.calls[id.id], id, ctx);
        }
    }

    /// Lets an event look when the next call of a shared server is done, and of those from whom it
    /// takes CPU.
    pub(super) fn arm(&mut self, pod: PodRef, ctx: &mut Ctx<'_>) {
        for other in self.servers.share_out(pod, ctx.now()) {
            self.arm_one(other, ctx);
        }
        self.arm_one(pod, ctx);
    }

    /// One that looks too early looks again.
    fn arm_one(&mut self, pod: PodRef, ctx: &mut Ctx<'_>) {
        let Some(shared) = self.servers.get_mut(pod).and_then(|row| row.shared.as_mut()) else {
            return;
        };
        if let Some(end) = shared.next_end().filter(|end| *end < shared.armed) {
            shared.armed = end;
            ctx.at(end.max(ctx.now()), event(TrafficEvent::Work(pod)));
        }
    }

    /// It is looked which calls of a shared server are done.
    pub(super) fn work(&mut self, pod: PodRef, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let now = ctx.now();
        if self.sticks(pod, TrafficEvent::Work(pod)) {
            return;
        }
        match self.servers.get_mut(pod).and_then(|row| row.shared.as_mut()) {
            Some(shared) if shared.armed <= now => shared.armed = SimTime::MAX,
            _ => return,
        }
        while let Some(id) =
            self.servers.get_mut(pod).and_then(|row| row.shared.as_mut()?.take_done(now))
        {
            self.hold_ends(self.calls.refer(id), cluster, ctx);
        }
        self.arm(pod, ctx);
    }

    /// A call's hold is over: it fails, goes on with the calls that it depends on, or is done.
    #[inline]
    pub(super) fn hold_ends(&mut self, id: CallRef, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        if self.hung > 0 {
            let pod = call.server;
            if self.sticks(pod, TrafficEvent::HoldEnds(id)) {
                return time(&mut self.calls[id.id], id, ctx);
            }
        }
        let call = &mut self.calls[id.id];
        self.servers.hold_ends(call, ctx.now());
        let call = &self.calls[id.id];
        if matches!(call.caller, Caller::Probe(_)) {
            return self.leave(id, Fate::Ok, Cause::None, ctx);
        }
        let client = if call.is_upstream { caller_of(call, &self.calls) } else { call.client };
        let speaks = self.clients[usize::from(client)].speaks;
        let (_, kind) = self.servers.of(call);
        if let Some(cause) = kind.fault(call, speaks) {
            self.leave(id, Fate::ServerError, cause, ctx);
        } else if call.is_proxied() {
            self.call_upstream(id, cluster, ctx);
        } else if kind.needs.is_empty() {
            self.leave(id, Fate::Ok, Cause::None, ctx);
        } else {
            self.calls[id.id].stage = Stage::Calling;
            self.call_next(id, cluster, ctx);
        }
    }

    /// A call leaves its server, and the next one that waits takes its slot.
    #[inline]
    pub(super) fn leave(&mut self, id: CallRef, fate: Fate, cause: Cause, ctx: &mut Ctx<'_>) {
        let is_lost = self.calls[id.id].is_lost();
        let call = if is_lost { self.calls[id.id] } else { self.calls.remove(id.id) };
        let (row, kind) = self.servers.of(&call);
        row.busy -= 1;
        let (order, is_heavy) = (kind.order, kind.is_heavy);
        let may_be_idle = row.state == Serving::Draining || self.mesh.is_there();
        let mut next = row.backlog.pop(order);
        if kind.bytes > 0 {
            count_bytes(&call, kind.bytes, ctx);
        }
        while let Some(waiting) = next {
            // Its client is gone: the server finds a closed connection.
            if self.calls[waiting].is_given_up {
                self.calls.remove(waiting);
                next = self.servers.of(&call).0.backlog.pop(order);
                continue;
            }
            self.begin_hold(self.calls.refer(waiting), ctx);
            break;
        }
        if is_heavy {
            self.servers.note_load(call.server);
        }
        if may_be_idle {
            self.tell_if_idle(call.server, ctx);
        }
        if is_lost {
            return self.answer_is_lost(id, fate, cause, ctx);
        }
        self.settle(&call, End { fate, cause, at: ctx.now() + call.hop() }, ctx);
    }

    /// A draining server that has just become idle is looked at within this instant.
    #[inline]
    pub(super) fn tell_if_idle(&mut self, pod: PodRef, ctx: &mut Ctx<'_>) {
        if self.servers.is_drained(pod) || self.is_awaited(pod) {
            ctx.after(Duration::ZERO, event(TrafficEvent::IdleCheck(pod)));
        }
    }

    /// Lets a call whose end nobody knows hear when its time is over.
    #[inline]
    pub(super) fn time_from_start(&mut self, id: CallRef, ctx: &mut Ctx<'_>) {
        let call = &mut self.calls[id.id];
        let client = &mut self.clients[usize::from(call.client)];
        let timeout = client.spec.timeout;
        if call.deadline == SimTime::MAX || timeout == NO_LIMIT {
            return time(call, id, ctx);
        }
        if call.deadline != ctx.now() + timeout {
            return time(call, id, ctx);
        }
        let hops = &mut self.hops;
        let lane = *client.lane.get_or_insert_with(|| hops.lane_of_timeout(timeout, ctx));
        call.is_timed = true;
        ctx.queue.push_lane(lane, event(TrafficEvent::Timeout(id)));
    }
}

/// Which of `count` things a random word chooses.
fn one_of_u32(word: u32, count: u32) -> u32 {
    crate::base::cast::u32_of(one_of(word, crate::base::cast::usize_of(count)))
}

/// Where the idle connections of a call's client are: a source has some on each node.
pub(super) const fn pool_of(call: &Call, node: NodeId) -> u32 {
    match call.caller {
        Caller::Source(..) => node.number(),
        Caller::Call(_) | Caller::Probe(_) => call.place,
    }
}

/// Lets a call know when its time is over.
pub(super) fn time(call: &mut Call, id: CallRef, ctx: &mut Ctx<'_>) {
    if !call.is_timed && !call.is_given_up && call.deadline < SimTime::MAX {
        call.is_timed = true;
        ctx.at(call.deadline.max(ctx.now()), event(TrafficEvent::Timeout(id)));
    }
}
