//! The policies of a repository: what the spec asks for, and whether ECR has it. Pure.
//!
//! ECR keeps policies as texts, and writes them otherwise than they were sent: sorted, with account
//! IDs as ARNs. So they are compared by meaning. Source: the ECR API reference, and issues 22639,
//! 5233, 35184 and 19365 of the Terraform AWS provider.

use ecs_operator_crds::v1beta1::{EcrRepository, Policies};
use serde_json::{Map, Value, json};

use super::observed::{PolicyText, Repository};
use super::shape::OWN_MEMBERS;
use crate::aws::{Operation, ecr};
use crate::k8s::object::Object;
use crate::reconcile::ignore::ignores;
use crate::reconcile::plan::{Write, request};

/// A policy of a repository: the members of the spec, and the calls.
#[derive(Debug)]
pub(super) struct Policy {
    /// What it is, for messages.
    what: &'static str,
    /// The member that has it as an object, and the one that has it as a text.
    pub(super) members: [&'static str; 2],
    /// The call that replaces it.
    pub(super) put: Operation,
    /// The call that deletes it.
    pub(super) delete: Operation,
    /// The member of the call with the text.
    pub(super) text: &'static str,
    /// A form that is equal for policies of equal meaning.
    normal: fn(&Value) -> Value,
}

/// The lifecycle policy.
pub(super) const LIFECYCLE_POLICY: Policy = Policy {
    what: "lifecycle policy",
    members: ["lifecyclePolicy", "lifecyclePolicyText"],
    put: ecr::PutLifecyclePolicy,
    delete: ecr::DeleteLifecyclePolicy,
    text: "lifecyclePolicyText",
    normal: lifecycle,
};

/// The policy that gives others access.
pub(super) const ACCESS_POLICY: Policy = Policy {
    what: "repository policy",
    members: ["repositoryPolicy", "repositoryPolicyText"],
    put: ecr::SetRepositoryPolicy,
    delete: ecr::DeleteRepositoryPolicy,
    text: "policyText",
    normal: access,
};

/// The members of the spec that no call takes as they are.
pub(super) const MEMBERS: [&str; 4] = [
    "lifecyclePolicy",
    "lifecyclePolicyText",
    "repositoryPolicy",
    "repositoryPolicyText",
];

/// Whether the spec of an object names the policy, or has named it before. At the end nobody needs
/// it.
pub(super) fn names(object: &EcrRepository, policy: &Policy) -> bool {
    let spec = request(&object.spec, OWN_MEMBERS);
    let before = object.applied_members().unwrap_or_default();
    let is_named = |member: &&str| {
        spec.contains_key(*member) || before.iter().any(|applied| applied == member)
    };
    !object.is_deleting() && policy.members.iter().any(is_named)
}

/// What the spec asks for.
#[derive(Debug, PartialEq)]
enum Wanted {
    /// It does not name the policy.
    Any,
    /// It has dropped the policy.
    None,
    Document(Value),
}

impl Policy {
    /// The write that brings ECR to the spec, if one is needed. `spec` has `null` for members that
    /// it has dropped.
    ///
    /// # Errors
    /// When a text is no JSON: the message for the user.
    pub(super) fn write(
        &self,
        spec: &Map<String, Value>,
        policies: &Policies,
        name: &str,
        present: &PolicyText,
    ) -> Result<Option<Write>, String> {
        let wanted = self.wanted(spec, policies)?;
        let document = match (wanted, present) {
            (Wanted::Any, _) | (_, PolicyText::NotRead) | (Wanted::None, PolicyText::Absent) => {
                return Ok(None);
            }
            (Wanted::None, PolicyText::Text(_)) => {
                return Ok(Some(Write {
                    operation: self.delete,
                    request: json!({"repositoryName": name}),
                    note: format!("Deleted the {} of repository {name}", self.what),
                }));
            }
            (Wanted::Document(document), PolicyText::Text(text)) => {
                let present = serde_json::from_str(text).unwrap_or_default();
                if (self.normal)(&document) == (self.normal)(&present) {
                    return Ok(None);
                }
                document
            }
            (Wanted::Document(document), PolicyText::Absent) => document,
        };
        let request = json!({"repositoryName": name, self.text: document.to_string()});
        Ok(Some(Write {
            operation: self.put,
            request,
            note: format!("Set the {} of repository {name}", self.what),
        }))
    }

    /// The message for a text that ECR cannot take.
    fn invalid(&self, why: &str) -> String {
        let [object, text] = self.members;
        format!(
            "spec.{text} is not valid JSON ({why}): correct it, or write the policy in spec.{object}"
        )
    }

    fn wanted(&self, spec: &Map<String, Value>, policies: &Policies) -> Result<Wanted, String> {
        for (member, other) in [(0, 1), (1, 0)].map(|(a, b)| (self.members[a], self.members[b])) {
            if ignores(policies, member) && spec.get(other).is_some_and(|value| !value.is_null()) {
                return Err(format!(
                    "spec.ignoreFields has /{member}, and the spec has {other}: list /{other} to leave the {} to others, or remove /{member} from the list",
                    self.what
                ));
            }
        }
        if self.members.iter().any(|member| ignores(policies, member)) {
            return Ok(Wanted::Any);
        }
        let [object, text] = self.members.map(|member| spec.get(member));
        match (object, text) {
            (Some(document @ Value::Object(_)), _) => Ok(Wanted::Document(document.clone())),
            (_, Some(Value::String(text))) => match serde_json::from_str(text) {
                Ok(document @ Value::Object(_)) => Ok(Wanted::Document(document)),
                Ok(_) => Err(self.invalid("it is not an object")),
                Err(error) => Err(self.invalid(&error.to_string())),
            },
            (None, None) => Ok(Wanted::Any),
            _ => Ok(Wanted::None),
        }
    }
}

/// The writes of both policies.
///
/// # Errors
/// As [`Policy::write`].
pub(super) fn writes(
    spec: &Map<String, Value>,
    policies: &Policies,
    name: &str,
    repository: &Repository,
) -> Result<Vec<Write>, String> {
    let both = [
        LIFECYCLE_POLICY.write(spec, policies, name, &repository.lifecycle)?,
        ACCESS_POLICY.write(spec, policies, name, &repository.access)?,
    ];
    Ok(both.into_iter().flatten().collect())
}

/// Rules in the order of their priority; tags in any order; the default storage class.
fn lifecycle(policy: &Value) -> Value {
    let mut policy = policy.clone();
    if let Some(rules) = policy.get_mut("rules").and_then(Value::as_array_mut) {
        let selections = rules
            .iter_mut()
            .filter_map(|rule| rule.get_mut("selection"));
        for selection in selections.filter_map(Value::as_object_mut) {
            for list in ["tagPatternList", "tagPrefixList"] {
                selection.get_mut(list).into_iter().for_each(sort);
            }
            if selection
                .get("storageClass")
                .is_some_and(|class| class == "standard")
            {
                selection.remove("storageClass");
            }
        }
        rules.sort_by_key(|rule| rule["rulePriority"].as_i64());
    }
    without_nulls(policy)
}

/// Statements in any order; one value as a list of one; principals, actions and values of
/// conditions as sets; an account ID as the ARN of its root; the version that IAM takes for none.
fn access(policy: &Value) -> Value {
    let mut policy = policy.clone();
    let Some(members) = policy.as_object_mut() else {
        return policy;
    };
    // The version of a policy without one. Source: "IAM JSON policy elements: Version".
    let version = members.entry("Version").or_insert(Value::Null);
    if version.is_null() {
        *version = "2008-10-17".into();
    }
    let mut statements = listed(members.remove("Statement").unwrap_or_default());
    let each = statements.as_array_mut().into_iter().flatten();
    each.filter_map(Value::as_object_mut).for_each(statement);
    sort(&mut statements);
    members.insert("Statement".to_owned(), statements);
    without_nulls(policy)
}

fn statement(statement: &mut Map<String, Value>) {
    for member in ["Principal", "NotPrincipal"] {
        let Some(principal) = statement.get_mut(member) else {
            continue;
        };
        if principal == "*" {
            *principal = json!({"AWS": "*"});
        }
        for (_, ids) in principal.as_object_mut().into_iter().flatten() {
            set(ids, as_arn);
        }
    }
    for member in ["Action", "NotAction", "Resource", "NotResource"] {
        statement
            .get_mut(member)
            .into_iter()
            .for_each(|values| set(values, |_| ()));
    }
    let conditions = statement
        .get_mut("Condition")
        .and_then(Value::as_object_mut);
    for (_, keys) in conditions.into_iter().flatten() {
        for (_, values) in keys.as_object_mut().into_iter().flatten() {
            set(values, as_text);
        }
    }
}

/// A value as the set of its elements, each in its normal form.
fn set(values: &mut Value, normal: fn(&mut Value)) {
    *values = listed(values.take());
    values.as_array_mut().into_iter().flatten().for_each(normal);
    sort(values);
}

/// IAM takes numbers and booleans in conditions for texts.
fn as_text(value: &mut Value) {
    if value.is_boolean() || value.is_number() {
        *value = value.to_string().into();
    }
}

/// A principal that is an account ID means the root of the account.
fn as_arn(principal: &mut Value) {
    let is_account = |id: &str| id.len() == 12 && id.chars().all(|digit| digit.is_ascii_digit());
    // The partition of other principals in the ARN form says nothing of the account's.
    let root = |arn: &str| {
        let parts: Vec<_> = arn.split(':').collect();
        matches!(parts[..], ["arn", _, "iam", "", _, "root"]).then(|| parts[4].to_owned())
    };
    if let Some(id) = principal.as_str() {
        let id = root(id).unwrap_or_else(|| id.to_owned());
        if is_account(&id) {
            *principal = format!("account {id}").into();
        }
    }
}

fn listed(value: Value) -> Value {
    match value {
        list @ Value::Array(_) => list,
        Value::Null => json!([]),
        one => json!([one]),
    }
}

fn sort(list: &mut Value) {
    if let Some(elements) = list.as_array_mut() {
        elements.sort_by_key(ToString::to_string);
        elements.dedup();
    }
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_nulls(value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(elements) => elements.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs_write(policy: &Policy, spec: &Value, present: &Value) -> bool {
        let spec = spec.as_object().cloned().unwrap();
        let present = PolicyText::Text(present.to_string());
        let write = policy.write(&spec, &Policies::default(), "web", &present);
        write.unwrap().is_some()
    }

    #[test]
    fn compares_lifecycle_policies_by_meaning() {
        let rule = |priority: i32, tags: &[&str]| {
            json!({"rulePriority": priority, "selection": {"tagStatus": "tagged", "tagPatternList": tags,
                "countType": "imageCountMoreThan", "countNumber": 5}, "action": {"type": "expire"}})
        };
        let spec = json!({"lifecyclePolicy": {"rules": [rule(2, &["b*", "a*"]), rule(1, &["x"])]}});
        let mut shown = json!({"rules": [rule(1, &["x"]), rule(2, &["a*", "b*"])]});
        assert!(!needs_write(&LIFECYCLE_POLICY, &spec, &shown));
        shown["rules"][0]["selection"]["storageClass"] = json!("standard");
        assert!(!needs_write(&LIFECYCLE_POLICY, &spec, &shown));
        shown["rules"][0]["selection"]["countNumber"] = json!(6);
        assert!(needs_write(&LIFECYCLE_POLICY, &spec, &shown));
        let text = json!({"lifecyclePolicyText": shown.to_string()});
        assert!(!needs_write(&LIFECYCLE_POLICY, &text, &shown));
    }

    #[test]
    fn compares_repository_policies_by_meaning() {
        let spec = json!({"repositoryPolicy": {"Version": "2012-10-17", "Statement": [
            {"Sid": "pull", "Effect": "Allow", "Principal": {"AWS": ["111122223333", "arn:aws:iam::444455556666:role/ci"]},
                "Action": ["ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"]}]}});
        let mut shown = json!({"Version": "2012-10-17", "Statement":
            {"Sid": "pull", "Effect": "Allow", "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                "Principal": {"AWS": ["arn:aws:iam::444455556666:role/ci", "arn:aws:iam::111122223333:root"]}}});
        assert!(!needs_write(&ACCESS_POLICY, &spec, &shown));
        // A principal that was deleted is shown by its ID.
        shown["Statement"]["Principal"]["AWS"][0] = json!("AROAEXAMPLE");
        assert!(needs_write(&ACCESS_POLICY, &spec, &shown));
        let all = |principal: Value| json!({"Statement": [{"Effect": "Allow", "Principal": principal, "Action": "ecr:*"}]});
        let spec = json!({"repositoryPolicy": all(json!("*"))});
        assert!(!needs_write(
            &ACCESS_POLICY,
            &spec,
            &all(json!({"AWS": ["*"]}))
        ));
    }

    #[test]
    fn takes_any_json_for_a_policy() {
        let strange = [
            json!({"rules": ["x"]}),
            json!({"rules": [{"selection": "x"}]}),
            json!({"rules": 1}),
            json!({"Statement": "x"}),
            json!({"Statement": [{"Principal": 1, "Action": {"a": 1}, "Condition": "x"}]}),
            json!([]),
            json!(null),
        ];
        for policy in &strange {
            for other in &strange {
                let is_same = policy == other;
                assert_eq!(
                    lifecycle(policy) == lifecycle(other),
                    is_same,
                    "{policy} {other}"
                );
                assert_eq!(access(policy) == access(other), is_same, "{policy} {other}");
            }
        }
        let condition = |value: Value| json!({"Statement": [{"Condition": {"Bool": {"aws:SecureTransport": value}}}]});
        assert_eq!(
            access(&condition(json!(true))),
            access(&condition(json!(["true"])))
        );
    }

    #[test]
    fn leaves_a_policy_alone_that_the_spec_does_not_name() {
        let present = PolicyText::Text("{}".into());
        let write = |spec: Value, policies: Policies| {
            let spec = spec.as_object().cloned().unwrap();
            let write = ACCESS_POLICY.write(&spec, &policies, "web", &present);
            write.map(|write| write.map(|write| write.operation))
        };
        assert_eq!(write(json!({}), Policies::default()), Ok(None));
        let dropped = json!({"repositoryPolicy": null});
        assert_eq!(
            write(dropped.clone(), Policies::default()),
            Ok(Some(ecr::DeleteRepositoryPolicy))
        );
        let ignored = Policies {
            ignore_fields: Some(vec!["/repositoryPolicy".into()]),
            ..Policies::default()
        };
        assert_eq!(write(dropped, ignored), Ok(None));
        let other = json!({"repositoryPolicy": null, "repositoryPolicyText": r#"{"Statement": {"Effect": "Deny"}}"#});
        assert_eq!(
            write(other, Policies::default()),
            Ok(Some(ecr::SetRepositoryPolicy))
        );
        let broken = write(json!({"repositoryPolicyText": "{"}), Policies::default());
        assert!(
            broken.is_err_and(|message| message.contains("repositoryPolicyText is not valid JSON"))
        );
    }
}
