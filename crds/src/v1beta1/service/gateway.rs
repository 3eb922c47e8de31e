//! ECS gateways: shared load balancers that ECS runs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// Connection of a service to the gateway of its cluster.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayConnector {
    /// Name of a port mapping of the task definition.
    pub port_name: String,
    /// How the gateway tells whether a task is healthy.
    pub health_check: Option<GatewayHealthCheck>,
    /// Which traffic the service takes.
    pub filters: Option<GatewayConnectorFilters>,
    /// How long a stopping task keeps its connections.
    pub deregistration_delay: Option<GatewayDeregistrationDelay>,
}

/// How a gateway tells whether a task is healthy.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayHealthCheck {
    /// HTTP or HTTPS.
    pub health_check_protocol: Option<String>,
    /// Port that is asked; absent means the traffic port.
    #[schemars(range(min = 0, max = 65535))]
    pub health_check_port: Option<i32>,
    /// Path that is asked.
    pub health_check_path: Option<String>,
    /// Seconds after which a check has failed.
    pub health_check_timeout_seconds: Option<i32>,
    /// Seconds between two checks.
    pub health_check_interval_seconds: Option<i32>,
    /// Checks in a row that make a task healthy.
    pub healthy_threshold_count: Option<i32>,
    /// Failed checks in a row that make a task unhealthy.
    pub unhealthy_threshold_count: Option<i32>,
    /// Answers that count as healthy.
    pub matcher: Option<GatewayHealthCheckMatcher>,
}

/// Answers that count as healthy.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayHealthCheckMatcher {
    /// HTTP status codes, such as `200-299`.
    pub http_code: Option<String>,
    /// gRPC status codes, such as `0`.
    pub grpc_code: Option<String>,
}

/// Which traffic a service takes from the gateway.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayConnectorFilters {
    /// PUBLIC, PRIVATE or both.
    #[schemars(length(max = 2), extend("x-kubernetes-list-type" = "set"))]
    pub access_types: Option<Vec<String>>,
}

/// How long a stopping task keeps its connections.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayDeregistrationDelay {
    /// Seconds, 0 to 3600.
    #[schemars(range(min = 0, max = 3600))]
    pub timeout_seconds: Option<i32>,
}
