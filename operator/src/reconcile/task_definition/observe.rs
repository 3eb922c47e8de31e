//! First door of EcsTaskDefinition: the newest revision that is ours.
//!
//! A revision never changes, so one that the status knows is not read again. Only before a write the family is looked
//! through: a revision that an earlier pass registered without learning of it is found by its tags.

use std::time::Instant;

use ecs_operator_crds::v1beta1::shared::Status;
use ecs_operator_crds::v1beta1::{DeletionPolicy, EcsTaskDefinition};
use serde_json::Value;

use super::{Kind, TaskDefinitionExt, known_arn};
use crate::aws::observer::{Answer, TaskDefinitionKey};
use crate::aws::tags::{Owner, Ownership, SPEC_HASH, Tags};
use crate::aws::{Fault, Freshness};
use crate::k8s::conditions;
use crate::reconcile::references::Dependants;
use crate::reconcile::{Context, references};

/// How far back the family is searched for a revision of ours.
const SEARCH: usize = 10;

/// What is known of a family.
#[derive(Clone, Debug, Default)]
pub struct ObservedTaskDefinition {
    /// When the family was looked through; `None` where the revision was taken as known.
    pub at: Option<Instant>,
    /// Our newest ACTIVE revision.
    pub current: Option<Revision>,
    /// The newest ACTIVE revision and whose it is, where none is ours.
    pub foreign: Option<(Revision, Ownership)>,
    /// ARNs of all our ACTIVE revisions; empty unless the object is being deleted.
    pub ours: Vec<String>,
    /// EcsServices that refer to it; none unless it is being deleted.
    pub dependants: Dependants,
}

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
}

impl Revision {
    /// Reads an answer of the observer.
    pub(super) fn read(json: &Value) -> Self {
        let tags = Tags::read(&json["tags"]);
        Self {
            arn: json["taskDefinitionArn"].as_str().unwrap_or_default().to_owned(),
            revision: json["revision"].as_i64().and_then(|number| i32::try_from(number).ok()).unwrap_or_default(),
            hash: tags.0.get(SPEC_HASH).cloned(),
            tags: Some(tags),
        }
    }
}

pub(super) async fn observe(
    object: &EcsTaskDefinition,
    context: &Context,
    freshness: Freshness,
) -> Result<ObservedTaskDefinition, Fault> {
    if object.is_deleting() {
        return observe_end(object, context).await;
    }
    if let (Freshness::Any, Some(arn)) = (freshness, known_arn(object)) {
        let revisions = context.aws.observer.task_definitions();
        let key = TaskDefinitionKey(arn.to_owned());
        if revisions.cached(&key).is_none() && is_settled(object) {
            return Ok(remembered(object, arn));
        }
        if let Answer::Found(json) = revisions.get(key, Freshness::Any).await?.answer {
            // Without a time: a revision that an earlier pass registered without learning of it shows only in a search, so
            // whatever is to be written has to wait for one.
            return Ok(ObservedTaskDefinition { current: Some(Revision::read(&json)), ..Default::default() });
        }
    }
    search(object, context).await
}

/// Whether the status speaks of the present spec and all was well.
fn is_settled(object: &EcsTaskDefinition) -> bool {
    let Some(status) = &object.status else { return false };
    status.observed_generation() == object.metadata.generation && conditions::is_ready(status.conditions())
}

fn remembered(object: &EcsTaskDefinition, arn: &str) -> ObservedTaskDefinition {
    let status = object.status.clone().unwrap_or_default();
    let revision = status.revision.unwrap_or_default();
    let current = Revision { arn: arn.to_owned(), revision, hash: status.spec_hash, tags: None };
    ObservedTaskDefinition { current: Some(current), ..Default::default() }
}

/// Looks through the newest revisions of the family for one of ours.
async fn search(object: &EcsTaskDefinition, context: &Context) -> Result<ObservedTaskDefinition, Fault> {
    let mut observed = ObservedTaskDefinition { at: Some(Instant::now()), ..Default::default() };
    let owner = context.owner(object);
    let newest = context.aws.observer.newest_revisions(&object.family(), SEARCH).await?;
    // Others may have registered more revisions since than we look through.
    let known = known_arn(object).filter(|known| !newest.iter().any(|arn| arn == known)).map(str::to_owned);
    for arn in newest.into_iter().chain(known) {
        let Some((revision, ownership)) = describe(context, &owner, arn).await? else { continue };
        if ownership == Ownership::Ours {
            observed.current = Some(revision);
            observed.foreign = None;
            break;
        }
        observed.foreign.get_or_insert((revision, ownership));
    }
    Ok(observed)
}

/// At the end: all our revisions, whatever the status remembers.
async fn observe_end(object: &EcsTaskDefinition, context: &Context) -> Result<ObservedTaskDefinition, Fault> {
    let dependants = Dependants::of(&references::services_of_task_definition(object, &context.stores.services));
    let mut observed = ObservedTaskDefinition { at: Some(Instant::now()), dependants, ..Default::default() };
    if object.spec.deletion_policy == Some(DeletionPolicy::Retain) || !observed.dependants.names.is_empty() {
        return Ok(observed);
    }
    let owner = context.owner(object);
    for arn in context.aws.observer.all_revisions(&object.family()).await? {
        if let Some((revision, Ownership::Ours)) = describe(context, &owner, arn).await? {
            observed.ours.push(revision.arn);
        }
    }
    Ok(observed)
}

/// A revision that ECS lists as ACTIVE, and whose it is now; `None` when it has gone meanwhile.
async fn describe(context: &Context, owner: &Owner, arn: String) -> Result<Option<(Revision, Ownership)>, Fault> {
    let revisions = context.aws.observer.task_definitions();
    let Answer::Found(json) = revisions.get(TaskDefinitionKey(arn), Freshness::Since(Instant::now())).await?.answer else {
        return Ok(None);
    };
    let revision = Revision::read(&json);
    let ownership = revision.tags.as_ref().map_or(Ownership::Nobody, |tags| owner.of(tags));
    Ok(Some((revision, ownership)))
}
