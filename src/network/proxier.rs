//! The machine of one node's proxy: what it is told, what waits, and what a run takes over.
//!
//! ```text
//! Service, slice, zone ─► pending ─ask─► runner ─start─► tables ─end─► rules as they are now
//! ```
//!
//! Whoever drives it asks [`Proxier::next_run`], calls [`Proxier::start`] then and
//! [`Proxier::end`] when the rules are written. Times and failures of writes are the driver's.
//!
//! Source: kubernetes v1.36.3 pkg/proxy/iptables/proxier.go, pkg/proxy/nftables/proxier.go,
//! pkg/proxy/servicechangetracker.go (rules N150 to N153, N160, N162).

use std::collections::BTreeMap;

use crate::base::{SimTime, Symbol};
use crate::model::Protocol;

use super::choice::{Chosen, Seen, choose};
use super::conntrack::Serving;
use super::cycle::{Cycle, Found, Run};
use super::health::local_ready;
use super::rules::Mode;
use super::runner::Bounds;
use super::service::{PortKey, Ports, ServiceSeen};
use super::table::{Endpoints, Known, Name, SliceSeen, SliceTable};

/// With more endpoints iptables is not written in full every hour.
const LARGE: usize = 1000;

/// A node's proxy.
#[derive(Clone, Debug)]
pub struct Proxier {
    mode: Mode,
    cycle: Cycle,
    node: Symbol,
    zone: Option<Symbol>,
    services: BTreeMap<Name, Ports>,
    /// Services that have changed: as they were, and as they are.
    pending: BTreeMap<Name, (Ports, Ports)>,
    slices: SliceTable,
    endpoints: BTreeMap<Name, Endpoints>,
    /// Ready endpoints on the node, of Services with a health check port.
    local: BTreeMap<Name, usize>,
    /// Whether there were so many endpoints at the start of the last run.
    was_large: bool,
}

impl Proxier {
    /// A proxy that knows nothing yet. With a zone, it is told of it, and wants a run for that.
    #[must_use]
    pub fn new(mode: Mode, bounds: Bounds, node: Symbol, zone: Option<Symbol>) -> Self {
        let mut proxier = Self {
            mode,
            cycle: Cycle::new(bounds),
            node,
            zone,
            services: BTreeMap::new(),
            pending: BTreeMap::new(),
            slices: SliceTable::default(),
            endpoints: BTreeMap::new(),
            local: BTreeMap::new(),
            was_large: false,
        };
        if zone.is_some() {
            proxier.cycle.ask(SimTime::ZERO);
        }
        proxier
    }

    /// Takes a Service, or its end. What a proxy does not use of it asks for no run.
    pub fn set_service(&mut self, name: Name, to: Option<&ServiceSeen>, now: SimTime) {
        let to = to.and_then(ServiceSeen::ports).unwrap_or_default();
        let before = self.services.get(&name).cloned().unwrap_or_default();
        let row = self.pending.entry(name).or_insert_with(|| (before, Ports::new()));
        row.1 = to;
        if row.0 == row.1 {
            self.pending.remove(&name);
        }
        if !self.pending.is_empty() {
            self.cycle.ask_if_ready(now);
        }
    }

    /// Takes a slice of a Service, or its end. The same one again asks for no run.
    pub fn set_slice(&mut self, service: Name, slice: Name, to: Option<SliceSeen>, now: SimTime) {
        if self.slices.update(service, slice, to) {
            self.cycle.ask_if_ready(now);
        }
    }

    /// The node's zone is told: all rules are written anew, even if it is the same.
    pub fn set_zone(&mut self, zone: Option<Symbol>, now: SimTime) {
        self.zone = zone;
        self.cycle.need_full();
        self.cycle.ask(now);
    }

    /// When the loop's next run starts; `None` before the first run has ended and while one is
    /// under way.
    #[must_use]
    pub fn next_run(&self) -> Option<SimTime> {
        self.cycle.next_run()
    }

    /// Whether a run is under way.
    #[must_use]
    pub const fn run(&self) -> Option<Run> {
        self.cycle.run()
    }

    /// A run of the loop starts.
    pub fn start(&mut self, now: SimTime) -> Run {
        let found = self.take();
        self.cycle.start(now, found)
    }

    /// A run starts outside the loop and its limits: the first one, or one because somebody has
    /// flushed the rules.
    pub fn start_at_once(&mut self, now: SimTime) -> Run {
        let found = self.take();
        self.cycle.start_at_once(now, found)
    }

    /// Takes over all that is pending.
    fn take(&mut self) -> Found {
        for (name, (_, ports)) in std::mem::take(&mut self.pending) {
            self.services.insert(name, ports);
        }
        self.services.retain(|_, ports| !ports.is_empty());
        let mut changes_udp = false;
        for (service, before, after) in self.slices.take(self.node) {
            let is_udp = |(key, all): (&PortKey, &Vec<Known>)| {
                key.protocol == Protocol::Udp && !all.is_empty()
            };
            changes_udp |= before.iter().chain(&after).any(is_udp);
            self.endpoints.insert(service, after);
        }
        // A run is full or not by what the one before has counted.
        let large = self.is_large();
        let is_large = std::mem::replace(&mut self.was_large, large);
        Found { is_large, changes_udp }
    }

    fn is_large(&self) -> bool {
        let of_ports = self.ports().map(|(name, key)| self.endpoints_of(name, key).len());
        self.mode == Mode::Iptables && of_ports.sum::<usize>() > LARGE
    }

    /// The run ends, well or not. After one that failed the next one is full.
    ///
    /// # Panics
    /// If none is under way.
    pub fn end(&mut self, now: SimTime, is_ok: bool) -> Run {
        let run = self.cycle.end(now, is_ok);
        if is_ok {
            self.local = self.local_counts();
        }
        run
    }

    /// The first run has ended: the loop begins.
    pub const fn begin_loop(&mut self, now: SimTime) {
        self.cycle.begin_loop(now);
    }

    fn local_counts(&self) -> BTreeMap<Name, usize> {
        let has_check = |ports: &Ports| ports.values().any(|port| port.health_check_port != 0);
        let checked = self.services.iter().filter(|(_, ports)| has_check(ports));
        checked.map(|(name, _)| (*name, self.local_ready(*name))).collect()
    }

    fn local_ready(&self, service: Name) -> usize {
        let of_service = self.endpoints.get(&service);
        local_ready(of_service.into_iter().flat_map(|all| all.values()).map(Vec::as_slice))
    }

    /// What the health check ports of Services know: ready endpoints on the node.
    #[must_use]
    pub const fn local(&self) -> &BTreeMap<Name, usize> {
        &self.local
    }

    /// Whether the proxy keeps up (rule N163).
    #[must_use]
    pub fn is_healthy(&self, now: SimTime) -> bool {
        self.cycle.is_healthy(now)
    }

    /// The ports that the proxy has rules for.
    pub fn ports(&self) -> impl Iterator<Item = (Name, PortKey)> + '_ {
        let services = self.services.iter();
        services.flat_map(|(name, ports)| ports.keys().map(|key| (*name, *key)))
    }

    /// A Service's ports as the last run has them.
    #[must_use]
    pub fn service(&self, name: Name) -> Option<&Ports> {
        self.services.get(&name)
    }

    /// The endpoints of a port as the last run has them.
    #[must_use]
    pub fn endpoints_of(&self, service: Name, port: PortKey) -> &[Known] {
        let all = self.endpoints.get(&service).and_then(|ports| ports.get(&port));
        all.map_or(&[], Vec::as_slice)
    }

    /// Which of them are used.
    ///
    /// # Panics
    /// If the proxy has no such port.
    #[must_use]
    pub fn chosen(&self, service: Name, port: PortKey) -> Chosen {
        let info = &self.services[&service][&port];
        let all = self.endpoints_of(service, port);
        let seen: Vec<Seen> = all.iter().map(|known| known.seen(self.node, self.zone)).collect();
        choose(&seen, info.usage())
    }

    /// Where flows may lead to.
    #[must_use]
    pub fn serving(&self) -> Serving {
        let mut serving = Serving::default();
        for (name, ports) in &self.services {
            for (key, info) in ports {
                serving.add(key.protocol, info, self.endpoints_of(*name, *key));
            }
        }
        serving
    }
}
