//! The Kubernetes kinds: other people's manifests, agreement with the API server, odd input.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use seatrial::api::{self, Kind, KindClass, Lowering, Problem};
use seatrial::base::{Distribution, Duration, Interner, MilliCpu};
use seatrial::model::{Behavior, Behaviors, PriorityClasses, Shutdown};
use seatrial::tree::{Diagnostics, ParseOptions, Sources, parse};
use serde_json::{Map, Value, json};

fn behaviors() -> Behaviors {
    let standard = Behavior {
        start: Distribution::Constant(0.0),
        shutdown: Shutdown { accept: Duration::ZERO, drain: Duration::ZERO, ignores_signal: false },
        serve: None,
        calls: Vec::new(),
        hang: None,
        run: None,
        cpu_idle: MilliCpu::ZERO,
        cpu: None,
        memory: seatrial::base::Bytes::ZERO,
        leak: seatrial::base::Bytes::ZERO,
        call_memory: seatrial::base::Bytes::ZERO,
        writes: None,
        logs: None,
        tells_memory: false,
        gates: None,
        hook: Duration::ZERO,
        hook_failures: Default::default(),
        exits: Vec::new(),
        image_size: seatrial::base::Bytes::ZERO,
        release: seatrial::model::Release::plain(),
    };
    Behaviors { standard, rules: Vec::new(), mesh: None }
}

/// Lowers any object; gives what is wrong with it.
fn lower(kind: Kind, object: &Value, names: &mut Interner) -> Vec<Problem> {
    let object = std::sync::Arc::new(object.clone());
    let behaviors = behaviors();
    let classes = PriorityClasses::default();
    lower_all(&object, names);
    let mut cx = Lowering { behaviors: &behaviors, classes: &classes, names };
    api::lower_object(kind, &object, &mut cx).err().unwrap_or_default()
}

/// Lowering never fails and never panics, whatever the kind says.
fn lower_all(object: &Value, names: &mut Interner) {
    std::hint::black_box(api::lower_namespace(object, names));
    std::hint::black_box(api::lower_claim(object, names));
    std::hint::black_box(api::lower_volume(object, names));
    std::hint::black_box(api::lower_class(object, names));
    std::hint::black_box(api::lower_csi_node(object, names));
    std::hint::black_box(api::lower_csi_driver(object, names));
    std::hint::black_box(api::lower_capacity(object, names));
    std::hint::black_box(api::lower_attachment(object, names));
    std::hint::black_box(api::lower_budget(object, names));
    std::hint::black_box(api::lower_owner_selector(object, names));
}

fn kind_of(object: &Value) -> KindClass {
    let text = |key| object[key].as_str().unwrap_or_default();
    api::classify(text("apiVersion"), text("kind"))
}

#[test]
fn other_peoples_manifests_are_taken() {
    let Some(place) = crate::support::shared("data/manifests") else {
        return println!("skipped: no manifests of other people here");
    };
    let mut files = Vec::new();
    collect(&place, &mut files);
    let (mut objects, mut unknown) = (0, Vec::new());
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let mut sources = Sources::new();
        let file = sources.add(path.display().to_string(), text);
        let mut found = Diagnostics::new();
        let documents = parse(&sources, file, &ParseOptions::manifest(), &mut found);
        for document in documents {
            let root = document.tree.root();
            let mut object = root.to_json();
            match kind_of(&object) {
                KindClass::Modelled(kind) => {
                    let problems = api::prepare(kind, &mut object);
                    api::report(&problems, root, &mut found);
                    let more = lower(kind, &object, &mut Interner::new());
                    api::report(&more, root, &mut found);
                    objects += 1;
                }
                KindClass::Unknown if !object.is_null() => unknown.push(object["kind"].to_string()),
                KindClass::Unknown | KindClass::Irrelevant | KindClass::NotModelled => {}
            }
        }
        let lines = found.lines(&sources);
        lines.iter().for_each(|line| println!("{line}"));
        assert_eq!(found.error_count(), 0, "{}", path.display());
    }
    assert!(objects > 100, "{objects} objects");
    assert_eq!(unknown, [""; 0]);
}

fn collect(place: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(place).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|ext| ext == "yaml") {
            files.push(path);
        }
    }
}

/// Objects with every field that matters to one of the readers.
fn bases() -> Vec<(Kind, Value)> {
    let container = json!({
        "name": "app", "image": "shop/app:v1", "command": ["run"],
        "ports": [{ "name": "http", "containerPort": 8080, "hostPort": 80, "protocol": "TCP" }],
        "env": [{ "name": "A", "valueFrom": { "configMapKeyRef": { "name": "a", "key": "b" } } }],
        "envFrom": [{ "secretRef": { "name": "s" } }],
        "resources": { "requests": { "cpu": "1" }, "limits": { "memory": "1Gi" } },
        "readinessProbe": { "httpGet": { "port": "http" }, "periodSeconds": 5 },
        "lifecycle": { "preStop": { "exec": { "command": ["sh", "-c", "sleep 5"] } } },
        "volumeMounts": [{ "name": "v", "mountPath": "/v" }],
    });
    let spec = json!({
        "containers": [container], "initContainers": [container],
        "volumes": [
            { "name": "v", "configMap": { "name": "c" } },
            { "name": "d", "persistentVolumeClaim": { "claimName": "d" } },
            { "name": "e", "gcePersistentDisk": { "pdName": "e", "readOnly": true } },
        ],
        "nodeSelector": { "disk": "ssd" }, "terminationGracePeriodSeconds": 60,
        "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{ "matchExpressions": [{ "key": "a", "operator": "In", "values": ["b"] }] }],
        } }, "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [
            { "topologyKey": "z", "labelSelector": {}, "matchLabelKeys": ["a"] },
        ] } },
        "tolerations": [{ "key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5 }],
        "resources": { "limits": { "cpu": "2" } }, "overhead": { "cpu": "10m" },
        "topologySpreadConstraints": [{ "maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule" }],
    });
    let metadata =
        json!({ "name": "web", "labels": { "app": "web" }, "annotations": { "a": "b" } });
    let template = json!({ "metadata": metadata, "spec": spec });
    let selector = json!({
        "matchLabels": { "app": "web" },
        "matchExpressions": [{ "key": "app", "operator": "In", "values": ["web"] }],
    });
    vec![
        (
            Kind::Pod,
            json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec }),
        ),
        (
            Kind::Deployment,
            json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
                "spec": { "replicas": 3, "selector": selector, "template": template,
                          "strategy": { "rollingUpdate": { "maxSurge": 1, "maxUnavailable": "25%" } } },
            }),
        ),
        (
            Kind::Service,
            json!({
                "apiVersion": "v1", "kind": "Service", "metadata": metadata,
                "spec": { "selector": { "app": "web" }, "type": "NodePort",
                          "ports": [{ "port": 80, "targetPort": "http", "nodePort": 30000 }] },
            }),
        ),
        (
            Kind::HorizontalPodAutoscaler,
            json!({
                "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata,
                "spec": { "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" },
                          "minReplicas": 1, "maxReplicas": 5,
                          "metrics": [{ "type": "Resource", "resource": { "name": "cpu",
                                        "target": { "type": "Utilization", "averageUtilization": 80 } } }],
                          "behavior": { "scaleUp": { "policies": [{ "type": "Pods", "value": 4, "periodSeconds": 15 }] } } },
            }),
        ),
        (
            Kind::Node,
            json!({
                "apiVersion": "v1", "kind": "Node", "metadata": metadata,
                "spec": { "taints": [{ "key": "a", "effect": "NoSchedule" }], "unschedulable": true },
                "status": { "capacity": { "cpu": "4", "pods": "110" }, "images": [{ "names": ["a"] }] },
            }),
        ),
    ]
}

#[test]
fn the_bases_are_fine() {
    for (kind, mut object) in bases() {
        let problems = api::prepare(kind, &mut object);
        let errors: Vec<String> =
            problems.iter().filter(|p| p.is_error).map(ToString::to_string).collect();
        // The init container has the name, probe and hook of the other one, and its port.
        assert!(errors.iter().all(|e| e.contains("initContainers[0]")), "{errors:#?}");
        assert!(lower(kind, &object, &mut Interner::new()).iter().all(|p| !p.is_error));
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop_oneof![Just(0_i64), Just(-1), Just(i64::MAX), Just(i64::MIN)].prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop_oneof![
            Just("9223372036854775807"),
            Just("1e99999"),
            Just("-5Ei"),
            Just("100%"),
            Just("None"),
            Just("Always")
        ]
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z]{0,8}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Every place in a value, deep ones too.
fn pointers(value: &Value, path: &str, out: &mut Vec<String>) {
    out.push(path.to_owned());
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                pointers(value, &format!("{path}/{key}"), out);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                pointers(value, &format!("{path}/{index}"), out);
            }
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn anything_in_place_of_a_field_does_no_harm(
        base in 0_usize..5,
        spots in prop::collection::vec((any::<prop::sample::Index>(), any_json()), 1..4),
    ) {
        let (kind, mut object) = bases().swap_remove(base);
        for (spot, value) in spots {
            let mut all = Vec::new();
            pointers(&object, "", &mut all);
            let path = spot.get(&all);
            if let Some(place) = object.pointer_mut(path) {
                *place = value;
            }
        }
        let mut names = Interner::new();
        let raw = object.clone();
        let _: usize = lower(kind, &raw, &mut names).len();
        let _: usize = api::prepare(kind, &mut object).len();
        let _: usize = lower(kind, &object, &mut names).len();
        drop(api::pod_amounts(&raw));
        let once = object.clone();
        api::default_object(kind, &mut object);
        prop_assert_eq!(once, object, "defaults are filled once");
    }
}
