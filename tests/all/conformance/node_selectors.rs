//! `nodeSelector` and node affinity against a node.

use seatrial::api::NodeRules;
use seatrial::base::Interner;
use seatrial::model::{Labels, matches_node};

use crate::support::corpus::{int, run_corpus, same, text};

#[test]
fn conformance_node_selectors() {
    run_corpus("objects", "node-selectors", |case| {
        let mut names = Interner::new();
        let rules = NodeRules::lower(&case["nodeSelector"], &case["nodeAffinity"], &mut names);
        let pairs = case["nodeLabels"].as_object().into_iter().flatten();
        let labels = Labels::new(pairs.map(|(key, value)| {
            (names.intern(key), names.intern(value.as_str().unwrap_or_default()))
        }));
        let node = names.intern(text(case, "nodeName").ok_or("no node name")?);
        let matches = matches_node(&rules.selector, &rules.affinity, node, &labels, &names);
        same("matches", Some(matches), case["matches"].as_bool())?;
        let by_labels = rules.selector.iter().all(|(key, value)| labels.get(key) == Some(value));
        let error = rules.required_error.as_deref().filter(|_| by_labels && !matches);
        same("match error", error, text(case, "matchError"))?;
        same("preferred error", rules.preferred_error.as_deref(), text(case, "preferredError"))?;
        if rules.preferred_error.is_some() {
            return Ok(());
        }
        let wished = rules.affinity.preferred.iter();
        let matching = wished.filter(|(_, term)| term.matches(node, &labels, &names));
        let score: i64 = matching.map(|(weight, _)| i64::from(*weight)).sum();
        same("preferred score", Some(score), int(case, "preferredScore"))
    });
}
