//! What is there, as the recordings write it.

use std::collections::BTreeMap;

use seatrial::cluster::Cluster;
use serde_json::Value;

use super::actor::Actor;
use super::names::Names;

/// Records by kind and recorded name.
pub(crate) type Records = BTreeMap<(&'static str, String), Value>;

/// What a renderer sees.
pub(crate) struct View<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) names: &'a Names,
    pub(crate) actor: &'a Actor,
}

type Render = fn(&View<'_>, &mut Vec<(String, Value)>);

/// A row a kind. Zero, false and empty values need not be left out: absent is the same.
///
/// A text that begins with `~` is a generated name of a revision: the k-th such text of a field
/// stands for the k-th recorded one.
const KINDS: &[(&str, Render)] = &[
    ("Deployment", super::record_deployment::render),
    ("ReplicaSet", super::record_replica_set::render),
    ("DaemonSet", super::record_daemon_set::render),
    ("Job", super::record_job::render),
    ("CronJob", super::record_cron_job::render),
    ("StatefulSet", super::record_stateful_set::render),
    ("PDB", super::record_budget::render),
    ("PVC", super::record_claim::render),
    ("Pod", super::record_pod::render),
    ("EndpointSlice", super::record_endpoint_slice::render),
    ("Node", super::record_node::render),
];

/// All records of the present instant.
pub(super) fn records(cluster: &Cluster, names: &Names, actor: &Actor) -> Records {
    let view = View { cluster, names, actor };
    let mut all = Records::new();
    let mut rows = Vec::new();
    for (kind, render) in KINDS {
        render(&view, &mut rows);
        all.extend(rows.drain(..).map(|(name, record)| ((*kind, name), record)));
    }
    all
}

impl View<'_> {
    /// The recorded name of one of ours.
    pub(crate) fn name(&self, name: seatrial::model::ObjectName) -> String {
        self.names.theirs(self.cluster.names().resolve(name.name)).to_owned()
    }

    /// A symbol's text.
    pub(crate) fn text(&self, symbol: seatrial::base::Symbol) -> &str {
        self.cluster.names().resolve(symbol)
    }
}
