//! What became of a ConfigMap or Secret that changed, in one pod.

use super::PodName;
use crate::base::{SimTime, Symbol};

/// A pod has new files of a ConfigMap or Secret, or keeps its old values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigRecord {
    /// Which: `configmap/prices`.
    pub object: String,
    /// The pod's namespace and name.
    pub pod: (Symbol, PodName),
    /// When the object changed.
    pub changed: SimTime,
    /// When the pod's files did; `None`: its environment, or a mount with `subPath`, stays.
    pub refreshed: Option<SimTime>,
}

impl ConfigRecord {
    /// Since when the pod has which version.
    #[must_use]
    pub fn text(&self) -> String {
        let (object, at) = (&self.object, self.changed.since_start());
        match self.refreshed {
            Some(from) => format!("files of {object} as of {at} from {} on", from.since_start()),
            None => format!("environment or subPath of {object} stays as before {at}"),
        }
    }
}
