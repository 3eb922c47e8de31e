//! Observes an EcsService: the service as ECS describes it, and what its references resolve to.

use ecs_operator_crds::v1beta1::EcsService;
use tokio::time::Instant;

use super::described::read;
use super::observed::ObservedService;
use super::validate::validate;
use super::{autoscaling, gates, observe_rollout, references};
use crate::aws::ecs::{self, ServiceKey};
use crate::aws::observer::Answer;
use crate::aws::{AwsError, Freshness};
use crate::k8s::object::Object;
use crate::kinds::cluster_reference::is_readable;
use crate::reconcile::Pass;

pub(super) async fn observe(
    object: &EcsService,
    pass: &Pass<'_, ObservedService>,
    freshness: Freshness,
) -> Result<ObservedService, AwsError> {
    let namespace = pass.namespace();
    let cluster = references::cluster_of(object, &pass.context.stores);
    let key = ServiceKey {
        cluster: cluster.name,
        name: object.service_name(),
    };
    let carried_out = pass.applied.map(|applied| applied.carried_out.clone());
    let observed = ObservedService {
        is_guess: cluster.is_guess,
        carried_out: carried_out.unwrap_or_default(),
        ..ObservedService::new(key)
    };
    if cluster.is_guess {
        // In a cluster of another name would be another service.
        is_readable(&pass.context.stores, namespace, ecs::DescribeServices)?;
        if !object.is_deleting() {
            return Ok(ObservedService {
                cluster_obstacle: cluster.obstacle,
                ..observed
            });
        }
    }
    let services = pass.aws.observer.cache::<ServiceKey>();
    pass.polls(observed.key.clone());
    // At the end every look is one for what a call without a reply has made.
    let is_end = object.is_deleting() && services.may_be_there(&observed.key);
    let freshness = if is_end {
        Freshness::Since(Instant::now())
    } else {
        freshness
    };
    let seen = services
        .get(observed.key.clone(), freshness, namespace)
        .await?;
    if !matches!(seen.answer, Answer::Found(_)) {
        ecs::note_gone(&pass.aws.observer, &observed.key, seen.at);
    }
    let definition = references::task_definition_object(object, &pass.context.stores);
    let task_definition = references::task_definition_of(object, &pass.context.stores);
    let service = read(&seen)?;
    let observed = ObservedService {
        at: seen.at,
        cluster_obstacle: cluster.obstacle,
        gate: gates::closed(object, &task_definition, &pass.context.stores).map(Box::new),
        task_definition,
        mismatch: definition.and_then(|definition| validate(&object.spec, &definition.spec)),
        may_be_there: service.is_none() && services.may_be_there(&observed.key),
        service,
        ..observed
    };
    let mut observed = observed;
    if observed.service.is_some() || object.is_deleting() {
        // AWS scales nothing that does not exist.
        let service = observed.service.as_ref();
        let before = autoscaling::Before {
            count: service.map(|service| service.desired_count),
            applied: pass
                .applied
                .and_then(|applied| applied.autoscaling.as_ref()),
        };
        observed.autoscaling =
            autoscaling::observe(object, pass, &observed.key, before, freshness).await;
    }
    if object.is_deleting() {
        return Ok(observed);
    }
    let observed = ObservedService {
        rollback_target: observe_rollout::rollback_target(object, pass).await?,
        ..observed
    };
    observe_rollout::observe(object, pass, observed).await
}
