//! The history of a template: which ControllerRevision is the present one, and which may go.

use std::sync::Arc;

use crate::base::Symbol;
use crate::cluster::{Cluster, Revision, RevisionWrite};
use crate::model::{Template, Workload};
use crate::record::{RolloutRecord, RolloutStep};
use crate::sim::Ctx;

use super::template_hash::template_hash;

/// The revision of a template, if it has one, and what must be written about it: a template that
/// is new gets one, one that is back is the newest again.
///
/// Source: kubernetes v1.36.3 pkg/controller/daemon/update.go `constructHistory`, `snapshot` (rule
/// C113). Differs: duplicates cannot come about.
pub(super) fn present<'a>(
    history: &'a [Revision],
    template: &Arc<Template>,
    tree: &Arc<serde_json::Value>,
    cluster: &Cluster,
) -> (Option<&'a Revision>, Option<RevisionWrite>) {
    let is_it = |revision: &&Revision| {
        let known = &cluster.templates()[revision.template].template;
        Arc::ptr_eq(known, template) || known.source == template.source
    };
    let known = history.iter().find(is_it);
    let others = history.iter().filter(|other| known.is_none_or(|k| k.hash != other.hash));
    let number = others.map(|other| other.number).max().unwrap_or(0) + 1;
    let write = match known {
        Some(known) if known.number >= number => None,
        Some(known) => Some(RevisionWrite::Renumber { hash: known.hash, number }),
        None => Some(RevisionWrite::Add {
            hash: free_hash(history, template, cluster),
            number,
            template: Arc::clone(template),
            source: Arc::clone(tree),
        }),
    };
    (known, write)
}

/// The hash of a template; another one if a different template has it already (rule C27).
fn free_hash(history: &[Revision], template: &Template, cluster: &Cluster) -> String {
    let is_taken = |hash: &String| {
        let mut known = history.iter().map(|revision| cluster.names().resolve(revision.hash));
        known.any(|known| known == hash)
    };
    let hashes = std::iter::once(None).chain((1..).map(Some));
    let mut hashes = hashes.map(|collisions| template_hash(&template.source, collisions));
    hashes.find(|hash| !is_taken(hash)).expect("there are more hashes than revisions")
}

/// The revisions that nobody needs: the oldest of those that no pod has, beyond `limit` besides
/// the present one.
///
/// Source: kubernetes v1.36.3 pkg/controller/daemon/update.go `cleanupHistory` (rule C113).
pub(super) fn outdated(
    history: &[Revision],
    present: Symbol,
    limit: u32,
    is_live: impl Fn(&Revision) -> bool,
) -> Vec<RevisionWrite> {
    let excess = history.len().saturating_sub(1).saturating_sub(crate::base::cast::usize_of(limit));
    if excess == 0 {
        return Vec::new();
    }
    let mut old: Vec<_> = history.iter().filter(|r| r.hash != present && !is_live(r)).collect();
    old.sort_by_key(|revision| revision.number);
    old.iter().take(excess).map(|revision| RevisionWrite::Remove { hash: revision.hash }).collect()
}

/// Tells that a rollout begins with a revision that is about to be written.
pub(super) fn tell_start(workload: Workload, news: &RevisionWrite, ctx: &mut Ctx<'_>) {
    let number = match news {
        RevisionWrite::Add { number, .. } | RevisionWrite::Renumber { number, .. } => *number,
        RevisionWrite::Remove { .. } => return,
    };
    let step = RolloutStep::Started;
    ctx.recorder.rollout(RolloutRecord { at: ctx.now(), workload, revision: number, step });
}

/// Tells that all pods are of the newest revision.
pub(super) fn tell_end(workload: Workload, newest: &Revision, ctx: &mut Ctx<'_>) {
    let (at, step) = (ctx.now(), RolloutStep::Completed);
    ctx.recorder.rollout(RolloutRecord { at, workload, revision: newest.number, step });
}
