//! The status of an EcsService. Pure.

use ecs_operator_crds::condition::{ConditionType, Reason};
use ecs_operator_crds::v1beta1::service::{DeploymentStatus, FailedDeployment, TaskFailures};
use ecs_operator_crds::v1beta1::shared::Status;
use ecs_operator_crds::v1beta1::{EcsService, EcsServiceStatus};
use k8s_openapi::jiff::Timestamp;

use super::autoscaling;
use super::commands;
use super::described::{Deployment, Service, short};
use super::ecs_events;
use super::failure::given_up;
use super::observe_rollout::failures;
use super::observed::ObservedService;
use super::plan::wanted;
use super::rollout::{RolloutState, track, with_failure};
use super::settings::restart_required;
use super::stable;
use super::tasks;
use super::update::{STRATEGY, hidden, remember_sent, shown_in_deployment};
use super::verdict::{Facts, unavailable_since, verdict};
use crate::k8s::conditions::{State, Verdict, of_type};
use crate::reconcile::kind::After;
use crate::reconcile::outcome::Outcome;
use crate::reconcile::{OtherCondition, Report};

pub(super) fn report(
    object: &EcsService,
    after: &After<'_, ObservedService>,
) -> Report<EcsServiceStatus> {
    let After {
        observed,
        outcome,
        now,
        ..
    } = *after;
    let mut status = object.status.clone().unwrap_or_default();
    // The status does not show the service of another owner.
    let anothers = observed
        .filter(|_| outcome.is_owned_by_other())
        .map(without_service);
    let observed = anothers.as_ref().or(observed);
    let service = observed.and_then(|observed| observed.service.as_ref());
    if let Some(observed) = observed {
        follow(&mut status, object, observed, outcome, now);
        show(&mut status, service);
        status.events = service.map_or_else(
            || status.events.take(),
            |service| ecs_events::merged(object, service),
        );
        status.rollback = commands::rollback(object, observed);
        let scaling = observed.autoscaling.as_ref();
        status.autoscaling = autoscaling::status(
            object,
            &observed.key,
            scaling.filter(|scaling| scaling.unread.is_none()),
            outcome,
            after.accepted,
        );
    }
    remember(&mut status, object, service, outcome);
    if *outcome != Outcome::InSync {
        remember_sent(object, &mut status, after.accepted, after.unanswered);
    }
    status.handled_commands = commands::handled(object, observed);
    status.selector = object
        .metadata
        .uid
        .as_ref()
        .map(|uid| format!("ecs-operator.dev/service-uid={uid}"));
    if let Some(observed) = observed {
        tell_of_failure(&mut status, object, observed, outcome);
    }
    let verdict = outcome.verdict().unwrap_or_else(|| {
        let Some(service) = service else {
            return missing();
        };
        verdict(&Facts {
            object,
            service,
            rollout: status.rollout.as_ref(),
            stopped_tasks: status.stopped_tasks.as_deref().unwrap_or_default(),
            failures: status.task_failures.as_ref(),
            unavailable_since: status.unavailable_since.as_ref(),
            now,
        })
    });
    let accepted = command_accepted(&status);
    let restart = restart_condition(&status, observed);
    let scaling = scaling_condition(object, &status, observed, outcome);
    Report {
        others: accepted.into_iter().chain(restart).chain(scaling).collect(),
        status,
        verdict,
        is_request_open: false,
    }
}

/// Remembers what AWS has accepted of the spec.
fn remember(
    status: &mut EcsServiceStatus,
    object: &EcsService,
    service: Option<&Service>,
    outcome: &Outcome,
) {
    let is_in_sync = *outcome == Outcome::InSync;
    if is_in_sync {
        // The tag of the service has the hash now.
        status.hidden_hash = None;
        status.follows_cluster_strategy = hidden(object).contains_key(STRATEGY).then_some(true);
    }
    let has_count =
        service.is_some_and(|service| Some(service.desired_count) == object.spec.desired_count);
    if outcome.has_sent_all() || is_given_up(outcome) || has_count {
        // Another number would have been sent.
        status.applied_desired_count = object.spec.desired_count;
    }
    // A repair without effect is not repeated.
    if let (Outcome::InSync | Outcome::NoEffect(_), Some(service)) = (outcome, service) {
        status.shown_in_deployment = shown_in_deployment(object, service);
    } else if status.common.observed_generation != object.metadata.generation {
        // A new spec changes these members, so that a difference is no change of others.
        status.shown_in_deployment = None;
    }
}

/// The condition AutoscalingReady, while the spec has service auto scaling.
fn scaling_condition(
    object: &EcsService,
    status: &EcsServiceStatus,
    observed: Option<&ObservedService>,
    outcome: &Outcome,
) -> Option<OtherCondition> {
    object.spec.autoscaling.as_ref()?;
    let scaling =
        observed.and_then(|observed| Some((&observed.key, observed.autoscaling.as_ref()?)));
    let after = EcsService {
        status: Some(status.clone()),
        ..object.clone()
    };
    // The conditions of `status` are still those before the pass.
    let before = status.conditions();
    autoscaling::condition(&after, scaling, outcome, before)
}

/// The condition CommandAccepted, while a command is refused.
fn command_accepted(status: &EcsServiceStatus) -> Option<OtherCondition> {
    let mut commands = status.handled_commands.iter().flatten();
    let refused = commands.find_map(|command| command.refused.clone())?;
    Some(OtherCondition {
        type_: ConditionType::CommandAccepted,
        status: "False",
        reason: Reason::CommandRefused,
        message: refused,
    })
}

/// The condition RestartRequired, while tasks run with other settings than the service has.
fn restart_condition(
    status: &EcsServiceStatus,
    observed: Option<&ObservedService>,
) -> Option<OtherCondition> {
    let type_ = ConditionType::RestartRequired;
    let message = match observed {
        Some(observed) => restart_required(observed.service.as_ref()?, status.rollout.as_ref())?,
        // The service was not read.
        None => of_type(type_, status.conditions())?.message.clone(),
    };
    Some(OtherCondition {
        type_,
        status: "True",
        reason: Reason::SettingsChanged,
        message,
    })
}

fn without_service(observed: &ObservedService) -> ObservedService {
    ObservedService {
        service: None,
        autoscaling: None,
        deployment: None,
        stopped: None,
        ..observed.clone()
    }
}

/// The state of the rollout, and why its tasks stopped.
fn follow(
    status: &mut EcsServiceStatus,
    object: &EcsService,
    observed: &ObservedService,
    outcome: &Outcome,
    now: Timestamp,
) {
    let state = match outcome {
        Outcome::InSync => RolloutState::InSync,
        _ if is_given_up(outcome) => RolloutState::RolledBack,
        _ => RolloutState::Other,
    };
    let started = |status: &EcsServiceStatus| status.rollout.as_ref()?.started_at.clone();
    let before = started(status);
    (status.rollout, status.rollout_history) = track(object, observed, state, now);
    if started(status) != before {
        status.stopped_tasks = None;
        status.explained_failures = None;
        status.task_failures = None;
    }
    follow_failures(status, object, observed);
    let service = observed.service.as_ref();
    let rollout = status.rollout.as_ref();
    let failures = status.task_failures.as_ref();
    status.unavailable_since =
        service.and_then(|service| unavailable_since(object, service, rollout, failures, now));
}

/// The tasks that failed, and why.
fn follow_failures(status: &mut EcsServiceStatus, object: &EcsService, observed: &ObservedService) {
    let service = observed.service.as_ref();
    let stopped = observed.stopped.as_deref().unwrap_or_default();
    let began = |failures: &Option<TaskFailures>| {
        failures.as_ref().map(|failures| failures.first_at.clone())
    };
    let earlier = began(&status.task_failures);
    status.task_failures = stable::failures(
        object,
        status.rollout.as_ref(),
        status.task_failures.take(),
        stopped,
    );
    if earlier
        .zip(began(&status.task_failures))
        .is_some_and(|(earlier, now)| earlier != now)
    {
        // New failures are reported again.
        status.stopped_tasks = None;
    }
    if let (Some(stopped), Some(service)) = (&observed.stopped, service) {
        // An empty list means that they were read.
        status.stopped_tasks = Some(tasks::merged(
            status.stopped_tasks.as_deref().unwrap_or_default(),
            stopped,
        ));
        status.explained_failures = Some(failures(service));
    }
    // Failures of deployments that are no longer listed do not count.
    let listed = service.map(failures);
    status.explained_failures = status
        .explained_failures
        .map(|explained| explained.min(listed.unwrap_or_default()));
}

fn is_given_up(outcome: &Outcome) -> bool {
    let given_up = [
        Reason::DeploymentRolledBack,
        Reason::DeploymentFailed,
        Reason::DeploymentStopped,
    ];
    matches!(outcome, Outcome::Stalled(obstacle) if given_up.contains(&obstacle.reason))
}

/// Keeps the deployment that ECS gave up until there is another one or the spec runs, and its IDs
/// beyond that: a deployment of which the status knows nothing is taken for one that a call began
/// whose reply was lost.
fn tell_of_failure(
    status: &mut EcsServiceStatus,
    object: &EcsService,
    observed: &ObservedService,
    outcome: &Outcome,
) {
    let failed = failed(object, observed, outcome);
    if failed.is_none() && *outcome != Outcome::InSync {
        return;
    }
    let told = status.failed_deployment.take();
    if let Some(told) = told.filter(|told| {
        failed
            .as_ref()
            .is_none_or(|failed| failed.hash != told.hash)
    }) {
        status.rollout_history = with_failure(
            status.rollout_history.take(),
            status.rollout.as_ref(),
            &told,
        );
    }
    status.failed_deployment = failed;
}

/// The deployment that ECS gave up, where the plan says so.
fn failed(
    object: &EcsService,
    observed: &ObservedService,
    outcome: &Outcome,
) -> Option<FailedDeployment> {
    let service = observed.service.as_ref()?;
    let wanted = wanted(object, observed)
        .ok()?
        .or_else(|| service.task_definition.clone())?;
    is_given_up(outcome)
        .then(|| given_up(object, observed, service, &wanted))
        .flatten()
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

fn missing() -> Verdict {
    Verdict::new(
        State::Progressing,
        Reason::Progressing,
        "The service does not exist yet",
    )
}
