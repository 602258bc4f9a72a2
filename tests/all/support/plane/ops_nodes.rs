//! Operations on nodes: they come and go, fall silent and change.

use std::sync::Arc;

use seatrial::api::{self, Kind};
use seatrial::base::{Duration, SimTime};
use seatrial::cluster::{Phase, PodStatus, Write};
use seatrial::model::{NodeId, Propagation};
use serde_json::{Value, json};

use super::Plane;
use super::case::{Case, merge, ms, text};
use super::ops::nodes_of;

impl Plane {
    pub(super) fn operate_node(
        &mut self,
        case: &Case<'_>,
        index: usize,
        op: &Value,
    ) -> Result<(), String> {
        match text(&op["op"]) {
            "node_add" => {
                let tree = Arc::new(op["obj"].clone());
                let object = self.lowering(|cx| api::lower_object(Kind::Node, &tree, cx));
                let object = object.map_err(|problems| format!("{problems:?}"))?;
                self.write(Write::Create(Box::new(object)));
            }
            "node_patch" => {
                for node in nodes_of(op) {
                    let name = self.name(node);
                    let Some(tree) = self.cluster.tree(Kind::Node, name) else {
                        self.answer(index, node, "404 NotFound");
                        continue;
                    };
                    let mut tree = (**tree).clone();
                    self.show_live(node, &mut tree);
                    merge(&mut tree, &op["patch"]);
                    let tree = Arc::new(tree);
                    let object = self.lowering(|cx| api::lower_object(Kind::Node, &tree, cx));
                    let object = object.map_err(|problems| format!("{problems:?}"))?;
                    self.write(Write::Replace(Box::new(object)));
                }
            }
            "node_delete" => {
                for node in nodes_of(op) {
                    let name = self.name(node);
                    if self.cluster.tree(Kind::Node, name).is_none() {
                        self.answer(index, node, "404 NotFound");
                        continue;
                    }
                    let (kind, propagation) = (Kind::Node, Propagation::Background);
                    self.write(Write::Delete { kind, name, propagation, grace: None });
                }
            }
            "node_down" => {
                for node in nodes_of(op) {
                    let name = self.symbol(node);
                    let Some(node) = self.cluster.node_named(name) else { continue };
                    if let Some(renewed) = renewed(case, node, self.now()) {
                        self.write(Write::Lease { node, renewed });
                    }
                    self.write(Write::NodeUp { node, is_up: false });
                }
            }
            "node_up" => {
                for node in nodes_of(op) {
                    let name = self.symbol(node);
                    let Some(node) = self.cluster.node_named(name) else { continue };
                    self.write(Write::NodeUp { node, is_up: true });
                    self.write(Write::NodeReady { node, ready: true });
                    self.pods_go_on(node);
                }
            }
            kind @ ("node_notready" | "node_ready") => {
                for node in nodes_of(op) {
                    let name = self.symbol(node);
                    let Some(node) = self.cluster.node_named(name) else { continue };
                    self.write(Write::NodeReady { node, ready: kind == "node_ready" });
                }
            }
            other => return Err(format!("no operation {other:?}")),
        }
        Ok(())
    }

    /// Puts the taints and the mark that a node has by now into its tree.
    fn show_live(&mut self, node: &str, tree: &mut Value) {
        let name = self.symbol(node);
        let Some(node) = self.cluster.node_named(name) else { return };
        let (row, names) = (&self.cluster.nodes()[node], self.cluster.names());
        let taint = |taint: &seatrial::model::Taint| {
            json!({
                "key": names.resolve(taint.key),
                "value": names.resolve(taint.value),
                "effect": format!("{:?}", taint.effect),
            })
        };
        let taints: Vec<Value> = row.spec.taints.iter().map(taint).collect();
        if !tree["spec"].is_object() {
            tree["spec"] = json!({});
        }
        tree["spec"]["taints"] = taints.into();
        tree["spec"]["unschedulable"] = row.spec.unschedulable.into();
    }

    /// A node is back: its pods that had started are ready, and those that are being deleted stop
    /// anew.
    fn pods_go_on(&mut self, node: NodeId) {
        let bound = self.cluster.pods().iter().filter(|(_, pod)| pod.node == Some(node));
        let pods: Vec<_> = bound.map(|(id, _)| self.cluster.pods().refer(id)).collect();
        for pod in pods {
            let Some(row) = self.cluster.pod(pod) else { continue };
            let status = row.status;
            if row.deletion.is_some() {
                self.stop_anew(pod);
            } else if status.phase == Phase::Running && !status.ready {
                let status = PodStatus { ready: true, ..status };
                self.write(Write::PodStatus { pod, status });
            }
        }
    }
}

/// When a node that goes down now renewed its Lease last: the k-th node does so each period from
/// its k-th offset on.
fn renewed(case: &Case<'_>, node: NodeId, now: SimTime) -> Option<SimTime> {
    let heartbeat = &case.value["heartbeat"];
    let period = Duration::ms(heartbeat["period_ms"].as_u64()?);
    let first = Duration::ms(ms(&heartbeat["offset_ms"])) * (u64::from(node.number()) + 1);
    let since = now.since_start().checked_sub(first)?;
    Some(SimTime::ZERO + first + period * (since.as_nanos() / period.as_nanos()))
}
