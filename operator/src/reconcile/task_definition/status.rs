//! Fourth door of EcsTaskDefinition: the status after a pass. Pure.

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::{EcsTaskDefinition, EcsTaskDefinitionStatus};
use k8s_openapi::jiff::Timestamp;

use super::{ObservedTaskDefinition, TaskDefinitionExt};
use crate::aws::tags;
use crate::k8s::conditions::{State, Verdict, conditions};
use crate::reconcile::plan::Outcome;

pub(super) fn status(
    object: &EcsTaskDefinition,
    observed: Option<&ObservedTaskDefinition>,
    outcome: &Outcome,
    now: Timestamp,
) -> EcsTaskDefinitionStatus {
    let mut status = object.status.clone().unwrap_or_default();
    if let Some(current) = observed.and_then(|observed| observed.current.as_ref()) {
        status.task_definition_arn = Some(current.arn.clone());
        status.revision = Some(current.revision);
        status.spec_hash.clone_from(&current.hash);
    }
    if *outcome == Outcome::InSync {
        status.managed_tags = tags::managed(object.spec.tags.as_deref());
    }
    let verdict = outcome.verdict().unwrap_or_else(|| {
        let message = format!("Revision {}:{} is registered", object.family(), status.revision.unwrap_or_default());
        Verdict::new(State::Ready, Reason::Succeeded, message)
    });
    status.conditions = conditions(&status.conditions, &verdict, object.metadata.generation, now);
    status.observed_generation = object.metadata.generation;
    status
}
