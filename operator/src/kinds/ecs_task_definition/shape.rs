//! The members of an EcsTaskDefinition that are special, and what its status tells.

use ecs_operator_crds::v1beta1::{EcsTaskDefinition, EcsTaskDefinitionStatus};

/// Members of the spec that are ours and not the API's.
pub(super) const OWN_MEMBERS: &[&str] = &[
    "deleteRevisions",
    "imageResolution",
    "revisionHistoryLimit",
    "verifyImages",
];

/// Whether more revisions are registered than `revisionHistoryLimit` allows.
pub(super) fn has_surplus(object: &EcsTaskDefinition) -> bool {
    object
        .status
        .as_ref()
        .is_some_and(|status| shows_surplus(object, status))
}

/// Whether the status lists more revisions than the limit.
pub(super) fn shows_surplus(object: &EcsTaskDefinition, status: &EcsTaskDefinitionStatus) -> bool {
    let limit = object
        .spec
        .revision_history_limit
        .and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.filter(|_| !object.spec.policies.observes());
    limit.is_some_and(|limit| {
        status
            .revisions
            .as_ref()
            .is_some_and(|revisions| revisions.len() > limit + 1)
    })
}

/// Whether there is a limit and the status does not list the revisions yet.
pub(super) fn lacks_revisions(
    object: &EcsTaskDefinition,
    status: &EcsTaskDefinitionStatus,
) -> bool {
    let spec = &object.spec;
    spec.revision_history_limit.is_some() && !spec.policies.observes() && status.revisions.is_none()
}

/// ARN of the revision that the status names.
pub(super) fn known_arn(object: &EcsTaskDefinition) -> Option<&str> {
    object.status.as_ref()?.task_definition_arn.as_deref()
}

/// Whether revisions are deleted, and not only deregistered.
pub(super) fn deletes(object: &EcsTaskDefinition) -> bool {
    object.spec.delete_revisions == Some(true)
}
