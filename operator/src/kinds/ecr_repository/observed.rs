//! What is known of a repository.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::aws::AwsError;
use crate::aws::ErrorKind;
use crate::aws::ecr;
use crate::aws::observer::Answer;
use crate::aws::tags::Tags;

/// What is known of a repository.
#[derive(Clone, Debug)]
pub struct ObservedRepository {
    /// When ECR was asked.
    pub at: Instant,
    /// The repository; `None` when there is none of that name.
    pub repository: Option<Repository>,
    /// Whether it may be there all the same: its creation got no reply.
    pub may_be_there: bool,
    /// Number of images, at most 1,000; 0 unless the object is being deleted.
    pub images: usize,
}

/// A repository in ECR: what decisions need.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Repository {
    /// ARN.
    pub repository_arn: String,
    /// Address for pushes and pulls.
    pub repository_uri: String,
    /// All of it, for the comparison.
    #[serde(skip)]
    pub json: Arc<Value>,
    /// Its tags, which ECR lists in a call of their own.
    #[serde(skip)]
    pub tags: Tags,
    /// Its lifecycle policy.
    #[serde(skip)]
    pub lifecycle: PolicyText,
    /// Its policy that gives others access.
    #[serde(skip)]
    pub access: PolicyText,
}

/// A policy of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PolicyText {
    /// The spec does not name it, so it was not read.
    #[default]
    NotRead,
    /// There is none.
    Absent,
    /// Its text.
    Text(String),
}

impl PolicyText {
    /// The answer of the observer that it is; `None` if it was not read.
    pub(super) fn answer(&self) -> Option<Answer> {
        match self {
            Self::NotRead => None,
            Self::Absent => Some(Answer::Missing),
            Self::Text(text) => Some(Answer::Found(Arc::new(text.clone().into()))),
        }
    }

    /// Reads an answer of the observer.
    pub(super) fn read(answer: Answer) -> Self {
        match answer {
            Answer::Found(text) => Self::Text(text.as_str().unwrap_or_default().to_owned()),
            Answer::Inactive | Answer::Missing => Self::Absent,
        }
    }
}

impl Repository {
    /// Reads what DescribeRepositories or CreateRepository says of a repository.
    pub(super) fn read(json: Arc<Value>, tags: Tags) -> Result<Self, AwsError> {
        let repository = Self::deserialize(&*json).map_err(|error| {
            let message = format!("the reply cannot be read: {error}");
            AwsError::new(ecr::DescribeRepositories, ErrorKind::Server, message)
        })?;
        Ok(Self {
            json,
            tags,
            ..repository
        })
    }
}
