//! Whether the tasks of a rollout that has completed keep running: how long failures hold Ready
//! back. Pure, and all times but `now` are those of AWS, so that the status changes only with them.

use ecs_operator_crds::v1beta1::EcsService;
use ecs_operator_crds::v1beta1::service::{RolloutPhase, RolloutStatus, StoppedTask, TaskFailures};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

/// Default of `rollout.unavailableAfterSeconds`.
const UNAVAILABLE_AFTER: i64 = 60;

/// Seconds after the end of a rollout for which the service is looked at as often as during it, and
/// for which one task that fails is enough to hold Ready back.
const SETTLING: i64 = 120;

/// Seconds that tasks may be missing before the service is Unavailable.
pub(super) fn unavailable_after(object: &EcsService) -> i64 {
    object
        .spec
        .rollout
        .as_ref()
        .and_then(|rollout| rollout.unavailable_after_seconds)
        .map_or(UNAVAILABLE_AFTER, i64::from)
}

fn min_ready(object: &EcsService) -> i64 {
    object
        .spec
        .rollout
        .as_ref()
        .and_then(|rollout| rollout.min_ready_seconds)
        .map_or(0, i64::from)
}

/// Seconds after a failure for which the service is not Ready.
fn hold(object: &EcsService) -> i64 {
    min_ready(object).max(unavailable_after(object))
}

pub(super) fn after(time: &Time, seconds: i64) -> Option<Timestamp> {
    Timestamp::from_second(time.0.as_second().saturating_add(seconds)).ok()
}

/// When the rollout has completed, if it has.
fn completed_at(rollout: &RolloutStatus) -> Option<&Time> {
    rollout
        .finished_at
        .as_ref()
        .filter(|_| rollout.phase == RolloutPhase::Succeeded)
}

/// The failures that followed each other after a look that found these tasks stopped.
pub(super) fn failures(
    object: &EcsService,
    rollout: Option<&RolloutStatus>,
    before: Option<TaskFailures>,
    stopped: &[StoppedTask],
) -> Option<TaskFailures> {
    let completed = completed_at(rollout?)?.0;
    let mut times: Vec<_> = stopped
        .iter()
        .filter_map(|task| task.stopped_at.clone())
        .filter(|at| at.0 >= completed)
        .collect();
    times.sort_by_key(|at| at.0);
    times.into_iter().fold(before, |before, at| match before {
        Some(before) if at.0 <= before.last_at.0 => Some(before),
        Some(before) if after(&before.last_at, hold(object)) >= Some(at.0) => Some(TaskFailures {
            last_at: at,
            ..before
        }),
        _ => Some(TaskFailures {
            first_at: at.clone(),
            last_at: at,
        }),
    })
}

/// The failures that hold Ready back: of a service that has been running for a while, one task
/// alone does not.
fn holding<'a>(
    object: &EcsService,
    rollout: &RolloutStatus,
    failures: Option<&'a TaskFailures>,
) -> Option<&'a TaskFailures> {
    let settled = after(completed_at(rollout)?, SETTLING.max(hold(object)))?;
    failures
        .filter(|failures| failures.first_at != failures.last_at || failures.first_at.0 <= settled)
}

/// The failures that hold Ready back, and until when they count as going on.
pub(super) fn failing<'a>(
    object: &EcsService,
    rollout: Option<&RolloutStatus>,
    failures: Option<&'a TaskFailures>,
) -> Option<(&'a TaskFailures, Timestamp)> {
    let failures = holding(object, rollout?, failures)?;
    Some((
        failures,
        after(&failures.last_at, unavailable_after(object))?,
    ))
}

/// Until when Ready is held back although all tasks run.
pub(super) fn held_until(
    object: &EcsService,
    rollout: Option<&RolloutStatus>,
    failures: Option<&TaskFailures>,
) -> Option<Timestamp> {
    let rollout = rollout?;
    let new = completed_at(rollout)
        .and_then(|completed| after(completed, min_ready(object)))
        .filter(|_| min_ready(object) > 0);
    let failed = holding(object, rollout, failures)
        .and_then(|failures| after(&failures.last_at, hold(object)));
    new.into_iter().chain(failed).max()
}

/// Until when the service is looked at as often as during the rollout.
pub(super) fn settles_until(rollout: Option<&RolloutStatus>) -> Option<Timestamp> {
    after(completed_at(rollout?)?, SETTLING)
}
