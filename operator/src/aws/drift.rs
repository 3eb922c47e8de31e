//! Drift: where AWS differs from what the spec asks for.
//!
//! The comparison is one-sided. Members that the spec leaves out are never looked at, so what AWS fills in is no drift. Two
//! tables say what is equal though it looks different: lists without an order, and members whose default AWS leaves out.

use std::borrow::Cow;

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
    if !is_unordered(path) {
        return desired.iter().zip(observed).all(|(desired, observed)| matches(desired, observed));
    }
    let mut left: Vec<&Value> = observed.iter().collect();
    desired.iter().all(|desired| {
        let partner = left.iter().position(|observed| matches(desired, observed));
        partner.map(|index| left.swap_remove(index)).is_some()
    })
}

fn is_unordered(path: &str) -> bool {
    UNORDERED.iter().any(|(listed, _)| *listed == path)
}

/// The same document with every unordered list sorted, so that documents that mean the same are equal to the letter.
#[must_use]
pub fn normalised(document: &Value) -> Value {
    sorted("", document)
}

fn sorted(path: &str, value: &Value) -> Value {
    match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), sorted(&join(path, name), value))).collect(),
        Value::Array(list) => {
            let mut list: Vec<Value> = list.iter().map(|element| sorted(path, element)).collect();
            if let Some((_, key)) = UNORDERED.iter().find(|(listed, _)| *listed == path) {
                list.sort_by_cached_key(|element| sort_key(element, *key).into_owned());
            }
            list.into()
        }
        other => other.clone(),
    }
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
    fn documents_that_mean_the_same_normalise_to_the_same() {
        let one = json!({"containerDefinitions": [{"name": "a", "environment": [{"name": "X"}, {"name": "Y"}], "command": ["b", "a"]}]});
        let same = json!({"containerDefinitions": [{"name": "a", "environment": [{"name": "Y"}, {"name": "X"}], "command": ["b", "a"]}]});
        let other = json!({"containerDefinitions": [{"name": "a", "environment": [{"name": "Y"}, {"name": "X"}], "command": ["a", "b"]}]});
        assert_eq!(normalised(&one), normalised(&same));
        assert_ne!(normalised(&one), normalised(&other));
    }
}
