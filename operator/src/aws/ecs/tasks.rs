//! The keys of tasks that run on their own, and the calls that read them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::errors::lacks_cluster;
use super::operations as ecs;
use super::replies::sort_out;
use crate::aws::call::Reads;
use crate::aws::observer::{Answer, Key};
use crate::aws::replies::arns;
use crate::aws::{AwsError, ErrorKind, Operation};

/// Members of a task that decisions need.
const TASK: [&str; 10] = [
    "taskArn",
    "taskDefinitionArn",
    "lastStatus",
    "desiredStatus",
    "createdAt",
    "startedAt",
    "stoppedAt",
    "stopCode",
    "stoppedReason",
    "startedBy",
];

/// The same of a container of a task.
const CONTAINER: [&str; 3] = ["name", "exitCode", "reason"];

/// Cluster and ARN of a task.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskKey {
    /// Name of the cluster.
    pub cluster: String,
    /// ARN of the task.
    pub arn: String,
}

/// The tasks that were started together: the cluster, and the `startedBy` of the call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunKey {
    /// Name of the cluster.
    pub cluster: String,
    /// `startedBy` of the tasks.
    pub started_by: String,
}

/// ARN of the task definition revision whose containers are meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainersKey(pub String);

impl fmt::Display for TaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}", self.arn)
    }
}

impl fmt::Display for RunKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "tasks started by {} in cluster {}",
            self.started_by, self.cluster
        )
    }
}

impl fmt::Display for ContainersKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "containers of task definition {}", self.0)
    }
}

impl Key for TaskKey {
    const WHAT: &'static str = "tasks";
    const OPERATION: Operation = ecs::DescribeTasks;
    const BATCH: usize = 100;

    fn group(&self) -> &str {
        &self.cluster
    }

    async fn read(reads: &Reads<'_>, keys: &[Self]) -> Vec<Result<Answer, AwsError>> {
        let arns: Vec<_> = keys.iter().map(|key| key.arn.as_str()).collect();
        let request = json!({"cluster": keys[0].cluster, "tasks": arns});
        match reads.send(ecs::DescribeTasks, &request).await {
            // Without its cluster a task does not exist.
            Err(error) if lacks_cluster(&error) => {
                arns.iter().map(|_| Ok(Answer::Missing)).collect()
            }
            reply => sort_out(ecs::DescribeTasks, reply, "tasks", "taskArn", &arns)
                .into_iter()
                .map(|answer| answer.map(trimmed))
                .collect(),
        }
    }
}

/// Found is the list of tasks as DescribeTasks shows them, also those that have stopped: ECS shows
/// these for about an hour.
impl Key for RunKey {
    const WHAT: &'static str = "runs";
    const OPERATION: Operation = ecs::ListTasks;
    const BATCH: usize = 1;

    fn group(&self) -> &str {
        &self.cluster
    }

    async fn read(reads: &Reads<'_>, keys: &[Self]) -> Vec<Result<Answer, AwsError>> {
        vec![match started(reads, &keys[0]).await {
            Ok(tasks) => Ok(Answer::Found(Arc::new(tasks))),
            Err(error) if lacks_cluster(&error) => Ok(Answer::Found(Arc::new(json!([])))),
            Err(error) => Err(error),
        }]
    }
}

async fn started(
    reads: &Reads<'_>,
    RunKey {
        cluster,
        started_by,
    }: &RunKey,
) -> Result<Value, AwsError> {
    let mut tasks = Vec::new();
    for status in ["RUNNING", "STOPPED"] {
        let request = json!({"cluster": cluster, "startedBy": started_by, "desiredStatus": status});
        let listed = reads.send(ecs::ListTasks, &request).await?;
        tasks.extend(arns(&listed, "taskArns").map(str::to_owned));
    }
    if tasks.is_empty() {
        return Ok(json!([]));
    }
    tasks.sort();
    // A task may stop between the two calls.
    tasks.dedup();
    let request = json!({"cluster": cluster, "tasks": tasks});
    let reply = reads.send(ecs::DescribeTasks, &request).await?;
    let tasks = reply["tasks"].as_array().into_iter().flatten();
    Ok(tasks.map(task).collect())
}

fn trimmed(answer: Answer) -> Answer {
    match answer {
        Answer::Found(json) => Answer::Found(Arc::new(task(&json))),
        answer => answer,
    }
}

/// A task with what decisions need. Without its overrides, whose environment may have secrets.
#[must_use]
pub fn task(json: &Value) -> Value {
    let picked = |json: &Value, members: &[&str]| -> Value {
        let has = members.iter().filter(|member| !json[**member].is_null());
        let members = has.map(|member| ((*member).to_owned(), json[*member].clone()));
        Value::Object(members.collect())
    };
    let mut task = picked(json, &TASK);
    let containers = json["containers"].as_array().into_iter().flatten();
    task["containers"] = containers.map(|it| picked(it, &CONTAINER)).collect();
    task
}

/// Found is a list with name, `essential`, `logGroup` and `logPrefix` of each container. A revision
/// cannot change.
impl Key for ContainersKey {
    const WHAT: &'static str = "containers";
    const OPERATION: Operation = ecs::DescribeTaskDefinition;
    const BATCH: usize = 1;
    const UNWATCHED: Duration = Duration::from_secs(3600);

    fn group(&self) -> &str {
        &self.0
    }

    async fn read(reads: &Reads<'_>, keys: &[Self]) -> Vec<Result<Answer, AwsError>> {
        let request = json!({"taskDefinition": keys[0].0});
        vec![
            match reads.send(ecs::DescribeTaskDefinition, &request).await {
                Ok(reply) => Ok(Answer::Found(Arc::new(containers(&reply)))),
                Err(error) if error.kind == ErrorKind::Missing => Ok(Answer::Missing),
                Err(error) => Err(error),
            },
        ]
    }
}

fn containers(reply: &Value) -> Value {
    let definitions = reply["taskDefinition"]["containerDefinitions"].as_array();
    let container = |definition: &Value| {
        let logs = &definition["logConfiguration"];
        let option = |name: &str| {
            let is_awslogs = logs["logDriver"] == "awslogs";
            Some(&logs["options"][name]).filter(|_| is_awslogs)
        };
        json!({
            "name": definition["name"],
            "essential": definition["essential"].as_bool().unwrap_or(true),
            "logGroup": option("awslogs-group"),
            "logPrefix": option("awslogs-stream-prefix"),
        })
    };
    definitions.into_iter().flatten().map(container).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_containers_of_a_revision_are_those_with_what_a_run_needs_of_them() {
        let logs = json!({"logDriver": "awslogs", "options": {"awslogs-group": "/ecs/web", "awslogs-stream-prefix": "run"}});
        let definitions = json!([
            {"name": "web", "image": "web:1", "logConfiguration": logs},
            {"name": "proxy", "essential": false, "logConfiguration": {"logDriver": "awsfirelens", "options": {"awslogs-group": "x"}}},
        ]);
        assert_eq!(
            containers(&json!({"taskDefinition": {"containerDefinitions": definitions}})),
            json!([
                {"name": "web", "essential": true, "logGroup": "/ecs/web", "logPrefix": "run"},
                {"name": "proxy", "essential": false, "logGroup": null, "logPrefix": null},
            ])
        );
    }
}
