//! The callers' side of connections, of attempts under way, and of servers that fail: one state a
//! client and place. A source has one place for all, but a pool of kept connections on each node;
//! a pod that calls has one.

use crate::base::{Duration, SimTime, Symbol, cast};
use crate::model::{Budget, Client, ConnectionKind, Ejection, NO_LIMIT, NodeId, PodRef, Retries};
use crate::network::dns::Answer;
use crate::record::Fate;
use crate::sim::LaneId;

/// A connection that the client keeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connection {
    pub(super) pod: PodRef,
    /// The node through which it goes.
    pub(super) node: NodeId,
    /// When its last answer left the pod.
    pub(super) used: SimTime,
    /// Until when it is used.
    pub(super) ages_at: SimTime,
}

/// What becomes of a kept connection at its next use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It takes the call.
    Open,
    /// The client knows that it is closed, or closes it.
    Closed,
    /// It takes the call, which will find it closed.
    Doomed,
}

/// A client in one place.
#[derive(Clone, Debug, Default)]
struct Place {
    /// The life of the pod that it stands for.
    life: u32,
    /// Connections that no call uses, the one used last at the end: clients take that one first.
    idle: Vec<Connection>,
    /// Connections that calls share.
    shared: Vec<Option<Connection>>,
    /// Attempts under way.
    active: u32,
    /// Attempts after the first that are under way or will be.
    again: u32,
    /// Tokens of its budget.
    tokens: Option<f64>,
    /// How many pods it could choose from last.
    pods: usize,
    /// Servers that have failed, with how often in a row and how often they were left alone.
    failing: Vec<Failing>,
    /// What DNS has said, until when it is kept.
    answer: Option<Answer>,
}

#[derive(Clone, Copy, Debug)]
struct Failing {
    pod: PodRef,
    in_a_row: u32,
    times: u32,
    until: SimTime,
    /// Whether it is still one of the pods that calls go to.
    is_there: bool,
}

/// So many servers that have failed and are gone are remembered.
const GONE_MAX: usize = 32;

/// A client: its settings, and its state in each place.
#[derive(Debug)]
pub(super) struct ClientState {
    pub(super) spec: Client,
    /// The version of the protocol that it speaks.
    pub(super) speaks: Option<Symbol>,
    /// Whether its callers can do without its answers.
    pub(super) optional: bool,
    /// Whether attempts under way are counted.
    pub(super) counts: bool,
    /// Where time-outs wait.
    pub(super) lane: Option<LaneId>,
    /// An ingress proxy's: of its idle connections the oldest makes way.
    is_proxy: bool,
    places: Vec<Place>,
}

impl ClientState {
    pub(super) fn new(spec: Client, speaks: Option<Symbol>, optional: bool) -> Self {
        let counts =
            spec.calls_max < u32::MAX || matches!(spec.retries.budget, Budget::Share { .. });
        let (lane, places) = (None, Vec::new());
        Self { spec, speaks, optional, counts, lane, is_proxy: false, places }
    }

    /// That of ingress proxies.
    pub(super) fn of_proxy(spec: Client) -> Self {
        Self { is_proxy: true, ..Self::new(spec, None, false) }
    }

    fn place(&mut self, place: u32) -> &mut Place {
        let index = cast::usize_of(place);
        if self.places.len() <= index {
            self.places.resize_with(index + 1, Place::default);
        }
        &mut self.places[index]
    }

    /// A pod of this life calls from a place: what an earlier one left is gone.
    #[inline]
    pub(super) fn lives(&mut self, place: u32, life: u32) {
        let row = self.place(place);
        if row.life != life {
            row.life = life;
            row.idle.clear();
            row.shared.clear();
            row.failing.clear();
            row.answer = None;
            (row.active, row.again, row.tokens) = (0, 0, None);
        }
    }

    /// What DNS has said to the client in a place.
    pub(super) fn answer(&mut self, place: u32) -> &mut Option<Answer> {
        &mut self.place(place).answer
    }

    /// Whether connections are kept for one call after another.
    pub(super) const fn keeps(&self) -> bool {
        matches!(self.spec.connections.kind, ConnectionKind::KeepAlive { .. })
    }

    /// How many connections calls share, if they do.
    pub(super) const fn shares(&self) -> Option<u32> {
        match self.spec.connections.kind {
            ConnectionKind::Shared { count } => Some(count),
            ConnectionKind::New | ConnectionKind::KeepAlive { .. } => None,
        }
    }

    /// Takes the idle connection that was used last and can take a call.
    pub(super) fn take_idle(
        &mut self,
        place: u32,
        verdict: impl Fn(&Connection) -> Verdict,
    ) -> Option<(Connection, bool)> {
        let idle = &mut self.place(place).idle;
        while let Some(connection) = idle.pop() {
            match verdict(&connection) {
                Verdict::Open => return Some((connection, false)),
                Verdict::Doomed => return Some((connection, true)),
                Verdict::Closed => {}
            }
        }
        None
    }

    /// Takes the idle connection to a pod that was used last and can take a call.
    pub(super) fn take_idle_to(
        &mut self,
        place: u32,
        pod: PodRef,
        verdict: impl Fn(&Connection) -> Verdict,
    ) -> Option<(Connection, bool)> {
        let idle = &mut self.place(place).idle;
        while let Some(at) = idle.iter().rposition(|kept| kept.pod == pod) {
            let connection = idle.remove(at);
            match verdict(&connection) {
                Verdict::Open => return Some((connection, false)),
                Verdict::Doomed => return Some((connection, true)),
                Verdict::Closed => {}
            }
        }
        None
    }

    /// Closes the idle connections of a place.
    pub(super) fn close_idle(&mut self, place: u32) {
        self.place(place).idle.clear();
    }

    /// Keeps a connection for the next call, if the pool has room.
    pub(super) fn keep(&mut self, place: u32, connection: Connection) {
        let ConnectionKind::KeepAlive { pool } = self.spec.connections.kind else {
            return;
        };
        let is_proxy = self.is_proxy;
        let idle = &mut self.place(place).idle;
        if idle.len() < cast::usize_of(pool) {
            idle.push(connection);
        } else if is_proxy && !idle.is_empty() {
            // nginx keeps the newest ones.
            idle.remove(0);
            idle.push(connection);
        }
    }

    /// One of the shared connections.
    pub(super) fn shared(&mut self, place: u32, slot: u32) -> &mut Option<Connection> {
        let shared = &mut self.place(place).shared;
        let index = cast::usize_of(slot);
        if shared.len() <= index {
            shared.resize(index + 1, None);
        }
        &mut shared[index]
    }

    /// Counts an attempt that starts; false: there are too many under way.
    #[inline]
    pub(super) fn starts(&mut self, place: u32) -> bool {
        if !self.counts {
            return true;
        }
        let most = self.spec.calls_max;
        let row = self.place(place);
        if row.active >= most {
            return false;
        }
        row.active += 1;
        true
    }

    /// An attempt that was counted is over.
    pub(super) fn over(&mut self, place: u32, again: bool) {
        let row = self.place(place);
        row.active = row.active.saturating_sub(1);
        row.again = row.again.saturating_sub(u32::from(again));
    }

    /// Whether another attempt may follow this end, and if so that it will.
    pub(super) fn may_try_again(&mut self, place: u32, attempt: u8, fate: Fate) -> bool {
        let Retries { attempts, on, budget, .. } = self.spec.retries;
        if u32::from(attempt) >= attempts || !on.contains(fate as u8) {
            return false;
        }
        let counts = self.counts;
        let row = self.place(place);
        let allowed = match budget {
            Budget::Unlimited => true,
            Budget::Share { share, min } => {
                let part = share * f64::from(row.active);
                f64::from(row.again) < part.max(f64::from(min))
            }
            Budget::Tokens { max, .. } => row.tokens.unwrap_or(max) > max / 2.0,
        };
        row.again += u32::from(allowed && counts);
        allowed
    }

    /// Notes how an attempt ended at a pod: for its budget of tokens, and for the pod.
    #[inline]
    pub(super) fn note(&mut self, place: u32, pod: PodRef, is_ok: bool, now: SimTime) {
        if let Budget::Tokens { max, ratio } = self.spec.retries.budget {
            let tokens = &mut self.place(place).tokens;
            let change = if is_ok { ratio } else { -1.0 };
            *tokens = Some((tokens.unwrap_or(max) + change).clamp(0.0, max));
        }
        if let Some(ejection) = self.spec.ejection {
            self.place(place).note(pod, is_ok, now, &ejection);
        }
    }

    /// Notes how many pods a client could choose from. Those that have failed and are there no more
    /// are left alone as before, but do not count as such (rule N185).
    pub(super) fn could_choose(
        &mut self,
        place: u32,
        pods: usize,
        is_there: impl Fn(PodRef) -> bool,
    ) {
        let row = self.place(place);
        row.pods = pods;
        row.failing.iter_mut().for_each(|own| own.is_there = is_there(own.pod));
        if row.failing.len() > GONE_MAX {
            row.failing.retain(|own| own.is_there);
        }
    }

    /// Whether a client in a place has met servers that fail.
    pub(super) fn has_failing(&mut self, place: u32) -> bool {
        self.spec.ejection.is_some() && !self.place(place).failing.is_empty()
    }

    /// Whether a pod is left alone.
    pub(super) fn avoids(&mut self, place: u32, pod: PodRef, now: SimTime) -> bool {
        self.spec.ejection.is_some()
            && self.place(place).failing.iter().any(|row| row.pod == pod && row.until > now)
    }

    /// How long a new connection may be used at most, for a number between 0 and 1.
    pub(super) fn ages_at(&self, now: SimTime, server: Duration, chance: f64) -> SimTime {
        let most = self.spec.connections.age_max.min(server);
        if most == NO_LIMIT {
            SimTime::MAX
        } else {
            now.saturating_add(most.scale(0.9 + chance * 0.2))
        }
    }
}

impl Place {
    /// Source: Envoy, outlier detection, consecutive errors (rule N185).
    #[cold]
    fn note(&mut self, pod: PodRef, is_ok: bool, now: SimTime, ejection: &Ejection) {
        let index = self.failing.iter().position(|row| row.pod == pod);
        if is_ok {
            if let Some(index) = index {
                self.failing[index].in_a_row = 0;
            }
            return;
        }
        let index = index.unwrap_or_else(|| {
            let until = SimTime::ZERO;
            self.failing.push(Failing { pod, in_a_row: 0, times: 0, until, is_there: true });
            self.failing.len() - 1
        });
        let is_away = |row: &&Failing| row.is_there && row.until > now;
        let away = self.failing.iter().filter(is_away).count();
        let row = &mut self.failing[index];
        row.in_a_row += 1;
        if row.in_a_row < ejection.failures || row.until > now {
            return;
        }
        let most = ejection.share_max * cast::f64_of_usize(self.pods);
        if cast::f64_of_usize(away) < most.max(1.0) {
            row.in_a_row = 0;
            row.times = 1 + ejection.forgives(row.times, row.until, now);
            row.until = ejection.ends(row.times, now);
        }
    }
}
