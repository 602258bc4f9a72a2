//! What the timeline does to the cloud: checked, and in words.

use std::sync::Arc;

use crate::base::{Interner, Symbol};
use crate::model::{CloudAction, CloudSpec, GroupId};
use crate::tree::{Diagnostic, Diagnostics, Spanned};

use super::file::{CloudActionFile, InterruptFile, ResizeFile, ScarceFile};
use super::file_karpenter::NodePoolFile;

/// One action and how the report calls it.
pub(super) fn lower(
    file: &Spanned<CloudActionFile>,
    cloud: &CloudSpec,
    names: &mut Interner,
    found: &mut Diagnostics,
) -> Option<(CloudAction, String)> {
    let CloudActionFile { resize: size, interrupt: notice, scarce: none, plenty: some, node_pool } =
        &file.value;
    match (size, notice, none, some, node_pool) {
        (Some(own), None, None, None, None) => resize(&own.value, cloud, names, found),
        (None, Some(own), None, None, None) => interrupt(&own.value, cloud, names, found),
        (None, None, Some(own), None, None) => {
            let (group, zone, place) = scarce(&own.value, cloud, names, found)?;
            let action = CloudAction::Scarce { group, zone, is_scarce: true };
            Some((action, format!("no more machines{place}")))
        }
        (None, None, None, Some(own), None) => {
            let (group, zone, place) = scarce(&own.value, cloud, names, found)?;
            let action = CloudAction::Scarce { group, zone, is_scarce: false };
            Some((action, format!("machines again{place}")))
        }
        (None, None, None, None, Some(own)) => node_pool_anew(&own.value, cloud, names, found),
        _ => {
            let message = "expected exactly one of resize, interrupt, scarce, plenty and nodePool";
            let error = Diagnostic::error(file.span, message);
            found.push(error.with_hint("resize: { group: NAME, to: 5 }"));
            None
        }
    }
}

fn resize(
    file: &ResizeFile,
    cloud: &CloudSpec,
    names: &mut Interner,
    found: &mut Diagnostics,
) -> Option<(CloudAction, String)> {
    let group = group(&file.group, cloud, names, found)?;
    let (min, max) = (cloud.groups[group].min, cloud.groups[group].max);
    let to = file.to.value;
    if !(min..=max).contains(&to) {
        let message =
            format!("group \"{}\" has {min} to {max} machines, not {to}", file.group.value);
        found.error(file.to.span, message);
        return None;
    }
    Some((CloudAction::Resize { group, to }, format!("resize {} to {to}", file.group.value)))
}

fn node_pool_anew(
    file: &NodePoolFile,
    cloud: &CloudSpec,
    names: &mut Interner,
    found: &mut Diagnostics,
) -> Option<(CloudAction, String)> {
    let spec = super::karpenter::pool(file, names, found);
    let own = cloud.karpenter.iter().flat_map(|own| &own.pools);
    let known: Vec<&str> = own.map(|pool| names.resolve(pool.name)).collect();
    let name = &file.name;
    if !known.contains(&name.value.as_str()) {
        let message = format!("there is no pool \"{}\" of Karpenter", name.value);
        found.push(Diagnostic::error(name.span, message).with_suggestion(&name.value, known));
        return None;
    }
    Some((CloudAction::NodePool(Arc::new(spec)), format!("pool {} declared anew", name.value)))
}

fn interrupt(
    file: &InterruptFile,
    cloud: &CloudSpec,
    names: &mut Interner,
    found: &mut Diagnostics,
) -> Option<(CloudAction, String)> {
    let InterruptFile { group: of, zone: place, count } = file;
    let of_group = of.as_ref().map(|name| group(name, cloud, names, found));
    if of_group == Some(None) {
        return None;
    }
    let of_group = of_group.flatten();
    if let Some(name) = of.as_ref().filter(|_| of_group.is_some_and(|group| !is_spot(group, cloud)))
    {
        let message = format!("machines of \"{}\" are on demand: none is interrupted", name.value);
        found.push(Diagnostic::error(name.span, message).with_hint("capacity: spot"));
        return None;
    }
    let of_zone = place.as_ref().map(|name| zone(name, cloud, names, found));
    if of_zone == Some(None) {
        return None;
    }
    let many = count.map_or_else(|| "all".to_owned(), |count| count.to_string());
    let whose = of.as_ref().map_or_else(String::new, |name| format!(" of {}", name.value));
    let whence = place.as_ref().map_or_else(String::new, |name| format!(" in zone {}", name.value));
    let action = CloudAction::Interrupt { group: of_group, zone: of_zone.flatten(), count: *count };
    Some((action, format!("interrupt {many} spot machines{whose}{whence}")))
}

fn is_spot(group: GroupId, cloud: &CloudSpec) -> bool {
    let mut offers = cloud.groups[group].offers.iter();
    offers.any(|offer| offer.capacity == crate::model::CapacityType::Spot)
}

fn scarce(
    file: &ScarceFile,
    cloud: &CloudSpec,
    names: &mut Interner,
    found: &mut Diagnostics,
) -> Option<(Option<GroupId>, Option<Symbol>, String)> {
    let of_group = file.group.as_ref().map(|name| group(name, cloud, names, found));
    let of_zone = file.zone.as_ref().map(|name| zone(name, cloud, names, found));
    if of_group == Some(None) || of_zone == Some(None) {
        return None;
    }
    let mut place = String::new();
    if let Some(name) = &file.group {
        place.push_str(&format!(" for {}", name.value));
    }
    if let Some(name) = &file.zone {
        place.push_str(&format!(" in zone {}", name.value));
    }
    Some((of_group.flatten(), of_zone.flatten(), place))
}

fn group(
    name: &Spanned<String>,
    cloud: &CloudSpec,
    names: &Interner,
    found: &mut Diagnostics,
) -> Option<GroupId> {
    let all = || cloud.groups.iter().map(|group| names.resolve(group.name));
    let known = cloud.groups.enumerate().find(|(_, own)| names.resolve(own.name) == name.value);
    if known.is_none() {
        let error =
            Diagnostic::error(name.span, format!("there is no node group \"{}\"", name.value));
        found.push(error.with_suggestion(&name.value, all()));
    }
    known.map(|(id, _)| id)
}

fn zone(
    name: &Spanned<String>,
    cloud: &CloudSpec,
    names: &mut Interner,
    found: &mut Diagnostics,
) -> Option<Symbol> {
    let symbol = names.intern(&name.value);
    let offers = cloud.groups.iter().flat_map(|group| &group.offers);
    let mut all: Vec<Symbol> =
        offers.filter_map(|offer| offer.zone).chain(cloud.zones.iter().copied()).collect();
    all.sort_unstable();
    all.dedup();
    if all.contains(&symbol) {
        return Some(symbol);
    }
    let message = format!("no machines are to be had in zone \"{}\"", name.value);
    let known = all.iter().map(|zone| names.resolve(*zone));
    found.push(Diagnostic::error(name.span, message).with_suggestion(&name.value, known));
    None
}
