//! The rows of Deployments, ReplicaSets, Services, autoscalers and templates.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::base::{Duration, SimTime};
use crate::model::{
    BudgetId, DeploymentId, DeploymentSpec, ForeignOwner, HpaSpec, Labels, ObjectName, PodId,
    ReplicaSetId, Selector, ServiceId, ServiceSpec, Template, TemplateId,
};

use super::endpoint_slices::EndpointSlice;
use super::endpoints::EndpointSet;
use super::{Admitted, PodCounts};

/// A Deployment.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// As declared now.
    pub spec: Arc<DeploymentSpec>,
    /// `spec.replicas` now: autoscalers and `scale` change it.
    pub replicas: u32,
    /// When it was created.
    pub created: SimTime,
    /// `metadata.generation` (rule C4).
    pub generation: u64,
    /// Whether it is being deleted and waits for its ReplicaSets (foreground, rule C191).
    pub is_deleting: bool,
    /// Its revision (the annotation); 0 before the first ReplicaSet.
    pub revision: u32,
    /// Its ReplicaSets in order of creation.
    pub replica_sets: Vec<ReplicaSetId>,
    /// Status.
    pub status: DeploymentStatus,
}

/// Status of a Deployment (rule C56).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeploymentStatus {
    /// The generation that the controller has seen.
    pub observed_generation: u64,
    /// Pods of all ReplicaSets.
    pub replicas: u32,
    /// Pods of the new one.
    pub updated: u32,
    /// Ready pods.
    pub ready: u32,
    /// Available pods.
    pub available: u32,
    /// Pods wanted and not available.
    pub unavailable: u32,
    /// Pods being deleted.
    pub terminating: u32,
    /// Condition Available.
    pub is_available: bool,
    /// Condition Progressing.
    pub progressing: Option<Progressing>,
    /// Condition `ReplicaFailure`, by its reason (rule C61).
    pub failure: Option<ReplicaFailure>,
    /// How often two templates had one hash (rule C29).
    pub collisions: u32,
}

/// Reasons of the condition `ReplicaFailure`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaFailure {
    /// A pod could not be created.
    FailedCreate,
    /// A pod could not be deleted.
    FailedDelete,
}

/// Condition Progressing of a Deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progressing {
    /// Reason; the status follows from it.
    pub reason: ProgressReason,
    /// `lastUpdateTime`.
    pub updated: SimTime,
}

/// Reasons of the condition Progressing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressReason {
    /// A ReplicaSet was made.
    NewReplicaSetCreated,
    /// One of the template was there.
    FoundNewReplicaSet,
    /// It goes on.
    ReplicaSetUpdated,
    /// Done.
    NewReplicaSetAvailable,
    /// Nothing happened for too long (status False).
    ProgressDeadlineExceeded,
    /// Paused (status Unknown).
    DeploymentPaused,
    /// Resumed (status Unknown).
    DeploymentResumed,
    /// A ReplicaSet was refused (status False).
    ReplicaSetCreateError,
}

/// A ReplicaSet.
#[derive(Clone, Debug)]
pub struct ReplicaSet {
    /// Its name.
    pub name: ObjectName,
    /// The Deployment that owns it.
    pub owner: Option<DeploymentId>,
    /// An owner that is not in the cluster.
    pub foreign_owner: Option<ForeignOwner>,
    /// Its own labels.
    pub labels: Labels,
    /// Its annotations but for those of revision and size.
    pub annotations: Labels,
    /// `metadata.generation` (rule C4).
    pub generation: u64,
    /// Whether it is being deleted and waits for its pods (foreground, rule C191).
    pub is_deleting: bool,
    /// Its template, the hash label included.
    pub template: TemplateId,
    /// Which pods are its own.
    pub selector: Selector,
    /// `spec.replicas`.
    pub replicas: u32,
    /// `minReadySeconds`.
    pub min_ready: Duration,
    /// Revision (the annotation); 0 without a Deployment.
    pub revision: u32,
    /// Its earlier revisions (annotation `revision-history`, rule C28).
    pub revision_history: Vec<u32>,
    /// Annotation `desired-replicas`.
    pub desired: Option<u32>,
    /// Annotation `max-replicas`.
    pub max: Option<u32>,
    /// When it was created.
    pub created: SimTime,
    /// Its number among all ReplicaSets, in order of creation.
    pub serial: u64,
    /// All its pods, those being deleted and terminal ones too, in order of creation.
    pub pods: Vec<PodId>,
    /// In which state these are.
    pub counts: PodCounts,
    /// Status.
    pub status: ReplicaSetStatus,
}

/// Status of a ReplicaSet (rule C76).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplicaSetStatus {
    /// The generation that the controller has seen.
    pub observed_generation: u64,
    /// Active pods.
    pub replicas: u32,
    /// Those of them that have all labels of the template.
    pub fully_labeled: u32,
    /// Ready pods.
    pub ready: u32,
    /// Available pods.
    pub available: u32,
    /// Pods being deleted that are not terminal.
    pub terminating: u32,
    /// Condition `ReplicaFailure`, by its reason.
    pub failure: Option<ReplicaFailure>,
}

/// A Service.
#[derive(Clone, Debug)]
pub struct Service {
    /// As declared.
    pub spec: Arc<ServiceSpec>,
    /// Its EndpointSlices.
    pub slices: Vec<EndpointSlice>,
    /// How many slices it has ever had.
    pub slices_made: u32,
    /// What stands in all slices: what proxies follow.
    pub endpoints: Arc<EndpointSet>,
    /// All pods that its selector selects, in order of their serials.
    pub pods: Vec<PodId>,
}

/// A HorizontalPodAutoscaler.
#[derive(Clone, Debug)]
pub struct Hpa {
    /// As declared.
    pub spec: Arc<HpaSpec>,
    /// When it was created.
    pub created: SimTime,
    /// Status.
    pub status: HpaStatus,
}

/// Status of an autoscaler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HpaStatus {
    /// `status.currentReplicas`.
    pub current: u32,
    /// `status.desiredReplicas`.
    pub desired: u32,
    /// CPU utilisation of the requests, in percent, when last read.
    pub utilization: Option<i32>,
    /// When it last changed the number of replicas.
    pub last_scale: Option<SimTime>,
    /// Reason of condition ScalingActive; it is True with `ValidMetricFound` alone.
    pub active_reason: &'static str,
    /// Reason of condition AbleToScale; it is False with `FailedGetScale` and `FailedUpdateScale`.
    pub able_reason: &'static str,
    /// Reason of condition ScalingLimited.
    pub limited_reason: &'static str,
    /// Condition ScalingLimited.
    pub is_limited: bool,
    /// Condition ScaledToZero, with the gate HPAScaleToZero alone (rule A18).
    pub scaled_to_zero: Option<bool>,
}

/// A template in use.
#[derive(Clone, Debug)]
pub struct TemplateRow {
    /// The template as lowered.
    pub template: Arc<Template>,
    /// Labels of its pods, the hash label included.
    pub labels: Labels,
    /// Services that select these labels, in the namespace of the workload.
    pub services: SmallVec<[ServiceId; 2]>,
    /// PodDisruptionBudgets that select these labels there, in order of creation.
    pub budgets: SmallVec<[BudgetId; 1]>,
    /// How many pods, ReplicaSets and model objects use it.
    pub users: u32,
    /// How many of its pods have no owner.
    pub orphans: u32,
    /// What admission makes of its pods; `None` where no rule touches them.
    pub admission: Option<Box<Admitted>>,
}
