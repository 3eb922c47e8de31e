//! Observed state of an EcsTask.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::v1beta1::shared::{CommonStatus, status};

/// Observed state of the task.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("default" = {"observedGeneration": -1}))]
pub struct EcsTaskStatus {
    /// What every status reports.
    #[serde(flatten)]
    pub common: CommonStatus,
    /// Pending, Running, Succeeded or Failed.
    pub phase: Option<TaskPhase>,
    /// ARN of the task of the last attempt, of the first one with a `count`.
    pub task_arn: Option<String>,
    /// Exit code of the container that ended the task with an error; 0 after success.
    pub exit_code: Option<i32>,
    /// Name of the cluster in ECS that the run is in.
    pub cluster: Option<String>,
    /// The current run, or the last one.
    pub run: Option<RunStatus>,
    /// Tasks of the run that have not stopped.
    pub active: Option<i32>,
    /// Tasks of the last attempt that succeeded.
    pub succeeded: Option<i32>,
    /// Attempts of the run that failed.
    pub failed: Option<i32>,
    /// The last ten attempts, the newest first. ECS itself forgets tasks an hour after they have
    /// stopped.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub attempts: Option<Vec<AttemptStatus>>,
}
status!(EcsTaskStatus { arn: task_arn });

/// What became of an EcsTask, in the words of pods.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum TaskPhase {
    /// No task runs yet, or none runs until the next attempt.
    #[default]
    Pending,
    /// Tasks run or start.
    Running,
    /// All tasks have ended without an error.
    Succeeded,
    /// The run has failed, and is not tried again.
    Failed,
}

/// A run of the tasks, with all its attempts.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunStatus {
    /// Number of the run; more than 1 with `runPolicy: OnChange`.
    pub number: i64,
    /// Hash of what runs: another one begins a new run with `runPolicy: OnChange`.
    pub hash: String,
    /// Number of tasks of each attempt.
    pub count: i32,
    /// Task definition of the run, as it is sent to ECS.
    pub task_definition: String,
    /// The same, short: `family:revision`.
    pub revision: Option<String>,
    /// When the run began.
    pub start_time: Option<Time>,
    /// When it ended.
    pub completion_time: Option<Time>,
    /// How long it took, such as `1m12s`.
    pub duration: Option<String>,
    /// Attempts that failed for a reason that does not count for `backoffLimit`.
    pub not_counted: Option<i32>,
    /// Why it failed: BackoffLimitExceeded, DeadlineExceeded, FailurePolicy or ResultUnknown.
    pub failure: Option<String>,
}

/// One attempt of a run.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttemptStatus {
    /// Number of the run that it belongs to.
    pub run: i64,
    /// Number of the attempt within the run.
    pub number: i32,
    /// When it began.
    pub started_at: Option<Time>,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// Number of tasks that ECS has started by its answers. A call without an answer may have
    /// started more; it is repeated as it was.
    pub answered: Option<i32>,
    /// When a call got no answer, which may have started tasks all the same.
    pub unanswered_at: Option<Time>,
    /// How often ECS answered that it can start no task now. Each further call has a token of its
    /// own.
    pub refusals: Option<i32>,
    /// Why ECS could start no task, at its last answer.
    pub refusal: Option<String>,
    /// When ECS last answered so.
    pub refused_at: Option<Time>,
    /// How it ended; absent while it runs.
    pub result: Option<AttemptResult>,
    /// Reason of the failure, and the class of what `failurePolicy.notCounted` lists.
    pub reason: Option<String>,
    /// The same in words.
    pub message: Option<String>,
    /// Its tasks.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub tasks: Option<Vec<TaskStatus>>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum AttemptResult {
    /// All tasks ended without an error.
    #[default]
    Succeeded,
    /// A task failed.
    Failed,
    /// ECS forgot a task before the operator saw how it ended.
    Unknown,
}

/// A task as ECS showed it last.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskStatus {
    /// ARN of the task.
    pub task_arn: String,
    /// State of the task: PROVISIONING, PENDING, ACTIVATING, RUNNING, DEACTIVATING, STOPPING,
    /// DEPROVISIONING or STOPPED.
    pub last_status: String,
    /// When ECS took the task on.
    pub created_at: Option<Time>,
    /// When its containers started.
    pub started_at: Option<Time>,
    /// When it stopped.
    pub stopped_at: Option<Time>,
    /// Class of what stopped it, as ECS names it: EssentialContainerExited, TaskFailedToStart,
    /// UserInitiated, SpotInterruption and others.
    pub stop_code: Option<String>,
    /// Why it stopped, in AWS's words.
    pub stopped_reason: Option<String>,
    /// Its containers.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub containers: Option<Vec<ContainerStatus>>,
}

/// A container of a task as ECS showed it last.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerStatus {
    /// Name of the container.
    pub name: String,
    /// Whether the task ends with it; absent while the task definition is not known. Containers
    /// that AWS itself adds are not essential.
    pub essential: Option<bool>,
    /// Exit code; absent while it runs, and if it never ran.
    pub exit_code: Option<i32>,
    /// Why it ended, in AWS's words.
    pub reason: Option<String>,
    /// CloudWatch log group of the container, with log driver awslogs.
    pub log_group: Option<String>,
    /// Log stream of the container in that group.
    pub log_stream: Option<String>,
}
