//! Pools of nodes become nodes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::api::{self, Kind};
use crate::base::{Bytes, Interner, Money, Quantity, Symbol};
use crate::model::{Labels, Model, NodeSpec, Resources, Taint, TaintEffect};
use crate::tree::{Diagnostic, Diagnostics, Spanned};

use super::file::{EffectFile, PoolFile, TaintFile};
use super::units::Amount;

/// Nodes that one pool may have at most.
const POOL_MAX: u32 = 200_000;

/// Pods that a node takes when its pool does not say: the kubelet's default.
const PODS_DEFAULT: u32 = 110;

/// The nodes of a pool, in the order of their numbers.
pub(super) fn lower(
    pool: &PoolFile,
    names: &mut Interner,
    found: &mut Diagnostics,
) -> Vec<NodeSpec> {
    if pool.count.value == 0 || pool.count.value > POOL_MAX {
        let message = format!("a pool has from 1 to {POOL_MAX} nodes, not {}", pool.count.value);
        found.error(pool.count.span, message);
        return Vec::new();
    }
    if !is_dns_name(&pool.pool.value) {
        let message = format!("\"{}\" cannot name a pool", pool.pool.value);
        let hint = "lower-case letters, digits and -, as in workers";
        found.push(Diagnostic::error(pool.pool.span, message).with_hint(hint));
        return Vec::new();
    }
    check_labels(&pool.pool.value, &pool.labels, &pool.taints, found);
    let proxy = super::proxy::lower(pool.proxy.as_ref(), found);
    let mut kubelet = super::kubelet::lower(pool.kubelet.as_ref(), found);
    let keeps = api::lower_keeps(&json!(pool.annotations));
    let before = found.error_count();
    let (mut allocatable, pods_max) = amounts(&pool.allocatable, names, found);
    let storage = &mut allocatable.ephemeral_storage;
    kubelet.disk = super::kubelet::disk(pool.disk.as_ref(), (&kubelet, storage), found);
    for resource in ["cpu", "memory"] {
        if found.error_count() == before && !pool.allocatable.contains_key(resource) {
            let message = format!("nodes of pool \"{}\" have no {resource}", pool.pool.value);
            let hint = format!("no pod that asks for {resource} fits; write {resource}: …");
            found.push(Diagnostic::warning(pool.allocatable.span, message).with_hint(hint));
        }
    }
    let node = |number: u32| {
        let name = format!("{}-{number}", pool.pool.value);
        let zones = u32::try_from(pool.zones.len()).unwrap_or(u32::MAX);
        let zone = (zones > 0).then(|| &pool.zones[(number % zones) as usize]);
        let mut pairs: BTreeMap<&str, &str> = BTreeMap::from([
            ("kubernetes.io/hostname", name.as_str()),
            ("kubernetes.io/os", "linux"),
            ("kubernetes.io/arch", "amd64"),
            ("seatrial/pool", pool.pool.value.as_str()),
        ]);
        if let Some(zone) = zone {
            pairs.insert("topology.kubernetes.io/zone", zone);
        }
        pairs.extend(pool.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let zone = pairs.get("topology.kubernetes.io/zone").map(|zone| names.intern(zone));
        let pairs: Vec<_> = pairs.iter().map(|(k, v)| (names.intern(k), names.intern(v))).collect();
        NodeSpec {
            name: names.intern(&name),
            pool: names.intern(&pool.pool.value),
            labels: Labels::new(pairs),
            taints: pool.taints.iter().map(|t| taint(t, names)).collect(),
            unschedulable: false,
            allocatable: allocatable.clone(),
            pods_max,
            price_per_hour: pool.price.map_or(Money(0), |price| price.0),
            images: pool.images.iter().map(|i| (names.intern(i), Bytes(0))).collect::<Arc<[_]>>(),
            zone,
            proxy,
            kubelet: kubelet.clone(),
            keeps,
        }
    };
    (0..pool.count.value).map(node).collect()
}

/// Images that pools name get the size that the behaviours of their containers say, those that
/// nobody runs the standard one; an image without a tag is there as `:latest` too (rule S122).
pub(super) fn size_images(model: &mut Model, names: &mut Interner) {
    let mut sizes: BTreeMap<Symbol, Bytes> = BTreeMap::new();
    for template in model.templates() {
        let all = template.spec.init_containers.iter().chain(&template.spec.containers);
        for (container, behavior) in all.zip(template.behaviors.iter()) {
            sizes.entry(container.image).or_insert(behavior.image_size);
        }
    }
    let standard = model.behaviors.standard.image_size;
    let offers = model.cloud.groups.iter_mut().flat_map(|group| &mut group.offers);
    let offers = offers.map(|offer| &mut Arc::make_mut(offer).node);
    for node in model.nodes.iter_mut().chain(offers).filter(|node| !node.images.is_empty()) {
        let mut all = Vec::new();
        for (image, size) in node.images.iter() {
            let known = || sizes.get(image).copied().unwrap_or(standard);
            let size = if *size == Bytes(0) { known() } else { *size };
            all.push((*image, size));
            let tagged = names.intern(&api::tagged(names.resolve(*image)));
            if tagged != *image {
                all.push((tagged, size));
            }
        }
        node.images = all.into();
    }
}

/// Labels and taints must be such as a Node may have.
pub(super) fn check_labels(
    name: &str,
    labels: &Spanned<BTreeMap<String, String>>,
    taints: &[Spanned<TaintFile>],
    found: &mut Diagnostics,
) {
    let taint = |taint: &Spanned<TaintFile>| {
        let effect = format!("{:?}", taint.value.effect);
        json!({ "key": taint.value.key, "value": taint.value.value, "effect": effect })
    };
    let written: Vec<Value> = taints.iter().map(taint).collect();
    let mut node = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": { "name": name, "labels": labels.value },
        "spec": { "taints": written },
    });
    for problem in api::prepare(Kind::Node, &mut node).iter().filter(|p| p.is_error) {
        let index =
            problem.path.strip_prefix("metadata.taints[").and_then(|path| path.split_once(']'));
        let taint = index.and_then(|(index, _)| taints.get(index.parse::<usize>().ok()?));
        let place = taint.map_or(labels.span, |taint| taint.span);
        found.error(place, api::plain(&problem.message));
    }
}

pub(super) fn taint(taint: &TaintFile, names: &mut Interner) -> Taint {
    Taint {
        key: names.intern(&taint.key),
        value: names.intern(&taint.value),
        effect: match taint.effect {
            EffectFile::NoSchedule => TaintEffect::NoSchedule,
            EffectFile::PreferNoSchedule => TaintEffect::PreferNoSchedule,
            EffectFile::NoExecute => TaintEffect::NoExecute,
        },
    }
}

/// Amounts by the names of resources, and the number of pods among them.
pub(super) fn amounts(
    file: &BTreeMap<String, Spanned<Amount>>,
    names: &mut Interner,
    found: &mut Diagnostics,
) -> (Resources, u32) {
    let mut resources = Resources::default();
    let mut pods = PODS_DEFAULT;
    for (name, text) in file {
        let quantity = match Quantity::parse(&text.value.0) {
            Ok(quantity) if quantity.sign() >= 0 => quantity,
            Ok(_) => {
                found.error(text.span, format!("an amount cannot be negative: {}", text.value.0));
                continue;
            }
            Err(_) => {
                let message = super::units::no_quantity(&text.value.0);
                let (message, hint) = message.split_once('\n').unwrap_or((&message, ""));
                let error = Diagnostic::error(text.span, message.to_owned());
                found.push(error.with_hint(hint.to_owned()));
                continue;
            }
        };
        match name.as_str() {
            "cpu" => resources.cpu.0 = quantity.milli_value(),
            "memory" => resources.memory.0 = quantity.value(),
            "ephemeral-storage" => resources.ephemeral_storage.0 = quantity.value(),
            "pods" => pods = u32::try_from(quantity.value()).unwrap_or(u32::MAX),
            other if other.contains('/') || other.starts_with("hugepages-") => {
                resources.add_scalar(names.intern(other), quantity.value());
            }
            other => {
                let known = ["cpu", "memory", "ephemeral-storage", "pods"];
                let message = format!("unknown resource \"{other}\"");
                let hint = "extended resources have a domain, as in nvidia.com/gpu";
                let error = Diagnostic::error(text.span, message).with_suggestion(other, known);
                found.push(if error.hint.is_some() { error } else { error.with_hint(hint) });
            }
        }
    }
    (resources, pods)
}

/// Whether text can be a part of a DNS name (RFC 1123).
pub(super) fn is_dns_name(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    !text.is_empty()
        && text.len() <= 253
        && text.chars().all(inner)
        && text.starts_with(edge)
        && text.ends_with(edge)
}
