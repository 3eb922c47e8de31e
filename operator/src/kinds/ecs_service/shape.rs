//! The members of an EcsService that are special: data, and what of it depends on the spec.

use ecs_operator_crds::v1beta1::{EcsService, EcsServiceSpec};

use crate::reconcile::kind::Reset;

/// Members of the spec that are ours and not the API's.
pub(super) const OWN_MEMBERS: &[&str] = &[
    "autoscaling",
    "clusterRef",
    "desiredCountOwner",
    "rollout",
    "taskDefinitionRef",
];

/// How each member is taken back that ECS keeps when an update leaves it out. What has no row, and
/// is in no member that has one, stays ([`STAYS`]); elements of a list are replaced with the list.
pub const RESETS: &[Reset] = &[
    (
        "deploymentConfiguration.alarms",
        r#"{"alarmNames":[],"enable":false,"rollback":false}"#,
    ),
    ("deploymentConfiguration.bakeTimeInMinutes", "0"),
    (
        "deploymentConfiguration.canaryConfiguration.canaryBakeTimeInMinutes",
        "10",
    ),
    (
        "deploymentConfiguration.canaryConfiguration.canaryPercent",
        "5",
    ),
    (
        "deploymentConfiguration.deploymentCircuitBreaker.enable",
        "false",
    ),
    (
        "deploymentConfiguration.deploymentCircuitBreaker.resetOnHealthyTask",
        "true",
    ),
    (
        "deploymentConfiguration.deploymentCircuitBreaker.rollback",
        "false",
    ),
    (
        "deploymentConfiguration.deploymentCircuitBreaker.thresholdConfiguration",
        r#"{"type":"BOUNDED_PERCENT","value":50}"#,
    ),
    (
        "deploymentConfiguration.earlySuccessCriteria.enable",
        "false",
    ),
    ("deploymentConfiguration.lifecycleHooks", "[]"),
    (
        "deploymentConfiguration.linearConfiguration.stepBakeTimeInMinutes",
        "6",
    ),
    (
        "deploymentConfiguration.linearConfiguration.stepPercent",
        "10",
    ),
    ("deploymentConfiguration.maximumPercent", "200"),
    ("deploymentConfiguration.minimumHealthyPercent", "100"),
    ("deploymentConfiguration.strategy", r#""ROLLING""#),
    ("enableECSManagedTags", "false"),
    ("enableExecuteCommand", "false"),
    ("gatewayConnectors", "[]"),
    ("healthCheckGracePeriodSeconds", "0"),
    ("loadBalancers", "[]"),
    (
        "networkConfiguration.awsvpcConfiguration.assignPublicIp",
        r#""DISABLED""#,
    ),
    ("placementConstraints", "[]"),
    ("placementStrategy", "[]"),
    ("platformVersion", r#""LATEST""#),
    ("propagateTags", r#""NONE""#),
    ("serviceConnectConfiguration.accessLogConfiguration", "null"),
    (
        "serviceConnectConfiguration.containerConfigurations",
        "null",
    ),
    ("serviceConnectConfiguration.enabled", "false"),
    ("serviceConnectConfiguration.logConfiguration", "null"),
    ("serviceConnectConfiguration.namespace", "null"),
    ("serviceConnectConfiguration.services", "null"),
    ("serviceRegistries", "[]"),
    ("volumeConfigurations", "[]"),
    ("vpcLatticeConfigurations", "[]"),
];

/// [`RESETS`] for this spec: a service that runs one task on every instance has other percentages.
pub(super) fn resets(spec: &EcsServiceSpec) -> Vec<Reset> {
    let is_daemon = spec.scheduling_strategy.as_deref() == Some("DAEMON");
    let value = |(path, value): &Reset| match *path {
        "deploymentConfiguration.maximumPercent" if is_daemon => (*path, "100"),
        "deploymentConfiguration.minimumHealthyPercent" if is_daemon => (*path, "0"),
        _ => (*path, *value),
    };
    RESETS.iter().map(value).collect()
}

/// Members of UpdateService that stay as they are in ECS when the spec drops them, and why. Their
/// descriptions say so.
pub const STAYS: &[(&str, &str)] = &[
    (
        "availabilityZoneRebalancing",
        "what ECS would choose for a new service is not documented for an update",
    ),
    (
        "capacityProviderStrategy",
        "to take it back replaces all tasks, which an empty one in the spec asks for",
    ),
    (
        "deploymentConfiguration.earlySuccessCriteria.healthyPercent",
        "ECS needs it while the criteria are enabled",
    ),
    (
        "deploymentConfiguration.earlySuccessCriteria.sourceServiceRevisionCleanup",
        "ECS needs it while the criteria are enabled",
    ),
    (
        "deploymentController",
        "another controller takes the deployments over",
    ),
    ("desiredCount", "the number is left to ECS and autoscalers"),
    ("monitoring", "no value is documented that takes it back"),
    (
        "networkConfiguration.awsvpcConfiguration.securityGroups",
        "the default group of the VPC would expose the tasks in another way",
    ),
    (
        "networkConfiguration.awsvpcConfiguration.subnets",
        "ECS needs it",
    ),
    ("taskDefinition", "a service runs one"),
];

/// The ARN of the cluster, where the spec gives one.
pub(super) fn cluster_arn(object: &EcsService) -> Option<&str> {
    object
        .spec
        .cluster
        .as_deref()
        .filter(|cluster| cluster.starts_with("arn:"))
}
