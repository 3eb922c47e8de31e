//! `spec.ignoreFields`: parts of the spec that are left to others. They are sent when the AWS
//! object is created, and after that never compared, and never sent with another value than the one
//! that AWS has. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use ecs_operator_crds::v1beta1::Policies;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use serde_json::{Map, Value};

use crate::aws::drift::partner;
use crate::aws::meaning::key_of;
use crate::aws::schema::join;

/// What is wrong with the pointers, naming the first and the way out; `None` when they can be
/// followed.
#[must_use]
pub fn problem(policies: &Policies, kind: &str, identity: &[&str]) -> Option<String> {
    policies.ignore_fields.iter().flatten().find_map(|pointer| {
        let Some(path) = pointer.strip_prefix('/').filter(|path| !path.is_empty() && !path.ends_with('/')) else {
            let name = pointer.trim_matches('/');
            return Some(format!("ignoreFields: {pointer:?} is not a JSON pointer to a part of the spec: write \"/{name}\""));
        };
        let (first, last) = (path.split('/').next().unwrap_or(path), path.rsplit('/').next().unwrap_or(path));
        if identity.contains(&first) {
            return Some(format!("ignoreFields: {pointer} says which AWS object it is, which cannot be left to others: drop it"));
        }
        if Policies::MEMBERS.contains(&first) {
            return Some(format!(
                "ignoreFields: {pointer} is a setting of the operator, which nobody else changes in AWS: drop it"
            ));
        }
        if first == "taskDefinitionRef" && path != first {
            return Some(format!(
                "ignoreFields: {pointer} is a part of a reference: write \"/{first}\" to leave the revision to others"
            ));
        }
        if POLICY_DOCUMENTS.contains(&first) && path != first {
            return Some(format!(
                "ignoreFields: {pointer} is a part of a policy, which ECR replaces as a whole: write \"/{first}\" to leave it to others"
            ));
        }
        if OWN.contains(&first) {
            return Some(format!("ignoreFields: {pointer} is a member of the operator, which AWS does not have: drop it"));
        }
        if first == "tags" && path != "tags" {
            return Some(format!("ignoreFields: {pointer} is a part of a tag: write \"/tags\" to leave all of them to others"));
        }
        if last.parse::<usize>().is_ok() {
            let way_out = "whose place can change: point to the list, or to a member";
            return Some(format!("ignoreFields: {pointer} points to an element of a list, {way_out}"));
        }
        let unknown = unknown(kind, path).map(|way_out| format!("ignoreFields: {pointer} is not a part of the spec: {way_out}"));
        unknown.or_else(|| lost(path).map(|why| format!("ignoreFields: {pointer} {why}")))
    })
}

/// Members of a spec that are never sent. `taskDefinitionRef` stands for `taskDefinition`, which
/// is.
const OWN: &[&str] = &[
    "deleteRevisions",
    "desiredCountOwner",
    "forceDelete",
    "imageResolution",
    "revisionHistoryLimit",
    "rollout",
    "verifyImages",
];

/// Members of a spec that are sent as the text of a policy.
const POLICY_DOCUMENTS: &[&str] = &["lifecyclePolicy", "repositoryPolicy"];

/// Why the element that a path leads through cannot be found again in AWS; `None` where it can.
fn lost(path: &str) -> Option<String> {
    let (mut list, mut pointer) = (String::new(), String::new());
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        if part.parse::<usize>().is_err() {
            list = join(&list, part);
            pointer = format!("{pointer}/{part}");
            continue;
        }
        match key_of(&list) {
            Some(None) => {
                return Some(format!(
                    "points to a position in {list}, whose order ECS does not keep: write \"{pointer}\" to leave the whole list to others"
                ));
            }
            Some(Some(key)) if parts.peek() == Some(&key) => {
                return Some(format!(
                    "points to the member by which the elements of {list} are told apart: write \"{pointer}\" to leave the whole list to others"
                ));
            }
            _ => pointer = format!("{pointer}/{part}"),
        }
    }
    None
}

/// What to write in the place of a path that the schema of the kind does not have; `None` where it
/// has it.
fn unknown(kind: &str, path: &str) -> Option<String> {
    let parts: &BTreeSet<String> = PARTS.get(kind)?;
    let path = path
        .split('/')
        .map(|name| {
            if name.parse::<usize>().is_ok() {
                ELEMENT
            } else {
                name
            }
        })
        .collect::<Vec<_>>()
        .join("/");
    let mut parents = path.match_indices('/').map(|(at, _)| &path[..at]);
    if parts.contains(&path)
        || parents.any(|parent| parts.contains(&format!("{parent}/{ANYTHING}")))
    {
        return None;
    }
    if let Some(below) = path
        .strip_prefix("spec/")
        .filter(|below| parts.contains(*below))
    {
        return Some(format!("pointers begin below spec, so write \"/{below}\""));
    }
    let meant = parts.iter().find(|part| part.eq_ignore_ascii_case(&path));
    Some(match meant {
        Some(meant) => format!("write \"/{meant}\""),
        None => format!("see `kubectl explain {}.spec`", kind.to_lowercase()),
    })
}

/// How a path names the element of a list, and a map with free keys.
const ELEMENT: &str = "*";
const ANYTHING: &str = "**";

/// All paths below `spec` in the schema of each kind.
static PARTS: LazyLock<BTreeMap<String, BTreeSet<String>>> = LazyLock::new(|| {
    let parts = |definition: CustomResourceDefinition| {
        let mut parts = BTreeSet::new();
        for version in definition.spec.versions {
            let schema = version.schema.and_then(|schema| schema.open_api_v3_schema);
            let spec = schema.and_then(|schema| schema.properties?.remove("spec"));
            if let Some(spec) = &spec {
                collect(spec, "", &mut parts);
            }
        }
        (definition.spec.names.kind, parts)
    };
    ecs_operator_crds::all().into_iter().map(parts).collect()
});

fn collect(schema: &JSONSchemaProps, path: &str, parts: &mut BTreeSet<String>) {
    if !path.is_empty() {
        parts.insert(path.to_owned());
    }
    let below = |name: &str| {
        if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}/{name}")
        }
    };
    for (name, schema) in schema.properties.iter().flatten() {
        collect(schema, &below(name), parts);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        collect(items, &below(ELEMENT), parts);
    }
    if schema.additional_properties.is_some()
        || schema.x_kubernetes_preserve_unknown_fields == Some(true)
    {
        parts.insert(below(ANYTHING));
    }
}

/// Whether a whole member of the spec is left to others.
#[must_use]
pub fn ignores(policies: &Policies, member: &str) -> bool {
    policies
        .ignore_fields
        .iter()
        .flatten()
        .any(|pointer| pointer.strip_prefix('/') == Some(member))
}

/// `desired` with what is left to others as `live` has it, or without it where `live` has none.
#[must_use]
pub fn with_ignored_fields(
    desired: Map<String, Value>,
    live: &Value,
    policies: &Policies,
) -> Map<String, Value> {
    let mut desired = Value::Object(desired);
    for pointer in policies.ignore_fields.iter().flatten() {
        let parts: Vec<_> = pointer.split('/').skip(1).map(unescaped).collect();
        leave("", &mut desired, live, &parts, false);
    }
    match desired {
        Value::Object(members) => members,
        _ => unreachable!("an object stays one"),
    }
}

/// Takes over what `parts` lead to from `live`. In a list whose order AWS does not keep, the
/// element in AWS is found by its key. Elements are compared and sent whole, so there also what the
/// spec leaves out is taken over.
fn leave(path: &str, desired: &mut Value, live: &Value, parts: &[String], is_in_list: bool) {
    let Some((name, rest)) = parts.split_first() else {
        return;
    };
    match desired {
        Value::Object(members) if rest.is_empty() => {
            match live.get(name).filter(|live| !live.is_null()) {
                // Only what the spec has is ever sent.
                Some(live) if is_in_list || members.contains_key(name) => {
                    members.insert(name.clone(), live.clone())
                }
                _ => members.remove(name),
            };
        }
        Value::Object(members) => {
            let path = join(path, name);
            if let Some(member) = members.get_mut(name) {
                leave(&path, member, &live[name], rest, is_in_list);
            }
        }
        Value::Array(elements) => {
            let index = name.parse().unwrap_or(usize::MAX);
            let Some(element) = elements.get_mut(index) else {
                return;
            };
            let partner = match (live, key_of(path)) {
                (Value::Array(live), Some(_)) => partner(path, element, live),
                (Value::Array(live), None) => live.get(index),
                _ => Some(&Value::Null),
            };
            // An element that AWS does not have yet is sent as it is.
            if let Some(live) = partner {
                leave(path, element, live, rest, true);
            }
        }
        _ => {}
    }
}

/// A part of a pointer as the name that it stands for (RFC 6901).
fn unescaped(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policies(pointers: &[&str]) -> Policies {
        Policies {
            ignore_fields: Some(
                pointers
                    .iter()
                    .map(|pointer| (*pointer).to_owned())
                    .collect(),
            ),
            ..Policies::default()
        }
    }

    #[test]
    fn pointers_that_cannot_be_followed_are_named() {
        let rows = [
            ("/desiredCount", None),
            ("/deploymentConfiguration/alarms", None),
            ("/containerDefinitions/0/image", None),
            (
                "/containerDefinitions/0/dockerLabels/com.example~1team",
                None,
            ),
            (
                "/containerDefinitions/0/logConfiguration/options/awslogs-group",
                None,
            ),
            (
                "/containerDefinitions/web/image",
                Some("kubectl explain ecstaskdefinition.spec"),
            ),
            (
                "/spec/desiredCount",
                Some("pointers begin below spec, so write \"/desiredCount\""),
            ),
            (
                "/desiredcount",
                Some("is not a part of the spec: write \"/desiredCount\""),
            ),
            ("/nothing", Some("kubectl explain ecsservice.spec")),
            ("desiredCount", Some("write \"/desiredCount\"")),
            ("", Some("not a JSON pointer")),
            ("/", Some("not a JSON pointer")),
            (
                "/serviceName",
                Some("/serviceName says which AWS object it is"),
            ),
            ("/suspend", Some("setting of the operator")),
            ("/loadBalancers/0", Some("element of a list")),
            (
                "/loadBalancers/0/targetGroupArn",
                Some(
                    "a position in loadBalancers, whose order ECS does not keep: write \"/loadBalancers\"",
                ),
            ),
            (
                "/containerDefinitions/0/portMappings/1/hostPort",
                Some("write \"/containerDefinitions/0/portMappings\""),
            ),
            ("/capacityProviderStrategy/0/weight", None),
            (
                "/capacityProviderStrategy/0/capacityProvider",
                Some("told apart: write \"/capacityProviderStrategy\""),
            ),
            ("/taskDefinitionRef", None),
            (
                "/taskDefinitionRef/name",
                Some("part of a reference: write \"/taskDefinitionRef\""),
            ),
            (
                "/rollout/minReadySeconds",
                Some("which AWS does not have: drop it"),
            ),
            (
                "/desiredCountOwner",
                Some("which AWS does not have: drop it"),
            ),
            ("/tags", None),
            ("/tags/0/value", Some("part of a tag")),
        ];
        for (pointer, words) in rows {
            let kind = if pointer.starts_with("/containerDefinitions") {
                "EcsTaskDefinition"
            } else {
                "EcsService"
            };
            let said = problem(&policies(&[pointer]), kind, &["serviceName"]);
            assert_eq!(said.is_some(), words.is_some(), "{pointer}: {said:?}");
            assert!(
                words.is_none_or(|words| said.as_ref().is_some_and(|said| said.contains(words))),
                "{said:?}"
            );
        }
    }

    #[test]
    fn ignored_fields_keep_their_live_values() {
        let desired = json!({"desiredCount": 2, "deploymentConfiguration": {"alarms": {"enable": true}, "maximumPercent": 200},
            "list": [{"a": 1, "b": 1}], "gone": 1});
        let live = json!({"desiredCount": 9, "deploymentConfiguration": {"alarms": {"enable": false}, "maximumPercent": 150},
            "list": [{"a": 7, "b": 7}], "absent": 3});
        let pointers = [
            "/desiredCount",
            "/deploymentConfiguration/alarms",
            "/list/0/b",
            "/gone",
            "/absent",
            "/no/such/path",
        ];
        let Value::Object(desired) = desired else {
            unreachable!()
        };
        let expected = json!({"desiredCount": 9, "deploymentConfiguration": {"alarms": {"enable": false}, "maximumPercent": 200},
            "list": [{"a": 1, "b": 7}]});
        assert_eq!(
            Value::from(with_ignored_fields(desired, &live, &policies(&pointers))),
            expected
        );
        let desired = json!({"capacityProviderStrategy": [{"capacityProvider": "A", "weight": 1}, {"capacityProvider": "C", "weight": 1}]});
        let live = json!({"capacityProviderStrategy": [{"capacityProvider": "B", "weight": 8}, {"capacityProvider": "A", "weight": 7}]});
        let Value::Object(desired) = desired else {
            unreachable!()
        };
        let pointers_in_a_set = policies(&[
            "/capacityProviderStrategy/0/weight",
            "/capacityProviderStrategy/1/weight",
        ]);
        let expected =
            json!([{"capacityProvider": "A", "weight": 7}, {"capacityProvider": "C", "weight": 1}]);
        assert_eq!(
            with_ignored_fields(desired.clone(), &live, &pointers_in_a_set)["capacityProviderStrategy"],
            expected,
            "by key"
        );
        let Value::Object(bare) = json!({"capacityProviderStrategy": [{"capacityProvider": "A"}]})
        else {
            unreachable!()
        };
        let weighed = json!([{"capacityProvider": "A", "weight": 7}]);
        assert_eq!(
            with_ignored_fields(
                bare,
                &live,
                &policies(&["/capacityProviderStrategy/0/weight"])
            )["capacityProviderStrategy"],
            weighed
        );
        let none = json!([{"capacityProvider": "A"}, {"capacityProvider": "C"}]);
        assert_eq!(
            with_ignored_fields(desired, &Value::Null, &pointers_in_a_set)["capacityProviderStrategy"],
            none
        );
        assert!(
            ignores(&policies(&pointers), "desiredCount") && !ignores(&policies(&pointers), "list")
        );
    }
}
