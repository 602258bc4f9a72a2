//! Custom objects: their trees, and the VerticalPodAutoscalers among them.

use std::sync::Arc;

use serde_json::Value;

use crate::base::SimTime;
use crate::model::{Custom, CustomSpec, Model, ObjectName, VpaSpec};

use super::{Change, Cluster};

/// A custom object is written, or deleted.
#[derive(Clone, Debug)]
pub struct CustomWrite {
    /// Its kind.
    pub custom: Custom,
    /// Its name.
    pub name: ObjectName,
    /// The object and what it says; `None`: it is deleted.
    pub to: Option<(Arc<Value>, CustomSpec)>,
}

/// A VerticalPodAutoscaler.
#[derive(Debug)]
pub struct Vpa {
    /// As it is declared.
    pub spec: Arc<VpaSpec>,
    /// Since when it is there.
    pub created: SimTime,
}

impl Cluster {
    /// A custom object's tree.
    #[must_use]
    pub fn custom(&self, custom: Custom, name: ObjectName) -> Option<&Arc<Value>> {
        self.customs.get(&(custom, name))
    }

    /// The trees of all custom objects of a kind.
    pub fn customs_of(&self, custom: Custom) -> impl Iterator<Item = (ObjectName, &Arc<Value>)> {
        let of_kind = self.customs.iter().filter(move |((kind, _), _)| *kind == custom);
        of_kind.map(|((_, name), tree)| (*name, tree))
    }

    /// The VerticalPodAutoscalers that are there, by their places: those of the model first.
    pub fn vpas(&self) -> impl Iterator<Item = (usize, &Vpa)> {
        self.vpas.iter().enumerate().filter_map(|(place, (_, row))| Some((place, row.as_ref()?)))
    }

    pub(super) fn add_customs(&mut self, model: &Model) {
        for object in &model.customs {
            self.customs.insert((object.custom, object.name), Arc::clone(&object.tree));
        }
        for spec in &model.vpas {
            let is_later = model.later.vpas.contains(&spec.name);
            let row = Vpa { spec: Arc::new(spec.clone()), created: SimTime::ZERO };
            self.vpas.push((spec.name, (!is_later).then_some(row)));
        }
    }

    pub(super) fn write_custom(&mut self, write: CustomWrite, changes: &mut Vec<Change>) {
        let CustomWrite { custom, name, to } = write;
        match to {
            Some((tree, spec)) => {
                self.customs.insert((custom, name), tree);
                match spec {
                    CustomSpec::Vpa(spec) => self.set_vpa(spec),
                    CustomSpec::NodePool(spec) => self.set_node_pool(spec, changes),
                }
            }
            None if self.customs.remove(&(custom, name)).is_none() => {}
            None => match custom {
                Custom::VerticalPodAutoscaler => self.drop_vpa(name),
                Custom::NodePool => self.drop_node_pool(name.name, changes),
            },
        }
    }

    fn set_vpa(&mut self, spec: Arc<VpaSpec>) {
        let now = self.now;
        let place = self.vpas.iter().position(|(name, _)| *name == spec.name);
        let place = place.unwrap_or_else(|| {
            self.vpas.push((spec.name, None));
            self.vpas.len() - 1
        });
        let row = &mut self.vpas[place].1;
        let before = row.take();
        let created = before.as_ref().map_or(now, |row| row.created);
        // Another mode or target: what was recommended before holds no more.
        let old = before.filter(|old| old.spec.target != spec.target || old.spec.mode != spec.mode);
        *row = Some(Vpa { spec, created });
        if let Some(workload) = old.and_then(|old| old.spec.target) {
            self.vertical.forget(workload);
        }
    }

    fn drop_vpa(&mut self, name: ObjectName) {
        let found = self.vpas.iter_mut().find(|(own, _)| *own == name);
        let row = found.and_then(|(_, row)| row.take());
        if let Some(workload) = row.and_then(|row| row.spec.target) {
            self.vertical.forget(workload);
        }
    }
}
