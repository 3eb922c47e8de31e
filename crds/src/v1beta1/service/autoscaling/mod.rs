//! Service auto scaling: the scalable target, scaling policies and scheduled actions of Application
//! Auto Scaling that change the number of tasks of a service.
//!
//! The members are those of RegisterScalableTarget, PutScalingPolicy and PutScheduledAction, with a
//! lower-case first letter, less those that name the service.

mod metrics;
mod policy;
mod predictive;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

pub use metrics::{Metric, MetricDataQuery, MetricDimension, MetricStat};
pub use policy::{
    CustomizedMetricSpecification, PredefinedMetricSpecification, ScalingPolicy, StepAdjustment,
    StepScalingPolicyConfiguration, TargetTrackingScalingPolicyConfiguration,
};
pub use predictive::{
    MetricDataQueries, PredefinedPredictiveMetric, PredictiveMetricSpecification,
    PredictiveScalingPolicyConfiguration,
};

use super::rules;

/// How Application Auto Scaling changes the number of tasks of a service.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::autoscaling()))]
pub struct Autoscaling {
    /// Least number of tasks. 0 lets the service scale in to no task; CPU and memory have no value
    /// then, so only scheduled actions and policies on metrics of others scale it out again.
    #[schemars(range(min = 0))]
    pub min_capacity: i32,
    /// Greatest number of tasks.
    #[schemars(range(min = 0))]
    pub max_capacity: i32,
    /// Average CPU utilization in percent that the number of tasks is to keep: a target tracking
    /// policy named `cpu`.
    #[schemars(range(min = 1, max = 100))]
    pub cpu: Option<i32>,
    /// Average memory utilization in percent that the number of tasks is to keep: a target tracking
    /// policy named `memory`.
    #[schemars(range(min = 1, max = 100))]
    pub memory: Option<i32>,
    /// Messages in an SQS queue for each running task that the number of tasks is to keep: a target
    /// tracking policy named `queue-backlog`.
    pub queue_backlog_per_task: Option<QueueBacklogPerTask>,
    /// Which kinds of scaling are suspended. Dropped from the spec, none is.
    pub suspended_state: Option<SuspendedState>,
    /// Scaling policies by name, at most 50. AWS makes the alarms of target tracking policies and
    /// changes them; do not edit them.
    #[schemars(length(max = 50), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["policyName"]))]
    pub policies: Option<Vec<ScalingPolicy>>,
    /// Scheduled actions by name, at most 200. Each sets minCapacity and maxCapacity in AWS when it
    /// is due, and the operator keeps them until the spec changes.
    #[schemars(length(max = 200), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["scheduledActionName"]))]
    pub scheduled_actions: Option<Vec<ScheduledAction>>,
}

/// A queue and the messages in it that one task is to have waiting.
///
/// The metric is ApproximateNumberOfMessagesVisible of the queue, divided by RunningTaskCount of
/// the service, and by 1 while no task runs. RunningTaskCount needs Container Insights, which the
/// setting `containerInsights` of the cluster enables.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueueBacklogPerTask {
    /// Name of the SQS queue in the same account and Region.
    #[schemars(
        length(min = 1, max = 80),
        regex(pattern = r"^[a-zA-Z0-9_-]+(\.fifo)?$")
    )]
    pub queue_name: String,
    /// Messages for each task: the time that a message may wait, divided by the time that one takes.
    #[schemars(range(min = 1))]
    pub messages: i32,
}

/// Which kinds of scaling are suspended.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SuspendedState {
    /// Whether policies remove no tasks. AWS default false.
    pub dynamic_scaling_in_suspended: Option<bool>,
    /// Whether policies add no tasks. AWS default false.
    pub dynamic_scaling_out_suspended: Option<bool>,
    /// Whether scheduled actions do nothing. AWS default false.
    pub scheduled_scaling_suspended: Option<bool>,
}

/// A change of minCapacity and maxCapacity at a time.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::scheduled_action()))]
pub struct ScheduledAction {
    /// Name of the action, unique in the service.
    #[schemars(
        length(min = 1, max = 256),
        regex(pattern = r"^[^ :/|\x00-\x1f\x7f]([^:/|\x00-\x1f\x7f]*[^ :/|\x00-\x1f\x7f])?$")
    )]
    pub scheduled_action_name: String,
    /// When: `cron(0 22 * * ? *)` with minutes, hours, day of month, month, day of week and year;
    /// `rate(1 hour)`; or once, `at(2026-12-24T18:00:00)`.
    #[schemars(length(min = 1, max = 1600))]
    pub schedule: String,
    /// Time zone of the schedule, such as Europe/Berlin. AWS default UTC.
    #[schemars(length(min = 1, max = 1600))]
    pub timezone: Option<String>,
    /// From when on the action is due, as RFC 3339.
    pub start_time: Option<Time>,
    /// Until when the action is due, as RFC 3339.
    pub end_time: Option<Time>,
    /// What the action sets. If the number of tasks is outside of it, AWS moves it inside.
    pub scalable_target_action: ScalableTargetAction,
}

/// What a scheduled action sets.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalableTargetAction {
    /// Least number of tasks from then on.
    #[schemars(range(min = 0))]
    pub min_capacity: Option<i32>,
    /// Greatest number of tasks from then on.
    #[schemars(range(min = 0))]
    pub max_capacity: Option<i32>,
}

/// Observed state of service auto scaling.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AutoscalingStatus {
    /// ARN of the scalable target that the object owns.
    #[serde(rename = "scalableTargetARN")]
    pub scalable_target_arn: Option<String>,
    /// Least number of tasks in AWS.
    pub min_capacity: Option<i32>,
    /// Greatest number of tasks in AWS.
    pub max_capacity: Option<i32>,
    /// Why they differ from the spec.
    pub capacity_reason: Option<String>,
    /// Which kinds of scaling are suspended in AWS.
    pub suspended_state: Option<SuspendedState>,
    /// Minimum, maximum and suspension of the spec that AWS has accepted.
    pub applied: Option<AppliedCapacity>,
    /// Scaling policies of the spec. What the spec drops is deleted in AWS.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["policyName"]))]
    pub policies: Option<Vec<ScalingPolicyStatus>>,
    /// Scheduled actions of the spec. What the spec drops is deleted in AWS.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["scheduledActionName"]))]
    pub scheduled_actions: Option<Vec<ScheduledActionStatus>>,
    /// The last scaling activity that changed the number of tasks, or was to.
    pub last_activity: Option<ScalingActivityStatus>,
    /// Why the newest activity scaled nothing, such as AlreadyAtMaxCapacity.
    pub not_scaled_reason: Option<String>,
    /// Names of the policies and scheduled actions in AWS that the spec does not have and did not
    /// have. They stay.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub unmanaged: Option<Vec<String>>,
}

/// What AWS has accepted of the scalable target of the spec.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppliedCapacity {
    /// `minCapacity` of the spec.
    pub min_capacity: Option<i32>,
    /// `maxCapacity` of the spec.
    pub max_capacity: Option<i32>,
    /// `suspendedState` of the spec.
    pub suspended_state: Option<SuspendedState>,
}

/// A scaling activity of Application Auto Scaling.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingActivityStatus {
    /// ID of the activity.
    pub id: String,
    /// When it began.
    pub started_at: Option<Time>,
    /// Successful, Pending, InProgress, Overridden, Unfulfilled or Failed.
    pub status: Option<String>,
    /// What it did, in AWS's words.
    pub description: Option<String>,
    /// What caused it, in AWS's words.
    pub cause: Option<String>,
    /// What became of it, in AWS's words.
    pub message: Option<String>,
}

/// A scaling policy in AWS.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingPolicyStatus {
    /// Name.
    pub policy_name: String,
    /// StepScaling, TargetTrackingScaling or PredictiveScaling.
    pub policy_type: Option<String>,
    /// Names of the CloudWatch alarms that invoke it.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub alarms: Option<Vec<String>>,
    /// Hash of the policy that AWS accepted last.
    pub hash: Option<String>,
    /// Hash of what AWS showed when the operator sent the same policy once more. If it shows that
    /// again, it is reported, and not sent again.
    pub repaired_hash: Option<String>,
}

/// A scheduled action in AWS.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduledActionStatus {
    /// Name.
    pub scheduled_action_name: String,
    /// Hash of the action that AWS accepted last.
    pub hash: Option<String>,
    /// Hash of what AWS showed when the operator sent the same action once more. If it shows that
    /// again, it is reported, and not sent again.
    pub repaired_hash: Option<String>,
}
