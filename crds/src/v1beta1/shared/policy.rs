//! How an object treats what it finds in AWS, and what it leaves there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// What the operator may do with the AWS object. Every kind has these members, and none of them is sent to AWS.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Policies {
    /// What to do when the AWS object exists already without an ownership tag: Refuse (default) or IfUnowned.
    pub adoption_policy: Option<AdoptionPolicy>,
    /// What happens in AWS when this object is deleted: Delete (default) or Retain.
    pub deletion_policy: Option<DeletionPolicy>,
    /// Whether this object is kept from being deleted: `kubectl delete` is refused while it is true.
    pub deletion_protection: Option<bool>,
    /// Parts of the spec that are left to others, as JSON pointers below `spec`, such as `/desiredCount`: sent when the AWS
    /// object is created, and never compared or changed after that. A position in a list, as in `/capacityProviderStrategy/0/weight`, names
    /// the element of the spec; in AWS it is found by its key. Lists whose order ECS does not keep and whose elements have no key can be
    /// left to others as a whole only.
    #[schemars(length(max = 32), inner(length(max = 256)), extend("x-kubernetes-list-type" = "set"))]
    pub ignore_fields: Option<Vec<String>>,
    /// Full (default), or Observe: the operator reads and compares, shows in `status.pendingChanges` what it would do, and never
    /// changes anything in AWS.
    pub management_policy: Option<ManagementPolicy>,
    /// Whether the operator holds still: it goes on looking, and changes nothing in AWS until this is false again. Deletion goes
    /// on all the same.
    pub suspend: Option<bool>,
}

impl Policies {
    /// The members, as they are called in a spec.
    pub const MEMBERS: [&'static str; 6] =
        ["adoptionPolicy", "deletionPolicy", "deletionProtection", "ignoreFields", "managementPolicy", "suspend"];

    /// Whether an AWS object without an ownership tag may be taken over.
    #[must_use]
    pub fn adopts(&self) -> bool {
        self.adoption_policy == Some(AdoptionPolicy::IfUnowned)
    }

    /// Whether the operator only looks.
    #[must_use]
    pub fn observes(&self) -> bool {
        self.management_policy == Some(ManagementPolicy::Observe)
    }

    /// Whether the AWS object stays when the custom resource is deleted.
    #[must_use]
    pub fn retains(&self) -> bool {
        self.observes() || self.deletion_policy == Some(DeletionPolicy::Retain)
    }

    /// Whether the custom resource must not be deleted.
    #[must_use]
    pub fn protects(&self) -> bool {
        self.deletion_protection == Some(true)
    }

    /// Whether the operator holds still.
    #[must_use]
    pub fn suspends(&self) -> bool {
        self.suspend == Some(true)
    }
}

/// What to do when the AWS object exists already without an ownership tag: Refuse (default) or IfUnowned, which takes it over.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum AdoptionPolicy {
    /// Leave it alone; the custom resource is Stalled with reason NotOwned.
    #[default]
    Refuse,
    /// Tag it as ours and manage it from then on. Something that another custom resource owns is never taken.
    IfUnowned,
}

/// What happens in AWS when this object is deleted: Delete (default), or Retain, which leaves everything as it is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum DeletionPolicy {
    /// It is deleted, and the custom resource waits until it is gone.
    #[default]
    Delete,
    /// It stays as it is.
    Retain,
}

/// Full (default), or Observe: the operator reads and compares, shows in `status.pendingChanges` what it would do, and never
/// changes anything in AWS.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum ManagementPolicy {
    /// It creates, changes and deletes the AWS object.
    #[default]
    Full,
    /// It only looks, and tells.
    Observe,
}
