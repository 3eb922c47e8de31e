//! What a task has otherwise than its task definition.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::v1beta1::task_definition::{
    EnvironmentFile, EphemeralStorage, KeyValuePair, ResourceRequirement,
};

/// What a task has otherwise than its task definition, at most 8192 characters as JSON.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskOverride {
    /// The same for containers.
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub container_overrides: Option<Vec<ContainerOverride>>,
    /// CPU of the task, in units of which a vCPU has 1024.
    #[schemars(length(max = 32))]
    pub cpu: Option<String>,
    /// Memory of the task, in MiB.
    #[schemars(length(max = 32))]
    pub memory: Option<String>,
    /// IAM role with which ECS starts the task: images, secrets, logs.
    #[schemars(length(max = 2048))]
    pub execution_role_arn: Option<String>,
    /// IAM role of the containers: what the application itself may do in AWS.
    #[schemars(length(max = 2048))]
    pub task_role_arn: Option<String>,
    /// Disk of a Fargate task.
    pub ephemeral_storage: Option<EphemeralStorage>,
    /// Elastic Inference accelerators (ended by AWS).
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub inference_accelerator_overrides: Option<Vec<InferenceAcceleratorOverride>>,
}

/// What a container has otherwise than its definition.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerOverride {
    /// Name of the container in the task definition.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// Command of the container.
    #[schemars(length(max = 512), inner(length(max = 8192)), extend("x-kubernetes-list-type" = "atomic"))]
    pub command: Option<Vec<String>>,
    /// Environment variables, added to those of the definition or in their place. Anyone who can
    /// read the object can read the values: use `secrets` of the task definition for secrets.
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub environment: Option<Vec<KeyValuePair>>,
    /// Files in S3 with environment variables, added to those of the definition.
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "atomic"))]
    pub environment_files: Option<Vec<EnvironmentFile>>,
    /// CPU units of the container.
    pub cpu: Option<i32>,
    /// Memory in MiB that the container may use at most.
    pub memory: Option<i32>,
    /// Memory in MiB that is kept for the container.
    pub memory_reservation: Option<i32>,
    /// GPUs and other devices, in place of those of the definition.
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub resource_requirements: Option<Vec<ResourceRequirement>>,
}

/// An Elastic Inference accelerator (ended by AWS).
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InferenceAcceleratorOverride {
    /// Name of the accelerator in the task definition.
    #[schemars(length(max = 255))]
    pub device_name: Option<String>,
    /// Type of the accelerator.
    #[schemars(length(max = 255))]
    pub device_type: Option<String>,
}
