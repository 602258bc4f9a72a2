//! A load balancer outside the cluster: it knows nodes, not pods, and knows them by its checks.
//!
//! ```text
//!  joined ──healthy checks in a row──► in use ◄──┐
//!                                        │ unhealthy ones in a row, then healthy ones
//!                                        └──────►out of use        left ──deregister──► gone
//! ```
//!
//! Which nodes are its own the service controller of the cloud says: those that are there, without
//! the label that excludes them and without the Cluster Autoscaler's taint of deletion. It looks
//! when a node comes, goes or gets or loses that label; a taint alone makes nobody look.
//!
//! A check asks the node's kube-proxy: under `externalTrafficPolicy: Local` the Service's
//! `healthCheckNodePort`, which says whether a ready pod is on the node *as the proxy has applied
//! it*, else the proxy's own health. Where no node is healthy all are used.
//!
//! Checks are worked out when somebody calls: without calls they cost nothing.
//!
//! Differs: a connection that is kept through a node out of use is not used again.
//!
//! Source: kubernetes v1.36.3 pkg/proxy/healthcheck, cloud-provider
//! controllers/service/controller.go (`stableNodeSetPredicates`, `shouldSyncUpdatedNode`) (rules
//! N162, N163, N166, N190 to N192).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::base::dist::{mix, open01_of};
use crate::base::{Duration, IdVec, SimTime};
use crate::cluster::{Cluster, Node};
use crate::model::{BalancerSpec, NodeId, ServiceId};

use super::health::{Against, Answer, Stay, proxy_answer, service_answer};
use super::rules::one_of;
use super::view::Proxies;

/// The load balancer of a Service.
#[derive(Debug)]
pub struct Balancer {
    spec: BalancerSpec,
    service: ServiceId,
    seed: u64,
    targets: IdVec<NodeId, Option<Target>>,
    /// When the next check of each node is, and of which of its times as a target.
    due: BinaryHeap<Reverse<(SimTime, NodeId, u32)>>,
    /// Nodes with the label that excludes them, when it was last looked at.
    excluded: IdVec<NodeId, bool>,
    /// The nodes that get new connections.
    used: Vec<NodeId>,
    is_stale: bool,
}

#[derive(Clone, Copy, Debug)]
struct Target {
    /// Which of its times as a target it is.
    time: u32,
    /// Its machine is up.
    is_up: bool,
    is_healthy: bool,
    against: Against,
    /// When it is forgotten.
    gone: SimTime,
}

impl Balancer {
    /// In front of a Service, at the start of a run: all nodes have long been its own.
    #[must_use]
    pub fn new(spec: BalancerSpec, service: ServiceId, cluster: &Cluster, seed: u64) -> Self {
        let mut balancer = Self {
            spec,
            service,
            seed: mix(seed ^ mix(u64::from(service.number()))),
            targets: IdVec::new(),
            due: BinaryHeap::new(),
            excluded: IdVec::new(),
            used: Vec::new(),
            is_stale: true,
        };
        let label = cluster.node_keys().exclude_balancers;
        for (node, row) in cluster.nodes().enumerate() {
            *balancer.excluded.grow_to(node) = row.spec.labels.get(label).is_some();
        }
        balancer.sync(cluster, SimTime::ZERO);
        balancer
    }

    /// The labels of a node have changed: whether the controller looks for that.
    pub fn is_relabelled(&mut self, node: NodeId, cluster: &Cluster) -> bool {
        let label = cluster.node_keys().exclude_balancers;
        let is_excluded = cluster.nodes()[node].spec.labels.get(label).is_some();
        std::mem::replace(self.excluded.grow_to(node), is_excluded) != is_excluded
    }

    /// The controller looks which nodes are to be its own (rule N166).
    pub fn sync(&mut self, cluster: &Cluster, now: SimTime) {
        let keys = cluster.node_keys();
        for (node, row) in cluster.nodes().enumerate() {
            let is_excluded = row.spec.labels.get(keys.exclude_balancers).is_some();
            let is_own = !row.is_gone && !is_excluded && !is_going(row, cluster);
            match is_own {
                true => self.join(node, row.is_up && !cluster.is_cut_from_outside(node), now),
                false => self.leave(node, now),
            }
        }
    }

    /// A node joins, unless it is there: it is checked from some instant within an interval on.
    fn join(&mut self, node: NodeId, is_up: bool, now: SimTime) {
        let before = *self.targets.grow_to(node);
        if before.is_some_and(|target| target.gone == SimTime::MAX) {
            return;
        }
        let time = before.map_or(0, |target| target.time + 1);
        let (is_healthy, against, gone) = (false, Against::default(), SimTime::MAX);
        self.targets[node] = Some(Target { time, is_up, is_healthy, against, gone });
        let phase = self.spec.interval.scale(self.chance(node, 0));
        self.due.push(Reverse((now.saturating_add(phase), node, time)));
        self.is_stale = true;
    }

    /// A node leaves.
    fn leave(&mut self, node: NodeId, now: SimTime) {
        let stays = Duration::from_secs_f64(self.spec.deregister.quantile(self.chance(node, 1)));
        let target = self.targets.grow_to(node).as_mut();
        if let Some(target) = target.filter(|target| target.gone == SimTime::MAX) {
            target.gone = now.saturating_add(stays);
            self.due.push(Reverse((target.gone, node, target.time)));
        }
    }

    /// A machine goes down, or comes up.
    pub fn set_up(&mut self, node: NodeId, is_up: bool) {
        if let Some(target) = self.targets.grow_to(node) {
            target.is_up = is_up;
        }
    }

    fn chance(&self, node: NodeId, purpose: u64) -> f64 {
        open01_of(mix(self.seed ^ mix(u64::from(node.number()) << 1 | purpose)))
    }

    /// The node that a new connection goes to; `None`: there are none.
    pub fn entry(
        &mut self,
        proxies: &mut Proxies,
        cluster: &Cluster,
        word: u32,
        now: SimTime,
    ) -> Option<NodeId> {
        self.settle(proxies, cluster, now);
        if self.is_stale {
            self.is_stale = false;
            let known = || self.targets.enumerate().filter_map(|(id, row)| Some((id, (*row)?)));
            let mut used: Vec<NodeId> =
                known().filter(|(_, row)| row.is_healthy).map(|(id, _)| id).collect();
            if used.is_empty() {
                used = known().map(|(id, _)| id).collect();
            }
            self.used = used;
        }
        self.used.get(one_of(word, self.used.len())).copied()
    }

    /// Does all checks up to an instant.
    pub fn settle(&mut self, proxies: &mut Proxies, cluster: &Cluster, now: SimTime) {
        while let Some(Reverse((at, node, time))) =
            self.due.peek().copied().filter(|due| due.0.0 <= now)
        {
            self.due.pop();
            let Some(target) = self.targets[node].filter(|target| target.time == time) else {
                continue;
            };
            if target.gone <= at {
                self.targets[node] = None;
                self.is_stale = true;
                continue;
            }
            let is_ok = target.is_up && self.asks(node, proxies, cluster, at) == Answer::Ok;
            self.checked(node, is_ok);
            if target.gone == SimTime::MAX || at + self.spec.interval < target.gone {
                self.due.push(Reverse((at.saturating_add(self.spec.interval), node, time)));
            }
        }
    }

    fn asks(&self, node: NodeId, proxies: &mut Proxies, cluster: &Cluster, now: SimTime) -> Answer {
        let is_healthy = proxies.is_healthy(cluster, node, now);
        let is_local = cluster.service(self.service).is_some_and(|row| row.spec.external_local);
        if is_local {
            let local = proxies.local_ready(cluster, node, self.service, now);
            return service_answer(local, is_healthy);
        }
        let row = &cluster.nodes()[node];
        let leaves = row.is_gone || is_going(row, cluster);
        proxy_answer(is_healthy, if leaves { Stay::Leaves } else { Stay::Stays })
    }

    /// A check has said so.
    fn checked(&mut self, node: NodeId, is_ok: bool) {
        let Some(target) = &mut self.targets[node] else { return };
        if target.against.turns(target.is_healthy != is_ok, self.spec.wanted(is_ok)) {
            target.is_healthy = is_ok;
            self.is_stale = true;
        }
    }
}

/// Whether the Cluster Autoscaler is about to remove a node.
fn is_going(node: &Node, cluster: &Cluster) -> bool {
    let key = cluster.node_keys().to_be_deleted;
    node.spec.taints.iter().any(|taint| taint.key == key)
}
