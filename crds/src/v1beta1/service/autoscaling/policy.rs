//! Scaling policies: target tracking and steps.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::metrics::{MetricDataQuery, MetricDimension};
use super::predictive::PredictiveScalingPolicyConfiguration;
use crate::v1beta1::service::rules;

/// A scaling policy, with the one configuration of its type.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::scaling_policy()))]
pub struct ScalingPolicy {
    /// Name of the policy, unique in the service.
    #[schemars(length(min = 1, max = 256))]
    pub policy_name: String,
    /// StepScaling, TargetTrackingScaling or PredictiveScaling; default: the type of the
    /// configuration. A policy of another type replaces it.
    pub policy_type: Option<String>,
    /// Keeps a metric at a value.
    pub target_tracking_scaling_policy_configuration:
        Option<TargetTrackingScalingPolicyConfiguration>,
    /// Changes the number of tasks by steps when an alarm of your own invokes the policy.
    pub step_scaling_policy_configuration: Option<StepScalingPolicyConfiguration>,
    /// Scales ahead of the load that AWS forecasts.
    pub predictive_scaling_policy_configuration: Option<PredictiveScalingPolicyConfiguration>,
}

/// Keeps a metric at a value.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::target_tracking()))]
pub struct TargetTrackingScalingPolicyConfiguration {
    /// The value of the metric to keep.
    pub target_value: f64,
    /// A metric that AWS knows. Exclusive with `customizedMetricSpecification`.
    pub predefined_metric_specification: Option<PredefinedMetricSpecification>,
    /// A metric of your own. Exclusive with `predefinedMetricSpecification`.
    pub customized_metric_specification: Option<CustomizedMetricSpecification>,
    /// Seconds after tasks were added in which no more are added, unless more are needed than
    /// those. AWS default 300.
    #[schemars(range(min = 0))]
    pub scale_out_cooldown: Option<i32>,
    /// Seconds after tasks were removed in which no more are removed. AWS default 300.
    #[schemars(range(min = 0))]
    pub scale_in_cooldown: Option<i32>,
    /// Whether the policy removes no tasks. AWS default false.
    pub disable_scale_in: Option<bool>,
}

/// A metric that AWS knows.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PredefinedMetricSpecification {
    /// ECSServiceAverageCPUUtilization or ECSServiceAverageMemoryUtilization; of a service that
    /// publishes metrics every 20 seconds ECSServiceAverageCPUUtilizationHighResolution or
    /// ECSServiceAverageMemoryUtilizationHighResolution; or ALBRequestCountPerTarget.
    pub predefined_metric_type: String,
    /// With ALBRequestCountPerTarget, the ends of the ARNs of the load balancer and the target group:
    /// `app/NAME/ID/targetgroup/NAME/ID`.
    #[schemars(length(min = 1, max = 1023))]
    pub resource_label: Option<String>,
}

/// A metric of your own: one metric, or math over several in `metrics`.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomizedMetricSpecification {
    /// Name of the metric.
    pub metric_name: Option<String>,
    /// Namespace of the metric.
    pub namespace: Option<String>,
    /// Dimensions of the metric.
    #[schemars(length(max = 30), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub dimensions: Option<Vec<MetricDimension>>,
    /// Average, Minimum, Maximum, SampleCount or Sum.
    pub statistic: Option<String>,
    /// Unit of the metric.
    pub unit: Option<String>,
    /// Metrics and expressions over them, at most 10; one has `returnData: true`. Exclusive with the
    /// other members.
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"]))]
    pub metrics: Option<Vec<MetricDataQuery>>,
}

/// Changes the number of tasks by steps.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepScalingPolicyConfiguration {
    /// What a step means: ChangeInCapacity, PercentChangeInCapacity or ExactCapacity.
    pub adjustment_type: Option<String>,
    /// Steps by the distance of the metric from the threshold of the alarm, at most 20.
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "atomic"))]
    pub step_adjustments: Option<Vec<StepAdjustment>>,
    /// With PercentChangeInCapacity, the least number of tasks by which a step changes.
    pub min_adjustment_magnitude: Option<i32>,
    /// Seconds after a change in which no other one begins. AWS default 300.
    #[schemars(range(min = 0))]
    pub cooldown: Option<i32>,
    /// How the values of the metric become one: Average, Minimum or Maximum. AWS default Average.
    pub metric_aggregation_type: Option<String>,
}

/// One step.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepAdjustment {
    /// Least distance of the metric from the threshold; absent means no bound.
    pub metric_interval_lower_bound: Option<f64>,
    /// Greatest distance of the metric from the threshold; absent means no bound.
    pub metric_interval_upper_bound: Option<f64>,
    /// By how much, or with ExactCapacity to which number, the number of tasks changes.
    pub scaling_adjustment: i32,
}
