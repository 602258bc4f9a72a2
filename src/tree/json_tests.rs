use crate::tree::*;

fn read(text: &str) -> (Vec<String>, Vec<String>) {
    let mut sources = Sources::new();
    let file = sources.add("f.json", text);
    let mut found = Diagnostics::new();
    let documents = parse(&sources, file, &ParseOptions::manifest(), &mut found);
    let shown = documents.iter().map(|d| format!("{:?}", d.tree.root())).collect();
    (shown, found.lines(&sources))
}

fn fault(text: &str) -> String {
    read(text).1.join("\n")
}

#[test]
fn values_of_all_kinds() {
    let text =
        r#" {"a": [1, -2.5, 1e2, true, false, null, "x\n\u00e9\ud83d\ude00"], "b": {}, "c": []} "#;
    let (shown, said) = read(text);
    assert_eq!(said, [""; 0]);
    assert_eq!(
        shown,
        [r#"{"a": [1, -2.5, 100.0, true, false, null, "x\né😀"], "b": {}, "c": []}"#]
    );
}

#[test]
fn several_values_and_repeated_keys() {
    assert_eq!(read("{}\n[1] 2").0, ["{}", "[1]", "2"]);
    let (shown, said) = read(r#"{"a": 1, "a": 2}"#);
    assert_eq!(
        (shown, said),
        (
            vec![r#"{"a": 2}"#.to_owned()],
            vec!["f.json:1:10: warning: key \"a\" is given twice".to_owned()],
        )
    );
}

#[test]
fn faults_have_places() {
    assert_eq!(fault("{\"a\": 1,\n}"), "f.json:2:1: error: expected a key in double quotes");
    assert_eq!(fault("[1,]"), "f.json:1:4: error: expected a value");
    assert_eq!(fault("[1 2]"), "f.json:1:4: error: expected `,` or `]`");
    assert_eq!(fault("{\"a\" 1}"), "f.json:1:6: error: expected `:`");
    assert_eq!(fault("{\"a\": }"), "f.json:1:7: error: expected a value");
    assert_eq!(fault("{'a': 1}"), "f.json:1:2: error: expected a key in double quotes");
    assert_eq!(fault("[01]"), "f.json:1:2: error: not a JSON number");
    assert_eq!(fault("[\"a"), "f.json:1:2: error: a quote that is never closed");
    assert_eq!(fault("[\"\\x\"]"), "f.json:1:3: error: unknown escape");
    assert_eq!(
        fault("[\"\\u12"),
        "f.json:1:3: error: expected four hexadecimal digits after `\\u`"
    );
    assert_eq!(fault("[1e999]"), "f.json:1:2: error: number out of range");
    assert_eq!(fault("{\"a\": ["), "f.json:1:8: error: expected a value");
    assert!(fault(&"[".repeat(1000)).contains("nested deeper than 200 levels"));
}

#[test]
fn yaml_flow_is_taken_where_json_fails() {
    let mut sources = Sources::new();
    let file = sources.add("f.yaml", "{a: 1, b: [x]}\n---\nc: 1\n");
    let mut found = Diagnostics::new();
    let documents = parse(&sources, file, &ParseOptions::manifest(), &mut found);
    assert!(found.is_empty());
    assert_eq!(documents.len(), 2);
}
