//! Patches by example; recorded commands are in `tests/all/conformance/kubectl.rs`.

use serde_json::{Value, json};

use super::super::kinds::Kind;
use super::{PatchError, PatchType, apply_patch, merge_diff, three_way, two_way};

fn with_pod(spec: &Value) -> Value {
    json!({ "spec": { "template": { "spec": spec } } })
}

fn pod_of(object: &Value) -> &Value {
    &object["spec"]["template"]["spec"]
}

/// Applies a strategic patch of a pod's specification in a Deployment.
#[expect(clippy::needless_pass_by_value, reason = "literals of the tests")]
fn strategic(old: Value, patch: Value) -> Result<Value, PatchError> {
    let (old, patch) = (with_pod(&old), with_pod(&patch));
    let new = apply_patch(Kind::Deployment, &old, PatchType::Strategic, &patch)?;
    Ok(pod_of(&new).clone())
}

#[test]
fn lists_merge_by_their_keys() {
    let old = json!({ "containers": [{ "name": "a", "image": "a:1" }, { "name": "b" }] });
    let new = strategic(old.clone(), json!({ "containers": [{ "name": "a", "image": "a:2" }] }));
    assert_eq!(
        new,
        Ok(json!({ "containers": [{ "name": "a", "image": "a:2" }, { "name": "b" }] }))
    );
    let deleted = json!({ "containers": [{ "name": "a", "$patch": "delete" }] });
    assert_eq!(strategic(old.clone(), deleted), Ok(json!({ "containers": [{ "name": "b" }] })));
    let order = json!({ "$setElementOrder/containers": [{ "name": "b" }, { "name": "a" }] });
    assert_eq!(
        strategic(old.clone(), order),
        Ok(json!({ "containers": [{ "name": "b" }, { "name": "a", "image": "a:1" }] }))
    );
    let replaced = json!({ "containers": [{ "$patch": "replace" }, { "name": "c" }] });
    assert_eq!(strategic(old, replaced), Ok(json!({ "containers": [{ "name": "c" }] })));
    let (old, new) = (json!({ "tolerations": [{ "key": "a" }] }), json!({ "tolerations": [] }));
    assert_eq!(strategic(old, new.clone()), Ok(new), "tolerations have no key");
}

#[test]
fn keys_that_stay() {
    let old = json!({ "volumes": [{ "name": "v", "emptyDir": {} }] });
    let patch = json!({ "volumes": [
        { "name": "v", "configMap": { "name": "c" }, "$retainKeys": ["name", "configMap"] },
    ] });
    let new = json!({ "volumes": [{ "name": "v", "configMap": { "name": "c" } }] });
    assert_eq!(strategic(old.clone(), patch), Ok(new));
    let wrong = json!({ "volumes": [{ "name": "v", "hostPath": {}, "$retainKeys": ["name"] }] });
    assert!(matches!(strategic(old, wrong), Err(PatchError::BadRequest(_))));
}

#[test]
fn sets_lose_and_gain() {
    let old = json!({ "metadata": { "finalizers": ["a", "b"] } });
    let patch = json!({ "metadata": {
        "$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"],
    } });
    let new = apply_patch(Kind::Pod, &old, PatchType::Strategic, &patch);
    assert_eq!(new, Ok(json!({ "metadata": { "finalizers": ["c", "b"] } })), "ours first");
    let new = json!({ "metadata": { "finalizers": ["b", "c"] } });
    let made = two_way(Kind::Pod, &old, &new).expect("a patch");
    assert_eq!(made["metadata"]["$deleteFromPrimitiveList/finalizers"], json!(["a"]));
    assert_eq!(apply_patch(Kind::Pod, &old, PatchType::Strategic, &made), Ok(new));
}

#[test]
fn what_is_applied_no_more_goes_and_what_others_set_stays() {
    let original = json!({ "spec": { "replicas": 3, "minReadySeconds": 5 } });
    let modified = json!({ "spec": { "replicas": 4 } });
    let current =
        json!({ "spec": { "replicas": 9, "minReadySeconds": 5, "paused": true }, "status": {} });
    let patch = three_way(Kind::Deployment, &original, &modified, &current);
    assert_eq!(patch, Ok(json!({ "spec": { "minReadySeconds": null, "replicas": 4 } })));
}

#[test]
fn json_merge_patches() {
    let old = json!({ "a": { "b": 1, "c": [1] }, "d": 2 });
    let new = json!({ "a": { "c": [2] }, "d": 2 });
    let patch = merge_diff(&old, &new);
    assert_eq!(patch, json!({ "a": { "b": null, "c": [2] } }));
    assert_eq!(apply_patch(Kind::Pod, &old, PatchType::Merge, &patch), Ok(new));
    let text = json!("x");
    assert!(apply_patch(Kind::Pod, &old, PatchType::Merge, &text).is_err());
}

#[test]
fn json_patches_and_their_errors() {
    let old = json!({ "a": { "x/y": [1, 2] } });
    let check = |patch: Value| apply_patch(Kind::Pod, &old, PatchType::Json, &patch);
    let new = check(json!([
        { "op": "add", "path": "/a/x~1y/-", "value": 3 },
        { "op": "copy", "from": "/a/x~1y/0", "path": "/b" },
        { "op": "move", "from": "/a/x~1y", "path": "/c" },
        { "op": "remove", "path": "/c/-1" },
    ]));
    assert_eq!(new, Ok(json!({ "a": {}, "b": 1, "c": [1, 2] })));
    let refused = |patch: Value| match check(patch) {
        Err(PatchError::Unprocessable(text)) => text,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        refused(json!([{ "op": "replace", "path": "/z", "value": 1 }])),
        "replace operation does not apply: doc is missing key: /z: missing value"
    );
    assert_eq!(
        refused(json!([{ "op": "test", "path": "/a", "value": 1 }])),
        "testing value /a failed: test failed"
    );
    assert!(
        refused(json!([{ "op": "add", "path": "/a/x~1y/7", "value": 1 }])).contains("index: 7")
    );
    assert!(refused(json!({})).contains("cannot unmarshal object"));
}

/// No input makes it panic.
#[test]
fn any_patch_ends() {
    let odd = [
        json!(null),
        json!({ "spec": null }),
        json!({ "spec": { "template": { "spec": { "containers": [null, 1, {}] } } } }),
        json!({ "spec": { "$setElementOrder": 1 } }),
        json!({ "spec": { "template": { "spec": { "$setElementOrder/containers": [1] } } } }),
        json!({ "spec": { "$patch": 3 } }),
        json!({ "metadata": { "$deleteFromPrimitiveList/finalizers": 1, "finalizers": [[]] } }),
        json!([{ "op": "add", "path": "" }, 3, null]),
        json!([{ "op": "test", "path": "/a/b/c", "value": 1 }]),
    ];
    for old in &odd {
        for patch in &odd {
            for language in [PatchType::Strategic, PatchType::Merge, PatchType::Json] {
                drop(apply_patch(Kind::Deployment, old, language, patch));
            }
            drop(two_way(Kind::Deployment, old, patch));
            drop(three_way(Kind::Deployment, old, patch, old));
        }
    }
}
