//! Observes an EcrRepository: the repository and its tags, and at its deletion also its images.

use ecs_operator_crds::v1beta1::EcrRepository;
use tokio::time::Instant;

use super::observed::{ObservedRepository, Repository};
use crate::aws::ecr::{self, RepositoryKey, RepositoryTagsKey};
use crate::aws::observer::Answer;
use crate::aws::tags::Tags;
use crate::aws::{AwsError, Freshness};
use crate::k8s::object::Object;
use crate::reconcile::Pass;

pub(super) async fn observe(
    object: &EcrRepository,
    pass: &Pass<'_, ObservedRepository>,
    freshness: Freshness,
) -> Result<ObservedRepository, AwsError> {
    let name = object.repository_name();
    let is_end = object.is_deleting() && !object.spec.policies.retains();
    // A deletion counts the images, so it needs a fresh read.
    let freshness = if is_end {
        Freshness::Since(Instant::now())
    } else {
        freshness
    };
    let key = RepositoryKey(name.clone());
    pass.polls(key.clone());
    let repositories = pass.aws.observer.cache::<RepositoryKey>();
    let seen = repositories
        .get(key.clone(), freshness, pass.namespace())
        .await?;
    let repository = match seen.answer {
        Answer::Found(json) => {
            let arn = json["repositoryArn"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let tags = pass.aws.observer.cache::<RepositoryTagsKey>();
            let tags = tags
                .get(RepositoryTagsKey(arn), freshness, pass.namespace())
                .await?;
            match tags.answer {
                Answer::Found(tags) => Some(Repository::read(json, Tags::read(&tags))?),
                // It was deleted between the two reads.
                Answer::Inactive | Answer::Missing => None,
            }
        }
        Answer::Inactive | Answer::Missing => None,
    };
    let may_be_there = repository.is_none() && repositories.may_be_there(&key);
    let images = match &repository {
        Some(_) if is_end => ecr::images(&pass.aws.observer, &name, pass.namespace()).await?,
        _ => 0,
    };
    Ok(ObservedRepository {
        at: seen.at,
        repository,
        may_be_there,
        images,
    })
}
