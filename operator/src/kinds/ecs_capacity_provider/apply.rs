//! Sends one write of an EcsCapacityProvider, and enters its reply into the observer.

use super::observed::ObservedCapacityProvider;
use crate::aws::ecs::{self, CapacityProviderKey, written};
use crate::aws::observer::Answer;
use crate::aws::replies::tagged;
use crate::aws::{AwsError, Permit};
use crate::reconcile::Pass;
use crate::reconcile::lifecycle::Lifecycle;
use crate::reconcile::plan::Write;

const LIFECYCLE: Lifecycle = Lifecycle {
    create: ecs::CreateCapacityProvider,
    delete: ecs::DeleteCapacityProvider,
    deleted: &[],
};

pub(super) async fn apply(
    pass: &Pass<'_, ObservedCapacityProvider>,
    before: &ObservedCapacityProvider,
    write: &Write,
    permit: Permit,
) -> Result<ObservedCapacityProvider, AwsError> {
    let providers = pass.aws.observer.cache::<CapacityProviderKey>();
    let key = before.key.clone();
    let reply = LIFECYCLE.send(pass, &key, write, permit).await?;
    let present = before.provider.as_ref();
    let answer = match (reply, write.operation, present) {
        (None, ..) => Answer::Missing,
        (_, ecs::TagResource | ecs::UntagResource, Some(provider)) => {
            tagged(&provider.json, &write.request, ecs::SERVICE.tag_shape)
        }
        (Some(reply), operation, present) => {
            let tags = match (operation, present) {
                (ecs::CreateCapacityProvider, _) | (_, None) => write.request["tags"].clone(),
                (_, Some(provider)) => provider.json["tags"].clone(),
            };
            written(reply, "capacityProvider", tags)
                .ok_or_else(|| AwsError::incomplete(operation, "capacityProvider"))?
        }
    };
    before.clone().with(providers.enter(key, answer))
}
