//! Sends one write of an EcrRepository, and enters its reply into the observer.

use std::sync::Arc;

use ecs_operator_crds::v1beta1::EcrRepository;
use serde_json::Value;
use tokio::time::Instant;

use super::observed::{ObservedRepository, PolicyText, Repository};
use super::policies::{ACCESS_POLICY, LIFECYCLE_POLICY, names};
use super::shape::UPDATES;
use crate::aws::ecr::{
    self, LifecyclePolicyKey, RepositoryId, RepositoryKey, RepositoryPolicyKey, RepositoryTagsKey,
};
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
    let reply = match LIFECYCLE.send(pass, &key, write, permit).await {
        // Somebody else has deleted the policy.
        Err(error) if is_without_policy(&error) => Some(Value::Null),
        reply => reply?,
    };
    let present = before.repository.as_ref();
    let repository = match (write.operation, reply, present) {
        (ecr::DeleteRepository, ..) | (_, None, _) => return Ok(gone(pass, key, present)),
        (ecr::CreateRepository, Some(mut reply), _) => {
            let tags = Tags::read(&write.request["tags"]);
            let mut created = Repository::read(Arc::new(reply["repository"].take()), tags)?;
            for (policy, text) in [
                (&LIFECYCLE_POLICY, &mut created.lifecycle),
                (&ACCESS_POLICY, &mut created.access),
            ] {
                if names(object, policy) {
                    *text = PolicyText::Absent;
                }
            }
            created
        }
        (operation, Some(reply), Some(present)) => updated(present, operation, write, &reply),
        (_, Some(_), None) => return Err(AwsError::incomplete(write.operation, "repository")),
    };
    let at = enter(pass, key, &repository);
    Ok(ObservedRepository {
        at,
        repository: Some(repository),
        ..*before
    })
}

/// Whether a policy could not be deleted because there is none.
fn is_without_policy(error: &AwsError) -> bool {
    let codes = [
        "LifecyclePolicyNotFoundException",
        "RepositoryPolicyNotFoundException",
    ];
    error
        .code
        .as_deref()
        .is_some_and(|code| codes.contains(&code))
}

/// Enters what is known of the repository into the observer. Returns when.
fn enter(
    pass: &Pass<'_, ObservedRepository>,
    key: RepositoryKey,
    repository: &Repository,
) -> Instant {
    let observer = &pass.aws.observer;
    let id = RepositoryId::of(&repository.json);
    if let Some(answer) = repository.lifecycle.answer() {
        let policies = observer.cache::<LifecyclePolicyKey>();
        policies.enter(LifecyclePolicyKey(id.clone()), answer);
    }
    if let Some(answer) = repository.access.answer() {
        let policies = observer.cache::<RepositoryPolicyKey>();
        policies.enter(RepositoryPolicyKey(id.clone()), answer);
    }
    let tags = Answer::Found(Arc::new(repository.tags.write(ecr::SERVICE.tag_shape)));
    observer
        .cache::<RepositoryTagsKey>()
        .enter(RepositoryTagsKey(id), tags);
    let repositories = observer.cache::<RepositoryKey>();
    repositories
        .enter(key, Answer::Found(Arc::clone(&repository.json)))
        .at
}

/// The repository after a write.
fn updated(present: &Repository, operation: Operation, write: &Write, reply: &Value) -> Repository {
    let mut repository = present.clone();
    let text = |member: &str| {
        let text = write.request[member].as_str().map(str::to_owned);
        text.map_or(PolicyText::Absent, PolicyText::Text)
    };
    match operation {
        ecr::TagResource | ecr::UntagResource => {
            repository.tags = present.tags.after(&write.request);
        }
        ecr::PutLifecyclePolicy | ecr::DeleteLifecyclePolicy => {
            repository.lifecycle = text(LIFECYCLE_POLICY.text);
        }
        ecr::SetRepositoryPolicy | ecr::DeleteRepositoryPolicy => {
            repository.access = text(ACCESS_POLICY.text);
        }
        _ => repository.json = Arc::new(with_reply(&present.json, operation, reply)),
    }
    repository
}

/// The repository with the members that an update replaces, as its reply shows them.
fn with_reply(repository: &Value, operation: Operation, reply: &Value) -> Value {
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
        tags.enter(RepositoryTagsKey(RepositoryId::of(json)), Answer::Missing);
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
