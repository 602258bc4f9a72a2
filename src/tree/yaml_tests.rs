use crate::tree::*;

struct Read {
    sources: Sources,
    documents: Vec<Parsed>,
    found: Diagnostics,
}

fn read_with(text: &str, options: &ParseOptions) -> Read {
    let mut sources = Sources::new();
    let file = sources.add("f", text);
    let mut found = Diagnostics::new();
    let documents = parse(&sources, file, options, &mut found);
    Read { sources, documents, found }
}

fn read(text: &str) -> Read {
    read_with(text, &ParseOptions::manifest())
}

/// The only document of a text without faults, as `Debug` prints it.
fn good(text: &str) -> String {
    let read = read(text);
    assert_eq!(read.found.lines(&read.sources), [""; 0], "{text}");
    assert_eq!(read.documents.len(), 1, "{text}");
    format!("{:?}", read.documents[0].tree.root())
}

fn faults(text: &str) -> Vec<String> {
    let read = read(text);
    read.found.lines(&read.sources)
}

#[test]
fn values_of_all_kinds() {
    assert_eq!(
        good("a: 1\nb: [x, 'y', \"z\\n\"]\nc:\n- ~\n- d: {}\n"),
        r#"{"a": 1, "b": ["x", "y", "z\n"], "c": [null, {"d": {}}]}"#
    );
    assert_eq!(good("a: |\n  x\n  y\nb: >-\n  x\n  y\n"), r#"{"a": "x\ny\n", "b": "x y"}"#);
    assert_eq!(good("a: \"yes\"\nb: '1'\nc: yes\n"), r#"{"a": "yes", "b": "1", "c": true}"#);
    assert_eq!(good("a: !!str 1\nb: !!float 3\nc: !x 1\n"), r#"{"a": "1", "b": 3, "c": "1"}"#);
    assert_eq!(good("just text"), r#""just text""#);
    assert_eq!(good("é: ü\n"), r#"{"é": "ü"}"#);
}

#[test]
fn keys_are_texts() {
    assert_eq!(
        good("1: a\nyes: b\n1.5: c\n0x10: d\n"),
        r#"{"1": "a", "true": "b", "1.5": "c", "16": "d"}"#
    );
    assert_eq!(faults("~: a"), ["f:1:1: error: nothing cannot be a key"]);
    assert_eq!(faults("? [a]\n: b"), ["f:1:3: error: a list cannot be a key"]);
    assert_eq!(faults("a: {{ .x }}"), ["f:1:5: error: a mapping cannot be a key"]);
}

#[test]
fn keys_of_scenarios_stay_as_written() {
    let read = read_with("on: 1\n0x10: 2\n", &ParseOptions::scenario());
    assert_eq!(format!("{:?}", read.documents[0].tree.root()), r#"{"on": 1, "0x10": 2}"#);
}

#[test]
fn spans_point_at_values_and_keys() {
    let text = "spec:\n  name: web # comment\n  list: [1, 22]\n  none:\n  more:\n    x: y\nz: 1\n";
    let read = read(text);
    let root = read.documents[0].tree.root();
    let said = |keys: &[&str]| read.sources.text(root.at(keys).unwrap().span()).to_owned();
    assert_eq!(said(&["spec", "name"]), "web");
    assert_eq!(said(&["spec", "list"]), "list");
    assert_eq!(said(&["spec", "none"]), "none");
    assert_eq!(said(&["spec", "more"]), "more");
    let whole = |keys: &[&str]| read.sources.text(root.at(keys).unwrap().range()).to_owned();
    assert_eq!(whole(&["spec", "list"]), "[1, 22]");
    assert_eq!(whole(&["spec", "more"]), "x: y");
    let items: Vec<&str> = root
        .at(&["spec", "list"])
        .unwrap()
        .items()
        .map(|item| read.sources.text(item.span()))
        .collect();
    assert_eq!(items, ["1", "22"]);
    assert_eq!(root.at(&["spec", "list"]).unwrap().items().last().unwrap().path(), "spec.list[1]");
    let name = root.at(&["spec", "name"]).unwrap();
    assert_eq!(read.sources.place(name.key_span().unwrap()), "f:2:3");
}

#[test]
fn scalars_keep_what_was_written() {
    let read = read("mode: 0644\nversion: 1.10\n");
    let root = read.documents[0].tree.root();
    let mode = root.get("mode").unwrap();
    assert_eq!((mode.as_i64(), &*mode.written()), (Some(420), "0644"));
    assert_eq!(&*root.get("version").unwrap().written(), "1.10");
}

#[test]
fn repeated_keys_last_wins_and_both_places_are_named() {
    let text = "a: 1\nb: 2\na: 3\n";
    let lenient = read(text);
    assert_eq!(format!("{:?}", lenient.documents[0].tree.root()), r#"{"a": 3, "b": 2}"#);
    assert_eq!(lenient.found.lines(&lenient.sources), ["f:3:1: warning: key \"a\" is given twice"]);
    let first = lenient.found.iter().next().unwrap().related[0].0;
    assert_eq!(lenient.sources.place(first), "f:1:1");
    let strict = read_with(text, &ParseOptions::scenario());
    assert!(strict.found.has_errors());
    let many: String = (0..40).map(|i| format!("k{i}: {i}\n")).collect();
    let many = read(&format!("{many}k7: x\nk3: y\nk7: z\n"));
    let said = many.found.lines(&many.sources);
    assert_eq!(said.len(), 3, "{said:?}");
    assert_eq!(many.documents[0].tree.root().get("k7").unwrap().as_str(), Some("z"));
    assert_eq!(many.documents[0].tree.root().len(), 40);
}

#[test]
fn merges_as_go_yaml_v2() {
    let base = "base: &b {x: 1, v: 2}\nother: &o {v: 3, z: 4}\n";
    let merged = |text: &str| {
        let read = read(&format!("{base}{text}"));
        assert!(read.found.is_empty(), "{:?}", read.found.lines(&read.sources));
        format!("{:?}", read.documents[0].tree.root().get("m").unwrap())
    };
    assert_eq!(merged("m: {<<: *b, x: 9}"), r#"{"x": 9, "v": 2}"#);
    assert_eq!(merged("m: {x: 9, <<: *b}"), r#"{"x": 1, "v": 2}"#); // in the order of the text
    assert_eq!(merged("m: {<<: [*b, *o]}"), r#"{"v": 2, "z": 4, "x": 1}"#);
    assert_eq!(merged("m: {\"<<\": 1}"), r#"{"<<": 1}"#);
    assert_eq!(
        faults("a: {<<: 1}"),
        ["f:1:5: error: \"<<\" merges a mapping or a list of mappings"]
    );
}

#[test]
fn aliases_are_copies_and_bounded() {
    assert_eq!(
        good("a: &x [1, {k: v}]\nb: *x\n"),
        r#"{"a": [1, {"k": "v"}], "b": [1, {"k": "v"}]}"#
    );
    assert_eq!(good("&k a: 1\nb: *k\n"), r#"{"a": 1, "b": "a"}"#);
    assert_eq!(good("a: &k x\n*k : 1\n"), r#"{"a": "x", "x": 1}"#);
    assert_eq!(faults("a: *x"), ["f:1:4: error: an alias without its anchor"]);
    assert_eq!(
        faults("a: &x [*x]"),
        ["f:1:8: error: an alias inside the value that it stands for"]
    );
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for i in 1..12 {
        let many = format!("*a{}", i - 1);
        bomb += &format!("a{i}: &a{i} [{}]\n", vec![many; 10].join(","));
    }
    let read = read(&bomb);
    let said = read.found.lines(&read.sources);
    assert_eq!(said.len(), 1);
    assert!(said[0].ends_with("error: aliases expand to more than 1000000 values"), "{said:?}");
    assert!(!read.found.iter().next().unwrap().related.is_empty());
}

#[test]
fn nesting_is_bounded() {
    let flow = format!("{}1{}", "[".repeat(150), "]".repeat(150));
    assert_eq!(faults(&flow), [""; 0]);
    for bomb in ["[".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(100_000)] {
        let said = faults(&bomb);
        assert_eq!(said.len(), 1);
        assert!(said[0].contains("nested deeper than 200 levels"), "{said:?}");
    }
    let mut text = "a: &a ".to_owned() + &"[".repeat(120) + &"]".repeat(120);
    text += "\nb: ";
    text += &("[".repeat(120) + "*a" + &"]".repeat(120));
    assert!(faults(&text)[0].contains("nested deeper than 200 levels"));
}

#[test]
fn a_wrong_document_hides_no_other() {
    let text = "a: [1\n---\nb: 1\n---\nc: *x\n---\nd: 1\n";
    let read = read(text);
    assert_eq!(read.documents.len(), 2);
    let said = read.found.lines(&read.sources);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("f:"), "{said:?}");
    assert_eq!(said[1], "f:5:4: error: an alias without its anchor");
}

#[test]
fn empty_documents_are_left_out_and_origins_kept() {
    let text =
        "# only a comment\n---\n---\n# Source: c/templates/a.yaml\na: 1\n---\n\n---\nb: 2\n...\n";
    let read = read(text);
    assert!(read.found.is_empty());
    let origins: Vec<_> = read.documents.iter().map(|d| d.origin.as_deref()).collect();
    assert_eq!(origins, [Some("c/templates/a.yaml"), None]);
    assert_eq!(
        read.documents[1].tree.root().get("b").unwrap().span().start as usize,
        text.find("2\n...").unwrap()
    );
}

#[test]
fn frequent_faults_are_explained() {
    assert_eq!(faults("a:\n\tb: 1"), ["f:2:1: error: a tab as indentation"]);
    assert_eq!(faults("a: b: c"), ["f:1:5: error: a `:` where no key can stand"]);
    assert_eq!(faults("a: @x"), ["f:1:4: error: `@` cannot begin a value"]);
    assert_eq!(faults("a: !!int x"), ["f:1:10: error: \"x\" is not of type !!int"]);
    assert_eq!(faults("a: 1\n b: 2"), ["f:2:3: error: a `:` where no key can stand"]);
}

#[test]
fn a_line_of_ten_megabytes_is_read() {
    let text = format!("a: \"{}\"\nb: 1\n", "x".repeat(10 << 20));
    let read = read(&text);
    assert!(read.found.is_empty());
    assert_eq!(read.documents[0].tree.root().get("a").unwrap().as_str().unwrap().len(), 10 << 20);
}

#[test]
fn windows_line_ends() {
    assert_eq!(good("a: 1\r\nb:\r\n- x\r\n"), r#"{"a": 1, "b": ["x"]}"#);
    assert_eq!(read("a: 1\r\n---\r\nb: 2\r\n").documents.len(), 2);
}

mod any_input {
    use super::*;
    use proptest::prelude::*;

    /// Reads, draws, converts and reads types: nothing may panic.
    fn swallow(name: &str, bytes: &[u8]) {
        let mut sources = Sources::new();
        let mut found = Diagnostics::new();
        let limits = Limits { alias_nodes: 1000, ..Limits::default() };
        let options = ParseOptions { limits, ..ParseOptions::manifest() };
        let added = add_bytes(&mut sources, name, bytes.to_vec(), &options.limits, &mut found);
        let documents =
            added.map_or_else(Vec::new, |file| parse(&sources, file, &options, &mut found));
        for document in &documents {
            let root = document.tree.root();
            let json = root.to_json();
            assert_eq!(Tree::from_json(&json).root().to_json(), json);
            assert!(root.path().is_empty() && root.span() == root.range());
            assert!(to_yaml(root).ends_with('\n'));
            let read: Option<Spanned<Vec<String>>> = from_value(root, &mut found);
            drop(read);
        }
        let shown = found.draw(&sources, &DrawOptions::default());
        assert_eq!(shown.is_empty(), found.is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn bytes(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            swallow("f", &bytes);
        }

        #[test]
        fn what_looks_like_yaml(text in "([ \n\t]|a|b: |- |&x |\\*x|<<: |\\{|\\}|\\[|\\]|,|'|\"|#|---\n|\\.\\.\\.\n|!!int |!x |é|~|0x1|\\|\n|> |\\? |%YAML 1.1\n|\u{feff}|\r){0,24}") {
            swallow("f", text.as_bytes());
        }

        #[test]
        fn what_looks_like_json(text in "([ \n]|\"a\"|:|,|\\{|\\}|\\[|\\]|1|-|\\.|e|\\\\u00|\\\\|\"|true|null|é){0,24}") {
            swallow("f.json", text.as_bytes());
        }
    }
}
