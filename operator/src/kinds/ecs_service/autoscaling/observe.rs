//! Reads the service auto scaling of a service.

use ecs_operator_crds::v1beta1::EcsService;
use serde_json::Value;

use super::apply::forget;
use super::observed::{ObservedAutoscaling, ScalableTarget, is_managed, is_recorded};
use super::plan::plan;
use crate::aws::autoscaling::{
    ScalableTargetKey, ScalableTargetTagsKey, ScalingActivitiesKey, ScalingPoliciesKey,
    ScheduledActionsKey,
};
use crate::aws::ecs::ServiceKey;
use crate::aws::observer::{Answer, Seen};
use crate::aws::tags::{OWNER, Tags};
use crate::aws::{AwsError, Freshness};
use crate::clock;
use crate::k8s::object::Object;
use crate::reconcile::Pass;
use crate::reconcile::plan::Plan;

/// What is known before service auto scaling is read.
#[derive(Clone, Copy)]
pub(in crate::kinds::ecs_service) struct Before<'a> {
    /// The number of tasks that the service wants.
    pub(in crate::kinds::ecs_service) count: Option<i32>,
    /// What the last write of the pass left.
    pub(in crate::kinds::ecs_service) applied: Option<&'a ObservedAutoscaling>,
}

/// Reads what AWS has; `None` where the spec does not have service auto scaling and did not have
/// it. The service does not depend on a right to read its scaling.
pub(in crate::kinds::ecs_service) async fn observe<O: Sync>(
    object: &EcsService,
    pass: &Pass<'_, O>,
    service: &ServiceKey,
    before: Before<'_>,
    freshness: Freshness,
) -> Option<ObservedAutoscaling> {
    if !is_managed(object) {
        return None;
    }
    // Most writes are of the service alone and need no fresh read of its scaling.
    let first = match freshness {
        Freshness::Since(_) => Freshness::Any,
        freshness => freshness,
    };
    let sent = before.applied.map(|applied| applied.sent.clone());
    let sent = sent.unwrap_or_default();
    let read = async |freshness| {
        let observed = read(object, pass, service, freshness).await;
        let observed = observed.unwrap_or_else(|error| ObservedAutoscaling {
            unread: Some(error),
            ..ObservedAutoscaling::default()
        });
        ObservedAutoscaling {
            sent: sent.clone(),
            ..observed
        }
    };
    let mut observed = read(first).await;
    let is_fresh = matches!(freshness, Freshness::Any | Freshness::Confirmed(_));
    let plan = plan(object, service, Some(&observed), &pass.owner);
    if !is_fresh && matches!(plan, Plan::Write(_)) {
        observed = read(freshness).await;
    }
    if observed.target.is_some() && !object.is_deleting() {
        observed.activities = activities(object, pass, service, before.count).await;
    }
    Some(observed)
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
    let of_target = if targets.may_be_there(&key) {
        // Every look is one for what a call without a reply has made.
        Freshness::Since(pass.began)
    } else {
        freshness
    };
    let seen = targets.get(key.clone(), of_target, namespace).await?;
    let Answer::Found(json) = seen.answer else {
        // What it had went with it.
        forget(observer, service);
        return Ok(ObservedAutoscaling {
            may_be_there: targets.may_be_there(&key),
            ..ObservedAutoscaling::default()
        });
    };
    let mut target = ScalableTarget::read(json)?;
    if !is_recorded(object, &target.arn) {
        target.tags = Some(tags(pass, &target).await?);
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
        now: clock::now(),
        ..ObservedAutoscaling::default()
    })
}

/// The tags of a scalable target. That nobody owns it is read afresh, because somebody may have
/// tagged it since.
async fn tags<O: Sync>(pass: &Pass<'_, O>, target: &ScalableTarget) -> Result<Tags, AwsError> {
    let cache = pass.aws.observer.cache::<ScalableTargetTagsKey>();
    let key = ScalableTargetTagsKey(target.arn.clone());
    let read = |seen: Seen| match seen.answer {
        Answer::Found(tags) => Tags::read(&tags),
        Answer::Inactive | Answer::Missing => Tags::default(),
    };
    let namespace = pass.namespace();
    let tags = read(cache.get(key.clone(), Freshness::Any, namespace).await?);
    if tags.0.contains_key(OWNER) {
        return Ok(tags);
    }
    let fresh = Freshness::Since(pass.began);
    Ok(read(cache.get(key, fresh, namespace).await?))
}

fn list(seen: Seen) -> Vec<Value> {
    match seen.answer {
        Answer::Found(list) => list.as_array().cloned().unwrap_or_default(),
        Answer::Inactive | Answer::Missing => Vec::new(),
    }
}
