//! Tags: whose an AWS object is, and which of its tags are ours to touch.

use std::collections::BTreeMap;

use ecs_operator_crds::v1beta1::Tag;
use serde_json::{Value, json};

/// Key of the tag that says which custom resource owns an AWS object.
pub const OWNER: &str = "ecs-operator.dev/owner";

/// Key of the tag on a task definition revision with the hash of the request that made it.
pub const SPEC_HASH: &str = "ecs-operator.dev/spec-hash";

/// Key of the tag that an object leaves on its AWS object when it goes with `deletionPolicy:
/// Retain`. Another object of the same name, with another UID, gets the AWS object only by
/// adoption.
pub const RETAINED: &str = "ecs-operator.dev/retained";

/// Longest value of an AWS tag, in characters.
const MAX_VALUE: usize = 256;

/// The custom resource on whose behalf the operator acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Identity of the Kubernetes cluster.
    pub cluster_id: String,
    /// Namespace of the custom resource.
    pub namespace: String,
    /// Name of the custom resource.
    pub name: String,
    /// UID of the custom resource.
    pub uid: String,
    /// Identities of former Kubernetes clusters whose objects were moved to this one.
    pub former_clusters: Vec<String>,
}

/// Whose an AWS object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// It carries our tag.
    Ours,
    /// It carries no ownership tag.
    Nobody,
    /// It carries the tag of a former object of the same cluster, namespace and name, which
    /// retained it.
    Retained,
    /// It carries the tag of another custom resource; the value of that tag.
    Other(String),
}

impl Owner {
    /// The value of the ownership tag: `cluster/namespace/name/uid`. The UID stands last and is
    /// never cut off.
    #[must_use]
    pub fn tag(&self) -> String {
        let Self {
            cluster_id,
            namespace,
            name,
            uid,
            former_clusters: _,
        } = self;
        let room = MAX_VALUE.saturating_sub(cluster_id.len() + namespace.len() + uid.len() + 3);
        // Names of custom resources are DNS names, so every character is one byte.
        let name = name.get(..room).unwrap_or(name);
        format!("{cluster_id}/{namespace}/{name}/{uid}")
    }

    /// Whose an object with these tags is.
    #[must_use]
    pub fn of(&self, tags: &Tags) -> Ownership {
        match tags.0.get(OWNER) {
            None => Ownership::Nobody,
            Some(tag) if *tag == self.tag() => Ownership::Ours,
            Some(tag) if self.came_after(tag) && tags.0.contains_key(RETAINED) => {
                Ownership::Retained
            }
            Some(tag) if self.came_after(tag) => Ownership::Ours,
            Some(tag) => Ownership::Other(tag.clone()),
        }
    }

    /// Whether `tag` names this very object by cluster, namespace and name, as it was before it was
    /// restored: only the UID is another one. Safe, because there is never more than one object of
    /// that name in a cluster.
    fn came_after(&self, tag: &str) -> bool {
        let parts: Vec<_> = tag.split('/').collect();
        let [cluster_id, namespace, name, _] = parts[..] else {
            return false;
        };
        let same_cluster = cluster_id == self.cluster_id
            || self
                .former_clusters
                .iter()
                .any(|former| former == cluster_id);
        // A tag that is full may have lost the end of the name.
        same_cluster && namespace == self.namespace && name == self.name && tag.len() < MAX_VALUE
    }

    /// The tags an object of this owner shall carry: those of the spec, and ours.
    #[must_use]
    pub fn desired(&self, spec: Option<&[Tag]>) -> Tags {
        let mut tags = Tags::of_spec(spec);
        tags.0.insert(OWNER.to_owned(), self.tag());
        tags
    }
}

/// How a service names the members of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TagShape {
    /// `{"key": "team", "value": "a"}`, as ECS.
    Lowercase,
    /// `{"Key": "team", "Value": "a"}`, as ECR.
    Uppercase,
    /// `{"team": "a"}`, as Application Auto Scaling.
    Map,
}

/// Tags by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags(pub BTreeMap<String, String>);

impl Tags {
    /// The tags of a spec.
    #[must_use]
    pub fn of_spec(spec: Option<&[Tag]>) -> Self {
        let tags = spec.unwrap_or_default().iter();
        Self(
            tags.map(|tag| (tag.key.clone(), tag.value.clone().unwrap_or_default()))
                .collect(),
        )
    }

    /// The tags after TagResource or UntagResource with `request`.
    #[must_use]
    pub fn after(&self, request: &Value) -> Self {
        let mut tags = self.clone();
        tags.0.extend(Self::read(&request["tags"]).0);
        for key in request["tagKeys"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            tags.0.remove(key);
        }
        tags
    }

    /// Reads tags of any shape; absent means none.
    #[must_use]
    pub fn read(tags: &Value) -> Self {
        if let Value::Object(tags) = tags {
            let value = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            return Self(
                tags.iter()
                    .map(|(key, tag)| (key.clone(), value(tag)))
                    .collect(),
            );
        }
        let member = |tag: &Value, [lower, upper]: [&str; 2]| {
            tag[lower]
                .as_str()
                .or(tag[upper].as_str())
                .map(str::to_owned)
        };
        let pair = |tag: &Value| {
            Some((
                member(tag, ["key", "Key"])?,
                member(tag, ["value", "Value"]).unwrap_or_default(),
            ))
        };
        Self(
            tags.as_array()
                .into_iter()
                .flatten()
                .filter_map(pair)
                .collect(),
        )
    }

    /// Writes them as a service wants them.
    #[must_use]
    pub fn write(&self, shape: TagShape) -> Value {
        let list = |names: [&str; 2]| {
            let tag = |(key, value)| json!({names[0]: key, names[1]: value});
            self.0.iter().map(tag).collect()
        };
        match shape {
            TagShape::Lowercase => list(["key", "value"]),
            TagShape::Uppercase => list(["Key", "Value"]),
            TagShape::Map => json!(self.0),
        }
    }

    /// These that `present` lacks or has with another value: what TagResource must set.
    #[must_use]
    pub fn missing_from(&self, present: &Self) -> Self {
        let missing = self
            .0
            .iter()
            .filter(|(key, value)| present.0.get(*key) != Some(value));
        Self(
            missing
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        )
    }

    /// Keys that the operator set from the spec, that the spec no longer lists, and that are still
    /// present.
    #[must_use]
    pub fn dropped(&self, managed: Option<&[String]>, present: &Self) -> Vec<String> {
        let gone = managed.unwrap_or_default().iter();
        gone.filter(|key| !self.0.contains_key(*key) && present.0.contains_key(*key))
            .cloned()
            .collect()
    }
}

/// Keys of the tags that the spec lists, for the status; `None` when there are none.
#[must_use]
pub fn managed(spec: Option<&[Tag]>) -> Option<Vec<String>> {
    let mut keys: Vec<_> = spec?.iter().map(|tag| tag.key.clone()).collect();
    keys.sort();
    Some(keys).filter(|keys| !keys.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        let [cluster_id, namespace, name, uid] = ["k8s", "shop", "web", "u-1"].map(str::to_owned);
        Owner {
            cluster_id,
            namespace,
            name,
            uid,
            former_clusters: vec!["k8s-old".into()],
        }
    }

    #[test]
    fn the_owner_tag_decides_whose_an_object_is() {
        let tagged = |value: &str| Tags::read(&json!([{"key": OWNER, "value": value}]));
        assert_eq!(owner().of(&tagged("k8s/shop/web/u-1")), Ownership::Ours);
        assert_eq!(
            owner().of(&tagged("k8s/shop/web/u-2")),
            Ownership::Ours,
            "restored with another UID"
        );
        assert_eq!(
            owner().of(&tagged("k8s-old/shop/web/u-2")),
            Ownership::Ours,
            "restored into another cluster"
        );
        for other in [
            "k8s/shop/api/u-1",
            "k8s/desk/web/u-1",
            "k8s-new/shop/web/u-1",
            "k8s/shop/web",
            "web",
        ] {
            assert_eq!(owner().of(&tagged(other)), Ownership::Other(other.into()));
        }
        assert_eq!(owner().of(&Tags::default()), Ownership::Nobody);
    }

    #[test]
    fn a_retained_object_needs_consent_of_its_successor() {
        let tagged = |value: &str| {
            Tags::read(&json!([{"key": OWNER, "value": value}, {"key": RETAINED, "value": "true"}]))
        };
        assert_eq!(
            owner().of(&tagged("k8s/shop/web/u-1")),
            Ownership::Ours,
            "before its own end"
        );
        assert_eq!(owner().of(&tagged("k8s/shop/web/u-2")), Ownership::Retained);
        assert!(matches!(
            owner().of(&tagged("k8s/desk/web/u-2")),
            Ownership::Other(_)
        ));
    }

    #[test]
    fn a_long_name_is_cut_and_the_uid_stays() {
        let long = Owner {
            name: "n".repeat(253),
            ..owner()
        };
        assert_eq!(long.tag().len(), 256);
        assert!(long.tag().ends_with("/u-1"));
        let restored = Owner {
            uid: "u-2".into(),
            ..long.clone()
        };
        let tags = Tags::read(&json!([{"key": OWNER, "value": long.tag()}]));
        assert!(
            matches!(restored.of(&tags), Ownership::Other(_)),
            "the end of the name is not known"
        );
    }

    #[test]
    fn only_tags_of_the_spec_are_set_and_removed() {
        let present = Tags::read(
            &json!([{"key": "team", "value": "a"}, {"key": "old", "value": "x"}, {"key": "foreign"}]),
        );
        let desired = Tags::read(&json!([{"key": "team", "value": "b"}]));
        let missing = desired.missing_from(&present);
        assert_eq!(
            missing.write(TagShape::Lowercase),
            json!([{"key": "team", "value": "b"}])
        );
        assert_eq!(
            missing.write(TagShape::Uppercase),
            json!([{"Key": "team", "Value": "b"}])
        );
        assert_eq!(missing.write(TagShape::Map), json!({"team": "b"}));
        for shape in [TagShape::Lowercase, TagShape::Uppercase, TagShape::Map] {
            assert_eq!(Tags::read(&missing.write(shape)), missing);
        }
        let managed = ["old", "team", "gone"].map(str::to_owned);
        assert_eq!(desired.dropped(Some(&managed), &present), ["old"]);
    }
}
