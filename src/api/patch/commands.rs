//! What kubectl's commands change in an object; refusals are in kubectl's words.
//!
//! Source: kubectl v0.36.3 pkg/cmd/set/set_image.go, pkg/polymorphichelpers/objectrestarter.go
//! (recorded).

use serde_json::{Map, Value};

use super::super::read::{deep_mut, map_mut, maps_mut, text};

const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// `kubectl set image`: containers (init containers too) get new images; `*` means all of them.
///
/// # Errors
/// `error: unable to find container named "x"`.
pub fn set_image(object: &Value, images: &[(String, String)]) -> Result<Value, String> {
    let mut patched = object.clone();
    let is_pod = object["kind"] == "Pod";
    let keys: &[&str] = if is_pod { &["spec"] } else { &["spec", "template", "spec"] };
    for (name, image) in images {
        let mut hits = 0;
        for list in ["initContainers", "containers"] {
            let spec = deep_mut(&mut patched, keys);
            for container in spec.into_iter().flat_map(|spec| maps_mut(spec, list)) {
                if name == "*" || container.get("name").is_some_and(|own| own == name.as_str()) {
                    container.insert("image".to_owned(), image.as_str().into());
                    hits += 1;
                }
            }
        }
        if hits == 0 {
            return Err(format!("error: unable to find container named {name:?}"));
        }
    }
    Ok(patched)
}

/// `kubectl rollout restart` of a Deployment at a time, as RFC 3339 has it.
///
/// # Errors
/// It is paused, it was restarted within the same second, or it has no template.
pub fn restart(object: &Value, at: &str) -> Result<Value, String> {
    let name = text(&object["metadata"]["name"]);
    if object["spec"]["paused"] == true {
        return Err(format!(
            "error: deployments.apps {name:?} can't restart paused deployment \
             (run rollout resume first)"
        ));
    }
    if object["spec"]["template"]["metadata"]["annotations"][RESTARTED_AT] == at {
        return Err(format!(
            "error: failed to create patch for {name}: if restart has already been triggered \
             within the past second, please wait before attempting to trigger another"
        ));
    }
    let mut patched = object.clone();
    let Some(template) = deep_mut(&mut patched, &["spec", "template"]) else {
        return Err(format!("error: {name:?} restarting is not supported"));
    };
    fill_map(template, "metadata");
    let metadata = map_mut(template, "metadata");
    let annotations = metadata.and_then(|metadata| {
        fill_map(metadata, "annotations");
        map_mut(metadata, "annotations")
    });
    if let Some(annotations) = annotations {
        annotations.insert(RESTARTED_AT.to_owned(), at.into());
    }
    Ok(patched)
}

/// Sees to it that there is a mapping.
fn fill_map(map: &mut Map<String, Value>, key: &str) {
    if map_mut(map, key).is_none() {
        map.insert(key.to_owned(), Map::new().into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment() -> Value {
        json!({
            "kind": "Deployment",
            "metadata": { "name": "web" },
            "spec": { "template": { "spec": {
                "containers": [{ "name": "app", "image": "a:1" }, { "name": "side", "image": "s:1" }],
                "initContainers": [{ "name": "init", "image": "i:1" }],
            } } },
        })
    }

    fn images(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn images_by_container() {
        let patched =
            set_image(&deployment(), &images(&[("app", "a:2"), ("init", "i:2")])).unwrap();
        let spec = &patched["spec"]["template"]["spec"];
        assert_eq!(spec["containers"][0]["image"], "a:2");
        assert_eq!(spec["containers"][1]["image"], "s:1");
        assert_eq!(spec["initContainers"][0]["image"], "i:2");
        let all = set_image(&deployment(), &images(&[("*", "x")])).unwrap();
        assert_eq!(all["spec"]["template"]["spec"]["containers"][1]["image"], "x");
        let refused = set_image(&deployment(), &images(&[("nope", "x")]));
        assert_eq!(refused.unwrap_err(), "error: unable to find container named \"nope\"");
        assert!(set_image(&Value::Null, &images(&[("a", "b")])).is_err());
    }

    #[test]
    fn restarts() {
        let at = "2026-01-05T00:00:00Z";
        let patched = restart(&deployment(), at).unwrap();
        let annotations = &patched["spec"]["template"]["metadata"]["annotations"];
        assert_eq!(annotations[RESTARTED_AT], at);
        assert!(restart(&patched, at).unwrap_err().contains("within the past second"));
        let mut paused = deployment();
        paused["spec"]["paused"] = true.into();
        assert!(restart(&paused, at).unwrap_err().contains("can't restart paused"));
        assert!(restart(&json!([]), at).is_err());
    }
}
