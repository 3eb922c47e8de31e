//! Sends one write of service auto scaling, and enters what is known after it into the observer.

use std::sync::Arc;

use ecs_operator_crds::v1beta1::EcsService;
use serde_json::{Map, Value};

use super::elements::{ACTION, POLICY, Part};
use super::observed::{ObservedAutoscaling, ScalableTarget};
use super::wanted::name;
use crate::aws::autoscaling::{
    self as aws, ScalableTargetKey, ScalableTargetTagsKey, ScalingActivitiesKey,
    ScalingPoliciesKey, ScheduledActionsKey,
};
use crate::aws::ecs::ServiceKey;
use crate::aws::observer::{Answer, Key};
use crate::aws::tags::Tags;
use crate::aws::{AwsError, ErrorKind, Observer, Permit};
use crate::clock;
use crate::k8s::object::Object;
use crate::reconcile::Pass;
use crate::reconcile::lifecycle::Lifecycle;
use crate::reconcile::plan::Write;

const LIFECYCLE: Lifecycle = Lifecycle {
    create: aws::RegisterScalableTarget,
    delete: aws::DeregisterScalableTarget,
    deleted: &[],
};

pub(in crate::kinds::ecs_service) async fn apply<O: Sync>(
    object: &EcsService,
    pass: &Pass<'_, O>,
    service: &ServiceKey,
    before: Option<&ObservedAutoscaling>,
    write: &Write,
    permit: Permit,
) -> Result<ObservedAutoscaling, AwsError> {
    let observer = &pass.aws.observer;
    let mut after = before.cloned().unwrap_or_default();
    let key = ScalableTargetKey::of(service);
    let reply = match write.operation {
        aws::RegisterScalableTarget | aws::DeregisterScalableTarget => {
            let reply = LIFECYCLE.send(pass, &key, write, permit).await;
            reply.map(Option::unwrap_or_default)
        }
        _ => pass.aws.writer.send(permit, &write.request).await,
    };
    let reply = match reply {
        Ok(reply) => reply,
        Err(error) if error.kind == ErrorKind::Missing && removes(write) => Value::Null,
        Err(error) if error.kind == ErrorKind::Missing => {
            // The scalable target is not there, or AWS does not show everywhere yet that it is.
            forget(observer, service);
            observer.cache::<ScalableTargetKey>().invalidate(&key);
            return Err(error.not_yet());
        }
        // AWS deletes the scalable target with the service, which must not wait for a right.
        Err(error) if error.kind == ErrorKind::AccessDenied && is_end(object, write) => {
            return Ok(ObservedAutoscaling::default());
        }
        Err(error) => return Err(error),
    };
    after.sent.push(write.clone());
    match write.operation {
        aws::RegisterScalableTarget => {
            let target = registered(after.target.as_ref(), write, &reply)?;
            if after.target.is_none() {
                // What a former one had went with that.
                let none = Value::Array(Vec::new());
                enter(observer, ScalingPoliciesKey::of(service), &none);
                enter(observer, ScheduledActionsKey::of(service), &none);
                (after.policies, after.actions) = (Vec::new(), Vec::new());
            }
            enter(observer, key, &target.json);
            // It may have moved the number of tasks, which is an activity.
            forget_activities(observer, service);
            if let Some(tags) = &target.tags {
                enter_tags(observer, &target, tags);
            }
            after.target = Some(target);
        }
        aws::DeregisterScalableTarget => {
            enter_missing(observer, service);
            after = ObservedAutoscaling::default();
        }
        aws::TagResource => {
            if let Some(target) = &mut after.target {
                let tags = target.tags.get_or_insert_default().after(&write.request);
                enter_tags(observer, target, &tags);
                target.tags = Some(tags);
            }
        }
        aws::PutScalingPolicy | aws::DeleteScalingPolicy => {
            change(&mut after.policies, &POLICY, write, &reply);
            let list = Value::from(after.policies.clone());
            enter(observer, ScalingPoliciesKey::of(service), &list);
        }
        _ => {
            change(&mut after.actions, &ACTION, write, &reply);
            let list = Value::from(after.actions.clone());
            enter(observer, ScheduledActionsKey::of(service), &list);
        }
    }
    Ok(after)
}

/// Enters that the service has no scalable target: it is new, or was deregistered.
pub(in crate::kinds::ecs_service) fn enter_missing(observer: &Observer, service: &ServiceKey) {
    forget(observer, service);
    let targets = observer.cache::<ScalableTargetKey>();
    targets.enter(ScalableTargetKey::of(service), Answer::Missing);
}

/// Has the policies, scheduled actions and activities of a service read again.
pub(super) fn forget(observer: &Observer, service: &ServiceKey) {
    let policies = observer.cache::<ScalingPoliciesKey>();
    policies.invalidate(&ScalingPoliciesKey::of(service));
    let actions = observer.cache::<ScheduledActionsKey>();
    actions.invalidate(&ScheduledActionsKey::of(service));
    forget_activities(observer, service);
}

fn forget_activities(observer: &Observer, service: &ServiceKey) {
    let activities = observer.cache::<ScalingActivitiesKey>();
    activities.invalidate(&ScalingActivitiesKey::of(service));
}

fn enter_tags(observer: &Observer, target: &ScalableTarget, tags: &Tags) {
    let shown = tags.write(aws::SERVICE.tag_shape);
    enter(observer, ScalableTargetTagsKey(target.arn.clone()), &shown);
}

fn enter<K: Key>(observer: &Observer, key: K, value: &Value) {
    let answer = Answer::Found(Arc::new(value.clone()));
    observer.cache::<K>().enter(key, answer);
}

/// Whether a service that is being deleted is deregistered.
fn is_end(object: &EcsService, write: &Write) -> bool {
    object.is_deleting() && write.operation == aws::DeregisterScalableTarget
}

/// Whether a write deletes a policy or scheduled action.
fn removes(write: &Write) -> bool {
    [POLICY.delete, ACTION.delete].contains(&write.operation)
}

/// The scalable target after RegisterScalableTarget, which leaves as it is what a request leaves
/// out.
fn registered(
    present: Option<&ScalableTarget>,
    write: &Write,
    reply: &Value,
) -> Result<ScalableTarget, AwsError> {
    let mut json = present.map_or_else(Map::new, |target| {
        target.json.as_object().cloned().unwrap_or_default()
    });
    let mut sent = write.request.as_object().cloned().unwrap_or_default();
    let tags = sent.remove("tags");
    json.extend(sent);
    let arn = &reply["scalableTargetARN"];
    if !arn.is_null() {
        json.insert("scalableTargetARN".to_owned(), arn.clone());
    }
    if !json.contains_key("scalableTargetARN") {
        return Err(AwsError::incomplete(write.operation, "scalableTargetARN"));
    }
    // Older scaling activities are of a former one.
    let now = clock::now().as_second();
    json.entry("creationTime").or_insert_with(|| now.into());
    let mut target = ScalableTarget::read(Arc::new(json.into()))?;
    target.tags = match present {
        Some(present) => present.tags.clone(),
        None => Some(Tags::read(&tags.unwrap_or_default())),
    };
    Ok(target)
}

/// Changes the list of policies, or of scheduled actions, as `write` has in AWS.
fn change(list: &mut Vec<Value>, part: &Part, write: &Write, reply: &Value) {
    let name = name(&write.request, part.key);
    if write.operation == part.delete {
        list.retain(|element| element[part.key] != name);
        return;
    }
    let index = list.iter().position(|element| element[part.key] == name);
    let live = index.map(|index| &list[index]);
    let mut element = part.after_put(live, &[&write.request, reply]);
    for member in ["startTime", "endTime"] {
        // AWS deletes the times that a request leaves out.
        if part.key == ACTION.key && write.request[member].is_null() {
            element[member] = Value::Null;
        }
    }
    match index {
        Some(index) => list[index] = element,
        None => list.push(element),
    }
}
