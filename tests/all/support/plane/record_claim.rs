//! Claims of StatefulSets' pods.

use seatrial::cluster::ClaimOwner;
use serde_json::{Value, json};

use super::records::View;

pub(super) fn render(view: &View<'_>, out: &mut Vec<(String, Value)>) {
    for (name, owner) in view.cluster.claims() {
        let owner = match owner {
            ClaimOwner::Nobody => None,
            ClaimOwner::StatefulSet(id) => {
                let row = view.cluster.stateful_sets().get(id).expect("it owns the claim");
                Some(format!("StatefulSet/{}", view.name(row.spec.name)))
            }
            ClaimOwner::Pod(pod) => {
                let row = view.cluster.pod(pod).expect("it owns the claim");
                Some(format!("Pod/{}", row.name.text(view.cluster.names())))
            }
        };
        let owners: Vec<String> = owner.into_iter().collect();
        out.push((view.text(name.name).to_owned(), json!({ "owners": owners })));
    }
}
