//! EcsCapacityProvider: an ECS capacity provider. The spec is the input of
//! `CreateCapacityProvider`.

mod instances;
mod requirements;
mod rules;

use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

pub use instances::{
    AutoRepairConfiguration, CapacityReservations, InfrastructureOptimization,
    InstanceLaunchTemplate, LocalStorageConfiguration, ManagedInstancesNetworkConfiguration,
    ManagedInstancesProvider, StorageConfiguration,
};
pub use requirements::{DecimalRange, InstanceRequirements, NumberRange, RequiredNumberRange};

use super::shared::rules::name_in_ecs;
use super::shared::{CommonStatus, ObjectReference, Policies, Tag, spec, status};

/// An ECS capacity provider: instances for the tasks of a cluster, from an Auto Scaling group or
/// managed by ECS.
#[skip_serializing_none]
#[derive(CustomResource, JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "ecs-operator.dev",
    version = "v1beta1",
    kind = "EcsCapacityProvider",
    plural = "ecscapacityproviders",
    shortname = "ecscp",
    category = "ecs",
    doc = "An ECS capacity provider, managed through the ECS API.",
    namespaced,
    validation = name_in_ecs("name"),
    validation = rules::object_name(),
    status = "EcsCapacityProviderStatus",
    derive = "PartialEq",
    selectable = ".spec.name",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.status"),
    printcolumn(name = "Cluster", type_ = "string", json_path = ".status.cluster"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "ARN", type_ = "string", json_path = ".status.capacityProviderArn", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::all()))]
pub struct EcsCapacityProviderSpec {
    /// Name of the capacity provider in ECS, up to 255 letters, digits, hyphens and underscores,
    /// without the prefixes aws, ecs and fargate; default: `metadata.name`. Cannot change.
    #[schemars(length(min = 1, max = 255), regex(pattern = "^[a-zA-Z0-9_-]+$"))]
    pub name: Option<String>,
    /// EcsCluster in this namespace whose instances the provider manages. Needed with
    /// `managedInstancesProvider`, unless `cluster` is set. Cannot change.
    pub cluster_ref: Option<ObjectReference>,
    /// The same cluster by its name or ARN. Cannot change.
    #[schemars(length(min = 1, max = 2048))]
    pub cluster: Option<String>,
    /// Auto Scaling group that provides the instances. Exclusive with `managedInstancesProvider`.
    pub auto_scaling_group_provider: Option<AutoScalingGroupProvider>,
    /// Instances that ECS starts and ends by itself. Exclusive with `autoScalingGroupProvider`.
    pub managed_instances_provider: Option<ManagedInstancesProvider>,
    /// Tags of the capacity provider, at most 50 with the operator's own.
    #[schemars(length(max = 48), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["key"]))]
    pub tags: Option<Vec<Tag>>,

    /// What the operator may do with the AWS object.
    #[serde(flatten)]
    pub policies: Policies,
}

/// An Auto Scaling group as a capacity provider.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AutoScalingGroupProvider {
    /// ARN or name of the Auto Scaling group. Cannot change.
    #[schemars(length(min = 1, max = 2048))]
    pub auto_scaling_group_arn: String,
    /// Whether and how ECS scales the group.
    pub managed_scaling: Option<ManagedScaling>,
    /// Whether ECS keeps the group from ending instances with tasks: ENABLED or DISABLED. ENABLED
    /// needs managed scaling, and scale-in protection of the group. AWS default DISABLED.
    pub managed_termination_protection: Option<String>,
    /// Whether ECS moves the tasks of an instance away before the group ends it: ENABLED or
    /// DISABLED. AWS default ENABLED.
    pub managed_draining: Option<String>,
}

/// How ECS scales an Auto Scaling group.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedScaling {
    /// Whether ECS scales the group: ENABLED or DISABLED.
    pub status: Option<String>,
    /// Percentage of the instances that tasks shall use, 1 to 100. AWS default 100.
    #[schemars(range(min = 1, max = 100))]
    pub target_capacity: Option<i32>,
    /// Least number of instances that ECS starts at once, 1 to 10000. AWS default 1.
    #[schemars(range(min = 1, max = 10000))]
    pub minimum_scaling_step_size: Option<i32>,
    /// Greatest number of instances that ECS starts at once, 1 to 10000. AWS default 10000.
    #[schemars(range(min = 1, max = 10000))]
    pub maximum_scaling_step_size: Option<i32>,
    /// Time in seconds until a new instance counts for CloudWatch, 0 to 10000. AWS default 300.
    #[schemars(range(min = 0, max = 10000))]
    pub instance_warmup_period: Option<i32>,
}

/// Observed state of the capacity provider.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = {"observedGeneration": -1}))]
pub struct EcsCapacityProviderStatus {
    /// What every status reports.
    #[serde(flatten)]
    pub common: CommonStatus,
    /// ARN of the capacity provider.
    pub capacity_provider_arn: Option<String>,
    /// State of the capacity provider in ECS: PROVISIONING, ACTIVE, DEPROVISIONING or INACTIVE.
    pub status: Option<String>,
    /// What became of the last change, such as UPDATE_IN_PROGRESS or CREATE_FAILED.
    pub update_status: Option<String>,
    /// Why, in AWS's words.
    pub update_status_reason: Option<String>,
    /// Name of the cluster whose instances the provider manages.
    pub cluster: Option<String>,
    /// Hash of the spec that ECS accepted last, or `deleted`; a change that failed in ECS is not
    /// sent again before the spec changes.
    pub accepted_hash: Option<String>,
}
spec!(EcsCapacityProviderSpec);
status!(EcsCapacityProviderStatus {
    arn: capacity_provider_arn
});

impl EcsCapacityProvider {
    /// Name of the capacity provider in ECS: `spec.name`, or the name of the object.
    #[must_use]
    pub fn provider_name(&self) -> String {
        self.spec.name.clone().unwrap_or_else(|| self.name_any())
    }
}
