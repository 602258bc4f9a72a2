//! Operations around disruption: evictions, drains, cordons.

use seatrial::cluster::Write;
use serde_json::Value;

use super::Plane;
use super::case::{Case, text};
use super::ops::nodes_of;

/// What an operation still has to do at a later instant: a drain goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Later {
    /// Which operation it belongs to.
    pub(crate) op: usize,
}

impl Plane {
    pub(super) fn disrupt(
        &mut self,
        _case: &Case<'_>,
        _index: usize,
        op: &Value,
    ) -> Result<(), String> {
        match text(&op["op"]) {
            kind @ ("cordon" | "uncordon") => {
                for name in nodes_of(op) {
                    let name = self.symbol(name);
                    let Some(node) = self.cluster.node_named(name) else { continue };
                    self.write(Write::Cordon { node, unschedulable: kind == "cordon" });
                }
                Ok(())
            }
            other => Err(format!("no operation {other:?}")),
        }
    }

    /// Goes on with what an operation has left for this instant.
    pub(super) fn take_later(&mut self) {
        let (_, _, later) = self.later.pop_first().expect("it is there");
        let Later { op: _ } = later;
    }
}
