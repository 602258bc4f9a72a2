//! Pod templates as Go prints the internal types of the API server: the text of a message.
//!
//! Differs: sources of volumes and rare parts (affinity, DNS, Windows) are printed with their
//! public names' first letter raised, without fields that are not set.

use serde_json::Value;

use super::read::{entries, items};

/// A template.
pub(super) fn pod_template(template: &Value) -> String {
    let mut parts: Vec<String> = Vec::new();
    for key in ["name", "generateName", "namespace", "labels", "annotations", "finalizers"] {
        if let Some(value) = template["metadata"].get(key).filter(|value| !value.is_null()) {
            parts.push(format!("{key:?}:{value}"));
        }
    }
    // Internally the security context holds the pod's own switches.
    let mut spec = template["spec"].clone();
    for key in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers"] {
        if spec["securityContext"].is_object() {
            spec["securityContext"][key] = spec[key].clone();
        }
    }
    parts.push(format!("\"Spec\":{}", shown("PodSpec", &spec)));
    format!("{{{}}}", parts.join(","))
}

/// Type and its fields: `Name`, `Name=source` where the public name is another one, `?` after a
/// text that is not there (else null), `#` a number, `!` a boolean, `:Type` a struct that is there
/// always, `>Type` a pointer to one, `*Type` a list.
const TABLE: &[(&str, &str)] = &[
    (
        "PodSpec",
        "Volumes*Volume InitContainers*Container Containers*Container \
         EphemeralContainers*Container RestartPolicy? TerminationGracePeriodSeconds \
         ActiveDeadlineSeconds DNSPolicy?=dnsPolicy NodeSelector ServiceAccountName? \
         AutomountServiceAccountToken NodeName? SecurityContext>PodSecurityContext \
         ImagePullSecrets*Reference Hostname? Subdomain? SetHostnameAsFQDN Affinity>Any \
         SchedulerName? Tolerations*Toleration HostAliases*Any PriorityClassName? Priority \
         PreemptionPolicy DNSConfig=dnsConfig>Any ReadinessGates*Any RuntimeClassName Overhead \
         EnableServiceLinks TopologySpreadConstraints*Spread OS=os>Any SchedulingGates*Any \
         ResourceClaims*Any Resources>Resources HostnameOverride SchedulingGroup>Any",
    ),
    (
        "Container",
        "Name? Image? Command Args WorkingDir? Ports*Port EnvFrom*Any Env*Variable \
         Resources:Resources ResizePolicy*Any RestartPolicy RestartPolicyRules*Any \
         VolumeMounts*Mount VolumeDevices*Any LivenessProbe>Probe ReadinessProbe>Probe \
         StartupProbe>Probe Lifecycle>Lifecycle TerminationMessagePath? TerminationMessagePolicy? \
         ImagePullPolicy? SecurityContext>Any Stdin! StdinOnce! TTY!=tty",
    ),
    ("Resources", "Limits Requests Claims*Any"),
    ("Port", "Name? HostPort# ContainerPort# Protocol? HostIP?=hostIP"),
    ("Variable", "Name? Value? ValueFrom>Any"),
    (
        "Mount",
        "Name? ReadOnly! RecursiveReadOnly MountPath? SubPath? MountPropagation SubPathExpr?",
    ),
    (
        "Probe",
        "Exec>Exec HTTPGet=httpGet>Http TCPSocket=tcpSocket>Tcp GRPC=grpc>Any \
         InitialDelaySeconds# TimeoutSeconds# PeriodSeconds# SuccessThreshold# FailureThreshold# \
         TerminationGracePeriodSeconds",
    ),
    ("Lifecycle", "PostStart>Handler PreStop>Handler StopSignal"),
    ("Handler", "Exec>Exec HTTPGet=httpGet>Http TCPSocket=tcpSocket>Tcp Sleep>Any"),
    ("Exec", "Command"),
    ("Http", "Path? Port Host? Scheme? HTTPHeaders=httpHeaders*Any"),
    ("Tcp", "Port Host?"),
    (
        "PodSecurityContext",
        "HostNetwork! HostPID! HostIPC! ShareProcessNamespace HostUsers \
         SELinuxOptions=seLinuxOptions>Any \
         WindowsOptions>Any RunAsUser RunAsGroup RunAsNonRoot SupplementalGroups \
         SupplementalGroupsPolicy FSGroup=fsGroup FSGroupChangePolicy=fsGroupChangePolicy \
         Sysctls*Any SeccompProfile>Any AppArmorProfile>Any SELinuxChangePolicy=seLinuxChangePolicy",
    ),
    ("Toleration", "Key? Operator? Value? Effect? TolerationSeconds"),
    ("Reference", "Name?"),
    (
        "Spread",
        "MaxSkew# TopologyKey? WhenUnsatisfiable? LabelSelector MinDomains NodeAffinityPolicy \
         NodeTaintsPolicy MatchLabelKeys",
    ),
    (
        "Volume",
        "Name? HostPath>Any EmptyDir>EmptyDir GCEPersistentDisk=gcePersistentDisk>Any \
         AWSElasticBlockStore=awsElasticBlockStore>Any GitRepo>Any Secret>Secret NFS=nfs>Any \
         ISCSI=iscsi>Any Glusterfs>Any PersistentVolumeClaim>Claim RBD=rbd>Any Quobyte>Any \
         FlexVolume>Any Cinder>Any CephFS=cephfs>Any Flocker>Any DownwardAPI>Any FC=fc>Any \
         AzureFile>Any ConfigMap>ConfigMap VsphereVolume>Any AzureDisk>Any \
         PhotonPersistentDisk>Any Projected>Any PortworxVolume>Any ScaleIO>Any \
         StorageOS=storageos>Any CSI=csi>Any Ephemeral>Any Image>Any",
    ),
    ("EmptyDir", "Medium? SizeLimit"),
    ("Secret", "SecretName? Items*Item DefaultMode Optional"),
    ("ConfigMap", "Name? Items*Item DefaultMode Optional"),
    ("Item", "Key? Path? Mode"),
    ("Claim", "ClaimName? ReadOnly!"),
];

/// A struct with all its fields.
fn shown(of: &str, value: &Value) -> String {
    let Some((_, fields)) = TABLE.iter().find(|row| row.0 == of) else { return any(value) };
    let parts: Vec<String> = fields.split_whitespace().map(|field| part(field, value)).collect();
    format!("{{{}}}", parts.join(","))
}

fn part(field: &str, of: &Value) -> String {
    let end = field.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(field.len());
    let (name, marks) = field.split_at(end);
    let after = |mark: char| {
        let rest = marks.split_once(mark)?.1;
        Some(rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default())
    };
    let source = after('=').map_or_else(|| lowered(name), str::to_owned);
    let value = &of[source.as_str()];
    let text = if let Some(item) = after('*') {
        match value {
            Value::Array(list) => {
                let list: Vec<String> = list.iter().map(|item_| shown(item, item_)).collect();
                format!("[{}]", list.join(","))
            }
            _ => "null".to_owned(),
        }
    } else if let Some(of) = after(':') {
        shown(of, value)
    } else if let Some(of) = after('>') {
        if value.is_null() { "null".to_owned() } else { shown(of, value) }
    } else if value.is_null() {
        let zero = [('?', "\"\""), ('#', "0"), ('!', "false")];
        let zero = zero.iter().find(|(mark, _)| marks.contains(*mark));
        zero.map_or("null", |(_, zero)| zero).to_owned()
    } else {
        value.to_string()
    };
    format!("\"{name}\":{text}")
}

fn lowered(name: &str) -> String {
    let mut letters = name.chars();
    letters
        .next()
        .map_or_else(String::new, |c| c.to_lowercase().collect::<String>() + letters.as_str())
}

/// A rare part.
fn any(value: &Value) -> String {
    match value {
        Value::Object(_) => {
            let raised = |name: &str| {
                let mut letters = name.chars();
                let first = letters.next().map(|c| c.to_ascii_uppercase());
                first.into_iter().chain(letters).collect::<String>()
            };
            let parts: Vec<String> = entries(value)
                .map(|(key, value)| format!("{:?}:{}", raised(key), any(value)))
                .collect();
            format!("{{{}}}", parts.join(","))
        }
        Value::Array(_) => {
            let parts: Vec<String> = items(value).iter().map(any).collect();
            format!("[{}]", parts.join(","))
        }
        scalar => scalar.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn all_fields_are_printed() {
        let template = json!({
            "metadata": { "labels": { "a": "b" } },
            "spec": {
                "containers": [{ "name": "c", "ports": [{ "containerPort": 80 }] }],
                "hostNetwork": true, "securityContext": {},
            },
        });
        let text = pod_template(&template);
        assert!(text.starts_with("{\"labels\":{\"a\":\"b\"},\"Spec\":{\"Volumes\":null,"));
        let port =
            "{\"Name\":\"\",\"HostPort\":0,\"ContainerPort\":80,\"Protocol\":\"\",\"HostIP\":\"\"}";
        assert!(text.contains(port), "{text}");
        assert!(text.contains("\"SecurityContext\":{\"HostNetwork\":true,"), "{text}");
        assert!(text.ends_with("\"SchedulingGroup\":null}}"));
    }
}
