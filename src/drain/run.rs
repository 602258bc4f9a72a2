//! One drain under way, and the pods of the node that it empties.

use crate::base::go_time::format_go_duration;
use crate::base::{Duration, SimTime, Symbol, cast};
use crate::cluster::{Cluster, EvictionRefused, Pod};
use crate::model::{DrainOptions, NodeId, ObjectName, PodRef, Selector};
use crate::record::{DrainBlock, DrainRecord, DrainedNode, PodName};

use super::blocks;

/// Requests a second of kubectl's client, and its burst (rules C12, C160).
const QPS: u64 = 5;
const BURST: u64 = 10;

/// One command under way.
#[derive(Debug)]
pub(super) struct Drain {
    pub(super) text: String,
    pub(super) options: DrainOptions,
    pub(super) pod_selector: Option<Selector>,
    pub(super) started: SimTime,
    pub(super) ended: Option<SimTime>,
    /// All nodes; the one at `place` is being emptied.
    pub(super) nodes: Vec<(NodeId, DrainedNode)>,
    pub(super) place: usize,
    /// The pods of that node.
    pub(super) victims: Vec<Victim>,
    /// When kubectl's bucket would be full again, if nothing more is taken.
    pub(super) full_at: SimTime,
}

/// A pod that is to go.
#[derive(Debug)]
pub(super) struct Victim {
    /// As it was listed, or read again after a refusal.
    pub(super) pod: PodRef,
    pub(super) namespace: Symbol,
    pub(super) name: PodName,
    pub(super) state: State,
    /// `Retry-After` answers in a row.
    pub(super) client_retries: u32,
    /// When it was looked for first after its eviction.
    pub(super) looks_from: SimTime,
    /// The entry of the node's blocks that refused it last.
    pub(super) block: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not evicted yet.
    Waits,
    /// Refused; to be tried again.
    Refused,
    /// On its way.
    Going,
    Done,
    Failed(String),
}

impl Drain {
    /// When a request may go out: a token bucket as a virtual schedule.
    pub(super) fn token(&mut self, is_limited: bool, now: SimTime) -> SimTime {
        if !is_limited {
            return now;
        }
        let gap = Duration::secs(1) / QPS;
        self.full_at = self.full_at.max(now) + gap;
        now + self.full_at.saturating_since(now).saturating_sub(gap * BURST)
    }

    /// Whether the time for this node is up.
    pub(super) fn is_late(&self, now: SimTime) -> bool {
        let timeout = self.options.timeout;
        let since = self.nodes.get(self.place).and_then(|(_, record)| record.started);
        timeout > Duration::ZERO && since.is_some_and(|since| since + timeout <= now)
    }

    /// What kubectl says then of a pod.
    pub(super) fn late(&self, doing: &str, victim: u32, cluster: &Cluster) -> String {
        let pod = self.victims[cast::usize_of(victim)].quoted(cluster);
        let nanos = i64::try_from(self.options.timeout.as_nanos()).unwrap_or(i64::MAX);
        let timeout = format_go_duration(nanos);
        match doing {
            "evicting" => {
                format!("error when evicting {pod}: global timeout reached: {timeout}")
            }
            _ => {
                format!(
                    "error when waiting for {pod} terminating: global timeout reached: {timeout}"
                )
            }
        }
    }

    /// Notes that a budget refused a pod.
    pub(super) fn note(
        &mut self,
        victim: u32,
        refused: &EvictionRefused,
        cluster: &Cluster,
        now: SimTime,
    ) {
        let budget = refused.budget.and_then(|id| cluster.budgets().get(id));
        let name = budget.map(|budget| shown(budget.spec.name, cluster));
        let why = blocks::why(refused, budget, cluster);
        let blocks = &mut self.nodes[self.place].1.blocks;
        let place = blocks.iter().position(|block| block.budget == name).unwrap_or(blocks.len());
        if place == blocks.len() {
            blocks.push(DrainBlock {
                budget: name,
                rule: budget.map_or_else(String::new, |budget| blocks::rule(&budget.spec)),
                since: now,
                last: now,
                refusals: 0,
                pods: 0,
                let_through: 0,
                why: why.clone(),
            });
        }
        let block = &mut blocks[place];
        block.last = now;
        block.refusals += 1;
        block.why = why;
        let victim = &mut self.victims[cast::usize_of(victim)];
        if victim.block.replace(place).is_none() {
            block.pods += 1;
        }
    }

    /// Notes that a pod goes that a budget had refused before.
    pub(super) fn let_through(&mut self, block: Option<usize>) {
        let blocks = &mut self.nodes[self.place].1.blocks;
        if let Some(block) = block.and_then(|place| blocks.get_mut(place)) {
            block.let_through += 1;
        }
    }

    /// Counts the pods of the node under way by what became of them.
    pub(super) fn count(&mut self) {
        let Some((_, record)) = self.nodes.get_mut(self.place) else { return };
        let count = |is: &dyn Fn(&Victim) -> bool| {
            cast::u32_of(self.victims.iter().filter(|victim| is(victim)).count())
        };
        record.gone = count(&|victim| victim.state == State::Done);
        record.left = count(&|victim| victim.state != State::Done);
    }

    /// The whole drain so far.
    pub(super) fn record(&self) -> DrainRecord {
        DrainRecord {
            text: self.text.clone(),
            started: self.started,
            ended: self.ended,
            nodes: self.nodes.iter().map(|(_, record)| record.clone()).collect(),
        }
    }
}

impl Victim {
    /// A pod that is to go.
    pub(super) fn new(pod: PodRef, row: &Pod, now: SimTime) -> Self {
        Self {
            pod,
            namespace: row.namespace,
            name: row.name,
            state: State::Waits,
            client_retries: 0,
            looks_from: now,
            block: None,
        }
    }

    /// Reads the pod again by its name: it may be another one by now, elsewhere (rule C159).
    pub(super) fn read_again(&mut self, cluster: &Cluster) {
        if cluster.pod(self.pod).is_some() {
            return;
        }
        let names = cluster.names();
        let name = self.name.text(names);
        let is_it = |row: &Pod| row.namespace == self.namespace && row.name.text(names) == name;
        let found = cluster.pods().iter().find(|(_, row)| is_it(row));
        if let Some((id, _)) = found {
            self.pod = cluster.pods().refer(id);
        }
    }

    /// As kubectl names it in errors.
    pub(super) fn quoted(&self, cluster: &Cluster) -> String {
        let (namespace, name) =
            (cluster.names().resolve(self.namespace), self.name.text(cluster.names()));
        format!("pods/{name:?} -n {namespace:?}")
    }
}

/// A name, with its namespace unless that is `default`.
fn shown(name: ObjectName, cluster: &Cluster) -> String {
    let names = cluster.names();
    match (names.resolve(name.namespace), names.resolve(name.name)) {
        ("default" | "", name) => name.to_owned(),
        (namespace, name) => format!("{namespace}/{name}"),
    }
}
