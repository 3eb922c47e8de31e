//! The keys of repositories and their tags, and the calls that read them.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::operations as ecr;
use crate::aws::call::Reads;
use crate::aws::observer::{Answer, Key, Sweep};
use crate::aws::{AwsError, ErrorKind, Operation};

/// Name of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryKey(pub String);

/// ARN of a repository whose tags are meant. DescribeRepositories does not show them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryTagsKey(pub String);

impl fmt::Display for RepositoryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "repository {}", self.0)
    }
}

impl fmt::Display for RepositoryTagsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tags of {}", self.0)
    }
}

impl Key for RepositoryKey {
    const WHAT: &'static str = "repositories";
    const OPERATION: Operation = ecr::DescribeRepositories;
    const BATCH: usize = 100;

    fn group(&self) -> &'static str {
        ""
    }

    async fn read(reads: &Reads<'_>, keys: &[Self]) -> Vec<Result<Answer, AwsError>> {
        let names: Vec<_> = keys.iter().map(|key| key.0.as_str()).collect();
        let mut reply = match reads
            .send(
                ecr::DescribeRepositories,
                &json!({"repositoryNames": names}),
            )
            .await
        {
            Ok(reply) => reply,
            Err(error) if error.kind == ErrorKind::Missing && keys.len() == 1 => {
                return vec![Ok(Answer::Missing)];
            }
            // One missing name fails the whole call; the batch is split then.
            Err(error) => return keys.iter().map(|_| Err(error.clone())).collect(),
        };
        let Value::Array(found) = reply["repositories"].take() else {
            return keys
                .iter()
                .map(|_| {
                    Err(AwsError::incomplete(
                        ecr::DescribeRepositories,
                        "repositories",
                    ))
                })
                .collect();
        };
        let name = |repository: &Value| repository["repositoryName"].as_str().map(str::to_owned);
        let mut found: HashMap<_, _> = found
            .into_iter()
            .filter_map(|repository| Some((name(&repository)?, repository)))
            .collect();
        let answer = |RepositoryKey(name): &Self| match found.remove(name) {
            Some(repository) => Ok(Answer::Found(Arc::new(repository))),
            None => Err(AwsError::incomplete(
                ecr::DescribeRepositories,
                &format!("repository {name}"),
            )),
        };
        keys.iter().map(answer).collect()
    }
}

/// Found is the list of tags.
impl Key for RepositoryTagsKey {
    const WHAT: &'static str = "repository_tags";
    const OPERATION: Operation = ecr::ListTagsForResource;
    // ECR lists the tags of one repository a call.
    const BATCH: usize = 1;

    fn group(&self) -> &str {
        &self.0
    }

    fn steady(sweep: &Sweep) -> Duration {
        sweep.task_definitions
    }

    async fn read(reads: &Reads<'_>, keys: &[Self]) -> Vec<Result<Answer, AwsError>> {
        let request = json!({"resourceArn": keys[0].0});
        vec![match reads.send(ecr::ListTagsForResource, &request).await {
            Ok(mut reply) => Ok(Answer::Found(Arc::new(reply["tags"].take()))),
            Err(error) if error.kind == ErrorKind::Missing => Ok(Answer::Missing),
            Err(error) => Err(error),
        }]
    }
}
