//! The events that `kubectl` shows.

use crate::cluster::{Cluster, Pod};
use crate::model::NodeId;
use crate::record::{About, EventRecord};
use crate::sim::Ctx;

/// The longest message of a Kubernetes Event, in bytes (rule S60).
const EVENT_MESSAGE_MAX: usize = 1024;

pub(super) fn scheduled(pod: &Pod, node: NodeId, cluster: &Cluster, ctx: &mut Ctx<'_>) {
    if !ctx.recorder.wants_events() {
        return;
    }
    let names = cluster.names();
    let (namespace, name) = (names.resolve(pod.namespace), pod.name.text(names));
    let node = names.resolve(cluster.nodes()[node].spec.name);
    let message = format!("Successfully assigned {namespace}/{name} to {node}");
    tell((false, "Scheduled"), pod, message, ctx);
}

pub(super) fn failed(pod: &Pod, message: &str, ctx: &mut Ctx<'_>) {
    if ctx.recorder.wants_events() {
        tell((true, "FailedScheduling"), pod, event_message(message), ctx);
    }
}

/// The event on a victim (rule S187).
pub(super) fn preempted(victim: &Pod, by: &Pod, cluster: &Cluster, ctx: &mut Ctx<'_>) {
    if !ctx.recorder.wants_events() {
        return;
    }
    let node = victim.node.map_or("", |n| cluster.names().resolve(cluster.nodes()[n].spec.name));
    let message = format!("Preempted by pod {} on node {node}", uid_text(by.uid));
    tell((false, "Preempted"), victim, message, ctx);
}

/// A uid in the form of Kubernetes' uids; the part that is not known is 0.
fn uid_text(uid: u64) -> String {
    let (high, low) = (uid >> 32, uid & 0xffff_ffff);
    format!("{high:08x}-{:04x}-{:04x}-0000-000000000000", low >> 16, low & 0xffff)
}

pub(super) fn tell(
    (is_warning, reason): (bool, &'static str),
    pod: &Pod,
    message: String,
    ctx: &mut Ctx<'_>,
) {
    let at = ctx.now();
    ctx.recorder.event(EventRecord {
        at,
        is_warning,
        reason,
        about: About::Pod(pod.namespace, pod.name),
        message,
    });
}

/// A message as an event carries it.
fn event_message(message: &str) -> String {
    const MARK: &str = " ...";
    if message.len() <= EVENT_MESSAGE_MAX {
        return message.to_owned();
    }
    let fits = |at: &usize| message.is_char_boundary(*at);
    let cut = (0..=EVENT_MESSAGE_MAX - MARK.len()).rfind(fits).unwrap_or(0);
    format!("{}{MARK}", &message[..cut])
}
