//! `spec.ignoreFields`: parts of the spec that are left to others. They are sent when the AWS object is created, and after
//! that never compared, and never sent with another value than the one that AWS has. Pure.

use ecs_operator_crds::v1beta1::Policies;
use serde_json::{Map, Value};

/// What is wrong with the pointers, naming the first and the way out; `None` when they can be followed.
#[must_use]
pub fn problem(policies: &Policies, identity: &[&str]) -> Option<String> {
    policies.ignore_fields.iter().flatten().find_map(|pointer| {
        let Some(path) = pointer.strip_prefix('/').filter(|path| !path.is_empty() && !path.ends_with('/')) else {
            let name = pointer.trim_matches('/');
            return Some(format!("ignoreFields: {pointer:?} is no JSON pointer to a part of the spec: write \"/{name}\""));
        };
        let (first, last) = (path.split('/').next().unwrap_or(path), path.rsplit('/').next().unwrap_or(path));
        if identity.contains(&first) {
            return Some(format!("ignoreFields: {pointer} says which AWS object it is, which cannot be left to others: drop it"));
        }
        if Policies::MEMBERS.contains(&first) {
            return Some(format!("ignoreFields: {pointer} is a setting of the operator, which nobody else changes in AWS: drop it"));
        }
        if first == "tags" && path != "tags" {
            return Some(format!("ignoreFields: {pointer} is a part of a tag: write \"/tags\" to leave all of them to others"));
        }
        last.parse::<usize>().is_ok().then(|| {
            format!("ignoreFields: {pointer} points to an element of a list, whose place can change: point to the list, or to a member")
        })
    })
}

/// Whether a whole member of the spec is left to others.
#[must_use]
pub fn ignores(policies: &Policies, member: &str) -> bool {
    policies.ignore_fields.iter().flatten().any(|pointer| pointer.strip_prefix('/') == Some(member))
}

/// `desired` with what is left to others as `live` has it, or without it where `live` has none.
#[must_use]
pub fn as_others_left_it(mut desired: Map<String, Value>, live: &Value, policies: &Policies) -> Map<String, Value> {
    for pointer in policies.ignore_fields.iter().flatten() {
        let (parent, name) = pointer.rsplit_once('/').unwrap_or_default();
        let path: Vec<_> = parent.split('/').skip(1).map(unescaped).collect();
        let Some(members) = descend(&mut desired, &path) else { continue };
        let name = unescaped(name);
        match live.pointer(pointer).filter(|live| !live.is_null()) {
            // Only what the spec has is ever sent.
            Some(live) if members.contains_key(&name) => members.insert(name, live.clone()),
            _ => members.remove(&name),
        };
    }
    desired
}

/// The object at `path` below `members`.
fn descend<'a>(members: &'a mut Map<String, Value>, path: &[String]) -> Option<&'a mut Map<String, Value>> {
    let Some((first, rest)) = path.split_first() else { return Some(members) };
    let mut value = members.get_mut(first)?;
    for name in rest {
        value = match value {
            Value::Array(list) => list.get_mut(name.parse::<usize>().ok()?)?,
            other => other.get_mut(name)?,
        };
    }
    value.as_object_mut()
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
        Policies { ignore_fields: Some(pointers.iter().map(|pointer| (*pointer).to_owned()).collect()), ..Policies::default() }
    }

    #[test]
    fn pointers_that_cannot_be_followed_are_named() {
        let rows = [
            ("/desiredCount", None),
            ("/deploymentConfiguration/alarms", None),
            ("/containerDefinitions/0/image", None),
            ("desiredCount", Some("write \"/desiredCount\"")),
            ("", Some("no JSON pointer")),
            ("/", Some("no JSON pointer")),
            ("/serviceName", Some("/serviceName says which AWS object it is")),
            ("/suspend", Some("setting of the operator")),
            ("/loadBalancers/0", Some("element of a list")),
            ("/tags", None),
            ("/tags/0/value", Some("part of a tag")),
        ];
        for (pointer, words) in rows {
            let said = problem(&policies(&[pointer]), &["serviceName"]);
            assert_eq!(said.is_some(), words.is_some(), "{pointer}: {said:?}");
            assert!(words.is_none_or(|words| said.as_ref().is_some_and(|said| said.contains(words))), "{said:?}");
        }
    }

    #[test]
    fn what_is_left_to_others_is_as_they_left_it() {
        let desired = json!({"desiredCount": 2, "deploymentConfiguration": {"alarms": {"enable": true}, "maximumPercent": 200},
            "list": [{"a": 1, "b": 1}], "gone": 1});
        let live = json!({"desiredCount": 9, "deploymentConfiguration": {"alarms": {"enable": false}, "maximumPercent": 150},
            "list": [{"a": 7, "b": 7}], "absent": 3});
        let pointers = ["/desiredCount", "/deploymentConfiguration/alarms", "/list/0/b", "/gone", "/absent", "/no/such/path"];
        let Value::Object(desired) = desired else { unreachable!() };
        let expected = json!({"desiredCount": 9, "deploymentConfiguration": {"alarms": {"enable": false}, "maximumPercent": 200},
            "list": [{"a": 1, "b": 7}]});
        assert_eq!(Value::from(as_others_left_it(desired, &live, &policies(&pointers))), expected);
        assert!(ignores(&policies(&pointers), "desiredCount") && !ignores(&policies(&pointers), "list"));
    }
}
