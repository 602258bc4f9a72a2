//! `kubectl drain`: cordons the nodes, then empties one after another.
//!
//! ```text
//! command ─► cordon all ─► Node ─► filters ─┬─ one fatal pod ───────────────► node failed
//!                           ▲               └─ all others at once:
//!                           │   Ask ─► Answer ─┬─ ok ──────► Look ─► Seen ─► gone: done
//!                           │    ▲             ├─ 429 ─► 5 s ─┐  ▲    └─ 1 s ─┐
//!                           │    └─────────────┼──────────────┘  └────────────┘
//!                           │                  ├─ not found ─► done
//!                           │                  └─ other ─────► pod failed
//!                           └── all pods done ─► node drained (or failed) ─► next node
//! ```
//!
//! Owns the drains of a run. Each pod's request is an event of its own, so that every eviction
//! meets the budget as the one before left it. Time-outs are noticed when a pod's turn comes.
//!
//! Source: kubernetes v1.36.3 staging/src/k8s.io/kubectl/pkg/drain/drain.go `evictPods`,
//! `deletePods`, `waitForDelete`; pkg/cmd/drain/drain.go `RunDrain` (rules C157 to C160).
//! Differs: nodes are cordoned and listed without latency; deletes of `--disable-eviction` are
//! sent side by side.

mod blocks;
mod filters;
mod run;

use rand_chacha::ChaCha8Rng;

use crate::api::TextSelector;
use crate::base::{Distribution, Duration, Id, SimTime, cast};
use crate::cluster::{Cluster, EvictionRefused, Plan, Write};
use crate::event::{DrainId, DrainStep, Event};
use crate::model::{DrainOptions, Latencies, Model, NodeId};
use crate::record::{DrainOutcome, DrainedNode};
use crate::sim::{Ctx, Streams};

use run::{Drain, State, Victim};

/// After a 429 a pod is tried again so much later.
const RETRY: Duration = Duration::secs(5);
/// How often it is looked whether a pod is gone.
const POLL: Duration = Duration::secs(1);
/// How often client-go obeys a `Retry-After` before its caller hears of it (rule C154).
const CLIENT_RETRIES: u32 = 10;

/// The drains of a run.
#[derive(Debug)]
pub struct Drains {
    runs: Vec<Drain>,
    rng: ChaCha8Rng,
    eviction: Distribution,
    write: Distribution,
    is_limited: bool,
    spacing: Duration,
    answers: Option<Vec<DrainAnswer>>,
}

/// What a drain was told, and what it tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainAnswer {
    /// When.
    pub at: SimTime,
    /// Which drain, in order of their starts.
    pub drain: DrainId,
    /// About which pod or node; `None`: all.
    pub about: Option<String>,
    /// The answer, in the API server's or kubectl's words.
    pub text: String,
}

impl Drains {
    /// None yet.
    #[must_use]
    pub fn new(model: &Model, streams: &Streams) -> Self {
        let Latencies { eviction, api_write, limited_clients, .. } = &model.latencies;
        Self {
            runs: Vec::new(),
            rng: streams.open("kubectl-drain", ""),
            eviction: eviction.clone(),
            write: api_write.clone(),
            is_limited: *limited_clients,
            spacing: Duration::ZERO,
            answers: None,
        }
    }

    /// As the recordings have them: a node's pods are asked for one after another with that much
    /// time between them, `Retry-After` is not obeyed, and all answers are kept.
    #[must_use]
    pub fn recorded(mut self, spacing: Duration) -> Self {
        self.spacing = spacing;
        self.answers = Some(Vec::new());
        self
    }

    /// Takes the answers kept so far.
    pub fn take_answers(&mut self) -> Vec<DrainAnswer> {
        self.answers.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Begins a drain: cordons all nodes that are named.
    ///
    /// # Errors
    /// In kubectl's words, if a node is not there or a selector is none; nothing happens then.
    pub fn start(
        &mut self,
        text: &str,
        options: &DrainOptions,
        cluster: &mut Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> Result<DrainId, String> {
        let nodes = find_nodes(options, cluster)?;
        let pod_selector = options.pod_selector.as_deref().map(|text| {
            let invalid = "error: --pod-selector=<pod_selector> must be a valid label selector";
            let parsed = TextSelector::parse(text).map_err(|_| invalid.to_owned())?;
            Ok::<_, String>(parsed.lower(cluster.names_mut()))
        });
        let pod_selector = pod_selector.transpose()?;
        let name = |node: NodeId| cluster.names().resolve(cluster.nodes()[node].spec.name);
        let waits = |node: NodeId| (node, DrainedNode::new(name(node).to_owned()));
        let nodes: Vec<_> = nodes.into_iter().map(waits).collect();
        for (node, _) in &nodes {
            plan.push(Write::Cordon { node: *node, unschedulable: true });
        }
        let id = DrainId::from_index(self.runs.len());
        self.runs.push(Drain {
            text: text.to_owned(),
            options: options.clone(),
            pod_selector,
            started: ctx.now(),
            ended: None,
            nodes,
            place: 0,
            victims: Vec::new(),
            full_at: ctx.now(),
        });
        ctx.after(Duration::ZERO, Event::Drain { drain: id, step: DrainStep::Node });
        Ok(id)
    }

    /// Something of a drain happens.
    pub fn handle(
        &mut self,
        (drain, step): (DrainId, DrainStep),
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) {
        match step {
            DrainStep::Node => self.begin_node(drain, cluster, ctx),
            DrainStep::Ask(victim) => self.ask((drain, victim), cluster, plan, ctx),
            DrainStep::Answer(victim) => self.answer((drain, victim), cluster, plan, ctx),
            DrainStep::Look(victim) => self.look((drain, victim), cluster, ctx),
            DrainStep::Seen(victim) => self.seen((drain, victim), cluster, ctx),
        }
    }

    /// How a drain has ended, once it has.
    ///
    /// # Errors
    /// What kubectl says of the nodes that it could not drain.
    #[must_use]
    pub fn result(&self, id: DrainId) -> Option<Result<String, String>> {
        let run = &self.runs[id.index()];
        run.ended?;
        let failed = run.nodes.iter().filter_map(|(_, node)| match &node.outcome {
            DrainOutcome::Failed(why) => {
                Some(format!("error: unable to drain node {:?} due to error: {why}", node.name))
            }
            _ => None,
        });
        let failed: Vec<String> = failed.collect();
        let last = run.nodes.last().map(|(_, node)| format!("node/{} drained", node.name));
        Some(match failed.is_empty() {
            true => Ok(last.unwrap_or_default()),
            false => Err(failed.join("\n")),
        })
    }

    /// How many pods wait to be tried again: a run in which nothing else waits is over.
    #[must_use]
    pub fn refused_pods(&self) -> usize {
        let victims = self.runs.iter().flat_map(|run| &run.victims);
        victims.filter(|victim| victim.state == State::Refused).count()
    }

    /// Tells of the drains that the end of the run cuts off.
    pub fn finish(&mut self, ctx: &mut Ctx<'_>) {
        for run in self.runs.iter_mut().filter(|run| run.ended.is_none()) {
            run.count();
            ctx.recorder.drain(run.record());
        }
    }

    /// Lists the pods of the next node, or ends the drain.
    fn begin_node(&mut self, id: DrainId, cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let spacing = self.spacing;
        let now = ctx.now();
        let run = &mut self.runs[id.index()];
        let Some((node, record)) = run.nodes.get_mut(run.place) else {
            return self.end(id, ctx);
        };
        let node = *node;
        (record.started, record.outcome) = (Some(now), DrainOutcome::UnderWay);
        let pods = cluster.pods().iter().filter(|(_, row)| row.node == Some(node));
        let victims = filters::victims(pods, run.pod_selector.as_ref(), &run.options, cluster);
        match victims {
            Err(why) => {
                record.outcome = DrainOutcome::Failed(why);
                self.end_node(id, ctx);
            }
            Ok(pods) if pods.is_empty() => self.end_node(id, ctx),
            Ok(pods) => {
                let refer = |id| cluster.pods().refer(id);
                let victims = pods.into_iter().map(|(id, row)| Victim::new(refer(id), row, now));
                run.victims = victims.collect();
                let mut at = now;
                for victim in 0..cast::u32_of(run.victims.len()) {
                    ctx.at(at, Event::Drain { drain: id, step: DrainStep::Ask(victim) });
                    at += spacing;
                }
            }
        }
    }

    /// A pod's turn: the request goes out when the client lets it.
    fn ask(
        &mut self,
        (id, index): (DrainId, u32),
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) {
        let law = match self.runs[id.index()].options.disable_eviction {
            true => &self.write,
            false => &self.eviction,
        };
        let latency = law.sample_duration(&mut self.rng);
        let run = &mut self.runs[id.index()];
        if run.is_late(ctx.now()) && !run.options.disable_eviction {
            let why = run.late("evicting", index, cluster);
            return self.done((id, index), State::Failed(why), ctx);
        }
        let at = run.token(self.is_limited, ctx.now()) + latency;
        if at > ctx.now() {
            return ctx.at(at, Event::Drain { drain: id, step: DrainStep::Answer(index) });
        }
        self.answer((id, index), cluster, plan, ctx);
    }

    /// The request reaches the API server, which answers.
    fn answer(
        &mut self,
        (id, index): (DrainId, u32),
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) {
        let run = &mut self.runs[id.index()];
        let victim = &mut run.victims[cast::usize_of(index)];
        if victim.state == State::Refused {
            victim.read_again(cluster);
        }
        let (pod, grace) = (victim.pod, run.options.grace);
        let answer = if run.options.disable_eviction && cluster.pod(pod).is_some() {
            plan.push(Write::DeletePod { pod, grace });
            Ok(())
        } else {
            plan.evict_pod(pod, grace, cluster)
        };
        let about = Some(victim.name.text(cluster.names()));
        let text = answer.as_ref().map_or_else(ToString::to_string, |()| "ok".to_owned());
        self.tell(id, about, text, ctx.now());
        match answer {
            Ok(()) => {
                let victim = self.victim(id, index);
                victim.state = State::Going;
                victim.looks_from = ctx.now();
                let block = victim.block.take();
                self.runs[id.index()].let_through(block);
                ctx.after(Duration::ZERO, Event::Drain { drain: id, step: DrainStep::Look(index) });
            }
            Err(refused) if refused.code == 404 => self.done((id, index), State::Done, ctx),
            Err(refused) => self.refused((id, index), &refused, cluster, ctx),
        }
    }

    fn refused(
        &mut self,
        (id, index): (DrainId, u32),
        refused: &EvictionRefused,
        cluster: &Cluster,
        ctx: &mut Ctx<'_>,
    ) {
        let obeys = self.answers.is_none();
        let run = &mut self.runs[id.index()];
        run.note(index, refused, cluster, ctx.now());
        if !refused.is_too_many() {
            let pod = run.victims[cast::usize_of(index)].quoted(cluster);
            let why = format!("error when evicting {pod}: {}", refused.message);
            return self.done((id, index), State::Failed(why), ctx);
        }
        let victim = &mut run.victims[cast::usize_of(index)];
        victim.state = State::Refused;
        let after = match refused.retry_after {
            Some(after) if obeys && victim.client_retries < CLIENT_RETRIES => {
                victim.client_retries += 1;
                after
            }
            _ => {
                victim.client_retries = 0;
                RETRY
            }
        };
        ctx.after(after, Event::Drain { drain: id, step: DrainStep::Ask(index) });
    }

    fn look(&mut self, (id, index): (DrainId, u32), cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let at = self.runs[id.index()].token(self.is_limited, ctx.now());
        if at > ctx.now() {
            return ctx.at(at, Event::Drain { drain: id, step: DrainStep::Seen(index) });
        }
        self.seen((id, index), cluster, ctx);
    }

    /// Gone, or another pod of the same name: done.
    fn seen(&mut self, (id, index): (DrainId, u32), cluster: &Cluster, ctx: &mut Ctx<'_>) {
        let run = &self.runs[id.index()];
        let victim = &run.victims[cast::usize_of(index)];
        let row = cluster.pod(victim.pod);
        if row.is_none_or(|row| filters::is_overdue(row, &run.options, cluster)) {
            return self.done((id, index), State::Done, ctx);
        }
        if run.is_late(ctx.now()) {
            let why = run.late("waiting for", index, cluster);
            return self.done((id, index), State::Failed(why), ctx);
        }
        let mut next = victim.looks_from + POLL;
        while next <= ctx.now() {
            next += POLL;
        }
        ctx.at(next, Event::Drain { drain: id, step: DrainStep::Look(index) });
    }

    fn victim(&mut self, id: DrainId, index: u32) -> &mut Victim {
        &mut self.runs[id.index()].victims[cast::usize_of(index)]
    }

    /// A pod is done with; with the last one its node is.
    fn done(&mut self, (id, index): (DrainId, u32), state: State, ctx: &mut Ctx<'_>) {
        self.victim(id, index).state = state;
        let is_over = |victim: &Victim| matches!(victim.state, State::Done | State::Failed(_));
        if self.runs[id.index()].victims.iter().all(is_over) {
            self.end_node(id, ctx);
        }
    }

    /// The next node has its turn; an error on one does not stop the others (rule C157).
    fn end_node(&mut self, id: DrainId, ctx: &mut Ctx<'_>) {
        let run = &mut self.runs[id.index()];
        run.count();
        let errors = run.victims.drain(..).filter_map(|victim| match victim.state {
            State::Failed(why) => Some(why),
            _ => None,
        });
        let errors: Vec<String> = errors.collect();
        let record = &mut run.nodes[run.place].1;
        record.ended = Some(ctx.now());
        if !errors.is_empty() {
            record.outcome = DrainOutcome::Failed(filters::aggregate(&errors));
        } else if record.outcome == DrainOutcome::UnderWay {
            record.outcome = DrainOutcome::Drained;
        }
        let about = Some(record.name.clone());
        let text = match &record.outcome {
            DrainOutcome::Failed(why) => {
                let name = about.as_deref().unwrap_or_default();
                format!(
                    "error: unable to drain node {name:?} due to error: {why}, continuing \
                     command..."
                )
            }
            _ => "node drained".to_owned(),
        };
        run.place += 1;
        self.tell(id, about, text, ctx.now());
        ctx.after(Duration::ZERO, Event::Drain { drain: id, step: DrainStep::Node });
    }

    fn end(&mut self, id: DrainId, ctx: &mut Ctx<'_>) {
        let run = &mut self.runs[id.index()];
        run.ended = Some(ctx.now());
        ctx.recorder.drain(run.record());
        self.tell(id, None, "drain done".to_owned(), ctx.now());
    }

    fn tell(&mut self, drain: DrainId, about: Option<String>, text: String, at: SimTime) {
        if let Some(answers) = &mut self.answers {
            answers.push(DrainAnswer { at, drain, about, text });
        }
    }
}

/// The nodes that a drain names, or all with its labels in order of names.
fn find_nodes(options: &DrainOptions, cluster: &mut Cluster) -> Result<Vec<NodeId>, String> {
    let Some(selector) = &options.selector else {
        let find = |name: &crate::base::Symbol| {
            let node = cluster.node_named(*name).filter(|node| !cluster.nodes()[*node].is_gone);
            let name = cluster.names().resolve(*name);
            node.ok_or_else(|| format!("Error from server (NotFound): nodes {name:?} not found"))
        };
        return options.nodes.iter().map(find).collect();
    };
    let parsed = TextSelector::parse(selector).map_err(|why| format!("error: {why}"))?;
    let selector = parsed.lower(cluster.names_mut());
    let names = cluster.names();
    let all = cluster.nodes().enumerate();
    let has = |node: &crate::cluster::Node| selector.matches(&node.spec.labels, names);
    let mut found: Vec<_> = all
        .filter(|(_, row)| !row.is_gone && has(row))
        .map(|(id, row)| (names.resolve(row.spec.name), id))
        .collect();
    found.sort_unstable();
    Ok(found.into_iter().map(|(_, id)| id).collect())
}
