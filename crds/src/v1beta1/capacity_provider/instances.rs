//! Managed Instances: instances that ECS starts and ends by itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::requirements::InstanceRequirements;

/// Instances that ECS starts and ends by itself.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedInstancesProvider {
    /// ARN of the role with which ECS manages the instances.
    pub infrastructure_role_arn: String,
    /// What instances ECS starts. A change reaches new instances only. Members dropped from the
    /// spec, they stay.
    pub instance_launch_template: InstanceLaunchTemplate,
    /// Whether the instances get the tags of the capacity provider: CAPACITY_PROVIDER or NONE. AWS
    /// default NONE.
    pub propagate_tags: Option<String>,
    /// How ECS ends instances that are hardly used. Dropped from the spec, it stays.
    pub infrastructure_optimization: Option<InfrastructureOptimization>,
    /// Whether ECS replaces impaired instances. Dropped from the spec, it stays.
    pub auto_repair_configuration: Option<AutoRepairConfiguration>,
}

/// How ECS ends instances that are hardly used.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InfrastructureOptimization {
    /// Time in seconds until an idle instance is ended, 0 to 3600; -1 ends none.
    #[schemars(range(min = -1, max = 3600))]
    pub scale_in_after: Option<i32>,
}

/// Whether ECS replaces impaired instances.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AutoRepairConfiguration {
    /// ENABLED or DISABLED.
    pub actions_status: Option<String>,
}

/// What instances ECS starts.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceLaunchTemplate {
    /// ARN of the instance profile with the role of the instances.
    pub ec2_instance_profile_arn: String,
    /// Subnets and security groups of the instances.
    pub network_configuration: ManagedInstancesNetworkConfiguration,
    /// Disk of the instances.
    pub storage_configuration: Option<StorageConfiguration>,
    /// Disks that are part of the instances.
    pub local_storage_configuration: Option<LocalStorageConfiguration>,
    /// CloudWatch monitoring of the instances: BASIC (five minutes) or DETAILED (one minute). AWS
    /// default BASIC.
    pub monitoring: Option<String>,
    /// How the instances are bought: ON_DEMAND, SPOT or RESERVED. AWS default ON_DEMAND. Cannot
    /// change.
    pub capacity_option_type: Option<String>,
    /// Whether tasks can read the tags of their instance from its metadata.
    pub instance_metadata_tags_propagation: Option<bool>,
    /// Which instance types ECS may choose. Default: those that fit the tasks.
    pub instance_requirements: Option<InstanceRequirements>,
    /// Whether the instances use FIPS-validated cryptography. Cannot change.
    pub fips_enabled: Option<bool>,
    /// Whether the instances have Nitro Enclaves. Cannot change.
    pub nitro_enclaves_enabled: Option<bool>,
    /// Capacity Reservations of the instances.
    pub capacity_reservations: Option<CapacityReservations>,
}

/// Subnets and security groups of instances.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedInstancesNetworkConfiguration {
    /// Subnets in which instances start.
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub subnets: Option<Vec<String>>,
    /// Security groups of the instances. AWS default: the default group of the VPC.
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub security_groups: Option<Vec<String>>,
}

/// Disk of an instance.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StorageConfiguration {
    /// Size in GiB.
    #[serde(rename = "storageSizeGiB")]
    #[schemars(range(min = 1))]
    pub storage_size_gib: Option<i32>,
}

/// Disks that are part of an instance.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalStorageConfiguration {
    /// Whether tasks use them. AWS default false.
    pub use_local_storage: Option<bool>,
}

/// Capacity Reservations of instances.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CapacityReservations {
    /// ARN of the resource group of the Capacity Reservations.
    pub reservation_group_arn: Option<String>,
    /// RESERVATIONS_ONLY, RESERVATIONS_FIRST or RESERVATIONS_EXCLUDED.
    pub reservation_preference: Option<String>,
}
