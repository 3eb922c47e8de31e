//! One revision.

use std::sync::Arc;

use serde_json::Value;
use tokio::time::Instant;

use crate::aws::ecs::TaskDefinitionKey;
use crate::aws::observer::{Answer, Seen};
use crate::aws::tags::{Ownership, SPEC_HASH, Tags};
use crate::aws::{AwsError, Freshness};
use crate::reconcile::Pass;

/// One revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revision {
    /// ARN.
    pub arn: String,
    /// Number.
    pub revision: i32,
    /// Hash of the request that made it.
    pub hash: Option<String>,
    /// Tags; `None` when they were not read.
    pub tags: Option<Tags>,
    /// The definition as ECS describes it, of a revision without that hash.
    pub definition: Option<Arc<Value>>,
}

impl Revision {
    /// Reads an answer of the observer.
    pub(super) fn read(json: &Value) -> Self {
        let tags = Tags::read(&json["tags"]);
        Self {
            arn: json["taskDefinitionArn"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            revision: json["revision"]
                .as_i64()
                .and_then(|number| i32::try_from(number).ok())
                .unwrap_or_default(),
            hash: tags.0.get(SPEC_HASH).cloned(),
            tags: Some(tags),
            definition: json.get("definition").cloned().map(Arc::new),
        }
    }
}

/// The number in the ARN of a revision.
pub(super) fn number(arn: &str) -> i32 {
    arn.rsplit(':')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

/// Whether a revision, as ECS describes it, is still registered.
pub(crate) fn is_active(json: &Value) -> bool {
    json["status"] != "INACTIVE"
}

/// A registered revision.
#[derive(Clone, Debug)]
pub(super) struct Described {
    /// When it was read.
    pub(super) at: Instant,
    pub(super) revision: Revision,
    /// Whose it is now.
    pub(super) ownership: Ownership,
}

/// Describes a revision; `None` when it is no longer registered.
pub(super) async fn describe<O>(
    pass: &Pass<'_, O>,
    arn: &str,
    freshness: Freshness,
) -> Result<Option<Described>, AwsError> {
    let revisions = pass.aws.observer.cache::<TaskDefinitionKey>();
    let Seen { at, answer } = revisions
        .get(
            TaskDefinitionKey(arn.to_owned()),
            freshness,
            pass.namespace(),
        )
        .await?;
    let Answer::Found(json) = answer else {
        return Ok(None);
    };
    let revision = Revision::read(&json);
    let ownership = revision
        .tags
        .as_ref()
        .map_or(Ownership::Nobody, |tags| pass.owner.of(tags));
    Ok(is_active(&json).then_some(Described {
        at,
        revision,
        ownership,
    }))
}
