//! The condition AutoscalingReady. Pure.

use ecs_operator_crds::condition::{ConditionType, Reason};
use ecs_operator_crds::v1beta1::EcsService;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::Value;

use super::elements::Difference;
use super::observed::{ObservedAutoscaling, ScalableTarget};
use super::plan::{difference, not_owned};
use crate::aws::autoscaling as aws;
use crate::aws::ecs::ServiceKey;
use crate::k8s::conditions::of_type;
use crate::reconcile::OtherCondition;
use crate::reconcile::outcome::Outcome;
use crate::reconcile::plan::Write;

/// The condition AutoscalingReady, while the spec has service auto scaling. `object` has the status
/// after the pass, and `before` the conditions before it.
pub(in crate::kinds::ecs_service) fn condition(
    object: &EcsService,
    observed: Option<(&ServiceKey, &ObservedAutoscaling)>,
    outcome: &Outcome,
    before: &[Condition],
) -> Option<OtherCondition> {
    object.spec.autoscaling.as_ref()?;
    let (status, reason, message) = match outcome {
        Outcome::Failed(error) if *error.operation.service() == aws::SERVICE => {
            ("False", error.kind.reason(), error.to_string())
        }
        _ => match observed.and_then(|(_, observed)| observed.unread.as_ref()) {
            Some(error) => ("False", error.kind.reason(), error.to_string()),
            None => told(object, observed, before),
        },
    };
    Some(OtherCondition {
        type_: ConditionType::AutoscalingReady,
        status,
        reason,
        message,
    })
}

/// Status, reason and message of the condition, by what AWS has.
fn told(
    object: &EcsService,
    observed: Option<(&ServiceKey, &ObservedAutoscaling)>,
    before: &[Condition],
) -> (&'static str, Reason, String) {
    let before = of_type(ConditionType::AutoscalingReady, before);
    if let (None, Some(before)) = (observed, before.filter(|before| before.status == "True")) {
        // It was not read.
        return ("True", Reason::Succeeded, before.message.clone());
    }
    let read = observed.and_then(|(service, all)| Some((service, all, all.target.as_ref()?)));
    let Some((service, observed, target)) = read else {
        let message = "The scalable target is not registered yet";
        return ("False", Reason::Progressing, message.to_owned());
    };
    if !target.is_owned() && !object.spec.policies.observes() {
        return ("False", Reason::ScalableTargetNotOwned, not_owned(service));
    }
    let Difference { writes, persisting } = difference(object, service, observed, &Value::Null);
    if !writes.is_empty() {
        let pending: Vec<_> = writes.iter().map(Write::pending).collect();
        let message = format!("AWS does not have this yet: {}", pending.join("; "));
        return ("False", Reason::Progressing, message);
    }
    if !persisting.is_empty() {
        let message = format!(
            "AWS does not show what it has accepted: {}",
            persisting.join("; ")
        );
        return ("False", Reason::DriftPersists, message);
    }
    ("True", Reason::Succeeded, ready(object, target))
}

/// The message of a scalable target that is as the spec wants it.
fn ready(object: &EcsService, target: &ScalableTarget) -> String {
    let status = object.status.as_ref();
    let status = status.and_then(|status| status.autoscaling.as_ref());
    let policies = status.and_then(|status| status.policies.as_ref());
    let policies = policies.into_iter().flatten();
    let actions = status.and_then(|status| status.scheduled_actions.as_ref());
    let actions = actions.into_iter().flatten();
    let names = policies.map(|policy| policy.policy_name.as_str());
    let names: Vec<_> = names
        .chain(actions.map(|action| action.scheduled_action_name.as_str()))
        .collect();
    let by = match names.as_slice() {
        [] => "no policy changes their number".to_owned(),
        names => names.join(", "),
    };
    let why = status.and_then(|status| status.capacity_reason.as_ref());
    let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
    let reason = status.and_then(|status| status.not_scaled_reason.as_deref());
    let full = if reason == Some("AlreadyAtMaxCapacity") {
        "; a policy wants more than the maximum"
    } else {
        ""
    };
    let (min, max) = (target.min_capacity, target.max_capacity);
    format!("AWS keeps the number of tasks between {min} and {max}{why}: {by}{full}")
}
