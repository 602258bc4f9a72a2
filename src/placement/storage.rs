//! Storage objects by name, and what the scheduler assumes of them before it is written.
//!
//! The catalogue's part for volumes: claims, volumes and the rest as the API has them, and on top
//! the bindings that Reserve has promised to pods whose binding cycle still runs (rule S123c).
//!
//! ```text
//! claim:   unbound --assume--> assumed --write_binding / write_provisioning--> bound
//!             ^--------forget-----'
//! ```

use crate::base::{LookupMap, Symbol};
use crate::model::{
    Claim, CsiDriver, CsiNode, ObjectName, Storage, StorageCapacity, StorageClass, Volume,
    VolumeAttachment,
};

/// All storage objects.
#[derive(Clone, Debug, Default)]
pub struct StorageCatalog {
    claims: LookupMap<ObjectName, Claim>,
    volumes: LookupMap<Symbol, Volume>,
    /// Names of a class's volumes, in the order in which they came.
    of_class: LookupMap<Symbol, Vec<Symbol>>,
    classes: LookupMap<Symbol, StorageClass>,
    default_class: Option<Symbol>,
    csi_nodes: LookupMap<Symbol, CsiNode>,
    drivers: LookupMap<Symbol, CsiDriver>,
    capacities: Vec<StorageCapacity>,
    /// By the node's name.
    attachments: LookupMap<Symbol, Vec<VolumeAttachment>>,
    /// The claims that volumes are promised to.
    promised: LookupMap<Symbol, ObjectName>,
    /// The nodes that claims are to be provisioned for.
    selected: LookupMap<ObjectName, Symbol>,
}

impl From<Storage> for StorageCatalog {
    fn from(all: Storage) -> Self {
        let mut catalog = Self::default();
        all.claims.into_iter().for_each(|claim| catalog.set_claim(claim));
        all.volumes.into_iter().for_each(|volume| catalog.set_volume(volume));
        all.classes.into_iter().for_each(|class| catalog.set_class(class));
        all.csi_nodes.into_iter().for_each(|node| catalog.set_csi_node(node));
        all.csi_drivers.into_iter().for_each(|driver| catalog.set_driver(driver));
        all.capacities.into_iter().for_each(|capacity| catalog.set_capacity(capacity));
        all.attachments.into_iter().for_each(|attachment| catalog.set_attachment(attachment));
        catalog
    }
}

impl StorageCatalog {
    /// A claim as the API has it.
    #[must_use]
    pub fn claim(&self, name: ObjectName) -> Option<&Claim> {
        self.claims.get(&name)
    }

    /// A volume as the API has it.
    #[must_use]
    pub fn volume(&self, name: Symbol) -> Option<&Volume> {
        self.volumes.get(&name)
    }

    /// The volumes of a class, in the order in which they came.
    pub fn volumes_of(&self, class: Symbol) -> impl Iterator<Item = &Volume> {
        let names = self.of_class.get(&class).map_or(&[][..], Vec::as_slice);
        names.iter().filter_map(|name| self.volumes.get(name))
    }

    /// A class.
    #[must_use]
    pub fn class(&self, name: Symbol) -> Option<&StorageClass> {
        self.classes.get(&name)
    }

    /// The default class: of several the first that came.
    #[must_use]
    pub const fn default_class(&self) -> Option<Symbol> {
        self.default_class
    }

    /// The CSINode of a node, by the node's name.
    #[must_use]
    pub fn csi_node(&self, node: Symbol) -> Option<&CsiNode> {
        self.csi_nodes.get(&node)
    }

    /// A driver.
    #[must_use]
    pub fn driver(&self, name: Symbol) -> Option<&CsiDriver> {
        self.drivers.get(&name)
    }

    /// All published capacities.
    #[must_use]
    pub fn capacities(&self) -> &[StorageCapacity] {
        &self.capacities
    }

    /// The attachments to a node, by its name.
    #[must_use]
    pub fn attachments_to(&self, node: Symbol) -> &[VolumeAttachment] {
        self.attachments.get(&node).map_or(&[], Vec::as_slice)
    }

    /// Adds a claim or puts it in the place of the one of its name.
    pub fn set_claim(&mut self, claim: Claim) {
        self.claims.insert(claim.name, claim);
    }

    /// Removes a claim and what is assumed of it.
    pub fn remove_claim(&mut self, name: ObjectName) -> Option<Claim> {
        self.selected.remove(&name);
        self.claims.remove(&name)
    }

    /// Adds a volume or puts it in the place of the one of its name.
    pub fn set_volume(&mut self, volume: Volume) {
        let (name, class) = (volume.name, volume.class);
        match self.volumes.insert(name, volume) {
            Some(old) if old.class == class => {}
            old => {
                if let Some(old) = old {
                    self.forget_class(old.class, name);
                }
                self.of_class.or_insert_with(class, Vec::new).push(name);
            }
        }
    }

    /// Removes a volume and what is assumed of it.
    pub fn remove_volume(&mut self, name: Symbol) -> Option<Volume> {
        let gone = self.volumes.remove(&name)?;
        self.promised.remove(&name);
        self.forget_class(gone.class, name);
        Some(gone)
    }

    fn forget_class(&mut self, class: Symbol, volume: Symbol) {
        if let Some(names) = self.of_class.get_mut(&class) {
            names.retain(|name| *name != volume);
        }
    }

    /// Adds a class or puts it in the place of the one of its name.
    pub fn set_class(&mut self, class: StorageClass) {
        if class.is_default {
            self.default_class = self.default_class.or(Some(class.name));
        }
        self.classes.insert(class.name, class);
    }

    /// Removes a class.
    pub fn remove_class(&mut self, name: Symbol) -> Option<StorageClass> {
        self.classes.remove(&name)
    }

    /// Adds a CSINode or puts it in the place of the one of its node.
    pub fn set_csi_node(&mut self, node: CsiNode) {
        self.csi_nodes.insert(node.node, node);
    }

    /// Removes the CSINode of a node.
    pub fn remove_csi_node(&mut self, node: Symbol) -> Option<CsiNode> {
        self.csi_nodes.remove(&node)
    }

    /// Adds a driver or puts it in the place of the one of its name.
    pub fn set_driver(&mut self, driver: CsiDriver) {
        self.drivers.insert(driver.name, driver);
    }

    /// Removes a driver.
    pub fn remove_driver(&mut self, name: Symbol) -> Option<CsiDriver> {
        self.drivers.remove(&name)
    }

    /// Adds a capacity or puts it in the place of the one of its name.
    pub fn set_capacity(&mut self, capacity: StorageCapacity) {
        match self.capacities.iter_mut().find(|known| known.name == capacity.name) {
            Some(known) => *known = capacity,
            None => self.capacities.push(capacity),
        }
    }

    /// Removes a capacity.
    pub fn remove_capacity(&mut self, name: ObjectName) {
        self.capacities.retain(|known| known.name != name);
    }

    /// Adds an attachment or puts it in the place of the one of its name on its node (the node of
    /// an attachment never changes).
    pub fn set_attachment(&mut self, attachment: VolumeAttachment) {
        let list = self.attachments.or_insert_with(attachment.node, Vec::new);
        match list.iter_mut().find(|known| known.name == attachment.name) {
            Some(known) => *known = attachment,
            None => list.push(attachment),
        }
    }

    /// Removes an attachment to a node.
    pub fn remove_attachment(&mut self, node: Symbol, name: Symbol) {
        if let Some(list) = self.attachments.get_mut(&node) {
            list.retain(|known| known.name != name);
        }
    }

    /// The claim that a volume is meant for, with the claim's UID if it is set: as promised, else
    /// as the API has it.
    #[must_use]
    pub fn claim_of(&self, volume: &Volume) -> Option<(ObjectName, Option<Symbol>)> {
        match self.promised.get(&volume.name) {
            Some(claim) => Some((*claim, self.claim(*claim).map(|claim| claim.uid))),
            None => volume.claim,
        }
    }

    /// The node that a claim is to be provisioned for: as assumed, else as the API has it.
    #[must_use]
    pub fn selected_node(&self, claim: &Claim) -> Option<Symbol> {
        self.selected.get(&claim.name).copied().or(claim.selected_node)
    }

    /// Promises a volume to a claim.
    pub fn promise(&mut self, volume: Symbol, claim: ObjectName) {
        self.promised.insert(volume, claim);
    }

    /// Takes it that a claim is to be provisioned for a node.
    pub fn select(&mut self, claim: ObjectName, node: Symbol) {
        self.selected.insert(claim, node);
    }

    /// Takes a promise back.
    pub fn forget_promise(&mut self, volume: Symbol) {
        self.promised.remove(&volume);
    }

    /// Takes it back that a claim is to be provisioned.
    pub fn forget_selection(&mut self, claim: ObjectName) {
        self.selected.remove(&claim);
    }

    /// Binds a volume and a claim to each other for good.
    pub fn bind(&mut self, volume: Symbol, claim: ObjectName) {
        self.forget_promise(volume);
        self.forget_selection(claim);
        let uid = self.claims.get_mut(&claim).map(|claim| {
            claim.volume = Some(volume);
            claim.bind_completed = true;
            claim.uid
        });
        if let Some(volume) = self.volumes.get_mut(&volume) {
            volume.claim = Some((claim, uid));
            volume.is_available = false;
        }
    }
}
