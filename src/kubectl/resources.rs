//! The kinds that kubectl's commands aim at, by all their words.

use std::ops::Range;

use crate::api::Kind;
use crate::base::text::did_you_mean;
use crate::model::Custom;

use super::words::CommandError;

/// A kind of the API, as a client knows it.
#[derive(Debug, PartialEq, Eq)]
pub struct Resource {
    /// The kind that is modelled; none of what only clients look at.
    pub kind: Option<Kind>,
    /// The kind of others that is acted on here.
    pub custom: Option<Custom>,
    /// As manifests write it.
    pub name: &'static str,
    /// As paths write it.
    pub plural: &'static str,
    /// Short names.
    pub short: &'static [&'static str],
    /// The group; empty for the core.
    pub group: &'static str,
    /// The version.
    pub version: &'static str,
    /// Whether its objects are in namespaces.
    pub is_namespaced: bool,
    /// Whether it has a subresource `scale`.
    pub has_scale: bool,
}

impl Resource {
    /// As manifests write it.
    #[must_use]
    pub fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// `deployments.apps`: as errors name it.
    #[must_use]
    pub fn full(&self) -> String {
        dotted(self.plural, self.group)
    }

    /// `deployment.apps`: as kubectl prints it.
    #[must_use]
    pub fn printed(&self) -> String {
        dotted(&self.singular(), self.group)
    }

    /// `deployment`.
    #[must_use]
    pub fn singular(&self) -> String {
        self.name.to_lowercase()
    }

    /// The path of its objects in a namespace, and below.
    #[must_use]
    pub fn path(&self, namespace: &str, name: Option<&str>, subresource: Option<&str>) -> String {
        let mut path = match self.group {
            "" => format!("/api/{}", self.version),
            group => format!("/apis/{group}/{}", self.version),
        };
        if self.is_namespaced {
            path += &format!("/namespaces/{namespace}");
        }
        for part in [Some(self.plural), name, subresource].into_iter().flatten() {
            path.push('/');
            path += part;
        }
        path
    }

    /// Whether a word stands for it, as kubectl takes words.
    fn is_called(&self, word: &str) -> bool {
        let (name, group) = word.split_once('.').unwrap_or((word, ""));
        let is_named = name == self.plural || name == self.singular();
        let is_short = self.short.contains(&name);
        let versioned = match group.strip_prefix(self.version) {
            Some("") => "",
            Some(rest) => rest.strip_prefix('.').unwrap_or(group),
            None => group,
        };
        (is_named || is_short) && (group.is_empty() || versioned == self.group)
    }
}

fn dotted(name: &str, group: &str) -> String {
    match group {
        "" => name.to_owned(),
        group => format!("{name}.{group}"),
    }
}

/// The resource of a kind.
///
/// # Panics
/// Never: every kind has a row.
#[must_use]
pub fn resource(kind: Kind) -> &'static Resource {
    let row = RESOURCES.iter().find(|row| row.kind == Some(kind));
    row.expect("every kind has a row")
}

/// The resource of an object's `apiVersion` and `kind`.
#[must_use]
pub fn resource_of(api_version: &str, kind: &str) -> Option<&'static Resource> {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    RESOURCES.iter().find(|row| row.name == kind && row.group == group)
}

/// The kind that a word of the command line stands for: its name, plural or a short name.
#[must_use]
pub fn kind_called(word: &str) -> Option<&'static str> {
    let lower = word.to_lowercase();
    RESOURCES.iter().find(|row| row.is_called(&lower)).map(|row| row.name)
}

/// The resource that a word stands for.
pub(super) fn resource_called(
    word: &str,
    at: &Range<usize>,
) -> Result<&'static Resource, CommandError> {
    let lower = word.to_lowercase();
    if let Some(row) = RESOURCES.iter().find(|row| row.is_called(&lower)) {
        return Ok(row);
    }
    let says = format!("error: the server doesn't have a resource type \"{word}\"\n");
    let error = CommandError::new(at.clone(), format!("kind \"{word}\" is not modelled"));
    let error = error.says(says);
    let singulars: Vec<String> = RESOURCES.iter().map(Resource::singular).collect();
    let known = RESOURCES.iter().flat_map(|row| row.short.iter().copied().chain([row.plural]));
    let known = singulars.iter().map(String::as_str).chain(known);
    Err(match did_you_mean(&lower, known) {
        Some(known) => error.hint(format!("did you mean \"{known}\"?")),
        None => error.hint(
            "modelled are deployment, replicaset, statefulset, daemonset, job, cronjob, pod, \
             service, ingress, hpa, pdb, node and what they refer to",
        ),
    })
}

const fn row(
    kind: Kind,
    name: &'static str,
    plural: &'static str,
    short: &'static [&'static str],
    group: &'static str,
) -> Resource {
    Resource {
        kind: Some(kind),
        custom: None,
        name,
        plural,
        short,
        group,
        version: "v1",
        is_namespaced: true,
        has_scale: false,
    }
}

impl Resource {
    const fn of_cluster(self) -> Self {
        Self { is_namespaced: false, ..self }
    }

    const fn scaled(self) -> Self {
        Self { has_scale: true, ..self }
    }
}

/// Source: `kubectl api-resources` of kubernetes v1.36.3.
pub(super) static RESOURCES: [Resource; 33] = [
    row(Kind::Pod, "Pod", "pods", &["po"], ""),
    row(Kind::Deployment, "Deployment", "deployments", &["deploy"], "apps").scaled(),
    row(Kind::ReplicaSet, "ReplicaSet", "replicasets", &["rs"], "apps").scaled(),
    row(Kind::StatefulSet, "StatefulSet", "statefulsets", &["sts"], "apps").scaled(),
    row(Kind::DaemonSet, "DaemonSet", "daemonsets", &["ds"], "apps"),
    row(Kind::Job, "Job", "jobs", &[], "batch"),
    row(Kind::CronJob, "CronJob", "cronjobs", &["cj"], "batch"),
    row(
        Kind::ReplicationController,
        "ReplicationController",
        "replicationcontrollers",
        &["rc"],
        "",
    )
    .scaled(),
    row(Kind::Service, "Service", "services", &["svc"], ""),
    row(Kind::Ingress, "Ingress", "ingresses", &["ing"], "networking.k8s.io"),
    row(Kind::NetworkPolicy, "NetworkPolicy", "networkpolicies", &["netpol"], "networking.k8s.io"),
    row(Kind::RoleBinding, "RoleBinding", "rolebindings", &[], "rbac.authorization.k8s.io"),
    row(Kind::ConfigMap, "ConfigMap", "configmaps", &["cm"], ""),
    row(Kind::Secret, "Secret", "secrets", &[], ""),
    row(Kind::ServiceAccount, "ServiceAccount", "serviceaccounts", &["sa"], ""),
    row(Kind::ResourceQuota, "ResourceQuota", "resourcequotas", &["quota"], ""),
    row(Kind::LimitRange, "LimitRange", "limitranges", &["limits"], ""),
    row(Kind::Namespace, "Namespace", "namespaces", &["ns"], "").of_cluster(),
    row(Kind::Node, "Node", "nodes", &["no"], "").of_cluster(),
    Resource {
        version: "v2",
        ..row(
            Kind::HorizontalPodAutoscaler,
            "HorizontalPodAutoscaler",
            "horizontalpodautoscalers",
            &["hpa"],
            "autoscaling",
        )
    },
    row(
        Kind::PodDisruptionBudget,
        "PodDisruptionBudget",
        "poddisruptionbudgets",
        &["pdb"],
        "policy",
    ),
    row(Kind::PriorityClass, "PriorityClass", "priorityclasses", &["pc"], "scheduling.k8s.io")
        .of_cluster(),
    row(Kind::RuntimeClass, "RuntimeClass", "runtimeclasses", &[], "node.k8s.io").of_cluster(),
    row(
        Kind::PersistentVolumeClaim,
        "PersistentVolumeClaim",
        "persistentvolumeclaims",
        &["pvc"],
        "",
    ),
    row(Kind::PersistentVolume, "PersistentVolume", "persistentvolumes", &["pv"], "").of_cluster(),
    row(Kind::StorageClass, "StorageClass", "storageclasses", &["sc"], "storage.k8s.io")
        .of_cluster(),
    row(Kind::CsiNode, "CSINode", "csinodes", &[], "storage.k8s.io").of_cluster(),
    row(Kind::CsiDriver, "CSIDriver", "csidrivers", &[], "storage.k8s.io").of_cluster(),
    row(
        Kind::CsiStorageCapacity,
        "CSIStorageCapacity",
        "csistoragecapacities",
        &[],
        "storage.k8s.io",
    ),
    row(Kind::VolumeAttachment, "VolumeAttachment", "volumeattachments", &[], "storage.k8s.io")
        .of_cluster(),
    // Source: vertical-pod-autoscaler 1.7.3 deploy/vpa-v1-crd-gen.yaml, karpenter v1.14.1
    // pkg/apis/crds/karpenter.sh_nodepools.yaml.
    Resource {
        kind: None,
        custom: Some(Custom::VerticalPodAutoscaler),
        ..row(
            Kind::Pod,
            "VerticalPodAutoscaler",
            "verticalpodautoscalers",
            &["vpa"],
            "autoscaling.k8s.io",
        )
    },
    Resource {
        kind: None,
        custom: Some(Custom::NodePool),
        ..row(Kind::Pod, "NodePool", "nodepools", &[], "karpenter.sh").of_cluster()
    },
    Resource {
        kind: None,
        custom: None,
        name: "ControllerRevision",
        plural: "controllerrevisions",
        short: &[],
        group: "apps",
        version: "v1",
        is_namespaced: true,
        has_scale: false,
    },
];

/// What `rollout undo` and `rollout history` read.
pub(super) fn controller_revisions() -> &'static Resource {
    RESOURCES.last().expect("the table has rows")
}
