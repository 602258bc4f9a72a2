//! Security contexts of pods and containers.
//!
//! Source: kubernetes v1.36.3 pkg/apis/core/validation/validation.go `ValidateSecurityContext`,
//! `validatePodSpecSecurityContext` (recorded).

use serde_json::{Value, json};

use super::super::kinds::Kind;
use super::super::problem::{At, Found};
use super::super::read::{is_set, items, text};
use super::{one_of, show};

const ID_MAX: i64 = 2_147_483_647;
const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

pub(super) fn of_container(container: &Value, spec: &Value, at: &At<'_>, found: &mut Found) {
    let own = &container["securityContext"];
    if !is_set(own) {
        return;
    }
    let here = at.field("securityContext");
    for field in ["runAsUser", "runAsGroup"] {
        id(&own[field], &here.field(field), found);
    }
    const MOUNTS: [&str; 2] = ["Default", "Unmasked"];
    let mount = &own["procMount"];
    one_of(&here.field("procMount"), mount, &MOUNTS, found);
    if mount == "Unmasked" && spec["hostUsers"] != false {
        let why = "`hostUsers` must be false to use `Unmasked`";
        found.invalid(&here.field("procMount"), mount, why);
    }
    profiles(own, &here, found);
    let admin = items(&own["capabilities"]["add"]).iter().any(|add| add == "CAP_SYS_ADMIN");
    if own["allowPrivilegeEscalation"] == false {
        if own["privileged"] == true {
            let why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            found.invalid(&here, &shown(own), why);
        }
        if admin {
            let why = "cannot set `allowPrivilegeEscalation` to false and \
                       `capabilities.Add` CAP_SYS_ADMIN";
            found.invalid(&here, &shown(own), why);
        }
    }
}

/// As Go prints the internal form.
fn shown(context: &Value) -> String {
    let names = [
        ("Capabilities", "capabilities"),
        ("Privileged", "privileged"),
        ("SELinuxOptions", "seLinuxOptions"),
        ("WindowsOptions", "windowsOptions"),
        ("RunAsUser", "runAsUser"),
        ("RunAsGroup", "runAsGroup"),
        ("RunAsNonRoot", "runAsNonRoot"),
        ("ReadOnlyRootFilesystem", "readOnlyRootFilesystem"),
        ("AllowPrivilegeEscalation", "allowPrivilegeEscalation"),
        ("ProcMount", "procMount"),
        ("SeccompProfile", "seccompProfile"),
        ("AppArmorProfile", "appArmorProfile"),
    ];
    let mut parts = json!({});
    for (shown, name) in names {
        parts[shown] = context[name].clone();
    }
    show(&parts, &names.map(|(shown, _)| shown))
}

pub(super) fn of_pod(spec: &Value, at: &At<'_>, found: &mut Found) {
    let own = &spec["securityContext"];
    let here = at.field("securityContext");
    for field in ["runAsUser", "runAsGroup", "fsGroup"] {
        id(&own[field], &here.field(field), found);
    }
    let list = here.field("supplementalGroups");
    for (index, group) in items(&own["supplementalGroups"]).iter().enumerate() {
        id(group, &list.index(index), found);
    }
    if spec["shareProcessNamespace"] == true && spec["hostPID"] == true {
        let why = "ShareProcessNamespace and HostPID cannot both be enabled";
        let here = here.alias("shareProcessNamespace", "");
        found.invalid(&here, &true, why);
    }
    const CHANGES: [&str; 2] = ["OnRootMismatch", "Always"];
    let place = here.field("fsGroupChangePolicy");
    one_of(&place, &own["fsGroupChangePolicy"], &CHANGES, found);
    const GROUPS: [&str; 2] = ["Merge", "Strict"];
    let place = here.field("supplementalGroupsPolicy");
    one_of(&place, &own["supplementalGroupsPolicy"], &GROUPS, found);
    sysctls(own, &here.field("sysctls"), found);
    profiles(own, &here, found);
}

fn id(value: &Value, at: &At<'_>, found: &mut Found) {
    if value.as_i64().is_some_and(|id| !(0..=ID_MAX).contains(&id)) {
        found.invalid(at, value, "must be between 0 and 2147483647, inclusive");
    }
}

fn sysctls(own: &Value, at: &At<'_>, found: &mut Found) {
    let mut seen = std::collections::BTreeSet::new();
    for (index, sysctl) in items(&own["sysctls"]).iter().enumerate() {
        let here = at.index(index);
        let name = text(&sysctl["name"]);
        let plain = name.replace('/', ".");
        let segment = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        if name.is_empty() {
            found.required(&here.field("name"), "");
        } else if name.len() > 253 || !plain.split('.').all(segment) {
            let why = "must have at most 253 characters and match regex \
                       ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
            found.invalid_text(&here.field("name"), name, why);
        } else if !seen.insert(name) {
            found.duplicate(&here.field("name"), &format!("{name:?}"));
        }
    }
}

fn profiles(own: &Value, at: &At<'_>, found: &mut Found) {
    for field in ["seccompProfile", "appArmorProfile"] {
        let profile = &own[field];
        if !is_set(profile) {
            continue;
        }
        const TYPES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];
        let here = at.field(field);
        let local = &profile["localhostProfile"];
        match text(&profile["type"]) {
            "" => {
                let why = "type is required when appArmorProfile is set";
                let why = if field == "appArmorProfile" { why } else { "" };
                found.required(&here.field("type"), why);
            }
            "Localhost" => match local.as_str() {
                None => {
                    let why = "must be set when seccomp type is Localhost";
                    let why = if field == "seccompProfile" {
                        why
                    } else {
                        "must be set when AppArmor type is Localhost"
                    };
                    found.required(&here.field("localhostProfile"), why);
                }
                Some(path) if path.split('/').any(|part| part == "..") => {
                    found.invalid_text(
                        &here.field("localhostProfile"),
                        path,
                        "must not contain '..'",
                    );
                }
                Some(_) => {}
            },
            kind if TYPES.contains(&kind) => {
                if is_set(local) {
                    let what = if field == "seccompProfile" { "seccomp" } else { "AppArmor" };
                    let why = format!("can only be set when {what} type is Localhost");
                    found.invalid(&here.field("localhostProfile"), local, &why);
                }
            }
            other => found.not_supported(&here.field("type"), other, &TYPES),
        }
    }
}

/// Privileged containers, where the control plane does not allow them.
pub(super) fn privileged(kind: Kind, object: &Value, found: &mut Found) {
    let (spec, at) = match kind {
        Kind::Pod => (&object["spec"], At::ROOT.field("spec")),
        Kind::CronJob => (
            &object["spec"]["jobTemplate"]["spec"]["template"]["spec"],
            At::ROOT.field("spec.jobTemplate.spec.template.spec"),
        ),
        _ => (&object["spec"]["template"]["spec"], At::ROOT.field("spec.template.spec")),
    };
    for list in CONTAINERS {
        let at = at.field(list);
        for (index, container) in items(&spec[list]).iter().enumerate() {
            if container["securityContext"]["privileged"] == true {
                let here = at.index(index);
                let here = here.field("securityContext.privileged");
                found.forbidden(&here, "disallowed by cluster policy");
            }
        }
    }
}
