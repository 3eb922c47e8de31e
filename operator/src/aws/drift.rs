//! Drift: where AWS differs from what the spec asks for.
//!
//! The comparison is one-sided. Members that the spec leaves out are never looked at, so what AWS
//! fills in is no drift. Only the elements of a list are compared whole, because ECS replaces a
//! list as a whole: what an element of the spec leaves out, the element in AWS must not have. What
//! means the same is in [`meaning`](super::meaning).

use serde_json::Value;

use super::meaning::{by_key, key_of, means_absent};
use super::name_in;
use super::schema::{is_free, join, member};

/// Lists in which AWS keeps elements that a request leaves out, so that only those of the spec are
/// compared.
const OPEN: &[&str] = &["settings"];

/// The paths at which `observed` differs from `desired`, such as
/// `networkConfiguration.awsvpcConfiguration.subnets`. A `null` in `desired` asks for the member to
/// be absent.
#[must_use]
pub fn drift(desired: &Value, observed: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    compare("", desired, observed, Extent::Named, &mut paths);
    paths
}

/// Which members of an object in AWS are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Those that the spec names.
    Named,
    /// All that the schema has.
    Whole,
}

fn compare(path: &str, desired: &Value, observed: &Value, extent: Extent, paths: &mut Vec<String>) {
    match (desired, observed) {
        (Value::Null, observed) => {
            if !means_absent(path, observed) {
                paths.push(path.to_owned());
            }
        }
        (Value::Object(_), _) if extent == Extent::Whole && is_free(path) => {
            if by_key(desired) != by_key(observed)
                && !(means_absent(path, desired) && means_absent(path, observed))
            {
                paths.push(path.to_owned());
            }
        }
        (Value::Object(members), _) => {
            for (name, value) in members {
                compare(&join(path, name), value, &observed[name], extent, paths);
            }
            if extent == Extent::Whole {
                let others = observed
                    .as_object()
                    .into_iter()
                    .flatten()
                    .filter(|(name, _)| !members.contains_key(*name));
                let others = others.map(|(name, value)| (join(path, name), value));
                paths.extend(
                    others
                        .filter(|(path, value)| {
                            member(path).is_some() && !means_absent(path, value)
                        })
                        .map(|(path, _)| path),
                );
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
        (Value::String(desired), Value::String(observed))
            if is_same_text(path, desired, observed) => {}
        (Value::Number(desired), Value::Number(observed))
            if desired.as_f64() == observed.as_f64() => {}
        (desired, observed) if desired == observed => {}
        _ => paths.push(path.to_owned()),
    }
}

/// Whether two texts name the same thing, where AWS writes some values in another way than they
/// were given.
fn is_same_text(path: &str, desired: &str, observed: &str) -> bool {
    match path {
        // ECS writes `cpu` and `memory` in capitals, and `host` as `instanceId`.
        "placementStrategy.field" => {
            let field = |text: &str| {
                if text.eq_ignore_ascii_case("host") {
                    "instanceid".to_owned()
                } else {
                    text.to_lowercase()
                }
            };
            field(desired) == field(observed)
        }
        // By ARN or by name; ECS answers names.
        "capacityProviders"
        | "capacityProviderStrategy.capacityProvider"
        | "defaultCapacityProviderStrategy.capacityProvider" => {
            name_in(desired) == name_in(observed)
        }
        _ => desired == observed,
    }
}

/// Whether each element has a partner that matches it; in order, unless AWS does not keep the
/// order.
fn lists_match(path: &str, desired: &[Value], observed: &[Value]) -> bool {
    let matches = |desired: &Value, observed: &Value| {
        let mut paths = Vec::new();
        compare(path, desired, observed, Extent::Whole, &mut paths);
        paths.is_empty()
    };
    let is_open = OPEN.contains(&path);
    if desired.len() > observed.len() || (desired.len() < observed.len() && !is_open) {
        return false;
    }
    let Some(key) = key_of(path) else {
        return desired
            .iter()
            .zip(observed)
            .all(|(desired, observed)| matches(desired, observed));
    };
    let mut left: Vec<&Value> = observed.iter().collect();
    // The more an element says, the fewer partners it has: it chooses first.
    let mut desired: Vec<&Value> = desired.iter().collect();
    desired.sort_by_key(|element| {
        std::cmp::Reverse(element.as_object().map_or(0, serde_json::Map::len))
    });
    desired.into_iter().all(|desired| {
        let equal = left.iter().position(|observed| {
            desired == *observed || has_same_key(path, key, desired, observed)
        });
        let partner = equal.or_else(|| left.iter().position(|observed| matches(desired, observed)));
        partner.is_some_and(|index| matches(desired, left.swap_remove(index)))
    })
}

/// Whether two elements of the list at `path` are told apart by `key` and have the same one.
fn has_same_key(path: &str, key: Option<&str>, desired: &Value, observed: &Value) -> bool {
    key.and_then(|key| Some((key, desired[key].as_str()?, observed[key].as_str()?)))
        .is_some_and(|(key, desired, observed)| is_same_text(&join(path, key), desired, observed))
}

/// The element of `observed` that is the same one as `element` of the list at `path`, whatever its
/// other members are; `None` where none is, or where elements of this list have no key.
#[must_use]
pub fn partner<'a>(path: &str, element: &Value, observed: &'a [Value]) -> Option<&'a Value> {
    let key = key_of(path)?;
    observed
        .iter()
        .find(|observed| has_same_key(path, key, element, observed))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn absent_members_are_no_drift() {
        let observed = json!({"desiredCount": 2, "platformVersion": "LATEST", "deploymentConfiguration": {"maximumPercent": 200}});
        assert_eq!(drift(&json!({"desiredCount": 2}), &observed), [""; 0]);
        assert_eq!(drift(&json!({}), &observed), [""; 0]);
    }

    #[test]
    fn drift_names_the_path() {
        let rows = [
            (
                json!({"desiredCount": 2}),
                json!({"desiredCount": 3}),
                "desiredCount",
            ),
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
            (
                json!({"loadBalancers": []}),
                json!({"loadBalancers": [{"targetGroupArn": "x"}]}),
                "loadBalancers",
            ),
            (
                json!({"enableExecuteCommand": true}),
                json!({}),
                "enableExecuteCommand",
            ),
            (
                json!({"enableExecuteCommand": null}),
                json!({"enableExecuteCommand": true}),
                "enableExecuteCommand",
            ),
            (
                json!({"capacityProviderStrategy": [{"capacityProvider": "FARGATE"}]}),
                json!({"capacityProviderStrategy": [{"capacityProvider": "FARGATE", "weight": 3}]}),
                "capacityProviderStrategy",
            ),
            (
                json!({"loadBalancers": [{"targetGroupArn": "t"}]}),
                json!({"loadBalancers": [{"targetGroupArn": "t", "advancedConfiguration": {"roleArn": "r"}}]}),
                "loadBalancers",
            ),
            (
                json!({"settings": [{"name": "a", "value": "x"}]}),
                json!({"settings": [{"name": "b", "value": "x"}]}),
                "settings",
            ),
            (
                json!({"placementStrategy": [{"type": "spread"}, {"type": "binpack"}]}),
                json!({"placementStrategy": [{"type": "binpack"}, {"type": "spread"}]}),
                "placementStrategy",
            ),
        ];
        for (desired, observed, path) in rows {
            assert_eq!(
                drift(&desired, &observed),
                [path],
                "{desired} against {observed}"
            );
        }
    }

    #[test]
    fn order_and_omissions_of_aws_are_no_drift() {
        let rows = [
            (
                json!({"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["a", "b"], "assignPublicIp": "DISABLED"}}}),
                json!({"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["b", "a"], "securityGroups": ["default"]}}}),
            ),
            (
                json!({"enableExecuteCommand": false, "loadBalancers": []}),
                json!({}),
            ),
            (
                json!({"enableExecuteCommand": null}),
                json!({"enableExecuteCommand": false}),
            ),
            (
                json!({"placementStrategy": [{"type": "spread", "field": "host"}]}),
                json!({"placementStrategy": [{"type": "spread", "field": "instanceId"}]}),
            ),
            (
                json!({"settings": [{"name": "a", "value": "x"}]}),
                json!({"settings": [{"name": "new", "value": "y"}, {"name": "a", "value": "x"}]}),
            ),
            (
                json!({"capacityProviders": ["arn:aws:ecs:eu-central-1:1:capacity-provider/mine"]}),
                json!({"capacityProviders": ["mine"]}),
            ),
            (
                json!({"deploymentConfiguration": {"lifecycleHooks": [
                    {"hookTargetArn": "a", "lifecycleStages": ["PRE_SCALE_UP", "POST_SCALE_UP"]}, {"targetType": "PAUSE"}]}}),
                json!({"deploymentConfiguration": {"lifecycleHooks": [
                    {"targetType": "PAUSE", "timeoutConfiguration": {"timeoutInMinutes": 1440, "action": "ROLLBACK"}, "later": 1},
                    {"hookTargetArn": "a", "targetType": "AWS_LAMBDA", "lifecycleStages": ["POST_SCALE_UP", "PRE_SCALE_UP"]}]}}),
            ),
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
            assert_eq!(
                drift(&desired, &observed),
                [""; 0],
                "{desired} against {observed}"
            );
        }
    }
}
