//! The events of a service in ECS: which of them are new. Pure.

use ecs_operator_crds::v1beta1::EcsService;
use ecs_operator_crds::v1beta1::service::ServiceEvent;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;

use super::described::Service;
use crate::aws::time;
use crate::k8s::conditions::{cut, whole_seconds};

/// How many events the status keeps.
const KEPT: usize = 10;

/// Longest message that is kept, in bytes.
const LONGEST: usize = 512;

/// The events that the status keeps after a look, the newest first.
pub(super) fn merged(object: &EcsService, service: &Service) -> Option<Vec<ServiceEvent>> {
    let known = object
        .status
        .as_ref()
        .and_then(|status| status.events.clone())
        .unwrap_or_default();
    let mut all = unknown(object, service);
    all.extend(known);
    all.truncate(KEPT);
    Some(all).filter(|events| !events.is_empty())
}

/// The events that the status does not know, the newest first. What is repeated, as the steady
/// state every six hours, is no news; neither is what happened before the object was there, as with
/// a service that was adopted.
fn unknown(object: &EcsService, service: &Service) -> Vec<ServiceEvent> {
    let newest = object
        .status
        .as_ref()
        .and_then(|status| status.events.as_ref()?.first());
    let created = object
        .metadata
        .creation_timestamp
        .as_ref()
        .map(|created| created.0.as_second());
    let is_ours =
        |event: &ServiceEvent| event.created_at.as_ref().map(|at| at.0.as_second()) >= created;
    let listed = service.json["events"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(read);
    // ECS lists the newest first.
    let mut new: Vec<_> = listed
        .take_while(|event| newest.is_none_or(|newest| newest.id != event.id))
        .filter(is_ours)
        .collect();
    if newest.is_some_and(|newest| new.iter().all(|event| event.message == newest.message)) {
        new.clear();
    }
    new
}

/// Whether ECS tells, for the first time, of tasks that it has started since the deployment `id`
/// has completed: "(service web) has started 2 tasks: (task …)".
pub(super) fn tell_of_starts(object: &EcsService, service: &Service, id: Option<&str>) -> bool {
    let known = object
        .status
        .as_ref()
        .and_then(|status| status.rollout.as_ref())
        .filter(|rollout| rollout.id.as_deref() == id);
    let known = known.and_then(|rollout| rollout.finished_at.clone());
    let Some(completed) = id.and_then(|id| completed_at(service, id)).or(known) else {
        return false;
    };
    let is_later = |event: &ServiceEvent| {
        event
            .created_at
            .as_ref()
            .is_some_and(|at| at.0 > completed.0)
    };
    unknown(object, service)
        .iter()
        .any(|event| event.message.contains(" has started ") && is_later(event))
}

/// When the deployment `id` has completed, where an event tells: "(service web) (deployment
/// ecs-svc/1) deployment completed."
pub(super) fn completed_at(service: &Service, id: &str) -> Option<Time> {
    let mut events = service.json["events"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(read);
    let named = format!("(deployment {id})");
    events
        .find(|event| event.message.contains(&named) && event.message.contains("completed"))?
        .created_at
}

/// Whether an event reports a problem, by its text: ECS has no severity.
pub(super) fn is_trouble(message: &str) -> bool {
    let message = message.to_lowercase();
    [
        "unable",
        "unhealthy",
        "failed",
        "failure",
        "error",
        "insufficient",
        "circuit breaker",
        "rolled back",
        "rolling back",
    ]
    .iter()
    .any(|word| message.contains(word))
}

fn read(event: &Value) -> Option<ServiceEvent> {
    Some(ServiceEvent {
        id: event["id"].as_str()?.to_owned(),
        created_at: time(&event["createdAt"]).map(whole_seconds),
        message: cut(event["message"].as_str()?.to_owned(), LONGEST),
    })
}
