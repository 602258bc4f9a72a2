//! Label selectors, as text and as objects: reading, printing, matching.

use seatrial::api::TextSelector;
use seatrial::base::Interner;
use seatrial::model::Labels;
use serde_json::Value;

use crate::support::corpus::{run_corpus, same, text};

#[test]
fn conformance_label_selectors() {
    run_corpus("objects", "label-selectors", |case| {
        let read = match text(case, "op") {
            Some("parseText") => {
                TextSelector::parse(text(case, "selector").ok_or("no selector")?).map(Some)
            }
            _ => TextSelector::of_object(&case["selector"]),
        };
        match read {
            Err(error) => same("error", Some(error.as_str()), text(case, "error")),
            Ok(_) if text(case, "error").is_some() => Err("read, not an error".to_owned()),
            Ok(selector) => check(selector.as_ref(), case),
        }
    });
}

fn check(selector: Option<&TextSelector>, case: &Value) -> Result<(), String> {
    // The null selector has no text and selects nothing.
    if let (Some(selector), Some(canonical)) = (selector, text(case, "canonical")) {
        same("text", selector.to_string().as_str(), canonical)?;
    }
    let mut names = Interner::new();
    let lowered = selector.map(|selector| selector.lower(&mut names));
    for (index, row) in case["matches"].as_array().ok_or("no matches")?.iter().enumerate() {
        let pairs = row["labels"].as_object().into_iter().flatten();
        let labels = Labels::new(pairs.map(|(key, value)| {
            (names.intern(key), names.intern(value.as_str().unwrap_or_default()))
        }));
        let ours = lowered.as_ref().is_some_and(|selector| selector.matches(&labels, &names));
        same(&format!("matches[{index}]"), Some(ours), row["matches"].as_bool())?;
    }
    Ok(())
}
