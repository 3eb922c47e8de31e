//! The keys of repositories and their tags, and the calls that read them.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::operations as ecr;
use crate::aws::call::Reads;
use crate::aws::observer::{Answer, Key, Sweep};
use crate::aws::replies::{listed_tags, some_pages};
use crate::aws::{AwsError, ErrorKind, Operation};

/// Name of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryKey(pub String);

/// One repository: one that is created again under the same name is another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryId {
    /// ARN of the repository.
    pub arn: String,
    /// When it was created.
    pub created_at: String,
}

impl RepositoryId {
    /// The identity of a repository as ECR describes it.
    #[must_use]
    pub fn of(repository: &Value) -> Self {
        Self {
            arn: repository["repositoryArn"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            created_at: repository["createdAt"].to_string(),
        }
    }

    /// The name of the repository, which may have slashes.
    pub(super) fn name(&self) -> &str {
        let resource = self.arn.splitn(6, ':').nth(5).unwrap_or_default();
        resource.split_once('/').map_or(resource, |(_, name)| name)
    }
}

/// The tags of a repository. DescribeRepositories does not show them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryTagsKey(pub RepositoryId);

impl fmt::Display for RepositoryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "repository {}", self.0)
    }
}

impl fmt::Display for RepositoryTagsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tags of {}", self.0.arn)
    }
}

/// One missing name fails a call as a whole. Then a list of all repositories tells which there are,
/// unless that is longer than a call for each name.
impl Key for RepositoryKey {
    const WHAT: &'static str = "repositories";
    const OPERATION: Operation = ecr::DescribeRepositories;
    const BATCH: usize = 100;
    // A missing name costs the others of its call more calls.
    const ROOM_IS_FREE: bool = false;

    fn group(&self) -> &'static str {
        ""
    }

    async fn read(reads: &Reads<'_>, keys: &[Self]) -> Vec<Result<Answer, AwsError>> {
        let names: Vec<_> = keys.iter().map(|key| key.0.as_str()).collect();
        let request = json!({"repositoryNames": names});
        let replies = match reads.send(ecr::DescribeRepositories, &request).await {
            Err(error) if error.kind == ErrorKind::Missing && keys.len() == 1 => {
                return vec![Ok(Answer::Missing)];
            }
            Err(error) if error.kind == ErrorKind::Missing => {
                let request = json!({"maxResults": 1000});
                let listed =
                    some_pages(reads, ecr::DescribeRepositories, request, keys.len()).await;
                // The batch is split where the list is too long.
                listed.and_then(|pages| pages.ok_or(error))
            }
            reply => reply.map(|reply| vec![reply]),
        };
        match replies {
            Ok(replies) => answers(replies, keys),
            Err(error) => keys.iter().map(|_| Err(error.clone())).collect(),
        }
    }
}

/// One answer for each key: what no reply shows is missing.
fn answers(replies: Vec<Value>, keys: &[RepositoryKey]) -> Vec<Result<Answer, AwsError>> {
    let mut found = HashMap::new();
    for mut reply in replies {
        let Value::Array(repositories) = reply["repositories"].take() else {
            let error = AwsError::incomplete(ecr::DescribeRepositories, "repositories");
            return keys.iter().map(|_| Err(error.clone())).collect();
        };
        for repository in repositories {
            let name = repository["repositoryName"].as_str().map(str::to_owned);
            found.insert(name, repository);
        }
    }
    let answer = |RepositoryKey(name): &RepositoryKey| {
        let repository = found.remove(&Some(name.clone()));
        Ok(repository.map_or(Answer::Missing, |found| Answer::Found(Arc::new(found))))
    };
    keys.iter().map(answer).collect()
}

/// Found is the list of tags.
impl Key for RepositoryTagsKey {
    const WHAT: &'static str = "repository_tags";
    const OPERATION: Operation = ecr::ListTagsForResource;
    // ECR lists the tags of one repository a call.
    const BATCH: usize = 1;

    fn group(&self) -> &str {
        &self.0.arn
    }

    fn steady(sweep: &Sweep) -> Duration {
        sweep.task_definitions
    }

    async fn read(reads: &Reads<'_>, keys: &[Self]) -> Vec<Result<Answer, AwsError>> {
        vec![listed_tags(reads, Self::OPERATION, &keys[0].0.arn).await]
    }
}
