//! The small value types of the API: quantities, counts or percentages, durations and time stamps.

use seatrial::base::go_time::{format_go_duration, parse_go_duration};
use seatrial::base::{Format, IntOrString, Quantity, Timestamp, surge_and_unavailable};
use serde_json::Value;

use crate::support::corpus::{int, run_corpus, same, text};

#[test]
fn conformance_quantities() {
    run_corpus("objects", "quantities", |case| match text(case, "op") {
        Some("parse") => parsed_quantity(case),
        Some("pair") => pair(case),
        Some(op) => {
            let value = int(case, "value").ok_or("no value")?;
            let format = format_named(text(case, "format").ok_or("no format")?)?;
            let quantity = match op {
                "fromValue" => Quantity::from_value(value, format),
                _ => Quantity::from_milli(value, format),
            };
            same_quantity(&quantity, &case["result"])
        }
        None => Err("no op".to_owned()),
    });
}

fn parsed_quantity(case: &Value) -> Result<(), String> {
    let parsed = Quantity::parse(text(case, "input").ok_or("no input")?);
    match parsed {
        Ok(quantity) if text(case, "error").is_none() => same_quantity(&quantity, &case["result"]),
        Ok(quantity) => Err(format!("{quantity}, not an error")),
        Err(error) => same("error", Some(error.to_string().as_str()), text(case, "error")),
    }
}

fn pair(case: &Value) -> Result<(), String> {
    let read =
        |key| Quantity::parse(text(case, key).unwrap_or("")).map_err(|error| error.to_string());
    let (a, b) = (read("a")?, read("b")?);
    same("compare", Some(a.cmp(&b) as i64), int(case, "compare"))?;
    same_quantity(&(&a + &b), &case["sum"]).map_err(|how| format!("sum: {how}"))?;
    same_quantity(&(&a - &b), &case["difference"]).map_err(|how| format!("difference: {how}"))
}

fn same_quantity(ours: &Quantity, theirs: &Value) -> Result<(), String> {
    same("text", Some(ours.to_string().as_str()), text(theirs, "canonical"))?;
    same("recomputed", Some(ours.canonical().as_str()), text(theirs, "recomputed"))?;
    let format = text(theirs, "format").ok_or("no format")?;
    same("format", ours.format(), format_named(format)?)?;
    same("value", Some(ours.value()), int(theirs, "value"))?;
    same("milli value", Some(ours.milli_value()), int(theirs, "milliValue"))?;
    same("sign", Some(i64::from(ours.sign())), int(theirs, "sign"))?;
    let float = theirs.get("approximateFloat").and_then(Value::as_f64);
    same("float", Some(ours.approximate_f64()), float)
}

fn format_named(name: &str) -> Result<Format, String> {
    match name {
        "DecimalExponent" => Ok(Format::DecimalExponent),
        "BinarySI" => Ok(Format::BinarySI),
        "DecimalSI" => Ok(Format::DecimalSI),
        other => Err(format!("unknown format {other}")),
    }
}

#[test]
fn conformance_int_or_string() {
    run_corpus("objects", "int-or-string", |case| {
        if text(case, "op") == Some("fenceposts") {
            return fenceposts(case);
        }
        let value = int_or_string(&case["value"])?;
        let total = int(case, "total").ok_or("no total")?;
        let both = value.scaled_up(total).and_then(|up| Ok((up, value.scaled_down(total)?)));
        match both {
            Ok((up, down)) => {
                same("up", Some(up), int(case, "roundUp"))?;
                same("down", Some(down), int(case, "roundDown"))
            }
            Err(error) => same("error", Some(error.to_string().as_str()), text(case, "error")),
        }
    });
}

fn fenceposts(case: &Value) -> Result<(), String> {
    let surge = int_or_string(&case["maxSurge"])?;
    let unavailable = int_or_string(&case["maxUnavailable"])?;
    let replicas = int(case, "replicas").ok_or("no replicas")?;
    let ours = surge_and_unavailable(&surge, &unavailable, replicas);
    let (surge, unavailable) = ours.map_err(|error| error.to_string())?;
    same("surge", Some(surge), int(case, "surge"))?;
    same("unavailable", Some(unavailable), int(case, "unavailable"))
}

fn int_or_string(value: &Value) -> Result<IntOrString, String> {
    match value {
        Value::Number(number) => number.as_i64().map(IntOrString::Int),
        Value::String(text) => Some(IntOrString::Text(text.as_str().into())),
        _ => None,
    }
    .ok_or_else(|| format!("{value} is neither"))
}

#[test]
fn conformance_durations() {
    run_corpus("objects", "durations", |case| {
        let input = text(case, "input").ok_or("no input")?;
        match text(case, "op") {
            Some("duration") => duration(input, case),
            Some("time") => time(Timestamp::parse(input), case, |stamp| stamp.to_string()),
            _ => time(Timestamp::parse_micro(input), case, |stamp| stamp.micro_text()),
        }
    });
}

fn duration(input: &str, case: &Value) -> Result<(), String> {
    match parse_go_duration(input) {
        Ok(nanos) => {
            same("nanoseconds", Some(nanos), int(case, "nanoseconds"))?;
            let canonical = format_go_duration(nanos);
            same("text", Some(canonical.as_str()), text(case, "canonical"))
        }
        Err(error) => same("error", Some(error.to_string().as_str()), text(case, "error")),
    }
}

fn time(
    parsed: Result<Timestamp, impl std::fmt::Display>,
    case: &Value,
    print: impl Fn(Timestamp) -> String,
) -> Result<(), String> {
    match parsed {
        Err(error) => same("error", Some(error.to_string().as_str()), text(case, "error")),
        Ok(stamp) if stamp.is_zero() => same("null", Some(&Value::Null), case.get("canonical")),
        Ok(stamp) => {
            same("text", Some(print(stamp).as_str()), text(case, "canonical"))?;
            let secs = int(case, "unixSeconds").unwrap_or(stamp.unix_secs());
            same("seconds", stamp.unix_secs(), secs)
        }
    }
}
