//! What the status of every kind has in common.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// What a status reports beside the state of the AWS object. Every kind has these members, and the
/// driver alone writes them.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommonStatus {
    /// Generation of the spec that this status reports; -1 before the first reconciliation.
    pub observed_generation: Option<i64>,
    /// Ready; Reconciling or Stalled while true (kstatus).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Members that the spec had when AWS was last in sync and that are reset when the spec drops
    /// them.
    pub applied_members: Option<Vec<String>>,
    /// Keys of the tags that the operator set because the spec lists them, to remove those that the
    /// spec drops.
    pub managed_tags: Option<Vec<String>>,
    /// Value of the annotation `ecs-operator.dev/reconcileAt` or `reconcile.fluxcd.io/requestedAt`
    /// that was handled last.
    pub last_handled_reconcile_at: Option<String>,
    /// Changes that the operator does not make because of `managementPolicy` or `suspend`.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub pending_changes: Option<Vec<String>>,
}

/// The status of a kind as the driver sees it.
pub trait Status {
    /// What it has in common with the status of every kind.
    fn common(&self) -> &CommonStatus;

    /// The same, to change it.
    fn common_mut(&mut self) -> &mut CommonStatus;

    /// The generation of the spec that it reports; `None` or -1 before the first reconciliation.
    fn observed_generation(&self) -> Option<i64> {
        self.common().observed_generation
    }

    /// Ready, and Reconciling or Stalled while true.
    fn conditions(&self) -> &[Condition] {
        &self.common().conditions
    }

    /// ARN of the AWS object, which is what a reference to the custom resource resolves to.
    fn arn(&self) -> Option<&str>;
}

/// Implements [`Status`] for a status with a member `common` and a member for the ARN.
macro_rules! status {
    ($type:ty { arn: $arn:ident }) => {
        impl crate::v1beta1::shared::Status for $type {
            fn common(&self) -> &crate::v1beta1::shared::CommonStatus {
                &self.common
            }

            fn common_mut(&mut self) -> &mut crate::v1beta1::shared::CommonStatus {
                &mut self.common
            }

            fn arn(&self) -> Option<&str> {
                self.$arn.as_deref()
            }
        }
    };
}
pub(crate) use status;
