//! The one write of a status per pass, and only when it changed.

use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::{MANAGER, RequestError, request};
use crate::reconcile::Kind;

/// Applies `status` from the server's side: members that we no longer name go away, those of others stay.
///
/// # Errors
/// When the API server refuses or does not answer.
pub async fn write<K: Kind>(client: &Client, object: &K, status: &K::Status) -> Result<K, RequestError> {
    let api = Api::<K>::namespaced(client.clone(), &object.namespace().unwrap_or_default());
    let patch = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        // An object of the same name that came after this one must not get its status.
        "metadata": {"uid": object.uid()},
        "status": status,
    });
    let params = PatchParams::apply(MANAGER).force();
    request(api.patch_status(&object.name_any(), &params, &Patch::Apply(&patch))).await
}
