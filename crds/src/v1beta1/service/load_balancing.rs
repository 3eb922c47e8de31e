//! Load balancers and service discovery.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// A target group or Classic Load Balancer that sends traffic to one container of the tasks.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancer {
    /// ARN of the target group of an Application or Network Load Balancer.
    pub target_group_arn: Option<String>,
    /// Name of a Classic Load Balancer.
    pub load_balancer_name: Option<String>,
    /// Name of the container, as in the task definition.
    pub container_name: Option<String>,
    /// Port of the container, as in its port mappings.
    #[schemars(range(min = 0, max = 65535))]
    pub container_port: Option<i32>,
    /// Second target group and listener rules for BLUE_GREEN, LINEAR and CANARY deployments.
    pub advanced_configuration: Option<AdvancedConfiguration>,
}

/// Second target group and listener rules for deployments that shift traffic.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdvancedConfiguration {
    /// ARN of the second target group; ECS swaps the two with every deployment.
    pub alternate_target_group_arn: Option<String>,
    /// ARN of the listener rule (or Network Load Balancer listener) of production traffic.
    pub production_listener_rule: Option<String>,
    /// ARN of the listener rule (or listener) of test traffic.
    pub test_listener_rule: Option<String>,
    /// IAM role with which ECS changes the load balancer.
    pub role_arn: Option<String>,
}

/// A Cloud Map service in which tasks are registered.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRegistry {
    /// ARN of the Cloud Map service.
    pub registry_arn: Option<String>,
    /// Port of an SRV record, in network mode awsvpc.
    #[schemars(range(min = 0, max = 65535))]
    pub port: Option<i32>,
    /// Container of an SRV record.
    pub container_name: Option<String>,
    /// Container port of an SRV record.
    #[schemars(range(min = 0, max = 65535))]
    pub container_port: Option<i32>,
}
