//! Second door of EcsTaskDefinition: what has to be done. Pure.

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::{AdoptionPolicy, DeletionPolicy, EcsTaskDefinition};
use serde_json::{Map, Value, json};

use super::{Kind, OWN_MEMBERS, ObservedTaskDefinition, TaskDefinitionExt};
use crate::aws::tags::{Owner, Ownership, SPEC_HASH, Tags};
use crate::aws::{Operation, name_in};
use crate::reconcile::plan::{Plan, Write, hash, request, tag_writes};

pub(super) fn plan(object: &EcsTaskDefinition, observed: &ObservedTaskDefinition, owner: &Owner) -> Plan {
    if object.is_deleting() {
        return delete(object, observed);
    }
    let family = object.family();
    let definition = definition(object);
    let hash = hash(&definition.clone().into());
    let mut tags = owner.desired(object.spec.tags.as_deref());
    tags.0.insert(SPEC_HASH.to_owned(), hash.clone());
    match (&observed.current, &observed.foreign) {
        (Some(current), _) if current.hash.as_ref() == Some(&hash) => {
            let managed = object.status.as_ref().and_then(|status| status.managed_tags.as_deref());
            let present = current.tags.as_ref();
            let what = format!("task definition {family}:{}", current.revision);
            Plan::writes(present.map_or_else(Vec::new, |present| tag_writes(&what, &current.arn, &tags, present, managed)))
        }
        (None, Some((foreign, ownership)))
            if object.spec.adoption_policy != Some(AdoptionPolicy::IfUnowned) || *ownership != Ownership::Nobody =>
        {
            refuse(&family, foreign.revision, ownership)
        }
        _ => Plan::Write(vec![register(&family, definition, &tags)]),
    }
}

/// The request without its tags: what makes a revision different from another one.
fn definition(object: &EcsTaskDefinition) -> Map<String, Value> {
    let mut definition = request(&object.spec, OWN_MEMBERS);
    definition.remove("tags");
    definition.insert("family".to_owned(), object.family().into());
    definition
}

fn register(family: &str, mut definition: Map<String, Value>, tags: &Tags) -> Write {
    definition.insert("tags".to_owned(), tags.write());
    Write {
        operation: Operation::RegisterTaskDefinition,
        request: definition.into(),
        note: format!("Registered a new revision of task definition {family}"),
    }
}

fn refuse(family: &str, revision: i32, ownership: &Ownership) -> Plan {
    match ownership {
        Ownership::Other(other) => Plan::stall(
            Reason::Conflict,
            format!(
                "task definition family {family} belongs to another custom resource ({other}); delete that one first, or choose another family"
            ),
        ),
        _ => Plan::stall(
            Reason::NotOwned,
            format!(
                "task definition family {family} exists already (revision {revision}) and was not made by this operator; \
                 set spec.adoptionPolicy to IfUnowned to go on with it, or choose another family"
            ),
        ),
    }
}

fn delete(object: &EcsTaskDefinition, observed: &ObservedTaskDefinition) -> Plan {
    if object.spec.deletion_policy == Some(DeletionPolicy::Retain) {
        return Plan::Gone;
    }
    if !observed.dependants.names.is_empty() {
        let message =
            format!("task definition {} waits until no EcsService refers to it: {}", object.family(), observed.dependants.names);
        return observed.dependants.block(message);
    }
    if observed.ours.is_empty() {
        return Plan::Gone;
    }
    Plan::Write(observed.ours.iter().map(|arn| deregister(arn)).collect())
}

fn deregister(arn: &str) -> Write {
    Write {
        operation: Operation::DeregisterTaskDefinition,
        request: json!({"taskDefinition": arn}),
        note: format!("Deregistered task definition {}", name_in(arn)),
    }
}
