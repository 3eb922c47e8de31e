//! What kustomize has to know of the schemas: by which key the elements of a list are told apart
//! when a patch is merged.
//!
//! The OpenAPI extensions are those of "kustomize openapi": `x-kubernetes-patch-strategy`,
//! `x-kubernetes-patch-merge-key`, and for several keys `x-kubernetes-list-map-keys`.

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

/// An OpenAPI document of all kinds, down to the lists whose elements have keys.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn openapi() -> Result<String> {
    let mut definitions = Map::new();
    for definition in ecs_operator_crds::all() {
        let definition = serde_json::to_value(definition)?;
        let (group, kind) = (
            &definition["spec"]["group"],
            &definition["spec"]["names"]["kind"],
        );
        for version in definition["spec"]["versions"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let spec = keyed(&version["schema"]["openAPIV3Schema"]["properties"]["spec"])
                .context("every spec has tags")?;
            let named = json!([{"group": group, "version": version["name"], "kind": kind}]);
            let schema = json!({"type": "object", "properties": {"spec": spec}, "x-kubernetes-group-version-kind": named});
            let name = [
                "dev.ecs-operator",
                version["name"].as_str().context("a version has a name")?,
                kind.as_str().context("a kind")?,
            ];
            definitions.insert(name.join("."), schema);
        }
    }
    Ok(serde_json::to_string_pretty(&json!({"definitions": definitions}))? + "\n")
}

/// The part of a schema that has lists with keys; `None` where there is none.
fn keyed(schema: &Value) -> Option<Value> {
    if let Some(items) = schema.get("items") {
        let below = keyed(items);
        let keys = schema.get("x-kubernetes-list-map-keys");
        if keys.is_none() && below.is_none() {
            return None;
        }
        let mut list = json!({"type": "array", "items": below.unwrap_or_else(|| json!({"type": items["type"]}))});
        if let Some(keys) = keys {
            list["x-kubernetes-patch-strategy"] = json!("merge");
            list["x-kubernetes-patch-merge-key"] = keys[0].clone();
            list["x-kubernetes-list-map-keys"] = keys.clone();
        }
        return Some(list);
    }
    let properties = schema.get("properties")?.as_object()?;
    let below: Map<_, _> = properties
        .iter()
        .filter_map(|(name, schema)| Some((name.clone(), keyed(schema)?)))
        .collect();
    (!below.is_empty()).then(|| json!({"type": "object", "properties": below}))
}
