//! The members of an EcsCapacityProvider that are special: data, no code.

use crate::reconcile::kind::Reset;

/// Members of the spec that the API does not have.
pub(super) const OWN_MEMBERS: &[&str] = &["clusterRef"];

/// The instances, of one of two kinds: the members that UpdateCapacityProvider changes.
pub(super) const PROVIDERS: [&str; 2] = [GROUP, INSTANCES];

/// The member with the Auto Scaling group.
pub(super) const GROUP: &str = "autoScalingGroupProvider";

/// The member with the Managed Instances.
pub(super) const INSTANCES: &str = "managedInstancesProvider";

/// How each member is reset when the spec drops it. Source: the ECS API reference.
pub const RESETS: &[Reset] = &[
    ("autoScalingGroupProvider.managedDraining", r#""ENABLED""#),
    (
        "autoScalingGroupProvider.managedScaling.instanceWarmupPeriod",
        "300",
    ),
    (
        "autoScalingGroupProvider.managedScaling.maximumScalingStepSize",
        "10000",
    ),
    (
        "autoScalingGroupProvider.managedScaling.minimumScalingStepSize",
        "1",
    ),
    (
        "autoScalingGroupProvider.managedScaling.status",
        r#""DISABLED""#,
    ),
    (
        "autoScalingGroupProvider.managedScaling.targetCapacity",
        "100",
    ),
    (
        "autoScalingGroupProvider.managedTerminationProtection",
        r#""DISABLED""#,
    ),
    ("managedInstancesProvider.propagateTags", r#""NONE""#),
];

/// Members of UpdateCapacityProvider that stay as they are in ECS when the spec drops them, and why.
/// Their descriptions say so.
pub const STAYS: &[(&str, &str)] = &[
    (
        "managedInstancesProvider.autoRepairConfiguration",
        "no default is documented",
    ),
    (
        "managedInstancesProvider.infrastructureOptimization",
        "the default is no value, which cannot be sent",
    ),
    (
        "managedInstancesProvider.infrastructureRoleArn",
        "it is required",
    ),
    (
        "managedInstancesProvider.instanceLaunchTemplate",
        "most members have no documented default",
    ),
];

/// Members of the template that UpdateCapacityProvider does not take.
pub(super) const FIXED: [&str; 3] = ["capacityOptionType", "fipsEnabled", "nitroEnclavesEnabled"];

/// Members of `instanceRequirements` that exclude each other.
pub(super) const EXCLUSIVE: [(&str, &str); 2] = [
    ("allowedInstanceTypes", "excludedInstanceTypes"),
    (
        "spotMaxPricePercentageOverLowestPrice",
        "maxSpotPriceAsPercentageOfOptimalOnDemandPrice",
    ),
];
