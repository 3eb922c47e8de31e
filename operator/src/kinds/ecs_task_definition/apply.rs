//! Sends one write of an EcsTaskDefinition, and enters its reply into the observer.

use std::sync::Arc;

use serde_json::Value;
use tokio::time::Instant;

use super::observed::ObservedTaskDefinition;
use super::registrations::Registrations;
use super::revision::{Revision, is_active};
use super::shape::deletes;
use crate::aws::ecs::{self, FamilyKey, TaskDefinitionKey, listed, task_definition};
use crate::aws::observer::Answer;
use crate::aws::replies::tagged;
use crate::aws::tags::{SPEC_HASH, Tags};
use crate::aws::{AwsError, ErrorKind, Freshness, Permit, name_in};
use crate::reconcile::Pass;
use crate::reconcile::plan::Write;
use ecs_operator_crds::v1beta1::EcsTaskDefinition;

pub(super) async fn apply(
    object: &EcsTaskDefinition,
    pass: &Pass<'_, ObservedTaskDefinition>,
    observed: &ObservedTaskDefinition,
    write: &Write,
    permit: Permit,
) -> Result<ObservedTaskDefinition, AwsError> {
    if write.operation == ecs::RegisterTaskDefinition {
        return register(object, pass, observed, write, permit).await;
    }
    let result = pass.aws.writer.send(permit, &write.request).await;
    match write.operation {
        ecs::DeregisterTaskDefinition => deregistered(object, pass, observed, write, result),
        ecs::DeleteTaskDefinitions => deleted(observed, &result?),
        _ => {
            result?;
            retagged(pass, observed, write).await
        }
    }
}

async fn register(
    object: &EcsTaskDefinition,
    pass: &Pass<'_, ObservedTaskDefinition>,
    observed: &ObservedTaskDefinition,
    write: &Write,
    permit: Permit,
) -> Result<ObservedTaskDefinition, AwsError> {
    let hash = Tags::read(&write.request["tags"])
        .0
        .remove(SPEC_HASH)
        .unwrap_or_default();
    let what = FamilyKey(object.family()).to_string();
    pass.context
        .claims
        .claim(write.operation, &what, pass.uid())?;
    let after = observed
        .current
        .as_ref()
        .map_or(0, |current| current.revision);
    pass.state(|state| state.of_kind::<Registrations>().begin(hash, after));
    let result = pass.aws.writer.send(permit, &write.request).await;
    if let Err(error) = &result
        && error.made_nothing()
    {
        pass.state(|state| state.of_kind::<Registrations>().refused());
        pass.context.claims.release(&what, pass.uid());
    }
    let registered = registered(object, pass, observed, write, result?)?;
    if let Some(current) = &registered.current {
        pass.state(|state| state.of_kind::<Registrations>().made(current.revision));
    }
    Ok(registered)
}

fn registered(
    object: &EcsTaskDefinition,
    pass: &Pass<'_, ObservedTaskDefinition>,
    before: &ObservedTaskDefinition,
    write: &Write,
    mut reply: Value,
) -> Result<ObservedTaskDefinition, AwsError> {
    let observer = &pass.aws.observer;
    if reply["tags"].as_array().is_none_or(Vec::is_empty) {
        reply["tags"] = write.request["tags"].clone();
    }
    let Answer::Found(json) = task_definition(reply) else {
        return Err(AwsError::incomplete(
            write.operation,
            "ACTIVE taskDefinition",
        ));
    };
    let current = Revision::read(&json);
    let seen = observer
        .cache::<TaskDefinitionKey>()
        .enter(TaskDefinitionKey(current.arn.clone()), Answer::Found(json));
    let family = FamilyKey(object.family());
    let listed_before = observer
        .cache::<FamilyKey>()
        .cached(&family)
        .map(|seen| listed(&seen.answer));
    let newest = std::iter::once(current.arn.clone()).chain(listed_before.into_iter().flatten());
    observer
        .cache::<FamilyKey>()
        .enter(family, Answer::Found(Arc::new(newest.collect())));
    Ok(ObservedTaskDefinition {
        at: Some(seen.at),
        looked: true,
        current: Some(current),
        images: before.images.clone(),
        image_keys: before.image_keys.clone(),
        ..ObservedTaskDefinition::default()
    })
}

fn deregistered(
    object: &EcsTaskDefinition,
    pass: &Pass<'_, ObservedTaskDefinition>,
    observed: &ObservedTaskDefinition,
    write: &Write,
    result: Result<Value, AwsError>,
) -> Result<ObservedTaskDefinition, AwsError> {
    let arn = write.request["taskDefinition"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    match result {
        Err(error) if error.kind != ErrorKind::Missing => return Err(error),
        // It is deregistered already.
        _ => {}
    }
    let mut observed = observed.clone();
    observed.surplus.active.retain(|ours| *ours != arn);
    pass.aws
        .observer
        .cache::<TaskDefinitionKey>()
        .enter(TaskDefinitionKey(arn.clone()), Answer::Inactive);
    if deletes(object) {
        observed.surplus.inactive.push(arn);
    } else {
        observed.surplus.forget(&arn);
    }
    Ok(observed)
}

/// What could not be deleted for reasons of its own is tried again by a later pass.
fn deleted(
    observed: &ObservedTaskDefinition,
    reply: &Value,
) -> Result<ObservedTaskDefinition, AwsError> {
    let failures = reply["failures"].as_array().into_iter().flatten();
    let failed = failures.map(|failure| {
        let text = |member: &str| failure[member].as_str().unwrap_or_default().to_owned();
        (text("arn"), text("reason"))
    });
    // Deleted by an earlier call whose answer got lost.
    let is_gone = |reason: &str| {
        reason.contains("in the process of being deleted") || reason.contains("does not exist")
    };
    if let Some((arn, reason)) = failed.into_iter().find(|(_, reason)| !is_gone(reason)) {
        let message = format!("{} was not deleted: {reason}", name_in(&arn));
        return Err(AwsError::new(
            ecs::DeleteTaskDefinitions,
            ErrorKind::Busy,
            message,
        ));
    }
    let mut observed = observed.clone();
    for arn in std::mem::take(&mut observed.surplus.inactive) {
        observed.surplus.forget(&arn);
    }
    Ok(observed)
}

/// What is known of the revision, with the tags that the write leaves on it.
async fn retagged(
    pass: &Pass<'_, ObservedTaskDefinition>,
    observed: &ObservedTaskDefinition,
    write: &Write,
) -> Result<ObservedTaskDefinition, AwsError> {
    let revisions = pass.aws.observer.cache::<TaskDefinitionKey>();
    let key = TaskDefinitionKey(
        write.request["resourceArn"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
    );
    let seen = match revisions.cached(&key).map(|seen| seen.answer) {
        Some(Answer::Found(json)) => {
            revisions.enter(key, tagged(&json, &write.request, ecs::SERVICE.tag_shape))
        }
        _ => {
            revisions
                .get(key, Freshness::Since(Instant::now()), pass.namespace())
                .await?
        }
    };
    let current = match seen.answer {
        Answer::Found(json) => Some(Revision::read(&json)).filter(|_| is_active(&json)),
        Answer::Inactive | Answer::Missing => None,
    };
    // An adopted revision is no longer foreign.
    let foreign = observed.foreign.clone().filter(|(foreign, _)| {
        current
            .as_ref()
            .is_none_or(|current| current.arn != foreign.arn)
    });
    Ok(ObservedTaskDefinition {
        at: Some(seen.at),
        current,
        foreign,
        ..observed.clone()
    })
}
