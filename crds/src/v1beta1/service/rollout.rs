//! Rollouts of a service: how the operator follows and reports them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::v1beta1::shared::ObjectReference;

/// What decides the number of tasks: Spec (default where `desiredCount` is set) or External, for
/// `kubectl scale`, autoscalers and Application Auto Scaling. Without `desiredCount` the operator
/// leaves the number to ECS. With `autoscaling`, it can be External only.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum DesiredCountOwner {
    /// The spec: another number in ECS is set back.
    #[default]
    Spec,
    /// A new number in the spec is sent once, and a change in ECS, such as by Application Auto
    /// Scaling, is kept.
    External,
}

/// How the operator judges rollouts. None of this is sent to ECS.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutPolicy {
    /// Seconds without progress after which a rollout counts as failed, as in a Deployment; default
    /// 600. ECS continues it. More tasks, another stage and another traffic weight are progress;
    /// bake times, hooks and pauses do not count.
    #[schemars(range(min = 1))]
    pub progress_deadline_seconds: Option<i32>,
    /// Seconds for which the tasks of a new rollout must run, without one that fails, before the
    /// service is Ready, as in a Deployment; default 0. After a failure, Ready waits for this time
    /// or for `unavailableAfterSeconds`, whichever is longer.
    #[schemars(range(min = 0))]
    pub min_ready_seconds: Option<i32>,
    /// Seconds that tasks of a service that was steady may be missing, or fail one after the other,
    /// before it is Unavailable; default 60.
    #[schemars(range(min = 0))]
    pub unavailable_after_seconds: Option<i32>,
    /// Whether a change of `enableExecuteCommand`, `enableECSManagedTags` or `propagateTags`
    /// replaces the tasks, by a forced deployment; default false: ECS gives it to new tasks only,
    /// and the condition RestartRequired says so.
    pub restart_on_settings: Option<bool>,
    /// Tasks that must succeed before the service gets a new revision of its task definition, such
    /// as a migration. One with the same `taskDefinitionRef` must have run with that revision. If
    /// one fails, the service runs the revision before.
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "atomic"))]
    pub before: Option<Vec<RolloutGate>>,
}

/// A task that must succeed.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutGate {
    /// EcsTask in the same namespace. With `runPolicy: OnChange` it runs for each revision.
    pub task_ref: ObjectReference,
}

/// Phase of a rollout.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum RolloutPhase {
    /// ECS has accepted it and not begun.
    Pending,
    /// Tasks are being replaced, or traffic shifts.
    #[default]
    InProgress,
    /// All tasks run, and ECS watches them for the bake time.
    Baking,
    /// A pause hook waits for the annotation `ecs-operator.dev/continueAt`.
    AwaitingApproval,
    /// ECS is rolling back to the previous revision.
    RollingBack,
    /// Only the new revision runs.
    Succeeded,
    /// ECS has rolled back to the previous revision.
    RolledBack,
    /// The deployment failed, and there was no revision to roll back to, or the rollback failed.
    Failed,
    /// It was stopped.
    Stopped,
    /// A newer rollout began before it ended.
    Superseded,
}

impl RolloutPhase {
    /// Whether the rollout has ended.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::RolledBack | Self::Failed | Self::Stopped | Self::Superseded
        )
    }

    /// Whether the new revision was not deployed.
    #[must_use]
    pub fn is_failure(self) -> bool {
        matches!(
            self,
            Self::RollingBack | Self::RolledBack | Self::Failed | Self::Stopped
        )
    }
}

/// The current rollout, or the last one.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    /// Revision that it deploys: `family:revision`.
    pub revision: String,
    /// Hash of the revision and the spec without `desiredCount` and tags; empty for a failed
    /// rollout whose spec was changed back to what ECS runs.
    pub hash: String,
    /// ID of the deployment, `ecs-svc/…`.
    pub id: Option<String>,
    /// ARN of the service deployment, if ECS shows one.
    pub service_deployment_arn: Option<String>,
    /// ARN of the service revision that it deploys, if ECS shows one.
    pub service_revision_arn: Option<String>,
    /// ROLLING, BLUE_GREEN, LINEAR or CANARY.
    pub strategy: Option<String>,
    /// Phase of the rollout.
    pub phase: RolloutPhase,
    /// Stage in the life cycle of a deployment, such as PRODUCTION_TRAFFIC_SHIFT.
    pub lifecycle_stage: Option<String>,
    /// The pause hook that awaits approval.
    pub hook: Option<HookStatus>,
    /// ID of the lifecycle hook that runs (status IN_PROGRESS in ECS). The progress deadline waits
    /// for its end.
    pub hook_in_progress: Option<String>,
    /// Percent of the production traffic that ECS asks the load balancer to send to it, 0 to 100.
    pub requested_production_traffic_weight: Option<f64>,
    /// Percent of the test traffic, likewise.
    pub requested_test_traffic_weight: Option<f64>,
    /// Minutes that ECS waits on purpose before the next step of the traffic shift:
    /// `canaryBakeTimeInMinutes`, `stepBakeTimeInMinutes` or `bakeTimeInMinutes` of the service,
    /// and what a Network Load Balancer takes. They extend the progress deadline. Absent where ECS
    /// does not wait.
    pub bake_time_in_minutes: Option<i32>,
    /// Tasks that it wants.
    pub requested_count: Option<i32>,
    /// Tasks of it that run.
    pub running_count: Option<i32>,
    /// Most tasks of it that have run at once.
    pub peak_count: Option<i32>,
    /// Tasks of it on their way to running.
    pub pending_count: Option<i32>,
    /// Tasks of it that could not start or failed their checks.
    pub failed_count: Option<i32>,
    /// Share of the wanted tasks that run.
    pub percent: Option<i32>,
    /// Settings of the service when it was first seen, or when no task ran. ECS gives a later
    /// change to new tasks only.
    pub task_settings: Option<TaskSettings>,
    /// When it began.
    pub started_at: Option<Time>,
    /// When it last made progress.
    pub progressed_at: Option<Time>,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// Why it is in its phase, in AWS's words.
    pub reason: Option<String>,
}

/// Settings of a service that ECS gives to new tasks only.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskSettings {
    /// Whether ECS Exec may open sessions in the containers.
    pub enable_execute_command: bool,
    /// Whether tasks get the tags of ECS.
    #[serde(rename = "enableECSManagedTags")]
    pub enable_ecs_managed_tags: bool,
    /// Whose tags tasks inherit: SERVICE, TASK_DEFINITION or NONE.
    pub propagate_tags: String,
}

/// A pause hook that awaits approval.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HookStatus {
    /// ID of the hook.
    pub id: String,
    /// When ECS stops waiting and does what the hook says for that case.
    pub expires_at: Option<Time>,
}

/// An earlier rollout.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutRecord {
    /// Revision that it deployed: `family:revision`.
    pub revision: String,
    /// Hash of the revision and the spec without `desiredCount` and tags.
    pub hash: String,
    /// ID of the deployment, `ecs-svc/…`.
    pub id: Option<String>,
    /// Its last phase.
    pub result: RolloutPhase,
    /// When it began.
    pub started_at: Option<Time>,
    /// How long it took, in seconds.
    pub duration_seconds: Option<i64>,
    /// Why it did not succeed, with what AWS said.
    pub reason: Option<String>,
}

/// A deployment that failed in ECS.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailedDeployment {
    /// The task definition that was to run, as it was sent to ECS.
    pub task_definition: String,
    /// Hash of what was asked for, as in `rollout`; something else is a new attempt.
    pub hash: String,
    /// Its last phase.
    pub result: RolloutPhase,
    /// What ECS said.
    pub message: String,
    /// IDs of the failed deployments of that task definition, where ECS shows them, to know a later
    /// one from them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deployment_ids: Vec<String>,
}

/// A revision that a command deployed instead of the one in the spec.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rollback {
    /// Revision that runs: `family:revision`.
    pub revision: String,
    /// Revision or task definition that the spec asks for.
    pub instead_of: String,
    /// Hash of what the spec asked for at that time, as in `rollout`; something else ends the
    /// rollback.
    pub hash: String,
}

/// A command by annotation that was handled.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HandledCommand {
    /// The annotation.
    pub annotation: String,
    /// Its value; the same value is not handled again.
    pub value: String,
    /// Why it was refused; absent when it was carried out.
    pub refused: Option<String>,
}

/// A task that stopped for a reason that needs attention. One of each reason is kept.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoppedTask {
    /// ID of the task.
    pub task_id: String,
    /// Revision of the task: `family:revision`.
    pub revision: Option<String>,
    /// Class of the reason, such as TaskImagePullFailed; the events carry the same.
    pub reason: String,
    /// The reason in AWS's words.
    pub message: String,
    /// Container that ended it.
    pub container: Option<String>,
    /// Exit code of that container.
    pub exit_code: Option<i32>,
    /// When it stopped.
    pub stopped_at: Option<Time>,
}

/// Tasks that failed one after the other although the rollout had completed.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskFailures {
    /// When the first of them stopped, in AWS's time.
    pub first_at: Time,
    /// When the last of them stopped, in AWS's time.
    pub last_at: Time,
}

/// An event of the service in ECS.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceEvent {
    /// ID of the event.
    pub id: String,
    /// When it happened.
    pub created_at: Option<Time>,
    /// What happened, in AWS's words.
    pub message: String,
}
