//! Follows the rollout of a service: which deployment it is, where it stands, and what became of
//! those before it. Pure.
//!
//! Follows the service deployment if ECS shows one, else the PRIMARY deployment.

use ecs_operator_crds::v1beta1::EcsService;
use ecs_operator_crds::v1beta1::service::{
    FailedDeployment, RolloutPhase, RolloutRecord, RolloutStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::attempt::asked_for;
use super::attempt::is_same_task_definition;
use super::deployment::ServiceDeployment;
use super::described::{Deployment, Service};
use super::ecs_events::completed_at;
use super::observed::ObservedService;
use super::settings;
use crate::aws::{name_in, time};
use crate::k8s::conditions::whole_seconds;

/// How many rollouts of the past the status keeps.
const HISTORY: usize = 5;

/// How what AWS holds stands to what the spec asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RolloutState {
    /// It is that.
    InSync,
    /// ECS went back from it.
    RolledBack,
    /// It is something else.
    Other,
}

/// The rollout after a look, and those before it.
pub(super) fn track(
    object: &EcsService,
    observed: &ObservedService,
    state: RolloutState,
    now: Timestamp,
) -> (Option<RolloutStatus>, Option<Vec<RolloutRecord>>) {
    let status = object.status.clone().unwrap_or_default();
    let (before, history) = (status.rollout, status.rollout_history);
    let service = observed
        .service
        .as_ref()
        .filter(|service| service.status == "ACTIVE");
    let Some((service, seen)) =
        service.and_then(|service| Some((service, seen(object, service, observed.deployment())?)))
    else {
        return (before, history);
    };
    // What runs was started with the settings of that time.
    let started_with = |before: &RolloutStatus| {
        before
            .task_settings
            .clone()
            .filter(|_| settings::has_tasks(service))
    };
    match before {
        Some(before) if is_same(&before, &seen) => {
            let hash = hash_of(state, service, &before, &seen);
            let task_settings = started_with(&before).or_else(|| seen.task_settings.clone());
            (
                Some(RolloutStatus {
                    hash,
                    task_settings,
                    ..advanced(before, seen, now)
                }),
                history,
            )
        }
        // Without service deployments, what ECS went back to looks like a deployment of its own.
        Some(before)
            if seen.service_deployment_arn.is_none()
                && is_way_back(state, &before, &seen, history.as_deref()) =>
        {
            let task_settings = started_with(&before).or_else(|| seen.task_settings.clone());
            let seen = on_the_way_back(&before, service);
            (
                Some(RolloutStatus {
                    task_settings,
                    ..advanced(before, seen, now)
                }),
                history,
            )
        }
        Some(before) => (
            Some(begun(seen, now)),
            Some(with_record(history, before, now)),
        ),
        None => (Some(begun(seen, now)), history),
    }
}

/// The hash of the spec that a rollout is for, where ECS shows `seen` of the rollout `before`. A
/// rollout that failed was for the spec that it was sent for, and for no later one.
fn hash_of(
    state: RolloutState,
    service: &Service,
    before: &RolloutStatus,
    seen: &RolloutStatus,
) -> String {
    match state {
        RolloutState::InSync if !seen.phase.is_failure() => seen.hash.clone(),
        // It is tried again when the spec asks for it again.
        RolloutState::InSync if is_withdrawn(service, before, seen) => String::new(),
        _ => before.hash.clone(),
    }
}

/// Whether the spec that AWS holds is another one than that of the failed rollout `before`, of which
/// ECS shows `seen`: it was changed back to what ECS runs.
fn is_withdrawn(service: &Service, before: &RolloutStatus, seen: &RolloutStatus) -> bool {
    let runs = service.task_definition.as_deref();
    before.hash != seen.hash || runs.map(name_in) != Some(&*seen.revision)
}

/// What ECS shows now, as if it had just begun.
fn seen(
    object: &EcsService,
    service: &Service,
    deployment: Option<&ServiceDeployment>,
) -> Option<RolloutStatus> {
    let mut seen = match deployment {
        Some(deployment) => of_service_deployment(service, deployment),
        None => of_primary(service, service.primary()?),
    };
    seen.hash = asked_for(object, &seen.revision);
    seen.strategy = Some(strategy(service).to_owned());
    if seen.phase == RolloutPhase::InProgress && is_watched_by_alarms(service, &seen) {
        seen.phase = RolloutPhase::Baking;
    }
    seen.bake_time_in_minutes = bake_time(service, &seen).filter(|minutes| *minutes > 0);
    seen.percent = percent(&seen);
    seen.task_settings = Some(settings::live(service));
    Some(seen)
}

fn strategy(service: &Service) -> &str {
    service.json["deploymentConfiguration"]["strategy"]
        .as_str()
        .unwrap_or("ROLLING")
}

/// Whether a rolling deployment has nothing left to do but to wait for its alarms. Their bake time
/// begins when the new revision has scaled out and the old ones have scaled in; ECS chooses it, and
/// no reply shows it. Source: "How CloudWatch alarms detect Amazon ECS deployment failures" in the
/// developer guide.
fn is_watched_by_alarms(service: &Service, seen: &RolloutStatus) -> bool {
    let enabled = service.json["deploymentConfiguration"]["alarms"]["enable"] == true;
    let goes_on = service
        .primary()
        .is_some_and(|primary| primary.rollout_state.as_deref() == Some("IN_PROGRESS"));
    let runs = seen.running_count.is_some() && seen.running_count >= seen.requested_count;
    let is_primary = |deployment: &Deployment| deployment.status.as_deref() == Some("PRIMARY");
    let scaled_in = service
        .deployments
        .iter()
        .all(|other| is_primary(other) || is_over(other) || tasks(other) == 0);
    enabled
        && goes_on
        && runs
        && scaled_in
        && seen.pending_count.unwrap_or_default() == 0
        && strategy(service) == "ROLLING"
}

/// Minutes that a Network Load Balancer takes to shift traffic.
const NETWORK_LOAD_BALANCER: i32 = 10;

/// Minutes that ECS waits on purpose where the traffic shift stands, with AWS's defaults.
fn bake_time(service: &Service, seen: &RolloutStatus) -> Option<i32> {
    let configuration = &service.json["deploymentConfiguration"];
    let minutes = |minutes: &Value, default: i32| {
        minutes
            .as_i64()
            .and_then(|minutes| i32::try_from(minutes).ok())
            .unwrap_or(default)
    };
    if seen.phase != RolloutPhase::InProgress || strategy(service) == "ROLLING" {
        return None;
    }
    let stage = seen.lifecycle_stage.as_deref().unwrap_or_default();
    // Of a Network Load Balancer the deployment knows the listener alone.
    let mut balancers = service.json["loadBalancers"]
        .as_array()
        .into_iter()
        .flatten();
    let is_network = balancers.any(|balancer| {
        balancer["advancedConfiguration"]["productionListenerRule"]
            .as_str()
            .is_some_and(|arn| arn.contains("/net/"))
    });
    let shifts = matches!(stage, "TEST_TRAFFIC_SHIFT" | "PRODUCTION_TRAFFIC_SHIFT");
    let network = if shifts && is_network {
        NETWORK_LOAD_BALANCER
    } else {
        0
    };
    let weight = seen.requested_production_traffic_weight;
    // Between two steps both revisions have traffic; where ECS shows no weights, only the stage
    // tells.
    let between = weight.is_some_and(|weight| weight > 0.0 && weight < 100.0)
        || (weight.is_none()
            && matches!(
                stage,
                "PRE_PRODUCTION_TRAFFIC_SHIFT" | "PRODUCTION_TRAFFIC_SHIFT"
            ));
    let bake = match strategy(service) {
        "CANARY" if between => minutes(
            &configuration["canaryConfiguration"]["canaryBakeTimeInMinutes"],
            10,
        ),
        "LINEAR" if between => minutes(
            &configuration["linearConfiguration"]["stepBakeTimeInMinutes"],
            6,
        ),
        _ if stage == "CLEAN_UP" => 0,
        // All traffic has moved, and the stage BAKE_TIME, which has no deadline, is next.
        _ if stage == "POST_PRODUCTION_TRAFFIC_SHIFT"
            || weight.is_some_and(|weight| weight >= 100.0) =>
        {
            minutes(&configuration["bakeTimeInMinutes"], 0)
        }
        _ => 0,
    };
    Some(bake.saturating_add(network))
}

fn of_service_deployment(service: &Service, deployment: &ServiceDeployment) -> RolloutStatus {
    let running = service
        .task_definition
        .as_deref()
        .map(|arn| name_in(arn).to_owned());
    let revision = deployment.revision.clone().or(running).unwrap_or_default();
    let listed = service
        .deployments
        .iter()
        .find(|listed| is_same_task_definition(&revision, listed.task_definition.as_deref()));
    let [requested_count, running_count, pending_count] = deployment.counts;
    let [
        requested_production_traffic_weight,
        requested_test_traffic_weight,
    ] = deployment.weights;
    RolloutStatus {
        id: listed.and_then(|listed| listed.id.clone()),
        service_deployment_arn: Some(deployment.arn.clone()),
        service_revision_arn: deployment.service_revision.clone(),
        phase: deployment.phase,
        lifecycle_stage: deployment.stage.clone(),
        hook: deployment.hook.clone(),
        hook_in_progress: deployment.hook_in_progress.clone(),
        requested_production_traffic_weight,
        requested_test_traffic_weight,
        requested_count,
        running_count,
        pending_count,
        failed_count: deployment
            .failures
            .or_else(|| listed.and_then(|listed| listed.failed_tasks)),
        started_at: deployment.started_at.clone(),
        finished_at: deployment.finished_at.clone(),
        reason: deployment.reason.clone(),
        revision,
        ..RolloutStatus::default()
    }
}

fn of_primary(service: &Service, primary: &Deployment) -> RolloutStatus {
    let alone = service
        .deployments
        .iter()
        .filter(|deployment| !is_over(deployment))
        .count()
        <= 1;
    let counts_met = primary.running_count >= primary.desired_count
        && primary.pending_count.unwrap_or_default() == 0;
    let phase = match primary.rollout_state.as_deref() {
        Some("FAILED") => RolloutPhase::Failed,
        // The state alone is not trusted: some servers say COMPLETED with nothing running.
        None | Some("COMPLETED") if alone && counts_met => RolloutPhase::Succeeded,
        _ => RolloutPhase::InProgress,
    };
    let finished_at = primary
        .id
        .as_deref()
        .and_then(|id| completed_at(service, id))
        .filter(|_| phase == RolloutPhase::Succeeded);
    RolloutStatus {
        finished_at,
        ..of_deployment(primary, phase)
    }
}

fn of_deployment(deployment: &Deployment, phase: RolloutPhase) -> RolloutStatus {
    RolloutStatus {
        revision: deployment
            .task_definition
            .as_deref()
            .map(name_in)
            .unwrap_or_default()
            .to_owned(),
        id: deployment.id.clone(),
        phase,
        requested_count: deployment.desired_count,
        running_count: deployment.running_count,
        pending_count: deployment.pending_count,
        failed_count: deployment.failed_tasks,
        started_at: deployment
            .created_at
            .as_ref()
            .and_then(time)
            .map(whole_seconds),
        reason: deployment
            .rollout_state_reason
            .clone()
            .filter(|reason| !reason.is_empty()),
        ..RolloutStatus::default()
    }
}

/// Whether what ECS shows is what it went back to, and no new rollout.
fn is_way_back(
    state: RolloutState,
    before: &RolloutStatus,
    seen: &RolloutStatus,
    history: Option<&[RolloutRecord]>,
) -> bool {
    let known = history
        .unwrap_or_default()
        .iter()
        .any(|record| record.id.is_some() && record.id == seen.id);
    match state {
        RolloutState::InSync => false,
        RolloutState::RolledBack => true,
        // While something is in the way of the next attempt.
        RolloutState::Other => before.phase.is_failure() && known,
    }
}

/// Of the deployment that ECS goes back from, what is still listed.
fn on_the_way_back(before: &RolloutStatus, service: &Service) -> RolloutStatus {
    let on_the_way = service
        .primary()
        .is_some_and(|primary| primary.rollout_state.as_deref() == Some("IN_PROGRESS"));
    let phase = if on_the_way {
        RolloutPhase::RollingBack
    } else {
        RolloutPhase::RolledBack
    };
    let listed = service
        .deployments
        .iter()
        .find(|listed| listed.id.is_some() && listed.id == before.id);
    let mut seen = listed.map_or_else(|| before.clone(), |listed| of_deployment(listed, phase));
    seen.phase = phase;
    seen.strategy.clone_from(&before.strategy);
    seen.percent = percent(&seen);
    seen
}

/// Whether a deployment is only still listed: replaced, or failed and without tasks.
pub(super) fn is_over(deployment: &Deployment) -> bool {
    deployment.status.as_deref() == Some("INACTIVE")
        || (deployment.status.as_deref() == Some("ACTIVE")
            && deployment.rollout_state.as_deref() == Some("FAILED")
            && tasks(deployment) == 0)
}

/// Number of tasks of a deployment that run or start.
fn tasks(deployment: &Deployment) -> i32 {
    deployment.running_count.unwrap_or_default() + deployment.pending_count.unwrap_or_default()
}

fn is_same(before: &RolloutStatus, seen: &RolloutStatus) -> bool {
    match (&before.service_deployment_arn, &seen.service_deployment_arn) {
        (Some(before), Some(seen)) => before == seen,
        // ECS may show the service deployment only after a while.
        _ => before.id.is_some() && before.id == seen.id && before.revision == seen.revision,
    }
}

fn percent(rollout: &RolloutStatus) -> Option<i32> {
    if rollout.phase == RolloutPhase::Succeeded {
        return Some(100);
    }
    let (requested, running) = (rollout.requested_count?, rollout.running_count?);
    (requested > 0).then(|| (running * 100 / requested).clamp(0, 100))
}

fn begun(mut seen: RolloutStatus, now: Timestamp) -> RolloutStatus {
    seen.started_at.get_or_insert_with(|| whole_seconds(now));
    seen.progressed_at = Some(whole_seconds(now));
    seen.peak_count = seen.running_count;
    if seen.phase.is_final() {
        seen.finished_at.get_or_insert_with(|| whole_seconds(now));
    }
    seen
}

/// The same rollout at a later look.
fn advanced(before: RolloutStatus, mut seen: RolloutStatus, now: Timestamp) -> RolloutStatus {
    // What has succeeded has succeeded: tasks that are lost later make no new rollout.
    if before.phase == RolloutPhase::Succeeded && !seen.phase.is_failure() {
        seen.phase = RolloutPhase::Succeeded;
        seen.percent = Some(100);
    }
    let weights = |rollout: &RolloutStatus| {
        (
            rollout.requested_production_traffic_weight,
            rollout.requested_test_traffic_weight,
        )
    };
    // A task that ends right after its start has a rolling deployment with alarms go back and forth
    // between these two.
    let flips = [seen.phase, before.phase]
        .iter()
        .all(|phase| matches!(phase, RolloutPhase::InProgress | RolloutPhase::Baking))
        && seen.strategy.as_deref() == Some("ROLLING");
    let further = (seen.phase != before.phase && !flips)
        || seen.lifecycle_stage != before.lifecycle_stage
        || seen.hook_in_progress != before.hook_in_progress
        || weights(&seen) != weights(&before)
        || (!seen.phase.is_final() && seen.running_count > before.peak_count);
    // A task that comes and goes again is no progress.
    seen.peak_count = seen.running_count.max(before.peak_count);
    seen.progressed_at = if further {
        Some(whole_seconds(now))
    } else {
        before.progressed_at
    };
    seen.started_at = before.started_at.or(seen.started_at);
    seen.finished_at = match (seen.phase.is_final(), before.phase.is_final()) {
        (false, _) => None,
        (true, true) => before.finished_at.or(seen.finished_at),
        (true, false) => seen.finished_at.or_else(|| Some(whole_seconds(now))),
    };
    seen.hash = before.hash;
    seen.id = seen.id.or(before.id);
    seen.service_deployment_arn = seen
        .service_deployment_arn
        .or(before.service_deployment_arn);
    seen.service_revision_arn = seen.service_revision_arn.or(before.service_revision_arn);
    seen.reason = seen.reason.or(before.reason);
    seen
}

fn with_record(
    history: Option<Vec<RolloutRecord>>,
    before: RolloutStatus,
    now: Timestamp,
) -> Vec<RolloutRecord> {
    let seconds = |time: &Time| time.0.as_second();
    let finished = before.finished_at.as_ref().map_or(now.as_second(), seconds);
    let result = if before.phase.is_final() {
        before.phase
    } else {
        RolloutPhase::Superseded
    };
    let record = RolloutRecord {
        revision: before.revision,
        hash: before.hash,
        id: before.id,
        result,
        duration_seconds: before
            .started_at
            .as_ref()
            .map(|started| (finished - seconds(started)).max(0)),
        started_at: before.started_at,
        reason: before.reason.filter(|_| result != RolloutPhase::Succeeded),
    };
    std::iter::once(record)
        .chain(history.unwrap_or_default())
        .take(HISTORY)
        .collect()
}

/// The history with the deployments of a past failure that no pass saw in progress.
pub(super) fn with_failure(
    history: Option<Vec<RolloutRecord>>,
    rollout: Option<&RolloutStatus>,
    failed: &FailedDeployment,
) -> Option<Vec<RolloutRecord>> {
    let mut history = history.unwrap_or_default();
    for id in &failed.deployment_ids {
        let mut known = history
            .iter()
            .map(|record| &record.id)
            .chain(rollout.map(|rollout| &rollout.id));
        if known.any(|known| known.as_ref() == Some(id)) {
            continue;
        }
        let record = RolloutRecord {
            revision: name_in(&failed.task_definition).to_owned(),
            hash: failed.hash.clone(),
            id: Some(id.clone()),
            result: failed.result,
            reason: Some(failed.message.clone()),
            ..RolloutRecord::default()
        };
        history.insert(0, record);
    }
    history.truncate(HISTORY);
    Some(history).filter(|history| !history.is_empty())
}
