//! Whether service and task definition fit together. A schema sees only one object, so this is
//! checked before ECS is asked. Pure.
//!
//! Source: the messages of CreateService, such as "The container … does not exist in the task
//! definition" and "Network Configuration must be provided when networkMode 'awsvpc' is specified".

use ecs_operator_crds::v1beta1::service::LoadBalancer;
use ecs_operator_crds::v1beta1::task_definition::{ContainerDefinition, PortMapping};
use ecs_operator_crds::v1beta1::{EcsServiceSpec, EcsTaskDefinitionSpec};

/// What of the service does not fit its task definition, naming the field and the way out; `None`
/// when all does. The revision of an EcsTaskDefinition that is suspended or only observes may
/// differ from its spec, and a service that only observes sends nothing.
pub(super) fn validate(
    service: &EcsServiceSpec,
    definition: &EcsTaskDefinitionSpec,
) -> Option<String> {
    if definition.policies.observes()
        || definition.policies.suspends()
        || service.policies.observes()
    {
        return None;
    }
    network(service, definition)
        .or_else(|| {
            service
                .load_balancers
                .iter()
                .flatten()
                .find_map(|balancer| load_balancer(balancer, definition))
        })
        .or_else(|| service_connect(service, definition))
}

fn network(service: &EcsServiceSpec, definition: &EcsTaskDefinitionSpec) -> Option<String> {
    let awsvpc = definition.network_mode.as_deref() == Some("awsvpc");
    let configured = service
        .network_configuration
        .as_ref()
        .is_some_and(|network| network.awsvpc_configuration.is_some());
    match (awsvpc, configured) {
        (true, false) => Some(
            "networkConfiguration.awsvpcConfiguration is needed, because the task definition has networkMode awsvpc: name the subnets"
                .to_owned(),
        ),
        (false, true) => Some(
            "networkConfiguration.awsvpcConfiguration is only possible with a task definition of networkMode awsvpc: drop it, or set \
             networkMode there"
                .to_owned(),
        ),
        _ => None,
    }
}

fn load_balancer(balancer: &LoadBalancer, definition: &EcsTaskDefinitionSpec) -> Option<String> {
    let (name, port) = (balancer.container_name.as_ref()?, balancer.container_port?);
    let Some(container) = definition
        .container_definitions
        .iter()
        .find(|container| container.name == *name)
    else {
        return Some(format!(
            "loadBalancers[].containerName {name} is not a container of the task definition: {}",
            names(definition)
        ));
    };
    if ports(container).any(|mapping| {
        mapping.container_port == Some(port) || mapping.container_port_range.is_some()
    }) {
        return None;
    }
    let ports: Vec<_> = ports(container)
        .filter_map(|mapping| mapping.container_port)
        .map(|port| port.to_string())
        .collect();
    Some(format!(
        "loadBalancers[].containerPort {port} is not in the portMappings of container {name}, which has [{}]",
        ports.join(", ")
    ))
}

fn service_connect(service: &EcsServiceSpec, definition: &EcsTaskDefinitionSpec) -> Option<String> {
    let connect = service
        .service_connect_configuration
        .as_ref()
        .filter(|connect| connect.enabled)?;
    let named: Vec<_> = definition
        .container_definitions
        .iter()
        .flat_map(ports)
        .filter_map(|mapping| mapping.name.as_deref())
        .collect();
    let unknown = connect
        .services
        .iter()
        .flatten()
        .find(|service| !named.contains(&service.port_name.as_str()))?;
    Some(format!(
        "serviceConnectConfiguration.services[].portName {} is not the name of a port mapping of the task definition, which has [{}]",
        unknown.port_name,
        named.join(", ")
    ))
}

fn ports(container: &ContainerDefinition) -> impl Iterator<Item = &PortMapping> {
    container.port_mappings.iter().flatten()
}

fn names(definition: &EcsTaskDefinitionSpec) -> String {
    let names: Vec<_> = definition
        .container_definitions
        .iter()
        .map(|container| container.name.as_str())
        .collect();
    format!("it has [{}]", names.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn said(service: &Value, definition: &Value) -> Option<String> {
        let service = serde_json::from_value(service.clone()).expect("a valid service");
        validate(
            &service,
            &serde_json::from_value(definition.clone()).expect("a valid task definition"),
        )
    }

    #[test]
    fn names_members_that_do_not_fit_the_task_definition() {
        let definition = json!({"networkMode": "awsvpc", "containerDefinitions": [
            {"name": "web", "image": "i", "portMappings": [{"name": "http", "containerPort": 80}]}]});
        let bridge = json!({"networkMode": "bridge", "containerDefinitions": [{"name": "web", "image": "i"}]});
        let network = json!({"awsvpcConfiguration": {"subnets": ["s"]}});
        let balanced = |name: &str, port: i32| json!({"networkConfiguration": network, "loadBalancers": [{"targetGroupArn": "t", "containerName": name, "containerPort": port}]});
        let connected = |port: &str| json!({"networkConfiguration": network, "serviceConnectConfiguration": {"enabled": true, "services": [{"portName": port}]}});
        let mut observing = bridge.clone();
        observing["managementPolicy"] = json!("Observe");
        let mut suspended = bridge.clone();
        suspended["suspend"] = json!(true);
        let rows = [
            (balanced("web", 80), &observing, None),
            (balanced("web", 80), &suspended, None),
            (json!({"managementPolicy": "Observe"}), &definition, None),
            (balanced("web", 80), &definition, None),
            (connected("http"), &definition, None),
            (json!({}), &bridge, None),
            (
                json!({}),
                &definition,
                Some("networkConfiguration.awsvpcConfiguration is needed"),
            ),
            (
                json!({"networkConfiguration": network}),
                &bridge,
                Some("only possible with a task definition of networkMode awsvpc"),
            ),
            (
                balanced("wbe", 80),
                &definition,
                Some("containerName wbe is not a container of the task definition: it has [web]"),
            ),
            (
                balanced("web", 8080),
                &definition,
                Some(
                    "containerPort 8080 is not in the portMappings of container web, which has [80]",
                ),
            ),
            (
                connected("grpc"),
                &definition,
                Some(
                    "portName grpc is not the name of a port mapping of the task definition, which has [http]",
                ),
            ),
        ];
        for (service, definition, words) in rows {
            let said = said(&service, definition);
            match words {
                None => assert_eq!(said, None, "{service}"),
                Some(words) => assert!(
                    said.as_ref().is_some_and(|said| said.contains(words)),
                    "{service}: {said:?}"
                ),
            }
        }
    }
}
