//! The capacity providers that an object names by their names or ARNs in ECS.

use std::collections::BTreeSet;

use crate::aws::name_in;
use crate::reconcile::{Reference, Stores};
use crate::trigger::ObjectId;

/// The kind that stands for capacity providers.
const KIND: &str = "EcsCapacityProvider";

/// The names among these that are not ECS's own providers FARGATE and FARGATE_SPOT.
pub(super) fn own_names<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let names = names.map(name_in);
    names
        .filter(|name| !name.starts_with("FARGATE"))
        .map(str::to_owned)
        .collect()
}

/// References to the EcsCapacityProviders of the namespace that stand for these providers.
pub(super) fn references_to(names: BTreeSet<String>) -> Vec<Reference> {
    let references = names.into_iter().map(|aws_name| Reference::Named {
        kind: KIND,
        aws_name,
    });
    references.collect()
}

/// The EcsCapacityProviders of the namespace that stand for the provider of this name.
pub(super) fn targets(stores: &Stores, namespace: Option<&str>, name: &str) -> Vec<ObjectId> {
    let mut named = stores.references.named(KIND, name);
    named.retain(|target| target.namespace.as_deref() == namespace);
    named
}
