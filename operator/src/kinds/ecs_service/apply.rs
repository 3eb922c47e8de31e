//! Sends one write of an EcsService, and enters its reply into the observer.

use ecs_operator_crds::v1beta1::EcsService;
use tokio::time::Instant;

use super::commands::carried_out_by;
use super::described::read;
use super::observe_rollout;
use super::observed::ObservedService;
use crate::aws::ecs::{self, ServiceKey, written};
use crate::aws::observer::Answer;
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
    let services = pass.aws.observer.cache::<ServiceKey>();
    let key = observed.key.clone();
    let seen = match (
        write.operation,
        LIFECYCLE.send(pass, &key, write, permit).await?,
    ) {
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
            let Ok(seen) = services
                .get(
                    key.clone(),
                    Freshness::Since(Instant::now()),
                    pass.namespace(),
                )
                .await
            else {
                // The write was accepted all the same; a later look tells.
                services.invalidate(&key);
                let mut after = observed.clone();
                after
                    .carried_out
                    .extend(carried_out_by(object, observed, write));
                return Ok(after);
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
    let mut after = ObservedService {
        at: seen.at,
        service: read(&seen)?,
        ..observed.clone()
    };
    after
        .carried_out
        .extend(carried_out_by(object, observed, write));
    let known = after.clone();
    Ok(observe_rollout::observe(object, pass, after)
        .await
        .unwrap_or(known))
}
