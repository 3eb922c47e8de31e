//! The status of an EcrRepository. Pure.

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::{EcrRepository, EcrRepositoryStatus};

use super::observed::ObservedRepository;
use crate::k8s::conditions::{State, Verdict};
use crate::reconcile::Report;
use crate::reconcile::kind::After;

pub(super) fn report(
    object: &EcrRepository,
    after: &After<'_, ObservedRepository>,
) -> Report<EcrRepositoryStatus> {
    let outcome = after.outcome;
    let mut status = object.status.clone().unwrap_or_default();
    // The status does not show the repository of another owner; the ARN stays if the object owned
    // it before.
    if let Some(observed) = after.observed.filter(|_| !outcome.is_owned_by_other()) {
        let repository = observed.repository.as_ref();
        status.repository_arn = repository.map(|repository| repository.repository_arn.clone());
        status.repository_uri = repository.map(|repository| repository.repository_uri.clone());
    }
    let verdict = outcome.verdict().unwrap_or_else(|| {
        let message = format!(
            "Repository {} exists and matches the spec",
            object.repository_name()
        );
        Verdict::new(State::Ready, Reason::Succeeded, message)
    });
    Report::new(status, verdict)
}
