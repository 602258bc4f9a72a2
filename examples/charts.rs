//! Draws a made-up set of charts into a folder, as SVG and PNG.
//!
//! ```text
//!  replicas │██▇▇▅▅▃▃▁▁          █ v1   █ v2   ─ ready
//!           │▁▁▃▃▅▅▇▇██
//!           └──────────── time        Figure { panels: [Panel { layers: [Stacked, Step] }] } ─► .svg, .png
//! ```
//!
//! `cargo run --example charts -- target/charts`

use std::path::PathBuf;

use seatrial::report::chart::{
    Axis, Bar, Estimate, Figure, Layer, Panel, Role, Stack, Unit, render_png, render_svg,
};

fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "target/charts".into()));
    std::fs::create_dir_all(&folder)?;
    for (name, figure) in figures() {
        std::fs::write(folder.join(format!("{name}.svg")), render_svg(&figure))?;
        std::fs::write(folder.join(format!("{name}.png")), render_png(&figure))?;
    }
    Ok(())
}

fn figures() -> Vec<(&'static str, Figure)> {
    vec![
        ("replicas", replicas()),
        ("calls", calls()),
        ("nodes", nodes()),
        ("pending", pending()),
        ("difference", difference()),
        ("bars", bars()),
        ("empty", empty()),
    ]
}

/// A repeatable wobble in 0..1: the charts are made up, their bytes are not random.
fn wobble(i: u32, salt: u32) -> f64 {
    let mixed = (i ^ salt.wrapping_mul(0x9E37_79B9)).wrapping_mul(0x85EB_CA6B);
    f64::from((mixed ^ (mixed >> 13)).wrapping_mul(0xC2B2_AE35) >> 8) / f64::from(1_u32 << 24)
}

fn replicas() -> Figure {
    let x = vec![0.0, 60.0, 64.0, 75.0, 79.0, 92.0, 96.0, 108.0, 111.0, 126.0, 130.0, 172.0];
    let old = vec![6.0, 6.0, 6.0, 5.0, 5.0, 4.0, 3.0, 3.0, 2.0, 1.0, 1.0, 0.0];
    let new = vec![0.0, 2.0, 2.0, 3.0, 3.0, 4.0, 5.0, 5.0, 6.0, 6.0, 6.0, 6.0];
    let ready = [6.0, 6.0, 6.0, 5.0, 6.0, 6.0, 5.0, 6.0, 6.0, 5.0, 6.0, 6.0];
    let ready = x.iter().copied().zip(ready).collect();
    let stack = vec![Stack::new("v1", Role::Before, old), Stack::new("v2", Role::After, new)];
    let replicas = Panel::new(Axis::new("replicas of checkout", Unit::Count))
        .layer(Layer::stacked(x, stack))
        .layer(Layer::level("wanted", Role::Reference, 6.0))
        .layer(Layer::step("ready", Role::Total, ready));
    Figure::new("Replicas of deployment/checkout by revision", Axis::clock().range(0.0, 300.0))
        .subtitle("maxSurge 25 %, maxUnavailable 25 %, first of 20 runs, seed 7")
        .panel(replicas)
        .marker(60.0, "set image v2")
        .marker(64.0, "first v2 container started")
        .marker(75.0, "first v2 ready")
        .marker(172.0, "rollout complete")
        .span(220.0, 250.0, "zone b lost")
        .marker(296.0, "end of the run")
}

fn calls() -> Figure {
    let x: Vec<f64> = (0..600).map(f64::from).collect();
    let rate = |share: f64, salt: u32, from: u32, to: u32| -> Vec<f64> {
        let value = |i: u32| {
            let on = (from..to).contains(&i) && (salt == 0 || wobble(i, salt + 9) < 0.35);
            if on { (400.0 * share * (0.9 + 0.2 * wobble(i, salt))).round() } else { 0.0 }
        };
        (0..600).map(value).collect()
    };
    let stack = vec![
        Stack::new("reset in flight", Role::Failure(0), rate(0.02, 1, 60, 175)),
        Stack::new("proxy sent to a stopped pod", Role::Failure(1), rate(0.12, 2, 60, 175)),
        Stack::new("timed out", Role::Failure(2), rate(0.05, 3, 300, 360)),
        Stack::new("ok", Role::Ok, rate(1.0, 0, 0, 600)),
    ];
    let latency = |median: f64, salt: u32| -> Vec<(f64, f64)> {
        let slow = |i: u32| if (60..175).contains(&i) { 1.6 } else { 1.0 };
        let gap = |i: u32| {
            if (420..440).contains(&i) { f64::NAN } else { 1.0 }
        };
        let wide = 0.1 + 0.15 * f64::from(salt);
        (0..600)
            .map(|i| {
                (
                    f64::from(i),
                    gap(i) * median * slow(i) * (1.0 - wide / 2.0 + wide * wobble(i, salt)),
                )
            })
            .collect()
    };
    Figure::new("Calls to service/checkout during the rollout", Axis::clock().range(0.0, 600.0))
        .subtitle("400 calls a second, keep-alive; a second of no answers at 7:00 has no latency")
        .panel(
            Panel::new(Axis::new("calls per second", Unit::Count)).layer(Layer::stacked(x, stack)),
        )
        .panel(
            Panel::new(Axis::new("latency", Unit::Seconds).log())
                .layer(Layer::line("p50", Role::Rank(0), latency(0.022, 1)))
                .layer(Layer::line("p90", Role::Rank(1), latency(0.055, 2)))
                .layer(Layer::line("p99", Role::Rank(2), latency(0.12, 3)))
                .layer(Layer::level("objective 250 ms", Role::Reference, 0.25)),
        )
        .marker(60.0, "rollout of v2")
        .marker(175.0, "complete")
        .span(300.0, 360.0, "workers-2 partitioned")
}

fn nodes() -> Figure {
    let day = |i: u32| f64::from(i) * 60.0;
    let load = |i: u32| 0.45 - 0.3 * (f64::from(i) / 1440.0 * std::f64::consts::TAU).cos();
    let curve = |scale: f64, salt: u32| -> Vec<(f64, f64)> {
        (0..1440).map(|i| (day(i), scale * load(i) + 0.03 * wobble(i, salt))).collect()
    };
    let spread = |scale: f64, salt: u32| -> Vec<(f64, f64, f64)> {
        let ends = |i: u32| (0.10 + 0.05 * wobble(i, salt), 0.14 + 0.04 * wobble(i, salt + 1));
        (0..1440)
            .map(|i| {
                (
                    day(i),
                    (scale * load(i) - ends(i).0).max(0.0),
                    (scale * load(i) + ends(i).1).min(1.0),
                )
            })
            .collect()
    };
    let gib = 1024.0 * 1024.0 * 1024.0;
    let memory = (0..1440).map(|i| (day(i), gib * (20.0 + 30.0 * load(i)))).collect();
    Figure::new("Use of the nodes over a day", Axis::clock().range(0.0, 86_400.0))
        .subtitle("6 nodes of 4 CPU and 16 GiB; hpa/checkout between 3 and 12 pods")
        .panel(
            Panel::new(Axis::new("share of allocatable CPU", Unit::Share))
                .layer(Layer::band("least to most used node", Role::Series(1), spread(0.8, 5)))
                .layer(Layer::line("requested", Role::Series(0), curve(1.15, 1)))
                .layer(Layer::line("used", Role::Series(1), curve(0.8, 2))),
        )
        .panel(
            Panel::new(Axis::new("memory in use", Unit::Bytes))
                .layer(Layer::line("used", Role::Series(1), memory))
                .layer(Layer::level("allocatable", Role::Reference, 96.0 * gib)),
        )
        .note("The band spans the six nodes at each sample; the line is their mean.")
}

fn pending() -> Figure {
    let samples = |scale: f64, zero: f64, salt: u32| -> Vec<f64> {
        let wait = |i: u32| {
            let u = wobble(i, salt);
            if u < zero { 0.0 } else { scale * ((u - zero) / (1.0 - zero + 1e-3)).powi(5) + 0.01 }
        };
        (0..4000).map(wait).collect()
    };
    Figure::new("How long pods waited for a node", Axis::new("pending time", Unit::Seconds).log())
        .subtitle("4,000 pods of the openb trace on 300 nodes")
        .panel(
            Panel::new(Axis::cumulative("share of pods that waited at most so long"))
                .layer(Layer::cdf("default", Role::Series(0), samples(600.0, 0.0, 1)))
                .layer(Layer::cdf("best-fit", Role::Series(1), samples(240.0, 0.12, 2)))
                .layer(Layer::cdf("fgd", Role::Series(2), samples(90.0, 0.31, 3))),
        )
}

fn difference() -> Figure {
    let names = [
        "failed calls",
        "p99 latency",
        "p50 latency",
        "rollout duration",
        "cost",
        "services.checkout-with-a-long-name.calls.retried",
    ];
    let row = |row, value, low, high| Estimate { row, value, low, high };
    let group = |name: &str, role, rows| Layer::Estimates { name: name.to_owned(), role, rows };
    let better = vec![row(0, -0.31, -0.39, -0.22), row(1, -0.12, -0.15, -0.09)];
    let worse = vec![row(3, 0.21, 0.17, 0.26), row(4, 0.025, 0.012, 0.041)];
    let open = vec![row(2, -0.004, -0.018, 0.009), row(5, 0.01, -0.11, 0.13)];
    Figure::new("preStop sleep 5 s against none", Axis::new("change of B against A", Unit::Change))
        .subtitle("paired differences over 20 seeds, 95 % intervals")
        .panel(
            Panel::new(Axis::names("", names.map(str::to_owned).to_vec()))
                .layer(group("better", Role::After, better))
                .layer(group("worse", Role::Failure(0), worse))
                .layer(group("no clear difference", Role::Muted, open)),
        )
}

fn bars() -> Figure {
    let policies = ["default", "best-fit", "fgd", "dot-product", "random"];
    let bars = |values: [f64; 5]| -> Vec<Bar> {
        let bar = |(at, value): (u32, f64)| {
            let interval = Some((value * 0.9, value * 1.12));
            Bar { at: f64::from(at), value, interval }
        };
        (0..5).zip(values).map(bar).collect()
    };
    let layer =
        |name: &str, role, values| Layer::Bars { name: name.to_owned(), role, bars: bars(values) };
    Figure::new(
        "Pods without a node by policy",
        Axis::names("policy", policies.map(str::to_owned).to_vec()),
    )
    .panel(
        Panel::new(Axis::new("unscheduled pods", Unit::Count))
            .layer(layer("openb", Role::Series(0), [812.0, 640.0, 402.0, 530.0, 1204.0]))
            .layer(layer("gpu-heavy", Role::Series(1), [1320.0, 1105.0, 640.0, 880.0, 2100.0])),
    )
}

fn empty() -> Figure {
    Figure::new(
        "A run in which nothing failed & <nothing> was \"slow\"",
        Axis::clock().range(0.0, 60.0),
    )
    .panel(Panel::new(Axis::new("failed calls per second", Unit::Count)).layer(Layer::line(
        "failed",
        Role::Failure(0),
        vec![(1.0, f64::NAN)],
    )))
}
