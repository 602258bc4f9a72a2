//! The kinds of Kubernetes and what a simulation makes of each.

/// The kinds that are modelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A pod without a controller.
    Pod,
    /// A Deployment.
    Deployment,
    /// A ReplicaSet.
    ReplicaSet,
    /// A Service.
    Service,
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
    /// A Namespace.
    Namespace,
    /// A Node.
    Node,
    /// A PriorityClass.
    PriorityClass,
    /// A HorizontalPodAutoscaler.
    HorizontalPodAutoscaler,
    /// A ServiceAccount.
    ServiceAccount,
}
