//! Karpenter in a run: batches of pods, launches, the disruption loop, retiring of nodes.
//!
//! ```text
//! pod unplaced ─► window (1 s idle, 10 s) ─► provision ─► Launch ─► Running ─► Node ─► Ready
//! every 10 s ─► methods ─► command ─15 s─► valid? ─► taint, launch ─► all up ─► retire
//! notice, expiry ─────────────────────────────────────────────────────────────► retire
//! retire: taint ─► evict (each second) ─► DeleteInstances
//! ```
//!
//! It owns what it knows of its machines besides the cloud's table, by their serial numbers.
//!
//! Source: kubernetes-sigs/karpenter v1.14.1 pkg/controllers (rules A185 to A188, A197 to A202, A206,
//! A215, A217 to A220). Differs: one worker does all, at one instant; a machine that could not be had
//! is given up at once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::base::{Duration, SimTime, Symbol};
use crate::cluster::{
    Change, CloudChange, Cluster, Controller, Instance, InstanceState, Launch, NodeChange, Plan,
    Requeue, Write,
};
use crate::model::{
    CapacityType, InstanceRef, InstanceTypeId, KarpenterSpec, Model, NodeId, ObjectKey, Offer,
    PoolSpec,
};
use crate::sim::Ctx;

use super::disruption::{Command, Method, VALIDATION, disrupt, is_still_valid};
use super::drift::has_drifted;
use super::look::{Catalog, Known, Look, Serial, is_waiting, look, pool};
use super::retire::{is_due, movable, note_pods, taint};
use super::solver::Solution;
use super::types::NodePool;
use super::view::{ClaimView, Settings};
use super::words::Words;
use super::{NewClaim, provision};

/// `--batch-idle-duration` (rule A186).
const BATCH_IDLE: Duration = Duration::secs(1);
/// `--batch-max-duration` (rule A186).
const BATCH_MAX: Duration = Duration::secs(10);
/// A pod that still waits counts anew after this long (rule A185).
const RETRIGGER: Duration = Duration::secs(10);
/// From one look for nodes to disturb to the next (rule A200).
const POLL: Duration = Duration::secs(10);
/// How long a node is kept for pods that are to come (rule A199).
const NOMINATION: Duration = Duration::secs(20);
/// An offer of which there was none is left out for so long (rule A196).
const MASK: Duration = Duration::mins(3);
/// How often replacements and nodes that retire are looked at (rules A219, A220).
const WATCH: Duration = Duration::secs(1);
/// After so long a command without its replacements is taken back (rule A219).
const REPLACED_MAX: Duration = Duration::mins(10);
/// While nothing changes the methods look again after so long (rule A206).
const QUIET_MAX: Duration = Duration::mins(5);

/// The controller; off in a model without Karpenter.
#[derive(Debug, Default)]
pub struct KarpenterController {
    works: Option<Box<Works>>,
}

#[derive(Debug)]
struct Works {
    spec: Arc<KarpenterSpec>,
    settings: Settings,
    words: Words,
    catalog: Catalog,
    /// The pools as they are declared now, and as decisions see them.
    specs: Vec<Arc<PoolSpec>>,
    pools: Vec<NodePool>,
    claims: BTreeMap<Serial, Claim>,
    /// Launches that the table of machines does not have yet: pool, and for which command.
    launches: VecDeque<(usize, Option<u64>)>,
    /// Machines below this serial have been seen.
    seen: Serial,
    window: Option<Window>,
    /// When pods were last looked at: they count anew later.
    handled: BTreeMap<u64, SimTime>,
    poll: SimTime,
    waits: Option<Waiting>,
    commands: BTreeMap<u64, Running>,
    begun: u64,
    masked: Vec<(InstanceTypeId, Option<Symbol>, CapacityType, SimTime)>,
    quiet: Option<SimTime>,
}

/// One of its machines.
#[derive(Debug)]
struct Claim {
    instance: InstanceRef,
    pool: usize,
    /// The pool as it was declared when the machine was asked for.
    made: Arc<PoolSpec>,
    created: SimTime,
    node: Option<NodeId>,
    up: Option<SimTime>,
    is_launched: bool,
    nominated_until: Option<SimTime>,
    retires: bool,
    /// When its retiring began.
    retired: Option<SimTime>,
    is_doomed: bool,
    /// Since when it has drifted (rule A217).
    drifted: Option<SimTime>,
    pods: Vec<u64>,
    last_event: Option<SimTime>,
}

/// Pods that are collected before a run (rule A186).
#[derive(Debug)]
struct Window {
    opened: SimTime,
    last: SimTime,
    pods: BTreeSet<u64>,
}

/// A command that waits before it is looked at again (rule A215).
#[derive(Debug)]
struct Waiting {
    method: Method,
    victims: Vec<Serial>,
    replacements: Vec<NewClaim>,
    due: SimTime,
}

/// A command that waits for its replacements.
#[derive(Debug)]
struct Running {
    victims: Vec<Serial>,
    news: Vec<Serial>,
    wanted: usize,
    since: SimTime,
}

impl KarpenterController {
    /// For a run of this model.
    #[must_use]
    pub fn new(model: &Model) -> Self {
        let Some(spec) = model.cloud.karpenter.clone() else { return Self::default() };
        let mut words = Words::known(&model.names);
        let catalog = Catalog::new(&spec, &mut words, &model.names);
        let count = catalog.types.len();
        let pools = spec.pools.iter().map(|p| pool(p, count, &words, &model.names)).collect();
        let settings = Settings {
            ignores_preferences: spec.ignores_preferences,
            relaxes_min_values: spec.relaxes_min_values,
            spot_to_spot: spec.spot_to_spot,
        };
        Self { works: Some(Box::new(Works::new(spec, settings, words, catalog, pools))) }
    }
}

impl Controller for KarpenterController {
    fn name(&self) -> &'static str {
        "karpenter"
    }

    fn wakes(&self, change: &Change, _cluster: &Cluster, out: &mut Vec<ObjectKey>) {
        let wakes = match change {
            Change::PodUnplaced { .. } => true,
            Change::Cloud(change) => !matches!(change, CloudChange::Group(_)),
            Change::Node { what: NodeChange::Ready, .. } => true,
            _ => false,
        };
        if wakes && self.works.is_some() {
            out.push(ObjectKey::Cluster);
        }
    }

    fn begins(&self, _cluster: &Cluster, out: &mut Vec<(ObjectKey, Duration)>) {
        if self.works.is_some() {
            out.push((ObjectKey::Cluster, POLL));
        }
    }

    fn reconcile(
        &mut self,
        _key: ObjectKey,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> Requeue {
        let Some(works) = &mut self.works else { return Requeue::Never };
        let next = works.turn(cluster, plan, ctx.now());
        Requeue::After(next.saturating_since(ctx.now()).max(Duration::ms(1)))
    }
}

impl Works {
    fn new(
        spec: Arc<KarpenterSpec>,
        settings: Settings,
        words: Words,
        catalog: Catalog,
        pools: Vec<NodePool>,
    ) -> Self {
        let specs = spec.pools.iter().cloned().map(Arc::new).collect();
        Self {
            spec,
            specs,
            settings,
            words,
            catalog,
            pools,
            claims: BTreeMap::new(),
            launches: VecDeque::new(),
            seen: 0,
            window: None,
            handled: BTreeMap::new(),
            poll: SimTime::ZERO + POLL,
            waits: None,
            commands: BTreeMap::new(),
            begun: 0,
            masked: Vec::new(),
            quiet: None,
        }
    }

    /// Does what is due; when the next thing is.
    fn turn(&mut self, cluster: &Cluster, plan: &mut Plan, now: SimTime) -> SimTime {
        self.masked.retain(|(.., until)| *until > now);
        self.redeclare(cluster);
        self.adopt(cluster, now);
        self.follow(cluster, plan, now);
        self.advance(plan, now);
        self.retire(cluster, plan, now);
        self.batch(cluster, plan, now);
        self.disturb(cluster, plan, now);
        self.next(now)
    }

    /// Takes over pools that were declared anew, or deleted.
    ///
    /// Source: karpenter.sh docs, Disruption: a NodePool owns its nodes, which are emptied and
    /// deleted after it.
    fn redeclare(&mut self, cluster: &Cluster) {
        let count = self.catalog.types.len();
        for spec in cluster.cloud().node_pools() {
            let at = self.specs.iter().position(|own| own.name == spec.name);
            if at.is_some_and(|at| Arc::ptr_eq(&self.specs[at], spec)) {
                continue;
            }
            let pool = pool(spec, count, &self.words, cluster.names());
            match at {
                Some(at) => {
                    self.pools[at] = pool;
                    self.specs[at] = Arc::clone(spec);
                }
                None => {
                    self.pools.push(pool);
                    self.specs.push(Arc::clone(spec));
                }
            }
            self.quiet = None;
        }
        for name in cluster.cloud().gone_pools() {
            let Some(at) = self.specs.iter().position(|own| own.name == *name) else { continue };
            if std::mem::take(&mut self.pools[at].is_ready) {
                let own = self.claims.values_mut().filter(|claim| claim.pool == at);
                own.for_each(|claim| claim.retires = true);
                self.quiet = None;
            }
        }
    }

    /// Machines that were asked for are now in the cloud's table, in the order of the requests.
    fn adopt(&mut self, cluster: &Cluster, now: SimTime) {
        let machines = cluster.cloud().instances();
        let mut new: Vec<(Serial, InstanceRef)> = machines
            .iter()
            .filter(|(_, machine)| machine.group.is_none() && machine.serial >= self.seen)
            .map(|(id, machine)| (machine.serial, machines.refer(id)))
            .collect();
        new.sort_unstable();
        for (serial, instance) in new {
            let Some((pool, command)) = self.launches.pop_front() else { break };
            self.seen = serial + 1;
            if let Some(command) = command.and_then(|command| self.commands.get_mut(&command)) {
                command.news.push(serial);
            }
            let claim = Claim {
                instance,
                pool,
                made: Arc::clone(&self.specs[pool]),
                created: now,
                node: None,
                up: None,
                is_launched: false,
                nominated_until: Some(now + NOMINATION),
                retires: false,
                retired: None,
                is_doomed: false,
                drifted: None,
                pods: Vec::new(),
                last_event: None,
            };
            self.claims.insert(serial, claim);
            self.quiet = None;
        }
    }

    /// Notes what became of its machines and of the pods on them.
    fn follow(&mut self, cluster: &Cluster, plan: &mut Plan, now: SimTime) {
        let mut gone = Vec::new();
        for (serial, claim) in &mut self.claims {
            let Some(machine) = cluster.cloud().instance(claim.instance) else {
                gone.push(*serial);
                continue;
            };
            if machine.state == InstanceState::Failed {
                mask(&mut self.masked, machine, now);
                let instances = vec![claim.instance];
                plan.push(Write::DeleteInstances { instances, lowers_target: false });
                gone.push(*serial);
                continue;
            }
            claim.is_launched = machine.running.is_some();
            claim.node = machine.node.filter(|node| !cluster.nodes()[*node].is_gone);
            if let Some(node) = claim.node {
                claim.up = claim.up.or(cluster.nodes()[node].first_ready);
                if note_pods(&mut claim.pods, node, cluster) {
                    claim.last_event = Some(now);
                    self.quiet = None;
                }
            }
            let pool = (&self.specs[claim.pool], &self.pools[claim.pool]);
            let labels = machine.offer.as_ref().map(|offer| &offer.node.labels);
            let has_drifted = labels.is_some_and(|labels| {
                has_drifted(&claim.made, labels, pool, (&self.words, cluster.names()))
            });
            claim.drifted = has_drifted.then(|| claim.drifted.unwrap_or(now));
            let expires = claim.made.expire_after.map(|age| claim.created + age);
            if machine.noticed.is_some() || expires.is_some_and(|at| at <= now) {
                claim.retires = true;
            }
        }
        for serial in gone {
            self.claims.remove(&serial);
            self.quiet = None;
        }
    }

    /// Commands whose replacements are up retire their nodes; those that lost one are taken back.
    fn advance(&mut self, plan: &mut Plan, now: SimTime) {
        let mut over = Vec::new();
        for (id, command) in &self.commands {
            let is_lost = |serial: &Serial| {
                self.claims.get(serial).is_none_or(|claim| claim.retires || claim.is_doomed)
            };
            let is_up = |serial: &Serial| self.claims.get(serial).is_some_and(|c| c.up.is_some());
            let has_all = command.news.len() == command.wanted;
            if has_all && command.news.iter().all(is_up) {
                over.push((*id, true));
            } else if command.news.iter().any(is_lost) || command.since + REPLACED_MAX <= now {
                over.push((*id, false));
            }
        }
        for (id, is_done) in over {
            let Some(command) = self.commands.remove(&id) else { continue };
            for serial in command.victims {
                let Some(claim) = self.claims.get_mut(&serial) else { continue };
                claim.retires |= is_done;
                if let Some(node) = claim.node.filter(|_| !is_done && !claim.retires) {
                    let remove = vec![taint(&self.words)];
                    plan.push(Write::SwapTaints { node, add: Vec::new(), remove });
                }
            }
        }
    }

    /// Empties nodes that are to go, then deletes their machines; after the grace period of a node
    /// nothing holds it (rule A220).
    ///
    /// Source: kubernetes-sigs/karpenter v1.14.1 pkg/controllers/node/termination/terminator
    /// `DeleteExpiringPods`.
    fn retire(&mut self, cluster: &Cluster, plan: &mut Plan, now: SimTime) {
        let taint = taint(&self.words);
        for claim in self.claims.values_mut().filter(|claim| claim.retires && !claim.is_doomed) {
            let left = claim.node.map_or_else(Vec::new, |node| {
                if !cluster.nodes()[node].has_taint(taint.key, taint.effect) {
                    let add = vec![taint.clone()];
                    plan.push(Write::SwapTaints { node, add, remove: Vec::new() });
                }
                movable(node, &taint, cluster)
            });
            let since = *claim.retired.get_or_insert(now);
            let deadline = claim.made.termination_grace.map(|grace| since + grace);
            let first = left.iter().map(|(_, is_daemon)| *is_daemon).min();
            for (pod, is_daemon) in &left {
                let Some(row) = cluster.pod(*pod).filter(|row| row.deletion.is_none()) else {
                    continue;
                };
                if let Some(end) = deadline.filter(|end| is_due(row, now, *end, cluster)) {
                    let grace = Some(end.saturating_since(now));
                    plan.push(Write::DeletePod { pod: *pod, grace });
                } else if Some(*is_daemon) == first {
                    // A budget that refuses is asked again.
                    drop(plan.evict_pod(*pod, None, cluster));
                }
            }
            if left.is_empty() || deadline.is_some_and(|end| end <= now) {
                claim.is_doomed = true;
                let instances = vec![claim.instance];
                plan.push(Write::DeleteInstances { instances, lowers_target: false });
            }
        }
    }

    /// Whether machines of this offer can be had, as far as it knows.
    fn can_be_had(&self, offer: &Offer) -> bool {
        let is_it =
            |(kind, zone, capacity, _): &(InstanceTypeId, Option<Symbol>, CapacityType, _)| {
                (*kind, *zone, *capacity) == (offer.kind, offer.zone, offer.capacity)
            };
        !self.masked.iter().any(is_it)
    }

    fn look(&self, cluster: &Cluster, now: SimTime) -> Look {
        let names = cluster.names();
        let types = self.catalog.now(|o| self.can_be_had(o), &self.words, names);
        let leaves = |serial: &Serial, claim: &Claim| {
            claim.retires
                || claim.is_doomed
                || self.commands.values().any(|command| command.victims.contains(serial))
        };
        let known = self.claims.iter().filter(|(_, claim)| claim.is_launched);
        let known = known.map(|(serial, claim)| {
            let last = claim.last_event.or(claim.up);
            let after = self.specs[claim.pool].consolidate_after;
            let is_ripe = claim.up.is_some()
                && after.zip(last).is_some_and(|(after, last)| last + after <= now);
            let view = ClaimView {
                is_consolidatable: is_ripe,
                last_pod_event: last,
                drifted: claim.drifted,
                has_grace_period: claim.made.termination_grace.is_some(),
                created: claim.created,
                expires: None,
            };
            let known = Known {
                node: claim.node,
                is_leaving: leaves(serial, claim),
                nominated_until: claim.nominated_until,
                claim: view,
            };
            (*serial, known)
        });
        look(cluster, &known.collect(), types, self.pools.clone(), &self.words)
    }

    /// Collects pods; when the window closes, decides (rules A186 to A188).
    fn batch(&mut self, cluster: &Cluster, plan: &mut Plan, now: SimTime) {
        for pod in self.triggers(cluster, now) {
            let window = self.window.get_or_insert_with(|| Window {
                opened: now,
                last: now,
                pods: BTreeSet::new(),
            });
            if window.pods.insert(pod) {
                window.last = now;
            }
        }
        let is_known = self.launches.is_empty() && self.claims.values().all(|c| c.is_launched);
        if self.window.as_ref().is_none_or(|window| window.ends() > now) || !is_known {
            return;
        }
        let waiting = cluster.pods().iter().filter(|(_, row)| is_waiting(row));
        self.handled = waiting.map(|(_, row)| (row.serial, now)).collect();
        self.window = None;
        let look = self.look(cluster, now);
        let terms = (self.settings, &self.words, cluster.names());
        let found = provision(&look.view, terms, &self.spec.hosts);
        self.nominate(&found, &look, now);
        for claim in &found.claims {
            self.launch(claim, None, &look, cluster, plan);
        }
    }

    /// Pods that wait and have not been looked at lately, and those of nodes that retire.
    fn triggers(&self, cluster: &Cluster, now: SimTime) -> Vec<u64> {
        let is_new =
            |serial: u64| self.handled.get(&serial).is_none_or(|at| *at + RETRIGGER <= now);
        let waiting = cluster.pods().iter().filter(|(_, row)| is_waiting(row));
        let mut all: Vec<u64> =
            waiting.map(|(_, row)| row.serial).filter(|serial| is_new(*serial)).collect();
        let retiring = self.claims.values().filter(|claim| claim.retires);
        for node in retiring.filter_map(|claim| claim.node) {
            let moves = movable(node, &taint(&self.words), cluster).into_iter();
            let pods = moves.filter(|(_, is_daemon)| !is_daemon).filter_map(|(pod, _)| {
                cluster.pod(pod).map(|row| row.serial).filter(|serial| is_new(*serial))
            });
            all.extend(pods);
        }
        all
    }

    fn nominate(&mut self, found: &Solution, look: &Look, now: SimTime) {
        let used = found.existing.iter().filter_map(|(node, _)| look.serials[*node]);
        for serial in used {
            if let Some(claim) = self.claims.get_mut(&serial) {
                claim.nominated_until = Some(now + NOMINATION);
            }
        }
    }

    fn launch(
        &mut self,
        claim: &NewClaim,
        command: Option<u64>,
        look: &Look,
        cluster: &Cluster,
        plan: &mut Plan,
    ) {
        let spec = &self.specs[claim.pool];
        let words = (&self.words, cluster.names());
        let offers = self.catalog.launch(claim, spec, &look.view, words);
        if !offers.is_empty() {
            plan.push(Write::Launch(Box::new(Launch { group: None, name: None, offers })));
            self.launches.push_back((claim.pool, command));
        }
    }

    /// The disruption loop (rules A200, A206, A215).
    fn disturb(&mut self, cluster: &Cluster, plan: &mut Plan, now: SimTime) {
        if self.waits.is_some() {
            return self.validate(cluster, plan, now);
        }
        let is_quiet = self.quiet.is_some_and(|since| since + QUIET_MAX > now);
        if self.poll > now || !self.launches.is_empty() {
            return;
        }
        self.poll = now + POLL;
        if self.claims.is_empty() || is_quiet {
            return;
        }
        let look = self.look(cluster, now);
        let terms = (self.settings, &self.words, cluster.names());
        for method in Method::ALL {
            let found = disrupt(method, &look.view, terms, &self.spec.hosts);
            let Some(command) = found.and_then(|found| found.command) else { continue };
            if method == Method::Drift {
                self.execute(&command, &look, cluster, plan, now);
            } else {
                let victims = serials(&command, &look);
                let (replacements, due) = (command.replacements, now + VALIDATION);
                self.waits = Some(Waiting { method, victims, replacements, due });
            }
            return;
        }
        let is_busy = self.claims.values().any(|c| c.nominated_until.is_some_and(|t| t > now))
            || self.claims.values().any(|claim| claim.up.is_none() || claim.retires)
            || !self.commands.is_empty();
        self.quiet = (!is_busy).then_some(now);
    }

    /// A command that has waited is carried out if it still holds (rule A215).
    fn validate(&mut self, cluster: &Cluster, plan: &mut Plan, now: SimTime) {
        let Some(waiting) = self.waits.take_if(|waiting| waiting.due <= now) else { return };
        self.poll = now + POLL;
        let look = self.look(cluster, now);
        let place = |serial: &Serial| look.serials.iter().position(|known| *known == Some(*serial));
        let nodes: Option<Vec<usize>> = waiting.victims.iter().map(place).collect();
        let Some(nodes) = nodes else { return };
        let command = Command { nodes, replacements: waiting.replacements };
        let terms = (self.settings, &self.words, cluster.names());
        if let Some(command) =
            is_still_valid(waiting.method, command, &look.view, terms, &self.spec.hosts)
        {
            self.execute(&command, &look, cluster, plan, now);
            self.poll = now;
        }
    }

    /// Taints the nodes, launches the replacements (rule A219).
    fn execute(
        &mut self,
        command: &Command,
        look: &Look,
        cluster: &Cluster,
        plan: &mut Plan,
        now: SimTime,
    ) {
        let id = self.begun;
        self.begun += 1;
        let victims = serials(command, look);
        for node in victims.iter().filter_map(|serial| self.claims.get(serial)?.node) {
            let add = vec![taint(&self.words)];
            plan.push(Write::SwapTaints { node, add, remove: Vec::new() });
        }
        let before = self.launches.len();
        for claim in &command.replacements {
            self.launch(claim, Some(id), look, cluster, plan);
        }
        let wanted = self.launches.len() - before;
        self.commands.insert(id, Running { victims, news: Vec::new(), wanted, since: now });
        self.quiet = None;
        if wanted == 0 {
            self.advance(plan, now);
            self.retire(cluster, plan, now);
        }
    }

    fn next(&self, now: SimTime) -> SimTime {
        let mut next = self.poll.max(now + Duration::ms(1));
        if let Some(waiting) = &self.waits {
            next = waiting.due;
        }
        let mut sooner = |at: SimTime| next = next.min(at);
        if let Some(window) = &self.window {
            sooner(window.ends().max(now + WATCH / 10));
        }
        if let Some(at) = self.handled.values().min() {
            sooner((*at + RETRIGGER).max(now + WATCH / 10));
        }
        if !self.commands.is_empty() || self.claims.values().any(|claim| claim.retires) {
            sooner(now + WATCH);
        }
        next
    }
}

impl Window {
    fn ends(&self) -> SimTime {
        (self.last + BATCH_IDLE).min(self.opened + BATCH_MAX)
    }
}

/// Offers that a launch that failed could have had are left out for a while.
fn mask(
    masked: &mut Vec<(InstanceTypeId, Option<Symbol>, CapacityType, SimTime)>,
    machine: &Instance,
    now: SimTime,
) {
    for offer in machine.offers.iter() {
        masked.push((offer.kind, offer.zone, offer.capacity, now + MASK));
    }
}

/// The machines that a command removes.
fn serials(command: &Command, look: &Look) -> Vec<Serial> {
    command.nodes.iter().filter_map(|node| look.serials[*node]).collect()
}
