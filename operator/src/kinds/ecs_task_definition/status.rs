//! The status of an EcsTaskDefinition. Pure.

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::{EcsTaskDefinition, EcsTaskDefinitionStatus};

use super::image::resolves;
use super::observed::ObservedTaskDefinition;
use super::revision::Revision;
use super::shape::deletes;
use crate::aws::tags::Tags;
use crate::k8s::conditions::{State, Verdict};
use crate::k8s::object::Object;
use crate::reconcile::Report;
use crate::reconcile::ignore::ignores;
use crate::reconcile::kind::After;
use crate::reconcile::outcome::Outcome;

pub(super) fn report(
    object: &EcsTaskDefinition,
    after: &After<'_, ObservedTaskDefinition>,
) -> Report<EcsTaskDefinitionStatus> {
    let observed = after.observed;
    let mut status = object.status.clone().unwrap_or_default();
    if let Some(current) = observed.and_then(|observed| observed.current.as_ref()) {
        status.task_definition_arn = Some(current.arn.clone());
        status.revision = Some(current.revision);
        status.spec_hash.clone_from(&current.hash);
    }
    // Without a look nothing is known of others.
    if let Some(observed) = observed.filter(|seen| seen.looked && !object.is_deleting()) {
        let newer = newer_foreign(observed);
        status.foreign_revision = newer.map(|number| format!("{}:{number}", object.family()));
    }
    status.revisions = revisions(object, &status, observed);
    if !resolves(object) {
        status.images = None;
    } else if let Some(images) = observed.and_then(|observed| observed.images.clone()) {
        status.images = Some(images);
    }
    let registered = registered(object, &status, observed);
    let verdict = verdict(object, observed, after.outcome, registered);
    Report::new(status, verdict)
}

/// Number of the newest revision, if somebody else registered it after the current one.
fn newer_foreign(observed: &ObservedTaskDefinition) -> Option<i32> {
    let (foreign, _) = observed.foreign.as_ref()?;
    let is_newer = |current: &Revision| current.revision < foreign.revision;
    let newer = observed.current.as_ref().is_none_or(is_newer);
    newer.then_some(foreign.revision)
}

/// The message of an object whose revision is registered.
fn registered(
    object: &EcsTaskDefinition,
    status: &EcsTaskDefinitionStatus,
    observed: Option<&ObservedTaskDefinition>,
) -> String {
    let (family, revision) = (object.family(), status.revision.unwrap_or_default());
    let registered = format!("Revision {family}:{revision} is registered");
    match observed.and_then(|observed| observed.surplus.unreadable.as_ref()) {
        Some(why) => format!(
            "{registered}; revisions beyond revisionHistoryLimit stay while EcsServices cannot be read: {why}"
        ),
        None => registered,
    }
}

/// Old revisions that cannot be deregistered, or not yet, do not affect the current one.
fn verdict(
    object: &EcsTaskDefinition,
    observed: Option<&ObservedTaskDefinition>,
    outcome: &Outcome,
    registered: String,
) -> Verdict {
    let ready = |message| Verdict::new(State::Ready, Reason::Succeeded, message);
    let only_lets_go = || observed.is_some_and(|observed| only_lets_go(object, observed));
    match outcome {
        Outcome::Failed(error) if error.operation.is_cleanup() && !object.is_deleting() => ready(
            format!("{registered}; an old revision stays for now: {error}"),
        ),
        Outcome::Unfinished | Outcome::Queued(_) if only_lets_go() => ready(registered),
        _ => outcome.verdict().unwrap_or_else(|| ready(registered)),
    }
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
    let managed = object.managed_tags();
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
        let is_next = revisions
            .first()
            .is_some_and(|newest| newest + 1 == current);
        // At the end, the newest revisions go first.
        if !is_next && !object.is_deleting() {
            // A revision between them may be ours: its registration got no reply, or no status.
            return None;
        }
        revisions.insert(0, current);
    }
    Some(revisions)
}
