//! Observes the parts of a rollout that DescribeServices does not show. Read only while there is
//! something to observe.

use std::time::Duration;

use ecs_operator_crds::ROLLBACK_TO;
use ecs_operator_crds::v1beta1::EcsService;
use ecs_operator_crds::v1beta1::service::{RolloutPhase, StoppedTask};
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use super::commands::{is_in_history, unanswered};
use super::deployment::ServiceDeployment;
use super::described::{Service, short};
use super::ecs_events::tell_of_starts;
use super::observed::ObservedService;
use super::tasks;
use crate::aws::ecs::{
    ServiceDeploymentKey, ServiceRevisionKey, StoppedTasksKey, TaskDefinitionKey,
};
use crate::aws::observer::{Answer, Seen};
use crate::aws::{AwsError, Freshness, name_in, time};
use crate::clock;
use crate::kinds::ecs_task_definition::is_active;
use crate::reconcile::Pass;

/// How often stopped tasks are looked at while a rollout is slow and ECS counts no failures.
const SLOW: Duration = Duration::from_secs(60);

/// Adds what there is to know of the rollout to what is known of the service.
pub(super) async fn observe(
    object: &EcsService,
    pass: &Pass<'_, ObservedService>,
    observed: ObservedService,
) -> Result<ObservedService, AwsError> {
    let Some(service) = &observed.service else {
        return Ok(observed);
    };
    let deployment = deployment(object, pass, service, observed.at).await?;
    let observed = ObservedService {
        deployment,
        ..observed
    };
    let stopped = stopped(object, pass, &observed).await;
    Ok(ObservedService {
        stopped,
        ..observed
    })
}

/// Whether the revision that the rollback command asks for is ACTIVE.
pub(super) async fn rollback_target(
    object: &EcsService,
    pass: &Pass<'_, ObservedService>,
) -> Result<Option<bool>, AwsError> {
    // An unknown revision is refused without a call.
    let asked = unanswered(object, ROLLBACK_TO).filter(|revision| is_in_history(object, revision));
    let Some(revision) = asked else {
        return Ok(None);
    };
    let key = TaskDefinitionKey(revision);
    let seen = pass
        .aws
        .observer
        .cache::<TaskDefinitionKey>()
        .get(key, Freshness::Since(Instant::now()), pass.namespace())
        .await?;
    Ok(Some(
        matches!(&seen.answer, Answer::Found(revision) if is_active(revision)),
    ))
}

/// The service deployment that ECS names, or the last one that we know to be unfinished.
async fn deployment(
    object: &EcsService,
    pass: &Pass<'_, ObservedService>,
    service: &Service,
    at: Instant,
) -> Result<Option<ServiceDeployment>, AwsError> {
    let rollout = object
        .status
        .as_ref()
        .and_then(|status| status.rollout.as_ref());
    let known = rollout.and_then(|rollout| rollout.service_deployment_arn.clone());
    let Some(arn) = service.current_service_deployment.clone().or(known) else {
        return Ok(None);
    };
    let remembered = rollout
        .and_then(ServiceDeployment::remembered)
        .filter(|remembered| remembered.arn == arn);
    if remembered.is_some() {
        // It has ended and does not change.
        return Ok(remembered);
    }
    let namespace = pass.namespace();
    let deployments = pass.aws.observer.cache::<ServiceDeploymentKey>();
    let json = match deployments
        .get(ServiceDeploymentKey(arn), Freshness::Since(at), namespace)
        .await
    {
        Ok(Seen {
            answer: Answer::Found(json),
            ..
        }) => json,
        Ok(_) => return Ok(None),
        // ECS has none for such a service.
        Err(error) if error.code.as_deref() == Some("UnsupportedFeatureException") => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let revision = match json["targetServiceRevision"]["arn"].as_str() {
        Some(arn) => {
            let revisions = pass.aws.observer.cache::<ServiceRevisionKey>();
            revisions
                .get(
                    ServiceRevisionKey(arn.to_owned()),
                    Freshness::Any,
                    namespace,
                )
                .await?
                .answer
        }
        None => Answer::Missing,
    };
    let revision = if let Answer::Found(revision) = &revision {
        Some(&**revision)
    } else {
        None
    };
    Ok(Some(ServiceDeployment::read(&json, revision)))
}

/// The tasks that stopped, where it looks as if that mattered. They explain; without the right to
/// list them, there is no explanation, and all else goes on.
async fn stopped(
    object: &EcsService,
    pass: &Pass<'_, ObservedService>,
    observed: &ObservedService,
) -> Option<Vec<StoppedTask>> {
    let since = wanted(object, observed, observed.service.as_ref()?)?;
    let key = StoppedTasksKey(observed.key.clone());
    match pass
        .aws
        .observer
        .cache::<StoppedTasksKey>()
        .get(key, Freshness::Since(since), pass.namespace())
        .await
    {
        Ok(Seen {
            answer: Answer::Found(tasks),
            ..
        }) => Some(tasks::troubled(&since_rollout(object, &tasks))),
        Ok(_) => None,
        Err(error) => {
            tracing::warn!(service = %observed.key, %error, "cannot look at stopped tasks");
            None
        }
    }
}

/// Failures that ECS counts of all deployments that it lists.
pub(super) fn failures(service: &Service) -> i32 {
    service
        .deployments
        .iter()
        .filter_map(|deployment| deployment.failed_tasks)
        .sum()
}

/// Those of `tasks` that run the revision of the rollout and stopped since it began. Earlier ones
/// were reported then, and tasks of other revisions have to stop.
fn since_rollout(object: &EcsService, tasks: &Value) -> Value {
    let Some(rollout) = object
        .status
        .as_ref()
        .and_then(|status| status.rollout.as_ref())
    else {
        return Value::Null;
    };
    let began = rollout.started_at.as_ref().map(|began| began.0.as_second());
    let concerned = |task: &&Value| {
        time(&task["stoppedAt"]).map(Timestamp::as_second) >= began
            && task["taskDefinitionArn"]
                .as_str()
                .is_some_and(|arn| name_in(arn) == rollout.revision)
    };
    tasks
        .as_array()
        .into_iter()
        .flatten()
        .filter(concerned)
        .cloned()
        .collect()
}

/// How fresh a look at the stopped tasks has to be; `None` where none is needed.
pub(super) fn wanted(
    object: &EcsService,
    observed: &ObservedService,
    service: &Service,
) -> Option<Instant> {
    let status = object.status.as_ref()?;
    let rollout = status.rollout.as_ref()?;
    let told = status.stopped_tasks.is_some();
    let more = failures(service) > status.explained_failures.unwrap_or_default();
    let given_up = observed
        .deployment()
        .is_some_and(|deployment| deployment.phase.is_failure())
        || service.deployments.iter().any(|listed| {
            listed.rollout_state.as_deref() == Some("FAILED")
                && short(listed.task_definition.as_deref()).as_ref() == Some(&rollout.revision)
        });
    let fewer = service.running_count < service.desired_count;
    let lost = rollout.phase == RolloutPhase::Succeeded
        && fewer
        && Some(service.running_count) < status.running_count;
    // ECS starts tasks although their number did not change: others have stopped.
    let rests = service.primary().is_some_and(|primary| {
        primary
            .rollout_state
            .as_deref()
            .is_none_or(|state| state == "COMPLETED")
    });
    let id = service.primary().and_then(|primary| primary.id.as_deref());
    let replaced = rests
        && status.desired_count == Some(service.desired_count)
        && tell_of_starts(object, service, id);
    if more || (given_up && !told) || lost || replaced {
        return Some(observed.at);
    }
    // While the tasks of the revision before run on, only the deployment shows that its own do not.
    let lacks = service
        .primary()
        .is_some_and(|primary| primary.running_count < primary.desired_count);
    let slow = !rollout.phase.is_final() && (fewer || lacks) && began_before(service, SLOW);
    slow.then(|| Instant::now().checked_sub(SLOW)).flatten()
}

fn began_before(service: &Service, age: Duration) -> bool {
    let began = service
        .primary()
        .and_then(|primary| primary.created_at.as_ref())
        .and_then(time);
    let age = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
    began.is_some_and(|began| clock::now().as_second() - began.as_second() > age)
}
