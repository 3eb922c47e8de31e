//! The status of an EcrRepository. Pure.

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::{EcrRepository, EcrRepositoryStatus};
use k8s_openapi::jiff::Timestamp;

use super::observed::ObservedRepository;
use crate::k8s::conditions::{State, Verdict, conditions};
use crate::reconcile::outcome::Outcome;
use crate::reconcile::reset::remembered;

pub(super) fn status(
    object: &EcrRepository,
    observed: Option<&ObservedRepository>,
    outcome: &Outcome,
    now: Timestamp,
) -> EcrRepositoryStatus {
    let mut status = object.status.clone().unwrap_or_default();
    // The status does not show the repository of another owner; the ARN stays if the object owned
    // it before.
    if let Some(observed) = observed.filter(|_| !outcome.is_owned_by_other()) {
        let repository = observed.repository.as_ref();
        status.repository_arn = repository.map(|repository| repository.repository_arn.clone());
        status.repository_uri = repository.map(|repository| repository.repository_uri.clone());
    }
    if *outcome == Outcome::InSync
        && let Some(remembered) = remembered(object)
    {
        (status.applied_members, status.managed_tags) = (remembered.members, remembered.tags);
    }
    let verdict = outcome.verdict().unwrap_or_else(|| {
        let message = format!(
            "Repository {} exists and matches the spec",
            object.repository_name()
        );
        Verdict::new(State::Ready, Reason::Succeeded, message)
    });
    status.conditions = conditions(
        &status.conditions,
        &verdict,
        object.metadata.generation,
        now,
    );
    status.observed_generation = object.metadata.generation;
    status
}
