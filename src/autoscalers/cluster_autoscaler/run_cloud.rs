//! The cloud and the eviction API of a run, as the autoscaler asks them.

use std::cell::RefCell;

use crate::base::{Duration, Id, SimTime, Symbol};
use crate::cluster::{Cluster, InstanceState, LaunchError, Plan, Write};
use crate::model::{GroupId, InstanceRef};

use super::actuator::{Answer, Evictor};
use super::cloud::{Cloud, ErrorClass, Group, Instance, InstanceError};
use super::view::PodView;

/// What both put their wishes into.
pub(super) type SharedPlan<'p> = RefCell<&'p mut Plan>;

/// The cloud of a run: each verb is a write.
pub(super) struct RunCloud<'a, 'p> {
    pub(super) groups: &'a mut Vec<Group>,
    pub(super) cluster: &'a Cluster,
    pub(super) plan: &'a SharedPlan<'p>,
}

impl RunCloud<'_, '_> {
    fn retarget(&mut self, group: usize, by: i32) {
        let of = &mut self.groups[group];
        of.target = of.target.saturating_add_signed(by);
        self.plan.borrow_mut().push(Write::Retarget { group: GroupId::from_index(group), by });
    }

    /// Machines of a group that are there or on their way.
    fn there(&self, group: usize) -> usize {
        let all = self.cluster.cloud().of_group(GroupId::from_index(group));
        all.filter(|(_, machine)| machine.is_wanted()).count()
    }
}

impl Cloud for RunCloud<'_, '_> {
    fn groups(&self) -> &[Group] {
        self.groups
    }

    fn instances(&self, group: usize) -> Vec<Instance> {
        let all = self.cluster.cloud().of_group(GroupId::from_index(group));
        all.map(|(_, machine)| Instance {
            name: machine.name,
            error: machine.error.filter(|_| machine.state == InstanceState::Failed).map(error),
            is_deleting: machine.state == InstanceState::Deleting,
        })
        .collect()
    }

    fn has_instance(&self, node: Symbol, _group: Option<usize>) -> bool {
        let Some(node) = self.cluster.node_named(node) else { return false };
        !self.cluster.nodes()[node].is_machine || self.cluster.cloud().of_node(node).is_some()
    }

    fn increase(&mut self, group: usize, by: u32) -> Result<(), String> {
        let by = i32::try_from(by).map_err(|_| "a group has no room for so many".to_owned())?;
        self.retarget(group, by);
        Ok(())
    }

    fn delete(&mut self, group: usize, nodes: &[Symbol]) -> Result<(), String> {
        let all = self.cluster.cloud().of_group(GroupId::from_index(group));
        let chosen =
            all.filter(|(_, machine)| machine.is_wanted() && nodes.contains(&machine.name));
        let instances: Vec<InstanceRef> = chosen.map(|(instance, _)| instance).collect();
        let gone = u32::try_from(instances.len()).unwrap_or(u32::MAX);
        let of = &mut self.groups[group];
        of.target = of.target.saturating_sub(gone);
        let delete = Write::DeleteInstances { instances, lowers_target: true };
        self.plan.borrow_mut().push(delete);
        Ok(())
    }

    fn decrease_target(&mut self, group: usize, by: u32) -> Result<(), String> {
        let (target, there) = (self.groups[group].target, self.there(group));
        let wanted = usize::try_from(target.saturating_sub(by)).unwrap_or(usize::MAX);
        if by > target || wanted < there {
            return Err(format!("{there} machines are there, the target cannot be {wanted}"));
        }
        self.retarget(group, -i32::try_from(by).unwrap_or(i32::MAX));
        Ok(())
    }
}

fn error(of: LaunchError) -> InstanceError {
    let (class, code, message) = match of {
        LaunchError::OutOfResources => {
            (ErrorClass::OutOfResources, "OutOfResources", "the cloud has none left")
        }
        LaunchError::Other => (ErrorClass::Other, "Other", "the cloud could not make it"),
    };
    InstanceError { class, code: code.to_owned(), message: message.to_owned() }
}

/// The eviction API of a run.
pub(super) struct RunEvictor<'a, 'p> {
    pub(super) cluster: &'a Cluster,
    pub(super) plan: &'a SharedPlan<'p>,
    pub(super) now: SimTime,
    /// Whom it let go.
    pub(super) granted: Vec<PodView>,
}

impl Evictor for RunEvictor<'_, '_> {
    fn evict(&mut self, pod: &PodView, grace: Duration) -> Answer {
        let asked = self.plan.borrow_mut().evict_pod(pod.pod, Some(grace), self.cluster);
        let is_granted = match asked {
            Ok(()) => {
                self.granted.push(pod.clone());
                true
            }
            Err(refused) => refused.code == 404,
        };
        Answer { is_granted, at: self.now }
    }
}
