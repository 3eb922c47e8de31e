//! What the operator asked ECS to deploy. Pure.

use ecs_operator_crds::v1beta1::EcsService;
use serde_json::json;

use super::shape::OWN_MEMBERS;
use crate::aws::ecs::family_of;
use crate::aws::name_in;
use crate::reconcile::plan::{hash, request};

/// Hash of what is asked for: the task definition and the spec, less what changes without a
/// rollout. A number of tasks that an autoscaler changes makes no new attempt.
pub(super) fn asked_for(object: &EcsService, task_definition: &str) -> String {
    let mut spec = request(&object.spec, OWN_MEMBERS);
    for member in ["desiredCount", "tags", "taskDefinition"] {
        spec.remove(member);
    }
    hash(&json!([name_in(task_definition), spec]))
}

/// Whether all of it had been sent, for this very spec and revision. Else it is new, whatever ECS
/// is going back from. What is wanted may be a family alone, of which ECS took a revision.
pub(super) fn was_sent(object: &EcsService, wanted: &str) -> bool {
    let rollout = object
        .status
        .as_ref()
        .and_then(|status| status.rollout.as_ref());
    rollout.is_some_and(|rollout| {
        is_same_task_definition(wanted, Some(&rollout.revision))
            && rollout.hash == asked_for(object, &rollout.revision)
    })
}

/// `wanted` is an ARN, `family:revision`, or `family`, which means any revision of it: ECS took the
/// newest when it was set.
pub(super) fn is_same_task_definition(wanted: &str, shown: Option<&str>) -> bool {
    let Some(shown) = shown else { return false };
    name_in(wanted) == name_in(shown) || (!wanted.contains(':') && family_of(shown) == wanted)
}
