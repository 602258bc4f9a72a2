//! The kinds of Kubernetes and what a simulation makes of each.

/// The kinds that are modelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A pod without a controller.
    Pod,
    /// A Deployment.
    Deployment,
    /// A ReplicaSet.
    ReplicaSet,
    /// A StatefulSet.
    StatefulSet,
    /// A DaemonSet.
    DaemonSet,
    /// A Job.
    Job,
    /// A CronJob.
    CronJob,
    /// A ReplicationController.
    ReplicationController,
    /// A ResourceQuota.
    ResourceQuota,
    /// A LimitRange.
    LimitRange,
    /// A RuntimeClass.
    RuntimeClass,
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
    /// A PersistentVolumeClaim.
    PersistentVolumeClaim,
    /// A PersistentVolume.
    PersistentVolume,
    /// A StorageClass.
    StorageClass,
    /// A CSINode.
    CsiNode,
    /// A CSIDriver.
    CsiDriver,
    /// A CSIStorageCapacity.
    CsiStorageCapacity,
    /// A VolumeAttachment.
    VolumeAttachment,
    /// A PodDisruptionBudget.
    PodDisruptionBudget,
    /// An Ingress: checked, and left out of a simulation.
    Ingress,
    /// A NetworkPolicy: checked, and it changes nothing that is simulated.
    NetworkPolicy,
    /// A RoleBinding: checked, and it changes nothing that is simulated.
    RoleBinding,
}

impl Kind {
    /// As manifests write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::Deployment => "Deployment",
            Self::ReplicaSet => "ReplicaSet",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
            Self::ReplicationController => "ReplicationController",
            Self::ResourceQuota => "ResourceQuota",
            Self::LimitRange => "LimitRange",
            Self::RuntimeClass => "RuntimeClass",
            Self::Service => "Service",
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
            Self::Namespace => "Namespace",
            Self::Node => "Node",
            Self::PriorityClass => "PriorityClass",
            Self::HorizontalPodAutoscaler => "HorizontalPodAutoscaler",
            Self::ServiceAccount => "ServiceAccount",
            Self::PersistentVolumeClaim => "PersistentVolumeClaim",
            Self::PersistentVolume => "PersistentVolume",
            Self::StorageClass => "StorageClass",
            Self::CsiNode => "CSINode",
            Self::CsiDriver => "CSIDriver",
            Self::CsiStorageCapacity => "CSIStorageCapacity",
            Self::VolumeAttachment => "VolumeAttachment",
            Self::PodDisruptionBudget => "PodDisruptionBudget",
            Self::Ingress => "Ingress",
            Self::NetworkPolicy => "NetworkPolicy",
            Self::RoleBinding => "RoleBinding",
        }
    }

    /// Whether objects of the kind are in a namespace.
    #[must_use]
    pub const fn is_namespaced(self) -> bool {
        !matches!(
            self,
            Self::Node
                | Self::Namespace
                | Self::PriorityClass
                | Self::PersistentVolume
                | Self::StorageClass
                | Self::CsiNode
                | Self::CsiDriver
                | Self::VolumeAttachment
                | Self::RuntimeClass
        )
    }
}

/// What a simulation makes of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KindClass {
    /// It is modelled.
    Modelled(Kind),
    /// It changes nothing that is simulated.
    Irrelevant,
    /// It would change what is simulated and is not modelled yet.
    NotModelled,
    /// No kind that is known here.
    Unknown,
}

use KindClass::{Irrelevant, Modelled, NotModelled};

/// By API group (a trailing `*` takes every group that starts so) and kind (`*` takes all).
///
/// Source: the built-in kinds of kubernetes v1.36.3 and custom ones that people's manifests have.
const KINDS: &[(&str, &[&str], KindClass)] = &[
    ("", &["Pod"], Modelled(Kind::Pod)),
    ("", &["Service"], Modelled(Kind::Service)),
    ("", &["ConfigMap"], Modelled(Kind::ConfigMap)),
    ("", &["Secret"], Modelled(Kind::Secret)),
    ("", &["Namespace"], Modelled(Kind::Namespace)),
    ("", &["Node"], Modelled(Kind::Node)),
    ("", &["ServiceAccount"], Modelled(Kind::ServiceAccount)),
    ("apps", &["Deployment"], Modelled(Kind::Deployment)),
    ("apps", &["ReplicaSet"], Modelled(Kind::ReplicaSet)),
    ("scheduling.k8s.io", &["PriorityClass"], Modelled(Kind::PriorityClass)),
    ("autoscaling", &["HorizontalPodAutoscaler"], Modelled(Kind::HorizontalPodAutoscaler)),
    ("", &["PersistentVolumeClaim"], Modelled(Kind::PersistentVolumeClaim)),
    ("", &["PersistentVolume"], Modelled(Kind::PersistentVolume)),
    ("storage.k8s.io", &["StorageClass"], Modelled(Kind::StorageClass)),
    ("storage.k8s.io", &["CSINode"], Modelled(Kind::CsiNode)),
    ("storage.k8s.io", &["CSIDriver"], Modelled(Kind::CsiDriver)),
    ("storage.k8s.io", &["CSIStorageCapacity"], Modelled(Kind::CsiStorageCapacity)),
    ("storage.k8s.io", &["VolumeAttachment"], Modelled(Kind::VolumeAttachment)),
    ("policy", &["PodDisruptionBudget"], Modelled(Kind::PodDisruptionBudget)),
    // Core kinds that matter and are to come.
    ("", &["ResourceQuota"], Modelled(Kind::ResourceQuota)),
    ("", &["LimitRange"], Modelled(Kind::LimitRange)),
    ("node.k8s.io", &["RuntimeClass"], Modelled(Kind::RuntimeClass)),
    ("", &["ReplicationController"], Modelled(Kind::ReplicationController)),
    ("", &["Endpoints", "PodTemplate"], NotModelled),
    ("apps", &["StatefulSet"], Modelled(Kind::StatefulSet)),
    ("apps", &["DaemonSet"], Modelled(Kind::DaemonSet)),
    ("batch", &["Job"], Modelled(Kind::Job)),
    ("batch", &["CronJob"], Modelled(Kind::CronJob)),
    ("discovery.k8s.io", &["EndpointSlice"], NotModelled),
    ("resource.k8s.io", &["*"], NotModelled),
    ("scheduling.k8s.io", &["Workload", "PodGroup"], NotModelled),
    ("networking.k8s.io", &["Ingress"], Modelled(Kind::Ingress)),
    ("networking.k8s.io", &["NetworkPolicy"], Modelled(Kind::NetworkPolicy)),
    ("rbac.authorization.k8s.io", &["RoleBinding"], Modelled(Kind::RoleBinding)),
    // Custom kinds that start pods, scale them, move them or route to them.
    ("autoscaling.k8s.io", &["*"], NotModelled),
    ("keda.sh", &["ScaledObject", "ScaledJob"], NotModelled),
    ("karpenter.*", &["*"], NotModelled),
    ("cluster.x-k8s.io", &["*"], NotModelled),
    ("argoproj.io", &["Rollout", "Workflow", "CronWorkflow"], NotModelled),
    ("flagger.app", &["Canary"], NotModelled),
    ("gateway.networking.k8s.io", &["*"], NotModelled),
    ("networking.istio.io", &["*"], NotModelled),
    ("traefik.io", &["*"], NotModelled),
    ("traefik.containo.us", &["*"], NotModelled),
    ("linkerd.io", &["*"], NotModelled),
    ("policy.linkerd.io", &["*"], NotModelled),
    ("cilium.io", &["CiliumEnvoyConfig", "CiliumLocalRedirectPolicy"], NotModelled),
    ("cilium.io", &["CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy"], NotModelled),
    ("crd.projectcalico.org", &["NetworkPolicy", "GlobalNetworkPolicy"], NotModelled),
    ("projectcalico.org", &["NetworkPolicy", "GlobalNetworkPolicy"], NotModelled),
    ("security.istio.io", &["*"], NotModelled),
    // Those that change or refuse what is created.
    ("admissionregistration.k8s.io", &["*"], NotModelled),
    ("kyverno.io", &["*"], NotModelled),
    ("monitoring.coreos.com", &["Prometheus", "Alertmanager", "ThanosRuler"], NotModelled),
    ("kueue.x-k8s.io", &["*"], NotModelled),
    ("scheduling.volcano.sh", &["*"], NotModelled),
    ("batch.volcano.sh", &["*"], NotModelled),
    ("scheduling.x-k8s.io", &["*"], NotModelled),
    ("jobset.x-k8s.io", &["*"], NotModelled),
    ("leaderworkerset.x-k8s.io", &["*"], NotModelled),
    ("ray.io", &["*"], NotModelled),
    ("kubeflow.org", &["*"], NotModelled),
    ("sparkoperator.k8s.io", &["*"], NotModelled),
    ("serving.knative.dev", &["*"], NotModelled),
    ("serving.kserve.io", &["*"], NotModelled),
    ("apps.kruise.io", &["*"], NotModelled),
    ("postgresql.cnpg.io", &["*"], NotModelled),
    ("acid.zalan.do", &["*"], NotModelled),
    ("kafka.strimzi.io", &["*"], NotModelled),
    ("elasticsearch.k8s.elastic.co", &["*"], NotModelled),
    // What changes nothing that is simulated.
    ("", &["Event", "Binding", "ComponentStatus", "Status"], Irrelevant),
    ("apps", &["ControllerRevision"], Irrelevant),
    ("rbac.authorization.k8s.io", &["*"], Irrelevant),
    ("apiextensions.k8s.io", &["*"], Irrelevant),
    ("apiregistration.k8s.io", &["*"], Irrelevant),
    ("authentication.k8s.io", &["*"], Irrelevant),
    ("authorization.k8s.io", &["*"], Irrelevant),
    ("certificates.k8s.io", &["*"], Irrelevant),
    ("coordination.k8s.io", &["*"], Irrelevant),
    ("events.k8s.io", &["*"], Irrelevant),
    ("flowcontrol.apiserver.k8s.io", &["*"], Irrelevant),
    ("internal.apiserver.k8s.io", &["*"], Irrelevant),
    ("metrics.k8s.io", &["*"], Irrelevant),
    ("storage.k8s.io", &["VolumeAttributesClass"], Irrelevant),
    ("storagemigration.k8s.io", &["*"], Irrelevant),
    ("snapshot.storage.k8s.io", &["*"], Irrelevant),
    ("networking.k8s.io", &["IngressClass", "IPAddress", "ServiceCIDR"], Irrelevant),
    ("policy", &["PodSecurityPolicy"], Irrelevant),
    ("monitoring.coreos.com", &["*"], Irrelevant),
    ("monitoring.googleapis.com", &["*"], Irrelevant),
    ("integreatly.org", &["*"], Irrelevant),
    ("grafana.integreatly.org", &["*"], Irrelevant),
    ("cert-manager.io", &["*"], Irrelevant),
    ("acme.cert-manager.io", &["*"], Irrelevant),
    ("trust.cert-manager.io", &["*"], Irrelevant),
    ("external-secrets.io", &["*"], Irrelevant),
    ("bitnami.com", &["*"], Irrelevant),
    ("secrets-store.csi.x-k8s.io", &["*"], Irrelevant),
    ("externaldns.k8s.io", &["*"], Irrelevant),
    ("keda.sh", &["*"], Irrelevant),
    ("argoproj.io", &["*"], Irrelevant),
    ("kustomize.config.k8s.io", &["*"], Irrelevant),
    ("kustomize.toolkit.fluxcd.io", &["*"], Irrelevant),
    ("source.toolkit.fluxcd.io", &["*"], Irrelevant),
    ("helm.toolkit.fluxcd.io", &["*"], Irrelevant),
    ("notification.toolkit.fluxcd.io", &["*"], Irrelevant),
    ("image.toolkit.fluxcd.io", &["*"], Irrelevant),
    ("config.istio.io", &["*"], Irrelevant),
    ("telemetry.istio.io", &["*"], Irrelevant),
    ("crd.projectcalico.org", &["*"], Irrelevant),
    ("projectcalico.org", &["*"], Irrelevant),
    ("operator.tigera.io", &["*"], Irrelevant),
    ("cilium.io", &["*"], Irrelevant),
    ("templates.gatekeeper.sh", &["*"], Irrelevant),
    ("constraints.gatekeeper.sh", &["*"], Irrelevant),
    ("wgpolicyk8s.io", &["*"], Irrelevant),
    ("velero.io", &["*"], Irrelevant),
    ("opentelemetry.io", &["*"], Irrelevant),
    ("jaegertracing.io", &["*"], Irrelevant),
    ("logging.banzaicloud.io", &["*"], Irrelevant),
    ("tekton.dev", &["*"], Irrelevant),
    ("operators.coreos.com", &["*"], Irrelevant),
    ("metallb.io", &["*"], Irrelevant),
    ("cloud.google.com", &["*"], Irrelevant),
    ("networking.gke.io", &["*"], Irrelevant),
    ("elbv2.k8s.aws", &["*"], Irrelevant),
    ("vpcresources.k8s.aws", &["*"], Irrelevant),
    ("nfd.k8s-sigs.io", &["*"], Irrelevant),
];

/// The versions of a modelled kind that Kubernetes 1.36 serves, and those that are read like them.
const VERSIONS: &[(Kind, &[&str])] = &[(Kind::HorizontalPodAutoscaler, &["v2", "v1", "v2beta2"])];

/// What a simulation makes of an object of this `apiVersion` and `kind`.
#[must_use]
pub fn classify(api_version: &str, kind: &str) -> KindClass {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let of_group = |pattern: &str| match pattern.strip_suffix('*') {
        Some(start) => group.starts_with(start),
        None => pattern == group,
    };
    let found = KINDS
        .iter()
        .find(|(g, kinds, _)| of_group(g) && kinds.iter().any(|k| *k == kind || *k == "*"));
    match found.map(|(_, _, class)| *class) {
        Some(Modelled(kind)) if !versions(kind).contains(&version) => KindClass::Unknown,
        Some(class) => class,
        None => KindClass::Unknown,
    }
}

fn versions(kind: Kind) -> &'static [&'static str] {
    let own = VERSIONS.iter().find(|(k, _)| *k == kind);
    own.map_or(&["v1"], |(_, versions)| versions)
}

/// Which `apiVersion` to write for a kind whose group or version is not served any more, or that
/// was written with the wrong one.
#[must_use]
pub fn suggested_version(api_version: &str, kind: &str) -> Option<String> {
    if classify(api_version, kind) != KindClass::Unknown {
        return None;
    }
    let (group, kinds, _) = KINDS.iter().find(|(_, kinds, class)| {
        matches!(class, Modelled(_) | NotModelled) && kinds.contains(&kind)
    })?;
    let version = match kinds {
        ["HorizontalPodAutoscaler"] => "v2",
        _ => "v1",
    };
    let served = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    (served != api_version).then_some(served)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_by_group_and_version() {
        assert_eq!(classify("apps/v1", "Deployment"), Modelled(Kind::Deployment));
        assert_eq!(
            classify("autoscaling/v2", "HorizontalPodAutoscaler"),
            Modelled(Kind::HorizontalPodAutoscaler)
        );
        assert_eq!(classify("extensions/v1beta1", "Deployment"), KindClass::Unknown);
        assert_eq!(classify("apps/v1", "StatefulSet"), Modelled(Kind::StatefulSet));
        assert_eq!(classify("monitoring.coreos.com/v1", "Prometheus"), NotModelled);
        assert_eq!(classify("monitoring.coreos.com/v1", "ServiceMonitor"), Irrelevant);
        assert_eq!(classify("v1", "Deploymnet"), KindClass::Unknown);
        assert_eq!(classify("", ""), KindClass::Unknown);
    }

    #[test]
    fn old_versions_get_a_suggestion() {
        let suggested = |version, kind| suggested_version(version, kind);
        assert_eq!(suggested("extensions/v1beta1", "Deployment").as_deref(), Some("apps/v1"));
        assert_eq!(
            suggested("autoscaling/v2beta1", "HorizontalPodAutoscaler").as_deref(),
            Some("autoscaling/v2")
        );
        assert_eq!(suggested("apps/v1", "Pod").as_deref(), Some("v1"));
        assert_eq!(suggested("apps/v1", "Deployment"), None);
        assert_eq!(suggested("example.com/v1", "Thing"), None);
    }
}
