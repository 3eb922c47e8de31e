//! How an object treats what it finds in AWS, and what it leaves there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What to do when the AWS object exists already and carries no ownership tag.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum AdoptionPolicy {
    /// Leave it alone; the custom resource is Stalled with reason NotOwned.
    #[default]
    Refuse,
    /// Tag it as ours and manage it from then on. Something that another custom resource owns is never taken.
    IfUnowned,
}

/// What happens to the AWS object when the custom resource is deleted.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum DeletionPolicy {
    /// It is deleted, and the custom resource waits until it is gone.
    #[default]
    Delete,
    /// It stays as it is.
    Retain,
}
