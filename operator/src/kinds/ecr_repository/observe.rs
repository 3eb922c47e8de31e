//! Observes an EcrRepository: the repository and its tags, and at its deletion also its images.

use ecs_operator_crds::v1beta1::EcrRepository;
use tokio::time::Instant;

use super::observed::{ObservedRepository, PolicyText, Repository};
use super::policies::{ACCESS_POLICY, LIFECYCLE_POLICY, names};
use crate::aws::ecr::{
    self, LifecyclePolicyKey, RepositoryId, RepositoryKey, RepositoryPolicyKey, RepositoryTagsKey,
};
use crate::aws::observer::Answer;
use crate::aws::tags::{Ownership, Tags};
use crate::aws::{AwsError, Freshness};
use crate::k8s::conditions::is_deletion_blocked;
use crate::k8s::object::Object;
use crate::reconcile::Pass;

pub(super) async fn observe(
    object: &EcrRepository,
    pass: &Pass<'_, ObservedRepository>,
    freshness: Freshness,
) -> Result<ObservedRepository, AwsError> {
    let name = object.repository_name();
    let key = RepositoryKey(name.clone());
    pass.polls(key.clone());
    let repositories = pass.aws.observer.cache::<RepositoryKey>();
    let mut seen = repositories
        .get(key.clone(), freshness, pass.namespace())
        .await?;
    if object.is_deleting() && !matches!(seen.answer, Answer::Found(_)) {
        // The finalizer goes only after a fresh read.
        let fresh = Freshness::Confirmed(pass.began);
        seen = repositories
            .get(key.clone(), fresh, pass.namespace())
            .await?;
    }
    let mut at = seen.at;
    let mut repository = None;
    if let Answer::Found(json) = seen.answer {
        let tags = pass.aws.observer.cache::<RepositoryTagsKey>();
        let tags = tags
            .get(
                RepositoryTagsKey(RepositoryId::of(&json)),
                freshness,
                pass.namespace(),
            )
            .await?;
        at = at.min(tags.at);
        // Tags are missing if it was deleted between the two reads.
        if let Answer::Found(tags) = tags.answer {
            let mut found = Repository::read(json, Tags::read(&tags))?;
            at = at.min(
                read_policies(object, pass, freshness, &mut found)
                    .await?
                    .unwrap_or(at),
            );
            repository = Some(found);
        }
    }
    let may_be_there = repository.is_none() && repositories.may_be_there(&key);
    let images = match &repository {
        Some(repository) if counts_images(object, pass, repository, at) => {
            ecr::images(&pass.aws.observer, &name, pass.namespace()).await?
        }
        _ => 0,
    };
    Ok(ObservedRepository {
        at,
        repository,
        may_be_there,
        images,
    })
}

/// Reads the policies that the spec names, or has named before. Returns the time of the older read.
async fn read_policies(
    object: &EcrRepository,
    pass: &Pass<'_, ObservedRepository>,
    freshness: Freshness,
    repository: &mut Repository,
) -> Result<Option<Instant>, AwsError> {
    let (observer, namespace) = (&pass.aws.observer, pass.namespace());
    let id = RepositoryId::of(&repository.json);
    let mut at = None;
    if names(object, &LIFECYCLE_POLICY) {
        let cache = observer.cache::<LifecyclePolicyKey>();
        let key = LifecyclePolicyKey(id.clone());
        let seen = cache.get(key, freshness, namespace).await?;
        (at, repository.lifecycle) = (Some(seen.at), PolicyText::read(seen.answer));
    }
    if names(object, &ACCESS_POLICY) {
        let cache = observer.cache::<RepositoryPolicyKey>();
        let seen = cache
            .get(RepositoryPolicyKey(id), freshness, namespace)
            .await?;
        at = Some(at.map_or(seen.at, |at: Instant| at.min(seen.at)));
        repository.access = PolicyText::read(seen.answer);
    }
    Ok(at)
}

/// Whether the images keep the object from being deleted: they are counted right before the
/// deletion, and while the status says that there are some.
fn counts_images(
    object: &EcrRepository,
    pass: &Pass<'_, ObservedRepository>,
    repository: &Repository,
    at: Instant,
) -> bool {
    let is_blocked = is_deletion_blocked(object);
    let spec = &object.spec;
    let is_end =
        object.is_deleting() && !spec.policies.retains() && spec.force_delete != Some(true);
    let is_ours = pass.owner.of(&repository.tags) == Ownership::Ours;
    // Without a fresh read, the driver observes again before it deletes.
    is_end && is_ours && (is_blocked || at >= pass.began)
}
