//! Shapes that several kinds share.

mod capacity;
mod log;
mod placement;
mod policy;
mod reference;
pub(crate) mod rules;
mod tag;

pub use capacity::CapacityProviderStrategyItem;
pub use log::{LogConfiguration, Secret};
pub use placement::PlacementConstraint;
pub use policy::{AdoptionPolicy, DeletionPolicy, ManagementPolicy, Policies};
pub use reference::ObjectReference;
pub use tag::Tag;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// What the status of every kind has in common. The driver works on this and knows no kind.
pub trait Status {
    /// The generation of the spec that this status reports; `None` or -1 before the first
    /// reconciliation.
    fn observed_generation(&self) -> Option<i64>;
    /// Ready, and Reconciling or Stalled while true.
    fn conditions(&self) -> &[Condition];
    /// The same, to replace them.
    fn conditions_mut(&mut self) -> &mut Vec<Condition>;
    /// The last reconciliation request that was handled.
    fn last_handled_reconcile_at(&mut self) -> &mut Option<String>;
    /// Changes that the operator may not make.
    fn pending_changes(&mut self) -> &mut Option<Vec<String>>;
    /// ARN of the AWS object, which is what a reference to the custom resource resolves to.
    fn arn(&self) -> Option<&str>;
    /// Keys of the tags that AWS accepted from the spec.
    fn managed_tags(&mut self) -> &mut Option<Vec<String>>;
    /// Members of the spec that AWS accepted and that are set back when the spec drops them; `None`
    /// for a kind without such members.
    fn applied_members(&mut self) -> Option<&mut Option<Vec<String>>>;
}

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

macro_rules! status {
    ($type:ty { arn: $arn:ident $(, $applied_members:ident)? }) => {
        impl crate::v1beta1::shared::Status for $type {
            fn observed_generation(&self) -> Option<i64> {
                self.observed_generation
            }

            fn conditions(&self) -> &[Condition] {
                &self.conditions
            }

            fn conditions_mut(&mut self) -> &mut Vec<Condition> {
                &mut self.conditions
            }

            fn last_handled_reconcile_at(&mut self) -> &mut Option<String> {
                &mut self.last_handled_reconcile_at
            }

            fn pending_changes(&mut self) -> &mut Option<Vec<String>> {
                &mut self.pending_changes
            }

            fn arn(&self) -> Option<&str> {
                self.$arn.as_deref()
            }

            fn managed_tags(&mut self) -> &mut Option<Vec<String>> {
                &mut self.managed_tags
            }

            fn applied_members(&mut self) -> Option<&mut Option<Vec<String>>> {
                #[allow(unused_mut, unused_assignments, reason = "a kind may have no such members")]
                let mut members = None;
                $(members = Some(&mut self.$applied_members);)?
                members
            }
        }
    };
}
pub(crate) use status;
