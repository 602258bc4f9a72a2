//! What the timeline does to the cloud.

use std::sync::Arc;

use crate::cluster::{Cluster, Instance, Plan, Scarcity, Write};
use crate::model::{CapacityType, CloudAction, InstanceRef};

/// Asks for what an entry of the timeline does.
///
/// # Errors
/// If there is no machine that it could be done to.
pub fn act(action: &CloudAction, cluster: &Cluster, plan: &mut Plan) -> Result<(), String> {
    let cloud = cluster.cloud();
    match *action {
        CloudAction::Resize { group, to } => {
            let by = i64::from(to) - i64::from(cloud.groups()[group].target);
            let by = i32::try_from(by).unwrap_or(if by < 0 { i32::MIN } else { i32::MAX });
            plan.push(Write::Retarget { group, by });
        }
        CloudAction::Scarce { group, zone, is_scarce } => {
            plan.push(Write::Scarcity { scarcity: Scarcity { group, zone }, is_scarce });
        }
        CloudAction::NodePool(ref spec) => plan.push(Write::NodePool(Arc::clone(spec))),
        CloudAction::Interrupt { group, zone, count } => {
            let is_meant = |machine: &Instance| {
                machine.is_wanted()
                    && machine.noticed.is_none()
                    && group.is_none_or(|group| machine.group == Some(group))
                    && machine.offer.as_ref().is_some_and(|offer| {
                        offer.capacity == CapacityType::Spot
                            && zone.is_none_or(|zone| offer.zone == Some(zone))
                    })
            };
            let machines = cloud.instances().iter().filter(|(_, machine)| is_meant(machine));
            let mut all: Vec<(u64, InstanceRef)> =
                machines.map(|(id, row)| (row.serial, cloud.instances().refer(id))).collect();
            all.sort_unstable();
            if all.is_empty() {
                return Err("there is no spot machine to interrupt".to_owned());
            }
            all.truncate(count.map_or(usize::MAX, |count| count as usize));
            for (_, instance) in all {
                let write = Box::new(crate::cluster::InstanceWrite::Notice);
                plan.push(Write::Instance { instance, write });
            }
        }
    }
    Ok(())
}
