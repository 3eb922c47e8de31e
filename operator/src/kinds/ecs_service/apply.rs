//! Sends one write of an EcsService, and enters its reply into the observer.

use std::time::Instant;

use ecs_operator_crds::v1beta1::EcsService;
use kube::ResourceExt;

use super::commands::carried_out_by;
use super::described::read;
use super::follow;
use super::observed::ObservedService;
use crate::aws::observer::ServiceKey;
use crate::aws::observer::{Answer, tagged, written};
use crate::aws::{Fault, Freshness, Operation, Permit};
use crate::reconcile::Pass;
use crate::reconcile::plan::Write;

pub(super) async fn apply(
    object: &EcsService,
    pass: &Pass<'_, ObservedService>,
    observed: &ObservedService,
    write: &Write,
    permit: Permit,
) -> Result<ObservedService, Fault> {
    let services = pass.aws.observer.table::<ServiceKey>();
    let key = observed.key.clone();
    let before = if write.operation == Operation::CreateService { services.creating(key.clone()) } else { None };
    let seen = match (write.operation, pass.aws.writer.send(permit, &write.request).await) {
        // ECS does not show yet what the operator has just created.
        (Operation::DeleteService, Err(fault)) if fault.says_missing() && services.is_written_lately(&key) => {
            return Err(fault.not_yet());
        }
        // It is deleted already.
        (Operation::DeleteService, Err(fault)) if is_gone(&fault) => services.enter(key, Answer::Missing),
        (operation, Err(fault)) => {
            if operation == Operation::CreateService && fault.made_nothing() {
                services.not_created(&key, before);
            }
            return Err(fault);
        }
        (Operation::TagResource | Operation::UntagResource, Ok(_)) => {
            let service = observed.service.as_ref().ok_or_else(|| Fault::incomplete(write.operation, "service"))?;
            services.enter(key, tagged(&service.json, &write.request))
        }
        // Replies to these say nothing of the service.
        (Operation::StopServiceDeployment | Operation::ContinueServiceDeployment, Ok(_)) => {
            let namespace = object.namespace().unwrap_or_default();
            let Ok(seen) = services.get(key.clone(), Freshness::Since(Instant::now()), &namespace).await else {
                // The write was accepted all the same; a later look tells.
                services.invalidate(&key);
                let mut after = observed.clone();
                after.carried_out.extend(carried_out_by(object, observed, write));
                return Ok(after);
            };
            seen
        }
        (_, Ok(reply)) => {
            let tags = match &observed.service {
                Some(service) => service.json["tags"].clone(),
                None => write.request["tags"].clone(),
            };
            let answer = written(reply, "service", tags).ok_or_else(|| Fault::incomplete(write.operation, "service"))?;
            services.enter(key, answer)
        }
    };
    let mut after = ObservedService { at: seen.at, service: read(&seen)?, ..observed.clone() };
    after.carried_out.extend(carried_out_by(object, observed, write));
    let known = after.clone();
    Ok(follow::follow(object, pass, after).await.unwrap_or(known))
}

fn is_gone(fault: &Fault) -> bool {
    matches!(fault.code.as_deref(), Some("ServiceNotFoundException" | "ServiceNotActiveException" | "ClusterNotFoundException"))
}
