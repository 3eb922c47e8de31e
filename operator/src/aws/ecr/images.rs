//! The images of repositories.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use super::operations as ecr;
use crate::aws::call::Reads;
use crate::aws::observer::{Answer, Key, Observer};
use crate::aws::read_budget::Turn;
use crate::aws::{AwsError, ErrorKind, Operation};

/// How many images a repository holds, for an object in `namespace`; at most a page of 1,000. Read
/// at every call.
///
/// # Errors
/// When the read fails.
pub async fn images(
    observer: &Observer,
    repository: &str,
    namespace: &str,
) -> Result<usize, AwsError> {
    let reads = observer.reads(Turn::Of(vec![namespace.to_owned()]));
    // Without a filter, ECR lists no archived images. An image is listed once for each of its tags.
    let filter = json!({"imageStatus": "ANY"});
    let request = json!({"repositoryName": repository, "maxResults": 1000, "filter": filter});
    let reply = reads.send(ecr::ListImages, &request).await?;
    let listed = reply["imageIds"].as_array().into_iter().flatten();
    let digests: BTreeSet<_> = listed.map(|image| image["imageDigest"].as_str()).collect();
    Ok(digests.len())
}

/// Tags of a repository, for an object in `namespace`; none of a repository with more than 1,000,
/// which ECR lists in no order. Read at every call.
///
/// # Errors
/// When the read fails.
pub async fn tags(
    observer: &Observer,
    image: &ImageKey,
    namespace: &str,
) -> Result<Vec<String>, AwsError> {
    let reads = observer.reads(Turn::Of(vec![namespace.to_owned()]));
    let request = json!({"registryId": image.registry(), "repositoryName": image.repository(),
        "maxResults": 1000, "filter": {"tagStatus": "TAGGED"}});
    let reply = reads.send(ecr::ListImages, &request).await?;
    if !reply["nextToken"].is_null() {
        return Ok(Vec::new());
    }
    let listed = reply["imageIds"].as_array().into_iter().flatten();
    let tags = listed.filter_map(|image| image["imageTag"].as_str());
    Ok(tags.map(str::to_owned).collect())
}

/// Codes of endpoints that do not have an operation.
const NO_OPERATION: [&str; 2] = ["InvalidAction", "UnknownOperationException"];

/// Whether ECR would create the repository at the first pull, by a pull-through cache rule of the
/// registry. Read at every call.
///
/// # Errors
/// When the read fails.
pub async fn is_pulled_through(
    observer: &Observer,
    image: &ImageKey,
    namespace: &str,
) -> Result<bool, AwsError> {
    let reads = observer.reads(Turn::Of(vec![namespace.to_owned()]));
    let request = json!({"registryId": image.registry(), "maxResults": 1000});
    let reply = reads
        .send(ecr::DescribePullThroughCacheRules, &request)
        .await;
    let reply = match reply {
        // Not every partition of AWS has such rules.
        Err(error)
            if error
                .code
                .as_deref()
                .is_some_and(|code| NO_OPERATION.contains(&code)) =>
        {
            return Ok(false);
        }
        reply => reply?,
    };
    let rules = reply["pullThroughCacheRules"]
        .as_array()
        .into_iter()
        .flatten();
    let mut prefixes = rules.filter_map(|rule| rule["ecrRepositoryPrefix"].as_str());
    Ok(prefixes.any(|prefix| {
        let rest = image.repository().strip_prefix(prefix);
        prefix == "ROOT" || rest.is_some_and(|rest| rest.starts_with('/'))
    }))
}

/// An image of a repository. Found is what DescribeImages shows of it, or `{"noRepository": true}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageKey {
    /// Account of the registry and name of the repository: `111122223333/shop/web`.
    pub place: String,
    /// Tag or digest.
    pub reference: ImageReference,
}

/// What names an image in its repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ImageReference {
    /// A tag.
    Tag(String),
    /// A digest, such as `sha256:…`.
    Digest(String),
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => write!(f, "tag {tag}"),
            Self::Digest(digest) => write!(f, "digest {digest}"),
        }
    }
}

impl fmt::Display for ImageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "image {} of {}", self.reference, self.place)
    }
}

impl ImageKey {
    /// Account of the registry.
    #[must_use]
    pub fn registry(&self) -> &str {
        self.place.split_once('/').unwrap_or_default().0
    }

    /// Name of the repository.
    #[must_use]
    pub fn repository(&self) -> &str {
        self.place.split_once('/').unwrap_or_default().1
    }

    fn id(&self) -> Value {
        match &self.reference {
            ImageReference::Tag(tag) => json!({"imageTag": tag}),
            ImageReference::Digest(digest) => json!({"imageDigest": digest}),
        }
    }

    fn is_in(&self, details: &Value) -> bool {
        match &self.reference {
            ImageReference::Tag(tag) => details["imageTags"]
                .as_array()
                .is_some_and(|tags| tags.iter().any(|other| other == tag)),
            ImageReference::Digest(digest) => details["imageDigest"] == *digest,
        }
    }
}

/// One missing image fails a call as a whole; then the batch is split.
impl Key for ImageKey {
    const WHAT: &'static str = "images";
    const OPERATION: Operation = ecr::DescribeImages;
    const BATCH: usize = 100;
    // A missing image costs the others of its call more calls.
    const ROOM_IS_FREE: bool = false;

    fn group(&self) -> &str {
        &self.place
    }

    async fn read(reads: &Reads<'_>, keys: &[Self]) -> Vec<Result<Answer, AwsError>> {
        let ids: Vec<_> = keys.iter().map(Self::id).collect();
        let request = json!({"registryId": keys[0].registry(), "repositoryName": keys[0].repository(), "imageIds": ids});
        let reply = reads.send(ecr::DescribeImages, &request).await;
        let answer = |key: &Self| match &reply {
            Ok(reply) => {
                let details = reply["imageDetails"].as_array().into_iter().flatten();
                let mut found = details.filter(|details| key.is_in(details));
                Ok(found.next().map_or(Answer::Missing, |details| {
                    Answer::Found(Arc::new(details.clone()))
                }))
            }
            Err(error) if error.code.as_deref() == Some("RepositoryNotFoundException") => {
                Ok(Answer::Found(Arc::new(json!({"noRepository": true}))))
            }
            Err(error) if error.kind == ErrorKind::Missing && keys.len() == 1 => {
                Ok(Answer::Missing)
            }
            Err(error) => Err(error.clone()),
        };
        keys.iter().map(answer).collect()
    }
}
