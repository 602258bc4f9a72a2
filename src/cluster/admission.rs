//! What the API server's admission says of objects that are created: quotas, LimitRanges,
//! RuntimeClasses.
//!
//! ```text
//! template's row ── in a namespace with rules ─► filled template, what it takes, or a refusal (kept)
//! plan.create_pod ─ admit ─► what quotas have left, after what this plan has taken
//! commit          ─ admit ─► again: others may have been faster
//! ```
//!
//! Owns the rules by namespace and what their quotas count. Where no rule stands nothing is done.
//!
//! Source: kubernetes v1.36.3 apiserver/pkg/admission/plugin/resourcequota,
//! plugin/pkg/admission/limitranger, plugin/pkg/admission/serviceaccount (rules C185 to C190). Differs: usage of quotas is always up to
//! date (the original's follows events). A ServiceAccount that a pod names is missed only in
//! namespaces where one is declared: elsewhere manifests are taken to leave them out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::api::admission::{self, Quota, Surroundings, Usage, default_limit_range};
use crate::api::{self, Kind, Lowering};
use crate::base::{Duration, Interner, LookupMap, Symbol};
use crate::model::{
    BudgetId, ObjectName, PodId, PodRef, PodSpec, TaintEffect, Template, Toleration,
    TolerationOperator,
};

use super::resize::{Allotments, write_amounts};
use super::{Cluster, LimitBounds, NewPod, Refusal, ReplicaSet};

type Amounts = BTreeMap<String, crate::base::Quantity>;

/// What the pods of one plan take.
#[derive(Clone, Debug, Default)]
pub struct Charged {
    /// Injected failures that they used up.
    failures: u32,
    /// Evictions that budgets granted.
    pub(super) evictions: Vec<BudgetId>,
    /// By namespace and quota.
    used: BTreeMap<(Symbol, usize), Amounts>,
}

/// The rules of all namespaces.
#[derive(Debug, Default)]
pub(super) struct Admission {
    spaces: LookupMap<Symbol, Space>,
    runtime_classes: Vec<Arc<Value>>,
    accounts: BTreeSet<ObjectName>,
    /// Namespaces in which a ServiceAccount was declared at some time.
    with_accounts: BTreeSet<Symbol>,
    pub(super) failing_creations: u32,
    /// Of the tolerations that pods get by default (rule C168).
    toleration: Option<Duration>,
}

/// The rules of one namespace.
#[derive(Debug, Default)]
struct Space {
    limit_ranges: Vec<Arc<Value>>,
    /// By name; beside each what pods use of it.
    quotas: Vec<(Quota, Amounts)>,
}

/// What admission makes of a template.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// The template with what admission fills in; `None`: nothing is filled in.
    pub template: Option<Arc<Template>>,
    usage: Usage,
    refusal: Option<Refusal>,
}

impl Admission {
    /// No rules; pods tolerate lost nodes for this long by default.
    pub(super) fn new(toleration: Option<Duration>) -> Self {
        Self { toleration, ..Self::default() }
    }

    /// The rules that stand among these trees.
    fn of<'a>(trees: impl Iterator<Item = (Kind, ObjectName, &'a Arc<Value>)>) -> Self {
        let mut all = Self::default();
        for (kind, name, tree) in trees {
            let namespace = name.namespace;
            match kind {
                Kind::LimitRange => {
                    let mut tree = (**tree).clone();
                    default_limit_range(&mut tree);
                    all.space(namespace).limit_ranges.push(Arc::new(tree));
                }
                Kind::ResourceQuota => {
                    all.space(namespace).quotas.push((Quota::new(tree), Amounts::new()));
                }
                Kind::ServiceAccount => {
                    all.accounts.insert(name);
                    all.with_accounts.insert(namespace);
                }
                Kind::RuntimeClass => all.runtime_classes.push(Arc::clone(tree)),
                _ => {}
            }
        }
        all
    }

    fn space(&mut self, namespace: Symbol) -> &mut Space {
        if self.spaces.get(&namespace).is_none() {
            self.spaces.insert(namespace, Space::default());
        }
        self.spaces.get_mut(&namespace).expect("it was inserted")
    }

    fn around(&self, namespace: Symbol) -> Surroundings<'_> {
        let space = self.spaces.get(&namespace);
        Surroundings {
            limit_ranges: space.iter().flat_map(|s| s.limit_ranges.iter().map(|r| &**r)).collect(),
            runtime_classes: self.runtime_classes.iter().map(|class| &**class).collect(),
        }
    }

    /// What the LimitRanges of a namespace say of limits of containers.
    pub(super) fn bounds(&self, namespace: Symbol) -> LimitBounds {
        let ranges = self.spaces.get(&namespace).into_iter().flat_map(|space| &space.limit_ranges);
        LimitBounds::of(ranges.map(|range| &**range))
    }

    /// What becomes of pods of a template; `None` if no rule touches them.
    pub(super) fn of_template(
        &self,
        template: &Template,
        cx: &mut Lowering<'_>,
    ) -> Option<Box<Admitted>> {
        let namespace = template.workload.name.namespace;
        let spec = &template.source["spec"];
        let lacking = self.missing_account(namespace, spec, cx.names);
        let is_plain = lacking.is_none() && spec["runtimeClassName"].is_null();
        if self.spaces.get(&namespace).is_none() && is_plain {
            let template = default_tolerations(template, self.toleration?, cx.names)?;
            let usage = admission::usage(Kind::Pod, &template.source);
            return Some(Box::new(Admitted {
                template: Some(Arc::new(template)),
                usage,
                refusal: None,
            }));
        }
        let around = self.around(namespace);
        let mut tree = (*template.source).clone();
        let mut refused = lacking;
        if refused.is_none() {
            refused = admission::fill(Kind::Pod, &mut tree, &around).err();
        }
        if refused.is_none() {
            refused = admission::check_limits(Kind::Pod, &tree, &around).err();
        }
        let mut admitted = Admitted {
            template: None,
            usage: admission::usage(Kind::Pod, &tree),
            refusal: refused.map(|message| Refusal { code: 403, message }),
        };
        if tree["spec"] != *spec && admitted.refusal.is_none() {
            match api::lower_generated(&tree, template.workload, cx) {
                Ok(filled) => admitted.template = Some(filled),
                Err(problems) => {
                    let message = problems.first().map_or_else(String::new, ToString::to_string);
                    admitted.refusal = Some(Refusal { code: 422, message });
                }
            }
        }
        if admitted.refusal.is_none() {
            let filled = admitted.template.as_deref().unwrap_or(template);
            let tolerant = self.toleration.and_then(|t| default_tolerations(filled, t, cx.names));
            admitted.template = tolerant.map(Arc::new).or(admitted.template);
        }
        Some(Box::new(admitted))
    }
}

impl Admission {
    /// That the ServiceAccount is not there which the pods of a template name; `default` always is.
    fn missing_account(&self, namespace: Symbol, spec: &Value, names: &Interner) -> Option<String> {
        let name = spec["serviceAccountName"].as_str().unwrap_or_default();
        if matches!(name, "" | "default") || !self.with_accounts.contains(&namespace) {
            return None;
        }
        let known = names.get(name).map(|name| ObjectName { namespace, name });
        let is_there = known.is_some_and(|name| self.accounts.contains(&name));
        let space = names.resolve(namespace);
        let mut pod = serde_json::json!({
            "metadata": { "namespace": space }, "spec": { "serviceAccountName": name },
        });
        admission::service_account(&mut pod, |_| is_there).err()
    }
}

/// A template with the tolerations that pods get which say nothing of nodes that are not ready or
/// unreachable; `None` if it says something of both.
///
/// Source: kubernetes v1.36.3 plugin/pkg/admission/defaulttolerationseconds/admission.go (rule
/// C168).
fn default_tolerations(
    template: &Template,
    patience: Duration,
    names: &mut Interner,
) -> Option<Template> {
    let seconds = Some(patience);
    let mut tolerations = template.spec.tolerations.clone();
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let key = names.intern(key);
        let is_about = |toleration: &Toleration| {
            toleration.key.is_none_or(|other| other == key)
                && toleration.effect.is_none_or(|effect| effect == TaintEffect::NoExecute)
        };
        if !template.spec.tolerations.iter().any(is_about) {
            tolerations.push(Toleration {
                key: Some(key),
                operator: TolerationOperator::Exists,
                value: names.intern(""),
                effect: Some(TaintEffect::NoExecute),
                seconds,
            });
        }
    }
    if tolerations.len() == template.spec.tolerations.len() {
        return None;
    }
    let spec = PodSpec { tolerations, ..(*template.spec).clone() };
    Some(Template { spec: Arc::new(spec), ..template.clone() })
}

impl Cluster {
    /// What the LimitRanges of a namespace say of limits of containers (rule A116).
    #[must_use]
    pub fn limit_bounds(&self, namespace: Symbol) -> LimitBounds {
        self.admission.bounds(namespace)
    }

    /// Lets the next `count` creations of pods fail with status 500: for tests of controllers.
    pub const fn fail_creations(&mut self, count: u32) {
        self.admission.failing_creations = count;
    }

    /// Whether a pod may be created now, after those that are `charged`.
    ///
    /// # Errors
    /// If it may not.
    pub fn admit(&self, new: &NewPod, charged: &mut Charged) -> Result<(), Refusal> {
        if charged.failures < self.admission.failing_creations {
            charged.failures += 1;
            return Err(Refusal { code: 500, message: "Internal error occurred".to_owned() });
        }
        let forbidden =
            |why: &str| format!("pods \"{}\" is forbidden: {why}", new.name.text(&self.names));
        self.admit_to_namespace(new.namespace).map_err(|refusal| match refusal.code {
            403 => Refusal { message: forbidden(&refusal.message), ..refusal },
            _ => refusal,
        })?;
        if self.strays.contains_key(&(new.namespace, new.name)) {
            let name = new.name.text(&self.names);
            return Err(Refusal { code: 409, message: format!("pods \"{name}\" already exists") });
        }
        let Some(admitted) = &self.templates[new.template].admission else { return Ok(()) };
        if let Some(Refusal { code, message }) = &admitted.refusal {
            return Err(Refusal { code: *code, message: forbidden(message) });
        }
        let Some(space) = self.admission.spaces.get(&new.namespace) else { return Ok(()) };
        let counting = space.quotas.iter().enumerate();
        let counting = counting.filter(|(_, (quota, _))| quota.counts(&admitted.usage));
        for (index, (quota, used)) in counting.clone() {
            let mut all = self.other_usage(new.namespace, quota);
            add(&mut all, used);
            if let Some(own) = charged.used.get(&(new.namespace, index)) {
                add(&mut all, own);
            }
            let refused = |message: String| Refusal { code: 403, message: forbidden(&message) };
            quota.check(&admitted.usage, &all).map_err(refused)?;
        }
        for (index, _) in counting {
            let own = charged.used.entry((new.namespace, index)).or_default();
            add(own, &admitted.usage.amounts);
        }
        Ok(())
    }

    /// Whether a controller may create a ReplicaSet or a Job of this name now.
    ///
    /// # Errors
    /// If a quota or the end of its namespace refuses it.
    pub fn admit_made(&self, kind: Kind, namespace: Symbol, name: &str) -> Result<(), Refusal> {
        let plural = if kind == Kind::Job { "jobs.batch" } else { "replicasets.apps" };
        let forbidden = |refusal: Refusal| match refusal.code {
            404 => refusal,
            code => Refusal {
                code,
                message: format!("{plural} \"{name}\" is forbidden: {}", refusal.message),
            },
        };
        self.admit_to_namespace(namespace).map_err(forbidden)?;
        let Some(space) = self.admission.spaces.get(&namespace) else { return Ok(()) };
        let usage = admission::usage(kind, &Value::Null);
        for (quota, used) in space.quotas.iter().filter(|(quota, _)| quota.counts(&usage)) {
            let mut all = self.other_usage(namespace, quota);
            add(&mut all, used);
            let refused = |message| forbidden(Refusal { code: 403, message });
            quota.check(&usage, &all).map_err(refused)?;
        }
        Ok(())
    }

    /// What objects other than pods take of a quota; what controllers made has no tree.
    fn other_usage(&self, namespace: Symbol, quota: &Quota) -> Amounts {
        let of_pods = |name: &String| {
            name == "pods"
                || name == "count/pods"
                || name.contains("cpu")
                || name.contains("memory")
        };
        let mut all = Amounts::new();
        if quota.hard.keys().all(of_pods) {
            return all;
        }
        for ((kind, name), tree) in &self.trees {
            if name.namespace == namespace && *kind != Kind::Pod {
                add(&mut all, &admission::usage(*kind, tree).amounts);
            }
        }
        let made = admission::usage(Kind::ReplicaSet, &Value::Null).amounts;
        if quota.hard.keys().any(|name| made.contains_key(name)) {
            let is_here = |set: &ReplicaSet| {
                let key = (Kind::ReplicaSet, set.name);
                set.name.namespace == namespace
                    && self.kind_of_set(set) == key.0
                    && !self.trees.contains_key(&key)
            };
            let sets = self.replica_sets.iter().filter(|(_, set)| is_here(set));
            sets.for_each(|_| add(&mut all, &made));
        }
        all
    }

    /// Lets admission fill in an object that somebody creates, and judge it.
    ///
    /// # Errors
    /// If it refuses the object; the message is without `RESOURCE "NAME" is forbidden: `.
    pub fn admit_object(
        &self,
        kind: Kind,
        namespace: Symbol,
        object: &mut Value,
    ) -> Result<(), Refusal> {
        let around = self.admission.around(namespace);
        let refused = |message: String| Refusal { code: 403, message };
        admission::fill(kind, object, &around).map_err(refused)?;
        admission::check_limits(kind, object, &around).map_err(refused)?;
        let Some(space) = self.admission.spaces.get(&namespace) else { return Ok(()) };
        let usage = admission::usage(kind, object);
        for (quota, used) in space.quotas.iter().filter(|(quota, _)| quota.counts(&usage)) {
            let mut all = self.other_usage(namespace, quota);
            add(&mut all, used);
            quota.check(&usage, &all).map_err(refused)?;
        }
        Ok(())
    }

    /// Whether a pod may have other amounts: LimitRanges look at all of them, quotas at what becomes
    /// more (rules C188, N104). The tree is the pod with the new amounts.
    ///
    /// # Errors
    /// If it may not; the message is without `pods "NAME" is forbidden: `.
    pub fn admit_resize(&self, pod: PodRef, tree: &Value) -> Result<(), Refusal> {
        let Some(row) = self.pods.get(pod) else { return Ok(()) };
        let Some(space) = self.admission.spaces.get(&row.namespace) else { return Ok(()) };
        let refused = |message: String| Refusal { code: 403, message };
        let around = self.admission.around(row.namespace);
        admission::check_limits(Kind::Pod, tree, &around).map_err(refused)?;
        let mut more = admission::usage(Kind::Pod, tree);
        if let Some(before) = &self.templates[row.template].admission {
            subtract(&mut more.amounts, &before.usage.amounts);
        }
        for (quota, used) in space.quotas.iter().filter(|(quota, _)| quota.counts(&more)) {
            quota.check(&more, used).map_err(refused)?;
        }
        Ok(())
    }

    /// The same, of a pod whose containers are to have these amounts.
    ///
    /// # Errors
    /// If it may not.
    pub fn admit_amounts(&self, pod: PodRef, amounts: &Allotments) -> Result<(), Refusal> {
        let Some(row) = self.pods.get(pod) else { return Ok(()) };
        if self.admission.spaces.get(&row.namespace).is_none() {
            return Ok(());
        }
        let mut tree = (*self.templates[row.template].template.source).clone();
        write_amounts(&mut tree, amounts, &self.names);
        self.admit_resize(pod, &tree)
    }

    /// Settles what a plan was charged with besides its pods.
    pub(super) const fn settle_charges(&mut self, charged: &Charged) {
        self.admission.failing_creations -= charged.failures;
    }

    /// Reads the rules again, and what pods use: one of them came, changed or went.
    pub(super) fn learn_rules(&mut self) {
        let before = std::mem::take(&mut self.admission);
        let trees = self.trees.iter().map(|((kind, name), tree)| (*kind, *name, tree));
        let mut rules = Admission::of(trees);
        rules.with_accounts.extend(before.with_accounts);
        rules.failing_creations = before.failing_creations;
        rules.toleration = before.toleration;
        self.admission = rules;
        for id in self.templates.ids().collect::<Vec<_>>() {
            let template = Arc::clone(&self.templates[id].template);
            let mut cx = Lowering {
                behaviors: self.behaviors.as_deref().unwrap_or(&self.model.behaviors),
                classes: &self.priorities,
                names: &mut self.names,
            };
            let admitted = self.admission.of_template(&template, &mut cx);
            self.templates[id].admission = admitted;
        }
        for id in self.pods.ids().collect::<Vec<_>>() {
            if !self.pods[id].is_terminal() {
                self.charge(id, add);
            }
        }
    }

    /// A pod begins or ends to be counted by quotas.
    pub(super) fn charge(&mut self, id: PodId, by: fn(&mut Amounts, &Amounts)) {
        let pod = &self.pods[id];
        let Some(admitted) = &self.templates[pod.template].admission else { return };
        let Some(space) = self.admission.spaces.get_mut(&pod.namespace) else { return };
        for (_, used) in space.quotas.iter_mut().filter(|(q, _)| q.counts(&admitted.usage)) {
            by(used, &admitted.usage.amounts);
        }
    }
}

/// Adds amounts.
pub(super) fn add(to: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        let sum = to.get(name).map_or_else(|| amount.clone(), |present| present + amount);
        to.insert(name.clone(), sum);
    }
}

/// Takes amounts away.
pub(super) fn subtract(from: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        if let Some(present) = from.get_mut(name) {
            *present = &*present - amount;
        }
    }
}
