//! The layers of the house: lower rooms never import higher ones, rooms of one row do not know
//! each other, and some rooms must not know some words.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Rooms from the ground up.
const ROWS: [&[&str]; 11] = [
    &["base", "tree"],
    &["model"],
    &["api", "event", "record", "manifest"],
    &["recorder", "kubectl"],
    &["scenario", "sim", "report"],
    &["cluster"],
    &["placement", "network"],
    &[
        "scheduler",
        "kubelet",
        "controllers",
        "autoscalers",
        "traffic",
        "cloud",
        "faults",
        "generators",
        "drain",
    ],
    &["engine"],
    &["experiment", "explain"],
    &["cli", "main", "lib"],
];

fn sources(of: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(of).expect("src is there").flatten().collect();
    entries.sort_by_key(std::fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn room_of(path: &Path, src: &Path) -> String {
    let inside = path.strip_prefix(src).expect("a file of src");
    let first = inside.components().next().expect("a path has parts");
    first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// The rooms that a text imports: what stands after `crate::`, alone or in a list.
fn imports(text: &str) -> Vec<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: String = code.collect::<Vec<_>>().join("\n");
    let mut rooms = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let word = |s: &str| s.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if let Some(list) = rest.strip_prefix('{') {
            let list = &list[..list.find('}').unwrap_or(list.len())];
            rooms.extend(list.split(',').map(|item| word(item.trim())));
        } else {
            rooms.push(word(rest));
        }
    }
    rooms
}

#[test]
fn lower_rooms_never_import_higher_ones() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let row: BTreeMap<&str, usize> = (0..)
        .zip(ROWS)
        .flat_map(|(row, rooms)| rooms.iter().map(move |room| (*room, row)))
        .collect();
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut wrong = Vec::new();
    for file in files {
        let room = room_of(&file, &src);
        let own = *row.get(room.as_str()).unwrap_or_else(|| panic!("room {room} has no row"));
        let text = fs::read_to_string(&file).expect("a source file is text");
        for other in imports(&text) {
            let Some(theirs) = row.get(other.as_str()) else { continue };
            if other != room && *theirs >= own {
                let file = file.strip_prefix(&src).expect("a file of src").display();
                wrong.push(format!("{file} (row {own}) imports {other} (row {theirs})"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rooms_do_not_say_what_they_must_not_know() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let forbidden = [
        ("engine", "clap::"),
        ("engine", "std::fs"),
        ("cluster", "std::fs"),
        ("sim", "std::fs"),
        ("placement", "crate::event"),
        ("base", "pod"),
    ];
    let mut files = Vec::new();
    sources(&src, &mut files);
    for file in files {
        let room = room_of(&file, &src);
        let text = fs::read_to_string(&file).expect("a source file is text");
        for (_, word) in forbidden.iter().filter(|(of, _)| *of == room) {
            let says = |line: &str| {
                let code = line.split("//").next().unwrap_or("");
                match *word {
                    "pod" => code.split(|c: char| !c.is_alphanumeric()).any(|w| w == "pod"),
                    word => code.contains(word),
                }
            };
            let line = text.lines().find(|line| says(line));
            assert!(line.is_none(), "{} says {word}: {line:?}", file.display());
        }
    }
}

#[test]
fn threads_are_of_the_experiment_alone() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    for file in files.iter().filter(|file| room_of(file, &src) != "experiment") {
        let text = fs::read_to_string(file).expect("a source file is text");
        for word in ["std::thread::spawn", "thread::scope", "rayon::"] {
            assert!(!text.contains(word), "{} has threads", file.display());
        }
    }
}
