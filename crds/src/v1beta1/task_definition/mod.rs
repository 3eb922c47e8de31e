//! EcsTaskDefinition: a task definition family and its revisions. The spec is the input of
//! `RegisterTaskDefinition`.

mod container;
mod health;
mod linux;
mod networking;
mod resources;
mod rules;
mod storage;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

pub use container::{
    ContainerDefinition, ContainerDependency, ContainerRestartPolicy, EnvironmentFile,
    FirelensConfiguration, KeyValuePair, RepositoryCredentials,
};
pub use health::HealthCheck;
pub use linux::{Device, KernelCapabilities, LinuxParameters, SystemControl, Tmpfs, Ulimit};
pub use networking::{HostEntry, PortMapping, ProxyConfiguration};
pub use resources::{
    EphemeralStorage, InferenceAccelerator, NvidiaMps, ResourceRequirement, RuntimePlatform,
    SharingStrategy, TrustedExecutionConfiguration,
};
pub use storage::{
    DockerVolumeConfiguration, EfsAuthorizationConfig, EfsVolumeConfiguration,
    FsxWindowsFileServerAuthorizationConfig, FsxWindowsFileServerVolumeConfiguration,
    HostVolumeProperties, MountPoint, S3FilesVolumeConfiguration, Volume, VolumeFrom,
};

use super::shared::rules::name_in_ecs;
use super::shared::{CommonStatus, PlacementConstraint, Policies, Tag, spec, status};

/// A task definition family: containers that run together as one task. Every change registers a new
/// revision.
#[skip_serializing_none]
#[derive(CustomResource, JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "ecs-operator.dev",
    version = "v1beta1",
    kind = "EcsTaskDefinition",
    plural = "ecstaskdefinitions",
    shortname = "ecstd",
    category = "ecs",
    doc = "An ECS task definition family and its revisions, managed through the ECS API.",
    namespaced,
    validation = name_in_ecs("family"),
    status = "EcsTaskDefinitionStatus",
    derive = "PartialEq",
    selectable = ".spec.family",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Revision", type_ = "integer", json_path = ".status.revision"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "ARN", type_ = "string", json_path = ".status.taskDefinitionArn", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::all()))]
pub struct EcsTaskDefinitionSpec {
    /// Name of the family in ECS, up to 255 letters, digits, hyphens and underscores; default:
    /// `metadata.name`. Cannot change.
    #[schemars(length(min = 1, max = 255), regex(pattern = "^[a-zA-Z0-9_-]+$"))]
    pub family: Option<String>,
    /// IAM role of the containers, as ARN or name: what the application itself may do in AWS.
    pub task_role_arn: Option<String>,
    /// IAM role with which ECS pulls images, reads secrets and writes logs. Fargate needs it for
    /// private images, secrets and awslogs.
    pub execution_role_arn: Option<String>,
    /// Network mode: awsvpc (the only one of Fargate), bridge, host or none. AWS default on Linux:
    /// bridge.
    #[schemars(length(max = 64))]
    pub network_mode: Option<String>,
    /// The containers of a task, 1 to 10.
    #[schemars(length(min = 1, max = 10), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub container_definitions: Vec<ContainerDefinition>,
    /// Volumes that containers mount by `mountPoints`.
    #[schemars(length(max = 50), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub volumes: Option<Vec<Volume>>,
    /// Rules for the container instances that may run the task, at most 10. Not for Fargate.
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "atomic"))]
    pub placement_constraints: Option<Vec<PlacementConstraint>>,
    /// What the definition must be valid for: EC2, FARGATE, EXTERNAL, MANAGED_INSTANCES.
    #[schemars(length(max = 10), inner(length(max = 64)), extend("x-kubernetes-list-type" = "set"))]
    pub requires_compatibilities: Option<Vec<String>>,
    /// CPU of the whole task, in CPU units ("1024" is one vCPU) or as text ("1 vCPU"). Fargate
    /// needs it, in a legal pair with `memory`.
    #[schemars(length(min = 1, max = 64))]
    pub cpu: Option<String>,
    /// Memory of the whole task, in MiB ("2048") or as text ("2 GB"). Fargate needs it, in a legal
    /// pair with `cpu`.
    #[schemars(length(min = 1, max = 64))]
    pub memory: Option<String>,
    /// Tags of every revision, at most 50 with the operator's own. A change tags the current
    /// revision in place and makes no new one.
    #[schemars(length(max = 48), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["key"]))]
    pub tags: Option<Vec<Tag>>,
    /// Process namespace that containers share: host (EC2) or task.
    pub pid_mode: Option<String>,
    /// Inter-process communication that containers share: host, task or none. EC2 only.
    pub ipc_mode: Option<String>,
    /// Proxy of App Mesh (which AWS has ended for new users).
    pub proxy_configuration: Option<ProxyConfiguration>,
    /// Elastic Inference accelerators, which AWS has ended; use `resourceRequirements` of a
    /// container.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub inference_accelerators: Option<Vec<InferenceAccelerator>>,
    /// Disk that a Fargate task has for its life, beyond the 20 GiB that every task gets.
    pub ephemeral_storage: Option<EphemeralStorage>,
    /// Operating system and processor architecture. Fargate default: LINUX on X86_64.
    pub runtime_platform: Option<RuntimePlatform>,
    /// Whether fault injection experiments may reach the task. AWS default false.
    pub enable_fault_injection: Option<bool>,
    /// How strictly the task is isolated from others on the same hardware.
    pub trusted_execution_configuration: Option<TrustedExecutionConfiguration>,

    /// Number of older revisions of this object that stay registered. Others are deregistered,
    /// unless a service uses them or can be rolled back to them. Absent: all stay. Revisions that
    /// others registered always stay.
    #[schemars(range(min = 0))]
    pub revision_history_limit: Option<i32>,
    /// Whether deregistered revisions are deleted as well (DeleteTaskDefinitions). Default false:
    /// they stay INACTIVE in ECS.
    pub delete_revisions: Option<bool>,
    /// What a revision has of the image of a container in ECR: AsWritten (default), or Digest, which
    /// replaces the tag by the digest of the image that the tag names. Then each image that is
    /// pushed under the tag makes a new revision.
    pub image_resolution: Option<ImageResolution>,
    /// Whether images in ECR are looked up before a revision is registered. An image that does not
    /// exist or is archived prevents the registration. Default true. Images that the operator may
    /// not read, and those of other registries and Regions, are not checked.
    pub verify_images: Option<bool>,
    /// What the operator may do with the AWS object.
    #[serde(flatten)]
    pub policies: Policies,
}

/// Observed state of the family.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = {"observedGeneration": -1}))]
pub struct EcsTaskDefinitionStatus {
    /// What every status reports.
    #[serde(flatten)]
    pub common: CommonStatus,
    /// ARN of the current revision.
    pub task_definition_arn: Option<String>,
    /// Number of the current revision.
    pub revision: Option<i32>,
    /// Numbers of the revisions of this object that are not deregistered yet, the newest first.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub revisions: Option<Vec<i32>>,
    /// The newest revision of the family, `family:revision`, where somebody else registered it. The
    /// operator does not change it: services that refer to this object run the revision of this
    /// object.
    pub foreign_revision: Option<String>,
    /// With `imageResolution: Digest`, the images of the containers that have a tag.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["container"]))]
    pub images: Option<Vec<ImageStatus>>,
    /// Hash of the request that made the current revision; also its tag
    /// `ecs-operator.dev/spec-hash`.
    pub spec_hash: Option<String>,
}

/// What a revision has of the image of a container in ECR.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum ImageResolution {
    /// The image as the spec has it.
    #[default]
    AsWritten,
    /// The digest of the image that the tag names.
    Digest,
}

/// The image of a container.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageStatus {
    /// Name of the container.
    pub container: String,
    /// The image, as the spec has it.
    pub image: String,
    /// Digest that the tag names; absent for an image that is not in ECR in the Region of the
    /// operator, which is registered as it is written.
    pub digest: Option<String>,
    /// When the image was pushed.
    pub pushed_at: Option<Time>,
}
spec!(EcsTaskDefinitionSpec);
status!(EcsTaskDefinitionStatus {
    arn: task_definition_arn
});

impl EcsTaskDefinition {
    /// Name of the family in ECS: `spec.family`, or the name of the object.
    #[must_use]
    pub fn family(&self) -> String {
        self.spec.family.clone().unwrap_or_else(|| self.name_any())
    }
}
