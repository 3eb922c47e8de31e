//! Shapes that several kinds share.

mod capacity;
mod free_json;
mod log;
mod networking;
mod placement;
mod policy;
mod reference;
pub(crate) mod rules;
mod status;
mod tag;

pub use capacity::CapacityProviderStrategyItem;
pub use free_json::FreeJson;
pub use log::{LogConfiguration, Secret};
pub use networking::{AwsVpcConfiguration, NetworkConfiguration};
pub use placement::{PlacementConstraint, PlacementStrategy};
pub use policy::{AdoptionPolicy, DeletionPolicy, ManagementPolicy, Policies};
pub use reference::ObjectReference;
pub(crate) use status::status;
pub use status::{CommonStatus, Status};
pub use tag::Tag;

/// What the spec of every kind has in common.
pub trait Spec {
    /// What the operator may do with the AWS object.
    fn policies(&self) -> &Policies;
    /// Tags that the AWS object shall have.
    fn tags(&self) -> Option<&[Tag]>;
}

macro_rules! spec {
    ($type:ty) => {
        impl crate::v1beta1::shared::Spec for $type {
            fn policies(&self) -> &crate::v1beta1::shared::Policies {
                &self.policies
            }

            fn tags(&self) -> Option<&[crate::v1beta1::shared::Tag]> {
                self.tags.as_deref()
            }
        }
    };
}
pub(crate) use spec;
