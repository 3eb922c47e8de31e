//! The read calls that follow rollouts: service deployments, service revisions, and tasks that
//! stopped.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use super::keys::ServiceKey;
use super::operations as ecs;
use super::replies::sort_out;
use crate::aws::call::Reads;
use crate::aws::observer::{Answer, Key};
use crate::aws::replies::arns;
use crate::aws::{AwsError, Operation};

/// ARN of a service deployment.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceDeploymentKey(pub String);

/// ARN of a service revision.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceRevisionKey(pub String);

/// The service whose tasks stopped.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoppedTasksKey(pub ServiceKey);

impl ServiceDeploymentKey {
    /// Whether it is one of this service: its ARN ends in `service-deployment/CLUSTER/SERVICE/ID`.
    pub(in crate::aws) fn is_of(&self, service: &ServiceKey) -> bool {
        let mut parts = self.0.rsplit('/').skip(1);
        parts.next() == Some(&service.name) && parts.next() == Some(&service.cluster)
    }
}

impl fmt::Display for ServiceDeploymentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "service deployment {}", self.0)
    }
}

impl fmt::Display for ServiceRevisionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "service revision {}", self.0)
    }
}

impl fmt::Display for StoppedTasksKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stopped tasks of {}", self.0)
    }
}

impl Key for ServiceDeploymentKey {
    const WHAT: &'static str = "service_deployments";
    const OPERATION: Operation = ecs::DescribeServiceDeployments;
    const BATCH: usize = 20;

    fn group(&self) -> &'static str {
        ""
    }

    async fn read(reads: &Reads<'_>, keys: &[Self]) -> Vec<Result<Answer, AwsError>> {
        let arns: Vec<_> = keys.iter().map(|key| key.0.as_str()).collect();
        let request = json!({"serviceDeploymentArns": arns});
        let reply = reads.send(ecs::DescribeServiceDeployments, &request).await;
        sort_out(
            ecs::DescribeServiceDeployments,
            reply,
            "serviceDeployments",
            "serviceDeploymentArn",
            &arns,
        )
    }
}

impl Key for ServiceRevisionKey {
    const WHAT: &'static str = "service_revisions";
    const OPERATION: Operation = ecs::DescribeServiceRevisions;
    const BATCH: usize = 20;

    fn group(&self) -> &'static str {
        ""
    }

    async fn read(reads: &Reads<'_>, keys: &[Self]) -> Vec<Result<Answer, AwsError>> {
        let arns: Vec<_> = keys.iter().map(|key| key.0.as_str()).collect();
        let reply = reads
            .send(
                ecs::DescribeServiceRevisions,
                &json!({"serviceRevisionArns": arns}),
            )
            .await;
        sort_out(
            ecs::DescribeServiceRevisions,
            reply,
            "serviceRevisions",
            "serviceRevisionArn",
            &arns,
        )
    }
}

/// How many stopped tasks of a service are looked at: the newest of a hundred tell the story.
const STOPPED: usize = 100;

/// Found is the list of tasks as DescribeTasks shows them; ECS forgets them after about an hour.
impl Key for StoppedTasksKey {
    const WHAT: &'static str = "stopped_tasks";
    const OPERATION: Operation = ecs::ListTasks;
    const BATCH: usize = 1;

    fn group(&self) -> &str {
        &self.0.cluster
    }

    async fn read(reads: &Reads<'_>, keys: &[Self]) -> Vec<Result<Answer, AwsError>> {
        vec![
            stopped(reads, &keys[0].0)
                .await
                .map(|tasks| Answer::Found(Arc::new(tasks))),
        ]
    }
}

async fn stopped(
    reads: &Reads<'_>,
    ServiceKey { cluster, name }: &ServiceKey,
) -> Result<Value, AwsError> {
    let request = json!({"cluster": cluster, "serviceName": name, "desiredStatus": "STOPPED", "maxResults": STOPPED});
    let listed = reads.send(ecs::ListTasks, &request).await?;
    let tasks: Vec<_> = arns(&listed, "taskArns").collect();
    if tasks.is_empty() {
        return Ok(json!([]));
    }
    let mut reply = reads
        .send(
            ecs::DescribeTasks,
            &json!({"cluster": cluster, "tasks": tasks}),
        )
        .await?;
    Ok(reply["tasks"].take())
}
