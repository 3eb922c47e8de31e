//! Sends one write of an EcrRepository, and enters its reply into the observer.

use std::sync::Arc;

use ecs_operator_crds::v1beta1::EcrRepository;
use serde_json::Value;

use super::observed::{ObservedRepository, Repository};
use super::shape::UPDATES;
use crate::aws::ecr::{self, RepositoryKey, RepositoryTagsKey};
use crate::aws::observer::Answer;
use crate::aws::tags::Tags;
use crate::aws::{AwsError, Operation, Permit};
use crate::reconcile::Pass;
use crate::reconcile::lifecycle::Lifecycle;
use crate::reconcile::plan::Write;

const LIFECYCLE: Lifecycle = Lifecycle {
    create: ecr::CreateRepository,
    delete: ecr::DeleteRepository,
    deleted: &[],
};

pub(super) async fn apply(
    object: &EcrRepository,
    pass: &Pass<'_, ObservedRepository>,
    before: &ObservedRepository,
    write: &Write,
    permit: Permit,
) -> Result<ObservedRepository, AwsError> {
    let key = RepositoryKey(object.repository_name());
    let reply = LIFECYCLE.send(pass, &key, write, permit).await?;
    let present = before.repository.as_ref();
    let (json, tags) = match (write.operation, reply, present) {
        (ecr::DeleteRepository, ..) | (_, None, _) => return Ok(gone(pass, key, present)),
        (ecr::TagResource | ecr::UntagResource, Some(_), Some(present)) => (
            Arc::clone(&present.json),
            present.tags.after(&write.request),
        ),
        (ecr::CreateRepository, Some(mut reply), _) => (
            Arc::new(reply["repository"].take()),
            Tags::read(&write.request["tags"]),
        ),
        (_, Some(reply), Some(present)) => (
            Arc::new(updated(&present.json, write.operation, &reply)),
            present.tags.clone(),
        ),
        (_, Some(_), None) => return Err(AwsError::incomplete(write.operation, "repository")),
    };
    let repository = Repository::read(json, tags)?;
    let observer = &pass.aws.observer;
    let tags = Answer::Found(Arc::new(repository.tags.write(ecr::SERVICE.tag_shape)));
    observer
        .cache::<RepositoryTagsKey>()
        .enter(RepositoryTagsKey::of(&repository.json), tags);
    let seen = observer
        .cache::<RepositoryKey>()
        .enter(key, Answer::Found(Arc::clone(&repository.json)));
    Ok(ObservedRepository {
        at: seen.at,
        repository: Some(repository),
        ..*before
    })
}

/// The repository with the members that an update replaces, as its reply shows them.
fn updated(repository: &Value, operation: Operation, reply: &Value) -> Value {
    let mut repository = repository.clone();
    let replaced = UPDATES.iter().filter(|(update, _)| *update == operation);
    for member in replaced.flat_map(|(_, members)| members.iter()) {
        repository[*member] = reply[*member].clone();
    }
    repository
}

/// Enters that the repository is deleted.
fn gone(
    pass: &Pass<'_, ObservedRepository>,
    key: RepositoryKey,
    present: Option<&Repository>,
) -> ObservedRepository {
    if let Some(Repository { json, .. }) = present {
        let tags = pass.aws.observer.cache::<RepositoryTagsKey>();
        tags.enter(RepositoryTagsKey::of(json), Answer::Missing);
    }
    let seen = pass
        .aws
        .observer
        .cache::<RepositoryKey>()
        .enter(key, Answer::Missing);
    ObservedRepository {
        at: seen.at,
        repository: None,
        may_be_there: false,
        images: 0,
    }
}
