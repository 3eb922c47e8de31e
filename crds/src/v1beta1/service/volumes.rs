//! EBS volumes of a service's tasks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::v1beta1::shared::Tag;

/// EBS volume for a volume of the task definition that is configured at launch.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceVolumeConfiguration {
    /// Name of the volume in the task definition.
    pub name: String,
    /// The EBS volume that every task gets.
    #[serde(rename = "managedEBSVolume")]
    pub managed_ebs_volume: Option<ServiceManagedEbsVolumeConfiguration>,
}

/// The EBS volume that every task gets.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceManagedEbsVolumeConfiguration {
    /// Whether the volume is encrypted.
    pub encrypted: Option<bool>,
    /// KMS key of an encrypted volume.
    pub kms_key_id: Option<String>,
    /// gp3, gp2, io1, io2, sc1, st1 or standard. AWS default gp3.
    pub volume_type: Option<String>,
    /// Size in GiB; needed without `snapshotId`.
    #[serde(rename = "sizeInGiB")]
    pub size_in_gib: Option<i32>,
    /// Snapshot that the volume starts from.
    pub snapshot_id: Option<String>,
    /// Rate in MiB/s at which the snapshot is read in, 100 to 300.
    pub volume_initialization_rate: Option<i32>,
    /// I/O operations per second; needed for io1 and io2.
    pub iops: Option<i32>,
    /// Throughput in MiB/s; gp3 only.
    pub throughput: Option<i32>,
    /// Tags of the volume.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub tag_specifications: Option<Vec<EbsTagSpecification>>,
    /// IAM role with which ECS makes and attaches the volume.
    pub role_arn: String,
    /// ext3, ext4, xfs or ntfs. AWS default on Linux: xfs.
    pub filesystem_type: Option<String>,
}

/// Tags of an EBS volume.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EbsTagSpecification {
    /// Kind of the tagged resource: `volume`.
    pub resource_type: String,
    /// The tags.
    #[schemars(length(max = 50), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["key"]))]
    pub tags: Option<Vec<Tag>>,
    /// Whose tags the volume inherits besides: SERVICE, TASK_DEFINITION or NONE.
    pub propagate_tags: Option<String>,
}
