//! What keeps a repository from being deleted.

use serde_json::json;

use super::operations as ecr;
use crate::aws::AwsError;
use crate::aws::observer::Observer;
use crate::aws::read_budget::Turn;

/// How many images a repository holds, for an object in `namespace`; at most a page of 1,000. Read at every call.
///
/// # Errors
/// When the read fails.
pub async fn images(
    observer: &Observer,
    repository: &str,
    namespace: &str,
) -> Result<usize, AwsError> {
    let reads = observer.reads(Turn::Of(vec![namespace.to_owned()]));
    let reply = reads
        .send(
            ecr::ListImages,
            &json!({"repositoryName": repository, "maxResults": 1000}),
        )
        .await?;
    Ok(reply["imageIds"].as_array().map_or(0, Vec::len))
}
