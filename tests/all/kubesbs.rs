//! KubeSBS, a benchmark of simulators that other people made: their nodes and pods as they are,
//! read as manifests, placed by the real components; the number of pods that find no node beside
//! the published ones.
//!
//! The published runs of the real scheduler (kube-sched, KWOK) are of versions before 1.36, where
//! balance counts as it is after the pod, not as what the pod changes of it (rule S90). A plain loop
//! over these files with the older formula leaves 20 pods of the 100 nodes and 45 of the 400, as
//! published; with that of 1.36 it leaves 6 of the 100, as we do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use seatrial::engine::World;
use seatrial::manifest::Loader;
use seatrial::recorder::{Recorder, Wants};
use seatrial::scenario::{Place, load};

/// The folder of the benchmark, where it is beside the checkout.
fn data() -> Option<PathBuf> {
    let found = crate::support::shared("data/kubesbs");
    if found.is_none() {
        println!("skipped: ../shared/data/kubesbs is not here");
    }
    found
}

/// Pods in all, those that found no node, and the seconds that the run took on this machine.
#[expect(clippy::disallowed_types, reason = "the benchmark compares times of simulators")]
fn run(data: &Path, nodes: usize) -> (usize, usize, f64) {
    let begin = std::time::Instant::now();
    let scenario = format!(
        "
apiVersion: seatrial/v1
kind: Scenario
name: kubesbs
cluster:
  from: {data}/nodes-{nodes}.yaml
  latencies: ideal
apply: [{data}/pods-{nodes}.yaml]
run: {{ until: 1m }}
",
        data = data.display(),
    );
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("scenario.yaml");
    std::fs::write(&file, scenario).expect("written");
    let place = Place { loader: Loader::disk(folder.path()), path: file.display().to_string() };
    let loaded = load(&place, &[]).unwrap_or_else(|refused| {
        panic!("{}", refused.found.draw(&refused.sources, &Default::default()))
    });
    let read = begin.elapsed().as_secs_f64();
    let recorder = Recorder::new(&loaded.model, Wants::default());
    let outcome = World::new(&Arc::clone(&loaded.model), 0, recorder).run();
    let outcome = outcome.expect("within all limits");
    let pods = outcome.cluster.pods();
    let all = pods.iter().count();
    let waiting = pods.iter().filter(|(_, pod)| pod.node.is_none()).count();
    println!("kubesbs {nodes}: read in {read:.2} s");
    (all, waiting, begin.elapsed().as_secs_f64())
}

/// What the simulators left unscheduled with so many nodes, in the order of their names.
fn published(data: &Path, nodes: usize) -> BTreeMap<String, Vec<u32>> {
    let peers = ["kcs", "kube-sched", "kubemark", "kwok", "opensim", "simkube"];
    let of = |peer: &&str| {
        let path = data.join(format!("published-{peer}.csv"));
        let mut reader = csv::ReaderBuilder::new().delimiter(b'|').from_path(path).expect("a file");
        let rows = reader.records().map(|row| row.expect("a row"));
        let rows = rows.filter(|row| row[0] == nodes.to_string());
        let left = rows.map(|row| row[9].trim().parse().expect("a number"));
        ((*peer).to_owned(), left.collect())
    };
    peers.iter().map(of).collect()
}

fn compare(nodes: usize, expected: (usize, usize)) {
    let Some(data) = data() else { return };
    let (all, waiting, seconds) = run(&data, nodes);
    let peers = published(&data, nodes);
    println!("kubesbs {nodes}: {waiting} of {all} pods unscheduled in {seconds:.1} s");
    for (peer, left) in &peers {
        println!("  {peer}: {left:?}");
    }
    assert_eq!((all, waiting), expected, "of so many pods so many found no node");
}

#[test]
fn kubesbs_100() {
    compare(100, (1_067, 6));
}

#[test]
fn kubesbs_400() {
    compare(400, (3_940, 19));
}

#[test]
fn kubesbs_1200() {
    compare(1200, (7_064, 16));
}
