//! CloudWatch metrics and math over them, as scaling policies name them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// A metric, or an expression over the others.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricDataQuery {
    /// Name of the result, by which expressions refer to it: a lower-case letter, then letters,
    /// digits and underscores.
    #[schemars(length(min = 1, max = 255))]
    pub id: String,
    /// Metric math expression, such as `m1 / m2`. Exclusive with `metricStat`.
    #[schemars(length(min = 1, max = 2048))]
    pub expression: Option<String>,
    /// The metric. Exclusive with `expression`.
    pub metric_stat: Option<MetricStat>,
    /// Text that describes the result.
    pub label: Option<String>,
    /// Whether this is the result that the policy uses; one has true. AWS default true.
    pub return_data: Option<bool>,
}

/// A metric and the statistic of it.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricStat {
    /// The metric.
    pub metric: Metric,
    /// Statistic, such as Average or Sum.
    pub stat: String,
    /// Unit of the values; absent means all.
    #[schemars(length(min = 1, max = 1023))]
    pub unit: Option<String>,
}

/// A CloudWatch metric.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metric {
    /// Namespace, such as AWS/SQS.
    #[schemars(length(min = 1, max = 255))]
    pub namespace: Option<String>,
    /// Name of the metric.
    #[schemars(length(min = 1, max = 255))]
    pub metric_name: Option<String>,
    /// Dimensions of the metric.
    #[schemars(length(max = 30), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub dimensions: Option<Vec<MetricDimension>>,
}

/// A dimension of a metric.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricDimension {
    /// Name, such as QueueName.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// Value.
    #[schemars(length(min = 1, max = 1024))]
    pub value: String,
}
