//! Predictive scaling policies.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::metrics::MetricDataQuery;

/// Scales ahead of the load that AWS forecasts.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PredictiveScalingPolicyConfiguration {
    /// The metrics to forecast and the value to keep; AWS takes one element.
    #[schemars(length(max = 1), extend("x-kubernetes-list-type" = "atomic"))]
    pub metric_specifications: Vec<PredictiveMetricSpecification>,
    /// ForecastOnly or ForecastAndScale. AWS default ForecastOnly.
    pub mode: Option<String>,
    /// Seconds by which tasks start ahead of the forecast. AWS default 300.
    #[schemars(range(min = 0, max = 3600))]
    pub scheduling_buffer_time: Option<i32>,
    /// What happens when the forecast is above maxCapacity: HonorMaxCapacity or
    /// IncreaseMaxCapacity, with which AWS raises maxCapacity above that of the spec. AWS default
    /// HonorMaxCapacity.
    pub max_capacity_breach_behavior: Option<String>,
    /// Percentage by which AWS may raise maxCapacity above the forecast. Needed with
    /// IncreaseMaxCapacity, and only with it.
    #[schemars(range(min = 0, max = 100))]
    pub max_capacity_buffer: Option<i32>,
}

/// The metrics to forecast, and the value to keep.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PredictiveMetricSpecification {
    /// The value of the scaling metric to keep.
    pub target_value: f64,
    /// A load metric and a scaling metric that AWS knows.
    pub predefined_metric_pair_specification: Option<PredefinedPredictiveMetric>,
    /// A scaling metric that AWS knows.
    pub predefined_scaling_metric_specification: Option<PredefinedPredictiveMetric>,
    /// A load metric that AWS knows.
    pub predefined_load_metric_specification: Option<PredefinedPredictiveMetric>,
    /// A scaling metric of your own.
    pub customized_scaling_metric_specification: Option<MetricDataQueries>,
    /// A load metric of your own.
    pub customized_load_metric_specification: Option<MetricDataQueries>,
    /// A metric of your own for the number of tasks.
    pub customized_capacity_metric_specification: Option<MetricDataQueries>,
}

/// A metric, or a pair of metrics, that AWS knows.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PredefinedPredictiveMetric {
    /// ECSServiceCPUUtilization, ECSServiceMemoryUtilization or ALBRequestCount of a pair; for one
    /// metric, such as ECSServiceAverageCPUUtilization and ECSServiceTotalCPUUtilization.
    #[schemars(length(min = 1, max = 128))]
    pub predefined_metric_type: String,
    /// With the metrics of a load balancer, the ends of the ARNs of the load balancer and the target
    /// group: `app/NAME/ID/targetgroup/NAME/ID`.
    #[schemars(length(min = 1, max = 1023))]
    pub resource_label: Option<String>,
}

/// Metrics and expressions over them, of which one is the result.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricDataQueries {
    /// Metrics and expressions, at most 10.
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"]))]
    pub metric_data_queries: Vec<MetricDataQuery>,
}
