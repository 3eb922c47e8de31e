//! Reads the service auto scaling of a service.

use ecs_operator_crds::v1beta1::EcsService;
use serde_json::Value;

use super::observed::{ObservedAutoscaling, ScalableTarget, is_managed, is_recorded};
use super::plan::plan;
use crate::aws::autoscaling::{
    ScalableTargetKey, ScalableTargetTagsKey, ScalingActivitiesKey, ScalingPoliciesKey,
    ScheduledActionsKey,
};
use crate::aws::ecs::ServiceKey;
use crate::aws::observer::{Answer, Seen};
use crate::aws::tags::Tags;
use crate::aws::{AwsError, ErrorKind, Freshness};
use crate::clock;
use crate::k8s::object::Object;
use crate::reconcile::Pass;
use crate::reconcile::plan::Plan;

/// Reads what AWS has of a service with this number of tasks; `None` where the spec does not have service auto scaling and did not have
/// it.
pub(in crate::kinds::ecs_service) async fn observe<O: Sync>(
    object: &EcsService,
    pass: &Pass<'_, O>,
    service: &ServiceKey,
    count: Option<i32>,
    freshness: Freshness,
) -> Result<Option<ObservedAutoscaling>, AwsError> {
    if !is_managed(object) {
        return Ok(None);
    }
    // Most writes are of the service alone and need no fresh read of its scaling.
    let first = match freshness {
        Freshness::Since(_) => Freshness::Any,
        freshness => freshness,
    };
    let observed = match read(object, pass, service, first).await {
        // AWS deletes the scalable target with the service, which must not wait for a right to read
        // it.
        Err(error) if object.is_deleting() && error.kind == ErrorKind::AccessDenied => {
            return Ok(None);
        }
        observed => observed?,
    };
    let is_fresh = matches!(freshness, Freshness::Any | Freshness::Confirmed(_));
    let plan = plan(object, service, Some(&observed), &pass.owner);
    let mut observed = if is_fresh || !matches!(plan, Plan::Write(_)) {
        observed
    } else {
        read(object, pass, service, freshness).await?
    };
    if observed.target.is_some() && !object.is_deleting() {
        observed.activities = activities(object, pass, service, count).await;
    }
    Ok(Some(observed))
}

/// Reads the last scaling activities, afresh when the number of tasks is another one than the
/// status has. They only explain: without the right to read them, all goes on.
async fn activities<O: Sync>(
    object: &EcsService,
    pass: &Pass<'_, O>,
    service: &ServiceKey,
    count: Option<i32>,
) -> Option<Vec<Value>> {
    let status = object.status.as_ref();
    let is_known = status.is_some_and(|status| status.desired_count == count);
    let freshness = if is_known {
        Freshness::Any
    } else {
        Freshness::Since(pass.began)
    };
    let activities = pass.aws.observer.cache::<ScalingActivitiesKey>();
    let key = ScalingActivitiesKey::of(service);
    match activities.get(key, freshness, pass.namespace()).await {
        Ok(seen) => Some(list(seen)),
        Err(error) => {
            tracing::debug!(%error, "scaling activities are not read");
            None
        }
    }
}

async fn read<O: Sync>(
    object: &EcsService,
    pass: &Pass<'_, O>,
    service: &ServiceKey,
    freshness: Freshness,
) -> Result<ObservedAutoscaling, AwsError> {
    let (observer, namespace) = (&pass.aws.observer, pass.namespace());
    let targets = observer.cache::<ScalableTargetKey>();
    let key = ScalableTargetKey::of(service);
    let Answer::Found(json) = targets.get(key, freshness, namespace).await?.answer else {
        return Ok(ObservedAutoscaling::default());
    };
    let mut target = ScalableTarget::read(json)?;
    if !is_recorded(object, &target.arn) {
        let tags = observer.cache::<ScalableTargetTagsKey>();
        let key = ScalableTargetTagsKey(target.arn.clone());
        // Tags are missing if it was deregistered between the two reads.
        let Answer::Found(tags) = tags.get(key, freshness, namespace).await?.answer else {
            return Ok(ObservedAutoscaling::default());
        };
        target.tags = Some(Tags::read(&tags));
    }
    if object.is_deleting() {
        return Ok(ObservedAutoscaling {
            target: Some(target),
            ..ObservedAutoscaling::default()
        });
    }
    let policies = observer.cache::<ScalingPoliciesKey>();
    let policies = policies
        .get(ScalingPoliciesKey::of(service), freshness, namespace)
        .await?;
    let actions = observer.cache::<ScheduledActionsKey>();
    let actions = actions
        .get(ScheduledActionsKey::of(service), freshness, namespace)
        .await?;
    Ok(ObservedAutoscaling {
        target: Some(target),
        policies: list(policies),
        actions: list(actions),
        activities: None,
        now: clock::now(),
    })
}

fn list(seen: Seen) -> Vec<Value> {
    match seen.answer {
        Answer::Found(list) => list.as_array().cloned().unwrap_or_default(),
        Answer::Inactive | Answer::Missing => Vec::new(),
    }
}
