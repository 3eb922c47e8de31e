//! Names of members in the JSON of services that begin them with a capital letter.

use serde_json::Value;

/// Members whose names differ in more than the first letter: as in the operator, and as in AWS.
const OTHERS: &[(&str, &str)] = &[("resourceArn", "ResourceARN")];

/// The member whose own members are keys of a user.
const TAGS: &str = "tags";

/// The document as a service wants it whose names begin with a capital letter.
pub(super) fn with_uppercase_names(document: &Value) -> Value {
    renamed(
        document,
        &|name| match OTHERS.iter().find(|(ours, _)| *ours == name) {
            Some((_, theirs)) => (*theirs).to_owned(),
            None => with_first(name, char::to_ascii_uppercase),
        },
    )
}

/// The same document with lower-case names.
pub(super) fn with_lowercase_names(document: &Value) -> Value {
    renamed(
        document,
        &|name| match OTHERS.iter().find(|(_, theirs)| *theirs == name) {
            Some((ours, _)) => (*ours).to_owned(),
            None => with_first(name, char::to_ascii_lowercase),
        },
    )
}

fn renamed(document: &Value, rename: &dyn Fn(&str) -> String) -> Value {
    match document {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| {
                let value = if name.eq_ignore_ascii_case(TAGS) {
                    value.clone()
                } else {
                    renamed(value, rename)
                };
                (rename(name), value)
            })
            .collect(),
        Value::Array(elements) => elements
            .iter()
            .map(|element| renamed(element, rename))
            .collect(),
        other => other.clone(),
    }
}

fn with_first(name: &str, change: impl Fn(&char) -> char) -> String {
    let mut letters = name.chars();
    let first = letters.next().as_ref().map(change);
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_go_both_ways_and_keys_of_tags_stay() {
        let ours = json!({
            "resourceArn": "arn",
            "policies": [{"policyARN": "p", "metrics": [{"id": "m1"}]}],
            "tags": {"team": "a", "Cost": "b"},
        });
        let theirs = json!({
            "ResourceARN": "arn",
            "Policies": [{"PolicyARN": "p", "Metrics": [{"Id": "m1"}]}],
            "Tags": {"team": "a", "Cost": "b"},
        });
        assert_eq!(with_uppercase_names(&ours), theirs);
        assert_eq!(with_lowercase_names(&theirs), ours);
    }
}
