//! Operations on nodes: they come and go, fall silent and change.

use std::sync::Arc;

use seatrial::api::{self, Kind};
use seatrial::cluster::Write;
use seatrial::model::Propagation;
use serde_json::Value;

use super::Plane;
use super::case::{Case, merge, text};
use super::ops::nodes_of;

impl Plane {
    pub(super) fn operate_node(
        &mut self,
        _case: &Case<'_>,
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
            kind @ ("node_down" | "node_up") => {
                for node in nodes_of(op) {
                    let name = self.symbol(node);
                    let Some(node) = self.cluster.node_named(name) else { continue };
                    self.write(Write::NodeUp { node, is_up: kind == "node_up" });
                }
            }
            other => return Err(format!("no operation {other:?}")),
        }
        Ok(())
    }
}
