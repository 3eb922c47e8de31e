//! The plan of an EcsTaskDefinition. Pure.

use std::time::Duration;

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::EcsTaskDefinition;
use serde_json::json;

use super::definition::compared;
use super::definition::definition;
use super::definition::is_same;
use super::image::digests;
use super::observed::{ObservedTaskDefinition, Surplus};
use super::problem::problem;
use super::revision::Revision;
use super::shape::{deletes, known_arn};
use crate::aws::ecs;
use crate::aws::name_in;
use crate::aws::tags::{Owner, Ownership, SPEC_HASH, Tags};
use crate::k8s::object::Object;
use crate::reconcile::plan::{Plan, Write, absent, tagged_hash};
use crate::reconcile::tagged::{Tagged, left, owned_by, recreate_hint, retained_by};

pub(super) fn plan(
    object: &EcsTaskDefinition,
    observed: &ObservedTaskDefinition,
    owner: &Owner,
) -> Plan {
    if object.is_deleting() {
        return delete(object, observed, owner);
    }
    let images = observed.images.as_deref().unwrap_or_default();
    let digests = digests(images);
    let object = &*observed.resolve(object);
    let family = object.family();
    let policies = &object.spec.policies;
    let mut tags = owner.desired(object.spec.tags.as_deref());
    tags.0
        .insert(SPEC_HASH.to_owned(), tagged_hash(owner, &compared(object)));
    // What runs by name alone would run the revision of either.
    if let Some((rival, ownership)) = &observed.rival {
        return refuse(&family, rival, ownership, owner);
    }
    if let Some(problem) = observed
        .unresolved
        .as_ref()
        .filter(|_| !policies.observes())
    {
        return Plan::stall(Reason::ImageNotFound, problem.to_string());
    }
    match (&observed.current, &observed.foreign) {
        (Some(current), _) if is_same(object, current, owner) => {
            let writes = tag_writes(object, current, &tags);
            if writes.is_empty() {
                return Plan::writes(deletions(object, &observed.surplus));
            }
            // The deregistrations wait for a quota that the tags do not need.
            Plan::Write(writes)
        }
        (None, Some((foreign, Ownership::Nobody | Ownership::Retained)))
            if policies.adopts() && is_same(object, foreign, owner) =>
        {
            adopt(&family, foreign, tags)
        }
        (None, Some((foreign, ownership))) if !policies.adopts() => {
            refuse(&family, foreign, ownership, owner)
        }
        // ECS accepted the revision of the arms above, so the check precedes a registration only.
        _ if !policies.observes()
            && let Some(problem) = problem(&object.spec) =>
        {
            Plan::stall(Reason::InvalidSpec, problem)
        }
        _ if !policies.observes()
            && let Some(problem) = &observed.image_problem =>
        {
            Plan::stall(Reason::ImageNotFound, problem.to_string())
        }
        _ if observed.unanswered.is_some_and(|ago| ago < LISTED) => {
            let message = format!(
                "AWS did not reply to a registration in family {family}; checking for some seconds whether it made a revision"
            );
            Plan::pause(Reason::Progressing, message)
        }
        _ => Plan::Write(vec![register(object, &tags, &digests)]),
    }
}

/// The writes that give the current revision its tags.
fn tag_writes(object: &EcsTaskDefinition, current: &Revision, tags: &Tags) -> Vec<Write> {
    let Some(present) = &current.tags else {
        return Vec::new();
    };
    let managed = object.managed_tags();
    let what = format!("task definition {}:{}", object.family(), current.revision);
    tagged(&what, &current.arn, present).tag_writes(tags, managed, &object.spec.policies)
}

/// Tags a revision that nobody owns and that matches the spec. The tags of the operator come first;
/// those of the spec follow.
fn adopt(family: &str, foreign: &Revision, mut tags: Tags) -> Plan {
    let group = ecs_operator_crds::GROUP;
    tags.0.retain(|key, _| key.starts_with(group));
    let note = format!(
        "Adopted the existing revision {family}:{}, which is what the spec asks for",
        foreign.revision
    );
    let nothing = Tags::default();
    Plan::Write(vec![
        tagged(family, &foreign.arn, &nothing).tag(&tags, note),
    ])
}

/// How long it is awaited that a list shows a revision whose registration got no reply. Registering
/// has no client token, so sent again it would make a second one.
const LISTED: Duration = Duration::from_secs(10);

fn register(object: &EcsTaskDefinition, tags: &Tags, digests: &str) -> Write {
    let mut definition = definition(object);
    definition.insert("tags".to_owned(), tags.write(ecs::SERVICE.tag_shape));
    Write {
        operation: ecs::RegisterTaskDefinition,
        request: definition.into(),
        note: format!(
            "Registered a new revision of task definition {}{digests}",
            object.family()
        ),
    }
}

fn refuse(family: &str, foreign: &Revision, ownership: &Ownership, owner: &Owner) -> Plan {
    let hint = recreate_hint("family");
    match ownership {
        Ownership::Other(other) => Plan::stall(
            Reason::Conflict,
            format!(
                "task definition family {family} {}, or {hint}",
                owned_by(owner, other, &foreign.arn)
            ),
        ),
        Ownership::Retained => {
            let message = format!(
                "task definition family {family} (revision {}) {}, or {hint}",
                foreign.revision,
                retained_by()
            );
            Plan::stall(Reason::NotOwned, message)
        }
        _ => Plan::stall(
            Reason::NotOwned,
            format!(
                "task definition family {family} exists already (revision {}) and was not created by this operator; \
                 set spec.adoptionPolicy to IfUnowned to take it over, or {hint}",
                foreign.revision
            ),
        ),
    }
}

fn tagged<'a>(what: &'a str, arn: &'a str, tags: &'a Tags) -> Tagged<'a> {
    Tagged {
        tagging: ecs::TAGGING,
        what,
        arn,
        tags,
    }
}

fn delete(object: &EcsTaskDefinition, observed: &ObservedTaskDefinition, owner: &Owner) -> Plan {
    if object.spec.policies.retains() {
        let current = observed
            .current
            .as_ref()
            .and_then(|current| Some((current, current.tags.as_ref()?)));
        let what = format!("task definition {}", object.family());
        return current.map_or(Plan::Gone, |(current, tags)| {
            tagged(&what, &current.arn, tags).retain(owner, &object.spec.policies)
        });
    }
    if !observed.dependants.is_empty() {
        let message = format!(
            "task definition {} waits until nothing refers to it: {}",
            object.family(),
            observed.dependants.words()
        );
        return observed.dependants.block(message);
    }
    let Surplus {
        used, left: more, ..
    } = &observed.surplus;
    match deletions(object, &observed.surplus) {
        writes if !writes.is_empty() => Plan::Write(writes),
        // A later pass goes on with them.
        _ if *more > 0 => Plan::Write(Vec::new()),
        _ if !used.is_empty() => Plan::wait(
            Reason::DeletionBlocked,
            format!(
                "task definition {} is in use and is deregistered when it no longer is: {}",
                object.family(),
                used.join("; ")
            ),
        ),
        _ if let Some((revision, ownership)) = &observed.surplus.lost => left(
            &format!("task definition {revision}"),
            ownership,
            known_arn(object),
            &object.spec.policies,
        ),
        _ => absent(
            &format!("a revision of task definition {}", object.family()),
            observed.unanswered.is_some(),
        ),
    }
}

/// The writes that let surplus revisions go.
fn deletions(object: &EcsTaskDefinition, surplus: &Surplus) -> Vec<Write> {
    let mut writes: Vec<_> = surplus.active.iter().map(|arn| deregister(arn)).collect();
    if deletes(object) {
        let all: Vec<_> = surplus.active.iter().chain(&surplus.inactive).collect();
        writes.extend((!all.is_empty()).then(|| {
            let names: Vec<_> = all.iter().map(|arn| name_in(arn)).collect();
            Write {
                operation: ecs::DeleteTaskDefinitions,
                request: json!({"taskDefinitions": all}),
                note: format!("Deleted task definition {}", names.join(", ")),
            }
        }));
    }
    writes
}

fn deregister(arn: &str) -> Write {
    Write {
        operation: ecs::DeregisterTaskDefinition,
        request: json!({"taskDefinition": arn}),
        note: format!("Deregistered task definition {}", name_in(arn)),
    }
}
