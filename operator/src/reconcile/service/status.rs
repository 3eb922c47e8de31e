//! Fourth door of EcsService: the status after a pass. Pure.

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::service::{DeploymentStatus, FailedDeployment};
use ecs_operator_crds::v1beta1::{EcsService, EcsServiceStatus};
use k8s_openapi::jiff::Timestamp;

use super::restart::restarted;
use super::update::shown_in_deployment;
use super::{Deployment, OWN_MEMBERS, ObservedService, RESETS, Service};
use crate::aws::{name_in, tags};
use crate::k8s::conditions::{State, Verdict, conditions};
use crate::reconcile::plan::{Outcome, request};
use crate::reconcile::references::Resolved;
use crate::reconcile::reset::applied;

pub(super) fn status(
    object: &EcsService,
    observed: Option<&ObservedService>,
    outcome: &Outcome,
    now: Timestamp,
) -> EcsServiceStatus {
    let mut status = object.status.clone().unwrap_or_default();
    if let Some(observed) = observed {
        show(&mut status, observed.service.as_ref());
    }
    if *outcome == Outcome::InSync {
        status.managed_tags = tags::managed(object.spec.tags.as_deref());
        status.applied_members = applied(&request(&object.spec, OWN_MEMBERS), RESETS);
        status.failed_deployment = None;
    }
    // Also when ECS did not heed a repair: once is enough.
    if let (Outcome::InSync | Outcome::Unheeded(_), Some(service)) =
        (outcome, observed.and_then(|observed| observed.service.as_ref()))
    {
        status.shown_in_deployment = shown_in_deployment(object, service);
    }
    if let Some(restarted) = observed.and_then(|observed| restarted(object, observed)) {
        status.last_handled_restart_at = Some(restarted.clone());
    }
    status.selector = object.metadata.uid.as_ref().map(|uid| format!("ecs-operator.dev/service-uid={uid}"));
    if let Some(failed) = observed.and_then(|observed| failed(object, observed, outcome)) {
        status.failed_deployment = Some(failed);
    }
    let service = observed.and_then(|observed| observed.service.as_ref());
    let verdict = outcome.verdict().unwrap_or_else(|| service.map_or_else(missing, running));
    status.conditions = conditions(&status.conditions, &verdict, object.metadata.generation, now);
    status.observed_generation = object.metadata.generation;
    status
}

/// The deployment that ECS gave up, where the plan says so.
fn failed(object: &EcsService, observed: &ObservedService, outcome: &Outcome) -> Option<FailedDeployment> {
    let (Outcome::Stalled(obstacle), Resolved::To(task_definition)) = (outcome, &observed.task_definition) else { return None };
    (obstacle.reason == Reason::DeploymentFailed).then(|| FailedDeployment {
        task_definition: task_definition.clone(),
        generation: object.metadata.generation.unwrap_or_default(),
        message: obstacle.message.clone(),
    })
}

fn show(status: &mut EcsServiceStatus, service: Option<&Service>) {
    if let Some(service) = service {
        // Kept when the service is gone: that there was one decides the token of the next.
        status.service_arn = Some(service.service_arn.clone());
        status.cluster_arn.clone_from(&service.cluster_arn);
    }
    status.status = service.map(|service| service.status.clone());
    status.task_definition = service.and_then(|service| service.task_definition.clone());
    status.revision = service.and_then(|service| short(service.task_definition.as_deref()));
    status.desired_count = service.map(|service| service.desired_count);
    status.running_count = service.map(|service| service.running_count);
    status.pending_count = service.map(|service| service.pending_count);
    status.deployments = service.map(deployments);
}

fn deployments(service: &Service) -> Vec<DeploymentStatus> {
    let mut deployments: Vec<_> = service.deployments.iter().map(deployment).collect();
    deployments.sort_by_key(|deployment| deployment.status.as_deref() != Some("PRIMARY"));
    deployments
}

fn deployment(deployment: &Deployment) -> DeploymentStatus {
    let Deployment {
        id,
        status,
        task_definition,
        desired_count,
        running_count,
        pending_count,
        failed_tasks,
        rollout_state,
        rollout_state_reason,
        created_at: _,
    } = deployment.clone();
    DeploymentStatus {
        id,
        status,
        revision: short(task_definition.as_deref()),
        rollout_state,
        rollout_state_reason,
        desired_count,
        running_count,
        pending_count,
        failed_tasks,
    }
}

/// `family:revision` of an ARN.
fn short(task_definition: Option<&str>) -> Option<String> {
    task_definition.map(|arn| name_in(arn).to_owned())
}

fn missing() -> Verdict {
    Verdict::new(State::Progressing, Reason::Progressing, "The service does not exist yet")
}

/// Whether a deployment is only still listed: replaced, or failed and without tasks.
fn is_over(deployment: &Deployment) -> bool {
    let tasks = deployment.running_count.unwrap_or_default() + deployment.pending_count.unwrap_or_default();
    deployment.status.as_deref() == Some("INACTIVE")
        || (deployment.status.as_deref() == Some("ACTIVE") && deployment.rollout_state.as_deref() == Some("FAILED") && tasks == 0)
}

/// ECS holds what the spec asks for; does it also run? `rolloutState` alone is not trusted: what counts is that there is
/// one deployment and that its tasks run.
fn running(service: &Service) -> Verdict {
    let revision = short(service.task_definition.as_deref()).unwrap_or_default();
    let Service { desired_count, running_count, pending_count, deployments, .. } = service;
    let primary = service.primary();
    let rollout = primary.and_then(|primary| primary.rollout_state.as_deref());
    let counts = format!("{running_count} of {desired_count} tasks run, {pending_count} are starting");
    if rollout == Some("FAILED") {
        let why = primary.and_then(|primary| primary.rollout_state_reason.as_deref()).unwrap_or("ECS gives no reason");
        return Verdict::new(
            State::Stalled,
            Reason::DeploymentFailed,
            format!("The deployment of {revision} failed: {why}; {counts}"),
        );
    }
    let settled = deployments.iter().filter(|deployment| !is_over(deployment)).count() <= 1
        && rollout.is_none_or(|state| state == "COMPLETED");
    if settled && running_count == desired_count && *pending_count == 0 {
        return Verdict::new(State::Ready, Reason::Succeeded, format!("{running_count} of {desired_count} tasks run {revision}"));
    }
    Verdict::new(State::Progressing, Reason::Progressing, format!("Deploying {revision}: {counts}"))
}
