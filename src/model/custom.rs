//! Objects of other APIs than Kubernetes' own that are acted on here.

use std::sync::Arc;

use serde_json::Value;

use super::ids::ObjectName;
use super::node_pool::PoolSpec;
use super::vertical::VpaSpec;

/// Kinds of custom objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Custom {
    /// A VerticalPodAutoscaler.
    VerticalPodAutoscaler,
    /// A NodePool of Karpenter.
    NodePool,
}

/// What one becomes.
#[derive(Clone, Debug, PartialEq)]
pub enum CustomSpec {
    /// A VerticalPodAutoscaler.
    Vpa(Arc<VpaSpec>),
    /// A NodePool.
    NodePool(Arc<PoolSpec>),
}

/// One as it is there from the start.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomObject {
    /// Its kind.
    pub custom: Custom,
    /// Its name; in namespace `default` if its kind is in none.
    pub name: ObjectName,
    /// The whole object.
    pub tree: Arc<Value>,
}
