//! EcsService: an ECS service. The spec is the input of `CreateService` less `clientToken`.

mod autoscaling;
mod connect;
mod deployment;
mod gateway;
mod lattice;
mod load_balancing;
mod monitoring;
mod rollout;
mod rules;
mod volumes;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

pub use autoscaling::{
    AppliedCapacity, Autoscaling, AutoscalingStatus, CustomizedMetricSpecification, Metric,
    MetricDataQueries, MetricDataQuery, MetricDimension, MetricStat, PredefinedMetricSpecification,
    PredefinedPredictiveMetric, PredictiveMetricSpecification,
    PredictiveScalingPolicyConfiguration, QueueBacklogPerTask, ScalableTargetAction,
    ScalingActivityStatus, ScalingPolicy, ScalingPolicyStatus, ScheduledAction,
    ScheduledActionStatus, StepAdjustment, StepScalingPolicyConfiguration, SuspendedState,
    TargetTrackingScalingPolicyConfiguration,
};
pub use connect::{
    ServiceConnectAccessLogConfiguration, ServiceConnectClientAlias, ServiceConnectConfiguration,
    ServiceConnectContainerConfiguration, ServiceConnectService, ServiceConnectTestTrafficHeader,
    ServiceConnectTestTrafficHeaderMatch, ServiceConnectTestTrafficRules,
    ServiceConnectTlsCertificateAuthority, ServiceConnectTlsConfiguration, TimeoutConfiguration,
};
pub use deployment::{
    CanaryConfiguration, DeploymentAlarms, DeploymentCircuitBreaker, DeploymentConfiguration,
    DeploymentController, DeploymentLifecycleHook, EarlySuccessCriteria, HookTimeoutConfiguration,
    LinearConfiguration, ThresholdConfiguration,
};
pub use gateway::{
    GatewayConnector, GatewayConnectorFilters, GatewayDeregistrationDelay, GatewayHealthCheck,
    GatewayHealthCheckMatcher,
};
pub use lattice::{VpcLatticeAdvancedConfiguration, VpcLatticeConfiguration};
pub use load_balancing::{AdvancedConfiguration, LoadBalancer, ServiceRegistry};
pub use monitoring::{MetricConfiguration, ServiceMonitoring};
pub use rollout::{
    DesiredCountOwner, FailedDeployment, HandledCommand, HookStatus, Rollback, RolloutGate,
    RolloutPhase, RolloutPolicy, RolloutRecord, RolloutStatus, ServiceEvent, StoppedTask,
    TaskFailures, TaskSettings,
};
pub use volumes::{
    EbsTagSpecification, ServiceManagedEbsVolumeConfiguration, ServiceVolumeConfiguration,
};

use super::shared::rules::name_in_ecs;
use super::shared::{
    CapacityProviderStrategyItem, CommonStatus, NetworkConfiguration, ObjectReference,
    PlacementConstraint, PlacementStrategy, Policies, Tag, spec, status,
};

/// An ECS service: keeps a number of tasks of one task definition running and rolls them to new
/// revisions.
#[skip_serializing_none]
#[derive(CustomResource, JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "ecs-operator.dev",
    version = "v1beta1",
    kind = "EcsService",
    plural = "ecsservices",
    shortname = "ecssvc",
    category = "ecs",
    doc = "An ECS service, managed through the ECS API.",
    namespaced,
    validation = name_in_ecs("serviceName"),
    status = "EcsServiceStatus",
    derive = "PartialEq",
    scale(
        spec_replicas_path = ".spec.desiredCount",
        status_replicas_path = ".status.runningCount",
        label_selector_path = ".status.selector"
    ),
    selectable = ".spec.cluster",
    selectable = ".spec.clusterRef.name",
    selectable = ".spec.taskDefinitionRef.name",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Revision", type_ = "string", json_path = ".status.revision"),
    printcolumn(name = "Desired", type_ = "integer", json_path = ".status.desiredCount"),
    printcolumn(name = "Running", type_ = "integer", json_path = ".status.runningCount"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Rollout", type_ = "string", json_path = ".status.rollout.phase", priority = 1),
    printcolumn(name = "Min", type_ = "integer", json_path = ".status.autoscaling.minCapacity", priority = 1),
    printcolumn(name = "Max", type_ = "integer", json_path = ".status.autoscaling.maxCapacity", priority = 1),
    printcolumn(name = "ARN", type_ = "string", json_path = ".status.serviceArn", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::all()))]
pub struct EcsServiceSpec {
    /// Cluster of the service, as name, or as ARN of one in the operator's account and Region;
    /// absent (and no `clusterRef`) means the cluster `default`. Cannot change.
    #[schemars(length(min = 1, max = 2048))]
    pub cluster: Option<String>,
    /// EcsCluster in the same namespace that the service runs in. Cannot change.
    pub cluster_ref: Option<ObjectReference>,
    /// Name of the service in ECS, up to 255 letters, digits, hyphens and underscores; default:
    /// `metadata.name`. Cannot change.
    #[schemars(length(min = 1, max = 255), regex(pattern = "^[a-zA-Z0-9_-]+$"))]
    pub service_name: Option<String>,
    /// Task definition to run, as `family` (the newest revision at creation, and any of the family
    /// after that), `family:revision` or ARN.
    #[schemars(length(min = 1, max = 2048))]
    pub task_definition: Option<String>,
    /// EcsTaskDefinition in the same namespace; the service runs exactly its current revision and
    /// rolls when it changes.
    pub task_definition_ref: Option<ObjectReference>,
    /// Whether tasks are spread evenly over Availability Zones: ENABLED or DISABLED. AWS default:
    /// enabled where possible. Dropped from the spec, it stays.
    pub availability_zone_rebalancing: Option<String>,
    /// Target groups or Classic Load Balancers that send traffic to the tasks.
    #[schemars(length(max = 5), extend("x-kubernetes-list-type" = "atomic"))]
    pub load_balancers: Option<Vec<LoadBalancer>>,
    /// Cloud Map service in which tasks are registered; at most one.
    #[schemars(length(max = 1), extend("x-kubernetes-list-type" = "atomic"))]
    pub service_registries: Option<Vec<ServiceRegistry>>,
    /// Number of tasks to keep running. Absent: one at creation, and the number in ECS after that.
    /// Dropped from the spec, it stays.
    #[schemars(range(min = 0))]
    pub desired_count: Option<i32>,
    /// Kind of compute: FARGATE, EC2 or EXTERNAL. Exclusive with `capacityProviderStrategy`.
    /// Dropped from the spec, it stays, unless `capacityProviderStrategy` takes its place.
    pub launch_type: Option<String>,
    /// Capacity providers and their shares; absent means the default strategy of the cluster.
    /// Dropped from the spec, it stays; `[]` goes back to the strategy of the cluster.
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["capacityProvider"]))]
    pub capacity_provider_strategy: Option<Vec<CapacityProviderStrategyItem>>,
    /// Fargate platform version, such as `1.4.0`. AWS default LATEST.
    pub platform_version: Option<String>,
    /// IAM role for a Classic Load Balancer or a target group without awsvpc; absent means the
    /// service-linked role. Cannot change.
    pub role: Option<String>,
    /// How tasks are replaced when something changes.
    pub deployment_configuration: Option<DeploymentConfiguration>,
    /// Rules for the container instances, at most 10. Not for Fargate.
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "atomic"))]
    pub placement_constraints: Option<Vec<PlacementConstraint>>,
    /// How tasks are distributed over container instances, at most 5 rules in order. Not for
    /// Fargate.
    #[schemars(length(max = 5), extend("x-kubernetes-list-type" = "atomic"))]
    pub placement_strategy: Option<Vec<PlacementStrategy>>,
    /// Subnets and security groups of the tasks; needed for network mode awsvpc, refused for
    /// others.
    pub network_configuration: Option<NetworkConfiguration>,
    /// Seconds after the start of a task in which failed load balancer and container health checks
    /// do not count. AWS default 0.
    #[schemars(range(min = 0))]
    pub health_check_grace_period_seconds: Option<i32>,
    /// REPLICA keeps `desiredCount` tasks, DAEMON one on every instance. AWS default REPLICA.
    /// Cannot change.
    pub scheduling_strategy: Option<String>,
    /// The deployment controller: ECS (default), CODE_DEPLOY or EXTERNAL. Dropped from the spec, it
    /// stays: write `type: ECS` to go back.
    pub deployment_controller: Option<DeploymentController>,
    /// Tags of the service, at most 50 with the operator's own.
    #[schemars(length(max = 48), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["key"]))]
    pub tags: Option<Vec<Tag>>,
    /// Whether tasks get the tags `aws:ecs:serviceName` and `aws:ecs:clusterName`. AWS default
    /// false. A change reaches new tasks only: see `rollout.restartOnSettings`.
    #[serde(rename = "enableECSManagedTags")]
    pub enable_ecs_managed_tags: Option<bool>,
    /// Whose tags tasks inherit: SERVICE, TASK_DEFINITION or NONE. AWS default NONE. A change
    /// reaches new tasks only: see `rollout.restartOnSettings`.
    pub propagate_tags: Option<String>,
    /// Whether ECS Exec may open sessions in the containers of tasks. AWS default false. A change
    /// reaches new tasks only: see `rollout.restartOnSettings`.
    pub enable_execute_command: Option<bool>,
    /// Service Connect: how the service finds others by name and is found.
    pub service_connect_configuration: Option<ServiceConnectConfiguration>,
    /// EBS volumes for the volumes of the task definition that are configured at launch; at most
    /// one.
    #[schemars(length(max = 1), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub volume_configurations: Option<Vec<ServiceVolumeConfiguration>>,
    /// VPC Lattice target groups of the service.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub vpc_lattice_configurations: Option<Vec<VpcLatticeConfiguration>>,
    /// Connection of the service to an ECS gateway; at most one.
    #[schemars(length(max = 1), extend("x-kubernetes-list-type" = "atomic"))]
    pub gateway_connectors: Option<Vec<GatewayConnector>>,
    /// Resolution of the metrics that ECS publishes for the service. Dropped from the spec, it
    /// stays: write 60 seconds to go back.
    pub monitoring: Option<ServiceMonitoring>,

    /// What decides the number of tasks: Spec (default if `desiredCount` is set) or External, for
    /// `kubectl scale`, autoscalers and Application Auto Scaling. Without `desiredCount` the
    /// operator leaves the number to ECS.
    pub desired_count_owner: Option<DesiredCountOwner>,
    /// How Application Auto Scaling changes the number of tasks. `desiredCount` is the number at
    /// creation only then. Dropped from the spec, scaling ends and the number of tasks is that of
    /// `desiredCount`, or stays without it.
    pub autoscaling: Option<Autoscaling>,
    /// How rollouts are judged.
    pub rollout: Option<RolloutPolicy>,
    /// What the operator may do with the AWS object.
    #[serde(flatten)]
    pub policies: Policies,
}

/// Observed state of the service.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = {"observedGeneration": -1}))]
pub struct EcsServiceStatus {
    /// What every status reports.
    #[serde(flatten)]
    pub common: CommonStatus,
    /// ARN of the service.
    pub service_arn: Option<String>,
    /// ARN of the cluster that the service runs in.
    pub cluster_arn: Option<String>,
    /// State of the service in ECS: ACTIVE, DRAINING or INACTIVE.
    pub status: Option<String>,
    /// ARN of the task definition revision that the service is set to in ECS.
    pub task_definition: Option<String>,
    /// The same, short: `family:revision`.
    pub revision: Option<String>,
    /// Number of tasks that the service wants in ECS.
    pub desired_count: Option<i32>,
    /// Number of running tasks.
    pub running_count: Option<i32>,
    /// Number of tasks that are starting.
    pub pending_count: Option<i32>,
    /// Deployments of the service, the newest (PRIMARY) first.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub deployments: Option<Vec<DeploymentStatus>>,
    /// The current rollout, or the last one.
    pub rollout: Option<RolloutStatus>,
    /// The last five rollouts before it, the newest first.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub rollout_history: Option<Vec<RolloutRecord>>,
    /// The revision whose deployment failed in ECS. The operator does not retry it until the spec
    /// or the revision changes, or on a restart.
    pub failed_deployment: Option<FailedDeployment>,
    /// The revision by which `ecs-operator.dev/rollbackTo` replaced that of the spec.
    pub rollback: Option<Rollback>,
    /// Tasks of this rollout that stopped for a reason that needs attention, the newest first, one
    /// of each reason.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub stopped_tasks: Option<Vec<StoppedTask>>,
    /// Number of failures in ECS when the stopped tasks were last read.
    pub explained_failures: Option<i32>,
    /// Tasks that failed one after the other after the rollout completed, without those that
    /// deployments, scaling or a user stopped.
    pub task_failures: Option<TaskFailures>,
    /// Since when tasks of a steady service are missing, or fail one after the other.
    pub unavailable_since: Option<Time>,
    /// The last ten events of the service in ECS, the newest first. Each is published as an event
    /// of this object.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub events: Option<Vec<ServiceEvent>>,
    /// The `desiredCount` of the spec that was sent last.
    pub applied_desired_count: Option<i32>,
    /// Hash of the members that DescribeServices does not show, as ECS accepted them last, while
    /// the tag of the service does not have it; `unknown` after an update without a reply.
    pub hidden_hash: Option<String>,
    /// Whether ECS has accepted `capacityProviderStrategy: []`: the service follows the default
    /// strategy of its cluster.
    pub follows_cluster_strategy: Option<bool>,
    /// Service auto scaling: what AWS has of it.
    pub autoscaling: Option<AutoscalingStatus>,
    /// Commands by annotation that were handled last.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["annotation"]))]
    pub handled_commands: Option<Vec<HandledCommand>>,
    /// Label selector of the scale subresource. Tasks are no Pods, so it matches nothing.
    pub selector: Option<String>,
    /// Hash of Service Connect, volumes and VPC Lattice as ECS showed them when it was last in
    /// sync; another hash means that somebody else changed them.
    pub shown_in_deployment: Option<String>,
}
spec!(EcsServiceSpec);
status!(EcsServiceStatus { arn: service_arn });

impl EcsService {
    /// Name of the service in ECS: `spec.serviceName`, or the name of the object.
    #[must_use]
    pub fn service_name(&self) -> String {
        self.spec
            .service_name
            .clone()
            .unwrap_or_else(|| self.name_any())
    }
}

/// A deployment of a service.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentStatus {
    /// ID of the deployment, `ecs-svc/…`.
    pub id: Option<String>,
    /// PRIMARY (the newest), ACTIVE (being replaced) or INACTIVE.
    pub status: Option<String>,
    /// Revision of the deployment: `family:revision`.
    pub revision: Option<String>,
    /// IN_PROGRESS, COMPLETED or FAILED.
    pub rollout_state: Option<String>,
    /// Why it is in that state, in AWS's words.
    pub rollout_state_reason: Option<String>,
    /// Tasks that the deployment wants.
    pub desired_count: Option<i32>,
    /// Tasks of the deployment that run.
    pub running_count: Option<i32>,
    /// Tasks of the deployment on their way to running.
    pub pending_count: Option<i32>,
    /// Tasks of the deployment that could not start or failed their checks.
    pub failed_tasks: Option<i32>,
}
