//! Metrics that ECS publishes for a service.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// Resolution of the metrics of a service.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceMonitoring {
    /// Metrics and their resolution, at most 5.
    #[schemars(length(max = 5), extend("x-kubernetes-list-type" = "atomic"))]
    pub metric_configurations: Option<Vec<MetricConfiguration>>,
}

/// Resolution of some metrics.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricConfiguration {
    /// Names of the metrics, 1 to 5.
    #[schemars(length(min = 1, max = 5), inner(length(min = 1, max = 255)), extend("x-kubernetes-list-type" = "set"))]
    pub metric_names: Vec<String>,
    /// Seconds between two values: 20 or 60.
    #[schemars(range(min = 20, max = 60))]
    pub resolution_seconds: i32,
}
