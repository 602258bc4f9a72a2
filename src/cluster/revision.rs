//! ControllerRevisions: the templates that a DaemonSet or StatefulSet has had.

use std::sync::Arc;

use serde_json::Value;

use crate::base::Symbol;
use crate::model::{Labels, Template, TemplateId};

use super::Cluster;

/// A ControllerRevision; its owner's row keeps it. Its name is `<owner>-<hash>`.
#[derive(Clone, Debug)]
pub struct Revision {
    /// Value of the label `controller-revision-hash`, of itself and of its pods.
    pub hash: Symbol,
    /// `revision`: the greatest is the newest. A rollback numbers an old one anew (rule C113).
    pub number: u32,
    /// What pods of it are made of: the template with that label.
    pub template: TemplateId,
    /// The owner's tree when it was made.
    pub source: Arc<Value>,
}

/// A write about a ControllerRevision of an owner.
#[derive(Clone, Debug)]
pub enum RevisionWrite {
    /// Creates one.
    Add {
        /// Its hash.
        hash: String,
        /// Its number.
        number: u32,
        /// The pods' template, without the label.
        template: Arc<Template>,
        /// The owner's tree.
        source: Arc<Value>,
    },
    /// Gives one another number.
    Renumber {
        /// Which.
        hash: Symbol,
        /// The number.
        number: u32,
    },
    /// Deletes one.
    Remove {
        /// Which.
        hash: Symbol,
    },
}

impl Cluster {
    /// The key of the label that pods carry of their revision.
    #[must_use]
    pub const fn revision_label(&self) -> Symbol {
        self.revision_label
    }

    /// Carries out a write about the revisions of an owner.
    pub(super) fn write_revision(&mut self, list: &mut Vec<Revision>, write: RevisionWrite) {
        match write {
            RevisionWrite::Add { hash, number, template, source } => {
                let hash = self.names.intern(&hash);
                let label = (self.revision_label, hash);
                let labels = Labels::new(template.labels.iter().chain([label]));
                let template = self.use_template(&template, labels);
                list.push(Revision { hash, number, template, source });
            }
            RevisionWrite::Renumber { hash, number } => {
                let known = list.iter_mut().find(|revision| revision.hash == hash);
                known.into_iter().for_each(|revision| revision.number = number);
            }
            RevisionWrite::Remove { hash } => {
                if let Some(at) = list.iter().position(|revision| revision.hash == hash) {
                    let gone = list.remove(at);
                    self.drop_template(gone.template);
                }
            }
        }
    }

    /// The owner of these revisions is gone, and they with it.
    pub(super) fn drop_revisions(&mut self, list: Vec<Revision>) {
        for revision in list {
            self.drop_template(revision.template);
        }
    }
}
