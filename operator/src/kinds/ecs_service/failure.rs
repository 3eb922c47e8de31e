//! Deployments that ECS gave up: what it went back from must not be sent again. Without this, ECS
//! and the operator would fight for ever. It is tried again when spec or revision change, or on a
//! restart. Pure.

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::EcsService;
use ecs_operator_crds::v1beta1::service::{FailedDeployment, RolloutPhase, StoppedTask};

use super::attempt::was_sent;
use super::attempt::{asked_for, is_same_task_definition};
use super::described::{Deployment, Service};
use super::observed::ObservedService;
use super::tasks;
use super::tasks::hint;
use crate::aws::{name_in, time};

/// The deployment of `wanted` that ECS gave up, where what would have to be sent is just that once
/// more.
pub(super) fn given_up(
    object: &EcsService,
    observed: &ObservedService,
    service: &Service,
    wanted: &str,
) -> Option<FailedDeployment> {
    let hash = asked_for(object, wanted);
    let known = object
        .status
        .as_ref()
        .and_then(|status| status.failed_deployment.as_ref());
    let deployment_ids: Vec<_> = failed(service, wanted)
        .filter_map(|deployment| deployment.id.clone())
        .collect();
    if let Some(mut known) = known.filter(|known| known.hash == hash).cloned() {
        if !deployment_ids.is_empty() {
            known.deployment_ids = deployment_ids;
        }
        return Some(known);
    }
    let (result, why) = told_by_deployment(object, observed, service, wanted)
        .or_else(|| told_by_service(object, service, wanted))?;
    let (revision, runs) = (
        name_in(wanted),
        service
            .task_definition
            .as_deref()
            .map(name_in)
            .unwrap_or_default(),
    );
    let why = why.trim_end_matches('.');
    let what = match result {
        RolloutPhase::Stopped => format!("was stopped: {why}; ECS runs {runs}"),
        RolloutPhase::Failed => format!("failed: {why}; ECS runs {runs}"),
        _ => format!("failed, and ECS rolled back to {runs}: {why}"),
    };
    let hint = hint(
        &tasks::merged(
            known_tasks(object),
            observed.stopped.as_deref().unwrap_or_default(),
        ),
        revision,
    );
    let message = format!(
        "The deployment of {revision} {what}{hint}. Change the task definition or the service, or restart, to try again"
    );
    Some(FailedDeployment {
        task_definition: wanted.to_owned(),
        hash,
        result,
        message,
        deployment_ids,
    })
}

/// The condition reason of a deployment that ended like this.
pub(super) fn reason(result: RolloutPhase) -> Reason {
    match result {
        RolloutPhase::Stopped => Reason::DeploymentStopped,
        RolloutPhase::Failed => Reason::DeploymentFailed,
        _ => Reason::DeploymentRolledBack,
    }
}

fn known_tasks(object: &EcsService) -> &[StoppedTask] {
    object
        .status
        .as_ref()
        .and_then(|status| status.stopped_tasks.as_deref())
        .unwrap_or_default()
}

/// What the service deployment says, if ECS shows it and its target revision.
fn told_by_deployment(
    object: &EcsService,
    observed: &ObservedService,
    service: &Service,
    wanted: &str,
) -> Option<(RolloutPhase, String)> {
    let deployment = observed
        .deployment()
        .filter(|deployment| deployment.phase.is_failure())?;
    let concerned = deployment
        .revision
        .as_deref()
        .is_some_and(|revision| is_same_task_definition(wanted, Some(revision)));
    // The status knows for which spec the deployment was. Where it has been lost, it is plain what
    // ECS went back from as long as another revision runs now.
    let known = object
        .status
        .as_ref()
        .and_then(|status| status.rollout.as_ref());
    let known = known
        .is_some_and(|rollout| rollout.service_deployment_arn.as_ref() == Some(&deployment.arn));
    let plain = !known && !is_same_task_definition(wanted, service.task_definition.as_deref());
    let why = deployment
        .reason
        .clone()
        .unwrap_or_else(|| "ECS gives no reason".to_owned());
    (concerned && (plain || was_sent(object, wanted))).then_some((deployment.phase, why))
}

/// What the deployments of the service say.
fn told_by_service(
    object: &EcsService,
    service: &Service,
    wanted: &str,
) -> Option<(RolloutPhase, String)> {
    let unknown = failed(service, wanted).find(|failed| !is_accounted_for(object, failed));
    if !was_sent(object, wanted) && unknown.is_none() {
        return None;
    }
    let failed = unknown.or_else(|| failed(service, wanted).next());
    let going_back = |reason: &&str| reason.to_lowercase().contains("rolling back");
    let reason = service
        .primary()
        .and_then(|primary| primary.rollout_state_reason.as_deref())
        .filter(going_back);
    let reason =
        reason.or_else(|| failed.and_then(|failed| failed.rollout_state_reason.as_deref()))?;
    Some((RolloutPhase::RolledBack, reason.to_owned()))
}

/// The deployments of `wanted` that ECS gave up, as long as it runs something else.
fn failed<'a>(service: &'a Service, wanted: &'a str) -> impl Iterator<Item = &'a Deployment> {
    let runs_it = is_same_task_definition(wanted, service.task_definition.as_deref());
    service.deployments.iter().filter(move |deployment| {
        !runs_it
            && is_same_task_definition(wanted, deployment.task_definition.as_deref())
            && deployment.rollout_state.as_deref() == Some("FAILED")
    })
}

/// Whether the status knows of a failed deployment, and so for which spec it was. One that was
/// begun by a call whose reply never came is not in there, and it is plain what ECS went back from.
fn is_accounted_for(object: &EcsService, failed: &Deployment) -> bool {
    // What others tried before there was this object says nothing of it.
    let created = object
        .metadata
        .creation_timestamp
        .as_ref()
        .map(|created| created.0);
    let began = failed.created_at.as_ref().and_then(time);
    if created
        .zip(began)
        .is_some_and(|(created, began)| began < created)
    {
        return true;
    }
    let Some(status) = &object.status else {
        return false;
    };
    let rollout = status.rollout.iter().map(|rollout| &rollout.id);
    let history = status
        .rollout_history
        .iter()
        .flatten()
        .map(|record| &record.id);
    let told = status.failed_deployment.as_ref();
    rollout.chain(history).any(|id| *id == failed.id)
        || told.is_some_and(|told| {
            let ids = &told.deployment_ids;
            failed.id.as_ref().is_some_and(|id| ids.contains(id))
                || ids.is_empty()
                    && is_same_task_definition(
                        &told.task_definition,
                        failed.task_definition.as_deref(),
                    )
        })
}
