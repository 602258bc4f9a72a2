//! Documents that must keep up with the code.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn rust_files(of: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(of).expect("a folder of sources").flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_difference_stands_in_limitations() {
    let limitations = read("LIMITATIONS.md");
    let mut files = Vec::new();
    rust_files(&root().join("src"), &mut files);
    files.sort();
    let mut missing = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file is text");
        let name = file.strip_prefix(root().join("src")).expect("in src").display().to_string();
        if text.contains("Differs:") && !limitations.contains(&format!("`{name}`")) {
            missing.push(name);
        }
    }
    assert!(missing.is_empty(), "LIMITATIONS.md does not name: {}", missing.join(", "));
}

#[test]
fn every_scenario_is_right_and_stands_in_the_readme() {
    let readme = read("scenarios/README.md");
    for entry in fs::read_dir(root().join("scenarios")).expect("scenarios").flatten() {
        let path = entry.path();
        if !path.is_dir() {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(readme.contains(&format!("[{name}]({name})")), "{name} has no line in the README");
        for file in fs::read_dir(&path).expect("a scenario's folder").flatten() {
            let text = fs::read_to_string(file.path()).unwrap_or_default();
            if text.contains("kind: Scenario") {
                let place = seatrial::scenario::Place::on_disk(&file.path().to_string_lossy());
                let loaded = seatrial::scenario::load(&place, &[]);
                if let Err(refused) = loaded {
                    let drawn = refused.found.draw(&refused.sources, &Default::default());
                    panic!("{}:\n{drawn}", file.path().display());
                }
            }
        }
    }
}

#[test]
fn files_that_the_architecture_names_are_there() {
    let text = read("ARCHITECTURE.md");
    for word in text.split('`').filter(|word| word.ends_with(".rs") && !word.contains(' ')) {
        let there = root().join("src").join(word).exists() || root().join(word).exists();
        assert!(there, "ARCHITECTURE.md names {word}, which is not there");
    }
}
