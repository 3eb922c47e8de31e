//! Checks a task definition for what RegisterTaskDefinition refuses and the rules of the schema
//! cannot check within the cost limits of the API server. Pure.
//!
//! Sources: ContainerDependency in the ECS API reference, and the messages of
//! RegisterTaskDefinition, such as "The secret name must be unique and not shared with any new or
//! existing environment variables set on the container".

use std::collections::BTreeSet;

use ecs_operator_crds::v1beta1::EcsTaskDefinitionSpec;
use ecs_operator_crds::v1beta1::task_definition::ContainerDefinition;

/// Returns what ECS refuses in the spec, with the path and the way out; `None` when it finds
/// nothing.
pub(super) fn problem(spec: &EcsTaskDefinitionSpec) -> Option<String> {
    cycle(&spec.container_definitions)
        .map(|names| {
            format!(
                "containerDefinitions[].dependsOn: {} is a cycle, in which no container can start first: drop one of these dependencies",
                names.join(" -> ")
            )
        })
        .or_else(|| spec.container_definitions.iter().find_map(variable_of_two_sources))
}

/// Finds a variable that stands in both `environment` and `secrets` of the container.
fn variable_of_two_sources(container: &ContainerDefinition) -> Option<String> {
    let plain: BTreeSet<_> = container
        .environment
        .iter()
        .flatten()
        .map(|variable| variable.name.as_str())
        .collect();
    let secret = container
        .secrets
        .iter()
        .flatten()
        .find(|secret| plain.contains(secret.name.as_str()))?;
    Some(format!(
        "containerDefinitions[].secrets[].name: container {} has {} in environment, too: keep one of them",
        container.name, secret.name
    ))
}

/// Finds a cycle of `dependsOn` and returns the names of its containers, the first one again at the
/// end.
fn cycle(containers: &[ContainerDefinition]) -> Option<Vec<&str>> {
    // Remove containers that wait for no other one, until none is removed. What remains has a
    // cycle.
    let mut left: Vec<_> = containers.iter().collect();
    loop {
        let names: BTreeSet<_> = left
            .iter()
            .map(|container| container.name.as_str())
            .collect();
        left.retain(|container| waits_for(container).any(|name| names.contains(name)));
        if left.len() == names.len() {
            break;
        }
    }
    let mut walked = vec![left.first()?.name.as_str()];
    loop {
        let last = walked.last()?;
        let container = left.iter().find(|container| container.name == *last)?;
        let next = waits_for(container)
            .find(|name| left.iter().any(|container| container.name == *name))?;
        let seen = walked.iter().position(|name| *name == next);
        walked.push(next);
        if let Some(seen) = seen {
            return Some(walked.split_off(seen));
        }
    }
}

fn waits_for(container: &ContainerDefinition) -> impl Iterator<Item = &str> {
    container
        .depends_on
        .iter()
        .flatten()
        .map(|dependency| dependency.container_name.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn said(containers: &Value) -> Option<String> {
        let spec = serde_json::from_value(json!({"containerDefinitions": containers}))
            .expect("a valid spec");
        problem(&spec)
    }

    fn container(name: &str, waits_for: &[&str]) -> Value {
        let dependencies: Vec<_> = waits_for
            .iter()
            .map(|name| json!({"containerName": name, "condition": "START"}))
            .collect();
        json!({"name": name, "image": "i", "dependsOn": dependencies})
    }

    #[test]
    fn a_cycle_of_dependencies_is_named() {
        let chain = json!([
            container("a", &["b", "c"]),
            container("b", &["c"]),
            container("c", &[]),
            container("d", &["a"])
        ]);
        assert_eq!(said(&chain), None);
        let rows = [
            (
                json!([container("a", &["b"]), container("b", &["a"])]),
                "a -> b -> a is a cycle",
            ),
            // The way into a cycle and the way out of it are no part of it.
            (
                json!([
                    container("in", &["a"]),
                    container("a", &["out", "b"]),
                    container("b", &["c"]),
                    container("c", &["a", "out"]),
                    container("out", &[]),
                ]),
                "dependsOn: a -> b -> c -> a is a cycle",
            ),
            (json!([container("a", &["a"])]), "a -> a is a cycle"),
        ];
        for (containers, words) in rows {
            let said = said(&containers);
            assert!(
                said.as_ref().is_some_and(|said| said.contains(words)),
                "{containers}: {said:?}"
            );
        }
        assert_eq!(
            said(&json!([container("a", &["nobody"])])),
            None,
            "the schema refuses this"
        );
    }

    #[test]
    fn a_variable_from_environment_and_secrets_is_named() {
        let with = |secret: &str| {
            json!([
                {"name": "other", "image": "i", "secrets": [{"name": "A", "valueFrom": "s"}]},
                {"name": "web", "image": "i", "environment": [{"name": "A", "value": "1"}, {"name": "B"}],
                 "secrets": [{"name": secret, "valueFrom": "s"}]},
            ])
        };
        assert_eq!(said(&with("C")), None);
        assert_eq!(
            said(&with("B")).as_deref(),
            Some(
                "containerDefinitions[].secrets[].name: container web has B in environment, too: keep one of them"
            )
        );
    }
}
