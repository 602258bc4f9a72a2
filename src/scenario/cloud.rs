//! `cloud` becomes types of machines and node groups, checked.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};

use crate::base::{Bytes, IdVec, Interner, Money, Symbol};
use crate::manifest::{self, Document};
use crate::model::{
    BootTimes, CapacityType, CloudSpec, DiskSpec, Failures, GroupSpec, InstanceType,
    InstanceTypeId, KubeletSpec, Labels, NodeKeeps, NodeSpec, Offer, OnNotice, ProxySpec,
    kept_for_the_system,
};
use crate::tree::{self, Diagnostic, Diagnostics, ParseOptions, Span, Spanned};

use super::file::{
    BootFile, BootProfile, BootTable, CapacityFile, CatalogueFile, CloudFile, FailuresFile,
    InstanceTypeFile, NodeGroupFile, OnNoticeFile,
};
use super::input::Input;
use super::nodes;

/// The example catalogue.
const CATALOGUE: &str = include_str!("catalogue.yaml");
/// Machines that a group may have at most.
const SIZE_MAX: u32 = 100_000;

/// What `cloud` becomes, and the nodes that are there at the start.
pub(super) fn lower(
    file: Option<&Spanned<CloudFile>>,
    (is_ideal, documents): (bool, &[Document]),
    names: &mut Interner,
    input: &mut Input,
) -> (CloudSpec, Vec<NodeSpec>) {
    let mut spec = CloudSpec::default();
    let Some(file) = file.map(|file| &file.value) else { return (spec, Vec::new()) };
    let usual = if is_ideal { BootProfile::Ideal } else { BootProfile::EksAsg };
    spec.boot = boot(file.boot.as_ref(), &profile(usual));
    if let Some(minimum) = file.minimum_billing {
        spec.billed_min = minimum.0;
    }
    if let Some(retry) = &file.retry {
        if retry.value.0.is_zero() {
            input.found.error(retry.span, "a group that tries again at once tries for ever");
        }
        spec.retry = retry.value.0;
    }
    if let Some(notice) = file.notice {
        spec.notice = notice.0;
    }
    spec.zones = file.zones.iter().map(|zone| names.intern(zone)).collect();
    spec.types = types(file, names, input);
    let mut start = Vec::new();
    let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
    let mut groups = Vec::new();
    for entry in &file.node_groups {
        let name = &entry.value.name;
        if let Some(first) = seen.insert(&name.value, name.span) {
            let error =
                Diagnostic::error(name.span, format!("a second node group \"{}\"", name.value));
            input.found.push(error.with_related(first, "the first"));
            continue;
        }
        groups.extend(group(entry, &spec, names, &mut input.found));
    }
    check_prices(&groups, &spec, file, names, &mut input.found);
    groups.sort_by(|a, b| names.resolve(a.name).cmp(names.resolve(b.name)));
    for group in &groups {
        start.extend((0..group.size).map(|number| first_node(group, number, names)));
    }
    if let Some(own) = &file.cluster_autoscaler {
        let mut offers = groups.iter().flat_map(|group| &group.offers);
        let is_priced = offers.any(|offer| offer.node.price_per_hour > Money(0));
        let with = (&groups[..], is_priced);
        let own = super::cluster_autoscaler::lower(own, with, names, &mut input.found);
        spec.cluster_autoscaler = Some(Arc::new(own));
    }
    spec.groups = groups.into();
    if let Some(own) = &file.karpenter {
        if file.boot.is_none() && !is_ideal {
            spec.boot = profile(BootProfile::EksKarpenter);
        }
        spec.karpenter = Some(Arc::new(super::karpenter::lower(
            own,
            (&spec, documents),
            names,
            &mut input.found,
        )));
    }
    (spec, start)
}

/// The types of the catalogue and those of the scenario, by name.
fn types(
    file: &CloudFile,
    names: &mut Interner,
    input: &mut Input,
) -> IdVec<InstanceTypeId, InstanceType> {
    let catalogue = match &file.catalogue {
        Some(path) => {
            let limits = ParseOptions::scenario().limits;
            let Input { loader, sources, found, .. } = &mut *input;
            let full = loader.full(&path.value);
            manifest::load(loader, &full, path.span, &limits, sources, found)
        }
        None => Some(input.sources.add("the example catalogue".to_owned(), CATALOGUE.to_owned())),
    };
    let Input { sources, found, .. } = input;
    let documents = catalogue.map(|id| tree::parse(sources, id, &ParseOptions::scenario(), found));
    let tree = documents.and_then(|documents| documents.into_iter().next()).map(|first| first.tree);
    let mut all: BTreeMap<String, InstanceType> = BTreeMap::new();
    let read = tree
        .as_ref()
        .and_then(|tree| tree::from_value_in_part::<CatalogueFile>(tree.root(), found));
    for entry in read.into_iter().flat_map(|read| read.value.instance_types) {
        instance_type(&entry, &mut all, names, found);
    }
    for entry in &file.instance_types {
        instance_type(entry, &mut all, names, found);
    }
    all.into_values().collect::<Vec<_>>().into()
}

fn instance_type(
    entry: &Spanned<InstanceTypeFile>,
    all: &mut BTreeMap<String, InstanceType>,
    names: &mut Interner,
    found: &mut Diagnostics,
) {
    let file = &entry.value;
    let (mut capacity, _) = nodes::amounts(&file.resources, names, found);
    (capacity.cpu, capacity.memory) = (file.cpu.value.0, file.memory.value.0);
    if capacity.cpu.0 == 0 {
        found.error(file.cpu.span, "a machine without cores runs nothing");
    }
    let pods_max = file.pods.unwrap_or(110);
    let kept = match &file.reserved {
        None => kept_for_the_system(&capacity, pods_max),
        Some(reserved) => {
            let mut kept = crate::model::Resources::default();
            (kept.cpu, kept.memory) = (reserved.value.cpu.0, reserved.value.memory.0);
            kept
        }
    };
    let mut allocatable = capacity.clone();
    allocatable.cpu.0 -= kept.cpu.0;
    allocatable.memory = Bytes(allocatable.memory.0 - kept.memory.0);
    if allocatable.cpu.0 <= 0 || allocatable.memory.0 <= 0 {
        let message = format!(
            "\"{}\" keeps {} CPU and {} of memory for the system: nothing is left for pods",
            file.name.value, kept.cpu, kept.memory
        );
        let place = file.reserved.as_ref().map_or(file.memory.span, |reserved| reserved.span);
        let hint = "a larger machine, fewer `pods`, or `reserved: { cpu: 100m, memory: 500Mi }`";
        found.push(Diagnostic::error(place, message).with_hint(hint));
    }
    let labels = file.labels.iter().map(|(k, v)| (names.intern(k), names.intern(v)));
    let labels = Labels::new(labels.collect::<Vec<_>>());
    let made = InstanceType {
        name: names.intern(&file.name.value),
        arch: names.intern(file.arch.as_deref().unwrap_or("amd64")),
        capacity,
        allocatable,
        pods_max,
        price: file.price.map(|price| price.0),
        spot_price: file.spot_price.map(|price| price.0),
        labels,
    };
    all.insert(file.name.value.clone(), made);
}

/// Places and sizes of a group are such as can be.
fn check_sizes(file: &NodeGroupFile, found: &mut Diagnostics) -> Option<(u32, u32, u32)> {
    let max = file.max.value;
    let min = file.min.as_ref().map_or(0, |min| min.value);
    let size = file.size.as_ref().map_or(min, |size| size.value);
    let name = &file.name.value;
    if max > SIZE_MAX {
        found.error(file.max.span, format!("a group has at most {SIZE_MAX} machines, not {max}"));
        return None;
    }
    if let Some(own) = file.min.as_ref().filter(|_| min > max) {
        let message = format!("group \"{name}\": min {min} is above max {max}");
        let error = Diagnostic::error(own.span, message).with_related(file.max.span, "max");
        found.push(error.with_hint("min: 0 lets an autoscaler remove all its machines"));
        return None;
    }
    if let Some(own) = file.size.as_ref().filter(|_| !(min..=max).contains(&size)) {
        let message = format!("group \"{name}\" begins with {size} machines, not {min} to {max}");
        let error = Diagnostic::error(own.span, message).with_related(file.max.span, "max");
        found.push(error.with_hint("`size` lies between `min` and `max`"));
        return None;
    }
    Some((min, max, size))
}

fn group(
    entry: &Spanned<NodeGroupFile>,
    cloud: &CloudSpec,
    names: &mut Interner,
    found: &mut Diagnostics,
) -> Option<GroupSpec> {
    let file = &entry.value;
    if !nodes::is_dns_name(&file.name.value) {
        let message = format!("\"{}\" cannot name a node group", file.name.value);
        let hint = "lower-case letters, digits and -, as in workers";
        found.push(Diagnostic::error(file.name.span, message).with_hint(hint));
        return None;
    }
    nodes::check_labels(&file.name.value, &file.labels, &file.taints, found);
    let sizes = check_sizes(file, found);
    let kinds = kinds(file, entry.span, cloud, names, found);
    let failures = failures(&file.failures, found);
    let capacity = match file.capacity {
        CapacityFile::OnDemand => CapacityType::OnDemand,
        CapacityFile::Spot => CapacityType::Spot,
    };
    if let Some(law) = file.interrupted_after.as_ref().filter(|_| capacity != CapacityType::Spot) {
        let message =
            format!("machines of \"{}\" are not interrupted: they are on demand", file.name.value);
        let warning = Diagnostic::warning(law.span, message);
        found.push(warning.with_hint("capacity: spot"));
    }
    let (min, max, size) = sizes?;
    let proxy = super::proxy::lower(file.proxy.as_ref(), found);
    let kubelet = super::kubelet::lower(file.kubelet.as_ref(), found);
    let kinds = kinds?;
    if let Some(disk) = &file.disk {
        // What is wrong with it is told once.
        super::kubelet::disk(Some(disk), (&kubelet, &mut Bytes(0)), found);
    }
    let offers = offers(file, &kinds, (capacity, proxy, &kubelet), cloud, names);
    Some(GroupSpec {
        name: names.intern(&file.name.value),
        min,
        max,
        size,
        offers,
        boot: file.boot.as_ref().map_or(cloud.boot.clone(), |own| boot(Some(own), &cloud.boot)),
        failures,
        interrupted_after: file.interrupted_after.as_ref().map(|law| law.value.0.clone()),
        on_notice: match file.on_notice {
            OnNoticeFile::Drain => OnNotice::Drain,
            OnNoticeFile::Nothing => OnNotice::Nothing,
        },
        heal: file.replace_after.map(|span| span.0),
    })
}

/// The types that a group names.
fn kinds(
    file: &NodeGroupFile,
    place: Span,
    cloud: &CloudSpec,
    names: &Interner,
    found: &mut Diagnostics,
) -> Option<Vec<InstanceTypeId>> {
    if file.instance_types.is_empty() {
        let message = format!("group \"{}\" has no type of machine", file.name.value);
        found.push(Diagnostic::error(place, message).with_hint("instanceTypes: [m.xlarge]"));
        return None;
    }
    let known = || cloud.types.iter().map(|kind| names.resolve(kind.name));
    let mut all = Vec::new();
    for name in &file.instance_types {
        let is_it =
            |(_, kind): &(InstanceTypeId, &InstanceType)| names.resolve(kind.name) == name.value;
        match cloud.types.enumerate().find(is_it) {
            Some((id, _)) => all.push(id),
            None => {
                let message = format!("there is no instance type \"{}\"", name.value);
                let error = Diagnostic::error(name.span, message);
                let error = error.with_suggestion(&name.value, known());
                let hint = "`cloud.instanceTypes` declares types of your own";
                found.push(if error.hint.is_some() { error } else { error.with_hint(hint) });
            }
        }
    }
    (all.len() == file.instance_types.len()).then_some(all)
}

fn failures(file: &Spanned<FailuresFile>, found: &mut Diagnostics) -> Failures {
    let part = |share: Option<super::units::Share>| share.map_or(0.0, |share| share.0.0);
    let FailuresFile { out_of_resources, other, never_registers } = file.value;
    let all = Failures {
        out_of_resources: part(out_of_resources),
        other: part(other),
        never_registers: part(never_registers),
    };
    let sum = all.out_of_resources + all.other + all.never_registers;
    if sum > 1.0 {
        found.error(file.span, format!("the parts that fail are together {sum}, more than all"));
    }
    all
}

/// What a group's machines can be: zone by zone, in each the types in order of preference.
fn offers(
    file: &NodeGroupFile,
    kinds: &[InstanceTypeId],
    (capacity, proxy, kubelet): (CapacityType, ProxySpec, &KubeletSpec),
    cloud: &CloudSpec,
    names: &mut Interner,
) -> Vec<Arc<Offer>> {
    let own: Vec<Symbol> = file.zones.iter().map(|zone| names.intern(zone)).collect();
    let zones = if own.is_empty() { &cloud.zones } else { &own };
    let zones: Vec<Option<Symbol>> = match zones.is_empty() {
        true => vec![None],
        false => zones.iter().copied().map(Some).collect(),
    };
    let mut all = Vec::new();
    for zone in zones {
        for kind in kinds {
            let declared = &cloud.types[*kind];
            let mut node = template(file, declared, (capacity, zone), names);
            let mut has = declared.capacity.clone();
            let mut kubelet = kubelet.clone();
            kubelet.disk = whole_disk(has.ephemeral_storage);
            if let Some(disk) = &file.disk {
                let storage = &mut node.allocatable.ephemeral_storage;
                *storage = Bytes(0);
                let found = &mut Diagnostics::default();
                kubelet.disk = super::kubelet::disk(Some(disk), (&kubelet, storage), found);
                has.ephemeral_storage = disk.value.nodefs.value.0;
            }
            let node = NodeSpec { proxy, kubelet, ..node };
            let offer =
                Offer { kind: *kind, zone, capacity, has, node, startup_taints: Vec::new() };
            all.push(Arc::new(offer));
        }
    }
    all
}

/// The disk of a machine of which its size is said.
pub(super) fn whole_disk(size: Bytes) -> Option<DiskSpec> {
    (size.0 > 0).then_some(DiskSpec { nodefs: size, imagefs: None, system: Bytes(0) })
}

/// A node of a group but for its name and host name.
fn template(
    file: &NodeGroupFile,
    kind: &InstanceType,
    (capacity, zone): (CapacityType, Option<Symbol>),
    names: &mut Interner,
) -> NodeSpec {
    let pool = names.intern(&file.name.value);
    let mut labels: BTreeMap<Symbol, Symbol> = kind.labels.iter().collect();
    let own = [
        ("kubernetes.io/os", names.intern("linux")),
        ("kubernetes.io/arch", kind.arch),
        ("node.kubernetes.io/instance-type", kind.name),
        ("seatrial/capacity", names.intern(capacity.as_str())),
        ("seatrial/pool", pool),
    ];
    labels.extend(own.map(|(key, value)| (names.intern(key), value)));
    labels.extend(zone.map(|zone| (names.intern("topology.kubernetes.io/zone"), zone)));
    labels.extend(file.labels.iter().map(|(k, v)| (names.intern(k), names.intern(v))));
    NodeSpec {
        name: pool,
        pool,
        labels: Labels::new(labels),
        taints: file.taints.iter().map(|taint| nodes::taint(&taint.value, names)).collect(),
        unschedulable: false,
        allocatable: kind.allocatable.clone(),
        pods_max: kind.pods_max,
        price_per_hour: kind.price_of(capacity).unwrap_or(Money(0)),
        images: file.images.iter().map(|i| (names.intern(i), Bytes(0))).collect::<Arc<[_]>>(),
        zone,
        proxy: ProxySpec::DEFAULT,
        kubelet: KubeletSpec::DEFAULT,
        keeps: NodeKeeps::default(),
    }
}

/// A node that is there at the start: round robin over the zones, of the first type.
fn first_node(group: &GroupSpec, number: u32, names: &mut Interner) -> NodeSpec {
    let zones: Vec<&Arc<Offer>> = {
        let first = group.offers.first().map(|offer| offer.kind);
        group.offers.iter().filter(|offer| Some(offer.kind) == first).collect()
    };
    let offer = zones[number as usize % zones.len().max(1)];
    let name = names.intern(&format!("{}-{number}", names.resolve(group.name).to_owned()));
    let host = names.intern("kubernetes.io/hostname");
    let labels = offer.node.labels.iter().chain([(host, name)]).collect::<Vec<_>>();
    NodeSpec { name, labels: Labels::new(labels), ..offer.node.clone() }
}

/// Money is told only where every machine has its price.
fn check_prices(
    groups: &[GroupSpec],
    cloud: &CloudSpec,
    file: &CloudFile,
    names: &Interner,
    found: &mut Diagnostics,
) {
    let price = |offer: &Offer| cloud.types[offer.kind].price_of(offer.capacity);
    let priced = groups.iter().flat_map(|group| &group.offers).any(|offer| price(offer).is_some());
    if !priced {
        return;
    }
    for entry in &file.node_groups {
        let own = names.get(&entry.value.name.value);
        let Some(group) = groups.iter().find(|group| Some(group.name) == own) else { continue };
        let Some(offer) = group.offers.iter().find(|offer| price(offer).is_none()) else {
            continue;
        };
        let kind = names.resolve(cloud.types[offer.kind].name);
        let (what, key) = match offer.capacity {
            CapacityType::OnDemand => ("price", "price: 0.20/h"),
            CapacityType::Spot => ("spot price", "spotPrice: 0.07/h"),
        };
        let is_it = |name: &&Spanned<String>| name.value == kind;
        let place = entry.value.instance_types.iter().find(is_it);
        let message = format!("instance type \"{kind}\" has no {what}, and others have one");
        let error = Diagnostic::error(place.map_or(entry.span, |name| name.span), message);
        found.push(error.with_hint(format!("`{key}` in its entry: a sum without it is too small")));
    }
}

const fn profile_name(profile: BootProfile) -> &'static str {
    match profile {
        BootProfile::Ideal => "ideal",
        BootProfile::EksKarpenter => "eks-karpenter",
        BootProfile::EksAsg => "eks-asg",
        BootProfile::Gke => "gke",
        BootProfile::AksVmss => "aks-vmss",
        BootProfile::AksNap => "aks-nap",
        BootProfile::Gpu => "gpu",
    }
}

fn profile(of: BootProfile) -> BootTimes {
    BootTimes::profile(profile_name(of)).unwrap_or_else(BootTimes::ideal)
}

fn boot(file: Option<&Spanned<BootFile>>, usual: &BootTimes) -> BootTimes {
    match file.map(|file| &file.value) {
        None => usual.clone(),
        Some(BootFile::Profile(name)) => profile(*name),
        Some(BootFile::Table(table)) => {
            let mut boot = table.profile.map_or_else(|| usual.clone(), profile);
            boot.profile = "custom";
            let laws = [
                (&table.create, &mut boot.create),
                (&table.register, &mut boot.register),
                (&table.ready, &mut boot.ready),
                (&table.delete, &mut boot.delete),
            ];
            for (given, to) in laws {
                if let Some(law) = given {
                    *to = law.0.clone();
                }
            }
            boot
        }
    }
}

impl<'de> Deserialize<'de> for BootFile {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(BootVisitor)
    }
}

struct BootVisitor;

const PROFILES: [BootProfile; 7] = [
    BootProfile::Ideal,
    BootProfile::EksKarpenter,
    BootProfile::EksAsg,
    BootProfile::Gke,
    BootProfile::AksVmss,
    BootProfile::AksNap,
    BootProfile::Gpu,
];

const PROFILE_NAMES: [&str; 7] =
    ["ideal", "eks-karpenter", "eks-asg", "gke", "aks-vmss", "aks-nap", "gpu"];

impl<'de> Visitor<'de> for BootVisitor {
    type Value = BootFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a profile such as eks-asg, or a table of latencies")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<BootFile, E> {
        let named = PROFILES.into_iter().find(|profile| profile_name(*profile) == text);
        named.map(BootFile::Profile).ok_or_else(|| E::unknown_variant(text, &PROFILE_NAMES))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<BootFile, A::Error> {
        let table = BootTable::deserialize(MapAccessDeserializer::new(map))?;
        Ok(BootFile::Table(Box::new(table)))
    }
}

impl JsonSchema for BootFile {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Boot".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let profile = generator.subschema_for::<BootProfile>();
        let table = generator.subschema_for::<BootTable>();
        json_schema!({
            "description": "how long a machine takes: a profile, or a table over one",
            "anyOf": [profile, table],
        })
    }
}
