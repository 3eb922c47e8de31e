//! The finalizer that holds an object back until what it made in AWS is gone.
//!
//! Written here and not by kube's helper, because that costs an extra pass: we put it on and go on
//! with the same object.

use ecs_operator_crds::FINALIZER;
use kube::api::{Patch, PatchParams};
use kube::{Client, ResourceExt};
use serde_json::json;

use super::object::Object;
use super::{MANAGER, RequestError, request};

/// Puts our finalizer on the object, and answers it as it is then.
///
/// # Errors
/// When the API server refuses, for one because the object has changed meanwhile.
pub async fn add<K: Object>(client: &Client, object: &K) -> Result<K, RequestError> {
    let finalizers: Vec<_> = object
        .finalizers()
        .iter()
        .map(String::as_str)
        .chain([FINALIZER])
        .collect();
    // The resource version makes it a compare-and-swap: a merge patch replaces the whole list.
    let patch = json!({"metadata": {"finalizers": finalizers, "resourceVersion": object.resource_version()}});
    send(client, object, &patch).await
}

/// Takes our finalizer off, and leaves those of others.
///
/// # Errors
/// As [`add`]; an object that is gone already is no error.
pub async fn remove<K: Object>(client: &Client, object: &K) -> Result<(), RequestError> {
    if !is_set(object) {
        return Ok(());
    }
    let finalizers: Vec<_> = object
        .finalizers()
        .iter()
        .filter(|name| *name != FINALIZER)
        .collect();
    let patch = json!({"metadata": {"finalizers": finalizers, "resourceVersion": object.resource_version()}});
    match send(client, object, &patch).await {
        Err(RequestError::Kube(kube::Error::Api(status))) if status.is_not_found() => Ok(()),
        result => result.map(drop),
    }
}

/// Whether our finalizer is on the object.
pub fn is_set<K: ResourceExt>(object: &K) -> bool {
    object.finalizers().iter().any(|name| name == FINALIZER)
}

async fn send<K: Object>(
    client: &Client,
    object: &K,
    patch: &serde_json::Value,
) -> Result<K, RequestError> {
    let api = object.api(client);
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    request(api.patch(&object.name_any(), &params, &Patch::Merge(patch))).await
}
