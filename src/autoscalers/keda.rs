//! KEDA: a ScaledObject's step from zero and to zero; between one and many an ordinary
//! HorizontalPodAutoscaler works that it makes (rules A222, A223).
//!
//! ```text
//! poll ─► active? ──yes──► at zero (or idle)? ─► max(1, minReplicaCount) · remember when
//!            │ no
//!            └─ active last longer ago than cooldownPeriod? ─► 0 (or idleReplicaCount), in one step
//! ```
//!
//! Source: keda v2.20.2 pkg/scaling/scale_handler.go, pkg/scaling/executor/scale_scaledobjects.go
//! `RequestScale`, `scaleToZeroOrIdle` (rules A224 to A229, A231). Differs: triggers ask for metrics of the scenario.

use crate::base::SimTime;
use crate::cluster::{Change, Cluster, Controller, Plan, Requeue};
use crate::model::{HpaId, Model, ObjectKey, ScaledObjectSpec, TriggerSpec};
use crate::record::{About, EventRecord, ScaleRecord};
use crate::sim::Ctx;

use super::hpa::Target;

/// The loops of all ScaledObjects.
#[derive(Debug, Default)]
pub struct KedaController {
    /// When each was active last, in the order of the model.
    active: Vec<Option<SimTime>>,
}

impl KedaController {
    /// For a run of this model.
    #[must_use]
    pub fn new(model: &Model) -> Self {
        Self { active: vec![None; model.scaled_objects.len()] }
    }
}

impl Controller for KedaController {
    fn name(&self) -> &'static str {
        "keda-operator"
    }

    fn wakes(&self, _change: &Change, _cluster: &Cluster, _out: &mut Vec<ObjectKey>) {}

    /// Each is looked at at once, and then every `pollingInterval` (rule A224).
    fn begins(&self, cluster: &Cluster, out: &mut Vec<(ObjectKey, crate::base::Duration)>) {
        let made = |id: &HpaId| {
            let row = cluster.hpa(*id);
            row.is_some_and(|row| of(row.spec.name, cluster).is_some())
        };
        if !cluster.model().paused_scales.is_empty() {
            out.push((ObjectKey::Cluster, crate::base::Duration::ZERO));
        }
        if !cluster.model().scaled_objects.is_empty() {
            let ids = cluster.hpa_ids().filter(made);
            out.extend(ids.map(|id| (ObjectKey::Hpa(id), crate::base::Duration::ZERO)));
        }
    }

    fn reconcile(
        &mut self,
        key: ObjectKey,
        cluster: &Cluster,
        plan: &mut Plan,
        ctx: &mut Ctx<'_>,
    ) -> Requeue {
        if key == ObjectKey::Cluster {
            return keep_paused(cluster, plan);
        }
        let ObjectKey::Hpa(id) = key else { return Requeue::Never };
        let Some(hpa) = cluster.hpa(id) else { return Requeue::Never };
        let Some((index, spec)) = of(hpa.spec.name, cluster) else { return Requeue::Never };
        if let Some(target) = Target::of(&hpa.spec, cluster) {
            let current = target.replicas(cluster);
            let activity = activity(spec, cluster, ctx.now());
            let wanted = step(spec, current, activity, &mut self.active[index], ctx.now());
            let is_allowed = |to: &u32| if *to > current { spec.may_grow } else { spec.may_shrink };
            if let Some(to) = wanted.filter(|to| *to != current).filter(is_allowed) {
                plan.push(target.scale(to, cluster));
                tell(id, spec, (current, to), ctx);
            }
        }
        Requeue::After(spec.polling)
    }
}

/// What `paused-replicas` asks for is set once, and nothing more is done (rule A231).
fn keep_paused(cluster: &Cluster, plan: &mut Plan) -> Requeue {
    for paused in &cluster.model().paused_scales {
        let target = Target::find(paused.name.namespace, paused.target, cluster);
        if let Some(target) = target.filter(|target| target.replicas(cluster) != paused.replicas) {
            plan.push(target.scale(paused.replicas, cluster));
        }
    }
    Requeue::Never
}

/// What the triggers say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Activity {
    is_active: bool,
    has_failed: bool,
}

/// The ScaledObject that made an autoscaler.
fn of(hpa: crate::model::ObjectName, cluster: &Cluster) -> Option<(usize, &ScaledObjectSpec)> {
    cluster.model().scaled_objects.iter().enumerate().find(|(_, spec)| spec.hpa == hpa)
}

/// A trigger is active above its activation threshold, strictly; cpu and memory alone always are
/// (rule A225).
fn activity(spec: &ScaledObjectSpec, cluster: &Cluster, now: SimTime) -> Activity {
    let model = cluster.model();
    let is_plain = spec.triggers.iter().all(|trigger| trigger.metric.is_none());
    let mut all = Activity { is_active: is_plain, has_failed: false };
    if let Some(TriggerSpec { metric: Some(index), activation }) = spec.composite {
        let value = cluster.metric_value(&model.metrics[index], now);
        let is_active = value.is_some_and(|value| value > activation);
        return Activity { is_active, has_failed: value.is_none() };
    }
    for trigger in &spec.triggers {
        let Some(metric) = trigger.metric.map(|index| &model.metrics[index]) else { continue };
        if let crate::model::MetricSource::Cron { .. } = metric.source {
            all.is_active |= metric.source.is_on(model.run.start_unix, now);
            continue;
        }
        match cluster.metric_value(metric, now) {
            Some(value) => all.is_active |= value > trigger.activation,
            None => all.has_failed = true,
        }
    }
    all
}

/// The size that KEDA itself asks for, if it does (rules A226 to A229).
fn step(
    spec: &ScaledObjectSpec,
    current: u32,
    activity: Activity,
    active: &mut Option<SimTime>,
    now: SimTime,
) -> Option<u32> {
    let min = spec.replicas_min;
    if activity.is_active {
        if current == 0 || (spec.replicas_idle.is_some() && current < min) {
            *active = Some(now);
            return Some(min.max(1));
        }
        if !activity.has_failed {
            *active = Some(now);
        }
        return None;
    }
    // With a fallback of some size it is left alone, so that the autoscaler goes on; with one of
    // none it may rest.
    let rests = spec.fallback.is_some_and(|fallback| fallback.replicas == 0);
    if activity.has_failed && !rests {
        return None;
    }
    let rest = spec.replicas_idle.unwrap_or(0);
    let goes_to_rest = spec.replicas_idle.is_some() || min == 0;
    if goes_to_rest && current > rest {
        let until = match *active {
            Some(at) => at + spec.cooldown,
            None => SimTime::ZERO + spec.initial_cooldown,
        };
        return (until < now).then_some(rest);
    }
    (spec.replicas_idle.is_none() && current < min).then_some(min)
}

fn tell(hpa: HpaId, spec: &ScaledObjectSpec, (from, to): (u32, u32), ctx: &mut Ctx<'_>) {
    let is_up = to > from;
    let reason = if is_up { "KEDAScaleTargetActivated" } else { "KEDAScaleTargetDeactivated" };
    ctx.recorder.scale(ScaleRecord {
        at: ctx.now(),
        hpa,
        from,
        to,
        raw: to,
        utilization: None,
        reason,
    });
    if ctx.recorder.wants_events() {
        ctx.recorder.event(EventRecord {
            at: ctx.now(),
            is_warning: false,
            reason,
            about: About::Object("ScaledObject", spec.name),
            message: format!("Scaled the target from {from} to {to}"),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Duration, Symbol};
    use crate::model::ObjectName;

    fn spec() -> ScaledObjectSpec {
        let name = ObjectName { namespace: Symbol::new(0), name: Symbol::new(0) };
        ScaledObjectSpec {
            name,
            hpa: name,
            replicas_min: 0,
            replicas_idle: None,
            polling: Duration::secs(30),
            cooldown: Duration::secs(300),
            initial_cooldown: Duration::ZERO,
            may_grow: true,
            may_shrink: true,
            triggers: Vec::new(),
            composite: None,
            fallback: None,
        }
    }

    const ON: Activity = Activity { is_active: true, has_failed: false };
    const OFF: Activity = Activity { is_active: false, has_failed: false };
    const LOST: Activity = Activity { is_active: false, has_failed: true };

    fn at(secs: u64) -> SimTime {
        SimTime::ZERO + Duration::secs(secs)
    }

    /// Rules A226 to A228: from zero at once, to zero after the cooldown in one step, strictly; with
    /// an error nothing, and the clock is not set anew.
    #[test]
    fn it_goes_to_zero_only_when_the_cooldown_is_over() {
        let (spec, mut active) = (spec(), None);
        assert_eq!(step(&spec, 0, ON, &mut active, at(30)), Some(1));
        assert_eq!(step(&spec, 1, ON, &mut active, at(60)), None);
        let half = Activity { has_failed: true, ..ON };
        assert_eq!(step(&spec, 9, half, &mut active, at(90)), None);
        assert_eq!(active, Some(at(60)));
        assert_eq!(step(&spec, 9, LOST, &mut active, at(900)), None);
        assert_eq!(step(&spec, 9, OFF, &mut active, at(360)), None);
        assert_eq!(step(&spec, 9, OFF, &mut active, at(361)), Some(0));
    }

    /// Rules A226, A227, A229: idleReplicaCount takes the place of zero, minReplicaCount that of one.
    #[test]
    fn it_keeps_the_numbers_that_are_asked_for() {
        let mut active = Some(at(0));
        let least = ScaledObjectSpec { replicas_min: 3, ..spec() };
        assert_eq!(step(&least, 1, OFF, &mut active, at(1000)), Some(3));
        assert_eq!(step(&least, 0, ON, &mut active, at(1000)), Some(3));
        assert_eq!(step(&least, 8, OFF, &mut active, at(5000)), None);
        let idle = ScaledObjectSpec { replicas_min: 3, replicas_idle: Some(1), ..spec() };
        assert_eq!(step(&idle, 8, OFF, &mut active, at(5000)), Some(1));
        assert_eq!(step(&idle, 1, OFF, &mut active, at(5030)), None);
        assert_eq!(step(&idle, 1, ON, &mut active, at(5060)), Some(3));
    }
}
