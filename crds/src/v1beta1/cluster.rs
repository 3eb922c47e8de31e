//! EcsCluster: an ECS cluster. The spec is the input of `CreateCluster`.

use kube::CustomResource;
use kube::ResourceExt;
use kube::core::cel::Rule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::shared::rules::{immutable, name_in_ecs, one_base, rule, tags};
use super::shared::{CapacityProviderStrategyItem, CommonStatus, Policies, Tag, spec, status};

/// An ECS cluster: the group of services and tasks, and the capacity they run on.
#[skip_serializing_none]
#[derive(CustomResource, JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "ecs-operator.dev",
    version = "v1beta1",
    kind = "EcsCluster",
    plural = "ecsclusters",
    shortname = "ecsc",
    category = "ecs",
    doc = "An ECS cluster, managed through the ECS API.",
    namespaced,
    validation = name_in_ecs("clusterName"),
    status = "EcsClusterStatus",
    derive = "PartialEq",
    selectable = ".spec.clusterName",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Services", type_ = "integer", json_path = ".status.activeServicesCount"),
    printcolumn(name = "Tasks", type_ = "integer", json_path = ".status.runningTasksCount"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "ARN", type_ = "string", json_path = ".status.clusterArn", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(), "default" = {}))]
pub struct EcsClusterSpec {
    /// Name of the cluster in ECS, up to 255 letters, digits, hyphens and underscores; default:
    /// `metadata.name`. Cannot change.
    #[schemars(length(min = 1, max = 255), regex(pattern = "^[a-zA-Z0-9_-]+$"))]
    pub cluster_name: Option<String>,
    /// Tags of the cluster, at most 50 with the operator's own.
    #[schemars(length(max = 48), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["key"]))]
    pub tags: Option<Vec<Tag>>,
    /// Settings of the cluster: `containerInsights`, the only one that AWS documents. Default: what
    /// the account setting says. Dropped from the spec, they stay.
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub settings: Option<Vec<ClusterSetting>>,
    /// ECS Exec and storage encryption.
    pub configuration: Option<ClusterConfiguration>,
    /// Capacity providers that services of the cluster may use: FARGATE, FARGATE_SPOT, or names of
    /// Auto Scaling group providers. The operator attaches them when the EcsCapacityProviders in
    /// this namespace that have these names in ECS are ready.
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub capacity_providers: Option<Vec<String>>,
    /// Strategy of services and tasks that name neither a launch type nor a strategy of their own;
    /// at most 20 items.
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["capacityProvider"]))]
    pub default_capacity_provider_strategy: Option<Vec<CapacityProviderStrategyItem>>,
    /// Default namespace of Service Connect.
    pub service_connect_defaults: Option<ClusterServiceConnectDefaults>,

    /// What the operator may do with the AWS object.
    #[serde(flatten)]
    pub policies: Policies,
}

/// What CreateCluster and UpdateCluster refuse across members. Source: the ECS API reference.
fn rules() -> Vec<Rule> {
    vec![
        immutable(
            "clusterName",
            "clusterName cannot change, ECS cannot rename a cluster: create a new EcsCluster and move the services to it",
        ),
        tags(),
        rule(
            "!has(self.settings) || self.settings.all(s, s.name == 'containerInsights')",
            "settings[].name: containerInsights is the only setting of a cluster that AWS documents (ClusterSetting, ECS API reference): correct the name or drop the setting",
        ),
        one_base("defaultCapacityProviderStrategy"),
        rule(
            "!has(self.configuration) || !has(self.configuration.executeCommandConfiguration) || ((has(self.configuration.executeCommandConfiguration.logging) && self.configuration.executeCommandConfiguration.logging == 'OVERRIDE') == has(self.configuration.executeCommandConfiguration.logConfiguration))",
            "configuration.executeCommandConfiguration: logConfiguration and logging: OVERRIDE need each other",
        ),
    ]
}

/// A setting of a cluster.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSetting {
    /// Name of the setting: `containerInsights`.
    pub name: String,
    /// Value of the setting: `enhanced`, `enabled` or `disabled`.
    pub value: String,
}

/// ECS Exec and storage encryption of a cluster.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterConfiguration {
    /// Encryption and logging of ECS Exec sessions.
    pub execute_command_configuration: Option<ExecuteCommandConfiguration>,
    /// KMS keys of storage that ECS manages. Dropped from the spec, they stay.
    pub managed_storage_configuration: Option<ManagedStorageConfiguration>,
}

/// Encryption and logging of ECS Exec sessions.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExecuteCommandConfiguration {
    /// KMS key that encrypts the data between client and container.
    pub kms_key_id: Option<String>,
    /// Where session logs go: NONE, DEFAULT (awslogs of the task definition) or OVERRIDE (needs
    /// `logConfiguration`). AWS default DEFAULT.
    pub logging: Option<String>,
    /// Destination of session logs with `logging: OVERRIDE`.
    pub log_configuration: Option<ExecuteCommandLogConfiguration>,
}

/// Destination of ECS Exec session logs.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExecuteCommandLogConfiguration {
    /// Existing CloudWatch log group that receives the logs.
    pub cloud_watch_log_group_name: Option<String>,
    /// Whether the log group is encrypted; off by default.
    pub cloud_watch_encryption_enabled: Option<bool>,
    /// Existing S3 bucket that receives the logs.
    pub s3_bucket_name: Option<String>,
    /// Whether the bucket is encrypted.
    pub s3_encryption_enabled: Option<bool>,
    /// Folder of the bucket in which logs are put.
    pub s3_key_prefix: Option<String>,
}

/// KMS keys of storage that ECS manages.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedStorageConfiguration {
    /// KMS key for volumes that ECS manages.
    pub kms_key_id: Option<String>,
    /// KMS key for the ephemeral storage of Fargate tasks.
    pub fargate_ephemeral_storage_kms_key_id: Option<String>,
}

/// Default namespace of Service Connect.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterServiceConnectDefaults {
    /// Name or ARN of the Cloud Map namespace; a name that does not exist yet becomes a new HTTP
    /// namespace.
    #[schemars(length(max = 1024))]
    pub namespace: String,
}

/// Observed state of the cluster.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = {"observedGeneration": -1}))]
pub struct EcsClusterStatus {
    /// What every status reports.
    #[serde(flatten)]
    pub common: CommonStatus,
    /// ARN of the cluster.
    pub cluster_arn: Option<String>,
    /// State of the cluster in ECS, such as ACTIVE or PROVISIONING.
    pub status: Option<String>,
    /// Number of services in state ACTIVE.
    pub active_services_count: Option<i32>,
    /// Number of running tasks.
    pub running_tasks_count: Option<i32>,
    /// Number of tasks that are starting.
    pub pending_tasks_count: Option<i32>,
    /// Number of container instances.
    pub registered_container_instances_count: Option<i32>,
    /// Hash of the Service Connect namespace that ECS accepted last, while the tag of the cluster
    /// does not have it; `unknown` after an update without a reply. ECS shows the namespace as an
    /// ARN.
    pub hidden_hash: Option<String>,
}
spec!(EcsClusterSpec);
status!(EcsClusterStatus { arn: cluster_arn });

impl EcsCluster {
    /// Name of the cluster in ECS: `spec.clusterName`, or the name of the object.
    #[must_use]
    pub fn cluster_name(&self) -> String {
        self.spec
            .cluster_name
            .clone()
            .unwrap_or_else(|| self.name_any())
    }
}
