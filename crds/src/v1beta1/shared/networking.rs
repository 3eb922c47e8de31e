//! Network of tasks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// Network of tasks.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkConfiguration {
    /// Subnets and security groups in network mode awsvpc.
    pub awsvpc_configuration: Option<AwsVpcConfiguration>,
}

/// Subnets and security groups in network mode awsvpc.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsVpcConfiguration {
    /// Subnets of one VPC, 1 to 16.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub subnets: Vec<String>,
    /// Security groups, at most 5; absent means the default one of the VPC. Dropped from the spec
    /// of a service, they stay: write the ones that you want.
    #[schemars(length(max = 5), extend("x-kubernetes-list-type" = "atomic"))]
    pub security_groups: Option<Vec<String>>,
    /// Whether tasks get a public address: ENABLED or DISABLED. AWS default DISABLED.
    pub assign_public_ip: Option<String>,
}
