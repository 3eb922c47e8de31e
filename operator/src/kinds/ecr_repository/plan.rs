//! The plan of an EcrRepository. Pure.

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::EcrRepository;
use serde_json::{Map, Value, json};

use super::observed::{ObservedRepository, Repository};
use super::policies;
use super::shape::{FILTERS, MUTABILITY, OWN_MEMBERS, RESETS, UPDATES};
use crate::aws::Operation;
use crate::aws::drift::drift;
use crate::aws::ecr;
use crate::aws::name_in;
use crate::aws::tags::{Owner, Ownership};
use crate::k8s::object::Object;
use crate::reconcile::ignore::with_ignored_fields;
use crate::reconcile::plan::{Plan, Write, absent, pick, request};
use crate::reconcile::reset::with_resets;
use crate::reconcile::tagged::{Tagged, left};

pub(super) fn plan(object: &EcrRepository, observed: &ObservedRepository, owner: &Owner) -> Plan {
    if object.is_deleting() {
        return delete(object, observed, owner);
    }
    let name = object.repository_name();
    let what = format!("repository {name}");
    let Some(repository) = &observed.repository else {
        return Plan::Write(vec![create(object, owner)]);
    };
    let rights = &object.spec.policies;
    let tagged = tagged(&what, repository);
    if let Some(plan) = tagged.claim("repositoryName", owner, rights) {
        return plan;
    }
    let applied = object.applied_members();
    let spec = with_resets(&request(&object.spec, OWN_MEMBERS), applied, RESETS);
    let wanted = spec.clone();
    let spec = with_ignored_fields(spec, &repository.json, rights);
    let spec = with_whole_mutability(spec, &wanted, &repository.json);
    if let Some(message) = other_encryption(&what, &spec, repository) {
        return Plan::stall(Reason::InvalidSpec, message);
    }
    let policy_writes = match policies::writes(&wanted, rights, &name, repository) {
        Ok(writes) => writes,
        Err(message) => return Plan::stall(Reason::InvalidSpec, message),
    };
    let mut writes: Vec<_> = UPDATES
        .iter()
        .filter_map(|(operation, members)| update(*operation, members, &name, &spec, repository))
        .chain(policy_writes)
        .collect();
    let managed = object.managed_tags();
    writes.extend(tagged.tag_writes(&owner.desired(object.spec.tags.as_deref()), managed, rights));
    Plan::writes(writes)
}

/// The spec with mutability and filters as ECR takes them: the filters need a mutability with
/// exclusion, and that needs filters. The one of both that is left to others is as it is in ECR.
fn with_whole_mutability(
    mut spec: Map<String, Value>,
    wanted: &Map<String, Value>,
    live: &Value,
) -> Map<String, Value> {
    let is_set = |member| spec.get(member).is_some_and(|value| !value.is_null());
    if !is_set(MUTABILITY) && !is_set(FILTERS) {
        // The filters are reset with the mutability.
        spec.remove(FILTERS);
        return spec;
    }
    let mutability = spec.get(MUTABILITY).filter(|value| !value.is_null());
    let mutability = mutability.unwrap_or(&live[MUTABILITY]).clone();
    let excludes = mutability
        .as_str()
        .is_some_and(|text| text.ends_with("_WITH_EXCLUSION"));
    let present = |value: Option<&Value>| value.filter(|value| !value.is_null()).cloned();
    let filters = present(spec.get(FILTERS)).or_else(|| present(wanted.get(FILTERS)));
    let filters = filters
        .or_else(|| present(live.get(FILTERS)))
        .filter(|_| excludes);
    spec.insert(MUTABILITY.to_owned(), mutability);
    spec.insert(FILTERS.to_owned(), filters.unwrap_or_default());
    spec
}

fn tagged<'a>(what: &'a str, repository: &'a Repository) -> Tagged<'a> {
    Tagged {
        tagging: ecr::TAGGING,
        what,
        arn: &repository.repository_arn,
        tags: &repository.tags,
    }
}

fn create(object: &EcrRepository, owner: &Owner) -> Write {
    let name = object.repository_name();
    let mut request = request(&object.spec, OWN_MEMBERS);
    request.retain(|member, _| !policies::MEMBERS.contains(&member.as_str()));
    request.insert("repositoryName".to_owned(), name.clone().into());
    let tags = owner
        .desired(object.spec.tags.as_deref())
        .write(ecr::SERVICE.tag_shape);
    request.insert("tags".to_owned(), tags);
    Write {
        operation: ecr::CreateRepository,
        request: request.into(),
        note: format!("Created repository {name}"),
    }
}

/// The write that changes `members`, which the operation replaces together.
fn update(
    operation: Operation,
    members: &[&str],
    name: &str,
    spec: &Map<String, Value>,
    repository: &Repository,
) -> Option<Write> {
    let mut request = pick(spec, members);
    let paths = drift(&request.clone().into(), &repository.json);
    if paths.is_empty() {
        return None;
    }
    // A member that is to be absent is left out.
    request.retain(|_, value| !value.is_null());
    request.insert("repositoryName".to_owned(), name.into());
    let note = format!("Updated repository {name}: {}", paths.join(", "));
    Some(Write {
        operation,
        request: request.into(),
        note,
    })
}

/// The message for an adopted repository whose encryption differs from the spec. ECR shows a key as
/// an ARN, so an alias is not compared.
fn other_encryption(
    what: &str,
    spec: &Map<String, Value>,
    repository: &Repository,
) -> Option<String> {
    let (wanted, present) = (
        spec.get("encryptionConfiguration")?,
        &repository.json["encryptionConfiguration"],
    );
    let is_alias = |key: &str| name_in(key) != key && key.contains("alias/");
    let differs = |member: &&str| {
        let values = wanted[*member].as_str().zip(present[*member].as_str());
        values.is_some_and(|(wanted, present)| {
            !is_alias(wanted) && name_in(wanted) != name_in(present)
        })
    };
    let member = ["encryptionType", "kmsKey"]
        .into_iter()
        .find(|member| differs(member))?;
    let present = present[member].as_str().unwrap_or_default();
    Some(format!(
        "{what} has encryptionConfiguration.{member} {present}, which cannot change in ECR: set it to {present}, or create a \
         repository of another name with another EcrRepository"
    ))
}

fn delete(object: &EcrRepository, observed: &ObservedRepository, owner: &Owner) -> Plan {
    let name = object.repository_name();
    let what = format!("repository {name}");
    let policies = &object.spec.policies;
    let Some(repository) = &observed.repository else {
        return absent(&what, observed.may_be_there);
    };
    let tagged = tagged(&what, repository);
    if policies.retains() {
        return tagged.retain(owner, policies);
    }
    let ownership = owner.of(&repository.tags);
    if ownership != Ownership::Ours {
        let known = object
            .status
            .as_ref()
            .and_then(|status| status.repository_arn.as_deref());
        return left(&what, &ownership, known, policies);
    }
    let force = object.spec.force_delete == Some(true);
    if observed.images > 0 && !force {
        let message = format!(
            "{what} holds {}: delete them in ECR, set spec.forceDelete to true to delete them with the repository, or set spec.deletionPolicy to Retain to \
             keep both",
            images(observed.images)
        );
        return Plan::wait(Reason::DeletionBlocked, message);
    }
    let mut request = json!({"repositoryName": name});
    if force {
        request["force"] = true.into();
    }
    Plan::Write(vec![Write {
        operation: ecr::DeleteRepository,
        request,
        note: format!("Deleted {what}"),
    }])
}

fn images(number: usize) -> String {
    match number {
        1 => "1 image".to_owned(),
        // ECR lists a page.
        1000.. => "1000 images or more".to_owned(),
        number => format!("{number} images"),
    }
}
