//! Restarts on command: new tasks of the same revision. Pure.

use ecs_operator_crds::RESTARTED_AT;
use ecs_operator_crds::v1beta1::EcsService;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::{ObservedService, Service};
use crate::aws::Operation;
use crate::reconcile::plan::Write;

/// The forced deployment that the annotation asks for and that has not been yet.
///
/// It is remembered in the status. Should that get lost after the call, a deployment that began after the time in the
/// annotation shows that it was done.
pub(super) fn restart(object: &EcsService, observed: &ObservedService) -> Option<Write> {
    let value = object.annotations().get(RESTARTED_AT)?;
    let known = object.status.as_ref().and_then(|status| status.last_handled_restart_at.as_ref());
    if known == Some(value) || restarted(object, observed) == Some(value) {
        return None;
    }
    let key = &observed.key;
    let request = json!({"cluster": key.cluster, "service": key.name, "forceNewDeployment": true});
    let note = format!("Restarted {key}, as asked for at {value}");
    Some(Write { operation: Operation::UpdateService, request, note })
}

/// The value of the annotation, where its restart has just been carried out or ECS shows that it was.
pub(super) fn restarted<'a>(object: &'a EcsService, observed: &ObservedService) -> Option<&'a String> {
    let value = object.annotations().get(RESTARTED_AT)?;
    let begun = observed.service.as_ref().is_some_and(|service| has_begun_since(value, service));
    (observed.restarted.as_ref() == Some(value) || begun).then_some(value)
}

/// Whether a write of this plan is a restart: a new strategy forces a deployment too, but changes something.
pub(super) fn is_restart(write: &Write) -> bool {
    write.request["forceNewDeployment"] == true && write.request["capacityProviderStrategy"].is_null()
}

fn has_begun_since(value: &str, service: &Service) -> bool {
    let asked = value.parse::<Timestamp>().ok().map(Timestamp::as_second);
    let began = service.primary().and_then(|primary| primary.created_at.as_ref()).and_then(Value::as_f64);
    asked.zip(began).is_some_and(|(asked, began)| {
        #[allow(clippy::cast_precision_loss, reason = "seconds since 1970 fit")]
        let asked = asked as f64;
        began >= asked
    })
}
