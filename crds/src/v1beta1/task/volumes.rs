//! EBS volumes of tasks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::v1beta1::service::ServiceManagedEbsVolumeConfiguration;

/// EBS volume for a volume of the task definition that is configured at launch.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskVolumeConfiguration {
    /// Name of the volume in the task definition.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// The EBS volume that every task gets.
    #[serde(rename = "managedEBSVolume")]
    pub managed_ebs_volume: Option<TaskManagedEbsVolumeConfiguration>,
}

/// The EBS volume that every task gets.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskManagedEbsVolumeConfiguration {
    /// The members that a volume of a service has, too.
    #[serde(flatten)]
    pub volume: ServiceManagedEbsVolumeConfiguration,
    /// What becomes of the volume when the task ends.
    pub termination_policy: Option<TaskManagedEbsVolumeTerminationPolicy>,
}

/// What becomes of an EBS volume when its task ends.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskManagedEbsVolumeTerminationPolicy {
    /// Whether ECS deletes it. AWS default, without the policy: true.
    pub delete_on_termination: bool,
}
