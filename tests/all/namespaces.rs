//! Namespaces that are deleted, ServiceAccounts that are missing, and quotas of what controllers
//! make: whole runs with the real controllers in ideal latencies.

use seatrial::cluster::ReplicaFailure;
use seatrial::experiment::{self, Options};
use seatrial::report::text;

use crate::support::{Stepped, load_memory, secs};

const HEAD: &str = "apiVersion: seatrial/v1
kind: Scenario
name: test
cluster:
  nodes: [{ pool: workers, count: 3, allocatable: { cpu: 16, memory: 64Gi } }]
  latencies: ideal
apply: [all.yaml]
behaviors: [{ for: deployment/shop/web, shutdown: { accept: 8s } }]
run: { until: 10m }
";

const SHOP: &str = "
apiVersion: v1
kind: Namespace
metadata: { name: shop }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: shop }
spec:
  replicas: 3
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      serviceAccountName: web
      containers: [{ name: web, image: web:1, resources: { requests: { cpu: 100m } } }]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: db, namespace: shop }
spec:
  serviceName: db
  replicas: 2
  selector: { matchLabels: { app: db } }
  template:
    metadata: { labels: { app: db } }
    spec: { containers: [{ name: db, image: db:1 }] }
---
apiVersion: batch/v1
kind: CronJob
metadata: { name: nightly, namespace: shop }
spec:
  schedule: '* * * * *'
  jobTemplate:
    spec: { template: { spec: { restartPolicy: Never, containers: [{ name: m, image: m:1 }] } } }
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { selector: { app: web }, ports: [{ port: 80 }] }
";

fn of(objects: &str) -> Stepped {
    Stepped::read(&[("scenario.yaml", HEAD), ("all.yaml", objects)])
}

fn failure(run: &Stepped) -> Option<ReplicaFailure> {
    let mut sets = run.cluster().replica_sets().iter();
    sets.find_map(|(_, set)| set.status.failure)
}

/// Rules C186 and C70: nothing is created in a namespace on its way out, by users or controllers;
/// five seconds after the mark its pods go, all else when they are gone, then the namespace.
#[test]
fn a_namespace_goes_pods_first() {
    let mut run = of(SHOP);
    run.to(30);
    assert_eq!(run.pods(), 5);
    let said = run.kubectl(30, "delete namespace shop");
    assert_eq!(said.stdout, "namespace \"shop\" deleted\n");
    let said = run.kubectl(30, "create namespace shop");
    let wanted = "Error from server (AlreadyExists): object is being deleted: namespaces \"shop\" \
                  already exists\n";
    assert_eq!(said.stderr, wanted);
    let create = "create deployment late --image=late:1 -n shop";
    let said = run.kubectl(31, create);
    let wanted = "error: failed to create deployment: deployments.apps \"late\" is forbidden: unable \
                  to create new content in namespace shop because it is being terminated\n";
    assert_eq!(said.stderr, wanted);
    run.to(34);
    assert_eq!(run.pods(), 5, "not before five seconds have passed");
    let cluster = run.to(36);
    assert_eq!(cluster.pods().len(), 3, "the others stopped at once");
    assert_eq!(cluster.deployments().count(), 1, "other kinds wait for the pods");
    assert_eq!(run.pods(), 0, "no pod comes back");
    assert_eq!(failure(&run), None, "a ReplicaSet takes it for made");
    // At 35 s, 16 s later again: half of 30 s and one.
    let cluster = run.to(50);
    assert_eq!((cluster.pods().len(), cluster.deployments().count()), (0, 1));
    let cluster = run.to(52);
    assert_eq!(cluster.deployments().count(), 0);
    assert_eq!(cluster.stateful_sets().iter().count(), 0);
    assert_eq!(cluster.cron_jobs().iter().count(), 0);
    assert_eq!(cluster.replica_sets().iter().count(), 0);
    let missing = "Error from server (NotFound): namespaces \"shop\" not found\n";
    assert_eq!(run.kubectl(52, "delete ns shop").stderr, missing);
    let said = run.kubectl(53, create);
    assert!(said.stderr.contains("namespaces \"shop\" not found"), "{}", said.stderr);
    run.kubectl(54, "create namespace shop");
    assert_eq!(run.kubectl(55, create).exit_code, 0);
    let cluster = run.to(60);
    assert_eq!(cluster.pods().len(), 1, "a new namespace of that name is another one");
}

/// Rule C186: a StatefulSet and a CronJob are refused what they make meanwhile, and try again.
#[test]
fn a_namespace_with_finalizers_stays() {
    let held = SHOP.replace("{ name: shop }", "{ name: shop, finalizers: [example.com/hold] }");
    let mut run = of(&held);
    let said = run.kubectl(30, "delete namespace kube-system");
    let wanted = "Error from server (Forbidden): namespaces \"kube-system\" is forbidden: this \
                  namespace may not be deleted\n";
    assert_eq!(said.stderr, wanted);
    run.kubectl(30, "delete namespace shop");
    run.to(200);
    let namespace = run.cluster().names().get("shop").expect("a name");
    assert_eq!(run.cluster().namespace_deleted(namespace), Some(secs(30)));
    assert_eq!(run.cluster().pods().len(), 0);
    assert_eq!(run.cluster().deployments().count(), 0);
}

/// What a run tells of a namespace that goes, and of one that cannot.
#[test]
fn the_report_tells_of_namespaces() {
    let told = |shop: &str| {
        let timeline = "timeline: [{ at: 30s, run: kubectl delete namespace shop }]\nrun:";
        let head = HEAD.replace("run:", timeline);
        let model = load_memory(&[("scenario.yaml", &head), ("all.yaml", shop)]).model;
        let options = Options { replications: 1, checks: true, ..Options::of(&model) };
        let run = experiment::run(&model, options, &|_| {}).expect("within all limits");
        let text = text::print(&run.summary, &run.facts, &[]);
        let line = text.lines().find(|line| line.starts_with("DELETED"));
        line.map(str::to_owned)
    };
    assert_eq!(told(SHOP).as_deref(), Some("DELETED  namespace/shop  gone after 21 s"));
    let held = SHOP.replace("{ name: shop }", "{ name: shop, finalizers: [example.com/hold] }");
    let wanted =
        "DELETED  namespace/shop  terminating still after 9 min 30 s, held by its finalizers";
    assert_eq!(told(&held).as_deref(), Some(wanted));
}

const ACCOUNT: &str = "
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: other, namespace: shop }
";

/// Rules C185, C190, C78 and C16: where ServiceAccounts are declared a missing one keeps pods from
/// being made; its ReplicaSet says so, tries again later and later, and heals when it comes.
#[test]
fn a_missing_service_account_refuses_pods() {
    let mut run = of(&format!("{SHOP}{ACCOUNT}"));
    run.to(30);
    assert_eq!(run.pods(), 2, "those of the StatefulSet alone");
    assert_eq!(failure(&run), Some(ReplicaFailure::FailedCreate));
    assert_eq!(run.kubectl(31, "create serviceaccount web -n shop").exit_code, 0);
    // 5 ms · 2^13 = 40.96 s: the 14th try is after 81.915 s at the latest.
    run.to(45);
    assert_eq!(run.pods(), 5, "the try at 40.955 s");
    assert_eq!(failure(&run), None);
    assert_eq!(run.kubectl(46, "delete serviceaccount web -n shop").exit_code, 0);
    assert_eq!(run.kubectl(47, "delete pod -l app=web -n shop").exit_code, 0);
    run.to(60);
    assert_eq!((run.pods(), failure(&run)), (2, Some(ReplicaFailure::FailedCreate)));
}

const FEW_SETS: &str = "
---
apiVersion: v1
kind: ResourceQuota
metadata: { name: few, namespace: shop }
spec: { hard: { count/replicasets.apps: 1, count/jobs.batch: 1 } }
";

/// Rules C188 and C29: quotas count the ReplicaSets and Jobs that controllers make; a Deployment
/// that is refused one does not roll, and tries again.
#[test]
fn quotas_count_what_controllers_make() {
    let mut run = of(&format!("{SHOP}{FEW_SETS}"));
    run.kubectl(30, "set image deployment/web web=web:2 -n shop");
    let cluster = run.to(40);
    assert_eq!(cluster.replica_sets().iter().count(), 1);
    let row = cluster.deployments().next().expect("one");
    let reason = row.status.progressing.map(|progressing| progressing.reason);
    assert_eq!(format!("{reason:?}"), "Some(ReplicaSetCreateError)");
    run.kubectl(41, "delete resourcequota few -n shop");
    run.kubectl(42, "annotate deployment/web note=again -n shop");
    assert_eq!(run.to(50).replica_sets().iter().count(), 2);
    run.kubectl(51, "delete resourcequota few -n shop");
    let again = of(&format!("{SHOP}{FEW_SETS}")).to(400).jobs().iter().count();
    assert_eq!(again, 1, "the first Job stands in the way of the others");
}
