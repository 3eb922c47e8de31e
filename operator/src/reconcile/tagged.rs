//! Who owns an AWS object by its tags, and the writes that change them. Pure.

use ecs_operator_crds::GROUP;
use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::Policies;
use serde_json::json;

use super::ignore::ignores;
use super::plan::{Plan, Write};
use crate::aws::operation::Tagging;
use crate::aws::tags::{OWNER, Owner, Ownership, RETAINED, SPEC_HASH, Tags};

/// Most tags of an AWS object. Source: "Tag your AWS resources", AWS general reference.
const MAX_TAGS: usize = 50;

/// An AWS object with its tags.
#[derive(Clone, Copy, Debug)]
pub struct Tagged<'a> {
    /// The operations that tag it.
    pub tagging: Tagging,
    /// What it is, for messages: `cluster shop`.
    pub what: &'a str,
    /// Its ARN.
    pub arn: &'a str,
    /// Its tags.
    pub tags: &'a Tags,
}

impl Tagged<'_> {
    /// The write that tags the AWS object when it has no owner, or the reason to leave it alone;
    /// `None` if the custom resource owns it. `member` names it in the spec.
    #[must_use]
    pub fn claim(&self, member: &str, owner: &Owner, policies: &Policies) -> Option<Plan> {
        let Self {
            what, arn, tags, ..
        } = self;
        match owner.of(tags) {
            Ownership::Ours => None,
            // `managementPolicy: Observe` needs no ownership.
            _ if policies.observes() => None,
            Ownership::Nobody | Ownership::Retained if policies.adopts() => {
                let mine = owner.desired(None);
                Some(Plan::Write(vec![
                    self.tag(&mine, format!("Adopted the existing {what}")),
                ]))
            }
            Ownership::Nobody => Some(Plan::stall(
                Reason::NotOwned,
                format!(
                    "{what} exists already and was not created by this operator; set spec.adoptionPolicy to IfUnowned to take it over, or {}",
                    recreate_hint(member)
                ),
            )),
            Ownership::Retained => Some(Plan::stall(
                Reason::NotOwned,
                format!("{what} {}, or {}", retained_by(), recreate_hint(member)),
            )),
            Ownership::Other(other) => Some(Plan::stall(
                Reason::Conflict,
                format!(
                    "{what} {}, or {}",
                    owned_by(owner, &other, arn),
                    recreate_hint(member)
                ),
            )),
        }
    }

    /// The plan of an object at its end that leaves its AWS object in AWS: it marks it as retained.
    /// An object that observes changes nothing.
    #[must_use]
    pub fn retain(&self, owner: &Owner, policies: &Policies) -> Plan {
        let is_marked = self.tags.0.contains_key(RETAINED);
        if policies.observes() || is_marked || owner.of(self.tags) != Ownership::Ours {
            return Plan::Gone;
        }
        let mark = Tags([(RETAINED.to_owned(), "true".to_owned())].into());
        let mut writes = Vec::new();
        if self.tags.0.len() >= MAX_TAGS && self.tags.0.contains_key(SPEC_HASH) {
            // The hash is of no use to a retained object, and its place is needed.
            writes.push(self.untag(&[SPEC_HASH.to_owned()]));
        }
        writes.push(self.tag(&mark, format!("Marked {} as retained", self.what)));
        Plan::Write(writes)
    }

    /// The writes that change the tags of an object to `desired`, and remove those that the
    /// operator set and the spec no longer lists. `managementPolicy: Observe` does not need the
    /// operator's own tags.
    #[must_use]
    pub fn tag_writes(
        &self,
        desired: &Tags,
        managed: Option<&[String]>,
        policies: &Policies,
    ) -> Vec<Write> {
        let Self {
            what,
            tags: present,
            ..
        } = self;
        let mut missing = desired.missing_from(present);
        let mut dropped = desired.dropped(managed, present);
        if policies.observes() {
            missing.0.retain(|key, _| !key.starts_with(GROUP));
        }
        if ignores(policies, "tags") {
            missing.0.retain(|key, _| key.starts_with(GROUP));
            dropped.clear();
        }
        let mut writes = Vec::new();
        if !missing.0.is_empty() {
            let keys: Vec<_> = missing.0.keys().map(String::as_str).collect();
            writes.push(self.tag(&missing, format!("Tagged {what}: {}", keys.join(", "))));
        }
        // It has an owner again.
        dropped.extend(
            present
                .0
                .contains_key(RETAINED)
                .then(|| RETAINED.to_owned())
                .filter(|_| !policies.observes()),
        );
        if !dropped.is_empty() {
            writes.push(self.untag(&dropped));
        }
        writes
    }

    /// The write that removes tags.
    fn untag(&self, keys: &[String]) -> Write {
        Write {
            operation: self.tagging.untag,
            note: format!("Removed tags from {}: {}", self.what, keys.join(", ")),
            request: json!({"resourceArn": self.arn, "tagKeys": keys}),
        }
    }

    /// The write that sets tags.
    #[must_use]
    pub fn tag(&self, tags: &Tags, note: String) -> Write {
        let tags = tags.write(self.tagging.tag.service().tag_shape);
        Write {
            operation: self.tagging.tag,
            request: json!({"resourceArn": self.arn, "tags": tags}),
            note,
        }
    }
}

/// The way to another AWS object: ECS renames nothing, so a custom resource means the same one all
/// its life.
#[must_use]
pub fn recreate_hint(member: &str) -> String {
    format!("delete this object and create it again with another spec.{member}")
}

/// Whose an AWS object is that the object before left in AWS, and how it is taken over.
#[must_use]
pub fn retained_by() -> &'static str {
    "was retained in AWS by a former object of the same name; set spec.adoptionPolicy to IfUnowned to take it over"
}

/// Who owns an AWS object that another custom resource has tagged, and how it changes hands without
/// being deleted.
#[must_use]
pub fn owned_by(owner: &Owner, other: &str, arn: &str) -> String {
    let elsewhere = !other.starts_with(&format!("{}/", owner.cluster_id));
    let hint = if elsewhere {
        " of another Kubernetes cluster; if that no longer exists, name it in --former-cluster-ids"
    } else {
        ""
    };
    format!(
        "belongs to another custom resource ({other}){hint}; to hand it over, delete that one with deletionPolicy Retain and remove the tag \
         {OWNER} of {arn}"
    )
}

/// The plan of an object that is being deleted and does not own its AWS object: its owner tag may
/// have been removed, and the event tells the user that `what` runs on. An object that never owned
/// one, whose status has no ARN then, is released without an event.
#[must_use]
pub fn left(what: &str, ownership: &Ownership, arn: Option<&str>, policies: &Policies) -> Plan {
    if arn.is_none() || policies.observes() {
        return Plan::Gone;
    }
    let why = match ownership {
        Ownership::Other(other) => format!("it belongs to another custom resource now ({other})"),
        _ => format!("it does not carry the tag {OWNER}"),
    };
    Plan::Left(format!(
        "{what} is left in AWS, because this object does not own it: {why}"
    ))
}

#[cfg(test)]
mod tests {
    use ecs_operator_crds::v1beta1::ManagementPolicy;

    use super::*;
    use crate::aws::ecs;

    #[test]
    fn marks_a_retained_object_that_has_all_the_tags_it_can_have() {
        let [cluster_id, namespace, name, uid] =
            ["k8s", "default", "web", "u-1"].map(str::to_owned);
        let owner = Owner {
            cluster_id,
            namespace,
            name,
            uid,
            former_clusters: Vec::new(),
        };
        let operations = |listed: usize| {
            let listed = (0..listed).map(|number| (format!("tag-{number}"), String::new()));
            let own = [
                (OWNER.to_owned(), owner.tag()),
                (SPEC_HASH.to_owned(), "x".to_owned()),
            ];
            let tags = Tags(listed.chain(own).collect());
            let tagged = Tagged {
                tagging: ecs::TAGGING,
                what: "service web",
                arn: "arn",
                tags: &tags,
            };
            let Plan::Write(writes) = tagged.retain(&owner, &Policies::default()) else {
                panic!("it has to be marked")
            };
            writes
                .iter()
                .map(|write| write.operation)
                .collect::<Vec<_>>()
        };
        let tags = Tags([(OWNER.to_owned(), owner.tag())].into());
        let tagged = Tagged {
            tagging: ecs::TAGGING,
            what: "service web",
            arn: "arn",
            tags: &tags,
        };
        let observing = Policies {
            management_policy: Some(ManagementPolicy::Observe),
            ..Policies::default()
        };
        assert_eq!(tagged.retain(&owner, &observing), Plan::Gone);
        assert_eq!(operations(47), [ecs::TagResource]);
        assert_eq!(operations(48), [ecs::UntagResource, ecs::TagResource]);
    }
}
