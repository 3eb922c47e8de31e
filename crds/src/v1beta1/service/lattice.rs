//! VPC Lattice.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// A VPC Lattice target group of a service.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VpcLatticeConfiguration {
    /// IAM role with which ECS registers tasks.
    pub role_arn: String,
    /// ARN of the target group.
    pub target_group_arn: String,
    /// Name of a port mapping of the task definition.
    pub port_name: String,
    /// Second target group and listener rules for deployments that shift traffic.
    pub advanced_configuration: Option<VpcLatticeAdvancedConfiguration>,
}

/// Second target group and listener rules of VPC Lattice.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VpcLatticeAdvancedConfiguration {
    /// ARN of the second target group.
    pub alternate_target_group_arn: Option<String>,
    /// ARN of the listener rule of production traffic.
    pub production_listener_rule: Option<String>,
    /// ARN of the listener rule of test traffic.
    pub test_listener_rule: Option<String>,
}
