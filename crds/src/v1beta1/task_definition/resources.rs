//! Hardware of a task.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// A device that a container needs.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceRequirement {
    /// How many: for GPU the number of physical GPUs.
    pub value: Option<String>,
    /// Kind of the device: GPU, NeuronDevice or InferenceAccelerator (ended by AWS).
    #[serde(rename = "type")]
    #[schemars(length(max = 64))]
    pub type_: String,
    /// How one GPU is shared among containers.
    pub sharing_strategy: Option<SharingStrategy>,
}

/// How one GPU is shared among containers; exactly one member.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SharingStrategy {
    /// Sharing by NVIDIA Multi-Process Service.
    pub nvidia_mps: Option<NvidiaMps>,
}

/// Sharing of a GPU by NVIDIA Multi-Process Service.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NvidiaMps {
    /// GPU memory of the container, in MiB.
    #[schemars(range(min = 1))]
    pub memory: i32,
    /// Largest share of the GPU's compute, in percent, 1 to 100.
    #[schemars(range(min = 1, max = 100))]
    pub max_compute_percent: Option<i32>,
}

/// Disk of a Fargate task.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EphemeralStorage {
    /// Size in GiB, 21 to 200.
    #[serde(rename = "sizeInGiB")]
    #[schemars(range(min = 21, max = 200))]
    pub size_in_gib: i32,
}

/// Operating system and processor architecture of a task.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuntimePlatform {
    /// Processor architecture: X86_64 or ARM64.
    pub cpu_architecture: Option<String>,
    /// Operating system: LINUX, or WINDOWS_SERVER_2025_FULL, WINDOWS_SERVER_2025_CORE,
    /// WINDOWS_SERVER_2022_FULL, WINDOWS_SERVER_2022_CORE, WINDOWS_SERVER_2019_FULL,
    /// WINDOWS_SERVER_2019_CORE; for EC2 also the older WINDOWS_SERVER_20H2_CORE,
    /// WINDOWS_SERVER_2016_FULL, WINDOWS_SERVER_2004_CORE.
    pub operating_system_family: Option<String>,
}

/// An Elastic Inference accelerator (ended by AWS).
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InferenceAccelerator {
    /// Name that `resourceRequirements` of a container refers to.
    pub device_name: String,
    /// Type of the accelerator.
    pub device_type: String,
}

/// How strictly a task is isolated from others.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrustedExecutionConfiguration {
    /// Isolation: SHARED, ISOLATED_SANDBOX or CONFIDENTIAL_SANDBOX.
    pub isolation_mode: String,
    /// Policy by which the environment proves what it is, with CONFIDENTIAL_SANDBOX.
    pub attestation_policy: Option<String>,
}
