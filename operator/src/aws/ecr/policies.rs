//! The keys of the policies of repositories, and the calls that read them. ECR shows the policies
//! of one repository a call.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::keys::RepositoryId;
use super::operations as ecr;
use crate::aws::call::Reads;
use crate::aws::observer::{Answer, Key, Sweep};
use crate::aws::{AwsError, ErrorKind, Operation};

/// The lifecycle policy of a repository. Found is its text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LifecyclePolicyKey(pub RepositoryId);

/// The policy of a repository that gives others access. Found is its text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryPolicyKey(pub RepositoryId);

impl fmt::Display for LifecyclePolicyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lifecycle policy of {}", self.0.arn)
    }
}

impl fmt::Display for RepositoryPolicyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "policy of {}", self.0.arn)
    }
}

impl Key for LifecyclePolicyKey {
    const WHAT: &'static str = "lifecycle_policies";
    const OPERATION: Operation = ecr::GetLifecyclePolicy;
    const BATCH: usize = 1;

    fn group(&self) -> &str {
        &self.0.arn
    }

    fn steady(sweep: &Sweep) -> Duration {
        sweep.task_definitions
    }

    async fn read(reads: &Reads<'_>, keys: &[Self]) -> Vec<Result<Answer, AwsError>> {
        vec![text(reads, Self::OPERATION, &keys[0].0, "lifecyclePolicyText").await]
    }
}

impl Key for RepositoryPolicyKey {
    const WHAT: &'static str = "repository_policies";
    const OPERATION: Operation = ecr::GetRepositoryPolicy;
    const BATCH: usize = 1;

    fn group(&self) -> &str {
        &self.0.arn
    }

    fn steady(sweep: &Sweep) -> Duration {
        sweep.task_definitions
    }

    async fn read(reads: &Reads<'_>, keys: &[Self]) -> Vec<Result<Answer, AwsError>> {
        vec![text(reads, Self::OPERATION, &keys[0].0, "policyText").await]
    }
}

/// The text of a policy; missing where the repository has none.
async fn text(
    reads: &Reads<'_>,
    operation: Operation,
    repository: &RepositoryId,
    member: &str,
) -> Result<Answer, AwsError> {
    let request = json!({"repositoryName": repository.name()});
    match reads.send(operation, &request).await {
        Ok(mut reply) => match reply[member].take() {
            Value::String(text) => Ok(Answer::Found(Arc::new(text.into()))),
            _ => Err(AwsError::incomplete(operation, "policy")),
        },
        Err(error) if error.kind == ErrorKind::Missing => Ok(Answer::Missing),
        Err(error) => Err(error),
    }
}
