//! Which taints a toleration tolerates, and the first that keeps a pod away.

use seatrial::api::{lower_taints, lower_tolerations};
use seatrial::base::Interner;
use seatrial::model::TaintEffect;
use serde_json::Value;

use crate::support::corpus::{run_corpus, same};

#[test]
fn conformance_tolerations() {
    run_corpus("objects", "tolerations", |case| {
        let mut names = Interner::new();
        let taints = lower_taints(&case["taints"], &mut names);
        let tolerations = lower_tolerations(&case["tolerations"], &mut names);
        for (row, taint) in taints.iter().enumerate() {
            for (column, toleration) in tolerations.iter().enumerate() {
                let theirs = case["tolerates"][row][column].as_bool();
                let place = format!("tolerates[{row}][{column}]");
                same(&place, Some(toleration.tolerates(taint)), theirs)?;
            }
        }
        let keeps_away = |taint: &&seatrial::model::Taint| {
            taint.effect != TaintEffect::PreferNoSchedule
                && !tolerations.iter().any(|toleration| toleration.tolerates(taint))
        };
        let first = taints.iter().position(|taint| keeps_away(&taint));
        same("blocked", Some(first.is_some()), case["blocked"].as_bool())?;
        let first = first.map_or(&Value::Null, |index| &case["taints"][index]);
        same("first untolerated", first, &case["firstUntolerated"])
    });
}
