//! What means the same: which values of a member mean that it is absent, which lists have no order,
//! and requests in one spelling.
//!
//! It is derived where it can be. The zero value of a member (`false`, 0, an empty text, list or
//! object) and its documented default mean that it is absent, and the order of a list that the
//! schema or [`SETS`] calls a set means nothing. The tables hold what no schema says. A test goes
//! through AWS's API model and asks of each member which of these holds.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use serde_json::Value;

use super::schema::{Elements, is_free, join, member};

/// Lists that have no order in AWS and are atomic in the schemas, because their elements may be
/// alike in the key or have none: the member by which elements are told apart, or `None` where the
/// whole element counts.
///
/// Sources: the ECS API reference, and the equivalence rules of the Terraform AWS provider.
pub const SETS: &[(&str, Option<&str>)] = &[
    ("containerDefinitions.credentialSpecs", None),
    ("containerDefinitions.dockerSecurityOptions", None),
    ("containerDefinitions.extraHosts", None),
    ("containerDefinitions.links", None),
    ("containerDefinitions.linuxParameters.devices", None),
    ("containerDefinitions.linuxParameters.tmpfs", None),
    ("containerDefinitions.portMappings", None),
    ("containerDefinitions.resourceRequirements", None),
    ("containerDefinitions.systemControls", Some("namespace")),
    ("containerDefinitions.volumesFrom", Some("sourceContainer")),
    ("deploymentConfiguration.lifecycleHooks", None),
    ("inferenceAccelerators", None),
    ("loadBalancers", None),
    (
        "networkConfiguration.awsvpcConfiguration.securityGroups",
        None,
    ),
    ("networkConfiguration.awsvpcConfiguration.subnets", None),
    ("placementConstraints", None),
    ("serviceRegistries", None),
];

/// Documented defaults, as JSON, beside the zero values. AWS may leave such a member out of its
/// answer, and fill it in.
///
/// Sources: the ECS API reference, and what DescribeTaskDefinition shows after
/// RegisterTaskDefinition.
pub const DEFAULTS: &[(&str, &str)] = &[
    // Clusters
    (
        "configuration.executeCommandConfiguration.logging",
        r#""DEFAULT""#,
    ),
    // Task definitions
    ("containerDefinitions.essential", "true"),
    ("containerDefinitions.healthCheck.interval", "30"),
    ("containerDefinitions.healthCheck.retries", "3"),
    ("containerDefinitions.healthCheck.timeout", "5"),
    (
        "containerDefinitions.linuxParameters.devices.permissions",
        r#"["mknod","read","write"]"#,
    ),
    ("containerDefinitions.linuxParameters.swappiness", "60"),
    ("containerDefinitions.portMappings.protocol", r#""tcp""#),
    (
        "containerDefinitions.resourceRequirements.sharingStrategy.nvidiaMps.maxComputePercent",
        "100",
    ),
    (
        "containerDefinitions.restartPolicy.restartAttemptPeriod",
        "300",
    ),
    ("containerDefinitions.versionConsistency", r#""enabled""#),
    ("networkMode", r#""bridge""#),
    ("proxyConfiguration.type", r#""APPMESH""#),
    (
        "volumes.efsVolumeConfiguration.authorizationConfig.iam",
        r#""DISABLED""#,
    ),
    ("volumes.efsVolumeConfiguration.rootDirectory", r#""/""#),
    (
        "volumes.efsVolumeConfiguration.transitEncryption",
        r#""DISABLED""#,
    ),
    ("volumes.s3filesVolumeConfiguration.rootDirectory", r#""/""#),
    // Services
    (
        "autoscaling.policies.predictiveScalingPolicyConfiguration.maxCapacityBreachBehavior",
        r#""HonorMaxCapacity""#,
    ),
    (
        "autoscaling.policies.predictiveScalingPolicyConfiguration.mode",
        r#""ForecastOnly""#,
    ),
    (
        "autoscaling.policies.predictiveScalingPolicyConfiguration.schedulingBufferTime",
        "300",
    ),
    (
        "autoscaling.policies.stepScalingPolicyConfiguration.cooldown",
        "300",
    ),
    (
        "autoscaling.policies.stepScalingPolicyConfiguration.metricAggregationType",
        r#""Average""#,
    ),
    (
        "autoscaling.policies.targetTrackingScalingPolicyConfiguration.customizedMetricSpecification.metrics.returnData",
        "true",
    ),
    (
        "autoscaling.policies.targetTrackingScalingPolicyConfiguration.scaleInCooldown",
        "300",
    ),
    (
        "autoscaling.policies.targetTrackingScalingPolicyConfiguration.scaleOutCooldown",
        "300",
    ),
    ("autoscaling.scheduledActions.timezone", r#""UTC""#),
    ("availabilityZoneRebalancing", r#""DISABLED""#),
    (
        "deploymentConfiguration.deploymentCircuitBreaker.resetOnHealthyTask",
        "true",
    ),
    (
        "deploymentConfiguration.deploymentCircuitBreaker.thresholdConfiguration",
        r#"{"type":"BOUNDED_PERCENT","value":50}"#,
    ),
    (
        "deploymentConfiguration.lifecycleHooks.targetType",
        r#""AWS_LAMBDA""#,
    ),
    (
        "deploymentConfiguration.lifecycleHooks.timeoutConfiguration.action",
        r#""ROLLBACK""#,
    ),
    (
        "deploymentConfiguration.lifecycleHooks.timeoutConfiguration.timeoutInMinutes",
        "1440",
    ),
    ("deploymentConfiguration.strategy", r#""ROLLING""#),
    ("deploymentController.type", r#""ECS""#),
    (
        "networkConfiguration.awsvpcConfiguration.assignPublicIp",
        r#""DISABLED""#,
    ),
    ("platformVersion", r#""LATEST""#),
    ("propagateTags", r#""NONE""#),
    ("schedulingStrategy", r#""REPLICA""#),
];

/// Members whose zero value is not what AWS takes when they are absent, and why.
pub const ZERO_COUNTS: &[(&str, &str)] = &[
    (
        "autoscaling.policies.predictiveScalingPolicyConfiguration.schedulingBufferTime",
        "the default is 300",
    ),
    (
        "autoscaling.policies.stepScalingPolicyConfiguration.cooldown",
        "the default is 300",
    ),
    (
        "autoscaling.policies.stepScalingPolicyConfiguration.stepAdjustments.metricIntervalLowerBound",
        "absent is no bound",
    ),
    (
        "autoscaling.policies.stepScalingPolicyConfiguration.stepAdjustments.metricIntervalUpperBound",
        "absent is no bound",
    ),
    (
        "autoscaling.policies.targetTrackingScalingPolicyConfiguration.customizedMetricSpecification.metrics.returnData",
        "the default is true",
    ),
    (
        "autoscaling.policies.targetTrackingScalingPolicyConfiguration.scaleInCooldown",
        "the default is 300",
    ),
    (
        "autoscaling.policies.targetTrackingScalingPolicyConfiguration.scaleOutCooldown",
        "the default is 300",
    ),
    (
        "autoscaling.scheduledActions.scalableTargetAction.maxCapacity",
        "absent leaves the maximum as it is",
    ),
    (
        "autoscaling.scheduledActions.scalableTargetAction.minCapacity",
        "absent leaves the minimum as it is",
    ),
    (
        "capacityProviderStrategy",
        "an empty list asks for the strategy of the cluster",
    ),
    ("containerDefinitions.essential", "the default is true"),
    (
        "containerDefinitions.linuxParameters.maxSwap",
        "0 turns swap off, absent is the swap of the instance",
    ),
    (
        "containerDefinitions.linuxParameters.swappiness",
        "the default is 60",
    ),
    (
        "containerDefinitions.resourceRequirements.sharingStrategy.nvidiaMps.maxComputePercent",
        "the default is 100",
    ),
    (
        "containerDefinitions.startTimeout",
        "absent is no limit, or that of the agent",
    ),
    (
        "containerDefinitions.stopTimeout",
        "the default is 30 seconds, or that of the agent",
    ),
    (
        "deploymentConfiguration.deploymentCircuitBreaker.resetOnHealthyTask",
        "the default is true",
    ),
    (
        "volumes.dockerVolumeConfiguration",
        "its presence makes a Docker volume, absent is a bind mount",
    ),
    (
        "managedInstancesProvider.infrastructureOptimization.scaleInAfter",
        "0 ends idle instances at once, absent is as AWS sees fit",
    ),
    (
        "managedInstancesProvider.instanceLaunchTemplate.instanceRequirements.acceleratorCount.max",
        "0 excludes accelerators, absent is no bound",
    ),
    (
        "autoScalingGroupProvider.managedScaling.instanceWarmupPeriod",
        "the default is 300",
    ),
];

/// Whether a member with this value means the same as one that is absent.
#[must_use]
pub fn means_absent(path: &str, value: &Value) -> bool {
    let is_zero = match value {
        Value::Null => return true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(members) if is_free(path) => members.is_empty(),
        Value::Object(members) => members
            .iter()
            .all(|(name, value)| means_absent(&join(path, name), value)),
    };
    (is_zero && !ZERO_COUNTS.iter().any(|(counts, _)| *counts == path)) || is_default(path, value)
}

fn is_default(path: &str, value: &Value) -> bool {
    static PARSED: LazyLock<HashMap<&str, Value>> = LazyLock::new(|| {
        let parsed = |(path, text): &(&'static str, &str)| {
            (*path, serde_json::from_str(text).unwrap_or_default())
        };
        DEFAULTS.iter().map(parsed).collect()
    });
    let same = |default: &Value| match (default, value) {
        (Value::Number(default), Value::Number(value)) => default.as_f64() == value.as_f64(),
        (default, value) => *default == sorted(path, value),
    };
    PARSED.get(path).is_some_and(same)
}

/// Of a list without an order, the member by which its elements are told apart, if there is one;
/// `None` for a list with an order.
#[must_use]
pub fn key_of(path: &str) -> Option<Option<&'static str>> {
    match member(path).and_then(|member| member.elements.as_ref()) {
        Some(Elements::By(key)) => Some(Some(key)),
        Some(Elements::Whole) => Some(None),
        None => SETS
            .iter()
            .find(|(listed, _)| *listed == path)
            .map(|(_, key)| *key),
    }
}

/// The same request in one spelling: unordered lists sorted, members that mean the same as being
/// absent left out, sizes in units. Requests that mean the same are equal to the letter.
#[must_use]
pub fn normalised(document: &Value) -> Value {
    let mut document = document.clone();
    drop_same_host_ports(&mut document);
    let mut document = sorted("", &document);
    for (member, suffix) in [("cpu", "vcpu"), ("memory", "gb")] {
        if let Some(size) = document[member]
            .as_str()
            .and_then(|size| in_units(size, suffix))
        {
            document[member] = size.into();
        }
    }
    document
}

/// `1 vCPU` is 1024 units, `2 GB` are 2048 MiB.
fn in_units(size: &str, suffix: &str) -> Option<String> {
    let lower = size.to_lowercase();
    let number: f64 = lower.strip_suffix(suffix)?.trim().parse().ok()?;
    Some((number * 1024.0).round().to_string())
}

/// Without a network of its own in between, the host port can only be the container port.
fn drop_same_host_ports(document: &mut Value) {
    if document["networkMode"] != "awsvpc" && document["networkMode"] != "host" {
        return;
    }
    let containers = document["containerDefinitions"]
        .as_array_mut()
        .into_iter()
        .flatten();
    for port in containers.flat_map(|container| {
        container["portMappings"]
            .as_array_mut()
            .into_iter()
            .flatten()
    }) {
        if port["hostPort"] == port["containerPort"]
            && let Some(members) = port.as_object_mut()
        {
            members.remove("hostPort");
        }
    }
}

/// The same JSON with the members of each object by name, whatever order serde_json keeps: a hash
/// of it has to be the same in every build.
pub(super) fn by_key(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let by_name: BTreeMap<_, _> = members
                .iter()
                .map(|(name, value)| (name.clone(), by_key(value)))
                .collect();
            by_name.into_iter().collect()
        }
        Value::Array(list) => list.iter().map(by_key).collect(),
        other => other.clone(),
    }
}

fn sorted(path: &str, value: &Value) -> Value {
    match value {
        Value::Object(_) if is_free(path) => by_key(value),
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|(name, value)| (name, join(path, name), value));
            let members = members.map(|(name, path, value)| (name, sorted(&path, value), path));
            let meaningful = members.filter(|(_, value, path)| !means_absent(path, value));
            let by_name: BTreeMap<_, _> = meaningful
                .map(|(name, value, _)| (name.clone(), value))
                .collect();
            by_name.into_iter().collect()
        }
        Value::Array(list) => {
            let mut list: Vec<Value> = list.iter().map(|element| sorted(path, element)).collect();
            if let Some(key) = key_of(path) {
                list.sort_by_cached_key(|element| sort_key(element, key).into_owned());
            }
            list.into()
        }
        other => other.clone(),
    }
}

fn sort_key<'a>(element: &'a Value, key: Option<&str>) -> Cow<'a, str> {
    match key
        .and_then(|key| element[key].as_str())
        .or_else(|| element.as_str())
    {
        Some(text) => Cow::Borrowed(text),
        None => Cow::Owned(element.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ports_are_in_one_order_whether_their_host_ports_are_spelled_out_or_not() {
        let with = |ports: Value| json!({"networkMode": "awsvpc", "containerDefinitions": [{"name": "a", "portMappings": ports}]});
        let short = with(json!([{"containerPort": 80}, {"containerPort": 8080}]));
        let long = with(
            json!([{"containerPort": 80, "hostPort": 80, "protocol": "tcp"}, {"containerPort": 8080, "hostPort": 8080}]),
        );
        assert_eq!(normalised(&short), normalised(&long));
    }

    /// Every row changes hashes: of a spec that has the member, a new revision is registered, and
    /// its services roll, when the operator is upgraded. A change of a row goes into the changelog.
    #[test]
    fn the_tables_behind_the_hash_are_the_same_in_all_versions() {
        assert_eq!(
            crate::reconcile::plan::hash(&json!([SETS, DEFAULTS, ZERO_COUNTS])),
            "0156dfee7f082067b5e65d46a02b3484"
        );
        let document = json!({"family": "web", "networkMode": "awsvpc", "cpu": "1 vCPU", "requiresCompatibilities": ["FARGATE", "EC2"],
            "containerDefinitions": [{"name": "b", "image": "b"}, {"name": "a", "image": "a", "command": ["y", "x"], "stopTimeout": 0,
                "environment": [{"name": "Y", "value": ""}, {"name": "X", "value": "1"}], "dockerLabels": {"a": "", "B": "b"},
                "portMappings": [{"containerPort": 80, "hostPort": 80, "protocol": "tcp"}], "ulimits": [], "essential": true}],
            "volumes": [{"name": "v", "host": {}}]});
        assert_eq!(
            crate::reconcile::plan::hash(&document),
            "12cd463214517481542eb0ee86be920b"
        );
    }

    #[test]
    fn documents_that_mean_the_same_normalise_to_the_same() {
        let one = json!({"containerDefinitions": [{"name": "a", "environment": [{"name": "X"}, {"name": "Y"}], "command": ["b", "a"]}]});
        let same = json!({"containerDefinitions": [{"name": "a", "environment": [{"name": "Y"}, {"name": "X"}], "command": ["b", "a"]}]});
        let other = json!({"containerDefinitions": [{"name": "a", "environment": [{"name": "Y"}, {"name": "X"}], "command": ["a", "b"]}]});
        assert_eq!(normalised(&one), normalised(&same));
        assert_ne!(normalised(&one), normalised(&other));
    }

    #[test]
    fn defaults_normalise_to_absence() {
        let short = json!({
            "networkMode": "awsvpc", "cpu": "1024", "memory": "2048",
            "containerDefinitions": [{"name": "a", "portMappings": [{"containerPort": 80}], "healthCheck": {"command": ["x"]}}],
        });
        let long = json!({
            "networkMode": "awsvpc", "cpu": "1 vCPU", "memory": "2 GB", "volumes": [], "enableFaultInjection": false,
            "containerDefinitions": [{
                "name": "a", "cpu": 0, "essential": true, "environment": [], "mountPoints": [], "versionConsistency": "enabled",
                "portMappings": [{"containerPort": 80, "hostPort": 80, "protocol": "tcp"}],
                "healthCheck": {"command": ["x"], "interval": 30, "timeout": 5, "retries": 3},
            }],
        });
        assert_eq!(normalised(&short), normalised(&long));
        for (member, value) in [
            ("cpu", json!("2 vCPU")),
            ("networkMode", json!("bridge")),
            ("enableFaultInjection", json!(true)),
        ] {
            let mut other = long.clone();
            other[member] = value;
            assert_ne!(normalised(&short), normalised(&other), "{member}");
        }
    }
}
