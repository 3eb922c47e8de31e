//! The status of an EcsCapacityProvider. Pure.

use ecs_operator_crds::condition::Reason;
use ecs_operator_crds::v1beta1::{EcsCapacityProvider, EcsCapacityProviderStatus};

use super::observed::{CapacityProvider, ObservedCapacityProvider};
use super::plan::{DELETED, wanted_hash};
use crate::aws::ecs;
use crate::k8s::annotations::is_asked;
use crate::k8s::conditions::{State, Verdict};
use crate::reconcile::Report;
use crate::reconcile::kind::After;
use crate::reconcile::outcome::Outcome;

pub(super) fn report(
    object: &EcsCapacityProvider,
    after: &After<'_, ObservedCapacityProvider>,
) -> Report<EcsCapacityProviderStatus> {
    let outcome = after.outcome;
    let mut status = object.status.clone().unwrap_or_default();
    let observed = after.observed.filter(|_| !outcome.is_owned_by_other());
    // The status does not show the provider of another owner; the ARN stays if the object owned it
    // before.
    if let Some(observed) = observed {
        show(&mut status, observed.provider.as_ref());
        status.cluster = observed
            .key
            .cluster
            .clone()
            .filter(|_| observed.provider.is_some())
            .or(status.cluster);
    }
    for write in after.accepted {
        match write.operation {
            ecs::CreateCapacityProvider | ecs::UpdateCapacityProvider => {
                status.accepted_hash = Some(wanted_hash(object));
            }
            ecs::DeleteCapacityProvider => status.accepted_hash = Some(DELETED.to_owned()),
            _ => {}
        }
    }
    let provider = observed.and_then(|observed| observed.provider.as_ref());
    let is_done = provider.is_some_and(|provider| !provider.is_update("IN_PROGRESS"));
    if is_done && *outcome == Outcome::InSync {
        // A later failure is that of somebody else's change.
        status.accepted_hash = None;
    }
    let verdict = outcome
        .verdict()
        .unwrap_or_else(|| running(object, provider));
    Report {
        is_request_open: is_sent_later(object, after),
        ..Report::new(status, verdict)
    }
}

fn show(status: &mut EcsCapacityProviderStatus, provider: Option<&CapacityProvider>) {
    let CapacityProvider {
        capacity_provider_arn,
        status: state,
        update_status,
        update_status_reason,
        json: _,
    } = provider.cloned().unwrap_or_default();
    status.capacity_provider_arn = provider.map(|_| capacity_provider_arn);
    status.status = provider.map(|_| state);
    status.update_status = update_status;
    status.update_status_reason = update_status_reason;
}

/// Whether a user has asked to try a change again that has failed in ECS, and the call has still to
/// be made.
fn is_sent_later(
    object: &EcsCapacityProvider,
    after: &After<'_, ObservedCapacityProvider>,
) -> bool {
    let provider = after
        .observed
        .and_then(|observed| observed.provider.as_ref());
    is_asked(object)
        && provider.is_some_and(|provider| provider.is_update("FAILED"))
        && after.outcome.is_to_continue()
        && after
            .accepted
            .iter()
            .all(|write| write.operation.is_tag_resource())
}

/// ECS holds what the spec asks for; can the provider be used?
fn running(object: &EcsCapacityProvider, provider: Option<&CapacityProvider>) -> Verdict {
    let name = object.provider_name();
    let state = provider.map(|provider| provider.status.as_str());
    let is_updating = provider.is_some_and(|provider| provider.is_update("IN_PROGRESS"));
    if state == Some("ACTIVE") && !is_updating {
        let message = format!("Capacity provider {name} is ACTIVE");
        return Verdict::new(State::Ready, Reason::Succeeded, message);
    }
    let message = if is_updating && state == Some("ACTIVE") {
        format!("Capacity provider {name} is ACTIVE, and ECS is changing it")
    } else {
        format!("Capacity provider {name} is {}", state.unwrap_or("missing"))
    };
    Verdict::new(State::Progressing, Reason::Progressing, message)
}
