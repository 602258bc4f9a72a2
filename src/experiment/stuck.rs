//! Why the pods of a workload do not serve, seen at the end of a run.

use std::sync::Arc;

use crate::base::cast;
use crate::base::text::counted;
use crate::cluster::{Charged, Cluster, NewPod, Pod, TemplateRow};
use crate::engine::{SimError, World};
use crate::model::{Model, TemplateId};
use crate::record::PodName;
use crate::recorder::Recorder;

/// What keeps workloads from serving at the end of the first run, a sentence each.
pub(super) fn why_all(model: &Arc<Model>, mut targets: Vec<&str>) -> Result<Vec<String>, SimError> {
    targets.dedup();
    if targets.is_empty() {
        return Ok(Vec::new());
    }
    let cluster = World::new(model, 0, Recorder::off()).run()?.cluster;
    Ok(targets.into_iter().filter_map(|target| why(target, &cluster)).collect())
}

/// What keeps a workload (`deployment/shop/web`) from having pods that are ready: refused, without
/// a node, or not ready where they are. `None`: nothing does.
fn why(target: &str, cluster: &Cluster) -> Option<String> {
    let names = cluster.names();
    let is_its = |row: &TemplateRow| {
        let workload = row.template.workload;
        workload.name.of_kind(workload.kind.as_str(), names) == target
    };
    let pods: Vec<&Pod> = (cluster.pods().iter().map(|(_, pod)| pod))
        .filter(|pod| pod.deletion.is_none() && is_its(cluster.template_of(pod)))
        .collect();
    let count = |number: usize, what| counted(cast::u64_of(number), what);
    if pods.is_empty() {
        let mut templates = cluster.templates().iter().filter(|(_, row)| is_its(row));
        let refusal = templates.find_map(|(id, row)| refusal(id, row, cluster));
        return refusal.map(|refusal| format!("{target} has no pods: {refusal}"));
    }
    let waiting = pods.iter().filter(|pod| pod.node.is_none());
    if let Some(message) = waiting.clone().find_map(|pod| pod.unschedulable.as_ref()) {
        return Some(format!(
            "{target}: {} without a node: {message}",
            count(waiting.count(), "pod")
        ));
    }
    let unready: Vec<&&Pod> =
        pods.iter().filter(|pod| pod.node.is_some() && !pod.status.ready).collect();
    let first = unready.first()?;
    let of = format!("{target}: {} of {} not ready", unready.len(), count(pods.len(), "pod"));
    let reason = match (first.status.reason, first.status.restarts) {
        ("", 0) => String::new(),
        ("", restarts) => format!(", restarted {}", count(cast::usize_of(restarts), "time")),
        (reason, _) => format!(": {reason}"),
    };
    Some(of + &reason)
}

/// Why no pod of a template may be created.
fn refusal(id: TemplateId, row: &TemplateRow, cluster: &Cluster) -> Option<String> {
    let workload = row.template.workload;
    let name = PodName::Generated { prefix: workload.name.name, suffix: 0 };
    let new = NewPod::new(workload.name.namespace, name, id, workload.kind);
    let refused = cluster.admit(&new, &mut Charged::default()).err()?;
    let message = refused.message;
    Some(message.split_once("is forbidden: ").map_or(message.clone(), |(_, why)| why.to_owned()))
}
