//! EcsTask: tasks that run once and end, as a Job. The spec is the input of `RunTask` less
//! `clientToken`, `startedBy` and `referenceId`.

mod overrides;
mod policy;
mod rules;
mod status;
mod volumes;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

pub use overrides::{ContainerOverride, InferenceAcceleratorOverride, TaskOverride};
pub use policy::{FailurePolicy, RunPolicy};
pub use status::{
    AttemptResult, AttemptStatus, ContainerStatus, EcsTaskStatus, RunStatus, TaskPhase, TaskStatus,
};
pub use volumes::{
    TaskManagedEbsVolumeConfiguration, TaskManagedEbsVolumeTerminationPolicy,
    TaskVolumeConfiguration,
};

use super::shared::{
    CapacityProviderStrategyItem, NetworkConfiguration, ObjectReference, PlacementConstraint,
    PlacementStrategy, Policies, Tag, spec,
};

/// A task that runs once and ends, as a Job: a migration, a report, a batch.
#[skip_serializing_none]
#[derive(CustomResource, JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "ecs-operator.dev",
    version = "v1beta1",
    kind = "EcsTask",
    plural = "ecstasks",
    shortname = "ecst",
    category = "ecs",
    doc = "An ECS task that runs once and ends, managed through the ECS API.",
    namespaced,
    status = "EcsTaskStatus",
    derive = "PartialEq",
    selectable = ".spec.cluster",
    selectable = ".spec.clusterRef.name",
    selectable = ".spec.taskDefinitionRef.name",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason"
    ),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Exit", type_ = "integer", json_path = ".status.exitCode"),
    printcolumn(
        name = "Duration",
        type_ = "string",
        json_path = ".status.run.duration"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Revision",
        type_ = "string",
        json_path = ".status.run.revision",
        priority = 1
    ),
    printcolumn(
        name = "ARN",
        type_ = "string",
        json_path = ".status.taskArn",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].message",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::all()))]
pub struct EcsTaskSpec {
    /// Cluster of the tasks, as name, or as ARN of one in the operator's account and Region; absent
    /// (and no `clusterRef`) means the cluster `default`. Cannot change.
    #[schemars(length(min = 1, max = 2048))]
    pub cluster: Option<String>,
    /// EcsCluster in the same namespace that the tasks run in. Cannot change.
    pub cluster_ref: Option<ObjectReference>,
    /// Task definition to run, as `family` (the newest revision), `family:revision` or ARN.
    #[schemars(length(min = 1, max = 2048))]
    pub task_definition: Option<String>,
    /// EcsTaskDefinition in the same namespace. The run has the revision that was current when it
    /// began.
    pub task_definition_ref: Option<ObjectReference>,
    /// Number of tasks that run side by side, 1 to 10. The run succeeds when all of them do. AWS
    /// default 1.
    #[schemars(range(min = 1, max = 10))]
    pub count: Option<i32>,
    /// Kind of compute: FARGATE, EC2 or EXTERNAL. Exclusive with `capacityProviderStrategy`.
    pub launch_type: Option<String>,
    /// Capacity providers and their shares; absent means the default strategy of the cluster.
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["capacityProvider"]))]
    pub capacity_provider_strategy: Option<Vec<CapacityProviderStrategyItem>>,
    /// Fargate platform version, such as `1.4.0`. AWS default LATEST.
    pub platform_version: Option<String>,
    /// Subnets and security groups of the tasks; needed for network mode awsvpc, refused for
    /// others.
    pub network_configuration: Option<NetworkConfiguration>,
    /// What the tasks have otherwise than the task definition: commands, environment, roles, size.
    pub overrides: Option<TaskOverride>,
    /// Rules for the container instances, at most 10. Not for Fargate.
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "atomic"))]
    pub placement_constraints: Option<Vec<PlacementConstraint>>,
    /// How tasks are distributed over container instances, at most 5 rules in order. Not for
    /// Fargate.
    #[schemars(length(max = 5), extend("x-kubernetes-list-type" = "atomic"))]
    pub placement_strategy: Option<Vec<PlacementStrategy>>,
    /// Name of the group of the tasks in ECS, for placement. AWS default `family:` and the family.
    #[schemars(length(max = 255))]
    pub group: Option<String>,
    /// Tags of the tasks, at most 50 with the operator's own. ECS drops the tags of a task that is
    /// stopped by a call.
    #[schemars(length(max = 48), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["key"]))]
    pub tags: Option<Vec<Tag>>,
    /// Whether tasks get the tag `aws:ecs:clusterName`. AWS default false.
    #[serde(rename = "enableECSManagedTags")]
    pub enable_ecs_managed_tags: Option<bool>,
    /// Whose tags tasks inherit: TASK_DEFINITION or NONE. AWS default NONE.
    pub propagate_tags: Option<String>,
    /// Whether ECS Exec may open sessions in the containers of tasks. AWS default false.
    pub enable_execute_command: Option<bool>,
    /// EBS volumes for the volumes of the task definition that are configured at launch; at most
    /// one.
    #[schemars(length(max = 1), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub volume_configurations: Option<Vec<TaskVolumeConfiguration>>,

    /// How often a failed run is tried again, 0 to 100. Each attempt waits longer than the one
    /// before: 10 seconds at first, and 6 minutes at most. Default 0.
    #[schemars(range(min = 0, max = 100))]
    pub backoff_limit: Option<i32>,
    /// Seconds that the run may take with all its attempts. After that the operator stops its
    /// tasks, and the run has failed. Absent: no limit.
    #[schemars(range(min = 1))]
    pub active_deadline_seconds: Option<i32>,
    /// Which failures count for `backoffLimit`, and which end the run.
    pub failure_policy: Option<FailurePolicy>,
    /// Once (default): the run cannot change. OnChange: a change of the run, or a new revision of
    /// the EcsTaskDefinition, runs it again when the run before has ended.
    pub run_policy: Option<RunPolicy>,
    /// What the operator may do with the AWS object.
    #[serde(flatten)]
    pub policies: Policies,
}
spec!(EcsTaskSpec);
