//! Volumes of a task and where containers mount them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// A volume that the containers of a task can mount.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// Name that `mountPoints[].sourceVolume` refers to, up to 255 letters, digits, hyphens and
    /// underscores.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// Directory of the host, or an empty one that lives as long as the task.
    pub host: Option<HostVolumeProperties>,
    /// Docker volume; EC2 only.
    pub docker_volume_configuration: Option<DockerVolumeConfiguration>,
    /// Amazon EFS file system.
    pub efs_volume_configuration: Option<EfsVolumeConfiguration>,
    /// Amazon S3 Files file system.
    pub s3files_volume_configuration: Option<S3FilesVolumeConfiguration>,
    /// FSx for Windows File Server; EC2 Windows only.
    pub fsx_windows_file_server_volume_configuration:
        Option<FsxWindowsFileServerVolumeConfiguration>,
    /// Whether the volume is described when a service or task starts (`volumeConfigurations`, for
    /// EBS).
    pub configured_at_launch: Option<bool>,
}

/// Directory of the host.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostVolumeProperties {
    /// Path on the host; absent means a new empty directory. Not on Fargate.
    pub source_path: Option<String>,
}

/// A Docker volume.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DockerVolumeConfiguration {
    /// Life of the volume: task or shared.
    pub scope: Option<String>,
    /// Whether a shared volume is made when it is missing.
    pub autoprovision: Option<bool>,
    /// Docker volume driver.
    pub driver: Option<String>,
    /// Options of the driver.
    pub driver_opts: Option<BTreeMap<String, String>>,
    /// Labels of the volume.
    pub labels: Option<BTreeMap<String, String>>,
}

/// An Amazon EFS file system.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EfsVolumeConfiguration {
    /// ID of the file system, such as `fs-0123456789abcdef0`.
    pub file_system_id: String,
    /// Directory of the file system that is mounted; `/` or absent with an access point. AWS
    /// default `/`.
    pub root_directory: Option<String>,
    /// Encryption in transit: ENABLED or DISABLED. AWS default DISABLED; needed for IAM
    /// authorization.
    #[schemars(length(max = 64))]
    pub transit_encryption: Option<String>,
    /// Port for encrypted traffic; absent means one that the mount helper picks.
    #[schemars(range(min = 0, max = 65535))]
    pub transit_encryption_port: Option<i32>,
    /// Access point and IAM authorization.
    pub authorization_config: Option<EfsAuthorizationConfig>,
}

/// Access point and IAM authorization of an EFS mount.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EfsAuthorizationConfig {
    /// ID of the access point; needs encryption in transit.
    pub access_point_id: Option<String>,
    /// Whether the task role is used to mount: ENABLED or DISABLED. AWS default DISABLED.
    #[schemars(length(max = 64))]
    pub iam: Option<String>,
}

/// An Amazon S3 Files file system.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct S3FilesVolumeConfiguration {
    /// ARN of the file system.
    pub file_system_arn: String,
    /// Directory of the file system that is mounted.
    pub root_directory: Option<String>,
    /// Port for encrypted traffic.
    #[schemars(range(min = 0, max = 65535))]
    pub transit_encryption_port: Option<i32>,
    /// ARN of the access point.
    pub access_point_arn: Option<String>,
}

/// An FSx for Windows File Server file system.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FsxWindowsFileServerVolumeConfiguration {
    /// ID of the file system.
    pub file_system_id: String,
    /// Directory of the file system that is mounted.
    pub root_directory: String,
    /// Credentials for the mount.
    pub authorization_config: FsxWindowsFileServerAuthorizationConfig,
}

/// Credentials for an FSx mount.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FsxWindowsFileServerAuthorizationConfig {
    /// ARN of the Secrets Manager secret or parameter with user name and password.
    pub credentials_parameter: String,
    /// Domain name of the Active Directory.
    pub domain: String,
}

/// Where a container sees a volume of the task.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MountPoint {
    /// Name of the volume in `volumes`.
    #[schemars(length(max = 255))]
    pub source_volume: Option<String>,
    /// Path in the container.
    pub container_path: Option<String>,
    /// Whether the container can only read. AWS default false.
    pub read_only: Option<bool>,
}

/// A container whose mounts another one takes over.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VolumeFrom {
    /// Name of the other container.
    #[schemars(length(max = 255))]
    pub source_container: Option<String>,
    /// Whether this container can only read. AWS default false.
    pub read_only: Option<bool>,
}
