//! The members of an EcsCluster that are special: data, no code.

use crate::reconcile::kind::Reset;

/// Members of the spec that are ours and not the API's.
pub(super) const OWN_MEMBERS: &[&str] = &[];

/// How each member is taken back that ECS keeps when an update leaves it out. What has no row, and
/// is in no member that has one, stays ([`STAYS`]).
pub const RESETS: &[Reset] = &[
    ("capacityProviders", "[]"),
    ("configuration.executeCommandConfiguration.kmsKeyId", "null"),
    (
        "configuration.executeCommandConfiguration.logConfiguration.cloudWatchEncryptionEnabled",
        "null",
    ),
    (
        "configuration.executeCommandConfiguration.logConfiguration.cloudWatchLogGroupName",
        "null",
    ),
    (
        "configuration.executeCommandConfiguration.logConfiguration.s3BucketName",
        "null",
    ),
    (
        "configuration.executeCommandConfiguration.logConfiguration.s3EncryptionEnabled",
        "null",
    ),
    (
        "configuration.executeCommandConfiguration.logConfiguration.s3KeyPrefix",
        "null",
    ),
    (
        "configuration.executeCommandConfiguration.logging",
        r#""DEFAULT""#,
    ),
    ("defaultCapacityProviderStrategy", "[]"),
    ("serviceConnectDefaults", r#"{"namespace":""}"#),
];

/// Members of UpdateCluster that stay as they are in ECS when the spec drops them, and why. Their
/// descriptions say so.
pub const STAYS: &[(&str, &str)] = &[
    (
        "configuration.managedStorageConfiguration",
        "no value is documented that takes a key back",
    ),
    (
        "settings",
        "what the account setting says is not known here",
    ),
];

/// Members that PutClusterCapacityProviders replaces, always both.
pub(super) const CAPACITY: [&str; 2] = ["capacityProviders", "defaultCapacityProviderStrategy"];
