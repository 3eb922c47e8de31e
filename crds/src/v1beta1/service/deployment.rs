//! How a service replaces its tasks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::v1beta1::shared::FreeJson;

/// How a service replaces its tasks.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentConfiguration {
    /// Stops, and on request rolls back, a rolling deployment whose tasks keep failing.
    pub deployment_circuit_breaker: Option<DeploymentCircuitBreaker>,
    /// Most tasks during a deployment, in percent of the desired count. AWS default 200, for DAEMON
    /// 100.
    #[schemars(range(min = 0))]
    pub maximum_percent: Option<i32>,
    /// Fewest healthy tasks during a deployment, in percent of the desired count. AWS default 100,
    /// for DAEMON 0.
    #[schemars(range(min = 0))]
    pub minimum_healthy_percent: Option<i32>,
    /// CloudWatch alarms that stop, and on request roll back, a deployment.
    pub alarms: Option<DeploymentAlarms>,
    /// ROLLING, BLUE_GREEN, LINEAR or CANARY. AWS default ROLLING.
    pub strategy: Option<String>,
    /// Minutes during which old and new tasks run side by side after traffic has moved, 0 to 1440.
    /// AWS default 0.
    #[schemars(range(min = 0, max = 1440))]
    pub bake_time_in_minutes: Option<i32>,
    /// Lambda functions and pauses at stages of a deployment; at most 10 of each.
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "atomic"))]
    pub lifecycle_hooks: Option<Vec<DeploymentLifecycleHook>>,
    /// Steps of strategy LINEAR.
    pub linear_configuration: Option<LinearConfiguration>,
    /// Step of strategy CANARY.
    pub canary_configuration: Option<CanaryConfiguration>,
    /// When a rolling deployment counts as done before every old task is gone.
    pub early_success_criteria: Option<EarlySuccessCriteria>,
}

/// Stops a rolling deployment whose tasks keep failing.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentCircuitBreaker {
    /// Whether failing tasks stop the deployment.
    pub enable: bool,
    /// Whether the service then goes back to the last deployment that completed.
    pub rollback: bool,
    /// Whether a healthy task sets the count of failures back. AWS default true.
    pub reset_on_healthy_task: Option<bool>,
    /// Number of failures that stops the deployment.
    pub threshold_configuration: Option<ThresholdConfiguration>,
}

/// Number of failures that stops a deployment.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ThresholdConfiguration {
    /// COUNT, BOUNDED_PERCENT (of the desired count, held between 3 and 200) or UNBOUNDED_PERCENT.
    /// AWS default BOUNDED_PERCENT.
    #[serde(rename = "type")]
    pub type_: String,
    /// The number or percentage. AWS default 50.
    pub value: i32,
}

/// CloudWatch alarms that stop a deployment.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentAlarms {
    /// Names of the alarms. One that is in ALARM already when a deployment starts is ignored for
    /// it.
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub alarm_names: Vec<String>,
    /// Whether the service then goes back to the last deployment that completed.
    pub rollback: bool,
    /// Whether the alarms count.
    pub enable: bool,
}

/// A Lambda function or a pause at stages of a deployment.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentLifecycleHook {
    /// AWS_LAMBDA or PAUSE. AWS default AWS_LAMBDA.
    pub target_type: Option<String>,
    /// ARN of the Lambda function.
    pub hook_target_arn: Option<String>,
    /// IAM role with which ECS calls the function.
    pub role_arn: Option<String>,
    /// Stages at which the hook runs: RECONCILE_SERVICE, PRE_SCALE_UP, POST_SCALE_UP,
    /// TEST_TRAFFIC_SHIFT, POST_TEST_TRAFFIC_SHIFT, PRE_PRODUCTION_TRAFFIC_SHIFT,
    /// PRODUCTION_TRAFFIC_SHIFT, POST_PRODUCTION_TRAFFIC_SHIFT. A pause cannot stand at a traffic
    /// shift itself.
    #[schemars(length(max = 20), inner(length(max = 64)), extend("x-kubernetes-list-type" = "set"))]
    pub lifecycle_stages: Option<Vec<String>>,
    /// Free JSON that is handed to the function.
    pub hook_details: Option<FreeJson>,
    /// How long the hook may take, and what happens then.
    pub timeout_configuration: Option<HookTimeoutConfiguration>,
}

/// How long a hook may take.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HookTimeoutConfiguration {
    /// Minutes, 1 to 20160. AWS default 1440 (a day).
    #[schemars(range(min = 1, max = 20160))]
    pub timeout_in_minutes: Option<i32>,
    /// ROLLBACK or CONTINUE. AWS default ROLLBACK.
    pub action: Option<String>,
}

/// Steps of strategy LINEAR.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinearConfiguration {
    /// Percent of the traffic that moves with each step, 3 to 100. AWS default 10.
    #[schemars(range(min = 3.0, max = 100.0))]
    pub step_percent: Option<f64>,
    /// Minutes between two steps, 0 to 1440. AWS default 6.
    #[schemars(range(min = 0, max = 1440))]
    pub step_bake_time_in_minutes: Option<i32>,
}

/// Step of strategy CANARY.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryConfiguration {
    /// Percent of the traffic that moves first, 0.1 to 100. AWS default 5.
    #[schemars(range(min = 0.1, max = 100.0))]
    pub canary_percent: Option<f64>,
    /// Minutes until the rest follows, 0 to 1440. AWS default 10.
    #[schemars(range(min = 0, max = 1440))]
    pub canary_bake_time_in_minutes: Option<i32>,
}

/// When a rolling deployment counts as done before every old task is gone.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EarlySuccessCriteria {
    /// Whether these criteria count.
    pub enable: bool,
    /// Percent of the new tasks that must be healthy, 0 to 100. ECS needs it with `enable: true`;
    /// dropped from the spec, it stays.
    #[schemars(range(min = 0, max = 100))]
    pub healthy_percent: Option<i32>,
    /// Whether the deployment waits for the old tasks to go: BLOCKING or DEFERRED. ECS needs it
    /// with `enable: true`; dropped from the spec, it stays.
    pub source_service_revision_cleanup: Option<String>,
}

/// Who carries out deployments.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentController {
    /// ECS, CODE_DEPLOY or EXTERNAL.
    #[serde(rename = "type")]
    pub type_: String,
}
