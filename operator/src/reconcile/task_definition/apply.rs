//! Third door of EcsTaskDefinition: sends one write, and enters its reply into the observer.

use std::time::Instant;

use super::{ObservedTaskDefinition, Revision};
use crate::aws::observer::{Answer, TaskDefinitionKey, task_definition};
use crate::aws::{Fault, FaultClass, Freshness, Operation, Permit};
use crate::reconcile::Context;
use crate::reconcile::driver::incomplete;
use crate::reconcile::plan::Write;

pub(super) async fn apply(
    context: &Context,
    observed: &ObservedTaskDefinition,
    write: &Write,
    permit: Permit,
) -> Result<ObservedTaskDefinition, Fault> {
    let revisions = context.aws.observer.task_definitions();
    let mut observed = observed.clone();
    let result = context.aws.writer.send(permit, &write.request).await;
    match write.operation {
        Operation::RegisterTaskDefinition => {
            let mut reply = result?;
            if reply["tags"].as_array().is_none_or(Vec::is_empty) {
                reply["tags"] = write.request["tags"].clone();
            }
            let Answer::Found(json) = task_definition(reply) else {
                return Err(incomplete(write.operation, "ACTIVE taskDefinition"));
            };
            let current = Revision::read(&json);
            let seen = revisions.enter(TaskDefinitionKey(current.arn.clone()), Answer::Found(json));
            observed = ObservedTaskDefinition { at: Some(seen.at), current: Some(current), ..Default::default() };
        }
        Operation::DeregisterTaskDefinition => {
            let arn = write.request["taskDefinition"].as_str().unwrap_or_default().to_owned();
            match result {
                Ok(_) => {}
                Err(fault) if fault.class == FaultClass::Missing => {}
                Err(fault) => return Err(fault),
            }
            observed.ours.retain(|ours| *ours != arn);
            revisions.enter(TaskDefinitionKey(arn), Answer::Inactive);
        }
        // Replies to tag calls are empty.
        _ => {
            result?;
            if let Some(current) = &observed.current {
                let seen = revisions.get(TaskDefinitionKey(current.arn.clone()), Freshness::Since(Instant::now())).await?;
                observed.at = Some(seen.at);
                observed.current = match seen.answer {
                    Answer::Found(json) => Some(Revision::read(&json)),
                    Answer::Inactive | Answer::Missing => None,
                };
            }
        }
    }
    Ok(observed)
}
