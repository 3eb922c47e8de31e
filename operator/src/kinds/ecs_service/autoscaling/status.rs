//! What the status says of service auto scaling. Pure.

use std::collections::BTreeSet;

use ecs_operator_crds::condition::{ConditionType, Reason};
use ecs_operator_crds::v1beta1::EcsService;
use ecs_operator_crds::v1beta1::service::{
    AppliedCapacity, AutoscalingStatus, ScalingActivityStatus, ScalingPolicyStatus,
    ScheduledActionStatus, SuspendedState,
};
use ecs_operator_crds::v1beta1::shared::Status;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;

use super::elements::{ACTION, POLICY};
use super::observed::{ObservedAutoscaling, ScalableTarget, is_managed};
use super::target::raises_maximum;
use super::wanted::{ACTION_NAME, POLICY_NAME, Wanted, name, named, names};
use crate::aws::autoscaling as aws;
use crate::aws::ecs::ServiceKey;
use crate::aws::time;
use crate::k8s::conditions::of_type;
use crate::reconcile::OtherCondition;
use crate::reconcile::outcome::Outcome;
use crate::reconcile::plan::Write;

/// The status of service auto scaling after a pass; `None` where the object has nothing to do with
/// it. `observed` is `None` where it was not read.
pub(in crate::kinds::ecs_service) fn status(
    object: &EcsService,
    service: &ServiceKey,
    observed: Option<&ObservedAutoscaling>,
    outcome: &Outcome,
    accepted: &[Write],
) -> Option<AutoscalingStatus> {
    if !is_managed(object) {
        return None;
    }
    let before = object.status.as_ref();
    let before = before.and_then(|status| status.autoscaling.clone());
    let target = observed.and_then(|observed| observed.target.as_ref());
    let owned = target.filter(|target| target.is_owned());
    if object.spec.autoscaling.is_none() && observed.is_some() && owned.is_none() {
        // Nothing of it is left.
        return None;
    }
    let mut status = before.unwrap_or_default();
    let arn = owned.map(|target| target.arn.clone());
    if observed.is_some() && arn != status.scalable_target_arn {
        // What was accepted went with the former scalable target.
        forget_accepted(&mut status);
        status.scalable_target_arn = arn;
    }
    note_names(&mut status, object, service);
    remember(&mut status, object, service, outcome, accepted);
    if let Some(observed) = observed {
        drop_deleted(&mut status, object, service, observed);
        show(&mut status, object, service, observed);
    }
    Some(status)
}

fn forget_accepted(status: &mut AutoscalingStatus) {
    status.applied = None;
    for policy in status.policies.iter_mut().flatten() {
        policy.hash = None;
    }
    for action in status.scheduled_actions.iter_mut().flatten() {
        action.hash = None;
    }
}

/// Notes the names that the spec has, before the operator puts anything of these names.
fn note_names(status: &mut AutoscalingStatus, object: &EcsService, service: &ServiceKey) {
    let [policies, actions] = names(object, service);
    let listed = status.policies.get_or_insert_default();
    for policy_name in policies {
        if !listed
            .iter()
            .any(|policy| policy.policy_name == policy_name)
        {
            listed.push(ScalingPolicyStatus {
                policy_name,
                ..ScalingPolicyStatus::default()
            });
        }
    }
    listed.sort_by(|one, other| one.policy_name.cmp(&other.policy_name));
    let listed = status.scheduled_actions.get_or_insert_default();
    for scheduled_action_name in actions {
        let is_same =
            |action: &ScheduledActionStatus| action.scheduled_action_name == scheduled_action_name;
        if !listed.iter().any(is_same) {
            listed.push(ScheduledActionStatus {
                scheduled_action_name,
                hash: None,
            });
        }
    }
    listed.sort_by(|one, other| one.scheduled_action_name.cmp(&other.scheduled_action_name));
}

/// Remembers what AWS has accepted of the spec.
fn remember(
    status: &mut AutoscalingStatus,
    object: &EcsService,
    service: &ServiceKey,
    outcome: &Outcome,
    accepted: &[Write],
) {
    let own = Wanted::own(object, service);
    let Some(own) = own.filter(|_| !object.spec.policies.observes()) else {
        return;
    };
    let is_in_sync = *outcome == Outcome::InSync;
    let is_accepted = |operation, key: &str, name: &str| {
        let mut writes = accepted.iter();
        is_in_sync || writes.any(|write| write.operation == operation && write.request[key] == name)
    };
    let registers = |write: &Write| write.operation == aws::RegisterScalableTarget;
    if is_in_sync || accepted.iter().any(registers) {
        status.applied = Some(own.capacity);
    }
    for policy in status.policies.iter_mut().flatten() {
        let name = &policy.policy_name;
        if let Some(own) = named(&own.policies, POLICY_NAME, name)
            && is_accepted(aws::PutScalingPolicy, POLICY_NAME, name)
        {
            policy.hash = Some(POLICY.hash(own));
        }
    }
    for action in status.scheduled_actions.iter_mut().flatten() {
        let name = &action.scheduled_action_name;
        if let Some(own) = named(&own.actions, ACTION_NAME, name)
            && is_accepted(aws::PutScheduledAction, ACTION_NAME, name)
        {
            action.hash = Some(ACTION.hash(own));
        }
    }
}

/// Drops the names that neither the spec nor AWS has any more.
fn drop_deleted(
    status: &mut AutoscalingStatus,
    object: &EcsService,
    service: &ServiceKey,
    observed: &ObservedAutoscaling,
) {
    let [policies, actions] = names(object, service);
    let stays = |kept: &[String], live: &[Value], key: &str, name: &String| {
        kept.contains(name) || named(live, key, name).is_some()
    };
    if let Some(listed) = &mut status.policies {
        listed.retain(|policy| {
            stays(
                &policies,
                &observed.policies,
                POLICY_NAME,
                &policy.policy_name,
            )
        });
    }
    if let Some(listed) = &mut status.scheduled_actions {
        listed.retain(|action| {
            stays(
                &actions,
                &observed.actions,
                ACTION_NAME,
                &action.scheduled_action_name,
            )
        });
    }
}

/// Shows what AWS has.
fn show(
    status: &mut AutoscalingStatus,
    object: &EcsService,
    service: &ServiceKey,
    observed: &ObservedAutoscaling,
) {
    let target = observed.target.as_ref();
    status.min_capacity = target.map(|target| target.min_capacity);
    status.max_capacity = target.map(|target| target.max_capacity);
    let suspended = target.and_then(|target| target.suspended_state.clone());
    status.suspended_state = suspended.filter(is_suspended);
    let wanted = Wanted::new(object, service, observed);
    status.capacity_reason = target.and_then(|target| capacity_reason(&wanted?, target, observed));
    for policy in status.policies.iter_mut().flatten() {
        let live = named(&observed.policies, POLICY_NAME, &policy.policy_name);
        policy.policy_type = live.and_then(|live| live["policyType"].as_str().map(str::to_owned));
        policy.alarms = live.and_then(alarms);
    }
    let known = status.policies.iter().flatten();
    let known: BTreeSet<_> = known.map(|policy| policy.policy_name.as_str()).collect();
    let policies = observed.policies.iter();
    let policies = policies
        .map(|policy| name(policy, POLICY_NAME))
        .filter(|name| !known.contains(name));
    let known = status.scheduled_actions.iter().flatten();
    let known: BTreeSet<_> = known
        .map(|action| action.scheduled_action_name.as_str())
        .collect();
    let actions = observed.actions.iter();
    let actions = actions
        .map(|action| name(action, ACTION_NAME))
        .filter(|name| !known.contains(name));
    let unmanaged: BTreeSet<_> = policies.chain(actions).map(str::to_owned).collect();
    show_activities(status, observed);
    status.unmanaged = Some(unmanaged.into_iter().collect()).filter(|all: &Vec<_>| !all.is_empty());
}

/// Shows the last scaling activity; what could not be read stays.
fn show_activities(status: &mut AutoscalingStatus, observed: &ObservedAutoscaling) {
    let Some(activities) = &observed.activities else {
        return;
    };
    let reason = |activity: &Value| {
        let reason = activity["notScaledReasons"][0]["code"].as_str();
        reason.map(str::to_owned)
    };
    status.not_scaled_reason = activities.first().and_then(reason);
    let last = activities
        .iter()
        .find(|activity| reason(activity).is_none());
    status.last_activity = last.map(|activity| {
        let text = |member: &str| activity[member].as_str().map(str::to_owned);
        ScalingActivityStatus {
            id: text("activityId").unwrap_or_default(),
            started_at: time(&activity["startTime"]).map(Time),
            status: text("statusCode"),
            description: text("description"),
            cause: text("cause"),
            message: text("statusMessage"),
        }
    });
}

fn is_suspended(state: &SuspendedState) -> bool {
    [
        state.dynamic_scaling_in_suspended,
        state.dynamic_scaling_out_suspended,
        state.scheduled_scaling_suspended,
    ]
    .contains(&Some(true))
}

/// Names of the alarms of a policy.
fn alarms(policy: &Value) -> Option<Vec<String>> {
    let alarms = policy["alarms"].as_array()?.iter();
    let mut names: Vec<_> = alarms
        .filter_map(|alarm| alarm["alarmName"].as_str().map(str::to_owned))
        .collect();
    names.sort();
    Some(names).filter(|names| !names.is_empty())
}

/// Why minimum or maximum differ from the spec, in words.
fn capacity_reason(
    wanted: &Wanted,
    target: &ScalableTarget,
    observed: &ObservedAutoscaling,
) -> Option<String> {
    let AppliedCapacity {
        min_capacity,
        max_capacity,
        ..
    } = wanted.capacity;
    let reason = |member: &str, wanted: Option<i32>, present: i32| {
        let wanted = wanted.filter(|wanted| *wanted != present)?;
        let by = match setting(&observed.actions, member, present) {
            Some(action) => format!("set by scheduled action {action}"),
            None if member == "maxCapacity" && observed.policies.iter().any(raises_maximum) => {
                "raised by a predictive scaling policy".to_owned()
            }
            None => "not set by this object".to_owned(),
        };
        Some(format!("{member} {present} instead of {wanted}: {by}"))
    };
    let reasons: Vec<_> = [
        reason("minCapacity", min_capacity, target.min_capacity),
        reason("maxCapacity", max_capacity, target.max_capacity),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// The name of the scheduled action that sets `member` to this value.
fn setting<'a>(actions: &'a [Value], member: &str, value: i32) -> Option<&'a str> {
    let action = actions
        .iter()
        .find(|action| action["scalableTargetAction"][member] == value)?;
    Some(name(action, ACTION_NAME))
}

/// The condition AutoscalingReady, while the spec has service auto scaling.
pub(in crate::kinds::ecs_service) fn condition(
    object: &EcsService,
    status: Option<&AutoscalingStatus>,
    observed: Option<&ObservedAutoscaling>,
    outcome: &Outcome,
) -> Option<OtherCondition> {
    object.spec.autoscaling.as_ref()?;
    let condition = |status, reason, message: String| OtherCondition {
        type_: ConditionType::AutoscalingReady,
        status,
        reason,
        message,
    };
    let status = status?;
    let failed = match outcome {
        Outcome::Failed(error) if *error.operation.service() == aws::SERVICE => {
            Some((error.kind.reason(), error.to_string()))
        }
        Outcome::Stalled(obstacle) if obstacle.reason == Reason::NotOwned => {
            Some((obstacle.reason, obstacle.message.clone()))
        }
        _ => None,
    };
    if let Some((reason, message)) = failed {
        return Some(condition("False", reason, message));
    }
    let before = object.status.as_ref().map(Status::conditions);
    let before = before.and_then(|before| of_type(ConditionType::AutoscalingReady, before));
    if let (None, Some(before)) = (observed, before.filter(|before| before.status == "True")) {
        // It was not read.
        return Some(condition("True", Reason::Succeeded, before.message.clone()));
    }
    let (Some(min), Some(max)) = (status.min_capacity, status.max_capacity) else {
        let message = "The scalable target is not registered yet";
        return Some(condition("False", Reason::Progressing, message.to_owned()));
    };
    let policies = status.policies.iter().flatten();
    let actions = status.scheduled_actions.iter().flatten();
    let unaccepted = policies
        .clone()
        .filter(|policy| policy.hash.is_none())
        .map(|policy| policy.policy_name.as_str())
        .chain(
            actions
                .clone()
                .filter(|action| action.hash.is_none())
                .map(|action| action.scheduled_action_name.as_str()),
        );
    let unaccepted: Vec<_> = unaccepted.collect();
    if !unaccepted.is_empty() {
        let message = format!("AWS does not have these yet: {}", unaccepted.join(", "));
        return Some(condition("False", Reason::Progressing, message));
    }
    let names = policies.map(|policy| policy.policy_name.as_str());
    let names: Vec<_> = names
        .chain(actions.map(|action| action.scheduled_action_name.as_str()))
        .collect();
    let by = match names.as_slice() {
        [] => "no policy changes their number".to_owned(),
        names => names.join(", "),
    };
    let why = status.capacity_reason.as_ref();
    let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
    let is_full = status.not_scaled_reason.as_deref() == Some("AlreadyAtMaxCapacity");
    let full = if is_full {
        "; a policy wants more than the maximum"
    } else {
        ""
    };
    let message = format!("AWS keeps the number of tasks between {min} and {max}{why}: {by}{full}");
    Some(condition("True", Reason::Succeeded, message))
}
