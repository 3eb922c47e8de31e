//! What is known of a task.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use crate::reconcile::plan::Obstacle;
use crate::reconcile::references::Resolved;

/// What is known of an EcsTask: what it refers to, and the tasks of its current attempt.
#[derive(Clone, Debug)]
pub struct ObservedTask {
    /// When ECS was asked; `None` when no read was needed.
    pub at: Option<Instant>,
    /// The time of day of the look.
    pub now: Timestamp,
    /// Name of the cluster in ECS; `None` while the EcsCluster was never seen.
    pub cluster: Option<String>,
    /// Why a run must wait for its cluster.
    pub cluster_obstacle: Option<Obstacle>,
    /// The task definition that a run would have now.
    pub task_definition: Resolved,
    /// Whether the EcsTaskDefinition has a spec that was not reconciled yet.
    pub is_registering: bool,
    /// The tasks of the attempt that ECS shows and that the status does not know as stopped, by
    /// ARN.
    pub tasks: BTreeMap<String, Arc<Value>>,
    /// ARNs of tasks of the attempt that ECS no longer shows, and that nobody saw stop.
    pub forgotten: Vec<String>,
    /// The containers of the task definitions of the tasks, by ARN of the definition; `null` where
    /// they cannot be read.
    pub containers: BTreeMap<String, Arc<Value>>,
    /// Whether a call without a reply may have started tasks that ECS does not show yet.
    pub may_be_there: bool,
    /// Whether another process began the attempt, so that it is unknown which calls it sent.
    pub is_inherited: bool,
    /// Whether the API server is known to have the status, and with it the attempt.
    pub is_recorded: bool,
    /// Why ECS could not start all tasks, if this pass has asked it to.
    pub refusal: Option<String>,
}

impl ObservedTask {
    /// The tasks that run and that nobody has asked to stop.
    pub(super) fn unstopped(&self) -> impl Iterator<Item = &String> {
        let unstopped = self.tasks.iter().filter(|(_, task)| {
            task["lastStatus"] != "STOPPED" && task["desiredStatus"] != "STOPPED"
        });
        unstopped.map(|(arn, _)| arn)
    }

    /// The containers of the task definition of a task.
    pub(super) fn containers_of(&self, task: &Value) -> Option<&Value> {
        let definition = task["taskDefinitionArn"].as_str()?;
        self.containers
            .get(definition)
            .map(|containers| &**containers)
    }
}
