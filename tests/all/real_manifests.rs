//! Manifests that other people wrote, unmodified: they are read without a false error, and the
//! shop and podinfo run under the request series of the 1998 World Cup.

use std::path::PathBuf;
use std::sync::Arc;

use seatrial::engine::World;
use seatrial::manifest::Loader;
use seatrial::recorder::{Recorder, Wants};
use seatrial::report::metrics;
use seatrial::report::summary::Metrics;
use seatrial::scenario::{Place, check_manifests, load};

/// The folder of shared data, where it is beside the checkout.
fn data() -> Option<PathBuf> {
    let found = crate::support::shared("data");
    if found.is_none() {
        println!("skipped: ../shared/data is not here");
    }
    found
}

#[test]
fn other_peoples_manifests_have_no_errors() {
    let Some(data) = data() else { return };
    for folder in
        ["online-boutique", "podinfo", "kube-prometheus", "sock-shop", "kubernetes-examples"]
    {
        let path = data.join("manifests").join(folder).to_string_lossy().into_owned();
        let checked = check_manifests(&Loader::disk(""), &[path]);
        let checked = checked.unwrap_or_else(|refused| {
            panic!("{folder}:\n{}", refused.found.draw(&refused.sources, &Default::default()))
        });
        let objects: usize = checked.objects.iter().map(|(_, count)| count).sum();
        println!("{folder}: {objects} objects, {} warnings", checked.found.len());
        assert!(objects > 0);
    }
}

/// What `kubectl get … -A -o yaml` says of a cluster is a cluster: what controllers made is left to
/// them.
#[test]
fn a_dumped_cluster_loads() {
    let Some(text) = crate::support::corpus::recorded_text("timelines/dump", "cluster.yaml") else {
        return println!("skipped: the recorded cluster is not here");
    };
    let loader = Loader::from_memory([("cluster.yaml", text.into_bytes())]);
    let checked = check_manifests(&loader, &["cluster.yaml".to_owned()]);
    let checked = checked.unwrap_or_else(|refused| {
        panic!("{}", refused.found.draw(&refused.sources, &Default::default()))
    });
    let count = |kind: &str| {
        checked.objects.iter().find(|(own, _)| own == kind).map_or(0, |(_, count)| *count)
    };
    let kinds = ["Node", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "EndpointSlice"];
    assert_eq!(kinds.map(count), [40, 46, 2, 2, 0, 0]);
    assert!(count("Pod") < 10, "pods that nobody made: {}", count("Pod"));
}

/// Pods of a ReplicaSet that is not there, and of a node itself, are nobody's to make.
#[test]
fn what_a_controller_made_is_left_to_it() {
    let owner = |kind: &str, name: &str| {
        format!(
            "ownerReferences: [{{ apiVersion: v1, kind: {kind}, name: {name}, uid: u, controller: true }}]"
        )
    };
    let pod = |name: &str, owner: String| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{ name: {name}, {owner} }}\n\
             spec: {{ containers: [{{ name: a, image: b }}] }}\n"
        )
    };
    let set = "apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: { name: web }\nspec:\n  \
               selector: { matchLabels: { app: web } }\n  template:\n    \
               metadata: { labels: { app: web } }\n    \
               spec: { containers: [{ name: a, image: b }] }\n";
    let text = [
        set.to_owned(),
        pod("made", owner("ReplicaSet", "web")),
        pod("left", owner("ReplicaSet", "gone")),
        pod("mirror", owner("Node", "web")),
    ];
    let loader = Loader::from_memory([("a.yaml", text.concat().into_bytes())]);
    let checked = check_manifests(&loader, &["a.yaml".to_owned()]);
    let checked = checked.unwrap_or_else(|refused| {
        panic!("{}", refused.found.draw(&refused.sources, &Default::default()))
    });
    assert_eq!(checked.objects, [("Pod".to_owned(), 2), ("ReplicaSet".to_owned(), 1)]);
}

fn run(scenario: &str) -> Metrics {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("scenario.yaml");
    std::fs::write(&file, scenario).expect("written");
    let place = Place { loader: Loader::disk(folder.path()), path: file.display().to_string() };
    let loaded = load(&place, &[]).unwrap_or_else(|refused| {
        panic!("{}", refused.found.draw(&refused.sources, &Default::default()))
    });
    let recorder = Recorder::new(&loaded.model, Wants::default());
    let outcome = World::new(&Arc::clone(&loaded.model), 0, recorder).with_checks().run();
    let outcome = outcome.expect("within all limits");
    let names = outcome.cluster.names();
    let facts = outcome.recorder.into_facts(names, outcome.ended, outcome.events);
    metrics(&facts.expect("the recorder is on"))
}

fn value(metrics: &Metrics, path: &str) -> f64 {
    let found = metrics.iter().find(|(p, _)| p.to_string() == path);
    let (_, metric) = found.unwrap_or_else(|| panic!("{path} is not in the summary"));
    metric.value.unwrap_or_else(|| panic!("{path} has no value"))
}

#[test]
fn the_shop_rolls_its_frontend_out_under_the_world_cups_traffic() {
    let Some(data) = data() else { return };
    let scenario = format!(
        "
apiVersion: seatrial/v1
kind: Scenario
name: boutique
cluster:
  nodes: [{{ pool: workers, count: 6, zones: [a, b, c], allocatable: {{ cpu: 4, memory: 16Gi }} }}]
apply:
  - {manifests}/online-boutique
  - {manifests}/podinfo/webapp
behaviors:
  - for: deployment/frontend
    calls:
      - {{ to: service/productcatalogservice }}
      - {{ to: service/currencyservice }}
      - {{ to: service/cartservice }}
      - {{ to: service/recommendationservice }}
  - for: deployment/cartservice
    calls: [{{ to: service/redis-cart }}]
traffic:
  - name: visitors
    to: service/frontend
    series:
      file: {series}
      column: count
      time: period
      from: '1998-06-30 15:00:00'
      scale: 0.02
    timeout: 5s
timeline:
  - {{ at: 5m, run: kubectl set image deployment/frontend server=boutique/frontend:v2 }}
run: {{ until: 10m, warmup: 1m, seed: 3 }}
",
        manifests = data.join("manifests").display(),
        series = data.join("worldcup98-http/invocation_count.csv.gz").display(),
    );
    let first = run(&scenario);
    // 15:00 on 1998-06-30: about 3,000 to 5,000 requests a second, of which a fiftieth.
    assert!(value(&first, "services.default/frontend.calls.total") > 10_000.0);
    assert!((value(&first, "rollouts.default/frontend.completed") - 1.0).abs() < 1e-9);
    assert!(value(&first, "pods.created") >= 13.0);
    // The frontend exits at once on SIGTERM and has no preStop: some calls must fail.
    assert!(value(&first, "services.default/frontend.calls.failed") > 0.0);
    assert_eq!(first, run(&scenario), "the same seed gives the same numbers");
}
