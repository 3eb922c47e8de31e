//! What keeps a repository from being deleted.

use std::collections::BTreeSet;

use serde_json::json;

use super::operations as ecr;
use crate::aws::AwsError;
use crate::aws::observer::Observer;
use crate::aws::read_budget::Turn;

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
