//! What `kubectl rollout status` says of a workload, and whether it is done.
//!
//! Source: kubernetes v1.36.3 staging/src/k8s.io/kubectl/pkg/polymorphichelpers/rollout_status.go
//! (rule C65).

use serde_json::Value;

/// The line, and whether the rollout is done.
pub(super) type Viewed = Result<(String, bool), String>;

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

fn condition<'v>(object: &'v Value, kind: &str) -> Option<&'v Value> {
    let all = object["status"]["conditions"].as_array()?;
    all.iter().find(|condition| condition["type"] == kind)
}

/// A workload of a kind; of others nobody can tell.
pub(super) fn view(kind: &str, name: &str, object: &Value, revision: i64) -> Viewed {
    match kind {
        "Deployment" => deployment(name, object, revision),
        "DaemonSet" => daemon_set(name, object),
        "StatefulSet" => stateful_set(object),
        _ => Err(format!("no status viewer has been implemented for {kind}")),
    }
}

fn is_observed(object: &Value) -> bool {
    number(&object["metadata"]["generation"]) <= number(&object["status"]["observedGeneration"])
}

fn deployment(name: &str, object: &Value, revision: i64) -> Viewed {
    let (spec, status) = (&object["spec"], &object["status"]);
    if revision > 0 {
        let running = &object["metadata"]["annotations"]["deployment.kubernetes.io/revision"];
        let running: i64 = running.as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
        if running != revision {
            return Err(format!(
                "desired revision ({revision}) is different from the running revision ({running})"
            ));
        }
    }
    if !is_observed(object) {
        return Ok(("Waiting for deployment spec update to be observed...".to_owned(), false));
    }
    let progressing = condition(object, "Progressing");
    if progressing.is_some_and(|of| of["reason"] == "ProgressDeadlineExceeded") {
        return Err(format!("deployment {name:?} exceeded its progress deadline"));
    }
    let wanted = spec["replicas"].as_i64().unwrap_or(1);
    let (updated, all) = (number(&status["updatedReplicas"]), number(&status["replicas"]));
    let available = number(&status["availableReplicas"]);
    let waits = |what: String| {
        Ok((format!("Waiting for deployment {name:?} rollout to finish: {what}..."), false))
    };
    if updated < wanted {
        return waits(format!("{updated} out of {wanted} new replicas have been updated"));
    }
    if all > updated {
        return waits(format!("{} old replicas are pending termination", all - updated));
    }
    if available < updated {
        return waits(format!("{available} of {updated} updated replicas are available"));
    }
    Ok((format!("deployment {name:?} successfully rolled out"), true))
}

fn daemon_set(name: &str, object: &Value) -> Viewed {
    only_rolling(object)?;
    if !is_observed(object) {
        return Ok(("Waiting for daemon set spec update to be observed...".to_owned(), false));
    }
    let status = &object["status"];
    let wanted = number(&status["desiredNumberScheduled"]);
    let updated = number(&status["updatedNumberScheduled"]);
    let available = number(&status["numberAvailable"]);
    let waits = |what: String| {
        Ok((format!("Waiting for daemon set {name:?} rollout to finish: {what}..."), false))
    };
    if updated < wanted {
        return waits(format!("{updated} out of {wanted} new pods have been updated"));
    }
    if available < wanted {
        return waits(format!("{available} of {wanted} updated pods are available"));
    }
    Ok((format!("daemon set {name:?} successfully rolled out"), true))
}

fn stateful_set(object: &Value) -> Viewed {
    only_rolling(object)?;
    let (spec, status) = (&object["spec"], &object["status"]);
    if number(&status["observedGeneration"]) == 0 || !is_observed(object) {
        return Ok(("Waiting for statefulset spec update to be observed...".to_owned(), false));
    }
    let wanted = spec["replicas"].as_i64().unwrap_or(1);
    let ready = number(&status["readyReplicas"]);
    if ready < wanted {
        return Ok((format!("Waiting for {} pods to be ready...", wanted - ready), false));
    }
    let updated = number(&status["updatedReplicas"]);
    let rolling = &spec["updateStrategy"]["rollingUpdate"];
    if rolling.is_object() {
        let partition = rolling["partition"].as_i64();
        if let Some(new) = partition.map(|partition| wanted - partition).filter(|n| updated < *n) {
            return Ok((
                format!(
                    "Waiting for partitioned roll out to finish: {updated} out of {new} new pods \
                     have been updated..."
                ),
                false,
            ));
        }
        let done =
            format!("partitioned roll out complete: {updated} new pods have been updated...");
        return Ok((done, true));
    }
    let text = |key: &str| status[key].as_str().unwrap_or_default().to_owned();
    let (update, current) = (text("updateRevision"), text("currentRevision"));
    if update != current {
        let waits = format!(
            "waiting for statefulset rolling update to complete {updated} pods at revision \
             {update}..."
        );
        return Ok((waits, false));
    }
    let pods = number(&status["currentReplicas"]);
    Ok((format!("statefulset rolling update complete {pods} pods at revision {current}..."), true))
}

fn only_rolling(object: &Value) -> Result<(), String> {
    let strategy = object["spec"]["updateStrategy"]["type"].as_str().unwrap_or("RollingUpdate");
    match strategy {
        "RollingUpdate" => Ok(()),
        _ => Err("rollout status is only available for RollingUpdate strategy type".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Rule C65.
    #[test]
    fn rollouts_of_deployments() {
        let object = |status: Value| {
            json!({
                "metadata": { "generation": 2 }, "spec": { "replicas": 3 }, "status": status,
            })
        };
        let say = |status| match view("Deployment", "web", &object(status), 0) {
            Ok((text, _)) | Err(text) => text,
        };
        assert_eq!(
            say(json!({ "observedGeneration": 1 })),
            "Waiting for deployment spec update to be observed..."
        );
        let of = |updated: i64, all: i64, available: i64| {
            json!({
                "observedGeneration": 2, "updatedReplicas": updated, "replicas": all,
                "availableReplicas": available,
            })
        };
        let waits = "Waiting for deployment \"web\" rollout to finish: ";
        let all = [
            ((1, 4, 3), format!("{waits}1 out of 3 new replicas have been updated...")),
            ((3, 4, 3), format!("{waits}1 old replicas are pending termination...")),
            ((3, 3, 2), format!("{waits}2 of 3 updated replicas are available...")),
            ((3, 3, 3), "deployment \"web\" successfully rolled out".to_owned()),
        ];
        for ((updated, all, available), text) in all {
            assert_eq!(say(of(updated, all, available)), text);
        }
        let mut late = of(1, 4, 3);
        late["conditions"] =
            json!([{ "type": "Progressing", "reason": "ProgressDeadlineExceeded" }]);
        assert_eq!(say(late), "deployment \"web\" exceeded its progress deadline");
    }
}
