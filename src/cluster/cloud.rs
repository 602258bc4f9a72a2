//! What the cloud's API says: target sizes of node groups, and machines with their states.
//!
//! ```text
//! Requested ─┬─► Running ─► Registered (its Node is there) ─┐
//!            └─► Failed ────────────────────────────────────┴─► Deleting ─► gone
//! ```
//!
//! The table only says what is; `cloud` decides what becomes of a machine, autoscalers ask for
//! more and fewer. A verb of the cloud's API is a write, and answers at once; what follows from it
//! takes its time.

use std::sync::Arc;

use crate::base::{IdVec, LookupMap, SimTime, Slots, Symbol};
use crate::model::{
    GroupId, GroupSpec, InstanceId, InstanceRef, Labels, Model, NodeId, NodeSpec, Offer, PoolSpec,
};
use crate::record::MachineRecord;
use crate::recorder::Recorder;

use super::{Change, Cluster, NodeChange, Readiness};

/// The tables of the cloud.
#[derive(Debug, Default)]
pub struct Cloud {
    groups: IdVec<GroupId, Group>,
    instances: Slots<InstanceId, Instance>,
    by_node: LookupMap<NodeId, InstanceRef>,
    /// Where there are none to be had.
    scarce: Vec<Scarcity>,
    /// NodePools that were declared anew.
    node_pools: Vec<Arc<PoolSpec>>,
    /// NodePools that were deleted.
    gone_pools: Vec<Symbol>,
    launched: u64,
}

/// A node group as it is now.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// How many machines it is to have.
    pub target: u32,
    /// Its machines, those that failed and those that are being deleted among them, in order of
    /// their requests.
    pub instances: Vec<InstanceId>,
    /// The number that the next machine's name ends with.
    next: u32,
}

/// A machine.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Its number: in order of requests, never used again.
    pub serial: u64,
    /// The name that its Node has or will have.
    pub name: Symbol,
    /// Its group; `None`: somebody asked for it by itself.
    pub group: Option<GroupId>,
    /// What may be had for it, in order of preference.
    pub offers: Arc<[Arc<Offer>]>,
    /// What it is, as soon as it runs.
    pub offer: Option<Arc<Offer>>,
    /// Where it stands.
    pub state: InstanceState,
    /// Why it could not be had.
    pub error: Option<LaunchError>,
    /// When it was asked for.
    pub requested: SimTime,
    /// Since when it runs, and is paid for.
    pub running: Option<SimTime>,
    /// Its Node, once registered.
    pub node: Option<NodeId>,
    /// When the notice of its interruption came.
    pub noticed: Option<SimTime>,
}

impl Instance {
    /// Whether it counts for the size of its group: it is not on its way out.
    #[must_use]
    pub const fn is_wanted(&self) -> bool {
        !matches!(self.state, InstanceState::Deleting)
    }
}

/// Where a machine stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceState {
    /// The cloud has been asked for it.
    Requested,
    /// It could not be had.
    Failed,
    /// It runs; its Node is not there.
    Running,
    /// Its Node is registered.
    Registered,
    /// It is being deleted.
    Deleting,
}

/// Why a machine could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LaunchError {
    /// The cloud has none left, or a quota is used up.
    OutOfResources,
    /// Anything else.
    Other,
}

/// Where there are no machines to be had: what is `None` is any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scarcity {
    /// For machines of this group.
    pub group: Option<GroupId>,
    /// In this zone.
    pub zone: Option<Symbol>,
}

/// A machine to ask for.
#[derive(Clone, Debug)]
pub struct Launch {
    /// For which group; its target size does not change.
    pub group: Option<GroupId>,
    /// The name of its Node; `None`: the group's next, without a group that of the pool of the
    /// first offer with a number.
    pub name: Option<Symbol>,
    /// What may be had, in order of preference.
    pub offers: Arc<[Arc<Offer>]>,
}

/// What the cloud itself does with a machine.
#[derive(Clone, Debug)]
pub enum InstanceWrite {
    /// It runs.
    Run(Arc<Offer>),
    /// It cannot be had.
    Fail(LaunchError),
    /// Its Node is registered, not Ready.
    Register,
    /// It will be interrupted.
    Notice,
    /// It is off; its Node is somebody else's business.
    End,
}

/// What of the cloud changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloudChange {
    /// A target size, or how many machines of the group there are.
    Group(GroupId),
    /// A machine was asked for.
    Requested(InstanceRef),
    /// A machine runs.
    Running(InstanceRef),
    /// A machine could not be had.
    Failed(InstanceRef),
    /// A machine's Node was registered.
    Registered(InstanceRef),
    /// A machine is about to be interrupted.
    Noticed(InstanceRef),
    /// A machine is being deleted.
    Deleting(InstanceRef),
    /// A machine is gone; its Node, if it had one.
    Ended(Option<NodeId>),
    /// A NodePool of this name was declared anew, or deleted.
    NodePool(Symbol),
}

impl Cloud {
    /// Node groups, in order of names.
    #[must_use]
    pub const fn groups(&self) -> &IdVec<GroupId, Group> {
        &self.groups
    }

    /// All machines.
    #[must_use]
    pub const fn instances(&self) -> &Slots<InstanceId, Instance> {
        &self.instances
    }

    /// A machine, if it is still there.
    #[must_use]
    pub fn instance(&self, instance: InstanceRef) -> Option<&Instance> {
        self.instances.get(instance)
    }

    /// The machine of a node; `None` if it is none of the cloud's, or gone.
    #[must_use]
    pub fn of_node(&self, node: NodeId) -> Option<InstanceRef> {
        self.by_node.get(&node).copied()
    }

    /// NodePools of Karpenter that were declared anew since the start, as they are now.
    #[must_use]
    pub fn node_pools(&self) -> &[Arc<PoolSpec>] {
        &self.node_pools
    }

    /// NodePools of Karpenter that were deleted and are not there again.
    #[must_use]
    pub fn gone_pools(&self) -> &[Symbol] {
        &self.gone_pools
    }

    /// The machines of a group.
    pub fn of_group(&self, group: GroupId) -> impl Iterator<Item = (InstanceRef, &Instance)> {
        let ids = self.groups[group].instances.iter();
        ids.map(|id| (self.instances.refer(*id), &self.instances[*id]))
    }

    /// Whether there are machines of this kind to be had for that group now.
    #[must_use]
    pub fn has_some(&self, group: Option<GroupId>, offer: &Offer) -> bool {
        !self.scarce.iter().any(|scarce| {
            scarce.group.is_none_or(|of| Some(of) == group)
                && scarce.zone.is_none_or(|zone| Some(zone) == offer.zone)
        })
    }

    fn insert(&mut self, instance: Instance) -> InstanceRef {
        let group = instance.group;
        let instance = self.instances.insert(instance);
        if let Some(group) = group {
            self.groups[group].instances.push(instance.id);
        }
        self.launched += 1;
        instance
    }
}

impl Cluster {
    /// The cloud, as its API tells.
    #[must_use]
    pub const fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// The declaration of a node group.
    #[must_use]
    pub fn group_spec(&self, group: GroupId) -> &GroupSpec {
        &self.model.cloud.groups[group]
    }

    /// Machines that are there at the start: their nodes are the model's.
    pub(super) fn add_groups(&mut self, model: &Model) {
        for (group, spec) in model.cloud.groups.enumerate() {
            let row = Group { target: spec.size, instances: Vec::new(), next: spec.size };
            self.cloud.groups.push(row);
            let own = self.nodes.enumerate().filter(|(_, node)| node.spec.pool == spec.name);
            let own: Vec<_> = own.map(|(id, node)| (id, node.spec.name, node.spec.zone)).collect();
            for (node, name, zone) in own {
                let of_zone = |offer: &&Arc<Offer>| offer.zone == zone;
                let offer = spec.offers.iter().find(of_zone).cloned();
                let instance = Instance {
                    serial: self.cloud.launched,
                    name,
                    group: Some(group),
                    offers: spec.offers.clone().into(),
                    offer,
                    state: InstanceState::Registered,
                    error: None,
                    requested: self.now,
                    running: Some(self.now),
                    node: Some(node),
                    noticed: None,
                };
                let instance = self.cloud.insert(instance);
                self.cloud.by_node.insert(node, instance);
                self.nodes[node].is_machine = true;
            }
        }
    }

    /// Changes the target size of a group, within 0 and what a number holds.
    pub(super) fn retarget(&mut self, group: GroupId, by: i32, changes: &mut Vec<Change>) {
        let row = &mut self.cloud.groups[group];
        let target = row.target.saturating_add_signed(by);
        if std::mem::replace(&mut row.target, target) != target {
            changes.push(Change::Cloud(CloudChange::Group(group)));
        }
    }

    /// Asks for a machine.
    pub(super) fn launch(&mut self, launch: Launch, changes: &mut Vec<Change>) {
        let Launch { group, name, offers } = launch;
        let name = name.or_else(|| group.map(|group| self.next_name(group)));
        let pool = offers.first().map(|offer| offer.node.pool);
        let name = name.or_else(|| pool.map(|pool| self.next_free_name(pool)));
        let Some(name) = name else { return };
        let instance = Instance {
            serial: self.cloud.launched,
            name,
            group,
            offers,
            offer: None,
            state: InstanceState::Requested,
            error: None,
            requested: self.now,
            running: None,
            node: None,
            noticed: None,
        };
        let instance = self.cloud.insert(instance);
        changes.push(Change::Cloud(CloudChange::Requested(instance)));
    }

    /// The next name of a group that no node has.
    fn next_name(&mut self, group: GroupId) -> Symbol {
        let pool = self.names.resolve(self.model.cloud.groups[group].name).to_owned();
        loop {
            let number = self.cloud.groups[group].next;
            self.cloud.groups[group].next += 1;
            let name = self.names.intern(&format!("{pool}-{number}"));
            if self.node_by_name.get(&name).is_none() {
                return name;
            }
        }
    }

    /// A name for a machine that no group has.
    fn next_free_name(&mut self, pool: Symbol) -> Symbol {
        let number = self.cloud.launched;
        let name = format!("{}-{number}", self.names.resolve(pool));
        self.names.intern(&name)
    }

    /// Begins to delete machines; what is being deleted already, or gone, is left out.
    pub(super) fn delete_instances(
        &mut self,
        instances: &[InstanceRef],
        lowers_target: bool,
        changes: &mut Vec<Change>,
    ) {
        for instance in instances {
            let Some(row) = self.cloud.instances.get_mut(*instance) else { continue };
            if !row.is_wanted() {
                continue;
            }
            row.state = InstanceState::Deleting;
            let group = row.group;
            changes.push(Change::Cloud(CloudChange::Deleting(*instance)));
            if let Some(group) = group {
                let target = &mut self.cloud.groups[group].target;
                *target = target.saturating_sub(u32::from(lowers_target));
                changes.push(Change::Cloud(CloudChange::Group(group)));
            }
        }
    }

    /// The cloud has no machines left somewhere, or has some again.
    pub(super) fn set_scarcity(&mut self, scarcity: Scarcity, is_scarce: bool) {
        self.cloud.scarce.retain(|known| *known != scarcity);
        if is_scarce {
            self.cloud.scarce.push(scarcity);
        }
    }

    /// Declares a NodePool anew.
    pub(super) fn set_node_pool(&mut self, spec: Arc<PoolSpec>, changes: &mut Vec<Change>) {
        let name = spec.name;
        self.cloud.node_pools.retain(|known| known.name != name);
        self.cloud.node_pools.push(spec);
        self.cloud.gone_pools.retain(|gone| *gone != name);
        changes.push(Change::Cloud(CloudChange::NodePool(name)));
    }

    /// Deletes a NodePool.
    pub(super) fn drop_node_pool(&mut self, name: Symbol, changes: &mut Vec<Change>) {
        self.cloud.node_pools.retain(|known| known.name != name);
        self.cloud.gone_pools.push(name);
        changes.push(Change::Cloud(CloudChange::NodePool(name)));
    }

    /// What the cloud does with a machine that is still there.
    pub(super) fn write_instance(
        &mut self,
        instance: InstanceRef,
        write: InstanceWrite,
        changes: &mut Vec<Change>,
        recorder: &mut Recorder,
    ) {
        let now = self.now;
        let Some(row) = self.cloud.instances.get_mut(instance) else { return };
        let what = match write {
            InstanceWrite::Run(offer) => {
                (row.state, row.running) = (InstanceState::Running, Some(now));
                row.offer = Some(offer);
                CloudChange::Running(instance)
            }
            InstanceWrite::Fail(error) => {
                (row.state, row.error) = (InstanceState::Failed, Some(error));
                if let Some(offer) = row.offers.first() {
                    recorder.machine_failed(offer.node.pool);
                }
                CloudChange::Failed(instance)
            }
            InstanceWrite::Register => {
                row.state = InstanceState::Registered;
                self.register(instance, changes);
                CloudChange::Registered(instance)
            }
            InstanceWrite::Notice => {
                row.noticed = Some(now);
                CloudChange::Noticed(instance)
            }
            InstanceWrite::End => return self.end_instance(instance, changes, recorder),
        };
        changes.push(Change::Cloud(what));
    }

    /// A Node appears, not Ready, with the taint that the API server gives it then.
    ///
    /// Source: kubernetes v1.36.3 plugin/pkg/admission/nodetaint/admission.go `Admit`.
    fn register(&mut self, instance: InstanceRef, changes: &mut Vec<Change>) {
        let row = &self.cloud.instances[instance.id];
        let (name, offer) = (row.name, row.offer.clone());
        let Some(offer) = offer else { return };
        let host = self.names.intern("kubernetes.io/hostname");
        let labels = offer.node.labels.iter().filter(|(key, _)| *key != host);
        let labels: Vec<_> = labels.chain([(host, name)]).collect();
        let mut spec = NodeSpec { name, labels: Labels::new(labels), ..offer.node.clone() };
        spec.taints.extend(offer.startup_taints.iter().cloned());
        spec.taints.push(self.not_ready_taint());
        let node = self.add_node(spec);
        let added = &mut self.nodes[node];
        (added.ready, added.condition) = (false, Readiness::False);
        (added.first_ready, added.reported) = (None, Some(self.now));
        added.is_machine = true;
        self.cloud.instances[instance.id].node = Some(node);
        self.cloud.by_node.insert(node, instance);
        changes.push(Change::Node { node, what: NodeChange::Added });
    }

    /// A machine is off for good: its node's too.
    fn end_instance(
        &mut self,
        instance: InstanceRef,
        changes: &mut Vec<Change>,
        recorder: &mut Recorder,
    ) {
        if let Some(record) = self.machine_record(instance, Some(self.now)) {
            recorder.machine(&record);
        }
        let row = self.cloud.instances.remove(instance.id);
        if let Some(node) = row.node {
            self.cloud.by_node.remove(&node);
            self.set_up(node, false, changes);
        }
        changes.push(Change::Cloud(CloudChange::Ended(row.node)));
        if let Some(group) = row.group {
            self.cloud.groups[group].instances.retain(|id| *id != instance.id);
            changes.push(Change::Cloud(CloudChange::Group(group)));
        }
    }

    /// What is recorded of a machine; `None` if it never ran.
    #[must_use]
    pub fn machine_record(
        &self,
        instance: InstanceRef,
        ended: Option<SimTime>,
    ) -> Option<MachineRecord> {
        let row = self.cloud.instances.get(instance)?;
        let (offer, running) = (row.offer.as_ref()?, row.running?);
        Some(MachineRecord {
            name: row.name,
            pool: offer.node.pool,
            kind: Some(self.model.cloud.types[offer.kind].name),
            zone: offer.zone,
            is_spot: offer.capacity == crate::model::CapacityType::Spot,
            price: offer.node.price_per_hour,
            requested: row.requested,
            running,
            ready: row.node.and_then(|node| self.nodes[node].first_ready),
            noticed: row.noticed,
            ended,
        })
    }

    /// What is recorded of a node that is none of the cloud's machines.
    #[must_use]
    pub fn node_record(&self, node: NodeId) -> MachineRecord {
        let row = &self.nodes[node];
        MachineRecord {
            name: row.spec.name,
            pool: row.spec.pool,
            kind: None,
            zone: row.spec.zone,
            is_spot: false,
            price: row.spec.price_per_hour,
            requested: row.created,
            running: row.created,
            ready: row.first_ready,
            noticed: None,
            ended: row.gone_at,
        }
    }
}
