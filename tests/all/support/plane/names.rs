//! Which recorded object one of ours is, where names are generated.

use std::collections::{BTreeMap, BTreeSet};

use seatrial::cluster::Cluster;
use seatrial::record::PodName;

use super::case::{Case, list, text};

/// Our names of ReplicaSets that Deployments made, by the recorded ones: the k-th of an owner with
/// an image is the k-th recorded one.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Recorded names by (owner, image), in order of their first appearance.
    recorded: BTreeMap<(String, String), Vec<String>>,
    /// How many of ours are mapped.
    met: BTreeMap<(String, String), usize>,
    /// Ours to theirs.
    mapped: BTreeMap<String, String>,
}

impl Names {
    pub(super) fn new(case: &Case<'_>) -> Self {
        let mut names = Self::default();
        let mut seen = BTreeSet::new();
        let timelines = case.timelines();
        for record in timelines.iter().flat_map(|t| list(t)).flat_map(|slot| list(&slot["ch"])) {
            let is_owned = record["k"] == "ReplicaSet" && record["owner"].is_string();
            let name = text(&record["n"]).to_owned();
            if is_owned && seen.insert(name.clone()) {
                let key = (text(&record["owner"]).to_owned(), text(&record["image"]).to_owned());
                names.recorded.entry(key).or_default().push(name);
            }
        }
        names
    }

    /// Looks for ReplicaSets that it does not know.
    pub(super) fn learn(&mut self, cluster: &Cluster) {
        let mut sets: Vec<_> = cluster.replica_sets().iter().map(|(_, set)| set).collect();
        sets.sort_by_key(|set| set.serial);
        for set in sets {
            let name = cluster.names().resolve(set.name.name);
            let owner = set.owner.and_then(|id| cluster.deployment(id));
            let Some(owner) = owner.filter(|_| !self.mapped.contains_key(name)) else { continue };
            let template = &cluster.templates()[set.template].template;
            let image = template.spec.containers[0].image;
            let texts =
                [owner.spec.name.name, image].map(|s| cluster.names().resolve(s).to_owned());
            let key: (String, String) = texts.into();
            let number = self.met.entry(key.clone()).or_default();
            let theirs = self.recorded.get(&key).and_then(|all| all.get(*number));
            *number += 1;
            self.mapped.insert(name.to_owned(), theirs.map_or(name, String::as_str).to_owned());
        }
    }

    /// The recorded name of one of ours.
    pub(super) fn theirs<'a>(&'a self, ours: &'a str) -> &'a str {
        self.mapped.get(ours).map_or(ours, String::as_str)
    }

    /// The base name of a pod: what its name is generated from, or its name.
    pub(super) fn base(&self, name: PodName, cluster: &Cluster) -> String {
        match name {
            PodName::Generated { prefix, .. } => {
                self.theirs(cluster.names().resolve(prefix)).to_owned()
            }
            PodName::Indexed { prefix, index, .. } => {
                format!("{}-{index}", cluster.names().resolve(prefix))
            }
            PodName::Fixed(_) | PodName::Numbered { .. } => name.text(cluster.names()),
        }
    }

    /// The recorded name of a pod's owner.
    pub(super) fn owner(&self, pod: &seatrial::cluster::Pod, cluster: &Cluster) -> Option<String> {
        use seatrial::model::OwnerRef;
        let name = match pod.owner? {
            OwnerRef::ReplicaSet(set) => cluster.replica_sets().get(set)?.name,
            OwnerRef::StatefulSet(set) => cluster.stateful_sets().get(set)?.spec.name,
            OwnerRef::DaemonSet(set) => cluster.daemon_sets().get(set)?.spec.name,
            OwnerRef::Job(job) => cluster.jobs().get(job)?.spec.name,
        };
        Some(self.theirs(cluster.names().resolve(name.name)).to_owned())
    }
}

/// The position of a node in the order of creation.
pub(super) fn position(node: seatrial::model::NodeId) -> usize {
    seatrial::base::Id::index(node)
}
