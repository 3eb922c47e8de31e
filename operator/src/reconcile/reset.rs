//! Members that the spec had once and now leaves out. To leave a member out of an update means "as
//! it is" to ECS, so each has to be set back to what it was before anybody set it. Source of the
//! values: the UpdateService and UpdateCluster pages of the ECS API reference.
//!
//! The status remembers which of these members the spec had when AWS accepted it.

use ecs_operator_crds::v1beta1::shared::{CommonStatus, Spec};
use ecs_operator_crds::v1beta1::{Policies, Tag};
use serde_json::{Map, Value, json};

use super::ignore::{ignores, with_ignored_fields};
use super::kind::{Kind, Reset, members};
use super::plan::{Write, top};
use crate::aws::Operation;
use crate::aws::meaning::means_absent;
use crate::aws::schema::{is_free, join, member};
use crate::aws::tags::{Tags, managed};

/// What the status remembers of a spec that AWS has: the members of `table` that are to be set back
/// when the spec drops them, and the keys of its tags. What is left to others is not ours to set
/// back; of what is only looked at, nothing is.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct LastApplied {
    /// Members, by path; `None` when there are none.
    pub members: Option<Vec<String>>,
    /// Keys of tags; `None` when there are none.
    pub tags: Option<Vec<String>>,
}

impl LastApplied {
    /// What of `spec` is to be remembered; `None` where what is known stays.
    #[must_use]
    pub fn of(
        spec: &Map<String, Value>,
        tags: Option<&[Tag]>,
        policies: &Policies,
        table: &[Reset],
    ) -> Option<Self> {
        if policies.observes() {
            return None;
        }
        let ours = with_ignored_fields(spec.clone(), &Value::Null, policies);
        let tags = managed(tags.filter(|_| !ignores(policies, "tags")));
        Some(Self {
            members: applied(&ours, table),
            tags,
        })
    }
}

/// Remembers in `status` that AWS has all of the spec of `object`.
pub fn remember_all<K: Kind>(object: &K, status: &mut CommonStatus) {
    if let Some(remembered) = remembered(object) {
        (status.applied_members, status.managed_tags) = (remembered.members, remembered.tags);
    }
}

/// What the status remembers of the spec of `object`; `None` where what is known stays.
fn remembered<K: Kind>(object: &K) -> Option<LastApplied> {
    LastApplied::of(
        &members(object),
        object.spec().tags(),
        object.policies(),
        K::SHAPE.resets,
    )
}

/// Remembers in `status` what these writes have brought to AWS of the spec of `object`: what it
/// drops after that is set back.
pub fn remember_sent<K: Kind>(object: &K, status: &mut CommonStatus, sent: &[&Write]) {
    remember(
        &mut status.applied_members,
        &mut status.managed_tags,
        remembered(object),
        sent,
        K::SHAPE.sent_by,
    );
}

/// Remembers, beside what is known, the members and tags of `new` that `sent` has brought to AWS.
/// The rest of the spec was not sent, so what AWS has there belongs to others.
fn remember(
    members: &mut Option<Vec<String>>,
    tags: &mut Option<Vec<String>>,
    new: Option<LastApplied>,
    sent: &[&Write],
    sent_by: &[(&str, Operation)],
) {
    let Some(new) = new else { return };
    let has_member = |path: &String| {
        sent.iter().any(|write| {
            !write.operation.is_tag_resource() && write.request.get(top(path)).is_some()
                || sent_by.contains(&(top(path), write.operation))
        })
    };
    let has_tag = |key: &String| {
        sent.iter()
            .any(|write| Tags::read(&write.request["tags"]).0.contains_key(key))
    };
    let new_members = new.members.into_iter().flatten().filter(has_member);
    *members = listed(
        members
            .take()
            .into_iter()
            .flatten()
            .chain(new_members)
            .collect(),
    );
    let new_tags = new.tags.into_iter().flatten().filter(has_tag);
    *tags = listed(tags.take().into_iter().flatten().chain(new_tags).collect());
}

/// The texts in order, each once; `None` when there are none.
fn listed(mut all: Vec<String>) -> Option<Vec<String>> {
    all.sort();
    all.dedup();
    Some(all).filter(|all| !all.is_empty())
}

/// The members of `table` that `spec` has; `None` when there are none.
fn applied(spec: &Map<String, Value>, table: &[Reset]) -> Option<Vec<String>> {
    let set = table.iter().filter(|(path, _)| find(spec, path).is_some());
    listed(set.map(|(path, _)| (*path).to_owned()).collect())
}

/// `spec` with the members set back that it had when `applied` was written and has since dropped.
#[must_use]
pub fn with_resets(
    spec: &Map<String, Value>,
    applied: Option<&[String]>,
    table: &[Reset],
) -> Map<String, Value> {
    let mut desired = spec.clone();
    for (path, value) in table {
        let dropped = applied
            .unwrap_or_default()
            .iter()
            .any(|applied| applied == path)
            && find(spec, path).is_none();
        if dropped {
            insert(&mut desired, path, value);
        }
    }
    desired
}

/// The member at `path` as an update sends it. ECS replaces it as a whole, so what the spec leaves
/// out goes along as it is in `live`, and what is to be absent, a `null`, is left out. What has a
/// row of its own in `table` is the spec's as a whole: of its members nobody remembers which the
/// spec had.
#[must_use]
pub fn completed(path: &str, desired: &Value, live: &Value, table: &[Reset]) -> Value {
    let (Value::Object(members), false) = (desired, is_free(path)) else {
        return desired.clone();
    };
    let live = if table.iter().any(|(row, _)| *row == path) {
        &Value::Null
    } else {
        live
    };
    let mut all = Map::new();
    for (name, value) in members {
        let sent = completed(&join(path, name), value, &live[name], table);
        // What has lost all that it had is to be absent, too.
        let is_emptied = sent.as_object().is_some_and(Map::is_empty)
            && value.as_object().is_some_and(|value| !value.is_empty());
        if !sent.is_null() && !is_emptied {
            all.insert(name.clone(), sent);
        }
    }
    for (name, value) in live
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| !members.contains_key(*name))
    {
        let path = join(path, name);
        // What no schema has may be in answers alone.
        if member(&path).is_some() && !means_absent(&path, value) {
            all.insert(name.clone(), value.clone());
        }
    }
    all.into()
}

fn find<'a>(spec: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    let mut members = path.split('.');
    let first = spec.get(members.next()?)?;
    members.try_fold(first, |value, member| value.get(member))
}

fn insert(spec: &mut Map<String, Value>, path: &str, value: &str) {
    let (parent, member) = path.rsplit_once('.').unwrap_or(("", path));
    let target =
        parent
            .split('.')
            .filter(|member| !member.is_empty())
            .fold(spec, |members, member| {
                let child = members.entry(member).or_insert_with(|| json!({}));
                child
                    .as_object_mut()
                    .expect("a member above others is an object")
            });
    target.insert(
        member.to_owned(),
        serde_json::from_str(value).expect("the tables hold JSON"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::ecs;

    const TABLE: &[Reset] = &[
        ("list", "[]"),
        ("outer.inner", r#"{"enable":false}"#),
        ("outer.number", "7"),
    ];

    fn map(value: &Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn resets_only_members_that_the_spec_drops() {
        let before = map(&json!({"list": ["a"], "outer": {"inner": {"enable": true}}, "other": 1}));
        let applied = applied(&before, TABLE);
        assert_eq!(
            applied.as_deref(),
            Some(&["list".to_owned(), "outer.inner".to_owned()][..])
        );
        let rows = [
            (
                json!({}),
                json!({"list": [], "outer": {"inner": {"enable": false}}}),
            ),
            (
                json!({"list": ["b"], "outer": {"number": 1}}),
                json!({"list": ["b"], "outer": {"number": 1, "inner": {"enable": false}}}),
            ),
            (
                json!({"list": [], "outer": {"inner": {"enable": true}}}),
                json!({"list": [], "outer": {"inner": {"enable": true}}}),
            ),
        ];
        for (spec, expected) in rows {
            assert_eq!(
                Value::from(with_resets(&map(&spec), applied.as_deref(), TABLE)),
                expected
            );
        }
        assert_eq!(
            Value::from(with_resets(&map(&json!({})), None, TABLE)),
            json!({})
        );
    }

    #[test]
    fn does_not_remember_members_of_another_owner() {
        let spec = map(&json!({"list": ["a"], "outer": {"number": 1, "inner": {"enable": true}}}));
        let tags = [Tag {
            key: "team".into(),
            value: None,
        }];
        let of = |policies: Value| {
            let policies: Policies = serde_json::from_value(policies).unwrap();
            LastApplied::of(&spec, Some(&tags), &policies, TABLE)
        };
        let all = LastApplied {
            members: Some(
                ["list", "outer.inner", "outer.number"]
                    .map(str::to_owned)
                    .into(),
            ),
            tags: Some(vec!["team".into()]),
        };
        assert_eq!(of(json!({})), Some(all));
        let left = LastApplied {
            members: Some(vec!["outer.number".into()]),
            tags: None,
        };
        assert_eq!(
            of(json!({"ignoreFields": ["/list", "/outer/inner", "/tags"]})),
            Some(left)
        );
        assert_eq!(of(json!({"managementPolicy": "Observe"})), None);
    }

    #[test]
    fn sends_absent_nested_members_as_they_are_live() {
        let live = json!({"awsvpcConfiguration": {"subnets": ["a"], "securityGroups": ["theirs"], "assignPublicIp": "ENABLED", "new": 1}});
        let sent = |desired: Value| completed("networkConfiguration", &desired, &live, TABLE);
        let theirs = json!({"awsvpcConfiguration": {"subnets": ["b"], "securityGroups": ["theirs"], "assignPublicIp": "ENABLED"}});
        assert_eq!(
            sent(json!({"awsvpcConfiguration": {"subnets": ["b"]}})),
            theirs
        );
        let without =
            json!({"awsvpcConfiguration": {"subnets": ["b"], "securityGroups": ["theirs"]}});
        assert_eq!(
            sent(json!({"awsvpcConfiguration": {"subnets": ["b"], "assignPublicIp": null}})),
            without
        );
        assert_eq!(
            completed(
                "loadBalancers",
                &json!([]),
                &json!([{"targetGroupArn": "t"}]),
                TABLE
            ),
            json!([])
        );
        let logging = json!({"executeCommandConfiguration": {"logging": "DEFAULT", "logConfiguration": {"s3BucketName": null}}});
        let was = json!({"executeCommandConfiguration": {"logging": "OVERRIDE", "logConfiguration": {"s3BucketName": "b"}}});
        assert_eq!(
            completed("configuration", &logging, &was, TABLE),
            json!({"executeCommandConfiguration": {"logging": "DEFAULT"}})
        );
    }

    #[test]
    fn a_member_with_a_row_of_its_own_is_the_spec_alone() {
        let table: &[Reset] = &[("serviceConnectConfiguration.logConfiguration", "null")];
        let live = json!({"enabled": true, "namespace": "shop", "logConfiguration": {"logDriver": "splunk", "secretOptions": [{"name": "t"}]}});
        let desired = json!({"enabled": true, "logConfiguration": {"logDriver": "awslogs"}});
        let sent = json!({"enabled": true, "namespace": "shop", "logConfiguration": {"logDriver": "awslogs"}});
        assert_eq!(
            completed("serviceConnectConfiguration", &desired, &live, table),
            sent
        );
    }

    #[test]
    fn remembers_sent_members_beside_known_ones() {
        let list = |texts: &[&str]| {
            Some(
                texts
                    .iter()
                    .map(|text| (*text).to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        let remembered = |operation: Operation, request: Value| {
            let new = LastApplied {
                members: list(&["list", "other.inner"]),
                tags: list(&["stage"]),
            };
            let (mut members, mut tags) = (list(&["outer.inner"]), list(&["team"]));
            let write = Write {
                operation,
                request,
                note: String::new(),
            };
            remember(&mut members, &mut tags, Some(new), &[&write], &[]);
            (members, tags)
        };
        let update = remembered(ecs::UpdateCluster, json!({"list": [1], "cluster": "shop"}));
        assert_eq!(update, (list(&["list", "outer.inner"]), list(&["team"])));
        let tagged = remembered(
            ecs::TagResource,
            json!({"tags": [{"key": "stage", "value": "x"}]}),
        );
        assert_eq!(tagged, (list(&["outer.inner"]), list(&["stage", "team"])));
        let adopted = remembered(
            ecs::TagResource,
            json!({"tags": [{"key": "owner", "value": "x"}]}),
        );
        assert_eq!(
            adopted,
            (list(&["outer.inner"]), list(&["team"])),
            "what others have set stays theirs"
        );
    }

    #[test]
    fn nothing_set_is_nothing_to_remember() {
        assert_eq!(applied(&map(&json!({"other": 1})), TABLE), None);
    }
}
