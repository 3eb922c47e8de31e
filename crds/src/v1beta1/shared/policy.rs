//! How an object treats what it finds in AWS, and what it leaves there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// What the operator may do with the AWS object. Every kind has these members, and none of them is
/// sent to AWS.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Policies {
    /// What to do when the AWS object exists already without an ownership tag: Refuse (default) or
    /// IfUnowned.
    pub adoption_policy: Option<AdoptionPolicy>,
    /// What happens in AWS when this object is deleted: Delete (default) or Retain.
    pub deletion_policy: Option<DeletionPolicy>,
    /// Whether the API server refuses to delete this object.
    pub deletion_protection: Option<bool>,
    /// Parts of the spec that others manage in AWS, as JSON pointers below `spec`, such as
    /// `/desiredCount`. The operator sends them when it creates the AWS object, and neither
    /// compares nor changes them later. A position in a list, as in
    /// `/capacityProviderStrategy/0/weight`, names the element of the spec; in AWS it is found by
    /// its key. A list without keys whose order ECS does not keep can only be ignored as a whole.
    #[schemars(length(max = 32), inner(length(max = 256)), extend("x-kubernetes-list-type" = "set"))]
    pub ignore_fields: Option<Vec<String>>,
    /// Full (default), or Observe: the operator changes nothing in AWS, and lists in
    /// `status.pendingChanges` what it would change.
    pub management_policy: Option<ManagementPolicy>,
    /// Whether the operator stops to change AWS. It still reads AWS and updates the status, and it
    /// still deletes.
    pub suspend: Option<bool>,
}

impl Policies {
    /// The members, as they are called in a spec.
    pub const MEMBERS: [&'static str; 6] = [
        "adoptionPolicy",
        "deletionPolicy",
        "deletionProtection",
        "ignoreFields",
        "managementPolicy",
        "suspend",
    ];

    /// Whether an AWS object without an ownership tag may be taken over.
    #[must_use]
    pub fn adopts(&self) -> bool {
        self.adoption_policy == Some(AdoptionPolicy::IfUnowned)
    }

    /// Whether the operator changes nothing in AWS.
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

    /// Whether the operator stops to change AWS.
    #[must_use]
    pub fn suspends(&self) -> bool {
        self.suspend == Some(true)
    }
}

/// What to do when the AWS object exists already without an ownership tag: Refuse (default) or
/// IfUnowned, which takes it over.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum AdoptionPolicy {
    /// Leave it alone; the custom resource is Stalled with reason NotOwned.
    #[default]
    Refuse,
    /// Tag it as ours and manage it from then on. Something that another custom resource owns is
    /// never taken.
    IfUnowned,
}

/// What happens in AWS when this object is deleted: Delete (default), or Retain, which leaves
/// everything as it is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum DeletionPolicy {
    /// It is deleted, and the custom resource waits until it is gone.
    #[default]
    Delete,
    /// It stays as it is.
    Retain,
}

/// Full (default), or Observe: the operator changes nothing in AWS, and lists in
/// `status.pendingChanges` what it would change.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum ManagementPolicy {
    /// It creates, changes and deletes the AWS object.
    #[default]
    Full,
    /// It changes nothing in AWS and reports the differences.
    Observe,
}
