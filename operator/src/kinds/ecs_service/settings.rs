//! Settings that ECS gives to new tasks only: an UpdateService that changes them begins no
//! deployment, and what runs keeps the old ones. Pure.
//!
//! Source: `enableExecuteCommand`, `enableECSManagedTags` and `propagateTags` of UpdateService, ECS
//! API reference.

use ecs_operator_crds::RESTARTED_AT;
use ecs_operator_crds::v1beta1::EcsService;
use ecs_operator_crds::v1beta1::service::{RolloutStatus, TaskSettings};

use super::described::{Service, foreign_controller};
use crate::reconcile::plan::Write;

const ENABLE_EXECUTE_COMMAND: &str = "enableExecuteCommand";
const ENABLE_ECS_MANAGED_TAGS: &str = "enableECSManagedTags";
const PROPAGATE_TAGS: &str = "propagateTags";

/// The settings that new tasks get.
pub(super) fn live(service: &Service) -> TaskSettings {
    let is_on = |member: &str| service.json[member] == true;
    TaskSettings {
        enable_execute_command: is_on(ENABLE_EXECUTE_COMMAND),
        enable_ecs_managed_tags: is_on(ENABLE_ECS_MANAGED_TAGS),
        propagate_tags: service.json[PROPAGATE_TAGS]
            .as_str()
            .unwrap_or("NONE")
            .to_owned(),
    }
}

/// Whether tasks may have been started with other settings than the present ones.
pub(super) fn has_tasks(service: &Service) -> bool {
    service.running_count + service.pending_count > 0
}

/// What has changed since the tasks of the rollout were started, in words with the way out; `None`
/// when nothing has.
pub(super) fn restart_required(
    service: &Service,
    rollout: Option<&RolloutStatus>,
) -> Option<String> {
    let (started, live) = (rollout?.task_settings.as_ref()?, live(service));
    // Deployments of other controllers are not ours to begin.
    if !has_tasks(service) || foreign_controller(service).is_some() {
        return None;
    }
    let rows = [
        (
            started.enable_execute_command != live.enable_execute_command,
            ENABLE_EXECUTE_COMMAND,
        ),
        (
            started.enable_ecs_managed_tags != live.enable_ecs_managed_tags,
            ENABLE_ECS_MANAGED_TAGS,
        ),
        (
            started.propagate_tags != live.propagate_tags,
            PROPAGATE_TAGS,
        ),
    ];
    let changed: Vec<_> = rows
        .into_iter()
        .filter_map(|(differs, member)| differs.then_some(member))
        .collect();
    (!changed.is_empty()).then(|| {
        format!(
            "Tasks that were started before {} changed have the old settings: annotate {RESTARTED_AT} with the present time to replace \
             them; spec.rollout.restartOnSettings: true does so with later changes",
            changed.join(", ")
        )
    })
}

/// The UpdateService, with a new deployment where it changes settings and the spec wants the tasks
/// to follow.
pub(super) fn restarting(object: &EcsService, service: &Service, mut update: Write) -> Write {
    let wanted = object
        .spec
        .rollout
        .as_ref()
        .and_then(|rollout| rollout.restart_on_settings)
        .unwrap_or_default();
    let concerned = [
        ENABLE_EXECUTE_COMMAND,
        ENABLE_ECS_MANAGED_TAGS,
        PROPAGATE_TAGS,
    ]
    .iter()
    .any(|member| update.request.get(member).is_some());
    if wanted && concerned && has_tasks(service) && foreign_controller(service).is_none() {
        update.request["forceNewDeployment"] = true.into();
        update.note += "; with a new deployment, as rollout.restartOnSettings asks";
    }
    update
}
