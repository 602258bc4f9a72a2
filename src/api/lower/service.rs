//! Services.

use serde_json::Value;

use super::super::node_selector::lower_labels;
use super::super::read::{entries, items, port, text};
use super::container::protocol;
use super::object_name;
use crate::base::{Duration, Interner};
use crate::model::{ServiceKind, ServicePort, ServiceSpec, TargetPort, TrafficDistribution};

/// The default of `sessionAffinityConfig.clientIP.timeoutSeconds`.
const AFFINITY_SECONDS: u64 = 10_800;

/// Lowers a Service.
pub fn lower_service(object: &Value, names: &mut Interner) -> ServiceSpec {
    let spec = &object["spec"];
    let has_selector = entries(&spec["selector"]).next().is_some();
    let ports = items(&spec["ports"]).iter();
    ServiceSpec {
        name: object_name(object, names),
        selector: has_selector.then(|| lower_labels(&spec["selector"], names)),
        kind: match text(&spec["type"]) {
            "NodePort" => ServiceKind::NodePort,
            "LoadBalancer" => ServiceKind::LoadBalancer,
            "ExternalName" => ServiceKind::ExternalName,
            _ if spec["clusterIP"] == "None" => ServiceKind::Headless,
            _ => ServiceKind::ClusterIp,
        },
        ports: ports.filter_map(|port| lower_port(port, names)).collect(),
        publish_not_ready: spec["publishNotReadyAddresses"] == true,
        internal_local: spec["internalTrafficPolicy"] == "Local",
        external_local: spec["externalTrafficPolicy"] == "Local",
        affinity: affinity(spec),
        labels: lower_labels(&object["metadata"]["labels"], names),
        distribution: match text(&spec["trafficDistribution"]) {
            "PreferClose" | "PreferSameZone" => Some(TrafficDistribution::PreferSameZone),
            "PreferSameNode" => Some(TrafficDistribution::PreferSameNode),
            _ => None,
        },
        topology_auto: has_topology_hints(&object["metadata"]["annotations"]),
    }
}

/// For how long a client stays with its pod (rule N161).
fn affinity(spec: &Value) -> Option<Duration> {
    let seconds = &spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"];
    let seconds = seconds.as_u64().unwrap_or(AFFINITY_SECONDS);
    (spec["sessionAffinity"] == "ClientIP").then(|| Duration::secs(seconds))
}

fn lower_port(declared: &Value, names: &mut Interner) -> Option<ServicePort> {
    let number = port(&declared["port"])?;
    let target = match &declared["targetPort"] {
        Value::String(name) if !name.is_empty() => TargetPort::Name(names.intern(name)),
        target => TargetPort::Number(port(target).filter(|n| *n != 0).unwrap_or(number)),
    };
    Some(ServicePort {
        name: names.intern(text(&declared["name"])),
        port: number,
        target,
        protocol: protocol(&declared["protocol"]),
        app_protocol: declared["appProtocol"].as_str().map(|text| names.intern(text)),
    })
}

/// The older annotation wins if it is there.
///
/// Source: kubernetes v1.36.3 endpointslice/utils.go `hintsEnabled` (rule C181).
fn has_topology_hints(annotations: &Value) -> bool {
    let old = annotations.get("service.kubernetes.io/topology-aware-hints");
    let mode = old.or_else(|| annotations.get("service.kubernetes.io/topology-mode"));
    mode.is_some_and(|mode| *mode == "Auto" || *mode == "auto")
}
