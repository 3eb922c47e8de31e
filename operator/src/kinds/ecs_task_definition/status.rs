//! The status of an EcsTaskDefinition. Pure.

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::{EcsTaskDefinition, EcsTaskDefinitionStatus};
use k8s_openapi::jiff::Timestamp;

use super::observed::ObservedTaskDefinition;
use super::revision::Revision;
use super::shape::deletes;
use crate::aws::tags::Tags;
use crate::k8s::conditions::{State, Verdict, conditions};
use crate::k8s::object::Object;
use crate::reconcile::ignore::ignores;
use crate::reconcile::outcome::Outcome;
use crate::reconcile::reset::remembered;

pub(super) fn status(
    object: &EcsTaskDefinition,
    observed: Option<&ObservedTaskDefinition>,
    outcome: &Outcome,
    now: Timestamp,
) -> EcsTaskDefinitionStatus {
    let mut status = object.status.clone().unwrap_or_default();
    if let Some(current) = observed.and_then(|observed| observed.current.as_ref()) {
        status.task_definition_arn = Some(current.arn.clone());
        status.revision = Some(current.revision);
        status.spec_hash.clone_from(&current.hash);
    }
    if let Some(observed) = observed.filter(|_| !object.is_deleting()) {
        let foreign = observed.foreign.as_ref().map(|(foreign, _)| foreign);
        let newer = foreign.filter(|foreign| {
            observed
                .current
                .as_ref()
                .is_none_or(|current| current.revision < foreign.revision)
        });
        // Without a look nothing is known of others.
        if observed.looked {
            status.foreign_revision =
                newer.map(|foreign| format!("{}:{}", object.family(), foreign.revision));
        }
    }
    status.revisions = revisions(object, &status, observed);
    if *outcome == Outcome::InSync
        && let Some(remembered) = remembered(object)
    {
        status.managed_tags = remembered.tags;
    }
    let registered = format!(
        "Revision {}:{} is registered",
        object.family(),
        status.revision.unwrap_or_default()
    );
    let registered = match observed.and_then(|observed| observed.surplus.unreadable.as_ref()) {
        Some(why) => {
            format!(
                "{registered}; revisions beyond revisionHistoryLimit stay while EcsServices cannot be read: {why}"
            )
        }
        None => registered,
    };
    let verdict = match outcome {
        // That an old one cannot go is no trouble of the current one.
        Outcome::Failed(error) if error.operation.is_cleanup() && !object.is_deleting() => {
            Verdict::new(
                State::Ready,
                Reason::Succeeded,
                format!("{registered}; an old revision stays for now: {error}"),
            )
        }
        Outcome::Unfinished | Outcome::Queued(_)
            if observed.is_some_and(|observed| only_lets_go(object, observed)) =>
        {
            Verdict::new(State::Ready, Reason::Succeeded, registered)
        }
        _ => outcome
            .verdict()
            .unwrap_or_else(|| Verdict::new(State::Ready, Reason::Succeeded, registered)),
    };
    status.conditions = conditions(
        &status.conditions,
        &verdict,
        object.metadata.generation,
        now,
    );
    status.observed_generation = object.metadata.generation;
    status
}

/// Whether nothing is left to do but to deregister old revisions. They are read only beside a
/// current revision that matches the spec, whose tags may still have to change.
fn only_lets_go(object: &EcsTaskDefinition, observed: &ObservedTaskDefinition) -> bool {
    let surplus = &observed.surplus;
    let is_left = !surplus.active.is_empty() || !surplus.inactive.is_empty();
    let has_its_tags = observed
        .current
        .as_ref()
        .is_some_and(|current| has_its_tags(object, current));
    is_left && has_its_tags && !object.is_deleting()
}

/// Whether a revision of the object has the tags of the spec, and none that the spec has dropped.
fn has_its_tags(object: &EcsTaskDefinition, current: &Revision) -> bool {
    let Some(present) = current
        .tags
        .as_ref()
        .filter(|_| !ignores(&object.spec.policies, "tags"))
    else {
        return true;
    };
    let wanted = Tags::of_spec(object.spec.tags.as_deref());
    let managed = object
        .status
        .as_ref()
        .and_then(|status| status.managed_tags.as_deref());
    wanted.missing_from(present).0.is_empty() && wanted.dropped(managed, present).is_empty()
}

/// Our revisions, where there is a limit to keep, or where they are about to be deleted; `None` has
/// the next pass look for them.
fn revisions(
    object: &EcsTaskDefinition,
    status: &EcsTaskDefinitionStatus,
    observed: Option<&ObservedTaskDefinition>,
) -> Option<Vec<i32>> {
    if object.spec.revision_history_limit.is_none() && !(object.is_deleting() && deletes(object)) {
        return None;
    }
    let found = observed.and_then(|observed| observed.surplus.revisions.clone());
    let mut revisions = found.or_else(|| status.revisions.clone())?;
    // With `managementPolicy: Observe`, the current revision may be that of somebody else.
    let is_new = |current: &i32| !object.spec.policies.observes() && !revisions.contains(current);
    if let Some(current) = status.revision.filter(is_new) {
        revisions.insert(0, current);
    }
    Some(revisions)
}
