//! Observes the newest revision of an EcsTaskDefinition.
//!
//! A revision never changes, so one that the status knows is not read again. Only before a write
//! the family is looked through: a revision that an earlier pass registered without learning of it
//! is found by its tags.

use std::time::Duration;

use ecs_operator_crds::v1beta1::EcsTaskDefinition;
use ecs_operator_crds::v1beta1::shared::Status;
use ecs_operator_crds::v1beta1::task_definition::ImageStatus;
use serde_json::Value;
use tokio::time::Instant;

use super::definition::is_same;
use super::image::{
    AS_WRITTEN, ImageProblem, UNVERIFIED, Why, images_in_ecr, known, nearest, parse, unresolved,
};
use super::observed::ObservedTaskDefinition;
use super::observed::Surplus;
use super::registrations::Registrations;
use super::revision::Revision;
use super::revision::number;
use super::revision::{Described, describe};
use super::shape::{has_surplus, known_arn, lacks_revisions};
use super::surplus::{self};
use crate::aws::ecr::{self, ImageKey, ImageReference};
use crate::aws::ecs::{FamilyKey, TaskDefinitionKey, listed};
use crate::aws::observer::{Answer, Seen};
use crate::aws::tags::Ownership;
use crate::aws::{AwsError, Freshness, time};
use crate::k8s::conditions::{self, whole_seconds};
use crate::k8s::object::Object;
use crate::reconcile::Pass;
use crate::reconcile::references::Dependants;

/// How long reads of ECR may fail before a revision is registered whose images were not looked up:
/// the operator may have no way to ECR.
const UNREAD: Duration = Duration::from_secs(60);

pub(super) async fn observe(
    object: &EcsTaskDefinition,
    pass: &Pass<'_, ObservedTaskDefinition>,
    freshness: Freshness,
) -> Result<ObservedTaskDefinition, AwsError> {
    pass.polls(FamilyKey(object.family()));
    if let Some(arn) = known_arn(object) {
        pass.polls(TaskDefinitionKey(arn.to_owned()));
    }
    if object.is_deleting() {
        return observe_end(object, pass, freshness).await;
    }
    let (revisions, families) = (
        pass.aws.observer.cache::<TaskDefinitionKey>(),
        pass.aws.observer.cache::<FamilyKey>(),
    );
    let family = FamilyKey(object.family());
    let resolution = resolve_images(object, pass, freshness).await?;
    let are_images_known = resolution.images
        == object
            .status
            .as_ref()
            .and_then(|status| status.images.clone());
    if let (Freshness::Any, Some(arn)) = (freshness, known_arn(object)) {
        let key = TaskDefinitionKey(arn.to_owned());
        let is_unseen = revisions.cached(&key).is_none() && families.cached(&family).is_none();
        let is_known = object
            .status
            .as_ref()
            .is_some_and(|status| !lacks_revisions(object, status));
        if is_unseen && is_settled(object) && is_known && are_images_known && !has_surplus(object) {
            return Ok(ObservedTaskDefinition {
                images: resolution.images,
                image_keys: resolution.keys,
                ..remembered(object, arn)
            });
        }
    }
    // As long as a registration has no answer, every look is one for what it made.
    let freshness = if unanswered(pass, None).is_some() {
        Freshness::Since(Instant::now())
    } else {
        freshness
    };
    let newest = families.get(family, freshness, pass.namespace()).await?;
    let mut observed = search(object, pass, freshness, &newest).await?;
    observed.unanswered = unanswered(pass, observed.current.as_ref());
    (observed.images, observed.image_keys) = (resolution.images, resolution.keys);
    let resolved = observed.resolve(object);
    let is_current = |current: &Revision| is_same(&resolved, current, &pass.owner);
    let is_registered = observed.current.as_ref().is_some_and(is_current);
    observed.unresolved = resolution.problem;
    observed.image_problem = match &observed.unresolved {
        None if !is_registered => find_image_problem(&resolved, pass, freshness).await?,
        _ => None,
    };
    let current = observed
        .current
        .as_ref()
        .filter(|current| is_current(current));
    // Old revisions can wait: the current one cannot.
    observed.surplus = surplus::observe(object, pass, current)
        .await
        .unwrap_or_else(|error| {
            tracing::warn!(family = object.family(), %error, "cannot look who uses old revisions");
            Surplus {
                left: 1,
                pause: error.kind.backoff().0,
                ..Surplus::default()
            }
        });
    Ok(observed)
}

/// What the tags of the images name.
#[derive(Default)]
struct Resolution {
    images: Option<Vec<ImageStatus>>,
    keys: Vec<ImageKey>,
    /// The first tag that names nothing, and never did.
    problem: Option<ImageProblem>,
}

/// Resolves the tags of images in ECR. Where ECR was not read yet or cannot be read, or the tag is
/// gone, the digest that the status has of it stays.
///
/// # Errors
/// When a read fails that may succeed in a moment.
async fn resolve_images(
    object: &EcsTaskDefinition,
    pass: &Pass<'_, ObservedTaskDefinition>,
    freshness: Freshness,
) -> Result<Resolution, AwsError> {
    let Some(mut images) = unresolved(object) else {
        return Ok(Resolution::default());
    };
    let region = &pass.aws.scope.region;
    let keys: Vec<_> = images
        .iter()
        .map(|image| parse(&image.image, region))
        .collect();
    for key in keys.iter().flatten() {
        pass.polls(key.clone());
    }
    let mut resolution = Resolution::default();
    for (image, key) in images.iter_mut().zip(&keys) {
        let Some(key) = key else { continue };
        match resolve(image, key, known(object, image), pass, freshness).await? {
            Ok(resolved) => *image = resolved,
            Err(problem) => resolution.problem = resolution.problem.or(Some(problem)),
        }
    }
    resolution.images = Some(images);
    resolution.keys = keys.into_iter().flatten().collect();
    Ok(resolution)
}

/// The image with the digest that its tag names, or why it names none. An image that the first pull
/// brings into ECR has none until then.
async fn resolve(
    image: &ImageStatus,
    key: &ImageKey,
    known: Option<&ImageStatus>,
    pass: &Pass<'_, ObservedTaskDefinition>,
    freshness: Freshness,
) -> Result<Result<ImageStatus, ImageProblem>, AwsError> {
    let cache = pass.aws.observer.cache::<ImageKey>();
    let seen = match known {
        // After a start, what the status knows is trusted until the first poll.
        Some(_) if matches!(freshness, Freshness::Any) => cache.cached(key),
        _ => match cache.get(key.clone(), freshness, pass.namespace()).await {
            Err(error) if known.is_none() || error.kind.passes() => return Err(error),
            Err(_) => cache.cached(key),
            Ok(seen) => Some(seen),
        },
    };
    if let Some(resolved) = with_digest_of(image, seen) {
        return Ok(Ok(resolved));
    }
    if let Some(known) = known {
        return Ok(Ok(known.clone()));
    }
    let why = match why_missing(key, pass, freshness).await {
        Err(error) if error.kind.passes() => return Err(error),
        Err(error) => {
            tracing::info!(%key, %error, "cannot look the image up in ECR, so its tag is not resolved");
            None
        }
        Ok(why) => why,
    };
    // A fresh read may have found it meanwhile.
    if why.is_none()
        && let Some(resolved) = with_digest_of(image, cache.cached(key))
    {
        return Ok(Ok(resolved));
    }
    Ok(why.map_or_else(
        || Ok(image.clone()),
        |why| {
            Err(ImageProblem {
                container: image.container.clone(),
                key: key.clone(),
                why,
                way_out: AS_WRITTEN,
            })
        },
    ))
}

/// The image with the digest that ECR shows; `None` if it shows none that can be pulled.
fn with_digest_of(image: &ImageStatus, seen: Option<Seen>) -> Option<ImageStatus> {
    let Answer::Found(details) = seen?.answer else {
        return None;
    };
    is_pullable(&details).then(|| ImageStatus {
        digest: details["imageDigest"].as_str().map(str::to_owned),
        pushed_at: time(&details["imagePushedAt"]).map(whole_seconds),
        ..image.clone()
    })
}

/// Whether an image that DescribeImages shows can be pulled. Source: `imageStatus` of ImageDetail,
/// ECR API reference.
fn is_pullable(details: &Value) -> bool {
    let status = &details["imageStatus"];
    details["noRepository"] != true && (status.is_null() || status == "ACTIVE")
}

/// Looks the images up that are in ECR, before a revision that names them is registered: while the
/// object waits for its turn to write, the cache is enough. What the operator may not read, or could
/// not read for a minute, is not known to be missing.
///
/// # Errors
/// When a read fails that may succeed in a moment.
async fn find_image_problem(
    object: &EcsTaskDefinition,
    pass: &Pass<'_, ObservedTaskDefinition>,
    freshness: Freshness,
) -> Result<Option<ImageProblem>, AwsError> {
    let spec = &object.spec;
    if spec.verify_images == Some(false) || spec.policies.observes() {
        return Ok(None);
    }
    for (container, key) in images_in_ecr(object, &pass.aws.scope.region) {
        let images = pass.aws.observer.cache::<ImageKey>();
        if matches!(freshness, Freshness::Any) && images.cached(&key).is_none() {
            continue;
        }
        match why_missing(&key, pass, freshness).await {
            Ok(None) => {}
            Ok(Some(why)) => {
                return Ok(Some(ImageProblem {
                    container: container.to_owned(),
                    key,
                    why,
                    way_out: UNVERIFIED,
                }));
            }
            Err(error) if error.kind.passes() && pass.state(|state| state.failing()) < UNREAD => {
                return Err(error);
            }
            Err(error) => {
                tracing::info!(family = object.family(), container, %error, "cannot look the image up in ECR, so it is not checked");
            }
        }
    }
    Ok(None)
}

/// Why an image cannot be pulled; `None` if it can.
async fn why_missing(
    key: &ImageKey,
    pass: &Pass<'_, ObservedTaskDefinition>,
    freshness: Freshness,
) -> Result<Option<Why>, AwsError> {
    let (observer, namespace) = (&pass.aws.observer, pass.namespace());
    let images = observer.cache::<ImageKey>();
    let seen = images.get(key.clone(), freshness, namespace).await?;
    Ok(match seen.answer {
        Answer::Found(details) if details["noRepository"] != true => {
            (!is_pullable(&details)).then_some(Why::Archived)
        }
        // The first pull of the image brings it into the repository, and creates that.
        _ if ecr::is_pulled_through(observer, key, namespace).await? => None,
        Answer::Found(_) => Some(Why::NoRepository),
        Answer::Inactive | Answer::Missing => {
            let nearest = match &key.reference {
                ImageReference::Tag(tag) => {
                    let tags = match ecr::tags(observer, key, namespace).await {
                        // The hint would come and go.
                        Err(error) if error.kind.passes() => return Err(error),
                        tags => tags.unwrap_or_default(),
                    };
                    if tags.contains(tag) && matches!(freshness, Freshness::Any) {
                        // It was pushed after what the cache holds was read.
                        let now = Freshness::Since(Instant::now());
                        return Box::pin(why_missing(key, pass, now)).await;
                    }
                    let others: Vec<_> = tags.into_iter().filter(|other| other != tag).collect();
                    nearest(tag, &others)
                }
                ImageReference::Digest(_) => Vec::new(),
            };
            Some(Why::NoImage(nearest))
        }
    })
}

/// How long ago a registration was sent whose result is unknown, unless one of these revisions is
/// its result.
fn unanswered<'a>(
    pass: &Pass<'_, ObservedTaskDefinition>,
    ours: impl IntoIterator<Item = &'a Revision>,
) -> Option<Duration> {
    pass.state(|state| {
        state.of_kind::<Registrations>().find(ours);
        state.of_kind::<Registrations>().unanswered()
    })
}

/// Whether the status speaks of the present spec and all was well.
fn is_settled(object: &EcsTaskDefinition) -> bool {
    let Some(status) = &object.status else {
        return false;
    };
    status.observed_generation() == object.metadata.generation
        && conditions::is_ready(status.conditions())
}

fn remembered(object: &EcsTaskDefinition, arn: &str) -> ObservedTaskDefinition {
    let status = object.status.clone().unwrap_or_default();
    let revision = status.revision.unwrap_or_default();
    let current = Revision {
        arn: arn.to_owned(),
        revision,
        hash: status.spec_hash,
        ..Revision::default()
    };
    ObservedTaskDefinition {
        current: Some(current),
        ..ObservedTaskDefinition::default()
    }
}

/// Looks through the newest revisions of the family for one of ours. What was read from a cache has
/// no time: a revision that an earlier pass registered without learning of it shows only in a fresh
/// look, so whatever is to be written waits for one.
async fn search(
    object: &EcsTaskDefinition,
    pass: &Pass<'_, ObservedTaskDefinition>,
    freshness: Freshness,
    newest: &Seen,
) -> Result<ObservedTaskDefinition, AwsError> {
    let mut oldest = newest.at;
    let mut observed = ObservedTaskDefinition {
        looked: true,
        ..ObservedTaskDefinition::default()
    };
    // A list may lag behind, and others may have registered more revisions since than it shows.
    let newest = listed(&newest.answer);
    let mut candidates: Vec<_> = newest
        .iter()
        .map(String::as_str)
        .chain(known_arn(object))
        .collect();
    candidates.sort_by_key(|arn| std::cmp::Reverse(number(arn)));
    candidates.dedup();
    for arn in candidates {
        let Some(Described {
            at,
            revision,
            ownership,
        }) = describe(pass, arn, freshness).await?
        else {
            continue;
        };
        oldest = oldest.min(at);
        if !observed.take(revision, ownership, object.spec.policies.observes()) {
            break;
        }
    }
    observed.at = match freshness {
        Freshness::Any => None,
        Freshness::Since(_) | Freshness::Confirmed(_) => Some(oldest),
    };
    Ok(observed)
}

/// At the end: all our revisions, whatever the status remembers. As long as the cache does, no
/// request is sent: for an object that waits for services, or for its turn to write, that is
/// enough.
async fn observe_end(
    object: &EcsTaskDefinition,
    pass: &Pass<'_, ObservedTaskDefinition>,
    freshness: Freshness,
) -> Result<ObservedTaskDefinition, AwsError> {
    let dependants = Dependants::of(object, &pass.context.stores);
    let mut observed = ObservedTaskDefinition {
        at: Some(Instant::now()),
        dependants,
        ..ObservedTaskDefinition::default()
    };
    if object.spec.policies.retains() {
        if let Some(arn) = known_arn(object) {
            let described = describe(pass, arn, freshness).await?;
            let ours = described.filter(|described| described.ownership == Ownership::Ours);
            observed.current = ours.map(|described| described.revision);
        }
        if let Freshness::Any = freshness {
            // What is to be marked is looked at before.
            observed.at = None;
        }
        return Ok(observed);
    }
    if observed.dependants.is_empty() {
        if let (Freshness::Any, Some(surplus)) = (freshness, surplus::expected(object, pass)) {
            return Ok(ObservedTaskDefinition {
                at: None,
                surplus,
                ..observed
            });
        }
        let (surplus, ours) = surplus::observe_all(object, pass).await?;
        observed.surplus = surplus;
        observed.unanswered = unanswered(pass, &ours);
    }
    Ok(observed)
}
