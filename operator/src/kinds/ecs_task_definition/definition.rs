//! What makes a revision different from another one. Pure.

use std::borrow::Cow;

use ecs_operator_crds::v1beta1::EcsTaskDefinition;
use ecs_operator_crds::v1beta1::task_definition::ImageStatus;
use serde_json::{Map, Value};

use super::image::with_digest;
use super::revision::Revision;
use super::shape::OWN_MEMBERS;
use crate::aws::meaning::normalised;
use crate::aws::tags::Owner;
use crate::reconcile::ignore::with_ignored_fields;
use crate::reconcile::plan::{request, tagged_hashes};

/// The request without its tags: what makes a revision different from another one.
pub(super) fn definition(object: &EcsTaskDefinition) -> Map<String, Value> {
    let mut definition = request(&object.spec, OWN_MEMBERS);
    definition.remove("tags");
    definition.insert("family".to_owned(), object.family().into());
    definition
}

/// The object with the digests in the place of the tags of its images.
pub(super) fn resolved<'a>(
    object: &'a EcsTaskDefinition,
    images: &[ImageStatus],
) -> Cow<'a, EcsTaskDefinition> {
    let digest = |container: &str| {
        let image = images.iter().find(|image| image.container == container)?;
        image.digest.as_deref()
    };
    let mut resolved = Cow::Borrowed(object);
    for (at, container) in object.spec.container_definitions.iter().enumerate() {
        if let Some(digest) = digest(&container.name) {
            let image = with_digest(&container.image, digest);
            resolved.to_mut().spec.container_definitions[at].image = image;
        }
    }
    resolved
}

/// The definition without what is left to others: its hash is in a tag of the revision.
pub(super) fn compared(object: &EcsTaskDefinition) -> Value {
    with_ignored_fields(definition(object), &Value::Null, &object.spec.policies).into()
}

/// Whether the revision is what the spec asks for: by the hash of the request that made it, or, if
/// another tool registered it, by comparison. Here both sides count: what the spec leaves out, a
/// revision of ours would not have.
pub(super) fn is_same(object: &EcsTaskDefinition, revision: &Revision, owner: &Owner) -> bool {
    if let Some(made_by) = &revision.hash {
        // Nothing was left to others when it was made, and just this: to leave a part to them from
        // now on changes nothing.
        let is_of = |request: &Value| tagged_hashes(owner, request).contains(made_by);
        return is_of(&compared(object)) || is_of(&definition(object).into());
    }
    let Some(described) = revision.definition.as_deref().and_then(Value::as_object) else {
        return false;
    };
    let wanted = with_ignored_fields(
        definition(object),
        &Value::Object(described.clone()),
        &object.spec.policies,
    );
    let mut described = described.clone();
    described.retain(|member, _| !ADDED.contains(&member.as_str()));
    normalised(&wanted.into()) == normalised(&described.into())
}

/// Members that ECS adds to a definition. Source: TaskDefinition, ECS API reference.
const ADDED: &[&str] = &[
    "compatibilities",
    "deleteRequestedAt",
    "deregisteredAt",
    "registeredAt",
    "registeredBy",
    "requiresAttributes",
    "revision",
    "status",
    "tags",
    "taskDefinitionArn",
];
