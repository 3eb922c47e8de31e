//! The one write of a status per pass, and only when it changed.

use kube::api::{Patch, PatchParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use super::object::Object;
use super::{MANAGER, RequestError, request};

/// A status that the API server has taken.
#[derive(Debug)]
pub enum Written<K> {
    /// All of it.
    Whole(K),
    /// Without the members that the served definition lacks: it is older than the operator. In the
    /// API server's words.
    Narrowed(K, String),
}

/// Applies `status` from the server's side: members that we no longer name go away, those of others
/// stay. Where the served definition lacks a member, the API server refuses the whole apply, so
/// what it has is written as a merge patch.
///
/// # Errors
/// When the API server refuses or does not answer.
pub async fn write<K: Object>(
    client: &Client,
    object: &K,
    status: &K::Status,
) -> Result<Written<K>, RequestError> {
    let api = object.api(client);
    let patch = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        // An object of the same name that came after this one must not get its status.
        "metadata": {"uid": object.uid()},
        "status": status,
    });
    let params = PatchParams::apply(MANAGER).force();
    match request(api.patch_status(&object.name_any(), &params, &Patch::Apply(&patch))).await {
        Err(error) if lacks_member(&error) => {
            let before = object
                .status()
                .map(serde_json::to_value)
                .transpose()
                .ok()
                .flatten()
                .unwrap_or_default();
            let patch = json!({"metadata": {"uid": object.uid()}, "status": merge(&before, &patch["status"])});
            let params = PatchParams {
                field_manager: Some(MANAGER.to_owned()),
                ..PatchParams::default()
            };
            let written =
                request(api.patch_status(&object.name_any(), &params, &Patch::Merge(&patch)))
                    .await?;
            Ok(Written::Narrowed(written, error.to_string()))
        }
        result => result.map(Written::Whole),
    }
}

/// Whether the API server refuses an apply because the served definition does not have a member. It
/// drops such members from other patches.
fn lacks_member(error: &RequestError) -> bool {
    let RequestError::Kube(kube::Error::Api(status)) = error else {
        return false;
    };
    status.message.contains("field not declared in schema")
}

/// The merge patch (RFC 7386) that makes `after` of `before`.
fn merge(before: &Value, after: &Value) -> Value {
    let (Value::Object(before), Value::Object(after)) = (before, after) else {
        return after.clone();
    };
    let gone = before
        .keys()
        .filter(|name| !after.contains_key(*name))
        .map(|name| (name.clone(), Value::Null));
    let kept = after.iter().map(|(name, value)| {
        (
            name.clone(),
            merge(before.get(name).unwrap_or(&Value::Null), value),
        )
    });
    gone.chain(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_patch_takes_away_what_is_no_more() {
        let before = json!({"a": 1, "b": {"c": 1, "d": 2}, "list": [1, 2]});
        let after = json!({"b": {"c": 1}, "list": [3], "e": 4});
        assert_eq!(
            merge(&before, &after),
            json!({"a": null, "b": {"c": 1, "d": null}, "list": [3], "e": 4})
        );
        assert_eq!(merge(&Value::Null, &after), after);
    }
}
