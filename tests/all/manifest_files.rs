//! Manifests that other people wrote: every document of them is read.
//!
//! They are not part of the repository: they are looked for where `SEATRIAL_DATA` points, else in
//! `shared/data` beside the crate or one level further up; where they are not, nothing is read.

use std::path::PathBuf;

use seatrial::manifest::{Loader, PathSpec, read};
use seatrial::tree::{Diagnostics, ParseOptions, Sources, Tree, to_yaml};

fn data() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("SEATRIAL_DATA") {
        return Some(PathBuf::from(named));
    }
    crate::support::shared("data")
}

fn read_folder(path: &str) -> Option<(usize, Vec<String>)> {
    let loader = Loader::disk(data()?);
    let mut sources = Sources::new();
    let mut found = Diagnostics::new();
    let paths = [PathSpec::from(path)];
    let documents = read(&loader, &paths, &ParseOptions::manifest(), &mut sources, &mut found);
    for document in &documents {
        let json = document.root().to_json();
        let again = Tree::from_json(&json);
        assert_eq!(again.root().to_json(), json);
        let file = sources.add("again.yaml", to_yaml(document.root()));
        let options = ParseOptions::manifest();
        let mut faults = Diagnostics::new();
        let parsed = seatrial::tree::parse(&sources, file, &options, &mut faults);
        assert_eq!(faults.lines(&sources), [""; 0]);
        assert_eq!(parsed[0].tree.root().to_json(), json, "{}", sources.place(document.span()));
    }
    Some((documents.len(), found.lines(&sources)))
}

#[test]
fn manifests_of_other_people_are_read() {
    let Some((count, said)) = read_folder("manifests") else {
        return;
    };
    let errors: Vec<_> = said.iter().filter(|line| line.contains("error:")).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    assert!(count > 150, "{count} objects; {said:#?}");
}

#[test]
fn clusters_of_a_published_benchmark_are_read() {
    let Some((count, said)) = read_folder("kubesbs/*.yaml") else {
        return;
    };
    assert_eq!(said, [""; 0]);
    assert!(count > 4000, "{count}");
}
