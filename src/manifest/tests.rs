use std::io::Write as _;

use super::*;
use crate::tree::{Diagnostics, ParseOptions, Sources};

struct Read {
    objects: Vec<String>,
    said: Vec<String>,
    shown: String,
    documents: Vec<Document>,
}

fn read_from(loader: &Loader, paths: &[&str]) -> Read {
    let mut sources = Sources::new();
    let mut found = Diagnostics::new();
    let paths: Vec<PathSpec> = paths.iter().map(|&path| path.into()).collect();
    let options = ParseOptions::manifest();
    let documents = read(loader, &paths, &options, &mut sources, &mut found);
    let object = |d: &Document| format!("{} {}/{}", *d.api_version, *d.kind, *d.name);
    Read {
        objects: documents.iter().map(object).collect(),
        said: found.lines(&sources),
        shown: found.draw(&sources, &crate::tree::DrawOptions::default()),
        documents,
    }
}

fn read_text(text: &str) -> Read {
    read_from(&Loader::from_memory([("f.yaml", text)]), &["f.yaml"])
}

fn pod(name: &str) -> String {
    format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\n")
}

#[test]
fn files_folders_globs_and_a_pipe() {
    let loader = Loader::from_memory([
        ("shop/b.yaml", pod("b")),
        ("shop/a.yml", pod("a")),
        ("shop/deep/c.json", r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"c"}}"#.into()),
        ("shop/.hidden.yaml", "{".into()),
        ("shop/notes.md", "{".into()),
        ("other/x.yaml", pod("x")),
        ("other/y.txt", pod("z")),
        ("-", pod("piped")),
    ]);
    let names = |paths: &[&str]| {
        let read = read_from(&loader, paths);
        assert_eq!(read.said, [""; 0]);
        read.documents.iter().map(|d| d.name.value.clone()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&["shop"]), "a b c");
    assert_eq!(names(&["shop/"]), "a b c");
    assert_eq!(names(&["."]), "x a b c");
    assert_eq!(names(&["other/x.yaml", "shop/b.yaml"]), "x b");
    assert_eq!(names(&["shop/b.yaml", "shop", "shop"]), "b a c");
    assert_eq!(names(&["*/*.yaml", "-"]), "x b piped");
    assert_eq!(names(&["**/c.json", "other/y.txt"]), "c z");
}

#[test]
fn paths_that_lead_nowhere() {
    let loader =
        Loader::from_memory([("shop/checkout.yaml", pod("a")), ("docs/a.md", String::new())]);
    let said = |path: &str| {
        let read = read_from(&loader, &[path]);
        (read.said.join("|"), read.shown)
    };
    let (line, shown) = said("shop/chekout.yaml");
    assert_eq!(line, "error: no file or folder \"shop/chekout.yaml\"");
    assert!(shown.contains("did you mean \"shop/checkout.yaml\"?"), "{shown}");
    assert!(said("shpo").1.contains("did you mean \"shop\"?"));
    assert_eq!(said("docs").0, "error: no manifests in \"docs\"");
    assert_eq!(said("*.json").0, "error: no file matches \"*.json\"");
    assert!(said("a[").0.starts_with("error: wrong pattern \"a[\""));
}

#[test]
fn lists_are_flattened() {
    let text = "\
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Pod, metadata: {name: a, namespace: ns}}
- apiVersion: apps/v1
  kind: DeploymentList
  items:
  - metadata: {name: d}
  - {kind: Other, apiVersion: x/v1, metadata: {name: o}}
---
apiVersion: v1
kind: PodList
items:
---
# nothing
---
apiVersion: v1
kind: List
items: {}
";
    let read = read_text(text);
    assert_eq!(read.objects, ["v1 Pod/a", "apps/v1 Deployment/d", "x/v1 Other/o"]);
    assert_eq!(read.documents[0].namespace.as_ref().unwrap().value, "ns");
    assert_eq!(read.documents[1].namespace, None);
    assert_eq!(read.said, ["f.yaml:19:1: error: items of a list must be a list, found a mapping"]);
    assert_eq!(read.documents[1].root().get("metadata").unwrap().len(), 1);
}

#[test]
fn identity_must_be_there() {
    let said = |text: &str| read_text(text).said.join("|");
    assert_eq!(
        said("kind: Pod\nmetadata: {name: a}"),
        "f.yaml:1:1: error: the object has no apiVersion"
    );
    assert_eq!(
        said("apiVersion: v1\nmetadata: {name: a}"),
        "f.yaml:1:1: error: the object has no kind"
    );
    assert_eq!(
        said("apiVersion: v1\nkind: Pod\nmetadata: {}"),
        "f.yaml:3:1: error: the object has no metadata.name"
    );
    assert_eq!(
        said("apiVersion: v1\nkind: Pod\nmetadata: {name: 12}"),
        "f.yaml:3:18: error: metadata.name must be a string, found an integer"
    );
    assert_eq!(
        said("apiVersion: v1\nkind: ''\nmetadata: {name: a}"),
        "f.yaml:2:7: error: kind is empty"
    );
    assert_eq!(said("[a]"), "f.yaml:1:1: error: expected a Kubernetes object, found a list");
    let read = read_text("apiversion: v1\nkind: Pod\nmetadata: {generateName: a}");
    assert_eq!(read.said.len(), 2);
    assert!(read.shown.contains("is this it?") && read.shown.contains("generateName"));
}

#[test]
fn a_wrong_object_hides_no_other() {
    let text = format!("{}---\na: [\n---\nkind: x\n---\n{}", pod("a"), pod("b"));
    let read = read_text(&text);
    assert_eq!(read.objects, ["v1 Pod/a", "v1 Pod/b"]);
    assert_eq!(read.said.len(), 3, "{:?}", read.said);
}

#[test]
fn helm_output_keeps_its_origin_and_templates_are_named() {
    let text = format!("---\n# Source: shop/templates/pod.yaml\n{}", pod("a"));
    let read = read_text(&text);
    assert_eq!(read.documents[0].origin.as_deref(), Some("shop/templates/pod.yaml"));
    for template in [
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {{ .Release.Name }}\n",
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a-{{ .Release.Name }}\n",
        "{{- if .x }}\napiVersion: v1\n{{- end }}\n",
    ] {
        let read = read_text(&format!("{}---\n{template}", pod("ok")));
        assert_eq!(read.said.len(), 1, "{:?}", read.said);
        assert!(read.shown.contains("helm template CHART"), "{}", read.shown);
        assert_eq!(read.objects, ["v1 Pod/ok"]);
    }
    let fine = read_text(&format!("{}  # {{{{\ndata: \"{{{{ $labels.pod }}}}\"\n", pod("a")));
    assert_eq!(fine.said, [""; 0]);
}

#[test]
fn what_other_tools_read_is_named() {
    let loader = Loader::from_memory([
        ("k/kustomization.yaml", "resources: [a.yaml]\n".to_owned()),
        ("k/a.yaml", pod("a")),
        ("chart/Chart.yaml", "name: x\n".to_owned()),
        ("chart/templates/a.yaml", "{{".to_owned()),
        ("s/scenario.yaml", "apiVersion: seatrial/v1\nkind: Scenario\nname: x\n".to_owned()),
        ("s/a.yaml", pod("s")),
    ]);
    let folder = read_from(&loader, &["k"]);
    assert_eq!(folder.said, ["warning: \"k/kustomization.yaml\" is not applied"]);
    assert!(folder.shown.contains("kubectl kustomize k | "));
    assert_eq!(folder.objects, ["v1 Pod/a"]);
    let named = read_from(&loader, &["k/kustomization.yaml"]);
    assert!(named.said[0].starts_with("error: \"k/kustomization.yaml\" is an instruction"));
    let chart = read_from(&loader, &["chart"]);
    assert_eq!(chart.said, ["error: \"chart\" is a helm chart, not a folder of manifests"]);
    let scenario = read_from(&loader, &["s"]);
    assert_eq!((scenario.said.len(), scenario.objects.len()), (0, 1));
    assert_eq!(read_from(&loader, &["s/scenario.yaml"]).said.len(), 1);
}

#[test]
fn packed_files_and_their_limits() {
    let packed = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let good = packed(pod("a").as_bytes());
    let loader =
        Loader::from_memory([("a.yaml.gz", good.clone()), ("cut.gz", good[..20].to_vec())]);
    assert_eq!(read_from(&loader, &["a.yaml.gz"]).objects, ["v1 Pod/a"]);
    assert!(read_from(&loader, &["cut.gz"]).said[0].starts_with("error: cannot read \"cut.gz\": "));
    let bomb = packed(&vec![b'#'; 1 << 20]);
    let loader = Loader::from_memory([("bomb.yaml", bomb)]);
    let mut options = ParseOptions::manifest();
    options.limits.bytes = 1000;
    let mut found = Diagnostics::new();
    let documents = read(&loader, &["bomb.yaml".into()], &options, &mut Sources::new(), &mut found);
    assert!(documents.is_empty() && found.has_errors());
}

#[test]
fn manifests_have_a_limit_together() {
    let loader = Loader::from_memory(["a.yaml", "b.yaml", "c.yaml"].map(|path| (path, pod("a"))));
    let mut options = ParseOptions::manifest();
    options.limits.bytes_of_all = pod("a").len() * 2 - 1;
    let mut found = Diagnostics::new();
    let documents = read(&loader, &[".".into()], &options, &mut Sources::new(), &mut found);
    assert_eq!((documents.len(), found.len()), (2, 1), "one is too many, and said once");
}

/// Three links a folder make more folders than can be counted.
#[cfg(unix)]
#[test]
fn loops_of_links_end() {
    let folder = tempfile::tempdir().unwrap();
    for link in ["a", "b", "c"] {
        std::os::unix::fs::symlink(".", folder.path().join(link)).unwrap();
    }
    let said = read_from(&Loader::disk(folder.path()), &["."]).said;
    assert!(said.len() == 1 && said[0].contains("lies deeper than 32 folders"), "{said:?}");
}

#[test]
fn the_disk_is_read_as_memory_is() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("shop")).unwrap();
    std::fs::write(folder.path().join("shop/b.yaml"), pod("b")).unwrap();
    std::fs::write(folder.path().join("shop/a.yaml"), pod("a")).unwrap();
    let loader = Loader::disk(folder.path());
    for path in ["shop", "shop/*.yaml", "."] {
        assert_eq!(read_from(&loader, &[path]).objects, ["v1 Pod/a", "v1 Pod/b"]);
    }
    let missing = read_from(&loader, &["shop/c.yaml"]);
    assert!(missing.said[0].contains("no file or folder"), "{:?}", missing.said);
    let place = missing.said[0].contains("shop/c.yaml");
    assert!(place);
}
