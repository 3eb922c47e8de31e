//! Drift: where AWS differs from what the spec asks for.
//!
//! The comparison is one-sided. Members that the spec leaves out are never looked at, so what AWS fills in is no drift. Two
//! tables say what is equal though it looks different: lists without an order, and members whose default AWS leaves out.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

/// What AWS does with a list: the member by which its elements are told apart, or `None` where the whole element counts.
///
/// Sources: the ECS API reference, and the equivalence rules of the Terraform AWS provider.
const UNORDERED: &[(&str, Option<&str>)] = &[
    // Clusters
    ("capacityProviders", None),
    ("defaultCapacityProviderStrategy", Some("capacityProvider")),
    ("settings", Some("name")),
    // Task definitions
    ("containerDefinitions", Some("name")),
    ("containerDefinitions.dependsOn", Some("containerName")),
    ("containerDefinitions.environment", Some("name")),
    ("containerDefinitions.extraHosts", None),
    ("containerDefinitions.links", None),
    ("containerDefinitions.linuxParameters.capabilities.add", None),
    ("containerDefinitions.linuxParameters.capabilities.drop", None),
    ("containerDefinitions.logConfiguration.secretOptions", Some("name")),
    ("containerDefinitions.portMappings", None),
    ("containerDefinitions.resourceRequirements", None),
    ("containerDefinitions.secrets", Some("name")),
    ("containerDefinitions.systemControls", Some("namespace")),
    ("containerDefinitions.ulimits", Some("name")),
    ("containerDefinitions.volumesFrom", Some("sourceContainer")),
    ("placementConstraints", None),
    ("requiresCompatibilities", None),
    ("volumes", Some("name")),
    // Services
    ("capacityProviderStrategy", Some("capacityProvider")),
    ("deploymentConfiguration.alarms.alarmNames", None),
    ("loadBalancers", None),
    ("networkConfiguration.awsvpcConfiguration.securityGroups", None),
    ("networkConfiguration.awsvpcConfiguration.subnets", None),
    ("serviceRegistries", None),
];

/// Members that AWS may leave out of its answer, and the value that this means. A member that is not listed is drift when
/// AWS leaves it out, unless it is empty, `false` or 0.
const DEFAULTS: &[(&str, &str)] = &[
    ("configuration.executeCommandConfiguration.logging", "DEFAULT"),
    ("deploymentConfiguration.strategy", "ROLLING"),
    ("deploymentController.type", "ECS"),
    ("networkConfiguration.awsvpcConfiguration.assignPublicIp", "DISABLED"),
    ("platformVersion", "LATEST"),
    ("propagateTags", "NONE"),
    ("schedulingStrategy", "REPLICA"),
];

/// The paths at which `observed` differs from `desired`, such as `networkConfiguration.awsvpcConfiguration.subnets`.
#[must_use]
pub fn drift(desired: &Value, observed: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    compare("", desired, observed, &mut paths);
    paths
}

fn compare(path: &str, desired: &Value, observed: &Value, paths: &mut Vec<String>) {
    match (desired, observed) {
        (Value::Null, _) => {}
        (Value::Object(members), _) => {
            for (name, value) in members {
                compare(&join(path, name), value, &observed[name], paths);
            }
        }
        (value, Value::Null) => {
            if !means_absent(path, value) {
                paths.push(path.to_owned());
            }
        }
        (Value::Array(desired), Value::Array(observed)) => {
            if !lists_match(path, desired, observed) {
                paths.push(path.to_owned());
            }
        }
        // ECS writes `cpu` and `memory` in capitals here.
        (Value::String(desired), Value::String(observed))
            if path == "placementStrategy.field" && desired.eq_ignore_ascii_case(observed) => {}
        (Value::Number(desired), Value::Number(observed)) if desired.as_f64() == observed.as_f64() => {}
        (desired, observed) if desired == observed => {}
        _ => paths.push(path.to_owned()),
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn means_absent(path: &str, value: &Value) -> bool {
    match value {
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty() || DEFAULTS.contains(&(path, text.as_str())),
        Value::Array(list) => list.is_empty(),
        Value::Null | Value::Object(_) => true,
    }
}

/// Whether each element has a partner that matches it; in order, unless AWS does not keep the order.
fn lists_match(path: &str, desired: &[Value], observed: &[Value]) -> bool {
    let matches = |desired: &Value, observed: &Value| {
        let mut paths = Vec::new();
        compare(path, desired, observed, &mut paths);
        paths.is_empty()
    };
    if desired.len() != observed.len() {
        return false;
    }
    let Some((_, key)) = unordered(path) else {
        return desired.iter().zip(observed).all(|(desired, observed)| matches(desired, observed));
    };
    let same_key = |a: &Value, b: &Value| key.is_some_and(|key| !a[key].is_null() && a[key] == b[key]);
    let mut left: Vec<&Value> = observed.iter().collect();
    // The more an element says, the fewer partners it has: it chooses first.
    let mut desired: Vec<&Value> = desired.iter().collect();
    desired.sort_by_key(|element| std::cmp::Reverse(element.as_object().map_or(0, serde_json::Map::len)));
    desired.into_iter().all(|desired| {
        let equal = left.iter().position(|observed| desired == *observed || same_key(desired, observed));
        let partner = equal.or_else(|| left.iter().position(|observed| matches(desired, observed)));
        partner.is_some_and(|index| matches(desired, left.swap_remove(index)))
    })
}

fn unordered(path: &str) -> Option<&'static (&'static str, Option<&'static str>)> {
    UNORDERED.iter().find(|(listed, _)| *listed == path)
}

/// Members of a task definition that mean the same as being absent, as JSON. A revision never changes, so all that matters
/// is whether two requests make the same one.
///
/// Sources: the ECS API reference, and what DescribeTaskDefinition shows after RegisterTaskDefinition.
const SAME_AS_ABSENT: &[(&str, &str)] = &[
    ("containerDefinitions.cpu", "0"),
    ("containerDefinitions.environment", "[]"),
    ("containerDefinitions.essential", "true"),
    ("containerDefinitions.healthCheck.interval", "30"),
    ("containerDefinitions.healthCheck.retries", "3"),
    ("containerDefinitions.healthCheck.timeout", "5"),
    ("containerDefinitions.mountPoints", "[]"),
    ("containerDefinitions.mountPoints.readOnly", "false"),
    ("containerDefinitions.portMappings", "[]"),
    ("containerDefinitions.portMappings.hostPort", "0"),
    ("containerDefinitions.portMappings.protocol", r#""tcp""#),
    ("containerDefinitions.systemControls", "[]"),
    ("containerDefinitions.versionConsistency", r#""enabled""#),
    ("containerDefinitions.volumesFrom", "[]"),
    ("containerDefinitions.volumesFrom.readOnly", "false"),
    ("enableFaultInjection", "false"),
    ("placementConstraints", "[]"),
    ("volumes", "[]"),
    ("volumes.efsVolumeConfiguration.authorizationConfig.iam", r#""DISABLED""#),
    ("volumes.efsVolumeConfiguration.rootDirectory", r#""/""#),
    ("volumes.efsVolumeConfiguration.transitEncryption", r#""DISABLED""#),
];

/// The same request in one spelling: unordered lists sorted, members that mean the same as being absent left out, sizes in
/// units. Requests that mean the same are equal to the letter.
#[must_use]
pub fn normalised(document: &Value) -> Value {
    let mut document = document.clone();
    drop_same_host_ports(&mut document);
    let mut document = sorted("", &document);
    for (member, suffix) in [("cpu", "vcpu"), ("memory", "gb")] {
        if let Some(size) = document[member].as_str().and_then(|size| in_units(size, suffix)) {
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
    let containers = document["containerDefinitions"].as_array_mut().into_iter().flatten();
    for port in containers.flat_map(|container| container["portMappings"].as_array_mut().into_iter().flatten()) {
        if port["hostPort"] == port["containerPort"]
            && let Some(members) = port.as_object_mut()
        {
            members.remove("hostPort");
        }
    }
}

fn sorted(path: &str, value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| (join(path, name), name, value));
            let meaningful = members.filter(|(path, _, value)| !value.is_null() && !is_same_as_absent(path, value));
            // By name, whatever order serde_json keeps: a hash of it has to be the same in every build.
            let by_name: BTreeMap<_, _> = meaningful.map(|(path, name, value)| (name.clone(), sorted(&path, value))).collect();
            by_name.into_iter().collect()
        }
        Value::Array(list) => {
            let mut list: Vec<Value> = list.iter().map(|element| sorted(path, element)).collect();
            if let Some((_, key)) = unordered(path) {
                list.sort_by_cached_key(|element| sort_key(element, *key).into_owned());
            }
            list.into()
        }
        other => other.clone(),
    }
}

fn is_same_as_absent(path: &str, value: &Value) -> bool {
    SAME_AS_ABSENT
        .iter()
        .any(|(listed, text)| *listed == path && serde_json::from_str::<Value>(text).is_ok_and(|same| same == *value))
}

fn sort_key<'a>(element: &'a Value, key: Option<&str>) -> Cow<'a, str> {
    match key.and_then(|key| element[key].as_str()).or_else(|| element.as_str()) {
        Some(text) => Cow::Borrowed(text),
        None => Cow::Owned(element.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_spec_leaves_out_is_no_drift() {
        let observed =
            json!({"desiredCount": 2, "platformVersion": "LATEST", "deploymentConfiguration": {"maximumPercent": 200}});
        assert_eq!(drift(&json!({"desiredCount": 2}), &observed), [""; 0]);
        assert_eq!(drift(&json!({}), &observed), [""; 0]);
    }

    #[test]
    fn drift_names_the_path() {
        let rows = [
            (json!({"desiredCount": 2}), json!({"desiredCount": 3}), "desiredCount"),
            (
                json!({"deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": true, "rollback": true}}}),
                json!({"deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": true, "rollback": false}}}),
                "deploymentConfiguration.deploymentCircuitBreaker.rollback",
            ),
            (
                json!({"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["a", "b"]}}}),
                json!({"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["a", "c"]}}}),
                "networkConfiguration.awsvpcConfiguration.subnets",
            ),
            (json!({"loadBalancers": []}), json!({"loadBalancers": [{"targetGroupArn": "x"}]}), "loadBalancers"),
            (json!({"enableExecuteCommand": true}), json!({}), "enableExecuteCommand"),
            (
                json!({"placementStrategy": [{"type": "spread"}, {"type": "binpack"}]}),
                json!({"placementStrategy": [{"type": "binpack"}, {"type": "spread"}]}),
                "placementStrategy",
            ),
        ];
        for (desired, observed, path) in rows {
            assert_eq!(drift(&desired, &observed), [path], "{desired} against {observed}");
        }
    }

    #[test]
    fn what_aws_reorders_or_leaves_out_is_no_drift() {
        let rows = [
            (
                json!({"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["a", "b"], "assignPublicIp": "DISABLED"}}}),
                json!({"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["b", "a"], "securityGroups": ["default"]}}}),
            ),
            (json!({"enableExecuteCommand": false, "loadBalancers": []}), json!({})),
            (
                json!({"placementStrategy": [{"type": "binpack", "field": "memory"}]}),
                json!({"placementStrategy": [{"type": "binpack", "field": "MEMORY"}]}),
            ),
            (
                json!({"capacityProviderStrategy": [{"capacityProvider": "FARGATE"}, {"capacityProvider": "FARGATE_SPOT", "weight": 1}]}),
                json!({"capacityProviderStrategy": [
                    {"capacityProvider": "FARGATE_SPOT", "weight": 1, "base": 0},
                    {"capacityProvider": "FARGATE", "weight": 0, "base": 0},
                ]}),
            ),
            (
                json!({"deploymentConfiguration": {"canaryConfiguration": {"canaryPercent": 5}}}),
                json!({"deploymentConfiguration": {"canaryConfiguration": {"canaryPercent": 5.0}}}),
            ),
        ];
        for (desired, observed) in rows {
            assert_eq!(drift(&desired, &observed), [""; 0], "{desired} against {observed}");
        }
    }

    #[test]
    fn ports_are_in_one_order_whether_their_host_ports_are_spelled_out_or_not() {
        let with =
            |ports: Value| json!({"networkMode": "awsvpc", "containerDefinitions": [{"name": "a", "portMappings": ports}]});
        let short = with(json!([{"containerPort": 80}, {"containerPort": 8080}]));
        let long =
            with(json!([{"containerPort": 80, "hostPort": 80, "protocol": "tcp"}, {"containerPort": 8080, "hostPort": 8080}]));
        assert_eq!(normalised(&short), normalised(&long));
    }

    /// Every row changes hashes: of a spec that has the member, a new revision is registered, and its services roll, when the
    /// operator is upgraded. Whoever changes a row says so in the changelog.
    #[test]
    fn the_tables_behind_the_hash_are_the_same_in_all_versions() {
        assert_eq!(crate::reconcile::plan::hash(&json!([UNORDERED, SAME_AS_ABSENT])), "009abc17e76edcb0c9c0a62484052e9c");
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
    fn what_aws_would_fill_in_normalises_to_nothing() {
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
        for (member, value) in [("cpu", json!("2 vCPU")), ("networkMode", json!("bridge")), ("enableFaultInjection", json!(true))]
        {
            let mut other = long.clone();
            other[member] = value;
            assert_ne!(normalised(&short), normalised(&other), "{member}");
        }
    }
}
