//! Pods that come without a controller.

use std::sync::Arc;

use seatrial::base::{Distribution, Duration, SimTime};
use seatrial::cluster::{Cluster, Component, Plan};
use seatrial::event::Event;
use seatrial::generators::Generators;
use seatrial::model::{
    Arrivals, GeneratorSpec, ListedPod, Model, Rate, TemplateHandle, WorkloadKind,
};
use seatrial::recorder::Recorder;
use seatrial::sim::{Ctx, EventQueue, Streams};

use crate::support::model::ModelBuilder;

/// A pod as it came: instant, entry of the mix (by image), lifetime.
type Seen = (SimTime, usize, Option<Duration>);

fn run(
    arrivals: Arrivals,
    count: Option<u64>,
    lifetime: Option<Distribution>,
    until: Duration,
) -> Vec<Seen> {
    let mut builder = ModelBuilder::new();
    let kind = WorkloadKind::Generator;
    let small = builder.template(kind, "batch", "small");
    let large = builder.template(kind, "batch", "large");
    let name = builder.name("batch");
    builder.model.generators.push(GeneratorSpec {
        name: name.name,
        namespace: name.namespace,
        arrivals,
        count,
        mix: vec![(3.0, TemplateHandle(small)), (1.0, TemplateHandle(large))],
        lifetime,
    });
    play(&builder.build(), SimTime::at(until))
}

fn play(model: &Arc<Model>, until: SimTime) -> Vec<Seen> {
    let streams = Streams { seed: 7, replication: 0 };
    let mut changes = Vec::new();
    let mut cluster = Cluster::new(model, &streams, &mut changes);
    let mut generators = Generators::new(model, &streams);
    let (mut queue, mut recorder) = (EventQueue::new(1_000_000), Recorder::off());
    let mut plan = Plan::default();
    let ctx = &mut Ctx { queue: &mut queue, streams: &streams, recorder: &mut recorder };
    generators.start(&cluster, &mut plan, ctx);
    while let Some((at, event)) = ctx.queue.pop_before(until) {
        let Event::Generator(id) = event else { unreachable!("nothing else happens") };
        generators.handle(id, &cluster, &mut plan, ctx);
        cluster.commit(&mut plan, at, &mut changes, ctx.recorder);
    }
    let mut pods: Vec<_> = cluster.pods().iter().map(|(_, pod)| pod).collect();
    pods.sort_by_key(|pod| pod.serial);
    let entry = |pod| usize::from(cluster.template_of(pod).template.source["image"] == "large");
    pods.iter().map(|pod| (pod.created, entry(pod), pod.lifetime)).collect()
}

fn secs(at: u64) -> SimTime {
    SimTime::at(Duration::secs(at))
}

/// 50 a second for 200 s: 10,000 ± 4·√10,000; a quarter of them large, ± 4·√(10,000·3/16).
#[test]
fn poisson_pods_have_their_rate_and_mix() {
    let rate = Arrivals::Poisson(Rate::constant(50.0));
    let pods = run(rate, None, Some(Distribution::Constant(30.0)), Duration::secs(200));
    assert!((9_600..10_400).contains(&pods.len()), "{}", pods.len());
    let large = pods.iter().filter(|(_, entry, _)| *entry == 1).count();
    assert!((2_327..2_673).contains(&(large * 10_000 / pods.len())), "{large}");
    assert!(pods.iter().all(|(_, _, life)| *life == Some(Duration::secs(30))));
}

#[test]
fn a_count_ends_a_renewal() {
    let gaps = Arrivals::Renewal(Distribution::Constant(2.0));
    let pods = run(gaps, Some(3), None, Duration::secs(100));
    let at: Vec<SimTime> = pods.iter().map(|(at, _, _)| *at).collect();
    assert_eq!(at, [secs(2), secs(4), secs(6)]);
}

/// More than one event makes at once.
#[test]
fn all_at_one_instant() {
    let pods = run(Arrivals::At(secs(5)), Some(1_000), None, Duration::secs(6));
    assert_eq!(pods.len(), 1_000);
    assert!(pods.iter().all(|(at, _, _)| *at == secs(5)));
    let zero = run(Arrivals::At(secs(0)), Some(300), None, Duration::secs(6));
    assert_eq!(zero.len(), 300);
}

#[test]
fn a_list_is_followed() {
    let pod = |at, template, lifetime: Option<u64>| ListedPod {
        at: secs(at),
        template,
        lifetime: lifetime.map(Duration::secs),
    };
    let list = [pod(1, 1, Some(9)), pod(1, 0, None), pod(4, 1, Some(2))];
    let pods = run(Arrivals::Listed(Arc::from(list)), None, None, Duration::secs(10));
    let nine = Some(Duration::secs(9));
    let two = Some(Duration::secs(2));
    assert_eq!(pods, [(secs(1), 1, nine), (secs(1), 0, None), (secs(4), 1, two)]);
}
