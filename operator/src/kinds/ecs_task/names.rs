//! The names by which ECS knows the tasks of an attempt. Pure.

use ecs_operator_crds::v1beta1::EcsTask;
use ecs_operator_crds::v1beta1::task::AttemptStatus;
use kube::ResourceExt;

/// `startedBy` of the tasks of an attempt: letters, digits, `-` and `/`, at most 128.
pub(super) fn started_by(object: &EcsTask, attempt: &AttemptStatus) -> String {
    let uid = object.uid().unwrap_or_default();
    let AttemptStatus { run, number, .. } = attempt;
    format!("ecs-operator/{uid}/{run}-{number}")
}

/// `clientToken` of the call that starts the tasks of an attempt beyond those `answered`: at most 64
/// characters. After ECS has answered that it can start none, a further call has another token.
pub(super) fn token(object: &EcsTask, attempt: &AttemptStatus, answered: usize) -> String {
    let uid = object.uid().unwrap_or_default();
    let AttemptStatus {
        run,
        number,
        refusals,
        ..
    } = attempt;
    let refusals = refusals.unwrap_or_default();
    format!("{uid}.{run}.{number}.{refusals}.{answered}")
}
