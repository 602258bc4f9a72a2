//! What pods ask for: effective requests, limits, non-zero requests, quality of service (rules N66,
//! N96, N98).

use seatrial::api::{Amounts, pod_amounts, qos_class, resources};
use seatrial::base::{Interner, Quantity};
use serde_json::Value;

use crate::support::corpus::{int, run_corpus, same, text};

#[test]
fn conformance_requests() {
    run_corpus("scheduler", "requests", |case| {
        let (pod, outcome) = (&case["pod"], &case["outcome"]);
        let amounts = pod_amounts(pod);
        same("requests", &amounts.requests, &read(&outcome["requests"])?)?;
        same("limits", &amounts.limits, &read(&outcome["limits"])?)?;
        let mut bare = pod.clone();
        bare["spec"]["overhead"] = Value::Null;
        let without = pod_amounts(&bare).requests;
        same("without overhead", &without, &read(&outcome["requestsWithoutOverhead"])?)?;

        let mut names = Interner::new();
        let ours = resources(&amounts.requests, &mut names);
        same("cpu", Some(ours.cpu.0), int(outcome, "milliCPU"))?;
        same("memory", Some(ours.memory.0), int(outcome, "memoryBytes"))?;
        let storage = int(outcome, "ephemeralStorageBytes");
        same("ephemeral storage", Some(ours.ephemeral_storage.0), storage)?;
        let scalars = outcome["scalars"].as_object().cloned().unwrap_or_default();
        same("number of scalars", ours.scalars.len(), scalars.len())?;
        for (name, amount) in &scalars {
            same(name, Some(ours.scalar(names.intern(name))), amount.as_i64())?;
        }
        let (cpu, memory) = amounts.nonzero;
        same("non-zero cpu", Some(cpu.0), int(outcome, "nonZeroMilliCPU"))?;
        same("non-zero memory", Some(memory.0), int(outcome, "nonZeroMemoryBytes"))?;
        let class = format!("{:?}", qos_class(&pod["spec"]));
        same("qos class", Some(class.as_str()), text(outcome, "qosClass"))
    });
}

fn read(list: &Value) -> Result<Amounts, String> {
    let one = |(name, value): (&String, &Value)| {
        let quantity = Quantity::parse(value.as_str().unwrap_or_default());
        Ok((name.clone(), quantity.map_err(|error| error.to_string())?))
    };
    list.as_object().into_iter().flatten().map(one).collect()
}
