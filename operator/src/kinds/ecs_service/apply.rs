//! Sends one write of an EcsService, and enters its reply into the observer.

use ecs_operator_crds::v1beta1::EcsService;
use serde_json::Value;
use tokio::time::Instant;

use super::autoscaling;
use super::commands::carried_out_by;
use super::described::read;
use super::observe_rollout;
use super::observed::ObservedService;
use crate::aws::autoscaling as scaling;
use crate::aws::ecs::{self, ServiceKey, written};
use crate::aws::observer::{Answer, Seen};
use crate::aws::replies::tagged;
use crate::aws::{AwsError, Freshness, Permit};
use crate::reconcile::Pass;
use crate::reconcile::lifecycle::Lifecycle;
use crate::reconcile::plan::Write;

const LIFECYCLE: Lifecycle = Lifecycle {
    create: ecs::CreateService,
    delete: ecs::DeleteService,
    deleted: &["ServiceNotActiveException"],
};

pub(super) async fn apply(
    object: &EcsService,
    pass: &Pass<'_, ObservedService>,
    observed: &ObservedService,
    write: &Write,
    permit: Permit,
) -> Result<ObservedService, AwsError> {
    let key = observed.key.clone();
    if *write.operation.service() == scaling::SERVICE {
        let before = observed.autoscaling.as_ref();
        let scaling = autoscaling::apply(object, pass, &key, before, write, permit).await?;
        let after = ObservedService {
            autoscaling: Some(scaling),
            ..observed.clone()
        };
        return with_new_count(pass, after, write).await;
    }
    let reply = LIFECYCLE.send(pass, &key, write, permit).await?;
    let is_another = matches!(write.operation, ecs::CreateService | ecs::DeleteService);
    if is_another && autoscaling::is_managed(object) {
        // AWS deletes the scalable target of a service with that.
        autoscaling::enter_missing(&pass.aws.observer, &key);
    }
    let seen = seen_after(pass, observed, write, reply).await?;
    let mut after = observed.clone();
    after
        .carried_out
        .extend(carried_out_by(object, observed, write));
    let Some(seen) = seen else {
        return Ok(after);
    };
    (after.at, after.service) = (seen.at, read(&seen)?);
    let known = after.clone();
    Ok(observe_rollout::observe(object, pass, after)
        .await
        .unwrap_or(known))
}

/// The service after a write of its scaling: a registration may move the number of tasks.
async fn with_new_count(
    pass: &Pass<'_, ObservedService>,
    mut after: ObservedService,
    write: &Write,
) -> Result<ObservedService, AwsError> {
    if write.operation != scaling::RegisterScalableTarget {
        return Ok(after);
    }
    let services = pass.aws.observer.cache::<ServiceKey>();
    let fresh = Freshness::Since(Instant::now());
    match services
        .get(after.key.clone(), fresh, pass.namespace())
        .await
    {
        Ok(seen) => (after.at, after.service) = (seen.at, read(&seen)?),
        // The write was accepted all the same.
        Err(_) => services.invalidate(&after.key),
    }
    Ok(after)
}

/// The service after a write, as the cache has it; `None` where only a later read tells.
async fn seen_after(
    pass: &Pass<'_, ObservedService>,
    observed: &ObservedService,
    write: &Write,
    reply: Option<Value>,
) -> Result<Option<Seen>, AwsError> {
    let services = pass.aws.observer.cache::<ServiceKey>();
    let key = observed.key.clone();
    let seen = match (write.operation, reply) {
        (_, None) => services.enter(key, Answer::Missing),
        (ecs::TagResource | ecs::UntagResource, Some(_)) => {
            let service = observed
                .service
                .as_ref()
                .ok_or_else(|| AwsError::incomplete(write.operation, "service"))?;
            services.enter(
                key,
                tagged(&service.json, &write.request, ecs::SERVICE.tag_shape),
            )
        }
        // Replies to these say nothing of the service.
        (ecs::StopServiceDeployment | ecs::ContinueServiceDeployment, Some(_)) => {
            let fresh = Freshness::Since(Instant::now());
            let Ok(seen) = services.get(key.clone(), fresh, pass.namespace()).await else {
                // The write was accepted all the same.
                services.invalidate(&key);
                return Ok(None);
            };
            seen
        }
        (_, Some(reply)) => {
            let tags = match &observed.service {
                Some(service) => service.json["tags"].clone(),
                None => write.request["tags"].clone(),
            };
            let answer = written(reply, "service", tags)
                .ok_or_else(|| AwsError::incomplete(write.operation, "service"))?;
            services.enter(key, answer)
        }
    };
    Ok(Some(seen))
}
